"""What is measured: the gate, its peers and the yardsticks, each before the same server, each its own process."""

import os
import subprocess
import time

from lib import gate, pki, pg, run, scram

USER, PASSWORD = "bench", "bench's password"
SECRET = scram.secret(PASSWORD, b"salt of the bench")
MAX_SESSIONS = 8000
TICKS = os.sysconf("SC_CLK_TCK")


def tree(root):
    """The pids of a process and all its descendants."""
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(pid))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


class Target:
    """One process under measurement; subclasses start it."""

    def __init__(self, name, tls="request", scram_here=True):
        self.name = name
        self.tls = tls
        self.scram = scram_here
        self.port = run.free_port()
        self.process = None

    def spawn(self, argv, directory, demote=False):
        """Start a process that logs into the directory and wait until its port answers."""
        with open(os.path.join(directory, self.name.replace(" ", "-") + ".log"), "ab") as log:
            self.process = subprocess.Popen(run.demoted(argv) if demote else argv, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", start_new_session=True)
        run.wait_until(self.answers, f"{self.name} to listen")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended at start; see its log")
        with open("/proc/net/tcp", encoding="ascii") as f:
            listening = f" 0100007F:{self.port:04X} 00000000:0000 0A "
            return any(listening in line for line in f)

    def cpu(self):
        """CPU seconds of the process tree. Children that have ended are counted in ticks, the others exactly."""
        total = 0
        for pid in tree(self.process.pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
                total += time.clock_gettime(~pid << 3 | 2)     # CLOCK_PROCESS_CPUTIME_ID of another process
            except OSError:
                continue
            total += sum(int(n) for n in fields[13:15]) / TICKS
        return total

    def resident(self):
        """Resident KiB of the process tree that are its own: pages of files come and go with the machine's load."""
        total = 0
        for pid in tree(self.process.pid):
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))
        return total

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


class Peer(Target):
    """One of the others: a program with a configuration file of its own."""

    def __init__(self, directory, name, argv, conf, demote=False, **more):
        super().__init__(name, **more)
        path = os.path.join(directory, name + ".conf")
        pki.write_file(path, conf.replace("@PORT@", str(self.port)), 0o644)
        self.spawn([path if a == "@CONF@" else a for a in argv], directory, demote)


def pgbouncer(directory, name, cert):
    pki.write_file(os.path.join(directory, "userlist.txt"), f'"{USER}" "{SECRET}"\n', 0o644)
    return Peer(directory, name, ["/usr/sbin/pgbouncer", "@CONF@"], f"""[databases]
* = host={directory} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = @PORT@
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/userlist.txt
pool_mode = session
max_client_conn = {MAX_SESSIONS}
default_pool_size = {MAX_SESSIONS}
client_tls_sslmode = allow
client_tls_cert_file = {cert}.crt
client_tls_key_file = {cert}.key
client_tls_protocols = secure
log_connections = 0
log_disconnections = 0
""", demote=True)


def haproxy(directory, name, cert):
    return Peer(directory, name, ["/usr/sbin/haproxy", "-db", "-f", "@CONF@"], f"""global
    nbthread 1
    maxconn {MAX_SESSIONS}
    tune.ssl.cachesize 0
    ssl-default-bind-options no-tls-tickets ssl-min-ver TLSv1.2
defaults
    mode tcp
    timeout connect 10s
    timeout client 600s
    timeout server 600s
frontend pg
    bind 127.0.0.1:@PORT@ ssl crt {cert}.pem alpn postgresql
    default_backend pg
backend pg
    server pg unix@{directory}/.s.PGSQL.5432
""", tls="direct", scram_here=False)


def stunnel(directory, name, cert):
    return Peer(directory, name, ["/usr/bin/stunnel4", "@CONF@"], f"""foreground = yes
pid =
debug = 3
sslVersionMin = TLSv1.2
options = NO_TICKET
sessionCacheSize = 1
[pg]
accept = 127.0.0.1:@PORT@
connect = {directory}/.s.PGSQL.5432
protocol = pgsql
cert = {cert}.pem
""", scram_here=False)


class GateTarget(Target):
    """The gate as it is deployed: SCRAM judged here, pg_hba.conf, the server on a unix socket."""

    def __init__(self, program, directory, name, cert, upstream=None, **settings):
        super().__init__(name)
        self.gate = gate.Gate(
            program, os.path.join(directory, name.replace(" ", "-")), upstream or f"host={directory} port=5432",
            settings={"workers": 1, "max_connections": MAX_SESSIONS, "log_connections": "off",
                      "log_disconnections": "off", **settings},
            hba="hostnossl all all 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
            tls={"cert": cert})
        self.gate.write("userlist.txt", f'"{USER}" "{SECRET}"\n', 0o600)
        self.port = self.gate.port
        self.process = self.gate.start().process


class ServerTarget(Target):
    """PostgreSQL itself, for scale; its figures hold the query's own work."""

    def __init__(self, directory, cert):
        super().__init__("postgres")
        self.server = pg.Postgres(pg.debian(), os.path.join(directory, "postgres"),
                                  settings={"log_connections": "off", "log_disconnections": "off"},
                                  hba="host all all 127.0.0.1/32 scram-sha-256\n", tls={"cert": cert})
        self.server.start()
        with self.server.admin() as db:
            db.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{SECRET}'")
        self.port = self.server.port
        self.process = self.server.process

    def stop(self):
        self.server.stop()


class Over:
    """A target seen through another kind of connection."""

    def __init__(self, target, name, tls):
        self.target = target
        self.name = name
        self.tls = tls
        self.port = target.port
        self.scram = target.scram

    def cpu(self):
        return self.target.cpu()

    def resident(self):
        return self.target.resident()
