"""Paths that are there already: found, measured as found, and left as they were."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.fabric.profiles import load
from harness.inspect.found import find
from harness.model.errors import HarnessError, InputError, LabError
from harness.model.found import Between, Found
from harness.model.path import Kind
from harness.nodes.remote import Remote
from harness.run.standing import Ground
from tests.found import unlike
from tests.lab.bench import Bench, done, eventually, missing_link_types, possible_profiles
from tests.lab.bench import bench as own_bench
from tests.lab.machine import OUT, Command, Machine
from tests.lab.runs import rows_of, rows_so_far, summary_rows

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

ENDPOINT = "netns:harness-vxlan-1450"
SHORT = f"--blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()


def ground_of(bench: Bench) -> Ground:
    return Ground(bench.lab, {node.name: node for node in bench.nodes}, {})


def found_in(bench: Bench, client: str, server: str) -> Found:
    return find(Between.parse(f"{client},{server}"), ground_of(bench))


# ---- every profile that our own playbooks build


@pytest.fixture(scope="module")
def built() -> Iterator[Bench]:
    """A lab with every profile that this kernel can make, for tests that change nothing."""
    with own_bench() as made:
        made.play("apply", possible_profiles())
        yield made


@pytest.mark.parametrize("profile", possible_profiles())
def test_every_profile_is_recognised(built: Bench, profile: str) -> None:
    assert profile not in missing_link_types()
    before = built.snapshot()
    endpoint = f"netns:harness-{profile}-1450"
    found = found_in(built, endpoint, endpoint)
    shipped = load(profile)
    assert unlike(profile, found.to_json()) == []
    assert found.kind is shipped.kind
    assert (found.counted is not None) == (shipped.kind is Kind.TUNNEL)
    assert built.changes(before) == []


# ---- what cannot be found


def wrong(bench: Bench, client: str, server: str) -> HarnessError:
    """Return the error of endpoints that cannot be used, which has left nothing changed."""
    before = bench.snapshot()
    with pytest.raises(HarnessError) as raised:
        found_in(bench, client, server)
    assert bench.changes(before) == []
    return raised.value


def only(node: Remote, name: str, *addresses: str) -> None:
    """Make a namespace with a veth pair on a node, its inner end with these addresses."""
    done(node, "ip", "netns", "add", name)
    done(node, "ip", "link", "add", f"o-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
    done(node, "ip", "link", "set", f"o-{name}", "addrgenmode", "none")  # no address of the kernel's own comes later
    done(node, "ip", "link", "set", f"o-{name}", "up")
    for device in ("lo", "eth0"):
        done(node, "ip", "-n", name, "link", "set", device, "up")
    for address in addresses:
        done(node, "ip", "-n", name, "addr", "add", address, "dev", "eth0")


@pytest.mark.parametrize(
    ("client", "server", "kind", "words"),
    [
        ("netns:no-such", ENDPOINT, InputError, "k8s-1 has no namespace no-such"),
        (ENDPOINT, "netns:no-such", InputError, "k8s-2 has no namespace no-such"),
        ("pid:4999999", ENDPOINT, InputError, "no process 4999999 runs on k8s-1"),
        ("pid:1", ENDPOINT, InputError, "in k8s-1's own network, which is the underlay"),
        ("no-such", ENDPOINT, InputError, "k8s-1 has no container no-such"),
    ],
)
def test_what_is_not_there_is_said(built: Bench, client: str, server: str, kind: type, words: str) -> None:
    error = wrong(built, client, server)
    assert isinstance(error, kind)
    assert words in str(error)


def test_endpoints_that_do_not_fit_are_said(bench: Bench) -> None:
    client, server = bench.nodes
    only(client, "mine", "10.9.0.2/24")
    only(server, "theirs", "10.9.0.3/24")
    only(client, "bare")
    only(client, "twin", "10.9.0.3/24")
    only(client, "far", "10.77.0.3/24")
    for ends, kind, words in (
        (("netns:mine", "netns:bare"), InputError, "bare is on k8s-1, where netns:mine is to be as well"),
        (("netns:bare", "netns:theirs"), InputError, "netns:bare on k8s-1 has no IPv4 address"),
        (("netns:mine", "netns:theirs"), LabError, "no echo to 10.9.0.3 arrives"),
        (("netns:twin", "netns:theirs"), LabError, "10.9.0.3 is an address of both"),
        (("netns:far", "netns:theirs"), LabError, "to 10.9.0.3 there is no route"),
    ):
        error = wrong(bench, *ends)
        assert isinstance(error, kind)
        assert words in str(error)


# ---- a run


@pytest.fixture(scope="module")
def kept(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which a run left its lab and the vxlan profile standing."""
    tmp_path = tmp_path_factory.mktemp("kept")
    command = machine.run(tmp_path, "run", "--profile", "vxlan", "--keep", "--mtu", "1450", *SHORT)
    assert command.exit_code == 0, command.stderr
    assert "`harness lab status` shows them" in command.stderr
    status = machine.run(tmp_path, "lab", "status")
    assert status.exit_code == 0, status.stderr
    assert "On it stands: vxlan." in status.stdout
    assert "harness trace --profile vxlan" in status.stdout
    yield machine
    machine.run(tmp_path, "lab", "down")


def run_between(machine: Machine, tmp_path: Path, *words: str) -> tuple[Command, Path]:
    command = machine.run(tmp_path, "run", "--between", f"vxlan={ENDPOINT},{ENDPOINT}", *SHORT, *words)
    return command, machine.results()[-1]


def state_of(machine: Machine) -> list[Any]:
    """Return links, addresses, routes, rules and namespaces of both nodes, without what counts or ticks."""
    words = ("ip addr show", "ip route show table all", "ip rule show", "ls /run/netns", "iptables -S")
    return [
        sorted(line for line in machine.on_node(node, *text.split()).splitlines() if not line.startswith("#"))
        for node in (0, 1)
        for text in words
    ]


def test_what_is_found_is_measured_and_left_as_it_was(kept: Machine, tmp_path: Path) -> None:
    built, before = kept.results()[-1], state_of(kept)
    command, folder = run_between(kept, tmp_path, "--max-rate", "100mbit")
    assert command.exit_code == 0, command.stderr
    assert state_of(kept) == before
    assert "tunnel    vxlan_docker, MTU 1450; vxlan id 20" in command.stderr
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["mtu"] for row in rows if row["profile"] == "vxlan"} == {"1450"}
    assert all("vxlan_docker" in row["proof"] for row in rows if row["profile"] == "vxlan")
    sent = [float(row["goodput_bps"]) for row in rows if row["measure"] == "iperf3"]
    assert 50e6 < min(sent) <= max(sent) < 105e6, "held to the rate, headers and all"
    (tcp,) = summary_rows(folder, "vxlan", "goodput_bps")
    assert float(tcp["ceiling_ratio"]) == pytest.approx(0.96547, abs=1e-5)
    profile = json.loads((folder / "run.json").read_text(encoding="utf-8"))["profiles"]["vxlan"]
    assert profile["headers"] == ["ipv4", "udp", "vxlan", "ethernet"]
    assert (profile["found"]["wire"]["vni"], profile["found"]["wire"]["port"]) == (20, 4789)
    compared = kept.run(tmp_path, "compare", f"{OUT}/{built.name}", f"{OUT}/{folder.name}")
    assert compared.exit_code == 0, compared.stderr
    assert "1450" in compared.stdout


def test_inspect_shows_it_alone(kept: Machine, tmp_path: Path) -> None:
    before = state_of(kept)
    command = kept.run(tmp_path, "inspect", "--between", f"{ENDPOINT},{ENDPOINT}")
    assert command.exit_code == 0, command.stderr
    assert "ipv4/udp/vxlan/ethernet, VNI 20, UDP port 4789: 50 bytes in front of each packet" in command.stdout
    assert "ceiling    0.9655 of the underlay's TCP goodput" in command.stdout
    as_json = kept.run(tmp_path, "inspect", "--between", f"{ENDPOINT},{ENDPOINT}", "--json")
    assert json.loads(as_json.stdout)["client"]["node"] == "k8s-1"
    assert state_of(kept) == before


def test_a_run_of_what_is_not_there_says_so(kept: Machine, tmp_path: Path) -> None:
    before, folders = state_of(kept), kept.results()
    command = kept.run(tmp_path, "run", "--between", f"netns:no-such,{ENDPOINT}", *SHORT)
    assert (command.exit_code, "k8s-1 has no namespace no-such" in command.stderr) == (2, True), command.stderr
    assert (state_of(kept), kept.results()) == (before, folders)


def test_without_a_lab_nothing_is_brought_up(tmp_path: Path) -> None:
    with Machine() as machine:
        command = machine.run(tmp_path, "inspect", "--between", f"{ENDPOINT},{ENDPOINT}")
        assert (command.exit_code, "the local lab is not up" in command.stderr) == (3, True), command.stderr
        assert not machine.labs.exists()


def test_a_way_around_the_tunnel_is_found_out(kept: Machine, tmp_path: Path) -> None:
    """Last of this file: routes past the tunnel stay."""
    words = ["run", "--between", f"{ENDPOINT},{ENDPOINT}", *SHORT, "--blocks", "3"]
    folders = len(kept.results())
    with kept.start(tmp_path, *words) as command:
        command.reaches("existing")

        def is_measuring() -> bool:
            return any(rows_so_far(path / "trials.csv") for path in kept.results()[folders:])

        assert eventually(lambda: is_measuring() or command.exit_code is not None)
        assert command.exit_code is None, command.stderr
        for node, far, peer in ((0, "172.17.0.3", "172.12.1.12"), (1, "172.17.0.2", "172.12.1.11")):
            script = f"""
                sysctl -q net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
                for device in ens33 docker0; do sysctl -q "net.ipv4.conf.$device.rp_filter=0"; done
                ip route add {far}/32 via {peer}
                gateway=$(cat /sys/class/net/docker0/address)
                ip -n harness-vxlan-1450 neigh replace 172.17.0.1 lladdr "$gateway" dev eth0 nud permanent
                ip -n harness-vxlan-1450 route add {far}/32 via 172.17.0.1
            """
            kept.on_node(node, "sh", "-ec", script)
        assert command.wait() == 7, command.stderr
    found = [row for row in rows_of(kept.results()[-1] / "trials.csv") if row["profile"] == "existing"]
    assert "invalid" in {row["status"] for row in found}
    assert any("around the tunnel" in row["reason"] for row in found)
