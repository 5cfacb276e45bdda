"""Machines that are network namespaces. Root makes them."""

import contextlib
import ctypes
import os
import subprocess

from . import run


class Machine:
    """A network of its own, with one card."""

    def __init__(self, address=None):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep infinity"],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"\n"
        self.address = address

    def stop(self):
        self.process.kill()
        self.process.wait(run.PATIENCE)
        self.process.stdout.close()

    @contextlib.contextmanager
    def inside(self):
        """What this thread starts or opens meanwhile is the machine's."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self.process.pid}/ns/net", "rb") as there:
            assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home.fileno(), 0) == 0

    def sh(self, script):
        with self.inside():
            return subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True,
                                  env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}).stdout
