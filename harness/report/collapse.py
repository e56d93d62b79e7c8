"""Trials that fell apart in the middle, found in the intervals that their program reported."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from harness.measures.registry import label_of
from harness.model.notes import About, Note
from harness.model.trial import Cell, Status
from harness.report.arms import arms_of
from harness.report.tables import Table
from harness.report.trials import RunData

LEAST = 0.1
"""Halves that differ by less are no collapse, however steady the others are."""
SPREADS = 5.0
"""How many times the usual difference between halves (the median over the trials of its cell) a collapse differs by."""
MOST_NAMED = 3

Place = tuple[int, int]
"""Block and position of a trial."""
Halves = tuple[float, float, int | None]
"""Goodput of the first and of the second half, retransmits of both (None for what is not TCP)."""


def collapses(run: RunData) -> list[Note]:
    """Return a note for trials of which one half differs from the other by more than halves of their cell do."""
    return _notes(trials_by_place(run), collapsed(run)) if run.series else []


def collapsed(run: RunData) -> Mapping[Place, Halves]:
    """Return these trials, with their halves."""
    halves = _halves(run)
    by_cell: dict[tuple[str, Cell], dict[Place, float]] = {}
    trials = trials_by_place(run) if halves else {}
    for place, (early, late, _) in halves.items():
        by_cell.setdefault(trials[place], {})[place] = _apart(early, late)
    found: dict[Place, Halves] = {}
    for apart in by_cell.values():
        limit = max(LEAST, SPREADS * statistics.median(apart.values()))
        found |= {place: halves[place] for place, differs in apart.items() if differs > limit}
    return found


def trials_by_place(run: RunData) -> dict[Place, tuple[str, Cell]]:
    """Return the profile and the cell of each trial."""
    numbers, keys = arms_of(run.trials)
    return dict(zip(places(run.trials.table), (keys[number] for number in numbers.tolist()), strict=True))


def places(table: Table) -> list[Place]:
    """Return block and position of each row."""
    return list(zip(table.whole["block"].tolist(), table.whole["position"].tolist(), strict=True))


def _apart(early: float, late: float) -> float:
    """Return by how much two halves differ, in logarithms; one in which nothing arrived differs beyond measure."""
    return abs(math.log(late / early)) if early > 0 and late > 0 else math.inf


def _halves(run: RunData) -> dict[Place, Halves]:
    """Return each ok trial's goodput in both halves of the time that counts, and its retransmits."""
    series = run.series
    if series is None:
        return {}
    trials = run.trials.table
    ok = {*places(trials.at(trials.words["status"].are(Status.OK)))}
    groups: dict[Place, list[tuple[float, float, float, float]]] = {}
    counted = series.at(series.figures["omitted"] == 0)
    columns = (counted.figures[name].tolist() for name in ("start_s", "end_s", "goodput_bps", "retransmits"))
    for place, *interval in zip(places(counted), *columns, strict=True):
        groups.setdefault(place, []).append((interval[0], interval[1], interval[2], interval[3]))
    halves = {}
    for place, group in sorted(groups.items()):
        intervals = [(start, end, bps) for start, end, bps, _ in group]
        first, last = min(start for start, *_ in intervals), max(end for _, end, _ in intervals)
        if place not in ok or len(intervals) == 1 or first == last:
            continue
        middle = (first + last) / 2
        early, late = _mean(intervals, first, middle), _mean(intervals, middle, last)
        if early > 0 or late > 0:
            retransmits = [count for *_, count in group if math.isfinite(count)]
            halves[place] = (early, late, int(sum(retransmits)) if retransmits else None)
    return halves


def _mean(intervals: Sequence[tuple[float, float, float]], first: float, last: float) -> float:
    """Return the goodput from one moment to another: the last interval of a program may be one of milliseconds."""
    shares = [(max(min(end, last) - max(start, first), 0.0), bps) for start, end, bps in intervals]
    seconds = sum(share for share, _ in shares)
    return sum(share * bps for share, bps in shares) / seconds if seconds > 0 else 0.0


def _notes(trials: Mapping[Place, tuple[str, Cell]], collapsed: Mapping[Place, Halves]) -> list[Note]:
    if not collapsed:
        return []
    texts = []
    for place, (early, late, retransmits) in list(collapsed.items())[:MOST_NAMED]:
        profile, cell = trials[place]
        sent_again = "" if retransmits is None else f", {retransmits} retransmits"
        goodputs = f"{early / 1e6:.0f} then {late / 1e6:.0f} Mbit/s"
        texts.append(f"block {place[0]} {profile} {label_of(cell)} {goodputs}{sent_again}")
    more = f" and {len(collapsed) - MOST_NAMED} more" if len(collapsed) > MOST_NAMED else ""
    advice = "these trials fell apart in the middle, see series.csv"
    return [Note(About.COLLAPSE, "", f"{', '.join(texts)}{more}", advice, value=len(collapsed))]
