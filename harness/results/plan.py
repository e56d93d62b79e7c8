"""Plans: what stands, and what is measured on it in which order. Pure; the order follows from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.measures.registry import MEASURES, grouping
from harness.model.containers import Containers
from harness.model.errors import InputError
from harness.model.factors import Value
from harness.model.trial import MTU, UNDERLAY, Cell, Slot, Timing
from harness.truth.verdicts import FIRST_LOOK, MIN_BLOCKS

SET_UP_S = 14.0
"""What the lab, the playbooks, the environment and a second of data each way take about, for the estimate."""
ANOTHER_SETUP_S = 13.0
"""What tearing down, applying, verifying and a second of data each way take about between two set-ups."""
TRIAL_OVERHEAD_S = 0.3
"""What starting, reading and ending take about in each trial."""
CONGESTION_CONTROL = "cubic"


@dataclass(frozen=True)
class Preset:
    """A preset plan: blocks, and whole seconds counted and omitted in each trial.

    `levels` are those of factors of which nothing is said, where they are not the factors' own. With `until_margins`
    the blocks are the fewest that it takes: it goes on until intervals reach no further than so many margins of the
    verdicts to either side. `same_mtu` is the plan's; without it endpoints do not have the NIC's own MTU by default,
    unless that is what a profile carries.
    """

    blocks: int
    duration_s: int
    omit_s: int
    levels: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    until_margins: float | None = None
    same_mtu: bool = True


PRESETS = {
    "answer": Preset(MIN_BLOCKS, 1, 0, {"flows": (1, 8)}, until_margins=0.5, same_mtu=False),
    "quick": Preset(6, 2, 1),
    "standard": Preset(10, 10, 3),
    "rfc": Preset(10, 60, 3),
}


@dataclass(frozen=True)
class Setup:
    """What stands while it is measured: profiles, the MTUs of their endpoints in bytes, and what makes endpoints.

    `nic_mtu` is the underlay's own MTU. `profiles_dirs` are folders of profiles beside the shipped ones.
    """

    profiles: tuple[str, ...]
    mtus: tuple[int, ...]
    nic_mtu: int
    containers: Containers = field(default_factory=Containers)
    profiles_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run measures on its set-up; the order follows from it.

    `setups` is how often that is set up: torn down and set up again between groups of blocks. `runs`: the blocks are
    those of so many runs, one after the other, each analysed by itself. `until_width`: there are so many blocks at
    most, and it ends before them once intervals reach no further than that (a share) to either side; `first_look` is
    how many have to be measured before that is asked. `links`: it asks how flows are spread over so many links, whether
    there are any or not. `max_bps` is what no trial may send more than, in bit/s of IP packets, both ways together.
    `same_mtu`: the underlay is measured at each MTU, and not only at its NIC's own.

    Raises InputError for an MTU that the underlay cannot carry, and for set-ups without a block.
    """

    name: str
    setup: Setup
    cells: tuple[Cell, ...]
    blocks: int
    timing: Timing
    seed: int
    congestion_control: str = CONGESTION_CONTROL
    setups: int = 1
    runs: int = 1
    until_width: float | None = None
    links: int | None = None
    max_bps: float | None = None
    first_look: int = FIRST_LOOK
    same_mtu: bool = True

    def __post_init__(self) -> None:
        nic_mtu = self.setup.nic_mtu
        too_large = [mtu for mtu in self.setup.mtus if mtu > nic_mtu]
        if too_large:
            raise InputError(
                f"MTU {too_large[0]} is larger than the underlay's own {nic_mtu}; choose at most {nic_mtu}."
            )
        if not 1 <= self.setups <= self.blocks:
            raise InputError(
                f"{self.setups} set-ups of {self.blocks} blocks in all: each takes a block at least; "
                f"choose 1 to {self.blocks} set-ups, or more blocks."
            )

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of all cells, each once."""
        return tuple(dict.fromkeys(cell.measure for cell in self.cells))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every trial in its order.

        What is compared is measured close together in time: in each block the groups of cells are shuffled, within
        each group the states of the nodes, and within those the visits.
        """
        randomness = random.Random(self.seed)  # noqa: S311 - a reproducible order, not a secret
        groups = self._groups()
        slots: list[Slot] = []
        for block in range(1, self.blocks + 1):
            position = 0
            for states in randomness.sample([*groups.values()], len(groups)):
                for cells in randomness.sample([*states.values()], len(states)):
                    visits = self._visits(cells)
                    for profile, cell in randomness.sample(visits, len(visits)):
                        position += 1
                        slots.append(Slot(block, position, profile, cell, self.setup_of(block)))
        return tuple(slots)

    @property
    def trials(self) -> int:
        """How many slots there are, each block having the same ones, without putting them in order."""
        return self.blocks * len(self._of_a_block)

    @cached_property
    def _of_a_block(self) -> tuple[tuple[str, Cell], ...]:
        """Profile and cell of each slot of a block, in no order."""
        return tuple(
            visit for states in self._groups().values() for cells in states.values() for visit in self._visits(cells)
        )

    def _groups(self) -> dict[Cell, dict[Cell, list[Cell]]]:
        """Return cells by what is held fixed between those that are compared, and by the nodes' state."""
        groups: dict[Cell, dict[Cell, list[Cell]]] = {}
        for cell in self.cells:
            group, state = grouping(cell)
            groups.setdefault(group, {}).setdefault(state, []).append(cell)
        return groups

    def setup_of(self, block: int) -> int:
        """Return on which set-up a block is measured, both from 1: in order, and as evenly as can be."""
        return (block - 1) * self.setups // self.blocks + 1

    def _visits(self, cells: list[Cell]) -> list[tuple[str, Cell]]:
        """Return each profile at each MTU; the underlay is also visited at its NIC's own, unless no MTU matters."""
        visits = [
            (profile, cell)
            for profile in self.setup.profiles
            for cell in cells
            if self.same_mtu or profile != UNDERLAY or not self._is_also_at_nic_mtu(cell)
        ]
        if UNDERLAY in self.setup.profiles:
            at_nic = [cell.at(((MTU, self.setup.nic_mtu),)) for cell in cells if self._is_also_at_nic_mtu(cell)]
            visits += [(UNDERLAY, cell) for cell in dict.fromkeys(at_nic) if cell not in cells]
        return visits

    def _is_also_at_nic_mtu(self, cell: Cell) -> bool:
        """Tell whether the underlay is visited at its NIC's own MTU because of a cell, which has another."""
        return cell.mtu != self.setup.nic_mtu and _is_held_against_nic_mtu(cell)

    def of_pair(self, number: int) -> Plan:
        """Return the plan of the number-th pair, from 1: the same trials, in an order of its own.

        Pairs measured at the same time must not be in step, or each cell of one would always meet the same cell of the
        other.
        """
        return replace(self, seed=self.seed + number - 1)

    def limited_to(self, profiles: tuple[str, ...], own_mtus: Mapping[str, int] | None = None) -> Plan:
        """Return the plan for some of its profiles; of `own_mtus` those go that none of these has."""
        left_out = {mtu for name, mtu in (own_mtus or {}).items() if name not in profiles}
        left_out -= {mtu for name, mtu in (own_mtus or {}).items() if name in profiles}
        left_out -= {self.setup.nic_mtu} if self.same_mtu else set()
        mtus = tuple(mtu for mtu in self.setup.mtus if mtu not in left_out) or self.setup.mtus
        cells = tuple(cell for cell in self.cells if cell.mtu in mtus) or self.cells
        return replace(self, setup=replace(self.setup, profiles=profiles, mtus=mtus), cells=cells)

    def at_mtu(self, mtu: int, nic_mtu: int | None = None) -> Plan:
        """Return the plan for endpoints of one MTU that cannot be chosen, on NICs of `nic_mtu` where that was found.

        InputError where no cell fits it.
        """
        cells = dict.fromkeys(cell.at(((MTU, mtu),)) for cell in self.cells if _fits(cell, mtu))
        if not cells:
            raise InputError(f"the endpoints' MTU is {mtu}, and every packet that was asked for is larger.")
        setup = replace(self.setup, mtus=(mtu,), nic_mtu=nic_mtu or self.setup.nic_mtu)
        return replace(self, setup=setup, cells=tuple(cells))

    @property
    def blocks_text(self) -> str:
        """How many blocks there are, and on how many set-ups where that is more than one."""
        most = "at most " if self.until_width else ""
        return f"{most}{self.blocks} blocks" + (f" on {self.setups} set-ups" if self.setups > 1 else "")

    @property
    def measuring_s(self) -> float:
        """Seconds that the measures themselves take over the whole run."""
        return self.blocks * sum(MEASURES[cell.measure].seconds(cell, self.timing) for _, cell in self._of_a_block)

    def most_bytes(self, link_bps: float) -> float:
        """Return how many bytes all trials send at most, both ways together, on a link of that rate.

        A second each way on every profile before the trials is in it; trials that are repeated are not.
        """
        most_bps = min(self.max_bps or 2 * link_bps, 2 * link_bps)
        both_ways = len(self.setup.profiles) * self.setups * most_bps / 8
        return both_ways + self.blocks * sum(
            MEASURES[cell.measure].most_bytes(cell, self.timing, link_bps, self.max_bps) for _, cell in self._of_a_block
        )

    @property
    def block_s(self) -> float:
        """Seconds that a block is expected to take."""
        return (self.measuring_s + self.trials * TRIAL_OVERHEAD_S) / self.blocks

    @property
    def expected_s(self) -> float:
        """Seconds that the whole run is expected to take, at most where it ends by itself."""
        set_up_s = SET_UP_S + (self.setups - 1) * ANOTHER_SETUP_S
        return self.measuring_s + self.trials * TRIAL_OVERHEAD_S + set_up_s

    def to_json(self) -> dict[str, Any]:
        """Return the plan as run.json has it."""
        plain = asdict(self)
        setup = plain["setup"] | {"profiles_dirs": [str(folder) for folder in self.setup.profiles_dirs]}
        cells = [{"measure": cell.measure, "levels": dict(cell.levels)} for cell in self.cells]
        return plain | {"setup": setup, "cells": cells}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Return the plan that `to_json` made a value of; InputError names the key that is wrong."""
        try:
            cells = [{**cell, "levels": list(dict(cell["levels"]).items())} for cell in value.get("cells", ())]
            mtus = [dict(cell["levels"]).get(MTU) for cell in cells]
            wrong = next((number for number, mtu in enumerate(mtus) if type(mtu) is not int), None)
            if wrong is not None:
                raise InputError(f"plan.cells.{wrong}.levels.{MTU}: a whole number is required")
            return _PLAN.validate_python({**value, "cells": cells})
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"plan.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"plan.cells: {error!r}") from error


_PLAN = TypeAdapter(Plan)


def _is_held_against_nic_mtu(cell: Cell) -> bool:
    """Tell whether the underlay is measured in a cell at its NIC's own MTU as well."""
    return cell.measure not in MEASURES or MEASURES[cell.measure].is_held_against_nic_mtu(dict(cell.levels))


def _fits(cell: Cell, mtu: int) -> bool:
    """Tell whether packets that were asked to have a size fit an MTU."""
    size = MEASURES[cell.measure].packet_bytes(dict(cell.levels))
    return size is None or size <= mtu
