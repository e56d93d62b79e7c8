"""Progress of a run while it goes: a bar at a terminal, plain lines elsewhere. Everything goes to standard error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import RLock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn

from harness.cli.bar import Bar
from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES, title_of
from harness.model.notes import Note
from harness.model.pairs import Pair, Wave
from harness.model.trial import Slot, Status, Trial
from harness.report.page import Page
from harness.results.plan import Plan

REFRESH_HZ = 2
"""Drawing costs CPU that the trial under way would be missing."""
_PLAIN_EVERY_S = 10.0
_COUNTED = "{task.completed:.0f}/{task.total:.0f} {task.fields[left]} {task.fields[live]}"
_UNITS = {"bit/s": (1e6, "Mbit/s"), "s": (1e-6, "µs"), "1/s": (1, "/s")}


def figure(trial: Trial) -> str:
    """Return a trial's main figure as text."""
    if trial.status is not Status.OK:
        return trial.status.value
    main = next(name for name in MEASURES[trial.slot.cell.measure].rows if name in trial.figures)
    divisor, unit = _UNITS.get(METRICS[main].unit, (1, METRICS[main].unit))
    return f"{trial.figures[main] / divisor:.0f} {unit}"


def clock(seconds: float) -> str:
    """Return a duration as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class RunProgress:
    """Observer of an experiment, or (`waves`) of one for each of several pairs."""

    def __init__(self, plan: Plan, console: Console, waves: Sequence[Wave] = ()) -> None:
        self._plan = plan
        self._waves = len(waves) or 1
        self._pairs = sum(map(len, waves)) or 1
        self._console = console
        self._said: set[str] = set()
        self._started = time.monotonic()
        self._last_line = 0.0
        self._last = ""
        self._number = 0
        self._bar: Bar | None = None
        self._task = TaskID(0)
        if console.is_terminal and not console.quiet:
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn(_COUNTED, markup=False),
                console=console,
                refresh_per_second=REFRESH_HZ,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total, left="", live="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def _total(self) -> int:
        return self._plan.trials * self._pairs

    def stage(self, text: str) -> None:
        """Show that something other than a trial begins."""
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        self._console.print(
            f"{clock(time.monotonic() - self._started)} {text}", highlight=False, markup=False, style="dim"
        )

    def planned(self, plan: Plan) -> None:
        """Take in what is going to be measured."""
        self._plan = plan
        if self._bar is not None:
            self._bar.update(self._task, total=self._total)

    def started(self, slot: Slot, number: int, who: str = "") -> None:
        """Show the cell of a trial (`who`: and the pair that it is of) and the time left."""
        self._number = number
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=f"{who}{slot.profile} {title_of(slot.cell)}",
                completed=number - 1,
                left=self._left(number - 1),
                live=f"(last: {self._last})" if self._last else "",
            )

    def live(self, figure: str) -> None:
        """Show the figure of the trial under way."""
        if self._bar is not None:
            self._bar.update(self._task, live=figure)

    def finished(self, trial: Trial, who: str = "") -> None:
        """Keep the last figure in view; say at once what went wrong."""
        self._last = figure(trial)
        where = f"{who}block {trial.slot.block} {trial.slot.profile} {title_of(trial.slot.cell)}"
        if trial.status is not Status.OK:
            self._console.print(
                f"{trial.status.value}: {where}: {trial.reason}", highlight=False, markup=False, style="yellow"
            )
        now = time.monotonic()
        if self._bar is None and (now - self._last_line >= _PLAIN_EVERY_S or self._number == self._total):
            self._last_line = now
            self._console.print(
                f"{clock(now - self._started)} {self._number}/{self._total} {where}: {self._last}, "
                f"{self._left(self._number)}",
                highlight=False,
                markup=False,
            )

    def stands(self, page: Page, lines: Sequence[str]) -> None:
        """Show how the run stands between two blocks: a table above the bar, or lines."""
        if self._bar is not None:
            self._bar.put_above(page)
            return
        now = clock(time.monotonic() - self._started)
        for line in lines:
            self._console.print(f"{now} {line}", highlight=False, markup=False, soft_wrap=True)

    def note(self, note: Note) -> None:
        """Show a note, each one once."""
        text = str(note)
        if text in self._said:
            return
        self._said.add(text)
        self._console.print(f"note: {text}", highlight=False, markup=False, style="yellow")

    def _left(self, done: int) -> str:
        """Return the time left, from what the plan expects of each trial."""
        share = 1 - done / max(self._total, 1)
        most = "at most " if self._plan.until_width else ""
        return f"{most}{clock(self._plan.expected_s * self._waves * share)} left"


class PairProgress:
    """Observer of one pair's experiment, beside others that may go on at the same time: all show on one display."""

    def __init__(self, shown: RunProgress, pair: Pair, shared: TrialCount) -> None:
        self._shown = shown
        self._who = f"{pair} "
        self._shared = shared

    def stage(self, text: str) -> None:
        """Show that something other than a trial begins."""
        with self._shared.lock:
            self._shown.stage(f"{self._who}{text}")

    def planned(self, plan: Plan) -> None:
        """Do nothing: all pairs have the same plan, which is known by then."""

    def started(self, slot: Slot, number: int) -> None:  # noqa: ARG002 - trials of all pairs are counted together
        """Show the cell of a trial and the time left."""
        with self._shared.lock:
            self._shared.started += 1
            self._shown.started(slot, self._shared.started, self._who)

    def live(self, figure: str) -> None:
        """Show the figure of the trial under way."""
        with self._shared.lock:
            self._shown.live(figure)

    def finished(self, trial: Trial) -> None:
        """Show the figure of a trial, or what went wrong."""
        with self._shared.lock:
            self._shown.finished(trial, self._who)

    def note(self, note: Note) -> None:
        """Show a note."""
        with self._shared.lock:
            self._shown.note(note)


class TrialCount:
    """How many trials all pairs together have started."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.started = 0
