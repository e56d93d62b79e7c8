"""Endpoints that are there: named, entered, and told whether they reach each other, by what a node's programs print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.inspect import decide, endpoints, found, nodes
from harness.inspect.capture import Flow, filter_of
from harness.inspect.decide import HOME, Ground, decisions
from harness.inspect.decode import Encapsulation
from harness.inspect.endpoints import Endpoint
from harness.inspect.points import Stop, stops_of
from harness.inspect.sending import Sent
from harness.inspect.spaces import Device
from harness.inspect.story import Scene, told
from harness.inspect.tables import Link, Quote, Tables
from harness.labs.base import Lab
from harness.model.errors import HarnessError, LabError, PlaybookError, ToolError
from harness.model.found import Found, Spot, Wire
from harness.model.jobs import Completed, Side
from harness.model.node import Node
from harness.model.path import Endpoint as PathEndpoint
from harness.model.readings import Counters
from harness.model.trace import Place, Point
from harness.nodes.channel import Channel
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.run.interrupt import Interruption
from harness.run.standing import Equipment
from tests.unit.existing import FOUND, NODES, end
from tests.unit.test_trace import POINTS, echo, frame, ground, link, outer, seen_everywhere, tables
from tests.unit.world import PLAN, PROFILES, FakeObserver

Answers = Mapping[str, tuple[int, str]]


class Said(Remote):
    """A node that answers to a command by what is in it; to all others with success and nothing."""

    def __init__(self, name: str, answers: Answers) -> None:
        self.name, self._answers = name, dict(answers)
        self.counted = 0

    def open_channel(self, argv: Sequence[str]) -> Channel:
        raise AssertionError(f"{argv} would be started for good")

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        assert timeout_s
        line = " ".join(argv)
        if "cat /proc/net/snmp" in line:
            return Completed(tuple(argv), 0, f"Icmp: InMsgs InEchos\nIcmp: 0 {self.counted}\n", "")
        for words, (code, text) in self._answers.items():
            if words in line:
                return Completed(tuple(argv), code, text if code == 0 else "", text if code else "")
        return Completed(tuple(argv), 0, "", "")


def addresses(*own: str) -> str:
    listed = [{"local": address} for address in ("fe80::1", "169.254.0.9", *own)]
    return json.dumps([{"ifindex": 2, "ifname": "eth0", "mtu": 1450, "link_type": "ether", "addr_info": listed}])


def route(source: str = "10.0.0.1", **more: str) -> tuple[int, str]:
    return 0, json.dumps([{"prefsrc": source, "dev": "eth0", **more}])


# ---- named


INODES = {"/proc/self/ns/net": (0, "1"), "stat": (0, "2"), "addr show": (0, addresses("10.0.0.1"))}


@pytest.mark.parametrize(
    ("first", "second", "spots", "words"),
    [
        ({"stat -Lc %i /run/netns/x": (1, "no")}, {"stat -Lc %i /run/netns/x": (1, "no")}, ("netns:x", "netns:x"),
         "k8s-1 has no namespace x; `ip netns list` there"),
        ({"stat -Lc %i /run/netns/x": (1, "no")}, INODES, ("netns:x", "netns:y"),
         "netns:x is on k8s-2, where netns:y is to be as well: give one endpoint on k8s-1 and then one on k8s-2"),
        ({"readlink /proc/7/ns/net": (1, "")}, {"readlink": (0, "net:[1]")}, ("pid:7", "pid:8"),
         "no process 7 runs on k8s-1; give the pid that it has on the node itself"),
        ({"readlink": (0, "net:[1]"), "stat": (0, "1")}, INODES, ("pid:1", "pid:8"),
         "pid:1 is in k8s-1's own network, which is the underlay"),
        ({**INODES, "addr show": (1, "nsenter: gone")}, INODES, ("netns:x", "netns:x"),
         "k8s-1: netns:x cannot be entered: nsenter: gone"),
        ({**INODES, "addr show": (0, addresses())}, INODES, ("netns:x", "netns:x"),
         "netns:x on k8s-1 has no IPv4 address, which measuring takes"),
        ({"docker container": (1, "dial: daemon, cannot connect"), "podman": (126, "")}, {}, ("docker:web", "netns:x"),
         r"k8s-1 has no container web \(docker does not answer there\)"),
    ],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_had_is_said(
    first: Answers, second: Answers, spots: tuple[str, str], words: str
) -> None:
    client, server = (Spot.parse(spot) for spot in spots)
    with pytest.raises(HarnessError, match=words):
        endpoints.located((client, server), (Said("k8s-1", first), Said("k8s-2", second)))


def test_endpoints_are_entered_by_their_namespaces() -> None:
    container = {"docker container": (0, f"{'ab' * 32} 812\n"), "podman": (127, ""), **INODES}
    both = (Said("k8s-1", container), Said("k8s-2", {"readlink": (0, "net:[1]"), **INODES}))
    client, server = endpoints.located((Spot.parse("web"), Spot.parse("pid:9")), both)
    assert (client.what, client.namespace) == ("docker container abababababab, process 812", "/proc/812/ns/net")
    assert (server.what, server.addresses) == ("process 9", ["10.0.0.1"])


# ---- reached


def reach(client: Answers, server: Answers, *, arrives: bool = True, ends: Sequence[Sequence[str]] = ()) -> Any:  # noqa: ANN401 - what `reached` returns
    """Have one endpoint reach the other, whose node counts echoes where they arrive."""
    there, here = Said("k8s-2", server), Said("k8s-1", client)
    real = here.run

    def run(argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        there.counted += int(arrives and "ping" in argv)
        return real(argv, timeout_s)

    here.run = run  # type: ignore[method-assign]
    first, second = ends or (["10.0.0.1"], ["10.0.0.2"])
    both = tuple(
        Endpoint(name, f"netns:{name}", "namespace", "/run/netns/x", {"eth0": link("eth0", addresses=tuple(own))})
        for name, own in (("k8s-1", first), ("k8s-2", second))
    )
    return endpoints.reached((both[0], both[1]), (here, there))


THERE, BACK = {"route get": route(gateway="10.0.0.9")}, {"route get": route("10.0.0.2")}


def test_endpoints_that_reach_each_other() -> None:
    (there, back), notes = reach(THERE, BACK)
    assert there.route == "10.0.0.2 via 10.0.0.9 dev eth0 src 10.0.0.1"
    assert (back.source, notes) == ("10.0.0.2", [])
    _, notes = reach(THERE, BACK, ends=(["10.0.0.1"], ["10.0.0.2", "10.1.0.2"]))
    assert notes == ["netns:k8s-2 has other addresses, too, that are not measured: 10.1.0.2"]


@pytest.mark.parametrize(
    ("client", "server", "arrives", "ends", "words"),
    [
        (THERE, BACK, True, (["10.0.0.2"], ["10.0.0.2"]), "10.0.0.2 is an address of both"),
        ({"route get": (2, "unreachable")}, BACK, True, (), r"to 10.0.0.2 there is no route\."),
        ({"route get": (0, "[{}]")}, BACK, True, (), r"to 10.0.0.2 there is no route\."),
        (THERE, {"route get": (0, "[]")}, True, (), "to 10.0.0.2 there is no route back"),
        (THERE, BACK, False, (), "10.0.0.2 answers, but it is somebody else"),
        ({**THERE, "ping": (1, "")}, BACK, False, (), "no echo to 10.0.0.2 arrives"),
        ({**THERE, "ping": (1, "")}, BACK, True, (), "echoes to 10.0.0.2 arrive, but no reply comes back"),
    ],
)
def test_endpoints_that_do_not_are_said(
    client: Answers, server: Answers, arrives: bool, ends: Sequence[Sequence[str]], words: str
) -> None:
    with pytest.raises(LabError, match=f"netns:k8s-1 on k8s-1 does not reach netns:k8s-2 on k8s-2: {words}"):
        reach(client, server, arrives=arrives, ends=ends)


def test_ping_that_is_not_there_is_said() -> None:
    with pytest.raises(ToolError, match="ping does not start in netns:k8s-1 on k8s-1: not found"):
        reach({**THERE, "ping": (127, "not found")}, BACK)


# ---- what lies between


NIC = link("ens33", mtu=1500)
VETH = link("eth0", kind="veth", index=7, peer=8)
OUTER = link("veth1", kind="veth", index=8, peer=7, master="br0")


def looked(**links: Link) -> found._Looked:
    return found._Looked({"": links}, {}, {})


def test_a_node_without_its_nic_is_said() -> None:
    ends = Endpoint("k8s-1", "web", "x", "/n", {"eth0": VETH})
    with pytest.raises(LabError, match="k8s-1 has no device ens33; set underlay_device in the inventory"):
        found._side(NODES[0], ends, endpoints.Reach("10.0.0.1", "eth0", "…"), looked(eth9=NIC), Wire(()), 450)


@pytest.mark.parametrize(
    ("first", "others", "devices"),
    [
        (link("eth0", kind="macvlan"), {}, []),
        (VETH, {}, []),
        (VETH, {"veth1": OUTER}, [(Place.VETH, "veth1", "")]),
        (VETH, {"veth1": OUTER, "br0": link("br0", addresses=("10.0.0.254",))},
         [(Place.VETH, "veth1", ""), (Place.BRIDGE, "br0", "10.0.0.254")]),
    ],
)  # fmt: skip
def test_what_is_behind_an_endpoint(
    first: Link, others: dict[str, Link], devices: list[tuple[Place, str, str]]
) -> None:
    ends = Endpoint("k8s-1", "web", "x", "/n", {"eth0": first})
    made = found._between(ends, first, {"": others}, None)
    assert [(one.place, one.name, one.detail) for one in made] == devices


def test_a_tunnel_that_is_no_port_of_the_bridge_is_told_apart() -> None:
    ends = Endpoint("k8s-1", "web", "x", "/n", {"eth0": VETH})
    links = {"veth1": OUTER, "br0": link("br0")}
    joined = found._between(ends, VETH, {"": links}, Device("", link("vxlan0", kind="vxlan", master="br0")))
    assert joined[-1].detail == "vxlan0 is a port of it"
    beside = found._between(ends, VETH, {"": links}, Device("", link("vxlan0", kind="vxlan")))
    assert beside[-1].detail == ""


def test_what_should_be_known_beside_figures() -> None:
    own = {"": {"ens33": NIC}}
    small = {"": {"ens33": link("ens33", mtu=1400)}}
    differing = Found("swarm", end(1, mtu=1500), end(2), FOUND.wire, 1500)
    notes = found._notes(differing, NODES, [own, small])
    assert notes == [
        "the endpoints' MTUs differ, 1500 and 1450: packets of 1450 are measured",
        "ens33 of k8s-2 has MTU 1400, the inventory says 1500: set underlay_mtu there",
    ]
    bare = Found("swarm", end(1, tunnel=False, mtu=1500), end(2, tunnel=False, mtu=1500), FOUND.wire, 1500)
    assert found._notes(bare, NODES, [own, own])[0].startswith(
        "no device on each node could be told to be the tunnel's"
    )
    large = Found("swarm", end(1, mtu=1500), end(2, mtu=1500), FOUND.wire, 1500)
    assert found._notes(large, NODES, [own, own]) == [
        "endpoints send packets of 1500, the tunnel takes 1450: they are cut or lost"
    ]
    assert found._notes(FOUND, NODES, [own, own]) == []


def test_an_echo_that_ping_cannot_send_is_said() -> None:
    ends = Endpoint("k8s-1", "web", "x", "/n", {})
    with pytest.raises(ToolError, match="ping on k8s-1: ping: bad pattern"):
        found._ping(Said("k8s-1", {"ping": (2, "ping: bad pattern")}), ends, "10.0.0.2", bytes(16), 450)
    found._ping(Said("k8s-1", {"ping": (1, "lost")}), ends, "10.0.0.2", bytes(16), 450)


def test_two_tunnels_that_counted_are_none() -> None:
    one, other = (link(name, kind="vxlan", settings={"id": 4097, "port": 4789}) for name in ("v0", "v1"))
    zero, grown = Counters(0, 0, 0, 0), Counters(9000, 10, 9000, 10)
    both = found._Looked({"": {"v0": one, "v1": other}}, {("", "v0"): zero, ("", "v1"): zero}, {("", "v0"): grown})
    assert found._tunnel(both, FOUND.wire, 450) == Device("", one)
    both = found._Looked(both.spaces, both.before, {("", "v0"): grown, ("", "v1"): grown})
    assert found._tunnel(both, FOUND.wire, 450) is None


# ---- points, filters and decisions


def test_an_endpoint_whose_device_is_not_there_is_said() -> None:
    there = PathEndpoint("10.0.0.1", ("ip", "netns", "exec", "x"))
    with pytest.raises(LabError, match=r"k8s-1: no device in its endpoint has the address 10.0.0.1"):
        stops_of("k8s-1", Side.CLIENT, there, Tables(), "ens33", None, [])


def test_points_are_what_there_is_of_the_way() -> None:
    there = PathEndpoint("10.0.0.1", ("ip", "netns", "exec", "x"))
    inside = {"eth0": link("eth0", addresses=("10.0.0.1",), index=7, peer=8)}
    bare = Tables(links={"ens33": NIC}, inside=inside)
    assert [stop.point.place for stop in stops_of("k8s-1", Side.CLIENT, there, bare, "ens33", "none", [])] == [
        *(Place.ENDPOINT, Place.NIC),
    ]
    links = {"ens33": NIC, "veth1": link("veth1", index=8), "tap0": link("tap0"), "wg0": link("wg0")}
    full = Tables(links=links, inside=inside)
    made = stops_of("k8s-1", Side.CLIENT, there, full, "ens33", "wg0", ["wg0", "tap0", "none", "ens33"])
    assert [(str(stop.point), stop.point.place) for stop in made] == [
        ("eth0@k8s-1", Place.ENDPOINT),
        ("veth1@k8s-1", Place.VETH),
        ("tap0@k8s-1", Place.LINK),
        ("wg0@k8s-1", Place.TUNNEL),
        ("ens33@k8s-1", Place.NIC),
    ]


@pytest.mark.parametrize(
    ("flow", "point", "is_ethernet", "words"),
    [
        (Flow("10.0.0.1", "10.0.0.2", ("192.0.2.1", "192.0.2.2"), None, "tcp"), POINTS[0], True,
         "(tcp and host 10.0.0.1 and host 10.0.0.2) or (icmp and (host 10.0.0.1 or host 10.0.0.2)) or (arp and"),
        (Flow("10.0.0.1", "10.0.0.2", ("192.0.2.1", "192.0.2.2"), None, "tcp"), POINTS[3], False,
         "(tcp and host 10.0.0.1 and host 10.0.0.2) or (icmp and (host 10.0.0.1 or host 10.0.0.2))"),
        (Flow("10.0.0.1", "10.0.0.2", ("192.0.2.1", "192.0.2.2"), Encapsulation("47", None, ("ipv4", "gre"))),
         POINTS[4], True, "and ((proto 47 and (ether["),
        (Flow("10.0.0.1", "10.0.0.2", ("fd00::1", "fd00::2"), Encapsulation("41", None, ("ipv6",))), POINTS[4], True,
         "ip6 proto 41 and"),
        (Flow("fd01::1", "fd01::2", ("fd00::1", "fd00::2"), Encapsulation("udp", 4789, ("ipv6", "udp"))), POINTS[4],
         True, "((udp port 4789) or (ip6 proto 44))"),
    ],
)  # fmt: skip
def test_filters_are_of_the_flow(flow: Flow, point: Point, is_ethernet: bool, words: str) -> None:
    assert words in filter_of(Stop(point, (), is_ethernet), flow)


def test_what_decides_where_there_is_little_to_quote() -> None:
    bare = Ground(tables(routes={}, texts={}), "docker0", "vxlan_docker")
    at = {point.place: point for point in POINTS[:5]}
    assert decisions(frame(echo()), at[Place.ENDPOINT], bare, leaving=True) == ()
    assert decisions(frame(echo()), at[Place.ENDPOINT], bare, leaving=False) == ()
    assert decisions(frame(echo()), at[Place.VETH], bare, leaving=True) == ()
    assert decisions(frame(echo()), at[Place.NIC], bare, leaving=True) == ()
    assert decisions(frame(outer(echo())), at[Place.NIC], bare, leaving=False) == (), (
        "the tunnel says nothing of itself"
    )
    assert decisions(frame(echo()), at[Place.TUNNEL], bare, leaving=False) == ()
    assert decisions(frame(echo()), at[Place.TUNNEL], bare, leaving=True) == ()
    link_only = Point(0, "k8s-1", Side.CLIENT, "tap0", Place.LINK, 1500)
    assert decisions(frame(echo()), link_only, bare, leaving=True) == ()


def test_a_tunnel_with_one_other_end_is_quoted_by_its_settings() -> None:
    texts = {
        "details": "4: vxlan_docker: <UP>\\    vxlan id 20 remote 172.12.1.12\n",
        "ports": "4: vxlan_docker: <UP> master docker0 priority 32\n5: veth0@if3: <UP> master docker0\n",
    }
    seen = ground(tables(texts=texts))
    (settings, route, *_) = decisions(frame(echo()), POINTS[3], seen, leaving=True)
    assert settings.meaning == "the tunnel has one other end"
    assert route.line.startswith("172.12.1.12 dev ens33")
    (port,) = decisions(frame(echo()), POINTS[3], seen, leaving=False)
    assert port.meaning == "what comes out of vxlan_docker is docker0's to forward"
    (veth,) = decisions(frame(echo()), POINTS[1], seen, leaving=True)
    assert veth.meaning == "what comes out of veth0 is docker0's to forward"
    assert decisions(frame(echo()), POINTS[1], seen, leaving=False) == ()
    (inner,) = decisions(frame(outer(echo())), POINTS[4], seen, leaving=False)
    assert inner.meaning == "VNI 20 on this port is vxlan_docker's: it takes the outer headers off"


def test_routes_of_a_node_are_asked_both_ways() -> None:
    asked = decide.routes_of("10.0.0.1", "10.0.0.2", "192.0.2.2", "", "ens33")
    assert asked == {"+inside": ["10.0.0.2"], "outer": ["192.0.2.2"]}
    both = decide.routes_of("10.0.0.1", "10.0.0.2", "192.0.2.2", "br0", "vxlan0")
    assert both[HOME] == ["10.0.0.1", "from", "10.0.0.2", "iif", "vxlan0"]


def test_a_neighbour_that_nobody_answers_for_is_told() -> None:
    routes = {HOME: Quote("ip route get", "172.17.0.2 via 172.17.0.9 dev docker0")}
    seen = ground(tables(routes=routes, texts={"neighbours": "172.17.0.9 dev docker0 FAILED\n"}))
    _, neighbour = decisions(frame(echo()), POINTS[6], Ground(seen.tables, "docker0", ""), leaving=False)
    assert neighbour.meaning == "nobody answers for 172.17.0.9"


# ---- told


def scene(frames: Mapping[Point, Any]) -> Scene:
    from harness.inspect.lost import Sight  # noqa: PLC0415 - beside its one use

    sight = Sight(tables(), ground(tables()), "172.12.1.12", "k8s-2")
    return Scene(POINTS, frames, {"k8s-1": sight, "k8s-2": sight}, shared_clock=True)


def test_where_nothing_was_seen_that_is_said() -> None:
    story = told(scene({}), "172.17.0.2", "172.17.0.3", Sent("ping", "0 received", 2, 0))
    (one,) = story.walks
    assert one.loss is not None
    assert (one.loss.cause, one.loss.fact) == ("the sender refuses to send it", "0 received")
    silent = told(scene({}), "172.17.0.2", "172.17.0.3", Sent("ping", "", 2, 0)).walks[0].loss
    assert silent is not None
    assert (silent.cause, silent.fact) == ("nothing was sent", "no packet was seen at any point")


def test_other_flows_in_the_tunnel_are_not_told() -> None:
    frames = seen_everywhere(echo(), [number * 1e-6 for number in range(10)])
    story = told(scene(frames), "10.9.9.1", "10.9.9.2", Sent("ping", "1 received", 1, 1))
    assert (story.walks, story.times) == ((), ())


# ---- before a run


class Sourced:
    """A lab of two nodes, of which one may not answer."""

    def __init__(self, tmp_path: Path) -> None:
        self.lab = Lab("local", tmp_path, None, *NODES, rate_bps=1e9, shared_kernel=True, scratch=tmp_path)
        self.gone = ""
        self.refused = ""

    def nodes(self) -> tuple[Node, ...]:
        return NODES

    def probe(self) -> list[str]:
        return []

    def up(self) -> Lab:
        return self.lab

    def down(self) -> None:
        """Nothing was made."""

    def connect(self, node: Node, _lab: Lab) -> Remote:
        if node.name == self.gone:
            raise LabError(f"cannot connect to {node.name}")
        return Said(node.name, {})


class Preflight:
    def __init__(self, sourced: Sourced) -> None:
        self._sourced = sourced

    def preflight(self, setup: Any) -> None:  # noqa: ANN401 - a Setup
        if self._sourced.refused in setup.profiles:
            raise PlaybookError(f"{setup.profiles[0]} is there already")


def checks(
    sourced: Sourced, plan: Plan, monkeypatch: pytest.MonkeyPatch, *, makes: bool = True
) -> list[tuple[str, bool, str]]:
    def supported(setup: Any, *_more: Any, skip: bool) -> None:  # noqa: ANN401 - what is asked there
        if not makes:
            raise LabError(f"no kernel for {setup.profiles[0]}, {skip}")

    monkeypatch.setattr(nodes, "environments", lambda *_given: {})
    monkeypatch.setattr(nodes, "supported", supported)
    observer = FakeObserver.__new__(FakeObserver)
    observer.stages = []
    made = Equipment(
        sourced, sourced.connect, lambda _lab, _profiles: Preflight(sourced), Interruption(), observer  # type: ignore[arg-type, return-value]
    )  # fmt: skip
    return [(check.what, check.passed, check.remedy) for check in nodes.inspect(plan, PROFILES, made)]


def test_what_a_run_needs_is_looked_for_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sourced = Sourced(tmp_path)
    seen = checks(sourced, PLAN, monkeypatch)
    assert [what for what, _, _ in seen] == [
        "k8s-1: answers over SSH",
        "k8s-2: answers over SSH",
        "k8s-1: has what measures (iperf3, ping)",
        "k8s-2: has what measures (iperf3, ping)",
        "vxlan: the kernels can make it",
        "vxlan: nothing is in its way",
    ]
    assert all(passed for _, passed, _ in seen)
    sourced.refused = "vxlan"
    assert checks(sourced, PLAN, monkeypatch)[-1] == (
        *("vxlan: nothing is in its way", False, "vxlan is there already"),
    )
    assert checks(sourced, PLAN, monkeypatch, makes=False)[-1] == (
        *("vxlan: the kernels can make it", False, "no kernel for vxlan, False"),
    )
    sourced.gone = "k8s-2"
    assert checks(sourced, PLAN, monkeypatch)[-1] == (*("k8s-2: answers over SSH", False, "cannot connect to k8s-2"),)
