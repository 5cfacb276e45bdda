#!/bin/sh
# The tree looks as clang-format prints it. Without clang-format-14 the test is skipped, and says so.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v clang-format-14 >/dev/null; then
    echo "format: SKIPPED, clang-format-14 is not installed"
    exit 77
fi
find src tests tools bench -name build -prune -o -name node_modules -prune -o -name '*.[ch]' -print 2>/dev/null |
    xargs clang-format-14 --dry-run -Werror
status=$?
[ $status -eq 0 ] && echo "format: 0 complaint(s)"
exit $status
