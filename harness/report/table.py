"""Tables for a terminal of 80 columns."""

from __future__ import annotations

import io

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.report.layout import page
from harness.report.sections import Page, Section

WIDTH = 80
_VERDICT_STYLES = {"worse": "red", "better": "green", "no": "dim", "not": "yellow", "too": "yellow", "mixed": "yellow"}


def table(frame: pd.DataFrame, width: int = WIDTH) -> str:
    """Return a summary or a comparison as plain text, no line wider than `width`."""
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(view(frame, width))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def view(frame: pd.DataFrame, width: int = WIDTH) -> RenderableType:
    """Return a summary or a comparison for `rich.console.Console.print`."""
    if frame.empty:
        return Text("Nothing to compare: only the underlay was measured.")
    laid_out = page(frame)
    return Group(*_parts(laid_out, width))


def _parts(laid_out: Page, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(laid_out.title, style="dim"), Text()] if laid_out.title else []
    group = ""
    for section in laid_out.sections:
        if section.group != group:
            parts += [*([Text()] if group else []), Text(section.group, style="bold")]
            group = section.group
        parts += [Text(), _drawn(section, width)]
        if section.caption:
            parts.append(Text(section.caption, style="dim"))
    parts.append(Text())
    for note in laid_out.notes:
        mark, _, rest = note.partition("] ")
        parts.append(_hanging(f"{mark}] ", rest) if rest and note.startswith("[") else _hanging("- ", note))
    if laid_out.notes:
        parts.append(Text())
    return [*parts, Text(laid_out.legend, style="dim")]


def _drawn(section: Section, width: int) -> Table:
    """Return a section's table, its columns as far apart as fits."""
    for gap in (1, 0):
        drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
        last = -1 if section.matrix else len(section.headings) - 1
        for number, heading in enumerate(section.headings):
            drawn.add_column(
                _heading(section) if number == 0 else heading,
                justify="left" if number in (0, last) else "right",
                no_wrap=number != last,
                header_style="bold" if number == 0 else "",
            )
        for row in section.rows:
            drawn.add_row(*row[:-1], row[-1] if section.matrix else _verdict(row[-1]))
        console = Console(width=1000)
        if Measurement.get(console, console.options, drawn).maximum <= width:
            break
    return drawn


def _verdict(text: str) -> Text:
    return Text(text, style=_VERDICT_STYLES.get(text.partition(" ")[0], ""))


def _heading(section: Section) -> str:
    """Return the title over the first column, on two lines where it would widen it."""
    widest = max(len(row[0]) for row in section.rows)
    return section.title if len(section.title) <= widest else section.title.replace(", ", ",\n")


def _hanging(mark: str, text: str) -> RenderableType:
    line = Table.grid(padding=0)
    line.add_column(no_wrap=True)
    line.add_column()
    line.add_row(Text(mark), Text(text))
    return line
