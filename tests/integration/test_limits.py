"""
Limits per user, per database and per address: max_user_connections, max_db_connections, client_connection_rate_limit, and
what pgseal_limits shows of them.
"""

import contextlib
import itertools
import threading

import psycopg
import pytest

from lib import run, wire
from lib.wire import Conn, SSL_REQUEST, fatal, startup

HBA = """\
local all all trust
host  all all 127.0.0.0/8 trust
"""


def too_many(what, name):
    return fatal("53300", f'too many connections for {what} "{name}"')


@pytest.fixture(scope="module")
def gate(factory):
    gate = factory.gate(hba=HBA, settings={"workers": "3", "admin_users": "bob"})
    yield gate
    factory.stop(gate)


@pytest.fixture
def limited(gate):
    """Sets limits until the test is over."""
    names = set()

    def limit(**settings):
        names.update(settings)
        gate.configure(settings)
        assert "reload_failed" not in gate.reload()
        return gate
    yield limit
    gate.configure(dict.fromkeys(names))
    gate.reload()


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def rows(gate, where="true"):
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="me", dbname="pgseal") as db:
        return db.execute(f"SELECT kind, name, allowed, used, refused FROM pgseal_limits WHERE {where}").fetchall()


def held(gate):
    """Without what was refused before, in other tests."""
    return [row[:4] for row in rows(gate, "used > 0 OR allowed > 0")]


def refusal(gate, **who):
    """As PostgreSQL does, behind AuthenticationOk."""
    with Conn(gate) as c:
        c.send(startup(**who))
        events = c.dialogue()
        assert events[0][:2] == ("R", 0), events
        return events[1]


def test_off_nothing_is_counted(gate):
    with Conn(gate) as c:
        c.ready()
        assert rows(gate) == []


def test_a_user_may_have_so_many(limited, stack):
    gate = limited(**{"max_user_connections": "2", "max_user_connections.carol": "1"})
    before = gate.log.mark()
    for _ in range(2):
        stack.enter_context(Conn(gate)).ready()
    assert refusal(gate) == too_many("role", "alice")
    assert refusal(gate, database="db2") == too_many("role", "alice")   # whatever the database
    first = stack.enter_context(Conn(gate)).ready(user="carol")
    assert refusal(gate, user="carol") == too_many("role", "carol")
    assert rows(gate, "kind = 'user'") == [("user", "alice", 2, 2, 2), ("user", "carol", 1, 1, 1)]
    assert "cause=connection_limit" in gate.log.wait_for(r"too many connections for role[^\n]*", before).group(0)
    first.send(wire.message("X"))
    first.close()
    run.wait_until(lambda: ("user", "carol", 1, 0, 1) in rows(gate), "the place to be free")
    stack.enter_context(Conn(gate)).ready(user="carol")
    for _ in range(3):      # an administrator is not limited, as a superuser is not
        stack.enter_context(Conn(gate)).ready(user="bob")
    assert rows(gate, "name = 'bob'") == []
    with Conn(gate) as walsender:       # [src: PostgreSQL 18, InitializeSessionUserId: regular backends only]
        walsender.send(startup(replication="true"))
        assert "too many connections" not in str(walsender.dialogue())


def test_a_database_may_have_so_many(limited, stack):
    gate = limited(**{"max_db_connections": "2", "max_db_connections.db2": "1"})
    stack.enter_context(Conn(gate)).ready()
    stack.enter_context(Conn(gate)).ready(user="carol")
    assert refusal(gate) == too_many("database", "app")
    stack.enter_context(Conn(gate)).ready(database="db2")
    assert refusal(gate, user="carol", database="db2") == too_many("database", "db2")
    # Who was refused for the database does not count for the user.
    assert held(gate) == [("user", "alice", None, 2), ("user", "carol", None, 1), ("database", "app", 2, 2),
                          ("database", "db2", 1, 1)]
    assert rows(gate, "kind = 'database' AND refused <> 1") == []
    gate = limited(**{"max_db_connections.db2": "0"})
    stack.enter_context(Conn(gate)).ready(database="db2")


def test_who_was_there_before_counts(limited, stack):
    gate = limited()
    stack.enter_context(Conn(gate)).ready()
    limited(**{"max_user_connections.alice": "1"})
    assert refusal(gate) == too_many("role", "alice")
    assert ("user", "alice", 1, 1) in held(gate)


def test_a_limit_of_its_own_is_shown_at_rest(limited):
    gate = limited(**{"max_user_connections.\"Dr No\"": "7", "max_db_connections.app": "9"})
    assert held(gate) == [("user", "Dr No", 7, 0), ("database", "app", 9, 0)]
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="me", dbname="pgseal") as db:
        assert db.execute("SELECT name, setting FROM pg_settings WHERE name LIKE 'max%.%'").fetchall() == [
            ("max_db_connections.app", "9"), ("max_user_connections.\"Dr No\"", "7")]


@pytest.mark.parametrize("setting, value", [("max_user_connections.alice", "-1"), ("max_db_connections.app", "many"),
                                            ("client_connection_rate_limit.app", "1")])
def test_what_is_no_limit(gate, setting, value):
    gate.configure({setting: value})
    try:
        assert setting.split(".")[0] in gate.reload() and "event=reload_failed" in gate.log.text()
    finally:
        gate.configure({setting: None})
        gate.reload()


def test_an_address_may_begin_so_many_a_second(limited, stack):
    """A bucket of five: one more comes with each fifth of a second."""
    gate = limited(client_connection_rate_limit="5")
    before = gate.log.mark()
    heard = []
    for _ in range(40):
        c = stack.enter_context(Conn(gate, source="127.0.0.9"))
        c.send(startup())
        heard.append(c.dialogue()[-1])
    refused = [e for e in heard if e != ("Z", "I")]
    assert heard[:5] == [("Z", "I")] * 5 and refused
    assert set(map(repr, refused)) == {repr(wire.EOF)}
    assert heard.count(("Z", "I")) < 40
    assert "cause=connection_rate" in gate.log.wait_for(r"event=refused [^\n]*sorry, too many[^\n]*", before).group(0)
    (row,) = rows(gate, "kind = 'address'")
    assert row[:3] == ("address", "127.0.0.9", 5) and row[4] == len(refused)
    with Conn(gate, source="127.0.0.10") as other:      # each its own
        other.ready()
    with Conn(gate, unix=True) as local:
        local.ready()


def test_before_tls_nothing_is_said(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"client_connection_rate_limit": "1"})

    def answers():
        with Conn(gate) as c:
            c.raw_send(SSL_REQUEST)
            return c.raw_recv()
    run.wait_until(lambda: answers() == b"", "a connection too many")


def leave_somehow(gate, c, how):
    """As clients, servers, balancers and administrators end sessions."""
    if how == "abort":
        c.abort()
    elif how == "cancel":
        c.send(wire.query("SELECT pg_sleep(1)"))
        with Conn(gate) as asks:
            asks.send(wire.cancel_request(c.pid, c.key))
            asks.rest()
    elif how == "terminated":
        c.send(wire.query("SELECT pg_terminate_backend(pg_backend_pid())"))
        c.rest()
    elif how == "at work":
        c.send(wire.query("SELECT 1"))
    elif how == "orderly":
        c.send(wire.TERMINATE)
    c.close()


def test_nothing_is_left_behind(limited):
    """Four crowds come and go in every way there is, limits change meanwhile: in the end every count is what it was."""
    g = limited(max_user_connections="3", max_db_connections="4", client_connection_rate_limit="10000")
    served, ways = [0, 0], ("abort", "cancel", "terminated", "at work", "orderly", "closed")

    def come_and_go(n):
        for i in itertools.count():
            if i >= 60 and served[0] > 50:
                break
            with contextlib.suppress(wire.Closed, OSError), Conn(g, source=f"127.0.0.{n + 2}") as c:
                events = c.login(user=("alice", "carol")[i % 2], database=("app", "postgres")[i // 2 % 2])
                refused = isinstance(events[-1], str)
                served[refused] += 1
                if not refused:
                    leave_somehow(g, c, ways[i % len(ways)])

    crowds = [threading.Thread(target=come_and_go, args=(n,)) for n in range(4)]
    for crowd in crowds:
        crowd.start()
    for limit in ("1", None, "2", "5"):
        g.configure({"max_user_connections": limit})
        g.reload()
    for crowd in crowds:
        crowd.join()
    run.wait_until(lambda: rows(g, "used > 0 AND kind <> 'address'") == [], "the last one to be gone")
    assert served[0] > 50 and all(used >= 0 for *_, used, _refused in rows(g))
    limited(max_user_connections="1")
    with Conn(g) as c:      # the whole limit is there again
        c.ready()
        assert refusal(g) == too_many("role", "alice")
