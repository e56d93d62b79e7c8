"""iperf3: goodput as the receiver counted it, from both sides' own JSON."""

from __future__ import annotations

import json
from typing import Any

from harness.measures.base import Conditions
from harness.model.errors import ToolError
from harness.model.trial import Cell, Direction, Measurement, Timing

MAX_FLOWS = 128
"""MAX_STREAMS of iperf3's iperf.h."""
STREAMING_SINCE = (3, 17)
"""First version with --json-stream."""
_TCP_HEADER_BYTES = 40
_UDP_HEADER_BYTES = 28
_CONNECT_TIMEOUT_MS = 5000
_GRACE_S = 15
"""How long after its test a server may live before `timeout` ends it, should the harness be gone."""


class Iperf3:
    """TCP and UDP streams; one server per trial."""

    name = "iperf3"
    protocols: tuple[str, ...] = ("tcp", "udp")
    directions: tuple[Direction, ...] = tuple(Direction)

    def server_argv(self, conditions: Conditions) -> list[str] | None:
        """Return the argv of a server for one test (-1), which ends by itself whatever becomes of the harness."""
        limit = int(self.seconds(conditions.timing)) + 2 * _GRACE_S
        return ["timeout", "-k", "5", str(limit), "iperf3", "-s", "-1", "-p", str(conditions.port), "-J"]

    def client_argv(self, cell: Cell, conditions: Conditions) -> list[str]:
        """Return the client's argv; packets are limited to the cell's MTU by the sender, whatever its NIC allows."""
        timing = conditions.timing
        argv = ["iperf3", "-c", conditions.destination, "-p", str(conditions.port)]
        argv += ["--json-stream"] if conditions.streaming else ["-J"]
        argv += ["-t", str(int(timing.duration_s)), "-O", str(int(timing.omit_s)), "-P", str(cell.flows)]
        argv += ["--connect-timeout", str(_CONNECT_TIMEOUT_MS)]
        if cell.protocol == "tcp":
            argv += ["-C", conditions.congestion_control, "-M", str(cell.mtu - _TCP_HEADER_BYTES)]
        else:
            each = int(conditions.offered_bps / cell.flows) if conditions.offered_bps else 0
            argv += ["-u", "-l", str(cell.mtu - _UDP_HEADER_BYTES), "-b", str(each)]
        extra = {Direction.FORWARD: [], Direction.REVERSE: ["-R"], Direction.BIDIR: ["--bidir"]}
        return argv + extra[cell.direction]

    def seconds(self, timing: Timing) -> float:
        """Return how long the client sends, omitted seconds included."""
        return timing.duration_s + timing.omit_s

    def live_figure(self, line: str) -> str | None:
        """Return the rate in an interval event of --json-stream."""
        if '"interval"' not in line:
            return None
        try:
            event = json.loads(line)
            return f"{float(event['data']['sum']['bits_per_second']) / 1e6:.0f} Mbit/s"
        except (ValueError, KeyError, TypeError):
            return None

    def parse(self, cell: Cell, exit_code: int, client: str, server: str) -> Measurement:
        """Return what both sides measured.

        Before 3.14 a failed run exits with 0, so exit code, `error` and `end` are judged together. A receiver's own
        report is used throughout: the client's copy counts lost UDP packets of the omitted seconds.
        """
        ours = load(client, f"iperf3 client (exit code {exit_code})")
        theirs = load(server, "iperf3 server")
        if exit_code != 0:
            raise ToolError(f"iperf3 client exited with {exit_code}: {client.strip()[-200:]!r}")
        try:
            forward = _way(cell, sender=ours, receiver=theirs, suffix="")
            if cell.direction is Direction.FORWARD:
                return _measurement(cell, forward, None)
            if cell.direction is Direction.REVERSE:
                return _measurement(cell, None, _way(cell, sender=theirs, receiver=ours, suffix=""))
            return _measurement(cell, forward, _way(cell, sender=theirs, receiver=ours, suffix="_bidir_reverse"))
        except (KeyError, TypeError, ValueError) as error:
            raise ToolError(f"iperf3 printed JSON without {error}") from error


def load(text: str, who: str) -> dict[str, Any]:
    """Return a report, of -J or put together from --json-stream; raises ToolError with iperf3's own error."""
    try:
        report = json.loads(text)
    except ValueError:
        report = _from_events(text)
    if not isinstance(report, dict) or not report:
        raise ToolError(f"{who} printed no JSON: {text.strip()[-200:]!r}")
    if report.get("error"):
        raise ToolError(f"{who}: {report['error']}")
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
        except (ValueError, KeyError, TypeError):
            return {}
        if name == "interval":
            report["intervals"].append(values)
        elif name in ("start", "end", "error"):
            report[name] = values
    return report


def _way(cell: Cell, sender: dict[str, Any], receiver: dict[str, Any], suffix: str) -> dict[str, Any]:
    """Return one direction's figures; `suffix` is what bidir puts behind the names of the reverse direction."""
    received = receiver["end"][f"sum_received{suffix}"]
    if received["seconds"] <= 0:
        raise ValueError("a measuring time")
    sent = sender["end"].get(f"sum_sent{suffix}", {})
    # With --bidir a client divides what it received by the server's clock; its own intervals have its own.
    seconds = _interval_seconds(receiver, "sum" + suffix) if suffix else received["seconds"]
    return {
        "bps": received["bytes"] * 8 / (seconds or received["seconds"]),
        "payload": max(received["bytes"], _interval_bytes(receiver, "sum" + suffix)),
        "retransmits": sent.get("retransmits"),
        "lost": received.get("lost_packets", 0) if cell.protocol == "udp" else 0,
        "packets": received.get("packets", 0) if cell.protocol == "udp" else 0,
        "jitter_s": received.get("jitter_ms", 0.0) / 1e3,
    }


def _interval_seconds(report: dict[str, Any], key: str) -> float:
    """Return the seconds of all intervals that count."""
    counted = [interval[key] for interval in report["intervals"] if key in interval]
    return float(sum(part["seconds"] for part in counted if not part.get("omitted")))


def _interval_bytes(report: dict[str, Any], key: str) -> int:
    """Return the bytes of all intervals, the omitted ones included."""
    return int(sum(interval[key]["bytes"] for interval in report["intervals"] if key in interval))


def _measurement(cell: Cell, forward: dict[str, Any] | None, reverse: dict[str, Any] | None) -> Measurement:
    ways = [way for way in (forward, reverse) if way]
    packets = sum(way["packets"] for way in ways)
    counted = [way["retransmits"] for way in ways if way["retransmits"] is not None]
    udp = cell.protocol == "udp"
    return Measurement(
        goodput_bps=sum(way["bps"] for way in ways),
        payload_forward_bytes=forward["payload"] if forward else 0,
        payload_reverse_bytes=reverse["payload"] if reverse else 0,
        retransmits=sum(counted) if counted and not udp else None,
        udp_loss_ratio=sum(way["lost"] for way in ways) / packets if udp and packets else None,
        udp_jitter_s=max(way["jitter_s"] for way in ways) if udp else None,
    )
