#!/usr/bin/python3
"""
Count the gate's system calls per connection: bench/syscalls.py BUILD [--source file|query|upstream] [--seconds N]

One client connects over TLS, authenticates by SCRAM, asks one query, closes, and does it again, while strace
counts what the gate's processes ask of the kernel. One client at a time: no call is shared between connections,
so the figure does not depend on the load.
"""

import argparse
import collections
import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "integration"))
import run as bench_run  # noqa: E402
import targets  # noqa: E402
from lib import pg, pki, run  # noqa: E402


# What a source needs beyond its name, and how the server lets the bench's role in.
SOURCES = {
    "file": ({}, None),
    "query": ({"auth_user": "postgres"}, "trust"),
    "upstream": ({"upstream_login": None}, "scram-sha-256"),
}


def real_server(directory, method):
    """A PostgreSQL with the bench's role."""
    server = pg.Postgres(pg.debian(), os.path.join(directory, "postgres"),
                         settings={"log_connections": "off", "log_disconnections": "off"},
                         hba=f"local all {targets.USER} {method}\nlocal all all trust\n"
                             "host all all 127.0.0.1/32 trust\n")
    server.start()
    with server.admin() as db:
        db.execute(f"CREATE ROLE {targets.USER} LOGIN PASSWORD '{targets.SECRET}'")
        db.execute(f"CREATE DATABASE {targets.USER}")
    return server


def attach(target, path):
    """strace on all of a target's threads, into a file; returned once it has them all."""
    pids = [arg for pid in targets.tree(target.process.pid) for arg in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "signal=none", *pids, "-o", path])

    def traced(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return "TracerPid:\t0\n" not in f.read()

    run.wait_until(lambda: all(traced(pid) for pid in targets.tree(target.process.pid)), "strace to attach")
    return tracer


def calls(trace):
    """The calls by name, and those that found nothing to do."""
    names, again = collections.Counter(), collections.Counter()
    for line in trace.splitlines():
        call = line.split(None, 1)[1] if line[:1].isdigit() else line
        if call.startswith("<...") or "(" not in call:
            if " = -1 EAGAIN" in call and call.startswith("<..."):
                again[call.split()[1]] += 1
            continue
        name = call.partition("(")[0]
        names[name] += 1
        if " = -1 EAGAIN" in call:
            again[name] += 1
    return names, again


def main():
    parser = argparse.ArgumentParser(description="Count the gate's system calls per connection.")
    parser.add_argument("build")
    parser.add_argument("--source", default="file", choices=SOURCES,
                        help="the gate's auth_source; all but file are before a real PostgreSQL")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--program", metavar="PROGRAM", help="another pgseal than BUILD's")
    parser.add_argument("--trace", metavar="FILE", help="keep what strace said")
    options = parser.parse_args()
    build, scratch = os.path.abspath(options.build), run.scratch_dir()
    program = os.path.abspath(options.program or os.path.join(build, "pgseal"))
    server = stub = target = None
    try:
        cert = pki.Authority("Bench CA").issue("localhost", ["localhost", "127.0.0.1"], "server", "ec")
        settings, method = SOURCES[options.source]
        if method:
            server = real_server(scratch, method)
        else:
            stub = bench_run.start_stub(build, scratch)
        upstream = f"host={server.socket_dir if server else scratch} port={server.port if server else 5432}"
        target = targets.GateTarget(program, scratch, "gate", cert, upstream=upstream, auth_source=options.source,
                                    **settings)
        bench_run.measure(build, target, "connect", 0.3, 1)
        trace = os.path.join(scratch, "trace")
        tracer = attach(target, trace)
        client = bench_run.Client(build, target, "connect", options.seconds, 1)
        said = client.work()
        client.end()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(60)
        with open(trace, encoding="utf-8", errors="replace") as f:
            trace = f.read()
    finally:
        for end in (target, server):
            if end:
                end.stop()
        if stub:
            stub.terminate()
            stub.wait(10)
        shutil.rmtree(scratch, ignore_errors=True)
    if options.trace:
        pki.write_file(options.trace, trace, 0o644)
    names, again = calls(trace)
    print(f"system calls per connection, auth_source = {options.source}, {said['ops']} connections")
    for name, n in names.most_common():
        if n * 20 >= said["ops"]:
            print(f"    {name:16} {n / said['ops']:6.2f}"
                  + (f"   ({again[name] / said['ops']:.2f} found nothing)" if again[name] * 20 >= said["ops"] else ""))
    print(f"    {'all':16} {sum(names.values()) / said['ops']:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
