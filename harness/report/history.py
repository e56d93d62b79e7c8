"""History: what each profile's ratio to its own underlay was from run to run, and where its level changed.

Runs are compared by these ratios as everywhere, for machines drift. Those of one machine and set-up are one series:
what another one measures says nothing of a change, so a change is looked for in the runs of each machine by itself. A
run is one value there, whatever its own interval: how much runs scatter says more of the next one than blocks do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.measures.registry import order_of
from harness.model.errors import InputError
from harness.model.metrics import Metric
from harness.model.trial import Cell
from harness.report.past_runs import LeftOut, PastRun, past_runs
from harness.results.differences import Difference, differences
from harness.truth import stats
from harness.truth.changes import changes, stretches


@dataclass(frozen=True)
class Point:
    """One run in a series: its ratio, of which the interval is over its own blocks or set-ups (None without one)."""

    run: PastRun
    ratio: stats.Ratio

    @property
    def interval(self) -> stats.Interval | None:
        """The plain interval of 95 %."""
        return self.ratio.interval()


@dataclass(frozen=True)
class Stretch:
    """Runs of one machine between two changes.

    `level` is their geometric mean, its interval over runs. `change` is that over the level of the stretch before, on
    the same machine; None for a machine's first. `differing` is what is not the same in the last run before and the
    first one of it.
    """

    machine: int
    points: tuple[Point, ...]
    level: stats.Ratio
    change: stats.Ratio | None
    differing: tuple[Difference, ...]


@dataclass(frozen=True)
class Series:
    """One cell and metric of a profile (and a pair of hosts), run by run; `stretches` are by machine, then by time."""

    pair: str
    profile: str
    cell: Cell
    metric: Metric
    points: tuple[Point, ...]
    stretches: tuple[Stretch, ...]

    @property
    def marked(self) -> tuple[Stretch, ...]:
        """The stretches that begin with a change."""
        return tuple(stretch for stretch in self.stretches if stretch.change)


@dataclass(frozen=True)
class History:
    """All runs of a folder, the series in them, and what was left out."""

    folder: Path
    runs: tuple[PastRun, ...]
    series: tuple[Series, ...]
    left_out: tuple[LeftOut, ...]

    def first_on(self, machine: int) -> PastRun:
        """Return the first run on a machine."""
        return next(run for run in self.runs if run.machine == machine)

    @property
    def machines(self) -> tuple[int, ...]:
        """The numbers of all machines."""
        return tuple(dict.fromkeys(run.machine for run in self.runs))

    def unlike_first(self, machine: int) -> list[Difference]:
        """Return in what a machine is another one than the first."""
        sides = [[self.first_on(number).surroundings] for number in (1, machine)]
        return differences(*sides, of_machine=True)


def history_of(folder: Path, profiles: Collection[str] = (), metrics: Collection[str] = ()) -> History:
    """Return the history of a folder, of some profiles and metrics where any are named.

    Raises:
        InputError: no run there that can be used, or none of what is named.
    """
    runs, left_out = past_runs(folder)
    points: dict[tuple[str, str, Cell, str], list[Point]] = {}
    known: dict[str, Metric] = {}
    for run in runs:
        for row in run.rows:
            if row.ratio is not None:
                key = (run.pair, row.contrast.profile, row.cell, row.metric.name)
                points.setdefault(key, []).append(Point(run, row.ratio))
                known.setdefault(row.metric.name, row.metric)
    missing = [name for name in profiles if name not in {key[1] for key in points}]
    missing += [name for name in metrics if name not in known]
    if missing:
        measured = ", ".join(dict.fromkeys([*(key[1] for key in points), *known]))
        raise InputError(f"{folder} has no {missing[0]}; there are {measured}.")
    chosen = [key for key in points if (not profiles or key[1] in profiles) and (not metrics or key[3] in metrics)]
    ordered = sorted(chosen, key=lambda key: (key[0], key[1], [*known].index(key[3]), order_of(key[2])))
    series = [_series(key, points[key], known[key[3]]) for key in ordered]
    return History(folder, tuple(runs), tuple(series), tuple(left_out))


def _series(key: tuple[str, str, Cell, str], points: Sequence[Point], metric: Metric) -> Series:
    machines = dict.fromkeys(point.run.machine for point in points)
    made = [
        stretch
        for machine in machines
        for stretch in _stretches(machine, [point for point in points if point.run.machine == machine])
    ]
    return Series(key[0], key[1], key[2], metric, tuple(points), tuple(made))


def _stretches(machine: int, points: Sequence[Point]) -> list[Stretch]:
    """Return the stretches of one machine's runs."""
    logs = [math.log(point.ratio.ratio) for point in points]
    made: list[Stretch] = []
    before: stats.Moments | None = None
    for places in stretches(len(logs), changes(logs)):
        moments = stats.moments_of([logs[place] for place in places])
        own = tuple(points[place] for place in places)
        changed = stats.welch(moments, before) if before else None
        unlike = differences([made[-1].points[-1].run.surroundings], [own[0].run.surroundings]) if made else []
        made.append(Stretch(machine, own, _level(own, moments), changed, tuple(unlike)))
        before = moments
    return made


def _level(points: Sequence[Point], moments: stats.Moments) -> stats.Ratio:
    """Return the geometric mean of runs; one run has its own interval."""
    if moments.variance is None:
        return points[0].ratio
    return stats.Ratio(math.exp(moments.mean), math.sqrt(moments.variance / moments.n), moments.n - 1, moments.n)


def scatter(stretch: Stretch) -> float | None:
    """Return by what share the runs of a stretch scatter, None of one run."""
    logs = [math.log(point.ratio.ratio) for point in stretch.points]
    return stats.deviation(logs) if len(logs) > 1 else None
