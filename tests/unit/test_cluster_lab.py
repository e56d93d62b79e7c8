"""Pods of a cluster as a lab, by an API server that is a table: what is made, what is refused, and that it all goes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.cluster import cluster_lab
from harness.inspect import cluster as cluster_path
from harness.inspect import services
from harness.inspect.capture import CaptureRefusedError
from harness.inspect.endpoints import Endpoint
from harness.labs import kubernetes, manifests
from harness.labs.base import Lab
from harness.labs.kubernetes import KubernetesLab, take_down
from harness.model.errors import ConnectionLostError, HarnessError, InputError, LabError
from harness.model.found import CLUSTER_PATH, Found, Wire
from harness.model.jobs import Completed
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.path import Kind
from harness.model.services import Served, ServiceKind
from harness.nodes.channel import Channel
from harness.nodes.kubectl import Kubectl
from harness.nodes.pod_remote import PodRemote
from harness.nodes.remote import Remote
from harness.run.standing import Ground
from tests.unit.existing import FOUND, NODES, end
from tests.unit.test_kubernetes import node

Answer = tuple[int, str]
KERNEL = "boot-{}\ncubic\ncubic reno\n"
FORBIDDEN = 'Error from server (Forbidden): pods is forbidden: violates PodSecurity "restricted"'
NOT_ALLOWED = 'Error from server (Forbidden): pods is forbidden: User "u" cannot create resource "pods" in API group ""'


class Cluster(Kubectl):
    """An API server, and what it has been asked: `said` answers in the place of what would be done."""

    def __init__(self) -> None:
        super().__init__("lab")
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "said", {})
        object.__setattr__(self, "pods", {})
        object.__setattr__(self, "nodes", [node("a", "192.0.2.1"), node("b", "192.0.2.2")])

    asked: list[tuple[str, ...]]
    said: dict[str, list[Answer]]
    pods: dict[str, dict[str, Any]]
    nodes: list[dict[str, Any]]

    def run(self, *words: str, given: str = "", wait_s: float = 0.0) -> Completed:
        self.asked.append((*words, *(["…"] if given else [])))
        wanted = [*yaml.safe_load_all(given)] if given else []
        what = " ".join([words[0], *(wanted[0]["kind"].lower().split() if wanted else words[1:2])])
        if wanted and wanted[0]["metadata"]["name"].startswith("host-"):
            what = "create hosts"
        answers = self.said.get(what, [])
        if answers:
            code, text = answers.pop(0) if len(answers) > 1 else answers[0]
            return Completed(words, code, text if code == 0 else "", text if code else "")
        if what in ("create pod", "create hosts"):
            self.pods.update({one["metadata"]["name"]: running(one) for one in wanted})
        code, text = self._usual(words)
        return Completed(words, code, text if code == 0 else "", text if code else f"{wait_s}")

    def _usual(self, words: Sequence[str]) -> Answer:
        listed = {"nodes": {"items": self.nodes}, "pods": {"items": [*self.pods.values()]}, "service": {"spec": SPEC}}
        if words[0] == "get":
            return (0, json.dumps(listed[words[1]])) if words[1] in listed else (1, "Error: is forbidden")
        return 0, "namespace/vxlan-harness\n\n" if words[0] == "delete" else ""


SPEC = {
    "clusterIP": "10.96.0.9",
    "ports": [{"port": 5202, "nodePort": 30002}, {"port": 5201, "nodePort": 30001}, {"port": 5201, "nodePort": 30001}],
}


def running(wanted: dict[str, Any]) -> dict[str, Any]:
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [{"state": {"running": {}}}]}
    return {"metadata": wanted["metadata"], "spec": wanted["spec"], "status": status}


def shown(address: str, device: str = "eth7") -> str:
    """Return what `ip -j addr show` prints in a node's own network."""
    others = [{"ifname": "lo", "mtu": 65536, "addr_info": [{"local": "127.0.0.1"}]}, {"ifname": "x", "mtu": 1}]
    return json.dumps([*others, {"ifname": device, "mtu": 1400, "addr_info": [{"local": address}]}])


@pytest.fixture
def in_pods(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer]:
    """What commands in a node's own network say, by node and program."""
    said: dict[str, Answer] = {"a cat": (0, KERNEL.format(1)), "b cat": (0, KERNEL.format(2))}
    said |= {"a ip": (0, shown("192.0.2.1")), "b ip": (0, shown("192.0.2.2"))}

    def run(self: PodRemote, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        assert timeout_s
        code, text = said.get(f"{self.name} {argv[0]}", (0, ""))
        return Completed(tuple(argv), code, text if code == 0 else "", text if code else "")

    monkeypatch.setattr(PodRemote, "run", run)
    monkeypatch.setattr(kubernetes, "_POLL_S", 0.0)
    return said


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the folder of a lab goes that is not taken down
    return Cluster()


def made(cluster: Cluster, **more: Any) -> KubernetesLab:  # noqa: ANN401 - KubernetesLab's
    return KubernetesLab(cluster, **more)


def test_pods_come_up_and_go(cluster: Cluster, in_pods: dict[str, Answer]) -> None:
    source = made(cluster)
    assert source.probe() == []
    assert [one.device for one in source.nodes()] == ["?", "?"]
    lab = source.up()
    assert sorted(cluster.pods) == ["host-1", "host-2", "pod-1", "pod-2"]
    assert [(one.name, one.device, one.mtu) for one in lab.nodes] == [("a", "eth7", 1400), ("b", "eth7", 1400)]
    assert (lab.inventory, lab.shared_kernel, lab.congestion_control) == (None, False, None)
    assert [note.fact[:19] for note in lab.notes] == ["the cluster says: n"]
    assert lab.scratch.is_dir()
    assert source.place("b") == "pod-2"
    assert source.remote(lab.server).within("pod-2") is not None
    source.down()
    assert not lab.scratch.exists()
    deleted = [words for words in cluster.asked if words[0] == "delete"]
    assert [words[1] for words in deleted] == ["namespaces"]
    assert deleted[0][2].startswith("--selector=vxlan-harness/run=")
    source.down()
    assert len([words for words in cluster.asked if words[0] == "delete"]) == 1, "it is gone"
    assert in_pods


def test_what_is_wanted_is_told_before(cluster: Cluster) -> None:
    source = made(cluster, services=(ServiceKind.NODE_PORT,), image="own:1")
    kinds = [(one["kind"], one["metadata"]["name"]) for one in source.wanted()]
    pods = [("Pod", name) for name in ("pod-1", "pod-2", "host-1", "host-2")]
    assert kinds == [("Namespace", manifests.NAMESPACE), *pods, ("Service", "node-port-2")]
    assert "own:1" in manifests.text(source.wanted())


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("Error from server (AlreadyExists): namespaces exists", LabError, "has a namespace vxlan-harness already"),
        ("Error: namespaces already exists", LabError, "another run is under way"),
        (NOT_ALLOWED, LabError, "does not let you create namespace vxlan-harness"),
        ("Unable to connect to the server", ConnectionLostError, "cannot be reached"),
    ],
)
def test_a_namespace_that_is_refused_is_not_deleted(
    cluster: Cluster, said: str, kind: type[HarnessError], words: str
) -> None:
    source = made(cluster)
    cluster.said["create namespace"] = [(1, said)]
    with pytest.raises(kind, match=words):
        source.up()
    source.down()
    assert not any(asked[0] == "delete" for asked in cluster.asked)


def test_pods_wait_for_their_account(cluster: Cluster, in_pods: dict[str, Answer]) -> None:
    late = (1, 'Error: pods "pod-1" is forbidden: error looking up serviceaccount default')
    cluster.said["create pod"] = [late, late, (1, FORBIDDEN)]
    with pytest.raises(LabError, match=r"does not let you create pods in namespace vxlan-harness: .*PodSecurity"):
        made(cluster).up()
    assert len([words for words in cluster.asked if words[0] == "create"]) == 4, "namespace, and pods three times"
    assert in_pods


def test_an_account_that_never_comes_is_said(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "_ACCOUNT_S", -1.0)
    cluster.said["create pod"] = [(1, "Error: serviceaccount default not found")]
    with pytest.raises(LabError, match="serviceaccount default not found"):
        made(cluster).up()


def test_without_net_raw_nothing_is_captured(cluster: Cluster, in_pods: dict[str, Answer]) -> None:
    source = made(cluster)
    cluster.said["create hosts"] = [(1, FORBIDDEN), (0, "")]
    cluster.pods.update({name: running({"metadata": {"name": name}, "spec": {}}) for name in ("host-1", "host-2")})
    lab = source.up()
    assert not source.captures
    assert "no capture confirms the path, for the cluster refuses NET_RAW" in lab.notes[-1].fact
    assert in_pods


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([(1, NOT_ALLOWED)], "cannot create resource"),
        ([(1, FORBIDDEN), (1, FORBIDDEN)], "A run takes a pod with hostNetwork on each node"),
    ],
)
def test_pods_of_the_nodes_network_that_are_refused(cluster: Cluster, said: list[Answer], words: str) -> None:
    cluster.said["create hosts"] = said
    with pytest.raises(LabError, match=words):
        made(cluster).up()


def waiting(name: str, reason: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "no such image"}}
    return {"metadata": {"name": name}, "spec": {"nodeName": "a"}, "status": {"containerStatuses": [{"state": state}]}}


def test_a_pod_without_its_image_is_said_with_the_way_to_it(cluster: Cluster) -> None:
    cluster.pods["extra"] = waiting("extra", "ErrImageNeverPull")
    with pytest.raises(
        LabError, match=r"cannot have its image .*; build it from the Containerfile .* and give --image"
    ):
        made(cluster).up()
    cluster.pods["extra"] = waiting("extra", "CreateContainerError")
    with pytest.raises(LabError, match=r"cannot be started \(CreateContainerError\): no such image\.$"):
        made(cluster).up()


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (None, r"extra did not run within 120 s; `kubectl describe pod extra` tells why\."),
        ([{"type": "Normal", "message": "x"}], "`kubectl describe pod extra` tells why"),
        ([{"type": "Warning", "message": "old"}, {"type": "Warning", "message": "no CPU. "}], r"120 s: no CPU\.$"),
    ],
)
def test_pods_that_do_not_come_up_are_said(
    cluster: Cluster, events: list[dict[str, str]] | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "STARTING_S", 120.0)
    clock = iter([0.0, 0.0, 0.0, 60.0, 121.0])
    monkeypatch.setattr(kubernetes.time, "monotonic", lambda: next(clock))  # type: ignore[attr-defined]
    monkeypatch.setattr(kubernetes, "_POLL_S", 0.0)
    late = {"metadata": {"name": "extra"}, "status": {}}
    listed = json.dumps({"items": [late]})
    cluster.said["get pods"] = [(0, listed)]
    if events is not None:
        items = [{**event, "metadata": {"name": f"e{number}"}} for number, event in enumerate(events)]
        cluster.said["get events"] = [(0, json.dumps({"items": items}))]
    with pytest.raises(LabError, match=words):
        made(cluster).up()


def test_no_pods_at_all_are_said(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "STARTING_S", -1.0)
    cluster.said["get pods"] = [(0, '{"items": []}')]
    with pytest.raises(LabError, match="some pods did not run within"):
        made(cluster).up()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"a ip": (127, "ip: not found")}, "image vxlan-harness-tools.* lacks what a run takes: ip said ip: not found"),
        ({"a ip": (0, shown("192.0.2.9"))}, "no device of node a has its internal address 192.0.2.1"),
        (
            {"a cat": (0, "1\nreno\nreno\n"), "b cat": (0, "2\nbbr\nbbr\n")},
            r"differs between nodes \(a reno, b bbr\), and pods may not choose cubic",
        ),
    ],
)
def test_a_node_that_cannot_measure_is_said(
    cluster: Cluster, in_pods: dict[str, Answer], said: dict[str, Answer], words: str
) -> None:
    in_pods |= said
    with pytest.raises(LabError, match=words):
        made(cluster).up()


def test_nodes_own_congestion_control_is_noted(cluster: Cluster, in_pods: dict[str, Answer]) -> None:
    in_pods |= {"a cat": (0, "1\nreno\nreno\n"), "b cat": (0, "1\nreno\nreno\n")}
    lab = made(cluster).up()
    assert lab.congestion_control == "reno"
    assert lab.shared_kernel, "one boot of one kernel"
    assert lab.notes[-1].fact == "TCP's congestion control is reno, the nodes' own: pods may not choose another"


def test_services_are_made_and_told_apart(cluster: Cluster) -> None:
    source = made(cluster)
    server = source.nodes()[1]
    served = source.serve(ServiceKind.CLUSTER_IP, server)
    assert served == Served("cluster-ip-2", "10.96.0.9", (5201, 5202))
    assert source.serve(ServiceKind.NODE_PORT, server) == Served("node-port-2", "192.0.2.2", (30001, 30002))
    patch = next(words for words in cluster.asked if words[0] == "patch")
    changes = json.loads(patch[-1].partition("=")[2])
    assert [change["value"] for change in changes] == [30002, 30001, 30001]
    assert changes[1]["path"] == "/spec/ports/1/targetPort"
    cluster.said["create service"] = [(1, "Error from server (AlreadyExists): x")]
    assert source.serve(ServiceKind.CLUSTER_IP, server) == served, "it stands"


@pytest.mark.parametrize(("at", "words"), [("create service", "create service"), ("patch service", "patch service")])
def test_a_service_that_is_refused_is_said(cluster: Cluster, at: str, words: str) -> None:
    source = made(cluster)
    cluster.said[at] = [(1, NOT_ALLOWED)]
    with pytest.raises(LabError, match=f"does not let you {words} node-port-1"):
        source.serve(ServiceKind.NODE_PORT, source.nodes()[0])


def test_what_a_killed_run_left_is_removed(cluster: Cluster) -> None:
    assert take_down(cluster) == ["vxlan-harness"]
    assert cluster.asked[-1][2] == "--selector=app.kubernetes.io/managed-by=vxlan-harness"
    cluster.said["delete namespaces"] = [(1, "Error: timed out waiting for the condition")]
    with pytest.raises(ConnectionLostError, match="It may still be there; `harness lab down --lab kubernetes`"):
        take_down(cluster)


def test_a_number_of_nodes_is_no_name() -> None:
    with pytest.raises(InputError, match="give a cluster's nodes by name, with commas"):
        cluster_lab(None, 3, None, (), several=False)


# ---- paths between pods


class Saying(Remote):
    """A node, or a place of it, that answers by program; iperf3 moves what the test says."""

    def __init__(self, name: str, answers: Callable[[Sequence[str]], Answer]) -> None:
        self.name, self._answers = name, answers

    def within(self, place: str) -> Remote:
        assert place
        return self

    def open_channel(self, argv: Sequence[str]) -> Channel:
        assert argv
        return Silent()

    def run(self, argv: Sequence[str], timeout_s: float = 30.0) -> Completed:
        code, text = self._answers(argv)
        return Completed(tuple(argv), code, text if code == 0 else "", text if code else f"{timeout_s}")


class Silent:
    """A server that is ready and says nothing."""

    def settimeout(self, timeout: float) -> None:
        assert timeout

    def recv(self, _size: int, /) -> bytes:
        return b""

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_stderr(self, _size: int, /) -> bytes:
        return b""

    def exit_status_ready(self) -> bool:
        return True

    def recv_exit_status(self) -> int:
        return 0

    def shutdown_write(self) -> None:
        """It reads nothing."""

    def sendall(self, data: bytes, /) -> None:
        raise AssertionError(data)

    def close(self) -> None:
        """It holds nothing."""


def service_of(
    moved: int,
    main: Found,
    monkeypatch: pytest.MonkeyPatch,
    *,
    refused: int = 0,
    kind: ServiceKind = ServiceKind.CLUSTER_IP,
) -> Found:
    """Find a service's path where its tunnel counts so many bytes, after so many refusals."""
    counted, left = [0], [refused]

    def says(argv: Sequence[str]) -> Answer:
        if argv[0] == "iperf3":
            if left[0]:
                left[0] -= 1
                return 1, "iperf3: error - unable to connect"
            counted[0] += moved if argv[argv.index("-n") + 1] != "1" else 0
            return 0, ""
        return 0, f"vxlan0: 7 1 0 0 0 0 0 0 {counted[0]} 2\n"

    class Serving:
        def serve(self, wanted: ServiceKind, node: Node) -> Served:
            return Served(f"{wanted.path}-2", "10.96.0.9" if node == NODES[1] else "", (5201, 5202))

    monkeypatch.setattr(services, "_POLL_S", 0.0)
    remotes = (Saying("k8s-1", says), Saying("k8s-2", says))
    return services.find(kind, Serving(), NODES[1], remotes, main)  # type: ignore[arg-type]


PODS = replace(FOUND, client=replace(end(1), place="pod-1"), server=replace(end(2), place="pod-2"))


def test_a_service_by_the_tunnel_is_told_by_its_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    found = service_of(1_500_000, PODS, monkeypatch, refused=2)
    assert (found.name, found.wire, found.ports) == ("cluster-ip", FOUND.wire, (5201, 5202))
    assert found.server.address == "10.96.0.9"
    assert found.server.spot == "service cluster-ip-2 of web-2"
    assert found.notes == ("cluster-ip: ClusterIP 10.96.0.9, ports 5201 and 1 more",)


def test_a_service_around_the_tunnel_has_nothing_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    found = service_of(0, PODS, monkeypatch, kind=ServiceKind.NODE_PORT)
    assert (found.name, found.wire, found.kind) == ("node-port", Wire((), is_captured=False), Kind.ROUTED)


def test_a_service_without_a_tunnel_that_counts_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(PODS, client=replace(end(1, tunnel=False), place="pod-1"))
    found = service_of(0, bare, monkeypatch)
    assert (found.wire.headers, found.wire.unknown) == (
        None, "no device tells whether a service is reached by the tunnel",
    )  # fmt: skip
    routed = replace(bare, wire=Wire((), echoes=10))
    assert service_of(0, routed, monkeypatch).wire == routed.wire


def test_a_service_that_leads_nowhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "_READY_S", -1.0)
    with pytest.raises(LabError, match=r"cluster-ip-2 at 10.96.0.9 leads nowhere: iperf3: error - unable to connect"):
        service_of(0, PODS, monkeypatch, refused=9)


ADDRESSES = json.dumps(
    [{"ifindex": 2, "ifname": "eth0", "mtu": 1450, "link_type": "ether", "addr_info": [{"local": "10.0.1.1"}]}]
)


@pytest.mark.parametrize(
    ("allowed", "refused", "captured", "outset"),
    [
        (True, False, [True], []),
        (False, False, [False], []),
        (True, True, [True, False], ["no capture confirms the path: not permitted"]),
    ],
)
def test_pods_are_found_with_or_without_a_capture(
    monkeypatch: pytest.MonkeyPatch, allowed: bool, refused: bool, captured: list[bool], outset: list[str]
) -> None:
    tried: list[bool] = []

    def lies_between(
        name: str, ends: Sequence[Endpoint], _ground: Ground, *, captures: bool = True, outset: Sequence[str] = ()
    ) -> Found:
        tried.append(captures)
        assert [one.addresses for one in ends] == [["10.0.1.1"]] * 2
        if refused and captures:
            raise CaptureRefusedError("not permitted")
        return replace(PODS, name=name, notes=tuple(outset))

    class Pods:
        captures = allowed
        services = (ServiceKind.NODE_PORT,)

        def place(self, node: str) -> str:
            return f"pod-{node[-1]}"

    monkeypatch.setattr(cluster_path, "lies_between", lies_between)
    monkeypatch.setattr(services, "find", lambda kind, *_more: replace(PODS, name=kind.path))
    remotes = {one.name: Saying(one.name, lambda _argv: (0, ADDRESSES)) for one in NODES}
    lab = Lab("kubernetes", None, None, *NODES, rate_bps=None, shared_kernel=False, scratch=Path("/none"))
    main, service = cluster_path.find(Pods(), Ground(lab, remotes, {}), Pair("k8s-1", "k8s-2"))  # type: ignore[arg-type]
    assert (main.name, service.name, tried) == (CLUSTER_PATH, "node-port", captured)
    assert [*main.notes] == outset
