"""
Patroni with gates beside the nodes and in front of them, and HAProxy in front of those, under load, against the same load
without gates. In the order of the file: each test leaves a whole cluster behind.
"""

import contextlib
import datetime
import os
import re
import select
import time

import psycopg
import pytest

from cluster import ADDRESSES, BALANCER, CLIENTS, GATES, HUB, NODES, ROUTES, Cluster, Load
from lib import run

WITHIN = 1.0            # seconds from the role change being seen to the end of the sessions
SLACK = 5.0             # seconds that a client may wait longer with HAProxy than without, on a machine that others use too


TIER = ("front", "haproxy")


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(os.environ["PGSEAL_PROGRAM"])
    try:
        yield made.start()
    finally:
        made.stop()


def others(machine):
    return [name for name in NODES if name != machine.name]


def report(load):
    """What bench/RESULTS.md has."""
    patroni = load.primary_at - load.event_at if load.primary_at else 0.0
    print(f"\n{load.name}: Patroni {patroni:.1f} s")
    for route in ROUTES:
        gap, lost, counts = load.results[route]
        print(f"  {route:7} gap {gap}, lost {len(lost)}, errors {counts}")
    print("  longest of one client: " + ", ".join(f"{route} {load.waited(route):.1f} s" for route in TIER))


def moment(line):
    text = re.match(r"(\S+ \S+) UTC", line).group(1)
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f")


def check_ended(cluster, marks, new, gates=GATES):
    """The gates in front have ended sessions, all within a second of seeing the new primary."""
    ended = 0
    for name in gates:
        text = cluster.machines[name].log("gate").text(marks[name])
        seen = [line for line in text.splitlines()
                if f"event=upstream_role upstream=default host={new.name}:6432 role=primary" in line]
        assert seen, text
        over = [line for line in text.splitlines() if "the server is no longer the primary" in line]
        ended += len(over)
        for line in over:
            assert (moment(line) - moment(seen[0])).total_seconds() < WITHIN, (seen[0], line)
    return ended


def marks_of(cluster):
    return {name: cluster.machines[name].log("gate").mark() for name in GATES}


def check_no_worse(load):
    """
    No more is acknowledged by an old primary through gates than without; nobody in front hangs, or is not let in; nobody waits
    longer because HAProxy is there.
    """
    lost = {route: load.results[route][1] for route in ROUTES}
    for route in ("beside", *TIER):         # each client may have had one under way
        assert len(lost[route]) <= CLIENTS or max(lost[route]) < max(lost["direct"]) + 0.5, lost
    for route in TIER:
        errors = load.errors(route)
        assert not [e for e in errors if e["error"] == "hung" or e["phase"] == "connect"], errors
    assert load.waited("haproxy") < load.waited("front") + SLACK


def test_standbys_are_copied_and_fed_through_gates(cluster):
    """pg_basebackup and streaming came in by client certificate, over TLS, at the primary's gate."""
    primary = cluster.primary()
    log = primary.log("gate").text()
    with_gate = primary.sql("SELECT count(*) FROM pg_stat_replication WHERE client_addr IS NULL").strip()
    assert with_gate == "2"                                    # by the Unix-domain socket: nobody came past the gate
    for name in others(primary):
        receiver = cluster.machines[name].sql("SELECT conninfo FROM pg_stat_wal_receiver")
        assert f"host={primary.name} port=6432" in receiver and "sslmode=verify-full" in receiver
        assert "sslcert=" in receiver
    assert "event=refused" not in log


def test_switchover(cluster):
    old, marks = cluster.primary(), marks_of(cluster)
    new = cluster.machines[others(old)[0]]
    with Load(cluster, "switchover") as load:
        load.event()
        cluster.switchover(old, new)
        load.wait_for_primary([new.name])
        load.wait_for_writes(load.primary_at + 1)
    cluster.wait_until_whole()
    report(load)
    check_no_worse(load)
    check_ended(cluster, marks, new)


def test_kill_9_of_the_primary(cluster):
    old, marks = cluster.primary(), marks_of(cluster)
    with Load(cluster, "kill-9") as load:
        load.event()
        old.kill_database()
        new = load.wait_for_primary(others(old))
        load.wait_for_writes(load.primary_at + 1)
    old.start_patroni()
    cluster.wait_until_whole()
    report(load)
    check_no_worse(load)
    check_ended(cluster, marks, new)


def test_kill_9_of_etcds_leader(cluster):
    """No role changes: no session ends."""
    primary, marks = cluster.primary(), marks_of(cluster)
    leader = cluster.etcd_leader()
    with Load(cluster, "etcd-leader") as load:
        load.event()
        leader.kill("etcd")
        run.wait_until(lambda: cluster.etcd_leader(others(leader)), "another leader of etcd", 60)
        load.wait_for_writes(time.time() + 10)
    leader.start_etcd("existing")
    cluster.wait_until_whole()
    report(load)
    assert cluster.primary() is primary
    for route in ROUTES:
        assert load.results[route][1:] == ([], {}), load.results
    assert check_ended_none(cluster, marks)


def check_ended_none(cluster, marks):
    return not any("no longer the primary" in cluster.machines[n].log("gate").text(marks[n]) for n in GATES)


def test_the_primarys_link_is_down(cluster):
    """Its sessions hang until TCP gives up, without a gate in front."""
    old, marks = cluster.primary(), marks_of(cluster)
    with Load(cluster, "link-down") as load:
        load.event()
        old.link("down")
        new = load.wait_for_primary(others(old))
        load.wait_for_writes(load.primary_at + 1, TIER)
    old.reboot(lambda: old.link("up"))
    cluster.wait_until_whole()
    report(load)
    check_no_worse(load)
    assert check_ended(cluster, marks, new) > 0


def test_a_primary_that_only_clients_reach(cluster):
    """Blackhole routes to the other nodes: what the old one acknowledges after the new one is there, is lost."""
    old, marks = cluster.primary(), marks_of(cluster)
    with Load(cluster, "blackhole") as load:
        load.event()
        old.blackhole("add")
        new = load.wait_for_primary(others(old))
        load.wait_for_writes(load.primary_at + 1)
    old.reboot(lambda: old.blackhole("del"))
    cluster.wait_until_whole()
    report(load)
    check_no_worse(load)
    check_ended(cluster, marks, new)


def test_one_gate_is_killed_and_the_roles_change(cluster):
    """Who was on it comes back at once, through the other, and waits there for the next primary like everybody else."""
    gate, balancer = cluster.machines["gate1"], cluster.machines[BALANCER].log("haproxy")
    old, marks, mark = cluster.primary(), marks_of(cluster), balancer.mark()
    new = cluster.machines[others(old)[0]]
    with Load(cluster, "gate-killed") as load:
        load.event()
        gate.kill_gate()
        load.wait_for_writes(time.time(), TIER, clients=CLIENTS)
        cluster.switchover(old, new)
        load.wait_for_primary([new.name])
        load.wait_for_writes(load.primary_at + 1)
    balancer.wait_for("Server gates/gate1 is DOWN", mark)
    gate.start_gate("gate1")
    balancer.wait_for("Server gates/gate1 is UP", mark)
    cluster.wait_until_whole()
    report(load)
    check_no_worse(load)
    check_ended(cluster, marks, new, ["gate2"])


def test_a_link_that_only_tcp_knows_to_be_cut(cluster):
    """
    The primary hears gate1 and cannot answer it. Nobody else is the primary, so no session ends for that; the one that waits for
    an answer ends by tcp_user_timeout. It is shorter here than keepalives (40 s), which therefore have no part in it.
    """
    primary, gate = cluster.primary(), cluster.machines["gate1"]
    mark = gate.log("gate").mark()
    with gate.gate_with("tcp_user_timeout=40000", "tcp_user_timeout=10000"):
        with contextlib.closing(psycopg.connect(cluster.conninfo("front"), autocommit=True, host=gate.name)) as db:
            db.execute("SELECT 1")
            primary.blackhole("add", [gate.name])
            since = time.monotonic()
            db.pgconn.send_query(b"SELECT 2")
            assert select.select([db.pgconn.socket], [], [], run.PATIENCE)[0], gate.log("gate").text(mark)
            took = time.monotonic() - since
            with contextlib.suppress(psycopg.OperationalError):
                db.pgconn.consume_input()
            end = db.pgconn.get_result()
            assert end.status == psycopg.pq.ExecStatus.FATAL_ERROR
            assert b"could not receive data from server: Connection timed out" in end.error_message, end.error_message
        primary.blackhole("del", [gate.name])
    print(f"\ntcp_user_timeout=10000: {took:.1f} s")
    assert 9 < took < 40
    assert check_ended_none(cluster, {name: mark if name == gate.name else cluster.machines[name].log("gate").mark()
                                      for name in GATES})
    cluster.wait_until_whole()


def test_the_clients_addresses_come_through_haproxy(cluster):
    """In each of the events above, in both gates' logs; and one id joins each session's lines to HAProxy's."""
    lines = re.findall(r"^client=(\S+) server=(gate\d) id=(\S+)$", cluster.machines[BALANCER].log("haproxy").text(), re.M)
    assert {server for _, server, _ in lines} == set(GATES)
    for name in GATES:
        text = cluster.machines[name].log("gate").text()
        authorized = re.findall(r"event=connection_authorized .*user=app .*", text)
        clients = dict(re.findall(r"event=connection_authorized .*client=(\S+) .*unique_id=(\S+)", text))
        assert authorized and not [line for line in authorized if f"client={HUB}:" not in line]
        assert f"client={ADDRESSES[BALANCER]}:" not in text
        assert clients and set(clients.items()) <= {(client, unique) for client, server, unique in lines if server == name}


def test_the_callback_hurries_the_gates(cluster):
    """Patroni's on_role_change has asked both gates, by certificate, in each of the changes above."""
    for name in GATES:
        text = cluster.machines[name].log("gate").text()
        assert re.search(r"event=connection_(authenticated|authorized) .*user=recheck database=pgseal", text), text[-3000:]
