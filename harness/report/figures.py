"""Metrics, and the figures of each profile and cell that they are taken from."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pandas as pd

from harness.model.trial import Cell, Direction, Status
from harness.report.reading import CELL_COLUMNS, Meta

BITS_PER_GBIT = 1e9
_FIGURE_COLUMNS = ("median", "baseline_median", "median_a", "median_b", "cv")


@dataclass(frozen=True)
class Metric:
    """What a row is about; its name is the column of the trials that holds the figure.

    `compared` is False for what is shown without a ratio; `primary` metrics have a row even without a figure.
    """

    name: str
    unit: str
    tool: str
    higher_is_better: bool = False
    has_ceiling: bool = False
    compared: bool = True
    primary: bool = False


METRICS = (
    Metric("goodput_bps", "bit/s", "iperf3", higher_is_better=True, has_ceiling=True, primary=True),
    Metric("udp_loss_ratio", "ratio", "iperf3", compared=False),
    Metric("cpu_s_per_gbit", "s/Gbit", "iperf3"),
    Metric("rtt_p50_s", "s", "ping", primary=True),
    Metric("rtt_p99_s", "s", "ping"),
)


@dataclass(frozen=True)
class Side:
    """The trials of one profile in one cell: by block what the ok ones measured, and what became of the others."""

    measured: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    path_states: Mapping[int, str] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    def figures(self, metric: Metric) -> dict[int, float]:
        """Return the figures of the ok trials by block.

        A figure of 0 has no ratio, so a compared metric leaves it out; `zeros` counts them.
        """
        known = self.measured.get(metric.name, {})
        return {block: value for block, value in known.items() if value > 0 or not metric.compared}

    def zeros(self, metric: Metric) -> int:
        """Return how many figures `figures` left out because they are 0."""
        return len(self.measured.get(metric.name, {})) - len(self.figures(metric))

    def states(self, blocks: Iterable[int]) -> Counter[str]:
        """Return how often each path state was seen in these blocks; trials without a state do not count."""
        return Counter(self.path_states[block] for block in blocks if self.path_states[block])


NOTHING = Side()
"""The side of a profile that was not measured in a cell."""


def sides(trials: pd.DataFrame, meta: Meta | None) -> dict[tuple[str, Cell], Side]:
    """Return the trials by profile and cell, the derived metrics added (those that need run.json only with it)."""
    trials = trials.assign(cpu_s_per_gbit=cpu_s_per_gbit(trials, meta) if meta else math.nan)
    found = {}
    for key, group in trials.groupby(["profile", *CELL_COLUMNS], sort=True):
        profile, tool, protocol, direction, mtu, flows = cast("tuple[str, str, str, str, int, int]", key)
        found[profile, Cell(tool, protocol, Direction(direction), int(mtu), int(flows))] = _side(group)
    return found


def _side(group: pd.DataFrame) -> Side:
    records = group.sort_values("block").to_dict("records")
    ok = [record for record in records if record["status"] == Status.OK]
    others = [record for record in records if record["status"] != Status.OK]
    reasons = Counter(record["reason"] for record in others if record["reason"])
    return Side(
        measured={
            metric.name: {record["block"]: record[metric.name] for record in ok if not math.isnan(record[metric.name])}
            for metric in METRICS
        },
        path_states={record["block"]: record["path_state"] for record in ok},
        lost=Counter(record["status"] for record in others),
        reason=reasons.most_common(1)[0][0] if reasons else "",
    )


def median(figures: Collection[float]) -> float | None:
    """Return the median, None where there is no figure."""
    return statistics.median(figures) if figures else None


def cpu_s_per_gbit(trials: pd.DataFrame, meta: Meta) -> pd.Series[float]:
    """Return busy CPU seconds of both nodes per gigabit of goodput, one value a trial.

    The readings span the omitted seconds too, so goodput is taken to hold for these as well. Nodes that share a
    kernel read the same counters, so there the client's reading alone is that of both.
    """
    busy = trials["client_cpu_s"] if meta.shared_kernel else trials["client_cpu_s"] + trials["server_cpu_s"]
    gbit = trials["goodput_bps"] * (trials["duration_s"] + meta.plan.omit_s) / BITS_PER_GBIT
    return busy / gbit.where(gbit > 0)


def metrics_of(cell: Cell, measured: Sequence[Side]) -> list[Metric]:
    """Return the metrics of a cell: its primary one, and the others of which any of these sides has a figure."""
    known = [metric for metric in METRICS if metric.tool == cell.tool]
    return [metric for metric in known if metric.primary or any(len(side.figures(metric)) for side in measured)]


def framed(rows: Sequence[Mapping[str, object]], columns: Sequence[str], title: str) -> pd.DataFrame:
    """Return rows as a frame of these columns, figures as floats (NaN where there is none), and its title."""
    frame = pd.DataFrame(rows, columns=list(columns))
    figures = [column for column in columns if column in _FIGURE_COLUMNS or "ratio" in column]
    frame[figures] = frame[figures].astype(float)
    frame.attrs["title"] = title
    return frame
