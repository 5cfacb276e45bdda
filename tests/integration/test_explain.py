"""`pgseal explain`: facts in, the governing line, what it demands, the nearest miss and the narrowest fix out."""

import json
import subprocess

import pytest

RULES = """\
# who may come in
local all postgres peer
hostssl app alice 10.0.0.0/8 cert map=m
hostssl all all 10.1.0.0/16 scram-sha-256
host all +staff 10.2.0.0/16 md5
hostnossl all all 0.0.0.0/0 reject
hostssl pay "/^x(a|b)$" ::1/128 scram-sha-256 clientcert=verify-full clientname=DN
"""
MAPS = "m /^(.*)@acme$ \\1\n"


@pytest.fixture(name="explain")
def fixture_explain(program, tmp_path):
    (tmp_path / "hba").write_text(RULES)
    (tmp_path / "ident").write_text(MAPS)

    def explain(*facts, code=None, form="--json", hba=tmp_path / "hba"):
        done = subprocess.run([program, "explain", *([form] if form else []), "--hba", hba, "--ident",
                               tmp_path / "ident", *facts], capture_output=True, text=True, check=False)
        if code is not None:
            assert done.returncode == code, done
        return json.loads(done.stdout) if form and done.stdout else done
    return explain


def test_a_line_that_admits(explain):
    answer = explain("addr=10.0.0.7", "user=alice", "dbname=app", "tls=1.3", code=0)
    assert answer["decision"] == "accept"
    assert (answer["matched"]["line"], answer["matched"]["method"]) == (3, "cert")
    assert answer["matched"]["text"] == "hostssl app alice 10.0.0.0/8 cert map=m"
    assert [(s["line"], s["failed"]) for s in answer["skipped"]] == [(2, "type")]
    assert answer["nearest"] is None and answer["fix"] is None
    assert any("map \"m\" must allow" in d for d in answer["demands"])


def test_ipv4_in_ipv6_clothes(explain):
    """As the gate judges what a balancer says."""
    assert explain("addr=::ffff:10.0.0.7", "user=alice", "dbname=app", "tls=1.3", code=0)["matched"]["line"] == 3


@pytest.mark.parametrize("cert, decision, code", [("CN=alice@acme,O=x", "accept", 0), ("CN=bob@acme", "reject", 1),
                                                  ("O=x", "reject", 1), ("CN=alice\\,x@acme", "reject", 1)])
def test_certificates(explain, cert, decision, code):
    escaped = cert.replace("\\", "\\\\")
    answer = explain(f"addr=10.0.0.7 user=alice dbname=app tls=1.3 cert='{escaped}'", code=code)
    assert answer["decision"] == decision


@pytest.mark.parametrize("cert, dn", [
    ("/O=Example/CN=alice@acme", "CN=alice@acme,O=Example"), ("'/CN=alice@acme'", "CN=alice@acme"),
    ("CN = alice@acme, O = Example", "O=Example,CN=alice@acme"), ("subject=CN = alice@acme", "CN=alice@acme"),
    ("subject=O=Example, CN=alice@acme", "CN=alice@acme,O=Example")])
def test_a_name_as_other_programs_spell_it(explain, cert, dn):
    """pg_stat_ssl's, openssl's; and what it was taken for."""
    for words in [f"cert={cert}", "user=alice"], [f"cert={cert} user=alice"]:
        answer = explain("addr=10.0.0.7", *words, "dbname=app", "tls=1.3", code=0)
        assert f'cert= is read as "{dn}" (RFC 2253)' in answer["notes"]


def test_the_name_of_a_certificate_as_pgseal_shows_it(explain, program, tmp_path):
    """What `pgseal cert show` prints can be given to explain, and a DN rule compares it as the gate does."""
    subprocess.run([program, "ca", "init", tmp_path / "ca"], check=True, capture_output=True)
    subprocess.run([program, "cert", "issue", "--ca", tmp_path / "ca", "--org", "Acme, Inc", "xa", "--out", tmp_path],
                   check=True, capture_output=True)
    shown = json.loads(subprocess.run([program, "cert", "show", "--json", tmp_path / "xa.crt"], check=True,
                                      capture_output=True, text=True).stdout)[0]["subject"]
    (tmp_path / "dn").write_text("hostssl all all all cert clientname=DN map=dn\n")
    (tmp_path / "ident").write_text('dn "CN=xa,O=Acme\\, Inc" xa\n')
    openssl = subprocess.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "oneline", "-in", tmp_path / "xa.crt"], check=True,
                             capture_output=True, text=True).stdout.strip()
    for spelling in shown, openssl:
        answer = explain("addr=10.0.0.7", "user=xa", f"cert={spelling}", "tls=1.3", hba=tmp_path / "dn")
        assert answer["decision"] == "accept", answer


PASTED = [
    ("postgres://alice:pw@db/app?sslmode=no-verify", "node-postgres"),
    ("postgres://alice:pw@db/app?schema=public&sslmode=require", '"schema" is not a parameter of libpq'),
    ("postgres://alice:pw@db/app?ssl=require", "ssl=require is read as sslmode=require"),
    ("postgresql+psycopg2://alice:pw@db/app?sslmode=require", '"+psycopg2" is specific to SQLAlchemy'),
    ("jdbc:postgresql://db/app?user=alice&ssl=true", "ssl=true of pgJDBC is read as sslmode=verify-full"),
    ("Host=db;Database=app;Username=alice;Password=pw;SSL Mode=Require", "as Npgsql reads it"),
    ("DATABASE_URL=postgres://alice:pw@db/app?sslmode=require", '"DATABASE_URL" before'),
    ('psql "host=db user=alice dbname=app sslmode=require"', '"psql" before'),
]


@pytest.mark.parametrize("text, note", PASTED)
def test_connection_strings_of_applications(explain, program, text, note):
    answer = explain("addr=10.0.0.7", text, code=0)
    assert answer["matched"]["line"] == 3 and answer["tls"] is True
    assert any(note in n for n in answer["notes"]), answer["notes"]
    assert "pw" not in json.dumps(answer)
    for before, after in ("@db", "@127.0.0.1:1"), ("//db", "//127.0.0.1:1"), ("=db;", "=127.0.0.1:1;"), ("=db ", "=127.0.0.1 port=1 "):
        text = text.replace(before, after)
    done = subprocess.run([program, "probe", "-q", "-t", "2", text], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("127.0.0.1:1"), done


def test_a_driver_that_uses_no_tls_is_judged_without(explain):
    answer = explain("addr=10.9.0.7", "r2dbc:postgresql://carl@db/app", code=1)
    assert answer["tls"] is False and answer["matched"]["line"] == 6


@pytest.mark.parametrize("driver, text, tls, note", [
    ("node", "postgres://carl@db/app", False, "without a TLS parameter, node-postgres is read as sslmode=disable"),
    ("node@8.2", "postgres://carl@db/app?sslmode=require", False, "node-postgres 8.0 to 8.3 does not read sslmode"),
    ("node", "postgres://carl@db/app?sslmode=prefer", True, None),     # and does not go on without
    ("lib/pq@1.13", "postgres://carl@db/app", False, "lib/pq after 1.12 is read as sslmode=prefer"),
    ("libpq@15", "postgres://carl@db/app?sslmode=require&sslrootcert=system", True, "as the name of a file")])
def test_driver_says_who_reads(explain, driver, text, tls, note):
    """The rules take carl without TLS only; a driver that falls back gets there."""
    answer = explain("--driver", driver, "addr=10.9.0.7", text, code=1)
    assert answer["tls"] is tls, answer
    assert note is None or any(note in n for n in answer["notes"]), answer["notes"]


def test_driver_that_is_none(explain):
    assert '"node@x"' in explain("--driver", "node@x", "addr=10.9.0.7", "user=carl").stderr


def test_strings_that_are_not_postgresqls(explain, program):
    done = explain("addr=10.0.0.7", "mysql://u:pw@db/app")
    assert done.returncode != 0 and '"mysql://" is not a scheme of PostgreSQL' in done.stderr and "HINT" in done.stderr
    done = subprocess.run([program, "probe", "mysql://u@db/app"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "is not a scheme of PostgreSQL" in done.stderr and not done.stdout


def test_plaintext_is_told_to_use_tls(explain):
    answer = explain("host=db user=carl dbname=x sslmode=disable", "addr=10.1.0.7", code=1)
    assert answer["decision"] == "reject" and answer["matched"]["line"] == 6
    assert "sslmode=verify-full" in answer["fix"]
    assert any("host= names the server" in n for n in answer["notes"])
    assert answer["refusal"] == ('pg_hba.conf rejects connection for host "10.1.0.7", user "carl", database "x", '
                                 'no encryption')


def test_prefer_tries_twice(explain):
    assert explain("user=carl sslmode=prefer addr=10.1.0.7", code=0)["tls"] is True
    answer = explain("user=carl sslmode=prefer addr=10.9.0.7", code=1)
    assert answer["tls"] is False and answer["matched"]["line"] == 6
    assert answer["fix"].endswith("hostssl carl carl 10.9.0.7/32 scram-sha-256")
    assert explain("user=carl sslmode=allow addr=10.1.0.7", code=0)["tls"] is True


def test_uri(explain):
    answer = explain("postgresql://alice@db.example:5432/app?sslmode=require", "addr=10.0.0.1", code=0)
    assert answer["matched"]["line"] == 3


def test_roles(explain):
    assert explain("user=u addr=10.2.0.1 tls=none roles=staff,x", code=0)["matched"]["line"] == 5
    answer = explain("user=u addr=10.2.0.1 tls=none", code=1)
    assert any("roles= was not given" in n for n in answer["notes"])


def test_no_line_at_all(explain):
    answer = explain("user='o\\'hara, jr' dbname=all addr=::1 tls=1.2", code=1)
    assert answer["decision"] == "implicit reject" and answer["matched"] is None
    assert answer["nearest"]["failed"] == "database" and answer["nearest"]["line"] == 7
    assert answer["fix"] == "at the end of the file: hostssl \"all\" \"o'hara, jr\" ::1/128 scram-sha-256"
    assert answer["refusal"].startswith("no pg_hba.conf entry for host \"::1\"")


def test_local(explain):
    assert explain("local user=postgres", code=0)["matched"]["method"] == "peer"
    assert explain("host=/run/postgresql user=postgres os_user=joe", code=1)["decision"] == "reject"


def test_fix_is_a_fix(explain, tmp_path):
    """The line that is proposed admits the connection when it is put where it says."""
    facts = "user=carl dbname='a b' addr=10.9.0.7 tls=none"
    fix = explain(facts, code=1)["fix"]
    place, _, line = fix.partition(": ")
    assert place.startswith("before line 6 of ")
    lines = RULES.splitlines()
    (tmp_path / "fixed").write_text("\n".join(lines[:5] + [line] + lines[5:]) + "\n")
    assert explain(facts, hba=tmp_path / "fixed", code=0)["matched"]["line"] == 6


def test_text(explain):
    done = explain("user=carl addr=10.9.0.7 tls=none", form=None, code=1)
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["skipped"] * 4 + ["matched", "decision", "client", "nearest", "fix"]


@pytest.mark.parametrize("facts, complaint", [
    (["user=a"], "addr=ADDRESS or local is missing"), (["addr=1.2.3.4"], "user= is missing"),
    (["user=a", "addr=x"], "addr=x is not an IP address"), (["user=a", "local", "bla=3"], 'unknown fact "bla"'),
    (["user=a", "addr=1.2.3.4", "tls=2"], "tls= takes none, 1.2 or 1.3"), (["oops"], "is not a fact"),
    (["user=a", "local", "replication=maybe"], "replication= takes"), (["user='a"], "is not a fact"),
    (["user=a", "addr=1.2.3.4", "sslmode=maybe"], 'invalid sslmode value: "maybe"'),
    (["user=a", "addr=1.2.3.4", "sslmode=required"], 'Perhaps you meant "require"'),
    (["user=a", "addr=1.2.3.4", "cert=app"], "cert= takes the subject of a certificate"),
    (["user=a", "addr=1.2.3.4", "cert="], "cert= takes the subject of a certificate")])
def test_usage(explain, facts, complaint):
    done = explain(*facts, code=2)
    assert complaint in done.stderr


def test_rules_that_do_not_load(explain, tmp_path):
    (tmp_path / "bad").write_text("host all all trust\nlocal all all /x\n")
    done = explain("user=a", "local", hba=tmp_path / "bad", code=1)
    assert "invalid IP mask" in done.stderr or "end-of-line" in done.stderr
    assert 'invalid authentication method "/x"' in done.stderr
    assert explain("user=a", "local", hba=tmp_path / "none", code=3).returncode == 3


def test_directory_of_a_gate(program, tmp_path):
    gate = tmp_path / "gate"
    subprocess.run([program, "init", gate, "--host", "localhost"], check=True, capture_output=True)
    done = subprocess.run([program, "explain", "--json", "-D", gate, "user=a", "addr=10.0.0.1", "tls=none"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and json.loads(done.stdout)["decision"] == "implicit reject"


def test_running_means_what_the_gate_has_in_force(make_gate, certs):
    """The files may have changed since: --running answers for the gate as it runs, until it is told to reload."""
    gate = make_gate(hba="hostssl app alice 10.0.0.0/8 scram-sha-256\n", tls={"cert": certs.server})

    def ask(*more):
        done = subprocess.run([gate.program, "explain", "--json", "-D", gate.dir, *more, "addr=10.1.2.3", "user=alice",
                               "dbname=app", "tls=1.3"], capture_output=True, text=True, timeout=20)
        return json.loads(done.stdout)["decision"]

    gate.configure(hba="hostssl app alice 10.0.0.0/8 reject\n")
    assert (ask(), ask("--running")) == ("reject", "accept")
    gate.reload()
    assert ask("--running") == "reject"
    gate.configure(hba="hostssl app alice 10.0.0.0/8 nonsense\n")
    assert "reload_failed" in gate.reload()
    assert ask("--running") == "reject"
    new = make_gate(start=False, tls={"cert": certs.server})
    done = subprocess.run([new.program, "explain", "-D", new.dir, "--running", "local", "user=alice"], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 3 and f"HINT:  No gate has been started here yet. Start it with: pgseal serve -D {new.dir}" in done.stderr
