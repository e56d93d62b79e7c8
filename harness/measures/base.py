"""Measures: the jobs of a cell, and the figures in what they printed. No I/O of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import ClassVar

from harness.measures import understood
from harness.model.factors import Levels, Value
from harness.model.jobs import Completed, Job, Performed, Program
from harness.model.path import Path
from harness.model.trial import MTU, Cell, Direction, Measured, Timing

TIMEOUT_GRACE_S = 15
"""How long after its test a server may live before `timeout` ends it, should the harness be gone."""
CLIENT_GRACE_S = 15.0
"""How much longer than it measures a client may take before the trial counts as failed."""

MakeConditions = Callable[[Path, Callable[[], int]], "Conditions"]
"""Makes the conditions of one trial, from its path and what gives it ports."""
Perform = Callable[[Sequence[Job]], Performed]
"""Runs jobs side by side until those that end by themselves have ended; gives what became of them.

Raises ToolError and ConnectionLostError.
"""


@dataclass(frozen=True)
class Conditions:
    """What the argv of a measure's jobs depend on beside the cell.

    `path` is where its traffic goes. `next_port` gives a port that no other job has had. `link_bps` is the rate that
    a share of the link is a share of: what the link is shaped to, else what TCP was seen to reach on it; None where
    neither is known. `shaped`: it is the former. `versions` are the programs', of the client's node. `links` is how
    many links flows are to be thought spread over, None where that is not asked. `max_bps` is what a trial may send at
    most, in bit/s of the endpoints' IP packets, both ways together.
    """

    timing: Timing
    path: Path
    next_port: Callable[[], int]
    congestion_control: str
    link_bps: float | None
    shaped: bool
    versions: Mapping[str, str | None]
    links: int | None = None
    max_bps: float | None = None

    @property
    def address(self) -> str:
        """The address of the server's endpoint."""
        return self.path.server.address


class Measure(ABC):
    """One way of measuring. Its name is what options and the column `measure` call it.

    `label` stands behind the titles of its rows, where those of another measure have the same. `factors` are those that
    its cells may have beside the MTU, `defaults` their levels where none are asked for and the factors' own do not suit
    it, `metrics` its columns of trials.csv, and `rows` what is reported of it (metrics of its own, or derived ones);
    the first of them is reported even where there is no figure. `protocol` is what its payload is carried by, where its
    cells do not say. `processes` is how many of a program its flows are spread over at most. `idle` names the measure
    that does the same without a load. `silence` is what is said where nothing arrived. `is_boundable` says whether its
    programs can be held to a rate.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    programs: ClassVar[tuple[Program, ...]]
    factors: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[Mapping[str, tuple[Value, ...]]] = MappingProxyType({})
    metrics: ClassVar[tuple[str, ...]]
    rows: ClassVar[tuple[str, ...]]
    protocol: ClassVar[str] = "tcp"
    processes: ClassVar[int] = 1
    idle: ClassVar[str] = ""
    silence: ClassVar[str] = "nothing arrived"
    is_boundable: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        """See to it that no output whatever makes a measure raise anything but ToolError."""
        own = vars(cls)
        for name in {"parse", "run"} & own.keys():
            setattr(cls, name, understood.measured(cls.name, own[name]))
        for name, default in (("live_figure", _none), ("kept", _whole)):
            if name in own:
                setattr(cls, name, understood.or_else(default, own[name]))

    @abstractmethod
    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the jobs of a cell, in the order in which they are started."""

    @abstractmethod
    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return what was measured, from what the jobs printed; raises ToolError with a program's own words."""

    def step(self, metric: str, value: float) -> float:  # noqa: ARG002 - for those whose programs round
        """Return the step in which a metric's figures of about that size come; 0 where it is nothing to speak of."""
        return 0.0

    @abstractmethod
    def seconds(self, cell: Cell, timing: Timing) -> float:
        """Return how long the jobs measure, omitted seconds included."""

    def most_bytes(self, cell: Cell, timing: Timing, link_bps: float, max_bps: float | None) -> float:
        """Return how many bytes a trial sends at most, both ways together, on a link of a rate each way."""
        ways = 2 if cell.direction is Direction.BIDIR else 1
        return min(ways * link_bps, max_bps or ways * link_bps) * self.seconds(cell, timing) / 8

    def run(self, cell: Cell, conditions: Conditions, perform: Perform) -> Measured:
        """Measure a cell once; a measure of several steps performs several times."""
        return self.parse(cell, perform(self.jobs(cell, conditions)).done)

    def cells(self, levels: Mapping[str, Sequence[Value]], mtus: Sequence[int]) -> Iterable[Cell]:
        """Yield the cells of every combination of levels that makes sense, each once.

        A packet that fits whichever of the MTUs there is does not depend on it, and is measured at the smallest only.
        """
        names = [name for name in self.factors if name in levels]
        seen: set[Cell] = set()
        for combined in product(*(levels[name] for name in names)):
            chosen = self.admitted(tuple(zip(names, combined, strict=True)))
            largest = self.packet_bytes(dict(chosen))
            fits_all = largest is not None and largest <= min(mtus)
            for mtu in (min(mtus),) if fits_all else mtus:
                cell = Cell(self.name, ((MTU, mtu), *chosen))
                if cell not in seen and (largest is None or largest <= mtu):
                    seen.add(cell)
                    yield cell

    def admitted(self, levels: Levels) -> Levels:
        """Return the levels that go together, those that mean nothing beside the others left out."""
        return levels

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:  # noqa: ARG002 - for those that limit it
        """Return the size of the largest IP packet that a cell sends, None where that follows its MTU."""
        return None

    def is_held_against_nic_mtu(self, levels: Mapping[str, Value]) -> bool:
        """Tell whether the underlay is measured at its NIC's own MTU as well, which is what a user has without overlay.

        That is of no use for packets that fit any MTU.
        """
        return self.packet_bytes(levels) is None

    def live_figure(self, line: str) -> str | None:  # noqa: ARG002 - for those that print figures as they come
        """Return the figure in one line of a live job's output, for showing; None where it has none."""
        return None

    def kept(self, job: str, stdout: str) -> str:  # noqa: ARG002 - for those that print very much
        """Return what the raw record keeps of a job's output: all of it, or what says the same in less."""
        return stdout


def _none(*_given: object) -> None:
    """Show nothing."""


def _whole(_measure: Measure, _job: str, stdout: str) -> str:
    return stdout


def served(argv: Sequence[str], seconds: float) -> tuple[str, ...]:
    """Return a server's argv under a time limit, so that it ends whatever becomes of the harness."""
    return ("timeout", "-k", "5", str(int(seconds) + 2 * TIMEOUT_GRACE_S), *argv)
