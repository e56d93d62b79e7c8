"""Plots of figures against figures: lines and dots, such as distributions, rates over sizes, seconds of a trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.canvas import SANS, Canvas, Picture
from harness.report.plots import frame
from harness.report.plots.scale import Scale, log_ticks, tick_texts, ticks_within

Point = tuple[float, float]
HEIGHT = 250.0
_TOP = 34.0
_MARGIN = 0.04


@dataclass(frozen=True)
class Curve:
    """A line through points, in a style, with marks at some of them, and dots beside it; `label` is what it is called.

    `trials` says which trials the dots are of. `said` describes it in words.
    """

    label: str
    style: str
    line: Sequence[Point] = ()
    marks: Sequence[Point] = ()
    dots: Sequence[Point] = ()
    trials: Sequence[str] = ()
    dashed: bool = False
    said: str = ""

    @property
    def points(self) -> list[Point]:
        """Everything that has to find room."""
        return [*self.line, *self.marks, *self.dots]


@dataclass(frozen=True)
class Axis:
    """What an axis is of; figures are divided by `divisor` at its marks. None of the edges: where the figures end."""

    title: str
    divisor: float = 1.0
    low: float | None = None
    high: float | None = None
    is_log: bool = False
    ticks: Sequence[float] = ()
    lines: Sequence[tuple[float, str]] = ()
    """Where something begins, such as a set-up, and what."""


def curves(title: str, x: Axis, y: Axis, drawn: Sequence[Curve]) -> Picture:
    """Return the plot of these curves, of which one has a point at least."""
    canvas = Canvas(frame.WIDTH, SANS)
    points = [point for curve in drawn for point in curve.points]
    heights = _scale(y, [value for _, value in points], _TOP + HEIGHT, _TOP)
    marks = _ticks(y, heights)
    texts = _texts(y, heights, marks)
    left = frame.room_for(texts, 20)
    widths = _scale(x, [value for value, _ in points], left, frame.WIDTH - frame.RIGHT)
    frame.beside(canvas, heights, (left, widths.end), marks, texts, y.title)
    for place, said in x.lines:
        canvas.line(widths.at(place), _TOP, widths.at(place), _TOP + HEIGHT, "edge dashed")
        canvas.text(widths.at(place) + 4, _TOP + 12, said, size=12, style="dim")
    for curve in drawn:
        _curve(canvas, widths, heights, curve)
    steps = _ticks(x, widths)
    end = frame.below(canvas, widths, _TOP + HEIGHT, steps, _texts(x, widths, steps), x.title)
    names = {(curve.label, curve.style, curve.dashed, bool(curve.line)): None for curve in drawn if curve.label}
    entries = [
        (f"{'dash' if dashed else 'line'} {style}" if has_line else f"dot {style}line", label)
        for label, style, dashed, has_line in names
    ]
    end = frame.key(canvas, entries, end + 12) if entries else end
    return Picture(canvas, end + 6, title, ". ".join(curve.said for curve in drawn if curve.said) or title)


def steps_of(values: Sequence[float], most: int = 120) -> list[Point]:
    """Return the empirical distribution of values as the corners of its steps, of many no more than so many."""
    ordered, count = sorted(values), len(values)
    chosen = range(count) if count <= most else sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
    points: list[Point] = []
    share = 0.0
    for number in chosen:
        points.append((ordered[number], share))
        share = (number + 1) / count
        points.append((ordered[number], share))
    return points


def _curve(canvas: Canvas, x: Scale, y: Scale, curve: Curve) -> None:
    if curve.dots:
        places = [(x.at(a), y.at(b)) for a, b in curve.dots]
        about = {"t": " ".join(curve.trials)} if curve.trials else {}
        canvas.dots(places, f"{curve.style}line{' faint' if curve.line else ''}", **about)
    if curve.line:
        style = f"{curve.style}line thick{' dashed' if curve.dashed else ''}"
        canvas.polyline([(x.at(a), y.at(b)) for a, b in curve.line], style)
    for a, b in curve.marks:
        canvas.dot(x.at(a), y.at(b), curve.style, 4.5)


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> Scale:
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if axis.is_log:
        reach = (high / low) ** _MARGIN if high > low else 1.1
        return Scale(low / reach, high * reach, start, end, is_log=True)
    margin = (high - low) * _MARGIN or abs(high) * 0.1 or 1.0
    return Scale(
        low if axis.low is not None else low - margin, high if axis.high is not None else high + margin, start, end
    )


def _ticks(axis: Axis, scale: Scale) -> Sequence[float]:
    if axis.ticks:
        return axis.ticks
    if scale.is_log:
        return log_ticks(scale.low, scale.high)
    low, high = scale.low / axis.divisor, scale.high / axis.divisor
    return [tick * axis.divisor for tick in ticks_within(low, high)]


def _texts(axis: Axis, scale: Scale, ticks: Sequence[float]) -> list[str]:
    return [f"{tick / axis.divisor:g}" for tick in ticks] if scale.is_log else tick_texts(ticks, axis.divisor)


def is_wide(values: Sequence[float], factor: float = 8.0) -> bool:
    """Tell whether figures lie so far apart that their logarithms show more."""
    positive = [value for value in values if value > 0]
    return len(positive) == len(values) > 1 and math.log(max(values) / min(values)) > math.log(factor)
