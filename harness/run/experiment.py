"""Every trial of one pair's plan on one set-up: each is on disk before the next one starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from harness.fabric.base import Paths, Progress
from harness.model.notes import About, Note
from harness.model.path import Path
from harness.model.trial import Slot, Status, Trial
from harness.nodes.remote import Remote
from harness.results.earlier import Done, Place
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, RunMeta
from harness.results.plan import Plan
from harness.results.store import RunFolder
from harness.run.node_states import NodeStates, sites_of
from harness.run.repeats import Repeats
from harness.run.trial import PORTS, Surroundings, TrialRunner

TRIES = 2
"""A trial that fails is tried once more, at once."""
STOLEN_RATIO = 0.02
"""Share of CPU time given to others by a hypervisor above which the reader is told."""


class Observer(Progress, Protocol):
    """Who is told how the trials of a pair go."""

    def started(self, slot: Slot, number: int) -> None:
        """A trial begins; numbers count from 1."""
        ...

    def live(self, figure: str) -> None:
        """A measure reported a figure in the middle of a trial."""
        ...

    def finished(self, trial: Trial) -> None:
        """A trial ended."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a run's trials, those that count; `stolen_ratio` is the share of CPU time given to others."""

    ok: int = 0
    failed: int = 0
    invalid: int = 0
    stolen_ratio: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        """Return what became of the trials of both; shares count by their trials."""
        counts = [one.ok + one.failed + one.invalid for one in (self, other)]
        stolen = self.stolen_ratio * counts[0] + other.stolen_ratio * counts[1]
        return Outcome(
            self.ok + other.ok, self.failed + other.failed, self.invalid + other.invalid, stolen / max(sum(counts), 1)
        )


@dataclass(frozen=True)
class Part:
    """The part of a plan that is measured on one set-up, from 1; what is repeated is reckoned over the whole run.

    `done` are trials that the run had measured before it was resumed; by so many set-ups as `earlier_setups` tells,
    those that it is measured on now have higher numbers than the plan says.
    """

    setup: int
    repeats: Repeats
    done: Mapping[Place, Done] = field(default_factory=dict)
    earlier_setups: int = 0


def describe(folder: RunFolder, meta: RunMeta, environments: Mapping[str, object]) -> None:
    """Write what a run is, before its first trial and once more when all is known of it."""
    folder.write_json(ENVIRONMENT_FILE, environments)
    folder.write_json(RUN_FILE, meta.to_json())


def measure(
    plan: Plan,
    paths: Paths,
    remotes: tuple[Remote, Remote],
    folder: RunFolder,
    surroundings: Surroundings,
    observer: Observer,
    part: Part,
) -> Outcome:
    """Run every trial of a set-up; KeyboardInterrupt, the trial under way undone, once the surroundings are cancelled.

    Ports go on from one set-up to the next: those of the last one's trials may not be free again yet.
    """
    ports = PORTS * (part.setup - 1) // plan.setups
    runner = TrialRunner(*remotes, replace(surroundings, on_live=observer.live), ports)
    try:
        with NodeStates(sites_of(paths, remotes, plan.setup.profiles)) as states:
            states.try_all(plan.cells)
            return _trials(plan, part, paths, folder, runner, states, observer)
    finally:
        runner.close()


def stolen_note(outcome: Outcome) -> Note | None:
    """Return what is to be said of CPU time that was taken away, None where it was too little to matter."""
    if outcome.stolen_ratio <= STOLEN_RATIO:
        return None
    share = f"{outcome.stolen_ratio:.0%}"
    text = f"a hypervisor gave {share} of the CPU time to others while trials ran; figures scatter"
    return Note(About.STOLEN, "", text, value=outcome.stolen_ratio)


def _trials(
    plan: Plan,
    part: Part,
    paths: Paths,
    folder: RunFolder,
    runner: TrialRunner,
    states: NodeStates,
    observer: Observer,
) -> Outcome:
    slots = [slot for slot in plan.slots if slot.setup == part.setup]
    first = 1 + sum(slot.setup < part.setup for slot in plan.slots)
    counted: dict[Slot, Done] = {}
    for turn in part.repeats.turns(enumerate(runner.wanted(slots), first)):
        done = part.done.get(turn.place)
        if done is None:
            if turn.attempt == 1:
                observer.started(turn.slot, turn.number)
            elif turn.why:
                observer.stage(turn.why)
            states.enter(turn.slot.cell)
            slot = replace(turn.slot, setup=turn.slot.setup + part.earlier_setups)
            trial = _tried(slot, turn.attempt, paths[slot.profile, slot.cell.mtu], folder, runner)
            if trial.status is Status.FAILED:
                runner.await_nodes()  # where one is gone, this trial is one of those that a resumed run has left
            folder.append(trial)
            done = Done(slot.setup, trial.status, float(trial.figures.get("stolen_ratio", 0.0)))
            observer.finished(trial)
        part.repeats.measured(turn, done.stolen_ratio)
        counted[turn.slot] = done
    return outcome_of(counted.values())


def outcome_of(counted: Collection[Done]) -> Outcome:
    """Return what became of trials, those that count."""
    counts = Counter(done.status for done in counted)
    stolen = sum(done.stolen_ratio for done in counted) / max(len(counted), 1)
    return Outcome(counts[Status.OK], counts[Status.FAILED], counts[Status.INVALID], stolen)


def _tried(slot: Slot, attempt: int, path: Path, folder: RunFolder, runner: TrialRunner) -> Trial:
    """Run a trial, once more where it fails, and return the last of these; each one's record is kept."""
    reasons: list[str] = []
    for tries in range(1, TRIES + 1):
        trial, record = runner.run(slot, path, attempt)
        name = folder.raw_name(slot, attempt, tries)
        folder.write_json(name, asdict(record))
        trial = replace(trial, raw=name)
        reasons.append(trial.reason)
        if trial.status is not Status.FAILED:
            break
    if len(reasons) == 1:
        return trial
    number = f"tried {len(reasons)} times"
    reason = f"{number}: {reasons[0]}" if trial.status is Status.OK else f"{trial.reason} ({number})"
    return replace(trial, reason=reason)
