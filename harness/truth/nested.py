"""Estimates from a run that was set up several times: two levels of repetition, and the spread on each.

What is chosen by chance in setting up (how flows hash, what lies where in memory) is the same for all blocks of a
set-up. Blocks of one set-up say nothing of it, so with several the set-up is the sample: the highest level that varies
is (Kalibera and Jones 2013, Rigorous benchmarking in reasonable time).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.truth.shares import Difference, least_error, of_arms
from harness.truth.spread import Spread
from harness.truth.stats import Ratio, log_ratios, rounding, variance
from harness.truth.verdicts import Verdict

MIN_SETUPS = 6
"""Fewer decide nothing: set-ups fall into bands, and of two that are equally likely n set-ups show but one in 2 of 2^n
runs, with an interval that is narrow in the wrong place. With 5 set-ups that is 6 % of all runs, with 6 it is 3 %."""


def nested_ratio(
    overlay: Sequence[float],
    underlay: Sequence[float],
    setups: Sequence[int],
    steps: tuple[float, float] = (0.0, 0.0),
) -> Ratio:
    """Return overlay / underlay from one value of each per block, in the same order, and the set-up of each block.

    With d = ln(overlay / underlay) and m = mean(d) in each of n set-ups, exp(mean(m) +- t(n - 1) * s(m) / sqrt(n)).
    Each set-up counts once, however many blocks it has. Of the spread, within is w = the pooled s(d - m), and between
    sqrt(s(m)^2 - w^2 * mean(1 / blocks of a set-up)), 0 where that is negative. `steps`: see `stats.paired_ratio`.

    Raises:
        ValueError: no values, unequal lengths, or a value that is not positive.
    """
    levels = _levels(log_ratios(overlay, underlay), setups, math.expm1)
    error = levels.error(rounding(overlay, underlay, steps) / math.sqrt(len(overlay)))
    return Ratio(math.exp(levels.mean), error, levels.freedom, levels.n, levels.spread)


def nested_difference(
    ours: Sequence[float], base: Sequence[float], setups: Sequence[int], tries: tuple[float, float]
) -> Difference:
    """Return ours - base from one share of each per block, in the same order, and the set-up of each block.

    As `nested_ratio`, with d = ours - base; `tries`: see `shares.paired_difference`.

    Raises:
        ValueError: no values, or unequal lengths.
    """
    differences = [own - other for own, other in zip(ours, base, strict=True)]
    levels = _levels(differences, setups, lambda deviation: deviation)
    error = levels.error(least_error(of_arms(ours, base, tries)))
    return Difference(levels.mean, error, levels.freedom, levels.n, levels.spread)


def refusal(setups: int) -> Verdict | None:
    """Return why no verdict can be given of so many set-ups, None where one can."""
    return Verdict.NOT_ENOUGH_SETUPS if setups < MIN_SETUPS else None


@dataclass(frozen=True)
class _Levels:
    """The mean over n set-ups and the variance between their means, None of one, and the spread on both levels."""

    mean: float
    variance: float | None
    n: int
    spread: Spread

    @property
    def freedom(self) -> float | None:
        return None if self.variance is None else self.n - 1

    def error(self, least: float) -> float | None:
        return None if self.variance is None else max(math.sqrt(self.variance / self.n), least)


def _levels(differences: Sequence[float], setups: Sequence[int], shown: Callable[[float], float]) -> _Levels:
    """Return both levels of differences by set-up; `shown` makes a spread of a standard deviation of theirs."""
    by_setup: dict[int, list[float]] = {}
    for setup, difference in zip(setups, differences, strict=True):
        by_setup.setdefault(setup, []).append(difference)
    if not by_setup:
        raise ValueError("no values to compare")
    groups, n = [*by_setup.values()], len(by_setup)
    means = [statistics.fmean(group) for group in groups]
    freedom_within = len(differences) - n
    squares = sum((d - mean) ** 2 for group, mean in zip(groups, means, strict=True) for d in group)
    within = squares / freedom_within if freedom_within else None
    between_means = variance(means) if n > 1 else None
    between = None
    if between_means is not None:
        between = max(between_means - (within or 0.0) * statistics.fmean(1 / len(group) for group in groups), 0.0)
    spread = Spread(n, *(None if own is None else shown(math.sqrt(own)) for own in (between, within)))
    return _Levels(statistics.fmean(means), between_means, n, spread)
