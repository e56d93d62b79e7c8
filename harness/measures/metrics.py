"""The metrics there are; another one is an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model.metrics import Better, Facts, Metric

BITS_PER_GBIT = 1e9
MOST_LINKS = 8
"""Columns that there are for links."""

NODE_METRICS = (
    *("client_cpu_s", "server_cpu_s", "client_tools_cpu_s", "server_tools_cpu_s"),
    *("client_softirq_cpu_s", "server_softirq_cpu_s", "client_busiest_cpu_ratio", "server_busiest_cpu_ratio"),
    *("client_background_cpus", "server_background_cpus", "socket_dropped", "foreign_cpu_s", "stolen_ratio"),
    *("inner_bytes", "outer_bytes"),
)
"""What is read on the nodes in every trial, whatever measures."""

CPU_SHARES = ("tools_cpu_s_per_gbit", "softirq_cpu_s_per_gbit", "busiest_cpu_ratio")
"""Where the CPU time of a gigabit goes."""
CPU_ROWS = ("cpu_s_per_gbit", *CPU_SHARES)


def _gbit(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a column, whatever holds it
    """Return gigabits of payload over all seconds of a trial.

    The readings span the omitted seconds too, so goodput is taken to hold for these as well.
    """
    return columns["goodput_bps"] * (columns["duration_s"] + columns["omit_s"]) / BITS_PER_GBIT


def _of_both(columns: Mapping[str, Any], name: str, facts: Facts) -> Any:  # noqa: ANN401 - see above
    """Return both nodes' seconds; those that share a kernel read the same, so one reading is that of both."""
    client, server = columns[f"client_{name}"], columns[f"server_{name}"]
    return client if facts.shared_kernel else client + server


def _cpu_s_per_gbit(columns: Mapping[str, Any], facts: Facts) -> Any:  # noqa: ANN401 - see above
    return _of_both(columns, "cpu_s", facts) / _gbit(columns)


def _tools_cpu_s_per_gbit(columns: Mapping[str, Any], _facts: Facts) -> Any:  # noqa: ANN401 - see above
    """Each node's tools are children of its own connection, so they are told apart on a shared kernel, too."""
    return (columns["client_tools_cpu_s"] + columns["server_tools_cpu_s"]) / _gbit(columns)


def _softirq_cpu_s_per_gbit(columns: Mapping[str, Any], facts: Facts) -> Any:  # noqa: ANN401 - see above
    return _of_both(columns, "softirq_cpu_s", facts) / _gbit(columns)


def _busiest_cpu_ratio(columns: Mapping[str, Any], _facts: Facts) -> Any:  # noqa: ANN401 - see above
    client, server = columns["client_busiest_cpu_ratio"], columns["server_busiest_cpu_ratio"]
    busiest, client_is_busier = server.copy(), client >= server
    busiest[client_is_busier] = client[client_is_busier]
    return busiest


def _udp_sent(columns: Mapping[str, Any], _facts: Facts) -> Any:  # noqa: ANN401 - see above
    """Return how many datagrams were sent in the seconds that count."""
    return columns["packets_per_s"] * columns["duration_s"] / (1 - columns["udp_loss_ratio"])


def _late_ratio(columns: Mapping[str, Any], _facts: Facts) -> Any:  # noqa: ANN401 - see above
    """Return which share of the lost datagrams had arrived, and were dropped because the program was slow to take them.

    The counter spans the omitted seconds too, in which as much is taken to have been dropped as in the others.
    """
    loss = columns["udp_loss_ratio"]
    lost = _udp_sent(columns, _facts) * loss
    dropped = columns["socket_dropped"] * columns["duration_s"] / (columns["duration_s"] + columns["omit_s"])
    return (dropped / lost).clip(max=1.0)


_HIGHER, _LOWER = Better.HIGHER, Better.LOWER

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("goodput_bps", "bit/s", "goodput", _HIGHER, ceiling=True),
        Metric("forward_goodput_bps", "bit/s", "goodput", _HIGHER, part="forward", ceiling=True),
        Metric("reverse_goodput_bps", "bit/s", "goodput", _HIGHER, part="reverse", ceiling=True),
        Metric("packets_per_s", "1/s", "packets", _HIGHER),
        Metric("offered_bps", "bit/s", "offered"),
        Metric("retransmits", "1", "retransmits"),
        Metric("udp_loss_ratio", "ratio", "loss", _LOWER, tries="udp_sent"),
        Metric("udp_jitter_s", "s", "jitter"),
        Metric("transactions_per_s", "1/s", "transactions", _HIGHER),
        Metric("connections_per_s", "1/s", "connections", _HIGHER),
        Metric("outer_ports", "1", "outer source ports"),
        Metric("other_ports", "1", "outer source ports of what is no data"),
        Metric("links_used", "1", "links in use"),
        Metric("busiest_link_ratio", "ratio", "of the bytes, on the fullest link"),
        *(Metric(f"link_{number}_bytes", "B", f"bytes over link {number}") for number in range(1, MOST_LINKS + 1)),
        Metric("hashed_busiest_flows", "1", "ports on the fullest link, by CRC-32"),
        Metric("hashed_busiest_ratio", "ratio", "of the bytes, on the fullest link by CRC-32"),
        Metric("search_steps", "1", "steps of the search"),
        Metric("unsent_ratio", "ratio", "unsent at the rate that was too high"),
        Metric("unsent_cpu_ratio", "ratio", "busiest CPU at the rate that was too high"),
        Metric("rtt_min_s", "s", "round trip", part="min"),
        Metric("rtt_p50_s", "s", "round trip", _LOWER, part="p50"),
        Metric("rtt_p90_s", "s", "round trip", _LOWER, part="p90"),
        Metric("rtt_p99_s", "s", "round trip", _LOWER, part="p99"),
        Metric("rtt_p999_s", "s", "round trip", _LOWER, part="p99.9"),
        Metric("rtt_max_s", "s", "round trip", part="max"),
        Metric("ping_sent", "1", "echoes"),
        Metric("ping_lost_ratio", "ratio", "loss", _LOWER, tries="ping_sent"),
        Metric("client_cpu_s", "s", "CPU time of the client"),
        Metric("server_cpu_s", "s", "CPU time of the server"),
        Metric("client_tools_cpu_s", "s", "CPU time of the client's tools"),
        Metric("server_tools_cpu_s", "s", "CPU time of the server's tools"),
        Metric("client_softirq_cpu_s", "s", "CPU time of the client in interrupts"),
        Metric("server_softirq_cpu_s", "s", "CPU time of the server in interrupts"),
        Metric("client_busiest_cpu_ratio", "ratio", "busiest CPU of the client"),
        Metric("server_busiest_cpu_ratio", "ratio", "busiest CPU of the server"),
        Metric("client_background_cpus", "1", "busy CPUs of the client before the trial"),
        Metric("server_background_cpus", "1", "busy CPUs of the server before the trial"),
        Metric("socket_dropped", "1", "datagrams dropped at a full socket"),
        Metric("foreign_cpu_s", "s", "CPU time of others"),
        Metric("stolen_ratio", "ratio", "CPU time taken away"),
        Metric("inner_bytes", "B", "bytes through the tunnel"),
        Metric("outer_bytes", "B", "bytes through the NIC"),
        Metric("cpu_s_per_gbit", "s/Gbit", "CPU time", _LOWER, derive=_cpu_s_per_gbit),
        Metric("tools_cpu_s_per_gbit", "s/Gbit", "CPU time of the tools", _LOWER, derive=_tools_cpu_s_per_gbit),
        Metric("softirq_cpu_s_per_gbit", "s/Gbit", "CPU time in interrupts", _LOWER, derive=_softirq_cpu_s_per_gbit),
        Metric("busiest_cpu_ratio", "ratio", "busiest CPU", derive=_busiest_cpu_ratio),
        Metric("udp_sent", "1", "datagrams", derive=_udp_sent),
        Metric("late_ratio", "ratio", "of the loss, at a full socket", derive=_late_ratio),
    )
}
"""Every metric by its name, in the order of the columns of trials.csv."""
