"""`make quickstart`: the whole story, from a terminal and from a script, as root and as an ordinary user."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lib import run

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SCRIPT = os.path.join(ROOT, "tools", "quickstart.py")


def nothing_is_left(out):
    """The directory the story lived in is gone, and so are the processes that ran in it."""
    directory = re.search(r"/tmp/pgseal-quickstart-\w+", out).group(0)
    running = subprocess.run(["pgrep", "-f", directory], capture_output=True, text=True, check=False).stdout
    return not os.path.exists(directory) and running == ""


@pytest.fixture(scope="module")
def copied(program, scratch, pytestconfig):
    """The program and the script where every user can reach them."""
    if "gate" not in pytestconfig.getoption("--target") and pytestconfig.getoption("--target") != "all":
        pytest.skip("about the gate alone (--target)")
    there = os.path.join(scratch, "quickstart")
    os.makedirs(there)
    os.chmod(there, 0o755)
    paths = [os.path.join(there, "pgseal"), os.path.join(there, "quickstart.py")]
    for source, target in zip((program, SCRIPT), paths):
        shutil.copy(source, target)
        os.chmod(target, 0o755)
    return paths


def story_is_whole(out):
    lines = out.splitlines()
    table = {line.split()[0]: line for line in lines if line.startswith("  ") and line.split()
             and line.split()[0] in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")}
    assert len(table) == 6, out
    assert re.search(r'refused +FATAL:  no pg_hba.conf entry for host "127.0.0.1", .* no encryption', table["disable"])
    for sslmode in ("allow", "prefer", "require"):
        assert re.search(r"TLSv1\.3 +server verified: no", table[sslmode])
    assert "server verified: the CA" in table["verify-ca"]
    assert "server verified: the CA and the name" in table["verify-full"]
    assert re.search(r"version +TLSv1\.3", out) and re.search(r"bits +(128|256)", out)
    assert re.search(r"SHOW pgseal\.version; +TLSv1\.3", out)
    assert re.search(r'psql "host=localhost port=\d+ .* sslmode=verify-full sslrootcert=\S+"', out)
    return True


def test_without_a_terminal(copied):
    done = subprocess.run([sys.executable, copied[1], copied[0]], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert story_is_whole(done.stdout) and "\033" not in done.stdout
    assert nothing_is_left(done.stdout)


@pytest.mark.skipif(not run.is_root(), reason="only root can become somebody else")
def test_as_an_ordinary_user(copied):
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", "/usr/bin/python3",
                           copied[1], copied[0]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=100, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert story_is_whole(done.stdout)
    assert nothing_is_left(done.stdout)


def test_on_a_terminal_it_stays_until_ctrl_c(copied):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", COLUMNS="120")
        os.environ.pop("QUICKSTART_ONCE", None)
        os.execv("/usr/bin/python3", ["python3", copied[1], copied[0]])
    out, deadline = b"", time.monotonic() + 60
    try:
        while b"until Ctrl-C" not in out:
            assert time.monotonic() < deadline, out.decode()
            if select.select([terminal], [], [], 1)[0]:
                out += os.read(terminal, 65536)
        command = re.search(rb"PGPASSWORD=\S+ psql \"[^\"]+\"", out).group(0).decode()
        went_on = subprocess.run(["/bin/sh", "-c", command + " -XAtc 'SHOW pgseal.version'"], capture_output=True,
                                 text=True, timeout=30, check=False)
        assert went_on.stdout == "TLSv1.3\n", went_on.stderr
        os.write(terminal, b"\x03")
        _, status = os.waitpid(pid, 0)
        pid = None
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        if pid:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        os.close(terminal)
    assert b"\033[" in out and nothing_is_left(out.decode())


def test_a_program_that_fails_is_told_with_its_log(copied, scratch):
    """Exit 1, and the reason."""
    broken = os.path.join(scratch, "quickstart", "broken")
    with open(broken, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho 'pgseal: cannot' >&2\nexit 3\n")
    os.chmod(broken, 0o755)
    done = subprocess.run([sys.executable, copied[1], broken], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=100, check=False)
    assert done.returncode == 1 and "pgseal: cannot" in done.stderr
