"""Which way the bytes went: counters of both nodes in, verdict out, one row a case."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from harness.model.path import WHOLE, Claim, Kind, PathState
from harness.model.readings import Counters, Reading, Span
from harness.model.trial import Cell, Direction, Measured
from harness.truth.proof import Proof, judge, path_state

TUNNEL, OTHER, NIC = "vxlan_docker", "flannel.1", "ens33"
VXLAN = Claim(Kind.TUNNEL, TUNNEL, (OTHER,), overhead=50, least_overhead=50, path_mtu=1450, nic_mtu=1500)
VXLAN_1500 = Claim(Kind.TUNNEL, TUNNEL, (OTHER,), overhead=50, least_overhead=50, path_mtu=1500, nic_mtu=1500)
OVER_TCP = Claim(
    Kind.TUNNEL, TUNNEL, (OTHER,), overhead=54, least_overhead=2, path_mtu=1446, nic_mtu=1500
)  # several inner packets share a segment's headers
UNDERLAY = Claim(Kind.UNDERLAY, None, (TUNNEL, OTHER), overhead=0, least_overhead=0, path_mtu=1500, nic_mtu=1500)
HOST_GW = Claim(Kind.ROUTED, None, (TUNNEL, OTHER), overhead=0, least_overhead=0, path_mtu=1500, nic_mtu=1500)

PAYLOAD = 139_800_000
SEGMENTS = 100_000  # of 1398 bytes, what fits an MTU of 1450 with timestamps
BURSTS = 4_000  # the kernel counts a GSO burst as one packet
INNER = PAYLOAD + SEGMENTS * 66
OUTER = INNER + BURSTS * 50
SENT = {"TcpOutSegs": SEGMENTS}
STARTED = Counters(1_000_000, 5_000, 2_000_000, 6_000)
NOTHING = Counters(0, 0, 0, 0)


def tx(size: int, packets: int = BURSTS) -> Counters:
    return Counters(0, 0, size, packets)


def rx(size: int, packets: int = BURSTS) -> Counters:
    return Counters(size, packets, 0, 0)


def both(size: int, packets: int = BURSTS) -> Counters:
    return Counters(size, packets, size, packets)


@dataclass(frozen=True)
class Moved:
    """How far a node's counters went in a trial, and its route cache after it."""

    tunnel: Counters | None = NOTHING
    nic: Counters | None = NOTHING
    other: Counters | None = NOTHING
    node: Mapping[str, int] = field(default_factory=dict)
    endpoint: Mapping[str, int] = field(default_factory=dict)
    route_mtu: int | None = None

    def span(self) -> Span:
        moved = {TUNNEL: self.tunnel, NIC: self.nic, OTHER: self.other}
        return Span(
            self._reading(dict.fromkeys(moved, STARTED), dict.fromkeys(self.node, 7), dict.fromkeys(self.endpoint, 7)),
            self._reading(
                {
                    name: Counters(
                        STARTED.rx_bytes + by.rx_bytes,
                        STARTED.rx_packets + by.rx_packets,
                        STARTED.tx_bytes + by.tx_bytes,
                        STARTED.tx_packets + by.tx_packets,
                    )
                    for name, by in moved.items()
                    if by is not None
                },
                {name: 7 + by for name, by in self.node.items()},
                {name: 7 + by for name, by in self.endpoint.items()},
            ),
            NIC,
        )

    def _reading(
        self, devices: Mapping[str, Counters], node: Mapping[str, int], endpoint: Mapping[str, int]
    ) -> Reading:
        return Reading(
            clock_s=0.0,
            uptime_s=0.0,
            idle_cpus_s=(),
            stolen_cpu_s=0.0,
            softirq_cpu_s=0.0,
            tools_cpu_s=None,
            devices=devices,
            node=node,
            endpoint=endpoint,
            route_mtu=self.route_mtu,
        )


def tcp(direction: Direction = Direction.FORWARD, mtu: int = 1450) -> Cell:
    return Cell.of("iperf3", protocol="tcp", direction=direction.value, mtu=mtu, flows=4)


FORWARD, REVERSE, BIDIR = tcp(), tcp(Direction.REVERSE), tcp(Direction.BIDIR)
UDP = Cell.of("iperf3", protocol="udp", mtu=1450, flows=1)
PING = Cell.of("ping", mtu=1450)
ONE_WAY = Measured({"goodput_bps": 5e8}, payload_forward_bytes=PAYLOAD, tcp_forward_bytes=PAYLOAD)
BACK = Measured({"goodput_bps": 5e8}, payload_reverse_bytes=PAYLOAD, tcp_reverse_bytes=PAYLOAD)
BOTH_WAYS = Measured({"goodput_bps": 1e9}, PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD)
DATAGRAMS = Measured({"goodput_bps": 5e8}, payload_forward_bytes=PAYLOAD)
ECHOES = Measured(
    {"rtt_p50_s": 6e-5, "ping_sent": 100, "ping_lost_ratio": 0.0},
    payload_forward_bytes=142_200,
    payload_reverse_bytes=142_200,
)

SENDER = Moved(tx(INNER), tx(OUTER), endpoint=SENT)
RECEIVER = Moved(rx(INNER), rx(OUTER))
EXCHANGING = Moved(both(INNER), both(OUTER), endpoint=SENT)
PLAIN_SENDER = Moved(nic=tx(INNER), endpoint=SENT)
PLAIN_RECEIVER = Moved(nic=rx(INNER))
ECHOING = Moved(both(146_400, 100), both(151_400, 100))


@pytest.mark.parametrize(
    ("cell", "claim", "client", "server", "measured"),
    [
        pytest.param(FORWARD, VXLAN, SENDER, RECEIVER, ONE_WAY, id="tunnel"),
        pytest.param(REVERSE, VXLAN, RECEIVER, SENDER, BACK, id="tunnel, reverse"),
        pytest.param(BIDIR, VXLAN, EXCHANGING, EXCHANGING, BOTH_WAYS, id="tunnel, bidir"),
        pytest.param(UDP, VXLAN, SENDER, RECEIVER, DATAGRAMS, id="tunnel, udp"),
        pytest.param(PING, VXLAN, ECHOING, ECHOING, ECHOES, id="tunnel, ping"),
        pytest.param(
            UDP,
            VXLAN,
            Moved(tx(INNER), tx(OUTER), endpoint={"TcpOutSegs": 9}),
            RECEIVER,
            DATAGRAMS,
            id="tunnel, udp, beside a few segments of its control connection",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(tx(INNER, SEGMENTS), tx(INNER + SEGMENTS * 50, SEGMENTS), endpoint=SENT),
            Moved(rx(INNER, 900), rx(INNER + 900 * 50, 900)),
            ONE_WAY,
            id="receiver joined what the sender did not",
        ),
        pytest.param(
            FORWARD,
            OVER_TCP,
            Moved(tx(INNER, SEGMENTS), tx(INNER + SEGMENTS * 2 + 900 * 52), endpoint=SENT),
            Moved(rx(INNER, SEGMENTS), rx(INNER + SEGMENTS * 2 + 900 * 52)),
            ONE_WAY,
            id="tunnel over tcp",
        ),
        pytest.param(FORWARD, UNDERLAY, PLAIN_SENDER, PLAIN_RECEIVER, ONE_WAY, id="underlay"),
        pytest.param(FORWARD, HOST_GW, PLAIN_SENDER, PLAIN_RECEIVER, ONE_WAY, id="routed"),
        pytest.param(
            PING, UNDERLAY, Moved(nic=both(146_400, 100)), Moved(nic=both(146_400, 100)), ECHOES, id="underlay, ping"
        ),
        pytest.param(
            FORWARD,
            UNDERLAY,
            Moved(tx(15_000, 100), tx(INNER), endpoint=SENT),
            Moved(rx(15_000, 100), rx(INNER)),
            ONE_WAY,
            id="underlay, stray packets in a tunnel",
        ),
        pytest.param(
            FORWARD,
            UNDERLAY,
            Moved(None, tx(INNER), None, endpoint=SENT),
            Moved(None, rx(INNER), None),
            ONE_WAY,
            id="underlay, no tunnel there at all",
        ),
    ],
)
def test_proven(cell: Cell, claim: Claim, client: Moved, server: Moved, measured: Measured) -> None:
    proof = judge(cell, claim, client.span(), server.span(), measured)
    assert (proof.proven, proof.path_state) == (True, WHOLE), proof.evidence


@pytest.mark.parametrize(
    ("cell", "claim", "client", "server", "measured", "evidence"),
    [
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(nic=tx(OUTER), endpoint=SENT),
            Moved(nic=rx(OUTER)),
            ONE_WAY,
            r"client -> server: 139800000 bytes arrived, but vxlan_docker sent 0 and received 0: they went around",
            id="around the tunnel",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            SENDER,
            Moved(nic=rx(OUTER)),
            ONE_WAY,
            r"vxlan_docker sent \d+ and received 0: they went around the tunnel",
            id="into the tunnel, but not out of it",
        ),
        pytest.param(
            REVERSE,
            VXLAN,
            Moved(nic=rx(OUTER)),
            Moved(nic=tx(OUTER), endpoint=SENT),
            BACK,
            r"server -> client: 139800000 bytes arrived, but vxlan_docker sent 0 and received 0",
            id="around the tunnel, reverse",
        ),
        pytest.param(
            REVERSE,
            VXLAN,
            SENDER,
            RECEIVER,
            BACK,
            r"server -> client: .* vxlan_docker sent 0 and received 0: they went around",
            id="only the other direction crossed the tunnel",
        ),
        pytest.param(
            BIDIR,
            VXLAN,
            Moved(tx(INNER), both(OUTER), endpoint=SENT),
            Moved(rx(INNER), both(OUTER), endpoint=SENT),
            BOTH_WAYS,
            r"^server -> client: .* they went around the tunnel$",
            id="bidir, half of it around the tunnel",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(tx(INNER), tx(INNER), endpoint=SENT),
            Moved(rx(INNER), rx(OUTER)),
            ONE_WAY,
            r"vxlan_docker sent \d+ bytes, but they did not leave by ens33 encapsulated",
            id="left the NIC without encapsulation",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            SENDER,
            Moved(rx(INNER), rx(INNER)),
            ONE_WAY,
            r"vxlan_docker received \d+ bytes, but not encapsulated by ens33",
            id="came in without encapsulation",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(tx(INNER), endpoint=SENT),
            Moved(rx(INNER)),
            ONE_WAY,
            r"ens33 sent 0 and received 0",
            id="by another NIC",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(None, tx(OUTER), endpoint=SENT),
            RECEIVER,
            ONE_WAY,
            "^vxlan_docker is gone$",
            id="tunnel removed during the trial",
        ),
        pytest.param(FORWARD, UNDERLAY, Moved(nic=None), RECEIVER, ONE_WAY, "ens33 is gone", id="NIC removed"),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(tx(INNER), tx(OUTER), tx(INNER), endpoint=SENT),
            Moved(rx(INNER), rx(OUTER), rx(INNER)),
            ONE_WAY,
            r"\d+ bytes crossed flannel\.1, which this profile does not use",
            id="through another profile's tunnel",
        ),
        pytest.param(
            FORWARD,
            UNDERLAY,
            SENDER,
            RECEIVER,
            ONE_WAY,
            r"client -> server: \d+ bytes crossed vxlan_docker, which this profile does not use",
            id="underlay through the tunnel",
        ),
        pytest.param(
            FORWARD, HOST_GW, SENDER, RECEIVER, ONE_WAY, r"bytes crossed vxlan_docker", id="routed through the tunnel"
        ),
        pytest.param(
            FORWARD,
            UNDERLAY,
            Moved(nic=tx(INNER), endpoint={"TcpOutSegs": PAYLOAD // 1448}),
            PLAIN_RECEIVER,
            ONE_WAY,
            r"segments carried 1448 bytes on average, but an MTU of 1450 allows 1410",
            id="segments larger than the cell's MTU allows",
        ),
        pytest.param(
            REVERSE,
            UNDERLAY,
            PLAIN_RECEIVER,
            Moved(nic=tx(INNER), endpoint={"TcpOutSegs": PAYLOAD // 1448}),
            BACK,
            r"^server -> client: segments carried 1448 bytes on average, but an MTU of 1450 allows 1410$",
            id="segments too large, reverse",
        ),
        pytest.param(
            BIDIR,
            UNDERLAY,
            Moved(nic=both(INNER), endpoint=SENT),
            Moved(nic=both(INNER), endpoint={"TcpOutSegs": PAYLOAD // 1448}),
            BOTH_WAYS,
            r"^server -> client: segments carried 1448 bytes on average",
            id="segments too large one way of two",
        ),
        pytest.param(
            PING,
            UNDERLAY,
            Moved(nic=both(INNER), endpoint={"TcpOutSegs": PAYLOAD // 1448}),
            Moved(nic=both(INNER)),
            replace(ECHOES, tcp_forward_bytes=PAYLOAD),
            r"^client -> server: segments carried 1448 bytes on average",
            id="segments too large, of a load beside what is measured",
        ),
        pytest.param(
            PING,
            VXLAN,
            Moved(nic=both(151_400, 100)),
            Moved(nic=both(151_400, 100)),
            ECHOES,
            r"client -> server: .* went around the tunnel; server -> client: .* went around the tunnel",
            id="ping around the tunnel",
        ),
        pytest.param(
            REVERSE,
            UNDERLAY,
            RECEIVER,
            SENDER,
            Measured(),
            r"^server -> client: \d+ bytes crossed vxlan_docker, which this profile does not use$",
            id="nothing arrived: the way that it was to go is looked at",
        ),
        pytest.param(
            BIDIR,
            UNDERLAY,
            EXCHANGING,
            EXCHANGING,
            Measured(),
            r"^client -> server: .* crossed vxlan_docker, .*; server -> client: .* crossed vxlan_docker, [^;]*$",
            id="nothing arrived either way",
        ),
        pytest.param(
            FORWARD,
            VXLAN,
            Moved(tx(INNER), both(OUTER), endpoint=SENT),
            Moved(rx(INNER), both(OUTER)),
            Measured(payload_forward_bytes=PAYLOAD, payload_reverse_bytes=20_000_000),
            r"^server -> client: 20000000 bytes arrived, but vxlan_docker sent 0 and received 0: they went around",
            id="answers that have a payload of their own went around the tunnel",
        ),
        pytest.param(
            PING,
            VXLAN,
            Moved(tx(146_400, 100), both(151_400, 100)),
            Moved(rx(146_400, 100), both(151_400, 100)),
            ECHOES,
            r"^server -> client: 142200 bytes arrived",
            id="only the echo's reply went around the tunnel",
        ),
    ],
)
def test_not_proven(cell: Cell, claim: Claim, client: Moved, server: Moved, measured: Measured, evidence: str) -> None:
    proof = judge(cell, claim, client.span(), server.span(), measured)
    assert not proof.proven
    assert re.search(evidence, proof.evidence), proof.evidence


def test_evidence_says_what_was_seen() -> None:
    assert judge(FORWARD, VXLAN, SENDER.span(), RECEIVER.span(), ONE_WAY) == Proof(
        proven=True,
        evidence=f"client -> server: vxlan_docker {INNER} B in {BURSTS} packets, ens33 {OUTER} B",
        path_state=WHOLE,
        inner_bytes=INNER,
        outer_bytes=OUTER,
    )
    plain = judge(FORWARD, UNDERLAY, PLAIN_SENDER.span(), PLAIN_RECEIVER.span(), ONE_WAY)
    assert plain.evidence == "ens33 carried it, no tunnel did"
    assert (plain.inner_bytes, plain.outer_bytes) == (INNER, INNER)


def test_evidence_of_a_found_path_says_of_which_kind_it_is() -> None:
    by_headers = replace(VXLAN, tunnel=None, other_tunnels=(), seen="captured: ipv4/udp/vxlan/ethernet")
    proof = judge(FORWARD, by_headers, SENDER.span(), RECEIVER.span(), ONE_WAY)
    assert proof.proven
    assert proof.evidence == (
        f"client -> server: ens33 {OUTER} B; no device counts the tunnel, captured: ipv4/udp/vxlan/ethernet"
    )
    assert (proof.inner_bytes, proof.outer_bytes) == (OUTER, OUTER)
    idle = Moved(nic=tx(0), endpoint=SENT)
    assert not judge(FORWARD, by_headers, idle.span(), RECEIVER.span(), ONE_WAY).proven
    routed = replace(HOST_GW, other_tunnels=(), seen="captured: no headers in front of packets")
    plain = judge(FORWARD, routed, PLAIN_SENDER.span(), PLAIN_RECEIVER.span(), ONE_WAY)
    assert plain.evidence == "ens33 carried it; captured: no headers in front of packets"


def test_bytes_are_those_of_both_directions_on_the_client() -> None:
    proof = judge(BIDIR, VXLAN, EXCHANGING.span(), EXCHANGING.span(), BOTH_WAYS)
    assert (proof.inner_bytes, proof.outer_bytes) == (2 * INNER, 2 * OUTER)


FULL, FULL_BACK, FULL_BOTH = (tcp(direction, 1500) for direction in Direction)
FULL_PING = Cell.of("ping", mtu=1500)
STARVED = Measured({"goodput_bps": 0.0})
LOST = Measured({"ping_sent": 100, "ping_lost_ratio": 1.0})


@pytest.mark.parametrize(
    ("cell", "claim", "client", "server", "measured", "state"),
    [
        pytest.param(FULL, UNDERLAY, PLAIN_SENDER, PLAIN_RECEIVER, ONE_WAY, "whole", id="underlay"),
        pytest.param(
            FULL, VXLAN, Moved(tx(INNER), tx(OUTER), route_mtu=1450), RECEIVER, ONE_WAY, "clamped to 1450", id="clamped"
        ),
        pytest.param(
            FORWARD, VXLAN, Moved(tx(INNER), tx(OUTER), route_mtu=1450), RECEIVER, ONE_WAY, "whole", id="fits the clamp"
        ),
        pytest.param(
            FULL_BACK,
            VXLAN,
            RECEIVER,
            Moved(tx(INNER), tx(OUTER), route_mtu=1450),
            BACK,
            "clamped to 1450",
            id="reverse: it is the server who is clamped",
        ),
        pytest.param(
            FULL, VXLAN, SENDER, Moved(rx(INNER), rx(OUTER), route_mtu=1450), ONE_WAY, "whole", id="receiver's clamp"
        ),
        pytest.param(
            FULL_BOTH,
            VXLAN,
            EXCHANGING,
            Moved(both(INNER), both(OUTER), route_mtu=1450),
            BOTH_WAYS,
            "clamped to 1450",
            id="bidir: either is clamped",
        ),
        pytest.param(
            FULL,
            VXLAN,
            Moved(tx(INNER), tx(OUTER), node={"IpFragCreates": 40}, route_mtu=1450),
            Moved(rx(INNER), rx(OUTER), endpoint={"IpReasmOKs": 20}),
            ONE_WAY,
            "clamped to 1450",
            id="a few fragments before TCP learned the MTU",
        ),
        pytest.param(
            FULL,
            VXLAN_1500,
            Moved(tx(INNER), tx(OUTER), node={"IpFragCreates": 2 * SEGMENTS}),
            Moved(rx(INNER), rx(OUTER), node={"IpReasmOKs": SEGMENTS}),
            ONE_WAY,
            "outer-fragmented",
            id="outer packets cut by the sender, joined by the receiver",
        ),
        pytest.param(
            tcp(Direction.FORWARD, 9000),
            replace(VXLAN_1500, nic_mtu=9000),
            Moved(tx(INNER, 5902), tx(OUTER), node={"IpFragCreates": 45_585}),
            Moved(rx(INNER), rx(OUTER), node={"IpReasmOKs": 21_381}, endpoint={"IpReasmOKs": 515}),
            ONE_WAY,
            "outer-fragmented",
            id="as measured at 9000: bursts are cut outside, single segments in front of the tunnel",
        ),
        pytest.param(
            FULL_PING,
            VXLAN,
            Moved(both(300_000, 200), both(310_000, 200), node={"IpFragCreates": 200}),
            Moved(both(300_000, 200), both(310_000, 200), node={"IpReasmOKs": 100}, endpoint={"IpReasmOKs": 100}),
            ECHOES,
            "inner-fragmented",
            id="inner fragments joined and cut again by a node that tracks connections",
        ),
        pytest.param(
            FULL,
            VXLAN_1500,
            Moved(tx(INNER), tx(OUTER), node={"IpFragCreates": 2 * SEGMENTS}),
            RECEIVER,
            ONE_WAY,
            "whole",
            id="cut, but never joined: somebody else's packets",
        ),
        pytest.param(
            FULL_PING,
            VXLAN,
            Moved(both(300_000, 200), both(310_000, 200), endpoint={"IpFragCreates": 200}),
            Moved(both(300_000, 200), both(310_000, 200), endpoint={"IpReasmOKs": 100}),
            ECHOES,
            "inner-fragmented",
            id="echoes cut by the endpoint",
        ),
        pytest.param(
            FULL,
            HOST_GW,
            PLAIN_SENDER,
            Moved(nic=rx(INNER), endpoint={"IpReasmOKs": BURSTS}),
            ONE_WAY,
            "inner-fragmented",
            id="routed, cut on the way",
        ),
        pytest.param(
            Cell.of("iperf3", protocol="udp", mtu=1500, flows=1),
            UNDERLAY,
            PLAIN_SENDER,
            Moved(nic=rx(INNER), endpoint={"IpReasmOKs": BURSTS}),
            ONE_WAY,
            "whole",
            id="the underlay has no inner packet",
        ),
        pytest.param(FULL_PING, VXLAN, Moved(), Moved(), LOST, "black-holed", id="no echo came back"),
        pytest.param(FULL, VXLAN, SENDER, Moved(), STARVED, "black-holed", id="nothing arrived, packets too large"),
    ],
)
def test_path_state(cell: Cell, claim: Claim, client: Moved, server: Moved, measured: Measured, state: str) -> None:
    assert path_state(cell, claim, client.span(), server.span(), measured) == PathState.parse(state)


def test_silence_is_payload_that_arrived_nowhere() -> None:
    assert [one.is_silent for one in (Measured(), STARVED, LOST)] == [True] * 3
    assert [one.is_silent for one in (ONE_WAY, BACK, BOTH_WAYS, ECHOES)] == [False] * 4


def test_span() -> None:
    span = Moved(tx(5, 1), None, node={"IpReasmOKs": 3}, endpoint={"TcpOutSegs": 4}).span()
    assert span.device(TUNNEL) == Counters(0, 0, 5, 1)
    assert span.device(NIC) is None
    assert span.device("never there") is None
    assert (span.node("IpReasmOKs"), span.endpoint("TcpOutSegs"), span.foreign_cpu_s) == (3, 4, 0.0)
    assert (span.node("never counted"), span.endpoint("never counted")) == (0, 0)
