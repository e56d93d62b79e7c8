"""Two levels of repetition: blocks in set-ups, blocks in runs; the highest level that varies is the sample."""

from __future__ import annotations

from itertools import chain
from statistics import geometric_mean

import numpy as np
from numpy.random import Generator

from harness.truth.stats import Ratio, paired_ratio
from tests.accuracy.coverage import by_block, half_width, holds, welch_ratio
from tests.accuracy.noise import ARMS, PROFILE
from tests.accuracy.tables import Case, Figures, Table, percent

CV = 0.005
COUNTS = (1, 3, 6)
"""How many set-ups a run has, or how many runs there are on each side."""
TOTAL = 12
"""Blocks of a run, whatever the number of its set-ups."""
BLOCKS = 6
"""Blocks of each of several runs."""


def of(sides: list[list[float]]) -> Ratio:
    """Return what ratios are against 1, or, where there are two sides, the second one's over the first one's."""
    return welch_ratio(sides[1], sides[0]) if len(sides) > 1 else paired_ratio(sides[0], [1.0] * len(sides[0]))


def case(sd: float, sides: int) -> Case:
    """Return a row: groups (set-ups of one side, runs of two) differ by `sd` in the ratio of profile to underlay."""

    def run(rng: Generator, sets: int) -> Figures:
        held: tuple[list[float], list[float]] = [], []
        widths = []
        for count in COUNTS:
            blocks = BLOCKS if sides > 1 else TOTAL // count
            logs = rng.normal(0, CV, (sets, sides, count, ARMS, blocks))
            logs[..., PROFILE, :] += rng.normal(0, sd, (sets, sides, count, 1))
            ratios = [[[by_block(group) for group in side] for side in drawn] for drawn in np.exp(logs).tolist()]
            single = [of([list(chain.from_iterable(side)) for side in drawn]) for drawn in ratios]
            held[0].append(percent(sum(holds(ratio, 1.0) for ratio in single), sets))
            if count > 1:
                means = [of([[geometric_mean(group) for group in side] for side in drawn]) for drawn in ratios]
                held[1].append(percent(sum(holds(ratio, 1.0) for ratio in means), sets))
                widths.append(float(np.median([half_width(ratio) for ratio in means])))
        return [*held, widths]

    return Case(f"{sd:.1%}".replace("%", " %"), run)


SDS = (0.0, 0.002, 0.005, 0.01)

SETUPS = Table(
    f"Set-ups that differ, {TOTAL} blocks in all",
    "sd",
    [("blocks, 1/3/6", ".1f"), ("set-ups, 3/6", ".1f"), ("half-width, 3/6", ".2f")],
    [case(sd, sides=1) for sd in SDS],
)

RUNS = Table(
    f"Runs that differ, {BLOCKS} blocks each, B against A",
    "sd",
    [("blocks, 1/3/6", ".1f"), ("runs, 3/6", ".1f"), ("half-width, 3/6", ".2f")],
    [case(sd, sides=2) for sd in SDS],
)
