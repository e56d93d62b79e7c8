"""The flannel profile against the listings that its author's nodes printed, field by field, on both nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.nodes.remote import Remote
from tests.lab.bench import Bench, done

pytestmark = pytest.mark.lab

POD = "harness-flannel-1450"


def listed(remote: Remote, *argv: str) -> list[Any]:
    entries: list[Any] = json.loads(done(remote, *argv))
    return entries


def routes(remote: Remote, *scope: str) -> set[tuple[str, str | None, str]]:
    """Return destination, gateway and device of every route, as `route -n` lists them."""
    found = listed(remote, "ip", *scope, "-j", "route", "show")
    return {(route["dst"], route.get("gateway"), route["dev"]) for route in found}


@pytest.mark.parametrize("own", [0, 1], ids=["client", "server"])
def test_node_and_pod_are_as_flannel_has_them(bench: Bench, own: int) -> None:
    bench.play("apply", ["flannel"])
    node, peer = bench.nodes[own], 1 - own
    addresses = [lab_node.address for lab_node in bench.lab.nodes]
    (link,) = listed(node, "ip", "-j", "-d", "addr", "show", "dev", "flannel.1")
    vxlan = link["linkinfo"]["info_data"]
    assert (vxlan["id"], vxlan["local"], vxlan["link"], vxlan["port"]) == (1, addresses[own], "ens33", 8472)
    assert (vxlan["learning"], vxlan["ageing"], vxlan["port_range"]) == (False, 300, {"low": 0, "high": 0})
    (held,) = [entry for entry in link["addr_info"] if entry["family"] == "inet"]
    assert (link["mtu"], held["local"], held["prefixlen"]) == (1450, f"10.244.{own}.0", 32)

    peer_mac = listed(bench.nodes[peer], "ip", "-j", "link", "show", "dev", "flannel.1")[0]["address"]
    (neighbour,) = listed(node, "ip", "-j", "neigh", "show", "dev", "flannel.1", "nud", "permanent")
    assert (neighbour["dst"], neighbour["lladdr"]) == (f"10.244.{peer}.0", peer_mac)
    forwarding = listed(node, "bridge", "-j", "fdb", "show", "dev", "flannel.1")
    entries = [(entry["mac"], entry["dst"], entry["flags"], entry["state"]) for entry in forwarding]
    assert entries == [(peer_mac, addresses[peer], ["self"], "permanent")]

    (cni0,) = listed(node, "ip", "-j", "addr", "show", "dev", "cni0")
    assert (cni0["mtu"], cni0["addr_info"][0]["local"]) == (1450, f"10.244.{own}.1")
    assert {
        (f"10.244.{own}.0/24", None, "cni0"),
        (f"10.244.{peer}.0/24", f"10.244.{peer}.0", "flannel.1"),
    } <= routes(node)
    assert routes(node, "-n", POD) == {
        ("default", f"10.244.{own}.1", "eth0"),
        (f"10.244.{own}.0/24", None, "eth0"),
        ("10.244.0.0/16", f"10.244.{own}.1", "eth0"),
    }
    (eth0,) = listed(node, "ip", "-n", POD, "-j", "link", "show", "dev", "eth0")
    assert eth0["mtu"] == 1450
    assert done(node, "cat", "/run/flannel/subnet.env").split() == [
        "FLANNEL_NETWORK=10.244.0.0/16",
        f"FLANNEL_SUBNET=10.244.{own}.1/24",
        "FLANNEL_MTU=1450",
        "FLANNEL_IPMASQ=true",
    ]
    assert done(node, "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
