"""
upstream_check_url: what tells the gate that the primary has moved, with a real primary and its standby. Their REST API is
a stand-in here; Patroni's own is asked in tests/cluster.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
import urllib.request

import psycopg
import pytest

from lib import pki, run, scripted_server
from lib.pair import Pair
from lib.pg import PASSWORDS
from lib.rest import Rest
from lib.wire import Conn
from test_slow_names import Names
from test_upgrade import alone, upgrade

ALICE = PASSWORDS["alice"]
A, B = "127.0.0.1", "localhost"         # the names of the two servers, for the REST API as well
FORWARD = 1         # of slownames.so
HBA = "host all alice 127.0.0.1/32 scram-sha-256\n"
SERVER_HBA = ("local all,replication all trust\nhostssl all alice 127.0.0.1/32 scram-sha-256\n"
              "host replication repl 127.0.0.1/32 trust\nhostssl all postgres 127.0.0.1/32 trust\n")
QUERY = {"auth_source": "query", "auth_user": "postgres", "auth_file": None, "auth_cache_ttl": "0"}
FILE = {}


@pytest.fixture(scope="module")
def pair(factory, certs):
    made = Pair(factory, certs, SERVER_HBA)
    yield made
    factory.stop(made.a)
    factory.stop(made.b)


@pytest.fixture
def rest(certs, tmp_path):
    made = Rest(certs.ca.issue("rest", [A, B], "server"), certs.ca, str(tmp_path), {A: "primary", B: "standby"})
    yield made
    made.close()


@pytest.fixture
def checking(make_gate, certs, pair, rest, tmp_path):
    """checking(setting=value, ...): a gate in front of both servers that asks about each."""
    cert, key = certs.ca.issue("gate", usage="client").write(str(tmp_path), "asker")

    def make(**settings):
        return make_gate(upstream=pair.conninfo(target_session_attrs="read-write"), hba=HBA,
                         tls={"cert": certs.server}, settings={
                             "upstream_login": "scram", "log_min_messages": "debug1", "admin_users": "alice",
                             "upstream_check_url": f"https://%h:{rest.port}/primary",
                             "upstream_check_ca_file": certs.ca_file, "upstream_check_cert_file": cert,
                             "upstream_check_key_file": key, **settings})
    return make


def console(gate):
    return psycopg.connect(host=gate.socket_dir, port=gate.port, dbname="pgseal", user="postgres", autocommit=True)


def roles(gate):
    with console(gate) as db:
        return db.execute("SELECT roles FROM pgseal_upstreams").fetchone()[0]


def wait_for_roles(gate, *wanted):
    run.wait_until(lambda: roles(gate) == list(wanted), f"the roles {wanted}")


def begin(gate):
    c = Conn(gate, timeout=run.PATIENCE)
    c.start_tls()
    return c


def let_in(gate):
    c = begin(gate)
    c.ready(ALICE)
    return c


@contextlib.contextmanager
def frozen(server):
    """Its processes stand still, and its kernel still takes connections."""
    pids = [server.process.pid, *run.children(server.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def on_the_way(gate):
    """How many sessions have asked for a server and are not there yet."""
    with console(gate) as db:
        return db.execute("SELECT count(*) FROM pgseal_sessions WHERE database = 'app' AND step <> 'relay'").fetchone()[0]


def promote(server):
    server.query("SELECT pg_promote()")
    run.wait_until(lambda: not server.query("SELECT pg_is_in_recovery()")[0][0], "the promotion")


def test_roles_are_seen(pair, checking, rest):
    g = checking(http_listen=f"127.0.0.1:{run.free_port()}")
    wait_for_roles(g, "primary", "standby")
    rest.become(localhost="silent")
    wait_for_roles(g, "primary", "unknown")
    assert 'event=upstream_role upstream=default host=127.0.0.1:' in g.words()
    metrics = metrics_of(g)
    assert f'pgseal_upstream_primary{{upstream="default",host="127.0.0.1:{pair.a.port}"}} 1' in metrics
    assert f'pgseal_upstream_primary{{upstream="default",host="localhost:{pair.b.port}"}} 0' in metrics
    with let_in(g) as c:
        assert c.value("SHOW port") == str(pair.a.port)


def metrics_of(gate):
    with urllib.request.urlopen(f"http://{gate.settings['http_listen']}/metrics", timeout=run.PATIENCE) as answer:
        return answer.read().decode()


def test_the_servers_own_answer_is_the_proof(pair, checking, rest):
    """The standby is said to be the primary: sessions of the other end, and new ones come to the one that is."""
    g = checking()
    wait_for_roles(g, "primary", "standby")
    with let_in(g) as c:
        rest.become(localhost="primary", **{"127_0_0_1": "standby"})
        assert c.events()[-2][1]["C"] == "57P01"
    since = pair.b.log.mark()
    with let_in(g) as c:
        assert c.value("SHOW port") == str(pair.a.port)
        run.wait_until(lambda: "connection authorized" in pair.b.log.text(since), "the hint to be followed")
        rest.become(localhost="standby", **{"127_0_0_1": "primary"})
        wait_for_roles(g, "primary", "standby")
        assert c.value("SELECT 1") == "1"                    # it came after the other had lost its role


def test_a_session_that_went_through_an_upgrade(pair, checking, rest):
    """The new program counts it, and ends it as one of its own."""
    g = checking(admin_users=None, **{"max_user_connections.alice": "1"})
    wait_for_roles(g, "primary", "standby")

    def limits():
        with console(g) as db:
            return db.execute("SELECT name, allowed, used FROM pgseal_limits WHERE kind = 'user'").fetchall()

    with let_in(g) as c:
        backend = c.value("SELECT pg_backend_pid()")
        assert "1 session moved" in (done := upgrade(g)) and ", 0 staying" in done, done
        alone(g)
        wait_for_roles(g, "primary", "standby")
        assert c.value("SELECT pg_backend_pid()") == backend
        assert limits() == [("alice", 1, 1)]
        with begin(g) as other:
            assert other.login(ALICE)[-2][1]["C"] == "53300"
        since = g.log.mark()
        rest.become(localhost="primary", **{"127_0_0_1": "standby"})
        fatal = c.events()[-2][1]
        assert (fatal["C"], fatal["M"]) == ("57P01", "terminating connection due to administrator command")
        assert 'reason="upstream_check_url: the server is no longer the primary."' in g.words(since)
    run.wait_until(lambda: limits() == [("alice", 1, 0)], "the place to be free")
    with let_in(g) as c:
        assert c.value("SHOW port") == str(pair.a.port)


def test_a_host_that_denies_it_three_times(checking, rest):
    """Nobody else is the primary: a session ends after three denials, not after one."""
    g = checking(authentication_timeout="3s")
    wait_for_roles(g, "primary", "standby")
    with let_in(g) as c:
        rest.become(**{"127_0_0_1": "silent"})
        rest.wait_until_asked(A)
        rest.wait_until_asked(A)
        assert c.value("SELECT 1") == "1"
        rest.become(**{"127_0_0_1": "standby"})
        fatal = c.events()[-2][1]
        assert (fatal["C"], fatal["M"]) == ("57P01", "terminating connection due to administrator command")
    assert 'reason="upstream_check_url: the server is no longer the primary."' in g.words()


@pytest.mark.parametrize("answer, text", [
    (404, "status=404"), (302, "status=302"), (401, "status=401"), (500, "status=500"), ("garbage", "could not get"),
    ("endless", "the answer is too long"), ("hangs", "imeout was reached"),
])
def test_what_is_no_answer(checking, rest, answer, text):
    """A wrong path, somebody in between, an API that is broken or hangs: nobody is led anywhere, and no session ends."""
    rest.become(**{"127_0_0_1": answer})
    g = checking()
    told = g.log.wait_for("event=upstream_role .*host=127[^\n]*role=unknown[^\n]*").group(0)
    assert text in told
    with let_in(g) as c:
        if answer != "hangs":
            for _ in range(2):
                rest.wait_until_asked(A)
        assert c.value("SELECT 1") == "1"
        rest.become(**{"127_0_0_1": "standby"})     # 503 is one
        assert c.events()[-2][1]["C"] == "57P01"


def test_a_proxy_of_the_environment_is_not_asked(checking, rest, monkeypatch):
    with scripted_server.Scripted(lambda peer: peer.exactly(1)) as proxy:
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        g = checking()
        wait_for_roles(g, "primary", "standby")
        assert proxy.peers == []


def test_hosts_that_hang_leave_threads_for_logins(checking, rest, monkeypatch):
    """Both hosts' answers are waited for, and the pool has two threads: a password is hashed meanwhile."""
    monkeypatch.setenv("UV_THREADPOOL_SIZE", "2")
    rest.become(localhost="hangs", **{"127_0_0_1": "hangs"})
    g = checking(upstream_check_interval="3600", auth_source="file", auth_file="userlist.txt", upstream_login="password", scram_iterations="100000")
    g.write("userlist.txt", f'"alice" "{ALICE}"\n', 0o600)
    g.reload()
    since = g.log.mark()
    with console(g) as db:
        db.execute("SELECT pgseal_recheck()")
    with rest.changed:
        assert rest.changed.wait_for(lambda: sum(rest.asked.values()) >= 1, run.PATIENCE)
    with let_in(g) as c:
        assert "event=upstream_role" not in g.log.text(since)
        assert c.value("SELECT 1") == "1"
    rest.become(localhost="standby", **{"127_0_0_1": "primary"})
    wait_for_roles(g, "primary", "standby")


def test_a_name_that_cannot_be_looked_up_in_time(factory, make_gate, certs, scratch, pytestconfig, monkeypatch):
    """libcurl asks the resolver, which says nothing: it is asked anew when the second is over, and a gate that is stopped ends."""
    names = Names(os.path.join(scratch, "role-names"))
    monkeypatch.setenv("SLOWNAMES", os.path.join(scratch, "role-names"))
    monkeypatch.setenv("LD_PRELOAD", os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/slownames.so"))
    g = make_gate(upstream="host=node.example port=1 sslmode=disable target_session_attrs=primary", hba=HBA,
                  settings={"upstream_login": "scram", "upstream_check_url": "https://%h:1/primary"})
    g.log.wait_for("event=upstream_role .*host=node.example:1 role=unknown")
    names.hold(FORWARD)
    run.wait_until(lambda: names.held(FORWARD) >= 3, "three lookups to hang")
    g.stop()
    names.hold()


def test_recheck(checking, rest):
    g = checking(upstream_check_interval="3600")
    wait_for_roles(g, "primary", "standby")
    rest.become(localhost="silent")
    with let_in_console(g) as c:
        events = c.ask("SELECT pgseal_recheck()")
        assert ("N", "2 hosts are asked for the primary") in [(e[0], e[1]["M"]) for e in events if e[0] == "N"]
    wait_for_roles(g, "primary", "unknown")


def let_in_console(gate):
    c = begin(gate)
    c.ready(ALICE, database="pgseal")
    return c


def test_recheck_of_nothing_and_by_nobody(make_gate, certs):
    g = make_gate(upstream=None, hba=HBA, tls={"cert": certs.server}, settings={"upstream_login": None})
    with console(g) as db:
        notes = []
        db.add_notice_handler(lambda n: notes.append((n.severity, n.message_primary)))
        assert db.execute("SELECT pgseal_recheck()").fetchone() == (False,)
        assert notes == [("WARNING", 'no host is asked for the primary: "upstream_check_url" is empty or not used')]
    with let_in_console(g) as c:
        assert c.ask("SELECT pgseal_recheck()")[0][1]["C"] == "42501"


def test_a_reload_keeps_what_is_known_and_may_end_it(checking, rest):
    g = checking()
    wait_for_roles(g, "primary", "standby")
    since = g.log.mark()
    g.reload()
    with console(g) as db:
        db.execute("SELECT pgseal_recheck()")
    rest.wait_until_asked(A)
    rest.wait_until_asked(B)
    assert "event=upstream_role" not in g.log.text(since)    # nothing has changed
    g.configure({"upstream_check_url": None, "upstream_check_ca_file": None, "upstream_check_cert_file": None,
                 "upstream_check_key_file": None})
    g.reload()
    assert roles(g) is None


@pytest.mark.parametrize("wrong, text", [
    ({"upstream_check_ca_file": "foreign"}, "peer certificate"),
    ({"upstream_check_cert_file": None, "upstream_check_key_file": None}, "could not get"),
])
def test_a_rest_api_that_is_not_trusted_or_does_not_trust(checking, certs, tmp_path, wrong, text):
    """Sessions are as without it."""
    if "upstream_check_ca_file" in wrong:
        path = tmp_path / "foreign.crt"
        path.write_bytes(pki.Authority("Foreign CA").pem())
        wrong = {"upstream_check_ca_file": str(path)}
    g = checking(**wrong)
    wait_for_roles(g, "unknown", "unknown")
    g.log.wait_for("event=upstream_role .*role=unknown")
    assert text in g.words()
    with let_in(g) as c:
        assert c.value("SELECT 1") == "1"


def test_its_certificates_are_known(checking, program, certs, tmp_path):
    """The gate's list, monitor and audit have them, TLS with clients or not."""
    pair = certs.ca.issue("soon", usage="client", valid_from=pki.now() - 80 * pki.DAY, valid_to=pki.now() + 5 * pki.DAY)
    cert, key = pair.write(str(tmp_path), "soon")
    g = checking(upstream_check_cert_file=cert, upstream_check_key_file=key)
    wanted = [("check ca", certs.ca_file, "ok"), ("check client", cert, "critical")]

    def audit():
        done = subprocess.run([program, "audit", "--json", g.dir], capture_output=True, text=True, check=False)
        return {(f["id"], f["where"]) for f in json.loads(done.stdout)["findings"]}

    def monitor():
        done = subprocess.run([program, "monitor", "--json", g.dir], capture_output=True, text=True, check=False)
        return [(r["kind"], r["location"], r["status"]) for r in sorted(json.loads(done.stdout), key=lambda r: r["kind"])
                if r["kind"].startswith("check")]

    with console(g) as db:
        assert db.execute("SELECT kind, file, status FROM pgseal_certificates WHERE kind LIKE 'check%' "
                          "ORDER BY 1").fetchall() == wanted
    assert monitor() == wanted
    assert ("certificate_expiring", cert) in audit() and ("key_permissions", key) not in audit()
    os.chmod(key, 0o644)
    assert ("key_permissions", key) in audit()
    g.configure({"ssl": "off", "ssl_cert_file": None, "ssl_key_file": None})
    assert monitor() == wanted and {("certificate_expiring", cert), ("key_permissions", key)} < audit()
    g.configure({"upstream_check_url": None})
    assert monitor() == [] and not {("certificate_expiring", cert), ("key_permissions", key)} & audit()


ONE = "host=127.0.0.1 port=1 sslmode=disable target_session_attrs=primary"
TWO = "host=127.0.0.1,localhost port=1 sslmode=disable target_session_attrs=read-write"


@pytest.mark.parametrize("upstream, settings, text", [
    (ONE, {"upstream_check_url": "ftp://%h/"}, '"upstream_check_url" must begin with https:// or http://'),
    (TWO, {"upstream_check_url": "https://node:8008/primary"},
     '"upstream_check_url" names one host, but the upstream has several'),
    ("host=/tmp target_session_attrs=read-write", {"upstream_check_url": "https://%h:8008/primary"},
     '"upstream_check_url": %h has no meaning for a Unix-domain socket'),
    (ONE, {"upstream_check_url": "https://patroni:s3cret@%h:8008/primary"}, '"upstream_check_url" must not have a user name or password'),
    (ONE, {"upstream_check_url": "https://%h/" + "x" * 1100}, '"upstream_check_url" is too long'),
    (ONE, {"upstream_check_url": "https://%h/primary", "upstream_check_ca_file": "missing.crt"}, "missing.crt"),
    (ONE, {"upstream_check_url": "https://%h/primary", "upstream_check_cert_file": "server.crt"},
     '"upstream_check_cert_file" and "upstream_check_key_file" need each other'),
])
def test_what_cannot_be_asked_is_refused(factory, make_gate, upstream, settings, text):
    g = factory.gate(upstream=upstream, hba=HBA, settings={"upstream_login": None, **settings}, start=False)
    status, words = g.refuses_to_start()
    assert status != 0 and text in words and "s3cret" not in words


def test_what_is_doubtful_is_said(make_gate):
    g = make_gate(upstream=ONE.replace("primary", "any"), hba=HBA,
                  settings={"upstream_login": None, "upstream_check_url": "http://%h:8008/primary"})
    assert '"upstream_check_url" is not used: no upstream has target_session_attrs=read-write or primary' in g.words()
    assert '"upstream_check_url" is not encrypted' in g.words()


def test_no_primary_until_the_end(pair, checking, rest):
    """57P03, when authentication_timeout is over and not before."""
    g = checking(authentication_timeout="3s")
    wait_for_roles(g, "primary", "standby")
    with frozen(pair.a), begin(g) as c:
        rest.become(**{"127_0_0_1": "standby"})
        since = g.log.mark()
        events = c.login(ALICE)
        assert events[-2][1]["C"] == "57P03"
        assert "event=upstream_failed" in g.words(since)


# -- from here on the primary is another: the order of these tests counts ------------------------------------------
@pytest.mark.parametrize("source", [FILE, QUERY], ids=["file", "query"])
def test_the_primary_hangs_and_another_takes_over(pair, checking, rest, source):
    """
    Its session ends with 57P01 though it says nothing any more; who came meanwhile, and hangs in its login there, goes on
    at the new primary; so does who comes while there is none.
    """
    old, new = (pair.a, pair.b) if source is FILE else (pair.b, pair.a)
    old_name, new_name = ("127_0_0_1", "localhost") if source is FILE else ("localhost", "127_0_0_1")
    rest.become(**{old_name: "primary", new_name: "standby"})
    g = checking(**source)
    run.wait_until(lambda: "primary" in roles(g), "the primary")
    with let_in(g) as lost, begin(g) as hangs:
        assert lost.value("SHOW port") == str(old.port)
        with frozen(old):
            done = threading.Thread(target=hangs.login, args=(ALICE,))
            done.start()
            run.wait_until(lambda: on_the_way(g) == 1, "a login that hangs")
            rest.become(**{old_name: "silent"})
            wait_for_roles(g, *(["unknown", "standby"] if source is FILE else ["standby", "unknown"]))
            promote(new)
            rest.become(**{new_name: "primary"})
            assert lost.events()[-2][1]["C"] == "57P01"
            done.join(run.PATIENCE)
            assert hangs.value("SHOW port") == str(new.port)
    pair.follow(old, new)


def test_a_switchover_is_waited_for(pair, checking, rest):
    """The primary is stopped in good order: who comes before the next one is there waits for it, and is let in."""
    old, new = pair.a, pair.b
    rest.become(localhost="standby", **{"127_0_0_1": "primary"})
    g = checking()
    wait_for_roles(g, "primary", "standby")
    old.stop()
    rest.become(**{"127_0_0_1": "silent"})
    with begin(g) as c:
        since = g.log.mark()
        done = threading.Thread(target=c.ready, args=(ALICE,))
        done.start()
        g.log.wait_for("event=upstream_waits", since)
        promote(new)
        rest.become(localhost="primary")
        done.join(run.PATIENCE)
        assert c.value("SHOW port") == str(new.port)
