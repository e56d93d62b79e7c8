"""Round trips as distributions: every reply that raw/ has, else the percentiles of the trials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.measures.metrics import METRICS
from harness.measures.ping import replies
from harness.model.trial import Cell
from harness.report.analysis import Row
from harness.report.canvas import Picture
from harness.report.dots import DotFinder
from harness.report.html.pictures import style_of_profile
from harness.report.page import scale_of
from harness.report.plots import curves
from harness.truth.stats import median

_ENOUGH = 0.5
"""Share of an arm's trials whose records have to be there, for a curve of their replies to stand for all."""
MOST_READ = 400
"""Files of raw/ that are read for one report; each takes about half a millisecond."""
_PERCENTILES = (("rtt_min_s", 0.0), ("rtt_p50_s", 0.5), ("rtt_p90_s", 0.9), ("rtt_p99_s", 0.99), ("rtt_max_s", 1.0))
_MARKED = ("rtt_p50_s", "rtt_p90_s", "rtt_p99_s")
PINGS = ("ping", "loaded-ping")
READING = (
    "How large a share of the replies had come back by then: a curve further to the left is quicker, a steep one "
    "steadier. Points are medians of the trials' percentiles, as in the table{curves}."
)
Arm = tuple[str, Cell]


class Rounds:
    """Draws the round trips of a run; it reads so many files of raw/ and no more."""

    def __init__(self, folder: Path, finder: DotFinder, raw: dict[str, str], arms: int) -> None:
        """Take the run's folder, where the record of each trial is in it, by the trial, and how many arms pinged."""
        self._folder = folder
        self._finder = finder
        self._raw = raw
        self._each = max(MOST_READ // max(arms, 1), 1)
        self._known: dict[Arm, list[float]] = {}
        self._share: dict[Arm, float] = {}

    def pictures(self, rows: Sequence[Row], profiles: Sequence[str]) -> list[tuple[Picture, str]]:
        """Return a plot for each MTU of these rows, idle and under load in one, with how it is read."""
        arms: dict[int, dict[Arm, None]] = {}
        for row in rows:
            own = arms.setdefault(row.cell.mtu, {})
            own[row.contrast.baseline, row.contrast.baseline_cell(row.cell)] = None
            own[row.contrast.profile, row.cell] = None
        made = (self._picture(mtu, [*own], profiles) for mtu, own in arms.items())
        return [one for one in made if one is not None]

    def _picture(self, mtu: int, arms: Sequence[Arm], profiles: Sequence[str]) -> tuple[Picture, str] | None:
        replied = {arm: self._replies(arm) for arm in arms}
        is_whole = all(own and self._share[arm] >= _ENOUGH for arm, own in replied.items())
        drawn = []
        for (profile, cell), own in replied.items():
            marks = [*self._marks((profile, cell))]
            if not marks:
                continue
            line = curves.steps_of(own) if is_whole else marks
            shown = [point for point, name in zip(marks, self._names((profile, cell)), strict=True) if name in _MARKED]
            word = "" if cell.measure == "ping" else f" under load, x{cell.flows}"
            label = f"{profile}{word}" + ("" if cell.mtu == mtu else f" at {cell.mtu}")
            points = ", ".join(f"{100 * share:g} % within {1e6 * value:.0f} µs" for value, share in marks)
            style = style_of_profile(profile, profiles)
            drawn.append(curves.Curve(label, style, line, shown, dashed=bool(word), said=f"{label}: {points}"))
        if not drawn:
            return None
        seconds = [x for curve in drawn for x, _ in curve.points]
        divisor, unit, _ = scale_of(METRICS["rtt_p50_s"], [sorted(seconds)[len(seconds) // 2]])
        x = curves.Axis(f"round trip, {unit}", divisor, is_log=curves.is_wide(seconds, 4.0))
        y = curves.Axis("share of the replies, %", 1e-2, 0.0, 1.0)
        loaded = any(cell.measure != "ping" for _, cell in arms)
        title = f"Round trips at MTU {mtu}{', idle and under load' if loaded else ''}"
        count = sum(map(len, replied.values()))
        curve = (
            f"; the curves are of the {count} replies that raw/ holds here" if is_whole else ", and so are the lines"
        )
        return curves.curves(title, x, y, drawn), READING.format(curves=curve)

    def _names(self, arm: Arm) -> list[str]:
        return [name for name, _ in _PERCENTILES if len(self._finder.of_arm(*arm, METRICS[name])[1].values)]

    def _marks(self, arm: Arm) -> Iterator[curves.Point]:
        """Yield the medians of the trials' percentiles."""
        for name, share in _PERCENTILES:
            middle = median(self._finder.of_arm(*arm, METRICS[name])[1].values)
            if middle is not None:
                yield middle, share

    def _replies(self, arm: Arm) -> list[float]:
        """Return the seconds of every reply but the first of some of an arm's trials, which are spread over the run."""
        if arm not in self._known:
            _, dots = self._finder.of_arm(*arm, METRICS["rtt_p50_s"])
            there = [self._folder / self._raw[name] for name in dots.trials if self._raw.get(name)]
            paths = [path for path in there if path.is_file()]
            self._share[arm] = len(paths) / max(len(dots.trials), 1)
            chosen = paths[:: -(-len(paths) // self._each)] if paths else []
            self._known[arm] = [seconds for path in chosen for seconds in _seconds(path)]
        return self._known[arm]


def is_pinged(row: Row) -> bool:
    """Tell whether a row is of round trips by ping."""
    return row.cell.measure in PINGS and row.metric.name.startswith("rtt_")


def _seconds(path: Path) -> list[float]:
    """Return the round trips in the record of a trial, none where it cannot be read."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))["steps"]
        text = steps[-1]["jobs"]["client"]["stdout"]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return []
    return [seconds for number, seconds in replies(text).items() if number > 1]
