"""The path between two nodes' pods, found: as between any endpoints, with less where a cluster allows less."""

from __future__ import annotations

from collections.abc import Sequence

from harness.inspect import services
from harness.inspect.capture import CaptureRefusedError
from harness.inspect.endpoints import Endpoint, filled
from harness.inspect.found import lies_between
from harness.labs.kubernetes import KubernetesLab
from harness.model.found import CLUSTER_PATH, Found
from harness.model.pairs import Pair
from harness.nodes.remote import Remote
from harness.run.standing import Ground


def find(lab: KubernetesLab, ground: Ground, pair: Pair) -> Sequence[Found]:
    """Return the path between the pods of a pair of nodes, and those by way of services, each under its own name.

    Where nothing may be captured, headers are told by the devices that counted our echoes, and that is said. Raises
    LabError for pods that do not reach each other, ToolError and ConnectionLostError.
    """
    main = _between_pods(lab, ground, pair)
    remotes, server = ground.of_pair(pair), ground.lab.server
    return [main, *(services.find(kind, lab, server, remotes, main) for kind in lab.services)]


def _between_pods(lab: KubernetesLab, ground: Ground, pair: Pair) -> Found:
    client, server = (_end(ground.remotes[name], lab.place(name)) for name in pair.hosts)
    ends = (client, server)
    if not lab.captures:
        return lies_between(CLUSTER_PATH, ends, ground, captures=False)
    try:
        return lies_between(CLUSTER_PATH, ends, ground)
    except CaptureRefusedError as error:
        note = f"no capture confirms the path: {error}"
        return lies_between(CLUSTER_PATH, ends, ground, captures=False, outset=[note])


def _end(remote: Remote, place: str) -> Endpoint:
    """Return a pod as an endpoint, with the devices in it."""
    return filled(remote, Endpoint(remote.name, place, "pod network", f"pod/{place}", place=place))
