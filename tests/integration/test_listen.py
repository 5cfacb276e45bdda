"""
Where the gate listens: several addresses, IPv6, unix sockets; and who is refused at start.
"""

import contextlib
import os
import socket
import stat
import subprocess
import threading
import time

import pytest

from lib import run
from lib.wire import Conn, startup

HBA = "hostssl app all 127.0.0.0/8 trust\nhostssl app all ::1/128 trust\nlocal app all trust\n"


class At:
    """A server as seen at another of its addresses."""

    def __init__(self, server, host):
        self.host, self.port, self.socket_dir = host, server.port, server.socket_dir


def admitted(at, unix=False):
    with Conn(at, unix=unix) as c:
        if not unix:
            c.start_tls()
        c.send(startup())
        return c.dialogue()[0][:2] == ("R", 0)


def test_several_addresses_and_a_unix_socket(make_gate, certs):
    hosts = ["127.0.0.1", "127.0.0.2"] + (["::1"] if run.has_ipv6() else [])
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"listen_addresses": ", ".join(hosts)})
    for host in hosts:
        assert admitted(At(gate, host)), host
    assert admitted(gate, unix=True)
    with pytest.raises(OSError):
        Conn(At(gate, "127.0.0.3")).close()


def test_all_addresses(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"listen_addresses": "*"})
    for host in ["127.0.0.1", "127.0.0.9"] + (["::1"] if run.has_ipv6() else []):
        assert admitted(At(gate, host)), host


def test_unix_socket_permissions_and_a_socket_left_behind(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"unix_socket_permissions": "0700"})
    path = os.path.join(gate.socket_dir, f".s.PGSQL.{gate.port}")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    gate.process.kill()
    gate.process.wait()
    assert os.path.exists(path)
    gate.start()
    assert admitted(gate, unix=True)


def test_a_second_gate_on_the_same_directory_is_refused(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server})
    out = subprocess.run([gate.program, "serve", "-D", gate.dir, "-c", f"port={run.free_port()}"],
                             capture_output=True, text=True, timeout=20)
    assert out.returncode in (1, 3) and "pgseal.lock" in out.stderr
    assert admitted(gate)


def test_a_port_that_is_taken_is_refused_even_by_one_that_shares(factory, certs):
    gate = factory.gate(start=False, hba=HBA, tls={"cert": certs.server})
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", gate.port))
        other.listen(1)
        status, logged = gate.refuses_to_start()
    assert status in (1, 3)
    assert 'could not bind IPv4 address "127.0.0.1": Address already in use' in logged
    assert "could not create any TCP/IP sockets" in logged
    factory.stop(gate)


def test_no_io_uring(make_gate, monkeypatch):
    """What is asked of a ring passes the list of system calls by; libuv makes one for each loop where it can."""
    monkeypatch.setenv("UV_USE_IO_URING", "1")
    gate = make_gate(hba="local all all trust\n")
    processes = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and session_of(int(pid)) == gate.process.pid]
    opened = {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in processes for fd in os.listdir(f"/proc/{pid}/fd")}
    assert "anon_inode:[eventpoll]" in opened and "anon_inode:[io_uring]" not in opened


def session_of(pid):
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def test_who_comes_before_the_gate_is_ready_is_served(make_gate, certs):
    """The kernel takes connections from listen(2) on: they wait until the gate's threads run, and not longer."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": "1"})
    for _ in range(5):
        gate.stop()
        first = []

        def come(first=first):
            deadline = time.monotonic() + run.PATIENCE
            while not first and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    first.append(Conn(At(gate, "127.0.0.1"), timeout=10))

        thread = threading.Thread(target=come)
        thread.start()
        gate.start()
        thread.join()
        with first[0] as c:
            c.start_tls()
            c.send(startup())
            assert c.dialogue()[0][:2] == ("R", 0)
