"""Ratios of two sets of measurements, their intervals, and what these decide.

Figures such as goodput and RTT are positive and their errors are proportional, so everything is computed on
logarithms and given back as a ratio. Where two profiles share blocks, their difference per block is one
sample (paired t); drift that both saw cancels. Two runs share nothing, so they get Welch's test. Where a run was set
up several times, see `harness.truth.nested`.

No bootstrap: with the 6 to 10 blocks of a run its intervals are too narrow. In simulation at n = 10 a
nominal 95 % percentile bootstrap covered .89 to .91 and BCa .78 to .91, the t interval on log-ratios
.95 to .98, heavy tails and outliers included. Hodges-Lehmann did as well as t (.94 to .96), but has no
95 % interval below n = 6.

A verdict is read off an interval: it lies outside the margin, within it, or neither. Rows that are asked together are a
family, and their intervals are widened so that of those which decide something at most 5 % are expected to miss the
truth (the false coverage rate of Benjamini and Yekutieli 2005). How much rows scatter is no reason to refuse a
verdict: it is in the width of the interval already.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from harness.truth.spread import Spread

MIN_BLOCKS = 6
"""Fewer decide nothing at 95 %: even a sign test of 5 equal signs has p = .0625."""

FIRST_LOOK = 10
"""Blocks of a run that ends by its intervals, before these are looked at: one that is narrow by luck ends it too soon,
the more so the fewer blocks it is of. From 6 on an interval would hold the truth in 92.6 % of runs, from 10 on in 94
(docs/accuracy.md)."""

ALPHA = 0.05
MARGIN = 0.01
"""A ratio that is nearer to what it is held against makes no difference, unless another margin is asked for."""
MOST_BLOCKS = 1000
"""More are not advised to anybody."""


class Verdict(StrEnum):
    """What a row says; `better` and `worse` are for the user, whichever way the metric points."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    DISTURBED = "disturbed"
    NOT_ENOUGH_BLOCKS = "not enough blocks"
    NOT_ENOUGH_SETUPS = "not enough set-ups"
    NO_FIGURE = "no figure"


class AgainstCeiling(StrEnum):
    """What a ratio says of what the headers allow it to be."""

    HEADERS_ONLY = "headers only"
    MORE_THAN_HEADERS = "more than headers"
    ABOVE_THE_CEILING = "above the ceiling"
    INCONCLUSIVE = "inconclusive"


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
        if self.error is None or self.freedom is None:
            return None
        factor = math.exp(student(self.freedom, alpha) * self.error) if self.error else 1.0
        return Interval(self.ratio / factor, self.ratio * factor)

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
    from scipy import special  # noqa: PLC0415 - loads in a tenth of a second, scipy.stats in one

    return float(special.stdtrit(freedom, 1 - alpha / 2))


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
    spread = max(statistics.stdev(differences), rounding(overlay, underlay, steps))
    return Ratio(math.exp(mean), spread / math.sqrt(n), n - 1, n)


def rounding(overlay: Sequence[float], underlay: Sequence[float], steps: tuple[float, float]) -> float:
    """Return the standard deviation that rounding to steps of these sizes gives the logarithm of a ratio."""
    means = statistics.fmean(overlay), statistics.fmean(underlay)
    return math.hypot(*(step / value for step, value in zip(steps, means, strict=True))) / math.sqrt(12)


def welch_ratio(after: Sequence[float], before: Sequence[float]) -> Ratio:
    """Return after / before of two runs that share no blocks (Welch 1947, on logarithms).

    The ratio of geometric means; degrees of freedom after Welch and Satterthwaite.

    Raises:
        ValueError: no values, or a value that is not positive.
    """
    logs = _logs(after), _logs(before)
    difference = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    counts = [len(values) for values in logs]
    if min(counts) == 1:
        return Ratio(math.exp(difference), None, None, min(counts))
    parts = [statistics.variance(values) / len(values) for values in logs]
    total = sum(parts)
    weights = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    freedom = total**2 / weights if weights > 0 else float(sum(counts) - 2)
    return Ratio(math.exp(difference), math.sqrt(total), freedom, min(counts))


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Return sample standard deviation over mean, None below two values or where the mean is 0."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    mean = statistics.fmean(values)
    return statistics.stdev(values) / abs(mean) if mean else None


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


def refusal(blocks: int) -> Verdict | None:
    """Return why no verdict can be given, None where one can."""
    if blocks == 0:
        return Verdict.NO_FIGURE
    return Verdict.NOT_ENOUGH_BLOCKS if blocks < MIN_BLOCKS else None


class Place(StrEnum):
    """Where an interval lies: below what a ratio is held against by more than the margin, within it, or above."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"
    OPEN = "open"


@dataclass(frozen=True)
class Question:
    """A ratio and what it is held against: 1, or what the headers allow; or a difference, held against 0."""

    estimate: Estimate
    target: float = 1.0


@dataclass(frozen=True)
class Answer:
    """Where the interval of an estimate lies, widened for its family; `blocks` would decide where it is open.

    Where set-ups are the sample, so many of these would, each with as many blocks as now.
    """

    place: Place
    interval: Interval | None
    blocks: int | None = None


def answers(questions: Sequence[Question | None], margin: float) -> list[Answer | None]:
    """Return an answer to each question of a family, in order; None for None.

    The intervals are at 1 - R alpha / m for m questions, R being the largest number for which as many of them decide
    something at that level.
    """
    asked = [question for question in questions if question is not None]
    count = len(asked)
    while count:
        alpha = ALPHA * count / len(asked)
        decided = sum(_place(question, alpha, margin) is not Place.OPEN for question in asked)
        if decided >= count:
            break
        count = decided  # a number between these is not reached either: narrower levels decide less
    level = ALPHA * max(count, 1) / max(len(asked), 1)
    return [None if question is None else _answer(question, level, margin) for question in questions]


def place_of(interval: Interval | None, target: float, margin: float) -> Place:
    """Return where the interval of a ratio lies to its target; one that is not known leaves everything open."""
    return place_between(interval, target * (1 - margin), target * (1 + margin))


def place_between(interval: Interval | None, low: float, high: float) -> Place:
    """Return where an interval lies to what is between two edges; one that is not known leaves everything open."""
    if interval is None:
        return Place.OPEN
    if interval.high < low:
        return Place.BELOW
    if interval.low > high:
        return Place.ABOVE
    return Place.WITHIN if interval.low >= low and interval.high <= high else Place.OPEN


def _place(question: Question, alpha: float, margin: float) -> Place:
    estimate = question.estimate
    return place_between(estimate.interval(alpha), *estimate.edges(question.target, margin))


def _answer(question: Question, alpha: float, margin: float) -> Answer:
    place, estimate = _place(question, alpha, margin), question.estimate
    blocks = estimate.blocks_to_tell(question.target, margin, alpha) if place is Place.OPEN else None
    return Answer(place, estimate.interval(alpha), blocks)


def verdict_of(place: Place, *, higher_is_better: bool) -> Verdict:
    """Return what it means for the user where an interval lies about 1."""
    if place is Place.OPEN:
        return Verdict.INCONCLUSIVE
    if place is Place.WITHIN:
        return Verdict.SAME
    return Verdict.BETTER if (place is Place.ABOVE) == higher_is_better else Verdict.WORSE


CEILING_VERDICTS = {
    Place.OPEN: AgainstCeiling.INCONCLUSIVE,
    Place.WITHIN: AgainstCeiling.HEADERS_ONLY,
    Place.BELOW: AgainstCeiling.MORE_THAN_HEADERS,
    Place.ABOVE: AgainstCeiling.ABOVE_THE_CEILING,
}
"""What it means where an interval lies about the ceiling."""


def log_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ln(ours / theirs) pair by pair; ValueError for no values, unequal lengths, or one that is not positive."""
    return [mine - its for mine, its in zip(_logs(ours), _logs(theirs), strict=True)]


def _logs(values: Sequence[float]) -> list[float]:
    if not values:
        raise ValueError("no values to compare")
    if min(values) <= 0:
        raise ValueError(f"{min(values)} has no logarithm: only positive values can be compared")
    return [math.log(value) for value in values]
