"""
Sessions while the gate's program is replaced: whatever they are doing, they go on, with the same backend, in another process.
"""

import contextlib
import mmap
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.request

import psycopg
import pytest

from lib import run
from lib.pg import PASSWORDS
from lib.wire import SSL_REQUEST, Conn, cancel_request
from test_upgrade import alone, newest, speaker, upgrade

HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
SERVER_HBA = ("local all,replication all trust\nhostssl all all 127.0.0.1/32 trust\n"
              "hostssl replication all 127.0.0.1/32 trust\n")
ROWS = 60000


@pytest.fixture(scope="module")
def server(factory, certs):
    """Behind the gate, over TLS."""
    s = factory.postgres(tls={"cert": certs.server}, hba=SERVER_HBA,
                         settings={"wal_level": "logical", "max_wal_senders": "10", "max_connections": "250"})
    with s.admin("app") as db:
        db.execute("CREATE TABLE taken (n int)")
        db.execute("GRANT ALL ON taken TO alice")
    yield s
    factory.stop(s)


@pytest.fixture(scope="module")
def gate(request, factory, certs, server):
    """TLS on both sides; where a test says "unix", the server's side is its socket."""
    tls = getattr(request, "param", "tls") == "tls"
    conninfo = (f"host=localhost hostaddr=127.0.0.1 port={server.port} sslmode=verify-full sslrootcert={certs.ca_file}"
                if tls else f"host={server.socket_dir} port={server.port}")
    g = factory.gate(upstream=conninfo, hba=HBA, tls={"cert": certs.server},
                     settings={"http_listen": f"127.0.0.1:{run.free_port()}", "stats_users": "postgres",
                               "admin_users": "postgres"})
    yield g
    factory.stop(g)


def conninfo(gate, certs, user="alice", dbname="app"):
    return (f"host=localhost hostaddr=127.0.0.1 port={gate.port} user={user} dbname={dbname} sslmode=verify-full "
            f"sslrootcert={certs.ca_file}")


@contextlib.contextmanager
def connected(gate, certs, **how):
    with psycopg.connect(conninfo(gate, certs, **how), autocommit=True) as db:
        yield db


@contextlib.contextmanager
def console(gate):
    with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=postgres dbname=pgseal", autocommit=True) as db:
        yield db


def pid_of(db):
    return db.execute("SELECT pg_backend_pid()").fetchone()[0]


def moved(gate):
    """An upgrade that moves everything; how many sessions."""
    done = upgrade(gate)
    count = int(done.split(" session")[0].rsplit(" ", 1)[1])
    assert ", 0 stay" in done, done
    alone(gate)
    return count


def test_idle_sessions(gate, certs):
    with connected(gate, certs) as one, connected(gate, certs) as two:
        two.execute("CREATE TEMP TABLE mine AS SELECT 42 AS n")
        one.execute("SET application_name = 'mine'")
        pids = pid_of(one), pid_of(two)
        for _ in range(2):
            assert moved(gate) == 2
        assert (pid_of(one), pid_of(two)) == pids
        assert two.execute("SELECT n FROM mine").fetchone() == (42,)
        with console(gate) as db:
            rows = db.execute("SELECT pid, upgrades, tls_version, ssl, version, upstream_user FROM pgseal_sessions "
                              "JOIN pg_stat_ssl USING (pid) WHERE upgrades > 0 ORDER BY pid").fetchall()
        assert rows == [(pid, 2, "TLSv1.3", True, "TLSv1.3", "alice") for pid in sorted(pids)]


def metrics(gate):
    address = gate.settings["http_listen"]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        rows = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


def test_what_was_counted(gate, certs):
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(conninfo(gate, certs).replace(certs.ca_file, certs.foreign_file))
    with connected(gate, certs) as db:
        with console(gate) as asked:
            failures = asked.execute("SELECT * FROM pgseal_failures ORDER BY 1, 2").fetchall()
            hits = asked.execute("SELECT sum(hits) FROM pgseal_rules").fetchone()[0]
        run.wait_until(lambda: metrics(gate)["pgseal_connections"] == 1, "the console's end")
        before = metrics(gate)
        assert moved(gate) == 1
        after = metrics(gate)
        assert pid_of(db)
        with console(gate) as asked:
            assert asked.execute("SELECT sum(hits) FROM pgseal_rules").fetchone()[0] >= hits
            assert asked.execute("SELECT * FROM pgseal_failures ORDER BY 1, 2").fetchall() == failures != []
    same = ("pgseal_connections_total", "pgseal_startups_total", "pgseal_handshake", "pgseal_connect_seconds",
            "pgseal_connections", "pgseal_received", "pgseal_sessions{", "pgseal_rule_hits_total", "pgseal_start_time")
    differ = {name: (value, after.get(name)) for name, value in before.items() if name.startswith(same)
              and value != after.get(name, 0) and "greet" not in name}
    assert not differ and before["pgseal_connections"] == 1


def busy(server, words):
    """A backend that is executing such a statement."""
    with server.admin("app") as db:
        run.wait_until(lambda: db.execute("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s "
                                          "AND pid <> pg_backend_pid()", [words]).fetchone(), words)


def test_in_a_query_and_in_a_transaction(gate, certs, server):
    results = []
    with connected(gate, certs) as waiting, connected(gate, certs) as between, server.admin("app") as lock:
        lock.execute("SELECT pg_advisory_lock(7)")
        thread = threading.Thread(target=lambda: results.append(
            waiting.execute("SELECT pg_advisory_lock(7), repeat('x', 3000000)").fetchone()[1]))
        thread.start()
        busy(server, "SELECT pg_advisory_lock(7), repeat%")
        between.execute("BEGIN")
        with between.cursor("portal") as cursor:
            cursor.execute("SELECT * FROM generate_series(1, 1000)")
            first = cursor.fetchmany(10)
            assert moved(gate) == 2
            lock.execute("SELECT pg_advisory_unlock(7)")
            thread.join(run.PATIENCE)
            assert results == ["x" * 3000000]
            assert first + cursor.fetchall() == [(n,) for n in range(1, 1001)]
        between.execute("COMMIT")


@pytest.mark.parametrize("gate", ["tls", "unix"], indirect=True)
def test_in_a_copy(gate, certs):
    with connected(gate, certs) as out, connected(gate, certs) as into:
        into.execute("TRUNCATE taken")
        sum_out = 0
        with out.cursor().copy(f"COPY (SELECT n, repeat('y', 500) FROM generate_series(1, {ROWS}) n) TO STDOUT") as copy, \
                into.cursor().copy("COPY taken FROM STDIN") as taking:
            for n, row in enumerate(copy.rows(), 1):
                sum_out += int(row[0])
                taking.write_row((n,))
                if n in (1000, ROWS // 2):
                    assert moved(gate) == 2
        assert sum_out == ROWS * (ROWS + 1) // 2
        assert into.execute("SELECT count(*), sum(n) FROM taken").fetchone() == (ROWS, ROWS * (ROWS + 1) // 2)


def test_who_listens(gate, certs, server):
    with connected(gate, certs) as db, server.admin("app") as other:
        db.execute("LISTEN news")
        assert moved(gate) == 1
        other.execute("NOTIFY news, 'after'")
        assert next(db.notifies()).payload == "after"


def test_psql_waits_at_its_prompt(gate, certs, debian):
    psql = subprocess.Popen([debian.tool("psql"), "-XAtq", conninfo(gate, certs)], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with psql:
        psql.stdin.write("SELECT 'before';\n")
        psql.stdin.flush()
        assert psql.stdout.readline() == "before\n"
        assert moved(gate) == 1
        out, err = psql.communicate("SELECT 'after';\n\\conninfo\n", run.PATIENCE)
        assert out.startswith("after\n") and not err


def test_replication(gate, certs, server, debian, tmp_path):
    slot = f"s{gate.port}"
    with server.admin("app") as db:
        db.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [slot])
        path = tmp_path / "changes"
        receiver = subprocess.Popen([debian.tool("pg_recvlogical"), "--dbname", conninfo(gate, certs, user="postgres"),
                                     "--slot", slot, "--start", "--no-loop", "--fsync-interval=0", "-f", str(path)],
                                    stderr=subprocess.PIPE, text=True)
        try:
            def active():
                return db.execute("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s AND active",
                                  [slot]).fetchone()

            before = run.wait_until(active, "the receiver")
            for n in (1111, 2222):
                assert moved(gate) == 1
                db.execute("INSERT INTO taken VALUES (%s)", [n])
                run.wait_until(lambda: path.exists() and f"n[integer]:{n}" in path.read_text(), "the change")  # noqa: B023
            assert active() == before and receiver.poll() is None
        finally:
            receiver.send_signal(signal.SIGINT)
            receiver.communicate()
        run.wait_until(lambda: not active(), "the receiver to leave")
        db.execute("SELECT pg_drop_replication_slot(%s)", [slot])


def fails_later(db, sql, errors):
    """A thread that runs a statement; how it failed comes into `errors`."""
    def execute():
        try:
            db.execute(sql)
        except psycopg.Error as e:
            errors.append(e.sqlstate)

    thread = threading.Thread(target=execute)
    thread.start()
    return thread


def test_cancel_and_terminate(gate, certs, server):
    errors = []
    with connected(gate, certs) as db:
        pid = pid_of(db)
        for how in (lambda: db.cancel(), lambda: between.execute("SELECT pg_cancel_backend(%s)", [pid])):  # noqa: B023
            thread = fails_later(db, "SELECT pg_sleep(600), 'long'", errors)
            busy(server, "SELECT pg_sleep(600)%")
            assert moved(gate) == 1
            with console(gate) as between:
                how()
            thread.join(run.PATIENCE)
        assert errors == ["57014", "57014"] and pid_of(db) == pid
        with console(gate) as admin:
            assert admin.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone() == (True,)
        with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
            db.execute("SELECT 1")


def test_what_cannot_move_stays(gate, certs, server):
    """TLS 1.2 is OpenSSL's: such a session lives on in the process before."""
    with psycopg.connect(conninfo(gate, certs) + " ssl_max_protocol_version=TLSv1.2", autocommit=True) as old, \
            connected(gate, certs) as new:
        before, pids = newest(gate), (pid_of(old), pid_of(new))
        mark = gate.log.mark()
        assert "1 session moved" in (said := upgrade(gate)) and "1 stay" in said
        assert 'reason="TLS version older than 1.3" count=1' in gate.words(mark)
        assert (pid_of(old), pid_of(new)) == pids
        assert before in run.children(gate.process.pid)
        errors = []

        def wait_long():
            try:
                old.execute("SELECT pg_sleep(600), 'stays'")
            except psycopg.Error as e:
                errors.append(e.sqlstate)

        thread = threading.Thread(target=wait_long)
        thread.start()
        busy(server, "SELECT pg_sleep(600), 'stays'%")
        upgrade(gate)
        upgrade(gate)
        old.cancel()            # over the link, to a process long before
        thread.join(run.PATIENCE)
        assert errors == ["57014"]
        mark = gate.log.mark()
        with Conn(gate) as c:
            c.raw_send(cancel_request(pids[0], b"none"))
            assert c.rest() is not None
        gate.log.wait_for("event=cancel_ignored", mark)
        upgrade(gate)
        assert (pid_of(old), pid_of(new)) == pids
    alone(gate)


@contextlib.contextmanager
def staying(gate, certs, **how):
    """A session that cannot move."""
    with psycopg.connect(conninfo(gate, certs, **how) + " ssl_max_protocol_version=TLSv1.2", autocommit=True) as db:
        yield db


def test_who_stays_is_shown_and_signaled(gate, certs, server):
    """The new process asks those before it, however many they are, and adds up what they say."""
    errors = []

    def wait_long(db):
        try:
            db.execute("SELECT pg_sleep(600), 'stays here'")
        except psycopg.Error as e:
            errors.append(e.sqlstate)

    with staying(gate, certs) as first, connected(gate, certs) as new:
        one = newest(gate)
        assert "1 staying" in upgrade(gate)
        with staying(gate, certs, user="postgres") as second:
            two = newest(gate)
            assert "1 staying" in upgrade(gate)
            pids = {pid_of(first): one, pid_of(second): two, pid_of(new): newest(gate)}
            assert len(set(pids.values())) == 3
            with console(gate) as db:
                rows = db.execute("SELECT pid, process, tls_version, upgrades, user_name, client_addr IS NULL, worker >= 0, "
                                  "now() - connected_at < '1 hour', step FROM pgseal_sessions WHERE database = 'app' "
                                  "ORDER BY upgrades, user_name").fetchall()
                assert [(row[0], row[1]) for row in rows[:2]] == [(pid_of(first), one), (pid_of(second), two)]
                assert [row[2:] for row in rows] == [("TLSv1.2", 0, "alice", False, True, True, "relay"),
                                                     ("TLSv1.2", 0, "postgres", False, True, True, "relay"),
                                                     ("TLSv1.3", 2, "alice", False, True, True, "relay")]
                assert rows[2][:2] == (pid_of(new), newest(gate))
                assert db.execute("SELECT usename, version, bits FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = %s",
                                  [pid_of(second)]).fetchone() == ("postgres", "TLSv1.2", 256)
                before = metrics(gate)
                assert before['pgseal_sessions{step="relay",tls_version="TLSv1.2"}'] == 2
                assert before["pgseal_connections"] == 4            # this one, too
                first.execute("SELECT repeat('x', 100000)")
                assert metrics(gate)["pgseal_sent_bytes_total"] - before["pgseal_sent_bytes_total"] > 100000
                thread = threading.Thread(target=wait_long, args=(first,))
                thread.start()
                busy(server, "SELECT pg_sleep(600), 'stays here'%")
                assert db.execute("SELECT pg_cancel_backend(%s)", [first.info.backend_pid]).fetchone() == (True,)
                thread.join(run.PATIENCE)
                assert errors == ["57014"]
                assert db.execute("SELECT pg_terminate_backend(%s)", [pid_of(second)]).fetchone() == (True,)
                with pytest.raises(psycopg.OperationalError, match="due to administrator command"):
                    second.execute("SELECT 1")
                assert db.execute("SELECT pg_terminate_backend(2147483000)").fetchone() == (False,)
        run.wait_until(lambda: two not in run.children(gate.process.pid), "the second process to end")
        counted = metrics(gate)
        first.execute("SELECT repeat('x', 100000)")
        assert pid_of(first)
        sent = counted["pgseal_sent_bytes_total"]
        assert sent >= before["pgseal_sent_bytes_total"]            # what it had counted is not lost with it
    alone(gate)
    after = metrics(gate)
    assert after["pgseal_sent_bytes_total"] - sent > 100000         # told at the end, unasked
    assert after.get('pgseal_sessions{step="relay",tls_version="TLSv1.2"}', 0) == 0


def test_who_stays_belongs_to_its_user(gate, certs):
    """Others see neither its rows nor signal it."""
    with staying(gate, certs) as db, connected(gate, certs, user="bob", dbname="pgseal") as early:
        pid = db.info.backend_pid
        assert early.execute("SELECT 1").fetchone() == (1,)
        upgrade(gate)
        with connected(gate, certs, user="bob", dbname="pgseal") as other:
            assert other.execute("SELECT count(*) FROM pgseal_sessions WHERE pid = %s", [pid]).fetchone() == (0,)
            assert other.execute("SELECT count(*) FROM pgseal_sessions").fetchone()[0] == 2      # both of bob's own
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert pid_of(db) == pid
    alone(gate)


def test_who_stays_and_does_not_answer(gate, certs):
    """Its rows are missing, and nothing else; when it answers, they are there again."""
    with staying(gate, certs) as db:
        before = newest(gate)
        upgrade(gate)
        ask = "SELECT count(*) FROM pgseal_sessions WHERE process = %s"
        with console(gate) as admin:
            assert admin.execute(ask, [before]).fetchone() == (1,)
            mark = gate.log.mark()
            os.kill(before, signal.SIGSTOP)
            try:
                assert admin.execute(ask, [before]).fetchone() == (0,)
                assert metrics(gate)["pgseal_connections"] == 1
                assert admin.execute(ask, [before]).fetchone() == (0,)
                assert gate.words(mark).count("event=elder_silent") == 1
            finally:
                os.kill(before, signal.SIGCONT)
            run.wait_until(lambda: admin.execute(ask, [before]).fetchone() == (1,), "its rows")
        assert pid_of(db)
    alone(gate)


def test_a_login_under_way(gate, certs):
    with Conn(gate) as c:
        upgrade(gate)               # it has not said anything yet
        c.ready(PASSWORDS["alice"])
        assert c.value("SELECT 1") == "1"
    alone(gate)


PREPARES = "while link.recv(65536)[:1] != b'E': pass\nlink.send(b'P')\n"
TAKES_ALL = PREPARES + "while link.recv(65536)[:1] != b'D': pass\n"
STOPS = "os.kill(os.getpid(), signal.SIGSTOP)"
BEATS = "import time\nfor n in range({n}):\n    time.sleep(0.05)\n    link.send(b'h')\n"


@pytest.mark.parametrize("does, reason", [
    (TAKES_ALL + "signal.pause()", "stopped while it took the sessions over"),
    (TAKES_ALL + STOPS, "stopped while it took the sessions over"),
    (PREPARES + STOPS, "stopped while it took the sessions over"),
    (TAKES_ALL + BEATS.format(n=20) + "link.send(b'!slow, but alive')\nsignal.pause()", "slow, but alive"),
    (TAKES_ALL + BEATS.format(n=1000), "the new program did not answer in time"),
    (TAKES_ALL + "os.kill(os.getpid(), signal.SIGKILL)", "terminated by signal 9|ended before it took over"),
    (TAKES_ALL + "link.send(b'!no room for one of them')\nsignal.pause()", "no room for one of them"),
], ids=["hangs", "stops", "stops early", "slow", "never ready", "dies", "refuses"])
def test_a_successor_that_has_all_sessions(gate, certs, server, does, reason):
    """It has their keys, and is never told to begin: they go on here, in the middle of a statement."""
    results = []
    with connected(gate, certs) as db, connected(gate, certs) as waiting, server.admin("app") as lock:
        pids = pid_of(db), pid_of(waiting)
        lock.execute("SELECT pg_advisory_lock(8)")
        thread = threading.Thread(target=lambda: results.append(
            waiting.execute("SELECT pg_advisory_lock(8), 'held'").fetchone()[1]))
        thread.start()
        busy(server, "SELECT pg_advisory_lock(8), 'held'%")
        before = newest(gate)
        assert re.search(reason, upgrade(gate, "--binary", speaker(gate, does), status=1))
        lock.execute("SELECT pg_advisory_unlock(8)")
        thread.join(run.PATIENCE)
        assert results == ["held"] and (pid_of(db), pid_of(waiting)) == pids
        run.wait_until(lambda: newest(gate) == before, "the successor to end")
        assert moved(gate) == 2 and (pid_of(db), pid_of(waiting)) == pids


def test_a_cancel_request_in_front_of_commit(make_gate, certs, server, scratch, monkeypatch, pytestconfig):
    """The old process has forgotten the session already, and the new one has not begun: the request waits for it."""
    page = os.path.join(scratch, "holdcommit")
    with open(page, "w+b") as f:
        f.write(bytes(2))
        f.flush()
        hold = mmap.mmap(f.fileno(), 2)
    monkeypatch.setenv("HOLDCOMMIT", page)
    monkeypatch.setenv("LD_PRELOAD", os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/holdcommit.so"))
    g = make_gate(upstream=f"host={server.socket_dir} port={server.port}", hba=HBA, tls={"cert": certs.server},
                  settings={"workers": "1"})
    monkeypatch.delenv("LD_PRELOAD")
    errors = []

    def hold_on():
        """With all handed over the old process waits, and takes a cancel request."""
        run.wait_until(lambda: hold[1], "COMMIT to wait")
        mark = g.log.mark()
        cancel = threading.Thread(target=db.cancel)
        cancel.start()
        g.log.wait_for("event=connection_received", mark)
        for _ in range(3):          # its only worker has read what came before this
            with socket.create_connection(("127.0.0.1", g.port)) as s:
                s.sendall(SSL_REQUEST)
                assert s.recv(1) == b"S"
        assert cancel.is_alive()
        return cancel

    with connected(g, certs) as db:
        thread = fails_later(db, "SELECT pg_sleep(600), 'in front'", errors)
        busy(server, "SELECT pg_sleep(600), 'in front'%")
        hold[0] = 1
        with subprocess.Popen([g.program, "upgrade", "-D", g.dir], stdout=subprocess.PIPE, text=True) as asked:
            try:
                cancel = hold_on()
            except BaseException:
                db.pgconn.finish()
                raise
            finally:
                hold[0] = 0
            thread.join(run.PATIENCE)
            cancel.join(run.PATIENCE)
            assert "1 session moved" in asked.communicate()[0] and asked.returncode == 0
        assert errors == ["57014"] and "event=cancel_ignored" not in g.words()
        assert pid_of(db)


def test_told_to_stop_meanwhile(make_gate, certs):
    g = make_gate(hba=HBA, tls={"cert": certs.server})
    with connected(g, certs) as db:
        assert pid_of(db)
        with subprocess.Popen([g.program, "upgrade", "-D", g.dir, "--binary", speaker(g, TAKES_ALL + "signal.pause()")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
            assert "checks" in asked.stdout.readline() and "starts" in asked.stdout.readline()
            g.kill(signal.SIGTERM)
            assert "not upgraded" in asked.communicate()[1] and asked.returncode == 1
        assert g.process.wait(run.PATIENCE) == 0        # its sessions ended, when they were idle
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            db.execute("SELECT 1")
