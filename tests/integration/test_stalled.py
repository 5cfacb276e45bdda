"""
Ten thousand clients that stall or trickle: nobody else's handshake waits for them, and they are ended at
authentication_timeout, however slowly they go on talking.
"""

import contextlib
import json
import os
import statistics
import time

import pytest

from lib import run, slow_clients
from lib.pg import PASSWORDS
from lib.wire import SSL_REQUEST, Conn

ALICE = PASSWORDS["alice"]
HBA = "host all all 127.0.0.0/8 scram-sha-256\n"
CLIENTS = int(os.environ.get("PGSEAL_STALLED", "10000"))
TIMEOUT = 30        # seconds; the crowd must have come, and the handshakes be measured, before the first is ended
LATE = 3            # seconds that ending them all may take
ROUNDS, ROUND = 5, 2  # so often, for so many seconds


def handshake_seconds(gate):
    """From connect(2) to the end of the TLS handshake."""
    with Conn(gate) as c:
        hello = c.prepare_tls()
        began = time.perf_counter()
        c.raw_send(SSL_REQUEST)
        assert c.raw_exactly(1) == b"S"
        c.raw_send(hello)
        c.handshake()
        return time.perf_counter() - began


def delay(crowded, empty):
    """How much longer a handshake takes before a crowd: medians, one gate after the other all the time."""
    seconds = {crowded: [], empty: []}
    began, first, second = time.monotonic(), crowded, empty
    while time.monotonic() - began < ROUND:
        for gate in (first, second):
            seconds[gate].append(handshake_seconds(gate))
        first, second = second, first
    return statistics.median(seconds[crowded]) / statistics.median(seconds[empty])


def face_a_crowd(make_gate, certs, measure):
    """What became of each kind of client, and what measure(gate with the crowd, gate without) returned meanwhile."""
    settings = {"authentication_timeout": f"{TIMEOUT}s", "max_pending_connections": str(CLIENTS + 100),
                "log_connections": "off", "log_disconnections": "off"}
    crowded, empty = (make_gate(hba=HBA, tls={"cert": certs.server}, settings=settings) for _ in "ab")
    with Conn(crowded) as session:
        session.start_tls()
        session.ready(ALICE)
        fds = f"/proc/{crowded.pid}/fd"
        at_rest = len(os.listdir(fds))
        process = slow_clients.begin(crowded, CLIENTS)
        with contextlib.closing(process.stdout):
            run.wait_until(lambda: len(os.listdir(fds)) >= at_rest + CLIENTS, "all to be let in")
            measured = measure(crowded, empty)
            with Conn(crowded) as c:
                c.start_tls()
                assert c.ready(ALICE).value("SELECT 1") == "1"
            assert len(os.listdir(fds)) >= at_rest + CLIENTS, "the crowd was ended while handshakes were measured"
            report = json.loads(process.stdout.readline())
            assert process.wait(run.PATIENCE) == 0
        assert session.value("SELECT 'still here'") == "still here"
        kinds = report["kinds"]
        assert set(kinds) == set(slow_clients.KINDS) and sum(kind["count"] for kind in kinds.values()) == CLIENTS
        run.wait_until(lambda: len(os.listdir(fds)) <= at_rest, "the descriptors to come back")
    return report, measured


def test_a_crowd_that_stalls_or_trickles(make_gate, certs):
    face_a_crowd(make_gate, certs, lambda crowded, empty: handshake_seconds(crowded))


@pytest.mark.clock
def test_a_crowd_delays_nobody_and_is_ended_in_time(make_gate, certs):
    report, delays = face_a_crowd(make_gate, certs,
                                  lambda crowded, empty: [delay(crowded, empty) for _ in range(ROUNDS)])
    assert statistics.median(delays) < 1.1, delays
    late = LATE + report["late"]
    for kind, ended in report["kinds"].items():
        assert TIMEOUT - 0.1 < ended["first"] <= ended["last"] < TIMEOUT + late, (kind, report)
