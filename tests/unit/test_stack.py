"""Headers in front of an echo of ours, read from frames whatever port they are on."""

from typing import Any

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.contrib.wireguard import Wireguard, WireguardTransport
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from harness.fabric.profiles import known_profiles, load
from harness.inspect import stack
from harness.inspect.decode import ETHERNET, Captured, Captures
from harness.model.trace import Frame
from harness.model.trial import UNDERLAY

PATTERN = bytes(range(200, 216))
SIZE = 444
NODES = ("172.12.1.11", "172.12.1.12")
NODES6 = ("fd00:172:12:1::11", "fd00:172:12:1::12")
ENDS = ("10.0.1.2", "10.0.1.3")


def echo(*, reply: bool = False) -> Any:  # noqa: ANN401 - scapy packets
    """Return an echo as ping fills it: a time stamp, then the pattern over and over."""
    src, dst = ENDS[::-1] if reply else ENDS
    payload = bytes(16) + (PATTERN * 40)[: SIZE - 28 - 16]
    return IP(src=src, dst=dst) / ICMP(type=0 if reply else 8, id=9, seq=1) / Raw(payload)


def outer(*, reply: bool = False, six: bool = False) -> Any:  # noqa: ANN401 - scapy packets
    src, dst = (NODES6 if six else NODES)[:: -1 if reply else 1]
    return Ether() / (IPv6(src=src, dst=dst) if six else IP(src=src, dst=dst))


def captured(packet: Any) -> Captured:  # noqa: ANN401 - scapy packets
    data = bytes(packet)
    return Captured(data[:400], Frame(0.0, len(data), ()))


def seen(*packets: Any) -> Captures:  # noqa: ANN401 - scapy packets
    return Captures(ETHERNET, tuple(map(captured, packets)))


def both_ways(wrap: Any) -> Captures:  # noqa: ANN401 - what puts headers around an echo
    return seen(wrap(echo(), reply=False), wrap(echo(reply=True), reply=True))


def sealed(size: int) -> Any:  # noqa: ANN401 - scapy packets
    """Return what WireGuard makes of a packet: padded to 16 bytes, with a tag of 16."""
    inside = WireguardTransport(
        receiver_index=7, counter=1, encrypted_encapsulated_packet=bytes(-(-size // 16) * 16 + 16)
    )
    return UDP(sport=51820, dport=51820) / Wireguard(message_type=4) / inside


WRAPS: dict[str, Any] = {
    "vxlan": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=40000, dport=4789) / VXLAN(vni=20, flags=8) / Ether() / inner
    ),
    "swarm": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=40000, dport=4789) / VXLAN(vni=4097, flags=8) / Ether() / inner
    ),
    "vxlan-1500": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=40000, dport=4790) / VXLAN(vni=21, flags=8) / Ether() / inner
    ),
    "vxlan6": lambda inner, reply: (
        outer(reply=reply, six=True) / UDP(sport=4, dport=4791) / VXLAN(vni=22, flags=8) / Ether() / inner
    ),
    "vxlan-one-port": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=50000, dport=4793) / VXLAN(vni=24, flags=8) / Ether() / inner
    ),
    "flannel": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=4, dport=8472) / VXLAN(vni=1, flags=8) / Ether() / inner
    ),
    "geneve": lambda inner, reply: (
        outer(reply=reply) / UDP(sport=4, dport=6999) / GENEVE(vni=23, proto=0x6558) / Ether() / inner
    ),
    "gre": lambda inner, reply: outer(reply=reply) / GRE(proto=0x6558) / Ether() / inner,
    "ipip": lambda inner, reply: outer(reply=reply) / inner,
    "udp-userspace": lambda inner, reply: outer(reply=reply) / UDP(sport=8285, dport=8285) / Raw(bytes(inner)),
    "tcp-userspace": lambda inner, reply: (
        outer(reply=reply)
        / TCP(
            sport=8286 if reply else 41000,
            dport=41000 if reply else 8286,
            options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))],
        )
        / Raw(SIZE.to_bytes(2, "big") + bytes(inner))
    ),
    "wireguard": lambda inner, reply: outer(reply=reply) / sealed(len(inner)),
    "host-gw": lambda inner, reply: Ether(dst="02:00:00:00:00:02" if reply else None) / inner,
    "flannel-direct": lambda inner, reply: Ether(dst="02:00:00:00:00:02" if reply else None) / inner,
}
PORTS = {
    "vxlan": 4789,
    "swarm": 4789,
    "vxlan-1500": 4790,
    "vxlan6": 4791,
    "vxlan-one-port": 4793,
    "flannel": 8472,
    "geneve": 6999,
    "udp-userspace": 8285,
}
VNIS = {"vxlan": 20, "swarm": 4097, "vxlan-1500": 21, "vxlan6": 22, "flannel": 1, "geneve": 23, "vxlan-one-port": 24}


def test_every_profile_has_its_frames_here() -> None:
    """But what ESP carries, which cannot be told from outside."""
    sealed_ones = {name for name in known_profiles() if "esp" in load(name).headers}
    assert set(known_profiles()) - {UNDERLAY} - sealed_ones == set(WRAPS)


@pytest.mark.parametrize("profile", WRAPS)
def test_what_each_profile_puts_in_front_is_recognised(profile: str) -> None:
    echoes = stack.told(both_ways(WRAPS[profile]), PATTERN, SIZE)
    wire = stack.joined(echoes, echoes, 1)
    assert wire.headers == load(profile).headers
    assert (wire.vni, wire.seen) == (VNIS.get(profile), (2, 2))
    assert profile not in PORTS or wire.port == PORTS[profile]
    if wire.headers:
        assert wire.outer == (NODES6 if profile == "vxlan6" else NODES)
    assert wire.is_encrypted == (profile == "wireguard")


def test_tcp_is_known_by_the_port_that_stays() -> None:
    echoes = stack.told(both_ways(WRAPS["tcp-userspace"]), PATTERN, SIZE)
    assert stack.joined(echoes, echoes, 1).port == 8286


def test_a_tag_of_the_wires_own_is_no_header_of_the_tunnel() -> None:
    tagged = Ether() / Dot1Q(vlan=7) / IP(src=NODES[0], dst=NODES[1]) / echo()
    (one,) = stack.told(seen(tagged), PATTERN, SIZE)
    assert (one.wire.headers, one.inner) == (("ipv4",), ENDS)


def test_a_key_of_gre_counts() -> None:
    keyed = outer() / GRE(proto=0x0800, key_present=1, key=5) / echo()
    (one,) = stack.told(seen(keyed), PATTERN, SIZE)
    assert one.wire.headers == ("ipv4", "gre", "gre_key")


def test_what_is_not_known_is_said() -> None:
    strange = outer() / UDP(sport=5, dport=5555) / Raw(b"\xff" * 11) / echo()
    (one,) = stack.told(seen(strange), PATTERN, SIZE)
    assert (one.wire.headers, one.wire.unknown) == (
        None,
        "11 bytes stand before the echo that are no header known here",
    )
    with_options = outer() / UDP(sport=5, dport=6081) / GENEVE(vni=3, proto=0x6558, options=[]) / Ether() / echo()
    data = bytearray(bytes(with_options))
    data[42] = 1  # one option of four bytes
    data[50:50] = bytes(4)
    (one,) = stack.told(Captures(ETHERNET, (Captured(bytes(data), Frame(0.0, len(data), ())),)), PATTERN, SIZE)
    assert one.wire.headers is None


def test_other_peoples_packets_are_none_of_ours() -> None:
    foreign = outer() / UDP(sport=5, dport=4789) / VXLAN(vni=3) / Ether() / IP() / UDP() / Raw(bytes(SIZE))
    assert stack.told(seen(foreign), PATTERN, SIZE) == []
    assert stack.joined([], [], 10).unknown == "no echo of ours was seen on both NICs"


def test_two_ways_at_once_are_said() -> None:
    there = stack.told(seen(WRAPS["vxlan"](echo(), reply=False)), PATTERN, SIZE)
    back = stack.told(seen(Ether() / echo(reply=True)), PATTERN, SIZE)
    wire = stack.joined([*there, *back], [*there, *back], 1)
    assert wire.headers is None
    assert wire.unknown.startswith("echoes do not all go the same way: 2 behind ipv4/udp/vxlan/ethernet and 2 behind")


def test_what_is_unknown_says_why() -> None:
    strange = stack.told(seen(outer() / UDP(sport=5, dport=5555) / Raw(b"\xff" * 11) / echo()), PATTERN, SIZE)
    wire = stack.joined(strange, strange, 1)
    assert (wire.headers, wire.seen) == (None, (1, 1))
    assert wire.unknown == "11 bytes stand before the echo that are no header known here"
    there = stack.told(seen(WRAPS["vxlan"](echo(), reply=False)), PATTERN, SIZE)
    assert stack.joined(there, [*strange, *there], 1).headers == there[0].wire.headers, "where another echo shows it"
