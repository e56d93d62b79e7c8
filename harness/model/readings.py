"""One node at one moment: counters for the proof, CPU time, the route cache."""

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
    """One node at one moment; times of CPUs are those of all of them together, since boot.

    `clock_s` is the time of day, `uptime_s` the time since boot, which is coarser but never set. `idle_cpus_s` has the
    idle time of each CPU. `tools_cpu_s` is what the ended programs of this connection have used, None where that
    cannot be told. `route_mtu` is what the endpoint's route cache says of the peer, if anything.
    """

    clock_s: float
    uptime_s: float
    idle_cpus_s: tuple[float, ...]
    stolen_cpu_s: float
    softirq_cpu_s: float
    tools_cpu_s: float | None
    devices: Mapping[str, Counters]
    node: Mapping[str, int]
    endpoint: Mapping[str, int]
    route_mtu: int | None


@dataclass(frozen=True)
class Span:
    """One node's readings before and after a trial; `nic` is its underlay device.

    `foreign_cpu_s` is what processes outside the lab used meanwhile, on a kernel that the nodes share with them.
    """

    before: Reading
    after: Reading
    nic: str
    foreign_cpu_s: float = 0.0

    def device(self, name: str) -> Counters | None:
        """Return what a device carried in between, None where it is not there any more."""
        if name not in self.before.devices or name not in self.after.devices:
            return None
        return self.after.devices[name] - self.before.devices[name]

    def node(self, name: str) -> int:
        """Return how far a counter of the node went."""
        return self.after.node.get(name, 0) - self.before.node.get(name, 0)

    def endpoint(self, name: str) -> int:
        """Return how far a counter of the endpoint went."""
        return self.after.endpoint.get(name, 0) - self.before.endpoint.get(name, 0)
