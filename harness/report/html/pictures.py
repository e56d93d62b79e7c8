"""Pictures of an analysis: which plot shows which rows, and how it is read."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from harness.measures.metrics import CPU_ROWS, METRICS
from harness.measures.registry import label_of
from harness.model.metrics import Metric
from harness.model.trial import Cell
from harness.report.analysis import Analysis, Row
from harness.report.canvas import SERIES, Picture
from harness.report.contrasts import Against
from harness.report.decomposed_layout import title_of
from harness.report.decomposition import Steps
from harness.report.dots import DotFinder
from harness.report.html.answer import style_of
from harness.report.page import Scale, ratio_text, scale_of
from harness.report.plots import curves, forest
from harness.report.plots.bars import Bar, PartName, bars
from harness.report.titles import row_name, section_title
from harness.report.told import GOODPUT
from harness.truth.stats import Interval

_BASES = {Against.IDLE: "idle", Against.OFFLOAD: "on"}
READ_FOREST = (
    "Each line is a row of the table: the point is its ratio, the bar its 95 % interval, each small dot what one block "
    "says. Against the grey band it makes no difference; the band lies about {target}. What is decided lies with its "
    "whole bar outside the band, or within it."
)
READ_DIFFERENCE = (
    "Each line is a row of the table: the point is by how many percentage points the shares differ, the bar its 95 % "
    "interval, each small dot what one block says. Within the grey band it makes no difference."
)
READ_CPU = (
    "Of each pair of bars the upper one is the profile's, the lower one the baseline's. Tools: the measuring programs "
    "themselves; interrupts: where most of the network's own work is done; other: the rest of the node's busy time. "
    "Medians of the trials."
)
READ_ADDED = (
    "From the left: what the container's path (veth, bridge, forwarding) adds to the underlay's figure, then what the "
    "encapsulation adds. The black bar is the 95 % interval of both together."
)
READ_STEPS = (
    "From the left: what is lost on the container's path (veth, bridge, forwarding), then what is lost by the "
    "encapsulation, in shares of the underlay's goodput. The black bar is the 95 % interval of the whole loss."
)


def forest_of(rows: Sequence[Row], finder: DotFinder, margin: float) -> tuple[Picture, str] | None:
    """Return the plot of rows that are compared, and how it is read; None where none is."""
    shown = [row for row in rows if (row.difference if row.metric.tries else row.ratio)]
    if not shown:
        return None
    first = shown[0]
    base = _BASES.get(first.contrast.against, first.contrast.baseline)
    title = f"{section_title(first.metric, first.cell)}: {first.contrast.title}"
    if first.metric.tries:
        axis = forest.Axis("difference, percentage points", 100.0, is_log=False)
        return forest.forest(title, axis, [_forest_row(row, finder, margin) for row in shown]), READ_DIFFERENCE
    better = "more" if first.metric.better == "higher" else "less"
    axis = forest.Axis(f"ratio to {base} (1: no difference, {better} is better)")
    has_ceiling = any(row.ceiling is not None for row in shown)
    target = "the ceiling, which is what the headers allow" if has_ceiling else "1"
    picture = forest.forest(title, axis, [_forest_row(row, finder, margin) for row in shown])
    return picture, READ_FOREST.format(target=target)


def _forest_row(row: Row, finder: DotFinder, margin: float) -> forest.ForestRow:
    dots = finder.of_row(row)
    estimate = row.ratio.ratio if row.ratio else row.difference.difference if row.difference else 0.0
    neutral = 1.0 if row.ratio else 0.0
    target = neutral if row.ceiling is None else row.ceiling
    edges = (target * (1 - margin), target * (1 + margin)) if row.ratio else (target - margin, target + margin)
    verdict = str(row.against_ceiling or row.verdict or "")
    name = row_name(row.metric, row.cell)
    return forest.ForestRow(
        name,
        estimate,
        _edges(row.interval),
        target,
        edges,
        row.ceiling is not None,
        style_of(row),
        verdict,
        dots.values,
        dots.trials,
        _said(name, row, estimate, verdict),
    )


def _edges(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval else None


def _said(name: str, row: Row, estimate: float, verdict: str) -> str:
    """Return a row in words."""
    if not row.ratio:
        return f"{name}: {100 * estimate:+.2f} points{', ' if verdict else ''}{verdict}"
    between = f", {ratio_text(row.interval.low)} to {ratio_text(row.interval.high)}" if row.interval else ""
    ceiling = f", ceiling {ratio_text(row.ceiling)}" if row.ceiling is not None else ""
    return f"{name}: ratio {ratio_text(estimate)}{between}{ceiling}{', ' if verdict else ''}{verdict}"


def cpu_of(rows: Sequence[Row], analysis: Analysis) -> Picture | None:
    """Return where the CPU time of these rows goes; None where that was not read."""
    by_key = {(row.contrast, row.cell, row.metric.name): row for row in analysis.rows if row.metric.name in CPU_ROWS}
    drawn: list[Bar] = []
    for row in rows:
        own = [by_key.get((row.contrast, row.cell, name)) for name in CPU_ROWS[:3]]
        name = row_name(row.metric, row.cell)
        base = _BASES.get(row.contrast.against, row.contrast.baseline)
        for label, medians, begins in (
            (name, [one.median if one else None for one in own], True),
            (base, [one.baseline_median if one else None for one in own], False),
        ):
            known = [median for median in medians if median is not None]
            if len(known) == len(medians):
                whole, tools, interrupts = known
                parts = (tools, interrupts, max(whole - tools - interrupts, 0.0))
                said = f"{name}, {label if not begins else row.contrast.profile}: {1e3 * whole:.1f} ms/Gbit"
                drawn.append(Bar(label, parts, said=said, begins_group=begins))
    if not drawn:
        return None
    names = (PartName("tools", "s1"), PartName("interrupts", "s2"), PartName("other", "rest"))
    first = rows[0]
    title = f"Where the CPU time goes: {first.contrast.title}"
    return bars(title, "CPU time, ms for each gigabit", 1e-3, names, drawn)


def steps_of(steps: Sequence[Steps]) -> tuple[Picture, str]:
    """Return where a cost of a profile lies, of which there is one step at least, and how the plot is read."""
    first = steps[0]
    is_ratio = first.metric.name == GOODPUT
    divisor, unit, digits = (
        (1e-2, "%", 2) if is_ratio else scale_of(first.metric, [one.whole_row.median for one in steps])
    )
    drawn = [_step(one, row_name(one.metric, one.cell), (divisor, unit, digits), is_ratio=is_ratio) for one in steps]
    names = (PartName("container path", "s2"), PartName("encapsulation", "s1"))
    axis = "lost, % of the underlay's goodput" if is_ratio else f"added to the underlay's, {unit}"
    return bars(title_of(steps), axis, divisor, names, drawn), READ_STEPS if is_ratio else READ_ADDED


def _step(one: Steps, name: str, scale: Scale, *, is_ratio: bool) -> Bar:
    """Return both steps of a cell as parts of a bar: what they take of goodput, or add to what it costs."""
    ends = one.whole_row.interval if is_ratio else one.whole_row.added_interval
    if is_ratio:
        path, tunnel, _ = one.ratios
        parts = (1 - path, path * (1 - tunnel))
        interval = (1 - ends.high, 1 - ends.low) if ends else None
    else:
        parts = (one.path.added or 0.0, one.tunnel.added or 0.0)
        interval = (ends.low, ends.high) if ends else None
    divisor, unit, digits = scale
    texts = [f"{part / divisor:.{digits}f} {unit}" for part in parts]
    return Bar(name, parts, interval, f"{name}: {texts[0]} on the container's path, {texts[1]} by encapsulation")


def style_of_profile(profile: str, profiles: Sequence[str]) -> str:
    """Return the colour of a profile: the underlay, which comes first, has the quiet one."""
    return f"s{[*profiles].index(profile) % SERIES}" if profile in profiles else "s0"


def over_levels(
    rows: Sequence[Row], factor: str, finder: DotFinder, profiles: Sequence[str], x: Metric | None = None
) -> list[Picture]:
    """Return a metric over a factor that its cells vary, such as packets over size: one plot for each other level.

    `x` is a metric to go by instead of the factor's levels, such as what was offered; both are medians of the trials.
    """
    groups: dict[Cell, list[Row]] = {}
    for row in rows:
        if row.cell.get(factor) is not None:
            groups.setdefault(row.cell.without(factor), []).append(row)
    made = []
    for cell, own in groups.items():
        if len({row.cell.get(factor) for row in own}) > 1:
            made.append(_over_level(cell, own, factor, finder, profiles, x))
    return [picture for picture in made if picture is not None]


def _over_level(
    cell: Cell, rows: Sequence[Row], factor: str, finder: DotFinder, profiles: Sequence[str], x: Metric | None
) -> Picture | None:
    first = rows[0]
    metric = METRICS.get(first.metric.name, first.metric)
    arms = [(first.contrast.baseline, row.contrast.baseline_cell(row.cell)) for row in rows]
    arms += [(row.contrast.profile, row.cell) for row in rows]
    drawn = []
    for profile in dict.fromkeys(name for name, _ in arms):
        cells = dict.fromkeys(own for name, own in arms if name == profile)
        drawn.append(_level_curve(profile, cells, factor, metric, finder, profiles, x))
    drawn = [curve for curve in drawn if curve.dots]
    if not drawn:
        return None
    widths = [point[0] for curve in drawn for point in curve.points]
    heights = [point[1] for curve in drawn for point in curve.points]
    across, up = scale_of(x, widths) if x else (1.0, "B", 0), scale_of(metric, heights)
    x_title = f"{x.title}, {across[1]}" if x else "size of a packet, B"
    title = f"{section_title(metric, cell)} over {x.title if x else factor}: {label_of(cell)}, {first.contrast.title}"
    ticks = () if x else sorted({*widths})
    x_axis = curves.Axis(x_title, across[0], is_log=curves.is_wide(widths), ticks=ticks)
    return curves.curves(title, x_axis, curves.Axis(f"{metric.title}, {up[1]}", up[0], low=0.0), drawn)


def _level_curve(
    profile: str,
    cells: Iterable[Cell],
    factor: str,
    metric: Metric,
    finder: DotFinder,
    profiles: Sequence[str],
    x: Metric | None,
) -> curves.Curve:
    """Return a profile's medians as a line, and its trials as dots."""
    line: list[curves.Point] = []
    dots: list[curves.Point] = []
    trials: list[str] = []
    for cell in cells:
        blocks, own = finder.of_arm(profile, cell, metric)
        if x:
            at, figures = finder.of_arm(profile, cell, x)
            beside = dict(zip(at, figures.values, strict=True))
            places = [beside.get(block, math.nan) for block in blocks]
        else:
            places = [float(cell.get(factor) or 0)] * len(own.values)
        found = [(a, b, name) for a, b, name in zip(places, own.values, own.trials, strict=True) if not math.isnan(a)]
        if found:
            dots += [(a, b) for a, b, _ in found]
            trials += [name for *_, name in found]
            line.append((statistics.median([a for a, *_ in found]), statistics.median([b for _, b, _ in found])))
    said = f"{profile}: {len(dots)} trials at {len(line)} levels"
    return curves.Curve(
        profile, style_of_profile(profile, profiles), sorted(line), sorted(line), dots, trials, said=said
    )
