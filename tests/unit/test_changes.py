"""Where the level of a series changes: places, several of them, and what is no change."""

from __future__ import annotations

import random

import pytest

from harness.truth.changes import LEAST_RUNS, change, changes, stretches


def noise(count: int, seed: int, sd: float = 0.003) -> list[float]:
    scatter = random.Random(seed)  # noqa: S311 - a reproducible series, not a secret
    return [scatter.gauss(0, sd) for _ in range(count)]


@pytest.mark.parametrize("place", [2, 10, 30, 58])
def test_a_large_change_is_found_at_its_place(place: int) -> None:
    values = [value - 0.03 * (number >= place) for number, value in enumerate(noise(60, 1))]
    assert place in changes(values)


def test_t_is_that_of_two_samples() -> None:
    """By hand: means 1 and 3, each of three, squares 2 + 2 within: t = 2 / sqrt(4 / 4 x 2 / 3) = 2.449."""
    values = [0.0, 2.0, 1.0, 3.0, 2.0, 4.0]
    assert change(values, 0.0706 * 3) == 3, "two-sided p of 2.449 with 4 degrees of freedom is .0705, over 3 places"
    assert change(values, 0.0704 * 3) is None


def test_several_changes_are_found_one_in_the_other() -> None:
    levels = [0.0] * 20 + [-0.02] * 15 + [-0.01] * 25
    values = [level + value for level, value in zip(levels, noise(60, 2, 0.002), strict=True)]
    assert changes(values) == (20, 35)


@pytest.mark.parametrize("values", [[], [0.1], [0.0] * (LEAST_RUNS - 2) + [9.0], [0.5] * 30, noise(60, 5)])
def test_what_is_no_change(values: list[float]) -> None:
    assert changes(values) == ()


def test_without_any_scatter_a_step_is_one() -> None:
    assert changes([0.1] * 5 + [0.2] * 5) == (5,)


def test_one_run_that_is_off_is_no_change_of_level() -> None:
    values = noise(30, 7)
    assert changes([*values[:-1], values[-1] - 0.03]) == ()


def test_stretches_are_what_lies_between() -> None:
    assert [list(one) for one in stretches(5, (2, 4))] == [[0, 1], [2, 3], [4]]
    assert stretches(0, ()) == []
