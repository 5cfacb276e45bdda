#!/bin/bash
# An OCI image without a daemon: tools/image.sh [--test]
#
# Installs the package of build-deb/trixie (tools/deb.sh trixie) and what it depends on into a root file system of its own,
# and writes build-image/pgseal (an OCI layout, tag = version) and build-image/pgseal.spdx.json (what is in it). The same
# package and archive make the same bytes. The image runs as 65532:65532, needs no shell, and writes nothing but what is
# mounted. --test: made twice and compared, then run.
#
# Exit status 77: it cannot be made on this machine, and the reason was printed.
set -eu
tree=$(cd "$(dirname "$0")/.." && pwd)
out=$tree/build-image
suite=trixie

cannot() {
    echo "image: SKIPPED, $*" >&2
    exit 77
}
[ "$(id -u)" -eq 0 ] || cannot "only root can make a root file system"
for program in mmdebstrap umoci; do
    command -v $program >/dev/null || cannot "$program is not installed"
done
. "$tree/tools/chroot.sh"
chroot_needs $suite

package=$(ls "$tree"/build-deb/$suite/pgseal_*.deb 2>/dev/null | tail -n 1)
[ -n "$package" ] || cannot "there is no package: make deb DEB_ARGS=$suite"
version=$(dpkg-deb -f "$package" Version)
# The tag is the version of the program, as in dist/kubernetes.
tag=${version%-*}
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# The names of what a package depends on, the first of alternatives. Accounts and directories are made by the small
# programs of systemd, not by systemd.
depends() {
    dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g; s/^systemd.*//' | sort -u | tr '\n' ','
}

# $1: the archive to make. The account has a number that is the same everywhere, for fsGroup and volumes.
make_root() {
    local debian
    debian=$(chroot_mirror Debian)
    [ -n "$debian" ] || cannot "apt has no mirror of Debian here"
    mmdebstrap --quiet --variant=essential --format=tar --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$(depends "$package")ca-certificates,libcurl4t64,systemd-standalone-sysusers,systemd-standalone-tmpfiles" \
        --essential-hook='mkdir -p "$1/etc/sysusers.d"; echo "u pgseal 65532 \"TLS gate for PostgreSQL\" /etc/pgseal" >"$1/etc/sysusers.d/pgseal.conf"' \
        --customize-hook="upload '$package' /pgseal.deb" \
        --customize-hook='chroot "$1" dpkg -i /pgseal.deb && rm "$1/pgseal.deb"' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/etc/hostname "$1"/etc/resolv.conf \
            "$1"/etc/machine-id "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/etc/apt/apt.conf.d/99* \
            "$1"/var/lib/dpkg/*-old "$1"/var/lib/systemd' \
        --customize-hook="download /var/lib/dpkg/status '$1.status'" \
        $suite "$1" "$debian" >&2
}

# $1: the OCI layout to make, $2: the archive.
make_image() {
    rm -rf "$1"
    umoci init --layout "$1"
    umoci new --image "$1:$tag"
    umoci raw add-layer --image "$1:$tag" --history.created="$created" --history.created_by='tools/image.sh' "$2"
    umoci config --image "$1:$tag" --no-history --created="$created" \
        --config.user=65532:65532 --config.workingdir=/etc/pgseal --config.entrypoint=/usr/bin/pgseal \
        --config.cmd=serve --config.cmd=-D --config.cmd=/etc/pgseal \
        --config.exposedports=6432/tcp --config.stopsignal=SIGTERM \
        --config.label=org.opencontainers.image.title=pgseal --config.label=org.opencontainers.image.version="$version" \
        --config.label=org.opencontainers.image.licenses=PostgreSQL
    umoci gc --layout "$1"
}

make_all() {
    mkdir -p "$1"
    make_root "$1/root.tar"
    make_image "$1/pgseal" "$1/root.tar"
    "$tree/tools/spdx.py" "$1/root.tar.status" pgseal "$version" "$created" >"$1/pgseal.spdx.json"
    rm "$1/root.tar.status"
}

rm -rf "$out"
make_all "$out"
echo "image: $out/pgseal:$tag, $(du -sh "$out/pgseal" | cut -f1), $(grep -c '"SPDXID": "SPDXRef-Package-' "$out/pgseal.spdx.json") packages"
[ "${1:-}" = --test ] || exit 0

echo 'image: once more'
make_all "$out/again"
for what in root.tar pgseal.spdx.json; do
    cmp "$out/$what" "$out/again/$what"
done
diff -r "$out/pgseal" "$out/again/pgseal"
echo 'image: the same bytes'
rm -rf "$out/again"
"$tree/tests/packages/image.sh" "$out/pgseal:$tag"
echo 'image: clean'
