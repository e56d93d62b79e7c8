"""Values of command-line options: text to validated values; every error names the option and the valid choices."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness import plan, profiles, topology
from harness.errors import InputError
from harness.labs.base import LabSource
from harness.labs.local import NIC_MTU, LocalLab, parse_rate
from harness.labs.static import StaticLab
from harness.labs.vagrant import VagrantLab
from harness.model import UNDERLAY, Direction, Timing
from harness.profiles import Profile
from harness.tools.iperf3 import MAX_FLOWS

MTU_BOUNDS = (576, 65535)
"""The smallest datagram that every IPv4 host accepts (RFC 791), and the largest that its length field can say."""
PROTOCOLS = ("tcp", "udp")
LOCAL = "local"
VAGRANT = "vagrant"
MAX_DIGITS = 9
MAX_VALUES = 32
"""Values of one option; each MTU is a pair of endpoints with addresses of their own."""
T = TypeVar("T")


@dataclass(frozen=True)
class RunOptions:
    """The options that `run` and `plan` share, as they were typed."""

    profile: tuple[str, ...]
    lab: str
    mtu: str
    flows: str
    protocol: str
    direction: str
    duration: int | None
    omit: int | None
    blocks: int | None
    seed: int | None
    rate: str
    plan: str
    profiles_dir: tuple[Path, ...]


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know, validated; nothing has been changed yet."""

    plan: plan.Plan
    profiles: dict[str, Profile]
    source: LabSource


def prepare(options: RunOptions, *, keep: bool = False) -> Prepared:
    """Return plan, profiles and lab (`keep`: one that outlives this process); InputError for what cannot be used."""
    if options.plan not in plan.PRESETS:
        raise InputError(f"--plan {options.plan}: choose one of {', '.join(plan.PRESETS)}.")
    preset = plan.PRESETS[options.plan]
    names = list(dict.fromkeys([UNDERLAY, *options.profile]))
    loaded = {name: profiles.load(name, options.profiles_dir) for name in names}
    mtus = integers(options.mtu, "--mtu", *MTU_BOUNDS)
    flows = integers(options.flows, "--flows", 1, MAX_FLOWS)
    protocols = choices(options.protocol, "--protocol", PROTOCOLS)
    directions = [Direction(word) for word in choices(options.direction, "--direction", [*Direction])]
    parse_rate(options.rate)
    source, nic_mtu = lab_source(options.lab, options.rate, keep=keep)
    client, server = source.nodes()
    for profile in loaded.values():  # what is wrong with a profile here is said before anything is changed
        topology.wanted_state(profile, client, server, mtus)
        topology.wanted_state(profile, server, client, mtus)
    return Prepared(
        plan.Plan(
            name=options.plan,
            profiles=tuple(names),
            mtus=tuple(sorted(mtus)),
            flows=flows,
            protocols=protocols,
            directions=tuple(directions),
            blocks=preset.blocks if options.blocks is None else bounded(options.blocks, "--blocks", 1, 1000),
            timing=Timing(
                preset.duration_s if options.duration is None else bounded(options.duration, "--duration", 1, 3600),
                preset.omit_s if options.omit is None else bounded(options.omit, "--omit", 0, 60),
            ),
            seed=secrets.randbelow(2**32) if options.seed is None else options.seed,
            nic_mtu=nic_mtu,
        ),
        loaded,
        source,
    )


def lab_source(lab: str, rate: str, *, keep: bool = False) -> tuple[LabSource, int]:
    """Return where the nodes come from, and their NIC's MTU in bytes."""
    if lab == LOCAL:
        return LocalLab(rate, keep=keep), NIC_MTU
    source: LabSource = VagrantLab() if lab == VAGRANT else StaticLab(Path(lab))
    client, server = source.nodes()
    if client.mtu != server.mtu:
        raise InputError(
            f"{lab}: underlay_mtu is {client.mtu} on {client.name} and {server.mtu} on "
            f"{server.name}; a path has one MTU, so give both the smaller."
        )
    return source, client.mtu


def integers(text: str, option: str, low: int, high: int) -> tuple[int, ...]:
    """Return `1,4,8` as numbers without repetitions; InputError unless each is whole and from low to high."""

    def one(word: str) -> int:
        if not word.isascii() or not word.isdigit() or len(word) > MAX_DIGITS:
            raise InputError(f"{option} {text}: {word!r} is not a whole number; give numbers from {low} to {high}.")
        return bounded(int(word), option, low, high)

    return _each(text, option, one)


def choices(text: str, option: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return `tcp,udp` as words, each one of the known."""
    valid = [str(word) for word in known]

    def one(word: str) -> str:
        if word not in valid:
            raise InputError(f"{option} {text}: {word!r} is unknown; choose from {', '.join(valid)}.")
        return word

    return _each(text, option, one)


def bounded(value: int, option: str, low: int, high: int) -> int:
    """Return the value; InputError where it is out of bounds."""
    if not low <= value <= high:
        raise InputError(f"{option} {value}: choose a number from {low} to {high}.")
    return value


def _each(text: str, option: str, one: Callable[[str], T]) -> tuple[T, ...]:
    words = [word.strip() for word in text.split(",")]
    if len(words) > MAX_VALUES:
        raise InputError(f"{option}: {len(words)} values are too many; give at most {MAX_VALUES}.")
    if not all(words):
        raise InputError(f"{option} {text!r}: give one or more values with commas between them.")
    return tuple(dict.fromkeys(one(word) for word in words))
