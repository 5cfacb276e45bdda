"""
rollover_probe and canary: who is tried out, what a client gets to see, and what is known of it then.

Every test has addresses of its own on one gate, and the hour between two trials of an address is the test's clock's.
"""

import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import urllib.request

import psycopg
import pytest
from cryptography import x509

from lib import pki, run
from lib.clock import Clock, environment
from lib.pg import PASSWORDS
from lib.wire import EOF, V3_0, Closed, Conn, cancel_request, client_context, query, startup

ALICE = PASSWORDS["alice"]
HBA = """\
hostssl     all,replication all 127.1.0.0/16 scram-sha-256
hostnossl   all all   127.2.0.0/16 reject
host        all all   127.2.0.0/16 scram-sha-256
host        app carol 127.3.0.0/16 scram-sha-256
hostssl     all all   127.3.0.0/16 scram-sha-256
hostssl     app carol 127.4.0.0/16 cert
"""
HOUR = 3600
TOLD = "connection was used to test whether the client verifies the server's certificate"
NAMES = ["localhost", "db.example", "127.0.0.1", "::1"]
ADDRESSES = (f"{n // 250}.{n % 250 + 1}" for n in itertools.count())
IN, REFUSED = ("Z", "I"), "SSLCertVerificationError"


def new_address(network="127.1"):
    return f"{network}.{next(ADDRESSES)}"


class Trials:
    """The gate, its clock, and the certificates that it tries clients out with."""

    def __init__(self, gate, clock, certs, directory):
        self.gate, self.clock, self.certs = gate, clock, certs
        self.next = pki.Authority("the next CA")
        self.next_file = os.path.join(directory, "next.crt")
        pki.write_file(self.next_file, self.next.pem())
        self.put("rollover", self.next.issue("db.example", sans=NAMES, usage="server"))
        self.put("canary", certs.ca.issue("canary.invalid", sans=["canary.invalid"], usage="server"))

    def put(self, stem, cert):
        self.gate.write(f"{stem}.crt", cert.pem())
        self.gate.write(f"{stem}.key", cert.key_pem(), 0o600)

    def configure(self, rollover=None, canary=None, named=True, **more):
        """Reload with these shares; returns what was logged."""
        self.gate.configure({
            "rollover_probe": rollover, "canary": canary,
            "rollover_cert_file": "rollover.crt" if rollover else None,
            "rollover_key_file": "rollover.key" if rollover else None,
            "canary_cert_file": "canary.crt" if canary and named else None,
            "canary_key_file": "canary.key" if canary and named else None, **more})
        return self.gate.reload()

    def view(self, columns, address):
        """Rows of an address; the question makes all workers hand over what they have seen."""
        with psycopg.connect(host=self.gate.socket_dir, port=self.gate.port, user="dba", dbname="pgseal",
                             autocommit=True) as db:
            return db.execute(f"SELECT {columns} FROM pgseal_clients WHERE client_addr = %s "
                              "ORDER BY user_name NULLS LAST", (address,)).fetchall()

    def connect(self, address, ca=None, host=None, user="alice", **more):
        """One connection: what came of it last, and who had issued the certificate that was shown."""
        context = client_context(ca=ca)
        context.check_hostname = bool(ca and host)
        shown = None
        with Conn(self.gate, source=address) as c:
            try:
                c.start_tls(context, host)
                shown = x509.load_der_x509_certificate(c.tls.getpeercert(True))
                return c.login(PASSWORDS[user], user=user, **more)[-1], shown
            except Closed as e:
                return e.how, shown
            except ssl.SSLError as e:       # the client's own verification
                return type(e).__name__, shown

    def known(self, address, **more):
        """An address with a TLS session, which the gate has noticed."""
        assert self.connect(address, **more)[0] == IN
        assert self.view("sessions", address)[0][0] > 0
        return address

    def counted(self):
        """The metric: {(kind, result): count}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gate.http}/metrics", timeout=run.PATIENCE) as page:
            text = page.read().decode()
        return {found[:2]: int(found[2]) for found in
                re.findall(r'^pgseal_trials_total\{kind="([^"]*)",result="([^"]*)"\} (\d+)', text, re.M)}

    def is_tried(self, address, **more):
        """Does the next handshake show another certificate?"""
        _, shown = self.connect(address, **more)
        return shown.serial_number != self.certs.server.serial


@pytest.fixture(scope="module")
def trials(server_factory, certs, scratch, factory, pytestconfig):
    path = os.path.join(scratch, "evidence-clock")
    clock = Clock(path)
    factory.upstream()          # has the date it always had
    with pytest.MonkeyPatch.context() as m:
        for name, value in environment(pytestconfig.getoption("--build"), path).items():
            m.setenv(name, value)
        port = run.free_port()
        gate = server_factory("gate", hba=HBA, tls={"cert": certs.server, "ca": certs.ca.pem()},
                              settings={"http_listen": f"127.0.0.1:{port}"})
    gate.http = port
    directory = os.path.join(scratch, "evidence")
    os.makedirs(directory)
    made = Trials(gate, clock, certs, directory)
    made.clock_environment = environment(pytestconfig.getoption("--build"), path)
    return made


def issuer(cert):
    return cert.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


# -- the next CA ----------------------------------------------------------------------------------------------------
def test_who_knows_the_next_ca_goes_on(trials):
    trials.configure(rollover="100%")
    address = trials.known(new_address(), plus=True)
    before = trials.counted().get(("rollover", "accepted"), 0)
    outcome, shown = trials.connect(address, ca=trials.next_file, host="localhost", plus=True)
    assert outcome == IN and issuer(shown) == "the next CA"         # and SCRAM was bound to that certificate
    assert trials.counted()["rollover", "accepted"] == before + 1
    assert trials.view("user_name, ca_new_at IS NOT NULL, ca_failed_at", address) == [("alice", True, None)]
    outcome, shown = trials.connect(address)
    assert outcome == IN and issuer(shown) == "pgseal test CA"      # once an hour
    trials.clock.forward(HOUR + 1)
    assert trials.is_tried(address)


@pytest.mark.parametrize("direct, version", [(False, None), (True, None), (False, ssl.TLSVersion.TLSv1_2)])
def test_who_does_not_is_charged_by_address(trials, certs, direct, version):
    trials.configure(rollover="100%")
    address = trials.known(new_address())
    since = trials.gate.log.mark()
    with Conn(trials.gate, source=address) as c, pytest.raises(ssl.SSLCertVerificationError):
        (c.direct_tls if direct else c.start_tls)(client_context(ca=certs.ca_file, maximum=version), "localhost")
    trials.gate.log.wait_for(r"event=trial .*kind=rollover result=refused alert_received=unknown_ca", since)
    assert "tls_failed" not in trials.gate.words(since)
    assert trials.view("user_name, tls_failures, ca_new_at, ca_failed_at IS NOT NULL, verifies", address) == \
        [("alice", 0, None, True, "unknown"), (None, 0, None, True, "unknown")]
    assert trials.connect(address, ca=certs.ca_file, host="localhost")[0] == IN


def test_who_just_leaves_is_charged_too(trials):
    """As Node does, and libpq with a name that it does not like: the handshake ends well, and no word follows."""
    trials.configure(rollover="100%")
    address = trials.known(new_address())
    with Conn(trials.gate, source=address) as c:
        c.start_tls()
    run.wait_until(lambda: trials.view("ca_failed_at", address)[-1] != (None,), "the address to be charged")
    assert trials.view("user_name, tls_failures", address)[-1] == (None, 0)


def test_ordinary_certificates_of_the_next_ca_prove_it_as_well(trials, certs, request):
    trials.configure(rollover="100%")
    request.addfinalizer(lambda: trials.gate.configure(tls={"cert": certs.server}))
    address = trials.known(new_address())
    again = trials.next.issue("db.example", sans=NAMES, usage="server")
    trials.gate.configure(tls={"cert": again})
    assert "event=reloaded" in trials.gate.reload()
    outcome, shown = trials.connect(address)
    assert outcome == IN and shown.serial_number == again.serial    # nothing is left to be tried out
    assert trials.view("ca_new_at IS NOT NULL", address) == [(True,)]
    # Behind a cross-certificate it proves nothing: the client may have followed it to the old CA.
    cross = pki.Authority("the next CA", key=trials.next.key, signer=certs.ca)
    address = new_address()
    trials.gate.configure(tls={"cert": pki.Cert(again.cert, again.key, [cross.cert])})
    assert "event=reloaded" in trials.gate.reload()
    assert trials.known(address) and trials.view("ca_new_at", address) == [(None,)]


def test_a_client_with_a_certificate(trials, certs):
    """It is asked for it as ever, and by it let in."""
    trials.configure(rollover="100%")
    address, issuers = new_address("127.4"), []
    for _ in range(2):
        with Conn(trials.gate, source=address) as c:
            c.start_tls(client_context(cert=certs.client("evidence-carol", certs.ca.issue("carol"))))
            issuers.append(issuer(x509.load_der_x509_certificate(c.tls.getpeercert(True))))
            c.ready(user="carol")
        assert trials.view("cert_issuer", address) == [("/CN=pgseal test CA",)]
    assert issuers == ["pgseal test CA", "the next CA"]


@pytest.mark.parametrize("share, issuer_shown", [({"rollover": "100%"}, "the next CA"),
                                                 ({"canary": "100%"}, "pgseal canary")])
def test_a_cancel_request_is_carried_out(trials, share, issuer_shown):
    """What it holds was sent already, and nothing is answered."""
    trials.configure(**share)
    address = trials.known(new_address())
    with Conn(trials.gate, source=new_address()) as busy:
        busy.start_tls()
        busy.ready(ALICE)
        busy.send(query("SELECT pg_sleep(60)"))
        run.wait_until(lambda: trials.gate.upstream.query(
            f"SELECT state FROM pg_stat_activity WHERE pid = {busy.pid}") == [("active",)], "the statement to run")
        with Conn(trials.gate, source=address) as c:
            c.start_tls()
            assert issuer(x509.load_der_x509_certificate(c.tls.getpeercert(True)))[:len(issuer_shown)] == issuer_shown
            c.send(cancel_request(busy.pid, busy.key))
            c.rest()
        assert any(e[0] == "E" and e[1]["C"] == "57014" for e in busy.events())


# -- the canary -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [V3_0, 0x30000 + 99])
def test_a_client_that_verifies_nothing(trials, version):
    """It sends its StartupMessage; it is asked for nothing, and told to come again."""
    trials.configure(canary="100%")
    address = trials.known(new_address())
    since = trials.gate.log.mark()
    with Conn(trials.gate, source=address) as c:
        c.start_tls(host="localhost")
        shown = x509.load_der_x509_certificate(c.tls.getpeercert(True))
        assert issuer(shown).startswith("pgseal canary ")
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost", "db.example"]
        # A client may send its password unasked: nobody reads it.
        c.send(startup("alice", "app", version) + b"p\0\0\0\x0ehunter2-xy\0")
        events = c.dialogue()
    assert [e if isinstance(e, str) else e[0] for e in events] == ["E", EOF]
    assert (events[0][1]["S"], events[0][1]["C"], events[0][1]["M"]) == ("FATAL", "57P03", TOLD)
    assert "hunter2" not in trials.gate.words(since)
    assert trials.view("user_name, sessions, verifies, verified_at IS NOT NULL", address) == \
        [("alice", 1, "no", True)]
    assert trials.connect(address)[0] == IN


def test_from_an_impostor_to_a_wrong_name(trials, certs):
    """Alternately: a CA that nobody knows, and a name that nobody asked for."""
    trials.configure(canary="100%")
    full, chain = trials.known(new_address()), trials.known(new_address())
    for address, host in ((full, "localhost"), (chain, None)):
        assert trials.connect(address, ca=certs.ca_file, host=host)[0] == REFUSED
        assert trials.view("verifies", address) == [("chain only",)] * 2
        assert trials.connect(address, ca=certs.ca_file, host=host)[0] == IN
    trials.clock.forward(HOUR + 1)
    assert trials.connect(full, ca=certs.ca_file, host="localhost")[0] == REFUSED
    outcome, shown = trials.connect(chain, ca=certs.ca_file)
    assert outcome == EOF
    assert shown.subject.rfc4514_string() == "CN=canary.invalid"
    assert trials.view("user_name, verifies", full)[0] == ("alice", "yes")
    assert trials.view("user_name, verifies", chain)[0] == ("alice", "chain only")
    counted = trials.counted()
    assert counted["canary chain", "refused"] >= 2 and counted["canary name", "refused"] >= 1
    assert counted["canary name", "accepted"] >= 1


def test_who_shares_an_address_is_not_charged_for_others(trials, certs):
    trials.configure(canary="100%", named=False)
    address = trials.known(new_address())
    trials.clock.forward(HOUR + 1)
    assert trials.connect(address, user="bob")[0][0] != "Z"          # takes the canary
    assert trials.view("user_name, verifies", address) == [("alice", "unknown"), ("bob", "no")]
    assert trials.connect(address, user="bob")[0] == IN
    trials.clock.forward(HOUR + 1)
    assert trials.connect(address, ca=certs.ca_file)[0] == REFUSED
    assert trials.view("user_name, verifies", address) == \
        [("alice", "unknown"), ("bob", "no"), (None, "chain only")]


def test_evidence_outlives_a_restart(trials, monkeypatch):
    for name, value in trials.clock_environment.items():
        monkeypatch.setenv(name, value)
    trials.configure(canary="100%", named=False)
    address = trials.known(new_address())
    assert trials.connect(address)[0][0] != "Z"
    trials.gate.restart()
    assert trials.view("verifies", address) == [("no",)]
    trials.clock.forward(HOUR + 1)
    assert trials.is_tried(address)          # and so does what is known of the address


# -- who is spared --------------------------------------------------------------------------------------------------
def test_nobody_without_a_session_within_a_day(trials):
    trials.configure(canary="100%")
    address = new_address()
    assert not trials.is_tried(address)
    assert trials.view("sessions", address) == [(1,)]
    trials.clock.forward(24 * HOUR + 1)
    assert not trials.is_tried(address)
    assert trials.view("sessions", address) == [(2,)]
    assert trials.is_tried(address)


def test_nobody_whose_handshakes_fail_anyway(trials, certs):
    trials.configure(canary="100%")
    address = trials.known(new_address())
    trials.configure()
    assert trials.connect(address, ca=certs.foreign_file)[0] == REFUSED
    assert trials.view("tls_failures", address)[-1] == (1,)
    trials.configure(canary="100%")
    assert not trials.is_tried(address)


def test_no_replica(trials):
    trials.configure(canary="100%")
    address = new_address()
    with Conn(trials.gate, source=address) as c:
        c.start_tls()
        c.login(ALICE, replication="database")
    assert trials.view("user_name, not_tested", address) == [("alice", "replication was seen")]
    for _ in range(2):
        assert not trials.is_tried(address)
        trials.clock.forward(24 * HOUR + 1)
        assert trials.connect(address)[0] == IN


def test_nobody_who_was_seen_in_plaintext(trials):
    trials.configure(canary="100%")
    address = trials.known(new_address())
    with Conn(trials.gate, source=address) as c:
        assert c.login(ALICE)[-1] != IN          # refused: hostssl
    assert trials.view("plaintext_attempts, not_tested", address) == [(1, "a connection without TLS within a day")]
    assert not trials.is_tried(address)
    trials.clock.forward(24 * HOUR + 1)
    assert trials.connect(address)[0] == IN and trials.view("not_tested", address) == [(None,)]
    assert trials.is_tried(address)


@pytest.mark.parametrize("network, tried", [("127.1", True), ("127.2", True), ("127.3", False)])
def test_nobody_whom_a_rule_admits_without_tls(trials, network, tried):
    """In 127.2 an earlier line rejects plaintext; in 127.3 one user may have it, so nobody is tried out."""
    trials.configure(rollover="100%")
    address = trials.known(new_address(network))
    assert trials.is_tried(address) == tried
    assert trials.view("not_tested", address) == \
        [("tested within the last hour" if tried else "a rule of pg_hba.conf admits it without TLS",)]


def test_a_share_of_all(trials):
    """Of 60 handshakes some are drawn and some are not, but for one time in 2^59."""
    trials.configure(rollover="50%")
    addresses = [new_address() for _ in range(60)]
    for address in addresses:
        assert trials.connect(address)[0] == IN
    trials.view("sessions", addresses[0])
    assert 0 < sum(trials.is_tried(address) for address in addresses) < 60


def test_the_address_is_whom_the_balancer_names(trials):
    """The lot is drawn for the client, and not for the balancer that it comes through."""
    trials.configure(rollover="100%", proxy_protocol_from="127.6.0.0/16")
    issuers = []
    for address in ("127.1.200.1", "127.1.200.2", "127.1.200.1", "127.1.200.2"):
        with Conn(trials.gate, source=new_address("127.6")) as c:
            c.raw_send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(address) + socket.inet_aton("127.0.0.1") +
                       b"\x12\x34\x15\x38")
            c.start_tls()
            issuers.append(issuer(x509.load_der_x509_certificate(c.tls.getpeercert(True))))
            c.ready(ALICE)
        assert trials.view("sessions > 0", address) == [(True,)]
    assert issuers == ["pgseal test CA"] * 2 + ["the next CA"] * 2
    trials.configure(proxy_protocol_from=None)


def test_nobody_while_it_is_off(trials):
    trials.configure()
    address = trials.known(new_address())
    assert not trials.is_tried(address)


def test_the_gate_itself_sees_its_own_certificate(trials, certs):
    """Its look at what it serves comes from 127.0.0.1, which has sessions as well."""
    address = "127.0.0.1"
    trials.gate.configure(hba=HBA + "hostssl all all 127.0.0.1/32 scram-sha-256\n")
    trials.configure(canary="100%")
    assert trials.known(address)
    since = trials.gate.log.mark()
    trials.gate.reload()
    trials.gate.log.wait_for(r"event=served_verified", since)
    assert trials.is_tried(address)              # it was due all the time
    trials.gate.configure(hba=HBA)


def test_a_name_that_would_be_refused_anyway(trials):
    trials.configure(rollover="100%")
    address = trials.known(new_address())
    _, shown = trials.connect(address, host="alias.example")
    assert shown.serial_number == trials.certs.server.serial


# -- the audit ------------------------------------------------------------------------------------------------------
def audited(trials, program):
    """Item 4 of the checklist, and what is found of clients."""
    trials.view("sessions", "127.0.0.1")
    run.wait_until(lambda: os.path.exists(trials.gate.path("pgseal.clients")), "the clients to be written")
    done = subprocess.run([program, "audit", "--json", trials.gate.dir], capture_output=True, text=True, timeout=60, check=False)
    found = json.loads(done.stdout)
    return (found["checklist"][3]["pass"], found["checklist"][3]["why"],
            {f["id"]: f["evidence"] for f in found["findings"] if f["id"].startswith("client_verifies")})


def wait_for_audit(trials, program, passes):
    """Clients are written half a second after they were seen."""
    run.wait_until(lambda: audited(trials, program)[0] is passes, f"item 4 to be {passes}")
    return audited(trials, program)


def test_item_four_of_the_checklist(trials, certs, program):
    trials.configure(clients_limit="0")
    wait_for_audit(trials, program, None)                    # nobody saw what clients do
    trials.configure(canary="100%", clients_limit=None)
    full = trials.known(new_address())
    for _ in range(2):
        assert trials.connect(full, ca=certs.ca_file, host="localhost")[0] == REFUSED
        trials.clock.forward(HOUR + 1)
    _, why, found = wait_for_audit(trials, program, True)
    assert "all 1 clients" in why and not found
    chain = trials.known(new_address())
    assert trials.connect(chain, ca=certs.ca_file)[0] == REFUSED
    _, why, found = wait_for_audit(trials, program, None)
    assert "of 2 clients" in why and not found
    trials.clock.forward(HOUR + 1)
    assert trials.connect(chain, ca=certs.ca_file)[0] == EOF
    _, _, found = wait_for_audit(trials, program, False)
    assert found == {"client_verifies_no_name": f'behind a canary with a wrong name: user "alice" at {chain}'}
    address = trials.known(new_address(), application_name="psql")
    assert trials.connect(address, application_name="psql")[0] == EOF
    run.wait_until(lambda: len(audited(trials, program)[2]) == 2, "the impostor to be found")
    found = audited(trials, program)[2]
    assert found["client_verifies_nothing"] == \
        f'behind a canary with an unknown CA: user "alice" at {address}, application psql'
    with psycopg.connect(host=trials.gate.socket_dir, port=trials.gate.port, user="dba", dbname="pgseal",
                         autocommit=True) as db:
        assert db.execute("SELECT id, severity FROM pgseal_findings WHERE id LIKE 'client_verifies%'").fetchall() == \
            [("client_verifies_nothing", "high"), ("client_verifies_no_name", "medium")]
    with urllib.request.urlopen(f"http://127.0.0.1:{trials.gate.http}/status.json", timeout=run.PATIENCE) as page:
        got = json.load(page)
    assert [got["tightening"][name] for name in ("verify", "verify_chain", "verify_not")] == [1, 1, 1]
    assert next(c["verifies"] for c in got["clients"] if c["weakness"] == "accepts impostors") == "no"


def test_monitor_knows_what_the_certificates_are_for(trials, program):
    trials.configure(rollover="1%", canary="1%")
    done = subprocess.run([program, "monitor", "--json", trials.gate.dir], capture_output=True, text=True, timeout=60, check=False)
    status = {row["kind"]: (row["status"], row["error"]) for row in json.loads(done.stdout)}
    assert status["next server"] == status["canary"] == ("ok", None)


HOSTS = {"a.example": ["a.example", "www.a.example"], "b.example": ["b.example"], "c.example": ["c.example"]}


@pytest.fixture
def hosts(trials, certs):
    """Certificates by host name: two of the CA, one of a stranger's to it; rollover_cert_file is for the first."""
    other = pki.Authority("another company")
    made = {name: (other if name == "c.example" else certs.ca).issue(name, sans=names, usage="server")
            for name, names in HOSTS.items()}
    lines = [f"{name} {' '.join(cert.write(trials.gate.dir, name))}" for name, cert in made.items()]
    trials.gate.write("pg_hosts.conf", "\n".join(lines) + "\n")
    trials.put("rollover", trials.next.issue("a.example", sans=[*HOSTS["a.example"], "db.example"], usage="server"))
    yield made
    trials.put("rollover", trials.next.issue("db.example", sans=NAMES, usage="server"))
    trials.configure(ssl_sni=None)


def shown_to(trials, address, host, **more):
    """Of a client of that host: what came of its connection, and whose certificate was shown."""
    outcome, shown = trials.connect(address, host=host, **more)
    return outcome, issuer(shown) if shown else None


def test_the_next_ca_by_host_name(trials, certs, hosts):
    """Whoever asks for a host is shown its next chain, and nobody whose host the pair is not for."""
    log = trials.configure(rollover="100%", ssl_sni="on")
    assert "event=reloaded" in log and '"rollover_cert_file" is not used for 2 of 3 hosts' in log, log
    assert '"b.example": it lacks a name of the host\'s certificate; "c.example": it lacks' in log, log
    addresses = {name: trials.known(new_address(), host=name) for name in HOSTS}
    assert shown_to(trials, addresses["b.example"], "b.example") == (IN, "pgseal test CA")
    assert shown_to(trials, addresses["c.example"], "c.example") == (IN, "another company")
    assert shown_to(trials, addresses["a.example"], "a.example", ca=trials.next_file, plus=True) == (IN, "the next CA")
    assert trials.view("ca_new_at IS NOT NULL", addresses["a.example"]) == [(True,)]
    assert shown_to(trials, addresses["b.example"], "a.example", ca=certs.ca_file)[0] == REFUSED
    assert trials.view("ca_failed_at IS NOT NULL", addresses["b.example"]) == [(True,)] * 2
    # The host's own certificate is of the next CA by now: each of its connections proves it, those of others nothing.
    trials.next.issue("a.example", sans=HOSTS["a.example"], usage="server").write(trials.gate.dir, "a.example")
    trials.configure(rollover="100%", ssl_sni="on")
    for name in ("a.example", "b.example"):
        address = trials.known(new_address(), host=name)
        assert trials.view("ca_new_at IS NOT NULL", address) == [(name == "a.example",)]


def test_the_canary_by_host_name(trials, certs, hosts):
    """A stranger's with the names of the host that was asked for, then a wrong name; another CA's host has the first only."""
    assert len(hosts) == 3
    log = trials.configure(canary="100%", ssl_sni="on", ssl_groups="prime256v1")      # which the client has to be told
    assert '"canary_cert_file" is not used for 1 of 3 hosts' in log, log
    assert '"c.example": it is not of the CA of the host\'s certificate' in log, log
    for name in HOSTS:
        address = trials.known(new_address(), host=name)
        with Conn(trials.gate, source=address) as c:
            c.start_tls(host=name)
            shown = x509.load_der_x509_certificate(c.tls.getpeercert(True))
            assert issuer(shown).startswith("pgseal canary ")
            sans = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert sans.get_values_for_type(x509.DNSName) == HOSTS[name]
            assert c.login(ALICE)[-1] == EOF
        assert trials.view("verifies", address) == [("no",)]
        assert shown_to(trials, address, name)[0] == IN
    full = trials.known(new_address(), host="b.example")
    for verifies in ("chain only", "yes"):
        assert shown_to(trials, full, "b.example", ca=certs.ca_file)[0] == REFUSED
        assert trials.view("verifies", full)[0] == (verifies,)
        trials.clock.forward(HOUR + 1)
    trials.configure(ssl_groups=None)


def test_the_gate_looks_at_its_hosts_itself(trials, hosts):
    """It asks for each by name, and is never shown another certificate."""
    trials.gate.configure(hba=HBA + "hostssl all all 127.0.0.1/32 scram-sha-256\n")
    trials.configure(ssl_sni="on")
    assert trials.known("127.0.0.1", host="a.example")
    trials.configure(canary="100%", ssl_sni="on")
    trials.clock.forward(HOUR + 1)
    for _ in range(2):
        since = trials.gate.log.mark()
        trials.gate.reload()
        trials.gate.log.wait_for(r"event=served_verified", since)
    _, shown = trials.connect("127.0.0.1", host="a.example")
    assert shown.serial_number != hosts["a.example"].serial           # it was due all the time
    trials.gate.configure(hba=HBA)


# -- settings -------------------------------------------------------------------------------------------------------
def test_a_share_without_its_certificate(trials):
    log = trials.configure(rollover="1%", rollover_cert_file=None)
    assert "reload_failed" in log and '"rollover_probe" needs "rollover_cert_file"' in log
    trials.configure()


@pytest.mark.parametrize("share, words", [
    ("1", 'invalid value for parameter "canary": "1"'),
    ("101%", '101% is outside the valid range for parameter "canary" (0% .. 100%)'),
    ("-1%", '-1% is outside the valid range for parameter "canary" (0% .. 100%)'),
    ("nan%", 'invalid value for parameter "canary": "nan%"')])
def test_what_is_no_share(trials, share, words):
    assert words in trials.configure(canary=share)
    trials.configure()


def test_a_share_is_shown_as_a_percentage(trials):
    trials.configure(canary="0.1 %", named=False)
    with psycopg.connect(host=trials.gate.socket_dir, port=trials.gate.port, user="dba", dbname="pgseal",
                         autocommit=True) as db:
        assert db.execute("SHOW canary").fetchone() == ("0.1%",)
        assert db.execute("SHOW rollover_probe").fetchone() == ("0%",)


@pytest.mark.parametrize("what, names, why", [
    ("rollover", ["localhost"], "it lacks a name of the certificate in ssl_cert_file"),
    ("canary", ["localhost"], "it has a name of the certificate in ssl_cert_file"),
    ("canary", ["canary.invalid"], "it is not of the CA of the certificate in ssl_cert_file"),
    ("rollover", "cross", "its chain leads to more than one CA: leave out cross-certificates"),
    ("rollover", "expired", "it has expired")])
def test_what_is_not_shown(trials, certs, what, names, why):
    """A certificate that clients refuse for another reason tells nothing: a warning, and no trials with it."""
    authority = certs.ca if names == ["localhost"] and what == "canary" else trials.next
    cert = authority.issue("odd", sans=names if isinstance(names, list) else NAMES, usage="server",
                           valid_to=pki.now() - pki.DAY / 2 if names == "expired" else None)
    if names == "cross":
        cross = pki.Authority("the next CA", key=trials.next.key, signer=certs.ca)
        cert = pki.Cert(cert.cert, cert.key, [cross.cert, trials.next.cert])
    before = [open(trials.gate.path(f"{what}.{end}"), "rb").read() for end in ("crt", "key")]
    trials.put(what, cert)
    log = trials.configure(**{what: "100%"})
    assert "event=reloaded" in log and f'"{what}_cert_file" is not used: {why}' in log, log
    if what == "rollover":
        assert not trials.is_tried(trials.known(new_address()))
    for end, content in zip(("crt", "key"), before):
        trials.gate.write(f"{what}.{end}", content, 0o600)
    trials.configure()


def test_files_are_watched(trials):
    """A renewed certificate of the next CA is shown without a word to the gate."""
    trials.configure(rollover="100%")
    address = trials.known(new_address())
    again = trials.next.issue("db.example", sans=NAMES, usage="server")
    since = trials.gate.log.mark()
    trials.put("rollover", again)
    trials.gate.log.wait_for(r"event=reloaded", since)
    _, shown = trials.connect(address)
    assert shown.serial_number == again.serial


def test_a_pair_that_does_not_fit_refuses_the_load(trials):
    key = trials.gate.path("rollover.key")
    with open(key, "rb") as f:
        before = f.read()
    trials.gate.write("rollover.key", trials.next.key_pem(), 0o600)
    assert "reload_failed" in trials.configure(rollover="1%")
    trials.gate.write("rollover.key", before, 0o600)
    assert "event=reloaded" in trials.configure(rollover="1%")
