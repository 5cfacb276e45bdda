"""`pgseal rotate` and ACME clients, against pebble: real challenges, rejected nonces, long chains, roots that change."""

import base64
import contextlib
import datetime
import http.server
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.request

import pytest

from cryptography import x509

from lib import pki, run
from test_rotate import HBA, Rotate, command, fake_ca, served     # noqa: F401  (a fixture)

HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "acme_hook.py")

pytestmark = pytest.mark.skipif(not shutil.which("pebble"), reason="pebble is not installed: tools/deps.sh check")


class Pebble:
    """The CA, its challenge server, and what clients need in their environment."""

    def __init__(self, directory, certs, answers_http=True):
        self.dir, self.processes, self.rejects = directory, [], 10     # percent of good nonces that are refused
        self.answers_http = answers_http                # else whoever wants a certificate listens there itself
        self.port, self.management, self.http, self.dns, self.challenges = (run.free_port() for _ in range(5))
        self.url = f"https://localhost:{self.port}/dir"
        own = certs.ca.issue("localhost", sans=["localhost", "127.0.0.1"], usage="server")
        own.write(directory, "pebble")
        self.ca_file = certs.ca_file
        self.env = dict(os.environ, CHALLENGES=str(self.challenges))
        pki.write_file(os.path.join(directory, "pebble.json"), json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": os.path.join(directory, "pebble.crt"),
            "privateKey": os.path.join(directory, "pebble.key"),
            "httpPort": self.http, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": False}}))

    def spawn(self, argv, **env):
        self.processes.append(subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, env=dict(os.environ, **env),
            stdout=open(os.path.join(self.dir, "pebble.log"), "ab"), stderr=subprocess.STDOUT))

    def answers(self):
        try:
            self.root()
            urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{self.challenges}/clear-request-history", b'{"host":"x","type":"http"}'), timeout=5)
            return True
        except OSError:
            return False

    def start(self):
        self.spawn(["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}",
                    "-http01", f"127.0.0.1:{self.http}" if self.answers_http else "",
                    "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{self.challenges}",
                    "-defaultIPv6", ""])
        self.spawn(["pebble", "-config", os.path.join(self.dir, "pebble.json"), "-dnsserver",
                    f"127.0.0.1:{self.dns}"], PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT=str(self.rejects),
                   PEBBLE_CHAIN_LENGTH="2")
        run.wait_until(self.answers, "pebble to answer")
        return self

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []

    def root(self):
        """The root of this start: pebble makes another at each."""
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=context,
                                    timeout=5) as answer:
            return answer.read()


@pytest.fixture(scope="module")
def pebble(scratch, certs):
    directory = tempfile.mkdtemp(prefix="pebble-", dir=scratch)
    server = Pebble(directory, certs).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def pebble_alone(scratch, certs):
    """For clients that answer http-01 themselves."""
    directory = tempfile.mkdtemp(prefix="pebble-alone-", dir=scratch)
    server = Pebble(directory, certs, answers_http=False).start()
    yield server
    server.stop()


@pytest.fixture
def trusted(program, certs, scratch):
    """The program, run where the system's trust store is the CA of pebble's own certificate: uacme knows no other."""
    path = os.path.join(scratch, "in-their-world.sh")
    pki.write_file(path, f"""#!/bin/sh
exec unshare -m sh -c 'mount --bind {certs.ca_file} /etc/ssl/certs/ca-certificates.crt && exec "$@"' sh {program} "$@"
""", 0o755)
    if subprocess.run([path, "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("wants root, and a mount namespace of its own")
    return path


def make_acme(make_gate, trusted, certs, pebble):
    """A gate whose clients have pebble's root, and whose certificate the CA of the house has issued until now."""
    gate = make_gate(hba=HBA, settings={"ssl_chain_root_file": "acme-root.crt"}, tls={
        "cert": certs.ca.issue("db.example", sans=["localhost", "db.example"], usage="server",
                               valid_to=pki.now() + 20 * pki.DAY), "ca": certs.ca.pem()}, start=False)
    gate.write("acme-root.crt", pebble.root())
    gate.start()
    rotate = Rotate(trusted, gate)
    rotate.acme = lambda **more: rotate.configure(source="acme", directory=pebble.url, names="db.example", **more)
    return rotate


@pytest.fixture
def acme(make_gate, trusted, certs, pebble):
    return make_acme(make_gate, trusted, certs, pebble)


def chain_length(path):
    with open(path, encoding="ascii") as f:
        return f.read().count("BEGIN CERTIFICATE")


def test_uacme(acme, pebble):
    gate = acme.server
    acme.acme(arguments=f"-h {HOOK}")
    done = acme("--force", env=pebble.env)
    assert done["result"] == "renewed" and served(gate) == acme.pair() == done["sha256"]
    assert chain_length(gate.path("server.crt")) == 3
    key = os.stat(gate.path("rotate/acme/private/key.pem"))
    assert key.st_mode & 0o177 == 0 and os.stat(gate.path("rotate/acme")).st_mode & 0o777 == 0o700
    again = acme("--force", env=pebble.env)             # the account is there now
    assert again["result"] == "renewed" and again["sha256"] != done["sha256"]
    os.chmod(gate.path("rotate/acme/private/key.pem"), 0o644)
    refused = acme("--force", env=pebble.env, status=1)
    assert refused["step"] == "issue" and "has group or world access" in refused["error"]
    assert served(gate) == again["sha256"]


def test_uacme_that_cannot_prove_the_name(acme, pebble):
    before = acme.pair()
    acme.acme(arguments="-h /bin/true")
    done = acme("--force", env=pebble.env, status=1)
    assert (done["result"], done["step"]) == ("failed", "issue") and done["detail"]
    assert served(acme.server) == before == acme.pair()


@pytest.mark.skipif(not shutil.which("dehydrated"), reason="dehydrated is not installed: tools/deps.sh check")
def test_dehydrated(acme, pebble):
    pebble.stop()
    pebble.rejects = 0                                  # it does not try again
    pebble.start()
    acme.server.write("acme-root.crt", pebble.root())
    acme.server.reload()
    config = acme.server.write("dehydrated.conf", f"BASEDIR={pebble.dir}/dehydrated\nHOOK={HOOK}\n"
                               f"WELLKNOWN={pebble.dir}/wellknown\nCURL_OPTS='--cacert {pebble.ca_file}'\n"
                               "CONFIG_D=\nCONTACT_EMAIL=\n")
    for name in ("dehydrated", "wellknown"):
        os.makedirs(os.path.join(pebble.dir, name), exist_ok=True)
    acme.acme(client="dehydrated", arguments=f"--config {config}")
    done = acme("--force", env=pebble.env)
    assert done["result"] == "renewed" and served(acme.server) == acme.pair() == done["sha256"]


OWN_HTTP = {"lego": "--email admin@example.com --http --http.port 127.0.0.1:{port}",
            "certbot": "--register-unsafely-without-email --standalone --http-01-address 127.0.0.1 --http-01-port {port}"}


@pytest.mark.parametrize("client", OWN_HTTP)
def test_clients_that_listen_themselves(make_gate, trusted, certs, pebble_alone, client):
    """`make acme` does it again with the account that is there."""
    if not shutil.which(client):
        pytest.skip(f"{client} is not installed: tools/deps.sh check")
    acme = make_acme(make_gate, trusted, certs, pebble_alone)
    acme.acme(client=client, account=client, arguments=OWN_HTTP[client].format(port=pebble_alone.http))
    seen = {acme.pair()}
    for _ in range(int(os.environ.get("PGSEAL_ACME_ROUNDS", "1"))):
        done = acme("--force")
        assert done["result"] == "renewed" and served(acme.server) == acme.pair() == done["sha256"] not in seen
        assert chain_length(acme.server.path("server.crt")) == 3
        seen.add(done["sha256"])
    account = acme.server.path(f"rotate/{client}")
    keys = [os.path.join(d, f) for d, _, files in os.walk(account) for f in files if "key" in f]
    assert keys and all(os.stat(k).st_mode & 0o077 == 0 for k in keys) and os.stat(account).st_mode & 0o777 == 0o700


def test_a_root_that_clients_do_not_have_changes_nothing(acme, pebble):
    acme.acme(arguments=f"-h {HOOK}", account="other")
    acme("--force", env=pebble.env)
    before = acme.pair()
    pebble.stop()
    pebble.rejects = 10
    pebble.start()
    shutil.rmtree(acme.server.path("rotate/other"))     # pebble has forgotten the account
    done = acme("--force", env=pebble.env, status=1)
    assert (done["result"], done["step"]) == ("failed", "check") and "Pebble Root" in done["error"]
    assert served(acme.server) == before == acme.pair()


STOPS_HALFWAY = -1      # as status


# -- ACME Renewal Information ---------------------------------------------------------------------------------------------
@contextlib.contextmanager
def information(certs, directory, answers):
    """A CA that tells windows: path → (status, body). Yields its address and the paths it was asked for."""
    asked, done = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):       # pylint: disable=invalid-name   # the library's
            asked.append(self.path)
            status, body = next((answers[p] for p in answers if self.path.startswith(p)), (404, ""))
            stops = status == STOPS_HALFWAY
            self.send_response(200 if stops else status)
            # The end of a TLS connection is no end of a body.
            self.send_header("Content-Length", str(len(body) * (2 if stops else 1)))
            self.end_headers()
            self.wfile.write(body.encode())
            if stops:
                done.wait(run.PATIENCE)

        def log_message(self, *args):   # pylint: disable=arguments-differ
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certs.ca.issue("localhost", sans=["localhost"], usage="server").write(directory, "ari"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"https://localhost:{server.server_port}", asked
    finally:
        done.set()
        server.shutdown()
        server.server_close()


def window(start_days, end_days):
    times = [(datetime.datetime.utcnow() + datetime.timedelta(days=d)).strftime("%Y-%m-%dT%H:%M:%SZ")
             for d in (start_days, end_days)]
    return json.dumps({"suggestedWindow": {"start": times[0], "end": times[1]}})


def certificate_id(path):
    """[src: RFC 9773, section 4.1]"""
    with open(path, "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    key = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = cert.serial_number.to_bytes(cert.serial_number.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (key, serial))


@pytest.fixture
def asking(make_gate, trusted, certs, fake_ca):     # noqa: F811
    """A gate whose certificate is not due by its life, and a CA that is good."""
    gate = make_gate(hba=HBA, tls={"cert": certs.ca.issue("db.example", sans=["localhost"], usage="server",
                                                          valid_from=pki.now() - 10 * pki.DAY,
                                                          valid_to=pki.now() + 80 * pki.DAY), "ca": certs.ca.pem()})
    rotate = Rotate(trusted, gate)
    rotate.ask = lambda url: rotate.configure(source="command", command=command(fake_ca, "good"), ari=url, timeout="2")
    return rotate


def test_the_window_of_the_ca_decides(asking, certs, tmp_path):
    name = certificate_id(asking.server.path("server.crt"))
    with information(certs, str(tmp_path), {"/later": (200, window(5, 6)), "/now": (200, window(-2, -1))}) as (url, asked):
        asking.ask(url + "/later")
        later = asking()
        assert later["result"] == "not due" and asked == ["/later/" + name]
        in_days = (datetime.datetime.strptime(later["renew_at"], "%Y-%m-%dT%H:%M:%SZ")
                   - datetime.datetime.utcnow()).total_seconds() / 86400
        assert 4.9 < in_days < 6
        assert asking()["renew_at"] == later["renew_at"] and len(asked) == 1    # it is not asked again at once
        os.unlink(asking.server.path("rotate/ari-server"))
        asking.ask(url + "/now")
        done = asking()
        assert done["result"] == "renewed" and served(asking.server) == done["sha256"]


@pytest.mark.parametrize("answer", [(500, ""), (200, ""), (200, "<html>"), (200, window(-1, -2)), (302, window(-2, -1)),
                                    (200, window(-2, -1)[:-3]), (200, "x" * 100000), (STOPS_HALFWAY, window(-2, -1)),
                                    None])
def test_a_ca_that_answers_nonsense_has_no_wish(asking, certs, tmp_path, answer):
    with information(certs, str(tmp_path), {"/": answer} if answer else {}) as (url, asked):
        asking.ask(url + "/ri")
        assert asking()["result"] == "not due" and asked
    asking.ask(url + "/ri")                             # nobody answers there any more
    assert asking()["result"] == "not due"
