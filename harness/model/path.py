"""Paths: the way of traffic between two endpoints, what is claimed of it, and what became of full-size packets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from harness.model.errors import InputError


class Kind(StrEnum):
    """What lies between the endpoints of a profile."""

    UNDERLAY = "underlay"
    ROUTED = "routed"
    TUNNEL = "tunnel"


@dataclass(frozen=True)
class Endpoint:
    """What sends and receives: its address, and the words in front of an argv that run it there.

    `place`: where it cannot be entered from its node, what the node's connection calls the place that it is in.
    """

    address: str
    enter: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True)
class Claim:
    """What a profile claims of its path: its kind, the tunnel device, other profiles' tunnels, sizes in bytes.

    `overhead` is what the headers add to a packet, `least_overhead` what each adds at least; over TCP several packets
    share the outer headers. `path_mtu` is the largest packet that passes whole, `nic_mtu` the underlay's own. `seen` is
    how the headers of a path that was found are known, and which they are.
    """

    kind: Kind
    tunnel: str | None
    other_tunnels: tuple[str, ...]
    overhead: int
    least_overhead: int
    path_mtu: int
    nic_mtu: int
    seen: str = ""


@dataclass(frozen=True)
class Counted:
    """A device whose counters are read under another name (`label`), from a namespace that may not be the node's.

    `namespace` is a path on the node, empty for the node's own.
    """

    label: str
    device: str
    namespace: str = ""


@dataclass(frozen=True)
class Carrier:
    """What a tunnel's packets travel in from client to server: the outer addresses, IP protocol and destination port.

    `protocol` is `udp`, `tcp`, or the number of one that has no ports; `port` is None then.
    """

    source: str
    destination: str
    protocol: str
    port: int | None


@dataclass(frozen=True)
class Path:
    """Where the traffic of a profile goes at one MTU: both endpoints, the nodes' underlay devices, and the claim.

    Without a `carrier` packets go out as the endpoints send them. `counted`, the client's first: where the claim's
    tunnel is no device of the nodes' own namespaces by that name. `ports`: where only these lead to the server.
    """

    client: Endpoint
    server: Endpoint
    client_nic: str
    server_nic: str
    claim: Claim
    carrier: Carrier | None = None
    counted: tuple[Counted, Counted] | None = None
    ports: tuple[int, ...] = ()


class Fate(StrEnum):
    """What happened to full-size packets on the way; found from counters and the route cache."""

    WHOLE = "whole"
    CLAMPED = "clamped"
    OUTER_FRAGMENTED = "outer-fragmented"
    INNER_FRAGMENTED = "inner-fragmented"
    BLACK_HOLED = "black-holed"


@dataclass(frozen=True, order=True)
class PathState:
    """What happened to full-size packets; `mtu` in bytes where they were clamped, None otherwise."""

    fate: Fate
    mtu: int | None = None

    def __str__(self) -> str:
        return self.fate if self.mtu is None else f"{self.fate} to {self.mtu}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the state of a text such as `whole` or `clamped to 1450`; InputError names the valid ones."""
        word, _, size = text.partition(" to ")
        if word == Fate.CLAMPED and size.isascii() and size.isdigit():
            return cls(Fate.CLAMPED, int(size))
        if text in set(Fate) - {Fate.CLAMPED}:
            return cls(Fate(text))
        choices = ", ".join(f"{fate} to N" if fate is Fate.CLAMPED else fate for fate in Fate)
        raise InputError(f"unknown path state {text!r}: use {choices}")


WHOLE = PathState(Fate.WHOLE)
BLACK_HOLED = PathState(Fate.BLACK_HOLED)
