"""What a profile adds, in the unit of the figure: a mean of differences with Student's interval."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from harness.truth.added import paired_added
from harness.truth.stats import ALPHA


def test_is_the_mean_of_differences_with_students_interval() -> None:
    ours, base = [121.0, 125.0, 119.0, 123.0, 122.0, 120.0], [60.0, 62.0, 61.0, 61.0, 60.0, 62.0]
    differences = [own - other for own, other in zip(ours, base, strict=True)]
    made = paired_added(ours, base)
    interval = made.interval()
    assert made.mean == pytest.approx(statistics.fmean(differences))
    assert interval is not None
    reach = 2.5706 * statistics.stdev(differences) / math.sqrt(6)  # t(5, .975)
    assert (interval.low, interval.high) == pytest.approx((made.mean - reach, made.mean + reach), rel=1e-4)


def test_one_sample_has_no_interval() -> None:
    assert paired_added([3.0], [1.0]).interval() is None
    assert paired_added([3.0, 4.0], [1.0, 1.0], setups=[1, 1]).interval() is None


def test_set_ups_are_the_samples_where_there_are_several() -> None:
    ours, setups = [10.0, 10.2, 12.0, 12.2, 11.0, 11.2], [1, 1, 2, 2, 3, 3]
    made, by_block = paired_added(ours, [1.0] * 6, setups), paired_added(ours, [1.0] * 6)
    assert made.mean == pytest.approx(by_block.mean)
    assert made.freedom == 2
    wide, narrow = made.interval(), by_block.interval()
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < narrow.high < wide.high


def test_figures_that_come_in_steps_are_not_taken_for_exact() -> None:
    interval = paired_added([121e-6] * 6, [60e-6] * 6, steps=(1e-6, 1e-6)).interval()
    assert interval is not None
    assert 0.2e-6 < interval.high - interval.low < 2e-6
    assert paired_added([121e-6] * 6, [60e-6] * 6).interval() != interval


def test_interval_holds_the_truth_in_as_many_cases_as_it_says() -> None:
    source, held, runs = random.Random(4), 0, 2000  # noqa: S311 - reproducible figures, not secrets
    for _ in range(runs):
        drift = [source.gauss(0, 20) for _ in range(6)]  # both see it, so it falls out
        ours = [130 + moved + source.gauss(0, 3) for moved in drift]
        base = [70 + moved + source.gauss(0, 3) for moved in drift]
        interval = paired_added(ours, base).interval(ALPHA)
        held += interval is not None and interval.low <= 60 <= interval.high
    assert 0.935 < held / runs < 0.965


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        paired_added([], [])
