"""A run over links as a plot: goodput by the number of flows, a line a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.measures.metrics import BITS_PER_GBIT
from harness.report.canvas import SANS, SERIES, Canvas, Picture
from harness.report.ecmp import EcmpAnalysis, EcmpRow
from harness.report.plots.scale import ticks_of

WIDTH, HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 60
_SIZE = 13.0
_STEP_PX = 3
"""How far lines are moved sideways, so that intervals of several profiles do not hide each other."""
_BY_CHANCE = "dim"


def svg(analysis: EcmpAnalysis) -> str:
    """Return the plot as a file."""
    return picture(analysis).svg("ecmp")


def picture(analysis: EcmpAnalysis) -> Picture:
    """Return the plot: geometric means with their 95 % intervals, and what chance alone gives the first profile."""
    canvas = Canvas(WIDTH, SANS)
    rows = [row for row in analysis.rows if row.goodput]
    flows = sorted({row.flows for row in rows})
    chance = _by_chance(analysis)
    ticks = ticks_of(max([_high(row) for row in rows] + [*chance.values()], default=BITS_PER_GBIT))
    highest = ticks[-1]
    places = {count: _LEFT + (number + 0.5) * _inner_width() / max(len(flows), 1) for number, count in enumerate(flows)}
    title = f"Goodput over {analysis.links} links, 95 % intervals"
    _frame(canvas, places, ticks, title)
    if chance:
        line = [(places[count], _y(value, highest)) for count, value in chance.items()]
        canvas.polyline(line, f"{_BY_CHANCE}line dashed")
        _key(canvas, len(analysis.profiles), f"{_BY_CHANCE}line dashed", "uniform hash")
    for number, profile in enumerate(analysis.profiles):
        _profile(canvas, number, [row for row in rows if row.profile == profile], places, highest)
        _key(canvas, number, f"{_colour(number)}line", profile)
    return Picture(canvas, HEIGHT, title, ". ".join(_said(row) for row in rows) or "No figure.")


def _said(row: EcmpRow) -> str:
    goodput = row.goodput.ratio / BITS_PER_GBIT if row.goodput else 0.0
    return f"{row.profile}, {row.flows} flows: {goodput:.3f} Gbit/s"


def _by_chance(analysis: EcmpAnalysis) -> Mapping[int, float]:
    """Return what flows that fill their links reach by a uniform hash, from what 1 flow of the first profile does."""
    rows = analysis.of_profile(analysis.profiles[0]) if analysis.counted else []
    one = next((row.goodput.ratio for row in rows if row.flows == 1 and row.goodput), None)
    return {} if one is None else {row.flows: one * row.chance.links_used for row in rows if row.goodput}


def _frame(canvas: Canvas, places: Mapping[int, float], ticks: Sequence[float], title: str) -> None:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    canvas.text(_LEFT, _TOP - 16, title, size=_SIZE, style="ink bold")
    for value in ticks:
        y = _y(value, ticks[-1])
        canvas.line(_LEFT - 4, y, right, y, "edge")
        canvas.text(_LEFT - 8, y + 4, f"{value / BITS_PER_GBIT:.3g}", size=_SIZE, anchor="end")
    canvas.polyline([(_LEFT, _TOP), (_LEFT, bottom), (right, bottom)], "inkline")
    canvas.text(_LEFT - 8, _TOP - 16, "Gbit/s", size=_SIZE, anchor="end")
    for count, x in places.items():
        canvas.text(x, bottom + 20, str(count), size=_SIZE, anchor="middle")
    canvas.text(_LEFT + _inner_width() / 2, bottom + 44, "flows", size=_SIZE, anchor="middle")


def _profile(canvas: Canvas, number: int, rows: Sequence[EcmpRow], places: Mapping[int, float], highest: float) -> None:
    colour, aside = _colour(number), number * _STEP_PX
    points = [(places[row.flows] + aside, _y(row.goodput.ratio, highest)) for row in rows if row.goodput]
    canvas.polyline(points, f"{colour}line")
    for row, (x, y) in zip(rows, points, strict=True):
        interval = row.goodput.interval() if row.goodput else None
        if interval is not None:
            low, high = (_y(min(edge, highest), highest) for edge in (interval.low, interval.high))
            canvas.line(x, low, x, high, f"{colour}line thick")
        canvas.dot(x, y, colour)


def _key(canvas: Canvas, number: int, style: str, text: str) -> None:
    x, y = WIDTH - _RIGHT + 16, _TOP + 10 + 20 * number
    canvas.polyline([(x, y), (x + 24, y)], style)
    canvas.text(x + 30, y + 4, text, size=_SIZE)


def _high(row: EcmpRow) -> float:
    """Return how high a point goes with its interval; that of two trials may be any, so not above twice the point."""
    if row.goodput is None:
        return 0.0
    interval = row.goodput.interval()
    return min(interval.high if interval else 0.0, 2 * row.goodput.ratio) or row.goodput.ratio


def _colour(number: int) -> str:
    return f"s{number % SERIES}"


def _inner_width() -> int:
    return WIDTH - _LEFT - _RIGHT


def _y(value: float, highest: float) -> float:
    return HEIGHT - _BOTTOM - value / highest * (HEIGHT - _TOP - _BOTTOM)
