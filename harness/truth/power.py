"""What a number of blocks can tell, from how block log-ratios scatter; and how often chance alone misses.

A difference is told where the 95 % interval of one row by itself leaves 1 out, which is Student's paired test at 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.truth.stats import ALPHA, MOST_BLOCKS, Ratio
from harness.truth.verdicts import MIN_BLOCKS

POWER = 0.8
"""Share of cases in which a difference is to be told."""


def scatter_of(ratio: Ratio | None) -> float | None:
    """Return the standard deviation of a paired ratio's block log-ratios, None where one block cannot give it."""
    return None if ratio is None or ratio.error is None else ratio.error * math.sqrt(ratio.n)


def pooled(scatters: Iterable[tuple[float, int]]) -> float | None:
    """Return one standard deviation of several with their degrees of freedom; None without any.

    sqrt(sum(f s^2) / sum(f)): each set has a mean of its own.
    """
    parts = [(freedom * scatter**2, freedom) for scatter, freedom in scatters]
    total = sum(freedom for _, freedom in parts)
    return math.sqrt(sum(square for square, _ in parts) / total) if total else None


def least_told(scatter: float, blocks: int) -> float:
    """Return the smallest difference that so many blocks tell in POWER of cases, as a share: .01 is 1 %.

    exp(d) - 1 with d = c s / sqrt(n), where a t variable of n - 1 degrees of freedom and noncentrality c exceeds
    t(n - 1, .975) in POWER of cases (power of the t test: Johnson and Welch 1940; Cohen 1988, chapter 2). The other
    tail, a difference of the wrong sign that is told, has less than a millionth and is left out.

    Raises:
        ValueError: fewer than 2 blocks.
    """
    if blocks < 2:  # noqa: PLR2004 - one block has no scatter
        raise ValueError(f"{blocks} block(s) tell nothing: there is no scatter")
    from scipy import special  # noqa: PLC0415 - loads in a tenth of a second, and not every command computes

    critical = float(special.stdtrit(blocks - 1, 1 - ALPHA / 2))
    return math.expm1(float(special.nctdtrinc(blocks - 1, 1 - POWER, critical)) * scatter / math.sqrt(blocks))


def blocks_for(scatter: float, difference: float) -> int | None:
    """Return how many blocks tell a difference (a share) in POWER of cases, as many as a verdict takes at least.

    None where even MOST_BLOCKS do not.
    """
    low, high = MIN_BLOCKS, MOST_BLOCKS
    if least_told(scatter, high) > difference:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if least_told(scatter, middle) <= difference else (middle + 1, high)
    return low


def scatter_bounds(freedom: int) -> tuple[float, float]:
    """Return what a measured scatter is to be multiplied by for the bounds of its 95 % interval.

    sqrt(f / chi2) for a normal variable's standard deviation with f degrees of freedom.
    """
    from scipy import special  # noqa: PLC0415 - see above

    low, high = (float(special.chdtri(freedom, tail)) for tail in (ALPHA / 2, 1 - ALPHA / 2))
    return math.sqrt(freedom / low), math.sqrt(freedom / high)


def chance_bounds(cases: int, share: float = ALPHA) -> tuple[int, int]:
    """Return between which counts the misses of `cases` intervals lie in 95 % of cases, where each misses by `share`.

    Of the binomial distribution: outside on either side with 2.5 % at most.
    """
    chances = [math.comb(cases, count) * share**count * (1 - share) ** (cases - count) for count in range(cases + 1)]
    sums = [math.fsum(chances[: count + 1]) for count in range(cases + 1)]
    low = next(count for count in range(cases + 1) if sums[count] > ALPHA / 2)
    return low, next(count for count in range(cases + 1) if sums[count] >= 1 - ALPHA / 2)
