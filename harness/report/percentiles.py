"""Which percentiles are known: a high one takes many replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.measures.metrics import METRICS
from harness.model.metrics import Metric
from harness.report.arms import Arm

REPLIES = "ping_sent"
LOST = "ping_lost_ratio"
LEAST_FOR_P99 = 400
"""Replies of a trial that its p99 takes. From 368 on the largest of them lies beyond the p99 with 97.5 % (.99**368), so
that an interval has an upper end; of 100 replies the p99 is somewhere between p94.6 and p99.8."""
HIGH, LOWER = "rtt_p99_s", "rtt_p90_s"


def known(metrics: Sequence[Metric], arms: Sequence[Arm]) -> list[Metric]:
    """Return metrics without p99 where an arm's trials have too few replies for it, and else without p90."""
    names = {metric.name for metric in metrics}
    if not {HIGH, LOWER} <= names:
        return list(metrics)
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
