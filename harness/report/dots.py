"""What each block, and each trial, says by itself: the dots beside a row's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.metrics import Metric
from harness.model.trial import Cell, Status
from harness.report.analysis import Analysis, Row
from harness.report.arms import NOTHING, Arm, arms, arms_of, matched
from harness.report.tables import Figures
from harness.report.trials import RunData

MOST = 60_000
"""Dots of one report; of a run with more every other one is shown, or every third one, and so on."""


@dataclass(frozen=True)
class Dots:
    """Values with the trials that each is of: `block.position`, or `block.position.attempt` of a repeat.

    Of a row these are ratios, or differences of shares, with both trials and `+` between; `of_all` is how many there
    are in all.
    """

    values: Sequence[float]
    trials: Sequence[str]
    of_all: int = 0


class DotFinder:
    """Finds the dots of rows and arms in the run that they are of."""

    def __init__(self, run: RunData, analysis: Analysis) -> None:
        """Take the run and what it says."""
        table = run.trials.table
        self.arms = arms(run.trials, run.meta)
        numbers, keys = arms_of(run.trials)
        whole = (table.whole[name].tolist() for name in ("block", "position", "attempt"))
        ok = table.words["status"].are(Status.OK).tolist()
        self._names: dict[tuple[str, Cell], dict[int, str]] = {key: {} for key in keys}
        for number, is_ok, block, position, attempt in zip(numbers.tolist(), ok, *whole, strict=True):
            if is_ok:
                name = f"{block}.{position}" if attempt == 1 else f"{block}.{position}.{attempt}"
                self._names[keys[number]][block] = name
        self._places: dict[int, int] = {}
        seen: dict[tuple[object, ...], int] = {}
        for row in analysis.rows:
            key = (row.contrast, row.cell, row.metric.name)
            self._places[id(row)] = seen[key] = seen.get(key, -1) + 1
        self._every = max(1, -(-2 * len(table) // MOST))

    def of_row(self, row: Row) -> Dots:
        """Return what each block says of a row: the states of its arms are those that the row is of."""
        ours, base = (row.contrast.profile, row.cell), (row.contrast.baseline, row.contrast.baseline_cell(row.cell))
        found = matched(self._arm(ours), self._arm(base), row.metric)
        place = self._places[id(row)]
        if place >= len(found) or not len(found[place].ours):
            return Dots((), ())
        one = found[place]
        values: Figures = one.ours - one.base if row.metric.tries else one.ours / one.base
        names = [f"{self._names[ours][block]}+{self._names[base][block]}" for block in one.blocks.tolist()]
        return self._thinned(values.tolist(), names)

    def of_arm(self, profile: str, cell: Cell, metric: Metric) -> tuple[Sequence[int], Dots]:
        """Return the block and the figure of each ok trial that has one."""
        arm = self._arm((profile, cell))
        has = arm.has(metric)
        blocks: list[int] = arm.blocks[has].tolist()
        names = [self._names[profile, cell][block] for block in blocks]
        dots = self._thinned(arm.column(metric)[has].tolist(), names)
        return blocks[:: self._every], dots

    def _arm(self, key: tuple[str, Cell]) -> Arm:
        return self.arms.get(key, NOTHING)

    def _thinned(self, values: Sequence[float], names: Sequence[str]) -> Dots:
        return Dots(values[:: self._every], names[:: self._every], len(values))
