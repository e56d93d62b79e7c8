"""Ping under load: round trips while iperf3 fills the same path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.measures import iperf3, ping
from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Ramp, Side
from harness.model.trial import Cell, Measured, Timing

LEAST_RAMP_S = 1.0
"""How long the load runs at least before the first echo: TCP's slow start is over by then."""
SLACK_S = 1.0
"""How much longer than its echoes the load lasts, whose start takes ping a moment."""


class LoadedPing(Measure):
    """Echo requests that fill the cell's MTU, beside TCP that fills the path the same way; both are recorded."""

    name = "loaded-ping"
    label = "under load"
    programs = (iperf3.PROGRAM, ping.PROGRAM)
    factors = ("flows",)
    metrics = (*ping.Ping.metrics, "goodput_bps", "retransmits")
    rows = ("rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "ping_lost_ratio", "goodput_bps")
    idle = ping.Ping.name
    silence = ping.Ping.silence

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the load's server and client, then the one that pings once the load is up to speed."""
        timing, port = conditions.timing, conditions.next_port()
        seconds = self._loading_s(timing)
        argv = iperf3.argv_of(cell, conditions, port, Timing(seconds - int(timing.omit_s), timing.omit_s))
        ramp = Ramp(max(timing.omit_s, LEAST_RAMP_S))
        return (
            iperf3.server_job(port, seconds),
            Job("load", Side.CLIENT, argv, limit_s=seconds + CLIENT_GRACE_S, ready=ramp),
            ping.echo_job("client", cell, conditions),
        )

    def _loading_s(self, timing: Timing) -> float:
        """Return how long the load runs, in whole seconds: until the last echo is back for sure."""
        return float(math.ceil(max(timing.omit_s, LEAST_RAMP_S) + timing.duration_s + SLACK_S))

    def step(self, metric: str, value: float) -> float:
        """Return the step of a round trip."""
        return ping.step(metric, value)

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long the load runs."""
        return self._loading_s(timing)

    def live_figure(self, line: str) -> str | None:
        """Return the round trip in a reply."""
        return ping.Ping().live_figure(line)

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return the round trips, and what the load moved meanwhile; ToolError where the load did not last."""
        echoed = ping.echoes(cell, done["client"])
        loaded = iperf3.Iperf3().parse(cell, {"client": done["load"], "server": done["server"]})
        if any(interval.goodput_bps == 0 for interval in loaded.series if not interval.omitted):
            raise ToolError("the load stalled: a second of it moved nothing, so it was no load")
        return Measured(
            figures={**loaded.figures, **echoed.figures},
            payload_forward_bytes=echoed.payload_forward_bytes and loaded.payload_forward_bytes,
            payload_reverse_bytes=echoed.payload_reverse_bytes,
            tcp_forward_bytes=loaded.tcp_forward_bytes,
            series=loaded.series,
        )
