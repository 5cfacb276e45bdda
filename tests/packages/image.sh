#!/bin/bash
# Run an image as a container engine would: image.sh LAYOUT:TAG
#
# Read-only root, no capabilities, user 65532, a directory mounted at /etc/pgseal. By crun or runc where the kernel lets
# them, otherwise in a chroot as the same user.
set -eu
image=$1
work=$(mktemp -d)
id=pgseal-test-$$
runtime=''
gate=''
end() {
    [ -z "$runtime" ] || $runtime delete --force $id 2>/dev/null || true
    [ -z "$gate" ] || kill "$gate" 2>/dev/null || true
    umount "$work/bundle/rootfs/etc/pgseal" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
umoci unpack --image "$image" "$work/bundle"
mkdir -m 700 "$work/gate"
chown 65532:65532 "$work/gate"

# The bundle's configuration, with one program: configure ARGUMENT...
configure() {
    python3 - "$work" "$@" <<'PYTHON'
import json
import sys

work, *args = sys.argv[1:]
path = f"{work}/bundle/config.json"
with open(path, encoding="utf-8") as file:
    config = json.load(file)
process = config["process"]
assert process["user"] == {"uid": 65532, "gid": 65532} or (process["user"]["uid"], process["user"]["gid"]) == (65532, 65532)
process.update(args=args, terminal=False, noNewPrivileges=True)
process["capabilities"] = {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}
config["root"]["readonly"] = True
config["mounts"] = [m for m in config["mounts"] if m["destination"] != "/etc/pgseal" and m["type"] != "cgroup"]
config["mounts"].append({"destination": "/etc/pgseal", "type": "bind", "source": f"{work}/gate", "options": ["rbind", "rw"]})
config["linux"].pop("resources", None)
config["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
with open(path, "w", encoding="utf-8") as file:
    json.dump(config, file)
PYTHON
}

for candidate in crun runc; do
    command -v $candidate >/dev/null || continue
    configure /usr/bin/pgseal --version
    if $candidate run --bundle "$work/bundle" $id >"$work/version" 2>"$work/why"; then
        runtime=$candidate
        break
    fi
    echo "image: $candidate cannot run here: $(tail -n 1 "$work/why")"
    $candidate delete --force $id 2>/dev/null || true
done

if [ -n "$runtime" ]; then
    echo "image: run by $runtime"
    grep -q '^pgseal ' "$work/version"
    configure /usr/bin/pgseal init /etc/pgseal --host localhost
    $runtime run --bundle "$work/bundle" $id >/dev/null
    configure /usr/bin/pgseal serve -D /etc/pgseal
    $runtime run --bundle "$work/bundle" $id >"$work/log" 2>&1 &
    gate=$!
    inside() {
        $runtime exec $id "$@"
    }
else
    echo 'image: run in a chroot'
    mount --bind "$work/gate" "$work/bundle/rootfs/etc/pgseal"
    inside() {
        chroot --userspec=65532:65532 "$work/bundle/rootfs" "$@"
    }
    inside /usr/bin/pgseal init /etc/pgseal --host localhost >/dev/null
    inside /usr/bin/pgseal serve -D /etc/pgseal >"$work/log" 2>&1 &
    gate=$!
fi

tries=0
until grep -q 'ready to accept connections' "$work/log"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] && kill -0 "$gate" 2>/dev/null || { cat "$work/log" >&2; echo 'image: FAILED to start' >&2; exit 1; }
    sleep 0.1
done
# The health check: no shell, no other program.
inside /usr/bin/pgseal probe 127.0.0.1:6432 --quick >"$work/probe" || true
grep -q 'verify-full' "$work/probe" && grep -q 'TLS' "$work/probe" || { cat "$work/probe" >&2; echo 'image: FAILED health check' >&2; exit 1; }
# "pgseal upgrade" works with PID 1, too.
if [ -n "$runtime" ]; then
    inside /usr/bin/pgseal upgrade -D /etc/pgseal >"$work/upgrade" 2>&1 || true
    grep -q 'the gate runs the new program' "$work/upgrade" || { cat "$work/upgrade" "$work/log" >&2; echo 'image: FAILED upgrade' >&2; exit 1; }
    inside /usr/bin/pgseal probe 127.0.0.1:6432 --quick >"$work/probe" || true
    grep -q 'verify-full' "$work/probe" || { cat "$work/probe" >&2; echo 'image: FAILED health check after an upgrade' >&2; exit 1; }
fi
# Nothing needs a shell, and nothing was written but in the directory.
[ -z "$(find "$work/bundle/rootfs" -newer "$work/bundle/config.json" -type f -not -path '*/etc/pgseal/*' | head -n 1)" ]
# SIGTERM to PID 1 ends it.
if [ -n "$runtime" ]; then $runtime kill $id TERM; else kill -TERM "$gate"; fi
status=0
wait "$gate" || status=$?
gate=''
[ $status -eq 0 ] || { cat "$work/log" >&2; echo "image: FAILED, serve ended with $status" >&2; exit 1; }
