"""Endpoints that are containers: what is chosen, and what it means on each node."""

from pathlib import Path
from typing import Any

import pytest

from harness.fabric.profiles import load
from harness.fabric.topology import endpoint, namespace_name, wanted_state
from harness.labs import engine
from harness.model.containers import OWN_IMAGE, Containers, Engine
from harness.model.errors import InputError, LabError
from harness.model.node import Node
from harness.model.shipped import PROFILES

CLIENT = Node("k8s-1", 1, "172.12.1.11", "ens33", address6="fd00:172:12:1::11")
SERVER = Node("k8s-2", 2, "172.12.1.12", "ens33", address6="fd00:172:12:1::12")
MTUS = (1450, 1500)
DOCKER = Containers.parse("docker")
SHIPPED = sorted({path.stem for path in PROFILES.glob("*.yml")} - {"underlay", "swarm", "swarm-encrypted"})


def state(profile: str, node: Node, containers: Containers = DOCKER, mtus: tuple[int, ...] = MTUS) -> dict[str, Any]:
    return wanted_state(load(profile), node, SERVER if node is CLIENT else CLIENT, mtus, containers)


def test_engines_and_images() -> None:
    assert Containers.parse("none") == Containers(Engine.NONE, "")
    assert Containers.parse("docker") == Containers(Engine.DOCKER, OWN_IMAGE)
    image = "registry.example:5000/team/tool:1.2@sha256:0a"
    assert Containers.parse("podman", image) == Containers(Engine.PODMAN, image)


@pytest.mark.parametrize(
    ("chosen", "image", "named"),
    [
        ("dokcer", None, "unknown container engine dokcer: choose one of none, docker, podman"),
        (
            "none",
            "debian:12",
            "image debian:12: endpoints are not containers; choose an engine with it, such as docker",
        ),
        ("docker", "x; rm -rf /", "is not the name of an image"),
        ("docker", "$(reboot)", "is not the name of an image"),
        ("docker", "debian\n", "is not the name of an image"),
        ("docker", "--privileged", "is not the name of an image"),
        ("docker", "../../etc/passwd", "is not the name of an image"),
        ("docker", "a" * 256, "is not the name of an image"),
    ],
)
def test_what_cannot_be_used_is_said(chosen: str, image: str | None, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Containers.parse(chosen, image)


def test_on_docker0_the_seeds_names_and_addresses() -> None:
    client, server = state("vxlan", CLIENT)["containers"], state("vxlan", SERVER)["containers"]
    assert (client["engine"], client["bridge"], client["gateway"]) == ("docker", "docker0", "172.17.0.1/16")
    assert [(m["name"], m["address"], m["namespace"], m["mtu"]) for m in client["members"]] == [
        ("vxlan-c01", "172.17.0.2", "harness-vxlan-1450", 1450),
        ("vxlan-c02", "172.17.0.3", "", None),
        ("vxlan-c03", "172.17.0.4", "harness-vxlan-1500", 1500),
    ]
    assert [(m["name"], m["address"], m["namespace"]) for m in server["members"]] == [
        ("vxlan-c01", "172.17.0.2", ""),
        ("vxlan-c02", "172.17.0.3", "harness-vxlan-1450"),
        ("vxlan-c03", "172.17.0.4", ""),
        ("vxlan-c04", "172.17.0.5", "harness-vxlan-1500"),
    ]


def test_docker0_itself_and_what_docker_makes_is_only_adopted() -> None:
    wanted = state("vxlan", CLIENT)
    adopted = {(link["name"], link.get("netns", "")) for link in wanted["links"] if link["adopt"]}
    assert adopted == {("docker0", ""), ("eth0", "harness-vxlan-1450"), ("eth0", "harness-vxlan-1500")}
    assert {link["name"] for link in wanted["links"]} == {"docker0", "vxlan_docker", "eth0"}
    assert wanted["forward"] == []


@pytest.mark.parametrize("profile", SHIPPED)
@pytest.mark.parametrize("name", ["docker", "podman"])
@pytest.mark.parametrize("node", [CLIENT, SERVER], ids=str)
def test_addresses_and_namespaces_are_those_of_plain_ones(profile: str, name: str, node: Node) -> None:
    wanted = state(profile, node, Containers.parse(name))
    plain = state(profile, node, Containers())
    members = {m["namespace"]: m for m in wanted["containers"]["members"] if m["namespace"]}
    assert wanted["namespaces"] == plain["namespaces"] == [namespace_name(profile, mtu) for mtu in MTUS]
    assert list(members) == wanted["namespaces"]
    assert plain["containers"] is None
    bridge = wanted["containers"]["bridge"]
    assert bool(bridge) == (name == "docker" and profile == "vxlan")
    for mtu in MTUS:
        if bridge:
            assert members[namespace_name(profile, mtu)]["address"] == endpoint(load(profile), mtu, node, MTUS).address
    if not bridge:
        assert wanted | {"containers": None} == plain


def test_a_lab_has_settings_of_its_own_for_each_engine() -> None:
    assert '"cgroup-parent": "/vxlan-harness/run-7-ab/k8s-1"' in engine.settings(Engine.DOCKER, "run-7-ab", "k8s-1")
    assert "cgroupfs" in engine.settings(Engine.PODMAN, "run-7-ab", "k8s-1")
    assert engine.settings(Engine.NONE, "run-7-ab", "k8s-1") == ""


def test_an_engine_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="dockerd is not installed"):
        engine.require(Engine.DOCKER, str(tmp_path))
    engine.require(Engine.NONE, str(tmp_path))


def test_only_a_labs_own_empty_groups_are_removed(tmp_path: Path) -> None:
    for hierarchy in ("cpu", "memory"):
        (tmp_path / hierarchy / "vxlan-harness/run-7-ab/k8s-1/0a1b").mkdir(parents=True)
        (tmp_path / hierarchy / "docker/0c1d").mkdir(parents=True)
    (tmp_path / "cpu/vxlan-harness/run-8-cd").mkdir()
    engine.remove_cgroups(Engine.DOCKER, "run-7-ab", tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    kept = "cpu cpu/docker cpu/docker/0c1d cpu/vxlan-harness cpu/vxlan-harness/run-8-cd memory memory/docker"
    assert left == [*kept.split(), "memory/docker/0c1d"]
    engine.remove_cgroups(Engine.NONE, "run-8-cd", tmp_path)
    assert (tmp_path / "cpu/vxlan-harness/run-8-cd").is_dir()
