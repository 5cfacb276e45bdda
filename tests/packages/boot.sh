#!/bin/bash
# Boot systemd in a chroot and run a script there: boot.sh ROOT FILES SCRIPT
#
# ROOT is not changed: a layer in memory lies above it, and FILES is /src/out there. The machine has a network of its own
# with nothing but a loopback, its own processes, and cgroups of its own. It ends with the script, whose status is returned.
set -eu
root=$1 files=$2 script=$3
work=$(mktemp -d)
machine=''
end() {
    [ -z "$machine" ] || kill -KILL "$machine" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --net /bin/bash -c '
    set -eu
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
    cd "$1/root"
    mkdir -p src/out
    mount --bind "$3" src/out
    cp "$4" src/script
    rm -f usr/sbin/policy-rc.d etc/resolv.conf
    echo machine >etc/hostname
    echo "127.0.0.1 localhost machine" >etc/hosts
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    # Nodes of its own: systemd changes the mode of its console.
    mknod -m 666 dev/null c 1 3
    mknod -m 666 dev/zero c 1 5
    mknod -m 666 dev/full c 1 7
    mknod -m 666 dev/random c 1 8
    mknod -m 666 dev/urandom c 1 9
    mknod -m 666 dev/tty c 5 0
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs tmpfs dev/shm
    ip link set lo up
    for unit in systemd-modules-load console-getty systemd-resolved systemd-networkd systemd-timesyncd; do
        ln -sf /dev/null "etc/systemd/system/$unit.service"
    done
    exec chroot . /usr/bin/env -i container=other /lib/systemd/systemd --unit=multi-user.target
' boot "$work" "$root" "$files" "$script" </dev/null &
outer=$!

tries=0
until machine=$(pgrep -P "$outer" -x systemd) && [ -n "$machine" ] &&
    nsenter -t "$machine" -m -p -u -i -C -n -r -w systemctl is-active --quiet multi-user.target 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] && kill -0 "$outer" 2>/dev/null || {
        echo 'boot: the machine did not come up' >&2
        exit 1
    }
    sleep 0.2
done
status=0
nsenter -t "$machine" -m -p -u -i -C -n -r -w /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -eu /src/script </dev/null || status=$?
exit $status
