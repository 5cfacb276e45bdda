"""
The status database as other people's programs see it, over TLS that they verify: psql with its meta commands and
tab completion, psycopg, pgJDBC, a server's postgres_fdw and the script that joins with its pg_stat_activity.

What they ask is answered with rows or with an error at once, and the session goes on.
"""

import glob
import os
import pty
import re
import select
import shutil
import subprocess
import time

import psycopg
import pytest

from lib import psql
from lib.pg import PASSWORDS
from test_status_db import HBA, connect, options

HERE = os.path.dirname(os.path.abspath(__file__))
ALICE = PASSWORDS["alice"]


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    return server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                          settings={"admin_users": "alice", "stats_users": "bob"})


def run_psql(gate, certs, script):
    words = [psql.PSQL, "-Xw", psql.conninfo(**options(gate, certs, password=None))]
    return subprocess.run(words, input=script, capture_output=True, text=True, timeout=20, check=False,
                          env=psql.environment(PGPASSWORD=ALICE))


# -- psql ---------------------------------------------------------------------------------------------------------
# Each with something its answer has.
ROWS = {
    r"\d": "pgseal_sessions", r"\d+": "what the gate knows about each session",
    r"\d pgseal_rules": "shadowed_by", r"\d+ pgseal_rules": "matches all its connections", r"\dS pg_stat_ssl": "client_dn",
    r"\dv": "pgseal_clients", r"\dv+": "who connects how", r"\dvS": "pg_stat_activity",
    r"\l": "pgseal", r"\dn": "public", r"\dn+": "public", r"\dx": "(0 rows)", r"\dT": "(0 rows)", r"\dTS": "inet",
    r"\dconfig ssl": "on", r"\conninfo": "TLSv1.3", r"\encoding": "UTF8",
    r"SELECT ssl FROM pg_stat_ssl \gx": "ssl | t", r"SELECT ssl, bits FROM pg_stat_ssl \gdesc": "bits   | integer",
    "SELECT 'SELECT 41 + 1' \\gexec": "42", r"SELECT 1 AS a, 2 AS b, 3 AS c \crosstabview": "3",
    r"SELECT ARRAY(SELECT x FROM unnest(ARRAY['b', 'a']) x ORDER BY x), ARRAY(SELECT 1 WHERE false);": "{a,b} | {}",
    r"\copy (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) TO STDOUT CSV HEADER": "ssl\nt\n",
}
NOTHING = [r"\dt", r"\dt+", r"\dtS", r"\di", r"\ds", r"\dm", r"\dE", r"\d nosuch"]
REFUSED = [r"\du", r"\df", r"\l+", r"\db", r"\dp", r"\dc", r"\dC", r"\dd", r"\des", r"\do", r"\drds", r"\dRp", r"\lo_list",
           r"\sf pg_reload_conf", r"\dy", r"\dF", r"\dA+", r"\ddp"]


@pytest.mark.parametrize("command", ROWS)
def test_psql_shows(gate, certs, command):
    got = run_psql(gate, certs, command + "\n")
    assert got.stderr == "" and ROWS[command] in got.stdout


@pytest.mark.parametrize("command", NOTHING + REFUSED)
def test_psql_is_told_at_once(gate, certs, command):
    """Nothing there, or an error with its place; the next statement of the session is answered."""
    got = run_psql(gate, certs, command + "\nSELECT 40 + 2;\n")
    lines = got.stderr.splitlines()
    if command in NOTHING:
        assert len(lines) == 1 and lines[0].startswith("Did not find any relation")
    else:
        assert lines[0].startswith("ERROR:  ") and "does not exist" in lines[0], lines
    assert " 42\n" in got.stdout


def test_psql_watch(gate, certs):
    """It asks again and again, in one session, until it is interrupted."""
    words = [psql.PSQL, "-Xwqt", psql.conninfo(**options(gate, certs, password=None))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=psql.environment(PGPASSWORD=ALICE)) as running:
        try:
            running.stdin.write("SELECT 'pid ' || pg_backend_pid() \\watch 0.1\n")
            running.stdin.flush()
            answers = []
            while len(answers) < 3:
                line = running.stdout.readline()
                assert line, running.stderr.read()
                if "pid" in line:
                    answers.append(line.strip())
        finally:
            running.kill()
    assert len(set(answers)) == 1


class Terminal:
    """psql on a terminal of its own."""

    def __init__(self, words, environment):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, environment)

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern, timeout=20):
        """Until the pattern is in what came since the last time; returns what led to it."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"waited in vain for {pattern!r} in {self.text!r}"
            self.text += re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\x07|\r", "", os.read(self.fd, 65536).decode())
        seen, self.text = self.text[:found.end()], self.text[found.end():]
        return seen

    def close(self):
        self.send("\x15\\q\n")
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(gate, certs):
    conninfo = psql.conninfo(**options(gate, certs, password=None))
    opened = Terminal([psql.PSQL, "-Xw", conninfo],
                      psql.environment(PGPASSWORD=ALICE, TERM="dumb", PAGER="cat", PSQL_PAGER="cat", INPUTRC="/dev/null"))
    opened.wait_for("pgseal=[>#] ")
    yield opened
    opened.close()


def test_psql_completes_names(terminal):
    terminal.send("SELECT * FROM pgseal_cert\t")
    terminal.wait_for("pgseal_certificates ")
    terminal.send("\x15SELECT shadowed_by FROM pgseal_rules WHERE shad\t")
    terminal.wait_for("WHERE shadowed_by ")
    terminal.send("\x15\\d pg_stat_ss\t")
    terminal.wait_for("pg_stat_ssl ")
    terminal.send("\x15SHOW ssl_min_pro\t")
    terminal.wait_for("ssl_min_protocol_version")


@pytest.mark.parametrize("typed", ["DROP FUNCTION pg_r", "ALTER ROLE al", "GRANT SELECT ON ", "\\df pg_re", "SET ROLE a",
                                   "CREATE INDEX ON ", "SELECT pg_catalog.pg_re", "COMMENT ON COLUMN ", "\\c pgs",
                                   "ALTER SYSTEM SET ssl", "UPDATE pg_", "\\dconfig ssl_", "ANALYZE "])
def test_psql_completion_never_hangs(terminal, typed):
    """Whatever completion asks the server, the terminal is back at once and the session in order."""
    terminal.send(typed + "\t\t")
    terminal.send("\x15SELECT 'al' || 'ive' AS word;\n")
    terminal.wait_for("\n alive\n")


# -- psycopg --------------------------------------------------------------------------------------------------------
def test_psycopg_cursors_binary_and_pipeline(gate, certs):
    with psycopg.connect(**options(gate, certs)) as db:
        with db.cursor(name="few") as cursor:
            cursor.itersize = 10
            cursor.execute("SELECT n FROM generate_series(1, 95) AS g(n)")
            assert cursor.fetchmany(20) == [(n,) for n in range(1, 21)]
            assert len(cursor.fetchall()) == 75
        for binary in (False, True):
            with db.cursor(binary=binary) as cursor:
                row = cursor.execute("SELECT pid, ssl, version, backend_start, client_addr, ARRAY['a', NULL] "
                                     "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = %s",
                                     [db.info.backend_pid]).fetchone()
                assert row[:3] == (db.info.backend_pid, True, "TLSv1.3") and str(row[4]) == "127.0.0.1"
                assert row[3].tzinfo is not None and row[5] == ["a", None]
        with db.pipeline():
            answers = [db.execute("SELECT %s::int4 * 2", [n]) for n in range(50)]
        assert [a.fetchone()[0] for a in answers] == [2 * n for n in range(50)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            with db.transaction(), db.pipeline() as pipeline:
                db.execute("SELECT 1")
                db.execute("SELECT * FROM nosuch")
                pipeline.sync()
        assert db.execute("SELECT 3").fetchone() == (3,)


# -- pgJDBC ---------------------------------------------------------------------------------------------------------
JARS = ["/usr/share/java/postgresql.jar", *glob.glob("/usr/share/java/*scram*.jar"),
        *glob.glob("/usr/share/java/*prep.jar")]


@pytest.mark.skipif(not shutil.which("java") or not os.path.exists(JARS[0]), reason="pgJDBC is not installed")
@pytest.mark.parametrize("more", ["", "&preferQueryMode=simple", "&prepareThreshold=1&binaryTransfer=true"])
def test_pgjdbc(gate, certs, more):
    url = f"jdbc:postgresql://localhost:{gate.port}/pgseal?sslmode=verify-full&sslrootcert={certs.ca_file}{more}"
    got = subprocess.run(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Metadata.java"), url, "alice", ALICE],
                         capture_output=True, text=True, timeout=100, check=False)
    assert got.returncode == 0, got.stderr
    said = dict(line.split(" ", 1) for line in got.stdout.splitlines())
    with connect(gate, certs) as db:
        views = db.execute("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                           "WHERE nspname = 'public' AND relname LIKE 'pgseal%'").fetchone()[0]
        columns = len(db.execute("SELECT * FROM pgseal_rules LIMIT 0").description)
    assert said["PostgreSQL"] == "18" and said["getCatalogs"] == "1" and said["getSchemas"] == "2"
    assert said["getTables"] in (str(views), "TABLE 0") and said["getColumns"] == str(columns)
    assert f"getTables {views}\ngetTables TABLE 0\n" in got.stdout
    assert int(said["getTypeInfo"]) > 10 and said["getSQLKeywords"] == "true"
    for what in ("getPrimaryKeys", "getIndexInfo", "getFunctions", "getProcedures", "getTablePrivileges"):
        assert re.match(r"(\d+$|3F000 ERROR: |42P01 ERROR: )", said[what]), said[what]
    assert said["types"] == "int4 bool text numeric timestamptz inet"
    assert said["tls"] == "true TLSv1.3 true" and said["fetched"] == "500500"
    assert said["timeout"] == "57014 ERROR: canceling statement due to user request" and said["valid"] == "true"


# -- a server's postgres_fdw ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def server(factory):
    """The upstream server, with postgres_fdw; its database db2, so that nobody else sees what is made there."""
    behind = factory.upstream()
    with behind.admin("db2") as db:
        if not db.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchone():
            pytest.skip("postgres_fdw is not installed")
    yield behind
    with behind.admin("db2") as db:
        db.execute("DROP SCHEMA IF EXISTS gate CASCADE")
        db.execute("DROP EXTENSION IF EXISTS postgres_fdw CASCADE")


def make_views(gate, certs, server):
    """Run the script as its head says."""
    script = os.path.join(HERE, "../../dist/gate-views.sql")
    words = [psql.PSQL, "-Xqw", "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", "-d", "db2",
             "-v", "gate_host=localhost", "-v", f"gate_port={gate.port}", "-v", f"gate_ca={certs.ca_file}",
             "-v", "gate_user=alice", "-v", f"gate_password={ALICE}", "-f", script]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=psql.environment())


def test_the_script_joins_with_the_servers_activity(gate, certs, server):
    for _ in range(2):    # it may be run again
        made = make_views(gate, certs, server)
        assert made.returncode == 0, made.stderr
    with server.admin("db2") as db, connect(gate, certs, dbname="app", application_name="joined") as app:
        app.execute("SELECT 'it is me'")
        rows = db.execute("SELECT datname, usename, application_name, state, query, host(client_addr), a.system_user, ssl, "
                          "version, bits FROM gate.activity a WHERE pid = %s", [app.info.backend_pid]).fetchall()
        assert rows == [("app", "alice", "joined", "idle", "SELECT 'it is me'", "127.0.0.1", "scram-sha-256:alice",
                         True, "TLSv1.3", 256)]
        own = db.execute("SELECT ssl FROM gate.activity WHERE pid = pg_backend_pid()").fetchall()
        assert own == [(None,)]


PUSHED = {
    "join": "SELECT s.pid, x.user_name FROM gate.pg_stat_ssl s JOIN gate.pgseal_sessions x USING (pid) WHERE s.ssl",
    "left join": "SELECT s.pid, r.rule_number FROM gate.pgseal_sessions s LEFT JOIN gate.pgseal_rules r "
                 "ON r.file_name = s.rule_file AND r.line_number = s.rule_line ORDER BY 1, 2",
    "aggregate": "SELECT version, count(*), max(bits), min(cipher), bool_and(ssl) FROM gate.pg_stat_ssl GROUP BY version "
                 "HAVING count(*) > 0 ORDER BY version NULLS FIRST",
    "distinct aggregate": "SELECT count(DISTINCT user_name) FROM gate.pgseal_sessions",
    "filtered aggregate": "SELECT count(*) FILTER (WHERE ssl), avg(bits) FROM gate.pg_stat_ssl",
    "order and limit": "SELECT name, setting FROM gate.pg_settings WHERE name LIKE 'ssl%' ORDER BY name DESC LIMIT 3 OFFSET 1",
    "arrays": "SELECT rule_number, database, user_name FROM gate.pgseal_rules WHERE 'alice' = ANY (user_name) ORDER BY 1",
    "in list": "SELECT name FROM gate.pg_settings WHERE name = ANY (ARRAY['ssl', 'port']) ORDER BY 1",
    "times": "SELECT count(*) FROM gate.pg_stat_activity WHERE backend_start <= now() AND backend_start > now() - "
             "interval '1 hour' AND datname = 'app'",
    "addresses": "SELECT count(*) > 0 FROM gate.pgseal_sessions WHERE client_addr = '127.0.0.1'::inet",
    "case": "SELECT CASE WHEN ssl THEN 'sealed' ELSE 'open' END AS how, count(*) FROM gate.pg_stat_ssl GROUP BY 1 ORDER BY 1",
    "subquery": "SELECT name FROM gate.pg_settings WHERE setting IN (SELECT 'on') AND name LIKE 'ssl%' ORDER BY 1",
    "whole rows": "SELECT r.rule_number, r::text FROM gate.pgseal_rules r ORDER BY rule_number LIMIT 1",
    "semi join": "SELECT DISTINCT user_name FROM gate.pgseal_sessions s WHERE EXISTS (SELECT 1 FROM gate.pg_stat_ssl t "
                 "WHERE t.pid = s.pid AND t.ssl) ORDER BY 1",
    "numbers": "SELECT count(*) FROM gate.pgseal_sessions WHERE bytes_in % 2 = 0 OR bytes_out + 1 > 0",
}


# What must stand in the statement that the gate gets: these are not worked out by the server.
REMOTELY = {"join": "INNER JOIN", "left join": "LEFT JOIN", "aggregate": "GROUP BY", "order and limit": "LIMIT",
            "filtered aggregate": "FILTER (WHERE", "in list": "= ANY", "addresses": "client_addr = '127.0.0.1'", "arrays": "ANY"}


@pytest.mark.parametrize("what", PUSHED)
def test_what_postgres_fdw_pushes_down(gate, certs, server, what):
    """The answer is the same as where everything is fetched and worked out by the server itself."""
    assert make_views(gate, certs, server).returncode == 0
    with server.admin("db2") as db, connect(gate, certs, dbname="app"), connect(gate, certs, dbname="app"):
        for setting in ("enable_hashjoin", "enable_mergejoin", "enable_nestloop"):
            db.execute(f"SET {setting} = off")    # so that joins go to the gate, however small
        plan = "\n".join(row[0] for row in db.execute("EXPLAIN (VERBOSE) " + PUSHED[what]))
        remote = " ".join(re.findall(r"Remote SQL: (.*)", plan))
        assert REMOTELY.get(what, "SELECT") in remote, plan
        pushed = db.execute(PUSHED[what]).fetchall()
        local = re.sub(r"gate\.(\w+)", r"(SELECT * FROM gate.\1 OFFSET 0)", PUSHED[what])
        local = re.sub(r"OFFSET 0\)(?= (WHERE|GROUP|ORDER)|$)", "OFFSET 0) AS all_rows", local)
        assert pushed == db.execute(local).fetchall()
        assert pushed


def test_parameterised_scans(gate, certs, server):
    """The gate is asked once per outer row, with a parameter."""
    assert make_views(gate, certs, server).returncode == 0
    with server.admin("db2") as db:
        sql = ("SELECT w.name, (SELECT s.setting FROM gate.pg_settings s WHERE s.name = w.name) "
               "FROM (VALUES ('ssl'), ('port'), ('nothing')) AS w(name) ORDER BY 1")
        plan = "\n".join(row[0] for row in db.execute("EXPLAIN (VERBOSE, COSTS OFF) " + sql))
        assert re.search(r"Remote SQL: .* WHERE .*\$1", plan), plan
        assert db.execute(sql).fetchall() == [("nothing", None), ("port", str(gate.port)), ("ssl", "on")]
        prepared = "SELECT setting FROM gate.pg_settings WHERE name = %s"
        for _ in range(8):    # a generic plan from the sixth on
            assert db.execute(prepared, ["ssl"], prepare=True).fetchone() == ("on",)


def test_remote_estimates_are_refused_in_words(gate, certs, server):
    assert make_views(gate, certs, server).returncode == 0
    with server.admin("db2") as db:
        db.execute("ALTER SERVER pgseal_gate OPTIONS (ADD use_remote_estimate 'true')")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="EXPLAIN"):
            db.execute("SELECT * FROM gate.pg_settings")


def test_analyze(gate, certs, server):
    assert make_views(gate, certs, server).returncode == 0
    with server.admin("db2") as db:
        db.execute("ANALYZE gate.pg_settings")
        assert db.execute("SELECT reltuples > 40 FROM pg_class WHERE oid = 'gate.pg_settings'::regclass").fetchone()[0]
