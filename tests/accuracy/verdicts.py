"""What one row finds: the smallest loss, and how often it says `same` or `worse` where that is right and where not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from harness.truth.stats import ALPHA, Ratio, paired_ratio, percentiles
from harness.truth.verdicts import MARGIN, Question, Verdict, answers, verdict_of
from tests.accuracy.noise import ARMS
from tests.accuracy.tables import Case, Figures, Table, percent

FAMILY = 18
FOUND_PERCENT = 80


def paired(rng: Generator, sets: int, blocks: int, cv: float) -> Iterator[Ratio]:
    """Yield a ratio without any difference for each set."""
    for ours, theirs in np.exp(rng.normal(0, cv, (sets, ARMS, blocks))).tolist():
        yield paired_ratio(ours, theirs)


def loss_found(ratios: list[Ratio], alpha: float, margin: float) -> float:
    """Return the loss that so many of these, had they had it, would have told from the margin.

    A loss L takes each end of an interval times 1 - L, so high x (1 - L) < 1 - margin is where it is told.
    """
    intervals = [ratio.interval(alpha) for ratio in ratios]
    needed = [1 - (1 - margin) / interval.high for interval in intervals if interval]
    return percentiles(needed, [FOUND_PERCENT])[0]


def smallest(cv: float) -> Case:
    def run(rng: Generator, sets: int) -> Figures:
        drawn = [list(paired(rng, sets, blocks, cv)) for blocks in (6, 10, 20)]
        kinds = ((ALPHA, 0.0), (ALPHA / FAMILY, 0.0), (ALPHA, MARGIN))
        return [[100 * loss_found(ratios, alpha, margin) for ratios in drawn] for alpha, margin in kinds]

    return Case(f"{cv:.1%}".replace("%", " %"), run)


SMALLEST = Table(
    f"Smallest loss found in {FOUND_PERCENT} % of cases",
    "CV",
    [("one row, 6/10/20", ".2f"), ("among 18, 6/10/20", ".2f"), ("margin 1 %, 6/10/20", ".2f")],
    [smallest(cv) for cv in (0.002, 0.005, 0.01, 0.02, 0.05)],
)


def said(truth: float, blocks: int) -> Case:
    def run(rng: Generator, sets: int) -> Figures:
        figures: list[list[float]] = [[], []]
        for cv in (0.002, 0.005, 0.01):
            verdicts = []
            for one in paired(rng, sets, blocks, cv):
                (answer,) = answers([Question(Ratio(one.ratio * truth, one.error, one.freedom, one.n))], MARGIN)
                assert answer is not None
                verdicts.append(verdict_of(answer.place, higher_is_better=True))
            for column, verdict in zip(figures, (Verdict.SAME, Verdict.WORSE), strict=True):
                column.append(percent(verdicts.count(verdict), sets))
        return figures

    return Case(f"{truth:.3f}, {blocks} blocks", run)


SAID = Table(
    "What is said of a true ratio, margin 1 %",
    "true ratio",
    [("same, CV .2/.5/1 %", ".1f"), ("worse, CV .2/.5/1 %", ".1f")],
    [said(truth, blocks) for truth in (1.0, 0.995, 1 - MARGIN, 0.985, 0.98) for blocks in (6, 10)],
)
