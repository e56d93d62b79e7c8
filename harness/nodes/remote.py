"""Commands on a node, however it is reached.

A command is always an argv list: none of its words is ever interpreted on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.model.errors import ConnectionLostError
from harness.model.jobs import Completed
from harness.nodes.running import ANNOUNCE, Background, Channel

# `timeout` leads a group of its own with the server in it; killed alone it would leave the server behind.
_SIGNAL = 'kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2"'


class Remote(ABC):
    """A node, connected when that is needed; `name` is the node's."""

    name: str

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_connected(self) -> bool:
        """Tell whether the connection stands, as far as is known."""
        return True

    def connect(self) -> None:  # noqa: B027 - where every command has a connection of its own there is nothing to do
        """Connect unless that is done; raises ConnectionLostError with the reason and what to do."""

    def close(self) -> None:  # noqa: B027 - and nothing to close
        """Close the connection, having ended what an earlier one left running; closing twice does no harm."""

    @abstractmethod
    def open_channel(self, argv: Sequence[str]) -> Channel:
        """Start argv on the node and return its channel; raises ConnectionLostError."""

    def within(self, place: str) -> Remote:
        """Return what runs commands in a place of the node that cannot be entered from the node itself.

        The empty place is the node itself, and the only one that most nodes have.
        """
        if place:
            raise ValueError(f"{self.name} has no place {place!r}")
        return self

    def background(self, argv: Sequence[str]) -> Background:
        """Start argv and return at once."""
        channel = self.open_channel(["sh", "-c", ANNOUNCE, "sh", *argv])
        return Background(self.name, argv, channel, self._signal, self.is_connected)

    def _signal(self, signal: str, pid: str) -> None:
        """Send a signal to a process and its group."""
        self.run(["sh", "-c", _SIGNAL, "sh", signal, pid])

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Run argv to its end. Raises ConnectionLostError, also when it takes longer than `timeout_s`."""
        with self.background(argv) as running:
            try:
                return running.wait(timeout_s)
            except TimeoutError as error:
                raise ConnectionLostError(f"{error} ({timeout_s:g} s).") from error
