"""Which entry of which table decided where a packet went from a point, quoted from the node. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.inspect.tables import BROADCAST, DEFAULT_DESTINATION, Quote, Tables, next_hop, word_after
from harness.inspect.walk import ethernet
from harness.model.trace import By, Decision, Frame, Place, Point

INSIDE, AWAY, OUTER, HOME = "+inside", "away", "outer", "home"
"""Names of the routes that are asked for: from the endpoint, on the node towards the other endpoint, to the other node,
and on the node towards the endpoint itself."""


@dataclass(frozen=True)
class Ground:
    """What decisions on one node are made of: its tables, and its bridge and tunnel (empty where there is none)."""

    tables: Tables
    bridge: str
    tunnel: str


def routes_of(own: str, other: str, peer: str, bridge: str, arriving: str) -> dict[str, list[str]]:
    """Return what a node is asked for: endpoints' addresses `own` and `other`, `peer` the other node's outer one.

    `arriving` is the device by which the other endpoint's packets come.
    """
    asked = {INSIDE: [other], OUTER: [peer]}
    if bridge:
        asked |= {AWAY: [other, "from", own, "iif", bridge], HOME: [own, "from", other, "iif", arriving]}
    return asked


def decisions(frame: Frame, point: Point, ground: Ground, *, leaving: bool) -> tuple[Decision, ...]:
    """Return what sent a frame on from a point of its node; `leaving`: it goes to the other node, else it has come."""
    steps = {
        Place.ENDPOINT: _endpoint,
        Place.VETH: _port,
        Place.BRIDGE: _bridge,
        Place.TUNNEL: _tunnel,
        Place.NIC: _nic,
    }
    step = steps.get(point.place)
    return tuple(step(frame, point, ground, leaving)) if step else ()


def _endpoint(frame: Frame, point: Point, ground: Ground, leaving: bool) -> list[Decision]:  # noqa: ARG001 - as the others
    if not leaving or _is_arp(frame):
        return []
    route = ground.tables.routes.get(INSIDE)
    return _routed(route, ground, inside=True) if route else []


def _port(frame: Frame, point: Point, ground: Ground, leaving: bool) -> list[Decision]:  # noqa: ARG001 - as above
    quote = ground.tables.port(point.device)
    if quote is None or not leaving:
        return []
    return [_decision(By.LINK, quote, f"what comes out of {point.device} is {ground.bridge}'s to forward")]


def _bridge(frame: Frame, point: Point, ground: Ground, leaving: bool) -> list[Decision]:
    mac = _destination(frame)
    if mac == BROADCAST:
        return [Decision(By.FDB, "", "", f"a broadcast: {point.device} floods it to every other port")]
    if mac == point.mac and _is_arp(frame):
        return [Decision(By.LINK, "", "", f"for {point.device} itself: the node's own ARP takes it in")]
    if mac == point.mac:
        route = ground.tables.routes.get(AWAY)
        return _routed(route, ground) if route and leaving else []
    entry = ground.tables.forwarding(mac, point.device)
    if entry is None:
        return [Decision(By.FDB, "", "", f"no entry for {mac}: {point.device} floods it to every other port")]
    return [_decision(By.FDB, entry, f"{mac} is behind port {word_after(entry.line, 'dev')}")]


def _tunnel(frame: Frame, point: Point, ground: Ground, leaving: bool) -> list[Decision]:
    if not leaving:
        return _arrived(ground, point)
    tables, mac = ground.tables, _destination(frame)
    made: list[Decision] = []
    entry = tables.sending(mac, point.device)
    if entry is not None:
        is_default = entry.line.startswith(DEFAULT_DESTINATION)
        whose = "for what no other entry is for" if is_default else f"{mac} is there"
        made.append(_decision(By.FDB, entry, f"the outer destination is {word_after(entry.line, 'dst')}: {whose}"))
    elif settings := tables.tunnel(point.device):
        made.append(_decision(By.LINK, settings, "the tunnel has one other end"))
    outer = tables.routes.get(OUTER)
    return [*made, *(_routed(outer, ground) if outer else [])]


def _nic(frame: Frame, point: Point, ground: Ground, leaving: bool) -> list[Decision]:
    if leaving:
        return []
    if ground.tunnel and len(frame.all("ipv4", "ipv6", "arp")) + len(frame.all("wireguard")) > 1:
        settings = ground.tables.tunnel(ground.tunnel)
        vni = next((layer.fields["vni"] for layer in frame.all("vxlan", "geneve")), None)
        what = f"VNI {vni} on this port is {ground.tunnel}'s" if vni is not None else f"this is for {ground.tunnel}"
        return [_decision(By.LINK, settings, f"{what}: it takes the outer headers off")] if settings else []
    return _arrived(ground, point)


def _arrived(ground: Ground, point: Point) -> list[Decision]:
    """Return what sends on what has come out of a tunnel, or in by the NIC: a bridge whose port that is, or a route."""
    link, port = ground.tables.links.get(point.device), ground.tables.port(point.device)
    if link is not None and link.master and port is not None:
        return [_decision(By.LINK, port, f"what comes out of {point.device} is {link.master}'s to forward")]
    home = ground.tables.routes.get(HOME)
    return _routed(home, ground) if home else []


def _routed(route: Quote, ground: Ground, *, inside: bool = False) -> list[Decision]:
    """Return a route and the neighbour entry that it leads to."""
    hop, device = next_hop(route)
    if not device:
        return [_decision(By.ROUTE, route, "there is no route")]
    where = " in the endpoint" if inside else ""
    made = [_decision(By.ROUTE, route, f"leaves by {device}, next hop {hop}{where}")]
    neighbour = ground.tables.neighbour(hop, device, inside=inside)
    if neighbour is not None:
        mac = word_after(neighbour.line, "lladdr")
        kind = "set by hand, never asked for" if "PERMANENT" in neighbour.line.split() else "learned by ARP"
        meaning = f"{hop} has {mac}: {kind}{where}" if mac else f"nobody answers for {hop}{where}"
        made.append(_decision(By.NEIGHBOUR, neighbour, meaning))
    return made


def _decision(by: By, quote: Quote, meaning: str) -> Decision:
    return Decision(by, quote.command, quote.line, meaning)


def _is_arp(frame: Frame) -> bool:
    return any(layer.name == "arp" for layer in frame.layers)


def _destination(frame: Frame) -> str:
    """Return where the innermost Ethernet header sends a frame; empty without one."""
    own = ethernet(frame)
    return str(own.fields["dst"]) if own else ""
