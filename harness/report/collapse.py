"""Trials that fell apart in the middle, found in the intervals that their program reported."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, cast

from harness.measures.registry import label_of
from harness.model.notes import About, Note
from harness.model.trial import Cell, Status
from harness.report.trials import RunData

LEAST = 0.05
"""Halves that differ by less are no collapse, however steady the others are."""
SPREADS = 5.0
"""How many times the run's usual difference between halves (the median over its trials) a collapse differs by."""
MOST_NAMED = 3


def collapses(run: RunData) -> list[Note]:
    """Return a note for trials of which one half differs from the other by more than halves of this run do."""
    if run.series is None or run.series.empty:
        return []
    halves = _halves(run)
    apart = {place: _apart(early, late) for place, (early, late, _) in halves.items()}
    usual = statistics.median(apart.values()) if apart else 0.0
    limit = max(LEAST, SPREADS * usual)
    return _notes(run, {place: halves[place] for place in halves if apart[place] > limit}, limit)


def _apart(early: float, late: float) -> float:
    """Return by how much two halves differ, in logarithms; one in which nothing arrived differs beyond measure."""
    return abs(math.log(late / early)) if early > 0 and late > 0 else math.inf


def _halves(run: RunData) -> dict[tuple[int, int], tuple[float, float, int]]:
    """Return each ok trial's goodput in both halves of the seconds that count, and its retransmits."""
    series = run.series
    if series is None:
        return {}
    counted = series[series["omitted"] == 0]
    frame = run.trials.frame
    ok = set(zip(*(frame.loc[frame["status"] == Status.OK, name] for name in ("block", "position")), strict=True))
    found = {}
    for key, group in counted.groupby(["block", "position"]):
        place = cast("tuple[int, int]", key)
        figures = group.sort_values("start_s")["goodput_bps"].tolist()
        half = len(figures) // 2
        if place not in ok or half == 0:
            continue
        early, late = statistics.fmean(figures[:half]), statistics.fmean(figures[-half:])
        if early > 0 or late > 0:
            found[place] = (early, late, int(group["retransmits"].fillna(0).sum()))
    return found


def _notes(run: RunData, found: Mapping[tuple[int, int], tuple[float, float, int]], limit: float) -> list[Note]:
    if not found:
        return []
    frame = run.trials.frame.drop_duplicates(["block", "position"]).set_index(["block", "position"])
    texts = []
    for (block, position), (early, late, retransmits) in list(found.items())[:MOST_NAMED]:
        row = cast("Mapping[str, Any]", frame.loc[(block, position)])
        levels = {name: row[name] for name in run.trials.columns.factors if row[name] is not None}
        name = label_of(Cell.of(str(row["measure"]), **levels))
        texts.append(
            f"block {block} {row['profile']} {name} {early / 1e6:.0f} then {late / 1e6:.0f} Mbit/s, "
            f"{retransmits} retransmits"
        )
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    advice = f"these trials fell apart in the middle (halves differ by more than {100 * limit:.0f} %), see series.csv"
    return [Note(About.COLLAPSE, "", f"{', '.join(texts)}{more}", advice, value=len(found))]
