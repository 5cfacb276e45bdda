"""
pgseal harden on running servers: the journey from a stock cluster to a clean audit and back, and what stops it.
"""

import json
import os
import random
import shutil
import socket
import subprocess

import pytest

from lib import pg, run

CONF = """# Stock settings, and one line of a colleague's.
listen_addresses = '*'
#log_connections = off
#ssl = off
"""
HBA = """# Debian's rules
local   all             postgres                                peer
local   all             all                                     peer
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
local   replication     all                                     peer
host    replication     all             127.0.0.1/32            scram-sha-256
host all all 0.0.0.0/0 scram-sha-256
"""

needs_root = pytest.mark.skipif(not run.is_root(), reason="another network namespace needs root")


class Cluster:
    """A server whose configuration a test may lay out as it likes."""

    def __init__(self, server, split):
        self.server = server
        self.conf = os.path.join(server.dir, "etc") if split else server.data
        self.split = split
        if split:
            os.mkdir(self.conf, 0o755)
            run.give_to_server(self.conf)

    def write(self, name, text, mode=0o640):
        path = os.path.join(self.conf, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        run.give_to_server(os.path.dirname(path))
        with open(path, "wb") as out:
            out.write(text.encode())
        os.chmod(path, mode)
        run.give_to_server(path)
        return path

    def lay_out(self, conf=CONF, hba=HBA):
        s = self.server
        own = {"port": s.port, "unix_socket_directories": s.socket_dir, "fsync": "off", "lc_messages": "C",
               "max_connections": "50", "shared_buffers": "16MB", "wal_level": "replica"}
        if self.split:
            own |= {"data_directory": s.data, "hba_file": self.conf + "/pg_hba.conf",
                    "ident_file": self.conf + "/pg_ident.conf"}
        end = "\r\n" if "\r\n" in conf else "\n"
        self.write("postgresql.conf", conf + pg.conf_text(own).replace("\n", end))
        self.write("pg_hba.conf", hba)
        self.write("pg_ident.conf", "")
        s.arguments = ["-c", f"config_file={self.conf}/postgresql.conf"] if self.split else []
        if s.process:
            s.restart()
        else:
            s.start()
        return self

    def sql(self, statements):
        """As Debian's postgres account: the rules let nobody else in over the socket."""
        psql = shutil.which("psql") or "psql"
        done = subprocess.run(run.demoted([psql, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.server.socket_dir,
                                           "-p", str(self.server.port), "-U", "postgres", "postgres"]), input=statements,
                              capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def files(self):
        """Every file of the configuration with its bytes, mode and owner."""
        seen = {}
        for directory, _names, names in os.walk(self.conf):
            if not self.split and directory not in (self.conf, self.conf + "/conf.d"):
                continue
            if "/pgseal" in directory[len(self.conf):]:
                continue
            for name in names:
                path = os.path.join(directory, name)
                if name.endswith(".conf"):
                    st = os.stat(path)
                    with open(path, "rb") as f:
                        seen[path] = (f.read(), st.st_mode, st.st_uid, st.st_gid)
        return seen


@pytest.fixture(scope="module")
def make_cluster(kind, factory):
    if kind == "gate":
        pytest.skip("a PostgreSQL is hardened, not a gate")

    def make(split):
        return Cluster(factory.postgres(factory.distributions[kind], start=False), split)
    return make


@pytest.fixture(scope="module")
def debian_like(make_cluster):
    """Configuration apart from the data, as Debian has it."""
    return make_cluster(True)


@pytest.fixture(scope="module")
def in_pgdata(make_cluster):
    return make_cluster(False)


class Elsewhere:
    """A network namespace that reaches this one as another machine would."""

    def __init__(self):
        subnet = f"10.{random.randrange(200, 250)}.{random.randrange(250)}"
        self.address, self.client = f"{subnet}.1", f"{subnet}.2"
        self.name, self.near = f"hard{os.getpid()}", f"h{os.getpid()}a"

    def open(self):
        far = f"h{os.getpid()}b"
        for command in (f"netns add {self.name}", f"link add {self.near} type veth peer name {far} netns {self.name}",
                        f"addr add {self.address}/24 dev {self.near}", f"link set {self.near} up",
                        f"-n {self.name} addr add {self.client}/24 dev {far}", f"-n {self.name} link set {far} up"):
            subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=True)

    def command(self, argv):
        return ["ip", "netns", "exec", self.name, *argv]

    def reaches(self):
        """Nobody else on the machine has the same addresses."""
        with socket.create_server((self.address, 0)) as server:
            connect = f"import socket; socket.create_connection(('{self.address}', {server.getsockname()[1]}), 10)"
            return subprocess.run(self.command(["python3", "-c", connect]), capture_output=True, check=False).returncode == 0

    def close(self):
        subprocess.run(["ip", "link", "del", self.near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


@pytest.fixture(scope="session")
def elsewhere():
    """Another machine, as far as the server can tell: runs a command there, and knows the server's address."""
    for _ in range(5):
        other = Elsewhere()
        try:
            other.open()
            if other.reaches():
                yield other
                return
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespace: {error}")
        finally:
            other.close()
    pytest.skip("no network of its own")


def harden(program, cluster, *arguments, status=0, demoted=False, target=None):
    argv = [program, "harden", target or cluster.conf, *arguments]
    done = subprocess.run(run.demoted(argv) if demoted else argv, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == status, done.stdout + done.stderr + cluster.server.log.text()[-2000:]
    return json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr


def audit(program, cluster):
    done = subprocess.run([program, "audit", "--json", cluster.conf], capture_output=True, text=True, check=False)
    return done.returncode, {f["id"] for f in json.loads(done.stdout)["findings"] if f["severity"] in ("high", "medium")}


def ask(elsewhere, cluster, conninfo, password="alice's pass"):
    """psql of the other machine; its output or its error."""
    env = {"PATH": os.environ["PATH"], "PGPASSWORD": password, "HOME": "/nonexistent"}
    done = subprocess.run(elsewhere.command(["psql", "-X", "-At", "-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = "
                                             "pg_backend_pid()", f"port={cluster.server.port} user=alice dbname=app "
                                             f"connect_timeout=20 {conninfo}"]),
                          capture_output=True, text=True, env=env, check=False)
    return done.stdout.strip() or done.stderr.strip()


@needs_root
@pytest.mark.parametrize("demoted", [False, True], ids=["as root", "as postgres"])
def test_the_journey(program, debian_like, elsewhere, demoted):
    cluster = debian_like.lay_out()
    before = cluster.files()
    assert ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=disable") == "f"
    status, found = audit(program, cluster)
    assert status == 1 and found >= {"tls_off", "plaintext_from_network"}
    assert "plaintext_from_network" in harden(program, cluster, status=1, demoted=demoted)
    assert cluster.files() == before

    said = harden(program, cluster, "--apply", "--host", "db.example", demoted=demoted)
    root = cluster.conf + "/pgseal/ca.crt"
    assert "sslmode=disable is refused" in said and "logs in over a new connection" in said and root in said
    assert audit(program, cluster) == (0, set())
    told = subprocess.run([program, "audit", cluster.conf], capture_output=True, text=True, check=True).stdout
    assert "ca_key_on_server" in told and cluster.conf + "/pgseal/private/ca/ca.key" in told
    refused = ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=disable")
    assert "no pg_hba.conf entry" in refused and "no encryption" in refused
    verified = f"host=db.example hostaddr={elsewhere.address} sslmode=verify-full sslrootcert={root}"
    assert ask(elsewhere, cluster, verified) == "t"
    assert "certificate" in ask(elsewhere, cluster, verified.replace("db.example", "impostor.example"))
    assert ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=prefer") == "t"
    assert os.stat(root).st_mode & 0o777 == 0o644 and os.stat(cluster.conf + "/pgseal/private").st_mode & 0o777 == 0o700
    assert os.stat(cluster.conf + "/pgseal/private/ca/ca.key").st_uid == os.stat(cluster.server.data).st_uid
    assert "ssl_ca_file = '" not in cluster.files()[cluster.conf + "/postgresql.conf"][0].decode()
    assert "Nothing to change" in harden(program, cluster, "--apply", "--host", "db.example", demoted=demoted)
    renewed = [program, "rotate", "--force", cluster.conf]                      # either half leads to the other
    assert "served by every listener" in subprocess.run(run.demoted(renewed) if demoted else renewed, capture_output=True,
                                                        text=True, check=True).stdout
    more = verified.replace("db.example", f"db{int(demoted)}.example")
    harden(program, cluster, "--apply", "--host", f"db{int(demoted)}.example", demoted=demoted)
    assert ask(elsewhere, cluster, more) == "t" and ask(elsewhere, cluster, verified) == "t"
    harden(program, cluster, "--undo", demoted=demoted)
    assert "does not match" in ask(elsewhere, cluster, more) and ask(elsewhere, cluster, verified) == "t"

    assert "as they were before" in harden(program, cluster, "--undo", demoted=demoted)
    assert cluster.files() == before and os.path.exists(root)
    assert ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=disable") == "f"
    assert "no change to undo" in harden(program, cluster, "--undo", status=1, demoted=demoted)


def as_operator(cluster):
    """Outside of root's tests nobody is the account postgres."""
    return [] if run.is_root() else ["--conninfo", f"host={cluster.server.socket_dir} port={cluster.server.port} "
                                     "user=postgres dbname=postgres"]


HBA_OPEN = HBA.replace("peer", "trust") if not run.is_root() else HBA


def test_configuration_in_pgdata_with_a_directory_and_carriage_returns(program, in_pgdata):
    cluster = in_pgdata
    cluster.write("conf.d/10-own.conf", "work_mem = '8MB'\r\n")
    cluster.lay_out((CONF + "include_dir = 'conf.d'\n").replace("\n", "\r\n"), HBA_OPEN.replace("\n", "\r\n"))
    before = cluster.files()
    keep = ["--keep", "trust_on_this_machine"]
    answer = harden(program, cluster, "--apply", "--conf-d", "--json", *keep, *as_operator(cluster))
    state = os.path.join(cluster.server.dir, "pgseal-data")
    assert answer["result"] == "done" and answer["state"] == state and os.path.exists(state + "/private/ca/ca.key")
    own = cluster.files()[cluster.conf + "/conf.d/99-pgseal.conf"]
    assert b"ssl = on" in own[0] and own[1] == before[cluster.conf + "/postgresql.conf"][1]
    assert cluster.files()[cluster.conf + "/postgresql.conf"] == before[cluster.conf + "/postgresql.conf"]
    rules = cluster.files()[cluster.conf + "/pg_hba.conf"][0]
    assert rules.count(b"\r\n") == rules.count(b"\n") and b"hostssl all all 0.0.0.0/0" in rules
    assert all(proof["verify_full"] for proof in answer["proofs"] if "127.0.0.1" in proof["endpoint"])
    harden(program, cluster, "--undo", *as_operator(cluster))
    assert cluster.files() == before


@needs_root
def test_roles_with_md5_are_told_and_not_broken(program, in_pgdata, elsewhere):
    own = "host    all             all             ::1/128                 scram-sha-256\n"
    cluster = in_pgdata.lay_out(CONF.replace("# Stock", "#"), HBA.replace("0.0.0.0/0 scram-sha-256", "0.0.0.0/0 md5")
                                .replace(own, "") + "host all all ::/0 md5\n")
    cluster.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'old-pass';")
    try:
        said = harden(program, cluster, "--apply")
        assert "md5_method" in said and '"old"' in said and "could not log in by scram-sha-256" in said
        rules = cluster.files()[cluster.conf + "/pg_hba.conf"][0].decode()
        assert "hostssl all all 0.0.0.0/0 md5" in rules
        assert ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=require user=old", "old-pass") == "t"
        harden(program, cluster, "--undo")
        cluster.sql("ALTER ROLE old PASSWORD NULL; DROP ROLE old;")
        harden(program, cluster, "--apply")
        rules = cluster.files()[cluster.conf + "/pg_hba.conf"][0].decode()
        assert "hostssl all all 0.0.0.0/0 scram-sha-256" in rules and "md5" not in rules    # nor for this machine
        assert ask(elsewhere, cluster, f"host={elsewhere.address} sslmode=require") == "t"
    finally:
        harden(program, cluster, "--undo")
        cluster.sql("DROP ROLE IF EXISTS old;")


@needs_root
def test_a_client_that_would_be_refused_stops_it(program, debian_like, elsewhere):
    cluster = debian_like.lay_out()
    harden(program, cluster, "--apply", "--only", "tls_off")                    # TLS is there, and nobody needs it
    before = cluster.files()
    client = subprocess.Popen(elsewhere.command(["psql", "-X", "-At", f"host={elsewhere.address} port={cluster.server.port} "
                                                 "user=alice dbname=app sslmode=disable application_name=old-report"]),
                              env={"PATH": os.environ["PATH"], "PGPASSWORD": "alice's pass"}, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        client.stdin.write("SELECT 'here';\n")
        client.stdin.flush()
        assert client.stdout.readline() == "here\n"
        said = harden(program, cluster, "--apply", status=1)
        assert "old-report" in said and "would be refused" in said and "--accept-loss" in said
        assert cluster.files() == before
        assert "dropped" in harden(program, cluster, "--apply", "--accept-loss", "old-report")
        client.stdin.write("SELECT 'still';\n")
        client.stdin.flush()
        assert client.stdout.readline() == "still\n"                            # sessions that are there stay
    finally:
        client.communicate("\\q\n")
    harden(program, cluster, "--undo")
    assert cluster.files() == before


@needs_root
def test_a_standby_goes_on(program, factory, debian_like, elsewhere):
    cluster = debian_like.lay_out(CONF + "max_wal_senders = 4\n", HBA + f"host replication repl {elsewhere.address}/32 scram-sha-256\n")
    cluster.sql("ALTER ROLE repl PASSWORD 'repl-pass'")
    standby = pg.Postgres.__new__(pg.Postgres)
    standby.__dict__.update(cluster.server.__dict__)
    standby.dir = factory.directory()
    os.makedirs(standby.dir)
    run.give_to_server(standby.dir)
    standby.data, standby.port, standby.process, standby.arguments = standby.dir + "/data", run.free_port(), None, []
    standby.log, standby.socket_dir = run.Log(standby.dir + "/postgres.log"), standby.dir
    conninfo = f"host={elsewhere.address} port={cluster.server.port} user=repl password=repl-pass"
    backup = cluster.server.distribution
    tool = backup.tool("pg_basebackup") if os.path.exists(backup.tool("pg_basebackup")) else shutil.which("pg_basebackup")
    done = subprocess.run(run.demoted([tool, "-D", standby.data, "-R", "-N", "-X", "stream", "-c", "fast", "-d", conninfo]),
                          capture_output=True, text=True, check=False, cwd="/", env=backup.env)
    if done.returncode != 0 and "incompatible server version" in done.stderr:
        pytest.skip("no pg_basebackup of this version")
    assert done.returncode == 0, done.stderr
    for name, text in (("postgresql.conf", pg.conf_text({"port": standby.port, "unix_socket_directories": standby.dir,
                                                         "listen_addresses": "", "lc_messages": "C",
                                                         "fsync": "off", "wal_retrieve_retry_interval": "100ms"})),
                       ("pg_hba.conf", "local all all trust\n"), ("pg_ident.conf", "")):
        standby.write(name, text)
    standby.start()
    try:
        state = "SELECT count(*) || ' ' || bool_and(ssl) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid) WHERE state = 'streaming'"
        run.wait_until(lambda: cluster.sql(state) == "1 false", "the standby to stream", 60)
        said = harden(program, cluster, "--apply")
        assert "Standbys need" in said and "sslmode=verify-full" in said and "primary_conninfo" in said
        assert cluster.sql(state) == "1 false"                                  # undisturbed
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        run.wait_until(lambda: cluster.sql(state) == "1 true", "the standby to come back in TLS", 60)
        harden(program, cluster, "--undo")
    finally:
        standby.stop()


HBA_TRUST = """# as initdb writes it
local   all             all                                     trust
host    all             all             127.0.0.1/32            trust
local   replication     all                                     trust
"""


def rules(cluster):
    text = cluster.files()[cluster.conf + "/pg_hba.conf"][0].decode()
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


@needs_root
def test_trust_ends_where_everybody_has_a_password(program, in_pgdata):
    cluster = in_pgdata.lay_out(CONF.replace("'*'", "'localhost'"), HBA_TRUST)
    said = harden(program, cluster, status=1)
    assert "trust_on_this_machine" in said and '"nopassword"' in said and "without a password" in said
    cluster.sql("ALTER ROLE nopassword NOLOGIN; ALTER ROLE limited NOLOGIN; ALTER ROLE repl NOLOGIN")
    try:
        harden(program, cluster, "--apply", "--alter-system")
        assert rules(cluster) == ['local all "postgres" peer', "local all all scram-sha-256",
                                  "host all all 127.0.0.1/32 scram-sha-256", "local replication all peer"]
        assert cluster.sql("SELECT source || ' ' || setting FROM pg_file_settings f JOIN pg_settings s USING (name, setting)"
                           " WHERE name = 'ssl' AND f.sourcefile LIKE '%postgresql.auto.conf'") == "configuration file on"
        assert audit(program, cluster) == (0, set())
        cluster.sql("ALTER SYSTEM SET work_mem = '5MB'")                        # its own words go on from there
        assert "has been changed since" in harden(program, cluster, "--undo", status=1)
        cluster.sql("ALTER SYSTEM RESET work_mem")
        harden(program, cluster, "--undo", "--force")
        assert rules(cluster)[0] == "local all all trust" and cluster.sql("SHOW ssl") == "off"
    finally:
        cluster.sql("ALTER ROLE nopassword LOGIN; ALTER ROLE limited LOGIN; ALTER ROLE repl LOGIN")


@needs_root
def test_roles_without_a_password_are_named(program, in_pgdata):
    """They have been trusted, whoever is connected at the moment; the operator's role, too."""
    cluster = in_pgdata.lay_out(CONF, HBA.replace("0.0.0.0/0 scram-sha-256", "0.0.0.0/0 trust"))
    note, = harden(program, cluster, "--json", status=1)["notes"]
    assert '"hostssl all all 0.0.0.0/0 scram-sha-256"' in note and '"nopassword"' in note and '"postgres"' in note
    assert '"alice"' not in note


@needs_root
def test_rules_that_ask_for_certificates(program, in_pgdata, certs):
    """A stranger has none, and is no proof against the change."""
    ca = in_pgdata.write("client-ca.crt", certs.ca.pem().decode())
    cert, key = in_pgdata.write("self.crt", ""), in_pgdata.write("self.key", "", 0o600)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=self",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    cluster = in_pgdata.lay_out(CONF + f"ssl = on\nssl_ca_file = '{ca}'\nssl_cert_file = '{cert}'\nssl_key_file = '{key}'\n",
                                HBA.replace("host all all 0.0.0.0/0", "host all all 10.99.0.0/16")
                                + "hostssl all all ::/0 cert\nhostssl all all 0.0.0.0/0 cert\n")
    said = harden(program, cluster, "--apply")
    assert "is refused" in said and "unless they know the new CA" in " ".join(said.split()) and "server.crt" in cluster.sql("SHOW ssl_cert_file")
    harden(program, cluster, "--undo")


HBA_ALL_KINDS = """local all postgres peer
host all all samehost scram-sha-256
host all alice,bob 10.1.0.0/16 ident
host "app" alice 192.168.0.0 255.255.0.0 password  # the old application
hostnossl all alice 172.16.0.0/12 md5
host all alice all trust
host all nopassword 10.0.0.0/8 trust
"""


@needs_root
def test_rules_of_all_kinds(program, in_pgdata):
    cluster = in_pgdata.lay_out(hba=HBA_ALL_KINDS)
    answer = harden(program, cluster, "--json", status=1)
    diff = [change["diff"] for change in answer["changes"] if change["file"].endswith("pg_hba.conf")][0]
    assert [line[1:] for line in diff.splitlines()[3:] if line[0] != "-"] == [
        "local all postgres peer", "host all all samehost scram-sha-256", "hostssl all alice,bob 10.1.0.0/16 scram-sha-256",
        'hostssl "app" alice 192.168.0.0 255.255.0.0 scram-sha-256  # the old application',
        "hostssl all alice 172.16.0.0/12 scram-sha-256", "host all alice 127.0.0.1/32 scram-sha-256",
        "host all alice ::1/128 scram-sha-256", "hostssl all alice all scram-sha-256",
        "hostssl all nopassword 10.0.0.0/8 trust"]
    assert [(entry["id"], entry["why"].split(":")[0]) for entry in answer["left"] if entry["severity"] == "high"] == [
        ("trust_from_network", '"nopassword" could not log in without a password')]


@needs_root
def test_what_goes_wrong_leaves_everything_as_before(program, debian_like):
    cluster = debian_like.lay_out()
    before = cluster.files()
    says = harden(program, cluster, "--apply", "--conninfo", "host=/nonexistent user=postgres", status=1)
    assert "/nonexistent" in says and cluster.files() == before

    # Somebody else is at work.
    harden(program, cluster, "--apply")
    harden(program, cluster, "--undo")
    lock = cluster.conf + "/pgseal/private/lock"
    holder = subprocess.Popen(["python3", "-c", "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX);"
                               " print('held', flush=True); sys.stdin.read()", lock],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        assert "another pgseal harden is running" in harden(program, cluster, "--apply", status=1)
    finally:
        holder.communicate("")
    assert cluster.files() == before

    # TLS does not start: the server keeps that to its log, and it is found out from outside.
    cluster.lay_out(CONF + "ssl_ca_file = '/nonexistent/ca.crt'\n")
    before = cluster.files()
    says = harden(program, cluster, "--apply", status=1)
    assert "does not answer with TLS" in says and "All files are as before" in says and cluster.files() == before
    assert cluster.sql("SHOW ssl") == "off"

    cluster.server.stop()
    assert "no PostgreSQL server is running" in harden(program, cluster, "--apply", status=1)
    assert cluster.files() == before


@needs_root
def test_a_configuration_that_is_roots(program, debian_like):
    """Its owner alone can put a file in the place of another."""
    cluster = debian_like.lay_out()
    before = cluster.files()
    os.chown(cluster.conf, 0, 0)
    try:
        says = harden(program, cluster, "--apply", status=1)
        assert "pgseal" in says and cluster.files() == before
    finally:
        run.give_to_server(cluster.conf)


DEBIAN = """
for d in /etc/postgresql /var/lib/postgresql /var/log/postgresql /var/run/postgresql
do mkdir -p $d; mount -t tmpfs -o mode=755 none $d || exit 77; chown postgres:postgres $d; done
cd /
pg_createcluster $1 main -p $2 > /tmp/null 2>&1 || exit 77
conf=/etc/postgresql/$1/main
echo "host all all 0.0.0.0/0 scram-sha-256" >> $conf/pg_hba.conf
echo "fsync = off" >> $conf/postgresql.conf
pg_ctlcluster $1 main start || exit 77
trap 'pg_ctlcluster $1 main stop -m immediate' EXIT
cp -a $conf /var/log/before
$0 audit $conf > /dev/null; echo "audit $?"
$0 harden $conf --apply > /dev/null; echo "harden $?"
$0 audit $conf > /dev/null; echo "audit $?"
$0 harden /var/lib/postgresql/$1/main --undo > /dev/null; echo "undo $?"
rm -r $conf/pgseal; diff -r $conf /var/log/before && echo same
"""


@needs_root
def test_debians_own_cluster(program, kind, factory):
    """As the postgresql-common package makes it; the directories are another process's own."""
    distribution = factory.distributions.get(kind)
    if not distribution or not distribution.bindir.startswith("/usr/lib/postgresql/") or not shutil.which("pg_createcluster"):
        pytest.skip("Debian's packages make this cluster")
    done = subprocess.run(["unshare", "-m", "sh", "-c", DEBIAN.replace("/tmp/null", "/dev/null").replace("/var/log/before", "/var/log/postgresql/before"),
                           program, str(distribution.major), str(run.free_port())], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("no mount namespace of its own")
    assert done.stdout.split("\n")[:5] == ["audit 1", "harden 0", "audit 0", "undo 0", "same"], done.stdout + done.stderr


def test_a_gate(program, kind, factory, certs):
    if kind != "gate":
        pytest.skip("about a gate")
    gate = factory.gate(hba="local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all 10.0.0.0/8 scram-sha-256\n",
                        settings={"log_connections": "", "ssl_min_protocol_version": "TLSv1", "admin_users": "alice",
                                  "reload_on_change": "off"}, tls={"cert": certs.server})

    def findings():
        done = subprocess.run([program, "psql", "-D", gate.dir, "-X", "-At", "-c",
                               "SELECT id FROM pgseal_findings WHERE severity <> 'info'"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    def hardened(*arguments):
        return subprocess.run([program, "harden", gate.dir, *arguments], capture_output=True, text=True, check=False)

    clears = {"plaintext_from_network", "tls_version_old", "log_connections_off", "reload_off"}
    files = {name: open(gate.path(name), "rb").read() for name in ("pgseal.conf", "pg_hba.conf")}
    before = findings()
    assert before >= clears
    shown = hardened()
    assert shown.returncode == 1 and "+hostssl all all 10.0.0.0/8 scram-sha-256" in shown.stdout
    done = hardened("--apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not findings() & clears and findings() < before
    assert hardened().returncode == 0
    assert hardened("--undo").returncode == 0
    assert {name: open(gate.path(name), "rb").read() for name in files} == files
    assert findings() == before


@needs_root
def test_a_client_of_a_gate_stops_it(program, kind, factory, certs, elsewhere):
    if kind != "gate":
        pytest.skip("about a gate")
    gate = factory.gate(hba="local all all scram-sha-256\nhost all all 10.0.0.0/8 scram-sha-256\n",
                        settings={"listen_addresses": "*"}, tls={"cert": certs.server})
    done = subprocess.run(elsewhere.command(["psql", "-X", "-At", "-c", "SELECT 1", f"host={elsewhere.address} port={gate.port} "
                                             "user=alice dbname=app sslmode=disable application_name=old-report"]),
                          env={"PATH": os.environ["PATH"], "PGPASSWORD": "alice's pass"}, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr

    def hardened(*arguments):
        return subprocess.run([program, "harden", gate.dir, *arguments], capture_output=True, text=True, check=False)

    run.wait_until(lambda: "old-report" in hardened().stdout, "the gate to write its clients down", 60)
    with open(gate.path("pg_hba.conf"), encoding="utf-8") as f:
        before = f.read()
    refused = hardened("--apply")
    assert refused.returncode == 1 and "old-report" in refused.stderr and "--accept-loss" in refused.stderr
    with open(gate.path("pg_hba.conf"), encoding="utf-8") as f:
        assert f.read() == before
    accepted = hardened("--apply", "--accept-loss", "alice")
    assert accepted.returncode == 0, accepted.stderr
    with open(gate.path("pg_hba.conf"), encoding="utf-8") as f:
        assert "hostssl all all 10.0.0.0/8 scram-sha-256\n" in f.read()
