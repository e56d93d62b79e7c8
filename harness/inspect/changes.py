"""What happened to a packet between two points: headers put in front or taken off, cut, joined, rewritten. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.inspect.walk import ethernet, inner
from harness.model.trace import TITLES, Frame, Layer, Point

_SEALED = "wireguard"


def changes(before: Sequence[Frame] | None, now: Sequence[Frame], point: Point) -> tuple[str, ...]:
    """Return what is different now from what it was at the point before, if there was one; `point` is where it is."""
    if before is None:
        return tuple(_burst(now, point))
    said: list[str] = []
    if len(now) > len(before):
        said.append(f"cut into {len(now)} fragments of {' and '.join(str(frame.length) for frame in now)} bytes")
    elif len(now) < len(before):
        said.append(f"{len(before)} fragments joined to one packet")
    if len(before) == len(now) == 1 and _data(now[0]) < _data(before[0]):
        said.append(f"a GSO burst cut to segments; this is the first, of {_data(now[0])} bytes of data")
    said += _headers(before[0], now[0])
    said += _rewritten(before[0], now[0])
    return (*said, *_burst(now, point))


def _headers(before: Frame, now: Frame) -> list[str]:
    """Return which headers came in front or went, with their sizes."""
    old, new = (Counter((layer.name, layer.size) for layer in _coat(frame)) for frame in (before, now))
    padding = abs(now.length - before.length) - abs(_size(new) - _size(old)) if _is_sealed(before, now) else 0
    said = []
    for verb, sign, gone, order in (("put in front", "+", new - old, now), ("taken off", "-", old - new, before)):
        if gone:
            parts = [f"{TITLES.get(layer.name, layer.name)} {layer.size}" for layer in _picked(_coat(order), gone)]
            parts += [f"padding {padding}"] if padding > 0 else []
            said.append(f"{sign}{_size(gone) + max(padding, 0)} bytes {verb}: {', '.join(parts)}")
    return said


def _size(headers: Counter[tuple[str, int]]) -> int:
    return sum(size * times for (_, size), times in headers.items())


def _is_sealed(*frames: Frame) -> bool:
    return any(layer.name == _SEALED for frame in frames for layer in frame.layers)


def _data(frame: Frame) -> int:
    """Return the bytes of TCP data in a frame, 0 where it is not TCP."""
    return frame.data_bytes if inner(frame) and _is_tcp(frame) else 0


def _is_tcp(frame: Frame) -> bool:
    return inner(frame)[-1].name == "tcp"


def _coat(frame: Frame) -> tuple[Layer, ...]:
    """Return everything in front of the innermost packet; what is sealed has no inside that shows."""
    if _is_sealed(frame):
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
    old, new = ethernet(before), ethernet(now)
    said = []
    sealed = _is_sealed(before, now)
    if old and new and not sealed and _pair(old) != _pair(new):
        said.append("MAC addresses rewritten")
    ttl = [next((layer.fields.get("ttl") for layer in inner(frame)), None) for frame in (before, now)]
    if not sealed and None not in ttl and ttl[0] != ttl[1]:
        said.append(f"routed: TTL {ttl[0]} -> {ttl[1]}")
    return said


def _pair(layer: Layer) -> tuple[object, object]:
    return layer.fields["src"], layer.fields["dst"]


def _burst(now: Sequence[Frame], point: Point) -> list[str]:
    """Return what a frame is that is larger than its device's MTU."""
    frame = now[0]
    own = sum(layer.size for layer in frame.layers[:1] if layer.name == "ethernet")
    if frame.length <= point.mtu + own:
        return []
    if not _is_tcp(frame):
        return [f"larger than the device's MTU of {point.mtu}"]
    return [
        f"a GSO burst: one buffer of {frame.length} bytes, which is cut to segments later, by the NIC or just before"
    ]
