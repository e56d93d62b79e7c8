"""sockperf: request and response in turns, over TCP and UDP; percentiles from its log of every single one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, served
from harness.model.errors import ToolError
from harness.model.factors import Value
from harness.model.jobs import MOST_BYTES, Completed, Job, Port, Program, Side
from harness.model.text import brief
from harness.model.trial import Cell, Measured, Timing
from harness.truth import stats

DEFAULT_MESSAGE_BYTES = 64
LEAST_MESSAGE_BYTES = 14
"""sockperf's own header, MsgHeader in its message.h."""
HEADER_BYTES = {"tcp": 52, "udp": 28}
"""IP header with TCP's and its timestamps, or with UDP's."""
MOST_PER_S, LINE_BYTES = 60_000, 64
"""The log has a line for each round trip; between two namespaces one takes some 20 microseconds."""
PERCENTS = {"rtt_p50_s": 50.0, "rtt_p90_s": 90.0, "rtt_p99_s": 99.0, "rtt_p999_s": 99.9}
_VALID = re.compile(r"\[Valid Duration\] RunTime=([0-9.]+) sec; SentMessages=(\d+); ReceivedMessages=(\d+)")
_WORDS = re.compile(r"(?:ERROR|No messages)[^\n]*")
_COLUMNS = 4
_HISTOGRAM = "rtt_ns count"

PROGRAM = Program(
    name="sockperf",
    package="sockperf",
    purpose="measures request and response",
    version_argv=("sockperf", "--version"),
    version_pattern=r"version (\d+\.\d+)",
)


class Sockperf(Measure):
    """Ping-pong: the next request goes out when the response is back. sockperf leaves out its own warm-up."""

    name = "sockperf"
    label = "of requests"
    programs = (PROGRAM,)
    is_boundable = False
    factors = ("protocol", "size")
    metrics = ("transactions_per_s", "rtt_min_s", *PERCENTS, "rtt_max_s")
    rows = ("transactions_per_s", *PERCENTS)

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return a server, which is stopped in the end, and the client."""
        protocol, port = str(cell.get("protocol")), conditions.next_port()
        seconds = self.seconds(cell, conditions.timing)
        common = ["-i", conditions.address, "-p", str(port), *(["--tcp"] if protocol == "tcp" else [])]
        client = ["sockperf", "ping-pong", *common, "-t", str(int(seconds)), "-m", str(message_bytes(cell))]
        return (
            Job(
                "server",
                Side.SERVER,
                served(["sockperf", "server", *common], seconds),
                limit_s=CLIENT_GRACE_S,
                ready=Port(protocol, port),
                ends=False,
            ),
            Job(
                "client",
                Side.CLIENT,
                (*client, "--full-rtt", "--full-log", "/dev/stdout"),
                limit_s=seconds + CLIENT_GRACE_S,
                most_bytes=int(MOST_BYTES + seconds * MOST_PER_S * LINE_BYTES),
            ),
        )

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:
        """Return the size of a request: what was asked for, else that of a small message."""
        return int(levels.get("size", DEFAULT_MESSAGE_BYTES + max(HEADER_BYTES.values())))

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long the client asks; what is omitted is sockperf's own warm-up."""
        return timing.duration_s

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return transactions per second and percentiles; sockperf exits with 0 whatever becomes of it."""
        client = done["client"]
        valid = _VALID.search(client.stdout)
        round_trips = sorted(_round_trips(client.stdout))
        if valid is None or not round_trips:
            words = _WORDS.search(client.stdout + client.stderr)
            said = words[0] if words else (client.stdout.strip() or client.stderr.strip())[-200:]
            raise ToolError(f"sockperf measured nothing: {brief(said)!r}")
        percentiles = stats.percentiles(round_trips, [*PERCENTS.values()])
        moved = len(round_trips) * message_bytes(cell)
        return Measured(
            figures={
                "transactions_per_s": len(round_trips) / float(valid[1]),
                "rtt_min_s": round_trips[0],
                **dict(zip(PERCENTS, percentiles, strict=True)),
                "rtt_max_s": round_trips[-1],
            },
            payload_forward_bytes=moved,
            payload_reverse_bytes=moved,
        )

    def kept(self, job: str, stdout: str) -> str:
        """Return the client's output with its log counted: how many round trips took how many nanoseconds."""
        if job != "client":
            return stdout
        counts = Counter(round(1e9 * rtt) for rtt in _round_trips(stdout))
        lines = [line for line in stdout.splitlines() if len(line.split(", ")) != _COLUMNS]
        return "\n".join([*lines, _HISTOGRAM, *(f"{rtt} {count}" for rtt, count in sorted(counts.items()))])


def message_bytes(cell: Cell) -> int:
    """Return the size of a message: what is left of the packet's, and room for sockperf's own header at least."""
    size = cell.get("size")
    left = DEFAULT_MESSAGE_BYTES if size is None else int(size) - HEADER_BYTES[str(cell.get("protocol"))]
    return max(left, LEAST_MESSAGE_BYTES)


def _round_trips(text: str) -> Iterator[float]:
    """Yield the round trip of each transaction in seconds, from lines `number, sent, received, round trip (µs)`."""
    for line in text.splitlines():
        fields = line.split(", ")
        if len(fields) == _COLUMNS and fields[0].isdigit():
            yield round(float(fields[2]) - float(fields[1]), 9)
