"""Change points: at which runs of a series its level is another one.

The place is where Student's t of what stands before against what stands from there on is largest, and it is a change
where that t is larger than chance makes it at any of the places (Bonferroni over them: an upper bound, whatever the
places have in common). What is before and behind a change is looked at again, until nothing more is found (binary
segmentation: Scott and Knott 1974, Vostrikova 1981). docs/accuracy.md has what this finds, beside others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from harness.truth.student import quantile

LEVEL = 0.05
"""Probability that a series without any change gets a mark, at most; it is 2 % of normal ones (docs/accuracy.md)."""
LEAST_SIDE = 2
"""Runs on either side of a change."""
_ROUNDING = 1e-12
LEAST_RUNS = 6
"""Runs without which nothing is marked: what they scatter by is hardly known."""


def changes(values: Sequence[float], level: float = LEVEL) -> tuple[int, ...]:
    """Return the places of a series from which on its level is another one, ascending: each of the first new value.

    The values are of one scatter throughout; of ratios they are logarithms.
    """
    found: list[int] = []
    waiting = [(0, len(values))]
    while waiting:
        begin, end = waiting.pop()
        place = change(values[begin:end], level)
        if place is not None:
            found.append(begin + place)
            waiting += [(begin, begin + place), (begin + place, end)]
    return tuple(sorted(found))


def change(values: Sequence[float], level: float = LEVEL) -> int | None:
    """Return the place of the likeliest change of a series, None where there is none.

    It has to be one without any single run of its shorter side as well, whatever the others were: nobody knows of one
    run that is off whether the next will be.
    """
    n = len(values)
    if n < LEAST_RUNS:
        return None
    places = range(LEAST_SIDE, n - LEAST_SIDE + 1)
    sums = [0.0, *accumulate(values)]

    def between(place: int) -> float:
        """Return the sum of squares that a change of level at a place explains."""
        return (sums[place] - place * sums[-1] / n) ** 2 * n / (place * (n - place))

    place = max(places, key=between)
    before, behind = values[:place], values[place:]
    if _t(before, behind) <= quantile(n - 2, 1 - level / len(places) / 2):
        return None
    least = quantile(n - 3, 1 - level / 2)
    shorter, longer = sorted((before, behind), key=len)
    without = ([*shorter[:one], *shorter[one + 1 :]] for one in range(len(shorter)))
    return place if all(_t(rest, longer) > least for rest in without) else None


def _t(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the absolute value of Student's t of two samples of one variance."""
    means = [sum(values) / len(values) for values in (one, other)]
    squares = sum((value - mean) ** 2 for values, mean in zip((one, other), means, strict=True) for value in values)
    off = abs(means[0] - means[1])
    freedom = len(one) + len(other) - 2
    error = math.sqrt(squares / freedom * (1 / len(one) + 1 / len(other)))
    if error <= off * _ROUNDING:  # no scatter, as far as numbers of this length tell
        return math.inf if off > _ROUNDING * max(map(abs, means)) else 0.0
    return off / error


def stretches(count: int, places: Sequence[int]) -> list[range]:
    """Return the places of each stretch of a series of so many values between its changes."""
    return [range(*edges) for edges in pairwise((0, *places, count))] if count else []
