"""iputils ping: round-trip times from every single reply."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure
from harness.model.errors import ToolError
from harness.model.jobs import Completed, Job, Program, Side
from harness.model.text import brief
from harness.model.trial import Cell, Figure, Measured, Timing
from harness.truth import stats

INTERVAL_S = 0.02
"""Fixed spacing, so sending does not wait for replies (an open loop): 50 samples a second. Below 10 ms ping does not
sleep between them but looks without a pause (iputils ping_common.c, main_loop): 4 ms took a CPU for itself."""
AT_ONCE = 2
"""How many requests ping may send without waiting (-l). It sleeps in whole ticks of the kernel, so 20 ms take 24 where
there are 250 a second; a request that it may have ahead makes up for that with the next one (ping_common.c, pinger)."""
HEADER_BYTES = 28
"""In front of an echo's payload: IPv4 (RFC 791) and ICMP (RFC 792)."""
_REPLY = re.compile(r"icmp_seq=(\d+) .*time=([0-9.]+) ms")
_SUMMARY = re.compile(r"(\d+) packets transmitted, (?P<rest>.*)")
_ERRORS = re.compile(r", \+\d+ errors")
_SENDING = re.compile(r", time (\d+)ms")
"""From the first request to the last."""
_SAID = re.compile(r"From .*|ping: .*")
_SEQUENCES = 65536

PROGRAM = Program(
    name="ping",
    package="iputils-ping",
    purpose="measures latency and path MTU",
    version_argv=("ping", "-V"),
    version_pattern=r"iputils[- ]s?(\d+)",
)


class Ping(Measure):
    """Echo requests that fill the cell's MTU; fragmenting is allowed, and the path's state tells when it happened."""

    name = "ping"
    programs = (PROGRAM,)
    metrics = (
        *("rtt_min_s", "rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "rtt_max_s"),
        *("ping_sent", "ping_lost_ratio"),
    )
    rows = ("rtt_p50_s", "rtt_p90_s", "rtt_p99_s", "ping_lost_ratio")
    silence = "no reply at all"

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the one that pings: the kernel answers."""
        return (echo_job("client", cell, conditions),)

    def step(self, metric: str, value: float) -> float:
        """Return the step of a round trip."""
        return step(metric, value)

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long it pings; there is nothing to omit but the first reply."""
        return timing.duration_s

    def most_bytes(self, cell: Cell, timing: Timing, link_bps: float, max_bps: float | None) -> float:  # noqa: ARG002 - little, whatever the link
        """Return the bytes of all requests and replies."""
        return 2 * cell.mtu * (round(timing.duration_s / INTERVAL_S) + AT_ONCE)

    def live_figure(self, line: str) -> str | None:
        """Return the round trip in a reply."""
        reply = _REPLY.search(line)
        return f"{float(reply[2]) * 1e3:.0f} µs" if reply else None

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return loss and percentiles (nearest rank) of the round trips that count, without duplicates."""
        return echoes(cell, done["client"])


def step(metric: str, value: float) -> float:
    """Return the step in which ping prints round trips of about that many seconds: 1 us, from 1 ms on three digits."""
    if not metric.startswith("rtt_") or value <= 0:
        return 0.0
    return 10.0 ** max(math.floor(math.log10(value)) - 2, -6)


def echo_job(name: str, cell: Cell, conditions: Conditions) -> Job:
    """Return the job that pings until its time is over (-w), however many requests that makes."""
    seconds = conditions.timing.duration_s
    argv = ["ping", "-n", "-D", "-w", str(math.ceil(seconds)), "-i", str(INTERVAL_S), "-l", str(AT_ONCE)]
    argv += ["-M", "dont", "-s", str(cell.mtu - HEADER_BYTES), conditions.address]
    return Job(name, Side.CLIENT, tuple(argv), limit_s=seconds + CLIENT_GRACE_S, live=True)


def echoes(cell: Cell, done: Completed) -> Measured:
    """Return what a ping measured; raises ToolError where it has no summary, sent too little, or ended by an error.

    The first requests, sent at once, do not count: they pay for ARP and learning. Neither do the last ones, which may
    have been on their way when the time was over, whether their replies made it or not.
    """
    text = done.stdout or done.stderr
    summary = _SUMMARY.search(text)
    if summary is None:
        raise ToolError(f"ping exited with {done.exit_code} and no summary: {text.strip()[-200:]!r}")
    if _ERRORS.search(summary["rest"]):
        said = _SAID.search(text)
        raise ToolError(f"ping ended early, by an ICMP error: {brief(said[0] if said else summary[0])!r}")
    sent, samples = int(summary[1]), replies(text)
    longest_s = max((rtt for number, rtt in samples.items() if number > AT_ONCE), default=0.0)
    last = sent - _on_their_way(sent, longest_s, _SENDING.search(summary["rest"]))
    counting = last - AT_ONCE
    if counting < 1:
        raise ToolError(f"ping sent {sent} requests, and neither the first {AT_ONCE} nor the last count")
    counted = sorted(rtt for number, rtt in samples.items() if AT_ONCE < number <= last)
    echoed = (cell.mtu - HEADER_BYTES) * len(counted)
    return Measured(
        figures=_percentiles(counted) | {"ping_sent": counting, "ping_lost_ratio": 1 - len(counted) / counting},
        payload_forward_bytes=echoed,
        payload_reverse_bytes=echoed,
    )


def _on_their_way(sent: int, longest_s: float, sending: re.Match[str] | None) -> int:
    """Return how many of the last requests may not have had the time to be answered when ping ended.

    These are the very last one, which may have been sent at that moment, and those sent less than twice the longest
    round trip before it, which is how long ping itself would wait (__schedule_exit); not more than half of all.
    """
    gaps = sent - AT_ONCE
    spacing_s = int(sending[1]) / 1e3 / gaps if sending and gaps > 0 else 0.0
    return min(1 + int(2 * longest_s / max(spacing_s, INTERVAL_S / 2)), max(sent // 2, 1))


def replies(text: str) -> dict[int, float]:
    """Return the seconds of each round trip by the number of its request; the field is 16 bits wide and wraps."""
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


def _percentiles(ordered: Sequence[float]) -> dict[str, Figure]:
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
