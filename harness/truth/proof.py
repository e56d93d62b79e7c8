"""Did the bytes take the way that the profile claims? Counters before and after a trial give the answer. Pure.

For each direction in which data flowed, a tunnel trial is proven when on both nodes

- the tunnel device carried at least what the receiver got: tunnel bytes >= payload, and
- the NIC carried that and the encapsulation around it: NIC bytes >= tunnel bytes + overhead x tunnel packets.

The kernel counts a GSO burst as one packet on either device, so the overhead is a lower bound. A trial of any other
kind is proven when no tunnel carried more than stray packets and the NIC carried the payload.

A path that was found may have a tunnel without a device to count at. Then it is proven by less: that the NIC carried
the payload, in the headers that a capture before the run showed. The evidence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.path import BLACK_HOLED, WHOLE, Claim, Fate, Kind, PathState
from harness.model.readings import Counters, Span
from harness.model.trial import Cell, Direction, Measured

STRAY_RATIO = 0.01
"""Share of the payload that may cross a tunnel that should be idle: neighbour discovery, late retransmissions."""
STRAY_BYTES = 20_000
FRAGMENTED_RATIO = 0.1
"""Fragments for each packet above which a path counts as fragmenting; a few come before TCP has learned the MTU."""
SIZE_TOLERANCE = 1.01
TCP_HEADER_BYTES = 40


@dataclass(frozen=True)
class Proof:
    """The verdict on one trial: `proven`, what was seen, and the bytes of the tunnel (or NIC) and of the NIC."""

    proven: bool
    evidence: str
    path_state: PathState
    inner_bytes: int | None
    outer_bytes: int | None


def judge(cell: Cell, claim: Claim, client: Span, server: Span, measured: Measured) -> Proof:
    """Return the proof of one measured trial."""
    problems: list[str] = []
    seen: list[str] = []
    for sender, receiver, payload, arrow in _flows(cell, client, server, measured):
        _check_nic(sender, receiver, payload, arrow, problems)
        for other in claim.other_tunnels:
            _check_idle(other, sender, receiver, payload, arrow, problems)
        if claim.kind is Kind.TUNNEL and claim.tunnel is None:
            sent = sender.device(sender.nic)
            seen.append(f"{arrow}: {sender.nic} {_tx(sent)} B; no device counts the tunnel, {claim.seen}")
        elif claim.kind is Kind.TUNNEL:
            _check_tunnel(claim, sender, receiver, payload, arrow, problems, seen)
    for sender, segmented, arrow in _segmented(client, server, measured):
        _check_size(cell, sender, segmented, arrow, problems)
    carried = client.device(claim.tunnel or client.nic)
    nic = client.device(client.nic)
    return Proof(
        proven=not problems,
        evidence="; ".join(problems or seen) or _untunnelled(claim, client.nic),
        path_state=path_state(cell, claim, client, server, measured),
        inner_bytes=_both_ways(carried),
        outer_bytes=_both_ways(nic),
    )


def _untunnelled(claim: Claim, nic: str) -> str:
    """Return what is known of a path without a tunnel; where one was found, no tunnel beside it has to be idle."""
    if claim.seen:
        return f"{nic} carried it; {claim.seen}"
    return f"{nic} carried it, no tunnel did" if claim.other_tunnels else f"{nic} carried it"


def _flows(cell: Cell, client: Span, server: Span, measured: Measured) -> Sequence[tuple[Span, Span, int, str]]:
    """Return sender, receiver, payload bytes and an arrow for each direction in which data flowed, or was to flow."""
    forward = (client, server, measured.payload_forward_bytes, "client -> server")
    reverse = (server, client, measured.payload_reverse_bytes, "server -> client")
    if measured.is_silent:
        return {Direction.FORWARD: (forward,), Direction.REVERSE: (reverse,)}.get(cell.direction, (forward, reverse))
    return tuple(flow for flow in (forward, reverse) if flow[2])


def _segmented(client: Span, server: Span, measured: Measured) -> Sequence[tuple[Span, int, str]]:
    """Return sender, bytes in TCP segments and an arrow for each direction that had any."""
    both = (
        (client, measured.tcp_forward_bytes, "client -> server"),
        (server, measured.tcp_reverse_bytes, "server -> client"),
    )
    return tuple(one for one in both if one[1])


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
    claim: Claim, sender: Span, receiver: Span, payload: int, arrow: str, problems: list[str], seen: list[str]
) -> None:
    """Check one direction of a tunnel trial: through the tunnel on both nodes, encapsulated on the NIC."""
    tunnel = claim.tunnel or ""
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
    needed = sent.tx_bytes + claim.least_overhead * sent.tx_packets
    if outside is None or outside.tx_bytes < needed:
        problems.append(
            f"{arrow}: {tunnel} sent {sent.tx_bytes} bytes, but they did not leave by {sender.nic} encapsulated"
        )
    needed = received.rx_bytes + claim.least_overhead * received.rx_packets
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
    if segments and payload / segments > largest * SIZE_TOLERANCE:
        problems.append(
            f"{arrow}: segments carried {payload / segments:.0f} bytes on average, "
            f"but an MTU of {cell.mtu} allows {largest}"
        )


def path_state(cell: Cell, claim: Claim, client: Span, server: Span, measured: Measured) -> PathState:
    """Return what happened to full-size packets: the first of both directions that is not `whole`."""
    is_echo = measured.figures.get("ping_lost_ratio") is not None
    if measured.is_silent and (is_echo or cell.mtu > claim.path_mtu):
        return BLACK_HOLED
    flows = _flows(cell, client, server, measured)
    states = [_state_of(cell, claim, sender, receiver) for sender, receiver, _, _ in flows]
    return next((state for state in states if state != WHOLE), WHOLE)


def _state_of(cell: Cell, claim: Claim, sender: Span, receiver: Span) -> PathState:
    device = sender.device(claim.tunnel or sender.nic)
    packets = max(device.tx_packets, 1) if device else 1
    # Fragments of the outer packet are put together by the receiving node, those of the inner one by its endpoint; a
    # node that tracks connections puts these together before it, and cuts them again.
    fragmented = packets * FRAGMENTED_RATIO
    inside = receiver.endpoint("IpReasmOKs")
    outside = min(sender.node("IpFragCreates"), receiver.node("IpReasmOKs") - inside)
    if cell.mtu + claim.overhead > claim.nic_mtu and outside >= fragmented and outside > inside:
        return PathState(Fate.OUTER_FRAGMENTED)
    if inside >= fragmented and claim.kind is not Kind.UNDERLAY:
        return PathState(Fate.INNER_FRAGMENTED)
    learned = sender.after.route_mtu
    return PathState(Fate.CLAMPED, learned) if learned is not None and learned < cell.mtu else WHOLE


def _both_ways(counters: Counters | None) -> int | None:
    return counters.tx_bytes + counters.rx_bytes if counters else None
