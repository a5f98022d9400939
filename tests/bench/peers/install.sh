#!/usr/bin/env bash
# Builds or installs the other libraries that `make bench` measures, below target/peers. What cannot be had
# is said, and the table has a line without figures for it.
set -uo pipefail
cd "$(dirname "$0")/../../.."

readonly folder=target/peers
readonly sources=tests/bench/peers
mkdir -p "$folder/node"

missing() {
  printf 'bench: %s is not measured: %s\n' "$1" "$2" >&2
}

"${CARGO:-cargo}" build --quiet --locked --release --manifest-path "$sources/component/Cargo.toml" \
  --target-dir "$folder/component" || missing tokio-xmpp 'it does not build'

tests/third-parties/install.sh || missing slixmpp 'it cannot be installed'

if ! command -v npm >/dev/null; then
  missing @xmpp/component 'there is no npm'
elif ! [ -d "$folder/node/node_modules/@xmpp/component" ]; then
  npm install --silent --no-audit --no-fund --prefix "$folder/node" @xmpp/component@0.13.1 ||
    missing @xmpp/component 'it cannot be installed'
fi
# Node looks for a library beside the script.
cp "$sources/answer.mjs" "$folder/node/answer.mjs"

if ! [ -e "$folder/gloox" ]; then
  if ! command -v c++ >/dev/null || ! [ -e /usr/include/gloox/component.h ]; then
    missing gloox "Debian has it in libgloox-dev, and c++ in g++"
  else
    c++ -O2 -o "$folder/gloox" "$sources/gloox.cpp" -lgloox -lpthread || missing gloox 'it does not build'
  fi
fi
