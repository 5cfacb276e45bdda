"""
A client that speaks PostgreSQL's protocol byte by byte, so that it can also misspeak.

Conn sends and receives through plaintext or through TLS over memory BIOs, which leaves every record in the
test's hand: pipelined hellos, smuggled plaintext, cut connections. What a server answers is collected as plain
values (`R`, `E`, `Z`, ...), so that the answers of PostgreSQL and of the gate can be compared.
"""

import hashlib
import os
import socket
import ssl
import struct

from . import scram

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
GSSENC_REQUEST = bytes.fromhex("0000000804d21630")
CANCEL_CODE = 80877102
V3_0 = 0x00030000
V3_2 = 0x00030002

# A server's file, line and routine are nobody's promise.
COMPARED_FIELDS = "SVCMDH"

EOF = "eof"            # the server closed in an orderly way (FIN; inside TLS: close_notify)
RAGGED = "ragged eof"  # FIN inside TLS without close_notify
RESET = "reset"


def packet(code, body=b""):
    """A packet without a type: startup, cancel, SSL request."""
    return struct.pack("!II", 8 + len(body), code) + body


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", 4 + len(body)) + body


def startup_body(pairs):
    return b"".join(k.encode() + b"\0" + (v if isinstance(v, bytes) else v.encode()) + b"\0"
                    for k, v in pairs) + b"\0"


def startup(user="alice", database="app", version=V3_0, **more):
    """A StartupMessage; a parameter that is None is left out."""
    pairs = [("user", user), ("database", database), *more.items()]
    return packet(version, startup_body([(k, v) for k, v in pairs if v is not None]))


def cancel_request(pid, key):
    return packet(CANCEL_CODE, struct.pack("!I", pid) + key)


def query(sql):
    return message("Q", sql.encode() + b"\0")


def password(text):
    return message("p", text.encode() + b"\0")


def sasl_initial(mechanism, data):
    length = struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
    return message("p", mechanism.encode() + b"\0" + length)


TERMINATE = message("X")
SYNC = message("S")


def client_context(alpn=("postgresql",), minimum=None, maximum=None, cert=None, ca=None):
    """A TLS client that verifies only if it is given a CA file. cert: (certificate file, key file)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if cert:
        context.load_cert_chain(*cert)
    return context


class Closed(Exception):
    """The server ended the connection; `how` is EOF, RAGGED, RESET or a TLS alert's name."""

    def __init__(self, how):
        super().__init__(how)
        self.how = how


def error_fields(body):
    """The fields of an ErrorResponse as a dictionary, all of them."""
    fields = {}
    for field in body.rstrip(b"\0").split(b"\0"):
        fields[chr(field[0])] = field[1:].decode("utf-8", "backslashreplace")
    return fields


class Conn:
    """One connection to `server` (anything with host, port and socket_dir)."""

    def __init__(self, server, unix=False, timeout=30.0, source=None):
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(os.path.join(server.socket_dir, f".s.PGSQL.{server.port}"))
        else:
            self.sock = socket.create_connection((server.host, server.port), timeout, source and (source, 0))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = None
        self.buffer = bytearray()
        self.closed = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def abort(self):
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    # -- raw bytes ---------------------------------------------------------------------------------------------
    def raw_send(self, data):
        try:
            self.sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            self.closed = self.closed or RESET

    def raw_recv(self, size=65536):
        """Bytes off the socket, b"" at its end."""
        try:
            return self.sock.recv(size)
        except ConnectionResetError:
            raise Closed(RESET) from None

    def raw_exactly(self, count):
        data = b""
        while len(data) < count:
            chunk = self.raw_recv(count - len(data))
            if not chunk:
                raise Closed(EOF)
            data += chunk
        return data

    def raw_rest(self):
        """Everything until the server closes."""
        data = b""
        while chunk := self.raw_recv():
            data += chunk
        return data

    # -- TLS ---------------------------------------------------------------------------------------------------
    def prepare_tls(self, context=None, host=None):
        """Set up the TLS client without sending anything; returns the ClientHello's bytes."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def _tls_step(self, call, *arguments):
        while True:
            try:
                result = call(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.raw_recv()
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLZeroReturnError:
                raise Closed(EOF) from None
            except ssl.SSLEOFError:
                raise Closed(RAGGED) from None
            except ssl.SSLError as e:
                self._flush()
                # Python has names for most of OpenSSL's reasons, and OpenSSL's own words for the rest.
                text = (e.reason or str(e)).replace("_", " ").lower()
                if "unexpected eof" in text:
                    raise Closed(RAGGED) from None
                if "alert" in text:
                    raise Closed(text[text.index("alert"):].partition(" (")[0]) from None
                raise

    def _flush(self):
        if self.outgoing.pending:
            self.raw_send(self.outgoing.read())

    def handshake(self):
        """Carry a prepared handshake to its end."""
        self._tls_step(self.tls.do_handshake)
        return self

    def start_tls(self, context=None, host=None):
        """SSLRequest, `S`, handshake."""
        self.raw_send(SSL_REQUEST)
        answer = self.raw_exactly(1)
        assert answer == b"S", f"answer to SSLRequest: {answer!r}"
        return self.direct_tls(context, host)

    def direct_tls(self, context=None, host=None):
        """The handshake at once."""
        self.raw_send(self.prepare_tls(context, host))
        return self.handshake()

    # -- the protocol inside -----------------------------------------------------------------------------------
    def send(self, data):
        if self.tls:
            self._tls_step(self.tls.write, data)
        else:
            self.raw_send(data)
        return self

    def _more(self):
        data = self._tls_step(self.tls.read, 65536) if self.tls else self.raw_recv()
        if not data:
            raise Closed(EOF)
        self.buffer += data

    def exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def rest(self):
        """Everything that still comes; the way it ended is in self.closed."""
        try:
            while True:
                self._more()
        except Closed as e:
            self.closed = e.how
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    def message(self):
        """(type, body) of the next message; raises Closed at the end."""
        kind = self.exactly(1).decode("latin-1")
        size = struct.unpack("!I", self.exactly(4))[0]
        return kind, self.exactly(size - 4)

    def event(self):
        """
        The next message as a comparable value:
        ("R", code, payload) - ("E", fields) - ("v", version, options) - ("K", key length) - ("Z", status) -
        other types as (type, body) - and EOF, RAGGED, RESET or the alert at the end.
        """
        try:
            kind, body = self.message()
        except Closed as e:
            self.closed = e.how
            return e.how
        if kind == "R":
            return "R", struct.unpack("!I", body[:4])[0], body[4:]
        if kind in "EN":
            return kind, {k: v for k, v in error_fields(body).items() if k in COMPARED_FIELDS}
        if kind == "v":
            version, count = struct.unpack("!II", body[:8])
            options = body[8:].split(b"\0")[:-1]
            assert len(options) == count, body
            return "v", version, options
        if kind == "K":
            self.pid, self.key = struct.unpack("!I", body[:4])[0], body[4:]
            return "K", len(self.key)
        if kind == "Z":
            return "Z", body.decode()
        return kind, body

    def events(self, until=("Z",)):
        """Events up to and with one of the types in `until`, or to the end of the connection."""
        out = []
        while True:
            e = self.event()
            out.append(e)
            if isinstance(e, str) or e[0] in until:
                return out

    def dialogue(self):
        """Events to the end or to ReadyForQuery, without ParameterStatus, which is the server's own affair."""
        return [e for e in self.events() if e[0] != "S"]

    # -- logging in --------------------------------------------------------------------------------------------
    def certificate_hash(self):
        """tls-server-end-point for a certificate signed with SHA-256."""
        return hashlib.sha256(self.tls.getpeercert(True)).digest()

    def sasl(self, secret, plus=False, gs2=None, **wrong):
        """Answer an R10 that was just read with a whole exchange; returns the events behind the proof."""
        mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
        gs2 = gs2 or ("p=tls-server-end-point,," if plus else "n,,")
        exchange = scram.Exchange(secret, gs2, self.certificate_hash() if plus else b"")
        self.send(sasl_initial(mechanism, exchange.first()))
        e = self.event()
        if e[0] != "R" or e[1] != 11:
            return [e] + ([] if isinstance(e, str) else self.dialogue())
        exchange.read_server_first(e[2])
        self.send(message("p", exchange.final(**wrong)))
        events = self.dialogue()
        if events and events[0][:2] == ("R", 12):
            assert events[0][2].decode() == exchange.server_signature(), "server signature"
        return events

    def login(self, secret=None, user="alice", database="app", version=V3_0, plus=False, **more):
        """Startup and whatever the server asks for; returns the events from the last challenge's answer on."""
        self.send(startup(user, database, version, **more))
        events = self.dialogue_until_challenge()
        last = events[-1]
        if last[0] == "R" and last[1] == 10:
            return events[:-1] + self.sasl(secret, plus)
        if last[0] == "R" and last[1] == 3:
            self.send(password(secret))
            return events[:-1] + self.dialogue()
        return events

    def dialogue_until_challenge(self):
        out = []
        while True:
            e = self.event()
            if e[0] == "S":
                continue
            out.append(e)
            if isinstance(e, str) or e[0] == "Z" or (e[0] == "R" and e[1] != 0):
                return out

    def ready(self, *arguments, **named):
        """login(), which must lead to ReadyForQuery."""
        events = self.login(*arguments, **named)
        assert events[-1] == ("Z", "I"), events
        return self

    def ask(self, sql):
        """Simple query; returns the events to ReadyForQuery."""
        self.send(query(sql))
        return self.events()

    def value(self, sql):
        """The first column of the first row as text."""
        events = self.ask(sql)
        for e in events:
            if e[0] == "D":
                size = struct.unpack("!i", e[1][2:6])[0]
                return None if size < 0 else e[1][6:6 + size].decode()
        raise AssertionError(f"{sql}: {events}")


def fatal(code, text, detail=None, hint=None):
    """An ErrorResponse as event() shows it."""
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": text}
    if detail is not None:
        fields["D"] = detail
    if hint is not None:
        fields["H"] = hint
    return "E", fields
