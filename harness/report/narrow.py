"""Whether the intervals of a run are narrow enough to end it: by their width alone, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterable

from harness.measures.metrics import CPU_SHARES
from harness.model.metrics import Metric
from harness.model.trial import UNDERLAY
from harness.report.analysis import Analysis, Row, rows_by
from harness.report.contrasts import Against


def against_underlay(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of a profile against the underlay that have a verdict; of several path states the commonest."""
    found = rows_by([*rows], Against.PROFILE).values()
    return [row for row in found if row.contrast.baseline == UNDERLAY and _counts(row.metric)]


def _counts(metric: Metric) -> bool:
    """Leave out what is not compared by a ratio, and where CPU time goes."""
    return bool(metric.better) and not metric.tries and metric.name not in CPU_SHARES


def is_narrow(analysis: Analysis, half_width: float) -> bool:
    """Tell whether the interval of every row that has a ceiling is at most so wide to either side (a share).

    Where no row has one: of every row against the underlay. The intervals are the plain ones of 95 %: how much those of
    a family are widened depends on where they lie, and a run that ended by that would favour what it finds.
    """
    rows = against_underlay(analysis.rows)
    asked = [row for row in rows if row.ceiling is not None] or rows
    intervals = [row.ratio.interval() if row.ratio else None for row in asked]
    return all(interval is not None and interval.half_width <= half_width for interval in intervals)
