"""
TLS 1.3 behind the handshake: what peers may say there, what they may not, and what other libraries do say.
"""

import fcntl
import os
import shutil
import socket
import ssl
import subprocess
import termios
import threading

import pytest

from lib import golang, run, wire
from lib.scripted_server import Scripted
from lib.strange_server import StrangeServer, pump
from lib.tls13 import (ALERT, BAD_MAC, CHANGE_CIPHER_SPEC, CIPHERS, CLOSE_NOTIFY, DATA, DECODE, HANDSHAKE, ILLEGAL, KEY_UPDATE,
                       KEY_UPDATE_REQUEST, OVERFLOW, TICKET, UNEXPECTED, Records)

HERE = os.path.dirname(os.path.abspath(__file__))
HBA = "host all all all trust\nlocal all all trust\n"
READY = wire.message("Z", b"I")


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    return server_factory("gate", settings={"tls_record_layer": "own", "max_connections": "50"}, hba=HBA,
                          tls={"cert": certs.server})


def connect(gate, database="app"):
    """A session of alice's that is ready, its records in our hands."""
    sock = socket.create_connection((gate.host, gate.port), 30)
    sock.sendall(wire.SSL_REQUEST)
    assert sock.recv(1) == b"S"
    records = Records(sock, wire.client_context())
    records.say(wire.startup(database=database))
    _, others = records.hear_data(READY)
    assert others == []
    return records


def ask(records, number):
    """A query, and what is heard beside its answer."""
    records.say(wire.query(f"SELECT {number}"))
    data, others = records.hear_data(READY)
    assert str(number).encode() in data
    return others


def test_what_may_come(gate):
    records = connect(gate)
    query = wire.query("SELECT 4711")
    for padding in (0, 1, 255, 16384 - len(query)):
        records.say(query, padding=padding)
        assert b"4711" in records.hear_data(READY)[0]
    for byte in query:                                          # in records of one byte, with empty ones between
        records.say(b"")
        records.say(bytes([byte]))
    assert b"4711" in records.hear_data(READY)[0]
    records.say(b"\1\x5a", ALERT)                               # user_canceled
    assert ask(records, 1) == []
    records.update()
    assert ask(records, 2) == []
    records.update(request=True)
    records.update(request=True)
    assert ask(records, 3) == [(HANDSHAKE, KEY_UPDATE)]         # one answer, before the data
    assert ask(records, 4) == []
    for byte in KEY_UPDATE:
        records.say(bytes([byte]), HANDSHAKE)
    records.out.update()
    assert ask(records, 5) == []
    for data in (record := records.record(DATA, wire.query("SELECT 6"))), b"":
        for i in range(len(data)):                              # a record byte by byte
            records.send(record[i:i + 1])
    assert b"6" in records.hear_data(READY)[0]
    records.say(wire.TERMINATE)
    assert records.hear_end() == [(ALERT, CLOSE_NOTIFY)]


def test_storm_of_key_updates(gate):
    records = connect(gate)
    for i in range(10):
        for _ in range(30):
            records.update(request=True)
        assert ask(records, i) == [(HANDSHAKE, KEY_UPDATE)]
    for _ in range(33):                                         # and nothing else
        records.update()
    assert records.hear_end() == [(ALERT, bytes([2, UNEXPECTED]))]


# What ends a session: records as (type, content), or bytes as they are, and our alert.
REFUSED = {
    "change_cipher_spec in plaintext": (bytes.fromhex("140303000101"), UNEXPECTED),
    "alert in plaintext": (bytes.fromhex("15030300020100"), UNEXPECTED),
    "a record too long": (bytes.fromhex("1703034101"), OVERFLOW),
    "a record too short": (bytes.fromhex("1703030003000000"), BAD_MAC),
    "a record of nobody's": (bytes.fromhex("1703030020") + bytes(32), BAD_MAC),
    "change_cipher_spec": ([(CHANGE_CIPHER_SPEC, b"\1")], UNEXPECTED),
    "no type": ([(0, b"")], UNEXPECTED),
    "an unknown type": ([(99, b"x")], UNEXPECTED),
    "empty handshake": ([(HANDSHAKE, b"")], UNEXPECTED),
    "empty alert": ([(ALERT, b"")], UNEXPECTED),
    "half an alert": ([(ALERT, b"\1")], DECODE),
    "two alerts in a record": ([(ALERT, b"\1\x5a\1\x5a")], DECODE),
    "KeyUpdate that asks for 2": ([(HANDSHAKE, KEY_UPDATE[:4] + b"\2")], ILLEGAL),
    "KeyUpdate of two bytes": ([(HANDSHAKE, b"\x18\0\0\2\0\0")], DECODE),
    "two KeyUpdates in a record": ([(HANDSHAKE, 2 * KEY_UPDATE)], UNEXPECTED),
    "data within a KeyUpdate": ([(HANDSHAKE, KEY_UPDATE[:2]), (DATA, b"x")], UNEXPECTED),
    "alert within a KeyUpdate": ([(HANDSHAKE, KEY_UPDATE[:2]), (ALERT, CLOSE_NOTIFY)], UNEXPECTED),
    "a client's ticket": ([(HANDSHAKE, TICKET)], UNEXPECTED),
    "CertificateRequest": ([(HANDSHAKE, bytes.fromhex("0d000003000000"))], UNEXPECTED),
    "ClientHello": ([(HANDSHAKE, bytes.fromhex("01000004"))], UNEXPECTED),
    "33 empty records": ([(DATA, b"")] * 33, UNEXPECTED),
    "33 cancellations": ([(ALERT, b"\1\x5a")] * 33, UNEXPECTED),
    "too much content": ([(DATA, bytes(16385))], OVERFLOW),
    "too much padding": ([(DATA, b"x", 16384)], OVERFLOW),
}


def test_what_ends_a_session(gate):
    for what, (said, alert) in REFUSED.items():
        records = connect(gate)
        assert ask(records, 7) == []
        records.send(said if isinstance(said, bytes) else b"".join(records.record(*record) for record in said))
        assert records.hear_end() == [(ALERT, bytes([2, alert]))], what
        records.sock.close()


def test_a_byte_that_was_changed(gate):
    records = connect(gate)
    size = len(records.record(DATA, wire.query("SELECT 1")))
    for at in range(0, size, 5):
        records = connect(gate)
        record = bytearray(records.record(DATA, wire.query("SELECT 1")))
        record[at if at > 4 else 1] ^= 0x10                     # of the header, the version
        records.send(bytes(record))
        assert records.hear_end() == [(ALERT, bytes([2, BAD_MAC]))]


def test_ends(gate):
    records = connect(gate)                                     # half closed: the answer still comes
    records.send(records.record(DATA, wire.query("SELECT 8")) + records.record(ALERT, CLOSE_NOTIFY) + b"whatever")
    heard = records.hear_end()
    assert b"8" in b"".join(content for kind, content in heard if kind == DATA)
    assert heard[-1] == (ALERT, CLOSE_NOTIFY)
    records = connect(gate)                                     # cut off
    records.sock.shutdown(socket.SHUT_WR)
    assert records.hear_end() == [(ALERT, bytes([2, DECODE]))]
    records = connect(gate)                                     # an alert is not answered
    records.say(b"\2\x50", ALERT)
    assert records.hear_end() == []


def test_setting(make_gate, certs):
    """Half an alert is a decode_error to us, and something unexpected to OpenSSL."""
    gate = make_gate(settings={"tls_record_layer": "openssl"}, hba=HBA, tls={"cert": certs.server})
    for layer, alert in (("openssl", UNEXPECTED), ("own", DECODE)):
        gate.configure({"tls_record_layer": layer})
        gate.reload()
        records = connect(gate, database="pgseal")
        records.say(wire.query("SHOW tls_record_layer"))
        assert layer.encode() in records.hear_data(READY)[0]
        records.say(b"\1", ALERT)
        assert records.hear_end() == [(ALERT, bytes([2, alert]))]


# -- the way to a server -------------------------------------------------------------------------------------------

def server_of(certs, talk):
    """A PostgreSQL whose records are ours: admits everybody, then talk(records)."""
    def script(peer):
        peer.expect_ssl_request()
        peer.send(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certs.client("records-server", certs.server))
        context.set_alpn_protocols(["postgresql"])
        context.num_tickets = 0                                 # they would be numbered
        records = Records(peer.sock, context, server=True)
        kind, content = records.hear()
        assert kind == DATA and content[4:8] == b"\0\3\0\0", content
        records.say(wire.message("R", bytes(4)) + wire.message("K", bytes(8)) + READY)
        talk(records)

    return Scripted(script)


def answer(records, count):
    """Answer queries; what is heard beside them."""
    others = []
    for _ in range(count):
        while (record := records.hear())[0] != DATA:
            others.append(record)
        records.say(wire.message("C", b"SELECT 0\0") + READY)
    return others


@pytest.fixture
def before(make_gate, certs):
    """before(server): a session through a gate in front of it."""
    def make(server):
        gate = make_gate(upstream=f"host=127.0.0.1 port={server.port} sslmode=verify-full sslrootcert={certs.ca_file}",
                         hba=HBA, tls={"cert": certs.server}, settings={"tls_record_layer": "own"})
        return connect(gate)
    return make


def test_what_a_server_may_say(certs, before):
    def talk(records):
        for _ in range(2):
            records.say(TICKET, HANDSHAKE)
        for i in range(0, len(TICKET), 7):                      # and in fragments
            records.say(TICKET[i:i + 7], HANDSHAKE)
        records.say(b"")
        assert answer(records, 1) == []
        records.update(request=True)
        assert answer(records, 2) == [(HANDSHAKE, KEY_UPDATE)]
        records.say(TICKET + TICKET, HANDSHAKE, padding=99)
        assert answer(records, 1) == []

    with server_of(certs, talk) as server:
        records = before(server)
        for _ in range(4):
            records.say(wire.query("SELECT"))
            assert records.hear_data(READY)[1] == []
        server.check()


@pytest.mark.parametrize("said, alert", [((HANDSHAKE, bytes.fromhex("0d000003000000")), UNEXPECTED),
                                         ((HANDSHAKE, TICKET[:9]), None), ((HANDSHAKE, b"\4\0\0\5" + bytes(5)), DECODE),
                                         ((HANDSHAKE, KEY_UPDATE_REQUEST + b"x"), UNEXPECTED)],
                         ids=["CertificateRequest", "data within a ticket", "a ticket too short", "KeyUpdate and more"])
def test_what_a_server_may_not_say(certs, before, said, alert):
    def talk(records):
        answer(records, 1)
        records.say(said[1], said[0])
        if alert is None:
            records.say(b"x")
        assert records.hear_end() == [(ALERT, bytes([2, alert or UNEXPECTED]))]

    with server_of(certs, talk) as server:
        records = before(server)
        records.say(wire.query("SELECT"))
        assert records.hear_data(READY)[1] == []
        told, end = records.hear_end()
        assert told[0] == DATA and b"C08006\0" in told[1] and end == (ALERT, CLOSE_NOTIFY)
        server.check()


# -- other libraries -----------------------------------------------------------------------------------------------

EXTENDED = (wire.message("P", b"\0SELECT 4711\0\0\0") + wire.message("B", bytes(8)) + wire.message("E", b"\0" + bytes(4))
            + wire.SYNC)


class Tool:
    """A TLS client that reads its standard input."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.seen = b""

    def say(self, data):
        """Commands stand alone in what the tool reads at once: wait until it has taken this."""
        self.process.stdin.write(data)
        self.process.stdin.flush()
        run.wait_until(lambda: fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)) == bytes(4),
                       "the tool to read")

    def wait_for(self, text):
        """Until `text` has been seen; what came before is forgotten."""
        def there():
            self.seen += self.process.stdout.read() or b""
            return text in self.seen

        run.wait_until(there, f"{text!r} behind {self.seen[-300:]!r}")
        self.seen = self.seen.partition(text)[2]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.mark.parametrize("cipher", CIPHERS)
def test_openssl_s_client(gate, cipher):
    tool = Tool(["openssl", "s_client", "-starttls", "postgres", "-connect", f"{gate.host}:{gate.port}", "-tls1_3",
                 "-ciphersuites", cipher])
    try:
        tool.wait_for(cipher.encode())
        tool.say(wire.startup())
        tool.wait_for(READY)
        for command in (b"K", b"k", b"K", b"K"):                # update and ask for ours; update
            tool.say(command)
            tool.wait_for(b"KEYUPDATE")
            tool.say(EXTENDED)
            tool.wait_for(b"4711")
            tool.wait_for(READY)
    finally:
        tool.end()


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="gnutls-cli is not installed (gnutls-bin)")
@pytest.mark.parametrize("cipher", ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"])
def test_gnutls_cli(gate, cipher):
    tool = Tool(["gnutls-cli", "--insecure", "--starttls-proto=postgres", "--inline-commands", "--port", str(gate.port),
                 "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{cipher}", gate.host])
    try:
        tool.wait_for(b"Handshake was completed")
        tool.say(wire.startup())
        tool.wait_for(READY)
        for _ in range(3):
            tool.say(wire.message("d", b"\n"))                  # ignored by the server; to the tool, the end of a line
            tool.say(b"^rekey^\n")
            tool.wait_for(b"Rekey was completed")
            tool.say(EXTENDED)
            tool.wait_for(b"4711")
            tool.wait_for(READY)
    finally:
        tool.end()


def relay_to(gate):
    """Answers for a client that knows no SSLRequest."""
    def serve(client):
        with socket.create_connection((gate.host, gate.port), 30) as far:
            far.sendall(wire.SSL_REQUEST)
            assert far.recv(1) == b"S"
            back = threading.Thread(target=pump, args=(far, client), daemon=True)
            back.start()
            pump(client, far)
            back.join()

    return StrangeServer(serve)


@pytest.mark.skipif(not shutil.which("tstclnt"), reason="tstclnt is not installed (libnss3-tools)")
def test_nss_tstclnt(gate):
    tool = Tool(["tstclnt", "-h", gate.host, "-p", str(relay_to(gate).port), "-V", "tls1.3:tls1.3", "-D", "-o", "-f"])
    try:
        tool.say(wire.startup())
        tool.wait_for(READY)
        for _ in range(3):
            tool.say(EXTENDED)
            tool.wait_for(b"4711")
            tool.wait_for(READY)
    finally:
        tool.end()


JARS = ["/usr/share/java/postgresql.jar"]


@pytest.mark.skipif(not shutil.which("java") or not os.path.exists(JARS[0]),
                    reason="pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
def test_java_jsse(gate, scratch):
    """JSSE changes its keys every 4 KiB here, and asks for ours."""
    rules = os.path.join(scratch, "java.security")
    with open(rules, "w", encoding="ascii") as f:
        f.write("jdk.tls.keyLimits=AES/GCM/NoPadding KeyUpdate 4096, ChaCha20-Poly1305 KeyUpdate 4096\n")
    done = subprocess.run(["java", f"-Djava.security.properties={rules}", "-Djavax.net.debug=ssl:handshake", "-cp",
                           ":".join(JARS), os.path.join(HERE, "java", "Echo.java"),
                           f"jdbc:postgresql://{gate.host}:{gate.port}/app?sslmode=require", "alice"],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines()[-1] == "60 echoes", done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stderr.count("Produced KeyUpdate") + done.stderr.count("Produced post-handshake KeyUpdate") > 20, \
        done.stderr[-2000:]


@pytest.fixture(scope="module")
def go_echo(tmp_path_factory):
    return golang.build("echo", tmp_path_factory.mktemp("go"))


@pytest.mark.skipif(not shutil.which("go"), reason="go is not installed (golang-go)")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_go(make_gate, certs, go_echo, cipher):
    """Its records grow from 1 to 16 KiB as it sends, and it wants a close_notify at the end."""
    gate = make_gate(hba="hostssl app all 127.0.0.1/32 trust\n", tls={"cert": certs.server}, settings={"ssl_tls13_ciphers": cipher})
    done = subprocess.run([go_echo, f"{gate.host}:{gate.port}", "alice"], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == f"{cipher}, 60 echoes, then EOF\n", done.stdout + done.stderr
