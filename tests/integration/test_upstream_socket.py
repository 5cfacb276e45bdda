"""What the upstream's conninfo says about the socket: requirepeer, keepalives, tcp_user_timeout."""

import shutil
import subprocess

import pytest

from lib import run
from test_upstream import gate, refused, session, tcp, unix, upstream   # noqa: F401 (fixtures)

OWNER = run.SERVER_USER if run.is_root() else None


def test_requirepeer_lets_the_servers_owner_in(gate, upstream):   # noqa: F811
    if OWNER is None:
        pytest.skip("the server runs as ourselves")
    with session(gate(unix(upstream, requirepeer=OWNER))) as c:
        assert c.value("SELECT 1") == "1"


def test_requirepeer_refuses_another(gate, upstream):   # noqa: F811
    g = gate(unix(upstream, requirepeer="nobody"))
    since = g.log.mark()
    assert refused(g)["C"] == "57P03"
    g.log.wait_for("requirepeer specifies", since)


def test_keepalives(gate, upstream, certs):   # noqa: F811
    if not shutil.which("ss"):
        pytest.skip("no ss")
    g = gate(tcp(upstream, sslrootcert=certs.ca_file, keepalives_idle="77"))
    with session(g):
        timers = subprocess.run(["ss", "-tnoH", f"dport = {upstream.port}"], capture_output=True, text=True,
                                check=True).stdout
    assert "keepalive,1min1" in timers, timers      # 77 seconds, or one less
