"""
An upgrade in which somebody else goes away, hangs, or hears what was not meant for him.
"""

import contextlib
import os
import resource
import signal
import subprocess

import pytest

from lib import run
from lib.wire import Conn
from test_upgrade import HBA, alone, newest, script, serves, session, speaker, upgrade

TAKES_ALL = ("while link.recv(65536)[:1] != b'E': pass\nlink.send(b'P')\n"
             "while link.recv(65536)[:1] != b'D': pass\nlink.send(b'R')\nsignal.pause()")


@pytest.fixture(scope="module")
def gate(factory):
    g = factory.gate(hba=HBA)
    yield g
    factory.stop(g)


def test_who_asked_may_leave(gate):
    """Ctrl-C: the answer is for nobody, and nobody else ends by that."""
    slow = script(gate, "slow", f"#!/bin/sh\nwhile [ ! -e {gate.path('go')} ]; do sleep 0.05; done\nexec {gate.program} \"$@\"\n")
    mark, before = gate.log.mark(), newest(gate)
    with session(gate) as c, subprocess.Popen([gate.program, "upgrade", "-D", gate.dir, "--binary", slow],
                                              stdout=subprocess.PIPE, text=True) as asker:
        assert "checks" in asker.stdout.readline()
        asker.kill()
        asker.wait(run.PATIENCE)
        gate.write("go", "")
        gate.log.wait_for("event=upgraded", mark)
        assert gate.process.poll() is None and newest(gate) != before
        assert c.value("SELECT 1") == "1" and serves(gate)
    alone(gate)


def test_the_request_is_for_the_parent_alone(gate):
    """systemctl kill -s USR2 sends it to all of them."""
    for _ in range(2):
        with Conn(gate, unix=True) as c:
            c.ready(database="pgseal")
            assert c.value("SELECT 1") == "1"       # a clerk answers
            children = run.children(gate.process.pid)
            assert len(children) >= 2
            for child in children:
                os.kill(child, signal.SIGUSR2)
            assert c.value("SELECT 2") == "2"
        assert serves(gate) and run.children(gate.process.pid) == children
        upgrade(gate)
        alone(gate)


def test_who_stayed_ends_last(make_gate):
    """The gate has stopped, and one before it still has a session; with that the service ends."""
    g = make_gate(hba=HBA)
    with Conn(g):                               # it says nothing, and stays
        before = newest(g)
        upgrade(g)
        serving = newest(g)
        os.kill(serving, signal.SIGINT)
        run.wait_until(lambda: serving not in run.children(g.process.pid), "the gate to end")
        assert g.process.poll() is None
        os.kill(before, signal.SIGINT)
        assert g.process.wait(run.PATIENCE) == 0


def test_too_few_descriptors(make_gate):
    g = make_gate(hba=HBA)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(session(g)) for _ in range(40)]
        few = len(os.listdir(f"/proc/{newest(g)}/fd")) - 20
        resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (few, few))
        assert "too many open files" in upgrade(g, status=1)
        assert all(c.value("SELECT 1") == "1" for c in sessions)
    assert serves(g)


def test_it_has_all_and_does_not_serve(make_gate):
    """Nobody is told that it serves, and the parent does not become what hangs."""
    g = make_gate(hba=HBA)
    hangs = speaker(g, TAKES_ALL)
    before = run.command_line(g.process.pid)[0]
    said = upgrade(g, "--binary", hangs, status=3)
    assert "does not say that it serves" in said and "serves on" not in said
    assert run.command_line(g.process.pid)[0] == before and g.process.poll() is None
