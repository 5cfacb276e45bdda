"""
Queries over a psycopg_pool, one after the other on each of its connections. Arguments: port, connections, name.

Every query inserts a number that nobody else has, and is repeated until it is acknowledged: one that was refused and done
all the same is told from that by the table's key. Prints `ready` when all connections have worked, and when its standard
input ends what it counted.
"""
import json
import logging
import random
import sys
import threading
import time

import psycopg
import psycopg_pool

port, size, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
counts = {"done": 0, "refused": 0, "failed": []}
lock, over, warm = threading.Lock(), threading.Event(), threading.Barrier(size + 1)


def insert(pool, number):
    """True when it is acknowledged."""
    sent = False
    try:
        with pool.connection(timeout=60) as db:
            sent = True
            db.execute("INSERT INTO drained VALUES (%s)", (number,))
        return True
    except psycopg.OperationalError as e:
        with lock:
            if not sent:
                time.sleep(0.05)
            elif "terminating connection due to administrator command" in str(e):
                counts["refused"] += 1
            else:
                counts["failed"].append(str(e))
    except psycopg.Error as e:
        with lock:
            counts["failed"].append(str(e))
        return True
    return False


def work(pool, at):
    i = 0
    while not over.is_set():
        while not insert(pool, f"{name}-{at}-{i}"):
            pass
        with lock:
            counts["done"] += 1
        if i == 0:
            warm.wait()
        i += 1
        time.sleep(random.uniform(0, 0.1))


logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
with psycopg_pool.ConnectionPool(f"host=127.0.0.1 port={port} user=alice dbname=app sslmode=require", min_size=size,
                                 max_size=size, kwargs={"autocommit": True}, reconnect_timeout=60) as connections:
    connections.wait(60)
    threads = [threading.Thread(target=work, args=(connections, at)) for at in range(size)]
    for thread in threads:
        thread.start()
    warm.wait()
    print("ready", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
print(json.dumps(counts))
