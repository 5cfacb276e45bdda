"""
pgseal harden without --apply: what it proposes for files at rest, and that the audit is content with it.
"""

import json
import os
import subprocess

import pytest

from lib import pki

CONF = """# Written by hand: every comment stays.
listen_addresses = '*'    # all of them
ssl = off                 # for now
#log_connections = off
ssl_min_protocol_version = 'TLSv1'\t# as it was
"""
HBA = """# TYPE DATABASE USER ADDRESS METHOD
local   all   all                  peer
host    all   all   127.0.0.1/32   scram-sha-256
host    all   all   10.0.0.0/8     scram-sha-256   # the office
"""


class Data:
    """The files of a server that never ran."""

    def __init__(self, path, conf=CONF, hba=HBA, version=15):
        self.path = path
        path.mkdir(mode=0o700)
        self.write("PG_VERSION", f"{version}\n")
        self.write("pg_ident.conf", "")
        self.write("postgresql.conf", conf)
        self.write("pg_hba.conf", hba)

    def write(self, name, text):
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(text.encode())
        target.chmod(0o600)

    def read(self, name):
        return (self.path / name).read_bytes().decode()


def harden(program, data, *arguments, status=1):
    done = subprocess.run([program, "harden", str(getattr(data, "path", data)), "--json", *arguments], capture_output=True,
                          text=True, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout) if done.stdout else done.stderr


def take(answer):
    """Make the changes as an operator would."""
    for change in answer["changes"]:
        target = change["file"]
        done = subprocess.run(["patch", "--binary", "-s", target], input=change["diff"].encode(), check=False, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        os.chmod(target, 0o600)


def left(answer):
    return {entry["id"]: entry["why"] for entry in answer["left"]}


def findings(program, data):
    done = subprocess.run([program, "audit", "--json", str(data.path)], capture_output=True, text=True, check=False)
    return [f for f in json.loads(done.stdout)["findings"] if f["severity"] in ("high", "medium")]


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def with_pair(certs):
    """A certificate of a CA, so that only settings and rules are wrong."""
    def put(data):
        leaf = certs.ca.issue("db.example", sans=["db.example"], usage="server")
        pki.write_file(data.path / "server.crt", leaf.pem())
        pki.write_file(data.path / "server.key", leaf.key_pem(), 0o600)
        return data
    return put


def test_the_diff_clears_what_was_found(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data"))
    assert {f["id"] for f in findings(program, data)} >= {"tls_off", "plaintext_from_network"}
    answer = harden(program, data)
    take(answer)
    assert findings(program, data) == []
    conf, hba = data.read("postgresql.conf"), data.read("pg_hba.conf")
    assert "ssl = on                 # for now\n" in conf and "# all of them\n" in conf
    assert "#log_connections = off\nlog_connections = on\n" in conf
    assert "ssl_min_protocol_version = 'TLSv1.2'\t# as it was\n" in conf
    assert "hostssl    all   all   10.0.0.0/8     scram-sha-256   # the office\n" in hba
    assert answer["ca_file"] is None                        # the certificate that is there is kept
    again = harden(program, data, status=0)
    assert again["changes"] == []


def test_each_hunk_says_why(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data"))
    done = subprocess.run([program, "harden", str(data.path)], capture_output=True, text=True, check=False)
    heads = [line for line in done.stdout.splitlines() if line.startswith("@@ ")]
    assert len(heads) >= 2 and all(": " in head.split("@@")[2] for head in heads)
    assert "plaintext_from_network: " in done.stdout


def test_carriage_returns_and_a_missing_line_end_stay(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", CONF.replace("\n", "\r\n"), HBA.rstrip("\n").replace("\n", "\r\n")))
    take(harden(program, data))
    conf, hba = data.read("postgresql.conf"), data.read("pg_hba.conf")
    assert conf.count("\r\n") == conf.count("\n") and not hba.endswith("\n")
    assert "hostssl    all   all   10.0.0.0/8" in hba and hba.count("\r\n") == hba.count("\n")
    assert findings(program, data) == []


def test_a_certificate_of_its_own_ca_where_there_is_none(program, tmp_path):
    answer = harden(program, Data(tmp_path / "data"), "--host", "db.example")
    state = str(tmp_path / "pgseal-data")                   # beside PGDATA: no base backup takes the key along
    assert answer["state"] == state and answer["ca_file"] == state + "/ca.crt"
    diff = "".join(change["diff"] for change in answer["changes"])
    assert f"+ssl_cert_file = '{state}/private/server.crt'" in diff and "ssl_ca_file" not in diff
    assert f"host=db.example port=5432 dbname=DATABASE user=USER sslmode=verify-full sslrootcert={state}/ca.crt" == \
        answer["needs"]["libpq"]
    assert not os.path.exists(state)                        # nothing is written


def test_a_certificate_of_another_ca_is_kept_and_its_missing_name_told(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data"))
    for host, told in (("db.example", False), ("other.example", True)):
        done = subprocess.run([program, "harden", str(data.path), "--host", host], capture_output=True, text=True, check=False)
        assert ("lacks a name" in done.stdout) is told and "ssl_cert_file" not in done.stdout


def test_what_overrides_is_edited_where_it_is(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", "ssl = on\ninclude_dir = 'conf.d'\nlisten_addresses = '*'\n"))
    data.write("conf.d/10-tls.conf", "ssl_min_protocol_version = 'TLSv1'  # printers\n")
    data.write("postgresql.auto.conf", "ssl = 'off'\n")
    data.write("postmaster.opts", f'postgres "-D" "{data.path}" "-c" "log_disconnections=off"\n')
    answer = harden(program, data)
    files = {os.path.basename(change["file"]): change["diff"] for change in answer["changes"]}
    assert "-ssl = 'off'\n+ssl = on\n" in files["postgresql.auto.conf"]
    assert "+ssl_min_protocol_version = 'TLSv1.2'  # printers\n" in files["10-tls.conf"]
    assert "command line" in left(answer)["log_disconnections_off"]
    take(answer)
    assert findings(program, data) == []


def test_settings_in_a_file_of_their_own(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", "ssl = on\nssl_min_protocol_version = 'TLSv1'\nlisten_addresses = '*'\n"
                          "include_dir = 'conf.d'\n"))
    data.write("conf.d/50-own.conf", "work_mem = '8MB'\n")
    answer = harden(program, data, "--conf-d")
    new = [change for change in answer["changes"] if change["is_new"]]
    assert [change["file"] for change in new] == [str(data.path / "conf.d/99-pgseal.conf")]
    assert "+ssl_min_protocol_version = 'TLSv1.2'\n" in new[0]["diff"] and "+log_connections = on\n" in new[0]["diff"]
    assert not any(change["file"].endswith("postgresql.conf") for change in answer["changes"])
    take(answer)
    assert findings(program, data) == []


def test_a_file_of_their_own_that_does_not_count(program, with_pair, tmp_path):
    """A line behind the include wins: it is edited where it stands."""
    data = with_pair(Data(tmp_path / "data", "include_dir = 'conf.d'\nssl = on\nssl_min_protocol_version = 'TLSv1'\n"
                          "listen_addresses = '*'\n"))
    data.write("conf.d/50-own.conf", "work_mem = '8MB'\n")
    take(harden(program, data, "--conf-d"))
    assert "ssl_min_protocol_version = 'TLSv1.2'" in data.read("postgresql.conf")
    assert findings(program, data) == []
    assert "no include_dir" in harden(program, with_pair(Data(tmp_path / "other")), "--conf-d")


def test_alter_system(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data"))
    data.write("postgresql.auto.conf", "# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n"
               "work_mem = '8MB'\n")
    answer = harden(program, data, "--alter-system")
    auto = [change for change in answer["changes"] if change["file"].endswith("postgresql.auto.conf")][0]
    statements = auto["alter_system"].splitlines()
    assert any(line.startswith("ALTER SYSTEM SET ssl = 'on';") for line in statements)
    assert not any(change["file"].endswith("postgresql.conf") for change in answer["changes"])
    take(answer)
    assert data.read("postgresql.auto.conf").count("work_mem = '8MB'") == 1
    assert findings(program, data) == []


def test_only_and_keep(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", CONF.replace("ssl = off", "ssl = on")))
    only = harden(program, data, "--only", "plaintext_from_network")
    assert [os.path.basename(change["file"]) for change in only["changes"]] == ["pg_hba.conf"]
    keep = harden(program, data, "--keep", "plaintext_from_network", "--keep", "host_beside_hostssl")
    assert [os.path.basename(change["file"]) for change in keep["changes"]] == ["postgresql.conf"]
    info = harden(program, data, "--only", "no_closing_reject")
    assert "reject" in info["changes"][0]["diff"]
    assert "no finding" in harden(program, data, "--only", "nothing", status=2)


@pytest.mark.parametrize("choice", [("--only", "plaintext_from_network"), ("--keep", "tls_off")])
def test_tls_is_not_demanded_where_it_stays_off(program, with_pair, tmp_path, choice):
    data = with_pair(Data(tmp_path / "data"))
    answer = harden(program, data, *choice, status=0 if choice[0] == "--only" else 1)
    assert "nobody could connect" in left(answer)["plaintext_from_network"]
    assert not any(change["file"].endswith("pg_hba.conf") for change in answer["changes"])


def test_tls_is_not_demanded_of_a_server_started_without(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data"))
    data.write("postmaster.opts", f'postgres "-D" "{data.path}" "-c" "ssl=off"\n')
    answer = harden(program, data)
    assert "-c ssl=off" in left(answer)["plaintext_from_network"] and "command line" in left(answer)["tls_off"]
    assert not any(change["file"].endswith("pg_hba.conf") for change in answer["changes"])


def test_programs_of_this_machine_go_on(program, with_pair, tmp_path):
    """A rule for everybody takes loopback too; that part keeps its line."""
    data = with_pair(Data(tmp_path / "data", hba="local all all peer\nhost all all all scram-sha-256\n"))
    take(harden(program, data))
    assert lines(data.read("pg_hba.conf")) == [
        "local all all peer", "host all all 127.0.0.1/32 scram-sha-256", "host all all ::1/128 scram-sha-256",
        "hostssl all all all scram-sha-256"]
    assert findings(program, data) == []


def test_a_twin_goes_and_a_mask_stays(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", hba="hostssl all all 10.0.0.0 255.0.0.0 scram-sha-256\n"
                          "host all all 10.0.0.0 255.0.0.0 scram-sha-256\nhost app all 192.168.0.0 255.255.0.0 "
                          "scram-sha-256\n"))
    take(harden(program, data))
    assert lines(data.read("pg_hba.conf")) == ["hostssl all all 10.0.0.0 255.0.0.0 scram-sha-256",
                                               "hostssl app all 192.168.0.0 255.255.0.0 scram-sha-256"]


def test_methods_are_left_where_passwords_were_not_seen(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", hba="local all all trust\nhostssl all all 10.0.0.0/8 md5\n"))
    answer = harden(program, data)
    assert "--conninfo" in left(answer)["md5_method"] and "--conninfo" in left(answer)["trust_on_this_machine"]
    take(answer)
    assert lines(data.read("pg_hba.conf")) == ["local all all trust", "hostssl all all 10.0.0.0/8 md5"]


def test_a_record_of_several_lines_is_told(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", hba="local all all peer\nhost all all \\\n  10.0.0.0/8 scram-sha-256\n"))
    answer = harden(program, data)
    assert "spans several lines" in left(answer)["plaintext_from_network"]


def test_included_rules_are_edited_in_their_file(program, with_pair, tmp_path):
    data = with_pair(Data(tmp_path / "data", hba="local all all peer\ninclude office.conf\n", version=16))
    data.write("office.conf", "host all all 10.0.0.0/8 scram-sha-256\n")
    take(harden(program, data))
    assert data.read("office.conf") == "hostssl all all 10.0.0.0/8 scram-sha-256\n"
    assert data.read("pg_hba.conf") == "local all all peer\ninclude office.conf\n"


@pytest.mark.parametrize("name,text,says", [
    ("postgresql.conf", "# Do not edit this file manually!\n# It will be overwritten by Patroni!\nssl = 'off'\n",
     "patronictl edit-config"),
    ("patroni.dynamic.json", "{}", "patronictl edit-config"),
    ("pg_hba.conf", "# Do not edit this file manually!\n# It will be overwritten by Patroni!\n" + HBA, "patronictl edit-config"),
    ("postgresql.conf", "ssl = on\ncnpg.config_sha256 = 'x'\n", "kubectl edit cluster"),
])
def test_files_of_others_are_refused(program, tmp_path, name, text, says):
    data = Data(tmp_path / "data")
    data.write(name, text)
    for more in ((), ("--apply",)):
        assert says in harden(program, data, *more, status=1)


def test_ansible_is_named(program, tmp_path):
    data = Data(tmp_path / "data", "# Ansible managed\n" + CONF)
    done = subprocess.run([program, "harden", str(data.path)], capture_output=True, text=True, check=False)
    assert "Ansible writes them" in done.stdout


def test_files_that_a_server_refuses_come_first(program, tmp_path):
    data = Data(tmp_path / "data", hba="host all all 10.0.0.0/8\n")
    says = harden(program, data, status=1)
    assert "pg_hba.conf:1" in says and "correct them first" in says
    assert "neither a gate's directory nor a server's" in harden(program, str(tmp_path), status=3)
