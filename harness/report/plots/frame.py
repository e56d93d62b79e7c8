"""The frame of a plot: its axes with marks and units, and the key to what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.canvas import SANS, Canvas, wide
from harness.report.plots.scale import Scale

WIDTH = 520
"""As wide as a plot is, in pixels: on a phone it is shown at two thirds of that, with text of 10 pixels."""
SIZE = 14.0
RIGHT = 14.0
KEY_STEP = 20.0
_MARK = 4.0
_GAP = 18.0

Key = tuple[str, str]
"""What stands for something in a picture, such as `line s1`, `dash s1`, `dot s1line`, `box band`, and what that is."""


def below(canvas: Canvas, scale: Scale, y: float, ticks: Sequence[float], texts: Sequence[str], title: str) -> float:
    """Draw the axis below a plot whose lower edge is at `y`; return where it ends."""
    canvas.line(scale.start, y, scale.end, y, "edge")
    right = 0.0
    for tick, text in zip(ticks, texts, strict=True):
        x = scale.at(tick)
        canvas.line(x, y, x, y + _MARK, "edge")
        half = wide(text, SIZE, SANS) / 2
        if x - half < right + 4:  # too close to the one before it
            continue
        right = x + half
        canvas.text(x, y + 17, text, size=SIZE, style="dim", anchor="middle")
    half = wide(title, SIZE, SANS) / 2
    middle = max(min((scale.start + scale.end) / 2, canvas.width - half), half)
    canvas.text(middle, y + 36, title, size=SIZE, style="dim", anchor="middle")
    return y + 44


def beside(
    canvas: Canvas, scale: Scale, edges: tuple[float, float], ticks: Sequence[float], texts: Sequence[str], title: str
) -> None:
    """Draw the axis left of a plot between two edges, with a line across it at each mark, and its title on top."""
    left, right = edges
    for tick, text in zip(ticks, texts, strict=True):
        y = scale.at(tick)
        canvas.line(left, y, right, y, "edge faint")
        canvas.text(left - 7, y + 4.5, text, size=SIZE, style="dim", anchor="end")
    canvas.text(8, min(scale.start, scale.end) - 14, title, size=SIZE, style="dim")


def room_for(texts: Sequence[str], least: float = 0.0) -> float:
    """Return how much room marks or labels left of a plot take."""
    return max([least, *(wide(text, SIZE, SANS) for text in texts)]) + 16


def key(canvas: Canvas, entries: Sequence[Key], y: float, left: float = 8.0) -> float:
    """Write what is what, in as many lines as it takes; return where it ends."""
    x = left
    for mark, said in entries:
        width = 30 + wide(said, SIZE, SANS)
        if x > left and x + width > canvas.width:
            x, y = left, y + KEY_STEP
        _mark(canvas, mark, x, y)
        canvas.text(x + 27, y + 4.5, said, size=SIZE)
        x += width + _GAP
    return y + 12


def _mark(canvas: Canvas, mark: str, x: float, y: float) -> None:
    """Draw what stands for something, 22 pixels wide, about `y`."""
    kind, _, style = mark.partition(" ")
    if kind == "box":
        canvas.box(x, y - 6, 22, 12, style, corner=2)
    elif kind == "dot":
        canvas.dots([(x + 4, y - 2), (x + 11, y + 2), (x + 18, y - 1)], style)
    elif kind == "tick":
        canvas.line(x + 11, y - 8, x + 11, y + 8, f"{style}line thick")
    elif kind == "interval":
        canvas.line(x, y, x + 22, y, f"{style}line thick")
        canvas.dot(x + 11, y, style, 4.5)
    else:
        canvas.line(x, y, x + 22, y, f"{style}line thick{' dashed' if kind == 'dash' else ''}")
