"""What a run looks at between its blocks, never while a trial runs: how it stands, and whether it knows enough."""

from __future__ import annotations

from collections.abc import Callable

from harness.model.trial import Slot
from harness.results.meta import Ended
from harness.results.plan import Plan

LEAST_TO_LOOK_AT = 2
"""Blocks that have an interval."""

Look = Callable[[int], bool]
"""Looks at so many whole blocks, and tells whether their intervals are narrow enough to end a run that may end."""


class Until:
    """Watches the blocks of a run go by, and has them looked at; without a `look` it runs to its end unseen.

    `ended` is how a run ended that goes by its intervals, None until then. `block` is the one that it begins in.
    """

    def __init__(self, plan: Plan, look: Look | None, block: int = 1) -> None:
        self._plan = plan
        self._look = look
        self._block = block
        self.ended: Ended | None = None

    def wants(self, slot: Slot) -> bool:
        """Tell whether a trial is still wanted, when all before it are done."""
        if self._look is None or slot.block <= self._block:
            return True
        whole, self._block = self._block, slot.block
        if whole < LEAST_TO_LOOK_AT:
            return True
        is_narrow = self._look(whole)
        if self._plan.until_width is None or whole < self._plan.first_look or not is_narrow:
            return True
        self.ended = Ended(blocks=whole, narrow=True)
        return False

    def close(self) -> str:
        """Note how it ended, after the last trial, and return that in words; nothing for a run to its planned end."""
        if self._look is None or self._plan.until_width is None:
            return ""
        self.ended = self.ended or Ended(blocks=self._plan.blocks, narrow=self._look(self._plan.blocks))
        width = f"± {100 * self._plan.until_width:g} %"
        if self.ended.narrow:
            return f"enough after {self.ended.blocks} blocks: intervals are within {width}"
        return f"{self.ended.blocks} blocks are the most, and not all intervals are within {width}"
