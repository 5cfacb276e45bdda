"""
`pgseal upgrade`: another program takes the gate over, and nobody notices; or it does not, and nobody notices either.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from lib import manager, pki, run
from lib.howto import ROOT
from lib.wire import Conn
from test_parent import alive, contained, terminate_within, within  # noqa: F401  (a fixture)

HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def upgrade(gate, *arguments, status=0):
    """What the command says."""
    done = subprocess.run([gate.program, "upgrade", "-D", gate.dir, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=run.PATIENCE, check=False, cwd="/")
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def gates(gate):
    """The parent's children that are gates, the oldest first."""
    found = []
    for child in run.children(gate.process.pid):
        with contextlib.suppress(FileNotFoundError):        # it ends at this moment
            if "serve" in run.command_line(child):
                found.append(child)
    return found


def newest(gate):
    """The gate's process that serves."""
    return gates(gate)[-1]


def alone(gate):
    """Nobody is left of those before."""
    run.wait_until(lambda: len(gates(gate)) == 1, "the old generation to end")


def serves(gate):
    with Conn(gate) as c:
        c.ready()
        return c.value("SELECT 1") == "1"


@contextlib.contextmanager
def session(gate, **how):
    with Conn(gate, **how) as c:
        c.ready()
        yield c


def script(gate, name, text):
    pki.write_file(gate.path(name), text, 0o755)
    return gate.path(name)


@pytest.fixture(scope="module")
def gate(factory, certs):
    g = factory.gate(hba=HBA, tls={"cert": certs.server}, settings={"http_listen": f"127.0.0.1:{run.free_port()}"})
    yield g
    factory.stop(g)


# -- it takes over ----------------------------------------------------------------------------------------------------
def test_another_process_serves(gate):
    parent, before = gate.process.pid, newest(gate)
    mark = gate.log.mark()
    assert "the gate runs the new program" in upgrade(gate)
    assert gate.process.poll() is None and newest(gate) != before
    assert serves(gate)
    alone(gate)
    with open(gate.path("pgseal.lock"), encoding="ascii") as f:
        assert int(f.read()) == parent
    assert "event=ready" in gate.words(mark) and "event=upgraded" in gate.words(mark)
    second = subprocess.run([gate.program, "serve", "-D", gate.dir], capture_output=True, text=True, check=False,
                            timeout=run.PATIENCE)
    assert second.returncode == 1 and str(parent) in second.stderr      # the lock has passed on, too
    assert json.loads(upgrade(gate, "--json"))["upgraded"] is True


def test_history_and_metrics_go_on(gate):
    with contextlib.closing(socket.create_connection(("127.0.0.1", int(gate.settings["http_listen"].split(":")[1])))) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.")
    with session(gate, unix=True) as c:
        before = c.value("SELECT 1")
    upgrade(gate)
    with Conn(gate, unix=True) as c:
        c.ready(database="pgseal")
        rows = c.value("SELECT count(*) FROM pgseal_generations WHERE trigger = 'upgrade'")
        assert int(rows) >= 1 and before == "1"
        assert c.value("SELECT trigger FROM pgseal_generations ORDER BY generation LIMIT 1") == "start"
    assert "generation" in gate.reload()
    assert serves(gate)


def test_nobody_is_refused_meanwhile(gate):
    failures, count, over = [], [0], threading.Event()

    def knock(unix):
        while not over.is_set():
            try:
                with session(gate, unix=unix) as c:
                    assert c.value("SELECT 1") == "1"
                count[0] += 1
            except Exception as e:      # whatever it is, it is one
                failures.append(repr(e))
                return

    threads = [threading.Thread(target=knock, args=(unix,)) for unix in (False, False, True)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        upgrade(gate)
    over.set()
    for thread in threads:
        thread.join()
    assert not failures and count[0] > 10


def test_twenty_times_nothing_grows(gate):
    """Landlock knows sixteen layers; a descriptor too many each time would be seen."""
    upgrade(gate)
    alone(gate)

    def descriptors(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    parent, before = gate.process.pid, (descriptors(gate.process.pid), descriptors(newest(gate)))
    mark = gate.log.mark()
    for _ in range(20):
        upgrade(gate)
        alone(gate)
    assert serves(gate)
    run.wait_until(lambda: descriptors(parent) <= before[0] and descriptors(newest(gate)) <= before[1] + 2,
                   "no more descriptors than before")
    if not run.sanitized(gate.program):
        assert gate.words(mark).count('confined writing="own directories"') == 20


def test_signals_after_it(make_gate):
    g = make_gate(hba=HBA)
    upgrade(g)
    alone(g)
    assert "reloaded" in g.reload()
    with session(g) as c:
        g.kill(signal.SIGTERM)
        assert c.rest() is not None             # 57P01 at its idle moment
    assert g.process.wait(run.PATIENCE) == 0


def test_killed_after_it_is_a_crash(make_gate):
    g = make_gate(hba=HBA)
    upgrade(g)
    os.kill(newest(g), signal.SIGKILL)
    assert g.process.wait(run.PATIENCE) == -signal.SIGKILL
    assert "event=gate_ended" in g.words()
    assert serves(g.restart())


@pytest.mark.parametrize("called", ["absolute", "relative", "found"])
def test_the_link_is_followed_anew(make_gate, monkeypatch, called):
    """As after `ln -sf pgseal-1.3 /usr/local/bin/pgseal`: the path counts, not the file that it led to at the start."""
    g = make_gate(start=False, hba=HBA)
    program, link = g.program, g.path("pgseal")
    for version in ("1.2", "1.3", "1.4"):
        shutil.copy(program, g.path(f"pgseal-{version}"))
    os.symlink("pgseal-1.2", link)
    monkeypatch.setenv("PATH", f"{g.dir}:{os.environ['PATH']}")
    g.program = {"absolute": link, "relative": link.lstrip("/"), "found": "pgseal"}[called]     # it starts in "/"
    g.start()
    g.program = program                     # which asks
    for version in ("1.3", "1.4"):
        os.symlink(f"pgseal-{version}", g.path("next"))
        os.replace(g.path("next"), link)
        upgrade(g)
        alone(g)
        for pid in (g.process.pid, newest(g)):
            assert os.readlink(f"/proc/{pid}/exe") == os.path.realpath(link) == g.path(f"pgseal-{version}")
    assert serves(g)


def test_a_link_that_leads_nowhere(make_gate):
    g = make_gate(start=False, hba=HBA)
    program, g.program = g.program, g.path("pgseal")
    os.symlink(program, g.program)
    g.start()
    link, g.program = g.program, program
    os.remove(link)
    assert "No such file or directory" in upgrade(g, status=3)
    os.symlink("/bin/false", link)
    assert "ended with status 1" in upgrade(g, status=1)
    assert serves(g)


# -- it does not --------------------------------------------------------------------------------------------------------
def refused(gate, program, reason):
    before = newest(gate)
    with session(gate) as c:
        assert re.search(reason, upgrade(gate, "--binary", program, status=1))
        assert c.value("SELECT 1") == "1"
    run.wait_until(lambda: newest(gate) == before, "the successor to end")
    assert serves(gate)


def test_a_program_that_is_none(gate):
    before = newest(gate)
    assert "No such file" in upgrade(gate, "--binary", gate.path("nothing"), status=3)
    assert "is not a program" in upgrade(gate, "--binary", gate.path("pg_hba.conf"), status=3)
    refused(gate, "/bin/false", "ended with status 1")
    refused(gate, "/bin/true", "ended before it took over")
    assert newest(gate) == before


def test_a_program_that_crashes(gate):
    refused(gate, script(gate, "crashes", "#!/bin/sh\nkill -SEGV $$\n"), "terminated by signal 11")
    refused(gate, script(gate, "later", f"#!/bin/sh\n[ \"$(eval echo \\$$#)\" != --check ] || exec {gate.program} \"$@\"\n"
                         "kill -SEGV $$\n"), "terminated by signal 11|ended before it took over")


@contextlib.contextmanager
def with_line(gate, name, line):
    """A file of the gate has one line more; in the end it is what it was."""
    with open(gate.path(name), encoding="ascii") as f:
        before = f.read()
    gate.write(name, f"{before}\n{line}\n")
    try:
        yield
    finally:
        gate.write(name, before)


def test_files_that_do_not_load(gate):
    with with_line(gate, "pg_hba.conf", "nonsense"):
        assert "invalid connection type" in upgrade(gate, status=1)
    assert serves(gate)


def test_another_port_needs_a_restart(gate):
    other = run.free_port()
    with with_line(gate, "pgseal.conf", f"port = {other}"):
        assert (f'parameter "port" cannot be changed without restarting the server: the running gate has "{gate.port}", '
                f'the files have "{other}"') in upgrade(gate, status=1)
    assert serves(gate)


def test_the_number_of_workers_stays(gate):
    def workers():
        address = gate.settings["http_listen"]
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            return re.search(r"^pgseal_workers (\d+)$", answer.read().decode(), re.MULTILINE).group(1)

    had, mark = workers(), gate.log.mark()
    with with_line(gate, "pgseal.conf", "workers = 7"):
        upgrade(gate)
        assert 'parameter "workers" cannot be changed without restarting the server' in gate.words(mark)
        assert workers() == had != "7"
    upgrade(gate)
    alone(gate)
    assert serves(gate)


SPEAKS = """#!{python}
import os, signal, socket, struct, sys
if sys.argv[-1] == "--check":
    sys.exit(0)
signal.signal(signal.SIGINT, signal.SIG_DFL)     # a shell's background jobs ignore it, and Python would, too
link = socket.socket(fileno=5)
link.send(b"V" + struct.pack("=II", {form}, {pack}))
{rest}
"""


def form(header, name):
    with open(ROOT / "src" / header, encoding="utf-8") as f:
        return int(re.search(name + r" = (\d+)", f.read()).group(1))


FAMILY_FORM, PACK_FORM = form("os/family.h", "FAMILY_FORMAT"), form("gate/session/pack.h", "PACK_FORMAT")


def speaker(gate, rest, family=FAMILY_FORM):
    """A successor that does what a test says."""
    return script(gate, "speaks", SPEAKS.format(python=sys.executable, form=family, pack=PACK_FORM, rest=rest))


@pytest.mark.parametrize("family, rest, reason", [
    (99, "link.recv(65536)", rf"hand-over format 99\.\d+, the running one has {FAMILY_FORM}\.{PACK_FORM}: a restart is needed"),
    (FAMILY_FORM, "link.send(b'?nonsense')\nlink.recv(65536)\nsignal.pause()", "something else than expected"),
    (FAMILY_FORM, "link.send(b'R')\nsignal.pause()", "something else than expected"),
    (FAMILY_FORM, "while link.recv(65536)[:1] != b'E': pass\nlink.send(b'!my own reason')\nsignal.pause()", "my own reason"),
], ids=["format", "nonsense", "too early", "its own reason"])
def test_what_a_successor_may_say(gate, family, rest, reason):
    refused(gate, speaker(gate, rest, family), reason)


def test_killed_at_each_step_before_commit(make_gate, certs, pytestconfig):
    """In front of each packet in turn; nobody notices. Killed in front of the last one, COMMIT, it was the gate already."""
    g = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"workers": "1"})
    library = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/dielink.so")
    before, kills = newest(g), 0
    with session(g) as c:
        for n in range(1, 200):
            program = script(g, "dies", f"#!/bin/sh\nLD_PRELOAD={library} DIELINK={n} exec {g.program} \"$@\"\n")
            mark = g.log.mark()
            done = subprocess.run([g.program, "upgrade", "-D", g.dir, "--binary", program], capture_output=True,
                                  text=True, timeout=run.PATIENCE, check=False)
            if "event=handed_over" in g.log.text(mark):
                break
            assert "terminated by signal 9" in done.stderr or "ended before it took over" in done.stderr, done.stderr
            run.wait_until(lambda: newest(g) == before, "the successor to end")     # noqa: B023
            assert c.value("SELECT 1") == "1"
            kills = n
    assert kills > 12
    if done.returncode == 0:                # its packets came in fewer pieces this time; one may still come, the link's end
        with contextlib.suppress(subprocess.TimeoutExpired):
            g.process.wait(3)
        if g.process.returncode is None:
            assert newest(g) != before and serves(g)
            return
    else:
        assert done.returncode == 3, done.stdout + done.stderr
    assert g.process.wait(run.PATIENCE) == -signal.SIGKILL and "event=gate_ended" in g.words()
    assert serves(g.restart())


def test_one_at_a_time(gate):
    waits = script(gate, "waits", "#!/bin/sh\nexec sleep 60\n")
    with subprocess.Popen([gate.program, "upgrade", "-D", gate.dir, "--binary", waits], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as first:
        assert "checks" in first.stdout.readline()
        assert "another upgrade is under way" in upgrade(gate, status=1)
        checker = run.wait_until(lambda: [child for child in run.children(gate.process.pid)
                                          if "sleep" in run.command_line(child)[:1]], "the check")[0]
        os.kill(checker, signal.SIGKILL)
        assert "terminated by signal 9" in first.communicate()[1] and first.returncode == 1
    assert serves(gate)


def test_no_gate_no_upgrade(make_gate):
    g = make_gate(start=False, hba=HBA)
    assert "no gate runs on" in upgrade(g, status=3)


# -- who else there is --------------------------------------------------------------------------------------------------
def test_the_manager_hears_it(make_gate, scratch, monkeypatch):
    path = os.path.join(scratch, "notify-upgrade")
    with manager.listening(path) as listen:
        def hear():
            data, pid = listen()
            assert pid == g.process.pid
            return data.split(b"\n")[0]

        g = make_gate(start=False, hba=HBA)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        g.start()
        assert hear() == b"READY=1"
        for program, status in ((g.program, 0), ("/bin/false", 1)):
            upgrade(g, "--binary", program, status=status)
            heard = [hear(), hear()]
            while status == 0 and len(heard) < 3:
                heard.append(hear())
            assert heard[0] == b"RELOADING=1" and set(heard[1:]) == {b"READY=1"}
        g.kill(signal.SIGINT)
        assert hear() == b"STOPPING=1"
        assert g.process.wait(run.PATIENCE) == 0


@pytest.mark.skipif(not shutil.which("nsenter"), reason="nsenter is not installed")
def test_as_pid_1_of_a_container(contained):      # noqa: F811
    g, pid, outer = contained
    before = run.gate_pid(pid)
    within(pid, "kill", "-USR2", "1")
    g.log.wait_for("event=upgraded")
    run.wait_until(lambda: not alive(before), "the old generation to end")
    assert run.command_line(pid)[1] == "serve" and run.gate_pid(pid) != before
    with Conn(g) as c:
        c.ready()
        assert c.value("SELECT 1") == "1"
    terminate_within(pid)
    assert outer.wait(run.PATIENCE) == 0


def test_in_a_terminal(make_gate):
    """Ctrl-C reaches parent and gate at once, after an upgrade as before."""
    g = make_gate(hba=HBA)
    upgrade(g)
    alone(g)
    assert {os.getpgid(child) for child in run.children(g.process.pid)} == {os.getpgid(g.process.pid)}
    os.killpg(g.process.pid, signal.SIGINT)
    assert g.process.wait(run.PATIENCE) == 0 and "gate_ended" not in g.words()
