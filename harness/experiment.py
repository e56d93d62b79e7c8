"""The run: lab up, apply, verify, blocks of trials, teardown whatever happens, lab down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import harness
from harness import environment, support, wire
from harness.errors import HarnessError, LabError
from harness.interrupt import Interruption
from harness.labs.base import Lab, LabSource
from harness.model import Kind, Node, Slot, Status, Trial
from harness.plan import Plan
from harness.playbook import PlaybookResult
from harness.profiles import Profile
from harness.proof import Way
from harness.remote import Remote
from harness.store import SCHEMA_VERSION, RunFolder
from harness.tools import TOOLS
from harness.tools.base import Conditions
from harness.tools.iperf3 import STREAMING_SINCE
from harness.topology import endpoint
from harness.trial import Record, Route, TrialRunner

ATTEMPTS = 2
"""A trial that fails is tried once more in its block."""
BUSY_LOAD = 0.5
"""1-minute load average for each CPU above which a node counts as busy with something else."""
STOLEN_RATIO = 0.02
"""Share of CPU time given to others by a hypervisor above which the reader is told."""
DISTURBED_RATIO = 0.1
"""The same share within one trial above which it is measured once more, and the less disturbed one counts."""
REPEATED_RATIO = 0.05
"""Share of a run's trials that may be repeated for that reason."""
UDP_HEADROOM = 1.05
"""UDP is offered at this many times the link's rate, so that the link and not the offer is the limit."""


class Playbooks(Protocol):
    """What runs playbooks on the nodes of a lab."""

    def run(
        self,
        name: str,
        profiles: Sequence[str],
        mtus: Sequence[int],
        folders: Sequence[Path] = (),
        *,
        cancellable: bool = True,
    ) -> PlaybookResult:
        """Run one playbook for these profiles."""
        ...


class Observer(Protocol):
    """Who is told how the run goes."""

    def stage(self, text: str) -> None:
        """Something other than a trial begins."""
        ...

    def planned(self, plan: Plan) -> None:
        """What is going to be measured is known for good."""
        ...

    def started(self, slot: Slot, number: int) -> None:
        """A trial begins; numbers count from 1."""
        ...

    def live(self, figure: str) -> None:
        """The tool reported a figure in the middle of a trial."""
        ...

    def finished(self, trial: Trial) -> None:
        """A trial ended."""
        ...

    def warn(self, text: str) -> None:
        """Something that the reader of the figures should know."""
        ...


@dataclass(frozen=True)
class Options:
    """How a run is made, beside its plan."""

    congestion_control: str = "cubic"
    keep: bool = False
    folders: tuple[Path, ...] = ()
    skip_unsupported: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a run's trials; `stolen_ratio` is the share of CPU time that a hypervisor gave to others."""

    ok: int
    failed: int
    invalid: int
    stolen_ratio: float = 0.0


@dataclass(frozen=True)
class Equipment:
    """What an experiment works with; tests put fakes here."""

    source: LabSource
    connect: Callable[[Node, Lab], Remote]
    playbooks: Callable[[Lab], Playbooks]
    interruption: Interruption
    observer: Observer


def run(
    plan: Plan, profiles: Mapping[str, Profile], folder: RunFolder, equipment: Equipment, options: Options
) -> Outcome:
    """Carry out a plan and return how its trials ended; every row is on disk by then.

    Whatever happens after the lab is up, the profiles are torn down (unless `keep`) and the lab is taken down.
    """
    observer = equipment.observer
    with ExitStack() as stack:
        observer.stage("bringing the lab up")
        if not options.keep:
            stack.push(_clean_up(equipment, equipment.source.down))
        lab = equipment.source.up()
        client = stack.enter_context(equipment.connect(lab.client, lab))
        server = stack.enter_context(equipment.connect(lab.server, lab))
        seen = environments(lab, (client, server))
        plan, profiles = supported(plan, profiles, (client, server), observer, skip=options.skip_unsupported)
        observer.planned(plan)
        playbooks = equipment.playbooks(lab)

        def teardown() -> None:
            observer.stage("tearing down")
            playbooks.run("teardown", plan.profiles, plan.mtus, options.folders, cancellable=False)

        if not options.keep:
            stack.push(_clean_up(equipment, teardown))
        observer.stage(f"setting up {', '.join(plan.profiles)}")
        playbooks.run("apply", plan.profiles, plan.mtus, options.folders)
        observer.stage("verifying")
        playbooks.run("verify", plan.profiles, plan.mtus, options.folders)
        return _measure(Scene(plan, profiles, lab, (client, server), seen), folder, observer, options)
    raise AssertionError("unreachable: the block returns or raises")


def _clean_up(
    equipment: Equipment, action: Callable[[], None]
) -> Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], bool]:
    """Return `action` as a step that Ctrl-C does not cut short, and whose failure does not hide an earlier one."""

    def step(_kind: type[BaseException] | None, earlier: BaseException | None, _trace: TracebackType | None) -> bool:
        with equipment.interruption.shielded():
            try:
                action()
            except HarnessError as error:
                if earlier is None:
                    raise
                equipment.observer.warn(f"cleaning up failed as well: {error}")
        return False

    return step


def supported(
    plan: Plan, profiles: Mapping[str, Profile], remotes: Sequence[Remote], observer: Observer, *, skip: bool
) -> tuple[Plan, Mapping[str, Profile]]:
    """Return plan and profiles without those that a node's kernel cannot make; LabError unless `skip`."""

    def can_make(kind: str) -> bool:
        tried = [remote.run(support.argv(kind)) for remote in remotes]
        return not any(support.is_refused(kind, done.exit_code, done.stderr) for done in tried)

    missing = support.lacking(profiles, can_make)
    texts = [f"{name} needs link type {' and '.join(kinds)}" for name, kinds in missing.items()]
    if not missing:
        return plan, profiles
    if not skip:
        raise LabError(
            f"the nodes' kernel cannot do this: {'; '.join(texts)}. "
            "Leave the profile out, give --skip-unsupported, or load the kernel module."
        )
    for text in texts:
        observer.warn(f"left out, for want of the kernel's help: {text}")
    kept = {name: profile for name, profile in profiles.items() if name not in missing}
    return replace(plan, profiles=tuple(kept)), kept


def environments(lab: Lab, remotes: tuple[Remote, Remote]) -> dict[str, dict[str, Any]]:
    """Return each node's environment by its name; LabError where a node lacks a measuring tool."""
    seen = {}
    for remote, node in zip(remotes, lab.nodes, strict=True):
        known = environment.parse(remote.run(environment.argv(node.device)).stdout)
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
    """Everything that is set up when the trials begin; `seen` is each node's environment by name."""

    plan: Plan
    profiles: Mapping[str, Profile]
    lab: Lab
    remotes: tuple[Remote, Remote]
    seen: Mapping[str, dict[str, Any]]


def _measure(scene: Scene, folder: RunFolder, observer: Observer, options: Options) -> Outcome:
    """Record the environment, then run every trial."""
    plan, profiles, lab, seen = scene.plan, scene.profiles, scene.lab, scene.seen
    described = describe(folder, plan, profiles, lab, seen, observer)
    runner = TrialRunner(folder.run_id, *scene.remotes, _conditions(plan, lab, seen, options), observer.live)
    try:
        outcome = _trials(plan, routes(plan, profiles, lab), folder, runner, observer)
    finally:
        runner.close()
    if outcome.stolen_ratio > STOLEN_RATIO:
        text = (
            f"a hypervisor gave {outcome.stolen_ratio:.0%} of the CPU time to others while trials ran; figures scatter"
        )
        observer.warn(text)
        folder.write_json("run.json", described | {"warnings": [*described["warnings"], text]})
    return outcome


def _trials(
    plan: Plan, ways: Mapping[tuple[str, int], Route], folder: RunFolder, runner: TrialRunner, observer: Observer
) -> Outcome:
    counts = dict.fromkeys(Status, 0)
    stolen = 0.0
    repeats = int(len(plan.slots) * REPEATED_RATIO)
    for number, slot in enumerate(plan.slots, 1):
        observer.started(slot, number)
        tried: list[tuple[Trial, Record]] = []
        while _again(tried, repeats):
            repeats -= bool(tried) and tried[-1][0].status is Status.OK
            trial, record = runner.run(slot, ways[slot.profile, slot.cell.mtu])
            name = folder.raw_name(slot, len(tried) + 1)
            folder.write_json(name, asdict(record))
            tried.append((replace(trial, raw=name), record))
        trial, record = _chosen(tried)
        folder.append(trial)
        counts[trial.status] += 1
        stolen += record.stolen_ratio
        observer.finished(trial)
    ratio = stolen / max(len(plan.slots), 1)
    return Outcome(counts[Status.OK], counts[Status.FAILED], counts[Status.INVALID], ratio)


def _again(tried: Sequence[tuple[Trial, Record]], repeats: int) -> bool:
    """Tell whether a trial is to be run (once more): it failed, or was measured while the CPU was taken away.

    How much CPU was taken away does not depend on what the trial measured, so repeating favours no figure.
    """
    if len(tried) in (0, ATTEMPTS):
        return not tried
    trial, record = tried[-1]
    return trial.status is Status.FAILED or (
        trial.status is Status.OK and record.stolen_ratio > DISTURBED_RATIO and repeats > 0
    )


def _chosen(tried: Sequence[tuple[Trial, Record]]) -> tuple[Trial, Record]:
    """Return the attempt that counts: of those with a figure the one that was disturbed least, else the last."""
    measured = [attempt for attempt in tried if attempt[0].status is Status.OK]
    trial, record = min(measured, key=lambda attempt: attempt[1].stolen_ratio) if measured else tried[-1]
    if len(tried) == 1:
        return trial, record
    if measured:
        worst = max(attempt[1].stolen_ratio for attempt in tried)
        why = f"{worst:.0%} of the CPU time was stolen" if len(measured) > 1 else tried[0][0].reason
        return replace(trial, reason=f"tried {len(tried)} times: {why}"), record
    return replace(trial, reason=f"{trial.reason} (tried {len(tried)} times)"), record


def routes(plan: Plan, profiles: Mapping[str, Profile], lab: Lab) -> dict[tuple[str, int], Route]:
    """Return where the traffic of each profile and MTU goes."""
    tunnels = {name: profile.tunnel for name, profile in profiles.items() if profile.tunnel}
    found = {}
    for name, profile in profiles.items():
        # A routed profile may name a tunnel as well: one that must stay idle.
        idle = [tunnel for owner, tunnel in tunnels.items() if owner != name or profile.kind is not Kind.TUNNEL]
        way = Way(
            kind=profile.kind,
            tunnel=profile.tunnel if profile.kind is Kind.TUNNEL else None,
            other_tunnels=tuple(idle),
            overhead=wire.overhead(profile.headers),
            least_overhead=wire.least_overhead(profile.headers),
            path_mtu=profile.path_mtu(plan.nic_mtu),
            nic_mtu=plan.nic_mtu,
        )
        for mtu in {*plan.mtus, plan.nic_mtu} if profile.kind is Kind.UNDERLAY else plan.mtus:
            client, server = (endpoint(profile, mtu, node, plan.mtus) for node in lab.nodes)
            found[name, mtu] = Route(client, server, lab.client.device, lab.server.device, way)
    return found


def _conditions(
    plan: Plan, lab: Lab, seen: Mapping[str, dict[str, Any]], options: Options
) -> Callable[[str, int], Conditions]:
    """Return what a tool's argv depends on, for a destination and a port."""
    version = seen[lab.client.name]["iperf3"] or "0"
    streaming = tuple(int(part) for part in version.split(".")[:2]) >= STREAMING_SINCE
    offered = lab.rate_bps * UDP_HEADROOM if lab.rate_bps else None

    def conditions(destination: str, port: int) -> Conditions:
        return Conditions(plan.timing, destination, port, options.congestion_control, offered, streaming)

    return conditions


def describe(
    folder: RunFolder,
    plan: Plan,
    profiles: Mapping[str, Profile],
    lab: Lab,
    seen: Mapping[str, dict[str, Any]],
    observer: Observer,
) -> dict[str, Any]:
    """Write run.json and environment.json, tell what the reader of the figures should know, return run.json."""
    warnings = [
        f"{name} is busy with something else (load {known['load_1min']} on {known['cpus']} CPUs); "
        "figures will scatter, let it finish first"
        for name, known in seen.items()
        if known["load_1min"] is not None and known["load_1min"] > BUSY_LOAD * int(known["cpus"] or 1)
    ]
    if lab.shared_kernel:
        warnings.append("both nodes share one kernel and its CPUs: CPU seconds are the whole machine's")
    if lab.name == "local" and lab.rate_bps is None:
        warnings.append("the link is not shaped: the figures are limited by the CPU, not by the headers")
    for text in warnings:
        observer.warn(text)
    folder.write_json("environment.json", dict(seen))
    described: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": folder.run_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "harness_version": harness.__version__,
        "lab": lab.name,
        "rate_bps": lab.rate_bps,
        "shared_kernel": lab.shared_kernel,
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
        },
        "profiles": {name: {"kind": profile.kind, "headers": profile.headers} for name, profile in profiles.items()},
        "versions": {
            tool: {name: known[tool] for name, known in seen.items()} for tool in ("iperf3", "ping", "kernel")
        },
        "warnings": warnings,
    }
    folder.write_json("run.json", described)
    return described
