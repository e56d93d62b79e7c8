"""Why a packet was seen no more: what the kernel counted behind the last point, and what that means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.inspect.decide import AWAY, INSIDE, OUTER, Ground
from harness.inspect.tables import Tables, next_hop, word_after
from harness.inspect.walk import Seen, ethernet, inner
from harness.model.trace import Frame, Loss, Place, Point

_DROPS = {
    "IpOutNoRoutes": "packets without a route",
    "IpInAddrErrors": "packets to an address that is none of the node's",
    "IpFragFails": "packets too large to go on, and not to be cut",
    "IpOutDiscards": "packets thrown away on their way out",
    "IpInDiscards": "packets thrown away on their way in",
    "IpReasmFails": "packets of which a fragment was missing",
    "UdpInCsumErrors": "datagrams with a wrong checksum",
    "UdpNoPorts": "datagrams to a port on which nothing listens",
}
"""Counters of /proc/net/snmp that grow where packets are lost (RFC 4293; net/ipv4/proc.c)."""
_ACCEPT_FORWARD = (
    "a node that forwards has to accept the overlay's network in FORWARD, in front of this rule; "
    "Docker sets the policy to DROP when it switches forwarding on"
)


@dataclass(frozen=True)
class Sight:
    """A node before and after: its tables, how it decides, and the other node's underlay address and name."""

    before: Tables
    ground: Ground
    peer: str
    peer_name: str

    @property
    def after(self) -> Tables:
        """What was read at the end."""
        return self.ground.tables


@dataclass(frozen=True)
class _Case:
    """A lost packet: its last frame, where that was, where it should be next, and what both nodes say."""

    frame: Frame
    last: Point
    following: Point
    here: Sight
    there: Sight
    counted: tuple[str, ...]


def loss_of(packet: Seen, chain: Sequence[Point], sights: Mapping[str, Sight]) -> Loss | None:
    """Return why a packet did not get to the end of the chain, None where it did.

    `chain` are the points from where it started to where it should arrive, `sights` both nodes by name.
    """
    seen = [point for point, _ in packet.at]
    if chain[-1] in seen:
        return None
    last = max(seen, key=chain.index)
    following = chain[chain.index(last) + 1]
    here, there = sights[last.node], sights[following.node]
    counted = tuple(dict.fromkeys(counted_drops(last, here) + counted_drops(following, there)))
    case = _Case(packet.frames_at(last)[0], last, following, here, there, counted)
    rules = (_down, _firewall, _nowhere, _unresolved, _no_route, _too_large, _checksum)
    cause, fact, advice = next((found for rule in rules if (found := rule(case))), _unknown(case))
    return Loss(last, following, cause, fact, advice, counted)


def counted_drops(point: Point, sight: Sight) -> tuple[str, ...]:
    """Return what a node counted as dropped meanwhile: by firewall rules, by its devices, by IP."""
    before, after = sight.before, sight.after
    said = [
        f"{point.node}: {rule}: {count - before.drops.get(rule, 0)}"
        for rule, count in after.drops.items()
        if count > before.drops.get(rule, 0)
    ]
    for place, old, new in (("", before.links, after.links), (" (in the endpoint)", before.inside, after.inside)):
        said += [
            f"{point.node}: {name}{place}: {way}_dropped {link.dropped[way] - old[name].dropped[way]}"
            for name, link in new.items()
            for way in link.dropped
            if name in old and link.dropped[way] > old[name].dropped.get(way, 0)
        ]
    for place, old_counts, new_counts in (
        ("", before.counters, after.counters),
        (" in the endpoint", before.inside_counters, after.inside_counters),
    ):
        said += [
            f"{point.node}: {name}{place}: {new_counts[name] - old_counts.get(name, 0)} {what}"
            for name, what in _DROPS.items()
            if new_counts.get(name, 0) > old_counts.get(name, 0)
        ]
    return tuple(said)


Finding = tuple[str, str, str] | None
"""Cause, fact and advice, where a rule says that it was this."""


def _down(case: _Case) -> Finding:
    """Find a device next on the way that is down: it takes no packet, and those around it do not say so."""
    point = case.following
    tables = case.there.after
    link = (tables.inside if point.place is Place.ENDPOINT else tables.links).get(point.device)
    if link is None or link.is_up:
        return None
    where = f"{point.node} in its endpoint" if point.place is Place.ENDPOINT else point.node
    return (
        f"{point.device} of {point.node} is down",
        f"`ip link show dev {point.device}` on {where}: no UP",
        "see what set it down, or why what makes it has not set it up",
    )


def _firewall(case: _Case) -> Finding:
    for sight, point in ((case.here, case.last), (case.there, case.following)):
        grown = [rule for rule, count in sight.after.drops.items() if count > sight.before.drops.get(rule, 0)]
        if grown:
            rule = next((rule for rule in grown if "FORWARD" in rule), grown[0])
            count = sight.after.drops[rule] - sight.before.drops.get(rule, 0)
            is_forward = "FORWARD" in rule
            return (
                f"{'FORWARD' if is_forward else 'the firewall'} drops it on {point.node}",
                f"`{rule}` counted {count} packets meanwhile",
                _ACCEPT_FORWARD if is_forward else f"accept what the other node, {sight.peer}, sends here, before it",
            )
    return None


def _nowhere(case: _Case) -> Finding:
    """Find a forwarding entry of the tunnel that leads to somebody else.

    A packet whose own sender has a permanent entry that names another peer than it comes from is dropped as well
    (drivers/net/vxlan/vxlan_core.c, vxlan_snoop).
    """
    device, tables, here = case.here.ground.tunnel, case.here.after, case.here
    comes_in = case.last.place is Place.NIC and case.following.place is Place.TUNNEL
    leaves = case.last.place is Place.TUNNEL or (case.last.place is Place.NIC and not comes_in)
    if not device or not (comes_in or leaves):
        return None
    mac = _inner_mac(case.frame, "src" if comes_in else "dst")
    entry = tables.sending(mac, device) if leaves else tables.forwarding(mac, device)
    peer = word_after(entry.line, "dst") if entry else ""
    if entry is None or peer in ("", here.peer):
        return None
    what = f"the forwarding entry of {device} on {case.last.node} leads to {peer}, which is not {here.peer_name}"
    if comes_in:
        what += ": being permanent, it also has what comes from that MAC address by another way dropped"
    return (
        what,
        f"`{entry.line}`, but {here.peer_name} is {here.peer}",
        f"the entry of this MAC address (bridge fdb show dev {device}) is stale or wrong: see what sets it there",
    )


def _unresolved(case: _Case) -> Finding:
    """Find a next hop for which nobody answers."""
    tables = case.here.after
    routes = [(name.startswith("+"), quote) for name, quote in tables.routes.items()]
    for inside, quote in routes:
        hop, device = next_hop(quote)
        neighbour = tables.neighbour(hop, device, inside=inside) if device else None
        if neighbour is not None and {"FAILED", "INCOMPLETE"}.intersection(neighbour.line.split()):
            return (
                f"nobody answers for {hop} on {device} of {case.last.node}",
                f"`{neighbour.line}`",
                f"see whether {hop} is up, and whether ARP gets there (it is flooded) and its answer comes back",
            )
    return None


def _no_route(case: _Case) -> Finding:
    """Find that a packet which has to be routed has nowhere to go."""
    to_bridge = case.last.place is Place.BRIDGE and _inner_mac(case.frame, "dst") == case.last.mac
    asked = {Place.ENDPOINT: INSIDE, Place.BRIDGE: AWAY if to_bridge else "", Place.TUNNEL: OUTER}
    for name, quote in case.here.after.routes.items():
        if name == asked.get(case.last.place) and not next_hop(quote)[1]:
            return (
                f"{case.last.node} has no route",
                f"`{quote.command}` says: {quote.line}",
                "add the route, or see why whoever sets it does not; net.ipv4.ip_forward may be off as well",
            )
    return None


def _too_large(case: _Case) -> Finding:
    """Find a packet that the next device, or the one at the other end of the wire, does not take."""
    own = sum(layer.size for layer in case.frame.layers[:1] if layer.name == "ethernet")
    size = case.frame.length - own
    crosses = case.last.node != case.following.node
    if size <= case.following.mtu and not any("IpFragFails" in text for text in case.counted):
        return None
    where = f"{case.following.device} of {case.following.node}"
    if crosses:
        return (
            f"{where} has an MTU of {case.following.mtu}, too small for the {size} bytes that {case.last.node} sends",
            f"the packet leaves {case.last.device} with {size} bytes (MTU {case.last.mtu} there) and does not come in",
            (
                f"give both NICs, and the switches in between, the same MTU, or the overlay one that is smaller by its "
                f"headers: {case.following.mtu - (size - _inner_size(case.frame))} bytes"
            ),
        )
    return (
        f"a packet of {size} bytes does not fit through {where}, whose MTU is {case.following.mtu}",
        f"it was {size} bytes at {case.last.device}; nothing told its sender, or it does not listen",
        (
            f"an MTU of {case.following.mtu} at the endpoints lets it pass; where a bridge is in between, nobody sends "
            "`fragmentation needed`, and the packet is lost without a word"
        ),
    )


def _checksum(case: _Case) -> Finding:
    if not any("UdpInCsumErrors" in text for text in case.counted):
        return None
    return (
        f"{case.following.node} throws datagrams away whose checksum is wrong",
        next(text for text in case.counted if "UdpInCsumErrors" in text),
        (
            "a NIC that computes checksums of encapsulated packets wrongly does this: compare with `ethtool -K NIC "
            "tx-checksum-ip-generic off`, which costs segmentation offload as well (`harness run --offload`)"
        ),
    )


def _unknown(case: _Case) -> tuple[str, str, str]:
    where = f"between {case.last} and {case.following}"
    if case.last.node != case.following.node:
        return (
            f"it left {case.last.device} and did not come in by {case.following.device}",
            "no counter of either node that is read here says why" if not case.counted else case.counted[0],
            (
                "what is between the nodes drops it: a security group or firewall for this protocol and port, an "
                "address filter of the hypervisor, or a switch with a smaller MTU"
            ),
        )
    return (
        f"it got lost {where}",
        "no counter that is read here says why" if not case.counted else case.counted[0],
        "look at `nft list ruleset`, rp_filter, and programs that are attached to these devices (tc, XDP)",
    )


def _inner_mac(frame: Frame, end: str) -> str:
    """Return an address (`src`, `dst`) of the innermost Ethernet header, empty without one."""
    own = ethernet(frame)
    return str(own.fields[end]) if own else ""


def _inner_size(frame: Frame) -> int:
    """Return the bytes of the innermost IP packet."""
    outer = sum(layer.size for layer in frame.layers[: len(frame.layers) - len(inner(frame))])
    return frame.length - outer


def refused(first: Point, said: str) -> Loss:
    """Return the loss of a packet that its sender did not even send, and said why."""
    too_long = "too long" in said
    return Loss(
        None,
        first,
        "the sender refuses to send it" if said else "nothing was sent",
        said or "no packet was seen at any point",
        "the packet is larger than the MTU of the device, or than what the sender knows of the path (`ip route get`, a "
        "cached MTU lasts 10 minutes), and must not be cut: leave -M do out, or send less"
        if too_long
        else "see whether the endpoint has a route and its device is up",
    )
