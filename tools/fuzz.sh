#!/bin/bash
# Run every fuzz target of one build directory for some seconds each: tools/fuzz.sh BUILD SECONDS
#
# New inputs are collected in BUILD/corpus, the corpora in the tree are only read. Exit status 1 if any crashed.
set -u
build=$(cd "$1" && pwd)
seconds=$2
cd "$(dirname "$0")/.." || exit 3
failed=0
count=0
for target in "$build"/tests/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=$(basename "$target")
    name=${name#fuzz_}
    mkdir -p "$build/corpus/$name" "$build/crashes"
    seeds=tests/fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=''
    echo "fuzz: $name for ${seconds} s"
    # shellcheck disable=SC2086 # no seeds: no argument
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" $seeds || {
        echo "fuzz: $name FAILED" >&2
        failed=1
    }
    count=$((count + 1))
done
if [ $count -eq 0 ]; then
    echo "fuzz: no targets in $build/tests/fuzz" >&2
    exit 1
fi
echo "fuzz: $count targets, $([ $failed -eq 0 ] && echo 'no crash' || echo 'CRASHES, see above')"
exit $failed
