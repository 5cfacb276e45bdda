"""
docs/howto/trouble.md: what clients really say, and what the tables say, is found there by its words.
"""

import asyncio
import datetime
import json
import os
import pathlib
import re
import subprocess
import urllib.parse

import psycopg
import pytest

from conftest import npm_modules
from lib import psql, run
from lib.pg import PASSWORDS
from test_audit_drivers import HERE, JARS, go     # noqa: F401  (a fixture)
from test_causes import CAUSES

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/howto/trouble.md"
HBA = """\
hostssl app     bob     127.0.0.1/32 reject
hostssl app     carol   127.0.0.1/32 cert
hostssl app,missing alice,nobody,nologin 127.0.0.1/32 scram-sha-256
"""
# What to ask of which server; sslmode verify-full unless it is said.
CASES = {
    "nothing listens": {"server": "closed"},
    "no TLS at the server": {"server": "plain"},
    "no TLS at the client": {"server": "right", "sslmode": "disable"},
    "the CA is another": {"server": "foreign"},
    "the name is another": {"server": "unnamed"},
    "the certificate has expired": {"server": "expired"},
    "no CA file": {"server": "right", "root": None},
    "no rule": {"server": "right", "user": "dave"},
    "a reject rule": {"server": "right", "user": "bob"},
    "a wrong password": {"server": "right", "password": "wrong"},
    "no client certificate": {"server": "right", "user": "carol"},
    "a revoked client certificate": {"server": "right", "user": "carol", "cert": "revoked"},
    "another's client certificate": {"server": "right", "user": "carol", "cert": "alice"},
    "a client certificate of another CA": {"server": "right", "user": "carol", "cert": "stranger"},
    "no such database": {"server": "right", "dbname": "missing"},
}


@pytest.fixture(scope="module")
def world(server_factory, certs):
    """Ports by name, and client certificates by name."""
    past = datetime.datetime(2020, 1, 1), datetime.datetime(2020, 2, 1)
    pairs = {"foreign": certs.foreign.issue("localhost", sans=["localhost"], usage="server"),
             "unnamed": certs.ca.issue("other.example", sans=["other.example"], usage="server"),
             "expired": certs.ca.issue("localhost", sans=["localhost"], usage="server", valid_from=past[0], valid_to=past[1])}
    ports = {name: server_factory("gate", hba="host all all all trust\n", tls={"cert": cert}).port for name, cert in pairs.items()}
    ports["plain"] = server_factory("gate", hba="host all all all trust\n").port
    revoked = certs.ca.issue("carol")
    right = server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl([revoked])})
    clients = {"revoked": revoked, "alice": certs.ca.issue("alice"), "stranger": certs.foreign.issue("carol")}
    files = {name: certs.client(f"trouble-{name}", cert) for name, cert in clients.items()}
    for name, (_cert, key) in files.items():
        done = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", key, "-out", key + ".pk8"],
                              check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    return {"ports": {**ports, "right": right.port, "closed": run.free_port()}, "files": files, "root": certs.ca_file}


def wanted(world, case, names):
    """The parameters of a connection, by the driver's names of sslrootcert, sslcert and sslkey."""
    root = world["root"] if case.get("root", True) else None
    cert = world["files"].get(case.get("cert"), (None, None))
    query = {"sslmode": case.get("sslmode", "verify-full"), names[0]: root, names[1]: cert[0],
             names[2]: cert[1] and cert[1] + (".pk8" if names[3:] else "")}
    return {"host": "localhost", "port": world["ports"][case["server"]], "user": case.get("user", "alice"),
            "password": case.get("password", PASSWORDS["alice"]), "dbname": case.get("dbname", "app")}, {
                k: v for k, v in query.items() if v}


def url(world, case, scheme="postgres"):
    where, query = wanted(world, case, ("sslrootcert", "sslcert", "sslkey"))
    return (f"{scheme}://{where['user']}:{urllib.parse.quote(where['password'])}@localhost:{where['port']}/{where['dbname']}?"
            f"{urllib.parse.urlencode(query, safe='/')}")


def spans():
    """The messages of the page as patterns: … is anything."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\|(.*?)\|", page, re.M)
    found = [span for row in rows for span in re.findall(r"`([^`]+)`", row)]
    return [re.compile(".*".join(re.escape(part.strip()) for part in span.split("…")), re.S) for span in found if len(span) > 12]


def looked_up(said):
    """Each message is found on the page; a client that connects has none."""
    known = spans()
    missing = {name: message for name, message in said.items()
               if not any(pattern.search(" ".join(message.replace('\\"', '"').split())) for pattern in known)}
    assert not missing, missing


def test_libpq(world):
    said = {}
    for name, case in CASES.items():
        where, query = wanted(world, case, ("sslrootcert", "sslcert", "sslkey"))
        try:
            psycopg.connect(**where, **query).close()
            said[name] = "connected"
        except psycopg.OperationalError as e:
            said[name] = str(e)
    looked_up(said)


def test_pgjdbc(world):
    urls = []
    for case in CASES.values():
        where, query = wanted(world, case, ("sslrootcert", "sslcert", "sslkey", "pk8"))
        query |= {"user": where["user"], "password": where["password"]}
        urls.append(f"jdbc:postgresql://localhost:{where['port']}/{where['dbname']}?{urllib.parse.urlencode(query)}")
    done = subprocess.run(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Messages.java"), *urls],
                          capture_output=True, text=True, timeout=120, check=True)
    looked_up(dict(zip(CASES, done.stdout.splitlines())))


@pytest.mark.parametrize("driver", ["pg", "postgres"])
def test_of_node(world, pytestconfig, driver):
    modules = npm_modules(pytestconfig)
    done = subprocess.run(["node", os.path.join(HERE, "node", "attempts.js"),
                           json.dumps([[driver, url(world, case)] for case in CASES.values()])], capture_output=True,
                          text=True, timeout=120, check=False,
                          env=psql.environment(NODE_PATH=modules, **({"NODE_EXTRA_CA_CERTS": world["root"]} if driver == "postgres" else {})))
    assert done.returncode == 0, done.stderr
    said = {k: str(v) for k, v in zip(CASES, json.loads(done.stdout))}
    if driver == "postgres":            # the CA is node's here
        assert said.pop("no CA file") == "True"
    looked_up(said)


def test_asyncpg(world):
    asyncpg = pytest.importorskip("asyncpg")

    async def all_of_them():
        said = {}
        for name, case in CASES.items():
            try:
                await (await asyncpg.connect(url(world, case, "postgresql"), timeout=20)).close()
                said[name] = "connected"
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError, ValueError) as e:
                said[name] = f"{type(e).__name__}: {e}"
        return said
    looked_up(asyncio.run(all_of_them()))


@pytest.mark.parametrize("driver", ["pgx", "pq"])
def test_of_go(world, go, driver):     # noqa: F811
    tail = "&sslsni=0" if driver == "pq" else ""
    done = subprocess.run([go, driver, *(url(world, case) + tail for case in CASES.values())],
                          env=psql.environment(HOME="/nonexistent"), capture_output=True, text=True, timeout=120, check=True)
    looked_up(dict(zip(CASES, done.stdout.splitlines())))


# -- the tables ---------------------------------------------------------------------------------------------------
def test_every_cause_has_its_place():
    page = PAGE.read_text(encoding="utf-8")
    listed = set(re.findall(r"`(?:cause=)?([a-z_]+)`", page))
    assert not set(CAUSES) - listed, "docs/howto/trouble.md does not name them"
    of_the_tables = (PAGE.parent.parent / "causes.md").read_text(encoding="utf-8")
    assert all(f"\n## {cause}\n" in of_the_tables for cause in CAUSES)
    for words in re.findall(r"`cause=([a-z_]+)`", page):
        assert words in CAUSES, words


def test_the_index_of_messages():
    done = subprocess.run([PAGE.parents[2] / "tools/messages.py"], capture_output=True, text=True, timeout=60, check=True)
    rows = re.findall(r"^\| (.*) \| ([0-9A-Z, ]+) \| (.*) \|$", done.stdout, re.M)
    assert len(rows) > 600 and len({row[0] for row in rows}) == len(rows)
    words = {row[0].replace("\\", ""): row[1:] for row in rows}
    assert words['invalid authentication method "…"'][0] == "F0000"
    assert words['server certificate for "…" does not match host name "…"'][0] == "08P01"
    for span in re.findall(r"^\| `([^`]+)`", PAGE.read_text(encoding="utf-8").split("## Commands of pgseal")[1], re.M):
        assert any(text.startswith(span) for text in words), span
    assert "with --force a second one" in " ".join(hint for _state, hint in words.values()).lower()
