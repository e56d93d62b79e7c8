"""What a laid-out report consists of, and how its figures are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

Row = Mapping[str, Any]

_SCALES: Mapping[str, tuple[tuple[float, str, int], ...]] = {
    "bit/s": ((1e9, "Gbit/s", 3), (1e6, "Mbit/s", 1), (1e3, "kbit/s", 1)),
    "s": ((1, "s", 3), (1e-3, "ms", 3), (1e-6, "µs", 1)),
    "s/Gbit": ((1, "s/Gbit", 3), (1e-3, "ms/Gbit", 1)),
    "ratio": ((1e-2, "%", 2),),
}


@dataclass
class Section:
    """One table: headings, rows of text, and a line below. `group` is the heading it stands under.

    The last column is a verdict, unless it is a `matrix`; a cell of a matrix may have two lines.
    """

    group: str
    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    caption: str = ""
    matrix: bool = False


@dataclass(frozen=True)
class Page:
    """Everything that is shown: title, sections, notes (marked ones first) and what the columns mean."""

    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    legend: str


def cell_name(row: Row) -> str:
    """Return a cell as the rows of a table call it."""
    if row["tool"] == "ping":
        return f"mtu {row['mtu']} {row['metric'].split('_')[1]}"
    return f"{row['protocol']} {row['mtu']} x{row['flows']}"


def scale_of(rows: Sequence[Row], *columns: str) -> tuple[float, str, int]:
    """Return divisor, unit and decimals that suit the largest figure of a section."""
    figures = [row[column] for row in rows for column in columns if pd.notna(row[column])]
    scales = _SCALES[rows[0]["unit"]]
    return next((scale for scale in scales if figures and max(figures) >= scale[0]), scales[-1])


def number_text(value: float, divisor: float = 1, digits: int = 4) -> str:
    """Return a scaled figure, nothing where there is none."""
    return "" if pd.isna(value) else f"{value / divisor:.{digits}f}"


def ratio_text(value: float) -> str:
    """Return a ratio with as many decimals as leave it readable: 4 as long as it is near 1."""
    return number_text(value, 1, next((digits for limit, digits in ((10, 4), (100, 2)) if value < limit), 0))


def interval_text(low: float, high: float) -> str:
    """Return an interval of a ratio, nothing where there is none."""
    return f"{ratio_text(low)}-{ratio_text(high)}" if ratio_text(low) else ""


def sentence(advice: str, facts: list[str]) -> str:
    """Return an advice with the facts it is for; spreads become a range."""
    spreads = [float(fact.removeprefix("cv ").removesuffix(" %")) for fact in facts if fact.startswith("cv ")]
    if len(spreads) > 1 and len(spreads) == len(facts):
        facts = [f"cv {min(spreads):.0f} to {max(spreads):.0f} %"]
    return f"{', '.join(facts)}: {advice}" if facts else advice
