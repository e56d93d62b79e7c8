"""Did the bytes take the way that the profile claims? Counters before and after a trial give the answer. Pure.

For each direction in which data flowed, a tunnel trial is proven when on both nodes

- the tunnel device carried at least what the receiver got: tunnel bytes >= payload, and
- the NIC carried that and the encapsulation around it: NIC bytes >= tunnel bytes + overhead x tunnel packets.

The kernel counts a GSO burst as one packet on either device, so the overhead is a lower bound. A trial of any other
kind is proven when no tunnel carried more than stray packets and the NIC carried the payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.readings import Counters, Reading
from harness.model.trial import Cell, Direction, Kind, Measurement

STRAY_RATIO = 0.01
"""Share of the payload that may cross a tunnel that should be idle: neighbour discovery, late retransmissions."""
STRAY_BYTES = 20_000
FRAGMENTED_RATIO = 0.1
"""Fragments for each packet above which a path counts as fragmenting; a few come before TCP has learned the MTU."""
SIZE_TOLERANCE = 1.01
TCP_HEADER_BYTES = 40


@dataclass(frozen=True)
class Way:
    """What a profile claims: its kind, the tunnel device, other profiles' tunnels, header bytes.

    `least_overhead` is what each packet adds at least; over TCP several packets share the outer headers.
    """

    kind: Kind
    tunnel: str | None
    other_tunnels: tuple[str, ...]
    overhead: int
    least_overhead: int
    path_mtu: int
    nic_mtu: int


@dataclass(frozen=True)
class Span:
    """One node's readings before and after a trial; `nic` is its underlay device."""

    before: Reading
    after: Reading
    nic: str

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

    @property
    def stolen_ratio(self) -> float:
        """Share of the node's CPU time that a hypervisor gave to others."""
        total = self.after.total_cpu_s - self.before.total_cpu_s
        return (self.after.stolen_cpu_s - self.before.stolen_cpu_s) / total if total > 0 else 0.0

    @property
    def busy_cpu_s(self) -> float:
        """Seconds of CPU that the node was busy."""
        return self.after.busy_cpu_s - self.before.busy_cpu_s


@dataclass(frozen=True)
class Proof:
    """The verdict on one trial: `proven`, what was seen, and the bytes of the tunnel (or NIC) and of the NIC."""

    proven: bool
    evidence: str
    path_state: str
    inner_bytes: int | None
    outer_bytes: int | None


def judge(cell: Cell, way: Way, client: Span, server: Span, measured: Measurement) -> Proof:
    """Return the proof of one measured trial."""
    problems: list[str] = []
    seen: list[str] = []
    for sender, receiver, payload, arrow in _flows(cell, client, server, measured):
        _check_nic(sender, receiver, payload, arrow, problems)
        for other in way.other_tunnels:
            _check_idle(other, sender, receiver, payload, arrow, problems)
        if way.kind is Kind.TUNNEL:
            _check_tunnel(way, sender, receiver, payload, arrow, problems, seen)
        _check_size(cell, sender, payload, arrow, problems)
    carried = client.device(way.tunnel or client.nic)
    nic = client.device(client.nic)
    return Proof(
        proven=not problems,
        evidence="; ".join(problems or seen) or f"{client.nic} carried it, no tunnel did",
        path_state=path_state(cell, way, client, server, measured),
        inner_bytes=_both_ways(carried),
        outer_bytes=_both_ways(nic),
    )


def _flows(cell: Cell, client: Span, server: Span, measured: Measurement) -> Sequence[tuple[Span, Span, int, str]]:
    """Return sender, receiver, payload bytes and an arrow for each direction in which data flowed."""
    forward = (client, server, measured.payload_forward_bytes, "client -> server")
    reverse = (server, client, measured.payload_reverse_bytes, "server -> client")
    if cell.tool == "ping" or cell.direction is Direction.BIDIR:
        return (forward, reverse)
    return (forward,) if cell.direction is Direction.FORWARD else (reverse,)


def _check_nic(sender: Span, receiver: Span, payload: int, arrow: str, problems: list[str]) -> None:
    sent, received = sender.device(sender.nic), receiver.device(receiver.nic)
    if sent is None or received is None:
        problems.append(f"{sender.nic if sent is None else receiver.nic} is gone")
    elif sent.tx_bytes < payload or received.rx_bytes < payload:
        problems.append(
            f"{arrow}: {payload} bytes arrived, but {sender.nic} sent {sent.tx_bytes} and received {received.rx_bytes}"
        )


def _check_idle(tunnel: str, sender: Span, receiver: Span, payload: int, arrow: str, problems: list[str]) -> None:
    allowed = max(STRAY_BYTES, int(payload * STRAY_RATIO))
    sent, received = sender.device(tunnel), receiver.device(tunnel)
    crossed = max(sent.tx_bytes if sent else 0, received.rx_bytes if received else 0)
    if crossed > allowed:
        problems.append(f"{arrow}: {crossed} bytes crossed {tunnel}, which this profile does not use")


def _check_tunnel(
    way: Way, sender: Span, receiver: Span, payload: int, arrow: str, problems: list[str], seen: list[str]
) -> None:
    """Check one direction of a tunnel trial: through the tunnel on both nodes, encapsulated on the NIC."""
    tunnel = way.tunnel or ""
    sent, received = sender.device(tunnel), receiver.device(tunnel)
    if sent is None or received is None:
        problems.append(f"{tunnel} is gone")
        return
    if sent.tx_bytes < payload or received.rx_bytes < payload:
        problems.append(
            f"{arrow}: {payload} bytes arrived, but {tunnel} sent {sent.tx_bytes} and received {received.rx_bytes}: "
            "they went around the tunnel"
        )
        return
    outside, inside = sender.device(sender.nic), receiver.device(receiver.nic)
    needed = sent.tx_bytes + way.least_overhead * sent.tx_packets
    if outside is None or outside.tx_bytes < needed:
        problems.append(
            f"{arrow}: {tunnel} sent {sent.tx_bytes} bytes, but they did not leave by {sender.nic} encapsulated"
        )
    needed = received.rx_bytes + way.least_overhead * received.rx_packets
    if inside is None or inside.rx_bytes < needed:
        problems.append(f"{arrow}: {tunnel} received {received.rx_bytes} bytes, but not encapsulated by {receiver.nic}")
    seen.append(f"{arrow}: {tunnel} {sent.tx_bytes} B in {sent.tx_packets} packets, {sender.nic} {_tx(outside)} B")


def _tx(counters: Counters | None) -> int:
    return counters.tx_bytes if counters else 0


def _check_size(cell: Cell, sender: Span, payload: int, arrow: str, problems: list[str]) -> None:
    """Read the segment size back: payload over TcpOutSegs, which counts each segment of a GSO burst.

    Pure ACKs only lower it, so too small proves nothing, but too large does: the sender was not limited.
    """
    segments = sender.endpoint("TcpOutSegs")
    largest = cell.mtu - TCP_HEADER_BYTES
    if cell.protocol == "tcp" and segments and payload / segments > largest * SIZE_TOLERANCE:
        problems.append(
            f"{arrow}: segments carried {payload / segments:.0f} bytes on average, "
            f"but an MTU of {cell.mtu} allows {largest}"
        )


def path_state(cell: Cell, way: Way, client: Span, server: Span, measured: Measurement) -> str:
    """Return what happened to full-size packets: `whole`, `clamped to N`, `outer-fragmented`, and so on."""
    senders = [(client, server), (server, client)]
    if cell.direction is not Direction.BIDIR and cell.tool != "ping":
        senders = senders[:1] if cell.direction is Direction.FORWARD else senders[1:]
    if measured.ping_lost_ratio == 1.0 or (measured.goodput_bps == 0 and cell.mtu > way.path_mtu):
        return "black-holed"
    states = [_state_of(cell, way, sender, receiver) for sender, receiver in senders]
    return next((state for state in states if state != "whole"), "whole")


def _state_of(cell: Cell, way: Way, sender: Span, receiver: Span) -> str:
    device = sender.device(way.tunnel or sender.nic)
    packets = max(device.tx_packets, 1) if device else 1
    # Fragments of the outer packet are put together by the receiving node, those of the inner one by its endpoint.
    outer_limit = way.nic_mtu - way.overhead
    fragmented = packets * FRAGMENTED_RATIO
    cut_and_joined = min(sender.node("IpFragCreates"), receiver.node("IpReasmOKs")) >= fragmented
    if cut_and_joined and way.path_mtu > outer_limit:
        return "outer-fragmented"
    if receiver.endpoint("IpReasmOKs") >= fragmented and way.kind is not Kind.UNDERLAY:
        return "inner-fragmented"
    if sender.after.route_mtu is not None and sender.after.route_mtu < cell.mtu:
        return f"clamped to {sender.after.route_mtu}"
    return "whole"


def _both_ways(counters: Counters | None) -> int | None:
    return counters.tx_bytes + counters.rx_bytes if counters else None
