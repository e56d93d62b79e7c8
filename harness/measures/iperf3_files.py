"""iperf3's own JSON as other people keep it: one report a trial, mostly the client's, and what it says of its trial."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.measures.iperf3 import load, measured_of
from harness.model.errors import NOT_UNDERSTOOD, ToolError
from harness.model.factors import Value
from harness.model.text import brief
from harness.model.trial import MTU, Cell, Direction, Measured, Timing

_HEADERS = {False: 40, True: 60}
"""Bytes of IP and TCP in front of a segment, by whether it is IPv6 (RFC 791, RFC 8200, RFC 9293)."""
_TIMESTAMPS = 12
"""RFC 7323; what the kernel says of a segment's size (`tcp_mss_default`) has them off already."""
_OF_LOSS = ("udp_loss_ratio", "packets_per_s")
"""What a client's copy of a receiver's figures has wrong where seconds were omitted: the loss in these is in it."""
_SYSTEM = re.compile(r"(\S+) (\S+) (\S+)")


@dataclass(frozen=True)
class Report:
    """What a file says: its levels, as far as it does, timing, and when, where and with what it was measured.

    `started_s` is in seconds since 1970. `content` is the report itself.
    """

    levels: Mapping[str, Value]
    timing: Timing
    started_s: float | None
    version: str | None
    host: str | None
    kernel: str | None
    content: Mapping[str, Any]


def report_of(text: str) -> Report:
    """Return the report in a file, of -J or --json-stream; raises ToolError for one that cannot be used."""
    content = load(text, "iperf3")
    try:
        start = content["start"]
        test = start["test_start"]
        is_both = any(name.endswith("_bidir_reverse") for name in content["end"])  # the start tells since 3.17 only
        way = Direction.BIDIR if is_both else Direction.REVERSE if test["reverse"] else Direction.FORWARD
        protocol = str(test["protocol"]).lower()
        if protocol not in ("tcp", "udp"):
            raise ToolError(f"iperf3 measured {protocol}; only tcp and udp can be compared")
        levels: dict[str, Value] = {"protocol": protocol, "direction": way.value, "flows": int(test["num_streams"])}
        mtu = _mtu(start) if protocol == "tcp" else None
        system = _SYSTEM.match(str(start.get("system_info", "")))
        return Report(
            levels | ({MTU: mtu} if mtu else {}),
            Timing(float(test["duration"]) or float(content["end"]["sum_received"]["seconds"]), float(test["omit"])),
            start.get("timestamp", {}).get("timesecs"),
            (re.findall(r"\d+\.\d+(?:\.\d+)?", str(start.get("version", ""))) or [None])[0],
            system[2] if system else None,
            system[3] if system else None,
            content,
        )
    except NOT_UNDERSTOOD as error:
        raise ToolError(f"iperf3 printed JSON without {brief(str(error))}") from error


def _mtu(start: Mapping[str, Any]) -> int | None:
    """Return the MTU that TCP's segments fill: as they were asked to be, or as the kernel made them."""
    connected = start.get("connected") or [{}]
    headers = _HEADERS[":" in str(connected[0].get("local_host", "")).removeprefix("::ffff:")]
    if start.get("tcp_mss"):
        return int(start["tcp_mss"]) + headers
    usual = start.get("tcp_mss_default")
    return int(usual) + headers + _TIMESTAMPS if usual else None


def figures_of(cell: Cell, report: Report) -> Measured:
    """Return what was measured, of one side's report or, where it holds the server's too, of both.

    A client's copy of what the receiver counted is all there is of some directions: without its seconds, and without
    what was lost where seconds were omitted. Raises ToolError where a report lacks what its kind has.
    """
    ours = dict(report.content)
    theirs = ours.get("server_output_json")
    is_whole = isinstance(theirs, dict) and "end" in theirs
    try:
        measured = measured_of(cell, ours, theirs if isinstance(theirs, dict) and is_whole else ours)
        is_server = "accepted_connection" in ours["start"]
    except NOT_UNDERSTOOD as error:
        raise ToolError(f"iperf3 printed JSON without {brief(str(error))}") from error
    if is_whole:
        return measured
    receives = cell.direction is not Direction.BIDIR and (cell.direction is Direction.REVERSE) != is_server
    if receives:
        return measured
    left_out = _OF_LOSS if report.timing.omit_s else ()
    figures = {name: value for name, value in measured.figures.items() if name not in left_out}
    return replace(measured, figures=figures, series=())
