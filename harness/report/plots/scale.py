"""Scales: where a figure stands in a plot, and the marks of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_TICKS = 6
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
"""What steps of a scale begin with."""
_LEAST_DECADES = 1.5
"""From so many powers of ten on, a scale by powers has marks at these alone."""


@dataclass(frozen=True)
class Scale:
    """What takes figures from `low` to `high` to pixels from `start` to `end`, by their logarithms or as they are."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return where a figure stands; one that lies outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        low, high, place = (math.log(x) for x in (self.low, self.high, inside)) if self.is_log else self._plain(inside)
        return self.start + (place - low) / (high - low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Tell whether a figure lies within."""
        return self.low <= value <= self.high

    def _plain(self, value: float) -> tuple[float, float, float]:
        return self.low, self.high, value


def step_for(extent: float, most: int = MOST_TICKS) -> float:
    """Return the smallest round step of which no more than so many make an extent."""
    power = 10.0 ** math.floor(math.log10(extent / most))
    return next(power * first for first in _ROUND if power * first * most >= extent * (1 - 1e-9))


def ticks_of(most: float) -> Sequence[float]:
    """Return the marks of the scale, from 0 to the first one that is not below the most."""
    step = step_for(most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def ticks_within(low: float, high: float, most: int = MOST_TICKS) -> Sequence[float]:
    """Return round marks between two figures, the edges included where they are round."""
    step = step_for(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * number, 12) for number in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = MOST_TICKS) -> Sequence[float]:
    """Return round marks between two positive figures whose logarithms are shown."""
    decades = math.log10(high / low)
    if decades < math.log10(3):  # up to there even steps read well
        return [tick for tick in ticks_within(low, high, most) if tick > 0]
    firsts = (1,) if decades > most else (1, 3) if decades > _LEAST_DECADES else (1, 1.5, 2, 3, 5, 7)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [first * 10.0**exponent for exponent in exponents for first in firsts]
    return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def tick_texts(ticks: Sequence[float], divisor: float = 1.0) -> list[str]:
    """Return what stands at marks: as many decimals as tell them apart, the same for all of them."""
    scaled = [tick / divisor for tick in ticks]
    for digits in range(10):
        texts = [f"{value:.{digits}f}" for value in scaled]
        if all(
            math.isclose(float(text), value, rel_tol=1e-9, abs_tol=1e-12)
            for text, value in zip(texts, scaled, strict=True)
        ):
            return texts
    return [f"{value:g}" for value in scaled]
