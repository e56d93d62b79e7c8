"""What is measured once more: whole groups of trials, in which a hypervisor gave the nodes' CPU time to others.

A group is every trial of one block that is set against another: all profiles, MTUs and states of the nodes. How much
time is taken away follows from how much is asked for, so a profile that needs more CPU loses more. Therefore no single
trial is repeated and no attempt is chosen: the group is measured again as a whole, at the end of its block, and the
second attempt counts whatever comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.measures.registry import grouping, title_of
from harness.model.trial import Cell, Slot
from harness.results.earlier import Place

DISTURBED_RATIO = 0.1
"""Share of the CPU time within one trial above which its group is measured once more."""
BLOCKS_EACH = 5
"""One block of so many may have groups that are measured once more, all of it that need it."""


@dataclass(frozen=True)
class Turn:
    """A trial whose turn it is: its place in the plan, from 1, and the attempt of its group, from 1.

    `why` is said before a group is measured once more.
    """

    number: int
    slot: Slot
    attempt: int = 1
    why: str = ""

    @property
    def place(self) -> Place:
        """Where it stands in the plan."""
        return self.slot.block, self.slot.position, self.attempt


class Repeats:
    """Gives a plan's trials their turns, and groups that were disturbed a second one; `slots` are those of the plan."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._last = {slot.block: slot.position for slot in slots}
        self._stolen: dict[Cell, float] = {}
        self._repeated = 0

    def turns(self, numbered: Iterable[tuple[int, Slot]]) -> Iterator[Turn]:
        """Yield the trials in their order; after the last one of a block, its groups that are to be repeated.

        The next block is not asked for before that.
        """
        block: dict[Cell, list[tuple[int, Slot]]] = {}
        for number, slot in numbered:
            block.setdefault(grouping(slot.cell)[0], []).append((number, slot))
            yield Turn(number, slot)
            if slot.position == self._last[slot.block]:
                yield from self._again(slot.block, block)
                block, self._stolen = {}, {}

    def measured(self, turn: Turn, stolen_ratio: float) -> None:
        """Take in which share of the CPU time was given to others during a trial."""
        if turn.attempt == 1:
            group = grouping(turn.slot.cell)[0]
            self._stolen[group] = max(self._stolen.get(group, 0.0), stolen_ratio)

    def _again(self, block: int, groups: dict[Cell, list[tuple[int, Slot]]]) -> Iterator[Turn]:
        disturbed = [group for group in groups if self._stolen.get(group, 0.0) > DISTURBED_RATIO]
        if not disturbed or self._repeated >= -(-block // BLOCKS_EACH):
            return
        self._repeated += 1
        for group in disturbed:
            what, share = title_of(group).strip(), f"{self._stolen[group]:.0%}"
            why = f"block {block}: {what} once more, up to {share} of the CPU time was given to others"
            for place, (number, slot) in enumerate(groups[group]):
                yield Turn(number, slot, 2, why if not place else "")
