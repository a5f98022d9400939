#!/usr/bin/env bash
# Installs what the examples for third parties need, slixmpp into target/slixmpp and @xmpp/client into
# target/third-parties, with the examples that use it beside it; does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly here=tests/third-parties
readonly python=target/slixmpp node=target/third-parties

# Two tests may come here at the same time.
mkdir -p target
exec 9>"$node.lock"
flock 9

# The lists are copied last, so that an installation that was broken off is not taken for whole.
if ! cmp -s "$here/requirements.txt" "$python/requirements.txt"; then
  tests/install.sh python3-venv
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" 9<&-
  cp "$here/requirements.txt" "$python"
fi
if ! cmp -s "$here/package-lock.json" "$node/installed.json"; then
  tests/install.sh nodejs npm
  rm -rf "$node"
  mkdir "$node"
  cp "$here/package.json" "$here/package-lock.json" "$node"
  # No script of a package is run, and nothing is written elsewhere.
  (
    cd "$node"
    npm ci --cache .npm --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error 9<&-
    rm -rf .npm
  )
  cp "$here/package-lock.json" "$node/installed.json"
fi
# A module looks for its libraries beside itself.
for file in "$here"/*.mjs; do
  cmp -s "$file" "$node/${file##*/}" || cp "$file" "$node"
done
