"""What the harness speaks of, as frozen dataclasses; standard library only.

Units are SI base units: seconds, bytes, bit/s. MTU is in bytes of IP packet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

UNDERLAY = "underlay"
"""Name of the profile that every other one is compared with."""

SCHEMA_VERSION = 1
"""Of run.json and the CSV files. 1: the first."""

TRIAL_COLUMNS = (
    "run_id,block,position,profile,kind,tool,protocol,direction,mtu,flows,duration_s,started_at,status,reason,"
    "proof,path_state,goodput_bps,retransmits,udp_loss_ratio,udp_jitter_s,rtt_min_s,rtt_p50_s,rtt_p90_s,rtt_p99_s,"
    "rtt_max_s,ping_sent,ping_lost_ratio,client_cpu_s,server_cpu_s,inner_bytes,outer_bytes,raw"
).split(",")
"""Columns of trials.csv, in order; docs/results.md says what each holds."""

SUMMARY_COLUMNS = (
    "profile,baseline,tool,protocol,direction,mtu,flows,metric,unit,blocks,median,baseline_median,cv,ratio,"
    "ratio_low,ratio_high,ceiling_ratio,same_mtu_ratio,same_mtu_ratio_low,same_mtu_ratio_high,"
    "same_mtu_ceiling_ratio,verdict,warnings"
).split(",")
"""Columns of summary.csv, in order; docs/results.md says what each holds."""

PAIRS_FILE = "pairs.json"
"""What a run of several pairs has in its folder, beside a run folder for each pair."""

PAIR_COLUMNS = ("client", "server", *SUMMARY_COLUMNS)
"""Columns of pairs.csv, in order: every pair's summary.csv with its hosts in front."""


class Kind(StrEnum):
    """What lies between the endpoints of a profile."""

    UNDERLAY = "underlay"
    ROUTED = "routed"
    TUNNEL = "tunnel"


class Status(StrEnum):
    """How a trial ended. `invalid`: measured, but the proof says that the bytes took another way."""

    OK = "ok"
    FAILED = "failed"
    INVALID = "invalid"


class Direction(StrEnum):
    """Who sends: the client, the server, or both at the same time."""

    FORWARD = "forward"
    REVERSE = "reverse"
    BIDIR = "bidir"


class PathState(StrEnum):
    """What happened to full-size packets on the way; found from counters and the route cache."""

    WHOLE = "whole"
    CLAMPED = "clamped"
    OUTER_FRAGMENTED = "outer-fragmented"
    INNER_FRAGMENTED = "inner-fragmented"
    BLACK_HOLED = "black-holed"


@dataclass(frozen=True)
class Node:
    """One of the two hosts.

    `address` is its underlay IPv4 address, `address6` the IPv6 one where it has one, and `device` the NIC that holds
    them; `index` counts from 1.
    `variables` are the inventory's own, for the connection.
    """

    name: str
    index: int
    address: str
    device: str
    mtu: int = 1500
    address6: str | None = None
    variables: Mapping[str, object] = field(default_factory=dict, repr=False)  # there may be a password among them


@dataclass(frozen=True)
class Endpoint:
    """What sends and receives on a node; `namespace` is None where that is the node itself."""

    namespace: str | None
    address: str


@dataclass(frozen=True)
class Cell:
    """What is measured. `flows` is 1 and `protocol` is "icmp" for ping."""

    tool: str
    protocol: str
    direction: Direction
    mtu: int
    flows: int

    def __str__(self) -> str:
        flows = f" x{self.flows}" if self.tool != "ping" else ""
        way = f" {self.direction}" if self.direction != Direction.FORWARD else ""
        return f"{self.tool} {self.protocol}{flows}{way} mtu {self.mtu}"


@dataclass(frozen=True)
class Slot:
    """One place in the plan: this cell on this profile, in this block and position (both from 1)."""

    block: int
    position: int
    profile: str
    cell: Cell


@dataclass(frozen=True)
class Timing:
    """Seconds of one trial: `duration_s` counts, `omit_s` before it is thrown away."""

    duration_s: float
    omit_s: float


@dataclass(frozen=True)
class Measurement:
    """What a tool measured in one trial; None where it does not apply.

    `goodput_bps` is the receiver's (bidir: the sum of both). RTTs come from the samples, the first left out.
    `payload_forward_bytes` (client to server) and `payload_reverse_bytes` are what arrived, omitted seconds and all,
    for the proof.
    """

    goodput_bps: float | None = None
    payload_forward_bytes: int = 0
    payload_reverse_bytes: int = 0
    retransmits: int | None = None
    udp_loss_ratio: float | None = None
    udp_jitter_s: float | None = None
    rtt_min_s: float | None = None
    rtt_p50_s: float | None = None
    rtt_p90_s: float | None = None
    rtt_p99_s: float | None = None
    rtt_max_s: float | None = None
    ping_sent: int | None = None
    ping_lost_ratio: float | None = None


@dataclass(frozen=True)
class Trial:
    """One row of trials.csv."""

    run_id: str
    slot: Slot
    kind: Kind
    duration_s: float
    started_at: str
    status: Status
    reason: str = ""
    proof: str = ""
    path_state: str = ""
    measurement: Measurement = field(default_factory=Measurement)
    client_cpu_s: float | None = None
    server_cpu_s: float | None = None
    inner_bytes: int | None = None
    outer_bytes: int | None = None
    raw: str = ""

    def row(self) -> dict[str, object]:
        """Return the trial keyed by TRIAL_COLUMNS; None becomes an empty cell."""
        cell = self.slot.cell
        values: dict[str, object] = {
            "block": self.slot.block,
            "position": self.slot.position,
            "profile": self.slot.profile,
            "tool": cell.tool,
            "protocol": cell.protocol,
            "direction": cell.direction.value,
            "mtu": cell.mtu,
            "flows": cell.flows,
            "kind": self.kind.value,
            "status": self.status.value,
        }
        for column in TRIAL_COLUMNS:
            if column not in values:
                source = self if hasattr(self, column) else self.measurement
                values[column] = getattr(source, column)
        return {column: "" if values[column] is None else values[column] for column in TRIAL_COLUMNS}
