"""
The date jumps by years, forward and back, or the machine sleeps: deadlines are counted by a clock that does not,
sessions go on, and what depends on the date follows it.
"""

import concurrent.futures
import contextlib
import os
import signal
import threading
import time

import pytest

from lib import run
from lib.clock import Clock, environment
from lib.pg import PASSWORDS
from lib.wire import SSL_REQUEST, Closed, Conn, client_context, fatal, startup

ALICE = PASSWORDS["alice"]
HBA = "hostssl app carol 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n"
YEAR = 365 * 86400
TIMEOUT = 6             # for what the test does meanwhile, each within it


@pytest.fixture
def dated(make_gate, certs, scratch, factory, pytestconfig, monkeypatch):
    """make(**settings): (gate, the clock that rules its date)."""
    def make(**settings):
        path = os.path.join(scratch, f"clock{factory.count}")
        clock = Clock(path)
        factory.upstream()      # has the date it always had
        with monkeypatch.context() as m:
            for name, value in environment(pytestconfig.getoption("--build"), path).items():
                m.setenv(name, value)
            g = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings={
                "authentication_timeout": f"{TIMEOUT}s", "stats_users": "alice", **settings})
        return g, clock
    return make


def logged_in(gate, database="app", **who):
    with Conn(gate) as c:
        c.start_tls()
        c.ready(ALICE, database=database, **who)
        return c.value("SELECT 1") == "1"


def with_a_certificate(gate, files):
    """How the handshake of a client with a certificate ends."""
    context = client_context()
    context.load_cert_chain(*files)
    with Conn(gate) as c:
        try:
            c.start_tls(context)
            c.send(startup("carol"))
            return c.dialogue()[-1]
        except Closed as e:
            return e.how


def seconds_to_the_end(gate, stalls):
    """How long a client is borne that says no more than SSLRequest; the event tells that he stalls."""
    began = time.monotonic()
    with Conn(gate, timeout=run.PATIENCE) as stalled:
        stalled.raw_send(SSL_REQUEST)
        assert stalled.raw_exactly(1) == b"S"
        stalls.set()
        with contextlib.suppress(Closed):
            assert stalled.raw_recv() == b""
        return time.monotonic() - began


def seconds_through_a_jump(dated, certs, jump):
    """Everything goes on, and who stalls is ended: after how many seconds?"""
    g, clock = dated()
    files = certs.client("clock-carol", certs.ca.issue("carol"))
    assert with_a_certificate(g, files) == ("Z", "I")
    with contextlib.ExitStack() as stack:
        session, listener = (stack.enter_context(Conn(g)) for _ in "ab")
        for c in (session, listener):
            c.start_tls()
            c.ready(ALICE, database="app" if c is session else "pgseal")
        stalls = threading.Event()
        ends = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1)).submit(seconds_to_the_end, g, stalls)
        assert stalls.wait(run.PATIENCE)
        clock.off_by(jump)
        assert session.value("SELECT 'goes on'") == "goes on"
        for _ in range(20):     # what other threads answer is waited for
            assert int(listener.value("SELECT count(*) FROM pgseal_generations")) >= 1
        assert int(listener.value("SELECT count(*) FROM pgseal_sessions")) >= 2
        assert logged_in(g) and logged_in(g, "pgseal")
        assert "event=reloaded" in g.reload()
        # The certificate is not valid yet, or no more, on that date.
        assert with_a_certificate(g, files) == ("alert certificate expired" if jump > 0 else "alert bad certificate")
        seconds = ends.result()
        clock.off_by(0)
        assert session.value("SELECT 'still goes on'") == "still goes on"
        assert listener.value("SELECT 'and so does this'") == "and so does this"
        assert with_a_certificate(g, files) == ("Z", "I")
    assert g.process.poll() is None
    return seconds


jumps = pytest.mark.parametrize("jump", [10 * YEAR, -10 * YEAR, 500 * YEAR, -60 * YEAR],
                                ids=lambda s: f"{s // YEAR} years")


@jumps
def test_the_date_jumps(dated, certs, jump):
    seconds_through_a_jump(dated, certs, jump)


@pytest.mark.clock
@jumps
def test_a_deadline_does_not_follow_the_date(dated, certs, jump):
    assert TIMEOUT - 0.1 < seconds_through_a_jump(dated, certs, jump) < 3 * TIMEOUT


def test_the_date_jumps_all_the_time(dated):
    """A date that changes between two looks at it harms nobody."""
    g, clock = dated()
    with Conn(g) as session, Conn(g) as status:
        session.start_tls()
        session.ready(ALICE)
        status.ready(ALICE, database="pgseal")
        for i in range(60):
            clock.off_by((-1) ** i * i * YEAR // 10)
            assert session.value("SELECT 1") == "1"
            assert int(status.value("SELECT count(*) FROM pg_stat_ssl")) >= 1
            assert logged_in(g)
    assert g.process.poll() is None


def durations(dated, database, jump):
    """Of one session during which the date jumps, in ms: as the log has it, and as the test has it, which is longer."""
    g, clock = dated()
    since = g.log.mark()
    began = time.monotonic()
    with Conn(g) as session:
        session.ready(ALICE, database=database)
        clock.off_by(jump)
        assert session.value("SELECT 1") == "1"
    lasted_ms = int(g.log.wait_for(r"event=disconnection .*session_ms=(-?\d+)", since).group(1))
    return lasted_ms, (time.monotonic() - began) * 1000


on_both = pytest.mark.parametrize("database", ["app", "pgseal"])
ten_years = pytest.mark.parametrize("jump", [10 * YEAR, -10 * YEAR], ids=lambda s: f"{s // YEAR} years")


@on_both
@ten_years
def test_a_duration_is_none_of_the_dates(dated, database, jump):
    assert 0 <= durations(dated, database, jump)[0] < YEAR * 1000


@pytest.mark.clock
@on_both
@ten_years
def test_a_duration_is_what_passed(dated, database, jump):
    lasted_ms, passed_ms = durations(dated, database, jump)
    assert 0 <= lasted_ms <= passed_ms


def test_a_role_expires_by_the_date(dated, factory):
    """valid until is judged by the gate's date where the gate judges; the cache is not kept longer for it."""
    behind = factory.postgres(hba="local all all trust\n")
    with behind.admin() as db:
        db.execute("ALTER ROLE alice VALID UNTIL '2031-01-01'")
    g, clock = dated(auth_source="query", auth_file=None, auth_user="postgres", auth_cache_ttl="1h",
                     **{"upstream.db2": f"host={behind.socket_dir} port={behind.port}"})
    assert logged_in(g, "db2")
    clock.off_by(10 * YEAR)
    with Conn(g) as c:
        c.start_tls()
        assert fatal("28P01", 'password authentication failed for user "alice"') in c.login(ALICE, database="db2")
    clock.off_by(0)
    assert logged_in(g, "db2")
    factory.stop(behind)


def asleep(pid):
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as f:
            states.append(f.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


def test_the_process_sleeps(make_gate, certs):
    """Longer than authentication_timeout: who was served is served, who stalled is cut, who waited gets in."""
    g, awake = (make_gate(hba=HBA, tls={"cert": certs.server}, settings={"authentication_timeout": f"{TIMEOUT}s"})
                for _ in "ab")
    with Conn(g) as session, Conn(g) as stalled, contextlib.ExitStack() as stack:
        session.start_tls()
        session.ready(ALICE)
        stalled.raw_send(SSL_REQUEST)
        assert stalled.raw_exactly(1) == b"S"
        os.kill(g.pid, signal.SIGSTOP)
        try:
            run.wait_until(lambda: asleep(g.pid), "all threads to stop")
            waiting = [stack.enter_context(Conn(g)) for _ in range(20)]
            seconds_to_the_end(awake, threading.Event())    # as long as authentication_timeout, by another gate
        finally:
            os.kill(g.pid, signal.SIGCONT)
        assert session.value("SELECT 'awake'") == "awake"
        for c in waiting:
            c.start_tls()
            assert c.ready(ALICE).value("SELECT 1") == "1"
        with contextlib.suppress(Closed):
            assert stalled.raw_recv() == b""
    run.wait_until(lambda: logged_in(g), "a login")
