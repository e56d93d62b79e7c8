"""The ports that tunnels receive on, and the IP protocols of those that have none. Pure."""

from __future__ import annotations

from typing import Any

from harness.fabric import swarm
from harness.fabric.profiles import Profile
from harness.model.node import Node

DEFAULT_PORTS = {"vxlan": 8472, "geneve": 6081}
"""UDP port of a link that is given none, as iproute2 and the kernel have it."""
IP_PROTOCOLS = {"gre": 47, "gretap": 47, "erspan": 47, "ip6gre": 47, "ip6gretap": 47, "ipip": 4, "sit": 41}
"""IP protocol number (IANA) of tunnels that have no port."""

ESP = 50
"""IP protocol number (IANA) of what IPsec encrypts, whatever is in it."""


def of_links(profile: Profile, links: list[dict[str, Any]], node: Node, peer: Node) -> list[dict[str, Any]]:
    """Return the ports (None: a whole IP protocol) that a profile receives on, to be taken from the peer alone.

    `source` is the address that the peer's rule expects of this node's packets, empty where the link itself sets it.
    """

    def port(protocol: str, number: int | None, address: str, source: str) -> dict[str, Any]:
        return {"protocol": protocol, "port": number, "peer": address, "source": source}

    probes = []
    for link in links:
        attributes = link["attributes"]
        ends = str(attributes.get("remote", attributes.get("local", "")))
        own, other = (node.address6, peer.address6) if ":" in ends else (node.address, peer.address)
        source = "" if "local" in attributes else own or ""
        number = attributes.get("dstport", DEFAULT_PORTS.get(link["kind"]))
        if link["kind"] in DEFAULT_PORTS and str(number).isdigit() and other:
            probes.append(port("udp", int(number), other, source))
        elif link["kind"] in IP_PROTOCOLS and other:
            probes.append(port(str(IP_PROTOCOLS[link["kind"]]), None, other, source))
    if profile.forwarder is not None:
        probes.append(port(profile.forwarder.protocol, profile.forwarder.port, peer.address, ""))
    if profile.wireguard is not None:
        probes.append(port("udp", profile.wireguard.port, peer.address, node.address))
    if profile.swarm is not None:
        probes += [port(protocol, number, peer.address, node.address) for protocol, number in swarm.PORTS]
    return probes
