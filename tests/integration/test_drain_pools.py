"""
One gate goes and another comes, under the connection pools that applications have: every query that was acknowledged has
been done once, and every query that was refused has not been done.

PGSEAL_DRAIN=500 (make drain) is the number of connections; `make check` has fewer.
"""

import contextlib
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lib import psql, run

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pools")
CONNECTIONS = int(os.environ.get("PGSEAL_DRAIN", "45"))
JARS = ["/usr/share/java/HikariCP.jar", "/usr/share/java/postgresql.jar", "/usr/share/java/slf4j-api.jar",
        "/usr/share/java/slf4j-nop.jar"]


def programs(modules):
    """Command lines by pool, of those that are installed."""
    found = {}
    if subprocess.run([sys.executable, "-c", "import psycopg_pool"], capture_output=True, check=False).returncode == 0:
        found["psycopg_pool"] = ([sys.executable, os.path.join(HERE, "pool.py")], {})
    if shutil.which("node") and os.path.exists(os.path.join(modules, "pg-pool")):
        found["node-postgres"] = (["node", os.path.join(HERE, "pool.js")], {"NODE_PATH": modules})
    if shutil.which("javac") and all(map(os.path.exists, JARS)):
        found["HikariCP"] = (["java", "-Xss256k", "-XX:+UseSerialGC", "-cp", ":".join(JARS), os.path.join(HERE, "Pools.java")], {})
    return found


@pytest.fixture
def pools(pytestconfig):
    build = os.path.dirname(os.path.abspath(pytestconfig.getoption("--build")))
    found = programs(os.path.join(build, "build", "npm", "node_modules"))
    if not found:
        pytest.skip("no connection pool is installed: tools/deps.sh check")
    return found


@contextlib.contextmanager
def table(upstream):
    with upstream.admin("app") as db:
        db.execute("CREATE UNLOGGED TABLE drained (number text PRIMARY KEY)")
        db.execute("GRANT ALL ON drained TO PUBLIC")
        try:
            yield db
        finally:
            db.execute("DROP TABLE drained")


def begin(pools, port, stack):
    running = {}
    for name, (argv, env) in pools.items():
        running[name] = stack.enter_context(subprocess.Popen(
            [*argv, str(port), str(CONNECTIONS // len(pools)), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=psql.environment(**env)))
    for name, process in running.items():
        assert process.stdout.readline() == "ready\n", name
    return running


def logins_per_second(log):
    """The most that came in any second of the log."""
    per_second = {}
    for second in re.findall(r"^\S+ (\d\d:\d\d:\d\d)\S* \S+ \S+ LOG:  event=connection_authorized ", log, re.M):
        per_second[second] = per_second.get(second, 0) + 1
    return max(per_second.values())


def test_pools_lose_nothing(make_gate, certs, pools):
    gate = make_gate(hba="local all all trust\nhostssl app all 127.0.0.1/32 trust\n", tls={"cert": certs.server},
                     settings={"drain_timeout": "120s"})
    with contextlib.ExitStack() as stack, table(gate.upstream) as db:
        running = begin(pools, gate.port, stack)
        mark, began = gate.log.mark(), time.monotonic()
        gate.kill(signal.SIGTERM)
        gate.log.wait_for("event=released ", mark)
        other = copy.copy(gate)
        other.log = run.Log(gate.path("second.log"))
        other.start()
        try:
            assert gate.process.wait(150) == 0
            gate.process, took = None, time.monotonic() - began
            report = {}
            for name, process in running.items():
                report[name] = json.loads(process.communicate(timeout=run.PATIENCE)[0])
        finally:
            other.stop()
            other.assert_clean()
        idle, cut, left = map(int, re.search(r"event=drained .*idle=(\d+) cut=(\d+) client=(\d+)",
                                             gate.log.text(mark)).groups())
        print(f"\n{idle + cut + left} connections of {', '.join(report)} drained in {took:.1f} s: {idle} between transactions, "
              f"{cut} cut, {left} left by themselves; {sum(r['done'] for r in report.values())} queries acknowledged, "
              f"{sum(r['refused'] for r in report.values())} met 57P01 and were repeated; at most "
              f"{logins_per_second(other.log.text())} logins in a second on the second gate")
        assert {name: r["failed"] for name, r in report.items()} == {name: [] for name in report}
        assert cut == 0
        assert db.execute("SELECT count(*) FROM drained").fetchone() == (sum(r["done"] for r in report.values()),)
