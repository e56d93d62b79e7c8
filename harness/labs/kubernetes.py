"""A cluster that is there: pods on its nodes, in a namespace of our own that goes whatever happens."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.labs import cluster, cni, manifests
from harness.labs.base import Lab
from harness.model.errors import HarnessError, LabError
from harness.model.node import Node
from harness.model.notes import About, Note
from harness.nodes import pods
from harness.nodes.kubectl import DOCS, Kubectl, items, said
from harness.nodes.pod_remote import PodRemote

NAME = "kubernetes"
STARTING_S = 120.0
"""How long pods may take to start, pulling their image included."""
_DELETING_S = 120
_ACCOUNT_S = 20.0
"""How long a new namespace may take to get its service account, without which it takes no pods."""
_POLL_S = 0.5


class KubernetesLab:
    """Nodes of a cluster as a lab: two pods on each while it is up. Changes nothing outside its own namespace."""

    def __init__(
        self, kubectl: Kubectl, names: Sequence[str] = (), *, image: str | None = None, several: bool = False
    ) -> None:
        self.captures = True
        self.said = ""
        self._kubectl = kubectl
        self._image = image or manifests.IMAGE
        self._run = secrets.token_hex(4)
        self._scratch: Path | None = None
        self._is_made = False
        listed = items(kubectl.json("list nodes", "nodes"))
        self._nodes = cluster.chosen(listed, names, several=several)
        self._listed = [item for item in listed if item["metadata"]["name"] in {node.name for node in self._nodes}]

    def nodes(self) -> tuple[Node, ...]:
        """Return the chosen nodes; their NICs and MTUs are not known before a pod on each has looked."""
        return self._nodes

    def wanted(self) -> list[manifests.Manifest]:
        """Return everything that `up` makes."""
        names = [node.name for node in self._nodes]
        return [
            manifests.namespace(self._run),
            *manifests.net_pods(names, self._image),
            *manifests.host_pods(names, self._image, captures=self.captures),
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
        kernels: set[str] = set()
        found = []
        for node in self._nodes:
            seen, kernel = self._looked(node)
            found.append(seen)
            kernels.add(kernel)
        self._nodes = tuple(found)
        self._scratch = Path(tempfile.mkdtemp(prefix="vxlan-harness-"))
        self.said = cni.said(self._kubectl, self._listed)
        client, server, *others = found
        return Lab(
            name=NAME,
            inventory=None,
            ssh_config=None,
            client=client,
            server=server,
            rate_bps=None,
            shared_kernel=len(kernels) < len(found),
            scratch=self._scratch,
            others=tuple(others),
            notes=(Note(About.LAB, NAME, self.said), *notes),
        )

    def down(self) -> None:
        """Delete the namespace of this run, with everything in it, and wait until it is gone."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        if self._is_made:
            delete(self._kubectl, f"{manifests.RUN}={self._run}")
            self._is_made = False

    def remote(self, node: Node) -> PodRemote:
        """Return what runs commands on a node: in its own network, and in its pod's."""
        number = [one.name for one in self._nodes].index(node.name) + 1
        return PodRemote(node.name, self._kubectl, manifests.host_pod(number), [manifests.net_pod(number)])

    def place(self, node: str) -> str:
        """Return the name of the pod of the pod network on a node."""
        return manifests.net_pod([one.name for one in self._nodes].index(node) + 1)

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

    def _looked(self, node: Node) -> tuple[Node, str]:
        """Return a node with the NIC that holds its address, and which kernel it runs, as the pod on it sees them."""
        with self.remote(node) as remote:
            shown = remote.run(["ip", "-j", "addr", "show"])
            kernel = remote.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()
        if shown.exit_code != 0:
            raise LabError(
                f"image {self._image} lacks what a run takes: ip said {said(shown.stderr)}; build it from the "
                f"Containerfile ({DOCS})."
            )
        for device in json.loads(shown.stdout):
            if node.address in [entry.get("local") for entry in device.get("addr_info") or ()]:
                return replace(node, device=str(device["ifname"]), mtu=int(device["mtu"])), kernel
        raise LabError(
            f"no device of node {node.name} has its internal address {node.address}; what carries its traffic cannot "
            "be told."
        )


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
