"""Docker Swarm's overlay as a profile: what it means on each node, what is ours there, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.prepare import Options, prepare
from harness.fabric import ansible, support, swarm
from harness.fabric.profiles import load, load_file
from harness.fabric.topology import carrier, probes, wanted_state
from harness.model.containers import Containers
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.path import Carrier, Counted
from harness.results.plan import Setup
from tests.unit.on_node import library, module_utils

node_module = module_utils("harness_node")
on_node = module_utils("harness_swarm")
actions = module_utils("harness_swarm_actions")
conflicts = module_utils("harness_conflicts")
library("swarm")

CLIENT = Node("k8s-1", 1, "172.12.1.11", "ens33")
SERVER = Node("k8s-2", 2, "172.12.1.12", "ens33")
GOLDEN = Path(__file__).parents[1] / "golden"
DOCKER = Containers.parse("docker")
MANAGER = "172.12.1.11:2377"
INACTIVE = {"LocalNodeState": "inactive", "ControlAvailable": False, "RemoteManagers": None}
MINE = {
    "LocalNodeState": "active",
    "ControlAvailable": True,
    "RemoteManagers": [{"Addr": MANAGER}],
    "Cluster": {"Spec": {"Labels": {"vxlan-harness.swarm": MANAGER}}},
}
THEIRS = MINE | {"Cluster": {"Spec": {"Labels": {}}}}
WORKER = {"LocalNodeState": "active", "ControlAvailable": False, "RemoteManagers": [{"Addr": MANAGER}]}
MARK = {"vxlan-harness-swarm": {"vxlan-harness.swarm": MANAGER, "vxlan-harness.gateway": "made"}}


def state(node: Node = CLIENT, profile: str = "swarm", containers: Containers = DOCKER) -> dict[str, Any]:
    peer = SERVER if node is CLIENT else CLIENT
    return wanted_state(load(profile), node, peer, (1450, 1500), containers)


# ---- the profile


def test_netstate_makes_nothing_but_rules() -> None:
    wanted = state()
    assert [wanted[key] for key in ("namespaces", "links", "containers", "routes")] == [[], [], None, []]
    assert [(port["protocol"], port["port"], port["peer"]) for port in wanted["ports"]] == [
        ("udp", 4789, SERVER.address),
        ("tcp", 2377, SERVER.address),
        ("tcp", 7946, SERVER.address),
        ("udp", 7946, SERVER.address),
    ]


@pytest.mark.parametrize(
    ("node", "is_manager", "addresses"),
    [(CLIENT, True, ["10.251.1.2", "10.251.1.4"]), (SERVER, False, ["10.251.1.3", "10.251.1.5"])],
)
def test_first_node_is_the_manager(node: Node, is_manager: bool, addresses: list[str]) -> None:
    wanted = state(node)["swarm"]
    assert (wanted["is_manager"], wanted["manager"], wanted["subnet"]) == (is_manager, MANAGER, "10.251.0.0/16")
    members = wanted["containers"]["members"]
    assert [member["address"] for member in members] == addresses
    assert [member["namespace"] for member in members] == ["harness-swarm-1450", "harness-swarm-1500"]


def test_tunnel_is_counted_where_docker_hides_it() -> None:
    setup = Setup(("underlay", "swarm", "vxlan", "host-gw"), (1450,), 1500, DOCKER)
    profiles = {name: load(name) for name in setup.profiles}
    paths = ansible.paths(setup, profiles, CLIENT, SERVER)
    hidden = Counted("vxlan0", "vxlan0", "/run/vxlan-harness-node/overlay-swarm")
    assert paths["swarm", 1450].counted == (hidden, hidden)
    assert paths["swarm", 1450].claim.tunnel == "vxlan0"
    assert paths["swarm", 1450].claim.other_tunnels == ("vxlan_docker",)
    assert paths["vxlan", 1450].counted is None
    assert paths["host-gw", 1450].claim.other_tunnels == ("vxlan_docker",), "the node itself has no vxlan0"


def test_encrypted_costs_76_bytes_and_ends_on_4() -> None:
    plain, sealed = load("swarm"), load("swarm-encrypted")
    assert [plain.path_mtu(1500), sealed.path_mtu(1500), sealed.path_mtu(1502)] == [1450, 1424, 1424]
    wanted = state(profile="swarm-encrypted")["swarm"]
    assert (wanted["is_encrypted"], wanted["tunnel_mtu"], wanted["kinds"]) == (True, 1424, ["vxlan", "esp"])
    assert {pair["path_mtu"] for pair in probes(sealed, CLIENT, SERVER, (1450, 1500))} == {1424}
    assert carrier(plain, CLIENT, SERVER) == Carrier(CLIENT.address, SERVER.address, "udp", 4789)
    assert carrier(sealed, CLIENT, SERVER) == Carrier(CLIENT.address, SERVER.address, "50", None)


@pytest.mark.parametrize("engine", ["none", "podman"])
def test_other_endpoints_than_dockers_are_refused(engine: str) -> None:
    with pytest.raises(InputError, match=r"profile swarm is Docker's own overlay network.*give --containers docker\."):
        prepare(Options(profile=("swarm",), containers=engine))
    refused = on_node.conflicts(state(containers=Containers.parse(engine)), None)
    assert refused == ["profile swarm takes Docker's containers; give --containers docker (-e containers=docker)"]


def test_kernel_without_esp_is_found_out() -> None:
    sealed = load("swarm-encrypted")
    assert support.kinds(sealed) == ("vxlan", "bridge", "esp", "veth")
    assert support.lacking({"swarm": load("swarm"), "sealed": sealed}, lambda kind: kind != "esp") == {
        "sealed": ["esp"]
    }
    assert support.named(["vxlan", "esp"]) == "link type vxlan and IPsec ESP"
    assert "rfc4106(gcm(aes))" in support.argv("esp")
    for said, code in (("RTNETLINK answers: Protocol not supported", 2), ("Requested AEAD algorithm not found.", 2)):
        assert support.is_refused("esp", code, said)
    assert not support.is_refused("esp", 0, "")
    assert conflicts.in_words("esp") == "IPsec ESP"


@pytest.mark.parametrize(
    ("old", "new"),
    [("swarm:\n  encrypted: false\n", ""), ("  address:", "  bridge: br0\n  address:"), ("encrypted: false", "x: 1")],
)
def test_a_swarm_without_its_section_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = Path(ansible.__file__).parents[2].joinpath("playbooks/profiles/swarm.yml").read_text(encoding="utf-8")
    file = tmp_path / "swarm.yml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=r"swarm\.yml, line \d+: "):
        load_file(file)


# ---- on a node


class Docker:
    """A node's Docker as far as it is asked: the swarm that it is in, marks, networks, what it was told to do."""

    def __init__(self, swarm_: dict[str, Any], marks: dict[str, Any], networks: dict[str, Any]) -> None:
        self.swarm, self.marks, self.networks = swarm_, marks, networks
        self.posted: list[tuple[str, dict[str, Any]]] = []

    def run(self, argv: list[str], stdin: str | None = None) -> str:
        del stdin
        words = " ".join(argv)
        if words.startswith("docker info"):
            return json.dumps(self.swarm)
        if words.startswith("docker volume ls"):
            return "\n".join(self.marks)
        if words.startswith("docker volume inspect"):
            return json.dumps([{"Name": name, "Labels": labels} for name, labels in self.marks.items()])
        if words.startswith("docker network ls"):
            return "id\n" if "docker_gwbridge" in self.networks else ""
        raise AssertionError(words)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Docker]:
    def made(swarm_: dict[str, Any], marks: dict[str, Any] | None = None, **networks: Any) -> Docker:  # noqa: ANN401
        one = Docker(swarm_, marks or {}, networks)
        monkeypatch.setattr(on_node, "run", one.run)
        monkeypatch.setattr(on_node, "network", lambda wanted: one.networks.get(wanted["network"].replace("-", "_")))
        monkeypatch.setattr(on_node.containers, "conflicts", lambda *_: [])
        monkeypatch.setattr(actions, "post", lambda path, body: one.posted.append((path, body)))
        return one

    return made


def lines(queue: list[Any]) -> list[str]:
    return [line for action in queue for line in action.lines()]


def test_a_swarm_of_others_is_refused_and_left(docker: Callable[..., Docker]) -> None:
    for member, marks in (
        (THEIRS, MARK),
        (WORKER, {}),
        (WORKER | {"RemoteManagers": [{"Addr": "10.1.1.1:2377"}]}, MARK),
    ):
        docker(member, marks)
        (said,) = on_node.conflicts(state(), None)
        assert "in a swarm already, which is not ours and is left alone" in said
        assert "--between" in said
        assert "leave the swarm" not in said
        assert on_node.is_in_one(state()), "of its ports nothing more is said"
        assert not [line for line in lines(actions.plan_absent(state())) if "swarm leave" in line or "gwbridge" in line]


def test_a_swarm_of_ours_is_known_on_both_nodes(docker: Callable[..., Docker]) -> None:
    for member, node in ((MINE, CLIENT), (WORKER, SERVER)):
        docker(member, MARK)
        assert on_node.conflicts(state(node), None) == []
        assert on_node.is_in_one(state(node))


def test_a_network_of_others_is_refused(docker: Callable[..., Docker]) -> None:
    for known in ({"Scope": "local", "Labels": {}}, {"Scope": "swarm", "Labels": None}):
        docker(INACTIVE, harness_swarm=known)
        assert on_node.conflicts(state(), None) == [
            "a network named harness-swarm is already there and not ours; rename it"
        ]


def test_a_node_is_marked_before_it_joins(docker: Callable[..., Docker]) -> None:
    one = docker(INACTIVE)
    made = lines(actions.plan_membership(state(), None))
    assert [line.split(" --")[0] for line in made] == [
        "docker volume create",
        "docker swarm init",
        "docker network create",
    ]
    assert "--opt encrypted" not in made[-1]
    assert "--opt encrypted" in lines(actions.plan_membership(state(profile="swarm-encrypted"), None))[-1]
    queue = actions.plan_membership(state(SERVER), "SWMTKN-secret")
    assert lines(queue)[0].endswith(
        f"--label vxlan-harness.swarm={MANAGER} --label vxlan-harness.gateway=made vxlan-harness-swarm"
    )
    assert "SWMTKN" not in "".join(lines(queue))
    queue[-1].apply()
    ((path, body),) = one.posted
    assert (path, body["RemoteAddrs"], body["JoinToken"]) == ("/swarm/join", [MANAGER], "SWMTKN-secret")


def test_the_manager_marks_the_swarm_itself(docker: Callable[..., Docker]) -> None:
    one = docker(INACTIVE)
    actions.plan_membership(state(), None)[1].apply()
    ((path, body),) = one.posted
    assert (path, body["Spec"]["Labels"]) == ("/swarm/init", {"vxlan-harness.swarm": MANAGER})
    assert (body["ListenAddr"], body["DataPathAddr"]) == (MANAGER, CLIENT.address)


def test_what_is_up_is_left_as_it_is(docker: Callable[..., Docker]) -> None:
    docker(MINE, MARK, harness_swarm={"Scope": "swarm", "Labels": {"vxlan-harness.profile": "swarm"}})
    assert actions.plan_membership(state(), None) == []


def test_the_bridge_that_was_there_stays(docker: Callable[..., Docker]) -> None:
    docker(INACTIVE, docker_gwbridge={})
    assert "gateway=there" in lines(actions.plan_membership(state(), None))[0]
    there = {name: labels | {"vxlan-harness.gateway": "there"} for name, labels in MARK.items()}
    docker(MINE, there, docker_gwbridge={})
    assert lines(actions.plan_absent(state())) == [
        "docker swarm leave --force",
        "docker volume rm vxlan-harness-swarm",
    ]
    docker(MINE, MARK, docker_gwbridge={})
    assert "docker network rm docker_gwbridge" in lines(actions.plan_absent(state()))


def test_the_last_profile_leaves_the_swarm(docker: Callable[..., Docker]) -> None:
    both = MARK | {"vxlan-harness-swarm-encrypted": MARK["vxlan-harness-swarm"]}
    docker(MINE, both, harness_swarm={"Scope": "swarm"}, docker_gwbridge={})
    assert lines(actions.plan_absent(state())) == [
        "docker network rm harness-swarm",
        "docker volume rm vxlan-harness-swarm",
    ]
    docker(WORKER, MARK, docker_gwbridge={})
    assert lines(actions.plan_absent(state(SERVER)))[0] == "docker swarm leave"


def test_half_built_is_taken_down(docker: Callable[..., Docker]) -> None:
    docker(INACTIVE, MARK)
    assert lines(actions.plan_absent(state())) == ["docker volume rm vxlan-harness-swarm"]
    docker(INACTIVE)
    assert actions.plan_absent(state()) == []


def test_without_docker_there_is_nothing_to_take_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_argv: list[str]) -> str:
        raise FileNotFoundError("docker")

    monkeypatch.setattr(on_node, "run", absent)
    assert actions.plan_absent(state()) == []
    assert not on_node.is_in_one(state())
    assert not on_node.is_in_one(state() | {"swarm": None})


def test_words_of_the_daemon_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(node_module.NodeError, match=r"Docker's API, /swarm/join: .*No such file"):
        actions.post("/swarm/join", {"JoinToken": "secret"})


def test_network_names_are_the_profiles() -> None:
    assert swarm.network_name(load("swarm")) == "harness-swarm"
    assert swarm.counted(load("vxlan")) is None
    swarm.require_docker(load("vxlan"), Containers())


# ---- encryption


@pytest.mark.parametrize("after", [0, 2, 1000])
def test_encryption_is_waited_for_as_long_as_gossip_takes(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The kernel encrypts once Docker has heard of the other node's endpoints."""
    states = (GOLDEN / "iproute2-6.1-xfrm-state.txt").read_text(encoding="utf-8")
    slept: list[float] = []
    asked: list[list[str]] = []

    def run(argv: list[str]) -> str:
        asked.append(argv)
        return states if len(asked) > after else states.replace(SERVER.address, "172.12.1.13")

    monkeypatch.setattr(on_node, "run", run)
    monkeypatch.setattr(on_node.time, "sleep", slept.append)
    monkeypatch.setattr(on_node.time, "monotonic", lambda: sum(slept))
    assert on_node._is_encrypting(SERVER.address) is (after < 1000)
    assert asked[0] == ["ip", "xfrm", "state"]
    assert len(slept) == {0: 0, 2: 2}.get(after, len(slept))
    assert after < 1000 or 89.0 < sum(slept) < 91.0
