"""Profiles x cells x blocks to an ordered list of trials. Pure; the order follows from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from harness.measures import TOOLS
from harness.model.containers import Containers
from harness.model.errors import InputError
from harness.model.trial import UNDERLAY, Cell, Direction, Slot, Timing

SET_UP_S = 12.0
"""What the lab, the playbooks and the environment take about, for the estimate."""
TRIAL_OVERHEAD_S = 0.3
"""What starting, reading and ending take about in each trial."""


@dataclass(frozen=True)
class Preset:
    """One `--plan`: blocks, and whole seconds counted and omitted in each trial."""

    blocks: int
    duration_s: int
    omit_s: int


PRESETS = {"quick": Preset(6, 2, 1), "standard": Preset(10, 10, 3), "rfc": Preset(10, 60, 3)}


@dataclass(frozen=True)
class Plan:
    """What a run measures; the order follows from it. `nic_mtu` is the underlay's own MTU in bytes.

    Raises InputError for an MTU that the underlay cannot carry.
    """

    name: str
    profiles: tuple[str, ...]
    mtus: tuple[int, ...]
    flows: tuple[int, ...]
    protocols: tuple[str, ...]
    directions: tuple[Direction, ...]
    blocks: int
    timing: Timing
    seed: int
    nic_mtu: int
    containers: Containers = field(default_factory=Containers)

    def __post_init__(self) -> None:
        too_large = [mtu for mtu in self.mtus if mtu > self.nic_mtu]
        if too_large:
            raise InputError(
                f"--mtu {too_large[0]} is larger than the underlay's own {self.nic_mtu}; choose at most {self.nic_mtu}."
            )

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every trial in its order.

        What is compared is measured close together in time: in each block the groups of cells are shuffled, then the
        visits within each group.
        """
        randomness = random.Random(self.seed)  # noqa: S311 - a reproducible order, not a secret
        groups = _groups(self.flows, self.protocols, self.directions)
        slots: list[Slot] = []
        for block in range(1, self.blocks + 1):
            position = 0
            for group in randomness.sample(groups, len(groups)):
                visits = _visits(group, self.profiles, self.mtus, self.nic_mtu)
                for profile, cell in randomness.sample(visits, len(visits)):
                    position += 1
                    slots.append(Slot(block, position, profile, cell))
        return tuple(slots)

    def of_pair(self, number: int) -> Plan:
        """Return the plan of the number-th pair, from 1: the same trials, in an order of its own.

        Pairs measured at the same time must not be in step, or each cell of one would always meet the same cell of the
        other.
        """
        return replace(self, seed=self.seed + number - 1)

    @property
    def measuring_s(self) -> float:
        """Seconds that the tools themselves take over the whole run."""
        return sum(TOOLS[slot.cell.tool].seconds(self.timing) for slot in self.slots)

    @property
    def expected_s(self) -> float:
        """Seconds that the whole run is expected to take."""
        return self.measuring_s + len(self.slots) * TRIAL_OVERHEAD_S + SET_UP_S


def _groups(
    flows: Sequence[int], protocols: Sequence[str], directions: Sequence[Direction]
) -> list[tuple[str, str, Direction, int]]:
    """Return tool, protocol, direction and flows of everything that is measured at each MTU."""
    groups = [("ping", "icmp", Direction.FORWARD, 1)]
    groups += [("iperf3", *group) for group in product(protocols, directions, flows)]
    return groups


def _visits(
    group: tuple[str, str, Direction, int], profiles: Sequence[str], mtus: Sequence[int], nic_mtu: int
) -> list[tuple[str, Cell]]:
    """Return each profile at each MTU for one group; the underlay is also visited at its NIC's own."""
    tool, protocol, direction, flows = group
    return [
        (profile, Cell(tool, protocol, direction, mtu, flows))
        for profile in profiles
        for mtu in sorted({*mtus, nic_mtu} if profile == UNDERLAY else set(mtus))
    ]
