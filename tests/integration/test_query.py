"""
auth_source = query: the gate judges with the server's own secrets, as the server itself would.

The same client talks to PostgreSQL under the rules the gate has, and to the gate in front of that server; both
must answer alike. Then what only the gate has: a cache, a session of its own, a server that may be lost.
"""

import hashlib
import os
import re
import signal
import threading

import psycopg
import pytest

from lib import psql, run, scram, wire
from lib.fake import Upstream
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn, message, startup

from test_upstream import tcp, unix

PASS = "the same for all"
MD5 = "md5" + hashlib.md5((PASS + "q_md5").encode()).hexdigest()

# What CREATE ROLE says of them; the password of each is PASS, unless it has none.
ROLES = {
    "q_scram": f"LOGIN PASSWORD '{scram.secret(PASS)}'",
    "q_salt": f"LOGIN PASSWORD '{scram.secret(PASS, b'eight by', 5000)}'",
    "q_md5": f"LOGIN PASSWORD '{MD5}'",
    "q_none": "LOGIN",
    "q_nologin": f"NOLOGIN PASSWORD '{scram.secret(PASS)}'",
    "q_expired": f"LOGIN PASSWORD '{scram.secret(PASS)}' VALID UNTIL '2001-01-01'",
    "q_expired_md5": "LOGIN PASSWORD 'md500000000000000000000000000000000' VALID UNTIL '2001-01-01'",
    "q_later": f"LOGIN PASSWORD '{scram.secret(PASS)}' VALID UNTIL '2999-12-31 23:59:59.5+05:30'",
    "q_forever": f"LOGIN PASSWORD '{scram.secret(PASS)}' VALID UNTIL 'infinity'",
    "q_never": f"LOGIN PASSWORD '{scram.secret(PASS)}' VALID UNTIL '-infinity'",
    "q_limited": f"LOGIN CONNECTION LIMIT 0 PASSWORD '{scram.secret(PASS)}'",
    "Q Quoted\"'": f"LOGIN PASSWORD '{scram.secret(PASS)}'",
}
USERS = [*ROLES, "q_missing"]


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def do(server, sql, database="postgres"):
    with server.admin(database) as db:
        db.execute(sql)


def rules(method):
    """For PostgreSQL and for the gate alike: roles by membership, databases by the role's name, then a method."""
    return f"""\
host    all     +q_barred   127.0.0.1/32    reject
host    samerole all        127.0.0.1/32    {method}
host    app,closed,missing,private all 127.0.0.1/32 {method}
"""


@pytest.fixture(scope="module")
def upstream(factory, certs):
    # The gate's own way in: by unix socket, and by TLS with a password.
    hba = ("local all all trust\nhostssl all q_reader 127.0.0.1/32 scram-sha-256\n"
           "hostssl all q_cert 127.0.0.1/32 cert\n")
    server = factory.postgres(hba=hba, tls={"cert": certs.server, "ca": certs.ca.pem()})
    with server.admin() as db:
        for user, how in ROLES.items():
            db.execute(f"CREATE ROLE {ident(user)} {how}")
        db.execute("CREATE ROLE q_barred_group; CREATE ROLE q_barred; CREATE ROLE q_outer; CREATE ROLE q_db")
        db.execute("CREATE DATABASE q_db")
        for user, groups in {"q_in": "q_barred", "q_deep": "q_barred_group", "q_barred_group": "q_barred",
                             "q_same": "q_outer", "q_outer": "q_db"}.items():
            if user not in ("q_barred_group", "q_outer"):
                db.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{scram.secret(PASS)}'")
            db.execute(f"GRANT {groups} TO {user}")
        db.execute("CREATE ROLE q_super SUPERUSER LOGIN PASSWORD '" + scram.secret(PASS) + "'")
        for reader in ("q_reader", "q_cert"):
            db.execute(f"CREATE ROLE {reader} LOGIN PASSWORD '{scram.secret('reads')}'")
        db.execute("GRANT SELECT ON pg_catalog.pg_authid TO q_reader")
    do(server, "GRANT SELECT ON pg_catalog.pg_authid TO q_cert", "app")
    yield server
    factory.stop(server)


@pytest.fixture(scope="module")
def judges(factory, upstream, certs):
    """judges(method): (PostgreSQL itself under the rules, the gate under the same rules)."""
    made = {}

    def make(method):
        if method not in made:
            made[method] = factory.gate(upstream=unix(upstream), hba=rules(method), tls={"cert": certs.server},
                                        settings={"auth_source": "query", "auth_user": "postgres",
                                                  "auth_file": None, "upstream_login": "scram, password"})
        upstream.configure(hba="local all all trust\nhostssl all q_reader 127.0.0.1/32 scram-sha-256\n"
                               "hostssl all q_cert 127.0.0.1/32 cert\n" + rules(method))
        upstream.reload()
        return upstream, made[method]

    yield make
    for gate in made.values():
        factory.stop(gate)


def md5_response(user, secret, salt):
    inner = hashlib.md5((secret + user).encode()).hexdigest()
    return wire.password("md5" + hashlib.md5(inner.encode() + salt).hexdigest())


def outcome(server, user, secret, database="app", tls=False):
    """What a client is asked for, and what it hears at the end."""
    asked = []
    with Conn(server) as c:
        if tls:
            c.start_tls()
        c.send(startup(user, database))
        while True:
            e = c.event()
            if e[0] == "R" and e[1] == 10:
                asked.append("scram")
                events = c.sasl(secret)
                break
            if e[0] == "R" and e[1] == 5:
                asked.append("md5")
                c.send(md5_response(user, secret, e[2]))
                events = c.dialogue()
                break
            if e[0] == "R" and e[1] == 3:
                asked.append("password")
                c.send(wire.password(secret))
                events = c.dialogue()
                break
            if isinstance(e, str) or e[0] in "EZ":
                events = [e]
                break
    kept = [e if e[0] == "E" or isinstance(e, str) else e[:2] if e[0] == "R" else e[0] for e in events]
    return asked, kept


METHODS = ["scram-sha-256", "md5", "password"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("user", USERS)
def test_gate_and_server_agree(judges, method, user):
    server, gate = judges(method)
    for secret in (PASS, "wrong"):
        for database in ("app", "missing", "closed"):
            assert outcome(gate, user, secret, database) == outcome(server, user, secret, database), (secret, database)


@pytest.mark.parametrize("user, database", [
    ("q_in", "app"), ("q_deep", "app"), ("q_barred_group", "app"), ("q_scram", "app"), ("q_super", "app"),
    ("q_same", "q_db"), ("q_outer", "q_db"), ("q_scram", "q_db"), ("q_super", "q_db"), ("q_missing", "q_db"),
    ("q_db", "q_db"), ("q_in", "q_db"), ("q_scram", "no such database")])
def test_memberships_decide_alike(judges, user, database):
    server, gate = judges("scram-sha-256")
    assert outcome(gate, user, PASS, database) == outcome(server, user, PASS, database)


def test_mock_salts_survive_a_restart(judges):
    _, gate = judges("scram-sha-256")

    def salt(user):
        with Conn(gate) as c:
            c.send(startup(user))
            assert c.event()[:2] == ("R", 10)
            c.send(wire.sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
            return dict(p.split("=", 1) for p in c.event()[2].decode().split(","))["s"]

    before = [salt(u) for u in ("q_missing", "q_none", "q_md5", "q_expired", "q_scram")]
    gate.restart()
    assert [salt(u) for u in ("q_missing", "q_none", "q_md5", "q_expired", "q_scram")] == before
    assert len(set(before)) == len(before)


# -- who may not log in --------------------------------------------------------------------------------------------
def not_permitted(user):
    return wire.fatal("28000", f'role "{user}" is not permitted to log in')


@pytest.mark.parametrize("method", [*METHODS, "trust"])
@pytest.mark.parametrize("way", ["status database", "service", "service or own"])
def test_nologin_is_obeyed_wherever_the_session_goes(gate, upstream, method, way):
    """Behind R(0), and with the words, of a server that has the same rule."""
    rule = f"host all all 127.0.0.1/32 {method}\n"
    upstream.configure(hba="local all all trust\n" + rule)
    upstream.reload()
    g = gate(unix(upstream, user="q_super"), hba=rule, upstream_login={
        "status database": "scram, password", "service": "service", "service or own": "service, trust"}[way])
    database = "pgseal" if way == "status database" else "app"
    for user in "q_nologin", "q_scram", "q_missing" if method != "trust" else "q_salt":
        expected = outcome(upstream, user, PASS)
        assert outcome(g, user, PASS, database) == expected, user
        if user == "q_nologin":
            assert not_permitted(user) in expected[1]
    assert g.log.wait_for("login_not_permitted")


def test_login_given_meanwhile_counts_at_once(gate, upstream):
    trusting(upstream)
    g = gate(unix(upstream), auth_cache_ttl="1h", workers="1")
    assert not comes_in(g, "q_nologin", database="pgseal")
    try:
        do(upstream, "ALTER ROLE q_nologin LOGIN")
        assert comes_in(g, "q_nologin", database="pgseal")
    finally:
        do(upstream, "ALTER ROLE q_nologin NOLOGIN")


def test_who_needs_no_password_reaches_the_status_database_of_a_lost_server(gate):
    """It tells what is wrong. A session of the server's own user needs the server."""
    g = gate(f"host=127.0.0.1 port={run.free_port()} sslmode=disable user=postgres", upstream_login="service",
             hba="host all all 127.0.0.1/32 trust\n")
    assert comes_in(g, database="pgseal")
    assert outcome(g, "q_scram", PASS)[1][-1][1]["C"] == "57P03"


@pytest.mark.parametrize("answer", ["NULL", "7", "'perhaps'"])
def test_an_auth_query_that_does_not_say_who_may_log_in(gate, upstream, answer):
    trusting(upstream)
    g = gate(unix(upstream), auth_query=f"SELECT $1, '{scram.secret(PASS)}', NULL, {answer}")
    assert outcome(g, "q_scram", PASS)[1][-1][1]["C"] == "57P03"
    g.log.wait_for("the fourth column of auth_query, can log in, must be true or false")


# -- one user's trouble --------------------------------------------------------------------------------------------
NOT_UTF8 = b"q_\xff\xfe"


@pytest.mark.parametrize("method", METHODS)
def test_a_name_that_is_no_text_is_an_unknown_user(judges, method):
    server, gate = judges(method)
    expected = outcome(server, NOT_UTF8, PASS)
    assert expected[1][-2][1]["C"] == "28P01"
    assert outcome(gate, NOT_UTF8, PASS) == expected


def test_a_failed_question_is_nobody_else_s(gate, upstream):
    """Two stand in line behind one whom the server cannot answer for, and behind a name that is no text."""
    trusting(upstream)
    with upstream.admin() as db:
        db.execute("CREATE OR REPLACE FUNCTION public.q_wait(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
                   "PERFORM pg_advisory_lock_shared(4711); "
                   "IF $1 = 'q_none' THEN RAISE 'not today'; END IF; RETURN $1; END $$")
        db.execute("SELECT pg_advisory_lock(4711)")
        g = gate(unix(upstream), workers="1", auth_cache_ttl="0", auth_query=(
            "SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM pg_authid WHERE rolname = public.q_wait($1)"))
        users = ["q_none", NOT_UTF8, "q_scram", "q_salt"]
        results = {}
        threads = [threading.Thread(target=lambda u=u: results.update({u: outcome(g, u, PASS)})) for u in users]
        with psycopg.connect(host=g.socket_dir, port=g.port, user="dba", dbname="pgseal", autocommit=True) as status:
            for n, thread in enumerate(threads, 1):
                thread.start()
                run.wait_until(lambda n=n: status.execute("SELECT count(*) FROM pgseal_sessions "
                                                          "WHERE lower(step) = 'admit'").fetchone() == (n,), "it to wait")
        db.execute("SELECT pg_advisory_unlock(4711)")
        for thread in threads:
            thread.join()
    assert results["q_none"][0] == [] and results["q_none"][1][-1][1]["C"] == "57P03"
    assert results[NOT_UTF8][0] == ["scram"] and results[NOT_UTF8][1][0][1]["C"] == "28P01"
    assert [results[u][1][-1] for u in ("q_scram", "q_salt")] == ["Z", "Z"]


def test_password_that_came_before_the_look_up_was_over(gate, upstream):
    trusting(upstream)
    g = gate(unix(upstream), hba="host all all 127.0.0.1/32 password\n", upstream_login="password, peer")
    with Conn(g) as c:
        c.send(startup("q_scram") + wire.password(PASS))
        events = c.dialogue()
        assert events[0] == ("R", 3, b"") and events[-1] == ("Z", "I")


# -- the gate's own session ---------------------------------------------------------------------------------------
@pytest.fixture
def gate(make_gate, certs):
    def make(conninfo, hba="host all all 127.0.0.1/32 scram-sha-256\n", **settings):
        return make_gate(upstream=conninfo, hba=hba, tls={"cert": certs.server}, settings={
            "auth_source": "query", "auth_user": "postgres", "auth_file": None, "upstream_login": "scram",
            **settings})

    return make


def comes_in(gate, user="q_scram", secret=PASS, database="app"):
    _, events = outcome(gate, user, secret, database)
    return events[-1] == "Z"


def passfile(scratch, name, line, mode=0o600):
    path = os.path.join(scratch, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
        f.write(line + "\n")
    os.chmod(path, mode)
    return path


def test_reader_with_a_password_over_tls(gate, upstream, certs, scratch):
    """The password stands for that host and port, in a file."""
    path = passfile(scratch, "reader", f"127.0.0.1:{upstream.port}:postgres:q_reader:reads")
    upstream.configure(hba="hostssl all q_reader 127.0.0.1/32 scram-sha-256\nhostssl app q_scram 127.0.0.1/32 scram-sha-256\n")
    upstream.reload()
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, passfile=path), auth_user="q_reader")
    assert comes_in(g)
    assert not comes_in(g, secret="wrong")


def test_reader_s_password_is_for_the_host_that_answers(gate, upstream, certs, scratch):
    path = passfile(scratch, "second", f"localhost:{upstream.port}:postgres:q_reader:reads")
    upstream.configure(hba="hostssl all q_reader 127.0.0.1/32 scram-sha-256\nhostssl app q_scram 127.0.0.1/32 scram-sha-256\n")
    upstream.reload()
    g = gate(f"host=127.0.0.1,localhost hostaddr=127.0.0.1,127.0.0.1 port={run.free_port()},{upstream.port} "
             f"sslrootcert={certs.ca_file} passfile={path}", auth_user="q_reader")
    assert comes_in(g)


def test_reader_with_a_certificate(gate, upstream, certs):
    upstream.configure(hba="hostssl all q_cert 127.0.0.1/32 cert\nhostssl app q_scram 127.0.0.1/32 scram-sha-256\n")
    upstream.reload()
    crt, key = certs.client("q-cert", certs.ca.issue("q_cert"))
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, sslcert=crt, sslkey=key), auth_user="q_cert",
             auth_dbname="app")
    assert comes_in(g)


def test_reader_without_the_right_to_read(gate, upstream):
    """57P03, and what the server said stands in the log."""
    trusting(upstream)
    g = gate(unix(upstream), auth_user="q_scram")
    mark = g.log.mark()
    asked, events = outcome(g, "q_salt", PASS)
    assert asked == [] and events[-1][1]["C"] == "57P03"
    g.log.wait_for(r'event=lookup_failed .* sqlstate=42501 message="permission denied for table pg_authid"', mark)
    g.log.wait_for(r"event=refused .* sqlstate=57P03 .* cause=lookup_failed ", mark)      # it did answer


# -- in which database --------------------------------------------------------------------------------------------
def test_a_client_gets_the_database_it_asks_for(gate, upstream):
    """Look-ups are made in auth_dbname, where auth_user may read; the client's own database has no part in it."""
    upstream.configure(hba="local postgres q_reader trust\nlocal all q_reader reject\nlocal all all trust\n")
    upstream.reload()
    g = gate(unix(upstream), auth_user="q_reader", hba="host all all 127.0.0.1/32 scram-sha-256\n")
    for database in "app", "db2", "postgres":
        with Conn(g) as c:
            c.ready(PASS, user="q_scram", database=database)
            assert c.value("SELECT current_database()") == database
    _, events = outcome(g, "q_scram", PASS, "nosuchdb")
    assert [e[1]["C"] for e in events if e[0] == "E"] == ["3D000"]


def test_an_upstream_of_its_own_is_asked_in_auth_dbname(gate, upstream):
    """A dbname in upstream.NAME renames the clients' database; nobody but its owner is admitted there."""
    upstream.configure(hba="local postgres q_reader trust\nlocal all q_reader reject\nlocal all all trust\n")
    upstream.reload()
    g = gate(unix(upstream), auth_user="q_reader", **{"upstream.alias": unix(upstream, dbname="db2")})
    with Conn(g) as c:
        c.ready(PASS, user="q_scram", database="alias")
        assert c.value("SELECT current_database()") == "db2"


@pytest.mark.parametrize("text", ["host={} port={} dbname=app", "postgresql://%2Fnowhere:5432/app"])
def test_a_database_in_plain_upstream_refuses_the_load(gate, upstream, text):
    """It would rename the database of every client, past pg_hba.conf; the running gate keeps what it has."""
    trusting(upstream)
    g = gate(unix(upstream))
    g.upstream = text.format(upstream.socket_dir, upstream.port)
    g.configure({"auth_dbname": "db2"})
    said = g.reload()
    assert "reload_failed" in said and '"upstream" must not name a database' in said
    assert 'auth_dbname" (now "db2")' in said and "upstream.NAME" in said and f"file={g.path('pgseal.conf')} line=" in said
    with Conn(g) as c:
        c.ready(PASS, user="q_scram", database="app")
    g.upstream = unix(upstream, dbname="")
    g.configure()
    assert "reload_failed" not in g.reload()


def test_loose_passfile_is_not_read(gate, upstream, certs, scratch):
    path = passfile(scratch, "loose", "*:*:*:*:reads", 0o644)
    upstream.configure(hba="hostssl all q_reader 127.0.0.1/32 scram-sha-256\n")
    upstream.reload()
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, passfile=path), auth_user="q_reader")
    assert outcome(g, "q_scram", PASS)[1][-1][1]["C"] == "57P03"


def trusting(upstream):
    upstream.configure(hba="local all all trust\n")
    upstream.reload()


def test_a_hostile_search_path_decides_nothing(gate, upstream):
    """A role's or a database's own search_path must not choose what the query calls (CVE-2025-12819)."""
    trusting(upstream)
    with upstream.admin("db2") as db:
        db.execute(f"""
            CREATE SCHEMA evil;
            CREATE TABLE evil.pg_authid AS SELECT 'q_scram'::name AS rolname, '{scram.secret("evil")}' AS rolpassword,
                NULL::timestamptz AS rolvaliduntil, true AS rolcanlogin;
            CREATE FUNCTION evil.eq(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.eq);
            ALTER ROLE postgres IN DATABASE db2 SET search_path = evil, pg_catalog;
            ALTER DATABASE db2 SET search_path = evil, pg_catalog""")
    try:
        # The operator's own auth_query may be unqualified: the fence is the session's, not the text's.
        g = gate(unix(upstream), auth_dbname="db2", auth_query="SELECT rolname, rolpassword, rolvaliduntil, "
                                                               "rolcanlogin FROM pg_authid WHERE rolname = $1")
        assert comes_in(g)
        assert not comes_in(g, secret="evil")
    finally:
        do(upstream, "ALTER ROLE postgres IN DATABASE db2 RESET search_path; "
                     "ALTER DATABASE db2 RESET search_path")


@pytest.mark.parametrize("sql", ["SELECT 1 WHERE $1 <> ''", "SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM pg_authid "
                                 "WHERE $1 <> ''", "SELECT no_such_thing, $1", "SELECT $1, 'x', 'yesterday', true",
                                 "SELECT $1, pg_catalog.pg_sleep(60)::text, NULL, true",
                                 "DELETE FROM pg_catalog.pg_authid WHERE rolname = $1 RETURNING 1, 2, 3, 4"])
def test_an_auth_query_that_does_not_answer(gate, upstream, sql):
    trusting(upstream)
    g = gate(unix(upstream), auth_query=sql)
    asked, events = outcome(g, "q_scram", PASS)
    assert asked == [] and events[-1][1]["C"] == "57P03"
    assert upstream.query("SELECT count(*) FROM pg_authid WHERE rolname = 'q_scram'") == [(1,)]


def asked_for(upstream, since):
    return len(re.findall(r"FROM pg_catalog\.pg_authid", upstream.log.text(since)))


@pytest.fixture
def logging(upstream):
    trusting(upstream)
    upstream.configure(settings={"log_statement": "all"})
    upstream.reload()
    yield upstream
    upstream.configure(settings={"log_statement": "none"})
    upstream.reload()


@pytest.fixture
def held(upstream):
    """hold() → a connection; auth_query waits until it is closed."""
    trusting(upstream)
    with upstream.admin() as db:
        db.execute("CREATE OR REPLACE FUNCTION public.q_wait(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
                   "PERFORM pg_advisory_lock_shared(4711); PERFORM pg_advisory_unlock_shared(4711); RETURN $1; END $$")
        db.execute("SELECT pg_advisory_lock(4711)")
        yield db


WAITING_QUERY = ("SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM pg_authid WHERE rolname = public.q_wait($1)")


def test_one_question_for_those_who_ask_meanwhile(gate, logging, held):
    g = gate(unix(logging), workers="1", auth_query=WAITING_QUERY)
    since = logging.log.mark()
    results = []
    threads = [threading.Thread(target=lambda: results.append(comes_in(g))) for _ in range(12)]
    for t in threads:
        t.start()
    with psycopg.connect(host=g.socket_dir, port=g.port, user="dba", dbname="pgseal", autocommit=True) as status:
        run.wait_until(lambda: status.execute("SELECT count(*) FROM pgseal_sessions WHERE lower(step) = 'admit'"
                                              ).fetchone() == (12,), "all to wait")
    held.execute("SELECT pg_advisory_unlock(4711)")
    for t in threads:
        t.join()
    assert results == [True] * 12
    assert len(re.findall(r"execute <unnamed>: .*public\.q_wait", logging.log.text(since))) == 1


def test_the_last_answer_stands_in_for_a_server_that_cannot_be_asked(gate, upstream):
    """As long as auth_cache_ttl says; for the status database, to which no server is needed."""
    trusting(upstream)
    g = gate(unix(upstream), workers="1", auth_cache_ttl="1h",
             hba="host all all 127.0.0.1/32 scram-sha-256\n", log_connections="all")
    assert comes_in(g, database="pgseal")
    upstream.stop(signal.SIGQUIT)
    try:
        assert comes_in(g, database="pgseal")
        assert not comes_in(g, database="pgseal", secret="wrong")
        assert not comes_in(g, database="pgseal")                       # a failed proof forgets it
        g.configure({"auth_cache_ttl": "0"})
    finally:
        upstream.start()
    g.reload()
    assert comes_in(g, database="pgseal")
    upstream.stop(signal.SIGQUIT)
    try:
        assert not comes_in(g, database="pgseal")
    finally:
        upstream.start()


def test_without_a_cache_each_login_asks(gate, logging):
    g = gate(unix(logging), workers="1", auth_cache_ttl="0")
    since = logging.log.mark()
    assert all(comes_in(g) for _ in range(3))
    assert asked_for(logging, since) == 3


@pytest.fixture
def changing(upstream):
    trusting(upstream)
    yield upstream
    do(upstream, f"ALTER ROLE q_scram PASSWORD '{scram.secret(PASS)}' VALID UNTIL 'infinity'")


@pytest.mark.parametrize("method", METHODS)
def test_a_changed_password_counts_at_once(gate, changing, method):
    """Whichever worker gets the first try, and whatever the new salt is."""
    g = gate(unix(changing), hba=f"host all all 127.0.0.1/32 {method}\n", auth_cache_ttl="1h", workers="4",
             upstream_login="scram, password")
    for _ in range(12):
        assert comes_in(g)
    do(changing, f"ALTER ROLE q_scram PASSWORD '{scram.secret('new', b'another salt')}'")
    assert all(comes_in(g, secret="new") for _ in range(12))
    assert not comes_in(g)


def test_a_new_role_and_a_changed_membership_count_at_once(gate, upstream):
    trusting(upstream)
    g = gate(unix(upstream), hba="host all +q_barred 127.0.0.1/32 reject\nhost all +q_outer 127.0.0.1/32 scram-sha-256\n",
             auth_cache_ttl="1h", workers="4")
    try:
        assert not comes_in(g, "q_new")
        do(upstream, f"CREATE ROLE q_new LOGIN PASSWORD '{scram.secret(PASS)}'")
        assert not comes_in(g, "q_new")
        do(upstream, "GRANT q_outer TO q_new")
        assert all(comes_in(g, "q_new") for _ in range(12))
        do(upstream, "REVOKE q_outer FROM q_new; GRANT q_barred TO q_new")
        g.reload()                                                      # what let somebody in is used as long as said
        assert not any(comes_in(g, "q_new") for _ in range(12))
        do(upstream, "REVOKE q_barred FROM q_new; GRANT q_outer TO q_new")
        assert all(comes_in(g, "q_new") for _ in range(12))
    finally:
        do(upstream, "DROP ROLE q_new")


def test_a_reload_asks_anew(gate, upstream):
    trusting(upstream)
    g = gate(unix(upstream), auth_cache_ttl="1h")
    assert comes_in(g)
    g.configure({"auth_query": f"SELECT $1, '{scram.secret('other')}', NULL, true"})
    assert "reload_failed" not in g.reload()
    assert not comes_in(g)
    assert comes_in(g, secret="other")


# -- a server that is lost ----------------------------------------------------------------------------------------
def test_the_reader_s_session_may_be_lost(gate, upstream):
    """Between two questions; the next one makes a new session."""
    trusting(upstream)
    g = gate(unix(upstream), workers="1", auth_cache_ttl="0")
    assert comes_in(g)
    for _ in range(3):
        upstream.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgseal'")
        assert comes_in(g)
    upstream.restart()
    assert comes_in(g)
    upstream.stop(signal.SIGQUIT)
    try:
        asked, events = outcome(g, "q_scram", PASS)
        assert asked == [] and events[-1][1]["C"] == "57P03"
    finally:
        upstream.start()
    assert comes_in(g)


def test_the_server_dies_while_it_is_asked(gate, upstream):
    """Everybody who waits hears 57P03, and the next one is served."""
    trusting(upstream)
    with upstream.admin() as db:
        db.execute("CREATE OR REPLACE FUNCTION public.q_wait(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
                   "PERFORM pg_advisory_lock_shared(4711); RETURN $1; END $$")
        db.execute("SELECT pg_advisory_lock(4711)")
        g = gate(unix(upstream), workers="1", auth_cache_ttl="0", auth_query=(
            "SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM pg_authid WHERE rolname = public.q_wait($1)"))
        results = []
        threads = [threading.Thread(target=lambda u=u: results.append(outcome(g, u, PASS)))
                   for u in ("q_scram", "q_salt", "q_forever", "q_missing")]
        for t in threads:
            t.start()
        run.wait_until(lambda: upstream.query("SELECT count(*) FROM pg_stat_activity WHERE "
                                              "application_name = 'pgseal' AND wait_event = 'advisory'") == [(1,)],
                       "the question to wait")
        with psycopg.connect(host=g.socket_dir, port=g.port, user="dba", dbname="pgseal", autocommit=True) as status:
            run.wait_until(lambda: status.execute("SELECT count(*) FROM pgseal_sessions WHERE lower(step) = 'admit'"
                                                  ).fetchone() == (4,), "all to wait")
        upstream.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgseal'")
        for t in threads:
            t.join()
        assert [r[1][-2 if r[1][-1] == wire.EOF else -1][1]["C"] for r in results] == ["57P03"] * 4
        db.execute("SELECT pg_advisory_unlock(4711)")
    assert comes_in(g)


def test_a_server_that_never_answers_the_question(gate, certs):
    """The client's own time is up first."""
    def silent(up, sock):
        up.startup(sock)
        sock.sendall(message("R", b"\0\0\0\0") + message("Z", b"I"))
        sock.recv(65536)
        sock.recv(65536)

    with Upstream(silent) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslmode=disable user=q_super", auth_user="q_super",
                 authentication_timeout="3")
        asked, events = outcome(g, "q_scram", PASS)
        assert asked == [] and events[-1] in (wire.EOF, wire.RESET) or events[-1][1]["C"] == "57P03"


def test_trust_without_verification_is_not_taken_by_the_reader(gate, upstream):
    """A server on TCP whose name nobody verified could hand out any secret."""
    upstream.configure(hba="host all all 127.0.0.1/32 trust\n")
    upstream.reload()
    g = gate(tcp(upstream, sslmode="disable"))
    assert outcome(g, "q_scram", PASS)[1][-1][1]["C"] == "57P03"


# -- maps that ask for memberships --------------------------------------------------------------------------------
@pytest.mark.parametrize("user, admitted", [("q_deep", True), ("q_in", True), ("q_scram", False), ("q_missing", False)])
def test_a_map_line_with_a_group(make_gate, upstream, certs, user, admitted):
    """`+role` in pg_ident.conf, which PostgreSQL reads since 16: the requested role is a direct or indirect member."""
    hba, maps = "hostssl all all 127.0.0.1/32 cert map=m\n", "m operator +q_barred\n"
    tls = {"cert": certs.server, "ca": certs.ca.pem()}
    pair = certs.client("operator", certs.ca.issue("operator"))
    trusting(upstream)
    gate = make_gate(upstream=unix(upstream), hba=hba, ident=maps, tls=tls,
                     settings={"auth_source": "query", "auth_user": "postgres", "upstream_login": "peer"})

    def answer(server):
        with Conn(server) as c:
            c.start_tls(wire.client_context(cert=pair))
            c.send(startup(user, database="app"))
            first = c.dialogue()[0]
            return first if first[0] == "R" else (first[0], first[1]["C"], first[1]["M"])

    first = answer(gate)
    assert (first[0] == "R") is admitted
    if not admitted:
        assert first[1:] == ("28000", f'certificate authentication failed for user "{user}"')
