"""
Several upstream servers: which one a session comes to, with a real primary and its streaming standby; and what a
server that is away costs.
"""

import signal
import socket
import statistics
import time

import pytest

from lib import psql, run, scram, wire
from lib.fake import Upstream
from lib.pair import SERVER_HBA, Pair
from lib.pg import PASSWORDS
from lib.wire import Conn

ALICE = PASSWORDS["alice"]
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture
def pair(factory, certs):
    made = Pair(factory, certs)
    yield made
    factory.stop(made.a)
    factory.stop(made.b)


def gate_for(make_gate, certs, conninfo, **settings):
    return make_gate(upstream=conninfo, hba=HBA, tls={"cert": certs.server},
                     settings={"upstream_login": "scram", **settings})


def port_behind(gate, certs):
    """The port of the server a fresh session comes to, seen by a driver; None if it is refused with 57P03."""
    got = psql.run(gate, "SHOW port", password=ALICE, sslmode="verify-full", sslrootcert=certs.ca_file)
    if got.returncode == 0:
        return int(got.stdout)
    assert len(psql.errors(got)) == 1, got.stderr
    return None


def test_read_write_follows_the_primary(pair, make_gate, certs):
    """Promote, kill, and the old primary back as a standby."""
    a, b = pair.a, pair.b
    writer = gate_for(make_gate, certs, pair.conninfo(target_session_attrs="read-write"))
    reader = gate_for(make_gate, certs, pair.conninfo(target_session_attrs="prefer-standby"))
    standby = gate_for(make_gate, certs, pair.conninfo(target_session_attrs="standby"))
    assert port_behind(writer, certs) == a.port
    assert port_behind(reader, certs) == b.port == port_behind(standby, certs)

    a.stop(signal.SIGQUIT)                                   # the primary dies; nobody is promoted yet
    assert port_behind(writer, certs) is None
    assert port_behind(reader, certs) == b.port
    b.query("SELECT pg_promote()")
    assert port_behind(writer, certs) == b.port
    assert port_behind(reader, certs) == b.port              # no standby: prefer-standby takes what there is
    assert port_behind(standby, certs) is None

    pair.follow(a, b)                                        # the old primary is back, as a standby, first in the list
    assert port_behind(writer, certs) == b.port
    assert port_behind(standby, certs) == a.port
    run.wait_until(lambda: port_behind(reader, certs) == a.port, "the standby to be noticed", 60)


def test_sessions_of_a_lost_primary_end_and_new_ones_find_the_other(pair, make_gate, certs):
    writer = gate_for(make_gate, certs, pair.conninfo(target_session_attrs="read-write"))
    with Conn(writer) as c:
        c.start_tls()
        c.ready(ALICE)
        pair.a.stop(signal.SIGQUIT)
        events = c.events()
        assert isinstance(events[-1], str)                   # whatever PostgreSQL still said, the session is over
    pair.b.query("SELECT pg_promote()")
    run.wait_until(lambda: port_behind(writer, certs) == pair.b.port, "the promoted server")


def test_a_relayed_exchange_has_one_try(pair, make_gate, certs):
    """
    The client has proved itself to the wrong server: it hears 57P03, and that is remembered by all workers, so its next
    try goes to the right one; through a failover, and when the old primary is back as a standby.
    """
    a, b = pair.a, pair.b
    standby_first = psql.conninfo(host="127.0.0.1,localhost", hostaddr="127.0.0.1,127.0.0.1",
                                  port=f"{b.port},{a.port}", sslrootcert=certs.ca_file,
                                  target_session_attrs="read-write")
    g = make_gate(upstream=standby_first, hba=HBA, settings={
        "auth_source": "upstream", "auth_file": None, "upstream_login": None, "workers": "3"})

    def ports(n=12):
        """Where n sessions come to, over all workers; None for each that is refused."""
        out = []
        for _ in range(n):
            with Conn(g) as c:
                events = c.login(ALICE)
                if events[-1] == ("Z", "I"):
                    out.append(int(c.value("SHOW port")))
                else:
                    assert events[-2][1]["C"] == "57P03"
                    out.append(None)
        return out

    assert ports() == [None] + [a.port] * 11
    a.stop(signal.SIGQUIT)
    assert set(ports(2)) == {None}
    b.query("SELECT pg_promote()")
    run.wait_until(lambda: not b.query("SELECT pg_is_in_recovery()")[0][0], "the promotion")
    assert ports() == [b.port] * 12                          # its last role was another, but nobody else is there
    pair.follow(a, b)
    assert ports() == [b.port] * 12


def test_a_relayed_preference_is_no_more_than_that(pair, make_gate, certs):
    """prefer-standby on the primary: with one try it is taken, and the next session finds the standby."""
    g = make_gate(upstream=pair.conninfo(target_session_attrs="prefer-standby"), hba=HBA, settings={
        "auth_source": "upstream", "auth_file": None, "upstream_login": None})
    with Conn(g) as c:
        c.ready(ALICE)
        assert c.value("SHOW port") == str(pair.a.port)
    for _ in range(4):
        with Conn(g) as c:
            c.ready(ALICE)
            assert c.value("SHOW port") == str(pair.b.port)


def test_roles_are_learned_from_any_login(pair, make_gate, certs):
    """One session has found the primary: the standby is not asked again for each of the next."""
    g = gate_for(make_gate, certs, psql.conninfo(
        host="127.0.0.1,localhost", hostaddr="127.0.0.1,127.0.0.1", port=f"{pair.b.port},{pair.a.port}",
        sslrootcert=certs.ca_file, target_session_attrs="read-write"))
    assert port_behind(g, certs) == pair.a.port
    since = pair.b.log.mark()
    for _ in range(4):
        assert port_behind(g, certs) == pair.a.port
    assert "connection authorized" not in pair.b.log.text(since)


# -- what a server that is away costs -----------------------------------------------------------------------------
@pytest.fixture
def upstream(factory, certs):
    server = factory.postgres(hba=SERVER_HBA, tls={"cert": certs.server})
    yield server
    factory.stop(server)


@pytest.fixture
def blackhole():
    """An address that takes no connection and refuses none: a listener whose queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = []
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        fillers.append(s)
    yield port
    for s in [*fillers, listener]:
        s.close()


def seconds(gate):
    began = time.monotonic()
    with Conn(gate, timeout=run.PATIENCE) as c:
        c.start_tls()
        events = c.login(ALICE)
    return time.monotonic() - began, events[-1] == ("Z", "I")


SILENCE = 6     # seconds of connect_timeout, long beside any pause of the machine


def says_nothing(_, sock):
    while sock.recv(4096):
        pass


def test_a_silent_host_is_asked_once(upstream, make_gate, certs):
    with Upstream(says_nothing) as silent:
        g = gate_for(make_gate, certs, psql.conninfo(
            host="127.0.0.1,localhost", hostaddr="127.0.0.1,127.0.0.1", port=f"{silent.port},{upstream.port}",
            sslrootcert=certs.ca_file, connect_timeout=2), workers="1")
        for _ in range(4):
            assert seconds(g)[1] and silent.accepted == 1


@pytest.mark.clock
def test_a_silent_host_costs_connect_timeout_once(upstream, blackhole, make_gate, certs):
    g = gate_for(make_gate, certs, psql.conninfo(
        host="127.0.0.1,localhost", hostaddr="127.0.0.1,127.0.0.1", port=f"{blackhole},{upstream.port}",
        sslrootcert=certs.ca_file, connect_timeout=SILENCE), workers="1")
    first, works = seconds(g)
    assert works and SILENCE - 0.5 < first < 2 * SILENCE
    for _ in range(3):
        later, works = seconds(g)
        assert works and later < SILENCE - 0.5


def test_when_only_silent_hosts_are_left(blackhole, make_gate, certs):
    """A host that is remembered as silent is still asked when there is no other."""
    g = gate_for(make_gate, certs, f"host=127.0.0.1 port={blackhole} sslrootcert={certs.ca_file} connect_timeout=2",
                 workers="1")
    for _ in range(2):
        with Conn(g, timeout=run.PATIENCE) as c:
            c.start_tls()
            events = c.login(ALICE)
            assert events[-2][1]["C"] == "57P03"


def test_a_host_that_comes_back_is_used_again(upstream, make_gate, certs):
    g = gate_for(make_gate, certs, psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=upstream.port,
                                                 sslrootcert=certs.ca_file))
    assert seconds(g)[1]
    upstream.stop(signal.SIGQUIT)
    assert not seconds(g)[1]
    upstream.start()
    assert seconds(g)[1]


def test_a_refusal_that_comes_with_the_end_of_its_connection(make_gate, certs):
    """The next host is looked up once, and connected to once: its addresses are nobody else's."""
    busy = make_gate(upstream="host=/nowhere", hba="hostssl all all 127.0.0.1/32 trust\n",
                     tls={"cert": certs.server})
    with Upstream(says_nothing) as silent:
        g = gate_for(make_gate, certs, f"host=localhost,127.0.0.1 port={busy.port},{silent.port} sslmode=require "
                     "connect_timeout=2", workers="1")
        assert not seconds(g)[1] and silent.accepted == 1


def test_a_name_without_an_address(upstream, make_gate, certs):
    """The next host is tried, and the log says what could not be translated."""
    g = gate_for(make_gate, certs, f"host=nowhere.invalid,localhost port={upstream.port} sslrootcert={certs.ca_file}")
    assert seconds(g)[1]
    g = gate_for(make_gate, certs, f"host=nowhere.invalid port={upstream.port} sslrootcert={certs.ca_file}")
    mark = g.log.mark()
    assert not seconds(g)[1]
    assert 'could not translate host name "nowhere.invalid" to address' in g.words(mark)


def test_load_balance_reaches_every_host(factory, upstream, make_gate, certs):
    other = factory.postgres(hba=SERVER_HBA, tls={"cert": certs.server})
    try:
        g = gate_for(make_gate, certs, psql.conninfo(
            host="localhost,localhost", port=f"{upstream.port},{other.port}", sslrootcert=certs.ca_file,
            load_balance_hosts="random"))
        seen = set()
        for _ in range(40):
            with Conn(g) as c:
                c.start_tls()
                c.ready(ALICE)
                seen.add(int(c.value("SHOW port")))
            if len(seen) == 2:
                break
        assert seen == {upstream.port, other.port}
    finally:
        factory.stop(other)


# -- hashing that takes its time does not hold up others -----------------------------------------------------------
SLOW = 3_000_000        # more than a second of one core


def seconds_to_log_in(gate):
    began = time.monotonic()
    with Conn(gate) as c:
        assert c.login(ALICE)[-1] == ("Z", "I")
    return time.monotonic() - began


def let_in(gate, _seconds):
    seconds_to_log_in(gate)


def let_in_quickly(gate, seconds_at_most):
    times = [seconds_to_log_in(gate) for _ in range(5)]
    assert statistics.median(times) < seconds_at_most, times


@pytest.fixture(params=[let_in, pytest.param(let_in_quickly, marks=pytest.mark.clock)])
def others_log_in(request):
    """check(gate, seconds): others are let in; with --clock, the median of them within that time."""
    return request.param


def begin_slow(gate, secret, count=1):
    """Clients with the `password` method whose password is being hashed now."""
    out = []
    for _ in range(count):
        c = Conn(gate, timeout=60)
        c.send(wire.startup("slow"))
        assert c.event() == ("R", 3, b"")
        c.send(wire.password(secret))
        out.append(c)
    return out


def test_a_slow_secret_does_not_hold_up_others(factory, make_gate, others_log_in):
    """A cleartext password against millions of iterations, at the gate and at the server: the loop goes on."""
    server = factory.postgres(hba="local all alice trust\nlocal all slow scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
    try:
        with server.admin() as db:
            db.execute(f"CREATE ROLE slow LOGIN PASSWORD '{scram.secret('pw', b'0123456789abcdef', SLOW)}'")
        g = make_gate(upstream=f"host={server.socket_dir} port={server.port}", settings={
            "auth_source": "query", "auth_user": "postgres", "auth_file": None, "workers": "1",
            "upstream_login": "password"}, hba="host all alice 127.0.0.1/32 trust\nhost all slow 127.0.0.1/32 password\n")
        waiting = begin_slow(g, "pw")[0]
        others_log_in(g, 0.5)
        assert waiting.dialogue()[-1] == ("Z", "I")
        assert waiting.value("SELECT session_user") == "slow"
        waiting.close()
        for c in begin_slow(g, "wrong"):                     # the wrong password, and one who does not wait
            assert c.dialogue()[0][1]["C"] == "28P01"
        for c in begin_slow(g, "pw"):
            c.abort()
        mark = g.log.mark()
        g.kill(signal.SIGINT)                                # with the pool still at work
        assert g.process.wait(run.PATIENCE) == 0
        g.process = None
        assert "CHECK" not in g.log.text(mark)
    finally:
        factory.stop(server)


def test_a_client_that_leaves_while_the_gate_hashes_for_the_server(factory, make_gate, others_log_in):
    """The derivation for the second leg takes longer than authentication_timeout and ends without its session."""
    server = factory.postgres(hba="local all alice trust\nlocal all slow scram-sha-256\n")
    try:
        with server.admin() as db:
            db.execute(f"CREATE ROLE slow LOGIN PASSWORD '{scram.secret('pw', b'0123456789abcdef', 6 * SLOW)}'")
        g = make_gate(upstream=f"host={server.socket_dir} port={server.port}", settings={
            "workers": "1", "upstream_login": "password", "authentication_timeout": "3"},
            hba="host all alice 127.0.0.1/32 trust\nhost all slow 127.0.0.1/32 password\n")
        g.write("userlist.txt", '"slow" "pw"\n', 0o600)
        g.restart()
        since = server.log.mark()
        c = begin_slow(g, "pw")[0]
        others_log_in(g, 0.5)
        run.wait_until(lambda: c.events()[-1] in (wire.EOF, wire.RESET), "the client's time to be up")
        others_log_in(g, 0.5)
        assert "connection authorized: user=slow" not in server.log.text(since)
    finally:
        factory.stop(server)


def test_a_cleartext_auth_file_with_many_iterations(make_gate, others_log_in):
    g = make_gate(settings={"workers": "1", "scram_iterations": "1000000"},
                  hba="host all alice 127.0.0.1/32 trust\nhost all bob 127.0.0.1/32 scram-sha-256\n")
    g.write("userlist.txt", f'"bob" "{PASSWORDS["bob"]}"\n', 0o600)
    g.restart()
    with Conn(g, timeout=30) as c:
        c.send(wire.startup("bob"))
        others_log_in(g, 0.4)
        assert c.event()[:2] == ("R", 10)
        assert c.sasl(PASSWORDS["bob"])[-1] == ("Z", "I")


def seconds_to_challenge(gate, user):
    with Conn(gate) as c:
        began = time.monotonic()
        c.send(wire.startup(user))
        assert c.event()[:2] == ("R", 10)
        return time.monotonic() - began


MIXED = ("bob", "alice", "nobody")      # a cleartext secret, a stored one, and none


@pytest.fixture
def mixed(make_gate):
    g = make_gate(settings={"workers": "1", "scram_iterations": "400000"},
                  hba="host all all 127.0.0.1/32 scram-sha-256\n")
    g.write("userlist.txt", f'"bob" "{PASSWORDS["bob"]}"\n"alice" "{scram.secret(ALICE)}"\n', 0o600)
    return g.restart()


def test_everybody_is_challenged_before_a_cleartext_auth_file(mixed):
    for user in MIXED:
        seconds_to_challenge(mixed, user)


@pytest.mark.clock
def test_the_clock_does_not_tell_who_is_in_a_cleartext_auth_file(mixed):
    """Whoever asks waits for a derivation: users with a cleartext secret, with a stored one, and without any."""
    rounds = [[seconds_to_challenge(mixed, user) for user in MIXED] for _ in range(7)]
    bob, alice, nobody = (min(column) for column in zip(*rounds))      # what else the machine does only adds to it
    assert 0.5 < alice / bob < 2 and 0.5 < nobody / bob < 2, rounds
