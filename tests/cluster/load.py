"""
Clients that write, one row after the other, and say what was acknowledged: load.py OUT ROUTE CLIENTS CONNINFO

OUT receives a JSON object a line: {"at", "client", "n"} for an acknowledged row; {"at", "client", "error", "phase",
"seconds"} for an error, where phase is connect or query. After SIGTERM who is still waiting after three seconds is written
down with the error "hung", and everything ends.
"""

import json
import os
import signal
import sys
import threading
import time

import psycopg

PAUSE = 0.02            # between two rows of a client


class Client(threading.Thread):
    def __init__(self, book, route, number, conninfo):
        super().__init__(daemon=True)
        self.book, self.route, self.number, self.conninfo = book, route, number, conninfo
        self.n = 0
        self.phase, self.since = "connect", time.time()

    def begin(self, phase):
        self.phase, self.since = phase, time.time()

    def failed(self, error):
        self.book.write(client=self.number, error=error.sqlstate or str(error).splitlines()[0][:120], phase=self.phase,
                        seconds=time.time() - self.since)

    def run(self):
        while not self.book.over.is_set():
            try:
                self.begin("connect")
                with psycopg.connect(self.conninfo, autocommit=True) as db:
                    self.work(db)
            except psycopg.Error as e:
                self.failed(e)
                self.book.over.wait(0.05)

    def work(self, db):
        while not self.book.over.is_set():
            self.n += 1
            self.begin("query")
            db.execute("INSERT INTO writes VALUES (%s, %s, %s)", (self.route, self.number, self.n))
            self.book.write(client=self.number, n=self.n)
            self.begin("pause")
            self.book.over.wait(PAUSE)


class Book:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()
        self.over = threading.Event()

    def write(self, **what):
        with self.lock:
            self.file.write(json.dumps({"at": time.time(), **what}) + "\n")


def main(path, route, clients, conninfo):
    book = Book(path)
    signal.signal(signal.SIGTERM, lambda *_: book.over.set())
    threads = [Client(book, route, number, conninfo) for number in range(int(clients))]
    for thread in threads:
        thread.start()
    book.over.wait()
    until = time.time() + 3
    for thread in threads:
        thread.join(max(0.0, until - time.time()))
        if thread.is_alive():
            book.write(client=thread.number, error="hung", phase=thread.phase, seconds=time.time() - thread.since)
    book.file.flush()
    os._exit(0)         # the threads that hang would keep the process


if __name__ == "__main__":
    main(*sys.argv[1:])
