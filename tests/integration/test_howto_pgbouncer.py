"""docs/howto/pgbouncer.md: PgBouncer in each of its three places, with the page's own files."""

import os
import re

import pytest

from lib import howto, pki, pooler, psql, run, wire
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn

pytestmark = pytest.mark.skipif(pooler.missing(), reason="PgBouncer is not installed")

PAGE = "pgbouncer.md"
ALICE = PASSWORDS["alice"]
ALL = "hostssl all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def server(factory):
    server = factory.postgres(hba="local all postgres trust\nlocal all all scram-sha-256\n")
    yield server
    factory.stop(server)


@pytest.fixture
def place(server, certs, tmp_path, scratch):
    """Where the page's paths and addresses are here; `gate` is filled in when there is one."""
    directory = os.path.join(scratch, f"pb-{tmp_path.name[-12:]}")
    os.makedirs(directory)
    certs.server.write(directory, "server")
    pki.write_file(os.path.join(directory, "ca.crt"), certs.ca.pem())
    users = f'"alice" "{SECRETS["alice"]}"\n'
    pki.write_file(os.path.join(directory, "userlist.txt"), users)
    pki.write_file(str(tmp_path / "userlist.txt"), users, 0o600)
    return {"/etc/pgbouncer": directory, "/etc/pgseal": str(tmp_path), "/var/run/pgbouncer": directory, "/var/run/postgresql": server.socket_dir,
            "port=5432": f"port={server.port}", "192.0.2.10": "127.0.0.1", "= *": "= 127.0.0.1"}


def here(text, place):
    for there, local in place.items():
        text = text.replace(there, local)
    return text


def settings_of(text):
    return dict(re.findall(r"^(\w+) = '?(.*?)'?$", text, re.M))


class Bouncer(pooler.PgBouncer):
    def __init__(self, title, place):
        directory = place["/etc/pgbouncer"]
        self.host = "127.0.0.1"
        self.socket_dir, self.port = directory, run.free_port()
        self.log = run.Log(os.path.join(directory, "log"))
        text = here(howto.titled(PAGE, f"/etc/pgbouncer/pgbouncer.ini {title}"), place)
        self.tcp, self.unix = "listen_addr =\n" not in text, "unix_socket_dir =\n" not in text
        pki.write_file(os.path.join(directory, "ini"), text.replace("listen_port = 6432", f"listen_port = {self.port}") +
                       f"logfile = {self.log.path}\n")
        self.process = None


def gate_of(make_gate, title, place, certs, port=None):
    settings = settings_of(here(howto.titled(PAGE, f"pgseal.conf {title}"), place))
    upstream = settings.pop("upstream").replace("port=6432", f"port={port}")
    return make_gate(upstream=upstream, hba=ALL, tls={"cert": certs.server}, settings=settings)


def try_psql(server, certs, **more):
    who = {"password": ALICE, "sslmode": "verify-full", "sslrootcert": certs.ca_file, "host": "localhost", **more}
    return psql.run(server, "SELECT current_user", **who)


def serves(server, certs, **more):
    got = try_psql(server, certs, **more)
    assert got.returncode == 0 and got.stdout.strip() == "alice", got.stderr
    assert try_psql(server, certs, **more, password="wrong").returncode != 0


def has_no_channel_binding(bouncer, certs):
    got = try_psql(bouncer, certs, channel_binding="require")
    assert got.returncode != 0 and "channel binding" in got.stderr, got.stderr


def cancels(front, database):
    sleep = "SELECT pg_sleep(61)"
    with Conn(front) as c, Conn(front) as other:
        c.start_tls()
        c.ready(ALICE)
        c.send(wire.query(sleep))
        run.wait_until(lambda: database.query(f"SELECT 1 FROM pg_stat_activity WHERE query = '{sleep}' AND state = 'active'"),
                       "the query to run")
        other.start_tls()
        other.send(wire.cancel_request(c.pid, c.key))
        assert [e[1]["C"] for e in c.events() if e[0] == "E"] == ["57014"]


def test_behind(make_gate, certs, server, place):
    with Bouncer("behind the gate", place) as bouncer:
        gate = gate_of(make_gate, "in front of PgBouncer", place, certs, bouncer.port)
        serves(gate, certs)
        serves(gate, certs, channel_binding="require")
        # Lent in turn: two clients, one after the other, on the same server session.
        pids = {psql.run(gate, "SELECT pg_backend_pid()", password=ALICE, sslmode="verify-full", host="localhost",
                         sslrootcert=certs.ca_file).stdout for _ in range(3)}
        assert len(pids) == 1
        cancels(gate, server)


def test_in_front(make_gate, certs, server, place):
    gate = make_gate(upstream=server, hba=here(howto.titled(PAGE, "pg_hba.conf behind PgBouncer"), place),
                     tls={"cert": certs.server}, settings={"upstream_login": "scram"})
    with Bouncer("in front of the gate", {**place, "db.example.com": "localhost", "port=5432": f"port={gate.port}"}) as bouncer:
        serves(bouncer, certs)
        has_no_channel_binding(bouncer, certs)
        with Conn(bouncer) as c:
            c.start_tls()
            c.ready(ALICE)
            assert c.value("SHOW pgseal.client_addr") == "127.0.0.1" and c.value("SHOW pgseal.version") == "TLSv1.3"
        cancels(bouncer, server)


def test_beside(make_gate, certs, server, place):
    with Bouncer("beside the gate", place) as bouncer:
        gate = gate_of(make_gate, "beside PgBouncer", place, certs)
        serves(gate, certs, channel_binding="require")
        serves(bouncer, certs)
        has_no_channel_binding(bouncer, certs)
        cancels(bouncer, server)
        cancels(gate, server)
