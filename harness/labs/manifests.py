"""What a run makes in a cluster, as the API takes it: a namespace, and two pods on each node. Pure.

The pods of the pod network meet the Pod Security level `restricted`. Those of the nodes' own network cannot, for
hostNetwork is `privileged` by definition; beyond it they have NET_RAW, for echoes and for the one capture, and SETGID,
for tcpdump sets its groups whoever runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

import harness
from harness.model.services import ServiceKind
from harness.nodes.pod_remote import CONTAINER

NAMESPACE = "vxlan-harness"
IMAGE = f"vxlan-harness-tools:{harness.__version__}"
"""What the Containerfile is called where it was built by docs/kubernetes.md."""
MANAGED = "app.kubernetes.io/managed-by"
OWNER = "vxlan-harness"
RUN = "vxlan-harness/run"
"""The label that tells one run's namespace from another's."""
_POD = "vxlan-harness/pod"
_NOBODY = 65534
_EVERY_GROUP = "0 2147483647"
FIRST_PORT, SERVICE_PORTS = 5201, 16
"""Ports of a service; its pod listens on those by which it is reached."""
_GRACE_S = 1
_SCRATCH = "/tmp"  # noqa: S108 - of a container's own; iperf3 keeps what it sends in files there
# As the first process it has to take in what others leave behind, and to end when it is asked to.
_IDLE = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"

Manifest = Mapping[str, Any]


def host_pod(number: int) -> str:
    """Return the name of the pod in the network of the number-th node itself."""
    return f"host-{number}"


def net_pod(number: int) -> str:
    """Return the name of the pod in the pod network on the number-th node."""
    return f"pod-{number}"


def namespace(run: str) -> Manifest:
    """Return the namespace that holds everything else; `run` tells whose it is."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {
                MANAGED: OWNER,
                RUN: run,
                "pod-security.kubernetes.io/enforce": "privileged",
                "pod-security.kubernetes.io/warn": "privileged",
            },
        },
    }


def net_pods(nodes: Sequence[str], image: str) -> list[Manifest]:
    """Return the pods of the pod network, one on each node."""
    sysctls = {"sysctls": [{"name": "net.ipv4.ping_group_range", "value": _EVERY_GROUP}]}
    return [_pod(net_pod(number), node, image, sysctls) for number, node in enumerate(nodes, 1)]


def host_pods(nodes: Sequence[str], image: str, *, captures: bool) -> list[Manifest]:
    """Return the pods of the nodes' own network; where they may not capture (`captures`) they have no privilege."""
    return [
        _pod(host_pod(number), node, image, {}, is_host=True, captures=captures) for number, node in enumerate(nodes, 1)
    ]


def service(kind: ServiceKind, number: int) -> Manifest:
    """Return a service of the pod on the number-th node, of so many ports as trials take turns at."""
    name = f"{kind.path}-{number}"
    local = {"externalTrafficPolicy": "Local"} if kind is ServiceKind.NODE_PORT else {}
    ports = [
        {"name": f"{protocol.lower()}-{port}", "port": port, "protocol": protocol}
        for port in range(FIRST_PORT, FIRST_PORT + SERVICE_PORTS)
        for protocol in ("TCP", "UDP")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {MANAGED: OWNER}},
        "spec": {
            "type": str(kind),
            "ipFamilies": ["IPv4"],  # that of the pods that is measured, whichever comes first in the cluster
            "selector": {_POD: net_pod(number)},
            "ports": ports,
            **local,
        },
    }


def _pod(
    name: str, node: str, image: str, security: Mapping[str, Any], *, is_host: bool = False, captures: bool = False
) -> Manifest:
    """Return a pod on a node; only root has a capability that its container was given."""
    user = {"runAsUser": 0} if captures else {"runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY}
    capabilities: dict[str, list[str]] = {"drop": ["ALL"], **({"add": ["NET_RAW", "SETGID"]} if captures else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {MANAGED: OWNER, _POD: name}},
        "spec": {
            "nodeName": node,
            "hostNetwork": is_host,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": _GRACE_S,
            "securityContext": {**user, **security, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", _IDLE],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": capabilities},
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": _SCRATCH}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Quotes whatever might be a number to somebody: what PyYAML takes for text, `5e32`, is one to kubectl."""


def _scalar(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if value[:1] in "+-.0123456789" else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _scalar)


def text(manifests: Sequence[Manifest]) -> str:
    """Return manifests as YAML documents, which kubectl reads and `harness plan` shows."""
    dumped: str = yaml.dump_all([*manifests], Dumper=_Dumper, sort_keys=False, explicit_start=True, width=120)
    return dumped
