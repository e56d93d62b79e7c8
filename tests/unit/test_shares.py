from __future__ import annotations

import numpy as np
import pytest

from harness.truth import stats, verdicts
from harness.truth.shares import Difference, paired_difference
from harness.truth.verdicts import Place, Question


def test_difference_is_the_mean_of_those_of_the_blocks() -> None:
    made = paired_difference([0.03, 0.05, 0.04], [0.01, 0.01, 0.01], (1e9, 1e9))
    assert made.difference == pytest.approx(0.03)
    assert (made.n, made.freedom) == (3, 2)
    assert made.error == pytest.approx(0.01 / 3**0.5)
    interval = made.interval()
    assert interval is not None
    assert interval.low == pytest.approx(0.03 - 4.302653 * 0.01 / 3**0.5)
    assert interval.high == pytest.approx(0.03 + 4.302653 * 0.01 / 3**0.5)


@pytest.mark.parametrize(("tries", "place"), [(3000, Place.WITHIN), (600, Place.WITHIN), (60, Place.OPEN)])
def test_nothing_lost_of_few_does_not_say_that_nothing_ever_is(tries: int, place: Place) -> None:
    """Nothing of 60 leaves room for a true loss of some per cent (the rule of three: 5 %)."""
    made = paired_difference([0.0] * 6, [0.0] * 6, (tries, tries))
    (answer,) = verdicts.answers([Question(made, 0.0)], 0.01)
    assert answer is not None
    assert (answer.place, answer.interval is not None) == (place, True)
    assert answer.interval is not None
    assert answer.interval.high == pytest.approx(-answer.interval.low)
    assert answer.interval.high > 0


def test_one_block_has_no_interval() -> None:
    made = paired_difference([0.02], [0.01], (100, 100))
    assert (made.interval(), made.blocks_to_tell(0.0, 0.01, 0.05)) == (None, None)


@pytest.mark.parametrize(("ours", "base"), [([], []), ([0.1], [0.1, 0.2])])
def test_what_does_not_match_is_refused(ours: list[float], base: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no values|shorter|longer"):
        paired_difference(ours, base, (1, 1))


def test_margin_is_one_of_percentage_points() -> None:
    def place(difference: float) -> Place:
        (answer,) = verdicts.answers([Question(Difference(difference, 0.0001, 5, 6), 0.0)], 0.01)
        assert answer is not None
        return answer.place

    assert [place(value) for value in (-0.02, 0.0, 0.0099, 0.02)] == [
        Place.BELOW,
        Place.WITHIN,
        Place.OPEN,
        Place.ABOVE,
    ]


@pytest.mark.parametrize("loss", [0.0, 0.002, 0.05])
def test_interval_holds_the_truth(loss: float) -> None:
    """Of 400 sets of 6 blocks of 500 echoes in both arms: at least 95 % less what chance allows (3 sd)."""
    shares = np.random.default_rng(7).binomial(500, loss, (400, 2, 6)) / 500
    hits = 0
    for ours, base in shares.tolist():
        interval = paired_difference(ours, base, (3000, 3000)).interval()
        assert interval is not None
        hits += interval.low <= 0 <= interval.high
    assert hits >= 400 * 0.95 - 3 * (400 * 0.95 * 0.05) ** 0.5


def test_blocks_to_tell_are_those_that_would() -> None:
    made = Difference(0.02, 0.01, 5, 6)
    blocks = made.blocks_to_tell(0.0, 0.01, 0.05)
    assert blocks is not None
    sd = 0.01 * 6**0.5
    assert stats.student(blocks - 1, 0.05) * sd / blocks**0.5 < 0.01
    assert stats.student(blocks - 2, 0.05) * sd / (blocks - 1) ** 0.5 >= 0.01
