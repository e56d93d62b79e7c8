"""A cost in its parts: underlay -> routed is the container's path, routed -> tunnel the encapsulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.measures.metrics import CPU_ROWS
from harness.model.metrics import Metric
from harness.model.trial import UNDERLAY, Cell
from harness.report.analysis import Row, rows_by
from harness.report.contrasts import Against
from harness.report.told import GOODPUT, ROUND_TRIP
from harness.truth.verdicts import Verdict

TOLD = (GOODPUT, ROUND_TRIP, CPU_ROWS[0])
"""Metrics that are taken apart, in this order."""


@dataclass(frozen=True)
class Steps:
    """What a tunnel's cell costs in two steps, and as a whole: the rows that say so.

    `path` is the routed profile against the underlay, `tunnel` the tunnel against the routed profile at the same MTU,
    `whole_row` the tunnel against the underlay. What they add makes up the whole, and so do their ratios, multiplied:
    both steps are of one MTU, and their blocks are the same ones.
    """

    path: Row
    tunnel: Row
    whole_row: Row

    @property
    def profile(self) -> str:
        """The tunnel."""
        return self.tunnel.contrast.profile

    @property
    def routed(self) -> str:
        """The routed profile between the steps."""
        return self.tunnel.contrast.baseline

    @property
    def cell(self) -> Cell:
        """The tunnel's cell."""
        return self.tunnel.cell

    @property
    def metric(self) -> Metric:
        """What is taken apart."""
        return self.tunnel.metric

    @property
    def rows(self) -> tuple[Row, Row, Row]:
        """Both steps, and the whole."""
        return self.path, self.tunnel, self.whole_row

    @property
    def ratios(self) -> tuple[float, float, float]:
        """The ratios of both steps, and of the whole."""
        path, tunnel, whole = (row.ratio.ratio if row.ratio else 1.0 for row in self.rows)
        return path, tunnel, whole

    @property
    def product(self) -> float:
        """The two steps multiplied; it differs from the whole by the scatter of what was measured."""
        return self.ratios[0] * self.ratios[1]


def steps(rows: Sequence[Row]) -> list[Steps]:
    """Return the steps of every tunnel cell that has a routed baseline beside the underlay, metric by metric.

    Of CPU time that others disturbed there are none.
    """
    found = [*_steps(rows)]
    return sorted(found, key=lambda one: TOLD.index(one.metric.name))


def _steps(rows: Sequence[Row]) -> Iterator[Steps]:
    lost, same_mtu = rows_by(rows, Against.PROFILE), rows_by(rows, Against.SAME_MTU)
    for (profile, routed, cell, metric), tunnel in same_mtu.items():
        if metric not in TOLD or routed == UNDERLAY:
            continue
        whole = lost.get((profile, UNDERLAY, cell, metric))
        path = lost.get((routed, UNDERLAY, cell, metric))
        if whole and path and all(row.ratio and row.verdict is not Verdict.DISTURBED for row in (whole, path, tunnel)):
            yield Steps(path, tunnel, whole)


def by_section(found: Sequence[Steps]) -> dict[tuple[str, str, str, str], list[Steps]]:
    """Return steps by what stands in one table: one tunnel, one routed profile, one metric of one measure."""
    made: dict[tuple[str, str, str, str], list[Steps]] = {}
    for one in found:
        made.setdefault((one.profile, one.routed, one.metric.name, one.cell.measure), []).append(one)
    return made
