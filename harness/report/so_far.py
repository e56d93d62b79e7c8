"""How a run stands between two of its blocks: the comparison so far, in a table or in lines. Nothing of it is final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.measures.registry import MEASURES
from harness.report.analysis import Analysis, Row
from harness.report.narrow import against_underlay
from harness.report.page import Page, Section, interval_text, ratio_text
from harness.report.titles import row_name, worded

MOST_LINES = 6
"""Rows of goodput that have a line each; more are counted in one."""
HEADINGS = ("", "ratio", "95 % interval", "held against", "so far")


def page(analysis: Analysis, when: str) -> Page:
    """Return the main rows of each profile as a page of one table, `when` in its head; of none without any row."""
    rows = _main(analysis)
    several = len({row.contrast.profile for row in rows}) > 1
    section = Section("", f"{when}, not final", HEADINGS)
    for row in rows:
        name = f"{row.contrast.profile if several else ''} {_name(row)}".strip()
        held = ratio_text(1.0 if row.ceiling is None else row.ceiling)
        section.rows.append((name, _ratio(row), interval_text(row.interval), held, _verdict(row)))
    return Page("", (), (section,) if section.rows else (), (), "")


def lines(analysis: Analysis) -> list[str]:
    """Return the same of goodput in plain lines, one a row; one in all where these would be many, none without any."""
    rows = [row for row in _main(analysis) if row.ceiling is not None] or _main(analysis)
    if len(rows) > MOST_LINES:
        counts = Counter(_verdict(row) for row in rows)
        return [", ".join(f"{verdict} in {count} of {len(rows)} rows" for verdict, count in counts.items())]
    return [_line(row) for row in rows]


def _line(row: Row) -> str:
    interval = f" ({interval_text(row.interval)})" if row.interval else ""
    ceiling = f" of {ratio_text(row.ceiling)}" if row.ceiling is not None else ""
    return f"{row.contrast.profile} {_name(row)} {_ratio(row) or 'no ratio'}{interval}{ceiling}: {_verdict(row)}"


def _main(analysis: Analysis) -> Sequence[Row]:
    """Return the rows of the main metric of each measure, of a profile against the underlay."""
    mains = {name: measure.rows[0] for name, measure in MEASURES.items()}
    return [row for row in against_underlay(analysis.rows) if row.metric.name == mains.get(row.cell.measure)]


def _ratio(row: Row) -> str:
    return ratio_text(row.ratio.ratio if row.ratio else None)


def _name(row: Row) -> str:
    return row_name(row.metric, row.cell)


def _verdict(row: Row) -> str:
    """Return the verdict that a row would have now, without what would decide it: that is on its way."""
    return worded(row.against_ceiling or row.verdict, None, "", row.lost)
