"""
pgseal_clients: what the wire tells of each client, told by real ones, and kept over restarts.

The table of what each sslmode shows is docs/clients.md's; here it is computed from the same three facts as there:
the rule, whether the gate has TLS, and libpq's order of attempts.
"""

import datetime
import glob
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess

import psycopg
import pytest

from lib import libpq, psql, run
from lib.pg import PASSWORDS

SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

# One user per kind of rule, so that one gate serves the whole table.
USERS = {"hostssl": "alice", "host": "bob", "hostnossl": "carol"}
HBA = "".join(f"{rule} app {user} 127.0.0.1/32 scram-sha-256\n" for rule, user in USERS.items()) + \
    "hostssl app nologin 127.0.0.1/32 cert\n"
HERE = os.path.dirname(os.path.abspath(__file__))


def view(gate, columns, where="true"):
    """Rows of pgseal_clients, asked as the gate's own OS user over its socket; those are not in it."""
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="dba", dbname="pgseal", autocommit=True) as db:
        return db.execute(f"SELECT {columns} FROM pgseal_clients WHERE client_addr IS NOT NULL AND ({where}) "
                          "ORDER BY user_name, application_name").fetchall()


def wait_for(gate, columns, where, expected):
    """Some conclusions are drawn when nothing has followed for a while."""
    seen = []

    def there():
        seen.append(view(gate, columns, where))
        return seen[-1] == expected

    try:
        run.wait_until(there, "a row of pgseal_clients")
    except AssertionError:
        assert seen[-1] == expected
        raise


def forget(gate):
    for limit in ("0", "10000"):
        gate.configure({"clients_limit": limit})
        gate.reload()
    assert view(gate, "*") == []


@pytest.fixture(scope="module")
def with_tls(server_factory, certs):
    return server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()})


@pytest.fixture(scope="module")
def without_tls(server_factory):
    return server_factory("gate", hba=HBA)


@pytest.fixture(scope="module")
def libpq18(distributions):
    distribution = distributions.get("pg18")
    if distribution is None or "LD_LIBRARY_PATH" not in distribution.env:
        pytest.skip("PostgreSQL 18 from npm is not installed")
    return glob.glob(os.path.join(distribution.env["LD_LIBRARY_PATH"], "libpq.so.5*"))[0]


# -- what each sslmode shows ----------------------------------------------------------------------------------------
def expected(sslmode, rule, tls, major):
    """What the view says of a libpq of this version; None: it never names itself."""
    if not tls:
        if sslmode in ("disable", "allow") and rule != "hostssl":
            return "disable or allow"
        if sslmode == "disable":
            return "disable"
        if sslmode == "allow":                  # refused in plaintext; asks, and an older libpq takes the N
            return "allow" if major < 17 else "disable"
        return "prefer" if sslmode == "prefer" else None
    if sslmode in ("disable", "allow"):
        return "disable or allow" if rule != "hostssl" else sslmode
    if rule == "hostnossl":
        return "prefer" if sslmode == "prefer" else "require or stronger"
    return "prefer or stronger"


def options(gate, certs, sslmode, rule, **more):
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": gate.port, "user": USERS[rule], "dbname": "app",
            "sslmode": sslmode, "sslrootcert": certs.ca_file if sslmode.startswith("verify") else None,
            "application_name": f"{sslmode} {rule}", **more}


@pytest.mark.parametrize("library", ["debian", "18"])
@pytest.mark.parametrize("tls", ["tls", "plain"])
def test_what_each_sslmode_shows(with_tls, without_tls, certs, request, tls, library):
    gate = with_tls if tls == "tls" else without_tls
    major = psql.MAJOR if library == "debian" else 18
    forget(gate)
    wanted = {}
    for rule, user in USERS.items():
        conninfos = [options(gate, certs, sslmode, rule, password=PASSWORDS[user]) for sslmode in SSLMODES]
        if library == "debian":
            for conninfo in conninfos:
                subprocess.run([psql.PSQL, "-Xw", psql.conninfo(**conninfo), "-c", "SELECT 1"],
                               env=psql.environment(), capture_output=True, timeout=60, check=False)
        else:
            libpq.judge(request.getfixturevalue("libpq18"), [psql.conninfo(**c) for c in conninfos])
        wanted.update({(user, f"{m} {rule}"): expected(m, rule, tls == "tls", major) for m in SSLMODES})
    named = [(user, name, mode) for (user, name), mode in sorted(wanted.items()) if mode]
    wait_for(gate, "user_name, application_name, sslmode", "user_name IS NOT NULL", named)
    wait_for(gate, "application_name", "fallback", [("prefer hostnossl",)] if tls == "tls" else [])
    wait_for(gate, "sslmode, tls_failures", "user_name IS NULL", [] if tls == "tls" else [("require or stronger", 0)])


def test_an_authority_that_the_client_does_not_know(with_tls, certs):
    forget(with_tls)
    got = psql.run(with_tls, user="bob", sslmode="verify-ca", sslrootcert=certs.foreign_file, host="localhost")
    assert "certificate verify failed" in got.stderr
    wait_for(with_tls, "user_name, application_name, sessions, tls_failures, weakest_tls, sslmode, sni", "true",
             [(None, "", 0, 1, "TLSv1.3", "verify-ca or stronger", "localhost")])


def test_a_name_that_the_certificate_lacks(with_tls, certs):
    forget(with_tls)
    got = psql.run(with_tls, user="bob", sslmode="verify-full", sslrootcert=certs.ca_file, host="wrong.example",
                   hostaddr="127.0.0.1")
    assert "does not match host name" in got.stderr
    wait_for(with_tls, "user_name, sessions, tls_failures, sslmode, sni", "true",
             [(None, 0, 1, "verify-full", "wrong.example")])


def test_plaintext_after_tls_has_failed(with_tls, certs, scratch):
    """`prefer` with a root certificate verifies, and goes on in plaintext all the same."""
    forget(with_tls)
    home = psql.home(scratch, root_crt=certs.foreign.pem())
    got = psql.run(with_tls, password=PASSWORDS["bob"], user="bob", sslmode="prefer", host="localhost",
                   env={"HOME": home})
    assert got.stdout == "1\n", got.stderr
    wait_for(with_tls, "user_name, sessions, plaintext_attempts, fallback, sslmode", "user_name = 'bob'",
             [("bob", 1, 1, True, "prefer")])


def test_a_failure_is_not_laid_to_one_of_many(make_gate, certs):
    """Whichever workers they came to, and whichever of these tells first."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": "4"})
    for _ in range(6):
        forget(gate)
        for name in ("one", "other"):
            psql.run(gate, password=PASSWORDS["bob"], user="bob", sslmode="disable", application_name=name)
        psql.run(gate, user="bob", sslmode="verify-ca", sslrootcert=certs.foreign_file, host="localhost")
        for name in ("one", "other"):
            psql.run(gate, password=PASSWORDS["bob"], user="bob", sslmode="disable", application_name=name)
        assert view(gate, "application_name, sessions, fallback, sslmode", "user_name = 'bob'") == \
            [("one", 2, False, "disable or allow"), ("other", 2, False, "disable or allow")]


@pytest.mark.parametrize("binding, shown", [("prefer", "used"), ("require", "used"), ("disable", "none")])
def test_channel_binding(with_tls, certs, binding, shown):
    forget(with_tls)
    with psycopg.connect(**options(with_tls, certs, "require", "hostssl", password=PASSWORDS["alice"],
                                   channel_binding=binding)):
        assert view(with_tls, "channel_binding, direct_tls") == [(shown, False)]


def test_channel_binding_that_a_relayed_exchange_cannot_have(make_gate, factory, certs):
    server = factory.postgres(hba="local app alice scram-sha-256\n")
    gate = make_gate(hba="hostssl app alice all scram-sha-256\n", tls={"cert": certs.server},
                     upstream=f"host={server.socket_dir} port={server.port}",
                     settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
    try:
        for binding, shown in (("prefer", "possible"), ("disable", "none")):
            with psycopg.connect(**options(gate, certs, "require", "hostssl", password=PASSWORDS["alice"],
                                           channel_binding=binding, application_name=binding)):
                assert view(gate, "channel_binding", f"application_name = '{binding}'") == [(shown,)]
    finally:
        gate.stop()
        factory.stop(server)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_libpq_18_says_more(with_tls, certs, libpq18, negotiation):
    forget(with_tls)
    cert = certs.ca.issue("nologin")
    crt, key = certs.client("clients-nologin", cert)
    # The role may not log in, so the session ends at the server; the gate has admitted it by its certificate.
    libpq.judge(libpq18, [psql.conninfo(**options(with_tls, certs, "verify-full", "hostssl", user="nologin",
                                                  sslcert=crt, sslkey=key, sslnegotiation=negotiation))])
    direct = negotiation == "direct"
    wait_for(with_tls, "direct_tls, alpn, sni, cert_issuer, weakest_tls, channel_binding", "true",
             [(direct, "postgresql", "localhost", "/CN=pgseal test CA", "TLSv1.3", None)])
    assert view(with_tls, "cert_subject, cert_serial, cert_not_after") == [
        ("/CN=nologin", cert.serial, cert.cert.not_valid_after.replace(tzinfo=datetime.timezone.utc))]
    wait_for(with_tls, "sslmode", "true", [("require or stronger, direct" if direct else "require or stronger",)])


def test_the_weakest_version(with_tls, certs):
    forget(with_tls)
    for version in ("TLSv1.3", "TLSv1.2", "TLSv1.3"):
        psql.run(with_tls, password=PASSWORDS["alice"], host="localhost", sslmode="require",
                 ssl_max_protocol_version=version, application_name="old")
    assert view(with_tls, "sessions, weakest_tls") == [(3, "TLSv1.2")]


def test_clients_on_the_unix_socket(make_gate):
    gate = make_gate(hba="local app alice scram-sha-256\n")
    psql.run(gate, password=PASSWORDS["alice"], host=gate.socket_dir, application_name="local")
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="dba", dbname="pgseal") as db:
        assert db.execute("SELECT client_addr, sessions, plaintext_attempts, sslmode FROM pgseal_clients "
                          "WHERE application_name = 'local'").fetchall() == [(None, 1, 0, None)]


# -- drivers that are not libpq -------------------------------------------------------------------------------------
NODE = """
const { Client } = require("pg");
const wanted = JSON.parse(process.argv[1]);
new Client(wanted).connect().then(() => process.exit(0), () => process.exit(1));
"""


@pytest.mark.parametrize("ssl, rule, shown", [
    ("false", "host", "disable or allow"), ("false", "hostssl", "disable"),
    ('{"rejectUnauthorized": false}', "host", "prefer or stronger"),
    ('{"rejectUnauthorized": false}', "hostnossl", "require or stronger")])
def test_node_postgres(with_tls, pytestconfig, ssl, rule, shown):
    modules = os.path.join(os.path.dirname(os.path.abspath(pytestconfig.getoption("--build"))),
                           "build", "npm", "node_modules")
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("node-postgres is not installed (tools/npm.sh)")
    forget(with_tls)
    user = USERS[rule]
    subprocess.run(["node", "-e", NODE, f'{{"host": "127.0.0.1", "port": {with_tls.port}, "user": "{user}", '
                    f'"password": "{PASSWORDS[user]}", "database": "app", "application_name": "node", "ssl": {ssl}}}'],
                   env=psql.environment(NODE_PATH=modules), capture_output=True, timeout=60, check=False)
    wait_for(with_tls, "user_name, application_name, sslmode", "true", [(user, "node", shown)])


JARS = ["/usr/share/java/postgresql.jar", *glob.glob("/usr/share/java/*scram*.jar"),
        *glob.glob("/usr/share/java/*prep.jar")]


@pytest.mark.skipif(not shutil.which("java") or not os.path.exists(JARS[0]),
                    reason="pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
def test_pgjdbc(with_tls, certs):
    """Its modes are libpq's, and so are its attempts; all of them in one Java."""
    forget(with_tls)
    wanted, urls = [], [f"jdbc:postgresql://localhost:{with_tls.port}/app?user=alice&sslmode=require"]  # loads its TLS
    for rule, user in USERS.items():
        for mode in SSLMODES:
            name = f"{mode} {rule}"
            wanted.append((user, name, expected(mode, rule, True, 18)))
            root = f"&sslrootcert={certs.ca_file}" if mode.startswith("verify") else ""
            urls.append(f"jdbc:postgresql://localhost:{with_tls.port}/app?user={user}&password={PASSWORDS[user]}"
                        f"&sslmode={mode}&assumeMinServerVersion=9.0&ApplicationName={name.replace(' ', '+')}{root}")
    subprocess.run(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Attempts.java"), *urls],
                   capture_output=True, timeout=120, check=True)
    wait_for(with_tls, "user_name, application_name, sslmode", "user_name IS NOT NULL", [("alice", "", "prefer or stronger"), *sorted(wanted)])


# -- the file -------------------------------------------------------------------------------------------------------
def connect_once(gate, name="kept"):
    assert psql.run(gate, password=PASSWORDS["bob"], user="bob", sslmode="disable", application_name=name).stdout


@pytest.fixture
def kept(make_gate):
    gate = make_gate(hba="host app bob 127.0.0.1/32 scram-sha-256\n")
    connect_once(gate)
    return gate


def in_file(gate):
    """(application, sessions) in the file, read as anybody with sqlite3 would."""
    path = gate.path("pgseal.clients")
    if not os.path.exists(path):
        return []
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute("SELECT application, sessions FROM clients WHERE address <> '' ORDER BY 1").fetchall()
    except sqlite3.OperationalError:        # made, but not filled yet
        return []
    finally:
        db.close()


def shown(gate):
    return view(gate, "application_name, sessions")


def test_rows_survive_a_restart(kept):
    before = view(kept, "application_name, sessions, sslmode, first_seen, last_seen")
    assert kept.stop(signal.SIGTERM) == 0
    assert in_file(kept) == [("kept", 1)]
    assert stat.S_IMODE(os.stat(kept.path("pgseal.clients")).st_mode) == 0o600
    kept.start()
    assert view(kept, "application_name, sessions, sslmode, first_seen, last_seen") == before
    connect_once(kept)
    connect_once(kept, "new")
    assert shown(kept) == [("kept", 2), ("new", 1)]
    kept.restart()
    assert shown(kept) == [("kept", 2), ("new", 1)]


def test_rows_survive_a_kill(kept):
    run.wait_until(lambda: in_file(kept) == [("kept", 1)], "the row in the file")
    for _ in range(3):
        for i in range(20):
            connect_once(kept, f"row {i}")
        kept.stop(signal.SIGKILL)
        kept.start()
        assert ("kept", 1) in shown(kept)
    assert not os.path.exists(kept.path("pgseal.clients.damaged"))


@pytest.mark.parametrize("damage", ["noise", "cut off", "another program's", "a later version's"])
def test_a_file_that_cannot_be_used_is_put_aside(kept, damage):
    kept.stop(signal.SIGTERM)
    path = kept.path("pgseal.clients")
    if damage == "noise":
        with open(path, "r+b") as f:
            f.write(os.urandom(4096))
    elif damage == "cut off":
        os.truncate(path, os.path.getsize(path) - 100)
    else:
        db = sqlite3.connect(path)
        db.execute("PRAGMA application_id = 1" if damage.startswith("another") else "PRAGMA user_version = 4")
        db.close()
    with open(path, "rb") as f:
        content = f.read()
    since = kept.log.mark()
    kept.start()
    assert shown(kept) == []
    with open(path + ".damaged", "rb") as f:
        assert f.read() == content
    connect_once(kept)
    run.wait_until(lambda: in_file(kept) == [("kept", 1)], "a new file")
    assert len(re.findall("event=clients_", kept.log.text(since))) == 1
    assert "event=clients_set_aside" in kept.log.text(since)


def test_a_file_that_others_can_read_is_not_used(kept):
    kept.stop(signal.SIGTERM)
    os.chmod(kept.path("pgseal.clients"), 0o644)
    since = kept.log.mark()
    kept.start()
    kept.log.wait_for("event=clients_not_kept .*has group or world access", since)
    connect_once(kept, "meanwhile")
    assert shown(kept) == [("meanwhile", 1)]
    os.chmod(kept.path("pgseal.clients"), 0o600)
    kept.log.wait_for("event=clients_kept", since, timeout=30)
    assert shown(kept) == in_file(kept) == [("kept", 1), ("meanwhile", 1)]
    assert len(re.findall("event=clients_", kept.log.text(since))) == 2


def test_a_file_that_cannot_be_written(make_gate):
    gate = make_gate(hba="host app bob 127.0.0.1/32 scram-sha-256\n", start=False)
    os.mkdir(gate.path("pgseal.clients"))
    gate.start()
    gate.log.wait_for("event=clients_not_kept .*is not a regular file")
    connect_once(gate)
    assert shown(gate) == [("kept", 1)]
    os.rmdir(gate.path("pgseal.clients"))
    gate.log.wait_for("event=clients_kept", timeout=30)
    assert in_file(gate) == [("kept", 1)]
    assert len(re.findall("event=clients_not_kept", gate.log.text())) == 1


@pytest.fixture
def small_disk(kept):
    """The directory of the gate `kept`, stopped, on a file system of its own with little room."""
    kept.stop(signal.SIGTERM)
    copy = kept.dir + ".copy"
    shutil.copytree(kept.dir, copy)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "none", kept.dir], capture_output=True,
                      check=False).returncode:
        pytest.skip("needs the right to mount")
    shutil.copytree(copy, kept.dir, dirs_exist_ok=True)
    yield kept
    kept.stop()
    subprocess.run(["umount", "--lazy", kept.dir], check=True)


def test_a_full_disk(small_disk):
    gate = small_disk
    gate.log = run.Log(os.path.join(os.path.dirname(gate.dir), "full.log"))
    gate.start()
    assert shown(gate) == [("kept", 1)]
    filler = gate.path("filler")
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 1024)
        except OSError:
            pass
    for i in range(30):
        connect_once(gate, f"row {i:02}")
    gate.log.wait_for("event=clients_not_kept .*sqlstate=53100 .*no space left on device")
    rows = [("kept", 1)] + [(f"row {i:02}", 1) for i in range(30)]
    assert shown(gate) == rows
    os.unlink(filler)
    gate.log.wait_for("event=clients_kept", timeout=30)
    assert in_file(gate) == rows
    assert len(re.findall("event=clients_", gate.log.text())) == 2


def test_a_file_that_is_damaged_or_taken_away_meanwhile(kept):
    run.wait_until(lambda: in_file(kept) == [("kept", 1)], "the row in the file")
    os.unlink(kept.path("pgseal.clients"))
    connect_once(kept, "second")
    run.wait_until(lambda: in_file(kept) == [("kept", 1), ("second", 1)], "a new file with all rows")
    with open(kept.path("pgseal.clients"), "r+b") as f:
        f.write(b"nonsense" * 20)
    connect_once(kept, "third")
    kept.log.wait_for("event=clients_set_aside")
    run.wait_until(lambda: in_file(kept) == [("kept", 1), ("second", 1), ("third", 1)], "a new file with all rows")


def test_the_limit(make_gate):
    """Four rows, and one for those who ask for them over the socket."""
    gate = make_gate(hba="host app bob 127.0.0.1/32 scram-sha-256\n", settings={"clients_limit": "5", "workers": "1"})
    assert shown(gate) == []
    for i in range(6):
        connect_once(gate, f"row {i}")
        psql.run(gate, password="wrong", user="bob", sslmode="disable", application_name="never had a session")
    assert shown(gate) == [("row 2", 1), ("row 3", 1), ("row 4", 1), ("row 5", 1)]
    gate.restart()
    assert shown(gate) == [("row 2", 1), ("row 3", 1), ("row 4", 1), ("row 5", 1)]
    gate.configure({"clients_limit": "0"})
    gate.reload()
    assert shown(gate) == []
    connect_once(gate)
    assert shown(gate) == []
    run.wait_until(lambda: in_file(gate) == [], "an empty file")
    # Set to 0 and back at once, it begins anew all the same.
    gate.configure({"clients_limit": "5"})
    gate.reload()
    connect_once(gate, "before")
    assert shown(gate) == [("before", 1)]
    run.wait_until(lambda: in_file(gate) != [], "a row in the file")
    for limit in ("0", "5"):
        gate.configure({"clients_limit": limit})
        gate.reload()
    connect_once(gate, "after")
    gate.restart()
    assert shown(gate) == [("after", 1)]
