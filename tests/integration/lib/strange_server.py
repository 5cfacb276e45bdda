"""Servers that no PostgreSQL is: a Python function talks to each connection."""

import socket
import ssl
import threading

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class StrangeServer:
    """A server on a thread per connection: `serve(socket)` does what it likes."""

    def __init__(self, serve, address="127.0.0.1"):
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def handle(self, client):
        with client:
            try:
                client.settimeout(30)
                self.serve(client)
            except (OSError, ssl.SSLError):
                pass


def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except (OSError, ssl.SSLError):
        pass
    finally:
        try:
            other.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_packet(client):
    """One packet without a type byte, as everything before the first answer is; b"" when it is none."""
    head = read_exactly(client, 4)
    if len(head) < 4 or head[0] != 0:
        return b""
    return head + read_exactly(client, int.from_bytes(head, "big") - 4)


def read_exactly(client, n):
    data = b""
    while len(data) < n and (more := client.recv(n - len(data))):
        data += more
    return data


def error(sqlstate, message):
    """An ErrorResponse."""
    body = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0M" + message.encode() + b"\0\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body
