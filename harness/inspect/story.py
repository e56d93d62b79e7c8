"""What was seen at all points, told packet by packet: hops, losses, times, and whose each address is. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.inspect import walk
from harness.inspect.changes import changes
from harness.inspect.clock import aligned
from harness.inspect.decide import decisions
from harness.inspect.lost import Sight, loss_of, refused
from harness.inspect.sending import Sent
from harness.inspect.walk import Seen
from harness.model.jobs import Side
from harness.model.trace import Clock, Frame, Hop, Loss, Place, Point, StepTime, Walk

_MOST_LOST = 3
"""So many lost packets are shown, and the others counted."""


@dataclass(frozen=True)
class Scene:
    """The points from endpoint to endpoint, the frames that were captured at each, and both nodes by name."""

    chain: tuple[Point, ...]
    frames: Mapping[Point, Sequence[Frame]]
    sights: Mapping[str, Sight]
    shared_clock: bool


@dataclass(frozen=True)
class Story:
    """What a Trace is made of."""

    points: tuple[Point, ...]
    walks: tuple[Walk, ...]
    times: tuple[StepTime, ...]
    owners: Mapping[str, str]
    clock: Clock
    offset_s: float
    notes: tuple[str, ...]


def told(scene: Scene, source: str, destination: str, sent: Sent) -> Story:
    """Return the story of what was sent from `source` to `destination`."""
    frames, clock, offset_s = aligned(scene.frames, is_shared=scene.shared_clock)
    packets = [packet for packet in walk.packets(frames) if _is_ours(packet, {source, destination})]
    passed = {point for packet in packets for point, _ in packet.at}
    points = tuple(point for point in scene.chain if point.place is not Place.LINK or point in passed)
    teller = _Teller(points, scene.sights, destination)
    chosen = _tcp(packets) if sent.sent == 0 else packets
    walks = teller.walks(chosen)
    notes: list[str] = []
    if not any(one.loss for one in walks) and sent.sent and sent.answered < sent.sent:
        walks = [
            *walks,
            Walk("echo", f"{sent.sent} sent, {sent.answered} answered", (), _silence(packets, points, sent)),
        ]
    elif sent.sent > sent.answered:
        notes.append(f"{sent.sent - sent.answered} of {sent.sent} echoes were not answered")
    times = [*_times(packets, points, walk.REQUEST), *_times(packets, points[::-1], walk.REPLY)]
    return Story(points, tuple(walks), tuple(times), _owners(scene, walks), clock, offset_s, tuple(notes))


def _is_ours(packet: Seen, ends: set[str]) -> bool:
    """Tell whether a packet is of the endpoints: a filter cannot tell every other flow in a tunnel apart."""
    found = {
        str(value) for _, frames in packet.at for layer in walk.inner(frames[0])[:1] for value in layer.fields.values()
    }
    return bool(found & ends)


def _silence(packets: Sequence[Seen], points: Sequence[Point], sent: Sent) -> Loss:
    requests = [packet for packet in packets if packet.key[:2] == (walk.ECHO, walk.REQUEST)]
    if requests:
        return Loss(
            points[-1],
            points[-1],
            "the endpoint got the packet and did not answer",
            f"it was seen at {points[-1]}; no reply was",
            "see the endpoint's own firewall and net.ipv4.icmp_echo_ignore_all",
        )
    return refused(points[0], sent.said)


def _tcp(packets: Sequence[Seen]) -> list[Seen]:
    """Return what shows how a TCP connection goes, of the last one that was opened: handshake, first full segment.

    iperf3 opens one for control first; what it sends on the other is preceded by a cookie of 37 bytes.
    """
    opened = [packet.key[3:5] for packet in packets if packet.key[0] == walk.TCP and packet.key[6] == "S"]
    others = [packet for packet in packets if packet.key[0] in (walk.ARP, walk.ERROR)]
    if not opened:
        return others
    ports = opened[-1]
    own = [packet for packet in packets if packet.key[0] == walk.TCP and packet.key[3:5] in (ports, ports[::-1])]
    data = [packet for packet in own if packet.key[7]]
    largest = max((packet.at[0][1][0].length for packet in data), default=0)
    first_full = [packet for packet in data if packet.at[0][1][0].length == largest][:1] or data[:1]
    chosen = own[:3] + [packet for packet in first_full if packet not in own[:3]]
    return sorted([*others, *chosen], key=lambda packet: packet.start_s)


class _Teller:
    """Tells walks; knows the points and both nodes."""

    def __init__(self, points: Sequence[Point], sights: Mapping[str, Sight], destination: str) -> None:
        self._points, self._sights, self._destination = points, sights, destination

    def walks(self, packets: Sequence[Seen]) -> list[Walk]:
        """Return the first packet of each kind, and the first ones that got lost."""
        names: Counter[str] = Counter()
        walks: list[Walk] = []
        lost = 0
        kinds: set[tuple[str, ...]] = set()
        for packet in packets:
            name, summary = _named(packet, names)
            kind = _kind(packet)
            loss = self._loss(packet, packets)
            lost += loss is not None
            if kind in kinds and (loss is None or lost > _MOST_LOST):
                continue
            kinds.add(kind)
            walks.append(Walk(name, summary, self._hops(packet), loss))
        return walks

    def _loss(self, packet: Seen, packets: Sequence[Seen]) -> Loss | None:
        chain = self._chain(packet, packets)
        return loss_of(packet, chain, self._sights) if chain else None

    def _chain(self, packet: Seen, packets: Sequence[Seen]) -> list[Point]:
        """Return the points that a packet should pass, none for one of which nobody can say."""
        kind, what, *rest = packet.key
        forward = [*self._points]
        if kind == walk.ECHO:
            return forward if what == walk.REQUEST else forward[::-1]
        if kind == walk.TCP:
            return forward if rest[0] == self._destination else forward[::-1]
        if kind != walk.ARP or any(other.key[0] in (walk.ECHO, walk.TCP) for other in packets):
            return []  # it was answered, wherever the answer came from
        if what == "is-at":
            return forward[::-1] if rest[0] == self._destination else []
        answered = any(other.key[:2] == (walk.ARP, "is-at") and other.key[2] == rest[1] for other in packets)
        return forward if rest[1] == self._destination and not answered else []

    def _hops(self, packet: Seen) -> tuple[Hop, ...]:
        hops: list[Hop] = []
        start_s = packet.at[0][1][0].time_s
        before: tuple[Frame, ...] | None = None
        start, leaves = packet.at[0][0].side, self._leaves(packet)
        for point, frames in packet.at:
            decided = decisions(
                frames[0],
                point,
                self._sights[point.node].ground,
                leaving=leaves and point.side is start,
            )
            is_last = point == packet.at[-1][0] and point.place is Place.ENDPOINT
            hops.append(
                Hop(
                    point,
                    frames,
                    frames[0].time_s - start_s,
                    changes(before, frames, point),
                    () if is_last and len(packet.at) > 1 else decided,
                )
            )
            before = frames
        return tuple(hops)

    @staticmethod
    def _leaves(packet: Seen) -> bool:
        """Tell whether a packet goes away from the endpoint of the node where it starts."""
        points = [point for point, _ in packet.at]
        if len(points) == 1:
            return points[0].place is Place.ENDPOINT
        is_up = points[1].number > points[0].number
        return is_up if points[0].side is Side.CLIENT else not is_up


def _kind(packet: Seen) -> tuple[str, ...]:
    """Return what makes packets alike enough to show only the first: an ARP question by what it asks for."""
    kind, what, *rest = packet.key
    if kind in (walk.ARP, walk.ERROR):
        return (kind, str(what), *map(str, rest[:2]))
    return (kind, str(what)) if kind == walk.ECHO else tuple(map(str, packet.key))


def _named(packet: Seen, names: Counter[str]) -> tuple[str, str]:
    """Return a packet's name, numbered by its kind, and what it says."""
    kind, what, *rest = packet.key
    first = packet.at[0][1][0]
    if kind == walk.ARP:
        source, target = rest[0], rest[1]
        name = f"ARP {'request' if what == 'who-has' else 'reply'}"
        fields = walk.inner(first)[0].fields
        summary = f"who has {target}? tell {source}" if what == "who-has" else f"{source} is at {fields['hwsrc']}"
    elif kind == walk.ECHO:
        name = f"echo {what}"
        network = walk.inner(first)[0].fields
        summary = f"{network['src']} > {network['dst']}: ICMP echo {what}, id {rest[0]}, seq {rest[1]}"
    elif kind == walk.ERROR:
        name = f"ICMP {what}"
        summary = f"{rest[0]} tells {rest[1]}" + (f": fragmentation needed, MTU {rest[2]}" if rest[2] else "")
    else:
        name, summary = _tcp_named(packet)
    names[name] += 1
    return f"{name} {names[name]}", summary


def _tcp_named(packet: Seen) -> tuple[str, str]:
    source, destination, sport, dport, seq, flags, has_data = packet.key[1:8]
    tcp = walk.inner(packet.at[0][1][0])[-1].fields
    names = {"S": "TCP SYN", "SA": "TCP SYN-ACK"}
    name = "TCP data" if has_data else names.get(str(flags), "TCP ACK")
    mss = f", MSS {tcp['mss']}" if "mss" in tcp else ""
    return name, f"{source}:{sport} > {destination}:{dport}: seq {seq}{mss}"


def _times(packets: Sequence[Seen], points: Sequence[Point], what: str) -> Iterable[StepTime]:
    """Yield how long echoes took from each point to the next; the first one, which had caches to fill, left out."""
    echoes = [packet for packet in packets if packet.key[:2] == (walk.ECHO, what)]
    counted = echoes[1:] or echoes
    for start, end in itertools.pairwise(points):
        taken = [
            packet.frames_at(end)[0].time_s - packet.frames_at(start)[0].time_s
            for packet in counted
            if packet.frames_at(start) and packet.frames_at(end)
        ]
        if taken:
            lower, upper = _quartiles(taken)
            yield StepTime(what, start, end, len(taken), statistics.median(taken), lower, upper)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def _owners(scene: Scene, walks: Sequence[Walk]) -> dict[str, str]:
    """Return whose each address is that was met."""
    met = {
        str(value)
        for one in walks
        for hop in one.hops
        for frame in hop.frames
        for layer in frame.layers
        for value in layer.fields.values()
    }
    met |= {word for one in walks for hop in one.hops for made in hop.decisions for word in made.line.split()}
    owners: dict[str, str] = {}
    for node, sight in scene.sights.items():
        for is_inside, links in enumerate((sight.after.links, sight.after.inside)):
            for link in links.values():
                prefix = "endpoint " if is_inside and link.name in sight.after.links else ""
                for address in (link.mac, *link.addresses):
                    if address and address in met:
                        owners.setdefault(address, f"{prefix}{link.name}@{node}")
    return owners
