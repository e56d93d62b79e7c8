"""The search for the highest load with little loss: MLRsearch (draft-ietf-bmwg-mlrsearch), by its authors' package.

Imported only where a search is made: the package takes a tenth of a second to load, and Ansible loads the measures in
every process that it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from MLRsearch import AbstractMeasurer, Config, MeasurementResult, MultipleLossRatioSearch, SearchGoal

from harness.model.errors import ToolError


@dataclass(frozen=True)
class Goal:
    """What is searched for, between two loads in packets per second.

    Of the load that is found at most `loss_ratio` is lost, and one that is higher by `relative_width` loses more.
    Trials last `first_trials_s` to begin with and `last_trials_s` in the end; the search takes `limit_s` at most.
    """

    loss_ratio: float
    relative_width: float
    first_trials_s: float
    last_trials_s: float
    least_ps: float
    most_ps: float
    limit_s: float


Tried = tuple[float, int, int, int]
"""How one trial went: its seconds, and packets that were to be sent, that were sent, and that were lost of these."""
Try = Callable[[float, float], Tried]
"""Makes one trial of so many seconds at a load in packets per second."""


class _Measurer(AbstractMeasurer):  # type: ignore[misc] # the package has no annotations
    def __init__(self, try_load: Try) -> None:
        self._try = try_load

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        """Return what a trial gave, in the package's words."""
        seconds, intended, sent, lost = self._try(intended_duration, intended_load)
        return MeasurementResult(
            intended_duration=intended_duration,
            offered_duration=seconds,
            intended_load=intended_load,
            offered_count=sent,
            loss_count=lost,
            intended_count=intended,
        )


def bounds(goal: Goal, try_load: Try) -> tuple[float | None, float | None]:
    """Return the highest load that does not lose too much, and the lowest one that does; None where there is none.

    Raises ToolError where the search does not come to an end.
    """
    wanted = SearchGoal(
        loss_ratio=goal.loss_ratio,
        exceed_ratio=0.0,
        relative_width=goal.relative_width,
        initial_trial_duration=goal.first_trials_s,
        final_trial_duration=goal.last_trials_s,
        duration_sum=goal.last_trials_s,
        preceding_targets=2,
        expansion_coefficient=2,
        fail_fast=False,  # else a RuntimeError where even the lowest load loses too much
    )
    config = Config(
        goals=[wanted],
        min_load=goal.least_ps,
        max_load=goal.most_ps,
        search_duration_max=goal.limit_s,
        warmup_duration=None,
    )
    try:
        result = MultipleLossRatioSearch(config=config).search(measurer=_Measurer(try_load))[wanted]
    except RuntimeError as error:
        raise ToolError(f"the search for the rate failed: {error}") from error
    lower, upper = result.relevant_lower_bound, result.relevant_upper_bound
    return (float(lower) if lower else None, float(upper) if upper else None)
