"""Reading a CSV file as a table: the csv module where it is small, pandas where it is large.

Loading pandas takes half a second, in which the csv module reads a file of some megabytes; pandas reads a million lines
five times as fast. What is unusual in a small file is left to pandas as well, so that both take, and refuse, the same.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.model.text import printable, shown
from harness.report import lines
from harness.report.tables import Table, Words

SMALL_BYTES = 5_000_000
_IN_WHOLE = frozenset("+-0123456789")
_IN_FIGURES = _IN_WHOLE | frozenset(".eE")


@dataclass(frozen=True)
class Wanted:
    """The columns that are read, by what they hold. An empty field is a word, or a figure that is missing."""

    words: Sequence[str] = ()
    whole: Sequence[str] = ()
    figures: Sequence[str] = ()


def read_table(path: Path, wanted: Wanted, *, is_torn: bool = False) -> Table:
    """Return columns of a file, its words printable, without its last line where that is torn.

    Raises:
        OSError, ValueError: it cannot be read, or there is a word for a number.
    """
    if path.stat().st_size <= SMALL_BYTES:
        content = lines.whole_lines(path) if is_torn else path.read_bytes()
        try:
            return _by_csv(content.decode("utf-8-sig"), wanted)
        except (csv.Error, ValueError, OverflowError):
            pass  # pandas has the last word
    try:
        with warnings.catch_warnings():  # of a word where a number should be: it is refused, and said where
            warnings.simplefilter("ignore", RuntimeWarning)
            return _by_pandas(io.BytesIO(lines.whole_lines(path)) if is_torn else path, wanted)
    except OverflowError as error:
        raise ValueError("a whole number is too large") from error


def _by_csv(text: str, wanted: Wanted) -> Table:
    header, *rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    if any(len(row) != len(header) for row in rows):
        raise ValueError("lines of different lengths")
    columns = dict(zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True))

    def checked(name: str, allowed: frozenset[str]) -> tuple[str, ...]:
        """Return fields of which Python's numbers and those of pandas are the same."""
        if not allowed.issuperset("".join(columns[name])):
            raise ValueError(f"{name} holds more than plain numbers")
        return columns[name]

    return Table(
        {name: Words.of(map(printable, columns[name])) for name in wanted.words},
        {name: np.array([int(field) for field in checked(name, _IN_WHOLE)], np.int64) for name in wanted.whole},
        {
            name: np.array([float(field or "nan") for field in checked(name, _IN_FIGURES)], np.float64)
            for name in wanted.figures
        },
    )


def _by_pandas(source: Path | io.BytesIO, wanted: Wanted) -> Table:
    import pandas as pd  # noqa: PLC0415 - see above

    numbers = [*wanted.whole, *wanted.figures]
    types = {"category": wanted.words, "int64": wanted.whole, "float64": wanted.figures}
    frame = pd.read_csv(
        source,
        usecols=[*wanted.words, *numbers],
        dtype={name: kind for kind, names in types.items() for name in names},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )
    words = {name: frame[name].cat for name in wanted.words}
    return Table(
        {name: Words(one.codes.to_numpy(), tuple(map(shown, one.categories))) for name, one in words.items()},
        {name: frame[name].to_numpy() for name in wanted.whole},
        {name: frame[name].to_numpy() for name in wanted.figures},
    )
