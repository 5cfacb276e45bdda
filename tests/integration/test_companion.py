"""
A gate beside an application that cannot do TLS: plaintext on a unix socket or loopback, verified TLS to the
server; and two gates in a row. What the application asks for works as it would with the server itself.
"""

import hashlib
import os
import re
import subprocess
import threading

import psycopg
import pytest

from lib import psql, run, scram, wire
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn, cancel_request

ALICE = PASSWORDS["alice"]
SERVER_HBA = "hostssl all alice,bob 127.0.0.1/32 scram-sha-256\nhostssl replication repl 127.0.0.1/32 scram-sha-256\n"
HBA = ("local all,replication all scram-sha-256\n"
       "host all,replication all 127.0.0.1/32 scram-sha-256\n")
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "dist", "examples", "companion")


@pytest.fixture(scope="module")
def upstream(factory, certs):
    server = factory.postgres(hba=SERVER_HBA, tls={"cert": certs.server})
    with server.admin() as db:
        db.execute(f"ALTER ROLE repl PASSWORD '{scram.secret('repl')}'")
    yield server
    factory.stop(server)


def beside(port, certs):
    return f"host=localhost hostaddr=127.0.0.1 port={port} sslmode=verify-full sslrootcert={certs.ca_file}"


def companion(factory, port, certs):
    return factory.gate(upstream=beside(port, certs), hba=HBA,
                        settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})


@pytest.fixture(scope="module")
def alone(factory, upstream, certs):
    """companion -> PostgreSQL"""
    gate = companion(factory, upstream.port, certs)
    yield gate
    factory.stop(gate)


@pytest.fixture(scope="module")
def in_a_row(factory, upstream, certs):
    """companion -> gate -> PostgreSQL, each with verified TLS to the next."""
    front = factory.gate(upstream=beside(upstream.port, certs), hba="hostssl all,replication all 127.0.0.1/32 "
                         "scram-sha-256\n", tls={"cert": certs.server}, settings={"upstream_login": "scram"})
    front.write("userlist.txt", "".join(f'"{u}" "{s}"\n' for u, s in {
        **SECRETS, "repl": upstream.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'repl'")[0][0]}.items()),
        0o600)
    front.reload()
    gate = companion(factory, front.port, certs)
    gate.front = front
    yield gate
    factory.stop(gate)
    factory.stop(front)


@pytest.fixture(params=["alone", "in_a_row"])
def gate(request):
    return request.getfixturevalue(request.param)


WAYS = pytest.mark.parametrize("unix", [True, False], ids=["unix", "loopback"])


def where(gate, unix):
    return {"host": gate.socket_dir if unix else "127.0.0.1", "sslmode": "disable"}


@WAYS
def test_plaintext_in_verified_tls_out(gate, upstream, unix):
    with Conn(gate, unix=unix) as c:
        c.ready(ALICE)
        pid = int(c.value("SELECT pg_backend_pid()"))
        assert c.value("SELECT session_user") == "alice"
        assert upstream.query(f"SELECT ssl, version FROM pg_stat_ssl WHERE pid = {pid}") == [(True, "TLSv1.3")]
    with Conn(gate, unix=unix) as c:
        events = c.login("wrong")
        assert events[-2] == wire.fatal("28P01", 'password authentication failed for user "alice"')
    with Conn(gate, unix=unix) as c:
        events = c.login(ALICE, database="missing")
        assert events[-2][1]["C"] == "3D000"


@WAYS
def test_no_tls_is_offered_to_the_application(gate, unix):
    """There is no certificate beside it, and nothing to wait for: `N`."""
    with Conn(gate, unix=unix) as c:
        c.raw_send(wire.SSL_REQUEST)
        assert c.raw_exactly(1) == b"N"


@WAYS
@pytest.mark.parametrize("driver", ["psql", "psycopg"])
def test_drivers(gate, unix, driver):
    if driver == "psql":
        got = psql.run(gate, "SELECT current_user", password=ALICE, **where(gate, unix))
        assert got.stdout == "alice\n", got.stderr
        return
    with psycopg.connect(port=gate.port, user="alice", password=ALICE, dbname="app", **where(gate, unix)) as db:
        assert db.execute("SELECT current_user").fetchone() == ("alice",)


@WAYS
def test_copy_both_ways(gate, unix):
    rows = "".join(f"{i}\t{hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(100_000)).encode()
    with psycopg.connect(port=gate.port, user="alice", password=ALICE, dbname="app", **where(gate, unix)) as db:
        db.execute("CREATE TEMP TABLE t (i int, h text)")
        with db.cursor().copy("COPY t FROM STDIN") as copy:
            for at in range(0, len(rows), 65536):
                copy.write(rows[at:at + 65536])
        with db.cursor().copy("COPY (SELECT * FROM t ORDER BY i) TO STDOUT") as copy:
            assert b"".join(bytes(b) for b in copy) == rows


@WAYS
def test_cancel(gate, upstream, unix):
    with Conn(gate, unix=unix, timeout=30) as c:
        c.ready(ALICE)
        c.send(wire.query("SELECT pg_sleep(60)"))
        run.wait_until(lambda: upstream.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice' AND "
                                              "query ~ '^SELECT pg_sleep'")[0][0] == 1, "the query to run")
        with Conn(gate, unix=unix) as other:
            other.send(cancel_request(c.pid, bytes(len(c.key))))          # a wrong key does nothing
            assert other.event() in (wire.EOF, wire.RESET)
        with Conn(gate, unix=unix) as other:
            other.send(cancel_request(c.pid, c.key))
            assert other.event() in (wire.EOF, wire.RESET)
        events = c.events()
        assert [e for e in events if e[0] == "E"][0][1]["C"] == "57014"
        assert c.value("SELECT 1") == "1"


@WAYS
def test_replication(gate, upstream, debian, scratch, unix):
    """pg_basebackup with its two connections, and the replication protocol's own commands."""
    target = os.path.join(scratch, f"backup-{gate.port}-{unix}")
    os.makedirs(target)
    subprocess.run([debian.tool("pg_basebackup"), "-h", where(gate, unix)["host"], "-p", str(gate.port), "-U", "repl",
                    "-D", target, "-c", "fast", "-X", "stream", "-w"], check=True, timeout=100,
                   env=psql.environment(PGPASSWORD="repl", PGSSLMODE="disable"), capture_output=True)
    assert os.path.exists(os.path.join(target, "PG_VERSION")) and os.listdir(os.path.join(target, "pg_wal"))
    with Conn(gate, unix=unix) as c:
        c.ready("repl", user="repl", database=None, replication="true")
        assert c.value("IDENTIFY_SYSTEM") == str(upstream.query("SELECT system_identifier FROM pg_control_system()")[0][0])


def test_many_at_once(gate):
    done = []

    def one():
        with Conn(gate, unix=True, timeout=60) as c:
            c.ready(ALICE)
            done.append(c.value("SELECT 1"))

    threads = [threading.Thread(target=one) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert done == ["1"] * 30


def test_a_server_that_is_not_the_right_one(factory, upstream, certs):
    """The application hears that it is not available, its password goes nowhere."""
    g = factory.gate(upstream=f"host=localhost hostaddr=127.0.0.1 port={upstream.port} sslmode=verify-full "
                     f"sslrootcert={certs.foreign_file}", hba=HBA,
                     settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
    try:
        mark = upstream.log.mark()
        with Conn(g, unix=True) as c:
            events = c.login(ALICE)
            assert events[-2][1]["C"] == "57P03"
        assert "user=alice" not in upstream.log.text(mark)
    finally:
        factory.stop(g)


def test_both_gates_know_the_client(in_a_row):
    """The front gate sees the companion's session; its rule decides, and says so in its log."""
    mark = in_a_row.front.log.mark()
    with Conn(in_a_row, unix=True) as c:
        c.ready(ALICE)
        assert c.value("SHOW pgseal.ssl") == "on"            # of the hop that reached the front gate
    in_a_row.front.log.wait_for(r"event=connection_authenticated .*identity=alice", mark)


# -- the example --------------------------------------------------------------------------------------------------
def test_the_example_directory(factory, upstream, certs, program, tmp_path):
    """dist/examples/companion as it stands, with this test's paths and ports in it."""
    conf = open(os.path.join(EXAMPLE, "pgseal.conf"), encoding="utf-8").read()
    gate = factory.gate(start=False)
    try:
        for name in ("pg_hba.conf", "pg_ident.conf"):
            with open(os.path.join(EXAMPLE, name), encoding="utf-8") as f:
                gate.write(name, f.read())
        conf = (conf.replace("db.example.com port=5432", f"localhost port={upstream.port}")
                .replace("archive.example.com", f"localhost port={upstream.port}").replace("dbname=archive", "dbname=db2")
                .replace("/etc/pgseal/tls/root.crt", certs.ca_file).replace("/run/pgseal", gate.socket_dir))
        gate.write("pgseal.conf", re.sub(r"(?m)^port = .*", f"port = {gate.port}", conf))
        checked = subprocess.run([program, "serve", "-D", gate.dir, "--check"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        gate.start()
        for database, there in (("app", "app"), ("Archive 2025", "db2")):
            with Conn(gate, unix=True) as c:
                c.ready(ALICE, database=database)
                assert c.value("SELECT current_database()") == there
        with pytest.raises(OSError):
            Conn(gate)                                       # listen_addresses = ''
    finally:
        factory.stop(gate)
