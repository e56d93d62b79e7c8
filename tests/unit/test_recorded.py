"""Paths followed and found on nodes that are not there: they say what real ones said (tests/lab/record.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.fabric.ansible import paths
from harness.fabric.base import Fabric, Paths, Progress
from harness.fabric.profiles import load
from harness.inspect import capture, sending
from harness.inspect.endpoints import located
from harness.inspect.found import find, lies_between
from harness.inspect.pcap import save
from harness.inspect.points import Stop
from harness.inspect.sending import Sending
from harness.inspect.trace import Subject, Traced, trace, trace_on
from harness.labs.access import NIC_MTU
from harness.labs.base import Lab
from harness.labs.local import NODES
from harness.measures.ecmp import TCPDUMP
from harness.model.errors import InputError, LabError, ToolError
from harness.model.found import Between, Found
from harness.model.jobs import Completed
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.trace import By, Clock, Place, Walk
from harness.model.trial import UNDERLAY
from harness.nodes.channel import Channel
from harness.nodes.remote import Remote
from harness.results.plan import Setup
from harness.run.interrupt import Interruption
from harness.run.standing import Equipment, Ground
from tests.found import unlike
from tests.recorded import Replayed, Said, nothing_random, replayed
from tests.unit.world import ENVIRONMENT, FakeObserver

MTUS = (1450, 1500)
CLIENT, SERVER = (
    Node(name, number, address, "ens33", NIC_MTU, address6)
    for number, (name, address, address6) in enumerate(NODES[:2], 1)
)
BOTH = (CLIENT, SERVER)
LAB = Lab("local", None, None, CLIENT, SERVER, rate_bps=1e9, shared_kernel=True, scratch=Path("/none"))
PAIR = Pair("k8s-1", "k8s-2")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way where everything has been said already."""
    monkeypatch.setattr(capture, "_SETTLING_S", 0.0)


def setup_of(profile: str) -> Setup:
    return Setup((UNDERLAY,) if profile == UNDERLAY else (UNDERLAY, profile), MTUS, NIC_MTU)


def traced(record: str, profile: str, mtu: int = 1450, lab: Lab = LAB, **what: Any) -> Traced:  # noqa: ANN401 - Sending's
    """Trace a profile as it was traced when the record was made."""
    shapes = {name: load(name) for name in setup_of(profile).profiles}
    path = paths(setup_of(profile), shapes, CLIENT, SERVER)[profile, mtu]
    return trace(Subject(lab.limited_to([PAIR]), shapes[profile], mtu, path, Sending(**what)), replayed(record))


def walk_of(made: Traced, name: str) -> Walk:
    return next(one for one in made.trace.walks if one.name == name)


def way(one: Walk) -> list[str]:
    return [str(hop.point) for hop in one.hops]


# ---- followed


@pytest.fixture(scope="module")
def vxlan() -> Iterator[Traced]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "_SETTLING_S", 0.0)
        yield traced("trace-vxlan", "vxlan", count=3)


def test_an_echo_is_followed_through_every_device(vxlan: Traced) -> None:
    assert vxlan.trace.clock is Clock.SHARED
    assert (vxlan.trace.sent, vxlan.trace.answered, vxlan.trace.notes) == (3, 3, ())
    names = ["ARP request 1", "ARP reply 1", "echo request 1", "echo reply 1"]
    assert [one.name for one in vxlan.trace.walks] == names
    there = walk_of(vxlan, "echo request 1")
    places = [hop.point.place for hop in there.hops]
    assert places == [*[*Place][:3], Place.TUNNEL, Place.NIC, Place.NIC, Place.TUNNEL, *[*Place][2::-1]]
    assert way(there)[::-1] == way(walk_of(vxlan, "echo reply 1"))
    nic = there.hops[4]
    assert nic.changes == ("+50 bytes put in front: Ethernet 14, IPv4 20, UDP 8, VXLAN 8",)
    assert [layer.name for layer in nic.frames[0].layers][:4] == ["ethernet", "ipv4", "udp", "vxlan"]
    assert all(hop.since_s >= 0 for hop in there.hops)


def test_each_step_quotes_what_the_node_said(vxlan: Traced) -> None:
    decided = {hop.point.device: hop.decisions for hop in walk_of(vxlan, "echo request 1").hops[:5]}
    route, neighbour = decided["eth0"]
    assert (route.by, route.meaning) == (By.ROUTE, "leaves by eth0, next hop 172.17.0.3 in the endpoint")
    assert neighbour.by is By.NEIGHBOUR
    assert "learned by ARP in the endpoint" in neighbour.meaning
    entry, outer, _ = decided["vxlan_docker"]
    assert entry.command == "bridge fdb show"
    assert "the outer destination is 172.12.1.12" in entry.meaning
    assert outer.command == "ip route get 172.12.1.12"
    arrived = walk_of(vxlan, "echo request 1").hops[5].decisions
    assert arrived[0].meaning == "VNI 20 on this port is vxlan_docker's: it takes the outer headers off"
    assert walk_of(vxlan, "echo request 1").hops[-1].decisions == (), "it is where it was to be"


def test_a_broadcast_is_flooded_and_its_answer_is_not(vxlan: Traced) -> None:
    asked = {hop.point.device: hop for hop in walk_of(vxlan, "ARP request 1").hops[:5]}
    (flooded,) = asked["docker0"].decisions
    assert (flooded.by, flooded.line) == (By.FDB, "")
    assert flooded.meaning == "a broadcast: docker0 floods it to every other port"
    assert "for what no other entry is for" in asked["vxlan_docker"].decisions[0].meaning
    assert walk_of(vxlan, "ARP request 1").summary == "who has 172.17.0.3? tell 172.17.0.2"
    assert walk_of(vxlan, "ARP reply 1").summary.startswith("172.17.0.3 is at ")


def test_times_leave_the_first_echo_out(vxlan: Traced) -> None:
    steps = [one for one in vxlan.trace.times if one.kind == "request"]
    assert len(steps) == len(vxlan.trace.points) - 1
    assert {one.count for one in steps} == {2}
    assert all(one.lower_s <= one.median_s <= one.upper_s for one in vxlan.trace.times)
    assert str(steps[0].start).startswith("eth0@k8s-1")
    assert {one.kind for one in vxlan.trace.times} == {"request", "reply"}


def test_addresses_have_owners(vxlan: Traced) -> None:
    owners = vxlan.trace.owners
    assert owners["172.17.0.2"] == "eth0@k8s-1"
    assert owners["172.12.1.12"] == "ens33@k8s-2"
    macs = {point.mac: f"{point.device}@{point.node}" for point in vxlan.trace.points if point.mac in owners}
    assert {mac: owners[mac] for mac in macs} == macs
    assert len(macs) >= 4


def test_captures_are_files_with_comments(vxlan: Traced, tmp_path: Path) -> None:
    files = save(vxlan, tmp_path / "new" / "folder")
    assert [path.name for path in files][:2] == ["00-k8s-1-eth0.pcapng", files[1].name]
    assert len(files) == len(vxlan.trace.points)
    content = files[0].read_bytes()
    assert b"172.17.0.2 = eth0@k8s-1" in content
    assert b"echo request" in content
    with pytest.raises(InputError, match=r"00-k8s-1-eth0.pcapng is there already; give another folder"):
        save(vxlan, tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="captures cannot be written"):
        save(vxlan, tmp_path / "file" / "folder")


def test_tcp_shows_handshake_and_the_first_full_segment() -> None:
    made = traced("trace-vxlan-tcp", "vxlan", tcp=True)
    names = [one.name.rpartition(" ")[0] for one in made.trace.walks]
    assert [name for name in names if name.startswith("TCP")] == ["TCP SYN", "TCP SYN-ACK", "TCP ACK", "TCP data"]
    assert "MSS 1410" in walk_of(made, "TCP SYN 1").summary
    assert not any(one.loss for one in made.trace.walks)
    back = walk_of(made, "TCP SYN-ACK 1")
    assert str(back.hops[0].point) == "eth0@k8s-2"
    assert made.trace.command.startswith("iperf3 -c 172.17.0.3")
    assert made.trace.said == ""


def test_what_is_not_even_sent_is_said_in_the_senders_words() -> None:
    made = traced("trace-vxlan-refused", "vxlan", size=1500, pmtudisc="do", count=1)
    (one,) = made.trace.walks
    assert (one.name, one.summary) == ("echo", "1 sent, 0 answered")
    assert one.loss is not None
    assert one.loss.cause == "the sender refuses to send it"
    assert "too long" in one.loss.fact
    assert "leave -M do out" in one.loss.advice
    assert one.loss.after is None


def test_a_question_that_nobody_gets_is_lost_at_the_nic() -> None:
    made = traced("trace-vxlan-closed", "vxlan", count=2)
    lost = [one for one in made.trace.walks if one.loss]
    assert 1 <= len(lost) <= 3, "more are counted, and not shown"
    assert {one.name.rpartition(" ")[0] for one in lost} == {"ARP request"}
    assert lost[0].loss is not None
    assert str(lost[0].loss.after) == "ens33@k8s-2"
    assert str(lost[0].loss.before) == "vxlan_docker@k8s-2"
    assert lost[0].loss.cause == "the firewall drops it on k8s-2"
    assert lost[0].loss.advice == "accept what the other node, 172.12.1.11, sends here, before it"
    assert made.trace.answered == 0


def test_an_endpoint_that_does_not_answer_got_it() -> None:
    made = traced("trace-vxlan-mute", "vxlan", count=2)
    last = made.trace.walks[-1]
    assert last.loss is not None
    assert last.loss.cause == "it left eth0 and did not come in by eth0" or "did not answer" in last.loss.cause
    assert str(last.loss.after) == "eth0@k8s-2"
    assert "icmp_echo_ignore_all" in last.loss.advice


def test_a_routed_tunnel_rewrites_and_counts_down() -> None:
    made = traced("trace-flannel", "flannel", count=2)
    hops = {str(hop.point): hop for hop in walk_of(made, "echo request 1").hops}
    assert hops["flannel.1@k8s-1"].changes == ("MAC addresses rewritten", "routed: TTL 64 -> 63")
    away = hops["cni0@k8s-1"].decisions
    assert [decision.by for decision in away] == [By.ROUTE, By.NEIGHBOUR]
    assert "set by hand, never asked for" in away[1].meaning
    home = hops["flannel.1@k8s-2"].decisions
    assert home[0].by is By.ROUTE
    assert "cni0" in home[0].line


def test_a_rule_that_drops_is_named_and_few_of_many_are_shown() -> None:
    made = traced("trace-flannel-dropped", "flannel", count=5)
    lost = [one for one in made.trace.walks if one.loss]
    assert len(lost) == 3, "of five"
    loss = lost[0].loss
    assert loss is not None
    assert loss.cause == "FORWARD drops it on k8s-2"
    assert "-A FORWARD -d 10.244.0.0/16 -j DROP` counted 5 packets" in loss.fact
    assert made.trace.notes == ("5 of 5 echoes were not answered",)


def test_without_a_tunnel_the_nodes_route() -> None:
    made = traced("trace-host-gw", "host-gw", count=2)
    hops = {str(hop.point): hop for hop in walk_of(made, "echo request 1").hops}
    assert not any("put in front" in change for hop in hops.values() for change in hop.changes)
    assert hops["ens33@k8s-2"].decisions[0].by is By.ROUTE, "which says where it goes on"
    assert [made.line.split()[0] for made in hops["ens33@k8s-2"].decisions[:1]] == ["10.245.1.2"]


def test_the_underlay_has_two_points() -> None:
    made = traced("trace-underlay", UNDERLAY, 1500, count=2)
    assert way(walk_of(made, "echo request 1")) == ["ens33@k8s-1", "ens33@k8s-2"]
    assert {one.loss for one in made.trace.walks} == {None}


def test_other_clocks_are_set_right() -> None:
    made = traced("trace-vxlan", "vxlan", lab=replace(LAB, shared_kernel=False), count=3)
    assert made.trace.clock is Clock.ALIGNED
    assert abs(made.trace.offset_s) < 1e-3, "it was one clock"


# ---- with all that stands around it


@dataclass
class Built:
    """A lab, and a fabric, that are there already."""

    events: list[str] = field(default_factory=list)

    def nodes(self) -> tuple[Node, ...]:
        return BOTH

    def probe(self) -> list[str]:
        return []

    def up(self) -> Any:  # noqa: ANN401 - a lab's, and a fabric's
        self.events.append("up")
        return LAB

    def down(self, *_setup: Setup) -> None:
        self.events.append("down")


class BuiltFabric:
    def __init__(self, lab: Lab, profiles: Mapping[str, Any], events: list[str]) -> None:
        self._lab, self._profiles, self._events = lab, profiles, events

    def preflight(self, setup: Setup) -> None:
        raise AssertionError(setup)

    def up(self, setup: Setup, _observer: Progress, *, verify: bool) -> Mapping[Pair, Paths]:
        assert not verify, "it may be wrong, which is why it is traced"
        self._events.append("apply")
        return {PAIR: paths(setup, self._profiles, CLIENT, SERVER)}

    def down(self, setup: Setup) -> None:
        self._events.append(f"teardown {setup.profiles[-1]}")


class Measuring(Replayed):
    """A node on record, which has what measures and can make any link."""

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        if argv[0] == "sh" and "@hostname" in argv[2]:
            return Completed(tuple(argv), 0, ENVIRONMENT, "")
        if argv[:3] == ("ip", "link", "add") or argv[0] == "unshare" or "type" in argv:
            return Completed(tuple(argv), 0, "", "")
        return super().run(argv, timeout_s)


def test_a_set_up_is_traced_unverified_and_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    built = Built()
    nodes = {node.name: node for node in replayed("trace-vxlan")}
    for node in nodes.values():
        monkeypatch.setattr(node, "__class__", Measuring)

    def fabric(lab: Lab, profiles: Mapping[str, Any]) -> Fabric:
        return BuiltFabric(lab, profiles, built.events)

    observer = FakeObserver.__new__(FakeObserver)
    observer.stages = []
    equipment = Equipment(built, lambda node, _lab: nodes[node.name], fabric, Interruption(), observer)
    setup = Setup((UNDERLAY, "vxlan"), (1450,), NIC_MTU)
    shapes = {name: load(name) for name in setup.profiles}
    made = trace_on(equipment, setup, shapes, Sending(count=3))
    assert (made.trace.profile, made.trace.mtu, made.trace.answered) == ("vxlan", 1450, 3)
    assert built.events == ["up", "apply", "teardown vxlan", "down"]
    assert "following packets" in observer.stages


# ---- what a node says when it cannot


class Only(Remote):
    """A node that answers to what it is asked with one and the same."""

    def __init__(self, said: Said) -> None:
        self.name, self._said = "k8s-1", said

    def open_channel(self, argv: Sequence[str]) -> Channel:
        return Replayed(self.name, [Said(tuple(argv), self._said.stdout, self._said.stderr, self._said.exit_code)]
                        ).open_channel(argv)  # fmt: skip


def test_a_node_without_tcpdump_is_said() -> None:
    absent = Only(Said((), b"9\n", b"sh: 1: exec: tcpdump: not found\n", 127))
    with pytest.raises(LabError, match=f"k8s-1 has no tcpdump.*apt-get install {TCPDUMP.package} there"):
        capture.require_tcpdump([absent])
    capture.require_tcpdump([Only(Said((), b"9\ntcpdump version 4.99.3\n", b"", 0))])


@pytest.mark.parametrize(
    ("errors", "words"),
    [(b"tcpdump: eth0: You don't have permission\n(socket: EPERM)\n", "EPERM"), (b"", "it says nothing")],
)
def test_a_capture_that_does_not_start_is_refused_in_its_words(errors: bytes, words: str) -> None:
    stops = [Stop(point, (), is_ethernet=True) for point in vxlan_points()]
    refusing = Only(Said((), b"9\n", errors, 1))
    refused = pytest.raises(capture.CaptureRefusedError, match=f"tcpdump on eth0@k8s-1 did not start: .*{words}")
    with refused, capture.capturing({"k8s-1": refusing}, stops, lambda _stop: "icmp", 3):
        raise AssertionError("nothing is captured")


def vxlan_points() -> list[Any]:
    made = traced("trace-vxlan-refused", "vxlan", size=1500, pmtudisc="do", count=1)
    return [made.trace.points[0]]


def test_ping_that_cannot_be_run_is_said() -> None:
    absent = Only(Said((), b"9\n", b"ping: socket: Operation not permitted\n", 2))
    path = paths(setup_of(UNDERLAY), {UNDERLAY: load(UNDERLAY)}, CLIENT, SERVER)[UNDERLAY, 1500]
    with pytest.raises(ToolError, match="ping: ping: socket: Operation not permitted"):
        sending.send(Sending(), (absent, absent), path, 1500)


def test_tcp_that_fails_is_told_by_what_was_seen() -> None:
    class Dead(Only):
        def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
            assert timeout_s
            return Completed(tuple(argv), 0, READING, "")

    path = paths(setup_of(UNDERLAY), {UNDERLAY: load(UNDERLAY)}, CLIENT, SERVER)[UNDERLAY, 1500]
    failing = Dead(Said((), b"9\n", b"\niperf3: error - unable to connect to server\n", 1))
    sent = sending.send(Sending(tcp=True), (failing, failing), path, 1500)
    assert (sent.said, sent.sent) == ("iperf3: error - unable to connect to server", 0)
    broken = Dead(Said((), b"9\n", b"", -1))
    assert "the connection broke while" in sending.send(Sending(tcp=True), (broken, broken), path, 1500).said


READING = (Path(__file__).parents[1] / "golden" / "reading.txt").read_text(encoding="utf-8")


# ---- found


def found(record: str, profile: str) -> Found:
    remotes = replayed(record)
    with nothing_random():
        between = Between.parse(f"{profile}=netns:harness-{profile}-1450,netns:harness-{profile}-1450")
        return find(between, Ground(LAB, {remote.name: remote for remote in remotes}, {}))


@pytest.mark.parametrize("profile", ["vxlan", "host-gw"])
def test_a_path_is_recognised(profile: str) -> None:
    made = found(f"inspect-{profile}", profile)
    assert unlike(profile, made.to_json()) == []
    assert made.kind is load(profile).kind
    assert [str(one.place) for one in made.client.devices][:3] == ["endpoint", "veth", "bridge"]


def test_a_tunnel_is_shown_with_its_settings() -> None:
    made = found("inspect-vxlan", "vxlan")
    tunnel = made.client.at(Place.TUNNEL)
    assert tunnel is not None
    assert tunnel.detail.startswith("vxlan id 20 ")
    assert "port 4789" in tunnel.detail
    bridge = made.client.at(Place.BRIDGE)
    assert bridge is not None
    assert bridge.detail == "vxlan_docker is a port of it"
    assert made.notes == ()


def test_where_nothing_may_be_captured_devices_tell() -> None:
    remotes = replayed("inspect-vxlan-by-devices")
    spots = Between.parse("vxlan=netns:harness-vxlan-1450,netns:harness-vxlan-1450")
    with nothing_random():
        ends = located((spots.client, spots.server), remotes)
        ground = Ground(LAB, {remote.name: remote for remote in remotes}, {})
        made = lies_between("vxlan", ends, ground, captures=False, outset=["first"])
    assert made.wire.headers == ("ipv4", "udp", "vxlan", "ethernet")
    assert (made.wire.is_captured, made.wire.vni) == (False, 20)
    assert made.notes[0] == "first"
