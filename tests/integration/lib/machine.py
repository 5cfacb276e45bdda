"""
A Debian of its own for a page of the manual that is for root: /etc, /var/lib/postgresql, network and processes are not
those of the machine that the tests run on, and end with the test. The cluster is Debian's, as pg_createcluster makes it.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

from . import howto, run

# What the units of pgseal and PostgreSQL do, for a machine that systemd does not run.
SYSTEMCTL = r"""#!/bin/bash
set -eu
log=/var/log/pgseal.log
cluster=$(basename /etc/postgresql/*)
start() {
    mark=$(stat -c %s $log 2>/dev/null || echo 0)
    setsid runuser -u pgseal -- pgseal serve -D /etc/pgseal >>$log 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
    gate=$!
    until tail -c +$((mark + 1)) $log | grep -q 'ready to accept connections'; do
        kill -0 $gate || { tail -c +$((mark + 1)) $log >&2; exit 1; }
        read -rt 0.02 <> <(:) || :
    done
}
stop() {
    pid=$(cat /etc/pgseal/pgseal.lock)
    kill -"$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do read -rt 0.02 <> <(:) || :; done
}
case "$*" in
'start pgseal' | 'enable --now pgseal') start ;;
'restart pgseal') stop INT; start ;;
'stop pgseal') stop TERM ;;
'reload pgseal') pgseal reload -D /etc/pgseal ;;
'restart billing') billing ;;      # an application, where a page has one
'start postgresql' | 'reload postgresql' | 'restart postgresql' | 'stop postgresql')
    pg_ctlcluster --skip-systemctl-redirect "$cluster" main "$1" >/dev/null ;;
*) echo "systemctl: $*: not a unit of this machine" >&2; exit 1 ;;
esac
"""

SETUP = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir -p "$1/up" "$1/work" "$1/bin"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/up,workdir=$1/work" /etc
for directory in /var/lib/postgresql /var/log /run; do mount -t tmpfs -o mode=755 tmpfs $directory; done
mkdir -p /run/lock /run/postgresql /var/log/postgresql /etc/pgseal
rm -rf /etc/postgresql/*
id pgseal >/dev/null 2>&1 || { echo 'pgseal:x:990:990::/etc/pgseal:/usr/sbin/nologin' >>/etc/passwd; echo 'pgseal:x:990:' >>/etc/group; }
chown postgres:postgres /etc/postgresql /var/lib/postgresql /run/postgresql /var/log/postgresql
chown pgseal:pgseal /etc/pgseal
chmod 2775 /run/postgresql
printf '127.0.0.1 localhost\n192.0.2.10 db.example.com gate.example.com\n' >/etc/hosts
ip link set lo up
mkdir -p /run/netns
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip -n client addr add 192.0.2.20/24 dev eth0
ip -n client link set eth0 up
ip -n client link set lo up
echo ready
exec sleep infinity
"""


# Who names db.example.com or gate.example.com connects from another machine.
PSQL = r"""#!/bin/sh
case "$*" in
*host=db.example.com* | *host=gate.example.com*) exec nsenter --net=/run/netns/client /usr/bin/psql "$@" ;;
esac
exec /usr/bin/psql "$@"
"""


class Machine:
    """`around` runs a command there; `log` is the gate's."""

    def __init__(self, directory, program):
        self.dir = str(directory)
        self.program = program
        self.said = ""
        os.makedirs(f"{self.dir}/layer", exist_ok=True)
        os.chmod(self.dir, 0o755)
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                                         "bash", "-c", SETUP, "setup", f"{self.dir}/layer"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline() == "ready\n"
        if self.ready:
            inner = run.children(self.process.pid)[0]
            self.around = ["nsenter", "-t", str(inner), "-m", "-n", "-p"]
            self.write("systemctl", SYSTEMCTL)
            self.write("psql", PSQL)
            self.write("python3", '#!/bin/sh\nexec /usr/bin/python3 "$@"\n')     # the one with Debian's modules

    def write(self, name, text):
        """A program that stands in front of the system's."""
        path = f"/proc/{run.children(self.process.pid)[0]}/root{self.dir}/layer/bin/{name}"
        pathlib.Path(path).write_text(text, encoding="utf-8")
        os.chmod(path, 0o755)

    def path(self):
        return f"{self.dir}/layer/bin:{os.path.dirname(self.program)}:{os.environ['PATH']}:/usr/sbin:/sbin"

    def sh(self, script, check=True, **env):
        done = subprocess.run([*self.around, "bash", "-c", f"set -e\ncd {self.dir}\n{script}"], text=True, capture_output=True,
                              env={**os.environ, "PATH": self.path(), **env}, timeout=120, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def follow(self, page, before="", directory=None, **env):
        """A page of docs/, word for word; the logs of a page that fails."""
        directory = directory or self.dir
        try:
            return howto.follow(page, self.program, directory, around=(*self.around, "bash", "-c"),
                                before=f"cd {directory}\n{before}", **{"PATH": self.path(), "HOME": f"{self.dir}/layer", **env})
        except AssertionError as e:
            logs = self.sh("tail -n 40 /var/log/pgseal.log /var/log/postgresql/*", check=False).stdout
            raise AssertionError(f"{e}\n{logs}") from e

    def stop(self):
        self.process.kill()
        self.said = self.process.communicate()[1].strip()


CLUSTER = r"""
pg_createcluster "$1" main --start-conf manual -- --no-sync >/dev/null
printf 'fsync = off\nshared_buffers = 16MB\nmax_connections = 40\n' >/etc/postgresql/$1/main/conf.d/test.conf
mkdir template
cp -a /etc/postgresql template/etc
cp -a /var/lib/postgresql template/lib
"""


class Machines:
    """Machines with Debian's cluster 15/main (or what this Debian has), which the first one makes."""

    def __init__(self, directory, program, version):
        self.dir, self.program, self.version = str(directory), program, version
        self.made = []

    def new(self):
        machine = Machine(f"{self.dir}/m{len(self.made)}", self.program)
        self.made.append(machine)
        if not machine.ready:
            machine.stop()
            pytest.skip(f"a Debian of its own takes namespaces and overlayfs: {machine.said}")
        return machine

    def debian(self):
        """With a cluster that runs."""
        if not os.path.exists(f"{self.dir}/template"):
            first = self.new()
            first.sh(f"set -- {self.version}\n{CLUSTER}")
            shutil.move(f"{first.dir}/template", f"{self.dir}/template")
            first.stop()
        machine = self.new()
        machine.sh(f"cp -a {self.dir}/template/etc/. /etc/postgresql/\ncp -a {self.dir}/template/lib/. /var/lib/postgresql/\n"
                   "systemctl start postgresql")
        return machine

    def stop(self):
        for machine in self.made:
            machine.stop()
