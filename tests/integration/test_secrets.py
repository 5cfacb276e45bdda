"""
What a login taught the gate is gone from its memory: searched for, byte by byte, while the session goes on and
after it has ended.
"""

import hashlib
import hmac

import pytest

from lib import run
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn

ALICE = PASSWORDS["alice"]
SALT = b"salt of alice   "

pytestmark = pytest.mark.skipif(not run.is_root(), reason="only root may read the memory of another process")


def derived(password):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 4096)
    return {"SaltedPassword": salted, "ClientKey": hmac.new(salted, b"Client Key", "sha256").digest()}


NEEDLES = {"password": ALICE.encode(), **derived(ALICE)}


def places(pid, needle):
    """Where in the writable memory of a process some bytes stand: (name of the mapping, what is around them)."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *rest = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(begin)
                content = memory.read(end - begin)
            except OSError:
                continue
            at = content.find(needle)
            while at >= 0:
                found.append((rest[3] if len(rest) > 3 else "anonymous", f"{begin + at:x}",
                              content[max(0, at - 64):at + 96]))
                at = content.find(needle, at + 1)
    return found


def assert_forgotten(gate):
    stored = SECRETS["alice"].split("$")[2].split(":")[0]
    assert places(gate.pid, stored.encode()), "the search does not find what auth_file says"
    for name, needle in NEEDLES.items():
        assert not places(gate.pid, needle), f"{name} is still there"


@pytest.fixture(scope="module", autouse=True)
def plain_memory(program):
    """A sanitizer's runtime keeps stacks and freed memory for its reports, in mappings of terabytes."""
    if run.sanitized(program):
        pytest.skip("built with a sanitizer")


@pytest.fixture(scope="module")
def upstream(factory):
    """It asks for a password on its socket, so the gate has to know one, or its keys."""
    server = factory.postgres(hba="local all postgres trust\nlocal db2 all password\nlocal all all scram-sha-256\n")
    yield server
    factory.stop(server)


def login_and_out(gate, tls, database="app", password=ALICE):
    for _ in range(3):
        with Conn(gate) as c:
            if tls:
                c.start_tls()
            c.ready(password, database=database)
            assert c.value("SELECT current_user") == "alice"
            assert_forgotten(gate)
            c.send(b"X\0\0\0\x04")
            c.rest()
    assert_forgotten(gate)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize("method, login", [("password", "trust"), ("password", "password"),
                                           ("scram-sha-256", "scram")])
def test_a_login_leaves_nothing_behind(make_gate, factory, upstream, certs, method, login, tls):
    g = make_gate(upstream=factory.upstream() if login == "trust" else upstream, tls={"cert": certs.server},
                  hba=f"host all all 127.0.0.1/32 {method}\n", settings={"upstream_login": login, "workers": "1"})
    login_and_out(g, tls)


@pytest.mark.parametrize("database, method", [("app", "scram-sha-256"), ("db2", "pam")])
def test_nor_does_one_that_passes_through(make_gate, upstream, certs, database, method):
    """pam asks for a cleartext password, as the upstream server does for db2."""
    g = make_gate(upstream=upstream, tls={"cert": certs.server}, hba=f"host all all 127.0.0.1/32 {method}\n",
                  settings={"auth_source": "upstream", "workers": "1", "upstream_login": None})
    # auth_file is not read here: the search is proven by the other tests.
    for _ in range(3):
        with Conn(g) as c:
            c.start_tls()
            c.ready(ALICE, database=database)
            for name, needle in NEEDLES.items():
                assert not places(g.pid, needle), f"{name} is still there"


@pytest.mark.parametrize("method", ["password", "scram-sha-256"])
def test_nor_does_a_login_that_fails(make_gate, certs, method):
    g = make_gate(tls={"cert": certs.server}, hba=f"host all all 127.0.0.1/32 {method}\n", settings={"workers": "1"})
    wrong = "not the pass, but near"
    with Conn(g) as c:
        c.start_tls()
        assert ("E", "28P01") in [(event[0], event[1]["C"]) for event in c.login(wrong) if event[0] == "E"]
        c.rest()
    assert not places(g.pid, wrong.encode())


def test_nor_does_the_keys_passphrase(factory, certs):
    """The key stays; what it was unlocked with is not needed any more."""
    phrase = "an unlikely phrase, once"
    g = factory.gate(start=False, tls={"cert": certs.server}, hba="local all all trust\n")
    try:
        g.write("server.key", certs.server.key_pem(phrase), 0o600)
        g.write("phrase", phrase + "\n", 0o600)
        g.configure(settings={"ssl_passphrase_command": f"cat {g.path('phrase')}", "workers": "1",
                              "ssl_passphrase_command_supports_reload": "on"})
        g.start()
        assert not places(g.pid, phrase.encode())
        assert "reloaded" in g.reload()
        assert not places(g.pid, phrase.encode())
    finally:
        factory.stop(g)
