"""
One connection, two opinions: what `pgseal explain` says of it and what a PostgreSQL 18 server does with it.

A client is a dictionary: unix, source (address to connect from), tls, user, database, replication. Texts are
Latin-1: a byte each. An opinion is ["trust", LINE], [METHOD] or ["refused", SQLSTATE, MESSAGE].
"""

import json
import re
import subprocess

from . import pki, wire

ROLES = ["ann", "ben", "cat", "da ve", "Ann", "+odd", "all", "/ann", "grp1", "grp2"]
MEMBERS = [("grp1", "ann"), ("grp2", "grp1"), ("grp2", "ben"), ("grp1", "cat"), ("app", "ben")]


def make_judge(factory, distribution):
    """A server with those roles, TLS, and files for @users and @dbs."""
    cert = pki.Authority().issue("server", sans=["localhost"], usage="server")
    server = factory.postgres(distribution, tls={"cert": cert},
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


def load(server, rules):
    """Give a judge other rules behind the administrator's own line 1."""
    with open(server.path("pg_hba.conf"), "wb") as f:
        f.write(("local all postgres trust\n" + rules).encode("latin-1"))
    server.reload()


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
    return ["refused", event[1]["C"], event[1]["M"].replace("\\xe9", "\xe9")]


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
