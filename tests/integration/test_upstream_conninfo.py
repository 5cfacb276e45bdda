"""
Keys of the upstream's conninfo that take effect at the very end of a login: protocol versions, sslcertmode,
require_auth, tcp_user_timeout. What libpq would answer to the same server is asked of libpq where it can be.
"""

import ctypes
import os
import socket

import pytest

from lib import pki, psql, run, wire
from lib.scripted_server import Scripted, Tap
from lib.wire import Conn
from test_upstream import ALICE, RELAYED, gate, plain_upstream, refused, session, tcp, unix, upstream   # noqa: F401 (fixtures)

NO_TLS = {"sslmode": "disable"}
ASKS_3_0, ASKS_3_2 = (bytes([0, 3, 0, minor]) + b"user\0alice\0" for minor in (0, 2))
SLEEP = "SELECT pg_sleep(60)"


def cancels(gate, server):   # noqa: F811
    """A session whose statement a cancel request ends, so that the server's own key reached the gate whole."""
    with session(gate) as c, Conn(gate) as other:
        c.send(wire.query(SLEEP))
        run.wait_until(lambda: server.query("SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'active'"
                                            % f"'{SLEEP}'"), "the query to run")
        other.raw_send(wire.cancel_request(c.pid, c.key))
        events = c.events()
        assert [e[1]["C"] for e in events if e[0] == "E"] == ["57014"], events


@pytest.fixture
def newest(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed")
    server = factory.postgres(distributions["pg18"], hba="hostnossl app alice 127.0.0.1/32 scram-sha-256\n")
    yield server
    factory.stop(server)


# -- protocol versions --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("login", ["judged", "relayed"])
@pytest.mark.parametrize("keys, asked", [({}, ASKS_3_0), ({"max_protocol_version": "3.0"}, ASKS_3_0),
                                         ({"max_protocol_version": "latest"}, ASKS_3_2),
                                         ({"min_protocol_version": "3.2"}, ASKS_3_2)],
                         ids=["default", "3.0", "latest", "at least 3.2"])
def test_protocol_version_towards_a_new_server(gate, newest, login, keys, asked):   # noqa: F811
    """3.2 has cancel keys of 32 bytes; the gate's own client holds 4 either way."""
    with Tap("127.0.0.1", newest.port) as tap:
        g = gate(psql.conninfo(host="127.0.0.1", port=tap.port, **NO_TLS, **keys),
                 **(RELAYED if login == "relayed" else {}))
        cancels(g, newest)
        sent = [peer.notes["sent"] for peer in tap.peers]
    assert sent[0][4:4 + len(asked)] == asked
    assert len(sent[1]) == 12 + (32 if asked == ASKS_3_2 else 4)     # the CancelRequest


@pytest.mark.parametrize("login", ["judged", "relayed"])
def test_an_older_server_talks_it_down(gate, plain_upstream, login):   # noqa: F811
    how = RELAYED if login == "relayed" else {}
    cancels(gate(tcp(plain_upstream, **NO_TLS, max_protocol_version="3.2"), **how), plain_upstream)
    g = gate(tcp(plain_upstream, **NO_TLS, min_protocol_version="3.2"), **how)
    since = g.log.mark()
    assert refused(g)["S"] == "FATAL"
    assert 'server only supports protocol version 3.0, but "min_protocol_version" was set to 3.2' in g.words(since)


@pytest.mark.parametrize("login", ["judged", "relayed"])
@pytest.mark.parametrize("answer, text", [
    (wire.message("v", bytes([0, 3, 0, 9, 0, 0, 0, 0])), "server requested downgrade to a higher-numbered version"),
    (wire.message("v", bytes([0, 3, 0, 2, 0, 0, 0, 0])), "server negotiated but asks for no changes"),
    (wire.message("v", bytes([0, 3, 0, 0, 0, 0, 0, 1]) + b"_pq_.x\0"), "unsupported parameter that was not requested"),
], ids=["higher", "no changes", "not requested"])
def test_a_negotiation_that_makes_no_sense(gate, login, answer, text):   # noqa: F811
    def script(peer):
        peer.packet()
        peer.send(answer)
        peer.exactly(1)

    with Scripted(script) as server:
        g = gate(psql.conninfo(host="127.0.0.1", port=server.port, **NO_TLS, max_protocol_version="3.2"),
                 **(RELAYED if login == "relayed" else {}))
        since = g.log.mark()
        assert refused(g)["S"] == "FATAL"
        assert text in g.words(since)


@pytest.mark.parametrize("login", ["judged", "relayed"])
def test_a_long_cancel_key_in_protocol_3_0(gate, login):   # noqa: F811
    """libpq refuses it, so the gate does."""
    def script(peer):
        peer.packet()
        peer.auth(3)
        peer.message()
        peer.auth(0)
        peer.send(wire.message("K", bytes(4 + 32)) + wire.message("Z", b"I"))
        peer.exactly(1)

    with Scripted(script) as server:
        g = gate(psql.conninfo(host="127.0.0.1", port=server.port, **NO_TLS),
                 hba="host all all 127.0.0.1/32 password\n",
                 **(RELAYED if login == "relayed" else {"upstream_login": "password"}))
        since = g.log.mark()
        with Conn(g) as c:
            events = c.login(ALICE)
        assert events[-1] == wire.EOF and not any(e[0] == "Z" for e in events)
        assert "cancel key with length 32 not allowed in protocol version 3.0 (must be 4 bytes)" in g.words(since)


# -- sslcertmode --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def incurious(factory, certs):
    """A server with TLS that asks for no certificate."""
    server = factory.postgres(hba="hostssl app alice 127.0.0.1/32 scram-sha-256\nhostssl app carol 127.0.0.1/32 trust\n",
                              tls={"cert": certs.server})
    yield server
    factory.stop(server)


def test_sslcertmode_require_is_about_what_the_server_did(gate, upstream, incurious, certs):   # noqa: F811
    """A certificate that lies ready is not one that was asked for; libpq says the same of the same server."""
    crt, key = certs.client("gate-upstream", certs.ca.issue("pgseal-gate"))
    keys = {"sslrootcert": certs.ca_file, "sslcert": crt, "sslkey": key, "sslcertmode": "require"}
    session(gate(tcp(upstream, **keys))).close()
    text = "server did not request an SSL certificate"
    g = gate(tcp(incurious, **keys))
    since = g.log.mark()
    assert refused(g)["C"] == "28000"
    assert text in g.words(since)
    got = psql.run(incurious, password=ALICE, sslmode="verify-full", **{
        k: v for k, v in keys.items() if k != "sslcertmode"})
    assert got.returncode == 0, got.stderr


def test_a_server_that_asks_for_no_certificate_has_not_looked_at_one(gate, incurious, certs):   # noqa: F811
    """upstream_login = cert takes an AuthenticationOk at once only where the certificate was shown."""
    crt, key = certs.client("gate-upstream", certs.ca.issue("pgseal-gate"))
    g = gate(tcp(incurious, sslrootcert=certs.ca_file, sslcert=crt, sslkey=key), upstream_login="cert",
             hba="host all all 127.0.0.1/32 trust\n")
    with Conn(g) as c:
        c.start_tls()
        events = c.login(user="carol")
    assert events[-1] == wire.EOF and events[-2][1]["C"] == "28000", events


# -- require_auth and channel_binding where the exchange passes through ------------------------------------------
def test_require_auth_holds_for_a_relayed_exchange(gate, upstream):   # noqa: F811
    session(gate(unix(upstream, require_auth="scram-sha-256"), **RELAYED)).close()
    g = gate(unix(upstream, require_auth="!scram-sha-256"), **RELAYED)
    since = g.log.mark()
    assert refused(g)["C"] == "28000"
    assert "require_auth excludes" in g.words(since)


def test_a_relayed_exchange_cannot_require_binding(factory, upstream):   # noqa: F811
    g = factory.gate(start=False, upstream=unix(upstream, channel_binding="require"), settings=RELAYED,
                     hba="host all all 127.0.0.1/32 scram-sha-256\n")
    try:
        status, logged = g.refuses_to_start()
        assert status in (1, 3) and "channel_binding=require" in logged and "auth_source" in logged
    finally:
        factory.stop(g)


# -- the socket ---------------------------------------------------------------------------------------------------
PIDFD_OPEN, PIDFD_GETFD = 434, 438      # Linux, on every architecture


def sockets_to(pid, port):
    """Copies of the process's sockets whose peer has this port."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    out = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:
            continue
        try:
            s = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        try:
            if s.family == socket.AF_INET and s.getpeername()[1] == port:
                out.append(s)
                continue
        except OSError:
            pass
        s.close()
    os.close(pidfd)
    return out


@pytest.mark.skipif(not run.is_root(), reason="another process's sockets are looked at")
@pytest.mark.parametrize("value, expected", [("4321", 4321), (None, 0)])
def test_tcp_user_timeout(gate, upstream, certs, value, expected):   # noqa: F811
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, **({"tcp_user_timeout": value} if value else {})))
    with session(g):
        found = sockets_to(g.pid, upstream.port)
        assert [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for s in found] == [expected]
        for s in found:
            s.close()


# -- sslcrl -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("key, content, complaint", [
    ("sslcrl", None, 'could not load SSL certificate revocation list file "{}": No such file or directory'),
    ("sslcrl", "a certificate", 'no certificate revocation list found in file "{}"'),
    ("sslcrl", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n",
     'could not load SSL certificate revocation list file "{}": '),
    ("sslcrldir", None, 'could not open SSL certificate revocation list directory "{}": No such file or directory'),
], ids=["missing", "no list", "damaged", "missing directory"])
def test_a_revocation_list_that_does_not_load_refuses_the_load(   # noqa: F811
        gate, upstream, certs, tmp_path, key, content, complaint):
    """libpq would go on without one; who set it believes that it is asked."""
    path = str(tmp_path / "there")
    g = gate(tcp(upstream, sslrootcert=certs.ca_file))
    if content:
        pki.write_file(path, certs.ca.pem() if content == "a certificate" else content)
    g.upstream = tcp(upstream, sslrootcert=certs.ca_file, **{key: path})
    g.configure()
    said = g.reload()
    assert "reload_failed" in said and complaint.format(path) in said and f"file={g.path('pgseal.conf')} line=" in said
    session(g).close()


@pytest.mark.parametrize("how", [{"sslmode": "require"}, {"sslrootcert": "system"}], ids=["require", "system"])
def test_a_revocation_list_that_nobody_asks_is_told(gate, upstream, how):   # noqa: F811
    g = gate(unix(upstream))
    g.upstream = tcp(upstream, **how, sslcrl="/nowhere/list.crl")
    g.configure()
    assert 'the revocation list of "upstream" is not used' in g.reload()


def test_a_revoked_server_is_not_logged_in_to(gate, upstream, certs, tmp_path):   # noqa: F811
    path = str(tmp_path / "list.crl")
    pki.write_file(path, certs.ca.crl())
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, sslcrl=path))
    session(g).close()
    pki.write_file(path, certs.ca.crl([certs.server]))
    assert "reload_failed" not in g.reload()
    since = g.log.mark()
    assert refused(g)["C"] == "57P03"
    g.log.wait_for("certificate revoked", since)
