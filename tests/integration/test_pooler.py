"""
PgBouncer as the upstream server: it refuses every startup parameter that it does not know by name, and lends a
transaction whichever session it has.
"""

import os

import pytest

from lib import pooler, run, scram, wire
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn

from test_upstream import RELAYED

pytestmark = pytest.mark.skipif(pooler.missing(), reason="PgBouncer is not installed")

ALICE = PASSWORDS["alice"]
SLEEP = "SELECT pg_sleep(60)"


@pytest.fixture(scope="module")
def server(factory):
    server = factory.postgres(hba="local all all trust\n")
    with server.admin() as db:
        db.execute(f"CREATE ROLE reader LOGIN PASSWORD '{scram.secret('reads')}'; CREATE ROLE team; GRANT team TO alice;"
                   "GRANT SELECT ON pg_catalog.pg_authid TO reader;"
                   "ALTER DATABASE postgres SET search_path = evil, pg_catalog")
    yield server
    factory.stop(server)


@pytest.fixture(scope="module")
def bouncer(server, scratch, factory):
    directory = os.path.join(scratch, "bouncer")
    users = {"alice": SECRETS["alice"], "reader": "reads"}
    with pooler.PgBouncer(directory, server, users, databases=["* = {}", "secrets = {} dbname=postgres"],
                          pool_mode="transaction") as made:
        factory.running.append(made)        # its log is shown where a test fails
        yield made
        factory.running.remove(made)


@pytest.fixture
def gate(make_gate, certs, bouncer):
    def make(hba="host all all 127.0.0.1/32 scram-sha-256\n", conninfo=None, **settings):
        return make_gate(upstream=conninfo or f"host={bouncer.socket_dir} port={bouncer.port}", hba=hba,
                         tls={"cert": certs.server}, settings={"upstream_login": "scram", **settings})

    return make


def current_user(gate, **who):
    with Conn(gate) as c:
        c.start_tls()
        c.ready(ALICE, **who)
        return c.value("SELECT current_user")


@pytest.mark.parametrize("settings", [{}, RELAYED], ids=["judged", "relayed"])
def test_facts_that_a_pooler_refuses_are_left_out(gate, bouncer, settings):
    """One more try, once; the log names the setting."""
    g, mark = gate(**settings), bouncer.log.mark()
    assert [current_user(g) for _ in range(4)] == ["alice"] * 4
    assert bouncer.log.text(mark).count("closing because: unsupported startup parameter: pgseal.ssl") == 1
    g.log.wait_for(r"event=facts_refused .*set forward_facts = off")
    assert g.log.text().count("event=facts_refused") == 1
    assert "event=upstream_failed" not in g.log.text()


def test_without_facts_nothing_is_tried_twice(gate, bouncer):
    g, mark = gate(forward_facts="off"), bouncer.log.mark()
    assert current_user(g) == "alice"
    assert "unsupported startup parameter" not in bouncer.log.text(mark)


def test_a_client_s_own_parameter_is_the_client_s_affair(gate):
    g = gate()
    with Conn(g) as c:
        c.start_tls()
        events = c.login(ALICE, search_path="app")
    assert [(e[1]["C"], e[1]["M"]) for e in events if e[0] == "E"] == \
        [("08P01", "unsupported startup parameter: search_path")]


def test_a_cancel_reaches_the_server_through_the_pooler(gate, server):
    g = gate()
    with Conn(g) as c, Conn(g) as other:
        c.start_tls()
        c.ready(ALICE)
        c.send(wire.query(SLEEP))
        run.wait_until(lambda: server.query(f"SELECT 1 FROM pg_stat_activity WHERE query = '{SLEEP}' AND state = 'active'"),
                       "the query to run")
        other.raw_send(wire.cancel_request(c.pid, c.key))
        assert [e[1]["C"] for e in c.events() if e[0] == "E"] == ["57014"]


def test_secrets_are_read_through_a_pooler(gate, bouncer, scratch, server):
    """In PgBouncer's own name for the database, whose search_path decides nothing."""
    path = os.path.join(scratch, "bouncer-pass")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
        f.write("*:*:secrets:reader:reads\n")
    g = gate("host all +team 127.0.0.1/32 scram-sha-256\n",
             f"host={bouncer.socket_dir} port={bouncer.port} passfile={path}", auth_source="query", auth_file=None,
             auth_user="reader", auth_dbname="secrets", auth_cache_ttl="0")
    assert [current_user(g, database=d) for d in ("app", "app", "db2")] == ["alice"] * 3
    with Conn(g) as c:
        c.start_tls()
        assert [e[1]["C"] for e in c.login("wrong") if e[0] == "E"] == ["28P01"]
    with Conn(g) as c:
        c.start_tls()
        assert "no pg_hba.conf entry" in [e[1]["M"] for e in c.login("x", user="bob") if e[0] == "E"][0]
    g.configure({"auth_query": "SELECT $1, 'x', 'yesterday', no_such_column"})
    mark = g.log.mark()
    g.reload()
    with Conn(g) as c:
        c.start_tls()
        assert [e[1]["C"] for e in c.login(ALICE) if e[0] == "E"] == ["57P03"]
    g.log.wait_for(r'event=lookup_failed .*column \\"no_such_column\\" does not exist', mark)    # not what follows from it
