"""
Clients that wait for the socket: how long the gate's TLS records are, and drivers that read asynchronously.

libpq has at least 8,192 bytes of room when it reads. What a longer record holds beyond its room stays inside
OpenSSL, where waiting for the socket never sees it; releases before August 2026 then wait for ever. So these run
with such a libpq where tools/old_libpq.sh found one.
"""

import ctypes
import os
import shutil
import ssl
import struct
import subprocess
import sys

import pytest

from lib import psql, wire
from lib.pg import PASSWORDS

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "async")
ALICE = PASSWORDS["alice"]
RECORD_MAX = 8192
APPLICATION_DATA = 23

HBA = "hostssl app,pgseal alice 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def gate(server_factory, certs):
    return server_factory("gate", hba=HBA, tls={"cert": certs.server},
                          settings={"ssl_min_protocol_version": "TLSv1.2", "admin_users": "alice"})


# -- the length of records ----------------------------------------------------------------------------------------
class Recorder(wire.Conn):
    """A connection that keeps what came off the socket."""

    def __init__(self, server):
        super().__init__(server)
        self.seen = bytearray()

    def raw_recv(self, size=65536):
        data = super().raw_recv(size)
        self.seen += data
        return data

    def records(self):
        """(type, length) of every TLS record; the first byte off the socket answered SSLRequest."""
        at = 1
        while at + 5 <= len(self.seen):
            kind, _, length = struct.unpack("!BHH", self.seen[at:at + 5])
            yield kind, length
            at += 5 + length


LARGE = {"app": "SELECT repeat('x', 100) FROM generate_series(1, 20000)",
         "pgseal": "SELECT a.* FROM pg_settings a, pg_settings b"}

# What a record has beside its plaintext: TLS 1.3 the type and AES-GCM's tag; TLS 1.2 the nonce and the tag.
OVERHEAD = {ssl.TLSVersion.TLSv1_3: 1 + 16, ssl.TLSVersion.TLSv1_2: 8 + 16}


@pytest.mark.parametrize("version", OVERHEAD, ids=lambda v: v.name)
@pytest.mark.parametrize("database", LARGE)
def test_no_record_is_longer_than_libpq_takes_whole(gate, database, version):
    with Recorder(gate) as conn:
        conn.start_tls(wire.client_context(minimum=version, maximum=version)).ready(ALICE, database=database)
        events = conn.ask(LARGE[database])
        assert sum(len(e[1]) for e in events if e[0] == "D") > 100 * RECORD_MAX, events[-3:]
        lengths = [length for kind, length in conn.records() if kind == APPLICATION_DATA]
    assert max(lengths) == RECORD_MAX + OVERHEAD[version]
    if database == "app":     # the records are filled: nothing is paid for the limit but the limit
        assert lengths.count(max(lengths)) > len(lengths) / 2


# -- libpq itself -------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def old_libpq(pytestconfig):
    """The directory of libpq 15.18, or None."""
    build = os.path.abspath(pytestconfig.getoption("--build"))
    directory = os.path.join(os.path.dirname(build), "build", "old-libpq")
    try:
        ctypes.CDLL(os.path.join(directory, "libpq.so.5"))      # it is linked with libraries of its own time
    except OSError:
        return None
    return directory


def environment(gate, certs, old_libpq, **more):
    directories = {"LD_LIBRARY_PATH": old_libpq} if old_libpq else {}
    return psql.environment(PGHOST=gate.host, PGPORT=str(gate.port), PGUSER="alice",
                            PGPASSWORD=ALICE, PGDATABASE="app", PGSSLMODE="verify-full",
                            PGSSLROOTCERT=certs.ca_file, **directories, **more)


def run_client(argv, env):
    got = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                         check=False)
    assert got.returncode == 0, got.stdout + got.stderr
    return got.stdout


def test_libpq_15_18_is_left_with_nothing_inside_openssl(gate, certs, old_libpq, pytestconfig):
    if not old_libpq:
        pytest.skip("libpq 15.18 cannot be had here (tools/old_libpq.sh)")
    client = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/load/async_client")
    said = run_client([client, "", "120"], environment(gate, certs, old_libpq))
    assert said == "libpq 150018: 600 results\n"


# -- drivers ------------------------------------------------------------------------------------------------------
def has_module(name):
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


# Each reads results of 300 sizes and says "300 results".
DRIVERS = {
    "psycopg": [sys.executable, "psycopg3.py", "execute"],
    "psycopg pipeline": [sys.executable, "psycopg3.py", "pipeline"],
    "psycopg asyncio": [sys.executable, "psycopg3.py", "asyncio"],
    "psycopg2 gevent": [sys.executable, "gevent2.py"],
    "ruby-pg": ["ruby", "results.rb"],
    "php pg_send_query": ["php", "results.php"],
    "pg-native": ["node", "results.js"],
}
PACKAGES = {"gevent2.py": "python3-gevent", "results.rb": "ruby-pg", "results.php": "php-pgsql",
            "results.js": "pg-native (tools/npm.sh)"}


def is_there(argv, modules):
    if argv[0] == "node":
        return os.path.exists(os.path.join(modules, "libpq/build/Release/addon.node"))
    if argv[1] == "gevent2.py":
        return has_module("gevent") and has_module("psycopg2")
    probe = {"ruby": ["-e", "require 'pg'"], "php": ["-r", "exit(extension_loaded('pgsql') ? 0 : 1);"]}.get(argv[0])
    return probe is None or (shutil.which(argv[0]) and subprocess.run(
        [argv[0], *probe], capture_output=True, check=False).returncode == 0)


@pytest.mark.parametrize("argv", DRIVERS.values(), ids=DRIVERS.keys())
def test_driver_that_reads_asynchronously(gate, certs, old_libpq, argv, pytestconfig):
    build = os.path.abspath(pytestconfig.getoption("--build"))
    modules = os.path.join(os.path.dirname(build), "build", "npm", "node_modules")
    if not is_there(argv, modules):
        pytest.skip(f"{PACKAGES[argv[1]]} is not installed")
    said = run_client([argv[0], os.path.join(HERE, argv[1]), *argv[2:]],
                      environment(gate, certs, old_libpq, PSYCOPG_IMPL="python", NODE_PATH=modules))
    assert "300 results" in said, said
