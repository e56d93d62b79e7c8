"""Loss-rate search: the highest rate at which UDP is offered and at most so much of it lost.

The search is MLRsearch (draft-ietf-bmwg-mlrsearch, by its authors' package); each of its trials is one of iperf3's.
With a loss of 0 it finds what RFC 2544, section 26.1, calls throughput.

What counts as lost is what the path lost. A datagram that arrived, and was dropped because the receiving program was
slow to take it, is not: a pause of 2 ms overflows a socket's usual 208 KiB, and would end the search at whatever rate
was being tried then. The kernel counts those (UdpRcvbufErrors).

`flows` are spread over as many processes, at most eight: one fills one CPU, and is at its own limit sooner than many a
path. On two CPUs of a virtual machine one sent 50 000 packets a second through VXLAN, two sent 79 000 and eight the
82 500 of 1450 bytes that the link carries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.measures import iperf3
from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, Perform
from harness.model.errors import ToolError
from harness.model.factors import Value
from harness.model.jobs import Completed, Job, Side
from harness.model.trial import Cell, Measured, Timing

if TYPE_CHECKING:
    from harness.measures.mlrsearch import Tried

RELATIVE_WIDTH = 0.005
"""How near the lower and the upper bound of the rate are to each other in the end."""
MOST_BPS = 100e9
"""Where the search begins on a link that is not shaped."""
LEAST_RATIO = 1e-4
"""The lowest rate that is tried, as a share of the highest."""
FIRST_TRIALS_S = 2.0
"""How long trials are at first, when the rate is not yet near."""
LAST_TRIALS_S = 6.0
"""How long they are at least in the end: a queue takes some ms more than passes, so a short trial finds a rate that is
too high (the local lab's shaper holds 32 ms, 0.5 % of this)."""
TYPICAL_TRIALS = (10, 4)
"""How many of the first and of the last a search takes about, for the estimate."""
TRIAL_OVERHEAD_S = 0.5
SEARCHING_S = 900.0
"""How long a search may take."""
BURST_S, MOST_IN_A_ROW = 0.001, 32
"""Packets are sent in a row for no longer than iperf3 waits anyway, once it is ahead of its rate (--pacing-timer): that
spares the sender a look at its sockets, and a wake-up of the receiver, for each packet."""
SAME_LOAD = 1e-6
MOST_SENDERS = 8
"""Each is a session on one SSH connection, of which sshd allows ten unless it was told to."""
UNSENT_RATIO = 0.005
"""A sender that falls short of its rate by more than this is at its own limit: what it did not send counts as lost."""


@dataclass(frozen=True)
class _Step:
    """What one trial of the search measured: packets sent, lost, and asked for but not sent; the bytes that arrived."""

    load_ps: float
    seconds: float
    sent: int
    lost: int
    unsent: int
    busiest_cpu_ratio: float
    payload_bytes: int


class _Steps:
    """Makes the trials of a search with iperf3, and keeps what each measured."""

    def __init__(self, cell: Cell, conditions: Conditions, perform: Perform, packet_bits: int) -> None:
        self._cell, self._conditions, self._perform = cell, conditions, perform
        self._packet_bits = packet_bits
        self.made: list[_Step] = []

    def make(self, seconds: float, load_ps: float) -> Tried:
        """Return what was sent and what was lost of it at this load."""
        whole_s = float(round(seconds))  # iperf3 takes no other
        conditions = replace(self._conditions, timing=Timing(whole_s, 0))
        performed = self._perform(jobs_of(self._cell, conditions, int(load_ps * self._packet_bits)))
        measured = parsed(self._cell, performed.done)
        counts = [self._counts(one, whole_s) for one in measured]
        sent, lost = (sum(column) for column in zip(*counts, strict=True))
        late = performed.counted.get(Side.SERVER, {}).get("UdpRcvbufErrors", 0)
        lost = max(lost - late, 0)
        intended = round(load_ps * whole_s)
        arrived_bytes = sum(one.payload_forward_bytes for one in measured)
        unsent = max(intended - sent, 0)
        self.made.append(_Step(load_ps, whole_s, sent, lost, unsent, performed.busiest_cpu_ratio, arrived_bytes))
        return whole_s, intended if unsent > intended * UNSENT_RATIO else sent, sent, lost

    def _counts(self, measured: Measured, duration_s: float) -> tuple[int, int]:
        """Return how many packets one sender sent, by its own clock, and how many of them did not arrive."""
        sent = round(measured.figures["offered_bps"] / self._packet_bits * duration_s)
        return sent, round(sent * measured.figures.get("udp_loss_ratio", 1.0))


class UdpSearch(Measure):
    """The highest rate of UDP with no more loss than allowed; one search is one trial, its steps are in the record."""

    name = "udp-search"
    label = "by search"
    programs = (iperf3.PROGRAM,)
    factors = ("flows", "size", "loss")
    defaults = MappingProxyType({"flows": (MOST_SENDERS,)})
    processes = MOST_SENDERS
    metrics = ("packets_per_s", "goodput_bps", "udp_loss_ratio", "search_steps", "unsent_ratio", "unsent_cpu_ratio")
    rows = ("packets_per_s", "goodput_bps")
    protocol = "udp"

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:
        """Return the size that packets were asked to have."""
        return int(levels["size"]) if "size" in levels else None

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long a search takes about."""
        first, last = TYPICAL_TRIALS
        return first * (FIRST_TRIALS_S + TRIAL_OVERHEAD_S) + last * (_last_s(timing) + TRIAL_OVERHEAD_S)

    def most_bytes(self, cell: Cell, timing: Timing, link_bps: float, max_bps: float | None) -> float:  # noqa: ARG002 - the same for each
        """Return what a search sends that takes as long as it may."""
        return min(link_bps, max_bps or link_bps) * SEARCHING_S / 8

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the jobs of one trial of the search, at the highest rate."""
        return jobs_of(cell, conditions, int(_most_bps(cell, conditions)))

    def run(self, cell: Cell, conditions: Conditions, perform: Perform) -> Measured:
        """Search; raises ToolError where even the lowest rate loses too much, or it takes too long."""
        from harness.measures import mlrsearch  # noqa: PLC0415 - see there

        packet_bytes, most_bps = payload_bytes(cell), _most_bps(cell, conditions)
        most_ps = most_bps / (8 * packet_bytes)
        steps = _Steps(cell, conditions, perform, 8 * packet_bytes)
        goal = mlrsearch.Goal(
            loss_ratio=float(cell.get("loss") or 0),
            relative_width=RELATIVE_WIDTH,
            first_trials_s=FIRST_TRIALS_S,
            last_trials_s=_last_s(conditions.timing),
            least_ps=most_ps * LEAST_RATIO,
            most_ps=most_ps,
            limit_s=SEARCHING_S,
        )
        lower_ps, upper_ps = mlrsearch.bounds(goal, steps.make)
        if lower_ps is None:
            raise ToolError(f"even {goal.least_ps:.0f} packets per second lose more than allowed")
        return _measured(lower_ps, upper_ps, packet_bytes, steps.made)

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return what one trial of the search measured, without a search: the rate at which packets arrived."""
        measured = parsed(cell, done)
        return Measured(
            figures={name: sum(one.figures[name] for one in measured) for name in ("packets_per_s", "goodput_bps")},
            payload_forward_bytes=sum(one.payload_forward_bytes for one in measured),
        )


def jobs_of(cell: Cell, conditions: Conditions, rate_bps: int) -> tuple[Job, ...]:
    """Return a server and a client for each sender; together the clients send at a rate, in bit/s of payload."""
    timing, senders = conditions.timing, _senders(cell)
    flow_bps = max(rate_bps // cell.flows, 1)
    burst = min(max(int(flow_bps * BURST_S / 8 / payload_bytes(cell)), 1), MOST_IN_A_ROW)
    ports = [conditions.next_port() for _ in senders]
    servers = [
        iperf3.server_job(port, timing.duration_s, f"{Side.SERVER} {number}") for number, port in enumerate(ports, 1)
    ]
    clients = [
        Job(
            f"{Side.CLIENT} {number}",
            Side.CLIENT,
            iperf3.argv_of(one.at((("udp_rate", flow_bps * one.flows),)), conditions, port, timing, burst),
            limit_s=timing.duration_s + CLIENT_GRACE_S,
        )
        for number, (one, port) in enumerate(zip(senders, ports, strict=True), 1)
    ]
    return (*servers, *clients)


def _most_bps(cell: Cell, conditions: Conditions) -> float:
    """Return where the search begins: what the link is shaped to; what TCP reached on it UDP may well exceed."""
    most = conditions.link_bps if conditions.link_bps and conditions.shaped else MOST_BPS
    bound = iperf3.most_bps(cell.at((("protocol", "udp"),)), conditions)
    return min(most, bound) if bound else most


def payload_bytes(cell: Cell) -> int:
    """Return what a packet carries."""
    return int(cell.get("size") or cell.mtu) - iperf3.UDP_HEADER_BYTES


def parsed(cell: Cell, done: Mapping[str, Completed]) -> list[Measured]:
    """Return what each sender of one trial measured."""
    return [
        iperf3.Iperf3().parse(one, {side.value: done[f"{side} {number}"] for side in Side})
        for number, one in enumerate(_senders(cell), 1)
    ]


def _senders(cell: Cell) -> list[Cell]:
    """Return the cell of each sender; flows are shared out as evenly as it goes."""
    count = min(cell.flows, MOST_SENDERS)
    shares = [cell.flows // count + (number < cell.flows % count) for number in range(count)]
    return [cell.at((("protocol", "udp"), ("flows", share))) for share in shares]


def _last_s(timing: Timing) -> float:
    """Return how long a trial of the plan takes, with what is omitted, in whole seconds: here all of it counts."""
    return max(float(int(timing.duration_s + timing.omit_s)), LAST_TRIALS_S)


def _measured(lower_ps: float, upper_ps: float | None, packet_bytes: int, steps: Sequence[_Step]) -> Measured:
    """Return the rate at which packets arrived at the lower bound, and why the upper one was too high."""
    at_lower, at_upper = _longest(steps, lower_ps), _longest(steps, upper_ps)
    sent, lost = (sum(getattr(step, name) for step in at_lower) for name in ("sent", "lost"))
    arrived_ps = (sent - lost) / sum(step.seconds for step in at_lower)
    figures = {
        "packets_per_s": arrived_ps,
        "goodput_bps": arrived_ps * 8 * packet_bytes,
        "udp_loss_ratio": lost / sent if sent else 0.0,
        "search_steps": len(steps),
    }
    if at_upper:
        intended = sum(step.load_ps * step.seconds for step in at_upper)
        figures["unsent_ratio"] = sum(step.unsent for step in at_upper) / intended
        figures["unsent_cpu_ratio"] = max(step.busiest_cpu_ratio for step in at_upper)
    return Measured(figures, payload_forward_bytes=sum(step.payload_bytes for step in steps))


def _longest(steps: Sequence[_Step], load_ps: float | None) -> list[_Step]:
    """Return the longest of the steps at a load."""
    there = [step for step in steps if load_ps and math.isclose(step.load_ps, load_ps, rel_tol=SAME_LOAD)]
    longest_s = max((step.seconds for step in there), default=0.0)
    return [step for step in there if step.seconds == longest_s]
