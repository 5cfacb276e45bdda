"""
pgseal harden killed with SIGKILL: whenever it happens, each file is the old one or the new one, a server that starts then
finds a configuration that it can use, and the next run puts everything back, or all was done. What every single call to
the file system leaves behind is tests/unit/harden/test_change_killed.c's; here it is the whole command and a real server.
"""

import os
import shutil
import signal
import subprocess

import pytest

from lib import run
from test_harden import HBA_OPEN, Cluster, as_operator, harden

# PGSEAL_EVERY_CALL=1: in front of each single call, which takes minutes.
EVERY_CALL = bool(os.environ.get("PGSEAL_EVERY_CALL"))
KEEP = ["--keep", "trust_on_this_machine"]


class Killed:
    """The command under a library that kills it."""

    def __init__(self, program, library, cluster):
        self.argv, self.library, self.cluster = [program, "harden", cluster.conf], library, cluster
        self.program = program

    def __call__(self, *arguments, call=None, after=None, count=None):
        """Killed in front of its n-th call, or when it has written a text? False: it came to its end."""
        env = dict(os.environ, LD_PRELOAD=self.library)
        env |= {name: str(value) for name, value in (("DIECALLS", call), ("DIECALLS_AFTER", after),
                                                     ("DIECALLS_COUNT", count)) if value is not None}
        done = subprocess.run([*self.argv, *arguments, *as_operator(self.cluster)], env=env, text=True,
                              capture_output=True, check=False, cwd="/")
        assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
        return done.returncode != 0

    def run(self, *arguments, status=0):
        return harden(self.program, self.cluster, *arguments, *as_operator(self.cluster), status=status)

    def apply(self, *arguments):
        return self.run("--apply", *KEEP, *arguments)


@pytest.fixture(scope="module")
def made(program, factory, pytestconfig):
    cluster = Cluster(factory.postgres(start=False), split=True).lay_out(hba=HBA_OPEN)
    library = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/diecalls.so")
    cluster.before = cluster.files()
    killed, path = Killed(program, library, cluster), os.path.join(cluster.server.dir, "calls")
    assert not killed("--apply", *KEEP, count=path)
    with open(path, encoding="ascii") as f:
        killed.calls = int(f.read())
    assert killed.calls > 60
    cluster.after = cluster.files()
    killed.run("--undo")
    assert cluster.files() == cluster.before != cluster.after
    return killed


@pytest.fixture
def killed(made):
    """Each test begins with stock files and without a state directory, and must end with the old files."""
    cluster = made.cluster
    cluster.state = cluster.conf + "/pgseal"
    shutil.rmtree(cluster.state, ignore_errors=True)
    yield made
    assert cluster.files() == cluster.before
    assert cluster.sql("SHOW ssl") == "off"


def how_many(cluster):
    """Of the files that harden changes, those that it has changed; each is a whole one."""
    now = cluster.files()
    assert all(now[path] in (cluster.before[path], cluster.after[path]) for path in now)
    return sum(now[path] != cluster.before[path] for path in now)


@pytest.mark.parametrize("step, files", [("backup", 0), ("replace", 0), ("check", 2), ("prove", 2)])
def test_apply_is_killed(killed, step, files):
    cluster = killed.cluster
    assert killed("--apply", *KEEP, after=f"Z {step} 1\n")
    assert how_many(cluster) == files
    if step == "prove":
        assert cluster.sql("SHOW ssl") == "on"
    said = killed.run(status=1)
    assert f'A run was interrupted at the step "{step}". The next run of pgseal harden with --apply or --undo' in said
    said = killed.run("--undo", status=1)
    assert f'An earlier run was interrupted at the step "{step}"' in said and "there is no change to undo" in said
    assert ("All files are as they were before it." in said) == (step != "backup")


def test_killed_between_two_files(killed):
    """Half of the files are new when the server starts; it does, and the next run begins with the old ones."""
    cluster = killed.cluster
    call = killed.calls - 14                            # some way behind the last rename
    while killed("--apply", *KEEP, call=call) and how_many(cluster) != 1:
        assert how_many(cluster) == 2
        killed.run("--undo", status=1)
        shutil.rmtree(cluster.state)
        call -= 1
    cluster.server.restart()
    assert "An earlier run was interrupted" in killed.apply()
    assert cluster.files() == cluster.after and cluster.sql("SHOW ssl") == "on"
    killed.run("--undo")


def test_killed_when_all_is_done(killed):
    cluster = killed.cluster
    assert killed("--apply", *KEEP, after="Z done 1 apply\n")
    assert cluster.files() == cluster.after
    assert "Nothing to change" in killed.apply()
    assert [name for name in os.listdir(cluster.conf) if name.startswith(".")] == []
    killed.run("--undo")


@pytest.mark.parametrize("step", ["replace", "prove"])
def test_undo_is_killed(killed, step):
    """Then the change stays in force, and can be taken back."""
    cluster = killed.cluster
    killed.apply()
    assert killed("--undo", after=f"Z {step} 2\n")
    assert how_many(cluster) == (2 if step == "replace" else 0)
    said = killed.apply()
    assert "All files are as they were before it." in said and "Nothing to change" in said
    assert cluster.files() == cluster.after and cluster.sql("SHOW ssl") == "on"
    killed.run("--undo")


def test_killed_while_the_certificate_is_made(killed):
    """Whatever was begun, the next run brings it to its end."""
    cluster = killed.cluster
    for call in range(1, killed.calls + 1) if EVERY_CALL else (6, 20, 36):
        shutil.rmtree(cluster.state, ignore_errors=True)
        assert killed("--apply", *KEEP, call=call)
        killed.apply()
        assert cluster.files() == cluster.after
        killed.run("--undo")
        assert cluster.files() == cluster.before


def test_nobody_can_log_in_to_ask_for_a_reload(killed):
    """The way back does not need a session: SIGHUP will do."""
    cluster = killed.cluster
    assert killed("--apply", *KEEP, after="Z prove 1\n")
    assert cluster.sql("SHOW ssl") == "on"
    stranger = f"host={cluster.server.socket_dir} port={cluster.server.port} user=nosuchrole dbname=postgres"
    said = harden(killed.program, cluster, "--apply", *KEEP, "--conninfo", stranger, status=1)
    assert "All files are as they were before it." in said and "nosuchrole" in said
    run.wait_until(lambda: cluster.sql("SHOW ssl") == "off", "the server to load the old files")


def test_undo_without_a_server_or_a_login(killed):
    """Who cannot log in any more, or whose server does not start, needs the old files most."""
    cluster = killed.cluster
    killed.apply()
    stranger = f"host={cluster.server.socket_dir} port={cluster.server.port} user=nosuchrole dbname=postgres"
    assert "SIGHUP" in harden(killed.program, cluster, "--undo", "--conninfo", stranger)
    assert cluster.files() == cluster.before
    run.wait_until(lambda: cluster.sql("SHOW ssl") == "off", "the server to load the old files")
    killed.apply()
    cluster.server.stop()
    assert "it reads the files when it starts" in killed.run("--undo")
    assert cluster.files() == cluster.before
    cluster.server.start()


def served(cluster):
    """The certificate's file in the settings, and who it is for."""
    path = cluster.sql("SHOW ssl_cert_file")
    done = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-ext", "subjectAltName"], capture_output=True, text=True,
                          check=True)
    return os.path.basename(path), [name.split(",")[0].strip() for name in done.stdout.split("DNS:")[1:]]


def test_a_certificate_in_use_is_never_overwritten(killed):
    cluster = killed.cluster
    killed.apply("--only", "tls_off", "--host", "one.example")
    assert served(cluster) == ("server.crt", ["one.example"])
    assert killed("--apply", *KEEP, "--host", "two.example", after="Z check 2\n")
    cluster.server.restart()
    killed.run("--undo")                                # of the first; the second did not come to its end
    assert cluster.files() == cluster.before
    killed.apply("--host", "two.example")
    assert served(cluster)[1] == ["two.example", "one.example"] and served(cluster)[0] != "server.crt"
    killed.run("--undo")
