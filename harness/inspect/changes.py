"""What happened to a packet between two points: headers put in front or taken off, cut, joined, rewritten. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.inspect.walk import inner
from harness.model.trace import Frame, Layer, Point

TITLES = {
    "ethernet": "Ethernet",
    "vlan": "VLAN tag",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "ipv6_fragment": "IPv6 fragment",
    "udp": "UDP",
    "tcp": "TCP",
    "vxlan": "VXLAN",
    "geneve": "Geneve",
    "gre": "GRE",
    "wireguard": "WireGuard",
    "openvpn_length": "length",
    "icmp": "ICMP",
    "arp": "ARP",
}
"""What readers know headers as."""
_COAT_ENDS = "wireguard"


def changes(before: Sequence[Frame] | None, now: Sequence[Frame], point: Point) -> tuple[str, ...]:
    """Return what is different now from what it was at the point before, if there was one; `point` is where it is."""
    if before is None:
        return tuple(_burst(now, point))
    said: list[str] = []
    if len(now) > len(before):
        said.append(f"cut into {len(now)} fragments of {' and '.join(str(frame.length) for frame in now)} bytes")
    elif len(now) < len(before):
        said.append(f"{len(before)} fragments joined to one packet")
    said += _headers(before[0], now[0], whole=len(before) == len(now) == 1)
    said += _rewritten(before[0], now[0])
    return (*said, *_burst(now, point))


def _headers(before: Frame, now: Frame, *, whole: bool) -> list[str]:
    """Return which headers came in front or went, with their sizes."""
    old, new = (Counter((layer.name, layer.size) for layer in _coat(frame)) for frame in (before, now))
    said = []
    for sign, gone in (("+", new - old), ("-", old - new)):
        if gone:
            order = _coat(now if sign == "+" else before)
            parts = [f"{TITLES.get(layer.name, layer.name)} {layer.size}" for layer in _picked(order, gone)]
            count = sum(size * times for (_, size), times in gone.items())
            verb = "put in front" if sign == "+" else "taken off"
            total = abs(now.length - before.length) if whole and not (new - old and old - new) else count
            said.append(f"{sign}{total} bytes {verb}: {', '.join(parts)}{_padding(total - count)}")
    return said


def _padding(count: int) -> str:
    return f", padding {count}" if count > 0 else ""


def _coat(frame: Frame) -> tuple[Layer, ...]:
    """Return everything in front of the innermost packet; what is sealed has no inside that shows."""
    if any(layer.name == _COAT_ENDS for layer in frame.layers):
        return frame.layers
    shown = inner(frame)
    return frame.layers[: len(frame.layers) - len(shown)]


def _picked(order: Sequence[Layer], gone: Counter[tuple[str, int]]) -> list[Layer]:
    """Return those layers that came or went, each as often as it did, outermost first."""
    left = Counter(gone)
    picked = []
    for layer in order:
        if left[layer.name, layer.size] > 0:
            left[layer.name, layer.size] -= 1
            picked.append(layer)
    return picked


def _rewritten(before: Frame, now: Frame) -> list[str]:
    """Return what routing changed: the addresses of the innermost Ethernet header, and the time to live."""
    old, new = (frame.all("ethernet")[-1:] for frame in (before, now))
    said = []
    sealed = any(layer.name == _COAT_ENDS for layer in (*before.layers, *now.layers))
    is_same_depth = len(before.all("ethernet")) == len(now.all("ethernet")) or len(_coat(now)) > 1
    if old and new and not sealed and is_same_depth and _pair(old[0]) != _pair(new[0]) and _bare(before) and _bare(now):
        said.append("MAC addresses rewritten")
    ttl = [next((layer.fields.get("ttl") for layer in inner(frame)), None) for frame in (before, now)]
    if not sealed and None not in ttl and ttl[0] != ttl[1]:
        said.append(f"routed: TTL {ttl[0]} -> {ttl[1]}")
    return said


def _bare(frame: Frame) -> bool:
    """Tell whether the innermost packet has an Ethernet header of its own."""
    at = len(frame.layers) - len(inner(frame)) - 1
    return at >= 0 and frame.layers[at].name == "ethernet"


def _pair(layer: Layer) -> tuple[object, object]:
    return layer.fields["src"], layer.fields["dst"]


def _burst(now: Sequence[Frame], point: Point) -> list[str]:
    """Return what a frame is that is larger than its device's MTU."""
    frame = now[0]
    own = sum(layer.size for layer in frame.layers[:1] if layer.name == "ethernet")
    if frame.length <= point.mtu + own:
        return []
    if inner(frame)[-1].name != "tcp":
        return [f"larger than the device's MTU of {point.mtu}"]
    return [f"a GSO burst: one buffer of {frame.length} bytes, which is cut to segments later, by the NIC or just before"]
