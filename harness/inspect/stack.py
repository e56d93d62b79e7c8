"""The headers in front of echoes of ours, read from captured frames: by what is in them, not by known ports. Pure.

An echo is known by the pattern that fills it, so whatever stands in front of it is the tunnel's. What a port carries is
tried: of the ways to read it, the right one leads to the very place at which the echo's own header stands. What is
encrypted shows no pattern; of that only WireGuard's packets are known, by their type and their size.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.inspect import decode
from harness.inspect.decode import Captured, Captures, Encapsulation
from harness.model.found import Wire
from harness.model.trace import Layer
from harness.truth.wire import HEADER_BYTES, overhead, padded

PATTERN_BYTES = 16
"""As long a pattern as ping takes."""
_STAMP_BYTES, _ICMP_BYTES = 16, 8
"""ping's own time stamp stands before the pattern (ping.c, struct timeval), ICMP's header before that (RFC 792)."""
_IP_BYTES = HEADER_BYTES["ipv4"]
_PLAIN_IPV4, _ICMP = 0x45, 1
"""The first byte of an IPv4 header without options, and ICMP's protocol number."""
_VXLAN_VALID = 0x08
"""RFC 7348, section 5: the flag that the VNI is valid."""
_GENEVE_INSIDE = (b"\x65\x58", b"\x08\x00")
"""RFC 8926, section 3.4: Ethernet, or IPv4, follows."""
_WIREGUARD_DATA = b"\x04\x00\x00\x00"
"""WireGuard paper, 5.4.6: a data message's type and reserved bytes."""
_GRE_KEY = 0x20
"""RFC 2890, section 2: the flag that a key is there."""
_LINK_LAYERS = ("ethernet", "vlan")


@dataclass(frozen=True)
class Echo:
    """One echo as a NIC saw it: the wire's headers, and the addresses in the echo's own header."""

    wire: Wire
    inner: tuple[str, str]


def told(captures: Captures, pattern: bytes, size: int) -> list[Echo]:
    """Return what each echo that was captured shows: `pattern` fills it, its IP packet has `size` bytes."""
    found = [_echo(one, captures.link_type, pattern) for one in captures.frames if pattern in one.data]
    echoes = [echo for echo in found if echo]
    if echoes:
        return echoes
    return [echo for one in captures.frames if (echo := _sealed(one, captures.link_type, size))]


def joined(client: Sequence[Echo], server: Sequence[Echo], echoes: int) -> Wire:
    """Return the wire that all of these show, what each NIC saw of the echoes that were sent."""
    seen = (len(client), len(server))
    first = Wire(None, echoes=echoes, seen=seen)
    if not all(seen):
        return replace(first, unknown="no echo of ours was seen on both NICs")
    # The same header stack in both directions; addresses turn round, and the port is the one that stays.
    shapes = Counter((echo.wire.headers, echo.wire.vni, echo.wire.unknown) for echo in (*client, *server))
    if len({headers for headers, _, _ in shapes}) > 1 and None not in {headers for headers, _, _ in shapes}:
        ways = " and ".join(f"{count} behind {_named(headers)}" for (headers, _, _), count in shapes.items())
        return replace(first, unknown=f"echoes do not all go the same way: {ways}")
    (headers, vni, unknown), _ = next(iter(sorted(shapes.items(), key=lambda item: (item[0][0] is None, -item[1]))))
    if headers is None:
        return replace(first, unknown=unknown)
    one = next(echo.wire for echo in client if echo.wire.headers == headers)
    ports = Counter(echo.wire.port for echo in (*client, *server) if echo.wire.headers == headers)
    return replace(one, vni=vni, port=ports.most_common(1)[0][0], echoes=echoes, seen=seen)


def _named(headers: tuple[str, ...] | None) -> str:
    return "/".join(headers or ()) or "no tunnel's headers"


def _echo(captured: Captured, link_type: int, pattern: bytes) -> Echo | None:
    """Return the echo in a frame, None where the pattern is in something else."""
    data = captured.data
    start = data.find(pattern) - _STAMP_BYTES - _ICMP_BYTES - _IP_BYTES
    if start < 0 or data[start] != _PLAIN_IPV4 or data[start + 9] != _ICMP:
        return None
    inner = (_address(data, start + 12), _address(data, start + 16))
    for encapsulation in _ways(data, link_type):
        front = _front(decode.layers(data, link_type, encapsulation), start)
        if front is not None:
            return Echo(_wire(front, data), inner)
    between = start - sum(layer.size for layer in _outside(data, link_type))
    return Echo(Wire(None, unknown=f"{between} bytes stand before the echo that are no header known here"), inner)


def _address(data: bytes, at: int) -> str:
    return str(ipaddress.IPv4Address(data[at : at + 4]))


def _outside(data: bytes, link_type: int) -> Sequence[Layer]:
    """Return a frame's headers up to its first transport header, which need no guess."""
    layers = decode.layers(data, link_type, None)
    end = next((at for at, layer in enumerate(layers) if layer.name in ("udp", "tcp")), len(layers) - 1)
    return layers[: end + 1]


def _ways(data: bytes, link_type: int) -> Iterator[Encapsulation | None]:
    """Yield the ways to read what is behind a frame's first port, then what the port usually means."""
    outside = _outside(data, link_type)
    if outside and outside[-1].name in ("udp", "tcp"):
        network, transport = outside[-2].name, outside[-1]
        inside = data[sum(layer.size for layer in outside) :]
        behind: list[tuple[str, ...]] = [("openvpn_length",), ()]
        if transport.name == "udp" and inside[2:4] in _GENEVE_INSIDE:
            behind = [("geneve", "ethernet")]
        elif transport.name == "udp" and inside[:1] and inside[0] & _VXLAN_VALID:
            behind = [("vxlan", "ethernet"), *behind]
        for names in behind:
            yield Encapsulation(transport.name, int(transport.fields["dport"]), (network, transport.name, *names))
    yield None


def _front(layers: Sequence[Layer], start: int) -> list[tuple[int, Layer]] | None:
    """Return the layers in front of the IPv4 header at `start`, each with its place; None where they do not lead to it.

    What the NIC itself puts in front is left out.
    """
    front: list[tuple[int, Layer]] = []
    at = 0
    for layer in layers:
        if at == start and layer.name == "ipv4":
            while front and front[0][1].name in _LINK_LAYERS:
                front.pop(0)
            return front
        front.append((at, layer))
        at += layer.size
    return None


def _wire(front: Sequence[tuple[int, Layer]], data: bytes) -> Wire:
    names: list[str] = []
    for at, layer in front:
        own = _names(layer, data[at] if at < len(data) else 0)
        if own is None:
            return Wire(None, unknown=f"a {layer.name} header of {layer.size} bytes, whose options are not known here")
        names += own
    outer = next((layer for _, layer in front if layer.name in ("ipv4", "ipv6")), None)
    transport = next((layer for _, layer in front if layer.name in ("udp", "tcp")), None)
    vni = next((layer.fields["vni"] for _, layer in front if "vni" in layer.fields), None)
    return Wire(
        headers=tuple(names),
        outer=(str(outer.fields["src"]), str(outer.fields["dst"])) if outer else None,
        protocol=transport.name if transport else "",
        port=int(transport.fields["dport"]) if transport else None,
        vni=None if vni is None else int(vni),
    )


def _names(layer: Layer, first_byte: int) -> tuple[str, ...] | None:
    """Return a header's name as ceilings know it, several for one with options; None for a size that none has."""
    candidates: list[tuple[str, ...]] = [(layer.name,)]
    if layer.name == "tcp":
        candidates.append(("tcp", "tcp_timestamps"))
    if layer.name == "gre" and first_byte & _GRE_KEY:
        candidates.append(("gre", "gre_key"))
    return next(
        (names for names in candidates if names[0] in HEADER_BYTES and overhead(names) == layer.size),
        None,
    )


def _sealed(captured: Captured, link_type: int, size: int) -> Echo | None:
    """Return an echo that WireGuard carries, known by its message's type and size alone."""
    outside = _outside(captured.data, link_type)
    if not outside or outside[-1].name != "udp":
        return None
    before = sum(layer.size for layer in outside)
    behind = captured.frame.length - before
    wanted = padded(size, ("wireguard",), 1 << 16) + HEADER_BYTES["wireguard"]
    if captured.data[before : before + 4] != _WIREGUARD_DATA or behind != wanted:
        return None
    network, udp = outside[-2], outside[-1]
    wire = Wire(
        headers=(network.name, "udp", "wireguard"),
        outer=(str(network.fields["src"]), str(network.fields["dst"])),
        protocol="udp",
        port=int(udp.fields["dport"]),
        is_encrypted=True,
    )
    return Echo(wire, ("", ""))
