"""Background load beside a run: how much CPU time other programs used, set against what the trials used themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.measures.metrics import CPU_ROWS
from harness.model.metrics import Metric
from harness.model.notes import About, Note
from harness.report.arms import Arm
from harness.report.trials import RunData
from harness.truth.stats import Verdict

LIMIT = 0.1
"""Share of what an arm's trials used themselves above which what others used makes its CPU time useless.

Background b that both arms see moves the ratio of u and v to (u + b) / (v + b). As long as b is at most a tenth of
either, that is off by a tenth at most, however far apart the arms are.
"""
MOST = 10.0
"""Larger shares are given as this one: nothing is left of what the trials used themselves."""
_COLUMNS = ("client_background_cpus", "server_background_cpus")
ADVICE = "CPU time cannot be compared then; end what else runs on the nodes, and measure again"


@dataclass(frozen=True)
class Background:
    """How many CPUs others kept busy in each block, those of both nodes together.

    `seconds` is how long a trial lasts, omitted seconds included. On a shared kernel what other programs used is taken
    off CPU time already.
    """

    cpus: Mapping[int, float] = field(default_factory=dict)
    seconds: float = 0.0
    shared_kernel: bool = False

    @classmethod
    def of(cls, run: RunData) -> Background:
        """Return what a run's trials saw, each before it began; nothing where that is not known."""
        frame = run.trials.frame
        if run.meta is None or not all(name in frame for name in _COLUMNS):
            return cls()
        both = frame[[*_COLUMNS]]
        cpus = both.mean(axis="columns") if run.meta.shared_kernel else both.sum(axis="columns", skipna=False)
        by_block = cpus.groupby(frame["block"]).mean().dropna()
        timing = run.meta.plan.timing
        seconds = timing.duration_s + timing.omit_s
        blocks = zip(by_block.index.tolist(), by_block.tolist(), strict=True)
        return cls(dict(blocks), seconds, run.meta.shared_kernel)

    def share(self, arm: Arm, blocks: Sequence[int]) -> float:
        """Return what others used over what an arm's trials used themselves in these blocks; 0 where it is not known.

        All of the blocks' trials are looked at, not the arm's alone: a single look is too short to tell.
        """
        known = [block for block in blocks if block in self.cpus]
        if not known or not all(name in arm.frame for name in ("client_cpu_s", "server_cpu_s")):
            return 0.0
        others_s = max(sum(self.cpus[block] for block in known), 0.0) * self.seconds
        own = arm.frame.loc[known, ["client_cpu_s", "server_cpu_s"]].sum()
        own_s = float(own["client_cpu_s"] if self.shared_kernel else own["client_cpu_s"] + own["server_cpu_s"])
        if not self.shared_kernel:
            own_s -= others_s
        if not others_s:
            return 0.0
        return min(others_s / own_s, MOST) if own_s > 0 else MOST

    def judged(
        self, metric: Metric, arms: Sequence[Arm], blocks: Sequence[int], verdict: Verdict | None
    ) -> tuple[Verdict | None, Note | None]:
        """Return the verdict of a row, and what is to be said where others used too much beside any of its arms.

        Nothing but CPU time is judged by that. Where there are too few blocks for a verdict, it is said all the same.
        """
        if metric.name not in CPU_ROWS or verdict in (None, Verdict.NO_FIGURE):
            return verdict, None
        share = max(self.share(arm, blocks) for arm in arms)
        if share <= LIMIT:
            return verdict, None
        fact = f"others used {share:.0%} of the CPU time that the trials used"
        few = verdict is Verdict.NOT_ENOUGH_BLOCKS
        return verdict if few else Verdict.DISTURBED, Note(About.LOAD, "", fact, ADVICE, value=share)
