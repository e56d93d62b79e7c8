"""What a run makes in a cluster: right by the API's own schemas, with the least of rights."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from harness.labs import manifests
from harness.measures.registry import DEFAULT, MEASURES, programs
from harness.model.services import ServiceKind

REPO = Path(__file__).parents[2]
NODES = ("alpha", "beta")
VERSIONS = ("1.25", kubernetes_validate.latest_version())
"""The oldest and the newest whose schemas the library has."""
ALL = [
    manifests.namespace("0123abcd"),
    *manifests.net_pods(NODES, "example.org/tools:1"),
    *manifests.host_pods(NODES, "example.org/tools:1", captures=True),
    *manifests.host_pods(NODES, "example.org/tools:1", captures=False),
    *(manifests.service(kind, 2) for kind in ServiceKind),
]
ROLES = [*yaml.safe_load_all((REPO / "kubernetes/rbac.yml").read_text(encoding="utf-8"))]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [*ALL, *ROLES], ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_is_valid_by_the_apis_schema(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_what_is_wrong_would_be_found() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**ALL[1], "spec": ALL[1]["spec"] | {"hostNetwok": True}}, VERSIONS[1], strict=True
        )


def test_text_is_read_back_as_it_was() -> None:
    assert [*yaml.safe_load_all(manifests.text(ALL))] == ALL


def test_pods_are_pinned_and_have_what_they_need_and_no_more() -> None:
    pods = [one["spec"] for one in ALL if one["kind"] == "Pod"]
    assert [(spec["nodeName"], spec["hostNetwork"]) for spec in pods] == [
        *((name, False) for name in NODES),
        *((name, True) for name in NODES),
        *((name, True) for name in NODES),
    ]
    for spec in pods:
        container = spec["containers"][0]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert (spec["automountServiceAccountToken"], spec["restartPolicy"]) == (False, "Never")
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    added = [spec["containers"][0]["securityContext"]["capabilities"].get("add") for spec in pods]
    assert added == [None, None, *[["NET_RAW", "SETGID"]] * 2, None, None]
    assert [spec["securityContext"].get("runAsNonRoot", False) for spec in pods] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_services_ports_have_both_protocols() -> None:
    for kind in ServiceKind:
        ports = manifests.service(kind, 2)["spec"]["ports"]
        numbers = {
            protocol: [one["port"] for one in ports if one["protocol"] == protocol] for protocol in ("TCP", "UDP")
        }
        assert numbers["TCP"] == numbers["UDP"]
        assert len(numbers["TCP"]) == manifests.SERVICE_PORTS >= max(one.processes for one in MEASURES.values())


def test_the_image_has_the_programs_of_the_default_measures_and_sockperf() -> None:
    text = (REPO / "kubernetes/Containerfile").read_text(encoding="utf-8")
    packages = set(re.findall(r"^ {8}([a-z0-9-]+) \\$", text, re.MULTILINE))
    wanted = {program.package for program in programs((*DEFAULT, "sockperf", "loaded-ping", "udp-search")).values()}
    assert wanted | {"tcpdump", "iproute2", "ethtool"} == packages
    assert f" {manifests.IMAGE} " in text


@pytest.mark.parametrize("name", ["5e32", "1e5", "0o17", "12", ".5", "-1", "1_0", "0x1f"])
def test_text_that_might_be_a_number_stays_text(name: str) -> None:
    """`5e32` is a number to kubectl and none to PyYAML, which wrote it without quotes."""
    made = manifests.text([manifests.namespace(name)])
    assert f"vxlan-harness/run: '{name}'\n" in made
