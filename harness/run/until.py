"""The end of a run that goes on until it knows enough: looked for between blocks only, never while a trial runs."""

from __future__ import annotations

from collections.abc import Callable

from harness.model.trial import Slot
from harness.results.meta import Ended
from harness.results.plan import Plan
from harness.truth.verdicts import FIRST_LOOK


class Until:
    """Watches the blocks of a run go by; `enough` tells whether those so far will do, None: it runs to its end.

    `ended` is how it ended, None until then.
    """

    def __init__(self, plan: Plan, enough: Callable[[], bool] | None) -> None:
        self._plan = plan
        self._enough = enough
        self._block = 1
        self.ended: Ended | None = None

    def wants(self, slot: Slot) -> bool:
        """Tell whether a trial is still wanted, when all before it are done."""
        if self._enough is None or slot.block == self._block:
            return True
        whole, self._block = self._block, slot.block
        if whole < FIRST_LOOK or not self._enough():
            return True
        self.ended = Ended(blocks=whole, narrow=True)
        return False

    def close(self) -> str:
        """Note how it ended, after the last trial, and return that in words; nothing for a run to its planned end."""
        if self._enough is None:
            return ""
        self.ended = self.ended or Ended(blocks=self._plan.blocks, narrow=self._enough())
        width = f"± {100 * (self._plan.until_width or 0):g} %"
        if self.ended.narrow:
            return f"enough after {self.ended.blocks} blocks: intervals are within {width}"
        return f"{self.ended.blocks} blocks are the most, and not all intervals are within {width}"
