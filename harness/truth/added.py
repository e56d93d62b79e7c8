"""What a profile adds to its baseline's figure, in the figure's own unit: microseconds, bit/s, seconds of CPU time.

It stands beside a ratio, which is what verdicts are made of: both are of the same blocks, their intervals of the same
level.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.truth.stats import ALPHA, Interval, deviation, student


@dataclass(frozen=True)
class Added:
    """A mean of differences, its standard error and the degrees of freedom of that; both are None of one sample."""

    mean: float
    error: float | None
    freedom: float | None

    def interval(self, alpha: float = ALPHA) -> Interval | None:
        """Return the interval that misses the truth in `alpha` of all cases (Student's t); None without an error."""
        if self.error is None or self.freedom is None:
            return None
        reach = student(self.freedom, alpha) * self.error
        return Interval(self.mean - reach, self.mean + reach)


def paired_added(
    ours: Sequence[float], base: Sequence[float], setups: Sequence[int] = (), steps: tuple[float, float] = (0.0, 0.0)
) -> Added:
    """Return ours - base from one value of each per block, in the same order.

    The samples are the blocks or, where `setups` has the set-up of each, the means over the blocks of a set-up.
    `steps`: see `stats.paired_ratio`.

    Raises:
        ValueError: no values, or unequal lengths.
    """
    differences = [own - other for own, other in zip(ours, base, strict=True)]
    groups: dict[int, list[float]] = {}
    for number, difference in enumerate(differences):
        groups.setdefault(setups[number] if setups else number, []).append(difference)
    if not groups:
        raise ValueError("no values to compare")
    means = [statistics.fmean(group) for group in groups.values()]
    n, mean = len(means), statistics.fmean(means)
    if n == 1:
        return Added(mean, None, None)
    least = math.hypot(*steps) / math.sqrt(12) / math.sqrt(len(differences))
    return Added(mean, max(deviation(means) / math.sqrt(n), least), n - 1)
