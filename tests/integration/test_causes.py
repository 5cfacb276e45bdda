"""
One word for one cause: what a log line says with cause=, likely= and next=, what pgseal_failures shows and the label
in /metrics are rows of tables/causes.def, and all of them count the same.
"""

import collections
import os
import re
import socket
import ssl
import urllib.request

import psycopg
import pytest

from lib import run, wire
from lib.pg import PASSWORDS

TABLE = os.path.join(os.path.dirname(__file__), "../../tables/causes.def")
HBA = """\
local   app      alice                peer
hostssl all      carol 127.0.0.1/32   reject
hostssl app      alice 127.0.0.1/32   scram-sha-256
hostssl down     alice 127.0.0.1/32   trust
hostssl nowhere  alice 127.0.0.1/32   trust
hostssl app      nologin,limited 127.0.0.1/32 trust
host    app      bob   127.0.0.1/32   scram-sha-256
"""


def table():
    """Cause → (likely, next), as the preprocessor reads it."""
    with open(TABLE, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    rows = {}
    for row in re.findall(r'X\(CAUSE_\w+,(.*?)"\)\n', text, re.S):
        strings = [s.replace("\\\\", "\\").replace('\\"', '"') for s in re.findall(r'"((?:[^"\\]|\\.)*)"', row + '"')]
        assert len(strings) == 3, row
        rows[strings[0]] = tuple(strings[1:])
    return rows


CAUSES = table()


@pytest.fixture(scope="module")
def gate(factory, certs):
    made = factory.gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                        settings={"authentication_timeout": "5", "log_connections": "", "log_disconnections": "off",
                                  "http_listen": f"127.0.0.1:{run.free_port()}"})
    made.configure({"upstream.down": "host=/nonexistent",
                    "upstream.nowhere": made.conninfo() + " dbname=nowhere"})
    assert "reload_failed" not in made.reload()
    yield made
    factory.stop(made)


def failures(gate):
    with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as db:
        return db.execute("SELECT cause, sum(count)::int4, min(likely), max(likely), min(hint), max(hint) "
                          "FROM pgseal_failures GROUP BY cause").fetchall()


def counts(gate):
    return collections.Counter({row[0]: row[1] for row in failures(gate)})


def metered(gate):
    with urllib.request.urlopen(f"http://{gate.settings['http_listen']}/metrics", timeout=20) as answer:
        found = re.findall(r'^pgseal_failures_total\{cause="(.*?)"\} (\d+)', answer.read().decode(), re.M)
    return collections.Counter({cause: int(count) for cause, count in found})


def logged(gate, since):
    """(cause, likely, next) of each line that has a cause."""
    words = r'cause=(\w+) likely="?(.*?)"? next="?(.*?)"?$'
    return [tuple(word.replace("\\\\", "\\") for word in match.groups()) for match in map(re.compile(words).search, gate.words(since).splitlines()) if match]


def tcp(gate, certs, **more):
    wanted = {"host": "localhost", "hostaddr": gate.host, "port": gate.port, "user": "alice", "dbname": "app",
              "password": PASSWORDS["alice"], "sslmode": "verify-full", "sslrootcert": certs.ca_file, **more}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**wanted)


def sends(gate, data, tls=True):
    with wire.Conn(gate) as c:
        if tls:
            c.start_tls(host="localhost")
        c.send(data)
        c.rest()


def stays_silent(gate, certs):
    with wire.Conn(gate, timeout=30) as c:
        c.start_tls(host="localhost")
        c.send(wire.startup(user="alice", database="app"))
        try:
            c.rest()
        except (wire.Closed, ssl.SSLError, OSError):
            pass


def by_socket(gate, certs):
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=alice dbname=app")


def old_tls(gate, certs):
    context = wire.client_context(maximum=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with wire.Conn(gate) as c, pytest.raises((wire.Closed, ssl.SSLError)):
        c.start_tls(context=context, host="localhost")


def garbage(gate, certs):
    with socket.create_connection((gate.host, gate.port)) as s:
        s.sendall(wire.packet(80877103))
        assert s.recv(1) == b"S"
        s.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while s.recv(4096):
            pass


WAYS = {
    "no_encryption": lambda gate, certs: tcp(gate, certs, sslmode="disable"),
    "no_rule": lambda gate, certs: tcp(gate, certs, dbname="db2"),
    "rejected": lambda gate, certs: tcp(gate, certs, user="carol"),
    "password_wrong": lambda gate, certs: tcp(gate, certs, password="no"),
    "identity_refused": by_socket,
    "authentication_timeout": stays_silent,
    "upstream_unavailable": lambda gate, certs: tcp(gate, certs, dbname="down"),
    "upstream_refused": lambda gate, certs: tcp(gate, certs, user="nologin"),
    "database_missing": lambda gate, certs: tcp(gate, certs, dbname="nowhere"),
    "server_full": lambda gate, certs: tcp(gate, certs, user="limited"),
    "protocol_violation": lambda gate, certs: sends(gate, wire.packet(0x00030000, b"user")),
    "unknown_ca": lambda gate, certs: tcp(gate, certs, sslrootcert=certs.foreign_file),
    "client_too_old": old_tls,
    "not_tls": garbage,
}


@pytest.mark.parametrize("cause", WAYS)
def test_log_and_view_say_the_same(gate, certs, cause):
    since, before, metered_before = gate.log.mark(), counts(gate), metered(gate)
    WAYS[cause](gate, certs)
    gate.log.wait_for(rf"cause={cause} .*\n", since)
    lines = logged(gate, since)
    assert lines == [(cause, *CAUSES[cause])]
    assert counts(gate) - before == metered(gate) - metered_before == collections.Counter({cause: 1})


def test_a_refusal_that_tls_would_not_have_helped(gate, certs):
    """Without TLS and without a rule: the rule is what is missing."""
    since = gate.log.mark()
    tcp(gate, certs, dbname="db2", sslmode="disable")
    tcp(gate, certs, user="carol", sslmode="disable")
    run.wait_until(lambda: len(logged(gate, since)) == 2, "both lines")
    assert [line[0] for line in logged(gate, since)] == ["no_rule", "no_rule"]


def test_every_row_is_of_the_table(gate):
    rows = failures(gate)
    assert len(rows) >= 2
    for cause, _, likely, likely2, hint, hint2 in rows:
        assert (likely, hint) == (likely2, hint2) == CAUSES[cause]


def test_nothing_is_a_failure_that_was_served(gate, certs):
    before, since = counts(gate), gate.log.mark()
    with psycopg.connect(host=gate.host, port=gate.port, user="bob", dbname="app", password=PASSWORDS["bob"],
                         sslmode="disable") as db, \
            psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as own:
        own.execute("SELECT pg_terminate_backend(pid) FROM pgseal_sessions WHERE user_name = 'bob'")
        with pytest.raises(psycopg.OperationalError):
            db.execute("SELECT 1")
    gate.log.wait_for(r"terminating connection due to administrator command", since)
    assert counts(gate) == before and logged(gate, since) == []


def test_too_many_and_no_server(make_gate, certs):
    gate = make_gate(hba="host all all 127.0.0.1/32 scram-sha-256\n", settings={
        "max_connections": "1", "superuser_reserved_connections": "0"})
    gate.upstream = None
    gate.configure()
    gate.restart()
    since = gate.log.mark()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=gate.host, port=gate.port, user="bob", dbname="app", password=PASSWORDS["bob"])
    gate.log.wait_for(r"cause=no_database .*\n", since)
    with wire.Conn(gate, unix=True) as first, wire.Conn(gate, unix=True) as second:
        first.ready(user="whoever", database="pgseal")
        second.send(wire.startup(user="whoever", database="pgseal"))
        assert second.events() == [wire.fatal("53300", "sorry, too many clients already"), wire.EOF]
    gate.log.wait_for(r"cause=too_many_connections .*\n", since)
    assert logged(gate, since) == [(cause, *CAUSES[cause]) for cause in ("no_database", "too_many_connections")]
