"""
The clerk: a statement of the status database that hangs, is killed or wants all the memory costs itself alone.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import psycopg
import pytest

from lib import run
from lib.pg import PASSWORDS
from lib.wire import Conn
from test_http import ask as ask_http
from test_secrets import places

HBA = """\
local   all      all                 trust
host    app      alice 127.0.0.1/32  scram-sha-256
host    pgseal   all   127.0.0.1/32  trust
"""


def text_of(n):
    """An SQL text of n thousand letters."""
    return f"replace('{'a' * 1000}', 'a', '{'a' * n}')"


# The time grows with the square of the text, and SQLite's clock is not looked at meanwhile.
HANGS = f"SELECT {text_of(1000)} ~ 'a(?=.*b)'"


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    port = run.free_port()
    g = server_factory("gate", hba=HBA, tls={"cert": certs.server},
                       settings={"admin_users": "alice", "http_listen": f"127.0.0.1:{port}"})
    g.http_port = port
    return g


def connect(gate, user="alice", **more):
    return psycopg.connect(host="127.0.0.1", port=gate.port, user=user, dbname="pgseal", sslmode="disable",
                           autocommit=True, **more)


def clerk(gate):
    """The one that is there; one that has just been killed may still be leaving."""
    pids = []

    def there():
        pids[:] = run.clerk_pids(gate.process.pid)
        return len(pids) == 1

    run.wait_until(there, "one clerk")
    return pids[0]


@contextlib.contextmanager
def in_background(gate, sql, user="alice", **more):
    """Run a statement in a thread; yields a list that receives the error it ends with, or its rows."""
    said = []

    def work():
        with connect(gate, user, **more) as db:
            try:
                said.append(db.execute(sql).fetchall())
            except psycopg.Error as e:
                said.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield said
    finally:
        thread.join(60)
        assert not thread.is_alive()


def busy(pid):
    """It computes: its CPU time grows."""
    def ticks():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return sum(int(n) for n in f.read().rpartition(")")[2].split()[11:13])
    before = ticks()
    run.wait_until(lambda: ticks() > before + 10, "the clerk to be busy")


# -- what it is --------------------------------------------------------------------------------------------------
def test_the_clerk_has_nothing_but_its_socket(gate):
    with connect(gate) as db:
        assert db.execute("SELECT count(*) > 10 FROM pg_settings WHERE name ~ '^s'"
                          ).fetchone() == (True,)
    pid = clerk(gate)
    fds = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    if run.sanitized(gate.program):
        pytest.skip("a build with a sanitizer is not confined")
    assert set(fds) == {0, 1, 2, 3}, fds
    assert [fds[i] for i in range(3)] == ["/dev/null"] * 3 and fds[3].startswith("socket:"), fds
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        status = dict(re.findall(r"^(\w+):\s*(.*)$", f.read(), re.M))
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and status["Threads"] == "1"
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        limits = f.read()
    assert re.search(r"Max address space +2147483648 +2147483648", limits), limits
    assert re.search(r"Max cpu time +\d+ ", limits), limits
    assert {name.split("=")[0] for name in open(f"/proc/{pid}/environ").read().split("\0")} <= {""}


def test_no_key_is_in_the_clerk(gate, certs):
    """Its memory is its own: neither the server's key nor a client's secret was ever there."""
    if run.sanitized(gate.program):
        pytest.skip("a sanitizer maps terabytes, and keeps what was freed")
    with connect(gate) as db:
        db.execute("SELECT count(*) FROM pgseal_certificates").fetchone()
    key = certs.server.key.private_numbers()
    secret = getattr(key, "private_value", None) or key.d
    needle = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
    assert places(gate.pid, needle[::-1]), "the search does not find the gate's own key"
    for form in (needle, needle[::-1], PASSWORDS["alice"].encode()):
        assert not places(clerk(gate), form)


# -- what a statement can do --------------------------------------------------------------------------------------
def others_go_on(gate):
    """A session in the application's database, metrics and readiness, while the status database is kept busy."""
    with Conn(gate) as c:
        c.start_tls()
        c.ready(PASSWORDS["alice"])
        assert c.value("SELECT 'served'") == "served"
    assert ask_http(gate.http_port, "/metrics")[0] == 200
    assert ask_http(gate.http_port, "/readyz")[0] == 200


@pytest.mark.parametrize("setup, words", [
    ("", "the status database's time limit"),
    ("SET statement_timeout = '700ms'", "statement timeout"),
])
def test_a_statement_that_hangs_ends_in_time(gate, setup, words):
    with connect(gate) as db:
        db.execute(setup or "SELECT 1")
        pid, since = clerk(gate), gate.log.mark()
        with pytest.raises(psycopg.errors.QueryCanceled, match=words):
            db.execute(HANGS)
        assert db.execute("SELECT 1").fetchone() == (1,)    # the session goes on, in another clerk
        assert clerk(gate) != pid
        gate.log.wait_for("event=clerk_replaced .*exceeded its time limit", since)


def test_others_notice_nothing_of_one_that_hangs(gate):
    with connect(gate) as db, in_background(gate, HANGS) as said:
        busy(clerk(gate))
        others_go_on(gate)
        assert not said
        assert db.execute("SELECT 'queued'").fetchone() == ("queued",)
    assert isinstance(said[0], psycopg.errors.QueryCanceled), said


def test_one_that_hangs_is_canceled_at_once(gate):
    with connect(gate) as db:
        pid, canceler = clerk(gate), threading.Thread(target=lambda: (busy(pid), db.cancel()))
        canceler.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            db.execute(HANGS)
        canceler.join()
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_one_whose_client_has_gone_is_killed(gate):
    with contextlib.closing(connect(gate)) as db:
        pid = clerk(gate)
        db.pgconn.send_query(HANGS.encode())
        busy(pid)
        db.close()
    run.wait_until(lambda: pid not in run.clerk_pids(gate.process.pid), "the clerk to be killed")


@pytest.mark.parametrize("sql", [
    # replace() makes ever longer texts, of pieces that all match.
    "SELECT length(" + "replace(" * 12 + f"'{'a' * 500}'" + f", 'a', '{'a' * 500}')" * 12 + ")",
    f"SELECT count(*) FROM generate_series(1, 1000000) x(g) WHERE replace({text_of(900)} || g::text, 'a', 'b') = ''",
    f"SELECT count(strpos({text_of(900)} || g::text, {text_of(400)} || 'b')) FROM generate_series(1, 100) x(g)",
    f"WITH RECURSIVE t(n, s) AS (SELECT 1, {text_of(900)} UNION ALL SELECT n + 1, s || n::text FROM t WHERE n < 100000)"
    " SELECT count(*) FROM (SELECT s FROM t ORDER BY s) q",
    f"SELECT string_agg({text_of(1000)}, '') FROM generate_series(1, 100000)",
], ids=["long", "often", "strpos", "sort", "aggregate"])
def test_one_that_wants_memory_and_time(gate, sql):
    with open(f"/proc/{gate.pid}/statm", encoding="ascii") as f:
        before = int(f.read().split()[1])
    with connect(gate) as db:
        with pytest.raises(psycopg.Error) as e:
            db.execute(sql)
        assert e.value.sqlstate in ("53200", "54000", "57014"), e.value
        assert db.execute("SELECT 1").fetchone() == (1,)
    others_go_on(gate)
    with open(f"/proc/{gate.pid}/statm", encoding="ascii") as f:
        assert int(f.read().split()[1]) - before < 64 << 20 >> 12


def test_prepared_statements_are_bounded(gate):
    """10,000 of them: the gate keeps their texts, up to 4 MB a session, and the clerk nothing."""
    with open(f"/proc/{gate.pid}/statm", encoding="ascii") as f:
        before = int(f.read().split()[1])
    with connect(gate) as db:
        pg, made = db.pgconn, 0
        for i in range(10000):
            got = pg.prepare(b"s%d" % i, b"SELECT pid, $1::text, version FROM pg_stat_ssl WHERE pid = %d" % i)
            if got.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                assert got.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"54000", got.error_message
                break
            made += 1
        assert 1000 < made < 10000
        with open(f"/proc/{gate.pid}/statm", encoding="ascii") as f:
            assert int(f.read().split()[1]) - before < 16 << 20 >> 12
        assert pg.exec_prepared(b"s%d" % (made - 1), [b"x"]).status == psycopg.pq.ExecStatus.TUPLES_OK
        db.execute("DEALLOCATE ALL")
        assert pg.prepare(b"s0", b"SELECT 1").status == psycopg.pq.ExecStatus.COMMAND_OK
    others_go_on(gate)


# -- the clerk is killed ------------------------------------------------------------------------------------------
def kill_clerk(gate):
    pid = clerk(gate)
    os.kill(pid, signal.SIGKILL)
    run.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the clerk to be gone, its socket too")


def test_killed_while_idle_costs_nothing_but_its_cursors(gate):
    with connect(gate) as db, connect(gate) as other:
        db.execute("BEGIN")
        db.execute("DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 10)")
        assert db.execute("FETCH 2 FROM c").fetchall() == [(1,), (2,)]
        assert other.pgconn.prepare(b"p", b"SELECT 40 + 2").status == psycopg.pq.ExecStatus.COMMAND_OK
        kill_clerk(gate)
        assert other.pgconn.exec_prepared(b"p", []).get_value(0, 0) == b"42"
        with pytest.raises(psycopg.errors.InvalidCursorName, match='cursor "c" does not exist'):
            db.execute("FETCH 1 FROM c")
        db.execute("ROLLBACK")
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_killed_under_a_statement(gate):
    with connect(gate) as db, in_background(gate, HANGS) as said:
        pid = clerk(gate)
        busy(pid)
        os.kill(pid, signal.SIGKILL)
        assert db.execute("SELECT 'next'").fetchone() == ("next",)
    assert said[0].sqlstate == "55000" and "lost the process" in str(said[0]), said
    others_go_on(gate)


def test_stopped_under_a_statement(gate):
    """One that does not even use its time."""
    with connect(gate) as db:
        db.execute("SET statement_timeout = '200ms'")
        os.kill(clerk(gate), signal.SIGSTOP)
        with pytest.raises(psycopg.errors.QueryCanceled):
            db.execute("SELECT 1")
        assert db.execute("SELECT 2").fetchone() == (2,)


def test_killed_between_two_reports(gate):
    def report():
        return ask_http(gate.http_port, "/status.json")

    assert report()[0] == 200
    kill_clerk(gate)
    run.wait_until(lambda: report()[0] == 200 and run.clerk_pids(gate.process.pid), "a report from the next one")


# -- stopping -----------------------------------------------------------------------------------------------------
def test_fast_stop_does_not_wait_for_a_statement(make_gate):
    g = make_gate(hba=HBA)
    with contextlib.closing(connect(g)) as db:
        pid = clerk(g)
        db.pgconn.send_query(HANGS.encode())
        busy(pid)
        assert g.stop(signal.SIGINT) == 0
        text = g.log.text()
        asked, ended = (re.search(rf"^(\S+ \S+) UTC .*event={event} ", text, re.M).group(1)
                        for event in ("stop", "stopped"))
        spent = (time.mktime(time.strptime(ended[:19], "%Y-%m-%d %H:%M:%S"))
                 - time.mktime(time.strptime(asked[:19], "%Y-%m-%d %H:%M:%S")))
        assert spent < 5, text          # a statement may take longer than that
    with pytest.raises(FileNotFoundError):
        run.command_line(pid)


def test_the_clerk_is_nobodys_command(gate):
    got = subprocess.run([gate.program, "clerk"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                         check=False)
    assert got.returncode == 2 and "serve" in got.stderr
