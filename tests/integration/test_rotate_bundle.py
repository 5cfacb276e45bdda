"""
`pgseal rotate` with the bundle source: what a cloud publishes becomes the roots that upstreams are verified with, once
every one of them is.
"""

import os
import signal
import subprocess

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from lib import pki, run
from lib.wire import Conn
from test_rotate import Rotate

HBA = "hostssl all all 127.0.0.1/32 trust\n"


class Cloud:
    """Three regions' roots and what else stands in a bundle."""

    def __init__(self):
        self.one, self.two, self.new = (pki.Authority(f"Region {n} Root CA") for n in ("one", "two", "new"))
        self.expired = pki.Authority("Region 2019 Root CA", valid_from=pki.now() - 900 * pki.DAY,
                                     valid_to=pki.now() - pki.DAY)
        self.middle = self.one.intermediate("Region one Sub CA")


@pytest.fixture(scope="module")
def cloud():
    return Cloud()


@pytest.fixture(scope="module")
def upstream(factory, cloud):
    server = factory.postgres(hba="hostssl all all 127.0.0.1/32 trust\n", tls={
        "cert": cloud.one.issue("db.example", sans=["localhost", "127.0.0.1"], usage="server",
                                valid_to=pki.now() + 90 * pki.DAY)})
    yield server
    factory.stop(server)


@pytest.fixture
def gate(make_gate, upstream, certs, cloud):
    """A gate with TLS to its upstream, verified with roots.pem; what is fetched is fetched.pem."""
    gate = make_gate(start=False, hba=HBA, upstream="replaced below", settings={"upstream_login": "trust"},
                     tls={"cert": certs.server, "ca": certs.ca.pem()})
    gate.upstream = (f"host=localhost port={upstream.port} sslmode=verify-full "
                     f"sslrootcert={gate.path('roots.pem')}")
    gate.configure()
    fetched(gate, cloud.one, cloud.two)
    gate.write("roots.pem", cloud.one.pem() + cloud.two.pem())
    gate.write("rotate.conf", conf())
    return gate.start()


@pytest.fixture
def rotate(program, gate):
    return Rotate(program, gate)


def conf(**more):
    settings = {"source": "bundle", "bundle": "fetched.pem", "roots_file": "roots.pem", **more}
    return "".join(f"rds.{k} = '{v}'\n" for k, v in settings.items())


def fetched(gate, *authorities):
    gate.write("fetched.pem", b"".join(b"a comment\n" + a.pem() for a in authorities))


def names_in(path):
    with open(path, "rb") as f:
        blocks = f.read().split(b"-----BEGIN")[1:]
    return [x509.load_pem_x509_certificate(b"-----BEGIN" + b).subject.rfc4514_string()[3:] for b in blocks]


def roots(gate):
    return names_in(gate.path("roots.pem"))


def changes(done):
    return {(c["change"], c["subject"][4:]) for c in done["changes"]}


def answers(gate):
    with Conn(gate) as c:
        c.start_tls()
        c.ready()
        return c.value("SELECT 'through'") == "through"


def at_day(rotate, day, pytestconfig, scratch):
    """rotate() of a later day."""
    page = os.path.join(scratch, "bundle-clock")
    with open(page, "wb") as f:
        f.write((day * 86400).to_bytes(8, "little") + bytes(4096 - 8))
    return rotate(env=dict(os.environ, FAULTCLOCK=page, LD_PRELOAD=os.path.join(
        os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/faultclock.so")))


def test_roots_come_and_go_after_their_days(rotate, gate, cloud, pytestconfig, scratch):
    assert rotate()["result"] == "not due" and answers(gate)
    fetched(gate, cloud.one, cloud.new, cloud.expired, cloud.middle)
    expected = {("added", "Region new Root CA"), ("kept", "Region two Root CA"), ("expired", "Region 2019 Root CA"),
                ("not a root", "Region one Sub CA")}
    told = rotate("--dry-run")
    assert (told["result"], changes(told)) == ("would be renewed", expected)
    assert told["servers"] == [{"endpoint": f"localhost:{gate.upstream.split('port=')[1].split()[0]}",
                                "setting": "upstream", "verified": True, "error": None}]
    assert roots(gate) == ["Region one Root CA", "Region two Root CA"] and not os.path.exists(gate.path("rds.roots"))
    done = rotate()
    assert (done["result"], changes(done)) == ("renewed", expected)
    assert roots(gate) == ["Region one Root CA", "Region new Root CA", "Region two Root CA"] and answers(gate)
    again = rotate()
    assert again["result"] == "not due" and ("kept", "Region two Root CA") in changes(again)
    assert at_day(rotate, 29, pytestconfig, scratch)["result"] == "not due"
    later = at_day(rotate, 31, pytestconfig, scratch)
    assert later["result"] == "renewed" and ("removed", "Region two Root CA") in changes(later)
    assert roots(gate) == ["Region one Root CA", "Region new Root CA"] and answers(gate)
    assert len([g for g in os.listdir(gate.path("rds.roots")) if g != "live"]) == 1


def test_the_days_of_one_that_comes_back_begin_anew(rotate, gate, cloud, pytestconfig, scratch):
    fetched(gate, cloud.one)
    assert rotate()["result"] == "not due"              # it is kept, and counted from now on
    fetched(gate, cloud.one, cloud.two)
    assert at_day(rotate, 20, pytestconfig, scratch)["changes"] == []
    fetched(gate, cloud.one)
    assert at_day(rotate, 25, pytestconfig, scratch)["result"] == "not due"
    assert at_day(rotate, 50, pytestconfig, scratch)["result"] == "not due"
    assert at_day(rotate, 56, pytestconfig, scratch)["result"] == "renewed"
    assert roots(gate) == ["Region one Root CA"]


def as_pkcs7(form):
    return lambda authorities: pkcs7.serialize_certificates([a.cert for a in authorities], form)


@pytest.mark.parametrize("form", [
    as_pkcs7(serialization.Encoding.PEM), as_pkcs7(serialization.Encoding.DER),
    lambda authorities: authorities[-1].cert.public_bytes(serialization.Encoding.DER)],
    ids=["p7b-pem", "p7b-der", "der"])
def test_forms_of_bundles(rotate, gate, cloud, form):
    gate.write("fetched.p7b", form([cloud.one, cloud.new]))
    gate.write("rotate.conf", conf(bundle="fetched.pem, fetched.p7b"))
    assert rotate()["result"] == "renewed"
    assert set(roots(gate)) == {"Region one Root CA", "Region two Root CA", "Region new Root CA"} and answers(gate)


def test_a_set_that_does_not_verify_the_upstream_changes_nothing(rotate, gate, cloud):
    fetched(gate, cloud.two, cloud.new)
    gate.write("rotate.conf", conf(keep_days="0"))
    before = roots(gate)
    for words in (("--dry-run",), ()):
        done = rotate(*words, status=1)
        assert (done["result"], done["step"]) == ("failed", "check") and "certificate verify failed" in done["error"]
        assert done["servers"][0]["verified"] is False
        assert roots(gate) == before and not os.path.exists(gate.path("rds.roots")) and answers(gate)
    gate.write("rotate.conf", conf())                   # with the old ones beside them it is
    assert rotate()["result"] == "renewed" and answers(gate)


def test_an_upstream_that_does_not_answer(rotate, gate, cloud):
    """It holds nothing up as long as no root goes away."""
    port = run.free_port()
    gate.configure({"upstream.other": f"host=localhost port={port} sslmode=verify-ca sslrootcert={gate.path('roots.pem')}"})
    fetched(gate, cloud.one, cloud.new)
    gate.write("rotate.conf", conf(keep_days="0"))
    done = rotate(status=1)
    assert (done["step"], f"localhost:{port} (upstream.other) does not answer" in done["error"]) == ("check", True)
    gate.write("rotate.conf", conf())
    done = rotate()
    assert done["result"] == "renewed" and [s["verified"] for s in done["servers"]] == [True, False]


@pytest.mark.parametrize("host, error", [("127.0.0.1", None), ("127.0.0.2", "does not match host name"), ("nowhere.invalid", "host name")])
def test_endpoints_of_the_file(rotate, gate, cloud, upstream, host, error):
    fetched(gate, cloud.one, cloud.two, cloud.new)
    gate.write("rotate.conf", conf(endpoints=f"{host}:{upstream.port}"))
    if host == "127.0.0.2":
        upstream.configure({"listen_addresses": "127.0.0.1,127.0.0.2"})
        upstream.restart()
    done = rotate(status=1 if host == "127.0.0.2" else 0)
    assert [s["setting"] for s in done["servers"]] == ["upstream", "endpoints"]
    assert error is None or error in done["servers"][1]["error"]


@pytest.mark.parametrize("content, words", [
    (lambda c: (c.one.pem() + c.new.pem())[:-100], "could not read block 2"),
    (lambda c: c.one.pem() + c.new.pem()[:12], "cut off or malformed"),
    (lambda c: c.one.pem() + c.new.key_pem(), "not a certificate"),
    (lambda c: c.one.cert.public_bytes(serialization.Encoding.DER)[:-1], "could not read file"),
    (lambda c: c.expired.pem() + c.middle.pem(), "contains no valid root"),
    (lambda c: b"<html>404</html>\n", "contains no certificate"),
    (lambda c: None, "could not open file"),
])
def test_what_is_no_bundle_changes_nothing(rotate, gate, cloud, content, words):
    data = content(cloud)
    if data is None:
        os.unlink(gate.path("fetched.pem"))
    else:
        gate.write("fetched.pem", data)
    before = roots(gate)
    done = rotate(status=1)
    assert (done["result"], done["step"]) == ("failed", "read") and words in done["error"]
    assert roots(gate) == before and answers(gate)


def test_what_the_gate_refuses_is_put_back(rotate, gate, cloud):
    fetched(gate, cloud.one, cloud.new)
    gate.write("pg_hba.conf", "hostssl all all 127.0.0.1/99 trust\n")
    before = roots(gate)
    done = rotate(status=1)
    assert (done["result"], done["step"]) == ("failed", "reload") and roots(gate) == before and answers(gate)
    gate.write("pg_hba.conf", HBA)
    assert rotate()["result"] == "renewed" and answers(gate)        # a failure is no reason to wait


def test_a_file_that_is_not_there_yet(program, make_gate, certs, cloud, upstream):
    gate = make_gate(start=False, hba=HBA, upstream="below", tls={"cert": certs.server, "ca": certs.ca.pem()})
    gate.upstream = f"host=localhost port={upstream.port} sslmode=verify-full sslrootcert={gate.path('roots.pem')}"
    gate.configure({"upstream_login": "trust"})
    gate.write("rotate.conf", conf())
    fetched(gate, cloud.one)
    done = Rotate(program, gate)()
    assert done["result"] == "renewed" and roots(gate) == ["Region one Root CA"]
    gate.start()
    assert answers(gate)


def test_killed_anywhere(rotate, gate, cloud, pytestconfig):
    library = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/diecalls.so")
    results = set()
    for n in range(1, 200):
        fetched(gate, cloud.one, cloud.new if n % 2 else cloud.two)
        gate.write("rotate.conf", conf(keep_days="0"))
        done = subprocess.run([rotate.program, "rotate", "-D", gate.dir], timeout=60, capture_output=True, check=False,
                              env=dict(os.environ, LD_PRELOAD=library, DIECALLS=str(n)))
        assert "Region one Root CA" in roots(gate)      # a whole file, whichever it is
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        results.add(rotate()["result"])
        assert roots(gate) == ["Region one Root CA", "Region new Root CA" if n % 2 else "Region two Root CA"]
    assert results == {"renewed", "finished", "not due"} and answers(gate)


@pytest.mark.parametrize("text, words", [
    ("rds.source = bundle\n", "rds.bundle is not set"),
    ("server.source = bundle\nserver.bundle = x\nserver.roots_file = y\n", "a bundle needs another name"),
    (conf(key="rsa-2048"), "cannot be used with source = bundle"),
    (conf(keep_days="no"), "is not a number from 0 to"),
])
def test_mistakes_in_the_file(rotate, gate, text, words):
    gate.write("rotate.conf", text)
    assert words in rotate(status=1)


@pytest.mark.parametrize("more, words", [
    ({"endpoints": "db:99999"}, "is not HOST[:PORT]"), ({"endpoints": "[::1"}, "is not HOST[:PORT]"),
    ({"bundle": "roots.pem"}, "is both rds.bundle and rds.roots_file")])
def test_mistakes_in_what_it_says(rotate, gate, cloud, more, words):
    fetched(gate, cloud.one, cloud.new)
    gate.write("rotate.conf", conf(**more))
    assert words in rotate(status=1)["error"]
