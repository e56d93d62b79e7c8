"""Sentences with figures in them: words, and numbers that know which field of summary.csv they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.report.analysis import Row

_SMALL, _MIDDLE = 2.0, 20.0
_LOSS_IN_FULL = 10.0
"""A loss below that has two decimals: headers cost a few per cent, and what is beyond them less than one."""


@dataclass(frozen=True)
class Number:
    """A figure as it is shown, with its place in summary.csv: the number of the row, from 0, and the column.

    `shown` says what became of it: `scaled` (by what `unit` says), `loss` (what it leaves to 1, in per cent), `change`
    (what it is off 1 by, in per cent) or `gap` (what it is off its ceiling by, in percentage points). The sign may
    stand in front of it.
    """

    text: str
    row: int
    column: str
    exact: float
    shown: str = "scaled"
    unit: str = ""


Sentence = Sequence[str | Number]


def text_of(sentence: Sentence) -> str:
    """Return a sentence as plain text."""
    return "".join(part if isinstance(part, str) else part.text for part in sentence)


@dataclass(frozen=True)
class Placed:
    """A row with its place in summary.csv."""

    row: Row
    place: int


@dataclass(frozen=True)
class End:
    """A value of a row, and its column of summary.csv."""

    placed: Placed
    column: str
    value: float


@dataclass(frozen=True)
class Shape:
    """How values are shown: what a value becomes, with so many decimals, and the unit behind it."""

    shown: str
    of: Callable[[float], float]
    digits: int
    unit: str

    @classmethod
    def loss(cls, values: Iterable[float]) -> Shape:
        """Return how ratios are shown as losses, in per cent."""
        most = max((abs(_loss(value)) for value in values), default=0.0)
        return cls("loss", _loss, 2 if most < _LOSS_IN_FULL else _digits(most), "%")

    @classmethod
    def change(cls, values: Iterable[float], digits: int | None = None) -> Shape:
        """Return how ratios are shown as changes, in per cent."""
        most = max((abs(_change(value)) for value in values), default=0.0)
        return cls("change", _change, _digits(most) if digits is None else digits, "%")

    @classmethod
    def scaled(cls, values: Iterable[float], divisor: float, unit: str) -> Shape:
        """Return how figures are shown in a unit."""
        most = max((abs(value) / divisor for value in values), default=0.0)
        return cls("scaled", lambda value: value / divisor, _digits(most), unit)

    def number(self, end: End) -> Number:
        """Return a value as it is shown, without its sign, unless it is a loss."""
        shown = self.of(end.value)
        text = f"{shown if self.shown == 'loss' else abs(shown):.{self.digits}f}"
        if float(text) == 0:
            text = text.removeprefix("-")
        return Number(text, end.placed.place, end.column, end.value, self.shown, self.unit)

    def sign(self, end: End) -> str:
        """Return the sign of a value as it is shown: nothing of what reads as 0."""
        shown = round(self.of(end.value), self.digits)
        return "" if self.shown == "loss" or shown == 0 else "+" if shown > 0 else "-"

    def span(self, ends: Sequence[End], known: str | None = None) -> Sentence:
        """Return the smallest and the largest of values, one where they read alike: `+31 to 50`, `-5 to +31`.

        `known` is a sign that need not be said once more, where all of them have it.
        """
        first, last = min(ends, key=self._value), max(ends, key=self._value)
        if self.sign(first) == self.sign(last) == "-":
            first, last = last, first
        one, other = self.number(first), self.number(last)
        front, behind = self.sign(first), self.sign(last)
        said: list[str | Number] = ["" if front == known == behind else front, one]
        if (front, one.text) != (behind, other.text):
            said += [" to " if front == behind else f" to {behind}", other]
        return [part for part in said if part != ""]

    def _value(self, end: End) -> float:
        return self.of(end.value)


def _loss(ratio: float) -> float:
    return 100 * (1 - ratio)


def _change(ratio: float) -> float:
    return 100 * (ratio - 1)


def _digits(most: float) -> int:
    """Return with how many decimals figures are shown of which the largest is so large."""
    return 0 if most >= _MIDDLE else 1 if most >= _SMALL else 2
