"""
pgseal audit: findings, checklist and exit status for what lies in files.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from lib import pki

HBA = "local all all peer\nhostssl all all all scram-sha-256\n"


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
    assert done.returncode == 3 and done.stdout == "" and says in done.stderr


def test_mistakes(program, tmp_path):
    assert audit(program).returncode == 2
    assert audit(program, "--fail-on", "awful", tmp_path).returncode == 2
    gone = audit(program, "--json", tmp_path / "nowhere")
    assert gone.returncode == 3 and "No such file or directory" in gone.stderr
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


# ---- a server's files ----

class Data:
    """A data directory, as far as an audit reads it; no server ever ran in it."""

    def __init__(self, path, certs, version=17):
        self.path = path
        path.mkdir(mode=0o700)
        self.write("PG_VERSION", f"{version}\n")
        self.write("pg_hba.conf", HBA)
        self.write("pg_ident.conf", "")
        self.write("postgresql.auto.conf", "# Do not edit this file manually!\n")
        self.write("postgresql.conf", "ssl = on\nlisten_addresses = '*'\n")
        leaf = certs.ca.issue("db.example", sans=["db.example"], usage="server")
        pki.write_file(path / "server.crt", leaf.pem())
        pki.write_file(path / "server.key", leaf.key_pem(), 0o600)

    def write(self, name, text, mode=0o600):
        (self.path / name).write_text(text, encoding="utf-8")
        (self.path / name).chmod(mode)


@pytest.fixture
def data(certs, tmp_path):
    return Data(tmp_path / "data", certs)


def severe(found):
    return {f["id"] for f in found["findings"] if f["severity"] in ("high", "medium")}


def test_data_directory(program, data):
    found, done = report(program, data.path)
    assert done.stderr == "" and done.returncode == 0 and severe(found) == set()
    assert found["targets"][0]["kind"] == "server" and found["targets"][0]["version"] == 17
    assert [item(found, i) for i in range(1, 7)] == [True, True, True, None, None, None]
    data.write("pg_hba.conf", HBA + "host all all 127.0.0.1/32 scram-sha-256\nhost all all 10.0.0.0/8 md5\n")
    found, done = report(program, data.path)
    assert done.returncode == 1 and item(found, 3) is False
    plain = [f["where"] for f in found["findings"] if f["id"] == "plaintext_from_network"]
    assert plain == [f"{data.path}/pg_hba.conf:4"]


def test_what_overrides_what(program, data):
    def ssl_place():
        found, _ = report(program, data.path)
        return [f["where"] for f in found["findings"] if f["id"] == "tls_off"]

    assert ssl_place() == []
    data.write("more.conf", "\nSSL = off\n")
    data.write("postgresql.conf", "include 'more.conf'\nlisten_addresses = '*'\n")
    assert ssl_place() == [f"{data.path}/more.conf:2"]
    data.write("postgresql.auto.conf", "ssl = 'on'\n")
    assert ssl_place() == []
    data.write("postmaster.opts", f'/usr/bin/postgres "-D" "{data.path}" "--ssl=off"\n')
    assert ssl_place() == ["ssl"]
    data.write("postmaster.opts", f'/usr/bin/postgres "-D" "{data.path}" "-l"\n')
    data.write("postgresql.auto.conf", "ssl = 'off'\n")
    assert ssl_place() == []


def test_both_halves_find_each_other(program, data, tmp_path):
    conf = tmp_path / "etc"
    conf.mkdir()
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        os.rename(data.path / name, conf / name)
    append(conf / "postgresql.conf", f"data_directory = '{data.path}'\nhba_file = '{conf}/pg_hba.conf'\n"
           f"ident_file = '{conf}/pg_ident.conf'\n")
    append(conf / "pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
    data.write("postmaster.opts", f'postgres "-D" "{data.path}" "-c" "config_file={conf}/postgresql.conf"\n')
    for target in (conf, data.path, conf / "postgresql.conf"):
        found, _ = report(program, target)
        where = [f["where"] for f in found["findings"] if f["id"] == "trust_from_network"]
        assert where == [f"{conf}/pg_hba.conf:3"], target
        assert found["targets"][0]["version"] == 17 and item(found, 2) is True


@pytest.mark.skipif(os.geteuid() != 0, reason="/etc/postgresql is root's")
def test_debian_configuration_is_found_by_itself(program, certs, tmp_path):
    made = Data(tmp_path / "data", certs, version=97)
    parent = "/etc/postgresql/97"
    conf = f"{parent}/pgseal-test"
    os.makedirs(conf)
    try:
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            shutil.move(made.path / name, f"{conf}/{name}")
        append(f"{conf}/postgresql.conf", f"data_directory = '{made.path}'\nhba_file = '{conf}/pg_hba.conf'\n")
        append(f"{conf}/pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
        found, _ = report(program, made.path)
        assert f"{conf}/pg_hba.conf:3" in {f["where"] for f in found["findings"]}
    finally:
        shutil.rmtree(parent)


def test_data_without_configuration_is_not_clean(program, data):
    os.unlink(data.path / "postgresql.conf")
    found, _ = report(program, data.path)
    assert [item(found, i) for i in (1, 2)] == [None, None]
    assert found["targets"][0]["unseen"][0]["what"] == "postgresql.conf"


@pytest.mark.parametrize("name,text,where,says", [
    ("postgresql.conf", "ssl = on\nport = 99999\n", "postgresql.conf:2", "outside the valid range"),
    ("postgresql.conf", "ssl = on\nlisten_addresses = 'loc", "postgresql.conf:2", "syntax error"),
    ("postgresql.conf", "include 'gone.conf'\n", "postgresql.conf:1", "gone.conf"),
    ("postgresql.auto.conf", "ssl = 'maybe'\n", "postgresql.auto.conf:1", "requires a Boolean value"),
])
def test_settings_that_a_server_refuses(program, data, name, text, where, says):
    data.write(name, text)
    found, done = report(program, data.path)
    broken = [f for f in found["findings"] if f["id"] == "settings_broken"]
    assert done.returncode == 1 and [f["where"] for f in broken] == [f"{data.path}/{where}"]
    assert says in broken[0]["evidence"]


def test_rules_are_read_as_their_version_reads_them(program, data):
    data.write("pg_hba.conf", HBA + "host all /^a all scram-sha-256\n")
    data.write("PG_VERSION", "15\n")
    found, _ = report(program, data.path)
    assert "rules_broken" not in ids(found)
    data.write("pg_hba.conf", "hostssl all all all radius radiusservers=127.0.0.1 radiussecrets=x\n")
    assert "rules_broken" not in ids(report(program, data.path)[0])
    data.write("pg_hba.conf", "hostssl all all all oauth issuer=https://x scope=y\n")
    found, _ = report(program, data.path)
    assert "rules_broken" in ids(found) and item(found, 3) is False


def test_missing_rules_are_broken(program, data):
    os.unlink(data.path / "pg_hba.conf")
    found, done = report(program, data.path)
    assert done.returncode == 1 and "rules_broken" in ids(found)


@pytest.mark.parametrize("mode,uid,says", [(0o640, None, "group or world access"), (0o604, None, "group or world"),
                                           (0o600, 65534, "must be owned")])
def test_key_of_a_server(program, data, mode, uid, says):
    key = data.path / "server.key"
    key.chmod(mode)
    if uid:
        if os.geteuid() != 0:
            pytest.skip("only root may give files away")
        os.chown(key, uid, uid)
    found, done = report(program, data.path)
    evidence = [f["evidence"] for f in found["findings"] if f["id"] == "key_permissions"]
    assert done.returncode == 1 and len(evidence) == 1 and says in evidence[0]
    assert item(found, 1) is False


@pytest.mark.skipif(os.geteuid() != 0, reason="root hides files from another user")
def test_what_may_not_be_read_is_said(program, certs):
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        shutil.copy(program, f"{top}/pgseal")
        made = Data(pathlib.Path(top) / "data", certs)
        made.path.chmod(0o755)
        for name in ("postgresql.conf", "pg_ident.conf", "postgresql.auto.conf"):
            os.chmod(made.path / name, 0o644)

        def as_nobody(target):
            return subprocess.run([f"{top}/pgseal", "audit", "--json", target], capture_output=True, text=True,
                                  timeout=60, check=False, user=65534, group=65534, extra_groups=[])

        found = json.loads(as_nobody(made.path).stdout)
        unseen = {u["what"]: u["why"] for u in found["targets"][0]["unseen"]}
        assert unseen[f"{made.path}/pg_hba.conf"] == "Permission denied"
        assert unseen[f"{made.path}/server.key"] == "Permission denied"
        assert item(found, 3) is None and item(found, 1) is None
        made.path.chmod(0o700)
        done = as_nobody(made.path)
        assert done.returncode == 3 and "Permission denied" in done.stderr and "as root" in done.stderr


# ---- single files ----

def test_rules_alone(program, tmp_path):
    path = tmp_path / "some.conf"
    path.write_text("# rules\nhost all all 10.0.0.0/8 scram-sha-256\nhostssl all all ::/0 scram-sha-256\n", encoding="utf-8")
    found, done = report(program, path)
    assert done.returncode == 1 and "plaintext_from_network" in ids(found)
    assert "rule_never_matches" not in ids(found)
    assert [item(found, i) for i in range(1, 7)] == [None, None, False, None, None, None]


def test_certificate_alone(program, certs, tmp_path):
    good = certs.ca.issue("db.example", sans=["db.example"], usage="server")
    pki.write_file(tmp_path / "good.pem", good.pem())
    found, done = report(program, tmp_path / "good.pem")
    assert done.returncode == 0 and item(found, 2) is True and item(found, 1) is None
    pki.write_file(tmp_path / "old.pem", certs.ca.issue("x", valid_from=pki.now() - 9 * pki.DAY,
                                                        valid_to=pki.now() - pki.DAY, usage="server").pem())
    found, done = report(program, tmp_path / "old.pem")
    assert done.returncode == 1 and {"certificate_expired", "certificate_without_names"} <= ids(found)
    pki.write_file(tmp_path / "loose.key", good.key_pem(), 0o644)
    assert "key_permissions" in ids(report(program, tmp_path / "loose.key")[0])
    pki.write_file(tmp_path / "list.pem", certs.ca.crl(last_update=pki.now() - 9 * pki.DAY,
                                                       next_update=pki.now() - pki.DAY))
    assert "crl_expired" in ids(report(program, tmp_path / "list.pem")[0])


def test_other_things_are_no_targets(program, tmp_path):
    (tmp_path / "words.txt").write_text("some words\n", encoding="utf-8")
    for target in (tmp_path / "words.txt", tmp_path, "/dev/null"):
        done = audit(program, target)
        assert (done.returncode, done.stdout) == (3, "") and "pgseal audit: " in done.stderr, target


def test_settings_without_their_server(program, tmp_path):
    """A copy of postgresql.conf: files that it names are elsewhere, which is no finding, and nothing passes for it."""
    (tmp_path / "postgresql.conf").write_text("ssl = on\ndata_directory = '/no/such/place'\n", encoding="utf-8")
    found, _ = report(program, tmp_path / "postgresql.conf")
    assert "certificate_unreadable" not in ids(found) and "rules_broken" not in ids(found)
    assert [item(found, i) for i in (1, 2, 3)] == [None, None, None]
    (tmp_path / "postgresql.conf").write_text("ssl = off\n", encoding="utf-8")
    assert item(report(program, tmp_path / "postgresql.conf")[0], 1) is False
