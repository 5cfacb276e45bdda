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

[ "$(id -u)" -eq 0 ] || cannot "only root can make and enter a folder with a Debian 13"
command -v debootstrap >/dev/null || cannot "debootstrap is not installed"
[ -e /usr/share/debootstrap/scripts/trixie ] || cannot "this debootstrap does not know Debian 13"
unshare --mount --pid --fork true 2>/dev/null || cannot "this machine allows no namespaces"

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9

# The address that apt has for an archive of Debian's, by the label in the archive's own Release file.
mirror() {
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 2>/dev/null |
        sed -n "s,^Debian/$1 ,,p" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'
}

# Everything that runs in the folder. $1: a shell command.
inside() {
    unshare --mount --pid --fork --kill-child /bin/sh -c '
        mount --rbind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" &&
            mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" &&
            exec nice chroot "$0" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb ${CI:+CI="$CI"} \
                PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                CCACHE_DIR=/var/cache/ccache DEBIAN_FRONTEND=noninteractive /bin/sh -c "cd /src/pgseal && { $1
}"' "$root" "$1" </dev/null 9>&-
}

make_root() {
    local debian security log=$folder/debootstrap.log
    debian=$(mirror Debian)
    if [ -z "$debian" ]; then
        apt-get -qq update </dev/null >/dev/null 2>&1 || true
        debian=$(mirror Debian)
    fi
    [ -n "$debian" ] || cannot "apt has no mirror of Debian here"
    security=$(mirror Debian-Security)
    echo "debian13: making $root"
    rm -rf "$root.new"
    debootstrap --variant=minbase --include=ca-certificates,make,ccache trixie "$root.new" "$debian" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        cannot "debootstrap failed, see above"
    }
    {
        echo "deb $debian trixie main"
        echo "deb $debian trixie-updates main"
        [ -z "$security" ] || echo "deb $security trixie-security main"
    } >"$root.new/etc/apt/sources.list"
    apt-config dump | grep -i '^Acquire::[a-z]*::proxy' >"$root.new/etc/apt/apt.conf.d/99machine" || true
    # Packages bring servers; the tests start their own.
    printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d"
    chmod 755 "$root.new/usr/sbin/policy-rc.d"
    rm -rf "$root"
    mv "$root.new" "$root"
}

[ -d "$root" ] || make_root
cp /etc/resolv.conf /etc/hosts "$root/etc/"
find "$root/tmp" -mindepth 1 -delete
rm -rf "$root/src/pgseal"
mkdir -p "$root/src/pgseal"
cd "$tree"
git ls-files -z --cached --others --exclude-standard | tar --null -c -f - --files-from=- --ignore-failed-read 2>/dev/null |
    tar -x -f - -C "$root/src/pgseal" --no-same-owner
# This machine's npm knows its way to a registry, and what certificates that takes.
tools/npm.sh build
if [ -e build/npm/installed-lock.json ]; then
    mkdir -p "$root/src/pgseal/build"
    cp -a build/npm "$root/src/pgseal/build/npm"
fi
status=0
inside "$what" || status=$?
find "$root/tmp" -mindepth 1 -delete
[ $status -eq 0 ] || echo "debian13: FAILED on Debian $(cat "$root/etc/debian_version"), exit status $status" >&2
[ $status -ne 77 ] || status=1
exit $status
