"""
Nasty rule files: `pgseal hba --json` and `pgseal ident --json` must print the rows of the server's own views.

The views read the files at query time, so one running server judges any number of files. Debian's PostgreSQL
judges everything (with --pg-version), PostgreSQL 18 what the package from npm is built with: rows about GSSAPI,
LDAP and PAM are passed over there.
"""

import json
import os
import random
import re
import subprocess

import psycopg
import pytest

from lib import pki, run

FILES = int(os.environ.get("PGSEAL_HBA_FILES", "40"))

AUX = {
    "users": b"alice bob,carol\n\"da ve\" # c\n@users2\n", "users2": b"eve\n\n+grp\n", "nothing": b"# none\n\n",
    "inc.conf": b"local all all trust\nhost all all bad trust\nhost all all 10.0.0.0/99 trust\n",
    "dir/a.conf": b"local a a peer\n", "dir/b.conf": b"local b\n", "dir/.h.conf": b"local h h trust",
    "dir/c.txt": b"zzz", "dir/x.conf/inner": b"", "empty/x": b"", "self": b"@self", "selfinc": b"include selfinc\n",
    "bad.users": b"alice\n@missing\nbob", "dangling/b.conf": b"local b b trust\n", "locked/a.conf": b"",
    "locked/b.conf": b"local b b trust\n", "locked/c.conf": b"",
}

TYPES = ["local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc", "hostfoo", "Host", '"host"',
         "local,host", "include", "include_dir", "include_if_exists", ""]
DATABASES = ["all", "sameuser", "samerole", "samegroup", "replication", "db1", '"all"', "db1,db2", "db1, db2",
             "db1 ,db2", "/^db[0-9]+$", '"/a,b"', "/(", "/[z-a]", "@aux/users", "@aux/nothing", "@aux/missing",
             '@"aux/users"', "@aux/self", "@aux/bad.users", '""', 'a"l"l', '"a""b"', "@", '"unterminated', "x#y",
             "\xe9t\xe9", "/a{2,1}", "/*a", "/\\", "/x**", "/[[:foo:]]", "/(?z)a", "/[\\W]", "/(?<=a)b", "/\\1",
             "/a[", "/(a){256}", "/[[.xx.]]", "/***=(", "/(?e)("]
USERS = ["all", "alice", "+grp", '"+grp"', "+", "/^a", "alice,bob", '"all"', "@aux/users", "bob,@aux/users2,x",
         "/a(b", "", '"a b"', "\\"]
ADDRESSES = ["all", "samehost", "samenet", "10.0.0.0/8", "10.1.2.3/8", "10.0.0.1", "127.1", "1", "0x7f.1",
             "010.0.0.1", "::1", "::1/128", "fe80::1%lo", "fe80::1%lo/64", "fe80::1%nosuch", "::ffff:1.2.3.4/120",
             "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/008", '"10.0.0.0/ 8"', "10.0.0.0/0x8", "10.0.0.0/",
             "10.0.0.0/8x", "10.0.0.0/-1", "host.example.com", ".example.com", "host.example.com/8", '"all"',
             '"samehost"', '""', "+x", "1.2.3.4,5.6.7.8", "999.1.1.1", "1.2.3.4.5", "10.0.0.0/8/8", "::/0",
             "fe80::/10", "::g", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4/127", "4294967296", "-1"]
MASKS = ["255.0.0.0", "255.255.255.255", "8", "ffff::", "255.0.255.0", "mask.example", '""', "", "0.0.0.0",
         "256.0.0.0", "255.0.0.0,255.0.0.0", "0xff000000"]
METHODS = ["trust", "reject", "password", "md5", "scram-sha-256", "cert", "peer", "ident", "gss", "sspi", "pam", "bsd",
           "ldap", "radius", "oauth", "Trust", "foo", '"trust"', "trust,md5", "crypt", "krb5"]
URLS = ["ldap://h/b", "ldap://h", "ldap://h:99/", "LDAP://H/b??one", "ldap:///b", "ldapi:///b", "http://h/", "",
        "ldap://h:x/", "ldap://h/b?a?foo", "ldap://[::1]:99/b", "ldap://[::1/b", "ldap://h/b%20c?u%69d",
        "<ldap://h/b>", "<ldap://h/b", "URL:ldap://h/b", "ldap://h?b", "ldap://h:/b", "ldap://h/b????",
        "ldap://h/b?????", "ldap://h/b???", "ldap://h/b????x", "ldap://h:389??cn=x", "ldap://h/%zz", "ldap://h/a%2",
        "ldap://h/b?uid?children", '"ldaps://h:1/dc=x,dc=y?uid,cn?sub?(a=b)"']
OPTIONS = ["map=m", "map=", 'map="a b"', "clientcert=verify-ca", "clientcert=verify-full", "clientcert=1",
           "clientcert=", "clientname=CN", "clientname=DN", "clientname=cn", "pamservice=x", "pam_use_hostname=1",
           "include_realm=0", "include_realm=1", "include_realm=x", "krb_realm=R", "krb_realm=", "compat_realm=1",
           "upn_username=1", "ldapserver=h", "ldapserver=", "ldapport=389", "ldapport=x", "ldapport=12ab",
           "ldapport=-7", "ldapscheme=ldaps", "ldapscheme=foo", "ldaptls=1", "ldaptls=0", "ldapprefix=p",
           "ldapprefix=", "ldapsuffix=s", "ldapbasedn=b", "ldapbinddn=d", "ldapbindpasswd=w",
           "ldapsearchattribute=a", "ldapsearchfilter=f", "ldapscope=1", *("ldapurl=" + url for url in URLS),
           "radiusservers=127.0.0.1", 'radiusservers="127.0.0.1,::1"', "radiusservers=", 'radiusservers="a b"',
           "radiussecrets=s", 'radiussecrets="a,b"', 'radiussecrets=""', 'radiussecrets="a,,b"', "radiusports=1812",
           'radiusports="1812,1813"', "radiusports=x", 'radiusports="1812,x"', 'radiusports="1,,2"',
           "radiusidentifiers=i", 'radiusidentifiers="a,b,c"', "issuer=https://x", "scope=s", 'scope="a b"',
           "validator=v", "delegate_ident_mapping=1", "foo=bar", "foo", "=x", "a==b", "MAP=m",
           "map=m,clientcert=verify-full"]
OWN_OPTIONS = {"ldap": ("ldap",), "radius": ("radius",), "oauth": ("issuer", "scope", "validator", "del", "map"),
               "pam": ("pam",), "gss": ("krb", "inc", "map"), "cert": ("client", "map")}
INCLUDES = ["# comment", "   ", "#", "local", "host all", "@aux/users", "@aux/inc.conf", "include aux/inc.conf",
            "include aux/missing", "include_if_exists aux/missing", "include_if_exists aux/inc.conf",
            "include_dir aux/dir", "include_dir aux/missing", "include_dir aux/empty", 'include_dir ""',
            'include ""', "include aux/selfinc", "include aux/dir", "include a,b", "include_if_exists aux/dir/x.conf",
            '"include" aux/inc.conf', "include aux/../aux/./inc.conf", "include aux/inc.conf x", "include_dir aux/dir/",
            "include_if_exists aux/users/x", "include_dir aux/users", "include_dir aux/dangling",
            "include_dir aux/locked"]
IDENT = [["m", "m", "n", '"m"', "a,b", "include", "include_dir", "@aux/users2"],
         ["alice", "/^(.*)$", "/(", "/^(.*)@x$", '"/a,b"', "all", '"a b"', "@aux/users", "/[[:foo:]]", "aux/inc.conf",
          "aux/dir", "\xe9"],
         ["alice", "all", "+grp", "/^a", "/(", "\\1", "x\\1y", '"all"', "a,b", "@aux/missing", ""]]
DAMAGE = ['"', ",", "#", "\\\n", "\\", "@", "\r", "\r\n", "\0", "\0\n", "\v", "\f", ",\n", ", ", "\\\r\n", '""']


def joined(rnd, fields):
    line = "".join(field + rnd.choice([" ", " ", "\t", "  ", " \t "]) for field in fields)
    if rnd.random() < 0.05:
        at = rnd.randint(0, len(line))
        line = line[:at] + rnd.choice(DAMAGE) + line[at:]
    return line


def hba_line(rnd):
    if rnd.random() < 0.06:
        return rnd.choice(INCLUDES)
    kind = rnd.choice(TYPES[:6] if rnd.random() < 0.93 else TYPES)
    fields = [kind, rnd.choice(DATABASES if rnd.random() < 0.3 else DATABASES[:6]),
              rnd.choice(USERS) if rnd.random() < 0.4 else "all"]
    if kind != "local" or rnd.random() < 0.02:
        address = rnd.choice(ADDRESSES) if rnd.random() < 0.7 else "10.0.0.0/8"
        fields.append(address)
        numeric = "/" not in address and address[:1] in "0123456789:f"
        if rnd.random() < (0.8 if numeric else 0.05):
            fields.append(rnd.choice(MASKS))
    method = rnd.choice(METHODS)
    fields.append(method)
    if method == "radius" and rnd.random() < 0.6:
        fields += ["radiusservers=" + rnd.choice(["127.0.0.1", '"127.0.0.1,::1"']),
                   "radiussecrets=" + rnd.choice(["s", '"a,b"', '"a, b"'])]
    if method == "oauth" and rnd.random() < 0.6:
        fields += ["issuer=i", "scope=s"]
    own = method in OWN_OPTIONS and rnd.random() < 0.8
    options = [o for o in OPTIONS if o.startswith(OWN_OPTIONS[method])] if own else OPTIONS
    fields += rnd.choices(options, k=rnd.choice([0, 0, 1, 1, 2, 3]))
    if rnd.random() < 0.05:
        fields = fields[:rnd.randint(1, len(fields))]
    return joined(rnd, fields)


def ident_line(rnd):
    fields = [rnd.choice(words) for words in IDENT] + (["x"] if rnd.random() < 0.1 else [])
    if rnd.random() < 0.1:
        fields = fields[:rnd.randint(1, len(fields))]
    return joined(rnd, fields)


def plain(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


class Judge:
    """A server whose view is asked about a file."""

    def __init__(self, server, program):
        self.server, self.program = server, program
        self.db = psycopg.connect(host=server.socket_dir, port=server.port, user="postgres", dbname="postgres",
                                  autocommit=True, client_encoding="SQL_ASCII")

    def rows(self, view):
        cursor = self.db.execute(f"SELECT * FROM {view}")
        return [{c.name: plain(v) for c, v in zip(cursor.description, row)} for row in cursor]

    def ours(self, command, path):
        done = subprocess.run(run.demoted([self.program, command, "--json", "--pg-version", str(self.server.major), path]),
                              capture_output=True, check=False, cwd="/")
        assert done.returncode in (0, 1), done.stderr
        rows = json.loads(done.stdout.decode("latin-1"))
        assert done.returncode == 1 or not any(row["error"] for row in rows)
        return rows

    def compare(self, command, text):
        """Rows of both, or an explanation of the first difference."""
        name, view, number = {"hba": ("pg_hba.conf", "pg_hba_file_rules", "rule_number"),
                              "ident": ("pg_ident.conf", "pg_ident_file_mappings", "map_number")}[command]
        path = self.server.path(name)
        with open(path, "wb") as f:
            f.write(text.encode("latin-1"))
        theirs, ours = self.rows(view), self.ours(command, path)
        assert len(ours) == len(theirs), text
        unbuilt = False
        for our, their in zip(ours, theirs):
            missing = (their["error"] or "").endswith("not supported by this build")
            if missing and our["error"] != their["error"]:
                unbuilt = True      # from here on the numbers differ
                continue
            columns = [c for c in their if c != number or not unbuilt]
            assert {c: our[c] for c in columns} == {c: their[c] for c in columns}, text.split("\n")


@pytest.fixture(scope="module", params=["pg15", "pg18"])
def judge(request, factory, distributions, program):
    if request.param not in distributions:
        pytest.skip(f"{request.param} is not installed")
    cert = pki.Authority().issue("server", sans=["localhost"], usage="server")
    server = factory.postgres(distributions[request.param], tls={"cert": cert})
    for name, content in AUX.items():
        path = server.path("aux/" + name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
    os.symlink("nowhere", server.path("aux/dangling/a.conf"))
    for parent, _, _ in os.walk(server.path("aux")):
        run.give_to_server(parent)
    for locked in ("a", "c"):
        os.chmod(server.path(f"aux/locked/{locked}.conf"), 0)
    return Judge(server, program)


@pytest.mark.parametrize("seed", range(FILES))
@pytest.mark.parametrize("command", ["hba", "ident"])
def test_rows(judge, command, seed):
    rnd = random.Random(f"{command} {seed}")
    line = hba_line if command == "hba" else ident_line
    text = "".join(line(rnd) + rnd.choice(["\n", "\n", "\n", "\r\n"]) for _ in range(rnd.randint(1, 60)))
    if rnd.random() < 0.2:
        text = text.rstrip("\n")
    if judge.server.major < 16:
        text = re.sub(r"aux/self\b", "aux/users", text)      # older servers open files until they have none left
    judge.compare(command, text)


def test_empty_and_missing(judge):
    assert judge.ours("hba", judge.server.write("pg_hba.conf", "# nothing\n")) == []
    missing = subprocess.run([judge.program, "hba", "/nowhere/pg_hba.conf"], capture_output=True, text=True, check=False)
    assert missing.returncode == 3
    assert 'could not open file "/nowhere/pg_hba.conf": No such file or directory' in missing.stderr
