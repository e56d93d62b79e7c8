"""The factor offload: switches are set on both nodes and set back, whatever happens in between.

The nodes are simulated: their switches are those of tests/golden, and a real shell writes their claims.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.measures.offload import CLAIMS, OFFLOAD, Switches, enter, expand, label, parse
from harness.model.errors import ConnectionLostError, InputError, LabError
from harness.model.factors import Site
from harness.model.jobs import Completed
from tests.unit.on_node import module_utils

claims, node_offload = module_utils("harness_claims"), module_utils("harness_offload")
GOLDEN = Path(__file__).parents[1] / "golden"
LISTING, LISTING_TX_OFF = (
    (GOLDEN / f"ethtool-6.1-features{which}.txt").read_text(encoding="utf-8") for which in ("", "-tx-off")
)
NIC, TUNNELS, PROFILES = "ens33", ("vxlan_docker", "flannel.1"), ("vxlan", "host-gw")
DEVICES = (NIC, *TUNNELS)
GRO, GSO = "generic-receive-offload", "generic-segmentation-offload"
CHECKSUM = "tx-checksum-ip-generic"
NEED_CHECKSUM = re.findall(r"(\S+): off \[requested on\]", LISTING_TX_OFF)
"""What Linux keeps off for as long as there are no checksums."""


class SimulatedNode:
    """Runs `ethtool` on devices that are all as `listing` says, and everything else in a real shell.

    A `deaf` switch does not change; one that `waits` is switched on only while another one is on already. From command
    number `lost_at` on the connection is lost.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        listing: str = LISTING,
        *,
        deaf: Sequence[str] = (),
        waits: Mapping[str, str] | None = None,
        lost_at: float = float("inf"),
    ) -> None:
        self.name = name
        self.claims = folder / name
        self.ran: list[str] = []
        self.claimed: list[bool] = []
        self._listing, self._deaf, self._waits, self._lost_at = listing, deaf, dict(waits or {}), lost_at
        self._asked: dict[str, dict[str, str]] = {device: dict(node_offload.switches(listing)) for device in DEVICES}

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        if len(self.ran) >= self._lost_at:
            raise ConnectionLostError(f"{self.name} is gone")
        self.ran.append(" ".join(argv))
        if argv[0] != "ethtool":
            there = [word.replace(CLAIMS, str(self.claims)) for word in argv]
            done = subprocess.run(there, capture_output=True, text=True, check=False, timeout=timeout_s)
            return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
        if argv[1] == "-k":
            return Completed(tuple(argv), 0, self.listing(argv[2]), "")
        self.claimed.append((self.claims / f"offload{argv[2]}.json").exists())
        before = self.listing(argv[2])
        self._set(self._asked[argv[2]], dict(zip(argv[3::2], argv[4::2], strict=True)), before)
        if self.listing(argv[2]) == before:
            return Completed(tuple(argv), 1, "", "Could not change any device features\n")
        return Completed(tuple(argv), 0, "", "")

    def listing(self, device: str) -> str:
        """Return what `ethtool -k` prints; a heading is on where anything below it is."""
        asked = self._asked[device]

        def state(name: str) -> str:
            waits = name in NEED_CHECKSUM and asked[CHECKSUM] == "off" and asked[name] == "on"
            return "off [requested on]" if waits else asked[name]

        def line(found: re.Match[str]) -> str:
            below = [state(name) for name in self._below(found[2]) if name in asked]
            if below:
                return f"{found[1]}{found[2]}: {'on' if 'on' in below else 'off'}"
            return f"{found[1]}{found[2]}: {state(found[2])}" if found[2] in asked else found[0]

        return re.sub(r"^(\t?)([\w-]+): .*$", line, self._listing, flags=re.MULTILINE)

    def sets(self) -> list[str]:
        """Return what was set, in its order."""
        return [command.removeprefix("ethtool -K ") for command in self.ran if command.startswith("ethtool -K")]

    def _set(self, asked: dict[str, str], wanted: Mapping[str, str], before: str) -> None:
        single = {switch: state for name, state in wanted.items() for switch in self._below(name) or [name]}
        for name, state in single.items():
            waits_for = self._waits.get(name)
            if name in asked and name not in self._deaf and not (waits_for and f"{waits_for}: off" in before):
                asked[name] = state

    def _below(self, heading: str) -> list[str]:
        """Return the switches below a heading."""
        found = re.search(rf"^{heading}: .*\n((?:\t.*\n)+)", self._listing, re.MULTILINE)
        return re.findall(r"\t(\S+):", found[1]) if found else []


Nodes = tuple[SimulatedNode, SimulatedNode]


def sites(nodes: Nodes) -> list[Site]:
    return [Site(node, NIC, TUNNELS, PROFILES) for node in nodes]


def two(folder: Path, **second: Any) -> Nodes:  # noqa: ANN401 - arguments of SimulatedNode
    """Return two nodes, the second one with something of its own."""
    return SimulatedNode("k8s-1", folder), SimulatedNode("k8s-2", folder, **second)


def as_before(node: SimulatedNode, listing: str = LISTING) -> bool:
    """Tell whether a node's devices are as they were, and nothing is claimed."""
    return {node.listing(device) for device in DEVICES} == {listing} and not node.claims.exists()


@pytest.mark.parametrize("listing", [LISTING, LISTING_TX_OFF])
def test_switches_are_those_that_the_node_brings_back(listing: str) -> None:
    """The playbooks' module reads the same listing by itself."""
    switches = Switches.of(listing)
    assert switches.settable == node_offload.switches(listing)
    assert set(switches.headings) == {"tx-checksumming", "scatter-gather", "tcp-segmentation-offload"}
    assert len({**switches.settable, **switches.fixed, **switches.headings}) == len(listing.splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "state", "kind"),
    [
        ("rx-checksumming", "on", "settable"),
        ("tx-udp_tnl-csum-segmentation", "on", "settable"),
        ("tx-tcp-segmentation", "off", "settable"),  # and on is requested
        (CHECKSUM, "off", "settable"),
        ("tx-checksumming", "off", "headings"),
        ("tcp-segmentation-offload", "on", "headings"),
        ("large-receive-offload", "off", "fixed"),
        ("tx-checksum-ipv4", "off", "fixed"),
        ("nosuch", None, "settable"),
        ("Features for ens33", None, "settable"),
    ],
)
def test_state_of_a_switch(name: str, state: str | None, kind: str) -> None:
    switches = Switches.of(LISTING_TX_OFF)
    assert (switches.state(name), getattr(switches, kind).get(name)) == (state, state)
    assert switches.unlike({name: "on"}) == ({name: "on"} if state == "off" else {})


@pytest.mark.parametrize(
    ("text", "level", "short"),
    [
        ("gro=off", "generic-receive-offload=off", "gro=off"),
        (" nic:tso=on  gro=off ", "tcp-segmentation-offload=on generic-receive-offload=off", "tso=on gro=off"),
        ("tunnel:tx=off tx=on", "tunnel:tx-checksumming=off tx-checksumming=on", "tunnel:tx=off tx=on"),
        ("rx-gro-list=on", "rx-gro-list=on", "rx-gro-list=on"),
        ("gro=on generic-receive-offload=off", "generic-receive-offload=off", "gro=off"),
    ],
)
def test_level_and_its_label(text: str, level: str, short: str) -> None:
    assert (parse(text), label(level), parse(short)) == (level, short, level)


@pytest.mark.parametrize("text", ["", "gro", "gro=1", "eth0:gro=on", "gro = on", "tunnel:=on"])
def test_what_is_no_level(text: str) -> None:
    with pytest.raises(InputError, match="has no switch in it|is no switch with a state"):
        parse(text)


def test_levels_are_every_combination() -> None:
    assert expand(["gro=on,off", "tunnel:gso=off,on,off"]) == tuple(
        f"{GRO}={gro} tunnel:{GSO}={gso}" for gro in ("on", "off") for gso in ("off", "on")
    )
    assert len(expand([f"{name}=on,off" for name in ("gro", "gso", "tso", "sg")])) == 16
    with pytest.raises(InputError, match="these are 32 combinations"):
        expand([f"{name}=on,off" for name in ("gro", "gso", "tso", "sg", "rx")])
    with pytest.raises(InputError, match=f"{GRO} stands twice"):
        expand(["gro=on", "nic:gro=off"])


@pytest.mark.parametrize(
    ("text", "there", "back"),
    [
        ("gro=on", [f"{NIC} {GRO} on"], [f"{NIC} {GRO} off"]),
        ("gro=on gso=off", [f"{NIC} {GRO} on {GSO} off"], [f"{NIC} {GSO} on {GRO} off"]),
        ("gso=on", [], []),
        (
            "tunnel:gso=off gro=on",
            [*(f"{device} {GSO} off" for device in TUNNELS), f"{NIC} {GRO} on"],
            [f"{NIC} {GRO} off", *(f"{device} {GSO} on" for device in reversed(TUNNELS))],
        ),
        (
            "tx=off",
            [f"{NIC} tx-checksumming off"],
            [f"{NIC} {CHECKSUM} on tx-checksum-sctp on {' '.join(f'{name} on' for name in NEED_CHECKSUM)}"],
        ),
    ],
)
def test_set_on_both_nodes_and_set_back(tmp_path: Path, text: str, there: list[str], back: list[str]) -> None:
    nodes = two(tmp_path)
    restore = enter(sites(nodes), parse(text))
    assert [node.sets() for node in nodes] == [there, there]
    restore()
    assert [node.sets() for node in nodes] == [there + back] * 2
    assert all(node.claimed == [True] * len(there + back) for node in nodes), "claimed before, and until it is back"
    assert all(as_before(node) for node in nodes)


def test_what_depends_on_a_switch_comes_back_with_it(tmp_path: Path) -> None:
    nodes = two(tmp_path)
    restore = enter(sites(nodes), parse("tx=off"))
    assert [node.listing(NIC) for node in nodes] == [LISTING_TX_OFF] * 2
    assert {node.listing(device) for node in nodes for device in TUNNELS} == {LISTING}
    restore()
    assert all(as_before(node) for node in nodes)


def test_what_comes_back_only_behind_another_is_told_once_more(tmp_path: Path) -> None:
    tso = "tx-tcp-segmentation"
    nodes = two(tmp_path, waits={tso: CHECKSUM})
    enter(sites(nodes), f"{CHECKSUM}=off {tso}=off")()
    assert [len(node.sets()) for node in nodes] == [2, 3]
    assert nodes[1].sets()[-1] == f"{NIC} {tso} on"
    assert all(as_before(node) for node in nodes)


def test_what_does_not_come_back_is_said_and_stays_claimed(tmp_path: Path) -> None:
    chain = (CHECKSUM, "tx-tcp-segmentation", "tx-tcp6-segmentation")
    nodes = two(tmp_path, waits=dict(zip(chain[1:], chain, strict=False)))
    restore = enter(sites(nodes), " ".join(f"{name}=off" for name in chain))
    words = f"{NIC} on k8s-2 is not as it was; `ethtool -K {NIC} {chain[2]} on` there."
    with pytest.raises(LabError, match=re.escape(words)):
        restore()
    assert as_before(nodes[0]), "the other one is set back all the same"
    assert [file.name for file in nodes[1].claims.iterdir()] == [f"offload{NIC}.json"]


@pytest.mark.parametrize(
    ("level", "second", "words"),
    [
        ("lro=on", {}, f"{NIC} on k8s-1 has large-receive-offload fixed to off; leave it out"),
        ("nosuch=on", {}, f"{NIC} on k8s-1 has no switch nosuch; `ethtool -k {NIC}` shows what it has"),
        (
            "gro=on",
            {"listing": LISTING.replace(f"{GRO}: off", f"{GRO}: off [fixed]")},
            f"{NIC} on k8s-2 has {GRO} fixed to off; leave it out",
        ),
        ("gro=on", {"listing": LISTING.replace(f"{GRO}: off\n", "")}, f"{NIC} on k8s-2 has no switch {GRO}"),
        ("gro=on gso=off", {"deaf": [GRO]}, f"{NIC} on k8s-2 does not switch {GRO} on, whatever it is told"),
        ("gro=on", {"deaf": [GRO]}, f"k8s-2: `ethtool -K {NIC}` failed: Could not change any device features"),
        ("tunnel:gso=off gro=on", {"deaf": [GRO]}, f"k8s-2: `ethtool -K {NIC}` failed"),
    ],
)
def test_what_cannot_be_set_leaves_both_nodes_as_they_were(
    tmp_path: Path, level: str, second: dict[str, Any], words: str
) -> None:
    nodes = two(tmp_path, **second)
    with pytest.raises(LabError, match=re.escape(words)):
        enter(sites(nodes), parse(level))
    assert as_before(nodes[0])
    assert as_before(nodes[1], second.get("listing", LISTING))


@pytest.mark.parametrize(("lost_at", "claimed"), [(0, False), (1, False), (2, True), (3, True)])
def test_node_that_is_lost_does_not_keep_the_other_from_being_set_back(
    tmp_path: Path, lost_at: int, claimed: bool
) -> None:
    """It is lost as it is read, claimed, set, and read again."""
    nodes = two(tmp_path, lost_at=lost_at)
    with pytest.raises(ConnectionLostError, match="k8s-2 is gone"):
        enter(sites(nodes), parse("gro=on"))
    assert as_before(nodes[0])
    assert nodes[1].claims.exists() == claimed


def test_nothing_is_set_that_cannot_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "k8s-2").write_text("in the folder's place", encoding="utf-8")
    nodes = two(tmp_path)
    with pytest.raises(LabError, match=r"k8s-2: `sh .*failed: mkdir: "):
        enter(sites(nodes), parse("gro=on"))
    assert nodes[1].sets() == []
    assert as_before(nodes[0])


def test_teardown_reads_the_claim_and_brings_back_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a `kill -9`: nobody has called what changes the nodes back."""
    brought_back: list[tuple[Any, ...]] = []
    node = SimulatedNode("k8s-1", tmp_path)
    assert claims.DIRECTORY == CLAIMS
    monkeypatch.setattr(claims, "DIRECTORY", str(node.claims))
    monkeypatch.setattr(claims, "switch_back", lambda *given: brought_back.append(given))
    enter([Site(node, NIC, TUNNELS, PROFILES)], parse("tx=off"))
    before = node_offload.switches(LISTING)
    name = claims.claim_name("offload", NIC)
    assert claims.claims() == {name: {"kind": "offload", "target": NIC, "before": before, "profiles": list(PROFILES)}}
    assert [path.stat().st_mode & 0o777 for path in (node.claims, node.claims / name)] == [0o700, 0o600]
    claims.release(PROFILES[0], "offload", NIC)
    assert brought_back == []
    claims.release(PROFILES[1], "offload", NIC)
    assert brought_back == [(NIC, before)]
    assert not node.claims.exists()


def test_claim_that_a_killed_run_left_is_kept(tmp_path: Path) -> None:
    """It says what really was before."""
    node = SimulatedNode("k8s-1", tmp_path)
    enter([Site(node, NIC, TUNNELS, PROFILES)], parse("gro=on"))
    (left,) = node.claims.iterdir()
    text = left.read_text(encoding="utf-8")
    enter([Site(node, NIC, TUNNELS, ("vxlan",))], parse("gso=off"))
    assert left.read_text(encoding="utf-8") == text
    assert json.loads(text)["before"][GRO] == "off"


def test_claims_of_others_stay(tmp_path: Path) -> None:
    node = SimulatedNode("k8s-1", tmp_path)
    node.claims.mkdir()
    other = node.claims / "sysctlnet.ipv4.ip_forward.json"
    other.write_text("{}", encoding="utf-8")
    assert OFFLOAD.enter is not None
    OFFLOAD.enter([Site(node, NIC, TUNNELS, PROFILES)], parse("gro=on"))()
    assert [*node.claims.iterdir()] == [other]
