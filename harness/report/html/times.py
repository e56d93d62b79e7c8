"""A run over its time: every trial by its block, and the seconds of trials that fell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES, label_of
from harness.model.metrics import Metric
from harness.model.trial import Cell, Status
from harness.report.analysis import Analysis
from harness.report.canvas import Picture
from harness.report.collapse import Halves, Place, collapsed, places, trials_by_place
from harness.report.contrasts import cells_of
from harness.report.dots import DotFinder
from harness.report.html.model import Figure, Grid, Line
from harness.report.html.pictures import style_of_profile
from harness.report.page import scale_of
from harness.report.plots import curves
from harness.report.trials import RunData
from harness.truth.stats import median

READ_TIMELINE = (
    "Every trial a dot, over the block that it is of, as a multiple of the median of its profile and cell: what drifts "
    "or jumps here did so for all that is drawn there, and cancels where trials of one block are compared. Dashed "
    "lines: the profiles were torn down and set up again."
)
READ_SERIES = (
    "Goodput second by second of trials whose one half differs from the other by more than those of their cell do; "
    "thin and grey, the other trials of the same profile and cell."
)
_MOST_SERIES, _MOST_BESIDE = 8, 12
_SPREAD = 0.05
"""A share that the scale of a timeline reaches to at least, so that noise does not look like drift."""


def timeline(run: RunData, analysis: Analysis, finder: DotFinder, profiles: Sequence[str], name: str) -> Figure:
    """Return every trial over the blocks, one plot for each measure's main figure, and what became of the trials."""
    measures: dict[str, list[Cell]] = {}
    for _, cell in finder.arms:
        if cell not in measures.setdefault(cell.measure, []):
            measures[cell.measure].append(cell)
    drawn = []
    for measure in measures:
        metric = _main(measure, analysis)
        picture = _over_blocks(run, measure, metric, finder, profiles) if metric else None
        drawn += [picture] if picture else []
    return Figure(name, "Every trial, block by block", drawn, [_tally(run)], READ_TIMELINE)


def _main(measure: str, analysis: Analysis) -> Metric | None:
    """Return the figure that a measure is for, None where it is not known."""
    known = MEASURES.get(measure)
    if known is not None:
        return METRICS[known.rows[0]]
    return next((row.metric for row in analysis.rows if row.cell.measure == measure and row.metric.better), None)


def _over_blocks(
    run: RunData, measure: str, metric: Metric, finder: DotFinder, profiles: Sequence[str]
) -> Picture | None:
    drawn = []
    for profile in profiles:
        points: list[curves.Point] = []
        trials: list[str] = []
        shift = 0.16 * ([*profiles].index(profile) - (len(profiles) - 1) / 2) / max(len(profiles) / 3, 1)
        for cell in cells_of(finder.arms, profile):
            if cell.measure == measure:
                blocks, dots = finder.of_arm(profile, cell, metric)
                middle = median(dots.values)
                if middle:
                    points += [
                        (block + shift, value / middle) for block, value in zip(blocks, dots.values, strict=True)
                    ]
                    trials += dots.trials
        if points:
            said = f"{profile}: {len(points)} trials"
            style = style_of_profile(profile, profiles)
            drawn.append(curves.Curve(profile, style, dots=points, trials=trials, said=said))
    if not drawn:
        return None
    values = [value for curve in drawn for _, value in curve.dots]
    low, high = min(*values, 1 - _SPREAD) - _SPREAD / 10, max(*values, 1 + _SPREAD) + _SPREAD / 10
    last = int(run.trials.table.whole["block"].max())
    title = f"{metric.title} {metric.part}".strip() + f" by {measure}, block by block"
    x = curves.Axis("block", low=0.5, high=last + 0.5, lines=_setups(run), ticks=_blocks(last))
    is_log = curves.is_wide(values, 4.0)
    y = curves.Axis("times its median", low=None if is_log else low, high=None if is_log else high, is_log=is_log)
    return curves.curves(title, x, y, drawn)


def _blocks(last: int) -> list[float]:
    step = max(1, -(-last // 12))
    return [float(block) for block in range(max(1, step), last + 1, step)]


def _setups(run: RunData) -> list[tuple[float, str]]:
    """Return where each set-up but the first begins, nothing where all blocks are of one."""
    table = run.trials.table
    firsts: dict[int, int] = {}
    for setup, block in zip(table.whole["setup"].tolist(), table.whole["block"].tolist(), strict=True):
        firsts[setup] = min(firsts.get(setup, block), block)
    return [(block - 0.5, f"set-up {setup}") for setup, block in sorted(firsts.items())][1:]


def _tally(run: RunData) -> Grid:
    """Return how many trials of each profile ended how."""
    words = run.trials.table.words
    profiles, statuses = words["profile"].tolist(), words["status"].tolist()
    again = (run.trials.table.whole["attempt"] > 1).tolist()
    lines = []
    for profile in words["profile"].present:
        own = [status for name, status in zip(profiles, statuses, strict=True) if name == profile]
        repeated = sum(more for name, more in zip(profiles, again, strict=True) if name == profile)
        counts = [str(own.count(status)) for status in (Status.OK, Status.FAILED, Status.INVALID)]
        lines.append(Line((str(profile), *counts, str(repeated))))
    return Grid("trials", ("trials", "ok", "failed", "invalid", "measured again"), lines)


def fallen(run: RunData, name: str) -> Figure | None:
    """Return the seconds of trials that fell apart, None where none did."""
    found = collapsed(run)
    if not found or run.series is None:
        return None
    trials = trials_by_place(run)
    series = _series(run)
    drawn = []
    for place in [*found][:_MOST_SERIES]:
        profile, cell = trials[place]
        alike = [other for other, key in trials.items() if key == (profile, cell) and other not in found]
        beside = [series[other] for other in alike[:_MOST_BESIDE] if other in series]
        drawn.append(_second_by_second(place, profile, cell, series[place], beside))
    lines = [_halves(place, trials[place], halves) for place, halves in found.items()][:100]
    headings = ("trial", "block", "position", "first half, Mbit/s", "second half, Mbit/s", "retransmits")
    return Figure(name, "Trials that fell apart", drawn, [Grid("trials", headings, lines)], READ_SERIES)


def _halves(place: Place, trial: tuple[str, Cell], halves: Halves) -> Line:
    early, late, again = halves
    figures = (f"{early / 1e6:.1f}", f"{late / 1e6:.1f}", "" if again is None else str(again))
    return Line((f"{trial[0]} {label_of(trial[1])}", str(place[0]), str(place[1]), *figures))


def _series(run: RunData) -> Mapping[Place, list[curves.Point]]:
    """Return the goodput of each trial in the middle of its seconds, those that were omitted left out."""
    made: dict[Place, list[curves.Point]] = {}
    if run.series is not None:
        own = run.series.at(run.series.figures["omitted"] == 0)
        columns = (own.figures[name].tolist() for name in ("start_s", "end_s", "goodput_bps"))
        for place, start, end, bps in zip(places(own), *columns, strict=True):
            made.setdefault(place, []).append(((start + end) / 2, bps))
    return {place: sorted(points) for place, points in made.items()}


def _second_by_second(
    place: Place, profile: str, cell: Cell, own: list[curves.Point], beside: Sequence[list[curves.Point]]
) -> Picture:
    drawn = [curves.Curve("others of the cell", "s0", line) for line in beside]
    label = f"block {place[0]}, position {place[1]}"
    said = ", ".join(f"{x:g} s: {bps / 1e6:.0f} Mbit/s" for x, bps in own)
    drawn.append(curves.Curve(label, "lost", own, own if len(own) < 40 else (), said=f"{label}: {said}"))  # noqa: PLR2004
    divisor, unit, _ = scale_of(METRICS["goodput_bps"], [bps for curve in drawn for _, bps in curve.points])
    title = f"{profile} {label_of(cell)}, {label}"
    return curves.curves(title, curves.Axis("seconds", low=0.0), curves.Axis(f"goodput, {unit}", divisor, 0.0), drawn)
