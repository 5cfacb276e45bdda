"""
Regular expressions at random: a map line's expression must match, capture and fail as in PostgreSQL 18.

PostgreSQL is asked by SQL, in a database without encoding and in the C collation, which is how its rule files are
read; pgseal by `explain`, with a map whose third field is the capture.
"""

import json
import os
import random
import subprocess

import psycopg
import pytest

COUNT = int(os.environ.get("PGSEAL_REGEX_COUNT", "300"))

ATOMS = ["a", "b", "A", "B", "k", "_", "0", "9", " ", "-", "+", "$", "=", "^", "$", ".", "\\d", "\\w", "\\s", "\\D",
         "\\W", "\\S", "\\y", "\\m", "\\M", "\\A", "\\Z", "\\Y", "[ab]", "[^a]", "[a-c]", "[[:alpha:]]", "[[:digit:]]",
         "[[:punct:]]", "[[:alnum:]]", "[[:upper:]]", "[[:lower:]]", "[[:space:]]", "[[:word:]]", "[[:xdigit:]]",
         "[[:graph:]]", "[[:print:]]", "[[:cntrl:]]", "[[:blank:]]", "[[:ascii:]]", "[\\w]", "[\\d-]", "[^\\s]",
         "[\\W]", "[\\D]", "[^\\W]", "[[.hyphen.]]", "[[.a.]]", "[[=a=]]", "[]a]", "[^]a]", "[a-]", "[a-\\x62]",
         "\\x61", "\\x5f", "\\t", "\\u0061", "\\U00000061", "\\141", "\\e", "\\0", "\\.", "\\\\", "\\-", "\\q", "\\b",
         "\\B", "[[:<:]]", "[[:>:]]", "[[:ALPHA:]]", "[[:foo:]]", "[a", "]", "{", "}", "\\N", "(?:a|b)", "(?=a)",
         "(?!a)", "(?=b)", "\xe9", "[\xe9]", "[\xe0-\xff]", "[^\xe9]", "\\xe9", "\\351", "\\u00e9", "[\\x80-\\xff]",
         "\\x100", "\\u0100", "[[:alpha:]\xe9]", "\\v", "\\f", "\\r", "[\\]]", "[\\-]", "[[.-.]-z]", "[a-[.z.]]"]
QUANTIFIERS = ["*", "+", "?", "{2}", "{1,2}", "{0,}", "{,2}", "*?", "+?", "??", "{1,2}?", "{300}", "{1", "{x}",
               "{2,1}", "{1,}?"]
PREFIXES = [""] * 12 + ["(?i)", "(?x)", "(?c)", "(?n)", "(?s)", "(?w)", "(?p)", "(?in)", "(?z)", "***:"]
SUBJECT = "aabbABkK_09 -+$=.\\]\xe9\xc9\xff\x80~\x7f\t\x01#^\x0b"


def some_pattern(rnd, depth=0):
    text = ""
    for _ in range(rnd.randint(1, 4)):
        choice = rnd.random()
        if choice < 0.2 and depth < 3:
            text += rnd.choice(["(", "(", "(?:", "(?=", "(?!"]) + some_pattern(rnd, depth + 1) + ")"
        elif choice < 0.25:
            text += "|"
        else:
            text += rnd.choice(ATOMS)
        if rnd.random() < 0.3:
            text += rnd.choice(QUANTIFIERS)
    return text


@pytest.fixture(scope="module")
def judge(factory, distributions):
    if "pg18" not in distributions:
        pytest.skip("PostgreSQL 18 is not installed (tools/npm.sh)")
    server = factory.postgres(distributions["pg18"])
    with server.admin() as db:
        db.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
    db = server.admin("bytes")
    db.execute("SET statement_timeout = '2s'")
    return db


def asked_postgres(db, pattern, subject):
    """The capture as bytes, None for no match, or the reason of an error as text."""
    try:
        row = db.execute("SELECT (regexp_match(convert_from(%s, 'SQL_ASCII') COLLATE \"C\","
                         " convert_from(%s, 'SQL_ASCII')))[1]",
                         (subject.encode("latin-1"), pattern.encode("latin-1"))).fetchone()
        return row[0].encode("latin-1") if isinstance(row[0], str) else row[0]
    except psycopg.errors.InvalidRegularExpression as e:
        return str(e).split("\n", maxsplit=1)[0].split(": ", 1)[1]


def explained(program, directory, pattern, subject, role):
    """True or False for matched and captured, or the reason of an error."""
    hba, ident = os.path.join(directory, "hba"), os.path.join(directory, "ident")
    with open(hba, "w", encoding="ascii") as f:
        f.write("local all all peer map=m\n")
    quoted = pattern.encode("latin-1").replace(b'"', b'""')
    with open(ident, "wb") as f:
        f.write(b'm "/' + quoted + b'" x\\1\n')

    def word(key, value):
        return key + b"='" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"
    done = subprocess.run([program, "explain", "--json", "--hba", hba, "--ident", ident, "local",
                           word(b"user", b"x" + role), b"dbname=d", word(b"os_user", subject.encode("latin-1"))],
                          capture_output=True, check=False)
    if not done.stdout:
        return done.stderr.decode("latin-1").split('": ', 1)[1].split("\n")[0]
    return json.loads(done.stdout.decode("latin-1"))["decision"] == "accept"


@pytest.mark.parametrize("seed", range(6))
def test_expressions(judge, program, tmp_path, seed):
    rnd = random.Random(seed)
    for _ in range(COUNT // 6):
        pattern = rnd.choice(PREFIXES) + "(" + some_pattern(rnd) + ")"
        subject = "".join(rnd.choices(SUBJECT, k=rnd.randint(0, 8)))
        try:
            theirs = asked_postgres(judge, pattern, subject)
        except psycopg.errors.QueryCanceled:
            continue
        role = theirs if isinstance(theirs, bytes) else b""
        ours = explained(program, tmp_path, pattern, subject, role)
        assert ours == (theirs if isinstance(theirs, str) else theirs is not None), (pattern, subject, theirs)


BACK_REFERENCES = ["^(a|b)x\\1$", "((.).)\\2", "^(.)\\1+$", "(a*)b\\1", "^(ab|a)(bc|c)?\\1", "(?i)(a)\\1", "(a)|b\\1", "(a)(?=\\1)",
                   "a\\1", "(?:a)\\1", "(a\\1)", "^((a)|(b))*\\2$", "^(.*)-\\1$", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\10"]
SUBJECTS = ["aa", "axa", "axb", "aba", "abc", "a-a", "ab-ab", "aAa", "bb", "abcabc", "abcdefghijj", "-"]


def test_back_references_in_a_rule(judge, program, tmp_path):
    """Nothing is captured in pg_hba.conf, and yet an expression may look back."""
    for pattern in BACK_REFERENCES:
        (tmp_path / "hba").write_text(f'local "/{pattern}" all trust\n')
        for subject in SUBJECTS:
            done = subprocess.run([program, "explain", "--json", "--hba", tmp_path / "hba", "local", "user=u",
                                   f"dbname={subject}"], capture_output=True, text=True, check=False)
            try:
                theirs = judge.execute("SELECT %s ~ (%s COLLATE \"C\")", (subject, pattern)).fetchone()[0]
                theirs = (bool(theirs), "")
            except psycopg.errors.InvalidRegularExpression as e:
                theirs = (None, str(e).split("\n", maxsplit=1)[0].split(": ", 1)[1])
            ours = json.loads(done.stdout)["decision"] == "accept" if done.stdout else None
            assert ours == theirs[0] and theirs[1] in done.stderr, (pattern, subject, theirs)
