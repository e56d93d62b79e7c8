"""What somebody else has in the cluster: pods, a service, a policy, settings."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import SHOP_IMAGE

NAMESPACE = "shop"


def pod(name: str, node: str) -> dict[str, Any]:
    """Return the manifest of a pod that waits."""
    container = {"name": "web", "image": SHOP_IMAGE, "command": ["sleep", "infinity"], "imagePullPolicy": "Never"}
    # Such a priority, so that a node that is short of something takes it from others first.
    important = {"priorityClassName": "system-cluster-critical", "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [container], **important},
    }


def deploy(cluster: Cluster) -> None:
    """Create all of it and wait until the pods run."""
    own = {"metadata": {"name": "web", "namespace": NAMESPACE}}
    selector = {"app": "web"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"colour": "blue"}, **own},
        {"apiVersion": "v1", "kind": "Service", "spec": {"selector": selector, "ports": [{"port": 80}]}, **own},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "spec": {"podSelector": {"matchLabels": selector}, "policyTypes": ["Ingress"], "ingress": [{}]},
            **own,
        },
        *(pod(f"web-{number}", node.name) for number, node in enumerate(cluster.nodes, 1)),
    )
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "-n", NAMESPACE, "--timeout=60s")
