"""Docker Swarm's own overlay network as a profile: Docker builds the path, in a network namespace that it hides. Pure.

What is done on a node is in `playbooks/module_utils/harness_swarm.py`. The hidden namespace gets a name of ours there,
so readings find the tunnel's device in it, as they do on a path that somebody else built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.fabric.profiles import Profile
from harness.model.containers import Containers, Engine
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Counted

MANAGER_PORT, GOSSIP_PORT, DATA_PORT = 2377, 7946, 4789
"""Docker's default ports of a swarm: its manager's, that of what nodes tell each other, its VXLAN's."""
ATTEMPTS = 90
"""Pings of a second before an endpoint is unreachable: what is lost of the nodes' gossip is sent again each 30 s, and
now and then only the second time (48 s were seen)."""
PORTS = (("udp", DATA_PORT), ("tcp", MANAGER_PORT), ("tcp", GOSSIP_PORT), ("udp", GOSSIP_PORT))


def require_docker(profile: Profile, containers: Containers) -> None:
    """Raise InputError where endpoints are not Docker's containers, and the profile takes no others."""
    if profile.swarm is not None and containers.engine is not Engine.DOCKER:
        raise InputError(
            f"profile {profile.name} is Docker's own overlay network, which only joins Docker's containers; give "
            "--containers docker."
        )


def network_name(profile: Profile) -> str:
    """Return the name of a profile's overlay network."""
    return f"harness-{profile.name}"


def counted(profile: Profile) -> tuple[Counted, Counted] | None:
    """Return where both nodes' readings find the tunnel's device; None for a profile whose device is not hidden."""
    if profile.swarm is None or profile.tunnel is None:
        return None
    device = Counted(profile.tunnel, profile.tunnel, _overlay(profile))
    return device, device


def _overlay(profile: Profile) -> str:
    """Return the path that names the hidden namespace on a node."""
    return f"/run/vxlan-harness-node/overlay-{profile.name}"


def wanted(
    profile: Profile, node: Node, peer: Node, network: str, members: Sequence[dict[str, Any]], containers: Containers
) -> dict[str, Any] | None:
    """Return what the swarm module has to bring up on a node, None for a profile of another kind.

    `network` is the endpoints' in CIDR notation, `members` are the containers. The first node of a pair is the manager.
    """
    if profile.swarm is None:
        return None
    manager = min(node, peer, key=lambda one: one.index)
    return {
        "is_manager": node is manager,
        "peer": peer.name,
        "address": node.address,
        "peer_address": peer.address,
        "manager": f"{manager.address}:{MANAGER_PORT}",
        "network": network_name(profile),
        "subnet": network,
        "is_encrypted": profile.swarm.encrypted,
        "nic_mtu": min(node.mtu, peer.mtu),
        "tunnel_mtu": profile.path_mtu(min(node.mtu, peer.mtu)),
        "device": profile.tunnel,
        "port": DATA_PORT,
        "overlay": _overlay(profile),
        "kinds": ["vxlan", *(["esp"] if profile.swarm.encrypted else [])],
        "engine": containers.engine.value,
        "containers": {
            "engine": Engine.DOCKER.value,
            "image": containers.image,
            "bridge": "",
            "gateway": "",
            "network": network_name(profile),
            "members": list(members),
        },
    }
