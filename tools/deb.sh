#!/bin/bash
# Debian packages: tools/deb.sh [--test] [SUITE...]
#
# Builds the packages of this tree for each SUITE (bookworm and trixie) in a clean chroot, runs lintian on them, and puts
# them into build-deb/SUITE. --test: then a machine with that Debian is booted in namespaces of its own, and the packages
# are installed, started, reloaded, restarted, upgraded, removed and purged there; autopkgtest is run, too.
#
# The chroots lie in $PGSEAL_DEB (/var/tmp/pgseal-deb), for the next run. What is done to them goes into a layer above, which is
# thrown away. Exit status 77: they cannot be made on this machine, and the reason was printed.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
folder=${PGSEAL_DEB:-/var/tmp/pgseal-deb}
out=$tree/build-deb

cannot() {
    echo "deb: SKIPPED, $*" >&2
    exit 77
}
test=no
if [ "${1:-}" = --test ]; then
    test=yes
    shift
fi
[ $# -gt 0 ] || set -- bookworm trixie
. "$tree/tools/chroot.sh"

version=$(sed -n "s/^  version: '\(.*\)',/\1/p" "$tree/meson.build")
packaged=$(sed -n '1s/^pgseal (\(.*\)-[^-]*) .*/\1/p' "$tree/debian/changelog")
[ "$version" = "$packaged" ] || {
    echo "deb: meson.build says $version, debian/changelog $packaged" >&2
    exit 1
}

# A chroot that has what the file $3 lists, made once. $1: its name, $2: suite, $4: a shell command that installs it.
base() {
    local root=$folder/$2/$1
    [ -d "$root" ] || {
        echo "deb: making $root"
        chroot_make "$root" "$2" minbase ca-certificates
    }
    cmp -s "$3" "$root.has" || {
        mkdir -p "$root/src"
        cp "$3" "$root/src/control"
        chroot_run "$root" "apt-get -qq update && $4 && apt-get clean" >"$root.log" 2>&1 || {
            tail -n 20 "$root.log" >&2
            exit 1
        }
        cp "$3" "$root.has"
    }
}

# Run $3 in a layer above the chroot $1, whose /src/out is the folder $2. Nothing else is left of it.
layer() {
    local top
    top=$(mktemp -d "$folder/layer.XXXXXX")
    mkdir "$top/upper" "$top/work" "$top/root"
    local status=0
    unshare --mount /bin/bash -c '
        set -eu
        mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
        mkdir -p "$2/root/src/out"
        mount --bind "$3" "$2/root/src/out"
        . "$5/tools/chroot.sh"
        chroot_run "$2/root" "$4"' layer "$1" "$top" "$2" "$3" "$tree" || status=$?
    rm -rf "$top"
    return $status
}

build() {
    local suite=$1
    base build "$suite" "$tree/debian/control" \
        'apt-get -qq -y install --no-install-recommends build-essential fakeroot &&
         mkdir -p /src/c/debian && cp /src/control /src/c/debian/ && cd /src/c && apt-get -qq -y build-dep --no-install-recommends ./'
    rm -rf "${out:?}/$suite"
    mkdir -p "$out/$suite/source"
    chroot_tree "$tree" "$out/$suite/source/pgseal-$version"
    echo "deb: building for $suite"
    # The time of the last change, so that the same tree makes the same packages.
    layer "$folder/$suite/build" "$out/$suite" "
        mkdir -p /build && cp -a /src/out/source/pgseal-$version /build/ && cd /build/pgseal-$version &&
        dpkg-buildpackage -us -uc -b && cp ../*.deb ../*.buildinfo ../*.changes /src/out/" >"$out/$suite/build.log" 2>&1 || {
        tail -n 40 "$out/$suite/build.log" >&2
        echo "deb: FAILED for $suite" >&2
        return 1
    }
    ls "$out/$suite"/*.deb
}

check() {
    local suite=$1
    printf '%s\n' 'lintian autopkgtest postgresql systemd-sysv dbus openssl procps' | cat - "$tree/debian/control" >"$out/$suite/wants"
    base test "$suite" "$out/$suite/wants" \
        "apt-get -qq -y install --no-install-recommends lintian autopkgtest postgresql systemd systemd-sysv dbus openssl procps &&
         apt-get -qq -y satisfy --no-install-recommends '$(dpkg-deb -f "$out/$suite"/pgseal_*.deb Depends)' &&
         (apt-get -qq -y install --no-install-recommends libcurl4t64 || apt-get -qq -y install --no-install-recommends libcurl4)"
    echo "deb: lintian, $suite"
    layer "$folder/$suite/test" "$out/$suite" \
        'lintian --fail-on error,warning --profile debian --allow-root /src/out/*.changes'
    echo "deb: autopkgtest, $suite"
    layer "$folder/$suite/test" "$out/$suite" \
        "rm /usr/sbin/policy-rc.d; autopkgtest -B /src/out/source/pgseal-$version /src/out/pgseal_*.deb -- null" \
        >"$out/$suite/autopkgtest.log" 2>&1 || {
        tail -n 40 "$out/$suite/autopkgtest.log" >&2
        return 1
    }
    # Exit status 0 means that something passed; that all did is said in its table.
    local name
    for name in $(sed -n 's/^Tests: //p' "$tree/debian/tests/control"); do
        grep -E "^$name +PASS" "$out/$suite/autopkgtest.log" || {
            tail -n 40 "$out/$suite/autopkgtest.log" >&2
            return 1
        }
    done
    echo "deb: a machine with $suite"
    "$tree/tests/packages/boot.sh" "$folder/$suite/test" "$out/$suite" "$tree/tests/packages/life.sh"
}

chroot_needs "$1"
mkdir -p "$folder" "$out"
exec 9>"$folder/lock"
flock 9
for suite in "$@"; do
    build "$suite"
    [ $test = no ] || check "$suite"
done
echo 'deb: clean'
