"""
Passwords are as long as a PasswordMessage takes them, and longer where SCRAM keeps them off the wire. The same is asked
of PostgreSQL, which hashes the passwords, and of a gate that judges by its secrets.
"""

import os

import pytest

from lib import wire
from lib.gate import userlist
from lib.wire import Conn, fatal

from test_upstream import tcp, unix

LONGEST = 65535 - 4 - 1     # PG_MAX_AUTH_TOKEN_LENGTH without length word and NUL
PASSWORDS = {
    "l_1025": "x" * 1025,
    "l_longest": "0123456789" * (LONGEST // 10),
    "l_beyond": "y" * (LONGEST + 1),
    "l_text": "Grüße, Übermut und Äther: " * 2000,
    "l_spaces": "x\u00a0" * 10000 + "\u00ad\u2168",     # SASLprep makes other characters of these
    "l_ideographs": "中文密码" * 4000,
    "l_syllables": "가각간" * 5000,
    "l_decomposed": "a\u0323\u0308" * 8000,
    "l_latin1": "\u0627a" * 3000,                       # both directions: SASLprep refuses, the bytes are used
}
RULES = """\
host app,postgres  l_beyond 127.0.0.1/32 scram-sha-256
host app,postgres  all      127.0.0.1/32 password
"""
BEHIND = "local all all trust\n"


@pytest.fixture(scope="module")
def server(kind, factory, distributions):
    """PostgreSQL under the rules, or the gate under them before such a server."""
    distribution = factory.debian if kind == "gate" else distributions[kind]
    made = factory.postgres(distribution, hba=BEHIND + ("" if kind == "gate" else RULES))
    with made.admin() as db:
        db.execute("SET password_encryption = 'scram-sha-256'")
        for user, password in PASSWORDS.items():
            db.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        db.execute("SET password_encryption = 'md5'")
        db.execute(f"CREATE ROLE l_md5 LOGIN PASSWORD '{PASSWORDS['l_longest']}'")
    if kind != "gate":
        yield made
        factory.stop(made)
        return
    gate = factory.gate(upstream=unix(made), hba=RULES,
                        settings={"auth_source": "query", "auth_user": "postgres", "auth_file": None,
                                  "upstream_login": "trust"})
    yield gate
    factory.stop(gate)
    factory.stop(made)


def end(server, user, password):
    with Conn(server, timeout=30) as c:
        return c.login(password, user=user)[-2:]


@pytest.mark.parametrize("user", PASSWORDS)
def test_the_right_one_lets_in(server, user):
    assert end(server, user, PASSWORDS[user])[-1] == ("Z", "I")


def test_a_longest_one_that_is_stored_as_md5(server):
    assert end(server, "l_md5", PASSWORDS["l_longest"])[-1] == ("Z", "I")


@pytest.mark.parametrize("user", [u for u in PASSWORDS if u != "l_beyond"])
def test_another_end_does_not(server, user):
    assert end(server, user, PASSWORDS[user][:-1] + "Z") == [
        fatal("28P01", f'password authentication failed for user "{user}"'), wire.EOF]


def test_a_shorter_one_does_not(server):
    assert end(server, "l_longest", PASSWORDS["l_longest"][:1024]) == [
        fatal("28P01", 'password authentication failed for user "l_longest"'), wire.EOF]


def test_no_message_is_longer(server):
    since = server.log.mark()
    events = end(server, "l_1025", "x" * (LONGEST + 1))
    assert events[-1] in (wire.EOF, wire.RESET), events
    server.log.wait_for("invalid message length", since)


# -- the gate alone -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def behind(factory):
    """A server that asks for each password itself."""
    server = factory.postgres(hba=BEHIND + "host all l_beyond 127.0.0.1/32 scram-sha-256\n"
                                           "host all all 127.0.0.1/32 password\n")
    with server.admin() as db:
        for user in "l_longest", "l_beyond", "l_text":
            db.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORDS[user]}'")
    yield server
    factory.stop(server)


@pytest.mark.parametrize("user", ["l_longest", "l_text"])
@pytest.mark.parametrize("source", ["upstream", "file"])
def test_the_server_behind_gets_it(make_gate, behind, user, source):
    """As it passes through, and by upstream_login = password."""
    settings = {"auth_source": source, "upstream_login": "password" if source == "file" else None}
    if source == "upstream":
        settings["auth_file"] = None
    gate = make_gate(upstream=tcp(behind, sslmode="disable"), settings=settings,
                     hba="host all all 127.0.0.1/32 password\n")
    if source == "file":
        gate.write("userlist.txt", userlist(PASSWORDS), 0o600)
        gate.reload()
    with Conn(gate, timeout=30) as c:
        c.ready(PASSWORDS[user], user=user)
        assert c.value("SELECT current_user") == user


@pytest.mark.parametrize("user", ["l_longest", "l_text", "l_beyond"])
def test_from_a_password_file(make_gate, behind, scratch, user):
    path = os.path.join(scratch, f"long-{user}")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        f.write(f"*:*:*:{user}:" + PASSWORDS[user].replace(":", "\\:") + "\n")
    gate = make_gate(upstream=tcp(behind, sslmode="disable", user=user, passfile=path),
                     hba="host all all 127.0.0.1/32 trust\n", settings={"upstream_login": "service"})
    with Conn(gate, timeout=30) as c:
        c.ready(None)
        assert c.value("SELECT current_user") == user
