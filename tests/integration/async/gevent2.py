"""psycopg2 under gevent: two greenlets take turns while their connections wait."""

import gevent
import gevent.socket
import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

SIZES = [(width, rows) for width in (97, 4001, 7919) for rows in range(1, 101)]


def wait(conn):
    while (state := conn.poll()) != POLL_OK:
        if state == POLL_READ:
            gevent.socket.wait_read(conn.fileno())
        elif state == POLL_WRITE:
            gevent.socket.wait_write(conn.fileno())


def read(sizes):
    db = psycopg2.connect("")
    with db.cursor() as cursor:
        for width, rows in sizes:
            cursor.execute("SELECT repeat('x', %s) FROM generate_series(1, %s)", (width, rows))
            assert len(cursor.fetchall()) == rows
    db.close()
    return len(sizes)


psycopg2.extensions.set_wait_callback(wait)
readers = [gevent.spawn(read, SIZES[i::2]) for i in (0, 1)]
gevent.joinall(readers, raise_error=True)
print(sum(reader.value for reader in readers), "results")
