"""Frames of a capture file, taken apart by scapy; the only importer of it.

scapy knows what is behind a port by the ports that are usual. What a profile's tunnel carries on its own port is said
by the profile's headers, so a tunnel on any other port is taken apart as well.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scapy.contrib.geneve import GENEVE
from scapy.contrib.wireguard import Wireguard, WireguardTransport
from scapy.error import Scapy_Exception
from scapy.fields import ShortField
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet
from scapy.utils import PcapNgWriter, RawPcapReader

from harness.model.errors import NOT_UNDERSTOOD, ToolError
from harness.model.trace import Frame, Layer
from harness.truth.wire import HEADER_BYTES

ETHERNET, RAW_IP, LINUX_RAW_IP = 1, 101, 12
"""Link types of capture files (tcpdump.org/linktypes.html)."""
_ICMP_TYPES = {0: "echo-reply", 3: "unreachable", 8: "echo-request", 11: "time-exceeded"}
_ARP_OPERATIONS = {1: "who-has", 2: "is-at"}
_FRAGMENT_UNIT = 8


class OpenVpnLength(Packet):
    """The length in front of each packet that OpenVPN sends over TCP."""

    name = "OpenVPN length"
    fields_desc = [ShortField("length", 0)]  # noqa: RUF012 - scapy's way to declare fields

    def guess_payload_class(self, payload: bytes) -> type[Packet]:  # noqa: ARG002 - scapy's interface
        """Say that an IP packet follows."""
        return IP


@dataclass(frozen=True)
class Encapsulation:
    """What a tunnel puts around packets: the outer protocol (`udp`, `tcp`, or a number), its port, all headers."""

    protocol: str
    port: int | None
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Captured:
    """A frame as it was captured, its bytes (as many as were kept) and what they mean."""

    data: bytes
    frame: Frame


@dataclass(frozen=True)
class Captures:
    """All frames of one capture file, its link type, and since when their times count (Unix time, seconds)."""

    link_type: int
    frames: tuple[Captured, ...]
    epoch_s: int = 0


def _ethernet(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - a scapy packet, whose fields are dynamic
    return {"src": packet.src, "dst": packet.dst, "type": f"0x{packet.type:04x}"}


def _ipv4(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    return {
        "src": packet.src,
        "dst": packet.dst,
        "ttl": packet.ttl,
        "id": packet.id,
        "flags": str(packet.flags),
        "offset": packet.frag * _FRAGMENT_UNIT,
        "length": packet.len,
    }


def _ipv6(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    return {"src": packet.src, "dst": packet.dst, "ttl": packet.hlim, "length": packet.plen}


def _ipv6_fragment(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    return {"id": packet.id, "flags": "MF" if packet.m else "", "offset": packet.offset * _FRAGMENT_UNIT}


def _tcp(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    options: dict[str, Any] = dict(option[:2] for option in packet.options if isinstance(option, tuple))
    fields = {"sport": packet.sport, "dport": packet.dport, "seq": packet.seq, "ack": packet.ack}
    return fields | {"flags": str(packet.flags)} | ({"mss": options["MSS"]} if "MSS" in options else {})


def _icmp(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    kind = _ICMP_TYPES.get(packet.type, str(packet.type))
    if kind.startswith("echo"):
        return {"type": kind, "id": packet.id, "seq": packet.seq}
    return {"type": kind, "code": packet.code, "mtu": packet.nexthopmtu or 0}


def _arp(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    operation = _ARP_OPERATIONS.get(packet.op, str(packet.op))
    return {"op": operation, **{name: getattr(packet, name) for name in ("hwsrc", "psrc", "hwdst", "pdst")}}


def _wireguard(packet: Any) -> dict[str, str | int]:  # noqa: ANN401 - see above
    inner = packet.getlayer(WireguardTransport)
    return {"type": packet.message_type} | (
        {"receiver": inner.receiver_index, "counter": inner.counter} if inner is not None else {}
    )


_KNOWN: Mapping[type[Packet], tuple[str, Callable[[Any], dict[str, str | int]]]] = {
    Ether: ("ethernet", _ethernet),
    Dot1Q: ("vlan", lambda packet: {"id": packet.vlan}),
    IP: ("ipv4", _ipv4),
    IPv6: ("ipv6", _ipv6),
    IPv6ExtHdrFragment: ("ipv6_fragment", _ipv6_fragment),
    UDP: ("udp", lambda packet: {"sport": packet.sport, "dport": packet.dport, "checksum": packet.chksum}),
    TCP: ("tcp", _tcp),
    ICMP: ("icmp", _icmp),
    ARP: ("arp", _arp),
    VXLAN: ("vxlan", lambda packet: {"vni": packet.vni}),
    GENEVE: ("geneve", lambda packet: {"vni": packet.vni}),
    GRE: ("gre", lambda packet: {"type": f"0x{packet.proto:04x}"}),
    OpenVpnLength: ("openvpn_length", lambda packet: {"length": packet.length}),
    Wireguard: ("wireguard", _wireguard),
}
_INSIDE: Mapping[str, type[Packet]] = {
    "vxlan": VXLAN,
    "geneve": GENEVE,
    "wireguard": Wireguard,
    "ethernet": Ether,
    "openvpn_length": OpenVpnLength,
}


def read(capture: bytes, encapsulation: Encapsulation | None, epoch_s: int = 0) -> Captures:
    """Return the frames of a capture file; one that was cut short is read as far as it goes.

    Times count since `epoch_s`: a float of Unix time has steps of .24 µs, a hop may take less.
    """
    if not capture:
        return Captures(ETHERNET, (), epoch_s)
    try:
        reader: Any = RawPcapReader(io.BytesIO(capture))  # type: ignore[arg-type] # its annotation leaves files out
    except Scapy_Exception as error:
        raise ToolError(f"a node's capture cannot be read: {error}.") from error
    unit_s = 1e-9 if reader.nano else 1e-6
    found = []
    for data, meta in _whole(reader):
        time_s = meta.sec - epoch_s + meta.usec * unit_s
        found.append(Captured(data, Frame(time_s, meta.wirelen, layers(data, reader.linktype, encapsulation))))
    return Captures(reader.linktype, tuple(found), epoch_s)


def _whole(reader: Any) -> Iterator[tuple[bytes, Any]]:  # noqa: ANN401 - scapy's reader and its records
    while True:
        try:
            data, meta = next(reader)
        except (StopIteration, EOFError, Scapy_Exception, struct.error):
            return
        if len(data) < meta.caplen:  # scapy gives what there is of a record that was not written to its end
            return
        yield data, meta


def layers(data: bytes, link_type: int, encapsulation: Encapsulation | None) -> tuple[Layer, ...]:
    """Return the headers of a frame, outermost first, as far as they are known, whole and not encrypted."""
    try:
        return _layers(data, link_type, encapsulation)
    except (*NOT_UNDERSTOOD, Scapy_Exception, struct.error):  # a frame that was cut off, or is none
        return ()


def _layers(data: bytes, link_type: int, encapsulation: Encapsulation | None) -> tuple[Layer, ...]:
    packet: Any = (Ether if link_type == ETHERNET else _ip_class(data))(data)
    found: list[Layer] = []
    while not isinstance(packet, NoPayload) and type(packet) in _KNOWN:
        name, fields = _KNOWN[type(packet)]
        payload = _carried(packet, encapsulation)
        size = len(packet) - len(packet.payload)
        found.append(Layer(name, HEADER_BYTES.get(name, size) if name == "wireguard" else size, fields(packet)))
        if name == "wireguard":
            break
        packet = payload
    return tuple(found)


def _ip_class(data: bytes) -> type[Packet]:
    return IPv6 if data[:1] and data[0] >> 4 == 6 else IP  # noqa: PLR2004 - the version is the first field of both


def _carried(packet: Any, encapsulation: Encapsulation | None) -> Any:  # noqa: ANN401 - scapy packets
    """Return what follows a header: as scapy takes it, or as the tunnel's own header stack says."""
    if (
        encapsulation is None
        or type(packet) not in (UDP, TCP)
        or encapsulation.port not in (packet.sport, packet.dport)
    ):
        return packet.payload
    protocol = "udp" if isinstance(packet, UDP) else "tcp"
    if encapsulation.protocol != protocol or not len(packet.payload):
        return packet.payload
    behind = (
        encapsulation.headers[encapsulation.headers.index(protocol) + 1 :] if protocol in encapsulation.headers else ()
    )
    behind = tuple(name for name in behind if name != "tcp_timestamps")
    data = bytes(packet.payload)
    return (_INSIDE[behind[0]] if behind and behind[0] in _INSIDE else _ip_class(data))(data)


def write(path: Path, captures: Captures, comments: Mapping[int, Sequence[str]], device: str) -> None:
    """Write frames as a pcapng file that names their device; `comments` are those of a frame, by its number."""
    writer = PcapNgWriter(str(path))
    writer.linktype = captures.link_type
    with writer:
        writer.write_header(None)
        for number, captured in enumerate(captures.frames):
            writer._write_packet(  # noqa: SLF001 - the public method takes scapy's packets only
                captured.data,
                captures.link_type,
                sec=captures.epoch_s + captured.frame.time_s,
                wirelen=captured.frame.length,
                ifname=device.encode(),
                comments=[text.encode() for text in comments.get(number, ())],
            )
