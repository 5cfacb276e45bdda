"""
Who has not logged in takes no place from those who have, and from others who want to no more than there is: when
`max_pending_connections` are there, the oldest of the client prefix that has the most makes room.
"""

import contextlib
import itertools
import json
import os
import re
import resource
import socket
import ssl

import pytest

from lib import pki, run, wire
from lib.pg import PASSWORDS
from lib.wire import EOF, SSL_REQUEST, Conn, fatal, startup

from test_http import ask
from test_proxy_protocol import header

ALICE = PASSWORDS["alice"]
HBA = "local all all scram-sha-256\nhost all all 127.0.0.0/8 scram-sha-256\n"
FULL = fatal("53300", "sorry, too many clients already")
RESERVED = fatal("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute")
CROWD, ALONE = "127.0.0.2", "127.0.0.3"


def half_done(c):
    """A SCRAM exchange of which the client's proof is owed."""
    c.send(startup())
    assert c.event()[:2] == ("R", 10)
    return c


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def logs_in(gate, unix=False, source=ALONE):
    with Conn(gate, unix=unix, source=None if unix else source) as c:
        return c.ready(ALICE).value("SELECT 'served'") == "served"


def enters(gate, stack, **how):
    return stack.enter_context(Conn(gate, **how)).login(ALICE)[-1] == ("Z", "I")


def logs_in_at_all(gate, **how):
    with contextlib.ExitStack() as stack:
        return enters(gate, stack, **how)


def failures(gate):
    with Conn(gate, unix=True) as c:
        c.ready(user="whoever", database="pgseal")
        return {(address.partition('/')[0], cause): int(count) for address, cause, count in (
            row.split(",") for row in rows(c, "SELECT client_addr || ',' || cause || ',' || count FROM pgseal_failures"))}


def rows(c, sql):
    """First columns."""
    out = []
    for e in c.ask(sql):
        if e[0] == "D":
            size = int.from_bytes(e[1][2:6], "big", signed=True)
            out.append("" if size < 0 else e[1][6:6 + size].decode())
    return out


# -- pending ------------------------------------------------------------------------------------------------------
def test_who_has_not_logged_in_counts_against_nobody(make_gate, stack):
    """Not against max_connections: a hundred half-done exchanges, and one place for those who end theirs."""
    gate = make_gate(hba=HBA, settings={"max_connections": "1", "superuser_reserved_connections": "0",
                                        "max_pending_connections": "120"})
    waiting = [half_done(stack.enter_context(Conn(gate, source=CROWD))) for _ in range(100)]
    for how in ({"source": ALONE}, {"source": CROWD}, {"unix": True}):
        run.wait_until(lambda how=how: logs_in_at_all(gate, **how), "the place")
    with contextlib.ExitStack() as served:
        run.wait_until(lambda: enters(gate, served), "the place")
        for user in ("alice", "bob"):
            with Conn(gate) as c:
                assert c.login(PASSWORDS[user], user=user) == [FULL, EOF]
    for c in waiting:           # nobody was ended meanwhile
        c.send(wire.message("p", b"SCRAM-SHA-256\0\0\0\0\x04n,,n"))
        assert c.event()[0] == "E"


def test_the_oldest_of_the_heaviest_prefix_yields(make_gate, certs, stack):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"max_pending_connections": "6"})
    one = half_done(stack.enter_context(Conn(gate, source=ALONE)))
    crowd = [half_done(stack.enter_context(Conn(gate, source=CROWD))) for _ in range(5)]
    for expected in range(3):   # whoever comes is taken
        half_done(stack.enter_context(Conn(gate, source=f"127.0.1.{expected}")))
        assert crowd[expected].events() == [FULL, EOF]
    assert logs_in(gate, source="127.0.1.9")
    one.send(wire.message("p", b"SCRAM-SHA-256\0\0\0\0\x04n,,n"))
    assert one.event()[1]["C"] == "08P01"


STAGES = {
    "nothing": lambda c: None,
    "half a StartupMessage": lambda c: c.raw_send(startup()[:20]),
    "an SSLRequest": lambda c: (c.raw_send(SSL_REQUEST), c.raw_exactly(1)),
    "half a ClientHello": lambda c: (c.raw_send(SSL_REQUEST), c.raw_exactly(1), c.raw_send(c.prepare_tls()[:50])),
    "a ClientHello": lambda c: c.raw_send(hello(c)),
    "a handshake": lambda c: c.start_tls(),
}


def hello(c):
    c.raw_send(SSL_REQUEST)
    assert c.raw_exactly(1) == b"S"
    return c.prepare_tls()


@pytest.mark.parametrize("stage", STAGES)
def test_before_the_startup_message_not_a_byte_is_said(make_gate, certs, stack, stage):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"max_pending_connections": "3"})
    since = gate.log.mark()
    first = stack.enter_context(Conn(gate, source=CROWD))
    gate.log.wait_for("connection_received", since)     # it is the oldest
    STAGES[stage](first)
    rest = first.raw_exactly(100) if stage == "a ClientHello" else b""  # of the server's half
    for _ in range(3):
        half_done(stack.enter_context(Conn(gate, source=CROWD)))
    with contextlib.suppress(wire.Closed):
        while chunk := first.raw_recv():
            rest += chunk
    if first.tls:
        assert ends_ragged(first, rest)
    else:
        assert rest == b""
    assert "cause=too_many_pending_connections" in gate.log.wait_for(r"event=pending_yielded [^\n]*\n", since).group(0)


def ends_ragged(c, rest):
    """Behind what was on its way before there is neither an alert nor a close_notify."""
    c.incoming.write(rest)
    try:
        c.tls.do_handshake()
        c.tls.read(1)
    except ssl.SSLWantReadError:
        return True
    return False


def test_a_flood_holds_up_nobody(make_gate, certs, stack):
    """Connections that come, say something and stay, from one address, over both workers."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"max_pending_connections": "20"})
    stages = [STAGES[s] for s in ("nothing", "an SSLRequest", "half a ClientHello")] + [half_done]
    for i in range(200):
        c = stack.enter_context(Conn(gate, source=CROWD))
        with contextlib.suppress(wire.Closed, AssertionError):     # it may have yielded already
            stages[i % 4](c)
        if i % 40 == 39:
            assert logs_in(gate)
            assert logs_in(gate, unix=True)
    counted = failures(gate)
    assert counted[CROWD, "too_many_pending_connections"] >= 170
    assert not any(address == ALONE for address, _ in counted)


def test_unix_sockets_have_places_of_their_own(make_gate, stack):
    gate = make_gate(hba=HBA, settings={"max_pending_connections": "40"})
    for _ in range(50):
        half_done(stack.enter_context(Conn(gate, source=CROWD)))
    local = [half_done(stack.enter_context(Conn(gate, unix=True))) for _ in range(10)]
    for _ in range(20):                         # TCP's crowd takes nothing from them
        half_done(stack.enter_context(Conn(gate, source=CROWD)))
    half_done(stack.enter_context(Conn(gate, unix=True)))
    assert local[0].events() == [FULL, EOF]     # of 40 / 4 the eleventh
    assert logs_in(gate, unix=True)


def test_behind_a_balancer_the_client_is_meant(make_gate, certs, stack):
    gate = make_gate(hba="host all all all scram-sha-256\n",
                     settings={"max_pending_connections": "5", "proxy_protocol_from": "127.0.0.0/8"})

    def come(address):
        c = stack.enter_context(Conn(gate))
        c.raw_send(header(address))
        return half_done(c)

    alone = come("192.0.2.1")
    crowd = [come(f"2001:db8:0:{i % 2}::{i + 1:x}") for i in range(4)]      # one site, two networks
    come("192.0.2.3")
    assert crowd[0].events() == [FULL, EOF]
    come("192.0.2.4")
    assert crowd[1].events() == [FULL, EOF] or crowd[3].events() == [FULL, EOF]
    alone.send(wire.message("p", b"SCRAM-SHA-256\0\0\0\0\x04n,,n"))
    assert alone.event()[1]["C"] == "08P01"


def test_what_is_measured(make_gate, stack):
    port = run.free_port()
    gate = make_gate(hba=HBA, settings={"max_pending_connections": "8", "http_listen": f"127.0.0.1:{port}"})

    def metric(name):
        return int(re.search(rf"^{re.escape(name)} (\d+)$", ask(port, "/metrics")[2], re.M).group(1))

    assert metric('pgseal_pending_connections_limit{transport="tcp"}') == 8
    assert metric('pgseal_pending_connections_limit{transport="unix"}') == 8
    for _ in range(8):
        half_done(stack.enter_context(Conn(gate, source=CROWD)))
    session = stack.enter_context(Conn(gate, unix=True))
    session.ready(ALICE)
    assert metric('pgseal_pending_connections{transport="tcp"}') == 8
    assert metric('pgseal_pending_connections{transport="unix"}') == 0
    assert metric("pgseal_connections") == 1
    assert metric('pgseal_failures_total{cause="too_many_pending_connections"}') == 0
    assert json.loads(ask(port, "/status.json")[2])["gate"]["sessions"] == 1    # of max_connections
    half_done(stack.enter_context(Conn(gate, source=CROWD)))
    run.wait_until(lambda: metric('pgseal_failures_total{cause="too_many_pending_connections"}') == 1, "one to yield")


# -- authenticated ------------------------------------------------------------------------------------------------
def test_reserved_connections(server_factory, kind, stack):
    """As PostgreSQL: behind R(0) for those who come too late, and the last ones are for administrators."""
    settings = {"max_connections": "4", "superuser_reserved_connections": "2"}
    if kind == "gate":
        settings["admin_users"] = "postgres"
    else:
        settings["max_wal_senders"] = "0"
    server = server_factory(kind, hba="local all all trust\nhost all all 127.0.0.1/32 trust\n", settings=settings)
    sessions = [stack.enter_context(Conn(server)).ready() for _ in range(2)]
    with Conn(server) as c:
        c.send(startup())
        answer = c.events()
        if kind == "pg15":
            assert answer[-2][1]["C"] == "53300" and answer[0][:2] == ("R", 0)
        else:
            assert answer == [("R", 0, b""), RESERVED, EOF]
    for _ in range(2):
        sessions.append(stack.enter_context(Conn(server)).ready(user="postgres", database="app"))
    for user in ("alice", "postgres"):
        with Conn(server) as c:
            c.send(startup(user))
            assert c.events() == [FULL, EOF]


def test_the_owner_at_his_socket(make_gate, stack):
    """Whatever others have taken, there is a place to look and to end them."""
    gate = make_gate(hba=HBA, settings={"max_connections": "4", "max_pending_connections": "4"})
    sessions = [stack.enter_context(Conn(gate)).ready(ALICE)]
    with Conn(gate) as c:
        assert [e for e in c.login(ALICE) if e[0] != "S"][-2:] == [RESERVED, EOF]
    for _ in range(20):
        half_done(stack.enter_context(Conn(gate, unix=True)))
    own = stack.enter_context(Conn(gate, unix=True)).ready(user="whoever", database="pgseal")
    own.ask("SELECT pg_terminate_backend(pid) FROM pgseal_sessions WHERE admitted_at IS NOT NULL AND user_name = 'alice'")
    assert sessions[0].events()[-1] == EOF
    own.close()
    run.wait_until(lambda: logs_in_at_all(gate), "the place to be free")


def test_reserved_are_fewer_than_all(factory):
    gate = factory.gate(start=False, hba=HBA, settings={"max_connections": "3"})
    try:
        status, logged = gate.refuses_to_start()
        assert status == 1
        assert '"superuser_reserved_connections" (3) must be less than "max_connections" (3)' in logged
    finally:
        factory.stop(gate)


def test_the_server_that_judges_sees_no_more_than_max_connections(factory, make_gate, stack):
    """auth_source = upstream: a half-done exchange has a connection there, which it yields."""
    server = factory.postgres(hba="local all all scram-sha-256\n", settings={"max_connections": "20"})
    try:
        gate = make_gate(upstream=server, hba=HBA, settings={
            "auth_source": "upstream", "max_connections": "4", "superuser_reserved_connections": "0",
            "max_pending_connections": "100"})
        session = stack.enter_context(Conn(gate)).ready(ALICE)
        crowd = [half_done(stack.enter_context(Conn(gate, source=CROWD))) for _ in range(3)]
        for c in crowd:
            half_done(stack.enter_context(Conn(gate, source=CROWD)))
            assert c.events() == [FULL, EOF]
        assert logs_in(gate)

        def at_the_server(count):
            return session.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == count

        run.wait_until(lambda: at_the_server("1"), "the others to be gone")
        others = [stack.enter_context(Conn(gate, source=ALONE)).ready(ALICE) for _ in range(3)]
        with Conn(gate) as c:
            c.send(startup())
            assert c.events() == [FULL, EOF]
        assert at_the_server("4")
        assert all(c.value("SELECT 1") == "1" for c in others)
    finally:
        factory.stop(server)


# -- look-ups -----------------------------------------------------------------------------------------------------
def test_look_ups_take_turns_by_prefix(factory, make_gate, stack):
    """A server that is slow to answer, and one client that asks about many users."""
    server = factory.postgres(hba="local all all trust\n")
    try:
        with server.admin("postgres") as db:
            db.execute("CREATE FUNCTION public.ask(who text) RETURNS SETOF pg_authid LANGUAGE plpgsql AS $$ BEGIN"
                       " RAISE LOG 'asked about %.', who; PERFORM pg_advisory_xact_lock_shared(42);"
                       " RETURN QUERY SELECT * FROM pg_authid WHERE rolname = who; END $$")
        gate = make_gate(upstream=f"host={server.socket_dir} port={server.port}", hba=HBA, settings={
            "workers": "1", "auth_source": "query", "auth_user": "postgres", "auth_cache_ttl": "0",
            "auth_query": "SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM public.ask($1)"})
        with server.admin("postgres") as db:
            db.execute("SELECT pg_advisory_lock(42)")
            own = stack.enter_context(Conn(gate, unix=True)).ready(user="whoever", database="pgseal")

            def wait_for(count):
                sql = "SELECT count(*) FROM pgseal_sessions WHERE step = 'admit'"
                run.wait_until(lambda: own.value(sql) == str(count), "them to wait")

            crowd = [stack.enter_context(Conn(gate, source=CROWD)) for _ in range(30)]
            for i, c in enumerate(crowd):
                c.send(startup(f"stranger{i}"))
            wait_for(30)
            gone = stack.enter_context(Conn(gate, source="127.0.0.4"))
            alone = stack.enter_context(Conn(gate, source=ALONE))
            gone.send(startup("nobody"))
            alone.send(startup())
            wait_for(32)
            db.execute("SELECT pg_advisory_unlock(42)")
        assert alone.event()[:2] == ("R", 10)
        for c in crowd[1:]:
            assert c.event()[:2] == ("R", 10)
        names = re.findall(r"LOG:  asked about (\w+)\.", server.log.text())
        assert len(names) == 32 and names.index("alice") <= 3, names
    finally:
        factory.stop(server)


# -- descriptors --------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def limited(gate, more):
    """Only so many descriptors more than it has."""
    pid = gate.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    limit = next(n for n in itertools.count(1) if n - sum(fd < n for fd in used) == more)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_somebody_who_has_not_logged_in_yields(make_gate, certs, stack):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": "1"})
    assert logs_in(gate)        # what is opened once is open
    since = gate.log.mark()
    with limited(gate, 8):
        for _ in range(30):
            half_done(stack.enter_context(Conn(gate, source=CROWD)))
        assert logs_in(gate, unix=True)
    gate.log.wait_for('event=accept_failed message="Too many open files"', since)
    assert failures(gate)[CROWD, "too_many_pending_connections"] >= 20


def test_without_descriptors_newcomers_hear_so(make_gate, certs, stack):
    """All of them belong to sessions: nobody can yield, and nobody is left without an answer."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": "1"})
    assert logs_in(gate)
    with limited(gate, 8):
        sessions = []
        while True:
            c = stack.enter_context(Conn(gate))
            answer = c.login(ALICE)
            if answer[-1] != ("Z", "I"):
                break
            sessions.append(c)
        assert answer[-1] == EOF and len(sessions) >= 3
        filler = []
        while len(filler) < 4:          # the odd descriptor that a session did not find a second one for
            c = stack.enter_context(Conn(gate))
            c.send(startup())
            if c.event() == FULL:
                break
            filler.append(c)
        for _ in range(3):
            with Conn(gate) as c:
                c.send(startup())
                assert c.events() == [FULL, EOF]
            with Conn(gate) as c:
                c.raw_send(SSL_REQUEST)
                assert c.raw_rest() == b""
            with Conn(gate) as c:
                c.raw_send(c.prepare_tls())
                assert c.raw_rest() == b""
        assert all(c.value("SELECT 1") == "1" for c in sessions)
    for c in sessions:
        c.close()
    run.wait_until(lambda: logs_in_at_all(gate), "the descriptors to be free")


def test_too_few_descriptors_for_the_settings(factory, scratch):
    program = os.path.join(scratch, "few-descriptors.sh")
    gate = factory.gate(start=False, hba=HBA, settings={"max_connections": "100"})
    pki.write_file(program, f'#!/bin/sh\nulimit -n 400\nexec {gate.program} "$@"\n', 0o755)
    gate.program = program
    try:
        gate.start()
        assert re.search(r'event=descriptors message="max_connections and max_pending_connections may need \d+ open '
                         r'files, 400 are allowed" pending=50 ', gate.words())
        assert logs_in(gate)
    finally:
        factory.stop(gate)


def test_the_limit_of_descriptors_is_raised(factory, scratch):
    """A login shell's soft limit is small; the hard one is what counts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = os.path.join(scratch, "soft-descriptors.sh")
    gate = factory.gate(start=False, hba=HBA, settings={"max_connections": "100"})
    pki.write_file(program, f'#!/bin/sh\nulimit -S -n 300\nexec {gate.program} "$@"\n', 0o755)
    gate.program = program
    try:
        gate.start()
        assert "event=descriptors" not in gate.words()
        assert 300 < resource.prlimit(gate.pid, resource.RLIMIT_NOFILE)[0] <= hard
    finally:
        factory.stop(gate)


def test_a_socket_takes_as_many_as_wait(make_gate, stack):
    """More at once than one accept batch, all of them silent: who comes behind them is served."""
    gate = make_gate(hba=HBA, settings={"max_pending_connections": "50"})
    for _ in range(300):
        c = socket.socket()
        stack.enter_context(c)
        c.setblocking(False)
        c.bind((CROWD, 0))
        with contextlib.suppress(BlockingIOError):
            c.connect((gate.host, gate.port))
    assert logs_in(gate)
