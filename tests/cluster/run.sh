#!/bin/bash
# The tests of real clusters, in namespaces of their own: nothing of them is seen outside, and nothing survives them.
# tests/cluster/run.sh BUILD [PYTEST ARGUMENT]...
set -eu
cd "$(dirname "$0")/../.."
build=$1
shift
[ "$(id -u)" -eq 0 ] || { echo "cluster: network namespaces need root" >&2; exit 1; }
export PGSEAL_PROGRAM=$PWD/$build/pgseal
exec unshare --net --mount --pid --fork --kill-child --mount-proc bash -c '
    set -e
    mount --make-rprivate /
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    set +e
    "$@"        # not exec: a shell as PID 1 reaps orphans, and Patroni waits for a postmaster that is one
    exit $?' bash "${PYTHON:-/usr/bin/python3}" -m pytest tests/cluster -q -rP -p no:cacheprovider \
    --tb=short "$@"
