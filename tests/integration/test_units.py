"""What dist/ ships for systemd and cron: units that systemd takes, shut in as promised, and a line that cron can run."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

DIST = pathlib.Path(__file__).resolve().parents[2] / "dist"
UNITS = sorted([*DIST.glob("*.service"), *DIST.glob("*.timer")])
# The exposure that `systemd-analyze security` may find, in tenths; rotate is root, to become the owner of a directory.
EXPOSURE = {"pgseal.service": 15, "pgseal-rotate.service": 30, "pgseal-monitor.service": 13}

systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


@pytest.fixture(scope="module")
def units(program, tmp_path_factory):
    """The units with the program's path in them, as an installation has them."""
    directory = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        (directory / unit.name).write_text(unit.read_text(encoding="utf-8").replace("/usr/bin/pgseal", program),
                                           encoding="utf-8")
    return directory


def analyze(*words):
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, words)], capture_output=True, text=True, check=False)


@systemd
def test_systemd_takes_them(units):
    done = analyze("verify", "--man=no", *sorted(units.iterdir()))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@systemd
@pytest.mark.parametrize("unit", [u.name for u in UNITS if u.suffix == ".service"])
def test_they_are_shut_in(units, unit):
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE[unit]}", units / unit)
    assert done.returncode == 0, done.stdout


@systemd
def test_the_timers_calendar():
    text = (DIST / "pgseal-rotate.timer").read_text(encoding="utf-8")
    assert analyze("calendar", re.search("^OnCalendar=(.*)$", text, re.M).group(1)).returncode == 0
    assert "RandomizedDelaySec=" in text and "Persistent=yes" in text


def test_the_line_for_cron(tmp_path):
    """As cron does it: the sixth word on, with \\% for %, given to SHELL with PATH."""
    text = (DIST / "cron.d/pgseal-rotate").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    line, = re.findall(r"^(?:\S+ ){5}root (.*)$", text, re.M)
    assert not re.search(r"(?<!\\)%", line)             # cron takes it for the end of the line
    for name in ("sleep", "pgseal"):
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\necho {name} \"$@\" >>{tmp_path}/told\n", encoding="utf-8")
        stub.chmod(0o755)
    done = subprocess.run([settings["SHELL"], "-c", line.replace("\\%", "%")], capture_output=True, text=True, check=True,
                          env={"PATH": f"{tmp_path}:{settings['PATH']}"})
    slept, ran = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert 0 <= int(slept.split()[1]) < 2400 and ran == "pgseal rotate -D /etc/pgseal"
    assert done.stdout == done.stderr == ""             # cron would send it by mail


def test_the_hooks_can_be_run():
    for hook in (DIST / "hooks").iterdir():
        assert os.stat(hook).st_mode & stat.S_IXUSR, hook
        subprocess.run(["sh", "-n", hook], check=True)
