"""
Facts about sessions that PostgreSQL shows too: the names in a client's certificate as its sslinfo has them, the
client's host name, when things began, what was asked.
"""

import psycopg
import pytest

from lib import pki, wire
from lib.pg import PASSWORDS

SUBJECT = pki.name(("C", "DE"), ("O", 'Acme, "Inc" + Söhne'), ("OU", "first"), ("OU", "second;"), ("CN", "alice"),
                   ("emailAddress", "a@example.com"))
FIELDS = ["CN", "commonName", "2.5.4.3", "O", "organizationName", "OU", "C", "countryName", "emailAddress",
          "1.2.840.113549.1.9.1", "L", "localityName", "serialNumber", "title", "cn", "", "nonsense", "2.5.4", "1.2.3"]

HBA = "hostssl all alice 127.0.0.1/32 cert\nhostssl all bob localhost scram-sha-256\nlocal all all trust\n"


def options(server, certs, user="alice", **more):
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": server.port, "user": user, "dbname": "pgseal",
            "sslmode": "verify-full", "sslrootcert": certs.ca_file, **more}


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    return server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                          settings={"scram_iterations": "5000", "admin_users": "alice"})


@pytest.fixture(scope="module")
def alice(certs):
    crt, key = certs.client("facts-alice", certs.ca.issue(SUBJECT))
    return {"sslcert": crt, "sslkey": key}


def answers(db, functions):
    """What each function says to each name: a value, or the SQLSTATE and text of its error."""
    found = {}
    for function in functions:
        for field in FIELDS:
            try:
                found[function, field] = db.execute(f"SELECT {function}(%s::text)", (field,)).fetchone()[0]
            except psycopg.Error as e:
                found[function, field] = (e.sqlstate, e.diag.message_primary)
    return found


def extensions(db):
    """Columns with their types, and rows."""
    cursor = db.execute("SELECT * FROM ssl_extension_info()")
    return [(c.name, c.type_code) for c in cursor.description], cursor.fetchall()


def test_names_in_the_certificate_as_sslinfo_shows_them(gate, factory, certs, alice):
    server = factory.postgres(hba=HBA + "local all all trust\n", tls={"cert": certs.server, "ca": certs.ca.pem()})
    functions = ["ssl_client_dn_field", "ssl_issuer_field"]
    try:
        with server.admin("app") as db:
            db.execute("CREATE EXTENSION sslinfo")
        with psycopg.connect(**options(server, certs, dbname="app", **alice), autocommit=True) as db:
            expected = answers(db, functions)
            one = db.execute("SELECT ssl_client_dn(), ssl_issuer_dn(), ssl_client_serial()").fetchone()
            its_extensions = extensions(db)
    finally:
        factory.stop(server)
    assert expected["ssl_client_dn_field", "OU"] == "first"
    assert expected["ssl_client_dn_field", "nonsense"] == ("22023", 'invalid X.509 field name: "nonsense"')
    with psycopg.connect(**options(gate, certs, **alice), autocommit=True) as db:
        assert answers(db, functions) == expected
        assert extensions(db) == its_extensions and its_extensions[1]
        assert db.execute("SELECT e.value FROM ssl_extension_info() AS e WHERE critical").fetchone() == ("CA:FALSE",)
        assert db.execute("SELECT ssl_client_dn(), ssl_issuer_dn(), ssl_client_serial()").fetchone() == one


def test_names_without_a_certificate(gate, certs):
    with psycopg.connect(**options(gate, certs, "bob", password=PASSWORDS["bob"])) as db:
        assert db.execute("SELECT ssl_client_dn_field('CN'), ssl_issuer_field('nonsense')").fetchone() == (None, None)
        assert extensions(db)[1] == []


def test_the_iterations_that_are_told(gate, certs):
    with psycopg.connect(**options(gate, certs, "bob", password=PASSWORDS["bob"])) as db:
        assert db.info.parameter_status("scram_iterations") == "5000"
        assert db.execute("SHOW scram_iterations").fetchone() == ("5000",)


def test_the_name_of_the_client(gate, certs, alice):
    """Looked up because of the rule for `localhost`, which bob's session reached and alice's did not."""
    with psycopg.connect(**options(gate, certs, **alice), autocommit=True) as db, \
            psycopg.connect(**options(gate, certs, "bob", dbname="app", password=PASSWORDS["bob"])) as bob:
        assert db.execute("SELECT usename, client_hostname FROM pg_stat_activity WHERE pid IN (%s, %s) ORDER BY usename",
                          (db.info.backend_pid, bob.info.backend_pid)).fetchall() == \
            [("alice", None), ("bob", "localhost")]


TIMES = "SELECT xact_start, query_start, state_change, state, query, now() FROM pg_stat_activity WHERE pid = "


def test_when_things_began(gate, certs, alice):
    with psycopg.connect(**options(gate, certs, **alice), autocommit=True) as watching, \
            psycopg.connect(**options(gate, certs, **alice), autocommit=True) as watched:
        def row(db=watching):
            return db.execute(TIMES + str(watched.info.backend_pid)).fetchone()

        xact, query, change, state, text, now = row()
        assert (xact, query, state, text) == (None, None, "idle", "") and change <= now
        own = row(watched)
        assert own[0] == own[5] and own[0] <= own[1] == own[2] and own[3:5] == ("active", TIMES + str(watched.info.backend_pid))
        before = watched.execute("SELECT 1, now()").fetchone()[1]
        xact, query, change, state, text, now = row()
        assert (xact, state, text) == (None, "idle", "SELECT 1, now()")
        assert before <= query <= change <= now
        watched.execute("BEGIN")
        began = watched.execute("SELECT now()").fetchone()[0]
        watched.execute("SELECT 2")
        xact, query, change, state, text, now = row()
        assert xact == began and began < query <= change <= now
        assert (state, text) == ("idle in transaction", "SELECT 2")
        watched.execute("COMMIT")
        assert row()[0] is None


def test_times_of_others_are_theirs(gate, certs, alice):
    with psycopg.connect(**options(gate, certs, **alice)) as other, \
            psycopg.connect(**options(gate, certs, "bob", password=PASSWORDS["bob"])) as bob:
        assert bob.execute("SELECT xact_start, query_start, state_change, client_hostname, query FROM pg_stat_activity "
                           "WHERE usename = 'alice' AND pid = %s", (other.info.backend_pid,)).fetchall() == [
                               (None, None, None, None, "<insufficient privilege>")]


# -- what a client says of itself ---------------------------------------------------------------------------------
# A name, and how it is shown: controls, what is not UTF-8, what turns the rest of a line around. Others stay.
HOSTILE = b"J\xc3\xbcrgen\x1b[31m\xff\xe2\x80\xaegnp"
SHOWN = "J\u00fcrgen\\x1b[31m\\xff\\xe2\\x80\\xaegnp"


@pytest.fixture(scope="module")
def open_gate(server_factory, certs):
    return server_factory("gate", hba="hostssl app,pgseal all 127.0.0.1/32 trust\nlocal all all trust\n",
                          tls={"cert": certs.server, "ca": certs.ca.pem()})


def status_of(gate):
    return psycopg.connect(host=gate.socket_dir, port=gate.port, user="dba", dbname="pgseal", autocommit=True)


def test_hostile_names_are_shown_clean(open_gate):
    """As PostgreSQL shows them, and what is forwarded stays as it came."""
    name = b"gr\xc3\xbcn\x07" + b"x" * 53 + b"\xc3\xbc"
    with wire.Conn(open_gate) as c, status_of(open_gate) as status:
        c.start_tls(host="evil\x1b[2J.example")
        c.ready(user="alice", application_name=name)
        assert c.value("SELECT current_setting('application_name')") in (
            r"gr\xc3\xbcn\x07" + 53 * "x" + r"\xc3\xbc", "gr??n?" + 53 * "x" + "??")   # from 16 on, and before
        shown = r"gr\xc3\xbcn\x07" + 48 * "x"
        assert status.execute("SELECT application_name FROM pg_stat_activity WHERE usename = 'alice'").fetchall() == \
            [(shown,)]
        assert status.execute("SELECT application_name, sni FROM pgseal_sessions WHERE user_name = 'alice'").fetchall() \
            == [(shown, r"evil\x1b[2J.example")]
        assert (shown, r"evil\x1b[2J.example") in status.execute(
            "SELECT application_name, sni FROM pgseal_clients WHERE user_name = 'alice'").fetchall()
        with wire.Conn(open_gate) as refused:
            refused.start_tls()
            refused.send(wire.startup(HOSTILE, b"db\x9b"))
            assert refused.event()[1]["C"] == "28000"
        assert status.execute("SELECT user_name FROM pgseal_failures WHERE user_name LIKE 'J%'").fetchall() == [(SHOWN,)]
        assert status.execute("SELECT user_name FROM pgseal_clients WHERE user_name LIKE 'J%'").fetchall() == [(SHOWN,)]


def test_hostile_names_in_the_status_database(open_gate):
    with wire.Conn(open_gate) as c, status_of(open_gate) as status:
        c.start_tls()
        c.ready(user=HOSTILE, database="pgseal", application_name=b"\xc3\xa9" * 40)
        assert c.value("SHOW application_name") == r"\xc3\xa9" * 31
        assert status.execute("SELECT usename, application_name FROM pg_stat_activity WHERE usename LIKE 'J%'"
                              ).fetchall() == [(SHOWN, (r"\xc3\xa9" * 31)[:63])]
        assert c.value("SELECT count(*) FROM pg_stat_activity WHERE state IS NOT NULL") == "1"     # it is its own row
        c.ask(b"SET application_name = 'a\tb'".decode())
        assert c.value("SHOW application_name") == r"a\x09b"


def test_hostile_names_in_a_certificate(open_gate, certs):
    crt, key = certs.client("facts-evil", certs.ca.issue(pki.name(("O", "S\u00f6hne \u202e\u200b"), ("CN", "alice"))))
    with psycopg.connect(**options(open_gate, certs, dbname="app", sslcert=crt, sslkey=key)) as db, \
            status_of(open_gate) as status:
        pid = db.execute("SELECT pg_backend_pid()").fetchone()[0]
        assert status.execute("SELECT client_dn FROM pg_stat_ssl WHERE pid = %s", (pid,)).fetchone() == \
            ("/O=S\u00f6hne \\xe2\\x80\\xae\\xe2\\x80\\x8b/CN=alice",)
