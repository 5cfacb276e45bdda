"""
The client's half against libpq of PostgreSQL 18, word for word: what follows which failure in each sslmode, and
which certificate is for which host. `pgseal probe` speaks for src/client; scripted servers take PostgreSQL's place.
"""

import datetime
import ipaddress
import os
import ssl

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lib import libpq, pki, psql
from lib.strange_server import SSL_REQUEST, StrangeServer, error, read_packet
from test_probe import SSLMODES, run_probe

OK = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
CLEARTEXT = b"R\0\0\0\x08\0\0\0\x03"


@pytest.fixture(scope="module")
def library(distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18's libpq is not installed")
    return os.path.join(os.path.dirname(distributions["pg18"].bindir), "lib", "libpq.so.5")


class Script:
    """A server by its answers: to SSLRequest, to a StartupMessage in plaintext, to one over TLS."""

    def __init__(self, context, request, plain, sealed):
        self.context, self.request, self.plain, self.sealed = context, request, plain, sealed
        self.server = StrangeServer(self.serve)
        self.port = self.server.port

    def serve(self, client):
        packet = read_packet(client)
        if packet == SSL_REQUEST:
            client.sendall(self.request)
            if self.request.startswith(b"S"):
                with self.context.wrap_socket(client, server_side=True) as sealed:
                    read_packet(sealed)
                    sealed.sendall(self.sealed)
                    sealed.recv(1)
                return
            if self.request != b"N":
                client.recv(1)
                return
            packet = read_packet(client)
        if packet:
            client.sendall(self.plain)
            client.recv(1)


@pytest.fixture
def script(certs):
    made = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certs.server.write(certs.dir, "script"))

    def make(*answers):
        made.append(Script(context, *answers))
        return made[-1].port

    yield make
    for one in made:
        one.server.listener.close()


REFUSED = error("28000", "not you")
BUSY = error("57P03", "starting")
SCRIPTS = {
    "all well": (b"S", OK, OK),
    "no tls": (b"N", OK, OK),
    "no tls, refused": (b"N", REFUSED, OK),
    "no tls, busy": (b"N", BUSY, OK),
    "refused over tls": (b"S", OK, REFUSED),
    "refused in plaintext": (b"S", REFUSED, OK),
    "refused both ways": (b"S", error("28000", "plain"), error("28P01", "sealed")),
    "busy over tls": (b"S", OK, BUSY),
    "busy in plaintext": (b"S", BUSY, OK),
    "error instead of an answer": (REFUSED, OK, OK),
    "another byte": (b"?", OK, OK),
    "more than the answer": (b"S" + OK, OK, OK),
    "no PostgreSQL": (b"H", b"HTTP/1.0 400\r\n\r\n", OK),
    "no PostgreSQL behind TLS": (b"S", OK, b"HTTP/1.0 400\r\n\r\n"),
    "no PostgreSQL, no TLS": (b"N", b"HTTP/1.0 400\r\n\r\n", OK),
    "refused after ok": (b"S", b"R\0\0\0\x08\0\0\0\0" + REFUSED, b"R\0\0\0\x08\0\0\0\0" + REFUSED),
    "unknown method": (b"S", b"R\0\0\0\x08\0\0\0\x63", b"R\0\0\0\x08\0\0\0\x63"),
    "gss": (b"S", b"R\0\0\0\x08\0\0\0\x07", OK),
    "request too long": (b"S", b"R\0\0\x10\0\0\0\0\0", OK),
    "v2 error": (b"S", b"EFATAL:  sorry\n\0", b"EFATAL:  sorry\n\0"),
    "unknown mechanism": (b"S", b"R\0\0\0\x10\0\0\0\x0aGIBBER\0\0", OK),
    "downgrade nobody asked for": (b"S", b"v\0\0\0\x0c\0\3\0\0\0\0\0\0" + OK, OK),
    "key too long for 3.0": (b"S", b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0d\0\0\0\1abcde" + b"Z\0\0\0\x05I", OK),
}


def compare(program, library, port, host="localhost", root=None, password=None):
    argv = ["--rootcert", root] if root else []
    if password:
        argv.append("--send-password")
    seen = run_probe(program, f"{host}:{port}", "--quick", *argv, password=password)["sslmodes"]
    wanted = [psql.conninfo(host=host, hostaddr="127.0.0.1", port=port, user="alice", dbname="app", sslmode=mode,
                            sslrootcert=root) for mode in SSLMODES]
    for verdict, judged in zip(seen, libpq.judge(library, wanted, password)):
        if judged["error"]:     # the npm libpq has OpenSSL 1.1, which has no word of its own for this
            judged["error"] = judged["error"].replace("SSL SYSCALL error: EOF detected",
                                                      "SSL error: unexpected eof while reading")
        assert {k: verdict[k] for k in judged} == judged, verdict["sslmode"]
    return seen


@pytest.mark.parametrize("name", SCRIPTS)
def test_sequences(program, library, certs, script, name):
    compare(program, library, script(*SCRIPTS[name]), root=certs.ca_file)


# libpq notices bytes behind the `S` only after the handshake; we end before the missing root is looked for.
@pytest.mark.parametrize("name", [n for n in SCRIPTS if n != "more than the answer"])
def test_sequences_without_a_root(program, library, script, name):
    compare(program, library, script(*SCRIPTS[name]))


def test_password_is_sent_when_told_to(program, library, script):
    asks = script(b"S", CLEARTEXT, CLEARTEXT)       # and then waits for a byte and closes
    for verdict in compare(program, library, asks, password="secret"):
        assert not verdict["connects"]


# ---- host names ---------------------------------------------------------------------------------------------------

def dns(*names):
    return [x509.DNSName(n) for n in names]


def ip(*addresses):
    return [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]


URI = x509.UniformResourceIdentifier("https://db.example")
MAIL = x509.RFC822Name("x@db.example")
NAMES = [
    # common name, subjectAltNames, host
    ("x", dns("db.example"), "db.example"),
    ("x", dns("db.example"), "DB.Example"),
    ("x", dns("DB.EXAMPLE"), "db.example"),
    ("x", dns("db.example"), "db.example."),
    ("x", dns("db.example."), "db.example"),
    ("x", dns("a", "b", "c"), "db.example"),
    ("x", dns("a", "b"), "db.example"),
    ("x", dns("a"), "db.example"),
    ("db.example", dns("a"), "db.example"),
    ("db.example", [URI], "db.example"),
    ("db.example", [MAIL], "db.example"),
    ("db.example", ip("127.0.0.1"), "db.example"),
    ("db.example", [], "db.example"),
    ("other", [], "db.example"),
    (None, [], "db.example"),
    (None, [URI], "db.example"),
    ("*.example", [], "db.example"),
    ("x", dns("*.example"), "db.example"),
    ("x", dns("*.example"), "a.db.example"),
    ("x", dns("*.example"), "example"),
    ("x", dns("*.example"), ".example"),
    ("x", dns("d*.example"), "db.example"),
    ("x", dns("*b.example"), "db.example"),
    ("x", dns("db.*"), "db.example"),
    ("x", dns("*"), "localhost"),
    ("x", dns("*."), "localhost."),
    ("x", dns("*.*.example"), "a.b.example"),
    ("x", ip("127.0.0.1"), "127.0.0.1"),
    ("x", ip("127.0.0.1"), "127.1"),
    ("x", ip("127.0.0.1"), "0x7f.1"),
    ("x", ip("127.0.0.2"), "127.0.0.1"),
    ("x", ip("::1"), "::1"),
    ("x", ip("::1"), "0:0:0:0:0:0:0:1"),
    ("x", ip("2001:db8::1"), "::1"),
    ("x", ip("127.0.0.1", "::1") + dns("a"), "127.0.0.3"),
    ("x", dns("127.0.0.1"), "127.0.0.1"),
    ("127.0.0.1", dns("a"), "127.0.0.1"),
    ("127.0.0.1", ip("127.0.0.2"), "127.0.0.1"),
    ("127.0.0.1", [], "127.0.0.1"),
    ("127.0.0.1", [], "127.1"),
    ("db.example", [x509.DNSName._init_without_validation("db.example\0.evil")] if hasattr(
        x509.DNSName, "_init_without_validation") else dns("db.example\0.evil"), "db.example"),
    ("db.example\0.evil", [], "db.example"),
]


def certificate(ca, common_name, sans):
    key = pki.new_key()
    subject = pki.name(("CN", common_name)) if common_name else pki.name(("O", "nobody"))
    day = datetime.timedelta(days=1)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(ca.cert.subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(pki.now() - day).not_valid_after(pki.now() + 30 * day))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return pki.Cert(builder.sign(ca.key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def named(certs):
    """A server whose certificate can be changed; trust over TLS, nothing else."""
    state = {}

    def serve(client):
        if read_packet(client) != SSL_REQUEST:
            return
        client.sendall(b"S")
        with state["context"].wrap_socket(client, server_side=True) as sealed:
            read_packet(sealed)
            sealed.sendall(OK)
            sealed.recv(1)

    server = StrangeServer(serve)

    def use(cert):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cert.write(certs.dir, "named"))
        state["context"] = context
        return server.port

    yield use
    server.listener.close()


@pytest.mark.parametrize("common_name, sans, host", NAMES)
def test_host_names(program, library, certs, named, common_name, sans, host):
    port = named(certificate(certs.ca, common_name, sans))
    bracketed = f"[{host}]" if ":" in host else host
    seen = run_probe(program, f"{bracketed}:{port}", "--quick", "--rootcert", certs.ca_file)["sslmodes"][5]
    judged = libpq.judge(library, [psql.conninfo(host=host, hostaddr="127.0.0.1", port=port, user="alice",
                                                 dbname="app", sslmode="verify-full", sslrootcert=certs.ca_file)])[0]
    assert {k: seen[k] for k in judged} == judged
