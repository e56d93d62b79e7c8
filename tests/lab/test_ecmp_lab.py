"""Two links between routers: what goes where, and the run over them as a user starts it.

Whether all of 8 flows fall on one link is chance, once in 128 trials. So trials are judged by the links that they used,
and how many of these there are by what chance leaves possible in all but one of 10,000 runs. A flow of a tunnel may
change its port in a trial, and its link with it, when TCP runs into a timeout: then there are more ports than flows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.labs.base import Lab
from harness.labs.holder import enter_argv
from harness.labs.kept import take_down_all
from harness.labs.local import NODES, LocalLab
from harness.labs.process import ProcessId, command
from harness.labs.wires import Wires
from harness.model.errors import LabError
from harness.nodes.remote import Remote
from harness.nodes.ssh import SshRemote
from harness.truth.hashing import at_least_chance, one_link_chance
from tests.lab.bench import done, state_folder
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of
from tests.lab.snapshots import differences, host_snapshot

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

LINK_BPS = 100e6
"""Slow enough for the CPUs of any machine, so that links are the limit; the bar is read at 500 Mbit/s by hand."""
FLOWS, BLOCKS = 8, 3
WORDS = (
    f"ecmp --profile vxlan --flows 1,{FLOWS} --links 2 --link-rate {LINK_BPS / 1e6:g}mbit --blocks {BLOCKS} "
    f"--duration 2 --omit 1 --seed 5 --out {OUT} --format json"
).split()
SPREAD = ("underlay", "vxlan")
"""Profiles whose flows have a source port each."""
KEPT_INVENTORY = "/run/vxlan-harness/lab/inventory.json"
UNLIKELY = 1e-4
TOLERANCE = 0.05
"""Of a ratio: a trial of two seconds on a busy machine."""


@pytest.fixture(name="folder", scope="module")
def measured(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run, which left nothing else."""
    before = machine.state()
    with machine.start(tmp_path_factory.mktemp("ecmp"), *WORDS) as run:
        assert run.wait(300.0) == 0, run.stderr + run.stdout
    assert machine.changes(before) == []
    folder = machine.results()[-1]
    (folder / "printed.json").write_text(run.stdout, encoding="utf-8")
    return folder


@pytest.fixture(name="rows")
def trials(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder / "trials.csv")


def of(rows: list[dict[str, str]], profile: str, flows: int) -> list[dict[str, str]]:
    return [row for row in rows if (row["profile"], row["flows"]) == (profile, str(flows))]


def ratio(rows: list[dict[str, str]], profile: str, links: int) -> float:
    """Return the goodput of those trials of several flows that used so many links, over that of 1 flow."""
    several = [float(row["goodput_bps"]) for row in of(rows, profile, FLOWS) if row["links_used"] == str(links)]
    one = [float(row["goodput_bps"]) for row in of(rows, profile, 1)]
    return math.prod(several) ** (1 / len(several)) / math.prod(one) ** (1 / len(one))


def test_every_trial_is_proven(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 3 * 2 * BLOCKS
    assert {(row["status"], row["reason"]) for row in rows} == {("ok", "")}


def test_one_flow_has_one_port_and_one_link(rows: list[dict[str, str]]) -> None:
    for profile in (*SPREAD, "vxlan-one-port"):
        own = of(rows, profile, 1)
        steady = [row for row in own if row["outer_ports"] == "1"]
        assert len(steady) >= (BLOCKS - 1 if profile == "vxlan" else BLOCKS)
        assert {row["links_used"] for row in steady} == {"1"}
        assert all(float(row["busiest_link_ratio"]) > 0.99 for row in steady)
        assert all(float(row["goodput_bps"]) < LINK_BPS for row in own)


@pytest.mark.parametrize("profile", SPREAD)
def test_flows_with_ports_of_their_own_gain_a_link(rows: list[dict[str, str]], profile: str) -> None:
    own = of(rows, profile, FLOWS)
    on_one = sum(row["links_used"] == "1" for row in own)
    assert at_least_chance(on_one, len(own), one_link_chance(FLOWS, 2)) > UNLIKELY
    ports = [int(row["outer_ports"]) for row in own]
    assert min(ports) >= FLOWS
    assert max(ports) <= (FLOWS if profile == "underlay" else 2 * FLOWS)
    assert ratio(rows, profile, 2) > 1.9 * (1 - TOLERANCE)
    for row in own:
        carried = [int(row[f"link_{number}_bytes"]) for number in (1, 2)]
        assert max(carried) / sum(carried) == pytest.approx(float(row["busiest_link_ratio"]))
        assert sum(carried) > float(row["goodput_bps"]) / 8 * 2


def test_with_one_port_all_flows_share_one_link(rows: list[dict[str, str]]) -> None:
    own = of(rows, "vxlan-one-port", FLOWS)
    assert {(row["outer_ports"], row["links_used"]) for row in own} == {("1", "1")}
    assert ratio(rows, "vxlan-one-port", 1) < 1.05 * (1 + TOLERANCE)


def test_what_is_printed_is_in_the_folder(folder: Path) -> None:
    printed = json.loads((folder / "printed.json").read_text(encoding="utf-8"))
    assert printed["run"]["plan"]["links"] == 2
    shown = {(row["profile"], row["flows"]): row for row in printed["rows"]}
    assert shown["vxlan-one-port", FLOWS]["on_one_link"] == BLOCKS
    assert shown["vxlan-one-port", FLOWS]["as_often_chance"] < UNLIKELY
    summary = rows_of(folder / "summary.csv")
    assert [(row["profile"], int(row["flows"])) for row in summary] == [*shown]
    assert (folder / "ecmp.svg").read_text(encoding="utf-8").startswith("<svg")


def test_ports_are_those_of_the_record(folder: Path, rows: list[dict[str, str]]) -> None:
    for row in of(rows, "vxlan-one-port", FLOWS):
        (step,) = json.loads((folder / row["raw"]).read_text(encoding="utf-8"))["steps"]
        sources = [line.split()[0] for line in step["jobs"]["ports"]["stdout"].splitlines()]
        assert sources == ["172.12.1.11.50000"]
        assert "netns" not in step["jobs"]["ports"]["argv"]
        assert len(step["link_bytes"]["after"]) == 2


def test_hosts_without_links_have_the_split_computed(machine: Machine, tmp_path: Path) -> None:
    """A lab of one link, given as an inventory: nothing is known of its wires."""
    assert machine.run(tmp_path, "lab", "up", "--rate", "100mbit").exit_code == 0
    try:
        words = f"--lab {KEPT_INVENTORY} --profile flannel --flows 1,{FLOWS} --blocks 1 --duration 1 --omit 0".split()
        run = machine.run(tmp_path, "ecmp", *words, "--links", "4", "--out", OUT)
        assert run.exit_code == 0, run.stderr
    finally:
        assert machine.run(tmp_path, "lab", "down").exit_code == 0
    rows = rows_of(machine.results()[-1] / "trials.csv")
    for row in rows:
        ports = int(row["outer_ports"])
        assert ports >= int(row["flows"])
        assert math.ceil(ports / 4) <= int(row["hashed_busiest_flows"]) <= ports
        assert (row["links_used"], row["link_1_bytes"]) == ("", "")
    assert "4 links, reckoned with" in run.stdout
    assert "CRC-32 of the five-tuples" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80


@pytest.fixture(name="lab", scope="module")
def lab_of_three_links() -> Iterator[tuple[Lab, Remote, Remote]]:
    with state_folder() as root:
        source = LocalLab(Wires("100mbit", links=3), state_root=root)
        lab = source.up()
        try:
            with SshRemote(lab.client, lab.ssh_config) as client, SshRemote(lab.server, lab.ssh_config) as server:
                yield lab, client, server
        finally:
            source.down()


Three = tuple[Lab, Remote, Remote]


def router(scratch: Path, number: int) -> list[str]:
    """Return the start of an argv that runs the rest in a router, from 1."""
    state = json.loads((scratch / "state.json").read_text(encoding="utf-8"))
    return enter_argv(state["routers"][number - 1]["inside"]["pid"])


def test_nodes_see_their_own_subnet_as_on_a_cable(lab: Three) -> None:
    _, client, server = lab
    (_, near, near6), (_, far, far6) = NODES[:2]
    for node, other, other6 in ((client, far, far6), (server, near, near6)):
        for address in (other, other6):
            done(node, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", address)
        routes = json.loads(done(node, "ip", "-j", "route", "show"))
        assert [route["dst"] for route in routes] == ["172.12.1.0/24"]


def test_full_packets_pass_and_what_is_larger_does_not(lab: Three) -> None:
    _, client, _ = lab
    done(client, *"ping -n -c 1 -W 2 -M do -s 1472".split(), NODES[1][1])
    assert client.run([*"ping -n -c 1 -W 1 -M do -s 1473".split(), NODES[1][1]]).exit_code != 0


def test_routers_hash_what_is_in_the_headers(lab: Three) -> None:
    """Policy 1 would take the hash that a packet of this kernel has from its sender's socket."""
    for number in (1, 2):
        for family in ("ipv4", "ipv6"):
            policy = [f"/proc/sys/net/{family}/fib_multipath_hash_{what}" for what in ("policy", "fields")]
            assert command([*router(lab[0].scratch, number), "cat", *policy]).split() == ["3", str(0x37)]


def test_links_are_shaped_and_nothing_else_is(lab: Three) -> None:
    made, client, server = lab
    assert made.rate_bps == 300e6
    for node in (client, server):
        assert "tbf" not in done(node, "tc", "qdisc", "show")
    for number in (1, 2):
        shaped = json.loads(command([*router(made.scratch, number), *"tc -j qdisc show".split()]))
        outer = [entry["dev"] for entry in shaped if entry["kind"] == "tbf" and entry["handle"] == "1:"]
        assert outer == ["link1", "link2", "link3"]


def test_lab_of_links_is_brought_up_shown_and_kept_for_those_who_want_links(machine: Machine, tmp_path: Path) -> None:
    up = machine.run(tmp_path, "lab", "up", "--links", "2", "--rate", "100mbit")
    try:
        shown = machine.run(tmp_path, "lab", "status").stdout
        words = f"run --profile vxlan --rate 100mbit --out {OUT}/refused".split()
        refused = machine.run(tmp_path, *words)
    finally:
        down = machine.run(tmp_path, "lab", "down")
    assert (up.exit_code, refused.exit_code, down.exit_code) == (0, 3, 0), up.stderr
    assert "2 links of 100mbit each between two routers" in up.stdout
    assert [line.split()[0] for line in shown.splitlines()[:4]] == ["k8s-1", "k8s-2", "router-1", "router-2"]
    assert "has 2 links between routers, and this takes no routers" in " ".join(refused.stderr.split())


def test_kept_lab_knows_its_routers_and_is_not_taken_for_another() -> None:
    with state_folder() as root:
        before = host_snapshot(root)
        LocalLab(Wires("none", links=2), keep=True, state_root=root).up()
        state = json.loads((root / "lab/state.json").read_text(encoding="utf-8"))
        held = [ProcessId(**one[role]) for one in (*state["nodes"], *state["routers"]) for role in ("holder", "inside")]
        try:
            with pytest.raises(LabError, match="has 2 links between routers, and this takes no routers"):
                LocalLab(Wires("none"), state_root=root).up()
            found = LocalLab(Wires("none", links=2), state_root=root).up()
            assert found.link_bytes is not None
            assert len(found.link_bytes()) == 2
            assert all(process.is_alive() for process in held)
        finally:
            assert take_down_all(root, force=True) == ["lab"]  # its owner is this process, which lives
        assert not any(process.is_alive() for process in held)
        assert differences(before, host_snapshot(root)) == []
