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


def ceilings_by_mtu(rows: Sequence[Row]) -> dict[float, list[int]] | None:
    """Return at which MTUs rows have which ceiling, as a caption tells them; None where an MTU has several."""
    by_mtu: dict[int, float] = {}
    for row in rows:
        if row.ceiling is not None and by_mtu.setdefault(row.cell.mtu, row.ceiling) != row.ceiling:
            return None
    made: dict[float, list[int]] = {}
    for mtu, ceiling in sorted(by_mtu.items()):
        made.setdefault(ceiling, []).append(mtu)
    return made


def _ceiling(rows: Sequence[Row]) -> str:
    """Return the ceilings, unless there are several at one MTU: they stand in a column then."""
    mtus = ceilings_by_mtu(rows)
    if not mtus:
        return ""
    texts = [ratio_text(ceiling) for ceiling in mtus]
    if len(texts) > 1:
        places = (" and ".join(map(str, own)) for own in mtus.values())
        texts = [f"{text} at MTU {place}" for text, place in zip(texts, places, strict=True)]
    return f"ceiling {', '.join(texts)}: what the headers allow the ratio to be"


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
