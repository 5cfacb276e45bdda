"""
The audit's reports for others: SARIF against its schema, and the page in a real browser: what it shows, what hostile
texts do there (nothing), whether it can be read on a phone, in the dark, on paper and by keyboard alone.
"""

import html
import json
import os
import re
import shutil
import subprocess

import pytest

from lib.browser import Browser
from test_audit import append, audit
from test_page import CONTRAST

HERE = os.path.dirname(os.path.abspath(__file__))
HOSTILE = "<img src=x onerror=document.title='owned'>"
HBA = f"""\
local   all     all     trust
hostssl app     "{HOSTILE}" 10.0.0.0/8 scram-sha-256
hostssl app     "\u202eevil\x1b[31m" 10.0.0.0/8 cert
host    legacy  all     192.168.10.0/24 md5
hostssl billing all     10.1.2.0/24 scram-sha-256
hostssl billing ann     10.1.2.0/24 reject
hostssl all     all     ::/0 scram-sha-256
"""


@pytest.fixture(scope="module")
def bad_gate(program, tmp_path_factory):
    """A gate with something to find, in a directory whose name is hostile too."""
    path = tmp_path_factory.mktemp("reports") / "<b>gate & co"
    subprocess.run([program, "init", path, "--host", "db.example"], check=True, capture_output=True, timeout=60)
    (path / "pg_hba.conf").write_text(HBA, encoding="utf-8")
    append(path / "pgseal.conf", "ssl_min_protocol_version = TLSv1\n")
    return path


# -- SARIF --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def schema_says(pytestconfig):
    modules = os.path.join(os.path.abspath(pytestconfig.getoption("build")), "npm", "node_modules")
    if not shutil.which("node") or not os.path.exists(os.path.join(modules, "@microsoft", "jest-sarif")):
        pytest.skip("@microsoft/jest-sarif is not installed (tools/npm.sh)")

    def judge(text):
        done = subprocess.run(["node", os.path.join(HERE, "node", "sarif.js")], input=text, text=True, timeout=60,
                              capture_output=True, check=False, env={**os.environ, "NODE_PATH": modules})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return judge


def test_sarif_is_valid(program, bad_gate, schema_says, tmp_path):
    done = audit(program, "--sarif", bad_gate)
    assert done.returncode == 1 and schema_says(done.stdout) == []
    empty = audit(program, "--sarif", tmp_path / "nowhere")
    assert empty.returncode == 3 and schema_says(empty.stdout) == []
    assert schema_says('{"version": "2.0.0", "runs": []}') != []  # the judge can say no


def test_sarif_says_what_json_says(program, bad_gate):
    log = json.loads(audit(program, "--sarif", bad_gate).stdout)
    findings = json.loads(audit(program, "--json", bad_gate).stdout)["findings"]
    results = log["runs"][0]["results"]
    assert sorted(r["ruleId"] for r in results) == sorted(f["id"] for f in findings)
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    weak = next(r for r in results if r["ruleId"] == "plaintext_from_network")
    place = weak["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 4 and weak["level"] == "error"
    assert place["artifactLocation"]["uri"].endswith("/%3Cb%3Egate%20%26%20co/pg_hba.conf")
    assert len({r["partialFingerprints"]["about/v1"] + r["ruleId"] for r in results}) == len(results)


def taxa_of(log, result):
    """(source, edition, number) of each of a result's taxa, followed through the log's own references."""
    found = set()
    for taxon in result["taxa"]:
        taxonomy = log["runs"][0]["taxonomies"][taxon["toolComponent"]["index"]]
        assert taxonomy["name"] == taxon["toolComponent"]["name"] and taxonomy["taxa"][taxon["index"]]["id"] == taxon["id"]
        found.add((taxonomy["name"], taxonomy.get("version"), taxon["id"]))
    return found


def test_sarif_has_the_numbers_of_benchmarks(program, bad_gate, schema_says, tmp_path):
    """Each source that --json names is a taxon; an edition by the server's version is a taxonomy of its own."""
    log = json.loads(audit(program, "--sarif", bad_gate).stdout)
    findings = {f["id"]: f for f in json.loads(audit(program, "--json", bad_gate).stdout)["findings"]}
    for result in log["runs"][0]["results"]:
        said = {(s["source"], s["edition"], number) for s in findings[result["ruleId"]]["sources"]
                for number in re.split(r", (?=[0-9]|V-|HBA )", s["number"] or s["source"])}
        assert taxa_of(log, result) == said
        rule = log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert [r["target"] for r in rule["relationships"]] == result["taxa"]
        notes = [f"{s['source']}: {s['note']}" for s in findings[result["ruleId"]]["sources"] if s["note"]]
        assert result["properties"]["objections"] == notes
    old = next(r for r in log["runs"][0]["results"] if r["ruleId"] == "tls_version_old")
    assert {("CIS", "v1.0.0", "6.9"), ("STIG", "V1R1", "V-261928"), ("PCI DSS", "4.0.1", "4.2.1")} <= taxa_of(log, old)
    assert [c["name"] for c in log["runs"][0]["tool"]["driver"]["supportedTaxonomies"]] == [
        t["name"] for t in log["runs"][0]["taxonomies"]]
    # Two versions in one log.
    (tmp_path / "pg_hba.conf").write_text("host all all 0.0.0.0/0 md5\n", encoding="utf-8")
    (tmp_path / "PG_VERSION").write_text("15\n", encoding="utf-8")
    (tmp_path / "postgresql.conf").write_text("ssl = off\n", encoding="utf-8")
    both = audit(program, "--sarif", bad_gate, tmp_path).stdout
    assert schema_says(both) == []
    editions = {t.get("version") for t in json.loads(both)["runs"][0]["taxonomies"] if t["name"] == "CIS"}
    assert editions == {"v1.0.0", "v1.2.0"}


def test_sarif_is_relative_to_where_it_is_run(program, bad_gate):
    log = json.loads(audit(program, "--sarif", bad_gate, cwd=bad_gate.parent).stdout)
    uris = {r["locations"][0].get("physicalLocation", {}).get("artifactLocation", {}).get("uri", "")
            for r in log["runs"][0]["results"]}
    assert "%3Cb%3Egate%20%26%20co/pg_hba.conf" in uris


def test_sarif_knows_the_baseline_and_what_failed(program, bad_gate, tmp_path):
    known = tmp_path / "known.json"
    known.write_text(audit(program, "--json", bad_gate).stdout, encoding="utf-8")
    run = json.loads(audit(program, "--sarif", "--baseline", known, bad_gate).stdout)["runs"][0]
    assert {r["baselineState"] for r in run["results"]} == {"unchanged"}
    assert run["invocations"][0]["executionSuccessful"] is True
    run = json.loads(audit(program, "--sarif", tmp_path / "nowhere").stdout)["runs"][0]
    assert run["invocations"][0]["executionSuccessful"] is False and run["results"] == []
    assert "nowhere" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_one_form_at_a_time(program, bad_gate):
    assert audit(program, "--sarif", "--json", bad_gate).returncode == 2


# -- the page -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page(program, bad_gate, scratch, tmp_path_factory):
    """The page of two targets, one of which is not there, in a browser."""
    path = tmp_path_factory.mktemp("page") / "audit.html"
    done = audit(program, "--html", bad_gate, path.parent / "nowhere")
    assert done.returncode == 3
    path.write_text(done.stdout, encoding="utf-8")
    browser = Browser(scratch)
    browser.size(1100)
    browser.media()
    browser.open(path.as_uri())
    yield browser
    browser.quit()


def test_page_needs_nothing_and_runs_nothing(program, bad_gate):
    text = audit(program, "--html", bad_gate).stdout
    assert "default-src 'none'" in text and "<script" not in text and HOSTILE not in text
    assert html.escape(HOSTILE, quote=True).replace("&#x27;", "&#39;") in text
    assert not re.search(r"\b(?:src|href)=\"(?!#)", text)
    assert "\u202e" not in text and "\\u{202E}evil\\x1b[31m" in text


def test_page_shows_it_all(page):
    assert page.complaints() == [] and page.origins() <= {"file://"}
    assert page.js("return document.title") == "pgseal audit"
    assert page.text("h1") == "Not safe: something must be fixed now"
    text = page.text()
    assert "A rule admits other machines without TLS" in text and "pg_hba.conf:4" in text
    assert "pgseal explain … addr=192.168.10.1 user=somebody dbname=legacy tls=none" in text
    assert "It could not be read" in text and "Checklist" in text and "<b>gate & co" in text
    assert page.js("return document.querySelectorAll('img, b:not(.tag), script').length") == 0
    # Every rule but the covered one decides somewhere; that one is drawn as lost only.
    drawn = page.js("""const found = {};
        for (const t of document.querySelectorAll('svg rect title')) {
          const [, rule, words] = t.textContent.match(/^rule (\\d+), .*: (.*)$/) ?? []; if (rule) (found[rule] ??= new Set()).add(words); }
        return Object.entries(found).map(([rule, words]) => [+rule, [...words]])""")
    drawn = dict(drawn)
    assert set(drawn) == {1, 2, 3, 4, 5, 6, 7}
    assert drawn[6] == ["is matched by earlier rules"] and "continues without TLS" in drawn[4] and "demands strong authentication" in drawn[2]
    assert page.js("return document.querySelectorAll('svg rect title').length") > 7
    # The same in words, for those who cannot point at a cell.
    page.js("for (const d of document.querySelectorAll('details')) d.open = true")
    rows = page.js("return [...document.querySelectorAll('#rules li')].map((li) => li.innerText.split('\\n').filter((t) => t))")
    assert len(rows) == 7 and rows[3] == ["line 4", "host legacy all 192.168.10.0/24 md5",
                                          "continues without TLS: 192.168.10.0/24 without TLS",
                                          "accepts weak authentication: 192.168.10.0/24 in TLS"]
    assert rows[5][2] == "decides nothing: earlier rules match all of it"
    labels = page.js("return [...document.querySelectorAll('svg:not(.map) text')].map((t) => t.textContent)")
    assert {"today", "30 d", "90 d", "→"} <= set(labels)       # the CA lasts longer than the line
    page.picture("audit")


def test_map_on_a_phone(page):
    """Cells come first, with the lines' numbers; the rules' texts are in the list."""
    page.size(400)
    page.media()
    assert page.js("return [...document.querySelectorAll('svg.map .narrow')].every((t) => t.getBoundingClientRect().x >= 0)")
    assert page.js("return getComputedStyle(document.querySelector('svg.map .whole')).display") == "none"
    first = page.js("return document.querySelector('svg.map rect').getBoundingClientRect().x")
    assert 0 < first < 100


@pytest.mark.parametrize("width,scheme", [(1100, "light"), (1100, "dark"), (400, "light"), (400, "dark")])
def test_page_can_be_read(page, width, scheme):
    page.size(width)
    page.media(prefers_color_scheme=scheme)
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.js("for (const d of document.querySelectorAll('details')) d.open = true")
    contrast = page.js(CONTRAST)
    assert contrast[0][0] >= 4.5, contrast[:5]
    page.picture(f"audit-{width}-{scheme}")


def test_page_prints(page):
    page.js("for (const d of document.querySelectorAll('details')) d.open = false")
    page.size(794)
    page.media("print", prefers_color_scheme="dark")
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.js(CONTRAST)[0][0] >= 4.5
    page.picture("audit-print")


def test_page_by_keyboard(page):
    page.size(1100)
    page.media()
    page.driver.refresh()
    page.tab()
    assert page.js("return document.activeElement.className") == "skip"
    seen = set()
    for _ in range(40):
        page.tab()
        seen.add(page.js("return document.activeElement.tagName + document.activeElement.className"))
    assert {"SUMMARY", "DIVwide"} <= seen
    closed = page.js("""const s = [...document.querySelectorAll('details:not([open]) > summary')][0]; s.focus();
                        return s.innerText""")
    page.press("Enter", 13, text="\r")
    assert page.js("return document.activeElement.parentElement.open") is True, closed


# -- what the docs say --------------------------------------------------------------------------------------------
DOCS = os.path.join(HERE, "..", "..", "docs")


def read_doc(*names):
    with open(os.path.join(DOCS, *names), encoding="utf-8") as f:
        return f.read()


def test_the_commands_for_ci_run(program, tmp_path):
    """Each block of shell of the page runs as it stands: a baseline, nothing new, a rehearsal."""
    for name in ("postgresql", "current"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "postgresql.conf").write_text("ssl = off\n", encoding="utf-8")
        (tmp_path / name / "pg_hba.conf").write_text("host all all 10.0.0.0/8 md5\n", encoding="utf-8")
    (tmp_path / "server.log").write_text("[7] LOG:  connection received: host=10.0.0.7 port=1\n"
                                         "[7] LOG:  connection authorized: user=ann database=app\n", encoding="utf-8")
    path = {**os.environ, "PATH": os.path.dirname(os.path.abspath(program)) + ":" + os.environ["PATH"]}
    page = read_doc("howto", "audit-in-ci.md")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.S)
    blocks += re.findall(r"(pgseal audit --(?:sarif|html) .*)", page)
    assert len(blocks) == 4
    for block in blocks:
        done = subprocess.run(["sh", "-ec", block], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, (block, done.stderr, done.stdout)
    assert json.loads((tmp_path / "audit.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]


def test_other_judges_are_wrong_where_the_docs_say(program, tmp_path):
    page = read_doc("other-judges.md")
    line, error = re.search(r"write `(hostssl [^`]*)` \| .*?: `([^`]*)`", page).groups()
    path = tmp_path / "pg_hba.conf"
    path.write_text(line + "\n", encoding="utf-8")
    broken = json.loads(audit(program, "--json", path).stdout)["findings"]
    assert (broken[0]["id"], broken[0]["evidence"]) == ("rules_broken", error)
    path.write_text(line.replace(" clientcert=verify-ca", "") + "\n", encoding="utf-8")
    assert "rules_broken" not in audit(program, "--json", path).stdout
    # The same lines in another order: one of them lets in, the other does not.
    first, second = re.search(r"`(hostssl [^`]*)` before\s+`(host [^`]*)`", page).groups()
    ids = []
    for text in (f"{first}\n{second}\n", f"{second}\n{first}\n"):
        path.write_text(text, encoding="utf-8")
        ids.append({f["id"] for f in json.loads(audit(program, "--json", path).stdout)["findings"]})
    assert "rule_shadowed" not in ids[0] and "rule_shadowed" in ids[1]
