from __future__ import annotations

import math
import random

import pytest
from scipy import stats as scipy_stats

from harness.report import notes
from harness.truth import stats
from harness.truth.stats import Question, Ratio, Verdict


def test_paired_ratio_of_known_differences() -> None:
    # Log-ratios .1, .2, .3: mean .2, standard error .1 / sqrt(3), t(2) = 4.302653 (printed tables: 4.303).
    # The p-value has a closed form at two degrees of freedom: 1 - t / sqrt(2 + t^2).
    underlay = [2.0, 5.0, 3.0]
    overlay = [base * math.exp(d) for base, d in zip(underlay, [0.1, 0.2, 0.3], strict=True)]
    found = stats.paired_ratio(overlay, underlay)
    half, t = 4.302653 * 0.1 / math.sqrt(3), 0.2 / (0.1 / math.sqrt(3))
    assert found.n == 3
    assert found.ratio == pytest.approx(math.exp(0.2))
    assert found.low == pytest.approx(math.exp(0.2 - half), rel=1e-6)
    assert found.high == pytest.approx(math.exp(0.2 + half), rel=1e-6)
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_drift_that_both_sides_saw_cancels() -> None:
    underlay = [100.0, 80.0, 60.0, 40.0]
    found = stats.paired_ratio([0.9 * value for value in underlay], underlay)
    assert [found.ratio, found.low, found.high] == pytest.approx([0.9, 0.9, 0.9])


def test_welch_ratio_agrees_with_scipy_on_logarithms() -> None:
    before, after = [100.0, 103.0, 98.0, 101.0, 99.5], [91.0, 97.0, 94.0, 90.0, 95.5, 93.0, 99.0]
    reference = scipy_stats.ttest_ind([math.log(v) for v in after], [math.log(v) for v in before], equal_var=False)
    low, high = reference.confidence_interval(0.95)
    found = stats.welch_ratio(after, before)
    assert found.n == 5
    assert math.log(found.ratio) == pytest.approx(
        sum(map(math.log, after)) / 7 - sum(map(math.log, before)) / 5, abs=1e-12
    )
    assert [found.low, found.high] == pytest.approx([math.exp(low), math.exp(high)])
    assert found.p_value == pytest.approx(float(reference.pvalue))


@pytest.mark.parametrize(
    ("found", "p_value"),
    [
        (stats.paired_ratio([5.0, 5.0], [5.0, 5.0]), 1.0),  # A/A without any scatter
        (stats.paired_ratio([4.0, 4.0], [8.0, 8.0]), 0.0),
        (stats.welch_ratio([4.0, 4.0], [8.0, 8.0]), 0.0),
    ],
)
def test_no_scatter_gives_an_interval_without_width(found: Ratio, p_value: float) -> None:
    assert found.low == found.high == found.ratio
    assert found.p_value == p_value


def test_one_pair_has_a_ratio_and_no_interval() -> None:
    for found in (stats.paired_ratio([3.0], [4.0]), stats.welch_ratio([3.0], [4.0, 4.0])):
        assert found.ratio == pytest.approx(0.75)
        assert (found.low, found.high, found.p_value, found.n) == (None, None, None, 1)


NEARLY = [5.0, 5.0 + 1e-15, 5.0 - 1e-15]


@pytest.mark.parametrize(
    "found",
    [stats.paired_ratio(NEARLY, [4.0] * 3), stats.welch_ratio(NEARLY, [4.0] * 3), stats.welch_ratio(NEARLY, NEARLY)],
)
def test_values_that_differ_by_a_rounding_have_a_ratio_all_the_same(found: Ratio) -> None:
    """SciPy would warn of lost precision; a warning is no error, and the interval stays around the ratio."""
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.ratio <= found.high
    assert [found.low, found.high] == pytest.approx([found.ratio] * 2, rel=1e-9)


def test_welch_with_one_side_that_does_not_scatter() -> None:
    found = stats.welch_ratio([90.0, 91.0, 89.0, 90.5], [100.0] * 4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.ratio < found.high < 1
    assert found.p_value is not None
    assert 0 < found.p_value < 0.001


def test_welch_of_a_single_value_has_no_interval() -> None:
    found = stats.welch_ratio([3.0], [4.0, 4.0, 4.5])
    assert (found.low, found.high, found.p_value, found.n) == (None, None, None, 1)


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
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true_ratio <= found.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors of 2000 draws


def test_benjamini_hochberg_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4/1, 4/2, 4/3, 4/4, then the smallest from the right: .02 .02 .04 .04.
    adjusted = stats.benjamini_hochberg([0.01, None, 0.04, 0.03, 0.005])
    assert adjusted == [pytest.approx(0.02), None, pytest.approx(0.04), pytest.approx(0.04), pytest.approx(0.02)]
    assert stats.benjamini_hochberg([None]) == [None]
    assert stats.benjamini_hochberg([]) == []


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
    ("cv", "blocks", "warning"),
    [
        (None, 6, None),
        (0.05, 6, None),
        (0.071, 6, "cv 7 %: noisy, use --blocks 10 or a quieter machine"),
        (0.2, 10, "cv 20 %: noisy, use --blocks 20 or a quieter machine"),
    ],
)
def test_spread_warning(cv: float | None, blocks: int, warning: str | None) -> None:
    note = notes.spread(cv, blocks)
    assert (note and str(note)) == warning
    assert (note and note.value) == (cv if warning else None), "spreads of several rows are joined by it"


@pytest.mark.parametrize(
    ("blocks", "cv", "refused"),
    [
        (0, None, Verdict.NO_FIGURE),
        (1, None, Verdict.NOT_ENOUGH_BLOCKS),
        (5, 0.001, Verdict.NOT_ENOUGH_BLOCKS),
        (5, 0.5, Verdict.NOT_ENOUGH_BLOCKS),
        (6, 0.1001, Verdict.TOO_NOISY),
        (6, 0.1, None),
        (6, 0.0, None),
    ],
)
def test_refusal(blocks: int, cv: float | None, refused: Verdict | None) -> None:
    assert stats.refusal(blocks, cv) == refused


def test_verdicts_are_adjusted_together_and_refused_ones_do_not_count() -> None:
    def question(ratio: float, p_value: float, *, higher: bool = True, refused: Verdict | None = None) -> Question:
        return Question(Ratio(ratio, None, None, p_value, 6), higher, refused)

    # .01 and .04 among four tests become .04 and .053; a refused p of 0 in the family would have let .04 pass.
    asked = [
        question(0.9, 0.01),
        question(0.9, 0.04),
        question(0.9, 0.03),
        question(0.9, 0.9),
        question(0.5, 0.0, refused=Verdict.TOO_NOISY),
        None,
        Question(None, higher_is_better=True, refused=Verdict.NO_FIGURE),
    ]
    assert stats.verdicts(asked) == [
        Verdict.WORSE,
        Verdict.NO_DIFFERENCE,
        Verdict.NO_DIFFERENCE,
        Verdict.NO_DIFFERENCE,
        Verdict.TOO_NOISY,
        None,
        Verdict.NO_FIGURE,
    ]


@pytest.mark.parametrize(
    ("ratio", "higher_is_better", "verdict"),
    [(0.9, True, "worse"), (1.1, True, "better"), (0.9, False, "better"), (1.1, False, "worse")],
)
def test_worse_and_better_follow_the_metric(ratio: float, higher_is_better: bool, verdict: str) -> None:
    asked = Question(Ratio(ratio, None, None, 0.001, 6), higher_is_better, None)
    assert stats.verdicts([asked]) == [verdict]
