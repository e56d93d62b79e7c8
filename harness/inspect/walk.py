"""Frames of all points, put together to packets: the same packet is told by what does not change on its way. Pure.

An echo is told by its identifier and number, a TCP segment by its ports and sequence number, an ARP message by its
addresses and how often it was sent. A later fragment has none of these: it is told by the IP identification that it has
in common with the first one. What is encrypted is told by when it left the tunnel's device, and from there on by
WireGuard's own counter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.model.trace import Frame, Layer, Place, Point

Key = tuple[str | int, ...]
"""What a packet is told by; its first word says what it is."""
ECHO, ARP, TCP, ERROR = "echo", "arp", "tcp", "error"
REQUEST, REPLY = "request", "reply"
_IP = ("ipv4", "ipv6")
_NETWORK = (*_IP, "arp")
_DATA = 4
"""Message type of what WireGuard carries (WireGuard paper, 5.4.6); the others are its handshake."""
_SEALED_WITHIN_S = 0.1
"""How long after a packet entered a tunnel its encrypted form may leave the NIC."""


@dataclass(frozen=True)
class Seen:
    """A packet at the points where it was seen, in their order on its way; several frames are its fragments."""

    key: Key
    at: tuple[tuple[Point, tuple[Frame, ...]], ...]

    @property
    def start_s(self) -> float:
        """When it was seen first."""
        return min(frame.time_s for _, frames in self.at for frame in frames)

    def frames_at(self, point: Point) -> tuple[Frame, ...]:
        """Return its frames at a point, none where it was not seen."""
        return next((frames for own, frames in self.at if own == point), ())


def inner(frame: Frame) -> tuple[Layer, ...]:
    """Return the innermost packet's headers: its network header and what is behind it."""
    last = max((at for at, layer in enumerate(frame.layers) if layer.name in _NETWORK), default=len(frame.layers))
    return frame.layers[last:]


def ethernet(frame: Frame) -> Layer | None:
    """Return the innermost packet's own Ethernet header; None where it has none, as behind IP in IP."""
    at = len(frame.layers) - len(inner(frame)) - 1
    return frame.layers[at] if at >= 0 and frame.layers[at].name == "ethernet" else None


def key_of(frame: Frame) -> Key | None:
    """Return what tells a frame's packet, None for one that shows nothing of it."""
    network, *behind = inner(frame) or (None,)
    if network is None:
        return None
    fields = network.fields
    if network.name == "arp":
        return (ARP, str(fields["op"]), str(fields["psrc"]), str(fields["pdst"]))
    ends = (str(fields["src"]), str(fields["dst"]))
    for layer in behind:
        if layer.name == "icmp":
            kind = str(layer.fields["type"])
            if kind.startswith("echo"):
                return (ECHO, REQUEST if kind.endswith("request") else REPLY, layer.fields["id"], layer.fields["seq"])
            return (ERROR, kind, *ends, layer.fields["mtu"])
        if layer.name == "tcp":
            flags = str(layer.fields["flags"])
            return (
                TCP,
                *ends,
                *(layer.fields[name] for name in ("sport", "dport", "seq")),
                flags,
                frame.data_bytes > 0,
            )
    return None


def packets(frames: Mapping[Point, Sequence[Frame]]) -> list[Seen]:
    """Return every packet with a key, by when it was seen first; frames are those of each point, in their order."""
    found: dict[Key, dict[Point, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    for point, captured in frames.items():
        for key, own in _at_point(captured).items():
            for number, group in enumerate(_occasions(key, own)):
                found[(*key, number)][point] += group
    seen = [Seen(key, _in_order(at)) for key, at in found.items()]
    _add_sealed(seen, frames)
    return sorted(seen, key=lambda packet: packet.start_s)


def _at_point(frames: Iterable[Frame]) -> dict[Key, list[Frame]]:
    """Return the frames of each packet at one point, later fragments with the first one."""
    found: dict[Key, list[Frame]] = defaultdict(list)
    of_fragments: dict[Key, Key] = {}
    left: list[tuple[Key, Frame]] = []
    for frame in frames:
        key, marks = key_of(frame), _fragment_marks(frame)
        if key is not None:
            found[key].append(frame)
            of_fragments |= dict.fromkeys(marks, key)
        else:
            left += [(mark, frame) for mark in marks]
    for mark, frame in left:
        if mark in of_fragments and frame not in found[of_fragments[mark]]:
            found[of_fragments[mark]].append(frame)
    return found


def _fragment_marks(frame: Frame) -> list[Key]:
    """Return what a frame's fragments have in common, for each IP header in it that is one of a fragment."""
    marks: list[Key] = []
    for layer, before in zip(frame.layers, (None, *frame.layers), strict=False):
        fields = layer.fields
        if layer.name == "ipv4" and ("MF" in str(fields["flags"]) or fields["offset"]):
            marks.append((str(fields["src"]), str(fields["dst"]), fields["id"]))
        elif layer.name == "ipv6_fragment" and before is not None:
            marks.append((str(before.fields.get("src", "")), str(before.fields.get("dst", "")), fields["id"]))
    return marks


def _occasions(key: Key, frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the frames of each time that a packet was sent: ARP messages and errors are alike each time."""
    return [[frame] for frame in frames] if key[0] in (ARP, ERROR) else [[*frames]]


def _in_order(at: Mapping[Point, Sequence[Frame]]) -> tuple[tuple[Point, tuple[Frame, ...]], ...]:
    """Return the points in the order in which a packet passed them: from the client's side, or from the server's.

    Where it was seen first and last tells; a time within a node may lie a little before the one in front of it, for a
    bridge hands its copy over once it has sent the packet on.
    """
    points = sorted(at, key=lambda point: point.number)
    first, last = (at[points[end]][0].time_s for end in (0, -1))
    ordered = points if first <= last else points[::-1]
    return tuple((point, tuple(at[point])) for point in ordered)


def _add_sealed(seen: list[Seen], frames: Mapping[Point, Sequence[Frame]]) -> None:
    """Give packets that a tunnel encrypts the frames in which they crossed the NICs."""
    sealed = {
        point: [frame for frame in own if any(_is_data(layer) for layer in frame.layers)]
        for point, own in frames.items()
        if point.place is Place.NIC
    }
    if not any(sealed.values()):
        return
    claimed: set[int] = set()
    for number, packet in sorted(enumerate(seen), key=lambda item: item[1].start_s):
        start = next((point for point, _ in packet.at if point.place is Place.TUNNEL), None)
        if start is None or packet.at[0][0].side is not start.side:
            continue
        left_s = packet.frames_at(start)[0].time_s
        nic = next((point for point in sealed if point.side is start.side), None)
        form = next(
            (
                frame
                for frame in (sealed[nic] if nic else ())
                if id(frame) not in claimed and 0 <= frame.time_s - left_s < _SEALED_WITHIN_S and _sent_by(frame, nic)
            ),
            None,
        )
        if form is None:
            continue
        claimed.add(id(form))
        at = dict(packet.at) | {
            point: (match,) for point, own in sealed.items() for match in own if _mark(match) == _mark(form)
        }
        ordered = sorted(at, key=lambda point: point.number, reverse=start.number > _peer_of(start, sealed).number)
        seen[number] = Seen(packet.key, tuple((point, tuple(at[point])) for point in ordered))


def _peer_of(point: Point, sealed: Mapping[Point, Sequence[Frame]]) -> Point:
    return next(other for other in sealed if other.side is not point.side)


def _is_data(layer: Layer) -> bool:
    return layer.name == "wireguard" and layer.fields["type"] == _DATA


def _mark(frame: Frame) -> Key:
    layer = next(layer for layer in frame.layers if _is_data(layer))
    return (layer.fields["receiver"], layer.fields["counter"])


def _sent_by(frame: Frame, nic: Point | None) -> bool:
    return nic is not None and frame.layers[0].fields.get("src") == nic.mac
