"""The pairs of a run as matrices in colour."""

from __future__ import annotations

from harness.measures.registry import label_of
from harness.model.pairs import Pair
from harness.model.trial import UNDERLAY
from harness.report.analysis import Row
from harness.report.canvas import Picture
from harness.report.contrasts import Against
from harness.report.html.answer import style_of
from harness.report.matrix import SHOWN
from harness.report.page import ratio_text
from harness.report.pairs import PairsAnalysis
from harness.report.plots.hosts import hosts


def hosts_of(analysis: PairsAnalysis) -> list[Picture]:
    """Return a matrix for each profile, cell and figure that pairs were compared by."""
    groups: dict[tuple[object, ...], dict[Pair, Row]] = {}
    for pair, own in analysis.pairs.items():
        for row in own.rows:
            contrast = row.contrast
            if contrast.against is Against.PROFILE and contrast.baseline == UNDERLAY and row.metric.name in SHOWN:
                key = (contrast.profile, row.cell, row.metric.name)
                groups.setdefault(key, {}).setdefault(pair, row)
    return [_matrix(analysis, rows) for rows in groups.values()]


def _matrix(analysis: PairsAnalysis, rows: dict[Pair, Row]) -> Picture:
    first = next(iter(rows.values()))
    entries = {
        (pair.client, pair.server): (ratio_text(row.ratio.ratio) if row.ratio else "-", style_of(row))
        for pair, row in rows.items()
    } | {(pair.client, pair.server): ("not run", "") for pair in analysis.unmeasured}
    names = [name for name in analysis.meta.hosts if any(name in pair for pair in entries)]
    clients = [name for name in names if any(name == client for client, _ in entries)]
    servers = [name for name in names if any(name == server for _, server in entries)]
    metric = f"{first.metric.title} {first.metric.part}".strip()
    title = f"{metric}, ratio of {first.contrast.profile} to {UNDERLAY}: {label_of(first.cell)}"
    return hosts(title, clients, servers, entries)
