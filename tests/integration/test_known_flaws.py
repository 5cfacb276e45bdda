"""
Every flaw that gates and servers of this kind were found to have, by its name, on both legs.

A test says what an attacker does and what he must not get. Where PostgreSQL can be asked it is the judge; the
gate's own leg to the upstream server is tried with servers that lie.
"""

import os
import re
import struct

import pytest

from lib import pki, run, scripted_server, wire
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn, fatal, message, sasl_initial, startup

HBA = """\
local     all  all                scram-sha-256
hostssl   app  all  127.0.0.1/32  scram-sha-256
hostssl   db2  all  127.0.0.1/32  trust
hostnossl app  bob  127.0.0.1/32  trust
"""

ALICE = PASSWORDS["alice"]
LIE = "Enter your password at https://evil.example"


@pytest.fixture(scope="module")
def server(kind, server_factory, certs):
    return server_factory(kind, hba=HBA, tls={"cert": certs.server})


@pytest.fixture(scope="module")
def without_tls(kind, server_factory):
    return server_factory(kind, hba="host all all 127.0.0.1/32 trust\n")


@pytest.fixture
def hostile_upstream(make_gate, certs):
    """A function: script → (scripted server, gate before it). Clients are trusted, the upstream must have TLS."""
    servers = []

    def make(script, sslmode="verify-full", hba="host all all 127.0.0.1/32 trust\n", passfile=None, **settings):
        hostile = scripted_server.Scripted(script)
        servers.append(hostile)
        conninfo = (f"host=localhost hostaddr=127.0.0.1 port={hostile.port} sslmode={sslmode} "
                    f"sslrootcert={certs.ca_file} user=alice{f' passfile={passfile}' if passfile else ''}")
        settings.setdefault("upstream_login", "trust, service")
        return hostile, make_gate(upstream=settings.pop("upstream", conninfo), hba=hba, settings=settings)

    yield make
    for hostile in servers:
        hostile.__exit__()


@pytest.fixture(scope="module")
def server_cert(certs):
    return certs.server.write(certs.dir, "flaws-server")


def refused_as_unavailable(gate, **who):
    """The client's events; the upstream server was not reached: 57P03, which sends no client on to plaintext."""
    with Conn(gate) as c:
        c.send(startup(**who))
        events = c.dialogue()
    last = [e for e in events if not isinstance(e, str)][-1]
    assert last[0] == "E" and last[1]["C"] == "57P03", events
    return events


# -- bytes before TLS ---------------------------------------------------------------------------------------------
def test_cve_2021_23214_bytes_stuffed_behind_the_ssl_request(server):
    """Also CVE-2021-3935 (PgBouncer) and CVE-2021-43766 (Odyssey): they must never be taken for the client's."""
    if server.major < 17:
        pytest.skip("PostgreSQL 17 and later give them to the TLS engine")
    mark = server.log.mark()
    with Conn(server) as c:
        c.raw_send(wire.SSL_REQUEST + startup("carol", "db2") + wire.query("SELECT 'stuffed'"))
        assert c.raw_rest() == b"S"
    assert "stuffed" not in server.log.text(mark) and "carol" not in server.log.text(mark)


def test_cve_2021_23214_a_handshake_behind_them_does_not_help(server):
    if server.major < 17:
        pytest.skip("PostgreSQL 17 and later give them to the TLS engine")
    with Conn(server) as c:
        hello = c.prepare_tls()
        c.raw_send(wire.SSL_REQUEST + startup("bob") + hello)
        assert c.raw_rest() == b"S"


def test_cve_2021_23214_bytes_behind_a_refused_ssl_request(without_tls):
    with Conn(without_tls) as c:
        c.raw_send(wire.SSL_REQUEST + startup("alice"))
        assert c.raw_exactly(1) == b"N"
        if without_tls.major < 17:
            pytest.skip("older servers read on")
        assert c.event() == fatal(
            "08P01", "received unencrypted data after SSL request",
            "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.")


@pytest.mark.parametrize("stuffed", [b"E", b"\x16", message("R", struct.pack("!I", 0)),
                                     scripted_server.error_response("28000", LIE)])
def test_cve_2021_23222_bytes_stuffed_behind_the_servers_s(hostile_upstream, stuffed):
    """Also CVE-2021-43767 (Odyssey): what a server says before TLS is not listened to."""
    def script(peer):
        peer.expect_ssl_request()
        peer.send(b"S" + stuffed)
        peer.notes["rest"] = peer.sock.recv(1)

    hostile, gate = hostile_upstream(script)
    events = refused_as_unavailable(gate)
    assert LIE not in repr(events)
    hostile.check()
    for peer in hostile.peers:
        assert peer.notes.get("rest", b"") in (b"", b"\x16"), "nothing but a ClientHello may follow"


@pytest.mark.parametrize("said", [
    scripted_server.error_response("28000", LIE), b"E" + LIE.encode() + b"\n\0", message("R", struct.pack("!I", 0)),
    message("R", struct.pack("!I", 3)), message("v", struct.pack("!II", 0, 0)), b"N" + message("R", struct.pack("!I", 0)),
    b"N" + scripted_server.error_response("28000", LIE), message("N", b"SNOTICE\0M" + LIE.encode() + b"\0\0")])
def test_cve_2024_10977_what_is_said_before_tls(hostile_upstream, said):
    """Nor is it an answer: CVE-2026-14681 on this leg, a login judged before the transport is final."""
    def script(peer):
        peer.expect_ssl_request()
        peer.send(said)
        peer.notes["rest"] = peer.sock.recv(65536)

    hostile, gate = hostile_upstream(script)
    assert LIE not in repr(refused_as_unavailable(gate))
    hostile.check()
    assert [peer.notes.get("rest", b"") for peer in hostile.peers] == [b""] * len(hostile.peers)


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_a_server_that_refuses_tls_gets_nothing(hostile_upstream, sslmode):
    """No StartupMessage, hence no user name and no password, without the TLS that was asked for."""
    def script(peer):
        peer.expect_ssl_request()
        peer.send(b"N")
        peer.notes["rest"] = peer.sock.recv(1)

    hostile, gate = hostile_upstream(script, sslmode)
    refused_as_unavailable(gate)
    hostile.check()
    assert [p.notes.get("rest") for p in hostile.peers] == [b""] * len(hostile.peers)


# -- endless requests ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("request_, code", [(wire.SSL_REQUEST, "1234.5679"), (wire.GSSENC_REQUEST, "1234.5680")])
def test_cve_2026_6479_one_request_of_each_kind(without_tls, request_, code):
    if without_tls.gss and request_ == wire.GSSENC_REQUEST:
        pytest.skip("this PostgreSQL is built with GSSAPI")
    with Conn(without_tls) as c:
        c.raw_send(request_)
        assert c.raw_exactly(1) == b"N"
        c.raw_send(request_)
        upper = r"3\.[02]"
        kind, fields = c.event()
        assert kind == "E" and fields["C"] == "0A000"
        assert re.fullmatch(rf"unsupported frontend protocol {code}: server supports 3.0 to {upper}", fields["M"])
        assert c.event() == wire.EOF


def test_cve_2026_6479_alternating_does_not_help(without_tls):
    if without_tls.gss:
        pytest.skip("this PostgreSQL is built with GSSAPI")
    with Conn(without_tls) as c:
        for request in (wire.GSSENC_REQUEST, wire.SSL_REQUEST):
            c.raw_send(request)
            assert c.raw_exactly(1) == b"N"
        c.raw_send(wire.GSSENC_REQUEST)
        assert c.event()[0] == "E"


def test_cve_2026_6479_inside_tls(server):
    with Conn(server) as c:
        c.start_tls()
        c.send(wire.SSL_REQUEST)
        kind, fields = c.event()
        assert kind == "E" and fields["C"] == "0A000"


# -- rules and transport ------------------------------------------------------------------------------------------
def no_entry(user, database, encryption):
    return fatal("28000", f'no pg_hba.conf entry for host "127.0.0.1", user "{user}", database "{database}", '
                          f"{encryption}")


def test_cve_2026_14681_a_tls_rule_is_not_for_plaintext(server):
    """db2 trusts everybody who has TLS, and nobody else."""
    with Conn(server) as c:
        c.send(startup("alice", "db2"))
        assert c.event() == no_entry("alice", "db2", "no encryption")


def test_cve_2026_14681_a_plaintext_rule_is_not_for_tls(server):
    """bob is trusted without TLS; with it he must prove himself."""
    with Conn(server) as c:
        c.start_tls()
        c.send(startup("bob"))
        assert c.event()[:2] == ("R", 10)


def test_cve_2026_14681_nor_for_direct_tls(server):
    if server.major < 17:
        pytest.skip("PostgreSQL 17 and later")
    with Conn(server) as c:
        c.direct_tls()
        c.send(startup("bob"))
        assert c.event()[:2] == ("R", 10)
    with Conn(server) as c:
        c.direct_tls()
        c.send(startup("alice", "db2"))
        assert c.event() == ("R", 0, b"")


def test_cve_2026_14681_a_refused_gss_request_changes_nothing(server):
    if server.gss:
        pytest.skip("this PostgreSQL is built with GSSAPI")
    with Conn(server) as c:
        c.raw_send(wire.GSSENC_REQUEST)
        assert c.raw_exactly(1) == b"N"
        c.send(startup("alice", "db2"))
        assert c.event() == no_entry("alice", "db2", "no encryption")


# -- the exchange -------------------------------------------------------------------------------------------------
def challenged(server, user="alice"):
    c = Conn(server)
    c.start_tls()
    c.send(startup(user))
    assert c.event()[:2] == ("R", 10)
    return c


def test_a_second_startup_message_instead_of_the_first_sasl_message(server):
    with challenged(server) as c:
        c.send(startup("bob", "db2"))
        assert c.event() == fatal("08P01", "expected SASL response, got message type 0")
        assert c.event() in (wire.EOF, wire.RAGGED)


def test_a_second_startup_message_within_the_exchange(server):
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
        assert c.event()[:2] == ("R", 11)
        c.send(startup("bob", "db2"))
        assert c.event() == fatal("08P01", "expected SASL response, got message type 0")


@pytest.mark.parametrize("length", [1025, 65536, 0x7fffffff, 0xffffffff, 3, 0])
def test_a_sasl_message_without_measure(server, length):
    """Refused by its header: nobody waits for, or makes room for, two gigabytes."""
    with challenged(server) as c:
        c.send(b"p" + struct.pack("!I", length))
        assert c.event() == fatal("28P01", 'password authentication failed for user "alice"')


def test_a_nonce_that_fills_the_message(server):
    first = b"n,,n=,r=" + b"x" * (1020 - 18 - 8)
    with challenged(server) as c:
        c.send(sasl_initial("SCRAM-SHA-256", first))
        kind, code, data = c.event()
        assert (kind, code) == ("R", 11) and data.startswith(b"r=" + first[8:])


def scram_script(peer, cert, iterations):
    """A server that asks for so many iterations, and notes what it got for it."""
    peer.start_tls(cert)
    peer.packet()
    peer.auth(10, b"SCRAM-SHA-256\0\0")
    _, body = peer.message()
    nonce = body.split(b"r=", 1)[1]
    salt = SECRETS["alice"].split("$")[1].split(":")[1]
    peer.auth(11, b"r=" + nonce + b"server,s=" + salt.encode() + b",i=" + str(iterations).encode())
    peer.notes["answer"] = peer.sock.recv(65536)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("iterations", [1, 4095, 2000000000, 99999999999])
def test_unbounded_iterations_the_clients_keys(hostile_upstream, server_cert, iterations):
    """The keys that a login gave fit one number of iterations: no proof leaves for another one."""
    hostile, gate = hostile_upstream(lambda peer: scram_script(peer, server_cert, iterations),
                       hba="host all all 127.0.0.1/32 scram-sha-256\n", upstream_login="scram")
    before = cpu_seconds(gate.process.pid)
    with Conn(gate) as c:
        events = c.login(ALICE)
    assert cpu_seconds(gate.process.pid) - before < 2
    assert [e for e in events if e[0] == "E"] and ("Z", "I") not in events, events
    hostile.check()
    assert hostile.peers and all(p.notes.get("answer", b"") == b"" for p in hostile.peers)


def test_the_right_iterations_do_get_a_proof(hostile_upstream, server_cert):
    """What the test above would see if the gate went on."""
    hostile, gate = hostile_upstream(lambda peer: scram_script(peer, server_cert, 4096),
                              hba="host all all 127.0.0.1/32 scram-sha-256\n", upstream_login="scram")
    with Conn(gate) as c:
        c.login(ALICE)
    hostile.check()
    assert hostile.peers and hostile.peers[0].notes["answer"][:1] == b"p"


def begun(peer, cert):
    """The server's half up to the client's first message; returns the client's nonce."""
    peer.start_tls(cert)
    peer.packet()
    peer.auth(10, b"SCRAM-SHA-256\0\0")
    return peer.message()[1].split(b"r=", 1)[1]


def challenge(nonce, iterations=4096):
    salt = SECRETS["alice"].split("$")[1].split(":")[1].encode()
    return b"r=" + nonce + b",s=" + salt + b",i=%d" % iterations


def ready(peer):
    peer.auth(0)
    peer.send(message("K", struct.pack("!II", 1, 1)) + message("Z", b"I"))


def breaks_off_at_once(peer, nonce):
    ready(peer)


def breaks_off_behind_the_challenge(peer, nonce):
    peer.auth(11, challenge(nonce + b"server"))
    peer.message()
    ready(peer)


def proves_nothing(peer, nonce):
    peer.auth(11, challenge(nonce + b"server"))
    peer.message()
    peer.auth(12, b"v=" + b"A" * 43 + b"=")
    ready(peer)


def says_an_error_instead_of_a_proof(peer, nonce):
    peer.auth(11, challenge(nonce + b"server"))
    peer.message()
    peer.auth(12, b"e=other-error")
    ready(peer)


def asks_for_the_password_after_all(peer, nonce):
    peer.auth(3)


def asks_for_md5_after_all(peer, nonce):
    peer.auth(5, b"salt")


def begins_again(peer, nonce):
    peer.auth(10, b"SCRAM-SHA-256\0\0")


def has_a_nonce_of_its_own(peer, nonce):
    peer.auth(11, challenge(b"server" * 4))


def has_an_endless_nonce(peer, nonce):
    peer.auth(11, challenge(nonce + b"x" * 2000000))


@pytest.mark.parametrize("own", [False, True], ids=["the client's keys", "the gate's own password"])
@pytest.mark.parametrize("says", [
    breaks_off_at_once, breaks_off_behind_the_challenge, proves_nothing, says_an_error_instead_of_a_proof,
    asks_for_the_password_after_all, asks_for_md5_after_all, begins_again, has_a_nonce_of_its_own,
    has_an_endless_nonce])
def test_a_server_that_leaves_the_exchange(hostile_upstream, server_cert, scratch, says, own):
    """It has proved nothing: nobody is let in, and no password follows where a proof was begun."""
    def script(peer):
        nonce = begun(peer, server_cert)
        says(peer, nonce)
        peer.notes["rest"] = b""
        while chunk := peer.sock.recv(65536):
            peer.notes["rest"] += chunk

    settings = {"upstream_login": "scram"}
    if own:
        passfile = os.path.join(scratch, "flaws-own")
        pki.write_file(passfile, "*:*:*:*:secret\n", 0o600)
        settings = {"upstream_login": "scram", "auth_source": "query", "auth_file": None, "auth_user": "reader"}
    hostile, gate = hostile_upstream(script, hba="host all all 127.0.0.1/32 scram-sha-256\n",
                              passfile=passfile if own else None, **settings)
    with Conn(gate) as c:
        events = c.login(ALICE)
    assert ("Z", "I") not in events and any(e[0] == "E" for e in events), events
    hostile.check()
    for peer in hostile.peers:
        assert peer.notes.get("rest", b"") == b"", peer.notes


def test_unbounded_iterations_the_gates_own_password(hostile_upstream, server_cert, scratch):
    """The gate reads secrets with a password of its own: a server may not make it compute for minutes."""
    passfile = os.path.join(scratch, "flaws-pass")
    pki.write_file(passfile, "*:*:*:*:secret\n", 0o600)
    hostile = scripted_server.Scripted(lambda peer: scram_script(peer, server_cert, 2000000000))
    with hostile:
        _, gate = hostile_upstream(lambda peer: None, hba="host all all 127.0.0.1/32 scram-sha-256\n",
                       auth_source="query", auth_file=None, auth_user="reader", upstream_login="scram",
                       upstream=f"host=localhost hostaddr=127.0.0.1 port={hostile.port} sslmode=require "
                                f"user=reader passfile={passfile}")
        before = cpu_seconds(gate.pid)
        with Conn(gate) as c:
            c.send(startup("alice"))
            events = c.dialogue()
        assert events[0][0] == "E" and events[0][1]["C"] == "57P03", events
        assert cpu_seconds(gate.pid) - before < 2
        hostile.check()
        assert hostile.peers and all(p.notes.get("answer", b"") == b"" for p in hostile.peers)


# -- secrets read from the server ---------------------------------------------------------------------------------
@pytest.fixture
def asking(factory, make_gate):
    """(upstream server, gate that reads secrets from it)."""
    behind = factory.postgres(hba="local all all trust\n")
    gate = make_gate(upstream=f"host={behind.socket_dir} port={behind.port}",
                     hba="host all all 127.0.0.1/32 scram-sha-256\n",
                     settings={"auth_source": "query", "auth_file": None, "auth_user": "postgres",
                               "auth_cache_ttl": "1h", "upstream_login": "trust"})
    yield behind, gate
    factory.stop(behind)


def logs_in(gate, user, password, **more):
    with Conn(gate) as c:
        events = c.login(password, user, **more)
    if events[-1] == ("Z", "I"):
        return True
    assert fatal("28P01", f'password authentication failed for user "{user}"') in events, events
    return False


def test_cve_2025_2291_expired_roles(asking):
    _, gate = asking
    assert logs_in(gate, "alice", ALICE)
    assert not logs_in(gate, "expired", ALICE)


def test_cve_2025_2291_a_role_that_expires_while_its_secret_is_cached(asking):
    behind, gate = asking
    with behind.admin() as db:
        db.execute("DO $$ BEGIN EXECUTE format('ALTER ROLE bob VALID UNTIL %L', now() + interval '2 s'); END $$")
        assert logs_in(gate, "bob", PASSWORDS["bob"])
        run.wait_until(lambda: db.execute("SELECT rolvaliduntil < now() FROM pg_authid WHERE rolname = 'bob'")
                       .fetchone()[0], "bob to expire")
    assert not logs_in(gate, "bob", PASSWORDS["bob"])


EVIL = [
    "CREATE SCHEMA evil",
    f"CREATE TABLE evil.pg_authid AS SELECT 'alice'::name AS rolname, '{SECRETS['bob']}'::text AS rolpassword, "
    "NULL::timestamptz AS rolvaliduntil, true AS rolcanlogin",
    "CREATE FUNCTION evil.eq(name, text) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.eq)",
    "GRANT ALL ON SCHEMA evil TO PUBLIC",
    "GRANT ALL ON evil.pg_authid TO PUBLIC",
]


@pytest.mark.parametrize("way", ["role", "database", "client"])
@pytest.mark.parametrize("query", [None, "SELECT rolname, rolpassword, rolvaliduntil, rolcanlogin FROM pg_authid "
                                         "WHERE rolname = $1"])
def test_cve_2025_12819_search_path_in_the_secrets_query(asking, way, query):
    """Whoever may set a search_path must not decide which table, function or operator the query means."""
    behind, gate = asking
    with behind.admin("app") as db:
        for sql in EVIL:
            db.execute(sql)
        if way == "role":
            db.execute("ALTER ROLE postgres SET search_path = evil, pg_catalog")
        if way == "database":
            db.execute("ALTER DATABASE app SET search_path = evil, pg_catalog")
    if query:
        gate.configure({"auth_query": query})
        gate.restart()
    more = {"options": "-c search_path=evil,pg_catalog", "search_path": "evil,pg_catalog"} if way == "client" else {}
    assert not logs_in(gate, "alice", PASSWORDS["bob"], **more)     # what evil.pg_authid says
    assert logs_in(gate, "alice", ALICE, **more)


# -- cancels ------------------------------------------------------------------------------------------------------
def test_a_cancel_has_the_protection_of_its_session(factory, make_gate, certs):
    """The key of a session that is encrypted to the server never crosses that wire in the clear."""
    behind = factory.postgres(hba="hostssl all all 127.0.0.1/32 trust\n", tls={"cert": certs.server})
    with scripted_server.Tap(behind.host, behind.port) as tap:
        gate = make_gate(upstream=f"host=localhost hostaddr=127.0.0.1 port={tap.port} sslmode=verify-full "
                                  f"sslrootcert={certs.ca_file}", hba="host all all 127.0.0.1/32 trust\n")
        with Conn(gate) as c, behind.admin("app") as watcher:
            c.ready()
            sessions = len(tap.peers)
            c.send(wire.query("SELECT pg_sleep(30)"))
            run.wait_until(lambda: watcher.execute(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'").fetchone(),
                "the query to run")
            with Conn(gate) as other:
                other.raw_send(wire.cancel_request(c.pid, c.key))
                assert other.raw_rest() == b""
            events = c.events()
            assert [e[1]["C"] for e in events if e[0] == "E"] == ["57014"]
            run.wait_until(lambda: len(tap.peers) > sessions, "the cancel's own connection")
            for peer in tap.peers:
                sent = peer.notes["sent"]
                assert sent[:8] == wire.SSL_REQUEST and sent[8:9] == b"\x16", sent[:32]
                assert struct.pack("!I", wire.CANCEL_CODE) not in sent
    factory.stop(behind)


def test_a_cancel_with_a_wrong_key_does_nothing(server):
    with Conn(server) as c:
        c.ready(user="bob")
        for key in (bytes(4), bytes(len(c.key)), c.key[:-1], c.key + b"\0", b"x" * 256):
            if key == c.key:
                continue
            with Conn(server) as other:
                other.raw_send(wire.cancel_request(c.pid, key))
                assert other.raw_rest() == b""
        assert c.value("SELECT 'still here'") == "still here"
