"""
A gate that stops: who is still let in, whose turn it is when, and that whatever a client has sent before it is told to go
is answered.
"""

import contextlib
import os
import re
import signal
import struct

import pytest

from lib import run, wire
from lib.wire import Conn, fatal, message, query, startup
from test_http import ask

HBA = "local all all trust\nhost app all 127.0.0.1/32 trust\n"
SHUTDOWN = fatal("57P01", "terminating connection due to administrator command")


@pytest.fixture
def gate(make_gate):
    def made(**settings):
        return make_gate(hba=HBA, settings={"http_listen": f"127.0.0.1:{run.free_port()}", "drain_timeout": "120s",
                                            **settings})
    return made


def page(gate, path):
    return ask(int(gate.settings["http_listen"].split(":")[1]), path)[0::2]


def metric(gate, name):
    return int(re.search(rf"^{re.escape(name)} (\d+)$", page(gate, "/metrics")[1], re.M).group(1))


def ended(gate):
    """How the sessions of a gate that has ended did: idle, cut, left by their clients."""
    assert gate.process.wait(run.PATIENCE) == 0
    gate.process = None
    return tuple(map(int, re.search(r"event=drained .*idle=(\d+) cut=(\d+) client=(\d+)", gate.log.text()).groups()))


def pipelined(*parts):
    """Extended protocol without a Sync."""
    return b"".join(message("P", b"\0" + sql.encode() + b"\0\0\0") + message("B", struct.pack("!xxHHH", 0, 0, 0)) +
                    message("E", b"\0\0\0\0\0") for sql in parts)


# -- shutdown_delay -------------------------------------------------------------------------------------------------------
def test_while_the_delay_runs_everything_goes_on(gate):
    g = gate(shutdown_delay="1h")
    with Conn(g) as early:
        early.ready()
        g.kill(signal.SIGTERM)
        g.log.wait_for("received smart shutdown request.*accepting_s=3600")
        status, why = page(g, "/readyz")
        assert status == 503 and "draining" in why
        assert page(g, "/healthz")[0] == 200 and metric(g, "pgseal_ready") == 0
        g.kill(signal.SIGTERM)      # says nothing new
        assert "event=reloaded" in g.reload()
        with Conn(g) as late, Conn(g, unix=True) as console:
            late.ready()
            console.ready(database="pgseal")
            assert console.value("SELECT count(*) FROM pgseal_sessions WHERE draining") == "0"
            assert early.value("SELECT 1") == late.value("SELECT 1") == "1"
            assert g.log.text().count("event=stop ") == 1
            g.kill(signal.SIGINT)
            assert late.events() == early.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (0, 3, 0)


def test_behind_the_delay_the_gate_drains(gate):
    g = gate(shutdown_delay="1s")
    with Conn(g) as c:
        c.ready()
        g.kill(signal.SIGTERM)
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (1, 0, 0)


# -- what was sent before -------------------------------------------------------------------------------------------------
def test_what_was_sent_before_is_answered(gate, stack):
    """The gate hears of the stop and of a hundred queries at the same moment."""
    g = gate(drain_spread_time="0")
    clients = [stack.enter_context(Conn(g)).ready() for _ in range(100)]
    pid = g.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        g.kill(signal.SIGTERM)
        for i, c in enumerate(clients):
            c.send(query(f"SELECT {i}") * (1 + i % 3))
    finally:
        os.kill(pid, signal.SIGCONT)
    for i, c in enumerate(clients):
        for _ in range(1 + i % 3):
            events = c.events()
            assert ("D", struct.pack("!HI", 1, len(str(i))) + str(i).encode()) in events, (i, events)
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (100, 0, 0)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@contextlib.contextmanager
def holding(gate, number):
    """Somebody else has the advisory lock; yields how he lets it go."""
    with contextlib.closing(gate.upstream.admin("app")) as db:
        db.execute(f"SELECT pg_advisory_lock({number})")
        yield lambda: db.execute(f"SELECT pg_advisory_unlock({number})")


def waits(gate, number):
    run.wait_until(lambda: gate.upstream.query(
        f"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = {number} AND NOT granted"), "a lock wanted")


@pytest.mark.parametrize("sent, rest, answers", [
    (query("SELECT 1") + query("SELECT pg_advisory_xact_lock(7)"), b"", 1),
    (pipelined("SELECT 1") + message("S") + pipelined("SELECT pg_advisory_xact_lock(7)") + message("S"), b"", 1),
    (query("SELECT 1") + pipelined("SELECT pg_advisory_xact_lock(7)"), message("S"), 1),
    (query("SELECT pg_advisory_xact_lock(7)") + query("SELECT 1")[:3], query("SELECT 1")[3:], 0),
], ids=["queries", "syncs", "no sync yet", "part of a message"])
def test_a_pipeline_is_answered_to_its_end(gate, sent, rest, answers):
    g = gate(workers="1", drain_spread_time="0")
    with holding(g, 7) as let_go, Conn(g) as c, Conn(g) as other:
        c.ready()
        other.ready()
        c.send(sent)
        for _ in range(answers):
            assert c.events()[-1] == ("Z", "I")
        g.kill(signal.SIGTERM)
        assert other.events() == [SHUTDOWN, wire.EOF]       # so the turn of the first has come
        if rest:
            c.send(rest)
        waits(g, 7)
        let_go()
        assert [c.events()[-1] for _ in range(2 - answers)] == [("Z", "I")] * (2 - answers)
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (2, 0, 0)


def test_a_record_that_has_begun_to_come_is_waited_for(make_gate, certs):
    g = make_gate(hba=HBA, tls={"cert": certs.server}, settings={
        "drain_timeout": "120s", "drain_spread_time": "0", "workers": "1"})
    with Conn(g) as c, Conn(g) as other:
        c.start_tls()
        c.ready()
        other.ready()
        c.tls.write(query("SELECT 'whole'"))
        record = c.outgoing.read()
        c.raw_send(record[:20])
        g.kill(signal.SIGTERM)
        assert other.events() == [SHUTDOWN, wire.EOF]
        c.raw_send(record[20:])
        assert c.events()[-1] == ("Z", "I")
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (2, 0, 0)


def test_after_copy_a_session_is_idle_again(gate):
    """A Sync that came with the Execute of a COPY FROM STDIN is never answered."""
    g = gate()
    with Conn(g) as c:
        c.ready()
        c.ask("CREATE TEMP TABLE t (a int)")
        c.send(pipelined("COPY t FROM STDIN") + message("S"))
        assert c.events(until=("G",))[-1][0] == "G"
        c.send(message("d", b"1\n2\n") + message("c") + message("S"))
        assert c.events()[-1] == ("Z", "I")
        assert c.value("SELECT count(*) FROM t") == "2"
        g.kill(signal.SIGTERM)
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (1, 0, 0)


@pytest.mark.parametrize("copy, answers", [
    (query("COPY t FROM STDIN") + message("d", b"1\n2\n") + message("c"), 1),
    (pipelined("COPY t FROM STDIN") + message("S") + message("d", b"1\n2\n") + message("c") + message("S"), 1),
    (pipelined("COPY t FROM STDIN") + message("S") + message("d", b"bad\n") + message("S"), 1),
    ((pipelined("COPY t FROM STDIN") + message("S") + message("d", b"1\n") + message("c") + message("S")) * 2, 2),
], ids=["query", "execute", "error", "two"])
def test_a_query_behind_a_copy_is_answered(gate, copy, answers):
    """Sent with it, before anything of it was answered; and then the session is idle."""
    g = gate(workers="1", drain_spread_time="0")
    with Conn(g) as c, Conn(g) as other, holding(g, 9) as let_go:
        c.ready()
        other.ready()
        c.ask("CREATE TEMP TABLE t (a int)")
        c.send(copy + query("SELECT pg_advisory_xact_lock(9)"))
        waits(g, 9)
        for _ in range(answers):
            assert c.events()[-1] == ("Z", "I")
        g.kill(signal.SIGTERM)
        assert other.events() == [SHUTDOWN, wire.EOF]       # so the turn of the first has come
        let_go()
        assert c.events()[-1] == ("Z", "I")
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (2, 0, 0)


# -- whose turn it is -----------------------------------------------------------------------------------------------------
def test_who_listens_is_idle(gate):
    """Though a notification, and not ReadyForQuery, was the last it heard, alone or with the answer."""
    g = gate()
    with Conn(g) as one, Conn(g) as two:
        for c in (one, two):
            c.ready()
            c.ask("LISTEN news")
        one.ask("BEGIN")
        one.ask("NOTIFY news, 'first'")
        one.send(query("COMMIT"))
        assert "first" in str(two.events(until=("A",))) and "first" in str(one.events())
        two.ask("NOTIFY news, 'second'")
        one.events(until=("A",))
        g.kill(signal.SIGTERM)
        for c in (one, two):
            assert [e for e in c.events() if e[0] != "A"] == [SHUTDOWN, wire.EOF]
    assert ended(g) == (2, 0, 0)


def test_replication_ends_as_if_it_were_idle(make_gate):
    """It has no end of its own, and would hold the gate until drain_timeout; the standby connects again where it can."""
    g = make_gate(hba="local all all trust\nhost replication repl 127.0.0.1/32 trust\n", settings={"drain_timeout": "3600s"})
    with Conn(g) as c, Conn(g) as idle:
        for each in (c, idle):
            each.ready(user="repl", database=None, replication="true")
        c.send(query(f"START_REPLICATION PHYSICAL {g.upstream.query('SELECT pg_current_wal_flush_lsn()')[0][0]}"))
        c.events(until=("W",))
        c.send(message("d", b"r" + bytes(32) + b"\1"))     # a standby's status, and a wish to hear of the server
        c.events(until=("d",))
        g.kill(signal.SIGTERM)
        assert [e for e in c.events() if e[0] != "d"] == [SHUTDOWN, wire.EOF]
        assert idle.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (2, 0, 0)


def test_the_longest_idle_ends_first(gate, stack):
    g = gate(workers="1")
    clients = [stack.enter_context(Conn(g)).ready() for _ in range(12)]
    order = clients[1::2] + clients[::2][::-1]
    for c in order:
        c.ask("SELECT pg_sleep(0.003)")
    since = g.log.mark()
    g.kill(signal.SIGTERM)
    for c in clients:
        assert c.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (12, 0, 0)
    ports = [int(port) for port in re.findall(r"event=terminated .*client=127\.0\.0\.1:(\d+)", g.log.text(since))]
    assert ports == [c.sock.getsockname()[1] for c in order]


def test_what_is_left_can_be_seen(gate):
    """In SQL by who is in a transaction, and over HTTP: with a shutdown_delay its listener stays to the end."""
    g = gate(shutdown_delay="1s")
    with Conn(g) as idle, Conn(g) as busy, Conn(g, unix=True) as console:
        idle.ready()
        busy.ready()
        console.ready(database="pgseal")
        busy.ask("BEGIN")
        console.ask("BEGIN")
        seen = "SELECT count(*) FROM pgseal_sessions WHERE draining"
        assert (console.value(seen), metric(g, "pgseal_draining_sessions")) == ("0", 0)
        g.kill(signal.SIGTERM)
        assert idle.events() == [SHUTDOWN, wire.EOF]
        run.wait_until(lambda: console.value(seen) == "2", "the idle session to be gone")
        assert page(g, "/healthz")[0] == 200 and page(g, "/readyz")[0] == 503
        assert metric(g, "pgseal_draining_sessions") == 2
        assert metric(g, 'pgseal_drained_sessions_total{result="idle"}') == 1
        console.send(query("COMMIT"))
        assert [e[0] for e in console.events()] == ["C", "Z"]
        assert console.events() == [SHUTDOWN, wire.EOF]
        busy.close()
    assert ended(g) == (2, 0, 1)


def test_who_is_at_work_is_cut_at_the_end(gate):
    g = gate(drain_timeout="1s")
    with Conn(g) as busy:
        busy.ready()
        busy.ask("BEGIN")
        g.kill(signal.SIGTERM)
        assert busy.events() == [SHUTDOWN, wire.EOF]
    assert ended(g) == (0, 1, 0)
    assert "event=drain_timeout" in g.log.text() and " left=1" in g.log.text()


def test_who_logs_in_goes_to_the_next_host(gate):
    """57P03 is the one code at which libpq tries another host of its list."""
    g = gate()
    g.configure(hba="host app all 127.0.0.1/32 scram-sha-256\n")
    g.reload()
    with Conn(g) as c:
        c.send(startup())
        assert c.event()[:2] == ("R", 10)
        g.kill(signal.SIGTERM)
        assert c.events() == [fatal("57P03", "the database system is shutting down"), wire.EOF]
    assert ended(g) == (0, 0, 0)
