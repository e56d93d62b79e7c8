"""The wire arithmetic against frames: every profile, MTU and path state that this kernel can do."""

from collections import Counter
from collections.abc import Sequence

import pytest

from harness.fabric.profiles import Profile, load
from harness.model.path import Fate, PathState
from harness.model.trial import UNDERLAY
from harness.truth import wire
from tests.lab.bench import PROFILES, Bench, done, eventually, missing_link_types, ping
from tests.lab.capture import IPV4, capturing
from tests.lab.frames import COUNT, Sending, Sent, ip_bytes, mac, send_everything, set_nic_mtu

pytestmark = pytest.mark.lab

IPV6 = b"\x86\xdd"
MTUS = {1500: (1280, 1400, 1450, 1500), 9000: (9000,)}
"""MTUs of the endpoints by that of the NICs."""
TCP_STREAM = 20 + 20 + 12
"""What stands in front of a TCP stream, with timestamps: not there for each of the packets in it."""
BOTH = (9000, "vxlan-1500", 9000, Sending.TCP)
"""Of a GSO burst each segment is cut outside the tunnel, for a bridge lets bursts pass; a single segment is cut in
front of it. So this is in two states at once."""
IN_FRONT, NOT_TCP = BOTH[:3], "inner-fragmented, inner-fragmented, black-holed, inner-fragmented"
# what became of echo, UDP, TCP, echo that must not be cut, later echo
CUT = {
    (1500, "vxlan", 1500): "inner-fragmented, black-holed, clamped to 1450, black-holed, inner-fragmented",
    (1500, "vxlan6", 1450): "inner-fragmented, black-holed, clamped to 1430, black-holed, inner-fragmented",
    (1500, "vxlan6", 1500): "inner-fragmented, black-holed, clamped to 1430, black-holed, inner-fragmented",
    (1500, "flannel", 1500): "inner-fragmented, inner-fragmented, clamped to 1450, black-holed, inner-fragmented",
    (1500, "udp-userspace", 1500): "inner-fragmented, inner-fragmented, clamped to 1472, black-holed, inner-fragmented",
    (1500, "tcp-userspace", 1450): "inner-fragmented, inner-fragmented, clamped to 1446, black-holed, inner-fragmented",
    (1500, "tcp-userspace", 1500): "inner-fragmented, inner-fragmented, clamped to 1446, black-holed, inner-fragmented",
    (1500, "vxlan-1500", 1500): "outer-fragmented, outer-fragmented, outer-fragmented",
    (9000, "vxlan", 9000): "inner-fragmented, black-holed, clamped to 8950, black-holed, inner-fragmented",
    (9000, "vxlan6", 9000): "inner-fragmented, black-holed, clamped to 8930, black-holed, inner-fragmented",
    (9000, "flannel", 9000): "inner-fragmented, inner-fragmented, clamped to 8950, black-holed, inner-fragmented",
    (9000, "udp-userspace", 9000): "inner-fragmented, inner-fragmented, clamped to 8972, black-holed, inner-fragmented",
    (9000, "tcp-userspace", 9000): "inner-fragmented, inner-fragmented, clamped to 8946, black-holed, inner-fragmented",
}

Everything = dict[tuple[int, str, int, Sending], Sent]


@pytest.fixture(scope="module")
def everything() -> Everything:
    """What became of each sending, by the NICs' MTU, profile, MTU and sending."""
    return {(nic, *sent): became for nic, mtus in MTUS.items() for sent, became in send_everything(nic, mtus).items()}


def expected(profile: Profile, nic_mtu: int, size: int, state: PathState) -> Counter[int]:
    """Return the sizes that the arithmetic says of one packet."""
    packets = wire.wire_packets(size, profile.headers, nic_mtu, state, profile.tunnel_mtu) or []
    return Counter(packet - (TCP_STREAM if "tcp" in profile.headers else 0) for packet in packets)


def times(count: int, sizes: Counter[int]) -> Counter[int]:
    return Counter({size: count * number for size, number in sizes.items()})


@pytest.mark.parametrize("profile", [UNDERLAY, *PROFILES])
def test_frames_are_those_of_the_arithmetic(everything: Everything, profile: str) -> None:
    if profile in missing_link_types():
        return  # there is nothing to send over; tests/unit/test_wire_table.py has its sizes
    shape = load(profile)
    own = {key: sent for key, sent in everything.items() if key[1] == profile and key != BOTH}
    assert {key[2] for key in own} == {mtu for mtus in MTUS.values() for mtu in mtus}
    wrong = {
        key: (str(sent.state), dict(sent.packets), dict(wanted))
        for key, sent in own.items()
        if sent.packets != (wanted := times(COUNT, expected(shape, key[0], sent.size, sent.state)))
    }
    assert not wrong


def test_packets_are_in_the_states_that_linux_makes(everything: Everything) -> None:
    states: dict[tuple[int, str, int], list[PathState]] = {}
    for key, sent in everything.items():
        if key != BOTH:
            states.setdefault(key[:3], []).append(sent.state)
    seen = {cell: ", ".join(map(str, found)) for cell, found in states.items()}
    assert {cell: seen[cell] for cell in CUT if cell in seen} == {cell: CUT[cell] for cell in CUT if cell in seen}
    shipped = {UNDERLAY, "host-gw", "flannel-direct", *(name for _, name, _ in CUT)}
    others = {cell: text for cell, text in seen.items() if cell[1] in shipped and cell not in CUT}
    assert {cell: text for cell, text in others.items() if text != "whole, whole"} == {IN_FRONT: NOT_TCP}


def test_bursts_and_single_segments_are_cut_in_two_places(everything: Everything) -> None:
    profile = load("vxlan-1500")
    outside = expected(profile, 9000, 9000, PathState(Fate.OUTER_FRAGMENTED))
    inside = expected(profile, 9000, 9000, PathState(Fate.INNER_FRAGMENTED))
    assert outside == {8996: 1, 74: 1}
    mixtures = [times(bursts, outside) + times(COUNT - bursts, inside) for bursts in range(1, COUNT + 1)]
    assert everything[BOTH].packets in mixtures
    bursts = everything[BOTH].packets[74]
    assert everything[BOTH].state.fate is (Fate.OUTER_FRAGMENTED if 2 * bursts > COUNT else Fate.INNER_FRAGMENTED)


def is_fragment(frame: bytes) -> bool:
    """Tell whether a frame holds a fragment of an IPv4 or an IPv6 packet."""
    offset_and_more = int.from_bytes(frame[20:22], "big") & 0x3FFF
    return frame[20] == 44 if frame[12:14] == IPV6 else frame[12:14] == IPV4 and offset_and_more != 0


def join(bench: Bench, headers: Sequence[str]) -> str:
    """Join the nodes by a VXLAN device that is wider than any NIC; return the server's address on it."""
    ends = [node.address6 if headers[0] == "ipv6" else node.address for node in bench.lab.nodes]
    for number, node in enumerate(bench.nodes):
        own, peer = str(ends[number]), str(ends[1 - number])
        words = f"ip link add name wide type vxlan id 99 local {own} remote {peer} dstport 4999"
        for line in (words, "ip link set dev wide mtu 4000 up", f"ip addr add 10.99.0.{number}/31 dev wide"):
            done(node, *line.split())
    return "10.99.0.1"


def fragments(bench: Bench, address: str, payload: int) -> list[int]:
    """Send one echo of this payload and return the sizes of the fragments of it that left the client's NIC."""
    with capturing(bench) as seen:
        ping(bench.client, (), address, "-M", "dont", "-s", str(payload))
        own = mac(bench.client)
    return [ip_bytes(frame) for frame in seen.frames if frame[6:12] == own and is_fragment(frame)]


# a NIC of 1450 bytes leaves 1430 behind IPv4, of which whole eights are 1424; behind IPv6 and its fragment header 1402
@pytest.mark.parametrize(
    ("address", "size", "sizes"),
    [
        ("172.12.1.12", 20 + 1424 + 1430, [1444, 1450]),
        ("172.12.1.12", 20 + 1424 + 1431, [1444, 1444, 27]),
        ("fd00:172:12:1::12", 40 + 1400 + 1400, [1448, 1448]),
        ("fd00:172:12:1::12", 40 + 1400 + 1402, [1448, 1448, 50]),
    ],
)
def test_where_a_sender_cuts(bench: Bench, address: str, size: int, sizes: list[int]) -> None:
    set_nic_mtu(bench, 1450)
    ipv6 = ":" in address
    assert eventually(lambda: ping(bench.client, (), address).exit_code == 0)
    assert fragments(bench, address, size - 8 - (40 if ipv6 else 20)) == sizes
    assert wire.fragment_sizes(size, 1450, ipv6=ipv6) == sizes


@pytest.mark.parametrize(
    ("profile", "outer", "sizes"),
    [
        ("vxlan", 20 + 1424 + 1430, [1444, 1450]),
        ("vxlan", 20 + 1424 + 1431, [1444, 1444, 27]),
        ("vxlan6", 40 + 1400 + 1400, []),  # Linux drops what does not fit, so over IPv6 nothing is cut outside
    ],
)
def test_where_a_tunnel_cuts(bench: Bench, profile: str, outer: int, sizes: list[int]) -> None:
    set_nic_mtu(bench, 1450)
    headers = load(profile).headers
    inner = outer - wire.overhead(headers)
    address = join(bench, headers)
    assert eventually(lambda: ping(bench.client, (), address).exit_code == 0)
    assert fragments(bench, address, inner - 28) == sizes
    if sizes:
        assert wire.wire_packets(inner, headers, 1450, PathState(Fate.OUTER_FRAGMENTED)) == sizes
