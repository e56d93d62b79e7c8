"""Rows side by side: a matrix with a column for each profile, MTU or number of flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.measures.factors import FACTORS
from harness.measures.metrics import CPU_SHARES
from harness.measures.registry import order_of
from harness.model.errors import InputError
from harness.model.metrics import Metric
from harness.model.notes import Note
from harness.model.trial import MTU, UNDERLAY, Cell
from harness.report import compared_layout, layout, titles
from harness.report.analysis import Analysis, Row
from harness.report.comparison import ComparedRow, Comparison
from harness.report.contrasts import Against
from harness.report.footnotes import Footnotes
from harness.report.matrix import SHORT_VERDICTS
from harness.report.page import (
    MOST_WIDTH,
    Page,
    Section,
    fitting,
    interval_text,
    points_text,
    ratio_text,
    share_text,
    width_of,
)
from harness.report.samples import Basis

PROFILE = "profile"
BY = (PROFILE, MTU, "flows")
_EVERY = "all"
"""The column of rows that do not have the factor."""
_LEGEND = {
    Analysis: "ratio: of the profile to the underlay at its NIC's MTU, which is what a user loses",
    Comparison: "B / A: of each profile's ratio to the underlay of its own run",
}


@dataclass(frozen=True)
class _Entry:
    """One row of a result: whose it is, and its cell of the matrix without marks."""

    profile: str
    cell: Cell
    metric: Metric
    lines: tuple[str, str]
    notes: tuple[Note, ...]

    def column(self, by: str) -> str:
        """Return what the column is called that it stands in."""
        value = self.profile if by == PROFILE else self.cell.get(by)
        if value is None:
            return _EVERY
        return str(value) if by == PROFILE else f"mtu {value}" if by == MTU else FACTORS[by].label(value)

    def name(self, by: str) -> str:
        """Return what its row is called."""
        name = titles.row_name(self.metric, self.cell if by == PROFILE else self.cell.without(by))
        return name if by == PROFILE else f"{self.profile} {name}"


def page(result: object, by: str) -> Page:
    """Lay out a run, or runs that are compared, with what differs in `by` (one of BY) side by side.

    Raises:
        InputError: a result that has no such rows.
    """
    if isinstance(result, Analysis):
        entries, whole = [_of_run(row) for row in result.rows if _is_against_underlay(row)], layout.page(result)
    elif isinstance(result, Comparison):
        entries = [_of_sides(row) for row in result.rows if row.basis is Basis.UNDERLAY and _is_shown(row)]
        whole = compared_layout.page(result)
    else:
        raise InputError(f"by {by} there are runs of one pair and comparisons of runs only; leave it out.")
    footnotes = Footnotes([entry.notes for entry in entries], result.notes)
    sections = [section for group in _grouped(entries) for section in _sections(group, by, footnotes)]
    legend = (
        f"{_LEGEND[type(result)]}; below it the 95 % interval, widened for all rows that are asked together, off which "
        f"verdicts are read at a margin of {share_text(result.margin)}. headers: nothing but these; more: than these; "
        "?: the interval decides nothing."
    )
    return replace(whole, sections=tuple(sections), notes=footnotes.lines(), legend=legend, brief="")


def _is_shown(row: Row | ComparedRow) -> bool:
    """Leave out what has a table of its own, and a loss of nothing on both sides."""
    both = (row.median, row.baseline_median) if isinstance(row, Row) else row.figures
    return bool(row.metric.better) and row.metric.name not in CPU_SHARES and (not row.metric.tries or any(both))


def _is_against_underlay(row: Row) -> bool:
    return row.contrast.against is Against.PROFILE and row.contrast.baseline == UNDERLAY and _is_shown(row)


def _of_run(row: Row) -> _Entry:
    verdict = str(row.against_ceiling or row.verdict or "")
    return _Entry(row.contrast.profile, row.cell, row.metric, _lines(row, verdict), row.notes)


def _of_sides(row: ComparedRow) -> _Entry:
    return _Entry(row.profile, row.cell, row.metric, _lines(row, str(row.verdict or "")), row.notes)


def _lines(row: Row | ComparedRow, verdict: str) -> tuple[str, str]:
    """Return a ratio (of shares a difference) with its verdict, and its interval."""
    word = SHORT_VERDICTS.get(verdict, "?")
    if row.difference:
        return f"{points_text(row.difference.difference)} {word}", points_text(row.interval)
    return (f"{ratio_text(row.ratio.ratio)} {word}", interval_text(row.interval)) if row.ratio else (verdict, "")


def _grouped(entries: Sequence[_Entry]) -> list[list[_Entry]]:
    """Return the entries of each section: those of one title, in the order in which they first stand."""
    groups: dict[str, list[_Entry]] = {}
    for entry in entries:
        groups.setdefault(titles.section_title(entry.metric, entry.cell), []).append(entry)
    return list(groups.values())


def _sections(entries: Sequence[_Entry], by: str, footnotes: Footnotes) -> Iterator[Section]:
    """Yield one matrix, cut between columns as often as its width demands."""
    ordered = sorted(entries, key=lambda entry: (entry.profile if by == PROFILE else "", order_of(entry.cell)))
    columns = list(dict.fromkeys(entry.column(by) for entry in ordered))
    texts: dict[str, dict[str, str]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.profile, order_of(entry.cell))):
        own = texts.setdefault(entry.name(by), {})
        own.setdefault(entry.column(by), f"{entry.lines[0]}{footnotes.marks(entry.notes)}\n{entry.lines[1]}".rstrip())
    widths = {column: max(width_of(own.get(column, "")) for own in texts.values()) for column in columns}
    widths = {column: max(width, len(column)) for column, width in widths.items()}
    first = entries[0]
    title = titles.section_title(first.metric, first.cell)
    name_width = max(width_of(title.replace(", ", ",\n")), *map(len, texts))
    for some in fitting(widths, MOST_WIDTH - name_width):
        section = Section(f"side by side: {by}", title, ("", *some), matrix=True)
        section.rows = [(name, *(own.get(column, "") for column in some)) for name, own in texts.items()]
        yield section
