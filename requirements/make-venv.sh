#!/bin/sh
# Makes the virtual environment $1 with the machine's Python 3.11 or newer, or says what is missing.
set -eu

# The machine's own python3 first: its venv package and any wheels kept at hand are made for it.
candidates='python3 python3.13 python3.12 python3.11'
# The pins are known to hold on 3.11 to 3.13; a newer one is taken only where there is none of these.
known='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
newer='import sys; sys.exit(not (3, 11) <= sys.version_info)'

python=
for test in "$known" "$newer"; do
    for candidate in $candidates; do
        if [ -z "$python" ] && "$candidate" -c "$test" >/dev/null 2>&1; then
            python=$candidate
        fi
    done
done
if [ -z "$python" ]; then
    echo "sfumato needs Python 3.11, 3.12 or 3.13, and none of these is one: $candidates." >&2
    echo "  On Debian or Ubuntu: sudo apt install python3 python3-venv" >&2
    exit 2
fi

rm -rf "$1"
if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    exec "$python" -m venv "$1"
fi
# Debian keeps ensurepip in a package of its own; a pip that is there already can do the same work.
if "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip "$1" &&
    "$python" -m pip --python "$1/bin/python" install --quiet pip; then
    exit 0
fi
rm -rf "$1"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
echo "$python cannot make a virtual environment: its venv package is missing." >&2
echo "  On Debian or Ubuntu: sudo apt install python$version-venv   (then run make again)" >&2
exit 2
