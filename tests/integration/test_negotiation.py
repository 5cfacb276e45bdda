"""
From the first byte on the socket to the first authentication message.

Every test says what PostgreSQL 18 does and runs against PostgreSQL and the gate alike. Where an older
PostgreSQL does otherwise the test names the version from which its claim holds.
"""

import re
import ssl
import struct

import pytest

from lib import run, wire
from lib.wire import Conn, fatal, packet, startup

IMPATIENT = 3           # seconds of a server that waits for nobody longer
HBA = """\
local   all       all                  scram-sha-256
hostssl all       all    127.0.0.1/32  scram-sha-256
hostnossl app     alice,bob,expired 127.0.0.1/32 scram-sha-256
hostnossl app     carol  127.0.0.1/32  trust
hostnossl closed,private,nowhere carol 127.0.0.1/32 trust
hostnossl app     nologin,limited,ghost 127.0.0.1/32 trust
hostnossl replication carol,repl 127.0.0.1/32 trust
"""

UNENCRYPTED_DETAIL = ("This could be either a client-software bug or evidence of an attempted man-in-the-middle"
                      " attack.")


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    """A server with TLS."""
    return server_factory(kind, hba=HBA, tls={"cert": certs.server})


@pytest.fixture(scope="module")
def plain(kind, server_factory):
    """A server with ssl = off."""
    return server_factory(kind, hba=HBA.replace("hostssl ", "host    "))


@pytest.fixture(scope="module")
def impatient(kind, server_factory, certs):
    """A server with a short authentication_timeout."""
    return server_factory(kind, hba=HBA, tls={"cert": certs.server}, settings={"authentication_timeout": f"{IMPATIENT}s"})


SSL, GSS = wire.SSL_REQUEST, wire.GSSENC_REQUEST


def since(server, major):
    if server.major < major:
        pytest.skip(f"PostgreSQL {major} and later")


def gss(server, steps):
    """A build with GSSAPI answers `G` on TCP; the gate is one without."""
    if server.gss and GSS in steps:
        pytest.skip("this PostgreSQL is built with GSSAPI")


def supported(server):
    return "server supports 3.0 to 3.2" if server.major >= 18 else "server supports 3.0 to 3.0"


def unsupported(server, version):
    return fatal("0A000", f"unsupported frontend protocol {version}: {supported(server)}")


SASL_OFFER = ("R", 10, b"SCRAM-SHA-256\0\0")
SASL_OFFER_TLS = ("R", 10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")


# -- 1, 2: forms, lengths, partial packets ------------------------------------------------------------------------
BAD_LENGTHS = {
    "length 0": bytes(8),
    "length 4": struct.pack("!I", 4) + b"\0\3\0\0",
    "length 7": struct.pack("!I", 7) + b"\0\3\0\0",
    "length 10005": struct.pack("!I", 10005) + b"\0\3\0\0" + bytes(100),
    "huge": b"\xff\xff\xff\xff\0\3\0\0",
    "http": b"GET / HTTP/1.1\r\nHost: db\r\n\r\n",
    "sslv2 hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0"),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "cut length": b"\0\0",
}


@pytest.mark.parametrize("data", BAD_LENGTHS.values(), ids=BAD_LENGTHS.keys())
def test_bad_length_is_a_silent_close(server, data):
    with Conn(server) as c:
        c.raw_send(data)
        if data == b"\0\0":
            c.half_close()
        try:
            assert c.raw_rest() == b""
        except wire.Closed as e:
            assert e.how == wire.RESET      # unread bytes were left on the socket


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 7, 8, 12])
def test_end_of_file_inside_the_startup_packet_is_silent(server, cut):
    with Conn(server) as c:
        c.raw_send(startup()[:cut])
        c.half_close()
        assert c.raw_rest() == b""


def test_startup_one_byte_at_a_time(server):
    with Conn(server) as c:
        for byte in startup():
            c.raw_send(bytes([byte]))
        assert c.event() == SASL_OFFER


def test_the_longest_startup_packet(server):
    """Length 10004 is accepted; its parameters are looked at after authentication only."""
    data = startup("carol", application_name="")
    data = startup("carol", application_name="x" * (10004 - len(data)))
    assert len(data) == 10004
    with Conn(server) as c:
        c.raw_send(data)
        assert c.dialogue()[-1] == ("Z", "I")


@pytest.mark.parametrize("extra", [1, 100, 10004 - 8])
def test_trailing_bytes_inside_a_request_are_ignored(server, extra):
    with Conn(server) as c:
        c.raw_send(packet(80877103, b"\x16" * extra))
        assert c.raw_exactly(1) == b"S"
        c.raw_send(c.prepare_tls())
        c.handshake()
        assert c.login("alice's pass")[-1] == ("Z", "I")


def test_pipelined_session_is_answered_behind_a_half_close(server):
    """EOF behind a complete pipeline stops nothing."""
    with Conn(server) as c:
        c.raw_send(startup("carol") + wire.query("SELECT 'seen'") + wire.query("SELECT 2"))
        c.half_close()
        events = [e for e in c.events() if e[0] != "S"]
        assert events[0] == ("R", 0, b"")
        assert events[-1] == ("Z", "I")
        assert ("D", b"\0\1\0\0\0\4seen") in c.events()
        assert c.events()[-1] == ("Z", "I")
        assert c.event() == wire.EOF


# -- 3: the negotiation machine -----------------------------------------------------------------------------------
PLAIN_SEQUENCES = {
    # what is sent, each followed by its one-byte answer
    "startup": [],
    "ssl": [(SSL, b"N")],
    "gss": [(GSS, b"N")],
    "gss ssl": [(GSS, b"N"), (SSL, b"N")],
    "ssl gss": [(SSL, b"N"), (GSS, b"N")],
}


@pytest.mark.parametrize("steps", PLAIN_SEQUENCES.values(), ids=PLAIN_SEQUENCES.keys())
def test_sequences_without_tls(plain, steps):
    gss(plain, [request for request, _ in steps])
    with Conn(plain) as c:
        for request, answer in steps:
            c.raw_send(request)
            assert c.raw_exactly(1) == answer
        assert c.login("alice's pass")[-1] == ("Z", "I")


@pytest.mark.parametrize("steps", PLAIN_SEQUENCES.values(), ids=PLAIN_SEQUENCES.keys())
def test_sequences_on_a_unix_socket(server, steps):
    """A unix socket never offers TLS, whatever `ssl` says."""
    with Conn(server, unix=True) as c:
        for request, answer in steps:
            c.raw_send(request)
            assert c.raw_exactly(1) == answer
        c.send(startup())
        assert c.event() == SASL_OFFER


@pytest.mark.parametrize("before", [[], [GSS]], ids=["ssl", "gss ssl"])
def test_sequences_with_tls(server, before):
    gss(server, before)
    with Conn(server) as c:
        for request in before:
            c.raw_send(request)
            assert c.raw_exactly(1) == b"N"
        c.start_tls()
        c.send(startup())
        assert c.event() == SASL_OFFER_TLS


REPEATS = {
    "ssl twice": ([SSL, SSL], "1234.5679"),
    "gss twice": ([GSS, GSS], "1234.5680"),
    "ssl gss ssl": ([SSL, GSS, SSL], "1234.5679"),
    "gss ssl gss": ([GSS, SSL, GSS], "1234.5680"),
}


@pytest.mark.parametrize("steps, version", REPEATS.values(), ids=REPEATS.keys())
def test_a_repeated_request_is_a_version_nobody_speaks(plain, steps, version):
    gss(plain, steps)
    with Conn(plain) as c:
        for request in steps[:-1]:
            c.raw_send(request)
            assert c.raw_exactly(1) == b"N"
        c.raw_send(steps[-1])
        assert c.events() == [unsupported(plain, version), wire.EOF]


@pytest.mark.parametrize("request_, version", [(SSL, "1234.5679"), (GSS, "1234.5680")], ids=["ssl", "gss"])
def test_requests_inside_negotiated_tls(server, request_, version):
    with Conn(server) as c:
        c.start_tls()
        c.send(request_)
        assert c.events() == [unsupported(server, version), wire.EOF]


def test_direct_tls_starts_with_both_requests_unused(server):
    since(server, 17)
    with Conn(server) as c:
        c.direct_tls()
        for request in (SSL, GSS):
            c.send(request)
            assert c.exactly(1) == b"N"
        c.send(startup())
        assert c.event() == SASL_OFFER_TLS


@pytest.mark.parametrize("request_, version", [(SSL, "1234.5679"), (GSS, "1234.5680")], ids=["ssl", "gss"])
def test_direct_tls_refuses_the_second_of_a_kind(server, request_, version):
    since(server, 17)
    with Conn(server) as c:
        c.direct_tls()
        c.send(request_)
        assert c.exactly(1) == b"N"
        c.send(request_)
        assert c.events() == [unsupported(server, version), wire.EOF]


def test_hello_after_a_refusal_is_a_bad_length(plain):
    """Only the very first byte of a connection may begin direct TLS."""
    with Conn(plain) as c:
        c.raw_send(SSL)
        assert c.raw_exactly(1) == b"N"
        c.raw_send(c.prepare_tls())
        try:
            assert c.raw_rest() == b""
        except wire.Closed as e:
            assert e.how == wire.RESET


# -- 4: TLS -------------------------------------------------------------------------------------------------------
def test_pipelined_hello_belongs_to_tls(server):
    since(server, 17)
    with Conn(server) as c:
        hello = c.prepare_tls()
        c.raw_send(SSL + hello)
        assert c.raw_exactly(1) == b"S"
        c.handshake()
        assert c.login("alice's pass", plus=True)[-1] == ("Z", "I")


@pytest.mark.parametrize("smuggled", [startup("carol"), b"GET / HTTP/1.0\r\n\r\n"], ids=["startup", "http"])
def test_smuggled_plaintext_ends_the_connection(server, smuggled):
    """Exactly the one byte `S`, then silence: no plaintext is ever interpreted behind it (CVE-2021-23214)."""
    since(server, 17)
    with Conn(server) as c:
        c.raw_send(SSL + smuggled)
        data = b""
        try:
            while chunk := c.raw_recv():
                data += chunk
        except wire.Closed as e:
            assert e.how == wire.RESET
        assert data == b"S"


def test_plaintext_startup_after_accepted_ssl(server):
    with Conn(server) as c:
        c.raw_send(SSL)
        assert c.raw_exactly(1) == b"S"
        mark = server.log.mark()
        c.raw_send(startup("carol"))
        try:
            assert c.raw_rest() == b""
        except wire.Closed as e:
            assert e.how == wire.RESET
        server.log.wait_for("wrong version number", mark)


REFUSED_PIPELINES = {
    "ssl": (SSL, b"N", "received unencrypted data after SSL request"),
    "gss": (GSS, b"N", "received unencrypted data after GSSAPI encryption request"),
}


@pytest.mark.parametrize("request_, answer, text", REFUSED_PIPELINES.values(), ids=REFUSED_PIPELINES.keys())
def test_bytes_behind_a_refused_request(plain, request_, answer, text):
    gss(plain, [request_])
    with Conn(plain) as c:
        c.raw_send(request_ + startup("carol"))
        assert c.raw_exactly(1) == answer
        assert c.events() == [fatal("08P01", text, UNENCRYPTED_DETAIL), wire.EOF]


ALPN = {
    "postgresql": (["postgresql"], "postgresql"),
    "among others": (["h2", "postgresql", "http/1.1"], "postgresql"),
    "none": ([], None),
}


@pytest.mark.parametrize("offered, selected", ALPN.values(), ids=ALPN.keys())
def test_alpn_after_ssl_request(server, offered, selected):
    since(server, 17)
    with Conn(server) as c:
        c.start_tls(wire.client_context(alpn=offered))
        assert c.tls.selected_alpn_protocol() == selected
        assert c.login("alice's pass")[-1] == ("Z", "I")


@pytest.mark.parametrize("direct", [False, True], ids=["request", "direct"])
def test_foreign_alpn_is_refused_with_its_alert(server, direct):
    since(server, 17)
    with Conn(server) as c:
        mark = server.log.mark()
        with pytest.raises(wire.Closed) as closed:
            (c.direct_tls if direct else c.start_tls)(wire.client_context(alpn=["h2"]))
        assert closed.value.how == "alert no application protocol"
        server.log.wait_for("no application protocol", mark)


def test_direct_tls_with_alpn(server):
    since(server, 17)
    with Conn(server) as c:
        c.direct_tls()
        assert c.tls.selected_alpn_protocol() == "postgresql"
        assert c.login("alice's pass", plus=True)[-1] == ("Z", "I")


def test_direct_tls_without_alpn_is_closed_after_the_handshake(server):
    since(server, 17)
    with Conn(server) as c:
        mark = server.log.mark()
        c.direct_tls(wire.client_context(alpn=()))
        assert c.rest() == b""
        server.log.wait_for("direct SSL connection request without ALPN", mark)


def test_direct_tls_where_tls_is_off(plain):
    since(plain, 17)
    with Conn(plain) as c:
        c.raw_send(c.prepare_tls())
        try:
            assert c.raw_rest() == b""
        except wire.Closed as e:
            assert e.how == wire.RESET


def test_direct_tls_on_a_unix_socket(server):
    since(server, 17)
    with Conn(server, unix=True) as c:
        c.raw_send(c.prepare_tls())
        try:
            assert c.raw_rest() == b""
        except wire.Closed as e:
            assert e.how == wire.RESET


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tls_versions(server, version):
    with Conn(server) as c:
        c.start_tls(wire.client_context(minimum=version, maximum=version))
        assert c.tls.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert c.login("alice's pass", plus=True)[-1] == ("Z", "I")


def test_no_resumption_is_offered(server):
    """No session tickets: nothing comes behind the handshake unasked."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Conn(server) as c:
            c.start_tls(wire.client_context(minimum=version, maximum=version))
            c.ready("alice's pass")
            session = c.tls.session
            assert session is None or not session.has_ticket
            assert not c.tls.session_reused


@pytest.mark.parametrize("when", ["handshake", "startup", "session"])
def test_half_close_without_close_notify(server, when):
    """OpenSSL 3 tells the peer with a fatal alert decode_error before it closes."""
    since(server, 18)
    if server.name == "pg18":
        pytest.skip("this build of PostgreSQL 18 stands on OpenSSL 1.1, which sends no alert here")
    with Conn(server) as c:
        if when == "handshake":
            c.raw_send(SSL)
            assert c.raw_exactly(1) == b"S"
            c.raw_send(c.prepare_tls()[:50])
            c.half_close()
            # A plaintext alert record: fatal (2), decode_error (50).
            assert c.raw_rest()[-2:] == bytes([2, 50])
            return
        c.start_tls()
        if when == "session":
            c.ready("alice's pass")
        c.half_close()
        assert c.event() == "alert decode error"


# -- 5: versions and layout ---------------------------------------------------------------------------------------
VERSIONS = {"4.0": 0x00040000, "65535.65535": 0xFFFFFFFF, "0.0": 0, "1234.5681": 80877105, "1234.5677": 80877101}


@pytest.mark.parametrize("text, version", VERSIONS.items(), ids=VERSIONS.keys())
def test_unsupported_versions(server, text, version):
    with Conn(server) as c:
        c.send(startup(version=version))
        assert c.events() == [unsupported(server, text), wire.EOF]


OLD_VERSIONS = {"0.1": 1, "1.0": 0x00010000, "2.0": 0x00020000, "2.65535": 0x0002FFFF}


@pytest.mark.parametrize("text, version", OLD_VERSIONS.items(), ids=OLD_VERSIONS.keys())
def test_ancient_versions_get_an_ancient_error(server, text, version):
    with Conn(server) as c:
        c.send(startup(version=version))
        assert c.rest() == (f"EFATAL:  unsupported frontend protocol {text}: {supported(server)}\n\0".encode())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_unsupported_version_is_said_inside_tls_too(server, tls):
    with Conn(server) as c:
        if tls:
            c.start_tls()
        c.send(startup(version=0x00040000))
        assert c.events() == [unsupported(server, "4.0"), wire.EOF]


LAYOUT = fatal("08P01", "invalid startup packet layout: expected terminator as last byte")
NO_USER = fatal("28000", "no PostgreSQL user name specified in startup packet")
REPLICATION_HINT = 'Valid values are: "false", 0, "true", 1, "database".'

BODIES = {
    "empty": (b"", LAYOUT),
    "terminator only": (b"\0", NO_USER),
    "one byte passes as terminator": (b"u", NO_USER),
    "name without value": (b"user\0", LAYOUT),
    "no terminator": (b"user\0alice\0database\0app", LAYOUT),
    "unterminated value": (b"user\0ali", LAYOUT),
    "bytes behind the terminator": (b"user\0alice\0\0x", LAYOUT),
    "two terminators": (b"user\0alice\0\0\0", LAYOUT),
    "empty user": (b"user\0\0database\0app\0\0", NO_USER),
    "database only": (b"database\0app\0\0", NO_USER),
    "bad replication": (b"user\0alice\0replication\0maybe\0\0",
                        fatal("22023", 'invalid value for parameter "replication": "maybe"',
                              hint=REPLICATION_HINT)),
    "replication in capitals": (b"user\0alice\0replication\0DATABASE\0\0",
                                fatal("22023", 'invalid value for parameter "replication": "DATABASE"',
                                      hint=REPLICATION_HINT)),
    "empty replication": (b"user\0alice\0replication\0\0\0",
                          fatal("22023", 'invalid value for parameter "replication": ""', hint=REPLICATION_HINT)),
    "layout before replication": (b"user\0alice\0replication\0true\0\0x", LAYOUT),
    "replication before user": (b"replication\0x\0\0",
                                fatal("22023", 'invalid value for parameter "replication": "x"',
                                      hint=REPLICATION_HINT)),
}


@pytest.mark.parametrize("body, answer", BODIES.values(), ids=BODIES.keys())
def test_startup_layout(server, body, answer):
    with Conn(server) as c:
        c.send(packet(wire.V3_0, body))
        assert c.events() == [answer, wire.EOF]


def entry(user, database, state="no encryption", host="127.0.0.1"):
    return fatal("28000", f'no pg_hba.conf entry for host "{host}", user "{user}", database "{database}", {state}')


NAMES = {
    # parameters, what the server makes of them (seen in the text of its refusal)
    "database from user": (b"user\0mallory\0\0", entry("mallory", "mallory")),
    "empty database": (b"user\0mallory\0database\0\0\0", entry("mallory", "mallory")),
    "last user wins": (b"user\0alice\0user\0mallory\0database\0app\0\0", entry("mallory", "app")),
    "last database wins": (b"user\0mallory\0database\0app\0database\0db2\0\0", entry("mallory", "db2")),
    "user of 63 bytes": (b"user\0" + b"u" * 63 + b"\0database\0app\0\0", entry("u" * 63, "app")),
    "user of 64 bytes": (b"user\0" + b"u" * 64 + b"\0database\0app\0\0", entry("u" * 63, "app")),
    "database of 70 bytes": (b"user\0mallory\0database\0" + b"d" * 70 + b"\0\0", entry("mallory", "d" * 63)),
    "spaces and quotes": (b'user\0a "b" c\0database\0d\0\0', entry('a "b" c', "d")),
    "utf-8": ("user\0jürgen\0database\0d\0\0".encode(), entry("jürgen", "d")),
    "parameters are not looked at yet": (b"user\0mallory\0database\0app\0no_such_thing\0x\0\0",
                                         entry("mallory", "app")),
    "logical replication has a database": (b"user\0mallory\0database\0app\0replication\0database\0\0",
                                           entry("mallory", "app")),
    "once a database, always a database": (b"user\0mallory\0database\0app\0replication\0database\0"
                                           b"replication\0off\0replication\0true\0\0", entry("mallory", "app")),
    "replication off": (b"user\0mallory\0database\0app\0replication\0off\0\0", entry("mallory", "app")),
}


@pytest.mark.parametrize("body, answer", NAMES.values(), ids=NAMES.keys())
def test_names_as_the_server_takes_them(server, body, answer):
    with Conn(server) as c:
        c.send(packet(wire.V3_0, body))
        assert c.events() == [answer, wire.EOF]


@pytest.mark.parametrize("value", ["true", "on", "yes", "1", "t", "TRUE", "tr", "y", "On"])
def test_physical_replication_words(server, value):
    with Conn(server) as c:
        c.send(startup("mallory", "app", replication=value))
        assert c.events() == [fatal("28000", 'no pg_hba.conf entry for replication connection from host "127.0.0.1",'
                                             ' user "mallory", no encryption'), wire.EOF]


def test_refusal_names_the_encryption(server):
    with Conn(server) as c:
        c.start_tls()
        c.send(startup("", "app"))
        assert c.events() == [NO_USER, wire.EOF]


# -- 6: NegotiateProtocolVersion ----------------------------------------------------------------------------------
NEGOTIATED = {
    # requested version, protocol options: (version in `v`, options in `v`) or None
    "3.0": (wire.V3_0, [], None),
    "3.1": (0x00030001, [], None),
    "3.2": (wire.V3_2, [], None),
    "3.3": (0x00030003, [], (wire.V3_2, [])),
    "3.9999": (0x0003270F, [], (wire.V3_2, [])),
    "3.65535": (0x0003FFFF, [], (wire.V3_2, [])),
    "3.0 and an option": (wire.V3_0, ["_pq_.foo"], (wire.V3_0, [b"_pq_.foo"])),
    "3.2 and options in order": (wire.V3_2, ["_pq_.z", "_pq_.a"], (wire.V3_2, [b"_pq_.z", b"_pq_.a"])),
    "3.7 and an option": (0x00030007, ["_pq_.foo"], (wire.V3_2, [b"_pq_.foo"])),
    "bare prefix": (wire.V3_0, ["_pq_."], (wire.V3_0, [b"_pq_."])),
}


@pytest.mark.parametrize("version, options, answer", NEGOTIATED.values(), ids=NEGOTIATED.keys())
def test_negotiate_protocol_version(server, version, options, answer):
    since(server, 18)
    with Conn(server) as c:
        c.send(startup(version=version, **{o: "1" for o in options}))
        expected = [("v", *answer)] if answer else []
        assert c.dialogue_until_challenge() == expected + [SASL_OFFER]


@pytest.mark.parametrize("name", ["_PQ_.x", "_pq_x", "_pq"])
def test_what_only_looks_like_a_protocol_option(server, name):
    """Run-time settings, refused behind AuthenticationOk as unknown."""
    with Conn(server) as c:
        c.send(startup("carol", **{name: "1"}))
        events = c.dialogue()
        assert events[0] == ("R", 0, b"")
        if name == "_PQ_.x":
            assert events[-1] == ("Z", "I")     # a dotted name: a custom setting
        else:
            assert events[1:] == [fatal("42704", f'unrecognized configuration parameter "{name}"'), wire.EOF]


def test_negotiation_comes_before_a_missing_user_and_behind_a_bad_layout(server):
    since(server, 18)
    with Conn(server) as c:
        c.send(packet(0x00030009, b"_pq_.a\0" + b"1\0\0"))
        assert c.events() == [("v", wire.V3_2, [b"_pq_.a"]), NO_USER, wire.EOF]
    with Conn(server) as c:
        c.send(packet(0x00030009, b"_pq_.a\0" + b"1\0\0x"))
        assert c.events() == [LAYOUT, wire.EOF]
    with Conn(server) as c:
        c.send(packet(0x00030009, b"_pq_.a\0" + b"1\0replication\0x\0\0"))
        assert c.events()[0][1]["C"] == "22023"


def test_negotiation_comes_before_a_refusal(server):
    since(server, 18)
    with Conn(server) as c:
        c.send(startup("mallory", version=0x00030009))
        assert c.events() == [("v", wire.V3_2, []), entry("mallory", "app"), wire.EOF]


# -- 7: keys and cancel -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version, length", [(wire.V3_0, 4), (0x00030001, 4), (wire.V3_2, 32), (0x0003270F, 32)],
                         ids=["3.0", "3.1", "3.2", "3.9999"])
def test_key_length(server, version, length):
    since(server, 18)
    with Conn(server) as c:
        c.send(startup("carol", version=version))
        assert ("K", length) in c.events()


def sleeping(c):
    c.send(wire.query("SELECT pg_sleep(60)"))


def running(server, c):
    """Wait until c's query runs. The session's pid is that of the process that works for it."""
    upstream = server.upstream if server.is_gate else server
    run.wait_until(lambda: upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {c.pid}"
                                          " AND state = 'active' AND query LIKE '%pg_sleep%'"), "the query to run")


CANCELED = ("E", {"S": "ERROR", "V": "ERROR", "C": "57014", "M": "canceling statement due to user request"})


@pytest.mark.parametrize("way", ["plain", "ssl refused", "tls", "direct", "unix"])
@pytest.mark.parametrize("version", [wire.V3_0, wire.V3_2], ids=["3.0", "3.2"])
def test_cancel_over_every_transport(server, plain, way, version):
    if version == wire.V3_2 or way == "direct":
        since(server, 18)
    target = plain if way == "ssl refused" else server
    with Conn(target) as c, Conn(target, unix=way == "unix") as other:
        if way != "ssl refused":
            c.start_tls()
        c.ready("alice's pass", version=version)
        sleeping(c)
        running(target, c)
        if way == "tls":
            other.start_tls()
        elif way == "direct":
            other.direct_tls()
        elif way == "ssl refused":
            other.raw_send(SSL)
            assert other.raw_exactly(1) == b"N"
        other.send(wire.cancel_request(c.pid, c.key))
        assert other.rest() == b""
        assert CANCELED in c.events()
        assert c.value("SELECT 'alive'") == "alive"


WRONG_KEYS = {
    "wrong bytes": lambda pid, key: wire.cancel_request(pid, bytes([key[0] ^ 1]) + key[1:]),
    "wrong pid": lambda pid, key: wire.cancel_request(pid ^ 0x40000000, key),
    "pid 0": lambda pid, key: wire.cancel_request(0, key),
    "too long": lambda pid, key: wire.cancel_request(pid, key + b"\0"),
    "too short": lambda pid, key: wire.cancel_request(pid, key[:-1]),
    "no key": lambda pid, key: wire.cancel_request(pid, b""),
    "no pid": lambda pid, key: packet(wire.CANCEL_CODE, b"\0\0"),
    "257 bytes": lambda pid, key: wire.cancel_request(pid, key + bytes(257 - len(key))),
}


def test_wrong_cancel_keys_do_nothing(server):
    with Conn(server) as c:
        c.ready(user="carol")
        sleeping(c)
        running(server, c)
        for what, make in WRONG_KEYS.items():
            with Conn(server) as other:
                other.raw_send(make(c.pid, c.key))
                assert other.raw_rest() == b"", what
        running(server, c)
        with Conn(server) as other:
            other.raw_send(wire.cancel_request(c.pid, c.key))
            assert other.raw_rest() == b""
        assert CANCELED in c.events()


def test_a_key_dies_with_its_session(server):
    with Conn(server) as c:
        c.ready(user="carol")
        c.send(wire.TERMINATE)
        assert c.rest() == b""
    with Conn(server) as other:
        other.raw_send(wire.cancel_request(c.pid, c.key))
        assert other.raw_rest() == b""


# -- 8: timeouts --------------------------------------------------------------------------------------------------
STALLS = {
    "nothing sent": lambda c: None,
    "half a packet": lambda c: c.raw_send(startup()[:10]),
    "after N": lambda c: (c.raw_send(GSS), c.raw_exactly(1)),
}


@pytest.mark.parametrize("stall", STALLS.values(), ids=STALLS.keys())
def test_startup_timeout_is_silent(impatient, stall):
    with Conn(impatient) as c:
        stall(c)
        assert c.raw_rest() == b""


def test_startup_timeout_inside_the_handshake(impatient):
    with Conn(impatient) as c:
        c.raw_send(SSL)
        assert c.raw_exactly(1) == b"S"
        c.raw_send(c.prepare_tls()[:20])
        assert c.raw_rest() == b""


def test_startup_timeout_inside_tls_sends_nothing(impatient):
    with Conn(impatient) as c:
        c.start_tls()
        assert c.rest() == b""


def test_authentication_timeout_is_not_told_to_the_client(impatient):
    mark = impatient.log.mark()
    with Conn(impatient) as c:
        c.send(startup())
        assert c.event() == SASL_OFFER
        assert c.event() == wire.EOF
    impatient.log.wait_for("canceling authentication due to timeout", mark)


def test_dripping_bytes_do_not_extend_the_timeout(impatient):
    """Entering a state, or receiving anything, never re-arms the timer."""
    with Conn(impatient, timeout=0.2) as c:
        data = startup(application_name="x" * 200)      # each byte takes 0.2 s, or more
        ended, sent = False, 0
        for sent, byte in enumerate(data, 1):
            c.raw_send(bytes([byte]))
            try:
                ended = c.raw_recv() == b""
            except TimeoutError:
                continue
            except wire.Closed:
                ended = True
            break
        assert ended and sent < len(data) / 3


# -- 9, 10: refusals around authentication ------------------------------------------------------------------------
AFTER_OK = {
    "missing role": ({"user": "ghost"}, "28000", 'role "ghost" does not exist'),
    "nologin": ({"user": "nologin"}, "28000", 'role "nologin" is not permitted to log in'),
    "role limit": ({"user": "limited"}, "53300", 'too many connections for role "limited"'),
    "missing database": ({"user": "carol", "database": "nowhere"}, "3D000", 'database "nowhere" does not exist'),
    "closed database": ({"user": "carol", "database": "closed"}, "55000",
                        'database "closed" is not currently accepting connections'),
    "no connect": ({"user": "carol", "database": "private"}, "42501", 'permission denied for database "private"'),
    "no replication": ({"user": "carol", "replication": "true"}, "42501", None),
    "unknown setting": ({"user": "carol", "database": "app", "bogus": "1"}, "42704",
                        'unrecognized configuration parameter "bogus"'),
}


@pytest.mark.parametrize("who, code, text", AFTER_OK.values(), ids=AFTER_OK.keys())
def test_refusals_behind_authentication_ok(server, who, code, text):
    with Conn(server) as c:
        c.send(startup(**who))
        events = c.dialogue()
        assert events[0] == ("R", 0, b"")
        assert events[1][0] == "E" and events[1][1]["S"] == "FATAL" and events[1][1]["C"] == code
        assert text is None or events[1][1]["M"] == text
        assert events[2:] == [wire.EOF]


def test_reject_and_missing_entry_inside_tls(server_factory, kind, certs):
    server = server_factory(kind, tls={"cert": certs.server}, hba="""\
hostnossl all all 127.0.0.1/32 reject
hostssl app all 127.0.0.1/32 reject
hostssl replication all 127.0.0.1/32 reject
""")
    def refused(tls, **who):
        with Conn(server) as c:
            if tls:
                c.start_tls()
            c.send(startup(**who))
            events = c.events()
            assert events[1:] == [wire.EOF]
            return events[0]

    rejects = 'pg_hba.conf rejects connection for host "127.0.0.1", user "alice", database "app", '
    assert refused(False) == fatal("28000", rejects + "no encryption")
    assert refused(True) == fatal("28000", rejects + "SSL encryption")
    assert refused(True, database="db2") == entry("alice", "db2", "SSL encryption")
    assert refused(True, replication="1") == fatal(
        "28000", 'pg_hba.conf rejects replication connection for host "127.0.0.1", user "alice", SSL encryption')
    assert refused(False, replication="1") == entry_none_for_replication("no encryption")
    with Conn(server, unix=True) as c:
        c.send(startup())
        assert c.events() == [entry("alice", "app", host="[local]"), wire.EOF]


def entry_none_for_replication(state):
    return fatal("28000", f'no pg_hba.conf entry for replication connection from host "127.0.0.1", user "alice",'
                          f' {state}')


def test_connection_limit(server_factory, kind):
    settings = {"max_connections": "3", "superuser_reserved_connections": "0"}
    if kind != "gate":
        settings["max_wal_senders"] = "0"
        if kind == "pg18":
            settings["reserved_connections"] = "0"
    server = server_factory(kind, hba="host all all 127.0.0.1/32 trust\n", settings=settings)
    sessions = []
    try:
        for _ in range(3):
            sessions.append(Conn(server).ready(user="carol"))
        with Conn(server) as c:
            c.send(startup("carol"))
            assert c.events() == [fatal("53300", "sorry, too many clients already"), wire.EOF]
        # Cancel requests are not affected.
        sleeping(sessions[0])
        with Conn(server) as other:
            while True:
                other.raw_send(wire.cancel_request(sessions[0].pid, sessions[0].key))
                assert other.raw_rest() == b""
                break
        sessions[0].send(wire.SYNC)
    finally:
        for c in sessions:
            c.close()


# -- 13: log lines ------------------------------------------------------------------------------------------------
def test_log_names_the_session(server):
    mark = server.log.mark()
    with Conn(server) as c:
        c.start_tls()
        c.ready("alice's pass")
    text = server.log.wait_for(r"connection.authorized[^\n]*", mark).group(0)
    if not server.is_gate:
        assert re.search(r"user=alice database=app SSL enabled \(protocol=TLSv1.3, cipher=\S+, bits=\d+\)", text)
