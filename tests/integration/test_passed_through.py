"""
Exchanges that only the upstream server can judge, and that no server at hand asks for: bearer tokens and Kerberos.
A scripted server asks; the gate passes on, within PostgreSQL's limits and with its words.
"""

import struct

import pytest

from lib import wire
from lib.scripted_server import Scripted
from lib.wire import Conn, message

RELAYED = {"auth_source": "upstream", "auth_file": None, "upstream_login": None, "workers": "1"}
RULES = {"oauth": "host all all 127.0.0.1/32 oauth issuer=https://example.org scope=openid\n",
         "gss": "host all all 127.0.0.1/32 gss\n"}
ASK = {"oauth": (10, b"OAUTHBEARER\0\0"), "gss": (7, b"")}
FAILED = {"oauth": wire.fatal("28000", 'OAuth bearer authentication failed for user "alice"'),
          "gss": wire.fatal("28000", 'GSSAPI authentication failed for user "alice"')}


def bearer(size):
    return wire.sasl_initial("OAUTHBEARER", b"n,,\1auth=Bearer " + b"t" * size + b"\1\1")


def server(method):
    def ask(peer):
        peer.packet()
        peer.auth(*ASK[method])
        peer.notes["answer"] = peer.message()
        peer.auth(0)
        peer.send(b"Z\0\0\0\x05I")
        peer.message()

    return Scripted(ask)


@pytest.fixture(params=["oauth", "gss"])
def method(request):
    return request.param


@pytest.fixture
def asked(make_gate, certs, method):
    """(scripted server, a client in TLS that the server has asked through the gate)"""
    with server(method) as upstream:
        gate = make_gate(upstream=f"host=127.0.0.1 port={upstream.port} sslmode=disable", hba=RULES[method],
                         settings=RELAYED, tls={"cert": certs.server})
        with Conn(gate) as c:
            c.start_tls()
            c.send(wire.startup())
            assert c.event() == ("R", *ASK[method])
            yield upstream, c


@pytest.mark.parametrize("size", [100, 3000, 65000])
def test_tokens_of_any_size_that_postgresql_takes(asked, method, size):
    """A signed bearer token, or a ticket with its groups, is longer than any SCRAM message."""
    upstream, c = asked
    token = bearer(size) if method == "oauth" else message("p", b"k" * size)
    c.send(token)
    assert c.events() == [("R", 0, b""), ("Z", "I")]
    assert upstream.peers[0].notes["answer"] == ("p", token[5:])


def test_a_token_that_is_too_long(asked, method):
    _, c = asked
    c.send(b"p" + struct.pack("!I", 65536))
    assert c.dialogue() == [FAILED[method], wire.EOF]


def test_another_message(asked, method):
    _, c = asked
    c.send(wire.query("SELECT 1"))
    expected = {"oauth": "expected SASL response, got message type 81",
                "gss": "expected GSS response, got message type 81"}
    assert c.dialogue() == [wire.fatal("08P01", expected[method]), wire.EOF]


# -- what the conninfo demands of the server ------------------------------------------------------------------------
MD5 = (5, b"salt")
SCRAM = (10, b"SCRAM-SHA-256\0\0")
CLEARTEXT = (3, b"")


@pytest.mark.parametrize("rule, request_, demand, passes", [
    ("md5", MD5, "scram-sha-256", False), ("md5", SCRAM, "scram-sha-256", True), ("md5", SCRAM, "!scram-sha-256", False),
    ("md5", MD5, "md5,scram-sha-256", True), ("pam", CLEARTEXT, "!password", False), ("pam", CLEARTEXT, "password", True),
    ("oauth issuer=https://example.org scope=openid", (10, b"OAUTHBEARER\0\0"), "!oauth", False),
    ("oauth issuer=https://example.org scope=openid", (10, b"OAUTHBEARER\0\0"), "oauth", True),
    ("gss", (7, b""), "!gss", False), ("gss", (7, b""), "gss", True)])
def test_require_auth_holds_for_clients_too(make_gate, rule, request_, demand, passes):
    """The server's question is refused, as libpq would refuse it, before the client hears of it."""
    def ask(peer):
        peer.packet()
        peer.auth(*request_)
        peer.message()

    with Scripted(ask) as upstream:
        gate = make_gate(upstream=f"host=127.0.0.1 port={upstream.port} sslmode=disable require_auth={demand}",
                         hba=f"host all all 127.0.0.1/32 {rule}\n", settings=RELAYED)
        with Conn(gate) as c:
            c.send(wire.startup())
            event = c.event()
            assert event == ("R", *request_) if passes else event[0] == "E" and event[1]["C"] == "28000", event
        if not passes:
            gate.log.wait_for("did not ask for the authentication")


def test_channel_binding_cannot_be_demanded_of_what_passes_through(factory, certs):
    gate = factory.gate(start=False, upstream=f"host=localhost sslrootcert={certs.ca_file} channel_binding=require",
                        hba="host all all 127.0.0.1/32 scram-sha-256\n", settings=RELAYED)
    try:
        status, said = gate.refuses_to_start()
        assert status != 0 and "channel_binding=require" in said and "pg_hba.conf" in said
    finally:
        factory.stop(gate)
