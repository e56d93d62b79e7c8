"""What makes figures scatter, as logarithms of factors: drawn for many sets of two runs at once.

A noise returns an array (sets, runs, arms, blocks): runs A and B, in each the profile and the underlay, one trial of
either in each block. A run is seen as blocks of 12 trials in three groups of four; both arms are two of one group, in
any order, as the plan shuffles them. Run B begins where run A ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Logs = NDArray[np.float64]
Noise = Callable[[Generator, int, int], Logs]
"""Takes a generator, how many sets, and how many blocks a run."""
Course = Callable[[Generator, int, int], Logs]
"""What all trials of both runs see, one after the other: takes a generator, how many sets and trials of each."""

RUNS = ARMS = 2
PROFILE, UNDERLAY = 0, 1
GROUP = 4
GROUPS = 3
TRIALS = GROUP * GROUPS
"""Of a block."""


def normal(cv: float) -> Noise:
    """Every trial by itself; of so small numbers the standard deviation of logarithms is the CV."""
    return lambda rng, sets, blocks: rng.normal(0, cv, (sets, RUNS, ARMS, blocks))


def heavy(scale: float) -> Noise:
    """Every trial by itself, from Student's t with 3 degrees of freedom: its variance exists, its kurtosis does not."""
    return lambda rng, sets, blocks: scale * rng.standard_t(3, (sets, RUNS, ARMS, blocks))


def stalls(share: float, depth: float, *, one_arm: bool) -> Noise:
    """A share of the trials reads less by `depth`: of all, or of run B's profile only."""

    def draw(rng: Generator, sets: int, blocks: int) -> Logs:
        logs = np.where(rng.random((sets, RUNS, ARMS, blocks)) < share, math.log1p(-depth), 0.0)
        if one_arm:
            logs[:, 0], logs[:, 1, UNDERLAY] = 0.0, 0.0
        return logs

    return draw


def states(sd: float) -> Noise:
    """The machine is in another state in each run, which both arms see."""
    return lambda rng, sets, blocks: np.broadcast_to(rng.normal(0, sd, (sets, RUNS, 1, 1)), (sets, RUNS, ARMS, blocks))


def over_time(course: Course) -> Noise:
    """What changes as time passes, seen by each trial where its block's order has put it."""

    def draw(rng: Generator, sets: int, blocks: int) -> Logs:
        places = rng.random((sets, RUNS * blocks, GROUP)).argsort(axis=-1)[..., :ARMS]
        places += GROUP * rng.integers(GROUPS, size=(sets, RUNS * blocks, 1))
        places += TRIALS * np.arange(RUNS * blocks)[:, np.newaxis]
        seen = np.take_along_axis(course(rng, sets, TRIALS * RUNS * blocks), places.reshape(sets, -1), axis=1)
        return seen.reshape(sets, RUNS, blocks, ARMS).swapaxes(2, 3)

    return draw


def drift(change: float) -> Noise:
    """The machine gets faster steadily, by `change` within each run."""
    return over_time(
        lambda _, sets, trials: np.broadcast_to(np.linspace(0, RUNS * math.log1p(change), trials), (sets, trials))
    )


def wander(correlation: float, sd: float) -> Noise:
    """AR(1): each trial of the run (not of the arm) remembers so much of the one before."""

    def course(rng: Generator, sets: int, trials: int) -> Logs:
        logs = rng.normal(0, sd, (sets, trials))
        for now in range(1, trials):
            logs[:, now] = correlation * logs[:, now - 1] + math.sqrt(1 - correlation**2) * logs[:, now]
        return logs

    return over_time(course)


def together(*noises: Noise) -> Noise:
    """All of them at once."""

    def draw(rng: Generator, sets: int, blocks: int) -> Logs:
        logs = np.zeros((sets, RUNS, ARMS, blocks))
        for noise in noises:
            logs += noise(rng, sets, blocks)
        return logs

    return draw
