"""What two sides are compared by: one figure a sample, of one path state, before anything is asked of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from harness.model.metrics import Metric
from harness.model.path import PathState
from harness.model.trial import UNDERLAY, Cell
from harness.report.arms import NOTHING, by_state, matched
from harness.report.sides import Member, Side
from harness.report.tables import Figures
from harness.truth import stats, verdicts
from harness.truth.shares import Difference, least_error, welch_difference

_States = tuple[PathState | None, PathState | None]


class Basis(StrEnum):
    """What of a profile's figures is compared."""

    UNDERLAY = "underlay"
    """Their ratio to the same run's underlay (shares: how much more it is), block by block, at its NIC's own MTU."""
    ABSOLUTE = "absolute"
    """The figures themselves."""


class Sample(StrEnum):
    """What counts as one sample."""

    BLOCK = "block"
    RUN = "run"


@dataclass(frozen=True)
class Draft:
    """A row before the verdicts of its family.

    `figures` are one a sample; where no path state is on both sides (`is_comparable`), those of all states. `share` is
    how many blocks of both sides are of its path state.
    """

    basis: Basis
    profile: str
    cell: Cell
    metric: Metric
    sample: Sample
    sides: tuple[Side, Side]
    figures: tuple[Figures, Figures]
    is_comparable: bool
    state: PathState | None
    share: tuple[int, int]

    @property
    def samples(self) -> int:
        """How many the smaller side has of what can be compared."""
        return min(map(len, self.figures)) if self.is_comparable else 0

    @cached_property
    def _moments(self) -> tuple[stats.Moments, stats.Moments]:
        """Those of either side's samples: of their logarithms, unless they are shares."""
        first, second = (_moments(own if self.metric.tries else np.log(own)) for own in self.figures)
        return first, second

    @property
    def estimate(self) -> stats.Ratio | Difference | None:
        """B over A, or B less A of shares."""
        if not self.metric.better or not self.samples:
            return None
        first, second = self._moments
        if self.metric.tries:
            return welch_difference(second, first, self._least_error())
        return stats.welch(second, first)

    def _least_error(self) -> float:
        """Return what a difference of these shares is off by at least, for each is of so many tries only."""
        arms = [member.arm(self.profile, self.cell) for side in self.sides for member in side]
        if self.basis is Basis.UNDERLAY:
            arms += [member.arm(UNDERLAY, member.underlay_cell(self.cell)) for side in self.sides for member in side]
        counted = [(arm.figures(self.metric), arm.tries(self.metric)) for arm in arms]
        runs = max(map(len, self.sides))
        return least_error([(_mean(own), count) for own, count in counted if len(own)]) / runs

    @property
    def refusal(self) -> verdicts.Verdict | None:
        """Why there is no verdict, None where there may be one, and for a metric that is not compared."""
        if not self.metric.better:
            return None
        return (verdicts.refusal_of_runs if self.sample is Sample.RUN else verdicts.refusal)(self.samples)

    @property
    def cv(self) -> float | None:
        """Standard deviation over mean, of the side where it is larger; None for a metric that is not compared."""
        is_compared = self.metric.better and not self.metric.tries
        own = [figures for figures in self.figures if len(figures) > 1 and is_compared]
        return max((math.sqrt(_variance(figures)) / _mean(figures) for figures in own), default=None)

    @property
    def middles(self) -> tuple[float | None, float | None]:
        """What stands for each side."""
        if self.metric.better and not self.metric.tries:
            first, second = (math.exp(logs.mean) if logs.n else None for logs in self._moments)
            return first, second
        return _middle(self.figures[0], self.metric), _middle(self.figures[1], self.metric)

    @property
    def underlay_cells(self) -> set[Cell]:
        """At which cells of the underlay this one is held against it."""
        return {one.underlay_cell(self.cell) for side in self.sides for one in side if self._has_arm(one)}

    def _has_arm(self, member: Member) -> bool:
        return member.arm(self.profile, self.cell) is not NOTHING


def drafts(
    basis: Basis, profile: str, cell: Cell, metric: Metric, sides: tuple[Side, Side], sample: Sample
) -> list[Draft]:
    """Return a draft for each path state that both sides have, the commonest first; else one of what there is."""
    runs = [[_figures(basis, profile, cell, metric, member) for member in side] for side in sides]
    counts: tuple[Counter[_States], Counter[_States]] = (Counter(), Counter())
    for side, count in zip(runs, counts, strict=True):
        for one in side:
            count.update({state: len(own) for state, own in one.items()})
    total = sum(map(Counter.total, counts))
    common = Counter({state: counts[0][state] + counts[1][state] for state in counts[0] if state in counts[1]})

    def drafted(chosen: Sequence[Sequence[Figures]], state: PathState | None, share: int, *, comparable: bool) -> Draft:
        figures = tuple(_samples(side, metric, sample) for side in chosen)
        return Draft(
            basis, profile, cell, metric, sample, sides, (figures[0], figures[1]), comparable, state, (share, total)
        )

    made = [
        drafted([[one[state] for one in side if state in one] for side in runs], state[0], count, comparable=True)
        for state, count in common.most_common()
    ]
    if made:
        return made
    everything = [[np.concatenate([*one.values()]) for one in side if one] for side in runs]
    return [drafted(everything, None, total, comparable=False)]


def _figures(basis: Basis, profile: str, cell: Cell, metric: Metric, member: Member) -> dict[_States, Figures]:
    """Return what is compared of one run, block by block, by the path states of the profile and of its underlay."""
    arm = member.arm(profile, cell)
    if basis is Basis.ABSOLUTE:
        return {(state, None): figures for state, figures in by_state(arm, metric).items()}
    base = member.arm(UNDERLAY, member.underlay_cell(cell))
    return {
        one.states: one.ours - one.base if metric.tries else one.ours / one.base for one in matched(arm, base, metric)
    }


def _samples(runs: Sequence[Figures], metric: Metric, sample: Sample) -> Figures:
    """Return one figure a sample."""
    if sample is Sample.RUN:
        return np.array([_middle(figures, metric) for figures in runs])
    return runs[0] if runs else np.empty(0)


def _middle(figures: Figures, metric: Metric) -> float | None:
    if not len(figures):
        return None
    if metric.tries:
        return _mean(figures)
    return float(np.exp(np.log(figures).mean()) if metric.better else np.median(figures))


def _moments(values: Figures) -> stats.Moments:
    mean = _mean(values) if len(values) else math.nan
    return stats.Moments(len(values), mean, _variance(values) if len(values) > 1 else None)


def _mean(values: Figures) -> float:
    """Return the mean; of arrays as small as these NumPy's own mean and variance take several times as long."""
    return float(values.sum()) / len(values)


def _variance(values: Figures) -> float:
    """Return the sample variance."""
    off = values - _mean(values)
    return float(off @ off) / (len(values) - 1)
