#!/bin/bash
# The README's two commands on a Debian 13: tools/debian13.sh [--quick] [-- COMMAND...]
#
# Makes a Debian 13 with debootstrap in $PGSEAL_DEBIAN13 (/var/tmp/pgseal-debian13), from the mirror that this machine's
# apt uses, copies the tree into it and runs `make quickstart` and `make check` there; with --quick instead of
# the latter unit tests, lints and a few integration tests; or COMMAND. The folder is kept, with its packages and
# its compiler's cache, for the next run. What runs there has processes and mounts of its own, which end with it.
#
# Exit status 77: such a folder cannot be made on this machine, and the reason was printed.
set -eu
folder=${PGSEAL_DEBIAN13:-/var/tmp/pgseal-debian13}
root=$folder/root
tree=$(cd "$(dirname "$0")/.." && pwd)
quick=$(printf 'tests/integration/test_%s.py ' async_clients drivers listen service sslmodes tls)

cannot() {
    echo "debian13: SKIPPED, $*" >&2
    exit 77
}

what='make quickstart && make check'
case "${1:-}" in
--quick)
    what="make quickstart && make deps-check && meson test -C build --suite unit --suite lint --print-errorlogs &&
          tools/npm.sh build && python3 -m pytest $quick --build build --target=gate -q -rs -p no:cacheprovider" ;;
--)
    shift
    what=$* ;;
'') ;;
*)
    echo "usage: tools/debian13.sh [--quick] [-- COMMAND...]" >&2
    exit 2 ;;
esac

. "$tree/tools/chroot.sh"
chroot_needs trixie

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9

[ -d "$root" ] || {
    echo "debian13: making $root"
    chroot_make "$root" trixie minbase ca-certificates,make,ccache
}
find "$root/tmp" -mindepth 1 -delete
chroot_tree "$tree" "$root/src/pgseal"
cd "$tree"
# This machine's npm knows its way to a registry, and what certificates that takes.
tools/npm.sh build
if [ -e build/npm/installed-lock.json ]; then
    mkdir -p "$root/src/pgseal/build"
    cp -a build/npm "$root/src/pgseal/build/npm"
fi
status=0
chroot_run "$root" "cd /src/pgseal && { $what
}" || status=$?
find "$root/tmp" -mindepth 1 -delete
[ $status -eq 0 ] || echo "debian13: FAILED on Debian $(cat "$root/etc/debian_version"), exit status $status" >&2
[ $status -ne 77 ] || status=1
exit $status
