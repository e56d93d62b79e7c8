"""Ratios of two sets of measurements, their intervals, and when to refuse a verdict.

Figures such as goodput and RTT are positive and their errors are proportional, so everything is computed on
logarithms and given back as a ratio. Where two profiles share blocks, their difference per block is one
sample (paired t); drift that both saw cancels. Two runs share nothing, so they get Welch's test.

No bootstrap: with the 6 to 10 blocks of a run its intervals are too narrow. In simulation at n = 10 a
nominal 95 % percentile bootstrap covered .89 to .91 and BCa .78 to .91, the t interval on log-ratios
.95 to .98, heavy tails and outliers included. Hodges-Lehmann did as well as t (.94 to .96), but has no
95 % interval below n = 6.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

MIN_BLOCKS = 6
"""Fewer decide nothing at 95 %: even a sign test of 5 equal signs has p = .0625."""

CONFIDENCE = 0.95
ALPHA = 0.05
CV_WARNING = 0.05
CV_LIMIT = 0.10


class Verdict(StrEnum):
    """What a row says; `better` and `worse` are for the user, whichever way the metric points."""

    WORSE = "worse"
    BETTER = "better"
    NO_DIFFERENCE = "no difference"
    NOT_ENOUGH_BLOCKS = "not enough blocks"
    TOO_NOISY = "too noisy"
    MIXED_PATH_STATES = "mixed path states"
    NO_FIGURE = "no figure"


@dataclass(frozen=True)
class Ratio:
    """A ratio with its 95 % interval and the p-value of "it is 1".

    `low`, `high` and `p_value` are None where one sample cannot give them. `n` counts pairs; of two
    runs it is the smaller side.
    """

    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def paired_ratio(overlay: Sequence[float], underlay: Sequence[float]) -> Ratio:
    """Return overlay / underlay from one value of each per block, in the same order.

    The geometric mean of the per-block ratios with Student's interval: d = ln(overlay / underlay),
    exp(mean(d) +- t(n - 1) * s / sqrt(n)).

    Raises:
        ValueError: no values, unequal lengths, or a value that is not positive.
    """
    logs = _logs(overlay), _logs(underlay)
    differences = [ours - theirs for ours, theirs in zip(*logs, strict=True)]
    if _is_constant(differences):
        return _without_spread(statistics.fmean(differences), len(differences))
    from scipy import stats  # noqa: PLC0415 - a second to load, and measures only want percentiles from here

    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of nearly equal values
        return _of_test(statistics.fmean(differences), stats.ttest_rel(*logs), len(differences))


def welch_ratio(after: Sequence[float], before: Sequence[float]) -> Ratio:
    """Return after / before of two runs that share no blocks (Welch 1947, on logarithms).

    The ratio of geometric means; degrees of freedom after Welch and Satterthwaite.

    Raises:
        ValueError: no values, or a value that is not positive.
    """
    logs = _logs(after), _logs(before)
    difference = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    n = min(len(logs[0]), len(logs[1]))
    if n == 1:
        return Ratio(math.exp(difference), None, None, None, n)
    if _is_constant(logs[0]) and _is_constant(logs[1]):
        return _without_spread(difference, n)
    from scipy import stats  # noqa: PLC0415 - see above

    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # see above
        return _of_test(difference, stats.ttest_ind(*logs, equal_var=False), n)


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995), in the same order.

    None stays None and does not count as a test.
    """
    from scipy import stats  # noqa: PLC0415 - see above

    present = [p for p in p_values if p is not None]
    if not present:
        return [None] * len(p_values)
    adjusted = iter(stats.false_discovery_control(present, method="bh").tolist())
    return [None if p is None else float(next(adjusted)) for p in p_values]


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


def refusal(blocks: int, cv: float | None) -> Verdict | None:
    """Return why no verdict can be given, None where one can: at least 6 blocks, spread at most 10 %."""
    if blocks == 0:
        return Verdict.NO_FIGURE
    if blocks < MIN_BLOCKS:
        return Verdict.NOT_ENOUGH_BLOCKS
    if cv is None or cv > CV_LIMIT:
        return Verdict.TOO_NOISY
    return None


@dataclass(frozen=True)
class Question:
    """One row that wants a verdict; `refused` is set where it cannot have one."""

    ratio: Ratio | None
    higher_is_better: bool
    refused: Verdict | None


def verdicts(questions: Sequence[Question | None]) -> list[Verdict | None]:
    """Return a verdict for each question, in order; None for None.

    Those not refused are one family: their p-values are adjusted together, and below .05 there is a difference.
    So an interval may leave 1 out and the verdict still be "no difference".
    """
    p_values = [q.ratio.p_value if q and q.ratio and not q.refused else None for q in questions]
    pairs = zip(questions, benjamini_hochberg(p_values), strict=True)
    return [_verdict(question, adjusted) if question else None for question, adjusted in pairs]


def _verdict(question: Question, adjusted: float | None) -> Verdict:
    if question.refused or question.ratio is None or adjusted is None:
        return question.refused or Verdict.NO_FIGURE
    if adjusted >= ALPHA:
        return Verdict.NO_DIFFERENCE
    better = (question.ratio.ratio > 1) == question.higher_is_better
    return Verdict.BETTER if better else Verdict.WORSE


def _logs(values: Sequence[float]) -> list[float]:
    if not values:
        raise ValueError("no values to compare")
    if min(values) <= 0:
        raise ValueError(f"{min(values)} has no logarithm: only positive values can be compared")
    return [math.log(value) for value in values]


def _is_constant(values: Sequence[float]) -> bool:
    """Tell whether values do not differ, and so tell nothing of how they scatter."""
    return len(values) == 1 or statistics.variance(values) == 0


def _without_spread(mean: float, n: int) -> Ratio:
    """Return the ratio of equal differences: the interval has no width and t no value; of one there is neither."""
    if n == 1:
        return Ratio(math.exp(mean), None, None, None, n)
    return Ratio(math.exp(mean), math.exp(mean), math.exp(mean), 1.0 if mean == 0 else 0.0, n)


class _Test(Protocol):
    """What of SciPy's t tests is used."""

    @property
    def pvalue(self) -> Any:  # noqa: ANN401 - NumPy's numbers
        """The p-value of "there is no difference"."""

    def confidence_interval(self, confidence_level: float) -> Any:  # noqa: ANN401 - a named tuple of NumPy's numbers
        """Return the interval of the difference."""


def _of_test(mean: float, test: _Test, n: int) -> Ratio:
    """Return the ratio with the interval and the p-value of a t test on logarithms."""
    interval = test.confidence_interval(CONFIDENCE)
    low, high = math.exp(float(interval.low)), math.exp(float(interval.high))
    return Ratio(math.exp(mean), low, high, float(test.pvalue), n)
