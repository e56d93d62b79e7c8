"""Traces built by hand for tests of their reports.

`docker()` is the capture in the document that this project follows: what eth0, vxlan_docker and ens33 of k8s-1 show
has its addresses, sizes, ports, numbers and times; what it does not show (the other points) is made up. The others are
made up altogether, in the form in which Linux has these things.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.model.jobs import Side
from harness.model.trace import By, Clock, Decision, Frame, Hop, Layer, Loss, Place, Point, StepTime, Trace, Walk
from harness.report.trace_formats import FORMATS

C01, C02 = "02:42:ac:11:00:02", "02:42:ac:11:00:03"
NIC1, NIC2 = "00:0c:29:bd:fb:4a", "00:0c:29:e2:bf:86"
EVERYONE = "ff:ff:ff:ff:ff:ff"
START_S = 1627332843.857948
NODES = ("k8s-1", "k8s-2")


def points(kinds: Sequence[tuple[str, Place, int]], macs: Mapping[str, str]) -> tuple[Point, ...]:
    """Return the points of both nodes: those of the client's side, then the same the other way round."""
    own = [(NODES[0], Side.CLIENT, *kind) for kind in kinds]
    there = [(NODES[1], Side.SERVER, *kind) for kind in reversed(kinds)]
    return tuple(
        Point(number, node, side, device, place, mtu, macs.get(f"{device}@{node}", ""))
        for number, (node, side, device, place, mtu) in enumerate([*own, *there])
    )


def ethernet(src: str, dst: str) -> Layer:
    return Layer("ethernet", 14, {"src": src, "dst": dst})


def ipv4(src: str, dst: str, ttl: int = 64, **more: str | int) -> Layer:
    return Layer("ipv4", 20, {"src": src, "dst": dst, "ttl": ttl, **more})


def echo(kind: str = "echo-request", seq: int = 0) -> Layer:
    return Layer("icmp", 8, {"type": kind, "id": 0x1D00, "seq": seq})


def coat(
    src: str, dst: str, sport: int, vni: int, dport: int = 4789, macs: Sequence[str] = (NIC1, NIC2)
) -> list[Layer]:
    return [
        ethernet(*macs),
        ipv4(src, dst),
        Layer("udp", 8, {"sport": sport, "dport": dport}),
        Layer("vxlan", 8, {"vni": vni}),
    ]


def length(layers: Sequence[Layer], payload: int) -> int:
    return sum(layer.size for layer in layers) + payload


def hop(point: Point, time_s: float, start_s: float, layers: Sequence[Layer], payload: int, *changes: str) -> Hop:
    frame = Frame(time_s, length(layers, payload), tuple(layers))
    return Hop(point, (frame,), round(time_s - start_s, 6), changes)


# --- the document's capture ------------------------------------------------------------------------------------------

DOCKER_KINDS = [
    ("eth0", Place.ENDPOINT, 1500),
    ("veth5d26ec6b", Place.VETH, 1500),
    ("docker0", Place.BRIDGE, 1450),
    ("vxlan_docker", Place.TUNNEL, 1450),
    ("ens33", Place.NIC, 1500),
]
DOCKER_OWNERS = {
    C01: "eth0@k8s-1",
    C02: "eth0@k8s-2",
    NIC1: "ens33@k8s-1",
    NIC2: "ens33@k8s-2",
    "172.17.0.2": "eth0@k8s-1",
    "172.17.0.3": "eth0@k8s-2",
    "172.12.1.11": "ens33@k8s-1",
    "172.12.1.12": "ens33@k8s-2",
}
DOCKER_POINTS = points(DOCKER_KINDS, {owner: mac for mac, owner in DOCKER_OWNERS.items() if ":" in mac})
ON = "added: IPv4 20, UDP 8, VXLAN 8, Ethernet 14 around the frame"
OFF = "removed: the outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8"
FDB = Decision(
    By.FDB,
    "bridge fdb show dev vxlan_docker",
    "00:00:00:00:00:00 dst 172.12.1.12 via ens33 self permanent",
    "a frame for a MAC that is not known goes to 172.12.1.12, as does a broadcast",
)
LEARNED = Decision(
    By.FDB,
    "bridge fdb show dev vxlan_docker",
    "02:42:ac:11:00:03 dst 172.12.1.12 self",
    "the tunnel has learned behind which address this MAC is",
)
WIRE = Decision(
    By.ROUTE,
    "ip route get 172.12.1.12",
    "172.12.1.12 dev ens33 src 172.12.1.11 uid 0\n    cache",
    "the outer packet leaves through ens33, straight to its neighbour",
)
KNOWN = Decision(
    By.NEIGHBOUR,
    "ip neigh show to 172.17.0.3 dev eth0",
    "172.17.0.3 lladdr 02:42:ac:11:00:03 REACHABLE",
    "the container knows the MAC of 172.17.0.3 from ARP",
)
STEPS_US = (0, 8, 12, 17, 44, 120, 118, 119, 130, 141)
BACK_US = (0, 7, 9, 11, 24, 98, 98, 96, 120, 131)


def across(
    way: Sequence[Point],
    packet: Sequence[Layer],
    outer: Sequence[Layer],
    payload: int,
    times_s: Sequence[float],
    decided: Mapping[int, tuple[Decision, ...]],
) -> tuple[Hop, ...]:
    """Return the hops of a packet that has `outer` around it at NICs."""
    hops = []
    was_on = False
    for number, (point, time_s) in enumerate(zip(way, times_s, strict=True)):
        is_on = point.place is Place.NIC
        changes = [ON] if is_on and not was_on else [OFF] if was_on and not is_on else []
        layers = [*outer, *packet] if is_on else packet
        made = hop(point, time_s, times_s[0], layers, payload, *changes)
        hops.append(replace(made, decisions=decided.get(number, ())))
        was_on = is_on
    return tuple(hops)


def docker_walk(
    name: str,
    summary: str,
    packet: Sequence[Layer],
    payload: int,
    sport: int,
    start_s: float,
    steps_us: Sequence[int],
    decided: Mapping[int, tuple[Decision, ...]],
) -> Walk:
    is_reply = name.endswith("reply")
    ends = ("172.12.1.12", "172.12.1.11") if is_reply else ("172.12.1.11", "172.12.1.12")
    macs = (NIC2, NIC1) if is_reply else (NIC1, NIC2)
    way = DOCKER_POINTS[::-1] if is_reply else DOCKER_POINTS
    times = [round(start_s + step / 1e6, 6) for step in steps_us]
    outer = coat(*ends, sport, 20, macs=macs)
    return Walk(name, summary, across(way, packet, outer, payload, times, decided))


def docker() -> Trace:
    """Return the document's trace: ARP and the first echo there and back."""
    asked = Layer("arp", 28, {"op": "who-has", "hwsrc": C01, "psrc": "172.17.0.2", "pdst": "172.17.0.3"})
    told = Layer("arp", 28, {"op": "is-at", "hwsrc": C02, "psrc": "172.17.0.3", "pdst": "172.17.0.2"})
    there, back = ipv4("172.17.0.2", "172.17.0.3", flags="DF"), ipv4("172.17.0.3", "172.17.0.2")
    walks = (
        docker_walk(
            "ARP 1 request",
            "who has 172.17.0.3? tell 172.17.0.2",
            [ethernet(C01, EVERYONE), asked],
            0,
            51305,
            START_S,
            STEPS_US,
            {3: (FDB,), 4: (WIRE,)},
        ),
        docker_walk(
            "ARP 1 reply",
            f"172.17.0.3 is at {C02}",
            [ethernet(C02, C01), told],
            0,
            51881,
            START_S + 423e-6,
            (0, 7, 9, 11, 24, 98, 98, 110, 130, 160),
            {},
        ),
        docker_walk(
            "echo 1 request",
            "echo request 172.17.0.2 -> 172.17.0.3, id 7424, seq 0, 56 bytes of data",
            [ethernet(C01, C02), there, echo()],
            56,
            45497,
            START_S + 589e-6,
            (0, 8, 10, 12, 25, 99, 98, 97, 110, 121),
            {0: (KNOWN,), 3: (LEARNED,), 4: (WIRE,)},
        ),
        docker_walk(
            "echo 1 reply",
            "echo reply 172.17.0.3 -> 172.17.0.2, id 7424, seq 0, 56 bytes of data",
            [ethernet(C02, C01), back, echo("echo-reply")],
            56,
            59330,
            START_S + 869e-6,
            BACK_US,
            {},
        ),
    )
    return Trace(
        profile="vxlan",
        mtu=1500,
        lab="vagrant",
        nodes=NODES,
        source="172.17.0.2",
        destination="172.17.0.3",
        command="ping -c 2 172.17.0.3",
        points=DOCKER_POINTS,
        walks=walks,
        times=step_times(DOCKER_POINTS),
        owners=DOCKER_OWNERS,
        clock=Clock.ALIGNED,
        offset_s=-0.0123456,
        sent=2,
        answered=2,
        said="2 packets transmitted, 2 packets received, 0% packet loss\n"
        "round-trip min/avg/max = 0.643/1.044/1.446 ms\n",
        notes=("docker0 has MTU 1450 and eth0 1500: a packet above 1450 does not fit the tunnel.",),
    )


def step_times(way: Sequence[Point], count: int = 10) -> tuple[StepTime, ...]:
    """Return times of each step both ways; those at bridges are below zero."""
    made = []
    for kind, ordered in (("request", way), ("reply", way[::-1])):
        for number, (start, end) in enumerate(itertools.pairwise(ordered)):
            median = -0.4e-6 if Place.BRIDGE is start.place else (3.2 + 11 * number) * 1e-6
            made.append(StepTime(kind, start, end, count, median, median - 0.6e-6, median + 2.25e-6))
    return tuple(made)


# --- others ----------------------------------------------------------------------------------------------------------

POD1, POD2 = "7e:85:89:39:fc:c7", "be:ab:dc:a9:63:00"
CNI1, CNI2 = "b2:91:f9:da:fb:9a", "ce:ed:88:53:aa:9e"
VTEP1, VTEP2 = "d2:ba:c1:db:b3:77", "0e:f0:b5:8c:28:f5"
FLANNEL_KINDS = [
    ("eth0", Place.ENDPOINT, 1450),
    ("veth6fc1c522", Place.VETH, 1450),
    ("cni0", Place.BRIDGE, 1450),
    ("flannel.1", Place.TUNNEL, 1450),
    ("ens33", Place.NIC, 1500),
]
FLANNEL_OWNERS = {
    POD1: "eth0@k8s-1",
    POD2: "eth0@k8s-2",
    CNI1: "cni0@k8s-1",
    CNI2: "cni0@k8s-2",
    VTEP1: "flannel.1@k8s-1",
    VTEP2: "flannel.1@k8s-2",
    NIC1: "ens33@k8s-1",
    NIC2: "ens33@k8s-2",
    "10.244.0.3": "eth0@k8s-1",
    "10.244.1.3": "eth0@k8s-2",
    "10.244.0.1": "cni0@k8s-1",
    "10.244.1.0": "flannel.1@k8s-2",
    "172.12.1.11": "ens33@k8s-1",
    "172.12.1.12": "ens33@k8s-2",
}
FLANNEL_POINTS = points(FLANNEL_KINDS, {owner: mac for mac, owner in FLANNEL_OWNERS.items() if ":" in mac})


def flannel() -> Trace:
    """Return a routed tunnel: MACs are rewritten at cni0 and flannel.1, TTL falls at each, one clock."""
    data = [ipv4("10.244.0.3", "10.244.1.3", ttl) for ttl in (64, 63, 62)]
    macs = [ethernet(POD1, CNI1), ethernet(VTEP1, VTEP2), ethernet(CNI2, POD2)]
    outer = coat("172.12.1.11", "172.12.1.12", 51891, 1, 8472)
    stacks: list[tuple[list[Layer], tuple[str, ...]]] = [
        ([macs[0], data[0], echo()], ()),
        ([macs[0], data[0], echo()], ()),
        ([macs[0], data[0], echo()], ()),
        ([macs[1], data[1], echo()], ("rewritten: MACs", "TTL 64 -> 63")),
        ([*outer, macs[1], data[1], echo()], (ON,)),
        ([*outer, macs[1], data[1], echo()], ()),
        ([macs[1], data[1], echo()], (OFF,)),
        ([macs[2], data[2], echo()], ("rewritten: MACs", "TTL 63 -> 62")),
        ([macs[2], data[2], echo()], ()),
        ([macs[2], data[2], echo()], ()),
    ]
    pod_route = Decision(
        By.ROUTE,
        "ip route get 10.244.1.3",
        "10.244.1.3 via 10.244.0.1 dev eth0 src 10.244.0.3 uid 0\n    cache",
        "another subnet: by way of the gateway 10.244.0.1",
    )
    node_route = Decision(
        By.ROUTE,
        "ip route get 10.244.1.3 from 10.244.0.3 iif cni0",
        "10.244.1.3 from 10.244.0.3 via 10.244.1.0 dev flannel.1\n    cache iif cni0",
        "to the peer's VTEP 10.244.1.0 through flannel.1",
    )
    neighbour = Decision(
        By.NEIGHBOUR,
        "ip neigh show to 10.244.1.0 dev flannel.1",
        f"10.244.1.0 lladdr {VTEP2} PERMANENT",
        "flanneld has entered the MAC of the peer's VTEP; nobody asks by ARP",
    )
    fdb = Decision(
        By.FDB,
        "bridge fdb show dev flannel.1",
        f"{VTEP2} dst 172.12.1.12 self permanent",
        "this MAC is behind the node 172.12.1.12",
    )
    decided = {0: (pod_route,), 2: (node_route, neighbour), 3: (fdb, WIRE)}
    hops = [
        replace(
            hop(point, START_S + step / 1e6, START_S, layers, 56, *changes),
            decisions=decided.get(point.number, ()),
        )
        for point, step, (layers, changes) in zip(FLANNEL_POINTS, STEPS_US, stacks, strict=True)
    ]
    walk = Walk("echo 1 request", "echo request 10.244.0.3 -> 10.244.1.3, seq 0", tuple(hops))
    return replace(
        docker(),
        profile="flannel",
        mtu=1450,
        lab="local",
        source="10.244.0.3",
        destination="10.244.1.3",
        command="ping -c 1 10.244.1.3",
        points=FLANNEL_POINTS,
        walks=(walk,),
        times=step_times(FLANNEL_POINTS, 1),
        owners=FLANNEL_OWNERS,
        clock=Clock.SHARED,
        offset_s=0.0,
        sent=1,
        answered=1,
        said="",
        notes=(),
    )


def fragmented() -> Trace:
    """Return a packet of 1500 bytes in a tunnel over MTU 1500: the outer packet goes in two fragments."""
    whole = docker()
    packet = [ethernet(C01, C02), ipv4("172.17.0.2", "172.17.0.3"), echo()]
    hops = []
    for seen in whole.walks[2].hops:
        frame = Frame(seen.frames[0].time_s, length(packet, 1472), tuple(packet))
        frames: tuple[Frame, ...] = (frame,)
        if seen.point.place is Place.NIC:
            first = [*coat("172.12.1.11", "172.12.1.12", 45497, 20), *packet]
            first[1] = ipv4("172.12.1.11", "172.12.1.12", flags="MF", offset=0)
            second = [ethernet(NIC1, NIC2), ipv4("172.12.1.11", "172.12.1.12", flags="", offset=1480)]
            frames = (
                Frame(frame.time_s, 1514, tuple(first)),
                Frame(round(frame.time_s + 3e-6, 6), length(second, 50), tuple(second)),
            )
        hops.append(replace(seen, frames=frames))
    walk = replace(whole.walks[2], hops=tuple(hops), summary="echo request, 1472 bytes of data")
    return replace(whole, command="ping -c 1 -s 1472 172.17.0.3", walks=(walk,), clock=Clock.APART, offset_s=0.0)


def lost() -> Trace:
    """Return an echo that FORWARD drops at the bridge of the first node."""
    whole = flannel()
    loss = Loss(
        after=FLANNEL_POINTS[2],
        before=FLANNEL_POINTS[3],
        cause="the node's firewall drops what it forwards",
        fact="iptables -S FORWARD on k8s-1 says: -P FORWARD DROP, and no rule accepts 10.244.0.0/16",
        advice="accept the pods' network: iptables -I FORWARD -s 10.244.0.0/16 -j ACCEPT, and the same with -d",
        counted=("iptables FORWARD policy DROP: +3 packets on k8s-1",),
    )
    walk = replace(whole.walks[0], hops=whole.walks[0].hops[:3], loss=loss)
    said = "3 packets transmitted, 0 received, 100% packet loss, time 2033ms"
    return replace(whole, walks=(walk,), times=(), sent=3, answered=0, said=said)


def silent() -> Trace:
    """Return a trace without a packet: nobody answered ARP, so nothing was sent."""
    note = "Nobody answered ARP for 172.17.0.3: look whether its container runs, and whether docker0 has vxlan_docker."
    said = "From 172.17.0.2 icmp_seq=1 Destination Host Unreachable"
    return replace(docker(), walks=(), times=(), sent=1, answered=0, said=said, notes=(note,), clock=Clock.SHARED)


WIREGUARD_KINDS = [("eth0", Place.ENDPOINT, 1420), ("wg0", Place.TUNNEL, 1420), ("ens33", Place.NIC, 1500)]
WIREGUARD_POINTS = points(WIREGUARD_KINDS, {})


def wireguard() -> Trace:
    """Return an encrypted tunnel: on the NIC nothing of the packet is readable, on wg0 it has no Ethernet."""
    data = [ipv4("172.17.0.2", "172.17.0.3", 63), echo()]
    outer = [
        ethernet(NIC1, NIC2),
        ipv4("172.12.1.11", "172.12.1.12"),
        Layer("udp", 8, {"sport": 51820, "dport": 51820}),
        Layer("wireguard", 32, {"receiver": 7, "counter": 12}),
    ]
    first, bare = [ethernet(C01, NIC1), ipv4("172.17.0.2", "172.17.0.3"), echo()], data
    last = [ethernet(NIC2, C02), ipv4("172.17.0.2", "172.17.0.3", 62), echo()]
    stacks: list[tuple[list[Layer], int, tuple[str, ...]]] = [
        (first, 56, ()),
        (bare, 56, ("removed: Ethernet 14", "TTL 64 -> 63")),
        (outer, 96, ("added: Ethernet 14, IPv4 20, UDP 8, WireGuard 32; encrypted, filled up by 12",)),
        (outer, 96, ()),
        (bare, 56, ("removed: Ethernet 14, IPv4 20, UDP 8, WireGuard 32; decrypted",)),
        (last, 56, ("added: Ethernet 14", "TTL 63 -> 62")),
    ]
    times = [START_S + step / 1e6 for step in (0, 9, 31, 90, 88, 121)]
    hops = [
        hop(point, time_s, START_S, layers, payload, *changes)
        for point, time_s, (layers, payload, changes) in zip(WIREGUARD_POINTS, times, stacks, strict=True)
    ]
    walk = Walk("echo 1 request", "echo request 172.17.0.2 -> 172.17.0.3, seq 0", tuple(hops))
    return replace(
        docker(),
        profile="wireguard",
        mtu=1420,
        points=WIREGUARD_POINTS,
        walks=(walk,),
        times=step_times(WIREGUARD_POINTS, 2),
        notes=(),
    )


TRACES = {
    "docker": docker,
    "flannel": flannel,
    "fragmented": fragmented,
    "lost": lost,
    "silent": silent,
    "wireguard": wireguard,
}
"""Each trace by its name, which is also that of its golden files."""

GOLDEN = Path(__file__).parents[1] / "golden" / "trace"
SUFFIXES = {"text": "txt", "markdown": "md", "json": "json", "svg": "svg"}


def golden_of() -> list[tuple[str, str]]:
    """Return which traces have a golden file of which format: two of JSON and SVG, which are long."""
    return [
        (name, kind)
        for name in TRACES
        for kind in SUFFIXES
        if kind in {"text", "markdown"} or name in {"lost", "wireguard"}
    ]


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, kind in golden_of():
        (GOLDEN / f"{name}.{SUFFIXES[kind]}").write_text(FORMATS[kind](TRACES[name]()), encoding="utf-8")
