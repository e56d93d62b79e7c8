"""A series of a history as SVG: each run with its interval, levels as lines, marks where one changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from harness.report.history import Series, Stretch
from harness.report.history_page import change_text, name_of
from harness.truth.stats import Interval

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 40
_TICKS = 5
_MOST_NUMBERS = 12
_LEAST_SPAN = 0.002
"""What the scale spans at least, as a share: what scatters less is drawn flat."""
_AROUND = 3
"""An interval is drawn no further beyond its ratio than so many times what the ratios span."""


class _Scale:
    """Places on the plot: run numbers from left to right, ratios upwards."""

    def __init__(self, series: Series) -> None:
        ratios = [point.ratio.ratio for point in series.points]
        middle = (max(ratios) + min(ratios)) / 2
        span = max(max(ratios) - min(ratios), _LEAST_SPAN * middle)
        edges = [edge for point in series.points for edge in _edges(point.interval, point.ratio.ratio, span)]
        self.low, self.high = min(edges, default=middle - span), max(edges, default=middle + span)
        self.first, self.last = series.points[0].run.number, series.points[-1].run.number

    def x(self, number: float) -> float:
        """Return where a run stands."""
        return _LEFT + (number - self.first + 0.5) / (self.last - self.first + 1) * (WIDTH - _LEFT - _RIGHT)

    def y(self, ratio: float) -> float:
        """Return where a ratio stands, at the edge where it is beyond."""
        share = min(max((ratio - self.low) / (self.high - self.low), 0.0), 1.0)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _edges(interval: Interval | None, ratio: float, span: float) -> tuple[float, float]:
    most = _AROUND * span
    if interval is None:
        return ratio - span / 4, ratio + span / 4
    return max(interval.low, ratio - most), min(interval.high, ratio + most)


def svg(series: Series, number: int) -> str:
    """Return the plot of a series; `number` tells its title's id from those of other plots on a page."""
    scale = _Scale(series)
    title, about = escape(name_of(series)), escape(_described(series))
    drawn = [*_frame(scale), *_points(series, scale), *_levels(series.stretches, scale)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="t{number} d{number}">'
    )
    return "\n".join(
        [head, f'<title id="t{number}">{title}</title><desc id="d{number}">{about}</desc>', *drawn, "</svg>"]
    )


def _described(series: Series) -> str:
    """Return what a plot shows, for who does not see it."""
    marks = [
        f"from run {one.points[0].run.number} on changed by {change_text(one.change.ratio)}"
        for one in series.marked
        if one.change
    ]
    last = series.points[-1]
    return (
        f"Ratio to the underlay of {len(series.points)} runs with 95 % intervals; the last is {last.ratio.ratio:.4f}; "
        f"{', '.join(marks) or 'no change is marked'}."
    )


def _frame(scale: _Scale) -> Iterator[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for step in range(_TICKS):
        ratio = scale.low + (scale.high - scale.low) * step / (_TICKS - 1)
        y = scale.y(ratio)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield _text(_LEFT - 6, y + 4, f"{ratio:.4f}", "end")
    numbers = range(scale.first, scale.last + 1)
    for number in numbers[:: -(-len(numbers) // _MOST_NUMBERS)]:
        yield _text(scale.x(number), bottom + 16, str(number), "middle")
    yield _text((_LEFT + right) / 2, HEIGHT - 6, "run", "middle")
    yield f'<text x="14" y="{(_TOP + bottom) / 2:.1f}" text-anchor="middle" transform="rotate(-90 14 {(_TOP + bottom) / 2:.1f})">ratio</text>'  # noqa: E501 - one element


def _points(series: Series, scale: _Scale) -> Iterator[str]:
    for point in series.points:
        x, y = scale.x(point.run.number), scale.y(point.ratio.ratio)
        name = f"m{(point.run.machine - 1) % 4}"
        if point.interval:
            low, high = scale.y(point.interval.low), scale.y(point.interval.high)
            yield f'<path class="{name}" d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
        yield f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def _levels(stretches: Sequence[Stretch], scale: _Scale) -> Iterator[str]:
    for stretch in stretches:
        first, last = stretch.points[0].run.number, stretch.points[-1].run.number
        y = scale.y(stretch.level.ratio)
        yield f'<path class="level" d="M{scale.x(first - 0.4):.1f} {y:.1f}H{scale.x(last + 0.4):.1f}"/>'
        if stretch.change:
            x = scale.x(first - 0.5)
            yield f'<path class="mark" d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>'
            yield _text(x + 4, _TOP + 10, change_text(stretch.change.ratio), "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
