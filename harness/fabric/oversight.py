"""Watching Ansible while it runs: it is ended where a run was stopped, or where a node makes it grow without end.

Ansible keeps all that a node prints, so one that prints without end would take this machine's memory.
"""

from __future__ import annotations

import os
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
    """

    def __init__(self, cancelled: Callable[[], bool], private: Path) -> None:
        self.has_grown = False
        self._cancelled = cancelled
        self._private = private

    def __call__(self) -> bool:
        """Tell whether Ansible is to be ended."""
        for path in self._private.glob("artifacts/*/command"):
            with suppress(OSError):
                path.unlink()
        self.has_grown = self.has_grown or any(resident_bytes(pid) > MOST_BYTES for pid in descendants(os.getpid()))
        return self.has_grown or self._cancelled()


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that these did."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text(encoding="ascii").split()):
                yield child
                yield from descendants(child)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process takes, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[_RESIDENT]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
