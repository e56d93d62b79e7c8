"""Differences between two runs, of all that moves figures. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.results.meta import RunMeta

_ENVIRONMENT_KEYS = (
    "hostname os cpu_model cpus congestion_control bridge_netfilter qdisc driver sysctls offloads".split()
)

Difference = tuple[str, object, object]
"""What differs, and what it is in the first run and in the second."""

Environment = Mapping[str, Any] | None


def differences(a: RunMeta | None, b: RunMeta | None, around_a: Environment, around_b: Environment) -> list[Difference]:
    """Return what is not the same in both runs, as far as both say what they were, each once."""
    made: list[Difference] = []
    if a and b:
        profiles = [name for name in a.profiles if name in b.profiles]
        ours, theirs = _described(a, profiles), _described(b, profiles)
        made += [
            (key, ours.get(key), theirs.get(key)) for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)
        ]
    if around_a and around_b:
        for node in around_a:
            if isinstance(around_a[node], dict) and isinstance(around_b.get(node), dict):
                made += _of_nodes(node, around_a[node], around_b[node])
    return [one for number, one in enumerate(made) if one not in made[:number]]


def _described(meta: RunMeta, profiles: Iterable[str]) -> dict[str, object]:
    """Return what a run was measured with, by the words a reader knows it by."""
    plan, setup = meta.plan, meta.plan.setup
    settings: dict[str, object] = {
        "lab": meta.lab,
        "rate_bps": meta.rate_bps,
        "nic_mtu": meta.nic_mtu,
        "nodes sharing a kernel": meta.shared_kernel,
        "plan's blocks": plan.blocks,
        "plan's set-ups": plan.setups,
        "plan's duration_s": plan.timing.duration_s,
        "plan's omit_s": plan.timing.omit_s,
        "plan's containers": setup.containers.engine.value,
        "plan's image": setup.containers.image,
    }
    settings |= {f"headers of {name}": " ".join(meta.profiles[name].headers) for name in profiles}
    for program, versions in meta.versions.items():
        settings |= {f"{program} on {node}": version for node, version in versions.items()}
    return settings


def _of_nodes(node: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for key in _ENVIRONMENT_KEYS:
        ours, theirs = _settings(key, a.get(key)), _settings(key, b.get(key))
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                yield f"{node} {name}", ours.get(name), theirs.get(name)


def _settings(key: str, value: object) -> dict[str, object]:
    """Return one key of the environment as flat settings; a qdisc's handle is a number drawn anew each time."""
    if isinstance(value, dict):
        return {f"{key} {name}": setting for name, setting in value.items()}
    return {key: re.sub(r"\b[0-9a-f]+: ", "", value) if isinstance(value, str) and key == "qdisc" else value}
