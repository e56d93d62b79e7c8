"""How often an interval holds the truth, by what makes figures scatter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from harness.truth.stats import Ratio, moments_of, paired_ratio, welch
from tests.accuracy.noise import PROFILE, UNDERLAY, Noise, drift, heavy, normal, stalls, states, together, wander
from tests.accuracy.tables import Case, Figures, Table, percent

TRUTH = 0.9655
"""What profile / underlay is in both runs: VXLAN's headers at 1450."""
SHARE, DEPTH = 0.05, 0.15
MEAN_OF_STALLS = math.exp(SHARE * math.log1p(-DEPTH))
"""What becomes of a geometric mean when such a share of the figures reads less by so much."""

Run = Sequence[Sequence[float]]
"""The figures of the profile and of the underlay, by block."""


def holds(ratio: Ratio, truth: float) -> bool:
    """Tell whether the 95 % interval of a ratio holds the truth."""
    interval = ratio.interval()
    assert interval is not None
    return interval.low <= truth <= interval.high


def half_width(ratio: Ratio) -> float:
    """Return that of the 95 % interval of a ratio, in per cent."""
    interval = ratio.interval()
    assert interval is not None
    return 100 * interval.half_width


def simulated(noise: Noise, rng: Generator, sets: int, blocks: int) -> Iterator[tuple[Run, Run]]:
    """Yield runs A and B of each set."""
    logs = noise(rng, sets, blocks)
    logs[:, :, PROFILE] += math.log(TRUTH)
    yield from ((a, b) for a, b in np.exp(logs).tolist())


def by_block(run: Run) -> list[float]:
    """Return a run's ratios to its own underlay, one a block."""
    return [ours / theirs for ours, theirs in zip(run[PROFILE], run[UNDERLAY], strict=True)]


Statistic = Callable[[Run, Run], Ratio]


def welch_ratio(after: Sequence[float], before: Sequence[float]) -> Ratio:
    """Return Welch's ratio of two samples."""
    return welch(*(moments_of([math.log(value) for value in own]) for own in (after, before)))


def one_run(_: Run, b: Run) -> Ratio:
    """Profile / underlay of run B, over its truth."""
    found = paired_ratio(b[PROFILE], b[UNDERLAY])
    return replace(found, ratio=found.ratio / TRUTH)


def ratios(a: Run, b: Run) -> Ratio:
    """Run B's ratios to its own underlay over run A's."""
    return welch_ratio(by_block(b), by_block(a))


def figures(a: Run, b: Run) -> Ratio:
    """Run B's figures of the profile over run A's."""
    return welch_ratio(b[PROFILE], a[PROFILE])


def case(
    name: str,
    noise: Noise,
    truth: float = 1.0,
    statistics: Sequence[Statistic] = (one_run, ratios, figures),
    numbers: Sequence[int] = (6, 10),
) -> Case:
    """Return a row: the share of sets whose interval holds the truth, by statistic and number of blocks."""

    def run(rng: Generator, sets: int) -> Figures:
        held = [[0] * len(numbers) for _ in statistics]
        for place, blocks in enumerate(numbers):
            for a, b in simulated(noise, rng, sets, blocks):
                for counts, statistic in zip(held, statistics, strict=True):
                    counts[place] += holds(statistic(a, b), truth)
        return [[percent(count, sets) for count in counts] for counts in held]

    return Case(name, run)


def stalled(name: str, cv: float, truth: float) -> Case:
    noise = together(normal(cv), stalls(SHARE, DEPTH, one_arm=True))
    return case(name, noise, truth, (one_run, ratios), (6, 10, 40))


COVERAGE = Table(
    "How often the interval holds the truth",
    "noise",
    [("one run, 6/10", ".1f"), ("ratios, 6/10", ".1f"), ("figures, 6/10", ".1f")],
    [
        case("normal, CV 0.2 %", normal(0.002)),
        case("normal, CV 2 %", normal(0.02)),
        case("normal, CV 8 %", normal(0.08)),
        case("heavy tails, t with 3 df", heavy(0.02)),
        case("5 % stall, both arms", together(normal(0.02), stalls(SHARE, DEPTH, one_arm=False))),
        case("drift of 5 % a run", together(normal(0.005), drift(0.05))),
        case("drift of 40 % a run", together(normal(0.005), drift(0.40))),
        case("AR(1) .9 by trial", wander(0.9, 0.02)),
        case("AR(1) .98 by trial", wander(0.98, 0.02)),
        case("offset of a run, sd 0.2 %", together(normal(0.002), states(0.002))),
        case("offset of a run, sd 2 %", together(normal(0.002), states(0.02))),
        case("drift, offset, heavy tails", together(heavy(0.005), drift(0.05), states(0.005))),
    ],
)

ONE_ARM = Table(
    "One arm stalls in 5 % of its trials",
    "held against",
    [("one run, 6/10/40", ".1f"), ("ratios, 6/10/40", ".1f")],
    [
        stalled("typical value, CV 0.2 %", 0.002, 1.0),
        stalled("geometric mean, CV 0.2 %", 0.002, MEAN_OF_STALLS),
        stalled("typical value, CV 2 %", 0.02, 1.0),
        stalled("geometric mean, CV 2 %", 0.02, MEAN_OF_STALLS),
    ],
)
