"""Conditions of trials beside their cells, and what the reader of their figures should know of the nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import harness
from harness.fabric.existing import ExistingProfile
from harness.fabric.profiles import Profile
from harness.fabric.topology import DOCKER_BRIDGE
from harness.labs.base import Lab
from harness.measures.base import Conditions, MakeConditions
from harness.measures.registry import programs
from harness.model.containers import Engine
from harness.model.notes import About, Note
from harness.model.path import Path
from harness.results.meta import ProfileMeta, RunMeta, described
from harness.results.plan import Plan
from harness.results.schema import Columns


def conditions_of(
    plan: Plan, lab: Lab, environments: Mapping[str, Mapping[str, Any]], link_bps: float | None
) -> MakeConditions:
    """Return what makes the conditions of one trial.

    `link_bps` is what TCP reached on a link whose rate the lab does not know.
    """
    versions = {name: environments[lab.client.name].get(name) for name in programs(plan.measures)}

    def conditions(path: Path, next_port: Callable[[], int]) -> Conditions:
        return Conditions(
            timing=plan.timing,
            path=path,
            next_port=(lambda: path.ports[next_port() % len(path.ports)]) if path.ports else next_port,
            congestion_control=plan.congestion_control,
            link_bps=lab.rate_bps or link_bps,
            shaped=lab.rate_bps is not None,
            versions=versions,
            links=plan.links,
            max_bps=plan.max_bps,
        )

    return conditions


def notes_of(
    plan: Plan, profiles: Mapping[str, Profile], lab: Lab, environments: Mapping[str, Mapping[str, Any]]
) -> list[Note]:
    """Return what the reader of the figures should know of the nodes, before the first trial."""
    noted = [*lab.notes]
    if lab.shared_kernel:
        text = "both nodes share one kernel and its CPUs: CPU seconds are those of both together"
        noted.append(Note(About.LAB, lab.name, text))
    if lab.name == "local" and lab.rate_bps is None:
        text = "the link is not shaped: the figures are limited by the CPU, not by the headers"
        noted.append(Note(About.LAB, lab.name, text))
    return noted + _found_notes(plan, profiles) + _container_notes(plan, profiles, environments)


def _found_notes(plan: Plan, profiles: Mapping[str, Profile]) -> list[Note]:
    """Return what was found of paths that somebody else built, and what is to be known of them."""
    found = [profile for name in plan.setup.profiles if isinstance(profile := profiles[name], ExistingProfile)]
    return [
        Note(About.SETUP, profile.name, f"{profile.name}: {text}")
        for profile in found
        for text in (profile.summary, *profile.path.notes)
    ]


def _container_notes(
    plan: Plan, profiles: Mapping[str, Profile], environments: Mapping[str, Mapping[str, Any]]
) -> list[Note]:
    """Return where a container as Docker makes it is too large for a profile on Docker's own bridge."""
    if plan.setup.containers.engine is not Engine.DOCKER:
        return []
    named = [profiles[name] for name in plan.setup.profiles]
    on_bridge = [profile for profile in named if profile.endpoints and profile.endpoints.bridge == DOCKER_BRIDGE]
    given = max((seen.get("containers_mtu") or 0 for seen in environments.values()), default=0)
    fitting = {profile.name: profile.path_mtu(plan.setup.nic_mtu) for profile in on_bridge}
    return [
        Note(
            About.SETUP,
            name,
            f"Docker gives its containers an MTU of {given} but {name} carries {mtu} (MTU {mtu} in the table is with "
            f'that mended, MTU {given} as it is): put "mtu": {mtu} into daemon.json',
        )
        for name, mtu in fitting.items()
        if given > mtu
    ]


def meta_of(
    run_id: str,
    plan: Plan,
    profiles: Mapping[str, Profile],
    lab: Lab,
    environments: Mapping[str, Mapping[str, Any]],
    columns: Columns,
) -> RunMeta:
    """Return what run.json says, but for the notes."""
    extra = ["containers"] if plan.setup.containers.image else []
    names = [*programs(plan.measures), "kernel", *extra]
    factors, metrics = described(columns)
    return RunMeta(
        run_id=run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        harness_version=harness.__version__,
        lab=lab.name,
        rate_bps=lab.rate_bps,
        shared_kernel=lab.shared_kernel,
        plan=plan,
        profiles={
            name: ProfileMeta(
                kind=profiles[name].kind,
                headers=profiles[name].headers,
                tunnel_mtu=profiles[name].tunnel_mtu,
                content_sha256=profiles[name].content_sha256,
                found=profiles[name].found,
            )
            for name in plan.setup.profiles
        },
        versions={name: {node: seen[name] for node, seen in environments.items()} for name in names},
        factors=factors,
        metrics=metrics,
    )
