"""Docker Swarm's own overlay between the nodes of the local lab: found, measured as found, and left as it was."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.test_run import rows_of, summary_rows

pytestmark = pytest.mark.lab

CEILING = 0.96547
"""TCP at MTU 1450 behind VXLAN's 50 bytes, against the underlay at 1500."""
TOLERANCE = 0.02
"""On a machine on which other tests run; what takes half of the way to 1 fails."""
BETWEEN = ("--between", "swarm=web-1,web-2")
IMAGE = """
mkdir -p /tmp/r/bin; cp /bin/sleep /tmp/r/bin
for l in $(ldd /bin/sleep | grep -o '/[^ ]*'); do mkdir -p "/tmp/r$(dirname "$l")"; cp -L "$l" "/tmp/r$l"; done
tar -c -C /tmp/r . | docker import - theirs:1; rm -r /tmp/r
"""


def start(machine: Machine, node: int, *more: str) -> None:
    """Start the container of a node on the overlay network."""
    words = ["run", "-d", "--name", f"web-{node + 1}", "--network", "theirs", *more, "theirs:1", "sleep", "999"]
    machine.on_node(node, "docker", *words)


@pytest.fixture(scope="module")
def swarm(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a standing lab, a swarm over its two nodes, and a container on each on one overlay network.

    The commands are those of docs/existing.md.
    """
    tmp_path = tmp_path_factory.mktemp("swarm")
    up = machine.run(tmp_path, "lab", "up", "--containers", "docker")
    assert up.exit_code == 0, up.stderr
    try:
        machine.on_node(0, "docker", "swarm", "init", "--advertise-addr", "172.12.1.11")
        token = machine.on_node(0, "docker", "swarm", "join-token", "-q", "worker").strip()
        join = ["docker", "swarm", "join", "--advertise-addr", "172.12.1.12", "--token", token, "172.12.1.11:2377"]
        machine.on_node(1, *join)
        machine.on_node(0, "docker", "network", "create", "-d", "overlay", "--attachable", "theirs")
        for node in (0, 1):
            machine.on_node(node, "sh", "-ec", IMAGE)
            start(machine, node)
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
    network = machine.on_node(node, "docker", "network", "inspect", "-f", "{{.Id}}", "theirs").strip()
    return f"/run/docker/netns/1-{network[:10]}"


def address(machine: Machine, node: int) -> str:
    """Return the MAC address of a container on the overlay network."""
    form = '{{(index .NetworkSettings.Networks "theirs").MacAddress}}'
    return machine.on_node(node, "docker", "inspect", "-f", form, f"web-{node + 1}").strip()


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


def test_swarms_overlay_is_measured_as_it_was_found(swarm: Machine, tmp_path: Path) -> None:
    before = state_of(swarm)
    words = f"run --blocks 3 --duration 1 --omit 1 --flows 1 --out {OUT}".split()
    command = swarm.run(tmp_path, *words, *BETWEEN)
    assert command.exit_code == 0, command.stderr
    assert state_of(swarm) == before
    folder = swarm.results()[-1]
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    overlay = [row for row in rows if row["profile"] == "swarm"]
    assert all("vxlan0@1-" in row["proof"] for row in overlay)
    assert {row["path_state"] for row in overlay} == {"whole"}
    (tcp,) = summary_rows(folder, "swarm", "goodput_bps")
    assert float(tcp["ceiling_ratio"]) == pytest.approx(CEILING, abs=1e-5)
    assert float(tcp["ratio"]) == pytest.approx(CEILING, abs=TOLERANCE)
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert described["profiles"]["swarm"]["found"]["wire"]["vni"] == 4097
    assert any("VNI 4097, UDP port 4789" in note["fact"] for note in described["notes"])


def test_an_id_that_several_have_is_refused(swarm: Machine, tmp_path: Path) -> None:
    ids = [
        swarm.on_node(0, "docker", "run", "-d", "--network", "none", "theirs:1", "sleep", "999").strip()
        for _ in range(18)
    ]
    begins = [one[0] for one in ids]
    several = next(first for first in begins if begins.count(first) > 1)  # of 18, two begin alike
    command = swarm.run(tmp_path, "inspect", "--between", f"{several},web-2")
    assert (command.exit_code, "give more of it" in command.stderr) == (2, True), command.stderr
    swarm.on_node(0, "docker", "rm", "-f", *ids)


def test_a_container_that_does_not_run_is_refused(swarm: Machine, tmp_path: Path) -> None:
    swarm.on_node(0, "docker", "create", "--name", "still", "theirs:1", "sleep", "9")
    command = swarm.run(tmp_path, "inspect", "--between", "still,web-2")
    assert (command.exit_code, "does not run" in command.stderr) == (2, True), command.stderr
    swarm.on_node(0, "docker", "rm", "still")


def test_a_wire_around_it_makes_trials_invalid(swarm: Machine, tmp_path: Path) -> None:
    """Last of this file: the wire stays. It joins the overlay's bridges, and both are told to send by it."""
    first, second = map(str, swarm.nodes())
    make = f"ip link add name wire netns {first} type veth peer name wire netns {second}".split()
    swarm_run = [*"run --blocks 4 --duration 1 --omit 0 --flows 1 --measure iperf3".split(), "--out", OUT, *BETWEEN]
    folders = len(swarm.results())
    with swarm.start(tmp_path, *swarm_run) as command:

        def rows() -> int:
            written = [path / "trials.csv" for path in swarm.results()[folders:]]
            return len(rows_of(written[0])) if written and written[0].exists() else 0

        assert eventually(lambda: rows() > 1 or command.exit_code is not None, 60.0)
        assert command.exit_code is None, command.stderr
        swarm.on_machine(*make)
        for node in (0, 1):
            space = hidden(swarm, node)
            swarm.on_node(node, "ip", "link", "set", "wire", "netns", space)
            inside = ["nsenter", f"--net={space}", "--"]
            swarm.on_node(node, *inside, "ip", "link", "set", "wire", "master", "br0", "up")
            fdb = ["bridge", "fdb", "replace", address(swarm, 1 - node), "dev", "wire", "master", "static"]
            swarm.on_node(node, *inside, *fdb)
        assert command.wait() == 7, command.stderr
    found = rows_of(swarm.results()[-1] / "trials.csv")
    assert {row["status"] for row in found if row["profile"] == "underlay"} == {"ok"}
    invalid = [row for row in found if row["status"] == "invalid"]
    assert invalid
    assert {row["profile"] for row in invalid} == {"swarm"}
    assert all(row["goodput_bps"] == "" for row in invalid)
