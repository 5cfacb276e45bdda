#!/bin/bash
# Run every test of one build directory: tools/check.sh BUILD [pytest arguments]
#
# Exit status 0 only if both runners were content. pytest comes last, so the last line printed is its totals.
set -u
build=$1
shift
cd "$(dirname "$0")/.." || exit 3
python=${PYTHON:-/usr/bin/python3}

meson test -C "$build" --print-errorlogs
unit=$?
[ $unit -eq 0 ] || echo "check: meson test FAILED (exit $unit); the integration tests run nevertheless" >&2

# Tests wait more than they work, so there are two workers a core; a file stays on one worker, so its servers are
# started once.
"$python" -m pytest tests/integration --build "$build" -n "${PGSEAL_CHECK_JOBS:-$((2 * $(nproc)))}" --dist loadfile \
    -p no:cacheprovider -q --tb=short -rs "$@"
integration=$?

[ $unit -eq 0 ] && [ $integration -eq 0 ]
