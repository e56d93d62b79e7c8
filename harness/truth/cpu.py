"""CPU time of a trial, from the readings around it. Pure.

A CPU is busy when it is neither idle nor taken away by a hypervisor. Linux times idling exactly (tick_sched.c,
get_cpu_idle_time_us, with CONFIG_NO_HZ), while it samples what a busy CPU does 100 to 1000 times a second: so what was
busy is the time that passed less what was idle, and only the share of interrupts, `softirq`, is from samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.errors import ToolError
from harness.model.readings import Reading, Span

ROUNDING_S = 0.05
"""Times of processes are counted in hundredths, so that what is nothing may read as a little less."""
CLOCK_STEP_S = 0.05
"""By how much clock and uptime (which counts hundredths) may differ over a trial, before the clock was set."""


@dataclass(frozen=True)
class Usage:
    """Seconds of CPU, all CPUs of a node together, and shares of the time that passed.

    `busy_s` is all but what processes outside the lab used, None where these read more than there was; `softirq_s` was
    spent in interrupts, of whichever process's time that was taken; `tools_s` is what the measuring programs used
    themselves, None where that is not known. `busiest_ratio` is of the CPU that was busiest, `stolen_ratio` what a
    hypervisor gave to others.
    """

    busy_s: float | None
    softirq_s: float
    tools_s: float | None
    foreign_s: float
    busiest_ratio: float
    stolen_ratio: float


def usage(span: Span) -> Usage:
    """Return what a node's CPUs did between two readings; ToolError where they were not the same ones."""
    before, after = span.before, span.after
    if len(before.idle_cpus_s) != len(after.idle_cpus_s):
        raise ToolError("a CPU was switched on or off in the middle of the trial")
    passed_s = _passed_s(before, after)
    idle_s = [max(late - early, 0.0) for early, late in zip(before.idle_cpus_s, after.idle_cpus_s, strict=True)]
    stolen_s = after.stolen_cpu_s - before.stolen_cpu_s
    tools = (before.tools_cpu_s, after.tools_cpu_s)
    capacity_s = passed_s * len(idle_s)
    busy_s = capacity_s - sum(idle_s) - stolen_s - span.foreign_cpu_s
    return Usage(
        busy_s=max(busy_s, 0.0) if busy_s > -ROUNDING_S else None,
        softirq_s=after.softirq_cpu_s - before.softirq_cpu_s,
        tools_s=None if tools[0] is None or tools[1] is None else max(tools[1] - tools[0], 0.0),
        foreign_s=span.foreign_cpu_s,
        busiest_ratio=min(max(1 - min(idle_s, default=passed_s) / passed_s, 0.0), 1.0) if passed_s > 0 else 0.0,
        stolen_ratio=stolen_s / capacity_s if capacity_s > 0 else 0.0,
    )


def _passed_s(before: Reading, after: Reading) -> float:
    """Return the seconds between two readings: the clock's, which are finer, unless it was set meanwhile."""
    by_clock, by_uptime = after.clock_s - before.clock_s, after.uptime_s - before.uptime_s
    return by_clock if abs(by_clock - by_uptime) <= CLOCK_STEP_S else by_uptime
