"""Edges of the judgements in harness/truth, exactly: what is just enough, and what is just not; and words of errors."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from harness.model.errors import InputError, ToolError
from harness.model.path import BLACK_HOLED, WHOLE, Claim, Fate, PathState
from harness.model.readings import Counters
from harness.model.trial import Cell, Direction, Measured
from harness.truth import added, changes, cpu, hashing, nested, power, proof, shares, stats, student, verdicts, wire
from harness.truth.added import Added
from harness.truth.shares import Difference
from harness.truth.stats import MOST_BLOCKS, Moments, Ratio
from harness.truth.verdicts import Place, Question, Verdict
from tests.unit.test_cpu import Node
from tests.unit.test_proof import (
    ECHOES,
    FORWARD,
    HOST_GW,
    NIC,
    PING,
    TUNNEL,
    UDP,
    UNDERLAY,
    VXLAN,
    Moved,
    both,
    rx,
    tcp,
    tx,
)

# ---- words, and lengths that do not match


@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        (lambda: added.paired_added([], []), "no values to compare"),
        (lambda: shares.paired_difference([], [], (1, 1)), "no values to compare"),
        (lambda: nested.nested_difference([], [], [], (1, 1)), "no values to compare"),
        (lambda: stats.log_ratios([], []), "no values to compare"),
        (lambda: stats.percentiles([], [50]), "no samples"),
        (lambda: stats.percentiles([1.0], [101]), "percentile 101 is not within 0 to 100"),
        (lambda: stats.log_ratios([0.0], [1.0]), "0.0 has no logarithm: only positive values can be compared"),
        (lambda: power.least_told(0.1, 1), "1 block(s) tell nothing: there is no scatter"),
        (lambda: student.quantile(0.5, 0.9), "no quantile of 0.9 with 0.5 degrees of freedom"),
    ],
)
def test_what_cannot_be_computed_is_said(refuses: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError) as raised:
        refuses()
    assert str(raised.value) == words


@pytest.mark.parametrize(
    "refuses",
    [
        lambda: added.paired_added([1.0, 2.0], [1.0]),
        lambda: shares.paired_difference([0.1, 0.2], [0.1], (9, 9)),
        lambda: nested.nested_difference([0.1, 0.2], [0.1], [1, 2], (9, 9)),
        lambda: nested.nested_difference([0.1, 0.2], [0.1, 0.2], [1], (9, 9)),
        lambda: stats.log_ratios([1.0, 2.0], [1.0]),
        lambda: hashing.split_of([hashing.FiveTuple("10.0.0.1", "10.0.0.2", 6, 1, 2)], [1.0, 2.0], 2),
    ],
)
def test_what_does_not_belong_together_is_refused(refuses: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        refuses()


# ---- CPU time


def test_cpus_that_come_and_go_are_said() -> None:
    span = Node().span()
    fewer = replace(span, after=replace(span.after, idle_cpus_s=span.after.idle_cpus_s[:1]))
    with pytest.raises(ToolError) as raised:
        cpu.usage(fewer)
    assert str(raised.value) == "a CPU was switched on or off in the middle of the trial"


def test_edges_of_cpu_time() -> None:
    assert cpu.usage(Node(foreign_s=cpu.ROUNDING_S).span()).busy_s is None, "as much as rounding is too much"
    assert cpu.usage(Node(foreign_s=cpu.ROUNDING_S / 2).span()).busy_s == 0.0
    short = Node(clock_s=0.5, uptime_s=0.5, idle_s=(0.25, 0.5), stolen_s=0.125)
    assert cpu.usage(short.span()).busiest_ratio == 0.5
    assert cpu.usage(short.span()).stolen_ratio == 0.125
    span = Node(clock_s=0.0, uptime_s=0.0, idle_s=(0.0,), tools_s=1.0).span()
    assert cpu.usage(replace(span, before=replace(span.before, tools_cpu_s=None))).tools_s is None
    assert cpu.usage(span).tools_s == 1.0
    assert cpu.usage(span).stolen_ratio == cpu.usage(span).busiest_ratio == 0.0, "no time has passed"
    at_zero = replace(span.before, clock_s=0.0, uptime_s=0.0)
    stepped = replace(span, before=at_zero, after=replace(span.after, clock_s=cpu.CLOCK_STEP_S, uptime_s=0.0))
    assert cpu.usage(stepped).busy_s == cpu.CLOCK_STEP_S, "just as far apart as both may be"


# ---- proof


SEGMENTS, PAYLOAD = 1000, 1_398_000
ONE_WAY = Measured({"goodput_bps": 5e8}, payload_forward_bytes=PAYLOAD, tcp_forward_bytes=PAYLOAD)
SENT = {"TcpOutSegs": SEGMENTS}


def judged(
    claim: Claim, client: Moved, server: Moved, cell: Cell = FORWARD, measured: Measured = ONE_WAY
) -> proof.Proof:
    return proof.judge(cell, claim, client.span(), server.span(), measured)


@pytest.mark.parametrize(
    ("sent", "received", "proven"),
    [(0, 0, True), (-1, 0, False), (0, -1, False)],
)
def test_a_nic_has_to_carry_the_payload_to_the_byte(sent: int, received: int, proven: bool) -> None:
    made = judged(HOST_GW, Moved(nic=tx(PAYLOAD + sent), endpoint=SENT), Moved(nic=rx(PAYLOAD + received)))
    assert made.proven is proven, made.evidence
    if not proven:
        wanted = f"{PAYLOAD} bytes arrived, but {NIC} sent {PAYLOAD + sent} and received {PAYLOAD + received}"
        assert made.evidence == f"client -> server: {wanted}"


@pytest.mark.parametrize(("client", "server"), [(None, rx(PAYLOAD)), (tx(PAYLOAD), None), (None, None)])
def test_a_nic_that_is_gone_is_said(client: Counters | None, server: Counters | None) -> None:
    sender, receiver = Moved(nic=client, endpoint=SENT).span(), Moved(nic=server).span()
    sender, receiver = replace(sender, nic=NIC), replace(receiver, nic="eth9" if server is None else NIC)
    made = proof.judge(FORWARD, HOST_GW, sender, receiver, ONE_WAY)
    assert made.evidence == f"{NIC if client is None else 'eth9'} is gone"
    assert not made.proven


INNER_PACKETS = 100
INNER_SIZE = PAYLOAD + 66 * SEGMENTS
NEEDED = INNER_SIZE + 50 * INNER_PACKETS


@pytest.mark.parametrize(
    ("client", "server", "evidence"),
    [
        (Moved(tx(PAYLOAD, 9), tx(PAYLOAD + 450), endpoint=SENT), Moved(rx(PAYLOAD, 9), rx(PAYLOAD + 450)), None),
        (Moved(tx(PAYLOAD - 1, 9), tx(NEEDED), endpoint=SENT), Moved(rx(PAYLOAD, 9), rx(NEEDED)), "went around"),
        (Moved(tx(PAYLOAD, 9), tx(NEEDED), endpoint=SENT), Moved(rx(PAYLOAD - 1, 9), rx(NEEDED)), "went around"),
        (
            Moved(tx(INNER_SIZE, INNER_PACKETS), tx(NEEDED - 1), endpoint=SENT),
            Moved(rx(INNER_SIZE, INNER_PACKETS), rx(NEEDED)),
            f"client -> server: {TUNNEL} sent {INNER_SIZE} bytes, but they did not leave by {NIC} encapsulated",
        ),
        (
            Moved(tx(INNER_SIZE, INNER_PACKETS), tx(NEEDED), endpoint=SENT),
            Moved(rx(INNER_SIZE, INNER_PACKETS), rx(NEEDED - 1)),
            f"client -> server: {TUNNEL} received {INNER_SIZE} bytes, but not encapsulated by {NIC}",
        ),
    ],
)
def test_a_tunnel_has_to_carry_it_and_the_nic_its_headers(client: Moved, server: Moved, evidence: str | None) -> None:
    made = judged(VXLAN, client, server)
    assert made.proven is (evidence is None), made.evidence
    assert evidence is None or evidence in made.evidence


def test_a_tunnel_that_is_gone_is_named() -> None:
    made = judged(VXLAN, Moved(None, tx(NEEDED), endpoint=SENT), Moved(rx(INNER_SIZE), rx(NEEDED)))
    assert made.evidence == f"{TUNNEL} is gone"


@pytest.mark.parametrize(
    ("client", "server", "crossed"),
    [
        (tx(proof.STRAY_BYTES, 9), rx(0, 0), None),
        (tx(proof.STRAY_BYTES + 1, 9), rx(0, 0), proof.STRAY_BYTES + 1),
        (tx(0, 0), rx(proof.STRAY_BYTES + 1, 9), proof.STRAY_BYTES + 1),
        (None, rx(proof.STRAY_BYTES + 1, 9), proof.STRAY_BYTES + 1),
        (tx(proof.STRAY_BYTES + 1, 9), None, proof.STRAY_BYTES + 1),
        (None, None, None),
    ],
)
def test_an_idle_tunnel_may_carry_so_much(
    client: Counters | None, server: Counters | None, crossed: int | None
) -> None:
    made = judged(HOST_GW, Moved(client, tx(PAYLOAD), endpoint=SENT), Moved(server, rx(PAYLOAD)))
    assert made.proven is (crossed is None)
    if crossed is not None:
        assert made.evidence == (f"client -> server: {crossed} bytes crossed {TUNNEL}, which this profile does not use")


def test_of_much_payload_a_hundredth_may_cross() -> None:
    much = Measured({}, payload_forward_bytes=100 * PAYLOAD, tcp_forward_bytes=0)
    stray = PAYLOAD
    assert judged(HOST_GW, Moved(tx(stray, 9), tx(100 * PAYLOAD)), Moved(nic=rx(100 * PAYLOAD)), measured=much).proven
    over = judged(HOST_GW, Moved(tx(stray + 1, 9), tx(100 * PAYLOAD)), Moved(nic=rx(100 * PAYLOAD)), measured=much)
    assert not over.proven


@pytest.mark.parametrize(("payload", "proven"), [(1_424_080, True), (1_424_081, False)])
def test_segments_may_be_a_hundredth_larger_on_average(payload: int, proven: bool) -> None:
    """1410 bytes are allowed at an MTU of 1450, and 1424.1 by rounding."""
    measured = Measured({}, payload_forward_bytes=payload, tcp_forward_bytes=payload)
    sent = {"TcpOutSegs": 1000}
    made = judged(HOST_GW, Moved(nic=tx(2 * payload), endpoint=sent), Moved(nic=rx(2 * payload)), measured=measured)
    assert made.proven is (payload / 1000 <= 1410 * proof.SIZE_TOLERANCE)
    assert proven or made.proven or "segments carried 1424 bytes on average" in made.evidence


FOUND = replace(VXLAN, tunnel=None, other_tunnels=(), seen="captured: …")
PACKETS = 1000


def by_headers(sent: int, received: int, packets: int = PACKETS, dropped: int = 0, cell: Cell = UDP) -> proof.Proof:
    measured = Measured({}, payload_forward_bytes=PAYLOAD)
    server = Moved(nic=rx(received, packets), endpoint={"UdpRcvbufErrors": dropped})
    return judged(FOUND, Moved(nic=tx(sent, packets)), server, cell, measured)


LEAST = PAYLOAD + int(PACKETS * (14 + 50 + 28) * 0.9) - proof.STRAY_BYTES
MOST = int((PAYLOAD + PAYLOAD // (1450 - 72) * (14 + 50 + 72)) * 1.1) + proof.OTHERS_BYTES


@pytest.mark.parametrize(
    ("sent", "received", "words"),
    [
        (LEAST, PAYLOAD, None),
        (
            LEAST - 1,
            PAYLOAD,
            f"{NIC} sent {LEAST - 1} bytes, fewer than {LEAST}, which {PAYLOAD} bytes take in {PACKETS}",
        ),
        (LEAST, MOST, None),
        (LEAST, MOST + 1, f"disturbed: {NIC} received {MOST + 1} bytes, more than {MOST}, which {PAYLOAD} bytes take"),
    ],
)
def test_headers_that_were_captured_take_so_many_bytes(sent: int, received: int, words: str | None) -> None:
    made = by_headers(sent, received)
    assert made.proven is (words is None), made.evidence
    if words is None:
        assert made.evidence == f"client -> server: {NIC} {sent} B; no device counts the tunnel, captured: …"
    else:
        assert made.evidence.startswith(f"client -> server: {words}")
    if words and "disturbed" in words:
        assert made.evidence.endswith("a tenth and 1000000 of others': by which way they came is not told")


def test_bursts_take_headers_for_each_full_packet() -> None:
    """The NIC counts 10 bursts: what full packets of 1450 take is what may arrive."""
    full = PAYLOAD // (1450 - 72)
    most = int((PAYLOAD + full * (14 + 50 + 72)) * 1.1) + proof.OTHERS_BYTES
    assert by_headers(2 * PAYLOAD, most, packets=10).proven
    assert not by_headers(2 * PAYLOAD, most + 1, packets=10).proven
    tiny = Cell.of("iperf3", protocol="udp", mtu=73, flows=1)
    most = int((PAYLOAD + PAYLOAD * (14 + 50 + 72)) * 1.1) + proof.OTHERS_BYTES
    assert by_headers(2 * PAYLOAD, most, packets=10, cell=tiny).proven
    assert not by_headers(2 * PAYLOAD, most + 1, packets=10, cell=tiny).proven


def test_what_a_socket_dropped_had_arrived() -> None:
    arrived = PAYLOAD + 500 * 1450
    most = int((arrived + (arrived // 1378) * 136) * 1.1) + proof.OTHERS_BYTES
    assert by_headers(2 * PAYLOAD, most, packets=10, dropped=500).proven
    assert not by_headers(2 * PAYLOAD, most + 1, packets=10, dropped=500).proven


def test_of_nics_that_are_gone_nothing_else_is_said() -> None:
    measured = Measured({}, payload_forward_bytes=PAYLOAD)
    for client, server in ((None, rx(PAYLOAD)), (tx(2 * PAYLOAD), None)):
        made = judged(FOUND, Moved(nic=client), Moved(nic=server), UDP, measured)
        assert made.evidence == f"{NIC} is gone"


def test_what_carried_it_where_no_tunnel_did() -> None:
    moved = (Moved(nic=tx(PAYLOAD), endpoint=SENT), Moved(nic=rx(PAYLOAD)))
    assert judged(HOST_GW, *moved).evidence == f"{NIC} carried it, no tunnel did"
    assert judged(replace(HOST_GW, other_tunnels=()), *moved).evidence == f"{NIC} carried it"
    assert judged(replace(HOST_GW, other_tunnels=(), seen="found"), *moved).evidence == f"{NIC} carried it; found"


# ---- path states


SILENT = Measured({})
NO_ECHO = Measured({"ping_lost_ratio": 1.0})
FULL_UDP = Cell.of("iperf3", protocol="udp", mtu=1451, flows=1)


@pytest.mark.parametrize(
    ("cell", "measured", "state"),
    [
        (UDP, SILENT, WHOLE),
        (FULL_UDP, SILENT, BLACK_HOLED),
        (PING, NO_ECHO, BLACK_HOLED),
        (PING, ECHOES, WHOLE),
    ],
)
def test_silence_is_a_black_hole_of_echoes_or_of_what_does_not_fit(
    cell: Cell, measured: Measured, state: PathState
) -> None:
    """At the path's own MTU nothing need be too large."""
    nothing = Moved()
    assert proof.path_state(cell, VXLAN, nothing.span(), nothing.span(), measured) == state


def state(cell: Cell, claim: Claim, client: Moved, server: Moved) -> PathState:
    return proof.path_state(cell, claim, client.span(), server.span(), Measured({}, payload_forward_bytes=1))


NARROW = replace(VXLAN, path_mtu=1500)


@pytest.mark.parametrize(
    ("mtu", "created", "joined", "inside", "packets", "fate"),
    [
        (1451, 100, 100, 0, 1000, Fate.OUTER_FRAGMENTED),
        (1450, 100, 100, 0, 1000, None),
        (1451, 99, 99, 0, 1000, None),
        (1451, 99, 100, 0, 1000, None),
        (1451, 300, 300, 150, 1000, Fate.INNER_FRAGMENTED),
        (1451, 301, 301, 150, 1000, Fate.OUTER_FRAGMENTED),
        (1451, 0, 100, 100, 1000, Fate.INNER_FRAGMENTED),
        (1451, 0, 99, 99, 1000, None),
    ],
)
def test_fragments_count_from_a_tenth_of_the_packets(
    mtu: int, created: int, joined: int, inside: int, packets: int, fate: Fate | None
) -> None:
    client = Moved(tx(10**6, packets), tx(10**6, 7), node={"IpFragCreates": created})
    server = Moved(node={"IpReasmOKs": joined}, endpoint={"IpReasmOKs": inside})
    cell = Cell.of("iperf3", protocol="udp", mtu=mtu, flows=1)
    assert state(cell, NARROW, client, server) == (PathState(fate) if fate else WHOLE)


def test_without_a_device_that_counts_one_fragment_is_enough() -> None:
    cell = Cell.of("iperf3", protocol="udp", mtu=1450, flows=1)
    one = Moved(endpoint={"IpReasmOKs": 1})
    assert state(cell, VXLAN, Moved(None, None), one) == PathState(Fate.INNER_FRAGMENTED)
    assert state(cell, VXLAN, Moved(tx(0, 0), tx(0, 0)), one) == PathState(Fate.INNER_FRAGMENTED)
    ten, eleven = (Moved(nic=tx(10**6, count)) for count in (10, 11))
    assert state(cell, HOST_GW, ten, one) == PathState(Fate.INNER_FRAGMENTED)
    assert state(cell, HOST_GW, eleven, one) == WHOLE
    assert state(cell, UNDERLAY, ten, one) == WHOLE, "its packets are the outer ones"


def test_a_route_that_learned_less_is_clamped() -> None:
    cell = Cell.of("iperf3", protocol="udp", mtu=1450, flows=1)
    assert state(cell, HOST_GW, Moved(route_mtu=1449), Moved()) == PathState(Fate.CLAMPED, 1449)
    assert state(cell, HOST_GW, Moved(route_mtu=1450), Moved()) == WHOLE


def test_of_what_flowed_the_directions_are_told() -> None:
    """A trial in which nothing arrived is judged in the direction that it was to have."""
    gone = Moved(nic=None)
    there = Moved(nic=both(10**6))
    for direction, sides in (("forward", 1), ("reverse", 1), ("bidir", 2)):
        made = proof.judge(tcp(Direction(direction)), HOST_GW, gone.span(), there.span(), SILENT)
        assert made.evidence.count("is gone") == sides


# ---- differences


def test_added_is_exact() -> None:
    assert added.paired_added([3.0], [1.0]) == Added(2.0, None, None)
    assert Added(1.0, None, 3.0).interval() is None
    assert Added(1.0, 0.5, None).interval() is None
    made = added.paired_added([1.0, 1.0], [0.0, 0.0], steps=(3.0, 4.0))
    assert made.error == pytest.approx(5 / math.sqrt(12) / math.sqrt(2))
    assert made.freedom == 1


def test_differences_of_shares_are_exact() -> None:
    assert shares.paired_difference([0.5], [0.25], (9, 9)) == Difference(0.25, None, None, 1)
    assert nested.nested_difference([0.5, 0.7], [0.1, 0.1], [1, 2], (1e9, 1e9)).difference == pytest.approx(0.5)
    assert shares.least_error([(0.0, 10.0)]) == pytest.approx(math.sqrt((1 / 12) * (11 / 12) / 12))
    assert shares.least_error([(0.5, 8.0), (1.0, 2.0)]) == pytest.approx(math.sqrt(0.25 / 10 + 0.75 * 0.25 / 4))
    assert shares.least_error([(2.0, 10.0), (-1.0, 10.0)]) == 0.0, "no more than all, and no less than nothing"
    assert shares.of_arms([0.25, 0.75], [0.5, 1.0], (3, 4)) == [(0.5, 3), (0.75, 4)]


def test_a_difference_of_shares_stays_within_all_and_nothing() -> None:
    interval = Difference(0.0, 1.0, 5, 6).interval()
    assert interval is not None
    assert (interval.low, interval.high) == (-1.0, 1.0)


def test_differences_of_two_runs_are_welchs() -> None:
    after, before = Moments(4, 0.75, 0.04), Moments(9, 0.25, 0.09)
    made = shares.welch_difference(after, before, 0.0)
    error, freedom = stats.welch_error(after, before)
    assert error == pytest.approx(math.sqrt(0.01 + 0.01))
    assert freedom == pytest.approx(0.02**2 / (0.01**2 / 3 + 0.01**2 / 8))
    assert made == Difference(0.5, error, freedom, 4)
    assert shares.welch_difference(after, before, 0.5).error == 0.5
    assert shares.welch_difference(Moments(1, 0.75, None), before, 0.5) == Difference(0.5, None, None, 1)
    assert stats.welch_error(Moments(1, 0.3, None), before) == stats.welch_error(before, Moments(1, 0.3, None))
    assert stats.welch_error(Moments(3, 1.0, 0.0), Moments(5, 1.0, 0.0)) == (0.0, 6.0)


def test_moments_need_two_for_a_variance() -> None:
    assert stats.moments_of([2.0]) == Moments(1, 2.0, None)
    assert stats.moments_of([1.0, 3.0]) == Moments(2, 2.0, 2.0)


# ---- how many blocks


def counted(distance: float, estimate: Ratio, alpha: float) -> int | None:
    """Return how many blocks tell, by trying each number."""
    assert estimate.error is not None
    assert estimate.freedom is not None
    scatter, freedom = estimate.error * math.sqrt(estimate.n), estimate.freedom / max(estimate.n - 1, 1)
    for blocks in range(estimate.n + 1, MOST_BLOCKS + 1):
        if stats.student(freedom * (blocks - 1), alpha) * scatter / math.sqrt(blocks) < distance:
            return blocks
    return None


@pytest.mark.parametrize("distance", [1e-9, 0.0101, 0.02, 0.03, 0.05, 0.2, 9.0])
@pytest.mark.parametrize("estimate", [Ratio(1.0, 0.02, 1, 2), Ratio(1.0, 0.05, 5, 6), Ratio(1.0, 0.1, 3.5, 8)])
def test_blocks_are_the_first_number_that_tells(distance: float, estimate: Ratio) -> None:
    assert stats.blocks_for(distance, estimate, 0.05) == counted(distance, estimate, 0.05)


def test_blocks_have_an_upper_end() -> None:
    estimate = Ratio(1.0, 0.1, 5, 6)
    scatter = 0.1 * math.sqrt(6)

    def reach(blocks: int) -> float:
        return stats.student(blocks - 1, 0.05) * scatter / math.sqrt(blocks)

    assert stats.blocks_for(reach(MOST_BLOCKS) * (1 + 1e-9), estimate, 0.05) == MOST_BLOCKS
    assert stats.blocks_for(reach(MOST_BLOCKS), estimate, 0.05) is None, "as wide as the distance is too wide"
    assert stats.blocks_for(reach(MOST_BLOCKS + 1) * (1 + 1e-9), estimate, 0.05) is None


@pytest.mark.parametrize(
    "estimate",
    [Ratio(1.0, None, 5, 6), Ratio(1.0, 0.0, 5, 6), Ratio(1.0, 0.1, None, 6), Ratio(1.0, 0.1, 0, 6)],
)
def test_no_number_of_blocks_tells_without_an_error(estimate: Ratio) -> None:
    assert stats.blocks_for(0.1, estimate, 0.05) is None


def test_no_number_of_blocks_tells_what_lies_on_the_edge() -> None:
    assert stats.blocks_for(0.0, Ratio(1.0, 0.1, 5, 6), 0.05) is None
    assert stats.blocks_for(-0.1, Ratio(1.0, 0.1, 5, 6), 0.05) is None


@pytest.mark.parametrize("margin", [1.0, 1.5, 2.5])
def test_a_margin_of_everything_is_never_told(margin: float) -> None:
    assert Ratio(2.0, 0.001, 5, 6).blocks_to_tell(1.0, margin, 0.05) is None


def test_distances_are_to_the_nearest_edge() -> None:
    ratio = Ratio(0.93, 0.02, 5, 6)
    nearest = abs(math.log(0.93 / (0.9 * 1.01)))
    assert ratio.blocks_to_tell(0.9, 0.01, 0.05) == counted(nearest, ratio, 0.05)
    difference = Difference(0.03, 0.02, 5, 6)
    assert [*difference.edges(0.05, 0.01)] == pytest.approx([0.04, 0.06])
    like = Ratio(1.0, 0.02, 5, 6)
    assert difference.blocks_to_tell(0.05, 0.01, 0.05) == counted(0.01, like, 0.05)


def test_power_is_found_at_its_edges() -> None:
    for blocks in (verdicts.MIN_BLOCKS, 7, 40, 333, MOST_BLOCKS):
        needed = power.blocks_for(0.01, power.least_told(0.01, blocks))
        assert needed == blocks
        assert isinstance(needed, int)
    assert power.blocks_for(0.01, power.least_told(0.01, MOST_BLOCKS) * (1 - 1e-9)) is None
    assert power.blocks_for(0.01, 5.0) == verdicts.MIN_BLOCKS


# ---- changes


def test_an_offset_makes_no_change() -> None:
    dice = random.Random(3)  # noqa: S311 - a reproducible series, not a secret
    for place in (8, 15, 23):
        values = [dice.gauss(0, 0.2) + (number >= place) for number in range(30)]
        for offset in (0.0, 5.0, -40.0):
            moved = [value + offset for value in values]
            explained = max(
                range(changes.LEAST_SIDE, 30 - changes.LEAST_SIDE + 1),
                key=lambda at, moved=moved: (  # type: ignore[misc]
                    at * (statistics.fmean(moved[:at]) - statistics.fmean(moved)) ** 2
                    + (30 - at) * (statistics.fmean(moved[at:]) - statistics.fmean(moved)) ** 2
                ),
            )
            assert changes.change(moved) == explained


def test_the_level_holds_for_every_part() -> None:
    values = [0.0, 2.0, 1.0, 3.0, 2.0, 4.0]
    assert changes.changes(values, 0.0706 * 3) == (3,)
    assert changes.changes(values, 0.0704 * 3) == ()


def test_changes_on_both_sides_of_one_are_found() -> None:
    dice = random.Random(5)  # noqa: S311 - a reproducible series, not a secret
    levels = [0.0] * 15 + [1.0] * 15 + [3.0] * 15 + [4.0] * 15
    assert changes.changes([level + dice.gauss(0, 0.1) for level in levels]) == (15, 30, 45)


def test_a_step_that_is_rounding_is_none() -> None:
    assert changes.changes([1e9] * 4 + [1e9 + 1e-7] * 4) == ()
    assert changes.changes([1e9] * 4 + [1e9 + 1e-2] * 4) == (4,)


# ---- wire


ESP = ["ipv4", "esp", "udp", "vxlan", "ethernet"]


@pytest.mark.parametrize("size", range(60, 76))
def test_esp_fills_up_to_four_bytes(size: int) -> None:
    sealed = 8 + 8 + 14 + wire.padded(size, ESP, 1400) + 2
    assert sealed % 4 == 0
    assert 0 <= wire.padded(size, ESP, 1400) - size < 4


@pytest.mark.parametrize("nic_mtu", range(1498, 1506))
def test_the_largest_packet_in_esp_fits_and_the_next_does_not(nic_mtu: int) -> None:
    most = wire.largest(nic_mtu, ESP)
    fits = [size for size in range(1300, 1500) if wire.padded(size, ESP, nic_mtu) + wire.overhead(ESP) <= nic_mtu]
    assert most == max(fits)
    assert wire.largest(nic_mtu, ["ipv4", "udp", "vxlan", "ethernet"]) == nic_mtu - 50


def test_payload_of_one_byte_is_one() -> None:
    assert wire.payload(29, "udp") == 1
    with pytest.raises(InputError, match=r"^MTU 28 has no room for udp payload$"):
        wire.payload(28, "udp")


def test_fragments_at_their_edges() -> None:
    assert wire.fragment_sizes(1500, 1500) == [1500]
    assert wire.fragment_sizes(1501, 1500) == [1500, 21]
    assert wire.fragment_sizes(40, 28) == [28, 28, 24]
    with pytest.raises(InputError, match=r"^MTU 27 has no room for fragments$"):
        wire.fragment_sizes(40, 27)


def test_what_stands_in_a_stream_counts_alone() -> None:
    assert wire.least_overhead(["ipv4", "tcp", "openvpn_length"]) == 2
    assert wire.least_overhead(["ipv4", "tcp", "tcp_timestamps", "openvpn_length"]) == 2
    assert wire.least_overhead(["ipv4", "udp", "wireguard"]) == 28


def test_a_tunnels_own_mtu_says_where_packets_are_cut() -> None:
    vxlan = ["ipv4", "udp", "vxlan", "ethernet"]
    cut = PathState(Fate.INNER_FRAGMENTED)
    assert wire.wire_packets(1500, vxlan, 1500, cut, 700) == [size + 50 for size in wire.fragment_sizes(1500, 700)]
    narrow, usual = (wire.efficiency("udp", 1500, vxlan, 1500, cut, tunnel) for tunnel in (700, None))
    assert narrow is not None
    assert usual is not None
    own = wire.fragment_sizes(1500, 700)
    assert narrow == pytest.approx(1472 / sum(wire.l1_bytes(size + 50) for size in own))
    assert usual == pytest.approx(1472 / sum(wire.l1_bytes(size + 50) for size in wire.fragment_sizes(1500, 1450)))
    assert narrow != usual
    fat = ["ipv4", "udp", "wireguard"]
    outer = wire.wire_packets(1421, fat, 1400, PathState(Fate.OUTER_FRAGMENTED), 1422)
    assert outer == wire.fragment_sizes(1422 + 60, 1400)


# ---- verdicts


PLACES: Mapping[Place, tuple[float, float]] = {
    Place.BELOW: (0.9, 0.98),
    Place.WITHIN: (0.99, 1.01),
    Place.ABOVE: (1.02, 1.1),
    Place.OPEN: (0.98, 1.0),
}


@pytest.mark.parametrize("place", PLACES)
def test_where_an_interval_lies(place: Place) -> None:
    question = Question(Ratio(1.0, 0.01, 5, 6))
    assert verdicts.place_of(question, stats.Interval(*PLACES[place]), 0.01) is place
    edges: Sequence[tuple[tuple[float, float], Place]] = [
        ((0.9, 0.99), Place.OPEN),
        ((1.01, 1.2), Place.OPEN),
        ((0.99, 1.0100001), Place.OPEN),
        ((0.9899999, 1.01), Place.OPEN),
    ]
    assert all(verdicts.place_of(question, stats.Interval(*edge), 0.01) is wanted for edge, wanted in edges)
    assert verdicts.place_of(question, None, 0.01) is Place.OPEN


def test_what_it_means_is_told_by_what_is_better() -> None:
    told = {
        place: [verdicts.verdict_of(place, higher_is_better=better) for better in (True, False)] for place in PLACES
    }
    assert told == {
        Place.BELOW: [Verdict.WORSE, Verdict.BETTER],
        Place.WITHIN: [Verdict.SAME, Verdict.SAME],
        Place.ABOVE: [Verdict.BETTER, Verdict.WORSE],
        Place.OPEN: [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE],
    }
    moved = [verdicts.movement_of(place) for place in (Place.BELOW, Place.WITHIN, Place.ABOVE, Place.OPEN)]
    assert moved == [Verdict.MOVED, Verdict.SAME, Verdict.MOVED, Verdict.INCONCLUSIVE]


def test_too_little_is_refused_by_what_is_missing() -> None:
    few, enough = verdicts.MIN_BLOCKS - 1, verdicts.MIN_BLOCKS
    assert [verdicts.refusal(count) for count in (0, 1, few, enough)] == [
        Verdict.NO_FIGURE, Verdict.NOT_ENOUGH_BLOCKS, Verdict.NOT_ENOUGH_BLOCKS, None,
    ]  # fmt: skip
    runs = [verdicts.refusal_of_runs(count) for count in (0, verdicts.MIN_RUNS - 1, verdicts.MIN_RUNS)]
    assert runs == [Verdict.NO_FIGURE, Verdict.NOT_ENOUGH_RUNS, None]
    setups = [nested.refusal(count) for count in (nested.MIN_SETUPS - 1, nested.MIN_SETUPS)]
    assert setups == [Verdict.NOT_ENOUGH_SETUPS, None]


def test_answers_have_the_level_of_their_family() -> None:
    clear, open_ = Question(Ratio(0.5, 0.001, 9, 10)), Question(Ratio(1.01, 0.1, 9, 10))
    made = verdicts.answers([clear, None, open_, open_], 0.01)
    assert made[1] is None
    first, last = made[0], made[3]
    assert first is not None
    assert last is not None
    assert (first.place, first.blocks, last.place) == (Place.BELOW, None, Place.OPEN)
    assert [first.alpha, last.alpha] == pytest.approx([0.05 / 3] * 2)
    assert last.blocks == open_.estimate.blocks_to_tell(1.0, 0.01, 0.05 / 3)
    assert first.interval == clear.estimate.interval(0.05 / 3)
    (alone,) = verdicts.answers([open_], 0.01)
    assert alone is not None
    assert alone.alpha == pytest.approx(0.05)
    assert verdicts.answers([], 0.01) == []
    assert verdicts.answers([None], 0.01) == [None]
    (target,) = verdicts.answers([Question(Ratio(0.5, 0.0001, 9, 10), 0.5)], 0.01)
    assert target is not None
    assert target.place is Place.WITHIN
