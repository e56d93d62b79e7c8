"""A run over links as a plot: goodput by the number of flows, a line a profile, as SVG (no library draws it)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

from harness.measures.metrics import BITS_PER_GBIT
from harness.report.ecmp import EcmpAnalysis, EcmpRow

WIDTH, HEIGHT = 720, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 60
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
"""Colours that the colour-blind tell apart (Okabe and Ito 2008)."""
_STEP_PX = 3
"""How far lines are moved sideways, so that intervals of several profiles do not hide each other."""
_MOST_TICKS = 6
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
"""What steps of the scale begin with."""


def svg(analysis: EcmpAnalysis) -> str:
    """Return the plot: geometric means with their 95 % intervals, and what chance alone gives the first profile."""
    rows = [row for row in analysis.rows if row.goodput]
    flows = sorted({row.flows for row in rows})
    chance = _by_chance(analysis)
    ticks = ticks_of(max([_high(row) for row in rows] + [*chance.values()], default=BITS_PER_GBIT))
    highest = ticks[-1]
    places = {count: _LEFT + (number + 0.5) * _inner_width() / max(len(flows), 1) for number, count in enumerate(flows)}
    drawn = [*_frame(places, ticks, analysis.links)]
    if chance:
        line = [(places[count], _y(value, highest)) for count, value in chance.items()]
        drawn.append(_line(line, "#7F7F7F", dashed=True))
        drawn.append(_key(len(analysis.profiles), "#7F7F7F", "uniform hash", dashed=True))
    for number, profile in enumerate(analysis.profiles):
        drawn += _profile(number, [row for row in rows if row.profile == profile], places, highest)
        drawn.append(_key(number, _colour(number), profile))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>', *drawn, "</svg>"]) + "\n"


def _by_chance(analysis: EcmpAnalysis) -> Mapping[int, float]:
    """Return what flows that fill their links reach by a uniform hash, from what 1 flow of the first profile does."""
    rows = analysis.of_profile(analysis.profiles[0]) if analysis.counted else []
    one = next((row.goodput.ratio for row in rows if row.flows == 1 and row.goodput), None)
    return {} if one is None else {row.flows: one * row.chance.links_used for row in rows if row.goodput}


def ticks_of(most: float) -> Sequence[float]:
    """Return the marks of the scale, from 0 to the first one that is not below the most."""
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    step = next(power * first for first in _ROUND if power * first * _MOST_TICKS >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _frame(places: Mapping[int, float], ticks: Sequence[float], links: int) -> Iterable[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    yield _text(_LEFT, _TOP - 16, f"Goodput over {links} links, 95 % intervals", weight="bold")
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#000000"/>'
    for value in ticks:
        y = _y(value, ticks[-1])
        yield f'<path d="M{_LEFT - 4} {y:.1f}H{right}" stroke="#DDDDDD"/>'
        yield _text(_LEFT - 8, y + 4, f"{value / BITS_PER_GBIT:.3g}", anchor="end")
    yield _text(_LEFT - 8, _TOP - 16, "Gbit/s", anchor="end")
    for count, x in places.items():
        yield _text(x, bottom + 20, str(count), anchor="middle")
    yield _text(_LEFT + _inner_width() / 2, bottom + 44, "flows", anchor="middle")


def _profile(number: int, rows: Sequence[EcmpRow], places: Mapping[int, float], highest: float) -> Iterable[str]:
    colour, aside = _colour(number), number * _STEP_PX
    points = [(places[row.flows] + aside, _y(row.goodput.ratio, highest)) for row in rows if row.goodput]
    yield _line(points, colour)
    for row, (x, y) in zip(rows, points, strict=True):
        interval = row.goodput.interval() if row.goodput else None
        if interval is not None:
            low, high = (_y(min(edge, highest), highest) for edge in (interval.low, interval.high))
            yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="2"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'


def _key(number: int, colour: str, text: str, *, dashed: bool = False) -> str:
    x, y = WIDTH - _RIGHT + 16, _TOP + 10 + 20 * number
    return _line([(x, y), (x + 24, y)], colour, dashed=dashed) + _text(x + 30, y + 4, text)


def _line(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _high(row: EcmpRow) -> float:
    """Return how high a point goes with its interval; that of two trials may be any, so not above twice the point."""
    if row.goodput is None:
        return 0.0
    interval = row.goodput.interval()
    return min(interval.high if interval else 0.0, 2 * row.goodput.ratio) or row.goodput.ratio


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _inner_width() -> int:
    return WIDTH - _LEFT - _RIGHT


def _y(value: float, highest: float) -> float:
    return HEIGHT - _BOTTOM - value / highest * (HEIGHT - _TOP - _BOTTOM)
