"""
pgseal audit --rehearse: what it says of known clients under proposed rules, held against what a server with these
rules then does with the same clients.
"""

import json
import subprocess

import psycopg
import pytest

from lib.browser import Browser
from lib.pg import PASSWORDS

OLD = "host all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.2/32 trust\n"
NEW = """\
hostssl app    alice      127.0.0.1/32 scram-sha-256
hostssl app    bob        127.0.0.1/32 scram-sha-256
host    app    "<b>carol" 127.0.0.1/32 reject
host    app    carol      127.0.0.1/32 reject
hostssl all    dave       127.0.0.1/32 scram-sha-256 clientcert=verify-full
host    app    alice      127.0.0.2/32 scram-sha-256
"""
CLIENTS = [("alice", True), ("bob", False), ("carol", True), ("carol", False), ("alice", False)]


def rehearse(program, target, *arguments):
    done = subprocess.run([program, "audit", "--fail-on", "none", target, "--rehearse", *arguments], capture_output=True,
                          text=True, timeout=60, check=False)
    return done


def rehearsal(program, target, *arguments):
    done = rehearse(program, target, *arguments, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["rehearsal"], done


def connect(server, user, tls, **more):
    return psycopg.connect(host="127.0.0.1", port=server.port, user=user, dbname="app", password=PASSWORDS[user],
                           sslmode="require" if tls else "disable", sslcert="/none", **more)


@pytest.fixture
def new_rules(tmp_path):
    path = tmp_path / "new.conf"
    path.write_text(NEW, encoding="utf-8")
    return path


def test_a_servers_log_foretells_what_the_server_does(program, kind, server_factory, certs, new_rules, tmp_path):
    if kind == "gate":
        pytest.skip("a PostgreSQL's log is read")
    server = server_factory(kind, hba=OLD, tls={"cert": certs.server, "ca": certs.ca.pem()})
    for user, tls in CLIENTS:
        connect(server, user, tls).close()
    log, old = tmp_path / "server.log", tmp_path / "pg_hba.conf"
    log.write_text(server.log.text(), encoding="utf-8")
    old.write_text(OLD, encoding="utf-8")
    found, done = rehearsal(program, old, new_rules, "--log", log)
    assert done.returncode == 1 and found["proposed"] == str(new_rules)
    said = {(c["user"], c["tls"] is not None): c for c in found["clients"] if c["address"]}
    assert set(said) == set(CLIENTS)
    server.write("pg_hba.conf", "local all all trust\n" + NEW)
    server.reload()
    for user, tls in CLIENTS:
        try:
            connect(server, user, tls).close()
            outcome = "admitted"
        except psycopg.OperationalError:
            outcome = "refused"
        assert said[user, tls]["outcome"] == outcome, said[user, tls]
    assert said["bob", False]["by"] is None and said["bob", False]["change"].startswith("have it use TLS: sslmode=verify-full")
    assert said["carol", True]["by"] == {"file": str(new_rules), "line": 4, "method": "reject"}
    assert said["alice", True]["times"] >= 1 and said["alice", True]["why"] is None
    assert found["refused"] == sum(c["outcome"] == "refused" for c in found["clients"])


def test_a_gates_state_is_replayed(program, make_gate, certs, new_rules):
    """Its rows have no database: what hangs on that is said to be unknown."""
    gate = make_gate(hba=OLD, tls={"cert": certs.server, "ca": certs.ca.pem()})
    for user, tls in [("alice", True), ("bob", False)]:
        connect(gate, user, tls, application_name="\x1b[31m<script>").close()
    gate.stop()
    found, done = rehearsal(program, gate.dir, new_rules)
    said = {c["user"]: c for c in found["clients"]}
    assert done.returncode == 1 and {c["source"] for c in found["clients"]} == {"pgseal_clients"}
    assert said["alice"]["outcome"] == "unknown" and 'admitted to "app"' in said["alice"]["why"]
    assert said["bob"]["outcome"] == "refused" and said["bob"]["tls"] is None
    text = rehearse(program, gate.dir, new_rules, "--color", "never").stdout
    assert f"rehearsal of {new_rules}\n  2 known clients: 1 would be refused" in text and "\x1b" not in text


@pytest.fixture
def old_rules(tmp_path):
    path = tmp_path / "pg_hba.conf"
    path.write_text(OLD, encoding="utf-8")
    return path


def line(pid, user, host="127.0.0.1", tail="", database="app"):
    return (f"[{pid}] LOG:  connection received: host={host} port=1\n"
            f"[{pid}] LOG:  connection authorized: user={user} database={database}{tail}\n")


TLS12 = " SSL enabled (protocol=TLSv1.2, cipher=X, bits=256)"


def test_what_each_must_change(program, old_rules, new_rules, tmp_path):
    log = tmp_path / "log"
    log.write_text(line(1, "dave", tail=TLS12) + line(2, "erin") +
                   "[3] LOG:  connection received: host=127.0.0.2 port=1\n"
                   '[3] LOG:  connection authenticated: user="alice" method=trust (/x:2)\n'
                   "[3] LOG:  connection authorized: user=alice database=app\n", encoding="utf-8")
    found, _ = rehearsal(program, old_rules, new_rules, "--log", log)
    said = {c["user"]: c for c in found["clients"]}
    assert said["dave"]["outcome"] == "unknown" and "pgseal cert issue dave;" in said["dave"]["change"]
    assert said["erin"]["outcome"] == "refused" and 'hostssl app "erin" 127.0.0.1/32' in said["erin"]["change"]
    assert said["alice"]["outcome"] == "unknown" and "logged in by trust" in said["alice"]["why"]


def test_an_old_client_and_a_new_minimum(program, old_rules, tmp_path):
    gate = tmp_path / "gate"
    subprocess.run([program, "init", gate], check=True, capture_output=True, timeout=60)
    (gate / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n", encoding="utf-8")
    with open(gate / "pgseal.conf", "a", encoding="utf-8") as f:
        f.write("ssl_min_protocol_version = TLSv1.3\n")
    log = tmp_path / "log"
    log.write_text(line(1, "ann", tail=TLS12), encoding="utf-8")
    found, _ = rehearsal(program, old_rules, gate, "--log", log)
    assert found["clients"][0]["outcome"] == "refused" and "it uses TLSv1.2" in found["clients"][0]["why"]


def test_memberships_are_not_guessed(program, old_rules, tmp_path):
    new, log = tmp_path / "new", tmp_path / "log"
    new.write_text("host all +staff all reject\nhost all all all scram-sha-256\n", encoding="utf-8")
    log.write_text(line(1, "ann"), encoding="utf-8")
    found, done = rehearsal(program, old_rules, new, "--log", log)
    assert found["clients"][0]["outcome"] == "unknown" and "roles" in found["clients"][0]["why"]
    assert done.returncode == 0


def test_nothing_known_is_said(program, old_rules, new_rules):
    done = rehearse(program, old_rules, new_rules)
    assert done.returncode == 0 and "No client is known" in done.stdout


def test_mistakes(program, old_rules, new_rules, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("hostssl all all all scram\n", encoding="utf-8")
    done = rehearse(program, old_rules, broken)
    assert done.returncode == 3 and f'{broken}:1: invalid authentication method "scram"' in done.stderr
    assert rehearse(program, old_rules, tmp_path / "gone").returncode == 3
    assert rehearse(program, old_rules, new_rules, "--log", tmp_path / "gone").returncode == 3
    alone = subprocess.run([program, "audit", old_rules, "--log", new_rules], capture_output=True, text=True, timeout=60,
                           check=False)
    assert alone.returncode == 2


def test_page_tells_it(program, old_rules, new_rules, tmp_path, scratch):
    log, page = tmp_path / "log", tmp_path / "page.html"
    log.write_text(line(1, "<img src=x onerror=alert(1)>") + line(2, "alice", tail=TLS12), encoding="utf-8")
    page.write_text(rehearse(program, old_rules, new_rules, "--log", log, "--html").stdout, encoding="utf-8")
    browser = Browser(scratch)
    try:
        browser.size(400)
        browser.open(page.as_uri())
        assert "2 known clients: 1 would be refused" in browser.text() and "<img src=x onerror=alert(1)>" in browser.text()
        assert browser.js("return document.images.length") == 0 and browser.complaints() == []
        assert browser.js("return document.documentElement.scrollWidth") <= 400
        browser.picture("rehearsal")
    finally:
        browser.quit()
