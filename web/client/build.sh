#!/bin/sh
# Makes the types from the printed schema, checks everything against them, and leaves plain JavaScript in build/.
set -eu
cd "$(dirname "$0")"
want=$(cksum <package-lock.json)
if [ "$want" != "$(cat node_modules/.slotwire-packages 2>/dev/null || true)" ]; then
    npm ci --no-audit --no-fund || exit 3
    echo "$want" >node_modules/.slotwire-packages
fi
rm -rf build generated
npm run build
