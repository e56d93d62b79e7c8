"""Flows over several links: iperf3, and the outer source ports under which its packets leave the sending node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.measures import iperf3
from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, Perform, served
from harness.measures.metrics import MOST_LINKS
from harness.model.errors import ToolError
from harness.model.factors import Value
from harness.model.jobs import Completed, Job, Port, Program, Ramp, Side
from harness.model.path import Carrier
from harness.model.text import brief
from harness.model.trial import Cell, Figure, Measured, Timing
from harness.truth.hashing import FiveTuple, split_of

LEAST_RATIO = 0.001
"""A port, or a link, that carried a smaller share of the bytes than this had none of the flows: iperf3's control
connection and ARP are well below it, any flow that is alive well above."""
STARTING_S = 0.3
"""How long tcpdump takes to look at the NIC, with some to spare."""
PORTS_JOB = "ports"
SNAPSHOT_BYTES = 96
"""So much of each packet is looked at: the outer headers, of IPv6 too."""
_PROTOCOLS = {"tcp": 6, "udp": 17}

TCPDUMP = Program(
    name="tcpdump",
    package="tcpdump",
    purpose="shows the outer source ports",
    version_argv=("tcpdump", "--version"),
    version_pattern=r"tcpdump version (\d+\.\d+(?:\.\d+)?)",
)
# A line of tcpdump's is `IP SOURCE.PORT > DESTINATION.PORT: UDP, length N`; packets and bytes of each source are added
# up on the node, so that no packet's line crosses the network. When it is time, SIGTERM comes to all three: tcpdump
# ends, awk goes on to the end of its input, and the shell waits for both. Constant text; its words come as arguments.
_COUNT = (
    'trap : TERM; tcpdump -i "$1" -nn -q -t -s "$2" "$3" | { trap "" TERM; exec awk \''
    "/^IP/ { packets[$2]++; bytes[$2] += $NF } "
    'END { for (source in packets) printf "%s %.0f %.0f\\n", source, packets[source], bytes[source] }'
    "'; }"
)


@dataclass(frozen=True)
class OuterPort:
    """One outer source port (0 where there are none), and the packets and bytes that were seen to leave by it.

    A GSO burst is one packet; bytes are what is behind the outer headers.
    """

    number: int
    packets: int
    size: int


class Ecmp(Measure):
    """TCP from the client, with its outer source ports and, where there are several links, how much took which."""

    name = "ecmp"
    label = "beside tcpdump"
    programs = (iperf3.PROGRAM, TCPDUMP)
    factors = ("flows",)
    metrics = (
        *("goodput_bps", "retransmits", "outer_ports", "other_ports", "links_used", "busiest_link_ratio"),
        *(f"link_{number}_bytes" for number in range(1, MOST_LINKS + 1)),
        *("hashed_busiest_flows", "hashed_busiest_ratio"),
    )
    rows = ("goodput_bps", "outer_ports")

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return the server, tcpdump on the sending node, and the client."""
        port, seconds = conditions.next_port(), self.seconds(cell, conditions.timing)
        carrier = _carrier(conditions, port)
        count = ("sh", "-c", _COUNT, "sh", conditions.path.client_nic, str(SNAPSHOT_BYTES), filter_of(carrier))
        limit_s = seconds + CLIENT_GRACE_S
        return (
            iperf3.server_job(port, seconds),
            Job(PORTS_JOB, Side.CLIENT, served(count, seconds), limit_s, Ramp(STARTING_S), ends=False, on_node=True),
            Job("client", Side.CLIENT, iperf3.argv_of(cell, conditions, port, conditions.timing), limit_s, live=True),
        )

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long the client sends."""
        return timing.duration_s + timing.omit_s

    def is_held_against_nic_mtu(self, levels: Mapping[str, Value]) -> bool:  # noqa: ARG002 - the same for each
        """Tell that it is not: flows are held against fewer flows of the same profile."""
        return False

    def live_figure(self, line: str) -> str | None:
        """Return the rate in an interval event of --json-stream."""
        return iperf3.Iperf3().live_figure(line)

    def run(self, cell: Cell, conditions: Conditions, perform: Perform) -> Measured:
        """Measure a cell once; add what the links carried, and what a hash that is known would make of the ports."""
        jobs = self.jobs(cell, conditions)
        performed = perform(jobs)
        measured = self.parse(cell, performed.done)
        data, _ = told_apart(ports_of(performed.done[PORTS_JOB]))
        listening = next(job.ready.number for job in jobs if isinstance(job.ready, Port))
        hashed = _hashed(data, _carrier(conditions, listening), conditions.links)
        return replace(measured, figures={**measured.figures, **_carried(performed.link_bytes), **hashed})

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:
        """Return what iperf3 measured, and how many ports its packets left by; ToolError where none were seen."""
        measured = iperf3.Iperf3().parse(cell, done)
        data, others = told_apart(ports_of(done[PORTS_JOB]))
        counts = {"outer_ports": len(data), "other_ports": len(others)}
        return replace(measured, figures={**measured.figures, **counts})


def filter_of(carrier: Carrier) -> str:
    """Return tcpdump's filter of what leaves for the server."""
    ends = f"src host {carrier.source} and dst host {carrier.destination}"
    if carrier.port is None:
        return f"{ends} and proto {carrier.protocol}"
    return f"{ends} and {carrier.protocol} dst port {carrier.port}"


def ports_of(seen: Completed) -> list[OuterPort]:
    """Return the source ports that were counted, the busiest first; ToolError where nothing was."""
    ports = []
    for line in seen.stdout.splitlines():
        try:
            source, packets, size = line.split()
            number = source.rpartition(".")[2] if source.count(".") in (1, 4) else "0"  # an IPv6 address has no dot
            ports.append(OuterPort(int(number), int(packets), int(size)))
        except ValueError as error:
            raise ToolError(f"tcpdump's packets were counted as {brief(line)!r}, no source with two numbers") from error
    if not any(port.size for port in ports):
        said = " ".join(seen.stderr.split())[-200:]
        raise ToolError(f"tcpdump saw no data of the test leave (exit code {seen.exit_code}): {said!r}")
    return sorted(ports, key=lambda port: (-port.size, port.number))


def told_apart(ports: Sequence[OuterPort]) -> tuple[list[OuterPort], list[OuterPort]]:
    """Return the ports that carried the data, and the others: iperf3's control connection, ARP inside a tunnel."""
    least = LEAST_RATIO * sum(port.size for port in ports)
    data = [port for port in ports if port.size and port.size >= least]
    return data, [port for port in ports if port not in data]


def _carrier(conditions: Conditions, port: int) -> Carrier:
    """Return what carries the data: without a tunnel that is the data itself, to the server's port."""
    path = conditions.path
    return path.carrier or Carrier(path.client.address, path.server.address, "tcp", port)


def _carried(link_bytes: Sequence[int]) -> dict[str, Figure]:
    """Return the figures of links; none where there are none, or they carried nothing."""
    total = sum(link_bytes)
    if not total:
        return {}
    return {
        "links_used": sum(size >= LEAST_RATIO * total for size in link_bytes),
        "busiest_link_ratio": max(link_bytes) / total,
        **{f"link_{number}_bytes": size for number, size in enumerate(link_bytes, 1)},
    }


def _hashed(data: Sequence[OuterPort], carrier: Carrier, links: int | None) -> dict[str, Figure]:
    """Return the flows and the share of the bytes that `truth.hashing` puts on the fullest of so many links."""
    if links is None:
        return {}
    number = _PROTOCOLS.get(carrier.protocol)
    protocol = int(carrier.protocol) if number is None else number
    tuples = [FiveTuple(carrier.source, carrier.destination, protocol, port.number, carrier.port or 0) for port in data]
    counts, sizes = split_of(tuples, [port.size for port in data], links)
    return {"hashed_busiest_flows": max(counts), "hashed_busiest_ratio": max(sizes) / sum(sizes)}
