"""A progress bar below a table that says how a run stands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.progress import Progress
from rich.segment import Segment, Segments

from harness.report.page import Page
from harness.report.table import drawn

_LINES_BESIDE = 4
"""What a terminal keeps for the bar, and for what is said above."""


class Bar(Progress):
    """A bar with a table above, which is drawn once: drawing costs CPU that the trial under way would be missing."""

    above: Segments | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give the table, then the bar."""
        if self.above is not None:
            yield self.above
        yield from super().get_renderables()

    def put_above(self, page: Page) -> None:
        """Put a page in the place of the one before, as much of it as fits."""
        width, height = self.console.width, self.console.height
        lines = self.console.render_lines(drawn(page, width), pad=False)
        while lines and not any(segment.text.strip() for segment in lines[-1]):
            lines.pop()
        shown = lines[: max(height - _LINES_BESIDE, 1)]
        self.above = Segments([segment for line in shown for segment in (*line, Segment.line())])
