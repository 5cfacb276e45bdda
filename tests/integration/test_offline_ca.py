"""
A CA that is kept apart from its gates: on a stick, on another machine, behind a passphrase. Requests come to it,
certificates and revocation lists go back, and nothing makes a second one by mistake.
"""

import json
import os
import shutil
import subprocess

import pytest

from lib import pki
from test_pki import Tool, openssl, tool      # noqa: F401, the fixture


@pytest.fixture
def apart(tool):      # noqa: F811
    """A gate whose CA lies elsewhere, with a passphrase."""
    pki.write_file(tool.path("pw"), "sesame\n", 0o600)
    tool.run("init", "gate", "--host", "localhost", "--user", "alice", "--ca-passphrase-file", "pw")
    shutil.move(tool.path("gate/ca"), tool.path("away"))
    return tool


PASS = ["--ca-passphrase-file", "pw"]
BOTH = ["-D", "gate", "--ca", "away"]


def read(tool, name):      # noqa: F811
    with open(tool.path(name), "rb") as f:
        return f.read()


def test_the_key_of_init_has_a_passphrase(apart):
    assert "ENCRYPTED" in read(apart, "away/ca.key").decode()
    openssl("pkey", "-in", apart.path("away/ca.key"), "-passin", "pass:sesame", "-noout")
    assert "protected by a passphrase" in apart.refused("cert", "issue", *BOTH, "bob")


def test_the_gate_gets_what_it_needs(apart):
    for argv in (["cert", "issue", *BOTH, "bob", *PASS], ["cert", "renew", *BOTH, "server", *PASS]):
        apart.run(*argv)
    assert os.path.exists(apart.path("gate/clients/bob.key"))
    before = read(apart, "gate/tls/ca.crl")
    said = apart.run("cert", "revoke", *BOTH, "bob", *PASS)
    assert said.stderr == "" and read(apart, "gate/tls/ca.crl") == read(apart, "away/ca.crl") != before
    made = apart.json("ca", "crl", "-D", "gate", "away", "--passphrase-file", "pw", "--crl-days", "30")
    assert made["copy"] == apart.path("gate/tls/ca.crl") or made["copy"].endswith("gate/tls/ca.crl")
    assert made["crl"]["revoked"] == 1 and 29 <= made["crl"]["days_left"] <= 30
    assert read(apart, "gate/tls/ca.crl") == read(apart, "away/ca.crl")
    openssl("crl", "-in", apart.path("gate/tls/ca.crl"), "-noout", "-CAfile", apart.path("gate/tls/ca.crt"))


def test_where_no_copy_is_made_it_is_said(apart):
    said = apart.run("ca", "crl", "away", "--passphrase-file", "pw").stderr
    assert "no gate has the new revocation list yet" in said and "away/ca.crl" in said
    # The gate's file holds another CA's list as well.
    foreign = pki.Authority("Foreign")
    with open(apart.path("gate/tls/ca.crl"), "ab") as f:
        f.write(foreign.crl())
    before = read(apart, "gate/tls/ca.crl")
    said = apart.run("cert", "revoke", *BOTH, "alice", *PASS).stderr
    assert "contains more than this CA's revocation list" in said and read(apart, "gate/tls/ca.crl") == before
    # Another place is named by the settings.
    with open(apart.path("gate/pgseal.conf"), "a", encoding="utf-8") as f:
        f.write("ssl_crl_file = 'lists.pem'\n")
    apart.run("ca", "crl", "-D", "gate", "away", "--passphrase-file", "pw")
    assert read(apart, "gate/lists.pem") == read(apart, "away/ca.crl")
    # None is.
    with open(apart.path("gate/pgseal.conf"), "a", encoding="utf-8") as f:
        f.write("ssl_crl_file = ''\n")
    os.remove(apart.path("gate/tls/ca.crl"))
    said = apart.run("ca", "crl", "-D", "gate", "away", "--passphrase-file", "pw").stderr
    assert "ssl_crl_file is not set" in said


def test_nothing_makes_a_second_ca(apart):
    for argv in (["cert", "issue", "-D", "gate", "bob"], ["cert", "revoke", "-D", "gate", "alice"], ["ca", "show", "-D", "gate"]):
        said = apart.refused(*argv, status=3)
        assert "is kept elsewhere" in said and "--ca" in said and "ca init" not in said
    assert "already has a CA" in apart.refused("ca", "init", "-D", "gate")
    shutil.copytree(apart.path("away"), apart.path("gate/ca"))
    os.remove(apart.path("gate/ca/ca.key"))
    assert "key is kept elsewhere" in apart.refused("cert", "issue", "-D", "gate", "bob", status=3)
    shutil.rmtree(apart.path("gate/ca"))
    # init completes what needs no CA, and refuses what does.
    os.remove(apart.path("gate/pg_hba.conf"))
    apart.run("init", "gate", "--force")
    assert not os.path.exists(apart.path("gate/ca")) and os.path.exists(apart.path("gate/pg_hba.conf"))
    os.remove(apart.path("gate/tls/server.crt"))
    assert "is kept elsewhere" in apart.refused("init", "gate", "--force", status=3)
    assert not os.path.exists(apart.path("gate/ca"))


def request(tool, name, *more):      # noqa: F811
    """A key, and its request, made elsewhere."""
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            tool.path(f"{name}.key"), "-out", tool.path(f"{name}.csr"), *more)
    return tool.path(f"{name}.csr")


def test_requests_are_signed(apart):
    request(apart, "db", "-subj", "/O=Acme/CN=db", "-addext", "subjectAltName=DNS:db.example.com,IP:10.0.0.1")
    made = apart.json("cert", "sign", "--ca", "away", "db.csr", *PASS)
    assert made["files"] == {"certificate": "db.crt"} and made["certificate"]["subject"] == "/O=Acme/CN=db"
    assert made["certificate"]["sans"] == ["dns:db.example.com", "ip:10.0.0.1"] and made["certificate"]["usage"] == ["server"]
    openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", apart.path("away/ca.crt"), apart.path("db.crt"))
    public = openssl("x509", "-in", apart.path("db.crt"), "-noout", "-pubkey")
    assert openssl("pkey", "-in", apart.path("db.key"), "-pubout") == public
    assert "already exists" in apart.refused("cert", "sign", "--ca", "away", "db.csr", *PASS)
    # Whoever signs has the last word on names and use.
    request(apart, "who", "-subj", "/CN=postgres", "-addext", "extendedKeyUsage=serverAuth,clientAuth")
    assert apart.refused("cert", "sign", "--ca", "away", "who.csr", *PASS)        # a server without a host name
    os.mkdir(apart.path("out"))
    made = apart.json("cert", "sign", *BOTH, "who.csr", "carol", "--use", "client", "--days", "7", "--out", "out",
                      "--file", "c", *PASS)
    assert made["files"] == {"certificate": "out/c.crt"} and made["certificate"]["subject"] == "/CN=carol"
    assert made["certificate"]["usage"] == ["client"] and made["certificate"]["days_left"] in (6, 7)
    made = apart.json("cert", "sign", "--ca", "away", "who.csr", "--host", "h.example", "--force", *PASS)
    assert made["certificate"]["sans"] == ["dns:h.example"] and made["certificate"]["usage"] == ["server"]
    assert len(apart.json("cert", "list", "--ca", "away")) == 5


def test_requests_that_are_refused(apart):
    request(apart, "weak", "-subj", "/CN=weak")
    openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", apart.path("w.key"), "-out", apart.path("weak.csr"),
            "-subj", "/CN=weak")
    assert "RSA keys below 2048" in apart.refused("cert", "sign", "--ca", "away", "weak.csr", *PASS)
    text = read(apart, "weak.csr").decode().split("\n")
    text[-4] = text[-4][::-1]
    pki.write_file(apart.path("bad.csr"), "\n".join(text))
    assert apart.run("cert", "sign", "--ca", "away", "bad.csr", *PASS, status=1).stdout == ""
    assert "no certificate signing request" in apart.refused("cert", "sign", "--ca", "away", "gate/tls/ca.crt", *PASS)
    request(apart, "other", "-subj", "/CN=x", "-addext", "subjectAltName=otherName:1.2.3;UTF8:x")
    assert "unsupported type" in apart.refused("cert", "sign", "--ca", "away", "other.csr", *PASS)
    assert len(apart.json("cert", "list", "--ca", "away")) == 2


def test_verify_knows_what_was_revoked(apart):
    crt = "gate/clients/alice.crt"
    assert apart.json("cert", "verify", *BOTH, crt, "--client")["revocation"]["ok"]
    for name in (crt, "gate/tls/server.crt"):
        apart.run("cert", "revoke", *BOTH, name, "--reason", "keyCompromise", *PASS)
    said = apart.json("cert", "verify", *BOTH, crt, "--client", status=1)
    assert "revoked" in said["accepted"]["reason"] and "keyCompromise" in said["revocation"]["error"]
    said = apart.json("cert", "verify", "-D", "gate", "gate/tls/server.crt", "--host", "localhost", status=1)
    assert said["verify_full"]["ok"] and not said["revocation"]["ok"]       # libpq looks into no list of its own accord
    text = subprocess.run([apart.program, "cert", "verify", "-D", "gate", "gate/tls/server.crt"], cwd=apart.dir, text=True,
                          capture_output=True, check=False)
    assert text.returncode == 1 and "revocation   revoked at " in text.stdout
    assert json.loads(apart.run("cert", "verify", "--root", "gate/tls/ca.crt", "gate/tls/server.crt", "--json").stdout
                      )["revocation"] is None
