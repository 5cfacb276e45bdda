"""
upstream_login_limit: no more sessions log in to one server at the same time, the others wait for their turn; and a
server that is full is asked again. About the gate alone.
"""

import collections
import contextlib
import os
import re
import signal
import struct
import threading

import pytest

from lib import run, wire
from lib.fake import Upstream
from lib.pg import PASSWORDS
from lib.storm import ANSWERED, storm
from lib.wire import EOF, Conn, fatal, message, startup

from test_http import Metrics

ALICE = PASSWORDS["alice"]
TRUST = "host all,replication all 127.0.0.0/8 trust\nlocal all all trust\n"
STORM = int(os.environ.get("PGSEAL_STORM", "300"))
SOURCES = [f"127.0.1.{i}" for i in range(1, 17)]
FULL = ("53300", "sorry, too many clients already")
READY = message("R", struct.pack("!I", 0)) + message("K", struct.pack("!II", 7, 7)) + message("Z", b"I")


def error(code, text, routine="InitProcess"):
    return message("E", f"SFATAL\0VFATAL\0C{code}\0M{text}\0R{routine}\0".encode() + b"\0")


class Slow:
    """A server on a unix socket that says what `answer(its number)` returns, when it is let."""

    def __init__(self, directory, answer=lambda number: READY, open=False):
        self.answer = answer
        self.places = threading.Semaphore(10000 if open else 0)
        self.gone = 0
        self.directory = directory
        self.upstream = Upstream(self._serve, directory)

    def _serve(self, upstream, sock):
        number = upstream.accepted
        upstream.startup(sock)
        self.places.acquire(timeout=60)
        said = self.answer(number)
        sock.sendall(said)
        if said.endswith(READY[-6:]):
            while sock.recv(4096):
                pass
        self.gone += 1

    def let(self, count=1):
        for _ in range(count):
            self.places.release()

    @property
    def asked(self):
        return self.upstream.accepted

    def conninfo(self):
        return f"host={self.directory} port=5432"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let(1000)
        self.upstream.listener.close()


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def slow(stack, tmp_path):
    count = iter(range(100))

    def make(*arguments, **named):
        directory = tmp_path / f"u{next(count)}"
        directory.mkdir(mode=0o755)
        return stack.enter_context(Slow(str(directory), *arguments, **named))

    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path.parent, 0o755)
    return make


@pytest.fixture
def gate(make_gate):
    def make(server, hba=TRUST, **settings):
        port = run.free_port()
        made = make_gate(upstream=server.conninfo() if isinstance(server, Slow) else server, hba=hba,
                         settings={"http_listen": f"127.0.0.1:{port}", "log_min_messages": "debug1",
                                   "workers": "2", **settings})
        made.metrics = Metrics(port)
        return made

    return make


def begin(gate, stack, source, **who):
    """A client that has sent its StartupMessage."""
    c = stack.enter_context(Conn(gate, source=source))
    c.send(startup(**who))
    return c


def is_served(c):
    return c.events()[-1] == ("Z", "I")


def waiting(gate):
    """How many sessions wait for their turn, as the gate shows it."""
    with Conn(gate, unix=True) as c:
        c.ready(user="pgseal", database="pgseal")
        return int(c.value("SELECT count(*) FROM pgseal_sessions WHERE login_waits"))


def wait_until_waiting(gate, count):
    run.wait_until(lambda: waiting(gate) == count, f"{count} sessions to wait")


# -- turns --------------------------------------------------------------------------------------------------------
def test_no_more_than_the_limit_log_in_at_once(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="4")
    first = [begin(g, stack, SOURCES[i]) for i in range(4)]
    run.wait_until(lambda: server.asked == 4, "four logins")
    late = [begin(g, stack, SOURCES[i]) for i in range(4, 6)]
    wait_until_waiting(g, 2)
    assert server.asked == 4
    path = f"{server.directory}/.s.PGSQL.5432"
    assert g.metrics.value("pgseal_upstream_logins", server=path) == 4
    assert g.metrics.value("pgseal_upstream_logins_waiting", server=path) == 2
    server.let(6)
    assert all(is_served(c) for c in first + late)
    assert server.asked == 6 and waiting(g) == 0
    assert g.metrics.value("pgseal_upstream_login_wait_seconds_count", upstream="default") == 2
    assert not g.metrics.has("pgseal_upstream_logins")
    with Conn(g, unix=True) as c:
        c.ready(user="pgseal", database="pgseal")
        assert c.value("SELECT count(*) FROM pgseal_sessions WHERE login_wait_us > 0 AND NOT login_waits") == "2"
    run.wait_until(lambda: g.log.text().count("upstream_login_waited") == 2, "two lines")


def test_one_address_holds_a_quarter(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="8")
    crowd = [begin(g, stack, SOURCES[0]) for _ in range(5)]
    wait_until_waiting(g, 3)
    other = begin(g, stack, SOURCES[1])
    run.wait_until(lambda: server.asked == 3, "the other one's login")
    assert waiting(g) == 3
    server.let(6)
    assert all(is_served(c) for c in crowd + [other])


def test_a_client_that_leaves_waits_no_longer(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="1")
    first = begin(g, stack, SOURCES[0])
    run.wait_until(lambda: server.asked == 1, "a login")
    ended, cut, patient = (begin(g, stack, source) for source in SOURCES[1:4])
    wait_until_waiting(g, 3)
    ended.close()
    cut.abort()
    wait_until_waiting(g, 1)
    server.let(2)
    assert is_served(first) and is_served(patient)
    assert server.asked == 2


def test_what_a_client_asks_while_it_waits_is_answered(gate, slow, stack):
    """One that has shut its sending side behind its question is still served."""
    server = slow()
    g = gate(server, upstream_login_limit="1")
    first = begin(g, stack, SOURCES[0])
    run.wait_until(lambda: server.asked == 1, "a login")
    asks = begin(g, stack, SOURCES[1])
    asks.send(wire.query("SELECT 1"))
    asks.half_close()
    wait_until_waiting(g, 1)
    server.let(2)
    assert is_served(first) and is_served(asks)


def test_who_waits_too_long_is_ended(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="1")
    held = begin(g, stack, SOURCES[0])
    run.wait_until(lambda: server.asked == 1, "a login")
    g.configure(settings={"authentication_timeout": "1s"})      # of those that come now
    g.reload()
    since = g.log.mark()
    assert begin(g, stack, SOURCES[1]).events() == [EOF]
    g.log.wait_for("canceling authentication due to timeout", since)
    assert re.findall("cause=(\\w+)", g.log.text(since)) == ["upstream_busy"]
    server.let()
    assert is_served(held)


def test_a_server_that_hangs_delays_no_other(gate, slow, stack):
    hangs, works = slow(), slow(open=True)
    g = gate(hangs, upstream_login_limit="1", **{"upstream.db2": works.conninfo()})
    begin(g, stack, SOURCES[0])
    begin(g, stack, SOURCES[0])
    wait_until_waiting(g, 1)
    assert is_served(begin(g, stack, SOURCES[0], database="db2"))
    assert waiting(g) == 1


def test_who_waits_is_told_of_the_stop(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="1")
    clients = [begin(g, stack, source) for source in SOURCES[:3]]
    wait_until_waiting(g, 2)
    g.kill(signal.SIGTERM)
    for c in clients:
        assert c.events() == [fatal("57P03", "the database system is shutting down"), EOF]


def test_the_limit_is_reloaded(gate, slow, stack):
    server = slow()
    g = gate(server, upstream_login_limit="1")
    clients = [begin(g, stack, source) for source in SOURCES[:3]]
    wait_until_waiting(g, 2)
    g.configure(settings={"upstream_login_limit": "8"})
    g.reload()
    clients.append(begin(g, stack, SOURCES[3]))     # the first that the new limit is known from
    run.wait_until(lambda: server.asked == 4, "all to log in")
    server.let(4)
    assert all(is_served(c) for c in clients)


@pytest.fixture(scope="module")
def postgres(factory):
    server = factory.postgres(settings={"max_connections": "100"},
                              hba="local all all trust\nhost app bob 127.0.0.1/32 trust\n"
                                  "host all all 127.0.0.0/8 scram-sha-256\n")
    yield server
    factory.stop(server)


def test_a_client_that_stalls_holds_no_turn(gate, postgres, stack):
    """While its password is asked for the server waits for nobody else."""
    g = gate(f"host=127.0.0.1 port={postgres.port} sslmode=disable", upstream_login_limit="1", auth_source="upstream",
             auth_file=None, upstream_login=None, hba="host all all 127.0.0.0/8 scram-sha-256\n")
    stalls = begin(g, stack, SOURCES[0])
    challenge = stalls.event()
    assert challenge[:2] == ("R", 10)
    for source in SOURCES[0], SOURCES[1]:
        c = stack.enter_context(Conn(g, source=source)).ready(ALICE)
        assert c.value("SELECT 'served'") == "served"
    assert stalls.sasl(ALICE)[-1] == ("Z", "I")
    assert not g.metrics.has("pgseal_upstream_logins")


def test_an_answer_waits_for_a_turn_too(gate, stack, tmp_path):
    """A relayed exchange goes on when the server's attention is free, before those that have not begun."""
    silent, heard = threading.Semaphore(0), []

    def script(up, sock):
        number = up.accepted
        up.startup(sock)
        if number == 2:
            silent.acquire(timeout=60)
        sock.sendall(message("R", struct.pack("!I", 3)))
        heard.append((number, sock.recv(4096)))
        sock.sendall(READY)
        while sock.recv(4096):
            pass

    os.chmod(tmp_path.parent, 0o755)
    os.chmod(tmp_path, 0o755)
    server = stack.enter_context(Upstream(script, str(tmp_path / "u")))
    stack.callback(silent.release)
    g = gate(f"host={tmp_path}/u port=5432", upstream_login_limit="1", auth_source="upstream", auth_file=None,
             upstream_login=None, hba="host all all 127.0.0.0/8 password\n")
    first = begin(g, stack, SOURCES[0])
    assert first.event()[:2] == ("R", 3)
    second = begin(g, stack, SOURCES[1])
    run.wait_until(lambda: server.accepted == 2, "the second login")
    third = begin(g, stack, SOURCES[2])
    wait_until_waiting(g, 1)
    first.send(wire.password("one"))
    wait_until_waiting(g, 2)
    assert heard == []
    silent.release()
    assert is_served(first)
    assert second.event()[:2] == ("R", 3) and third.event()[:2] == ("R", 3)
    second.send(wire.password("two"))
    third.send(wire.password("three"))
    assert is_served(second) and is_served(third)
    assert heard[0] == (1, wire.password("one")) and len(heard) == 3


# -- a server that is full ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("late", [False, True], ids=["no process", "none that is not reserved"])
def test_a_full_server_is_asked_again(gate, slow, stack, late):
    full = error(*FULL) if not late else message("R", struct.pack("!I", 0)) + error(
        "53300", "remaining connection slots are reserved", "InitPostgres")
    server = slow(lambda number: full if number <= 5 else READY, open=True)
    g = gate(server)
    assert is_served(begin(g, stack, SOURCES[0]))
    assert server.asked == 6
    assert g.metrics.value("pgseal_upstream_full_total", upstream="default") == 5


def test_a_full_server_is_asked_by_one_at_a_time(gate, slow, stack):
    """Of many that it refuses one asks again, until it is heard."""
    refused = 12
    server = slow(lambda number: error(*FULL) if number <= refused else READY)
    g = gate(server)
    clients = [begin(g, stack, source) for source in SOURCES[:8]]
    run.wait_until(lambda: server.asked == 8, "eight logins")
    server.let(8)
    run.wait_until(lambda: server.asked == 9, "the next try")
    wait_until_waiting(g, 7)
    server.let(1)
    run.wait_until(lambda: server.asked == 10, "another one")
    wait_until_waiting(g, 7)
    server.let(100)
    assert all(is_served(c) for c in clients)
    assert server.asked == refused + 8


def test_the_refusal_is_passed_on_in_the_end(gate, slow, stack):
    server = slow(lambda number: error(*FULL), open=True)
    g = gate(server, authentication_timeout="1s")
    since = g.log.mark()
    got = begin(g, stack, SOURCES[0]).events()
    assert [(e[1]["C"], e[1]["M"]) for e in got[:-1]] == [FULL] and got[-1] == EOF
    assert server.asked > 2
    g.log.wait_for("cause=server_full", since)


def test_a_look_up_waits_for_room_too(gate, postgres, stack):
    g = gate(f"host={postgres.socket_dir} port={postgres.port}", auth_source="query", auth_file=None, auth_user="postgres",
             hba="host all all 127.0.0.0/8 scram-sha-256\n")
    with contextlib.ExitStack() as crowd:
        for _ in range(97):
            crowd.enter_context(Conn(postgres)).ready(user="bob")
        for _ in range(3):      # those that are reserved
            crowd.enter_context(contextlib.closing(postgres.admin()))
        since = postgres.log.mark()
        c = begin(g, stack, SOURCES[0])
        postgres.log.wait_for(FULL[1], since)
    assert c.event()[:2] == ("R", 10)
    assert c.sasl(ALICE)[-1] == ("Z", "I")


@pytest.mark.parametrize("who, said", [
    ({}, message("R", struct.pack("!I", 0)) + error("53300", 'too many connections for role "alice"',
                                                    "InitializeSessionUserId")),
    ({"replication": "true"}, error("53300", "number of requested standby connections exceeds max_wal_senders")),
], ids=["role", "replication"])
def test_other_limits_are_not_waited_for(gate, slow, stack, who, said):
    server = slow(lambda number: said, open=True)
    got = begin(gate(server), stack, SOURCES[0], **who).events()
    assert got[-2][1]["C"] == "53300" and got[-1] == EOF
    assert server.asked == 1


def test_a_storm_is_not_refused(gate, postgres, stack):
    """More clients than the server has connections: straight there they are refused, through the gate all are served."""
    straight = collections.Counter(storm(postgres, 130, ["127.0.0.1"], stays=True, user="bob"))
    assert straight[ANSWERED] <= 100
    assert set(straight) > {ANSWERED} and all(ending.startswith("53300") for ending in set(straight) - {ANSWERED})
    g = gate(f"host={postgres.socket_dir} port={postgres.port}", max_connections=str(STORM + 10),
             log_min_messages="warning")
    assert collections.Counter(storm(g, STORM, SOURCES, "SELECT pg_sleep(0.1)")) == {ANSWERED: STORM}
    assert g.metrics.value("pgseal_upstream_login_wait_seconds_count") > 0
    run.wait_until(lambda: g.metrics.value("pgseal_sessions") == 0, "all sessions to end")
    assert not g.metrics.has("pgseal_upstream_logins")
