"""
Failures a person can read: each refused connection leaves one line that names the likely cause and the next
command. The failure modes are those people meet with PostgreSQL and TLS, made by the real psql where it can.
"""

import datetime
import socket
import ssl

import pytest

from lib import pki, psql, wire
from lib.pki import DAY
from lib.wire import Conn, startup

HBA = """hostssl app alice 127.0.0.1/32 trust
hostssl app bob   127.0.0.1/32 cert
hostssl app carol 127.0.0.1/32 cert map=names
"""
IDENT = "names alice@example carol\n"


@pytest.fixture(scope="module")
def gate(factory, certs):
    gate = factory.gate(hba=HBA, ident=IDENT,
                        tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl([REVOKED(certs)])})
    yield gate
    factory.stop(gate)


_made = {}


def REVOKED(certs):
    if "revoked" not in _made:
        _made["revoked"] = certs.ca.issue("bob")
    return _made["revoked"]


def fails(gate, **options):
    """psql must fail; returns its error lines and a reader of what was logged."""
    since = gate.log.mark()
    options.setdefault("hostaddr", gate.host)
    options.setdefault("host", "localhost")
    process = psql.run(gate, **options)
    assert process.returncode != 0, process.stdout
    return psql.errors(process), since


def line(gate, since, cause, then=()):
    """The one line with a cause, or the first of them, if others follow; its text without the quoting."""
    for word in (cause, *then):
        gate.log.wait_for(f"cause={word} .*\n", since)
    found = [x for x in gate.words(since).splitlines() if " cause=" in x]
    assert len(found) == 1 + len(then), found
    assert f"cause={cause} likely=" in found[0] and " next=" in found[0] and " client=127.0.0.1:" in found[0]
    return found[0]


# -- the server's certificate, seen by its clients ----------------------------------------------------------------
def test_client_with_another_ca_file(gate, certs):
    errors, since = fails(gate, sslmode="verify-ca", sslrootcert=certs.foreign_file)
    assert "certificate verify failed" in errors[0]
    logged = line(gate, since, "unknown_ca")
    assert "alert_received=unknown_ca" in logged and "offered=TLSv1.2-TLSv1.3" in logged
    assert "sni=localhost" in logged and "sslrootcert" in logged
    assert "tlsv1 alert unknown ca" in logged


def test_host_name_mismatch(gate, certs):
    errors, since = fails(gate, host="wrong.example", sslmode="verify-full", sslrootcert=certs.ca_file)
    assert 'does not match host name "wrong.example"' in " ".join(errors)
    logged = line(gate, since, "name_mismatch")
    assert "event=tls_left" in logged and "sni=wrong.example" in logged and "pgseal cert renew" in logged


def test_client_that_only_looks(gate):
    since = gate.log.mark()
    with Conn(gate) as c:
        c.start_tls(host="localhost")
    assert "event=tls_left" in line(gate, since, "client_left")


def test_server_certificate_expired(factory, certs):
    old = certs.ca.issue("localhost", sans=["localhost"], usage="server", valid_from=pki.now() - 9 * DAY,
                         valid_to=pki.now() - DAY)
    gate = factory.gate(hba=HBA, tls={"cert": old})
    try:
        errors, since = fails(gate, sslmode="verify-full", sslrootcert=certs.ca_file)
        assert "certificate verify failed" in errors[0]
        assert "alert_received=certificate_expired" in line(gate, since, "server_certificate_expired")
    finally:
        factory.stop(gate)


# -- versions and ciphers -----------------------------------------------------------------------------------------
def test_client_too_old(factory, certs):
    gate = factory.gate(hba=HBA, tls={"cert": certs.server}, settings={"ssl_min_protocol_version": "TLSv1.3"})
    try:
        errors, since = fails(gate, sslmode="require", ssl_max_protocol_version="TLSv1.2")
        assert "tlsv1 alert protocol version" in errors[0]
        logged = line(gate, since, "client_too_old")
        assert "offered=TLSv1.2" in logged and "alert_sent=protocol_version" in logged
        assert "ssl_min_protocol_version" in logged
    finally:
        factory.stop(gate)


def test_maximum_locks_modern_clients_out(factory, certs):
    gate = factory.gate(hba=HBA, tls={"cert": certs.server}, settings={"ssl_max_protocol_version": "TLSv1.2"})
    try:
        errors, since = fails(gate, sslmode="require", ssl_min_protocol_version="TLSv1.3")
        assert "tlsv1 alert protocol version" in errors[0]
        logged = line(gate, since, "client_too_new")
        assert "offered=TLSv1.3" in logged and "ssl_max_protocol_version" in logged
    finally:
        factory.stop(gate)


def test_no_common_cipher(gate):
    context = wire.client_context(maximum=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")      # the server's key is ECDSA
    since = gate.log.mark()
    with Conn(gate) as c, pytest.raises(wire.Closed):
        c.start_tls(context)
    assert "alert_sent=handshake_failure" in line(gate, since, "no_cipher")


def test_not_tls_at_all(gate):
    since = gate.log.mark()
    with Conn(gate) as c:
        c.raw_send(wire.SSL_REQUEST)
        assert c.raw_exactly(1) == b"S"
        c.raw_send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        c.raw_rest()
    line(gate, since, "not_tls")


def test_client_hangs_up_in_the_middle(gate):
    since = gate.log.mark()
    with Conn(gate) as c:
        c.raw_send(wire.SSL_REQUEST)
        assert c.raw_exactly(1) == b"S"
        c.sock.shutdown(socket.SHUT_WR)
        c.raw_rest()
    line(gate, since, "client_gone")


def test_another_alpn(gate):
    since = gate.log.mark()
    with Conn(gate) as c, pytest.raises(wire.Closed):
        c.start_tls(wire.client_context(alpn=("http/1.1",)))
    line(gate, since, "no_alpn")


# -- the client's certificate -------------------------------------------------------------------------------------
def show(certs, stem, cert):
    crt, key = certs.client(stem, cert)
    return {"sslmode": "require", "sslcert": crt, "sslkey": key, "user": "bob"}


def test_no_certificate_sent(gate):
    errors, since = fails(gate, sslmode="require", sslcert="/nonexistent", user="bob")
    assert errors == ["FATAL:  connection requires a valid client certificate"]
    logged = line(gate, since, "client_certificate_missing")
    assert "event=refused" in logged and "user=bob" in logged and "rule_line=2" in logged


CERTIFICATES = {
    "unknown CA": (lambda c: c.foreign.issue("bob"), "client_certificate_unknown_ca", "unknown_ca"),
    "expired": (lambda c: c.ca.issue("bob", valid_from=pki.now() - 9 * DAY, valid_to=pki.now() - DAY),
                "client_certificate_expired", "certificate_expired"),
    "not yet valid": (lambda c: c.ca.issue("bob", valid_from=pki.now() + DAY), "client_certificate_not_yet_valid",
                      "bad_certificate"),
    "revoked": (REVOKED, "client_certificate_revoked", "certificate_revoked"),
    "wrong use": (lambda c: c.ca.issue("bob", usage="server"), "client_certificate_usage",
                  "unsupported_certificate"),
}


@pytest.mark.parametrize("make, cause, alert", CERTIFICATES.values(), ids=CERTIFICATES.keys())
def test_client_certificates_are_told_apart(gate, certs, make, cause, alert):
    _, since = fails(gate, **show(certs, f"failure-{cause}", make(certs)))
    logged = line(gate, since, cause)
    assert f"alert_sent={alert}" in logged and "Client certificate verification failed at depth 0" in logged


def test_map_gave_another_user(gate, certs):
    options = show(certs, "failure-map", certs.ca.issue("alice@example"))
    errors, since = fails(gate, **options)
    assert errors == ['FATAL:  certificate authentication failed for user "bob"']
    logged = line(gate, since, "map_gave_another_user")
    assert "user=bob" in logged and "rule_line=2" in logged
    options["user"] = "carol"
    assert psql.run(gate, hostaddr=gate.host, **options).returncode == 0


def test_stale_revocation_list(factory, certs):
    gate = factory.gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl(
        last_update=pki.now() - 9 * DAY, next_update=pki.now() - datetime.timedelta(hours=1))})
    try:
        gate.log.wait_for("every client certificate of that CA is refused")
        _, since = fails(gate, **show(certs, "failure-stale", certs.ca.issue("bob")))
        line(gate, since, "crl_expired")
    finally:
        factory.stop(gate)


# -- no TLS at all ------------------------------------------------------------------------------------------------
def test_prefer_that_falls_back_to_plaintext_is_seen(gate, certs):
    """A client at `prefer` whose certificate is refused tries without TLS: both lines are there."""
    options = show(certs, "failure-prefer", certs.foreign.issue("bob"))
    options.update(sslmode="prefer", ssl_max_protocol_version="TLSv1.2")    # with 1.3 psql gives up at once
    errors, since = fails(gate, **options)
    assert any('no pg_hba.conf entry for host "127.0.0.1", user "bob", database "app", no encryption' in x
               for x in errors)
    line(gate, since, "client_certificate_unknown_ca", then=["no_encryption"])
    gate.log.wait_for("event=refused .*no encryption", since)


def test_plaintext_is_refused_with_the_rule_in_words(gate):
    errors, since = fails(gate, sslmode="disable")
    assert "no encryption" in errors[0]
    assert "sslmode=verify-full" in line(gate, since, "no_encryption")


def test_key_with_loose_permissions(factory, certs):
    gate = factory.gate(start=False, hba=HBA, tls={"cert": certs.server})
    try:
        gate.write("server.key", certs.server.key_pem(), 0o644)
        _, logged = gate.refuses_to_start()
        assert f'private key file "{gate.path("server.key")}" has group or world access' in logged
        assert "File must have permissions u=rw (0600) or less" in logged
    finally:
        factory.stop(gate)


def test_a_good_connection_has_no_cause(gate):
    since = gate.log.mark()
    with Conn(gate) as c:
        c.start_tls(host="localhost")
        c.send(startup())
        c.dialogue()
    gate.log.wait_for("event=disconnection", since)
    assert " cause=" not in gate.log.text(since)
