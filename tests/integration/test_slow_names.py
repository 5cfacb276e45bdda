"""
Name servers that say nothing hold up those who need a name, and nobody else: not passwords that the pool hashes, not
the name of an upstream server, not the loop; and those for three seconds. Who needs a name from them takes no lookup from
others. They are held by a library in front of libc's (tests/fault/slownames.c).
"""

import contextlib
import os
import pwd
import signal
import struct

import pytest

from lib import run, scram, wire
from lib.gate import userlist
from lib.pg import PASSWORDS
from lib.wire import Conn, startup

ALICE = PASSWORDS["alice"]
REVERSE, _, USER = range(3)
HASHED = 30000      # iterations: more than a loop does itself
ME = pwd.getpwuid(os.geteuid()).pw_name

# alice needs no name; all others are looked up.
HBA = """\
local app  all peer map=own
host  all  alice 127.0.0.1/32 password
host  all  all   clients.example trust
"""


class Names:
    """The page that slownames.so shares."""

    def __init__(self, path):
        self.page = run.shared_page(path)

    def hold(self, *kinds):
        self.page[0:4] = struct.pack("i", sum(1 << k for k in kinds))

    def fail(self, *kinds):
        self.page[16:20] = struct.pack("i", sum(1 << k for k in kinds))

    def held(self, kind):
        return struct.unpack("i", self.page[4 + 4 * kind:8 + 4 * kind])[0]

    def asked(self, kind):
        return struct.unpack("i", self.page[20 + 4 * kind:24 + 4 * kind])[0]


@pytest.fixture
def slow(make_gate, scratch, factory, pytestconfig, monkeypatch):
    """make(**settings): (gate, its name service), one worker, with alice's password stored so that it takes the pool."""
    made = []

    def make(upstream=None, threads=None, **settings):
        path = os.path.join(scratch, f"names{factory.count}")
        names = Names(path)
        suppressed = os.path.join(scratch, "slow-names.tsan")
        with open(suppressed, "w", encoding="utf-8") as f:
            f.write("called_from_lib:libc.so.6\n")
        factory.upstream()
        with monkeypatch.context() as m:
            m.setenv("SLOWNAMES", path)
            m.setenv("LD_PRELOAD", os.path.join(os.path.abspath(pytestconfig.getoption("--build")),
                                                "tests/fault/slownames.so"))
            # ThreadSanitizer cannot see the locks by which glibc's lookups share what they allocate.
            m.setenv("TSAN_OPTIONS", f"{os.environ.get('TSAN_OPTIONS', '')} suppressions={suppressed}")
            if threads:
                m.setenv("UV_THREADPOOL_SIZE", str(threads))
            g = make_gate(upstream=upstream, hba=HBA, ident=f"own {ME} alice\n", settings={"workers": "1", **settings})
        g.write("userlist.txt", userlist({"alice": scram.secret(ALICE, iterations=HASHED)}), 0o600)
        g.reload()
        made.append(names)
        return g, names

    yield make
    for names in made:
        names.hold()


@contextlib.contextmanager
def strangers(gate, count, site=2):
    """Connections for which the gate wants to know a name, each from an address of its own."""
    with contextlib.ExitStack() as stack:
        out = [stack.enter_context(Conn(gate, timeout=30, source=f"127.0.{site}.{i + 1}")) for i in range(count)]
        for c in out:
            c.send(startup("bob"))
        yield out


def logs_in(gate, unix=False):
    with Conn(gate, unix=unix) as c:
        return c.ready(ALICE).value("SELECT current_user") == "alice"


@pytest.mark.parametrize("threads, most", [(None, 8), (4, 1), (64, 21)])
def test_passwords_are_hashed_while_names_are_waited_for(slow, threads, most):
    g, names = slow(threads=threads)
    names.hold(REVERSE)
    with strangers(g, 30) as waiting:
        run.wait_until(lambda: names.held(REVERSE) == most, "the lookups to hang")
        assert logs_in(g)
        assert names.held(REVERSE) == most      # the others stand in line
        names.hold()
        for c in waiting:
            assert c.event()[1]["C"] == "28000"
    assert logs_in(g)


def test_nobody_waits_longer_than_the_deadline(slow):
    """Under way or in line: the rule does not match, and the log says why."""
    g, names = slow()
    names.hold(REVERSE)
    since = g.log.mark()
    with strangers(g, 30) as waiting:
        run.wait_until(lambda: names.held(REVERSE) == 8, "the lookups to hang")
        for c in waiting:
            assert c.event()[1]["C"] == "28000"
        assert names.held(REVERSE) == 8         # the threads are not back
    assert g.words(since).count("Temporary failure in name resolution") == 30


def test_one_client_has_one_lookup(slow):
    """However often it connects; and others have theirs beside it."""
    g, names = slow()
    names.hold(REVERSE)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Conn(g, source="127.0.9.9")) for _ in range(30)]
        for c in crowd:
            c.send(startup("bob"))
        run.wait_until(lambda: names.held(REVERSE) == 1, "the lookup to hang")
        with strangers(g, 1) as other:
            run.wait_until(lambda: names.held(REVERSE) == 2, "the other's lookup")
            names.hold()
            assert other[0].event()[1]["C"] == "28000"
        for c in crowd:
            assert c.event()[1]["C"] == "28000"
    assert names.asked(REVERSE) == 2


def test_who_came_to_a_lookup_that_hangs_waits_no_second_time(slow):
    g, names = slow()
    names.hold(REVERSE)
    for _ in range(3):
        with strangers(g, 1) as waiting:
            assert waiting[0].event()[1]["C"] == "28000"
            assert names.held(REVERSE) == names.asked(REVERSE) == 1


def test_that_a_name_server_failed_is_remembered(slow):
    """For that address; an answer that there is no name is none of its failures."""
    g, names = slow()
    names.fail(REVERSE)
    for _ in range(3):
        with strangers(g, 1) as waiting:
            assert waiting[0].event()[1]["C"] == "28000"
    assert names.asked(REVERSE) == 1
    with strangers(g, 1, site=3) as waiting:
        assert waiting[0].event()[1]["C"] == "28000"
    assert names.asked(REVERSE) == 2
    names.fail()
    for asked in (3, 4):
        with strangers(g, 1, site=4) as waiting:
            assert waiting[0].event()[1]["C"] == "28000"
        assert names.asked(REVERSE) == asked


def test_who_leaves_the_line_is_gone(slow):
    """By leaving, or by authentication_timeout, from the lookups that hang and from the line; and the gate stops with
    both."""
    g, names = slow(authentication_timeout="2s")
    names.hold(REVERSE)
    with strangers(g, 30) as waiting:
        run.wait_until(lambda: names.held(REVERSE) == 8, "the lookups to hang")
        for c in waiting:
            assert c.rest() == b""
    assert names.held(REVERSE) == 8
    with strangers(g, 3, site=3) as waiting:    # behind lookups that nobody wants any more
        names.hold()
        for c in waiting:
            assert c.event()[1]["C"] == "28000"
    names.hold(REVERSE)
    with strangers(g, 30, site=4) as waiting:
        run.wait_until(lambda: names.held(REVERSE) == 8, "the lookups to hang")
        g.kill(signal.SIGINT)
        for c in waiting:
            c.events()
        names.hold()
        assert g.process.wait(run.PATIENCE) == 0
        g.process = None


def test_the_server_behind_is_found_while_clients_names_are_waited_for(slow, factory, scratch):
    path = os.path.join(scratch, "slow-names-passfile")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(f"*:*:*:alice:{ALICE}\n")
    server = factory.postgres(hba="local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    try:
        g, names = slow(upstream=f"host=localhost port={server.port} sslmode=disable user=alice passfile={path}",
                        upstream_login="service")
        names.hold(REVERSE)
        with strangers(g, 30) as waiting:
            run.wait_until(lambda: names.held(REVERSE) == 8, "the lookups to hang")
            assert logs_in(g)
            names.hold()
            for c in waiting:
                assert c.event()[1]["C"] == "28000"
    finally:
        factory.stop(server)


def test_who_is_at_a_socket_is_not_asked_on_the_loop(slow):
    """peer, and the gate's own user at the status database."""
    g, names = slow()
    assert logs_in(g, unix=True)
    names.hold(USER)
    with Conn(g, unix=True, timeout=30) as peer, Conn(g, unix=True, timeout=30) as own, \
            Conn(g, unix=True, timeout=30) as other:
        peer.send(startup("alice"))
        own.send(startup("whoever", "pgseal"))
        other.send(startup("bob"))
        run.wait_until(lambda: names.held(USER) == 3, "the lookups to hang")
        assert logs_in(g)
        names.hold()
        assert peer.dialogue()[-1] == ("Z", "I")
        assert peer.value("SELECT current_user") == "alice"
        assert own.dialogue()[-1] == ("Z", "I")
        assert own.value("SELECT system_user") == f"peer:{ME}"
        assert other.dialogue() == [wire.fatal("28000", 'Peer authentication failed for user "bob"'), wire.EOF]
