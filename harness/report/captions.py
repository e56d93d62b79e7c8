"""What stands below a section: the baseline's own figures, how full the link was, and of how many replies."""

from __future__ import annotations

from collections.abc import Sequence

from harness.measures.registry import label_of
from harness.model.trial import UNDERLAY
from harness.report.analysis import Row
from harness.report.page import Scale, number_text, range_text, ratio_text


def caption_of(rows: Sequence[Row], scale: Scale) -> str:
    """Return the lines below rows of one metric, which are shown in a scale."""
    if any(row.ceiling is not None for row in rows):
        lines = [_ceiling(rows), _baselines(rows, scale), _wire_shares(rows)]
    else:
        lines = [_replies(rows)]
    return "\n".join(line for line in lines if line)


def _ceiling(rows: Sequence[Row]) -> str:
    """Return the ceiling where all rows that have one have the same."""
    ceilings = {row.ceiling for row in rows if row.ceiling is not None}
    return f"ceiling {ratio_text(ceilings.pop())}: what the headers allow the ratio to be" if len(ceilings) == 1 else ""


def _baselines(rows: Sequence[Row], scale: Scale) -> str:
    """Return the baseline's own medians, each once: it is the same for rows that differ in their MTU only."""
    divisor, unit, digits = scale
    medians: dict[str, list[str]] = {}
    for row in rows:
        text = number_text(row.baseline_median, divisor, digits)
        seen = medians.setdefault(label_of(row.cell.without("direction", "mtu")), [])
        if text and text not in seen:
            seen.append(text)
    shown = ", ".join(f"{label} {' or '.join(texts)}".strip() for label, texts in medians.items() if texts)
    baseline = rows[0].contrast.baseline
    where = " at its NIC's MTU" if baseline == UNDERLAY else ""
    return f"{baseline}{where}: {shown} {unit}" if shown else ""


def _wire_shares(rows: Sequence[Row]) -> str:
    """Return how much of what its own frames allow each arm reached; nothing where the link's rate is not known."""
    contrast = rows[0].contrast
    shares = [[row.wire_shares[arm] for row in rows if row.wire_shares[arm] is not None] for arm in (0, 1)]
    texts = [
        f"{name} {range_text([100 * share for share in own if share is not None], 2)} %"
        for name, own in zip((contrast.profile, contrast.baseline), shares, strict=True)
        if own
    ]
    return f"of their own ceilings: {', '.join(texts)}" if texts else ""


def _replies(rows: Sequence[Row]) -> str:
    """Return what percentiles are of; nothing for other figures, and for those that nobody counted."""
    counts = [row.replies for row in rows if row.replies]
    return f"of {range_text(counts, 0)} replies" if counts else ""
