"""Processes, ports and logs. Whatever has to happen is waited for by its event, never by a fixed sleep."""

import collections
import mmap
import os
import random
import re
import shutil
import socket
import tempfile
import time

SERVER_USER = "postgres"
PATIENCE = 60.0             # seconds that something may take which must happen: a busy machine pauses for many


def is_root():
    return os.geteuid() == 0


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
        return f.read().split("\0")[:-1]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def gate_pid(parent):
    """`serve` is a small parent; its first child is the gate, the others are clerks, or about to become one."""
    return next(child for child in children(parent) if "serve" in command_line(child))


def clerk_pids(parent):
    """Those that run; of one that has ended nothing is left but a number."""
    return [child for child in children(parent) if command_line(child)[1:] == ["clerk"]]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
            return True
    except OSError:
        return False


def demoted(argv):
    """PostgreSQL refuses to run as root: there its commands run as Debian's `postgres` user."""
    if is_root():
        return ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--init-groups", "--"] + argv
    return argv


def give_to_server(path):
    """Hand a file or directory to the user PostgreSQL runs as."""
    if is_root():
        shutil.chown(path, SERVER_USER, SERVER_USER)


def scratch_dir():
    """A directory every user may enter, with a path short enough for unix sockets."""
    path = tempfile.mkdtemp(prefix="pgseal-", dir="/tmp")
    os.chmod(path, 0o755)
    return path


def sanitized(program):
    """Built with AddressSanitizer or ThreadSanitizer: several times slower, and with memory of its own."""
    with open(program, "rb") as f:
        content = f.read()
    return b"__asan_init" in content or b"__tsan_init" in content


# Whoever connects takes a port of the kernel's range, on any of the machine's addresses, and is then in the way of
# who wants to listen there on all of them: so listeners live below it.
FIRST_PORT = 10000
KEPT = 256                  # of the ports given out last, nobody else's test is given one


def _ports():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        end = max(int(f.read().split()[0]), FIRST_PORT + 5000)
    port = random.randrange(FIRST_PORT, end)
    while True:
        yield port
        port = port + 1 if port + 1 < end else FIRST_PORT


def _nobody_listens(port):
    with socket.socket(socket.AF_INET6 if has_ipv6() else socket.AF_INET) as s:     # ::, and with it 0.0.0.0
        try:
            s.bind(("", port))
            return True
        except OSError:
            return False


_candidates = _ports()
_claims = collections.deque(maxlen=KEPT)


def free_port():
    """A TCP port nobody listens on, on any address, and that no other process of the tests is about to use."""
    for port in _candidates:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0pgseal-tests-port-{port}")
        except OSError:
            claim.close()
            continue
        if _nobody_listens(port):
            _claims.append(claim)
            return port
        claim.close()
    raise AssertionError("unreachable")


def wait_until(condition, what, timeout=PATIENCE):
    """Wait until condition() is true and return its value; `what` is for the message when it never is."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(0.01)


class Log:
    """A server's log file, read from a remembered place."""

    def __init__(self, path):
        self.path = path

    def mark(self):
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def text(self, since=0):
        try:
            with open(self.path, "rb") as f:
                f.seek(since)
                return f.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def wait_for(self, pattern, since=0, timeout=PATIENCE):
        """The first match of a regular expression behind `since`; fails with what was logged instead."""
        expression = re.compile(pattern)
        try:
            return wait_until(lambda: expression.search(self.text(since)), f"log line /{pattern}/", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; the log says:\n{self.text(since)[-4000:]}") from None


def shared_page(path):
    """A page in a file at `path`, zeroed: what a preloaded library of tests/fault obeys."""
    with open(path, "wb") as f:
        f.truncate(mmap.PAGESIZE)
    with open(path, "r+b") as f:
        return mmap.mmap(f.fileno(), mmap.PAGESIZE)
