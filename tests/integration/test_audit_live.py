"""
pgseal audit --conninfo: a running server, as far as a role may see it.
"""

import json
import os
import socket
import struct
import subprocess

import pytest

from lib import fake

# A server of the test's own that stumbles proves nothing.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

HBA = """hostssl all alice 10.0.0.0/8 scram-sha-256
host app all 192.168.0.0/16 scram-sha-256
host all all 127.0.0.1/32 trust
host all "with space, and comma" 127.0.0.1/32 reject
host all /^re.*x,y$ 127.0.0.1/32 reject
"""


def audit(program, conninfo, *arguments, **more):
    return subprocess.run([program, "audit", "--json", "--conninfo", conninfo, *arguments], capture_output=True, text=True,
                          timeout=100, check=False, **more)


def report(program, conninfo, *arguments):
    done = audit(program, conninfo, *arguments)
    assert done.stdout and not done.stderr, done.stderr
    return json.loads(done.stdout), done


def by_id(found, name):
    return [finding for finding in found["findings"] if finding["id"] == name]


def unseen(found):
    return {entry["what"]: entry["why"] for target in found["targets"] for entry in target["unseen"]}


def item(found, number):
    return found["checklist"][number - 1]["pass"]


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    if kind == "gate":
        pytest.skip("a PostgreSQL is asked, not a gate")
    return server_factory(kind, hba=HBA, tls={"cert": certs.server}, settings={"listen_addresses": "127.0.0.1"})


def superuser(server):
    return f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres sslmode=require"


def test_a_server_is_seen(program, server):
    found, done = report(program, superuser(server))
    assert done.returncode == 1
    target = found["targets"][0]
    assert target["kind"] == "server" and target["version"] == server.major and target["error"] is None
    plain = by_id(found, "plaintext_from_network")
    assert [f["where"] for f in plain] == [server.path("pg_hba.conf") + ":3"]   # the first line is the fixture's own
    assert "addr=192.168.0.1" in plain[0]["witness"] and item(found, 3) is False
    assert not by_id(found, "rules_broken") and not by_id(found, "certificate_unreadable")
    assert plain[0]["edit"] is None and plain[0]["fix"] == (
        f"Make line 3 of {server.path('pg_hba.conf')}: hostssl app all 192.168.0.0 255.255.0.0 scram-sha-256; "
        "then SELECT pg_reload_conf().")
    assert by_id(found, "ciphers_legacy")[0]["fix"].startswith("ALTER SYSTEM SET ssl_ciphers = 'ECDHE-")


def test_the_served_certificate_is_judged(program, server, certs, tmp_path):
    found, _done = report(program, superuser(server))
    endpoint = f"127.0.0.1:{server.port}"
    assert endpoint in {f["where"] for f in found["findings"] if f["id"].startswith("certificate_")} or \
        item(found, 2) is not None
    assert "what the port answers" not in unseen(found)
    over_socket, _done = report(program, f"host={server.socket_dir} port={server.port} user=postgres")
    assert "Unix-domain socket" in unseen(over_socket)["what the port answers"] and item(over_socket, 2) is None


def test_stored_secrets_by_kind(program, server):
    with server.admin() as db:
        db.execute("SET password_encryption = md5")
        db.execute("CREATE ROLE old_md5 LOGIN PASSWORD 'secret-of-old-md5'")
        db.execute("RESET password_encryption")
        db.execute("CREATE ROLE few LOGIN PASSWORD 'SCRAM-SHA-256$7:AAAA$"
                   + "A" * 43 + "=:" + "A" * 43 + "='")
    try:
        found, done = report(program, superuser(server))
        assert [f["where"] for f in by_id(found, "md5_secrets")] == ['role "old_md5"']
        assert [f["where"] for f in by_id(found, "scram_iterations_low")] == ['role "few"']
        assert "VALID UNTIL" in by_id(found, "valid_until_unset")[0]["evidence"]
        assert len(by_id(found, "connection_limit_none")) == 1
        assert 'role "expired"' in {f["where"] for f in by_id(found, "valid_until_passed")}
        assert "secret-of-old-md5" not in done.stdout and "AAAA" not in done.stdout and "md5" + "0" not in done.stdout
    finally:
        with server.admin() as db:
            db.execute("DROP ROLE old_md5, few")


def test_what_a_plain_role_may_not_see(program, server):
    found, _done = report(program, f"host=127.0.0.1 port={server.port} user=alice dbname=app sslmode=require")
    missing = unseen(found)
    assert "a superuser" in missing["the rules"] and "a superuser" in missing["the kinds of passwords"]
    assert "the sessions of other roles" in missing and "the subscriptions" in missing
    assert item(found, 3) is None and item(found, 4) is None
    assert not by_id(found, "plaintext_from_network")


def test_connections_that_go_out(program, server):
    secret = "not-to-be-shown"
    with server.admin() as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS dblink")
        db.execute("CREATE SERVER far FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'far.example', sslmode 'require')")
        db.execute("CREATE SERVER safe FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'far.example',"
                   " sslmode 'verify-full', sslrootcert '/ca.crt')")
        db.execute(f"CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'u', password '{secret}')")
        db.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
        db.execute("CREATE SERVER pgfar FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far.example', sslmode 'verify-full')")
        db.execute("CREATE USER MAPPING FOR alice SERVER pgfar OPTIONS (user 'u', password_required 'false')")
        db.execute("CREATE USER MAPPING FOR PUBLIC SERVER pgfar OPTIONS (user 'u', password_required 'true')")
        db.execute("CREATE FUNCTION calls() RETURNS int LANGUAGE plpgsql AS $$ BEGIN\n"
                   f" PERFORM dblink_connect('host=x password={secret}'); RETURN 1; END $$")
        db.execute("CREATE SUBSCRIPTION sub1 CONNECTION 'host=pub.example dbname=app"
                   f" password=''{secret} x'' sslmode=prefer' PUBLICATION p WITH (connect = false)")
        db.execute("CREATE VIEW through AS SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)")
        db.execute(f"CREATE SUBSCRIPTION sub2 CONNECTION 'postgresql://u:{secret}@pub.example/app?sslmode=verify-ca'"
                   " PUBLICATION p WITH (connect = false)")
    try:
        found, done = report(program, superuser(server))
        assert secret not in done.stdout
        plain = {f["where"]: f["evidence"] for f in by_id(found, "connection_plaintext")}
        assert set(plain) == {'subscription "sub1" of database "postgres"'}
        assert "sslmode=prefer" in plain['subscription "sub1" of database "postgres"']
        assert [f["where"] for f in by_id(found, "connection_unverified")] == ['foreign server "far"']
        assert [f["where"] for f in by_id(found, "connection_name_unverified")] == [
            'subscription "sub2" of database "postgres"']
        assert [f["where"] for f in by_id(found, "connection_in_text")] == [
            'line 2 of function "public"."calls"', 'view "public"."through"']
        assert item(found, 4) is False
        fixes = {f["where"]: f["fix"] for f in found["findings"] if f["id"].startswith("connection_")}
        assert fixes['subscription "sub1" of database "postgres"'].startswith(
            'In database "postgres": ALTER SUBSCRIPTION "sub1" CONNECTION \'dbname=app host=pub.example sslmode=verify-full '
            "sslrootcert=CA_FILE\'; add the password")
        assert fixes['foreign server "far"'] == (
            'ALTER SERVER "far" OPTIONS (SET sslmode \'verify-full\', ADD sslrootcert \'CA_FILE\');')
        db = server.admin()
        db.execute(fixes['foreign server "far"'])
        db.close()
        assert [(f["where"], f["fix"]) for f in by_id(found, "mapping_without_password")] == [(
            'user mapping of "alice" for foreign server "pgfar"',
            'ALTER USER MAPPING FOR "alice" SERVER "pgfar" OPTIONS (SET password_required \'true\');')]
        assert "the options of user mappings" not in unseen(found)
        assert "name 1" not in unseen(found)["foreign servers and dblink calls of other databases"]
    finally:
        with server.admin() as db:
            for name in ("sub1", "sub2"):
                db.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
                db.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
                db.execute(f"DROP SUBSCRIPTION {name}")
            db.execute("DROP VIEW through")
            db.execute("DROP FUNCTION calls()")
            db.execute("DROP SERVER far CASCADE")
            db.execute("DROP SERVER safe")
            db.execute("DROP EXTENSION postgres_fdw CASCADE")


def test_names_of_users_are_no_code(program, server):
    """Objects and texts that an ordinary user could have made: the audit shows them and runs none of them."""
    with server.admin() as db:
        db.execute("CREATE SCHEMA IF NOT EXISTS evil")
        db.execute("CREATE FUNCTION evil.regexp_replace(text, text, text, text) RETURNS text LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$")
        db.execute("ALTER ROLE postgres SET search_path = evil, pg_catalog")
        db.execute("CREATE ROLE \"r\x1b[31m\"\"'\\\n\" LOGIN VALID UNTIL '2001-01-01'")
    try:
        found, done = report(program, superuser(server))
        assert "hijacked" not in done.stdout
        assert any("r\x1b[31m" in f["where"] for f in by_id(found, "valid_until_passed"))
        text = subprocess.run([program, "audit", "--conninfo", superuser(server)], capture_output=True, timeout=100,
                              check=False)
        assert b"\x1b" not in text.stdout and b"\\x1b[31m" in text.stdout
    finally:
        with server.admin() as db:
            db.execute("ALTER ROLE postgres RESET search_path")
            db.execute("DROP SCHEMA evil CASCADE")
            db.execute("DROP ROLE \"r\x1b[31m\"\"'\\\n\"")


def test_rules_on_disk_that_do_not_run(program, server):
    path, before = server.path("pg_hba.conf"), open(server.path("pg_hba.conf"), encoding="utf-8").read()
    try:
        server.write("pg_hba.conf", before + "hostssl all all all scram\n")
        os.utime(path, (2**32, 2**32))      # later than any load
        found, done = report(program, superuser(server))
        broken = by_id(found, "rules_broken")
        assert done.returncode == 1 and item(found, 3) is False
        assert [f["where"] for f in broken] == [f"{path}:{before.count(chr(10)) + 1}"]
        assert broken[0]["evidence"] == 'invalid authentication method "scram"'
        assert [f["where"] for f in by_id(found, "rules_not_loaded")] == [path]
    finally:
        server.write("pg_hba.conf", before)


def test_included_rule_files(program, server):
    if server.major < 16:
        pytest.skip("rule files include others since version 16")
    path, before = server.path("pg_hba.conf"), open(server.path("pg_hba.conf"), encoding="utf-8").read()
    try:
        server.write("more.conf", "\nhost all all 172.16.0.0/12 scram-sha-256\n")
        server.write("pg_hba.conf", "local all postgres trust\ninclude more.conf\n\ninclude more.conf\n" + before)
        server.reload()
        found, _done = report(program, superuser(server))
        assert [f["where"] for f in by_id(found, "plaintext_from_network")] == [
            server.path("more.conf") + ":2", f"{path}:7"]
        assert server.path("more.conf") + ":2" in {f["where"] for f in by_id(found, "rule_shadowed")}
    finally:
        server.write("pg_hba.conf", before)
        server.reload()


def test_settings_that_wait(program, server):
    try:
        server.configure(settings={"max_connections": "77", "password_encryption": "md5"})
        server.reload()
        found, _done = report(program, superuser(server))
        assert "max_connections" in {f["where"] for f in by_id(found, "settings_not_in_force")}
        where = [f["where"] for f in by_id(found, "password_encryption_md5")]
        assert len(where) == 1 and where[0].startswith(server.path("postgresql.conf") + ":")
    finally:
        del server.settings["max_connections"], server.settings["password_encryption"]
        server.configure()
        server.reload()


def as_service(server, role, options=""):
    """The report on the server as a role that only a service has."""
    with server.admin() as db:
        db.execute(f"CREATE ROLE {role} LOGIN")
    try:
        return report(server.program, f"host=127.0.0.1 port={server.port} user={role} dbname=postgres sslmode=require"
                                      f" options='{options}'")[0]
    finally:
        with server.admin() as db:
            db.execute(f"DROP ROLE {role}")


def test_rds_is_judged_by_its_parameter(program, server):
    server.program = program
    off = as_service(server, "rds_superuser", "-c rds.force_ssl=0")
    assert [f["evidence"] for f in by_id(off, "service_takes_plaintext")] == [
        "Amazon RDS accepts connections without TLS: rds.force_ssl is off"] and item(off, 3) is False
    on = as_service(server, "rds_superuser", "-c rds.force_ssl=1")
    assert not by_id(on, "service_takes_plaintext") and "the rules" in unseen(on)
    unknown = as_service(server, "rds_superuser")
    assert "rds.force_ssl" in unseen(unknown)["whether Amazon RDS requires TLS"] and item(unknown, 3) is None


@pytest.mark.parametrize("role,name", [("cloudsqlsuperuser", "Google Cloud SQL"), ("neon_superuser", "Neon")])
def test_services_that_say_nothing(program, server, role, name):
    server.program = program
    found = as_service(server, role)
    assert f"whether {name} requires TLS" in unseen(found) and item(found, 3) is None


# ---- servers that are none ----

def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def greet(sock, version, stranger=None):
    """
    Refuse TLS, let the client in; not the user postgres, where there is a `stranger` for him. False: nobody is in. Who
    only wants to know whether there is TLS has gone then.
    """
    packet = fake.read_packet(sock)
    while packet and packet[0] in (80877103, 80877104):
        sock.sendall(b"N")
        packet = fake.read_packet(sock)
    if not packet:
        return False
    if stranger and b"user\0postgres\0" in packet[1]:
        sock.sendall(message(b"E", b"SFATAL\0C28000\0M" + stranger + b"\0\0"))
        return False
    parameters = [("client_encoding", "UTF8")] + ([("server_version", version)] if version else [])
    sock.sendall(message(b"R", struct.pack("!I", 0))
                 + b"".join(message(b"S", f"{k}\0{v}\0".encode()) for k, v in parameters) + message(b"Z", b"I"))
    return True


def read_query(sock):
    head = b""
    while len(head) < 5:
        chunk = sock.recv(5 - len(head))
        if not chunk:
            return None
        head += chunk
    left, body = struct.unpack("!I", head[1:])[0] - 4, b""
    while len(body) < left:
        chunk = sock.recv(left - len(body))
        if not chunk:
            return None
        body += chunk
    return body


ROW = message(b"T", struct.pack("!H", 1) + b"x\0" + struct.pack("!IHIHIH", 0, 0, 25, 65535, 2**32 - 1, 0))


def answers(*replies):
    """A PostgreSQL that gives these answers in turn, then ends the connection."""
    def handle(_server, sock):
        if not greet(sock, "15.1"):
            return
        for reply in replies:
            if read_query(sock) is None:
                return
            sock.sendall(reply)
    return handle


EMPTY = ROW + message(b"C", b"SELECT 0\0") + message(b"Z", b"I")


def table(*rows):
    """An answer of texts."""
    columns = len(rows[0]) if rows else 1
    head = message(b"T", struct.pack("!H", columns) + columns * ROW[7:])
    body = b""
    for row in rows:
        cells = b"".join(struct.pack("!i", -1) if c is None else struct.pack("!I", len(c.encode())) + c.encode() for c in row)
        body += message(b"D", struct.pack("!H", columns) + cells)
    return head + body + message(b"C", b"SELECT 0\0") + message(b"Z", b"I")


def answered(program, replies, host="127.0.0.1", stranger=None):
    """
    The report on a server that answers statements by a part of their text, and refuses all others.

    stranger  what others than the audit's session are told instead of being let in.
    """
    refusal = message(b"E", b"SERROR\0C42501\0Mpermission denied\0\0") + message(b"Z", b"I")

    def handle(_server, sock):
        if not greet(sock, "16.4", stranger):
            return
        while (query := read_query(sock)) is not None:
            known = {"set_config": EMPTY, **replies}
            sock.sendall(next((reply for part, reply in known.items() if part.encode() in query), refusal))

    server = fake.Upstream(handle)
    return report(program, f"host={host} port={server.port} user=u dbname=d sslmode=disable gssencmode=disable")[0]


def test_sessions_and_standbys(program):
    """What needs other machines."""
    found = answered(program, {
        "pg_stat_activity": table(("alice", "app", "10.0.0.7", "f", None, "f"), ("alice", "app2", "10.0.0.7", "f", None, "f"),
                                  ("bob", "app", "10.0.0.7", "t", "TLSv1.3", "f"), ("repl", "s1", "10.0.0.8", "f", None, "t")),
        "pg_stat_wal_receiver": table(("7", "user=repl passfile=/x host=primary.example port=5432 sslmode=prefer"))})
    assert {f["where"] for f in by_id(found, "session_plaintext")} == {
        'pg_stat_ssl, session of "alice" at 10.0.0.7', 'pg_stat_ssl, standby of "repl" at 10.0.0.8'}
    assert item(found, 3) is False
    assert [f["where"] for f in by_id(found, "connection_plaintext")] == ["pg_stat_wal_receiver"]
    assert by_id(found, "connection_plaintext")[0]["fix"].startswith(
        "ALTER SYSTEM SET primary_conninfo = 'user=repl passfile=/x host=primary.example port=5432 sslmode=verify-full "
        "sslrootcert=CA_FILE'; SELECT pg_reload_conf();")


def test_jobs_and_unrecognized_secrets(program):
    """What no server of a test has: pg_cron, and a secret in no known format."""
    row = ("ann", "f", "t", "f", "-1", "4102444800", "other", None)
    found = answered(program, {
        "'pg_cron'": table(("1",)), "FROM cron.job": table(("job", "cron", "7", None)),
        "pg_authid": table(row, ("ben", *row[1:6], "scram", "4096"), ("cat", *row[1:6], "none", None))})
    assert [f["where"] for f in by_id(found, "connection_in_text")] == ['job "cron"."7"']
    assert [f["where"] for f in by_id(found, "password_unrecognized")] == ['role "ann"']
    assert not by_id(answered(program, {"FROM cron.job": table(("job", "cron", "7", None))}), "connection_in_text")


def test_options_of_user_mappings(program):
    """A wrapper that takes sslmode in a mapping: what the mapping says wins over the server."""
    found = answered(program, {
        "pg_user_mappings m": table(("far", "ann", "user", "u", "f"), ("far", "ben", "sslmode", "disable", "f"),
                                    ("far", "cat", None, None, "t")),
        "pg_foreign_server s": table(("far", "host", "far.example"), ("far", "sslmode", "verify-full"))})
    plain = by_id(found, "connection_plaintext")
    assert [f["where"] for f in plain] == ['user mapping of "ben" for foreign server "far"']
    assert plain[0]["fix"] == ('ALTER USER MAPPING FOR "ben" SERVER "far" OPTIONS (SET sslmode \'verify-full\', '
                               "ADD sslrootcert 'CA_FILE');")
    assert "the options of user mappings" in unseen(found)


@pytest.mark.parametrize("stranger,passes", [
    (b'pg_hba.conf rejects connection for host "10.0.0.7", user "postgres", database "postgres", no encryption', True),
    (b"sorry, too many clients already", None), (None, False)])
def test_cloud_sql_is_judged_by_its_port(program, stranger, passes):
    """No parameter tells; the port does, where it is not this machine's own, which may be a proxy of the service's."""
    settings = {"ssl": "on", "ssl_min_protocol_version": "TLSv1.2", "ssl_ciphers": "HIGH:!aNULL", "listen_addresses": "*"}
    replies = {"FROM pg_catalog.pg_settings UNION": table(*[(k, v, None, None, "f") for k, v in settings.items()]),
               "'azure_pg_admin'": table(("cloudsqlsuperuser",))}
    found = answered(program, replies, host="0.0.0.0", stranger=stranger)
    assert not by_id(found, "key_unusable")        # the key lies on the server's machine
    assert item(found, 3) is passes and len(by_id(found, "port_takes_plaintext")) == (1 if passes is False else 0)
    assert ("whether Google Cloud SQL requires TLS" in unseen(found)) is (passes is not True)
    assert item(answered(program, replies, stranger=stranger), 3) is None


@pytest.mark.parametrize("value,passes", [("on", True), ("off", False)])
def test_azure_is_judged_by_its_parameter(program, value, passes):
    """Azure's own parameter has no dot, so that only a server made for it has it."""
    settings = {"ssl": "on", "ssl_min_protocol_version": "TLSv1.2", "ssl_ciphers": "HIGH:!aNULL",
                "listen_addresses": "*", "require_secure_transport": value}
    found = answered(program, {"FROM pg_catalog.pg_settings UNION": table(
        *[(k, v, None, None, "f") for k, v in settings.items()]), "'azure_pg_admin'": table(("azure_pg_admin",))})
    assert item(found, 3) is passes
    assert "offers no TLS" in by_id(found, "settings_not_in_force")[0]["evidence"]    # the port is not what ssl says
    assert [f["where"] for f in by_id(found, "service_takes_plaintext")] == ([] if passes else ["require_secure_transport"])
    assert "the rules" in unseen(found)


@pytest.mark.parametrize("handler,says", [
    (lambda _server, sock: greet(sock, "11.4"), "server version 11 is not supported"),
    (lambda _server, sock: greet(sock, None), "does not report its version"),
    (lambda _server, sock: None, "closed the connection"),
    (answers(), "lost the connection to the server while reading the session's settings"),
    (answers(EMPTY), "lost the connection to the server while"),
    (answers(EMPTY, EMPTY, EMPTY), "lost the connection to the server while"),
    (answers(EMPTY, message(b"D", struct.pack("!HI", 1, 2**31 - 1) + b"x")), "while reading"),
    (answers(EMPTY, message(b"G", b"\0\0\0")), "unexpected answer"),
    (answers(EMPTY, b"\xff" * 100), "while reading"),
    (answers(message(b"E", b"SERROR\0C08P01\0Munsupported\0\0") + message(b"Z", b"I")), "unsupported"),
])
def test_strange_servers(program, handler, says):
    server = fake.Upstream(handler)
    done = audit(program, f"host=127.0.0.1 port={server.port} user=u dbname=d sslmode=disable gssencmode=disable")
    assert done.returncode == 3 and says in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert found["targets"][0]["error"] and all(point["pass"] is None for point in found["checklist"])


def test_nothing_is_seen_and_nothing_passes(program):
    """A server that refuses every statement is never clean."""
    refusal = message(b"E", b"SERROR\0C57014\0Mcanceling statement due to statement timeout\0\0") + message(b"Z", b"I")
    server = fake.Upstream(answers(EMPTY, *[refusal] * 100))
    found, done = report(program, f"host=127.0.0.1 port={server.port} user=u dbname=d sslmode=disable gssencmode=disable")
    assert all(point["pass"] is None for point in found["checklist"])
    assert "statement timeout" in unseen(found)["the rules"] and "statement timeout" in unseen(found)["the settings"]


def test_a_password_is_not_told(program):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = audit(program, f"postgresql://u:very-secret@127.0.0.1:{port}/d")
    assert done.returncode == 3 and "very-secret" not in done.stdout + done.stderr


