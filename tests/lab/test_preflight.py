"""What is in the way on one node: it is named, and neither node is changed."""

from pathlib import Path

import pytest

from harness.model.errors import LabError, PlaybookError
from harness.model.shipped import PROFILES
from tests.lab.bench import Bench, done
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

CLIENT, SERVER = "172.12.1.11", "172.12.1.12"
# what is made by hand on a node, the profile that it is in the way of, what the refusal has to name
OBSTACLES = {
    "somebody else's docker0": ("ip link add name docker0 type bridge", "vxlan", ["docker0"]),
    "VNI and port in use": (
        f"ip link add name vxlan9 type vxlan id 20 remote {CLIENT} dstport 4789 dev ens33",
        "vxlan",
        ["vxlan9", "20", "4789"],
    ),
    "route overlaps": (
        f"ip route add 172.17.5.0/24 via {CLIENT}",
        "vxlan",
        ["172.17.5.0/24", "172.17.0.0/16"],
    ),
    "route in another table overlaps": (
        f"ip route add 10.245.0.0/16 via {CLIENT} table 100",
        "host-gw",
        ["10.245.0.0/16"],
    ),
    "address of another device": (
        "ip link add name br9 up type bridge; ip addr add 172.18.9.1/24 dev br9",
        "vxlan-1500",
        ["172.18.9.", "br9"],
    ),
    "flannel's own subnet.env": (
        "mkdir /run/flannel; echo FLANNEL_MTU=1450 >/run/flannel/subnet.env",
        "flannel",
        ["/run/flannel/subnet.env"],
    ),
}
SOLE = "somebody else's docker0"


def refused(bench: Bench, profiles: list[str]) -> str:
    """Return why these profiles are refused; neither node may have changed."""
    before = bench.snapshot()
    with pytest.raises(PlaybookError) as refusal:
        bench.play("apply", profiles)
    assert bench.changes(before) == []
    return str(refusal.value)


def test_one_thing_on_the_client_is_refused_before_any_change(bench: Bench) -> None:
    script, profile, named = OBSTACLES[SOLE]
    done(bench.client, "sh", "-ec", script)
    text = refused(bench, [profile])
    assert [word for word in [bench.client.name, *named] if word not in text] == []
    assert bench.server.name not in text


def test_everything_on_the_server_is_named(bench: Bench) -> None:
    obstacles = [obstacle for name, obstacle in OBSTACLES.items() if name != SOLE]
    for script, _, _ in obstacles:
        done(bench.server, "sh", "-ec", script)
    text = refused(bench, sorted({profile for _, profile, _ in obstacles}))
    assert [word for _, _, named in obstacles for word in named if word not in text] == []
    assert bench.server.name in text
    assert bench.client.name not in text


def test_port_of_somebody_elses_program(bench: Bench) -> None:
    script = "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 4789)); time.sleep(60)"
    with bench.server.background(["python3", "-c", script]):
        done(bench.server, "sh", "-c", "until ss -Hlnu 'sport = :4789' | grep -q .; do sleep 0.05; done")
        text = refused(bench, ["vxlan"])
    assert "udp port 4789, which profile vxlan needs, is already in use" in text


def test_teardown_leaves_what_is_in_the_way(bench: Bench) -> None:
    for script, _, _ in OBSTACLES.values():
        done(bench.server, "sh", "-ec", script)
    before = bench.snapshot()
    result = bench.play("teardown", sorted({profile for _, profile, _ in OBSTACLES.values()}))
    assert set(result.changed.values()) == {0}
    assert bench.changes(before) == []


def test_doctor_names_what_is_in_the_way_on_the_nodes(machine: Machine, tmp_path: Path) -> None:
    own = (PROFILES / "host-gw.yml").read_text(encoding="utf-8").replace("name: host-gw", "name: mine")
    (tmp_path / "mine.yml").write_text(own, encoding="utf-8")
    before = machine.state()
    words = ["doctor", "--profile", "vxlan", "--profile", "mine", "--profiles-dir", str(tmp_path)]
    with machine.start(tmp_path, *words) as command:
        assert command.wait() == 0, command.stdout
        assert "ok      mine: nothing is in its way" in command.stdout
    assert machine.changes(before) == []
    machine.run(tmp_path, "lab", "up")
    machine.run(tmp_path, *"lab exec k8s-2 ip link add name docker0 type bridge".split())
    with machine.start(tmp_path, *"doctor --profile vxlan --profile host-gw".split()) as command:
        assert command.wait() == LabError.exit_code
        assert "ok      host-gw: nothing is in its way" in command.stdout
        assert "missing vxlan: nothing is in its way" in command.stdout
        said = " ".join(command.stdout.split())
    assert "k8s-2: a device named docker0 is already there" in said
    assert "give --containers docker" in said
    machine.run(tmp_path, "lab", "down")
    assert machine.changes(before) == []
