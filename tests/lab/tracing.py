"""Traces on a bench's nodes, and what tshark says of the same captures."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from harness.fabric.ansible import paths
from harness.fabric.profiles import load
from harness.inspect.sending import Sending
from harness.inspect.trace import Subject, Traced, trace
from harness.labs.access import NIC_MTU
from harness.model.pairs import Pair
from harness.model.trace import Hop, Layer, Trace, Walk
from harness.results.plan import Setup
from tests.lab.bench import MTUS, Bench

FIELDS: dict[str, dict[str, str]] = {
    "eth": {"src": "eth.src", "dst": "eth.dst"},
    "ip": {"src": "ip.src", "dst": "ip.dst", "ttl": "ip.ttl", "id": "ip.id", "length": "ip.len"},
    "ipv6": {"src": "ipv6.src", "dst": "ipv6.dst", "ttl": "ipv6.hlim", "length": "ipv6.plen"},
    "udp": {"sport": "udp.srcport", "dport": "udp.dstport", "checksum": "udp.checksum"},
    "tcp": {"sport": "tcp.srcport", "dport": "tcp.dstport", "seq": "tcp.seq_raw", "mss": "tcp.options.mss_val"},
    "vxlan": {"vni": "vxlan.vni"},
    "geneve": {"vni": "geneve.vni"},
    "arp": {"psrc": "arp.src.proto_ipv4", "pdst": "arp.dst.proto_ipv4", "hwsrc": "arp.src.hw_mac"},
    "icmp": {"id": "icmp.ident", "seq": "icmp.seq"},
}
"""Our fields of each header by tshark's name of the header, with tshark's names of them."""
NAMES = {"eth": "ethernet", "ip": "ipv4"}


@dataclass(frozen=True)
class Dissected:
    """A frame as tshark has it: its length, and the fields of each header, outermost first."""

    length: int
    headers: tuple[tuple[str, dict[str, str]], ...]


def traced(
    bench: Bench,
    profile: str,
    mtu: int = 1450,
    folders: Sequence[Path] = (),
    **what: object,
) -> Traced:
    """Trace a profile that is up on a bench; `what` is sent."""
    lab = bench.lab.limited_to((Pair(bench.lab.client.name, bench.lab.server.name),))
    setup = Setup(("underlay", profile) if profile != "underlay" else ("underlay",), MTUS, NIC_MTU)
    shapes = {name: load(name, folders) for name in setup.profiles}
    path = paths(setup, shapes, lab.client, lab.server)[profile, mtu]
    return trace(Subject(lab, shapes[profile], mtu, path, Sending(**what)), bench.nodes)  # type: ignore[arg-type]


def walk_of(trace: Trace, name: str) -> Walk:
    """Return a walk by its name."""
    return next(walk for walk in trace.walks if walk.name == name)


def hop_at(walk: Walk, point: str) -> Hop:
    """Return a walk's hop at a point such as `ens33@k8s-1`."""
    return next(hop for hop in walk.hops if str(hop.point) == point)


def lengths(walk: Walk) -> dict[str, int]:
    """Return the length of a walk's frames by point."""
    return {str(hop.point): hop.frames[0].length for hop in walk.hops}


def layer(hop: Hop, name: str, which: int = 0) -> Layer:
    """Return a layer of a hop's first frame: the outermost of its name, or the which-th."""
    return hop.frames[0].all(name)[which]


def dissected(file: Path, *decode_as: str) -> Iterator[Dissected]:
    """Yield the frames of a capture as tshark takes them apart, in all detail that `tshark -V` shows."""
    words = [word for rule in decode_as for word in ("-d", rule)]
    argv = ["tshark", "-r", str(file), "-o", "ip.defragment:FALSE", *words, "-T", "pdml"]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    for packet in ET.fromstring(printed):  # noqa: S314 - what tshark printed of our own capture
        protocols = {str(proto.get("name")): proto for proto in packet}
        length = next(field.get("show") for field in protocols["frame"] if field.get("name") == "frame.len")
        headers = [(str(proto.get("name")), _fields(proto)) for proto in packet if proto.get("name") in FIELDS]
        yield Dissected(int(str(length)), tuple(headers))


def _fields(proto: ET.Element) -> dict[str, str]:
    """Return the first of each field of a header."""
    found: dict[str, str] = {}
    for field in proto.iter("field"):
        found.setdefault(str(field.get("name")), str(field.get("show")))
    return found


def number(text: str | int) -> str | int:
    """Return a number however it is written, other words as they are."""
    try:
        return int(str(text), 0)
    except ValueError:
        return str(text)
