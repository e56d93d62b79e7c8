"""A run of several pairs of hosts: the lab up once, then wave after wave set up, verified, measured and torn down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from harness.fabric.profiles import Profile
from harness.labs.base import Lab
from harness.model.errors import HarnessError
from harness.model.pairs import PARALLEL_WARNING, Pair, Wave
from harness.model.trial import SCHEMA_VERSION
from harness.nodes.remote import Remote
from harness.results.plan import Plan
from harness.results.store import PairsFolder
from harness.run.experiment import Equipment, Observer, Options, Outcome, bring_up, measure, set_up, supported
from harness.run.scene import Scene, environments


@dataclass(frozen=True)
class End:
    """What became of a pair: its outcome once all its trials were run, and what went wrong around them."""

    outcome: Outcome | None = None
    error: HarnessError | None = None


@dataclass(frozen=True)
class _Work:
    """What is done with every pair, and the lab with each node of any pair connected and its environment read."""

    plan: Plan
    profiles: Mapping[str, Profile]
    options: Options
    lab: Lab
    remotes: Mapping[str, Remote]
    seen: Mapping[str, dict[str, Any]]


class Campaign:
    """Measures pairs; `observe` gives each its own observer, and the equipment's is told what concerns all of them."""

    def __init__(
        self, waves: Sequence[Wave], folder: PairsFolder, equipment: Equipment, observe: Callable[[Pair], Observer]
    ) -> None:
        self._waves = waves
        self._folder = folder
        self._equipment = equipment
        self._observe = observe
        self._hosts = {name for pair in folder.runs for name in pair.hosts}
        self._number = {pair: number for number, pair in enumerate(folder.runs, 1)}

    def run(self, plan: Plan, profiles: Mapping[str, Profile], options: Options) -> dict[Pair, End]:
        """Carry the plan out for each pair and return how each ended; every row is on disk by then.

        Every host is connected to before anything is changed. From then on a pair that fails does not stop the others.
        """
        equipment = self._equipment
        ends: dict[Pair, End] = {}
        with ExitStack() as stack:
            lab = bring_up(stack, equipment, options)
            chosen = [node for node in lab.nodes if node.name in self._hosts]
            remotes = {node.name: stack.enter_context(equipment.connect(node, lab)) for node in chosen}
            # Read once, before the first trial: later a node's load would be that of its own earlier trials.
            seen = environments(lab, [*remotes.values()], plan.containers.engine)
            plan, profiles = supported(
                plan, profiles, [*remotes.values()], equipment.observer, skip=options.skip_unsupported
            )
            equipment.observer.planned(plan)
            try:
                self._describe(lab, ends)  # before the first trial: what a killed run measured can be read
                for wave in self._waves:
                    self._wave(wave, _Work(plan, profiles, options, lab, remotes, seen), ends)
            finally:
                self._describe(lab, ends)
        return ends

    def _describe(self, lab: Lab, ends: Mapping[Pair, End]) -> None:
        """Write pairs.json as far as is known."""
        self._folder.write_json(
            {
                "schema_version": SCHEMA_VERSION,
                "run_id": self._folder.path.name,
                "hosts": [node.name for node in lab.nodes if node.name in self._hosts],
                "waves": [[str(pair) for pair in wave] for wave in self._waves],
                "errors": {str(pair): str(end.error) for pair, end in ends.items() if end.error},
            }
        )

    def _wave(self, wave: Wave, work: _Work, ends: dict[Pair, End]) -> None:
        """Set a wave up, measure its pairs and tear it down; a failure is noted in `ends`."""
        if self._equipment.interruption.requested:  # while something was shielded from it
            raise KeyboardInterrupt
        try:
            with ExitStack() as stack:
                set_up(stack, work.lab.limited_to(wave), work.plan, self._equipment, work.options)
                if len(wave) == 1:
                    ends[wave[0]] = self._measured(wave[0], work, lambda: self._equipment.interruption.requested)
                else:
                    ends |= self._side_by_side(wave, work)
        except HarnessError as error:
            missing = [pair for pair in wave if pair not in ends]
            self._equipment.observer.warn(f"{' '.join(map(str, wave))}: {error}")
            if missing and len(wave) > 1:
                self._equipment.observer.stage("trying each of these pairs by itself")
                for pair in missing:
                    self._wave((pair,), work, ends)
                return
            known = {pair: ends.get(pair, End()) for pair in wave}
            ends |= {pair: replace(end, error=end.error or error) for pair, end in known.items()}

    def _side_by_side(self, wave: Wave, work: _Work) -> dict[Pair, End]:
        """Measure pairs at the same time; when one of them is interrupted, or fails by a bug, the others stop, too."""
        interruption = self._equipment.interruption
        work = replace(work, options=replace(work.options, warnings=(*work.options.warnings, PARALLEL_WARNING)))
        stop = Event()

        def cancelled() -> bool:
            return stop.is_set() or interruption.requested

        with ThreadPoolExecutor(len(wave), thread_name_prefix="pair") as pool:
            tasks = {pool.submit(self._measured, pair, work, cancelled): pair for pair in wave}
            try:
                ended, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                return {tasks[task]: task.result() for task in ended}
            except BaseException:
                stop.set()
                with interruption.shielded():
                    wait(tasks)
                raise

    def _measured(self, pair: Pair, work: _Work, cancelled: Callable[[], bool]) -> End:
        """Run the trials of one pair."""
        client, server = (work.remotes[name] for name in pair.hosts)
        scene = Scene(
            work.plan.of_pair(self._number[pair]),
            work.profiles,
            work.lab.limited_to((pair,)),
            (client, server),
            {name: work.seen[name] for name in pair.hosts},
        )
        try:
            return End(measure(scene, self._folder.runs[pair], self._observe(pair), work.options, cancelled))
        except HarnessError as error:
            return End(error=error)


def failure(ends: Mapping[Pair, End]) -> HarnessError | None:
    """Return what went wrong around the trials of any pair, an error of the first one's class; None for nothing."""
    errors = {pair: end.error for pair, end in ends.items() if end.error}
    if not errors:
        return None
    return type(next(iter(errors.values())))("; ".join(f"{pair}: {error}" for pair, error in errors.items()))


def total(ends: Mapping[Pair, End]) -> Outcome:
    """Return what became of the trials of all pairs together."""
    outcomes = [end.outcome for end in ends.values() if end.outcome]
    return Outcome(*(sum(getattr(one, name) for one in outcomes) for name in ("ok", "failed", "invalid")))
