"""
Things fail: descriptors, the log's disk, memory, servers, clients. The gate lives, those who have done nothing
wrong do not notice, and what failed works again when the cause has gone.
"""

import contextlib
import http.client
import json
import mmap
import os
import resource
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from lib import run
from lib.fake import Upstream
from lib.pg import PASSWORDS
from lib.wire import EOF, RAGGED, RESET, Closed, Conn, cancel_request, client_context, message, query, startup

ALICE = PASSWORDS["alice"]
HBA = "host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n"
TRUST = "host all all 127.0.0.1/32 trust\n"
EVERY_ALLOCATION = bool(os.environ.get("PGSEAL_EVERY_ALLOCATION"))
STACKS = bool(os.environ.get("PGSEAL_EVERY_STACK"))

SSL_REQUEST = struct.pack("!II", 8, 80877103)
OK = message("R", struct.pack("!I", 0))
READY = OK + message("K", struct.pack("!II", 4711, 815)) + message("Z", b"I")


def descriptors(gate):
    return len(os.listdir(f"/proc/{gate.pid}/fd"))


@contextlib.contextmanager
def unharmed(gate, certs=None, database="app"):
    """A session from before, which answers during and after whatever happens; and a new one afterwards."""
    def session():
        c = Conn(gate)
        if certs:
            c.start_tls()
        return c.ready(ALICE, database=database)

    with session() as before:
        yield before
        assert before.value("SELECT 'still here'") == "still here"
    with session() as after:
        assert after.value("SELECT 1") == "1"
    assert gate.process.poll() is None


def at_rest_of(gate):
    """How many it has when nothing is going on: its clerk, which is started meanwhile, takes one."""
    run.wait_until(lambda: len(run.clerk_pids(gate.process.pid)) == 1, "a clerk")
    return descriptors(gate)


def settled(gate, count):
    """Nothing leaks: the descriptors come back."""
    try:
        run.wait_until(lambda: descriptors(gate) <= count, f"no more than {count} descriptors")
    except AssertionError as e:
        fds = f"/proc/{gate.pid}/fd"
        raise AssertionError(f"{e}: {sorted(os.readlink(os.path.join(fds, fd)) for fd in os.listdir(fds))}") from None


# -- descriptors ---------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def short_of_descriptors(make_gate, certs):
    """A gate that has too few for those who come, with one session that is served."""
    g = make_gate(hba=HBA, tls={"cert": certs.server})
    with unharmed(g, certs) as session:
        at_rest = at_rest_of(g)
        resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (at_rest + 20, at_rest + 20))
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection((g.host, g.port)))
            g.log.wait_for("event=accept_failed .*Too many open files")
            assert session.value("SELECT 'served'") == "served"
            yield g
            assert session.value("SELECT 'served'") == "served"
        settled(g, at_rest)


def test_descriptors_run_out_and_come_back(make_gate, certs):
    with short_of_descriptors(make_gate, certs):
        pass


@pytest.mark.clock
def test_a_gate_without_descriptors_pauses(make_gate, certs):
    """One that asks again at once would spin."""
    began = time.monotonic()
    with short_of_descriptors(make_gate, certs) as g:
        time.sleep(1.0)
        lines = g.log.text().count("event=accept_failed")
        assert lines < 2 * 5 * (time.monotonic() - began) + 10


def test_no_descriptor_for_the_server_behind(make_gate, certs):
    """
    A client is let in, but there is none left to reach the server with: 57P03, not a way into plaintext. The limit
    is below every descriptor in use, so that the spare one of the worker does not help either.
    """
    g = make_gate(hba=HBA, tls={"cert": certs.server})
    with unharmed(g, certs):
        limit = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)
        with Conn(g) as c:
            c.start_tls()
            resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
            failed = c.login(ALICE)
            resource.prlimit(g.pid, resource.RLIMIT_NOFILE, limit)
            assert failed[-2][0] == "E" and failed[-2][1]["C"] == "57P03", failed


# -- the log's disk ------------------------------------------------------------------------------------------------
def test_the_disk_of_the_log_is_full(make_gate, certs):
    g = make_gate(start=False, hba=HBA, tls={"cert": certs.server})
    with open("/dev/full", "ab", 0) as full:
        g.process = subprocess.Popen([g.program, "serve", "-D", g.dir], stdin=subprocess.DEVNULL, stdout=full,
                                     stderr=full, cwd="/", start_new_session=True)

    def up():
        assert g.process.poll() is None, f"exit {g.process.returncode}"
        try:
            return Conn(g).close() or True
        except ConnectionRefusedError:
            return False

    run.wait_until(up, "the gate to listen")
    with unharmed(g, certs):
        with Conn(g) as wrong:
            wrong.start_tls()
            wrong.login("wrong")
        g.kill(signal.SIGHUP)
    g.kill(signal.SIGTERM)
    assert g.process.wait(run.PATIENCE) == 0
    g.process = None


# -- what clients say before they stall or vanish -------------------------------------------------------------------
def half_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    return hello[:len(hello) // 2]


STALLS = {"silent": b"", "ssl request": SSL_REQUEST, "half a request": SSL_REQUEST[:5],
          "half a hello": SSL_REQUEST + half_hello(), "half a startup": startup()[:20], "no answer": startup(),
          "half an answer": startup() + b"p\0\0\0\x30SCRAM"}


# -- an upstream server that misbehaves -------------------------------------------------------------------------------
def close(_up, _sock):
    pass


def reset(_up, sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def after_startup(data, stay=False):
    def handler(up, sock):
        up.startup(sock)
        sock.sendall(data)
        while stay and sock.recv(4096):
            pass
    return handler


def stall(up, sock):
    up.startup(sock)
    sock.recv(1)


MISBEHAVIOUR = {
    "closes": close, "resets": reset, "closes after the startup": after_startup(b""),
    "speaks HTTP": after_startup(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10, stay=True),
    "zeros": after_startup(b"\0" * 5000, stay=True), "noise": after_startup(bytes(range(256)) * 40, stay=True),
    "a length of four gigabytes": after_startup(b"R\xff\xff\xff\xff" + b"\0" * 100, stay=True),
    "a length below its own": after_startup(b"R\0\0\0\3", stay=True),
    "a long error": after_startup(message("E", b"SFATAL\0VFATAL\0CXX000\0M" + b"x" * 70000 + b"\0\0"),
                                      stay=True),
    "half a message": after_startup(OK[:6]), "another request": after_startup(message("R", struct.pack("!I", 99)),
                                                                              stay=True),
    "endless notices": after_startup(message("N", b"SNOTICE\0Mx\0\0") * 20000),
    "endless parameters": after_startup(OK + message("S", b"a\0" + b"b" * 1000 + b"\0") * 5000),
    "ends before it is ready": after_startup(READY[:-6]), "stalls": stall,
}


@pytest.mark.parametrize("how", MISBEHAVIOUR)
def test_a_server_that_misbehaves_before_it_is_ready(make_gate, factory, how):
    """One client gets an error; who is served by another server does not notice."""
    directory = factory.directory()
    with Upstream(MISBEHAVIOUR[how], directory):
        g = make_gate(hba=TRUST, settings={"authentication_timeout": "5s" if how == "stalls" else "60s",
                                           "upstream.bad": f"host={directory}"})
        with unharmed(g):
            at_rest = at_rest_of(g)
            with Conn(g) as c:
                events = c.login(ALICE, database="bad")
                assert isinstance(events[-1], str), events[-1]
                # As from PostgreSQL: a timeout is not told, and who dies behind AuthenticationOk says nothing.
                silent = how == "stalls" or ("R", 0, b"") in events
                errors = [e[1]["S"] for e in events if e[0] == "E"]
                assert errors == ["FATAL"] or (silent and not errors), events
            settled(g, at_rest)


IN_RELAY = {
    "closes": b"", "noise": bytes(range(256)) * 40, "half a message": b"D\0\0\1\0abc", "zeros": b"\0" * 100000,
    "a length of four gigabytes": b"D\xff\xff\xff\xff" + b"\0" * 100000, "a length below its own": b"Z\0\0\0\0",
}


@pytest.mark.parametrize("how", IN_RELAY)
def test_a_server_that_misbehaves_in_a_session(make_gate, factory, how):
    directory = factory.directory()

    def handler(up, sock):
        up.startup(sock)
        sock.sendall(READY)
        sock.recv(4096)
        sock.sendall(IN_RELAY[how])

    with Upstream(handler, directory):
        g = make_gate(hba=TRUST, settings={"upstream.bad": f"host={directory}"})
        with unharmed(g):
            at_rest = at_rest_of(g)
            with Conn(g) as c:
                c.ready(ALICE, database="bad")
                c.send(message("Q", b"SELECT 1\0"))
                with contextlib.suppress(Closed):
                    rest = c.raw_rest()
                    assert rest.startswith(IN_RELAY[how])
                    told = rest[len(IN_RELAY[how]):]        # between two messages only
                    assert (b"C08006\0" in told and told[:1] == b"E") if how == "closes" else told == b""
            settled(g, at_rest)


# -- a peer that vanishes in each state -----------------------------------------------------------------------------
@pytest.mark.parametrize("abrupt", [True, False], ids=["reset", "close"])
def test_clients_that_vanish_in_each_state(make_gate, certs, abrupt):
    g = make_gate(hba=HBA, tls={"cert": certs.server})
    with unharmed(g, certs):
        at_rest = at_rest_of(g)
        for _ in range(5):
            for said in STALLS.values():
                with Conn(g) as c:
                    c.raw_send(said)
                    (c.abort if abrupt else c.close)()
            for words in (startup(), startup() + message("p", b"SCRAM-SHA-256\0")):
                with Conn(g) as c:
                    c.start_tls()
                    c.send(words)
                    (c.abort if abrupt else c.close)()
            with Conn(g) as c:
                c.start_tls()
                c.ready(ALICE)
                c.send(message("Q", b"SELECT repeat('x', 10000000)\0"))
                (c.abort if abrupt else c.close)()
        settled(g, at_rest)


# -- memory --------------------------------------------------------------------------------------------------------
class Memory:
    """What failmalloc.so is told, and tells: see there."""

    ALL, OWN, PLACE, NOTE = range(4)
    HEAD = struct.Struct("qqqqQq")
    PLACES = 1 << 16

    def __init__(self, path):
        size = self.HEAD.size + 8 * self.PLACES
        with open(path, "wb") as f:
            f.truncate(size)
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), size)

    def order(self, count, failures, kind=ALL, place=0):
        """From the count-th allocation of this kind on, as many fail."""
        struct.pack_into("qqqQ", self.page, 8, failures, kind, STACKS, place)
        struct.pack_into("q", self.page, 0, count)

    def relent(self):
        """No more failures; returns how many were still due."""
        struct.pack_into("q", self.page, 0, 0)
        return struct.unpack_from("q", self.page, 8)[0]

    def live(self):
        """So many blocks are allocated, give or take a constant."""
        return struct.unpack_from("q", self.page, self.HEAD.size - 8)[0]

    def places(self, act):
        """Where act() allocates."""
        self.page[self.HEAD.size:] = bytes(8 * self.PLACES)
        self.order(1, 0, self.NOTE)
        act()
        self.relent()
        return {n for n, in struct.iter_unpack("Q", self.page[self.HEAD.size:]) if n}


@pytest.fixture(scope="module")
def failmalloc(pytestconfig):
    path = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/failmalloc.so")
    if not os.path.exists(path):
        pytest.skip("failmalloc.so is not built: a sanitizer has its own allocator")
    return path


@pytest.fixture
def short_of_memory(make_gate, factory, certs, scratch, failmalloc, monkeypatch):
    """make(**how) starts a gate whose memory a Memory rules; returns both."""
    def make(**how):
        path = os.path.join(scratch, f"failmalloc{factory.count}")
        memory = Memory(path)
        factory.upstream()          # only the gate is to run short
        with monkeypatch.context() as m:
            m.setenv("LD_PRELOAD", failmalloc + how.pop("preload", ""))
            m.setenv("FAILMALLOC", path)
            m.setenv("FAULTCLOCK", how.pop("clock", ""))
            m.setenv("UV_THREADPOOL_SIZE", "1")     # what each thread makes for itself is made once
            settings = {"workers": "1", **how.pop("settings", {})}
            return make_gate(**{"hba": HBA, "tls": {"cert": certs.server}, "settings": settings, **how}), memory
    return make


def steps():
    """Every one of the first allocations, then fewer and fewer."""
    n = 1
    while True:
        yield n
        n += 1 if n < 60 or EVERY_ALLOCATION else max(1, n // 12)


def deprived(g, session, memory, act, **order):
    """act() under an order. (did it succeed, did any allocation fail)"""
    memory.order(**order)
    succeeded = False
    with contextlib.suppress(Closed, ssl.SSLError, OSError, AssertionError, http.client.HTTPException):
        act()
        succeeded = True
    touched = memory.relent() != order["failures"]
    session.send(query("SELECT 1"))
    told = session.events()
    if told[-1] != ("Z", "I"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            g.process.wait(2)
        raise AssertionError(f"{order}: {told}, exit {g.process.returncode}")
    return succeeded, touched


def starve(g, memory, certs, failures, act):
    """Let each allocation of act() fail in its turn, until it needs no more. Returns how often act() succeeded."""
    succeeded = 0
    with unharmed(g, certs) as session:
        before = at_rest_of(g)
        act()
        at_rest = max(before, descriptors(g))   # a reload changes its file watch at just this moment
        for n in steps():
            well, touched = deprived(g, session, memory, act, count=n, failures=failures)
            succeeded += well
            if not touched:
                break
        settled(g, at_rest)
    return succeeded, n


def starve_everywhere(g, memory, certs, act, libraries=True):
    """Let each allocation of the program's own fail, and one at each place from which libraries allocate.

    Returns how many of either there were."""
    with unharmed(g, certs) as session:
        before = at_rest_of(g)
        for _ in range(3):          # what is made once is made
            act()
        at_rest = max(before, descriptors(g))
        live = memory.live()
        own, unharmed_in_a_row = 0, 0
        while unharmed_in_a_row < 3:    # one alone may have found done what another thread did meanwhile
            own += 1
            harmed = deprived(g, session, memory, act, count=own, failures=1, kind=Memory.OWN)[1]
            unharmed_in_a_row = 0 if harmed else unharmed_in_a_row + 1
        act()
        run.wait_until(lambda: memory.live() - live < own // 2, "what was there when an allocation failed to be freed")
        places = memory.places(act) if libraries else []
        hit = sum(deprived(g, session, memory, act, count=1, failures=1, kind=Memory.PLACE, place=place)[1]
                  for place in places)
        act()
        settled(g, at_rest)
    assert hit >= 0.8 * len(places)  # some are not come by each time
    return own - unharmed_in_a_row, len(places)


@pytest.mark.parametrize("failures", [1, 3, 1000], ids=["one", "three", "all for a while"])
def test_an_allocation_fails_in_a_login(short_of_memory, certs, failures):
    """That client is refused, or is not; others and those who come later are served."""
    g, memory = short_of_memory()

    def act():
        with Conn(g, timeout=5) as c:
            c.start_tls()
            c.ready(ALICE)

    succeeded, n = starve(g, memory, certs, failures, act)
    assert 0 < succeeded < n and n > 100


def test_an_allocation_fails_on_the_way_to_the_server(short_of_memory, factory, certs):
    """TLS and SCRAM with the client's own keys on the second leg, then a cancel over it."""
    behind = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n", tls={"cert": certs.server})
    g, memory = short_of_memory(settings={"upstream_login": "scram, trust"}, upstream=(
        f"host=localhost hostaddr=127.0.0.1 port={behind.port} sslmode=verify-full sslrootcert={certs.ca_file}"))

    def act():
        with Conn(g, timeout=5) as c:
            c.ready(ALICE)
            with Conn(g, timeout=5) as other:
                other.raw_send(cancel_request(c.pid, c.key))
                assert other.raw_rest() == b""

    succeeded, n = starve(g, memory, certs, 1, act)
    assert 0 < succeeded < n and n > 150
    factory.stop(behind)


def test_an_allocation_fails_in_a_question_to_the_status_database(short_of_memory, certs):
    g, memory = short_of_memory(settings={"stats_users": "alice"})

    def act():
        with Conn(g, timeout=5) as c:
            c.ready(ALICE, database="pgseal")
            assert c.ask("SELECT count(*), max(pid) FROM pgseal_sessions JOIN pg_stat_ssl USING (pid)")[-1] == (
                "Z", "I")
            c.send(message("X"))
            c.rest()

    succeeded, n = starve(g, memory, certs, 1, act)
    assert succeeded and n > 50          # what the clerk allocates is its own


def test_an_allocation_fails_in_a_look_up(short_of_memory, factory, certs):
    g, memory = short_of_memory(settings={"auth_source": "query", "auth_user": "postgres", "auth_cache_ttl": "0",
                                          "auth_file": None})

    def act():
        with Conn(g, timeout=5) as c:
            c.ready(ALICE)

    succeeded, n = starve(g, memory, certs, 1, act)
    assert succeeded and n > 50


def test_an_allocation_fails_in_a_cancel_request(short_of_memory, certs):
    """Whoever asks takes the end of his connection to mean that it is done: he is let go at once all the same."""
    g, memory = short_of_memory()
    with unharmed(g, certs) as session:
        for n in steps():
            memory.order(n, 1)
            with Conn(g, timeout=30) as c:
                c.send(cancel_request(session.pid, session.key))
                assert c.event() in (EOF, RESET), f"allocation {n}"
            if memory.relent() == 1:
                break
    assert n > 5


def reload(g):
    """Until it is in force, and looked at, or refused."""
    since = g.log.mark()
    g.kill(signal.SIGHUP)
    g.log.wait_for(r"event=(served_|reload_failed)", since, 5)


def test_an_allocation_fails_in_a_reload(short_of_memory, certs):
    """It is in force or it is not; the next one is."""
    g, memory = short_of_memory()
    own, places = starve_everywhere(g, memory, certs, lambda: reload(g))
    assert own > 40 and places > 80, (own, places)
    assert "timeout expired" not in g.log.text()    # nobody waited for what will never come


@pytest.mark.skipif(not EVERY_ALLOCATION, reason="twenty minutes: make faults")
def test_every_allocation_fails_in_a_reload(short_of_memory, certs):
    g, memory = short_of_memory()
    succeeded, n = starve(g, memory, certs, 1, lambda: reload(g))
    assert succeeded and n > 1000


def test_a_login_is_whole_or_refused(short_of_memory, certs):
    """Nothing that the client must be told is lost on the way to it."""
    g, memory = short_of_memory()
    whole = []

    def act():
        with Conn(g, timeout=5) as c:
            c.start_tls()
            events = c.login(ALICE)
            assert events[-1] == ("Z", "I"), events
            told = [e[0] if e[0] != "S" else e for e in events]
            whole.append(told)

    own, _ = starve_everywhere(g, memory, certs, act, libraries=EVERY_ALLOCATION or STACKS)
    assert own > 20
    assert all(told == whole[0] for told in whole), [told for told in whole if told != whole[0]][0]


def test_an_allocation_fails_in_an_answer_over_http(short_of_memory, certs, scratch, pytestconfig):
    """The page, its report (kept for a second) and the metrics are whole or an error."""
    clock = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/faultclock.so")
    path = os.path.join(scratch, "clock-http")
    page = run.shared_page(path)
    port = run.free_port()
    g, memory = short_of_memory(settings={"http_listen": f"127.0.0.1:{port}"}, preload=f":{clock}", clock=path)
    texts = []

    def ask(what):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", what)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, (answer.status, text)
        return text

    def act():
        struct.pack_into("q", page, 8, struct.unpack_from("q", page, 8)[0] + 20)    # what is kept is old
        report, metrics, drawn = ask("/status.json"), ask("/metrics"), ask("/status")
        # A library that runs short while it reads a certificate may say that there is none to be read.
        texts.append((json.loads(report).keys(), drawn, {line.split()[0] for line in metrics.splitlines()
                                                         if line[0] != "#" and "file=" not in line}))

    own, _ = starve_everywhere(g, memory, certs, act, libraries=EVERY_ALLOCATION or STACKS)
    assert own > 100, own
    for report, drawn, metrics in texts:
        assert (report, drawn) == texts[0][:2]
        assert metrics >= texts[0][2], texts[0][2] - metrics


def test_an_allocation_fails_while_a_certificate_is_revoked(short_of_memory, certs):
    """The session ends: with a reload that was done, whatever it ran short of; else with the next one."""
    cert = certs.ca.issue("alice", usage="client")
    files = certs.client("short-of-memory", cert)
    g, memory = short_of_memory(
        hba="hostssl all alice 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nlocal all all trust\n"
        "host all all 127.0.0.1/32 scram-sha-256\n",
        tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl()}, settings={"reload_on_change": "off"})

    def reload_with(*revoked):
        g.write("client.crl", certs.ca.crl(revoked))
        reload(g)

    def revoke(deprived_by, *ends):
        """One session, and the list on which its certificate is. What deprived_by(reload) returns."""
        with Conn(g, timeout=5) as c:
            c.start_tls(client_context(cert=files))
            c.ready(ALICE)
            done = []
            result = deprived_by(lambda: done.append(reload_with(cert)))
            if not done:
                reload(g)
            events = c.events()
            assert events[-1] in ends and [e[1]["C"] for e in events[:-1]] in (["57P01"], []), events
        reload_with()
        return result

    def fail_at(place):
        def deprived_by(act):
            memory.order(1, 1, Memory.PLACE, place)
            with contextlib.suppress(AssertionError):
                act()
            return memory.relent() == 0
        return deprived_by

    with unharmed(g):
        ordinary = memory.places(lambda: reload_with())     # nobody's certificate is looked at
        # Twice: what only one of two runs came by depends on what else the machine does.
        places = (revoke(memory.places, EOF) & revoke(memory.places, EOF)) - ordinary
        hit = sum(revoke(fail_at(place), EOF, RAGGED) for place in places)  # OpenSSL 3.5 needs memory to close
    assert hit > 1, (hit, len(places))      # to look at the certificate, and to log; our own records close without memory
