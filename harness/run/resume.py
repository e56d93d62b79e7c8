"""Going on with a run that ended early: what is left of its plan, and whether what it stands on is still the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.trial import Slot
from harness.results.differences import Difference, Surroundings, differences
from harness.results.earlier import Done, Earlier, Place
from harness.results.meta import RunMeta, as_read, meta_as_read
from harness.results.plan import Plan
from harness.run.repeats import Repeats

NEW_SETUP = "what was measured since stands on a set-up of its own"


@dataclass(frozen=True)
class Rest:
    """What is left of a plan: `first` is the trial that it is gone on with, None where all were measured."""

    first: Slot | None
    done: Mapping[Place, Done] = field(default_factory=dict)

    @property
    def earlier_setups(self) -> int:
        """By how much the numbers of set-ups are higher from now on: each resumption is one more."""
        if self.first is None or not self.done:
            return 0
        return max(done.setup for done in self.done.values()) + 1 - self.first.setup

    @property
    def block(self) -> int:
        """The block in which the last trial was measured, 1 where none was."""
        return max((block for block, _, _ in self.done), default=1)

    def has_setup(self, setup: int) -> bool:
        """Tell whether anything is left to be measured on one of the plan's set-ups."""
        return self.first is not None and self.first.setup <= setup


def rest_of(plan: Plan, earlier: Earlier | None) -> Rest:
    """Return what is left of a plan, groups that are to be measured once more with it."""
    if earlier is None:
        return Rest(plan.slots[0])
    return Rest(replay(Repeats(plan.slots), plan.slots, earlier.done), earlier.done)


def replay(repeats: Repeats, slots: Iterable[Slot], done: Mapping[Place, Done]) -> Slot | None:
    """Give trials their turns as they had them, and return the first one that had none."""
    for turn in repeats.turns(enumerate(slots, 1)):
        own = done.get(turn.place)
        if own is None:
            return turn.slot
        repeats.measured(turn, own.stolen_ratio)
    return None


def resumed(
    earlier: Earlier, now: RunMeta, environments: Mapping[str, Mapping[str, Any]], *, accept_differences: bool
) -> RunMeta:
    """Return run.json of a run that is gone on with; InputError where that would mix figures of different things.

    `now` is what it would be as a new run. With `accept_differences` what differs becomes a note, unless it is the
    plan: trials of two plans have no common order.
    """
    meta, now = earlier.meta, meta_as_read(now)
    plan, planned = now.plan.to_json(), meta.plan.to_json()
    if plan != planned:
        keys = [key for key, value in plan.items() if value != planned[key]]
        raise InputError(
            f"{meta.run_id} cannot be resumed: its command makes another plan now ({', '.join(keys)}); start it anew."
        )
    then = Surroundings(meta, earlier.environment)
    found = differences([then], [Surroundings(now, as_read(environments))])
    if found and not accept_differences:
        raise InputError(
            f"{meta.run_id} cannot be resumed as it was begun: {'; '.join(map(_worded, found))}. Make it as it was, or "
            "give --accept-differences, which says so in the result."
        )
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    fact = f"resumed at {stamp} after {earlier.slots} of {meta.plan.trials} trials"
    notes = [Note(About.RESUMED, stamp, fact, NEW_SETUP)]
    notes += [Note(About.RESUMED, one.what, f"{_worded(one)}, since {stamp}") for one in found]
    return meta.model_copy(
        update={
            "notes": tuple(dict.fromkeys([*meta.notes, *notes, *now.notes])),
            "resumed_at": (*meta.resumed_at, stamp),
            "ended": None,
        }
    )


def _worded(difference: Difference) -> str:
    before, after = (" or ".join(side) or "not known" for side in (difference.a, difference.b))
    return f"{difference.what} was {before} and is {after}"
