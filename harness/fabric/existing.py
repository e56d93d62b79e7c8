"""The fabric of paths that somebody else built: nothing is set up and nothing torn down, what is there is measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import model_validator

from harness.fabric.base import Paths, Progress
from harness.fabric.profiles import Profile
from harness.measures import ping
from harness.model.errors import LabError, VerificationError
from harness.model.found import Found, FoundEnd, entering
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.path import Claim, Endpoint, Kind, Path
from harness.model.trial import UNDERLAY
from harness.nodes.remote import Remote
from harness.results.plan import Setup
from harness.truth import wire

_ECHOES = "-c 3 -i 0.2 -W 1 -M dont"


class ExistingProfile(Profile):
    """A found path as a profile: what follows for ceilings and reports is the same, nothing of it can be applied."""

    path: Found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Say nothing against it: what a profile has to have is what it takes to build one."""
        return self

    @classmethod
    def of(cls, found: Found) -> Self:
        """Return the profile of a path; LabError for one whose headers cannot be told, which has no ceiling."""
        if found.wire.headers is None:
            raise LabError(
                f"what lies between {found.client.spot} and {found.server.spot} cannot be told: {found.wire.unknown}; "
                "`harness inspect` with the same options shows what was found."
            )
        return cls(
            name=found.name,
            kind=found.kind,
            summary=f"found: {said(found)}",
            headers=found.wire.headers,
            tunnel_mtu=found.tunnel_mtu,
            path=found,
        )

    @property
    def found(self) -> Mapping[str, Any] | None:
        """What was found, as run.json keeps it."""
        return self.path.to_json()

    @property
    def content_sha256(self) -> str:
        """A hash of what makes the path what it is; ids, addresses and names of namespaces are others each time."""
        wire_ = self.path.wire
        content = (self.kind, self.headers, wire_.port, wire_.vni, self.path.mtu, self.tunnel_mtu)
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class ExistingFabric:
    """Gives the paths that were found between two nodes, `remotes` by node; changes nothing on them."""

    def __init__(self, found: Sequence[Found], remotes: Mapping[str, Remote], nodes: tuple[Node, Node]) -> None:
        self._found = tuple(found)
        self._remotes = remotes
        self._nodes = nodes

    def preflight(self, setup: Setup) -> None:
        """Do nothing: a path that is there has nothing in its way."""

    def up(self, setup: Setup, observer: Progress, *, verify: bool) -> Mapping[Pair, Paths]:
        """Return the paths: the nodes' own, and those that were found."""
        if verify:
            observer.stage("verifying")
            self._verify(setup)
        one, other = self._nodes
        base = Claim(Kind.UNDERLAY, None, (), 0, 0, setup.nic_mtu, setup.nic_mtu)
        underlay = Path(Endpoint(one.address), Endpoint(other.address), one.device, other.device, base)
        paths = {(UNDERLAY, mtu): underlay for mtu in {*setup.mtus, setup.nic_mtu}}
        for found in self._found:
            paths |= {(found.name, mtu): self._path(found, setup.nic_mtu) for mtu in setup.mtus}
        return {Pair(one.name, other.name): paths}

    def _verify(self, setup: Setup) -> None:
        """Ping both ways, with the largest packets that pass; raises VerificationError where none is answered."""
        for found in self._found:
            if found.ports:  # echoes do not pass, and data was moved when it was found
                continue
            size = min(found.mtu, ExistingProfile.of(found).path_mtu(setup.nic_mtu))
            for end, other in (found.ends, found.ends[::-1]):
                words = f"ping -n -q {_ECHOES} -s {size - ping.HEADER_BYTES}".split()
                at = endpoint_of(end)
                done = self._remotes[end.node].within(at.place).run([*at.enter, *words, other.address])
                if done.exit_code != 0:
                    raise VerificationError(
                        f"{end.spot} on {end.node} reaches {other.spot} by small packets, but not by packets of {size} "
                        "bytes; lower the endpoints' MTU to what the path carries, or raise the path's."
                    )

    def down(self, setup: Setup) -> None:
        """Do nothing: what was there stays."""

    def _path(self, found: Found, nic_mtu: int) -> Path:
        (one, other), profile = self._nodes, ExistingProfile.of(found)
        headers = "/".join(profile.headers) or "no headers in front of packets"
        counted = found.counted if profile.kind is Kind.TUNNEL else None
        claim = Claim(
            kind=profile.kind,
            tunnel=counted[0].label if counted else None,
            other_tunnels=(),
            overhead=wire.overhead(profile.headers),
            least_overhead=wire.least_overhead(profile.headers),
            path_mtu=profile.path_mtu(nic_mtu),
            nic_mtu=nic_mtu,
            seen=f"captured: {headers}" if found.wire.is_captured else f"by its devices, not captured: {headers}",
        )
        client, server = (endpoint_of(end) for end in found.ends)
        return Path(client, server, one.device, other.device, claim, counted=counted, ports=found.ports)


def endpoint_of(end: FoundEnd) -> Endpoint:
    """Return one side of a found path as what sends and receives."""
    return Endpoint(end.address, () if end.place else entering(end.namespace), end.place)


def said(found: Found) -> str:
    """Return in a line what a path is, such as `ipv4/udp/vxlan/ethernet, VNI 20, UDP port 4789: 50 bytes …`."""
    seen = found.wire
    if seen.headers is None:
        return f"cannot be told, {seen.unknown}"
    if not seen.headers:
        return "no tunnel, packets cross the wire as they were sent"
    vni = f", VNI {seen.vni}" if seen.vni is not None else ""
    port = f", {seen.protocol.upper()} port {seen.port}" if seen.port is not None else ""
    return f"{'/'.join(seen.headers)}{vni}{port}: {wire.overhead(seen.headers)} bytes in front of each packet"
