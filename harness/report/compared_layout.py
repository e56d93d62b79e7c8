"""A comparison of runs laid out for reading."""

from __future__ import annotations

from collections.abc import Sequence

from harness.measures.metrics import CPU_SHARES
from harness.model.trial import UNDERLAY
from harness.report.compared_findings import findings, of_one_side
from harness.report.comparison import ComparedRow, Comparison
from harness.report.footnotes import Footnotes
from harness.report.layout import ADDED, Marks
from harness.report.page import (
    Page,
    Section,
    interval_text,
    number_text,
    points_text,
    ratio_text,
    scale_of,
    share_text,
    signed_text,
)
from harness.report.samples import Basis, Sample
from harness.report.titles import row_name, run_title, section_title, worded

COMPARE_LEGEND = (
    "A, B: geometric means over {sample}s. +/-: B less A, of ratios in percentage points. "
    "First each profile's ratio to the underlay of its own run, at its NIC's MTU "
    "and block by block: runs share no machine state, and what a machine does to both falls out of it. Then the "
    "underlay, which tells of the machines and of no profile, and absolute figures, judged only where the underlay is "
    "the same. Intervals of B / A are of 95 % (Welch, over {sample}s), of rows with a verdict widened for all that are "
    "asked together; verdicts are read off them: outside 1 by more than {margin}, within it (same), or neither "
    "(inconclusive, and how many {sample}s would tell)."
)
COMPARE_BRIEF = (
    "A, B: each profile's ratio to its own run's underlay, then the underlay itself, then absolute figures. +/-: B "
    "less A, of ratios in percentage points. Verdicts are read off the 95 % interval of B / A, at a margin of {margin}."
)
_COMPARED = ("", "A", "B", ADDED, "B / A", "95 % interval", "verdict")
_ADDED_AT = _COMPARED.index(ADDED)


def page(comparison: Comparison) -> Page:
    """Lay out the comparison of two sides."""
    alone = of_one_side(comparison)
    shown = [
        row
        for row in comparison.rows
        if row.metric.name not in CPU_SHARES and not _is_nothing(row) and row.profile not in alone
    ]
    footnotes = Footnotes([row.notes for row in shown], comparison.notes)
    grouped: dict[tuple[str, str], list[ComparedRow]] = {}
    for row in shown:
        grouped.setdefault((_compared_group(row), section_title(row.metric, row.cell)), []).append(row)
    sections = [
        _compared_section(Section(*key, _COMPARED), rows, comparison.sample, footnotes.marks)
        for key, rows in grouped.items()
    ]
    metas = [(name, meta) for side in comparison.metas for name, meta in side.items() if meta]
    titles = [f"{name}: {run_title(meta)}" for name, meta in metas]
    legend = COMPARE_LEGEND.format(margin=share_text(comparison.margin), sample=comparison.sample)
    brief = COMPARE_BRIEF.format(margin=share_text(comparison.margin))
    found = tuple(findings(comparison).values())
    return Page("\n".join(titles), found, tuple(sections), footnotes.lines(), legend, brief)


def _is_nothing(row: ComparedRow) -> bool:
    """Tell whether a row is of a loss of nothing on both sides."""
    return bool(row.metric.tries) and not any(row.figures)


def _compared_group(row: ComparedRow) -> str:
    if row.basis is Basis.UNDERLAY:
        return f"{row.profile} over its run's underlay: B against A"
    return f"{row.profile}, absolute: B against A" if row.profile != UNDERLAY else "the underlay itself: B against A"


def _compared_section(section: Section, rows: Sequence[ComparedRow], sample: Sample, marks: Marks) -> Section:
    is_ratio = rows[0].basis is Basis.UNDERLAY
    divisor, unit, digits = scale_of(rows[0].metric, (figure for row in rows for figure in row.figures))
    if not is_ratio:
        section.headings = ("", f"A {unit}", f"B {unit}", *section.headings[3:])
    for row in rows:
        figures = [_compared_text(one, row, (divisor, digits)) for one in row.figures]
        added = _added_text(row, (divisor, digits))
        ratio = [ratio_text(row.ratio.ratio if row.ratio else None), interval_text(row.interval)]
        if row.difference:
            ratio = [points_text(row.difference.difference), points_text(row.interval)]
        verdict = worded(row.verdict, row.samples_to_tell, f"{sample}s", row.lost)
        cells = (row_name(row.metric, row.cell), *figures, added, *ratio, f"{verdict}{marks(row.notes)}".strip())
        section.rows.append(cells)
    if not any(cells[_ADDED_AT] for cells in section.rows):
        section.headings, *section.rows = (
            (*cells[:_ADDED_AT], *cells[_ADDED_AT + 1 :]) for cells in (section.headings, *section.rows)
        )
    return section


def _added_text(row: ComparedRow, scale: tuple[float, int]) -> str:
    """Return what B has more than A; of a share that is what is compared anyway."""
    a, b = row.figures
    if row.difference or a is None or b is None:
        return ""
    return points_text(b - a) if row.basis is Basis.UNDERLAY else signed_text(b - a, *scale)


def _compared_text(value: float | None, row: ComparedRow, scale: tuple[float, int]) -> str:
    """Return a side's figure: a ratio to its underlay, a difference from it, or the figure itself."""
    if row.basis is Basis.UNDERLAY:
        return points_text(value) if row.metric.tries else ratio_text(value)
    return number_text(value, *scale)
