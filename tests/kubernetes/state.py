"""What a cluster and its nodes have, for a comparison before and after: nobody else's must change."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.spaces import Space
from tests.proving import FailureError

OBJECTS = "objects"
"""Where lines come from that are the API server's."""
_RESTLESS = ("events", "leases.coordination.k8s.io", "componentstatuses", "endpointslices.discovery.k8s.io")
"""Kinds of objects that a cluster changes by itself all the time."""
_COMMANDS = (
    "ip -brief link",
    "ip -brief addr",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule",
    "ip neigh show nud permanent",
    "bridge fdb show dev flannel.1",
    "tc qdisc show",
    "iptables-save",
    "ip6tables-save",
    "nft --stateless list ruleset",
    "docker ps --all --format {{.ID}} {{.Names}} {{.Image}}",
    "docker images --no-trunc --format {{.ID}} {{.Repository}} {{.Tag}}",
    "docker network ls --format {{.ID}} {{.Name}}",
    "docker volume ls --quiet",
    "ip netns list",
    "find /var/lib/cni -type f",
    "sysctl -a --pattern ^net\\.",
)
_LOOKS, _BETWEEN_S = 10, 2.0
_COUNTERS = ("# Generated", "# Completed", "net.netfilter.nf_conntrack_count")


@dataclass(frozen=True)
class State:
    """Lines that name everything there is, by where they come from."""

    lines: dict[str, frozenset[str]]

    @classmethod
    def of(cls, cluster: Cluster) -> State:
        """Look at all objects of the cluster and at both nodes."""
        lines = {f"{node.name}: {command}": _lines(node, command) for node in cluster.nodes for command in _COMMANDS}
        kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
        wanted = ",".join(kind for kind in kinds if kind not in _RESTLESS and not kind.startswith("events."))
        items = cluster.get("--all-namespaces", wanted)["items"]
        return cls(lines | {OBJECTS: frozenset(_object(item) for item in items)})

    @classmethod
    def settled(cls, cluster: Cluster) -> State:
        """Look until two looks in a row agree: addresses, for one, take a while until they are in use."""
        last = cls.of(cluster)
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_S)
            last, previous = cls.of(cluster), last
            if last == previous:
                return last
        raise FailureError("the cluster does not settle:\n" + "\n".join(last.differences(previous)))

    def differences(self, before: State) -> list[str]:
        """Return what was added to `before`, and what is missing of it."""
        changes = []
        for place, lines in self.lines.items():
            changes += [f"{place}: new: {line}" for line in sorted(lines - before.lines[place])]
            changes += [f"{place}: gone: {line}" for line in sorted(before.lines[place] - lines)]
        return changes


def _lines(node: Space, command: str) -> frozenset[str]:
    said = node.run("sh", "-c", '"$@" 2>/dev/null || true', "sh", *_words(command))
    return frozenset(line.strip() for line in said.splitlines() if not line.startswith(_COUNTERS))


def _words(command: str) -> list[str]:
    """Return a command's words; a format of Docker's is the last one, with blanks."""
    head, marker, form = command.partition("--format ")
    return [*head.split(), *([marker.strip(), form] if marker else [])]


def _object(item: dict[str, Any]) -> str:
    """Return an object without what its cluster writes at every heartbeat."""
    metadata = item["metadata"]
    status = item.get("status", {})
    restarts = [each["restartCount"] for each in status.get("containerStatuses", [])]
    kept = {
        "kind": item["kind"],
        "uid": metadata["uid"],
        "name": f"{metadata.get('namespace', '')}/{metadata['name']}",
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "deleted": metadata.get("deletionTimestamp"),
        "rest": {name: value for name, value in item.items() if name not in ("metadata", "status")},
        "phase": status.get("phase"),
        "address": status.get("podIP"),
        "restarts": restarts,
    }
    return json.dumps(kept, sort_keys=True)
