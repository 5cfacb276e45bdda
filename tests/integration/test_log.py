"""
What the log says, and what the client hears of it; and what the log must not say: it is read by more people than the
files that hold passwords.
"""

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

import psycopg
import pytest

from lib import fake, pki, run, wire
from lib.scripted_server import Scripted, error_response
from lib.pg import PASSWORDS
from lib.wire import Conn, fatal, message, startup

TRUST = "host app,postgres all 127.0.0.1/32 trust\n"


def test_a_rules_password_is_not_logged(make_gate):
    """Anybody can have himself refused; the line that did it is named by its number."""
    hba = ("host app all 127.0.0.1/32 ldap ldapserver=x ldapbasedn=y ldapbinddn=z ldapbindpasswd=tongue\n"
           "host db2 all 127.0.0.1/32 radius radiusservers=127.0.0.1 radiussecrets=tongue\n"
           "host all all 127.0.0.1/32 reject\n")
    with Scripted(lambda peer: (peer.packet(), peer.send(error_response("28000", "no")))) as server:
        g = make_gate(upstream=f"host=127.0.0.1 port={server.port} sslmode=disable", hba=hba,
                      settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
        for line, database in enumerate(["app", "db2", "template1"], 1):
            with Conn(g) as c:
                assert c.login(database=database)[-2][1]["C"] == "28000"
            g.log.wait_for(f"event=refused .*rule_line={line}")
    assert "tongue" not in g.log.text() and 'rule="host all all 127.0.0.1/32 reject"' in g.log.text()


def test_a_conninfos_password_is_not_logged(make_gate):
    def conninfo(port):
        return f"host=127.0.0.1 port={port} sslmode=disable user=x sslpassword=tongue"

    g = make_gate(upstream=conninfo(1), hba="host all all 127.0.0.1/32 trust\n", settings={"upstream_login": "service"})
    g.upstream = conninfo(2)
    g.configure()
    assert 'parameter "upstream" changed' in g.reload()
    assert "tongue" not in g.log.text()

# -- as JSON ------------------------------------------------------------------------------------------------------
def objects(text):
    """Every line as an object; a name that stands twice is an error."""
    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)
    return [json.loads(line, object_pairs_hook=unique) for line in text.splitlines()]


def test_jsonlog_is_one_object_a_line_with_postgresqls_names(make_gate, certs):
    """From the first line on; a reload changes it for the lines that follow."""
    g = make_gate(hba=TRUST, tls={"cert": certs.server}, settings={"log_destination": "jsonlog"})
    with Conn(g) as c:
        c.start_tls()
        c.ready(database="app", application_name="caf\u00e9")
    with Conn(g) as c:
        c.send(startup(user=b"\xff\"\n", database="nowhere"))
        c.dialogue()
    g.log.wait_for("state_code")
    g.configure(settings={"log_destination": "stderr"}, hba="nonsense\n")
    g.reload()
    g.configure(hba=TRUST)
    g.reload()
    text = g.log.text()
    cut = text.index(next(line for line in text.splitlines(True) if not line.startswith("{")))
    lines = objects(text[:cut])
    assert " LOG:  event=reloaded " in text[cut:]
    assert {"timestamp", "pid", "error_severity", "event"} <= set.intersection(*(set(line) for line in lines))
    assert {line["pid"] for line in lines} == {g.pid}
    refused = next(line for line in lines if line["event"] == "refused")
    assert (refused["user"], refused["dbname"], refused["remote_host"]) == ("\\xff\"\n", "nowhere", "127.0.0.1")
    assert refused["error_severity"] == "FATAL" and isinstance(refused["remote_port"], int)
    assert refused["session_id"] == "2" and refused["backend_type"] == "client backend"
    assert {"session", "client", "user_name", "database", "sqlstate"}.isdisjoint(set().union(*map(set, lines)))
    assert any(line["event"] == "ready" for line in lines)


def test_under_systemd_lines_carry_their_level(factory):
    g = factory.gate(start=False, hba=TRUST)
    with open(g.log.path, "ab") as log:
        own = os.fstat(log.fileno())
        stream = f"{own.st_dev}:{own.st_ino}"
        g.process = subprocess.Popen([g.program, "serve", "-D", g.dir], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env={**os.environ, "JOURNAL_STREAM": stream})
    try:
        g.log.wait_for("ready to accept connections")
        with Conn(g) as c:
            c.send(startup(database="nowhere"))
            c.dialogue()
        g.log.wait_for("(?m)^<3>.* FATAL:  event=refused")
        assert all(line.startswith("<") for line in g.log.text().splitlines())
    finally:
        factory.stop(g)


# -- a log that nobody takes --------------------------------------------------------------------------------------
def test_a_stalled_log_stops_nobody(factory):
    """Sessions go on, logins too, and the gate still ends when it is told to."""
    g = factory.gate(start=False, hba=TRUST)
    ours, theirs = os.pipe()
    with open(ours, "rb", 0) as log:
        g.process = subprocess.Popen([g.program, "serve", "-D", g.dir], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        try:
            heard = b""
            while b"ready to accept connections" not in heard:
                heard += log.read(4096)
            with Conn(g) as steady:
                steady.ready()
                for _ in range(200):            # each leaves more than 600 bytes; the pipe holds 64 KiB
                    with Conn(g) as c:
                        c.ready()
                assert steady.value("SELECT 1") == "1"
                assert struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"    "))[0] > 60000
            assert g.stop(signal.SIGTERM) == 0
        finally:
            factory.stop(g)


# -- what the client hears is what the log says --------------------------------------------------------------------
RELAYED = {"auth_source": "upstream", "auth_file": None, "upstream_login": None}


@pytest.fixture(params=["relayed", "own", "late"])
def refusing(request, make_gate, scratch):
    """make(SQLSTATE): a gate whose server refuses so, to the exchange, to the gate's own login, or behind R(0)."""
    with contextlib.ExitStack() as stack:
        def make(code):
            def script(up, sock):
                up.startup(sock)
                if request.param == "late":
                    sock.sendall(message("R", bytes(4)))
                sock.sendall(error_response(code, "so says the server"))

            directory = os.path.join(scratch, f"refusing-{request.param}-{code}")
            stack.enter_context(fake.Upstream(script, directory))
            relayed = request.param == "relayed"
            settings = {"authentication_timeout": "1s"} if code == "53300" else {}     # it is asked again until then
            return make_gate(upstream=f"host={directory} port=5432", settings={**settings, **(RELAYED if relayed else {})},
                             hba=f"host all all 127.0.0.1/32 {'scram-sha-256' if relayed else 'trust'}\n")

        yield make


@pytest.mark.parametrize("code, cause", [
    ("28P01", "password_wrong"), ("3D000", "database_missing"), ("53300", "server_full"), ("57P03", "server_not_ready"),
    ("28000", "upstream_refused"), ("42501", "upstream_refused")])
def test_a_refusal_by_the_server(refusing, code, cause):
    g = refusing(code)
    with Conn(g) as c:
        c.send(startup())
        heard = [e[1] for e in c.dialogue() if e[0] == "E"]
    assert (heard[0]["C"], heard[0]["M"]) == (code, "so says the server")
    line = g.log.wait_for(r"event=refused[^\n]*").group(0)
    assert f" sqlstate={code} " in line and f" cause={cause} " in line
    with psycopg.connect(host=g.socket_dir, port=g.port, user="dba", dbname="pgseal", autocommit=True) as status:
        assert status.execute("SELECT cause FROM pgseal_failures").fetchall() == [(cause,)]


@pytest.mark.parametrize("target", ["tcp", "unix"])
def test_a_failed_connect_names_the_server(make_gate, target):
    port = run.free_port()
    where, words = {
        "tcp": (f"host=localhost hostaddr=127.0.0.1 port={port} sslmode=disable",
                f'connection to server at "127.0.0.1", port {port} failed: Connection refused'),
        "unix": (f"host=/nonexistent port={port}",
                 f'connection to server on socket "/nonexistent/.s.PGSQL.{port}" failed: No such file or directory'),
    }[target]
    g = make_gate(upstream=where, hba="host all all 127.0.0.1/32 scram-sha-256\n", settings=RELAYED)
    with Conn(g) as c:
        c.send(startup())
        assert c.dialogue()[0] == fatal("57P03", "the upstream server is not available")
    g.log.wait_for(r"event=upstream_failed[^\n]*")
    run.wait_until(lambda: words in g.words(), words)


def test_a_session_that_a_stop_ends_was_not_refused(make_gate):
    g = make_gate(hba="host all all 127.0.0.1/32 trust\n", settings={"drain_timeout": "30s"})
    with Conn(g) as c:
        c.ready()
        g.kill(signal.SIGTERM)
        assert c.dialogue()[0] == fatal("57P01", "terminating connection due to administrator command")
        assert g.process.wait(run.PATIENCE) == 0
    assert "event=refused" not in g.log.text()
    assert "sqlstate=57P01" in g.log.wait_for(r"FATAL:  event=terminated[^\n]*").group(0)


# -- PostgreSQL's lines --------------------------------------------------------------------------------------------
def test_what_a_look_up_says_is_not_the_clients(server_factory, kind):
    """errdetail_log(): a stranger would learn the names inside, and the resolver's trouble."""
    server = server_factory(kind, hba="local all all trust\nhost all all db1.example.com trust\n")
    with Conn(server) as c:
        c.send(startup())
        assert c.dialogue() == [fatal("28000", 'no pg_hba.conf entry for host "127.0.0.1", user "alice", database '
                                      '"app", no encryption'), wire.EOF]
    server.log.wait_for("Client IP address resolved to|Could not resolve client IP address")


def test_how_long_it_took(server_factory, kind):
    server = server_factory(kind, hba="local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    if server.major < 18:
        pytest.skip("log_connections = setup_durations came with PostgreSQL 18")
    server.configure({"log_connections": "setup_durations"})
    server.reload()
    for database in ["app", "pgseal"] if server.is_gate else ["app"]:
        since = server.log.mark()
        with Conn(server) as c:
            c.ready(PASSWORDS["alice"], database=database)
        numbers = server.log.wait_for(r"connection ready: setup total=(\d+\.\d{3}) ms, fork=(\d+\.\d{3}) ms, "
                                      r"authentication=(\d+\.\d{3}) ms", since).groups()
        total, fork, authentication = map(float, numbers)
        assert 0 < authentication < total and fork < total


@pytest.mark.parametrize("rule", ["cert", "cert clientname=DN", "scram-sha-256 clientcert=verify-full"])
def test_who_proved_what_is_known_before_the_map_refuses(server_factory, kind, certs, rule):
    server = server_factory(kind, hba=f"local all all trust\nhostssl all all 127.0.0.1/32 {rule}\n",
                            tls={"cert": certs.server, "ca": certs.ca.pem()})
    server.configure({"log_connections": "on"})
    server.reload()
    subject = pki.name(("O", "x" * 60), ("CN", "bob the other"))
    pair = certs.client("log-bob", certs.ca.issue(subject))
    since = server.log.mark()
    with Conn(server) as c:
        c.start_tls(wire.client_context(cert=pair))
        events = c.login(PASSWORDS["alice"])
        assert "authentication failed" in [e for e in events if e[0] == "E"][0][1]["M"]
    identity = "alice" if rule.startswith("scram") else "CN=bob the other,O=" + 60 * "x"
    server.log.wait_for(r"authenticated[^\n]*identity=\"?" + identity + r"[\" ]", since)
