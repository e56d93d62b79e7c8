"""Looking at a run between its blocks: the comparison so far is shown, and a run with an aim told whether it is there.

It is the analysis that the final table is made of. Nobody can end a run by what it shows: what ends one is asked of the
widths of its intervals alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from harness.model.errors import InputError
from harness.report import so_far
from harness.report.analysis import analyse
from harness.report.narrow import is_narrow
from harness.report.page import Page
from harness.report.trials import read_run
from harness.results.plan import Plan


class Display(Protocol):
    """Who shows it."""

    def stands(self, page: Page, lines: Sequence[str]) -> None:
        """Show how a run stands: a page for a terminal, lines elsewhere."""
        ...


class Looking:
    """Looks at runs of a plan; verdicts are read with a `margin`, `several`: what is shown says which pair it is of."""

    def __init__(self, plan: Plan, margin: float, display: Display, *, several: bool) -> None:
        self._plan = plan
        self._margin = margin
        self._display = display
        self._several = several

    def look(self, folder: Path, blocks: int) -> bool:
        """Show how a run stands, and tell whether its intervals are narrow enough to end it."""
        try:
            analysis = analyse(read_run(folder, with_series=False), self._margin)
        except InputError:  # nothing that ends a run; its report says what is wrong
            return False
        if blocks < self._plan.blocks:
            which = f"{folder.name} after block {blocks}" if self._several else f"after block {blocks}"
            lines = [f"{which}, not final: {line}" for line in so_far.lines(analysis)]
            self._display.stands(so_far.page(analysis, which), lines)
        return self._plan.until_width is not None and is_narrow(analysis, self._plan.until_width)
