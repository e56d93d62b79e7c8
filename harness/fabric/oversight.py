"""Watching Ansible while it runs: it is ended where a run was stopped, or where a node makes it grow without end.

Ansible keeps all that a node prints, so one that prints without end would take this machine's memory. ansible-runner
ends the first of its processes alone, and none where it is interrupted; the others would go on beside a teardown.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 200_000_000
"""Memory that one process of Ansible's may take: by itself it takes some 80 MB."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_RESIDENT = 1
"""Place of the resident pages in /proc/PID/statm."""


class Oversight:
    """Asked over and over while Ansible runs, whether it is to be ended; `has_grown` says that this was why.

    `private` is ansible-runner's folder. It writes this process's whole environment there, which is removed at once.
    `mark` is what only the environment of Ansible's own processes holds.
    """

    def __init__(self, cancelled: Callable[[], bool], private: Path, mark: str) -> None:
        self.has_grown = False
        self._mark = mark.encode()
        self._cancelled = cancelled
        self._private = private

    def __call__(self) -> bool:
        """Tell whether Ansible is to be ended."""
        for path in self._private.glob("artifacts/*/command"):
            with suppress(OSError):
                path.unlink()
        self.has_grown = self.has_grown or any(resident_bytes(pid) > MOST_BYTES for pid in descendants(os.getpid()))
        if not (self.has_grown or self._cancelled()):
            return False
        self.end()
        return True

    def end(self) -> None:
        """End all of Ansible's processes; what a node was told to do, it still does."""
        for first in [pid for pid in children(os.getpid()) if self._mark in environment(pid)]:
            send(first, signal.SIGSTOP)  # it starts no more of them
            for pid in [*descendants(first), first]:
                send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(OSError):
        os.kill(pid, number)


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process started and has not waited for."""
    try:
        paths = [*Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it ended as it was looked at
        return
    for path in paths:
        with suppress(OSError):
            yield from map(int, path.read_text(encoding="ascii").split())


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that these did."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process takes, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[_RESIDENT]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def environment(pid: int) -> list[bytes]:
    """Return what a process has in its environment, nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
