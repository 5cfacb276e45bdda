"""What the log must not say: it is read by more people than the files that hold passwords. And how it says the rest."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

from lib.liar import Scripted, error_response
from lib.wire import Conn, startup

TRUST = "host app,postgres all 127.0.0.1/32 trust\n"


def test_a_rules_password_is_not_logged(make_gate):
    """Anybody can have himself refused; the line that did it is named by its number."""
    hba = ("host app all 127.0.0.1/32 ldap ldapserver=x ldapbasedn=y ldapbinddn=z ldapbindpasswd=tongue\n"
           "host db2 all 127.0.0.1/32 radius radiusservers=127.0.0.1 radiussecrets=tongue\n"
           "host all all 127.0.0.1/32 reject\n")
    with Scripted(lambda peer: (peer.packet(), peer.send(error_response("28000", "no")))) as server:
        g = make_gate(upstream=f"host=127.0.0.1 port={server.port} sslmode=disable", hba=hba,
                      settings={"auth_source": "upstream", "auth_file": None, "upstream_login": None})
        for line, database in enumerate(["app", "db2", "template1"], 1):
            with Conn(g) as c:
                assert c.login(database=database)[-2][1]["C"] == "28000"
            g.log.wait_for(f"event=refused .*rule_line={line}")
    assert "tongue" not in g.log.text() and 'rule="host all all 127.0.0.1/32 reject"' in g.log.text()


def test_a_conninfos_password_is_not_logged(make_gate):
    def conninfo(port):
        return f"host=127.0.0.1 port={port} sslmode=disable user=x sslpassword=tongue"

    g = make_gate(upstream=conninfo(1), hba="host all all 127.0.0.1/32 trust\n", settings={"upstream_login": "service"})
    g.upstream = conninfo(2)
    g.configure()
    assert 'parameter "upstream" changed' in g.reload()
    assert "tongue" not in g.log.text()

# -- as JSON ------------------------------------------------------------------------------------------------------
def objects(text):
    """Every line as an object; a name that stands twice is an error."""
    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)
    return [json.loads(line, object_pairs_hook=unique) for line in text.splitlines()]


def test_jsonlog_is_one_object_a_line_with_postgresqls_names(make_gate, certs):
    """From the first line on; a reload changes it for the lines that follow."""
    g = make_gate(hba=TRUST, tls={"cert": certs.server}, settings={"log_destination": "jsonlog"})
    with Conn(g) as c:
        c.start_tls()
        c.ready(database="app", application_name="caf\u00e9")
    with Conn(g) as c:
        c.send(startup(user=b"\xff\"\n", database="nowhere"))
        c.dialogue()
    g.log.wait_for("state_code")
    g.configure(settings={"log_destination": "stderr"}, hba="nonsense\n")
    g.reload()
    g.configure(hba=TRUST)
    g.reload()
    text = g.log.text()
    cut = text.index(next(line for line in text.splitlines(True) if not line.startswith("{")))
    lines = objects(text[:cut])
    assert " LOG:  event=reloaded " in text[cut:]
    assert {"timestamp", "pid", "error_severity", "event"} <= set.intersection(*(set(line) for line in lines))
    assert {line["pid"] for line in lines} == {g.process.pid}
    refused = next(line for line in lines if line["event"] == "refused")
    assert (refused["user"], refused["dbname"], refused["remote_host"]) == ("\\xff\"\n", "nowhere", "127.0.0.1")
    assert refused["error_severity"] == "FATAL" and isinstance(refused["remote_port"], int)
    assert any(line["event"] == "ready" for line in lines)


def test_under_systemd_lines_carry_their_level(factory):
    g = factory.gate(start=False, hba=TRUST)
    with open(g.log.path, "ab") as log:
        own = os.fstat(log.fileno())
        stream = f"{own.st_dev}:{own.st_ino}"
        g.process = subprocess.Popen([g.program, "serve", "-D", g.dir], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env={**os.environ, "JOURNAL_STREAM": stream})
    try:
        g.log.wait_for("ready to accept connections")
        with Conn(g) as c:
            c.send(startup(database="nowhere"))
            c.dialogue()
        g.log.wait_for("(?m)^<3>.* FATAL:  event=refused")
        assert all(line.startswith("<") for line in g.log.text().splitlines())
    finally:
        factory.stop(g)


# -- a log that nobody takes --------------------------------------------------------------------------------------
def test_a_stalled_log_stops_nobody(factory):
    """Sessions go on, logins too, and the gate still ends when it is told to."""
    g = factory.gate(start=False, hba=TRUST)
    ours, theirs = os.pipe()
    with open(ours, "rb", 0) as log:
        g.process = subprocess.Popen([g.program, "serve", "-D", g.dir], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        try:
            heard = b""
            while b"ready to accept connections" not in heard:
                heard += log.read(4096)
            with Conn(g) as steady:
                steady.ready()
                for _ in range(200):            # each leaves more than 600 bytes; the pipe holds 64 KiB
                    with Conn(g) as c:
                        c.ready()
                assert steady.value("SELECT 1") == "1"
                assert struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"    "))[0] > 60000
            assert g.stop(signal.SIGTERM) == 0
        finally:
            factory.stop(g)
