"""
Client certificates: which pass, which end the handshake with which alert, and what the rules make of their names.

The databases of the rules need not exist: authentication is over (`R` 0) before PostgreSQL looks for one.
"""

import os
import ssl
import subprocess

import pytest

from lib import pki, psql, wire
from lib.pg import PASSWORDS
from lib.wire import Conn, fatal, startup

HBA = """\
hostssl app       all 127.0.0.1/32 cert
hostssl bycert    all 127.0.0.1/32 cert
hostssl mapped    all 127.0.0.1/32 cert map=corp
hostssl bydn      all 127.0.0.1/32 cert clientname=DN map=dn
hostssl scramca   all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
hostssl scramfull all 127.0.0.1/32 scram-sha-256 clientcert=verify-full
hostssl trustca   all 127.0.0.1/32 trust clientcert=verify-ca
hostssl trustfull all 127.0.0.1/32 trust clientcert=verify-full
hostssl rejected  all 127.0.0.1/32 reject clientcert=verify-ca
hostssl open      all 127.0.0.1/32 trust
"""

IDENT = """\
corp  /^(.*)@corp\\.example$  \\1
corp  "exact name"           bob
dn    "CN=alice,OU=ops,O=Acme\\, Inc"  alice
"""

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Clients:
    """Certificates of every kind, as (certificate file, key file)."""

    def __init__(self, certs):
        ca, day, now = certs.ca, pki.DAY, pki.now()
        issue = ca.issue
        self.intermediate = ca.intermediate()
        revoked = issue("alice")
        below = self.intermediate.issue("alice")
        made = {
            "alice": issue("alice"),
            "bob": issue("bob"),
            "mapped": issue("bob@corp.example"),
            "exact": issue("exact name"),
            "suffix": issue("bob@corp.example.evil"),
            "dn": issue(pki.name(("O", "Acme, Inc"), ("OU", "ops"), ("CN", "alice"))),
            "dn other order": issue(pki.name(("CN", "alice"), ("OU", "ops"), ("O", "Acme, Inc"))),
            "two names": issue(pki.name(("CN", "alice"), ("CN", "bob"))),
            "no cn": issue(pki.name(("O", "Acme"))),
            "capitals": issue("Alice"),
            "alice by san": issue("somebody", sans=["alice"]),
            "expired": issue("alice", valid_from=now - 9 * day, valid_to=now - day),
            "not yet": issue("alice", valid_from=now + day, valid_to=now + 9 * day),
            "revoked": revoked,
            "foreign": certs.foreign.issue("alice"),
            "same ca name": pki.Authority("pgseal test CA").issue("alice"),
            "server usage": issue("alice", usage="server"),
            "below": below,
            "below without chain": pki.Cert(below.cert, below.key),
        }
        self.files = {name: certs.client(name.replace(" ", "-"), cert) for name, cert in made.items()}
        self.crl = ca.crl([revoked]) + self.intermediate.crl()

    def __getitem__(self, name):
        return self.files[name]


@pytest.fixture(scope="module")
def clients(certs):
    return Clients(certs)


@pytest.fixture(scope="module")
def server(kind, server_factory, certs, clients):
    return server_factory(kind, hba=HBA, ident=IDENT,
                          tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": clients.crl})


@pytest.fixture(scope="module")
def server_without_ca(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, ident=IDENT, tls={"cert": certs.server})


def events(server, cert, database, user="alice", secret=None, version=None):
    """All that happens from the startup on with a client certificate."""
    context = wire.client_context(cert=cert, minimum=version, maximum=version)
    with Conn(server) as c:
        c.start_tls(context)
        if secret:
            return c.login(secret, user, database)
        c.send(startup(user, database))
        return c.dialogue()


def authenticated(events_):
    return ("R", 0, b"") in events_



NEEDS_CERTIFICATE = fatal("28000", "connection requires a valid client certificate")


# -- names and rules ----------------------------------------------------------------------------------------------
def cert_failed(user="alice"):
    return fatal("28000", f'certificate authentication failed for user "{user}"')


def trust_failed(user="alice"):
    return fatal("28000", f'"trust" authentication failed for user "{user}"')


RULES = {
    # database, certificate, user: None where it passes, else the error
    "cert": ("bycert", "alice", "alice", None),
    "cert of another": ("bycert", "bob", "alice", cert_failed()),
    "cert in capitals": ("bycert", "capitals", "alice", cert_failed()),
    "the first cn counts": ("bycert", "two names", "alice", None),
    "not the second cn": ("bycert", "two names", "bob", cert_failed("bob")),
    "no cn": ("bycert", "no cn", "alice", cert_failed()),
    "san is no name": ("bycert", "alice by san", "alice", cert_failed()),
    "by an intermediate": ("bycert", "below", "alice", None),
    "mapped by \\1": ("mapped", "mapped", "bob", None),
    "mapped to another": ("mapped", "mapped", "alice", cert_failed()),
    "mapped exactly": ("mapped", "exact", "bob", None),
    "not anchored": ("mapped", "suffix", "bob", cert_failed("bob")),
    "unmapped": ("mapped", "alice", "alice", cert_failed()),
    "dn": ("bydn", "dn", "alice", None),
    "dn in another order": ("bydn", "dn other order", "alice", cert_failed()),
    "trust verify-ca": ("trustca", "bob", "alice", None),
    "trust verify-full": ("trustfull", "alice", "alice", None),
    "trust verify-full of another": ("trustfull", "bob", "alice", trust_failed()),
    "trust verify-full by san": ("trustfull", "alice by san", "alice", trust_failed()),
    "reject with a certificate": ("rejected", "alice", "alice", fatal(
        "28000", 'pg_hba.conf rejects connection for host "127.0.0.1", user "alice", database "rejected",'
                 ' SSL encryption')),
}


@pytest.mark.parametrize("database, cert, user, error", RULES.values(), ids=RULES.keys())
def test_names(server, clients, database, cert, user, error):
    got = events(server, clients[cert], database, user)
    if error is None:
        assert authenticated(got), got
    else:
        assert got == [error, wire.EOF]


@pytest.mark.parametrize("database", ["bycert", "mapped", "bydn", "scramca", "scramfull", "trustca", "trustfull",
                                      "rejected"])
def test_a_certificate_is_demanded_before_anything_else(server, database):
    with Conn(server) as c:
        c.start_tls()
        c.send(startup("alice", database))
        assert c.events() == [NEEDS_CERTIFICATE, wire.EOF]


def test_no_certificate_is_fine_where_no_rule_asks(server):
    with Conn(server) as c:
        c.start_tls()
        c.send(startup("alice", "open"))
        assert authenticated(c.dialogue())


def test_scram_with_any_certificate(server, clients):
    got = events(server, clients["bob"], "scramca", secret=PASSWORDS["alice"])
    assert authenticated(got)
    got = events(server, clients["bob"], "scramca", secret="wrong")
    assert got == [fatal("28P01", 'password authentication failed for user "alice"'), wire.EOF]


def test_scram_with_the_right_certificate(server, clients):
    assert authenticated(events(server, clients["alice"], "scramfull", secret=PASSWORDS["alice"]))


def test_the_name_is_checked_behind_the_password(server, clients):
    """The client sees SASLFinal, then the failure."""
    got = events(server, clients["bob"], "scramfull", secret=PASSWORDS["alice"])
    assert [e[:2] for e in got[:1]] == [("R", 12)]
    assert got[1:] == [fatal("28P01", 'password authentication failed for user "alice"'), wire.EOF]
    got = events(server, clients["bob"], "scramfull", secret="wrong")
    assert got == [fatal("28P01", 'password authentication failed for user "alice"'), wire.EOF]


@pytest.mark.parametrize("database", ["bycert", "scramca", "trustfull"])
def test_rules_that_ask_for_certificates_need_a_ca(server_without_ca, clients, database):
    assert events(server_without_ca, clients["alice"], database) == [
        fatal("F0000", "client certificates can only be checked if a root certificate store is available"),
        wire.EOF]


# -- certificates that end the handshake --------------------------------------------------------------------------
BAD = {
    "expired": "alert certificate expired",
    "not yet": "alert bad certificate",
    "revoked": "alert certificate revoked",
    "foreign": "alert unknown ca",
    "same ca name": None,       # the signature fails: OpenSSL's word for it is its own
    "server usage": "alert unsupported certificate",
    "below without chain": "alert unknown ca",
}


def handshake_ends(server, cert, version):
    context = wire.client_context(cert=cert, minimum=version, maximum=version)
    with Conn(server) as c:
        try:
            c.start_tls(context)
        except wire.Closed as e:
            return e.how
        # Under TLS 1.3 the client is done before the server has looked at its certificate.
        return c.event()


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS.keys())
@pytest.mark.parametrize("cert, alert", BAD.items(), ids=BAD.keys())
def test_bad_certificates_end_the_handshake(server, clients, cert, alert, version):
    mark = server.log.mark()
    got = handshake_ends(server, clients[cert], version)
    assert got == alert if alert else got.startswith("alert ")
    server.log.wait_for("(?i)could not accept SSL connection|verify failed", mark)


def test_bad_certificate_is_refused_whatever_the_rule_says(server, clients):
    assert handshake_ends(server, clients["expired"], VERSIONS["1.3"]) == "alert certificate expired"


PSQL_TEXTS = {
    "expired": psql.alert("certificate expired"),
    "revoked": psql.alert("certificate revoked"),
    "foreign": "SSL error: tlsv1 alert unknown ca",
}


@pytest.mark.parametrize("cert, text", PSQL_TEXTS.items(), ids=PSQL_TEXTS.keys())
def test_psql_reads_the_alert(server, certs, clients, cert, text):
    crt, key = clients[cert]
    for _ in range(5):
        got = psql.run(server, sslmode="verify-full", sslrootcert=certs.ca_file, sslcert=crt, sslkey=key)
        first = psql.errors(got)[0]
        if server.is_gate:
            assert first == text        # the alert must not be lost to a reset
        else:
            assert first == text or "server closed" in first or "reset" in first


def test_psql_with_a_good_certificate(server, certs, clients):
    crt, key = clients["alice"]
    got = psql.run(server, "SELECT current_user", sslmode="verify-full", sslrootcert=certs.ca_file, sslcert=crt,
                   sslkey=key)
    assert got.stdout == "alice\n", got.stderr


def test_client_ca_names_are_announced(server, certs):
    out = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{server.port}"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    names = out.split("Acceptable client certificate CA names")[1].split("\n")[1]
    assert names.replace(" = ", "=") == "CN=pgseal test CA"     # OpenSSL's versions differ


# -- revocation ---------------------------------------------------------------------------------------------------
def test_missing_crl_refuses_everybody_with_a_certificate(server_factory, kind, certs, clients):
    """With a CRL setting every certificate of the chain needs one."""
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(),
                                                "crl": certs.foreign.crl()})
    assert handshake_ends(server, clients["alice"], VERSIONS["1.3"]) == "alert unknown ca"
    with Conn(server) as c:
        c.start_tls()
        c.send(startup("alice", "open"))
        assert authenticated(c.dialogue())


def test_expired_crl(server_factory, kind, certs, clients):
    old = certs.ca.crl(last_update=pki.now() - 9 * pki.DAY, next_update=pki.now() - pki.DAY)
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": old})
    assert handshake_ends(server, clients["alice"], VERSIONS["1.3"]) == "alert certificate expired"


def test_crl_directory_is_read_at_each_handshake(server_factory, kind, certs, clients, scratch):
    directory = os.path.join(scratch, f"crl-{kind}")
    os.makedirs(directory)
    os.chmod(directory, 0o755)
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                            settings={"ssl_crl_dir": directory})
    assert handshake_ends(server, clients["alice"], VERSIONS["1.3"]) == "alert unknown ca"
    pki.write_file(os.path.join(directory, "ca.crl"), clients.crl.split(b"-----BEGIN")[1].join([b"-----BEGIN", b""]))
    subprocess.run(["openssl", "rehash", directory], check=True, capture_output=True)
    assert authenticated(events(server, clients["alice"], "open"))
    assert handshake_ends(server, clients["revoked"], VERSIONS["1.3"]) == "alert certificate revoked"


def test_crl_file_is_read_on_reload(server_factory, kind, certs):
    first, second = certs.ca.issue("alice"), certs.ca.issue("alice")
    files = [certs.client(f"reload-{kind}-{i}", c) for i, c in enumerate((first, second))]
    server = server_factory(kind, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl()})
    assert authenticated(events(server, files[0], "bycert"))
    server.configure(tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl([first])})
    server.reload()
    assert handshake_ends(server, files[0], VERSIONS["1.3"]) == "alert certificate revoked"
    assert authenticated(events(server, files[1], "bycert"))
