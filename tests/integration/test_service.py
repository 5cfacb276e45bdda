"""
upstream_login is an ordered list: the first way that applies over the connection that stands decides who the
session is on the server. `service` is another user than the client, and says so.
"""

import os

import pytest

from lib.pg import PASSWORDS
from lib.wire import Conn

from test_upstream import tcp, unix

ALICE, BOB = PASSWORDS["alice"], PASSWORDS["bob"]
SERVER_HBA = """\
local   all  all                     trust
hostssl app  alice    127.0.0.1/32   cert map=gate
hostssl db2  bob      127.0.0.1/32   cert map=gate
hostssl all  alice,bob 127.0.0.1/32  scram-sha-256
"""
SCRAM = "host all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def upstream(factory, certs):
    server = factory.postgres(hba=SERVER_HBA, ident="gate pgseal-gate alice\ngate pgseal-gate bob\n",
                              tls={"cert": certs.server, "ca": certs.ca.pem()})
    yield server
    factory.stop(server)


@pytest.fixture
def own_certificate(certs):
    crt, key = certs.client("gate-service", certs.ca.issue("pgseal-gate"))
    return {"sslcert": crt, "sslkey": key}


@pytest.fixture
def passfile(scratch):
    path = os.path.join(scratch, "service-passfile")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(f"*:*:renamed:bob:wrong\n*:*:private:bob:{BOB}\n")
    return path


def who(make_gate, conninfo, login, hba=SCRAM, database="app", **settings):
    g = make_gate(upstream=conninfo, hba=hba, settings={"upstream_login": login, **settings})
    with Conn(g) as c:
        events = c.login(ALICE, database=database)
        if events[-1] != ("Z", "I"):
            return events[-2][1]["C"]
        user = c.value("SELECT current_user")
    if user != "alice":
        g.log.wait_for(f"user=alice .*upstream_user={user}", 0)
    return user


@pytest.mark.parametrize("login, user", [
    ("peer, service", "alice"), ("trust, service", "alice"), ("service, peer", "bob"), ("service, scram", "bob"),
    ("scram, service", "alice"), ("password, service", "bob"), ("cert, service", "bob"), ("service", "bob")])
def test_the_first_that_applies_on_a_unix_socket(make_gate, upstream, login, user):
    assert who(make_gate, unix(upstream, user="bob"), login) == user


@pytest.mark.parametrize("login, database, user", [
    ("cert, service", "app", "alice"), ("service, cert", "db2", "bob"), ("service", "db2", "bob"),
    ("peer, cert", "app", "alice"), ("scram, cert", "private", "alice")])
def test_the_first_that_applies_over_tls(make_gate, upstream, certs, own_certificate, login, database, user):
    conninfo = tcp(upstream, sslrootcert=certs.ca_file, user="bob", **own_certificate)
    upstream.query("SELECT 1")
    with upstream.admin() as db:
        db.execute("GRANT CONNECT ON DATABASE private TO alice, bob")
    assert who(make_gate, conninfo, login, database=database) == user


def test_the_password_is_for_the_database_as_the_server_knows_it(make_gate, upstream, certs, passfile):
    """upstream.NAME renames; the password file is asked with the server's name."""
    with upstream.admin() as db:
        db.execute("GRANT CONNECT ON DATABASE private TO alice, bob")
    assert who(make_gate, "host=/nowhere", "service", database="renamed", **{
        "upstream.renamed": tcp(upstream, sslrootcert=certs.ca_file, user="bob", passfile=passfile,
                                dbname="private")}) == "bob"
