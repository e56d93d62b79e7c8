"""A trace as a sequence diagram in SVG: a lifeline for each point, time downwards, and where a frame wears a coat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.trace import Hop, Loss, Point, Trace, Walk
from harness.report import trace_layers
from harness.report.canvas import MONO, Canvas, Picture, wide, wrapped
from harness.report.trace_names import plain
from harness.report.trace_view import CAPTURES, bottom_lines, clock_sentence, exchanges, place_text, since_text

WIDTH = 1200
_GUTTER = 100.0
_MARGIN = 16.0
_WIRE = 64.0
_PAD = 8.0
_LINE = 15.0
_SMALL = 10.5
_THIN, _THICK, _HEAD = 1.2, 5.5, 9.0
_LEAST_BESIDE = 28 * _SMALL * MONO.char  # as narrow as text may be beside an arrow; else it stands below
KEY = (
    "Thin: the packet as it was sent. Thick: with a tunnel's headers around it; with no line inside, it cannot be read."
)


@dataclass(frozen=True)
class _Columns:
    """Where lifelines stand: x in pixels by a point's number, and the edges of each node's frame."""

    x: dict[int, float]
    spacing: float
    frames: tuple[tuple[str, float, float], ...]


def svg(trace: Trace) -> str:
    """Return the diagram as a file."""
    return picture(trace).svg("trace")


def picture(trace: Trace) -> Picture:
    """Return the diagram: ARP and the first echo there and back, and the first packet of each kind that was lost."""
    canvas = Canvas(WIDTH)
    columns = _columns(trace.points)
    lines = bottom_lines(trace)
    ends = f"{trace.nodes[0]} {trace.source} to {trace.nodes[1]} {trace.destination}"
    title = plain(f"{trace.profile} at MTU {trace.mtu}: {ends}")
    y = _paragraph(canvas, title, 28.0, 15, "ink bold")
    for line in lines:
        y = _paragraph(canvas, line, y, 11.5, "lost bold" if " LOST " in line else "ink")
    top = y + 4
    y = _heads(canvas, trace.points, columns, top)
    start = y
    for walk in shown(trace.walks):
        y = _Lane(canvas, columns, trace, walk).draw(y + 10)
    bottom = y + 12
    under = Canvas(WIDTH)
    _frames(under, columns, top, start, bottom)
    canvas.under(under)
    y = bottom + 24
    for sentence in (KEY, clock_sentence(trace), *CAPTURES) if trace.walks else trace.notes:
        y = _paragraph(canvas, plain(sentence), y, _SMALL, "dim")
    return Picture(canvas, y, title, ". ".join(lines))


def shown(walks: Sequence[Walk]) -> list[Walk]:
    """Return the walks that are drawn: of each kind the first exchange, and the first that was lost."""
    kinds: dict[tuple[str, bool], list[Walk]] = {}
    for name, own in exchanges(walks).items():
        is_lost = any(walk.loss for walk in own)
        kinds.setdefault((name.partition(" ")[0], is_lost), own)
    chosen = [walk.name for own in kinds.values() for walk in own]
    return [walk for walk in walks if walk.name in chosen]


def _columns(points: Sequence[Point]) -> _Columns:
    groups = [(node, [*own]) for node, own in itertools.groupby(points, key=lambda point: point.node)]
    room = WIDTH - _GUTTER - _MARGIN - _WIRE * max(len(groups) - 1, 0)
    spacing = room / max(len(points), 1)
    x: dict[int, float] = {}
    frames, left = [], _GUTTER
    for node, own in groups:
        x |= {point.number: left + spacing * (number + 0.5) for number, point in enumerate(own)}
        right = left + spacing * len(own)
        frames.append((node, left, right))
        left = right + _WIRE
    return _Columns(x, spacing, tuple(frames))


def _inside(centre: float, width: float) -> float:
    """Return where the centre of a text has to be for it to stay between gutter and margin."""
    return min(max(centre, _GUTTER + width / 2), WIDTH - _MARGIN - width / 2)


def _paragraph(canvas: Canvas, said: str, y: float, size: float, style: str) -> float:
    for line in wrapped(said, WIDTH - 2 * _MARGIN, size):
        canvas.text(_MARGIN, y, line, size=size, style=style)
        y += size + 5
    return y


def _heads(canvas: Canvas, points: Sequence[Point], columns: _Columns, top: float) -> float:
    """Write the names over the lifelines, in several rows where one is too short for them; return where they end."""
    widest = max(
        (wide(said, 11) for point in points for said in (point.device, place_text(point), "MTU 65536")), default=0
    )
    moved = max(widest - columns.spacing, 0) / 2  # at an edge, so as to stay inside
    rows = max(math.ceil((widest + moved + _PAD) / columns.spacing), 1)
    for point in points:
        y = top + 40 + (point.number % rows) * 3 * _LINE
        for said, size, style in (
            (point.device, 11.0, "ink bold"),
            (place_text(point), 10.0, "dim"),
            (f"MTU {point.mtu}", 10.0, "dim"),
        ):
            x = _inside(columns.x[point.number], wide(said, size))
            canvas.text(x, y, plain(said), size=size, style=style, anchor="middle")
            y += _LINE - 1
    return top + 40 + rows * 3 * _LINE - 8


def _frames(canvas: Canvas, columns: _Columns, top: float, start: float, bottom: float) -> None:
    for node, left, right in columns.frames:
        canvas.box(left - 2, top, right - left + 4, bottom - top, "edge")
        canvas.text((left + right) / 2, top + 20, plain(node), size=13, style="ink bold", anchor="middle")
    for (_, _, left), (_, right, _) in itertools.pairwise(columns.frames):
        canvas.text((left + right) / 2, top + 20, "wire", size=11, style="dim", anchor="middle")
    for x in columns.x.values():
        canvas.line(x, start, x, bottom, "life")


class _Lane:
    """One packet's part of the diagram."""

    def __init__(self, canvas: Canvas, columns: _Columns, trace: Trace, walk: Walk) -> None:
        self._canvas, self._columns, self._trace, self._walk = canvas, columns, trace, walk
        first = trace_layers.readable(walk.hops[0].frames).layers if walk.hops else ()
        self._sent = trace_layers.addresses(first)

    def draw(self, y: float) -> float:
        """Draw it from `y` down; return where it ends."""
        lines = wrapped(f"{plain(self._walk.name)}: {plain(self._walk.summary)}", WIDTH - 4 * _MARGIN, 11.5)
        self._canvas.box(_MARGIN, y, WIDTH - 2 * _MARGIN, len(lines) * _LINE + 7, "band")
        for number, line in enumerate(lines):
            self._canvas.text(2 * _MARGIN, y + 15 + number * _LINE, line, size=11.5, style="onband bold")
        y += len(lines) * _LINE + 7
        for before, hop in zip((None, *self._walk.hops), self._walk.hops, strict=False):
            y = self._hop(before, hop, y)
        return self._lost(self._walk.loss, y) if self._walk.loss else y

    def _hop(self, before: Hop | None, hop: Hop, y: float) -> float:
        """Draw the arrow to a hop, with bytes above it and what is new beside it."""
        middle = y + 24
        end = self._columns.x[hop.point.number]
        start = self._columns.x[before.point.number] if before else end
        if before and start != end:
            self._arrow((start, end), middle, self._coat(before), self._coat(hop))
        self._canvas.dot(end, middle, "bare")
        more = trace_layers.total(hop) - trace_layers.total(before) if before else 0
        label = f"{trace_layers.total(hop)} B" + (f" in {len(hop.frames)}" if len(hop.frames) > 1 else "")
        label += f" ({more:+d})" if more else ""
        centre = _inside((start + end) / 2, wide(label, 11))
        self._canvas.text(centre, middle - 9, label, size=11, anchor="middle")
        since = wrapped(since_text(self._trace, self._walk, hop), _GUTTER - _MARGIN - _PAD, _SMALL)
        for number, line in enumerate(since):
            self._canvas.text(_MARGIN, middle + 4 + number * _LINE, line, size=_SMALL, style="dim")
        said = [(plain(change), "ink") for change in hop.changes]
        said += [(plain(f"{decision.by.value}: {decision.meaning}"), "dim") for decision in hop.decisions]
        half = max(abs(end - start), wide(label, 11)) / 2
        below = self._beside((start + end) / 2 - half, (start + end) / 2 + half, centre, half, middle, said)
        return max(middle + 10, below, middle + 4 + (len(since) - 1) * _LINE)

    def _coat(self, hop: Hop) -> tuple[bool, bool]:
        """Tell whether a packet is in a tunnel at a hop, and whether it can be read there."""
        found = trace_layers.coats(trace_layers.readable(hop.frames), self._sent)
        return bool(found.outer), bool(found.inner)

    def _arrow(self, ends: tuple[float, float], y: float, from_: tuple[bool, bool], to: tuple[bool, bool]) -> None:
        """Draw an arrow that is as thick at each end as the packet is there."""
        start, tip = ends
        way = 1 if tip > start else -1
        neck = tip - way * _HEAD
        here, there = (_THICK if coat[0] else _THIN for coat in (from_, to))
        style = "coat" if from_[0] or to[0] else "bare"
        self._canvas.polygon([(start, y - here), (neck, y - there), (neck, y + there), (start, y + here)], style)
        if style == "coat" and (from_[1] or to[1]):
            self._canvas.line(start, y, neck, y, "bareline thick")
        self._canvas.polygon([(neck, y - there - 3), (tip, y), (neck, y + there + 3)], style)

    def _beside(
        self, left: float, right: float, centre: float, half: float, y: float, said: Sequence[tuple[str, str]]
    ) -> float:
        """Write beside an arrow, on the side that has more room, or below it; return where the text ends."""
        left, right = min(left, centre - half) - 12, max(right, centre + half) + 12
        rooms = (left - _GUTTER, WIDTH - _MARGIN - right)
        x, anchor, room, baseline = (right, "start", rooms[1], y + 4)
        if rooms[0] > rooms[1]:
            x, anchor, room = left, "end", rooms[0]
        if room < _LEAST_BESIDE:
            x, anchor, room, baseline = _GUTTER, "start", WIDTH - _GUTTER - _MARGIN, y + 20
        for text, style in said:
            for line in wrapped(text, room, _SMALL):
                self._canvas.text(x, baseline, line, size=_SMALL, style=style, anchor=anchor)
                baseline += _LINE - 1
        return baseline - 6

    def _lost(self, loss: Loss, y: float) -> float:
        """Draw where the packet went and did not arrive."""
        middle = y + 24
        after, before = loss.after, loss.before
        start = self._columns.x[after.number] if after else None
        end = self._columns.x[before.number] if before else None
        if start is None:
            start = end if end is not None else _GUTTER
        tip = (start + end) / 2 if end is not None else start + self._columns.spacing / 2 * self._way()
        if tip != start:
            self._canvas.line(start, middle, tip, middle, "lostline thick")
        for slope in (-7, 7):
            self._canvas.line(tip - 7, middle - slope, tip + 7, middle + slope, "lostline thick")
        rows = [("LOST", loss.cause), ("fact", loss.fact), *(("counted", counter) for counter in loss.counted)]
        said = [(plain(f"{label}: {text}"), "lost") for label, text in [*rows, ("advice", loss.advice)] if text]
        centre, half = (start + tip) / 2, abs(tip - start) / 2 + 8
        return max(self._beside(centre - half, centre + half, centre, half, middle, said), middle + 12)

    def _way(self) -> int:
        """Return 1 for a packet that goes to the right, -1 for one that goes to the left."""
        hops = self._walk.hops
        return -1 if len(hops) > 1 and hops[-1].point.number < hops[0].point.number else 1
