"""Paths that somebody else built, found: what leads from one endpoint to the other, told by tables and by a capture.

Nothing on the nodes is changed. A few echoes are sent, filled with a pattern of their own; whatever stands in front of
it on the NICs is the tunnel's. Its device is the one that may make such headers and that counted the echoes both ways,
in whichever namespace of the node it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from harness.inspect import decode, spaces, stack
from harness.inspect.capture import capturing, require_tcpdump
from harness.inspect.endpoints import Endpoint, Reach, located, reached
from harness.inspect.points import Stop
from harness.inspect.spaces import OWN, Device, Spaces
from harness.inspect.tables import Link
from harness.measures import ping
from harness.model.errors import LabError, ToolError
from harness.model.found import Between, Found, FoundDevice, FoundEnd, Wire
from harness.model.jobs import Side
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.readings import Counters
from harness.model.trace import Place, Point
from harness.nodes.remote import Remote
from harness.run.standing import Ground

ECHOES = 10
_INTERVAL_S = 0.1
_LEAST_BYTES, _VARIED_BYTES = 420, 64
"""Echoes have a size that little other traffic has, drawn anew each time; small enough for any path."""
_MOST_OVERHEAD = 200
_CAPTURING_S = 20.0
_SETTINGS = (
    "id",
    "remote",
    "remote6",
    "local",
    "local6",
    "port",
    "key",
    "ikey",
    "ttl",
    "external",
    "proxy",
    "learning",
)
"""Of what a node says of a tunnel: what tells which one it is."""


@dataclass(frozen=True)
class _Looked:
    """What was read of one node: its devices in every namespace, and what its tunnels counted around the echoes."""

    spaces: Spaces
    before: Mapping[tuple[str, str], Counters]
    after: Mapping[tuple[str, str], Counters]


def find(between: Between, ground: Ground) -> Found:
    """Return the path between two endpoints, as far as it can be told; what cannot is said in it.

    Raises InputError and LabError for endpoints that are not there or do not reach each other, LabError where a node
    lacks tcpdump, ToolError and ConnectionLostError.
    """
    remotes = ground.remotes[ground.lab.client.name], ground.remotes[ground.lab.server.name]
    require_tcpdump(remotes)
    return lies_between(between.name, located((between.client, between.server), remotes), ground)


def lies_between(
    name: str, ends: tuple[Endpoint, Endpoint], ground: Ground, *, captures: bool = True, outset: Sequence[str] = ()
) -> Found:
    """Return what lies between an endpoint of the lab's client and one of its server, as a path of that name.

    Where nothing may be captured (`captures`), devices alone tell it. `outset` are notes that come before those on what
    was found. Raises as `find`.
    """
    nodes, remotes = (ground.lab.client, ground.lab.server), ground.of_pair(Pair(ends[0].node, ends[1].node))
    reaches, notes = reached(ends, remotes)
    size = _LEAST_BYTES + secrets.randbelow(_VARIED_BYTES)
    with ThreadPoolExecutor(2) as pool:
        seen = [*pool.map(spaces.scan, remotes)]
        tunnels = [spaces.tunnels(one) for one in seen]
        before = [*pool.map(spaces.count, remotes, tunnels)]
        if captures:
            wire = _echoed(nodes, remotes, ends[0], reaches, size)
        else:
            _ping(remotes[0], ends[0], reaches[1].source, secrets.token_bytes(stack.PATTERN_BYTES), size)
        after = [*pool.map(spaces.count, remotes, tunnels)]
    looked = [_Looked(*one) for one in zip(seen, before, after, strict=True)]
    if not captures:
        wire = _concluded(looked, size)
    sides = [
        _side(node, end, reach, one, wire, size)
        for node, end, reach, one in zip(nodes, ends, reaches, looked, strict=True)
    ]
    found = Found(name, sides[0], sides[1], wire, min(node.mtu for node in nodes))
    return replace(found, notes=(*outset, *notes, *_notes(found, nodes, seen)))


def _concluded(looked: Sequence[_Looked], size: int) -> Wire:
    """Return the headers that the one tunnel makes which counted the echoes on each node, without having seen any."""
    wire = Wire((), echoes=ECHOES, is_captured=False)
    met = [[one for one in spaces.tunnels(side.spaces) if _carried(side, one, size)] for side in looked]
    if not any(met):
        return wire
    told = [spaces.wire_of(devices[0].link) if len(devices) == 1 else None for devices in met]
    if told[0] is None or told[0] != told[1]:
        names = " and ".join(",".join(device.link.name for device in devices) or "none" for devices in met)
        return replace(wire, headers=None, unknown=f"nothing was captured, and of tunnels {names} counted the echoes")
    return replace(told[0], echoes=ECHOES, is_captured=False)


def _echoed(
    nodes: tuple[Node, Node], remotes: tuple[Remote, Remote], client: Endpoint, reaches: tuple[Reach, Reach], size: int
) -> Wire:
    """Send echoes of so many bytes, captured on both NICs, and return what they show.

    First only what passes between the two nodes is captured, then whatever has the size: tunnels may have other ends.
    """
    pattern = secrets.token_bytes(stack.PATTERN_BYTES)
    hosts = [nodes[0].address, nodes[1].address]
    pairs = [hosts, [reaches[0].source, reaches[1].source]]
    if nodes[0].address6 and nodes[1].address6:
        pairs.append([nodes[0].address6, nodes[1].address6])
    known = " or ".join(f"(host {one} and host {other})" for one, other in pairs)
    lengths = f"greater {size} and less {size + _MOST_OVERHEAD}"
    wire = Wire(None)
    for filtered in (f"({known}) and {lengths}", f"(ip or ip6) and {lengths}"):
        stops = [
            Stop(Point(number, node.name, side, node.device, Place.NIC, node.mtu), (), is_ethernet=True)
            for number, (node, side) in enumerate(zip(nodes, Side, strict=True))
        ]
        by_name = {remote.name: remote for remote in remotes}
        with capturing(by_name, stops, partial(_filter, filtered), _CAPTURING_S) as harvest:
            _ping(remotes[0], client, reaches[1].source, pattern, size)
        seen = [stack.told(decode.read(harvest.files[number], None), pattern, size) for number in range(2)]
        wire = stack.joined(seen[0], seen[1], ECHOES)
        if wire.headers is not None:
            break
    if wire.headers is None and not all(wire.seen):
        nics = " nor ".join(f"{node.device} of {node.name}" for node in nodes)
        return Wire(None, echoes=ECHOES, seen=wire.seen, unknown=f"no echo is to be recognised on {nics}")
    return wire


def _filter(words: str, _stop: Stop) -> str:
    return words


def _ping(remote: Remote, client: Endpoint, address: str, pattern: bytes, size: int) -> None:
    argv = f"ping -n -q -c {ECHOES} -i {_INTERVAL_S} -W 1 -s {size - ping.HEADER_BYTES} -p {pattern.hex()}".split()
    done = client.run(remote, [*argv, address])
    if done.exit_code > 1:
        raise ToolError(f"ping on {remote.name}: {done.stderr.strip()[-200:] or done.stdout.strip()[-200:]}")


def _side(node: Node, end: Endpoint, reach: Reach, looked: _Looked, wire: Wire, size: int) -> FoundEnd:
    """Return one side of the path, its devices from the endpoint to the NIC."""
    nic = looked.spaces.get(OWN, {}).get(node.device)
    if nic is None:
        raise LabError(f"{node.name} has no device {node.device}; set underlay_device in the inventory.")
    first = end.links[reach.device]
    devices = [_device(Place.ENDPOINT, Device(end.namespace, first), reach.source)]
    tunnel = _tunnel(looked, wire, size)
    devices += _between(end, first, looked.spaces, tunnel)
    if tunnel is not None:
        devices.append(_device(Place.TUNNEL, tunnel, _settings(tunnel.link)))
    devices.append(_device(Place.NIC, Device(OWN, nic), node.address))
    return FoundEnd(
        node=node.name,
        spot=end.spot,
        what=end.what,
        namespace=end.namespace,
        address=reach.source,
        route=reach.route,
        devices=tuple(devices),
        place=end.place,
    )


def _device(place: Place, device: Device, detail: str) -> FoundDevice:
    return FoundDevice(place, device.link.name, device.namespace, device.link.mtu, detail)


def _settings(link: Link) -> str:
    words = [f"{name} {link.settings[name]}" for name in _SETTINGS if link.settings.get(name) not in (None, False)]
    return " ".join([link.kind, *words])


def _tunnel(looked: _Looked, wire: Wire, size: int) -> Device | None:
    """Return the device that put these headers in front of the echoes; None where none did, or several may have."""
    fitting = [device for device in spaces.tunnels(looked.spaces) if spaces.fits(device.link, wire)]
    found = [device for device in fitting if _carried(looked, device, size)]
    return found[0] if len(found) == 1 else None


def _carried(looked: _Looked, device: Device, size: int) -> bool:
    key = (device.namespace, device.link.name)
    return spaces.grew(looked.before.get(key), looked.after.get(key), ECHOES, size)


def _between(end: Endpoint, first: Link, seen: Spaces, tunnel: Device | None) -> list[FoundDevice]:
    """Return what lies between an endpoint and its tunnel or NIC: a veth's other end, and the bridge it is in."""
    if first.kind != "veth":
        return []
    outer = spaces.other_end(seen, first, end.namespace)
    if outer is None:
        return []
    found = [_device(Place.VETH, outer, "")]
    bridge = seen[outer.namespace].get(outer.link.master)
    if bridge is not None:
        ports = tunnel is not None and tunnel.namespace == outer.namespace and tunnel.link.master == bridge.name
        found.append(
            _device(
                Place.BRIDGE,
                Device(outer.namespace, bridge),
                f"{tunnel.link.name} is a port of it" if ports and tunnel else ", ".join(bridge.addresses[:1]),
            )
        )
    return found


def _notes(found: Found, nodes: Sequence[Node], seen: Sequence[Spaces]) -> list[str]:
    """Return what should be known of a path beside its figures."""
    notes = []
    mtus = [end.devices[0].mtu for end in found.ends]
    if len(set(mtus)) > 1:
        notes.append(f"the endpoints' MTUs differ, {mtus[0]} and {mtus[1]}: packets of {found.mtu} are measured")
    for node, one in zip(nodes, seen, strict=True):
        own = one[OWN][node.device].mtu
        if own != node.mtu:
            notes.append(
                f"{node.device} of {node.name} has MTU {own}, the inventory says {node.mtu}: set underlay_mtu there"
            )
    if found.wire.headers and found.counted is None:
        notes.append(
            "no device on each node could be told to be the tunnel's: trials are proven by the NICs' bytes and the "
            "headers that were captured"
        )
    tunnel_mtu = found.tunnel_mtu
    if tunnel_mtu is not None and found.mtu > tunnel_mtu:
        notes.append(f"endpoints send packets of {found.mtu}, the tunnel takes {tunnel_mtu}: they are cut or lost")
    return notes
