"""Profiles: one YAML file each, found by globbing, validated before anything is done with them.

Strings may hold `$variables`, filled in for each node by `harness.fabric.topology`; a profile is never a template, so
no value in it can run anything.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from harness.fabric.profile_file import Named, Part, read, validated
from harness.model.errors import InputError
from harness.model.path import Kind
from harness.model.shipped import PROFILES, ROLES
from harness.model.trial import UNDERLAY
from harness.truth.wire import HEADER_BYTES, largest

# pydantic matches with Rust's regex crate, where `$` is the end of the text and nothing else.
PlainDevice = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")]
Device = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9$][A-Za-z0-9_.$-]{0,14}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9$][A-Za-z0-9_.:$-]{0,60}(/[a-z0-9_$]{1,12})?$")]
Attribute = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
SysctlKey = Annotated[str, StringConstraints(pattern=r"^net(\.[a-z0-9_$-]+){1,5}$")]
Network = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
Value = bool | int | Word
Range = tuple[int, int]
"""Two numbers behind one word, such as those of `srcport`."""
Mtu = Annotated[int, Field(ge=68, le=65535)] | Annotated[str, StringConstraints(pattern=r"^\$[a-z_]+$")]


class Link(Part):
    """One device on each node; `attributes` are the words of `ip link add … type KIND` (a bool is a flag)."""

    name: Device
    kind: Attribute
    attributes: dict[Attribute, Value | Range] = Field(default_factory=dict)
    mtu: Mtu | None = None
    mac: Word | None = None
    master: Device | None = None
    addresses: tuple[Word, ...] = ()


class Route(Part):
    """One route on each node, or in each endpoint."""

    dst: Word
    via: Word | None = None
    dev: Device | None = None
    onlink: bool = False


class Neighbour(Part):
    """A permanent neighbour entry."""

    dst: Word
    lladdr: Word
    dev: Device


class Fdb(Part):
    """A permanent forwarding entry of a tunnel device: this MAC is behind that underlay address."""

    lladdr: Word
    dst: Word
    dev: Device


class Endpoints(Part):
    """How an endpoint is joined to the node: a veth pair into this bridge, with this address inside.

    Without a bridge it is Docker that joins it, to the overlay network of a swarm.
    """

    bridge: Device | None = None
    address: Word
    routes: tuple[Route, ...] = ()
    sysctls: dict[SysctlKey, Value] = Field(default_factory=dict)


class EnvFile(Part):
    """A small file of KEY=VALUE lines on each node, below /run, gone with the profile."""

    path: Annotated[str, StringConstraints(pattern=r"^/run/[a-z0-9-]{1,30}/[a-z0-9-]{1,30}(\.[a-z]{1,8})?$")]
    values: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,30}$")], Value]


class Forwarder(Part):
    """A user-space program on each node that carries a TUN device's packets to the peer over UDP or TCP."""

    device: PlainDevice
    protocol: Literal["udp", "tcp"]
    port: Annotated[int, Field(ge=1, le=65535)]


class Wireguard(Part):
    """What joins a WireGuard device to the peer's: its UDP port, and the networks that are behind the peer."""

    device: PlainDevice
    port: Annotated[int, Field(ge=1, le=65535)]
    allowed: tuple[Word, ...]


class Swarm(Part):
    """An overlay network of Docker Swarm's, in its own namespace on each node; `encrypted` has it use IPsec's ESP."""

    encrypted: bool = False


class Profile(Named):
    """One way for traffic to go from node to node.

    `headers` are those in front of the inner IP packet, outermost first, the NIC's own Ethernet left out; the ceiling
    follows from them. `tunnel` is the device whose counters are the proof; that of a routed profile must stay idle.
    `forward` are the networks that the node has to forward, `roles` what a link alone is not enough for.
    """

    kind: Kind
    summary: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    headers: tuple[str, ...] = ()
    tunnel: Device | None = None
    tunnel_mtu: Annotated[int, Field(ge=68, le=65535)] | None = None
    networks: tuple[Network, ...] = ()
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[Fdb, ...] = ()
    sysctls: dict[SysctlKey, Value] = Field(default_factory=dict)
    forward: tuple[Word, ...] = ()
    files: tuple[EnvFile, ...] = ()
    roles: tuple[Attribute, ...] = ()
    forwarder: Forwarder | None = None
    wireguard: Wireguard | None = None
    swarm: Swarm | None = None
    endpoints: Endpoints | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = [header for header in self.headers if header not in HEADER_BYTES]
        if unknown:
            raise ValueError(f"unknown header {unknown[0]!r}; known are {', '.join(HEADER_BYTES)}")
        for network in self.networks:
            ipaddress.ip_network(network)
        if self.kind is Kind.TUNNEL and not self.tunnel:
            raise ValueError("a profile of kind tunnel names its `tunnel` device")
        if self.tunnel and not self.roles and self.tunnel not in [link.name for link in self.links]:
            raise ValueError(f"`tunnel` names {self.tunnel}, which is not among its links")
        names = [link.name for link in self.links]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"link {twice[0]} stands twice")
        bridge = self.endpoints.bridge if self.endpoints else None
        masters = [link.master for link in self.links if link.master] + ([bridge] if bridge else [])
        absent = [master for master in masters if master not in names]
        if absent:
            raise ValueError(f"bridge {absent[0]} is not among the links")
        unknown_roles = [role for role in self.roles if not (ROLES / role / "tasks").is_dir()]
        if unknown_roles:
            raise ValueError(f"unknown role {unknown_roles[0]!r}; there is no {ROLES}/{unknown_roles[0]}")
        if (self.kind is Kind.UNDERLAY) != (self.endpoints is None):
            raise ValueError("every profile but the underlay has `endpoints`")
        if (self.kind is Kind.UNDERLAY) != (self.name == UNDERLAY):
            raise ValueError(f"kind underlay and name {UNDERLAY} go together")
        return self

    @model_validator(mode="after")
    def _joined(self) -> Self:
        if self.endpoints and (self.endpoints.bridge is None) != (self.swarm is not None):
            raise ValueError("endpoints name their `bridge`, and only those of a `swarm` have none")
        return self

    @property
    def found(self) -> Mapping[str, Any] | None:
        """What was found of a path that somebody else built; None for one that is built by this."""
        return None

    @property
    def content_sha256(self) -> str:
        """A hash of all that it says but its summary; a key that is added to profiles later changes none."""
        content = self.model_dump(mode="json", exclude={"summary"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def path_mtu(self, nic_mtu: int) -> int:
        """Return the largest inner IP packet in bytes that passes whole, for a NIC of `nic_mtu` bytes."""
        if self.tunnel_mtu is not None:
            return self.tunnel_mtu
        return largest(nic_mtu, self.headers)


def known_profiles(profiles_dirs: Iterable[Path] = ()) -> dict[str, Path]:
    """Return the file of every profile by name; those of later folders come on top."""
    files: dict[str, Path] = {}
    for folder in (PROFILES, *profiles_dirs):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder of profiles; give one that holds YAML files.")
        files.update({path.stem: path for path in sorted(folder.glob("*.yml"), key=lambda path: path.stem)})
    return files


def load(name: str, profiles_dirs: Iterable[Path] = ()) -> Profile:
    """Return the profile of that name; InputError names the known ones where there is none such."""
    files = known_profiles(profiles_dirs)
    if name not in files:
        raise InputError(f"unknown profile {name!r}; known are {', '.join(sorted(files))}.")
    return load_file(files[name])


def load_file(path: Path) -> Profile:
    """Return the profile in a file; InputError names file and line of what is wrong with it."""
    values, tree = read(path)
    return validated(Profile, values, tree, path)
