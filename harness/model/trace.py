"""A packet followed from endpoint to endpoint: where it was seen, how it looked there, and what sent it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from harness.model.jobs import Side

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "ethernet": "Ethernet",
        "vlan": "VLAN",
        "ipv4": "IPv4",
        "ipv6": "IPv6",
        "ipv6_fragment": "IPv6 fragment",
        "udp": "UDP",
        "tcp": "TCP",
        "tcp_timestamps": "TCP timestamps",
        "vxlan": "VXLAN",
        "geneve": "Geneve",
        "gre": "GRE",
        "gre_key": "GRE key",
        "openvpn_length": "OpenVPN length",
        "wireguard": "WireGuard",
        "arp": "ARP",
        "icmp": "ICMP",
        "icmpv6": "ICMPv6",
    }
)
"""Headers as a reader knows them; one that is missing here keeps its name."""


class Place(StrEnum):
    """What an interface is on the way of a packet, from its endpoint to the wire."""

    ENDPOINT = "endpoint"
    VETH = "veth"
    BRIDGE = "bridge"
    LINK = "link"
    TUNNEL = "tunnel"
    NIC = "nic"


@dataclass(frozen=True)
class Point:
    """An interface at which packets are captured: a device on a node, or in the node's endpoint.

    `mtu` is in bytes, `mac` empty where the device has none. `number` is its place on the way from the client's
    endpoint to the server's, from 0.
    """

    number: int
    node: str
    side: Side
    device: str
    place: Place
    mtu: int
    mac: str = ""

    def __str__(self) -> str:
        return f"{self.device}@{self.node}"


@dataclass(frozen=True)
class Layer:
    """One header of a frame: its name as in `harness.truth.wire.HEADER_BYTES`, its size in bytes, and its fields.

    Fields have the names that RFCs give them, shortened as scapy does: `src`, `dst`, `sport`, `vni`, `ttl`, ….
    """

    name: str
    size: int
    fields: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """A captured frame: when (by its node's clock, seconds since the trace began), bytes on the wire, its headers.

    Headers stand outermost first. Whether an IP packet is a fragment is in the fields `flags` (with MF) and `offset`
    (bytes) of `ipv4` or `ipv6_fragment`.
    """

    time_s: float
    length: int
    layers: tuple[Layer, ...]

    @property
    def data_bytes(self) -> int:
        """What is behind all headers that are known, in bytes."""
        return self.length - sum(layer.size for layer in self.layers)

    def all(self, *names: str) -> tuple[Layer, ...]:
        """Return the layers of these names, outermost first."""
        return tuple(layer for layer in self.layers if layer.name in names)


class By(StrEnum):
    """The kind of table in which the next step of a packet was found."""

    ROUTE = "route"
    NEIGHBOUR = "neighbour"
    FDB = "fdb"
    LINK = "link"


@dataclass(frozen=True)
class Decision:
    """The entry that decided where a packet goes next, quoted from the node: `command` printed `line` there.

    Both are empty where there is no entry, as for a broadcast that is flooded.

    `meaning` says in a few words what it did.
    """

    by: By
    command: str
    line: str
    meaning: str


@dataclass(frozen=True)
class Hop:
    """A packet at one point: its frame, or the fragments that it was in.

    `since_s` is the time since the packet's first hop. `changes` say what was added, removed or rewritten since the
    hop before, `decisions` what sent it on from here.
    """

    point: Point
    frames: tuple[Frame, ...]
    since_s: float
    changes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True)
class Loss:
    """A packet that did not arrive: the point at which it was seen last (None: at none), and where it should be next.

    `counted` are the kernel's counters that grew where it was lost, `cause` what that usually means, `fact` what was
    found on the node that says so, `advice` what to look at.
    """

    after: Point | None
    before: Point | None
    cause: str
    fact: str
    advice: str
    counted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Walk:
    """One packet on its way; `name` tells it from all others of the trace (`echo request 1`, `ARP request 2`).

    `summary` is what it says, in a line. `loss` is None for a packet that arrived.
    """

    name: str
    summary: str
    hops: tuple[Hop, ...]
    loss: Loss | None = None


@dataclass(frozen=True)
class StepTime:
    """How long packets took from one point to the next, over several of them: median and quartiles in seconds.

    `kind` says which packets: `request`, `reply`. `count` is how many were seen at both points; of several, the first
    is left out, for it finds caches empty.
    """

    kind: str
    start: Point
    end: Point
    count: int
    median_s: float
    lower_s: float
    upper_s: float


class Clock(StrEnum):
    """How times of two nodes were brought together."""

    SHARED = "shared"
    ALIGNED = "aligned"
    APART = "apart"


@dataclass(frozen=True)
class Trace:
    """What was seen of one profile at one MTU (bytes).

    `source` and `destination` are the endpoints' addresses. `said` is what the sending program printed in the end.
    `owners` names each address that is met: `{"02:42:…": "cni0@k8s-1"}`. `clock`: both nodes have one clock, or the
    server's was set right by supposing that both ways over the wire take as long (then `offset_s` is by how much it was
    ahead), or there was nothing to do so with, and times of different nodes cannot be compared.
    """

    profile: str
    mtu: int
    lab: str
    nodes: tuple[str, str]
    source: str
    destination: str
    command: str
    points: tuple[Point, ...]
    walks: tuple[Walk, ...]
    times: tuple[StepTime, ...]
    owners: Mapping[str, str]
    clock: Clock
    offset_s: float = 0.0
    sent: int = 0
    answered: int = 0
    said: str = ""
    notes: tuple[str, ...] = ()
