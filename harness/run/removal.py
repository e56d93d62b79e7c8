"""Taking down by itself what runs that were killed left on hosts: every profile that these hosts can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness.fabric import topology
from harness.fabric.profiles import Profile
from harness.measures.factors import FACTORS
from harness.model.containers import Containers
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.trial import MTU
from harness.results.plan import Setup
from harness.run.standing import Equipment, bring_up, hold


def removable(profiles: Mapping[str, Profile], nodes: Sequence[Node], profiles_dirs: Sequence[Path]) -> Setup:
    """Return the set-up of all profiles that mean something on these hosts: some need an IPv6 underlay."""
    nic_mtu = min(node.mtu for node in nodes)
    mtus = tuple(sorted({min(int(mtu), nic_mtu) for mtu in FACTORS[MTU].default}))
    ends = [(replace(one, index=1), replace(other, index=2)) for one, other in (nodes[:2], nodes[1::-1])]

    def resolves(profile: Profile) -> bool:
        try:
            for node, peer in ends:
                topology.wanted_state(profile, node, peer, mtus, Containers())
        except InputError:
            return False
        return True

    names = tuple(name for name, profile in profiles.items() if resolves(profile))
    return Setup(names, mtus, nic_mtu, Containers(), tuple(profiles_dirs))


def covering(nodes: Sequence[Node]) -> list[Pair]:
    """Return pairs that have every host in them; of an odd number the first one stands twice."""
    names = [node.name for node in nodes]
    names += names[:1] if len(names) % 2 else []
    return [Pair(client, server) for client, server in zip(names[::2], names[1::2], strict=True)]


def remove_all(equipment: Equipment, profiles: Mapping[str, Profile], setup: Setup, *, force: bool) -> None:
    """Take a set-up down on all hosts of a lab; LabError where somebody uses one of them, unless `force`."""
    with bring_up(equipment) as lab, ExitStack() as stack:
        remotes = {node.name: stack.enter_context(equipment.connect(node, lab)) for node in lab.nodes}
        if not force:
            hold(equipment, lab.nodes, remotes)
        for pair in covering(lab.nodes):
            equipment.observer.stage(f"tearing down on {pair}")
            equipment.fabric(lab.limited_to((pair,)), profiles).down(setup)
