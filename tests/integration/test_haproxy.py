"""
Several gates behind a real HAProxy: whose addresses rules and logs see, how both logs are joined, which checks are known
as such, and what clients see when a gate is killed or drained.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess

import psycopg
import pytest

from lib import run, wire
from lib.wire import Conn, SSL_REQUEST, startup
from test_cancel_peers import Gates
from test_http import ask

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed: tools/deps.sh check")

CLIENT, BALANCER = "127.0.0.7", "127.0.0.2"     # BALANCER: from where HAProxy connects, and must speak PROXY
CONFIG = """\
global
    log stdout format raw local0
    nbthread 1
defaults
    mode tcp
    log global
    log-format "id=%ID server=%s"
    timeout connect 5s
    timeout check 10s
    timeout client 1h
    timeout server 1h
    retries 3
    option redispatch
    default-server inter 200ms fall 2 rise 1
listen gates
    bind 127.0.0.1:{port}
    balance roundrobin
    unique-id-format test-%[uuid]
    unique-id-header X-Unused
{servers}
"""


class Balancer:
    """A running HAProxy."""

    host = "127.0.0.1"

    def __init__(self, directory, servers, more=""):
        self.port = run.free_port()
        self.log = run.Log(os.path.join(directory, "haproxy.log"))
        path = os.path.join(directory, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=self.port, servers=servers) + more)
        with open(self.log.path, "wb") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", path], stdout=log, stderr=log)

    def __enter__(self):
        run.wait_until(self._listens, "haproxy to listen")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(run.PATIENCE)

    def _listens(self):
        assert self.process.poll() is None, self.log.text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


def server(name, gate, words):
    return f"    server {name} 127.0.0.1:{gate.port} source {BALANCER} send-proxy-v2 {words}\n"


@pytest.fixture
def gates(factory, make_gate, certs):
    """Two gates that know each other and wait for PROXY headers of the balancer."""
    both = Gates(factory, make_gate, certs)
    pair = both.pair()
    for g in pair:
        g.configure({"proxy_protocol_from": BALANCER, "http_listen": f"127.0.0.1:{run.free_port()}",
                     "admin_users": "me"},
                    hba=f"local all all trust\nhostssl app alice {CLIENT}/32 trust\n")
        g.restart()
    both.one, both.two = pair
    return both


def http_port(gate):
    return gate.settings["http_listen"].split(":")[1]


def own(gate, sql):
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="me", dbname="pgseal", autocommit=True) as db:
        return db.execute(sql).fetchall()


def connect(balancer, source=CLIENT):
    c = Conn(balancer, source=source)
    c.start_tls()
    return c


def test_the_client_s_address_and_the_balancer_s_name(gates, tmp_path):
    words = "proxy-v2-options unique-id,crc32c"
    with Balancer(tmp_path, server("one", gates.one, words) + server("two", gates.two, words)) as balancer:
        with connect(balancer) as c, connect(balancer) as other:
            c.ready()
            other.ready()
            seen = [own(g, "SELECT host(client_addr), host(proxy_addr), proxy_unique_id FROM pgseal_sessions"
                           " WHERE step = 'relay'") for g in (gates.one, gates.two)]
            assert [[row[:2] for row in rows] for rows in seen] == [[(CLIENT, BALANCER)]] * 2     # one on each
            for rows, g in zip(seen, (gates.one, gates.two)):
                assert f" unique_id={rows[0][2]} " in g.log.wait_for(r"event=connection_authorized[^\n]*").group(0) + " "
            # A cancel request comes to the other gate, or to this one: both ways in two tries.
            for _ in range(2):
                gates.sleeping(c)
                with connect(balancer) as asks:
                    asks.send(wire.cancel_request(c.pid, c.key))
                    assert asks.rest() == b""
                assert "57014" in str(c.events())
        for rows in seen:
            balancer.log.wait_for(f"id={rows[0][2]} server=(one|two)")
        with connect(balancer, source="127.0.0.8") as stranger:
            stranger.send(startup())
            assert 'no pg_hba.conf entry for host "127.0.0.8"' in str(stranger.dialogue())


CHECKS = {
    "tcp": ("check", ""),
    "pgsql": ("check", "    option pgsql-check user haproxy\n"),
    "ssl request": ("check", "    option tcp-check\n    tcp-check connect send-proxy\n    tcp-check send-binary 0000000804d2162f\n"
                             "    tcp-check expect string S\n"),
    "pgsql elsewhere": ("check port {port} check-send-proxy", "    option pgsql-check user haproxy\n"),
}


@pytest.mark.parametrize("words, options", CHECKS.values(), ids=CHECKS.keys())
def test_checks_behind_a_header_are_known_at_once(gates, tmp_path, words, options):
    """HAProxy says LOCAL for itself."""
    since = gates.one.log.mark()
    with Balancer(tmp_path, server("one", gates.one, words.format(port=gates.one.port)) + options) as balancer:
        run.wait_until(lambda: checks(gates.one) >= 4, "four checks")
        quiet(gates.one, since)


def checks(gate):
    return int(re.search(r"^pgseal_health_checks_total (\d+)$", ask(http_port(gate), "/metrics")[2], re.M).group(1))


def quiet(gate, since, address=BALANCER):
    """Checks from there have left no trace in the log, among clients or among failures."""
    lines = [line for line in gate.words(since).splitlines() if f"client={address}:" in line]
    assert lines == []
    for view in ("pgseal_clients", "pgseal_failures"):
        assert own(gate, f"SELECT * FROM {view} WHERE host(client_addr::inet) = '{address}'") == []


@pytest.mark.parametrize("options", [
    "    option pgsql-check user haproxy\n", CHECKS["ssl request"][1].replace(" send-proxy", "")], ids=["pgsql", "ssl request"])
def test_checks_without_a_header_are_known_after_three(gates, tmp_path, options):
    """
    Those of a balancer that speaks no PROXY protocol. (Of HAProxy's plain `check` the gate hears nothing: it resets the
    connection before the handshake is complete.)
    """
    g = gates.one
    g.configure({"proxy_protocol_from": None})
    g.reload()
    line = f"    server one 127.0.0.1:{g.port} source {BALANCER} check\n"
    with Balancer(tmp_path, line + options):
        run.wait_until(lambda: checks(g) >= 1, "the third check")
        assert g.words().count("event=health_check ") == 1
        failures = own(g, "SELECT sum(count) FROM pgseal_failures")
        since, n = g.log.mark(), checks(g)
        run.wait_until(lambda: checks(g) >= n + 3, "three more")
        assert f"client={BALANCER}:" not in g.words(since)
        assert own(g, f"SELECT * FROM pgseal_clients WHERE host(client_addr) = '{BALANCER}'") == []
        assert own(g, "SELECT sum(count) FROM pgseal_failures") == failures


def test_keepalived_and_clouds_connect_and_leave(gates):
    g = gates.one
    for leave in (Conn.close, Conn.abort):
        before = checks(g)
        for _ in range(4):
            leave(Conn(g))
        run.wait_until(lambda: checks(g) >= before + 2, "checks")
    assert g.words().count("event=health_check ") == 1
    assert own(g, "SELECT * FROM pgseal_clients WHERE host(client_addr) = '127.0.0.1'") == []


def test_who_is_no_check(gates):
    """An application that gives up in the same way is a client, for it says more of itself; and one that gets in is, too."""
    g = gates.one
    g.configure(hba="local all all trust\nhostnossl app carol 127.0.0.1/32 trust\n")
    g.reload()
    since = g.log.mark()
    for _ in range(5):
        with Conn(g) as c:
            c.send(startup(application_name="web"))
            assert c.dialogue()[0][0] == "E"
    for _ in range(5):
        with Conn(g) as c:
            c.send(startup("alice", "alice", client_encoding="UTF8"))
            assert c.dialogue()[0][0] == "E"
    for _ in range(5):
        with Conn(g) as c:
            c.ready(user="carol")
    assert g.words(since).count("event=refused") == 10 and g.words(since).count("event=connection_received") == 15
    assert "event=health_check" not in g.words(since) and checks(g) == 0
    assert own(g, "SELECT sum(sessions)::int, sum(plaintext_attempts)::int FROM pgseal_clients"
                  " WHERE host(client_addr) = '127.0.0.1'") == [(5, 15)]
    # Only the address of checks is quiet, and of it only what is like them.
    for _ in range(4):      # keepalived's TCP_CHECK, a cloud's
        Conn(g).close()
    run.wait_until(lambda: checks(g) == 2, "checks")
    since = g.log.mark()
    with Conn(g) as c:
        c.ready(user="carol")
    with Conn(g) as c:
        c.send(SSL_REQUEST + b"x" * 40)
        c.rest()
    assert g.words(since).count("event=connection_received") == 2


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_who_guesses_passwords_is_no_check(gates, method):
    """Though it names a user only, without TLS and in no time: not one guess stays out of the log, or out of the counts."""
    g = gates.one
    g.configure({"proxy_protocol_from": None}, hba=f"local all all trust\nhostnossl all all 127.0.0.1/32 {method}\n")
    g.reload()
    since = g.log.mark()
    for _ in range(6):
        with Conn(g) as c:
            assert c.login("wrong", "alice", "alice")[-2][1]["C"] == "28P01"
    with Conn(g) as c:      # in one packet with the StartupMessage
        c.send(startup("alice", "alice") + wire.password("wrong"))
        c.rest()
    assert g.words(since).count("event=refused") == 7 and "event=health_check" not in g.words(since)
    assert own(g, "SELECT sum(count)::int FROM pgseal_failures WHERE host(client_addr) = '127.0.0.1'") == [(7,)]


def test_one_gate_is_killed_and_one_drained(gates, tmp_path):
    """
    kill -9: who was on it loses the connection, who comes is served by the other. A drain: HAProxy hears of it on
    /readyz while the gate still accepts, so that nobody is refused, and sessions end when they are idle.
    """
    one, two = gates.one, gates.two
    for g in (one, two):
        g.configure({"shutdown_delay": "3s", "drain_timeout": "60s"})
        g.reload()
    lines = "".join(server(name, g, f"check port {http_port(g)}")
                    for name, g in (("one", one), ("two", two)))
    with Balancer(tmp_path, lines + "    option httpchk GET /readyz\n") as balancer:
        sessions = [connect(balancer).ready() for _ in range(6)]
        on_one = own(one, "SELECT count(*)::int FROM pgseal_sessions WHERE step = 'relay'")[0][0]
        assert 0 < on_one < 6
        os.kill(one.pid, signal.SIGKILL)
        one.process.wait(run.PATIENCE)
        one.process = None
        ends = [c for c in sessions if not lives(c)]
        assert len(ends) == on_one
        for _ in range(10):         # HAProxy tries the other where one does not answer
            with connect(balancer) as c:
                assert c.ready().value("SELECT 1") == "1"
        balancer.log.wait_for(r"Server gates/one is DOWN")
        one.start()
        balancer.log.wait_for(r"Server gates/one is UP")
        mark = two.log.mark()
        two.kill(signal.SIGTERM)
        served = 0
        while "event=drain " not in two.log.text(mark):     # not one is refused while HAProxy finds out
            with connect(balancer) as c:
                assert c.ready().value("SELECT 1") == "1"
                served += 1
        assert served > 0
        for _ in range(10):
            with connect(balancer) as c:
                assert c.ready().value("SELECT 1") == "1"
        for c in sessions:
            if c not in ends:
                assert "57P01" in str(c.events())
            c.close()
        assert two.process.wait(run.PATIENCE) == 0
        two.process = None


def lives(c):
    c.send(wire.query("SELECT 1"))
    return "57P01" not in str(events := c.events()) and events[-1] == ("Z", "I")


def test_one_gate_is_upgraded_under_load(gates, tmp_path):
    """Its sessions answer on, those that come meanwhile are served, on either gate; cancel finds them afterwards."""
    one = gates.one
    lines = "".join(server(name, g, f"check port {http_port(g)}") for name, g in (("one", one), ("two", gates.two)))
    with Balancer(tmp_path, lines + "    option httpchk GET /readyz\n") as balancer:
        sessions = [connect(balancer).ready() for _ in range(8)]
        moved = own(one, "SELECT count(*)::int FROM pgseal_sessions WHERE step = 'relay'")[0][0]
        assert 0 < moved < 8
        upgrade = subprocess.Popen([one.program, "upgrade", "-D", one.dir], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        served = 0
        while upgrade.poll() is None:
            with connect(balancer) as c:
                assert c.ready().value("SELECT 1") == "1"
            assert all(c.value("SELECT 2") == "2" for c in sessions)
            served += 1
        assert upgrade.returncode == 0, upgrade.communicate()[0]
        assert served > 0 and all(lives(c) for c in sessions)
        assert own(one, "SELECT upgrades, count(*)::int FROM pgseal_sessions WHERE step = 'relay' GROUP BY 1") == [(1, moved)]
        for c in sessions:          # through whichever gate the balancer chooses
            gates.sleeping(c)
            with connect(balancer) as asks:
                asks.send(wire.cancel_request(c.pid, c.key))
                assert asks.rest() == b""
            assert "57014" in str(c.events())
            c.close()
        assert "Server gates/one is DOWN" not in balancer.log.text()
