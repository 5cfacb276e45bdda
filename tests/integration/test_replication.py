"""
Replication through the gate: pg_basebackup, a streaming standby and a logical subscription, over verified TLS, across
a reload that brings a new server certificate; and the rule keyword `replication`, as PostgreSQL reads it.
"""

import os
import shutil

import pytest

from lib import run
from lib.wire import Conn, startup

HBA = "hostssl replication repl 127.0.0.1/32 trust\nhostssl app repl,alice 127.0.0.1/32 trust\n"


@pytest.fixture(scope="module")
def primary(server_factory, debian):
    server = server_factory(debian.name, settings={"wal_level": "logical", "max_wal_senders": "10"},
                            hba="local all,replication all trust\n")
    with server.admin("app") as db:
        db.execute("CREATE TABLE t (n int PRIMARY KEY); GRANT ALL ON t TO repl; CREATE PUBLICATION p FOR TABLE t")
    return server


@pytest.fixture(scope="module")
def gate(server_factory, primary, certs):
    return server_factory("gate", upstream=primary, hba=HBA, tls={"cert": certs.server})


def conninfo(gate, certs, **more):
    words = {"host": "localhost", "hostaddr": gate.host, "port": gate.port, "user": "repl", "sslmode": "verify-full",
             "sslrootcert": certs.ca_file,
             "sslcert": os.path.join(certs.dir, "none.crt"), **more}     # a server has no home of its own to look in
    return " ".join(f"{name}={value}" for name, value in words.items())


def insert(primary, n):
    with primary.admin("app") as db:
        db.execute("INSERT INTO t VALUES (%s)", [n])


def has(server, n, database="app"):
    return server.query(f"SELECT count(*) FROM t WHERE n = {n}", database) == [(1,)]


def new_certificate(gate, certs):
    gate.configure(tls={"cert": certs.ca.issue("db.example", sans=["localhost", "127.0.0.1"], usage="server")})
    gate.reload()


def backup(gate, certs, debian, directory):
    shutil.rmtree(directory, ignore_errors=True)
    debian.run([debian.tool("pg_basebackup"), "-d", conninfo(gate, certs), "-D", directory, "-X", "stream",
                "-c", "fast", "--no-sync"])


def test_base_backup(gate, certs, debian, primary, scratch):
    directory = os.path.join(scratch, "backup")
    os.makedirs(directory)
    run.give_to_server(directory)
    backup(gate, certs, debian, os.path.join(directory, "data"))
    out = debian.run([debian.tool("pg_verifybackup"), os.path.join(directory, "data")]).stdout
    assert "backup successfully verified" in out


def test_streaming_standby_survives_a_reload(gate, certs, debian, primary, factory):
    standby = factory.postgres(start=False, hba="local all all trust\n")
    backup(gate, certs, debian, standby.data)
    standby.configure({"primary_conninfo": conninfo(gate, certs), "hot_standby": "on", "wal_level": "logical",
                       "max_wal_senders": "10"}, hba="local all all trust\n")
    standby.write("standby.signal", "")
    standby.start()
    insert(primary, 1)
    run.wait_until(lambda: has(standby, 1), "the first row on the standby")
    receiver = standby.query("SELECT pid FROM pg_stat_wal_receiver")
    new_certificate(gate, certs)
    insert(primary, 2)
    run.wait_until(lambda: has(standby, 2), "the row behind the reload on the standby")
    assert standby.query("SELECT pid FROM pg_stat_wal_receiver") == receiver
    factory.stop(standby)


def test_logical_subscription_survives_a_reload(gate, certs, primary, factory):
    subscriber = factory.postgres(settings={"wal_level": "logical"}, hba="local all all trust\n")
    insert(primary, 10)
    with subscriber.admin("app") as db:
        db.execute("CREATE TABLE t (n int PRIMARY KEY)")
        db.execute(f"CREATE SUBSCRIPTION s CONNECTION '{conninfo(gate, certs, dbname='app')}' PUBLICATION p")
    run.wait_until(lambda: has(subscriber, 10), "the copied row at the subscriber")
    new_certificate(gate, certs)
    insert(primary, 11)
    run.wait_until(lambda: has(subscriber, 11), "the row behind the reload at the subscriber")
    with subscriber.admin("app") as db:
        db.execute("DROP SUBSCRIPTION s")
    factory.stop(subscriber)


@pytest.fixture(scope="module")
def keyword_server(request, server_factory, certs, primary):
    kind = request.param
    more = {"upstream": primary} if kind == "gate" else {}
    return server_factory(kind, hba="hostssl all repl 127.0.0.1/32 trust\nhostssl replication alice 127.0.0.1/32 trust\n",
                          tls={"cert": certs.server}, **more)


def pytest_generate_tests(metafunc):
    if "keyword_server" in metafunc.fixturenames:
        from conftest import wanted_kinds
        metafunc.parametrize("keyword_server", wanted_kinds(metafunc.config), indirect=True)


@pytest.mark.parametrize("user, replication, admitted", [
    ("repl", "true", False),        # `all` does not mean replication
    ("repl", "database", True),     # logical: the database's name counts
    ("repl", "false", True),
    ("alice", "on", True),          # the keyword; what follows is the server's business
    ("alice", "database", False),
    ("alice", "off", False),
])
def test_the_keyword(keyword_server, user, replication, admitted):
    with Conn(keyword_server) as c:
        c.start_tls()
        c.send(startup(user, replication=replication))
        first = c.dialogue()[0]
        assert first[0] == ("R" if admitted else "E")
        if not admitted:
            what = "replication connection from host" if replication == "true" else "host"
            assert first[1]["C"] == "28000" and f"no pg_hba.conf entry for {what}" in first[1]["M"]
