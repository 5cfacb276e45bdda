"""A gate whose date the test sets: tests/fault/faultclock.c, preloaded."""

import os
import struct

from . import run


class Clock:
    """The page that faultclock.so reads."""

    def __init__(self, path):
        self.page = run.shared_page(path)
        self.seconds = 0

    def off_by(self, seconds):
        self.seconds = seconds
        self.page[0:8] = struct.pack("q", seconds)

    def forward(self, seconds):
        self.off_by(self.seconds + seconds)


def environment(build, path):
    """What a process needs to see the Clock of this path."""
    return {"FAULTCLOCK": path, "LD_PRELOAD": os.path.join(os.path.abspath(build), "tests/fault/faultclock.so")}
