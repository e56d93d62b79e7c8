"""Which metrics of a cell are reported, and of its percentiles those that are known: a high one takes many replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.measures.metrics import METRICS, NODE_METRICS
from harness.measures.registry import MEASURES
from harness.model.metrics import Metric
from harness.model.trial import Cell
from harness.report.arms import Arm
from harness.results.schema import Columns

REPLIES = "ping_sent"
LOST = "ping_lost_ratio"
LEAST_FOR_P99 = 400
"""Replies of a trial that its p99 takes. From 368 on the largest of them lies beyond the p99 with 97.5 % (.99**368), so
that an interval has an upper end; of 100 replies the p99 is somewhere between p94.6 and p99.8."""
HIGH, LOWER = "rtt_p99_s", "rtt_p90_s"


def reported(cell: Cell, columns: Columns, measured: Sequence[Arm], beside: Sequence[Arm] = ()) -> list[Metric]:
    """Return the metrics of a cell that are reported: its measure's main one, and the others that have figures.

    Metrics that this harness does not know are reported where there are any figures, those of a measure that it does
    not know, too. Either p90 or p99 is left out, by how many replies the trials have, of the arms `beside` as well.
    """
    metrics = {**METRICS, **columns.metrics} | METRICS
    measure = MEASURES.get(cell.measure)
    strangers = [name for name in columns.metrics if name not in METRICS]
    names = [*measure.rows, *strangers] if measure else [n for n in columns.metrics if n not in NODE_METRICS]
    main = names[0] if measure else ""
    shown = [metrics[n] for n in names if n == main or any(len(arm.figures(metrics[n])) for arm in measured)]
    return _known(shown, [*measured, *beside])


def _known(metrics: list[Metric], arms: Sequence[Arm]) -> list[Metric]:
    """Return metrics without p99 where an arm's trials have too few replies for it, and else without p90."""
    if not {HIGH, LOWER} <= {metric.name for metric in metrics}:
        return metrics
    counts = [count for arm in arms for count in _replies(arm)]
    left_out = HIGH if counts and min(counts) < LEAST_FOR_P99 else LOWER
    return [metric for metric in metrics if metric.name != left_out]


def replies(arm: Arm, metric: Metric) -> int | None:
    """Return how many replies the percentiles of an arm are of, all trials together; None where nobody counted."""
    counts = _replies(arm) if metric.name.startswith("rtt_") else []
    return round(sum(counts)) if counts else None


def _replies(arm: Arm) -> list[float]:
    """Return the replies of each trial."""
    counts = arm.column(METRICS[REPLIES]) * (1 - arm.column(METRICS[LOST]))
    return [float(count) for count in counts[~np.isnan(counts)]]
