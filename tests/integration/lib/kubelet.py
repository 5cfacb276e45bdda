"""
What a kubelet and a container engine do for a pod of dist/kubernetes: volumes as kubelets write them, a read-only root, the
pod's user without capabilities, PID 1 of a namespace of its own.

The network stays the machine's. [src: Kubernetes, pkg/volume/util/atomic_writer.go, pkg/volume/volume_linux.go]
"""

import datetime
import os
import shutil
import signal
import stat
import subprocess

from . import run

PROGRAM = "/usr/bin/pgseal"     # where the image has it
SCRIPT = r"""
set -eu
root=$1 program=$2 mounts=$3
shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$root"
for at in usr lib lib64 bin sbin; do
    [ -e "/$at" ] || continue
    if [ -L "/$at" ]; then ln -s "$(readlink "/$at")" "$root/$at"; else mkdir "$root/$at"; mount --rbind -o ro "/$at" "$root/$at"; fi
done
mkdir "$root/proc" "$root/dev" "$root/etc" "$root/opt"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp "$mounts.hosts" "$root/etc/hosts"
echo 'hosts: files' >"$root/etc/nsswitch.conf"
cp /etc/ld.so.cache "$root/etc/"
touch "$root/opt/pgseal"
mount --bind "$program" "$root/opt/pgseal"
while read -r how source target; do
    if [ -d "$source" ]; then mkdir -p "$root$target"; else mkdir -p "$root${target%/*}"; touch "$root$target"; fi
    mount --bind "$source" "$root$target"
    [ "$how" = rw ] || mount -o remount,bind,ro "$root$target"
done <"$mounts"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid="$RUN_AS_USER" --regid="$RUN_AS_GROUP" --groups="$FS_GROUP" --no-new-privs --inh-caps=-all \
    --bounding-set=-all -- /opt/pgseal "$@"
"""


def write_volume(path, files, mode, group):
    """As a kubelet's AtomicWriter: a new directory, then one rename of `..data`. Files become root:group, group may read."""
    os.makedirs(path, exist_ok=True)
    now = f"..{datetime.datetime.now(datetime.timezone.utc):%Y_%m_%d_%H_%M_%S.%f}"
    os.mkdir(os.path.join(path, now), 0o755)
    for name, content in files.items():
        file = os.path.join(path, now, name)
        with open(file, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chown(file, 0, group)
        os.chmod(file, mode | 0o440)
        if not os.path.lexists(os.path.join(path, name)):
            os.symlink(f"..data/{name}", os.path.join(path, name))
    data = os.path.join(path, "..data")
    old = os.readlink(data) if os.path.lexists(data) else None
    os.symlink(now, f"{data}_tmp")
    os.rename(f"{data}_tmp", data)
    if old:
        shutil.rmtree(os.path.join(path, old))
    os.chown(path, 0, group)
    os.chmod(path, 0o777 | stat.S_ISVTX | stat.S_ISGID)


class Pod:
    """
    One container of a pod.

    spec        the pod's, as an object.
    container   its container, or init container, that runs pgseal.
    files       what ConfigMaps and Secrets hold: name -> {file: content}.
    more        further arguments.
    """

    def __init__(self, program, directory, spec, container, files, more=()):
        self.program, self.dir, self.spec, self.container, self.files = program, str(directory), spec, container, files
        self.context = {**spec["securityContext"], **container["securityContext"]}
        self.group = self.context["fsGroup"]
        self.more = list(more)
        self.log = run.Log(os.path.join(self.dir, "pod.log"))
        self.process = None
        os.makedirs(os.path.join(self.dir, "root"))
        for volume in spec["volumes"]:
            self.write(volume["name"])
        with open(os.path.join(self.dir, "mounts.hosts"), "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost postgres.database.svc pg-rw\n")

    def _volume(self, name):
        return os.path.join(self.dir, "volumes", name)

    def write(self, name):
        """Write a volume, or write it again: `files` has changed."""
        volume = next(v for v in self.spec["volumes"] if v["name"] == name)
        path = self._volume(name)
        if "emptyDir" in volume:
            os.makedirs(path)
            os.chown(path, 0, self.group)
            os.chmod(path, 0o777 | stat.S_ISGID)
            return
        content, mode = {}, 0o644
        if "configMap" in volume:
            content = self.files[volume["configMap"]["name"]]
        elif "secret" in volume:
            content, mode = self.files[volume["secret"]["secretName"]], volume["secret"]["defaultMode"]
        else:
            mode = volume["projected"]["defaultMode"]
            for source in volume["projected"]["sources"]:
                held = self.files[source["secret"]["name"]]
                content.update({item["path"]: held[item["key"]] for item in source["secret"]["items"]})
        write_volume(path, content, mode, self.group)

    def _mounts(self):
        path = os.path.join(self.dir, "mounts")
        with open(path, "w", encoding="utf-8") as f:
            for mount in self.container["volumeMounts"]:
                source = self._volume(mount["name"])
                if "subPath" in mount:
                    source = os.path.realpath(os.path.join(source, mount["subPath"]))
                f.write(f"{'ro' if mount.get('readOnly') else 'rw'} {source} {mount['mountPath']}\n")
        return path

    def spawn(self):
        context = self.context
        assert context["readOnlyRootFilesystem"] and context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"] and not context["allowPrivilegeEscalation"]
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "RUN_AS_USER": str(context["runAsUser"]),
               "RUN_AS_GROUP": str(context["runAsGroup"]), "FS_GROUP": str(context["fsGroup"])}
        with open(self.log.path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", SCRIPT, "sh",
                 os.path.join(self.dir, "root"), self.program, self._mounts(), *self.container["args"], *self.more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True)
        return self

    def start(self):
        self.spawn()

        def ready():
            assert self.process.poll() is None, f"the container ended at start:\n{self.log.text()}"
            return "ready to accept connections" in self.log.text()

        run.wait_until(ready, "the pod to be ready")
        return self

    @property
    def pid(self):
        """PID 1 of the container, as the machine sees it."""
        return run.children(self.process.pid)[0]

    def exec(self, command):
        """As a probe of kind `exec` does."""
        assert command[0] == PROGRAM
        user = ["setpriv", f"--reuid={self.context['runAsUser']}", f"--regid={self.context['runAsGroup']}", f"--groups={self.group}"]
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-r", "--", *user, "--", "/opt/pgseal", *command[1:]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=run.PATIENCE, check=False)

    def signal(self):
        """SIGTERM to PID 1."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self):
        """The same; how it ended."""
        self.signal()
        return self.process.wait(run.PATIENCE)

    def kill(self):
        if self.process and self.process.poll() is None:
            for pid in run.children(self.process.pid):      # who has changed his user does not die with unshare(1)
                os.kill(pid, signal.SIGKILL)
            self.process.wait(run.PATIENCE)
