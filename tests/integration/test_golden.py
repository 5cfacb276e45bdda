"""
tests/golden: *.hba beside *.expect, which says of each connection the line that governs it and its method.

The pairs run through `pgseal explain`, which calls the gate's matcher, and through PostgreSQL 18, whose answer
must be the same.
"""

import glob
import json
import os
import shlex
import subprocess

import pytest

from lib import rules

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
FILES = sorted(glob.glob(os.path.join(GOLDEN, "*.hba")))
USERS_FILE = "ben, \"da ve\"\n+grp2 # and theirs\n"


def cases(path):
    with open(path.removesuffix(".hba") + ".expect", encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                facts, _, answer = line.partition(" -> ")
                yield facts, answer.strip()


def client_of(facts):
    words = dict(word.partition("=")[::2] for word in shlex.split(facts))
    return {"unix": "local" in words, "source": words.get("addr"), "tls": words.get("tls", "none") != "none",
            "user": words["user"], "database": words["dbname"], "replication": words.get("replication")}


@pytest.fixture(scope="module")
def judge(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    return rules.make_judge(factory, distributions["pg18"])


@pytest.mark.parametrize("path", FILES, ids=os.path.basename)
def test_explain(program, path, tmp_path):
    with open(path, encoding="utf-8") as f:
        (tmp_path / "pg_hba.conf").write_text(f.read())
    (tmp_path / "users").write_text(USERS_FILE)
    for facts, expected in cases(path):
        roles = rules.memberships(client_of(facts)["user"])
        done = subprocess.run([program, "explain", "--json", "--hba", str(tmp_path / "pg_hba.conf"), facts,
                               "roles=" + ",".join(f"'{r}'" if " " in r else r for r in roles or [])],
                              capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout)
        matched = answer["matched"]
        assert (f"{matched['line']} {matched['method']}" if matched else "none") == expected, facts
        decision = {"none": "implicit reject"}.get(expected, "reject" if "reject" in expected else "accept")
        assert answer["decision"] == decision, facts
        assert (answer["fix"] is None) == (decision == "accept"), facts
        assert done.returncode == (0 if decision == "accept" else 1), facts


@pytest.mark.parametrize("path", FILES, ids=os.path.basename)
def test_postgres(judge, path):
    with open(path, encoding="utf-8") as f:
        rules.load(judge, f.read())
    for facts, expected in cases(path):
        answer = rules.asked_postgres(judge, client_of(facts))
        if expected == "none" or expected.endswith("reject"):
            text = "no pg_hba.conf entry for" if expected == "none" else "pg_hba.conf rejects"
            assert answer[0] == "refused" and answer[2].startswith(text), f"{facts}: {answer}"
        elif expected.endswith("trust"):
            # The administrator's own line comes before the file's first.
            assert answer == ["trust", int(expected.split()[0]) + 1], facts
        else:
            assert answer == [expected.split()[1]], facts
