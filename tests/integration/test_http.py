"""What the gate shows over HTTP: who is answered, and what nobody can do to it."""

import http.client
import os
import signal
import socket
import stat

import psycopg
import pytest

from lib import run

TRUST = "local all all trust\nhost all all all trust\n"


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(port, path, method="GET", **headers):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    return ask_over(connection, path, method, headers)


def ask_over(connection, path, method="GET", headers=None):
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def shown(make_gate):
    """A gate with http_listen on a free port of loopback, and that port."""
    port = run.free_port()
    return make_gate(hba=TRUST, settings={"http_listen": f"127.0.0.1:{port}"}), port


def test_health_and_readiness(shown):
    gate, port = shown
    assert ask(port, "/healthz")[0::2] == (200, "ok\n")
    assert ask(port, "/readyz")[0::2] == (200, "ready\n")
    status, headers, body = ask(port, "/healthz", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "3", "")
    assert headers["Cache-Control"] == "no-store"


def test_other_paths_and_methods(shown):
    gate, port = shown
    assert ask(port, "/")[0] == 404
    assert ask(port, "/healthz/")[0] == 404
    assert ask(port, "/healthz?a=b")[0] == 200
    status, headers, _ = ask(port, "/healthz", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_draining_is_not_ready(make_gate):
    port = run.free_port()
    gate = make_gate(hba=TRUST, settings={"http_listen": f"127.0.0.1:{port}", "drain_timeout": "60s"})
    with psycopg.connect(host="127.0.0.1", port=gate.port, user="postgres", dbname="postgres", sslmode="disable",
                         autocommit=True) as session:
        session.execute("BEGIN")
        gate.kill(signal.SIGTERM)
        run.wait_until(lambda: ask(port, "/readyz")[0] == 503, "the gate to be no longer ready")
        assert "draining" in ask(port, "/readyz")[2]
        assert ask(port, "/healthz")[0] == 200
        session.execute("COMMIT")


def test_unix_socket_is_for_owner_and_group(make_gate):
    gate = make_gate(hba=TRUST, settings={"http_listen": "./http.sock"})
    path = gate.path("http.sock")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert ask_over(Unix(path), "/healthz")[0] == 200
    gate.stop()
    assert not os.path.exists(path)


@pytest.mark.parametrize("place", ["0.0.0.0:1", "*:1", "db.example:1", "[::]:1"])
def test_more_than_loopback_is_refused(factory, place):
    gate = factory.gate(start=False, hba=TRUST, settings={"http_listen": place})
    status, log = gate.refuses_to_start()
    assert status != 0
    assert "http_listen" in log
