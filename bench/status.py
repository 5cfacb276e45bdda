#!/usr/bin/python3
"""
How long the status database takes to list many sessions, and what the others notice:
bench/status.py BUILD [--sessions N] [--rounds N]

N idle TLS sessions stand (a descriptor each for client and server: the limit of the process decides). Then every view is
listed by a client that reads and throws away; meanwhile one session on each worker asks small queries, and its
times are set against those without any listing. Times are wall-clock: the machine should have nothing else to do.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "integration"))
import targets  # noqa: E402
from lib import pki, run as wait  # noqa: E402
from run import Client  # noqa: E402

STATEMENTS = ["TABLE pg_stat_ssl", "TABLE pg_stat_activity", "TABLE pg_stat_gssapi", "TABLE pgseal_sessions",
              "SELECT pid, usename, ssl, client_addr FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)",
              "SELECT version, count(*) FROM pg_stat_ssl GROUP BY version", "TABLE pgseal_clients"]
BUDGET_MS, TURN_MS = 100, 2
SLICE = 256      # src/gate/views/gather.c


class Raw:
    """A session that sends simple queries and throws the answers away."""

    def __init__(self, where, user, database):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(where)
        body = struct.pack("!I", 0x30000) + b"".join(w.encode() + b"\0" for w in ("user", user, "database", database)) + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.drain()

    def drain(self):
        """Read until ReadyForQuery; an error comes before anything else here, and has no place in a bench."""
        head = tail = b""
        while tail[:5] != b"Z\0\0\0\5":
            data = self.socket.recv(1 << 18)
            if not data or (head or data)[:1] == b"E":
                raise AssertionError(f"the session failed: {(head or data)[:200]!r}")
            head, tail = head or data[:1], (tail + data)[-6:]

    def ask(self, sql):
        """Milliseconds until ReadyForQuery."""
        text = sql.encode() + b"\0"
        began = time.perf_counter()
        self.socket.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
        self.drain()
        return (time.perf_counter() - began) * 1e3


def measure_echo(sessions, work):
    """Percentiles of echo times while `work` is done by a process of its own, which has Python to itself."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    taken = []
    while process.is_alive():
        taken += [s.ask("SELECT 1") for s in sessions]
        time.sleep(0.0005)
    process.join()
    return statistics.quantiles(taken, n=100)


class House:
    """A stub, a gate before it, and idle sessions; a context manager that ends them all."""

    def __init__(self, build, sessions):
        self.scratch = wait.scratch_dir()
        stub_socket = os.path.join(self.scratch, ".s.PGSQL.5432")
        self.stub = subprocess.Popen([os.path.join(build, "bench", "bench_stub"), stub_socket])
        self.target = self.client = None
        try:
            wait.wait_until(lambda: os.path.exists(stub_socket), "the stub's socket")
            cert = pki.Authority("Bench CA").issue("localhost", ["localhost"], "server")
            self.target = targets.GateTarget(os.path.join(build, "pgseal"), self.scratch, "gate", cert, workers=2)
            gate = self.target.gate
            gate.configure({"max_connections": "20000"},
                           hba="host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n")
            self.target.process = gate.restart().process
            self.client = Client(build, self.target, "idle", sessions)
            self.client.work()
        except BaseException:
            self.__exit__()
            raise

    def session(self, user, database):
        """Over the unix socket, which all workers listen on."""
        return Raw(os.path.join(self.target.gate.socket_dir, f".s.PGSQL.{self.target.port}"), user, database)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.target:
            self.target.stop()
        if self.client:
            self.client.process.kill()
            self.client.process.wait(10)
        self.stub.terminate()
        self.stub.wait(10)
        shutil.rmtree(self.scratch, ignore_errors=True)


def list_views(house, rounds, scale):
    """True when every statement, its best time scaled, stays within the budget."""
    console, met = house.session("dba", "pgseal"), True
    for sql in STATEMENTS:
        before = house.target.cpu()
        took = sorted(console.ask(sql) for _ in range(rounds))
        cpu = (house.target.cpu() - before) / rounds * 1e3
        passed = took[0] * scale <= BUDGET_MS
        met = met and passed
        print(f"    {'PASS' if passed else 'MISS'}  {took[0]:7.1f} {statistics.median(took):7.1f} ms, "
              f"CPU {cpu:6.1f} ms   {sql}")
    return met


def thread_times(pid):
    """CPU milliseconds of each thread."""
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            times[task] = int(f.read().split()[0]) / 1e6
    return times


def weigh_turns(house, sessions, rounds):
    """
    What collecting sessions adds to a turn of a worker's loop, in CPU time: a worker has half of them, and copies
    SLICE at a turn. The three busy threads are two workers and the one that asks the clerk.
    """
    console, pid = house.session("dba", "pgseal"), wait.gate_pid(house.target.process.pid)
    before = thread_times(pid)
    for _ in range(rounds):
        console.ask("SELECT count(*) FROM pg_stat_gssapi")
    spent = sorted((after - before.get(task, 0) for task, after in thread_times(pid).items()), reverse=True)
    turn = spent[0] / rounds / (sessions / 2 / SLICE)
    print(f"    {'PASS' if turn <= TURN_MS else 'MISS'}  {turn:.2f} ms CPU at most for a turn that copies {SLICE} sessions")
    return turn <= TURN_MS


def watch_others(house, rounds):
    """True when listing does not keep others waiting."""
    console = house.session("dba", "pgseal")
    pinned = [house.session(targets.USER, "bench") for _ in range(4)]
    quiet = measure_echo(pinned, lambda: time.sleep(2))
    listing = measure_echo(pinned, lambda: [console.ask(STATEMENTS[3]) for _ in range(2 * rounds)])
    for percent in (50, 90, 99):
        print(f"    queries of others, {percent} %: {quiet[percent - 1]:.2f} ms, "
              f"{listing[percent - 1]:.2f} ms while listing")
    growth = listing[89] - quiet[89]
    print(f"    {'PASS' if growth <= TURN_MS else 'MISS'}  {growth:+.2f} ms at 90 %, budget {TURN_MS} ms")
    return growth <= TURN_MS


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("build")
    options.add_argument("--sessions", type=int, default=10000)
    options.add_argument("--rounds", type=int, default=20)
    options = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sessions = min(options.sessions, hard // 2 - 50)
    print(f"{sessions} sessions, {options.rounds} rounds: best, median, CPU; judged for {options.sessions} sessions")
    with House(os.path.abspath(options.build), sessions) as house:
        met = list_views(house, options.rounds, options.sessions / sessions)
        met = weigh_turns(house, sessions, options.rounds) and met
        met = watch_others(house, options.rounds) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
