#!/usr/bin/env bash
# Installs what the demo or the tests need and this machine lacks:
#
#   tests/install.sh prosody                             for `make demo`
#   tests/install.sh prosody ejabberd browser            for `make test`
#   tests/install.sh prosody ejabberd browser clients    for `make test-long`
#   tests/install.sh prosody ejabberd webpresence        for `make bench`
#
# It does nothing, and needs no rights, when everything is there. The servers are only installed: none
# is started, and none will be at the next boot. The tests run them in folders of their own.
set -euo pipefail

# Debian's servers may be in sbin, which the PATH of an ordinary user lacks.
PATH=$PATH:/usr/sbin:/sbin

readonly policy=/usr/sbin/policy-rc.d
readonly policy_before=$policy.before-vestibule
readonly policy_mark='# Temporary: written by tests/install.sh of vestibule.'

# Ordinary chat clients, and what a script needs to run them and to read what they show.
readonly clients=(
  gajim profanity poezio dino-im
  tmux xvfb xdotool imagemagick tesseract-ocr tesseract-ocr-eng
  dbus-daemon at-spi2-core gir1.2-atspi-2.0 python3-gi
  fonts-dejavu-core adwaita-icon-theme ca-certificates openssl libresolv-wrapper
)

# A browser that shows the web face, what it writes with, and a web server in front.
readonly browser=(chromium fonts-dejavu-core nginx-light)

# What the servers show of presence on the web by themselves, to be measured beside.
readonly webpresence=(prosody-modules ejabberd-mod-webpresence)

say() {
  printf 'install: %s\n' "$*"
}

fail() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}

# Tells whether what a package brings is there, wherever it came from.
is_present() {
  case $1 in
    prosody) command -v prosody >/dev/null ;;
    ejabberd) command -v erl >/dev/null && compgen -G '/usr/lib/*/ejabberd-*/ebin' >/dev/null ;;
    chromium) command -v chromium >/dev/null ;;
    nginx-light) command -v nginx >/dev/null ;;
    prosody-modules) [ -e /usr/lib/prosody/modules/mod_webpresence ] ;;
    ejabberd-mod-webpresence) compgen -G '/usr/lib/*/ejabberd-*/ebin/mod_webpresence.beam' >/dev/null ;;
    gcc) command -v cc >/dev/null ;;
    libc6-dev) compgen -G '/usr/include/*/sys/types.h' >/dev/null || [ -e /usr/include/sys/types.h ] ;;
    gajim | profanity | poezio | dino-im | tmux | xdotool | openssl) command -v "$1" >/dev/null ;;
    xvfb) command -v Xvfb >/dev/null ;;
    imagemagick) command -v import >/dev/null && command -v convert >/dev/null ;;
    tesseract-ocr) command -v tesseract >/dev/null ;;
    tesseract-ocr-eng) tesseract --list-langs 2>/dev/null | grep -qx eng ;;
    dbus-daemon) command -v dbus-run-session >/dev/null && command -v dbus-daemon >/dev/null ;;
    at-spi2-core) [ -e /usr/share/dbus-1/services/org.a11y.Bus.service ] ;;
    # Debian's own Python: another one in the PATH has not Debian's modules.
    gir1.2-atspi-2.0) compgen -G '/usr/lib/*/girepository-1.0/Atspi-2.0.typelib' >/dev/null ;;
    python3-gi) /usr/bin/python3 -c 'import gi' 2>/dev/null ;;
    fonts-dejavu-core) [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] ;;
    adwaita-icon-theme) [ -e /usr/share/icons/Adwaita/index.theme ] ;;
    ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] ;;
    libresolv-wrapper) compgen -G '/usr/lib/*/libresolv_wrapper.so' >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    nodejs) command -v node >/dev/null ;;
    npm) command -v npm >/dev/null ;;
    *) fail "unknown: $1; usage: $0 [prosody] [ejabberd] [dbus-daemon] [browser] [webpresence] [clients] [python3-venv] [nodejs] [npm]" ;;
  esac
}

reason() {
  case $1 in
    prosody) echo 'an XMPP server: the demo and the tests run the component with it' ;;
    ejabberd) echo 'an XMPP server: the tests run the component with it' ;;
    python3-venv) echo 'examples and a test use a library for Python, which goes to a folder below target/' ;;
    nodejs) echo 'examples in JavaScript are run' ;;
    npm) echo 'it brings the library that they use, into a folder below target/' ;;
    chromium) echo 'a browser: it must show the web face as it is, and run nothing that is hidden in it' ;;
    nginx-light) echo 'a web server: the recipe for one in front of the web face is tried' ;;
    prosody-modules | ejabberd-mod-webpresence) echo 'presence on the web by a server itself, measured beside ours' ;;
    gcc | libc6-dev) echo 'cargo links with it, and two dependencies are partly or wholly written in C' ;;
    gajim | profanity | poezio | dino-im) echo 'a chat client: it must show a contact as it is' ;;
    tmux) echo 'a terminal for the clients that want one' ;;
    xvfb) echo 'a screen for the clients that want one' ;;
    xdotool) echo 'the mouse on that screen' ;;
    imagemagick) echo 'takes pictures of that screen' ;;
    tesseract-ocr | tesseract-ocr-eng) echo 'reads words in those pictures' ;;
    dbus-daemon) echo 'a session bus: the agent asks on it as on a desktop, and the clients on that screen want one' ;;
    at-spi2-core | gir1.2-atspi-2.0 | python3-gi) echo 'reads what a client tells screen readers' ;;
    fonts-dejavu-core | adwaita-icon-theme) echo 'what the clients on that screen write and paint with' ;;
    openssl) echo 'makes certificates: the chat clients want TLS' ;;
    ca-certificates) echo 'the place of the authorities that the clients trust, where a test puts its own' ;;
    libresolv-wrapper) echo 'tells dino-im the port of its server, for which it asks the DNS alone' ;;
  esac
}

find_missing() {
  local name
  missing=()
  for name in gcc libc6-dev "${wanted[@]}"; do
    is_present "$name" || missing+=("$name")
  done
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The ids of all epmd (Erlang's port mapper) of system users, each followed by a blank.
epmd_ids() {
  local folder
  for folder in /proc/[0-9]*; do
    if [ "$(cat "$folder/comm" 2>/dev/null)" = epmd ]; then
      case $(stat -c %U "$folder" 2>/dev/null) in
        root | epmd | ejabberd) printf '%s ' "${folder#/proc/}" ;;
      esac
    fi
  done
}

# While packages are being installed no service may be started (exit code 101 of policy-rc.d).
deny_starts() {
  put_policy_back
  if [ -e "$policy" ] || [ -L "$policy" ]; then
    mv "$policy" "$policy_before"
  fi
  printf '#!/bin/sh\n%s\n%s\nexit 101\n' "$policy_mark" \
    "# If this file is still here, delete it, or put back $policy_before." >"$policy"
  chmod 755 "$policy"
}

is_policy_ours() {
  grep -qsF "$policy_mark" "$policy"
}

# Also after a run that was killed: its policy is known by the mark.
put_policy_back() {
  if is_policy_ours; then
    rm -f "$policy"
  fi
  if [ -e "$policy_before" ] || [ -L "$policy_before" ]; then
    mv "$policy_before" "$policy"
  fi
}

# Only an epmd that was not there before the installation; all others belong to someone else.
stop_new_epmd() {
  local id
  for id in $(epmd_ids); do
    if [[ " $epmd_before" != *" $id "* ]]; then
      say "stopping epmd (process $id), which the installation started"
      kill "$id" || true
    fi
  done
}

clean_up() {
  put_policy_back
  stop_new_epmd
}

keep_from_boot() {
  local unit
  for unit in "$@"; do
    if command -v systemctl >/dev/null && systemctl disable --quiet "$unit" 2>/dev/null; then
      say "$unit is not started at boot (systemctl enable $unit would change that)"
    fi
    # For machines that boot without systemd.
    if [ -x "/etc/init.d/${unit%.*}" ] && command -v update-rc.d >/dev/null; then
      update-rc.d "${unit%.*}" disable >/dev/null 2>&1 || true
    fi
  done
}

wanted=()
for name in "$@"; do
  case $name in
    clients) wanted+=("${clients[@]}") ;;
    browser) wanted+=("${browser[@]}") ;;
    webpresence) wanted+=("${webpresence[@]}") ;;
    *) wanted+=("$name") ;;
  esac
done
find_missing
if [ ${#missing[@]} -eq 0 ] && ! is_policy_ours; then
  exit 0
fi
for name in "${missing[@]}"; do
  say "$name is missing: $(reason "$name")"
done
if [ ${#missing[@]} -eq 0 ]; then
  say "an installation runs or was killed: $policy forbids to start services"
elif ! command -v apt-get >/dev/null; then
  fail "there is no apt-get here; install by the means of your system: ${missing[*]}"
fi
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    # What is wanted is there; the policy is for someone else to put back.
    [ ${#missing[@]} -ne 0 ] || exit 0
    printf -v line '%q ' "$0" "$@"
    if command -v sudo >/dev/null; then
      fail "this needs root; type: sudo ${line% }"
    fi
    fail "this needs root; type: su -c '${line% }'"
  fi
  exec sudo -n -- "$0" "$@"
fi

# One at a time: two would put back each other's policy.
exec 9<"$0"
flock 9
find_missing
if [ ${#missing[@]} -eq 0 ]; then
  put_policy_back
  exit 0
fi

units=()
for name in prosody ejabberd; do
  if [[ " ${missing[*]} " == *" $name "* ]]; then
    units+=("$name.service")
  fi
done
if [[ " ${missing[*]} " == *' nginx-light '* ]]; then
  units+=(nginx.service)
fi
if [[ " ${missing[*]} " == *' ejabberd '* ]] && ! is_installed erlang-base; then
  units+=(epmd.socket epmd.service)
fi
epmd_before=$(epmd_ids)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
deny_starts

# needrestart, where it is installed, would restart services.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
options=(--quiet --option DPkg::Lock::Timeout=300)
say 'apt-get update'
apt-get "${options[@]}" update </dev/null 9<&- || say 'going on with the package lists that are here'
say "apt-get install --no-install-recommends ${missing[*]}"
apt-get "${options[@]}" --yes install --no-install-recommends "${missing[@]}" </dev/null 9<&-
keep_from_boot "${units[@]}"

installed=("${missing[@]}")
find_missing
if [ ${#missing[@]} -ne 0 ]; then
  fail "apt-get has ended, but this is still missing: ${missing[*]}"
fi
say "installed ${installed[*]}; no service was started"
