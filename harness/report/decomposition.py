"""A loss of goodput in its parts: underlay -> routed is the container's path, routed -> tunnel the encapsulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.trial import UNDERLAY, Cell
from harness.report.analysis import Row, rows_by
from harness.report.contrasts import Against
from harness.truth.stats import Interval

_GOODPUT = "goodput_bps"


@dataclass(frozen=True)
class Steps:
    """One tunnel cell's loss in two steps, as ratios; both are of one MTU, so their product is the whole."""

    profile: str
    routed: str
    cell: Cell
    container_path: float
    encapsulation: float
    whole: float
    whole_interval: Interval | None

    @property
    def product(self) -> float:
        """The two steps multiplied; it differs from `whole` by the scatter of what was measured."""
        return self.container_path * self.encapsulation


def steps(rows: Sequence[Row]) -> list[Steps]:
    """Return the steps of every tunnel cell that has a routed baseline beside the underlay."""
    lost, same_mtu = rows_by(rows, Against.PROFILE), rows_by(rows, Against.SAME_MTU)
    decompositions = []
    for (profile, routed, cell, metric), step in same_mtu.items():
        if metric != _GOODPUT or routed == UNDERLAY:
            continue
        whole = lost.get((profile, UNDERLAY, cell, metric))
        first = lost.get((routed, UNDERLAY, cell, metric))
        if whole and whole.ratio and first and first.ratio and step.ratio:
            ratios = (first.ratio.ratio, step.ratio.ratio, whole.ratio.ratio)
            decompositions.append(Steps(profile, routed, cell, *ratios, whole.interval))
    return decompositions
