"""
How the server of a relayed session may end it, and what client, log and counters are told: with FATAL, without a word, by
a process or a server that is killed, by a network that is gone.
"""

import contextlib
import os
import re
import signal
import socket
import struct

import pytest

from lib import run, wire
from lib.network import Machine
from lib.scripted_server import Scripted, error_response
from lib.wire import Conn, message
from test_http import ask

HBA = "host all all 127.0.0.1/32 trust\n"
LOST = "server closed the connection unexpectedly"
ABNORMALLY = "This probably means the server terminated abnormally before or while processing the request."
READY = message("Z", b"I")
RESULT = message("T", b"\0\0") + message("D", b"\0\0") + message("C", b"SELECT 1\0")


@pytest.fixture
def gate_at(make_gate, certs):
    """gate_at(port): a gate in front of a server there, whose certificate it verifies."""
    def make(port, words="hostaddr=127.0.0.1"):
        return make_gate(upstream=f"host=localhost port={port} sslmode=verify-full sslrootcert={certs.ca_file} {words}", hba=HBA,
                         settings={"http_listen": f"127.0.0.1:{run.free_port()}"})
    return make


def counted(gate):
    """Sessions that the server ended: (told, lost)."""
    text = ask(gate.settings["http_listen"].split(":")[1], "/metrics")[2]
    return tuple(int(re.search(rf'^pgseal_upstream_ended_sessions_total{{upstream="default",how="{how}"}} (\d+)$', text, re.M)[1])
                 for how in ("told", "lost"))


def let_in(gate):
    c = Conn(gate, timeout=run.PATIENCE)
    c.ready()
    return c


def is_lost(event):
    return event[0] == "E" and (event[1]["S"], event[1]["C"], event[1]["M"]) == ("FATAL", "08006", LOST)


def messages(data):
    """The types of the messages in data, and how much of another there is."""
    types, at = [], 0
    while at + 5 <= len(data) and at + 1 + (n := struct.unpack_from("!I", data, at + 1)[0]) <= len(data):
        types.append(data[at:at + 1])
        at += 1 + n
    return types, len(data) - at


def line(gate, event, since=0):
    return gate.log.wait_for(rf"LOG:  event={event} [^\n]*", since).group(0)


# -- PostgreSQL ---------------------------------------------------------------------------------------------------
@pytest.fixture
def server(factory, certs):
    made = factory.postgres(hba="local all all trust\n" + HBA, tls={"cert": certs.server})
    yield made
    with contextlib.suppress(AssertionError):
        factory.stop(made)


def test_a_backend_is_terminated_or_killed(server, gate_at):
    """pg_terminate_backend() is PostgreSQL's to say; of kill -9 the gate says as much as libpq would."""
    g = gate_at(server.port)
    with let_in(g) as c:
        server.query(f"SELECT pg_terminate_backend({c.pid})")
        assert [e[1]["C"] for e in c.events() if e[0] == "E"] == ["57P01"]
        told = line(g, "server_ended")
        assert 'sqlstate=57P01 message="terminating connection due to administrator command"' in told
        assert f"upstream=127.0.0.1 pid={c.pid}" in told and "user=alice database=app" in told
    assert counted(g) == (1, 0)
    with let_in(g) as victim, let_in(g) as bystander:
        victim.send(wire.query("SELECT pg_sleep(600)"))
        run.wait_until(lambda: server.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {victim.pid} AND wait_event = 'PgSleep'"),
                       "the query to run")
        os.kill(victim.pid, signal.SIGKILL)
        (event, *rest) = victim.events()
        assert is_lost(event) and event[1]["D"] == ABNORMALLY and rest == [wire.EOF]
        assert "57P02" in str(events := bystander.events()) and is_lost(events[-2])
        lost = line(g, "server_lost")
        assert f'sqlstate=08006 message="{LOST}"' in lost and "upstream=127.0.0.1 pid=" in lost
    assert counted(g) == (1, 2)
    assert "pgseal_" not in g.words()


def test_the_whole_server_is_killed(server, gate_at):
    """One is idle, one in a transaction, one in the middle of a COPY: each hears of it between two messages, or not at all."""
    g = gate_at(server.port)
    with let_in(g) as idle, let_in(g) as working, let_in(g) as copying:
        working.ask("BEGIN")
        copying.send(wire.query("COPY (SELECT repeat('x', 3000), generate_series(1, 100000000)) TO STDOUT"))
        copying.events(until=("d",))
        os.kill(server.process.pid, signal.SIGSTOP)      # it says nothing more to its children
        for pid in [*run.children(server.process.pid), server.process.pid]:
            os.kill(pid, signal.SIGKILL)
        for c in (idle, working):
            (event, *rest) = c.events()
            assert is_lost(event) and rest == [wire.EOF]
        whole, rest = messages(copying.rest())
        assert whole[:-1] == [b"d"] * (len(whole) - 1)
        assert whole[-1] == (b"d" if rest else b"E")       # not behind half a row
    server.process.wait(run.PATIENCE)
    server.process = None
    assert counted(g) == (0, 3)


# -- servers that end as PostgreSQL's cannot be made to -----------------------------------------------------------
@pytest.fixture(scope="module")
def pair(certs, scratch):
    return certs.server.write(scratch, "scripted")


def scripted(pair, end, reset=False):
    """A server that logs everybody in, waits for a message, says `end`, and leaves."""
    def script(peer):
        peer.start_tls(pair)
        peer.packet()
        peer.auth(0)
        peer.send(message("K", struct.pack("!II", 7, 8)) + READY)
        peer.message()
        peer.send(end)
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return Scripted(script)


@pytest.mark.parametrize("end, heard", [
    (b"", ["08006"]),
    (RESULT, ["08006"]),                                           # the answer without its ReadyForQuery
    (RESULT + READY, ["08006"]),
    (error_response("57P01", "bye"), ["57P01"]),
    (error_response("XX000", "bye").replace(b"FATAL", b"ERROR"), ["XX000", "08006"]),      # an error is no end
    (message("E", b"SFATAL\0CXX000\0Mbye\0\0"), ["XX000"]),             # as before PostgreSQL 9.6
    (RESULT[:-3], []),                                             # in the middle of a message
    (RESULT + b"D", []),
    (b"D\0\0\0\1", []),                                            # no message stream any more
], ids=range(9))
def test_what_the_client_hears(gate_at, pair, end, heard):
    """Exactly what the server said, and behind it no byte that would belong to one of its messages."""
    with scripted(pair, end) as server:
        g = gate_at(server.port)
        with let_in(g) as c:
            c.send(wire.query("SELECT 1"))
            got = c.rest()
        assert got.startswith(end) and [code.decode() for code in re.findall(rb"\0C(\w{5})\0M", got)] == heard
        assert got == end or "08006" in heard
        fatal = [line for line in g.words().splitlines() if "event=server_" in line]
        assert len(fatal) == 1 and ("event=server_ended" if heard in (["57P01"], ["XX000"]) else "event=server_lost") in fatal[0]
        assert counted(g) == ((1, 0) if heard in (["57P01"], ["XX000"]) else (0, 1))


def test_a_connection_that_is_reset(gate_at, pair):
    with scripted(pair, b"", reset=True) as server:
        g = gate_at(server.port)
        with let_in(g) as c:
            c.send(wire.query("SELECT 1"))
            (event, *rest) = c.events()
            assert is_lost(event) and event[1]["D"] == "could not receive data from server: Connection reset by peer"
            assert rest == [wire.EOF]
        assert 'detail="could not receive data from server: Connection reset by peer"' in line(g, "server_lost")


@pytest.mark.parametrize("leave", ["terminate", "close", "half-close", "abort"])
def test_who_leaves_first_has_lost_nothing(gate_at, pair, leave):
    with scripted(pair, b"") as server:
        g = gate_at(server.port)
        with let_in(g) as c:
            if leave == "terminate":
                c.send(wire.TERMINATE)
                assert c.rest() == b""
            elif leave == "half-close":
                c.half_close()
                assert c.rest() == b""
            else:
                (c.close if leave == "close" else c.abort)()
            g.log.wait_for("event=disconnection .*user=alice")
        assert "event=server_" not in g.words() and counted(g) == (0, 0)


# -- a network that is gone ---------------------------------------------------------------------------------------
@pytest.mark.skipif(not run.is_root(), reason="network namespaces need root")
def test_a_network_that_is_gone(factory, gate_at, certs):
    """Nobody closes anything: keepalives end an idle session, tcp_user_timeout one that has asked for something."""
    near, there = Machine("192.0.2.1"), Machine("192.0.2.2")
    near.sh(f"ip link add eth0 type veth peer name eth0 netns {there.process.pid}")
    for machine in (near, there):
        machine.sh(f"ip addr add {machine.address}/24 dev eth0 && ip link set eth0 up")
    server = factory.postgres(start=False, settings={"listen_addresses": "*"}, tls={"cert": certs.server},
                              hba="local all all trust\nhost all all 192.0.2.1/32 trust\n")
    with there.inside():
        server.start()
    with near.inside():
        g = gate_at(server.port, f"hostaddr={there.address} tcp_user_timeout=1500 keepalives_idle=1 keepalives_interval=1")
        with let_in(g) as idle, let_in(g) as asking:
            near.sh("ip link set eth0 down")
            asking.send(wire.query("SELECT 1"))
            for c in (asking, idle):
                (event, *rest) = c.events()
                assert is_lost(event) and rest == [wire.EOF]
                assert re.fullmatch(r"could not receive data from server: (Connection timed out|No route to host)", event[1]["D"])
        assert counted(g) == (0, 2)
    factory.stop(server)
    for machine in (near, there):
        machine.stop()
