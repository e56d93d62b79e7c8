"""What a run is set up as when its trials begin: where traffic goes, under which conditions, and what to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import harness
from harness.fabric.profiles import Profile
from harness.fabric.topology import DOCKER_BRIDGE, endpoint
from harness.labs.base import Lab
from harness.measures import TOOLS
from harness.measures.base import Conditions
from harness.measures.iperf3 import STREAMING_SINCE
from harness.model.containers import Engine
from harness.model.errors import LabError
from harness.model.trial import SCHEMA_VERSION, Kind
from harness.nodes import environment
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.run.trial import Route
from harness.truth import wire
from harness.truth.proof import Way

BUSY_LOAD = 0.5
"""1-minute load average for each CPU above which a node counts as busy with something else."""
UDP_HEADROOM = 1.05
"""UDP is offered at this many times the link's rate, so that the link and not the offer is the limit."""


def environments(lab: Lab, remotes: Sequence[Remote], engine: Engine = Engine.NONE) -> dict[str, dict[str, Any]]:
    """Return the environment of each connected node by its name; LabError where a node lacks a measuring tool."""
    nodes = {node.name: node for node in lab.nodes}
    seen = {}
    for remote in remotes:
        node = nodes[remote.name]
        known = environment.parse(remote.run(environment.argv(node.device, engine)).stdout)
        missing = [tool for tool in TOOLS if known[tool] is None]
        if missing:
            raise LabError(
                f"{node.name} has no {' and no '.join(missing)}; "
                f"`ansible-playbook -i {lab.inventory} playbooks/install.yml` installs what is missing there."
            )
        seen[node.name] = known
    return seen


@dataclass(frozen=True)
class Scene:
    """Plan, profiles and lab that belong together; `seen` is each node's environment by its name."""

    plan: Plan
    profiles: Mapping[str, Profile]
    lab: Lab
    remotes: tuple[Remote, Remote]
    seen: Mapping[str, dict[str, Any]]

    def routes(self) -> dict[tuple[str, int], Route]:
        """Return where the traffic of each profile and MTU goes."""
        plan, lab = self.plan, self.lab
        found = {}
        for name, profile in self.profiles.items():
            way = self._way(profile)
            for mtu in {*plan.mtus, plan.nic_mtu} if profile.kind is Kind.UNDERLAY else plan.mtus:
                client, server = (endpoint(profile, mtu, node, plan.mtus) for node in lab.nodes)
                found[name, mtu] = Route(client, server, lab.client.device, lab.server.device, way)
        return found

    def _way(self, profile: Profile) -> Way:
        """Return what a profile claims; a routed one may name a tunnel as well, one that must stay idle."""
        tunnels = {other.name: other.tunnel for other in self.profiles.values() if other.tunnel}
        own = profile.tunnel if profile.kind is Kind.TUNNEL else None
        return Way(
            kind=profile.kind,
            tunnel=own,
            other_tunnels=tuple(tunnel for name, tunnel in tunnels.items() if name != profile.name or own is None),
            overhead=wire.overhead(profile.headers),
            least_overhead=wire.least_overhead(profile.headers),
            path_mtu=profile.path_mtu(self.plan.nic_mtu),
            nic_mtu=self.plan.nic_mtu,
        )

    def conditions(self, congestion_control: str) -> Callable[[str, int], Conditions]:
        """Return what a tool's argv depends on, for a destination and a port."""
        version = self.seen[self.lab.client.name]["iperf3"] or "0"
        streaming = tuple(int(part) for part in version.split(".")[:2]) >= STREAMING_SINCE
        offered = self.lab.rate_bps * UDP_HEADROOM if self.lab.rate_bps else None

        def conditions(destination: str, port: int) -> Conditions:
            return Conditions(self.plan.timing, destination, port, congestion_control, offered, streaming)

        return conditions

    def warnings(self) -> list[str]:
        """Return what the reader of the figures should know."""
        found = [
            f"{name} is busy with something else (load {known['load_1min']} on {known['cpus']} CPUs); "
            "figures will scatter, let it finish first"
            for name, known in self.seen.items()
            if known["load_1min"] is not None and known["load_1min"] > BUSY_LOAD * int(known["cpus"] or 1)
        ]
        if self.lab.shared_kernel:
            found.append("both nodes share one kernel and its CPUs: CPU seconds are the whole machine's")
        if self.lab.name == "local" and self.lab.rate_bps is None:
            found.append("the link is not shaped: the figures are limited by the CPU, not by the headers")
        return found + self._container_warnings()

    def _container_warnings(self) -> list[str]:
        """Return where a container as Docker makes it is too large for a profile on Docker's own bridge."""
        own = [
            profile
            for profile in self.profiles.values()
            if profile.endpoints and profile.endpoints.bridge == DOCKER_BRIDGE
        ]
        if self.plan.containers.engine is not Engine.DOCKER:
            own = []
        given = max((known.get("containers_mtu") or 0 for known in self.seen.values()), default=0)
        fitting = {profile.name: profile.path_mtu(self.plan.nic_mtu) for profile in own}
        return [
            f"Docker gives its containers an MTU of {given} but {name} carries {mtu} (MTU {mtu} in the table is with "
            f'that mended, MTU {given} as it is): put "mtu": {mtu} into daemon.json'
            for name, mtu in fitting.items()
            if given > mtu
        ]

    def description(self, run_id: str) -> dict[str, Any]:
        """Return what run.json holds, but for the warnings."""
        plan, tools = self.plan, (*TOOLS, "kernel", *(["containers"] if self.plan.containers.image else []))
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "harness_version": harness.__version__,
            "lab": self.lab.name,
            "rate_bps": self.lab.rate_bps,
            "shared_kernel": self.lab.shared_kernel,
            "nic_mtu": plan.nic_mtu,
            "plan": {
                "name": plan.name,
                "blocks": plan.blocks,
                "duration_s": plan.timing.duration_s,
                "omit_s": plan.timing.omit_s,
                "seed": plan.seed,
                "mtus": plan.mtus,
                "flows": plan.flows,
                "protocols": plan.protocols,
                "directions": plan.directions,
                "containers": plan.containers.engine,
                "image": plan.containers.image,
            },
            "profiles": {name: {"kind": own.kind, "headers": own.headers} for name, own in self.profiles.items()},
            "versions": {tool: {name: known[tool] for name, known in self.seen.items()} for tool in tools},
        }
