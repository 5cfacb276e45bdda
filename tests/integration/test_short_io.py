"""
Sockets that take less than they were given, give less than there is, are interrupted, or fail, at every call in
its turn. What was only slow arrives intact; what failed ends one session, and the others do not notice.
"""

import contextlib
import errno
import hashlib
import os
import ssl
import struct

import pytest

from lib import run
from lib.pg import PASSWORDS
from lib.wire import Closed, Conn, message, query

ALICE = PASSWORDS["alice"]
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"
SEND, RECV, CONNECT, ACCEPT = 1, 2, 4, 8
EVER = 1 << 40
# More than one buffer of the gate holds, and than the socket takes while nobody reads.
LINES = b"".join(b"%d\t%s\n" % (i, hashlib.md5(b"%d" % i).hexdigest().encode() * 30) for i in range(200))


class Calls:
    """The page that failcalls.c obeys."""

    def __init__(self, path):
        self.page = run.shared_page(path)

    def hit(self, kinds, first=1, hits=1, error=0, size=0):
        """Let `hits` calls of these kinds fail with an error, or move `size` bytes at most, from the first-th on."""
        self.page[0:8] = bytes(8)
        self.page[8:48] = struct.pack("5q", 0, first, hits, error, size)
        self.page[0:8] = struct.pack("q", kinds)

    def relent(self):
        """Hit no more; returns (how many calls there were, how many were still to be hit)."""
        self.page[0:8] = bytes(8)
        seen, _, hits = struct.unpack("3q", self.page[8:32])
        return seen, hits


@pytest.fixture(scope="module")
def behind(factory, certs):
    """A server that is reached over TLS, with SCRAM."""
    server = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n", tls={"cert": certs.server})
    with server.admin("app") as db:
        db.execute("CREATE UNLOGGED TABLE lines (n int, t text); GRANT ALL ON lines TO alice")
    yield server
    factory.stop(server)


@pytest.fixture(scope="module")
def faulty(factory, behind, certs, scratch, pytestconfig):
    """(gate, the page that rules its sockets)."""
    path = os.path.join(scratch, "failcalls")
    calls = Calls(path)
    g = factory.gate(start=False, tls={"cert": certs.server}, hba=HBA, upstream=(
        f"host=localhost hostaddr=127.0.0.1 port={behind.port} sslmode=verify-full sslrootcert={certs.ca_file}"),
        settings={"upstream_login": "scram", "workers": "1", "stats_users": "alice"})
    g.program = os.path.join(os.path.dirname(g.program), "tests/fault/pgseal-faulty")
    with pytest.MonkeyPatch.context() as m:
        m.setenv("FAILCALLS", path)
        g.start()
    yield g, calls
    factory.stop(g)


def session(g):
    """TLS, SCRAM, rows in and out again; raises unless every byte arrives."""
    with Conn(g, timeout=20) as c:
        c.start_tls()
        c.ready(ALICE)
        assert c.ask("BEGIN; TRUNCATE lines")[-1] == ("Z", "T")
        c.send(query("COPY lines FROM STDIN"))
        assert c.events(until=("G",))[-1][0] == "G"
        c.send(b"".join(message("d", LINES[at:at + 50000]) for at in range(0, len(LINES), 50000)) + message("c"))
        assert c.events()[-2:] == [("C", b"COPY 200\0"), ("Z", "T")]
        rows = b"".join(e[1] for e in c.ask("COPY lines TO STDOUT") if e[0] == "d")
        assert rows == LINES
        c.send(message("X"))
        c.rest()


def console(g):
    with Conn(g, timeout=20) as c:
        c.start_tls()
        c.ready(ALICE, database="pgseal")
        events = c.ask("SELECT name, short_desc FROM pg_settings")
        assert events[-1] == ("Z", "I") and sum(e[0] == "D" for e in events) > 40
        c.send(message("X"))
        c.rest()


@contextlib.contextmanager
def unharmed(g):
    """A session from before, which answers whatever happens; and the descriptors come back."""
    fds = f"/proc/{g.pid}/fd"
    with Conn(g) as before:
        before.start_tls()
        before.ready(ALICE)
        session(g)
        at_rest = len(os.listdir(fds))
        yield before
        assert before.value("SELECT 'still here'") == "still here"
        session(g)
        run.wait_until(lambda: len(os.listdir(fds)) <= at_rest, "the descriptors to come back")
    assert g.process.poll() is None


SLOW = {"one byte": {"size": 1}, "five bytes": {"size": 5}, "EAGAIN": {"error": errno.EAGAIN},
        "EINTR": {"error": errno.EINTR}}


@pytest.mark.parametrize("how", SLOW)
@pytest.mark.parametrize("call", [SEND, RECV], ids=["send", "recv"])
@pytest.mark.parametrize("act", [session, console])
def test_each_call_in_its_turn_does_less(faulty, act, call, how):
    g, calls = faulty
    with unharmed(g):
        for n in range(1, 1000):
            calls.hit(call, n, **SLOW[how])
            act(g)
            seen, left = calls.relent()
            if left:
                break
        # SSLRequest, ClientHello, Finished, two of SCRAM, the statement, Terminate: seven flights at least.
        assert n > 7 and seen < n, (n, seen)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 100, 4096, 16406])
@pytest.mark.parametrize("act", [session, console])
def test_all_calls_do_less(faulty, act, size):
    g, calls = faulty
    if act is session and size < 100:
        size *= 25          # a hundred thousand bytes, one by one, prove nothing that a thousand do not
    with unharmed(g):
        calls.hit(SEND | RECV, 1, EVER, size=size)
        act(g)
        seen, _ = calls.relent()
        assert seen > 10


FATAL = {"send": (SEND, errno.EPIPE), "recv": (RECV, errno.ECONNRESET), "recv in vain": (RECV, errno.ENOMEM)}


@pytest.mark.parametrize("how", FATAL)
@pytest.mark.parametrize("act", [session, console])
def test_the_peer_is_lost_at_each_call(faulty, act, how):
    """That session ends; what it did not get to its end did not happen."""
    g, calls = faulty
    call, why = FATAL[how]
    with unharmed(g) as other:
        for n in range(1, 1000):
            calls.hit(call, n, error=why)
            with contextlib.suppress(Closed, ssl.SSLError, OSError, AssertionError):
                act(g)
            seen, left = calls.relent()
            if n % 10 == 0:
                assert other.value("SELECT 1") == "1"
            if left:
                break
        assert n > 5, (n, seen)


# Then the spare descriptor is tried at once, so that two calls fail before the gate pauses; whoever comes while the
# spare one serves is turned away (test_pending.py).
RUN_OUT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@pytest.mark.parametrize("why", [errno.EINTR, errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE,
                                 errno.ENOBUFS, errno.ENOMEM, errno.EPROTO, errno.EPERM])
def test_accept_fails_for_a_while(faulty, why):
    """Whatever the reason, those who wait are served when it has gone; a gate does not spin meanwhile."""
    g, calls = faulty
    with unharmed(g):
        calls.hit(ACCEPT, 1, 2 if why in RUN_OUT else 3, error=why)
        session(g)
        assert calls.relent()[1] == 0


def test_an_interrupted_connect_goes_on(faulty):
    g, calls = faulty
    with unharmed(g):
        calls.hit(CONNECT, error=errno.EINTR)
        session(g)
        assert calls.relent()[1] == 0


@pytest.mark.parametrize("why", [errno.ECONNREFUSED, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES])
def test_connect_fails(faulty, why):
    g, calls = faulty
    with unharmed(g):
        calls.hit(CONNECT, error=why)
        with Conn(g) as c:
            c.start_tls()
            events = c.login(ALICE)
            assert [e[1]["C"] for e in events if e[0] == "E"] == ["57P03"], events
        assert calls.relent()[1] == 0
