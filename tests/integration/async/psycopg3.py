"""psycopg 3 reads every result asynchronously, in its plain execute() too: psycopg3.py execute|pipeline|asyncio"""

import asyncio
import sys

import psycopg

SQL = "SELECT repeat('x', %s) FROM generate_series(1, %s)"
SIZES = [(width, rows) for width in (97, 4001, 7919) for rows in range(1, 101)]


def check(cursor, size):
    assert len(cursor.fetchall()) == size[1]


def execute():
    with psycopg.connect("") as db:
        for size in SIZES:
            check(db.execute(SQL, size), size)


def pipeline():
    with psycopg.connect("") as db:
        for at in range(0, len(SIZES), 10):
            with db.pipeline():
                cursors = [db.execute(SQL, size) for size in SIZES[at:at + 10]]
            for cursor, size in zip(cursors, SIZES[at:at + 10]):
                check(cursor, size)


async def awaited():
    async with await psycopg.AsyncConnection.connect("") as db:
        for size in SIZES:
            cursor = await db.execute(SQL, size)
            assert len(await cursor.fetchall()) == size[1]


if sys.argv[1] == "asyncio":
    asyncio.run(awaited())
else:
    {"execute": execute, "pipeline": pipeline}[sys.argv[1]]()
print(len(SIZES), "results")
