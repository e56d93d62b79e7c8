"""A trace as plain text of 80 columns, for a terminal: one packet followed from point to point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from harness.model.trace import Decision, Trace
from harness.report.trace_names import WIDTH, folded, plain
from harness.report.trace_view import UNCHANGED, HopView, TraceView, WalkView, view

_DEEP = " " * 6
_LABEL = 12


class Line(NamedTuple):
    """A line of text and the style in which a terminal shows it."""

    text: str
    style: str = ""


def text(trace: Trace) -> str:
    """Return a trace as plain text, no line wider than 80 characters."""
    return "".join(f"{line.text}\n" for line in _lines(view(trace)))


def drawn(trace: Trace) -> Text:
    """Return the same text with colours, for `rich.console.Console.print`."""
    found = Text()
    for line in _lines(view(trace)):
        found.append(f"{line.text}\n", line.style)
    return found


def _lines(seen: TraceView) -> Iterator[Line]:
    yield from _styled(seen.title, "dim")
    yield Line("")
    for line in seen.bottom_lines:
        yield from _styled(line, "bold red" if " LOST " in line else "bold", then="  ")
    yield Line("")
    yield from _styled(seen.command, "", "$ ")
    for said in seen.said:
        yield from _styled(said, "dim", "  ")
    yield from _way(seen)
    if seen.walks:
        yield Line("")
        yield from _styled(UNCHANGED, "dim")
    for walk in seen.walks:
        yield Line("")
        yield from _walk(walk)
    yield from _times(seen)
    if seen.notes:
        yield from _heading("Notes")
        for note in seen.notes:
            yield from _styled(note, "", "- ")


def _styled(said: str, style: str, first: str = "", then: str | None = None) -> Iterator[Line]:
    return (Line(line, style) for line in folded(said, WIDTH, first, then))


def _heading(title: str) -> Iterator[Line]:
    yield Line("")
    yield Line(title, "bold")


def _way(seen: TraceView) -> Iterator[Line]:
    if seen.points:
        yield from _heading("The way")
        for row in _columns(seen.points, right=(0,)):
            *start, mtu = row
            yield from _styled(f"{'  '.join(start)}  MTU {mtu}".rstrip(), "", "  ", " " * 6)
    if seen.legend:
        yield from _heading("Addresses")
        for address, short, owner in _columns(seen.legend):
            yield from _styled(f"{address}  {short}{'  ' if short else ''}{owner}".rstrip(), "", "  ", " " * 6)


def _columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[list[str]]:
    """Return rows with the cells of each column equally wide, those in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]


def _walk(walk: WalkView) -> Iterator[Line]:
    yield Line("-" * WIDTH, "dim")
    yield from _styled(f"{walk.name}: {walk.summary}", "bold")
    if walk.lost:
        yield from _loss(walk)
    was_long = True
    for hop in walk.hops:
        is_long = bool(hop.facts or hop.decisions)
        if is_long or was_long:
            yield Line("")
        yield from _hop(hop)
        was_long = is_long
    if walk.lost and walk.hops:
        yield Line("")
        yield from _styled(walk.lost, "bold red", " X  ")


def _loss(walk: WalkView) -> Iterator[Line]:
    yield from _styled(walk.lost, "bold red", "!!  ", "!!  ")
    for label, said in walk.loss:
        yield from _styled(said, "red", f"!!  {label}: ".ljust(13), "!!".ljust(13))


def _hop(hop: HopView) -> Iterator[Line]:
    where, figures = f"{hop.number:2}  {hop.where} ({hop.about})", f"{hop.since}  {hop.size}"
    if len(where) + 2 + len(figures) <= WIDTH:
        yield Line(f"{where}{figures.rjust(WIDTH - len(where))}", "cyan")
    else:
        yield from _styled(where, "cyan", then=_DEEP)
        yield from _styled(figures, "cyan", _DEEP)
    for label, said in hop.facts:
        yield from _styled(said, "yellow" if label == "changed" else "", _label(label), " " * (len(_DEEP) + _LABEL))
    for decision in hop.decisions:
        yield from _decision(decision)


def _label(label: str) -> str:
    return f"{_DEEP}{label.ljust(_LABEL - 1)} "


def _decision(decision: Decision) -> Iterator[Line]:
    yield from _styled(plain(decision.meaning), "green", _label(decision.by.value), " " * (len(_DEEP) + _LABEL))
    if decision.command:
        yield from _styled(plain(decision.command), "dim", f"{_DEEP}  $ ", f"{_DEEP}    ")
    for line in decision.line.splitlines():
        yield from _styled(plain(line), "dim", f"{_DEEP}  ", f"{_DEEP}    ")


def _times(seen: TraceView) -> Iterator[Line]:
    if seen.clock:
        yield from _heading("Times per step, in µs" if seen.times else "Times")
    for kind in dict.fromkeys(row[0] for row in seen.times):
        yield from _kind(kind, [row[1:] for row in seen.times if row[0] == kind])
    if seen.times:
        yield Line("")
    for sentence in seen.clock:
        yield from _styled(sentence, "dim", "  ")


def _kind(kind: str, rows: Sequence[Sequence[str]]) -> Iterator[Line]:
    heads = ("packets", "median", "quartiles")
    figures = [heads, *((count, median, f"{low} to {high}") for _, _, count, median, low, high in rows)]
    aligned = ["  ".join(cells) for cells in _columns(figures, right=(0, 1, 2))]
    steps = [kind, *(f"{start} -> {end}" for start, end, *_ in rows)]
    room = WIDTH - 4 - len(aligned[0])
    if max(map(len, steps)) > room:
        steps = [kind, *(f"{start} ->\n{end}" for start, end, *_ in rows)]
    width = min(max(len(line) for step in steps for line in step.splitlines()), room)
    yield Line("")
    for step, cells in zip(steps, aligned, strict=True):
        *above, last = step.split("\n")
        yield from (Line(f"  {line}") for line in above)
        if len(last) > width:
            yield Line(f"  {last}")
            last = ""
        yield Line(f"  {last.ljust(width)}  {cells}", "bold" if step == kind else "")
