"""
Starting, reloading and stopping.

Where the gate deliberately differs (a reload is atomic over all files) the test is about the gate alone.
"""

import contextlib
import json
import os
import signal
import ssl
import subprocess

import pytest

from lib import pki, run, wire
from lib.pg import PASSWORDS
from lib.wire import Conn, startup

ALICE = PASSWORDS["alice"]
HBA = "hostssl app all 127.0.0.1/32 trust\nhostnossl app all 127.0.0.1/32 reject\n"


@pytest.fixture
def server(kind, factory, certs):
    server = factory.make(kind, hba=HBA, tls={"cert": certs.server})
    yield server
    factory.stop(server)


@pytest.fixture
def gate(make_gate, certs):
    return make_gate(hba=HBA, tls={"cert": certs.server})


def served(server):
    """The serial number of the certificate that is served."""
    from cryptography import x509
    with Conn(server) as c:
        c.start_tls()
        return x509.load_der_x509_certificate(c.tls.getpeercert(True)).serial_number


def in_session(server):
    c = Conn(server)
    c.start_tls()
    return c.ready()


def admitted(server, tls=True, **who):
    with Conn(server) as c:
        if tls:
            c.start_tls()
        c.send(startup(**who))
        return ("R", 0, b"") in c.dialogue()


# -- reload, as PostgreSQL ----------------------------------------------------------------------------------------
def test_new_rules_are_in_force_and_sessions_stay(server):
    with in_session(server) as old:
        assert not admitted(server, tls=False)
        server.configure(hba="host app all 127.0.0.1/32 trust\n")
        server.reload()
        assert admitted(server, tls=False)
        server.configure(hba="host app all 127.0.0.1/32 reject\n")
        server.reload()
        assert not admitted(server) and not admitted(server, tls=False)
        assert old.value("SELECT 'still here'") == "still here"


def test_new_maps_are_in_force(server, certs):
    alice = certs.client("reload-alice", certs.ca.issue("somebody"))
    server.configure(hba="hostssl all all 127.0.0.1/32 cert map=m\n", ident="m somebody bob\n",
                     tls={"cert": certs.server, "ca": certs.ca.pem()})
    server.reload()

    def admits(user):
        with Conn(server) as c:
            c.start_tls(wire.client_context(cert=alice))
            c.send(startup(user))
            return ("R", 0, b"") in c.dialogue()

    assert admits("bob") and not admits("alice")
    server.configure(ident="m somebody alice\n")
    server.reload()
    assert admits("alice") and not admits("bob")


def test_the_file_of_maps_comes_and_goes(server, certs):
    """The maps in force stay while it is away, whatever else a reload changes; there are none before it was there."""
    cert = certs.client("reload-maps", certs.ca.issue("somebody"))

    def admits(user):
        with Conn(server) as c:
            c.start_tls(wire.client_context(cert=cert))
            c.send(startup(user))
            return ("R", 0, b"") in c.dialogue()

    def away():
        if os.path.exists(server.path("pg_ident.conf")):
            os.unlink(server.path("pg_ident.conf"))

    def reload_without():
        mark = server.log.mark()
        os.kill(server.process.pid, signal.SIGHUP)
        server.log.wait_for("pg_ident.conf was not reloaded", mark)

    away()
    server.configure(hba="hostssl all all 127.0.0.1/32 cert map=m\n", tls={"cert": certs.server, "ca": certs.ca.pem()})
    mark = server.log.mark()
    server.restart()
    server.log.wait_for("could not open (usermap )?file .*pg_ident.conf.*: No such file or directory", mark)
    assert not admits("bob")
    server.configure(hba="hostssl all alice 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 cert map=m\n")
    reload_without()
    assert admits("alice") and not admits("bob")
    server.configure(ident="m somebody bob\n")
    server.reload()
    assert admits("bob")
    away()
    server.configure(hba="hostssl all carol 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 cert map=m\n")
    reload_without()
    reload_without()
    assert admits("carol") and admits("bob") and not admits("alice")
    server.configure(ident="m somebody alice\n")
    server.reload()
    assert admits("alice") and not admits("bob")
    away()
    server.restart()
    assert not admits("alice") and admits("carol")


def test_the_passphrase_command_is_for_keys_that_have_one(server):
    """It is not run for others, so that it does not matter that it fails."""
    ran = os.path.join(server.data, "ran")
    server.configure({"ssl_passphrase_command": f"touch {ran}; exit 3", "ssl_passphrase_command_supports_reload": "on"})
    server.restart()
    server.reload()
    assert admitted(server) and not os.path.exists(ran)


def test_a_replaced_certificate_is_served(server, certs):
    new = certs.ca.issue("db.example", sans=["localhost"], usage="server")
    with in_session(server) as old:
        server.configure(tls={"cert": new})
        server.reload()
        assert served(server) == new.serial
        assert old.value("SELECT 'still here'") == "still here"


def test_tls_off_and_on(server):
    server.configure({"ssl": "off"}, hba="host app all 127.0.0.1/32 trust\n")
    server.reload()
    with Conn(server) as c:
        c.raw_send(wire.SSL_REQUEST)
        assert c.raw_exactly(1) == b"N"
    server.configure({"ssl": "on"})
    server.reload()
    assert admitted(server)


def test_version_range_is_reloaded(server):
    server.configure({"ssl_min_protocol_version": "TLSv1.3"})
    server.reload()
    with Conn(server) as c, pytest.raises(wire.Closed) as closed:
        c.start_tls(wire.client_context(maximum=ssl.TLSVersion.TLSv1_2))
    assert closed.value.how == "alert protocol version"
    server.configure({"ssl_min_protocol_version": "TLSv1.2"})
    server.reload()
    with Conn(server) as c:
        c.start_tls(wire.client_context(maximum=ssl.TLSVersion.TLSv1_2))


def sighup(server):
    """A reload that may be refused; returns what was logged."""
    since = server.log.mark()
    if server.is_gate:
        return server.reload()
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.wait_for("received SIGHUP", since)
    server.admin().close()
    return server.log.text(since)


BAD_RULES = ["hostssl app all 127.0.0.1/32 no-such-method\n", "hostssl app\n", "host app all 127.0.0.1/33 trust\n",
             "sometimes app all all trust\n", "host app all all trust nonsense=1\n", ""]


@pytest.mark.parametrize("line", BAD_RULES)
def test_bad_rules_change_nothing(server, line):
    server.configure(hba="host app all 127.0.0.1/32 trust\n" + line if line else "")
    logged = sighup(server)
    if line or server.is_gate:      # PostgreSQL's test file is never empty: its administrator's line is there
        assert "pg_hba.conf" in logged
        assert admitted(server) and not admitted(server, tls=False)


BAD_TLS = {
    "no certificate": lambda s, c: os.unlink(s.path("server.crt")),
    "no key": lambda s, c: os.unlink(s.path("server.key")),
    "another's key": lambda s, c: s.write("server.key", c.foreign.key_pem(), 0o600),
    "garbage": lambda s, c: s.write("server.crt", "this is no certificate\n"),
    "half a certificate": lambda s, c: s.write("server.crt", c.server.pem()[:200]),
    "open key": lambda s, c: os.chmod(s.path("server.key"), 0o644),
    "encrypted key": lambda s, c: s.write("server.key", c.server.key_pem("secret"), 0o600),
}


@pytest.mark.parametrize("spoil", BAD_TLS.values(), ids=BAD_TLS.keys())
def test_bad_tls_files_change_nothing(server, certs, spoil):
    before = served(server)
    spoil(server, certs)
    logged = sighup(server)
    assert "server.crt" in logged or "server.key" in logged or "private key" in logged
    assert served(server) == before and admitted(server)


# -- reload, atomic: the gate's own promise -----------------------------------------------------------------------
def test_nothing_is_taken_from_a_refused_reload(gate, certs):
    """A good certificate, good rules and one bad setting: all or nothing."""
    before = served(gate)
    gate.configure({"ssl_min_protocol_version": "TLSv9"}, hba="host app all 127.0.0.1/32 trust\n",
                   tls={"cert": certs.ca.issue("new", usage="server")})
    logged = gate.reload()
    assert "ssl_min_protocol_version" in logged and "TLSv9" in logged
    assert served(gate) == before and not admitted(gate, tls=False)
    gate.configure({"ssl_min_protocol_version": "TLSv1.2"})
    gate.reload()
    assert served(gate) != before and admitted(gate, tls=False)


def test_bad_rules_hold_back_a_good_certificate(gate, certs):
    before = served(gate)
    gate.configure(hba="nonsense\n", tls={"cert": certs.ca.issue("new", usage="server")})
    logged = gate.reload()
    assert "pg_hba.conf" in logged and served(gate) == before


def test_bad_certificate_holds_back_good_rules(gate):
    gate.configure(hba="host app all 127.0.0.1/32 trust\n")
    os.unlink(gate.path("server.crt"))
    gate.reload()
    assert not admitted(gate, tls=False)


def test_bad_maps_hold_back_everything(gate, certs):
    before = served(gate)
    gate.configure(ident="only-two words\n", tls={"cert": certs.ca.issue("new", usage="server")})
    assert "pg_ident.conf" in gate.reload() and served(gate) == before


def test_all_errors_are_reported_in_one_pass(gate):
    gate.configure({"no_such_setting": "1", "authentication_timeout": "banana"}, hba="nonsense\nmore nonsense\n")
    logged = gate.reload()
    for word in ("no_such_setting", "authentication_timeout"):
        assert word in logged


def test_unknown_setting_names_the_nearest(gate):
    gate.configure({"ssl_cert_fil": "x"})
    logged = gate.reload()
    assert "ssl_cert_fil" in logged and "ssl_cert_file" in logged.replace("ssl_cert_fil ", "")


def test_a_setting_that_needs_a_restart_stays(gate):
    port = gate.port
    gate.configure({"port": str(run.free_port())})
    logged = gate.reload()
    assert 'parameter "port" cannot be changed without restarting the server' in logged
    gate.port = port
    assert admitted(gate)


def test_reloads_under_load_lose_nobody(gate, certs):
    """Connections keep coming while certificates change; each is served by one or the other, none fails."""
    import concurrent.futures
    certificates = [certs.server, certs.ca.issue("other", usage="server")]

    def one(_):
        with Conn(gate) as c:
            c.start_tls()
            c.ready()
            return c.value("SELECT 1")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        work = pool.map(one, range(120))
        for i in range(6):
            gate.configure(tls={"cert": certificates[i % 2]})
            gate.reload()
        assert list(work) == ["1"] * 120


# -- stop ---------------------------------------------------------------------------------------------------------
SHUTDOWN = ("E", {"S": "FATAL", "V": "FATAL", "C": "57P01",
                  "M": "terminating connection due to administrator command"})


def test_sigint_ends_at_once(gate):
    with in_session(gate) as idle, in_session(gate) as busy:
        busy.send(wire.query("SELECT pg_sleep(60)"))
        assert gate.stop(signal.SIGINT) == 0
        for c in (idle, busy):
            c.rest()
    run.wait_until(lambda: not gate.upstream.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'alice'"
                                                   " AND state IS DISTINCT FROM 'active'"), "idle sessions to end")
    gate.upstream.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")


def test_sigterm_drains(gate):
    """Idle sessions end with 57P01 at once, a transaction at its end, and then the gate with status 0."""
    with in_session(gate) as idle, in_session(gate) as busy:
        busy.ask("BEGIN")
        gate.kill(signal.SIGTERM)
        assert idle.events() == [SHUTDOWN, wire.EOF]
        assert busy.value("SELECT 'in transaction'") == "in transaction"
        assert gate.process.poll() is None
        busy.send(wire.query("COMMIT"))
        events = busy.events()
        assert [e[0] for e in events] == ["C", "Z"]
        assert busy.events() == [SHUTDOWN, wire.EOF]
        assert gate.process.wait(run.PATIENCE) == 0
    gate.process = None


def test_drain_has_an_end(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"drain_timeout": "1s"})
    with in_session(gate) as busy:
        busy.ask("BEGIN")
        assert gate.stop(signal.SIGTERM) == 0
        assert SHUTDOWN in busy.events()


def test_who_connects_after_sighup_is_judged_by_the_new_rules(server):
    """The signal has been sent, whether or not anybody has acted on it. A hundred times, on whichever worker."""
    rules = ["host app all 127.0.0.1/32 trust\n", "host app all 127.0.0.1/32 reject\n"]
    stale = 0
    for i in range(100):
        server.configure(hba=rules[i % 2])
        os.kill(server.process.pid, signal.SIGHUP)
        stale += admitted(server, tls=False) != (i % 2 == 0)
    assert stale == 0


def test_who_connects_after_pg_reload_conf_is_judged_by_the_new_rules(gate):
    rules = ["host app all 127.0.0.1/32 trust\n", "host app all 127.0.0.1/32 reject\n"]
    with Conn(gate, unix=True) as console:
        console.ready(database="pgseal", user="root")
        for i in range(20):
            gate.configure(hba=rules[i % 2])
            console.ask("SELECT pg_reload_conf()")
            assert admitted(gate, tls=False) == (i % 2 == 0)


def test_who_connects_after_a_refused_sighup_is_let_in(gate):
    gate.configure(hba="host app all 127.0.0.1/32 trust\n")
    gate.reload()
    gate.configure(hba="nonsense\n")
    for _ in range(20):
        gate.kill(signal.SIGHUP)
        assert admitted(gate, tls=False)


# -- starts that must fail ----------------------------------------------------------------------------------------
@pytest.fixture
def stopped(factory, certs):
    gate = factory.gate(start=False, hba=HBA, tls={"cert": certs.server})
    yield gate
    factory.stop(gate)


BAD_STARTS = {
    "no certificate": (lambda g, c: os.unlink(g.path("server.crt")),
                       'could not load server certificate file "{dir}/server.crt": No such file or directory'),
    "another's key": (lambda g, c: g.write("server.key", c.foreign.key_pem(), 0o600),
                      'could not load private key file "{dir}/server.key": key values mismatch'),
    "open key": (lambda g, c: os.chmod(g.path("server.key"), 0o640),
                 'private key file "{dir}/server.key" has group or world access'),
    "key is a directory": (lambda g, c: (os.unlink(g.path("server.key")), os.mkdir(g.path("server.key"))),
                           'private key file "{dir}/server.key" is not a regular file'),
    "bad rule": (lambda g, c: g.write("pg_hba.conf", "host app all 127.0.0.1/32 bogus\n"),
                 'invalid authentication method "bogus"'),
    "no rules": (lambda g, c: os.unlink(g.path("pg_hba.conf")), "pg_hba.conf"),
    "bad setting": (lambda g, c: g.configure({"max_connections": "lots"}),
                    'invalid value for parameter "max_connections": "lots"'),
    "unknown setting": (lambda g, c: g.configure({"work_mem": "4MB"}),
                        'unrecognized configuration parameter "work_mem"'),
    "password in upstream": (lambda g, c: g.configure({"upstream": "host=/tmp password=x"}), "password"),
    "no usable cipher": (lambda g, c: g.configure({"ssl_ciphers": "NONSENSE"}),
                         "could not set the TLSv1.2 cipher list (no valid ciphers available)"),
    "bad group": (lambda g, c: g.configure({"ssl_groups": "X25519:nonsense"}),
                  "could not set group names specified in ssl_groups"),
    "inverted versions": (lambda g, c: g.configure({"ssl_min_protocol_version": "TLSv1.3",
                                                    "ssl_max_protocol_version": "TLSv1.2"}),
                          "could not set SSL protocol version range"),
    "no such CA file": (lambda g, c: g.configure({"ssl_ca_file": "nothing.crt"}),
                        'could not load root certificate file "{dir}/nothing.crt": No such file or directory'),
}


@pytest.mark.parametrize("spoil, text", BAD_STARTS.values(), ids=BAD_STARTS.keys())
def test_what_stops_postgresql_stops_the_gate(stopped, certs, spoil, text):
    spoil(stopped, certs)
    status, logged = stopped.refuses_to_start()
    assert status in (1, 3)
    assert text.format(dir=stopped.dir) in logged, logged
    assert "ready to accept connections" not in logged


def test_two_gates_on_one_directory(gate, factory):
    twin = factory.gate(start=False, hba=HBA)
    try:
        twin.dir = gate.dir
        status, logged = twin.refuses_to_start()
        assert status in (1, 3) and "pgseal.lock" in logged
    finally:
        factory.stop(twin)
    assert admitted(gate)


def test_a_port_in_use(gate, stopped):
    stopped.port = gate.port
    stopped.configure({})
    status, logged = stopped.refuses_to_start()
    assert status in (1, 3) and "Address already in use" in logged and str(gate.port) in logged


def test_missing_maps_are_only_a_warning(stopped):
    if os.path.exists(stopped.path("pg_ident.conf")):
        os.unlink(stopped.path("pg_ident.conf"))
    mark = stopped.log.mark()
    stopped.start()
    assert admitted(stopped)
    stopped.log.wait_for("pg_ident.conf", mark)


def test_bad_tls_files_do_not_matter_with_tls_off(stopped):
    os.unlink(stopped.path("server.crt"))
    stopped.configure({"ssl": "off"}, hba="host app all 127.0.0.1/32 trust\n")
    stopped.start()
    assert admitted(stopped, tls=False)


def test_passphrase_command(stopped, certs):
    stopped.write("server.key", certs.server.key_pem("sesame"), 0o600)
    stopped.configure({"ssl_passphrase_command": "echo sesame"})
    stopped.start()
    assert admitted(stopped)
    logged = stopped.reload()
    assert "cannot be reloaded because it requires a passphrase" in logged
    assert admitted(stopped)
    stopped.configure({"ssl_passphrase_command_supports_reload": "on"})
    stopped.restart()
    assert "reload_failed" not in stopped.reload()
    assert admitted(stopped)


def test_expired_certificate_is_served_with_a_warning(stopped, certs):
    """As PostgreSQL, which does not look at the dates of its own certificate."""
    old = certs.ca.issue("old", usage="server", valid_from=pki.now() - 9 * pki.DAY, valid_to=pki.now() - pki.DAY)
    stopped.configure(tls={"cert": old})
    mark = stopped.log.mark()
    stopped.start()
    assert served(stopped) == old.serial
    stopped.log.wait_for("(?i)expired", mark)


def test_who_was_at_the_door_when_the_drain_began_hears_57p03(make_gate, certs):
    """On whichever worker. Any other answer, or none, would send a `prefer` client on to plaintext."""
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"drain_timeout": "60s", "workers": "4"})
    with in_session(gate) as busy, contextlib.ExitStack() as stack:
        busy.send(wire.query("SELECT pg_sleep(60)"))
        run.wait_until(lambda: gate.upstream.query(f"SELECT 1 FROM pg_stat_activity WHERE pid = {busy.pid}"
                                                   " AND state = 'active'"), "the query to run")
        waiting = [stack.enter_context(Conn(gate)) for _ in range(16)]
        for conn in waiting[:8]:
            conn.start_tls()
        gate.process.send_signal(signal.SIGTERM)
        gate.log.wait_for("event=released ")
        for conn in waiting:
            conn.send(startup())
            kind, fields = conn.dialogue()[0]
            assert (kind, fields["C"], fields["M"]) == ("E", "57P03", "the database system is shutting down")
        gate.upstream.query(f"SELECT pg_cancel_backend({busy.pid})")
    gate.process.wait(run.PATIENCE)
    assert gate.process.returncode == 0


# -- pgseal reload ------------------------------------------------------------------------------------------------
def command(gate, *words):
    done = subprocess.run([gate.program, "reload", "-D", gate.dir, *words], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_what_came_of_it(gate):
    gate.configure(hba="host app all 127.0.0.1/32 trust\n")
    assert command(gate) == (0, "configuration reloaded, generation 2\n", "")
    assert admitted(gate, tls=False)
    gate.configure(hba="host app all 127.0.0.1/32 reject\nnonsense\n")
    mark = gate.log.mark()
    status, out, told = command(gate)
    assert (status, out) == (1, "")
    assert told.startswith("pgseal reload: configuration was not reloaded; the one in force stays\n")
    assert f'DETAIL:  {gate.path("pg_hba.conf")}:2: ' in told and f"pgseal serve -D {gate.dir} --check" in told
    gate.log.wait_for(r" ERROR:  event=reload_failed ", mark)
    assert admitted(gate, tls=False)
    status, out, told = command(gate, "--json")
    answer = json.loads(out)
    assert (status, answer["reloaded"], told) == (1, False, "") and "pg_hba.conf:2: " in answer["detail"]
    gate.configure(hba=HBA)
    status, out, _ = command(gate, "--json")
    assert status == 0 and json.loads(out)["reloaded"] is True


def test_the_command_where_nobody_can_be_asked(gate):
    gate.write("pgseal.conf", "port = nowhere\n")
    status, _, told = command(gate)
    assert status == 1 and "the gate was not reloaded" in told and "pgseal.conf" in told
    gate.configure(settings={"unix_socket_directories": ""})
    status, _, told = command(gate)
    assert status == 3 and "unix_socket_directories is empty" in told
    gate.configure(settings={"unix_socket_directories": gate.dir})
    gate.stop()
    status, _, told = command(gate)
    assert status == 3 and "could not connect to the gate" in told and "Is it running?" in told
