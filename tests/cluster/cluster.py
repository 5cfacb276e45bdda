"""
A Patroni cluster of three machines, each a network namespace, with gates and HAProxy as docs/howto/patroni.md writes them:
its files are taken from the page. Needs a network, mount and PID namespace of its own (run.sh).
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from lib import pki, run            # noqa: E402  (found by the line above)

NODES = ("node1", "node2", "node3")
GATES = ("gate1", "gate2")
BALANCER = "db"
ADDRESSES = {"node1": "10.77.0.1", "node2": "10.77.0.2", "node3": "10.77.0.3", "gate1": "10.77.0.11", "gate2": "10.77.0.12",
             BALANCER: "10.77.0.21"}
HUB = "10.77.0.254"      # the clients' address
PASSWORD = "change me"
SLOW = 120               # seconds that a cluster may take to be whole again on a busy machine


def command(*argv, **how):
    done = subprocess.run(argv, text=True, capture_output=True, check=False, **how)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


class Page:
    """The files of the how-to, and its commands."""

    def __init__(self):
        text = (ROOT / "docs/howto/patroni.md").read_text(encoding="utf-8")
        self.blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)

    def file(self, title):
        found = [body for _, body in self.blocks if f"# {title}\n" in body]
        assert len(found) == 1, title
        return found[0]

    def of_kind(self, kind):
        return [body for found, body in self.blocks if found == kind]


class Machine:
    """A network namespace, and what runs there."""

    def __init__(self, cluster, name):
        self.cluster, self.name, self.address = cluster, name, ADDRESSES[name]
        self.dir = cluster.dir / name
        self.processes = {}
        for directory in (self.dir, self.dir / "run", self.dir / "gate"):
            directory.mkdir(mode=0o755)
            run.give_to_server(directory)
        command("ip", "netns", "add", name)
        command("ip", "link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        command("ip", "link", "set", f"v-{name}", "master", "hub", "up")
        for setting in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
                        ["link", "set", "lo", "up"]):
            command("ip", "-n", name, *setting)

    def log(self, what):
        return run.Log(str(self.dir / f"{what}.log"))

    def start(self, what, *argv, env=None):
        with open(self.dir / f"{what}.log", "ab") as log:
            self.processes[what] = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *run.demoted(list(argv))], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd="/", env={**os.environ, **(env or {})}, start_new_session=True)

    def kill(self, what, number=signal.SIGKILL):
        process = self.processes.pop(what)
        process.send_signal(number)
        process.wait(30)

    def localize(self, text):
        """A file of the page, written for node1 or gate1, as this machine has it."""
        lines = []
        for line in text.splitlines():
            if "hosts:" not in line and "host=" not in line and "for gate in" not in line:
                line = re.sub(r"\b(node|gate)1\b", self.name, line)
            lines.append(line)
        return self.place("\n".join(lines) + "\n")

    def place(self, text):
        """The page's paths and addresses as they are here."""
        c = self.cluster
        for there, here in (("192.0.2.21", ADDRESSES[BALANCER]),
                            ("/var/lib/postgresql/main", self.dir / "data"), ("/var/run/postgresql", self.dir / "run"),
                            ("/var/run/pgseal", self.dir / "gate"), ("/etc/patroni", c.etc)):
            text = text.replace(there, str(here))
        return text

    def write(self, path, text, mode=0o644):
        pki.write_file(str(path), text, mode)
        run.give_to_server(str(path))

    # -- its gate ----------------------------------------------------------------------------------------------
    def start_gate(self, model):
        page = self.cluster.page
        text = page.file(f"/etc/pgseal/pgseal.conf on {model}")
        if model in GATES:
            text += page.file(f"added to /etc/pgseal/pgseal.conf on {model}") + "log_connections = on\n"
            self.write(self.dir / "gate/http.token", secrets.token_hex(32), 0o600)
        self.write(self.dir / "gate/pgseal.conf", self.localize(text))
        self.write(self.dir / "gate/pg_hba.conf", self.localize(page.file(f"/etc/pgseal/pg_hba.conf on {model}")))
        self.write(self.dir / "gate/pg_ident.conf", "")
        mark = self.log("gate").mark()
        self.start("gate", self.cluster.program, "serve", "-D", str(self.dir / "gate"))
        self.log("gate").wait_for("ready to accept connections", mark)

    def kill_gate(self):
        process = self.processes.pop("gate")
        os.kill(run.gate_pid(process.pid), signal.SIGKILL)
        process.wait(30)

    @contextlib.contextmanager
    def gate_with(self, old, new):
        """Its settings with `new` for `old`, for a while."""
        path = self.dir / "gate/pgseal.conf"
        before = path.read_text(encoding="utf-8")
        assert before.count(old) == 1, before
        self.reload_gate(before.replace(old, new))
        yield
        self.reload_gate(before)

    def reload_gate(self, settings):
        mark = self.log("gate").mark()
        self.write(self.dir / "gate/pgseal.conf", settings)
        os.kill(run.gate_pid(self.processes["gate"].pid), signal.SIGHUP)
        self.log("gate").wait_for("event=reloaded", mark)

    # -- HAProxy -----------------------------------------------------------------------------------------------
    def start_balancer(self):
        path = self.dir / "haproxy.cfg"
        self.write(path, self.place(self.cluster.page.file("/etc/haproxy/haproxy.cfg on db")))
        self.start("haproxy", "haproxy", "-db", "-f", str(path))
        run.wait_until(self.accepts, "HAProxy to listen")

    def accepts(self):
        assert self.processes["haproxy"].poll() is None, self.log("haproxy").text()
        with contextlib.suppress(OSError), socket.create_connection((self.address, 5432)):
            return True
        return False

    # -- its database ------------------------------------------------------------------------------------------
    def start_etcd(self, state="new"):
        peers = ",".join(f"{n}=http://{ADDRESSES[n]}:2380" for n in NODES)
        own = f"http://{self.address}"
        self.start("etcd", "etcd", "--name", self.name, "--data-dir", str(self.dir / "etcd"),
                   "--listen-peer-urls", f"{own}:2380", "--initial-advertise-peer-urls", f"{own}:2380",
                   "--listen-client-urls", f"{own}:2379,http://127.0.0.1:2379", "--advertise-client-urls", f"{own}:2379",
                   "--initial-cluster", peers, "--initial-cluster-state", state, "--heartbeat-interval", "200",
                   "--election-timeout", "2000", "--logger", "zap")

    def start_patroni(self):
        text = self.localize(self.cluster.page.file("/etc/patroni/node1.yml"))
        # The control run comes past the gate.
        text = text.replace("listen: 127.0.0.1:5432", "listen: 0.0.0.0:5432")
        text = text.replace("  - local replication all", "  - hostssl app app all scram-sha-256\n  - local replication all")
        text = text.replace("    wal_log_hints:", f"    ssl: 'on'\n    ssl_cert_file: {self.cluster.etc}/tls/{self.name}.crt\n"
                            f"    ssl_key_file: {self.cluster.etc}/tls/{self.name}.key\n    wal_log_hints:")
        text = text.replace("local pgseal ", "local postgres ")     # the gates run as the server's account here
        seen, once = set(), []
        for line in text.splitlines():                              # ... so that some of its lines are there twice
            if line.startswith("  - local postgres ") and line in seen:
                continue
            seen.add(line)
            once.append(line)
        self.write(self.dir / "patroni.yml", "\n".join(once) + "\n")
        self.start("patroni", "patroni", str(self.dir / "patroni.yml"),
                   env={"PATH": f"{self.cluster.bin}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(self.dir),
                        "PYTHONFAULTHANDLER": "1"})

    def postmaster(self):
        with contextlib.suppress(OSError, ValueError):
            return int((self.dir / "data/postmaster.pid").read_text(encoding="ascii").split()[0])
        return None

    def kill_database(self):
        """kill -9, Patroni first: nobody starts it again, nobody says goodbye."""
        self.kill("patroni")
        pid = self.postmaster()
        if not pid or not os.path.exists(f"/proc/{pid}"):
            return
        for victim in [pid, *run.children(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        run.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the postmaster to be gone")

    def ask(self, path, timeout=2):
        """(status, body) of Patroni's REST API; (None, "") if it does not answer."""
        connection = http.client.HTTPSConnection(self.name, 8008, timeout=timeout, context=self.cluster.tls())
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None, ""
        finally:
            connection.close()

    def sql(self, statement, database="app"):
        return command(*run.demoted(["psql", "-XAtq", "-h", str(self.dir / "run"), "-p", "5432", "-U", "postgres", "-d",
                                     database, "-v", "ON_ERROR_STOP=1", "-c", statement]), cwd="/")

    def reboot(self, heal):
        """
        What a watchdog does to a primary that has lost its lock. Patroni 3.0 without one, back from a partition, may take its
        own etcd's old news for the present, and promote itself beside the new primary.
        """
        self.kill_database()
        heal()
        run.wait_until(self.cluster.etcd_is_whole, "etcd to be whole")
        self.start_patroni()

    # -- its links ---------------------------------------------------------------------------------------------
    def link(self, state):
        command("ip", "link", "set", f"v-{self.name}", state)

    def blackhole(self, verb, others=NODES):
        """Cut off from the other nodes, or from these machines, and from nobody else: it hears, and cannot answer."""
        for other in others:
            if other != self.name:
                command("ip", "-n", self.name, "route", verb, "blackhole", f"{ADDRESSES[other]}/32")


class Cluster:
    def __init__(self, program):
        self.program = program
        self.page = Page()
        self.dir = pathlib.Path(run.scratch_dir())
        self.etc = self.dir / "etc"
        self.etc.mkdir(mode=0o755)
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.make_network()
        self.make_certificates()
        recheck = self.page.file("/etc/patroni/recheck").replace("/etc/patroni", str(self.etc))
        pki.write_file(str(self.etc / "recheck"), recheck, 0o755)
        self.machines = {name: Machine(self, name) for name in (*NODES, *GATES, BALANCER)}

    def make_network(self):
        hosts = self.dir / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in ADDRESSES.items()), encoding="ascii")
        command("mount", "--bind", str(hosts), "/etc/hosts")
        command("ip", "link", "set", "lo", "up")
        command("ip", "link", "add", "hub", "type", "bridge")
        command("ip", "addr", "add", f"{HUB}/24", "dev", "hub")
        command("ip", "link", "set", "hub", "up")

    def make_certificates(self):
        script = self.page.of_kind("sh")[0]
        command("bash", "-ec", script, cwd=self.etc,
                env={**os.environ, "PATH": f"{os.path.dirname(self.program)}:{os.environ['PATH']}"})
        command("cp", "tls/gate1.key", "tls/gate1.crt", str(self.dir), cwd=self.etc)     # for the test itself
        for path in (self.etc / "tls").iterdir():
            run.give_to_server(str(path))
        os.chmod(self.etc / "tls", 0o755)

    def tls(self):
        context = ssl.create_default_context(cafile=str(self.etc / "tls/ca.crt"))
        context.load_cert_chain(str(self.dir / "gate1.crt"), str(self.dir / "gate1.key"))
        return context

    def start(self):
        nodes = [self.machines[n] for n in NODES]
        for node in nodes:
            node.start_etcd()
        for node in nodes:
            node.start_gate("node1")
        nodes[0].start_patroni()
        run.wait_until(lambda: nodes[0].ask("/primary")[0] == 200, "the first primary", SLOW)
        for statement in self.page.of_kind("sql")[0].split(";\n"):
            if statement.strip():
                nodes[0].sql(statement, "postgres")
        nodes[0].sql("CREATE TABLE writes (route text, client int, n int, PRIMARY KEY (route, client, n)); "
                     "GRANT ALL ON writes TO app")
        for node in nodes[1:]:
            node.start_patroni()
        self.wait_until_whole()
        for name in GATES:
            self.machines[name].start_gate("gate1")
        self.machines[BALANCER].start_balancer()
        return self

    def members(self):
        for name in NODES:
            status, body = self.machines[name].ask("/cluster")
            if status == 200:
                return json.loads(body)["members"]
        return []

    def is_whole(self):
        for node in (self.machines[name] for name in NODES):
            if node.processes["patroni"].poll() is not None:     # where etcd does not answer at its start, it ends: once
                node.start_patroni()                             # more, as systemd would
        members = self.members()
        leaders = [m["name"] for m in members if m["role"] == "leader"]
        if (len(leaders) != 1 or len(members) != 3 or len({m.get("timeline") for m in members}) != 1 or
                any(m["state"] not in ("running", "streaming") or m.get("lag", 0) != 0 for m in members)):
            return False
        with contextlib.suppress(AssertionError):            # it may be starting anew
            return self.machines[leaders[0]].sql("SELECT count(*) FROM pg_stat_replication "
                                                 "WHERE state = 'streaming'").strip() == "2"
        return False

    def wait_until_whole(self):
        try:
            run.wait_until(self.is_whole, "one primary and two standbys that have caught up", SLOW)
        except AssertionError:
            for name in NODES:          # each writes where it stands into its log
                with open(self.dir / name / "sockets", "wb") as out:
                    subprocess.run(["ip", "netns", "exec", name, "sh", "-c", "ss -tanpoi; ip route"], stdout=out, check=False)
                self.machines[name].kill("patroni", signal.SIGABRT)
            raise

    def primary(self, among=NODES):
        for name in among:
            if self.machines[name].ask("/primary")[0] == 200:
                return self.machines[name]
        return None

    def etcd_leader(self, among=NODES):
        """None while they have none."""
        done = subprocess.run(["etcdctl", "--endpoints", ",".join(f"{ADDRESSES[n]}:2379" for n in among), "endpoint", "status",
                               "-w", "json"], env={**os.environ, "ETCDCTL_API": "3"}, text=True, capture_output=True,
                              check=False)
        for row in json.loads(done.stdout or "[]"):
            if row["Status"]["header"]["member_id"] == row["Status"].get("leader"):
                return self.machines[next(n for n in among if f"{ADDRESSES[n]}:" in row["Endpoint"])]
        return None

    @staticmethod
    def etcd_is_whole():
        """Each member answers from the majority."""
        return subprocess.run(["etcdctl", "--endpoints", ",".join(f"{ADDRESSES[n]}:2379" for n in NODES), "endpoint", "health"],
                              env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, check=False).returncode == 0

    def switchover(self, old, new):
        command("patronictl", "-c", str(old.dir / "patroni.yml"), "switchover", "--master", old.name, "--candidate", new.name,
                "--force", env={**os.environ, "LC_ALL": "C.UTF-8"})

    def conninfo(self, route):
        tls = f"sslmode=verify-full sslrootcert={self.etc}/tls/ca.crt"
        who = f"dbname=app user=app password='{PASSWORD}' {tls}"
        many = f"host={','.join(NODES)} target_session_attrs=read-write connect_timeout=2 {who}"
        return {"direct": f"{many} port=5432", "beside": f"{many} port=6432",
                "front": f"host={','.join(GATES)} port=5432 connect_timeout=60 {who}",
                "haproxy": f"host={BALANCER} port=5432 connect_timeout=60 {who}"}[route]

    def stop(self):
        for machine in self.machines.values():
            for process in machine.processes.values():
                process.kill()
        if not os.environ.get("PGSEAL_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


# -- load -------------------------------------------------------------------------------------------------------
ROUTES = ("direct", "beside", "front", "haproxy")
CLIENTS = 4


def longest(times):
    return max(b - a for a, b in zip(times, times[1:]))


class Load:
    """Writers over every route at once, so that each event is the same for all of them."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.paths = {route: cluster.dir / f"{name}-{route}.json" for route in ROUTES}
        self.primary = self.primary_at = self.event_at = None

    def __enter__(self):
        self.processes = [subprocess.Popen(["/usr/bin/python3", str(ROOT / "tests/cluster/load.py"), str(path),
                                            f"{self.name}/{route}", str(CLIENTS), self.cluster.conninfo(route)])
                          for route, path in self.paths.items()]
        for route in ROUTES:
            run.wait_until(lambda r=route: len(self.acks(r)) > 20, f"writes by the route {route}")
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)
        self.ended_at = time.time()
        self.results = {route: (self.gap(route), self.lost(route), self.counts(route)) for route in ROUTES}

    def lines(self, route):
        with contextlib.suppress(FileNotFoundError):
            text = self.paths[route].read_text(encoding="utf-8")
            return [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return []

    def acks(self, route, after=0.0):
        return [line for line in self.lines(route) if "n" in line and line["at"] > after]

    def errors(self, route):
        return [line for line in self.lines(route) if "error" in line]

    def event(self):
        self.event_at = time.time()

    def wait_for_primary(self, among):
        """When Patroni says that another node is the primary: its own gap."""
        self.primary = run.wait_until(lambda: self.cluster.primary(among), "another primary", SLOW)
        self.primary_at = time.time()
        return self.primary

    def wait_for_writes(self, after, routes=ROUTES, clients=1):
        for route in routes:
            run.wait_until(lambda r=route: len({a["client"] for a in self.acks(r, after)}) >= clients,
                           f"writes by {route} again", SLOW)

    def gap(self, route):
        """The longest time in which nobody's write was acknowledged, in words."""
        times = sorted(a["at"] for a in self.acks(route) if a["at"] > self.event_at - 1)
        if self.primary_at and times[-1] < self.primary_at:
            return f"{self.ended_at - times[-1]:.1f} s and no end"
        return f"{longest(times):.1f} s"

    def waited(self, route):
        """The longest time in which one client's write was not acknowledged."""
        acks = [a for a in self.acks(route) if a["at"] > self.event_at - 1]
        return max(longest([a["at"] for a in acks if a["client"] == c]) for c in range(CLIENTS))

    def lost(self, route):
        """When the rows were acknowledged that the primary does not have when the load ends."""
        kept = {tuple(map(int, row.split("|"))) for row in (self.primary or self.cluster.primary()).sql(
            f"SELECT client, n FROM writes WHERE route = '{self.name}/{route}'").split()}
        return [a["at"] for a in self.acks(route) if (a["client"], a["n"]) not in kept]

    def counts(self, route):
        found = {}
        for e in self.errors(route):
            key = f"{e['phase']} {e['error']}"
            found[key] = found.get(key, 0) + 1
        return found
