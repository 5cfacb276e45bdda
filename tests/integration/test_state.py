"""serve --check answers as serve would: also of a directory that the gate cannot write to (state_directory), and, with
--login, of the way to its servers."""

import os
import signal
import subprocess

import pytest

from lib import pki, run, scram
from lib.wire import Conn

REMEDY = "set state_directory in pgseal.conf"


@pytest.fixture
def read_only(factory):
    """A gate's directory that belongs to root; its gate is to run as the server's user."""
    if not run.is_root():
        pytest.skip("needs two users: one who owns the files, one who serves")
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
        assert gate.wait(run.PATIENCE) == 0
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


# -- --check --login ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def server(factory, certs):
    server = factory.postgres(hba="local all all trust\nhostssl postgres reader,poor 127.0.0.1/32 scram-sha-256\n",
                              tls={"cert": certs.server})
    with server.admin() as db:
        for role in ("reader", "poor"):
            db.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{scram.secret('reads')}'")
        db.execute("GRANT SELECT ON pg_catalog.pg_authid TO reader")
    yield server
    factory.stop(server)


@pytest.fixture
def check_login(program, make_gate, scratch, certs):
    path = os.path.join(scratch, "check.pass")
    pki.write_file(path, "*:*:*:reader:reads\n*:*:*:poor:reads\n", 0o600)

    def check(server, upstream, **settings):
        gate = make_gate(upstream=upstream.format(port=server.port, dir=server.socket_dir, ca=certs.ca_file,
                                                  foreign=certs.foreign_file, passfile=path, none=run.free_port()),
                         hba="host all all 127.0.0.1/32 scram-sha-256\n",
                         settings={"auth_source": "query", "auth_file": None, "upstream_login": "scram", **settings})
        return subprocess.run([program, "serve", "-D", gate.dir, "--check", "--login", "-v"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)

    return check


TCP = "host=localhost port={port} sslrootcert={ca} passfile={passfile}"


@pytest.mark.parametrize("upstream, settings, words", [
    (TCP, {"auth_user": "reader"},
     'upstream "default": logged in as user "reader" to database "postgres", auth_query returned a row'),
    ("host={dir} port={port}", {"auth_source": "upstream", "upstream_login": None}, 'upstream "default": reached'),
])
def test_the_way_to_the_server_is_proved(server, check_login, upstream, settings, words):
    done = check_login(server, upstream, **settings)
    assert done.returncode == 0 and words in done.stdout + done.stderr, done.stderr
    assert "its servers answer" in done.stdout


@pytest.mark.parametrize("upstream, settings, words", [
    (TCP, {"auth_user": "poor"}, ["permission denied for table pg_authid", 'In database "postgres" of the server: GRANT SELECT']),
    (TCP, {"auth_user": "nobody"}, ["no pg_hba.conf entry"]),
    (TCP, {"auth_user": "reader", "auth_dbname": "app"}, ["no pg_hba.conf entry"]),
    (TCP.replace("{ca}", "{foreign}"), {"auth_user": "reader"}, ["certificate verify failed"]),
    (TCP.replace("{port}", "{none}"), {"auth_user": "reader"}, ["Connection refused"]),
    ("host=/nonexistent", {"auth_source": "upstream", "upstream_login": None}, ["No such file or directory"]),
])
def test_what_keeps_the_gate_from_its_server_is_told(server, check_login, upstream, settings, words):
    done = check_login(server, upstream, **settings)
    assert done.returncode == 1 and 'upstream "default": ' in done.stderr, (done.stdout, done.stderr)
    assert all(word in done.stderr for word in words), done.stderr


def test_login_is_for_check(program, tmp_path):
    done = subprocess.run([program, "serve", "-D", str(tmp_path), "--login"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--login requires --check" in done.stderr
