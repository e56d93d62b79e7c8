"""Arms: the trials of one profile in one cell, which contrasts set against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.measures.metrics import METRICS
from harness.model.metrics import Facts, Metric
from harness.model.path import PathState
from harness.model.trial import Cell, Status
from harness.report.tables import Figures, Table, Whole
from harness.report.trials import Trials, numbered
from harness.results.meta import RunMeta
from harness.results.schema import Columns

States = tuple[PathState | None, ...]


class _Sorted:
    """Columns of figures in the order of the arms, each of them sorted when somebody asks for it."""

    def __init__(self, figures: Mapping[str, Figures], order: Whole) -> None:
        self._figures = figures
        self._order = order
        self._columns: dict[str, Figures | None] = {}

    def get(self, name: str) -> Figures | None:
        """Return a column, None where there is none of that name."""
        if name not in self._columns:
            self._columns[name] = self._figures[name][self._order] if name in self._figures else None
        return self._columns[name]


@dataclass(frozen=True, eq=False)
class Arm:
    """The trials of one profile in one cell: those that are ok, by block, and what became of the others.

    `place` is where they are in the sorted columns, `codes` has the path state of each, as its place in `states` (None
    where none is known); it goes with `blocks`, which ascend.
    """

    columns: _Sorted | None = None
    place: slice = field(default_factory=lambda: slice(0, 0))
    blocks: Whole = field(default_factory=lambda: np.empty(0, np.int64))
    codes: Whole = field(default_factory=lambda: np.empty(0, np.int64))
    states: States = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    def column(self, metric: Metric) -> Figures:
        """Return the figure of each ok trial, NaN where it has none."""
        column = self.columns.get(metric.name) if self.columns else None
        return np.full(len(self.blocks), math.nan) if column is None else column[self.place]

    def has(self, metric: Metric) -> NDArray[np.bool_]:
        """Tell of each ok trial whether it has a figure.

        A figure of 0 has no ratio, so a metric that is compared by one leaves it out; `zeros` are those.
        """
        figures = self.column(metric)
        return figures > 0 if metric.better and not metric.tries else ~np.isnan(figures)

    def figures(self, metric: Metric) -> Figures:
        """Return the figures of the ok trials that have one."""
        return self.column(metric)[self.has(metric)]

    def tries(self, metric: Metric) -> float:
        """Return of how many tries the shares of a metric are, all ok trials together; 0 where nobody counted."""
        return float(self.figures(METRICS[metric.tries]).sum())

    def zeros(self, metric: Metric) -> Whole:
        """Return the blocks whose figures `figures` left out because they are 0."""
        return self.blocks[self.column(metric) == 0] if metric.better and not metric.tries else self.blocks[:0]

    def lost_of_all(self) -> tuple[int, int]:
        """Return how many trials have no figure, and how many there are."""
        lost = sum(self.lost.values())
        return lost, lost + len(self.blocks)


NOTHING = Arm()
"""The arm of a profile that was not measured in a cell."""


@dataclass(frozen=True)
class Matched:
    """Figures of both arms in the blocks where both have one, in one path state each (None where none is known)."""

    blocks: Whole
    ours: Figures
    base: Figures
    states: tuple[PathState | None, PathState | None]


def matched(ours: Arm, base: Arm, metric: Metric) -> list[Matched]:
    """Return one for each pair of states, the commonest first: figures of different states are never averaged.

    None where a figure is 0, which has no ratio: the mean of the others' would lean away from it.
    """
    if len(ours.zeros(metric)) or len(base.zeros(metric)):
        return []
    return matched_but_zeros(ours, base, metric)


def matched_but_zeros(ours: Arm, base: Arm, metric: Metric) -> list[Matched]:
    """Return what `matched` does, for who sees to it that blocks with a figure of 0 count for nothing."""
    left, right = ours.has(metric).nonzero()[0], base.has(metric).nonzero()[0]
    if not np.array_equal(ours.blocks[left], base.blocks[right]):
        _, *both = np.intersect1d(ours.blocks[left], base.blocks[right], assume_unique=True, return_indices=True)
        left, right = left[both[0]], right[both[1]]
    figures = ours.column(metric)[left], base.column(metric)[right]
    pairs = ours.codes[left] * max(len(base.states), 1) + base.codes[right]
    made = []
    for own in _groups(pairs):
        states = (ours.states[ours.codes[left[own][0]]], base.states[base.codes[right[own][0]]])
        made.append(Matched(ours.blocks[left[own]], figures[0][own], figures[1][own], states))
    return sorted(made, key=lambda one: -len(one.ours))


def by_state(arm: Arm, metric: Metric) -> dict[PathState | None, Figures]:
    """Return the figures of the ok trials by path state, the commonest first."""
    has = arm.has(metric)
    figures, codes = arm.column(metric)[has], arm.codes[has]
    found = [(arm.states[codes[own][0]], figures[own]) for own in _groups(codes)]
    return dict(sorted(found, key=lambda one: -len(one[1])))


def _groups(codes: Whole) -> list[NDArray[np.bool_] | slice]:
    """Return where each code stands, in the order of their first places; mostly there is but one."""
    if len(codes) and codes.min() == codes.max():
        return [slice(None)]
    return [codes == code for code in dict.fromkeys(codes.tolist())]


def arms(trials: Trials, meta: RunMeta | None) -> dict[tuple[str, Cell], Arm]:
    """Return the trials by profile and cell, the derived metrics added (which need run.json)."""
    table = trials.table
    numbers, keys = arms_of(trials)
    # Once sorted by arm and block, every arm is a slice of each column: nothing is copied for a thousand of them.
    order = np.lexsort((table.whole["block"], numbers))
    ok = table.words["status"].are(Status.OK)[order]
    own, others = order[ok], order[~ok]
    columns = _Sorted(with_derived(trials, meta), own)
    blocks = table.whole["block"][own]
    path_state = table.words["path_state"].at(own)
    known = (state for state in path_state.values if isinstance(state, PathState))
    states: States = (*known, None)  # the code of what is missing is -1: the last one
    codes = path_state.codes.astype(np.int64) % len(states)
    starts, lost_starts = (np.searchsorted(numbers[some], np.arange(len(keys) + 1)) for some in (own, others))
    made = {}
    for number, key in enumerate(keys):
        place = slice(starts[number], starts[number + 1])
        lost = others[lost_starts[number] : lost_starts[number + 1]]
        made[key] = Arm(columns, place, blocks[place], codes[place], states, *_lost(table, lost))
    return made


def _lost(table: Table, rows: Whole) -> tuple[Mapping[str, int], str]:
    """Return how many of these trials there are of each status, and the commonest reason."""
    if not len(rows):
        return {}, ""
    statuses, reasons = (map(str, table.words[name].at(rows).tolist()) for name in ("status", "reason"))
    said = Counter(reason for reason in reasons if reason)
    return Counter(statuses), said.most_common(1)[0][0] if said else ""


def arms_of(trials: Trials) -> tuple[Whole, list[tuple[str, Cell]]]:
    """Return of each trial the place of its profile and cell in the list of all there are, and that list."""
    numbers, firsts = numbered(trials.table, trials.columns)
    first = trials.table.at(firsts).words
    levels = [[(name, value) for value in first[name].tolist()] for name in trials.columns.factors]
    cells = [
        Cell(str(measure), tuple((name, value) for name, value in own if value is not None))
        for measure, *own in zip(first["measure"].tolist(), *levels, strict=True)
    ]
    return numbers, list(zip(map(str, first["profile"].tolist()), cells, strict=True))


def with_derived(trials: Trials, meta: RunMeta | None) -> Mapping[str, Figures]:
    """Return the figures with a column more for each derived metric; without run.json as they are."""
    figures = trials.table.figures
    if meta is None:
        return figures
    facts, length = Facts(meta.shared_kernel), len(trials.table)
    columns = _Lenient({**figures, "omit_s": np.full(length, meta.plan.timing.omit_s)}, length)
    with np.errstate(all="ignore"):  # what has no figure, or divides by none, has none of these either
        made = {name: METRICS[name].derive(columns, facts) for name in _derived(trials.columns)}  # type: ignore[misc]
    return {**figures, **{name: np.where(np.isfinite(column), column, math.nan) for name, column in made.items()}}


def _derived(columns: Columns) -> list[str]:
    """Return the metrics that are made of others, unless the file has one of that name itself."""
    return [name for name, metric in METRICS.items() if metric.derive and name not in columns.metrics]


class _Lenient(dict[str, Figures]):
    """Columns by name; one that is not there has no figures."""

    def __init__(self, columns: Mapping[str, Figures], length: int) -> None:
        super().__init__(columns)
        self._length = length

    def __missing__(self, name: str) -> Figures:
        return np.full(self._length, math.nan)
