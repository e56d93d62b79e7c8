"""A cluster as a lab, by what kubectl says: nodes, pods, networks, and commands through a `kubectl exec`."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.options import parse_nodes
from harness.cli.prepare import Options, prepare
from harness.inspect import spaces
from harness.inspect.found import _concluded, _Looked
from harness.inspect.tables import Link
from harness.labs import cluster, cni
from harness.model.errors import ConnectionLostError, HarnessError, InputError, LabError, NodeGoneError
from harness.model.found import Between, Wire
from harness.model.jobs import Completed
from harness.model.readings import Counters
from harness.model.services import ServiceKind
from harness.nodes import kubectl, pods
from harness.nodes.kubectl import Kubectl
from harness.nodes.pod_remote import PodRemote

READY = [{"type": "Ready", "status": "True"}]


def node(name: str, *addresses: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a node as the API has it; `more` are parts of its specification, or its conditions."""
    conditions = more.pop("conditions", READY)
    entries = [{"type": "Hostname", "address": name}]
    entries += [{"type": "InternalIP", "address": address} for address in addresses or ("192.0.2.1",)]
    status = {"addresses": entries, "conditions": conditions}
    return {"metadata": {"name": name, "annotations": more.pop("annotations", {})}, "spec": more, "status": status}


Program = Callable[[str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a kubectl on PATH that is this Python, with the words that it is given in `argv`."""

    def made(text: str) -> None:
        path = tmp_path / "kubectl"
        head = f"#!{sys.executable} -I\nimport os, signal, subprocess, sys\nargv = sys.argv[1:]\n"
        path.write_text(head + text, encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return made


def taint(effect: str) -> list[dict[str, str]]:
    return [{"key": "node-role.kubernetes.io/control-plane", "effect": effect}]


# ---- which nodes


def test_of_a_cluster_the_first_two_usable_nodes_are_taken() -> None:
    listed = [
        node("a", taints=taint("NoSchedule")),
        node("b", "2001:db8::2", "192.0.2.2"),
        node("c", unschedulable=True),
        node("d", "192.0.2.4"),
        node("e", "192.0.2.5"),
    ]
    taken = cluster.chosen(listed, (), several=False)
    assert [(one.name, one.index, one.address, one.address6) for one in taken] == [
        ("b", 1, "192.0.2.2", "2001:db8::2"),
        ("d", 2, "192.0.2.4", None),
    ]
    assert [one.name for one in cluster.chosen(listed, (), several=True)] == ["b", "d", "e"]
    assert [one.name for one in cluster.chosen(listed, ("d", "a"), several=False)] == ["d", "a"], "asked for by name"


@pytest.mark.parametrize(
    ("listed", "names", "kind", "said"),
    [
        ([node("a"), node("b")], ("a", "x"), InputError, "no node 'x'; it has a, b"),
        ([node("a"), node("b")], ("a", "a"), InputError, "named twice"),
        ([node("a"), node("b")], ("a",), InputError, "a is one node; give two"),
        ([node("a"), node("b"), node("c")], ("a", "b", "c"), InputError, "--pairs a:b"),
        ([node("a"), node("b", unschedulable=True)], ("a", "b"), LabError, "`kubectl uncordon b` ends that"),
        ([node("a"), node("b", taints=taint("NoExecute"))], ("a", "b"), LabError, "control-plane:NoExecute"),
        ([node("a"), node("b", conditions=[])], (), LabError, r"1 can be used \(b is not ready"),
        (
            [node("a"), node("b", "2001:db8::2")],
            (),
            LabError,
            "node b has no internal IPv4 address; it has 2001:db8::2",
        ),
        ([], (), LabError, "the cluster's 0 can be used"),
    ],
)
def test_nodes_that_cannot_be_used_are_said(
    listed: Sequence[Mapping[str, Any]], names: tuple[str, ...], kind: type[HarnessError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        cluster.chosen(listed, names, several=False)


# ---- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(lab="kubernetes", profile=("vxlan",)), "--profile vxlan does not go with --lab kubernetes"),
        (Options(lab="kubernetes", levels={"mtu": (1400,)}), "--mtu does not go with"),
        (Options(lab="kubernetes", levels={"offload": ("tx=off",)}), "--offload does not go with"),
        (Options(lab="kubernetes", setups=2, blocks=2), "--setups does not go with"),
        (Options(lab="kubernetes", pairs="all", parallel_pairs=True), "--parallel-pairs does not go with"),
        (Options(lab="kubernetes", between=Between.parse("a,b")), "--between does not go with"),
        (Options(lab="kubernetes", containers="docker"), "--containers does not go with"),
        (
            Options(lab="kubernetes", measures=("iperf3", "ping"), service=(ServiceKind.CLUSTER_IP,)),
            "ping does not pass",
        ),
        (Options(lab="kubernetes", image="-x"), "'-x' is not the name of an image"),
        (Options(context="c"), "--context is for --lab kubernetes"),
        (Options(service=(ServiceKind.NODE_PORT,)), "--service is for --lab kubernetes"),
        (Options(nodes=("a", "b")), "names are for --lab kubernetes"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_cluster_is_asked(
    program: Program, options: Options, said: str
) -> None:
    program("sys.exit('asked')")
    with pytest.raises(InputError, match=said):
        prepare(options, on_clusters=True)


def test_what_cannot_be_done_on_a_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="`run`, `plan` and `inspect` only"):
        prepare(Options(lab="kubernetes"))
    with pytest.raises(InputError, match="--keep does not go with"):
        prepare(Options(lab="kubernetes"), keep=True, on_clusters=True)


@pytest.mark.parametrize(("text", "nodes"), [("3", 3), ("a,b", ("a", "b")), ("node-1.example", ("node-1.example",))])
def test_nodes_are_a_number_or_names(text: str, nodes: int | tuple[str, ...]) -> None:
    assert parse_nodes(text) == nodes


@pytest.mark.parametrize("text", ["0", "1", "1000", "a,,b", ""])
def test_nodes_that_are_neither_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_nodes(text)


# ---- what becomes of pods


def pod(phase: str, *states: Mapping[str, Any], **status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    meta = {"name": "pod-1", **status.pop("meta", {})}
    shown = {"phase": phase, "containerStatuses": [{"state": state} for state in states], **status}
    return {"metadata": meta, "spec": {"nodeName": "a"}, "status": shown}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (pod("Pending"), None),
        (pod("Pending", {"waiting": {"reason": "ContainerCreating"}}), None),
        (pod("Running", {"running": {}}, podIP="10.0.0.1"), None),
        (
            pod("Pending", {"waiting": {"reason": "ErrImageNeverPull", "message": "no image."}}),
            "pod pod-1 on a cannot have its image (ErrImageNeverPull): no image",
        ),
        (
            pod("Pending", {"waiting": {"reason": "CreateContainerConfigError", "message": "non-numeric user"}}),
            "pod pod-1 on a cannot be started (CreateContainerConfigError): non-numeric user",
        ),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
            "pod pod-1 on a was evicted: The node was low on resource: memory; free what the node is short of",
        ),
        (
            pod("Failed", reason="OutOfcpu", message="Pod Node didn't have enough resource: cpu"),
            "pod pod-1 on a was ended (OutOfcpu): Pod Node didn't have enough resource: cpu",
        ),
        (
            pod("Failed", {"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "pod pod-1 on a was ended (OOMKilled, exit code 137)",
        ),
        (
            pod("Running", {"running": {}}, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            "pod pod-1 on a is being deleted by somebody else: a drained node, or a deleted namespace",
        ),
    ],
)
def test_what_becomes_of_a_pod_is_said(seen: Mapping[str, Any], said: str | None) -> None:
    assert pods.failure(seen) == said
    assert pods.is_without_image(said or "") == ("ErrImageNeverPull" in (said or ""))


def test_a_pod_runs_once_it_has_an_address_and_its_containers_run() -> None:
    assert pods.is_running(pod("Running", {"running": {}}, podIP="10.0.0.1"))
    assert not pods.is_running(pod("Running", {"running": {}}))
    assert not pods.is_running(pod("Pending", podIP="10.0.0.1"))
    assert not pods.is_running(pod("Running", {"running": {}}, {"waiting": {}}, podIP="10.0.0.1"))


# ---- which network


class Told(Kubectl):
    """A cluster that says this of kinds of objects; of all others it may not say anything."""

    def __init__(self, **objects: Any) -> None:  # noqa: ANN401 - JSON
        super().__init__()
        object.__setattr__(self, "objects", objects)

    def run(self, *words: str, given: str = "", wait_s: float = 0.0) -> Completed:
        assert (given, wait_s) == ("", 0.0)
        objects: dict[str, Any] = self.objects  # type: ignore[attr-defined]
        name = words[2].replace("-", "_") if words[1] == "configmap" else words[1]
        if name not in objects:
            return Completed(words, 1, "", f"Error from server (Forbidden): {name} is forbidden")
        return Completed(words, 0, json.dumps(objects[name]), "")


def daemons(*names: str) -> dict[str, Any]:
    return {"items": [{"metadata": {"name": name, "namespace": "kube-system"}} for name in names]}


FLANNEL = {
    "flannel.alpha.coreos.com/backend-type": "vxlan",
    "flannel.alpha.coreos.com/backend-data": '{"VNI":1,"VtepMAC":"0e:00:00:00:00:01"}',
}


@pytest.mark.parametrize(
    ("told", "nodes", "said"),
    [
        (
            Told(
                daemonsets=daemons("kube-flannel-ds", "kube-proxy"),
                kube_proxy={"data": {"config.conf": 'mode: "ipvs"\n'}},
            ),
            [node("a", podCIDR="10.244.0.0/24", annotations=FLANNEL), node("b", podCIDR="10.244.1.0/24")],
            (
                "flannel (daemonset kube-system/kube-flannel-ds); flannel's backend vxlan, VNI 1; "
                "pod networks 10.244.0.0/24 10.244.1.0/24; kube-proxy, mode ipvs"
            ),
        ),
        (
            Told(
                daemonsets=daemons("cilium"),
                cilium_config={"data": {"routing-mode": "tunnel", "tunnel-protocol": "geneve"}},
            ),
            [node("a")],
            (
                "Cilium (daemonset kube-system/cilium); its nodes have no podCIDR; Cilium's settings: routing-mode "
                "tunnel, tunnel-protocol geneve; no daemonset kube-proxy"
            ),
        ),
        (
            Told(daemonsets=daemons("calico-node", "kube-proxy")),
            [
                node(
                    "a",
                    podCIDRs=["10.1.0.0/24", "fd00::/64"],
                    annotations={"projectcalico.org/IPv4VXLANTunnelAddr": "x"},
                )
            ],
            (
                "Calico (daemonset kube-system/calico-node); Calico's VXLAN is on; pod networks 10.1.0.0/24 fd00::/64; "
                "kube-proxy, mode unknown"
            ),
        ),
        (
            Told(),
            [node("a")],
            "network unknown, you may not list daemonsets; its nodes have no podCIDR; kube-proxy unknown",
        ),
    ],
)
def test_the_network_is_named_by_what_the_cluster_says(told: Kubectl, nodes: Sequence[Any], said: str) -> None:
    assert cni.said(told, nodes) == f"the cluster says: {said}"


# ---- what a device tells where nothing may be captured


def link(name: str, kind: str, **settings: Any) -> Link:  # noqa: ANN401 - JSON
    return Link(
        name, 1, kind, 1450, "", is_ethernet=True, master="", peer=None, addresses=(), dropped={}, settings=settings
    )


VXLAN = link("flannel.1", "vxlan", id=1, port=8472)
VXLAN_WIRE = Wire(("ipv4", "udp", "vxlan", "ethernet"), protocol="udp", port=8472, vni=1)


@pytest.mark.parametrize(
    ("device", "headers"),
    [
        (VXLAN, ("ipv4", "udp", "vxlan", "ethernet")),
        (link("v", "vxlan", id=1, port=4789, remote6="fd00::2"), ("ipv6", "udp", "vxlan", "ethernet")),
        (link("g", "geneve", external=True, port=6081), ("ipv4", "udp", "geneve", "ethernet")),
        (link("tunl0", "ipip"), ("ipv4",)),
        (link("gre1", "gre", key="0.0.0.7"), ("ipv4", "gre", "gre_key")),
        (link("wg0", "wireguard"), ("ipv4", "udp", "wireguard")),
        (link("tun0", "tun"), None),
    ],
)
def test_a_device_tells_the_headers_that_it_makes(device: Link, headers: tuple[str, ...] | None) -> None:
    wire = spaces.wire_of(device)
    assert (wire.headers if wire else None) == headers


def looked(*devices: Link, counted: Sequence[str] = ()) -> _Looked:
    """Return a node with these tunnels, of which some counted ten packets of 500 bytes both ways."""
    none, all_ = Counters(0, 0, 0, 0), Counters(6000, 10, 6000, 10)
    names = [device.name for device in devices]
    return _Looked(
        {spaces.OWN: {device.name: device for device in devices}},
        {(spaces.OWN, name): none for name in names},
        {(spaces.OWN, name): all_ if name in counted else none for name in names},
    )


def test_without_a_capture_the_one_device_that_counted_tells_the_headers() -> None:
    both = [looked(VXLAN, link("wg0", "wireguard"), counted=["flannel.1"])] * 2
    assert _concluded(both, 500) == replace(VXLAN_WIRE, echoes=10, is_captured=False)


def test_without_a_capture_and_without_such_a_device_nothing_is_in_front() -> None:
    assert _concluded([looked(VXLAN)] * 2, 500) == Wire((), echoes=10, is_captured=False)


@pytest.mark.parametrize(
    "sides",
    [
        [looked(VXLAN, link("wg0", "wireguard"), counted=["flannel.1", "wg0"])] * 2,
        [looked(VXLAN, counted=["flannel.1"]), looked(VXLAN)],
        [looked(link("tun0", "tun"), counted=["tun0"])] * 2,
    ],
)
def test_without_a_capture_several_devices_tell_nothing(sides: Sequence[_Looked]) -> None:
    wire = _concluded(sides, 500)
    assert wire.headers is None
    assert "counted the echoes" in wire.unknown


# ---- kubectl


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            'Error from server (Forbidden): nodes is forbidden: User "u" cannot list',
            LabError,
            "does not let you list nodes",
        ),
        ("The connection to the server localhost:8080 was refused", ConnectionLostError, "cannot be reached"),
        ("Unable to connect to the server: dial tcp: lookup x: no such host", ConnectionLostError, "no such host; try"),
        ("error: You must be logged in to the server (Unauthorized)", ConnectionLostError, "cannot be reached"),
        (
            'Error from server (Invalid): error when creating "STDIN": Pod is invalid',
            LabError,
            "did not list nodes: Pod",
        ),
        ("", LabError, "it says nothing"),
    ],
)
def test_what_kubectl_says_becomes_a_sentence(said: str, kind: type[HarnessError], words: str) -> None:
    error = Kubectl("lab", "ours").refused(f"Warning: something else\n{said}\n", "list nodes")
    assert isinstance(error, kind)
    assert "the cluster of context lab" in str(error)
    assert words in str(error)
    assert "something else" not in str(error)


def test_a_context_that_the_kubeconfig_lacks_is_refused(program: Program) -> None:
    program("print('lab\\narn:aws:eks:x:1:cluster/y' if argv[-3:-1] == ['config', 'get-contexts'] else argv)")
    assert Kubectl.of("arn:aws:eks:x:1:cluster/y", "ours").argv("get") == [
        "kubectl",
        "--context=arn:aws:eks:x:1:cluster/y",
        "--namespace=ours",
        "get",
    ]
    assert Kubectl.of(None, "ours").argv("get") == ["kubectl", "--namespace=ours", "get"]
    for context in ("other", "--kubeconfig=/x", ""):
        with pytest.raises(InputError, match="there are lab, arn:aws"):
            Kubectl.of(context, "ours")


def test_without_kubectl_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="kubectl is not installed"):
        Kubectl().run("get", "nodes")
    with pytest.raises(LabError, match="kubectl is not installed"):
        PodRemote("a", Kubectl(), "pod-1").run(["true"])


# ---- commands in a pod

EXEC = "if 'exec' in argv: sys.exit(subprocess.run(argv[argv.index('--') + 1 :]).returncode and 1)\n"
"""Runs it here; kubectl's own exit code is of no use, and not used."""


def remote() -> PodRemote:
    return PodRemote("a", Kubectl("lab", "ours"), "host-1", ["pod-1"])


@pytest.mark.parametrize(
    "word", ["a b", "", "$(reboot)", "`reboot`", "; true", "'q'", '"q"', "back\\slash", "new\nline", "*"]
)
def test_words_reach_a_pod_as_they_are(program: Program, word: str) -> None:
    program(EXEC)
    done = remote().within("pod-1").run(["printf", "%s|", word, "end"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{word}|end|", "")


def test_the_exit_code_is_the_commands_own(program: Program) -> None:
    program(EXEC + "")
    done = remote().run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.exit_code, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_much_output_on_both_streams_comes_whole(program: Program) -> None:
    program(EXEC)
    script = (
        "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; echo e >&2; i=$((i+1)); done"
    )
    done = remote().run(["sh", "-c", script])
    assert (len(done.stdout), len(done.stderr)) == (3000 * 41, 3000 * 2)


def test_lines_come_while_a_command_runs_and_it_ends_when_asked(program: Program) -> None:
    program(EXEC)
    with remote().background(["sh", "-c", "echo first; exec sleep 60"]) as running:
        assert running.await_output(6, 10.0)
        assert not running.has_ended
        assert running.stop(10.0).exit_code < 0, "a signal ended it"
        assert running.output == b"first\n"


def test_what_is_left_is_ended_with_its_kubectl(program: Program) -> None:
    program(EXEC)
    with remote().background(["sh", "-c", "echo $$; exec sleep 60"]) as running:
        assert running.await_output(2, 10.0)
        pid = running.output.decode().strip()
    assert subprocess.run(["kill", "-0", pid], check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    ("exec_", "get", "kind", "said"),
    [
        (
            "sys.exit(0)",
            "sys.stderr.write('Error from server (NotFound): pods \"host-1\" not found')",
            NodeGoneError,
            "gone",
        ),
        (
            "sys.exit(1)",
            f"print({json.dumps(json.dumps(pod('Failed', reason='Evicted')))})",
            NodeGoneError,
            "was evicted",
        ),
        (
            "sys.exit('error: dial tcp: i/o timeout')",
            f"print({json.dumps(json.dumps(pod('Running', {'running': {}})))})",
            ConnectionLostError,
            "a: kubectl exec into pod host-1 broke: dial tcp: i/o timeout",
        ),
        (
            "sys.exit('Error from server (Forbidden): pods is forbidden: cannot create resource \"pods/exec\"')",
            "sys.exit('Error from server (Forbidden)')",
            LabError,
            "does not let you run commands in pod host-1",
        ),
    ],
)
def test_a_command_without_an_exit_code_says_what_became_of_its_pod(
    program: Program, exec_: str, get: str, kind: type[HarnessError], said: str
) -> None:
    program(f"if 'exec' in argv: {exec_}\nelse:\n    {get}\n    sys.exit('NotFound' in {get!r})\n")
    with pytest.raises(kind, match=said) as raised:
        remote().run(["true"])
    assert type(raised.value) is kind


def test_what_kubectl_says_is_shown_without_its_own_warnings() -> None:
    text = 'W0101 00:00:00 x.go:1] old\nWarning: odd\nError from server (Forbidden): error when creating "STDIN": no.\n'
    assert kubectl.said(text) == "no"


@pytest.mark.parametrize(
    ("printed", "said"), [("no JSON", "printed what is no JSON: 'no JSON"), ("[1]", "printed no object: '\\[1\\]")]
)
def test_an_answer_that_is_no_object_is_said(program: Program, printed: str, said: str) -> None:
    program(f"print({printed!r})")
    with pytest.raises(LabError, match=f"kubectl get nodes {said}"):
        Kubectl().json("list nodes", "nodes")


def test_kubectl_that_does_not_end_is_a_lost_connection(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program("import time; time.sleep(60)")
    monkeypatch.setattr(kubectl, "_REQUEST_S", 0.1)
    monkeypatch.setattr(kubectl, "_GRACE_S", 0.1)
    with pytest.raises(ConnectionLostError, match=r"cluster of the current context does not answer within 0\.2 s"):
        Kubectl().run("get", "nodes")


def test_a_container_that_ended_among_others_tells_why_its_pod_did() -> None:
    ended = {"terminated": {"reason": "Error", "exitCode": 3}}
    assert pods.failure(pod("Failed", {"running": {}}, ended)) == "pod pod-1 on a was ended (Error, exit code 3)"
    assert pods.failure(pod("Failed")) == "pod pod-1 on a was ended (it does not say why)"
    assert pods.failure({"status": 3}) is None
    assert not pods.is_running({"status": 3})
