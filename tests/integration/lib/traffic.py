"""
Mixed traffic for the soak test: every function here does one thing a client, a server or an operator does, and
raises if it comes out otherwise than it must.
"""

import contextlib
import hashlib
import http.client
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import psycopg

from . import pki, psql, run, wire
from .pg import PASSWORDS
from .wire import Conn

NAMES = 200             # users that do not exist: a bounded number, so that what is remembered of them is too
TABLES = ["pg_stat_ssl", "pg_stat_activity", "pg_settings", "pgseal_sessions", "pgseal_certificates", "pgseal_rules",
          "pgseal_failures", "pgseal_clients", "pgseal_generations"]
ADMIN_TABLES = ["pg_file_settings", "pg_hba_file_rules", "pg_ident_file_mappings", "pgseal_hosts"]


class World:
    """The gate with its servers and its certificates."""

    def __init__(self, gate, main, flaky, certs, http_port):
        self.gate, self.main, self.flaky, self.certs, self.http_port = gate, main, flaky, certs, http_port
        self.random = random.Random()
        self.carol = certs.client("soak-carol", certs.ca.issue("carol"))
        self.foreign = certs.client("soak-foreign", certs.foreign.issue("carol"))
        self.revoked = []

    def connect(self, user="alice", dbname="app", **more):
        options = {"host": "localhost", "hostaddr": self.gate.host, "port": self.gate.port, "user": user,
                   "password": PASSWORDS.get(user, "none"), "dbname": dbname, "sslmode": "verify-full",
                   "sslrootcert": self.certs.ca_file, "sslcert": "/nonexistent", "connect_timeout": "30",
                   "autocommit": True, **more}
        return psycopg.connect(**options)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_ended(db):
    """By 57P01, before or in the next statement."""
    try:
        db.execute("SELECT pg_sleep(20)")
    except psycopg.OperationalError as e:
        expect("terminating connection due to administrator command" in str(e), f"ended by: {e}")
    else:
        raise AssertionError("a session that was ended goes on")


# -- what succeeds ------------------------------------------------------------------------------------------------
def log_in(world):
    with world.connect(channel_binding="require") as db:
        expect(db.execute("SELECT current_user").fetchone() == ("alice",), "current_user")


def log_in_over_tls_upstream(world):
    user = world.random.choice(["alice", "bob"])
    with world.connect(user, "db2") as db:
        expect(db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,), "ssl")


def log_in_with_a_certificate(world):
    crt, key = world.carol
    with world.connect("carol", sslcert=crt, sslkey=key, password=None) as db:
        expect(db.execute("SELECT current_user").fetchone() == ("carol",), "current_user")


def ask_and_ask(world):
    with world.connect() as db:
        for _ in range(200):
            text = "x" * world.random.choice([0, 1, 100, 5000, 16384, 70000])
            expect(db.execute("SELECT %s::text", (text,)).fetchone() == (text,), "an echo")


def copy_both_ways(world):
    rows = 20000
    line = "SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, %d) g" % rows
    digest = hashlib.sha256()
    with world.connect() as db:
        db.execute("CREATE TEMP TABLE copied (g int, t text)")
        with db.cursor() as out, db.cursor().copy("COPY copied FROM STDIN") as into:
            with world.connect() as other, other.cursor().copy(f"COPY ({line}) TO STDOUT") as data:
                for chunk in data:
                    digest.update(chunk)
                    into.write(chunk)
        back = hashlib.sha256()
        with db.cursor() as out, out.copy("COPY (SELECT * FROM copied ORDER BY g) TO STDOUT") as data:
            for chunk in data:
                back.update(chunk)
    expect(digest.digest() == back.digest(), "what was copied in comes out again")


def cancel_when_active(world, db):
    """A cancel that arrives before the statement does nothing."""
    active = f"SELECT 1 FROM pg_stat_activity WHERE pid = {db.info.backend_pid} AND state = 'active'"
    run.wait_until(lambda: world.main.query(active), "the statement to run", 30)
    db.cancel()


def cancel(world):
    with world.connect() as db:
        helper = threading.Thread(target=cancel_when_active, args=(world, db))
        helper.start()
        try:
            db.execute("SELECT pg_sleep(60)")
            raise AssertionError("pg_sleep was not canceled")
        except psycopg.errors.QueryCanceled:
            pass
        finally:
            helper.join()
        expect(db.execute("SELECT 1").fetchone() == (1,), "the session after a cancel")


def replicate(world):
    words = psql.conninfo(host="localhost", hostaddr=world.gate.host, port=world.gate.port, user="repl",
                          sslmode="verify-full", sslrootcert=world.certs.ca_file, sslcert="/nonexistent")
    distribution = world.main.distribution
    done = subprocess.run(run.demoted([distribution.tool("pg_basebackup"), "-d", words, "-D", "-", "-Ft", "-X", "none",
                                       "-c", "fast"]), env=distribution.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", timeout=100,
                          check=False)
    expect(done.returncode == 0, f"pg_basebackup: {done.stderr}")


def ask_the_status_database(world):
    with world.connect(dbname="pgseal") as db:
        for table in world.random.sample(TABLES, 4):
            expect(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 0, table)
        pid = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        mine = db.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = %s", (pid,)).fetchone()
        expect(mine == (True, "TLSv1.3"), f"pg_stat_ssl: {mine}")
        with contextlib.suppress(psycopg.errors.UndefinedTable):
            db.execute("SELECT * FROM there_is_none")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            db.execute(f"SELECT * FROM {world.random.choice(ADMIN_TABLES)}")
            raise AssertionError("a view of the files is shown to one who is no admin")
        db.execute("SELECT * FROM pg_settings").fetchall()
    with world.connect("bob", "pgseal") as db:
        table = world.random.choice(ADMIN_TABLES)
        expect(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 0, table)


def scrape(world):
    """What is shown over HTTP; and what nobody should say there."""
    path, status = world.random.choice([("/metrics", 200), ("/status", 200), ("/healthz", 200), ("/readyz", 200),
                                        ("/none", 404), ("/status?" + "x" * 50000, None)])
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", world.http_port, timeout=30)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            expect(status in (None, answer.status) and answer.read(), f"{path}: {answer.status}")
        except (http.client.HTTPException, ConnectionError):
            expect(status is None, f"{path}: not answered")
    with socket.create_connection(("127.0.0.1", world.http_port)) as sock:
        sock.sendall(world.random.choice([b"", b"GET", os.urandom(100), b"GET /metrics HTTP/1.1\r\n", hello()]))


def psql_asks(world):
    done = psql.run(world.gate, "SELECT 'psql'", PASSWORDS["alice"], host="localhost", hostaddr=world.gate.host,
                    sslmode="verify-full", sslrootcert=world.certs.ca_file)
    expect((done.returncode, done.stdout) == (0, "psql\n"), done.stderr)


# -- what fails ---------------------------------------------------------------------------------------------------
def refused(world, sqlstate_or_text, **options):
    try:
        world.connect(**options).close()
    except psycopg.OperationalError as e:
        expect(sqlstate_or_text in str(e), f"{sqlstate_or_text}: {e}")
    else:
        raise AssertionError(f"let in, which must end with: {sqlstate_or_text}")


def fail_to_log_in(world):
    user = f"nobody{world.random.randrange(NAMES)}"
    world.random.choice([
        lambda: refused(world, "password authentication failed", password="wrong"),
        lambda: refused(world, "password authentication failed", user=user),
        lambda: refused(world, "no pg_hba.conf entry", sslmode="disable"),
        lambda: refused(world, 'database "missing" does not exist', dbname="missing"),
        lambda: refused(world, "alert unknown ca", user="carol", sslcert=world.foreign[0], sslkey=world.foreign[1]),
        lambda: refused(world, "certificate verify failed", sslrootcert=world.certs.foreign_file),
        lambda: refused(world, "requires a valid client certificate", user="carol"),
        lambda: refused(world, "alert protocol version", ssl_max_protocol_version="TLSv1.1",
                        ssl_min_protocol_version="TLSv1"),
    ])()


def hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def talk_nonsense(world):
    said = world.random.choice([
        b"", b"GET / HTTP/1.1\r\n\r\n", wire.SSL_REQUEST, wire.SSL_REQUEST * 3, wire.SSL_REQUEST + hello()[:100], hello(),
        wire.startup()[:15], wire.startup() + b"p\0\0\0\5x", os.urandom(300), wire.SSL_REQUEST + os.urandom(300),
        wire.cancel_request(world.random.getrandbits(31), os.urandom(4)), struct.pack("!II", 0x7fffffff, wire.V3_0),
        wire.startup(version=wire.V3_2)])
    with Conn(world.gate, timeout=30) as c:
        c.raw_send(said)
        if world.random.random() < 0.3:
            with contextlib.suppress(wire.Closed):
                c.raw_rest()            # until the gate has had enough of it
        elif world.random.random() < 0.5:
            c.abort()


def vanish(world):
    """In the middle of a large answer."""
    with Conn(world.gate, timeout=30) as c:
        c.start_tls()
        c.ready(PASSWORDS["alice"])
        c.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
        if world.random.random() < 0.5:
            c.raw_recv()
        (c.abort if world.random.random() < 0.5 else c.close)()


def die(world):
    """A psql is killed while it copies."""
    words = psql.conninfo(host="localhost", hostaddr=world.gate.host, port=world.gate.port, user="alice", dbname="app",
                          sslmode="verify-full", sslrootcert=world.certs.ca_file)
    with subprocess.Popen([psql.PSQL, "-XAtw", words, "-c", "COPY (SELECT repeat('x', 1000) FROM generate_series(1, "
                           "1000000)) TO STDOUT"], env=psql.environment(PGPASSWORD=PASSWORDS["alice"]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.read(100000)
        process.send_signal(signal.SIGKILL)


def be_terminated(world):
    with world.connect() as victim, world.connect("bob", "pgseal") as admin:
        pid = victim.execute("SELECT pg_backend_pid()").fetchone()[0]
        expect(admin.execute("SELECT pg_terminate_backend(%s)", (pid,)).fetchone() == (True,), "terminated")
        expect_ended(victim)


def use_the_flaky_server(world):
    """It comes and goes: all that is asked for is an answer, good or bad, in time."""
    with contextlib.suppress(psycopg.OperationalError), world.connect(dbname="flaky") as db:
        for _ in range(20):
            db.execute("SELECT repeat('x', 10000)").fetchone()


def restart_the_flaky_server(world):
    world.flaky.stop(world.random.choice([signal.SIGINT, signal.SIGQUIT]))
    world.flaky.start()


# -- what the operator does ---------------------------------------------------------------------------------------
class Operator:
    """The only one who touches the gate's files; each change is seen in the log before the next."""

    def __init__(self, world, hba):
        self.world, self.gate, self.hba = world, world.gate, hba
        self.serving = world.certs.server

    def told(self, event, since):
        self.gate.log.wait_for(rf"event={event}\b", since, 40)

    def hup(self, event="reloaded"):
        since = self.gate.log.mark()
        self.gate.kill(signal.SIGHUP)
        self.told(event, since)

    def reload_by_sql(self):
        since = self.gate.log.mark()
        with self.world.connect("bob", "pgseal") as db:
            expect(db.execute("SELECT pg_reload_conf()").fetchone() == (True,), "pg_reload_conf")
        self.told("reloaded", since)

    def swap_certificate(self):
        """Told by nobody: the gate's own watch."""
        new = self.world.certs.ca.issue("db.example", sans=["localhost", "127.0.0.1"], usage="server")
        since = self.gate.log.mark()
        self.gate.write("server.key", new.key_pem(), 0o600)
        self.gate.write("server.crt", new.pem())
        self.serving = new
        self.told("reloaded", since)
        self.told("served_verified", since)

    def bad_then_good(self, name, bad, good, mode=0o644):
        self.gate.write(name, bad, mode)
        self.hup("reload_failed")
        self.gate.write(name, good, mode)
        self.hup()

    def bad_rules(self):
        self.bad_then_good("pg_hba.conf", self.hba + "host all all 127.0.0.1/33 nonsense\n", self.hba)

    def bad_settings(self):
        with open(self.gate.path("pgseal.conf"), encoding="utf-8") as f:
            good = f.read()
        self.bad_then_good("pgseal.conf", good + "ssl_ciphers = 'NOSUCH'\nport = nonsense\n", good)

    def bad_key(self):
        self.bad_then_good("server.key", pki.new_key().private_bytes(
            pki.serialization.Encoding.PEM, pki.serialization.PrivateFormat.PKCS8,
            pki.serialization.NoEncryption()), self.serving.key_pem(), 0o600)

    def more_rules(self):
        self.gate.write("pg_hba.conf", "".join(f"host db{i} user{i} 10.0.0.{i % 256}/32 reject\n" for i in range(2000))
                        + self.hba)
        self.hup()
        self.gate.write("pg_hba.conf", self.hba)
        self.hup()

    def revoke(self):
        cert = self.world.certs.ca.issue("carol")
        crt, key = cert.write(self.world.certs.dir, "soak-revoked")
        with self.world.connect("carol", sslcert=crt, sslkey=key, password=None) as db:
            self.world.revoked = [*self.world.revoked[-20:], cert]
            self.gate.write("client.crl", self.world.certs.ca.crl(self.world.revoked))
            self.hup()
            expect_ended(db)

    def act(self, world):
        world.random.choice([self.hup, self.reload_by_sql, self.swap_certificate, self.bad_rules, self.bad_settings,
                             self.bad_key, self.more_rules, self.revoke])()


# What is done, and how many seconds pass between two times of it.
TRAFFIC = [
    (log_in, 0.05), (log_in_over_tls_upstream, 0.2), (log_in_with_a_certificate, 0.2), (ask_and_ask, 0.5),
    (copy_both_ways, 1), (cancel, 0.5), (replicate, 15), (ask_the_status_database, 0.3), (psql_asks, 2), (scrape, 0.3),
    (fail_to_log_in, 0.1), (talk_nonsense, 0.05), (talk_nonsense, 0.05), (vanish, 0.2), (die, 2), (be_terminated, 0.5),
    (use_the_flaky_server, 0.2), (restart_the_flaky_server, 10),
]


class Worker(threading.Thread):
    """Does one thing over and over, and remembers what went wrong."""

    def __init__(self, world, act, pause, stop):
        super().__init__(daemon=True)
        self.world, self.act, self.pause, self.over = world, act, pause, stop
        self.done, self.wrong = 0, []

    def run(self):
        while not self.over.is_set():
            try:
                self.act(self.world)
                self.done += 1
            except Exception as e:      # whatever it is, it is reported, and the others go on
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {self.act.__name__}: {type(e).__name__}: {e}")
            self.over.wait(self.pause)
