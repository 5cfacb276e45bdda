"""
Every ssl_* setting, seen on the wire; and where a server listens.
"""

import os
import socket
import ssl
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dh

from lib import psql, run, wire
from lib.pg import PASSWORDS
from lib.pki import write_file
from lib.wire import Conn, startup

HBA = "host all all all trust\nlocal all all trust\n"
ALICE = PASSWORDS["alice"]


@pytest.fixture
def serve(kind, factory, certs):
    """serve(settings, cert=...): a server with TLS that admits everybody."""
    made = []

    def make(settings=None, cert=None, ca=None, hba=HBA):
        tls = {"cert": cert or certs.server}
        if ca:
            tls["ca"] = ca
        made.append(factory.make(kind, settings=settings or {}, tls=tls, hba=hba))
        return made[-1]

    yield make
    for server in made:
        factory.stop(server)


def s_client(server, *options):
    """OpenSSL's own client; its output."""
    return subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{server.port}",
                           *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
                          check=False).stdout


def tls12(ciphers=None):
    context = wire.client_context(maximum=ssl.TLSVersion.TLSv1_2)
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def cipher(server, context):
    with Conn(server) as c:
        c.start_tls(context)
        c.ready()
        return c.tls.cipher()[0]


def refusal(server, context):
    with Conn(server) as c, pytest.raises(wire.Closed) as closed:
        c.start_tls(context)
    return closed.value.how


AES128, AES256 = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_ciphers(serve):
    server = serve({"ssl_ciphers": AES128})
    assert cipher(server, tls12()) == AES128
    assert refusal(server, tls12(AES256)) == "alert handshake failure"


@pytest.mark.parametrize("prefer", ["on", "off"])
def test_whose_order_of_ciphers_counts(serve, prefer):
    server = serve({"ssl_ciphers": f"{AES128}:{AES256}", "ssl_prefer_server_ciphers": prefer})
    assert cipher(server, tls12(f"{AES256}:{AES128}")) == (AES128 if prefer == "on" else AES256)


def test_tls13_ciphers(serve, kind):
    if kind not in ("gate", "pg18"):
        pytest.skip("PostgreSQL 18 and later")
    server = serve({"ssl_tls13_ciphers": "TLS_AES_128_GCM_SHA256"})
    assert cipher(server, wire.client_context()) == "TLS_AES_128_GCM_SHA256"
    server = serve({"ssl_tls13_ciphers": "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"})
    assert cipher(server, wire.client_context()) == "TLS_CHACHA20_POLY1305_SHA256"


def test_version_range(serve):
    server = serve({"ssl_min_protocol_version": "tlsv1.3"})
    assert refusal(server, tls12()) == "alert protocol version"
    server = serve({"ssl_max_protocol_version": "TLSv1.2"})
    with Conn(server) as c:
        c.start_tls()
        assert c.tls.version() == "TLSv1.2"
    assert refusal(server, wire.client_context(minimum=ssl.TLSVersion.TLSv1_3)) == "alert protocol version"


def test_default_groups(serve, kind):
    if kind not in ("gate", "pg18"):
        pytest.skip("PostgreSQL 18 and later")
    server = serve()
    assert "X25519, 253 bits" in s_client(server, "-groups", "X25519:P-256")
    assert "prime256v1" in s_client(server, "-groups", "P-256") or "P-256" in s_client(server, "-groups", "P-256")
    assert "New, (NONE)" in s_client(server, "-groups", "P-384")


@pytest.mark.parametrize("name", ["ssl_groups", "ssl_ecdh_curve"])
def test_groups_under_both_names(serve, kind, name):
    if kind not in ("gate", "pg18") and name == "ssl_groups":
        pytest.skip("PostgreSQL 18 and later")
    server = serve({name: "secp384r1"})
    assert "secp384r1" in s_client(server, "-groups", "P-384:P-256")
    assert "New, (NONE)" in s_client(server, "-groups", "P-256")


def dh_parameters():
    """The 3072-bit group of RFC 7919, computed from its formula: 2^3072 - 2^3008 + ([2^2942 e] + 2625351) 2^64 - 1."""
    total, term, n = 0, 1 << 3200, 1
    while term:
        total, term, n = total + term, term // n, n + 1
    prime = (1 << 3072) - (1 << 3008) + (((total >> (3200 - 2942)) + 2625351) << 64) - 1
    return dh.DHParameterNumbers(prime, 2).parameters().parameter_bytes(
        serialization.Encoding.PEM, serialization.ParameterFormat.PKCS3)


def test_dh_parameters(serve, certs, scratch):
    """Built-in 2048 bits, or those of a file."""
    rsa = certs.ca.issue("rsa", usage="server", key="rsa")
    dhe = ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]
    assert "DH, 2048 bits" in s_client(serve(cert=rsa), *dhe)
    path = os.path.join(scratch, "dh.pem")
    write_file(path, dh_parameters())
    assert "DH, 3072 bits" in s_client(serve({"ssl_dh_params_file": path}, cert=rsa), *dhe)


def test_the_whole_chain_is_sent(serve, certs):
    """A client that only has the root verifies a server below an intermediate CA."""
    middle = certs.ca.intermediate("middle")
    cert = middle.issue("db.example", sans=["localhost"], usage="server")
    options = {"password": ALICE, "sslmode": "verify-full", "sslrootcert": certs.ca_file, "host": "localhost",
               "hostaddr": "127.0.0.1"}
    assert psql.run(serve(cert=cert), **options).stdout == "1\n"
    alone = type(cert)(cert.cert, cert.key)
    assert psql.errors(psql.run(serve(cert=alone), **options)) == ["SSL error: certificate verify failed"]
    # What lies in ssl_ca_file completes the chain, too.
    assert psql.run(serve(cert=alone, ca=middle.pem() + certs.ca.pem()), **options).stdout == "1\n"


def test_no_certificate_is_asked_for_without_a_ca(serve):
    out = s_client(serve())
    assert "No client certificate CA names sent" in out


@pytest.mark.parametrize("key", ["rsa", "ed25519"])
def test_kinds_of_keys(serve, certs, key):
    server = serve(cert=certs.ca.issue("db.example", sans=["localhost"], usage="server", key=key))
    got = psql.run(server, "SELECT 1", sslmode="verify-full", sslrootcert=certs.ca_file, host="localhost",
                   hostaddr="127.0.0.1")
    assert got.stdout == "1\n", got.stderr


def test_no_renegotiation(serve):
    """SSL_OP_NO_RENEGOTIATION: the client's wish is answered with an alert, not honoured."""
    server = serve()
    process = subprocess.Popen(["openssl", "s_client", "-starttls", "postgres", "-tls1_2", "-connect",
                                f"127.0.0.1:{server.port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    with process:           # its input stays open: at its end it would not wait for the answer
        process.stdin.write("R\n")
        process.stdin.flush()
        out = process.stdout.read()
    assert "RENEGOTIATING" in out and "no renegotiation" in out, out[-600:]


# -- where a server listens ---------------------------------------------------------------------------------------
def connects(family, address):
    with socket.socket(family) as s:
        s.settimeout(5)
        try:
            s.connect(address)
            return True
        except OSError:
            return False


LISTEN = {
    "one": ("127.0.0.1", True, False),
    "both": ("127.0.0.1, ::1", True, True),
    "v6 only": ("::1", False, True),
    "any v4": ("0.0.0.0", True, False),
    "any": ("*", True, True),
    "none": ("", False, False),
}


@pytest.mark.parametrize("addresses, v4, v6", LISTEN.values(), ids=LISTEN.keys())
def test_listen_addresses(serve, addresses, v4, v6):
    if v6 and not run.has_ipv6():
        pytest.skip("this machine has no IPv6")
    server = serve({"listen_addresses": addresses})
    assert connects(socket.AF_INET, ("127.0.0.1", server.port)) == v4
    if run.has_ipv6():
        assert connects(socket.AF_INET6, ("::1", server.port)) == v6
    with Conn(server, unix=True) as c:
        c.ready()


def test_addresses_in_messages(factory, kind, certs):
    """The client's own address, v6 as the resolver prints it."""
    if not run.has_ipv6():
        pytest.skip("this machine has no IPv6")
    server = factory.make(kind, settings={"listen_addresses": "::1"}, hba="host app all 10.0.0.0/8 trust\n")
    try:
        server.host = "::1"
        with Conn(server) as c:
            c.send(startup())
            assert c.events()[0][1]["M"] == ('no pg_hba.conf entry for host "::1", user "alice", database "app",'
                                             " no encryption")
    finally:
        factory.stop(server)


@pytest.mark.parametrize("mode", ["0777", "0700", "0770"])
def test_unix_socket_permissions(serve, mode):
    server = serve({"unix_socket_permissions": mode})
    path = os.path.join(server.socket_dir, f".s.PGSQL.{server.port}")
    assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)


def test_sockets_are_removed_at_the_end(serve):
    server = serve()
    path = os.path.join(server.socket_dir, f".s.PGSQL.{server.port}")
    assert os.path.exists(path)
    server.stop()
    assert not os.path.exists(path)
    server.start()
    with Conn(server, unix=True) as c:
        c.ready()


def test_a_stale_socket_is_no_obstacle(serve):
    """After a crash the socket file is still there."""
    import signal
    server = serve()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(run.PATIENCE)
    if not server.is_gate:
        # The crashed postmaster's children have to be gone before the next may use the shared memory.
        run.wait_until(lambda: subprocess.run(["pgrep", "-f", server.data], capture_output=True,
                                              check=False).returncode != 0, "all processes to end", 30)
    server.start()
    with Conn(server, unix=True) as c:
        c.ready()


# -- the gate's own files -----------------------------------------------------------------------------------------
def test_included_files(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server})
    os.mkdir(gate.path("conf.d"))
    gate.write("conf.d/10-tls.conf", "ssl_max_protocol_version = 'TLSv1.2'\n")
    gate.write("more.conf", "ssl_prefer_server_ciphers = off\n")
    with open(gate.path("pgseal.conf"), "a", encoding="ascii") as f:
        f.write("include_dir 'conf.d'\ninclude = 'more.conf'\ninclude_if_exists 'nothing.conf'\n")
    gate.reload()
    with Conn(gate) as c:
        c.start_tls()
        assert c.tls.version() == "TLSv1.2"


def test_rules_in_another_file(make_gate, certs):
    gate = make_gate(hba="host all all all reject\n", tls={"cert": certs.server})
    gate.write("other_hba.conf", HBA)
    gate.configure({"hba_file": "other_hba.conf"})
    gate.restart()
    with Conn(gate) as c:
        c.ready()


@pytest.mark.parametrize("workers", ["1", "3"])
def test_workers(make_gate, certs, workers):
    """Any number of workers: sessions and cancels find each other."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": workers})
    sessions = [Conn(gate).ready() for _ in range(8)]
    try:
        for c in sessions:
            c.send(wire.query("SELECT pg_sleep(60)"))
        for c in sessions:
            run.wait_until(lambda pid=c.pid: gate.upstream.query(
                f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"), "the query to run")
            with Conn(gate) as other:
                other.raw_send(wire.cancel_request(c.pid, c.key))
                assert other.raw_rest() == b""
            assert c.events()[-1] == ("Z", "I")
    finally:
        for c in sessions:
            c.close()


@pytest.mark.parametrize("setting, value, line", [("log_connections", "off", "connection_received"),
                                                  ("log_disconnections", "off", "event=disconnection")])
def test_log_lines_can_be_turned_off(make_gate, setting, value, line):
    gate = make_gate(hba=HBA, settings={setting: value})
    with Conn(gate) as c:
        c.ready()
        c.send(wire.TERMINATE)
        c.rest()
    gate.stop()
    assert line not in gate.log.text()


def test_a_refusal_names_the_rule(make_gate):
    gate = make_gate(hba="# a comment\nhost all all all reject\n")
    mark = gate.log.mark()
    with Conn(gate) as c:
        c.send(startup())
        c.events()
    logged = gate.log.wait_for(r"event=refused[^\n]*\n", mark).group(0)
    assert "pg_hba.conf" in logged and "line=2" in logged and "alice" in logged and "28000" in logged
