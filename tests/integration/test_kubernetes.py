"""
dist/kubernetes: its objects judged by the schemas of Kubernetes' API, and its pods run by the real program on volumes as
a kubelet writes them.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import psycopg
import pytest
import yaml

from conftest import npm_modules
from lib import howto, run
from lib.kubelet import Pod
from lib.pg import PASSWORDS

DIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "dist", "kubernetes")
PARTS = ("gate", "companion", "cloudnative-pg")
NAMES = ["postgres.database.svc", "pg-rw"]
PAGE = os.path.join(DIST, "..", "..", "docs", "howto", "kubernetes.md")
TOKEN = "a-token-of-some-length"


def objects_of(part):
    """What `kubectl apply -k` sends."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    minor = int(re.match(r"\d+", json.loads(done.stdout)["clientVersion"]["minor"]).group())
    if part == "cloudnative-pg" and minor < 21:
        pytest.skip("kubectl is older than 1.21")
    done = subprocess.run(["kubectl", "kustomize", os.path.join(DIST, part)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return list(yaml.safe_load_all(done.stdout))


def judge(objects, npm):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node", "kubernetes.js")
    return subprocess.run(["node", script], input=json.dumps(objects), capture_output=True, text=True, check=False,
                          env={**os.environ, "NODE_PATH": npm})


@pytest.fixture(scope="module")
def npm(pytestconfig):
    modules = npm_modules(pytestconfig)
    if not shutil.which("node") or not os.path.isdir(os.path.join(modules, "kubernetes-models")):
        pytest.skip("kubernetes-models is not installed")
    return modules


@pytest.mark.parametrize("part", PARTS)
def test_objects_are_of_their_schemas(part, npm):
    done = judge(objects_of(part), npm)
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr


@pytest.mark.parametrize("old,new,says", [
    ("readOnlyRootFilesystem", "readonlyRootFilesystem", "unknown member"),
    ('"fsGroup": 65532', '"fsGroup": "x"', "fsGroup must be integer"),
    ('"podSelector"', '"podSelecter"', "required property podSelector"),
])
def test_the_judge_finds_faults(npm, old, new, says):
    text = json.dumps(objects_of("gate"))
    assert old in text
    done = judge(json.loads(text.replace(old, new)), npm)
    assert done.returncode == 1 and says in done.stdout


# -- pods -------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def server_cert(certs):
    return certs.ca.issue("postgres", sans=NAMES, usage="server")


def new_server(factory, certs, server_cert, hba, sql):
    server = factory.postgres(hba=hba, tls={"cert": server_cert, "ca": certs.ca.pem()})
    with server.admin() as db:
        for statement in sql:
            db.execute(statement)
    return server


@pytest.fixture(scope="module")
def postgres(factory, certs, server_cert):
    """As docs/howto/kubernetes.md has it prepared."""
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    sql, rules = (re.search(rf"```{kind}\n(.*?)```", page, re.S).group(1) for kind in ("sql", "conf"))
    server = new_server(factory, certs, server_cert, rules, sql.strip().split("\n"))
    yield server
    factory.stop(server)


def pod_of(program, directory, part, secrets, upstream, certs, change=None):
    """The pod of a part, at free ports: its only container or init container that runs pgseal."""
    if not run.is_root() or not shutil.which("unshare"):
        pytest.skip("namespaces need root and unshare(1)")
    objects = objects_of(part)
    files = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    files.update(secrets)
    for held in files.values():
        if "pgseal.conf" in held:
            held["pgseal.conf"] = held["pgseal.conf"].replace("port=5432", f"port={upstream.port}")
    spec = next(o for o in objects if o["kind"] == "Deployment")["spec"]["template"]["spec"]
    container = next(c for c in spec.get("initContainers", []) + spec["containers"] if c["name"] == "pgseal")
    if change:
        change(spec, container)
    pod = Pod(program, directory, spec, container, files)
    pod.port, pod.http, pod.ca = run.free_port(), run.free_port(), certs.ca_file
    pod.more = ["-c", f"port={pod.port}", "-c", f"http_listen=*:{pod.http}"]
    return pod


def tls_secret(cert, ca, **more):
    return {"tls.crt": cert.pem(), "tls.key": cert.key_pem(), "ca.crt": ca.pem(), **more}


def secrets_of(certs):
    gate = certs.ca.issue("pgseal", sans=["localhost", "pgseal.default.svc"], usage="server")
    return {"pgseal-tls": tls_secret(gate, certs.ca), "pgseal-metrics": {"token": f"{TOKEN}\n"},
            "pgseal-upstream": tls_secret(certs.ca.issue("pgseal"), certs.ca)}


@pytest.fixture(scope="module")
def gate(program, scratch, postgres, certs):
    pod = pod_of(program, os.path.join(scratch, "pod"), "gate", secrets_of(certs), postgres, certs)
    pod.more += ["-c", "shutdown_delay=3s"]     # not ten
    try:
        yield pod.start()
    finally:
        pod.kill()


def connect(pod, **how):
    return psycopg.connect(**{"host": "localhost", "hostaddr": "127.0.0.1", "port": pod.port, "user": "alice", "dbname": "app",
                              "password": PASSWORDS["alice"], "sslmode": "verify-full", "sslrootcert": pod.ca,
                              "connect_timeout": 10, **how})


def ask(pod, probe, **headers):
    """As the kubelet: whose certificate it is does not matter."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{pod.http}{probe}", headers=headers)
    with urllib.request.urlopen(request, context=context, timeout=run.PATIENCE) as answer:
        return answer.status, answer.read().decode()


def test_gate_serves_as_pid_1_of_a_stranger(gate):
    with open(f"/proc/{gate.pid}/status", encoding="ascii") as f:
        status = f.read()
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)
    assert re.search(r"^Uid:\s+65532\s+65532\s", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M)
    with connect(gate) as db:
        assert db.execute("SELECT current_user, current_database()").fetchone() == ("alice", "app")
        assert db.execute("SHOW pgseal.version").fetchone() == ("TLSv1.3",)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(gate, sslmode="disable")


def test_probes_need_no_token(gate):
    for probe in ("readinessProbe", "livenessProbe"):
        assert gate.container[probe]["httpGet"]["scheme"] == "HTTPS"
        assert ask(gate, gate.container[probe]["httpGet"]["path"])[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(gate, "/metrics")
    assert "pgseal_sessions" in ask(gate, "/metrics", Authorization=f"Bearer {TOKEN}")[1]


def test_renewed_secret_is_served(gate, certs):
    renewed = certs.ca.issue("pgseal", sans=["localhost", "pgseal.default.svc"], usage="server")
    since = gate.log.mark()
    gate.files["pgseal-tls"] = tls_secret(renewed, certs.ca)
    gate.write("server")
    gate.log.wait_for(r"event=reloaded\b", since)
    context = ssl.create_default_context(cafile=gate.ca)
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", gate.port)) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as tls:
        assert int(tls.getpeercert()["serialNumber"], 16) == renewed.serial


def test_changed_rules_are_in_force_and_broken_ones_are_not(gate):
    rules = gate.files["pgseal"]["pg_hba.conf"]
    since = gate.log.mark()
    gate.files["pgseal"]["pg_hba.conf"] = "hostssl all bob all reject\n" + rules
    gate.write("config")
    gate.log.wait_for(r"event=reloaded\b", since)
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects connection"):
        connect(gate, user="bob", password=PASSWORDS["bob"])
    since = gate.log.mark()
    gate.files["pgseal"]["pg_hba.conf"] = "hostssl all alice all nonsense\n" + rules
    gate.write("config")
    gate.log.wait_for(r"invalid authentication method", since)
    with pytest.raises(psycopg.OperationalError, match="pg_hba.conf rejects connection"):
        connect(gate, user="bob", password=PASSWORDS["bob"])
    connect(gate).close()
    gate.files["pgseal"]["pg_hba.conf"] = rules
    gate.write("config")


def test_mounts_by_subpath_are_warned_of(program, tmp_path, postgres, certs):
    def change(_spec, container):
        mounts = [m for m in container["volumeMounts"] if m["name"] != "server"]
        mounts += [{"name": "server", "mountPath": f"/tls/server/{name}", "subPath": name, "readOnly": True}
                   for name in ("tls.crt", "tls.key")]
        container["volumeMounts"] = mounts
    pod = pod_of(program, tmp_path / "pod", "gate", secrets_of(certs), postgres, certs, change)
    try:
        pod.start()
        text = pod.log.wait_for(r"tls\.key\\?\" is mounted by itself")
        assert text and "without subPath" in pod.log.text()
        found = json.loads(pod.exec(["/usr/bin/pgseal", "audit", "--json", "/etc/pgseal"]).stdout)
        alone = [f for f in found["findings"] if f["id"] == "certificate_mounted_alone"]
        assert {f["where"] for f in alone} == {"/tls/server/tls.crt", "/tls/server/tls.key"}
    finally:
        pod.kill()


def test_whole_directories_are_not(gate):
    assert "mounted by itself" not in gate.log.text()
    found = json.loads(gate.exec(["/usr/bin/pgseal", "audit", "--json", "/etc/pgseal"]).stdout)
    assert "certificate_mounted_alone" not in {f["id"] for f in found["findings"]}
    assert {f["id"] for f in found["findings"] if f["severity"] == "high"} == set()


def test_key_that_the_world_may_read_is_refused(program, tmp_path, postgres, certs):
    def change(spec, _container):
        next(v for v in spec["volumes"] if v["name"] == "server")["secret"]["defaultMode"] = 0o644
    pod = pod_of(program, tmp_path / "pod", "gate", secrets_of(certs), postgres, certs, change)
    assert pod.spawn().process.wait(run.PATIENCE) != 0
    assert "has group or world access" in pod.log.text()


def test_a_pod_ends_within_its_grace(gate):
    """The last of this pod's tests: its end points lag, and its end is awaited."""
    held = gate.files["pgseal"]["pgseal.conf"]
    delay, drain = (int(re.search(rf"^{name} = (\d+)s$", held, re.M).group(1)) for name in ("shutdown_delay", "drain_timeout"))
    assert delay > 0 and gate.spec["terminationGracePeriodSeconds"] == delay + drain + 5
    gate.signal()
    with pytest.raises(urllib.error.HTTPError, match="503"):
        ask(gate, gate.container["readinessProbe"]["httpGet"]["path"])
    with connect(gate) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
    assert gate.process.wait(run.PATIENCE) == 0


# -- a companion --------------------------------------------------------------------------------------------------------
def test_companion_beside_an_application(program, tmp_path, postgres, certs):
    pod = pod_of(program, tmp_path / "pod", "companion", {"postgres-ca": {"ca.crt": certs.ca.pem()}}, postgres, certs)
    pod.more = ["-c", f"port={pod.port}"]
    try:
        pod.start()
        probe = pod.container["startupProbe"]["exec"]["command"]
        done = pod.exec(probe)
        assert done.returncode == 0, done.stdout + done.stderr
        application = next(c for c in pod.spec["containers"] if c["name"] == "application")
        env = {e["name"]: e["value"] for e in application["env"]}
        with connect(pod, host=env["PGHOST"], sslmode=env["PGSSLMODE"]) as db:
            assert db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
        postgres.stop()
        assert pod.exec(probe).returncode != 0
        postgres.start()
        assert pod.stop() == 0
    finally:
        pod.kill()


# -- CloudNativePG ------------------------------------------------------------------------------------------------------
def test_in_front_of_cloudnative_pg(program, tmp_path, factory, certs, server_cert):
    """Its operator is not here; a server with the rules that it makes of cluster.yaml is."""
    cluster = next(o for o in objects_of("cloudnative-pg") if o["kind"] == "Cluster")["spec"]
    rules = "\n".join(["local all all peer map=local",
                       "hostssl postgres streaming_replica all cert map=cnpg_streaming_replica",
                       "hostssl replication streaming_replica all cert map=cnpg_streaming_replica",
                       "hostssl all cnpg_pooler_pgbouncer all cert map=cnpg_pooler_pgbouncer",
                       *cluster["postgresql"]["pg_hba"], "host all all all scram-sha-256", ""])
    server = new_server(factory, certs, server_cert, rules, cluster["bootstrap"]["initdb"]["postInitSQL"])
    secrets = secrets_of(certs)
    secrets["pg-ca"] = {"ca.crt": certs.ca.pem(), "ca.key": certs.ca.key_pem()}
    pod = pod_of(program, tmp_path / "pod", "cloudnative-pg", secrets, server, certs)
    try:
        pod.start()
        with connect(pod) as db:
            assert db.execute("SELECT current_user").fetchone() == ("alice",)
        assert not os.path.exists(os.path.join(pod.dir, "volumes", "upstream", "ca.key"))
        with server.admin() as db:
            db.execute("ALTER ROLE postgres PASSWORD 'x'")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(pod, user="postgres", password="x")     # superusers are not looked up
        assert ask(pod, "/readyz")[0] == 200
    finally:
        pod.kill()
        factory.stop(server)


# -- the pages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", ["kubernetes.md", "cloudnative-pg.md"])
def test_word_for_word(page, program, tmp_path):
    objects_of("cloudnative-pg" if page == "cloudnative-pg.md" else "gate")     # skips without a kubectl that can
    howto.follow(page, program, tmp_path)
