"""Arms: the trials of one profile in one cell, which contrasts set against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.measures.metrics import METRICS, NODE_METRICS
from harness.measures.registry import MEASURES
from harness.model.metrics import Facts, Metric
from harness.model.path import PathState
from harness.model.trial import Cell, Status
from harness.report.trials import Trials
from harness.results.meta import RunMeta
from harness.results.schema import Columns


Figures = NDArray[np.float64]
States = tuple[PathState | None, ...]


@dataclass(frozen=True, eq=False)
class Arm:
    """The trials of one profile in one cell: those that are ok, by block, and what became of the others.

    `columns` has the figures of each metric, `codes` the path state of each trial, as its place in `states` (None where
    none is known); both go with `blocks`, which ascend.
    """

    blocks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    columns: Mapping[str, Figures] = field(default_factory=dict)
    codes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    states: States = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    def has(self, metric: Metric) -> NDArray[np.bool_]:
        """Tell of each ok trial whether it has a figure.

        A figure of 0 has no ratio, so a compared metric leaves it out; `zeros` counts them.
        """
        figures = self.columns.get(metric.name)
        if figures is None:
            return np.zeros(len(self.blocks), bool)
        return figures > 0 if metric.better else ~np.isnan(figures)

    def figures(self, metric: Metric) -> Figures:
        """Return the figures of the ok trials that have one."""
        figures = self.columns.get(metric.name)
        return np.empty(0) if figures is None else figures[self.has(metric)]

    def zeros(self, metric: Metric) -> int:
        """Return how many figures `figures` left out because they are 0."""
        figures = self.columns.get(metric.name)
        return 0 if figures is None else int((~np.isnan(figures)).sum() - self.has(metric).sum())

    def lost_of_all(self) -> tuple[int, int]:
        """Return how many trials have no figure, and how many there are."""
        lost = sum(self.lost.values())
        return lost, lost + len(self.blocks)


NOTHING = Arm()
"""The arm of a profile that was not measured in a cell."""


@dataclass(frozen=True)
class Matched:
    """Figures of both arms in the blocks where both have one, in one path state each (None where none is known)."""

    ours: Figures
    base: Figures
    states: tuple[PathState | None, PathState | None]


def matched(ours: Arm, base: Arm, metric: Metric) -> list[Matched]:
    """Return one for each pair of states, the commonest first: figures of different states are never averaged."""
    left, right = ours.has(metric).nonzero()[0], base.has(metric).nonzero()[0]
    _, *both = np.intersect1d(ours.blocks[left], base.blocks[right], assume_unique=True, return_indices=True)
    left, right = left[both[0]], right[both[1]]
    pairs = ours.codes[left] * max(len(base.states), 1) + base.codes[right]
    made = []
    for pair in dict.fromkeys(pairs.tolist()):
        own, other = left[pairs == pair], right[pairs == pair]
        states = (ours.states[ours.codes[own[0]]], base.states[base.codes[other[0]]])
        made.append(Matched(ours.columns[metric.name][own], base.columns[metric.name][other], states))
    return sorted(made, key=lambda one: -len(one.ours))


def by_state(arm: Arm, metric: Metric) -> dict[PathState | None, Figures]:
    """Return the figures of the ok trials by path state, the commonest first."""
    own = arm.has(metric).nonzero()[0]
    codes = arm.codes[own]
    found = [(arm.states[code], arm.columns[metric.name][own[codes == code]]) for code in dict.fromkeys(codes.tolist())]
    return dict(sorted(found, key=lambda one: -len(one[1])))


def arms(trials: Trials, meta: RunMeta | None) -> dict[tuple[str, Cell], Arm]:
    """Return the trials by profile and cell, the derived metrics added (which need run.json)."""
    frame = with_derived(trials, meta)
    numbers, keys = numbered(trials)
    # Once sorted by arm and block, every arm is a slice of each column: nothing is copied for a thousand of them.
    order = np.lexsort((frame["block"].to_numpy(), numbers))
    ok = (frame["status"] == Status.OK).to_numpy()[order]
    own, others = order[ok], order[~ok]
    metrics = [name for name in (*trials.columns.metrics, *_derived(trials.columns)) if name in frame]
    columns = {name: frame[name].to_numpy()[own] for name in metrics}
    blocks = frame["block"].to_numpy()[own]
    states: States = (*frame["path_state"].cat.categories, None)  # the code of what is missing is -1: the last one
    codes = frame["path_state"].cat.codes.to_numpy().astype(np.int64)[own] % len(states)
    starts, lost_starts = (np.searchsorted(numbers[some], np.arange(len(keys) + 1)) for some in (own, others))
    made = {}
    for number, key in enumerate(keys):
        chosen = slice(starts[number], starts[number + 1])
        lost = others[lost_starts[number] : lost_starts[number + 1]]
        its = {name: column[chosen] for name, column in columns.items()}
        made[key] = Arm(blocks[chosen], its, codes[chosen], states, *_lost(frame, lost))
    return made


def _lost(frame: pd.DataFrame, rows: NDArray[np.int64]) -> tuple[Mapping[str, int], str]:
    """Return how many of these trials there are of each status, and the commonest reason."""
    if not len(rows):
        return {}, ""
    trials = frame.iloc[rows]
    reasons = Counter(reason for reason in trials["reason"] if reason)
    return Counter(trials["status"]), reasons.most_common(1)[0][0] if reasons else ""


def numbered(trials: Trials) -> tuple[NDArray[np.int64], list[tuple[str, Cell]]]:
    """Return of each trial the place of its profile and cell in the list of all there are, and that list."""
    frame = trials.frame
    numbers = np.zeros(len(frame), np.int64)
    for name in ("profile", "measure", *trials.columns.factors):
        column, _ = pd.factorize(frame[name])
        numbers, _ = pd.factorize(numbers * (int(column.max()) + 2) + column)
    _, firsts = np.unique(numbers, return_index=True)
    first = frame.iloc[firsts]
    levels = [(name, first[name]) for name in trials.columns.factors]
    cells = [
        Cell(measure, tuple((name, its.iloc[row]) for name, its in levels if not pd.isna(its.iloc[row])))
        for row, measure in enumerate(first["measure"])
    ]
    return numbers, list(zip(first["profile"].tolist(), cells, strict=True))


def with_derived(trials: Trials, meta: RunMeta | None) -> pd.DataFrame:
    """Return the trials with a column more for each derived metric; without run.json as they are."""
    frame = trials.frame
    if meta is None:
        return frame
    facts = Facts(meta.shared_kernel)
    columns = _Lenient(frame.assign(omit_s=meta.plan.timing.omit_s))
    made = {name: METRICS[name].derive(columns, facts) for name in _derived(trials.columns)}  # type: ignore[misc]
    return frame.assign(**{name: column.where(column.abs() < math.inf) for name, column in made.items()})


def _derived(columns: Columns) -> list[str]:
    """Return the metrics that are made of others, unless the file has one of that name itself."""
    return [name for name, metric in METRICS.items() if metric.derive and name not in columns.metrics]


class _Lenient(dict[str, "pd.Series[float]"]):
    """Columns by name; one that is not there has no figures."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__({str(name): column for name, column in frame.items()})
        self._index = frame.index

    def __missing__(self, name: str) -> pd.Series[float]:
        return pd.Series(math.nan, index=self._index)


def reported(cell: Cell, columns: Columns, measured: Sequence[Arm]) -> list[Metric]:
    """Return the metrics of a cell that are reported: its measure's main one, and the others that have figures.

    Metrics that this harness does not know are reported where there are any figures, those of a measure that it does
    not know, too.
    """
    metrics = {**METRICS, **columns.metrics} | METRICS
    measure = MEASURES.get(cell.measure)
    strangers = [name for name in columns.metrics if name not in METRICS]
    names = [*measure.rows, *strangers] if measure else [n for n in columns.metrics if n not in NODE_METRICS]
    main = names[0] if measure else ""
    return [metrics[n] for n in names if n == main or any(len(arm.figures(metrics[n])) for arm in measured)]
