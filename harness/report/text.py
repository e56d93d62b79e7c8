"""The same figures for other programs (CSV, JSON: unscaled, complete) and for a page (Markdown: as the table)."""

from __future__ import annotations

import json as standard_json

import pandas as pd

from harness.report.layout import page
from harness.report.sections import Section


def csv(frame: pd.DataFrame) -> str:
    """Return all columns in SI base units; what does not apply is empty."""
    return frame.to_csv(index=False, lineterminator="\n")


def json(frame: pd.DataFrame) -> str:
    """Return a list of objects, one a row, with the columns as keys; what does not apply is null."""
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return standard_json.dumps(records, indent=2, ensure_ascii=False) + "\n"


def markdown(frame: pd.DataFrame) -> str:
    """Return what the table shows as GitHub-flavoured Markdown."""
    if frame.empty:
        return "Nothing to compare: only the underlay was measured.\n"
    laid_out = page(frame)
    lines: list[str] = [*laid_out.title.splitlines(), ""] if laid_out.title else []
    group = ""
    for section in laid_out.sections:
        if section.group != group:
            group = section.group
            lines += [f"### {group}", ""]
        lines += [*_table(section), ""]
        if section.caption:
            lines += [section.caption, ""]
    lines += [f"- {_escaped(note)}" for note in laid_out.notes]
    lines += ["", laid_out.legend] if laid_out.notes else [laid_out.legend]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> list[str]:
    headings = (section.title, *section.headings[1:])
    inner = ["---:"] * (len(headings) - 2)
    rows = [headings, ("---", *inner, "---:" if section.matrix else "---"), *section.rows]
    return [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
