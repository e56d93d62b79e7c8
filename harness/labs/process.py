"""Processes by pid and start time, so that a reused pid is never taken for ours; and commands run to their end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import LabError
from harness.model.programs import remedy

_START_TIME_FIELD = 21
"""Index of starttime in /proc/PID/stat, see proc_pid_stat(5)."""


@dataclass(frozen=True)
class ProcessId:
    """A process: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Return the process that has this pid now; raises ProcessLookupError where there is none."""
        start = _start_ticks(pid)
        if start is None:
            raise ProcessLookupError(pid)
        return cls(pid, start)

    def is_alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        return _start_ticks(self.pid) == self.start_ticks

    def kill(self, timeout_s: float = 5.0) -> bool:
        """Send SIGKILL and wait until it is gone; return whether it is."""
        deadline = time.monotonic() + timeout_s
        while self.is_alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return True
            _reap(self.pid)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


def _reap(pid: int) -> None:
    """Collect a child of ours that ended, so that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _start_ticks(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the program's name before it may hold anything
    if fields[0] in "ZX":
        return None
    return int(fields[_START_TIME_FIELD - 2])


def child_of(pid: int) -> int | None:
    """Return the pid of the only child of a process, None while it has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(children[0]) if children else None


def command(argv: list[str], stdin: str | None = None) -> str:
    """Run a program on this host and return its standard output; raises LabError with the program's own words."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; {remedy(argv[0])}.") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
