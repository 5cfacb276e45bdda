"""
`pgseal rotate --clients`, and client certificates that a gate shows its upstream: what a server would not take is not
taken into use.
"""

import json
import os
import shutil
import subprocess

import pytest

from lib import pki
from lib.wire import Conn
from test_rotate import Rotate, command, fake_ca, read_pair     # noqa: F401  (a fixture)

HBA = "hostssl all all 127.0.0.1/32 trust\n"


class Clients(Rotate):
    """The reports of all pairs, by name."""

    def __call__(self, *words, status=0, env=None):
        done = subprocess.run([self.program, "rotate", "-D", self.target, "--json", *words], env=env, timeout=120,
                              capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return {r["pair"]: r for r in json.loads(done.stdout)} if done.stdout.startswith("[\n  {") else done.stderr


def pgseal(program, *words):
    subprocess.run([program, *words], check=True, capture_output=True)


# -- clients/ -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def own(program, tmp_path):
    """A gate's directory as init leaves it, with three users."""
    directory = str(tmp_path / "gate")
    pgseal(program, "init", directory, "--host", "localhost", "--user", "alice")
    for name in ("bob", "carol of sales"):
        pgseal(program, "cert", "issue", "-D", directory, name)
    server = type("Directory", (), {"data": directory, "path": lambda self, n: os.path.join(directory, n)})()
    return Clients(program, server)


def pair_of(own, stem):
    return read_pair(own.server.path(f"clients/{stem}.crt"), own.server.path(f"clients/{stem}.key"))


def test_clients_when_asked(own):
    assert list(own("--dry-run")) == ["server"]
    told = own("--clients")
    assert {n: r["result"] for n, r in told.items()} == {n: "not due" for n in (
        "server", "client-alice", "client-bob", "client-carol_of_sales")}
    before = {stem: pair_of(own, stem) for stem in ("alice", "bob")}
    done = own("--clients", "--force", "--pair", "client-alice")
    assert list(done) == ["client-alice"] and done["client-alice"]["result"] == "renewed"
    assert done["client-alice"]["file"].endswith("clients/alice.crt")
    assert pair_of(own, "alice") == done["client-alice"]["sha256"] != before["alice"]
    assert pair_of(own, "bob") == before["bob"]
    assert os.stat(own.server.path("clients/alice.key")).st_mode & 0o777 == 0o600
    subject = subprocess.run([own.program, "cert", "show", own.server.path("clients/alice.crt")], check=True,
                             capture_output=True, text=True).stdout
    assert "alice" in subject and "client" in subject
    own("--clients", "--force", "--pair", "client-alice")
    pgseal(own.program, "cert", "renew", "-D", own.target, "alice")    # other commands find their way


def test_others_certificates_are_left_alone(own, certs):
    certs.ca.issue("dave").write(own.server.path("clients"), "dave")
    shutil.copy(own.server.path("clients/bob.crt"), own.server.path("clients/alone.crt"))
    pki.write_file(own.server.path("clients/broken.crt"), "nothing\n")
    assert set(own("--clients")) == {"server", "client-alice", "client-bob", "client-carol_of_sales"}
    assert "there is no pair" in own("--pair", "client-bob", status=1)


def test_other_forms_are_not_left_behind(own):
    pgseal(own.program, "cert", "issue", "-D", own.target, "--for", "jdbc", "erin")
    forms = [f for f in os.listdir(own.server.path("clients")) if f.startswith("erin.") and f[-4:] in (".p12", ".pk8")]
    before = pair_of(own, "erin")
    done = own("--clients", "--force", "--pair", "client-erin", status=1)["client-erin"]
    assert forms and (done["result"], done["step"]) == ("failed", "begin") and forms[0] in done["error"]
    assert pair_of(own, "erin") == before


# -- a gate's own client certificate ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def upstream(factory, certs):
    """A server that knows the gate by its certificate."""
    server = factory.postgres(hba="hostssl all gate 127.0.0.1/32 cert\n", tls={"cert": certs.server, "ca": certs.ca.pem()})
    with server.admin() as connection:
        connection.execute("CREATE ROLE gate LOGIN")
    yield server
    factory.stop(server)


@pytest.fixture
def companion(program, make_gate, upstream, certs, fake_ca):     # noqa: F811
    """A gate without certificates for its clients, which logs in as a service."""
    gate = make_gate(start=False, hba="local all all trust\n", upstream="below", settings={"upstream_login": "service"})
    certs.ca.issue("gate", valid_to=pki.now() + 20 * pki.DAY).write(gate.dir, "upstream")
    gate.upstream = (f"host=localhost port={upstream.port} user=gate sslmode=verify-full sslrootcert={certs.ca_file} "
                     f"sslcert={gate.path('upstream.crt')} sslkey={gate.path('upstream.key')}")
    gate.configure()
    rotate = Clients(program, gate.start())
    rotate.how = lambda how: gate.write("rotate.conf", "".join(f"upstream.{k} = '{v}'\n" for k, v in {
        "source": "command", "cert_file": "upstream.crt", "key_file": "upstream.key",
        "command": command(fake_ca, how)}.items()))
    return rotate


def reaches(gate):
    with Conn(gate, unix=True) as c:
        return c.ready(user="alice", database="app").value("SELECT current_user") == "gate"


def own_pair(gate):
    return read_pair(gate.path("upstream.crt"), gate.path("upstream.key"))


def test_the_upstream_has_to_take_it(companion, upstream):
    gate = companion.server
    before = own_pair(gate)
    assert reaches(gate)
    companion.how("wrong-subject")
    done = companion("--force", status=1)["upstream"]
    assert (done["result"], done["step"]) == ("failed", "check") and own_pair(gate) == before
    assert "accepted the old client certificate, but not the new one: certificate authentication failed" in done["error"]
    companion.how("client")
    done = companion("--force")["upstream"]
    assert (done["result"], done["served"]) == ("renewed", True) and own_pair(gate) == done["sha256"] != before
    assert reaches(gate)
