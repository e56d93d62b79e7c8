"""Packets out of frames: taken apart, put together over all points, explained, and missed."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from scapy.contrib.wireguard import Wireguard, WireguardTransport
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import PcapWriter

from harness.inspect import decode, walk
from harness.inspect.capture import Flow, argv_of, filter_of
from harness.inspect.changes import changes
from harness.inspect.clock import aligned
from harness.inspect.decide import AWAY, INSIDE, OUTER, Ground, decisions
from harness.inspect.decode import Encapsulation
from harness.inspect.forget import forwarding, neighbours
from harness.inspect.lost import Sight, loss_of
from harness.inspect.points import Stop
from harness.inspect.tables import Link, Quote, Tables, drops_of, links_of, next_hop
from harness.model.errors import ToolError
from harness.model.jobs import Side
from harness.model.trace import By, Clock, Frame, Place, Point

CLIENT, SERVER = "02:42:ac:11:00:02", "02:42:ac:11:00:03"
NICS = ("00:0c:29:bd:fb:4a", "00:0c:29:e2:bf:86")
VXLAN_HEADERS = ("ipv4", "udp", "vxlan", "ethernet")
PLACES = (Place.ENDPOINT, Place.VETH, Place.BRIDGE, Place.TUNNEL, Place.NIC)
DEVICES = ("eth0", "veth0", "docker0", "vxlan_docker", "ens33")
POINTS = tuple(
    Point(number, node, side, DEVICES[at], PLACES[at], 1500 if at == 4 else 1450, NICS[number > 4] if at == 4 else "")
    for number, (node, side, at) in enumerate(
        [("k8s-1", Side.CLIENT, at) for at in range(5)] + [("k8s-2", Side.SERVER, at) for at in range(4, -1, -1)]
    )
)


def echo(seq: int = 1, *, reply: bool = False, payload: int = 56, **ip: int) -> Packet:
    """Return an echo between the endpoints as it is in an Ethernet frame."""
    ends = {"src": "172.17.0.3", "dst": "172.17.0.2"} if reply else {"src": "172.17.0.2", "dst": "172.17.0.3"}
    macs = {"src": SERVER, "dst": CLIENT} if reply else {"src": CLIENT, "dst": SERVER}
    packet: Packet = IP(src=ends["src"], dst=ends["dst"])
    for name, value in ip.items():
        setattr(packet, name, value)
    return (
        Ether(src=macs["src"], dst=macs["dst"])
        / packet
        / ICMP(type=0 if reply else 8, id=7, seq=seq)
        / Raw(bytes(payload))
    )


def outer(inner: Packet, port: int = 4789, *, reply: bool = False) -> Packet:
    """Return a frame in VXLAN."""
    one, two = (NICS[1], NICS[0]) if reply else NICS
    ends = ("172.12.1.12", "172.12.1.11") if reply else ("172.12.1.11", "172.12.1.12")
    return (
        Ether(src=one, dst=two)
        / IP(src=ends[0], dst=ends[1])
        / UDP(sport=51305, dport=port)
        / VXLAN(vni=20, flags=8)
        / inner
    )


def frame(
    packet: Packet, time_s: float = 0.0, encapsulation: Encapsulation | None = None, link_type: int = decode.ETHERNET
) -> Frame:
    """Return what decoding makes of a packet."""
    data = bytes(packet)
    return Frame(time_s, len(data), decode.layers(data, link_type, encapsulation))


def names(packet: Packet, encapsulation: Encapsulation | None = None, link_type: int = decode.ETHERNET) -> list[str]:
    return [layer.name for layer in frame(packet, 0.0, encapsulation, link_type).layers]


# ---- taken apart


def test_a_tunnel_on_any_port_is_taken_apart_as_its_profile_says() -> None:
    whole = ["ethernet", "ipv4", "udp", "vxlan", "ethernet", "ipv4", "icmp"]
    assert names(outer(echo())) == whole
    assert names(outer(echo(), 4795)) == ["ethernet", "ipv4", "udp"]
    assert names(outer(echo(), 4795), Encapsulation("udp", 4795, VXLAN_HEADERS)) == whole
    sizes = [layer.size for layer in frame(outer(echo())).layers]
    assert sizes == [14, 20, 8, 8, 14, 20, 8]


def test_other_stacks_are_taken_apart() -> None:
    inside = echo()[IP]
    gre = Ether() / IP(proto=47) / GRE(proto=0x6558) / echo()
    assert names(gre) == ["ethernet", "ipv4", "gre", "ethernet", "ipv4", "icmp"]
    assert names(Ether() / IP(proto=4) / inside) == ["ethernet", "ipv4", "ipv4", "icmp"]
    plain = Ether() / IP() / UDP(sport=8285, dport=8285) / Raw(bytes(inside))
    assert names(plain, Encapsulation("udp", 8285, ("ipv4", "udp"))) == ["ethernet", "ipv4", "udp", "ipv4", "icmp"]
    record = len(bytes(inside)).to_bytes(2, "big") + bytes(inside)
    stream = Ether() / IP() / TCP(sport=8286, dport=40000) / Raw(record)
    encapsulation = Encapsulation("tcp", 8286, ("ipv4", "tcp", "tcp_timestamps", "openvpn_length"))
    assert names(stream, encapsulation) == ["ethernet", "ipv4", "tcp", "openvpn_length", "ipv4", "icmp"]
    assert names(inside, None, decode.RAW_IP) == ["ipv4", "icmp"]
    six = Ether() / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=4789) / VXLAN(vni=3, flags=8) / echo()
    assert names(six)[:4] == ["ethernet", "ipv6", "udp", "vxlan"]


def test_what_is_encrypted_ends_at_its_header() -> None:
    sealed = Ether() / IP() / UDP(sport=51820, dport=51820) / Wireguard(message_type=4)
    sealed /= WireguardTransport(receiver_index=9, counter=5, encrypted_encapsulated_packet=bytes(112))
    layers = frame(sealed).layers
    assert [layer.name for layer in layers] == ["ethernet", "ipv4", "udp", "wireguard"]
    assert layers[-1].fields == {"type": 4, "receiver": 9, "counter": 5}
    assert layers[-1].size == 32


def test_a_capture_that_was_cut_short_is_read_as_far_as_it_goes() -> None:
    file = io.BytesIO()
    writer = PcapWriter(file, linktype=1, nano=True)
    for seq in (1, 2):
        writer.write(echo(seq))
    writer.flush()
    whole = decode.read(file.getvalue(), None)
    assert len(whole.frames) == 2
    assert len(decode.read(file.getvalue()[:-10], None).frames) == 1
    assert decode.read(b"", None).frames == ()


# ---- put together


def seen_everywhere(packet: Packet, at: Sequence[float], *, reply: bool = False) -> dict[Point, list[Frame]]:
    """Return a packet at every point, encapsulated on the NICs, at these times by the points' numbers."""
    return {
        point: [frame(outer(packet, reply=reply) if point.place is Place.NIC else packet, time_s)]
        for point, time_s in zip(POINTS, at, strict=True)
    }


def test_a_packet_is_followed_in_its_direction_whatever_a_bridge_shows_late() -> None:
    late = [0.0, 1e-6, 9e-6, 3e-6, 4e-6, 5e-6, 6e-6, 15e-6, 8e-6, 10e-6]
    frames = seen_everywhere(echo(), late)
    for point, found in seen_everywhere(echo(reply=True), [1.0 - time_s for time_s in late], reply=True).items():
        frames[point] += found
    there, back = walk.packets(frames)
    assert [point.number for point, _ in there.at] == [*range(10)]
    assert [point.number for point, _ in back.at] == [*range(9, -1, -1)]
    assert (there.key[:2], back.key[:2]) == (("echo", "request"), ("echo", "reply"))


def test_fragments_stay_together() -> None:
    large = echo(payload=1472, id=77)
    pieces = fragment(outer(large).copy(), fragsize=1480)  # type: ignore[no-untyped-call]
    frames = {POINTS[3]: [frame(large)], POINTS[4]: [frame(piece, 1e-6 * at) for at, piece in enumerate(pieces, 1)]}
    (packet,) = walk.packets(frames)
    assert [len(own) for _, own in packet.at] == [1, len(pieces)]
    assert len(pieces) == 2


def test_arp_is_told_apart_by_how_often_it_was_sent() -> None:
    question = Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc="172.17.0.2", pdst="172.17.0.3")
    frames = {POINTS[0]: [frame(question, 0.0), frame(question, 1.0)], POINTS[1]: [frame(question, 1e-6)]}
    first, second = walk.packets(frames)
    assert (len(first.at), len(second.at)) == (2, 1)


def test_what_is_encrypted_is_found_by_time_and_then_by_its_counter() -> None:
    def sealed(counter: int, time_s: float, *, reply: bool = False) -> Frame:
        one, two = NICS[::-1] if reply else NICS
        packet = Ether(src=one, dst=two) / IP() / UDP(sport=51820, dport=51820) / Wireguard(message_type=4)
        packet /= WireguardTransport(receiver_index=9, counter=counter, encrypted_encapsulated_packet=bytes(112))
        return frame(packet, time_s)

    inside = echo()[IP]
    frames = {
        POINTS[3]: [frame(inside, 0.0, link_type=decode.RAW_IP)],
        POINTS[4]: [sealed(4, -1.0), sealed(5, 1e-6)],
        POINTS[5]: [sealed(4, -0.9), sealed(5, 2e-6)],
        POINTS[6]: [frame(inside, 3e-6, link_type=decode.RAW_IP)],
    }
    (packet,) = walk.packets(frames)
    assert [(point.number, own[0].time_s) for point, own in packet.at] == [(3, 0.0), (4, 1e-6), (5, 2e-6), (6, 3e-6)]


# ---- explained


def test_headers_in_front_are_added_up() -> None:
    plain, coated = frame(echo()), frame(outer(echo()))
    assert changes([plain], [coated], POINTS[4]) == ("+50 bytes put in front: Ethernet 14, IPv4 20, UDP 8, VXLAN 8",)
    assert changes([coated], [plain], POINTS[6]) == ("-50 bytes taken off: Ethernet 14, IPv4 20, UDP 8, VXLAN 8",)
    assert changes([plain], [plain], POINTS[1]) == ()
    bare = frame(echo()[IP], link_type=decode.RAW_IP)
    assert changes([plain], [bare], POINTS[3]) == ("-14 bytes taken off: Ethernet 14",)


def test_routing_and_bursts_are_told() -> None:
    routed = echo(ttl=63)
    routed[Ether].src = "02:f1:00:00:01:00"
    assert changes([frame(echo())], [frame(routed)], POINTS[3]) == ("MAC addresses rewritten", "routed: TTL 64 -> 63")
    burst = Ether() / IP(dst="172.17.0.3") / TCP() / Raw(bytes(14000))
    assert "a GSO burst: one buffer of 14054 bytes" in changes(None, [frame(burst)], POINTS[0])[0]
    segment = Ether() / IP(dst="172.17.0.3") / TCP() / Raw(bytes(1398))
    assert changes([frame(burst)], [frame(segment)], POINTS[4])[0].startswith("a GSO burst cut to segments")


def test_padding_behind_what_is_encrypted_is_told() -> None:
    bare = frame(echo()[IP], link_type=decode.RAW_IP)
    sealed = Ether() / IP() / UDP(sport=51820, dport=51820) / Wireguard(message_type=4)
    sealed /= WireguardTransport(receiver_index=9, counter=5, encrypted_encapsulated_packet=bytes(96 + 16))
    wanted = "+86 bytes put in front: Ethernet 14, IPv4 20, UDP 8, WireGuard 32, padding 12"
    assert changes([bare], [frame(sealed)], POINTS[4]) == (wanted,)


FDB = f"""
{SERVER} dev vxlan_docker master docker0
{SERVER} dev vxlan_docker dst 172.12.1.12 self
00:00:00:00:00:00 dev vxlan_docker dst 172.12.1.12 via ens33 self permanent
"""


def link(name: str, **fields: object) -> Link:
    """Return a link with what matters of it."""
    known: dict[str, object] = {
        "index": 1, "kind": "", "mtu": 1450, "mac": "", "is_ethernet": True, "master": "", "peer": None,
        "addresses": (), "dropped": {},
    }  # fmt: skip
    return Link(name, **(known | fields))  # type: ignore[arg-type]


def tables(**changed: object) -> Tables:
    """Return the tables of the client's node."""
    known: dict[str, object] = {
        "links": {"docker0": link("docker0"), "vxlan_docker": link("vxlan_docker", kind="vxlan", master="docker0")},
        "texts": {
            "fdb": FDB,
            "neighbours": "172.12.1.12 dev ens33 lladdr 00:0c:29:e2:bf:86 REACHABLE\n",
            "inside.neighbours": f"172.17.0.3 dev eth0 lladdr {SERVER} REACHABLE\n",
        },
        "routes": {
            INSIDE: Quote("ip route get 172.17.0.3", "172.17.0.3 dev eth0 src 172.17.0.2 uid 0"),
            OUTER: Quote("ip route get 172.12.1.12", "172.12.1.12 dev ens33 src 172.12.1.11 uid 0"),
            AWAY: Quote(
                "ip route get 172.17.0.3 from 172.17.0.2 iif docker0", "RTNETLINK answers: Network unreachable"
            ),
        },
    }
    return Tables(**(known | changed))  # type: ignore[arg-type]


def ground(seen: Tables) -> Ground:
    return Ground(seen, "docker0", "vxlan_docker")


def test_each_step_quotes_the_entry_that_decided_it() -> None:
    here = ground(tables())
    made = {point.place: decisions(frame(echo()), point, here, leaving=True) for point in POINTS[:4]}
    assert [decision.by for decision in made[Place.ENDPOINT]] == [By.ROUTE, By.NEIGHBOUR]
    assert made[Place.BRIDGE][0].line == f"{SERVER} dev vxlan_docker master docker0"
    assert made[Place.BRIDGE][0].meaning == f"{SERVER} is behind port vxlan_docker"
    entry, route, neighbour = made[Place.TUNNEL]
    assert entry.line == f"{SERVER} dev vxlan_docker dst 172.12.1.12 self"
    assert (route.by, neighbour.by) == (By.ROUTE, By.NEIGHBOUR)
    unknown = Ether(src=CLIENT, dst="02:00:00:00:00:99") / IP() / ICMP()
    assert "floods" in decisions(frame(unknown), POINTS[2], here, leaving=True)[0].meaning
    assert decisions(frame(unknown), POINTS[3], here, leaving=True)[0].line.startswith("00:00:00:00:00:00")


# ---- missed

UP = {"up": {"flags": ["BROADCAST", "UP"]}, "down": {"flags": ["BROADCAST"]}, "untold": {}}


def lost(at: int, before: Tables, after: Tables, packet: Packet | None = None, points: Sequence[Point] = POINTS) -> str:
    """Return the cause that is named for a packet that was seen up to a point, with its fact and advice."""
    shown = packet or echo()
    frames = {
        point: [frame(outer(shown) if point.place is Place.NIC else shown, point.number * 1e-6)]
        for point in points[: at + 1]
    }
    (seen,) = walk.packets(frames)
    sight = Sight(before, ground(after), "172.12.1.12", "k8s-2")
    found = loss_of(seen, points, {"k8s-1": sight, "k8s-2": sight})
    assert found is not None
    assert (found.after, found.before) == (points[at], points[at + 1])
    return f"{found.cause} | {found.fact} | {found.advice}"


def test_a_rule_that_counted_is_named() -> None:
    old = tables(drops={"iptables -t filter -P FORWARD DROP": 3})
    new = tables(drops={"iptables -t filter -P FORWARD DROP": 5})
    assert lost(2, old, new).startswith("FORWARD drops it on k8s-1 | `iptables -t filter -P FORWARD DROP` counted 2")


def test_a_device_that_is_down_is_named_before_what_follows_from_it() -> None:
    links = {"vxlan_docker": link("vxlan_docker", is_up=False), "eth0": link("eth0")}
    texts = {"fdb": FDB, "neighbours": "172.12.1.12 dev ens33 FAILED\n"}
    said = lost(2, tables(), tables(links=links, texts=texts))
    assert said.startswith("vxlan_docker of k8s-1 is down | `ip link show dev vxlan_docker` on k8s-1: no UP | ")
    assert "is down" not in lost(3, tables(), tables(links=links))
    ends = {"eth0": link("eth0", is_up=False)}
    assert lost(len(POINTS) - 2, tables(), tables(inside=ends)).startswith("eth0 of k8s-2 is down | `ip link show dev")
    assert "in its endpoint: no UP" in lost(len(POINTS) - 2, tables(), tables(inside=ends))
    assert "is down" not in lost(len(POINTS) - 2, tables(), tables(links=ends))


def test_links_are_read_with_whether_they_are_up() -> None:
    entries = [{"ifname": name, "ifindex": 1, "mtu": 1500, **flags} for name, flags in UP.items()]
    assert {name: found.is_up for name, found in links_of(json.dumps(entries), "k8s-1").items()} == {
        "up": True,
        "down": False,
        "untold": True,
    }


def test_a_next_hop_that_is_not_there_is_named() -> None:
    texts = {"fdb": FDB, "neighbours": "172.12.1.12 dev ens33 FAILED\n"}
    assert lost(3, tables(), tables(texts=texts)).startswith("nobody answers for 172.12.1.12 on ens33 of k8s-1")


def test_a_wrong_checksum_points_to_offloads() -> None:
    said = lost(5, tables(), tables(counters={"UdpInCsumErrors": 1}))
    assert said.startswith("k8s-2 throws datagrams away whose checksum is wrong")
    assert "tx-checksum-ip-generic" in said


def test_what_nobody_counted_is_not_guessed() -> None:
    assert lost(4, tables(), tables()).startswith("it left ens33 and did not come in by ens33")
    assert "no counter" in lost(1, tables(), tables())


def test_a_packet_that_does_not_fit_is_told_by_the_next_mtu() -> None:
    said = lost(2, tables(), tables(), echo(payload=1472))
    assert said.startswith("a packet of 1500 bytes does not fit through vxlan_docker of k8s-1, whose MTU is 1450")
    small = tuple(replace(point, mtu=1400) if point.number == 5 else point for point in POINTS)
    said = lost(4, tables(), tables(), echo(payload=1422), small)
    assert said.startswith("ens33 of k8s-2 has an MTU of 1400, too small for the 1500 bytes that k8s-1 sends")
    assert "1350 bytes" in said


def test_a_packet_that_arrived_is_not_lost() -> None:
    (seen,) = walk.packets(seen_everywhere(echo(), [number * 1e-6 for number in range(10)]))
    sight = Sight(tables(), ground(tables()), "172.12.1.12", "k8s-2")
    assert loss_of(seen, POINTS, {"k8s-1": sight, "k8s-2": sight}) is None


# ---- clocks


def test_the_servers_clock_is_set_right_by_both_ways_over_the_wire() -> None:
    ahead_s = 3600.5
    there = [0, 10, 20, 30, 40, 60, 70, 80, 90, 100]
    back = [340, 330, 320, 310, 300, 280, 270, 260, 250, 240]
    frames: dict[Point, list[Frame]] = {point: [] for point in POINTS}
    for times, reply in ((there, False), (back, True)):
        for point, found in seen_everywhere(echo(reply=reply), [1e-6 * t for t in times], reply=reply).items():
            by_s = ahead_s if point.side is Side.SERVER else 0.0
            frames[point] += [replace(one, time_s=one.time_s + by_s) for one in found]
    moved, clock, offset_s = aligned(frames, is_shared=False)
    assert clock is Clock.ALIGNED
    assert offset_s == pytest.approx(ahead_s, abs=1e-9)
    assert moved[POINTS[9]][0].time_s == pytest.approx(100e-6, abs=1e-7)
    assert aligned(frames, is_shared=True)[1] is Clock.SHARED
    del frames[POINTS[4]]
    assert aligned(frames, is_shared=False)[1] is Clock.APART


# ---- read from a node, and asked of it


def test_tables_are_read() -> None:
    counted = drops_of(
        "*filter\n:FORWARD DROP [7:588]\n[3:252] -A FORWARD -d 10.0.0.0/8 -j DROP\n[9:9] -A FORWARD -j ACCEPT\n"
        "[4:4] -A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable\n"
    )
    assert counted == {
        "iptables -t filter -P FORWARD DROP": 7,
        "iptables -t filter -A FORWARD -d 10.0.0.0/8 -j DROP": 3,
        "iptables -t filter -A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable": 4,
    }
    assert next_hop(Quote("", "10.244.1.2 via 10.244.1.0 dev flannel.1 src 10.244.0.1")) == ("10.244.1.0", "flannel.1")
    assert next_hop(Quote("", "RTNETLINK answers: Network is unreachable")) == ("", "")
    with pytest.raises(ToolError, match="k8s-1: `ip -j -d -s addr show` printed"):
        links_of("{]", "k8s-1")


def test_only_what_was_learned_of_the_endpoints_is_forgotten() -> None:
    text = f"172.17.0.3 dev docker0 lladdr {SERVER} STALE\n10.244.1.0 dev docker0 lladdr {SERVER} PERMANENT\n"
    text += f"172.17.0.3 dev other0 lladdr {SERVER} STALE\n"
    assert neighbours(text, {"docker0"}, {"172.17.0.3", "10.244.1.0"}) == [
        "ip neigh del 172.17.0.3 dev docker0".split()
    ]
    assert forwarding(FDB, {"vxlan_docker"}, {SERVER}) == [
        f"bridge fdb del {SERVER} dev vxlan_docker master".split(),
        f"bridge fdb del {SERVER} dev vxlan_docker dst 172.12.1.12 self".split(),
    ]
    assert forwarding(FDB, {"vxlan_docker"}, {CLIENT}) == []


def test_captures_are_bounded_and_filtered_to_the_flow() -> None:
    flow = Flow("172.17.0.2", "172.17.0.3", ("172.12.1.11", "172.12.1.12"), Encapsulation("udp", 4789, VXLAN_HEADERS))
    nic = Stop(POINTS[4], (), is_ethernet=True)
    words = argv_of(nic, filter_of(nic, flow), 12.0)
    assert words[:4] == ["timeout", "-k", "2", "13"]
    assert words[words.index("-c") + 1] == "4000"
    assert words[words.index("-s") + 1] == "400"
    said = filter_of(nic, flow)
    assert "host 172.12.1.11 and host 172.12.1.12" in said
    assert "udp port 4789" in said
    assert f"ether[76:4] = {0xAC110002}" in said, "the inner source behind 14 + 50 bytes, 12 into its header"
    assert filter_of(Stop(POINTS[0], (), is_ethernet=True), flow).startswith("(icmp or icmp6 or arp) and (host 172.17")
    assert "arp" not in filter_of(Stop(POINTS[3], (), is_ethernet=False), flow)
    hidden = Flow("10.0.0.1", "10.0.0.2", flow.outer, Encapsulation("udp", 51820, ("ipv4", "udp", "wireguard")))
    assert "ether[" not in filter_of(nic, hidden)


def test_a_port_alone_does_not_make_a_tunnel() -> None:
    """A datagram on the port of a tunnel that goes by TCP, and an empty one, are what they are."""
    by_tcp = Encapsulation("tcp", 8286, ("ipv4", "tcp", "tcp_timestamps", "openvpn_length"))
    assert names(Ether() / IP() / UDP(sport=8286, dport=8286) / Raw(bytes(echo()[IP])), by_tcp)[:3] == [
        *("ethernet", "ipv4", "udp"),
    ]
    plain = Encapsulation("udp", 8285, ("ipv4", "udp"))
    assert names(Ether() / IP() / UDP(sport=8285, dport=8285), plain) == ["ethernet", "ipv4", "udp"]


def test_of_several_entries_that_of_the_device_counts() -> None:
    texts = {
        "neighbours": "172.17.0.3 dev eth9 lladdr 02:00:00:00:00:09 STALE\n172.17.0.3 dev eth0 lladdr x REACHABLE\n",
        "ports": "7: veth9@if3: <UP> master docker0 state forwarding priority 32\n8: veth0@if2: <UP> master docker0\n",
        "details": "3: docker0: <UP> mtu 1450\\    bridge forward_delay 0 addrgenmode none\n"
        "4: vxlan_docker: <UP> mtu 1450\\    link/ether x\n"
        "4: vxlan_docker: <UP> mtu 1450\\    vxlan id 20 dstport 4789 bridge_slave state forwarding\n",
    }
    seen = tables(texts=texts)
    neighbour, port = seen.neighbour("172.17.0.3", "eth0"), seen.port("veth0")
    assert neighbour is not None
    assert neighbour.line == "172.17.0.3 dev eth0 lladdr x REACHABLE"
    assert port is not None
    assert port.line == "8: veth0@if2: <UP> master docker0"
    settings = seen.tunnel("vxlan_docker")
    assert settings is not None
    assert settings.line == "vxlan id 20 dstport 4789"
    assert (seen.tunnel("none"), seen.port("none"), seen.neighbour("172.17.0.9", "eth0")) == (None, None, None)
