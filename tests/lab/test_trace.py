"""Packets followed on the real kernel: what the document says by hand, what tshark says, and what breaks on the way."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fabric.profiles import load
from harness.inspect.pcap import save
from harness.inspect.trace import Traced
from harness.model.path import Kind
from harness.model.trace import By, Clock, Place
from harness.model.trial import UNDERLAY
from harness.truth import wire
from tests.lab.bench import PROFILES, Bench, bench, done, eventually, missing_link_types, ping
from tests.lab.machine import Machine
from tests.lab.test_stranger import STRANGER
from tests.lab.tracing import FIELDS, NAMES, dissected, hop_at, layer, lengths, number, traced, walk_of

pytestmark = pytest.mark.lab

ECHO_BYTES = 98
ALL = [UNDERLAY, *PROFILES]
DECODE_AS = ("udp.port==8472,vxlan", "udp.port==4790,vxlan", "udp.port==4793,vxlan", "udp.port==8473,vxlan")
BROADCAST = "ff:ff:ff:ff:ff:ff"


@pytest.fixture(scope="module")
def traces(up: Bench) -> dict[str, Traced]:
    """A trace of every profile that this kernel can do."""
    return {name: traced(up, name, count=4) for name in ALL if name not in missing_link_types()}


def test_vxlan_is_as_the_document_has_it(traces: dict[str, Traced]) -> None:
    trace = traces["vxlan"].trace
    asked, answered = walk_of(trace, "ARP request 1"), walk_of(trace, "ARP reply 1")
    wire_names = {"ens33@k8s-1", "ens33@k8s-2"}
    for walk, inside in ((asked, 42), (answered, 42), (walk_of(trace, "echo request 1"), ECHO_BYTES)):
        assert {point: size for point, size in lengths(walk).items() if point in wire_names} == dict.fromkeys(
            wire_names, inside + 50
        )
        assert {size for point, size in lengths(walk).items() if point not in wire_names} == {inside}
        hop = hop_at(walk, "ens33@k8s-1")
        assert (layer(hop, "vxlan").fields["vni"], layer(hop, "udp").fields["dport"]) == (20, 4789)
        added = "+50 bytes put in front: Ethernet 14, IPv4 20, UDP 8, VXLAN 8"
        assert added in [text for hop in walk.hops for text in hop.changes]
    hop = hop_at(asked, "ens33@k8s-1")
    assert layer(hop, "ethernet", 1).fields["dst"] == BROADCAST
    assert (layer(hop, "ipv4").fields["src"], layer(hop, "ipv4").fields["dst"]) == ("172.12.1.11", "172.12.1.12")
    flooded = hop_at(asked, "vxlan_docker@k8s-1").decisions[0]
    assert flooded.line.startswith("00:00:00:00:00:00 dev vxlan_docker dst 172.12.1.12")
    learned = hop_at(walk_of(trace, "echo request 1"), "vxlan_docker@k8s-1").decisions[0]
    mac = layer(hop_at(answered, "eth0@k8s-2"), "arp").fields["hwsrc"]
    assert learned.by is By.FDB
    assert learned.line.split()[:5] == [mac, "dev", "vxlan_docker", "dst", "172.12.1.12"]
    assert "permanent" not in learned.line


def test_flannel_is_as_the_document_has_it(traces: dict[str, Traced]) -> None:
    trace = traces["flannel"].trace
    walk = walk_of(trace, "echo request 1")
    hop = hop_at(walk, "ens33@k8s-1")
    assert (lengths(walk)["flannel.1@k8s-1"], lengths(walk)["ens33@k8s-1"]) == (ECHO_BYTES, ECHO_BYTES + 50)
    assert (layer(hop, "vxlan").fields["vni"], layer(hop, "udp").fields["dport"]) == (1, 8472)
    own, peer = (trace.owners[str(layer(hop, "ethernet", 1).fields[end])] for end in ("src", "dst"))
    assert (own, peer) == ("flannel.1@k8s-1", "flannel.1@k8s-2")
    in_tunnel = [one.name for one in trace.walks if one.name.startswith("ARP") and len(one.hops) > 3]
    assert in_tunnel == [], "neighbours of the tunnel are set by hand, nobody asks for them there"
    route, neighbour = hop_at(walk, "cni0@k8s-1").decisions
    assert route.by is By.ROUTE
    assert "via 10.244.1.0 dev flannel.1" in route.line
    assert neighbour.line.startswith("10.244.1.0 dev flannel.1 lladdr 02:f1:00:00:01:01 PERMANENT")
    entry = hop_at(walk, "flannel.1@k8s-1").decisions[0]
    assert "02:f1:00:00:01:01 dev flannel.1 dst 172.12.1.12 self permanent" in entry.line
    assert "routed: TTL 64 -> 63" in hop_at(walk, "flannel.1@k8s-1").changes


def test_host_gw_puts_nothing_in_front(traces: dict[str, Traced]) -> None:
    walk = walk_of(traces["host-gw"].trace, "echo request 1")
    assert set(lengths(walk).values()) == {ECHO_BYTES}
    assert "via 172.12.1.12 dev ens33" in hop_at(walk, "cni-gw0@k8s-1").decisions[0].line


@pytest.mark.parametrize("profile", ALL)
def test_every_profile_is_followed_both_ways(traces: dict[str, Traced], profile: str) -> None:
    if profile in missing_link_types():
        return  # there is nothing to follow
    trace, shape = traces[profile].trace, load(profile)
    assert (trace.sent, trace.answered, trace.clock) == (4, 4, Clock.SHARED)
    there, back = walk_of(trace, "echo request 1"), walk_of(trace, "echo reply 1")
    assert [hop.point for hop in there.hops] == [hop.point for hop in reversed(back.hops)] == [*trace.points]
    assert not there.loss
    wanted = {Place.NIC} if profile == UNDERLAY else {Place.ENDPOINT, Place.VETH, Place.BRIDGE, Place.NIC}
    wanted |= {Place.TUNNEL} if shape.kind is Kind.TUNNEL else set()
    assert {point.place for point in trace.points} - {Place.LINK} == wanted
    assert lengths(there)["ens33@k8s-1"] == lengths(there)["ens33@k8s-2"] == ECHO_BYTES + wire.overhead(shape.headers)
    assert all(hop.since_s >= 0 for hop in there.hops)
    counts = {(step.kind, step.start.number): step.count for step in trace.times}
    assert set(counts.values()) == {3}, "the first echo fills caches, and does not count"
    assert all(step.lower_s <= step.median_s <= step.upper_s for step in trace.times)
    assert len({walk.name for walk in trace.walks}) == len(trace.walks)


@pytest.mark.parametrize("profile", ALL)
def test_tshark_says_the_same(traces: dict[str, Traced], profile: str, tmp_path: Path) -> None:
    assert shutil.which("tshark"), "`make test` installs it"
    if profile in missing_link_types():
        return  # there is nothing that was captured
    compare_with_tshark(traces[profile], tmp_path)


def compare_with_tshark(found: Traced, folder: Path) -> None:
    """Hold every field of every frame of a trace against what tshark says of the same captures."""
    files = save(found, folder / "captures")
    assert len(files) == len(found.trace.points)
    compared = 0
    for file in files:
        frames = found.captures[int(file.name[:2])].frames
        theirs = [*dissected(file, *DECODE_AS)]
        assert len(theirs) == len(frames)
        for ours, their in zip(frames, theirs, strict=True):
            assert ours.frame.length == their.length
            for own, (name, fields) in zip(ours.frame.layers, their.headers, strict=False):
                assert own.name == NAMES.get(name, name)
                for mine, its in FIELDS[name].items():
                    if mine in own.fields:
                        assert number(own.fields[mine]) == number(fields[its]), (file.name, name, mine)
                        compared += 1
    assert compared > 50


def test_a_stranger_is_followed_without_a_line_of_code(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "stranger.yml").write_text(STRANGER, encoding="utf-8")
    bench.play("apply", ["stranger"], [tmp_path])
    trace = traced(bench, "stranger", 1450, [tmp_path], count=2).trace
    hop = hop_at(walk_of(trace, "echo request 1"), "ens33@k8s-1")
    assert (layer(hop, "vxlan").fields["vni"], layer(hop, "udp").fields["dport"]) == (77, 4795)
    assert hop.frames[0].length == ECHO_BYTES + 50


def test_tcp_shows_handshake_mss_and_a_burst(up: Bench, tmp_path: Path) -> None:
    found = traced(up, "vxlan", tcp=True)
    names = [walk.name.rpartition(" ")[0] for walk in found.trace.walks if walk.name.startswith("TCP")]
    assert names == ["TCP SYN", "TCP SYN-ACK", "TCP ACK", "TCP data"]
    syn, data = walk_of(found.trace, "TCP SYN 1"), next(one for one in found.trace.walks if "TCP data" in one.name)
    assert layer(syn.hops[0], "tcp").fields["mss"] == 1410
    assert "MSS 1410" in syn.summary
    assert any("GSO burst" in text for hop in data.hops for text in hop.changes)
    compare_with_tshark(found, tmp_path)


# ---- too large: refused, cut inside, cut outside, lost


@pytest.fixture(scope="module", name="wide")
def wide_bench() -> Iterator[Bench]:
    """A lab for packets that are too large, which the endpoints remember for ten minutes."""
    with bench() as made:
        made.play("apply", ["vxlan", "vxlan-1500"])
        yield made


def test_too_large_is_lost_without_a_word_and_cut_where_it_may_be(wide: Bench) -> None:
    lost = traced(wide, "vxlan", 1500, size=1500, pmtudisc="do", count=1).trace
    loss = walk_of(lost, "echo request 1").loss
    assert loss is not None
    assert (str(loss.after), str(loss.before)) == ("docker0@k8s-1", "vxlan_docker@k8s-1")
    assert "MTU is 1450" in loss.cause
    inside = traced(wide, "vxlan", 1500, size=1500, pmtudisc="dont", count=1).trace
    assert inside.answered == 1
    assert [len(hop.frames) for hop in walk_of(inside, "echo request 1").hops][3:5] == [2, 2]
    outside = traced(wide, "vxlan-1500", 1500, size=1500, pmtudisc="dont", count=1).trace
    walk = walk_of(outside, "echo request 1")
    assert len(hop_at(walk, "vxlan_1500@k8s-1").frames) == 1
    assert [frame.length for frame in hop_at(walk, "ens33@k8s-1").frames] == [1514, 84]
    assert outside.answered == 1
    refused = traced(wide, "vxlan", 1450, size=1500, pmtudisc="do", count=1).trace
    (walk,) = refused.walks
    assert walk.loss is not None
    assert walk.loss.after is None
    assert "message too long" in walk.loss.fact


# ---- what breaks on the way


def test_forward_that_drops_is_named(bench: Bench) -> None:
    bench.play("apply", ["flannel"])
    done(bench.client, *"iptables -w -I FORWARD 1 -d 10.244.0.0/16 -j DROP".split())
    loss = walk_of(traced(bench, "flannel", count=1).trace, "echo request 1").loss
    assert loss is not None
    assert (str(loss.after), str(loss.before)) == ("cni0@k8s-1", "flannel.1@k8s-1")
    assert loss.cause == "FORWARD drops it on k8s-1"
    assert "-A FORWARD -d 10.244.0.0/16 -j DROP` counted 1 packets" in loss.fact
    assert any("FORWARD" in text for text in loss.counted)


def lead_nowhere(bench: Bench, profile: str) -> str:
    """Have the client's tunnel send what is for the server's side to an address that nobody has; return that MAC."""
    device = load(profile).tunnel or ""
    hop = hop_at(walk_of(traced(bench, profile, count=1).trace, "echo request 1"), "ens33@k8s-1")
    mac = str(layer(hop, "ethernet", 1).fields["dst"])
    done(bench.client, *f"bridge fdb del {mac} dev {device} dst 172.12.1.12 self".split())
    done(bench.client, *f"bridge fdb add {mac} dev {device} dst 172.12.1.99 self permanent".split())
    return mac


def test_a_forwarding_entry_to_nowhere_is_named(bench: Bench) -> None:
    bench.play("apply", ["flannel"])
    mac = lead_nowhere(bench, "flannel")
    loss = walk_of(traced(bench, "flannel", count=1).trace, "echo request 1").loss
    assert loss is not None
    assert (str(loss.after), str(loss.before)) == ("flannel.1@k8s-1", "ens33@k8s-1")
    assert "leads to 172.12.1.99, which is not k8s-2" in loss.cause
    assert f"{mac} dev flannel.1 dst 172.12.1.99" in loss.fact


def test_a_permanent_entry_to_nowhere_has_replies_dropped(bench: Bench) -> None:
    bench.play("apply", ["vxlan"])
    mac = lead_nowhere(bench, "vxlan")
    loss = walk_of(traced(bench, "vxlan", count=1).trace, "ARP reply 1").loss
    assert loss is not None
    assert (str(loss.after), str(loss.before)) == ("ens33@k8s-1", "vxlan_docker@k8s-1")
    assert "leads to 172.12.1.99, which is not k8s-2: being permanent" in loss.cause
    assert f"{mac} dev vxlan_docker dst 172.12.1.99" in loss.fact


def test_a_smaller_mtu_at_one_side_is_named(bench: Bench) -> None:
    bench.play("apply", ["vxlan"])
    assert ping(bench.client, ("ip", "netns", "exec", "harness-vxlan-1450"), "172.17.0.3").exit_code == 0
    done(bench.server, *"ip link set dev ens33 mtu 1400".split())
    loss = walk_of(traced(bench, "vxlan", count=1, size=1450).trace, "echo request 1").loss
    assert loss is not None
    assert (str(loss.after), str(loss.before)) == ("ens33@k8s-1", "ens33@k8s-2")
    assert "ens33 of k8s-2 has an MTU of 1400, too small for the 1500 bytes that k8s-1 sends" in loss.cause
    assert "1350 bytes" in loss.advice


@pytest.mark.parametrize(("profile", "before"), [("vxlan", "docker0"), ("flannel", "cni0")])
def test_a_tunnel_that_is_down_is_named(bench: Bench, profile: str, before: str) -> None:
    """Nothing can be captured there; with flannel its route is gone with it."""
    bench.play("apply", [profile])
    device = load(profile).tunnel
    done(bench.client, *f"ip link set dev {device} down".split())
    found = traced(bench, profile, count=1).trace
    loss = next(walk.loss for walk in found.walks if walk.loss is not None)
    assert found.answered == 0
    assert (str(loss.after), str(loss.before)) == (f"{before}@k8s-1", f"{device}@k8s-1")
    assert loss.cause == f"{device} of k8s-1 is down"


# ---- what a trace leaves


def test_a_trace_changes_nothing(bench: Bench) -> None:
    bench.play("apply", ["vxlan", "flannel"])
    before = bench.snapshot()
    for profile in ("vxlan", "flannel"):
        assert traced(bench, profile).trace.answered == 3
    assert bench.changes(before) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_early_it_leaves_nothing(machine: Machine, tmp_path: Path, number: signal.Signals) -> None:
    before = machine.state()
    with machine.start(tmp_path, *"trace --profile vxlan --count 100".split()) as command:
        assert eventually(lambda: "following packets" in command.stderr or command.exit_code is not None)
        command.send(number)
        command.wait()
    assert command.exit_code == (130 if number is signal.SIGINT else -number)
    if number is signal.SIGKILL:
        machine.run(tmp_path, "lab", "down")
    assert machine.changes(before) == []


def test_the_command_prints_and_says_by_its_exit_code(machine: Machine, tmp_path: Path) -> None:
    there = machine.run(tmp_path, *"trace --profile vxlan --count 1 --pcap /run/test/out/captures".split())
    assert there.exit_code == 0, there.stderr
    assert "+50 bytes" in " ".join(there.stdout.split())
    assert max(map(len, there.stdout.splitlines())) <= 80
    files = sorted(path.name for path in (machine.root / "run/test/out/captures").iterdir())
    assert files[0] == "00-k8s-1-eth0.pcapng"
    assert len(files) == 10
    lost = machine.run(tmp_path, *"trace --profile vxlan --count 1 --mtu 1500 --size 1500 -M do".split())
    assert lost.exit_code == 7
    assert "echo request 1" in lost.stderr
    for words in ("--profile nosuch", "--profile vxlan --tcp --size 100", "--profile vxlan --mtu 9000"):
        refused = machine.run(tmp_path, "trace", *words.split())
        assert refused.exit_code == 2, words
        assert len(refused.stderr.splitlines()) <= 2
