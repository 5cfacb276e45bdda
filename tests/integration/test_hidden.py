"""
A password in settings or rules is shown to nobody: not in the log, not in errors, not by the status database.
What PostgreSQL keeps for superusers, the gate keeps for admin_users.
"""

import json
import os
import re
import subprocess
import tempfile

import psycopg
import pytest

from lib import run
from lib.pg import PASSWORDS

SECRET = "xyzzy"     # every secret here is made of it, and so are its pieces
NO_DETAILS = {"admin_users": "alice", "stats_users": "bob", "workers": "1", "log_min_messages": "debug1"}
HBA = f"""\
host  pgseal  alice,bob,carol  127.0.0.1/32  scram-sha-256
host  app     carol            127.0.0.1/32  ldap ldapserver=127.0.0.1 ldapbasedn=dc=x "ldapbindpasswd={SECRET} {SECRET}" ldapbinddn=cn=x
host  app     bob              127.0.0.1/32  radius "radiusservers=127.0.0.1,127.0.0.1" radiussecrets="{SECRET},{SECRET}" # {SECRET}
"""
SUPERUSERS = ["pg_hba_file_rules", "pg_file_settings", "pg_ident_file_mappings"]


def upstream(rest):
    return f"host=/tmp/nowhere sslpassword='it is {SECRET}' {rest}"


@pytest.fixture(scope="module")
def gate(factory):
    g = factory.gate(upstream=upstream("user=gate"), hba=HBA,
                     settings={**NO_DETAILS, "upstream.app": f"postgresql://gate@127.0.0.1:1/app?sslmode=disable&sslpassword={SECRET}",
                               "auth_source.app": "upstream"})
    yield g
    factory.stop(g)


def connect(gate, user="alice"):
    return psycopg.connect(host="127.0.0.1", port=gate.port, user=user, password=PASSWORDS[user], dbname="pgseal",
                           sslmode="disable", autocommit=True)


def everything(db, sql):
    return repr(db.execute(sql).fetchall())


def command(gate, *words):
    done = subprocess.run([gate.program, *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


# -- settings -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("user", ["alice", "bob"])
def test_settings_are_shown_without_their_passwords(gate, user):
    with connect(gate, user) as db:
        for sql in ["SELECT setting FROM pg_settings WHERE name = 'upstream'", "SHOW upstream",
                    "SELECT reset_val FROM pg_settings WHERE name = 'upstream'", "SELECT current_setting('upstream')"]:
            assert db.execute(sql).fetchone() == ("host=/tmp/nowhere sslpassword=******** user=gate",)
        assert db.execute("SELECT setting FROM pg_settings WHERE name = 'upstream.app'").fetchone() == \
            ("postgresql://gate@127.0.0.1:1/app?sslmode=disable&sslpassword=********",)
        for table in ["pg_settings", "pgseal_upstreams", "pgseal_rules", "pgseal_generations", "pgseal_findings",
                      "pgseal_failures", "pg_stat_activity", "pgseal_sessions", "pgseal_certificates"]:
            assert SECRET not in everything(db, f"SELECT * FROM {table}"), table
        assert SECRET not in everything(db, "SHOW ALL")


def test_nor_are_those_of_the_files(gate):
    with connect(gate) as db:
        assert db.execute("SELECT setting, applied FROM pg_file_settings WHERE name = 'upstream'").fetchall() == \
            [("host=/tmp/nowhere sslpassword=******** user=gate", True)]
        assert SECRET not in everything(db, "SELECT * FROM pg_file_settings")


def test_a_changed_password_is_logged_without_it(gate):
    before = gate.upstream
    gate.upstream = upstream("user=gate").replace(SECRET, SECRET * 2)
    gate.configure()
    words = gate.reload()
    assert 'parameter "upstream" changed' in words and SECRET not in words
    gate.upstream = before
    gate.configure()
    assert SECRET not in gate.reload()


def test_a_changed_passphrase_command_is_logged_without_it(gate):
    gate.configure(settings={"ssl_passphrase_command": f"echo {SECRET}"})
    words = gate.reload()
    assert 'parameter "ssl_passphrase_command" changed' in words and SECRET not in words
    gate.configure(settings={"ssl_passphrase_command": None})
    gate.reload()


# In order: the value as it is written, and a part of what must be said of it.
MALFORMED = [
    (f"'postgresql://gate:{SECRET}@[::1/app'", "postgresql://gate:********@[::1/app"),
    (f"'postgresql://gate:{SECRET}%zz@host/app'", 'invalid percent-encoded token: "********"'),
    (f"'postgresql://gate:{SECRET}@host/app'", '"password" may not be used'),
    (f"'postgresql://gate:x/{SECRET}@host/app'", "postgresql://gate:********@host/app"),
    (f"'postgresql://gate:12/{SECRET}@host/app'", "postgresql://gate:********@host/app"),
    (f"'postgresql://gate:12/x?{SECRET}=y@host/app'", "postgresql://gate:********@host/app"),
    (f"'postgresql://gate:x@{SECRET}@host/app'", "postgresql://gate:********@host/app"),
    (f"'postgressql://gate:{SECRET}@host/app'", "postgressql://gate:********@host/app"),
    (f"'host=h password=a {SECRET}'", 'missing "=" after "********"'),
    (f"'host=h password=a {SECRET}=b'", 'invalid connection option "********"'),
    (f"'host=h pasword={SECRET}'", 'invalid connection option "pasword"'),
    (f"'host=h password='{SECRET}'", 'near token "********"'),
    (f"postgresql://gate:{SECRET}", 'invalid integer value "********"'),
    (f"postgresql://gate:{SECRET}@host", 'near token "********"'),
    (f"'host=h scram_client_key={SECRET}'", '"scram_client_key" may not be used'),
    (f"'host=h oauth_client_secret={SECRET}'", '"oauth_client_secret" may not be used'),
]


@pytest.mark.parametrize("name", ["upstream", "upstream.app"])
@pytest.mark.parametrize("value, said", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_upstream_is_quoted_without_its_password(gate, name, value, said):
    """In every place that tells of a refused reload: log, pgseal_generations, pg_file_settings."""
    good = open(gate.path("pgseal.conf"), encoding="utf-8").read()
    gate.write("pgseal.conf", re.sub(r"(?m)^upstream = .*", "", good) + f"{name} = {value}\n")
    words = gate.reload()
    with connect(gate) as db:
        told = everything(db, "SELECT * FROM pg_file_settings") + everything(db, "SELECT * FROM pgseal_generations")
    status, checked = command(gate, "serve", "-D", gate.dir, "--check")
    gate.write("pgseal.conf", good)
    assert "reload_failed" in words and said in words
    assert status != 0 and said in checked.replace('\\"', '"')
    assert SECRET not in words + told + checked


@pytest.mark.parametrize("text, said", [
    (f"upstream=postgresql://gate:{SECRET}@[::1/app", "gate:********@[::1/app"),
    (f"postgresql://gate:{SECRET}@host/app", "gate:********@host/app"),
    (f"upstream postgresql://gate:{SECRET}@host/app", "gate:********@host/app"),
    (f"postgresql://gate:{SECRET}@host/app?sslmode=require", "gate:********@host/app"),
])
def test_nor_on_the_command_line(gate, text, said):
    status, told = command(gate, "serve", "-D", gate.dir, "--check", "-c", text)
    assert status != 0 and said in told and SECRET not in told


def test_a_misspelt_setting(gate):
    good = open(gate.path("pgseal.conf"), encoding="utf-8").read()
    gate.write("pgseal.conf", good + f"upstreem = 'host=h password={SECRET}'\nupstraem = 'postgresql://u:{SECRET}@h/d'\n")
    words = gate.reload()
    with connect(gate) as db:
        rows = dict(db.execute("SELECT name, setting FROM pg_file_settings WHERE name LIKE 'upstr%m'").fetchall())
    gate.write("pgseal.conf", good)
    assert 'unrecognized configuration parameter "upstreem"' in words and SECRET not in words
    assert rows == {"upstream": "host=/tmp/nowhere sslpassword=******** user=gate",
                    "upstreem": "host=h password=********", "upstraem": "postgresql://u:********@h/d"}


def test_the_commands(gate, tmp_path):
    for words, said in [(["init", str(tmp_path / "g"), "--upstream", f"postgresql://u:{SECRET}@[::1/d"], "u:********@[::1/d"),
                        (["probe", f"u:{SECRET}@host"], 'invalid endpoint: "u:********@host"'),
                        (["probe", f"postgresql://u:{SECRET}%zz@host"], '"********"'),
                        (["explain", "-D", gate.dir, f"host=h password=a {SECRET}"], '"********" is not a fact'),
                        (["explain", "-D", gate.dir, f"postgresql://u:{SECRET}@[::1/d"], "u:********@[::1/d")]:
        status, told = command(gate, *words)
        assert status != 0 and said in told and SECRET not in told, words


@pytest.mark.parametrize("text", [
    f"postgres://u:12/{SECRET}@h/d", f"postgres://u:1@{SECRET}@h/d", f"postgres://u:1/x?{SECRET}=1@h/d",
    f"postgres://u:1@x/{SECRET}@h/d", f"jdbc:postgresql://u:{SECRET}@h/d", f"DATABASE_URL=postgres://u:1/{SECRET}@h/d",
    f"postgresql+asyncpg://u:1/{SECRET}@h/d", f"mysql://u:{SECRET}@h/d", f"Host=h;Password='{SECRET}",
    f"jdbc:mysql://h/d?user=u&password={SECRET}"])
def test_a_pasted_string_that_cannot_be_read(gate, text):
    for words in ["explain", "-D", gate.dir, "addr=10.0.0.1"], ["probe", "-q", "-t", "1"]:
        status, told = command(gate, *words, text)
        assert status != 0 and SECRET not in told and told, words


def test_a_passphrase_command_that_fails(factory, certs):
    g = factory.gate(start=False, tls={"cert": certs.server}, hba="local all all trust\n")
    g.write("server.key", certs.server.key_pem("right"), 0o600)
    g.configure(settings={"ssl_passphrase_command": f"echo {SECRET}; exit 3"})
    status, words = g.refuses_to_start()
    assert status != 0 and "passphrase command failed" in words and "exit code 3" in words and SECRET not in words


# -- rules --------------------------------------------------------------------------------------------------------
def test_rules_are_shown_without_their_passwords(gate):
    for user in ["alice", "bob"]:
        with connect(gate, user) as db:
            options = everything(db, "SELECT options FROM pgseal_rules")
            assert "ldapbindpasswd=********" in options and "radiussecrets=********" in options
            assert SECRET not in options
    for more in [[], ["--running"]]:
        for user, option in [("carol", "ldapbindpasswd"), ("bob", "radiussecrets")]:
            facts = ["addr=127.0.0.1", "tls=none", f"user={user}", "dbname=app"]
            _, told = command(gate, "explain", "-D", gate.dir, *more, *facts)
            assert f"{option}=********" in told and SECRET not in told, told
            _, told = command(gate, "explain", "-D", gate.dir, "--json", *more, *facts)
            assert f"{option}=********" in json.loads(told)["matched"]["text"] and SECRET not in told


def test_nor_are_they_logged(gate):
    since = gate.log.mark()
    for user in ["bob", "carol"]:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=gate.port, user=user, password="x", dbname="app", sslmode="disable")
    run.wait_until(lambda: gate.words(since).count("event=refused") == 2, "both refusals")
    assert SECRET not in gate.words()


@pytest.mark.parametrize("line", [
    f"ldap ldapserver=h ldapbasedn=x ldapbindpasswd=a {SECRET}",
    f"ldap ldapserver=h ldapbasedn=x ldapbindpasswd=a {SECRET}=b",
    f"radius radiusservers=127.0.0.1 radiussecrets=a,{SECRET}",
    f'radius radiusservers=127.0.0.1 radiussecrets="""{SECRET}"',
    f'radius radiusservers=127.0.0.1 radiussecrets="{SECRET} {SECRET}"',
])
def test_nor_is_a_malformed_one(gate, line):
    gate.configure(hba=HBA + f"host app alice 127.0.0.1/32 {line}\n")
    words = gate.reload()
    with connect(gate) as db:
        told = everything(db, "SELECT * FROM pgseal_generations")
    gate.configure(hba=HBA)
    assert "reload_failed" in words and SECRET not in words + told


def test_the_copy_of_the_rules_is_private(gate):
    assert os.stat(gate.path("pgseal.running")).st_mode & 0o077 == 0


# -- who may read what PostgreSQL shows to superusers -------------------------------------------------------------
def test_views_of_files_are_for_admins(gate):
    with connect(gate, "bob") as db:
        for view in [*SUPERUSERS, "pgseal_hosts"]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"^permission denied for view {view}$"):
                db.execute(f"SELECT * FROM {view}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function pg_hba_file_rules"):
            db.execute("SELECT * FROM pg_hba_file_rules()")
        assert db.execute("SELECT count(*) FROM pgseal_rules").fetchone() == (3,)
    with connect(gate) as db:
        options = everything(db, "SELECT options FROM pg_hba_file_rules")
        assert f"ldapbindpasswd={SECRET} {SECRET}" in options     # as PostgreSQL shows it


def test_postgres_shows_them_to_superusers_only(factory, distributions):
    server = factory.postgres(distributions.get("pg18"), hba="local all all trust\n")
    try:
        with server.admin() as db:
            db.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
        for view in SUPERUSERS:
            assert server.query(f"SELECT has_table_privilege('watcher', '{view}', 'SELECT')") == [(False,)], view
    finally:
        factory.stop(server)


def test_a_passphrase_command_for_reloads_wants_a_restart(make_gate, certs):
    """The gate gave up running programs at its start: that is what is said, not that memory ran out."""
    gate = make_gate(hba="local all all trust\n", tls={"cert": certs.server})
    if run.sanitized(gate.program):
        pytest.skip("a build with a sanitizer is not confined")
    gate.write("server.key", certs.server.key_pem(SECRET), 0o600)
    gate.configure(settings={"ssl_passphrase_command": f"echo {SECRET}", "ssl_passphrase_command_supports_reload": "on"})
    words = gate.reload()
    assert ('parameter "ssl_passphrase_command" cannot be set for reloads without restarting the server' in words
            and "Restart the gate" in words and "memory" not in words and SECRET not in words)
    gate.restart()
    gate.configure(settings={"ssl_passphrase_command": f"echo   {SECRET}"})
    assert "event=reloaded" in gate.reload()


@pytest.mark.skipif(not run.is_root(), reason="wants another account")
@pytest.mark.parametrize("words", [["init", "gate", "--host", "db"], ["ca", "init", "ca"], ["hba", "rules"],
                                   ["cert", "issue", "--self-signed", "x"]], ids=" ".join)
def test_nobody_looks_into_a_commands_memory(program, tmp_path, words):
    """Keys and passwords in it are not for a core file, nor for other processes of the account: /proc says so."""
    for parent in [tmp_path, *tmp_path.parents]:
        if str(parent) == tempfile.gettempdir():
            break
        os.chmod(parent, 0o755)
    run.give_to_server(tmp_path)
    (tmp_path / "rules").write_text("local all all trust\n")
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    size = os.write(theirs, b"x" * (1 << 20))       # full: the command stays until somebody reads what it says
    os.set_blocking(theirs, True)
    with subprocess.Popen(run.demoted([program, *words]), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.PIPE) as process:
        os.close(theirs)
        run.wait_until(lambda: "pgseal" in os.readlink(f"/proc/{process.pid}/exe"), "the command to run")
        run.wait_until(lambda: os.stat(f"/proc/{process.pid}/environ").st_uid == 0, "the command's memory to be hidden")
        with os.fdopen(ours, "rb") as reader:
            assert len(reader.read()) > size
        assert process.communicate(timeout=60)[1] == b"" and process.returncode == 0
