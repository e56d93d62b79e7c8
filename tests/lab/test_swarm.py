"""Docker Swarm's own overlay between the nodes of the local lab: found, measured as found, and left as it was."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.bench import eventually
from tests.lab.machine import OUT, OWN, Machine
from tests.lab.runs import rows_of, rows_so_far, summary_rows

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

CEILING = 0.96547
"""TCP at MTU 1450 behind VXLAN's 50 bytes, against the underlay at 1500."""
TOLERANCE = 0.02
"""On a machine on which other tests run; what takes half of the way to 1 fails."""
BETWEEN = ("--between", "swarm=swarm-c01,swarm-c01")
NETWORK = "harness-swarm"
IMAGE = "vxlan-harness/endpoint:1"
INTERRUPTED = 130


@pytest.fixture(scope="module")
def swarm(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which a run of the profile left its lab standing, its containers on one overlay network."""
    tmp_path = tmp_path_factory.mktemp("swarm")
    words = f"--containers docker --mtu 1450 --blocks 3 --duration 1 --omit 1 --flows 1 --keep --out {OUT}"
    run = machine.run(tmp_path, "run", "--profile", "swarm", *words.split())
    assert run.exit_code == 0, run.stderr
    try:
        assert eventually(lambda: not any("tentative" in machine.on_node(node, "ip", "addr") for node in (0, 1)))
        yield machine
    finally:
        down = machine.run(tmp_path, "lab", "down")
        assert down.exit_code == 0, down.stderr


def state_of(machine: Machine) -> list[str]:
    """Return what both nodes and their engines have: links, routes, rules, containers, networks, hidden namespaces."""
    commands = (
        "ip link show",
        "ip addr show",
        "ip route show table all",
        "iptables -t nat -S",
        "docker ps -a --format {{.ID}}{{.Names}}",
        "docker network ls",
        "ls /run/docker/netns /run/netns",
    )
    return [
        line
        for node in (0, 1)
        for text in commands
        for line in machine.on_node(node, *text.split()).splitlines()
        if not line.startswith("#") and "valid_lft" not in line
    ]


def hidden(machine: Machine, node: int) -> str:
    """Return the path of the namespace in which a node's overlay network is."""
    network = machine.on_node(node, "docker", "network", "inspect", "-f", "{{.Id}}", NETWORK).strip()
    return f"/run/docker/netns/1-{network[:10]}"


def address(machine: Machine, node: int) -> str:
    """Return the MAC address of a container on the overlay network."""
    form = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").MacAddress}}}}'
    return machine.on_node(node, "docker", "inspect", "-f", form, "swarm-c01").strip()


def test_swarms_overlay_is_found(swarm: Machine, tmp_path: Path) -> None:
    before = state_of(swarm)
    command = swarm.run(tmp_path, "inspect", *BETWEEN, "--json")
    assert command.exit_code == 0, command.stderr
    assert state_of(swarm) == before
    found = json.loads(command.stdout)
    wire = found["wire"]
    assert (wire["headers"], wire["vni"], wire["port"]) == (["ipv4", "udp", "vxlan", "ethernet"], 4097, 4789)
    for node, end in enumerate((found["client"], found["server"])):
        devices = {device["place"]: device for device in end["devices"]}
        assert end["what"].startswith("docker container ")
        assert (devices["endpoint"]["name"], devices["endpoint"]["mtu"]) == ("eth0", 1450)
        tunnel = devices["tunnel"]
        assert (tunnel["name"], tunnel["namespace"], tunnel["mtu"]) == ("vxlan0", hidden(swarm, node), 1450)
        assert (devices["bridge"]["name"], devices["bridge"]["namespace"]) == ("br0", hidden(swarm, node))


def measured(folder: Path) -> list[dict[str, str]]:
    """Return the overlay's rows of a run in which every trial was proven and what it cost is what its headers cost."""
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    overlay = [row for row in rows if row["profile"] == "swarm"]
    assert {row["path_state"] for row in overlay} == {"whole"}
    (tcp,) = summary_rows(folder, "swarm", "goodput_bps")
    assert float(tcp["ceiling_ratio"]) == pytest.approx(CEILING, abs=1e-5)
    assert float(tcp["ratio"]) == pytest.approx(CEILING, abs=TOLERANCE)
    return overlay


def test_swarms_overlay_is_measured_like_any_profile(swarm: Machine) -> None:
    assert all(
        "client -> server: vxlan0 " in row["proof"]
        for row in measured(swarm.results()[0])
        if row["measure"] == "iperf3"
    )


def test_swarms_overlay_is_measured_as_it_was_found(swarm: Machine, tmp_path: Path) -> None:
    before = state_of(swarm)
    folder = swarm.root / OWN[1:] / "profiles"
    folder.mkdir()
    profile = folder / "swarm.yml"
    profile.write_text("name: swarm\nkind: existing\nbetween: {k8s-1: swarm-c01, k8s-2: 'docker:swarm-c01'}\n", "utf-8")
    words = f"run --blocks 3 --duration 1 --omit 1 --flows 1 --out {OUT} --profile swarm --profiles-dir".split()
    command = swarm.run(tmp_path, *words, f"{OWN}/profiles")
    assert command.exit_code == 0, command.stderr
    assert state_of(swarm) == before
    folder = swarm.results()[-1]
    assert all("vxlan0@1-" in row["proof"] for row in measured(folder))
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert described["profiles"]["swarm"]["found"]["wire"]["vni"] == 4097
    assert any("VNI 4097, UDP port 4789" in note["fact"] for note in described["notes"])


def test_an_id_that_several_have_is_refused(swarm: Machine, tmp_path: Path) -> None:
    ids = [
        swarm.on_node(0, "docker", "run", "-d", "--network", "none", IMAGE, "sleep", "999").strip() for _ in range(18)
    ]
    begins = [one[0] for one in ids]
    # Of 18, two begin alike. A letter that an id of the other node begins with would name that one.
    others = {one[0] for one in swarm.on_node(1, "docker", "ps", "-aq").split()}
    several = next(first for first in begins if begins.count(first) > 1 and first not in others)
    command = swarm.run(tmp_path, "inspect", "--between", f"{several},swarm-c01")
    assert (command.exit_code, "give more of it" in command.stderr) == (2, True), command.stderr
    swarm.on_node(0, "docker", "rm", "-f", *ids)


def test_a_container_that_does_not_run_is_refused(swarm: Machine, tmp_path: Path) -> None:
    swarm.on_node(0, "docker", "create", "--name", "still", IMAGE, "sleep", "9")
    command = swarm.run(tmp_path, "inspect", "--between", "still,swarm-c01")
    assert (command.exit_code, "does not run" in command.stderr) == (2, True), command.stderr
    swarm.on_node(0, "docker", "rm", "still")


def test_a_wire_around_it_makes_trials_invalid(swarm: Machine, tmp_path: Path) -> None:
    """Last of this file: the wire stays. It joins the overlay's bridges, and both are told to send by it."""
    first, second = map(str, swarm.nodes())
    make = f"ip link add name wire netns {first} type veth peer name wire netns {second}".split()
    swarm_run = [*"run --blocks 30 --duration 1 --omit 0 --flows 1 --measure iperf3".split(), "--out", OUT, *BETWEEN]
    folders = len(swarm.results())
    with swarm.start(tmp_path, *swarm_run) as command:

        def statuses() -> list[str]:
            return [row["status"] for path in swarm.results()[folders:] for row in rows_so_far(path / "trials.csv")]

        assert eventually(lambda: len(statuses()) > 1 or command.exit_code is not None)
        assert command.exit_code is None, command.stderr
        swarm.on_machine(*make)
        for node in (0, 1):
            space = hidden(swarm, node)
            swarm.on_node(node, "ip", "link", "set", "wire", "netns", space)
            inside = ["nsenter", f"--net={space}", "--"]
            swarm.on_node(node, *inside, "ip", "link", "set", "wire", "master", "br0", "up")
            fdb = ["bridge", "fdb", "replace", address(swarm, 1 - node), "dev", "wire", "master", "static", "sticky"]
            swarm.on_node(node, *inside, *fdb)
        assert eventually(lambda: "invalid" in statuses() or command.exit_code is not None)
        command.send(signal.SIGINT)
        assert command.wait() == INTERRUPTED, command.stderr
    found = rows_of(swarm.results()[-1] / "trials.csv")
    assert {row["status"] for row in found if row["profile"] == "underlay"} == {"ok"}
    invalid = [row for row in found if row["status"] == "invalid"]
    assert {row["profile"] for row in invalid} == {"swarm"}
    assert all(row["goodput_bps"] == "" for row in invalid)
