"""
/status.json and the page that draws it, in a real browser: what it shows, what hostile texts do there (nothing),
whether it can be read on a phone, in the dark and by keyboard alone, and what it says when the gate is gone.
"""

import base64
import datetime
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import threading
import time

import psycopg
import pytest

from lib import psql, run
from lib.browser import Browser
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
        span = time.time() // 300           # failures are counted by spans of five minutes of the day
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
        assert shown_failure["recent"] in [["0"] * 11 + ["1"], ["0"] * 10 + ["1", "0"]][:1 + int(time.time() // 300 - span)]
        assert [c["weakness"] for c in got["clients"]][0] == "plaintext"
        assert got["tightening"]["hostssl"] == 1


def test_strangers_are_no_reason(shown, certs):
    """Who was never admitted cannot colour the verdict; a client that stops getting in does."""
    gate, port = shown
    for _ in range(12):
        fail_handshake(gate)
    assert psql.run(gate, user="alice", sslmode="disable").returncode != 0
    got = fresh_report(port, lambda r: r["strangers"]["failures"] == 13, "failures of strangers")
    assert got["reasons"] == [] and got["strangers"] == {"failures": 13, "addresses": 1}
    assert sum(f["last_hour"] for f in got["failures"]) == 13
    with connect(gate, certs):
        pass
    got = fresh_report(port, lambda r: r["reasons"], "a reason")
    assert [r["what"].split(":")[0] for r in got["reasons"]] == ["unknown_ca, 12 in the last hour from known clients"]
    assert got["strangers"] == {"failures": 0, "addresses": 0}


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
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port))
    assert report(port)["reasons"] == []
    gate.configure(tls={"cert": old})
    gate.reload()
    gate.configure(hba=HBA + "nonsense\n")
    gate.reload()
    with connect(gate, certs):          # now its address is one of a client
        pass
    fail_handshake(gate)
    reasons = fresh_report(port, lambda r: len(r["reasons"]) == 3, "three reasons")["reasons"]
    assert [(r["severity"], r["section"]) for r in reasons] == [
        ("critical", "certificates"), ("warning", "failures"), ("warning", "reloads")]
    assert reasons[0]["what"] == f"server certificate {gate.path('server.crt')} expires in 5 days"
    assert reasons[1]["what"].startswith("unknown_ca, 1 in the last hour from known clients: the client does not trust the CA")
    assert reasons[2]["what"] == (f"the last reload (SIGHUP) was refused: {gate.path('pg_hba.conf')}:6: "
                                  'invalid connection type "nonsense"')


def test_a_server_that_is_gone(factory, make_gate, certs):
    """The view and the report say whether the last session reached the upstream server; a good one clears it."""
    port, server = run.free_port(), factory.postgres(hba="local all all trust\n")
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, upstream=server, settings=settings(port))
    where = f"{server.socket_dir}:{server.port}"

    def upstreams():
        return psql.run(gate, "SELECT upstream, hosts, reachable, connects, failures, last_success IS NULL "
                        "FROM pgseal_upstreams", host=gate.socket_dir, dbname="pgseal", user="postgres").stdout.strip()

    assert upstreams() == f"default|{{{where}}}||0|0|t"
    assert report(port)["upstreams"][0]["reachable"] is None
    connect(gate, certs).close()
    assert upstreams() == f"default|{{{where}}}|t|1|0|f"
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        connect(gate, certs)
    assert upstreams() == f"default|{{{where}}}|f|1|1|f"
    got = fresh_report(port, lambda r: r["reasons"], "a reason")
    assert (got["reasons"][0]["severity"], got["reasons"][0]["section"]) == ("critical", "upstream")
    assert where in got["reasons"][0]["what"] and got["upstreams"][0]["hosts"] == [where]
    server.start()
    connect(gate, certs).close()
    got = fresh_report(port, lambda r: r["upstreams"][0]["reachable"], "the server to be reached")
    assert "upstream" not in [r["section"] for r in got["reasons"]]


def test_wrong_passwords_count_when_they_are_many(shown, certs):
    gate, port = shown
    def fail():
        assert psql.run(gate, user="alice", password="wrong", sslmode="require").returncode != 0
    fail()
    got = fresh_report(port, lambda r: r["failures"], "a failure")
    assert (got["failures"][0]["cause"], got["reasons"]) == ("password_wrong", [])
    for _ in range(9):
        fail()
    got = fresh_report(port, lambda r: r["reasons"], "a reason")
    assert got["reasons"][0]["what"].startswith("password_wrong, 10 in the last hour: ")


def test_many_pages_cost_one_report(shown):
    """All who ask at once get the same report, which is then kept for a second."""
    _, port = shown
    answers = []

    def ask():
        answers.append(datetime.datetime.fromisoformat(report(port)["gate"]["now"].replace("Z", "+00:00")))

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = sorted(set(answers))
    assert len(answers) == 24 > len(made)
    assert all((b - a).total_seconds() > 0.9 for a, b in zip(made, made[1:])), made


def test_one_query_that_fails_does_not_hide_the_others(shown):
    """pgseal_certificates shows unreadable files; nothing else suffers."""
    gate, port = shown
    gate.write("client-ca.crt", b"garbage")
    got = fresh_report(port, lambda r: r["reasons"], "a reason")
    assert got["errors"] == {} and len(got["rules"]) == 5
    assert got["reasons"][0]["severity"] == "critical" and "client-ca.crt" in got["reasons"][0]["what"]


def hammer(port, stop):
    """Ask for reports as fast as they come, until the gate has gone."""
    while not stop.is_set():
        try:
            status, _, body = get(port, "/status.json")
            assert status in (200, 503) and json.loads(body)
        except (OSError, http.client.HTTPException):
            if stop.wait(0.01):
                return


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_reports_under_way_do_not_hold_up_a_stop(make_gate, certs, how):
    port, stop = run.free_port(), threading.Event()
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port))
    threads = [threading.Thread(target=hammer, args=(port, stop)) for _ in range(6)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(3):
            assert report(port)["errors"] == {}
            gate.reload()
        assert gate.stop(how) == 0
        gate.assert_clean()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_while_draining_there_is_no_report(make_gate, certs):
    port = run.free_port()
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port))
    early = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with connect(gate, certs) as session:
        session.execute("BEGIN")
        early.connect()
        assert get(port, "/readyz")[0] == 200       # `early` has been let in before
        gate.kill(signal.SIGTERM)
        gate.log.wait_for("event=released ")
        early.request("GET", "/status.json")
        answer = early.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (503, "application/json")
        assert json.load(answer) == {"error": "the gate is stopping"}
        session.execute("COMMIT")


def test_secrets_of_rules_stay_inside(make_gate, certs):
    """Passwords that a rule's options hold are for readers of pg_hba_file_rules alone."""
    port = run.free_port()
    ldap = "ldap ldapserver=ldap.example ldapbasedn=dc=example ldapbinddn=cn=gate ldapbindpasswd=Geheimnis7"
    gate = make_gate(hba=f"local all all trust\nhost all bob 192.0.2.0/24 {ldap}\nhostssl all all 192.0.2.0/24 cert map=m\n",
                     ident="m a b\n", tls={"cert": certs.server, "ca": certs.ca.pem()},
                     settings=settings(port, auth_source="upstream"))
    status, _, body = get(port, "/status.json")
    assert status == 200 and b"Geheimnis7" not in body
    rules = json.loads(body)["rules"]
    assert [(r["auth_method"], r["options"]) for r in rules] == [
        ("trust", None), ("ldap", None), ("cert", ["map=m", "clientcert=verify-full"])]
    for column in ("type", "database", "user_name", "address", "netmask", "auth_method", "options"):
        sql = f"SELECT {column} FROM %s ORDER BY rule_number"
        rows = [psql.run(gate, sql % view, host=gate.socket_dir, dbname="pgseal", user="postgres").stdout
                for view in ("pgseal_rules", "pg_hba_file_rules")]
        assert rows[0] == rows[1].replace("Geheimnis7", "********") and rows[0] != ""


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
    assert "http" not in re.sub(r'http://www\.w3\.org/2000/svg|http_(token_file|listen)|"http"|http(?=: ")', "", text)
    markup = re.sub("<(style|script)>.*?</\\1>", "", text, flags=re.S)
    assert not re.search(r"\son\w+\s*=|style=|<iframe|<object|<base", markup)


# -- the page in a browser ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def browser(scratch):
    made = Browser(scratch)
    yield made
    made.quit()


@pytest.fixture(scope="module")
def busy(server_factory, certs):
    """A gate with something to tell: sessions of all kinds, failures, hostile names, a refused reload."""
    port = run.free_port()
    gate = server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem(), "crl": certs.ca.crl()},
                          settings=settings(port, cluster_name="orders"))
    with connect(gate, certs, application_name=HOSTILE), connect(gate, certs, "bob", sslmode="disable"):
        assert psql.run(gate, user=HOSTILE, sslmode="disable").returncode != 0
        fail_handshake(gate)
        gate.configure(hba=HBA + f'"{HOSTILE}"\n')
        gate.reload()
        yield gate, port
    gate.configure(hba=HBA)


@pytest.fixture
def page(browser, busy):
    """The busy gate's page, drawn, on a desktop's window; afterwards nobody may have complained."""
    gate, port = busy
    browser.size(1280)
    browser.media()
    browser.open(f"http://127.0.0.1:{port}/status")
    browser.js("localStorage.clear()")
    browser.wait_text("#verdict", "generation 1")
    yield browser
    assert browser.complaints() == []
    assert browser.origins() <= {f"http://127.0.0.1:{port}", "data:"}


def test_it_shows_what_there_is(page, busy, certs):
    gate, port = busy
    assert page.text("#cluster") == "orders"
    assert "Look here: " in page.text("h1")
    assert page.js("return document.title").startswith("Look here: ")
    lives = page.text("#certificates")
    for words in ("Server certificate", "server.crt", "served as on disk", "CA of clients", "Revocation list", "days left"):
        assert words in lives
    assert page.js("return document.querySelectorAll('#certificates svg.life .now').length") >= 3
    assert re.search(r"TLSv1\.3\s+1\s", page.text("#sessions")) and re.search(r"plaintext\s+1\s", page.text("#sessions"))
    rules = page.text("#rules")
    for words in ("pg_hba.conf:2", "hostssl", "alice", "127.0.0.1/32", "scram-sha-256", "2001:db8::/32"):
        assert words in rules
    failures = page.text("#failures")
    for words in ("unknown_ca", "Likely: the client does not trust the CA", "Next: ", "sslrootcert", "1 in the last hour"):
        assert words in failures
    assert "plaintext" in page.text("#clients") and "1 of 2 admitted clients connected without TLS" in page.text("#clients")
    assert gate.conninfo().split()[0].removeprefix("host=") in page.text("#upstream") and "reached" in page.text("#upstream")
    assert "refused" in page.text("#reloads") and "pg_hba.conf:6" in page.text("#reloads")
    page.picture("desktop-light")


def test_hostile_texts_are_texts(page):
    for section in ("#failures", "#clients", "#reloads"):
        assert HOSTILE in page.text(section)
    assert page.js("return document.images.length") == 0
    assert page.js("return document.title") != "owned"
    assert page.js("return document.querySelectorAll('script, style, iframe, object, embed, form').length") == 3


def test_the_policy_holds(page):
    """Even a script that got in could not load anything or write markup."""
    outcome = page.driver.execute_async_script("""
        const done = arguments[0], heard = [];
        document.addEventListener("securitypolicyviolation", (e) => heard.push(e.effectiveDirective));
        const img = new Image(); img.src = "/x.png";
        fetch("http://127.0.0.1:9/").catch(() => {});
        let markup = "written"; try { document.createElement("p").innerHTML = "<b>x</b>"; } catch { markup = "refused"; }
        const look = () => heard.includes("connect-src") && heard.includes("img-src") ? done(markup) : setTimeout(look, 10);
        look();""")
    assert outcome == "refused"
    page.drain()


CONTRAST = """
const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m[3] ?? 1 }; };
const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0) return c.rgb; }
  return [255, 255, 255]; };
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, box = e.getBoundingClientRect();
  if (!walk.currentNode.nodeValue.trim() || e.closest("noscript") || !box.width || getComputedStyle(e).visibility === "hidden") continue;
  const s = getComputedStyle(e), c = parse(e instanceof SVGElement ? s.fill : s.color).rgb, b = behind(e);
  const [x, y] = [light(c), light(b)].sort((p, q) => q - p);
  found.push([(x + .05) / (y + .05), walk.currentNode.nodeValue.trim().slice(0, 40)]);
}
return found.sort((p, q) => p[0] - q[0]);
"""


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_width(page, scheme, width):
    page.size(width)
    page.media(prefers_color_scheme=scheme)
    page.wait_text("#live", "updated")
    run.wait_until(lambda: page.js("return document.documentElement.dataset.theme") == scheme, f"the {scheme} theme")
    contrast = page.js(CONTRAST)
    assert len(contrast) > 80
    assert contrast[0][0] >= 4.5, contrast[:5]
    assert page.js("return document.scrollingElement.scrollWidth") <= width
    overflow = page.js("""return [...document.querySelectorAll("body *")].filter((e) => !e.closest(".skip, .hidden, legend, svg")
        && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))""")
    assert overflow == []
    outside = page.js("""return [...document.querySelectorAll("section *")].filter((e) => !e.closest(".hidden, svg") && e.checkVisibility()
        && e.getBoundingClientRect().right > e.closest("section").getBoundingClientRect().right - 8).map((e) => e.outerHTML.slice(0, 80))""")
    assert outside == []
    labels = page.js("""return [...document.querySelectorAll("svg.ticks text")].filter((e) => getComputedStyle(e).display !== "none")
        .map((e) => { const box = e.getBoundingClientRect(); return [box.left, box.right, e.textContent]; })""")
    labels.sort()
    assert len(labels) > 2 and all(a[1] < b[0] for a, b in zip(labels, labels[1:])), labels
    page.picture(f"{'desktop' if width > 500 else 'phone'}-{scheme}")


@pytest.mark.parametrize("width", [1280, 400])
def test_every_table_is_whole(page, width):
    """On a phone rows are cards; nothing scrolls sideways, nothing lies over something else, no column is left out."""
    page.size(width)
    page.wait_text("#live", "updated")
    tables = page.js("""return [...document.querySelectorAll("table")].map((t) => {
        const heads = [...t.tHead.rows[0].cells].map((c) => c.textContent), row = t.tBodies[0].rows[0];
        const shown = [...row.cells].filter((c) => c.textContent), boxes = shown.map((c) => c.getBoundingClientRect());
        const over = boxes.some((a, i) => boxes.some((b, j) => j > i && a.right > b.left + 1 && b.right > a.left + 1
            && a.bottom > b.top + 1 && b.bottom > a.top + 1));
        return { label: t.ariaLabel, heads: heads.length, cells: row.cells.length, over, cards: getComputedStyle(row).display === "grid",
                 hidden: shown.filter((c) => !c.checkVisibility() || c.scrollWidth > c.clientWidth + 1).map((c) => c.outerHTML),
                 names: [...row.cells].slice(1).map((c) => getComputedStyle(c, "::before").content.slice(1, -1)), rest: heads.slice(1) };
    })""")
    assert len(tables) >= 6
    for table in tables:
        assert table["heads"] == table["cells"] and table["cards"] is (width == 400), table
        assert not table["over"] and table["hidden"] == [], table
        if width == 400:
            assert table["names"] == table["rest"]


def test_numbers_agree(page, busy):
    """What stands above a list is how many are in it, of the same kind."""
    got = report(busy[1])
    page.wait_text("#live", "updated")
    rows = dict(page.js("""return [...document.querySelectorAll("#clients h3")].map((h) =>
        [h.textContent, h.nextElementSibling.querySelectorAll("tbody tr").length])"""))
    assert rows == {"Admitted: 2": 2, f"Never admitted: {got['tightening']['never_admitted']}": got["tightening"]["never_admitted"]}
    assert got["tightening"]["clients"] == 2 and got["gate"]["clients"] == sum(rows.values())
    assert got["gate"]["sessions"] == sum(t["sessions"] for t in got["transports"]) == sum(r["sessions"] for r in got["rules"])


def test_commands_are_filled_in(page, busy, certs):
    gate, _ = busy
    root = os.path.dirname(gate.path("pg_hba.conf"))
    next_step = page.text("#failures")
    assert f"pgseal cert verify --host localhost --root THE_CLIENTS_CA {gate.path('server.crt')}" in next_step
    assert f"pgseal explain -D {root} addr=127.0.0.1 user='<img src=x onerror=document.title='\\''owned'\\''>' dbname=" in next_step
    assert page.text("#in-sql") == f"pgseal psql -D {root}"
    assert "HOST:PORT" not in page.text("main") and "-D DIR" not in page.text("main")


def test_times_are_exact_on_hover(page):
    times = page.js("return [...document.querySelectorAll('time')].map((t) => [t.textContent, t.title, t.dateTime])")
    assert len(times) > 12
    for text, title, machine in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", title), (text, title)
        assert title[:10] == machine[:10]
    assert {"until", "since"} & set(page.text("#certificates").split())


def test_the_theme_is_remembered(page):
    choose = "document.querySelector('#theme input[value=\"%s\"]').click(); return document.documentElement.dataset.theme"
    assert page.js(choose % "dark") == "dark"
    page.driver.refresh()
    page.wait_text("#verdict", "generation 1")
    assert page.js("return document.documentElement.dataset.theme") == "dark"
    assert page.js("return document.querySelector('#theme input:checked').value") == "dark"
    page.media(prefers_color_scheme="light")
    assert page.js(choose % "auto") == "light"


def test_by_keyboard_alone(page):
    """Tab reaches everything that can be used, in the order it is read, and one sees where one is."""
    page.size(400)      # one column: below is later
    wanted = page.js("""return [...document.querySelectorAll("a[href], button, input, [tabindex='0']")]
        .filter((e) => e.checkVisibility() && !(e.type === "radio" && !e.checked)).length""")
    page.js("document.activeElement.blur()")
    seen = []
    for _ in range(wanted + 5):
        page.tab()
        where = page.js("""const e = document.activeElement, s = getComputedStyle(e.type === "radio" ? e.nextElementSibling : e);
            const box = e.getBoundingClientRect();
            return e === document.body ? null : [e.tagName, e.id || e.getAttribute("href") || e.getAttribute("aria-label") || e.value,
                                                 s.outlineStyle, box.top + scrollY, e.closest("main, footer") !== null]""")
        if where is None:
            break
        seen.append(where)
    assert len(seen) == wanted, seen
    assert seen[0][:2] == ["A", "#verdict"]
    assert all(stop[2] == "solid" for stop in seen), seen
    heights = [stop[3] for stop in seen if stop[4]]
    assert len(heights) > 2 and heights == sorted(heights)


def test_the_skip_link_answers_to_keys(page):
    page.js("document.activeElement.blur()")
    page.tab()
    page.press("Enter", 13, text="\r")
    assert run.wait_until(lambda: page.js("return document.activeElement.id") == "verdict", "the verdict to have the focus")


def test_what_assistive_tools_hear(page):
    levels = page.js("return [...document.querySelectorAll('h1, h2, h3')].filter((e) => e.checkVisibility()).map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert page.js("return document.documentElement.lang") == "en"
    assert page.js("""return [...document.querySelectorAll("section")].every((s) =>
        document.getElementById(s.getAttribute("aria-labelledby")).textContent)""")
    assert page.js("""return [...document.querySelectorAll("svg")].every((s) => s.closest("[aria-hidden=true]")
        || (s.getAttribute("role") === "img" && s.getAttribute("aria-label")))""")
    assert page.js("return [...document.querySelectorAll('th')].every((t) => ['col', 'row'].includes(t.scope))")
    assert page.js("return document.querySelector('#trouble').getAttribute('role')") == "status"


def test_motion_and_paper(page):
    moves = "return getComputedStyle(document.querySelector('.body')).transitionDuration"
    page.media(prefers_reduced_motion="no-preference")
    assert page.js(moves) != "0s"
    page.media(prefers_reduced_motion="reduce")
    assert page.js(moves) == "0s"
    page.js("document.querySelector('#theme input[value=\"dark\"]').click()")
    page.media("print")
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.js("return document.querySelector('nav').checkVisibility()") is False


def test_it_updates_itself_and_keeps_focus_and_scroll(page, busy, certs):
    gate, _ = busy
    page.size(400)
    page.js("""const t = document.querySelector("#rules"); t.focus({ preventScroll: true }); scrollTo(0, 700);
               window.kept = t; window.removed = 0;
               new MutationObserver((all) => all.forEach((m) => { window.removed += m.removedNodes.length; }))
                   .observe(document.querySelector("#rules"), { subtree: true, childList: true });""")
    before = page.js("return scrollY")
    with connect(gate, certs):
        run.wait_until(lambda: re.search(r"TLSv1\.3\s+2\s", page.text("#sessions")), "the new session to be shown", 25)
    assert page.js("return document.activeElement === window.kept && document.contains(window.kept)")
    assert page.js("return scrollY") == before
    assert page.js("return window.removed") <= 2       # a bar may go or come, a table does not
    run.wait_until(lambda: re.search(r"TLSv1\.3\s+1\s", page.text("#sessions")), "the session to be gone", 25)


def test_it_says_so_when_the_gate_is_gone(browser, make_gate, certs):
    port = run.free_port()
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port))
    browser.size(1280)
    browser.media()
    browser.open(f"http://127.0.0.1:{port}/status")
    browser.wait_text("h1", "All is well")
    gate.stop()
    browser.wait_text("h1", "The gate does not answer")
    assert "What you see is from" in browser.text("#trouble") and "Next try in" in browser.wait_text("#trouble", "Next try")
    assert browser.js("return document.title").startswith("The gate does not answer")
    assert "Server certificate" in browser.text("#certificates")
    assert browser.js(CONTRAST)[0][0] >= 4.5
    browser.picture("gone")
    run.wait_until(lambda: re.search(r"Next try in (9|\d\d) s", browser.text("#trouble")), "it to ask less often")
    gate.start()
    browser.js("document.getElementById('retry').click()")
    run.wait_until(lambda: browser.text("#trouble") == "", "the complaint to be gone", 25)
    browser.wait_text("h1", "All is well")
    assert "generation 1" in browser.text("#verdict")
    browser.drain()


def test_it_shows_how_far_clients_know_a_new_ca(browser, make_gate, certs):
    port = run.free_port()
    new = certs.foreign.issue("db.example", sans=["localhost", "db.example"], usage="server")
    gate = make_gate(start=False, hba=HBA, tls={"cert": new}, settings=settings(port, rollover_cert_file="server.crt", rollover_key_file="server.key"))
    gate.start()
    connect(gate, certs, sslrootcert=certs.foreign_file).close()
    got = fresh_report(port, lambda r: r["tightening"]["clients"], "a client")["tightening"]
    assert (got["rollover"], got["next_ca"], got["next_ca_refused"]) == (True, 1, 0)
    browser.open(f"http://127.0.0.1:{port}/status")
    browser.wait_text("#clients", "1 of 1 admitted client accepted its chain, 0 refused it")
    browser.drain()


def test_it_says_that_the_gate_was_told_to_stop(browser, make_gate, certs):
    port = run.free_port()
    gate = make_gate(hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()}, settings=settings(port, shutdown_delay="1h"))
    assert report(port)["not_ready"] is None
    os.kill(gate.process.pid, signal.SIGTERM)
    got = fresh_report(port, lambda r: r["not_ready"], "the gate to be stopping")
    assert got["not_ready"] == "draining: the gate was told to stop" and got["reasons"] == []
    browser.open(f"http://127.0.0.1:{port}/status")
    browser.wait_text("h1", "Look here: 1 reason")
    assert got["not_ready"] in browser.text("#reasons")
    gate.process.send_signal(signal.SIGINT)
    browser.drain()


def test_a_token_is_asked_for(browser, make_gate, certs):
    """Beyond loopback a token is needed; a browser cannot send one by itself, the page can."""
    port = run.free_port()
    gate = make_gate(start=False, hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                     settings=settings(port, http_listen=f"0.0.0.0:{port}", http_token_file="http.token"))
    gate.write("http.token", "0123456789abcdef-XYZ", 0o600)
    gate.start()
    browser.size(400)
    browser.media()
    browser.open(f"https://localhost:{port}/status")
    browser.wait_text("#token", "This gate requires a token")
    assert "Certificates and" not in browser.text("main") and browser.js(CONTRAST)[0][0] >= 4.5
    browser.picture("token")
    give = """const field = document.getElementById("token-text"); field.value = arguments[0];
              document.querySelector("#token button").click()"""
    for wrong in ("wrong", "wörter — ✓"):
        browser.js(give, wrong)
        browser.wait_text("#token", "does not accept this token")
    browser.js(give, "0123456789abcdef-XYZ")
    browser.wait_text("h1", "All is well")
    assert browser.js("return document.getElementById('token').checkVisibility()") is False
    browser.driver.refresh()
    browser.wait_text("h1", "All is well")
    assert browser.js("return [document.cookie, localStorage.length, location.href]") == ["", 0, f"https://localhost:{port}/status"]
    assert "0123456789abcdef-XYZ" not in browser.js("return document.documentElement.outerHTML") + gate.log.text()
    assert browser.origins() <= {f"https://localhost:{port}", "data:"}
    browser.drain()
