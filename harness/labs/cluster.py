"""What the API says of a cluster's nodes, judged: which of them a run may use, and by which addresses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from harness.model.errors import InputError, LabError
from harness.model.node import Node

UNKNOWN_DEVICE = "?"
"""What a node's NIC is called until a pod on it has looked."""
_KEEPS_OUT = ("NoSchedule", "NoExecute")

Item = Mapping[str, Any]


def chosen(listed: Sequence[Item], names: Sequence[str], *, several: bool) -> tuple[Node, ...]:
    """Return the nodes of these names, or the first two usable ones, all of them if `several`.

    Raises InputError for a name that is not there, LabError for a node that cannot be used, and for too few.
    """
    by_name = {str(item["metadata"]["name"]): item for item in listed}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError(f"--nodes: the cluster has no node {unknown[0]!r}; it has {', '.join(by_name) or 'none'}.")
    if len(set(names)) != len(names):
        raise InputError("--nodes: a node is named twice; give each once.")
    if names and len(names) < 2:  # noqa: PLR2004 - a client and a server
        raise InputError(f"--nodes: {names[0]} is one node; give two, the client's first, or more with --pairs.")
    if len(names) > 2 and not several:  # noqa: PLR2004 - a client and a server
        raise InputError(
            f"--nodes: {len(names)} nodes; say which of them are measured, by --pairs a:b,… or --pairs all."
        )
    why = {name: reason for name, item in by_name.items() if (reason := unusable(item, is_asked=name in names))}
    asked = [name for name in names if name in why]
    if asked:
        raise LabError(f"node {asked[0]} cannot be used: {why[asked[0]]}; choose others by --nodes.")
    usable = list(names) or [name for name in by_name if name not in why]
    if len(usable) < 2:  # noqa: PLR2004 - a client and a server
        reasons = "; ".join(f"{name} {reason}" for name, reason in why.items())
        raise LabError(f"a run takes two nodes, and of the cluster's {len(usable)} can be used{_in_brackets(reasons)}.")
    taken = usable if several else usable[:2]
    return tuple(_node(by_name[name], index) for index, name in enumerate(taken, 1))


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def unusable(item: Item, *, is_asked: bool) -> str | None:
    """Return why a node cannot be used, None for one that can.

    One that was asked for by name (`is_asked`) may be one that ordinary pods are kept out of, as they are of most
    control planes: pods that name their node are not scheduled.
    """
    name, spec, status = item["metadata"]["name"], item.get("spec") or {}, item.get("status") or {}
    if spec.get("unschedulable"):
        return f"is unschedulable (cordoned), `kubectl uncordon {name}` ends that"
    ready: Item = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    if ready.get("status") != "True":
        return f"is not ready ({ready.get('reason') or 'its kubelet says nothing'})"
    for taint in spec.get("taints") or ():
        if taint.get("effect") == "NoExecute" or (taint.get("effect") in _KEEPS_OUT and not is_asked):
            return f"has the taint {taint.get('key')}:{taint.get('effect')}"
    return None


def _node(item: Item, index: int) -> Node:
    """Return a node by its internal addresses; LabError for one without an IPv4 address, which measuring takes."""
    name = str(item["metadata"]["name"])
    found: dict[int, str] = {}
    for entry in (item.get("status") or {}).get("addresses") or ():
        if entry.get("type") == "InternalIP":
            address = ipaddress.ip_address(entry["address"])
            found.setdefault(address.version, str(address))
    if 4 not in found:  # noqa: PLR2004 - IPv4
        raise LabError(f"node {name} has no internal IPv4 address; it has {', '.join(found.values()) or 'none'}.")
    return Node(name, index, found[4], UNKNOWN_DEVICE, address6=found.get(6))
