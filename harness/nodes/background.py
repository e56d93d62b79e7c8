"""How busy a node is while nothing of ours runs on it: a short look before each trial.

Pure: the script's text and the parsing of what it prints.
"""

from __future__ import annotations

from harness.model.errors import ToolError
from harness.model.text import brief

WINDOW_S = 0.15
"""How long is looked. A twentieth of a short trial; what it misses by rounding is small over a run's trials."""
SETTLE_S = 0.03
"""How long before that the script's own programs have to be started, and to be at rest."""
USER_HZ = 100
"""Clock ticks a second in /proc/stat."""
_MOST_S = 2.0
"""A window that took longer (or no time) is none: the clock was set, or the node was standing still."""
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
"""Fields of the first line of /proc/stat, that of all CPUs together, behind its name."""

# Both sleeps are started beforehand, and `read` is the shell's own: in the window only `date` is started, a millisecond
# of one CPU. The clock is read in front of the counters both times, so what lies in between cancels.
_SCRIPT = f"""
look() {{ date +%s.%N; read -r line </proc/stat; echo "$line"; }}
grep -c '^cpu[0-9]' /proc/stat
sleep {SETTLE_S} & settled=$!
sleep {SETTLE_S + WINDOW_S} & over=$!
wait "$settled"
look
wait "$over"
look
"""


def argv() -> list[str]:
    """Return the command that looks at a node."""
    return ["sh", "-c", _SCRIPT]


def parse(text: str) -> float | None:
    """Return how many CPUs were busy: seconds of CPU a second, what a hypervisor took left out.

    Rounding may make nothing a little less than 0. None where the clock was set meanwhile. Raises ToolError for what
    the script does not print.
    """
    try:
        cpus, *looks = text.splitlines()
        count = int(cpus)
        before, after = ((float(clock), _idle_s(line)) for clock, line in zip(looks[::2], looks[1::2], strict=True))
    except (ValueError, LookupError, ArithmeticError) as error:
        raise ToolError(f"how busy a node is could not be read: {brief(text)!r}") from error
    passed_s, idle_s = after[0] - before[0], after[1] - before[1]
    return count - idle_s / passed_s if WINDOW_S / 2 < passed_s < _MOST_S else None


def _idle_s(line: str) -> float:
    """Return the seconds in which CPUs did nothing here; Linux times idling exactly, what is busy it samples."""
    ticks = [int(word) for word in line.split()[1:]]
    return (ticks[_IDLE] + ticks[_IOWAIT] + ticks[_STEAL]) / USER_HZ
