"""Ceilings of rows: what the wire allows of a ratio, and which share of its own ceiling each arm reached."""

from __future__ import annotations

from dataclasses import dataclass

from harness.measures.registry import MEASURES
from harness.model.metrics import Metric
from harness.model.path import WHOLE, PathState
from harness.model.trial import Cell, Direction
from harness.report.contrasts import Against, Contrast
from harness.results.meta import RunMeta
from harness.truth import wire


@dataclass(frozen=True)
class Ceiling:
    """What the headers allow a ratio to be, and either arm by itself, in payload bytes per byte on the wire."""

    ratio: float
    efficiency: float
    baseline_efficiency: float


def ceiling_of(
    meta: RunMeta | None,
    nic_mtu: int,
    contrast: Contrast,
    cell: Cell,
    metric: Metric,
    states: tuple[PathState | None, PathState | None],
) -> Ceiling | None:
    """Return a row's ceiling, None where headers do not bound it, or where it cannot be told."""
    if meta is None or not metric.ceiling or states[0] is None or contrast.profile == contrast.baseline:
        return None
    if contrast.against is Against.OWN_MTU or not is_bounded_by_headers(cell):  # whether it pays is asked there
        return None
    measure = MEASURES.get(cell.measure)
    protocol = str(cell.get("protocol") or (measure.protocol if measure else "tcp"))
    sizes = [int(one.get("size") or one.mtu) for one in (cell, contrast.baseline_cell(cell))]
    ours, base = (
        wire.efficiency(protocol, size, profile.headers, nic_mtu, state or WHOLE, profile.tunnel_mtu)
        for size, profile, state in zip(
            sizes, (meta.profiles[name] for name in (contrast.profile, contrast.baseline)), states, strict=True
        )
    )
    return Ceiling(ours / base, ours, base) if ours and base else None


def is_bounded_by_headers(cell: Cell) -> bool:
    """Tell whether a cell fills the link; one that is offered less has no ceiling but the offer."""
    rate = cell.get("udp_rate")
    share = str(rate)
    return rate in (None, "none") or (share.endswith("%") and float(share[:-1]) >= 100)  # noqa: PLR2004 - per cent


def wire_shares(
    meta: RunMeta | None,
    cell: Cell,
    metric: Metric,
    ceiling: Ceiling | None,
    medians: tuple[float | None, float | None],
) -> tuple[float | None, float | None]:
    """Return which share of its own ceiling each arm reached: 1 where the link carries nothing but full-size frames.

    None where the link's rate is not known.
    """
    if meta is None or not meta.rate_bps or ceiling is None:
        return None, None
    ways = 2 if cell.direction is Direction.BIDIR and not metric.part else 1
    most = [meta.rate_bps * ways * share for share in (ceiling.efficiency, ceiling.baseline_efficiency)]
    ours, base = (None if median is None else median / top for median, top in zip(medians, most, strict=True))
    return ours, base
