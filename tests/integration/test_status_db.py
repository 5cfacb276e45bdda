"""
The status database inside the gate: what real clients read there, and who may.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import termios

import psycopg
import pytest

from conftest import npm_modules
from lib import fake, psql, run, wire
from lib.pg import PASSWORDS
from lib.wire import message

ALICE = PASSWORDS["alice"]

HBA = """\
local     app      alice              scram-sha-256
local     pgseal   carol              reject
hostssl   app      alice 127.0.0.1/32 scram-sha-256
hostssl   app      bob   127.0.0.1/32 cert
hostssl   pgseal   alice,bob,carol 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    return server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                          settings={"admin_users": "alice", "stats_users": "bob", "ssl_min_protocol_version": "TLSv1.2"})


def options(gate, certs, user="alice", **more):
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": gate.port, "user": user, "dbname": "pgseal",
            "password": PASSWORDS.get(user), "sslmode": "verify-full", "sslrootcert": certs.ca_file, **more}


def connect(gate, certs, user="alice", **more):
    return psycopg.connect(**options(gate, certs, user, **more), autocommit=True)


def ask(gate, certs, *sql, user="alice"):
    """psql -c for each statement, over TLS that was verified in full; its output."""
    words = [word for statement in sql for word in ("-c", statement)]
    wanted = options(gate, certs, user, password=None)
    return subprocess.run([psql.PSQL, "-XAtw", psql.conninfo(**wanted), *words], capture_output=True, text=True,
                          env=psql.environment(PGPASSWORD=PASSWORDS[user]), timeout=60, check=False)


def own(gate, *words):
    """`pgseal psql`."""
    return subprocess.run([gate.program, "psql", "-D", gate.dir, "-XAtw", *words], capture_output=True, text=True,
                          env=psql.environment(), timeout=60, check=False)


# -- the statements that everybody tries first --------------------------------------------------------------------
WORD_FOR_WORD = [
    "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid();",
    "SELECT pid, usename, ssl, client_addr FROM pg_stat_ssl JOIN pg_stat_activity USING (pid);",
    "SELECT ssl_is_used();",
    "SELECT pg_reload_conf();",
    "SHOW ssl_min_protocol_version;",
]


def test_word_for_word_over_tls(gate, certs):
    got = ask(gate, certs, *WORD_FOR_WORD)
    assert got.returncode == 0, got.stderr
    lines = got.stdout.splitlines()
    assert lines[0] == "t|TLSv1.3|TLS_AES_256_GCM_SHA384|256"
    assert any(line.endswith("|alice|t|127.0.0.1") for line in lines[1:-3]), lines
    assert lines[-3:] == ["t", "t", "TLSv1.2"]
    assert "NOTICE:  configuration reloaded, generation " in got.stderr


def test_word_for_word_through_the_command(gate):
    got = own(gate, *[word for statement in WORD_FOR_WORD for word in ("-c", statement)])
    assert got.returncode == 0, got.stderr
    lines = got.stdout.splitlines()
    assert lines[0] == "f|||" and lines[-3:] == ["f", "t", "TLSv1.2"]


def test_a_refused_reload_says_where(gate, certs):
    gate.configure(hba=HBA + "hostssl all all nowhere/99 trust\n")
    try:
        got = ask(gate, certs, "SELECT pg_reload_conf()", "SELECT line_number FROM pg_hba_file_rules "
                  "WHERE error IS NOT NULL")
    finally:
        gate.configure(hba=HBA)
    assert got.stdout.splitlines() == ["t", "6"]
    assert "configuration was not reloaded" in got.stderr and "pg_hba.conf:6: " in got.stderr


def test_a_reload_is_in_force_at_once(gate, certs):
    gate.configure(hba=HBA + "hostssl db2 alice 127.0.0.1/32 scram-sha-256\n")
    try:
        assert ask(gate, certs, "SELECT pg_reload_conf()").returncode == 0
        with psycopg.connect(**options(gate, certs, dbname="db2")) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
    finally:
        gate.configure(hba=HBA)
        ask(gate, certs, "SELECT pg_reload_conf()")


def test_reloads_are_remembered(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings={"admin_users": "alice"})
    with connect(gate, certs) as db:
        gate.configure(hba=HBA + "nonsense\n")
        gate.reload()
        gate.configure(hba=HBA)
        db.execute("SELECT pg_reload_conf()")
        rows = db.execute("SELECT generation, trigger, result, file_name, line_number, error "
                          "FROM pgseal_generations ORDER BY loaded_at").fetchall()
    assert rows == [(1, "start", "loaded", None, None, None),
                    (1, "SIGHUP", "refused", gate.path("pg_hba.conf"), 6, 'invalid connection type "nonsense"'),
                    (2, "pg_reload_conf", "loaded", None, None, None)]


# -- who may ------------------------------------------------------------------------------------------------------
def test_own_user_is_admin_on_the_socket_whatever_the_rules_say(gate):
    got = own(gate, "-U", "carol", "-c", "SELECT current_user, system_user", "-c", "SELECT count(*) FROM pgseal_rules")
    assert got.stdout.splitlines()[0].startswith("carol|peer:"), got.stderr
    assert got.stdout.splitlines()[1] == "5"


def test_pg_hba_decides_for_all_others(gate, certs):
    with pytest.raises(psycopg.OperationalError, match="no pg_hba.conf entry .*database \"pgseal\""):
        connect(gate, certs, "nologin")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(gate, certs, password="wrong")


def test_readers_see_what_is_theirs(gate, certs):
    with connect(gate, certs, "carol") as carol, connect(gate, certs, "bob") as bob:
        assert carol.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE state IS NOT NULL").fetchall() == \
            [("carol",)]
        run.wait_until(lambda: carol.execute("SELECT count(*) FROM pg_stat_ssl").fetchone() == (1,),
                       "carol's earlier sessions to be gone")
        for statement in ("SELECT * FROM pgseal_rules", "SELECT pg_reload_conf()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                carol.execute(statement)
        assert bob.execute("SELECT count(*) FROM pg_stat_ssl").fetchone()[0] >= 2
        assert bob.execute("SELECT count(*) FROM pgseal_rules").fetchone() == (5,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bob.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="module")
def judge(factory, server_factory, certs):
    """(server, gate that has passwords for the status database judged there)"""
    server = factory.postgres(hba="local db2 alice,nologin scram-sha-256\nlocal db2 carol password\n"
                                  "local all postgres trust\nlocal all all reject\n")
    gate = server_factory("gate", upstream=f"host={server.socket_dir} port={server.port}",
                          hba="host pgseal carol 127.0.0.1/32 password\n"
                              "hostssl pgseal all 127.0.0.1/32 scram-sha-256\n",
                          tls={"cert": certs.server}, settings={"auth_source": "upstream", "upstream_login": "scram",
                                                                "auth_dbname": "db2"})
    yield server, gate
    factory.stop(server)


def test_password_is_judged_by_the_server_behind(judge, certs):
    """In auth_dbname, the only database of this server that admits her."""
    server, gate = judge
    with connect(gate, certs) as db:
        assert db.execute("SELECT current_user, ssl_is_used()").fetchone() == ("alice", True)
        run.wait_until(lambda: server.query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'") == [(0,)],
                       "the session that judged to be over")
        assert db.execute("SELECT current_user").fetchone() == ("alice",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(gate, certs, password="wrong")


def test_the_server_behind_has_the_last_word(judge, certs):
    """A password may be right and the session refused all the same, as it is there."""
    _, gate = judge
    expected = [("R", 0, b""), wire.fatal("28000", 'role "nologin" is not permitted to log in')]
    with wire.Conn(gate) as c:
        c.start_tls()
        events = c.login(PASSWORDS["nologin"], "nologin", "pgseal")
        assert events[0][:2] == ("R", 12) and events[1:3] == expected


def test_password_for_the_judge_in_the_startup_message_s_segment(judge):
    _, gate = judge
    with wire.Conn(gate) as c:
        c.send(wire.startup("carol", "pgseal") + wire.password(PASSWORDS["carol"]))
        events = c.dialogue()
        assert [e[:2] for e in events if e[0] == "R"] == [("R", 3), ("R", 0)] and events[-1] == ("Z", "I")
        assert c.value("SELECT current_user") == "carol"


@pytest.mark.parametrize("how", ["closes", "resets"])
def test_a_judge_that_is_lost_before_its_last_word(make_gate, how):
    def judge(up, sock):
        up.startup(sock)
        sock.sendall(message("R", struct.pack("!I", 3)))
        sock.recv(4096)
        sock.sendall(message("R", struct.pack("!I", 0)) + message("K", struct.pack("!II", 1, 2)))
        if how == "resets":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with fake.Upstream(judge) as up:
        gate = make_gate(upstream=f"host=127.0.0.1 port={up.port} sslmode=disable",
                         hba="host pgseal carol 127.0.0.1/32 password\n",
                         settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
        with wire.Conn(gate) as c:
            events = c.login(PASSWORDS["carol"], "carol", "pgseal")
        assert events[0][1]["C"] == "57P03", events


def test_without_an_upstream(make_gate, certs):
    gate = make_gate(upstream="", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()})
    with connect(gate, certs) as db:
        assert db.execute("SHOW cluster_name").fetchone() == ("",)
    with pytest.raises(psycopg.OperationalError, match="database \"app\" does not exist"):
        psycopg.connect(**options(gate, certs, dbname="app"))


# -- what it shows ------------------------------------------------------------------------------------------------
def test_pids_are_the_servers_own(gate, certs):
    crt, key = certs.client("status-bob", certs.ca.issue("bob"))
    with psycopg.connect(**options(gate, certs, "bob", dbname="app", password=None, sslcert=crt, sslkey=key)) as app, \
            connect(gate, certs) as db:
        pid = app.execute("SELECT pg_backend_pid()").fetchone()[0]
        app.rollback()
        row = db.execute("SELECT ssl, version, cipher, bits, client_dn, issuer_dn, system_user, auth_method, "
                         "database, step FROM pg_stat_ssl JOIN pgseal_sessions USING (pid) WHERE pid = %s",
                         (pid,)).fetchone()
        assert row == (True, "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, "/CN=bob", "/CN=pgseal test CA",
                       "cert:CN=bob", "cert", "app", "relay")
        assert app.execute("SELECT usename, state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() == \
            ("bob", "active")
        console = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        assert console >= 1 << 30 and db.info.backend_pid == console


def test_states_of_sessions(gate, certs):
    with psycopg.connect(**options(gate, certs, dbname="app")) as app, connect(gate, certs) as db:
        def state():
            return db.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (app.info.backend_pid,)).fetchone()

        assert state() == ("idle",)
        app.execute("SELECT 1")
        assert state() == ("idle in transaction",)
        with pytest.raises(psycopg.errors.DivisionByZero):
            app.execute("SELECT 1/0")
        assert state() == ("idle in transaction (aborted)",)
        app.rollback()
        assert state() == ("idle",)


def test_rules_count_their_hits(gate, certs):
    with connect(gate, certs) as db:
        def hits():
            return db.execute("SELECT hits FROM pgseal_rules WHERE rule_number = 3").fetchone()[0]

        before = hits()
        for _ in range(3):
            psycopg.connect(**options(gate, certs, dbname="app")).close()
        assert hits() == before + 3
        db.execute("SELECT pg_reload_conf()")
        assert hits() == before + 3


def test_rules_that_never_decide_are_named(make_gate, certs):
    gate = make_gate(hba="hostssl app all 10.0.0.0/8 scram-sha-256\nhost app alice,bob 10.1.0.0/16 reject\n"
                         "hostssl app alice,bob 10.1.0.0/16 reject\nhostssl app all 10.0.0.0/9 md5\n"
                         "hostssl all all 192.168.0.0/17 md5\nhostssl all all 192.168.128.0/17 md5\n"
                         "hostssl all all 192.168.0.0/16 reject\n" + HBA, settings={"admin_users": "alice"},
                     tls={"cert": certs.server})
    with connect(gate, certs) as db:
        first, second = (gate.path("pg_hba.conf") + f":{line}" for line in (5, 6))
        assert db.execute("SELECT rule_number, shadowed_by, covered_by FROM pgseal_rules WHERE shadowed_by IS NOT NULL "
                          "OR rule_number < 4").fetchall() == [
            (1, None, None), (2, None, None), (3, 1, [gate.path("pg_hba.conf") + ":1"]),
            (4, 1, [gate.path("pg_hba.conf") + ":1"]), (7, 5, [first, second])]


def test_certificates(gate, certs):
    with connect(gate, certs) as db:
        rows = db.execute("SELECT kind, subject, served, status, days_left > 0 FROM pgseal_certificates").fetchall()
    assert rows[0][0] == "server" and rows[0][2:] == (True, "ok", True)
    assert "client ca" in [row[0] for row in rows]


def test_failures_and_clients_are_counted(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings={"admin_users": "alice"})
    with connect(gate, certs) as db:
        for _ in range(3):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(**options(gate, certs, dbname="app", sslrootcert=certs.foreign_file))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**options(gate, certs, dbname="app", sslmode="disable", application_name="old"))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**options(gate, certs, dbname="app", password="wrong"))
        psycopg.connect(**options(gate, certs, dbname="app", application_name="good")).close()
        run.wait_until(lambda: db.execute("SELECT sum(count) FROM pgseal_failures").fetchone()[0] == 5,
                       "the last words of clients that just left to be read")
        failures = {row[0]: row[1:] for row in db.execute(
            "SELECT cause, count, host(client_addr), alert, hint IS NOT NULL FROM pgseal_failures").fetchall()}
        assert failures["unknown_ca"] == (3, "127.0.0.1/32", "unknown ca", True) or \
            failures["unknown_ca"][:2] == (3, "127.0.0.1"), failures
        assert failures["password_wrong"][0] == 1 and failures["no_encryption"][0] == 1
        clients = {row[0]: row[1:] for row in db.execute(
            "SELECT application_name, user_name, sessions, plaintext_attempts, weakest_tls, sslmode FROM pgseal_clients "
            "WHERE application_name IN ('old', 'good')").fetchall()}
        assert clients == {"old": ("alice", 0, 1, None, "disable or allow"),
                           "good": ("alice", 1, 0, "TLSv1.3", "prefer or stronger")}


def test_settings_and_their_files(gate, certs):
    with connect(gate, certs) as db:
        assert db.execute("SELECT setting, source, sourcefile FROM pg_settings WHERE name = 'admin_users'").fetchone() \
            == ("alice", "configuration file", gate.path("pgseal.conf"))
        assert db.execute("SELECT setting, applied, error FROM pg_file_settings WHERE name = 'stats_users'").fetchone() \
            == ("bob", True, None)
        assert db.execute("SELECT count(*) FROM pg_ident_file_mappings").fetchone() == (0,)


def test_all_views_can_be_read(gate, certs):
    with connect(gate, certs) as db:
        names = [row[0] for row in db.execute("SELECT relname FROM pg_class").fetchall()]
        assert {"pg_stat_ssl", "pgseal_sessions", "pgseal_failures", "pgseal_clients"} <= set(names)
        for name in names:
            db.execute(f"SELECT * FROM {name}").fetchall()


def ended(db):
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        db.execute("SELECT 1")


def results(db):
    """What a statement sent with send_query() gave, and nothing is left over."""
    found = []
    while (result := db.pgconn.get_result()) is not None:
        found.append(result)
    return found


# -- what it does -------------------------------------------------------------------------------------------------
def test_terminate_and_cancel_a_session(gate, certs):
    with psycopg.connect(**options(gate, certs, dbname="app")) as app, connect(gate, certs) as db:
        app.pgconn.send_query(b"SELECT pg_sleep(60)")
        # Asked of the server: a cancel request that comes before the statement has begun there does nothing.
        asleep = f"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = {app.info.backend_pid}"
        run.wait_until(lambda: gate.upstream.query(asleep) == [(True,)], "the statement to run")
        assert db.execute("SELECT state FROM pg_stat_activity WHERE pid = %s",
                          (app.info.backend_pid,)).fetchone() == ("active",)
        assert db.execute("SELECT pg_cancel_backend(%s)", (app.info.backend_pid,)).fetchone() == (True,)
        assert select.select([app.fileno()], [], [], 20)[0]
        assert results(app)[0].error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014"
        assert db.execute("SELECT pg_terminate_backend(%s)", (app.info.backend_pid,)).fetchone() == (True,)
        ended(app)
        assert db.execute("SELECT pg_terminate_backend(1)").fetchone() == (False,)


def test_others_may_not_terminate(gate, certs):
    with connect(gate, certs) as alice, connect(gate, certs, "carol") as carol, connect(gate, certs, "carol") as other:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            carol.execute("SELECT pg_terminate_backend(%s)", (alice.info.backend_pid,))
        assert carol.execute("SELECT pg_terminate_backend(%s)", (other.info.backend_pid,)).fetchone() == (True,)
        ended(other)


PID = 4711
HELLO = message("R", struct.pack("!I", 0)) + message("K", struct.pack("!II", PID, 7)) + message("Z", b"I")


def says_hello(upstream, sock):
    if upstream.startup(sock):
        sock.sendall(HELLO)
        sock.recv(1)


def test_a_pid_of_two_servers(factory, make_gate):
    """Servers number their processes for themselves: nobody is hit by a signal for somebody else."""
    places = [factory.directory() for _ in "ab"]
    with fake.Upstream(says_hello, places[0]) as one, fake.Upstream(says_hello, places[1]):
        g = make_gate(hba="host all all 127.0.0.1/32 trust\n", settings={
            "admin_users": "alice", "upstream.one": f"host={places[0]}", "upstream.two": f"host={places[1]}"})

        def to(database, user):
            return psycopg.connect(host="127.0.0.1", port=g.port, user=user, dbname=database, sslmode="disable",
                                   autocommit=True)

        with to("pgseal", "alice") as admin, to("pgseal", "bob") as bob, to("pgseal", "carol") as carol:
            first, second = to("one", "alice"), to("two", "bob")
            assert admin.execute("SELECT count(*) FROM pgseal_sessions WHERE pid = %s", (PID,)).fetchone() == (2,)
            for function in "pg_terminate_backend", "pg_cancel_backend":
                with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState,
                                   match=f"2 sessions have PID {PID}") as refused:
                    admin.execute(f"SELECT {function}({PID})")
                for user, database, session in ("alice", "one", first), ("bob", "two", second):
                    with socket.socket(fileno=os.dup(session.fileno())) as s:
                        port = s.getsockname()[1]
                    assert f'user "{user}", database "{database}", client 127.0.0.1 port {port}' \
                        in refused.value.diag.message_detail
                assert refused.value.diag.message_hint
            assert len(one.received) == 1       # no cancel request came
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                carol.execute(f"SELECT pg_terminate_backend({PID})")
            # Only one of them is bob's, and so he means that one; then there is one left.
            assert bob.execute(f"SELECT pg_terminate_backend({PID})").fetchone() == (True,)
            assert select.select([second.fileno()], [], [], 20)[0]
            run.wait_until(lambda: admin.execute("SELECT count(*) FROM pgseal_sessions WHERE pid = %s",
                                                 (PID,)).fetchone() == (1,), "the session to be gone")
            assert not select.select([first.fileno()], [], [], 0)[0]
            assert admin.execute(f"SELECT pg_terminate_backend({PID})").fetchone() == (True,)
            assert select.select([first.fileno()], [], [], 20)[0]


ENDLESS = "SELECT count(*) FROM pg_settings a, pg_settings b, pg_settings c, pg_settings d, pg_settings e"


def test_a_runaway_query_ends(gate, certs):
    with connect(gate, certs) as db, connect(gate, certs) as other:
        with pytest.raises(psycopg.errors.QueryCanceled):
            db.execute(ENDLESS)
        assert db.execute("SELECT 1").fetchone() == (1,)
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_request_reaches_it(gate, certs):
    with connect(gate, certs) as db:
        db.pgconn.send_query(ENDLESS.encode())
        select.select([db.fileno()], [], [], 4)     # the description of its rows
        db.pgconn.get_cancel().cancel()     # later on the statement's own deadline would end it, in other words
        assert results(db)[0].error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY) == \
            b"canceling statement due to user request"


def test_a_client_may_go_while_its_query_runs(gate, certs):
    for _ in range(5):
        db = connect(gate, certs)
        db.pgconn.send_query(ENDLESS.encode())
        db.close()
    with connect(gate, certs) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_stop_while_a_query_runs(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()})
    with connect(gate, certs) as db, connect(gate, certs) as other:
        db.pgconn.send_query(ENDLESS.encode())
        other.execute("SELECT 1")
        assert gate.stop() == 0
        results(db)
        ended(other)


def test_unsupported_statements_fail_at_once(gate, certs):
    with connect(gate, certs) as db:
        for statement in ("CREATE TABLE t (a int)", "INSERT INTO pg_class VALUES (1)", "SELECT pg_sleep(1)", "VACUUM",
                          "LISTEN x", "SELECT 1 WHERE", "PRAGMA table_info(x)", "ATTACH 'x' AS y"):
            with pytest.raises(psycopg.Error) as failure:
                db.execute(statement)
            assert failure.value.sqlstate, statement
        assert db.execute("SELECT 1").fetchone() == (1,)


# -- many ---------------------------------------------------------------------------------------------------------
def test_500_sessions_are_listed(gate, certs):
    opened = []
    try:
        with connect(gate, certs) as db:    # first: select() in psycopg knows 1024 descriptors
            for _ in range(500):
                opened.append(psycopg.connect(host=gate.socket_dir, port=gate.port, user="alice", dbname="app",
                                              password=ALICE))
            pids = {row[0] for row in db.execute("SELECT pid FROM pg_stat_activity WHERE datname = 'app'").fetchall()}
            assert pids >= {session.info.backend_pid for session in opened}
    finally:
        for session in opened:
            session.close()


def unread(db):
    return struct.unpack("i", fcntl.ioctl(db.fileno(), termios.FIONREAD, bytes(4)))[0]


def test_big_results_wait_for_a_slow_reader(gate, certs):
    with connect(gate, certs) as db:
        db.pgconn.send_query(b"SELECT a.*, b.* FROM pg_settings a, pg_settings b")
        run.wait_until(lambda: unread(db) > 65536, "more to have come than is taken")
        result = results(db)[0]
        with connect(gate, certs) as other:
            n = other.execute("SELECT count(*) FROM pg_settings").fetchone()[0]
        assert result.ntuples == n * n


# -- other clients ------------------------------------------------------------------------------------------------
def test_psql_meta_commands(gate, certs, scratch):
    path = os.path.join(scratch, "ssl.copy")
    got = ask(gate, certs, "\\x", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
              f"\\copy (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) TO {path}")
    assert got.returncode == 0, got.stderr
    assert "ssl|t" in got.stdout
    described = subprocess.run([psql.PSQL, "-XAtw", psql.conninfo(**options(gate, certs, password=None))],
                               input="SELECT ssl, bits FROM pg_stat_ssl \\gdesc\n", capture_output=True, text=True,
                               env=psql.environment(PGPASSWORD=ALICE), timeout=60, check=False)
    assert described.stdout.splitlines() == ["ssl|boolean", "bits|integer"], described.stderr
    with open(path, encoding="ascii") as f:
        assert f.read() == "t\n"


def test_psycopg_parameters_and_binary(gate, certs):
    with connect(gate, certs) as db:
        row = db.execute("SELECT pid, ssl, bits FROM pg_stat_ssl WHERE pid = %s", (db.info.backend_pid,),
                         binary=True).fetchone()
        assert row == (db.info.backend_pid, True, 256)


NODE = """
const fs = require('fs');
const { Client } = require('pg');
(async () => {
  const client = new Client({ host: '127.0.0.1', port: +process.argv[2], user: 'alice', password: process.argv[3],
    database: 'pgseal', ssl: { ca: fs.readFileSync(process.argv[4], 'utf8'), servername: 'db.example' } });
  await client.connect();
  const got = await client.query('SELECT ssl, version, bits FROM pg_stat_ssl WHERE pid = $1', [client.processID]);
  console.log(JSON.stringify(got.rows[0]));
  await client.end();
})().catch((e) => { console.log(e.message); process.exit(1); });
"""


def test_node_postgres(gate, certs, pytestconfig):
    modules = npm_modules(pytestconfig)
    if not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("node-postgres is not installed (tools/npm.sh)")
    got = subprocess.run(["node", "-e", NODE, "x", str(gate.port), ALICE, certs.ca_file], capture_output=True,
                         text=True, env=psql.environment(NODE_PATH=modules), timeout=60, check=False)
    assert got.stdout.strip() == '{"ssl":true,"version":"TLSv1.3","bits":256}', got.stdout + got.stderr


def test_postgres_fdw_imports_it(gate, certs, factory):
    server = factory.upstream()
    with psycopg.connect(host=server.socket_dir, port=server.port, user="postgres", dbname="db2",
                         autocommit=True) as db:
        try:
            db.execute("CREATE EXTENSION postgres_fdw")
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("postgres_fdw is not installed")
        try:
            db.execute(f"CREATE SERVER gate FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', "
                       f"port '{gate.port}', dbname 'pgseal', sslmode 'require', sslcert '/none', sslkey '/none')")
            db.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER gate OPTIONS (user 'alice', password %s)"
                       .replace("%s", psycopg.sql.quote(ALICE)))
            db.execute("CREATE SCHEMA seen")
            db.execute("IMPORT FOREIGN SCHEMA public FROM SERVER gate INTO seen")
            with psycopg.connect(**options(gate, certs, dbname="app")) as app:
                joined = db.execute("SELECT a.usename, s.version FROM pg_stat_activity a "
                                    "JOIN seen.pg_stat_ssl s USING (pid) WHERE pid = %s",
                                    (app.info.backend_pid,)).fetchone()
                assert joined == ("alice", "TLSv1.3")
            assert db.execute("SELECT count(*) FROM seen.pgseal_sessions").fetchone()[0] >= 1
        finally:
            db.execute("DROP SCHEMA IF EXISTS seen CASCADE")
            db.execute("DROP EXTENSION postgres_fdw CASCADE")
