"""Trials that are done again because they were disturbed: by which rule that favours no arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from harness.truth.stats import paired_ratio
from tests.accuracy.coverage import half_width, holds
from tests.accuracy.noise import ARMS, PROFILE, UNDERLAY, Logs
from tests.accuracy.tables import Case, Figures, Table, percent

DEMAND = np.array([1.4, 1.0])[:, np.newaxis]
"""What the profile and the underlay take of the CPU."""
DISTURBED = 0.1
"""A trial from which more than this share of the CPU time was stolen is done again, once."""
NOISE = 0.01
BLOCKS = (6, 10, 20)

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Attempt:
    """What was stolen from each trial, and the logarithm of its figure: (sets, arms, blocks) each."""

    stolen: Logs
    logs: Logs

    @property
    def disturbed(self) -> Flags:
        return self.stolen > DISTURBED

    @property
    def worst(self) -> Logs:
        """What was stolen from the arm that suffered more."""
        return np.maximum(self.stolen[:, :1], self.stolen[:, 1:])

    @property
    def ratio(self) -> Logs:
        return self.logs[:, :1] - self.logs[:, 1:]


def attempt(rng: Generator, sets: int, blocks: int, *, side_by_side: bool, by_demand: bool) -> Attempt:
    """Return a visit of both arms, seconds apart or each by itself.

    Others want much of the CPU in a quarter of the blocks. What is stolen follows demand; what that costs does so, too,
    or is the same for both arms.
    """
    shape = (sets, 1 if side_by_side else ARMS, blocks)
    wanted = np.where(rng.random(shape) < 0.25, rng.uniform(0.05, 0.2, shape), rng.uniform(0, 0.02, shape))
    stolen = wanted * DEMAND * np.exp(rng.normal(0, 0.1, (sets, ARMS, blocks)))
    return Attempt(stolen, np.log1p(-(stolen if by_demand else wanted)) + rng.normal(0, NOISE, stolen.shape))


Choice = Callable[[Attempt, Attempt], Flags]
"""Where a second attempt takes the place of the first."""


def nothing(first: Attempt, _: Attempt) -> Flags:
    return np.zeros_like(first.disturbed)


def less_disturbed_trial(first: Attempt, second: Attempt) -> Flags:
    return first.disturbed & (second.stolen < first.stolen)


def second_group(first: Attempt, _: Attempt) -> Flags:
    return first.worst > DISTURBED


def less_disturbed_group(first: Attempt, second: Attempt) -> Flags:
    return second_group(first, second) & (second.worst < first.worst)


def higher_ratio(first: Attempt, second: Attempt) -> Flags:
    return second_group(first, second) & (second.ratio > first.ratio)


def case(name: str, choice: Choice, *, by_demand: bool, group: bool = True) -> Case:
    """Return a row: how far the ratio is off that of a quiet machine, 1, and how often its interval holds that.

    How far, and how wide the interval is, from the most blocks.
    """

    def run(rng: Generator, sets: int) -> Figures:
        held = []
        for blocks in BLOCKS:
            first = attempt(rng, sets, blocks, side_by_side=True, by_demand=by_demand)
            second = attempt(rng, sets, blocks, side_by_side=group, by_demand=by_demand)
            logs = np.where(choice(first, second), second.logs, first.logs)
            found = [paired_ratio(arms[PROFILE], arms[UNDERLAY]) for arms in np.exp(logs).tolist()]
            held.append(percent(sum(holds(ratio, 1.0) for ratio in found), sets))
        off = float(np.mean([ratio.ratio for ratio in found])) - 1
        return [[100 * off], held, [float(np.median([half_width(ratio) for ratio in found]))]]

    return Case(name, run)


def table(title: str, *, by_demand: bool) -> Table:
    return Table(
        title,
        "done again, what counts",
        [("off by, %", "+z.2f"), ("holds, 6/10/20", ".1f"), ("half-width", ".2f")],
        [
            case("nothing", nothing, by_demand=by_demand),
            case("trial, less disturbed", less_disturbed_trial, by_demand=by_demand, group=False),
            case("both arms, second", second_group, by_demand=by_demand),
            case("both arms, less disturbed", less_disturbed_group, by_demand=by_demand),
            case("both arms, higher ratio", higher_ratio, by_demand=by_demand),
        ],
    )


ALIKE = table("Stolen time that costs both arms alike", by_demand=False)
BY_DEMAND = table("Stolen time that costs by demand", by_demand=True)
