#!/usr/bin/env bash
# Installs slixmpp into target/slixmpp, for the test that attaches with it; does nothing when it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly folder=${1:-target/slixmpp}
readonly wanted=tests/partners/requirements.txt

# Two tests may come here at the same time.
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9

if ! cmp -s "$wanted" "$folder/requirements.txt"; then
  tests/install.sh python3-venv
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  # Last, so that an installation that was broken off is not taken for whole.
  cp "$wanted" "$folder/requirements.txt"
fi
