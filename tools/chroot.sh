# Folders with a Debian of their own, for scripts that source this: tools/debian13.sh, tools/deb.sh.
#
# The caller has `set -eu` and defines `cannot`, which prints its arguments as the reason and exits.

# What making and entering such a folder needs. $1: the suite.
chroot_needs() {
    [ "$(id -u)" -eq 0 ] || cannot "only root can make and enter a folder with a Debian of its own"
    command -v debootstrap >/dev/null || cannot "debootstrap is not installed"
    [ -e "/usr/share/debootstrap/scripts/$1" ] || cannot "this debootstrap does not know $1"
    unshare --mount --pid --fork true 2>/dev/null || cannot "this machine allows no namespaces"
}

# The address that apt has for an archive of Debian's, by the label in the archive's own Release file. $1: the label.
chroot_mirror() {
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 2>/dev/null |
        sed -n "s,^Debian/$1 ,,p" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'
}

# Make the folder $1 with the suite $2, of debootstrap's variant $3, with the packages $4 (comma-separated).
chroot_make() {
    local root=$1 suite=$2 debian security log=$1.log
    debian=$(chroot_mirror Debian)
    if [ -z "$debian" ]; then
        apt-get -qq update </dev/null >/dev/null 2>&1 || true
        debian=$(chroot_mirror Debian)
    fi
    [ -n "$debian" ] || cannot "apt has no mirror of Debian here"
    security=$(chroot_mirror Debian-Security)
    rm -rf "$root.new"
    mkdir -p "$(dirname "$root")"
    debootstrap --variant="$3" --include="$4" "$suite" "$root.new" "$debian" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        cannot "debootstrap failed, see above"
    }
    {
        echo "deb $debian $suite main"
        echo "deb $debian $suite-updates main"
        [ -z "$security" ] || echo "deb $security $suite-security main"
    } >"$root.new/etc/apt/sources.list"
    apt-config dump | grep -i '^Acquire::[a-z]*::proxy' >"$root.new/etc/apt/apt.conf.d/99machine" || true
    # Packages bring servers; whoever wants one starts it.
    printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d"
    chmod 755 "$root.new/usr/sbin/policy-rc.d"
    rm -rf "$root"
    mv "$root.new" "$root"
}

# Run the shell command $2 in the folder $1, with processes and mounts that end with it.
chroot_run() {
    cp /etc/resolv.conf /etc/hosts "$1/etc/"
    unshare --mount --pid --fork --kill-child /bin/sh -c '
        mount --rbind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" &&
            mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" &&
            exec nice chroot "$0" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb ${CI:+CI="$CI"} \
                PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                CCACHE_DIR=/var/cache/ccache DEBIAN_FRONTEND=noninteractive /bin/sh -c "$1"' "$1" "$2" </dev/null 9>&-
}

# Copy what git has of the tree $1, and what is new there, to the folder $2. A tree without git is that of a release.
chroot_tree() {
    rm -rf "$2"
    mkdir -p "$2"
    (cd "$1" && if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard
    else
        find . -mindepth 1 -maxdepth 1 ! -name 'build*' -print0
    fi | tar --null -c -f - --files-from=- --ignore-failed-read 2>/dev/null) | tar -x -f - -C "$2" --no-same-owner
}
