"""
Real clients at each sslmode, in each stage of a rollover, with the old root, both, and the new one: whoever verifies
connects where its file has the root that is served, and whoever has both roots connects in every stage. (make rollover)
"""

import asyncio
import json
import os
import shutil
import subprocess

import psycopg
import pytest

from conftest import npm_modules
from lib import psql
from test_audit_drivers import HERE, JARS, go     # noqa: F401  (a fixture)
from test_rollover import Rollover, own_gate

pytestmark = pytest.mark.skipif(not os.environ.get("PGSEAL_EVERY_CALL"), reason="PGSEAL_EVERY_CALL=1 (make rollover)")
MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"]
FILES = ["old", "both", "new"]
SERVED = {"started": "old", "issued": "new", "finished": "new"}
# Which modes verify a certificate when a file of roots is given (tables/drivers.def).
VERIFY = {"libpq": MODES[1:], "asyncpg": MODES[2:], "pgx": MODES[2:], "pgjdbc": MODES[3:], "node": MODES[1:]}


def of_libpq(urls, _):
    for url in urls:
        try:
            psycopg.connect(url, connect_timeout=20).close()
            yield True
        except psycopg.OperationalError as e:
            yield str(e)


def of_asyncpg(urls, _):
    asyncpg = pytest.importorskip("asyncpg")

    async def connect(url):
        try:
            await (await asyncpg.connect(url, timeout=20)).close()
            return True
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError) as e:
            return repr(e)

    async def all_of_them():
        return [await connect(url) for url in urls]
    return asyncio.run(all_of_them())


def of_node(urls, config):
    modules = npm_modules(config)
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("pg is not installed (tools/npm.sh)")
    done = subprocess.run(["node", os.path.join(HERE, "node", "attempts.js"), json.dumps([["pg", url] for url in urls])],
                          capture_output=True, env=psql.environment(NODE_PATH=modules), text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def of_jdbc(urls, _):
    if not shutil.which("java") or not os.path.exists(JARS[0]):
        pytest.skip("pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
    done = subprocess.run(["java", "-cp", ":".join(JARS), os.path.join(HERE, "java", "Attempts.java"),
                           *("jdbc:" + url.replace("alice@", "").replace("?", "?user=alice&") for url in urls)],
                          capture_output=True, text=True, timeout=120, check=True)
    return [line == "connected" or line for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def stages(program, factory, tmp_path_factory):
    """What each client is to connect to, one stage after the other."""
    gate = own_gate(program, factory).start()
    rollover, files = Rollover(program, gate, None), {name: str(tmp_path_factory.mktemp("roots") / name) for name in FILES}

    def walk():
        if rollover("status")["phase"] in ("started", "issued"):        # a test before this one has failed
            rollover("abort")
        shutil.copy(gate.path("tls/ca.crt"), files["old"])
        rollover("start")
        shutil.copy(gate.path("tls/ca.crt"), files["both"])
        shutil.copy(gate.path("ca.next/ca.crt"), files["new"])
        yield "started"
        rollover("servers", "--force")
        yield "issued"
        rollover("finish", "--force")
        yield "finished"
    yield gate, files, walk
    factory.stop(gate)


@pytest.mark.parametrize("driver, attempt", [("libpq", of_libpq), ("asyncpg", of_asyncpg), ("node", of_node), ("pgjdbc", of_jdbc),
                                             ("pgx", None)])
def test_each_sslmode_in_each_stage(stages, request, pytestconfig, monkeypatch, driver, attempt):
    gate, files, walk = stages
    monkeypatch.setenv("HOME", "/nonexistent")
    if driver == "pgx":
        built = request.getfixturevalue("go")

        def attempt(urls, _):
            done = subprocess.run([built, "pgx", *urls], env=psql.environment(), capture_output=True, text=True, timeout=120,
                                  check=True)
            return [line == "connected" or line for line in done.stdout.splitlines()]
    for stage in walk():
        tries = [(mode, name) for mode in MODES for name in FILES]
        urls = [f"postgresql://alice@localhost:{gate.port}/pgseal?sslmode={mode}&sslrootcert={files[name]}" for mode, name in tries]
        for (mode, name), got in zip(tries, list(attempt(urls, pytestconfig)), strict=True):
            fits = name in ("both", SERVED[stage]) or mode not in VERIFY[driver]
            assert (got is True) == (fits and mode != "disable"), (driver, stage, mode, name, got)
