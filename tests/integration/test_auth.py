"""
Passwords: right, wrong, and every way to misspeak SCRAM. Each case says what PostgreSQL answers.
"""

import base64
import struct
import subprocess
import time
import unicodedata

import pytest

from lib import scram, wire
from lib.gate import userlist
from lib.pg import PASSWORDS
from lib.wire import Conn, fatal, message, sasl_initial, startup

HBA = """\
host  db2 all 127.0.0.1/32 password
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
"""

ALICE = PASSWORDS["alice"]


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, tls={"cert": certs.server})


@pytest.fixture(scope="module")
def rsa_server(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, tls={"cert": certs.ca.issue("rsa", usage="server", key="rsa")})


def failed(user="alice"):
    return fatal("28P01", f'password authentication failed for user "{user}"')


def malformed(detail):
    return fatal("08P01", "malformed SCRAM message", detail)


def challenged(server, tls=False, user="alice", unix=False):
    """A connection that was just offered SASL."""
    c = Conn(server, unix=unix)
    if tls:
        c.start_tls()
    c.send(startup(user))
    event = c.event()
    offer = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0" if tls else b"SCRAM-SHA-256\0\0"
    assert event == ("R", 10, offer)
    return c


# -- what comes before it was asked for ----------------------------------------------------------------------------
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("secret", [ALICE, "wrong"])
def test_password_in_the_startup_message_s_segment(server, tls, secret):
    with Conn(server) as c:
        if tls:
            c.start_tls()
        c.send(startup(database="db2") + wire.password(secret))
        events = c.dialogue()
        assert events[0] == ("R", 3, b"")
        if secret == ALICE:
            assert events[1] == ("R", 0, b"") and events[-1] == ("Z", "I")
        else:
            assert events[1:] == [failed(), wire.EOF]


def test_password_and_the_end_in_the_startup_message_s_segment(server):
    with Conn(server) as c:
        c.send(startup(database="db2") + wire.password(ALICE) + wire.query("SELECT 1"))
        c.half_close()
        assert [e[0] for e in c.events() if e[0] in "RZ"] == ["R", "R", "Z"]
        assert [e[0] for e in c.events()] == ["T", "D", "C", "Z"]


@pytest.mark.parametrize("tls", [False, True])
def test_first_sasl_message_in_the_startup_message_s_segment(server, tls):
    exchange = scram.Exchange(ALICE, "n,,", b"")
    with Conn(server) as c:
        if tls:
            c.start_tls()
        c.send(startup() + sasl_initial("SCRAM-SHA-256", exchange.first()))
        assert c.event()[:2] == ("R", 10)
        event = c.event()
        assert event[:2] == ("R", 11)
        exchange.read_server_first(event[2])
        c.send(message("p", exchange.final()))
        assert c.dialogue()[-1] == ("Z", "I")


def test_another_message_behind_the_first_sasl_message(server):
    with Conn(server) as c:
        c.send(startup() + sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc") + wire.query("SELECT 1"))
        assert [e[:2] for e in c.events(until="R")] == [("R", 10)]
        assert c.event()[:2] == ("R", 11)
        assert c.dialogue() == [fatal("08P01", "expected SASL response, got message type 81"), wire.EOF]


# -- what works, and what a wrong password gets -------------------------------------------------------------------
@pytest.mark.parametrize("way", ["unix", "plain", "tls", "tls plus"])
def test_right_password(server, way):
    with challenged(server, way.startswith("tls"), unix=way == "unix") as c:
        events = c.sasl(ALICE, plus=way == "tls plus")
        assert events[0][:2] == ("R", 12)       # whose signature sasl() has verified
        assert events[1] == ("R", 0, b"")
        assert events[-1] == ("Z", "I")
        assert c.value("SELECT current_user") == "alice"


@pytest.mark.parametrize("way", ["unix", "plain", "tls", "tls plus"])
@pytest.mark.parametrize("user", ["alice", "nobody at all", "nopassword", "expired"])
def test_wrong_password(server, way, user):
    """Unknown users, users without and with expired passwords are not to be told from wrong passwords."""
    if server.is_gate and user in ("nopassword", "expired"):
        pytest.skip("auth_file knows no expiry and no empty secrets")
    with challenged(server, way.startswith("tls"), user, way == "unix") as c:
        assert c.sasl("not it", plus=way == "tls plus") == [failed(user), wire.EOF]


def test_expired_password_fails_even_if_right(server):
    if server.is_gate:
        pytest.skip("auth_file knows no expiry")
    with challenged(server, user="expired") as c:
        assert c.sasl(ALICE) == [failed("expired"), wire.EOF]


def test_nologin_is_refused_behind_its_right_password(server):
    with challenged(server, user="nologin") as c:
        events = c.sasl(PASSWORDS["nologin"])
        assert events[0][:2] == ("R", 12) and events[1] == ("R", 0, b"")
        assert events[2:] == [fatal("28000", 'role "nologin" is not permitted to log in'), wire.EOF]


def first_challenge(server, user):
    with challenged(server, user=user) as c:
        c.send(sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
        kind, code, data = c.event()
        assert (kind, code) == ("R", 11)
        return dict(part.split("=", 1) for part in data.decode().split(","))


def test_mock_challenge_cannot_be_told_from_a_real_one(server):
    real, mock = first_challenge(server, "alice"), first_challenge(server, "no such user")
    assert list(real) == list(mock) == ["r", "s", "i"]
    assert real["i"] == mock["i"] == "4096"
    assert len(base64.b64decode(mock["s"])) == 16
    assert len(real["r"]) == len(mock["r"]) == len("abc") + 24
    again, other = first_challenge(server, "no such user"), first_challenge(server, "another")
    assert again["s"] == mock["s"] and other["s"] != mock["s"]
    assert again["r"] != mock["r"]


def test_mock_salt_survives_a_restart(server_factory, kind):
    server = server_factory(kind, hba=HBA)
    before = first_challenge(server, "no such user")["s"]
    server.restart()
    assert first_challenge(server, "no such user")["s"] == before


# -- deviations in the SASLInitialResponse ------------------------------------------------------------------------
def initial(raw):
    return message("p", raw)


INITIAL = {
    "mechanism without NUL": (initial(b"SCRAM-SHA-256"), fatal("08P01", "invalid string in message")),
    "empty": (initial(b""), fatal("08P01", "invalid string in message")),
    "unknown mechanism": (sasl_initial("PLAIN", b"n,,n=,r=x"),
                          fatal("08P01", "client selected an invalid SASL authentication mechanism")),
    "lower case": (sasl_initial("scram-sha-256", b"n,,n=,r=x"),
                   fatal("08P01", "client selected an invalid SASL authentication mechanism")),
    "PLUS without TLS": (sasl_initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=x"),
                         fatal("08P01", "client selected an invalid SASL authentication mechanism")),
    "unknown mechanism without length": (initial(b"PLAIN\0"), fatal(
        "08P01", "client selected an invalid SASL authentication mechanism")),
    "no length": (initial(b"SCRAM-SHA-256\0"), fatal("08P01", "insufficient data left in message")),
    "half a length": (initial(b"SCRAM-SHA-256\0\0\0"), fatal("08P01", "insufficient data left in message")),
    "length too large": (initial(b"SCRAM-SHA-256\0" + struct.pack("!i", 50) + b"n,,n=,r=x"),
                         fatal("08P01", "insufficient data left in message")),
    "length -2": (initial(b"SCRAM-SHA-256\0" + struct.pack("!i", -2) + b"n,,n=,r=x"),
                  fatal("08P01", "insufficient data left in message")),
    "bytes behind the data": (initial(b"SCRAM-SHA-256\0" + struct.pack("!i", 4) + b"n,,n=,r=x"),
                              fatal("08P01", "invalid message format")),
    "bytes behind -1": (initial(b"SCRAM-SHA-256\0" + struct.pack("!i", -1) + b"n,,n=,r=x"),
                        fatal("08P01", "invalid message format")),
    "zero-length data": (sasl_initial("SCRAM-SHA-256", b""), malformed("The message is empty.")),
    "NUL in data": (sasl_initial("SCRAM-SHA-256", b"n,,n=,r=x\0y"),
                    malformed("Message length does not match input length.")),
    "a query": (wire.query("SELECT 1"), fatal("08P01", "expected SASL response, got message type 81")),
    "a terminate": (wire.TERMINATE, fatal("08P01", "expected SASL response, got message type 88")),
    "type 0": (b"\0\0\0\0\4", fatal("08P01", "expected SASL response, got message type 0")),
    "length word 1025": (b"p" + struct.pack("!I", 1025) + bytes(1021), failed()),
    "length word 3": (b"p" + struct.pack("!I", 3), failed()),
    "length word huge": (b"p\xff\xff\xff\xff", failed()),
    "cut": (b"p" + struct.pack("!I", 100) + b"SCRAM", failed()),
}


@pytest.mark.parametrize("raw, answer", INITIAL.values(), ids=INITIAL.keys())
def test_initial_response(server, raw, answer):
    with challenged(server) as c:
        c.send(raw)
        c.half_close()
        events = c.events()
        # A reset may overtake the end where the server left bytes of ours unread.
        assert events[0] == answer and events[1:] in ([wire.EOF], [wire.RESET])


def test_longest_message(server):
    """1024 is the last length word that passes; what does not fit is the message's own fault."""
    head = b"SCRAM-SHA-256\0"
    data = b"n,,n=,r=" + b"x" * (1024 - 4 - len(head) - 4 - 8)
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", data))
        event = c.event()
        assert event[:2] == ("R", 11) and event[2].startswith(b"r=" + data[8:])


def test_initial_response_without_data(server):
    """Length -1: an empty R11, then the first message as a plain SASLResponse."""
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", None))
        assert c.event() == ("R", 11, b"")
        c.send(message("p", b"n,,n=,r=abc"))
        assert c.event()[2].startswith(b"r=abc")


def test_closing_instead_of_answering_is_silent(server):
    mark = server.log.mark()
    with challenged(server) as c:
        c.half_close()
        assert c.events() == [wire.EOF]
    assert "FATAL" not in server.log.text(mark)


# -- deviations in the client-first-message -----------------------------------------------------------------------
NO_BINDING_DATA = ("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding"
                   " data.")
UNWANTED_BINDING = ("The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes"
                    " channel binding data.")
Y_ON_TLS = fatal("28000", "SCRAM channel binding negotiation error",
                 "The client supports SCRAM channel binding but thinks the server does not.  However, this server"
                 " does support channel binding.")

FIRST = {
    # client-first-message, answer (without TLS)
    "flag z": (b"z,,n=,r=x", malformed("Unexpected channel-binding flag \"'z'\".")),
    "flag unprintable": (b"\x01,,n=,r=x", malformed('Unexpected channel-binding flag "0x01".')),
    "p without PLUS": (b"p=tls-server-end-point,,n=,r=x", malformed(UNWANTED_BINDING)),
    "no comma behind the flag": (b"nx,n=,r=x", malformed("Comma expected, but found character \"'x'\".")),
    "flag alone": (b"n", malformed('Comma expected, but found character "0x00".')),
    "authzid": (b"n,a=bob,n=,r=x", fatal("0A000", "client uses authorization identity, but it is not supported")),
    "other text for the authzid": (b"n,x,n=,r=x",
                                   malformed("Unexpected attribute \"'x'\" in client-first-message.")),
    "mandatory extension": (b"n,,m=1,n=,r=x",
                            fatal("0A000", "client requires an unsupported SCRAM extension")),
    "r before n": (b"n,,r=x,n=", malformed("Expected attribute \"n\" but found \"'r'\".")),
    "no equals sign": (b"n,,n,r=x", malformed('Expected character "=" for attribute "n".')),
    "no nonce": (b"n,,n=", None),
    "nonce attribute missing": (b"n,,n=,x=y", malformed("Expected attribute \"r\" but found \"'x'\".")),
    "space in the nonce": (b"n,,n=,r=a b", fatal("08P01", "non-printable characters in SCRAM nonce")),
    "high byte in the nonce": (b"n,,n=,r=a\x80", fatal("08P01", "non-printable characters in SCRAM nonce")),
    "delete in the nonce": (b"n,,n=,r=a\x7f", fatal("08P01", "non-printable characters in SCRAM nonce")),
    "extension's name": (b"n,,n=,r=abc,1=x", None),
    "extension without equals sign": (b"n,,n=,r=abc,x", None),
}


@pytest.mark.parametrize("first, answer", FIRST.values(), ids=FIRST.keys())
def test_client_first_message(server, request, first, answer):
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", first))
        events = c.events()
        if answer is None:
            # The words are PostgreSQL's own; the kind of failure is what the table promises.
            assert events[0][0] == "E" and events[0][1]["C"] == "08P01"
            assert events[0][1]["M"] == "malformed SCRAM message"
            assert events[0][1]["D"] == LEFT_TO_THE_JUDGE[request.node.callspec.id.split("-", 1)[1]]
        else:
            assert events[0] == answer
        assert events[1:] == [wire.EOF]


LEFT_TO_THE_JUDGE = {
    "no nonce": 'Expected attribute "r" but found "0x00".',
    "extension's name": "Attribute expected, but found invalid character \"'1'\".",
    "extension without equals sign": 'Expected character "=" for attribute "x".',
}

ACCEPTED_FIRST = {
    "y without TLS": b"y,,n=,r=abc",
    "user name ignored": b"n,,n=somebody,r=abc",
    "empty nonce": b"n,,n=,r=",
    "extensions": b"n,,n=,r=abc,x=1,y=2",
    "trailing comma": b"n,,n=,r=abc,",
}


@pytest.mark.parametrize("first", ACCEPTED_FIRST.values(), ids=ACCEPTED_FIRST.keys())
def test_accepted_client_first_message(server, first):
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", first))
        nonce = first.split(b"r=")[1].split(b",")[0]
        event = c.event()
        assert event[:2] == ("R", 11) and event[2].startswith(b"r=" + nonce)


TLS_FIRST = {
    "n with PLUS": ("SCRAM-SHA-256-PLUS", b"n,,n=,r=x", malformed(NO_BINDING_DATA)),
    "y with PLUS": ("SCRAM-SHA-256-PLUS", b"y,,n=,r=x", malformed(NO_BINDING_DATA)),
    "y on TLS": ("SCRAM-SHA-256", b"y,,n=,r=x", Y_ON_TLS),
    "p without PLUS": ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=x", malformed(UNWANTED_BINDING)),
    "tls-exporter": ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=,r=x",
                     fatal("08P01", 'unsupported SCRAM channel-binding type "tls-exporter"')),
    "tls-unique": ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=x",
                   fatal("08P01", 'unsupported SCRAM channel-binding type "tls-unique"')),
    "a long and dirty type": ("SCRAM-SHA-256-PLUS", b"p=a b\x01" + b"c" * 60 + b",,n=,r=x",
                              fatal("08P01", f'unsupported SCRAM channel-binding type "a?b?{"c" * 26}"')),
}


@pytest.mark.parametrize("mechanism, first, answer", TLS_FIRST.values(), ids=TLS_FIRST.keys())
def test_client_first_message_on_tls(server, mechanism, first, answer):
    with challenged(server, tls=True) as c:
        c.send(sasl_initial(mechanism, first))
        assert c.events() == [answer, wire.EOF]


# -- deviations in the client-final-message -----------------------------------------------------------------------
def b64(raw):
    return base64.b64encode(raw).decode()


BAD_BINDING = fatal("08P01", "unexpected SCRAM channel-binding attribute in client-final-message")
NONCE = fatal("08P01", "invalid SCRAM response", "Nonce does not match.")

FINAL = {
    # what is wrong with the message, answer
    "wrong c": ({"c": "eSws"}, BAD_BINDING),
    "empty c": ({"c": ""}, BAD_BINDING),
    "another nonce": ({"nonce": "x"}, NONCE),
    "empty nonce": ({"nonce": ""}, NONCE),
    "proof too short": ({"proof": b64(b"x" * 31)}, malformed("Malformed proof in client-final-message.")),
    "proof too long": ({"proof": b64(b"x" * 33)}, malformed("Malformed proof in client-final-message.")),
    "proof empty": ({"proof": ""}, malformed("Malformed proof in client-final-message.")),
    "proof no base64": ({"proof": "!" * 44}, malformed("Malformed proof in client-final-message.")),
    "proof wrong": ({"proof": b64(b"x" * 32)}, failed()),
    "proof unpadded": ({"proof": b64(b"x" * 32).rstrip("=")},
                       malformed("Malformed proof in client-final-message.")),
    "extension's name": ({"extensions": ",1=x"},
                         malformed("Attribute expected, but found invalid character \"'1'\".")),
    "extension without equals sign": ({"extensions": ",x"},
                                      malformed('Expected character "=" for attribute "x".')),
    "wrong c before wrong nonce": ({"c": "eSws", "nonce": "x"}, BAD_BINDING),
    "malformed proof before wrong nonce": ({"proof": "x", "nonce": "x"},
                                           malformed("Malformed proof in client-final-message.")),
    "wrong nonce before wrong proof": ({"proof": b64(b"x" * 32), "nonce": "x"}, NONCE),
}


@pytest.mark.parametrize("wrong, answer", FINAL.values(), ids=FINAL.keys())
def test_client_final_message(server, wrong, answer):
    with challenged(server) as c:
        assert c.sasl(ALICE, **wrong) == [answer, wire.EOF]


RAW_FINAL = {
    "r before c": ("r={r},c=biws,p={p}", malformed("Expected attribute \"c\" but found \"'r'\".")),
    "no proof": ("c=biws,r={r}", malformed("Attribute expected, but found end of string.")),
    "c without equals sign": ("c,r={r},p={p}", malformed('Expected character "=" for attribute "c".')),
    "empty": ("", malformed("The message is empty.")),
    "garbage behind the proof": ("c=biws,r={r},p={p},x=1",
                                 malformed("Garbage found at the end of client-final-message.")),
    "NUL": ("c=biws,r={r},p={p}\0", malformed("Message length does not match input length.")),
}


@pytest.mark.parametrize("text, answer", RAW_FINAL.values(), ids=RAW_FINAL.keys())
def test_raw_client_final_message(server, text, answer):
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
        r = c.event()[2].decode().split(",")[0][2:]
        c.send(message("p", text.format(r=r, p=b64(b"x" * 32)).encode()))
        assert c.events() == [answer, wire.EOF]


ACCEPTED_FINAL = {"extensions": {"extensions": ",x=1,y=2"}}


@pytest.mark.parametrize("more", ACCEPTED_FINAL.values(), ids=ACCEPTED_FINAL.keys())
def test_accepted_client_final_message(server, more):
    with challenged(server) as c:
        assert c.sasl(ALICE, **more)[-1] == ("Z", "I")


def test_lone_comma_behind_the_proof(server):
    with challenged(server) as c:
        exchange = scram.Exchange(ALICE)
        c.send(sasl_initial("SCRAM-SHA-256", exchange.first()))
        exchange.read_server_first(c.event()[2])
        c.send(message("p", exchange.final() + b","))
        assert c.dialogue()[-1] == ("Z", "I")


def test_y_without_tls_is_bound_to_its_header(server):
    with challenged(server) as c:
        assert c.sasl(ALICE, gs2="y,,")[-1] == ("Z", "I")
    with challenged(server) as c:
        assert c.sasl(ALICE, gs2="y,,", c="biws") == [BAD_BINDING, wire.EOF]


def test_sasl_response_of_another_type(server):
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
        c.event()
        c.send(wire.SYNC)
        assert c.events() == [fatal("08P01", "expected SASL response, got message type 83"), wire.EOF]


# -- channel binding ----------------------------------------------------------------------------------------------
def test_plus_with_an_rsa_certificate(rsa_server):
    with challenged(rsa_server, tls=True) as c:
        assert c.sasl(ALICE, plus=True)[-1] == ("Z", "I")


BINDINGS = {
    "another hash": lambda c: b"x" * 32,
    "short hash": lambda c: c.certificate_hash()[:31],
    "no hash": lambda c: b"",
}


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=BINDINGS.keys())
def test_plus_with_a_wrong_binding(server, binding):
    with challenged(server, tls=True) as c:
        raw = b"p=tls-server-end-point,," + binding(c)
        assert c.sasl(ALICE, plus=True, c=b64(raw)) == [
            fatal("28000", "SCRAM channel binding check failed"), wire.EOF]


def test_plus_with_the_wrong_password(server):
    with challenged(server, tls=True) as c:
        assert c.sasl("wrong", plus=True) == [failed(), wire.EOF]


def test_wrong_binding_comes_before_wrong_password(server):
    with challenged(server, tls=True) as c:
        assert c.sasl("wrong", plus=True, c=b64(b"p=tls-server-end-point,,")) == [
            fatal("28000", "SCRAM channel binding check failed"), wire.EOF]


def test_ed25519_certificate_has_no_binding(server_factory, kind, certs):
    """RFC 5929 knows no hash for it; PostgreSQL offers PLUS and fails when it is used."""
    foreign = type(certs.ca)("Ed25519 CA", key="ed25519")
    server = server_factory(kind, hba=HBA, tls={"cert": foreign.issue("db", usage="server", key="ed25519")})
    with challenged(server, tls=True) as c:
        events = c.sasl(ALICE, plus=True)
        assert events[0] == fatal("XX000", "could not find digest for NID UNDEF") and events[1:] == [wire.EOF]
    with challenged(server, tls=True) as c:
        assert c.sasl(ALICE)[-1] == ("Z", "I")


def set_secret(server, secret):
    """Make `secret` alice's."""
    if server.is_gate:
        server.write("userlist.txt", userlist({"alice": secret}), 0o600)
        server.restart()
    else:
        with server.admin() as db:
            db.execute(f"ALTER ROLE alice PASSWORD '{secret}'")


@pytest.fixture(scope="module")
def changeable(kind, server_factory):
    """A server whose alice gets another secret in each test."""
    return server_factory(kind, hba=HBA)


def test_secret_with_other_iterations_and_salt(changeable):
    """What a secret says is what the exchange uses."""
    set_secret(changeable, scram.secret("odd", b"a salt of twenty-six bytes", 1000))
    assert first_challenge(changeable, "alice")["i"] == "1000"
    with challenged(changeable) as c:
        assert c.sasl("odd")[-1] == ("Z", "I")


@pytest.mark.parametrize("text", ["p\u00e4ssw\u00f6rd", "\u2168 \u00aa", "a\u00adb", "\u00a0x"])
def test_passwords_that_saslprep_changes(changeable, text):
    """libpq prepares the password before it uses it; the server only sees keys."""
    prepared = unicodedata.normalize("NFKC", text.replace("\u00a0", " ").replace("\u00ad", ""))
    set_secret(changeable, scram.secret(prepared))
    out = subprocess.run(["psql", "-XAt", f"host=127.0.0.1 port={changeable.port} user=alice dbname=app", "-c",
                          "SELECT 'in'"], env={"PGPASSWORD": text, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                         capture_output=True, text=True, check=False)
    assert out.stdout == "in\n", out.stderr


def seconds_to_refuse(gate, user):
    with Conn(gate) as c:
        c.send(startup(user))
        assert c.event() == ("R", 3, b"")
        began = time.perf_counter()
        c.send(wire.password("wrong"))
        assert c.event() == failed(user)
        return time.perf_counter() - began


def many_iterations(make_gate):
    iterations = 300_000
    gate = make_gate(hba="host all all 127.0.0.1/32 password\n", settings={"scram_iterations": str(iterations)})
    gate.write("userlist.txt", userlist({"alice": scram.secret(ALICE, iterations=iterations)}), 0o600)
    gate.reload()
    return gate


def test_the_answer_does_not_tell_who_exists(make_gate):
    gate = many_iterations(make_gate)
    for user in ("alice", "nobody"):
        seconds_to_refuse(gate, user)


@pytest.mark.clock
def test_the_clock_does_not_tell_who_exists(make_gate):
    """Under `password` too: who is not there waits for as many iterations as who is."""
    gate, rounds = many_iterations(make_gate), 5
    seconds = [[seconds_to_refuse(gate, user) for user in ("alice", "nobody")] for _ in range(rounds)]
    known, unknown = (min(taken) for taken in zip(*seconds))
    assert unknown > known / 4, seconds
