"""
make soak: mixed traffic through one gate for an hour (SOAK_SECONDS), with reloads and kills.

    soak.py BUILD

Logins of every kind, queries, COPY, cancels, replication, statements of the status database; failures, nonsense,
clients that vanish, sessions that are ended, an upstream server that is restarted; reloads that succeed and reloads
that cannot, swapped certificates, revoked ones. Exit status 0 only if nothing came out otherwise than it must,
the gate's log has nothing unforeseen, and its memory, descriptors and threads stayed what they were.
"""

import collections
import os
import re
import shutil
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "integration"))

from lib import pg, pki, run, traffic  # noqa: E402
from lib.gate import Gate  # noqa: E402

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
WARM = 0.25                 # of the time passes before memory is looked at, and
WARM_SECONDS = 300          # at least so many: by then everything has been done often, side by side, by each thread of the pool
GROWTH = 0.05               # of memory that a whole run may seem to grow by, on top of GROWTH_KB
GROWTH_KB = 1024
SAMPLES = 300               # that the slope is taken over
HBA = """\
hostssl   pgseal       alice,bob  127.0.0.1/32  scram-sha-256
hostssl   replication  repl       127.0.0.1/32  trust
hostssl   app          carol      127.0.0.1/32  cert
hostssl   all          all        127.0.0.1/32  scram-sha-256
"""
SERVER_HBA = """\
local    all,replication  all                     trust
hostssl  all              postgres  127.0.0.1/32  trust
hostssl  all              all       127.0.0.1/32  scram-sha-256
"""
# Lines of severity WARNING and above that such traffic calls forth.
FORESEEN = {"refused", "reload_failed", "reload_error"}


class Certs:
    """One CA with what it issued, as files; conftest.Pki for a program without pytest."""

    def __init__(self, directory):
        self.dir = directory
        self.ca, self.foreign = pki.Authority("pgseal soak CA"), pki.Authority("somebody else's CA")
        self.server = self.ca.issue("db.example", sans=["localhost", "127.0.0.1"], usage="server")
        self.ca_file, self.foreign_file = os.path.join(directory, "ca.crt"), os.path.join(directory, "foreign.crt")
        pki.write_file(self.ca_file, self.ca.pem())
        pki.write_file(self.foreign_file, self.foreign.pem())

    def client(self, stem, cert):
        return cert.write(self.dir, stem)


class Process:
    """What one process holds, by /proc."""

    def __init__(self, pid):
        self.dir = f"/proc/{pid}"

    def status(self, name):
        with open(f"{self.dir}/status", encoding="ascii") as f:
            return int(re.search(rf"^{name}:\s+(\d+)", f.read(), re.M).group(1))

    def memory_kb(self):
        return self.status("VmRSS")

    def threads(self):
        return self.status("Threads")

    def descriptors(self):
        return len(os.listdir(f"{self.dir}/fd"))


def build_world(build, scratch):
    """Two servers and a gate before them, running."""
    distribution = pg.debian()
    pg.make_template(distribution, scratch)
    os.makedirs(os.path.join(scratch, "pki"))
    certs = Certs(os.path.join(scratch, "pki"))
    main = pg.Postgres(distribution, os.path.join(scratch, "main"), hba=SERVER_HBA, tls={"cert": certs.server},
                       settings={"log_connections": "off", "log_disconnections": "off"}).start()
    flaky = pg.Postgres(distribution, os.path.join(scratch, "flaky"), hba="local all all trust\n").start()
    http_port = run.free_port()
    settings = {
        "http_listen": f"127.0.0.1:{http_port}",
        "upstream.db2": f"host=localhost hostaddr=127.0.0.1 port={main.port} sslmode=verify-full "
                        f"sslrootcert={certs.ca_file} dbname=db2",
        "upstream.flaky": f"host={flaky.socket_dir} port={flaky.port} dbname=app",
        "auth_source.db2": "query", "auth_user": "postgres", "auth_cache_ttl": "2s", "upstream_login": "trust, scram",
        "admin_users": "bob", "stats_users": "alice", "authentication_timeout": "5s"}
    gate = Gate(os.path.join(build, "pgseal"), os.path.join(scratch, "gate"), main, settings=settings, hba=HBA,
                tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl()}).start()
    return traffic.World(gate, main, flaky, certs, http_port)


# -- the verdict --------------------------------------------------------------------------------------------------
def slope(points):
    """Theil and Sen's: the median of the slopes between all pairs of points, which no outlier moves."""
    step = max(1, len(points) // SAMPLES)
    points = points[::step]
    return statistics.median((y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1:])


def warm_up(samples):
    return max(WARM_SECONDS, WARM * (samples[-1][0] - samples[0][0]))


def is_long(samples):
    """Whether what memory does can be told from how it begins: there is as much time behind the warm-up."""
    return samples[-1][0] - samples[0][0] >= 2 * WARM_SECONDS


def growth(samples):
    """(growth over the whole run, what is allowed), both in KB, by the samples behind the warm-up."""
    warm = [(at, kb) for at, kb in samples if at >= samples[0][0] + warm_up(samples)]
    allowed = GROWTH * statistics.median(kb for _, kb in warm) + GROWTH_KB
    return slope(warm) * (warm[-1][0] - warm[0][0]), allowed


def unforeseen(gate):
    """What the log has of warnings and worse, by event, without what was to be expected."""
    found = collections.Counter()
    with open(gate.log.path, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.search(r"\] (WARNING|ERROR|FATAL|PANIC):  event=(\S+)", line)
            if m and m.group(2) not in FORESEEN:
                found[f"{m.group(1)} {m.group(2)}: {line.strip()[-200:]}"] += 1
    return [f"log, {n} times: {what}" for what, n in found.items()]


def complaints(world, workers, samples, at_rest):
    """Everything that speaks against the gate, in words."""
    gate, process = world.gate, Process(world.gate.pid)
    out = [wrong for worker in workers for wrong in worker.wrong]
    out += [f"{w.act.__name__} still runs" for w in workers if w.is_alive()]
    out += [f"{w.act.__name__} was never done" for w in workers if not w.done]
    try:
        run.wait_until(lambda: process.descriptors() <= at_rest["descriptors"], "the descriptors to come back", 40)
    except AssertionError as e:
        out.append(f"{e}: {process.descriptors()} of {at_rest['descriptors']}")
    if process.threads() > at_rest["threads"]:
        out.append(f"{process.threads()} threads, {at_rest['threads']} at the beginning")
    if is_long(samples) and not run.sanitized(gate.program):    # a sanitizer tells leaks by itself
        grown, allowed = growth(samples)
        if grown > allowed:
            out.append(f"memory grew by {grown:.0f} KB, {allowed:.0f} are allowed")
    out += unforeseen(gate)
    if (status := gate.stop()) != 0:
        out.append(f"exit status {status}")
    try:
        gate.assert_clean()
    except AssertionError as e:
        out.append(str(e))
    return out


# -- the run ------------------------------------------------------------------------------------------------------
def progress(began, workers, process):
    done = sum(w.done for w in workers)
    wrong = sum(len(w.wrong) for w in workers)
    return (f"soak: {time.monotonic() - began:.0f} of {SECONDS} s, {done} things done, {wrong} wrong, "
            f"{process.memory_kb() / 1024:.1f} MB, {process.descriptors()} descriptors, {process.threads()} threads")


def soak(world):
    """Let everything run; returns (workers, memory samples, what the gate held at rest)."""
    process, stop = Process(world.gate.pid), threading.Event()
    for act, _ in traffic.TRAFFIC:          # threads of pools and the like are there after the first time
        if act is not traffic.restart_the_flaky_server:
            act(world)
    for _ in range(20):                     # either worker keeps a session of its own to look secrets up with
        traffic.log_in_over_tls_upstream(world)
    operator = traffic.Operator(world, HBA)
    operator.hup()
    run.wait_until(lambda: process.descriptors() <= 200, "a gate at rest")
    time.sleep(6)                           # longer than authentication_timeout: nobody is left
    at_rest = {"descriptors": process.descriptors(), "threads": process.threads()}
    acts = [*traffic.TRAFFIC, (operator.act, 2)]
    workers = [traffic.Worker(world, act, pause, stop) for act, pause in acts]
    began, samples, told = time.monotonic(), [], 0
    for worker in workers:
        worker.start()
    while (now := time.monotonic() - began) < SECONDS and world.gate.process.poll() is None:
        samples.append((now, process.memory_kb()))
        if now - told >= 10:
            print(progress(began, workers, process), flush=True)
            told = now
        time.sleep(min(1, max(0.1, SECONDS / 1000)))
    stop.set()
    for worker in workers:
        worker.join(60)
    return workers, samples, at_rest


def tell_memory(samples):
    if not is_long(samples):
        print(f"soak: memory is judged in runs of {2 * WARM_SECONDS} s and more")
        return
    grown, allowed = growth(samples)
    print(f"soak: memory {grown:+.0f} KB over {samples[-1][0] - samples[0][0] - warm_up(samples):.0f} s, "
          f"{allowed:.0f} KB are allowed")


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    scratch = run.scratch_dir()
    world = build_world(build, scratch)
    try:
        workers, samples, at_rest = soak(world)
        for worker in workers:
            print(f"soak: {worker.done:7} times {worker.act.__name__}")
        if world.gate.process.poll() is not None:
            print(world.gate.log.text()[-5000:])
            found = [f"the gate ended, exit status {world.gate.process.returncode}"]
        else:
            tell_memory(samples)
            found = complaints(world, workers, samples, at_rest)
    finally:
        world.gate.stop()
        world.main.stop()
        world.flaky.stop()
    for what in found[:50]:
        print(f"soak: {what}")
    print(f"soak: {'FAILED, ' + str(len(found)) + ' complaints, see ' + scratch if found else 'clean'}")
    if not found:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
