"""
rollover_probe and canary with real clients at each sslmode: libpq, pgJDBC, node-postgres, pgx and asyncpg.

Every client has an address of its own, so that what it refuses is its own affair; the addresses, and the hour between
two trials, are the test's. Each client connects twice in every stage: once in a trial, and once as always.
"""

import asyncio
import glob
import json
import os
import select
import shutil
import socket
import subprocess
import urllib.parse

import psycopg
import pytest

from lib import golang, pki, psql
from lib.clock import Clock, environment
from lib.pg import PASSWORDS
from lib.strange_server import StrangeServer

HERE = os.path.dirname(os.path.abspath(__file__))
ALICE = PASSWORDS["alice"]
NAMES = ["localhost", "db.example", "127.0.0.1", "::1"]
JARS = ["/usr/share/java/postgresql.jar", *glob.glob("/usr/share/java/*scram*.jar"),
        *glob.glob("/usr/share/java/*prep.jar")]
NOTHING, CHAIN, FULL = "no", "chain only", "yes"

# What a client verifies, and how its URL says so. {root}: a file of CAs.
LIBPQ = [(NOTHING, "?sslmode=prefer"), (NOTHING, "?sslmode=require"), (CHAIN, "?sslmode=verify-ca&sslrootcert={root}"),
         (FULL, "?sslmode=verify-full&sslrootcert={root}")]
MODES = {
    "libpq": LIBPQ,
    "jdbc": LIBPQ,
    "pgx": LIBPQ[1:],
    "asyncpg": LIBPQ[1:],
    "node": [(NOTHING, "?sslmode=no-verify"), (CHAIN, "?uselibpqcompat=true&sslmode=verify-ca&sslrootcert={root}"),
             (FULL, "?sslmode=verify-full&sslrootcert={root}")],
}


class Road(StrangeServer):
    """A port of its own for one client, whose connections reach the gate from an address of its own."""

    def __init__(self, gate, address):
        self.gate, self.address = gate, address
        super().__init__(self.carry)

    def carry(self, client):
        with socket.create_connection((self.gate.host, self.gate.port), source_address=(self.address, 0)) as server:
            other = {client: server, server: client}
            while other:
                for end in select.select(list(other), [], [])[0]:
                    data = end.recv(65536)
                    if data:
                        other[end].sendall(data)
                    else:
                        other.pop(end).shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Client:
    def __init__(self, driver, verifies, tail, road):
        self.driver, self.verifies, self.road = driver, verifies, road
        scheme = "jdbc:postgresql" if driver == "jdbc" else "postgresql"
        user = f"&user=alice&password={urllib.parse.quote(ALICE)}" if driver == "jdbc" else ""
        account = "" if driver == "jdbc" else f"alice:{urllib.parse.quote(ALICE)}@"
        self.url = f"{scheme}://{account}localhost:{road.port}/app{tail}{user}"


def of_libpq(urls, _tools):
    def connects(url):
        try:
            psycopg.connect(url, connect_timeout=20).close()
            return True
        except psycopg.OperationalError:
            return False
    return [connects(url) for url in urls]


def of_jdbc(urls, tools):
    java = tools["jdbc"]
    java.stdin.write("".join(f"{url}\n" for url in urls))
    java.stdin.flush()
    return [java.stdout.readline() == "connected\n" for _ in urls]


def of_node(urls, tools):
    done = subprocess.run(["node", os.path.join(HERE, "node", "attempts.js"), json.dumps([["pg", u] for u in urls])],
                          capture_output=True, text=True, timeout=120, check=True, env=psql.environment(NODE_PATH=tools["node"]))
    return [said is True for said in json.loads(done.stdout)]


def of_pgx(urls, tools):
    done = subprocess.run([tools["pgx"], "pgx", *urls], env=psql.environment(), capture_output=True, text=True,
                          timeout=120, check=True)
    return [line == "connected" for line in done.stdout.splitlines()]


def of_asyncpg(urls, tools):
    asyncpg = tools["asyncpg"]

    async def connects(url):
        try:
            await (await asyncpg.connect(url, timeout=20)).close()
            return True
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError):
            return False

    async def all_of_them():
        return [await connects(url) for url in urls]
    return asyncio.run(all_of_them())


CONNECT = {"libpq": of_libpq, "jdbc": of_jdbc, "node": of_node, "pgx": of_pgx, "asyncpg": of_asyncpg}


@pytest.fixture(scope="module")
def tools(pytestconfig, tmp_path_factory):
    """What the drivers need to run."""
    made = {
        "node": os.path.join(os.path.dirname(os.path.abspath(pytestconfig.getoption("--build"))), "build", "npm", "node_modules"),
        "pgx": lambda: build_pgx(tmp_path_factory),
    }
    yield made
    if "jdbc" in made:
        made["jdbc"].stdin.close()
        made["jdbc"].wait(60)


def build_pgx(tmp_path_factory):
    if not shutil.which("go") or not os.path.isdir("/usr/share/gocode/src/github.com/jackc/pgx/v4"):
        pytest.skip("pgx is not installed (golang-go, golang-github-jackc-pgx-v4-dev)")
    return golang.build("attempts", tmp_path_factory.mktemp("go"))


def need(driver, tools):
    if driver == "node" and not (shutil.which("node") and os.path.exists(os.path.join(tools["node"], "pg"))):
        pytest.skip("pg is not installed (tools/npm.sh)")
    if driver == "jdbc" and not (shutil.which("java") and os.path.exists(JARS[0])):
        pytest.skip("pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
    if driver == "jdbc":
        tools["jdbc"] = subprocess.Popen(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Attempts.java")],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if driver == "asyncpg":
        tools["asyncpg"] = pytest.importorskip("asyncpg")
    if driver == "pgx" and callable(tools["pgx"]):
        tools["pgx"] = tools["pgx"]()


class Stage:
    """The gate with what it may show, and a clock."""

    def __init__(self, gate, clock, directory, certs):
        self.gate, self.clock = gate, clock
        self.next = pki.Authority("the next CA")
        self.roots = {"old": certs.ca_file, "both": os.path.join(directory, "both-cas.crt")}
        pki.write_file(self.roots["both"], certs.ca.pem() + self.next.pem())
        for stem, cert in (("rollover", self.next.issue("db.example", sans=NAMES, usage="server")),
                           ("canary", certs.ca.issue("canary.invalid", sans=["canary.invalid"], usage="server"))):
            gate.write(f"{stem}.crt", cert.pem())
            gate.write(f"{stem}.key", cert.key_pem(), 0o600)
        gate.configure({f"{stem}_{kind}_file": f"{stem}.{kind if kind == 'key' else 'crt'}"
                        for stem in ("rollover", "canary") for kind in ("cert", "key")})

    def begin(self, **shares):
        """Another hour, with these settings."""
        self.clock.forward(3601)
        self.gate.configure({"rollover_probe": None, "canary": None, **shares})
        assert "event=reloaded" in self.gate.reload()

    def known(self, clients, column):
        with psycopg.connect(host=self.gate.socket_dir, port=self.gate.port, user="dba", dbname="pgseal",
                             autocommit=True) as db:
            rows = db.execute(f"SELECT client_addr, {column} FROM pgseal_clients WHERE user_name = 'alice'").fetchall()
        known = {str(address): value for address, value in rows}
        return [known[client.road.address] for client in clients]


@pytest.fixture(scope="module")
def stage(server_factory, certs, scratch, factory, pytestconfig):
    path = os.path.join(scratch, "evidence-drivers-clock")
    clock = Clock(path)
    factory.upstream()
    with pytest.MonkeyPatch.context() as m:
        for name, value in environment(pytestconfig.getoption("--build"), path).items():
            m.setenv(name, value)
        gate = server_factory("gate", hba="hostssl app alice 127.5.0.0/16 scram-sha-256\n",
                              tls={"cert": certs.server, "ca": certs.ca.pem()})
    return Stage(gate, clock, scratch, certs)


@pytest.fixture
def clients(request, stage, tools):
    """driver → its clients: each mode, and where it verifies, with the old CA alone and with both."""
    roads = []

    def make(driver):
        need(driver, tools)
        made = []
        for verifies, tail in MODES[driver]:
            for root in ["old"] if verifies == NOTHING else ["old", "both"]:
                road = Road(stage.gate, f"127.5.{list(MODES).index(driver)}.{len(made) + 1}")
                roads.append(road)
                made.append(Client(driver, verifies, tail.format(root=stage.roots[root]), road))
                made[-1].root = root
        return made

    yield make
    for road in roads:
        road.close()


@pytest.mark.parametrize("driver", list(MODES))
def test_in_every_stage(stage, clients, tools, monkeypatch, driver):
    monkeypatch.setenv("HOME", "/nonexistent")
    fleet = clients(driver)
    urls = [client.url for client in fleet]

    def connect():
        return CONNECT[driver](urls, tools)

    everybody = [True] * len(fleet)
    since = stage.gate.log.mark()
    stage.begin()
    assert connect() == everybody
    assert stage.known(fleet, "verifies") == ["unknown"] * len(fleet)

    # The next CA: refused by who verifies with the old one alone, and by nobody else.
    knows = [client.verifies == NOTHING or client.root == "both" for client in fleet]
    stage.begin(rollover_probe="100%")
    assert connect() == knows
    assert connect() == everybody
    assert stage.known(fleet, "ca_new_at IS NOT NULL") == knows
    assert stage.known(fleet, "ca_failed_at IS NULL") == knows

    # A stranger: nobody gets a session, and only who verifies nothing says who it is.
    stage.begin(canary="100%")
    assert connect() == [False] * len(fleet)
    assert connect() == everybody
    assert stage.known(fleet, "verifies") == [NOTHING if c.verifies == NOTHING else CHAIN for c in fleet]

    # The right CA with a wrong name.
    stage.begin(canary="100%")
    assert connect() == [False] * len(fleet)
    assert connect() == everybody
    assert stage.known(fleet, "verifies") == [client.verifies for client in fleet]

    # Nobody gave up TLS on the way, and nobody's password went to an impostor: 57P03 came instead of a question.
    assert stage.known(fleet, "plaintext_attempts") == [0] * len(fleet)
    trials = [line for line in stage.gate.words(since).splitlines() if "event=trial" in line]
    assert len(trials) == 3 * len(fleet)
    assert len([line for line in stage.gate.words(since).splitlines() if "sqlstate=57P03" in line]) == \
        sum("canary" in line and "accepted" in line for line in trials)
