"""
What pgseal audit says a driver makes of a connection string, held against the driver itself.

A driver that is said to go on without TLS connects to a server that has none; one that verifies nothing, to a server of
a stranger's CA; one that verifies no name, to a server of the right CA with another name; and the others only to the
right server.
"""

import asyncio
import glob
import json
import os
import shutil
import subprocess

import psycopg
import pytest

from conftest import npm_modules
from lib import golang, psql

HERE = os.path.dirname(os.path.abspath(__file__))
PLAIN, UNVERIFIED, NAME = "connection_plaintext", "connection_unverified", "connection_name_unverified"
# What a string that gives rise to a finding connects to; one without a finding connects to the last alone.
SERVERS = {"open": PLAIN, "foreign": UNVERIFIED, "unnamed": NAME, "right": None}
JARS = ["/usr/share/java/postgresql.jar", *glob.glob("/usr/share/java/*scram*.jar"),
        *glob.glob("/usr/share/java/*prep.jar")]


@pytest.fixture(scope="module")
def servers(server_factory, certs):
    """A port for each: without TLS, of another CA, of another name, and the right one."""
    hba = "host all all all trust\n"
    pairs = {"open": None, "foreign": certs.foreign.issue("localhost", sans=["localhost"], usage="server"),
             "unnamed": certs.ca.issue("other.example", sans=["other.example"], usage="server"), "right": certs.server}
    return {name: server_factory("gate", hba=hba, **({"tls": {"cert": cert}} if cert else {})).port
            for name, cert in pairs.items()}


def verdict(program, driver, text):
    done = subprocess.run([program, "audit", "--json", "--driver", driver, text], capture_output=True, text=True,
                          env=psql.environment(HOME="/nonexistent"), timeout=60, check=False)
    assert done.stdout, done.stderr
    found = [f["id"] for f in json.loads(done.stdout)["findings"] if f["id"] in SERVERS.values()]
    assert len(found) < 2
    return found[0] if found else None


def judged(program, driver, urls, connected):
    """`urls` are with db.example, `connected` their (server, whether it connected, why not) with localhost."""
    for url in urls:
        said = verdict(program, driver, url)
        got = {server: ok for text, server, ok, _why in connected if text == url}
        why = [(server, why) for text, server, _ok, why in connected if text == url]
        assert [server for server in SERVERS if SERVERS[server] == said][0] == next(s for s in SERVERS if got[s]), (driver, url, said, why)
        assert got["right"] or said == PLAIN, (driver, url, why)


# Of a URL: tails, with the CA's file where there is one.
MODES = ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca", "?sslmode=verify-full"]
NODE = {
    "node": ("pg", MODES + ["?ssl=true", "?ssl=no-verify", "?sslmode=no-verify", "?sslmode=require&uselibpqcompat=true",
                            "?sslmode=prefer&uselibpqcompat=true", "?sslmode=verify-ca&uselibpqcompat=true&sslrootcert={ca}",
                            "?sslmode=require&uselibpqcompat=true&sslrootcert={ca}"]),
    "node@8.0.3": ("pg-8.0", ["", "?sslmode=require", "?sslmode=verify-full", "?ssl=true"]),
    "postgresjs": ("postgres", MODES + ["?ssl=true"]),
}


@pytest.mark.parametrize("driver", NODE)
def test_of_node(program, servers, certs, pytestconfig, driver):
    module, tails = NODE[driver]
    modules = npm_modules(pytestconfig)
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, module)):
        pytest.skip(f"{module} is not installed (tools/npm.sh)")
    tries = [(f"postgres://alice@db.example/app{tail.format(ca=certs.ca_file)}", server) for tail in tails for server in SERVERS]
    wanted = [[module, text.replace("db.example", f"localhost:{servers[server]}")] for text, server in tries]
    done = subprocess.run(["node", os.path.join(HERE, "node", "attempts.js"), json.dumps(wanted)], capture_output=True,
                          env=psql.environment(NODE_PATH=modules, NODE_EXTRA_CA_CERTS=certs.ca_file), text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    judged(program, driver, dict.fromkeys(text for text, _server in tries),
           [(text, server, got is True, got) for (text, server), got in zip(tries, said)])


@pytest.mark.skipif(not shutil.which("java") or not os.path.exists(JARS[0]),
                    reason="pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
def test_pgjdbc(program, servers, certs):
    tails = [tail.replace("?", "&") for tail in MODES] + ["&ssl=true", "&sslmode=require&sslrootcert={ca}"]
    roots = [tail if "{ca}" in tail or not ("verify" in tail or "ssl=" in tail) else tail + "&sslrootcert={ca}"
             for tail in tails]
    tries = [(f"jdbc:postgresql://db.example/app?user=alice{tail.format(ca=certs.ca_file)}", server)
             for tail in roots for server in SERVERS]
    done = subprocess.run(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Attempts.java"),
                           *(text.replace("db.example", f"localhost:{servers[server]}") for text, server in tries)],
                          capture_output=True, text=True, timeout=120, check=True)
    judged(program, "libpq", dict.fromkeys(text for text, _server in tries),
           [(text, server, said == "connected", said) for (text, server), said in zip(tries, done.stdout.splitlines())])


def test_asyncpg(program, servers, certs, monkeypatch):
    asyncpg = pytest.importorskip("asyncpg")
    monkeypatch.setenv("HOME", "/nonexistent")
    tails = MODES[:4] + ["?sslmode=require&sslrootcert={ca}", "?sslmode=verify-ca&sslrootcert={ca}",
                         "?sslmode=verify-full&sslrootcert={ca}"]
    tries = [(f"postgresql://alice@db.example/app{tail.format(ca=certs.ca_file)}", server) for tail in tails for server in SERVERS]

    async def connect(text, server):
        try:
            await (await asyncpg.connect(text.replace("db.example", f"localhost:{servers[server]}"), timeout=20)).close()
            return text, server, True, None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError) as e:
            return text, server, False, repr(e)

    async def all_of_them():
        return [await connect(*one) for one in tries]
    judged(program, "asyncpg", dict.fromkeys(text for text, _server in tries), asyncio.run(all_of_them()))


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """The program that connects with Debian's pgx and lib/pq."""
    sources = "/usr/share/gocode/src/github.com/"
    if not shutil.which("go") or not all(os.path.isdir(sources + name) for name in ("jackc/pgx/v4", "lib/pq")):
        pytest.skip("pgx is not installed (golang-go, golang-github-jackc-pgx-v4-dev, golang-github-lib-pq-dev)")
    return golang.build("attempts", tmp_path_factory.mktemp("go"))


@pytest.mark.parametrize("driver, name", [("pgx@4.15", "pgx"), ("lib/pq@1.10.7", "pq")])
def test_of_go(program, servers, certs, go, driver, name):
    tails = MODES[:4] + ["?sslmode=require&sslrootcert={ca}", "?sslmode=verify-ca&sslrootcert={ca}",
                         "?sslmode=verify-full&sslrootcert={ca}"]
    if name == "pq":                            # 1.10 knows no prefer, and compares the name that it sends as SNI
        tails = [tail + "&sslsni=0" if "{ca}" in tail else tail for tail in tails if "prefer" not in tail]
    tries = [(f"postgres://alice@db.example/app{tail.format(ca=certs.ca_file)}", server) for tail in tails for server in SERVERS]
    done = subprocess.run([go, name, *(text.replace("db.example", f"localhost:{servers[server]}") for text, server in tries)],
                          env=psql.environment(HOME="/nonexistent"), capture_output=True, text=True, timeout=120, check=True)
    judged(program, driver, dict.fromkeys(text for text, _server in tries),
           [(text, server, said == "connected", said) for (text, server), said in zip(tries, done.stdout.splitlines())])


def test_libpq(program, servers, certs, monkeypatch):
    """The libpq that is installed; what it makes of sslrootcert=system changed with 16."""
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("SSL_CERT_FILE", certs.ca_file)
    major = psycopg.pq.version() // 10000
    tails = MODES[:4] + ["?sslmode=require&sslrootcert={ca}", "?sslmode=verify-ca&sslrootcert={ca}",
                         "?sslmode=verify-full&sslrootcert={ca}", "?sslrootcert=system", "?ssl=true"]
    tries = [(f"postgresql://alice@db.example/app{tail.format(ca=certs.ca_file)}", server) for tail in tails for server in SERVERS]

    def connect(text, server):
        try:
            psycopg.connect(text.replace("db.example", f"localhost:{servers[server]}"), connect_timeout=20).close()
            return text, server, True, None
        except psycopg.OperationalError as e:
            return text, server, False, str(e)
    judged(program, f"libpq@{major}", dict.fromkeys(text for text, _server in tries), [connect(*one) for one in tries])
