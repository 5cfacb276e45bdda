"""A gate under test: its directory, its process, its log."""

import contextlib
import os
import signal
import subprocess

from . import pki, run
from .pg import SECRETS, conf_text, tls_settings

BASE_SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "1000", "workers": "2",
                 "log_connections": "on", "log_disconnections": "on"}


def userlist(secrets):
    """PgBouncer's userlist format, which `auth_file` has."""
    return "".join(f'"{user}" "{secret}"\n' for user, secret in secrets.items())


class Gate:
    """
    One gate. Unless told otherwise it judges passwords itself (`auth_source = file`, the secrets every test
    cluster has) before an upstream that trusts its unix socket: so it offers exactly what PostgreSQL offers.

    upstream    a pg.Postgres, a conninfo, or None.
    tls         as for pg.Postgres.
    """

    is_gate = True
    name = "gate"
    major = 18
    gss = False

    def __init__(self, program, directory, upstream, settings=None, hba="", ident="", tls=None):
        self.program = program
        self.dir = directory
        self.data = directory
        self.host = "127.0.0.1"
        self.port = run.free_port()
        self.socket_dir = directory
        self.log = run.Log(os.path.join(directory, "gate.log"))
        self.process = None
        self.upstream = upstream
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.settings = {"auth_source": "file", "auth_file": self.write("userlist.txt", userlist(SECRETS), 0o600),
                         "upstream_login": "trust"}
        self.configure(settings or {}, hba, ident, tls)

    # -- configuration -----------------------------------------------------------------------------------------
    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content, mode=0o644):
        path = self.path(name)
        pki.write_file(path, content, mode)
        return path

    def conninfo(self):
        if self.upstream is None or isinstance(self.upstream, str):
            return self.upstream
        return f"host={self.upstream.socket_dir} port={self.upstream.port}"

    def configure(self, settings=None, hba=None, ident=None, tls=None):
        """Write configuration files; a running gate needs reload() or restart() to see them."""
        if tls is not None:
            self.settings.update(tls_settings(self, tls))
        for setting, value in (settings or {}).items():
            if value is None:
                self.settings.pop(setting, None)
            else:
                self.settings[setting] = value
        own = {"port": self.port, "unix_socket_directories": self.socket_dir}
        if self.upstream:
            own["upstream"] = self.conninfo()
        self.write("pgseal.conf", conf_text({**BASE_SETTINGS, **own, **self.settings}))
        if hba is not None:
            self.write("pg_hba.conf", hba)
        if ident is not None:
            self.write("pg_ident.conf", ident)

    # -- life --------------------------------------------------------------------------------------------------
    def spawn(self):
        """Start the process without waiting for it to be ready."""
        with open(self.log.path, "ab") as log:
            self.process = subprocess.Popen([self.program, "serve", "-D", self.dir], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", start_new_session=True)
        return self

    def start(self):
        since = self.log.mark()
        self.spawn()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the gate ended at start, exit {self.process.returncode}:\n"
                                     f"{self.log.text(since)}")
            return "ready to accept connections" in self.log.text(since)

        run.wait_until(ready, "the gate to be ready")
        return self

    def refuses_to_start(self):
        """Expect the start to fail; returns (exit status, what was logged)."""
        since = self.log.mark()
        self.spawn()
        try:
            status = self.process.wait(run.PATIENCE)
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)
            raise AssertionError("the gate started, although it must not") from None
        self.process = None
        return status, self.words(since)

    @property
    def pid(self):
        """Of the gate itself: `process` is its parent."""
        return run.gate_pid(self.process.pid)

    def kill(self, number):
        os.kill(self.process.pid, number)

    def reload(self):
        """SIGHUP, and wait until the log says what came of it; returns the new log text."""
        since = self.log.mark()
        self.kill(signal.SIGHUP)
        self.log.wait_for(r"\breloaded\b|\breload_failed\b", since)
        run.wait_until(lambda: self.log.text(since).endswith("\n"), "a whole log line")
        return self.words(since)

    def _asleep(self):
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/stat", encoding="ascii") as f:
                if f.read().rpartition(")")[2].split()[0] != "S":
                    return False
        return True

    def words(self, since=0):
        """
        The log without the quoting that its key=value lines add to PostgreSQL's words. A thread writes it: when all
        threads of a gate are waiting, what was logged is there. A busy gate's, or an ended one's, is read as it is.
        """
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(AssertionError, OSError, StopIteration):
                run.wait_until(self._asleep, "the gate to be at rest", 2)
        return self.log.text(since).replace('\\"', '"')

    def stop(self, how=signal.SIGINT):
        """End it; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.kill(how)
            try:
                self.process.wait(run.PATIENCE)
            except subprocess.TimeoutExpired:
                left = [run.command_line(child) for child in run.children(self.process.pid)]
                self.process.kill()
                self.process.wait(run.PATIENCE)
                self.process = None
                raise AssertionError(f"the gate did not end within {run.PATIENCE:g} s of {how!r}; left: {left}") from None
        status, self.process = self.process.returncode, None
        return status

    def restart(self):
        self.stop()
        return self.start()

    def assert_clean(self):
        """Nothing in the log that a sanitizer or a failed CHECK would have left there."""
        text = self.log.text()
        for complaint in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "PANIC:"):
            assert complaint not in text, text[max(0, text.index(complaint) - 500):][:8000]
