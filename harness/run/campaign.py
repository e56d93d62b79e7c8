"""A run: the lab up once, then wave after wave of pairs set up, verified, measured and torn down.

A plan of several set-ups has each wave set up anew for every group of blocks: what a set-up happens to be like (how
flows hash, what lies where in memory) stays the same until it is made again. Two hosts are a campaign of one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Event

from harness.fabric.base import Paths
from harness.fabric.existing import ExistingProfile
from harness.fabric.profiles import Profile
from harness.labs.base import Lab
from harness.model.errors import HarnessError
from harness.model.notes import About, Note
from harness.model.pairs import Pair, Wave
from harness.results.plan import Plan
from harness.results.store import RunFolder
from harness.run.experiment import Observer, Outcome
from harness.run.pair_run import PairRun, Work
from harness.run.standing import Conduct, Equipment, chosen_pairs, grounded, standing, supported

PARALLEL_NOTE = Note(
    About.LAB,
    "pairs",
    "pairs measured at the same time share a switch, in the local lab the CPUs too",
    "figures are distorted; measured one after the other they are not",
)


@dataclass(frozen=True)
class End:
    """What became of a pair: the outcome of its trials so far, and what went wrong around them."""

    outcome: Outcome = field(default_factory=Outcome)
    error: HarnessError | None = None


Ends = Mapping[Pair, End]


@dataclass(frozen=True)
class Ledger:
    """Where a campaign's results go: a folder for each pair, and what is told of the whole as far as it is known.

    `stay` is told of the setup's profiles that are measured, before the first trial, where some are left out.
    """

    folder: Callable[[Pair], RunFolder]
    describe: Callable[[Lab, Ends], None] = lambda _lab, _ends: None
    stay: Callable[[Sequence[str]], None] = lambda _profiles: None


class Campaign:
    """Measures pairs; `observe` gives each its own observer, and the equipment's is told what concerns all of them.

    `ends` is how each pair ended so far.
    """

    def __init__(
        self, waves: Sequence[Wave], ledger: Ledger, equipment: Equipment, observe: Callable[[Pair], Observer]
    ) -> None:
        self._waves = tuple(waves)
        self._ledger = ledger
        self._equipment = equipment
        self._observe = observe
        self.ends: dict[Pair, End] = {}

    def run(self, plan: Plan, profiles: Mapping[str, Profile], conduct: Conduct) -> Outcome:
        """Carry the plan out for each pair and return what became of all trials; every row is on disk by then.

        Every host is connected to before anything is changed. From then on a pair that fails does not stop the others;
        what went wrong around its trials is raised once all of them had their turn.
        """
        equipment, ends = self._equipment, self.ends
        engine = plan.setup.containers.engine
        with grounded(equipment, self._waves, plan.measures, engine, keep=conduct.keep) as ground:
            self._waves = chosen_pairs(ground.lab, self._waves)
            if ground.lab.congestion_control is not None:
                plan = replace(plan, congestion_control=ground.lab.congestion_control)
            work = self._buildable(Work(plan, profiles, conduct, ground))
            if len(self._pairs) == 1:
                work = self._found(work, self._pairs[0])
            equipment.observer.planned(work.plan)
            try:
                self._ledger.describe(ground.lab, ends)  # before the first trial: a killed run's can be read
                for wave in self._waves:
                    self._wave(wave, work, ends)
            finally:
                self._ledger.describe(ground.lab, ends)
            error = failure(ends)
            if error is not None:
                raise error  # in here: should the lab not go down either, that must not hide it
        if equipment.interruption.requested:  # while something was shielded from it
            raise KeyboardInterrupt
        return total(ends)

    @property
    def _pairs(self) -> list[Pair]:
        return [pair for wave in self._waves for pair in wave]

    def _buildable(self, work: Work) -> Work:
        """Return what is done without the profiles that cannot be built; one that is to be found is not built."""
        if self._equipment.find is not None:
            return work
        setup = supported(
            work.plan.setup,
            work.profiles,
            [*work.ground.remotes.values()],
            self._equipment.observer,
            skip=work.conduct.skip_unsupported,
        )
        if setup.profiles != work.plan.setup.profiles:
            self._ledger.stay(setup.profiles)
        return replace(work, plan=work.plan.limited_to(setup.profiles, work.conduct.own_mtus))

    def _found(self, work: Work, pair: Pair) -> Work:
        """Return what is done with a pair, once the paths between it are found where they are to be."""
        equipment, ground = self._equipment, work.ground
        if equipment.find is None or any(isinstance(one, ExistingProfile) for one in work.profiles.values()):
            return work
        equipment.observer.stage(f"finding the path{f' {pair}' if len(self._pairs) > 1 else ''}")
        ground = replace(ground, lab=ground.lab.limited_to((pair,)))
        own = {path.name: ExistingProfile.of(path) for path in equipment.find(ground, pair)}
        first = next(iter(own.values())).path
        return replace(work, plan=work.plan.at_mtu(first.mtu, first.nic_mtu), profiles={**work.profiles, **own})

    def _wave(self, wave: Wave, work: Work, ends: dict[Pair, End]) -> None:
        """Measure the pairs of a wave on one set-up after the other; a failure is noted in `ends`, and ends it."""
        notes = (PARALLEL_NOTE,) if len(wave) > 1 else ()
        try:
            work = self._found(work, wave[0])
            runs = {pair: self._pair_run(pair, work, notes) for pair in wave}
            done = {pair: run for pair, run in runs.items() if run.is_done}
            for run in done.values():
                run.conclude()
            ends |= {pair: End(run.outcome) for pair, run in done.items()}
            for setup in range(1, work.plan.setups + 1):
                self._on_setup(setup, wave, runs, work, ends)
        except HarnessError as error:
            missing = [pair for pair in wave if pair not in ends]
            if len(self._pairs) > 1:
                names = " ".join(map(str, wave))
                self._equipment.observer.note(Note(About.SETUP, names, f"{names}: {error}"))
            if missing and len(wave) > 1:
                self._equipment.observer.stage("trying each of these pairs by itself")
                for pair in missing:
                    self._wave((pair,), work, ends)
                return
            ended = {pair: ends.get(pair, End()) for pair in wave}
            ends |= {pair: replace(end, error=end.error or error) for pair, end in ended.items()}

    def _on_setup(
        self, setup: int, wave: Wave, runs: Mapping[Pair, PairRun], work: Work, ends: dict[Pair, End]
    ) -> None:
        """Set a wave up, measure those of its pairs that nothing went wrong around so far, and tear it down."""
        equipment, plan = self._equipment, work.plan
        if equipment.interruption.requested:  # while something was shielded from it
            raise KeyboardInterrupt
        going = {
            pair: run for pair, run in runs.items() if ends.get(pair, End()).error is None and run.has_setup(setup)
        }
        if not going:
            return
        lab, keep = work.ground.lab.limited_to(wave), work.conduct.keep and setup == plan.setups
        turn = (setup, plan.setups)
        with standing(equipment, lab, work.profiles, plan.setup, keep=keep, turn=turn) as paths:
            if len(wave) == 1:
                ends[wave[0]] = _measured(
                    runs[wave[0]], setup, paths[wave[0]], lambda: equipment.interruption.requested
                )
            else:
                ends |= self._side_by_side(going, setup, paths)

    def _side_by_side(self, runs: Mapping[Pair, PairRun], setup: int, paths: Mapping[Pair, Paths]) -> dict[Pair, End]:
        """Measure pairs at the same time; when one of them is interrupted, or fails by a bug, the others stop, too."""
        interruption = self._equipment.interruption
        stop = Event()

        def cancelled() -> bool:
            return stop.is_set() or interruption.requested

        with ThreadPoolExecutor(len(runs), thread_name_prefix="pair") as pool:
            tasks = {pool.submit(_measured, run, setup, paths[pair], cancelled): pair for pair, run in runs.items()}
            try:
                ended, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                return {tasks[task]: task.result() for task in ended}
            except BaseException:
                stop.set()
                with interruption.shielded():
                    wait(tasks)
                raise

    def _pair_run(self, pair: Pair, work: Work, notes: tuple[Note, ...]) -> PairRun:
        plan = work.plan.of_pair(self._pairs.index(pair) + 1)
        folder, observer = self._ledger.folder(pair), self._observe(pair)
        return PairRun(pair, plan, replace(work, notes=notes), folder, observer)


def _measured(run: PairRun, setup: int, paths: Paths, cancelled: Callable[[], bool]) -> End:
    """Run the trials of one pair on one set-up."""
    try:
        run.run(setup, paths, cancelled)
    except HarnessError as error:
        return End(run.outcome, error)
    return End(run.outcome)


def failure(ends: Ends) -> HarnessError | None:
    """Return what went wrong around the trials of any pair, an error of the first one's class; None for nothing."""
    errors = {pair: end.error for pair, end in ends.items() if end.error}
    if not errors:
        return None
    if len(ends) == 1:
        return next(iter(errors.values()))
    return type(next(iter(errors.values())))("; ".join(f"{pair}: {error}" for pair, error in errors.items()))


def total(ends: Ends) -> Outcome:
    """Return what became of the trials of all pairs together."""
    outcomes = [end.outcome for end in ends.values()]
    return Outcome(*(sum(getattr(one, name) for one in outcomes) for name in ("ok", "failed", "invalid")))
