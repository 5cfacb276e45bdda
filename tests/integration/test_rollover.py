"""
`pgseal ca rollover`: a new CA without a cut. Both roots and both revocation lists are in force from `start` to `finish`;
whoever knows one of them connects, and a run that was killed is explained by `status` and finished or taken back.
"""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from cryptography import x509

from lib import howto, pki, wire
from lib.wire import Closed, Conn
from test_rotate import read_pair, served

HBA = ("hostssl pgseal certified 127.0.0.0/8 cert\n"
       "hostssl pgseal all 127.0.0.0/8 trust\n")
# PGSEAL_EVERY_CALL=1: killed in front of each single change to the file system, which takes minutes.
EVERY_CALL = bool(os.environ.get("PGSEAL_EVERY_CALL"))


class Rollover:
    """A gate with a CA of its own, and the command."""

    def __init__(self, program, gate, library):
        self.program, self.gate, self.library = program, gate, library
        self.calls = 0

    def run(self, *words, status=0, env=None):
        done = subprocess.run([self.program, *words], capture_output=True, text=True, check=False, timeout=120,
                              env=env and {**os.environ, **env})
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def __call__(self, word, *more, status=0):
        done = self.run("ca", "rollover", word, "-D", self.gate.dir, "--json", *more, status=status)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def killed(self, word, *more, **how):
        """In front of a call, or when a text has been written. False: it came to its end."""
        env = {"LD_PRELOAD": self.library, **{f"DIECALLS{'_' + k.upper() if k != 'call' else ''}": str(v) for k, v in how.items()}}
        done = subprocess.run([self.program, "ca", "rollover", word, "-D", self.gate.dir, "--json", *more], env={**os.environ, **env},
                              capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
        return done.returncode != 0

    def roots(self):
        with open(self.gate.path("tls/ca.crt"), encoding="ascii") as f:
            blocks = re.findall("-----BEGIN.*?-----END CERTIFICATE-----\n", f.read(), re.S)
        return [x509.load_pem_x509_certificate(block.encode()).subject.rfc4514_string() for block in blocks]

    def lists(self):
        with open(self.gate.path("tls/ca.crl"), encoding="ascii") as f:
            return f.read().count("-----BEGIN X509 CRL-----")

    def issued_by(self):
        with open(self.gate.path("tls/server.crt"), "rb") as f:
            return x509.load_pem_x509_certificate(f.read()).issuer.rfc4514_string()

    def keep(self, name):
        """A copy of the roots that clients have been given."""
        path = self.gate.path(name)
        with open(self.gate.path("tls/ca.crt"), encoding="ascii") as f:
            pki.write_file(path, f.read())
        return path

    def connects(self, root, user="anybody", cert=None):
        with Conn(self.gate) as c:
            c.start_tls(wire.client_context(ca=root, cert=cert))
            return c.ready(user=user, database="pgseal") is c

    def refused(self, root, user="anybody", cert=None):
        try:
            self.connects(root, user, cert)
        except (Closed, OSError, AssertionError):
            return True
        return False

    def certificate(self, name, *more):
        self.run("cert", "issue", "-D", self.gate.dir, "certified", "--file", name, "--force", *more)
        return self.gate.path(f"clients/{name}.crt"), self.gate.path(f"clients/{name}.key")


def own_gate(program, factory):
    """A gate that `pgseal init` made, with the settings and rules of the tests; not started."""
    gate = factory.gate(start=False, upstream="", hba=HBA, settings={
        "ssl": "on", "ssl_cert_file": "tls/server.crt", "ssl_key_file": "tls/server.key", "ssl_ca_file": "tls/ca.crt",
        "ssl_crl_file": "tls/ca.crl", "reload_policy": "strict", "reload_on_change": "off"})
    subprocess.run([program, "init", gate.dir, "--force", "--host", "localhost", "--host", "127.0.0.1"], check=True,
                   capture_output=True)
    return gate


@pytest.fixture(scope="module")
def rollover(program, factory, pytestconfig):
    gate = own_gate(program, factory).start()
    yield Rollover(program, gate, os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/diecalls.so"))
    factory.stop(gate)


def test_a_whole_rollover(rollover):
    """What each client gets at each stage: with the old root, with both, with the new one; with either certificate."""
    gate = rollover.gate
    old = rollover.keep("old.crt")
    old_cert, lost, mended = (rollover.certificate(name) for name in ("before", "lost-before", "mended"))
    assert rollover("status")["phase"] == "none"
    state = rollover("start")
    assert (state["phase"], state["own"], state["server_side"], state["client_side"]) == ("started", True, True, True)
    assert state["old"][0]["subject"] + " G2" == state["new"][0]["subject"]
    assert len(rollover.roots()) == 2 and rollover.lists() == 2
    both = rollover.keep("both.crt")
    new = gate.path("new.crt")
    pki.write_file(new, open(gate.path("ca.next/ca.crt"), encoding="ascii").read())
    assert rollover.connects(old) and rollover.connects(both) and rollover.refused(new)
    assert rollover.connects(both, "certified", old_cert)
    # What a probed handshake presents: a pair of the new CA with the names of the one in use.
    read_pair(gate.path("tls/rollover.crt"), gate.path("tls/rollover.key"))
    rollover.run("cert", "verify", "--root", new, "--host", "localhost", gate.path("tls/rollover.crt"))
    assert "a rollover is under way" in rollover("start", status=1)
    assert "has not issued" in rollover("finish", status=1)

    with Conn(gate) as session:
        session.start_tls(wire.client_context(ca=old))
        session.ready(user="anybody", database="pgseal")
        state = rollover("servers", "--force")
        assert state["phase"] == "issued" and [c["issuer"] for c in state["certificates"]] == ["new"]
        assert session.value("SELECT 'still here'") == "still here"
    assert rollover.connects(new) and rollover.connects(both) and rollover.refused(old)
    # What was issued for clients is listed, until each has been renewed: with the new CA, and in its place.
    listed = rollover("status")["client_files"]
    assert listed == [old_cert[0], lost[0], mended[0]], listed
    assert f"  pgseal cert renew -D {gate.dir} {mended[0]}\n" in rollover.run("ca", "rollover", "status", "-D", gate.dir).stdout
    assert "issuer       /CN=pgseal CA localhost G2" in rollover.run("cert", "renew", "-D", gate.dir, mended[0]).stdout
    assert rollover("status")["client_files"] == listed[:2] and rollover.connects(new, "certified", mended)
    new_cert = rollover.certificate("after")
    assert rollover.connects(new, "certified", old_cert) and rollover.connects(new, "certified", new_cert)
    # A list of each CA: revoking with one leaves the other's in force.
    extra = rollover.certificate("lost")
    rollover.run("cert", "revoke", "-D", gate.dir, extra[0])
    gate.reload()
    assert rollover.lists() == 2
    assert rollover.refused(new, "certified", extra) and rollover.connects(new, "certified", new_cert)
    rollover.run("cert", "revoke", "-D", gate.dir, "--ca", gate.path("ca.old"), lost[0])
    gate.reload()
    assert rollover.lists() == 2
    assert rollover.refused(new, "certified", lost) and rollover.connects(new, "certified", old_cert)
    assert rollover.refused(new, "certified", extra)

    state = rollover("finish", "--force")
    assert state["phase"] == "finished" and len(rollover.roots()) == 1 and rollover.lists() == 1
    assert rollover.connects(new, "certified", new_cert) and rollover.refused(new, "certified", old_cert)
    assert not os.path.exists(gate.path("ca.old")) and not os.path.exists(gate.path("tls/rollover.key"))
    assert "no rollover is under way" in rollover("servers", status=1)
    assert "no rollover is under way" in rollover("abort", status=1)


@pytest.mark.parametrize("after", ["start", "servers"] if EVERY_CALL else ["start"])
def test_abort_goes_back(rollover, after):
    before = {name: open(rollover.gate.path(name), encoding="ascii").read() for name in ("tls/ca.crt", "tls/ca.crl")}
    issuer, old = rollover.issued_by(), rollover.keep("old.crt")
    rollover("start", "--name", "Another CA")
    assert "CN=Another CA" in rollover.roots()
    if after == "servers":
        rollover("servers", "--force")
        assert rollover.issued_by() == "CN=Another CA"
    assert rollover("abort")["phase"] == "aborted"
    assert {name: open(rollover.gate.path(name), encoding="ascii").read() for name in before} == before or after == "servers"
    assert len(rollover.roots()) == rollover.lists() == 1
    assert rollover.issued_by() == issuer and rollover.connects(old)
    assert not os.path.exists(rollover.gate.path("ca.next"))


def test_two_gates_with_one_ca_that_is_kept_apart(program, factory, tmp_path):
    """The first start makes the next CA, the second one takes it; each step on both before the next."""
    gates = [own_gate(program, factory) for _ in range(2)]
    both = [Rollover(program, gate, None) for gate in gates]
    os.rename(gates[0].path("ca"), tmp_path / "ca")
    shutil.rmtree(gates[1].path("ca"))
    shutil.copytree(gates[0].path("tls"), gates[1].path("tls"), dirs_exist_ok=True)
    apart = str(tmp_path / "ca")
    for rollover in both:
        assert rollover("start", apart)["phase"] == "started"
    assert both[0].roots() == both[1].roots() and len(both[0].roots()) == 2
    for rollover in both:
        assert rollover("servers", "--force")["phase"] == "issued"
        assert rollover.issued_by() == both[0].roots()[1]
    for rollover in both:
        assert rollover("finish", "--force")["phase"] == "finished"
        assert len(rollover.roots()) == rollover.lists() == 1
    assert sorted(os.listdir(tmp_path)) == ["ca"]
    assert rollover("start", apart)["phase"] == "started"
    os.rename(tmp_path / "ca.next", tmp_path / "ca.old")
    assert "already exists; move it away" in both[0]("start", apart, status=1)
    for gate in gates:
        factory.stop(gate)


def test_what_the_gate_refuses_to_load_is_put_back(rollover):
    """A rule that is broken meanwhile: start and finish leave the files as they were, and say why."""
    gate = rollover.gate
    rules = open(gate.path("pg_hba.conf"), encoding="ascii").read()
    gate.write("pg_hba.conf", rules + "nonsense\n")
    assert rollover("start", status=1)
    state = rollover("status")
    assert (state["phase"], state["interrupted"], state["step"]) == ("starting", True, "reload") and state["failed"]
    assert len(rollover.roots()) == rollover.lists() == 1
    gate.write("pg_hba.conf", rules)
    assert rollover("start")["phase"] == "started" and len(rollover.roots()) == rollover.lists() == 2
    rollover("servers", "--force")
    gate.write("pg_hba.conf", rules + "nonsense\n")
    assert rollover("finish", "--force", status=1)
    state = rollover("status")
    assert (state["phase"], state["interrupted"]) == ("issued", False) and state["failed"]
    assert len(rollover.roots()) == rollover.lists() == 2
    gate.write("pg_hba.conf", rules)
    assert rollover("finish", "--force")["phase"] == "finished" and len(rollover.roots()) == rollover.lists() == 1


def test_hosts_and_an_upstream_server_that_only_the_old_root_verifies(rollover, factory):
    """
    Certificates by host name belong to a rollover, too. finish asks the server as if the old root were gone, and names it;
    a certificate of the new CA, and it is done.
    """
    gate = rollover.gate
    rollover.run("cert", "issue", "-D", gate.dir, "other", "--host", "other.example", "--out", gate.path("tls"))
    gate.write("pg_hosts.conf", "other.example tls/other.crt tls/other.key tls/ca.crt\n* tls/server.crt tls/server.key tls/ca.crt\n")
    gate.configure({"ssl_sni": "on"})
    gate.reload()
    rollover("start")
    # The pair that is tried out has the names of all hosts, so that each of them can show it.
    for name in ("localhost", "other.example"):
        rollover.run("cert", "verify", "--root", gate.path("ca.next/ca.crt"), "--host", name, gate.path("tls/rollover.crt"))
    gate.configure({"ssl_sni": "on", "rollover_probe": "1%", "rollover_cert_file": "tls/rollover.crt", "rollover_key_file": "tls/rollover.key"})
    assert "is not used" not in gate.reload()
    behind = factory.gate(start=False, upstream="", hba="hostssl all all 127.0.0.1/32 trust\n", settings={
        "ssl": "on", "ssl_cert_file": gate.path("db.crt"), "ssl_key_file": gate.path("db.key")})
    issue = ["cert", "issue", "-D", gate.dir, "db", "--host", "localhost", "--out", gate.dir, "--force"]
    rollover.run(*issue)
    behind.start()
    gate.upstream = f"host=localhost port={behind.port} sslmode=verify-full sslrootcert={gate.path('tls/ca.crt')}"
    gate.configure()
    gate.reload()
    assert [c["issuer"] for c in rollover("servers", "--force")["certificates"]] == ["new", "new"]
    with Conn(gate) as c:
        c.start_tls(wire.client_context(ca=gate.path("ca/ca.crt")), "other.example")
    assert rollover.connects(rollover.keep("both.crt"))
    said = rollover("finish", status=1)
    assert said["phase"] == "issued" and len(said["obstacles"]) == 1
    assert f"localhost:{behind.port} (upstream) cannot be verified without the old root" in said["obstacles"][0]
    rollover.run(*issue)
    behind.reload()
    assert rollover("finish", status=1)["obstacles"] == []          # the clients are left
    assert rollover("finish", "--force")["phase"] == "finished"
    gate.upstream = ""
    gate.configure({"ssl_sni": None, "rollover_probe": None, "rollover_cert_file": None, "rollover_key_file": None})
    gate.reload()
    factory.stop(behind)


def test_a_gate_that_is_down(rollover):
    """status tells of the clients from the file, and says so; no other word takes that for evidence."""
    gate = rollover.gate
    rollover("start")
    assert rollover.connects(rollover.keep("both.crt"), cert=rollover.certificate("seen"))

    def seen(state):
        rows = [{k: v for k, v in c.items() if k not in ("silent_seconds", "not_tested")} for c in state["clients"] if c["address"]]
        return sorted(rows, key=lambda c: (c["user"] or "", c["address"], c["application"] or ""))

    assert rollover.connects(gate.path("both.crt"), user="somebody")
    with Conn(gate) as c:
        c.login(None, user="somebody", database="pgseal")
    asked = rollover("status")
    assert {c["not_tested"] for c in asked["clients"] if c["address"]} == {"a connection without TLS within a day"}
    assert "its address is not tested: a connection without TLS within a day" in \
        rollover.run("ca", "rollover", "status", "-D", gate.dir).stdout
    assert asked["clients_as_of"] is None and asked["unseen"] is None and any(c["cert_issuer"] for c in seen(asked))
    gate.stop()
    told = rollover("status")
    assert seen(told) == seen(asked) and "could not connect to the gate" in told["unseen"]
    written = datetime.datetime.fromtimestamp(os.stat(gate.path("pgseal.clients")).st_mtime, datetime.timezone.utc)
    assert told["clients_as_of"] == written.strftime("%Y-%m-%dT%H:%M:%SZ")
    said = rollover.run("ca", "rollover", "status", "-D", gate.dir).stdout
    assert f"from the file pgseal.clients, as of {written:%Y-%m-%d %H:%M:%S}" in said
    refused = rollover("servers", status=1)
    assert (refused["phase"], refused["clients"], refused["clients_as_of"]) == ("started", None, None)
    os.rename(gate.path("pgseal.clients"), gate.path("aside"))
    assert (rollover("status")["clients"], rollover("status")["clients_as_of"]) == (None, None)
    os.rename(gate.path("aside"), gate.path("pgseal.clients"))
    gate.start()
    assert rollover("abort")["phase"] == "aborted"


@pytest.mark.parametrize("limit, why", [("0", "clients_limit is 0"), ("2", None)])
def test_who_may_have_been_forgotten_is_not_ready(rollover, limit, why):
    """A gate that keeps no clients, or has more of them than it may keep, knows nobody to be ready."""
    gate = rollover.gate
    gate.configure({"clients_limit": limit})
    gate.reload()
    rollover("start")
    for user in ("one", "two", "three"):
        assert rollover.connects(rollover.keep("both.crt"), user=user)
    accept = [word for user in ("one", "two", "three") for word in ("--accept", user)]
    refused = rollover("servers", *accept, status=1)
    assert refused["phase"] == "started" and refused["clients_full"] == (why is None) and (why or "") in (refused["unseen"] or "")
    rollover("servers", "--force")
    assert rollover("finish", *accept, status=1)["phase"] == "issued"
    gate.configure({"clients_limit": None})
    gate.reload()
    assert rollover("abort")["phase"] == "aborted"


def test_somebody_elses_ca(program, make_gate, pytestconfig):
    """Its new roots are a file; its certificates and revocation lists are brought by the operator."""
    old, new = pki.Authority("Company CA"), pki.Authority("Company CA 2")
    names = {"sans": ["localhost", "127.0.0.1"], "usage": "server"}
    gate = make_gate(upstream="", hba=HBA, tls={"cert": old.issue("db", **names), "ca": old.pem(), "crl": old.crl()})
    rollover = Rollover(program, gate, None)
    bundle, before = gate.write("bundle.pem", old.pem() + new.pem()), open(gate.path("client-ca.crt"), encoding="ascii").read()
    state = rollover("start", "--bundle", bundle)
    assert not state["own"] and [c["subject"] for c in state["new"]] == ["/CN=Company CA 2"]
    assert [(f["setting"], f["old"], f["new"]) for f in state["files"]] == [("ssl_ca_file", True, True), ("ssl_crl_file", True, False)]
    assert rollover("abort")["phase"] == "aborted"
    assert open(gate.path("client-ca.crt"), encoding="ascii").read() == before
    rollover("start", "--bundle", bundle)
    said = rollover("servers", "--force", status=1)
    assert "was issued by the old CA, and has no source" in said and f"pgseal reload -D {gate.dir} && pgseal ca rollover servers" in said
    assert rollover("status")["phase"] == "started"                    # nothing was begun
    # A source that still has the old CA behind it is told from one that has the new one.
    gate.write("take.sh", '#!/bin/sh\ncp "$1.signed" "$2" && cp "$1.signed.key" "$3"\n', 0o755)
    for name, authority in (("old", old), ("new", new)):
        again = authority.issue("db", **names)
        again.write(gate.dir, "taken")
        gate.write("rotate.conf", f"server.source = command\nserver.command = '/bin/sh {gate.path('take.sh')} {gate.path('taken')} %out %key'\n")
        os.rename(gate.path("taken.crt"), gate.path("taken.signed"))
        os.rename(gate.path("taken.key"), gate.path("taken.signed.key"))
        if name == "old":
            assert "was issued by the old CA again" in rollover("servers", "--force", status=1)
            assert rollover("status")["phase"] == "issuing"
    assert rollover("servers", "--force")["phase"] == "issued"
    assert "was issued by the new CA" in rollover("abort", status=1)   # its root may not go away
    said = rollover("finish", status=1)
    assert any("has no revocation list of the new CA" in text for text in said["obstacles"])
    fresh = new.crl()
    gate.write("client.crl", old.crl() + fresh)
    gate.reload()
    assert rollover.connects(gate.path("client-ca.crt"))
    assert rollover("finish", status=1)["obstacles"] == []
    assert rollover("finish", "--force")["phase"] == "finished"
    assert open(gate.path("client-ca.crt"), "rb").read() == new.pem()
    assert open(gate.path("client.crl"), "rb").read() == fresh


# -- killed -----------------------------------------------------------------------------------------------------------
def whole(rollover, roots):
    """Whatever happened: the gate serves a pair that fits, starts with its files, and who knows both roots connects."""
    read_pair(rollover.gate.path("tls/server.crt"), rollover.gate.path("tls/server.key"))
    assert served(rollover.gate)
    rollover.run("serve", "-D", rollover.gate.dir, "--check")
    return rollover.connects(roots)


def kill_and_go_on(rollover, word, ends, roots, goes_back, **how):
    """Killed, explained, and done by the same word or taken back."""
    more = ["--force"] if word in ("servers", "finish") else []
    before = rollover("status")["phase"]
    if not rollover.killed(word, *more, **how):
        return False
    state = rollover("status")
    assert whole(rollover, roots)
    assert state["interrupted"] or state["phase"] in (before, ends), state
    said = rollover.run("ca", "rollover", "status", "-D", rollover.gate.dir).stdout
    assert not state["interrupted"] or f'Run "{word}" again' in said
    if goes_back and state["phase"] not in ("none", "finished", "aborted"):
        assert rollover("abort")["phase"] == "aborted"
        assert len(rollover.roots()) == rollover.lists() == 1
    elif state["phase"] != ends:
        assert rollover(word, *more)["phase"] == ends
    assert whole(rollover, roots)
    return True


def reach(rollover, phase):
    """Bring it to where a word may be given; the file of both roots, for a client that was told of them."""
    now = rollover("status")["phase"]
    if now in ("none", "finished", "aborted"):
        if phase == "none":
            return rollover.keep("roots.crt")
        rollover("start")
    both = rollover.keep("roots.crt")
    if phase == "issued" and rollover("status")["phase"] == "started":
        rollover("servers", "--force")
    return both


STEPS = [("start", "none", "started", ["start own", "step ca", "step lists", "step roots", "step pair", "step reload"]),
         ("servers", "started", "issued", ["servers", "step exchange", "step issue"]),
         ("finish", "issued", "finished", ["finish", "step roots", "step lists", "step reload", "step pair", "step retire"]),
         ("abort", "issued", "aborted", ["abort", "step exchange", "step issue", "step lists", "step reload", "step retire"])]


@pytest.mark.parametrize("goes_back", [False, True] if EVERY_CALL else [False], ids=["again", "back"][:1 + EVERY_CALL])
@pytest.mark.parametrize("word, begins, ends, steps", STEPS, ids=[row[0] for row in STEPS])
def test_killed_at_each_step(rollover, word, begins, ends, steps, goes_back):
    for step in steps if EVERY_CALL else steps[1:3]:
        if goes_back and (word == "abort" or step == "step retire"):
            continue
        roots = reach(rollover, begins)
        assert kill_and_go_on(rollover, word, ends, roots, goes_back, after=f"Z {step}"), step
        if word != "finish" and not goes_back:
            rollover("abort") if ends != "aborted" else None


@pytest.mark.skipif(not EVERY_CALL, reason="PGSEAL_EVERY_CALL=1 (make rollover)")
@pytest.mark.parametrize("word, begins, ends, steps", STEPS, ids=[row[0] for row in STEPS])
def test_killed_anywhere(rollover, word, begins, ends, steps):
    assert steps
    call = 0
    for call in range(1, 400):
        roots = reach(rollover, begins)
        if not kill_and_go_on(rollover, word, ends, roots, False, call=call):
            break
        if ends in ("started", "issued"):
            rollover("abort")
    assert 15 < call < 399


# -- the page -----------------------------------------------------------------------------------------------------------
def followed(page, program, factory, tmp_path, prepare):
    gate = own_gate(program, factory)
    os.rename(gate.dir, tmp_path / "gate")
    os.symlink(tmp_path / "gate", gate.dir)
    prepare(gate)
    gate.start()
    try:
        return howto.follow(page, program, tmp_path, PGHOST="localhost", PGPORT=str(gate.port))
    finally:
        factory.stop(gate)


def test_the_howto(program, factory, tmp_path):
    followed("ca-rollover.md", program, factory, tmp_path, lambda gate: subprocess.run(
        [program, "cert", "issue", "-D", gate.dir, "bob", "--for", "jdbc"], check=True, capture_output=True))


def test_the_howto_of_somebody_elses_ca(program, factory, tmp_path):
    """The company is here, and sends its files."""
    old, new = pki.Authority("Company CA"), pki.Authority("Company CA 2")
    names = {"sans": ["localhost", "127.0.0.1"], "usage": "server"}

    def prepare(gate):
        shutil.rmtree(gate.path("ca"))
        old.issue("db", **names).write(gate.path("tls"), "server")
        pki.write_file(gate.path("tls/ca.crt"), old.pem())
        pki.write_file(gate.path("tls/ca.crl"), old.crl())
        pki.write_file(tmp_path / "new-roots.pem", new.pem())
        pki.write_file(tmp_path / "new.crl", new.crl())
        new.issue("db", **names).write(str(tmp_path), "next")
    followed("ca-rollover-foreign.md", program, factory, tmp_path, prepare)
    assert (tmp_path / "gate/tls/ca.crt").read_bytes() == new.pem()
