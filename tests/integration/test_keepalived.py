"""
A real keepalived: docs/howto/keepalived.md with the page's own files, its machines being network namespaces; and its health
checkers, which it starts only where it can configure IPVS. Few kernels that tests run on have that (CONFIG_IP_VS), so
tests/fault/noipvs.c answers in its place: the checks themselves are keepalived's.
"""

import os
import shutil
import signal
import subprocess

import pytest

from lib import howto, run
from lib.network import Machine
from lib.wire import Conn
from test_haproxy import checks, own, quiet
from test_howto_pgbouncer import settings_of

pytestmark = [pytest.mark.skipif(not shutil.which("keepalived", path="/usr/sbin:" + os.environ["PATH"]),
                                 reason="keepalived is not installed: tools/deps.sh check"),
              pytest.mark.skipif(not run.is_root(), reason="keepalived and network namespaces need root")]

PAGE = "keepalived.md"
ADDRESS = "192.0.2.100"
CHECKER = "127.0.0.9"
CHECKERS = """\
global_defs {{
    script_user root
    enable_script_security
}}
virtual_server 192.0.2.1 5432 {{
    delay_loop 0.5
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 127.0.0.1 {port} {{
        TCP_CHECK {{
            bindto {CHECKER}
        }}
    }}
    real_server 127.0.0.1 {http} {{
        HTTP_GET {{
            url {{
                path /readyz
                status_code 200
            }}
        }}
    }}
    real_server 127.0.0.2 {port} {{
        MISC_CHECK {{
            misc_path "{isready} -h 127.0.0.1 -p {port} -U watch -d watch"
        }}
    }}
}}
"""


class Keepalived:
    """A running keepalived."""

    def __init__(self, directory, text, *words, **env):
        path = os.path.join(directory, "keepalived.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.log = run.Log(os.path.join(directory, "keepalived.log"))
        files = [f"--{name}={directory}/{name}.pid" for name in ("pid", "vrrp_pid", "checkers_pid")]
        with open(self.log.path, "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/keepalived", "--dont-fork", "--log-console", f"--use-file={path}", *files, *words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env})

    def stop(self):
        self.process.terminate()
        self.process.wait(run.PATIENCE)


def test_its_health_checkers(pytestconfig, make_gate, certs, debian, tmp_path):
    g = make_gate(hba="local all all trust\nhostssl all all all scram-sha-256\n", tls={"cert": certs.server},
                  settings={"http_listen": f"127.0.0.1:{run.free_port()}", "admin_users": "me"})
    shim = os.path.join(os.path.abspath(pytestconfig.getoption("--build")), "tests/fault/noipvs.so")
    text = CHECKERS.format(port=g.port, http=g.settings["http_listen"].split(":")[1], CHECKER=CHECKER, isready=debian.tool("pg_isready"))
    keepalived = Keepalived(tmp_path, text, "--check", LD_PRELOAD=shim)
    try:
        g.log.wait_for(f"event=health_check .*client={CHECKER}:")
        since, seen = g.log.mark(), checks(g)
        run.wait_until(lambda: checks(g) >= seen + 1, "another check")
    finally:
        keepalived.stop()
    quiet(g, since, CHECKER)
    assert f"TCP connection to [127.0.0.1]:tcp:{g.port} success" in keepalived.log.text()
    assert "failed" not in keepalived.log.text()
    # pg_isready has an application_name: it is a client that leaves when it is asked for a password.
    assert "event=connection_received" in "".join(line for line in g.words().splitlines() if "client=127.0.0.1:" in line)
    assert own(g, "SELECT DISTINCT user_name, application_name FROM pgseal_clients WHERE user_name <> 'me'") == [("watch", "pg_isready")]


# ---- the page ----

def has_address(machine):
    return ADDRESS in machine.sh(howto.titled(PAGE, "which machine has the address"))


@pytest.fixture
def network():
    """The clients' machine, which has a bridge for the two others."""
    client, one, two = Machine("192.0.2.20"), Machine("192.0.2.11"), Machine("192.0.2.12")
    client.sh(f"ip link add eth0 type bridge && ip addr add {client.address}/24 dev eth0 && ip link set eth0 up")
    for n, machine in enumerate((one, two)):
        client.sh(f"ip link add port{n} type veth peer name eth0 netns {machine.process.pid} && ip link set port{n} master eth0 up")
        machine.sh(f"ip addr add {machine.address}/24 dev eth0 && ip link set eth0 up")
    yield client, one, two
    for machine in (client, one, two):
        machine.stop()


class Side:
    """A machine with its gate and its keepalived."""

    def __init__(self, machine, gate, directory):
        self.machine, self.gate = machine, gate
        self.start()
        os.makedirs(directory)
        with machine.inside():
            self.keepalived = Keepalived(directory, howto.titled(PAGE, "/etc/keepalived/keepalived.conf"), "--vrrp")

    def start(self):
        with self.machine.inside():
            self.gate.start()

    def wait_for_the_address(self):
        run.wait_until(lambda: has_address(self.machine), f"{self.machine.address} to take the address")

    def end(self, number):
        self.gate.kill(number)
        self.gate.process.wait(run.PATIENCE)
        self.gate.process = None


@pytest.fixture
def sides(network, make_gate, certs, tmp_path):
    made = []
    for name, machine in (("one", network[1]), ("two", network[2])):
        gate = make_gate(start=False, hba="local all all trust\nhostssl app alice 192.0.2.20/32 trust\n", tls={"cert": certs.server},
                         settings=settings_of(howto.titled(PAGE, "pgseal.conf")))
        made.append(Side(machine, gate, tmp_path / name))
    yield made
    for side in made:
        side.keepalived.stop()


class Address:
    host, port = ADDRESS, 5432


def connect(client):
    with client.inside():
        c = Conn(Address)
    c.start_tls()
    return c.ready()


@pytest.mark.skipif("PGSEAL_CLUSTER" not in os.environ, reason="takes a quarter of a minute: make cluster")
def test_the_address_moves(network, sides):
    """A machine lost, its gate killed, stopped, both gone: where the address is then, and what a session on it hears."""
    client = network[0]
    run.wait_until(lambda: any(has_address(s.machine) for s in sides), "the address to be somewhere")
    here, there = sorted(sides, key=lambda s: not has_address(s.machine))
    here.machine.sh("ip link set eth0 down")
    there.wait_for_the_address()
    here.machine.sh("ip link set eth0 up")
    with connect(client) as c:
        there.end(signal.SIGKILL)
        assert c.rest() == b""
    here.wait_for_the_address()
    since = there.keepalived.log.mark()
    there.start()
    there.keepalived.log.wait_for(r"Script\(gate\) succeeded", since)
    with connect(client) as c:
        assert c.value("SELECT 1") == "1"
        assert has_address(here.machine) and not has_address(there.machine)     # it does not come back
        here.end(signal.SIGTERM)
        assert "57P01" in str(c.events())
    there.wait_for_the_address()
    with connect(client):
        since = there.keepalived.log.mark()
        there.end(signal.SIGKILL)
        there.keepalived.log.wait_for(r"Script.gate. failed", since)
        with client.inside(), pytest.raises(ConnectionRefusedError):       # at once, not after a timeout
            Conn(Address)
        assert has_address(there.machine) and not has_address(here.machine)
