"""
pgseal_findings: a clean configuration has none, and each check fires where it should and only there.

One gate is given one configuration after another. Each case changes the clean one in one way and says which
findings that makes: all others are silent then.
"""

import datetime
import os
import re
import ssl
import subprocess
import tempfile

import psycopg
import pytest

import test_audit
from lib import pki
from lib.gate import userlist
from lib.pg import SECRETS

CHECKS = os.path.join(os.path.dirname(__file__), "../../tables/checks.def")
SANS = ["localhost", "db.example"]
TODAY = pki.now()
DAY = datetime.timedelta(days=1)
RULE = "hostssl all all all scram-sha-256 clientcert=verify-full\n"
CLEAN = {"log_connections": "authorization", "reload_on_change": "certificates", "admin_users": "alice",
         "http_listen": "./http.sock"}
AT_START = {"http_off"}  # settings that a reload does not change have a test of their own
# What every gate with the default settings is told for information; test_posture has them.
POSTURE = {"tls_version_12", "ciphers_legacy", "ciphers_dhe"}
# What the machine's OpenSSL decides: tests/unit/audit/test_checks.c
MACHINE = {"openssl_unsupported", "groups_no_pq"}
STRONG = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
          "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305")
NOT_LOADED = {"settings_broken", "rules_broken"}  # of files that no gate has in force: test_audit.py
FAR = "host=db.example sslmode={} sslrootcert={}"


def known():
    """Id → severity of every check that a gate can fail."""
    with open(CHECKS, encoding="utf-8") as f:
        return {name: severity.lower() for name, severity in
                re.findall(r'^X\(\w+, "(\w+)", (?:GATE|ANY), (\w+),', f.read(), re.M)}


class Case:
    """
    One change of the clean configuration.

    fires   the ids that it makes.
    hba     rules instead of the clean ones.
    cert    makes the server's certificate, of the CA.
    more_ca makes more of ssl_ca_file; ca=False: there is none.
    crl     makes ssl_crl_file; None: there is none.
    after   done to the gate once the configuration is in force; undone by the next one.
    says    part of what the first of them says.
    """

    def __init__(self, *fires, hba=RULE, cert=None, after=None, says="", crl=lambda ca: ca.crl(), ca=True,
                 more_ca=None, **settings):
        self.fires = set(fires)
        self.hba, self.cert, self.after, self.says = hba, cert, after, says
        self.crl, self.ca, self.more_ca, self.settings = crl, ca, more_ca, settings


def server(ca, **how):
    return ca.issue("db.example", **{"sans": SANS, "usage": "server", **how})


def overwrite(name, make):
    """Replace one of the gate's files; it is told to look at none."""
    return lambda gate, certs: gate.write(name, make(certs))


def mode(name, bits):
    return lambda gate, certs: os.chmod(gate.path(name), bits)


MIDDLE = []


def lone_leaf(ca):
    """A certificate of an intermediate CA that stays out of its file."""
    MIDDLE[:] = [ca.intermediate()]
    leaf = server(MIDDLE[0])
    return pki.Cert(leaf.cert, leaf.key)


def signed_with_sha1(name):
    """Newer versions of Python's cryptography do not sign so; openssl does."""
    with tempfile.TemporaryDirectory() as directory:
        made = os.path.join(directory, "made.crt")
        ca = pki.Authority("r", key="rsa").write(directory, "r")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-out", made,
                        "-subj", f"/CN={name}", "-CA", ca[0], "-CAkey", ca[1], "-sha1"], check=True, capture_output=True)
        with open(made, "rb") as f:
            return f.read()


CASES = {
    "clean": Case(),
    "ssl off": Case("tls_off", "rule_never_matches", says="no client can encrypt", ssl="off"),
    "old versions": Case("tls_version_old", says="TLSv1.1", ssl_min_protocol_version="TLSv1.1"),
    "maximum": Case("tls_version_maximum", says="TLSv1.2", ssl_max_protocol_version="TLSv1.2"),
    "anonymous ciphers": Case("ciphers_weak", says="weak ciphers", ssl_ciphers="ALL:COMPLEMENTOFALL:@SECLEVEL=0"),
    "forbidden by the level": Case(ssl_ciphers="HIGH:aNULL"),
    "weak but unused": Case(ssl_ciphers="ALL:COMPLEMENTOFALL:@SECLEVEL=0", ssl_min_protocol_version="TLSv1.3"),
    "clients' order": Case("cipher_order", ssl_prefer_server_ciphers="off"),
    "clients' order of good ones": Case(ssl_prefer_server_ciphers="off", ssl_ciphers="HIGH:!aNULL:!kRSA"),
    "loose key": Case("key_permissions", after=mode("server.key", 0o644), says="group or world access"),
    "certificate gone": Case("certificate_unreadable", after=overwrite("server.crt", lambda certs: "nothing\n"),
                             reload_on_change="off"),
    "half a key": Case("key_unusable", "reload_off", reload_on_change="off",
                       after=lambda gate, certs: gate.write("server.key", certs.server.key_pem()[:100], 0o600)),
    "another certificate": Case("certificate_not_served", "key_unusable", reload_on_change="off",
                                after=overwrite("server.crt", lambda certs: server(certs.ca).pem())),
    "short key": Case("certificate_weak_key", says="RSA 1024",
                      more_ca=lambda ca: pki.Authority("old CA", key="rsa-1024").pem()),
    "sha1": Case("certificate_weak_signature", says="sha1WithRSA",
                 more_ca=lambda ca: signed_with_sha1("old CA")),
    "sha1 of a root": Case(more_ca=lambda ca: pki.Authority("r", key="rsa").pem()),
    "no names": Case("certificate_without_names", cert=lambda ca: server(ca, sans=[])),
    "self-signed": Case("certificate_self_signed", "certificate_long_life", "certificate_without_names", "certificate_eku",
                        cert=lambda ca: pki.Authority("db.example")),
    "half a chain": Case("certificate_chain_incomplete", cert=lone_leaf, says="Test Intermediate",
                         more_ca=lambda ca: MIDDLE[0].pem()),
    "whole chain": Case(cert=lambda ca: server(ca.intermediate())),
    "expired": Case("certificate_expired", cert=lambda ca: server(ca, valid_from=TODAY - 9 * DAY, valid_to=TODAY - DAY)),
    "not yet": Case("certificate_not_yet_valid",
                    cert=lambda ca: server(ca, valid_from=TODAY + DAY, valid_to=TODAY + 9 * DAY)),
    "expiring": Case("certificate_expiring", says="expires in 2 days",
                     cert=lambda ca: server(ca, valid_from=TODAY - 20 * DAY, valid_to=TODAY + 3 * DAY)),
    "long life": Case("certificate_long_life", cert=lambda ca: server(ca, valid_to=TODAY + 800 * DAY)),
    "stale list": Case("crl_expired", crl=lambda ca: ca.crl(last_update=TODAY - 9 * DAY, next_update=TODAY - DAY)),
    "list of tomorrow": Case("crl_not_yet_valid", crl=lambda ca: ca.crl(last_update=TODAY + DAY, next_update=TODAY + 9 * DAY)),
    "list at its end": Case("crl_expiring", says="expires in 2 days",
                            crl=lambda ca: ca.crl(last_update=TODAY - 20 * DAY, next_update=TODAY + 3 * DAY)),
    "no list": Case("crl_missing", crl=None),
    "no list and no need": Case(crl=None, ca=False, hba="hostssl all all all scram-sha-256\n"),
    "plaintext": Case("plaintext_from_network", hba="hostnossl all all all scram-sha-256\n" + RULE,
                      says="addr=203.0.113.7 user=somebody dbname=somewhere tls=none (at present"),
    "plaintext of a few": Case("plaintext_from_network", hba=RULE + 'host "my app" bob 10.2.0.0/16 scram-sha-256\n',
                               says="addr=10.2.0.1 user=bob dbname='my app' tls=none"),
    "plaintext for replication": Case("plaintext_from_network", "password_without_certificate",
                                      "replication_from_network_open",
                                      hba="host replication bob 10.2.0.0/16 scram-sha-256\n" + RULE,
                                      says="user=bob replication=true tls=none"),
    "plaintext from here": Case(hba="hostnossl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all ::1/128 "
                                    "scram-sha-256\nhostnossl all all samehost scram-sha-256\n" + RULE),
    "plaintext rejected before": Case(ca=False, crl=None, hba="hostnossl all all all reject\n"
                                      "host all all all scram-sha-256\n"),
    "plaintext by name": Case("plaintext_from_network", hba="hostnossl all all .example.com scram-sha-256\n" + RULE,
                              says="if its host name matches the rule"),
    "plaintext by an odd expression": Case("plaintext_from_network", says="names that match the rule's expressions",
                                           hba="hostnossl all /^(?=ab)a.*$ all scram-sha-256\n" + RULE),
    "plaintext by an expression": Case("plaintext_from_network", says="user=0 dbname=somewhere tls=none",
                                       hba="hostnossl all /^[[:digit:]]+$ all scram-sha-256\n" + RULE),
    "trust": Case("trust_from_network", hba="hostssl all all all trust\n", says="tls=1.3"),
    "trust in plaintext": Case("trust_from_network", "plaintext_from_network", hba="host all all all trust\n"),
    "trust with a name": Case(hba="hostssl all all all trust clientcert=verify-full\n"),
    "trust with any name": Case("trust_with_any_certificate", hba="hostssl all all all trust clientcert=verify-ca\n"),
    "trust here": Case("trust_on_this_machine", hba="local all all trust\n" + RULE),
    "trust on loopback": Case("trust_on_this_machine", hba="host all all 127.0.0.1/32 trust\n" + RULE),
    "peer here": Case(hba="local all all peer\n" + RULE),
    "cleartext": Case("password_in_cleartext", "plaintext_from_network", hba="hostnossl all all all password\n" + RULE),
    "password": Case("password_method", hba="hostssl all all all password clientcert=verify-ca\n"),
    "md5": Case("md5_method", hba="hostssl all all all md5 clientcert=verify-ca\n"),
    "no certificate asked": Case("password_without_certificate", hba="hostssl all all all scram-sha-256\n"),
    "shadowed": Case("rule_shadowed", hba=RULE + "hostssl app all 10.0.0.0/8 scram-sha-256\n",
                     says="rule 1 at "),
    "shadowed reject": Case("reject_shadowed", hba=RULE + "hostssl all eve all reject\n"),
    "mapped": Case("rule_for_mapped_addresses", hba="hostssl app eve ::ffff:10.1.2.0/120 reject\n" + RULE),
    "reject behind reject": Case("rule_shadowed", hba="hostssl all eve all reject\nhostssl app eve all reject\n" + RULE),
    "gss": Case("rule_never_matches", hba="hostgssenc all all all scram-sha-256\n" + RULE, says="hostgssenc"),
    "unverified server": Case("upstream_unverified", says="db.example", upstream=FAR.format("require", "CA")),
    "unverified name": Case("upstream_name_unverified", upstream=FAR.format("verify-ca", "CA")),
    "verified server": Case(upstream=FAR.format("verify-full", "CA"), upstream_login="scram"),
    "server on loopback": Case(upstream="host=127.0.0.1 sslmode=disable", upstream_login="scram"),
    "trusting server": Case("upstream_trust", upstream=FAR.format("verify-full", "CA"), upstream_login="trust,scram"),
    "service": Case("upstream_service", says='"app_role"', upstream_login="service",
                    upstream="host=/tmp user=app_role"),
    "loose secrets": Case("auth_file_permissions", after=mode("userlist.txt", 0o644)),
    "open rules": Case("files_writable", after=mode("pg_hba.conf", 0o646), says="0646"),
    "open settings": Case("files_writable", after=mode("pgseal.conf", 0o666)),
    "silent log": Case("log_connections_off", log_connections=""),
    "no reload": Case("reload_off", reload_on_change="off"),
}
for quiet in ("certificate gone", "another certificate"):
    CASES[quiet].fires.add("reload_off")
for insecure in ("unverified server", "unverified name"):
    CASES[insecure].settings["upstream_login"] = "scram"


@pytest.fixture(scope="module")
def gate(factory, certs):
    made = factory.gate(hba=RULE, tls={"cert": server(certs.ca), "ca": certs.ca.pem(), "crl": certs.ca.crl()},
                        settings=CLEAN)
    yield made
    factory.stop(made)


def put(gate, certs, case):
    """Make the case's configuration the one in force."""
    tls = {"cert": case.cert(certs.ca) if case.cert else server(certs.ca)}
    if case.ca:
        tls["ca"] = certs.ca.pem() + (case.more_ca(certs.ca) if case.more_ca else b"")
    if case.crl:
        tls["crl"] = case.crl(certs.ca)
    gate.settings = {name: gate.settings[name] for name in ("auth_source", "auth_file", "upstream_login")}
    gate.settings["upstream_login"] = "trust"
    gate.write("userlist.txt", userlist(SECRETS), 0o600)
    for path in ("pgseal.conf", "pg_hba.conf"):
        gate.write(path, "")
    settings = {**CLEAN, **case.settings}
    upstream = settings.pop("upstream", None)
    saved, gate.upstream = gate.upstream, (upstream.replace("CA", certs.ca_file) if upstream else gate.upstream)
    gate.configure(settings, hba=case.hba, tls=tls)
    gate.upstream = saved
    words = gate.reload()
    assert "reload_failed" not in words, words
    if case.after:
        case.after(gate, certs)


def findings(gate):
    with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as db:
        return db.execute('SELECT id, severity, "where", what, fix FROM pgseal_findings').fetchall()


@pytest.mark.parametrize("name", CASES)
def test_findings(gate, certs, name):
    case = CASES[name]
    put(gate, certs, case)
    found = findings(gate)
    assert {row[0] for row in found} - POSTURE - MACHINE == case.fires, found
    if case.says:
        assert any(case.says in row[3] for row in found if row[0] in case.fires), found
    severities = known()
    for check, severity, where, what, fix in found:
        assert severity == severities[check] and where and what and fix
    order = ["high", "medium", "low", "info"]
    ranks = [order.index(row[1]) for row in found]
    assert ranks == sorted(ranks)


def test_http_off(make_gate, certs):
    gate = make_gate(hba=RULE, tls={"cert": server(certs.ca), "ca": certs.ca.pem(), "crl": certs.ca.crl()},
                     settings={**CLEAN, "http_listen": None})
    assert [row[:3] for row in findings(gate) if row[0] not in POSTURE | MACHINE] == [("http_off", "info", "http_listen")]


@pytest.mark.parametrize("settings,left", [
    ({}, POSTURE),
    ({"ssl_ciphers": STRONG}, {"tls_version_12"}),
    ({"ssl_ciphers": STRONG + ":DHE-RSA-AES128-GCM-SHA256"}, {"tls_version_12", "ciphers_dhe"}),
    ({"ssl_min_protocol_version": "TLSv1.3"}, set())])
def test_posture(gate, certs, settings, left):
    put(gate, certs, Case(**settings))
    found = findings(gate)
    assert {row[0] for row in found} - MACHINE == left and {row[1] for row in found} <= {"info"}
    assert ("groups_no_pq" in {row[0] for row in found}) is (ssl.OPENSSL_VERSION_INFO >= (3, 5))


def test_each_check_has_a_case():
    fired = set().union(*(case.fires for case in CASES.values()))
    fired |= AT_START | NOT_LOADED | POSTURE | MACHINE | test_audit.of_live_servers()
    fired |= {"client_verifies_nothing", "client_verifies_no_name", "certificate_mounted_alone",
              "configuration_mounted_alone"}    # test_evidence, test_audit_mounts
    fired |= test_audit.ELSEWHERE.union(*(bad.fires for bad in test_audit.BADS.values()))
    assert set(known()) <= fired


def test_where_is_the_line(gate, certs):
    put(gate, certs, Case(hba="# a comment\n" + RULE + "host all bob 10.0.0.0/8 trust\n"))
    where = {row[0]: row[2] for row in findings(gate)}
    assert where["trust_from_network"] == gate.path("pg_hba.conf") + ":3"


def test_witnesses_are_what_explain_says(gate, certs):
    """The connection that a finding names is let in by that very line, if `pgseal explain` is asked."""
    put(gate, certs, Case(hba="hostssl all all all scram-sha-256\nhost app,db2 bob 10.0.0.0/9 reject\n"
                              'host app,db2 "bob the 1st",bob 10.0.0.0/8 trust\nhost all all samenet md5\n'))
    seen = 0
    for _, _, where, what, _ in findings(gate):
        facts = re.search(r"addr=\S+ .* tls=\S+", what)
        if not facts:
            continue
        said = subprocess.run([gate.program, "explain", "-D", gate.dir, facts.group()], capture_output=True,
                              text=True, check=False)
        assert f"{where.rsplit(':', 1)[1]}" in said.stdout and said.returncode == 0, (what, said)
        assert where in said.stdout, (what, said)
        seen += 1
    assert seen >= 2


def test_ordinary_users_see_none(gate, certs):
    put(gate, certs, Case(hba="hostssl pgseal bob all scram-sha-256\n"))
    with psycopg.connect(host="localhost", hostaddr="127.0.0.1", port=gate.port, user="bob", password="bob's pass",
                         dbname="pgseal", sslmode="verify-full", sslrootcert=certs.ca_file) as db:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SELECT * FROM pgseal_findings")
