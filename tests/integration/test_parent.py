"""
`serve` is a small process above the gate: what others see of the service is the parent, and it ends as the gate does.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from lib import manager, run
from lib.pg import PASSWORDS
from lib.wire import Conn

HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def serves(gate):
    with Conn(gate) as c:
        c.ready(PASSWORDS["alice"])
        return c.value("SELECT 1") == "1"


def family(gate):
    """(parent, gate, clerk)"""
    parent = gate.process.pid
    run.wait_until(lambda: len(run.clerk_pids(parent)) == 1, "a clerk")
    return parent, gate.pid, run.clerk_pids(parent)[0]


# -- what it is ---------------------------------------------------------------------------------------------------
def test_the_parent_has_no_sockets_of_the_world(make_gate, certs):
    g = make_gate(hba=HBA, tls={"cert": certs.server})
    parent, _, _ = family(g)
    links = [os.readlink(f"/proc/{parent}/fd/{fd}") for fd in os.listdir(f"/proc/{parent}/fd")]
    inodes = {m.group(1) for link in links if (m := re.fullmatch(r"socket:\[(\d+)\]", link))}
    assert len(inodes) == 2, links             # the line to the gate, and its orders
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as f:
            assert not inodes & {line.split()[9] for line in list(f)[1:]}
    assert {link for link in links if link.startswith(g.dir)} == {g.log.path}, links
    with open(g.path("pgseal.lock"), encoding="ascii") as f:
        assert int(f.read()) == parent


# -- the end ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_the_parent_ends_as_the_gate_does(make_gate, number):
    g = make_gate(hba=HBA)
    if number == signal.SIGSEGV and run.sanitized(g.program):
        pytest.skip("a sanitizer reports this signal itself")
    _, gate, clerk = family(g)
    os.kill(gate, number)
    assert g.process.wait(run.PATIENCE) == -number
    assert f'FATAL:  event=gate_ended message="the gate\'s process has died" signal={int(number)}' in g.words()
    run.wait_until(lambda: not alive(clerk), "the clerk to end")
    assert serves(g.restart())


def test_the_parent_logs_as_the_gate_does(make_gate):
    g = make_gate(hba=HBA, settings={"log_destination": "jsonlog"})
    os.kill(g.pid, signal.SIGKILL)
    assert g.process.wait(run.PATIENCE) == -signal.SIGKILL
    last = json.loads(g.log.text().splitlines()[-1])
    assert last["error_severity"] == "FATAL" and "gate_ended" in last.values(), last


def test_the_gate_ends_with_its_parent(make_gate):
    g = make_gate(hba=HBA)
    parent, gate, clerk = family(g)
    os.kill(parent, signal.SIGKILL)
    g.process.wait(run.PATIENCE)
    assert serves(g.start())                    # at once: it waits for what the other one leaves behind
    run.wait_until(lambda: not alive(gate) and not alive(clerk), "gate and clerk to end")


def test_a_failed_start_is_told_by_its_status(make_gate):
    g = make_gate(start=False, hba="nonsense\n")
    status, words = g.refuses_to_start()
    assert status == 1 and "invalid connection type" in words and "gate_ended" not in words


# -- signals ------------------------------------------------------------------------------------------------------
def test_signals_reach_the_gate(make_gate):
    g = make_gate(hba=HBA)
    assert "generation=2" in g.reload() or "reloaded" in g.words()
    with Conn(g) as c:
        c.ready(PASSWORDS["alice"])
        g.kill(signal.SIGTERM)
        g.log.wait_for("received smart shutdown request")
        assert c.rest() is not None             # 57P01 at its idle moment
    assert g.process.wait(run.PATIENCE) == 0


def test_a_signal_for_all_of_them(make_gate):
    """As a shell's `kill %1`, or a service manager that signals every process."""
    g = make_gate(hba=HBA)
    family(g)
    os.killpg(g.process.pid, signal.SIGTERM)
    assert g.process.wait(run.PATIENCE) == 0
    assert "gate_ended" not in g.words()


# -- the service manager ------------------------------------------------------------------------------------------
def test_the_manager_hears_the_parent(make_gate, scratch, monkeypatch):
    """systemd listens to the main process only (NotifyAccess=main)."""
    path = os.path.join(scratch, "notify")
    with manager.listening(path) as hear:
        g = make_gate(start=False, hba=HBA, settings={"shutdown_delay": "7s"})
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        g.start()
        assert hear() == (b"READY=1", g.process.pid)
        g.kill(signal.SIGINT)
        text, pid = hear()
        assert pid == g.process.pid and text.startswith(b"STOPPING=1\nEXTEND_TIMEOUT_USEC=")
        assert int(text.rpartition(b"=")[2]) > 1000000 * (60 + 7)     # drain_timeout and shutdown_delay
        assert g.process.wait(run.PATIENCE) == 0


# -- PID 1 of a container -----------------------------------------------------------------------------------------
@pytest.fixture
def contained(make_gate):
    """A gate that is PID 1 of a namespace of its own: (gate, its pid seen from here)."""
    if not run.is_root() or not shutil.which("unshare"):
        pytest.skip("a PID namespace needs root and unshare(1)")
    g = make_gate(start=False, hba=HBA)
    since = g.log.mark()
    with open(g.log.path, "ab") as log:
        outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--", g.program, "serve", "-D", g.dir],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                                 # A sanitizer looks for leaks by process numbers, which are others in /proc.
                                 env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    try:
        g.log.wait_for("ready to accept connections", since)
        yield g, run.children(outer.pid)[0], outer
    finally:
        outer.kill()
        outer.wait(run.PATIENCE)


def within(pid, *argv):
    return subprocess.run(["nsenter", "-t", str(pid), "-p", "--", *argv], stdin=subprocess.DEVNULL, check=True, timeout=60)


def terminate_within(pid):
    """Who is left when PID 1 ends is killed: perhaps kill(1) itself."""
    with contextlib.suppress(subprocess.CalledProcessError):
        within(pid, "kill", "-TERM", "1")


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            return f.read().strip()
    except OSError:
        return ""


def test_as_pid_1_it_reaps_orphans_and_stops(contained):
    g, pid, outer = contained
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        assert re.search(r"^NSpid:\s+\d+\s+1$", f.read(), re.M)
    assert serves(g)
    within(pid, "sh", "-c", "(sleep 0.2 &) ; (true &)")     # both lose their parent
    run.wait_until(lambda: not {"sh", "sleep", "true"} & {name_of(child) for child in run.children(pid)},
                   "the orphans to be reaped")
    within(pid, "kill", "-HUP", "1")
    g.log.wait_for(r"\breloaded\b")
    terminate_within(pid)
    assert outer.wait(run.PATIENCE) == 0


def test_as_pid_1_it_tells_of_a_gate_that_died(contained):
    g, pid, outer = contained
    os.kill(run.gate_pid(pid), signal.SIGKILL)
    assert outer.wait(run.PATIENCE) == 128 + signal.SIGKILL
    assert "event=gate_ended" in g.words()
