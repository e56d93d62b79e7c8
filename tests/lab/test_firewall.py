"""The tunnel's port is for the peer alone while a profile is up, and the firewall is as before afterwards."""

import shlex

import pytest

from harness.labs.access import DEVICE
from harness.labs.local import NODES
from harness.nodes.remote import Remote
from tests.lab.bench import ONE_TASK, Bench, done, eventually

pytestmark = pytest.mark.lab

(_, CLIENT, CLIENT6), (_, SERVER, SERVER6) = NODES[:2]
# One frame in VXLAN, from an address of the sender's choice. The receiver's bridge learns the inner source address of
# whatever gets in.
INJECT = """
import socket, sys
source, destination, port, vni, mac = sys.argv[1:]
family = socket.AF_INET6 if ":" in source else socket.AF_INET
frame = b"\\xff" * 6 + bytes.fromhex(mac.replace(":", "")) + b"\\x08\\x06" + bytes(46)
with socket.socket(family, socket.SOCK_DGRAM) as sender:
    sender.bind((source, 0))
    sender.sendto(b"\\x08\\0\\0\\0" + int(vni).to_bytes(3, "big") + b"\\0" + frame, (destination, int(port)))
"""
# profile: the client's address, the peer's and a stranger's, port, VNI, the client's program
TUNNELS = {
    "vxlan": (CLIENT, SERVER, "172.12.1.99", 4789, 20, "iptables"),
    "vxlan6": (CLIENT6, SERVER6, "fd00:172:12:1::99", 4791, 22, "ip6tables"),
}


def rules(node: Remote, program: str = "iptables") -> list[str]:
    """Return the INPUT chain."""
    return done(node, program, "-w", "-S", "INPUT").splitlines()


def marked(node: Remote, program: str = "iptables") -> list[str]:
    """Return what becomes of packets by our rules of the INPUT chain."""
    return sorted(line.split()[-1] for line in rules(node, program) if "harness:" in line)


def dropped(node: Remote, program: str) -> int:
    """Return how many packets our rules have dropped."""
    listed = done(node, program, "-w", "-nvxL", "INPUT").splitlines()
    return sum(int(line.split()[0]) for line in listed if "harness:" in line and "DROP" in line)


@pytest.mark.parametrize("profile", TUNNELS)
def test_stranger_on_the_link_cannot_inject(bench: Bench, profile: str) -> None:
    client, peer, stranger, port, vni, program = TUNNELS[profile]
    prefix = "64" if ":" in stranger else "24"
    done(
        bench.server, "ip", "addr", "add", f"{stranger}/{prefix}", "dev", DEVICE, *(["nodad"] if prefix == "64" else [])
    )
    bench.play("apply", [profile])
    for source, mac in ((stranger, "02:ba:d0:00:00:01"), (peer, "02:60:0d:00:00:01")):
        done(bench.server, "python3", "-c", INJECT, source, client, str(port), str(vni), mac)
    assert eventually(lambda: "02:60:0d:00:00:01" in done(bench.client, "bridge", "fdb", "show"))
    assert "02:ba:d0:00:00:01" not in done(bench.client, "bridge", "fdb", "show")
    assert dropped(bench.client, program) == 1
    bench.play("verify", [profile])


def test_host_that_drops_what_it_does_not_know(bench: Bench) -> None:
    for node in bench.nodes:
        done(node, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
        done(node, "iptables", "-P", "INPUT", "DROP")
    before = bench.snapshot()
    bench.play("up", ["vxlan"])
    bench.play("teardown", ["vxlan"])
    assert bench.changes(before) == []


def test_port_of_somebody_elses_tunnel_stays_open(bench: Bench) -> None:
    words = f"ip link add name vxlan9 type vxlan id 9 remote {CLIENT} dstport 4789 dev {DEVICE}"
    done(bench.server, *words.split())
    before = bench.snapshot()
    bench.play("apply", ["vxlan"])
    assert (marked(bench.client), marked(bench.server)) == (["ACCEPT", "DROP"], ["ACCEPT"])
    assert set(bench.play("apply", ["vxlan"]).changed.values()) == {0}
    bench.play("teardown", ["vxlan"])
    assert bench.changes(before) == []


def test_rules_removed_by_hand_come_back_and_go(bench: Bench) -> None:
    before = bench.snapshot()
    bench.play("apply", ["vxlan"])
    up = {node.name: sorted(rules(node)) for node in bench.nodes}
    for node, verdict in ((bench.client, "ACCEPT"), (bench.server, "DROP")):
        (line,) = [line for line in rules(node) if "harness:" in line and line.endswith(verdict)]
        done(node, "iptables", "-w", "-D", *shlex.split(line)[1:])
    assert bench.play("apply", ["vxlan"]).changed == ONE_TASK
    assert {node.name: sorted(rules(node)) for node in bench.nodes} == up
    done(bench.client, "ip", "link", "del", "vxlan_docker")
    (line,) = [line for line in rules(bench.server) if "harness:" in line and line.endswith("ACCEPT")]
    done(bench.server, "iptables", "-w", "-D", *shlex.split(line)[1:])
    bench.play("teardown", ["vxlan"])
    assert bench.changes(before) == []


def test_rules_of_the_owner_made_meanwhile_stay(bench: Bench) -> None:
    bench.play("apply", ["vxlan"])
    done(bench.client, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP")
    bench.play("teardown", ["vxlan"])
    assert [line for line in rules(bench.client) if "--dport 9 " in line and "DROP" in line]
    assert marked(bench.client) == []


def test_node_without_iptables_is_told_that_the_port_is_open(bench: Bench) -> None:
    done(bench.server, "mount", "-t", "tmpfs", "tmpfs", "/etc/alternatives")  # where iptables is a link to
    before = bench.snapshot()
    applied = bench.play("apply", ["vxlan"])
    ((node, note),) = {(node, text) for (node, _), found in applied.results.items() for text in found.get("notes", [])}
    assert node == "k8s-2"
    assert note.startswith("udp port 4789 of profile vxlan is open to everybody")
    assert "install iptables" in note
    bench.play("verify", ["vxlan"])
    bench.play("teardown", ["vxlan"])
    assert bench.changes(before) == []


def test_packets_that_would_leave_from_another_address(bench: Bench) -> None:
    done(bench.server, "ip", "route", "replace", "172.12.1.0/24", "dev", DEVICE, "src", "172.12.1.12")
    done(bench.server, "ip", "addr", "add", "172.12.1.99/24", "dev", DEVICE)
    done(bench.server, "ip", "route", "add", f"{CLIENT}/32", "dev", DEVICE, "src", "172.12.1.99")
    before = bench.snapshot()
    with pytest.raises(
        Exception, match=r"k8s-2: packets to 172.12.1.11 leave from 172.12.1.99 and not from"
    ) as refused:
        bench.play("apply", ["vxlan"])
    assert "underlay_address 172.12.1.12" in str(refused.value)
    assert bench.changes(before) == []
