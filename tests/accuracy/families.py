"""What becomes of rows that are asked together: how often one misleads, and how often those that decide miss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from harness.truth.stats import Ratio, paired_ratio
from harness.truth.verdicts import MARGIN, Answer, Place, Question, answers, place_of
from tests.accuracy.noise import ARMS, PROFILE, UNDERLAY
from tests.accuracy.tables import Case, Figures, Table, percent

BLOCKS = 10
CV = 0.01


def misleads(answer: Answer, truth: float, margin: float) -> bool:
    """Tell whether a row says what is not so."""
    return {
        Place.OPEN: False,
        Place.BELOW: truth >= 1 - margin,
        Place.WITHIN: not 1 - margin <= truth <= 1 + margin,
        Place.ABOVE: truth <= 1 + margin,
    }[answer.place]


def missed(told: Sequence[tuple[Answer, float]]) -> float:
    """Return the share of the rows which decide something whose intervals do not hold the truth, 0 where none does."""
    chosen = [(answer.interval, truth) for answer, truth in told if answer.place is not Place.OPEN and answer.interval]
    return sum(not interval.low <= truth <= interval.high for interval, truth in chosen) / max(len(chosen), 1)


def asked(ratios: Sequence[Ratio], margin: float) -> list[Answer | None]:
    return answers([*map(Question, ratios)], margin)


def by_itself(ratio: Ratio, margin: float) -> Answer:
    """Return what a row would say without regard to the others: its 95 % interval, and where that lies."""
    interval = ratio.interval()
    return Answer(place_of(Question(ratio), interval, margin), interval)


def case(name: str, ratios: Sequence[float], margin: float, *, sd: float = 0.0, one_baseline: bool = False) -> Case:
    """Return a row; true ratios are those given, apart from them by `sd` where they differ."""

    def run(rng: Generator, sets: int) -> Figures:
        truths = np.asarray(ratios) * np.exp(rng.normal(0, sd, (sets, len(ratios))))
        logs = rng.normal(0, CV, (sets, len(ratios), ARMS, BLOCKS))
        if one_baseline:
            logs[:, :, UNDERLAY] = logs[:, :1, UNDERLAY]
        logs[:, :, PROFILE] += np.log(truths)[..., np.newaxis]
        misled = decided = 0
        adjusted = alone = 0.0
        for figures, true in zip(np.exp(logs).tolist(), truths.tolist(), strict=True):
            found = [paired_ratio(ours, theirs) for ours, theirs in figures]
            family = [(answer, truth) for answer, truth in zip(asked(found, margin), true, strict=True) if answer]
            misled += any(misleads(answer, truth, margin) for answer, truth in family)
            decided += sum(answer.place is not Place.OPEN for answer, _ in family)
            adjusted += missed(family)
            alone += missed([(by_itself(one, margin), truth) for one, truth in zip(found, true, strict=True)])
        rows = sets * len(ratios)
        return [[percent(decided, rows)], [percent(misled, sets)], [percent(adjusted, sets), percent(alone, sets)]]

    return Case(name, run)


FAMILIES = Table(
    "Rows that are asked together",
    "rows",
    [("decide", ".1f"), ("mislead", ".1f"), ("miss, adjusted/alone", ".1f")],
    [
        case("18 of 1, margin 0", [1.0] * 18, 0.0),
        case("18 of 1, one baseline, margin 0", [1.0] * 18, 0.0, one_baseline=True),
        case("18 of 1, margin 1 %", [1.0] * 18, MARGIN),
        case("18 of 0.99, margin 1 %", [1 - MARGIN] * 18, MARGIN),
        case("18 about 1 by 1 %, margin 0", [1.0] * 18, 0.0, sd=0.01),
        case("18 about 1 by 1 %, margin 1 %", [1.0] * 18, MARGIN, sd=0.01),
        case("6 of 1, margin 0", [1.0] * 6, 0.0),
        case("6 of 1 beside 12 of 0.9, margin 0", [1.0] * 6 + [0.9] * 12, 0.0),
    ],
)
