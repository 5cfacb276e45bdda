"""
The status database's engine with real clients, behind a bare socket (tests/unit/status/console_server.c).

What PostgreSQL itself can answer is judged by PostgreSQL: see console_statements.sql.
"""

import datetime
import decimal
import glob
import ipaddress
import json
import os
import shutil
import subprocess

import psycopg
import pytest

from lib import psql

HERE = os.path.dirname(os.path.abspath(__file__))


class Engine:
    """A running console_server: three sessions (4711 alice, 4712 bob, 4713 carol), or many."""

    def __init__(self, path, *options):
        self.process = subprocess.Popen([path, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.host = "127.0.0.1"
        self.port = int(self.process.stdout.readline())

    def connect(self, user="admin", **more):
        return psycopg.connect(host=self.host, port=self.port, user=user, dbname="pgseal", sslmode="disable",
                               autocommit=more.pop("autocommit", True), **more)

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


@pytest.fixture
def start(pytestconfig):
    path = os.path.join(pytestconfig.getoption("--build"), "tests", "unit", "status", "console_server")
    if not os.path.exists(path):
        pytest.skip("console_server is not built")
    engines = []

    def start(*options):
        engines.append(Engine(path, *options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(start):
    return start()


# -- psql ---------------------------------------------------------------------------------------------------------
def run_psql(engine, script, user="admin"):
    got = subprocess.run([psql.PSQL, "-X", psql.conninfo(host=engine.host, port=engine.port, user=user, dbname="pgseal",
                                                         sslmode="disable")],
                         input=script, env=psql.environment(), capture_output=True, text=True, timeout=60, check=False)
    return got.stdout, got.stderr


def test_psql_meta_commands(engine):
    watch = "SELECT 1 AS one \\watch c=2 i=0.01\n" if psql.MAJOR >= 16 else ""
    out, err = run_psql(engine, "\\x\nSELECT pid, version FROM pg_stat_ssl WHERE pid = 4712;\n\\x\n"
                        "SELECT pid, client_serial, database FROM pg_stat_ssl, pg_hba_file_rules \\gdesc\n"
                        "SELECT pid AS p FROM pg_stat_ssl ORDER BY 1 LIMIT 1 \\gset\n\\echo pid is :p\n"
                        "\\copy (SELECT pid, client_dn FROM pg_stat_ssl ORDER BY 1) TO STDOUT CSV HEADER\n"
                        "\\copy pg_stat_ssl (pid) TO STDOUT\n" + watch)
    assert err == ""
    assert "pid     | 4712\nversion | TLSv1.2\n" in out
    assert " pid           | integer\n client_serial | numeric\n database      | text[]\n" in out
    assert "pid is 4711\n" in out
    assert 'pid,client_dn\n4711,\n4712,"/O=Acme\\, Inc/CN=bob"\n4713,\n4711\n4712\n4713\n' in out


def test_psql_lists_and_describes(engine):
    out, err = run_psql(engine, "\\dv\n\\d pg_stat_ssl\n\\dv+ pgseal_rules\n\\dn\n")
    assert err == ""
    assert " public | pgseal_sessions     | view | pgseal\n" in out
    assert ' client_serial | numeric |           |          | \n' in out
    assert out.count('View "pg_catalog.pg_stat_ssl"') == 1
    assert "each rule in force and how often it decided" in out


def test_psql_shows_where_an_error_is(engine):
    _, err = run_psql(engine, "SELECT 'ä', nope FROM pg_stat_ssl;\n")
    assert err == ('ERROR:  column "nope" does not exist\nLINE 1: SELECT \'ä\', nope FROM pg_stat_ssl;\n'
                   "                    ^\n")


def test_psql_reload_is_told(engine):
    out, err = run_psql(engine, "SELECT pg_reload_conf();")
    assert "configuration reloaded, generation 2" in err and " t\n" in out


# -- judged by PostgreSQL -------------------------------------------------------------------------------------------
def statements(major):
    out, since = [], 0
    with open(os.path.join(HERE, "console_statements.sql"), encoding="utf-8") as f:
        for line in f.read().splitlines():
            if line.startswith("--since "):
                since = int(line.split()[1])
            if line.startswith("--") or since > major:
                continue
            if line.startswith(" "):
                out[-1] += "\n" + line
            else:
                out.append(line)
    return out


def answer(db, sql):
    """Everything a client sees of one statement."""
    try:
        cursor = db.execute(sql.encode(), prepare=False)
    except psycopg.Error as e:
        if db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            db.execute("ROLLBACK", prepare=False)
        return e.diag.sqlstate, e.diag.message_primary, e.diag.statement_position
    if db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        db.execute("ROLLBACK", prepare=False)
    result = cursor.pgresult
    if cursor.description is None:
        return cursor.statusmessage
    columns = [(c.name, c.type_code) for c in cursor.description]
    rows = [[result.get_value(i, j) for j in range(result.nfields)] for i in range(result.ntuples)]
    return columns, rows, cursor.statusmessage


def test_statements_as_postgresql(engine, factory, distributions):
    judge = factory.postgres(distributions["pg18"]) if "pg18" in distributions else factory.upstream()
    with engine.connect() as ours, judge.admin() as theirs:
        theirs.execute("SET timezone = 'UTC'", prepare=False)
        different = {}
        for sql in statements(judge.major):
            wanted, got = answer(theirs, sql), answer(ours, sql)
            theirs.execute("SET timezone = 'UTC'", prepare=False)
            if wanted != got:
                different[sql] = (wanted, got)
    assert different == {}


# -- drivers ------------------------------------------------------------------------------------------------------
def test_psycopg_parameters(engine):
    utc = datetime.timezone.utc
    with engine.connect() as db:
        assert db.info.server_version >= 180000
        one = lambda sql, *values: db.execute(sql, values).fetchall()
        assert one("SELECT version FROM pg_stat_ssl WHERE pid = %s", 4712) == [("TLSv1.2",)]
        assert one("SELECT pid FROM pg_stat_ssl WHERE pid = ANY(%s)", [4711, 4713]) == [(4711,), (4713,)]
        assert one("SELECT pid FROM pg_stat_activity WHERE client_addr = %s",
                   ipaddress.ip_address("192.0.2.7")) == [(4711,)]
        assert one("SELECT pid FROM pg_stat_ssl WHERE client_serial = %s",
                   decimal.Decimal("1208925819614629174706189")) == [(4712,)]
        assert one("SELECT count(*) FROM pg_stat_activity WHERE backend_start > %s",
                   datetime.datetime(2026, 1, 1, tzinfo=utc)) == [(3,)]
        for _ in range(7):
            assert db.execute("SELECT pid FROM pg_stat_ssl WHERE pid = %s", [4711], prepare=True).fetchone() == (4711,)


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_types(engine, binary):
    with engine.connect() as db, db.cursor(binary=binary) as cursor:
        row = cursor.execute("SELECT s.pid, ssl, client_serial, client_addr, backend_start, usename, query_id "
                             "FROM pg_stat_ssl s JOIN pg_stat_activity USING (pid) WHERE pid = 4712").fetchone()
        assert row == (4712, True, decimal.Decimal("1208925819614629174706189"), ipaddress.ip_address("2001:db8::7"),
                       datetime.datetime(2026, 11, 21, 2, 30, 0, 4712, tzinfo=datetime.timezone.utc), "bob", None)
        assert cursor.execute("SELECT database, options FROM pg_hba_file_rules").fetchall() == [
            (["all"], None), (["/^a{1,2}$", "", "sales"], ["map=x", "clientcert=verify-full"])]
        assert cursor.execute("SELECT ARRAY[1,NULL], 1.5::float8, interval '1 day 2 hours', '2026-01-01'::date, "
                              "-0.00012::numeric").fetchone() == (
            [1, None], 1.5, datetime.timedelta(days=1, hours=2), datetime.date(2026, 1, 1), decimal.Decimal("-0.00012"))


def test_psycopg_cursors_copy_pipeline_and_savepoints(engine):
    with engine.connect(autocommit=False) as db:
        with db.cursor(name="c") as cursor:
            cursor.itersize = 2
            assert list(cursor.execute("SELECT pid FROM pg_stat_ssl WHERE pid > %s", [1])) == [(4711,), (4712,), (4713,)]
        with db.cursor().copy("COPY (SELECT pid, client_dn FROM pg_stat_ssl) TO STDOUT") as copy:
            assert list(copy.rows()) == [("4711", None), ("4712", "/O=Acme\\, Inc/CN=bob"), ("4713", None)]
        with db.pipeline():
            a, b = db.execute("SELECT 1"), db.execute("SELECT %s::int", [2])
        assert (a.fetchone(), b.fetchone()) == ((1,), (2,))
        with db.transaction():
            with pytest.raises(psycopg.errors.DivisionByZero):
                with db.transaction():
                    db.execute("SELECT 1/0")
            assert db.execute("SELECT 2").fetchone() == (2,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            db.execute("INSERT INTO pg_stat_ssl VALUES (%s)", [1])
        db.rollback()


def test_node_postgres(engine, pytestconfig):
    modules = os.path.join(os.path.dirname(os.path.abspath(pytestconfig.getoption("--build"))), "build", "npm",
                           "node_modules")
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("node-postgres is not installed (tools/npm.sh)")
    got = subprocess.run(["node", os.path.join(HERE, "node", "console.js"), str(engine.port)], capture_output=True,
                         env=psql.environment(NODE_PATH=modules), text=True, timeout=60, check=False)
    assert got.returncode == 0, got.stderr
    out = json.loads(got.stdout)
    assert out["ssl"][1] == {"pid": 4712, "ssl": True, "client_serial": "1208925819614629174706189"}
    assert out["param"] == [{"pid": 4711, "client_addr": "192.0.2.7"}]
    assert out["named"] == [[{"database": ["/^a{1,2}$", "", "sales"]}]] * 2
    assert out["script"] == [[{"pg_reload_conf": True}], [{"ssl": "on"}]]
    assert out["notices"] == ["configuration reloaded, generation 2"]
    assert out["error"] == ["42P01", "15"]


@pytest.mark.parametrize("options", ["", "?prepareThreshold=1&binaryTransfer=true", "?preferQueryMode=simple"])
def test_pgjdbc(engine, options):
    jars = ["/usr/share/java/postgresql.jar", *glob.glob("/usr/share/java/*scram*.jar"),
            *glob.glob("/usr/share/java/*prep.jar")]
    if not shutil.which("java") or not os.path.exists(jars[0]):
        pytest.skip("pgJDBC is not installed (libpostgresql-jdbc-java)")
    got = subprocess.run(["java", "-cp", ":".join(jars), os.path.join(HERE, "java", "Session.java"),
                          f"jdbc:postgresql://127.0.0.1:{engine.port}/pgseal{options}", "admin"],
                         capture_output=True, text=True, timeout=120, check=False)
    assert got.returncode == 0, got.stderr
    # The driver names the catalog since 42.7.
    assert got.stdout.replace("\npgseal|public|", "\nnull|public|").splitlines() == [
        "valid true", "4711|true|TLSv1.3|null", "4712|true|TLSv1.2|1208925819614629174706189", "4713|false|null|null",
        "4711|alice|192.0.2.7|null", "[all]|null", "[/^a{1,2}$, , sales]|[map=x, clientcert=verify-full]",
        "4711", "4712", "4713", "error 42703",
        "null|public|pgseal_rules|VIEW|each rule in force and how often it decided|||||",
        "pid int4", "ssl bool", "version text", "cipher text", "bits int4", "client_dn text", "client_serial numeric",
        "issuer_dn text"]


# -- postgres_fdw ---------------------------------------------------------------------------------------------------
def test_postgres_fdw(engine, factory):
    with factory.upstream().admin() as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
        db.execute("DROP SERVER IF EXISTS seal CASCADE")
        db.execute("DROP SCHEMA IF EXISTS seal CASCADE")
        db.execute(f"CREATE SERVER seal FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port "
                   f"'{engine.port}', dbname 'pgseal', sslmode 'disable')")
        db.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER seal OPTIONS (user 'admin')")
        db.execute("CREATE SCHEMA seal")
        db.execute("IMPORT FOREIGN SCHEMA public FROM SERVER seal INTO seal")
        tables = {r[0] for r in db.execute("SELECT relname FROM pg_class WHERE relnamespace = 'seal'::regnamespace")}
        assert {"pg_stat_ssl", "pgseal_sessions", "pgseal_certificates", "pg_settings"} <= tables
        assert db.execute("SELECT s.pid, x.user_name FROM seal.pg_stat_ssl s JOIN seal.pgseal_sessions x USING (pid) "
                          "WHERE s.ssl AND s.version LIKE 'TLS%' AND s.pid IN (4711, 4712) ORDER BY 1").fetchall() == [
            (4711, "alice"), (4712, "bob")]
        assert db.execute("SELECT version, count(*), max(client_serial) FROM seal.pg_stat_ssl WHERE ssl GROUP BY 1 "
                          "ORDER BY 1").fetchall() == [
            ("TLSv1.2", 1, decimal.Decimal("1208925819614629174706189")), ("TLSv1.3", 1, None)]
        assert db.execute("SELECT a.pid, s.ssl FROM pg_stat_activity a LEFT JOIN seal.pg_stat_ssl s USING (pid) "
                          "WHERE a.pid = pg_backend_pid()").fetchone()[1] is None
        db.execute("DROP SERVER seal CASCADE")


# -- much and long -----------------------------------------------------------------------------------------------
def test_ten_thousand_sessions(start):
    engine = start("-n", "10000")
    with engine.connect() as db:
        rows = db.execute("SELECT pid, usename, ssl, client_addr FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)").fetchall()
        assert len(rows) == 10000
    with engine.connect("u3") as db:
        assert db.execute("SELECT count(*) FROM pg_stat_ssl").fetchone() == (1000,)


def test_runaway_query_ends(start):
    with start("-t", "300").connect() as db:
        with pytest.raises(psycopg.errors.QueryCanceled):
            db.execute("SELECT count(*) FROM pg_settings a, pg_settings b, pg_settings c, pg_settings d, pg_settings e")
        assert db.execute("SELECT 1").fetchone() == (1,)
