"""
pgseal audit of the client's side: connection strings as each driver reads them, and files in which they stand.
"""

import json
import os
import subprocess

import psycopg
import pytest

PLAIN, UNVERIFIED, NAME = "connection_plaintext", "connection_unverified", "connection_name_unverified"


def audit(program, *targets, env=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return subprocess.run([program, "audit", "--json", *targets], capture_output=True, text=True, timeout=60, check=False,
                          env={**clean, "HOME": "/nonexistent", **(env or {})})


def report(program, *targets, env=None):
    done = audit(program, *targets, env=env)
    assert done.stdout and not done.stderr, done.stderr
    return json.loads(done.stdout), done


def verdict(found):
    """What is unsure about connections, worst first."""
    return [f["id"] for f in found["findings"] if f["id"] in (PLAIN, UNVERIFIED, NAME)]


def by_id(found, name):
    return [f for f in found["findings"] if f["id"] == name]


# The string, --driver, what the audit says. As read in each driver's code (tables/drivers.def).
STRINGS = [
    ("postgresql://u@db.example/d", None, PLAIN),
    ("postgresql://u@db.example/d?sslmode=require", None, UNVERIFIED),
    ("postgresql://u@db.example/d?sslmode=require&sslrootcert=/ca.crt", None, NAME),
    ("postgresql://u@db.example/d?sslmode=verify-ca", None, NAME),
    ("postgresql://u@db.example/d?sslmode=verify-full", None, None),
    ("postgresql://u@db.example/d?sslrootcert=system", None, None),
    ("host=db.example sslmode=allow", None, PLAIN),
    ("host=/run/postgresql sslmode=disable", None, None),
    ("jdbc:postgresql://db.example/d", None, PLAIN),
    ("jdbc:postgresql://db.example/d?ssl=true", None, None),
    ("jdbc:postgresql://db.example/d?sslmode=require&sslrootcert=/ca.crt", None, UNVERIFIED),
    ("jdbc:postgresql://db.example/d?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", None, UNVERIFIED),
    ("r2dbc:postgresql://db.example/d", None, PLAIN),
    ("r2dbc:postgresql://db.example/d?sslMode=verify_full", None, None),
    ("Host=db.example;Username=u;SSL Mode=Require", None, UNVERIFIED),
    ("Host=db.example;Username=u;SSL Mode=VerifyCA", None, NAME),
    ("Host=db.example;Username=u", None, PLAIN),
    ("postgresql+asyncpg://u@db.example/d?ssl=require", None, UNVERIFIED),
    ("postgresql+pg8000://u@db.example/d?sslmode=verify-full", None, UNVERIFIED),
    ("postgresql+psycopg://u@db.example/d?sslmode=verify-full", None, None),
    ("ecto://u@db.example/d", None, PLAIN),
    ("ecto://u@db.example/d?ssl=true", None, None),
    ("postgres://u@db.example/d", "node", PLAIN),
    ("postgres://u@db.example/d?sslmode=require", "node", None),
    ("postgres://u@db.example/d?sslmode=prefer", "node", None),
    ("postgres://u@db.example/d?sslmode=no-verify", "node", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=require&uselibpqcompat=true", "node", UNVERIFIED),
    ("postgres://u@db.example/d", "lib/pq", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=require&sslrootcert=/ca.crt", "lib/pq", NAME),
    ("postgres://u@db.example/d?sslmode=require&sslrootcert=/ca.crt", "pgx", NAME),
    ("postgres://u@db.example/d?sslmode=require", "crystal-pg", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=verify-full", "crystal-pg", PLAIN),    # only the word require insists
    ("postgres://u@db.example/d", "postgres.js", PLAIN),
    ("postgres://u@db.example/d?sslmode=require", "tokio-postgres", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=require", "sqlx", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=verify-ca", "npgsql", NAME),
    ("postgres://u@db.example/d", "deno", PLAIN),
    ("postgres://u@db.example/d?sslmode=prefer", "deno", PLAIN),
    ("postgres://u@db.example/d?ssl=true", "deno", None),
    ("postgres://u@db.example/d?sslmode=verify-ca", "deno", None),
    ("postgres://u@db.example/d?ssl=true", "postgresnio", PLAIN),
    ("postgres://u@db.example/d?sslmode=require", "vapor", None),
    ("postgres://u@db.example/d?sslmode=verify-ca", "postgresjs", None),
    ("postgres://u@db.example/d?sslmode=verify-ca", "dart", None),
    ("ecto://u@db.example/d?sslmode=verify-full", None, PLAIN),                # Ecto's URLs know ssl only
    # ... and of versions.
    ("postgres://u@db.example/d?sslrootcert=system", "libpq@15", PLAIN),
    ("postgres://u@db.example/d?sslrootcert=system", "libpq@16.4", None),
    ("jdbc:postgresql://db.example/d?ssl=true", "pgjdbc@42.2.4", NAME),
    ("jdbc:postgresql://db.example/d?ssl=true", "pgjdbc@42.2.5", None),
    ("jdbc:postgresql://db.example/d", "jdbc@42.2.4", PLAIN),
    ("Host=db.example;Username=u;SSL Mode=Require", "npgsql@5.0.1", None),
    ("Host=db.example;Username=u;SSL Mode=Require;Root Certificate=/ca.crt", "npgsql@5", NAME),
    ("Host=db.example;Username=u;SSL Mode=Require;Trust Server Certificate=true", "npgsql@5", UNVERIFIED),
    ("Host=db.example;Username=u;SSL Mode=Require", "npgsql@6", UNVERIFIED),
    ("Host=db.example;Username=u;SSL Mode=VerifyFull", "npgsql@8.0", None),
    ("postgres://u@db.example/d?sslrootcert=system", "pgx@5.6.9", PLAIN),
    ("postgres://u@db.example/d?sslrootcert=system", "pgx@5.7", None),
    ("postgres://u@db.example/d?sslrootcert=system&sslmode=require", "pgx@v5.10.0", None),
    ("postgres://u@db.example/d?sslmode=require&sslrootcert=/ca.crt", "pgx@4.18", NAME),
    ("postgres://u@db.example/d", "lib/pq@1.12.3", UNVERIFIED),
    ("postgres://u@db.example/d", "lib/pq@1.13", PLAIN),
    ("postgres://u@db.example/d?sslrootcert=system", "lib/pq@1.12.3", None),
    ("postgres://u@db.example/d?sslrootcert=system", "lib/pq@1.10.7", NAME),
    ("postgres://u@db.example/d?ssl=true", "node@7.18", UNVERIFIED),
    ("postgres://u@db.example/d?ssl=true", "node@8", None),
    ("postgres://u@db.example/d?sslmode=verify-full", "node@8.3.3", PLAIN),
    ("postgres://u@db.example/d?sslmode=require", "node@9.0.0-rc1", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=prefer", "node@9", UNVERIFIED),
    ("postgres://u@db.example/d?ssl=no-verify", "node", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=require", "prisma@6.19", UNVERIFIED),
    ("postgres://u@db.example/d?sslmode=require", "prisma@7", None),
    ("postgres://u@db.example/d", "asyncpg@0.21", PLAIN),
    ("ecto://u@db.example/d?ssl=true", "postgrex@0.20", UNVERIFIED),
    ("ecto://u@db.example/d?ssl=true", "postgrex@0.21.1", None),
]


@pytest.mark.parametrize("text,driver,says", STRINGS)
def test_strings(program, text, driver, says):
    found, done = report(program, *(["--driver", driver] if driver else []), text)
    assert verdict(found) == ([says] if says else [])
    assert done.returncode == (1 if says else 0)
    target = found["targets"][0]
    assert target["kind"] == "client" and target["checklist"][3]["pass"] is (says is None)
    assert all(target["checklist"][i]["pass"] is None for i in (0, 1, 2, 4, 5))


@pytest.mark.parametrize("driver", ["nodes", "node@", "node@x", "node@8.", "node@1.2.3.4", "@8", "node@-1", "node@99999"])
def test_drivers_that_are_none(program, driver):
    done = audit(program, "--driver", driver, "postgres://u@db.example/d")
    assert done.returncode == 2 and f'"{driver}"' in done.stderr


@pytest.mark.parametrize("text,driver,says", [
    ("postgres://u@db.example/d?sslmode=require", "node", "version 9"),
    ("postgres://u@db.example/d", "lib/pq", "1.12"),
    ("postgres://u@db.example/d?sslmode=require", "lib/pq", None),
    ("postgres://u@db.example/d?sslmode=verify-full", "node", None)])
def test_drivers_that_change(program, text, driver, says):
    found, _done = report(program, "--driver", driver, text)
    assert [says in f["evidence"] for f in by_id(found, "connection_changes")] == ([True] if says else [])


def test_environment_service_and_root_file_count(program, tmp_path, certs):
    """As libpq looks them up: text, service file, environment, defaults; a root.crt turns require into verify-ca."""
    services = tmp_path / "services.conf"
    services.write_text("[safe]\nhost=db.example\nsslmode=verify-full\n", encoding="utf-8")
    assert verdict(report(program, "host=db.example", env={"PGSSLMODE": "verify-full"})[0]) == []
    assert verdict(report(program, "service=safe", env={"PGSERVICEFILE": str(services)})[0]) == []
    found, _done = report(program, "service=safe sslmode=require", env={"PGSERVICEFILE": str(services)})
    assert verdict(found) == [UNVERIFIED]
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    (home / ".postgresql" / "root.crt").write_bytes(open(certs.ca_file, "rb").read())
    assert verdict(report(program, "host=db.example sslmode=require", env={"HOME": str(home)})[0]) == [NAME]
    gone = audit(program, "service=nowhere", env={"PGSERVICEFILE": str(services)})
    assert gone.returncode == 3 and "nowhere" in gone.stderr


def test_libpq_agrees(program, kind, server_factory, certs, tmp_path):
    """What the audit calls sure and unsure, libpq does, against a server of another CA and without TLS."""
    if kind == "gate":
        pytest.skip("PostgreSQL judges")
    hba = "host all all all trust\n"
    sealed = server_factory(kind, hba=hba, tls={"cert": certs.foreign.issue("other.example", sans=["other.example"])})
    open_one = server_factory(kind, hba=hba)
    for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
        text = f"sslmode={mode} sslrootcert={certs.ca_file}"
        says = verdict(report(program, f"host=db.example {text}")[0])

        def connects(server, text=text):
            try:
                psycopg.connect(f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres {text}").close()
                return True
            except psycopg.OperationalError:
                return False
        assert connects(open_one) is (says == [PLAIN])
        assert connects(sealed) is (says == [PLAIN]), mode       # with a root certificate require verifies the chain


# ---- processes ----

def sleeping(*arguments, **env):
    """A process with these arguments and this environment."""
    return subprocess.Popen(["sh", "-c", "read -r _", "sh", *arguments], stdin=subprocess.PIPE,
                            env={"PATH": os.environ["PATH"], **env})


def ended(process):
    process.communicate(b"\n", timeout=30)


@pytest.mark.parametrize("arguments,env,says", [
    ((), {"PGPASSWORD": "very-secret", "PGHOST": "db.example", "PGSSLMODE": "verify-full"}, {"password_in_env"}),
    ((), {"DATABASE_URL": "postgres://u:very-secret@db.example/d", "X": "a\nPGPASSWORD=y"}, {PLAIN}),
    ((), {"PGPORT": "5433", "PGDATA": "/x", "PASSWORD": "y"}, set()),
    (("postgresql://u:very-secret@db.example/d?sslmode=verify-full",), {}, {"password_in_argv"}),
    (("--dbname=host=db.example user=u password=very-secret sslmode=require",), {}, {"password_in_argv", UNVERIFIED}),
    (("postgresql://u@db.example/d?sslmode=verify-full", "user=x", "password=y", "a=b"), {}, set()),
    (("PGPASSWORD=very-secret psql",), {}, {"password_in_argv"})])
def test_one_process(program, arguments, env, says):
    process = sleeping(*arguments, **env)
    try:
        found, done = report(program, f"/proc/{process.pid}")
        assert {f["id"] for f in found["findings"]} == says and "very-secret" not in done.stdout
        assert all(f["where"].startswith(f"process {process.pid} (sh), ") for f in found["findings"])
        assert found["targets"][0]["kind"] == "client"
    finally:
        ended(process)


def test_all_processes(program, tmp_path):
    """What many processes inherit is told once; what others hide is said, and one that ends is none."""
    for pid, name in (("11", "worker"), ("12", "worker"), ("13", "other"), ("x", "none"), ("self", "self")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(name + "\n", encoding="utf-8")
        (tmp_path / pid / "environ").write_bytes(b"PGPASSWORD=very-secret\0PGHOST=db.example\0")
        (tmp_path / pid / "cmdline").write_bytes(b"prog\0" + b"\xff" * 9)
    (tmp_path / "14").mkdir()
    found, done = report(program, tmp_path)
    assert len(by_id(found, "password_in_env")) == 2 and len(by_id(found, PLAIN)) == 2 and "very-secret" not in done.stdout
    assert audit(program, "/proc").returncode in (0, 1)


# ---- files ----

def write(tmp_path, name, text, mode=0o600):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_service_file(program, tmp_path):
    path = write(tmp_path, "pg_service.conf", "# ours\n[one]\nhost=db.example\nsslmode=require\npassword=very-secret\n\n"
                                              "[two]\nhost=db.example\nsslmode=verify-full\n[three]\nservice=one\n")
    found, done = report(program, path)
    assert [f["where"] for f in by_id(found, UNVERIFIED)] == [f"{path}:2"]
    assert [f["where"] for f in by_id(found, "password_in_service_file")] == [f"{path}:2"]
    assert "very-secret" not in done.stdout
    assert "nested service" in found["targets"][0]["unseen"][-1]["why"] and found["checklist"][3]["pass"] is False
    path.chmod(0o644)
    assert len(by_id(report(program, path)[0], "password_readable")) == 1


def test_env_file(program, tmp_path):
    path = write(tmp_path, ".env", "# x\nexport DATABASE_URL=\"postgres://u:very-secret@db.example/d?sslmode=no-verify\" # y\n"
                                   "OTHER='postgres://u@other.example/d'\nPGHOST=third.example\nPGSSLMODE=verify-ca\n"
                                   "REDIS_URL=redis://x\n")
    found, done = report(program, path)
    assert [f["where"] for f in by_id(found, UNVERIFIED)] == [f"{path}:2"]
    assert sorted(f["where"] for f in by_id(found, NAME)) == [f"{path}:3", f"{path}:5"]     # PGSSLMODE counts for OTHER
    assert "very-secret" not in done.stdout
    assert verdict(report(program, "--driver", "node", path)[0]) == [PLAIN, UNVERIFIED, NAME]


def test_passwords_of_the_environment_and_password_files(program, tmp_path):
    path = write(tmp_path, ".bashrc", "alias x=y\nexport PGPASSWORD=very-secret\n")
    found, done = report(program, path)
    assert [f["where"] for f in by_id(found, "password_in_env")] == [f"{path}:2"] and "very-secret" not in done.stdout
    passfile = write(tmp_path, ".pgpass", "*:*:*:*:very-secret\n", 0o640)
    found, done = report(program, passfile)
    assert "0640" in by_id(found, "passfile_permissions")[0]["evidence"] and "very-secret" not in done.stdout
    passfile.chmod(0o600)
    found, done = report(program, passfile)
    assert not found["findings"] and found["checklist"][3]["pass"] is None


def test_pgbouncer(program, tmp_path):
    path = write(tmp_path, "pgbouncer.ini", "[databases]\napp = host=10.0.0.5 dbname=app\nhere = dbname=x\n"
                                            "[pgbouncer]\nlisten_addr = *\nauth_type = trust\n"
                                            "client_tls_sslmode = allow\n%include more.ini\n")
    found, _done = report(program, path)
    assert [f["where"] for f in by_id(found, PLAIN)] == [f"{path}:2"]
    assert [f["where"] for f in by_id(found, "pooler_plaintext")] == [f"{path}:7"]
    assert [f["where"] for f in by_id(found, "pooler_auth_weak")] == [f"{path}:6"]
    assert f"{path}:8" in {u["what"] for u in found["targets"][0]["unseen"]}
    write(tmp_path, "pgbouncer.ini", "[databases]\napp = host=10.0.0.5 dbname=app\n[pgbouncer]\nlisten_addr = *\n"
                                     "auth_type = scram-sha-256\nclient_tls_sslmode = require\n"
                                     "server_tls_sslmode = verify-full\nserver_tls_ca_file = /ca.crt\n")
    found, done = report(program, path)
    assert done.returncode == 0 and found["checklist"][3]["pass"] is True
    write(tmp_path, "pgbouncer.ini", "[databases]\n[pgbou")
    half = report(program, path)[0]
    assert [u["what"] for u in half["targets"][0]["unseen"]][-1] == f"{path}:2" and half["checklist"][3]["pass"] is None
    assert ("client_file_broken", f"{path}:2") in {(f["id"], f["where"]) for f in half["findings"]}
    write(tmp_path, "pgbouncer.ini", "[databases]\n[pgbouncer]\nlisten_addr = *\n")
    assert "disable" in by_id(report(program, path)[0], "pooler_plaintext")[0]["evidence"]      # the default


PATRONI = """scope: main
restapi:
  listen: 0.0.0.0:8008
etcd3:
  hosts: [a:2379, b:2379]
postgresql:
  connect_address: 10.0.0.1:5432
  authentication:
    replication:
      username: replicator
      password: very-secret
    rewind: {username: rewinder, sslmode: verify-full}
ctl:
  insecure: true
"""


def test_patroni(program, tmp_path):
    path = write(tmp_path, "patroni.yml", PATRONI)
    found, done = report(program, path)
    assert [f["where"] for f in by_id(found, PLAIN)] == [f"{path}:10"] and "very-secret" not in done.stdout
    for name in ("patroni_api_plaintext", "patroni_api_open", "patroni_store_unverified", "patroni_ctl_insecure"):
        assert len(by_id(found, name)) == 1, name
    assert by_id(found, "patroni_ctl_insecure")[0]["where"] == f"{path}:14"
    sealed = PATRONI.replace("8008\n", "8008\n  certfile: /c\n  verify_client: required\n").replace(
        "  hosts:", "  protocol: https\n  cacert: /ca\n  hosts:").replace(
        "very-secret\n", "x\n      sslmode: verify-full\n").replace("insecure: true", "insecure: false")
    assert report(program, write(tmp_path, "patroni.yml", sealed))[1].returncode == 0
    broken = report(program, write(tmp_path, "patroni.yml", PATRONI + "  - [\n"))[0]
    assert any("not YAML" in u["why"] for u in broken["targets"][0]["unseen"])
    assert [f["where"] for f in by_id(broken, "client_file_broken")] == [str(path)]


@pytest.mark.parametrize("store,fires", [
    ("consul:\n  host: c:8501\n", "without TLS"), ("consul:\n  scheme: https\n", None),
    ("consul:\n  url: https://c:8501\n", None), ("consul:\n  url: http://c:8500\n", "without TLS"),
    ("consul:\n  scheme: https\n  verify: false\n", "verify is off"),
    ("zookeeper:\n  hosts: [z:2181]\n", "without TLS"), ("zookeeper:\n  use_ssl: true\n", None),
    ("zookeeper:\n  use_ssl: true\n  verify: no\n", "verify is off"),
    ("etcd:\n  protocol: https\n", "no cacert"), ("etcd:\n  url: https://e:2379\n  cacert: /ca\n", None)])
def test_stores_of_patroni(program, tmp_path, store, fires):
    path = write(tmp_path, "patroni.yml", "postgresql:\n  authentication: {}\n" + store)
    found = by_id(report(program, path)[0], "patroni_store_unverified")
    assert [fires in f["evidence"] for f in found] == ([True] if fires else [])


@pytest.mark.parametrize("line,mode,fires", [
    ("repo1-storage-verify-tls=n", 0o640, {"pgbackrest_unverified"}), ("repo1-storage-verify-tls=y", 0o640, set()),
    ("tls-server-auth=db.example=*", 0o640, {"pgbackrest_any_stanza"}), ("tls-server-auth=db.example=main", 0o640, set()),
    ("repo1-s3-key-secret=very-secret", 0o644, {"password_readable"}), ("repo1-cipher-pass=very-secret", 0o640, set())])
def test_pgbackrest(program, tmp_path, line, mode, fires):
    path = write(tmp_path, "pgbackrest.conf", f"[global]\nrepo1-type=s3\n{line}\n[main]\npg1-path=/data\n", mode)
    found, done = report(program, path)
    assert {f["id"] for f in found["findings"]} == fires and "very-secret" not in done.stdout
    assert all(f["where"] == f"{path}:3" for f in found["findings"])


CLUSTER = """apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: db
spec:
  instances: 3
  imageName: ghcr.io/cloudnative-pg/postgresql:17.2
  postgresql:
    parameters:
      log_connections: "on"
    pg_hba:
      - hostssl app app 10.0.0.0/8 scram-sha-256
      - hostnossl all all all reject
  externalClusters:
    - connectionParameters:
        host: old.example
        user: rep
      name: old
    - name: other
      connectionParameters: {host: other.example, sslmode: verify-full}
      sslRootCert: {name: ca, key: ca.crt}
---
apiVersion: postgresql.cnpg.io/v1
kind: Pooler
metadata: {name: pool}
spec:
  cluster: {name: db}
  pgbouncer:
    parameters:
      client_tls_sslmode: require
"""


def test_cloudnativepg(program, tmp_path):
    path = write(tmp_path, "cluster.yaml", CLUSTER)
    found, _done = report(program, path)
    target = found["targets"][0]
    assert target["kind"] == "server" and target["version"] == 17
    assert not by_id(found, "plaintext_from_network") and not by_id(found, "pooler_plaintext")
    assert not by_id(found, "log_connections_off") and len(by_id(found, "log_disconnections_off")) == 1
    assert [f["where"] for f in by_id(found, PLAIN)] == [f"{path}:16"]
    assert by_id(found, PLAIN)[0]["edit"]["after"] == "        host: old.example\n        sslmode: verify-full"
    assert {f["where"] for f in by_id(found, NAME)} == {f"{path}:6", f"{path}:24"}
    assert found["checklist"][1]["pass"] is None and found["checklist"][2]["pass"] is True
    operators = [f for f in found["findings"] if "/pgdata/pg_hba.conf:" in f["where"] and int(f["where"][-1]) < 5]
    assert operators and all(f["severity"] == "info" and "NetworkPolicy" in f["fix"] for f in operators)
    assert all(f["id"] not in ("hba_mode", "clientcert_impossible", "certificate_unreadable") for f in found["findings"])


def test_cloudnativepg_takes_plaintext(program, tmp_path):
    """The operator's own last rule, and rules of the manifest at their lines."""
    path = write(tmp_path, "cluster.yaml", CLUSTER.replace("hostnossl all all all reject", "host all bob 10.0.0.0/8 trust")
                 .replace("      client_tls_sslmode: require\n", "      max_client_conn: 5\n"))
    found, done = report(program, path)
    assert done.returncode == 1
    assert [f["where"] for f in by_id(found, "trust_from_network")] == [f"{path}:13"]
    assert [f["where"].rpartition("/")[2] for f in by_id(found, "plaintext_from_network")] == ["cluster.yaml:13", "pg_hba.conf:6"]
    assert "hostnossl all all all reject" in by_id(found, "plaintext_from_network")[1]["fix"]
    relative = subprocess.run([program, "audit", "--json", path.name], cwd=tmp_path, capture_output=True, check=False)
    own, last = by_id(json.loads(relative.stdout), "plaintext_from_network")
    assert "spec.postgresql.pg_hba" not in own["fix"] and "spec.postgresql.pg_hba" in last["fix"]
    assert [f["where"] for f in by_id(found, "pooler_plaintext")] == [f"{path}:24"]


def test_manifests_of_other_kinds(program, tmp_path):
    pooler = CLUSTER.partition("---\n")[2]
    found, _done = report(program, write(tmp_path, "pooler.yaml", pooler))
    assert found["targets"][0]["kind"] == "client" and len(by_id(found, NAME)) == 1
    done = audit(program, write(tmp_path, "backup.yaml", "apiVersion: postgresql.cnpg.io/v1\nkind: Backup\n"))
    assert done.returncode == 3 and "neither a Cluster nor a Pooler" in done.stderr
    two = CLUSTER.replace("---\n" + pooler, "---\n" + CLUSTER.partition("---\n")[0].replace("name: db", "name: db2"))
    found, _done = report(program, write(tmp_path, "two.yaml", two))
    assert 'cluster "db2"' in {u["what"] for u in found["targets"][0]["unseen"]}
    found, _done = report(program, write(tmp_path, "half.yaml", CLUSTER.replace("---\n", "  x: [\n---\n")))
    assert any("not YAML" in u["why"] for u in found["targets"][0]["unseen"]) and found["checklist"][2]["pass"] is not True
    assert len(by_id(found, "client_file_broken")) == 1


EDITS = [
    ("pg_service.conf", "[a]\nhost=db.example\nsslmode=require\npassword=very-secret\n", 3, "sslmode=verify-full"),
    ("pg_service.conf", "[a]\nhost=db.example\npassword=very-secret\n", 1, "[a]\nsslmode=verify-full"),
    (".env", "X=1\nDATABASE_URL='postgres://u@db.example/d' # x\n", 2, "DATABASE_URL='postgres://u@db.example/d?sslmode=verify-full' # x"),
    (".env", "DATABASE_URL=postgres://u@db.example/d?a=b&sslmode=prefer&c=d\n", 1,
     "DATABASE_URL=postgres://u@db.example/d?a=b&sslmode=verify-full&c=d"),
    (".env", "export PGHOST=db.example\nexport PGPASSWORD=very-secret\n", None, "export PGSSLMODE=verify-full"),
    (".env", "PGHOST=db.example\nPGSSLMODE=require\n", 2, "PGSSLMODE=verify-full"),
    ("pgbouncer.ini", "[databases]\na = host=10.0.0.5\n[pgbouncer]\nlisten_addr = 127.0.0.1\n", 3,
     "[pgbouncer]\nserver_tls_sslmode = verify-full"),
    ("pgbouncer.ini", "[databases]\na = host=10.0.0.5\n[pgbouncer]\nserver_tls_sslmode = allow\n", 4,
     "server_tls_sslmode = verify-full"),
    ("patroni.yml", "restapi:\n  listen: 127.0.0.1:8008\npostgresql:\n  authentication:\n    rewind:\n      username: r\n", 6,
     "      username: r\n      sslmode: verify-full"),
    ("patroni.yml", "restapi: {}\npostgresql:\n  authentication:\n    rewind: {username: r, sslmode: require}\n", 4,
     "    rewind: {username: r, sslmode: verify-full}"),
    ("app.yaml", "a: Host=db.example;Username=a;SSL Mode=Require\nb: \"Host=db.example;Username=a;SSL Mode=Require\"\n", 2,
     'b: "Host=db.example;Username=a;SSL Mode=VerifyFull"'),
    ("application.properties", "u=r2dbc:postgresql://db.example/d\n", 1, "u=r2dbc:postgresql://db.example/d?sslMode=verify-full"),
    ("database.yml", "production:\n  sslmode: require\n", 2, "  sslmode: verify-full"),
    # What holds a password is not shown; two on a line cannot be told apart; this driver verifies nothing.
    (".env", "DATABASE_URL=postgres://u:very-secret@db.example/d\n", None, None),
    ("patroni.yml", "restapi: {}\npostgresql:\n  authentication:\n    rewind: {username: r, password: very-secret}\n", None, None),
    ("x.txt", "postgres://u@db.example/d postgres://u@other.example/d\n", None, None),
    ("x.txt", "postgresql+pg8000://u@db.example/d\n", None, None)]


@pytest.mark.parametrize("name,text,line,after", EDITS)
def test_edits(program, tmp_path, name, text, line, after):
    """Each edit is of a line that is there, and what it makes of the file is found no more."""
    path = write(tmp_path, name, text)
    found, done = report(program, path)
    edits = [f["edit"] for f in found["findings"] if f["id"] in (PLAIN, UNVERIFIED, NAME)]
    assert edits and "very-secret" not in done.stdout
    if after is None:
        assert edits == [None] * len(edits)
        return
    assert (edits[0]["file"], edits[0]["line"], edits[0]["after"]) == (str(path), line, after)
    lines = text.splitlines()
    if line:
        assert edits[0]["before"] == lines[line - 1]
        lines[line - 1] = after
    else:
        lines.append(after)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert verdict(report(program, path)[0]) == []


@pytest.mark.parametrize("name,text,says", [
    ("appsettings.json", '{"ConnectionStrings": {"Default": "Host=db.example;Username=a;SSL Mode=Require"}}', UNVERIFIED),
    ("application.properties", "# x\nspring.datasource.url=jdbc:postgresql://db.example/d?sslmode=prefer\n", PLAIN),
    ("compose.yaml", "services:\n  web:\n    environment:\n      - DATABASE_URL=postgres://u:p@db.example/d\n", PLAIN),
    ("db.js", "new Pool({ connectionString: 'postgres://db.example/d?sslmode=require' })\n", None),
    ("db.ts", "new Pool({ host: 'db', ssl: { rejectUnauthorized: false } })\n", UNVERIFIED),
    ("database.yml", "production:\n  host: db\n  sslmode: require\n", UNVERIFIED),
    ("settings.py", "DATABASES = {'default': {'OPTIONS': {'sslmode': 'verify-full'}}}\n", None),
    ("main.go", 'sql.Open("pgx", "postgres://u@db.example/d?sslmode=verify-ca")\n', NAME)])
def test_texts(program, tmp_path, name, text, says):
    path = write(tmp_path, name, text)
    found, _done = report(program, path)
    assert verdict(found) == ([says] if says else []) and found["targets"][0]["kind"] == "client"
    assert all(f["where"].startswith(f"{path}:") for f in found["findings"])


def test_what_is_filled_in_later_is_not_passed(program, tmp_path):
    path = write(tmp_path, "values.yaml", "url: postgres://${USER}@db.example/d?sslmode=${MODE}\n")
    found, done = report(program, path)
    assert done.returncode == 0 and found["checklist"][3]["pass"] is None
    assert found["targets"][0]["unseen"][-1]["what"] == f"{path}:1"


@pytest.mark.parametrize("content", [b"", b"nothing here\n", b"\0\1\2postgres://u@h/d", b"\xff\xfe" * 500])
def test_files_of_nothing(program, tmp_path, content):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    done = audit(program, path)
    assert done.returncode == 3 and str(path) in done.stderr


@pytest.mark.parametrize("text", [
    "host=db.example password=very-secret sslmode=require", "host=db.example password='very-secret x",
    "postgres://u:very-secret@db.example/d?sslmode=require", "postgres://u:very-secret/x@db.example/d",
    "postgres://db.example/d?user=u&password=very-secret", "jdbc:postgresql://db.example/d?user=u&password=very-secret",
    "Host=db.example;Username=u;Password=very-secret", "Host=db.example;Username=u;Password=very-secret;Bad",
    "postgresql+asyncpg://u:very-secret@db.example/d", "DATABASE_URL=postgres://u:very-secret@db.example/d",
    "pgsql:host=db.example;password=very-secret", "r2dbc:postgresql://u:very-secret@db.example/d"])
def test_no_password_is_shown(program, text):
    done = audit(program, text)
    plain = subprocess.run([program, "audit", text], capture_output=True, text=True, timeout=60, check=False)
    assert "secret" not in done.stdout + done.stderr + plain.stdout + plain.stderr
    assert done.returncode in (1, 3)


def test_big_files(program, tmp_path):
    urls = write(tmp_path, "urls.txt", "postgres://u@db.example/d?sslmode=verify-full\n" * 20000)
    found, done = report(program, urls)
    assert done.returncode == 0 and found["checklist"][3]["pass"] is True
    for name, line in (("pgbouncer.ini", "server_tls_sslmode = verify-full\n"), ("patroni.yml", "a: b\n")):
        head = {"pgbouncer.ini": "[databases]\na = host=10.0.0.1\n[pgbouncer]\n",
                "patroni.yml": "postgresql:\n  connect_address: x\nrestapi:\n  certfile: x\n"}[name]
        found, done = report(program, write(tmp_path, name, head + line * 50000))
        assert any("too many settings" in u["why"] for u in found["targets"][0]["unseen"])
        assert found["checklist"][3]["pass"] is None


def test_mistakes(program):
    assert audit(program, "--driver", "odd", "postgres://h/d").returncode == 2
    bad = audit(program, "postgres://u:very-secret@h:port/d?sslmode=nonsense")
    assert bad.returncode == 3 and "very-secret" not in bad.stderr + bad.stdout
    assert json.loads(bad.stdout)["targets"][0]["error"]
