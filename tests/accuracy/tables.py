"""Tables of simulations: each row is a case with a generator of its own, so that any row can be made again alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.random import Generator

SETS = 2000
SEED = 9

Figures = Sequence[Sequence[float]]
"""A cell for each column: one figure, or several that stand beside each other."""


@dataclass(frozen=True)
class Case:
    """A row: `run` takes a generator and how many sets it draws from it."""

    name: str
    run: Callable[[Generator, int], Figures]


@dataclass(frozen=True)
class Table:
    """A heading, what its rows vary, the columns with the format of their figures, and the rows."""

    title: str
    varies: str
    columns: Sequence[tuple[str, str]]
    cases: Sequence[Case]

    def figures(self, case: Case, sets: int = SETS, seed: int = SEED) -> Figures:
        """Return a row's figures; the same for the same arguments, whatever other rows there are."""
        return case.run(np.random.default_rng([seed, crc32(f"{self.title}: {case.name}".encode())]), sets)

    def row(self, case: Case, sets: int = SETS, seed: int = SEED) -> list[str]:
        """Return a row's cells, its name first."""
        cells = zip(self.figures(case, sets, seed), self.columns, strict=True)
        return [case.name, *(" / ".join(format(figure, spec) for figure in figures) for figures, (_, spec) in cells)]

    def lines(self, sets: int = SETS, seed: int = SEED) -> Iterator[str]:
        """Yield the table as Markdown."""
        head = [self.varies, *(title for title, _ in self.columns)]
        rows = [self.row(case, sets, seed) for case in self.cases]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        yield f"## {self.title}"
        yield ""
        yield line(head, widths)
        yield line(["-" * width for width in widths], widths)
        for row in rows:
            yield line(row, widths)


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def percent(part: float, whole: float) -> float:
    return 100 * part / whole
