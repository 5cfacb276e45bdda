"""
A crowd of clients that stall or trickle: run as a program, so that its work is not the test's.

    python3 -m lib.slow_clients HOST PORT COUNT

Prints a line of JSON when everybody stands where he wants to stall, and another when the server has ended the
last of them: for each kind of client how many there were and after how many seconds the first and the last of
them was ended, counted from the moment it set out; and how many seconds the machine held the crowd itself up.
"""

import errno
import json
import select
import socket
import ssl
import struct
import subprocess
import sys
import time

from . import wire

ADDRESSES = 8           # of 127/8, to come from: one address has only so many ports
SLICES = 50             # a second's trickle in so many portions
SCRAM = wire.message("p", b"SCRAM-SHA-256\0" + struct.pack("!I", 60) + b"n,,n=,r=" + b"x" * 52)


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


HELLO = client_hello()
# Name: (what is said at once, what follows at one byte a second). It never gets to its end.
KINDS = {
    "says nothing": (b"", b""),
    "half an SSLRequest": (wire.SSL_REQUEST[:5], b""),
    "an SSLRequest": (wire.SSL_REQUEST, b""),
    "half a ClientHello": (wire.SSL_REQUEST + HELLO[:len(HELLO) // 2], b""),
    "a ClientHello byte by byte": (wire.SSL_REQUEST, HELLO),
    "a direct ClientHello byte by byte": (HELLO[:1], HELLO[1:]),
    "a StartupMessage byte by byte": (b"", wire.startup(padding="x" * 500)),
    "no answer to the challenge": (wire.startup(), b""),
    "an answer byte by byte": (wire.startup(), SCRAM),
    "half an answer": (wire.startup() + SCRAM[:30], b""),
}


class Client:
    """One of them; `began` is when it set out, `ended` when the server had enough."""

    def __init__(self, address, kind, index):
        self.kind, self.ended = kind, None
        self.rest = memoryview(KINDS[kind][1])
        self.began = time.monotonic()
        self.sock = socket.create_connection(address, 30, (f"127.0.0.{2 + index % ADDRESSES}", 0))
        self.sock.setblocking(False)
        self.say(KINDS[kind][0])

    def say(self, data):
        try:
            self.sock.send(data)
        except OSError as e:
            if e.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise

    def trickle(self):
        self.say(self.rest[:1])
        self.rest = self.rest[1:]
        assert len(self.rest) > 0 or self.ended, f"{self.kind}: said all it had"

    def over(self):
        """Read what there is; True when the server has ended the connection."""
        try:
            while self.sock.recv(4096):
                pass
            return True
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


class Crowd:
    def __init__(self, address, count):
        self.clients, self.epoll, self.late = {}, select.epoll(), 0
        kinds = list(KINDS)
        for i in range(count):
            client = Client(address, kinds[i % len(kinds)], i)
            self.clients[client.sock.fileno()] = client
            self.epoll.register(client.sock, select.EPOLLIN)
        self.talking = [c for c in self.clients.values() if c.rest]

    def wait(self, seconds):
        for fd, _ in self.epoll.poll(seconds):
            client = self.clients[fd]
            if client.over():
                client.ended = time.monotonic()
                self.epoll.unregister(fd)
                client.sock.close()
                self.left -= 1

    def stay(self):
        """Trickle until everybody has been ended."""
        self.left, turn, following = len(self.clients), 0, time.monotonic()
        while self.left:
            self.late = max(self.late, time.monotonic() - following)
            for client in self.talking[turn % SLICES::SLICES]:
                if not client.ended:
                    client.trickle()
            turn, following = turn + 1, following + 1 / SLICES
            while (pause := following - time.monotonic()) > 0 and self.left:
                self.wait(pause)

    def report(self):
        seconds = {}
        for client in self.clients.values():
            seconds.setdefault(client.kind, []).append(client.ended - client.began)
        return {"late": self.late, "kinds": {kind: {"count": len(s), "first": min(s), "last": max(s)}
                                             for kind, s in seconds.items()}}


def begin(server, count):
    """Start such a crowd before a server; returns the process, standing."""
    process = subprocess.Popen([sys.executable, "-m", "lib.slow_clients", server.host, str(server.port), str(count)],
                               cwd=__file__.rpartition("/lib/")[0], stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline()) == {"standing": count}
    return process


def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    crowd = Crowd((host, port), count)
    print(json.dumps({"standing": count}), flush=True)
    crowd.stay()
    print(json.dumps(crowd.report()))


if __name__ == "__main__":
    main()
