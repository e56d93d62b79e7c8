"""iputils ping: round-trip times from every single reply."""

from __future__ import annotations

import re
from typing import Any

from harness.measures.base import Conditions
from harness.model.errors import ToolError
from harness.model.trial import Cell, Direction, Measurement, Timing
from harness.truth import stats

INTERVAL_S = 0.02
"""Fixed spacing, so sending does not wait for replies (an open loop): 50 samples a second."""
_HEADER_BYTES = 28
_REPLY = re.compile(r"icmp_seq=(\d+) .*time=([0-9.]+) ms")
_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")
_LINGER_S = 1
_SEQUENCES = 65536


class Ping:
    """Echo requests that fill the cell's MTU; fragmenting is allowed, and the path's state tells when it happened."""

    name = "ping"
    protocols: tuple[str, ...] = ("icmp",)
    directions: tuple[Direction, ...] = (Direction.FORWARD,)

    def server_argv(self, conditions: Conditions) -> list[str] | None:  # noqa: ARG002 - the kernel replies
        """Return None: the kernel answers."""
        return None

    def client_argv(self, cell: Cell, conditions: Conditions) -> list[str]:
        """Return the argv; one echo more than is counted, since the first pays for ARP and learning."""
        count = round(conditions.timing.duration_s / INTERVAL_S) + 1
        size = str(cell.mtu - _HEADER_BYTES)
        argv = ["ping", "-n", "-D", "-c", str(count), "-i", str(INTERVAL_S), "-W", str(_LINGER_S)]
        return [*argv, "-M", "dont", "-s", size, conditions.destination]

    def seconds(self, timing: Timing) -> float:
        """Return how long it pings; there is nothing to omit but the first reply."""
        return timing.duration_s

    def live_figure(self, line: str) -> str | None:
        """Return the round trip in a reply."""
        reply = _REPLY.search(line)
        return f"{float(reply[2]) * 1e3:.0f} µs" if reply else None

    def parse(self, cell: Cell, exit_code: int, client: str, server: str) -> Measurement:  # noqa: ARG002 - one output
        """Return loss and percentiles (nearest rank) of the round trips, without the first and without duplicates."""
        summary = _SUMMARY.search(client)
        if summary is None:
            raise ToolError(f"ping exited with {exit_code} and no summary: {client.strip()[-200:]!r}")
        samples = _samples(client)
        sent = int(summary[1]) - 1
        counted = sorted(rtt for sequence, rtt in samples.items() if sequence > 1)
        if sent < 1:
            raise ToolError("ping sent fewer than two requests, and the first does not count")
        echoed = (cell.mtu - _HEADER_BYTES) * len(counted)
        return Measurement(
            payload_forward_bytes=echoed,
            payload_reverse_bytes=echoed,
            ping_sent=sent,
            ping_lost_ratio=1 - len(counted) / sent,
            **_percentiles(counted),
        )


def _samples(text: str) -> dict[int, float]:
    """Return the round trip of each request by its number; the field is 16 bits wide and starts again at 0."""
    samples: dict[int, float] = {}
    turns = last = 0
    for line in text.splitlines():
        reply = _REPLY.search(line)
        if reply is None:
            continue
        number = int(reply[1])
        if last - number > _SEQUENCES // 2:
            turns += 1
        elif number - last > _SEQUENCES // 2 and turns:  # a late reply of the turn before
            samples.setdefault(number + _SEQUENCES * (turns - 1), round(float(reply[2]) / 1e3, 9))
            continue
        last = number
        samples.setdefault(number + _SEQUENCES * turns, round(float(reply[2]) / 1e3, 9))  # a duplicate comes later
    return samples


def _percentiles(ordered: list[float]) -> dict[str, Any]:
    """Return min, p50, p90, p99 and max by nearest rank, in seconds."""
    if not ordered:
        return {}
    p50, p90, p99 = stats.percentiles(ordered, (50, 90, 99))
    return {
        "rtt_min_s": ordered[0],
        "rtt_p50_s": p50,
        "rtt_p90_s": p90,
        "rtt_p99_s": p99,
        "rtt_max_s": ordered[-1],
    }
