"""Values of command-line options: text to validated values; every error names the option and the valid choices."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from harness.fabric import profiles, topology
from harness.fabric.profiles import Profile
from harness.labs.base import LabSource
from harness.labs.local import DEFAULT_RATE, MAX_NODES, MIN_NODES, LocalLab, parse_rate
from harness.labs.static import StaticLab
from harness.labs.vagrant import VagrantLab
from harness.measures.iperf3 import MAX_FLOWS
from harness.model import pairs
from harness.model.containers import Containers, Engine
from harness.model.errors import InputError
from harness.model.trial import UNDERLAY, Direction, Node, Timing
from harness.results import plan

MTU_BOUNDS = (576, 65535)
"""The smallest datagram that every IPv4 host accepts (RFC 791), and the largest that its length field can say."""
PROTOCOLS = ("tcp", "udp")
LOCAL = "local"
VAGRANT = "vagrant"
TEMPLATE_MARKS = ("{{", "{%", "{#")
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
    containers: str = Engine.NONE.value
    image: str | None = None
    nodes: int | None = None
    pairs: str | None = None
    parallel_pairs: bool = False


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know, validated; nothing has been changed yet.

    `waves` are the pairs of a run of several, empty where the two hosts that there are get measured.
    """

    plan: plan.Plan
    profiles: dict[str, Profile]
    source: LabSource
    waves: tuple[pairs.Wave, ...] = ()


def prepare(options: RunOptions, *, keep: bool = False) -> Prepared:
    """Return plan, profiles and lab (`keep`: one that outlives this process); InputError for what cannot be used."""
    if options.plan not in plan.PRESETS:
        raise InputError(f"--plan {options.plan}: choose one of {', '.join(plan.PRESETS)}.")
    preset = plan.PRESETS[options.plan]
    for folder in options.profiles_dir:
        if any(mark in str(folder.resolve()) for mark in TEMPLATE_MARKS):
            raise InputError(f"--profiles-dir {folder}: Ansible takes {{{{ or {{% in a path for a template; rename it.")
    names = list(dict.fromkeys([UNDERLAY, *options.profile]))
    loaded = {name: profiles.load(name, options.profiles_dir) for name in names}
    mtus = integers(options.mtu, "--mtu", *MTU_BOUNDS)
    flows = integers(options.flows, "--flows", 1, MAX_FLOWS)
    protocols = choices(options.protocol, "--protocol", PROTOCOLS)
    directions = [Direction(word) for word in choices(options.direction, "--direction", [*Direction])]
    parse_rate(options.rate)
    containers = Containers.parse(options.containers, options.image)
    source = lab_source(options, keep=keep)
    waves = waves_of(options, source.nodes(), keep=keep)
    opposed = peers(source.nodes(), waves)
    nic_mtu = common_mtu(options.lab, [client for client, _ in opposed] + [server for _, server in opposed])
    for profile in loaded.values():  # what is wrong with a profile here is said before anything is changed
        for client, server in opposed:
            topology.wanted_state(profile, client, server, mtus, containers)
            topology.wanted_state(profile, server, client, mtus, containers)
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
            containers=containers,
        ),
        loaded,
        source,
        waves,
    )


def prepare_inspection(
    profile: tuple[str, ...], lab: str, mtu: str, profiles_dir: tuple[Path, ...], containers: str
) -> Prepared:
    """Return what `doctor` looks at: a run of these profiles, its other options as they are by default."""
    return prepare(
        RunOptions(
            profile=profile,
            lab=lab,
            mtu=mtu,
            flows="1",
            protocol="tcp",
            direction="forward",
            duration=None,
            omit=None,
            blocks=None,
            seed=0,
            rate=DEFAULT_RATE,
            plan="quick",
            profiles_dir=profiles_dir,
            containers=containers,
        )
    )


def lab_source(options: RunOptions, *, keep: bool = False) -> LabSource:
    """Return where the nodes come from; InputError where there are more than two, and no pairs of them chosen."""
    if options.lab == LOCAL:
        count = MIN_NODES if options.nodes is None else bounded(options.nodes, "--nodes", MIN_NODES, MAX_NODES)
        if count > MIN_NODES and options.pairs is None:
            raise InputError(
                f"--nodes {count}: say which of them are measured, by --pairs k8s-1:k8s-2,… or --pairs all."
            )
        return LocalLab(options.rate, count=count, keep=keep, containers=Engine(options.containers))
    if options.nodes is not None:
        raise InputError("--nodes is for the local lab; an inventory has the hosts that are in it.")
    if options.lab == VAGRANT:
        return VagrantLab()
    return StaticLab(Path(options.lab), several=options.pairs is not None)


def waves_of(options: RunOptions, nodes: Sequence[Node], *, keep: bool) -> tuple[pairs.Wave, ...]:
    """Return the pairs that were asked for, those that are measured at the same time together; none without --pairs."""
    if options.pairs is None:
        if options.parallel_pairs:
            raise InputError("--parallel-pairs is of no use without --pairs.")
        return ()
    advice = ", --nodes makes more" if options.lab == LOCAL and len(nodes) < MAX_NODES else ""
    chosen = pairs.parse(options.pairs, [node.name for node in nodes], advice)
    waves = pairs.waves(chosen, parallel=options.parallel_pairs)
    if keep and len(waves) > 1:
        raise InputError(
            f"--keep: these {len(chosen)} pairs are set up and torn down in {len(waves)} turns; "
            "give one pair, or disjoint ones with --parallel-pairs."
        )
    return waves


def peers(nodes: Sequence[Node], waves: Sequence[pairs.Wave]) -> list[tuple[Node, Node]]:
    """Return each pair's client and server, the lab's first two nodes without pairs."""
    known = {node.name: node for node in nodes}
    chosen = [pair.hosts for wave in waves for pair in wave] or [(nodes[0].name, nodes[1].name)]
    return [(replace(known[client], index=1), replace(known[server], index=2)) for client, server in chosen]


def common_mtu(lab: str, nodes: Sequence[Node]) -> int:
    """Return the nodes' NICs' MTU in bytes; InputError where they differ."""
    first = nodes[0]
    for other in nodes:
        if other.mtu != first.mtu:
            raise InputError(
                f"{lab}: underlay_mtu is {first.mtu} on {first.name} and {other.mtu} on {other.name}; "
                "a path has one MTU, so give both the smaller."
            )
    return first.mtu


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
