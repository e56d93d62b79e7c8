"""Every trial of one pair's plan: each is on disk before the next one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from harness.fabric.base import Paths
from harness.model.notes import About, Note
from harness.model.trial import Slot, Status, Trial
from harness.nodes.remote import Remote
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, RunMeta
from harness.results.plan import Plan
from harness.results.store import RunFolder
from harness.run.node_states import NodeStates, sites_of
from harness.run.stage import Record
from harness.run.trial import Surroundings, TrialRunner

ATTEMPTS = 2
"""A trial that fails is tried once more in its block."""
STOLEN_RATIO = 0.02
"""Share of CPU time given to others by a hypervisor above which the reader is told."""
DISTURBED_RATIO = 0.1
"""The same share within one trial above which it is measured once more, and the less disturbed one counts."""
REPEATED_RATIO = 0.05
"""Share of a run's trials that may be repeated for that reason."""


class Observer(Protocol):
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

    def stage(self, text: str) -> None:
        """Something other than a trial begins."""
        ...

    def note(self, note: Note) -> None:
        """Something that the reader of the figures should know."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a run's trials; `stolen_ratio` is the share of CPU time that a hypervisor gave to others."""

    ok: int
    failed: int
    invalid: int
    stolen_ratio: float = 0.0


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
) -> Outcome:
    """Run every trial; KeyboardInterrupt, the trial under way undone, once the surroundings are cancelled."""
    runner = TrialRunner(*remotes, replace(surroundings, on_live=observer.live))
    try:
        with NodeStates(sites_of(paths, remotes, plan.setup.profiles)) as states:
            states.try_all(plan.cells)
            return _trials(plan, paths, folder, runner, states, observer)
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
    plan: Plan, paths: Paths, folder: RunFolder, runner: TrialRunner, states: NodeStates, observer: Observer
) -> Outcome:
    counts = dict.fromkeys(Status, 0)
    stolen = 0.0
    repeats = int(len(plan.slots) * REPEATED_RATIO)
    for number, slot in enumerate(runner.wanted(plan.slots), 1):
        observer.started(slot, number)
        states.enter(slot.cell)
        tried: list[tuple[Trial, Record]] = []
        while _again(tried, repeats):
            repeats -= bool(tried) and tried[-1][0].status is Status.OK
            trial, record = runner.run(slot, paths[slot.profile, slot.cell.mtu])
            name = folder.raw_name(slot, len(tried) + 1)
            folder.write_json(name, asdict(record))
            tried.append((replace(trial, raw=name), record))
        trial, record = _chosen(tried)
        folder.append(trial)
        counts[trial.status] += 1
        stolen += record.stolen_ratio
        observer.finished(trial)
    ratio = stolen / max(sum(counts.values()), 1)
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
