"""
/status.json and the page that draws it, in a real browser: what it shows, what hostile texts do there (nothing),
whether it can be read on a phone, in the dark and by keyboard alone, and what it says when the gate is gone.
"""

import datetime
import hashlib
import http.client
import json
import re
import ssl
import threading
import base64

import psycopg
import pytest

from lib import psql, run
from lib.pg import PASSWORDS
from lib.wire import Conn, client_context

HBA = """\
local     all      all              trust
hostssl   app      alice 127.0.0.1/32 scram-sha-256
host      app      bob   127.0.0.1/32 scram-sha-256
hostssl   pgseal   alice 127.0.0.1/32 scram-sha-256
hostssl   replication carol 2001:db8::/32 cert
"""
HOSTILE = "<img src=x onerror=document.title='owned'>"


def get(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def report(port):
    status, headers, body = get(port, "/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json"), body
    return json.loads(body)


def fresh_report(port, ready, what):
    """A report is kept for a second: the first one that shows it."""
    def look():
        found = report(port)
        return found if ready(found) else None
    return run.wait_until(look, what)


def connect(gate, certs, user="alice", **more):
    options = {"host": "localhost", "hostaddr": "127.0.0.1", "port": gate.port, "user": user, "dbname": "app",
               "password": PASSWORDS[user], "sslmode": "verify-full", "sslrootcert": certs.ca_file, **more}
    return psycopg.connect(**options, autocommit=True)


def fail_handshake(gate):
    """A client that does not trust the gate's CA says so."""
    with Conn(gate) as conn, pytest.raises(Exception):
        context = client_context()
        context.verify_mode = ssl.CERT_REQUIRED
        conn.start_tls(context, "localhost")
        conn.login()


def settings(port, **more):
    return {"http_listen": f"127.0.0.1:{port}", "admin_users": "alice", **more}


@pytest.fixture
def shown(make_gate, certs):
    """A gate that shows its status, and the port of that."""
    port = run.free_port()
    return make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port)), port


# -- the report ---------------------------------------------------------------------------------------------------
def test_report_says_what_the_views_say(shown, certs):
    gate, port = shown
    with connect(gate, certs), connect(gate, certs, "bob", sslmode="disable"):
        fail_handshake(gate)
        got = fresh_report(port, lambda r: r["failures"] and len(r["transports"]) == 2, "sessions and a failure")
        assert got["errors"] == {}
        assert {t["transport"]: t["sessions"] for t in got["transports"]} == {"TLSv1.3": 1, "plaintext": 1}
        assert [c["tls_cipher"] for c in got["ciphers"]] == ["TLS_AES_256_GCM_SHA384"]
        rules = {r["line_number"]: r for r in got["rules"]}
        assert (rules[2]["sessions"], rules[2]["hits"], rules[2]["database"]) == (1, 1, ["app"])
        assert (rules[3]["sessions"], rules[5]["sessions"], rules[5]["last_hit"]) == (1, 0, None)
        with connect(gate, certs, dbname="pgseal") as db:
            cause, likely, hint, count = db.execute("SELECT cause, likely, hint, count FROM pgseal_failures").fetchone()
        shown_failure = got["failures"][0]
        assert (shown_failure["cause"], shown_failure["likely"], shown_failure["hint"]) == (cause, likely, hint)
        assert shown_failure["count"] == shown_failure["last_hour"] == count == 1
        assert shown_failure["recent"] == ["0"] * 11 + ["1"]
        assert [c["weakness"] for c in got["clients"]][0] == "plaintext"
        assert got["tightening"]["hostssl"] == 1


def test_types_of_the_report(shown, certs):
    gate, port = shown
    got = report(port)
    assert got["gate"]["generation"] == 1 and got["gate"]["ssl"] is True and got["gate"]["cluster_name"] is None
    assert got["gate"]["max_connections"] == 1000
    assert re.fullmatch(r"\d+\.\d+\.\d+", got["gate"]["version"])
    when = datetime.datetime.fromisoformat(got["gate"]["now"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) < 60
    server = got["certificates"][0]
    assert server["kind"] == "server" and server["served"] is True and server["serial"] == str(certs.server.serial)
    assert 0 < server["life_left"] <= 1 and isinstance(server["days_left"], int)
    assert server["not_after"] == certs.server.cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_reasons_to_look(make_gate, certs):
    """A quiet gate has none; an expiring certificate, a refused reload, and failures with a cause are some."""
    port = run.free_port()
    now = datetime.datetime.utcnow()
    old = certs.ca.issue("db.example", sans=["localhost"], usage="server", valid_from=now - datetime.timedelta(days=85),
                         valid_to=now + datetime.timedelta(days=5, hours=1))
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings=settings(port))
    assert report(port)["reasons"] == []
    gate.configure(tls={"cert": old})
    gate.reload()
    gate.configure(hba=HBA + "nonsense\n")
    gate.reload()
    fail_handshake(gate)
    reasons = fresh_report(port, lambda r: len(r["reasons"]) == 3, "three reasons")["reasons"]
    assert [(r["severity"], r["section"]) for r in reasons] == [
        ("critical", "certificates"), ("warning", "failures"), ("warning", "reloads")]
    assert reasons[0]["what"] == f"server {gate.path('server.crt')} ends in 5 days"
    assert reasons[1]["what"].startswith("unknown_ca, 1 in the last hour: the client does not trust the CA")
    assert reasons[2]["what"] == (f"the last reload (SIGHUP) was refused: {gate.path('pg_hba.conf')}:6: "
                                  'invalid connection type "nonsense"')


def test_many_pages_cost_one_report(shown):
    """All who ask at once get the same report, which is then kept for a second."""
    _, port = shown
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(report(port)["gate"]["now"])) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24 and len(set(answers)) <= 3


def test_one_query_that_fails_does_not_hide_the_others(shown):
    """pgseal_certificates shows unreadable files; nothing else suffers."""
    gate, port = shown
    gate.write("client-ca.crt", b"garbage")
    got = fresh_report(port, lambda r: r["reasons"], "a reason")
    assert got["errors"] == {} and len(got["rules"]) == 5
    assert got["reasons"][0]["severity"] == "critical" and "client-ca.crt" in got["reasons"][0]["what"]


def test_the_page_itself(shown):
    """It is one document; its policy names its style and its script, and lets nothing else in."""
    _, port = shown
    status, headers, body = get(port, "/status")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and policy["form-action"] == "'none'"
    text = body.decode()
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        inside = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        assert len(inside) == 1 and text.count(f"<{tag}") == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http_token_file", "").replace("HTTP", "")
    markup = re.sub("<(style|script)>.*?</\\1>", "", text, flags=re.S)
    assert not re.search(r"\son\w+\s*=|style=|<iframe|<object|<base", markup)
