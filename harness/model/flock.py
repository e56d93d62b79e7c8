"""Locks of open files and folders (flock(2)): one ends with the process that has it, whatever becomes of that."""

from __future__ import annotations

import fcntl


def try_lock(number: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock what is open under this number (LOCK_EX, LOCK_SH), and tell whether that could be done."""
    try:
        fcntl.flock(number, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
