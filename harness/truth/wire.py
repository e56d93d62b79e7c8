"""Goodput ceilings: what the wire format allows, from header arithmetic.

All sizes are bytes. An MTU is the size of an IP packet. A header stack lists what stands in front of
the inner IP packet, outermost first, without the NIC's own Ethernet header: VXLAN is `["ipv4", "udp",
"vxlan", "ethernet"]`, the underlay and plain routes are `[]`. Only full-size packets of one direction
are counted: no acknowledgements, no control traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from harness.model.errors import InputError
from harness.model.path import WHOLE, Fate, PathState

HEADER_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "ethernet": 14,  # IEEE 802.3: two addresses and a type, no FCS inside a tunnel
        "vlan": 4,  # IEEE 802.1Q tag
        "ipv4": 20,  # RFC 791 section 3.1, no options
        "ipv6": 40,  # RFC 8200 section 3
        "udp": 8,  # RFC 768
        "tcp": 20,  # RFC 9293 section 3.1, no options
        "tcp_timestamps": 12,  # RFC 7323 section 3.2: the option's 10 bytes and two of padding (appendix A)
        "vxlan": 8,  # RFC 7348 section 5
        "geneve": 8,  # RFC 8926 section 3.4, no options
        "gre": 4,  # RFC 2784 section 2.1, no checksum
        "gre_key": 4,  # RFC 2890 section 2.1: the key field, beside "gre"
        "openvpn_length": 2,  # OpenVPN over TCP: the length in front of each packet (openvpn-protocol, TCP transport)
        "wireguard": 32,  # WireGuard paper 5.4.6: 16 before the packet; RFC 8439 section 2.8: tag of 16
        "esp": 26,  # RFC 4303 section 2: 8 before, 2 behind; RFC 4106 sections 3.1 and 6: IV of 8, ICV of 8
    }
)
"""Size of each header that a profile may declare."""

L1_EXTRA = 14 + 4 + 8 + 12
"""Ethernet around an IP packet on a cable: header, FCS, preamble and gap (IEEE 802.3 clauses 3 and 4.4.2)."""

_IPV6_FRAGMENT_HEADER = 8  # RFC 8200 section 4.5
_WIREGUARD_UNIT = 16  # MESSAGE_PADDING_MULTIPLE, drivers/net/wireguard/messages.h
_ESP_UNIT, _ESP_TRAILER = 4, 2  # RFC 4303 section 2.4: with pad length and next header, what is sealed ends on 4 bytes
_FRAGMENT_UNIT = 8  # RFC 791 section 3.2: fragment offsets count units of 8 bytes


def overhead(headers: Sequence[str]) -> int:
    """Return the bytes that a stack of headers adds to the inner IP packet.

    Raises:
        InputError: a header is not one of HEADER_BYTES.
    """
    unknown = [name for name in headers if name not in HEADER_BYTES]
    if unknown:
        raise InputError(f"unknown header {unknown[0]!r}: use {', '.join(HEADER_BYTES)}")
    return sum(HEADER_BYTES[name] for name in headers)


COUNTED_BY_DEVICE = ("wireguard",)
"""Headers that the tunnel device's own counters hold (wireguard/receive.c, update_rx_stats; the same is measured for
what is sent: 102 packets, 78948 bytes on the device, 78948 + 102 x (20 + 8 + 14) on the NIC)."""


def least_overhead(headers: Sequence[str]) -> int:
    """Return the bytes by which the NIC's counters exceed the tunnel device's, at least, for every inner packet.

    A TCP segment may carry several packets, so it adds only what stands behind it.
    """
    return overhead([name for name in _behind_tcp(headers) if name not in COUNTED_BY_DEVICE])


def _behind_tcp(headers: Sequence[str]) -> list[str]:
    """Return what each inner packet has for itself: all headers, or those in TCP's stream."""
    stack = list(headers)
    while "tcp" in stack:
        stack = stack[stack.index("tcp") + 1 :]
    return [name for name in stack if name != "tcp_timestamps"]


def l1_bytes(ip_bytes: int) -> int:
    """Return the bytes an IP packet takes up on an Ethernet cable, preamble and gap included."""
    return ip_bytes + L1_EXTRA


def payload(mtu: int, protocol: str, *, timestamps: bool = True) -> int:
    """Return the user's bytes in one full-size IPv4 packet.

    Args:
        mtu: bytes of the IP packet.
        protocol: "tcp", "udp" or "icmp".
        timestamps: TCP carries timestamps (RFC 7323; Linux's default).

    Raises:
        InputError: the protocol is unknown, or the MTU leaves no room.
    """
    options = HEADER_BYTES["tcp_timestamps"] if timestamps else 0
    sizes = {"tcp": HEADER_BYTES["tcp"] + options, "udp": HEADER_BYTES["udp"], "icmp": 8}  # icmp: RFC 792
    if protocol not in sizes:
        raise InputError(f"unknown protocol {protocol!r}: use {', '.join(sizes)}")
    left = mtu - HEADER_BYTES["ipv4"] - sizes[protocol]
    if left <= 0:
        raise InputError(f"MTU {mtu} has no room for {protocol} payload")
    return left


def fragment_sizes(ip_bytes: int, mtu: int, *, ipv6: bool = False) -> list[int]:
    """Return the sizes of the IP packets that Linux cuts one into at an MTU (RFC 791 3.2, RFC 8200 4.5).

    The last fragment need not end at a multiple of 8. Over IPv4 it may fill the MTU; over IPv6 what is left behind
    whole eights becomes a fragment of its own (ip_do_fragment, __ip6_append_data).
    """
    if ip_bytes <= mtu:
        return [ip_bytes]
    own = HEADER_BYTES["ipv6"] if ipv6 else HEADER_BYTES["ipv4"]
    repeated = own + (_IPV6_FRAGMENT_HEADER if ipv6 else 0)
    room = (mtu - repeated) // _FRAGMENT_UNIT * _FRAGMENT_UNIT
    if room <= 0:
        raise InputError(f"MTU {mtu} has no room for fragments")
    last = room if ipv6 else mtu - repeated
    whole = -(-(ip_bytes - own - last) // room)
    return [repeated + room] * whole + [repeated + ip_bytes - own - whole * room]


def cable_bytes(packets: Sequence[int], headers: Sequence[str], nic_mtu: int) -> float:
    """Return the bytes on the cable that a full link spends on these packets of `wire_packets`.

    Over TCP they stand in a stream, which a full link carries in full segments, whatever the packets' sizes.
    """
    shared = overhead(headers) - overhead(_behind_tcp(headers))
    if not shared:
        return sum(l1_bytes(size) for size in packets)
    return sum(size - shared for size in packets) * l1_bytes(nic_mtu) / (nic_mtu - shared)


def padded(ip_bytes: int, headers: Sequence[str], tunnel_mtu: int) -> int:
    """Return the size of an inner packet as it is put behind the headers.

    WireGuard fills packets up to a multiple of 16 bytes, but not beyond the device's MTU (drivers/net/wireguard/send.c,
    calculate_skb_padding), ESP all that is behind its header up to a multiple of 4.
    """
    if "esp" in headers:
        sealed = overhead(headers[list(headers).index("esp") + 1 :]) + ip_bytes + _ESP_TRAILER
        return ip_bytes + -sealed % _ESP_UNIT
    if "wireguard" not in headers:
        return ip_bytes
    return max(ip_bytes, min(-(-ip_bytes // _WIREGUARD_UNIT) * _WIREGUARD_UNIT, tunnel_mtu))


def largest(nic_mtu: int, headers: Sequence[str]) -> int:
    """Return the largest inner IP packet that goes behind these headers and still fits a NIC's MTU whole."""
    most = nic_mtu - overhead(headers)
    if "esp" not in headers:
        return most
    return next(size for size in range(most, most - _ESP_UNIT, -1) if padded(size, headers, most) <= most)


def wire_packets(
    mtu: int, headers: Sequence[str], nic_mtu: int, path_state: PathState, tunnel_mtu: int | None = None
) -> list[int] | None:
    """Return the IP packets on the underlay that carry one inner packet of `mtu` bytes, sent alone.

    None where nothing arrives (black-holed), or where the state contradicts the sizes ("whole" but
    wider than the NIC's MTU). Inner fragments are cut at the tunnel's MTU; without one it is the NIC's less the
    overhead.
    """
    added = overhead(headers)
    most = tunnel_mtu or largest(nic_mtu, headers)
    if path_state.fate is Fate.BLACK_HOLED:
        return None
    if path_state.fate is Fate.OUTER_FRAGMENTED:
        whole = padded(mtu, headers, most) + added
        return fragment_sizes(whole, nic_mtu, ipv6=bool(headers) and headers[0] == "ipv6")
    inner = [mtu]
    if path_state.fate is Fate.INNER_FRAGMENTED:
        inner = fragment_sizes(mtu, most)
    elif path_state.mtu is not None:
        inner = fragment_sizes(mtu, path_state.mtu)
    packets = [padded(size, headers, most) + added for size in inner]
    return packets if max(packets) <= nic_mtu else None


def efficiency(
    protocol: str,
    mtu: int,
    headers: Sequence[str],
    nic_mtu: int,
    path_state: PathState = WHOLE,
    tunnel_mtu: int | None = None,
) -> float | None:
    """Return payload bytes per byte on the cable (0 to 1) of full-size packets, None as in `wire_packets`.

    In the state "clamped to N" TCP sends packets of N bytes; UDP keeps its datagram and the sender cuts
    it at N.
    """
    if protocol == "tcp" and path_state.mtu is not None:
        mtu = min(mtu, path_state.mtu)
    packets = wire_packets(mtu, headers, nic_mtu, path_state, tunnel_mtu)
    if packets is None:
        return None
    return payload(mtu, protocol) / cable_bytes(packets, headers, nic_mtu)
