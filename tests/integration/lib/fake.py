"""A server that answers what the test wants, in the place of a PostgreSQL."""

import os
import socket
import struct
import threading


def read_packet(sock):
    """One packet without a type; (code, body), or None at the end."""
    head = b""
    while len(head) < 4:
        chunk = sock.recv(4 - len(head))
        if not chunk:
            return None
        head += chunk
    size = struct.unpack("!I", head)[0] - 4
    body = b""
    while len(body) < size:
        chunk = sock.recv(size - len(body))
        if not chunk:
            return None
        body += chunk
    return struct.unpack("!I", body[:4])[0], body[4:]


class Upstream:
    """
    Listens on a free port; `handler(socket)` runs for each connection in a thread of its own.

    directory   then it listens on a unix socket there, as the server of port 5432 does.
    """

    def __init__(self, handler, directory=None):
        self.handler = handler
        if directory:
            os.makedirs(directory, exist_ok=True)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(os.path.join(directory, ".s.PGSQL.5432"))
            self.listener.listen()
            self.port = 5432
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.received = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        sock.settimeout(20)
        with sock:
            try:
                self.handler(self, sock)
            except OSError:
                pass

    def startup(self, sock):
        """Read the StartupMessage; remembered in self.received."""
        got = read_packet(sock)
        self.received.append(got)
        return got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
