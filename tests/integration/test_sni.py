"""
Several hosts behind one port: ssl_sni and pg_hosts.conf as PostgreSQL 19 has them.

[src: PostgreSQL 19, "SNI Configuration"; src/test/ssl/t/004_sni.pl, whose cases are among these]
"""

import contextlib
import json
import os
import ssl
import subprocess

import psycopg
import pytest

from lib import pki, psql, wire
from lib.pg import PASSWORDS
from lib.strange_server import SSL_REQUEST, StrangeServer, read_exactly
from lib.wire import Conn, fatal, startup

HBA = """\
local   all   all                  trust
hostssl app   bob   127.0.0.1/32   cert
hostssl app   alice 127.0.0.1/32   scram-sha-256
hostssl pgseal alice 127.0.0.1/32  scram-sha-256
hostssl all   all   127.0.0.1/32   trust
"""
HOSTS = """\
one.example,Uno.Example   one.crt  one.key  client-ca.crt
two.example               two.crt  two.key  "other ca.crt"  "echo zwei" on
three.example             one.crt  one.key
*                         any.crt  any.key
"""
NOT_LISTED = "tlsv1 unrecognized name"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class World:
    """A gate with four pairs, and clients of two CAs."""

    def __init__(self, gate, certs):
        self.gate, self.certs = gate, certs
        issue = certs.ca.issue
        self.made = {"one": issue("one", sans=["one.example", "uno.example"], usage="server", key="rsa"),
                     "two": issue("two", sans=["two.example"], usage="server"),
                     "any": issue("any", sans=["localhost"], usage="server"),
                     "none": issue("none", sans=["none"], usage="server")}
        for stem, cert in self.made.items():
            cert.write(gate.dir, stem, "zwei" if stem == "two" else None)
        gate.write("other ca.crt", certs.foreign.pem())
        gate.write("client-ca.crt", certs.ca.pem())
        self.bob = certs.client("sni-bob", certs.ca.issue("bob"))
        self.foreign_bob = certs.client("sni-foreign-bob", certs.foreign.issue("bob"))

    def hosts(self, text):
        self.gate.write("pg_hosts.conf", text)

    def served(self, name, direct=False, version=None):
        """Which pair a client that asks for `name` is shown."""
        with Conn(self.gate) as c:
            context = wire.client_context(minimum=version, maximum=version)
            (c.direct_tls if direct else c.start_tls)(context, name)
            shown = c.tls.getpeercert(True)
            c.send(startup("carol", "postgres"))
            assert ("R", 0, b"") in c.dialogue()
        return next(stem for stem, cert in self.made.items()
                    if cert.cert.public_bytes(pki.serialization.Encoding.DER) == shown)


@pytest.fixture(scope="module")
def world(factory, certs):
    gate = factory.gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, start=False,
                        settings={"ssl_sni": "on", "reload_on_change": "certificates"})
    made = World(gate, certs)
    made.hosts(HOSTS)
    gate.start()
    yield made
    factory.stop(gate)


@pytest.fixture
def strict(factory, certs):
    """A world of its own, which is not running yet."""
    gates = []

    def make(hosts, **settings):
        gate = factory.gate(hba=HBA, tls={"cert": certs.server}, start=False, settings={"ssl_sni": "on", **settings})
        gates.append(gate)
        made = World(gate, certs)
        made.hosts(hosts)
        return made

    yield make
    for gate in gates:
        factory.stop(gate)


# -- who gets which certificate -----------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("direct", [False, True], ids=["sslrequest", "direct"])
def test_each_name_gets_its_own_certificate(world, direct, version):
    assert [world.served(name, direct, version) for name in
            ["one.example", "uno.example", "ONE.Example", "two.example", "three.example", "four.example",
             "one.example.evil", "sub.one.example", None]] == \
        ["one", "one", "one", "two", "one", "any", "any", "any", "any"]


def test_psql_verifies_each_host(world):
    for host in ["one.example", "Uno.Example", "two.example"]:
        done = psql.run(world.gate, "SELECT current_setting('pgseal.version')", host=host, hostaddr="127.0.0.1",
                        user="carol", sslmode="verify-full", sslrootcert=world.certs.ca_file)
        assert done.stdout == "TLSv1.3\n", done.stderr


def test_after_a_hello_retry_request(strict):
    w = strict(HOSTS, ssl_groups="secp384r1")
    w.gate.start()
    for name, common in [("one.example", "one"), ("two.example", "two")]:
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{w.gate.port}", "-starttls", "postgres",
                               "-servername", name, "-groups", "X25519:P-384", "-tls1_3"], input="", capture_output=True,
                              text=True, timeout=30, check=False)
        assert f"subject=CN = {common}\n" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("host, reason", [({"host": "four.example"}, NOT_LISTED), ({"host": "one"}, NOT_LISTED),
                                          ({"host": "one.example", "sslsni": 0}, "handshake failure")])
def test_whom_no_line_is_for(strict, host, reason):
    w = strict("one.example one.crt one.key\n")
    gate = w.gate.start()
    since = gate.log.mark()
    done = psql.run(gate, hostaddr="127.0.0.1", sslmode="require", **host)
    assert done.returncode != 0 and reason in done.stderr, done.stderr
    if "sslsni" in host:
        assert "cause=no_host_name" in gate.words(since) and " sni=" not in gate.words(since)
    else:
        assert f"sni={host['host']} " in gate.words(since) and "cause=host_unknown" in gate.words(since)
        assert "alert_sent=unrecognized_name" in gate.words(since)
    assert w.served("one.example") == "one"


def test_clients_that_name_no_host(strict):
    w = strict("/no_sni/ none.crt none.key\none.example one.crt one.key\n")
    gate = w.gate.start()
    assert [w.served(None), w.served("one.example")] == ["none", "one"]
    done = psql.run(gate, hostaddr="127.0.0.1", host="x.example", sslmode="require")
    assert NOT_LISTED in done.stderr
    w.hosts("/no_sni/ none.crt none.key\n* any.crt any.key\n")
    assert "reload_failed" not in gate.reload()
    assert [w.served(None), w.served("one.example")] == ["none", "any"]


def test_off_missing_and_empty(strict):
    """Then everybody gets ssl_cert_file."""
    w = strict(HOSTS, ssl_sni="off")
    gate = w.gate.start()
    w.made["server"] = w.certs.server
    names = ["one.example", "x.example", None]
    assert [w.served(name) for name in names] == ["server"] * 3
    os.unlink(gate.path("pg_hosts.conf"))
    gate.configure({"ssl_sni": "on"})
    assert "reload_failed" not in gate.reload()
    assert [w.served(name) for name in names] == ["server"] * 3
    w.hosts("# nothing\n\n")
    assert "reload_failed" not in gate.reload()
    assert [w.served(name) for name in names] == ["server"] * 3
    w.hosts("@none one.crt one.key\n")
    gate.write("none", "one.example\n")
    assert "reload_failed" not in gate.reload()
    assert w.served("one.example") == "one"


def test_broken_server_names_are_refused(world):
    """Lists that lie about their lengths: an alert, and the gate goes on."""
    good = b"\0\x0e\0\0\x0bone.example"
    for extension in [b"", b"\0", b"\0\0", b"\0\x0f" + good[2:], good[:2] + b"\x01" + good[3:], good[:4] + b"\0" + good[5:],
                      good[:3] + b"\xff\xff" + good[5:], b"\0\x03\0\0\0"]:
        body = (b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
                + (len(extension) + 4).to_bytes(2, "big") + b"\0\0" + len(extension).to_bytes(2, "big") + extension)
        hello = b"\x01" + len(body).to_bytes(3, "big") + body
        with Conn(world.gate) as c:
            c.raw_send(wire.SSL_REQUEST)
            assert c.raw_exactly(1) == b"S"
            c.raw_send(b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello)
            assert c.raw_rest()[:1] in (b"\x15", b""), extension
    assert world.served("one.example") == "one"


# -- CAs, channel binding -----------------------------------------------------------------------------------------
def login_bob(world, host, cert):
    with Conn(world.gate) as c:
        c.start_tls(wire.client_context(cert=cert), host)
        c.send(startup("bob", "app"))
        return c.dialogue()


def test_each_host_has_its_own_ca(world):
    assert ("R", 0, b"") in login_bob(world, "one.example", world.bob)
    assert ("R", 0, b"") in login_bob(world, "two.example", world.foreign_bob)
    for host, cert in [("one.example", world.foreign_bob), ("two.example", world.bob)]:
        since = world.gate.log.mark()
        assert ("R", 0, b"") not in login_bob(world, host, cert)
        assert "alert_sent=unknown_ca" in world.gate.words(since)
    needs_ca = fatal("F0000", "client certificates can only be checked if a root certificate store is available")
    assert login_bob(world, "three.example", world.bob)[0] == needs_ca     # and no certificate was asked for
    assert login_bob(world, "four.example", world.bob)[0] == needs_ca


def explained(gate, *facts):
    done = subprocess.run([gate.program, "explain", "-D", gate.dir, "addr=127.0.0.1", "user=bob", "dbname=app", *facts],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("host,ca", [("ONE.example", "client-ca.crt"), ("two.example", "other ca.crt"), ("three.example", None),
                                     ("four.example", None), ("", None)])
def test_explain_says_whose_certificates_count(world, host, ca):
    code, words = explained(world.gate, "tls=1.3", "cert=CN=bob", f"sni={host}")
    answer = login_bob(world, host or None, world.foreign_bob if host == "two.example" else world.bob)
    assert (code == 0) is (("R", 0, b"") in answer) is (ca is not None), (words, answer)
    line = {"ONE.example": 1, "two.example": 2, "three.example": 3}.get(host, 4)
    assert f"{world.gate.path('pg_hosts.conf')}:{line}" in words and "ssl_ca_file" not in words
    assert (f"signed by a CA of {ca} (" if ca else "refused: client certificates can only be checked if") in words


def test_explain_knows_whom_no_line_is_for(strict):
    w = strict("one.example one.crt one.key client-ca.crt\n")
    for host in ("one.example.", "x", ""):
        code, words = explained(w.gate, "tls=1.3", f"sni={host}")
        named = f'no line for "{host}"' if host else "no line for clients that ask for no host name"
        assert code == 1 and f"refused: {w.gate.path('pg_hosts.conf')} has {named}" in words, words
    code, words = explained(w.gate, "tls=1.3")
    assert code == 0 and "the CA that hosts_file has for the host (sni=)" in words
    w.gate.configure({"ssl_sni": "off"})
    code, words = explained(w.gate, "tls=1.3", "sni=x")
    assert code == 0 and "signed by a CA of ssl_ca_file" in words


@pytest.mark.parametrize("host", ["one.example", "two.example", "other"])
def test_channel_binding_is_to_the_certificate_that_was_served(world, host):
    done = psql.run(world.gate, host=host, hostaddr="127.0.0.1", password=PASSWORDS["alice"], sslmode="require",
                    channel_binding="require", dbname="app")
    assert done.returncode == 0, done.stderr


# -- what is shown, watched and checked ---------------------------------------------------------------------------
def status(world, sql):
    with psycopg.connect(f"host={world.gate.socket_dir} port={world.gate.port} user=me dbname=pgseal", autocommit=True) as db:
        return db.execute(sql).fetchall()


def test_views(world):
    rows = status(world, "SELECT kind, file, subject, served, deployed FROM pgseal_certificates "
                         "WHERE kind IN ('server', 'client ca') ORDER BY kind, file")
    assert [(kind, os.path.basename(file), served, deployed) for kind, file, _, served, deployed in rows] == [
        ("client ca", "client-ca.crt", None, "hosts_file"), ("client ca", "other ca.crt", None, "hosts_file"),
        ("server", "any.crt", True, "hosts_file"), ("server", "one.crt", True, "hosts_file"),
        ("server", "two.crt", True, "hosts_file")]
    assert status(world, "SELECT host_number, hostnames, error FROM pgseal_hosts WHERE host_number < 3") == [
        (1, ["one.example", "Uno.Example"], None), (2, ["two.example"], None)]
    with Conn(world.gate) as c:
        c.start_tls(wire.client_context(), "UNO.example")
        c.send(startup("carol", "postgres"))
        c.dialogue()
        assert ("UNO.example",) in status(world, "SELECT sni FROM pgseal_sessions WHERE user_name = 'carol'")


def test_a_renewed_certificate_of_one_host_is_loaded_and_checked(world):
    gate, since = world.gate, world.gate.log.mark()
    world.made["one"] = world.certs.ca.issue("one", sans=["one.example"], usage="server")
    world.made["one"].write(gate.dir, "one")
    gate.log.wait_for("event=served_verified .*\n", since)
    assert world.served("uno.example") == "one"
    words = gate.words(since)
    assert "no longer has the name dns:uno.example" in words
    assert "listeners=4" in words and "tls_left" not in words and "tls_failed" not in words
    assert status(world, "SELECT count(*) FROM pgseal_failures WHERE cause = 'client_left'") == [(0,)]


def test_lines_are_not_read_when_only_certificates_change(world):
    gate, since = world.gate, world.gate.log.mark()
    world.hosts("half a line")
    world.made["any"] = world.certs.ca.issue("any", sans=["localhost"], usage="server")
    world.made["any"].write(gate.dir, "any")
    gate.log.wait_for("event=served_verified .*\n", since)
    assert [world.served("x.example"), world.served("two.example")] == ["any", "two"]
    world.hosts(HOSTS)


# -- passphrases --------------------------------------------------------------------------------------------------
def test_passphrases(strict):
    w = strict('two.example two.crt two.key "" "echo drei" on\n')
    status_, words = w.gate.refuses_to_start()
    assert status_ != 0 and 'could not load private key file "' in words and "/two.key" in words
    assert f"file={w.gate.path('pg_hosts.conf')}" in words and "line=1" in words
    w.hosts('two.example two.crt two.key "" "echo zwei" on\n')
    w.gate.start()
    assert "programs=ssl_passphrase_command" in w.gate.words()
    for _ in range(2):
        assert "reload_failed" not in w.gate.reload()
        assert w.served("two.example") == "two"
    w.hosts('two.example two.crt two.key "" "echo zwei" off\n')
    assert "cannot be reloaded because it requires a passphrase" in w.gate.reload()
    assert w.served("two.example") == "two"
    w.gate.restart()
    assert w.served("two.example") == "two" and "reload_failed" in w.gate.reload()


def test_commands_are_for_keys_that_need_them(strict):
    """One that fails is told of with its line, among the other errors; that of a key without a passphrase is not run."""
    w = strict('one.example one.crt one.key "" "touch ran; exit 3" on\n'
               'two.example two.crt two.key "" "exit 4" on\n'
               'any.example any.crt any.key.gone "" "touch ran" on\n')
    code, words = check(w.gate)
    path = w.gate.path("pg_hosts.conf")
    assert code != 0 and f"{path}:2: ERROR:  passphrase command failed" in words and "exit code 4" in words, words
    assert f"{path}:1:" not in words and "exit code 3" not in words and "any.key.gone" in words
    w.hosts(f'one.example one.crt one.key "" "touch {w.gate.path("ran")}; exit 3" on\n')
    w.gate.start()
    assert "reload_failed" not in w.gate.reload() and w.served("one.example") == "one"
    assert not os.path.exists(w.gate.path("ran"))


def test_other_keys_have_the_common_command(strict):
    """Of the next CA's pair, beside hosts."""
    w = strict("* any.crt any.key\n", ssl_passphrase_command="echo zwei", rollover_cert_file="two.crt",
               rollover_key_file="two.key", rollover_probe="1%")
    assert check(w.gate)[0] == 0, check(w.gate)
    w.gate.configure({"ssl_passphrase_command": "echo drei"})
    code, words = check(w.gate)
    assert code != 0 and "two.key" in words, words


# -- errors -------------------------------------------------------------------------------------------------------
def check(gate):
    done = subprocess.run([gate.program, "serve", "-D", gate.dir, "--check"], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.replace('\\"', '"')


def test_all_errors_at_once(strict):
    w = strict("a,* one.crt one.key\n"
               "b one.crt\n"
               "c one.crt one.key ca.crt cmd maybe\n"
               "D gone.crt one.key\n"
               "d one.crt one.key\n"
               "e one.crt two.key \"\" \"echo zwei\"\n"
               "f one.crt one.key none.crt.gone\n"
               "* any.crt any.key\n* any.crt any.key\n")
    code, words = check(w.gate)
    path = w.gate.path("pg_hosts.conf")
    assert code != 0
    for line, text in [(1, "default and non-SNI entries cannot be mixed with other entries"),
                       (2, "missing entry at end of line"),
                       (3, "incorrect syntax for boolean value SSL_passphrase_cmd_reload"),
                       (4, f'could not load server certificate file "{w.gate.path("gone.crt")}": No such file or directory'),
                       (5, 'multiple entries for host "d" specified'),
                       (6, "check of private key failed: no certificate assigned"),
                       (7, f'could not load root certificate file "{w.gate.path("none.crt.gone")}": No such file or directory'),
                       (9, "multiple default hosts specified")]:
        assert any(row.startswith(f"{path}:{line}: ERROR:  {text}") for row in words.splitlines()), (line, words)
    w.hosts("* any.crt any.key\n")
    assert check(w.gate)[0] == 0
    w.gate.start()
    w.hosts("x any.crt\n")
    assert "missing entry at end of line" in w.gate.reload()
    assert w.served("x") == "any"


def test_command(world):
    done = subprocess.run([world.gate.program, "hosts", "--json", world.gate.path("pg_hosts.conf")], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0
    assert [row["ssl_ca"] for row in json.loads(done.stdout)] == ["client-ca.crt", "other ca.crt", None, None]


# -- the tools ----------------------------------------------------------------------------------------------------
def tool(gate, *words):
    return subprocess.run([gate.program, *words], capture_output=True, text=True, check=False).stdout


def test_audit_and_monitor_know_the_hosts(strict, certs):
    w = strict("one.example one.crt one.key client-ca.crt\ntwo.example old.crt old.key\n")
    old = certs.ca.issue("old", sans=["two.example"], usage="server", valid_from=pki.now() - 9 * pki.DAY,
                         valid_to=pki.now() - pki.DAY)
    old.write(w.gate.dir, "old")
    w.made["old"] = old
    found = json.loads(tool(w.gate, "audit", "--json", w.gate.dir))["findings"]
    places = {(f["id"], os.path.basename(f["where"].split(":")[0])) for f in found}
    assert ("certificate_expired", "old.crt") in places and ("sni_gap", "pg_hosts.conf") in places, places
    assert "clientcert_impossible" not in {i for i, _ in places}    # one host has a CA
    w.gate.start()
    assert ("certificate_expired", "old.crt") in {(i, os.path.basename(where.split(":")[0])) for i, where in status(
        w, "SELECT id, \"where\" FROM pgseal_findings")}
    rows = json.loads(tool(w.gate, "monitor", "--json", w.gate.dir))
    seen = {(row["kind"], row["subject"]): row["status"] for row in rows}
    assert seen[("server", "/CN=old")] == "critical" and seen[("server", "/CN=one")] == "ok" and \
        seen[("client ca", "/CN=pgseal test CA")] == "ok", rows


def watch(gate, *words, status=0):
    """What `monitor` says of each certificate that is to be served, and of those that are served instead."""
    done = subprocess.run([gate.program, "monitor", "--json", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    rows = [row for row in json.loads(done.stdout) if row["kind"] in ("server", "served")]
    return ({row["subject"][4:]: row["served_matches"] for row in rows if row["kind"] == "server"},
            {row["subject"][4:]: sorted(row["error"].split("; ")) for row in rows if row["error"]},
            [row["subject"][4:] for row in rows if row["kind"] == "served"])


def test_monitor_asks_under_the_name_of_each_host(strict, tmp_path):
    """Also under those of lines that the gate has not loaded yet; it takes none of these visits for a client's failure."""
    w = strict(HOSTS + "/no_sni/ none.crt none.key\n", reload_on_change="off", listen_addresses="localhost, 127.0.0.2")
    gate = w.gate.start()
    since = gate.log.mark()
    every = dict.fromkeys(["one", "two", "any", "none"], True)
    assert watch(gate, gate.dir) == (every, {}, [])
    # The certificate of one host is another on disk, and so is the file of another host.
    w.certs.ca.issue("two", sans=["two.example"], usage="server").write(gate.dir, "two", "zwei")
    w.hosts(HOSTS.replace("three.example             one.crt  one.key", "three.example none.crt none.key")
            + "/no_sni/ none.crt none.key\n")
    matches, errors, served = watch(gate, gate.dir, status=1)
    assert matches == {**every, "two": False, "none": False} and sorted(served) == ["one", "one", "two", "two"]
    at = [f"another certificate is served at {host}:{gate.port} to clients that ask for " for host in ("127.0.0.2", "localhost")]
    assert errors == {"two": [f'{text}"two.example"' for text in at], "none": [f'{text}"three.example"' for text in at]}
    told = subprocess.run([gate.program, "monitor", "--nagios", gate.dir], capture_output=True, text=True, check=False)
    assert told.returncode == 1 and "MONITOR WARNING" in told.stdout and 'ask for "two.example"' in told.stdout, told.stdout
    tool(gate, "monitor", "--textfile", str(tmp_path / "metrics"), gate.dir)
    series = [line for line in (tmp_path / "metrics").read_text().splitlines()
              if line.startswith("pgseal_monitor_served_matches{") and 'kind="server"' in line]
    assert sorted((line.split('subject="/CN=')[1].split('"')[0], line[-1]) for line in series) == [
        ("any", "1"), ("none", "0"), ("one", "1"), ("two", "0")]
    assert "reload_failed" not in gate.reload() and watch(gate, gate.dir) == (every, {}, [])
    # Strict names: who asks for one without a line is refused.
    w.hosts("one.example one.crt one.key\n/no_sni/ none.crt none.key\n")
    assert "reload_failed" not in gate.reload()
    w.hosts("one.example one.crt one.key\n/no_sni/ none.crt none.key\nfour.example any.crt any.key\n")
    matches, errors, served = watch(gate, gate.dir, status=1)
    assert (matches, served) == ({"one": True, "none": True, "any": None}, [])
    assert all('to clients that ask for "four.example": ' in error and "unrecognized name" in error for error in errors["any"])
    assert list(errors) == ["any"] and len(errors["any"]) == 2
    words = gate.words(since)
    assert "tls_left" not in words and "tls_failed" not in words and status(w, "SELECT count(*) FROM pgseal_failures") == [(0,)]
    psql.run(gate, hostaddr="127.0.0.1", host="four.example", sslmode="require")
    assert "cause=host_unknown" in gate.words(since)
    gate.stop()
    assert watch(gate, gate.dir) == ({"one": None, "none": None, "any": None}, {}, [])


class Nineteen:
    """The data directory of a PostgreSQL 19, its configuration elsewhere, and something that shows its certificates."""

    def __init__(self, program, directory, ca):
        self.program, self.dir, self.ca = program, str(directory / "data"), ca
        self.etc, self.contexts, self.asked = str(directory / "etc"), {}, []
        for each in (self.dir, self.etc, self.path("tls")):
            os.mkdir(each)
        put = pki.write_file
        put(self.path("PG_VERSION"), "19\n")
        put(self.path("postmaster.opts"), f'/usr/lib/postgresql/19/bin/postgres "-D" "{self.dir}" "-c" '
                                          f'"config_file={self.etc}/postgresql.conf"\n')
        put(f"{self.etc}/postgresql.conf", f"data_directory = '{self.dir}'\nssl = on\nssl_sni = on\n"
                                           f"hosts_file = '{self.etc}/hosts.conf'\n")
        put(f"{self.etc}/hosts.conf", "include more.conf\n* tls/any.crt tls/any.key\n")
        put(f"{self.etc}/more.conf", "one.example tls/one.crt tls/one.key\n/no_sni/ tls/none.crt tls/none.key\n")
        for stem, host in [("one", "one.example"), ("any", "localhost"), ("none", "none.example")]:
            ca.issue(stem, sans=[host], usage="server", valid_to=pki.now() + 60 * pki.DAY).write(self.path("tls"), stem)
            self.load(stem)
        self.front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.front.sni_callback = self.choose

    def path(self, name):
        return os.path.join(self.dir, name)

    def load(self, stem):
        self.contexts[stem] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.contexts[stem].load_cert_chain(self.path(f"tls/{stem}.crt"), self.path(f"tls/{stem}.key"))

    def shown(self, stem):
        """Serial number and names of a certificate on disk."""
        return subprocess.run(["openssl", "x509", "-in", self.path(f"tls/{stem}.crt"), "-noout", "-serial", "-ext",
                               "subjectAltName"], capture_output=True, text=True, check=True).stdout

    def choose(self, tls, name, _):
        self.asked.append(name)
        tls.context = self.contexts["none" if name is None else "one" if name == "one.example" else "any"]

    def show(self, client):
        assert read_exactly(client, 8) == SSL_REQUEST
        client.sendall(b"S")
        with self.front.wrap_socket(client, server_side=True) as tls:
            tls.recv(1)


@pytest.fixture
def nineteen(program, tmp_path, certs):
    return Nineteen(program, tmp_path, certs.ca)


def test_monitor_of_a_data_directory(nineteen):
    assert watch(nineteen, nineteen.dir)[0] == dict.fromkeys(["one", "any", "none"], None)      # it does not run
    with contextlib.closing(StrangeServer(nineteen.show).listener) as listener:
        port = listener.getsockname()[1]
        pki.write_file(nineteen.path("postmaster.pid"), f"{os.getpid()}\n{nineteen.dir}\n1\n{port}\n/tmp\nlocalhost\n")
        for where in (nineteen.dir, nineteen.etc):
            assert watch(nineteen, where) == (dict.fromkeys(["one", "any", "none"], True), {}, [])
        assert len(nineteen.asked) == 6 and nineteen.asked.count("one.example") == nineteen.asked.count(None) == 2
        assert len([name for name in nineteen.asked if name and name.endswith(".pgseal.invalid")]) == 2
        nineteen.ca.issue("none", sans=["none.example"], usage="server").write(nineteen.path("tls"), "none")
        matches, errors, _ = watch(nineteen, nineteen.dir, status=1)
        assert matches == {"one": True, "any": True, "none": False}
        assert errors == {"none": [f"another certificate is served at localhost:{port} to clients that ask for no host"]}


def test_rotate_of_a_data_directory(nineteen, certs):
    """Its files alone: the pairs of all lines, each for its own names; ssl_cert_file is not in use and is left alone."""
    fake_ca = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "fake_ca.py")
    certs.ca.write(os.path.dirname(nineteen.dir), "ca")
    made = certs.ca.issue("unused", sans=["unused"], usage="server", valid_to=pki.now() + pki.DAY)
    made.write(nineteen.dir, "server")
    os.mkdir(f"{nineteen.etc}/pgseal")
    source = f"/usr/bin/python3 {fake_ca} good {os.path.dirname(nineteen.dir)} %csr %out"
    pki.write_file(f"{nineteen.etc}/pgseal/rotate.conf", "".join(
        f"{stem}.source = command\n{stem}.command = '{source}'\n"
        f"{stem}.cert_file = tls/{stem}.crt\n{stem}.key_file = tls/{stem}.key\n" for stem in ("one", "any", "none")))
    before = {stem: nineteen.shown(stem) for stem in ("one", "any", "none")}
    done = subprocess.run([nineteen.program, "rotate", "-D", nineteen.dir, "--json", "--force"], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    assert {row["pair"]: (row["result"], row["served"]) for row in rows} == dict.fromkeys(
        ("one", "any", "none"), ("renewed", None))
    for stem, host in [("one", "one.example"), ("any", "localhost"), ("none", "none.example")]:
        nineteen.load(stem)      # the key fits
        assert nineteen.shown(stem) != before[stem] and f"DNS:{host}" in nineteen.shown(stem)
    with open(nineteen.path("server.crt"), "rb") as f:
        assert f.read() == made.pem()
    assert watch(nineteen, nineteen.dir) == (dict.fromkeys(["one", "any", "none"], None), {}, [])
    pki.write_file(f"{nineteen.etc}/more.conf", "one.example tls/one.crt\n")
    done = subprocess.run([nineteen.program, "rotate", "-D", nineteen.dir, "--force"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and f"{nineteen.etc}/more.conf:1: " in done.stderr and \
        "missing entry at end of line" in done.stderr, done.stderr
    rows = json.loads(tool(nineteen, "monitor", "--json", nineteen.dir))
    assert {(row["kind"], os.path.relpath(row["location"], os.path.dirname(nineteen.dir)), row["error"]) for row in rows} == {
        ("server", "etc/more.conf", "line 1: missing entry at end of line"), ("server", "data/tls/any.crt", None)}


# -- routes -------------------------------------------------------------------------------------------------------
def test_routes_by_host(factory, certs):
    """The host comes before the database, and has its own server, secrets and way to log in."""
    server = factory.upstream()
    socket = f"host={server.socket_dir} port={server.port}"
    gate = factory.gate(hba="local all all trust\nhost all alice 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n",
                        tls={"cert": certs.server},
                        settings={"upstream.app": f"{socket} user=bob", "upstream_login.app": "service",
                                  'upstream."sni:Two.Example"': f"{socket} user=alice", 'upstream_login."sni:two.example"': "service",
                                  'upstream."sni:down.example"': "host=/nowhere", 'auth_source."sni:relayed.example"': "upstream",
                                  'upstream."sni:none.example"': ""})
    try:
        def who(host, **options):
            done = psql.run(gate, "SELECT current_user", hostaddr="127.0.0.1", host=host, **{"sslmode": "require", **options})
            return done.stdout.strip() or done.stderr

        assert who("localhost", user="carol", dbname="postgres") == "carol"
        assert who("localhost", user="carol") == "bob"                       # upstream.app
        assert who("two.example", user="carol") == "alice"                   # the host is stronger
        assert who("TWO.EXAMPLE", user="carol", dbname="postgres") == "alice"
        assert who("two.example", user="carol", sslmode="disable") == "bob"  # no TLS, no name
        assert who("two.example", user="carol", sslsni=0) == "bob"
        assert "server is not available" in who("down.example", user="carol")
        assert 'database "app" does not exist' in who("none.example", user="carol")
        assert who("localhost", user="alice", password=PASSWORDS["alice"]) == "bob"
        # The server is to judge the password, and trusts the gate without one.
        assert "could not log in to the upstream server" in who("relayed.example", user="alice")
        with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as db:
            assert db.execute("SELECT upstream, connects FROM pgseal_upstreams WHERE upstream LIKE 'sni:%' "
                              "ORDER BY 1").fetchall() == [("sni:Two.Example", 2), ("sni:down.example", 0)]
            assert db.execute("SELECT setting FROM pg_settings WHERE name LIKE 'upstream_login%sni%'").fetchone() == ("service",)
    finally:
        factory.stop(gate)


def test_a_host_renames_no_database(strict):
    w = strict("* any.crt any.key\n", **{'upstream."sni:two.example"': "host=/nowhere dbname=other"})
    code, words = check(w.gate)
    assert code != 0 and '"upstream.sni:two.example" must not name a database' in words, words
