"""Ratios of two sets of measurements, and their intervals.

Figures such as goodput and RTT are positive and their errors are proportional, so everything is computed on
logarithms and given back as a ratio. Where two profiles share blocks, their difference per block is one
sample (paired t); drift that both saw cancels. Two runs share no block, so they get Welch's test. Where a run was set
up several times, see `harness.truth.nested`.

No bootstrap: with the 6 to 10 blocks of a run its intervals are too narrow. In simulation at n = 10 a
nominal 95 % percentile bootstrap covered .89 to .91 and BCa .78 to .91, the t interval on log-ratios
.95 to .98, heavy tails and outliers included. Hodges-Lehmann did as well as t (.94 to .96), but has no
95 % interval below n = 6.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.truth.spread import Spread
from harness.truth.student import quantile

ALPHA = 0.05
MOST_BLOCKS = 1000
"""More are not advised to anybody."""


@dataclass(frozen=True)
class Interval:
    """An interval of a ratio."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of its width, as a share of its geometric middle."""
        return math.sqrt(self.high / self.low) - 1 if self.low > 0 else math.inf


@dataclass(frozen=True)
class Ratio:
    """A ratio; `error` is the standard error of its logarithm, with so many degrees of `freedom`.

    Both are None where one sample cannot give them. `n` counts samples: pairs, of two runs those of the smaller side,
    set-ups where there is a `spread` between these.
    """

    ratio: float
    error: float | None
    freedom: float | None
    n: int
    spread: Spread | None = None

    def interval(self, alpha: float = ALPHA) -> Interval | None:
        """Return the interval that misses the truth in `alpha` of all cases (Student's t); None without an error."""
        reach = reach_of(self, alpha)
        if reach is None:
            return None
        factor = math.exp(reach)
        return Interval(self.ratio / factor, self.ratio * factor)

    @property
    def neutral(self) -> float:
        """The ratio that is no difference."""
        return 1.0

    def edges(self, target: float, margin: float) -> tuple[float, float]:
        """Return between what a ratio makes no difference to its target."""
        return target * (1 - margin), target * (1 + margin)

    def blocks_to_tell(self, target: float, margin: float, alpha: float) -> int | None:
        """Return how many blocks would decide on which side of an edge it lies; None where no number would."""
        if margin >= 1:
            return None
        distance = min(abs(math.log(self.ratio / edge)) for edge in self.edges(target, margin))
        return blocks_for(distance, self, alpha)


class Estimate(Protocol):
    """What is known of a contrast: a ratio, or a difference."""

    @property
    def error(self) -> float | None:
        """Its standard error."""
        ...

    @property
    def freedom(self) -> float | None:
        """The degrees of freedom of that."""
        ...

    @property
    def n(self) -> int:
        """How many pairs it is of."""
        ...

    @property
    def neutral(self) -> float:
        """What it is where there is no difference."""
        ...

    def interval(self, alpha: float = ALPHA) -> Interval | None:
        """Return the interval that misses the truth in `alpha` of all cases."""
        ...

    def edges(self, target: float, margin: float) -> tuple[float, float]:
        """Return between what it makes no difference to its target."""
        ...

    def blocks_to_tell(self, target: float, margin: float, alpha: float) -> int | None:
        """Return how many blocks would decide; None where no number would."""
        ...


def student(freedom: float, alpha: float) -> float:
    """Return how many standard errors an interval reaches to each side, to miss the truth in `alpha` of all cases."""
    return quantile(freedom, 1 - alpha / 2)


def reach_of(estimate: Estimate, alpha: float) -> float | None:
    """Return how far an interval reaches to each side, on the scale of the error; None without an error."""
    if estimate.error is None or estimate.freedom is None:
        return None
    return student(estimate.freedom, alpha) * estimate.error if estimate.error else 0.0


def blocks_for(distance: float, estimate: Estimate, alpha: float) -> int | None:
    """Return how many blocks make an interval half as wide as a distance, at this scatter; None for no such number."""
    if not estimate.error or not estimate.freedom or distance <= 0:
        return None
    scatter = estimate.error * math.sqrt(estimate.n)
    freedom = estimate.freedom / max(estimate.n - 1, 1)

    def tells(blocks: int) -> bool:
        return student(freedom * (blocks - 1), alpha) * scatter / math.sqrt(blocks) < distance

    # The more blocks, the narrower: a search by halves, for a family asks this of each of its rows.
    choices = range(estimate.n + 1, MOST_BLOCKS + 1)
    place = bisect.bisect_left(choices, True, key=tells)
    return choices[place] if place < len(choices) else None


def paired_ratio(overlay: Sequence[float], underlay: Sequence[float], steps: tuple[float, float] = (0.0, 0.0)) -> Ratio:
    """Return overlay / underlay from one value of each per block, in the same order.

    The geometric mean of the per-block ratios with Student's interval: d = ln(overlay / underlay),
    exp(mean(d) +- t(n - 1) * s / sqrt(n)). `steps` are the sizes of the steps that the values of each come in: s is at
    least what rounding to them gives (a step over the root of 12), so values that are all equal are not exact.

    Raises:
        ValueError: no values, unequal lengths, or a value that is not positive.
    """
    differences = log_ratios(overlay, underlay)
    n, mean = len(differences), statistics.fmean(differences)
    if n == 1:
        return Ratio(math.exp(mean), None, None, n)
    spread = max(deviation(differences), rounding(overlay, underlay, steps))
    return Ratio(math.exp(mean), spread / math.sqrt(n), n - 1, n)


def variance(values: Sequence[float]) -> float:
    """Return the sample variance of two values or more.

    In two passes, the second corrected for the rounding of the mean (Chan, Golub and LeVeque 1983): as good as exact,
    and a twentieth of what the exact fractions of `statistics.variance` take.
    """
    mean = statistics.fmean(values)
    off = [value - mean for value in values]
    squares = math.fsum(one * one for one in off) - math.fsum(off) ** 2 / len(values)
    return max(squares, 0.0) / (len(values) - 1)


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation of two values or more; see `variance`."""
    return math.sqrt(variance(values))


def rounding(overlay: Sequence[float], underlay: Sequence[float], steps: tuple[float, float]) -> float:
    """Return the standard deviation that rounding to steps of these sizes gives the logarithm of a ratio."""
    means = statistics.fmean(overlay), statistics.fmean(underlay)
    return math.hypot(*(step / value for step, value in zip(steps, means, strict=True))) / math.sqrt(12)


@dataclass(frozen=True)
class Moments:
    """What Welch's test takes of a sample: how many, their mean, their variance (None where n is 1)."""

    n: int
    mean: float
    variance: float | None


def moments_of(values: Sequence[float]) -> Moments:
    """Return the moments of a sample; ValueError where it is empty."""
    return Moments(len(values), statistics.fmean(values), variance(values) if len(values) > 1 else None)


def welch(after: Moments, before: Moments) -> Ratio:
    """Return after / before, the ratio of geometric means, from the moments of both samples' logarithms."""
    return Ratio(math.exp(after.mean - before.mean), *welch_error(after, before), min(after.n, before.n))


def welch_error(after: Moments, before: Moments) -> tuple[float | None, float | None]:
    """Return the standard error of a difference of means, and its degrees of freedom (Welch 1947, Satterthwaite 1946).

    Both are None where a sample is of one.
    """
    if after.variance is None or before.variance is None:
        return None, None
    counts, parts = (after.n, before.n), (after.variance / after.n, before.variance / before.n)
    weights = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return math.sqrt(sum(parts)), sum(parts) ** 2 / weights if weights > 0 else float(sum(counts) - 2)


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Return sample standard deviation over mean, None below two values or where the mean is 0."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    mean = statistics.fmean(values)
    return deviation(values) / abs(mean) if mean else None


def median(values: Sequence[float]) -> float | None:
    """Return the median, None where there is no value."""
    return statistics.median(values) if values else None


def percentiles(samples: Sequence[float], percents: Sequence[float]) -> list[float]:
    """Return percentiles by nearest rank: the smallest sample with at least p % of all at or below it.

    Always a measured value, never one in between (Hyndman and Fan 1996, definition 1; NumPy's
    inverted_cdf).

    Raises:
        ValueError: no samples, or a percentage outside 0 to 100.
    """
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    ranks = []
    for percent in percents:
        if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
            raise ValueError(f"percentile {percent} is not within 0 to 100")
        # Multiplied before it is divided: 0.07 * 100 is 7.000000000000001, 7 * 100 / 100 is not.
        ranks.append(max(math.ceil(percent * len(ordered) / 100), 1))
    return [ordered[rank - 1] for rank in ranks]


def log_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ln(ours / theirs) pair by pair; ValueError for no values, unequal lengths, or one that is not positive."""
    return [mine - its for mine, its in zip(_logs(ours), _logs(theirs), strict=True)]


def _logs(values: Sequence[float]) -> list[float]:
    if not values:
        raise ValueError("no values to compare")
    if min(values) <= 0:
        raise ValueError(f"{min(values)} has no logarithm: only positive values can be compared")
    return [math.log(value) for value in values]
