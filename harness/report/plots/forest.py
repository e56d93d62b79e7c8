"""Forest plots: what is compared, row by row, with its interval, what it is held against, and every block a dot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.canvas import SANS, Canvas, Picture, wrapped
from harness.report.plots import frame
from harness.report.plots.scale import Scale, log_ticks, tick_texts, ticks_within

ROW = 27.0
_TOP = 14.0
_MOST_LABEL = 200.0
_LOG_FROM = 1.25
"""Ratios that are further apart than so many times are shown by their logarithms."""
_WIDE = 3.0
"""From so many times on marks are at different distances, with as many decimals as each has."""
_BEYOND = 1.5
"""How many times the extent of all intervals dots may lie beyond these, before they stand at the edge."""
_LANES = (0, 3, -3, 6, -6, 1.5, -4.5, 4.5, -1.5)
"""How far dots of one row are moved up and down, in turns, lest they hide each other."""


@dataclass(frozen=True)
class ForestRow:
    """One row: estimate and interval, `target` with the edges of what makes no difference to it, and dots.

    `dots` are what each block says, `trials` which two trials each is of. `style` is the colour of its verdict.
    """

    label: str
    estimate: float
    interval: tuple[float, float] | None
    target: float
    edges: tuple[float, float]
    has_ceiling: bool
    style: str
    verdict: str
    dots: Sequence[float] = ()
    trials: Sequence[str] = ()
    said: str = ""


@dataclass(frozen=True)
class Axis:
    """What stands below a plot, and what figures are multiplied by there."""

    title: str
    factor: float = 1.0
    is_log: bool = True


def forest(title: str, axis: Axis, rows: Sequence[ForestRow]) -> Picture:
    """Return the plot of these rows, of which there is at least one."""
    canvas = Canvas(frame.WIDTH, SANS)
    left = min(frame.room_for([row.label for row in rows]), _MOST_LABEL)
    scale = _scale(rows, axis, left)
    bottom = _TOP + ROW * len(rows)
    neutral = 1.0 if axis.is_log else 0.0
    if scale.holds(neutral):
        canvas.line(scale.at(neutral), _TOP - 4, scale.at(neutral), bottom, "edge")
    for number, row in enumerate(rows):
        _row(canvas, scale, row, _TOP + ROW * (number + 0.5), left)
    ticks = log_ticks(scale.low, scale.high) if scale.is_log else ticks_within(scale.low, scale.high)
    is_wide = scale.is_log and scale.high > _WIDE * scale.low
    texts = [f"{tick:g}" for tick in ticks] if is_wide else tick_texts(ticks, 1 / axis.factor)
    y = frame.below(canvas, scale, bottom + 2, ticks, texts, axis.title)
    y = frame.key(canvas, _key(rows), y + 12)
    outside = sum(not scale.holds(dot) for row in rows for dot in row.dots)
    if outside:
        canvas.text(8, y + 12, f"{outside} dots lie beyond the edges, at which they stand.", size=12, style="dim")
        y += 20
    return Picture(canvas, y + 6, title, ". ".join(row.said for row in rows if row.said))


def _scale(rows: Sequence[ForestRow], axis: Axis, left: float) -> Scale:
    """Return a scale with all estimates and intervals on it, and dots as far as they leave room for these."""
    core = [x for row in rows for x in (row.estimate, *(row.interval or ()), *row.edges)]
    low, high = min(core), max(core)
    if axis.is_log:
        low, high = min(low, 1.0), max(high, 1.0)
    dots = [dot for row in rows for dot in row.dots]
    start, end = left, frame.WIDTH - frame.RIGHT
    if axis.is_log and low > 0 and high / low > _LOG_FROM:
        reach = (high / low) ** _BEYOND
        low, high = max(min([low, *dots]), low / reach), min(max([high, *dots]), high * reach)
        return Scale(low / 1.02, high * 1.02, start, end, is_log=True)
    reach = (high - low) * _BEYOND or 0.01
    low, high = max(min([low, *dots]), low - reach), min(max([high, *dots]), high + reach)
    margin = (high - low) * 0.03 or 0.01
    return Scale(low - margin, high + margin, start, end)


def _row(canvas: Canvas, scale: Scale, row: ForestRow, y: float, left: float) -> None:
    low, high = (scale.at(edge) for edge in row.edges)
    canvas.box(low, y - ROW / 2 + 2, max(high - low, 1.0), ROW - 4, "band", corner=2)
    lines = wrapped(row.label, left - 12, frame.SIZE, SANS)[:2]
    for number, line in enumerate(lines):
        canvas.text(
            6, y + 4.5 + (number - (len(lines) - 1) / 2) * 13, line, size=frame.SIZE if len(lines) == 1 else 11.5
        )
    if row.dots:
        places = [(scale.at(dot), y + _LANES[number % len(_LANES)]) for number, dot in enumerate(row.dots)]
        canvas.dots(places, "s0line faint", t=" ".join(row.trials))
    if row.has_ceiling:
        canvas.line(scale.at(row.target), y - 11, scale.at(row.target), y + 11, "inkline thick")
    if row.interval:
        canvas.line(scale.at(row.interval[0]), y, scale.at(row.interval[1]), y, f"{row.style}line thick")
    canvas.dot(scale.at(row.estimate), y, row.style, 4.5)


def _key(rows: Sequence[ForestRow]) -> list[frame.Key]:
    verdicts: dict[str, dict[str, None]] = {}
    for row in rows:
        verdicts.setdefault(row.style, {})[row.verdict or "no verdict"] = None
    entries = [(f"interval {style}", f"95 %: {', '.join(words)}") for style, words in verdicts.items()]
    entries += [("dot s0line faint", "a block")] if any(row.dots for row in rows) else []
    entries += [("tick ink", "ceiling")] if any(row.has_ceiling for row in rows) else []
    return [*entries, ("box band", "within the margin")]
