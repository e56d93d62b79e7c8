"""iperf3: goodput as the receiver counted it, from both sides' own JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, served
from harness.measures.metrics import CPU_ROWS
from harness.model.errors import ToolError
from harness.model.factors import Levels, Value
from harness.model.jobs import Completed, Job, Port, Program, Side
from harness.model.text import brief
from harness.model.trial import Cell, Direction, Figure, Interval, Measured, Timing

STREAMING_SINCE = (3, 17)
"""First version with --json-stream."""
UDP_HEADROOM = 1.05
"""UDP is offered at this many times the link's rate where no rate is asked for, so that the link is the limit."""
MIN_PACKET_BYTES = 44
"""The smallest UDP packet that iperf3 sends: its own header of 16 bytes (iperf_udp.c) behind 28 of IP and UDP."""
UDP_HEADER_BYTES = 28
_TCP_HEADER_BYTES = 40
_CONNECT_TIMEOUT_MS = 5000

PROGRAM = Program(
    name="iperf3",
    package="iperf3",
    purpose="measures throughput",
    version_argv=("iperf3", "--version"),
    version_pattern=r"iperf (\d+\.\d+(?:\.\d+)?)",
)


def server_job(port: int, seconds: float, name: str = "server") -> Job:
    """Return a server for one test (-1), which ends with it or with its time limit."""
    argv = served(["iperf3", "-s", "-1", "-p", str(port), "-J"], seconds)
    return Job(name, Side.SERVER, argv, limit_s=CLIENT_GRACE_S, ready=Port("tcp", port))


def argv_of(cell: Cell, conditions: Conditions, port: int, timing: Timing, burst: int = 1) -> tuple[str, ...]:
    """Return the client's argv; packets are limited to the cell's MTU by the sender, whatever its NIC allows.

    `burst` is how many UDP packets are sent in a row, each time that the rate allows it.
    """
    argv = ["iperf3", "-c", conditions.address, "-p", str(port)]
    argv += ["--json-stream"] if _streams(conditions) else ["-J"]
    argv += ["-t", str(int(timing.duration_s)), "-O", str(int(timing.omit_s)), "-P", str(cell.flows)]
    argv += ["--connect-timeout", str(_CONNECT_TIMEOUT_MS)]
    if cell.get("protocol") == "udp":
        size = int(cell.get("size") or cell.mtu) - UDP_HEADER_BYTES
        argv += ["-u", "-l", str(size)]
        offered, most = offered_bps(cell, conditions), most_bps(cell, conditions)
        offered = min(offered or most, most) if most else offered
        argv += ["-b", f"{offered // cell.flows}{f'/{burst}' if burst > 1 else ''}"]
    else:
        argv += ["-C", conditions.congestion_control, "-M", str(cell.mtu - _TCP_HEADER_BYTES)]
        most = most_bps(cell, conditions)
        argv += ["-b", str(max(most // cell.flows, 1))] if most else []
    extra = {Direction.FORWARD: (), Direction.REVERSE: ("-R",), Direction.BIDIR: ("--bidir",)}
    return (*argv, *extra[cell.direction])


def most_bps(cell: Cell, conditions: Conditions) -> int:
    """Return the payload in bit/s that one direction may carry where traffic is bounded; 0 where it is not.

    The bound is one of IP packets, both ways together.
    """
    if conditions.max_bps is None:
        return 0
    udp = cell.get("protocol") == "udp"
    size = int(cell.get("size") or cell.mtu) if udp else cell.mtu
    payload = size - (UDP_HEADER_BYTES if udp else _TCP_HEADER_BYTES)
    ways = 2 if cell.direction is Direction.BIDIR else 1
    return int(conditions.max_bps * payload / size / ways)


def offered_bps(cell: Cell, conditions: Conditions) -> int:
    """Return the rate at which UDP payload is sent, all flows together; 0 means as fast as it goes.

    Raises ToolError for a share of a link whose rate nobody knows.
    """
    rate = cell.get("udp_rate")
    if rate is None:
        return int(conditions.link_bps * UDP_HEADROOM) if conditions.link_bps and conditions.shaped else 0
    if rate == "none":
        return 0
    if not isinstance(rate, str):
        return int(rate)
    if conditions.link_bps is None:
        raise ToolError(f"{rate} of the link cannot be offered, for its rate is not known")
    return int(conditions.link_bps * float(rate.removesuffix("%")) / 100)


class Iperf3(Measure):
    """TCP and UDP streams; one server per trial."""

    name = "iperf3"
    programs = (PROGRAM,)
    factors = ("protocol", "direction", "flows", "udp_rate", "size")
    metrics = (
        *("goodput_bps", "forward_goodput_bps", "reverse_goodput_bps"),
        *("packets_per_s", "offered_bps", "retransmits", "udp_loss_ratio", "udp_jitter_s"),
    )
    rows = (
        *("goodput_bps", "forward_goodput_bps", "reverse_goodput_bps"),
        *("packets_per_s", "udp_loss_ratio", *CPU_ROWS),
    )

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return a server for one test, and the client."""
        port, seconds = conditions.next_port(), self.seconds(cell, conditions.timing)
        argv = argv_of(cell, conditions, port, conditions.timing)
        client = Job("client", Side.CLIENT, argv, limit_s=seconds + CLIENT_GRACE_S, live=True)
        return (server_job(port, seconds), client)

    def admitted(self, levels: Levels) -> Levels:
        """Leave out what only UDP has."""
        if dict(levels).get("protocol") == "udp":
            return levels
        return tuple(level for level in levels if level[0] not in ("udp_rate", "size"))

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:
        """Return the size that UDP packets were asked to have."""
        return int(levels["size"]) if "size" in levels else None

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long the client sends."""
        return timing.duration_s + timing.omit_s

    def live_figure(self, line: str) -> str | None:
        """Return the rate in an interval event of --json-stream."""
        if '"interval"' not in line:
            return None
        return f"{float(json.loads(line)['data']['sum']['bits_per_second']) / 1e6:.0f} Mbit/s"

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return what both sides measured.

        Before 3.14 a failed run exits with 0, so exit code, `error` and `end` are judged together. A receiver's own
        report is used throughout: the client's copy counts lost UDP packets of the omitted seconds.
        """
        client, server = done["client"], done["server"]
        ours = load(client.stdout or client.stderr, f"iperf3 client (exit code {client.exit_code})")
        theirs = load(server.stdout, "iperf3 server")
        if client.exit_code != 0:
            raise ToolError(f"iperf3 client exited with {client.exit_code}: {client.stdout.strip()[-200:]!r}")
        return measured_of(cell, ours, theirs)


def _streams(conditions: Conditions) -> bool:
    """Tell whether the client can print its intervals as they come."""
    version = conditions.versions.get(PROGRAM.name) or "0"
    return tuple(int(part) for part in version.split(".")[:2]) >= STREAMING_SINCE


def load(text: str, who: str) -> dict[str, Any]:
    """Return a report, of -J or put together from --json-stream; raises ToolError with iperf3's own error."""
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        report = _from_events(text)
    if not isinstance(report, dict) or not report:
        raise ToolError(f"{who} printed no JSON: {brief(text)!r}")
    if report.get("error"):
        raise ToolError(f"{who}: {brief(str(report['error']))}")
    if not report.get("end"):
        raise ToolError(f"{who} ended without results")
    return report


def _from_events(text: str) -> dict[str, Any]:
    """Put the report of -J together from the events of --json-stream, one JSON object a line."""
    report: dict[str, Any] = {"intervals": []}
    for line in text.splitlines():
        try:
            event = json.loads(line)
            name, values = event["event"], event["data"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {}
        if name == "interval":
            report["intervals"].append(values)
        elif name in ("start", "end", "error"):
            report[name] = values
    return report


def measured_of(cell: Cell, ours: dict[str, Any], theirs: dict[str, Any]) -> Measured:
    """Return the figures of both reports: the client's and the server's."""
    udp = cell.get("protocol") == "udp"
    forward = reverse = None
    if cell.direction is not Direction.REVERSE:
        forward = _flow(sender=ours, receiver=theirs, suffix="", udp=udp)
    if cell.direction is not Direction.FORWARD:
        suffix = "_bidir_reverse" if forward else ""
        reverse = _flow(sender=theirs, receiver=ours, suffix=suffix, udp=udp)
    flows = [flow for flow in (forward, reverse) if flow]
    figures: dict[str, Figure | None] = {"goodput_bps": sum(flow["bps"] for flow in flows)}
    if forward and reverse:
        figures |= {"forward_goodput_bps": forward["bps"], "reverse_goodput_bps": reverse["bps"]}
    if udp:
        packets = sum(flow["packets"] for flow in flows)
        lost = sum(flow["lost"] for flow in flows)
        figures |= {
            "packets_per_s": sum(flow["packets_per_s"] for flow in flows),
            "offered_bps": sum(flow["offered_bps"] for flow in flows),
            "udp_loss_ratio": lost / packets if packets else None,
            "udp_jitter_s": max(flow["jitter_s"] for flow in flows),
        }
    else:
        counted = [flow["retransmits"] for flow in flows if flow["retransmits"] is not None]
        figures["retransmits"] = sum(counted) if counted else None
    payload = [flow["payload"] if flow else 0 for flow in (forward, reverse)]
    return Measured(
        figures={name: value for name, value in figures.items() if value is not None},
        payload_forward_bytes=payload[0],
        payload_reverse_bytes=payload[1],
        tcp_forward_bytes=0 if udp else payload[0],
        tcp_reverse_bytes=0 if udp else payload[1],
        series=_series(flows),
    )


def _flow(sender: dict[str, Any], receiver: dict[str, Any], suffix: str, *, udp: bool) -> dict[str, Any]:
    """Return one direction's figures; `suffix` is what bidir puts behind the names of the reverse direction."""
    received = receiver["end"][f"sum_received{suffix}"]
    if received["seconds"] <= 0:
        raise ValueError("a measuring time")
    sent = sender["end"].get(f"sum_sent{suffix}", {})
    intervals = [interval[f"sum{suffix}"] for interval in receiver["intervals"] if f"sum{suffix}" in interval]
    counted_s = sum(part["seconds"] for part in intervals if not part.get("omitted"))
    # With --bidir a client divides what it received by the server's clock; its own intervals have its own.
    seconds = (counted_s if suffix else 0) or received["seconds"]
    packets, lost = (received.get("packets", 0), received.get("lost_packets", 0)) if udp else (0, 0)
    return {
        "bps": received["bytes"] * 8 / seconds,
        "payload": max(received["bytes"], int(sum(part["bytes"] for part in intervals))),
        "retransmits": sent.get("retransmits"),
        "lost": lost,
        "packets": packets,
        "packets_per_s": (packets - lost) / seconds,
        "offered_bps": sent.get("bits_per_second", 0.0),
        "jitter_s": received.get("jitter_ms", 0.0) / 1e3,
        "received": intervals,
        "sent": [interval[f"sum{suffix}"] for interval in sender["intervals"] if f"sum{suffix}" in interval],
    }


def _series(flows: Sequence[Mapping[str, Any]]) -> tuple[Interval, ...]:
    """Return the intervals of both directions together; retransmits are the senders', which report as often.

    iperf3 starts its clock anew when the omitted seconds are over.
    """
    together = list(zip(*(flow["received"] for flow in flows), strict=False))
    omitted_s = sum(parts[0]["seconds"] for parts in together if parts[0].get("omitted"))
    series = []
    for number, parts in enumerate(together):
        senders = [flow["sent"][number] for flow in flows if number < len(flow["sent"])]
        counted = [part["retransmits"] for part in senders if "retransmits" in part]
        omitted = bool(parts[0].get("omitted"))
        series.append(
            Interval(
                start_s=round(parts[0]["start"] - (omitted_s if omitted else 0), 3),
                end_s=round(parts[0]["end"] - (omitted_s if omitted else 0), 3),
                omitted=omitted,
                goodput_bps=float(sum(part["bits_per_second"] for part in parts)),
                retransmits=int(sum(counted)) if counted else None,
            )
        )
    return tuple(series)
