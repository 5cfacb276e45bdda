"""
What dist/ ships for Prometheus and Grafana, against tables/metrics.def and promtool.

test_dist.py DIRECTORY: where files may be written.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = [ROOT / "dist/prometheus/pgseal.rules.yml", ROOT / "dist/prometheus/pgseal-monitor.rules.yml",
         ROOT / "dist/prometheus/pgseal-rotate.rules.yml"]
DASHBOARDS = [ROOT / "dist/grafana/pgseal.json", ROOT / "dist/grafana/pgseal-certificates.json"]

complaints = []


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        complaints.append(f"promtool {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")


def known_names():
    """Every name that a query may use, histograms' three included; and the labels of each."""
    names = {}
    rows = re.findall(r'^X\(METRIC_\w+, "(\w+)", (\w+), \w+, \w+, "([^"]*)"', (ROOT / "tables/metrics.def").read_text(),
                      re.M)
    for name, kind, labels in rows:
        labels = set(filter(None, labels.split(",")))
        for each in [f"{name}_bucket", f"{name}_sum", f"{name}_count"] if kind == "HISTOGRAM" else [name]:
            names[each] = labels | ({"le"} if each.endswith("_bucket") else set())
    of = {"ROW": {"target", "kind", "location", "subject", "serial"}, "TARGET": {"target"}, "RUN": set()}
    rows = re.findall(r'^X\(MONITOR_METRIC_\w+, "(\w+)", (\w+),', (ROOT / "tables/monitor_metrics.def").read_text(), re.M)
    names.update((name, of[kind]) for name, kind in rows)
    families = re.findall(r'\{ "(pgseal_rotate_\w+)", "', (ROOT / "src/cmd/rotate_report.c").read_text())
    names.update((name, {"target", "pair"} | ({"step"} if name.endswith("_failed") else set())) for name in families)
    return names


NAMES = known_names()
OF_SCRAPE = {"instance", "job"}


def check_query(where, query):
    """Metrics exist, and so do the labels that are asked for or grouped by."""
    used = re.findall(r"\bpgseal_\w+", query)
    labels = OF_SCRAPE.union(*(NAMES.get(name, set()) for name in used))
    for name in used:
        if name not in NAMES:
            complaints.append(f"{where}: there is no metric {name}")
    asked = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
    for group in re.findall(r"\bby \(([^)]*)\)", query):
        asked += [word.strip() for word in group.split(",")]
    for label in asked:
        if used and label not in labels:
            complaints.append(f"{where}: no metric of it has a label {label}")


def check_texts(where, query, text):
    labels = OF_SCRAPE.union(*(NAMES.get(name, set()) for name in re.findall(r"\bpgseal_\w+", query)))
    for label in re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)", text):
        if label not in labels:
            complaints.append(f"{where}: its text names a label {label}")


def check_rules(rules):
    text = rules.read_text()
    tests = f"tests/prometheus/{rules.stem}.test.yml"
    for alert in re.split(r"^ *- alert: ", text, flags=re.M)[1:]:
        name = alert.splitlines()[0]
        query = re.search(r"expr: (?:>-)?(.*?)\n\s+(?:for|labels):", alert, re.S).group(1)
        check_query(name, query)
        check_texts(name, query, " ".join(re.findall(r"(?:summary|description): (.*)", alert)))
        if name not in (ROOT / tests).read_text():
            complaints.append(f"{name}: no test of the rules sees it fire")
    promtool("check", "rules", rules)
    promtool("test", "rules", tests)


def check_dashboard(dashboard, directory):
    """Each query parses: a file of recording rules made of them is checked."""
    board = json.loads(dashboard.read_text())
    rules, places = [], set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in places or x >= 24:
                    complaints.append(f"panel {panel['title']} lies over another one, or beyond the edge")
                places.add((x, y))
        for target in panel.get("targets", []):
            where = f"panel {panel['title']}"
            check_query(where, target["expr"])
            check_texts(where, target["expr"], target["legendFormat"])
            rules.append(target["expr"])
    rules += [row["expr"] for row in board["annotations"]["list"]]
    if len(set(panel["id"] for panel in board["panels"])) != len(board["panels"]):
        complaints.append("two panels have one number")
    made = pathlib.Path(directory) / "dashboard.rules.yml"
    queries = [query.replace("$__rate_interval", "5m") for query in rules]
    made.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [
        {"record": f"dashboard:{i}", "expr": query} for i, query in enumerate(queries)]}]}))
    promtool("check", "rules", made)
    made.unlink()


for each in RULES:
    check_rules(each)
for each in DASHBOARDS:
    check_dashboard(each, sys.argv[1])
for complaint in complaints:
    print(complaint)
sys.exit(1 if complaints else 0)
