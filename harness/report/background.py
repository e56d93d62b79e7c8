"""Background load beside a run: how much CPU time other programs used, set against what the trials used themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.measures.metrics import CPU_ROWS, METRICS
from harness.model.metrics import Metric
from harness.model.notes import About, Note
from harness.report.arms import Arm
from harness.report.trials import RunData
from harness.truth.verdicts import Verdict

LIMIT = 0.1
"""Share of what an arm's trials used themselves above which what others used makes its CPU time useless.

Background b that both arms see moves the ratio of u and v to (u + b) / (v + b). As long as b is at most a tenth of
either, that is off by a tenth at most, however far apart the arms are.
"""
MOST = 10.0
"""Larger shares are given as this one: nothing is left of what the trials used themselves."""
LOOK_COST_CPUS = 0.01
"""What a look itself uses, on both nodes together: on each a program is started, which takes 0.8 ms of its 150 ms."""
LOOK_ERROR_CPUS = 0.027
"""Standard deviation of a look at one node: both its readings of idle time are cut to hundredths of a second."""
SURE = 2.0
"""How many standard errors of the mean over all looks are in doubt given to the nodes."""
HARNESS_CPUS = 0.02
"""What the harness itself uses of a kernel that the nodes share with it: .03 s in 3 s (median of 72 quiet trials)."""
_BUSY = tuple(METRICS[name] for name in ("client_cpu_s", "server_cpu_s"))
_FOREIGN = METRICS["foreign_cpu_s"]
_LOOKS = ("client_background_cpus", "server_background_cpus")
ADVICE = "CPU time cannot be compared then; end what else runs on the nodes, and measure again"


@dataclass(frozen=True)
class Background:
    """What others used of the nodes' CPUs beside a run.

    On a kernel that the nodes share, each trial says what others used in it, and that is taken off its CPU time. On
    hosts it was looked at before each trial: they kept so many `cpus` busy over the run, of which some are in `doubt`.
    `seconds` is how long a trial lasts, omitted seconds included.
    """

    cpus: float = 0.0
    doubt: float = 0.0
    seconds: float = 0.0
    shared_kernel: bool = False

    @classmethod
    def of(cls, run: RunData) -> Background:
        """Return what was seen beside all trials of a run; nothing where that is not known."""
        figures, meta = run.trials.table.figures, run.meta
        if meta is None:
            return cls()
        seconds = meta.plan.timing.duration_s + meta.plan.timing.omit_s
        if meta.shared_kernel:
            return cls(seconds=seconds, shared_kernel=True)
        if not all(name in figures for name in _LOOKS):
            return cls()
        cpus = np.sum([figures[name] for name in _LOOKS], axis=0)
        looks = cpus[~np.isnan(cpus)]
        if not len(looks):
            return cls()
        doubt = SURE * LOOK_ERROR_CPUS * math.sqrt(2 / len(looks))
        return cls(max(float(looks.mean()) - LOOK_COST_CPUS, 0.0), doubt, seconds)

    def share(self, arm: Arm, *, beyond_doubt: bool) -> float:
        """Return what others used over what an arm's trials used themselves; 0 where it is not known."""
        busy_s = [arm.figures(metric) for metric in _BUSY]
        if not all(map(len, busy_s)):
            return 0.0
        client_s, server_s = (float(figures.mean()) for figures in busy_s)
        if self.shared_kernel:
            foreign_s, own_s = arm.figures(_FOREIGN).sum() / len(busy_s[0]) - HARNESS_CPUS * self.seconds, client_s
        else:
            cpus = self.cpus - (self.doubt if beyond_doubt else 0.0)
            foreign_s, own_s = cpus * self.seconds, client_s + server_s - self.cpus * self.seconds
        if foreign_s <= 0:
            return 0.0
        return float(min(foreign_s / own_s, MOST)) if own_s > 0 else MOST

    def judged(
        self, metric: Metric, arms: Sequence[Arm], verdict: Verdict | None
    ) -> tuple[Verdict | None, Note | None]:
        """Return the verdict of a row, and what is to be said where others used too much beside any of its arms.

        Nothing but CPU time is judged by that. Where there are too few blocks for a verdict, it is said all the same.
        """
        if metric.name not in CPU_ROWS or verdict in (None, Verdict.NO_FIGURE):
            return verdict, None
        if max(self.share(arm, beyond_doubt=True) for arm in arms) <= LIMIT:
            return verdict, None
        share = max(self.share(arm, beyond_doubt=False) for arm in arms)
        fact = f"others used {share:.0%} of the CPU time that the trials used"
        few = verdict is Verdict.NOT_ENOUGH_BLOCKS
        return verdict if few else Verdict.DISTURBED, Note(About.LOAD, "", fact, ADVICE, value=share)
