"""Runs that go on until an interval is narrow: whether it still holds the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from harness.truth.stats import Ratio, paired_ratio
from harness.truth.verdicts import FIRST_LOOK, MIN_BLOCKS, Place, Question, place_of
from tests.accuracy.coverage import holds
from tests.accuracy.noise import ARMS, PROFILE, UNDERLAY, Noise, drift, heavy, normal, stalls, together, wander
from tests.accuracy.tables import Case, Figures, Table, percent

MOST = 30
WIDTH = 0.005

Rule = Callable[[Ratio], bool]


def narrow(ratio: Ratio) -> bool:
    """Stop where the interval's half-width, in both directions of it, is small enough."""
    interval = ratio.interval()
    return interval is not None and interval.half_width <= WIDTH


def decided(ratio: Ratio) -> bool:
    """Stop where the interval leaves 1 out: what a run must not do."""
    return place_of(Question(ratio), ratio.interval(), 0.0) is not Place.OPEN


def stopped(rows: Sequence[Sequence[Sequence[float]]], rule: Rule, least: int) -> list[Ratio]:
    """Return each row's ratio at the first block, from the least on, at which the rule is content with all of them."""
    blocks = least
    while blocks < MOST and not all(rule(paired_ratio(row[PROFILE][:blocks], row[UNDERLAY][:blocks])) for row in rows):
        blocks += 1
    return [paired_ratio(row[PROFILE][:blocks], row[UNDERLAY][:blocks]) for row in rows]


def stop(name: str, noise: Noise, rule: Rule = narrow, rows: int = 1, least: int = FIRST_LOOK) -> Case:
    """Return a row: how often the interval holds the truth, 1, how many blocks it took, how often the most."""

    def run(rng: Generator, sets: int) -> Figures:
        held = blocks = most = 0
        figures = np.exp(noise(rng, sets * rows, MOST)[:, 1]).reshape(sets, rows, ARMS, MOST)
        for drawn in figures.tolist():
            found = stopped(drawn, rule, least)
            held += sum(holds(ratio, 1.0) for ratio in found)
            blocks += found[0].n
            most += found[0].n == MOST
        return [[percent(held, sets * rows)], [blocks / sets], [percent(most, sets)]]

    return Case(name, run)


STOPS = Table(
    f"Stopping at a width of {WIDTH:.1%}, {FIRST_LOOK} to {MOST} blocks".replace("%", " %"),
    "noise",
    [("holds", ".1f"), ("blocks", ".1f"), ("at the most", ".1f")],
    [
        stop("normal, CV 0.2 %", normal(0.002)),
        stop("normal, CV 0.3 %", normal(0.003)),
        stop("normal, CV 0.5 %", normal(0.005)),
        stop("normal, CV 0.7 %", normal(0.007)),
        stop("normal, CV 1 %", normal(0.01)),
        stop("normal, CV 0.7 %, from 6 blocks", normal(0.007), least=MIN_BLOCKS),
        stop("normal, CV 0.3 %, 2 rows from 6 blocks", normal(0.003), rows=2, least=MIN_BLOCKS),
        stop("normal, CV 0.7 %, 2 rows from 6 blocks", normal(0.007), rows=2, least=MIN_BLOCKS),
        stop("normal, CV 0.5 %, all of 6 rows", normal(0.005), rows=6),
        stop("heavy tails, t with 3 df", heavy(0.003)),
        stop("5 % stall by 2 %, both arms", together(normal(0.003), stalls(0.05, 0.02, one_arm=False))),
        stop("drift of 5 % a run", together(normal(0.005), drift(0.05))),
        stop("AR(1) .9 by trial", wander(0.9, 0.01)),
        stop("stops at what leaves 1 out", normal(0.005), decided),
    ],
)
