"""A path that somebody else built: what was asked for, and what was found of it on the nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Counted, Kind
from harness.model.trace import Place
from harness.model.trial import UNDERLAY

DEFAULT_NAME = "existing"
"""Name of a found path's profile where it is given none."""
CLUSTER_PATH = "cluster"
"""Name of the profile of the path between a cluster's pods."""
ENDPOINTS_VARIABLE = "overlay_endpoints"
"""The variable of a host that says which endpoint of a path is on it, by the path's name."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")
_PID = re.compile(r"[1-9][0-9]{0,6}")
_FORMS = "the name or id of a container (docker:NAME, podman:NAME to say whose), netns:NAME or pid:N"


class SpotKind(StrEnum):
    """How an endpoint is named."""

    CONTAINER = "container"
    DOCKER = "docker"
    PODMAN = "podman"
    NETNS = "netns"
    PID = "pid"


@dataclass(frozen=True)
class Spot:
    """An endpoint as it was asked for, on one node."""

    kind: SpotKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind is SpotKind.CONTAINER else f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Spot:
        """Return the endpoint that a text names; InputError for what names none. Whatever reaches a node came here."""
        word, colon, name = text.partition(":")
        if not colon:
            kind, name = SpotKind.CONTAINER, text
        elif word in {*SpotKind} - {SpotKind.CONTAINER}:
            kind = SpotKind(word)
        else:
            raise InputError(f"{text!r} is no endpoint; give {_FORMS}")
        shape = {SpotKind.NETNS: _NAMESPACE, SpotKind.PID: _PID}.get(kind, _CONTAINER)
        if not shape.fullmatch(name):
            raise InputError(f"{text!r} is no endpoint; give {_FORMS}")
        return cls(kind, name)


@dataclass(frozen=True)
class Between:
    """Two endpoints that are there, the client node's and the server node's, and the name of the path as a profile."""

    name: str
    client: Spot
    server: Spot

    @classmethod
    def parse(cls, text: str) -> Between:
        """Return what `A,B` or `NAME=A,B` says; InputError for anything else."""
        name, equals, ends = text.rpartition("=")
        name = name if equals else DEFAULT_NAME
        if not _NAME.fullmatch(name) or name == UNDERLAY:
            raise InputError(
                f"{name!r} cannot name a path; use up to 31 small letters, digits and hyphens, and not {UNDERLAY}"
            )
        words = [word.strip() for word in ends.split(",")]
        if len(words) != 2:  # noqa: PLR2004 - a client and a server
            raise InputError(f"{text!r} names {len(words)} endpoint(s); give two with a comma between them, A,B")
        return cls(name, Spot.parse(words[0]), Spot.parse(words[1]))


@dataclass(frozen=True)
class NamedPath:
    """A path that is named where its endpoints are written down, each by its node's name.

    Without `endpoints` the inventory has them. `where` is what says so, for messages.
    """

    name: str
    where: str = ""
    endpoints: Mapping[str, str] | None = None

    def of_nodes(self, nodes: Sequence[Node], lab: str) -> Between:
        """Return the endpoints, those of the first two nodes; InputError where they are not written down for both."""
        endpoints = self.endpoints
        if endpoints is None:
            endpoints = _mapped(self.name, nodes, lab)
        strangers = [name for name in endpoints if name not in [node.name for node in nodes[:2]]]
        missing = [node.name for node in nodes[:2] if node.name not in endpoints]
        if strangers or missing:
            what = f"names an endpoint of {strangers[0]}" if strangers else f"names none of {missing[0]}"
            raise InputError(
                f"{self.where or lab}: path {self.name} {what}; a path is between "
                f"{nodes[0].name} and {nodes[1].name}, the first two nodes of {lab}, with an endpoint on each."
            )
        try:
            spots = [Spot.parse(endpoints[node.name]) for node in nodes[:2]]
        except InputError as error:
            raise InputError(f"{self.where or lab}: path {self.name}: {error}.") from error
        return Between(self.name, *spots)


def asked(text: str) -> Between | NamedPath:
    """Return what `A,B`, `NAME=A,B` or, where the inventory says the rest, `NAME` asks for; InputError for others."""
    alone = text.strip()
    return NamedPath(alone) if _NAME.fullmatch(alone) and alone != UNDERLAY else Between.parse(text)


def _mapped(name: str, nodes: Sequence[Node], lab: str) -> Mapping[str, str]:
    """Return the endpoint of a path on each node whose variables name one; InputError where none does."""
    found = {}
    for node in nodes[:2]:
        mapping = node.variables.get(ENDPOINTS_VARIABLE, {})
        if not isinstance(mapping, Mapping) or not all(isinstance(own, str) for own in mapping.values()):
            raise InputError(
                f"{lab}: host {node.name}: {ENDPOINTS_VARIABLE} is not a mapping of paths to endpoints, "
                "such as {web: web-1}."
            )
        if name in mapping:
            found[node.name] = str(mapping[name])
    if not found:
        raise InputError(
            f"{lab}: no host has a path {name} in its {ENDPOINTS_VARIABLE}; give both endpoints, "
            "A,B, or write them down there."
        )
    return found


@dataclass(frozen=True)
class FoundDevice:
    """An interface on a found path: its namespace (a path on the node, empty for the node's own), MTU in bytes.

    `detail` is what the node says of it: addresses, or a tunnel's settings.
    """

    place: Place
    name: str
    namespace: str
    mtu: int
    detail: str = ""


def entering(namespace: str) -> tuple[str, ...]:
    """Return the words in front of an argv that run it in a network namespace, given by its path on the node."""
    return ("nsenter", f"--net={namespace}", "--")


@dataclass(frozen=True)
class FoundEnd:
    """One side of a found path: the endpoint as asked for and what it is, how its namespace is entered, its address.

    `route` is what the endpoint's own table says of the other one. `devices` lead from the endpoint to the NIC, as far
    as they could be told. An endpoint that cannot be entered from its node is in a `place` of it (see
    `harness.model.path.Endpoint`), which is the name of its namespace, too.
    """

    node: str
    spot: str
    what: str
    namespace: str
    address: str
    route: str
    devices: tuple[FoundDevice, ...]
    place: str = ""

    def at(self, place: Place) -> FoundDevice | None:
        """Return the device of a kind, None where there is none or it could not be told."""
        return next((device for device in self.devices if device.place is place), None)


@dataclass(frozen=True)
class Wire:
    """What a capture showed in front of our echoes on the nodes' NICs.

    `headers` are named as in `harness.truth.wire.HEADER_BYTES`, none for packets that are as they were sent, None where
    they cannot be told: then `unknown` says what was seen instead. `outer` are the outer addresses of both nodes, the
    client's first, `port` and `vni` the tunnel's where it has them. `echoes` were sent; `seen` is how many requests and
    replies were seen on the client's NIC, and on the server's. Where nothing may be captured (`is_captured`), the
    headers are those that the device makes that counted the echoes.
    """

    headers: tuple[str, ...] | None
    outer: tuple[str, str] | None = None
    protocol: str = ""
    port: int | None = None
    vni: int | None = None
    is_encrypted: bool = False
    echoes: int = 0
    seen: tuple[int, int] = (0, 0)
    unknown: str = ""
    is_captured: bool = True


@dataclass(frozen=True)
class Found:
    """A path between two endpoints, as it was found; `nic_mtu` is the smaller of both NICs' own, in bytes.

    `ports`: where only these lead to the server, and nothing else does, echoes neither.
    """

    name: str
    client: FoundEnd
    server: FoundEnd
    wire: Wire
    nic_mtu: int
    notes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def ends(self) -> tuple[FoundEnd, FoundEnd]:
        """Both sides, the client's first."""
        return self.client, self.server

    @property
    def kind(self) -> Kind:
        """Whether there is a tunnel; one whose headers cannot be told is one all the same."""
        return Kind.ROUTED if self.wire.headers == () else Kind.TUNNEL

    @property
    def mtu(self) -> int:
        """The endpoints' MTU, the smaller one where they differ."""
        return min(end.devices[0].mtu for end in self.ends)

    @property
    def tunnel_mtu(self) -> int | None:
        """MTU of the tunnel's devices, None where they could not be told on both nodes."""
        devices = [end.at(Place.TUNNEL) for end in self.ends]
        known = [device.mtu for device in devices if device]
        return min(known) if len(known) == len(devices) else None

    @property
    def counted(self) -> tuple[Counted, Counted] | None:
        """The tunnel's devices as readings are to tell them, under one name; None where there is not one on each."""
        devices = [end.at(Place.TUNNEL) for end in self.ends]
        first, second = devices
        if first is None or second is None:
            return None
        names = dict.fromkeys(
            f"{device.name}@{device.namespace.rpartition('/')[2]}" if device.namespace else device.name
            for device in (first, second)
        )
        label = "/".join(names)
        return Counted(label, first.name, first.namespace), Counted(label, second.name, second.namespace)

    def to_json(self) -> Mapping[str, Any]:
        """Return it as run.json has it, and what is printed as JSON."""
        return asdict(self)
