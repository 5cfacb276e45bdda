"""
SIGTERM: the addresses, the unix sockets and the directory are another gate's at once, while the sessions that are left
end in peace.
"""

import contextlib
import copy
import os
import signal
import socket
import subprocess

import pytest

from lib import run, wire
from lib.wire import Conn, startup
from test_http import Unix, ask, ask_over

HBA = "local all all trust\nhost app all 127.0.0.1/32 trust\n"
SHUTDOWN = ("E", {"S": "FATAL", "V": "FATAL", "C": "57P01",
                  "M": "terminating connection due to administrator command"})


@pytest.fixture
def gate(make_gate):
    return make_gate(hba=HBA, settings={"drain_timeout": "60s", "http_listen": f"127.0.0.1:{run.free_port()}"})


@contextlib.contextmanager
def in_transaction(gate):
    with Conn(gate) as c:
        c.ready()
        c.ask("BEGIN")
        yield c


def drain(gate):
    """SIGTERM, and wait until the directory is free."""
    mark = gate.log.mark()
    gate.kill(signal.SIGTERM)
    gate.log.wait_for("event=released ", mark)


def finish(gate, session):
    """The last session of a draining gate ends its transaction, and with it the gate."""
    assert session.value("SELECT 'still there'") == "still there"
    session.send(wire.query("COMMIT"))
    assert [e[0] for e in session.events()] == ["C", "Z"]
    assert session.events() == [SHUTDOWN, wire.EOF]
    assert gate.process.wait(run.PATIENCE) == 0
    gate.process = None


def serves(gate, unix=False):
    with Conn(gate, unix=unix) as c:
        c.ready()
        return c.value("SELECT 1") == "1"


@contextlib.contextmanager
def second(gate):
    """Another gate on the same directory."""
    other = copy.copy(gate)
    other.start()
    try:
        yield other
    finally:
        other.stop()
        other.assert_clean()


def http_port(gate):
    return int(gate.settings["http_listen"].split(":")[1])


def test_a_second_gate_serves_while_the_first_drains(gate):
    with in_transaction(gate) as session:
        drain(gate)
        with second(gate) as other:
            assert serves(other) and serves(other, unix=True)
            assert ask(http_port(other), "/readyz")[0] == 200
            finish(gate, session)
            # What the first one leaves behind is the second one's.
            assert serves(other) and serves(other, unix=True)
            assert ask(http_port(other), "/readyz")[0] == 200
            third = subprocess.run([gate.program, "serve", "-D", gate.dir], capture_output=True, text=True,
                                   timeout=60, check=False)
            assert third.returncode != 0 and f"Its process ID is {other.process.pid}." in third.stderr


def test_a_draining_gate_writes_nothing(gate):
    state = [gate.path("pgseal.clients"), gate.path("pgseal.running")]
    with in_transaction(gate) as session:
        drain(gate)
        for path in state:          # all that it had to say is there
            os.unlink(path)
        gate.kill(signal.SIGHUP)
        finish(gate, session)
    assert not any(os.path.exists(path) for path in state)


def test_what_a_draining_gate_counted_is_there_for_the_next(gate):
    with in_transaction(gate) as session:
        drain(gate)
        with second(gate) as other:
            with Conn(other, unix=True) as console:
                console.ready(database="pgseal")
                assert console.value("SELECT sessions FROM pgseal_clients WHERE user_name = 'alice'") == "1"
            finish(gate, session)


def test_the_unix_socket_of_the_pages_goes_too(make_gate):
    gate = make_gate(hba=HBA, settings={"http_listen": "./http.sock"})
    with in_transaction(gate) as session:
        drain(gate)
        assert not os.path.exists(gate.path("http.sock"))
        with second(gate) as other:
            assert ask_over(Unix(other.path("http.sock")), "/readyz")[0] == 200
            finish(gate, session)
            assert ask_over(Unix(other.path("http.sock")), "/readyz")[0] == 200


def test_who_came_before_is_still_answered(gate):
    """An HTTP client that is connected, and clients that have not said what they want."""
    early = socket.create_connection(("127.0.0.1", http_port(gate)), timeout=20)
    with in_transaction(gate) as session, early:
        waiting = Conn(gate)
        assert ask(http_port(gate), "/healthz")[0] == 200       # the steward has seen `early` before this one
        drain(gate)
        early.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = early.recv(65536)
        assert b" 503 " in answer.split(b"\r\n")[0] and b"draining" in answer
        with waiting:
            waiting.send(startup())
            kind, fields = waiting.dialogue()[0]
            assert (kind, fields["C"], fields["M"]) == ("E", "57P03", "the database system is shutting down")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", gate.port), timeout=20)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", http_port(gate)), timeout=20)
        finish(gate, session)


def test_an_idle_gate_that_stops_answers_who_is_at_the_door(gate):
    with Conn(gate) as waiting:
        assert serves(gate)
        mark = gate.log.mark()
        gate.kill(signal.SIGTERM)
        gate.log.wait_for("event=released ", mark)
        waiting.send(startup())
        assert waiting.dialogue()[0][1]["C"] == "57P03"
    assert gate.process.wait(run.PATIENCE) == 0
    gate.process = None


@pytest.mark.parametrize("name", ["unix", "http"])
def test_what_is_not_a_socket_stays(factory, name):
    """A path that a setting names by mistake costs nobody a file."""
    settings = {"http_listen": "./precious"} if name == "http" else {"listen_addresses": ""}
    gate = factory.gate(start=False, hba=HBA, settings=settings)
    path = gate.write("precious" if name == "http" else f".s.PGSQL.{gate.port}", "precious\n")
    try:
        status, log = gate.refuses_to_start()
        assert status != 0 and "the file exists and is not a socket" in log
        with open(path, encoding="utf-8") as f:
            assert f.read() == "precious\n"
    finally:
        factory.stop(gate)
