"""
The second leg: how the gate reaches the upstream server, proves who it is, logs in there, and what the client hears
when it cannot. About the gate alone; the specification is the design's section 5.
"""

import getpass
import hashlib
import os
import subprocess
import time

import pytest

from lib import psql, run, scram, wire
from lib.fake import Upstream
from lib.gate import userlist
from lib.pg import PASSWORDS, SECRETS
from lib.wire import Conn, message, startup

ALICE, BOB, CAROL = PASSWORDS["alice"], PASSWORDS["bob"], PASSWORDS["carol"]
ME = getpass.getuser()

# What the upstream servers admit: each way of logging in has a user of its own, or a database.
UPSTREAM_HBA = """\
local   all     alice,bob                 scram-sha-256
local   all     carol                     peer map=gate
local   app     expired,nologin           scram-sha-256
local   app     nopassword                trust
hostssl app     alice,bob  127.0.0.1/32   scram-sha-256
hostssl db2     alice      127.0.0.1/32   cert map=gate
hostssl app     carol      127.0.0.1/32   trust
hostnossl app   alice      127.0.0.1/32   scram-sha-256
hostnossl app   carol      127.0.0.1/32   trust
"""
UPSTREAM_IDENT = f"""\
gate {ME}        carol
gate pgseal-gate alice
"""

SCRAM = "host all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n"
TRUST = "host all all 127.0.0.1/32 trust\n"
MD5_ALICE = "md5" + hashlib.md5((ALICE + "alice").encode()).hexdigest()
RELAYED = {"auth_source": "upstream", "auth_file": None, "upstream_login": None}


@pytest.fixture(scope="module")
def upstream(factory, certs):
    """A server with TLS, on TCP and a unix socket."""
    server = factory.postgres(hba=UPSTREAM_HBA, ident=UPSTREAM_IDENT,
                              tls={"cert": certs.server, "ca": certs.ca.pem()})
    yield server
    factory.stop(server)


@pytest.fixture(scope="module")
def plain_upstream(factory):
    """A server without TLS."""
    server = factory.postgres(hba="hostnossl app alice,bob 127.0.0.1/32 scram-sha-256\n")
    yield server
    factory.stop(server)


@pytest.fixture
def gate(make_gate, certs):
    """make(upstream's conninfo, ...): a gate with TLS that judges alice's SCRAM itself and logs in with her keys."""
    def make(conninfo, hba=SCRAM, tls=True, **settings):
        return make_gate(upstream=conninfo, hba=hba, settings={"upstream_login": "scram", **settings},
                         tls={"cert": certs.server, "ca": certs.ca.pem()} if tls else None)

    return make


def tcp(server, **more):
    return psql.conninfo(host="127.0.0.1", port=server.port, **more)


def unix(server, **more):
    return psql.conninfo(host=server.socket_dir, port=server.port, **more)


def md5_answer(secret, salt):
    return "md5" + hashlib.md5(secret[3:].encode() + salt).hexdigest()


def session(gate, secret=ALICE, **who):
    """A session in TLS; fails with what came instead."""
    c = Conn(gate)
    c.start_tls()
    return c.ready(secret, **who)


def refused(gate, secret=ALICE, tls=True, **who):
    """The fields of the FATAL that ends a login."""
    with Conn(gate) as c:
        if tls:
            c.start_tls()
        events = c.login(secret, **who)
        assert events[-1] == wire.EOF and events[-2][0] == "E", events
        assert events[-2][1]["S"] == "FATAL"
        return events[-2][1]


def leg(server, pid):
    """(ssl, version) of the second leg as the server sees it."""
    return server.query(f"SELECT ssl, version FROM pg_stat_ssl WHERE pid = {pid}")[0]


# -- transport and verification -----------------------------------------------------------------------------------
def test_unix_socket(gate, upstream):
    with session(gate(unix(upstream))) as c:
        assert leg(upstream, c.pid) == (False, None)
        assert c.value("SELECT inet_client_addr()") is None


@pytest.mark.parametrize("sslmode, sealed", [("disable", False), ("allow", False), ("prefer", True),
                                             ("require", True), ("verify-ca", True), ("verify-full", True),
                                             (None, True)])
def test_sslmodes_of_the_second_leg(gate, upstream, certs, sslmode, sealed):
    """The default for TCP is verify-full."""
    root = certs.ca_file if sslmode in ("verify-ca", "verify-full", None) else None
    with session(gate(tcp(upstream, sslmode=sslmode, sslrootcert=root))) as c:
        assert leg(upstream, c.pid)[0] == sealed


@pytest.mark.parametrize("sslmode, works", [("disable", True), ("allow", True), ("prefer", True),
                                            ("require", False), ("verify-ca", False), ("verify-full", False),
                                            (None, False)])
def test_a_server_without_tls(gate, plain_upstream, certs, sslmode, works):
    g = gate(tcp(plain_upstream, sslmode=sslmode, sslrootcert=certs.ca_file if not works else None))
    if works:
        session(g).close()
        return
    mark = g.log.mark()
    assert refused(g)["C"] == "57P03"
    assert "server does not support SSL, but SSL was required" in g.words(mark)


BAD_SERVERS = {
    "wrong name": ({"host": "wrong.example", "hostaddr": "127.0.0.1", "sslmode": "verify-full"}, "ca",
                   'server certificate for "localhost" (and 3 other names) does not match host name "wrong.example"'),
    "foreign ca": ({"host": "127.0.0.1", "sslmode": "verify-full"}, "foreign", "certificate verify failed"),
    "foreign ca, verify-ca": ({"host": "127.0.0.1", "sslmode": "verify-ca"}, "foreign", "certificate verify failed"),
    "foreign ca, require": ({"host": "127.0.0.1", "sslmode": "require"}, "foreign", "certificate verify failed"),
}


@pytest.mark.parametrize("options, root, text", BAD_SERVERS.values(), ids=BAD_SERVERS.keys())
def test_a_server_that_is_not_who_it_should_be(gate, upstream, certs, options, root, text):
    root = certs.ca_file if root == "ca" else certs.foreign_file
    g = gate(psql.conninfo(port=upstream.port, sslrootcert=root, **options))
    mark, other = g.log.mark(), upstream.log.mark()
    assert refused(g)["C"] == "57P03"
    assert text in g.words(mark)
    assert "user=alice" not in upstream.log.text(other)


@pytest.mark.parametrize("host", ["localhost", "db.example", "DB.EXAMPLE"])
def test_names_that_fit(gate, upstream, certs, host):
    session(gate(psql.conninfo(host=host, hostaddr="127.0.0.1", port=upstream.port,
                               sslrootcert=certs.ca_file))).close()


def test_verify_ca_does_not_look_at_the_name(gate, upstream, certs):
    session(gate(psql.conninfo(host="wrong.example", hostaddr="127.0.0.1", port=upstream.port, sslmode="verify-ca",
                               sslrootcert=certs.ca_file))).close()


def test_channel_binding_on_the_second_leg(gate, upstream, certs):
    session(gate(tcp(upstream, sslrootcert=certs.ca_file, channel_binding="require"))).close()


def test_channel_binding_cannot_be_had_on_a_unix_socket(gate, upstream):
    assert refused(gate(unix(upstream, channel_binding="require")))["S"] == "FATAL"


def test_direct_negotiation(gate, factory, distributions, certs):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed")
    server = factory.postgres(distributions["pg18"], hba=UPSTREAM_HBA, tls={"cert": certs.server})
    try:
        with session(gate(tcp(server, sslrootcert=certs.ca_file, sslnegotiation="direct"))) as c:
            assert leg(server, c.pid)[0]
    finally:
        factory.stop(server)


def test_the_next_host_is_tried(gate, upstream, certs):
    g = gate(f"host=127.0.0.1,localhost port={run.free_port()},{upstream.port} sslrootcert={certs.ca_file}")
    session(g).close()


def test_target_session_attrs(gate, upstream, certs):
    session(gate(tcp(upstream, sslrootcert=certs.ca_file, target_session_attrs="read-write"))).close()
    assert refused(gate(tcp(upstream, sslrootcert=certs.ca_file, target_session_attrs="standby")))["C"] == "57P03"


# -- own judgement, and the ways to log in ------------------------------------------------------------------------
def test_scram_keys_are_the_clients_own(gate, upstream, certs):
    g = gate(tcp(upstream, sslrootcert=certs.ca_file))
    with session(g) as c:
        assert c.value("SELECT session_user") == "alice"
    with session(g, BOB, user="bob") as c:
        assert c.value("SELECT session_user") == "bob"
    with Conn(g) as c:
        c.start_tls()
        assert c.login(ALICE, plus=True)[-1] == ("Z", "I")


@pytest.mark.parametrize("secret", [scram.secret(ALICE, b"another salt...."),
                                    scram.secret(ALICE, b"salt of alice   ", 5000)], ids=["salt", "iterations"])
def test_scram_keys_need_the_same_salt_and_iterations(gate, upstream, secret):
    """Found out before a proof is sent: the server never hears one."""
    g = gate(unix(upstream))
    g.write("userlist.txt", userlist({"alice": secret}), 0o600)
    g.restart()
    mark, other = g.log.mark(), upstream.log.mark()
    refused(g)
    assert "password authentication failed" not in upstream.log.text(other)
    assert "salt" in g.words(mark).lower() or "iteration" in g.words(mark).lower()


def test_peer(gate, upstream):
    """The gate's own OS user, mapped by the server."""
    with session(gate(unix(upstream), hba=TRUST, upstream_login="peer"), None, user="carol") as c:
        assert c.value("SELECT session_user") == "carol"


def test_cert(gate, upstream, certs):
    """The gate's own certificate, mapped by the server."""
    crt, key = certs.client("gate-upstream", certs.ca.issue("pgseal-gate"))
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, sslcert=crt, sslkey=key), upstream_login="cert")
    with session(g, database="db2") as c:
        assert c.value("SELECT session_user") == "alice"


def test_trust_on_a_verified_leg(gate, upstream, certs):
    g = gate(tcp(upstream, sslrootcert=certs.ca_file), hba=TRUST, upstream_login="trust")
    session(g, None, user="carol").close()


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_trust_on_an_unverified_leg_is_not_trusted(gate, upstream, sslmode):
    g = gate(tcp(upstream, sslmode=sslmode), upstream_login="scram, trust")
    with Conn(g) as c:
        c.start_tls()
        events = c.login(CAROL, user="carol")
        assert events[-1] == wire.EOF and events[-2][0] == "E", events


def test_trust_that_is_not_listed_is_not_used(gate, upstream, certs):
    g = gate(tcp(upstream, sslrootcert=certs.ca_file), upstream_login="scram")
    with Conn(g) as c:
        c.start_tls()
        events = c.login(CAROL, user="carol")
        assert events[-1] == wire.EOF and events[-2][0] == "E", events


def test_trust_on_a_unix_socket_is_always_accepted(gate, factory):
    g = gate(unix(factory.upstream()), upstream_login="scram")
    session(g).close()


def test_cleartext_password_answers_any_method(gate, upstream, certs):
    g = gate(tcp(upstream, sslrootcert=certs.ca_file), hba="hostssl all all 127.0.0.1/32 password\n",
             upstream_login="password")
    with session(g) as c:
        assert c.value("SELECT session_user") == "alice"
    assert refused(g, "wrong")["C"] == "28P01"


def test_service_user(gate, upstream, scratch):
    passfile = os.path.join(scratch, "passfile")
    with open(os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(f"*:*:*:bob:{BOB}\n")
    g = gate(unix(upstream, user="bob", passfile=passfile), upstream_login="service")
    mark = g.log.mark()
    with session(g) as c:
        assert c.value("SELECT current_user") == "bob"
    g.log.wait_for(r"connection_authorized .*user=alice .*upstream_user=bob", mark)


def test_nothing_applicable_fails_the_load(factory, upstream, certs):
    """A trust rule gives the gate nothing to log in with over TCP."""
    g = factory.gate(start=False, upstream=tcp(upstream, sslrootcert=certs.ca_file), hba=TRUST,
                     settings={"upstream_login": "scram"})
    try:
        status, logged = g.refuses_to_start()
        assert status in (1, 3) and "pg_hba.conf" in logged and "upstream_login" in logged
    finally:
        factory.stop(g)


# -- the secrets of the server itself: auth_source = query --------------------------------------------------------
@pytest.fixture
def asking(gate, upstream):
    def make(hba=SCRAM, **settings):
        return gate(unix(upstream), hba=hba, auth_source="query", auth_user="postgres",
                    auth_file=None, **settings)

    return make


def test_query_finds_the_secret(asking):
    g = asking()
    with Conn(g) as c:
        c.start_tls()
        assert c.login(ALICE, plus=True)[-1] == ("Z", "I")
    assert refused(g, "wrong")["M"] == 'password authentication failed for user "alice"'


@pytest.mark.parametrize("user", ["expired", "nopassword", "no such user"])
def test_query_dooms_whom_postgresql_dooms(asking, user):
    g = asking()
    assert refused(g, ALICE, user=user)["M"] == f'password authentication failed for user "{user}"'


def test_query_leaves_nologin_to_the_server(asking):
    with Conn(asking()) as c:
        c.start_tls()
        events = c.login(PASSWORDS["nologin"], user="nologin")
        assert ("R", 0, b"") in events
        assert events[-2][1]["M"] == 'role "nologin" is not permitted to log in'


def test_query_sees_a_changed_password(asking, upstream):
    g = asking(auth_cache_ttl="0")
    upstream.query("SELECT 1")
    with upstream.admin() as db:
        try:
            db.execute(f"ALTER ROLE alice PASSWORD '{scram.secret('changed')}'")
            session(g, "changed").close()
            assert refused(g, ALICE)["C"] == "28P01"
        finally:
            db.execute(f"ALTER ROLE alice PASSWORD '{SECRETS['alice']}'")


def test_query_judges_membership(asking, upstream):
    with upstream.admin() as db:
        db.execute("CREATE ROLE staff")
        db.execute("GRANT staff TO alice")
        try:
            g = asking(hba="hostssl all +staff 127.0.0.1/32 scram-sha-256\n")
            session(g).close()
            assert refused(g, BOB, user="bob")["M"] == (
                'no pg_hba.conf entry for host "127.0.0.1", user "bob", database "app", SSL encryption')
        finally:
            db.execute("DROP ROLE staff")


# -- relayed exchanges: auth_source = upstream --------------------------------------------------------------------
@pytest.mark.parametrize("way", ["unix", "loopback"])
def test_relayed_scram(gate, upstream, way):
    g = gate(unix(upstream) if way == "unix" else tcp(upstream, sslmode="disable"), **RELAYED)
    for tls in (False, True):
        with Conn(g) as c:
            if tls:
                c.start_tls()
            c.send(startup())
            assert c.event() == ("R", 10, b"SCRAM-SHA-256\0\0")      # PLUS could not be passed on
            events = c.sasl(ALICE, gs2="y,," if tls else "n,,")
            assert events[0][:2] == ("R", 12) and events[1] == ("R", 0, b"") and events[-1] == ("Z", "I")
        assert refused(g, "wrong", tls=tls) == {
            "S": "FATAL", "V": "FATAL", "C": "28P01", "M": 'password authentication failed for user "alice"'}


def test_relayed_refusals_are_the_servers_own(gate, upstream):
    g = gate(unix(upstream), **RELAYED)
    assert refused(g, user="nobody", database="app")["M"].startswith(
        'no pg_hba.conf entry for host "[local]", user "nobody"')
    with Conn(g) as c:
        c.start_tls()
        events = c.login(PASSWORDS["nologin"], user="nologin")
        assert ("R", 0, b"") in events
        assert events[-2][1]["M"] == 'role "nologin" is not permitted to log in'


def test_real_psql_relayed(gate, upstream, certs):
    g = gate(unix(upstream), **RELAYED)
    for binding, works in (("disable", True), ("prefer", True), ("require", False)):
        got = psql.run(g, password=ALICE, sslmode="verify-full", sslrootcert=certs.ca_file, channel_binding=binding)
        assert (got.stdout == "1\n") == works, got.stderr


def demands(factory, gate, method, secret=None, rule="scram-sha-256"):
    """What a client gets when the upstream server asks for `method` under the gate's `rule`."""
    server = factory.postgres(hba=f"local all all {method}\n")
    try:
        if secret:
            with server.admin() as db:
                db.execute("SET password_encryption = 'md5'")
                db.execute(f"ALTER ROLE alice PASSWORD '{secret}'")
        g = gate(unix(server), hba=f"host all all 127.0.0.1/32 {rule}\n", **RELAYED)
        mark = g.log.mark()
        with Conn(g) as c:
            c.start_tls()
            events = c.login(ALICE)
        return events, g.words(mark)
    finally:
        factory.stop(server)


@pytest.mark.parametrize("method, secret", [("trust", None), ("password", None), ("md5", "plain")])
def test_an_upstream_that_demands_less_than_the_rule(factory, gate, method, secret):
    """Above all one that trusts its socket: nobody comes past a scram-sha-256 rule without SCRAM."""
    events, logged = demands(factory, gate, method, secret)
    assert events[-1] == wire.EOF and events[-2][0] == "E" and events[-2][1]["C"] == "28000", events
    assert not any(e[:2] == ("R", 0) for e in events)
    assert "pg_hba.conf" in logged and "line=1" in logged


def test_load_refuses_what_cannot_be_relayed(factory, upstream, certs):
    """A password rule for TLS clients in front of a TLS upstream."""
    g = factory.gate(start=False, upstream=tcp(upstream, sslrootcert=certs.ca_file), settings=RELAYED,
                     hba="hostssl app all 127.0.0.1/32 scram-sha-256\n", tls={"cert": certs.server})
    try:
        status, logged = g.refuses_to_start()
        assert status in (1, 3) and "pg_hba.conf" in logged and "auth_source" in logged
    finally:
        factory.stop(g)


def test_companion_gate(factory, upstream, certs):
    """Beside an application that cannot do TLS: plaintext in, verified TLS out, the exchange relayed."""
    g = factory.gate(upstream=tcp(upstream, sslrootcert=certs.ca_file), settings=RELAYED,
                     hba="local app all scram-sha-256\nhostnossl app all 127.0.0.1/32 scram-sha-256\n")
    try:
        for way in (True, False):
            with Conn(g, unix=way) as c:
                c.ready(ALICE)
                assert leg(upstream, c.pid)[0]
        assert refused(g, "wrong", tls=False)["C"] == "28P01"
    finally:
        factory.stop(g)


# -- nobody there, or nobody sane ---------------------------------------------------------------------------------
def test_unreachable_upstream(gate, scratch):
    g = gate(f"host={scratch} port=1")
    error = refused(g)
    assert error["C"] == "57P03"
    g = gate("host=127.0.0.1 port=1 sslmode=disable")
    assert refused(g)["C"] == "57P03"


def test_a_prefer_client_does_not_go_on_to_plaintext(gate, scratch):
    """57P03 is the one code that does not make libpq try again without TLS."""
    g = gate(f"host={scratch} port=1")
    mark = g.log.mark()
    got = psql.run(g, password=ALICE, sslmode="prefer")
    assert got.returncode == 2
    assert len(psql.errors(got)) == 1, got.stderr
    assert g.log.text(mark).count("event=connection_received") == 1


def said(text):
    def handler(up, sock):
        up.startup(sock)
        sock.sendall(text)
        sock.recv(1)
    return handler


def closes_at_once(_up, _sock):
    pass


def closes_behind_the_startup(up, sock):
    up.startup(sock)


def never_answers(up, sock):
    up.startup(sock)
    sock.recv(1)


def error(code, text):
    return message("E", b"SFATAL\0VFATAL\0C" + code.encode() + b"\0M" + text.encode() + b"\0\0")


LOST = {
    "closes at once": closes_at_once,
    "closes behind the startup": closes_behind_the_startup,
    "speaks http": said(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "half a message": said(b"R\0\0"),
    "huge message": said(b"R\x7f\xff\xff\xff" + bytes(100)),
    "tiny length": said(b"R\0\0\0\1"),
    "unknown request": said(message("R", b"\0\0\0\x63")),
    "a row first": said(message("D", b"\0\0")),
}


@pytest.mark.parametrize("handler", LOST.values(), ids=LOST.keys())
def test_an_upstream_that_makes_no_sense(gate, handler):
    with Upstream(handler) as up:
        error_ = refused(gate(f"host=127.0.0.1 port={up.port} sslmode=disable connect_timeout=3"))
        assert error_["C"] in ("57P03", "28000", "08P01")
        assert up.accepted >= 1


def seconds_of_silence(gate):
    """connect_timeout is 2."""
    with Upstream(never_answers) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslmode=disable connect_timeout=2")
        began = time.monotonic()
        assert refused(g)["C"] == "57P03"
        return time.monotonic() - began


def test_an_upstream_that_never_answers(gate):
    seconds_of_silence(gate)


@pytest.mark.clock
def test_connect_timeout_is_kept(gate):
    assert seconds_of_silence(gate) < 8


def test_the_servers_own_refusal_reaches_the_client(gate):
    with Upstream(said(error("53000", "nothing is left"))) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslmode=disable")
        got = refused(g)
        assert (got["C"], got["M"]) == ("53000", "nothing is left")


def test_a_text_from_before_tls_is_never_shown(gate, certs):
    """Anybody on the way could have written it."""
    with Upstream(said(error("28000", "call this number"))) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslrootcert={certs.ca_file}")
        got = refused(g)
        assert got["C"] == "57P03" and "call this number" not in str(got)


def test_smuggled_bytes_behind_the_s(gate, certs):
    """Bytes that come with the `S` in one go are an attack on the gate as a client."""
    with Upstream(said(b"S" + error("28000", "injected"))) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslrootcert={certs.ca_file}")
        got = refused(g)
        assert got["C"] == "57P03" and "injected" not in str(got)


# -- what the server is told --------------------------------------------------------------------------------------
def test_forwarded_facts(gate, upstream, certs):
    alice = certs.client("facts-alice", certs.ca.issue("alice"))
    g = gate(unix(upstream))
    with Conn(g) as c:
        c.start_tls(wire.client_context(cert=alice))
        c.ready(ALICE)
        facts = {name: c.value(f"SHOW pgseal.{name}") for name in
                 ("ssl", "version", "cipher", "client_addr", "client_dn", "rule")}
        assert facts["version"] == "TLSv1.3" and facts["cipher"] == c.tls.cipher()[0]
        assert facts["client_addr"] == "127.0.0.1" and facts["client_dn"] == "/CN=alice"
        assert facts["ssl"] in ("on", "true", "t") and "1" in facts["rule"]


def test_a_clients_own_facts_are_dropped(gate, upstream):
    g = gate(unix(upstream))
    with Conn(g) as c:
        c.ready(ALICE, **{"pgseal.version": "forged", "PGSEAL.Client_DN": "forged", "Pgseal.other": "forged",
                          "other.name": "kept"})
        for name in ("version", "client_dn", "other"):
            assert c.value(f"SELECT current_setting('pgseal.{name}', true)") in ("", None)
        assert c.value("SHOW other.name") == "kept"


def test_facts_can_be_turned_off(gate, upstream):
    with session(gate(unix(upstream), forward_facts="off")) as c:
        assert c.value("SELECT current_setting('pgseal.version', true)") is None


def test_protocol_options_stay_at_the_gate(gate):
    with Upstream(closes_behind_the_startup) as up:
        g = gate(f"host=127.0.0.1 port={up.port} sslmode=disable", forward_facts="off")
        with Conn(g) as c:
            c.login(ALICE, version=0x00030007, **{"_pq_.x": "1", "application_name": "kept"})
        body = up.received[0][1]
        assert b"_pq_" not in body and b"application_name\0kept\0" in body and b"user\0alice\0" in body


# -- who leaves the gate no secret ---------------------------------------------------------------------------------
NO_SECRET = "leave the gate no secret to log in to the server with"


@pytest.mark.parametrize("method, login, warned", [
    ("cert", "scram", True), ("trust", "scram", True), ("cert", "scram, peer", False), ("cert", "trust", False),
    ("scram-sha-256", "scram", False), ("reject", "scram", False)])
def test_a_rule_without_a_secret_is_told_at_load(gate, upstream, method, login, warned):
    g = gate(unix(upstream), hba=f"hostssl all all 127.0.0.1/32 {method}\n", upstream_login=login)
    lines = [line for line in g.words().splitlines() if NO_SECRET in line]
    assert len(lines) == warned
    assert all(f"file={g.path('pg_hba.conf')} line=1" in line and "upstream_login = 'scram, peer'" in line for line in lines)


def test_without_a_secret_the_log_names_the_way_out(gate, upstream):
    """alice is let in by the gate, and the server wants her password on its socket."""
    g = gate(unix(upstream), hba=TRUST)
    mark = g.log.mark()
    assert refused(g)["M"] == 'could not log in to the upstream server as user "alice"'
    assert "upstream_login" in g.log.wait_for(r"cause=no_upstream_login .*next=(.*)", mark).group(1)


def test_a_rule_for_the_status_database_needs_no_way_to_the_server(gate, upstream, certs):
    g = gate(tcp(upstream, sslrootcert=certs.ca_file), hba="hostssl pgseal all 127.0.0.1/32 cert\n"
             "hostssl pgseal all 127.0.0.1/32 trust\n", upstream_login="scram")
    assert NO_SECRET not in g.words()


@pytest.mark.parametrize("login, secret, warned", [("scram", MD5_ALICE, True), ("trust", MD5_ALICE, False),
                                                   ("scram", SECRETS["alice"], False)])
def test_an_md5_user_is_told_at_load(gate, upstream, login, secret, warned):
    g = gate(unix(upstream), hba="host all all 127.0.0.1/32 md5\n", upstream_login="trust")
    g.write("userlist.txt", userlist({"alice": secret}), 0o600)
    g.configure({"upstream_login": login})
    said = g.reload()
    assert "reload_failed" not in said
    assert ('user "alice" of auth_file, whose secret is MD5, cannot log in to the server' in said) == warned
    if warned:
        with Conn(g) as c:
            c.send(startup())
            salt = c.event()[2]
            c.send(wire.password(md5_answer(MD5_ALICE, salt)))
            assert c.dialogue()[0][1]["M"] == 'could not log in to the upstream server as user "alice"'
        assert "MD5: " in g.log.wait_for(r"cause=no_upstream_login .*next=(.*)").group(1)


def test_md5_rules_over_secrets_of_the_server_are_told(gate, upstream):
    g = gate(unix(upstream), hba="host all all 127.0.0.1/32 md5\n", auth_source="query", auth_file=None)
    assert 'users whose secret is MD5 cannot log in to the server by this "md5" rule' in g.words()


# -- routes -------------------------------------------------------------------------------------------------------
def test_a_database_goes_to_its_own_upstream(gate, upstream, scratch):
    g = gate(f"host={scratch} port=1", **{"upstream.app": unix(upstream), "upstream.Other": unix(
        upstream, dbname="db2")}, hba="host app,Other,db2 all 127.0.0.1/32 scram-sha-256\n")
    with session(g) as c:
        assert c.value("SELECT current_database()") == "app"
    with session(g, database="Other") as c:
        assert c.value("SELECT current_database()") == "db2"
    assert refused(g, database="db2")["C"] == "57P03"
    assert "no pg_hba.conf entry" in refused(g, database="other")["M"]


@pytest.mark.parametrize("database, loads", [("app", True), ("Other", False), ("app,Other", False), ("all", False),
                                             ("/^app$", False), ("sameuser", False)])
def test_a_rule_must_be_honoured_on_the_routes_it_can_take(factory, upstream, certs, database, loads):
    """Passing a password exchange through is possible to app's socket, and impossible to the TLS server of the rest."""
    g = factory.gate(start=False, upstream=tcp(upstream, sslrootcert=certs.ca_file), tls={"cert": certs.server},
                     settings={**RELAYED, "upstream.app": unix(upstream)},
                     hba=f"hostssl {database} all 127.0.0.1/32 scram-sha-256\n")
    try:
        if loads:
            g.start()
        else:
            assert "cannot be relayed" in g.refuses_to_start()[1]
    finally:
        factory.stop(g)


def test_quoted_database_name(gate, upstream, scratch):
    g = gate(f"host={scratch} port=1", hba='host "My Db" all 127.0.0.1/32 scram-sha-256\n')
    with open(g.path("pgseal.conf"), "a", encoding="utf-8") as f:
        f.write(f"upstream.\"My Db\" = '{unix(upstream, dbname='app').replace(chr(39), chr(39) * 2)}'\n")
    g.restart()
    with session(g, database="My Db") as c:
        assert c.value("SELECT current_database()") == "app"


def test_check_says_what_serve_would(program, gate, upstream):
    g = gate(unix(upstream))
    good = subprocess.run([program, "serve", "-D", g.dir, "--check"], capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    g.write("pg_hba.conf", "nonsense\n")
    bad = subprocess.run([program, "serve", "-D", g.dir, "--check"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and "pg_hba.conf" in bad.stdout + bad.stderr
