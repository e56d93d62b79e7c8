"""An analysis or a comparison laid out for reading: sections of text cells and notes, whatever draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.measures.metrics import CPU_ROWS, CPU_SHARES
from harness.model.metrics import Metric
from harness.model.notes import Note
from harness.model.trial import Cell
from harness.report import spreads
from harness.report.analysis import Analysis, Row, rows_by
from harness.report.answers import answers
from harness.report.captions import caption_of, ceilings_by_mtu
from harness.report.contrasts import Against
from harness.report.decomposed_layout import decomposed
from harness.report.footnotes import Footnotes
from harness.report.page import (
    Page,
    Scale,
    Section,
    interval_text,
    number_text,
    points_text,
    ratio_text,
    scale_of,
    share_text,
    signed_text,
)
from harness.report.titles import row_name, run_title, section_title, worded
from harness.truth.verdicts import Verdict

NOTHING_COMPARED = "Nothing to compare: only the underlay was measured."
SUMMARY_LEGEND = (
    "ratio: against the baseline at its NIC's MTU, which is what a user loses. +/-: the figure less the baseline's, "
    "the mean over the blocks. {same_mtu} ceiling: what the headers allow. gap: ratio less ceiling in percentage "
    "points. Intervals are of 95 %, widened for all rows of one kind together, and every verdict is read off its "
    "interval: outside 1 by more than {margin}, within it (same), or neither (inconclusive, and how many blocks would "
    "tell). Where there is a ceiling, it stands in the place of 1."
)
_SAME_MTU = (
    "same MTU: against the baseline at the row's MTU, which is what the way itself costs. Both are paired by block."
)
_NO_SAME_MTU = "It is paired by block."
_BASELINE = "baseline"
ADDED = "+/-"
"""Heads what a profile has more than the baseline, in the unit of its figures."""
Marks = Callable[[Iterable[Note]], str]


@dataclass(frozen=True)
class Part:
    """A section with the rows that it shows, in its order: of CPU shares those whose time they are of."""

    section: Section
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Parts:
    """A page in its parts: what compares rows, then decompositions, then what is said of several set-ups."""

    compared: tuple[Part, ...]
    decomposed: tuple[Section, ...]
    spread: tuple[Section, ...]
    notes: tuple[str, ...]
    legend: str


def page(analysis: Analysis) -> Page:
    """Lay out the analysis of a run."""
    made = parts(analysis)
    sections = (*(part.section for part in made.compared), *made.decomposed, *made.spread)
    title = run_title(analysis.meta) if analysis.meta else ""
    found = tuple(one.text for one in answers(analysis))
    return Page(title, found, sections, made.notes, made.legend, _brief(made, analysis))


def _brief(made: Parts, analysis: Analysis) -> str:
    """Return in a line or two what the columns that are shown are, and what decides."""
    headings = {heading for part in made.compared for heading in part.section.headings}
    words = ["+/- and ratio: against the baseline at its NIC's MTU"]
    words += ["same MTU: against it at the row's"] if "same MTU" in headings else []
    words += ["gap: ratio less ceiling, in points"] if "gap" in headings else []
    return f"{'; '.join(words)}. Verdicts are read off the 95 % interval, at a margin of {share_text(analysis.margin)}."


def parts(analysis: Analysis) -> Parts:
    """Return what the page of a run consists of."""
    shown = [row for row in analysis.rows if row.contrast.against is not Against.SAME_MTU and _is_shown(row)]
    footnotes = Footnotes([row.notes for row in shown], analysis.notes)
    same_mtu = rows_by(analysis.rows, Against.SAME_MTU)
    compared: list[Part] = []
    for rows in _sectioned(shown):
        compared.append(Part(_section(rows, same_mtu, footnotes.marks), tuple(rows)))
        if rows[0].metric.name == CPU_ROWS[0]:
            compared += [Part(section, tuple(rows)) for section in _cpu_shares(analysis, rows)]
    spread = tuple(spreads.sections(shown))
    paired = _SAME_MTU if same_mtu else _NO_SAME_MTU
    legend = SUMMARY_LEGEND.format(margin=share_text(analysis.margin), same_mtu=paired)
    legend += spreads.LEGEND if spread else ""
    return Parts(tuple(compared), tuple(decomposed(analysis)), spread, footnotes.lines(), legend)


def _is_shown(row: Row) -> bool:
    """Leave out what has a table of its own, and a loss of nothing on both sides."""
    if row.metric.tries and not row.median and not row.baseline_median and row.verdict is Verdict.SAME:
        return bool(row.difference and row.difference.difference)
    return row.metric.name not in CPU_SHARES


def _sectioned(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of each section: those of one contrast and title, sections in the order of their first rows."""
    sections: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.contrast.title, row.contrast.against, section_title(row.metric, row.cell))
        sections.setdefault(key, []).append(row)
    groups = list(dict.fromkeys(row.contrast.title for row in rows))
    return sorted(sections.values(), key=lambda own: groups.index(own[0].contrast.title))


def _section(rows: Sequence[Row], same_mtu: Mapping[tuple[str, str, Cell, str], Row], marks: Marks) -> Section:
    first = rows[0]
    scale = scale_of(first.metric, (f for row in rows for f in (row.median, row.baseline_median)))
    paired = [same_mtu.get((one.contrast.profile, one.contrast.baseline, one.cell, one.metric.name)) for one in rows]
    columns = _columns(rows, paired, scale)
    verdicts = [f"{_verdict(row)}{marks(row.notes)}".strip() for row in rows]
    names = [row_name(row.metric, row.cell) for row in rows]
    headings = ("", *columns, "verdict" if any(row.verdict for row in rows) else "")
    section = Section(first.contrast.title, section_title(first.metric, first.cell), headings)
    section.rows = [*zip(names, *columns.values(), verdicts, strict=True)]
    section.caption = caption_of(rows, scale)
    return section


def _columns(rows: Sequence[Row], same_mtu: Sequence[Row | None], scale: Scale) -> dict[str, list[str]]:
    """Return the columns between names and verdicts by their headings: those that these rows have figures for."""
    divisor, unit, digits = scale
    ceilings = {row.ceiling for row in rows} - {None}
    columns = {unit: [number_text(row.median, divisor, digits) for row in rows]}
    if not ceilings:
        columns[_baseline_name(rows[0])] = [number_text(row.baseline_median, divisor, digits) for row in rows]
    if not any(row.verdict for row in rows):
        return columns
    if rows[0].metric.tries:
        columns["difference"] = [points_text(row.difference.difference if row.difference else None) for row in rows]
    else:
        columns[ADDED] = [signed_text(row.added, divisor, digits) for row in rows]
        columns["ratio"] = [_ratio_text(row) for row in rows]
    columns["95 % interval"] = [
        points_text(row.interval) if row.difference else interval_text(row.interval) for row in rows
    ]
    if ceilings and ceilings_by_mtu(rows) is None:  # otherwise they stand below the rows, and there is room for the gap
        columns["ceiling"] = [ratio_text(row.ceiling) for row in rows]
    elif ceilings:
        columns["gap"] = [_gap_text(row) for row in rows]
    if any(same_mtu):
        columns["same MTU"] = [_ratio_text(row) if row else "" for row in same_mtu]
    return columns


def _ratio_text(row: Row) -> str:
    """Return the ratio of a row, or the difference of its shares."""
    return (
        points_text(row.difference.difference) if row.difference else ratio_text(row.ratio.ratio if row.ratio else None)
    )


def _gap_text(row: Row) -> str:
    """Return by how many percentage points a ratio is off its ceiling."""
    return "" if row.ratio is None or row.ceiling is None else f"{100 * (row.ratio.ratio - row.ceiling):+.2f}"


def _verdict(row: Row) -> str:
    """Return what a row says: of the ceiling where it has one, else of 1."""
    to_tell, word = (row.setups_to_tell, "set-ups") if row.setups_to_tell else (row.blocks_to_tell, "blocks")
    return worded(row.against_ceiling or row.verdict, to_tell, word, row.lost)


def _baseline_name(row: Row) -> str:
    if row.contrast.against in (Against.IDLE, Against.OFFLOAD):
        return {Against.IDLE: "idle", Against.OFFLOAD: "on"}[row.contrast.against]
    name = row.contrast.baseline
    return name if len(name) <= len(_BASELINE) else _BASELINE


def _cpu_shares(analysis: Analysis, rows: Sequence[Row]) -> list[Section]:
    """Return where the CPU time of these rows goes, the baseline's beside it: the ratio is in the rows themselves."""
    first = rows[0]
    by_key = {(row.contrast, row.cell, row.metric.name): row for row in analysis.rows if row.metric.name in CPU_SHARES}
    baseline = _baseline_name(first)
    headings = ("", "tools", baseline, "interrupts", baseline, "busiest CPU", baseline)
    section = Section(
        first.contrast.title, section_title(Metric("", "", "of it, ms/Gbit"), first.cell), headings, matrix=True
    )
    for row in rows:
        texts: list[str] = []
        for name, divisor, unit in zip(CPU_SHARES, (1e-3, 1e-3, 1e-2), ("", "", " %"), strict=True):
            share = by_key.get((row.contrast, row.cell, name))
            figures = (share.median, share.baseline_median) if share else (None, None)
            texts += ["" if figure is None else f"{number_text(figure, divisor, 0)}{unit}" for figure in figures]
        section.rows.append((row_name(row.metric, row.cell), *texts))
    return [section] if any(any(cells[1:]) for cells in section.rows) else []
