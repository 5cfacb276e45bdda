"""
`proxy_protocol_from`: balancers in these networks must begin with a PROXY protocol version 2 header; from others such
bytes are garbage. The address it names is the one that rules, refusals and logs see.
"""

import ipaddress
import struct

import psycopg
import pytest

from lib import wire
from lib.wire import Conn, startup

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HBA = "hostssl app all 192.0.2.7/32 trust\nhostssl app all 2001:db8::/32 trust\nhost app all 127.0.0.1/32 trust\n"


def header(source, command=0x21, tlvs=b""):
    if ":" in source:
        family, addresses = 0x21, ipaddress.ip_address(source).packed + ipaddress.ip_address("::1").packed
    else:
        family, addresses = 0x11, ipaddress.ip_address(source).packed + ipaddress.ip_address("127.0.0.1").packed
    rest = addresses + struct.pack("!HH", 40000, 5432) + tlvs
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


@pytest.fixture
def balanced(make_gate, certs):
    return make_gate(hba=HBA, tls={"cert": certs.server},
                     settings={"proxy_protocol_from": "127.0.0.0/8", "log_connections": "all"})


def answer(server, first, **who):
    with Conn(server) as c:
        c.send(first)
        c.start_tls()
        c.send(startup(**who))
        return c.dialogue()[0]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def test_the_balancer_s_name_for_the_connection(balanced):
    mark = balanced.log.mark()
    first = header("192.0.2.7", tlvs=b"\x05\0\x06AB:\xff 1\x03\0\x04" + bytes(4))
    with Conn(balanced) as c:
        c.send(first[:-4] + struct.pack("!I", crc32c(first)))
        c.start_tls()
        c.ready()
        for event in ("connection_received", "connection_authorized"):
            assert r'unique_id="AB:\xff 1"' in balanced.log.wait_for(rf"event={event}[^\n]*", mark).group(0)
        with psycopg.connect(host=balanced.socket_dir, port=balanced.port, user="dba", dbname="pgseal",
                             autocommit=True) as status:
            assert status.execute("SELECT proxy_unique_id FROM pgseal_sessions WHERE step = 'relay'").fetchall() == \
                [(r"AB:\xff 1",)]


def test_a_checksum_that_does_not_fit(balanced):
    mark, first = balanced.log.mark(), header("192.0.2.7", tlvs=b"\x03\0\x04" + bytes(4))
    with Conn(balanced) as c:
        c.send(first[:-4] + struct.pack("!I", crc32c(first) ^ 1))
        assert c.events() in ([wire.EOF], [wire.RESET])
    assert "wrong checksum (CRC-32c)" in balanced.log.wait_for(r"event=connection_lost[^\n]*", mark).group(0)


def test_a_check_without_a_header_is_told_what_to_write(balanced):
    mark = balanced.log.mark()
    with Conn(balanced) as c:
        c.send(wire.SSL_REQUEST)
        assert c.events() in ([wire.EOF], [wire.RESET])
    assert "check-send-proxy" in balanced.log.wait_for(r"event=connection_lost[^\n]*", mark).group(0)


@pytest.mark.parametrize("source", ["192.0.2.7", "2001:db8::5"])
def test_rules_see_the_client_behind_the_balancer(balanced, source):
    mark = balanced.log.mark()
    assert answer(balanced, header(source, tlvs=b"\x20\x00\x01\x07"))[:2] == ("R", 0)
    line = balanced.log.wait_for(r"event=connection_authorized[^\n]*", mark).group(0)
    assert source in line and "proxy=127.0.0.1:" in line


def test_refusals_name_the_client_behind_the_balancer(balanced):
    kind, fields = answer(balanced, header("198.51.100.9"))
    assert kind == "E" and fields["C"] == "28000"
    assert fields["M"].startswith('no pg_hba.conf entry for host "198.51.100.9", user "alice", database "app", SSL')


def test_ipv4_in_ipv6_clothes_is_ipv4(balanced):
    """What haproxy sends that was bound to `:::5432 v4v6`: rules, refusals, log and views know an IPv4 client."""
    mark = balanced.log.mark()
    assert answer(balanced, header("::ffff:192.0.2.7"))[:2] == ("R", 0)
    assert " client=192.0.2.7:40000 " in balanced.log.wait_for(r"event=connection_authorized[^\n]*", mark).group(0)
    kind, fields = answer(balanced, header("::ffff:198.51.100.9"))
    assert kind == "E" and fields["M"].startswith('no pg_hba.conf entry for host "198.51.100.9", ')
    balanced.write("pg_hba.conf", "host all all 192.0.2.0/24 reject\nhost all all ::/0 trust\n" + HBA)
    assert "reload_failed" not in balanced.reload()
    assert answer(balanced, header("::ffff:192.0.2.7"))[1]["M"].startswith(
        'pg_hba.conf rejects connection for host "192.0.2.7", ')
    with psycopg.connect(host=balanced.socket_dir, port=balanced.port, user="dba", dbname="pgseal",
                         autocommit=True) as status:
        assert {row[0] for row in status.execute("SELECT host(client_addr::inet) FROM pgseal_failures")} == \
            {"192.0.2.7", "198.51.100.9"}
        assert {str(row[0]) for row in status.execute("SELECT client_addr FROM pgseal_clients")} >= {"192.0.2.7"}


def test_a_balancer_s_network_in_ipv6_clothes(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"proxy_protocol_from": "::ffff:127.0.0.0/104"})
    assert answer(gate, header("192.0.2.7"))[:2] == ("R", 0)


@pytest.mark.parametrize("pieces", [[6, 40], [3, 40], [1, 2, 40]])
def test_version_1_is_told_what_to_write(balanced, pieces):
    mark, line = balanced.log.mark(), b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 5432\r\n"
    with Conn(balanced) as c:
        for size in pieces:
            c.send(line[:size])
            line = line[size:]
        assert c.events() in ([wire.EOF], [wire.RESET])
    assert "send-proxy-v2 instead of send-proxy" in balanced.log.wait_for(r"event=connection_lost[^\n]*", mark).group(0)


def test_local_keeps_the_real_peer(balanced):
    assert answer(balanced, SIGNATURE + b"\x20\x00\x00\x00")[:2] == ("R", 0)


@pytest.mark.parametrize("first", [
    b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 5432\r\n",
    SIGNATURE + b"\x21\x00\x00\x00",
    SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
    wire.SSL_REQUEST,
], ids=["version 1", "no family", "version 1 bits", "no header"])
def test_the_header_is_required_and_checked(balanced, first):
    with Conn(balanced) as c:
        c.send(first)
        assert c.events() in ([wire.EOF], [wire.RESET])


def test_from_others_it_is_garbage(make_gate, certs):
    gate = make_gate(hba=HBA, tls={"cert": certs.server}, settings={"proxy_protocol_from": "10.0.0.0/8"})
    with Conn(gate) as c:
        c.send(header("192.0.2.7"))
        assert c.events() in ([wire.EOF], [wire.RESET])
