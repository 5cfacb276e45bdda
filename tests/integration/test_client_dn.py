"""
clientname=DN: the distinguished name in the form in which PostgreSQL compares it, with everything that RFC 2253
escapes. The same certificates and the same map go to PostgreSQL and to the gate; OpenSSL's command line says what the
name is.
"""

import re
import subprocess

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from lib import wire
from lib.wire import Conn, fatal, startup

HBA = "hostssl app all 127.0.0.1/32 cert clientname=DN map=dn\n"
UNKNOWN_OID = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")


def rdn(*attributes):
    return x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in attributes])


def typed(oid, value, kind):
    return x509.RelativeDistinguishedName([x509.NameAttribute(oid, value, _type=kind)])


CN, O, OU, DC = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.DOMAIN_COMPONENT

NAMES = {
    "plain": [rdn((O, "Acme")), rdn((CN, "alice"))],
    "comma": [rdn((O, "Acme, Inc")), rdn((CN, "alice"))],
    "plus": [rdn((O, "A+B")), rdn((CN, "alice"))],
    "quote": [rdn((O, 'the "best"')), rdn((CN, "alice"))],
    "backslash": [rdn((O, "a\\b")), rdn((CN, "alice"))],
    "angles and semicolon": [rdn((O, "<a;b>")), rdn((CN, "alice"))],
    "equals": [rdn((O, "a=b")), rdn((CN, "x=alice"))],
    "leading hash": [rdn((O, "#1 shop")), rdn((CN, "alice"))],
    "hash inside": [rdn((O, "shop #1")), rdn((CN, "alice"))],
    "blanks at both ends": [rdn((O, " Acme ")), rdn((CN, "alice"))],
    "one blank": [rdn((O, " ")), rdn((CN, "alice"))],
    "slash first": [rdn((CN, "alice")), rdn((O, "/etc"))],
    "umlaut": [rdn((O, "Jürgen GmbH")), rdn((CN, "alice"))],
    "beyond the bmp": [rdn((O, "🐘")), rdn((CN, "alice"))],
    "control bytes": [rdn((O, "a\tb\x7fc")), rdn((CN, "alice"))],
    "bmpstring": [typed(O, "Größe", _ASN1Type.BMPString), rdn((CN, "alice"))],
    "printablestring": [typed(O, "Acme", _ASN1Type.PrintableString), rdn((CN, "alice"))],
    "ia5string": [rdn((DC, "example")), rdn((DC, "shop")), rdn((CN, "alice"))],
    "two values in one": [rdn((O, "Acme")), rdn((CN, "alice"), (OU, "ops"))],
    "three values in one": [rdn((CN, "alice"), (OU, "a+b"), (O, "c,d"))],
    "email": [rdn((NameOID.EMAIL_ADDRESS, "alice@example.org")), rdn((CN, "alice"))],
    "user id": [rdn((NameOID.USER_ID, "alice"))],
    "unknown attribute": [rdn((UNKNOWN_OID, "here")), rdn((CN, "alice"))],
    "long": [rdn((O, "x" * 64)), *[rdn((OU, f"unit {i}" + "y" * 50)) for i in range(20)], rdn((CN, "alice"))],
    "no cn": [rdn((O, "Acme")), rdn((OU, "ops"))],
}


def certificate(certs, name):
    return certs.client("dn-" + name.replace(" ", "-"), certs.ca.issue(x509.Name(NAMES[name])))


def rfc2253(crt):
    out = subprocess.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", crt],
                         capture_output=True, text=True, check=True).stdout
    return out.removeprefix("subject=").rstrip("\n")


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def files(certs):
    return {name: certificate(certs, name) for name in NAMES}


@pytest.fixture(scope="module")
def server(kind, server_factory, certs, files):
    """One map for all: each certificate's name is alice; the first CN, or the name in slash form, is nobody."""
    lines = [f"dn {quoted(rfc2253(crt))} alice\n" for crt, _ in files.values()]
    return server_factory(kind, hba=HBA, ident="".join(lines), tls={"cert": certs.server, "ca": certs.ca.pem()},
                          settings={"log_connections": "on"})


def login(server, cert, user="alice"):
    with Conn(server) as c:
        c.start_tls(wire.client_context(cert=cert))
        c.send(startup(user))
        return c.dialogue()


@pytest.mark.parametrize("name", NAMES, ids=NAMES.keys())
def test_the_same_name_as_openssl(server, files, name):
    since = server.log.mark()
    got = login(server, files[name])
    assert ("R", 0, b"") in got, got
    identity = rfc2253(files[name][0])
    if server.is_gate:
        server.log.wait_for("event=connection_authenticated", since)
        line = next(l for l in server.log.text(since).splitlines() if "connection_authenticated" in l)
        shown = re.search(r' identity=("(?:[^"\\]|\\.)*"|\S+)', line).group(1)
        if shown.startswith('"'):
            shown = re.sub(r"\\(.)", r"\1", shown[1:-1])
        assert shown == identity
    elif server.major >= 14:
        server.log.wait_for("connection authenticated", since)
        assert f'identity="{identity}" method=cert' in server.log.text(since)


@pytest.mark.parametrize("name", ["plain", "comma", "two values in one", "user id"])
def test_nobody_else(server, files, name):
    assert login(server, files[name], "bob") == [
        fatal("28000", 'certificate authentication failed for user "bob"'), wire.EOF]


@pytest.mark.parametrize("line", ["alice", "CN=alice", "/^CN=alice$"], ids=["cn", "a part", "anchored regex"])
def test_what_a_map_line_is_compared_with(kind, server_factory, certs, files, line):
    """Only the second line fits: it is searched in the same RFC 2253 text, where the CN comes first."""
    server = server_factory(kind, hba=HBA, ident=f'dn {quoted(line)} alice\ndn "/^CN=alice,O=A(.*)$" alice\n',
                            tls={"cert": certs.server, "ca": certs.ca.pem()})
    assert ("R", 0, b"") in login(server, files["comma"])
    assert ("R", 0, b"") in login(server, files["plain"])
    assert ("R", 0, b"") not in login(server, files["user id"])
    assert ("R", 0, b"") not in login(server, files["two values in one"])
