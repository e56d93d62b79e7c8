"""A cluster that is there: pods on its nodes, in a namespace of our own that goes whatever happens."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.labs import cluster, cni, manifests
from harness.labs.base import Lab
from harness.labs.scratch import Scratch
from harness.model.errors import HarnessError, LabError
from harness.model.node import Node
from harness.model.notes import About, Note
from harness.model.services import Served, ServiceKind
from harness.nodes import pods
from harness.nodes.kubectl import DOCS, Kubectl, items, said
from harness.nodes.pod_remote import PodRemote
from harness.results.plan import CONGESTION_CONTROL

NAME = "kubernetes"
STARTING_S = 120.0
"""How long pods may take to start, pulling their image included."""
_DELETING_S = 120
_ACCOUNT_S = 20.0
"""How long a new namespace may take to get its service account, without which it takes no pods."""
_POLL_S = 0.5
_TCP = "/proc/sys/net/ipv4/tcp"
_KERNEL = ("/proc/sys/kernel/random/boot_id", f"{_TCP}_congestion_control", f"{_TCP}_allowed_congestion_control")
"""A line each: which boot this is, and TCP's congestion control."""


@dataclass(frozen=True)
class _Looked:
    """A node, which boot of which kernel it runs, and TCP's congestion control there: the default and those allowed."""

    node: Node
    kernel: str
    default: str
    allowed: tuple[str, ...]


class KubernetesLab:
    """Nodes of a cluster as a lab: two pods on each while it is up. Changes nothing outside its own namespace."""

    def __init__(
        self,
        kubectl: Kubectl,
        names: Sequence[str] = (),
        *,
        image: str | None = None,
        several: bool = False,
        services: Sequence[ServiceKind] = (),
    ) -> None:
        self.captures = True
        self.services = tuple(services)
        self._kubectl = kubectl
        self._image = image or manifests.IMAGE
        self._run = secrets.token_hex(4)
        self._scratch: Scratch | None = None
        self._is_made = False
        listed = items(kubectl.json("list nodes", "nodes"))
        self._nodes = cluster.chosen(listed, names, several=several)
        self._listed = [item for item in listed if item["metadata"]["name"] in {node.name for node in self._nodes}]

    def nodes(self) -> tuple[Node, ...]:
        """Return the chosen nodes; their NICs and MTUs are not known before a pod on each has looked."""
        return self._nodes

    def wanted(self) -> list[manifests.Manifest]:
        """Return everything that a run makes: services for the second node's pod, where that is the server."""
        names = [node.name for node in self._nodes]
        return [
            manifests.namespace(self._run),
            *manifests.net_pods(names, self._image),
            *manifests.host_pods(names, self._image, captures=self.captures),
            *(manifests.service(kind, 2) for kind in self.services),
        ]

    def probe(self) -> list[str]:
        """Return nothing: that the cluster answers was seen when its nodes were listed."""
        return []

    def up(self) -> Lab:
        """Make the pods, wait until all of them run, and return the lab; `down` removes what there is of them."""
        names = [node.name for node in self._nodes]
        self._make_namespace()
        self._create(manifests.net_pods(names, self._image))
        notes = self._create_host_pods(names)
        self._await_running(2 * len(names))
        looked = [self._looked(node) for node in self._nodes]
        self._nodes = tuple(seen.node for seen in looked)
        congestion_control = _congestion_control(looked)
        self._scratch = Scratch()
        client, server, *others = self._nodes
        if congestion_control is not None:
            text = f"TCP's congestion control is {congestion_control}, the nodes' own: pods may not choose another"
            notes.append(Note(About.LAB, NAME, text))
        return Lab(
            name=NAME,
            inventory=None,
            ssh_config=None,
            client=client,
            server=server,
            rate_bps=None,
            shared_kernel=len({seen.kernel for seen in looked}) < len(looked),
            scratch=self._scratch.path,
            others=tuple(others),
            congestion_control=congestion_control,
            notes=(Note(About.LAB, NAME, cni.said(self._kubectl, self._listed)), *notes),
        )

    def down(self) -> None:
        """Delete the namespace of this run, with everything in it, and wait until it is gone."""
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None
        if self._is_made:
            delete(self._kubectl, f"{manifests.RUN}={self._run}")
            self._is_made = False

    def remote(self, node: Node) -> PodRemote:
        """Return what runs commands on a node: in its own network, and in its pod's."""
        number = self._number(node.name)
        return PodRemote(node.name, self._kubectl, manifests.host_pod(number), [manifests.net_pod(number)])

    def place(self, node: str) -> str:
        """Return the name of the pod of the pod network on a node."""
        return manifests.net_pod(self._number(node))

    def serve(self, kind: ServiceKind, node: Node) -> Served:
        """Return a service for the pod on a node, which is made where it is not there yet; raises LabError."""
        number = self._number(node.name)
        wanted = manifests.service(kind, number)
        name = str(wanted["metadata"]["name"])
        made = self._kubectl.run("create", "-f", "-", given=manifests.text([wanted]))
        if made.exit_code != 0 and "AlreadyExists" not in made.stderr:
            raise self._kubectl.refused(made.stderr, f"create service {name}")
        spec = self._kubectl.json("read services", "service", name)["spec"]
        if kind is ServiceKind.CLUSTER_IP:
            return Served(name, str(spec["clusterIP"]), tuple(sorted({int(one["port"]) for one in spec["ports"]})))
        # The pod has to listen on the very port that is asked for: programs know only one.
        ports = [int(one["nodePort"]) for one in spec["ports"]]
        changes = [
            {"op": "replace", "path": f"/spec/ports/{number}/targetPort", "value": port}
            for number, port in enumerate(ports)
        ]
        done = self._kubectl.run("patch", "service", name, "--type=json", f"--patch={json.dumps(changes)}")
        if done.exit_code != 0:
            raise self._kubectl.refused(done.stderr, f"patch service {name}")
        return Served(name, node.address, tuple(sorted(set(ports))))

    def _number(self, node: str) -> int:
        """Return the place of a node among those chosen, from 1 on: its pods are named after it."""
        return [one.name for one in self._nodes].index(node) + 1

    def _make_namespace(self) -> None:
        self._is_made = True  # also where Ctrl-C comes before the answer does: only what has our label is deleted
        made = self._kubectl.run("create", "-f", "-", given=manifests.text([manifests.namespace(self._run)]))
        if made.exit_code == 0:
            return
        self._is_made = False
        if "AlreadyExists" in made.stderr or "already exists" in made.stderr:
            raise LabError(
                f"{self._kubectl.where} has a namespace {manifests.NAMESPACE} already: another run is under way, or "
                "one was killed; `harness lab down --lab kubernetes` removes what a killed one left."
            )
        raise self._kubectl.refused(made.stderr, f"create namespace {manifests.NAMESPACE}")

    def _create(self, wanted: Sequence[manifests.Manifest]) -> None:
        """Create pods; raises LabError in the API server's words."""
        refusal = self._tried(wanted)
        if refusal is not None:
            raise refusal

    def _tried(self, wanted: Sequence[manifests.Manifest]) -> HarnessError | None:
        """Create pods and return why that was refused, None where it was not."""
        deadline = time.monotonic() + _ACCOUNT_S
        while True:
            made = self._kubectl.run("create", "-f", "-", given=manifests.text(wanted))
            if made.exit_code == 0:
                return None
            if "serviceaccount" not in made.stderr or time.monotonic() > deadline:
                return self._kubectl.refused(made.stderr, f"create pods in namespace {manifests.NAMESPACE}")
            time.sleep(_POLL_S)

    def _create_host_pods(self, names: Sequence[str]) -> list[Note]:
        """Create the pods of the nodes' own network, without privilege where that is refused; return notes on it."""
        refusal = self._tried(manifests.host_pods(names, self._image, captures=True))
        if refusal is None:
            return []
        if "cannot create resource" in str(refusal):  # it is not the privilege that is refused
            raise refusal
        self.captures = False
        again = self._tried(manifests.host_pods(names, self._image, captures=False))
        if again is not None:
            raise LabError(f"{again} A run takes a pod with hostNetwork on each node; {DOCS} says what it may do.")
        return [Note(About.LAB, NAME, f"no capture confirms the path, for the cluster refuses NET_RAW: {refusal}")]

    def _await_running(self, count: int) -> None:
        """Wait until so many pods run; LabError for one that never will, or does not in time."""
        deadline = time.monotonic() + STARTING_S
        while True:
            listed = items(self._kubectl.json("list pods", "pods"))
            for pod in listed:
                why = pods.failure(pod)
                if why is not None:
                    raise LabError(f"{why}{self._image_advice(why)}.")
            if sum(map(pods.is_running, listed)) >= count:
                return
            if time.monotonic() > deadline:
                late = [pod for pod in listed if not pods.is_running(pod)]
                raise LabError(self._late(late))
            time.sleep(_POLL_S)

    def _image_advice(self, why: str) -> str:
        if not pods.is_without_image(why):
            return ""
        return f"; build it from the Containerfile ({DOCS}), push or load it where the nodes find it, and give --image"

    def _late(self, late: Sequence[Mapping[str, Any]]) -> str:
        """Return what is known of pods that do not come up, with the events of the first where they may be read."""
        names = ", ".join(str(pod["metadata"]["name"]) for pod in late) or "some pods"
        first = str(late[0]["metadata"]["name"]) if late else ""
        selector = f"--field-selector=involvedObject.name={first}"
        events = self._kubectl.run("get", "events", selector, "--output=json")
        heard = items(json.loads(events.stdout)) if events.exit_code == 0 else []
        warned = [str(event.get("message", "")).strip() for event in heard if event.get("type") == "Warning"]
        last = f": {warned[-1][-300:].rstrip('.')}" if warned else f"; `kubectl describe pod {first}` tells why"
        return f"{names} did not run within {STARTING_S:g} s{last}."

    def _looked(self, node: Node) -> _Looked:
        """Return a node with the NIC that holds its address, as the pod on it sees them."""
        with self.remote(node) as remote:
            shown = remote.run(["ip", "-j", "addr", "show"])
            kernel, default, allowed = remote.run(["cat", *_KERNEL]).stdout.splitlines()
        if shown.exit_code != 0:
            raise LabError(
                f"image {self._image} lacks what a run takes: ip said {said(shown.stderr)}; build it from the "
                f"Containerfile ({DOCS})."
            )
        for device in json.loads(shown.stdout):
            if node.address in [entry.get("local") for entry in device.get("addr_info") or ()]:
                own = replace(node, device=str(device["ifname"]), mtu=int(device["mtu"]))
                return _Looked(own, kernel, default, tuple(allowed.split()))
        raise LabError(
            f"no device of node {node.name} has its internal address {node.address}; what carries its traffic cannot "
            "be told."
        )


def _congestion_control(looked: Sequence[_Looked]) -> str | None:
    """Return the nodes' own congestion control where pods may not choose the plan's; LabError where nodes differ."""
    if all(CONGESTION_CONTROL in seen.allowed for seen in looked):
        return None
    if len({seen.default for seen in looked}) > 1:
        own = ", ".join(f"{seen.node.name} {seen.default}" for seen in looked)
        raise LabError(
            f"TCP's congestion control differs between nodes ({own}), and pods may not choose {CONGESTION_CONTROL}; "
            "allow it there (sysctl net.ipv4.tcp_allowed_congestion_control), or take nodes that are alike."
        )
    return looked[0].default


def delete(kubectl: Kubectl, selector: str) -> list[str]:
    """Delete the namespaces with these labels, wait until they are gone, and return their names; raises LabError."""
    words = ("delete", "namespaces", f"--selector={selector}", f"--timeout={_DELETING_S}s", "--output=name")
    done = kubectl.run(*words, wait_s=_DELETING_S)
    if done.exit_code != 0:
        error = kubectl.refused(done.stderr, f"delete namespace {manifests.NAMESPACE}")
        raise type(error)(f"{error} It may still be there; `harness lab down --lab kubernetes` removes it.")
    return [line.partition("/")[2] for line in done.stdout.splitlines() if line.strip()]


def take_down(kubectl: Kubectl) -> list[str]:
    """Delete every namespace that a run made, and return their names."""
    return delete(kubectl, f"{manifests.MANAGED}={manifests.OWNER}")
