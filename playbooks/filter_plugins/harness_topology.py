"""Ansible filters: what profiles mean on a node, what measures need there. The harness thinks, this hands it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from harness.fabric import profiles, topology
from harness.measures.registry import MEASURES, programs
from harness.model.containers import Containers
from harness.model.errors import HarnessError
from harness.model.node import Node
from harness.nodes import inventory

Resolve = Callable[[profiles.Profile, Node, Node, Sequence[int]], Any]


def _for_each(
    resolve: Resolve,
    names: Sequence[str],
    host: str,
    hostvars: Mapping[str, Any],
    mtus: Sequence[int],
    profiles_dirs: Sequence[str],
) -> list[Any]:
    """Resolve every named profile for one host of the inventory's two."""
    try:
        node, peer = inventory.pair_of(str(host), hostvars)
        loaded_from = [Path(str(folder)) for folder in profiles_dirs]
        loaded = [profiles.load(str(name), loaded_from) for name in names]
        return [resolve(profile, node, peer, [int(mtu) for mtu in mtus]) for profile in loaded]
    except HarnessError as error:
        raise AnsibleFilterError(str(error)) from error


def wanted_state(
    names: Sequence[str],
    host: str,
    hostvars: Mapping[str, Any],
    mtus: Sequence[int],
    profiles_dirs: Sequence[str] = (),
    engine: str = "none",
    image: str = "",
) -> list[Any]:
    """Return what the netstate module brings up for these profiles on `host`."""
    try:
        containers = Containers.parse(str(engine), str(image))
    except HarnessError as error:
        raise AnsibleFilterError(str(error)) from error
    resolve = partial(topology.wanted_state, containers=containers)
    return _for_each(resolve, names, host, hostvars, mtus, profiles_dirs)


def endpoint_probes(
    names: Sequence[str], host: str, hostvars: Mapping[str, Any], mtus: Sequence[int], profiles_dirs: Sequence[str] = ()
) -> list[Any]:
    """Return the pairs that the endpoint_probe module pings from `host`."""
    return [pair for pairs in _for_each(topology.probes, names, host, hostvars, mtus, profiles_dirs) for pair in pairs]


def measure_packages(measures: str) -> list[str]:
    """Return the Debian packages that measures need on a node, from their names with commas between them, or `all`."""
    names = [*MEASURES] if measures == "all" else [name.strip() for name in str(measures).split(",")]
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise AnsibleFilterError(f"there is no measure {unknown[0]!r}; there are {', '.join(MEASURES)}")
    return list(dict.fromkeys(program.package for program in programs(names).values()))


class FilterModule:
    """What Ansible looks for in a filter plugin."""

    def filters(self) -> dict[str, Callable[..., list[Any]]]:
        """Return the filters by the name that playbooks use."""
        return {
            "wanted_state": wanted_state,
            "endpoint_probes": endpoint_probes,
            "measure_packages": measure_packages,
        }
