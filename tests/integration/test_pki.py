"""
pgseal init, ca and cert: what they write is judged by openssl and certtool, served by PostgreSQL, and used by real
clients with the very connection strings that were printed.
"""

import concurrent.futures
import glob
import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import termios

import psycopg
import pytest

from conftest import npm_modules
from lib import golang, pki, psql, run

JAR = "/usr/share/java/postgresql.jar"
HERE = os.path.dirname(os.path.abspath(__file__))


class Tool:
    """The program, with a directory of its own for what it writes."""

    def __init__(self, program, directory):
        self.program = program
        self.dir = str(directory)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def run(self, *argv, status=0, env=None):
        done = subprocess.run([self.program, *argv], cwd=self.dir, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, check=False)
        assert done.returncode == status, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *argv, status=0):
        return json.loads(self.run(*argv, "--json", status=status).stdout)

    def refused(self, *argv, status=1):
        return self.run(*argv, status=status).stderr


@pytest.fixture
def tool(program, tmp_path):
    # Servers run as another user must be able to come here.
    for parent in [tmp_path, *tmp_path.parents]:
        if os.access(parent, os.W_OK) and str(parent).startswith("/tmp/"):
            os.chmod(parent, os.stat(parent).st_mode | 0o011)
    return Tool(program, tmp_path)


def openssl(*argv, status=0):
    done = subprocess.run(["openssl", *argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, f"openssl {argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# ---- what judges of certificates say -----------------------------------------------------------------------------

CA_KINDS = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "ed25519"]


@pytest.mark.parametrize("key_kind", CA_KINDS)
def test_openssl_finds_nothing(tool, key_kind):
    tool.run("ca", "init", "ca", "--key", key_kind, "--org", "Acme, Inc", "--name", "Acme CA")
    openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", tool.path("ca/ca.crt"), tool.path("ca/ca.crt"))
    for use, leaf_kind in [("server", "ecdsa-p256"), ("client", "rsa-2048"), ("both", "ed25519")]:
        tool.run("cert", "issue", "--ca", "ca", f"n-{use}", "--use", use, "--key", leaf_kind, "--org", "Acme",
                 "--host", "db.example.com", "--san", "ip:2001:db8::1", "--san", "uri:spiffe://acme/db",
                 "--san", "email:dba@example.com")
        for purpose in ["sslserver", "sslclient"]:
            fits = use in ("both", purpose[3:])
            openssl("verify", "-x509_strict", "-purpose", purpose, "-crl_check_all", "-CRLfile", tool.path("ca/ca.crl"),
                    "-CAfile", tool.path("ca/ca.crt"), tool.path(f"n-{use}.crt"), status=0 if fits else 2)
        text = openssl("x509", "-in", tool.path(f"n-{use}.crt"), "-noout", "-text")
        assert "DNS:db.example.com, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://acme/db, email:dba@example.com" in text


@pytest.mark.parametrize("key_kind", CA_KINDS)
@pytest.mark.skipif(not shutil.which("certtool"), reason="certtool is not installed (gnutls-bin)")
def test_certtool_finds_nothing(tool, key_kind):
    tool.run("ca", "init", "ca", "--key", key_kind)
    tool.run("cert", "issue", "--ca", "ca", "db", "--host", "db.example.com", "--host", "192.0.2.1")
    tool.run("cert", "issue", "--ca", "ca", "alice")
    for name, purpose in [("db", "1.3.6.1.5.5.7.3.1"), ("alice", "1.3.6.1.5.5.7.3.2")]:
        done = subprocess.run(["certtool", "--verify", "--load-ca-certificate", tool.path("ca/ca.crt"),
                               "--load-crl", tool.path("ca/ca.crl"), "--verify-purpose", purpose,
                               "--infile", tool.path(f"{name}.crt")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The certificate is trusted" in done.stdout
    for path in ["ca/ca.crt", "db.crt", "alice.crt"]:
        done = subprocess.run(["certtool", "--certificate-info", "--infile", tool.path(path)], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0
        assert not re.search(r"(?i)warning|error|not (valid|properly)", done.stdout + done.stderr), done.stdout


def test_serials_are_random_and_128_bits(tool):
    tool.run("ca", "init", "ca")
    for i in range(6):
        tool.run("cert", "issue", "--ca", "ca", f"u{i}")
    serials = [row["serial_hex"] for row in tool.json("cert", "list", "--ca", "ca")]
    assert len(set(serials)) == 6
    assert all(len(s) >= 28 for s in serials)


def test_name_constraints_bind(tool):
    tool.run("ca", "init", "ca", "--permit", "dns:example.com", "--permit", "ip:10.0.0.0/8",
             "--permit", "!dns:secret.example.com")
    tool.run("cert", "issue", "--ca", "ca", "a", "--host", "db.example.com", "--host", "10.1.2.3")
    for host in ["db.example.org", "192.0.2.1", "x.secret.example.com"]:
        assert "this certificate would not be accepted" in tool.refused("cert", "issue", "--ca", "ca", "b", "--host", host)
    assert len(tool.json("cert", "list", "--ca", "ca")) == 1
    assert not os.path.exists(tool.path("b.key"))
    openssl("verify", "-x509_strict", "-CAfile", tool.path("ca/ca.crt"), tool.path("a.crt"))


def test_ed25519_cas_are_warned_of(tool):
    assert "break SCRAM channel binding" in tool.run("ca", "init", "ca", "--key", "ed25519").stderr
    made = tool.json("cert", "issue", "--ca", "ca", "db", "--host", "db")
    assert made["warnings"] and "cannot use channel binding" in made["warnings"][0]
    tool.run("ca", "init", "other")
    assert tool.json("cert", "issue", "--ca", "other", "x", "--host", "db", "--key", "ed25519")["warnings"] == []


# ---- files -------------------------------------------------------------------------------------------------------

def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_modes(tool):
    old = os.umask(0o077)
    try:
        tool.run("init", "gate", "--host", "localhost", "--user", "alice")
    finally:
        os.umask(old)
    expected = {"ca": 0o700, "ca/ca.key": 0o600, "ca/journal": 0o600, "tls": 0o711, "tls/ca.crt": 0o644,
                "tls/server.crt": 0o644, "tls/server.key": 0o600, "clients": 0o700, "clients/alice.key": 0o600,
                "pgseal.conf": 0o600, "pg_hba.conf": 0o600}
    assert {name: oct(mode(tool.path("gate", name))) for name in expected} == {n: oct(m) for n, m in expected.items()}


def test_no_key_is_overwritten(tool):
    tool.run("ca", "init", "ca")
    tool.run("cert", "issue", "--ca", "ca", "alice", "--for", "jdbc")
    before = {p: open(p, "rb").read() for p in glob.glob(tool.path("**/*.key"), recursive=True) + [tool.path("alice.pk8")]}
    assert "already exists" in tool.refused("ca", "init", "ca")
    assert "already exists" in tool.refused("cert", "issue", "--ca", "ca", "alice")
    os.remove(tool.path("alice.crt"))
    os.remove(tool.path("alice.key"))
    assert "alice.pk8\" already exists" in tool.refused("cert", "issue", "--ca", "ca", "alice", "--for", "jdbc")
    assert open(tool.path("ca/ca.key"), "rb").read() == before[tool.path("ca/ca.key")]
    assert open(tool.path("alice.pk8"), "rb").read() == before[tool.path("alice.pk8")]
    assert len(tool.json("cert", "list", "--ca", "ca")) == 1          # what was refused was not signed
    tool.run("cert", "issue", "--ca", "ca", "alice", "--for", "jdbc", "--force")
    assert open(tool.path("alice.pk8"), "rb").read() != before[tool.path("alice.pk8")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_of_keys(tool):
    tool.run("ca", "init", "ca")
    tool.run("cert", "issue", "--ca", "ca", "a", "--host", "db", "--owner", "postgres")
    tool.run("cert", "issue", "--ca", "ca", "b", "--host", "db", "--group", "postgres")
    a, b = os.stat(tool.path("a.key")), os.stat(tool.path("b.key"))
    assert (a.st_uid != 0, oct(a.st_mode & 0o777)) == (True, "0o600")
    assert (b.st_uid, b.st_gid == a.st_gid, oct(b.st_mode & 0o777)) == (0, True, "0o640")
    tool.run("cert", "renew", "--ca", "ca", tool.path("a.crt"))
    tool.run("cert", "renew", "--ca", "ca", tool.path("b.crt"))
    a2, b2 = os.stat(tool.path("a.key")), os.stat(tool.path("b.key"))
    assert (a2.st_uid, a2.st_mode, b2.st_gid, b2.st_mode) == (a.st_uid, a.st_mode, b.st_gid, b.st_mode)
    assert "does not exist on this machine" in tool.refused("cert", "issue", "--ca", "ca", "c", "--owner", "nobody-of-that-name")


def test_passphrases(tool):
    with open(tool.path("pw"), "w", encoding="utf-8") as f:
        f.write("correct horse\nsecond line\n")
    tool.run("ca", "init", "ca", "--passphrase-file", "pw")
    assert "ENCRYPTED" in open(tool.path("ca/ca.key"), encoding="ascii").read()
    assert "protected by a passphrase" in tool.refused("cert", "issue", "--ca", "ca", "alice")
    command = ["--ca-passphrase-command", "echo correct horse; : %p %%"]
    tool.run("cert", "issue", "--ca", "ca", "alice", "--passphrase-file", "pw", *command)
    openssl("pkey", "-in", tool.path("alice.key"), "-passin", "pass:correct horse", "-noout")
    # A protected key is not renewed into an open one.
    assert "protected by a passphrase" in tool.refused("cert", "renew", "--ca", "ca", tool.path("alice.crt"), *command,
                                                       status=2)
    tool.run("cert", "renew", "--ca", "ca", tool.path("alice.crt"), "--passphrase-command", "echo new", *command)
    openssl("pkey", "-in", tool.path("alice.key"), "-passin", "pass:new", "-noout")
    assert "exit code 3" in tool.refused("cert", "issue", "--ca", "ca", "x", "--ca-passphrase-command", "exit 3",
                                         status=3)
    assert "could not load private key" in tool.refused("cert", "issue", "--ca", "ca", "y", "--ca-passphrase-command",
                                                        "echo wrong")


# ---- the journal -------------------------------------------------------------------------------------------------

def test_parallel_runs_exclude_each_other(tool):
    tool.run("ca", "init", "ca")

    def issue(i):
        done = subprocess.run([tool.program, "cert", "issue", "--ca", "ca", f"p{i}"], cwd=tool.dir, check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0 or "held by another process" in done.stderr, done.stderr
        return done.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(issue, range(24)))
    rows = tool.json("cert", "list", "--ca", "ca")
    assert len(rows) == sum(done) >= 1
    assert sorted(r["subject"] for r in rows) == sorted(f"/CN=p{i}" for i, ok in enumerate(done) if ok)


def test_a_killed_run_leaves_a_whole_journal(tool):
    tool.run("ca", "init", "ca")
    for i in range(40):
        process = subprocess.Popen([tool.program, "cert", "issue", "--ca", "ca", f"k{i}"], cwd=tool.dir,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(0.0003 * i)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    rows = tool.json("cert", "list", "--ca", "ca")
    subjects = {row["subject"] for row in rows}
    # Whoever has a certificate is in the journal.
    for path in glob.glob(tool.path("k*.crt")):
        assert f"/CN={os.path.basename(path)[:-4]}" in subjects
    tool.run("cert", "issue", "--ca", "ca", "after")


def test_revoking(tool):
    tool.run("init", "gate", "--host", "localhost")
    for name in ["alice", "bob"]:
        tool.run("cert", "issue", "-D", "gate", name)
    tool.run("cert", "renew", "-D", "gate", "alice")
    message = tool.refused("cert", "revoke", "-D", "gate", "alice")
    assert "several certificates" in message and "--all" in message
    serials = {row["serial_hex"]: row["subject"] for row in tool.json("cert", "list", "-D", "gate")}
    alices = [s for s, subject in serials.items() if subject == "/CN=alice"]
    tool.run("cert", "revoke", "-D", "gate", alices[0].upper(), "--reason", "superseded")
    tool.run("cert", "revoke", "-D", "gate", "alice", "--reason", "keyCompromise")
    tool.run("cert", "revoke", "-D", "gate", tool.path("gate/clients/bob.crt"))
    assert "no valid certificate" in tool.refused("cert", "revoke", "-D", "gate", "alice")
    assert "no valid certificate" in tool.refused("cert", "revoke", "-D", "gate", "mallory")
    states = {r["subject"] + r["serial_hex"]: (r["state"], r["reason"]) for r in tool.json("cert", "list", "-D", "gate")}
    assert states["/CN=alice" + alices[0]] == ("revoked", "superseded")
    assert states["/CN=alice" + alices[1]] == ("revoked", "keyCompromise")
    for path in ["gate/ca/ca.crl", "gate/tls/ca.crl"]:
        text = openssl("crl", "-in", tool.path(path), "-noout", "-text", "-CAfile", tool.path("gate/tls/ca.crt"))
        assert "verify OK" in text
        assert text.count("Serial Number:") == 3 and "Key Compromise" in text and "Superseded" in text
    openssl("verify", "-crl_check", "-CRLfile", tool.path("gate/tls/ca.crl"), "-CAfile", tool.path("gate/tls/ca.crt"),
            tool.path("gate/tls/server.crt"))
    serial = json.loads(tool.run("cert", "show", "--json", "gate/tls/server.crt").stdout)[0]["serial_hex"]
    assert serial in tool.run("cert", "revoke", "-D", "gate", "server").stdout      # the gate's own, as for renew


def test_certificates_of_others_are_not_renewed(tool):
    tool.run("ca", "init", "one")
    tool.run("ca", "init", "two", "--name", "Two")
    tool.run("cert", "issue", "--ca", "one", "db", "--host", "db")
    assert "not by the CA" in tool.refused("cert", "renew", "--ca", "two", tool.path("db.crt"))
    assert "CA's certificate" in tool.refused("cert", "renew", "--ca", "one", tool.path("one/ca.crt"))


def test_names_that_are_no_names_of_files(tool):
    tool.run("init", "gate", "--host", "localhost", "--user", "corp/ann")
    clients = tool.path("gate/clients")
    for name, file in [("spiffe://home.example/ns/w", "spiffe:__home.example_ns_w"), ("ann b", "ann_b")]:
        made = tool.json("cert", "issue", "-D", "gate", name)
        assert made["files"]["certificate"] == f"{clients}/{file}.crt" and made["certificate"]["subject"] == f"/CN={name}"
    # Another user's certificate has the name that this one's would get.
    for argv in [["cert", "issue", "-D", "gate", "ann_b"], ["cert", "issue", "-D", "gate", "corp_ann"]]:
        other = argv[-1].replace("_", " " if argv[-1] == "ann_b" else "/")
        said = tool.refused(*argv)
        assert f'{argv[-1]}.crt" is the certificate of another user, "{other}"' in said and "--file" in said
        assert "cert renew" not in said
    assert "another user" in tool.refused("cert", "renew", "-D", "gate", "ann_b")
    made = tool.json("cert", "issue", "-D", "gate", "ann_b", "--file", "ann2")
    assert made["files"]["key"] == f"{clients}/ann2.key" and made["certificate"]["subject"] == "/CN=ann_b"
    assert "--out names a directory" in tool.refused("cert", "issue", "-D", "gate", "x", "--file", "a/b", status=2)
    # They are renewed and revoked by their own names.
    old = tool.json("cert", "show", f"{clients}/corp_ann.crt")[0]["serial"]
    tool.run("cert", "renew", "-D", "gate", "corp/ann")
    assert tool.json("cert", "show", f"{clients}/corp_ann.crt")[0]["serial"] != old
    tool.run("cert", "issue", "-D", "gate", "x/CN=ann b", "--file", "x")
    revoked = tool.run("cert", "revoke", "-D", "gate", "ann b").stdout
    assert revoked.startswith("revoked /CN=ann b, ") and revoked.count("\n") == 1
    assert tool.run("cert", "revoke", "-D", "gate", "corp/ann", "--all").stdout.count("revoked /CN=corp/ann") == 2


def test_renewal_keeps_what_it_should(tool):
    tool.run("ca", "init", "ca")
    tool.run("cert", "issue", "--ca", "ca", "db", "--host", "db.example.com", "--host", "10.0.0.1", "--use", "both",
             "--days", "30", "--key", "rsa-2048", "--org", "Acme")
    before = tool.json("cert", "show", tool.path("db.crt"))[0]
    old_key = open(tool.path("db.key"), "rb").read()
    tool.run("cert", "renew", "--ca", "ca", tool.path("db.crt"), "--keep-key", "--days", "60")
    assert open(tool.path("db.key"), "rb").read() == old_key
    tool.run("cert", "renew", "--ca", "ca", tool.path("db.crt"))
    assert open(tool.path("db.key"), "rb").read() != old_key
    after = tool.json("cert", "show", tool.path("db.crt"))[0]
    same = ["subject", "issuer", "sans", "key", "usage", "signature"]
    assert {k: after[k] for k in same} == {k: before[k] for k in same}
    assert after["serial"] != before["serial"] and after["days_left"] >= 59
    openssl("verify", "-x509_strict", "-CAfile", tool.path("ca/ca.crt"), tool.path("db.crt"))
    # Names are added, each once; the old ones stay.
    tool.run("cert", "renew", "--ca", "ca", tool.path("db.crt"), "--host", "db2.example.com", "--host", "10.0.0.1", "--san",
             "uri:https://db.example.com")
    assert tool.json("cert", "show", tool.path("db.crt"))[0]["sans"] == [*before["sans"], "dns:db2.example.com",
                                                                         "uri:https://db.example.com"]


def test_renewal_writes_all_that_issue_wrote(tool):
    """Whatever form of the key a driver reads, it is the new one; none of them loses its passphrase."""
    tool.run("ca", "init", "ca")
    tool.run("cert", "issue", "--ca", "ca", "a", "--for", "jdbc", "--for", "npgsql")
    tool.run("cert", "issue", "--ca", "ca", "p", "--for", "jdbc", "--passphrase-command", "echo one")
    before = {name: open(tool.path(name), "rb").read() for name in ["a.pk8", "a.p12", "p.p12"]}
    made = tool.json("cert", "renew", "--ca", "ca", tool.path("a.crt"))
    assert made["files"]["pk8"] == tool.path("a.pk8") and made["files"]["p12"] == tool.path("a.p12")
    said = tool.run("cert", "renew", "--ca", "ca", tool.path("a.crt"), "--for", "npgsql").stdout
    assert "PKCS #8" in said and "PKCS #12" not in said and "for npgsql" in said
    public = openssl("x509", "-in", tool.path("a.crt"), "-noout", "-pubkey")
    assert openssl("pkey", "-inform", "DER", "-in", tool.path("a.pk8"), "-pubout") == public
    pem = openssl("pkcs12", "-in", tool.path("a.p12"), "-passin", "pass:", "-nodes")
    assert pem[pem.index("-----BEGIN CERT"):pem.index("-----END CERT")] in open(tool.path("a.crt"), encoding="ascii").read()
    # The container's passphrase binds even where the key's own does not.
    tool.run("cert", "issue", "--ca", "ca", "q")
    os.rename(tool.path("q.crt"), tool.path("r.crt"))
    os.rename(tool.path("q.key"), tool.path("r.key"))
    shutil.copy(tool.path("p.p12"), tool.path("r.p12"))
    issued = len(tool.json("cert", "list", "--ca", "ca"))
    assert 'r.p12" is protected by a passphrase' in tool.refused("cert", "renew", "--ca", "ca", tool.path("r.crt"), status=2)
    assert len(tool.json("cert", "list", "--ca", "ca")) == issued
    tool.run("cert", "renew", "--ca", "ca", tool.path("p.crt"), "--passphrase-command", "echo two", "--keep-key", status=1)
    tool.run("cert", "renew", "--ca", "ca", tool.path("p.crt"), "--passphrase-command", "echo two")
    openssl("pkcs12", "-in", tool.path("p.p12"), "-passin", "pass:two", "-noout")
    assert not any(open(tool.path(name), "rb").read() == old for name, old in before.items())


# ---- init --------------------------------------------------------------------------------------------------------

def test_init_refuses_and_completes(tool):
    made = tool.json("init", "gate", "--host", "db.example.com", "--host", "10.0.0.9", "--port", "7000")
    assert made["port"] == 7000 and made["auth_source"] == "upstream"
    assert made["server"]["pg_hba_conf"] == ["local  all  all  scram-sha-256"]
    assert f"sslrootcert={made['ca_file']}" in made["clients"]["libpq"]
    assert tool.json("cert", "show", tool.path("gate/tls/server.crt"))[0]["sans"] == ["dns:db.example.com", "ip:10.0.0.9"]
    assert "not empty" in tool.refused("init", "gate")
    key = open(tool.path("gate/tls/server.key"), "rb").read()
    os.remove(tool.path("gate/pg_hba.conf"))
    again = tool.json("init", "gate", "--force")
    assert {f["name"] for f in again["files"] if not f["kept"]} == {"pg_hba.conf"}
    assert (again["host"], again["port"]) == ("db.example.com", 7000)      # as the kept files say
    assert open(tool.path("gate/tls/server.key"), "rb").read() == key
    hba = [line for line in open(tool.path("gate/pg_hba.conf"), encoding="utf-8") if not line.startswith("#")]
    assert [line.split() for line in hba] == [["hostssl", "pgseal", "all", "all", "reject"],
                                              ["hostssl", "all", "all", "all", "scram-sha-256"]]


@pytest.mark.parametrize("conninfo, database", [("host=db1,db2 port=5433", "postgres"),
                                                ("postgresql://db1:5433,db2/app", "app")])
def test_init_for_a_server_over_tcp(tool, conninfo, database):
    made = tool.json("init", "gate", "--host", "gate.example.com", "--upstream", conninfo)
    assert made["auth_source"] == "query"
    options = psycopg.conninfo.conninfo_to_dict(made["upstream"])
    assert made["auth_dbname"] == database and "dbname" not in options
    with open(tool.path("gate/pgseal.conf"), encoding="utf-8") as f:
        assert f"auth_dbname = '{database}'\n" in f.read()
    assert tool.run("serve", "-D", "gate", "--check").returncode == 0
    assert options["user"] == "pgseal" and options["sslrootcert"] == tool.path("gate/tls/ca.crt")
    assert mode(options["passfile"]) == 0o600
    password = open(options["passfile"], encoding="ascii").read().strip().split(":")[-1]
    assert len(password) >= 32 and password not in json.dumps(made)
    assert made["server"]["sql"][0].startswith('CREATE ROLE "pgseal" LOGIN PASSWORD \'SCRAM-SHA-256$4096:')
    assert tool.json("cert", "show", tool.path("gate/upstream/server.crt"))[0]["sans"] == ["dns:db1", "dns:db2"]


def test_init_says_what_its_lines_do(tool):
    """To the DBA's own line, running sessions, standbys, replication and cert users; and in which database GRANTs go."""
    over_socket = tool.run("init", "socket", "--host", "localhost")
    over_tcp = tool.run("init", "tcp", "--host", "localhost", "--upstream", "postgresql://db1/app")
    for said in over_socket.stdout, over_tcp.stdout:
        words = " ".join(said.split())
        for word in ("local all postgres peer", "systemctl reload postgresql", "standbys", "replication all", "Users of cert lines",
                     "map=gate", "--check --login"):
            assert word in words, word
    assert "systemctl restart postgresql" in over_socket.stdout
    assert 'in SQL, as a superuser, in database "app"' in over_tcp.stdout
    assert len(tool.json("init", "third", "--host", "localhost")["server"]["notes"]) >= 4


def test_the_lines_of_init_leave_the_dba_his_own(tool, factory):
    """Debian's first line, then what init prints, as it says: peer for the DBA, passwords for all who come by the gate."""
    made = tool.json("init", "gate", "--host", "localhost")
    server = factory.postgres(hba="\n".join(["local all postgres peer", *made["server"]["pg_hba_conf"], ""]))
    try:
        as_dba = run.demoted([psql.PSQL, "-XAtw", "-h", server.socket_dir, "-p", str(server.port), "-U", "postgres", "-c",
                              "SELECT 'in'", "postgres"])
        if run.is_root():
            assert subprocess.run(as_dba, cwd="/", capture_output=True, text=True, check=False).stdout == "in\n"
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(host=server.socket_dir, port=server.port, user="alice", dbname="app")
    finally:
        factory.stop(server)


def test_a_companion_that_init_made(tool, factory, certs):
    """No certificates of its own; the application's plain socket, the server's verified TLS."""
    behind = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n", tls={"cert": certs.server})
    conninfo = f"host=localhost port={behind.port} dbname=db2 sslrootcert={certs.ca_file}"
    made = tool.json("init", "gate", "--companion", "--upstream", conninfo)
    assert made["auth_dbname"] == "db2" and made["ca_file"] is None and made["server"]["sql"] == []
    assert sorted(f["name"] for f in made["files"]) == ["pg_hba.conf", "pg_ident.conf", "pgseal.conf"]
    log = run.Log(tool.path("gate.log"))
    assert tool.run("serve", "-D", "gate", "--check", "--login").returncode == 0
    with open(log.path, "wb") as out:
        gate = subprocess.Popen([tool.program, "serve", "-D", "gate"], cwd=tool.dir, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out)
    try:
        log.wait_for("ready to accept connections")
        way = made["clients"]["libpq"].replace("DATABASE", "app").replace("USER", "alice")
        with psycopg.connect(way, password="alice's pass") as db:
            assert db.execute("SELECT current_database(), ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == \
                ("app", True)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(way, password="wrong")
    finally:
        gate.send_signal(signal.SIGINT)
        assert gate.wait(run.PATIENCE) == 0, log.text()
        factory.stop(behind)


@pytest.mark.parametrize("argv, words", [
    (["--companion"], "a server on another machine"), (["--companion", "--upstream", "host=x"], "sslrootcert=FILE"),
    (["--companion", "--upstream", "host=x sslrootcert=y sslmode=require"], "sslmode=verify-full"),
    (["--companion", "--upstream", "host=x sslrootcert=y", "--user", "u"], "has no certificates"),
    (["--host", "a b"], "not a valid name"), (["--upstream", "host=x password=y"], "password"),
    (["--upstream", "nonsense"], "missing \"=\""), (["--port", "0"], "not a number"), (["--days", "x"], "not a number"),
    (["--user", "../x"], "not a valid name")])
def test_init_refuses_bad_options(tool, argv, words):
    done = subprocess.run([tool.program, "init", "gate", *argv], cwd=tool.dir, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2) and words in done.stderr, done.stderr
    assert not os.path.exists(tool.path("gate/tls"))


# ---- served by PostgreSQL, used by clients -----------------------------------------------------------------------

class Served:
    """A PostgreSQL that serves what init wrote; everybody over TLS, alice with her password, others by certificate."""

    HBA = """
        hostssl all bob   127.0.0.1/32 cert
        hostssl all carol 127.0.0.1/32 scram-sha-256 clientcert=verify-full
        hostssl all all   127.0.0.1/32 scram-sha-256
    """

    def __init__(self, tool, factory, distribution=None):
        self.tool = tool
        tool.run("init", "gate", "--host", "localhost", "--host", "127.0.0.1", "--host", "db.example.com")
        self.root = tool.path("gate/tls/ca.crt")
        self.server = factory.postgres(distribution, hba=self.HBA)
        self.refresh()

    def refresh(self):
        """Give the server the present files and have it read them."""
        files = {"cert": "server.crt", "key": "server.key", "ca": "ca.crt", "crl": "ca.crl"}
        settings = {"ssl": "on"}
        for setting, name in files.items():
            with open(self.tool.path("gate/tls", name), encoding="ascii") as f:
                settings[f"ssl_{setting}_file"] = self.server.write(name, f.read(), 0o600)
        self.server.configure(settings)
        self.server.reload()

    def psql(self, conninfo, sql="SELECT 1", password="alice's pass"):
        return subprocess.run(["psql", "-XAtc", sql, conninfo], capture_output=True, text=True, check=False, timeout=60,
                              env={"PATH": os.environ["PATH"], "PGPASSWORD": password, "LC_ALL": "C", "HOME": self.tool.dir})

    def to(self, **options):
        return psycopg.conninfo.make_conninfo(**{"port": self.server.port, "user": "alice", "dbname": "app",
                                                 "sslmode": "verify-full", "sslrootcert": self.root, **options})


@pytest.fixture
def served(tool, factory):
    made = Served(tool, factory)
    yield made
    factory.stop(made.server)


def error_of(done):
    """psql's own words, without the place it connected to."""
    return re.sub(r"^psql: error: (connection to server .*?failed: )?", "", done.stderr.strip(), flags=re.S)


def test_verify_says_what_psql_says(served):
    tool, leaf = served.tool, served.tool.path("gate/tls/server.crt")
    tool.run("ca", "init", "foreign", "--name", "Foreign")
    roots = {"ours": served.root, "foreign": tool.path("foreign/ca.crt"), "missing": tool.path("missing.crt")}
    verdicts = []
    for root in roots.values():
        for host in ["localhost", "127.0.0.1", "db.example.com", "other.example.com", "127.0.0.2", "DB.EXAMPLE.COM"]:
            for level in ["verify-ca", "verify-full"]:
                real = served.psql(served.to(host=host, hostaddr="127.0.0.1", sslmode=level, sslrootcert=root))
                ours = json.loads(subprocess.run([tool.program, "cert", "verify", leaf, "--root", root, "--host", host,
                                                  "--json"], capture_output=True, text=True, check=False).stdout)
                said = ours[level.replace("-", "_")]
                verdicts.append((root, host, level))
                assert said["ok"] == (real.returncode == 0), (verdicts[-1], said, real.stderr)
                if not said["ok"]:
                    assert error_of(real).startswith(said["error"]), verdicts[-1]
    assert len(verdicts) == 36


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_foreign_chains(tool, factory, depth):
    """Chains of 0, 1 or 2 intermediates, whole, cut, shuffled, with a stranger: psql and `cert verify` agree."""
    root = pki.Authority("Foreign Root")
    issuers = [root]
    for i in range(depth):
        issuers.append(issuers[-1].intermediate(f"Foreign Intermediate {i + 1}"))
    leaf = issuers[-1].issue("db", sans=["localhost"], usage="server")
    pem = {c: c.pem()[:c.pem().index(b"-----END CERTIFICATE-----") + 26] for c in [leaf, *issuers]}
    stranger = pki.Authority("Stranger").pem()
    path = [pem[leaf], *[pem[c] for c in reversed(issuers[1:])]]            # leaf, then up to below the root
    cases = {"whole": (path, []), "with root": ([*path, pem[root]], []),
             "stranger": ([*path, stranger], ["does not belong to the chain"])}
    if depth:
        cases["cut"] = (path[:1], [f'the issuer "/CN=Foreign Intermediate {depth}" is missing'])
    if depth == 2:
        cases["shuffled"] = ([path[0], path[2], path[1]], ["out of order"])
        cases["gap"] = ([path[0], path[2]], ["does not belong to the chain"])
    pki.write_file(tool.path("root.crt"), pem[root])
    server = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n")
    try:
        for title, (certificates, complaints) in cases.items():
            served = b"".join(certificates)
            pki.write_file(tool.path("server.crt"), served)
            server.configure({"ssl": "on", "ssl_cert_file": server.write("server.crt", served),
                              "ssl_key_file": server.write("server.key", leaf.key_pem(), 0o600)})
            server.reload()
            try:
                psycopg.connect(host="localhost", port=server.port, user="alice", password="alice's pass", dbname="app",
                                sslmode="verify-full", sslrootcert=tool.path("root.crt")).close()
                real = None
            except psycopg.OperationalError as e:
                real = str(e)
            ours = json.loads(subprocess.run([tool.program, "cert", "verify", tool.path("server.crt"), "--root",
                                              tool.path("root.crt"), "--host", "localhost", "--json"],
                                             capture_output=True, text=True, check=False).stdout)
            assert ours["verify_full"]["ok"] == (real is None), (title, real, ours["verify_full"])
            if real:
                assert ours["verify_full"]["error"] in real, title
            assert [w for w in ours["warnings"] if not any(c in w for c in complaints)] == [], title
            assert len(ours["warnings"]) == len(complaints), (title, ours["warnings"])
    finally:
        factory.stop(server)


def trust_settings(path):
    """The certificate of a file in OpenSSL's form with trust settings."""
    return openssl("x509", "-in", path, "-trustout", "-addtrust", "serverAuth")


def test_files_are_read_as_openssl_reads_them(served):
    """Trust settings in the first place, a stranger behind, CAs in any form: `cert`, a server and psql say the same."""
    tool, leaf = served.tool, served.tool.path("gate/tls/server.crt")
    tool.run("ca", "init", "foreign", "--name", "Foreign")
    with open(leaf, encoding="ascii") as f:
        plain = f.read()
    odd = trust_settings(leaf) + trust_settings(tool.path("foreign/ca.crt")) + "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n"
    pki.write_file(tool.path("odd.crt"), odd)
    shown = tool.run("cert", "show", "odd.crt")
    assert "certificate 1 of 2\n  subject      /CN=localhost" in shown.stdout
    assert "certificate 2 in file" in shown.stderr and "skipped in ssl_cert_file" in shown.stderr
    assert 'block 3 in file "odd.crt", "PKCS7", is skipped' in shown.stderr
    pki.write_file(tool.path("cas.crt"), trust_settings(tool.path("foreign/ca.crt")) + trust_settings(served.root))
    for content, root in [(odd, "cas.crt"), (odd, "foreign/ca.crt"), (plain, "cas.crt")]:
        pki.write_file(leaf, content)
        served.refresh()
        real = served.psql(served.to(host="localhost", sslrootcert=tool.path(root)))
        ours = json.loads(subprocess.run([tool.program, "cert", "verify", leaf, "--root", tool.path(root), "--host", "localhost",
                                          "--json"], capture_output=True, text=True, check=False).stdout)
        assert ours["verify_full"]["ok"] == (real.returncode == 0), (root, real.stderr)
        assert ours["certificate"]["subject"] == "/CN=localhost"
        assert bool(ours["warnings"]) == (root == "foreign/ca.crt")


def test_client_certificates(served):
    tool = served.tool
    for name in ["bob", "carol"]:
        tool.run("cert", "issue", "-D", "gate", name)

    def connect(user, cert, password="carol's pass"):
        stem = tool.path("gate/clients", cert)
        return served.psql(served.to(host="localhost", user=user, sslcert=f"{stem}.crt", sslkey=f"{stem}.key"),
                           "SELECT client_dn, issuer_dn, client_serial FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                           password)

    shown = {n: tool.json("cert", "show", tool.path(f"gate/clients/{n}.crt"))[0] for n in ["bob", "carol"]}
    for name in ["bob", "carol"]:
        done = connect(name, name)
        assert done.stdout.strip() == "|".join([shown[name]["subject"], shown[name]["issuer"], shown[name]["serial"]]), \
            done.stderr
    assert "certificate authentication failed" in connect("bob", "carol").stderr
    # Revoked: shut out when the server has read the list, and told so in the words of `cert verify`.
    tool.run("cert", "revoke", "-D", "gate", "bob", "--reason", "keyCompromise")
    served.refresh()
    verdict = tool.json("cert", "verify", "-D", "gate", "--client", "--crl", tool.path("gate/tls/ca.crl"),
                        tool.path("gate/clients/bob.crt"), status=1)
    assert verdict["accepted"]["error"] in connect("bob", "bob").stderr
    assert "revoked" in verdict["accepted"]["reason"]
    assert connect("carol", "carol").returncode == 0
    # Not ours, and not for clients.
    tool.run("ca", "init", "foreign", "--name", "Foreign")
    tool.run("cert", "issue", "--ca", "foreign", "--out", "gate/clients", "stranger")
    tool.run("cert", "issue", "-D", "gate", "--out", "gate/clients", "host", "--host", "localhost")
    for name in ["stranger", "host"]:
        verdict = tool.json("cert", "verify", "-D", "gate", "--client", tool.path(f"gate/clients/{name}.crt"), status=1)
        assert verdict["accepted"]["error"] in connect("bob", name).stderr, name


def test_renewed_certificate_is_served(served):
    old = served.tool.json("cert", "show", served.tool.path("gate/tls/server.crt"))[0]["sha256"]
    served.tool.run("cert", "renew", "-D", "gate", "server")
    served.refresh()
    assert served.psql(served.to(host="localhost")).returncode == 0
    assert served.tool.json("cert", "show", served.tool.path("gate/tls/server.crt"))[0]["sha256"] != old


NAMES = ["alice", "Ünïcode Näme", "a, b", "a+b", "a=b", "#a", " a ", "a\"b", "a\\b", "a<b>;c", "x" * 64]


def test_names_are_shown_as_postgresql_shows_them(served):
    """The slash form, compared with pg_stat_ssl; PostgreSQL cuts it to 63 bytes."""
    tool = served.tool
    for i, name in enumerate(NAMES):
        made = tool.json("cert", "issue", "-D", "gate", name, "--org", f"Ö, {i}/x", "--out", f"n{i}")
        stem = made["files"]["certificate"][:-4]
        done = served.psql(served.to(host="localhost", sslcert=f"{stem}.crt", sslkey=f"{stem}.key"),
                           "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert done.returncode == 0, done.stderr
        subject = made["certificate"]["subject"].encode()[:63].decode("utf-8", "ignore")
        assert done.stdout.rstrip("\n") == subject


def test_connection_strings_work_as_printed(served):
    tool = served.tool
    issued = tool.json("cert", "issue", "-D", "gate", "bob", "--for", "libpq", "--for", "pgx",
                       "--server", f"localhost:{served.server.port}")
    server_only = tool.json("cert", "issue", "-D", "gate", "other", "--host", "localhost", "--for", "libpq",
                            "--server", f"localhost:{served.server.port}")
    for connect in [issued["connect"]["libpq"], issued["connect"]["pgx"]]:      # libpq reads pgx's URLs
        with psycopg.connect(connect.replace("DATABASE", "app")) as db:
            assert db.execute("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == \
                (True, "/CN=bob")
    connect = server_only["connect"]["libpq"].replace("DATABASE", "app").replace("USER", "alice")
    with psycopg.connect(connect, password="alice's pass") as db:
        assert db.execute("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (None,)
    # A key with a passphrase.
    tool.run("cert", "issue", "-D", "gate", "bob", "--out", "p", "--passphrase-command", "echo x y")
    with psycopg.connect(served.to(host="localhost", user="bob", sslcert=tool.path("p/bob.crt"),
                                   sslkey=tool.path("p/bob.key"), sslpassword="x y")) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_a_passphrase_from_the_terminal(tool):
    """Asked twice for a new key; once for the CA's."""
    def type_in(argv, answers):
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(tool.dir)
            os.execv(tool.program, [tool.program, *argv])
        said = b""
        for answer in answers:
            count = said.count(b": ")
            while said.count(b": ") == count:
                said += os.read(fd, 1024)
            run.wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ECHO, "the terminal not to echo")
            os.write(fd, answer.encode() + b"\n")
        try:
            while chunk := os.read(fd, 4096):
                said += chunk
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()

    status, said = type_in(["ca", "init", "ca", "--passphrase"], ["sesame", "sesame"])
    assert status == 0 and "sesame" not in said, said
    openssl("pkey", "-in", tool.path("ca/ca.key"), "-passin", "pass:sesame", "-noout")
    status, said = type_in(["cert", "issue", "--ca", "ca", "alice"], ["sesame"])
    assert status == 0 and "alice.crt" in said, said
    status, said = type_in(["ca", "init", "other", "--passphrase"], ["one", "two"])
    assert status != 0 and not os.path.exists(tool.path("other/ca.key")), said


def test_node_postgres(served, pytestconfig):
    modules = npm_modules(pytestconfig)
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "pg")):
        pytest.skip("node-postgres is not installed")
    tool, where = served.tool, ["--server", f"localhost:{served.server.port}", "--for", "node"]
    tests = [(tool.json("cert", "issue", "-D", "gate", "bob", *where), "undefined", "/CN=bob"),
             (tool.json("cert", "issue", "-D", "gate", "o", "--host", "localhost", *where), "\"alice's pass\"", "null"),
             (tool.json("cert", "issue", "-D", "gate", "bob", "--out", "p", "--passphrase-command", "echo xy", *where),
              "undefined", "/CN=bob")]
    for made, password, dn in tests:
        options = made["connect"]["node"].replace("DATABASE", "app").replace("USER", "alice").replace("PASSPHRASE", "'xy'")
        script = (f"const fs = require('fs'), {{ Client }} = require('pg'); const c = new Client({{ ...({options}), "
                  f"password: {password} }}); c.connect().then(() => c.query('SELECT client_dn FROM pg_stat_ssl "
                  "WHERE pid = pg_backend_pid()')).then(r => { console.log(r.rows[0].client_dn); return c.end(); })"
                  ".catch(e => { console.error(e.message); process.exit(1); });")
        done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False, timeout=60,
                              env={**os.environ, "NODE_PATH": modules})
        assert (done.returncode, done.stdout.strip()) == (0, dn), done.stderr
    # And it does check: another name, another CA.
    bad = tests[0][0]["connect"]["node"].replace("DATABASE", "app").replace("'localhost'", "'localhost.localdomain'")
    assert "localhost.localdomain" in bad


@pytest.mark.skipif(not os.path.exists(JAR) or not shutil.which("javac"),
                    reason="pgJDBC is not installed (libpostgresql-jdbc-java, default-jdk-headless)")
def test_pgjdbc(served):
    tool, where = served.tool, ["--server", f"localhost:{served.server.port}", "--for", "jdbc"]
    classes = tool.path("classes")
    subprocess.run(["javac", "-d", classes, os.path.join(HERE, "java", "Connect.java")], check=True)

    def connect(made, password=None, **replace):
        url = made["connect"]["jdbc"].replace("DATABASE", "app").replace("USER", "alice").replace("PASSPHRASE", "xy")
        for old, new in replace.items():
            url = url.replace(old, new)
        env = {**os.environ, **({"PGPASSWORD": password} if password else {})}
        return subprocess.run(["java", "-Xshare:auto", "-cp", f"{classes}:{JAR}", "Connect", url], capture_output=True,
                              text=True, check=False, timeout=60, env=env)

    pk8 = tool.json("cert", "issue", "-D", "gate", "bob", *where)
    assert pk8["files"]["jdbc"].endswith(".pk8")
    assert connect(pk8).stdout.strip() == "true /CN=bob"
    p12 = tool.json("cert", "issue", "-D", "gate", "bob", "--out", "p", "--passphrase-command", "echo xy", *where)
    assert p12["files"]["jdbc"].endswith(".p12")
    done = connect(p12)
    assert done.stdout.strip() == "true /CN=bob", done.stderr
    rsa = tool.json("cert", "issue", "-D", "gate", "bob", "--out", "r", "--key", "rsa-2048", *where)
    assert connect(rsa).stdout.strip() == "true /CN=bob"
    plain = tool.json("cert", "issue", "-D", "gate", "o", "--host", "localhost", *where)
    done = connect(plain, "alice's%20pass")
    assert done.stdout.strip() == "true -", done.stderr
    done = connect(plain, "alice's%20pass", localhost="127.0.0.2")
    assert done.returncode != 0 and "127.0.0.2" in done.stderr


def ado_net(text):
    """A connection string of .NET: key=value;…, a value in quotes doubles them [DbConnectionStringBuilder]."""
    pairs = re.findall(r'([^=;]+)=(?:"((?:[^"]|"")*)"|([^;]*))(?:;|$)', text)
    assert sum(len(m.group(0)) for m in re.finditer(r'[^=;]+=(?:"(?:[^"]|"")*"|[^;]*)(?:;|$)', text)) == len(text), text
    return {key: quoted.replace('""', '"') if quoted else plain for key, quoted, plain in pairs}


@pytest.mark.parametrize("passphrase", [None, "x y"])
@pytest.mark.parametrize("odd", [False, True], ids=["", "odd directory"])
def test_what_npgsql_reads(tool, factory, odd, passphrase):
    """No .NET in Debian: its two inputs are read by others, and what they hold is used against a server."""
    if odd:
        tool = Tool(tool.program, tool.path("it's a \"d&r\" \\ %41;=x"))
        os.mkdir(tool.dir)
        os.chmod(tool.dir, 0o711)
    served = Served(tool, factory)
    try:
        secret = ["--passphrase-command", f"echo {passphrase}"] if passphrase else []
        made = tool.json("cert", "issue", "-D", "gate", "bob", "--for", "npgsql", "--server",
                         f"localhost:{served.server.port}", *secret)
        given = ado_net(made["connect"]["npgsql"])
        assert given["SSL Mode"] == "VerifyFull" and given["SSL Certificate"] == made["files"]["npgsql"]
        assert given.get("SSL Password") == ("PASSPHRASE" if passphrase else None)
        word = f"pass:{passphrase or ''}"
        pem = openssl("pkcs12", "-in", given["SSL Certificate"], "-passin", word, "-nodes")
        assert "-----BEGIN CERTIFICATE" in pem and "-----BEGIN PRIVATE KEY" in pem
        with open(os.open(tool.path("both.pem"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(pem)
        with psycopg.connect(host=given["Host"], port=given["Port"], dbname="app", user=given["Username"],
                             sslmode="verify-full", sslrootcert=given["Root Certificate"], sslcert=tool.path("both.pem"),
                             sslkey=tool.path("both.pem")) as db:
            assert db.execute("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == ("/CN=bob",)
        if passphrase:
            done = subprocess.run(["openssl", "pkcs12", "-in", given["SSL Certificate"], "-passin", "pass:", "-nodes"],
                                  capture_output=True, text=True, check=False)
            assert done.returncode != 0
    finally:
        factory.stop(served.server)


PGX = "/usr/share/gocode/src/github.com/jackc/pgx"


@pytest.mark.skipif(not os.path.exists(PGX) or not shutil.which("go"),
                    reason="pgx is not installed (golang-go, golang-github-jackc-pgx-v4-dev)")
def test_pgx(served):
    """Built without a network from Debian's sources; what `--for pgx` writes and prints, at verify-full."""
    tool, where = served.tool, ["--server", f"localhost:{served.server.port}", "--for", "pgx"]
    program = golang.build("connect", tool.path("."))

    def connect(made, password=None, **replace):
        url = made["connect"]["pgx"].replace("DATABASE", "app").replace("USER", "alice").replace("PASSPHRASE", "xy")
        for old, new in replace.items():
            url = url.replace(old, new)
        env = {**os.environ, **({"PGPASSWORD": password} if password else {})}
        return subprocess.run([program, url], capture_output=True, text=True, check=False, timeout=60, env=env)

    for more in ([], ["--out", "r", "--key", "rsa-2048"]):
        done = connect(tool.json("cert", "issue", "-D", "gate", "bob", *more, *where))
        assert done.stdout.strip() == "true /CN=bob", (more, done.stderr)
    # What the command says of a key with a passphrase is true: Go cannot read one.
    issued = tool.run("cert", "issue", "-D", "gate", "bob", "--out", "p", "--passphrase-command", "echo xy", *where)
    assert "without a passphrase" in issued.stdout + issued.stderr
    done = connect({"connect": {"pgx": re.search(r"postgres://\S+", issued.stdout).group(0)}})
    assert "failed to parse private key" in done.stderr
    plain = tool.json("cert", "issue", "-D", "gate", "o", "--host", "localhost", *where)
    done = connect(plain, "alice's pass")
    assert done.stdout.strip() == "true -", done.stderr
    done = connect(plain, "alice's pass", localhost="127.0.0.2")        # it does check
    assert done.returncode != 0 and "127.0.0.2" in done.stderr


def test_odd_directories(tool, factory, pytestconfig):
    """Every driver's syntax has its own quotes; a directory's name may hold all of them."""
    odd = Tool(tool.program, tool.path("it's a \"d&r\" \\ %41;=x"))
    os.mkdir(odd.dir)
    os.chmod(odd.dir, 0o711)
    served = Served(odd, factory)
    try:
        where = ["--server", f"localhost:{served.server.port}"]
        made = odd.json("cert", "issue", "-D", "gate", "bob", "--for", "libpq", "--for", "pgx", "--for", "node", "--for", "jdbc",
                        *where)
        for driver in ["libpq", "pgx"]:
            with psycopg.connect(made["connect"][driver].replace("DATABASE", "app")) as db:
                assert db.execute("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == \
                    ("/CN=bob",), driver
        modules = npm_modules(pytestconfig)
        if shutil.which("node") and os.path.exists(os.path.join(modules, "pg")):
            script = (f"const fs = require('fs'), {{ Client }} = require('pg'); const c = new Client("
                      f"{made['connect']['node'].replace('DATABASE', 'app')}); c.connect().then(() => c.end());")
            done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False, timeout=60,
                                  env={**os.environ, "NODE_PATH": modules})
            assert done.returncode == 0, done.stderr
        if os.path.exists(JAR) and shutil.which("javac"):
            classes = tool.path("classes")
            subprocess.run(["javac", "-d", classes, os.path.join(HERE, "java", "Connect.java")], check=True)
            done = subprocess.run(["java", "-cp", f"{classes}:{JAR}", "Connect",
                                   made["connect"]["jdbc"].replace("DATABASE", "app")], capture_output=True, text=True,
                                  check=False, timeout=60)
            assert done.stdout.strip() == "true /CN=bob", done.stderr
    finally:
        factory.stop(served.server)


def test_self_signed(tool, factory):
    tool.run("cert", "issue", "--self-signed", "db", "--host", "localhost", "--key", "rsa-2048")
    server = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n")
    try:
        def give():
            settings = {"ssl": "on"}
            for setting, name in [("cert", "db.crt"), ("key", "db.key")]:
                with open(tool.path(name), encoding="ascii") as f:
                    settings[f"ssl_{setting}_file"] = server.write(name, f.read(), 0o600)
            server.configure(settings)
            server.reload()
        give()

        def connect():
            return psycopg.connect(host="localhost", port=server.port, user="alice", password="alice's pass", dbname="app",
                                   sslmode="verify-full", sslrootcert=tool.path("db.crt"))
        connect().close()
        tool.run("cert", "renew", tool.path("db.crt"))
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            connect()
        give()
        connect().close()
    finally:
        factory.stop(server)


def give_pair_of_init(tool, server):
    """A server gets the certificate that `init` made for it."""
    settings = {"ssl": "on"}
    for setting, name in [("cert", "server.crt"), ("key", "server.key")]:
        with open(tool.path("gate/upstream", name), encoding="ascii") as f:
            settings[f"ssl_{setting}_file"] = server.write(name, f.read(), 0o600)
    server.configure(settings)
    server.reload()


def test_init_writes_what_a_server_behind_needs(tool, factory):
    """The SQL and the certificate printed for a TCP upstream, tried on a real server with the conninfo written."""
    made = tool.json("init", "gate", "--host", "localhost", "--upstream", "host=localhost")
    server = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n")
    try:
        give_pair_of_init(tool, server)
        with server.admin() as db:
            for sql in made["server"]["sql"]:
                db.execute(sql)
        with psycopg.connect(made["upstream"], port=server.port, dbname=made["auth_dbname"], sslmode="verify-full") as db:
            rows = db.execute("SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = 'alice'").fetchall()
            assert rows[0][0].startswith("SCRAM-SHA-256$")
    finally:
        factory.stop(server)


def status_is_for_those_named(tool, gate, log, connect):
    """init admits nobody to the status database; its own comment, with a name in it, admits that user."""
    with pytest.raises(psycopg.OperationalError, match='pg_hba.conf rejects connection for host "127.0.0.1", user "alice", '
                                                       'database "pgseal", SSL encryption'):
        connect(dbname="pgseal")
    with open(tool.path("gate/pg_hba.conf"), encoding="utf-8") as f:
        rules = f.read()
    assert rules.count("#hostssl pgseal    dba, monitor ") == 1
    with open(tool.path("gate/pg_hba.conf"), "w", encoding="utf-8") as f:
        f.write(rules.replace("#hostssl pgseal    dba, monitor ", "hostssl pgseal alice "))
    since = log.mark()
    gate.send_signal(signal.SIGHUP)
    log.wait_for("event=reloaded", since)
    assert connect(dbname="pgseal", show="SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "TLSv1.3"


def test_the_gate_that_init_made(tool, factory):
    """init, serve, psql at every sslmode; then a renewal and a revocation, taken up by the running gate."""
    behind = factory.postgres(hba="local all all scram-sha-256\n")
    port = run.free_port()
    made = tool.json("init", "gate", "--host", "localhost", "--listen", "127.0.0.1", "--port", str(port), "--user", "alice",
                     "--upstream", f"host={behind.socket_dir} port={behind.port}")
    assert tool.run("serve", "-D", "gate", "--check").returncode == 0
    log = run.Log(tool.path("gate.log"))
    with open(log.path, "wb") as out:
        gate = subprocess.Popen([tool.program, "serve", "-D", "gate"], cwd=tool.dir, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out)
    try:
        log.wait_for("ready to accept connections")
        stem = tool.path("gate/clients/alice")
        to = {"port": port, "dbname": "app", "user": "alice", "password": "alice's pass", "sslrootcert": made["ca_file"]}

        def connect(show="SHOW pgseal.version", **more):
            with psycopg.connect(**{"host": "localhost", "sslmode": "verify-full", **to, **more}) as db:
                return db.execute(show).fetchone()[0]

        for sslmode in ["allow", "prefer", "require", "verify-ca", "verify-full"]:
            assert connect(sslmode=sslmode) == "TLSv1.3"
        with pytest.raises(psycopg.OperationalError, match='no pg_hba.conf entry for host "127.0.0.1", user "alice", '
                                                           'database "app", no encryption'):
            connect(sslmode="disable")
        with pytest.raises(psycopg.OperationalError, match='server certificate for "localhost" .*does not match '
                                                           'host name "127.0.0.1"'):
            connect(host="127.0.0.1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(password="wrong")
        shown = {"sslcert": f"{stem}.crt", "sslkey": f"{stem}.key"}
        assert connect(**shown) == "TLSv1.3"
        since = log.mark()
        tool.run("cert", "renew", "-D", "gate", "server")
        tool.run("cert", "revoke", "-D", "gate", "alice", "--reason", "keyCompromise")
        gate.send_signal(signal.SIGHUP)
        log.wait_for("event=reloaded", since)
        assert connect() == "TLSv1.3"
        with pytest.raises(psycopg.OperationalError, match="certificate revoked"):
            connect(**shown)
        status_is_for_those_named(tool, gate, log, connect)
    finally:
        gate.send_signal(signal.SIGINT)
        assert gate.wait(run.PATIENCE) == 0, log.text()
        factory.stop(behind)


def test_the_gate_that_init_made_for_a_server_over_tcp(tool, factory):
    """The gate judges for itself and logs in with each client's own keys, over verified TLS on both legs."""
    behind = factory.postgres(hba="hostssl all all 127.0.0.1/32 scram-sha-256\n")
    port = run.free_port()
    made = tool.json("init", "gate", "--host", "localhost", "--listen", "127.0.0.1", "--port", str(port),
                     "--upstream", f"host=localhost port={behind.port}")
    give_pair_of_init(tool, behind)
    with behind.admin() as db:
        for sql in made["server"]["sql"]:
            db.execute(sql)
    log = run.Log(tool.path("gate.log"))
    with open(log.path, "wb") as out:
        gate = subprocess.Popen([tool.program, "serve", "-D", "gate"], cwd=tool.dir, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=out)
    try:
        log.wait_for("ready to accept connections")
        to = {"host": "localhost", "port": port, "dbname": "app", "user": "alice", "sslmode": "verify-full",
              "sslrootcert": made["ca_file"], "channel_binding": "require"}
        with psycopg.connect(**to, password="alice's pass") as db:
            assert db.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == \
                ("alice", True)
        with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "alice"'):
            psycopg.connect(**to, password="wrong")
    finally:
        gate.send_signal(signal.SIGINT)
        assert gate.wait(run.PATIENCE) == 0, log.text()
        factory.stop(behind)
