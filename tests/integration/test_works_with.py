"""
The pages of docs/works-with/, word for word, against one gate. Those of clients that take long to install or to start run
with `make works-with` alone (PGSEAL_WORKS_WITH=1).
"""

import os
import re
import shutil
import subprocess

import pytest

from conftest import npm_modules
from lib import golang, howto, run, scram
from lib.machine import Machine
from test_audit_drivers import JARS

PAGES = howto.ROOT / "docs/works-with"
JAVA = [*JARS, "/usr/share/java/HikariCP.jar", "/usr/share/java/slf4j-api.jar"]
GO = "/usr/share/gocode/src/github.com/"
CHEAP = ["psql", "psycopg", "asyncpg", "node-postgres", "postgresjs", "ruby", "php"]
LONG = ["sqlalchemy", "django", "jdbc", "pgx", "lib-pq", "odbc", "pgloader"]
BY_HAND = ["npgsql", "dbeaver-pgadmin", "windows"]
# What has to be there: modules of Python, files, programs.
NEEDS = {
    "psycopg": ["import psycopg, psycopg2"], "asyncpg": ["import asyncpg"], "sqlalchemy": ["import sqlalchemy, psycopg2"],
    "django": ["import django, psycopg2"], "ruby": ["ruby", "/usr/lib/ruby/vendor_ruby/pg.rb"], "php": ["php"],
    "jdbc": ["java", *JAVA], "pgx": ["go", GO + "jackc/pgx/v4"], "lib-pq": ["go", GO + "lib/pq"], "odbc": ["isql"], "pgloader": ["pgloader"],
    "node-postgres": ["node"], "postgresjs": ["node"],
}


def missing(page):
    for need in NEEDS.get(page, []):
        if need.startswith("import "):
            if subprocess.run(["/usr/bin/python3", "-c", need], capture_output=True, check=False).returncode:
                return need
        elif not (os.path.exists(need) if "/" in need else shutil.which(need)):
            return need
    return None


SETUP = """
pgseal init /etc/pgseal --host db.example.com --port 5432 --upstream {upstream}
sed -i -e "s/^auth_source = .*/auth_source = file\\nauth_file = 'userlist.txt'\\nupstream_login = 'trust'/" -e '/^auth_dbname/d' /etc/pgseal/pgseal.conf
sed -i '/^hostssl *all *all/i hostssl all alice all cert' /etc/pgseal/pg_hba.conf
echo '"app" "{secret}"' > /etc/pgseal/userlist.txt
chown -R pgseal:pgseal /etc/pgseal
chmod 600 /etc/pgseal/userlist.txt
systemctl start pgseal
"""


@pytest.fixture(scope="module")
def machine(factory, program, scratch):
    if not run.is_root():
        pytest.skip("a network of its own, and names in it, need root")
    machine = Machine(f"{scratch}/works-with", program)
    if not machine.ready:
        machine.stop()
        pytest.skip(f"a machine of its own takes namespaces and overlayfs: {machine.said}")
    upstream = factory.postgres(hba="local all all trust\n")
    with upstream.admin() as db:
        db.execute("CREATE ROLE app LOGIN")
    machine.sh(SETUP.format(upstream=f"'host={upstream.socket_dir} port={upstream.port}'", secret=scram.secret("change-me")))
    yield machine
    machine.stop()
    factory.stop(upstream)


def follow(machine, page, pytestconfig, before=""):
    lacking = missing(page)
    if lacking:
        pytest.skip(f"{lacking} is not installed (tools/deps.sh check works-with)")
    modules = npm_modules(pytestconfig)
    if "node" in NEEDS.get(page, []) and not os.path.exists(os.path.join(modules, "postgres")):
        pytest.skip("the drivers from npm are not installed (tools/npm.sh)")
    directory = os.path.join(machine.dir, page)
    os.mkdir(directory)
    machine.sh(f"install -m 0644 /etc/pgseal/tls/ca.crt {directory}")
    return machine.follow(f"../works-with/{page}.md", directory=directory, before="export PGPASSWORD=change-me\n" + before, PGHOST="",
                          NODE_PATH=modules, CLASSPATH=":".join(JAVA), **golang.environment())


@pytest.mark.parametrize("page", CHEAP)
def test_word_for_word(machine, page, pytestconfig):
    follow(machine, page, pytestconfig)


COMPANION = """
pgseal init companion --companion --upstream 'host=db.example.com sslrootcert=/etc/pgseal/tls/ca.crt' > /dev/null
pgseal serve -D companion > companion.log 2>&1 &
until grep -q 'ready to accept connections' companion.log; do sleep 0.1; done
"""


@pytest.mark.skipif(not os.environ.get("PGSEAL_WORKS_WITH"), reason="make works-with")
@pytest.mark.parametrize("page", LONG)
def test_word_for_word_with_more_clients(machine, page, pytestconfig):
    follow(machine, page, pytestconfig, before=COMPANION if page == "pgloader" else "")


def test_every_client_has_a_page(program):
    assert {p.stem for p in PAGES.glob("*.md")} - {"README"} == {*CHEAP, *LONG, *BY_HAND}
    text = " ".join("".join(p.read_text(encoding="utf-8") for p in PAGES.glob("*.md")).split())
    words = re.findall(r'^X\(\w+, "([^"]+)"', (howto.ROOT / "tables/connect.def").read_text(encoding="utf-8"), re.M)
    assert len(words) == 19
    for word in set(words) - {"libpq", "hikari"}:
        assert f"--for {word}" in text, word
    for word in set(words) - {"pgloader"}:      # its require is none of those that tables/drivers.def knows
        done = subprocess.run([program, "audit", "--fail-on", "none", "--driver", word, "postgres://db.example.com/app"],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (word, done.stderr)
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for page in [*CHEAP, *LONG, *BY_HAND]:
        assert f"({page}.md)" in index, page
