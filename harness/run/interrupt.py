"""Ctrl-C, SIGTERM and SIGHUP: they stop a run, but never its clean-up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RECEIVED: set[int] = set()
"""Those that interrupted this process. What they hit may raise anything in the place of KeyboardInterrupt, such as a
module that was being loaded SyntaxError."""


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Handle a signal: remember it, and raise KeyboardInterrupt."""
    RECEIVED.add(number)
    raise KeyboardInterrupt


class Interruption:
    """Turns the signals into KeyboardInterrupt, or only notes them while something must not be cut short."""

    def __init__(self, on_shielded: Callable[[], None] = lambda: None) -> None:
        self.requested = False
        self._depth = 0
        self._on_shielded = on_shielded

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals within the block, as they were handled before afterwards."""
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup has it
        before = {number: signal.signal(number, self._handle) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Within the block a signal is only noted in `requested`."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._depth:
            self._on_shielded()
        else:
            interrupt(number, frame)
