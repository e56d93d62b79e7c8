from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

import pytest
from scipy import stats as scipy_stats

from harness.report import notes
from harness.truth import stats, verdicts
from harness.truth.stats import Interval, Moments, Ratio
from harness.truth.verdicts import AgainstCeiling, Place, Question, Verdict


def limits(ratio: Ratio, alpha: float = 0.05) -> list[float]:
    """Return both ends of an interval that has to be there."""
    interval = ratio.interval(alpha)
    assert interval is not None
    return [interval.low, interval.high]


def welch_ratio(after: Sequence[float], before: Sequence[float]) -> Ratio:
    """Return Welch's ratio of plain figures."""
    logs = [[math.log(value) for value in side] for side in (after, before)]
    made = [
        Moments(len(one), statistics.fmean(one), statistics.variance(one) if len(one) > 1 else None) for one in logs
    ]
    return stats.welch(*made)


@pytest.mark.parametrize("offset", [0.0, 1.0, -1e9, 1e15])
@pytest.mark.parametrize("sd", [0.0, 1e-3, 1.0, 1e6])
def test_variance_is_as_exact_fractions_have_it(offset: float, sd: float) -> None:
    dice = random.Random(f"{offset} {sd}")  # noqa: S311 - a reproducible series, not a secret
    for count in (2, 3, 7, 60):
        values = [offset + dice.gauss(0, sd) for _ in range(count)]
        assert stats.variance(values) == pytest.approx(statistics.variance(values), rel=1e-12, abs=1e-30)
        assert stats.deviation(values) == pytest.approx(statistics.stdev(values), rel=1e-12, abs=1e-15)


def test_paired_ratio_of_known_differences() -> None:
    # Log-ratios .1, .2, .3: mean .2, standard error .1 / sqrt(3); t(2) = 4.302653 at 95 %, 9.924843 at 99 %.
    underlay = [2.0, 5.0, 3.0]
    overlay = [base * math.exp(d) for base, d in zip(underlay, [0.1, 0.2, 0.3], strict=True)]
    found = stats.paired_ratio(overlay, underlay)
    assert (found.n, found.freedom) == (3, 2)
    assert found.ratio == pytest.approx(math.exp(0.2))
    for alpha, t in ((0.05, 4.302653), (0.01, 9.924843)):
        half = t * 0.1 / math.sqrt(3)
        assert limits(found, alpha) == pytest.approx([math.exp(0.2 - half), math.exp(0.2 + half)], rel=1e-6)


def test_paired_ratio_agrees_with_scipy_on_logarithms() -> None:
    overlay, underlay = [91.0, 97.0, 94.0, 90.0, 95.5, 93.0], [100.0, 103.0, 98.0, 101.0, 99.5, 102.0]
    reference = scipy_stats.ttest_rel([math.log(v) for v in overlay], [math.log(v) for v in underlay])
    low, high = reference.confidence_interval(0.95)
    assert limits(stats.paired_ratio(overlay, underlay)) == pytest.approx([math.exp(low), math.exp(high)])


def test_drift_that_both_sides_saw_cancels() -> None:
    underlay = [100.0, 80.0, 60.0, 40.0]
    found = stats.paired_ratio([0.9 * value for value in underlay], underlay)
    assert [found.ratio, *limits(found)] == pytest.approx([0.9, 0.9, 0.9])


def test_welch_ratio_agrees_with_scipy_on_logarithms() -> None:
    before, after = [100.0, 103.0, 98.0, 101.0, 99.5], [91.0, 97.0, 94.0, 90.0, 95.5, 93.0, 99.0]
    reference = scipy_stats.ttest_ind([math.log(v) for v in after], [math.log(v) for v in before], equal_var=False)
    found = welch_ratio(after, before)
    assert found.n == 5
    assert found.freedom == pytest.approx(float(reference.df))
    assert math.log(found.ratio) == pytest.approx(
        sum(map(math.log, after)) / 7 - sum(map(math.log, before)) / 5, abs=1e-12
    )
    for confidence in (0.95, 0.995):
        low, high = reference.confidence_interval(confidence)
        assert limits(found, 1 - confidence) == pytest.approx([math.exp(low), math.exp(high)])


@pytest.mark.parametrize(
    "found",
    [
        stats.paired_ratio([5.0, 5.0], [5.0, 5.0]),  # A/A without any scatter
        stats.paired_ratio([4.0, 4.0], [8.0, 8.0]),
        welch_ratio([4.0, 4.0], [8.0, 8.0]),
    ],
)
def test_no_scatter_gives_an_interval_without_width(found: Ratio) -> None:
    assert limits(found) == [found.ratio] * 2


def test_one_value_has_a_ratio_and_no_interval() -> None:
    one = [stats.paired_ratio([3.0], [4.0]), welch_ratio([3.0], [4.0, 4.0]), welch_ratio([3.0, 3.0], [4.0])]
    for found in one:
        assert found.ratio == pytest.approx(0.75)
        assert (found.interval(), found.n) == (None, 1)


def test_welch_with_one_side_that_does_not_scatter() -> None:
    found = welch_ratio([90.0, 91.0, 89.0, 90.5], [100.0] * 4)
    low, high = limits(found)
    assert found.freedom == pytest.approx(3)
    assert low < found.ratio < high < 1


@pytest.mark.parametrize(("values", "median"), [([], None), ([3.0], 3.0), ([9.0, 1.0, 4.0], 4.0), ([4.0, 1.0], 2.5)])
def test_median(values: list[float], median: float | None) -> None:
    assert stats.median(values) == median


@pytest.mark.parametrize(("overlay", "underlay"), [([], []), ([1.0], [0.0]), ([-1.0], [1.0]), ([1.0], [1.0, 2.0])])
def test_what_has_no_ratio_is_refused(overlay: list[float], underlay: list[float]) -> None:
    with pytest.raises(ValueError):
        stats.paired_ratio(overlay, underlay)


@pytest.mark.parametrize(("blocks", "true_ratio"), [(6, 1.0), (10, 0.9655)])
def test_interval_covers_the_truth_as_often_as_it_says(blocks: int, true_ratio: float) -> None:
    scatter = random.Random(20)  # noqa: S311 - a reproducible simulation, not a secret
    covered = 0
    for _ in range(2000):
        drift = [scatter.gauss(0, 0.05) for _ in range(blocks)]
        underlay = [math.exp(common + scatter.gauss(0, 0.01)) for common in drift]
        overlay = [true_ratio * math.exp(common + scatter.gauss(0, 0.01)) for common in drift]
        found = stats.paired_ratio(overlay, underlay)
        low, high = limits(found)
        covered += low <= true_ratio <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors of 2000 draws


@pytest.mark.parametrize(
    ("samples", "percent", "value"),
    [
        ([15, 20, 35, 40, 50], 5, 15),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([15, 20, 35, 40, 50], 0, 15),
        (list(range(100, 0, -1)), 7, 7),  # 0.07 * 100 is more than 7 in floating point
        (list(range(1, 101)), 99, 99),
        ([3], 99, 3),
    ],
)
def test_percentiles_are_nearest_rank(samples: list[float], percent: float, value: float) -> None:
    assert stats.percentiles(samples, [percent]) == [value]


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1.0], 101), ([1.0], -1)])
def test_percentiles_refuse_what_has_no_meaning(samples: list[float], percent: float) -> None:
    with pytest.raises(ValueError):
        stats.percentiles(samples, [percent])


@pytest.mark.parametrize(
    ("values", "cv"),
    [([9.0, 10.0, 11.0], 0.1), ([5.0, 5.0], 0.0), ([5.0], None), ([], None), ([-1.0, 1.0], None)],
)
def test_coefficient_of_variation(values: list[float], cv: float | None) -> None:
    assert stats.coefficient_of_variation(values) == (None if cv is None else pytest.approx(cv))


@pytest.mark.parametrize(
    ("blocks", "refused"),
    [(0, Verdict.NO_FIGURE), (1, Verdict.NOT_ENOUGH_BLOCKS), (5, Verdict.NOT_ENOUGH_BLOCKS), (6, None)],
)
def test_refusal(blocks: int, refused: Verdict | None) -> None:
    """How much figures scatter is no reason: it is in the interval already."""
    assert verdicts.refusal(blocks) == refused


def ratio(value: float, error: float, n: int = 6) -> Ratio:
    return Ratio(value, error, n - 1, n)


@pytest.mark.parametrize(
    ("low", "high", "place", "higher", "lower"),
    [
        (0.90, 0.989, Place.BELOW, "worse", "better"),
        (1.011, 1.2, Place.ABOVE, "better", "worse"),
        (0.991, 1.009, Place.WITHIN, "same", "same"),
        (0.99, 1.01, Place.WITHIN, "same", "same"),
        (0.95, 0.995, Place.OPEN, "inconclusive", "inconclusive"),
        (0.95, 1.05, Place.OPEN, "inconclusive", "inconclusive"),
        (1.005, 1.2, Place.OPEN, "inconclusive", "inconclusive"),  # leaves 1 out, and not by the margin
    ],
)
def test_a_verdict_is_where_its_interval_lies(low: float, high: float, place: Place, higher: str, lower: str) -> None:
    assert verdicts.place_of(Question(ratio(1.0, 0.0)), Interval(low, high), 0.01) is place
    assert verdicts.verdict_of(place, higher_is_better=True) == higher
    assert verdicts.verdict_of(place, higher_is_better=False) == lower


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.9655, AgainstCeiling.HEADERS_ONLY),
        (0.95, AgainstCeiling.MORE_THAN_HEADERS),
        (0.98, AgainstCeiling.ABOVE_THE_CEILING),
        (0.957, AgainstCeiling.INCONCLUSIVE),
    ],
)
def test_a_ratio_is_held_against_its_ceiling(value: float, verdict: AgainstCeiling) -> None:
    (answer,) = verdicts.answers([Question(ratio(value, 0.001), 0.9655)], 0.01)
    assert answer is not None
    assert verdicts.CEILING_VERDICTS[answer.place] == verdict


def test_intervals_of_a_family_are_as_wide_as_the_share_of_it_that_decides_demands() -> None:
    """At 1 - 3/4 x 5 % three of four decide something; all four at 95 % do not. Beside others, nothing is asked."""
    decided = [ratio(0.9, 0.01), ratio(1.1, 0.01), ratio(1.0, 0.001)]
    family = [*decided, ratio(1.0, 0.1)]
    found = verdicts.answers([Question(family[0]), None, *map(Question, family[1:])], 0.01)
    assert found[1] is None
    answers = [answer for answer in found if answer]
    assert [answer.place for answer in answers] == [Place.BELOW, Place.ABOVE, Place.WITHIN, Place.OPEN]
    for answer, one in zip(answers, family, strict=True):
        assert answer.interval == one.interval(0.05 * 3 / 4)


def test_where_nothing_decides_all_intervals_are_widest() -> None:
    family = [ratio(1.0, 0.05), ratio(1.02, 0.05)]
    assert [answer and answer.interval for answer in verdicts.answers([*map(Question, family)], 0.01)] == [
        one.interval(0.05 / 2) for one in family
    ]


def test_the_widest_level_at_which_enough_decide_is_found_for_any_family() -> None:
    """As if every number of rows were tried, from all of them down."""
    scatter = random.Random(4)  # noqa: S311 - a reproducible simulation, not a secret
    shares = set()
    for _ in range(60):
        family = [ratio(math.exp(scatter.gauss(0, 0.02)), scatter.choice((0.002, 0.01, 0.03))) for _ in range(12)]
        levels = [0.05 * count / 12 for count in range(12, 0, -1)]
        wanted = next(
            (
                level
                for level in levels
                if sum(verdicts.place_of(Question(one), one.interval(level), 0.01) is not Place.OPEN for one in family)
                * 0.05
                / 12
                >= level * (1 - 1e-9)
            ),
            levels[-1],
        )
        for answer, one in zip(verdicts.answers([*map(Question, family)], 0.01), family, strict=True):
            assert answer is not None
            assert limits(one, wanted) == pytest.approx([answer.interval.low, answer.interval.high])  # type: ignore[union-attr]
        shares.add(wanted)
    assert len(shares) > 3


@pytest.mark.parametrize(
    ("place", "verdict"),
    [
        (Place.BELOW, Verdict.MOVED),
        (Place.ABOVE, Verdict.MOVED),
        (Place.WITHIN, Verdict.SAME),
        (Place.OPEN, Verdict.INCONCLUSIVE),
    ],
)
def test_the_underlay_is_neither_better_nor_worse(place: Place, verdict: Verdict) -> None:
    assert verdicts.movement_of(place) is verdict


def test_of_those_that_decide_few_are_wrong() -> None:
    """Eighteen rows without any difference, and rows with a great one among them: at most 5 % of all sets mislead."""
    scatter = random.Random(9)  # noqa: S311 - a reproducible simulation, not a secret
    misled = decided = 0
    for _ in range(150):
        questions = []
        for row in range(24):
            shift = -0.3 if row >= 18 else 0.0
            logs = [scatter.gauss(shift, 0.02) for _ in range(8)]
            questions.append(Question(stats.paired_ratio([math.exp(log) for log in logs], [1.0] * 8)))
        places = [answer.place for answer in verdicts.answers(questions, 0.0) if answer]
        wrong = sum(place is not Place.OPEN for place in places[:18])
        misled += wrong
        decided += sum(place is not Place.OPEN for place in places)
        assert set(places[18:]) == {Place.BELOW}
    assert misled / decided < 0.05


@pytest.mark.parametrize(("error", "blocks"), [(0.01, 13), (0.2, None), (0.0, None)])
def test_how_many_blocks_would_tell(error: float, blocks: int | None) -> None:
    """Scatter .0245 a block, .0153 from .975 to .99 in logarithms: t(12) = 2.179, 2.179 x .0245 / √13 = .0148."""
    (answer,) = verdicts.answers([Question(ratio(0.975, error))], 0.01)
    assert answer is not None
    assert answer.blocks == blocks


def test_what_decides_nothing_says_by_how_much() -> None:
    (open_one, narrow) = verdicts.answers([Question(ratio(1.0, 0.05)), Question(ratio(1.0, 0.0001))], 0.01)
    note = notes.wide(open_one, 0.01)
    assert note is not None
    assert str(note).startswith("± 1")
    assert "too wide an interval for a margin of 1%" in str(note)
    assert note.value == open_one.interval.half_width if open_one and open_one.interval else False
    assert notes.wide(narrow, 0.01) is None
    assert notes.wide(None, 0.01) is None


def test_equal_values_that_come_in_steps_are_not_exact() -> None:
    """57 us on both sides of every block, as ping prints them: a step of 1 us leaves .7 % over the root of 6 blocks."""
    exact = stats.paired_ratio([57e-6] * 6, [57e-6] * 6)
    stepped = stats.paired_ratio([57e-6] * 6, [57e-6] * 6, (1e-6, 1e-6))
    assert exact.error == 0.0
    assert stepped.ratio == pytest.approx(1.0)
    assert stepped.error == pytest.approx(2**0.5 / 57 / 12**0.5 / 6**0.5)
    interval = stepped.interval()
    assert interval is not None
    assert interval.low < 1 < interval.high
    scattered = [50e-6, 60e-6, 55e-6, 65e-6]
    assert stats.paired_ratio(scattered, [57e-6] * 4, (1e-6, 1e-6)) == stats.paired_ratio(scattered, [57e-6] * 4)
