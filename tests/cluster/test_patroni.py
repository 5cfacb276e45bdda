"""
Patroni with gates beside the nodes and in front of them, under load, against the same load without gates. In the order
of the file: each test leaves a whole cluster behind.
"""

import datetime
import os
import re
import time

import pytest

from cluster import CLIENTS, GATES, NODES, ROUTES, Cluster, Load
from lib import run

WITHIN = 1.0            # seconds from the role change being seen to the end of the sessions


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


def moment(line):
    text = re.match(r"(\S+ \S+) UTC", line).group(1)
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f")


def check_ended(cluster, marks, new):
    """The gates in front have ended sessions, all within a second of seeing the new primary."""
    ended = 0
    for name in GATES:
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
    """No more is acknowledged by an old primary through gates than without; nobody in front hangs, or is not let in."""
    lost = {route: load.results[route][1] for route in ROUTES}
    for route in ("beside", "front"):       # each client may have had one under way
        assert len(lost[route]) <= CLIENTS or max(lost[route]) < max(lost["direct"]) + 0.5, lost
    assert not [e for e in load.errors("front") if e["error"] == "hung" or e["phase"] == "connect"], load.errors("front")


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
        load.wait_for_writes(load.primary_at + 1, ["front"])
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


def test_the_callback_hurries_the_gates(cluster):
    """Patroni's on_role_change has asked both gates, by certificate, in each of the changes above."""
    for name in GATES:
        text = cluster.machines[name].log("gate").text()
        assert re.search(r"event=connection_(authenticated|authorized) .*user=recheck database=pgseal", text), text[-3000:]
