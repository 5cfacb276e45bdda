"""
TLS 1.3 records in the test's own hands: OpenSSL makes the handshake, and its key log tells the secrets.

Behind the handshake a test can say what no library says: empty records, padding, fragments, tickets, any alert.
"""

import hashlib
import hmac
import os
import ssl
import struct
import tempfile

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CIPHERS = {"TLS_AES_128_GCM_SHA256": ("sha256", 16, AESGCM), "TLS_AES_256_GCM_SHA384": ("sha384", 32, AESGCM),
           "TLS_CHACHA20_POLY1305_SHA256": ("sha256", 32, ChaCha20Poly1305)}
KEY_UPDATE, KEY_UPDATE_REQUEST = bytes.fromhex("1800000100"), bytes.fromhex("1800000101")
CLOSE_NOTIFY = b"\1\0"
TICKET = bytes([4, 0, 0, 20]) + bytes(20)
UNEXPECTED, BAD_MAC, OVERFLOW, ILLEGAL, DECODE = 10, 20, 22, 47, 50


class Keys:
    """One direction [src: RFC 8446 §7.2, §7.3]."""

    def __init__(self, cipher, secret):
        self.cipher = cipher
        self.secret = secret
        self._derive()

    def _expand(self, label, size):
        label = b"tls13 " + label
        info = struct.pack("!HB", size, len(label)) + label + b"\0\1"
        return hmac.new(self.secret, info, CIPHERS[self.cipher][0]).digest()[:size]

    def _derive(self):
        _, size, aead = CIPHERS[self.cipher]
        self.aead = aead(self._expand(b"key", size))
        self.iv = self._expand(b"iv", 12)
        self.sequence = 0

    def update(self):
        self.secret = self._expand(b"traffic upd", hashlib.new(CIPHERS[self.cipher][0]).digest_size)
        self._derive()

    def nonce(self):
        number = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return number.to_bytes(12, "big")

    def seal(self, kind, content, padding=0):
        inner = content + bytes([kind]) + bytes(padding)
        header = struct.pack("!BHH", DATA, 0x303, len(inner) + 16)
        return header + self.aead.encrypt(self.nonce(), inner, header)

    def open(self, header, body):
        inner = self.aead.decrypt(self.nonce(), body, header).rstrip(b"\0")
        return inner[-1], inner[:-1]


class Records:
    """
    One session over a connected socket. server: our side is the server's. hear() follows KeyUpdates of the peer by
    itself, and hands them out like everything else.
    """

    def __init__(self, sock, context, server=False, host=None):
        self.sock = sock
        self.buffer = b""
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            self._handshake(context, server, host)
            context.keylog_filename = os.devnull
            secrets = {line.split()[0]: bytes.fromhex(line.split()[2])
                       for line in log.read().decode().splitlines() if line[0] != "#"}
        mine, theirs = ("SERVER", "CLIENT") if server else ("CLIENT", "SERVER")
        self.out = Keys(self.cipher, secrets[f"{mine}_TRAFFIC_SECRET_0"])
        self.into = Keys(self.cipher, secrets[f"{theirs}_TRAFFIC_SECRET_0"])

    def _handshake(self, context, server, host):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=host)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            self.sock.sendall(outgoing.read())
            if not done:
                data = self.sock.recv(65536)
                assert data, "the peer left in the handshake"
                incoming.write(data)
        self.buffer = incoming.read()
        self.cipher = tls.cipher()[0]

    # -- what we say -------------------------------------------------------------------------------------------
    def send(self, data):
        self.sock.sendall(data)

    def record(self, kind, content, padding=0):
        """One record's bytes, sealed under the next number."""
        return self.out.seal(kind, content, padding)

    def say(self, content, kind=DATA, padding=0):
        self.send(self.record(kind, content, padding))

    def update(self, request=False):
        self.say(KEY_UPDATE_REQUEST if request else KEY_UPDATE, HANDSHAKE)
        self.out.update()

    # -- what we hear ------------------------------------------------------------------------------------------
    def _exactly(self, n):
        while len(self.buffer) < n:
            data = self.sock.recv(65536)
            if not data:
                return b""
            self.buffer += data
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def hear(self):
        """(type, content) of the next record; None: the connection has ended."""
        header = self._exactly(5)
        if not header:
            return None
        body = self._exactly(struct.unpack("!H", header[3:])[0])
        try:
            kind, content = self.into.open(header, body)
        except InvalidTag:
            raise AssertionError(f"a record that does not open: {header.hex()}") from None
        if kind == HANDSHAKE and content[:1] == KEY_UPDATE[:1]:
            self.into.update()
        return kind, content

    def hear_data(self, end):
        """Data up to and with `end`; the records of other types on the way."""
        data, others = b"", []
        while not data.endswith(end):
            record = self.hear()
            assert record, f"the connection ended behind {data!r}, {others}"
            if record[0] == DATA:
                data += record[1]
            else:
                others.append(record)
        return data, others

    def hear_end(self):
        """Everything until the connection ends: [(type, content)]."""
        heard = []
        while record := self.hear():
            heard.append(record)
        return heard
