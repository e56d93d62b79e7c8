"""A run against itself, laid out for reading, and as records for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.measures.registry import title_of
from harness.report.aa import AaAnalysis, AaRow
from harness.report.footnotes import Footnotes
from harness.report.page import Page, Section, percent_text, share_text
from harness.report.titles import row_name, run_title, section_title
from harness.truth.verdicts import Verdict

LEGEND = (
    "Both arms are the same, so an interval that leaves 1 out misses the truth. missed: in how many runs the 95 % "
    "interval did. by chance: between which counts that lies 95 times in 100 where intervals are right. false: runs "
    "with the verdict worse or better, at a margin of {margin}, all rows of a run as one family. ±: median half width "
    "of the intervals. least told: the smallest difference that {blocks} blocks tell in 80 % of cases, from the "
    "scatter of all runs: with it the 95 % interval of that row by itself leaves 1 out."
)
_HEADINGS = ("", "runs", "missed", "by chance", "false", "±", "least told")

HEAD = ("profile", "measure")
TAIL = (
    "metric unit runs missed chance_low chance_high worse better same inconclusive half_width scatter least_told notes"
).split()
"""Columns as CSV around those of the run's factors; docs/results.md says what each holds."""


def page(analysis: AaAnalysis) -> Page:
    """Lay out what a run against itself says."""
    footnotes = Footnotes([row.notes for row in analysis.rows], analysis.notes)
    sections: dict[tuple[str, str], Section] = {}
    for row in analysis.rows:
        key = (row.profile, section_title(row.metric, row.cell))
        section = sections.setdefault(key, Section(f"{key[0]} against itself", key[1], _HEADINGS, matrix=True))
        name = f"{row_name(row.metric, row.cell)}{footnotes.marks(row.notes)}"
        section.rows.append((name, *_cells(row)))
    legend = LEGEND.format(margin=share_text(analysis.margin), blocks=analysis.blocks)
    title = run_title(analysis.meta)
    return Page(title, findings(analysis), tuple(sections.values()), footnotes.lines(), legend)


def _cells(row: AaRow) -> tuple[str, ...]:
    if not row.runs:
        return ("0", *[""] * (len(_HEADINGS) - 2))
    share = f"{row.missed} ({percent_text(row.missed / row.runs, 1)})"
    low, high = row.chance
    return (
        str(row.runs),
        share,
        f"{low} to {high}",
        str(row.false),
        percent_text(row.half_width),
        percent_text(row.told),
    )


def findings(analysis: AaAnalysis) -> tuple[str, ...]:
    """Say how often 1 was missed, how often a verdict was false, and which rows miss more often than chance does."""
    intervals = sum(row.runs for row in analysis.rows)
    missed = sum(row.missed for row in analysis.rows)
    if not intervals:
        return ("No run has an interval.",)
    false = sum(row.false for row in analysis.rows)
    decided = false + sum(row.verdicts.get(Verdict.SAME, 0) for row in analysis.rows)
    of_intervals = (
        f"{missed} of {intervals} intervals leave 1 out ({percent_text(missed / intervals, 1)}, where 5 % is right)."
    )
    of_verdicts = "No verdict decides anything"
    if decided:
        of_verdicts = f"{false} of {decided} verdicts that decide something are false (at most 5 % is right)"
    in_runs = f", in {analysis.false_runs} of {analysis.runs} runs" if false else ""
    often = [row for row in analysis.rows if row.missed > row.chance[1]]
    names = ", ".join(f"{row.metric.name} of {row.profile}, {title_of(row.cell)}" for row in often)
    return (of_intervals, f"{of_verdicts}{in_runs}.", *([f"More often than chance allows: {names}."] if often else []))


def records(analysis: AaAnalysis) -> list[dict[str, Any]]:
    """Return one record a profile, cell and metric, keys in the order of the columns."""
    return [_record(row, [*analysis.columns.factors]) for row in analysis.rows]


def _record(row: AaRow, factors: Sequence[str]) -> dict[str, Any]:
    low, high = row.chance
    words = (Verdict.WORSE, Verdict.BETTER, Verdict.SAME, Verdict.INCONCLUSIVE)
    return {
        "profile": row.profile,
        "measure": row.cell.measure,
        **{name: row.cell.get(name) for name in factors},
        "metric": row.metric.name,
        "unit": row.metric.unit,
        "runs": row.runs,
        "missed": row.missed,
        "chance_low": low,
        "chance_high": high,
        **{word.value: row.verdicts.get(word, 0) for word in words},
        "half_width": row.half_width,
        "scatter": row.scatter,
        "least_told": row.told,
        "notes": row.notes,
    }
