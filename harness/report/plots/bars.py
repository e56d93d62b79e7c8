"""Bars in parts: what something consists of, row by row, with another row beside it to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.canvas import SANS, Canvas, Picture, wrapped
from harness.report.plots import frame
from harness.report.plots.scale import Scale, tick_texts, ticks_within

_TOP = 14.0
_BAR, _GAP = 16.0, 9.0
_MOST_LABEL = 190.0


@dataclass(frozen=True)
class Bar:
    """One bar: its parts from the left, each of which has a length; `interval` is where its end may be."""

    label: str
    parts: Sequence[float]
    interval: tuple[float, float] | None = None
    said: str = ""
    begins_group: bool = True


@dataclass(frozen=True)
class PartName:
    """What a part of every bar is, and its style."""

    name: str
    style: str


def bars(title: str, axis: str, divisor: float, names: Sequence[PartName], rows: Sequence[Bar]) -> Picture:
    """Return the plot; lengths are divided by the divisor at the marks of the axis."""
    canvas = Canvas(frame.WIDTH, SANS)
    left = min(frame.room_for([row.label for row in rows]), _MOST_LABEL)
    most = max([sum(row.parts) for row in rows] + [row.interval[1] for row in rows if row.interval])
    scale = Scale(0.0, (most or 1.0) * 1.04, left, frame.WIDTH - frame.RIGHT)
    y = _TOP
    for row in rows:
        y += _GAP if row.begins_group else 2.0
        _bar(canvas, scale, names, row, y, left)
        y += _BAR
    ticks = [tick * divisor for tick in ticks_within(0.0, scale.high / divisor)]
    y = frame.below(canvas, scale, y + _GAP, ticks, tick_texts(ticks, divisor), axis)
    y = frame.key(canvas, [(f"box {part.style}", part.name) for part in names], y + 12)
    return Picture(canvas, y + 6, title, ". ".join(row.said for row in rows if row.said))


def _bar(canvas: Canvas, scale: Scale, names: Sequence[PartName], row: Bar, y: float, left: float) -> None:
    label = wrapped(row.label, left - 12, frame.SIZE, SANS)
    canvas.text(6, y + 12, label[0] if label else "", size=13)
    x = 0.0
    for part, length in zip(names, row.parts, strict=True):
        start, end = scale.at(x), scale.at(x + max(length, 0.0))
        if end > start:
            canvas.box(start, y, end - start, _BAR, part.style, corner=0)
        x += max(length, 0.0)
    if row.interval:
        low, high = (scale.at(edge) for edge in row.interval)
        canvas.line(low, y + _BAR / 2, high, y + _BAR / 2, "inkline thick")
