"""Verdicts: what intervals decide.

A verdict is read off an interval: it lies outside the margin, within it, or neither. Rows that are asked together are a
family, and their intervals are widened so that of those which decide something at most 5 % are expected to miss the
truth (the false coverage rate of Benjamini and Yekutieli 2005). How much rows scatter is no reason to refuse a
verdict: it is in the width of the interval already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.truth.stats import ALPHA, Estimate, Interval

MIN_BLOCKS = 6
"""Fewer decide nothing at 95 %: even a sign test of 5 equal signs has p = .0625."""
MIN_RUNS = 4
"""Runs of each side; fewer decide nothing at 95 %: even a rank test of 3 against 3, all on one side, has p = .1."""

FIRST_LOOK = 10
"""Blocks of a run that ends by its intervals, before these are looked at: one that is narrow by luck ends it too soon,
the more so the fewer blocks it is of. From 6 on an interval would hold the truth in 93 % of runs, from 10 on in 94;
from 6 on in 95 where two rows are waited for (docs/accuracy.md)."""

MARGIN = 0.01
"""A ratio that is nearer to what it is held against makes no difference, unless another margin is asked for."""


class Verdict(StrEnum):
    """What a row says; `better` and `worse` are for the user, whichever way the metric points."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    DISTURBED = "disturbed"
    MOVED = "moved"
    """Of the underlay between runs: its figure is another one, which says nothing of any profile."""
    NOT_ENOUGH_BLOCKS = "not enough blocks"
    NOT_ENOUGH_RUNS = "not enough runs"
    NOT_ENOUGH_SETUPS = "not enough set-ups"
    NO_FIGURE = "no figure"


class AgainstCeiling(StrEnum):
    """What a ratio says of what the headers allow it to be."""

    HEADERS_ONLY = "headers only"
    MORE_THAN_HEADERS = "more than headers"
    ABOVE_THE_CEILING = "above the ceiling"
    INCONCLUSIVE = "inconclusive"


def refusal(blocks: int) -> Verdict | None:
    """Return why no verdict can be given, None where one can."""
    if blocks == 0:
        return Verdict.NO_FIGURE
    return Verdict.NOT_ENOUGH_BLOCKS if blocks < MIN_BLOCKS else None


def refusal_of_runs(runs: int) -> Verdict | None:
    """Return why no verdict can be given where runs are the sample, so many on the smaller side."""
    if runs == 0:
        return Verdict.NO_FIGURE
    return Verdict.NOT_ENOUGH_RUNS if runs < MIN_RUNS else None


class Place(StrEnum):
    """Where an interval lies: below what a ratio is held against by more than the margin, within it, or above."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"
    OPEN = "open"


@dataclass(frozen=True)
class Question:
    """An estimate and what it is held against: what the headers allow, or, without one, what makes no difference."""

    estimate: Estimate
    target: float | None = None

    @property
    def held_against(self) -> float:
        """1 of a ratio, 0 of a difference, unless there is another target."""
        return self.estimate.neutral if self.target is None else self.target


@dataclass(frozen=True)
class Answer:
    """Where the interval of an estimate lies, widened for its family; `blocks` would decide where it is open.

    Where set-ups are the sample, so many of these would, each with as many blocks as now. `alpha` is the level of the
    interval: in how many cases it misses the truth.
    """

    place: Place
    interval: Interval | None
    blocks: int | None = None
    alpha: float = ALPHA


def answers(questions: Sequence[Question | None], margin: float) -> list[Answer | None]:
    """Return an answer to each question of a family, in order; None for None.

    The intervals are at 1 - R alpha / m for m questions, R being the largest number for which as many of them decide
    something at that level.
    """
    asked = [question for question in questions if question is not None]
    # Wider intervals decide no more, so what fewer than R decide at R's level, no number between can do either.
    count, decided = len(asked) + 1, len(asked)
    while 0 < decided < count:
        count = decided
        decided = sum(_place(question, ALPHA * count / len(asked), margin) is not Place.OPEN for question in asked)
    level = ALPHA * max(decided, 1) / max(len(asked), 1)
    return [None if question is None else _answer(question, level, margin) for question in questions]


def place_of(question: Question, interval: Interval | None, margin: float) -> Place:
    """Return where an interval of an estimate lies to its target; one that is not known leaves everything open."""
    low, high = question.estimate.edges(question.held_against, margin)
    if interval is None:
        return Place.OPEN
    if interval.high < low:
        return Place.BELOW
    if interval.low > high:
        return Place.ABOVE
    return Place.WITHIN if interval.low >= low and interval.high <= high else Place.OPEN


def _place(question: Question, alpha: float, margin: float) -> Place:
    return place_of(question, question.estimate.interval(alpha), margin)


def _answer(question: Question, alpha: float, margin: float) -> Answer:
    place, estimate = _place(question, alpha, margin), question.estimate
    blocks = estimate.blocks_to_tell(question.held_against, margin, alpha) if place is Place.OPEN else None
    return Answer(place, estimate.interval(alpha), blocks, alpha)


def movement_of(place: Place) -> Verdict:
    """Return what it means for the underlay of two runs where the interval of its ratio lies about 1."""
    return {Place.OPEN: Verdict.INCONCLUSIVE, Place.WITHIN: Verdict.SAME}.get(place, Verdict.MOVED)


def verdict_of(place: Place, *, higher_is_better: bool) -> Verdict:
    """Return what it means for the user where an interval lies about 1."""
    if place is Place.OPEN:
        return Verdict.INCONCLUSIVE
    if place is Place.WITHIN:
        return Verdict.SAME
    return Verdict.BETTER if (place is Place.ABOVE) == higher_is_better else Verdict.WORSE


CEILING_VERDICTS = {
    Place.OPEN: AgainstCeiling.INCONCLUSIVE,
    Place.WITHIN: AgainstCeiling.HEADERS_ONLY,
    Place.BELOW: AgainstCeiling.MORE_THAN_HEADERS,
    Place.ABOVE: AgainstCeiling.ABOVE_THE_CEILING,
}
"""What it means where an interval lies about the ceiling."""
