"""
Sessions over TLS that each do what clients do, all at once and for as long as it is wanted, in one thread; and how long
the slowest of them waited for an answer. Each ends by telling whether all that it was promised has come.
"""

import asyncio
import fcntl
import resource
import socket
import struct
import time

from . import wire

HIGH = 1024             # the low descriptors are for those who use select(2), as psycopg may
LINE = b"y" * 1000 + b"\n"


class Ended(Exception):
    """The gate or the server ended a session, or told it off."""


class Session:
    """One connection, with direct TLS where there is a context. A kind of its own is a subclass with `live()`."""

    user, startup = "alice", {}

    def __init__(self, crowd, number, database):
        self.crowd, self.number, self.database = crowd, number, database
        self.pid = None
        self.slowest = 0.0      # seconds for an answer, since the crowd has begun to look

    async def open(self):
        gate, context = self.crowd.gate, self.crowd.context
        with socket.socket() as low:
            sock = socket.socket(fileno=fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (gate.host, gate.port))
        self.reader, self.writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="localhost")
        self.writer.write(wire.startup(self.user, self.database, **self.startup))
        for kind, body in await self.until("Z"):
            if kind == "K":
                self.pid, self.key = struct.unpack("!I", body[:4])[0], body[4:]

    async def message(self):
        try:
            kind, size = struct.unpack("!cI", await self.reader.readexactly(5))
            return kind.decode(), await self.reader.readexactly(size - 4)
        except (asyncio.IncompleteReadError, OSError) as e:
            raise Ended(f"{type(self).__name__} {self.number}: {e!r}") from e

    async def until(self, *kinds):
        """The messages up to the first of these kinds. An error is nobody's wish."""
        got = []
        while not got or got[-1][0] not in kinds:
            got.append(await self.message())
            if got[-1][0] == "E":
                raise Ended(f"{type(self).__name__} {self.number}: {wire.error_fields(got[-1][1])}")
        return got

    def say(self, data):
        self.writer.write(data)

    async def ask(self, sql):
        """The first value."""
        self.say(wire.query(sql))
        for kind, body in await self.until("Z"):
            if kind == "D":
                return body[6:].decode()
        return None

    def waited(self, since):
        if self.crowd.looking:
            self.slowest = max(self.slowest, time.monotonic() - max(since, self.crowd.looking))

    async def live(self):
        """Until the crowd is over."""

    async def prove(self):
        """At the end: it is the same session, and it answers."""
        assert int(await self.ask("SELECT pg_backend_pid()")) == self.pid, "another backend answers"

    async def close(self):
        self.say(wire.TERMINATE)
        self.writer.close()


class Idle(Session):
    async def live(self):
        await self.crowd.over.wait()


class Asks(Session):
    """One question after another."""

    async def live(self):
        await asyncio.sleep(self.crowd.pause * (self.number % 100) / 100)
        while not self.crowd.over.is_set():
            began = time.monotonic()
            assert await self.ask(f"SELECT {self.number}") == str(self.number)
            self.waited(began)
            await asyncio.sleep(max(0, self.crowd.pause - (time.monotonic() - began)))


class InQuery(Session):
    """A query that ends when a lock is given up, and then has much to say."""

    async def live(self):
        self.say(wire.query("SELECT pg_advisory_lock_shared(4711), repeat('x', 100000)"))
        rows = [body for kind, body in await self.until("Z") if kind == "D"]
        assert len(rows) == 1 and rows[0].endswith(b"x" * 100000)


class CopyOut(Session):
    """Rows, read as slowly as they are wanted: each of them, in order."""

    async def row(self, number):
        kind, body = await self.message()
        if kind == "d":
            assert body == LINE[:-1] + b"%d\n" % number, (body, number)
        return kind, body

    async def live(self):
        # A function among the columns is not stored beforehand, as one in FROM is.
        self.say(wire.query("COPY (SELECT repeat('y', 1000) || generate_series(1, 1000000000)) TO STDOUT"))
        await self.until("H")
        number = 0
        while not self.crowd.over.is_set():
            began = time.monotonic()
            for _ in range(50):
                number += 1
                kind, body = await self.row(number)
                assert kind == "d", (kind, body)
            self.waited(began)
            await asyncio.sleep(self.crowd.pause / 10)
        await self.crowd.cancel(self.pid, self.key)
        while kind != "Z":
            number += 1
            kind, body = await self.row(number)
            assert kind in "dZ" or b"C57014\0" in body, (kind, body)


class CopyIn(Session):
    async def live(self):
        await self.ask("CREATE TEMP TABLE taken (line text)")
        self.say(wire.query("COPY taken FROM STDIN"))
        await self.until("G")
        lines = 0
        while not self.crowd.over.is_set():
            self.say(wire.message("d", LINE) * 4)
            lines += 4
            await self.writer.drain()
            await asyncio.sleep(self.crowd.pause / 10)
        self.say(wire.message("c"))
        await self.until("Z")
        assert await self.ask("SELECT count(*) FILTER (WHERE line = repeat('y', 1000)) FROM taken") == str(lines)


class Listens(Session):
    """Notifications from another session, in order and each of them."""

    async def live(self):
        await self.ask("LISTEN news")
        self.crowd.listening.append(self)
        expected = None
        while True:
            kind, body = await self.message()
            if kind != "A":
                continue
            channel, text, _ = body[4:].split(b"\0")
            assert channel == b"news"
            if text == b"end":
                return
            number, sent = text.split()
            assert expected in (None, int(number)), f"notification {number.decode()} came instead of {expected}"
            expected = int(number) + 1
            self.waited(float(sent))


class Replicates(Session):
    """A standby's stream, alive as long as its keepalives are answered: it asks for them."""

    user, startup = "postgres", {"replication": "true"}

    async def live(self):
        self.say(wire.query("IDENTIFY_SYSTEM"))
        row = next(body for kind, body in await self.until("Z") if kind == "D")
        place = wire_columns(row)[2]
        self.say(wire.query(f"START_REPLICATION PHYSICAL {place}"))
        await self.until("W")
        while not self.crowd.over.is_set():
            began = time.monotonic()
            self.say(wire.message("d", b"r" + struct.pack("!QQQQB", 0, 0, 0, 0, 1)))
            while True:
                kind, body = await self.message()
                assert kind == "d", (kind, body)
                if body[:1] == b"k":
                    break
            self.waited(began)
            await asyncio.sleep(self.crowd.pause)
        self.say(wire.message("c"))
        await self.until("Z")

    async def prove(self):
        self.say(wire.query("IDENTIFY_SYSTEM"))
        await self.until("Z")


def wire_columns(row):
    """The texts of a DataRow."""
    values, rest = [], row[2:]
    while rest:
        size = struct.unpack("!i", rest[:4])[0]
        values.append(rest[4:4 + max(size, 0)].decode())
        rest = rest[4 + max(size, 0):]
    return values


# Half of them in the middle of something: out of twenty.
KINDS = [Asks] * 5 + [InQuery] * 3 + [CopyOut, CopyIn] + [Listens] * 2 + [Replicates] + [Idle] * 7
REPLICAS = 10


class Crowd:
    """`count` sessions that ask each `pause` seconds; `databases` in turn."""

    def __init__(self, gate, context, count, databases, pause):
        self.gate, self.context, self.pause = gate, context, pause
        self.over = asyncio.Event()
        self.looking = None
        self.listening = []
        self.sessions = []
        replicas = 0
        for number in range(count):
            kind = KINDS[number * 7 % len(KINDS)]
            replicas += kind is Replicates
            if kind is Replicates and replicas > REPLICAS:
                kind = Idle
            self.sessions.append(kind(self, number, databases[number // len(KINDS) % len(databases)]))

    async def open(self, at_once=24):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, HIGH + len(self.sessions) + 256)), hard))
        places = asyncio.Semaphore(at_once)

        async def one(session):
            async with places:
                await session.open()

        await asyncio.gather(*map(one, self.sessions))
        self.lives = [asyncio.ensure_future(session.live()) for session in self.sessions]

    async def cancel(self, pid, key):
        """With the key that a client got from a process of the gate that is gone by now."""
        reader, writer = await asyncio.open_connection(self.gate.host, self.gate.port)
        writer.write(wire.cancel_request(pid, key))
        assert await reader.read() == b""
        writer.close()

    def look(self):
        """From now on waits count."""
        self.looking = time.monotonic()
        for session in self.sessions:
            session.slowest = 0.0

    async def look_for(self, what):
        """The slowest answer while `what` happens, in milliseconds, by kind."""
        self.look()
        await what
        await asyncio.sleep(2 * self.pause)      # everybody has asked once more
        for life in self.lives:
            if life.done():
                await life                  # it failed, or it ended before it should
        slowest = {}
        for session in self.sessions:
            kind = type(session).__name__
            slowest[kind] = max(slowest.get(kind, 0.0), round(session.slowest * 1000, 1))
        return {kind: ms for kind, ms in slowest.items() if ms}

    async def end(self):
        self.looking = None
        self.over.set()
        await asyncio.gather(*self.lives)
        for session in self.sessions:
            await session.prove()
            await session.close()
