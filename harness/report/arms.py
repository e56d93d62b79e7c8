"""Arms: the trials of one profile in one cell, which contrasts set against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pandas as pd

from harness.measures.metrics import METRICS, NODE_METRICS
from harness.measures.registry import MEASURES
from harness.model.metrics import Facts, Metric
from harness.model.path import PathState
from harness.model.trial import Cell, Status
from harness.report.trials import Trials
from harness.results.meta import RunMeta
from harness.results.schema import Columns


def _no_figures() -> pd.Series[float]:
    return pd.Series(dtype="float64")


@dataclass(frozen=True)
class Arm:
    """The trials of one profile in one cell: those that are ok by block, and what became of the others.

    `frame` has the metrics as columns and the blocks as row names, `states` the path state of each block (None where
    none is known).
    """

    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    states: pd.Series[Any] = field(default_factory=lambda: pd.Series(dtype="object"))
    lost: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    def figures(self, metric: Metric) -> pd.Series[float]:
        """Return the figures of the ok trials by block.

        A figure of 0 has no ratio, so a metric that is compared by one leaves it out; `zeros` counts them.
        """
        if metric.name not in self.frame:
            return _no_figures()
        present = self.frame[metric.name].dropna()
        return present[present > 0] if metric.better and not metric.tries else present

    def zeros(self, metric: Metric) -> int:
        """Return how many figures `figures` left out because they are 0."""
        if metric.name not in self.frame:
            return 0
        return int(self.frame[metric.name].notna().sum()) - len(self.figures(metric))

    def lost_of_all(self) -> tuple[int, int]:
        """Return how many trials have no figure, and how many there are."""
        lost = sum(self.lost.values())
        return lost, lost + len(self.frame)

    def states_of(self, blocks: Sequence[int]) -> list[PathState | None]:
        """Return the path state of each of these blocks, None where none is known."""
        seen = self.states.reindex(list(blocks))
        return [state if isinstance(state, PathState) else None for state in seen.tolist()]


NOTHING = Arm()
"""The arm of a profile that was not measured in a cell."""


def arms(trials: Trials, meta: RunMeta | None) -> dict[tuple[str, Cell], Arm]:
    """Return the trials by profile and cell, the derived metrics added (which need run.json)."""
    frame = with_derived(trials, meta)
    metrics = [name for name in (*trials.columns.metrics, *_derived(trials.columns)) if name in frame]
    # Grouped by the numbers of levels: grouping itself would take whole numbers beside missing ones for fractions.
    levels = {name: pd.factorize(frame[name]) for name in trials.columns.factors}
    values_of = {name: values.tolist() for name, (_, values) in levels.items()}
    keys = [frame["profile"], frame["measure"], *(codes for codes, _ in levels.values())]
    made = {}
    for key, group in frame.groupby(keys, sort=False):
        profile, measure, *codes = cast("tuple[str, str, *tuple[int, ...]]", key)
        chosen = tuple((name, values_of[name][code]) for name, code in zip(levels, codes, strict=True) if code >= 0)
        made[profile, Cell(measure, chosen)] = _arm(group, metrics)
    return made


def with_derived(trials: Trials, meta: RunMeta | None) -> pd.DataFrame:
    """Return the trials with a column more for each derived metric; without run.json as they are."""
    frame = trials.frame
    if meta is None:
        return frame
    facts = Facts(meta.shared_kernel)
    columns = _Lenient(frame.assign(omit_s=meta.plan.timing.omit_s))
    made = {name: METRICS[name].derive(columns, facts) for name in _derived(trials.columns)}  # type: ignore[misc]
    return frame.assign(**{name: column.where(column.abs() < math.inf) for name, column in made.items()})


def _derived(columns: Columns) -> list[str]:
    """Return the metrics that are made of others, unless the file has one of that name itself."""
    return [name for name, metric in METRICS.items() if metric.derive and name not in columns.metrics]


class _Lenient(dict[str, "pd.Series[float]"]):
    """Columns by name; one that is not there has no figures."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__({str(name): column for name, column in frame.items()})
        self._index = frame.index

    def __missing__(self, name: str) -> pd.Series[float]:
        return pd.Series(math.nan, index=self._index)


def _arm(group: pd.DataFrame, metrics: Sequence[str]) -> Arm:
    ok = group[group["status"] == Status.OK].sort_values("block").set_index("block")
    others = group[group["status"] != Status.OK]
    reasons = Counter(reason for reason in others["reason"] if reason)
    return Arm(
        frame=ok[list(metrics)],
        states=ok["path_state"],
        lost=Counter(others["status"]),
        reason=reasons.most_common(1)[0][0] if reasons else "",
    )


def reported(cell: Cell, columns: Columns, measured: Sequence[Arm]) -> list[Metric]:
    """Return the metrics of a cell that are reported: its measure's main one, and the others that have figures.

    Metrics that this harness does not know are reported where there are any figures, those of a measure that it does
    not know, too.
    """
    metrics = {**METRICS, **columns.metrics} | METRICS
    measure = MEASURES.get(cell.measure)
    strangers = [name for name in columns.metrics if name not in METRICS]
    names = [*measure.rows, *strangers] if measure else [n for n in columns.metrics if n not in NODE_METRICS]
    main = names[0] if measure else ""
    return [metrics[n] for n in names if n == main or any(len(arm.figures(metrics[n])) for arm in measured)]
