"""The run: lab up, apply, verify, blocks of trials, teardown whatever happens, lab down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol

from harness.fabric import support
from harness.fabric.playbook import PlaybookResult
from harness.fabric.profiles import Profile
from harness.labs.base import Lab, LabSource
from harness.model.errors import HarnessError, LabError, PlaybookError, VerificationError
from harness.model.trial import Node, Slot, Status, Trial
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.results.store import RunFolder
from harness.run.interrupt import Interruption
from harness.run.scene import Scene, environments
from harness.run.trial import Record, Route, TrialRunner

ATTEMPTS = 2
"""A trial that fails is tried once more in its block."""
STOLEN_RATIO = 0.02
"""Share of CPU time given to others by a hypervisor above which the reader is told."""
DISTURBED_RATIO = 0.1
"""The same share within one trial above which it is measured once more, and the less disturbed one counts."""
REPEATED_RATIO = 0.05
"""Share of a run's trials that may be repeated for that reason."""


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
    """How a run is made, beside its plan; `warnings` is what its reader should know whatever is found on the nodes."""

    congestion_control: str = "cubic"
    keep: bool = False
    folders: tuple[Path, ...] = ()
    skip_unsupported: bool = False
    warnings: tuple[str, ...] = ()


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
        lab = bring_up(stack, equipment, options)
        client = stack.enter_context(equipment.connect(lab.client, lab))
        server = stack.enter_context(equipment.connect(lab.server, lab))
        seen = environments(lab, (client, server), plan.containers.engine)
        plan, profiles = supported(plan, profiles, (client, server), observer, skip=options.skip_unsupported)
        observer.planned(plan)
        set_up(stack, lab, plan, equipment, options)
        scene = Scene(plan, profiles, lab, (client, server), seen)
        return measure(scene, folder, observer, options, lambda: equipment.interruption.requested)
    raise AssertionError("unreachable: the block returns or raises")


def bring_up(stack: ExitStack, equipment: Equipment, options: Options) -> Lab:
    """Return the lab, which is up until the stack is left."""
    equipment.observer.stage("bringing the lab up")
    if not options.keep:
        stack.push(_clean_up(equipment, equipment.source.down))
    return equipment.source.up()


def set_up(stack: ExitStack, lab: Lab, plan: Plan, equipment: Equipment, options: Options) -> None:
    """Bring the profiles up on the lab's nodes and have them verified; they are torn down when the stack is left."""
    observer, playbooks = equipment.observer, equipment.playbooks(lab)
    where = f" on {' '.join(map(str, lab.pairs))}" if lab.pairs else ""

    def teardown() -> None:
        observer.stage(f"tearing down{where}")
        playbooks.run("teardown", plan.profiles, plan.mtus, options.folders, cancellable=False)

    if not options.keep:
        stack.push(_clean_up(equipment, teardown))
    observer.stage(f"setting up {', '.join(plan.profiles)}{where}")
    for text in playbooks.run("apply", plan.profiles, plan.mtus, options.folders).notes:
        observer.warn(text)
    observer.stage(f"verifying{where}")
    try:
        playbooks.run("verify", plan.profiles, plan.mtus, options.folders)
    except PlaybookError as error:
        raise VerificationError(f"the set-up does not do what its profile says: {error}") from error


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


def measure(
    scene: Scene, folder: RunFolder, observer: Observer, options: Options, cancelled: Callable[[], bool]
) -> Outcome:
    """Record the environment, then run every trial; KeyboardInterrupt, the trial under way undone, once `cancelled`."""
    warnings = [*options.warnings, *scene.warnings()]
    for text in warnings:
        observer.warn(text)
    folder.write_json("environment.json", dict(scene.seen))
    described = scene.description(folder.run_id) | {"warnings": warnings}
    folder.write_json("run.json", described)
    conditions = scene.conditions(options.congestion_control)
    runner = TrialRunner(folder.run_id, *scene.remotes, conditions, observer.live, cancelled)
    try:
        outcome = _trials(scene.plan, scene.routes(), folder, runner, observer)
    finally:
        runner.close()
    if outcome.stolen_ratio > STOLEN_RATIO:
        text = (
            f"a hypervisor gave {outcome.stolen_ratio:.0%} of the CPU time to others while trials ran; figures scatter"
        )
        observer.warn(text)
        folder.write_json("run.json", described | {"warnings": [*warnings, text]})
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
