"""What of a profile is told: rows of goodput, of each other measure's main metric, and of CPU time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import MEASURES, label_of
from harness.model.trial import MTU, Cell
from harness.report.sentence import Placed
from harness.report.titles import section_title

GOODPUT, ROUND_TRIP = "goodput_bps", "rtt_p50_s"
TIMES = ("ping", "loaded-ping")
"""Measures of which the round trip is told."""
CPU_TIME = "CPU time a gigabit"
Told = Mapping[str, Sequence[Placed]]
"""Rows by what they are called."""


def told(rows: Sequence[Placed]) -> Told:
    """Return the rows that are told of a profile, goodput's first and CPU time's last, by what they are called."""
    goodput = _goodput_of(rows)
    found = {_goodput_name(rows, goodput): goodput} if goodput else {}
    for measure in MEASURES:
        own = [one for one in rows if one.row.cell.measure == measure and one.row.metric.name == _main(measure)]
        if own and own[0].row.metric.name != GOODPUT:
            found[section_title(own[0].row.metric, own[0].row.cell.without("direction"))] = own
    cpu = [one for one in rows if one.row.metric.name == CPU_ROWS[0]]
    cpu = [one for one in cpu if _family(one) == (_family(goodput[0]) if goodput else _family(cpu[0]))]
    return found | ({CPU_TIME: cpu} if cpu else {})


def of_goodput(own: Told) -> Sequence[Placed]:
    """Return the rows of goodput among those that are told, none without any."""
    return next((rows for rows in own.values() if rows[0].row.metric.name == GOODPUT), ())


def at_own_mtu(rows: Sequence[Placed], largest: int | None) -> list[Placed]:
    """Return the rows of each cell at the largest measured MTU that passes whole; of none such, at the smallest."""
    groups: dict[tuple[Cell, str], list[Placed]] = {}
    for one in rows:
        groups.setdefault((one.row.cell.without(MTU), one.row.metric.name), []).append(one)
    chosen: list[Placed] = []
    for own in groups.values():
        mtus = {one.row.cell.mtu for one in own}
        passing = [mtu for mtu in mtus if largest is None or mtu <= largest]
        wanted = max(passing) if passing else min(mtus)
        chosen += [one for one in own if one.row.cell.mtu == wanted]
    return sorted(chosen, key=lambda one: one.place)


def _goodput_of(rows: Sequence[Placed]) -> list[Placed]:
    """Return the rows of goodput that differ in their flows only, of the first cell that has any figure.

    Cells without a changed offload come first.
    """
    every = [one for one in rows if one.row.metric.name == GOODPUT]
    with_figure = [one for one in every if one.row.ratio] or every
    first = [one for one in with_figure if not one.row.cell.get("offload")] or with_figure
    return [one for one in every if _family(one) == _family(first[0])]


def _family(placed: Placed) -> Cell:
    return placed.row.cell.without(MTU, "flows")


def _goodput_name(rows: Sequence[Placed], goodput: Sequence[Placed]) -> str:
    """Return what goodput is called: with its cell, where there are others in the run."""
    several = {_family(one) for one in rows if one.row.metric.name == GOODPUT}
    label = label_of(_family(goodput[0])) if len(several) > 1 else ""
    return f"goodput with {label}" if label else "goodput"


def _main(measure: str) -> str:
    """Return the metric that a measure is told by."""
    return ROUND_TRIP if measure in TIMES else MEASURES[measure].rows[0]
