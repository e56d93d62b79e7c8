"""What goes wrong with a cluster, each with its exit code and sentence, and how a run ends that is stopped."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import INTERRUPTED, ConnectionLostError, InputError, LabError
from tests.kubernetes.cluster import ADMIN, ELSEWHERE, NOBODY, Cluster
from tests.kubernetes.desk import LAB, Desk, Done, Running
from tests.kubernetes.others import NAMESPACE
from tests.kubernetes.spaces import KUBELET_FOLDER, KUBELET_MIB, Space, eventually
from tests.proving import check, say

RUN = ("run", *LAB, "--profile", "cluster")
LONG = "--blocks 20 --duration 5 --flows 1".split()
BAD_INPUT, NO_LAB, LOST = InputError.exit_code, LabError.exit_code, ConnectionLostError.exit_code
MISSING_IMAGE = "registry.invalid/tools:1"
UNKNOWN_NODE = "k8s-9"


@dataclass(frozen=True)
class Refusal:
    """A command that cannot work: how it has to end, and what its sentence has to name."""

    words: tuple[str, ...]
    context: str
    code: int
    names: tuple[str, ...]

    def __call__(self, desk: Desk) -> None:
        """Run it and look."""
        _said(desk.run(*RUN, *self.words, context=self.context), self.code, self.names)


REFUSALS = {
    "an unknown context": Refusal(("--context", "no-such"), ADMIN, BAD_INPUT, ("'no-such'", NOBODY)),
    "a cluster that does not answer": Refusal(("--context", ELSEWHERE), ADMIN, LOST, ("cannot be reached", ELSEWHERE)),
    "no right to anything": Refusal(("--context", NOBODY), ADMIN, NO_LAB, (NOBODY, "does not let you list nodes")),
    "an unknown node": Refusal(("--nodes", f"k8s-1,{UNKNOWN_NODE}"), ADMIN, BAD_INPUT, (f"'{UNKNOWN_NODE}'",)),
    "an image that cannot be pulled": Refusal(("--image", MISSING_IMAGE), ADMIN, NO_LAB, ("cannot have its image",)),
}


def namespaces(cluster: Cluster) -> list[str]:
    """Return the namespaces that are neither the cluster's nor the others'."""
    known = {"default", "kube-system", "kube-public", "kube-node-lease", NAMESPACE}
    names = {item["metadata"]["name"] for item in cluster.get("namespaces")["items"]}
    return sorted(names - known)


def victim(cluster: Cluster, namespace: str) -> tuple[str, Space]:
    """Return the name of the last pod that has its own network, in a namespace, and the node that it is on."""
    items = cluster.get("pods", "-n", namespace)["items"]
    name, place = max(
        (item["metadata"]["name"], item["spec"]["nodeName"]) for item in items if not item["spec"].get("hostNetwork")
    )
    return name, next(node for node in cluster.nodes if node.name == place)


@contextmanager
def in_a_trial(desk: Desk) -> Iterator[tuple[Running, str]]:
    """Have a long run under way, past its first trial; gives it and its namespace."""
    results = desk.new_folder()
    with desk.started([*RUN, *LONG, "--out", str(results)]) as running:
        eventually(lambda: trials(results) > 0 or running.process.poll() is not None, "a first trial is over", 180)
        check(running.process.poll() is None, f"ended before its first trial:\n{running.said.read_text('utf-8')}")
        (namespace,) = namespaces(desk.cluster)
        yield running, namespace


def trials(results: Path) -> int:
    """Return how many trials are written below a folder."""
    return sum(len(path.read_text("utf-8").splitlines()) - 1 for path in results.glob("*/trials.csv"))


def a_cordoned_node(desk: Desk) -> None:
    desk.cluster.kubectl("cordon", "k8s-2")
    try:
        _said(desk.run(*RUN), NO_LAB, ("k8s-2", "is unschedulable (cordoned)"))
    finally:
        desk.cluster.kubectl("uncordon", "k8s-2")


def ctrl_c_in_a_run(desk: Desk) -> None:
    with in_a_trial(desk) as (running, _):
        _said(running.ctrl_c(), INTERRUPTED, ())


def kill_9_and_lab_down(desk: Desk) -> None:
    with in_a_trial(desk) as (running, _):
        done = running.kill()
    check(done.code == -signal.SIGKILL, f"killed, but ended with {done.code}")
    check(namespaces(desk.cluster), "a killed run left no namespace, so nothing is shown by its removal")
    desk.show("lab", "down", *LAB)


def a_container_killed_in_a_run(desk: Desk) -> None:
    with in_a_trial(desk) as (running, namespace):
        name, node = victim(desk.cluster, namespace)
        node.run("docker", "kill", node.run("docker", "ps", "--quiet", "--filter", f"name=k8s_tools_{name}_").strip())
        _said(running.wait(), LOST, (name, "was ended", "137"))


def a_pod_drained_in_a_run(desk: Desk) -> None:
    """As `kubectl drain` does it, which would take the others' pods as well."""
    with in_a_trial(desk) as (running, namespace):
        name, _ = victim(desk.cluster, namespace)
        eviction = {
            "apiVersion": "policy/v1beta1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        place = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        desk.cluster.kubectl("create", "--raw", place, "-f", "-", stdin=json.dumps(eviction))
        _said(running.wait(), LOST, (name,))


def a_pod_evicted_in_a_run(desk: Desk) -> None:
    """By a kubelet that is short of disk."""
    with in_a_trial(desk) as (running, namespace):
        _, node = victim(desk.cluster, namespace)
        with short_of_disk(node):
            done = running.wait()
        _said(done, LOST, ("was evicted", "ephemeral-storage"))
    eventually(lambda: not desk.cluster.get("node", node.name)["spec"].get("taints"), "enough disk again", 90)


@contextmanager
def short_of_disk(node: Space) -> Iterator[None]:
    """Leave a node's kubelet a few per cent of its disk."""
    filling = f"{KUBELET_FOLDER}/filling"
    node.run("fallocate", "--length", f"{KUBELET_MIB * 95 // 100}MiB", filling)
    try:
        yield
    finally:
        node.run("rm", "--force", filling)


STEPS: dict[str, Callable[[Desk], None]] = {
    "Ctrl-C in a run": ctrl_c_in_a_run,
    "kill -9 in a run, then lab down": kill_9_and_lab_down,
    **REFUSALS,
    "a cordoned node": a_cordoned_node,
    "a container killed in a run": a_container_killed_in_a_run,
    "a pod drained in a run": a_pod_drained_in_a_run,
    "a pod evicted in a run": a_pod_evicted_in_a_run,
}


def _said(done: Done, code: int, names: tuple[str, ...]) -> None:
    sentence = " ".join(done.err[done.err.rfind("harness: ") :].split()) or "nothing"
    say(f"   exit code {done.code}: {sentence}")
    check(done.code == code, f"exit code {done.code}, not {code}:\n{done.out}{done.err}")
    missing = [name for name in names if name not in sentence]
    check(not missing, f"not said: {', '.join(missing)}")
    check("Traceback" not in done.err, done.err)
