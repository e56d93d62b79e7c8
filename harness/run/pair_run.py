"""The trials of one pair on one set-up after the other, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.fabric.base import Paths
from harness.fabric.profiles import Profile
from harness.model.notes import About, Note
from harness.model.pairs import Pair
from harness.model.trial import Slot
from harness.results.meta import RunMeta
from harness.results.plan import Plan
from harness.results.store import RunFolder
from harness.run import both_ways
from harness.run.conditions import conditions_of, meta_of, notes_of
from harness.run.experiment import Observer, Outcome, Part, describe, measure, outcome_of, stolen_note
from harness.run.repeats import Repeats
from harness.run.resume import replay, rest_of, resumed
from harness.run.stage import Meters
from harness.run.standing import Conduct, Ground
from harness.run.trial import FIRST_PORT, PORTS, Surroundings
from harness.run.until import Until

NEIGHBOURS_NOTE = Note(
    About.LAB,
    "neighbours",
    "another local lab was in use meanwhile, on the same CPUs",
    "figures are distorted; measured by itself they are not",
)


@dataclass(frozen=True)
class Work:
    """What is done with every pair, and the ground that all of them stand on; `notes` concern all of their figures."""

    plan: Plan
    profiles: Mapping[str, Profile]
    conduct: Conduct
    ground: Ground
    notes: tuple[Note, ...] = ()


class PairRun:
    """Measures one pair by a plan of its own, as part of the work of a campaign.

    `outcome` is what became of its trials so far.
    """

    def __init__(
        self,
        pair: Pair,
        plan: Plan,
        work: Work,
        folder: RunFolder,
        observer: Observer,
    ) -> None:
        self._plan = plan
        self._lab = work.ground.lab.limited_to((pair,))
        self._remotes = work.ground.of_pair(pair)
        self._environments = {name: work.ground.environments[name] for name in pair.hosts}
        self._folder = folder
        self._observer = observer
        self._meta = self._described(work)
        self._notes = self._meta.notes
        self._ports = _Ports(FIRST_PORT + PORTS)
        look = work.conduct.look
        self._has_neighbours = False
        self._rest = rest_of(plan, folder.earlier)
        self._until = Until(plan, None if look is None else lambda blocks: look(folder.path, blocks), self._rest.block)
        self._repeats = Repeats(plan.slots)
        self._link_bps = folder.earlier.meta.underlay_bps if folder.earlier else None
        self.outcome = self._skipped()

    def _described(self, work: Work) -> RunMeta:
        """Return what run.json says before the first trial; InputError for a run that cannot be resumed."""
        folder, plan, seen = self._folder, self._plan, self._environments
        notes = (*work.notes, *notes_of(plan, work.profiles, self._lab, seen))
        meta = meta_of(folder.run_id, plan, work.profiles, self._lab, seen, folder.columns)
        meta = meta.model_copy(update={"notes": notes, "command": work.conduct.command})
        if folder.earlier is None:
            return meta
        return resumed(folder.earlier, meta, seen, accept_differences=work.conduct.accept_differences)

    def _skipped(self) -> Outcome:
        """Give the trials of set-ups on which nothing is left their turns, and return what became of them."""
        rest = self._rest
        slots = [slot for slot in self._plan.slots if not rest.has_setup(slot.setup)]
        replay(self._repeats, slots, rest.done)
        last = {place[:2]: done for place, done in sorted(rest.done.items())}
        return outcome_of([last[slot.block, slot.position] for slot in slots])

    def has_setup(self, setup: int) -> bool:
        """Tell whether anything is left to be measured on a set-up."""
        return self._rest.has_setup(setup)

    @property
    def is_done(self) -> bool:
        """Whether all was measured before already."""
        return self._rest.first is None

    def conclude(self) -> None:
        """Say in run.json that a run which only lacked its end is complete."""
        self._describe(self._notes, is_complete=True)

    def run(self, setup: int, paths: Paths, cancelled: Callable[[], bool]) -> None:
        """See that data moves both ways on a set-up that is up, then run its trials.

        What belongs to the set-up is made anew on each: paths, the second of data, the nodes' states.
        """
        if self._rest.first is not None and setup == self._rest.first.setup:
            self._begin()
        plan, lab, remotes = self._plan, self._lab, self._remotes
        make = conditions_of(plan, lab, self._environments, self._link_bps)
        if both_ways.is_wanted(plan):
            self._observer.stage("moving a second of data each way")
            both_ways.require_both_ways(plan, paths, remotes, make, self._ports.next, cancelled)
        shares = any(str(cell.get("udp_rate")).endswith("%") for cell in plan.cells)
        if (
            shares and lab.rate_bps is None and self._link_bps is None
        ):  # once: a cell is offered the same on each set-up
            self._observer.stage("finding the rate of the underlay")
            self._link_bps = both_ways.underlay_bps(plan, paths, remotes, make, self._ports.next)
            self._describe(self._notes)
            make = conditions_of(plan, lab, self._environments, self._link_bps)
        surroundings = Surroundings(
            self._folder.run_id,
            make,
            Meters(lab.foreign_cpu_s, lab.link_bytes),
            cancelled=cancelled,
            wanted=self._wants,
            guarded=lab.has_strangers,
        )
        self.outcome += measure(
            plan,
            paths,
            remotes,
            self._folder,
            surroundings,
            self._observer,
            Part(setup, self._repeats, self._rest.done, self._rest.earlier_setups),
        )
        self._end(is_last=setup == plan.setups)

    def _wants(self, slot: Slot) -> bool:
        """Tell whether a trial is still wanted; on the way, look who else uses these CPUs."""
        self._look_around()
        return self._until.wants(slot)

    def _look_around(self) -> None:
        """Note once that another local lab is in use."""
        if not self._has_neighbours and self._lab.neighbours():
            self._has_neighbours = True
            self._notes = (*self._notes, NEIGHBOURS_NOTE)
            self._observer.note(NEIGHBOURS_NOTE)
            self._describe(self._notes)

    def _begin(self) -> None:
        for note in self._notes:
            self._observer.note(note)
        self._describe(self._notes)

    def _end(self, *, is_last: bool) -> None:
        """Note what is known once the trials of a set-up are done."""
        self._look_around()
        how = self._until.close() if is_last else ""
        if how:
            self._observer.stage(how)
        stolen = stolen_note(self.outcome)
        if stolen is not None and is_last:
            self._observer.note(stolen)
        if stolen is not None or is_last:
            self._describe((*self._notes, stolen) if stolen else self._notes, is_complete=is_last)

    def _describe(self, notes: Sequence[Note], *, is_complete: bool = False) -> None:
        update: dict[str, Any] = {"notes": tuple(notes), "ended": self._until.ended, "complete": is_complete}
        if self._link_bps is not None:
            update["underlay_bps"] = self._link_bps
        earlier = self._folder.earlier  # what the nodes were is what they were at the beginning; differences are noted
        environments = self._environments if earlier is None else earlier.environment
        describe(self._folder, self._meta.model_copy(update=update), environments)


class _Ports:
    """Ports in a row, for what is no trial."""

    def __init__(self, first: int) -> None:
        self._last = first

    def next(self) -> int:
        """Return the next one."""
        self._last += 1
        return self._last
