"""What the gate shows over HTTP: who is answered, and what nobody can do to it."""

import contextlib
import datetime
import http.client
import json
import os
import re
import select
import signal
import socket
import ssl
import stat
import subprocess
import time
import urllib.parse

import psycopg
import pytest
from cryptography import x509

from lib import run
from lib.pg import PASSWORDS

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tables")
TRUST = "local all all trust\nhost all all all trust\n"


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=run.PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(port, path, method="GET", **headers):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=run.PATIENCE)
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
    status, headers, _ = ask(port, "/")
    assert (status, headers["Location"]) == (302, "status")
    assert ask(port, "//")[0] == 404
    assert ask(port, "/%68ealthz")[0] == ask(port, "/%00")[0] == 404
    assert ask(port, "/healthz/")[0] == 404
    assert ask(port, "/healthz?a=b")[0] == 200
    status, headers, _ = ask(port, "/healthz", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_ready_is_who_can_reach_a_server(make_gate):
    """Any of them: one that answers at all. Without a server there is only the status database to be ready for."""
    port, first, second = run.free_port(), run.free_port(), run.free_port()
    gate = make_gate(upstream=f"host=127.0.0.1,127.0.0.2 port={first},{second} sslmode=disable user=x", hba=TRUST,
                     settings={"http_listen": f"127.0.0.1:{port}", "upstream_login": "service"})

    def becomes(status):
        answer = run.wait_until(lambda: (now := ask(port, "/readyz"))[0] == status and now, f"/readyz to say {status}")
        return answer[2]

    assert becomes(503) == "unreachable: no server can be connected to\n"
    assert ask(port, "/healthz")[0] == 200
    with socket.create_server(("127.0.0.2", second)):
        assert becomes(200) == "ready\n"
    becomes(503)
    gate.configure(settings={"upstream.app": f"host={gate.dir} port={first} user=x"})
    gate.reload()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(gate.path(f".s.PGSQL.{first}"))
        server.listen()
        becomes(200)
    becomes(503)
    gate.upstream = None
    gate.configure(settings={"upstream.app": None})
    gate.reload()
    becomes(200)


def test_probes_need_no_token(make_gate, tmp_path):
    port, token = run.free_port(), tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    make_gate(hba=TRUST, settings={"http_listen": f"127.0.0.1:{port}", "http_token_file": str(token)})
    assert ask(port, "/metrics")[0] == 401
    assert ask(port, "/healthz")[0] == 200
    assert ask(port, "/readyz")[0::2] == (200, "ready\n")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_unix_socket_is_for_owner_and_group(make_gate, tmp_path, elsewhere):
    written = str(tmp_path / "http.sock") if elsewhere else "./http.sock"
    gate = make_gate(hba=TRUST, settings={"http_listen": written})
    path = written if elsewhere else gate.path("http.sock")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert ask_over(Unix(path), "/healthz")[0] == 200
    gate.stop()
    assert not os.path.exists(path)


# -- who is answered ----------------------------------------------------------------------------------------------
TOKEN = "0123456789abcdef-XYZ"


def bearer(token):
    return {"Authorization": "Bearer " + token}


@pytest.mark.parametrize("place", ["0.0.0.0:{}", "*:{}", "[::]:{}", "host.invalid:{}"])
def test_more_than_loopback_needs_tls_and_a_token(factory, place):
    gate = factory.gate(start=False, hba=TRUST, settings={"http_listen": place.format(run.free_port())})
    status, log = gate.refuses_to_start()
    assert status != 0
    assert "it requires http_token_file" in log
    assert "http_cert_file and http_key_file" in log


@pytest.mark.parametrize("content, mode, complaint", [
    ("short", 0o600, "must hold one token of 16"),
    ("two tokens in one line", 0o600, "must hold one token of 16"),
    ("x" * 5000, 0o600, "is larger than"),
    (TOKEN, 0o644, "has group or world access"),
    (None, 0, "No such file"),
], ids=["short", "two", "long", "open", "missing"])
def test_a_bad_token_file_refuses_the_load(factory, content, mode, complaint):
    gate = factory.gate(start=False, hba=TRUST, settings={"http_listen": f"127.0.0.1:{run.free_port()}",
                                                          "http_token_file": "http.token"})
    if content is not None:
        gate.write("http.token", content, mode)
    status, log = gate.refuses_to_start()
    assert status != 0 and complaint in log
    assert content is None or content not in log


def test_the_token_is_asked_for_and_reloaded(make_gate):
    port = run.free_port()
    gate = make_gate(start=False, hba=TRUST, settings={"http_listen": f"127.0.0.1:{port}",
                                                       "http_token_file": "http.token"})
    gate.write("http.token", TOKEN + "\n", 0o600)
    gate.start()
    status, headers, _ = ask(port, "/metrics")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="pgseal"')
    for wrong in (TOKEN[:-1], TOKEN + "x", "", "Z" * len(TOKEN)):
        assert ask(port, "/metrics", **bearer(wrong))[0] == 401
    assert ask(port, "/metrics", Authorization="Basic " + TOKEN)[0] == 401
    assert ask(port, "/metrics", **bearer(TOKEN))[0] == 200
    gate.write("http.token", "another-token-0123456789", 0o600)
    gate.reload()
    assert ask(port, "/metrics", **bearer(TOKEN))[0] == 401
    assert ask(port, "/metrics", **bearer("another-token-0123456789"))[0] == 200
    gate.write("http.token", "bad", 0o600)
    assert "reload_failed" in gate.reload()
    assert ask(port, "/metrics", **bearer("another-token-0123456789"))[0] == 200
    assert TOKEN not in gate.log.text()


def ask_tls(port, certs, path, headers, ciphers=None, newest=None):
    context = ssl.create_default_context(cafile=certs.ca_file)
    if ciphers:
        context.set_ciphers(ciphers)
    if newest:
        context.minimum_version = context.maximum_version = newest
    return ask_over(http.client.HTTPSConnection("localhost", port, timeout=run.PATIENCE, context=context), path,
                    headers=headers)


def http_serial(port):
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    return x509.load_der_x509_certificate(der).serial_number


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_beyond_loopback_and_its_certificate_is_reloaded(make_gate, certs):
    port = run.free_port()
    gate = make_gate(start=False, hba=TRUST, tls={"cert": certs.server},
                     settings={"http_listen": f"0.0.0.0:{port}", "http_token_file": "http.token"})
    gate.write("http.token", TOKEN, 0o600)
    gate.start()
    assert ask_tls(port, certs, "/metrics", bearer(TOKEN))[0] == 200
    assert ask_tls(port, certs, "/metrics", {})[0] == 401
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(port, "/metrics", **bearer(TOKEN))
    old = {"ciphers": "ALL:@SECLEVEL=0"}
    assert ask_tls(port, certs, "/metrics", bearer(TOKEN), newest=ssl.TLSVersion.TLSv1_2, **old)[0] == 200
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        ask_tls(port, certs, "/metrics", bearer(TOKEN), newest=ssl.TLSVersion.TLSv1_1, **old)
    assert http_serial(port) == certs.server.serial
    # one of its own, seen without SIGHUP when it is replaced
    other = certs.ca.issue("http", sans=["localhost"], usage="server")
    gate.write("http.crt", other.pem())
    gate.write("http.key", other.key_pem(), 0o600)
    gate.configure({"http_cert_file": "http.crt", "http_key_file": "http.key"})
    gate.reload()
    assert http_serial(port) == other.serial
    third = certs.ca.issue("http", sans=["localhost"], usage="server")
    gate.write("http.key", third.key_pem(), 0o600)
    gate.write("http.crt", third.pem())
    run.wait_until(lambda: http_serial(port) == third.serial, "the new certificate to be served")


def test_names_that_others_can_own_are_not_answered_without_a_token(shown):
    gate, port = shown
    for mine in ("localhost", "LOCALHOST:80", "127.0.0.1", f"127.0.0.1:{port}", "[::1]", "[::1]:9"):
        assert ask(port, "/readyz", Host=mine)[0] == 200, mine
    for foreign in ("evil.example", "localhost.evil.example:80", "[evil]", "127.0.0.1.evil.example"):
        assert ask(port, "/readyz", Host=foreign)[0] == 403, foreign


# -- what nobody can do to it -------------------------------------------------------------------------------------
def send_raw(port, data, close_write=False):
    """What comes back for these bytes, until the gate closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=run.PATIENCE) as s:
        try:
            s.sendall(data)
            if close_write:
                s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        return answer


@pytest.mark.parametrize("data, expected", [
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n", b"HTTP/1.1 431"),
    (b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414"),
    (b"\x16\x03\x01\x02\x00\x01\x00" + b"\0" * 600, None),
    (b"\0\0\0\x08\x04\xd2\x16\x2f", None),
    (b"GET /healthz HTTP/9.9\r\n\r\n", b"HTTP/1.1 "),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"\xff\0garbage\r\n" * 1000, b"HTTP/1.1 200"),
    (b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nxx", b"HTTP/1.1 405"),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 "),
    (b"GET /%00/../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 404"),
], ids=["header", "path", "tls", "postgres", "version", "garbage", "body", "length", "nul"])
def test_hostile_requests_are_ended_and_the_next_is_answered(shown, data, expected):
    gate, port = shown
    answer = send_raw(port, data, close_write=True)
    if expected is not None:
        assert answer.startswith(expected), answer[:200]
    assert answer.count(b"HTTP/1.1 200 ") <= 1
    assert ask(port, "/healthz")[0] == 200


def test_a_client_that_ends_its_side_is_still_answered(shown):
    gate, port = shown
    answer = send_raw(port, b"GET /healthz HTTP/1.0\r\n\r\n", close_write=True)
    assert answer.endswith(b"\r\n\r\nok\n")


def see_slow_clients_out(shown):
    """
    200 connections that say a byte now and then: queries go on, and the doors are free again after 10 s. Returns the
    seconds until the first was shown out, and how many queries were answered meanwhile.
    """
    gate, port = shown
    with psycopg.connect(host="127.0.0.1", port=gate.port, user="postgres", dbname="postgres", sslmode="disable",
                         autocommit=True) as session:
        slow = [socket.create_connection(("127.0.0.1", port), timeout=run.PATIENCE) for _ in range(200)]
        began = time.monotonic()
        for s in slow:
            s.sendall(b"GET /healthz HTTP/1.1\r\nX")
        answered = 0

        def shown_out():
            nonlocal answered
            for s in slow[:64]:
                with contextlib.suppress(ConnectionError):
                    s.send(b"y")
            assert session.execute("SELECT 1").fetchone() == (1,)
            answered += 1
            return select.select(slow[:1], [], [], 0.02)[0]     # too few bytes for the limit on their number

        run.wait_until(shown_out, "the first slow client to be shown out")
        seconds = time.monotonic() - began
        for s in slow:
            s.close()
    assert ask(port, "/healthz")[0] == 200
    assert "could not" not in gate.log.text()
    return seconds, answered


def test_slow_clients_are_shown_out_and_sessions_do_not_notice(shown):
    see_slow_clients_out(shown)


@pytest.mark.clock
def test_slow_clients_have_their_time(shown):
    seconds, answered = see_slow_clients_out(shown)
    assert seconds > 5 and answered >= 2


# -- metrics ------------------------------------------------------------------------------------------------------
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, labels as a frozen set of pairs): value}"""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        key = (name, frozenset(LABEL.findall(labels or "")))
        assert key not in samples, f"twice: {line}"
        samples[key] = float(value)
    return samples


class Metrics:
    """What /metrics says, as of each call."""

    def __init__(self, port):
        self.port = port

    def text(self):
        status, headers, body = ask(self.port, "/metrics")
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        return body

    def value(self, name, **labels):
        """The sum of the samples that carry these labels."""
        wanted = set(labels.items())
        return sum(v for (n, have), v in parse(self.text()).items() if n == name and wanted <= have)

    def has(self, name, **labels):
        wanted = set(labels.items())
        return any(n == name and wanted <= have for n, have in parse(self.text()))

    def wait(self, name, value, **labels):
        run.wait_until(lambda: self.value(name, **labels) == value, f"{name}{labels} to be {value}")


@pytest.fixture
def measured(make_gate, certs):
    port = run.free_port()
    crl = certs.ca.crl([])
    gate = make_gate(hba="hostssl app bob all cert\nhostssl app alice all scram-sha-256\nlocal pgseal all trust\n",
                     tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": crl},
                     settings={"http_listen": f"127.0.0.1:{port}"})
    return gate, Metrics(port)


def connect(gate, certs, user="alice", password=PASSWORDS["alice"], **more):
    return psycopg.connect(host="127.0.0.1", port=gate.port, user=user, password=password, dbname="app",
                           **{"sslmode": "verify-ca", "sslrootcert": certs.ca_file, **more})


def test_promtool_likes_the_metrics(measured, certs):
    gate, metrics = measured
    with connect(gate, certs) as session:
        session.execute("SELECT 1")
        text = metrics.text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_metric_is_told_with_its_help(measured, certs):
    gate, metrics = measured
    connect(gate, certs).close()
    defined = re.findall(r'^X\(METRIC_\w+, "(\w+)"', open(os.path.join(TABLES, "metrics.def")).read(), re.M)
    told = re.findall(r"^# HELP (\w+) .+\n# TYPE \1 \w+$", metrics.text(), re.M)
    assert set(told) <= set(defined)
    # those need a failing server, a login under way, a drain (test_drain), a trial (test_evidence), Patroni (test_role_check)
    assert set(defined) - set(told) <= {
        "pgseal_upstream_last_failure_timestamp_seconds", "pgseal_upstream_logins", "pgseal_upstream_logins_waiting",
        "pgseal_draining_sessions", "pgseal_drained_sessions_total", "pgseal_trials_total", "pgseal_upstream_primary",
        "pgseal_upstream_lost_sessions_total"}


def test_numbers_move_with_sessions(measured, certs):
    gate, metrics = measured
    tls = {"tls_version": "TLSv1.3"}
    with connect(gate, certs) as session:
        session.execute("SELECT repeat('x', 100000)")
        assert metrics.value("pgseal_sessions", step="relay", **tls) == 1
        assert metrics.value("pgseal_connections") == 1
        run.wait_until(lambda: metrics.value("pgseal_sent_bytes_total") > 100000, "bytes to be counted")
    metrics.wait("pgseal_sessions", 0, step="relay")
    metrics.wait("pgseal_sessions", 0)
    assert metrics.value("pgseal_startups_total", result="admitted", transport="tcp", **tls) == 1
    assert metrics.value("pgseal_handshakes_total", result="ok", group="x25519", **tls) == 1
    assert metrics.value("pgseal_handshake_seconds_count", **tls) == 1
    assert 0 < metrics.value("pgseal_handshake_seconds_sum") < 5
    assert metrics.value("pgseal_handshake_seconds_bucket", le="+Inf") == 1
    assert metrics.value("pgseal_connect_seconds_count", **tls) == 1
    assert metrics.value("pgseal_authentications_total", method="scram-sha-256", result="ok") == 1
    assert metrics.value("pgseal_rule_hits_total", file=gate.path("pg_hba.conf"), line="2") == 1
    assert metrics.value("pgseal_upstream_up", upstream="default") == 1
    assert metrics.value("pgseal_upstream_connects_total", result="ok") == 1
    before = metrics.value("pgseal_received_bytes_total")
    with connect(gate, certs) as session:
        session.execute("SELECT length(%s)", ["y" * 200000])
        run.wait_until(lambda: metrics.value("pgseal_received_bytes_total") > before + 200000, "bytes to be counted")


def test_numbers_move_with_failures(measured, certs):
    gate, metrics = measured
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(gate, certs, password="wrong")
    assert metrics.value("pgseal_authentications_total", method="scram-sha-256", result="refused") == 1
    assert metrics.value("pgseal_failures_total", cause="password_wrong") == 1
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(gate, certs, sslrootcert=certs.foreign_file)
    metrics.wait("pgseal_failures_total", 1, cause="unknown_ca")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(gate, certs, sslmode="disable")
    assert metrics.value("pgseal_startups_total", transport="tcp", tls_version="none", result="refused") == 1
    assert metrics.value("pgseal_handshakes_total", result="failed", cipher="", group="") == 1
    with socket.create_connection(("127.0.0.1", gate.port)) as s:
        s.sendall(bytes.fromhex("0000000804d2162f"))
        assert s.recv(1) == b"S"
        s.sendall(b"no TLS at all, just text that nobody expects here")
        s.recv(100)
    metrics.wait("pgseal_failures_total", 1, cause="not_tls")
    assert metrics.value("pgseal_handshakes_total", result="failed", cipher="", group="") == 2


def test_cancels_and_reloads_are_counted(measured, certs):
    gate, metrics = measured
    with connect(gate, certs, autocommit=True) as session:
        session.cancel()
        metrics.wait("pgseal_cancel_requests_total", 1, result="sent")
    assert metrics.value("pgseal_config_generation") == 1
    gate.reload()
    assert metrics.value("pgseal_config_generation") == 2
    assert metrics.value("pgseal_config_loads_total", result="loaded") == 2
    gate.configure(hba="nonsense\n")
    assert "reload_failed" in gate.reload()
    assert metrics.value("pgseal_config_loads_total", result="refused") == 1
    assert metrics.value("pgseal_config_last_load_successful") == 0
    assert metrics.value("pgseal_config_generation") == 2


def test_certificates_and_lists_are_told(measured, certs):
    gate, metrics = measured
    server = certs.server.cert
    labels = {"kind": "server", "file": gate.path("server.crt"), "serial": str(certs.server.serial)}
    utc = datetime.timezone.utc
    until = server.not_valid_after.replace(tzinfo=utc).timestamp()
    since = server.not_valid_before.replace(tzinfo=utc).timestamp()
    assert metrics.value("pgseal_certificate_not_after_timestamp_seconds", **labels) == until
    assert metrics.value("pgseal_certificate_not_before_timestamp_seconds", **labels) == since
    left = metrics.value("pgseal_certificate_life_left_ratio", **labels)
    assert abs(left - (until - time.time()) / (until - since)) < 0.001
    assert metrics.value("pgseal_certificate_served", **labels) == 1
    assert metrics.has("pgseal_crl_next_update_timestamp_seconds", file=gate.path("client.crl"))
    other = certs.ca.issue("other", sans=["localhost"], usage="server")
    gate.configure({"reload_on_change": "off"})
    gate.reload()
    gate.write("server.crt", other.pem())
    metrics.wait("pgseal_certificate_served", 0)
    os.unlink(gate.path("server.crt"))
    metrics.wait("pgseal_certificate_file_readable", 0, file=gate.path("server.crt"))


def test_a_server_that_is_gone_is_down(factory, make_gate):
    port = run.free_port()
    gate = make_gate(hba=TRUST, upstream=f"host=127.0.0.1 port={run.free_port()} sslmode=disable user=alice",
                     settings={"http_listen": f"127.0.0.1:{port}", "upstream_login": "service"})
    metrics = Metrics(port)
    assert not metrics.has("pgseal_upstream_up")
    with pytest.raises(psycopg.OperationalError, match="not available"):
        psycopg.connect(host="127.0.0.1", port=gate.port, user="alice", dbname="app", sslmode="disable")
    assert metrics.has("pgseal_upstream_up", upstream="default")
    assert metrics.value("pgseal_upstream_up") == 0
    assert metrics.value("pgseal_upstream_connects_total", result="failed") == 1


def test_a_database_called_default_has_a_label_of_its_own(make_gate):
    port = run.free_port()
    gate = make_gate(hba=TRUST, settings={
        "http_listen": f"127.0.0.1:{port}", "upstream.default": "host=/tmp/nowhere", 'upstream."""default"""': "host=/tmp/nowhere"})
    metrics = Metrics(port)
    for database in "app", "default", '"default"':
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=gate.port, user="alice", dbname=database, sslmode="disable").close()
    # A label's quotes stand escaped in /metrics.
    for label, result in ("default", "ok"), (r'\"default\"', "failed"), (r'\"\"default\"\"', "failed"):
        assert metrics.value("pgseal_upstream_connects_total", upstream=label) == 1
        assert metrics.value("pgseal_upstream_connects_total", upstream=label, result=result) == 1
        assert metrics.value("pgseal_upstream_up", upstream=label) == (result == "ok")
    with psycopg.connect(host=gate.socket_dir, port=gate.port, user="root", dbname="pgseal") as db:
        assert db.execute("SELECT upstream, connects, failures FROM pgseal_upstreams ORDER BY upstream DESC").fetchall() == [
            ("default", 1, 0), ('"default"', 0, 1), ('""default""', 0, 1)]


def test_a_handshakes_time_is_in_the_view(measured, certs):
    gate, metrics = measured
    with connect(gate, certs), psycopg.connect(host=gate.socket_dir, port=gate.port, user="root",
                                               dbname="pgseal") as console:
        rows = console.execute("SELECT tls_version, handshake_us FROM pgseal_sessions WHERE user_name = 'alice'")
        version, us = rows.fetchone()
        assert version == "TLSv1.3" and 0 < us < 5000000


def test_a_gate_that_stops_while_it_measures_stops_cleanly(make_gate, certs):
    """Answers under way hold on to what is being freed; nobody waits for them."""
    port = run.free_port()
    for how in (signal.SIGINT, signal.SIGTERM):
        gate = make_gate(hba=TRUST, tls={"cert": certs.server, "ca": certs.ca.pem() * 200},
                         settings={"http_listen": f"127.0.0.1:{port}"})
        asking = [socket.create_connection(("127.0.0.1", port), timeout=run.PATIENCE) for _ in range(40)]
        for s in asking:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert asking[0].recv(1) == b"H"
        assert gate.stop(how) == 0
        for s in asking:
            s.close()


PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: pgseal
    scheme: https
    tls_config: {{ca_file: {ca}}}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["localhost:{port}"]}}]
"""


def test_prometheus_scrapes_over_tls_with_the_token(make_gate, certs, tmp_path):
    """The real one, with the rules of dist/: the target is up, and what is wrong is told as an alert."""
    port, own = run.free_port(), run.free_port()
    gate = make_gate(start=False, hba=TRUST, tls={"cert": certs.server},
                     settings={"http_listen": f"0.0.0.0:{port}", "http_token_file": "http.token"})
    token = gate.write("http.token", TOKEN, 0o600)
    gate.start()
    rules = os.path.join(TABLES, "..", "dist", "prometheus", "pgseal.rules.yml")
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(ca=certs.ca_file, token=token, port=port, rules=rules))
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={tmp_path}/prometheus.yml",
                                    f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{own}"],
                                   stdout=log, stderr=log)

    def query(text):
        try:
            _, _, body = ask(own, "/api/v1/query?query=" + urllib.parse.quote(text))
            return {tuple(sorted(r["metric"].items())): r["value"][1] for r in json.loads(body)["data"]["result"]}
        except (OSError, ValueError, KeyError):
            return {}
    try:
        run.wait_until(lambda: list(query("up").values()) == ["1"], "the gate to be up", 60)
        assert list(query("pgseal_ready").values()) == ["1"]
        gate.configure(hba="nonsense\n")
        gate.reload()
        run.wait_until(lambda: query('ALERTS{alertname="PgsealReloadRefused",alertstate="firing"}'), "the alert", 60)
    finally:
        process.terminate()
        process.wait(run.PATIENCE)
