"""One row for each profile, baseline, cell and metric of a run: the paired ratio, its ceiling and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from harness.model.trial import SUMMARY_COLUMNS, UNDERLAY, Cell, Direction, Kind, PathState
from harness.report import notes
from harness.report.figures import NOTHING, Metric, Side, framed, median, metrics_of, sides
from harness.report.reading import Meta, RunData, read_run, read_trials
from harness.truth import stats, wire

__all__ = ["Pair", "RunData", "default_pairs", "read_run", "read_trials", "summarise"]


@dataclass(frozen=True)
class Pair:
    """A profile and what it is compared with."""

    profile: str
    baseline: str


@dataclass(frozen=True)
class _Run:
    """What every row of a summary is made from."""

    sides: Mapping[tuple[str, Cell], Side]
    meta: Meta | None
    nic_mtu: int
    warnings: Sequence[str]

    def side(self, profile: str, cell: Cell) -> Side:
        return self.sides.get((profile, cell), NOTHING)

    def cells(self, profile: str) -> list[Cell]:
        ways = list(Direction)
        cells = [cell for name, cell in self.sides if name == profile]
        return sorted(
            cells, key=lambda cell: (cell.tool, cell.protocol, ways.index(cell.direction), cell.mtu, cell.flows)
        )

    def reference_mtu(self, baseline: str, cell: Cell) -> int:
        """Return the MTU at which `ratio` takes the baseline: its NIC's own, which only the underlay always has."""
        measured = (baseline, replace(cell, mtu=self.nic_mtu)) in self.sides
        return self.nic_mtu if measured or baseline == UNDERLAY else cell.mtu


@dataclass(frozen=True)
class _Match:
    """Figures of both sides in the blocks where both have one, and the path states there."""

    ours: list[float]
    base: list[float]
    our_states: Counter[str]
    base_states: Counter[str]

    @classmethod
    def of(cls, ours: Side, base: Side, metric: Metric) -> _Match:
        left, right = ours.figures(metric), base.figures(metric)
        blocks = [block for block in left if block in right]
        return cls(
            [left[block] for block in blocks],
            [right[block] for block in blocks],
            ours.states(blocks),
            base.states(blocks),
        )

    @property
    def mixed(self) -> bool:
        return len(self.our_states) > 1 or len(self.base_states) > 1

    def ratio(self) -> stats.Ratio | None:
        """Return the paired ratio; None without pairs, and where it would average over path states."""
        return stats.paired_ratio(self.ours, self.base) if self.ours and not self.mixed else None


class _Row:
    """One row in the making: a metric of a cell, for a profile and its baseline."""

    def __init__(self, run: _Run, pair: Pair, cell: Cell, metric: Metric) -> None:
        self.run, self.pair, self.cell, self.metric = run, pair, cell, metric
        self.reference = run.reference_mtu(pair.baseline, cell)
        self.ours = run.side(pair.profile, cell)
        self.base = run.side(pair.baseline, replace(cell, mtu=self.reference))
        self.full = _Match.of(self.ours, self.base, metric)
        self.same = _Match.of(self.ours, run.side(pair.baseline, cell), metric)
        self.blocks = len(self.full.ours)
        self.figures = self.full.ours or [*self.ours.figures(metric).values()]
        self.base_figures = self.full.base or [*self.base.figures(metric).values()]
        self.ratio = self.full.ratio() if metric.compared else None
        self.same_ratio = self.same.ratio() if metric.compared else None
        self.ceiling = self._ceiling(self.ratio, self.full, self.reference)
        self.same_ceiling = self._ceiling(self.same_ratio, self.same, cell.mtu)
        spreads = [stats.coefficient_of_variation(side) for side in (self.figures, self.base_figures)]
        self.cv = max((spread for spread in spreads if spread is not None), default=None) if metric.compared else None

    def _ceiling(self, ratio: stats.Ratio | None, match: _Match, baseline_mtu: int) -> float | None:
        """Return what the wire allows of a ratio: both sides' ceilings over the underlay's, one by the other."""
        meta = self.run.meta
        if ratio is None or meta is None or not self.metric.has_ceiling or not match.our_states:
            return None
        state = next(iter(match.our_states))
        base_state = next(iter(match.base_states), PathState.WHOLE)
        protocol, nic_mtu = self.cell.protocol, self.run.nic_mtu
        ours = wire.ceiling_ratio(
            protocol, self.cell.mtu, meta.profiles[self.pair.profile].headers, nic_mtu, state, baseline_mtu
        )
        base = wire.ceiling_ratio(
            protocol, baseline_mtu, meta.profiles[self.pair.baseline].headers, nic_mtu, base_state, baseline_mtu
        )
        return ours / base if ours and base else None

    def question(self) -> stats.Question | None:
        """Return what is asked of the statistics; None for a metric that is not compared."""
        if not self.metric.compared:
            return None
        refused = stats.Verdict.MIXED_PATH_STATES if self.full.mixed else stats.refusal(self.blocks, self.cv)
        return stats.Question(self.ratio, self.metric.higher_is_better, refused)

    def warnings(self) -> str:
        """Return the column `warnings`."""
        profile, baseline, nic_mtu = self.pair.profile, self.pair.baseline, self.run.nic_mtu
        no_ceiling = self.metric.has_ceiling and self.ratio and self.run.meta and self.ceiling is None
        return notes.join(
            [
                notes.path_states(profile, self.full.our_states),
                notes.path_states(baseline, self.full.base_states),
                notes.no_ceiling(profile, self.cell, self.full.our_states) if no_ceiling else None,
                notes.lost(profile, self.ours),
                notes.lost(baseline, self.base),
                notes.zeros(profile, self.ours.zeros(self.metric)),
                notes.zeros(baseline, self.base.zeros(self.metric)),
                None if self.reference == nic_mtu else notes.other_baseline_mtu(baseline, nic_mtu, self.reference),
                notes.few_blocks(self.blocks) if self.metric.compared else None,
                stats.spread_warning(self.cv, self.blocks),
                notes.single_threaded(self.cell, self.run.meta),
                *self.run.warnings,
            ]
        )

    def values(self, verdict: stats.Verdict | None) -> dict[str, Any]:
        """Return the row by column."""
        cell = self.cell
        return {
            "profile": self.pair.profile,
            "baseline": self.pair.baseline,
            "tool": cell.tool,
            "protocol": cell.protocol,
            "direction": cell.direction.value,
            "mtu": cell.mtu,
            "flows": cell.flows,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "blocks": self.blocks,
            "median": median(self.figures),
            "baseline_median": median(self.base_figures),
            "cv": self.cv,
            **_interval("ratio", self.ratio),
            "ceiling_ratio": self.ceiling,
            **_interval("same_mtu_ratio", self.same_ratio),
            "same_mtu_ceiling_ratio": self.same_ceiling,
            "verdict": verdict.value if verdict else "",
            "warnings": self.warnings(),
        }


def default_pairs(trials: pd.DataFrame) -> list[Pair]:
    """Return every profile against the underlay, and every tunnel against every routed profile.

    The latter splits a tunnel's loss: underlay -> routed is the container's path, routed -> tunnel the encapsulation.
    """
    kinds = dict(zip(trials["profile"], trials["kind"], strict=True))
    ordered = sorted(kinds, key=lambda name: (kinds[name] == Kind.TUNNEL, name))
    routed = [name for name in ordered if kinds[name] == Kind.ROUTED]
    pairs = []
    for name in ordered:
        if kinds[name] != Kind.UNDERLAY:
            pairs.append(Pair(name, UNDERLAY))
        if kinds[name] == Kind.TUNNEL:
            pairs += [Pair(name, other) for other in routed]
    return pairs


def summarise(trials: pd.DataFrame, meta: Meta | None, pairs: Sequence[Pair] | None = None) -> pd.DataFrame:
    """Return the summary of a run, columns as in SUMMARY_COLUMNS; what does not apply is NaN or empty.

    `attrs["title"]` says what run it was.

    Args:
        trials: as `read_trials` returns them.
        meta: run.json; without it there are no ceilings and no CPU seconds per gigabit.
        pairs: what to compare with what, `default_pairs` where not given.
    """
    run = _Run(
        sides=sides(trials, meta),
        meta=meta,
        nic_mtu=meta.nic_mtu if meta else _largest_mtu(trials),
        warnings=notes.of_run(trials.attrs.get("warnings", []), meta),
    )
    rows = [
        _Row(run, pair, cell, metric)
        for pair in (default_pairs(trials) if pairs is None else pairs)
        for cell in run.cells(pair.profile)
        for metric in metrics_of(cell, [run.side(pair.profile, cell)])
    ]
    verdicts = stats.verdicts([row.question() for row in rows])
    values = [row.values(verdict) for row, verdict in zip(rows, verdicts, strict=True)]
    return framed(values, SUMMARY_COLUMNS, notes.title(meta) if meta else "")


def _largest_mtu(trials: pd.DataFrame) -> int:
    """Return the largest MTU of the underlay, which is its NIC's own unless it was not measured there."""
    underlay = trials.loc[trials["kind"] == Kind.UNDERLAY, "mtu"]
    return int(max(underlay if len(underlay) else trials["mtu"]))


def _interval(name: str, ratio: stats.Ratio | None) -> dict[str, float | None]:
    if ratio is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: ratio.ratio, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
