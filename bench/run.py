#!/usr/bin/python3
"""
Measure the gate against its peers: bench/run.py BUILD [--quick] [--json FILE] [--only ROW...] [--against PROGRAM]

Every row is a kind of work; every round of a row visits all its targets one after the other, so that what
disturbs the machine disturbs all of them. The figure is CPU time of the proxy's process tree per operation. What
is judged are ratios within one round, by their median over the rounds. bench/README.md says how to read it.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "integration"))
import targets  # noqa: E402
from lib import pki, run  # noqa: E402


class Client:
    """bench_client in one of its modes."""

    def __init__(self, build, target, *mode):
        argv = [os.path.join(build, "bench", "bench_client"), str(target.port), target.tls, targets.USER,
                targets.PASSWORD, *map(str, mode)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("ready")

    def expect(self, word=None):
        line = self.process.stdout.readline()
        if not line or (word and line.strip() != word):
            raise AssertionError(f"the client ended early: {' '.join(self.process.args)}")
        return line

    def work(self):
        """Let it begin; returns what it printed at the end of its work."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.expect())

    def end(self):
        self.process.stdin.close()
        if self.process.wait(120) != 0:
            raise AssertionError("the client failed")


def measure(build, target, *mode):
    """One piece of work: what the client says, and `cpu` seconds per operation."""
    client = Client(build, target, *mode)
    before = target.cpu()
    said = client.work()
    said["cpu"] = (target.cpu() - before) / max(said["ops"], 1)
    client.end()
    return said


@contextlib.contextmanager
def on_one_core(processes):
    """Processes that stand already, this one, and what it starts meanwhile, all on one core."""
    threads = [int(tid) for pid in processes + [os.getpid()] for tid in os.listdir(f"/proc/{pid}/task")]
    everywhere = os.sched_getaffinity(0)
    for tid in threads:
        os.sched_setaffinity(tid, {max(everywhere)})
    try:
        yield
    finally:
        for tid in threads:
            os.sched_setaffinity(tid, everywhere)


class Row:
    """
    One kind of work on some targets.

    scale, unit     how cpu per operation is shown; `key` names another figure of the client's instead.
    """

    def __init__(self, name, title, names, mode, scale=1e6, unit="us", key="cpu"):
        self.name, self.title, self.names, self.mode = name, title, names, mode
        self.scale, self.unit, self.key = scale, unit, key
        self.samples = {}

    def round(self, bench, number):
        for name in self.names if number % 2 == 0 else self.names[::-1]:
            if name in bench.targets:
                said = measure(bench.build, bench.targets[name], *self.mode)
                self.samples.setdefault(name, []).append(said[self.key] * self.scale)


class OneCoreRow(Row):
    """Client, proxy and stub on one core: no wake-up crosses cores, which costs more than one query's work."""

    def round(self, bench, number):
        with on_one_core([pid for root in bench.processes() for pid in targets.tree(root)]):
            super().round(bench, number)


class SideBySideRow(Row):
    """
    Two clients at once, each with its part of the sessions.

    names   what the figure is called, and the targets that the two clients work on.
    """

    def round(self, bench, number):
        for name, pair in (list(self.names.items())[::1 if number % 2 == 0 else -1]):
            sides = [bench.targets[side] for side in pair]
            clients = [Client(bench.build, side, *self.mode) for side in sides]
            before = sum(side.cpu() for side in set(sides))
            with concurrent.futures.ThreadPoolExecutor() as pool:
                ops = sum(said["ops"] for said in pool.map(Client.work, clients))
            cpu = sum(side.cpu() for side in set(sides)) - before
            for client in clients:
                client.end()
            self.samples.setdefault(name, []).append(cpu / max(ops, 1) * self.scale)


class LocalRow(Row):
    """OpenSSL alone, in the client's process."""

    def round(self, bench, number):
        self.samples.setdefault("openssl", []).append(bench.local(*self.mode)[self.key])


class IdleRow(Row):
    """Resident memory per session, counted once, on a target nobody has used before."""

    def round(self, bench, number):
        for name in self.names:
            if name not in bench.targets or name in self.samples:
                continue
            target = bench.targets[name]
            client = Client(bench.build, target, *self.mode)
            before = target.resident()
            said = client.work()
            self.samples[name] = [(target.resident() - before) / said["ops"]]
            client.end()


def start_stub(build, directory):
    """The bench's own server, at the directory's socket."""
    socket = os.path.join(directory, ".s.PGSQL.5432")
    stub = subprocess.Popen([os.path.join(build, "bench", "bench_stub"), socket])
    run.wait_until(lambda: os.path.exists(socket), "the stub's socket")
    os.chmod(socket, 0o777)
    return stub


class Bench:
    def __init__(self, build, options):
        self.build = build
        self.options = options
        self.scratch = run.scratch_dir()
        self.targets = {}
        self.stub = None

    def start(self):
        ca = pki.Authority("Bench CA")
        certs = {kind: ca.issue("localhost", ["localhost", "127.0.0.1"], "server", kind) for kind in ("ec", "rsa")}
        for kind, cert in certs.items():
            for ending, content in (("crt", cert.pem()), ("key", cert.key_pem()), ("pem", cert.pem() + cert.key_pem())):
                pki.write_file(os.path.join(self.scratch, f"{kind}.{ending}"), content, 0o644)
        self.stub = start_stub(self.build, self.scratch)
        self.start_targets(certs, os.path.join(self.scratch, ".s.PGSQL.5432"))

    def start_targets(self, certs, socket):
        def add(target):
            self.targets[target.name] = target

        program = os.path.join(self.build, "pgseal")
        add(targets.GateTarget(program, self.scratch, "gate", certs["ec"]))
        add(targets.GateTarget(program, self.scratch, "gate rsa", certs["rsa"]))
        add(targets.GateTarget(program, self.scratch, "gate 2 workers", certs["ec"], workers=2))
        add(targets.GateTarget(program, self.scratch, "another gate", certs["ec"]))
        add(targets.GateTarget(program, self.scratch, "gate openssl", certs["ec"], tls_record_layer="openssl"))
        add(targets.Over(self.targets["gate"], "gate plain", "plain"))
        if self.options.against:
            add(targets.GateTarget(os.path.abspath(self.options.against), self.scratch, "other build", certs["ec"]))
        relay = targets.Target("relay", tls="plain", scram_here=False)
        add(relay.spawn([os.path.join(self.build, "bench", "bench_relay"), str(relay.port), socket], self.scratch))
        for make, program in ((targets.pgbouncer, "pgbouncer"), (targets.haproxy, "haproxy"),
                              (targets.stunnel, "stunnel4")):
            if not shutil.which(program, path="/usr/sbin:/usr/bin"):
                print(f"bench: {program} is not installed and left out", file=sys.stderr)
                continue
            name = make.__name__
            add(make(self.scratch, name, os.path.join(self.scratch, "ec")))
            add(make(self.scratch, name + " rsa", os.path.join(self.scratch, "rsa")))
        if not self.options.quick:
            add(targets.ServerTarget(self.scratch, certs["ec"]))
            add(targets.Over(self.targets["postgres"], "postgres plain", "plain"))

    def processes(self):
        """The roots of everything that was started."""
        return [self.stub.pid] + [t.process.pid for t in self.targets.values() if isinstance(t, targets.Target)]

    def local(self, *mode):
        out = subprocess.run([os.path.join(self.build, "bench", "bench_client"), "0", "plain", "-", "-",
                              *map(str, mode)], capture_output=True, text=True, check=True, cwd=self.scratch).stdout
        return json.loads(out)

    def stop(self):
        for target in self.targets.values():
            if isinstance(target, targets.Target):
                target.stop()
        if self.stub:
            self.stub.terminate()
            self.stub.wait(10)
        shutil.rmtree(self.scratch, ignore_errors=True)


PROXIES = ["gate", "pgbouncer", "haproxy", "stunnel"]
# The same build with OpenSSL's records, and another pgseal, where --against names one.
RIVALS = PROXIES + ["gate openssl", "other build"]


def rows(quick):
    seconds, megabytes, sessions = (0.5, 256, 1000) if quick else (0.8, 512, 5000)
    others = ["relay", "gate plain", "postgres", "postgres plain"]
    return [
        IdleRow("idle", f"idle TLS session, {sessions} after traffic, KiB resident", RIVALS, ["idle", sessions],
                unit="KiB"),
        LocalRow("session", "OpenSSL alone: one session after its handshake, KiB", ["openssl"],
                 ["session", "ec.crt", "ec.key"], unit="KiB", key="kib"),
        Row("connect", "connect, TLS 1.3, ECDSA P-256", RIVALS + others, ["connect", seconds, 8]),
        LocalRow("handshake", "OpenSSL alone: the server's half of that handshake, in memory", ["openssl"],
                 ["handshake", "ec.crt", "ec.key", seconds / 2], key="us"),
        Row("connect_rsa", "connect, RSA 2048", [f"{name} rsa" for name in PROXIES], ["connect", seconds, 8]),
        Row("query1", "small queries, 1 client", RIVALS + others, ["query", seconds, 1]),
        OneCoreRow("query1core", "small queries, 1 client, everything on one core", PROXIES + ["relay", "gate plain"],
                   ["query", seconds, 1]),
        Row("query16", "small queries, 16 clients", RIVALS + others, ["query", seconds, 16]),
        Row("query64", "small queries, 64 clients", RIVALS + others, ["query", seconds, 64]),
        LocalRow("records", "OpenSSL alone: the records of one query, opened and sealed in memory", ["openssl"],
                 ["records", "ec.crt", "ec.key", seconds / 2], key="us"),
        Row("copy_out", "COPY out, CPU s per GiB", RIVALS + ["relay", "gate plain"], ["copyout", megabytes],
            scale=1024, unit="s"),
        LocalRow("gcm", "OpenSSL alone: AES-256-GCM over records, CPU s per GiB", ["openssl"], ["gcm", seconds / 2],
                 unit="s", key="s_per_gb"),
        Row("copy_in", "COPY in, CPU s per GiB", RIVALS + ["relay", "gate plain"], ["copyin", megabytes],
            scale=1024, unit="s"),
        SideBySideRow("workers", "queries, 2 x 32 clients", {
            "one worker": ["gate", "gate"], "two workers": ["gate 2 workers", "gate 2 workers"],
            "two gates": ["gate", "another gate"]}, ["query", seconds, 32]),
        Row("mixed", "query p99 while 200 connections/s arrive, 4 clients", PROXIES, ["mixed", 2 * seconds, 4, 200],
            scale=1, unit="us", key="p99_us"),
    ]


def budgets(table):
    """
    Each line of the budget as (what, figures, limit): one figure per round; none: not measured. A negative limit is
    one to be reached, not kept below; None: no budget, but a yardstick for the lines beside it.
    """
    def m(row, name):
        return table[row].samples.get(name, []) if row in table else []

    def best(row, names):
        """The samples of whoever is best by the median."""
        measured = [m(row, name) for name in names if m(row, name)]
        return min(measured, key=statistics.median) if measured else []

    def ratio(a, b, more=None):
        return [x / (y + z) for x, y, z in zip(a, b, more if more is not None else [0] * len(b))]

    peers = PROXIES[1:]
    return [
        (f"gate / {what}: {title}", ratio(m(row, "gate"), m(row, name)), None)
        for name, what in (("gate openssl", "the same with OpenSSL's records"), ("other build", "other build"))
        for row, title in (("connect", "connect ECDSA"), ("query1", "queries, 1 client"),
                           ("query16", "queries, 16 clients"), ("query64", "queries, 64 clients"),
                           ("copy_out", "COPY out"), ("copy_in", "COPY in"), ("idle", "idle session"))
    ] + [
        ("connect ECDSA / best SCRAM peer", ratio(m("connect", "gate"), m("connect", "pgbouncer")), 0.85),
        ("connect ECDSA / (handshake alone + connect without TLS)",
         ratio(m("connect", "gate"), m("connect", "gate plain"), m("handshake", "openssl")), 1.5),
        ("connect RSA / best SCRAM peer", ratio(m("connect_rsa", "gate rsa"), m("connect_rsa", "pgbouncer rsa")), 0.90),
        ("haproxy, which judges nobody: connect ECDSA / best SCRAM peer",
         ratio(m("connect", "haproxy"), m("connect", "pgbouncer")), None),
        ("queries, 16 clients / best peer", ratio(m("query16", "gate"), best("query16", peers)), 0.80),
        ("queries, 16 clients / relay", ratio(m("query16", "gate"), m("query16", "relay")), 1.25),
        ("queries, 64 clients / best peer", ratio(m("query64", "gate"), best("query64", peers)), 0.80),
        ("queries, 64 clients / relay", ratio(m("query64", "gate"), m("query64", "relay")), 1.25),
        ("relay + OpenSSL's records, 16 clients / best peer",
         [(x + y) / z for x, y, z in zip(m("query16", "relay"), m("records", "openssl"), best("query16", peers))], None),
        ("relay + OpenSSL's records, 64 clients / best peer",
         [(x + y) / z for x, y, z in zip(m("query64", "relay"), m("records", "openssl"), best("query64", peers))], None),
        ("queries, 1 client / relay", ratio(m("query1", "gate"), m("query1", "relay")), 1.2),
        ("queries, 1 client, everything on one core / relay",
         ratio(m("query1core", "gate"), m("query1core", "relay")), 1.2),
        ("COPY out / best peer", ratio(m("copy_out", "gate"), best("copy_out", peers)), 0.75),
        ("COPY in / best peer", ratio(m("copy_in", "gate"), best("copy_in", peers)), 0.60),
        ("COPY out / (relay + AES-GCM)", ratio(m("copy_out", "gate"), m("copy_out", "relay"), m("gcm", "openssl")), 1.15),
        ("idle session, KiB", m("idle", "gate"), 4),
        ("OpenSSL alone, idle session, KiB", m("session", "openssl"), None),
        # Capacity by CPU: two cores at the price of one, or dearer. Measured so because the clients need cores too.
        ("1 worker's CPU per query / 2 workers', doubled (at least)",
         [2 * x for x in ratio(m("workers", "one worker"), m("workers", "two workers"))], -1.9),
        ("the same of two gates that share nothing, one worker each",
         [2 * x for x in ratio(m("workers", "one worker"), m("workers", "two gates"))], None),
        ("p99 of queries during connects / best peer", ratio(m("mixed", "gate"), best("mixed", peers)), 1.2),
    ]


def quartiles(samples):
    return tuple(statistics.quantiles(samples, n=4, method="inclusive")[::2]) if len(samples) > 1 else (samples[0], samples[0])


def show_tables(table):
    lines = []
    for row in table.values():
        lines.append(f"{row.title} ({row.unit})")
        for name, samples in row.samples.items():
            low, high = quartiles(samples)
            lines.append(f"    {name:16} {statistics.median(samples):10.3f}   ({low:.3f} .. {high:.3f})")
    return lines


def judge(table):
    """The budgets that were measured, each with its verdict in words."""
    verdicts = []
    for what, figures, limit in budgets(table):
        if not figures:
            continue
        figure, (low, high) = statistics.median(figures), quartiles(figures)
        verdict = {"what": what, "figure": round(figure, 3), "low": round(low, 3), "high": round(high, 3),
                   "rounds": len(figures), "limit": abs(limit) if limit else None, "word": "", "sure": True}
        if limit:
            met = figure >= -limit if limit < 0 else figure <= limit
            verdict["word"] = "PASS" if met else "MISS"
            verdict["sure"] = low == high or not low <= abs(limit) <= high
        verdicts.append(verdict)
    return verdicts


def show(table, verdicts, programs):
    lines = show_tables(table) + ["", "Budgets: median of the rounds' ratios (and their middle half)"]
    for v in verdicts:
        doubt = "" if v["sure"] else ", not decided: the budget lies in the spread"
        lines.append(f"    {v['word']:4}  {v['what']:62} {v['figure']:6.2f} ({v['low']:.2f} .. {v['high']:.2f})"
                     + (f"   budget {v['limit']}{doubt}" if v["limit"] else ""))
    for word, what, output in programs:
        lines += [f"    {word}  {what}"] + [f"          {line}" for line in output]
    print("\n".join(lines))


BEGIN, END = "<!-- of one run: bench/run.py --results -->\n", "<!-- end of the run -->\n"


def write_results(path, table, verdicts, programs, last):
    """Put a run's figures between the marks of a Markdown file; what stands around them is people's."""
    lines = ["| | what | median | middle half | budget |", "|---|---|---|---|---|"]
    for v in verdicts:
        lines.append(f"| {v['word']} | {v['what']} | {v['figure']:.2f} | {v['low']:.2f} .. {v['high']:.2f} | "
                     + (f"{v['limit']}{'' if v['sure'] else ' (not decided)'} |" if v["limit"] else "|"))
    lines += [f"| {word} | {what} | | | |" for word, what, _ in programs]
    lines += ["", "```"] + show_tables(table) + [line for _, _, output in programs for line in output] + [last, "```"]
    with open(path, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    after = rest.partition(END)[2]
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after)


# Programs that judge themselves by their exit status.
PROGRAMS = [
    (("policy", "hba_bench"), "10,000 rules: load <= 50 ms, match <= 20 us (users, nets), analysis <= 2 s (all)"),
    (("gate", "pack_bench"), "1,000 TLS sessions packed and taken over: <= 125 ms"),
]


def judge_programs(build):
    found = []
    for place, what in PROGRAMS:
        program = os.path.join(build, "tests", "unit", *place)
        if os.path.exists(program):
            done = subprocess.run([program], capture_output=True, text=True, check=False)
            found.append(("MISS" if done.returncode else "PASS", what, done.stdout.splitlines()))
    return found


def raise_limits():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    parser = argparse.ArgumentParser(description="Measure the gate against its peers.")
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true", help="one short round: a minute")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", metavar="FILE", help="write every sample and verdict")
    parser.add_argument("--results", metavar="FILE", help="put the figures into FILE, e.g. bench/RESULTS.md")
    parser.add_argument("--against", metavar="PROGRAM", help="another build of pgseal, measured beside the gate")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="just these rows")
    options = parser.parse_args()
    raise_limits()
    table = {row.name: row for row in rows(options.quick) if not options.only or row.name in options.only}
    bench = Bench(os.path.abspath(options.build), options)
    began, failed = time.monotonic(), False
    try:
        bench.start()
        for number in range(options.rounds or (1 if options.quick else 7)):
            for row in table.values():
                print(f"bench: round {number + 1}, {row.name}", file=sys.stderr)
                row.round(bench, number)
    except AssertionError as e:
        # The rounds before are worth showing; those to come would go on with a broken target.
        print(f"bench: ended early: {e}", file=sys.stderr)
        failed = True
    finally:
        bench.stop()
    verdicts, programs = judge(table), [] if options.only else judge_programs(bench.build)
    show(table, verdicts, programs)
    last = f"{time.monotonic() - began:.0f} s, load average {os.getloadavg()[0]:.1f}"
    print("\n" + last)
    if options.results:
        write_results(options.results, table, verdicts, programs, last)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"budgets": verdicts, "rows": {name: row.samples for name, row in table.items()}}, f, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
