"""The sides of a comparison: which runs are set against which, and whether they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from harness.model.errors import InputError
from harness.model.trial import UNDERLAY, Cell
from harness.report.arms import NOTHING, Arm, arms
from harness.report.background import Background
from harness.report.contrasts import Arms, own_mtu
from harness.report.trials import RunData
from harness.results.meta import RunMeta

_LOCAL = "local"


@dataclass(frozen=True)
class Member:
    """One run of a side. It is called as its side, with its number behind where the side has several."""

    name: str
    run: RunData
    arms: Arms
    background: Background
    _underlay_cells: dict[Cell, Cell] = field(default_factory=dict)

    @property
    def meta(self) -> RunMeta | None:
        """What its run.json says."""
        return self.run.meta

    def arm(self, profile: str, cell: Cell) -> Arm:
        """Return the trials of a profile in a cell, none where it did not measure that."""
        return self.arms.get((profile, cell), NOTHING)

    def underlay_cell(self, cell: Cell) -> Cell:
        """Return the cell that the underlay is taken at: what a user loses is held against its NIC's own MTU."""
        if cell not in self._underlay_cells:
            self._underlay_cells[cell] = cell.at(own_mtu(self.arms, UNDERLAY, cell, self.run.nic_mtu))
        return self._underlay_cells[cell]


Side = tuple[Member, ...]


def sides_of(a: Sequence[RunData], b: Sequence[RunData], *, across_hosts: bool) -> tuple[Side, Side]:
    """Return both sides.

    Raises:
        InputError: a run is there twice, or the local lab is set against real hosts and not `across_hosts`.
    """
    both = _side("A", a), _side("B", b)
    members = [*both[0], *both[1]]
    for one, other in combinations(members, 2):
        if one.run.run_id == other.run.run_id:
            raise InputError(
                f"{one.name} and {other.name} are the same run, {one.run.run_id}, and a run says nothing of itself; "
                "give another one."
            )
    labs = {_is_local(member.meta): member for member in members if member.meta}
    if len(labs) > 1 and not across_hosts:
        hosts = labs[False].meta
        raise InputError(
            f"{labs[True].name} was measured in the local lab and {labs[False].name} on hosts "
            f"({hosts.lab if hosts else ''}): other machines, other figures; give --across-hosts to compare them all "
            "the same."
        )
    return both


def _side(letter: str, runs: Sequence[RunData]) -> Side:
    names = [letter] if len(runs) == 1 else [f"{letter}{number}" for number in range(1, len(runs) + 1)]
    return tuple(
        Member(name, run, arms(run.trials, run.meta), Background.of(run)) for name, run in zip(names, runs, strict=True)
    )


def _is_local(meta: RunMeta | None) -> bool:
    """Tell whether a run is of the local lab; an inventory may have its name, but not two nodes on one kernel."""
    return meta is not None and meta.lab == _LOCAL and meta.shared_kernel
