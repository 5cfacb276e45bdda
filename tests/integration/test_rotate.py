"""
`pgseal rotate`: what is due is renewed, checked, exchanged in one step and served; whatever goes wrong leaves the
old pair in force.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading

import pytest

from cryptography import x509

from lib import pki, run, wire
from lib.wire import Conn

HERE = os.path.dirname(os.path.abspath(__file__))
FAKE_CA = os.path.join(HERE, "lib", "fake_ca.py")
HBA = "hostssl app all 127.0.0.1/32 trust\n"
NAMES = ["localhost", "db.example", "127.0.0.1"]


class Rotate:
    """The command, and what is there before and after it."""

    def __init__(self, program, server):
        self.program, self.server = program, server
        self.target = server.data

    def __call__(self, *words, status=0, env=None):
        done = subprocess.run([self.program, "rotate", "-D", self.target, "--json", *words], env=env, timeout=120,
                              capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)[0] if done.stdout.startswith("[\n  {") else done.stderr

    def configure(self, **settings):
        self.server.write("rotate.conf", "".join(f"server.{k} = '{v}'\n" for k, v in settings.items()))

    def pair(self):
        return read_pair(self.server.path("server.crt"), self.server.path("server.key"))


def read_pair(cert, key):
    """The certificate's fingerprint, of a pair that fits: a server could start with it."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    with open(cert, "rb") as f:
        return fingerprint(x509.load_pem_x509_certificate(f.read()))


def fingerprint(cert):
    return cert.fingerprint(pki.hashes.SHA256()).hex()


def served(server):
    with Conn(server) as c:
        c.start_tls()
        return fingerprint(x509.load_der_x509_certificate(c.tls.getpeercert(True)))


def in_session(server):
    c = Conn(server)
    c.start_tls()
    return c.ready()


@pytest.fixture(scope="module")
def fake_ca(scratch, certs):
    """A directory with a root, and an intermediate CA of it."""
    directory = os.path.join(scratch, "fake-ca")
    os.makedirs(directory, exist_ok=True)     # two modules use it
    certs.ca.write(directory, "ca")
    certs.ca.intermediate("Fake Sub CA").write(directory, "sub")
    return directory


@pytest.fixture
def gate(make_gate, certs):
    return make_gate(hba=HBA, settings={"reload_policy": "strict"},
                     tls={"cert": certs.ca.issue("db.example", sans=NAMES, usage="server",
                                                 valid_to=pki.now() + 20 * pki.DAY),
                          "ca": certs.ca.pem()})


@pytest.fixture
def rotate(program, gate):
    return Rotate(program, gate)


def command(fake_ca, how):
    return f"/usr/bin/python3 {FAKE_CA} {how} {fake_ca} %csr %out"


@pytest.fixture
def own(program, gate):
    """The gate with a CA of its own, which has issued what it serves."""
    ca = [program, "ca", "init", "-D", gate.dir]
    subprocess.run(ca, check=True, capture_output=True)
    subprocess.run([program, "cert", "issue", "-D", gate.dir, "db.example", "--host", "localhost", "--host",
                    "db.example", "--host", "127.0.0.1", "--out", gate.dir, "--file", "server", "--force"],
                   check=True, capture_output=True)
    shutil.copy(gate.path("ca/ca.crt"), gate.path("client-ca.crt"))
    gate.configure({"reload_policy": "postgres"})
    gate.reload()
    gate.configure({"reload_policy": "strict"})
    gate.reload()
    return Rotate(program, gate)


# -- the own CA -----------------------------------------------------------------------------------------------------
def test_the_own_ca_renews_without_a_file(own, gate):
    before = own.pair()
    assert served(gate) == before
    idle = own()
    assert (idle["result"], idle["source"], idle["due"]) == ("not due", "ca", False)
    with in_session(gate) as old:
        new = own("--force")
        assert (new["result"], new["served"]) == ("renewed", True)
        assert served(gate) == own.pair() == new["sha256"] != before
        assert old.value("SELECT 'still here'") == "still here"
    assert os.stat(gate.path("server.key")).st_mode & 0o777 == 0o600
    generations = [g for g in os.listdir(gate.path("server.pairs")) if g != "live"]
    assert len(generations) == 1                        # the old key is gone
    assert "server done" in open(gate.path("rotate/journal"), encoding="ascii").read()
    own("--force")
    subprocess.run([own.program, "cert", "renew", "-D", gate.dir, gate.path("server.crt")], check=True,
                   capture_output=True)
    assert own.pair() != new["sha256"]                  # other commands find their way to the pair


def test_visits_of_ones_own_are_no_failures(own, gate):
    """rotate and monitor look at what is served, and go: the gate knows them, and nobody else, by name."""
    since = gate.log.mark()
    own("--force")
    subprocess.run([own.program, "monitor", gate.dir], check=False, capture_output=True)
    assert "tls_left" not in gate.words(since)
    name = "check-0123456789abcdef-" + 32 * "0" + ".pgseal.invalid"
    with Conn(gate) as c:
        c.start_tls(host=name)
    gate.log.wait_for(f"event=tls_left .*sni={name}", since)


def test_the_pages_have_a_pair_of_their_own(own, gate, certs, fake_ca):
    port = run.free_port()
    cert = certs.ca.issue("localhost", sans=["localhost"], usage="server", valid_to=pki.now() + 9 * pki.DAY)
    cert.write(gate.dir, "http")
    gate.configure({"http_listen": f"127.0.0.1:{port}", "http_cert_file": "http.crt", "http_key_file": "http.key",
                    "reload_policy": "postgres"})
    gate.restart()
    gate.write("rotate.conf", f"http.source = command\nhttp.command = '{command(fake_ca, 'good')}'\n")
    shown = lambda: fingerprint(x509.load_pem_x509_certificate(     # noqa: E731
        ssl.get_server_certificate(("127.0.0.1", port)).encode()))
    assert shown() == fingerprint(cert.cert)
    done = own("--force", "--pair", "http")
    assert (done["pair"], done["result"], done["served"]) == ("http", "renewed", True)
    assert shown() == done["sha256"] == read_pair(gate.path("http.crt"), gate.path("http.key"))


def test_pairs_that_other_settings_name(own, gate, fake_ca):
    """Those that the gate's CA issued are renewed without a line in rotate.conf, and each file once."""
    issue = [own.program, "cert", "issue", "-D", gate.dir]
    for words in (["canary", "--host", "canary.invalid", "--out", gate.dir], ["asker", "--out", gate.path("clients")]):
        subprocess.run([*issue, *words], check=True, capture_output=True)
    gate.configure({"reload_policy": "postgres", "canary_cert_file": "canary.crt", "canary_key_file": "canary.key",
                    "cancel_peer_cert_file": "server.crt", "cancel_peer_key_file": "server.key",
                    "upstream_check_cert_file": "clients/asker.crt", "upstream_check_key_file": "clients/asker.key"})
    gate.reload()

    def rotate(*words):
        done = subprocess.run([own.program, "rotate", "-D", gate.dir, "--json", *words], timeout=120, check=True,
                              capture_output=True, text=True)
        return {row["pair"]: row for row in json.loads(done.stdout)}

    def names(path):
        with open(gate.path(path), "rb") as f:
            return x509.load_pem_x509_certificate(f.read())

    assert set(rotate("--dry-run", "--clients")) == {"server", "canary", "upstream_check"}
    before = names("clients/asker.crt"), names("canary.crt")
    done = rotate("--force", "--pair", "canary", "--pair", "upstream_check")
    assert [(done[p]["result"], done[p]["sha256"]) for p in ("canary", "upstream_check")] == [
        ("renewed", read_pair(gate.path("canary.crt"), gate.path("canary.key"))),
        ("renewed", read_pair(gate.path("clients/asker.crt"), gate.path("clients/asker.key")))]
    after = names("clients/asker.crt"), names("canary.crt")
    for old, new in zip(before, after):
        assert old != new and old.subject == new.subject
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
            assert [e.value for e in old.extensions if isinstance(e.value, kind)] == \
                [e.value for e in new.extensions if isinstance(e.value, kind)]
    assert os.stat(gate.path("clients/asker.key")).st_mode & 0o777 == 0o600
    gate.write("rotate.conf", f"upstream_check.source = command\nupstream_check.command = '{command(fake_ca, 'good')}'\n")
    assert set(rotate("--dry-run")) == {"server", "canary", "upstream_check"}


def test_due_with_a_third_of_the_life_left(own, pytestconfig, scratch):
    page = os.path.join(scratch, "rotate-clock")
    env = dict(os.environ, FAULTCLOCK=page, LD_PRELOAD=os.path.join(
        os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/faultclock.so"))
    before = own.pair()

    def in_days(days):
        with open(page, "wb") as f:
            f.write((days * 86400).to_bytes(8, "little") + bytes(4096 - 8))
        return own("--dry-run", env=env)["result"]

    assert in_days(59) == "not due"
    assert in_days(61) == "would be renewed"
    assert own.pair() == before and not os.path.exists(own.server.path("server.pairs"))


def test_what_the_gate_refuses_is_put_back(own, gate):
    before = own.pair()
    gate.write("pg_hba.conf", "hostssl app all 127.0.0.1/99 trust\n")
    done = own("--force", status=1)
    assert (done["result"], done["step"]) == ("failed", "reload") and own.pair() == before == served(gate)
    gate.write("pg_hba.conf", HBA)
    waits = own(status=0)                               # it is not due: nothing is amiss
    assert waits["result"] == "not due"
    assert own("--force")["result"] == "renewed"


def test_a_gate_that_does_not_run_gets_its_pair(own, gate):
    gate.stop()
    done = own("--force")
    assert (done["result"], done["served"]) == ("renewed", None)
    gate.start()
    assert served(gate) == done["sha256"]


def test_killed_anywhere(own, gate, pytestconfig):
    """Whenever it is killed: there is a pair that fits, the gate serves, and the next run brings all to its end."""
    library = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/diecalls.so")
    own("--force")                                      # the first one makes the generations
    seen = set()
    for n in range(1, 400):
        env = dict(os.environ, LD_PRELOAD=library, DIECALLS=str(n))
        done = subprocess.run([own.program, "rotate", "-D", gate.dir, "--force"], env=env, timeout=60,
                              capture_output=True, text=True, check=False)
        now = own.pair()
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        assert served(gate)
        after = own()
        assert after["result"] in ("not due", "finished") and own.pair() == served(gate) == after["sha256"]
        seen.add((after["result"], now == after["sha256"]))
    else:
        pytest.fail("it never came to its end")
    assert n > 40 and ("finished", True) in seen and ("not due", True) in seen


def test_killed_while_it_makes_the_first_generation(own, gate, pytestconfig):
    library = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/diecalls.so")
    before = own.pair()
    for n in range(1, 400):
        done = subprocess.run([own.program, "rotate", "-D", gate.dir, "--force"], timeout=60, check=False,
                              env=dict(os.environ, LD_PRELOAD=library, DIECALLS=str(n)), capture_output=True)
        now = own.pair()                                # raises where key and certificate are of two pairs
        if now != before:
            break
    assert done.returncode == -signal.SIGKILL
    assert own()["result"] in ("finished", "not due")
    assert served(gate) == own.pair() != before


# -- a CA that is reached by a command ----------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["good", "chain"])
def test_a_command_signs_our_request(rotate, gate, fake_ca, how):
    rotate.configure(source="command", command=command(fake_ca, how))
    done = rotate("--force")
    assert done["result"] == "renewed" and served(gate) == rotate.pair() == done["sha256"]
    assert rotate()["result"] == "not due"
    assert not os.path.exists(gate.path("rotate/request-server/leaf.key"))


@pytest.mark.parametrize("how, step, words", [
    ("wrong-key", "check", "is not for the new key"),
    ("lost-name", "check", "does not have the name ip:127.0.0.1 of the old one"),
    ("expired", "check", "expired at"),
    ("not-yet", "check", "is not valid before"),
    ("outlives", "check", "before the leaf"),
    ("shorter", "check", "before the old one"),
    ("wrong-use", "check", "may not be used by a server"),
    ("half-chain", "check", "the chain is incomplete"),
    ("truncated", "issue", "chain.pem"),
    ("empty", "issue", "chain.pem"),
    ("huge", "issue", "chain.pem"),
    ("impostor", "check", "clients refuse the chain"),
    ("another", "check", "is not for the new key"),
    ("stops-halfway", "issue", "did not end within 2 seconds"),
    ("dead", "issue", "ended with status 7"),
])
def test_what_a_bad_ca_delivers_changes_nothing(rotate, gate, fake_ca, how, step, words):
    before = rotate.pair()
    rotate.configure(source="command", command=command(fake_ca, how), renew_at="99",
                     timeout="2" if how == "stops-halfway" else "60")
    done = rotate(status=1)
    assert (done["result"], done["step"]) == ("failed", step) and words in done["error"], done
    assert how != "dead" or "out for lunch" in done["detail"]
    assert rotate.pair() == before == served(gate)
    pairs = gate.path("server.pairs")
    assert not os.path.exists(pairs) or len(os.listdir(pairs)) <= 2


def test_files_that_are_broken_already(rotate, gate, fake_ca):
    """Nothing is put over them: who broke them may want to see them."""
    rotate.configure(source="command", command=command(fake_ca, "good"))
    good = gate.path("server.crt"), gate.path("server.key")
    kept = [open(path, "rb").read() for path in good]
    for path, content, words in ((good[0], kept[0][:-80], "server.crt"), (good[0], b"", "server.crt"),
                                 (good[1], None, "server.key")):
        if content is None:
            os.unlink(path)
        else:
            pki.write_file(path, content)
        done = rotate("--force", status=1)
        assert (done["result"], done["step"]) in (("failed", "begin"), ("failed", "key")) and words in done["error"], done
        assert not os.path.exists(gate.path("server.pairs"))
        for at, text in zip(good, kept):
            pki.write_file(at, text, 0o600)


def test_after_a_failure_it_waits_and_says_so(rotate, fake_ca, gate):
    rotate.configure(source="command", command=command(fake_ca, "dead"), renew_at="99")
    rotate(status=1)
    waits = rotate(status=1)
    assert waits["result"] == "waiting" and waits["next_attempt"] and "status 7" in waits["error"]
    rotate.configure(source="command", command=command(fake_ca, "good"), renew_at="99")
    assert rotate("--force")["result"] == "renewed"


def test_metrics_and_exit_status_say_which_step_failed(rotate, gate, fake_ca):
    file = gate.path("metrics.prom")

    def failed(*words, status):
        rotate("--textfile", file, *words, status=status)
        done = subprocess.run(["promtool", "check", "metrics"], stdin=open(file, "rb"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(file, encoding="ascii") as f:
            return re.findall(r'^pgseal_rotate_failed\{.*pair="(.*?)",step="(.*?)"\} (\d)$', f.read(), re.M)

    rotate.configure(source="command", command=command(fake_ca, "lost-name"), renew_at="99")
    assert failed(status=1) == [("server", "check", "1")]
    assert failed(status=1) == [("server", "check", "1")]                   # it waits, after a failure of that step
    rotate.configure(source="command", command=command(fake_ca, "good"), renew_at="99")
    assert failed("--force", status=0) == [("server", "", "0")]
    rotate.configure(source="nonsense")
    assert failed(status=1) == [("", "begin", "1")]                         # no file, no pairs, and not nothing
    with open(gate.path("rotate/lock"), "w", encoding="ascii") as lock:
        rotate.configure(source="command", command=command(fake_ca, "good"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert failed(status=1) == [("", "begin", "1")]                     # the other run will write what it finds
    for words, status in ((("--no-such-option",), 2), (("--pair", "other"), 1)):
        assert subprocess.run([rotate.program, "rotate", "-D", gate.dir, *words], capture_output=True,
                              check=False).returncode == status


def tree(directory):
    return {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_ino)
            for at, _, files in os.walk(directory) for path in [at, *(os.path.join(at, f) for f in files)]}


def test_a_dry_run_touches_nothing(rotate, gate, fake_ca):
    """What is due is told; nobody is asked for a certificate, and not a file is written."""
    rotate.configure(source="command", command=command(fake_ca, "dead"), renew_at="99")
    before, ours = tree(gate.dir), os.path.exists(gate.path("rotate"))
    told = rotate("--dry-run")
    assert (told["result"], told["due"], told["error"]) == ("would be renewed", True, None)
    after = tree(gate.dir)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if not path.startswith(gate.socket_dir + "/.s.") and "log" not in path} == set()
    assert not ours and not os.path.exists(gate.path("rotate"))


def test_a_slow_ca_is_not_waited_for_and_never_two_at_once(rotate, gate, fake_ca):
    for name in ("waiting", "go"):
        if os.path.exists(os.path.join(fake_ca, name)):
            os.unlink(os.path.join(fake_ca, name))
    rotate.configure(source="command", command=command(fake_ca, "slow"), timeout="3")
    first = {}
    thread = threading.Thread(target=lambda: first.update(rotate("--force", status=1)))
    thread.start()
    run.wait_until(lambda: os.path.exists(os.path.join(fake_ca, "waiting")), "the CA to be asked")
    assert "another pgseal rotate is running" in rotate("--force", status=1)
    thread.join()
    assert first["step"] == "issue" and "did not end within 3 seconds" in first["error"]
    assert served(gate) == rotate.pair()


def test_names_may_be_given_up_in_the_file(rotate, gate, fake_ca):
    rotate.configure(source="command", command=command(fake_ca, "good"), names="localhost, db2.example")
    gate.configure({"reload_policy": "postgres"})
    gate.reload()
    assert rotate("--force")["result"] == "renewed"
    with open(gate.path("server.crt"), "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    sans = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == ["localhost", "db2.example"]


@pytest.mark.parametrize("text, words", [
    ("server.sauce = ca", 'Perhaps you meant "source"'),
    ("server.source = magic", "is not one of ca, acme, command and bundle"),
    ("server.source = command", "server.command is not set"),
    ("server.source = ca\nserver.command = 'x'", "cannot be used with source = ca"),
    ("server.source = command\nserver.command = 'a \"b'", "a double quote is not closed"),
    ("other.source = ca", "other.cert_file is not set"),
    ("source = ca", "settings are written NAME.setting"),
    ("server.source = ca\nserver.days = many", "is not a number from 1 to"),
])
def test_mistakes_in_the_file(rotate, gate, text, words):
    gate.write("rotate.conf", text + "\n")
    assert words in rotate(status=1)


HOOKS = os.path.join(HERE, "..", "..", "dist", "hooks")


@pytest.mark.parametrize("client", ["certbot", "lego"])
def test_the_deploy_hook(rotate, gate, certs, tmp_path, client):
    rotate.configure(source="command", command=f"{HOOKS}/take-pair %out %key")
    new = certs.ca.issue("db.example", sans=NAMES, usage="server", valid_to=pki.now() + 90 * pki.DAY)
    stem = {"certbot": ("fullchain.pem", "privkey.pem"), "lego": ("db.crt", "db.key")}[client]
    pki.write_file(str(tmp_path / stem[0]), new.pem())
    pki.write_file(str(tmp_path / stem[1]), new.key_pem(), 0o600)
    env = dict(os.environ, PGSEAL=rotate.program, PGSEAL_DIR=gate.dir)
    if client == "certbot":
        env["RENEWED_LINEAGE"] = str(tmp_path)
    else:
        env.update(LEGO_CERT_PATH=str(tmp_path / stem[0]), LEGO_CERT_KEY_PATH=str(tmp_path / stem[1]))
    done = subprocess.run([f"{HOOKS}/deploy-to-pgseal"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert served(gate) == fingerprint(new.cert) == rotate.pair()
    assert not os.path.exists(gate.path("rotate/request-server/leaf.key"))


# -- a PostgreSQL that serves TLS itself ------------------------------------------------------------------------------
def make_postgres(factory, distribution, certs, **settings):
    return factory.postgres(distribution, hba=HBA, settings=settings, tls={
        "cert": certs.ca.issue("db.example", sans=NAMES, usage="server", valid_to=pki.now() + 20 * pki.DAY),
        "ca": certs.ca.pem()})


@pytest.fixture
def postgres(factory, debian, certs):
    server = make_postgres(factory, debian, certs)
    yield server
    factory.stop(server)


@pytest.fixture
def pg_rotate(program, postgres, fake_ca):
    return rotate_of(program, postgres, fake_ca)


def rotate_of(program, postgres, fake_ca):
    """Its rotate.conf, in a state directory of the server's account, and a CA that the account can reach."""
    state = os.path.join(postgres.dir, "pgseal-data")
    os.mkdir(state)
    ca = shutil.copytree(fake_ca, os.path.join(postgres.dir, "ca"))
    for path in [state, ca, *(os.path.join(ca, f) for f in os.listdir(ca))]:
        run.give_to_server(path)
    rotate = Rotate(program, postgres)
    rotate.ca = ca
    rotate.configure = lambda **s: pki.write_file(os.path.join(state, "rotate.conf"), "".join(
        f"server.{k} = '{v}'\n" for k, v in s.items()))
    return rotate


def test_a_server_of_its_own_is_renewed(pg_rotate, postgres):
    pg_rotate.configure(source="command", command=command(pg_rotate.ca, "good"))
    before = served(postgres)
    with in_session(postgres) as old:
        done = pg_rotate("--force")
        assert (done["result"], done["served"]) == ("renewed", True)
        assert served(postgres) == pg_rotate.pair() == done["sha256"] != before
        assert old.value("SELECT 'still here'") == "still here"
    assert os.stat(postgres.path("server.key")).st_uid == os.stat(postgres.data).st_uid
    postgres.restart()
    assert served(postgres) == done["sha256"]


def test_what_a_server_does_not_take_is_put_back(pg_rotate, postgres):
    """A reload that fails is only a line in PostgreSQL's log: the handshake tells."""
    pg_rotate.configure(source="command", command=command(pg_rotate.ca, "good"))
    before = served(postgres)
    postgres.configure({"ssl_crl_file": postgres.write("broken.crl", "broken\n")})
    done = pg_rotate("--force", status=1)
    assert (done["result"], done["step"]) == ("failed", "verify"), done
    assert served(postgres) == before == pg_rotate.pair()
