"""`--lab kubernetes`: from options to a cluster's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.model.containers import parse_image
from harness.model.errors import InputError
from harness.model.services import ServiceKind

if TYPE_CHECKING:
    from harness.labs.kubernetes import KubernetesLab
    from harness.nodes.kubectl import Kubectl

KUBERNETES = "kubernetes"


def cluster_lab(
    context: str | None,
    nodes: int | tuple[str, ...] | None,
    image: str | None,
    services: Sequence[ServiceKind],
    *,
    several: bool,
) -> KubernetesLab:
    """Return the cluster's nodes that a run uses; raises InputError, LabError and ConnectionLostError."""
    from harness.labs.kubernetes import KubernetesLab

    if isinstance(nodes, int):
        raise InputError("--nodes: give a cluster's nodes by name, with commas between them.")
    image = parse_image(image) if image else None
    return KubernetesLab(kubectl(context), nodes or (), image=image, several=several, services=services)


def kubectl(context: str | None) -> Kubectl:
    """Return kubectl for a context, the current one where none is given; InputError for one that is not there."""
    from harness.labs.manifests import NAMESPACE
    from harness.nodes.kubectl import Kubectl

    return Kubectl.of(context, NAMESPACE)
