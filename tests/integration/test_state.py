"""state_directory: a gate whose own directory it cannot write to, and what --check says of one."""

import os
import signal
import subprocess

import pytest

from lib import run
from lib.wire import Conn

pytestmark = pytest.mark.skipif(not run.is_root(), reason="needs two users: one who owns the files, one who serves")
REMEDY = "set state_directory in pgseal.conf"


@pytest.fixture
def read_only(factory):
    """A gate's directory that belongs to root; its gate is to run as the server's user."""
    gate = factory.gate(start=False, upstream="", hba="local all all trust\n",
                        settings={"auth_source": None, "auth_file": None, "unix_socket_directories": ""})
    yield gate
    factory.stop(gate)


def serve(program, gate, *argv, **how):
    return subprocess.run(run.demoted([program, "serve", "-D", gate.dir, *argv]), cwd="/", capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=run.PATIENCE, check=False, **how)


def test_check_and_serve_refuse_alike(program, read_only):
    read_only.configure()
    complaint = f'could not open lock file "{read_only.path("pgseal.lock")}": Permission denied'
    checked = serve(program, read_only, "--check")
    assert checked.returncode == 1 and complaint in checked.stderr and REMEDY in checked.stderr
    served = serve(program, read_only)
    words = served.stderr.replace('\\"', '"')
    assert served.returncode == 3 and complaint in words and REMEDY in words
    assert not [name for name in os.listdir(read_only.dir) if name.startswith("pgseal.") and name != "pgseal.conf"]


def test_a_gate_with_a_state_directory(program, read_only, scratch):
    state = os.path.join(scratch, "state")
    os.makedirs(state, 0o700)
    run.give_to_server(state)
    read_only.configure({"state_directory": state})
    checked = serve(program, read_only, "--check")
    assert (checked.returncode, os.listdir(state)) == (0, []), checked.stderr
    with open(read_only.log.path, "ab") as log:
        gate = subprocess.Popen(run.demoted([program, "serve", "-D", read_only.dir]), cwd="/", stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log)
    try:
        read_only.log.wait_for("ready to accept connections")
        with Conn(read_only):
            assert serve(program, read_only, "--check").returncode == 0       # its own addresses are its own
        second = serve(program, read_only)
        assert second.returncode != 0 and "is held by another process" in second.stderr
        told = subprocess.run([program, "explain", "-D", read_only.dir, "--running", "local user=x dbname=y"],
                              capture_output=True, text=True, check=False)
        assert told.returncode == 0 and "trust" in told.stdout, told.stderr
    finally:
        gate.send_signal(signal.SIGINT)
        assert gate.wait(20) == 0
    assert {"pgseal.lock", "pgseal.secret", "pgseal.running"} <= set(os.listdir(state))
    assert not [name for name in os.listdir(read_only.dir) if name.startswith("pgseal.") and name != "pgseal.conf"]


def test_state_directory_is_not_for_the_command_line(program, read_only, scratch):
    read_only.configure()
    refused = serve(program, read_only, "--check", "-c", f"state_directory={scratch}")
    assert refused.returncode == 1 and "must be set in the configuration file" in refused.stderr


@pytest.mark.parametrize("settings, complaint", [
    ({"unix_socket_directories": "/nowhere"}, "could not create any Unix-domain sockets"),
    ({"listen_addresses": "no.such.name.invalid"}, "could not create any TCP/IP sockets"),
    ({"listen_addresses": ""}, "no socket created for listening")])
def test_check_tries_the_sockets(program, read_only, scratch, settings, complaint):
    state = os.path.join(scratch, "state-sockets")
    os.makedirs(state, 0o700, exist_ok=True)
    run.give_to_server(state)
    read_only.configure({"state_directory": state})
    assert serve(program, read_only, "--check").returncode == 0
    read_only.configure({"unix_socket_directories": "", **settings})
    checked, served = serve(program, read_only, "--check"), serve(program, read_only)
    assert checked.returncode == 1 and complaint in checked.stderr
    assert served.returncode != 0 and complaint in served.stderr


def test_check_finds_a_port_that_another_has(program, read_only, make_gate, scratch):
    other = make_gate(hba="host all all 127.0.0.1/32 trust\n")
    state = os.path.join(scratch, "state-port")
    os.makedirs(state, 0o700, exist_ok=True)
    run.give_to_server(state)
    read_only.port = other.port
    read_only.configure({"state_directory": state})
    checked = serve(program, read_only, "--check")
    assert checked.returncode == 1 and "Address already in use" in checked.stderr
