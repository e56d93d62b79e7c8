"""Differences of shares, such as loss: a share may be 0, so it has no ratio, and is compared in percentage points."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.truth.spread import Spread
from harness.truth.stats import ALPHA, Interval, Moments, blocks_for, deviation, reach_of, welch_error


@dataclass(frozen=True)
class Difference:
    """A difference of two shares, with its standard error and the degrees of freedom of that; see `stats.Ratio`."""

    difference: float
    error: float | None
    freedom: float | None
    n: int
    spread: Spread | None = None

    def interval(self, alpha: float = ALPHA) -> Interval | None:
        """Return the interval that misses the truth in `alpha` of all cases (Student's t); None without an error."""
        reach = reach_of(self, alpha)
        if reach is None:
            return None
        return Interval(max(self.difference - reach, -1.0), min(self.difference + reach, 1.0))

    @property
    def neutral(self) -> float:
        """The difference that is none."""
        return 0.0

    def edges(self, target: float, margin: float) -> tuple[float, float]:
        """Return between what a difference is none: the margin is one of percentage points here."""
        return target - margin, target + margin

    def blocks_to_tell(self, target: float, margin: float, alpha: float) -> int | None:
        """Return how many blocks would decide on which side of an edge it lies; None where no number would."""
        distance = min(abs(self.difference - edge) for edge in self.edges(target, margin))
        return blocks_for(distance, self, alpha)


def paired_difference(ours: Sequence[float], base: Sequence[float], tries: tuple[float, float]) -> Difference:
    """Return ours - base from one share of each per block, in the same order; `tries` is of how many each is, in all.

    The mean difference with Student's interval over blocks. Its error is at least that of two shares of so many
    independent tries (Agresti and Caffo 2000: one success and one failure more in each), so that where nothing was
    lost it is not taken for certain that nothing ever is.

    Raises:
        ValueError: no values, or unequal lengths.
    """
    differences = [own - other for own, other in zip(ours, base, strict=True)]
    if not differences:
        raise ValueError("no values to compare")
    n, mean = len(differences), statistics.fmean(differences)
    if n == 1:
        return Difference(mean, None, None, n)
    error = max(deviation(differences) / math.sqrt(n), least_error(of_arms(ours, base, tries)))
    return Difference(mean, error, n - 1, n)


def of_arms(ours: Sequence[float], base: Sequence[float], tries: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the share of each arm, and of how many tries it is."""
    return [(statistics.fmean(shares), count) for shares, count in zip((ours, base), tries, strict=True)]


def welch_difference(after: Moments, before: Moments, least: float) -> Difference:
    """Return after - before from the moments of two samples of shares; its error is at least `least`."""
    error, freedom = welch_error(after, before)
    difference, n = after.mean - before.mean, min(after.n, before.n)
    return Difference(difference, None if error is None else max(error, least), freedom, n)


def least_error(shares: Sequence[tuple[float, float]]) -> float:
    """Return the standard error that a sum or difference of shares has at least, each of so many independent tries."""
    return math.sqrt(sum(_variance(share, tries) for share, tries in shares))


def _variance(share: float, tries: float) -> float:
    """Return the variance of a share, with one success and one failure more than there were."""
    likely = min(max((share * tries + 1) / (tries + 2), 0.0), 1.0)
    return likely * (1 - likely) / (tries + 2)
