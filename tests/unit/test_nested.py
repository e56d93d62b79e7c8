"""Ratios of a run that was set up several times: the set-up is the sample."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence

import pytest

from harness.truth import nested, shares, stats, verdicts
from harness.truth.nested import MIN_SETUPS, nested_difference, nested_ratio
from harness.truth.stats import Ratio
from harness.truth.verdicts import Question, Verdict


def of_logs(*setups: Sequence[float]) -> Ratio:
    """Return the ratio of log-ratios by set-up; the underlay drifts, and that cancels."""
    logs = [log for setup in setups for log in setup]
    underlay = [2.0 + number for number in range(len(logs))]
    overlay = [base * math.exp(log) for base, log in zip(underlay, logs, strict=True)]
    return nested_ratio(overlay, underlay, [number for number, setup in enumerate(setups, 1) for _ in setup])


def test_the_set_up_is_the_sample() -> None:
    """Means .1, .2, .3: s .1, t(2) = 4.302653. Within, each block is .01 off: w^2 = 6 x .01^2 / 3."""
    found = of_logs([0.09, 0.11], [0.19, 0.21], [0.29, 0.31])
    assert (found.n, found.freedom) == (3, 2)
    assert found.ratio == pytest.approx(math.exp(0.2))
    interval, half = found.interval(), 4.302653 * 0.1 / math.sqrt(3)
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([math.exp(0.2 - half), math.exp(0.2 + half)], rel=1e-6)
    assert found.spread is not None
    assert found.spread.setups == 3
    assert found.spread.within == pytest.approx(math.expm1(math.sqrt(2e-4)))
    assert found.spread.between == pytest.approx(math.expm1(math.sqrt(0.01 - 2e-4 / 2)))


def test_each_set_up_counts_once_however_many_blocks_it_has() -> None:
    found = of_logs([0.1] * 5, [0.3])
    assert found.ratio == pytest.approx(math.exp(0.2))
    assert found.spread is not None
    assert found.spread.within == 0.0


def test_blocks_that_explain_all_leave_nothing_between() -> None:
    spread = of_logs([0.1, 0.3], [0.15, 0.25], [0.3, 0.1]).spread
    assert spread is not None
    assert spread.between == 0.0
    assert spread.within is not None
    assert spread.within > 0.1


def test_with_one_block_each_the_two_levels_cannot_be_told_apart() -> None:
    spread = of_logs([0.1], [0.2], [0.3]).spread
    assert spread is not None
    assert spread.between == pytest.approx(math.expm1(0.1))
    assert spread.within is None


def test_one_set_up_has_a_ratio_and_no_interval() -> None:
    found = of_logs([0.1, 0.2, 0.3])
    assert found.ratio == pytest.approx(math.exp(0.2))
    assert (found.interval(), found.n) == (None, 1)
    assert found.spread is not None
    assert found.spread.within == pytest.approx(math.expm1(0.1))
    assert found.spread.between is None


@pytest.mark.parametrize(
    ("ours", "theirs", "setups"), [([], [], []), ([1.0], [1.0, 2.0], [1]), ([1.0], [1.0], [1, 2]), ([0.0], [1.0], [1])]
)
def test_what_has_no_ratio_is_refused(ours: list[float], theirs: list[float], setups: list[int]) -> None:
    with pytest.raises(ValueError):
        nested_ratio(ours, theirs, setups)


@pytest.mark.parametrize(("setups", "refused"), [(1, True), (2, True), (5, True), (6, False), (60, False)])
def test_refusal(setups: int, refused: bool) -> None:
    assert nested.refusal(setups) == (Verdict.NOT_ENOUGH_SETUPS if refused else None)


def test_how_many_set_ups_would_tell() -> None:
    """As of blocks: scatter .0245 a set-up, .0153 from .975 to .99 in logarithms, so 13."""
    logs = [math.log(0.975) + 0.0245 * step for step in (-1, -1, -1, 1, 1, 1)]
    logs = [math.log(0.975) + (log - math.log(0.975)) * 0.0245 / statistics.stdev(logs) for log in logs]
    (answer,) = verdicts.answers([Question(of_logs(*([log] for log in logs)))], 0.01)
    assert answer is not None
    assert answer.blocks == 13


def bands(chance: random.Random) -> float:
    return chance.choice((-0.02, 0.02))


def normal(chance: random.Random) -> float:
    return chance.gauss(0, 0.02)


def sets(between: Callable[[random.Random], float], setups: int, count: int = 2000) -> list[Ratio]:
    """Return ratios of runs that are truly 1, two blocks a set-up, which scatter by .2 % within it."""
    chance = random.Random(setups)  # noqa: S311 - a reproducible series, not a secret
    made = []
    for _ in range(count):
        levels = [between(chance) for _ in range(setups)]
        made.append(of_logs(*([level + chance.gauss(0, 0.002) for _ in range(2)] for level in levels)))
    return made


def missed(ratios: Sequence[Ratio]) -> float:
    """Return in what share of these runs the 95 % interval leaves 1 out."""
    out = [one for one in ratios if (own := one.interval()) and not own.low <= 1 <= own.high]
    return len(out) / len(ratios)


@pytest.mark.parametrize("setups", [2, 6])
def test_interval_holds_the_truth_as_often_as_it_says(setups: int) -> None:
    assert missed(sets(normal, setups)) == pytest.approx(0.05, abs=0.015)


def test_blocks_as_samples_would_not_hold_it() -> None:
    """What differs from set-up to set-up is no part of an interval that is made of blocks."""
    chance = random.Random(1)  # noqa: S311 - see above
    out = 0
    for _ in range(1000):
        levels = [normal(chance) for _ in range(3)]
        ours = [math.exp(level + chance.gauss(0, 0.002)) for level in levels for _ in range(2)]
        interval = stats.paired_ratio(ours, [1.0] * 6).interval()
        assert interval is not None
        out += not interval.low <= 1 <= interval.high
    assert out > 150


def test_fewer_set_ups_than_a_verdict_takes_may_all_fall_into_one_band() -> None:
    assert missed(sets(bands, 3)) == pytest.approx(0.25, abs=0.03)
    assert missed(sets(bands, MIN_SETUPS - 1)) > 0.05
    assert missed(sets(bands, MIN_SETUPS)) < 0.045


def test_differences_of_shares_are_nested_as_well() -> None:
    """Means .01, .02, .03: s .01. Within, each block is .001 off: w^2 = 6 x .001^2 / 3; both in percentage points."""
    ours = [0.009, 0.011, 0.019, 0.021, 0.029, 0.031]
    found = nested_difference(ours, [0.0] * 6, [1, 1, 2, 2, 3, 3], (1e6, 1e6))
    assert (found.n, found.freedom) == (3, 2)
    assert found.difference == pytest.approx(0.02)
    assert found.error == pytest.approx(0.01 / math.sqrt(3))
    assert found.spread is not None
    assert found.spread.within == pytest.approx(math.sqrt(2e-6))
    assert found.spread.between == pytest.approx(math.sqrt(1e-4 - 2e-6 / 2))


def test_what_reads_alike_on_every_set_up_is_not_exact() -> None:
    """Neither figures that come in steps, nor losses of none: errors are at least those of the blocks as samples."""
    setups = [1, 1, 2, 2, 3, 3]
    steps = (1e-6, 1e-6)
    assert nested_ratio([1e-4] * 6, [1e-4] * 6, setups, steps).error == pytest.approx(
        stats.paired_ratio([1e-4] * 6, [1e-4] * 6, steps).error
    )
    tries = (300.0, 300.0)
    nothing = nested_difference([0.0] * 6, [0.0] * 6, setups, tries)
    assert nothing.error == pytest.approx(shares.paired_difference([0.0] * 6, [0.0] * 6, tries).error)


def test_no_share_has_no_difference() -> None:
    with pytest.raises(ValueError, match="no values"):
        nested_difference([], [], [], (1.0, 1.0))
