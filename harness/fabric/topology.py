"""A profile on a node: the state that the playbooks bring up, and the endpoints that trials use.

Pure. The playbooks reach it through `playbooks/filter_plugins/harness_topology.py`, so that the harness and
`ansible-playbook` by hand cannot disagree.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Sequence
from string import Template
from typing import Any

from harness.fabric import ports, swarm
from harness.fabric.profiles import Forwarder, Profile
from harness.model.containers import OWN_IMAGE, Containers, Engine
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Carrier, Endpoint, Kind
from harness.truth.wire import overhead

FIRST_HOST = 2
"""Host number of the first endpoint: 1 is the bridge's own address, as Docker has it."""
ATTEMPTS = 5
"""How often a ping of a second is tried before an endpoint is unreachable: a bridge's port may still come up."""
DOCKER_BRIDGE = "docker0"
"""The bridge that Docker's daemon makes; endpoints on it that are Docker's containers are joined to it by Docker."""


def namespace_name(profile: str, mtu: int) -> str:
    """Return the name of the namespace that is a profile's endpoint for an MTU, the same on both nodes."""
    return f"harness-{profile}-{mtu}"


def veth_name(profile: str, mtu: int) -> str:
    """Return the name of the node's end of an endpoint's veth pair: `veth` and 8 hex digits, as Docker names them."""
    return f"veth{zlib.crc32(namespace_name(profile, mtu).encode()):08x}"


def variables(profile: Profile, node: Node, peer: Node) -> dict[str, str]:
    """Return what `$variables` in a profile stand for on this node."""
    return {
        "address": node.address,
        "peer_address": peer.address,
        "nic": node.device,
        "nic_mtu": str(node.mtu),
        "tunnel_mtu": str(profile.path_mtu(node.mtu)),
        "number": str(node.index - 1),
        "peer_number": str(peer.index - 1),
    } | _addresses6(node, peer)


def _addresses6(node: Node, peer: Node) -> dict[str, str]:
    """Return the nodes' IPv6 addresses where both have one: a profile that needs them finds no variable otherwise."""
    if node.address6 is None or peer.address6 is None:
        return {}
    return {"address6": node.address6, "peer_address6": peer.address6}


def _endpoint_variables(node: Node, position: int) -> dict[str, str]:
    """Return the host numbers of the endpoint for the position-th MTU: unique over both nodes, and within one."""
    return {
        "pair_host": str(FIRST_HOST + 2 * position + node.index - 1),
        "node_host": str(FIRST_HOST + position),
    }


def fill(value: object, names: dict[str, str], where: str) -> Any:  # noqa: ANN401 - as nested as its input
    """Return `value` with every `$variable` in it filled in; InputError names one that does not exist."""
    if isinstance(value, str):
        try:
            filled = Template(value).substitute(names)
        except (KeyError, ValueError) as error:
            hint = " (underlay_address6 in the inventory)" if "address6" in value else ""
            raise InputError(
                f"{where}: {value!r} uses a variable that is not known here{hint}; known are {', '.join(names)}."
            ) from error
        return int(filled) if value.startswith("$") and filled.isdigit() else filled
    if isinstance(value, dict):
        return {key: fill(item, names, where) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, names, where) for item in value]
    return value


def endpoint(profile: Profile, mtu: int, node: Node, mtus: Sequence[int]) -> Endpoint:
    """Return a profile's endpoint on a node for one of the run's MTUs; the underlay's is the node itself."""
    if profile.endpoints is None:
        return Endpoint(node.address)
    interface = _endpoint_interface(profile, profile.endpoints.address, node, sorted(mtus).index(mtu))
    return Endpoint(str(interface.ip), ("ip", "netns", "exec", namespace_name(profile.name, mtu)))


def _endpoint_interface(
    profile: Profile, address: str, node: Node, position: int
) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """Return the address of a node's endpoint for the position-th MTU; only host and node numbers vary in it."""
    names = _endpoint_variables(node, position) | {"number": str(node.index - 1)}
    return _interface(fill(address, names, f"profile {profile.name}"), profile)


def _interface(text: str, profile: Profile) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise InputError(f"profile {profile.name}: {text!r} is not an address with its prefix length.") from None


def wanted_state(
    profile: Profile, node: Node, peer: Node, mtus: Sequence[int], containers: Containers | None = None
) -> dict[str, Any]:
    """Return what the netstate module has to bring up on `node`, endpoints for every MTU (bytes) included."""
    containers = containers or Containers()
    where = f"profile {profile.name}"
    names = variables(profile, node, peer)
    plain = profile.model_dump(mode="json", exclude_none=True)
    state: dict[str, Any] = {
        "profile": profile.name,
        "networks": list(profile.networks),
        "namespaces": [],
        "containers": None,
        "own_image": OWN_IMAGE,
        "links": fill(plain["links"], names, where),
        "routes": [{"netns": "", **route} for route in fill(plain["routes"], names, where)],
        "neighbours": fill(plain["neighbours"], names, where),
        "fdb": fill(plain["fdb"], names, where),
        "sysctls": _sysctls(plain["sysctls"], "", names, where),
        "forward": fill(plain["forward"], names, where),
        "files": fill(plain["files"], names, where),
        "processes": [],
        "roles": list(profile.roles),
        "programs": [*(["openvpn"] if profile.forwarder else []), *(["wg"] if profile.wireguard else [])],
        "ports": [],
        "wireguard": _wireguard(profile, names, node, peer),
        "swarm": _swarm(profile, node, peer, mtus, containers),
    }
    if profile.forwarder is not None:
        state["processes"].append(forwarder_argv(profile.forwarder, node, peer, profile.path_mtu(node.mtu)))
    if profile.endpoints is not None and profile.swarm is None:
        dockers = containers.engine is Engine.DOCKER and profile.endpoints.bridge == DOCKER_BRIDGE
        for position, mtu in enumerate(sorted(mtus)):
            own = names | _endpoint_variables(node, position) | {"mtu": str(mtu)}
            interface = _endpoint_interface(profile, profile.endpoints.address, node, position)
            spec = fill(plain["endpoints"], own, where) | {"address": str(interface)}
            _add_endpoint(state, spec, profile.name, mtu, joined=dockers)
        if containers.engine is not Engine.NONE:
            _add_containers(state, containers, profile, node, mtus, bridge=DOCKER_BRIDGE if dockers else "")
    for link in state["links"]:
        for address in link.get("addresses", []):
            _interface(address, profile)
    state["ports"] = ports.of_links(profile, state["links"], node, peer)
    return state


def carrier(profile: Profile, node: Node, peer: Node) -> Carrier | None:
    """Return what the packets of a tunnel travel in from node to peer.

    None for a profile without one, and for one whose links do not tell.
    """
    if profile.kind is not Kind.TUNNEL:
        return None
    if "esp" in profile.headers:
        return Carrier(node.address, peer.address, str(ports.ESP), None)
    links = fill(
        profile.model_dump(mode="json", exclude_none=True)["links"], variables(profile, node, peer), profile.name
    )
    # Both ends receive on the same port, so where the peer's packets come to is where ours go to.
    port = next(iter(ports.of_links(profile, links, node, peer)), None)
    if port is None:
        return None
    source = node.address6 if ":" in port["peer"] else node.address
    return Carrier(str(source), port["peer"], port["protocol"], port["port"])


def _wireguard(profile: Profile, names: dict[str, str], node: Node, peer: Node) -> dict[str, Any] | None:
    """Return what the wireguard role needs, for a profile that has it."""
    if profile.wireguard is None:
        return None
    settings = fill(profile.wireguard.model_dump(mode="json"), names, f"profile {profile.name}")
    return {**settings, "profile": profile.name, "address": node.address, "peer": peer.name, "endpoint": peer.address}


def _swarm(
    profile: Profile, node: Node, peer: Node, mtus: Sequence[int], containers: Containers
) -> dict[str, Any] | None:
    """Return what the swarm role needs, for a profile that has it: a container for each MTU."""
    if profile.swarm is None or profile.endpoints is None:
        return None
    ends = [
        (mtu, _endpoint_interface(profile, profile.endpoints.address, node, at)) for at, mtu in enumerate(sorted(mtus))
    ]
    members = [
        {
            "name": f"{profile.name}-c{number:02}",
            "namespace": namespace_name(profile.name, mtu),
            "address": str(interface.ip),
            "mtu": mtu,
        }
        for number, (mtu, interface) in enumerate(ends, 1)
    ]
    return swarm.wanted(profile, node, peer, str(ends[0][1].network), members, containers)


def forwarder_argv(forwarder: Forwarder, node: Node, peer: Node, mtu: int) -> list[str]:
    """Return the argv of OpenVPN as a bare forwarder: no encryption, no authentication, nothing but the packets.

    It takes packets from the peer's address only. Both transports are the same program, so that what differs between
    the two profiles is the transport. (socat cannot: over TCP it loses where one packet ends and the next begins.)
    """
    role: str = forwarder.protocol
    if forwarder.protocol == "tcp":
        # Without TCP_NODELAY, a reply waits for the next packet to be sent: a round trip read 24 ms.
        role = f"tcp-{'client' if node.index < peer.index else 'server'} --socket-flags TCP_NODELAY"
    words = f"openvpn --dev {forwarder.device} --dev-type tun --tun-mtu {mtu} --mssfix 0 --persist-tun --verb 0"
    words += " --data-ciphers none --cipher none --auth none --connect-retry 1 1"
    words += f" --proto {role} --local {node.address} --port {forwarder.port} --remote {peer.address}"
    return words.split()


def _add_endpoint(state: dict[str, Any], spec: dict[str, Any], profile: str, mtu: int, *, joined: bool) -> None:
    """Add one endpoint to a state: its namespace, its veth pair, its routes; `joined`: an engine makes the pair."""
    namespace, outside = namespace_name(profile, mtu), veth_name(profile, mtu)
    state["namespaces"].append(namespace)
    pair: dict[str, Any] = {"kind": "veth", "attributes": {}, "mtu": mtu}
    if not joined:
        end = {"name": "eth0", "netns": namespace}
        state["links"].append(pair | {"name": outside, "master": spec["bridge"], "peer": end})
    inside = {"name": "eth0", "netns": namespace, "inner": True, "addresses": [spec["address"]], "adopt": joined}
    state["links"].append(pair | inside)
    state["routes"] += [{"netns": namespace, **route} for route in spec["routes"]]
    state["sysctls"] += [{"netns": namespace, "key": key, "value": value} for key, value in spec["sysctls"].items()]


def _add_containers(
    state: dict[str, Any], containers: Containers, profile: Profile, node: Node, mtus: Sequence[int], *, bridge: str
) -> None:
    """Add the containers that are the endpoints; on Docker's own `bridge`, those that hold addresses before them too.

    Docker hands out its bridge's addresses in order, from the first host number on. A node's endpoints have every
    second one, so that both nodes' differ, and a container without a namespace's name keeps each one in between.
    """
    endpoints = {
        int(_endpoint_variables(node, position)["pair_host" if bridge else "node_host"]): mtu
        for position, mtu in enumerate(sorted(mtus))
    }
    members = []
    for host in range(FIRST_HOST, max(endpoints) + 1):
        mtu = endpoints.get(host)
        member = {"name": f"{profile.name}-c{host - FIRST_HOST + 1:02}", "namespace": "", "address": "", "mtu": mtu}
        if mtu is not None:
            member["namespace"] = namespace_name(profile.name, mtu)
        members.append(member)
    state["containers"] = {
        "engine": containers.engine.value,
        "image": containers.image,
        "bridge": bridge,
        "gateway": "",
        "network": "",
        "members": members,
    }
    if not bridge or profile.endpoints is None:
        return
    network = _endpoint_interface(profile, profile.endpoints.address, node, 0).network
    state["containers"]["gateway"] = f"{network[FIRST_HOST - 1]}/{network.prefixlen}"
    for host, member in enumerate(members, FIRST_HOST):
        member["address"] = str(network[host])
    state["forward"] = []  # Docker's own rules say what passes on its own bridge
    for link in state["links"]:
        link["adopt"] = link.get("adopt", False) or link["name"] == bridge


def _sysctls(values: dict[str, Any], netns: str, names: dict[str, str], where: str) -> list[dict[str, Any]]:
    return [
        {"netns": netns, "key": fill(key, names, where), "value": int(value) if isinstance(value, bool) else value}
        for key, value in fill(values, names, where).items()
    ]


def probes(profile: Profile, node: Node, peer: Node, mtus: Sequence[int]) -> list[dict[str, Any]]:
    """Return the pairs that the endpoint_probe module pings from `node`: the path MTU to be found, in bytes."""
    nic_mtu = min(node.mtu, peer.mtu)
    path_mtu = profile.path_mtu(nic_mtu)
    # Where outer packets are fragmented on purpose, a packet with DF set would make the tunnel answer with an ICMP that
    # the endpoint remembers for ten minutes: there, only what has to pass is tried, and without DF.
    fragments = path_mtu > nic_mtu - overhead(profile.headers)
    if profile.endpoints is None:
        mtus = [path_mtu]
    return [
        {
            "profile": profile.name,
            "mtu": mtu,
            "namespace": namespace_name(profile.name, mtu) if profile.endpoints else "",
            "destination": endpoint(profile, mtu, peer, mtus).address,
            "path_mtu": min(mtu, path_mtu),
            "fragments": fragments,
            "attempts": swarm.ATTEMPTS if profile.swarm else ATTEMPTS,
        }
        for mtu in mtus
    ]
