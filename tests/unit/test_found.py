"""Paths that are there already: what names them, what is told of them, and that nothing is built for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

import pytest

from harness.cli.prepare import Options, prepare
from harness.fabric.base import Fabric, Paths
from harness.fabric.existing import ExistingFabric, ExistingProfile, said
from harness.fabric.profiles import load
from harness.inspect import endpoints, spaces
from harness.inspect.tables import Link
from harness.labs.base import Lab
from harness.measures import iperf3
from harness.measures.base import Conditions
from harness.measures.registry import MEASURES
from harness.model.errors import HarnessError, InputError, LabError, VerificationError
from harness.model.found import DEFAULT_NAME, Between, Found, Spot, SpotKind, Wire
from harness.model.jobs import Completed
from harness.model.notes import Note
from harness.model.pairs import Pair
from harness.model.path import Counted, Kind
from harness.model.readings import Counters
from harness.model.trial import UNDERLAY, Cell, Timing
from harness.nodes import readings
from harness.nodes.channel import Channel
from harness.nodes.remote import Remote
from harness.report.found_text import text
from harness.results.plan import Plan, Setup
from harness.run.conditions import conditions_of
from tests.unit.existing import FOUND, HIDDEN, NODES, VXLAN, WIRE, end
from tests.unit.synthetic import path_to

SETUP = Setup((UNDERLAY, "swarm"), (1450,), 1500)


# ---- names


@pytest.mark.parametrize(
    ("given", "kind", "name"),
    [
        ("web-1", SpotKind.CONTAINER, "web-1"),
        ("3f2a0c", SpotKind.CONTAINER, "3f2a0c"),
        ("podman:web", SpotKind.PODMAN, "web"),
        ("netns:harness-vxlan-1450", SpotKind.NETNS, "harness-vxlan-1450"),
        ("pid:812", SpotKind.PID, "812"),
    ],
)
def test_an_endpoint_is_named(given: str, kind: SpotKind, name: str) -> None:
    assert Spot.parse(given) == Spot(kind, name)
    assert str(Spot.parse(given)) == given


@pytest.mark.parametrize(
    "given",
    [
        *("", "-rm", "--privileged", "a b", "a;reboot", "$(reboot)", "a\nb", "netns:../1/ns", "netns:", "netns:-x"),
        *("pid:0", "pid:1x", "pid:-1", "pod:web", "container:web", "netns:a/b", "x" * 200),
    ],
)
def test_what_names_no_endpoint_reaches_no_node(given: str) -> None:
    with pytest.raises(InputError, match="is no endpoint; give the name or id of a container"):
        Spot.parse(given)


def test_two_endpoints_and_a_name() -> None:
    assert Between.parse("web-1, web-2") == Between(DEFAULT_NAME, Spot.parse("web-1"), Spot.parse("web-2"))
    assert Between.parse("vxlan=pid:1,netns:x").name == "vxlan"
    for given, words in (
        ("web-1", "names 1 endpoint"),
        ("a,b,c", "names 3 endpoint"),
        ("Swarm=a,b", "cannot name a path"),
        ("underlay=a,b", "cannot name a path"),
        ("=a,b", "cannot name a path"),
    ):
        with pytest.raises(InputError, match=words):
            Between.parse(given)


# ---- what stands beside it


BETWEEN = Options(between=Between.parse("swarm=web-1,web-2"), seed=7)


def test_a_run_of_a_found_path_names_it_and_builds_nothing() -> None:
    prepared = prepare(BETWEEN)
    assert prepared.plan.setup.profiles == (UNDERLAY, "swarm")
    assert set(prepared.profiles) == {UNDERLAY}
    assert prepared.plan.at_mtu(1450).setup.mtus == (1450,)


@pytest.mark.parametrize(
    ("more", "option"),
    [
        ({"profile": ("vxlan",)}, "--profile"),
        ({"levels": {"mtu": (1450,)}}, "--mtu"),
        ({"levels": {"offload": ("tx-checksumming=off",)}}, "--offload"),
        ({"containers": "docker"}, "--containers"),
        ({"pairs": "all"}, "--pairs"),
        ({"nodes": 3}, "--nodes"),
        ({"setups": 2}, "--setups"),
    ],
)
def test_what_would_change_something_is_refused(more: dict[str, Any], option: str) -> None:
    with pytest.raises(InputError, match=f"{option} does not go with --between"):
        prepare(replace(BETWEEN, **more))


def test_keep_is_refused() -> None:
    with pytest.raises(InputError, match="--keep does not go with --between: nothing is set up"):
        prepare(BETWEEN, keep=True)


def test_a_local_lab_is_not_brought_up_for_it(tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    source = prepare(BETWEEN).source
    source.directory = tmp_path / "run-1"  # type: ignore[attr-defined]
    source.probe = list  # type: ignore[method-assign]
    with pytest.raises(LabError, match="`harness lab up` brings it up"):
        source.up()
    assert list(tmp_path.iterdir()) == []


# ---- what follows from what was found


def test_it_is_a_profile_whose_ceiling_follows() -> None:
    profile = ExistingProfile.of(FOUND)
    assert (profile.name, profile.kind, profile.headers, profile.tunnel_mtu) == ("swarm", Kind.TUNNEL, VXLAN, 1450)
    assert profile.path_mtu(1500) == 1450
    assert profile.found == FOUND.to_json()
    assert said(FOUND) == "ipv4/udp/vxlan/ethernet, VNI 4097, UDP port 4789: 50 bytes in front of each packet"
    other_ids = replace(FOUND, client=replace(FOUND.client, namespace="/proc/9/ns/net", address="10.0.1.9"))
    assert ExistingProfile.of(other_ids).content_sha256 == profile.content_sha256
    assert ExistingProfile.of(replace(FOUND, wire=replace(WIRE, vni=5))).content_sha256 != profile.content_sha256


def test_a_path_that_cannot_be_told_is_not_measured() -> None:
    unknown = replace(FOUND, wire=Wire(None, unknown="11 bytes stand before the echo"))
    with pytest.raises(LabError, match="cannot be told: 11 bytes stand before the echo; `harness inspect`"):
        ExistingProfile.of(unknown)
    assert "cannot be told, 11 bytes" in text(unknown)


def test_a_tunnel_in_a_hidden_namespace_has_one_name_on_both_nodes() -> None:
    assert FOUND.counted == (Counted("vxlan0@1-abc", "vxlan0", HIDDEN), Counted("vxlan0@1-abc", "vxlan0", HIDDEN))
    own = replace(FOUND, client=end(1, namespace=""), server=end(2, namespace=""))
    assert own.counted is not None
    assert own.counted[0].label == "vxlan0"
    assert replace(FOUND, server=end(2, tunnel=False)).counted is None


class Pinged(Remote):
    """A node that answers to pings, or not, and keeps what it was asked."""

    def __init__(self, name: str, exit_code: int = 0) -> None:
        self.name = name
        self.asked: list[tuple[str, ...]] = []
        self._code = exit_code

    def open_channel(self, argv: Sequence[str]) -> Channel:
        raise AssertionError(f"{argv} would be started for good")

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Keep what it was asked."""
        assert timeout_s
        self.asked.append(tuple(argv))
        return Completed(tuple(argv), self._code, "", "")


def fabric(exit_code: int = 0, found: Found = FOUND) -> tuple[ExistingFabric, list[Pinged]]:
    remotes = [Pinged(node.name, exit_code) for node in NODES]
    return ExistingFabric([found], {remote.name: remote for remote in remotes}, NODES), remotes


@dataclass
class Stages:
    """An observer that keeps what begins; a found path has nothing to note."""

    seen: list[str] = field(default_factory=list)

    def stage(self, text: str) -> None:
        self.seen.append(text)

    def note(self, note: Note) -> None:
        raise AssertionError(note)


def raised(made: Fabric) -> Paths:
    """Return the paths of a fabric that is not verified."""
    return made.up(SETUP, Stages(), verify=False)[Pair("k8s-1", "k8s-2")]


def test_nothing_runs_on_the_nodes_but_pings() -> None:
    made, remotes = fabric()
    checked: Fabric = made
    checked.preflight(SETUP)
    paths = raised(checked)
    checked.down(SETUP)
    assert [remote.asked for remote in remotes] == [[], []]
    stages = Stages()
    assert checked.up(SETUP, stages, verify=True) == {Pair("k8s-1", "k8s-2"): paths}
    assert stages.seen == ["verifying"]
    for remote, number in zip(remotes, (1, 2), strict=True):
        (argv,) = remote.asked
        assert argv[:4] == ("nsenter", f"--net=/proc/81{number}/ns/net", "--", "ping")
        assert argv[-2:] == ("1422", f"10.0.1.{3 - number}")
    assert set(paths) == {(UNDERLAY, 1450), (UNDERLAY, 1500), ("swarm", 1450)}
    own = paths["swarm", 1450]
    assert (own.claim.tunnel, own.claim.overhead, own.claim.path_mtu, own.claim.other_tunnels) == (
        *("vxlan0@1-abc", 50, 1450),
        (),
    )
    assert own.counted == FOUND.counted
    assert paths[UNDERLAY, 1500].client.enter == ()


def test_packets_that_do_not_pass_are_said() -> None:
    with pytest.raises(VerificationError, match="not by packets of 1450 bytes; lower the endpoints' MTU"):
        fabric(exit_code=1)[0].up(SETUP, Stages(), verify=True)


def test_without_a_device_to_count_at_the_proof_says_so() -> None:
    bare = replace(FOUND, client=end(1, tunnel=False), server=end(2, tunnel=False))
    claim = raised(fabric(found=bare)[0])["swarm", 1450].claim
    assert (claim.tunnel, claim.seen) == (None, "captured: ipv4/udp/vxlan/ethernet")
    assert "no device that counts" in text(bare)


def test_text_says_what_was_found() -> None:
    shown = text(replace(FOUND, notes=("something to know",)))
    for words in (
        "web-1 on k8s-1 to web-2 on k8s-2",
        "tunnel    vxlan0 in /run/docker/netns/1-abc, MTU 1450; vxlan id 4097 port 4789",
        "capture    20 and 20 of 20 packets",
        "ceiling    0.9655 of the underlay's TCP goodput, with packets of 1450 bytes",
        "proof      bytes of vxlan0@1-abc and of the NICs, on both nodes",
        "note: something to know",
    ):
        assert words in shown


def test_where_nothing_was_captured_that_is_said() -> None:
    told = replace(FOUND, wire=replace(WIRE, seen=(0, 0), is_captured=False))
    assert "capture    none; headers are those of the device that counted 10 echoes both ways" in text(told)
    claim = raised(fabric(found=told)[0])["swarm", 1450].claim
    assert claim.seen == "by its devices, not captured: ipv4/udp/vxlan/ethernet"
    bare = replace(FOUND, wire=Wire((), is_captured=False))
    assert "nothing counts what a tunnel carries, for none counted the echoes" in text(bare)


def test_where_only_some_ports_lead_nothing_else_is_tried() -> None:
    service = replace(FOUND, name="cluster-ip", ports=(5201, 5202))
    remotes = [Pinged(node.name, exit_code=1) for node in NODES]
    made = ExistingFabric([service], {remote.name: remote for remote in remotes}, NODES)
    path = made.up(SETUP, Stages(), verify=True)[Pair("k8s-1", "k8s-2")]["cluster-ip", 1450]
    assert [remote.asked for remote in remotes] == [[], []]
    lab = Lab("kubernetes", None, None, *NODES, rate_bps=None, shared_kernel=False, scratch=FilePath("/none"))
    plan = Plan("quick", SETUP, (), 1, Timing(1, 0), 1)
    numbers = iter(range(5300, 5400))
    next_port = conditions_of(plan, lab, {"k8s-1": {}}, None)(path, lambda: next(numbers)).next_port
    assert [next_port() for _ in range(4)] == [5201, 5202, 5201, 5202]
    straight = conditions_of(plan, lab, {"k8s-1": {}}, None)(replace(path, ports=()), lambda: next(numbers))
    assert straight.next_port() == 5304


# ---- readings


def test_counters_of_another_namespace_are_read_under_their_label() -> None:
    counted = Counted("vxlan0@1-abc", "vxlan0", HIDDEN)
    argv = readings.argv(("nsenter", "--net=x", "--"), "10.0.1.3", before=True, counted=counted)
    assert argv[-4:] == [HIDDEN, "nsenter", "--net=x", "--"]
    assert readings.argv((), "10.0.1.3", before=True)[-1] == ""
    assert readings.devices([" vxlan0: 7 1 0 0 0 0 0 0 9 2"]) == {"vxlan0": Counters(7, 1, 9, 2)}


# ---- devices


def link(name: str, kind: str, index: int = 5, peer: int | None = None, **settings: object) -> Link:
    return Link(name, index, kind, 1450, "", True, "", peer, (), {}, settings)


@pytest.mark.parametrize(
    ("device", "wire", "fits"),
    [
        (link("vxlan0", "vxlan", id=4097, port=4789), WIRE, True),
        (link("vxlan1", "vxlan", id=4098, port=4789), WIRE, False),
        (link("flannel", "vxlan", id=4097, port=8472), WIRE, False),
        (link("cilium_vxlan", "vxlan", external=True), WIRE, True),
        (link("gnv0", "geneve", id=4097, port=4789), WIRE, False),
        (link("gretap", "gretap"), Wire(("ipv4", "gre", "ethernet")), True),
        (link("gre1", "gre"), Wire(("ipv4", "gre", "gre_key")), True),
        (link("ipip0", "ipip"), Wire(("ipv4",)), True),
        (link("wg0", "wireguard"), Wire(("ipv4", "udp", "wireguard")), True),
        (link("tun0", "tun"), Wire(("ipv4", "udp")), True),
        (link("tun0", "tun"), WIRE, False),
        (link("tun0", "tun"), Wire(()), False),
        (link("tun0", "tun"), Wire(None), False),
    ],
)
def test_a_tunnel_is_told_by_kind_vni_and_port(device: Link, wire: Wire, fits: bool) -> None:
    assert spaces.fits(device, wire) is fits


def test_a_tunnel_is_told_by_what_it_counted() -> None:
    zero = Counters(0, 0, 0, 0)
    assert spaces.grew(zero, Counters(5000, 10, 5000, 10), 10, 450)
    assert not spaces.grew(zero, Counters(5000, 10, 400, 1), 10, 450), "replies came another way"
    assert not spaces.grew(None, Counters(5000, 10, 5000, 10), 10, 450)


def test_a_veths_other_end_is_told_only_where_it_is_one() -> None:
    inner = link("eth0", "veth", index=7, peer=8)
    outer = link("veth1", "veth", index=8, peer=7)
    seen = {"": {"eth9": link("eth9", "")}, HIDDEN: {"veth1": outer}, "/proc/1/ns/net": {"eth0": inner}}
    assert spaces.other_end(seen, inner, "/proc/1/ns/net") == spaces.Device(HIDDEN, outer)
    assert spaces.other_end({**seen, "/run/netns/x": {"veth1": outer}}, inner, "/proc/1/ns/net") is None


# ---- containers, by what the engines say


class Engines(Remote):
    """A node whose engines say this of a container."""

    def __init__(self, docker: Completed, podman: Completed) -> None:
        self.name = "k8s-1"
        self._said = {"docker": docker, "podman": podman}

    def open_channel(self, argv: Sequence[str]) -> Channel:
        raise AssertionError(f"{argv} would be started for good")

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        """Return what an engine says."""
        assert timeout_s
        return self._said[argv[0]]


def answer(code: int, out: str = "", error: str = "") -> Completed:
    return Completed((), code, out, error)


NONE, ABSENT = answer(1, "", "Error: No such container: web"), answer(127)
RUNS = answer(0, f"{'ab' * 32} 812\n")


@pytest.mark.parametrize(
    ("docker", "podman", "words"),
    [
        (NONE, NONE, "k8s-1 has no container web; `docker ps` there"),
        (NONE, ABSENT, r"has no container web \(no podman\)"),
        (answer(1, "", "Cannot connect to the Docker daemon"), ABSENT, "docker does not answer there, no podman"),
        (
            answer(1, "", "Multiple IDs found with provided prefix: web"),
            ABSENT,
            "several containers .* give more of it",
        ),
        (answer(1), answer(125, "", "more than one result for container id web"), "several containers"),
        (RUNS, RUNS, "both engines of k8s-1 have a container web; give docker:web"),
        (answer(0, f"{'ab' * 32} 0\n"), ABSENT, "does not run; start it"),
    ],
)
def test_a_container_that_cannot_be_meant_is_said(docker: Completed, podman: Completed, words: str) -> None:
    both = (Engines(docker, podman), Engines(NONE, NONE))
    with pytest.raises(HarnessError, match=words) as raised:
        endpoints.located((Spot.parse("web"), Spot.parse("web")), both)
    assert raised.value.exit_code == 2


# ---- traffic that is held to a rate


def conditions(max_bps: float | None, *, link_bps: float | None = 1e9) -> Conditions:
    path = path_to("10.0.0.2")
    return Conditions(Timing(2, 1), path, lambda: 5201, "cubic", link_bps, link_bps is not None, {}, max_bps=max_bps)


def bound(cell: Cell, max_bps: float | None) -> str | None:
    argv = iperf3.argv_of(cell, conditions(max_bps), 5201, Timing(2, 1))
    return argv[argv.index("-b") + 1] if "-b" in argv else None


def test_each_flow_has_its_share_of_what_may_be_sent() -> None:
    tcp = Cell.of("iperf3", protocol="tcp", mtu=1500, flows=4)
    assert bound(tcp, None) is None
    assert bound(tcp, 100e6) == str(int(100e6 * 1460 / 1500) // 4)
    both = Cell.of("iperf3", protocol="tcp", mtu=1500, flows=1, direction="bidir")
    assert bound(both, 100e6) == str(int(100e6 * 1460 / 1500 / 2))
    udp = Cell.of("iperf3", protocol="udp", mtu=1500, flows=1)
    assert bound(udp, 100e6) == str(int(100e6 * 1472 / 1500))
    slower = Cell.of("iperf3", protocol="udp", mtu=1500, flows=1, udp_rate=10_000_000)
    assert bound(slower, 100e6) == "10000000"
    unlimited = Cell.of("iperf3", protocol="udp", mtu=1500, flows=1, udp_rate="none")
    assert bound(unlimited, 100e6) == str(int(100e6 * 1472 / 1500))
    small = Cell.of("iperf3", protocol="udp", mtu=1500, flows=1, size=128)
    assert bound(small, 100e6) == str(int(100e6 * 100 / 128)), "headers count"


def test_a_search_and_a_load_are_held_to_it() -> None:
    search = Cell.of("udp-search", mtu=1500, flows=1, loss=0.001)
    client = MEASURES["udp-search"].jobs(search, conditions(50e6))[-1].argv
    assert int(client[client.index("-b") + 1].partition("/")[0]) <= 50e6
    loaded = MEASURES["loaded-ping"].jobs(Cell.of("loaded-ping", mtu=1500, flows=1), conditions(50e6))
    assert "-b" in loaded[1].argv


@pytest.mark.parametrize("measure", ["sockperf", "connections"])
def test_what_cannot_be_held_to_a_rate_is_refused(measure: str) -> None:
    with pytest.raises(InputError, match=f"--max-rate: {measure} cannot be held to a rate"):
        prepare(Options(profile=("vxlan",), measures=(measure,), max_rate=50e6))


def test_what_a_run_sends_at_most() -> None:
    cell = Cell.of("iperf3", protocol="tcp", mtu=1500, flows=1, direction="forward")
    plan = Plan("quick", Setup((UNDERLAY,), (1500,), 1500), (cell,), 4, Timing(2, 1), 1)
    assert plan.most_bytes(1e9) == 4 * 3 * 1e9 / 8 + 2e9 / 8, "trials, and a second each way"
    assert replace(plan, max_bps=1e8).most_bytes(1e9) == 4 * 3 * 1e8 / 8 + 1e8 / 8
    pings = replace(plan, cells=(Cell.of("ping", mtu=1500),))
    assert pings.most_bytes(1e9) - 2e9 / 8 == 4 * 2 * 1500 * 102
    assert load(UNDERLAY).found is None
