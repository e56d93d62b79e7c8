"""Commands on a node, however it is reached.

A command is always an argv list: none of its words is ever interpreted on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from harness.model.errors import ConnectionLostError
from harness.model.jobs import MOST_BYTES, Completed
from harness.nodes.channel import Channel
from harness.nodes.lock import Owner
from harness.nodes.running import ANNOUNCE, SIGNAL, Background


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

    def hold(self, owner: Owner) -> None:  # noqa: B027 - what is made for one run only is nobody else's
        """Take the node's lock, for as long as this is connected; LabError says who has it, where somebody has."""

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

    def background(self, argv: Sequence[str], most_bytes: int = MOST_BYTES) -> Background:
        """Start argv, which may print so much, and return at once."""
        channel = self.open_channel(["sh", "-c", ANNOUNCE, "sh", *argv])
        return Background(self.name, argv, channel, self._signal, self.is_connected, most_bytes)

    @contextmanager
    def held(
        self, enter: Sequence[str], argv: Sequence[str], most_bytes: int = MOST_BYTES
    ) -> Iterator[Callable[[], Background]]:
        """Make ready for argv behind the words that enter a namespace; what the context gives starts it.

        Where that is possible most of what starting takes is done before. It ends with the context.
        """
        with ExitStack() as stack:
            yield lambda: stack.enter_context(self.background((*enter, *argv), most_bytes))

    def ask(self, program: Sequence[str], words: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Return what a program says to words, as `run` does; where that is quicker it stays, to be asked again.

        It ends with `running.ASKED`, each word is of one line.
        """
        return self.run([*program, *words], timeout_s)

    def _signal(self, signal: str, pid: str) -> None:
        """Send a signal to a process and its group."""
        self.run(["sh", "-c", f'{SIGNAL}; signal "$@"', "sh", signal, pid])

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Run argv to its end.

        Raises ConnectionLostError, also when it takes longer than `timeout_s`, and ToolError when it prints too much.
        """
        with self.background(argv) as running:
            try:
                return running.wait(timeout_s)
            except TimeoutError as error:
                raise ConnectionLostError(f"{error} ({timeout_s:g} s).") from error
