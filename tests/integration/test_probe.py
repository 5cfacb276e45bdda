"""
`pgseal probe` against real servers: its verdict per sslmode is the one that the real psql (and, where it is
installed, PostgreSQL 18's libpq) arrives at, and the facts it tells are those the server was set up with.
"""

import base64
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from lib import libpq, pki, pooler, psql, run, scram
from lib.strange_server import StrangeServer, pump, read_packet
from lib.pg import PASSWORDS
from lib.pooler import PgBouncer

SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
TRUST = "host all all 127.0.0.1/32 trust\n"
SCRAM = "host all all 127.0.0.1/32 scram-sha-256\n"
DAY = datetime.timedelta(days=1)


def weak_rsa(authority):
    """A server certificate with a key that OpenSSL's default level refuses."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    builder = (x509.CertificateBuilder().subject_name(pki.name(("CN", "localhost")))
               .issuer_name(authority.cert.subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(pki.now() - DAY)
               .not_valid_after(pki.now() + 30 * DAY)
               .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False))
    return pki.Cert(builder.sign(authority.key, hashes.SHA256()), key)


class Case:
    """One server and how it is looked at."""

    def __init__(self, name, cert=None, host="localhost", root="ca", hba=TRUST, settings=None, ca=False, crl=None,
                 client=None, options=None):
        self.name, self.cert, self.host, self.root, self.hba = name, cert, host, root, hba
        self.settings, self.ca, self.crl, self.client, self.options = settings or {}, ca, crl, client, options or {}

    def __repr__(self):
        return self.name


def cases():
    old_tls = {"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.1",
               "ssl_ciphers": "ALL:@SECLEVEL=0"}
    local = ["localhost", "127.0.0.1"]
    return [
        Case("good", lambda ca: ca.issue("x", local, "server")),
        Case("good-by-address", lambda ca: ca.issue("x", local, "server"), host="127.0.0.1"),
        Case("address-not-in-sans", lambda ca: ca.issue("x", ["localhost"], "server"), host="127.0.0.1"),
        Case("address-as-cn", lambda ca: ca.issue("127.0.0.1", ["localhost"], "server"), host="127.0.0.1"),
        Case("expired", lambda ca: ca.issue("x", local, "server", valid_from=pki.now() - 9 * DAY,
                                            valid_to=pki.now() - 2 * DAY)),
        Case("not-yet-valid", lambda ca: ca.issue("x", local, "server", valid_from=pki.now() + 2 * DAY)),
        Case("wrong-name", lambda ca: ca.issue("x", ["other.example", "www.example"], "server")),
        Case("unknown-ca", lambda ca: ca.issue("x", local, "server"), root="foreign"),
        Case("no-root-file", lambda ca: ca.issue("x", local, "server"), root="missing"),
        Case("no-root-option", lambda ca: ca.issue("x", local, "server"), root=None),
        Case("with-intermediate", lambda ca: ca.intermediate().issue("x", local, "server")),
        Case("missing-intermediate", lambda ca: without_chain(ca.intermediate().issue("x", local, "server"))),
        Case("tls12-only", lambda ca: ca.issue("x", local, "server"),
             settings={"ssl_max_protocol_version": "TLSv1.2"}),
        Case("tls11-only", lambda ca: ca.issue("x", local, "server", key="rsa"), settings=old_tls),
        Case("wildcard", lambda ca: ca.issue("x", ["*.example.org"], "server"), host="db.example.org"),
        Case("wildcard-too-deep", lambda ca: ca.issue("x", ["*.example.org"], "server"), host="a.db.example.org"),
        Case("cn-only", lambda ca: ca.issue("localhost", [], "server")),
        Case("cn-beside-san", lambda ca: ca.issue("localhost", ["other.example"], "server")),
        Case("plaintext-only", None),
        Case("hostssl-only", lambda ca: ca.issue("x", local, "server"), hba="hostssl all all 127.0.0.1/32 trust\n"),
        Case("hostnossl-only", lambda ca: ca.issue("x", local, "server"),
             hba="hostnossl all all 127.0.0.1/32 trust\n"),
        Case("rejected", lambda ca: ca.issue("x", local, "server"), hba="host all all 127.0.0.1/32 reject\n"),
        Case("scram", lambda ca: ca.issue("x", local, "server"), hba=SCRAM),
        Case("scram-hostssl", lambda ca: ca.issue("x", local, "server"),
             hba="hostssl all all 127.0.0.1/32 scram-sha-256\n"),
        Case("client-cert-demanded", lambda ca: ca.issue("x", local, "server"), ca=True,
             hba="hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n"),
        Case("client-cert-given", lambda ca: ca.issue("x", local, "server"), ca=True, client="alice",
             hba="hostssl all all 127.0.0.1/32 cert\n"),
        Case("client-cert-of-another", lambda ca: ca.issue("x", local, "server"), ca=True, client="mallory",
             hba="hostssl all all 127.0.0.1/32 cert\n"),
        Case("ed25519", lambda ca: ca.issue("x", local, "server", key="ed25519")),
        Case("revoked", lambda ca: ca.issue("x", local, "server"), crl="this"),
        Case("crl-of-another", lambda ca: ca.issue("x", local, "server"), crl="none"),
    ]


def without_chain(cert):
    return pki.Cert(cert.cert, cert.key)


@pytest.fixture(scope="module")
def postgres(factory):
    server = factory.postgres(tls={"cert": pki.Authority("scratch").issue("x", ["localhost"], "server")}, hba=TRUST)
    yield server
    factory.stop(server)


def prepare(postgres, certs, case):
    """Make the server what the case says; the options of client and probe."""
    issued = case.cert(certs.ca) if case.cert else None
    settings = {"ssl": "on" if issued else "off", "ssl_min_protocol_version": "TLSv1.2",
                "ssl_max_protocol_version": "", "ssl_ciphers": "HIGH:MEDIUM:+3DES:!aNULL", "ssl_ca_file": ""}
    tls = None
    if issued:
        postgres.settings["ssl_ca_file"] = ""
        tls = {"cert": issued}
    settings.update(case.settings)
    if case.ca:
        tls["ca"] = certs.ca.pem()
        settings.pop("ssl_ca_file")
    postgres.configure(settings, case.hba, "", tls)
    if not issued:
        postgres.configure({"ssl": "off"}, case.hba)
    postgres.reload()
    options = {}
    if case.root:
        options["sslrootcert"] = {"ca": certs.ca_file, "foreign": certs.foreign_file,
                                  "missing": os.path.join(certs.dir, "missing.crt")}[case.root]
    if case.client:
        options["sslcert"], options["sslkey"] = certs.client("probe-client", certs.ca.issue(case.client))
    if case.crl:
        options["sslcrl"] = os.path.join(certs.dir, "probe.crl")
        pki.write_file(options["sslcrl"], certs.ca.crl([issued] if case.crl == "this" else []))
    return issued, options


def run_probe(program, endpoint, *argv, password=None, env=None):
    variables = psql.environment(**({"PGPASSWORD": password} if password else {}), **(env or {}))
    argv = [program, "probe", "--json", "--address", "127.0.0.1", "-U", "alice", "-d", "app", *argv, endpoint]
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1, 3), done.stderr
    return json.loads(done.stdout)[0]


def flags(options):
    names = {"sslrootcert": "--rootcert", "sslcert": "--cert", "sslkey": "--key", "sslcrl": "--crl"}
    return [word for name, value in options.items() for word in (names[name], value)]


def conninfos(postgres, case, options):
    return [psql.conninfo(host=case.host, hostaddr="127.0.0.1", port=postgres.port, user="alice", dbname="app",
                          sslmode=mode, **options) for mode in SSLMODES]


def ask_psql(conninfo, password):
    env = psql.environment(**({"PGPASSWORD": password} if password else {}))
    done = subprocess.run([psql.PSQL, "-XAtw", conninfo, "-c",
                           "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"], env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return {"connects": done.returncode == 0, "encrypted": done.stdout.strip() == "t"}


def expected_proof(verdict, options):
    """What a connection proves follows from the mode and from whether there is a root file."""
    if not verdict["connects"] or not verdict["encrypted"]:
        return "no"
    root = options.get("sslrootcert")
    if not root or not os.path.exists(root):
        return "no"
    return "full" if verdict["sslmode"] == "verify-full" else "ca"


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_verdicts_are_psqls(program, postgres, certs, case, distributions):
    _, options = prepare(postgres, certs, case)
    password = PASSWORDS["alice"] if "scram" in case.name else None
    more = ["--send-password"] if password else []
    seen = run_probe(program, f"{case.host}:{postgres.port}", "--quick", *more, *flags(options),
                     password=password)["sslmodes"]
    wanted = conninfos(postgres, case, options)
    for verdict, conninfo in zip(seen, wanted):
        judged = ask_psql(conninfo, password)
        # Before 17 libpq takes an `N` under allow for a leave to go on in plaintext, once more.
        assert {k: verdict[k] for k in judged} == judged, (verdict, judged)
        assert verdict["verified"] == expected_proof(verdict, options), verdict
        assert (verdict["error"] is None) == verdict["connects"]
    compare_with_18(distributions, seen, wanted, password)


def compare_with_18(distributions, seen, conninfos_, password=None):
    """Verdicts and every word of the errors, where PostgreSQL 18's libpq is there to say them."""
    if "pg18" not in distributions:
        return
    library = os.path.join(os.path.dirname(distributions["pg18"].bindir), "lib", "libpq.so.5")
    for verdict, judged in zip(seen, libpq.judge(library, conninfos_, password)):
        assert {k: verdict[k] for k in judged} == judged, (verdict, judged)


def test_without_a_password_a_request_counts(program, postgres, certs):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"), hba=SCRAM))
    since = postgres.log.mark()
    report = run_probe(program, f"localhost:{postgres.port}", "--rootcert", certs.ca_file,
                       password=PASSWORDS["alice"])
    assert all(v["connects"] for v in report["sslmodes"])
    assert report["auth_plain"] == report["auth_tls"] == "scram-sha-256" and report["scram_plus"]
    assert report["plaintext_accepted"] and "plaintext-accepted" in [p["id"] for p in report["problems"]]
    assert "connection authorized" not in postgres.log.text(since)      # the password was not sent


def test_facts(program, postgres, certs):
    issued, _ = prepare(postgres, certs, Case("x", lambda ca: ca.intermediate("Mid").issue(
        "x", ["localhost", "127.0.0.1"], "server"), hba="hostssl all all all scram-sha-256\n", ca=True))
    report = run_probe(program, f"localhost:{postgres.port}", "--rootcert", certs.ca_file)
    assert report["sslrequest"] == "S" and report["gssenc"] in ("N", "G")
    assert report["protocols"] == ["TLSv1.2", "TLSv1.3"]
    assert "TLS_AES_256_GCM_SHA384" in report["ciphers"] and "ECDHE-ECDSA-AES256-GCM-SHA384" in report["ciphers"]
    assert "P-256" in report["groups"]
    assert report["auth_plain"] is None and "no pg_hba.conf entry" in report["auth_plain_refusal"]
    assert not report["plaintext_accepted"] and not report["injected_bytes_accepted"]
    assert report["client_cert_requested"] and report["client_ca_names"] == ["/CN=pgseal test CA"]
    assert [c["subject"] for c in report["chain"]] == ["/CN=x", "/CN=Mid"]
    leaf = report["chain"][0]
    assert leaf["sans"] == ["dns:localhost", "ip:127.0.0.1"] and leaf["issuer"] == "/CN=Mid"
    assert leaf["not_after"] == issued.cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert leaf["key"] == "ECDSA P-256" and leaf["signature"] == "ecdsa-with-SHA256"
    assert report["addresses"][0]["sha256"] == issued.cert.fingerprint(hashes.SHA256()).hex()
    assert report["safe"] and report["problems"] == []


@pytest.mark.parametrize("case, problem", [("expired", "expired"), ("not-yet-valid", "not-yet-valid"),
                                           ("wrong-name", "wrong-name"),
                                           ("tls11-only", "old-protocol"), ("plaintext-only", "no-tls"),
                                           ("missing-intermediate", "issuer-unknown"), ("good", "trust")])
def test_problems(program, postgres, certs, case, problem):
    chosen = next(c for c in cases() if c.name == case)
    _, options = prepare(postgres, certs, chosen)
    report = run_probe(program, f"{chosen.host}:{postgres.port}", *flags(options))
    found = [p["id"] for p in report["problems"]]
    assert problem in found, report["problems"]
    assert report["missing_issuer"] == ("/CN=Test Intermediate" if case == "missing-intermediate" else None)


def test_report_says_it_first(program, postgres, certs):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"),
                                  hba="hostssl all all all scram-sha-256\n"))
    argv = [program, "probe", "-U", "alice", "--address", "127.0.0.1"]
    for root, status, text in [(certs.ca_file, 0, "yes, because the chain leads to a CA you trust"),
                               (certs.foreign_file, 1, "no, because SSL error: certificate verify failed")]:
        done = subprocess.run([*argv, "--rootcert", root, f"localhost:{postgres.port}"], env=psql.environment(),
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stdout.startswith(f"localhost:{postgres.port}: safe for verify-full: {text}"), done.stdout


def test_nagios(program, postgres, certs, factory):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"),
                                  hba="hostssl all all all scram-sha-256\n"))
    good = f"localhost:{postgres.port}"
    for endpoint, root, status, word in [(good, certs.ca_file, 0, "OK"), (good, certs.foreign_file, 2, "CRITICAL"),
                                         ("localhost:1", certs.ca_file, 3, "UNKNOWN")]:
        done = subprocess.run([program, "probe", "--nagios", "--quick", "-U", "alice", "--address", "127.0.0.1",
                               "--rootcert", root, endpoint], env=psql.environment(), capture_output=True, text=True,
                              timeout=60, check=False)
        assert (done.returncode, done.stdout.count("\n")) == (status, 1), done.stdout + done.stderr
        assert done.stdout.startswith(f"PGSEAL PROBE {word} - ")


def test_many_at_once(program, postgres, certs):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server")))
    endpoints = [f"localhost:{postgres.port}", "localhost:1", f"127.0.0.1:{postgres.port}"] * 4
    done = subprocess.run([program, "probe", "--json", "--quick", "-U", "alice", *endpoints], env=psql.environment(),
                          capture_output=True, text=True, timeout=120, check=False)
    reports = json.loads(done.stdout)
    assert [r["endpoint"] for r in reports] == endpoints and done.returncode == 1
    assert [r["reachable"] for r in reports] == [True, False, True] * 4


def test_conninfo_as_endpoint(program, postgres, certs):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"), hba=SCRAM))
    uri = f"postgresql://alice:secret@localhost:{postgres.port}/app?sslrootcert={certs.ca_file}&hostaddr=127.0.0.1"
    done = subprocess.run([program, "probe", "--json", "--quick", uri], env=psql.environment(), capture_output=True,
                          text=True, timeout=60, check=False)
    report = json.loads(done.stdout)[0]
    assert report["safe"] and report["endpoint"] == f"localhost:{postgres.port}" and "secret" not in done.stdout
    assert report["written"] == {"driver": "libpq", "encrypts": False, "verified": "no", "notes": []}


def test_conninfo_as_its_driver_reads_it(program):
    """A port where nobody answers: what the string says is known all the same."""
    def written(*words, form="--json"):
        done = subprocess.run([program, "probe", *([form] if form else []), "-q", "-t", "2", *words],
                              env=psql.environment(HOME="/nonexistent"), capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout)[0]["written"] if form else done.stdout
    url = "postgres://alice@127.0.0.1:1/app?sslmode=require"
    assert written("127.0.0.1:1") is None
    assert written(url)["verified"] == "no" and written("--driver", "node", url)["verified"] == "full"
    old = written("--driver", "node@8.2", url)
    assert (old["encrypts"], old["notes"][0]) == (False, "node-postgres 8.0 to 8.3 does not read sslmode")
    assert "As written, node-postgres always encrypts, and verifies this host." in written("--driver", "node", url, form=None)
    done = subprocess.run([program, "probe", "--driver", "nodes", url], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and '"nodes"' in done.stderr


def look(program, *argv, env=None, status=(0, 1)):
    done = subprocess.run([program, "probe", "--json", "--quick", *argv], env=psql.environment(**(env or {})),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in status, done.stdout + done.stderr
    return json.loads(done.stdout)[0] if done.stdout.strip() not in ("", "[]") else done.stderr


def test_scram_keys_instead_of_a_password(program, postgres, certs, distributions):
    """PostgreSQL 18's libpq takes them, so does the probe; and sends no proof of them unless it is told to."""
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"),
                                  hba="hostssl all all 127.0.0.1/32 scram-sha-256\n"))
    client, server = scram.keys(PASSWORDS["alice"], b"salt of alice   ")
    wrong = base64.b64encode(bytes(32)).decode()
    right = {"scram_client_key": base64.b64encode(client).decode(),
             "scram_server_key": base64.b64encode(server).decode()}
    where = {"host": "localhost", "hostaddr": "127.0.0.1", "port": postgres.port, "user": "alice", "dbname": "app",
             "sslrootcert": certs.ca_file}
    for keys, error in [(right, None), ({**right, "scram_client_key": wrong}, "password authentication failed"),
                        ({**right, "scram_server_key": wrong}, "incorrect server signature")]:
        conninfo = psql.conninfo(**where, **keys)
        report = look(program, "--send-password", conninfo)
        assert [v["connects"] for v in report["sslmodes"]] == [False] + [error is None] * 5
        assert error is None or error in report["sslmodes"][5]["error"]
        assert not any(key in json.dumps(report) for key in keys.values())
        compare_with_18(distributions, report["sslmodes"],
                        [psql.conninfo(**where, **keys, sslmode=mode) for mode in SSLMODES])
    since = postgres.log.mark()
    assert all(v["connects"] for v in look(program, psql.conninfo(**where, **right))["sslmodes"][1:])
    assert "authorized" not in postgres.log.text(since)
    for key, value in right.items():
        assert "must be given together" in look(program, "--send-password", psql.conninfo(**where, **{key: value}),
                                                status=(3,))


def test_key_log(program, postgres, certs, tmp_path):
    """As libpq's, with 0600; a file that others can read is not written to, and the report warns."""
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server")))
    log = tmp_path / "keys"
    conninfo = psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=postgres.port, user="alice", dbname="app",
                             sslrootcert=certs.ca_file, sslkeylogfile=log)
    report = look(program, conninfo)
    assert report["safe"] and "keys-logged" in [p["id"] for p in report["problems"]]
    lines = log.read_text().splitlines()
    assert log.stat().st_mode & 0o777 == 0o600
    labels = {line.split()[0] for line in lines}
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"} <= labels
    sessions = sum(v["encrypted"] for v in report["sslmodes"])
    assert len({line.split()[1] for line in lines}) == sessions
    log.chmod(0o644)
    assert "has group or world access" in look(program, conninfo)["sslmodes"][5]["error"]
    assert log.read_text().splitlines() == lines
    missing = conninfo.replace(str(log), str(tmp_path / "no/such/keys"))
    assert "could not open SSL key logging file" in look(program, missing)["sslmodes"][5]["error"]


def test_service_and_password_file(program, postgres, certs, tmp_path):
    """Both are looked up as psql looks them up."""
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server"), hba=SCRAM))
    service, passfile = tmp_path / "service.conf", tmp_path / "passfile"
    service.write_text(f"[shop]\nhost=localhost\nhostaddr=127.0.0.1\nport={postgres.port}\nuser=alice\ndbname=app\n"
                       f"sslrootcert={certs.ca_file}\npassfile={passfile}\n")
    env = {"PGSERVICEFILE": str(service)}
    for secret, mode, works in [(PASSWORDS["alice"], 0o600, True), ("wrong", 0o600, False),
                                (PASSWORDS["alice"], 0o644, False)]:
        passfile.write_text(f"localhost:{postgres.port}:app:alice:{secret}\n")
        passfile.chmod(mode)
        report = look(program, "--send-password", "service=shop", env=env)
        assert all(v["connects"] == works for v in report["sslmodes"]), report["sslmodes"]
        judged = subprocess.run([psql.PSQL, "-XAtw", "service=shop sslmode=verify-full", "-c", "SELECT 1"],
                                env=psql.environment(**env), capture_output=True, text=True, timeout=60, check=False)
        assert (judged.returncode == 0) == works
    assert 'definition of service "other" not found' in look(program, "service=other", env=env, status=(3,))


def test_unix_socket(program, postgres, certs):
    done = subprocess.run([program, "probe", "--json", "-U", "postgres", f"{postgres.socket_dir}:{postgres.port}"],
                          env=psql.environment(), capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stdout)[0]
    assert all(v["connects"] and not v["encrypted"] for v in report["sslmodes"]) and report["safe"]


def test_different_certificates_on_two_addresses(program, certs, odd, scratch):
    """A name with two addresses, by an /etc/hosts that only this probe sees."""
    if not run.is_root() or not shutil.which("unshare"):
        pytest.skip("needs root for a mount of its own")
    hosts = os.path.join(scratch, "hosts")
    pki.write_file(hosts, "127.0.0.1 twice.example\n127.0.0.2 twice.example\n")
    contexts = {}
    for address in ("127.0.0.1", "127.0.0.2"):
        contexts[address] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[address].load_cert_chain(*certs.ca.issue("x", ["twice.example"], "server").write(certs.dir, "two"))

    def serve(client):
        if read_packet(client):
            client.sendall(b"S")
            with contexts[client.getsockname()[0]].wrap_socket(client, server_side=True) as sealed:
                read_packet(sealed)
                sealed.sendall(b"R\0\0\0\x08\0\0\0\x03")
                sealed.recv(1)

    port = odd(serve, "0.0.0.0")
    command = (f"mount --bind {hosts} /etc/hosts && exec {program} probe --json --quick -U x "
               f"--rootcert {certs.ca_file} twice.example:{port}")
    done = subprocess.run(["unshare", "-m", "sh", "-c", command], env=psql.environment(), capture_output=True,
                          text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no mounts here")
    report = json.loads(done.stdout)[0]
    assert [a["address"] for a in report["addresses"]] == ["127.0.0.1", "127.0.0.2"]
    assert len({a["sha256"] for a in report["addresses"]}) == 2
    assert "different-certificates" in [p["id"] for p in report["problems"]] and report["safe"]


def test_usage(program):
    for argv, status in [([], 2), (["a:b:"], 3), (["nope=1"], 2), (["host=a,b"], 2), (["host:99999"], 2), (["[::1"], 2), (["--jobs", "0", "x"], 2),
                         (["a,b"], 2)]:
        done = subprocess.run([program, "probe", *argv], env=psql.environment(), capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == status, (argv, done.stderr)


# ---- the gate, newer servers, PgBouncer --------------------------------------------------------------------------

def test_every_kind_of_server(program, server_factory, kind, certs):
    server = server_factory(kind, hba="hostssl all all 127.0.0.1/32 scram-sha-256\n",
                            tls={"cert": certs.server, "ca": certs.ca.pem()})
    report = run_probe(program, f"localhost:{server.port}", "--rootcert", certs.ca_file)
    assert report["safe"] and report["problems"] == [], report["problems"]
    assert [v["connects"] for v in report["sslmodes"]] == [False] + [True] * 5
    assert report["direct_tls"] == (server.major >= 17) and not report["direct_tls_without_alpn"]
    assert report["alpn"] == ("postgresql" if server.major >= 17 else None)
    assert report["auth_tls"] == "scram-sha-256" and report["scram_plus"] and not report["plaintext_accepted"]
    assert not report["injected_bytes_accepted"] and report["client_cert_requested"]
    assert report["protocols"] == ["TLSv1.2", "TLSv1.3"]
    logged_in = run_probe(program, f"localhost:{server.port}", "--quick", "--send-password", "--rootcert",
                          certs.ca_file, password=PASSWORDS["alice"])
    assert [v["connects"] for v in logged_in["sslmodes"]] == [False] + [True] * 5
    wrong = run_probe(program, f"localhost:{server.port}", "--quick", "--send-password", "--rootcert",
                      certs.ca_file, password="wrong")
    assert 'FATAL:  password authentication failed for user "alice"' in wrong["sslmodes"][5]["error"]


@pytest.fixture
def pgbouncer(scratch, certs, postgres):
    """PgBouncer with TLS allowed: it takes plaintext as well, and does SCRAM without channel binding."""
    if pooler.missing():
        pytest.skip("no pgbouncer")
    directory = os.path.join(scratch, "pgbouncer")
    os.makedirs(directory, exist_ok=True)
    crt, key = certs.server.write(directory, "server")
    with PgBouncer(directory, postgres, {"alice": PASSWORDS["alice"]}, client_tls_sslmode="allow",
                   client_tls_cert_file=crt, client_tls_key_file=key) as made:
        yield made.port


def test_pgbouncer(program, pgbouncer, certs):
    report = run_probe(program, f"localhost:{pgbouncer}", "--quick", "--rootcert", certs.ca_file)
    found = [p["id"] for p in report["problems"]]
    assert report["safe"] and report["plaintext_accepted"] and not report["scram_plus"]
    assert "plaintext-accepted" in found and "no-channel-binding" in found
    assert all(v["connects"] and v["encrypted"] == (v["sslmode"] not in ("disable", "allow"))
               for v in report["sslmodes"])


# ---- servers that no PostgreSQL is -------------------------------------------------------------------------------

@pytest.fixture
def odd():
    made = []

    def make(serve, address="127.0.0.1"):
        made.append(StrangeServer(serve, address))
        return made[-1].port

    yield make
    for server in made:
        server.listener.close()


def test_direct_tls_only(program, postgres, certs, odd, distributions):
    prepare(postgres, certs, Case("x", lambda ca: ca.issue("x", ["localhost"], "server")))
    crt, key = certs.server.write(certs.dir, "direct")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    context.set_alpn_protocols(["postgresql"])

    def serve(client):
        with context.wrap_socket(client, server_side=True) as sealed, \
                socket.create_connection(("127.0.0.1", postgres.port)) as behind:
            threading.Thread(target=pump, args=(behind, sealed), daemon=True).start()
            pump(sealed, behind)

    port = odd(serve)
    report = run_probe(program, f"localhost:{port}", "--quick", "--rootcert", certs.ca_file)
    assert report["direct_tls"] and report["sslrequest"] != "S" and report["alpn"] == "postgresql"
    assert report["chain"] and not report["safe"]
    direct = run_probe(program, f"localhost:{port}", "--quick", "--rootcert", certs.ca_file,
                       env={"PGSSLNEGOTIATION": "direct"})
    assert [v["connects"] for v in direct["sslmodes"]] == [False, False, False, True, True, True]
    assert direct["sslmodes"][0]["error"].startswith('weak sslmode "disable" may not be used with')
    compare_with_18(distributions, direct["sslmodes"],
                    [psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=port, user="alice", dbname="app",
                                   sslmode=mode, sslnegotiation="direct", sslrootcert=certs.ca_file)
                     for mode in SSLMODES])


def test_rsa_1024(program, postgres, certs, odd, distributions):
    """A key that Debian's OpenSSL serves only when told to, and that no verifying client takes."""
    prepare(postgres, certs, Case("x"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*weak_rsa(certs.ca).write(certs.dir, "weak"))

    def serve(client):
        first = client.recv(8, socket.MSG_WAITALL)
        with socket.create_connection(("127.0.0.1", postgres.port)) as behind:
            if first[4:] != bytes.fromhex("04d2162f"):
                behind.sendall(first)
                threading.Thread(target=pump, args=(behind, client), daemon=True).start()
                pump(client, behind)
                return
            client.sendall(b"S")
            with context.wrap_socket(client, server_side=True) as sealed:
                threading.Thread(target=pump, args=(behind, sealed), daemon=True).start()
                pump(sealed, behind)

    port = odd(serve)
    report = run_probe(program, f"localhost:{port}", "--quick", "--rootcert", certs.ca_file)
    assert "weak-key" in [p["id"] for p in report["problems"]] and not report["safe"]
    for verdict in report["sslmodes"]:
        conninfo = psql.conninfo(host="localhost", hostaddr="127.0.0.1", port=port, user="alice", dbname="app",
                                 sslmode=verdict["sslmode"], sslrootcert=certs.ca_file)
        assert verdict["connects"] == ask_psql(conninfo, None)["connects"], verdict


@pytest.mark.parametrize("answer, error", [
    (b"E", "server sent an error response during SSL exchange"),
    (b"X", "received invalid response to SSL negotiation: X"),
    (b"SX", "received unencrypted data after SSL response"),
    (b"EFATAL: send money\0", "server sent an error response during SSL exchange"),
    (b"", "server closed the connection unexpectedly"),
])
def test_strange_answers(program, odd, answer, error):
    def serve(client):
        client.recv(8)
        client.sendall(answer)

    report = run_probe(program, f"localhost:{odd(serve)}", "--quick")
    require = report["sslmodes"][3]
    assert not require["connects"] and error in require["error"]
    # What came before TLS is shown to nobody who asked for TLS.
    assert "money" not in json.dumps([report["sslmodes"][2:], report["tls_error"], report["because"]])


def test_silent_server_costs_its_timeout_only(program, odd):
    gate = threading.Event()
    port = odd(lambda client: gate.wait(run.PATIENCE))
    report = run_probe(program, f"localhost:{port}", "--quick", "--timeout", "1")
    gate.set()
    assert all("timeout expired" in v["error"] for v in report["sslmodes"])


def test_injected_bytes_are_found(program, certs, odd):
    """A server with the fault of CVE-2021-23214: what came before TLS is taken for the session's."""
    crt, key = certs.server.write(certs.dir, "injected")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)

    def serve(client):
        early = client.recv(4096)
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as sealed:
            if len(early) == 8:
                sealed.recv(4096)
            sealed.sendall(b"R\0\0\0\x08\0\0\0\x03")
            sealed.recv(1)

    report = run_probe(program, f"localhost:{odd(serve)}", "--quick")
    assert report["injected_bytes_accepted"] and "injected-bytes" in [p["id"] for p in report["problems"]]


def test_words_of_a_stranger_are_not_passed_to_the_terminal(program, odd):
    body = b"SFATAL\0C28000\0M\x1b[31mred\x07\0\0"

    def serve(client):
        client.recv(4096)
        client.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)

    done = subprocess.run([program, "probe", f"localhost:{odd(serve)}", "--quick", "-U", "x"], env=psql.environment(),
                          capture_output=True, timeout=60, check=False)
    assert b"\x1b" not in done.stdout and b"\x07" not in done.stdout and b"\\x1b[31mred" in done.stdout
