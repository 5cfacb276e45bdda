"""
pgseal audit: findings, checklist and exit status for what lies in files.
"""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from cryptography.hazmat.primitives import serialization

from lib import pki, run

ROOT = os.path.join(os.path.dirname(__file__), "../..")
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
    # Each of these the operator can end: by a setting, by moving the CA's key, by another OpenSSL.
    assert {f["id"] for f in found["findings"]} <= {"ca_key_on_server", "log_connections_off", "tls_version_12", "http_off",
                                                    "password_without_certificate", "openssl_unsupported", "groups_no_pq"}


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
    assert done.returncode == 1 and "checklist\n" in done.stdout and f"pgseal harden {gate_dir}" in done.stdout
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
    """/etc/postgresql is another one for this program alone: others on the machine read it meanwhile."""
    made = Data(tmp_path / "data", certs, version=97)
    etc = tmp_path / "etc"
    os.makedirs(etc / "97" / "main")
    conf = "/etc/postgresql/97/main"
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        shutil.move(made.path / name, etc / "97" / "main" / name)
    append(etc / "97" / "main" / "postgresql.conf",
           f"data_directory = '{made.path}'\nhba_file = '{conf}/pg_hba.conf'\n")
    append(etc / "97" / "main" / "pg_hba.conf", "host all all 10.0.0.0/8 trust\n")
    os.makedirs("/etc/postgresql", exist_ok=True)
    private = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/postgresql && exec "$@"', str(etc)]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    done = subprocess.run([*private, program, "audit", "--json", str(made.path)], capture_output=True, text=True,
                          check=False)
    found = json.loads(done.stdout)
    assert f"{conf}/pg_hba.conf:3" in {f["where"] for f in found["findings"]}


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


def test_maps_are_read_too(program, data):
    data.write("pg_ident.conf", "m /(a bob\nm alice alice\n")
    found, done = report(program, data.path)
    assert done.returncode == 1
    assert [f["where"] for f in found["findings"] if f["id"] == "rules_broken"] == [f"{data.path}/pg_ident.conf:1"]


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


@pytest.mark.parametrize("name", ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf", "PG_VERSION",
                                  "postmaster.opts", "server.crt", "server.key"])
def test_pipes_are_not_read(program, data, name):
    """A file that never ends must not hold the audit; and nothing passes for it."""
    if (data.path / name).exists():
        os.unlink(data.path / name)
    os.mkfifo(data.path / name, 0o600)
    found, _ = report(program, data.path)
    assert not all(point["pass"] for point in found["checklist"][:3])
    told = {u["what"] for u in found["targets"][0]["unseen"]} | {f["where"] for f in found["findings"]} | {
        f["evidence"] for f in found["findings"]}
    assert any(name in text for text in told)


UTF16 = "host all all all trust\nssl = off\n".encode("utf-16")


@pytest.mark.parametrize("name,content,fires", [
    ("pg_hba.conf", b"host all all all\0 trust\n", "rules_broken"),
    ("pg_hba.conf", b"host all all all trust\r\nlocal all all peer\r\n", "trust_from_network"),     # CRLF is no matter
    ("pg_hba.conf", UTF16, "rules_broken"), ("pg_hba.conf", b"\xef\xbb\xbfhost all all all trust\n", "rules_broken"),
    ("pg_hba.conf", b"host all all all tru", "rules_broken"), ("pg_hba.conf", b"", "rules_broken"),
    ("postgresql.conf", UTF16, "settings_broken"), ("postgresql.conf", b"ssl = on\0\n", "settings_broken"),
    ("postgresql.conf", b"ssl = on\nlisten_addresses = '*", "settings_broken"),
    ("postgresql.conf", b"ssl = off\r\n", "tls_off"), ("postgresql.auto.conf", b"ssl = 'of", "settings_broken"),
    ("server.crt", b"-----BEGIN CERTIFICATE-----\nMIIB", "certificate_unreadable"),
    ("server.crt", UTF16, "certificate_unreadable"), ("server.key", UTF16, "key_unusable")])
def test_files_that_are_half_written_or_no_text(program, data, name, content, fires):
    """As a server would take them; none of them is clean."""
    (data.path / name).write_bytes(content)
    found, done = report(program, data.path)
    assert done.returncode == 1 and fires in ids(found) and not all(item(found, i) for i in (1, 2, 3))


def test_targets_that_are_no_files(program, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("loop", tmp_path / "loop")
    with open(tmp_path / "pg_hba.conf", "wb") as f:
        f.truncate(3 << 30)
    for target, says in (("pipe", "neither a file nor a directory"), ("loop", "symbolic links"), ("pg_hba.conf", "larger than"),
                         ("/dev/zero", "neither a file"), ("/proc/self/mem", "Input/output error"), ("gone", "No such file")):
        done = audit(program, tmp_path / target)
        assert (done.returncode, done.stdout) == (3, "") and says in done.stderr, target


@pytest.mark.parametrize("version,fires", [("9.6", True), ("11", True), ("18", False), ("99", False)])
def test_data_of_another_version(program, data, version, fires):
    data.write("PG_VERSION", version + "\n")
    found, done = report(program, data.path)
    assert ("version_unsupported" in ids(found)) is fires and found["targets"][0]["version"] == int(version.split(".")[0])
    told = {u["what"] for u in found["targets"][0]["unseen"]}
    assert ("PostgreSQL 99" in told) is (version == "99")


@pytest.mark.parametrize("version", ["garbage", "", "15.4\n17"])
def test_data_of_no_version(program, data, version):
    data.write("PG_VERSION", version + "\n")
    found, _ = report(program, data.path)
    if version[:2] != "15":
        assert found["targets"][0]["version"] is None and item(found, 1) is None and item(found, 3) is None


def test_a_file_of_rubbish(program, data):
    data.write("pg_hba.conf", "\x01 rubbish\n" * 20000)
    found, done = report(program, data.path)
    broken = [f for f in found["findings"] if f["id"] == "rules_broken"]
    assert done.returncode == 1 and item(found, 3) is False
    assert len(broken) == 101 and broken[-1]["evidence"] == "19900 more lines are refused"


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


# ---- checks, one by one ----

STRONG = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
          "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305")
QUIET = ("ssl = on\nlisten_addresses = '10.0.0.1'\nlog_connections = on\nlog_disconnections = on\n"
         f"unix_socket_permissions = 0770\nssl_ciphers = '{STRONG}'\nssl_min_protocol_version = 'TLSv1.3'\n")
QUIET_HBA = "local all all peer\nhostssl app shop 10.0.0.0/8 scram-sha-256\nhost all all all reject\n"
# What no file of a server can be without.
ALWAYS = {"fips_off", "groups_no_pq", "crl_required", "method_not_central"}


class Bad:
    """
    One change of a quiet data directory, and the findings it makes.

    conf    more settings. rules   lines above the last one. leaf   makes the server's certificate.
    do      anything else, with the directory and the CA.
    """

    def __init__(self, *fires, conf="", rules="", leaf=None, do=None, version=17, hba=None):
        self.fires, self.conf, self.rules, self.leaf, self.do = set(fires), conf, rules, leaf, do
        self.version, self.hba = version, hba


def hba(rules):
    lines = QUIET_HBA.splitlines(keepends=True)
    return "".join([*lines[:-1], rules, lines[-1]])


def put(path, content, mode=0o600):
    pki.write_file(path, content, mode)


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60).stdout


def chain_of(ca, n):
    made = [ca]
    for i in range(n):
        made.append(pki.Authority(f"Intermediate {i}", signer=made[-1]))
    leaf = made[-1].issue("db.example", sans=["db.example"], usage="server")
    return pki.Cert(leaf.cert, leaf.key, [authority.cert for authority in reversed(made[1:])])


def reordered(ca):
    leaf = chain_of(ca, 2)
    return pki.Cert(leaf.cert, leaf.key, reversed(leaf.chain))


def with_root(ca):
    leaf = ca.issue("db.example", sans=["db.example"], usage="server")
    return pki.Cert(leaf.cert, leaf.key, [ca.cert])


def public_root():
    bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text(encoding="ascii")
    return bundle.split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


PRIMARY = "host=primary.example sslmode=verify-full sslrootcert=/ca.crt"


def key_of(path):
    return serialization.load_pem_private_key(path.read_bytes(), None)


def opts_of(data_dir):
    put(data_dir / "postmaster.opts", f'{data_dir}/postgres "-D" "{data_dir}"\n'.encode())


def program_of(data_dir, content):
    put(data_dir / "postgres", b"\x7fELF\0" + content)
    opts_of(data_dir)


BADS = {
    "quiet": Bad(),
    "half a key": Bad("key_unusable", do=lambda path, _ca: put(path / "server.key", (path / "server.key").read_bytes()[:99])),
    "another key": Bad("key_unusable", do=lambda path, ca: put(path / "server.key", ca.issue("x").key_pem())),
    "no key": Bad("key_unusable", do=lambda path, _ca: os.unlink(path / "server.key")),
    "tls 1.2": Bad("tls_version_12", conf="ssl_min_protocol_version = 'TLSv1.2'\n"),
    "legacy ciphers": Bad("tls_version_12", "ciphers_legacy", "ciphers_dhe",
                          conf="ssl_min_protocol_version = 'TLSv1.2'\nssl_ciphers = 'HIGH:MEDIUM:+3DES:!aNULL'\n"),
    "short parameters": Bad("dh_params_weak", conf="ssl_dh_params_file = 'dh.pem'\n",
                            do=lambda d, ca: put(d / "dh.pem", openssl("dhparam", "-dsaparam", "1024"))),
    "no parameters": Bad("dh_params_weak", conf="ssl_dh_params_file = 'dh.pem'\n",
                         do=lambda d, ca: put(d / "dh.pem", b"nothing\n")),
    "passphrase": Bad("passphrase_blocks_reload", conf="ssl_passphrase_command = 'echo x'\n",
                      do=lambda d, ca: put(d / "server.key", ca.key_pem("x"))),
    "passphrase at reloads": Bad(conf="ssl_passphrase_command_supports_reload = on\n",
                                 do=lambda d, ca: put(d / "server.key", ca.key_pem("x"))),
    "key directory": Bad("key_directory_writable", conf="ssl_key_file = 'open/server.key'\n",
                         do=lambda d, ca: ((d / "open").mkdir(), shutil.copy(d / "server.key", d / "open"),
                                           os.chmod(d / "open" / "server.key", 0o600), os.chmod(d / "open", 0o777))),
    "key of the CA": Bad("ca_key_on_server", conf="ssl_ca_file = 'ca.crt'\n",
                         do=lambda d, ca: (put(d / "ca.crt", ca.pem()), put(d / "ca.key", ca.key_pem()))),
    "key of no CA": Bad(conf="ssl_ca_file = 'ca.crt'\n",
                        do=lambda d, ca: (put(d / "ca.crt", ca.pem()), put(d / "x.key", pki.Authority("x").key_pem()))),
    "common name only": Bad("certificate_cn_only", leaf=lambda ca: ca.issue("db.example", sans=["other.example"], usage="server")),
    "a client's": Bad("certificate_eku", leaf=lambda ca: ca.issue("db.example", sans=["db.example"], usage="client")),
    "ed25519": Bad("certificate_plus_unfit", leaf=lambda ca: pki.Authority("Ed", key="ed25519").issue(
        "db.example", sans=["db.example"], usage="server")),
    "wrong order": Bad("chain_order", leaf=reordered),
    "with root": Bad("chain_has_root", leaf=with_root),
    "long": Bad("chain_long", leaf=lambda ca: chain_of(ca, 3)),
    "ca ends first": Bad("certificate_ca_ends_first", leaf=lambda ca: pki.Authority(
        "short", signer=ca, valid_to=pki.now() + 40 * pki.DAY, valid_from=pki.now() - pki.DAY).issue(
            "db.example", sans=["db.example"], usage="server", valid_to=pki.now() + 80 * pki.DAY)),
    "old ca": Bad("ca_expiring", conf="ssl_ca_file = 'ca.crt'\n",
                  do=lambda d, ca: put(d / "ca.crt", pki.Authority(
                      "old CA", valid_from=pki.now() - 1500 * pki.DAY, valid_to=pki.now() + 360 * pki.DAY).pem())),
    "public ca": Bad("client_ca_is_public", conf="ssl_ca_file = 'ca.crt'\n",
                     do=lambda d, ca: put(d / "ca.crt", public_root().encode())),
    "one ca for all": Bad("client_ca_shared_with_server", "crl_missing", conf="ssl_ca_file = 'ca.crt'\n",
                          rules="hostssl app bob 10.0.0.0/8 scram-sha-256 clientcert=verify-full\n",
                          leaf=lambda ca: ca.issue("db.example", sans=["db.example"], usage="both"),
                          do=lambda d, ca: put(d / "ca.crt", ca.pem())),
    "host beside hostssl": Bad("host_beside_hostssl", "plaintext_from_network",
                               rules="host app shop 10.0.0.0/8 scram-sha-256\n"),
    "rejected twin": Bad("rule_shadowed", hba="hostnossl all all all reject\nhostssl app shop 10.0.0.0/8 scram-sha-256\n"
                         "host app shop 10.0.0.0/8 scram-sha-256\nhost all all all reject\n"),
    "replication": Bad("replication_from_network_open", "any_address", rules="hostssl replication rep all scram-sha-256\n"),
    "replication in order": Bad(rules="hostssl replication rep 10.0.0.2/32 scram-sha-256\n"),
    "ident": Bad("ident_from_network", rules="hostssl app bob 10.0.0.0/8 ident\n"),
    "ident here": Bad(hba="local app bob ident\nhost app bob 127.0.0.1/32 ident\nhost all all all reject\n"),
    "radius": Bad("radius", rules="hostssl app bob 10.0.0.0/8 radius radiusservers=127.0.0.1 radiussecrets=x\n"),
    "ldap": Bad("ldap_in_clear", rules="hostssl app bob 10.0.0.0/8 ldap ldapserver=l ldapprefix=p\n"),
    "ldaps": Bad(rules="hostssl app bob 10.0.0.0/8 ldap ldapserver=l ldapprefix=p ldapscheme=ldaps\n"
                 "hostssl app eve 10.0.0.0/8 ldap ldapserver=l ldapprefix=p ldaptls=1\n"
                 'hostssl app joe 10.0.0.0/8 ldap ldapurl="ldaps://l/dc=x"\n'),
    "clientcert without a CA": Bad("clientcert_impossible", "crl_missing",
                                   rules="hostssl app bob 10.0.0.0/8 scram-sha-256 clientcert=verify-ca\n"),
    "any realm": Bad("gss_any_realm", rules="hostssl app bob 10.0.0.0/8 gss include_realm=0\n"),
    "one realm": Bad(rules="hostssl app bob 10.0.0.0/8 gss include_realm=0 krb_realm=X\n"),
    "superuser": Bad("superuser_from_network", rules="hostssl app postgres 10.0.0.0/8 scram-sha-256\n"),
    "all": Bad("superuser_from_network", "all_all", "any_address", rules="hostssl all all 0.0.0.0/0 scram-sha-256\n"),
    "host name": Bad("hostname_rule", rules="hostssl app bob .example.com scram-sha-256\n"),
    "unmapped": Bad("cn_unmapped", "crl_missing", conf="ssl_ca_file = 'ca.crt'\n", rules="hostssl app bob 10.0.0.0/8 cert\n",
                    do=lambda d, ca: put(d / "ca.crt", ca.pem())),
    "open end": Bad("no_closing_reject", hba="hostssl app shop 10.0.0.0/8 scram-sha-256\n"),
    "disconnections": Bad("log_disconnections_off", conf="log_disconnections = off\n"),
    "listens": Bad("listen_all", conf="listen_addresses = '*'\n"),
    "patient": Bad("auth_timeout_long", conf="authentication_timeout = 2min\n"),
    "data mode": Bad("pgdata_mode", do=lambda d, ca: d.chmod(0o755)),
    "data of the group": Bad(do=lambda d, ca: d.chmod(0o750)),
    "rules for all": Bad("hba_mode", do=lambda d, ca: os.chmod(d / "pg_hba.conf", 0o644)),
    "socket": Bad("socket_mode", conf="unix_socket_permissions = 0777\n"),
    "standby": Bad("connection_unverified", conf="primary_conninfo = 'host=10.0.0.9 sslmode=require'\n"),
    "standby in plaintext": Bad("connection_plaintext", conf="primary_conninfo = 'host=10.0.0.9 password=x'\n"),
    "standby in order": Bad(conf=f"primary_conninfo = '{PRIMARY}'\n"),
    "a server's certificate for a standby": Bad("certificate_client_from_public_ca",
                                                conf=f"primary_conninfo = '{PRIMARY} sslcert=rep.crt'\n",
                                                do=lambda d, ca: put(d / "rep.crt", ca.issue("rep", usage="server").pem())),
    "a standby's certificate": Bad(conf=f"primary_conninfo = '{PRIMARY} sslcert=rep.crt'\n",
                                   do=lambda d, ca: put(d / "rep.crt", ca.issue("rep").pem())),
    "a standby's old certificate": Bad("certificate_expired", conf=f"primary_conninfo = '{PRIMARY} sslcert=rep.crt'\n",
                                       do=lambda d, ca: put(d / "rep.crt", ca.issue(
                                           "rep", valid_from=pki.now() - 9 * pki.DAY, valid_to=pki.now() - pki.DAY).pem())),
    "one key for two": Bad("key_reused", conf=f"primary_conninfo = '{PRIMARY} sslcert=rep.crt'\n",
                           do=lambda d, ca: put(d / "rep.crt", ca.issue("rep", key=key_of(d / "server.key")).pem())),
    "one certificate for two": Bad(conf=f"primary_conninfo = '{PRIMARY} sslcert=both.crt'\n",
                                   leaf=lambda ca: ca.issue("db.example", sans=["db.example"], usage="both"),
                                   do=lambda d, ca: shutil.copy(d / "server.crt", d / "both.crt")),
    "names only": Bad("sni_gap", version=19, conf="ssl_sni = on\n",
                      do=lambda d, ca: put(d / "pg_hosts.conf", "db.example,@more server.crt server.key\n".encode())
                      or put(d / "more", b"a.example b.example\n")),
    "no name only": Bad("sni_gap", version=19, conf="ssl_sni = on\n",
                        do=lambda d, ca: put(d / "pg_hosts.conf", b"/no_sni/ server.crt server.key\n")),
    "strict names": Bad(version=19, conf="ssl_sni = on\n", do=lambda d, ca: put(
        d / "pg_hosts.conf", b"db.example server.crt server.key\n/no_sni/ server.crt server.key\n")),
    "any name": Bad(version=19, conf="ssl_sni = on\nhosts_file = 'hosts'\nssl_cert_file = 'gone.crt'\n",
                    do=lambda d, ca: put(d / "hosts", b"* server.crt server.key\n")),
    "names, and SNI off": Bad(version=19, do=lambda d, ca: put(d / "pg_hosts.conf", b"x server.crt server.key\n")),
    "no name at all": Bad(version=19, conf="ssl_sni = on\n"),
    "a host's old certificate": Bad("certificate_expired", version=19, conf="ssl_sni = on\n", do=lambda d, ca: (
        put(d / "pg_hosts.conf", b"* old.crt old.key\n"),
        old := ca.issue("db.example", sans=["db.example"], usage="server", valid_from=pki.now() - 9 * pki.DAY,
                        valid_to=pki.now() - pki.DAY),
        put(d / "old.crt", old.pem()), put(d / "old.key", old.key_pem()))),
    "a host's other key": Bad("key_unusable", version=19, conf="ssl_sni = on\n", do=lambda d, ca: (
        put(d / "pg_hosts.conf", b"* other.crt server.key\n"),
        put(d / "other.crt", ca.issue("db.example", sans=["db.example"], usage="server").pem()))),
    "a CA for each name": Bad("sni_gap", "crl_missing", version=19, conf="ssl_sni = on\nssl_ca_file = 'ca.crt'\n",
                              rules="hostssl app bob 10.0.0.0/8 scram-sha-256 clientcert=verify-full\n", do=lambda d, ca: (
                                  put(d / "ca.crt", ca.pem()),
                                  put(d / "pg_hosts.conf", b"* server.crt server.key ca.crt\nx server.crt server.key\n"))),
    "half a line": Bad("settings_broken", version=19, conf="ssl_sni = on\n",
                       do=lambda d, ca: put(d / "pg_hosts.conf", b"* server.crt\n")),
    "old minor version": Bad("version_outdated", "openssl_unsupported",
                             do=lambda d, ca: program_of(d, b"postgres (PostgreSQL) 17.2\n\0libssl.so.1.1\0")),
    "old minor version far behind": Bad("version_outdated", do=lambda d, ca: program_of(
        d, b"x" * 65512 + b"postgres (PostgreSQL) 17.10 (Debian 17.10)\n\0libssl.so.99\0".replace(b"17.10", b"17.09"))),
    "a minor version of tomorrow": Bad(do=lambda d, ca: program_of(d, b"postgres (PostgreSQL) 17.99\n\0libssl.so.99\0")),
    "another program": Bad(do=lambda d, ca: program_of(d, b"postgres (PostgreSQL) 16.1\n\0libssl.so.1.1\0")),
    "a program that is a pipe": Bad(do=lambda d, ca: (os.mkfifo(d / "postgres"), opts_of(d))),
    "old version": Bad("version_unsupported", conf="password_encryption = 'scram-sha-256'\n", version=13),
}
# In FIPS mode (tests/unit/audit/test_checks.c), or under a public CA only.
ELSEWHERE = {"fips_ems", "groups_fail_in_fips", "certificate_over_public_limit"}


# Of these, each finding of another machine's connection shows one.
WITNESSED = {"plaintext_from_network", "host_beside_hostssl", "replication_from_network_open", "ident_from_network", "radius",
             "ldap_in_clear", "clientcert_impossible", "gss_any_realm", "any_address", "all_all", "hostname_rule", "cn_unmapped"}


@pytest.mark.parametrize("name", BADS)
def test_check(program, certs, tmp_path, name):
    bad = BADS[name]
    data = Data(tmp_path / "data", certs, version=bad.version)
    data.write("postgresql.conf", QUIET + bad.conf)
    data.write("pg_hba.conf", bad.hba or hba(bad.rules))
    if bad.leaf:
        leaf = bad.leaf(certs.ca)
        put(data.path / "server.crt", leaf.pem())
        put(data.path / "server.key", leaf.key_pem())
    if bad.do:
        bad.do(data.path, certs.ca)
    found, _ = report(program, data.path)
    assert ids(found) - ALWAYS - {"password_without_certificate"} == bad.fires - ALWAYS, found["findings"]
    assert all(f["evidence"] and f["why"] and f["fix"] and f["where"] for f in found["findings"])
    assert all(f["witness"] and f["witness"] in f["evidence"] for f in found["findings"] if f["id"] in WITNESSED)


def under_public(program, certs, *arguments):
    """The report where the tests' CA is a public one."""
    if not run.is_root() or not shutil.which("unshare"):
        pytest.skip("a public CA of one's own takes root and unshare(1)")
    command = f'mount --bind "{certs.ca_file}" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, "sh", program, "audit", "--json", *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no name space of mounts here")
    return json.loads(done.stdout)


@pytest.mark.parametrize("days,fires", [(300, True), (199, False)])
def test_lives_of_public_certificates(program, certs, tmp_path, days, fires):
    """What public CAs may give since 2026-03-15."""
    data = Data(tmp_path / "data", certs)
    begin = max(pki.now() - pki.DAY, datetime.datetime(2026, 3, 16))
    leaf = certs.ca.issue("db.example", sans=["db.example"], usage="server", valid_from=begin,
                          valid_to=begin + days * pki.DAY)
    put(data.path / "server.crt", leaf.pem())
    put(data.path / "server.key", leaf.key_pem())
    assert ("certificate_over_public_limit" in ids(under_public(program, certs, data.path))) is fires
    assert "certificate_over_public_limit" not in ids(report(program, data.path)[0])


def test_a_client_of_a_public_ca(program, certs, tmp_path):
    data = Data(tmp_path / "data", certs)
    append(data.path / "postgresql.conf", f"primary_conninfo = '{PRIMARY} sslcert=rep.crt'\n")
    put(data.path / "rep.crt", certs.ca.issue("rep").pem())
    found = [f["evidence"] for f in under_public(program, certs, data.path)["findings"]
             if f["id"] == "certificate_client_from_public_ca"]
    assert len(found) == 1 and "was issued by a public CA" in found[0]


def test_one_key_on_two_hosts(program, certs, tmp_path):
    one, two, three = (Data(tmp_path / name, certs) for name in ("one", "two", "three"))
    for name in ("server.crt", "server.key"):
        put(two.path / name, (one.path / name).read_bytes())
    found = [f for f in report(program, one.path, two.path, three.path)[0]["findings"] if f["id"] == "key_reused"]
    assert [(f["target"], f["where"]) for f in found] == [(str(two.path), f"{two.path}/server.crt")]
    assert f"{one.path}/server.crt of {one.path}" in found[0]["evidence"]
    assert "key_reused" not in ids(report(program, one.path, three.path)[0])


def of_live_servers():
    """Checks that only a running server, or what it connects to, can fail: test_audit_live.py has them."""
    sources = "".join((pathlib.Path(ROOT) / "src/audit" / name).read_text(encoding="utf-8")
                      for name in ("check_links.c", "check_live.c", "check_roles.c"))
    return {check for name, check, _ in checks() if f"CHECK_{name}" in sources}


def checks():
    """Name, id and subject of every check."""
    text = (pathlib.Path(ROOT) / "tables/checks.def").read_text(encoding="utf-8")
    return re.findall(r'^X\((\w+), "(\w+)", (\w+),', text, re.M)


def test_each_check_of_a_server_has_a_case():
    known = {check for _, check, subject in checks() if subject == "SERVER"}
    fired = set().union(*(bad.fires for bad in BADS.values()))
    assert known - ELSEWHERE - ALWAYS - of_live_servers() <= fired


PROFILES = ["default", "cis", "cis-16", "cis-17", "cis-18", "stig", "pci", "bsi", "mozilla-intermediate", "mozilla-modern"]


def test_profiles_change_severities_and_nothing_else(program, data):
    def facts(profile):
        found, _ = report(program, "--profile", profile, data.path)
        assert found["profile"] == profile
        return sorted((f["id"], f["where"], f["evidence"]) for f in found["findings"]), {
            f["id"]: f["severity"] for f in found["findings"]}

    data.write("pg_hba.conf", "local all all trust\nhostssl all all 10.0.0.0/8 md5\n")
    plain, severities = facts("default")
    seen = {}
    for profile in PROFILES[1:]:
        others, seen[profile] = facts(profile)
        assert others == plain
        assert set(seen[profile].values()) <= {"high", "medium", "low", "info"}
    assert severities["tls_version_12"] == "info" and seen["cis-17"]["tls_version_12"] == "medium"
    assert seen["cis-16"]["tls_version_12"] == "info" and seen["mozilla-modern"]["tls_version_12"] == "medium"
    assert severities["md5_method"] == "medium" and seen["stig"]["md5_method"] == "high"
    assert severities["trust_on_this_machine"] == "medium" and seen["cis"]["trust_on_this_machine"] == "high"
    assert audit(program, "--profile", "iso", data.path).returncode == 2


def test_sources_by_version(program, data):
    def sources(check):
        found, _ = report(program, data.path)
        return next({s["source"]: s for s in f["sources"]} for f in found["findings"] if f["id"] == check)

    data.write("pg_hba.conf", HBA + "host all all 10.0.0.0/8 scram-sha-256\n")
    assert sources("plaintext_from_network")["CIS"] == {"source": "CIS", "edition": "v1.1.0", "number": "5.4", "note": None}
    assert "does not load since PostgreSQL 14" in sources("crl_required")["STIG"]["note"]
    data.write("PG_VERSION", "15\n")
    assert sources("plaintext_from_network")["CIS"]["number"] == "5.2"


def test_edits_are_lines_of_the_files(program, data):
    data.write("pg_hba.conf", HBA + "  host\tall all 10.0.0.0/8 scram-sha-256 # why\n")
    append(data.path / "postgresql.conf", "log_disconnections = off # noise\n")
    found, _ = report(program, data.path)
    edits = {f["id"]: f["edit"] for f in found["findings"] if f["edit"]}
    for edit in edits.values():
        with open(edit["file"], encoding="utf-8") as f:
            lines = f.read().split("\n")
        assert edit["line"] is None or lines[edit["line"] - 1] == edit["before"]
    assert edits["plaintext_from_network"]["after"] == "  hostssl\tall all 10.0.0.0/8 scram-sha-256 # why"
    assert edits["log_disconnections_off"]["before"] == "log_disconnections = off # noise"
    assert edits["log_connections_off"] == {"file": f"{data.path}/postgresql.conf", "line": None, "before": None,
                                            "after": "log_connections = on"}


def test_fixes_of_what_alter_system_wrote(program, data):
    """A line of postgresql.auto.conf is changed by a statement."""
    data.write("postgresql.auto.conf", "log_disconnections = 'off'\nprimary_conninfo = 'host=10.0.0.9 sslmode=require'\n")
    found = {f["id"]: f for f in report(program, data.path)[0]["findings"]}
    assert found["log_disconnections_off"]["edit"] is None
    assert found["log_disconnections_off"]["fix"] == "ALTER SYSTEM SET log_disconnections = on; SELECT pg_reload_conf();"
    assert found["connection_unverified"]["edit"] is None
    assert found["connection_unverified"]["fix"].startswith(
        "ALTER SYSTEM SET primary_conninfo = 'host=10.0.0.9 sslmode=verify-full sslrootcert=CA_FILE';")
    data.write("postgresql.auto.conf", "")
    append(data.path / "postgresql.conf", "primary_conninfo = 'host=10.0.0.9 user=rep'\n")
    edit = {f["id"]: f for f in report(program, data.path)[0]["findings"]}["connection_plaintext"]["edit"]
    assert edit["after"] == "primary_conninfo = 'host=10.0.0.9 user=rep sslmode=verify-full'"


def test_ten_thousand_expressions(program, data):
    """Never clean, never a crash; what is not known is said as possible."""
    rules = "".join(f"host /^db{i}_[0-9]+$ /^u{i}(a|b)*$ 10.{i // 250}.{i % 250}.0/24 scram-sha-256\n" for i in range(10000))
    data.write("pg_hba.conf", rules)
    found, done = report(program, data.path)
    assert done.returncode == 1 and item(found, 3) is False
    assert sum(f["id"] == "plaintext_from_network" for f in found["findings"]) == 10000
