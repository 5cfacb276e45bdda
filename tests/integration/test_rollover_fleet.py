"""
A fleet of clients through a whole rollover, with stragglers: who is named is who is not ready, and nobody who knows the new
CA is refused, at any time. PGSEAL_FLEET is how many (make rollover: 200).

Each client has an address and an application of its own, and one file of roots; most are at verify-full, some at verify-ca,
some verify nobody. The hours between two trials of an address are the test's clock's.
"""

import json
import os
import ssl
import subprocess

import psycopg
import pytest

from lib.clock import Clock, environment
from lib.wire import Closed, Conn, client_context
from test_rollover import own_gate

FLEET = int(os.environ.get("PGSEAL_FLEET", "20"))
HOUR = 3600


class Client:
    """verifies: "full", "ca" or None."""

    def __init__(self, gate, number, verifies, roots):
        self.gate, self.verifies, self.roots = gate, verifies, roots
        self.address = f"127.8.{number // 250}.{number % 250 + 1}"
        self.application = f"app{number}"

    def connect(self):
        """Does it get in? A trial's error is none of the server's certificate."""
        context = client_context(ca=self.roots if self.verifies else None)
        context.check_hostname = self.verifies == "full"
        with Conn(self.gate, source=self.address) as c:
            try:
                c.start_tls(context, "localhost")
                events = c.login(user=f"user{len(self.application)}", database="pgseal", application_name=self.application)
                return events[-1] == ("Z", "I")
            except (Closed, ssl.SSLError):
                return False


class Fleet:
    def __init__(self, program, gate, clock, env):
        self.program, self.gate, self.clock, self.env = program, gate, clock, env
        self.old = gate.path("old.crt")
        with open(gate.path("tls/ca.crt"), encoding="ascii") as f:
            gate.write("old.crt", f.read())
        kinds = ["full"] * FLEET
        kinds[-2:] = [None] * 2
        kinds[-4:-2] = ["ca"] * 2
        self.clients = [Client(gate, i, kind, self.old) for i, kind in enumerate(kinds)]
        self.blind = {c.application for c in self.clients if not c.verifies}

    def pgseal(self, *words, status=0):
        """At the true time, as the clients: what it issues must be valid for them now."""
        done = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def roll(self, word, *more, status=0):
        return json.loads(self.pgseal("ca", "rollover", word, "-D", self.gate.dir, "--json", *more, status=status))

    def connect(self, clients=None):
        """Those who did not get in. The question at the end makes the workers hand over what they have seen."""
        out = {c.application for c in clients or self.clients if not c.connect()}
        self.seen()
        return out

    def seen(self):
        """All of them, by the status database."""
        with psycopg.connect(host=self.gate.socket_dir, port=self.gate.port, user="dba", dbname="pgseal", autocommit=True) as db:
            return db.execute("SELECT count(*) FROM pgseal_clients").fetchone()[0]

    def configure(self, **settings):
        self.gate.configure(settings)
        assert "event=reloaded" in self.gate.reload()

    def states(self, report):
        return {c["application"]: c["state"] for c in report["clients"] if (c["application"] or "").startswith("app")}

    def waiting(self, report):
        return {name for name, state in self.states(report).items() if state != "ready"}


@pytest.fixture
def fleet(program, factory, scratch, pytestconfig, monkeypatch):
    path = os.path.join(scratch, "fleet-clock")
    env = environment(pytestconfig.getoption("--build"), path)
    clock = Clock(path)
    gate = own_gate(program, factory)
    with monkeypatch.context() as m:
        for name, value in env.items():
            m.setenv(name, value)
        gate.start()
    yield Fleet(program, gate, clock, env)
    factory.stop(gate)


def test_a_fleet_rolls_over(fleet):
    everybody = {c.application for c in fleet.clients}
    assert fleet.connect() == set()

    # Who verifies, and whom: an impostor's chain, then a wrong name, an hour apart.
    fleet.roll("start")
    both = fleet.gate.write("both.crt", open(fleet.gate.path("tls/ca.crt"), encoding="ascii").read())
    fleet.pgseal("cert", "issue", "-D", fleet.gate.dir, "canary", "--host", "canary.invalid", "--out", fleet.gate.path("tls"))
    fleet.configure(canary="100%", canary_cert_file="tls/canary.crt", canary_key_file="tls/canary.key")
    assert fleet.connect() == everybody and fleet.connect() == set()
    fleet.clock.forward(HOUR + 1)
    fleet.connect()
    assert fleet.connect() == set()

    # All but two get the new file; each meets the new CA's chain once.
    for c in fleet.clients[2:]:
        c.roots = both
    stragglers = {c.application for c in fleet.clients[:2]}
    fleet.configure(canary=None, rollover_probe="100%", rollover_cert_file="tls/rollover.crt",
                    rollover_key_file="tls/rollover.key")
    report = fleet.roll("servers", status=1)
    assert fleet.waiting(report) == everybody                       # nobody has proved anything
    fleet.clock.forward(HOUR + 1)
    assert fleet.connect() == stragglers and fleet.connect() == set()
    report = fleet.roll("servers", status=1)
    assert report["phase"] == "started" and fleet.waiting(report) == stragglers | fleet.blind
    assert {fleet.states(report)[name] for name in stragglers} == {"old only"}
    assert {fleet.states(report)[name] for name in fleet.blind} == {"unknown"}

    # One of them is told; the gate is told to go on without the other, and without those who verify nobody.
    fleet.clients[1].roots = both
    fleet.clock.forward(HOUR + 1)
    assert fleet.connect() == {"app0"} and fleet.connect() == set()
    accept = [word for name in fleet.blind | {"app0"} for word in ("--accept", name)]
    assert fleet.roll("servers", *accept)["phase"] == "issued"
    assert fleet.connect() == {"app0"}                              # as it said
    report = fleet.roll("finish", status=1)
    assert fleet.waiting(report) == {"app0"} | fleet.blind and report["obstacles"] == []

    # The last one is told at last; from now on every connection proves it. A restart forgets nothing.
    fleet.clients[0].roots = both
    fleet.clock.forward(2)          # evidence has seconds, and the last was against it
    for name, value in fleet.env.items():
        os.environ[name] = value
    try:
        fleet.gate.restart()
    finally:
        for name in fleet.env:
            os.environ.pop(name)
    assert fleet.connect(fleet.clients[:1]) == set()
    report = fleet.roll("finish", status=1)
    assert fleet.waiting(report) == fleet.blind
    assert fleet.roll("finish", *accept)["phase"] == "finished"
    assert fleet.connect() == set()
    for c in fleet.clients:
        c.roots = fleet.gate.path("tls/ca.crt")
    assert fleet.connect() == set()
