"""How pods on two nodes reach each other: by a plain route each, or by VXLAN with flannel's settings."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from enum import StrEnum

from harness.labs.access import DEVICE
from tests.kubernetes.spaces import Space

POD_MTU = 1450
DEVICE_NAME, VNI, UDP_PORT = "flannel.1", 1, 8472


class Network(StrEnum):
    """What carries packets between pods of two nodes."""

    ROUTES = "routes"
    VXLAN = "vxlan"


def lay(network: Network, nodes: Sequence[Space], ranges: Sequence[str]) -> None:
    """Have two nodes' pods, which have these ranges, reach each other by this network instead of any other."""
    for node, peer_range in zip(nodes, reversed(ranges), strict=True):
        node.run("ip", "route", "flush", peer_range)
        if DEVICE_NAME in node.run("ip", "-brief", "link", "show", "type", "vxlan"):
            node.run("ip", "link", "del", DEVICE_NAME)
    if network is Network.ROUTES:
        for node, peer, peer_range in zip(nodes, reversed(nodes), reversed(ranges), strict=True):
            node.run("ip", "route", "add", peer_range, "via", peer.address, "dev", DEVICE)
        return
    for node, own_range in zip(nodes, ranges, strict=True):
        vxlan = f"type vxlan id {VNI} local {node.address} dev {DEVICE} dstport {UDP_PORT} nolearning"
        node.run("ip", "link", "add", DEVICE_NAME, "mtu", str(POD_MTU), *vxlan.split())
        node.run("ip", "addr", "add", f"{_gateway(own_range)}/32", "dev", DEVICE_NAME)
        node.run("ip", "link", "set", DEVICE_NAME, "up")
    for node, peer, peer_range in zip(nodes, reversed(nodes), reversed(ranges), strict=True):
        gateway, mac = _gateway(peer_range), _mac(peer)
        node.run("ip", "neigh", "replace", gateway, "lladdr", mac, "dev", DEVICE_NAME, "nud", "permanent")
        node.run("bridge", "fdb", "replace", mac, "dev", DEVICE_NAME, "dst", peer.address, "self", "permanent")
        node.run("ip", "route", "add", peer_range, "via", gateway, "dev", DEVICE_NAME, "onlink")


def _gateway(pod_range: str) -> str:
    """Return flannel's own address on a node: the first of its range, which no pod gets."""
    return str(ipaddress.ip_network(pod_range).network_address)


def _mac(node: Space) -> str:
    return str(json.loads(node.run("ip", "-j", "link", "show", DEVICE_NAME))[0]["address"])
