"""One node at one moment, as the proof looks at it: counters, CPU time, route cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Counters:
    """Bytes and packets of one device since it was made."""

    rx_bytes: int
    rx_packets: int
    tx_bytes: int
    tx_packets: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(
            self.rx_bytes - other.rx_bytes,
            self.rx_packets - other.rx_packets,
            self.tx_bytes - other.tx_bytes,
            self.tx_packets - other.tx_packets,
        )


@dataclass(frozen=True)
class Reading:
    """One node at one moment; `route_mtu` is what the endpoint's route cache says of the peer, if anything."""

    busy_cpu_s: float
    stolen_cpu_s: float
    total_cpu_s: float
    devices: Mapping[str, Counters]
    node: Mapping[str, int]
    endpoint: Mapping[str, int]
    route_mtu: int | None
    route_device: str
    load_1min: float
