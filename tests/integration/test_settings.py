"""
pgseal.conf against PostgreSQL 18: syntax, rows of pg_settings, and what it says of bad values.

The gate's half is build/tests/unit/conf/settings_rows, which prints what conf/settings makes of a directory.
"""

import json
import os
import subprocess

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

# The gate's own settings, and those whose meaning it says in its own words.
OWN_BOOT = {"hba_file", "ident_file", "config_file", "data_directory"}
COLUMNS = ["unit", "category", "short_desc", "vartype", "min_val", "max_val", "enumvals", "boot_val"]


@pytest.fixture(scope="module")
def rows_tool(pytestconfig):
    path = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/unit/conf/settings_rows")
    if not os.path.exists(path):
        pytest.fail(f"{path} is not there; run make")
    return path


@pytest.fixture(scope="module")
def postgres(distributions, server_factory):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    return server_factory("pg18")


@pytest.fixture(scope="module")
def db(postgres):
    with postgres.admin() as connection:
        yield connection


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("conf")


def ask(tool, what, directory, *overrides):
    done = subprocess.run([tool, what, str(directory), *overrides], capture_output=True, timeout=20, check=False)
    assert done.returncode in (0, 1), done
    return json.loads(done.stdout)


def test_rows_are_those_of_pg_settings(rows_tool, db, directory):
    (directory / "pgseal.conf").write_text("")
    ours = {r["name"]: r for r in ask(rows_tool, "rows", directory)["rows"]}
    theirs = db.execute(f"SELECT name, {', '.join(COLUMNS)} FROM pg_settings").fetchall()
    compared = 0
    for name, *values in theirs:
        if name not in ours:
            continue
        compared += 1
        for column, value in zip(COLUMNS, values):
            if name in OWN_BOOT and column == "boot_val":
                continue
            assert (ours[name][column] or None) == (value or None), (name, column)
    assert compared >= 36


def test_hidden_settings_are_those_of_postgres(rows_tool, postgres, directory):
    (directory / "pgseal.conf").write_text("")
    ours = {r["name"]: r["hidden"] for r in ask(rows_tool, "rows", directory)["rows"]}
    everything = {r[0] for r in postgres.query("SELECT name FROM pg_settings")}
    with postgres.admin() as db:
        db.execute("CREATE ROLE nobody_special")
        db.execute("SET ROLE nobody_special")
        visible = {r[0] for r in db.execute("SELECT name FROM pg_settings")}
    for name, hidden in ours.items():
        if name in everything:
            assert hidden == (name not in visible), name


VALUES = {
    "authentication_timeout": [
        "30", "1min", "1.5 min", "0.5min", "700", "11min", "0", "5kB", "10x", "1500ms", "500ms", "499ms", "1e2",
        "1e400", "0x10", "010", " 10 ", "abc", "", "60 s x", "60 S", "99999999999999", "2147483648", "-5", "+5",
        "1.5", "0.0001d", "60000000us", "inf", "nan", "1_0", "10 min", "10\tmin ", "1h", "0.0001", "1..5", "0x", "08",
    ],
    "port": ["5433", "0", "65536", "3s", "3.5", "3.4", "1e3", "x", "99999999999", "0b11", "' '"],
    "max_connections": ["300000", "5"],
    "unix_socket_permissions": ["0700", "700", "1000", "0x1ff"],
    "ssl_min_protocol_version": ["", "tlsv1.2", "TLSv1.3", "TLSv1.4", " TLSv1.2"],
    "ssl_max_protocol_version": ["", "tlsv1.2", "x"],
    "log_min_messages": ["debug", "DEBUG5", "x", ""],
    "password_encryption": ["md5", "on", "SCRAM-SHA-256"],
    "log_disconnections": ["on", "ON", "t", "tru", "o", "of", "1", "2", "", " on", "yes ", "n"],
    "ssl_prefer_server_ciphers": ["maybe"],
    "log_connections": [
        "on", "off", "", "receipt", "receipt, authentication", "ALL", "all,receipt", "on,receipt", "receipt,on",
        "foo", "receipt,,", ",", "\"receipt\"", "\"Receipt\"", "receipt authentication", "1", "TRUE", "yes", "0",
        "\"receipt", "setup_durations , authorization", "\"\"",
    ],
    "log_destination": ["stderr", "bar", "a b", "stderr,stderr", "STDERR"],
    "cluster_name": ["x", "f\u00fcnf", "0123456789" * 8],
    "scram_iterations": ["0", "1", "4096", "2147483647", "2147483648"],
    "tcp_keepalives_idle": ["90", "2h", "25d", "1us", "-1"],
    "tcp_keepalives_count": ["3", "3s"],
    "ssl_library": ["x"],
    "no_such_setting": ["x"],
}


WORDS = {"log_connections": "receipt, authentication, authorization, setup_durations, all, on, off",
         "log_destination": "stderr, jsonlog"}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_judged_alike(rows_tool, db, directory, name):
    (directory / "pgseal.conf").write_text("")
    for value in VALUES[name]:
        try:
            db.execute(psycopg.sql.SQL("ALTER SYSTEM SET {} = {}").format(
                psycopg.sql.Identifier(name), psycopg.sql.Literal(value)))
            expected = None
            if value == "0b11":     # a PostgreSQL that was built with glibc 2.38 or later takes it
                expected = ("22023", f'invalid value for parameter "{name}": "{value}"', None, None)
        except psycopg.Error as e:
            expected = (e.sqlstate, e.diag.message_primary, e.diag.message_detail, e.diag.message_hint)
        answer = ask(rows_tool, "rows", directory, f"{name}={value}")
        got = None
        if "errors" in answer:
            (error,) = answer["errors"]
            got = (error["sqlstate"], error["message"], error["detail"] or None, error["hint"] or None)
        if expected and name in WORDS and "syntax" not in expected[2]:   # PostgreSQL does not say which there are
            assert expected[3] is None
            expected = (*expected[:3], f"Available values: {WORDS[name]}.")
        if expected and expected[0] == "55P02":      # "cannot be changed" has a code of its own there
            expected, got = expected[1:], got[1:]
        assert got == expected, (name, value)
    db.execute("ALTER SYSTEM RESET ALL")


SHOWN = {
    "authentication_timeout": ["30", "60", "90", "1.5 min", "600", "1500ms"],
    "log_connections": ["on", "receipt, \"authentication\""],
    "ssl_max_protocol_version": ["tlsv1.2", ""],
    "ssl_groups": ["P-256:X25519"],
    "log_min_messages": ["debug", "ERROR"],
    "scram_iterations": ["10000"],
    "ssl_passphrase_command_supports_reload": ["yes", "f"],
    "ssl_ecdh_curve": ["P-384"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_values_are_shown_alike(rows_tool, postgres, directory, name):
    for value in SHOWN[name]:
        (directory / "pgseal.conf").write_text(f"{name} = '{value}'\n")
        real = "ssl_groups" if name == "ssl_ecdh_curve" else name
        ours = {r["name"]: r for r in ask(rows_tool, "rows", directory)["rows"]}[real]
        kept = dict(postgres.settings)
        postgres.configure({name: value})
        postgres.reload()
        try:
            with postgres.admin() as db:
                assert ours["show"] == db.execute(f"SHOW {name}").fetchone()[0]
                (setting,) = db.execute("SELECT setting FROM pg_settings WHERE name = %s", [real]).fetchone()
                assert ours["setting"] == setting
        finally:
            postgres.settings = kept
            postgres.configure()
            postgres.reload()


# Pieces that a configuration file is made of, good and bad.
PIECES = st.sampled_from([
    "port", "a", "a.b", "A_1", "a.b.c", "a-b", "= ", "=", " ", "  ", "\t", "\r", "#", "# x", "'", "''", "'a b'", "'it''s'",
    "'a\\'b'", "'\\101\\n'", "'x\\", "\\", "1", "1.5", "1.5s", "5min", "0x1F", "1e5", "-1", "+", ".", "..", "on", "a/b:c",
    "ü", "\"", ",", "include", "include_if_exists", "'none'", "$", "%p", "'\\8'", "'\\1234'", "-", "1.e5", "1.5e-3",
])
LINES = st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=5).map("\n".join)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@example("a'x\\= '")
@given(LINES)
def test_syntax_is_read_alike(rows_tool, postgres, db, directory, text):
    """PostgreSQL's view ends at the first syntax error of a file; up to there the rows are equal."""
    (directory / "pgseal.conf").write_bytes(text.encode())
    postgres.write("extra.conf", text)
    postgres.configure()
    with open(postgres.path("postgresql.conf"), "a", encoding="utf-8") as f:
        f.write("\ninclude 'extra.conf'\n")
    theirs = db.execute("SELECT sourceline, name, setting, error FROM pg_file_settings"
                        " WHERE sourcefile LIKE '%/extra.conf' ORDER BY seqno").fetchall()
    ours = ask(rows_tool, "file", directory)
    for expected, got in zip(theirs, ours):
        line, name, setting, error = expected
        latin = [None if v is None else v.encode("latin-1").decode() for v in (got["name"], got["setting"])]
        if error == "syntax error":
            # At the end of a file without a newline PostgreSQL names the line before.
            assert got["error"] == error and got["sourceline"] in (line, line + 1)
            return
        if setting and "=" in setting and "********" in latin[1]:   # under a name that is none of ours: perhaps a conninfo
            latin[1] = setting
        assert (got["sourceline"], *latin) == (line, name, setting)
    assert len(theirs) == len(ours)


@pytest.mark.parametrize("example", ["front", "companion"])
def test_examples_load(rows_tool, program, example):
    directory = os.path.join(os.path.dirname(__file__), "../../dist/examples", example)
    assert "rows" in ask(rows_tool, "rows", directory)
    for command, name in (("hba", "pg_hba.conf"), ("ident", "pg_ident.conf")):
        subprocess.run([program, command, os.path.join(directory, name)], check=True, timeout=20,
                       stdout=subprocess.DEVNULL)
