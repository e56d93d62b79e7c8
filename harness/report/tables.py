"""Tables: columns of one length as NumPy arrays. Whatever read a file, analyses compute on these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Figures = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Words:
    """A column of few different values: `codes` says of each row which of `values` it is, -1 that it has none."""

    codes: NDArray[np.integer]
    values: tuple[object, ...]

    @classmethod
    def of(cls, values: Iterable[object]) -> Words:
        """Return the column of these values."""
        numbers: dict[object, int] = {}
        codes = np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)
        return cls(codes, tuple(numbers))

    @classmethod
    def alike(cls, value: object, length: int) -> Words:
        """Return a column of one value."""
        return cls(np.zeros(length, np.int8), (value,))

    def at(self, rows: Whole | Mask) -> Words:
        """Return some of its rows, by their numbers or by a mask."""
        return replace(self, codes=self.codes[rows])

    def are(self, value: object) -> Mask:
        """Tell of each row whether it has a value."""
        found: Mask = self.codes == (self.values.index(value) if value in self.values else len(self.values))
        return found

    def without(self, rows: Mask) -> Words:
        """Return the column with nothing in some rows."""
        return replace(self, codes=np.where(rows, -1, self.codes))

    def parsed(self, parse: Callable[[str], object]) -> Words:
        """Return what each word means, each of them parsed once; none where that is None."""
        meant = [parse(str(word)) for word in self.values]
        distinct = list(dict.fromkeys(value for value in meant if value is not None))
        codes = np.array([-1 if value is None else distinct.index(value) for value in meant] + [-1])
        return Words(codes[self.codes], tuple(distinct))  # the code of what is missing is -1: the last one

    def tolist(self) -> list[object]:
        """Return the value of each row, None where it has none."""
        values = (*self.values, None)  # see above
        return [values[code] for code in self.codes.tolist()]

    @property
    def present(self) -> list[object]:
        """Its values, each once, in the order of their first rows."""
        _, firsts = renumbered(self.codes + np.int64(1), len(self.values) + 1)
        return [value for value in self.at(firsts).tolist() if value is not None]


@dataclass(frozen=True, eq=False)
class Table:
    """Columns by name: words, whole numbers, and figures (NaN where there is none)."""

    words: Mapping[str, Words]
    whole: Mapping[str, Whole]
    figures: Mapping[str, Figures]

    def __len__(self) -> int:
        columns = [*self.whole.values(), *self.figures.values(), *(one.codes for one in self.words.values())]
        return len(columns[0]) if columns else 0

    def at(self, rows: Whole | Mask) -> Table:
        """Return some of its rows, by their numbers or by a mask."""
        return Table(
            {name: column.at(rows) for name, column in self.words.items()},
            {name: column[rows] for name, column in self.whole.items()},
            {name: column[rows] for name, column in self.figures.items()},
        )


def renumbered(codes: Whole, count: int) -> tuple[Whole, Whole]:
    """Return codes, which are below `count`, numbered by their first places; and these places, which ascend."""
    first = np.full(count, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several assignments to a place the last one stays
    firsts = np.sort(first[first >= 0])
    numbers = np.empty(count, np.int64)
    numbers[codes[firsts]] = np.arange(len(firsts))
    return numbers[codes], firsts
