"""
Several gates in front of one server, and a balancer that knows nothing of cancel keys: the request comes to the
wrong gate, which asks the others.
"""

import re
import signal

import psycopg
import pytest

from lib import pki, run, scripted_server, wire
from lib.wire import CANCEL_CODE, V3_0, V3_2, Conn

from test_http import ask

HBA = "host all all 127.0.0.1/32 trust\n"
CANCELED = ("E", {"S": "ERROR", "V": "ERROR", "C": "57014", "M": "canceling statement due to user request"})


class Gates:
    """Gates of one service: each has a certificate for both uses that bears its name."""

    def __init__(self, factory, make_gate, certs):
        self.upstream = factory.upstream()
        self.certs = certs
        self.make_gate = make_gate

    def make(self, name="localhost", peers=None, **how):
        cert = how.pop("cert", None) or self.certs.ca.issue(name, sans=[name], usage="both")
        settings = {"cancel_peers": ",".join(peers) if peers else None, "log_disconnections": "off",
                    **how.pop("settings", {})}
        return self.make_gate(hba=HBA, tls={"cert": cert, "ca": self.certs.ca.pem()}, settings=settings, **how)

    def pair(self):
        """Two gates, each with both of them in its list, as an operator would write it for all."""
        one, two = self.make(), self.make()
        both = {"cancel_peers": f"localhost:{one.port}, localhost:{two.port}"}
        for g in (one, two):
            g.configure(settings=both)
            assert "reload_failed" not in g.reload()
        return one, two

    def sleeping(self, c):
        c.send(wire.query("SELECT pg_sleep(60)"))
        run.wait_until(lambda: self.upstream.query(
            f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid} AND state = 'active' AND query LIKE '%pg_sleep%'"),
            "the query to run")


@pytest.fixture
def gates(factory, make_gate, certs):
    return Gates(factory, make_gate, certs)


def cancel(gate, c, tls=False, key=None):
    """Ask a gate to cancel, and wait until it has closed the connection."""
    with Conn(gate, timeout=20) as other:
        if tls:
            other.start_tls()
        other.send(wire.cancel_request(c.pid, key or c.key))
        assert other.rest() == b""


@pytest.mark.parametrize("version", [V3_0, V3_2], ids=["3.0", "3.2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_cancel_that_comes_to_the_wrong_gate(gates, tls, version):
    one, two = gates.pair()
    with Conn(one) as c:
        c.ready(version=version)
        for gate in (two, one):
            gates.sleeping(c)
            cancel(gate, c, tls)
            assert CANCELED in c.events()
        assert c.value("SELECT 'alive'") == "alive"


class Balancer(scripted_server.Tap):
    """Passes the first connection on to one gate, the second to the other."""

    def __init__(self, *gates):
        self.ports = iter([g.port for g in gates])
        super().__init__("127.0.0.1", None)

    def _pass_on(self, peer):
        self.target = ("127.0.0.1", next(self.ports))
        super()._pass_on(peer)


def test_behind_a_balancer(gates, certs):
    """As an application would: the session comes to one gate, libpq's cancel request to the other."""
    one, two = gates.pair()
    since = two.log.mark()
    with Balancer(one, two) as balancer, psycopg.connect(
            host="localhost", hostaddr="127.0.0.1", port=balancer.port, user="alice", dbname="app",
            sslmode="verify-full", sslrootcert=certs.ca_file) as db:
        pid = db.info.backend_pid
        db.pgconn.send_query(b"SELECT pg_sleep(60)")
        run.wait_until(lambda: gates.upstream.query(
            f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"), "the query to run")
        db.cancel()
        assert b"canceling statement due to user request" in db.pgconn.get_result().error_message
        assert db.pgconn.get_result() is None
    assert "event=cancel_forwarded" in two.words(since)


def test_a_key_that_nobody_knows_goes_round_once(gates):
    """Both gates list both; each request is made known in one log line and one more of each peer, then it is over."""
    one, two = gates.pair()
    with Conn(one) as c:
        c.ready()
        marks = [(g, g.log.mark()) for g in (one, two)]
        cancel(two, c, key=bytes([c.key[0] ^ 1]) + c.key[1:])
        # one knows the pid but not the key; two hears of it a second time, from itself
        for g, mark in marks:
            g.log.wait_for("event=cancel_ignored", mark)
        logs = [g.words(mark) for g, mark in marks]
        assert logs[1].count("event=cancel_forwarded") == 1 and logs[0].count("event=cancel_forwarded") == 0
        assert logs[0].count("event=cancel_ignored") == 1 and "wrong key in cancel request" in logs[0]
        assert logs[1].count("event=cancel_ignored") == 1
        assert c.value("SELECT 'alive'") == "alive"


def test_nothing_crosses_in_the_clear(gates):
    """Between the gates there is direct TLS, its protocol says what it is, and the key is nowhere to be read."""
    far = gates.make()
    with scripted_server.Tap("127.0.0.1", far.port) as tap:
        near = gates.make(peers=[f"localhost:{tap.port}"])
        far.configure(settings={"cancel_peers": f"localhost:{near.port}"})
        far.reload()
        with Conn(far) as c:
            c.ready(version=V3_2)
            gates.sleeping(c)
            cancel(near, c)
            assert CANCELED in c.events()
            sent = tap.peers[0].notes["sent"]
            assert sent[:1] == b"\x16" and b"\x0dpgseal-cancel" in sent
            assert c.key not in sent and CANCEL_CODE.to_bytes(4, "big") not in sent


# -- who is believed ----------------------------------------------------------------------------------------------
def refuses(gates, near, c, text):
    since = near.log.mark()
    gates.sleeping(c)
    cancel(near, c)
    near.log.wait_for("event=cancel_peer_failed", since)
    assert text in near.words(since)
    run.wait_until(lambda: gates.upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid} AND state = 'active'"),
                   "the query to go on")
    gates.upstream.query(f"SELECT pg_cancel_backend({c.pid})")
    c.events()


@pytest.mark.parametrize("cert, text", [
    (lambda certs: certs.foreign.issue("localhost", sans=["localhost"], usage="both"), "certificate verify failed"),
    (lambda certs: certs.ca.issue("other.example", sans=["other.example"], usage="both"),
     'server certificate for "other.example" does not match host name "localhost"'),
], ids=["foreign CA", "wrong name"])
def test_a_peer_that_is_somebody_else_hears_no_key(gates, certs, cert, text):
    far = gates.make(cert=cert(certs))
    near = gates.make(peers=[f"localhost:{far.port}"])
    far.configure(settings={"cancel_peers": f"localhost:{near.port}"})
    far.reload()
    with Conn(far) as c:
        c.ready()
        refuses(gates, near, c, text)


def test_a_gate_without_peers_takes_none(gates):
    far = gates.make()
    near = gates.make(peers=[f"localhost:{far.port}"])
    with Conn(far) as c:
        c.ready()
        refuses(gates, near, c, "no application protocol")


def test_a_gate_that_is_not_in_the_list_is_not_believed(gates):
    """A certificate of the same CA is not enough."""
    far = gates.make(peers=["elsewhere.example:1"])
    near = gates.make(peers=[f"localhost:{far.port}"])
    with Conn(far) as c:
        c.ready()
        since = far.log.mark()
        gates.sleeping(c)
        cancel(near, c)
        far.log.wait_for('cancel request from a gate that is not in', since)
        assert gates.upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid} AND state = 'active'")


@pytest.mark.parametrize("with_certificate", [False, True])
def test_the_protocol_is_for_cancels_alone(gates, certs, with_certificate):
    """Whoever speaks it gets no session, and without a peer's certificate no cancel either."""
    far = gates.make(peers=["localhost:1"])
    cert = certs.client("peer", certs.ca.issue("localhost", sans=["localhost"])) if with_certificate else None

    def connect():
        c = Conn(far)
        c.direct_tls(wire.client_context(alpn=("pgseal-cancel",), cert=cert))
        return c

    with connect() as c:
        c.send(wire.startup())
        assert c.rest() == b""
    with Conn(far) as c, connect() as other:
        c.ready()
        gates.sleeping(c)
        other.send(wire.cancel_request(c.pid, c.key))
        if with_certificate:
            assert other.exactly(4) == bytes(4)     # the first one on this connection has been carried out
            assert CANCELED in c.events()
            other.send(b"".join(wire.cancel_request(4711, b"abcd") for _ in range(100)))
            answers = [int.from_bytes(other.exactly(4), "big") for _ in range(100)]
            assert sorted(answers) == list(range(1, 101))
            gates.sleeping(c)
            other.send(wire.cancel_request(c.pid, c.key))
            assert other.exactly(4) == (101).to_bytes(4, "big")
            assert CANCELED in c.events()
            other.send(wire.startup())
            assert other.rest() == b""
        else:
            assert other.rest() == b""
            assert gates.upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid} AND state = 'active'")


def test_both_protocols_on_offer_are_a_session(gates):
    far = gates.make(peers=["localhost:1"])
    with Conn(far) as c:
        c.direct_tls(wire.client_context(alpn=("pgseal-cancel", "postgresql")))
        assert c.tls.selected_alpn_protocol() == "postgresql"
        c.ready()


# -- limits -------------------------------------------------------------------------------------------------------
def test_a_peer_that_is_away_does_not_hold_up_the_others(gates):
    far = gates.make()
    near = gates.make(peers=[f"localhost:{run.free_port()}", f"localhost:{far.port}"])
    far.configure(settings={"cancel_peers": f"localhost:{near.port}"})
    far.reload()
    with Conn(far) as c:
        c.ready()
        gates.sleeping(c)
        since = near.log.mark()
        cancel(near, c)
        assert CANCELED in c.events()
        assert "Connection refused" in near.words(since)


def metric(gate, port, result):
    return int(re.search(rf'^pgseal_cancel_requests_total{{result="{result}"}} (\d+)$', ask(port, "/metrics")[2],
                         re.M).group(1))


def test_only_so_many_of_one_client(gates):
    """4-byte keys may be guessed: what one client network sends is bounded, what others send is sent on."""
    quiet, port = scripted_server.Scripted(lambda peer: peer.exactly(1 << 20)), run.free_port()
    with quiet:
        near = gates.make(peers=[f"localhost:{quiet.port}"], settings={"http_listen": f"127.0.0.1:{port}"})
        since = near.log.mark()
        waiting = [Conn(near) for _ in range(200)]
        for c in waiting:
            c.raw_send(wire.cancel_request(4711, b"abcd"))
        run.wait_until(lambda: near.words(since).count("event=cancel_") == 200, "a line for each")
        forwarded, limited = metric(near, port, "forwarded"), metric(near, port, "limited")
        assert 32 <= forwarded < 200 and forwarded + limited == 200
        assert near.words(since).count("too many cancel requests for the gates of cancel_peers") == limited
        with Conn(near, source="127.0.0.2") as other:
            since = near.log.mark()
            other.raw_send(wire.cancel_request(4711, b"abcd"))
            near.log.wait_for("event=cancel_forwarded", since)
        with Conn(near, unix=True) as c:
            c.ready(user="whoever", database="pgseal")
            assert int(c.value("SELECT count FROM pgseal_failures WHERE cause = 'too_many_cancel_requests'")) == limited
        for c in waiting:
            assert c.raw_rest() == b""              # connect_timeout ends those that wait
            c.close()
        near.stop()


# -- one connection -----------------------------------------------------------------------------------------------
def test_one_connection_is_kept(gates):
    far = gates.make()
    with scripted_server.Tap("127.0.0.1", far.port) as tap:
        near = gates.make(peers=[f"localhost:{tap.port}"])
        far.configure(settings={"cancel_peers": f"localhost:{near.port}"})
        far.reload()
        sessions = [Conn(far).ready(version=version) for version in (V3_0, V3_2) * 3]
        for c in sessions:
            gates.sleeping(c)
        for c in sessions:
            cancel(near, c)
            assert CANCELED in c.events()
        for _ in range(20):
            cancel(near, sessions[0], key=b"abcd")
        assert len(tap.peers) == 1
        for c in sessions:
            c.close()


def test_a_peer_that_was_restarted_is_asked_again(gates):
    one, two = gates.pair()
    for _ in range(2):
        with Conn(one) as c:
            c.ready()
            gates.sleeping(c)
            cancel(two, c)
            assert CANCELED in c.events()
        one.restart()


def test_kept_connections_hold_up_no_stop(gates):
    one, two = gates.pair()
    with Conn(one) as c:
        c.ready()
        cancel(two, c, key=b"abcd")
    for gate in (one, two):
        assert gate.stop(signal.SIGTERM) == 0


def test_a_gate_that_is_struck_off_the_list_is_not_believed(gates):
    """A connection from before the reload is no way around it."""
    one, two = gates.pair()
    with Conn(one) as c:
        c.ready()
        gates.sleeping(c)
        cancel(two, c)
        assert CANCELED in c.events()
        one.configure(settings={"cancel_peers": "elsewhere.example:1"})
        assert "reload_failed" not in one.reload()
        since = one.log.mark()
        gates.sleeping(c)
        cancel(two, c)
        one.log.wait_for("cancel request from a gate that is not in", since)
        assert gates.upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid} AND state = 'active'")


# -- keys that gates have made ------------------------------------------------------------------------------------
SECRET = "0123456789abcdef" * 4


def share(*gates, secret=SECRET):
    for gate in gates:
        gate.configure(settings={"cancel_secret_file": gate.write("cancel.secret", secret + "\n", 0o600)})
        assert "reload_failed" not in gate.reload()


def test_what_was_invented_is_sent_to_nobody(gates):
    one, two = gates.pair()
    share(one, two)
    with Conn(one) as c:
        c.ready(version=V3_2)
        assert len(c.key) == 32
        since = two.log.mark()
        for key in (c.key[:31] + bytes([c.key[31] ^ 1]), c.key[:5] + bytes([c.key[5] ^ 1]) + c.key[6:],
                    bytes(32), c.key[:16], c.key + b"x"):
            cancel(two, c, key=key)
        with Conn(two) as other:                    # a key is for one pid
            other.send(wire.cancel_request(c.pid ^ 1, c.key))
            assert other.rest() == b""
        invented = "the key in cancel request was not made by a gate of cancel_peers"
        run.wait_until(lambda: two.words(since).count(invented) == 6, "a line for each")
        assert "event=cancel_forwarded" not in two.words(since)
        gates.sleeping(c)
        cancel(two, c)
        assert CANCELED in c.events()


def test_a_key_with_a_mac_needs_no_rate(gates):
    """Also while somebody at the same address has used up what 4-byte keys may."""
    one, two = gates.pair()
    share(one, two)
    with Conn(one) as c, Conn(one) as old:
        c.ready(version=V3_2)
        old.ready(version=V3_0)
        since = two.log.mark()
        for _ in range(60):
            with Conn(two) as other:
                other.raw_send(wire.cancel_request(4711, b"abcd"))
        two.log.wait_for("too many cancel requests", since)
        gates.sleeping(c)
        cancel(two, c)
        assert CANCELED in c.events()


def test_gates_without_the_secret_know_each_others_keys_no_more(gates):
    one, two = gates.pair()
    share(one)
    share(two, secret=SECRET[::-1])
    with Conn(one) as c:
        c.ready(version=V3_2)
        since = two.log.mark()
        cancel(two, c)
        two.log.wait_for("the key in cancel request was not made by a gate of cancel_peers", since)
        gates.sleeping(c)
        cancel(one, c)                              # its own it knows in any case
        assert CANCELED in c.events()


@pytest.mark.parametrize("content, mode, text", [
    ("short", 0o600, 'must hold one token of 16 to 1024 letters, digits and -._~+/='),
    (SECRET, 0o644, "has group or world access"),
], ids=["short", "open to others"])
def test_what_a_secret_must_be(gates, content, mode, text):
    gate = gates.make(peers=["localhost:1"])
    gate.configure(settings={"cancel_secret_file": gate.write("cancel.secret", content, mode)})
    logged = gate.reload()
    assert "reload_failed" in logged and text in logged and content not in logged


# -- stopping -----------------------------------------------------------------------------------------------------
def test_a_gate_that_stops_meanwhile(gates):
    quiet = scripted_server.Scripted(lambda peer: peer.exactly(1 << 20))
    with quiet:
        near = gates.make(peers=[f"localhost:{quiet.port}"])
        since = near.log.mark()
        with Conn(near) as c:
            c.raw_send(wire.cancel_request(4711, b"abcd"))
            near.log.wait_for("event=cancel_forwarded", since)
            assert near.stop() == 0


# -- settings -----------------------------------------------------------------------------------------------------
def test_own_certificate_and_ca_for_peers(gates, certs):
    """Where the servers' certificates come from elsewhere, as from a public CA, which signs for servers only."""
    public = pki.Authority("a public CA")

    def settings(gate):
        cert = certs.ca.issue("localhost", sans=["localhost"], usage="client")
        return {"cancel_peer_ca_file": gate.write("public.crt", public.pem()),
                "cancel_peer_cert_file": gate.write("peer.crt", cert.pem()),
                "cancel_peer_key_file": gate.write("peer.key", cert.key_pem(), 0o600)}

    one, two = (gates.make(cert=public.issue("localhost", sans=["localhost"], usage="server")) for _ in range(2))
    for g in (one, two):
        g.configure(settings={"cancel_peers": f"localhost:{one.port}, localhost:{two.port}", **settings(g)})
        assert "reload_failed" not in g.reload()
    with Conn(one) as c:
        c.ready()
        gates.sleeping(c)
        cancel(two, c)
        assert CANCELED in c.events()


@pytest.mark.parametrize("usage, ca, text", [("server", True, "the certificate is for servers only"),
                                             ("both", False, '"cancel_peers" requires "ssl" and "ssl_ca_file"')])
def test_what_a_load_refuses(factory, certs, usage, ca, text):
    tls = {"cert": certs.ca.issue("localhost", sans=["localhost"], usage=usage)}
    if ca:
        tls["ca"] = certs.ca.pem()
    g = factory.gate(start=False, hba=HBA, tls=tls, settings={"cancel_peers": "localhost:5432"})
    try:
        status, logged = g.refuses_to_start()
        assert status in (1, 3) and text in logged
    finally:
        factory.stop(g)


def test_an_encrypted_key_is_refused(factory, certs):
    cert = certs.ca.issue("localhost", sans=["localhost"], usage="both")
    g = factory.gate(start=False, hba=HBA, tls={"cert": cert, "ca": certs.ca.pem()},
                     settings={"cancel_peers": "localhost:5432"})
    g.configure(settings={"cancel_peer_cert_file": g.write("peer.crt", cert.pem()),
                          "cancel_peer_key_file": g.write("peer.key", cert.key_pem("secret"), 0o600)})
    try:
        status, logged = g.refuses_to_start()
        assert status in (1, 3) and "peer.key" in logged
    finally:
        factory.stop(g)
