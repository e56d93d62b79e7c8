"""Matches: the blocks in which both arms of a contrast have a figure, and what is sampled there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.model.metrics import Metric
from harness.model.path import PathState
from harness.report.arms import Arm, matched
from harness.report.tables import Table
from harness.truth import nested, stats, verdicts
from harness.truth.added import Added, paired_added
from harness.truth.shares import Difference, paired_difference


@dataclass(frozen=True)
class Match:
    """Figures of both arms in the blocks where both have one, in one path state each (None where none is known).

    `share` is how many blocks these are, of all in which both arms have a figure. `setups` are the set-ups that they
    are of, where the run has several.
    """

    ours: Sequence[float] = ()
    base: Sequence[float] = ()
    our_state: PathState | None = None
    base_state: PathState | None = None
    share: tuple[int, int] = (0, 0)
    setups: Sequence[int] = ()

    @classmethod
    def all_of(cls, ours: Arm, base: Arm, metric: Metric, setup_of: Mapping[int, int]) -> list[Match]:
        """Return one for each pair of states, the commonest first: figures of different states are never averaged."""
        found = matched(ours, base, metric)
        total = sum(len(one.blocks) for one in found)
        return [
            cls(
                one.ours.tolist(),
                one.base.tolist(),
                *one.states,
                share=(len(one.blocks), total),
                setups=[setup_of[block] for block in one.blocks.tolist()] if setup_of else (),
            )
            for one in found
        ] or [cls()]

    def ratio(self, steps: tuple[float, float]) -> stats.Ratio:
        """Return the ratio of both arms, its samples the blocks, or the set-ups of a run that has several.

        `steps` are those that the figures of each come in.
        """
        if self.setups:
            return nested.nested_ratio(self.ours, self.base, self.setups, steps)
        return stats.paired_ratio(self.ours, self.base, steps)

    def added(self, steps: tuple[float, float]) -> Added:
        """Return what our arm's figures are more than the baseline's, its samples as those of a ratio."""
        return paired_added(self.ours, self.base, self.setups, steps)

    def difference(self, tries: tuple[float, float]) -> Difference:
        """Return the difference of both arms' shares, which are of so many tries, its samples as those of a ratio."""
        if self.setups:
            return nested.nested_difference(self.ours, self.base, self.setups, tries)
        return paired_difference(self.ours, self.base, tries)

    @property
    def samples(self) -> int | None:
        """How many set-ups these are, where these are the samples."""
        return len(set(self.setups)) or None

    @property
    def refusal(self) -> verdicts.Verdict | None:
        """Why there can be no verdict, None where there can."""
        too_few = nested.refusal(self.samples) if self.samples else None
        return verdicts.refusal(len(self.ours)) or too_few


def setups_of(table: Table) -> Mapping[int, int]:
    """Return the set-up of each block of a run's trials, nothing where all are of one.

    A block in which a run was resumed counts with the set-up on which it was ended.
    """
    setups = table.whole["setup"]
    if (setups == setups[0]).all():
        return {}
    blocks = table.whole["block"]
    order = np.lexsort((setups, blocks))
    return dict(zip(blocks[order].tolist(), setups[order].tolist(), strict=True))
