"""What stands in the frames of a trace, in words: outer and inner headers, their fields, and what a coat adds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.model.trace import TITLES, Frame, Hop, Layer
from harness.report.trace_names import Names
from harness.truth.wire import HEADER_BYTES

_NETWORK = ("ipv4", "ipv6", "arp")
_LINK = ("ethernet", "vlan")
_QUOTES_A_PACKET = ("icmp", "icmpv6")  # RFC 792: an error carries the head of the packet that it is about
_TUNNEL = frozenset(HEADER_BYTES) - {"ethernet", "vlan", "ipv4", "ipv6", "udp", "tcp", "tcp_timestamps"}
_KINDS = {"ethernet": "MAC", "ipv4": "IP", "ipv6": "IP"}
_MOST_SIZES = 3


@dataclass(frozen=True)
class Coats:
    """The headers of a frame: those of the tunnel, and those of the packet; `inner` is empty where it is not readable.

    `outer` is empty for a packet that is in no tunnel.
    """

    outer: tuple[Layer, ...]
    inner: tuple[Layer, ...]

    def named(self) -> dict[tuple[str, str, int], tuple[str, Layer]]:
        """Return each header with its label (`outer IP`), by what tells it from all others of the frame."""
        found: dict[tuple[str, str, int], tuple[str, Layer]] = {}
        for coat, layers in (("outer", self.outer), ("inner", self.inner)):
            for layer in layers:
                nth = sum(key[:2] == (coat, layer.name) for key in found)
                found[coat, layer.name, nth] = (self._label(coat, layer), layer)
        return found

    def _label(self, coat: str, layer: Layer) -> str:
        kind = _KINDS.get(layer.name, title(layer.name))
        return f"{coat} {kind}" if self.outer and layer.name not in _TUNNEL else kind


def title(name: str) -> str:
    """Return a header's name as a reader knows it."""
    return TITLES.get(name, name)


def readable(frames: Sequence[Frame]) -> Frame:
    """Return the frame that has all headers: of fragments, the first."""
    return max(frames, key=lambda frame: len(frame.layers))


def addresses(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the innermost network addresses, source first; nothing where there are none."""
    own = [layer for layer in _before_quotes(layers) if layer.name in _NETWORK]
    if not own:
        return ()
    names = ("psrc", "pdst") if own[-1].name == "arp" else ("src", "dst")
    return tuple(str(own[-1].fields[name]) for name in names if name in own[-1].fields)


def coats(frame: Frame, sent: Collection[str] = ()) -> Coats:
    """Tell the tunnel's headers from the packet's; `sent` are the addresses that the packet was sent with.

    With one IP header that has none of them, the packet is in there, where it cannot be read.
    """
    layers = frame.layers
    networks = [number for number, layer in enumerate(_before_quotes(layers)) if layer.name in _NETWORK]
    if len(networks) > 1:
        start = networks[-1]
        while layers[start - 1].name in _LINK:
            start -= 1
        return Coats(layers[:start], layers[start:])
    is_foreign = bool(networks and sent) and not set(addresses(layers)) & set(sent)
    if is_foreign or any(layer.name in _TUNNEL for layer in layers):
        return Coats(layers, ())
    return Coats((), layers)


def _before_quotes(layers: Sequence[Layer]) -> Sequence[Layer]:
    end = next((number for number, layer in enumerate(layers) if layer.name in _QUOTES_A_PACKET), len(layers))
    return layers[:end]


def described(layer: Layer, names: Names) -> str:
    """Return what a header says, without what no reader looks for (checksums, lengths)."""
    fields = layer.fields
    if layer.name == "ethernet":
        return f"{names.beside(fields.get('src', '?'))} -> {names.beside(fields.get('dst', '?'))}"
    if layer.name in {"ipv4", "ipv6"}:
        return ", ".join([f"{fields.get('src', '?')} -> {fields.get('dst', '?')}", *_of_ip(fields)])
    if layer.name in {"udp", "tcp"}:
        ports = f"port {fields.get('sport', '?')} -> {fields.get('dport', '?')}"
        return ", ".join([ports, *_named(fields, "flags", "mss", zero=False)])
    if layer.name == "arp":
        return _arp(fields, names)
    if layer.name in _QUOTES_A_PACKET:
        return _icmp(layer)
    return ", ".join(f"{'VNI' if name == 'vni' else name} {value}" for name, value in fields.items()) or "present"


def _of_ip(fields: Mapping[str, str | int]) -> list[str]:
    lives = [f"TTL {fields['ttl']}"] if "ttl" in fields else []
    return [*lives, *(["DF"] if "DF" in str(fields.get("flags", "")) else [])]


def _arp(fields: Mapping[str, str | int], names: Names) -> str:
    if fields.get("op") == "who-has":
        return f"who has {fields.get('pdst', '?')}? tell {fields.get('psrc', '?')}"
    return f"{fields.get('psrc', '?')} is at {names.beside(fields.get('hwsrc', '?'))}"


def _icmp(layer: Layer) -> str:
    kind = str(layer.fields.get("type", "?")).replace("-", " ")
    return ", ".join([kind, *_named(layer.fields, "code", "id", "seq"), *_named(layer.fields, "mtu", zero=False)])


def _named(fields: Mapping[str, str | int], *names: str, zero: bool = True) -> list[str]:
    """Return those fields that are there, each behind its name; those of 0 only if `zero`."""
    there = [name for name in names if fields.get(name) or (zero and name in fields)]
    return [f"{name.replace('mtu', 'MTU')} {fields[name]}" for name in there]


def size_text(hop: Hop) -> str:
    """Return how many bytes a hop's frames have: `98 bytes`, `1514 + 84 bytes`, `65692 bytes in 45 frames`."""
    if len(hop.frames) > _MOST_SIZES:
        return f"{total(hop)} bytes in {len(hop.frames)} frames"
    return f"{' + '.join(str(frame.length) for frame in hop.frames)} bytes"


def total(hop: Hop) -> int:
    """Return the bytes of all frames of a hop."""
    return sum(frame.length for frame in hop.frames)


def fragments(hop: Hop) -> list[str]:
    """Return a line on each fragment of a hop (of many, on the first two and the last), none for a whole packet."""
    if len(hop.frames) == 1:
        return []
    lines = []
    for number, frame in enumerate(hop.frames, 1):
        cut = next((layer for layer in frame.all("ipv4", "ipv6_fragment") if _is_cut(layer)), None)
        where = "" if cut is None else f", {_offset(cut)}"
        lines.append(f"{number} of {len(hop.frames)}: {frame.length} bytes{where}")
    if len(lines) > _MOST_SIZES:
        lines[2:-1] = [f"{len(lines) - 3} more"]
    return lines


def _is_cut(layer: Layer) -> bool:
    return bool(layer.fields.get("offset")) or "MF" in str(layer.fields.get("flags", ""))


def _offset(layer: Layer) -> str:
    offset = layer.fields.get("offset", 0)
    more = "more follow (MF)" if "MF" in str(layer.fields.get("flags", "")) else "the last"
    return f"from byte {offset} on, {more}"


def added(first: Hop, wire: Hop) -> list[tuple[str, int]]:
    """Return what a packet carries at `wire` beyond what it had at `first`: headers outermost first, then the rest.

    The link's own header stands at both and does not count. What no header accounts for comes last: `padding` around
    a packet that is not readable, `other` around one that is.
    """
    before, after = readable(first.frames).layers, readable(wire.frames).layers
    while before and after and before[0].name == after[0].name and before[0].name in _LINK:
        before, after = before[1:], after[1:]
    same = 0
    is_readable = bool(coats(readable(wire.frames), addresses(before)).inner)
    if is_readable:
        while same < min(len(before), len(after)) and before[-1 - same].name == after[-1 - same].name:
            same += 1
    found = [(title(layer.name), layer.size) for layer in after[: len(after) - same]]
    further = [(f"fragment {number} headers", _headers(frame)) for number, frame in _others(wire)]
    found += [(name, size) for name, size in further if size]
    rest = total(wire) - total(first) - sum(size for _, size in found)
    return [*found, *([("other" if is_readable else "padding", rest)] if rest else [])]


def _others(hop: Hop) -> list[tuple[int, Frame]]:
    whole = readable(hop.frames)
    return [(number, frame) for number, frame in enumerate(hop.frames, 1) if frame is not whole]


def _headers(frame: Frame) -> int:
    """Return the bytes of a further fragment that repeat the first one's: everything to its last network header."""
    networks = [number for number, layer in enumerate(_before_quotes(frame.layers)) if layer.name in _NETWORK]
    return sum(layer.size for layer in frame.layers[: networks[-1] + 1]) if networks else 0
