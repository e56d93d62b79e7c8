"""Tables for a terminal of 80 columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.page import Page, Section

WIDTH = 80
MOST_NOTES = 6
"""Notes that are shown unless all are asked for."""
_VERDICT_STYLES = {
    **dict.fromkeys(("worse", "more"), "red"),
    **dict.fromkeys(("better", "headers"), "green"),
    **dict.fromkeys(("no", "not", "inconclusive", "above", "moved"), "yellow"),
    "same": "dim",
}


def table(laid_out: Page, width: int = WIDTH, *, explain: bool = True) -> str:
    """Return a page as plain text, no line wider than `width`: with all notes and the legend, or with a brief one."""
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    # Rendered rather than printed, which would go through every line once more.
    shown = laid_out if explain else shortened(laid_out)
    text = "".join(segment.text for segment in console.render(drawn(shown, width)))
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def drawn(laid_out: Page, width: int = WIDTH) -> RenderableType:
    """Return a page for `rich.console.Console.print`."""
    return Group(*_parts(laid_out, width))


def shortened(laid_out: Page) -> Page:
    """Return a page with its brief legend, and with so many notes as one takes in; those of all rows come first.

    How to get the rest is said once, at the end.
    """
    if not laid_out.brief:
        return laid_out
    of_all = [note for note in laid_out.notes if not note.startswith("[")]
    marked = [note for note in laid_out.notes if note.startswith("[")]
    kept = {*of_all[:MOST_NOTES], *marked[: max(MOST_NOTES - len(of_all), 0)]}
    left = len(laid_out.notes) - len(kept)
    more = f"{left} more note{'s' if left > 1 else ''}, and what all of it means" if left else "What all of it means"
    legend = f"{laid_out.brief}\n{more}: `harness compare --explain`."
    return replace(laid_out, notes=tuple(note for note in laid_out.notes if note in kept), legend=legend)


def _parts(laid_out: Page, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(finding, style="bold") for finding in laid_out.findings]
    parts += [Text()] if laid_out.findings else []
    parts += [Text(laid_out.title, style="dim")] if laid_out.title else []
    group = ""
    for section in laid_out.sections:
        if section.group != group:
            parts += [*([Text()] if parts else []), Text(section.group, style="bold")]
            group = section.group
        parts += [*([Text()] if parts else []), _section(section, width)]
        if section.caption:
            parts.append(Text(section.caption, style="dim"))
    parts.append(Text())
    for note in laid_out.notes:
        mark, _, rest = note.partition("] ")
        parts.append(_hanging(f"{mark}] ", rest) if rest and note.startswith("[") else _hanging("- ", note))
    if laid_out.notes:
        parts.append(Text())
    return [*parts, Text(laid_out.legend, style="dim")]


def _section(section: Section, width: int) -> Table:
    """Return a section's table, its columns as far apart as fits; as a last resort its rows' names are broken."""
    gap, breaks_names = next(
        (way for way in ((1, False), (0, False)) if _least_width(section, *way) <= width), (0, True)
    )
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    if not section.matrix and not breaks_names:
        return _with_one_body(made, section, " " * (gap + 1))
    last = -1 if section.matrix else len(section.headings) - 1
    for number, texts in enumerate(_columns(section)):
        is_fixed = number != last and not (breaks_names and number == 0)
        made.add_column(
            texts[0],
            justify="left" if number in (0, last) else "right",
            no_wrap=is_fixed,
            # Told, for rich would draw every cell to find out.
            width=max(len(line) for text in texts for line in text.split("\n")) if is_fixed else None,
            overflow="fold",
            header_style="bold" if number == 0 else "",
        )
    for row in section.rows:
        made.add_row(*row[:-1], row[-1] if section.matrix else _verdict(row[-1]))
    return made


def _with_one_body(made: Table, section: Section, between: str) -> Table:
    """Return a table whose columns in front of the verdict are one: rich takes its time for each cell."""
    *columns, verdicts = _columns(section)
    widths = [max(len(line) for text in texts for line in text.split("\n")) for texts in columns]

    def joined(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return between.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])

    *above, title = columns[0][0].split("\n")
    heading = Text("\n".join([*above, joined([title, *section.headings[1:-1]])]))
    heading.stylize("bold", 0, len(columns[0][0]))
    made.add_column(heading, no_wrap=True, width=len(joined([""] * len(columns))))
    made.add_column(verdicts[0], overflow="fold")
    for row in section.rows:
        made.add_row(joined(row[:-1]), _verdict(row[-1]))
    return made


def _columns(section: Section) -> list[tuple[str, ...]]:
    """Return the texts of each column, its heading first."""
    return list(zip((_heading(section), *section.headings[1:]), *section.rows, strict=True))


def _least_width(section: Section, gap: int, breaks_names: bool) -> int:
    """Return how wide a section is where verdicts are broken between words; with a gap, they are not."""
    columns = _columns(section)
    widths = []
    for number, texts in enumerate(columns):
        is_verdict = number == len(columns) - 1 and not section.matrix
        broken = (is_verdict and gap == 0) or (number == 0 and breaks_names)
        parts = [part for text in texts for part in (text.split() if broken else text.split("\n"))]
        widths.append(max(map(len, parts), default=0))
    return sum(widths) + (len(widths) - 1) * (gap + 1)


def _verdict(text: str) -> Text:
    return Text(text, style=_VERDICT_STYLES.get(text.partition(" ")[0].rstrip(","), ""))


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
