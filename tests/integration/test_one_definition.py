"""
One definition for everything: tables/views.def feeds SQL, --json, the text tables and docs/views.md. Here all four,
and the table itself, are compared: names, order, types and values.
"""

import json
import os
import re
import subprocess

import psycopg
import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")

# How views.def, SQL and the page call a type.
TYPES = {"BOOL": "boolean", "INT2": "smallint", "INT4": "integer", "INT8": "bigint", "OID": "oid", "XID": "xid",
         "TEXT": "text", "NAME": "name", "NUMERIC": "numeric", "FLOAT8": "double precision", "INET": "inet",
         "TIMESTAMPTZ": "timestamp with time zone", "TEXTS": "text[]", "CHAR": '"char"', "REGPROC": "regproc"}

# Good lines, bad ones, and what is hard to print.
HBA = r"""
# a comment
local   all             all                                     peer map=m
host    "my db",sales   "a b","c,d",/^x{1,2}$ 10.0.0.0 255.0.0.0 scram-sha-256
hostssl replication     +admins         2001:db8::/32           cert clientname=DN map="with, comma"
host    "q""uote","NULL","" all         .example.com            reject
host    all             all             samenet                 ldap ldapserver=l.example ldapprefix="cn=\" ldapsuffix=", o=x"
host    all             all             10.0.0.0/33             md5
hostnossl all           all             all                     nothing
host    all             all             all
hostssl all             all             all                     password clientcert=verify-ca
host    sameuser        täst,"back\slash" 127.1                 trust
"""
IDENT = r"""
m  root        postgres
m  /^(.*)@x$   \1
"a map" "CN=a, O=b" +admins
m  /(          bob
m  only
m  x           all
"""
HOSTS = r"""
db.example,"db 2.example" server.crt server.key
*           default.crt  default.key  ca.crt  "echo 'a, b'"  yes
/no_sni/    none.crt
DB.example  twice.crt    twice.key
x           a.crt        a.key        ""      cmd            maybe
"""
CASES = {"hba": ("pg_hba_file_rules", "pg_hba.conf", HBA), "ident": ("pg_ident_file_mappings", "pg_ident.conf", IDENT),
         "hosts": ("pgseal_hosts", "pg_hosts.conf", HOSTS)}


@pytest.fixture(scope="module")
def gate(factory, certs):
    made = factory.gate(hba="local all all peer\n", tls={"cert": certs.server})
    for _, name, text in CASES.values():
        made.write(name, text)    # what the views read; what is in force stays
    yield made
    factory.stop(made)


@pytest.fixture
def db(gate):
    with psycopg.connect(f"host={gate.socket_dir} port={gate.port} user=me dbname=pgseal", autocommit=True) as opened:
        yield opened


def table():
    """View → its columns as (name, type, help), from views.def."""
    with open(os.path.join(ROOT, "tables/views.def"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    views = {name: [] for name in re.findall(r"^VIEW\(\w+, (\w+),", text, re.M)}
    for view, column, kind, words in re.findall(r'^COL\((\w+), (\w+), (\w+),\s*"((?:[^"\\]|\\.)*)"\)', text, re.M):
        views[view].append((column, TYPES[kind], words.replace('\\"', '"')))
    return views


def page():
    """The same from docs/views.md."""
    views, columns = {}, None
    with open(os.path.join(ROOT, "docs/views.md"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("#"):
                columns = views.setdefault(line.split()[1], []) if line.startswith("### ") else None
            row = re.match(r"\| `(\w+)` \| (.*?) \| (.*) \|$", line)
            if row and columns is not None:
                columns.append((row.group(1), row.group(2).strip("`"), re.sub(r"\\([|<*])", r"\1", row.group(3))))
    return views


def run(gate, *words):
    return subprocess.run([gate.program, *words], capture_output=True, text=True, check=False)


def shown(value):
    """A value in a text table."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(value)
    return {True: "t", False: "f"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def cells(text):
    """Header and rows of a text table, cut where the header's words begin; columns are two blanks apart."""
    lines = text.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", lines[0])] + [None]
    return [[line[a:b].rstrip() for a, b in zip(starts, starts[1:])] for line in lines]


def test_page_is_the_table():
    assert page() == table()
    assert len(table()) > 20 and all(table().values())


def test_sql_is_the_table(db):
    """As the catalog has it, and as a client is told with the rows."""
    wanted = table()
    described = {}
    for view, column, kind in db.execute(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE pg_table_is_visible(c.oid) ORDER BY c.oid, a.attnum"):
        described.setdefault(view, []).append((column, kind))
    assert described == {view: [column[:2] for column in columns] for view, columns in wanted.items()}
    oids = dict(db.execute("SELECT format_type(oid, NULL), oid FROM pg_type").fetchall())
    for view, columns in wanted.items():
        told = [(c.name, c.type_code) for c in db.execute(f"SELECT * FROM {view} LIMIT 0").description]
        assert told == [(name, oids[kind]) for name, kind, _ in columns]


def test_help_texts_are_the_table_s(db):
    comments = dict(((view, column), words) for view, column, words in db.execute(
        "SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c JOIN pg_attribute a "
        "ON a.attrelid = c.oid WHERE pg_table_is_visible(c.oid)"))
    assert comments == {(view, name): words for view, columns in table().items() for name, _, words in columns}


@pytest.mark.parametrize("command", CASES)
def test_json_is_the_view(gate, db, command):
    view, name, _ = CASES[command]
    cursor = db.execute(f"SELECT * FROM {view}")
    names, rows = [c.name for c in cursor.description], cursor.fetchall()
    printed = json.loads(run(gate, command, "--json", gate.path(name)).stdout, object_pairs_hook=list)
    assert [[key for key, _ in row] for row in printed] == [names] * len(rows)
    assert [tuple(value for _, value in row) for row in printed] == rows
    assert len(rows) >= 5 and any(row[names.index("error")] for row in rows)


@pytest.mark.parametrize("command", CASES)
def test_text_table_is_the_view(gate, db, command):
    view, name, _ = CASES[command]
    cursor = db.execute(f"SELECT * FROM {view}")
    printed = cells(run(gate, command, gate.path(name)).stdout)
    assert printed[0] == [c.name for c in cursor.description]
    assert printed[1:] == [[shown(value) for value in row] for row in cursor.fetchall()]
