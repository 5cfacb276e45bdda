"""A gate whose date the test sets: tests/fault/faultclock.c, preloaded."""

import mmap
import os
import struct


class Clock:
    """The page that faultclock.so reads."""

    def __init__(self, path):
        with open(path, "wb") as f:
            f.write(bytes(mmap.PAGESIZE))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.seconds = 0

    def off_by(self, seconds):
        self.seconds = seconds
        self.page[0:8] = struct.pack("q", seconds)

    def forward(self, seconds):
        self.off_by(self.seconds + seconds)


def environment(build, path):
    """What a process needs to see the Clock of this path."""
    return {"FAULTCLOCK": path, "LD_PRELOAD": os.path.join(os.path.abspath(build), "tests/fault/faultclock.so")}
