"""
Rules and connections at random: `pgseal explain` and PostgreSQL 18 must decide alike, down to the line.

`explain` calls the matcher that the gate calls. PostgreSQL names the line of a rule that let somebody in in its
log; a refusal is compared by its text.
"""

import getpass
import json
import os
import random
import subprocess

import pytest

from lib import rules, wire

FILES = int(os.environ.get("PGSEAL_HBA_FILES", "8"))
CONNECTIONS = 30

USERS = rules.ROLES + ["nobody", "\xe9t\xe9", "a.b", "ann1"]
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


@pytest.fixture(scope="module")
def judge(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    return rules.make_judge(factory, distributions["pg18"])


@pytest.mark.parametrize("seed", range(FILES))
def test_decisions(judge, program, seed):
    rnd = random.Random(seed)
    text = some_rules(rnd)
    rules.load(judge, text)
    for _ in range(CONNECTIONS):
        client = some_client(rnd)
        ours = rules.explained(program, judge.path("pg_hba.conf"), client)
        theirs = rules.asked_postgres(judge, client)
        assert ours == theirs, f"{client}\n{text}"


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
    judge.write("pg_ident.conf", maps)
    rules.load(judge, "local replication all peer\nlocal all all peer map=m\n")
    for user in rnd.sample(rules.ROLES, 5) + [me, me[2:]]:
        with wire.Conn(rules.Target(judge, None), unix=True) as conn:
            event = conn.send(wire.startup(user, "app")).event()
        refused = event[0] == "E" and "Peer authentication failed" in event[1]["M"]
        roles = rules.memberships(user) or {user}
        done = subprocess.run([program, "explain", "--json", "--hba", judge.path("pg_hba.conf"), "--ident",
                               judge.path("pg_ident.conf"), "local", rules.word("user", user), "dbname=app",
                               rules.word("os_user", me), rules.word("roles", ",".join(roles))], capture_output=True, check=False)
        ours = json.loads(done.stdout)
        assert (ours["decision"] == "reject") == refused, f"{user}: {ours['demands']} / {event}\n{maps}"
