"""
Real clients: psycopg (libpq), libpq 18, node-postgres (not libpq), pg_dump and pg_restore, pgbench -C.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import psycopg
import pytest

from lib import psql
from lib.pg import PASSWORDS

HERE = os.path.dirname(os.path.abspath(__file__))
ALICE = PASSWORDS["alice"]

HBA = """\
hostssl   app,db2 alice 127.0.0.1/32 scram-sha-256
hostssl   app     bob   127.0.0.1/32 cert
hostnossl app     carol 127.0.0.1/32 scram-sha-256
local     app     alice              scram-sha-256
"""


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()})


def options(server, certs, **more):
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": server.port, "user": "alice", "dbname": "app",
            "password": ALICE, "sslmode": "verify-full", "sslrootcert": certs.ca_file, **more}


# -- psycopg ------------------------------------------------------------------------------------------------------
def test_psycopg_session(server, certs):
    with psycopg.connect(**options(server, certs, channel_binding="require")) as db:
        assert db.pgconn.ssl_in_use
        assert db.execute("SELECT %s::text, %s::int[]", ("grüße", [1, 2, 3])).fetchone() == ("grüße", [1, 2, 3])
        with pytest.raises(psycopg.errors.DivisionByZero):
            db.execute("SELECT 1/0")
        db.rollback()
        rows = db.execute("SELECT g, repeat('x', g % 100) FROM generate_series(1, 30000) g", binary=True).fetchall()
        assert len(rows) == 30000 and rows[-1] == (30000, "")


def test_psycopg_prepared_and_pipelined(server, certs):
    with psycopg.connect(**options(server, certs)) as db:
        if psycopg.Pipeline.is_supported():
            with db.pipeline():
                cursors = [db.execute("SELECT %s::int * 2", (i,)) for i in range(200)]
            assert [c.fetchone()[0] for c in cursors] == [2 * i for i in range(200)]
        for i in range(20):
            assert db.execute("SELECT %s::int + 1", (i,), prepare=True).fetchone() == (i + 1,)


def test_psycopg_copy_and_server_cursor(server, certs):
    with psycopg.connect(**options(server, certs)) as db, db.cursor() as cur:
        cur.execute("CREATE TEMP TABLE t (a int, b text)")
        with cur.copy("COPY t FROM STDIN") as copy:
            for i in range(10000):
                copy.write_row((i, f"row {i}"))
        with cur.copy("COPY t TO STDOUT") as copy:
            assert sum(len(bytes(chunk)) for chunk in copy) == sum(len(f"{i}\trow {i}\n") for i in range(10000))
        with db.cursor("walking") as walking:
            walking.execute("SELECT a FROM t ORDER BY a")
            assert sum(row[0] for row in walking) == 10000 * 9999 // 2


def test_psycopg_with_a_certificate(server, certs):
    crt, key = certs.client("driver-bob", certs.ca.issue("bob"))
    with psycopg.connect(**options(server, certs, user="bob", password=None, sslcert=crt, sslkey=key)) as db:
        assert db.execute("SELECT current_user").fetchone() == ("bob",)


def test_psycopg_over_the_unix_socket(server, certs):
    with psycopg.connect(host=server.socket_dir, port=server.port, user="alice", dbname="app",
                         password=ALICE) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_startup_parameters_arrive(server, certs):
    with psycopg.connect(**options(server, certs, application_name="näme", client_encoding="LATIN1",
                                   options="-c statement_timeout=4321 -c my.own=x")) as db:
        def show(name):
            return db.execute(f"SHOW {name}").fetchone()[0]

        assert show("statement_timeout") == "4321ms" and show("my.own") == "x"
        assert show("client_encoding") == "LATIN1"
        assert db.info.parameter_status("server_encoding") == "UTF8"
        # One process works for the session, and its number is what the client was told.
        assert db.execute("SELECT pg_backend_pid()").fetchone()[0] == db.info.backend_pid


# -- libpq 18 -----------------------------------------------------------------------------------------------------
LIBPQ18 = """
import json, sys
import psycopg
assert psycopg.pq.version() >= 180000, psycopg.pq.version()
options = json.loads(sys.argv[1])
with psycopg.connect(**options) as db:
    assert db.pgconn.ssl_in_use
    print(db.execute("SELECT 'in'").fetchone()[0], db.info.backend_pid)
"""


@pytest.fixture(scope="module")
def libpq18(distributions):
    distribution = distributions.get("pg18")
    if distribution is None or "LD_LIBRARY_PATH" not in distribution.env:
        pytest.skip("PostgreSQL 18 from npm is not installed")
    return distribution.env["LD_LIBRARY_PATH"]


NEGOTIATIONS = {
    "postgres": {}, "direct": {"sslnegotiation": "direct"},
    "protocol 3.2": {"max_protocol_version": "latest", "min_protocol_version": "3.2"},
    "direct, 3.2, bound": {"sslnegotiation": "direct", "max_protocol_version": "latest",
                           "min_protocol_version": "3.2", "channel_binding": "require"},
    "require_auth": {"require_auth": "scram-sha-256"},
}


@pytest.mark.parametrize("more", NEGOTIATIONS.values(), ids=NEGOTIATIONS.keys())
def test_libpq_18(server, certs, libpq18, more):
    if server.major < 18 and (more.get("sslnegotiation") or more.get("min_protocol_version")):
        pytest.skip("PostgreSQL 18 and later")
    wanted = options(server, certs, **more)
    got = subprocess.run([sys.executable, "-c", LIBPQ18, json.dumps(wanted)], capture_output=True, text=True,
                         env=psql.environment(LD_LIBRARY_PATH=libpq18, PSYCOPG_IMPL="python"), check=False)
    assert got.stdout.startswith("in "), got.stderr


# -- node-postgres ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def node(pytestconfig):
    modules = os.path.join(os.path.dirname(os.path.abspath(pytestconfig.getoption("--build"))),
                           "build", "npm", "node_modules")
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("node-postgres is not installed (tools/npm.sh)")

    def session(**wanted):
        got = subprocess.run(["node", os.path.join(HERE, "node", "session.js"), json.dumps(wanted)],
                             env=psql.environment(NODE_PATH=modules), capture_output=True, text=True, timeout=60,
                             check=False)
        assert got.stdout, got.stderr
        return json.loads(got.stdout)

    return session


def well(result, encrypted=True):
    assert result.get("error") is None, result
    assert result["row"] == {"a": "é\U0001F511", "b": 42, "who": result["row"]["who"]}
    assert result["many"] == {"n": 20000, "l": 2 * sum(g % 7 for g in range(1, 20001))}
    assert result["heard"] == ["here:yes"] and result["failure"] == "22012"
    assert result["encrypted"] == encrypted
    return True


@pytest.mark.parametrize("binding", [False, True], ids=["", "channel binding"])
def test_node_postgres(server, certs, node, binding):
    assert well(node(host="127.0.0.1", port=server.port, user="alice", password=ALICE, database="app",
                     enableChannelBinding=binding, ssl={"caFile": certs.ca_file, "servername": "db.example"}))


def test_node_postgres_direct(server, certs, node):
    if server.major < 17:
        pytest.skip("PostgreSQL 17 and later")
    assert well(node(host="127.0.0.1", port=server.port, user="alice", password=ALICE, database="app",
                     sslnegotiation="direct", ssl={"caFile": certs.ca_file, "servername": "db.example"}))


def test_node_postgres_plain(server, node):
    assert well(node(host="127.0.0.1", port=server.port, user="carol", password=PASSWORDS["carol"],
                     database="app"), encrypted=False)


def test_node_postgres_with_a_certificate(server, certs, node):
    crt, key = certs.client("node-bob", certs.ca.issue("bob"))
    assert well(node(host="127.0.0.1", port=server.port, user="bob", database="app",
                     ssl={"caFile": certs.ca_file, "servername": "db.example", "certFile": crt, "keyFile": key}))


def test_node_postgres_refused(server, certs, node):
    got = node(host="127.0.0.1", port=server.port, user="alice", password="wrong", database="app",
               ssl={"caFile": certs.ca_file, "servername": "db.example"})
    assert got == {"error": 'password authentication failed for user "alice"', "code": "28P01"}
    got = node(host="127.0.0.1", port=server.port, user="alice", password=ALICE, database="app")
    assert got["code"] == "28000" and got["error"].endswith("no encryption")


# -- PostgreSQL's own programs ------------------------------------------------------------------------------------
def test_pg_dump_and_restore(server, certs, debian, scratch):
    if server.name == "pg18":
        pytest.skip("pg_dump is older than this server")
    with psycopg.connect(**options(server, certs), autocommit=True) as db:
        db.execute("CREATE TABLE dumped AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 20000) g")
        before = db.execute("SELECT md5(string_agg(id || t, ',' ORDER BY id)) FROM dumped").fetchone()
    path = os.path.join(scratch, f"dump-{server.name}")
    try:
        got = subprocess.run([debian.tool("pg_dump"), "-Fc", "-t", "dumped", "-f", path, "-d",
                              psql.conninfo(**options(server, certs, password=None))],
                             env=psql.environment(PGPASSWORD=ALICE), capture_output=True, text=True, check=False)
        assert got.returncode == 0, got.stderr
    finally:
        with psycopg.connect(**options(server, certs), autocommit=True) as db:
            db.execute("DROP TABLE dumped")
    got = subprocess.run([debian.tool("pg_restore"), "-d", psql.conninfo(**options(server, certs, password=None)),
                          path], env=psql.environment(PGPASSWORD=ALICE), capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stderr
    with psycopg.connect(**options(server, certs), autocommit=True) as db:
        assert db.execute("SELECT md5(string_agg(id || t, ',' ORDER BY id)) FROM dumped").fetchone() == before
        db.execute("DROP TABLE dumped")


def test_pgbench_with_a_connection_per_transaction(server, certs, debian, scratch):
    script = os.path.join(scratch, "one.sql")
    with open(script, "w", encoding="ascii") as f:
        f.write("SELECT 1;\n")
    environment = psql.environment(PGPASSWORD=ALICE, PGSSLMODE="verify-full", PGSSLROOTCERT=certs.ca_file,
                                   PGHOST="localhost", PGHOSTADDR="127.0.0.1", PGPORT=str(server.port),
                                   PGUSER="alice")
    got = subprocess.run([debian.tool("pgbench"), "-C", "-n", "-c", "8", "-j", "2", "-t", "25", "-f", script, "app"],
                         env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert got.returncode == 0, got.stderr
    assert re.search(r"transactions actually processed: 200/200", got.stdout), got.stdout


def test_pgbench_many_queries(server, certs, debian, scratch):
    script = os.path.join(scratch, "some.sql")
    with open(script, "w", encoding="ascii") as f:
        f.write("\\set n random(1, 1000)\nSELECT repeat('x', :n), :n;\n")
    environment = psql.environment(PGPASSWORD=ALICE, PGSSLMODE="require", PGHOST="127.0.0.1",
                                   PGPORT=str(server.port), PGUSER="alice")
    for protocol in ("simple", "extended", "prepared"):
        got = subprocess.run([debian.tool("pgbench"), "-n", "-c", "8", "-j", "2", "-t", "250", "-M", protocol, "-f",
                              script, "app"], env=environment, capture_output=True, text=True, timeout=120,
                             check=False)
        assert "transactions actually processed: 2000/2000" in got.stdout, got.stderr


def test_psql_reads_a_big_script(server, certs):
    """Many statements in one message, and the answer's checksum."""
    sql = "".join(f"SELECT {i};" for i in range(3000))
    got = psql.run(server, sql, ALICE, sslmode="verify-full", sslrootcert=certs.ca_file)
    assert got.returncode == 0, got.stderr
    assert hashlib.sha256(got.stdout.encode()).hexdigest() == hashlib.sha256(
        "".join(f"{i}\n" for i in range(3000)).encode()).hexdigest()
