"""What a measuring tool gives to the harness: argv builders and a parser, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.model.trial import Cell, Direction, Measurement, Timing


@dataclass(frozen=True)
class Conditions:
    """What a tool's argv depends on beside the cell.

    `offered_bps` is the rate at which UDP is sent, all flows together; None means as fast as it goes.
    `streaming`: the client can print its intervals as they come.
    """

    timing: Timing
    destination: str
    port: int
    congestion_control: str
    offered_bps: float | None
    streaming: bool = False


class Tool(Protocol):
    """One tool; its name is what the CSV calls it."""

    name: str
    protocols: tuple[str, ...]
    directions: tuple[Direction, ...]

    def server_argv(self, conditions: Conditions) -> list[str] | None:
        """Return the server's argv, None for a tool without one."""
        ...

    def client_argv(self, cell: Cell, conditions: Conditions) -> list[str]:
        """Return the client's argv."""
        ...

    def seconds(self, timing: Timing) -> float:
        """Return how long the client measures, omitted seconds included."""
        ...

    def live_figure(self, line: str) -> str | None:
        """Return the figure in one line of the client's output, for showing; None where it has none."""
        ...

    def parse(self, cell: Cell, exit_code: int, client: str, server: str) -> Measurement:
        """Return what was measured; raises ToolError with the tool's own words where it failed."""
        ...
