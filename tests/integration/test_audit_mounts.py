"""
Files that are mounted by themselves, as a Secret's `subPath` is: audit and log tell of each.
"""

import json
import os
import subprocess

import pytest

from lib import pki

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
CERTIFICATES = ["a.crt", "a.key", "ca.crt", "b.crt", "b.key", "up.crt", "up.key", "up-ca.crt", "up.crl"]
CONFIGURATION = ["pgseal.conf", "more.conf", "pg_hba.conf", "rules.conf", "users", "pg_ident.conf", "maps.conf", "pg_hosts.conf",
                 "userlist.txt"]


@pytest.fixture(scope="module")
def directory(program, certs, tmp_path_factory):
    path = tmp_path_factory.mktemp("mounts") / "gate"
    subprocess.run([program, "init", path, "--host", "db.example"], check=True, capture_output=True, timeout=60)

    def put(name, content, mode=0o600):
        pki.write_file(os.path.join(path, name), content, mode)

    for name in ("a", "b"):
        made = certs.ca.issue(name + ".example", sans=[name + ".example"], usage="server")
        put(name + ".crt", made.pem())
        put(name + ".key", made.key_pem())
    client = certs.ca.issue("gate")
    put("up.crt", client.pem())
    put("up.key", client.key_pem())
    put("up.crl", certs.ca.crl())
    for name in ("ca.crt", "up-ca.crt"):
        put(name, certs.ca.pem())
    put("pg_hosts.conf", b"a.example a.crt a.key ca.crt\n* b.crt b.key ca.crt\n")
    put("pg_hba.conf", b"include rules.conf\nhostssl all @users all scram-sha-256\n")
    put("rules.conf", b"hostssl all all 10.0.0.0/8 cert map=m\n")
    put("users", b"alice\n")
    put("pg_ident.conf", b"include maps.conf\n")
    put("maps.conf", b"m a a\n")
    put("userlist.txt", b'"alice" "x"\n')
    put("more.conf", f"ssl_sni = on\nauth_source = file\nauth_file = 'userlist.txt'\nupstream_login = 'cert'\n"
        f"upstream = 'host=127.0.0.2 port=1 sslmode=verify-ca sslrootcert={path}/up-ca.crt sslcert={path}/up.crt "
        f"sslkey={path}/up.key sslcrl={path}/up.crl'\n".encode())
    with open(os.path.join(path, "pgseal.conf"), "a", encoding="utf-8") as f:
        f.write("include 'more.conf'\n")
    return path


def mounted(directory, names, *words):
    """What a command says in a mount namespace where each of these files is a mount of its own."""
    script = "".join(f'mount --bind "{directory}/{name}" "{directory}/{name}" && ' for name in names) + 'exec "$@"'
    return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *words], capture_output=True, text=True, timeout=60,
                          check=False)


def found(program, directory, names):
    done = mounted(directory, names, program, "audit", "--json", directory)
    assert done.stdout, done.stderr
    alone = sorted((f["id"], os.path.basename(f["where"])) for f in json.loads(done.stdout)["findings"]
                   if f["id"].endswith("_mounted_alone"))
    return {kind: [name for check, name in alone if check.startswith(kind)] for kind in ("certificate", "configuration")}


def test_each_file_is_told_of_once(program, directory):
    assert found(program, directory, []) == {"certificate": [], "configuration": []}
    assert found(program, directory, CERTIFICATES + CONFIGURATION) == {"certificate": sorted(CERTIFICATES),
                                                                       "configuration": sorted(CONFIGURATION)}


def test_the_log_tells_of_what_is_renewed(program, directory):
    said = mounted(directory, CERTIFICATES, program, "serve", "-D", directory, "--check")
    assert said.returncode == 0, said.stderr
    for name in CERTIFICATES:
        assert f'{name}" is mounted by itself' in said.stderr + said.stdout, (name, said.stderr)
