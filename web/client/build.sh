#!/bin/sh
# Makes the types from the printed schema, checks everything against them, and leaves plain JavaScript in build/. Does
# nothing where that stands already.
set -eu
cd "$(dirname "$0")"
want=$(find src examples ./*.js* build.sh ../../schema/schema.graphql -type f -print | LC_ALL=C sort | xargs cksum | cksum)
if [ "$want" = "$(cat build/.stamp 2>/dev/null || true)" ]; then exit 0; fi

packages=$(cksum <package-lock.json)
if [ "$packages" != "$(cat node_modules/.slotwire-packages 2>/dev/null || true)" ]; then
    npm ci --no-audit --no-fund || exit 3
    echo "$packages" >node_modules/.slotwire-packages
fi
rm -rf build generated
npm run build
echo "$want" >build/.stamp
