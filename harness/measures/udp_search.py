"""Loss-rate search: the highest rate at which UDP is offered and at most so much of it lost.

The search is MLRsearch (draft-ietf-bmwg-mlrsearch, by its authors' package); each of its trials is one of iperf3's.
With a loss of 0 it finds what RFC 2544, section 26.1, calls throughput.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from MLRsearch import AbstractMeasurer, Config, MeasurementResult, MultipleLossRatioSearch, SearchGoal

from harness.measures import iperf3
from harness.measures.base import Conditions, Measure, Perform
from harness.model.errors import ToolError
from harness.model.factors import Value
from harness.model.jobs import Completed, Job
from harness.model.trial import Cell, Measured, Timing

RELATIVE_WIDTH = 0.005
"""How near the lower and the upper bound of the rate are to each other in the end."""
MOST_BPS = 100e9
"""Where the search begins on a link whose rate nobody knows."""
LEAST_RATIO = 1e-4
"""The lowest rate that is tried, as a share of the highest."""
TYPICAL_TRIALS = 10
"""How many trials a search takes about, for the estimate."""
TRIAL_OVERHEAD_S = 0.5
SEARCHING_S = 600.0
"""How long a search may take."""
UNSENT_RATIO = 0.01
"""A sender that falls short of its rate by more than this is at its own limit: what it did not send counts as lost."""


@dataclass(frozen=True)
class _Step:
    """What one trial of the search measured: packets sent and lost, and the bytes that arrived."""

    load_ps: float
    sent: int
    lost: int
    measured: Measured


class _Measurer(AbstractMeasurer):  # type: ignore[misc] # the package has no annotations
    """Measures at a given load, in packets per second, with iperf3."""

    def __init__(self, cell: Cell, conditions: Conditions, perform: Perform, packet_bits: int) -> None:
        self._cell, self._conditions, self._perform = cell, conditions, perform
        self._packet_bits = packet_bits
        self.steps: list[_Step] = []

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """Return what was sent and what was lost of it at this load."""
        rate = int(intended_load * self._packet_bits)
        cell = self._cell.at((("protocol", "udp"), ("udp_rate", rate)))
        timing = replace(self._conditions.timing, duration_s=intended_duration)
        conditions = replace(self._conditions, timing=timing)
        tool = iperf3.Iperf3()
        measured = tool.parse(cell, self._perform(tool.jobs(cell, conditions)))
        received_ps = measured.figures["packets_per_s"]
        loss = float(measured.figures.get("udp_loss_ratio", 1.0))
        sent = round(received_ps * intended_duration / (1 - loss)) if loss < 1 else 0
        lost = round(sent * loss)
        self.steps.append(_Step(intended_load, sent, lost, measured))
        intended = round(intended_load * intended_duration)
        falls_short = sent < intended * (1 - UNSENT_RATIO)
        return MeasurementResult(
            intended_duration=intended_duration,
            intended_load=intended_load,
            offered_count=sent,
            loss_count=lost,
            intended_count=intended if falls_short else sent,
        )


class UdpSearch(Measure):
    """The highest rate of UDP with no more loss than allowed; one search is one trial, its steps are in the record."""

    name = "udp-search"
    label = "by search"
    programs = (iperf3.PROGRAM,)
    factors = ("size", "loss")
    metrics = ("packets_per_s", "goodput_bps", "udp_loss_ratio", "search_steps")
    rows = ("packets_per_s", "goodput_bps")
    protocol = "udp"

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:
        """Return the size that packets were asked to have."""
        return int(levels["size"]) if "size" in levels else None

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long a search takes about."""
        return TYPICAL_TRIALS * (_trial_s(timing) + timing.omit_s + TRIAL_OVERHEAD_S)

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the jobs of one trial of the search, at the rate of the link."""
        return iperf3.Iperf3().jobs(cell.at((("protocol", "udp"),)), conditions)

    def run(self, cell: Cell, conditions: Conditions, perform: Perform) -> Measured:
        """Search; raises ToolError where even the lowest rate loses too much, or it takes too long."""
        packet_bytes = int(cell.get("size") or cell.mtu) - iperf3.UDP_HEADER_BYTES
        measurer = _Measurer(cell, conditions, perform, 8 * packet_bytes)
        seconds = _trial_s(conditions.timing)
        goal = SearchGoal(
            loss_ratio=float(cell.get("loss") or 0),
            exceed_ratio=0.0,
            relative_width=RELATIVE_WIDTH,
            initial_trial_duration=seconds,
            final_trial_duration=seconds,
            duration_sum=seconds,
            preceding_targets=2,
            expansion_coefficient=2,
        )
        most_ps = (conditions.link_bps or MOST_BPS) / (8 * packet_bytes)
        config = Config(
            goals=[goal],
            min_load=most_ps * LEAST_RATIO,
            max_load=most_ps,
            search_duration_max=SEARCHING_S,
            warmup_duration=None,
        )
        try:
            result = MultipleLossRatioSearch(config=config).search(measurer=measurer)
        except RuntimeError as error:
            raise ToolError(f"the search for the rate failed: {error}") from error
        found = result[goal].conditional_throughput
        if found is None:
            raise ToolError(f"even {most_ps * LEAST_RATIO:.0f} packets per second lose more than allowed")
        return _measured(float(found), packet_bytes, measurer.steps)

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return what one trial of the search measured."""
        return iperf3.Iperf3().parse(cell.at((("protocol", "udp"),)), done)


def _trial_s(timing: Timing) -> float:
    return float(int(timing.duration_s))


def _measured(found_ps: float, packet_bytes: int, steps: Sequence[_Step]) -> Measured:
    """Return the rate that was found, with the loss of the nearest trial at or below it."""
    below = [step for step in steps if step.load_ps <= found_ps * (1 + RELATIVE_WIDTH)]
    nearest = max(below, key=lambda step: step.load_ps, default=steps[-1])
    return Measured(
        figures={
            "packets_per_s": found_ps,
            "goodput_bps": found_ps * 8 * packet_bytes,
            "udp_loss_ratio": nearest.lost / nearest.sent if nearest.sent else 0.0,
            "search_steps": len(steps),
        },
        payload_forward_bytes=sum(step.measured.payload_forward_bytes for step in steps),
    )
