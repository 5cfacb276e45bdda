"""Many clients at the same moment, each with one question, in one process: what did each of them hear?"""

import contextlib
import errno
import resource
import selectors
import socket
import struct

from . import wire

ANSWERED = "answered"


class Client:
    """Connects, asks, hears the answer, leaves. `ending` is ANSWERED, or what it heard instead."""

    def __init__(self, server, source, user, sql, stays):
        self.user = user
        self.sql = sql
        self.stays = stays      # connected, once it may ask
        self.ending = None
        self.ready = False
        self.buffer = bytearray()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            self.sock.connect((server.host, server.port))

    def connected(self):
        why = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if why:
            self.end(errno.errorcode[why])
        else:
            self.sock.send(wire.startup(self.user))

    def readable(self):
        try:
            data = self.sock.recv(65536)
        except OSError as e:
            self.end(errno.errorcode[e.errno])
            return
        self.buffer += data
        while self.ending is None and len(self.buffer) >= 5:
            kind, size = struct.unpack("!cI", self.buffer[:5])
            if len(self.buffer) < size + 1:
                break
            body = bytes(self.buffer[5:size + 1])
            del self.buffer[:size + 1]
            self.message(kind, body)
        if not data and self.ending is None:
            self.end("end of file")

    def message(self, kind, body):
        if kind == b"E":
            fields = wire.error_fields(body)
            self.end(f"{fields['C']} {fields['M']}")
        elif kind == b"Z" and self.ready:
            self.sock.send(wire.message("X"))
            self.end(ANSWERED)
        elif kind == b"Z":
            self.ready = True
            if self.stays:
                self.ending = ANSWERED
            else:
                self.sock.send(wire.query(self.sql))

    def end(self, how):
        self.ending = how
        self.sock.close()


def storm(server, count, sources, sql="SELECT 1", user="alice", stays=False):
    """The endings of `count` clients that come at the same moment, from these addresses in turn."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 256)), hard))
    clients = []
    try:
        with selectors.DefaultSelector() as selector:
            for i in range(count):
                client = Client(server, sources[i % len(sources)], user, sql, stays)
                clients.append(client)
                selector.register(client.sock, selectors.EVENT_WRITE, client)
            left = count
            while left:
                events = selector.select(60)
                assert events, f"{left} of {count} clients heard nothing for a minute"
                for key, _ in events:
                    client, sock = key.data, key.fileobj
                    if key.events == selectors.EVENT_WRITE:
                        client.connected()
                        if client.ending is None:
                            selector.modify(sock, selectors.EVENT_READ, client)
                    else:
                        client.readable()
                    if client.ending is not None:
                        selector.unregister(sock)
                        left -= 1
        return [client.ending for client in clients]
    finally:
        for client in clients:
            client.sock.close()
