"""The factor offload: switches are set on both nodes and set back, whatever happens in between.

The nodes are simulated: their switches are those of tests/golden, and a real shell writes their claims.
"""

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
GRO, GSO, TSO, CHECKSUM = (
    *("generic-receive-offload", "generic-segmentation-offload"),
    *("tx-tcp-segmentation", "tx-checksum-ip-generic"),
)
SEGMENTED = re.findall(r"(\S+): off \[requested on\]", LISTING_TX_OFF)
"""What Linux keeps off for as long as there are no checksums."""


class SimulatedNode:
    """Runs `ethtool` on devices that are all as `listing` says, and everything else in a real shell.

    A switch in `needs` changes only while the one that it needs is on already. From command number `lost_at` on the
    connection is lost.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        listing: str = LISTING,
        needs: Mapping[str, str] | None = None,
        lost_at: int = 99,
    ) -> None:
        self.name = name
        self.claims = folder / name
        self.sets: list[str] = []
        self.claimed: list[bool] = []
        self._listing, self._needs, self._left = listing, dict(needs or {}), lost_at
        self._asked = {device: dict(node_offload.switches(listing)) for device in (NIC, *TUNNELS)}

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        self._left -= 1
        if self._left < 0:
            raise ConnectionLostError(f"{self.name} is gone")
        if argv[0] != "ethtool":
            there = [word.replace(CLAIMS, str(self.claims)) for word in argv]
            done = subprocess.run(there, capture_output=True, text=True, check=False, timeout=timeout_s)
            return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
        before = self.listing(argv[2])
        if argv[1] == "-k":
            return Completed(tuple(argv), 0, before, "")
        self.sets.append(" ".join(argv[2:]))
        self.claimed.append((self.claims / f"offload{argv[2]}.json").exists())
        asked = self._asked[argv[2]]
        for name, state in zip(argv[3::2], argv[4::2], strict=True):
            for switch in self._below(name) or [name]:
                if switch in asked and f"{self._needs.get(switch, '')}: on" in before + ": on":
                    asked[switch] = state
        changed = self.listing(argv[2]) != before
        return Completed(
            tuple(argv), 0 if changed else 1, "", "" if changed else "Could not change any device features"
        )

    def listing(self, device: str) -> str:
        """Return what `ethtool -k` prints; a heading is on where anything below it is."""
        asked = self._asked[device]
        waiting = [name for name in SEGMENTED if asked[CHECKSUM] == "off" and asked.get(name) == "on"]
        states = asked | dict.fromkeys(waiting, "off [requested on]")

        def line(printed: re.Match[str]) -> str:
            below = [states[name] for name in self._below(printed[2]) if name in states]
            state = ("on" if "on" in below else "off") if below else states.get(printed[2], printed[3])
            return f"{printed[1]}{printed[2]}: {state}"

        return re.sub(r"^(\t?)([\w-]+): (.+)$", line, self._listing, flags=re.MULTILINE)

    def _below(self, heading: str) -> list[str]:
        lines = re.search(rf"^{heading}: .*\n((?:\t.*\n)+)", self._listing, re.MULTILINE)
        return re.findall(r"\t(\S+):", lines[1]) if lines else []

    def is_as_before(self) -> bool:
        """Tell whether its devices are as they were, and nothing is claimed."""
        return {self.listing(device) for device in self._asked} == {self._listing} and not self.claims.is_dir()


def two(folder: Path, **second: Any) -> tuple[SimulatedNode, SimulatedNode]:  # noqa: ANN401 - SimulatedNode's arguments
    """Return two nodes, the second one with something of its own."""
    return SimulatedNode("k8s-1", folder), SimulatedNode("k8s-2", folder, **second)


def sites(*nodes: SimulatedNode) -> list[Site]:
    return [Site(node, NIC, TUNNELS, PROFILES) for node in nodes]


def test_levels() -> None:
    level = f"tunnel:tx-checksumming=off {GRO}=on rx-gro-list=on"
    assert parse(" tunnel:tx=off  nic:gro=on rx-gro-list=on ") == parse(level) == level
    assert label(level) == "tunnel:tx=off gro=on rx-gro-list=on"
    assert expand(["gro=on,off", "tunnel:gso=off,on,off"]) == tuple(
        f"{GRO}={gro} tunnel:{GSO}={gso}" for gro in ("on", "off") for gso in ("off", "on")
    )
    for texts, words in {("gro", "gso=on"): "'gro' is no", ("gro=on", "nic:gro=off"): f"{GRO} stands twice"}.items():
        with pytest.raises(InputError, match=words):
            expand(texts)


@pytest.mark.parametrize("listing", [LISTING, LISTING_TX_OFF])
def test_switches_are_those_that_teardown_brings_back(listing: str) -> None:
    """The playbooks' module reads the same listing by itself."""
    switches = Switches.of(listing)
    assert switches.asked == node_offload.switches(listing)
    assert set(switches.headings) == {"tx-checksumming", "scatter-gather", "tcp-segmentation-offload"}
    assert len({**switches.settable, **switches.fixed, **switches.headings}) == len(listing.splitlines()) - 1


def test_unlike_is_what_is_there_and_otherwise() -> None:
    states = {TSO: "off", "tx-checksumming": "off", "tx-checksum-ipv4": "off", "rx-checksumming": "on", "nosuch": None}
    switches = Switches.of(LISTING_TX_OFF)
    assert {name: switches.state(name) for name in states} == states
    wanted = dict.fromkeys(states, "on")
    assert switches.unlike(wanted) == {name: "on" for name, state in states.items() if state == "off"}


@pytest.mark.parametrize(
    ("text", "there", "back"),
    [
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
            [f"{NIC} {CHECKSUM} on tx-checksum-sctp on"],
        ),
    ],
)
def test_set_on_both_nodes_and_set_back(tmp_path: Path, text: str, there: list[str], back: list[str]) -> None:
    nodes = two(tmp_path)
    restore = enter(sites(*nodes), parse(text))
    assert [node.sets for node in nodes] == [there, there]
    assert {node.listing(NIC) == LISTING_TX_OFF for node in nodes} == {text == "tx=off"}
    restore()
    assert [node.sets for node in nodes] == [there + back] * 2
    assert all(node.claimed == [True] * len(there + back) for node in nodes), "claimed before, and until it is back"
    assert all(node.is_as_before() for node in nodes)


def test_what_waited_for_another_before_does_so_afterwards(tmp_path: Path) -> None:
    node = SimulatedNode("k8s-1", tmp_path, listing=LISTING_TX_OFF)
    restore = enter(sites(node), parse("tx=on"))
    assert node.listing(NIC) == LISTING
    restore()
    assert node.is_as_before()


@pytest.mark.parametrize("level", ["gso=off", "gro=on", "gro=off"])
def test_what_a_killed_run_left_is_set_back_first(tmp_path: Path, level: str) -> None:
    """Otherwise the next run would be measured with it, and take it for how things were."""
    killed, node = two(tmp_path)
    node.claims = killed.claims
    enter(sites(killed), parse("gro=on"))
    node._asked = killed._asked
    restore = enter(sites(node), parse(level))
    assert (f"{GRO}: on" in node.listing(NIC)) == (level == "gro=on")
    restore()
    assert node.is_as_before()


def test_what_comes_back_only_behind_another_is_told_once_more(tmp_path: Path) -> None:
    nodes = two(tmp_path, needs={TSO: CHECKSUM})
    enter(sites(*nodes), f"{CHECKSUM}=off {TSO}=off")()
    assert [len(node.sets) for node in nodes] == [2, 3]
    assert all(node.is_as_before() for node in nodes)


def test_what_does_not_come_back_is_said_and_stays_claimed(tmp_path: Path) -> None:
    nodes = two(tmp_path, needs={TSO: CHECKSUM, "tx-tcp6-segmentation": TSO})
    restore = enter(sites(*nodes), f"{CHECKSUM}=off {TSO}=off tx-tcp6-segmentation=off")
    words = f"{NIC} on k8s-2 is not as it was; `ethtool -K {NIC} tx-tcp6-segmentation on` there."
    with pytest.raises(LabError, match=re.escape(words)):
        restore()
    assert nodes[0].is_as_before(), "the other one is set back all the same"
    assert [file.name for file in nodes[1].claims.iterdir()] == [f"offload{NIC}.json"]


DEAF = {"needs": {GRO: "nosuch"}}


@pytest.mark.parametrize(
    ("level", "second", "words"),
    [
        ("lro=on", {}, f"{NIC} on k8s-1 has large-receive-offload fixed to off; leave it out"),
        ("nosuch=on", {}, f"{NIC} on k8s-1 has no switch nosuch; `ethtool -k {NIC}` shows what it has"),
        (
            "tunnel:gso=off gro=on",
            {"listing": LISTING.replace(f"{GRO}: off", f"{GRO}: off [fixed]")},
            f"k8s-2 has {GRO} fixed",
        ),
        ("gro=on", {"listing": LISTING.replace(f"{GRO}: off\n", "")}, f"{NIC} on k8s-2 has no switch {GRO}"),
        ("gro=on gso=off", DEAF, f"{NIC} on k8s-2 does not switch {GRO} on, whatever it is told"),
        ("tunnel:gso=off gro=on", DEAF, f"{NIC} on k8s-2 does not switch {GRO} on, whatever it is told"),
    ],
)
def test_what_cannot_be_set_leaves_both_nodes_as_they_were(
    tmp_path: Path, level: str, second: dict[str, Any], words: str
) -> None:
    nodes = two(tmp_path, **second)
    with pytest.raises(LabError, match=re.escape(words)):
        enter(sites(*nodes), parse(level))
    assert all(node.is_as_before() for node in nodes)


@pytest.mark.parametrize(("lost_at", "is_claimed"), [(0, False), (1, False), (2, True), (3, True)])
def test_node_that_is_lost_does_not_keep_the_other_changed(tmp_path: Path, lost_at: int, is_claimed: bool) -> None:
    """It is lost as it is read, claimed, set, and read again."""
    nodes = two(tmp_path, lost_at=lost_at)
    with pytest.raises(ConnectionLostError, match="k8s-2 is gone"):
        enter(sites(*nodes), parse("gro=on"))
    assert nodes[0].sets == [f"{NIC} {GRO} on", f"{NIC} {GRO} off"]
    assert nodes[0].is_as_before()
    assert nodes[1].claims.is_dir() == is_claimed


def test_nothing_is_set_that_cannot_be_claimed(tmp_path: Path) -> None:
    nodes = two(tmp_path)
    nodes[1].claims.write_text("in the folder's place", encoding="utf-8")
    with pytest.raises(LabError, match=r"k8s-2: `sh .*failed: mkdir: "):
        enter(sites(*nodes), parse("gro=on"))
    assert nodes[1].sets == []
    assert all(node.is_as_before() for node in nodes)


def test_teardown_reads_the_claim_that_a_killed_run_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run's claim does not take its place: it says what really was before."""
    brought_back: list[tuple[Any, ...]] = []
    node, name = SimulatedNode("k8s-1", tmp_path), claims.claim_name("offload", NIC)
    assert claims.DIRECTORY == CLAIMS
    monkeypatch.setattr(claims, "DIRECTORY", str(node.claims))
    monkeypatch.setattr(claims, "switch_back", lambda *given: brought_back.append(given))
    before = node_offload.switches(LISTING)
    for level in ("tx=off", "gso=off"):
        enter(sites(node), parse(level))
        kept = {"kind": "offload", "target": NIC, "before": before, "profiles": [*PROFILES]}
        assert claims.claims() == {name: kept}
    assert [path.stat().st_mode & 0o777 for path in (node.claims, node.claims / name)] == [0o700, 0o600]
    claims.release(PROFILES[0], "offload", NIC)
    assert brought_back == []
    claims.release(PROFILES[1], "offload", NIC)
    assert brought_back == [(NIC, before)]
    assert not node.claims.exists()


def test_claims_of_others_stay(tmp_path: Path) -> None:
    node = SimulatedNode("k8s-1", tmp_path)
    node.claims.mkdir()
    other = node.claims / "sysctlnet.ipv4.ip_forward.json"
    other.write_text("{}", encoding="utf-8")
    assert OFFLOAD.enter is not None
    OFFLOAD.enter(sites(node), parse("gro=on"))()
    assert [*node.claims.iterdir()] == [other]
