"""
`pgseal monitor`: every kind of target and each status, many endpoints of which some hang, and its outputs for people,
plugins and Prometheus.
"""

import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization

from lib import pki, run
from lib.strange_server import SSL_REQUEST, StrangeServer, read_exactly

DAY = datetime.timedelta(days=1)
TRUST = "host all all 127.0.0.1/32 trust\n"


class Monitor:
    """The program, run in a directory of its own."""

    def __init__(self, program, directory):
        self.program, self.dir = program, str(directory)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        pki.write_file(self.path(name), content)
        return self.path(name)

    def run(self, *argv, status=0, env=None):
        done = subprocess.run([self.program, "monitor", *map(str, argv)], cwd=self.dir, capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, check=False)
        assert done.returncode == status, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def rows(self, *argv, status=0, env=None):
        return json.loads(self.run("--json", *argv, status=status, env=env).stdout)

    def row(self, *argv, status=0, kind=None, env=None):
        """The only row, or the only one of a kind."""
        rows = [r for r in self.rows(*argv, status=status, env=env) if kind in (None, r["kind"])]
        assert len(rows) == 1, rows
        return rows[0]


@pytest.fixture
def monitor(program, tmp_path):
    return Monitor(program, tmp_path)


@pytest.fixture(scope="module")
def ca():
    return pki.Authority("monitor test CA")


def lived(ca, life, left, **how):
    """A server certificate that lives so many days and has so many of them (and an hour) left."""
    how = {"sans": ["localhost", "127.0.0.1"], "usage": "server", **how}
    end = pki.now() + left * DAY + datetime.timedelta(hours=1)
    return ca.issue("db.example", valid_from=end - life * DAY, valid_to=end, **how)


class Endpoint(StrangeServer):
    """A server that shows `cert`, asked in one of the three ways."""

    def __init__(self, directory, cert, how="postgres", client_ca=None, before=None, version=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        stem = f"e{id(self)}"
        self.context.load_cert_chain(*cert.write(str(directory), stem))
        if version:
            self.context.maximum_version = version
        if how == "direct":
            self.context.set_alpn_protocols(["postgresql"])
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(cadata=client_ca.pem().decode())
        self.how, self.before = how, before or (lambda: None)
        super().__init__(self.show)

    def show(self, client):
        self.before()
        if self.how == "postgres":
            if read_exactly(client, 8) != SSL_REQUEST:
                return
            client.sendall(b"S")
        with self.context.wrap_socket(client, server_side=True) as tls:
            tls.recv(1)

    def __str__(self):
        return f"localhost:{self.port}"


# ---- statuses ----

STATUSES = [(90, 23, "ok"), (90, 22, "warning"), (90, 15, "warning"), (90, 14, "critical"), (90, -1, "critical"),
            (365, 92, "ok"), (365, 90, "warning"), (365, 61, "warning"), (365, 60, "critical"),
            (121, 31, "ok"), (121, 30, "warning"), (8, 2, "ok"), (8, 1, "critical"), (12, 2, "warning"), (3650, 913, "ok"),
            (3650, 900, "warning")]


def test_share_of_life_decides(monitor, ca):
    for life, left, _ in STATUSES:
        monitor.write(f"{life}-{left}.crt", lived(ca, life, left).pem())
    got = {os.path.basename(row["location"]): row for row in monitor.rows(".", status=1)}
    assert {name: row["status"] for name, row in got.items()} == {
        f"{life}-{left}.crt": status for life, left, status in STATUSES}
    assert got["90-22.crt"]["days_left"] == 22 and abs(got["90-22.crt"]["life_left"] - 22 / 90) < 0.01
    assert got["90--1.crt"]["days_left"] == -1 and got["90--1.crt"]["life_left"] == 0
    assert got["90-22.crt"]["not_after"].endswith("Z") and got["90-22.crt"]["error"] is None


def test_days_decide_where_they_are_given(monitor, ca):
    for left, status in [(31, "ok"), (29, "warning"), (10, "warning"), (9, "critical")]:
        path = monitor.write("x.crt", lived(ca, 90, left).pem())
        row = monitor.row("--days", "30,10", path, status=0 if status == "ok" else 1)
        assert row["status"] == status, (left, row)
    for words in ["30", "10,30", "a,b", "30,10,1", "-1,0", ""]:
        monitor.run("--days", words, path, status=2)


def test_files(monitor, ca):
    chain = monitor.write("chain.pem", ca.intermediate().issue("db", ["db"], "server").pem() + ca.pem())
    leaf, middle, root = monitor.rows(chain)
    assert (leaf["kind"], middle["kind"], root["kind"]) == ("certificate", "ca", "ca")
    assert leaf["issuer_path"] == ["/CN=Test Intermediate", "/CN=monitor test CA"] and root["issuer_path"] == []
    assert (leaf["usage"], root["usage"], leaf["sans"]) == (["server"], ["ca"], ["dns:db"])
    der = monitor.write("leaf.der", lived(ca, 90, 80).cert.public_bytes(serialization.Encoding.DER))
    assert monitor.row(der)["subject"] == "/CN=db.example"
    later = pki.now() + 2 * DAY
    early = monitor.write("early.crt", ca.issue("x", valid_from=later, valid_to=later + 90 * DAY).pem())
    assert monitor.row(early, status=1)["status"] == "critical"
    for name, content in [("empty.crt", b""), ("text.crt", b"hello\n"), ("half.crt", ca.pem()[:200]),
                          ("half.der", b"0\x82\x01\x00\x30"),
                          ("broken.crt", ca.pem().replace(b"M", b"?", 9))]:
        row = monitor.row(monitor.write(name, content), status=1)
        assert row["status"] == "critical" and row["error"] and row["not_after"] is None, row
    row = monitor.row("./none.crt", status=1)
    assert "No such file or directory" in row["error"] and row["status"] == "critical"


def test_revocation_lists(monitor, ca):
    now = pki.now()
    for name, since, until, status in [("fresh", 1, 30, "ok"), ("due", 24, 6, "warning"), ("late", 28, 2, "critical"),
                                       ("stale", 30, -1, "critical")]:
        path = monitor.write(f"{name}.crl", ca.crl(last_update=now - since * DAY, next_update=now + until * DAY))
        row = monitor.row(path, status=0 if status == "ok" else 1)
        assert (row["kind"], row["status"], row["subject"]) == ("crl", status, "/CN=monitor test CA")
    gone = lived(ca, 90, 80)
    both = monitor.write("both.pem", gone.pem() + ca.crl([gone]))
    row = monitor.row(both, status=1, kind="certificate")
    assert row["status"] == "critical" and "revocation list" in row["error"]


def test_directory_of_certificates(monitor, ca):
    cert = lived(ca, 90, 80)
    monitor.write("d/a.crt", cert.pem())
    monitor.write("d/b.pem", cert.pem())
    monitor.write("d/key.pem", cert.key_pem())
    monitor.write("d/readme.txt", b"x")
    monitor.write("d/ca.crl", ca.crl())
    assert [os.path.basename(r["location"]) for r in monitor.rows("d")] == ["a.crt", "b.pem", "ca.crl"]
    os.mkdir(monitor.path("void"))
    assert monitor.row("void", status=3)["status"] == "unknown"


# ---- endpoints ----

def test_every_negotiation(monitor, ca, tmp_path):
    cert = lived(ca, 90, 80)
    for how in ["postgres", "direct", "tls"]:
        end = Endpoint(tmp_path, cert, how)
        row = monitor.row(end)
        assert (row["kind"], row["deployed"], row["target"]) == ("server", how, str(end)), row
        assert monitor.row("--negotiation", how, end)["status"] == "ok"
    assert monitor.row(f"host=localhost port={Endpoint(tmp_path, cert, 'direct').port} sslnegotiation=direct "
                       "password=geheim")["target"].startswith("localhost:")
    old = Endpoint(tmp_path, cert, version=ssl.TLSVersion.TLSv1_2, client_ca=ca)
    assert monitor.rows(old)[0]["status"] == "ok"      # it wants a certificate of ours, and shows its own before that
    assert monitor.rows(Endpoint(tmp_path, cert, client_ca=ca))[0]["status"] == "ok"
    plain = Endpoint(tmp_path, cert, "tls")
    row = monitor.row("--negotiation", "postgres", "--timeout", "1", plain, status=3)
    assert row["status"] == "unknown" and row["error"]


def test_what_clients_would_refuse(monitor, ca, tmp_path):
    root = monitor.write("root.crt", ca.pem())
    other = monitor.write("other.crt", pki.Authority("somebody else's").pem())
    middle = ca.intermediate()
    whole = middle.issue("db", ["localhost"], "server")
    good = Endpoint(tmp_path, whole)
    assert [r["kind"] for r in monitor.rows("--rootcert", root, good)] == ["server", "chain", "root"]
    bad = monitor.rows("--rootcert", other, good, status=1)
    assert bad[0]["status"] == "critical" and "root" in bad[0]["error"]
    short = Endpoint(tmp_path, pki.Cert(whole.cert, whole.key))
    row = monitor.row("--rootcert", root, short, status=1)
    assert row["status"] == "critical" and row["error"]
    assert monitor.row(short)["status"] == "ok"      # nobody said what clients have
    name = Endpoint(tmp_path, lived(ca, 90, 80, sans=["other.example"]))
    assert "does not match host name" in monitor.row(name, status=1)["error"]
    client = Endpoint(tmp_path, lived(ca, 90, 80, usage="client"))
    assert "serverAuth" in monitor.row(client, status=1)["error"]
    gone = lived(ca, 90, 80)
    crl = monitor.write("ca.crl", ca.crl([gone]))
    assert "revocation list" in monitor.row("--crl", crl, Endpoint(tmp_path, gone), status=1)["error"]
    weak = pki.Authority("short-lived", signer=ca, valid_from=pki.now() - 90 * DAY, valid_to=pki.now() + 5 * DAY)
    leaf = weak.issue("db", ["localhost"], "server", valid_from=pki.now() - DAY, valid_to=pki.now() + 89 * DAY)
    rows = monitor.rows(Endpoint(tmp_path, pki.Cert(leaf.cert, leaf.key, [weak.cert])), status=1)
    assert [(r["kind"], r["status"]) for r in rows] == [("server", "ok"), ("chain", "critical")]


def test_endpoints_that_cannot_be_seen(monitor):
    def no(client):
        read_exactly(client, 8)
        client.sendall(b"N")

    def garbage(client):
        client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        client.recv(100)

    for serve, says in [(no, "does not support SSL"), (garbage, "received invalid response to SSL negotiation: S"),
                        (lambda client: None, "closed"),
                        (lambda client: client.sendall(b"\x15\x03\x01\x00\x02\x02\x28"), "invalid response")]:
        row = monitor.row("--timeout", "3", f"127.0.0.1:{StrangeServer(serve).port}", status=3)
        assert row["status"] == "unknown" and row["subject"] is None and row["days_left"] is None, row
        assert says in row["error"] or serve is garbage, row
    assert "refused" in monitor.row(f"127.0.0.1:{run.free_port()}", status=3)["error"]
    assert "host name" in monitor.row("no-such-host.invalid", status=3)["error"]


def test_a_hundred_endpoints_side_by_side(monitor, ca, tmp_path):
    """Forty answer only when all forty have been asked; others hang, refuse, talk nonsense or close."""
    all_there = threading.Barrier(40)
    states = [lived(ca, 90, left) for left in (80, 20, 5)]
    wanted, targets = {}, []

    def add(target, status):
        wanted[str(target)] = status
        targets.append(str(target))

    for i in range(40):
        add(Endpoint(tmp_path, states[0], before=all_there.wait), "ok")
    for i in range(15):
        add(Endpoint(tmp_path, states[i % 2 + 1], ["postgres", "direct", "tls"][i % 3]),
            ["warning", "critical"][i % 2])
    held = []
    for i in range(15):
        listener = socket.create_server(("127.0.0.1", 0))      # accepts, and never says a word
        held.append(listener)
        add(f"127.0.0.1:{listener.getsockname()[1]}", "unknown")
    for i in range(15):
        add(f"127.0.0.1:{run.free_port()}", "unknown")
    for i in range(15):
        noise = os.urandom(5000) if i % 2 else b"HTTP/1.1 400 Bad Request\r\n\r\n"
        add(f"127.0.0.1:{StrangeServer(lambda client, noise=noise: client.sendall(noise)).port}", "unknown")
    rows = monitor.rows("--timeout", "6", *targets, status=1)
    assert {row["target"]: row["status"] for row in rows} == wanted and len(rows) == 100
    assert not all_there.broken


# ---- directories of servers ----

@pytest.fixture(scope="module")
def upstream(factory, ca):
    server = factory.postgres(tls={"cert": ca.issue("up", ["localhost", "127.0.0.1"], "server"), "ca": ca.pem()},
                              hba=TRUST, settings={"listen_addresses": "127.0.0.1"})
    yield server
    factory.stop(server)


def kinds(rows):
    return sorted((r["kind"], r["status"]) for r in rows)


def test_the_inventory_has_the_certificates_that_clients_showed(monitor, make_gate, ca):
    gate = make_gate(tls={"cert": lived(ca, 90, 80), "ca": ca.pem()}, hba="hostssl all all 127.0.0.1/32 cert\n")
    cert = ca.issue("alice", valid_to=pki.now() + 3 * DAY)
    crt, key = cert.write(monitor.dir, "alice")
    with psycopg.connect(host="localhost", port=gate.port, user="alice", dbname="app", sslmode="verify-full",
                         sslrootcert=monitor.write("seen-root.crt", ca.pem()), sslcert=crt, sslkey=key,
                         application_name="billing") as db:
        assert db.execute("SELECT 1").fetchall() == [(1,)]
    gate.stop()                                         # what it remembers of clients is on the disk then
    row, = [r for r in monitor.rows(gate.dir) if r["kind"] == "client seen"]
    assert (row["subject"], row["issuer"], row["serial"]) == ("/CN=alice", "/CN=monitor test CA", str(cert.serial))
    assert row["location"].startswith("alice from ") and row["deployed"] == "billing"
    assert (row["not_before"], row["life_left"], row["status"]) == (None, None, "ok") and row["days_left"] in (2, 3)
    assert row["not_after"] == cert.cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "client seen" not in monitor.run(gate.dir).stdout        # in a list for people it would hide the rest


def test_gate(monitor, make_gate, upstream, ca):
    root = monitor.write("root.crt", ca.pem())
    crt, key = lived(ca, 90, 80, usage="client").write(monitor.dir, "client")
    gate = make_gate(upstream=f"host=localhost hostaddr=127.0.0.1 port={upstream.port} sslmode=verify-full "
                              f"sslrootcert={root} sslcert={crt} sslkey={key}",
                     tls={"cert": lived(ca, 90, 80), "ca": ca.pem(), "crl": ca.crl()}, hba=TRUST,
                     settings={"reload_on_change": "off"})
    rows = monitor.rows(gate.dir)
    assert kinds(rows) == [("client ca", "ok"), ("crl", "ok"), ("server", "ok"), ("upstream", "ok"),
                           ("upstream ca", "ok"), ("upstream chain", "ok"), ("upstream client", "ok")]      # the server completes its chain itself
    server = next(r for r in rows if r["kind"] == "server")
    assert server["served_matches"] is True and server["deployed"] == "ssl_cert_file"
    assert server["issuer_path"] == ["/CN=monitor test CA"] and server["usage"] == ["server"]
    assert next(r for r in rows if r["kind"] == "upstream")["location"] == f"localhost:{upstream.port}"
    # The gate's own inventory says the same.
    with psycopg.connect(host=gate.socket_dir, port=gate.port, dbname="pgseal", user="postgres") as db:
        listed = db.execute("SELECT kind, subject, issuer_path, usage, deployed FROM pgseal_certificates "
                            "WHERE kind <> 'crl' ORDER BY 1").fetchall()
    told = {(r["kind"], r["subject"], tuple(r["issuer_path"]), tuple(r["usage"]), r["deployed"]) for r in rows}
    assert len(listed) == 4 and {(k, s, tuple(p), tuple(u), d) for k, s, p, u, d in listed} < told
    # Renewed on disk, and nobody told the gate.
    gate.configure(tls={"cert": lived(ca, 90, 85)})
    rows = monitor.rows(gate.dir, status=1)
    server = next(r for r in rows if r["kind"] == "server")
    assert (server["served_matches"], server["status"], server["days_left"]) == (False, "warning", 85)
    served = next(r for r in rows if r["kind"] == "served")
    assert (served["days_left"], served["location"]) == (80, f"127.0.0.1:{gate.port}")
    gate.reload()
    assert monitor.row(gate.dir, kind="server")["served_matches"] is True
    gate.stop()
    assert monitor.row(gate.dir, kind="server")["served_matches"] is None      # it does not run: nothing to compare


def test_gate_whose_upstream_is_not_what_it_should_be(monitor, make_gate, factory, ca):
    crt, key = lived(ca, 90, 80).write(monitor.dir, "client")      # for servers only
    root = monitor.write("root.crt", ca.pem())
    short = factory.postgres(tls={"cert": lived(ca, 90, 10, sans=["other"])}, hba=TRUST,
                             settings={"listen_addresses": "127.0.0.1"})
    conninfo = f"host=127.0.0.1 port={short.port} sslrootcert={root} sslcert={crt} sslkey={key}"
    gate = make_gate(upstream=conninfo, tls={"cert": lived(ca, 90, 80)}, hba=TRUST, start=False)
    rows = monitor.rows(gate.dir, status=1)
    up = next(r for r in rows if r["kind"] == "upstream")
    assert (up["status"], up["days_left"]) == ("critical", 10) and "does not match" in up["error"]
    client = next(r for r in rows if r["kind"] == "upstream client")
    assert client["status"] == "critical" and "clientAuth" in client["error"]
    gate.configure({"upstream": f"host=127.0.0.1 port={short.port} sslmode=disable"})
    gate.upstream = None
    assert [r["kind"] for r in monitor.rows(gate.dir)] == ["server"]      # not over TLS: not asked
    gate.configure({"upstream": "host=127.0.0.1 nonsense=1"})
    assert monitor.row(gate.dir, status=1, kind="upstream")["status"] == "unknown"
    gate.write("pgseal.conf", "no_such_setting = 1\n")
    row = monitor.row(gate.dir, status=3)
    assert row["status"] == "unknown" and "no_such_setting" in row["error"]
    factory.stop(short)


def test_gate_with_its_private_ca(monitor):
    """What init made; the CA is told of once, also where nobody's certificates are asked for."""
    subprocess.run([monitor.program, "init", "gate", "--host", "db.example"], cwd=monitor.dir, check=True, capture_output=True)
    assert kinds(monitor.rows("gate")) == [("client ca", "ok"), ("crl", "ok"), ("server", "ok")]
    conf = open(monitor.path("gate/pgseal.conf"), encoding="utf-8").read()
    monitor.write("gate/pgseal.conf", conf.replace("ssl_ca_file", "#ssl_ca_file").replace("ssl_crl_file", "#ssl_crl_file"))
    rows = monitor.rows("gate")
    assert kinds(rows) == [("ca", "ok"), ("server", "ok")]
    assert rows[0]["issuer_path"] == [rows[1]["subject"]]


def test_pgdata(monitor, factory, upstream, ca):
    row = monitor.row(upstream.data, kind="server")
    assert (row["served_matches"], row["status"]) == (True, "ok")
    assert monitor.row(upstream.data, kind="client ca")["deployed"] == "ssl_ca_file"
    before = open(upstream.path("server.crt"), "rb").read()
    upstream.write("server.crt", lived(ca, 90, 85).pem())
    assert monitor.row(upstream.data, kind="server", status=1)["served_matches"] is False
    upstream.write("server.crt", before)
    # As on Debian: the settings are elsewhere, and PGDATA knows from its last start where.
    data, etc = monitor.path("data"), monitor.path("etc")
    for each in (data, etc):
        os.mkdir(each)
    monitor.write("data/PG_VERSION", "17\n")
    monitor.write("data/server.crt", lived(ca, 90, 80).pem())
    monitor.write("data/postmaster.opts", f'/usr/lib/postgresql/17/bin/postgres "-D" "{data}" "-c" '
                                          f'"config_file={etc}/postgresql.conf"\n')
    monitor.write("etc/postgresql.conf", f"data_directory = '{data}'\nssl = on\n"
                                         f"primary_conninfo = 'host=127.0.0.1 port={upstream.port} user=repl password=x'\n")
    monitor.write("data/postgresql.auto.conf", "ssl_ca_file = 'missing.crt'\n")
    for where in (data, etc):
        rows = monitor.rows(where, status=1)
        assert kinds(rows) == [("client ca", "critical"), ("server", "ok"), ("upstream", "ok"),
                               ("upstream chain", "ok")], rows
        assert rows[0]["served_matches"] is None
    monitor.write("data/postmaster.opts", f'/usr/lib/postgresql/17/bin/postgres "-D" "{data}" "-c" '
                                          f'"config_file={etc}/postgresql.conf" "-c" "ssl_ca_file=server.crt"\n')
    assert monitor.row(data, kind="client ca")["location"] == f"{data}/server.crt"      # the command line wins
    monitor.write("data/postgresql.auto.conf", "ssl = off\nprimary_conninfo = ''\n")
    assert "ssl is off" in monitor.row(data, status=3)["error"]


# ---- outputs ----

def test_text_tells_the_weakest_first(monitor, ca):
    for name, left in [("a", 80), ("b", 3), ("c", 20)]:
        monitor.write(f"{name}.crt", lived(ca, 90, left).pem())
    text = monitor.run("a.crt", "b.crt", "./none", "c.crt", status=1).stdout
    assert [line.split()[0] for line in text.splitlines() if line[0] != " "] == ["critical"] * 2 + ["warning", "ok"]
    assert "\033" not in text
    colours = monitor.run("--color", "always", "b.crt", status=1).stdout
    assert "\033[" in colours


def test_hostile_names_reach_no_terminal(monitor, ca, tmp_path):
    nasty = ca.issue("evil\x1b[2J\n\"} 1\nx", ["localhost"], "server")
    monitor.write("nasty.crt", nasty.pem())
    end = Endpoint(tmp_path, nasty)
    for argv in [[], ["--nagios"]]:
        text = monitor.run(*argv, "nasty.crt", end).stdout
        assert "\x1b" not in text and "\nx" not in text
    monitor.run("--textfile", "out.prom", "nasty.crt", end)
    lines = open(monitor.path("out.prom"), encoding="utf-8").read().splitlines()
    assert all(line.startswith(("#", "pgseal_monitor_")) for line in lines)
    assert monitor.rows("nasty.crt")[0]["subject"]


def test_nagios(monitor, ca):
    for left, status, word in [(80, 0, "OK"), (20, 1, "WARNING"), (3, 2, "CRITICAL")]:
        path = monitor.write("x.crt", lived(ca, 90, left).pem())
        line = monitor.run("--nagios", path, status=status).stdout
        assert line.startswith(f"PGSEAL MONITOR {word} - ") and f"| days_left={left}\n" in line and line.count("\n") == 1
    refused = f"127.0.0.1:{run.free_port()}"
    assert monitor.run("--nagios", refused, status=3).stdout.startswith("PGSEAL MONITOR UNKNOWN - ")
    assert "CRITICAL" in monitor.run("--nagios", refused, path, status=2).stdout


def check_metrics(text):
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not installed: tools/deps.sh check"
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def values(text, name):
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith((name + "{", name + " "))]


def test_textfile(monitor, ca):
    path = monitor.write("x.crt", lived(ca, 90, 20).pem() * 2 + ca.pem())
    refused = f"127.0.0.1:{run.free_port()}"
    monitor.run("--textfile", "out/x.prom", path, status=3)      # no such directory
    os.mkdir(monitor.path("out"))
    done = monitor.run("--textfile", "out/x.prom", path, refused, path)
    assert done.stdout == "" and os.listdir(monitor.path("out")) == ["x.prom"]
    text = open(monitor.path("out/x.prom"), encoding="utf-8").read()
    check_metrics(text)
    assert sorted(values(text, "pgseal_monitor_status")) == [0, 1, 3]
    assert sorted(values(text, "pgseal_monitor_target_status")) == [1, 3]
    assert len(values(text, "pgseal_monitor_not_after_timestamp_seconds")) == 2
    assert 0.2 < min(values(text, "pgseal_monitor_life_left_ratio")) < 0.25
    assert os.stat(monitor.path("out/x.prom")).st_mode & 0o777 == 0o644


@contextlib.contextmanager
def exporter(monitor, *argv):
    port = run.free_port()
    process = subprocess.Popen([monitor.program, "monitor", "--listen", f"127.0.0.1:{port}", *map(str, argv)],
                               cwd=monitor.dir, stderr=subprocess.PIPE, text=True)
    try:
        assert "serving /metrics" in process.stderr.readline()
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process.stderr.close()


def scrape(port, path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_exporter(monitor, ca, tmp_path):
    path = monitor.write("x.crt", lived(ca, 90, 80).pem())
    hangs = socket.create_server(("127.0.0.1", 0))
    with exporter(monitor, "--interval", "1", "--timeout", "1", path, Endpoint(tmp_path, lived(ca, 90, 20)),
                  f"127.0.0.1:{hangs.getsockname()[1]}") as (port, _):
        run.wait_until(lambda: scrape(port)[0] == 200, "the first look")
        text = scrape(port)[1]
        check_metrics(text)
        assert sorted(values(text, "pgseal_monitor_status")) == [0, 1, 3]
        assert scrape(port, "/healthz") == (200, "ok\n") and scrape(port, "/else")[0] == 404
        monitor.write("x.crt", lived(ca, 90, 5).pem())
        run.wait_until(lambda: 2.0 in values(scrape(port)[1], "pgseal_monitor_status"), "the next look")
    for address in ["off", "nonsense", "127.0.0.1", "127.0.0.1:99999"]:
        monitor.run("--listen", address, path, status=2)
    taken = socket.create_server(("127.0.0.1", 0))
    done = monitor.run("--listen", f"127.0.0.1:{taken.getsockname()[1]}", path, status=3)
    assert "in use" in done.stderr


def test_usage(monitor, ca):
    path = monitor.write("x.crt", ca.pem())
    for argv in [[], ["--json", "--nagios", path], ["--negotiation", "smtp", path], ["--timeout", "0", path],
                 ["host:port"], ["a,b:5432"], ["--listen", "127.0.0.1:1", "--textfile", "x", path]]:
        monitor.run(*argv, status=2)
    assert "geheim" not in monitor.run("postgresql://u:geheim@localhost:1/x", status=3).stdout
    assert "geheim" not in monitor.run("--json", "postgresql://u:geheim@localhost:1/x", status=3).stdout
    monitor.run("--rootcert", "none.crt", path, status=3)
