"""Series of runs with a change of level at an unknown place, and without: what finds it, and marks nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.truth.changes import LEVEL, change, changes
from tests.accuracy.tables import Case, Figures, Table, percent

Series = NDArray[np.float64]
Scatter = Callable[[Generator, int, int], Series]
"""Takes a generator, how many series, and of how many runs; gives logarithms of their ratios."""
Find = Callable[[Series], tuple[int, ...]]

RUNS = 60
SHIFT = 0.005
SD = 0.003
EDGE = 6
"""Runs that are at least on either side of a change whose place is not given."""
NEAR = 3
"""A mark is at the change where it is no further off than so many runs."""
PERMUTATIONS = 299


def normal(rng: Generator, count: int, runs: int) -> Series:
    return rng.normal(0, SD, (count, runs))


def heavy(rng: Generator, count: int, runs: int) -> Series:
    """Student's t with 3 degrees of freedom, of the same standard deviation."""
    return SD / math.sqrt(3) * rng.standard_t(3, (count, runs))


def odd_runs(rng: Generator, count: int, runs: int) -> Series:
    """One run of twenty is 2 % lower."""
    return normal(rng, count, runs) - 0.02 * (rng.random((count, runs)) < 0.05)


def remembering(correlation: float) -> Scatter:
    """AR(1): a run takes so much of the one before, and all scatter by SD."""

    def draw(rng: Generator, count: int, runs: int) -> Series:
        values = normal(rng, count, runs)
        for now in range(1, runs):
            values[:, now] = correlation * values[:, now - 1] + math.sqrt(1 - correlation**2) * values[:, now]
        return values

    return draw


def case(
    name: str,
    find: Find = lambda values: changes(values.tolist()),
    scatter: Scatter = normal,
    runs: int = RUNS,
    shift: float = SHIFT,
    behind: int | None = None,
) -> Case:
    """Return a row: how often the change is marked near its place, marked at all, marked twice or more; false marks.

    `behind` is how many runs are behind the change; its place is any from EDGE to EDGE before the end otherwise.
    """

    def run(rng: Generator, sets: int) -> Figures:
        near = found = more = false = 0
        for values in scatter(rng, sets, runs):
            place = runs - behind if behind else int(rng.integers(EDGE, runs - EDGE + 1))
            marks = find(values - shift * (np.arange(runs) >= place))
            near += any(abs(mark - place) <= NEAR for mark in marks)
            found += bool(marks)
            more += len(marks) > 1
        for values in scatter(rng, sets, runs):
            false += bool(find(values))
        return [[percent(count, sets)] for count in (near, found, more, false)]

    return Case(name, run)


def by_permutation(values: Series) -> tuple[int, ...]:
    """Student's t as largest over all places, held against the same of the series shuffled."""
    n = len(values)
    places = np.arange(2, n - 1)
    shuffled = np.random.default_rng(7).permuted(np.tile(values - values.mean(), (PERMUTATIONS, 1)), axis=1)
    rows = np.vstack([values - values.mean(), shuffled])
    between = rows.cumsum(axis=1)[:, places - 1] ** 2 * n / (places * (n - places))
    as_large = (between[1:].max(axis=1) >= between[0].max()).sum()
    return (int(places[between[0].argmax()]),) if (1 + as_large) / (1 + PERMUTATIONS) <= LEVEL else ()


def by_ranks(values: Series) -> tuple[int, ...]:
    """Pettitt's test (1979): ranks, so that no value is far off; its own approximation of the probability."""
    n = len(values)
    ranks = values.argsort().argsort() + 1
    moved = np.abs(2 * ranks.cumsum() - np.arange(1, n + 1) * (n + 1))[:-1]
    chance = 2 * math.exp(-6 * float(moved.max()) ** 2 / (n**3 + n**2))
    return (int(moved.argmax()) + 1,) if chance <= LEVEL else ()


def by_sums(values: Series) -> tuple[int, ...]:
    """CUSUM: the largest sum of deviations, by Kolmogorov's distribution; weighs the middle most."""
    n = len(values)
    sums = np.abs((values - values.mean()).cumsum())[:-1] / (values.std(ddof=1) * math.sqrt(n))
    critical = math.sqrt(-math.log(LEVEL / 2) / 2)
    return (int(sums.argmax()) + 1,) if sums.max() > critical else ()


def by_information(values: Series) -> tuple[int, ...]:
    """Schwarz's criterion (1978): whether a second level and a place, two numbers more, are worth it."""
    n = len(values)
    deviations = values - values.mean()
    places = np.arange(2, n - 1)
    between = deviations.cumsum()[places - 1] ** 2 * n / (places * (n - places))
    total = float((deviations**2).sum())
    gain = n * math.log(total / (total - float(between.max())))
    return (int(places[between.argmax()]),) if gain > 2 * math.log(n) else ()


def first_of(values: Series) -> tuple[int, ...]:
    """Return the likeliest change alone, as the others do."""
    place = change(values.tolist())
    return () if place is None else (place,)


_COLUMNS = [("placed", ".1f"), ("found", ".1f"), ("twice", ".1f"), ("false", ".1f")]
DETECTORS = Table(
    f"One change of {100 * SHIFT:g} % in {RUNS} runs, sd {100 * SD:g} %",
    "detector",
    _COLUMNS,
    [
        case("largest t, Bonferroni", first_of),
        case("largest t, permutations", by_permutation),
        case("Pettitt's ranks", by_ranks),
        case("CUSUM", by_sums),
        case("Schwarz's criterion", by_information),
        case("largest t, on both sides again"),
    ],
)
CHANGES = Table(
    "Changes as history marks them",
    "series",
    _COLUMNS,
    [
        case("20 runs", runs=20),
        case("200 runs", runs=200),
        case("the last 2 of 60 runs", behind=2),
        case("the last 4 of 60 runs", behind=4),
        case("the last 10 of 60 runs", behind=10),
        case("change of 0.3 %", shift=0.003),
        case("change of 1 %", shift=0.01),
        case("change of 3 %, last 2 runs", shift=0.03, behind=2),
        case("heavy tails, t with 3 df", scatter=heavy),
        case("5 % of runs lower by 2 %", scatter=odd_runs),
        case("AR(1) .3 by run", scatter=remembering(0.3)),
        case("AR(1) .6 by run", scatter=remembering(0.6)),
    ],
)
