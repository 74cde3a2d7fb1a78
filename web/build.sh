#!/bin/sh
# Builds GraphiQL into web/graphiql/dist, when its sources changed since the last build.
set -eu
cd "$(dirname "$0")/graphiql"

fingerprint() {
    find . ../home/api.js ../home/fill.js ../home/places.js ../home/favicon.svg \( -name node_modules -o -name dist \) -prune -o -type f -print | LC_ALL=C sort | xargs cksum | cksum
}

want=$(fingerprint)
if [ "$want" = "$(cat dist/.stamp 2>/dev/null || true)" ]; then
    exit 0
fi

for tool in node npm; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "GraphiQL needs $tool to be built: install Node.js 20.19 or later, then run 'make web'." >&2
        exit 3
    fi
done
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
    echo "GraphiQL needs Node.js 20.19 or later to be built, and this is $(node --version)." >&2
    exit 3
fi

# Built aside and moved into place: a build that fails or is stopped leaves the last good one standing.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM # By a signal some shells, Debian's among them, end without EXIT.
aside=node_modules/.slotwire-build
if ! { npm ci --no-audit --no-fund && npm run build -- "$aside"; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "GraphiQL could not be built." >&2
    exit 1
fi
echo "$want" >"$aside/.stamp"
rm -rf dist
mv "$aside" dist
