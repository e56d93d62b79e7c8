"""A cluster as a lab, by a kubectl that enters the local lab's namespaces: from manifest to table, on real packets."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.labs.holder import enter_argv
from tests.lab import kubectl
from tests.lab.bench import eventually
from tests.lab.machine import OUT, OWN, Command, Machine
from tests.lab.runs import rows_of, rows_so_far, summary_rows

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

REPO = Path(__file__).parents[2]
NODES = ("alpha.example", "beta.example")
LAB = "--lab kubernetes --context lab".split()
SHORT = f"--profile cluster --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
RULES = [
    rule
    for role in yaml.safe_load_all((REPO / "kubernetes/rbac.yml").read_text(encoding="utf-8"))
    for rule in role.get("rules", [])
]
"""What the roles that docs/kubernetes.md shows allow; nothing else is."""
ENDPOINT = ["nsenter", "--net=/run/netns/harness-flannel-1450", "--"]


class Cluster:
    """A machine with a kept lab, on whose PATH there is a kubectl for it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.folder = machine.root / f"{OWN[1:]}/stub"
        self.reset()

    def reset(self, **switches: Any) -> None:  # noqa: ANN401 - JSON
        """Forget everything that was made and asked; from now on these switches hold."""
        self.folder.mkdir(exist_ok=True)
        pids = self.machine.nodes()
        nodes = [
            {
                "name": name,
                "address": f"172.12.1.1{number}",
                "pod": self.machine.on_node(number - 1, *ENDPOINT, "hostname", "-I").split()[0],
                "via": self.machine.on_node(number - 1, *ENDPOINT, "sh", "-c", "ip route | grep -o -m1 'via [^ ]*'"),
                "enter": enter_argv(pid),
                "endpoint": ENDPOINT,
            }
            for number, (name, pid) in enumerate(zip(NODES, pids, strict=True), 1)
        ]
        empty: dict[str, Any] = {"pods": {}, "namespaces": {"default": {}}, "running": {}, "asked": []}
        empty |= {"services": {}, "undo": [], "rules": RULES}
        state = {"contexts": ["lab", "other"], "nodes": nodes, "switches": switches, **empty}
        (self.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        """What the API server holds."""
        with kubectl.opened(self.folder) as state:
            return state

    def asked(self, verb: str) -> list[list[str]]:
        """Return the commands with this verb that kubectl was given."""
        return [argv for argv in self.state["asked"] if verb in argv]

    def lose(self, pod: str, status: dict[str, Any] | None) -> None:
        """End a pod, whose commands end with it; without a status it is gone."""
        killer = f"import sys; sys.path.insert(0, {str(REPO)!r})\nfrom tests.lab.kubectl import *\n"
        killer += "with opened(Path(sys.argv[1])) as state:\n    end_pod(state, sys.argv[2])\n"
        killer += "    status = json.loads(sys.argv[3])\n    state['pods'][sys.argv[2]]['status'] = status\n"
        killer += "    status or state['pods'].pop(sys.argv[2])\n"
        words = [sys.executable, "-c", killer, f"{OWN}/stub", pod, json.dumps(status)]
        self.machine.on_machine(*words)

    def is_clean(self) -> bool:
        """Tell whether nothing of ours is left in the cluster, and what was there is."""
        state = self.state
        return (state["namespaces"], state["pods"], state["running"]) == ({"default": {}}, {}, {})


@pytest.fixture(scope="module")
def kept(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A machine on which a run left its lab and the flannel profile standing."""
    tmp_path = tmp_path_factory.mktemp("kept")
    words = f"run --profile flannel --keep --mtu 1450 --blocks 1 --duration 1 --omit 0 --flows 1 --out {OUT}".split()
    command = machine.run(tmp_path, *words)
    assert command.exit_code == 0, command.stderr
    cluster = Cluster(machine)
    # As in the image: this machine's own has a file capability, without which it does not even start.
    for number in (0, 1):
        machine.on_node(number, "mkdir", kubectl.PROGRAMS)
        machine.on_node(number, "cp", "/usr/bin/ping", kubectl.PROGRAMS)
        machine.on_node(number, *ENDPOINT, "sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
    yield cluster
    machine.run(tmp_path, "lab", "down")


@pytest.fixture
def cluster(kept: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster with nothing in it, and its kubectl on PATH."""
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {kubectl.__file__} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv(kubectl.FOLDER, f"{OWN}/stub")
    kept.reset()
    return kept


def run(cluster: Cluster, tmp_path: Path, *words: str) -> Command:
    return cluster.machine.run(tmp_path, "run", *LAB, *SHORT, *words)


# ---- runs


def test_pods_are_measured_as_they_are_found(cluster: Cluster, tmp_path: Path) -> None:
    command = run(cluster, tmp_path)
    assert command.exit_code == 0, command.stderr
    assert command.stdout.startswith("cluster at MTU 1450: nothing is decided by 1 block; "), "its answer comes first"
    assert cluster.is_clean()
    folder = cluster.machine.results()[-1]
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["profile"] for row in rows} == {"underlay", "cluster"}
    assert all("flannel.1" in row["proof"] for row in rows if row["profile"] == "cluster")
    (tcp,) = summary_rows(folder, "cluster", "goodput_bps")
    assert float(tcp["ceiling_ratio"]) == pytest.approx(0.96547, abs=1e-5)
    assert float(tcp["ratio"]) == pytest.approx(0.9655, abs=0.03)
    meta = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    wire = meta["profiles"]["cluster"]["found"]["wire"]
    assert (meta["lab"], meta["shared_kernel"], wire["is_captured"]) == ("kubernetes", True, True)
    assert (wire["vni"], wire["port"], wire["seen"]) == (1, 8472, [20, 20])
    told = " ".join(note["fact"] for note in meta["notes"])
    assert "the cluster says: flannel (daemonset kube-flannel/kube-flannel-ds); flannel's backend vxlan, VNI 1" in told
    assert "kube-proxy, mode the default" in told


def test_what_the_cluster_refuses_is_done_without_and_said(cluster: Cluster, tmp_path: Path) -> None:
    cluster.reset(**{"no raw": True, "forbidden": [["list", "daemonsets"]]})
    command = run(cluster, tmp_path, "--measure", "iperf3")
    assert command.exit_code == 0, command.stderr
    assert cluster.is_clean()
    assert "no capture confirms the path, for the cluster refuses NET_RAW" in command.stderr
    assert "network unknown, you may not list daemonsets" in command.stderr
    folder = cluster.machine.results()[-1]
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))["profiles"]["cluster"]["found"]
    assert (found["wire"]["headers"], found["wire"]["is_captured"]) == (["ipv4", "udp", "vxlan", "ethernet"], False)
    rows = rows_of(folder / "trials.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert all("flannel.1" in row["proof"] for row in rows if row["profile"] == "cluster")


def test_services_are_further_paths(cluster: Cluster, tmp_path: Path) -> None:
    command = run(cluster, tmp_path, "--measure", "iperf3", "--service", "clusterip,nodeport")
    assert command.exit_code == 0, command.stderr
    assert cluster.is_clean()
    folder = cluster.machine.results()[-1]
    rows = rows_of(folder / "trials.csv")
    assert {row["profile"]: row["status"] for row in rows} == dict.fromkeys(
        ("underlay", "cluster", "cluster-ip", "node-port"), "ok"
    )
    proofs = {row["profile"]: row["proof"] for row in rows}
    assert ("flannel.1" in proofs["cluster-ip"], "flannel.1" in proofs["node-port"]) == (True, False)
    ceilings = {
        name: float(summary_rows(folder, name, "goodput_bps")[0]["ceiling_ratio"])
        for name in ("cluster-ip", "node-port")
    }
    assert ceilings["cluster-ip"] == pytest.approx(0.96547, abs=1e-5)
    assert ceilings["node-port"] == pytest.approx(0.99791, abs=1e-5), "around the tunnel, in packets of 1450 bytes"


def test_what_does_not_pass_a_service_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    command = run(cluster, tmp_path, "--service", "ClusterIP")
    assert (command.exit_code, "ping does not pass a service" in command.stderr) == (2, True), command.stderr
    assert cluster.is_clean()


def test_inspect_shows_the_path_alone(cluster: Cluster, tmp_path: Path) -> None:
    command = cluster.machine.run(tmp_path, "inspect", *LAB)
    assert command.exit_code == 0, command.stderr
    assert "pod-1 on alpha.example to pod-2 on beta.example" in command.stdout
    assert "ipv4/udp/vxlan/ethernet, VNI 1, UDP port 8472: 50 bytes in front of each packet" in command.stdout
    assert "proof      bytes of flannel.1 and of the NICs, on both nodes" in command.stdout
    assert cluster.is_clean()


def test_a_pair_has_a_folder_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    words = ("--pairs", "all", "--measure", "iperf3", "--nodes", ",".join(reversed(NODES)))
    command = run(cluster, tmp_path, *words)
    assert command.exit_code == 0, command.stderr
    assert "pod-1 on beta.example to pod-2 on alpha.example" in command.stderr
    folder = cluster.machine.results()[-1] / "beta.example--alpha.example"
    assert {row["status"] for row in rows_of(folder / "trials.csv")} == {"ok"}
    assert cluster.is_clean()


def test_plan_shows_what_would_be_made_and_makes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    command = cluster.machine.run(tmp_path, "plan", *LAB, "--profile", "cluster", "--image", "example.org/tools:1")
    assert command.exit_code == 0, command.stderr
    made = [*yaml.safe_load_all(command.stdout[command.stdout.index("---\n") :])]
    kinds = [one["kind"] for one in made]
    assert kinds == ["Namespace", *["Pod"] * 4]
    assert [one["spec"]["nodeName"] for one in made[1:]] == [*NODES, *NODES]
    assert {one["spec"]["containers"][0]["image"] for one in made[1:]} == {"example.org/tools:1"}
    assert cluster.is_clean()
    assert {argv for argv, *_ in map(tuple, cluster.asked("create"))} == set()


# ---- what goes wrong


@pytest.mark.parametrize(
    ("switches", "words", "code", "said"),
    [
        ({}, ("--context", "no-such"), 2, "has no context 'no-such'; there are lab, other"),
        ({}, ("--nodes", "alpha.example,gamma"), 2, "no node 'gamma'; it has alpha.example, beta.example"),
        ({}, ("--nodes", "2"), 2, "--nodes: give a cluster's nodes by name"),
        ({"unreachable": True}, (), 5, "cannot be reached: The connection to the server"),
        ({"forbidden": [["list", "nodes"]]}, (), 3, "does not let you list nodes"),
        ({"forbidden": [["create", "namespaces"]]}, (), 3, "does not let you create namespace vxlan-harness"),
        ({"forbidden": [["create", "pods/exec"]]}, (), 3, "does not let you run commands in pod"),
        ({"cordoned": "beta.example"}, (), 3, "beta.example is unschedulable (cordoned)"),
        ({"cordoned": "beta.example"}, ("--nodes", ",".join(NODES)), 3, "node beta.example cannot be used"),
        ({"image": "ErrImagePull"}, (), 3, "cannot have its image (ErrImagePull)"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    cluster: Cluster, tmp_path: Path, switches: dict[str, Any], words: tuple[str, ...], code: int, said: str
) -> None:
    cluster.reset(**switches)
    folders = cluster.machine.results()
    command = run(cluster, tmp_path, *words)
    assert (command.exit_code, said in command.stderr) == (code, True), command.stderr
    assert cluster.is_clean()
    assert cluster.machine.results() == folders


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "pod pod-2 on beta.example is gone: somebody deleted it, or its node was drained"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "pod pod-2 on beta.example was evicted: The node was low on resource: memory; free what",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}],
            },
            "pod pod-2 on beta.example was ended (OOMKilled, exit code 137)",
        ),
    ],
)
def test_a_pod_that_is_lost_ends_the_run(
    cluster: Cluster, tmp_path: Path, status: dict[str, Any] | None, said: str
) -> None:
    with started(cluster, tmp_path) as command:
        cluster.lose("pod-2", status)
        assert command.wait() == 5, command.stderr
    assert said in command.stderr
    assert "Traceback" not in command.stderr
    assert cluster.is_clean()
    assert rows_of(cluster.machine.results()[-1] / "trials.csv"), "what was measured is kept"


def started(cluster: Cluster, tmp_path: Path) -> Command:
    """Return a long run that is past its first trial."""
    folders = len(cluster.machine.results())
    command = cluster.machine.start(tmp_path, "run", *LAB, *SHORT, "--blocks", "30")

    def is_measuring() -> bool:
        return any(rows_so_far(path / "trials.csv") for path in cluster.machine.results()[folders:])

    assert eventually(lambda: is_measuring() or command.exit_code is not None)
    assert command.exit_code is None, command.stderr
    return command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(cluster: Cluster, tmp_path: Path, number: signal.Signals) -> None:
    with started(cluster, tmp_path) as command:
        command.send(number)
        assert command.wait() == 130, command.stderr
    assert cluster.is_clean()


def test_interrupted_before_its_pods_run_it_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    cluster.reset(slow=True)
    with cluster.machine.start(tmp_path, "run", *LAB, *SHORT) as command:
        assert eventually(lambda: len(cluster.state["pods"]) == 4 or command.exit_code is not None)
        command.send(signal.SIGINT)
        assert command.wait() == 130, command.stderr
    assert cluster.is_clean()


def test_what_a_killed_run_left_is_named_and_removed(cluster: Cluster, tmp_path: Path) -> None:
    with started(cluster, tmp_path) as command:
        command.send(signal.SIGKILL)
        command.wait()
    assert not cluster.is_clean()
    again = run(cluster, tmp_path)
    assert (again.exit_code, "has a namespace vxlan-harness already" in again.stderr) == (3, True), again.stderr
    assert not cluster.is_clean(), "it may be another run's"
    down = cluster.machine.run(tmp_path, "lab", "down", *LAB)
    assert (down.exit_code, down.stdout) == (0, "Removed: namespace vxlan-harness.\n"), down.stderr
    assert cluster.is_clean()
    down = cluster.machine.run(tmp_path, "lab", "down", *LAB)
    assert (down.exit_code, down.stdout) == (0, "There was nothing left.\n"), down.stderr
