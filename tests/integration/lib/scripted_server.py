"""Servers that are none: a scripted upstream that lies, and a wire that writes down what passes through it."""

import socket
import ssl
import struct
import threading

from . import wire


class Scripted:
    """
    Listens on a port of its own; each connection is handed to `script(peer)` in a thread. What the script raises
    is kept and raised by check().
    """

    def __init__(self, script):
        self.script = script
        self.errors = []
        self.peers = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for peer in self.peers:
            peer.sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            peer = Peer(sock)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.script(peer)
        except (ConnectionError, EOFError, OSError, ssl.SSLError) as e:
            peer.ended = repr(e)
        except Exception as e:      # the script's own claims
            self.errors.append(e)
        finally:
            peer.sock.close()
            peer.done.set()

    def check(self):
        for peer in self.peers:
            assert peer.done.wait(60), "the scripted server is still busy"
        if self.errors:
            raise self.errors[0]


class Peer:
    """One connection to a scripted server, from its side."""

    def __init__(self, sock):
        sock.settimeout(30)
        self.sock = sock
        self.done = threading.Event()
        self.ended = None
        self.notes = {}     # what the script wants the test to see

    def exactly(self, count):
        data = b""
        while len(data) < count:
            chunk = self.sock.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def packet(self):
        """(code, body) of a packet without a type."""
        size, code = struct.unpack("!II", self.exactly(8))
        return code, self.exactly(size - 8)

    def message(self):
        kind = self.exactly(1).decode("latin-1")
        return kind, self.exactly(struct.unpack("!I", self.exactly(4))[0] - 4)

    def send(self, data):
        self.sock.sendall(data)

    def auth(self, code, payload=b""):
        self.send(wire.message("R", struct.pack("!I", code) + payload))

    def expect_ssl_request(self):
        assert self.packet() == (80877103, b""), "not an SSLRequest"

    def start_tls(self, cert_files):
        """Answer an SSLRequest and shake hands as the owner of (certificate file, key file)."""
        self.expect_ssl_request()
        self.send(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cert_files)
        context.set_alpn_protocols(["postgresql"])
        self.sock = context.wrap_socket(self.sock, server_side=True)


def error_response(code, text):
    return wire.message("E", f"SFATAL\0VFATAL\0C{code}\0M{text}\0".encode() + b"\0")


class Tap(Scripted):
    """Passes every connection on to host:port; peer.notes["sent"] is what the client's side sent."""

    def __init__(self, host, port):
        self.target = (host, port)
        super().__init__(self._pass_on)

    def _pass_on(self, peer):
        far = socket.create_connection(self.target, 10)
        peer.notes["sent"] = b""
        back = threading.Thread(target=self._copy_back, args=(far, peer.sock), daemon=True)
        back.start()
        while chunk := peer.sock.recv(65536):
            peer.notes["sent"] += chunk
            far.sendall(chunk)
        far.shutdown(socket.SHUT_WR)
        back.join(10)
        far.close()

    @staticmethod
    def _copy_back(far, near):
        try:
            while chunk := far.recv(65536):
                near.sendall(chunk)
            near.shutdown(socket.SHUT_WR)
        except OSError:
            pass
