"""Trials: one cell on one profile once, what was measured in it, and its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.model.factors import Levels, Value
from harness.model.path import Kind, PathState

UNDERLAY = "underlay"
"""Name of the profile that every other one is compared with."""

MTU = "mtu"
"""Name of the factor that every cell has: the MTU of its endpoints in bytes."""

ARM = "arm"
"""Name of the factor that tells the two arms of a run against itself apart."""
ARMS = ("a", "b")

Figure = int | float


class Status(StrEnum):
    """How a trial ended. `invalid`: measured, but the proof says that the bytes took another way."""

    OK = "ok"
    FAILED = "failed"
    INVALID = "invalid"


class Direction(StrEnum):
    """Who sends: the client, the server, or both at the same time."""

    FORWARD = "forward"
    REVERSE = "reverse"
    BIDIR = "bidir"


@dataclass(frozen=True)
class Cell:
    """What is measured: a measure, and a level for each of its factors."""

    measure: str
    levels: Levels

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(sorted(dict(self.levels).items())))

    @classmethod
    def of(cls, measure: str, **levels: Value) -> Cell:
        """Return the cell with these levels."""
        return cls(measure, tuple(levels.items()))

    def get(self, factor: str) -> Value | None:
        """Return the level of a factor, None for one that the cell does not have."""
        return dict(self.levels).get(factor)

    def at(self, levels: Levels) -> Cell:
        """Return the cell with some levels changed."""
        return Cell(self.measure, tuple((dict(self.levels) | dict(levels)).items()))

    def without(self, *factors: str) -> Cell:
        """Return the cell without some of its factors."""
        return Cell(self.measure, tuple(level for level in self.levels if level[0] not in factors))

    @property
    def mtu(self) -> int:
        """The endpoints' MTU in bytes."""
        return int(dict(self.levels)[MTU])

    @property
    def flows(self) -> int:
        """Parallel flows, 1 where the cell does not say."""
        return int(self.get("flows") or 1)

    @property
    def direction(self) -> Direction:
        """Who sends; the client where the cell does not say."""
        return Direction(str(self.get("direction") or Direction.FORWARD))


@dataclass(frozen=True)
class Slot:
    """One place in the plan: this cell on this profile, in this block and position, on this set-up (all from 1)."""

    block: int
    position: int
    profile: str
    cell: Cell
    setup: int = 1


@dataclass(frozen=True)
class Timing:
    """Seconds of one trial: `duration_s` counts, `omit_s` before it is thrown away."""

    duration_s: float
    omit_s: float


@dataclass(frozen=True)
class Interval:
    """A part of a trial as its program reported it; seconds count from when they count, omitted ones are before 0."""

    start_s: float
    end_s: float
    omitted: bool
    goodput_bps: float
    retransmits: int | None = None


@dataclass(frozen=True)
class Measured:
    """What a measure found in one trial: figures by the metrics' names, those that do not apply left out.

    `payload_forward_bytes` (client to server) and `payload_reverse_bytes` are what arrived, omitted seconds and all,
    for the proof; `tcp_forward_bytes` and `tcp_reverse_bytes` of it came in segments, which the sender was to limit to
    the cell's MTU. `series` are the trial's intervals, in their order.
    """

    figures: Mapping[str, Figure] = field(default_factory=dict)
    payload_forward_bytes: int = 0
    payload_reverse_bytes: int = 0
    tcp_forward_bytes: int = 0
    tcp_reverse_bytes: int = 0
    series: tuple[Interval, ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether nothing arrived at either side."""
        return self.payload_forward_bytes == 0 and self.payload_reverse_bytes == 0


@dataclass(frozen=True)
class Trial:
    """One row of trials.csv; `figures` are by the metrics' names.

    `attempt` counts how often the group of trials that it belongs to was measured in its block, from 1.
    """

    run_id: str
    slot: Slot
    kind: Kind
    duration_s: float
    started_at: str
    status: Status
    attempt: int = 1
    reason: str = ""
    proof: str = ""
    path_state: PathState | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    series: tuple[Interval, ...] = ()
    raw: str = ""
