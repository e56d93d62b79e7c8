"""Pages: what a laid-out report consists of, and how its figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.model.metrics import Metric
from harness.truth.stats import Interval

_SCALES: Mapping[str, tuple[tuple[float, str, int], ...]] = {
    "bit/s": ((1e9, "Gbit/s", 3), (1e6, "Mbit/s", 1), (1e3, "kbit/s", 1)),
    "s": ((1, "s", 3), (1e-3, "ms", 3), (1e-6, "µs", 1)),
    "s/Gbit": ((1, "s/Gbit", 3), (1e-3, "ms/Gbit", 1)),
    "ratio": ((1e-2, "%", 2),),
    "1/s": ((1e6, "M/s", 3), (1e3, "k/s", 2), (1, "/s", 1)),
    "B": ((1e9, "GB", 3), (1e6, "MB", 3), (1, "B", 0)),
}

MOST_WIDTH = 80
"""Columns of a terminal that whatever is shown fits."""
Scale = tuple[float, str, int]
"""Divisor, unit and decimals."""


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
    """Everything that is shown: title, findings in words, sections, notes (marked first), what the columns mean.

    `brief` is what of the legend the rows that are shown cannot do without; where it is empty, the legend is short.
    """

    title: str
    findings: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    legend: str
    brief: str = ""


def fitting(widths: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Yield columns in groups that fit, two spaces in front of each; one column that does not fit comes alone."""
    group: list[str] = []
    for name, width in widths.items():
        if group and sum(widths[other] + 2 for other in group) + width + 2 > most:
            yield group
            group = []
        group.append(name)
    yield group


_OF_NO_USE = 10
"""An interval that reaches from less than a tenth to more than ten times tells nothing."""


def width_of(text: str) -> int:
    """Return how wide a text is, which may have several lines."""
    return max(map(len, text.split("\n")))


def scale_of(metric: Metric, figures: Iterable[float | None]) -> Scale:
    """Return divisor, unit and decimals that suit the largest figure of a section."""
    present = [figure for figure in figures if figure is not None]
    scales = _SCALES.get(metric.unit, ((1, metric.unit, 3),))
    return next((scale for scale in scales if present and max(present) >= scale[0]), scales[-1])


def number_text(value: float | None, divisor: float = 1, digits: int = 4) -> str:
    """Return a scaled figure, nothing where there is none."""
    return "" if value is None else f"{value / divisor:.{digits}f}"


def signed_text(value: float | None, divisor: float = 1, digits: int = 4) -> str:
    """Return a scaled figure with its sign, nothing where there is none."""
    return "" if value is None else f"{value / divisor:+.{digits}f}"


def ratio_text(value: float | None) -> str:
    """Return a ratio with as many decimals as leave it readable: 4 as long as it is near 1."""
    if value is None:
        return ""
    return number_text(value, 1, next((digits for limit, digits in ((10, 4), (100, 2)) if value < limit), 0))


def interval_text(interval: Interval | None) -> str:
    """Return the interval of a ratio, nothing where there is none; two blocks may give one that tells nothing."""
    if interval is None:
        return ""
    if interval.low < 1 / _OF_NO_USE and interval.high > _OF_NO_USE:
        return "of no use"
    return f"{ratio_text(interval.low)}-{ratio_text(interval.high)}"


def points_text(value: float | Interval | None) -> str:
    """Return a difference of shares, or its interval, in percentage points with its sign."""
    if value is None:
        return ""
    if isinstance(value, Interval):
        return f"{100 * value.low:+.2f} to {100 * value.high:+.2f}"
    return f"{100 * value:+.2f}"


def range_text(values: Sequence[float], digits: int) -> str:
    """Return the smallest and the largest of some values, one where they read alike."""
    low, high = (f"{edge:.{digits}f}" for edge in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def percent_text(share: float | None, digits: int = 2) -> str:
    """Return a share in per cent with so many decimals, nothing where there is none."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


def share_text(share: float) -> str:
    """Return a small share in per cent, with no more decimals than it has: `1 %`, `0.5 %`."""
    return f"{100 * share:g} %"
