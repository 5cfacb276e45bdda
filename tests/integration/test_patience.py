"""
connect_timeout runs out while somebody is still busy with the server that is then given up: what was meant for that
server must not go to the next one, least of all before TLS stands there. Scripted servers take PostgreSQL's place.
"""

import base64
import os
import select

import pytest

from lib import run, wire
from lib.gate import userlist
from lib.scripted_server import Scripted
from lib.wire import SSL_REQUEST, Conn

SECRET = "only for the first server"
PLAIN = {"auth_source": "upstream", "auth_file": None, "upstream_login": None, "workers": "1"}
SECONDS = 3
TIMEOUT = f"connect_timeout={SECONDS}"


def first_and_others(first, others, count):
    """A conninfo that names one server, then another one `count` times."""
    return (f"host={','.join(['localhost'] * (1 + count))} hostaddr={','.join(['127.0.0.1'] * (1 + count))} "
            f"port={','.join(str(p) for p in [first.port] + [others.port] * count)}")


def listen(peer):
    """Take what comes, for as long as it comes."""
    peer.notes["heard"] = b""
    while chunk := peer.sock.recv(4096):
        peer.notes["heard"] += chunk


def assert_heard_nothing_but_hello(others):
    others.check()
    for peer in others.peers:
        assert peer.notes["heard"] in (b"", SSL_REQUEST), peer.notes["heard"]


@pytest.fixture
def files(certs):
    return certs.server.write(certs.dir, "patience")


def test_a_slow_client_is_not_the_servers_fault(make_gate, certs, files):
    """He is asked by the first server, and answers it, however long he takes: authentication_timeout is his limit."""
    def ask(peer):
        peer.start_tls(files)
        peer.packet()
        peer.auth(3)
        peer.notes["answer"] = peer.message()
        peer.auth(0)
        peer.send(b"Z\0\0\0\x05I")
        listen(peer)

    with Scripted(ask) as first, Scripted(listen) as others, Scripted(listen) as silent:
        gate = make_gate(upstream=f"{first_and_others(first, others, 1)} sslrootcert={certs.ca_file} {TIMEOUT}",
                         hba="host all all 127.0.0.1/32 pam\n", settings={
                             **PLAIN, "upstream.silent": f"host=127.0.0.1 port={silent.port} sslmode=disable {TIMEOUT}"})
        with Conn(gate, timeout=run.PATIENCE) as c:
            c.send(wire.startup())
            assert c.event() == ("R", 3, b"")
            with Conn(gate, timeout=run.PATIENCE) as later:     # connect_timeout is over for who came before
                later.send(wire.startup(database="silent"))
                assert later.events()[0][1]["C"] == "57P03"
            assert select.select([c.sock], [], [], 0)[0] == []
            c.send(wire.password(SECRET))
            events = c.events()
        gate.stop()
        assert_heard_nothing_but_hello(others)
        assert events == [("R", 0, b""), ("Z", "I")]
        assert first.peers[0].notes["answer"] == ("p", SECRET.encode() + b"\0")
        assert others.peers == []


def test_a_proof_that_took_too_long_goes_nowhere(make_gate, certs, files):
    """The first server demands a proof that takes the gate seconds; meanwhile the next ones are tried in turn."""
    def demand(peer):
        peer.start_tls(files)
        peer.packet()
        peer.auth(10, b"SCRAM-SHA-256\0\0")
        _, body = peer.message()
        nonce = body.partition(b"r=")[2].decode() + base64.b64encode(os.urandom(18)).decode()
        peer.auth(11, f"r={nonce},s={base64.b64encode(b'salt').decode()},i=9000000".encode())
        listen(peer)

    with Scripted(demand) as first, Scripted(listen) as others:
        gate = make_gate(upstream=f"{first_and_others(first, others, 5)} sslrootcert={certs.ca_file} {TIMEOUT}",
                         hba="host all all 127.0.0.1/32 password\n",
                         settings={"upstream_login": "password", "workers": "1"})
        gate.write("userlist.txt", userlist({"alice": SECRET}), 0o600)
        gate.reload()
        with Conn(gate, timeout=30) as c:
            events = c.login(SECRET)
            assert events[-2][1]["C"] == "57P03"
        run.wait_until(lambda: len(others.peers) == 5, "all the others to have been tried")
        assert_heard_nothing_but_hello(others)
