"""Options to what a run needs: plan, profiles and lab, validated before anything is changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from harness.cli import existing
from harness.cli.cluster import KUBERNETES, cluster_lab
from harness.cli.mtus import common_mtu, default_mtus, own_mtus
from harness.cli.options import FACTOR_PREFIX
from harness.fabric import profiles, swarm, topology
from harness.fabric.profiles import Profile
from harness.labs.access import NIC_MTU
from harness.labs.base import LabSource
from harness.labs.kept import MIN_NODES
from harness.labs.kubernetes import KubernetesLab
from harness.labs.local import MAX_NODES, LocalLab
from harness.labs.static import StaticLab
from harness.labs.vagrant import VagrantLab
from harness.labs.wires import DEFAULT_RATE, Wires
from harness.measures import iperf3, registry
from harness.model import pairs
from harness.model.containers import Containers, Engine
from harness.model.errors import InputError
from harness.model.factors import Value
from harness.model.found import CLUSTER_PATH, Between, NamedPath
from harness.model.node import Node
from harness.model.services import ServiceKind
from harness.model.trial import MTU, UNDERLAY, Timing
from harness.results.plan import PRESETS, Plan, Setup

LOCAL = "local"
VAGRANT = "vagrant"
MAIN_PROFILE = "vxlan"
"""What is measured where nothing is named."""
TEMPLATE_MARKS = ("{{", "{%", "{#")


@dataclass(frozen=True)
class Options:
    """The options that `run` and `plan` share, each as its type made it; `levels` are those of the factors."""

    profile: tuple[str, ...] = ()
    lab: str = LOCAL
    measures: tuple[str, ...] = registry.DEFAULT
    levels: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    duration: int | None = None
    omit: int | None = None
    blocks: int | None = None
    setups: int = 1
    seed: int | None = None
    rate: str = DEFAULT_RATE
    nic_mtu: int = NIC_MTU
    plan: str = "quick"
    profiles_dirs: tuple[Path, ...] = ()
    containers: str = Engine.NONE.value
    image: str | None = None
    nodes: int | tuple[str, ...] | None = None
    pairs: str | None = None
    parallel_pairs: bool = False
    between: Between | NamedPath | None = None
    max_rate: float | None = None
    context: str | None = None
    service: tuple[ServiceKind, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Return the options that click hands over by name; factors that were not given are left out."""
        names = {own.name for own in fields(cls)}
        levels = {
            name.removeprefix(FACTOR_PREFIX): value
            for name, value in given.items()
            if name.startswith(FACTOR_PREFIX) and value is not None
        }
        return cls(**{name: value for name, value in given.items() if name in names}, levels=levels)

    def with_main_profile(self) -> Options:
        """Return options that name something to compare with the underlay."""
        is_named = self.profile or self.between or self.lab == KUBERNETES
        return self if is_named else replace(self, profile=(MAIN_PROFILE,))


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know, validated; nothing has been changed yet.

    `waves` are the pairs of a run of several, empty where the two hosts that there are get measured. `between`: the
    path between these is to be found. `own_mtus` are those of profiles, where endpoints have these for want of others.
    """

    plan: Plan
    profiles: dict[str, Profile]
    source: LabSource
    waves: tuple[pairs.Wave, ...] = ()
    between: Between | None = None
    own_mtus: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_found(self) -> bool:
        """Whether paths are to be found: what they are, and the MTU of their endpoints, is not known yet."""
        return self.between is not None or isinstance(self.source, KubernetesLab)


def prepare(options: Options, *, keep: bool = False, links: int | None = None, on_clusters: bool = False) -> Prepared:
    """Return plan, profiles and lab; InputError for what cannot be used.

    `keep`: the lab outlives this process. `links`: flows are asked to spread over as many; the local lab has them.
    `on_clusters`: what it is for can be done on a cluster, too.
    """
    _refuse_beside_cluster(options, keep=keep, on_clusters=on_clusters)
    for folder in options.profiles_dirs:
        if any(mark in str(folder.resolve()) for mark in TEMPLATE_MARKS):
            raise InputError(f"--profiles-dir {folder}: Ansible takes {{{{ or {{% in a path for a template; rename it.")
    between, built = existing.asked_for(options.between, options.profile, options.profiles_dirs)
    options = replace(options, between=between, profile=built)
    _refuse_beside_between(options, keep=keep)
    _refuse_unbounded(options)
    built = () if options.lab == KUBERNETES else options.profile
    loaded = {name: profiles.load(name, options.profiles_dirs) for name in (UNDERLAY, *built)}
    names = (*loaded, *_found_names(options))
    preset = PRESETS[options.plan]
    usable = registry.factors_of(options.measures)
    levels = {name: own for name, own in preset.levels.items() if name in usable} | dict(options.levels)
    containers = Containers.parse(options.containers, None if options.lab == KUBERNETES else options.image)
    source = _lab_source(options, keep=keep, links=links or 0)
    found = existing.settled(between, source.nodes(), options.lab)
    waves = _waves(options, source.nodes(), keep=keep)
    opposed = _peers(source.nodes(), waves)
    nic_mtu = common_mtu(options.lab, [client for client, _ in opposed] + [server for _, server in opposed])
    own = {} if MTU in levels else own_mtus(loaded.values(), nic_mtu)
    mtus = tuple(sorted(map(int, levels.pop(MTU, ())))) or default_mtus(own, nic_mtu, preset)
    mtus = (nic_mtu,) if len(names) > len(loaded) else mtus
    _refuse_for_swarm(loaded.values(), options, containers)
    for profile in loaded.values():  # what is wrong with a profile here is said before anything is changed
        for client, server in opposed:
            topology.wanted_state(profile, client, server, mtus, containers)
            topology.wanted_state(profile, server, client, mtus, containers)
    made = Plan(
        name=options.plan,
        setup=Setup(names, mtus, nic_mtu, containers, options.profiles_dirs),
        cells=registry.cells(options.measures, levels, mtus),
        blocks=options.blocks or preset.blocks,
        timing=Timing(
            preset.duration_s if options.duration is None else options.duration,
            preset.omit_s if options.omit is None else options.omit,
        ),
        seed=secrets.randbelow(2**32) if options.seed is None else options.seed,
        setups=options.setups,
        links=links,
        max_bps=options.max_rate,
        same_mtu=preset.same_mtu,
    )
    return Prepared(made, loaded, source, waves, found, own)


def _found_names(options: Options) -> tuple[str, ...]:
    """Return the names of the paths that are to be found."""
    if options.lab == KUBERNETES:
        return (CLUSTER_PATH, *(kind.path for kind in options.service))
    return (options.between.name,) if options.between else ()


def _refuse_beside_between(options: Options, *, keep: bool) -> None:
    """Raise InputError for what makes no sense where nothing is set up and nothing changed."""
    given = {
        "--profile": (bool(options.profile), "compare a run of that one with this one"),
        "--mtu": (MTU in options.levels, "endpoints that are there have the MTU that they have"),
        "--offload": ("offload" in options.levels, "nothing of the nodes is changed"),
        "--containers": (options.containers != Engine.NONE.value, "the endpoints are what they are"),
        "--image": (options.image is not None, "the endpoints are what they are"),
        "--pairs": (options.pairs is not None, "the two endpoints are the pair"),
        "--nodes": (options.nodes is not None, "they are on the first two nodes"),
        "--setups": (options.setups > 1, "nothing is set up"),
        "--keep": (keep, "nothing is set up, so nothing is taken down"),
    }
    stray = next((option for option, (is_given, _) in given.items() if is_given), None)
    if options.between and stray:
        raise InputError(f"{stray} does not go with --between: {given[stray][1]}; leave one of them out.")


def _refuse_beside_cluster(options: Options, *, keep: bool, on_clusters: bool) -> None:
    """Raise InputError for what makes no sense on a cluster, and for a cluster's option elsewhere."""
    if options.lab == KUBERNETES and not on_clusters:
        raise InputError("--lab kubernetes: a cluster takes `run`, `plan` and `inspect` only.")
    if options.lab != KUBERNETES:
        own = "--context" if options.context is not None else "--service" if options.service else ""
        if own:
            raise InputError(f"{own} is for --lab kubernetes.")
        return
    echoing = [name for name in options.measures if registry.MEASURES[name].programs != (iperf3.PROGRAM,)]
    if options.service and echoing:
        raise InputError(
            f"--service: {echoing[0]} does not pass a service; give --measure iperf3, udp-search, or both."
        )
    others = [name for name in options.profile if name != CLUSTER_PATH]
    given = {
        f"--profile {', '.join(others)}": (bool(others), "it has the network that it has, --profile cluster"),
        "--between": (options.between is not None, "the endpoints are pods of our own"),
        "--mtu": (MTU in options.levels, "pods have the MTU that they have"),
        "--offload": ("offload" in options.levels, "nothing of the nodes is changed"),
        "--containers": (options.containers != Engine.NONE.value, "the endpoints are pods"),
        "--setups": (options.setups > 1, "nothing is set up but pods"),
        "--parallel-pairs": (options.parallel_pairs, "pairs are measured one by one"),
        "--keep": (keep, "what is made in a cluster goes with the run"),
    }
    stray = next((option for option, (is_given, _) in given.items() if is_given), None)
    if stray:
        raise InputError(f"{stray} does not go with --lab kubernetes: {given[stray][1]}.")


def _refuse_for_swarm(loaded: Iterable[Profile], options: Options, containers: Containers) -> None:
    """Raise InputError for what a profile that Docker builds lacks, and for what cannot be changed on it."""
    for profile in loaded:
        swarm.require_docker(profile, containers)
        if profile.swarm is not None and "offload" in options.levels:
            raise InputError(
                f"--offload changes devices of the nodes' own networks, and Docker hides that of profile "
                f"{profile.name}; leave one of them out."
            )


def _refuse_unbounded(options: Options) -> None:
    """Raise InputError where traffic is to be bounded, and a measure cannot be."""
    free = [name for name in options.measures if not registry.MEASURES[name].is_boundable]
    if options.max_rate is not None and free:
        raise InputError(f"--max-rate: {free[0]} cannot be held to a rate; leave it out of --measure.")


def _lab_source(options: Options, *, keep: bool, links: int) -> LabSource:
    """Return where the nodes come from; InputError where there are more than two, and no pairs of them chosen."""
    if options.lab == KUBERNETES:
        several = options.pairs is not None
        return cluster_lab(options.context, options.nodes, options.image, options.service, several=several)
    if isinstance(options.nodes, tuple):
        raise InputError("--nodes: names are for --lab kubernetes; give the local lab a number of nodes.")
    if options.lab == LOCAL:
        count = options.nodes or MIN_NODES
        if count > MIN_NODES and options.pairs is None:
            raise InputError(
                f"--nodes {count}: say which of them are measured, by --pairs k8s-1:k8s-2,… or --pairs all."
            )
        engine, found = Engine(options.containers), options.between is not None
        wires = Wires(options.rate, count, links, options.nic_mtu)
        return LocalLab(wires, keep=keep, containers=engine, found=found)
    if options.nic_mtu != NIC_MTU:
        raise InputError("--nic-mtu is for the local lab; the NICs of your hosts have the MTU that they have.")
    if options.nodes is not None:
        raise InputError("--nodes is for the local lab; an inventory has the hosts that are in it.")
    if options.lab == VAGRANT:
        return VagrantLab()
    return StaticLab(Path(options.lab), several=options.pairs is not None)


def _waves(options: Options, nodes: Sequence[Node], *, keep: bool) -> tuple[pairs.Wave, ...]:
    """Return the pairs that were asked for, those that are measured at the same time together; none without --pairs."""
    if options.pairs is None:
        if options.parallel_pairs:
            raise InputError("--parallel-pairs is of no use without --pairs.")
        return ()
    advice = ", --nodes makes more" if options.lab == LOCAL and len(nodes) < MAX_NODES else ""
    try:
        chosen = pairs.parse(options.pairs, [node.name for node in nodes], advice)
    except InputError as error:
        raise InputError(f"--pairs: {error}") from error
    waves = pairs.waves(chosen, parallel=options.parallel_pairs)
    if keep and len(waves) > 1:
        raise InputError(
            f"--keep: these {len(chosen)} pairs are set up and torn down in {len(waves)} turns; "
            "give one pair, or disjoint ones with --parallel-pairs."
        )
    return waves


def _peers(nodes: Sequence[Node], waves: Sequence[pairs.Wave]) -> list[tuple[Node, Node]]:
    """Return each pair's client and server, the lab's first two nodes without pairs."""
    by_name = {node.name: node for node in nodes}
    chosen = [pair.hosts for wave in waves for pair in wave] or [(nodes[0].name, nodes[1].name)]
    return [(replace(by_name[client], index=1), replace(by_name[server], index=2)) for client, server in chosen]
