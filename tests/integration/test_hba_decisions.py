"""
Rules and connections at random: `pgseal explain` and PostgreSQL 18 must decide alike, down to the line.

`explain` calls the matcher that the gate calls. PostgreSQL names the line of a rule that let somebody in in its
log; a refusal is compared by its text.
"""

import getpass
import json
import os
import random
import re
import subprocess

import pytest

from lib import pki, wire

FILES = int(os.environ.get("PGSEAL_HBA_FILES", "8"))
CONNECTIONS = 30

ROLES = ["ann", "ben", "cat", "da ve", "Ann", "+odd", "all", "/ann", "grp1", "grp2"]
MEMBERS = [("grp1", "ann"), ("grp2", "grp1"), ("grp2", "ben"), ("grp1", "cat"), ("app", "ben")]
USERS = ROLES + ["nobody", "\xe9t\xe9", "a.b", "ann1"]
DATABASES = ["app", "postgres", "nosuch", "ann", "replication", "all", "sameuser", "ap p", "/app", "grp1"]
SOURCES = ["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.0.9", "::1"]

DB_TOKENS = ["all", "sameuser", "samerole", "samegroup", "replication", "app", '"all"', '"sameuser"', '"replication"',
             "/^a", '"/p p$"', "/^[[:alnum:]_]+$", "postgres", '"ap p"', "app,postgres", "nosuch,@dbs", "ann",
             "/(?i)^APP$", "/^.{3}$", "/\\W", "/\\mapp\\M"]
USER_TOKENS = ["all", "ann", "ben", "+grp1", "+grp2", '"+grp1"', '"+odd"', '"all"', "/^a", "/n$", '"da ve"', "ann,cat",
               "@users", "/^(ann|ben)$", "/(?i)ANN", "/^[[:lower:]]+$", '"/[^ -~]"', "/^\\w+$", "+nogroup", "Ann",
               '"/ann"', "/\xe9", "/^.t.$", "/[[:punct:]]", "nobody", "/a.b", "/a\\.b"]
ADDRESSES = ["all", "samehost", "samenet", "127.0.0.1/32", "127.0.0.0/24", "127.0.0.0/8", "127.1.2.3 255.0.255.0",
             "0.0.0.0/0", "::/0", "::1/128", "::1 ffff::", "127.0.0.2/31", "127.255.0.9 255.255.255.255", "localhost",
             ".localhost", "nohost.invalid", "127.1/32", "::ffff:127.0.0.1/128", "10.0.0.0/8"]
METHODS = ["trust"] * 6 + ["reject"] * 2 + ["scram-sha-256", "password"]


def some_rules(rnd):
    lines = []
    for _ in range(rnd.randint(1, 12)):
        kind = rnd.choice(["local", "host", "host", "hostssl", "hostnossl", "hostnogssenc", "hostgssenc"])
        database = ",".join(rnd.choices(DB_TOKENS, k=rnd.choice([1, 1, 1, 2, 3])))
        user = ",".join(rnd.choices(USER_TOKENS, k=rnd.choice([1, 1, 1, 2, 3])))
        address = "" if kind == "local" else rnd.choice(ADDRESSES)
        lines.append(f"{kind} {database} {user} {address} {rnd.choice(METHODS)}\n")
    return "".join(lines)


def some_client(rnd):
    unix = rnd.random() < 0.2
    return {"unix": unix, "source": None if unix else rnd.choice(SOURCES), "tls": not unix and rnd.random() < 0.5,
            "user": rnd.choice(USERS), "database": rnd.choice(DATABASES),
            "replication": rnd.choice([None] * 6 + ["true", "database"])}


class Target:
    """Where wire.Conn connects to."""

    def __init__(self, server, source):
        self.host = "::1" if source and ":" in source else "127.0.0.1"
        self.port, self.socket_dir = server.port, server.socket_dir


def asked_postgres(server, client):
    since = server.log.mark()
    user, database = client["user"].encode("latin-1"), client["database"].encode()
    with wire.Conn(Target(server, client["source"]), unix=client["unix"], source=client["source"]) as conn:
        if client["tls"]:
            conn.start_tls()
        conn.send(wire.startup(user, database, replication=client["replication"]))
        event = conn.event()
    if event[0] == "R" and event[1] == 0:
        found = server.log.wait_for(r"connection authenticated: .*method=trust \(\S+:(\d+)\)", since)
        return ["trust", int(found.group(1))]
    if event[0] == "R":
        return [{3: "password", 10: "scram-sha-256"}[event[1]]]
    # A user who does not exist is let in by the rule, and refused behind it.
    found = re.search(r"connection authenticated: .*method=trust \(\S+:(\d+)\)", server.log.text(since))
    if found and "pg_hba.conf" not in event[1]["M"]:
        return ["trust", int(found.group(1))]
    return ["refused", event[1]["C"], event[1]["M"]]


def word(key, value):
    value = value.encode("latin-1").replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return key.encode() + b"='" + value + b"'"


def memberships(user):
    roles, grown = {user}, True
    while grown:
        more = {group for group, member in MEMBERS if member in roles} - roles
        roles |= more
        grown = bool(more)
    return roles if user in ROLES else None


def explained(program, path, client):
    roles = memberships(client["user"])
    # A role that does not exist is a member of nothing, not even of itself; no token here asks for that.
    arguments = [word("user", client["user"]), word("dbname", client["database"]),
                 word("roles", ",".join(roles) if roles else "")]
    arguments.append(b"local" if client["unix"] else word("addr", client["source"]))
    arguments.append(word("tls", "1.3" if client["tls"] else "none"))
    if client["replication"]:
        arguments.append(word("replication", client["replication"]))
    done = subprocess.run([program, "explain", "--json", "--hba", path, *arguments], capture_output=True, check=False)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    answer = json.loads(done.stdout.decode("latin-1"))
    if answer["refusal"]:
        return ["refused", "28000", answer["refusal"]]
    method = answer["matched"]["method"]
    return [method, answer["matched"]["line"]] if method == "trust" else [method]


@pytest.fixture(scope="module")
def judge(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    cert = pki.Authority().issue("server", sans=["localhost"], usage="server")
    server = factory.postgres(distributions["pg18"], tls={"cert": cert},
                              settings={"listen_addresses": "127.0.0.1,::1", "max_wal_senders": "10"})
    with server.admin() as db:
        for role in ROLES + ["app"]:
            db.execute(f'CREATE ROLE "{role}" LOGIN REPLICATION')
        for group, member in MEMBERS:
            db.execute(f'GRANT "{group}" TO "{member}"')
    server.write("users", "ben, \"da ve\"\n+grp2 # and theirs\n")
    server.write("dbs", "@dbs2\n\"all\"\n")
    server.write("dbs2", "postgres ann")
    return server


@pytest.mark.parametrize("seed", range(FILES))
def test_decisions(judge, program, seed):
    rnd = random.Random(seed)
    rules = some_rules(rnd)
    judge.configure()
    with open(judge.path("pg_hba.conf"), "wb") as f:
        f.write(("local all postgres trust\n" + rules).encode("latin-1"))
    judge.reload()
    for _ in range(CONNECTIONS):
        client = some_client(rnd)
        ours = explained(program, judge.path("pg_hba.conf"), client)
        theirs = asked_postgres(judge, client)
        if theirs[0] == "refused":
            theirs[2] = theirs[2].replace("\\xe9", "\xe9")
        assert ours == theirs, f"{client}\n{rules}"


SYSTEM_NAMES = ["{me}", "other", "/^(.*)$", "/^{start}(.*)$", "/{me}", "/^({me}|x)$", "/x*", "/^(z)?{me}$", '"{me}"',
                "/({start})({rest})", "/(?i)^({upper})$", "/^[[:lower:]]+$", "/[0-9]"]
ROLE_NAMES = ["ann", "all", '"all"', "+grp1", "+grp2", '"+odd"', "\\1", "{start}\\1", "/^a", "/nn$", '"/ann"', "x\\1\\1",
              "Ann", "/(?i)^ANN$", '"da ve"', "\\2", "+\\1"]


def some_maps(rnd, me):
    words = {"me": me, "start": me[:2], "rest": me[2:], "upper": me.upper()}

    def word(names):
        return rnd.choice(names).format(**words)
    return "".join(f"{rnd.choice('mmmn')} {word(SYSTEM_NAMES)} {word(ROLE_NAMES)}\n" for _ in range(rnd.randint(1, 6)))


@pytest.mark.parametrize("seed", range(FILES))
def test_maps(judge, program, seed):
    rnd = random.Random(seed)
    me = getpass.getuser()
    maps = some_maps(rnd, me)
    rules = "local all postgres trust\nlocal replication all peer\nlocal all all peer map=m\n"
    judge.write("pg_hba.conf", rules)
    judge.write("pg_ident.conf", maps)
    judge.reload()
    for user in rnd.sample(ROLES, 5) + [me, me[2:]]:
        with wire.Conn(Target(judge, None), unix=True) as conn:
            event = conn.send(wire.startup(user, "app")).event()
        refused = event[0] == "E" and "Peer authentication failed" in event[1]["M"]
        roles = memberships(user) or {user}
        done = subprocess.run([program, "explain", "--json", "--hba", judge.path("pg_hba.conf"), "--ident",
                               judge.path("pg_ident.conf"), "local", word("user", user), "dbname=app",
                               word("os_user", me), word("roles", ",".join(roles))], capture_output=True, check=False)
        ours = json.loads(done.stdout)
        assert (ours["decision"] == "reject") == refused, f"{user}: {ours['demands']} / {event}\n{maps}"
