"""What blocks tell, against simulated figures, the table of the noncentral t, and the binomial distribution."""

import math
import random
import statistics
from itertools import pairwise

import pytest

from harness.truth import power
from harness.truth.stats import MOST_BLOCKS, paired_ratio
from harness.truth.verdicts import MIN_BLOCKS

SETS = 1500


@pytest.mark.parametrize(("blocks", "least"), [(6, 0.0041), (10, 0.0028), (20, 0.0019)])
def test_smallest_difference_is_told_in_four_of_five_cases(blocks: int, least: float) -> None:
    """Two arms whose figures vary by .2 %: the logarithm of their ratio by sqrt(2) times that."""
    spread = 0.002
    difference = power.least_told(spread * math.sqrt(2), blocks)
    assert difference == pytest.approx(least, abs=5e-5)
    scatter = random.Random(blocks)  # noqa: S311 - a reproducible series, not a secret
    told = 0
    for _ in range(SETS):
        ours = [math.exp(scatter.gauss(math.log1p(difference), spread)) for _ in range(blocks)]
        theirs = [math.exp(scatter.gauss(0, spread)) for _ in range(blocks)]
        interval = paired_ratio(ours, theirs).interval()
        assert interval is not None
        told += interval.low > 1
    assert told / SETS == pytest.approx(power.POWER, abs=0.03)


@pytest.mark.parametrize("scatter", [0.003, 0.01, 0.05, 0.1])
def test_blocks_are_the_fewest_that_tell_it(scatter: float) -> None:
    blocks = power.blocks_for(scatter, 0.01)
    assert blocks is not None
    assert power.least_told(scatter, blocks) <= 0.01
    assert blocks == MIN_BLOCKS or power.least_told(scatter, blocks - 1) > 0.01


def test_more_blocks_tell_less() -> None:
    told = [power.least_told(0.01, blocks) for blocks in (2, 3, 6, 10, 40, MOST_BLOCKS)]
    assert all(more > less for more, less in pairwise(told))


def test_no_scatter_takes_as_many_as_a_verdict_and_too_much_takes_no_number() -> None:
    assert power.blocks_for(0.0, 0.01) == MIN_BLOCKS
    assert power.blocks_for(0.5, 0.01) is None
    with pytest.raises(ValueError, match="there is no scatter"):
        power.least_told(0.01, 1)


def test_scatter_is_the_deviation_of_the_logarithms_of_the_ratios() -> None:
    ours, theirs = [9.0, 10.0, 11.5], [10.0, 10.0, 10.0]
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    assert power.scatter_of(paired_ratio(ours, theirs)) == pytest.approx(statistics.stdev(logs))
    assert power.scatter_of(paired_ratio([9.0], [10.0])) is None
    assert power.scatter_of(None) is None


def test_pooled_scatter_weighs_by_degrees_of_freedom() -> None:
    assert power.pooled([(0.3, 5), (0.3, 1)]) == pytest.approx(0.3)
    assert power.pooled([(0.1, 9), (0.4, 1)]) == pytest.approx(0.5 * math.sqrt(0.1))
    assert power.pooled([]) is None


@pytest.mark.parametrize(
    ("cases", "bounds"), [(0, (0, 0)), (1, (0, 1)), (20, (0, 3)), (40, (0, 5)), (100, (1, 10)), (1000, (37, 64))]
)
def test_misses_that_chance_allows(cases: int, bounds: tuple[int, int]) -> None:
    """Quantiles .025 and .975 of the binomial distribution with p = .05, as R's qbinom gives them."""
    assert power.chance_bounds(cases) == bounds


def test_true_scatter_lies_within_its_bounds() -> None:
    low, high = power.scatter_bounds(5)
    assert [low, high] == pytest.approx([0.6242, 2.4526], abs=1e-4)
    scatter, held = random.Random(1), 0  # noqa: S311 - see above
    for _ in range(SETS):
        seen = statistics.stdev(scatter.gauss(0, 1) for _ in range(6))
        held += low * seen <= 1 <= high * seen
    assert held / SETS == pytest.approx(0.95, abs=0.02)
