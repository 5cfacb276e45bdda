"""clientname=SAN, which is the gate's own: URIs, DNS names and e-mail addresses of a certificate through a map."""

import json
import subprocess

import psycopg
import pytest

from lib import pki, wire
from lib.pg import PASSWORDS
from lib.wire import Conn, startup

HBA = """\
local   all     all                     trust
hostssl app     all        127.0.0.1/32 cert clientname=SAN map=spiffe
hostssl plain   all        127.0.0.1/32 cert clientname=SAN
hostssl scram   all        127.0.0.1/32 scram-sha-256 clientcert=verify-full clientname=SAN
hostssl bycn    all        127.0.0.1/32 cert
hostssl anyone  all        127.0.0.1/32 cert clientname=SAN map=anyone
"""
IDENT = r"""
spiffe  /^spiffe://corp\.example/ns/prod/sa/([a-z]+)$  \1
spiffe  bob@corp.example                               bob
spiffe  app.corp.example                               carol
spiffe  xn--mnchen-3ya.example                         alice
anyone  /^.*$                                          alice
anyone  ""                                             alice
"""
LONG = "uri:spiffe://corp.example/ns/prod/sa/" + "x" * 4000


@pytest.fixture(scope="module")
def gate(factory, certs):
    gate = factory.gate(hba=HBA, ident=IDENT, tls={"cert": certs.server, "ca": certs.ca.pem()})
    yield gate
    factory.stop(gate)


@pytest.fixture(scope="module")
def show(gate, certs):
    """Log in with a certificate that has these alternative names: True, or the text of the refusal."""
    made = {}

    def login(user, sans, database="app", secret=None, cn="nobody"):
        key = (cn, tuple(sans))
        if key not in made:
            made[key] = certs.client(f"san-{len(made)}", certs.ca.issue(cn, sans=sans))
        with Conn(gate) as c:
            c.start_tls(wire.client_context(cert=made[key]))
            if secret:
                events = c.login(secret, user, database)
            else:
                events = c.send(startup(user, database)).dialogue()
        return ("R", 0, b"") in events or next(e[1]["M"] for e in events if e[0] == "E")

    return login


ALICE = "uri:spiffe://corp.example/ns/prod/sa/alice"
REFUSED = 'certificate authentication failed for user "%s"'


@pytest.mark.parametrize("user, sans", [
    ("alice", [ALICE]),
    ("alice", ["db.example", "10.0.0.1", "email:x@y", ALICE]),          # each is tried
    ("bob", [ALICE, "email:bob@corp.example"]),
    ("carol", ["app.corp.example"]),
    ("alice", ["xn--mnchen-3ya.example"]),
    ("alice", [LONG, ALICE]),                                           # too long for a name, and passed over
    ("alice", [f"h{i}.example" for i in range(63)] + [ALICE]),
])
def test_admitted(show, user, sans):
    assert show(user, sans) is True


@pytest.mark.parametrize("user, sans", [
    ("bob", [ALICE]),
    ("alice", ["uri:spiffe://corp.example/ns/prod/sa/alice/x"]),
    ("alice", ["uri:spiffe://corp.example.evil/ns/prod/sa/alice"]),
    ("alice", ["uri:SPIFFE://corp.example/ns/prod/sa/alice"]),
    ("alice", ["uri:spiffe://corp.example/ns/prod/sa/alice\0"]),        # what follows a NUL does not make a name
    ("alice", ["uri:spiffe://corp.example/ns/prod/sa/alice\n"]),
    ("bob", ["email:bob@corp.example\0.evil"]),
    ("bob", ["uri:bob@corp.example", "bob@corp.example"]),              # of another kind than its look
    ("carol", ["email:app.corp.example", "uri:app.corp.example"]),
    ("alice", ["spiffe://corp.example/ns/prod/sa/alice"]),
    ("alice", [f"h{i}.example" for i in range(64)] + [ALICE]),          # only so many are looked at
    ("alice", []),
])
def test_refused(show, user, sans):
    assert show(user, sans) == REFUSED % user


def test_the_common_name_counts_elsewhere_only(show):
    assert show("alice", [], cn="alice") == REFUSED % "alice"
    assert show("alice", [ALICE], cn="alice", database="bycn") is True
    assert show("bob", ["bob", ALICE], cn="alice", database="bycn") == REFUSED % "bob"


def test_without_a_map_a_name_is_the_user(show):
    assert show("alice", ["bob", "alice"], database="plain") is True
    assert show("carol", ["bob", "alice"], database="plain") == REFUSED % "carol"


def test_beside_a_password(show):
    assert show("alice", ["alice"], database="scram", secret=PASSWORDS["alice"]) is True
    assert show("alice", ["bob"], database="scram", secret=PASSWORDS["alice"]) is not True


def test_view_and_log(gate, certs, show):
    since = gate.log.mark()
    files = certs.client("san-seen", certs.ca.issue("nobody", sans=["x.example", ALICE]))
    with Conn(gate) as c:
        c.start_tls(wire.client_context(cert=files))
        c.ready(None, "alice", "app")
        with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as db:
            seen = db.execute("SELECT system_user FROM pgseal_sessions WHERE user_name = 'alice'").fetchall()
            assert seen == [("cert:" + ALICE[4:],)]
            assert db.execute("SELECT options FROM pg_hba_file_rules WHERE rule_number = 2").fetchone()[0] == [
                "map=spiffe", "clientcert=verify-full", "clientname=SAN"]
    assert f'identity={ALICE[4:]}' in gate.words(since).replace('"', "")
    since = gate.log.mark()
    assert show("bob", ["y.example", ALICE]) is not True
    words = gate.words(since)
    assert 'no match in usermap "spiffe" for user "bob" authenticated as "y.example"' in words
    assert "The certificate has 2 alternative names, and none of them fits." in words


def run(gate, *words):
    done = subprocess.run([gate.program, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_commands(gate, tmp_path):
    code, words = run(gate, "hba", "--json", gate.path("pg_hba.conf"))
    assert code == 0 and "clientname=SAN" in json.loads(words)[1]["options"]
    code, words = run(gate, "hba", "--pg-version", "18", gate.path("pg_hba.conf"))
    assert code == 1 and 'invalid value for clientname: "SAN"' in words
    facts = ["addr=127.0.0.1", "dbname=app", "tls=1.3", "san=x.example", f"san={ALICE[4:]}"]
    code, words = run(gate, "explain", "-D", gate.dir, *facts, "user=alice")
    assert code == 0 and f'the certificate\'s name "{ALICE[4:]}" may act as "alice"' in words, words
    code, words = run(gate, "explain", "-D", gate.dir, *facts, "user=alice", "sni=db.example")
    assert code == 0 and "no rule sees it" in words, words
    code, words = run(gate, "explain", "-D", gate.dir, *facts, "user=bob")
    assert code == 1 and 'no match in usermap "spiffe" for user "bob"' in words, words


@pytest.mark.parametrize("sans,counts", [
    (["*.corp.example"], True), (["email:bob@corp.example"], True), (["uri:urn:x"], True), (["email:b/x@c", "uri:urn:x"], True),
    ([""], False), (["email:b/x@c"], False), (["uri:1x://y"], False), (["uri:urn:"], False), (["email:@x", "uri:/x"], False)])
def test_explain_and_the_gate_agree_on_what_a_name_is(gate, show, sans, counts):
    """Where a map takes everything."""
    assert (show("alice", sans, database="anyone") is True) is counts
    code, words = run(gate, "explain", "-D", gate.dir, "addr=127.0.0.1", "dbname=anyone", "user=alice", "tls=1.3",
                      *(f"san={san.removeprefix('uri:').removeprefix('email:')}" for san in sans))
    assert (code == 0) is counts and ("is not a URI, a DNS name or an e-mail address" in words) is not counts, words


def test_postgres_own_files_are_judged_as_its_own(gate, tmp_path):
    """The audit of a server's file says what the server says."""
    path = tmp_path / "pg_hba.conf"
    path.write_text("hostssl all all all cert clientname=SAN map=m\n")
    code, words = run(gate, "audit", "--json", str(path))
    assert code == 1 and 'invalid value for clientname: \\"SAN\\"' in words, words
    code, words = run(gate, "audit", "--json", gate.dir)
    assert "invalid value for clientname" not in words
