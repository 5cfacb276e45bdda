#!/usr/bin/python3
"""
See the gate work: a private PostgreSQL on a Unix-domain socket, a gate before it, and what every sslmode gets.

    tools/quickstart.py build/pgseal

On a terminal everything is left running until Ctrl-C; otherwise, or with QUICKSTART_ONCE=1, it ends at once, with
exit status 0 only if every line came out as it should. Nothing outside one temporary directory is touched, and
that directory is removed at the end. PostgreSQL is Debian's own; it refuses to run as root, so root's runs as the
user `postgres`.
"""

import glob
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

USER, DATABASE = "app", "app"
SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
VERIFIED = {"verify-ca": "the CA", "verify-full": "the CA and the name"}
COLUMNS = 100


class Failed(Exception):
    """Something did not come up; the message says what and shows the log."""


# -- looks --------------------------------------------------------------------------------------------------------
COLOR = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOR else text


def heading(text):
    print("\n" + paint("1", text))


def fact(name, value):
    print(f"  {name:<14}{value}")


def paragraph(text):
    print(textwrap.fill(" ".join(text.split()), COLUMNS, initial_indent="  ", subsequent_indent="  "))


# -- processes ----------------------------------------------------------------------------------------------------
def as_server(argv):
    """PostgreSQL's own commands run as `postgres` where we are root."""
    if os.geteuid() == 0:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *argv]
    return argv


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def wait_for_line(process, log, words, what):
    deadline = time.monotonic() + 60
    while words not in read(log):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"{what} did not start:\n{textwrap.indent(read(log)[-3000:], '    ')}")
        time.sleep(0.02)


class Story:
    """Everything that runs, and the directory it lives in."""

    def __init__(self, program):
        self.program = os.path.abspath(program)
        self.dir = tempfile.mkdtemp(prefix="pgseal-quickstart-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.password = secrets.token_urlsafe(9)
        self.port = free_port()
        self.children = []

    # PostgreSQL ---------------------------------------------------------------------------------------------------
    def bindir(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"),
                       key=lambda p: [int(n) for n in re.findall(r"\d+", p)])
        if not found:
            raise Failed("there is no PostgreSQL under /usr/lib/postgresql: run tools/deps.sh build quickstart")
        return os.path.dirname(found[-1])

    def start_postgres(self):
        self.socket_dir = os.path.join(self.dir, "postgres")
        os.mkdir(self.socket_dir, 0o755)
        passfile = os.path.join(self.socket_dir, "password")
        with open(os.open(passfile, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(self.password + "\n")
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.socket_dir, passfile):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        data, bindir = os.path.join(self.socket_dir, "data"), self.bindir()
        made = subprocess.run(as_server([os.path.join(bindir, "initdb"), "-D", data, "-U", USER, "--no-sync", "-E",
                                         "UTF8", "--locale=C", "-A", "scram-sha-256", "--pwfile", passfile]),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False)
        if made.returncode != 0:
            raise Failed(f"initdb failed:\n{made.stdout}{made.stderr}")
        log = os.path.join(self.dir, "postgres.log")
        settings = {"listen_addresses": "", "unix_socket_directories": self.socket_dir, "port": "5432",
                    "fsync": "off", "shared_buffers": "16MB", "max_connections": "40"}
        server = self.spawn(as_server([os.path.join(bindir, "postgres"), "-D", data] +
                                      [f"--{k}={v}" for k, v in settings.items()]), log)
        wait_for_line(server, log, "database system is ready to accept connections", "PostgreSQL")
        made = self.psql({"host": self.socket_dir, "port": 5432, "dbname": "postgres"},
                         f"CREATE DATABASE {DATABASE}")
        if made.returncode != 0:
            raise Failed(f"CREATE DATABASE failed: {made.stderr}")
        version = subprocess.run([os.path.join(bindir, "postgres"), "--version"], capture_output=True, text=True,
                                 check=True).stdout
        return re.search(r"[\d.]+\w*", version).group(0)

    # the gate -----------------------------------------------------------------------------------------------------
    def start_gate(self):
        self.gate = os.path.join(self.dir, "gate")
        made = subprocess.run([self.program, "init", self.gate, "--host", "localhost", "--host", "127.0.0.1",
                               "--upstream", f"host={self.socket_dir} port=5432", "--port", str(self.port),
                               "--listen", "127.0.0.1"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise Failed(f"pgseal init failed:\n{made.stdout}{made.stderr}")
        self.admit_to_status()
        self.root = os.path.join(self.gate, "tls", "ca.crt")
        log = os.path.join(self.dir, "gate.log")
        process = self.spawn([self.program, "serve", "-D", self.gate], log)
        wait_for_line(process, log, "ready to accept connections", "the gate")
        return process

    def admit_to_status(self):
        """What init leaves to the operator: who, besides the gate's own user, reads the status database."""
        for name, old, new in (
                ("pgseal.conf", "stats_users = ''", f"stats_users = '{USER}'"),
                ("pg_hba.conf", "#hostssl pgseal    dba, monitor  all  scram-sha-256",
                 f"hostssl  pgseal    {USER}   all      scram-sha-256")):
            path = os.path.join(self.gate, name)
            text = read(path)
            if text.count(old) != 1:
                raise Failed(f"pgseal init wrote no {old} into {path}")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace(old, new))

    def spawn(self, argv, log):
        with open(log, "ab") as f:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, cwd="/",
                                     start_new_session=True)
        self.children.append(child)
        return child

    # clients ------------------------------------------------------------------------------------------------------
    def psql(self, options, sql):
        conninfo = " ".join(f"{k}={v}" for k, v in {"user": USER, **options}.items())
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.dir, "LC_ALL": "C",
                       "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "20"}
        return subprocess.run(["psql", "-XAtw", conninfo, "-c", sql], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)

    def through_the_gate(self, sslmode, sql):
        options = {"host": "localhost", "hostaddr": "127.0.0.1", "port": self.port, "dbname": DATABASE,
                   "sslmode": sslmode}
        if sslmode in VERIFIED:
            options["sslrootcert"] = self.root
        return self.psql(options, sql)

    def status(self, sql):
        """The status database, as a user of stats_users reads it."""
        return self.psql({"host": "localhost", "hostaddr": "127.0.0.1", "port": self.port, "dbname": "pgseal",
                          "sslmode": "verify-full", "sslrootcert": self.root}, sql)

    def own_status(self, sql):
        """The same as the gate's own user, over its Unix-domain socket."""
        return subprocess.run([self.program, "psql", "-D", self.gate, "-XAtwc", sql], stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.dir, "LC_ALL": "C"},
                              capture_output=True, text=True, check=False)

    def clean_up(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in reversed(self.children):
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


# -- what is shown ------------------------------------------------------------------------------------------------
def server_words(process):
    """The last error line, without psql's and the address's preamble."""
    lines = [line for line in process.stderr.splitlines() if line.strip()] or ["psql failed without a word"]
    return re.sub(r'^(psql: error: )?connection to server [^)]*\)?, port \d+ failed: ', "", lines[-1])


def show_sslmode(story, sslmode):
    """One line of the table; True if it is what it should be."""
    got = story.through_the_gate(sslmode, r"\conninfo")
    tls = re.search(r"protocol: (\S+), cipher: ([^,)]+)", got.stdout)
    if got.returncode != 0:
        words = server_words(got)
        print(f"  {sslmode:<14}{paint('33', 'refused')}        {words}")
        refused = (f'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "{USER}", database "{DATABASE}",'
                   " no encryption")
        return sslmode == "disable" and words == refused
    transport = tls.group(1) if tls else "plaintext"
    verified = VERIFIED.get(sslmode, "no")
    color = "32" if tls and sslmode in VERIFIED else "0" if tls else "31"
    print(f"  {sslmode:<14}{paint(color, f'{transport:<15}')}server verified: {verified}")
    return bool(tls) and sslmode != "disable"


def cipher_bits(cipher):
    """OpenSSL's own figure for a cipher's key."""
    out = subprocess.run(["openssl", "ciphers", "-v", "ALL:COMPLEMENTOFALL"], capture_output=True, text=True,
                         check=False).stdout
    line = next((line for line in out.splitlines() if line.split()[0] == cipher), "")
    found = re.search(r"Enc=\w+(?:/\w+)?\((\d+)\)", line)
    return found.group(1) if found else "?"


def show_session(story):
    """The TLS facts of a verified session; True if the server's session knows them as well."""
    got = story.through_the_gate("verify-full", r"\conninfo")
    tls = re.search(r"protocol: (\S+), cipher: ([^,)]+)", got.stdout)
    if not tls:
        return False
    version, cipher = tls.groups()
    heading("A session at sslmode=verify-full")
    fact("version", version)
    fact("cipher", cipher)
    fact("bits", cipher_bits(cipher))
    shown = story.through_the_gate("verify-full", "SHOW pgseal.version").stdout.strip()
    own = story.through_the_gate("verify-full",
                                 "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").stdout.strip()
    print()
    paragraph(f"""The database itself sees only the last leg, from the gate to the server, a Unix-domain socket here: its
                  pg_stat_ssl says ssl = {own or '?'} for this session. The client's leg it knows from the gate:""")
    print()
    fact("in psql", f"SHOW pgseal.version;   {paint('32' if shown == version else '31', shown or 'nothing')}")
    return shown == version and own == "f"


# What is asked of the status database, by whom, and what the answer must look like.
STATUS = [
    ("status", "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid();",
     r"t\|TLSv1\.[23]\|\w+\|\d+"),
    ("status", "SELECT pid, usename, ssl, client_addr FROM pg_stat_ssl JOIN pg_stat_activity USING (pid);",
     rf"\d+\|{USER}\|t\|127\.0\.0\.1"),
    ("status", "SELECT ssl_is_used();", "t"),
    ("own_status", "SHOW ssl_min_protocol_version;", r"TLSv1\.2"),
    ("own_status", "SELECT pg_reload_conf();", r"t\nNOTICE:  configuration reloaded, generation 2"),
]


def show_status(story):
    """The status database's answers; True if each is what it should be."""
    heading("The gate's own database, dbname=pgseal, as a user of stats_users; the last two as the gate itself (pgseal psql)")
    good = []
    for who, sql, wanted in STATUS:
        got = getattr(story, who)(sql)
        words = (got.stdout + got.stderr).strip()
        good.append(got.returncode == 0 and re.fullmatch(wanted, words) is not None)
        print(f"  {sql}")
        for line in words.splitlines():
            print(f"      {paint('32' if good[-1] else '31', line)}")
    return all(good)


def show_way_on(story, stays):
    heading("Go on with" if stays else "While the gate runs, one goes on with")
    print(f'\n  PGPASSWORD={story.password} psql "host=localhost port={story.port} user={USER} dbname={DATABASE} '
          f'sslmode=verify-full sslrootcert={story.root}"\n')


def tell(story, stays):
    """The whole story; True if every line came out as it should."""
    print(paint("1", "pgseal") + ": a TLS gate for PostgreSQL")
    heading("What runs")
    fact("PostgreSQL", f"{story.start_postgres()}, on a Unix-domain socket in {story.socket_dir}")
    gate = story.start_gate()
    fact("gate", f"127.0.0.1 port {story.port}, rules in {story.gate}/pg_hba.conf")
    rules = [" ".join(line.split()) for line in read(os.path.join(story.gate, "pg_hba.conf")).splitlines()
             if line.strip() and not line.startswith("#")]
    fact("its rules", rules[0] if rules else "none")
    for rule in rules[1:]:
        fact("", rule)
    fact("CA", story.root)
    heading("What psql gets at each sslmode")
    good = [show_sslmode(story, sslmode) for sslmode in SSLMODES]
    good.append(show_session(story))
    good.append(show_status(story))
    show_way_on(story, stays)
    if not all(good):
        print(paint("31", "Not every line is what it should be. The gate's log:"))
        print(textwrap.indent(read(os.path.join(story.dir, "gate.log"))[-4000:], "    "))
    if stays:
        print("  Everything keeps running until Ctrl-C; then it is gone without a trace.", flush=True)
        gate.wait()
    return all(good)


def stop(number, _frame):
    raise KeyboardInterrupt(number)


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        print("usage: tools/quickstart.py build/pgseal (built by `make`)", file=sys.stderr)
        return 2
    stays = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("QUICKSTART_ONCE", "") in ("", "0")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    story = Story(sys.argv[1])
    try:
        return 0 if tell(story, stays) else 1
    except Failed as e:
        print(f"quickstart: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0 if stays else 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        story.clean_up()


if __name__ == "__main__":
    sys.exit(main())
