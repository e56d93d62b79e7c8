"""Findings: what a user wants to know first, in sentences. One for each profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.model.trial import UNDERLAY
from harness.report.analysis import Analysis, Row
from harness.report.contrasts import Against
from harness.report.page import share_text
from harness.truth.verdicts import AgainstCeiling, Verdict

_GOODPUT = "goodput_bps"
_MEANINGS = {
    AgainstCeiling.HEADERS_ONLY: "costs what its headers cost and no more",
    AgainstCeiling.MORE_THAN_HEADERS: "costs more than its headers",
    AgainstCeiling.ABOVE_THE_CEILING: "is above the ceiling, so the baseline falls short of its own",
    AgainstCeiling.INCONCLUSIVE: "is not decided",
}


def findings(analysis: Analysis) -> tuple[str, ...]:
    """Return what is found of the goodput of each profile, against the underlay and its own ceiling."""
    rows: dict[str, list[Row]] = {}
    for row in analysis.rows:
        contrast = row.contrast
        if contrast.against is Against.PROFILE and contrast.baseline == UNDERLAY and row.metric.name == _GOODPUT:
            rows.setdefault(contrast.profile, []).append(row)
    return tuple(f"{name}: {_said(own, analysis.margin)}." for name, own in rows.items() if _said(own, analysis.margin))


def _said(rows: Sequence[Row], margin: float) -> str:
    counts = Counter(row.against_ceiling for row in rows if row.against_ceiling)
    known = sum(counts.values())
    parts = [
        f"goodput {meaning} (within {share_text(margin)})"
        if count == known
        else f"{meaning} in {count} of {known} rows"
        for verdict, meaning in _MEANINGS.items()
        for count in (counts[verdict],)
        if count
    ]
    if len(parts) > 1:
        parts[0] = f"goodput {parts[0]}"
    slower = [row for row in rows if row.against_ceiling is None and row.verdict is Verdict.WORSE]
    if slower:
        parts.append(f"goodput is worse in {len(slower)} of {len(rows)} rows that have no ceiling")
    return ", ".join(parts)
