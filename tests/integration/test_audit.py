"""
pgseal audit: findings, checklist and exit status for what lies in files.
"""

import json
import os
import subprocess

import pytest

HBA = "hostssl all all all scram-sha-256\n"


def audit(program, *arguments, **more):
    return subprocess.run([program, "audit", *arguments], capture_output=True, text=True, timeout=60, check=False, **more)


def report(program, *arguments):
    done = audit(program, "--json", *arguments)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done


def ids(found):
    return {finding["id"] for finding in found["findings"]}


def item(found, number):
    return found["checklist"][number - 1]["pass"]


@pytest.fixture
def gate_dir(program, tmp_path):
    path = tmp_path / "gate"
    subprocess.run([program, "init", path, "--host", "db.example"], check=True, capture_output=True, timeout=60)
    return path


def append(path, text):
    with open(path, "a", encoding="utf-8") as f:
        f.write(text)


def test_a_fresh_gate_passes(program, gate_dir):
    found, done = report(program, gate_dir)
    assert done.returncode == 0 and done.stderr == ""
    assert all(finding["severity"] in ("low", "info") for finding in found["findings"])
    assert [point["item"] for point in found["checklist"]] == [1, 2, 3, 4, 5, 6]
    assert [item(found, i) for i in (1, 2, 3)] == [True, True, True]
    assert item(found, 4) is None  # nobody saw what clients do
    assert all(point["why"] for point in found["checklist"])
    assert found["summary"]["high"] == 0


def test_a_finding_has_its_members(program, gate_dir):
    append(gate_dir / "pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
    lines = (gate_dir / "pg_hba.conf").read_text(encoding="utf-8").count("\n")
    found, done = report(program, gate_dir)
    assert done.returncode == 1
    finding = next(f for f in found["findings"] if f["id"] == "trust_from_network")
    assert finding["severity"] == "high" and finding["title"] and finding["why"] and finding["fix"]
    assert finding["where"] == f"{gate_dir}/pg_hba.conf:{lines}"
    assert finding["witness"].startswith("addr=10.0.0.1 ") and finding["witness"] in finding["evidence"]
    assert item(found, 3) is False and "plaintext_from_network" in found["checklist"][2]["why"]
    assert [f["severity"] for f in found["findings"]] == sorted(
        (f["severity"] for f in found["findings"]), key=["high", "medium", "low", "info"].index)


@pytest.mark.parametrize("level,status", [("high", 0), ("medium", 0), ("low", 1), ("info", 1), ("none", 0)])
def test_fail_on(program, gate_dir, level, status):
    assert audit(program, "--fail-on", level, gate_dir).returncode == status


def test_baseline_holds_what_is_known(program, gate_dir, tmp_path):
    known = tmp_path / "known.json"
    append(gate_dir / "pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
    known.write_text(audit(program, "--json", gate_dir).stdout, encoding="utf-8")
    assert audit(program, "--baseline", known, "--fail-on", "info", gate_dir).returncode == 0
    rules = gate_dir / "pg_hba.conf"
    rules.write_text("# one line more above\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
    assert audit(program, "--baseline", known, gate_dir).returncode == 0
    append(rules, "host app all 192.168.0.0/16 trust\n")
    found, done = report(program, "--baseline", known, gate_dir)
    assert done.returncode == 1
    new = [f for f in found["findings"] if not f["known"]]
    assert {f["id"] for f in new} == {"trust_from_network", "plaintext_from_network"}
    assert all("192.168.0.0/16" in f["about"] for f in new)


@pytest.mark.parametrize("text,says", [("", "is not a report"), ("[]", "no array"),
                                       ('{"findings": [{"id": "x"}]}', 'no "about"')])
def test_baseline_of_something_else(program, gate_dir, tmp_path, text, says):
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")
    done = audit(program, "--baseline", path, gate_dir)
    assert (done.returncode, done.stdout) == (3, "") and says in done.stderr


def test_mistakes(program, tmp_path):
    assert audit(program).returncode == 2
    assert audit(program, "--fail-on", "awful", tmp_path).returncode == 2
    gone = audit(program, "--json", tmp_path / "nowhere")
    assert gone.returncode == 3 and "does not exist" in gone.stderr
    assert all(point["pass"] is None for point in json.loads(gone.stdout)["checklist"])


def test_broken_rules_are_never_clean(program, gate_dir):
    append(gate_dir / "pg_hba.conf", "hostssl all all all scram\n")
    found, done = report(program, gate_dir)
    broken = [f for f in found["findings"] if f["id"] == "rules_broken"]
    assert done.returncode == 1 and item(found, 3) is False
    assert broken[0]["evidence"] == 'invalid authentication method "scram"'


def test_text_shows_the_checklist_and_no_control_bytes(program, gate_dir):
    append(gate_dir / "pg_hba.conf", 'host all "\x1b[31mred" 10.0.0.0/8 trust\n')
    done = audit(program, "--color", "never", gate_dir)
    assert done.returncode == 1 and "checklist\n" in done.stdout
    assert "\x1b" not in done.stdout and "\\x1b[31mred" in done.stdout
    assert "\x1b[31mhigh" in audit(program, "--color", "always", gate_dir).stdout


def test_several_targets(program, gate_dir, tmp_path):
    other = tmp_path / "other"
    subprocess.run([program, "init", other], check=True, capture_output=True, timeout=60)
    append(other / "pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
    found, done = report(program, gate_dir, other)
    assert done.returncode == 1 and item(found, 3) is False
    assert [t["target"] for t in found["targets"]] == [str(gate_dir), str(other)]
    assert found["targets"][0]["checklist"][2]["pass"] is True
    assert {f["target"] for f in found["findings"] if f["severity"] == "high"} == {str(other)}
    assert os.path.isabs(found["findings"][0]["where"])
