"""How much ratios differ from set-up to set-up and from block to block, for a run that was set up several times."""

from __future__ import annotations

from collections.abc import Sequence

from harness.measures.registry import title_of
from harness.report.analysis import Row
from harness.report.page import Section

LEGEND = (
    " This run was set up several times: set-ups, not blocks, are the samples of every interval, and so many more of "
    "them would tell. between set-ups: beyond what the blocks within them explain."
)
_GROUP = "Spread of the ratios: one standard deviation"
_HEADINGS = ("", "set-ups", "between", "blocks", "within")


def sections(rows: Sequence[Row]) -> list[Section]:
    """Return a section for each contrast, nothing where set-ups are not the samples."""
    made: dict[str, Section] = {}
    for row in rows:
        spread = row.spread
        if spread is None:
            continue
        title = row.contrast.title
        section = made.setdefault(title, Section(_GROUP, title, _HEADINGS, matrix=True))
        name = " ".join(word for word in (row.metric.title, row.metric.part, title_of(row.cell)) if word)
        cells = (str(spread.setups), _text(spread.between), str(row.blocks), _text(spread.within))
        section.rows.append((name, *cells))
    return list(made.values())


def _text(share: float | None) -> str:
    return "" if share is None else f"± {100 * share:.2f} %"
