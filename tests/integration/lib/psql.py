"""The real psql, in an environment of its own: no ~/.postgresql, no PG* variables but the ones given."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile

PSQL = shutil.which("psql")
MAJOR = int(re.search(r"(\d+)", subprocess.run([PSQL, "--version"], capture_output=True, text=True,
                                               check=True).stdout).group(1)) if PSQL else 0


def alert(name):
    """How libpq, by its OpenSSL, prints a fatal alert that older versions lay to SSL 3."""
    return f"SSL error: {'ssl/tls' if ssl.OPENSSL_VERSION_INFO >= (3, 2) else 'sslv3'} alert {name}"


def environment(**more):
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PGCONNECT_TIMEOUT": "20",
            **more}


def conninfo(**options):
    """A conninfo string; None leaves an option out."""
    return " ".join("{}='{}'".format(k, str(v).replace("\\", "\\\\").replace("'", "\\'"))
                    for k, v in options.items() if v is not None)


def run(server, sql="SELECT 1", password=None, timeout=60, env=None, **options):
    """psql -c SQL; returns the completed process, text output, unaligned and without headers."""
    options.setdefault("host", server.host)
    options.setdefault("user", "alice")
    options.setdefault("dbname", "app")
    variables = environment(**({"PGPASSWORD": password} if password else {}), **(env or {}))
    return subprocess.run([PSQL, "-XAtw", conninfo(port=server.port, **options), "-c", sql], env=variables,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)


def errors(process):
    """The error lines of a failed psql, without "psql: error: " and the server's address."""
    out = []
    for line in process.stderr.splitlines():
        line = line.removeprefix("psql: error: ")
        if line.startswith("connection to server") and " failed: " in line:
            line = line.split(" failed: ", 1)[1]
        if line:
            out.append(line)
    return out


def home(scratch, **files):
    """A home directory with ~/.postgresql/NAME files (name with _ for .), for PGPASSFILE-less clients."""
    path = tempfile.mkdtemp(dir=scratch)
    os.makedirs(os.path.join(path, ".postgresql"))
    for name, content in files.items():
        with open(os.path.join(path, ".postgresql", name.replace("_", ".")), "wb") as f:
            f.write(content)
    return path
