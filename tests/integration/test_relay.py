"""
A session once it is there: bytes both ways, cancels, bulk, many at once, and either side vanishing at any moment.
"""

import concurrent.futures
import hashlib
import os
import signal
import socket
import statistics
import subprocess
import threading
import time

import psycopg
import pytest

from lib import psql, run, wire
from lib.pg import PASSWORDS
from lib.wire import Conn, message, startup

HBA = """\
hostssl   all alice 127.0.0.1/32 scram-sha-256
hostnossl all carol 127.0.0.1/32 scram-sha-256
hostssl   all bob   127.0.0.1/32 trust
local     all carol trust
"""

ALICE, CAROL = PASSWORDS["alice"], PASSWORDS["carol"]
COPY_MB = int(os.environ.get("PGSEAL_COPY_MB", "1024"))
SESSIONS = int(os.environ.get("PGSEAL_SESSIONS", "500"))
ROW = 8192

TERMINATED = ("E", {"S": "FATAL", "V": "FATAL", "C": "57P01",
                    "M": "terminating connection due to administrator command"})


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    settings = {} if kind == "gate" else {"max_connections": str(SESSIONS + 20)}
    return server_factory(kind, hba=HBA, tls={"cert": certs.server}, settings=settings)


def behind(server):
    """The PostgreSQL that does the work."""
    return server.upstream if server.is_gate else server


def connect(server, certs, **more):
    options = {"host": "localhost", "hostaddr": "127.0.0.1", "port": server.port, "user": "alice", "dbname": "app",
               "password": ALICE, "sslmode": "verify-full", "sslrootcert": certs.ca_file, "autocommit": True}
    return psycopg.connect(**{**options, **more})


def active(server, pid, needle):
    return behind(server).query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"
                                f" AND query LIKE '%{needle}%'")


def gone(server, pid, timeout=run.PATIENCE):
    """Wait until the process that worked for a session has ended."""
    run.wait_until(lambda: not behind(server).query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"),
                   f"process {pid} to end", timeout)


def still_serves(server):
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        assert c.value("SELECT 'fine'") == "fine"


# -- cancel -------------------------------------------------------------------------------------------------------
def test_ctrl_c_in_psql(server, certs):
    process = subprocess.Popen(
        [psql.PSQL, "-XAtw", psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=server.port, user="alice",
                                           dbname="app", sslmode="verify-full", sslrootcert=certs.ca_file,
                                           application_name="interrupted"), "-c", "SELECT pg_sleep(60)"],
        env=psql.environment(PGPASSWORD=ALICE), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    run.wait_until(lambda: behind(server).query("SELECT 1 FROM pg_stat_activity WHERE state = 'active'"
                                                " AND application_name = 'interrupted'"), "the query to run")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ERROR:  canceling statement due to user request" in errors, errors


def test_cancel_leaves_the_session_usable(server, certs):
    with connect(server, certs) as db:
        for _ in range(3):
            timer = threading.Thread(target=lambda: (run.wait_until(
                lambda: active(server, db.info.backend_pid, "pg_sleep"), "the query to run"), db.cancel()))
            timer.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                db.execute("SELECT pg_sleep(60)")
            timer.join()
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_reaches_only_its_own_session(server, certs):
    with connect(server, certs) as one, connect(server, certs) as two, behind(server).admin("app") as holder, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        holder.execute("SELECT pg_advisory_lock(1)")
        first = pool.submit(one.execute, "SELECT pg_sleep(60)")
        second = pool.submit(two.execute, "SELECT pg_advisory_lock(1)::text, 'unharmed'")
        for db, what in ((one, "pg_sleep"), (two, "pg_advisory_lock")):
            run.wait_until(lambda pid=db.info.backend_pid, what=what: active(server, pid, what), "the query to run")
        one.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            first.result(20)
        assert not second.done()
        holder.execute("SELECT pg_advisory_unlock(1)")
        assert second.result(20).fetchone()[1] == "unharmed"


# -- bulk ---------------------------------------------------------------------------------------------------------
def copy_sql(rows):
    return f"COPY (SELECT g, repeat(md5(g::text), {ROW // 32}) FROM generate_series(1, {rows}) g) TO STDOUT"


def start_psql(target, sql, **pipes):
    """psql through the gate (target: conninfo) with given stdin and stdout."""
    return subprocess.Popen([psql.PSQL, "-XqAtw", target, "-c", sql], env=psql.environment(PGPASSWORD=ALICE),
                            stderr=subprocess.PIPE, **pipes)


def checksum(process):
    """SHA-256 of a process's output, and that it ended well."""
    digest, size = hashlib.sha256(), 0
    while chunk := process.stdout.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    errors = process.stderr.read().decode()
    assert process.wait(60) == 0, errors
    return digest.hexdigest(), size


def direct(server):
    """Past the gate, straight to the server as its superuser."""
    pg = behind(server)
    return psql.conninfo(host=pg.socket_dir, port=pg.port, user="postgres", dbname="app")


def sealed(server, certs):
    return psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=server.port, user="alice", dbname="app",
                         sslmode="verify-full", sslrootcert=certs.ca_file)


@pytest.fixture(scope="module")
def bulk_rows(kind):
    # A judge needs no gigabyte to say what COPY is.
    return (COPY_MB if kind == "gate" else min(COPY_MB, 32)) * (1 << 20) // ROW


def test_copy_out(server, certs, bulk_rows):
    got = checksum(start_psql(sealed(server, certs), copy_sql(bulk_rows), stdout=subprocess.PIPE))
    expected = checksum(start_psql(direct(server), copy_sql(bulk_rows), stdout=subprocess.PIPE))
    assert got == expected and got[1] > bulk_rows * ROW


def test_copy_in(server, certs, bulk_rows):
    with behind(server).admin("app") as db:
        db.execute("CREATE UNLOGGED TABLE bulk (g int, t text); GRANT ALL ON bulk TO alice")
        try:
            source = start_psql(direct(server), copy_sql(bulk_rows), stdout=subprocess.PIPE)
            sink = start_psql(sealed(server, certs), "COPY bulk FROM STDIN", stdin=source.stdout)
            source.stdout.close()
            errors = sink.stderr.read().decode()
            assert sink.wait(300) == 0, errors
            assert source.wait(run.PATIENCE) == 0
            source.stderr.close()
            good = db.execute(f"SELECT count(*) FROM bulk WHERE t = repeat(md5(g::text), {ROW // 32})").fetchone()[0]
            distinct = db.execute("SELECT count(DISTINCT g), min(g), max(g) FROM bulk").fetchone()
            assert good == bulk_rows and distinct == (bulk_rows, 1, bulk_rows)
        finally:
            db.execute("DROP TABLE bulk")


def test_large_object(server, certs):
    content = hashlib.shake_256(b"large").digest(24 << 20)
    with connect(server, certs) as db:
        oid = db.execute("SELECT lo_from_bytea(0, %b)", (content,)).fetchone()[0]
        try:
            back = db.execute("SELECT lo_get(%s)", (oid,), binary=True).fetchone()[0]
            assert hashlib.sha256(back).digest() == hashlib.sha256(content).digest()
        finally:
            db.execute("SELECT lo_unlink(%s)", (oid,))


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 1 << 20, 33 << 20])
def test_messages_of_every_size(server, certs, size):
    """Around the sizes of TLS records and of buffers, in both directions."""
    text = "x" * size
    with connect(server, certs) as db:
        assert db.execute("SELECT %s::text", (text,)).fetchone()[0] == text


def test_many_tiny_messages(server, certs):
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        for byte in wire.query("SELECT 'drip'") * 3:
            c.send(bytes([byte]))
        answers = [e for _ in range(3) for e in c.events()]
        assert [e for e in answers if e[0] == "D"] == [("D", b"\0\1\0\0\0\4drip")] * 3


def test_a_thousand_pipelined_statements(server):
    with Conn(server, timeout=30) as c:
        c.start_tls()
        c.ready(ALICE)
        batch = b"".join(message("P", b"\0SELECT %d\0\0\0" % i) + message("B", b"\0\0\0\0\0\0\0\0")
                         + message("E", b"\0\0\0\0\0") for i in range(1000)) + wire.SYNC
        c.send(batch)
        values = [e[1][6:] for e in c.events() if e[0] == "D"]
        assert values == [str(i).encode() for i in range(1000)]


# -- asynchronous messages ----------------------------------------------------------------------------------------
def test_notify_reaches_an_idle_session(server, certs):
    with Conn(server) as listener, connect(server, certs) as db:
        listener.start_tls()
        listener.ready(ALICE)
        listener.ask("LISTEN news")
        db.execute("NOTIFY news, 'from another'")
        kind, body = listener.message()
        assert kind == "A" and body[4:] == b"news\0from another\0"
        db.execute("SELECT pg_notify('news', %s)", ("n" * 7999,))
        kind, body = listener.message()
        assert kind == "A" and len(body) == 4 + 5 + 8000


def test_notices_and_parameter_changes(server):
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        assert [e[0] for e in c.ask("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")] == ["N", "C", "Z"]
        assert ("S", b"application_name\0renamed\0") in c.ask("SET application_name = 'renamed'")


# -- many at once -------------------------------------------------------------------------------------------------
def test_five_hundred_sessions(server):
    def open_one(_):
        c = Conn(server, timeout=60)
        c.start_tls()
        return c.ready(user="bob")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(open_one, range(SESSIONS)))
    pids = ", ".join(str(c.pid) for c in sessions)

    def at_work():
        return behind(server).query(f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'bob' AND pid IN ({pids})")[0][0]

    try:
        assert len({(c.pid, c.key) for c in sessions}) == SESSIONS
        assert at_work() == SESSIONS
        for i, c in enumerate(sessions):
            c.send(wire.query(f"SELECT {i}"))
        for i, c in enumerate(sessions):
            assert ("D", b"\0\1\0\0\0" + bytes([len(str(i))]) + str(i).encode()) in c.events()
    finally:
        for c in sessions:
            c.close()
    run.wait_until(lambda: at_work() == 0, "all sessions to end", 30)
    still_serves(server)


def test_connections_that_come_and_go(server):
    """Half of them leave in the middle of the handshake."""
    def one(i):
        with Conn(server) as c:
            c.raw_send(wire.SSL_REQUEST)
            assert c.raw_exactly(1) == b"S"
            c.raw_send(c.prepare_tls())
            if i % 2:
                c.abort()
                return 0
            c.handshake()
            c.ready(user="bob")
            return int(c.value("SELECT 1"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(200))) == 100


# -- a reader that does not read ----------------------------------------------------------------------------------
def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def test_a_stalled_reader_stalls_the_server_and_costs_no_memory(server):
    with Conn(server, timeout=30) as c:
        c.start_tls()
        c.ready(ALICE)
        before = resident_kb(server.process.pid) if server.is_gate else 0
        c.send(wire.query("SELECT repeat('x', 8000) FROM generate_series(1, 40000)"))
        run.wait_until(lambda: behind(server).query("SELECT 1 FROM pg_stat_activity WHERE"
                                                    f" pid = {c.pid} AND wait_event = 'ClientWrite'"),
                       "the server to wait for its reader")
        if server.is_gate:
            assert resident_kb(server.process.pid) - before < 4096
        rows = sum(1 for e in c.events() if e[0] == "D")
        assert rows == 40000


def test_a_stalled_server_stalls_the_writer(server, certs):
    """COPY into a locked table: the client's writes block, the gate does not collect them."""
    with behind(server).admin("app") as db:
        db.execute("CREATE UNLOGGED TABLE locked (t text); GRANT ALL ON locked TO alice")
        try:
            with connect(server, certs) as holder, Conn(server, timeout=20) as c:
                c.start_tls()
                c.ready(ALICE)
                holder.execute("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
                before = resident_kb(server.process.pid) if server.is_gate else 0
                c.send(wire.query("COPY locked FROM STDIN"))
                c.sock.settimeout(0.5)
                row = message("d", b"y" * 8000 + b"\n")
                sent = 0
                try:
                    while sent < 20000:
                        c.send(row)
                        sent += 1
                except TimeoutError:
                    pass
                assert sent < 20000
                if server.is_gate:
                    assert resident_kb(server.process.pid) - before < 4096
        finally:
            db.execute("DROP TABLE locked")
    still_serves(server)


# -- the client vanishes ------------------------------------------------------------------------------------------
def stop_at(c, state):
    """Bring a connection into a state; returns the pid that works for it where there is one."""
    if state == "connected":
        return None
    c.raw_send(wire.SSL_REQUEST)
    assert c.raw_exactly(1) == b"S"
    if state == "ssl answered":
        return None
    hello = c.prepare_tls()
    if state == "half a hello":
        c.raw_send(hello[:40])
        return None
    c.raw_send(hello)
    if state == "hello sent":
        c.raw_exactly(5)
        return None
    c.handshake()
    if state == "sealed":
        return None
    if state == "half a startup":
        c.send(startup()[:9])
        return None
    if state == "challenged":
        c.send(startup())
        assert c.event()[:2] == ("R", 10)
        return None
    if state == "in scram":
        c.send(startup())
        assert c.event()[:2] == ("R", 10)
        c.send(wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
        assert c.event()[:2] == ("R", 11)
        return None
    c.ready(ALICE)
    if state == "transaction":
        c.ask("BEGIN")
    elif state == "half a message":
        c.send(wire.query("SELECT 1")[:7])
    elif state == "query":
        c.send(wire.query("SELECT pg_sleep(1)"))
    elif state == "copy in":
        c.send(wire.query("COPY (SELECT 1) TO STDOUT; CREATE TEMP TABLE v (t text); COPY v FROM STDIN"))
        c.events(until=("G",))
        c.send(message("d", b"some rows\n" * 100))
    elif state == "copy out":
        c.send(wire.query("COPY (SELECT repeat('x', 8000) FROM generate_series(1, 4000)) TO STDOUT"))
        c.events(until=("d",))
    return c.pid


STATES = ["connected", "ssl answered", "half a hello", "hello sent", "sealed", "half a startup", "challenged",
          "in scram", "ready", "transaction", "half a message", "query", "copy in", "copy out"]


@pytest.mark.parametrize("how", ["fin", "reset", "half-close"])
@pytest.mark.parametrize("state", STATES)
def test_the_client_vanishes(server, state, how):
    c = Conn(server)
    pid = stop_at(c, state)
    if how == "fin":
        c.close()
    elif how == "reset":
        c.abort()
    else:
        c.half_close()
    if pid:
        if how == "half-close":
            c.sock.settimeout(15)
            c.rest()
        gone(server, pid)
    c.close()
    still_serves(server)


def test_terminate_is_orderly(server):
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        c.send(wire.TERMINATE)
        assert c.rest() == b"" and c.closed == wire.EOF
        gone(server, c.pid)


# -- the server's process vanishes --------------------------------------------------------------------------------
def terminate(server, pid):
    assert behind(server).query(f"SELECT pg_terminate_backend({pid})") == [(True,)]


@pytest.mark.parametrize("state", ["ready", "transaction", "query", "copy in", "copy out"])
def test_the_server_process_is_terminated(server, state):
    """The client reads PostgreSQL's own farewell, then the end."""
    with Conn(server) as c:
        pid = stop_at(c, "ready" if state == "query" else state)
        if state == "query":
            c.send(wire.query("SELECT pg_sleep(60)"))
            run.wait_until(lambda: active(server, pid, "pg_sleep"), "the query to run")
        if state == "copy out":
            run.wait_until(lambda: behind(server).query(
                f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'ClientWrite'"), "a full socket")
        terminate(server, pid)
        events = c.events(until=("E",)) if state != "copy out" else [e for e in c.events() if e[0] == "E"] or ["none"]
        if state == "copy out":
            # A process that is stuck in a write may have no room left for its farewell.
            assert events[-1] in (TERMINATED, "none")
            return
        assert events[-1] == TERMINATED
        assert c.rest() == b"" and c.closed in (wire.EOF, wire.RAGGED)
    gone(server, pid)
    still_serves(server)


@pytest.fixture
def fragile(kind, factory, certs):
    """A server of its own, whose processes may be killed."""
    if kind == "gate":
        upstream = factory.postgres()
        made = [factory.gate(upstream=upstream, hba=HBA, tls={"cert": certs.server}), upstream]
    else:
        made = [factory.make(kind, hba=HBA, tls={"cert": certs.server})]
    yield made[0]
    for server in made:
        factory.stop(server)


def test_the_server_process_is_killed(fragile):
    """Its client reads nothing but the end; another's session gets PostgreSQL's warning 57P02. A gate tells both, at last."""
    said = ["08006"] if fragile.is_gate else []
    with Conn(fragile) as victim, Conn(fragile) as bystander:
        for c in (victim, bystander):
            c.start_tls()
            c.ready(ALICE)
        os.kill(victim.pid, signal.SIGKILL)
        for c, warned in ((victim, []), (bystander, ["57P02"])):
            events = c.events()
            assert events[-1] in (wire.EOF, wire.RAGGED, wire.RESET)
            assert [e[1]["C"] for e in events[:-1]] in (warned + said, said)

    def back():
        try:
            with Conn(fragile) as c:
                c.start_tls()
                return c.login(ALICE)[-1] == ("Z", "I")
        except (wire.Closed, OSError):      # a server on its way back resets whom it cannot serve yet
            return False

    run.wait_until(back, "service after the crash", 30)


def test_the_server_stops_with_sessions_open(fragile):
    """Fast shutdown: 57P01 to everybody, then nobody is served; the gate says 57P03 then."""
    with Conn(fragile) as c:
        c.start_tls()
        c.ready(ALICE)
        behind(fragile).stop()
        assert c.events()[0] == TERMINATED
    if fragile.is_gate:
        with Conn(fragile) as c:
            c.start_tls()
            events = c.login(ALICE)
            assert events[-2][0] == "E" and events[-2][1]["C"] == "57P03" and events[-2][1]["S"] == "FATAL"
            assert events[-1] == wire.EOF
        behind(fragile).start()
        still_serves(fragile)


# -- transport details --------------------------------------------------------------------------------------------
def test_idle_sessions_stay(server):
    """Nothing happens to a session because nothing happens in it (authentication_timeout is over then)."""
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        c.ask("SELECT pg_sleep(0.2)")
        assert c.value("SELECT 1") == "1"


def test_plain_and_unix_sessions_relay_too(server):
    with Conn(server) as c:
        c.ready(CAROL, user="carol")
        assert c.value("SELECT repeat('x', 100000)") == "x" * 100000
    with Conn(server, unix=True) as c:
        c.ready(user="carol")
        assert c.value("SELECT repeat('x', 100000)") == "x" * 100000


@pytest.mark.clock
def test_nagle_and_keepalive_do_not_slow_a_dialogue(server):
    """A round trip takes far less than a delayed acknowledgement (40 ms); the median, for a machine may pause."""
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        seconds = []
        for _ in range(100):
            began = time.monotonic()
            c.ask("SELECT 1")
            seconds.append(time.monotonic() - began)
        assert statistics.median(seconds) < 0.02, sorted(seconds)


def test_the_port_can_be_bound_again_at_once(server_factory, kind, certs):
    """A restart over TIME_WAIT works."""
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server})
    with Conn(server) as c:
        c.start_tls()
        c.ready(ALICE)
        server.restart()
        try:
            c.rest()
        except socket.timeout:
            pass
    still_serves(server)
