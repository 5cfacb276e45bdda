"""
What the audit says of rules, held against `pgseal explain` and a real PostgreSQL, over generated rule files.

Connections of other machines cannot be made here: the rules of the files are about 10.0.0.0/8, and those that the
server is given about 127.0.0.0/8, with the same bits behind.
"""

import json
import random
import re
import shlex
import subprocess

import pytest

from lib import rules

TYPES = ["host", "hostssl", "hostnossl", "host"]
DATABASES = ["all", "postgres", "app", "postgres,app", "sameuser", "samerole", "replication", "/^app", "/^p.*s$"]
USERS = ["all", "ann", "ben", "ann,ben", "+grp1", "+grp2,ann", "/^a", "/n$", "cat"]
NETS = ["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.1.2.0/24", "10.1.0.0 255.0.255.0", "10.1.2.3/32"]
METHODS = ["trust", "reject", "scram-sha-256", "trust"]
FILES = 25


def generate(dice):
    return "".join(" ".join(map(dice.choice, (TYPES, DATABASES, USERS, NETS, METHODS))) + "\n"
                   for _ in range(dice.randint(2, 8)))


def audit(program, path):
    done = subprocess.run([program, "audit", "--json", "--pg-version", "18", path], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    return json.loads(done.stdout)["findings"]


def line_of(finding):
    return int(finding["where"].rpartition(":")[2])


def client_of(witness):
    words = dict(word.partition("=")[::2] for word in shlex.split(witness))
    replication = words.get("replication")
    return {"unix": False, "source": words["addr"], "tls": words["tls"] != "none", "user": words["user"],
            "database": words.get("dbname", ""), "replication": replication}


def roles_of(finding, text):
    """What the witness needs to be a member of is what its rule says."""
    line = text.splitlines()[line_of(finding) - 1].split()
    roles = [name[1:] for name in line[2].split(",") if name.startswith("+")]
    client = client_of(finding["witness"])
    return {client["user"], *roles, *([client["database"]] if "samerole" in line[1] else [])}


def test_witnesses_are_explained(program, tmp_path):
    """Each witness meets the very line that it is to show, and each covered line meets none."""
    dice, path, seen = random.Random(13), tmp_path / "pg_hba.conf", 0
    for _ in range(FILES):
        text = generate(dice)
        path.write_text(text, encoding="utf-8")
        for finding in audit(program, path):
            if not finding["witness"]:
                continue
            seen += 1
            done = subprocess.run([program, "explain", "--json", "--hba", path, finding["witness"],
                                   "roles=" + ",".join(roles_of(finding, text))],
                                  capture_output=True, text=True, timeout=60, check=False)
            assert json.loads(done.stdout)["matched"]["line"] == line_of(finding), (text, finding)
    assert seen > FILES


@pytest.fixture(scope="module")
def judge(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    return rules.make_judge(factory, distributions["pg18"])


def test_postgres_agrees(program, judge, tmp_path):
    """A witness that needs no membership but the judge's own gets the answer of its line from the server."""
    dice, path, seen = random.Random(18), tmp_path / "pg_hba.conf", 0
    for _ in range(FILES):
        text = generate(dice)
        path.write_text(text, encoding="utf-8")
        witnesses = {}
        for finding in audit(program, path):
            if finding["witness"] and "member of" not in finding["evidence"]:
                witnesses[finding["witness"]] = line_of(finding)
        rules.load(judge, re.sub(r"\b10\.", "127.", text))
        for witness, line in witnesses.items():
            client = client_of(witness)
            client["source"] = re.sub(r"^10\.", "127.", client["source"])
            method = text.splitlines()[line - 1].split()[-1]
            # The administrator's own line comes first.
            expected = ["trust", line + 1] if method == "trust" else [method]
            # samerole is true of a role's own database; a stranger is a member of nothing, not even of himself.
            if "samerole" in text and client["user"] not in rules.ROLES:
                continue
            assert rules.asked_postgres(judge, client) == expected, (text, witness)
            seen += 1
    assert seen > FILES


def test_covered_rules_name_all_that_cover_them(program, tmp_path):
    path = tmp_path / "pg_hba.conf"
    path.write_text("hostssl all all 10.0.0.0/9 scram-sha-256\nhostssl all all 10.128.0.0/9 cert\n"
                    "host app ann 192.168.0.0/16 md5\nhostssl app ann 10.0.0.0/8 reject\n", encoding="utf-8")
    found = [f for f in audit(program, path) if f["id"] == "reject_shadowed"]
    assert [line_of(f) for f in found] == [4]
    assert found[0]["evidence"] == (f"rule 1 at {path}:1 (scram-sha-256) and rule 2 at {path}:2 (cert) together match all its connections first")


def test_what_nobody_can_know_is_possible(program, tmp_path):
    """An expression that no example is known for leaves the finding in place."""
    path = tmp_path / "pg_hba.conf"
    path.write_text("host all /^(x{3}y|[^a-z]z){2}$ 10.0.0.0/8 trust\n", encoding="utf-8")
    found = {f["id"]: f for f in audit(program, path)}
    assert found["trust_from_network"]["witness"] is None
    assert "names that match the rule's expressions" in found["trust_from_network"]["evidence"]


CENSUS_FILES = 8
SOURCES = ["127.1.2.3", "127.1.2.9", "127.1.7.3", "127.5.0.1", "127.200.0.1", None]      # None: the unix socket


def census():
    """Every connection that the files can tell apart, more or less."""
    for source in SOURCES:
        for tls in ([False, True] if source else [False]):
            for user in ("ann", "ben", "cat"):
                for database in ("postgres", "app", "ann"):
                    yield {"unix": source is None, "source": source, "tls": tls, "user": user, "database": database,
                           "replication": None}
                yield {"unix": source is None, "source": source, "tls": tls, "user": user, "database": "",
                       "replication": "true"}
                yield {"unix": source is None, "source": source, "tls": tls, "user": user, "database": "app",
                       "replication": "database"}


def test_nothing_gets_in_unnoticed(program, judge, tmp_path):
    """What the server lets in has a finding at its line; a line that is said to be covered lets nobody in."""
    dice, path, seen = random.Random(7), tmp_path / "pg_hba.conf", 0
    for _ in range(CENSUS_FILES):
        lines = generate(dice).replace("scram-sha-256", "trust").splitlines()
        for _local in range(2):
            words = ["local", *map(dice.choice, (DATABASES, USERS, ["trust", "reject"]))]
            lines.insert(dice.randint(0, len(lines)), " ".join(words))
        text = "\n".join(lines) + "\n"
        path.write_text(text, encoding="utf-8")
        found = {}
        for finding in audit(program, path):
            if finding["where"].startswith(f"{path}:"):
                found.setdefault(line_of(finding), set()).add(finding["id"])
        rules.load(judge, re.sub(r"\b10\.", "127.", text))
        for client in census():
            answer = rules.asked_postgres(judge, client)
            if answer[0] != "trust":
                continue
            seen += 1
            said = found.get(answer[1] - 1, set())       # the administrator's own line comes first
            wanted = "trust_on_this_machine" if client["unix"] else "trust_from_network"
            assert wanted in said and not said & {"rule_shadowed", "reject_shadowed"}, (text, client, answer)
            if not client["unix"] and not client["tls"]:
                assert said & {"plaintext_from_network", "host_beside_hostssl"}, (text, client, answer)
    assert seen > 30 * CENSUS_FILES
