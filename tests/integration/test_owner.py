"""Root and the service's account administer the same directory: what root makes there belongs to the account."""

import os
import pwd
import stat
import subprocess

import pytest

from lib import run

pytestmark = pytest.mark.skipif(not run.is_root(), reason="wants root")


@pytest.fixture(scope="module")
def account():
    return pwd.getpwnam(run.SERVER_USER).pw_uid


@pytest.fixture
def place(scratch, tmp_path):
    """A directory that every user may enter, and root's alone."""
    path = os.path.join(scratch, tmp_path.name)
    os.mkdir(path)
    return path


class As:
    def __init__(self, program, place):
        self.program, self.place = program, place

    def _run(self, argv, status):
        done = subprocess.run(argv, cwd=self.place, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def root(self, *words, status=0):
        return self._run([self.program, *words], status)

    def account(self, *words, status=0):
        return self._run(run.demoted([self.program, *words]), status)


@pytest.fixture
def commands(program, place):
    return As(program, place)


@pytest.fixture
def gate_dir(commands, place):
    """Made by root in a directory that the account has been given, as dist/pgseal.service says."""
    path = os.path.join(place, "gate")
    os.mkdir(path, 0o700)
    run.give_to_server(path)
    commands.root("init", path, "--host", "localhost", "--port", str(run.free_port()))
    return path


def owners(directory):
    found = {directory: os.stat(directory).st_uid}
    for where, dirs, files in os.walk(directory):
        found.update({os.path.join(where, name): os.lstat(os.path.join(where, name)).st_uid for name in dirs + files})
    return found


def test_what_root_makes_belongs_to_the_account(commands, gate_dir, account):
    commands.root("cert", "issue", "-D", gate_dir, "alice", "--for", "jdbc", "--passphrase-command", "echo x")
    commands.root("cert", "issue", "-D", gate_dir, "bob")
    commands.root("cert", "renew", "-D", gate_dir, "server")
    commands.root("cert", "renew", "-D", gate_dir, "bob", "--keep-key")
    commands.root("cert", "revoke", "-D", gate_dir, "alice")
    commands.root("ca", "init", os.path.join(gate_dir, "ca2"))
    assert set(owners(gate_dir).values()) == {account}, owners(gate_dir)
    # And the account goes on where root has been.
    commands.account("cert", "issue", "-D", gate_dir, "carol")
    commands.account("cert", "renew", "-D", gate_dir, "server")
    commands.account("cert", "revoke", "-D", gate_dir, "bob", "--all")
    assert "can start" in commands.root("serve", "-D", gate_dir, "--check")
    assert set(owners(gate_dir).values()) == {account}, owners(gate_dir)


def test_files_elsewhere_belong_to_whom_their_directory_does(commands, place, gate_dir, account):
    for name, owner in (("roots", 0), ("theirs", account)):
        os.mkdir(os.path.join(place, name), 0o700)
        os.chown(os.path.join(place, name), owner, -1)
        commands.root("cert", "issue", "-D", gate_dir, "db", "--host", "db", "--out", name)
        assert set(owners(os.path.join(place, name)).values()) == {owner}
    commands.root("cert", "issue", "-D", gate_dir, "x", "--host", "x", "--out", "roots", "--owner", run.SERVER_USER)
    assert os.stat(os.path.join(place, "roots", "x.key")).st_uid == account
    commands.root("cert", "issue", "-D", gate_dir, "y", "--host", "y")      # where root stands
    assert os.stat(os.path.join(place, "y.key")).st_uid == 0


@pytest.mark.parametrize("name", ["clients", "ca", "tls"])
def test_the_accounts_links_lead_root_nowhere(commands, place, gate_dir, name):
    """Whoever has the account could have put them there, and is not to write where only root may."""
    commands.root("cert", "issue", "-D", gate_dir, "alice")
    roots = os.path.join(place, "roots")
    os.rename(os.path.join(gate_dir, name), roots)
    subprocess.run(["chown", "-R", "0:0", roots], check=True)
    os.symlink(roots, os.path.join(gate_dir, name))
    before = {path: os.stat(path).st_mtime_ns for path in owners(roots)}
    verb = ("renew", "server") if name == "tls" else ("issue", "bob")
    assert "denied" in commands.root("cert", verb[0], "-D", gate_dir, verb[1], status=3)
    assert {path: os.stat(path).st_mtime_ns for path in owners(roots)} == before


def test_check_runs_the_accounts_programs_as_the_account(commands, place, gate_dir, account):
    told = os.path.join(place, "told")
    key = os.path.join(gate_dir, "tls/server.key")      # the command is run for a key that has a passphrase
    encrypted = subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x"], capture_output=True, check=True).stdout
    with open(key, "wb") as f:
        f.write(encrypted)
    with open(os.path.join(gate_dir, "pgseal.conf"), "a", encoding="utf-8") as conf:
        conf.write(f"ssl_passphrase_command = 'id -u > {told} && echo x'\n")
    os.chmod(place, 0o777)
    commands.root("serve", "-D", gate_dir, "--check")
    with open(told, encoding="utf-8") as f:
        assert f.read() == f"{account}\n"


def test_serving_as_root_says_whom_to_become(commands, gate_dir):
    said = commands.root("serve", "-D", gate_dir, status=1)
    assert "must be owned by the database user or root" in said
    assert f"It belongs to {run.SERVER_USER}: run this as that user, with runuser -u {run.SERVER_USER} --" in said


def test_keys_stay_secret(commands, gate_dir):
    commands.root("cert", "issue", "-D", gate_dir, "alice")
    key = os.stat(os.path.join(gate_dir, "clients", "alice.key"))
    assert stat.S_IMODE(key.st_mode) == 0o600 and stat.S_IMODE(os.stat(os.path.join(gate_dir, "clients")).st_mode) == 0o700
