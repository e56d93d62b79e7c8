"""Run B against run A, cell by cell: two runs share no blocks, so Welch's test on logarithms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness.model.trial import UNDERLAY, Cell, Direction
from harness.report import notes
from harness.report.figures import NOTHING, Metric, Side, framed, median, metrics_of, sides
from harness.report.reading import Meta, RunData
from harness.truth import stats

COMPARE_COLUMNS = (
    "profile,tool,protocol,direction,mtu,flows,metric,unit,trials_a,trials_b,median_a,median_b,cv,ratio,"
    "ratio_low,ratio_high,verdict,warnings"
).split(",")
"""Columns of a comparison, in order; docs/results.md says what each holds."""

_ENVIRONMENT_KEYS = (
    "hostname os cpu_model cpus congestion_control bridge_netfilter qdisc driver sysctls offloads".split()
)
_MOST_DIFFERENCES = 8


def compare_runs(a: RunData, b: RunData) -> pd.DataFrame:
    """Return B / A for every profile, cell and metric that either has, columns as in COMPARE_COLUMNS.

    Drift between the two runs is not told apart from a difference: inside one run profiles are interleaved, here
    they are not. What is not comparable by its surroundings carries a warning, not an error.
    """
    found = sides(a.trials, a.meta), sides(b.trials, b.meta)
    differences = _limited(list(run_differences(a, b)))
    keys = sorted({*found[0], *found[1]}, key=_order)
    rows = [
        _Row(profile, cell, metric, found[0].get((profile, cell), NOTHING), found[1].get((profile, cell), NOTHING))
        for profile, cell in keys
        for metric in metrics_of(cell, [side[profile, cell] for side in found if (profile, cell) in side])
    ]
    verdicts = stats.verdicts([row.question() for row in rows])
    values = [row.values(verdict, (a, b), differences) for row, verdict in zip(rows, verdicts, strict=True)]
    titles = [f"{name}: {notes.title(run.meta)}" for name, run in zip("AB", (a, b), strict=True) if run.meta]
    return framed(values, COMPARE_COLUMNS, "\n".join(titles))


class _Row:
    """One row in the making: a metric of a profile and cell in both runs."""

    def __init__(self, profile: str, cell: Cell, metric: Metric, before: Side, after: Side) -> None:
        self.profile, self.cell, self.metric = profile, cell, metric
        self.both = (before, after)
        self.figures = [*before.figures(metric).values()], [*after.figures(metric).values()]
        self.trials = min(len(self.figures[0]), len(self.figures[1]))
        self.states = before.states(before.figures(metric)) + after.states(after.figures(metric))
        comparable = metric.compared and self.trials and len(self.states) <= 1
        self.ratio = stats.welch_ratio(self.figures[1], self.figures[0]) if comparable else None
        spreads = [stats.coefficient_of_variation(figures) for figures in self.figures]
        self.cv = max((spread for spread in spreads if spread is not None), default=None) if metric.compared else None

    def question(self) -> stats.Question | None:
        """Return what is asked of the statistics; None for a metric that is not compared."""
        if not self.metric.compared:
            return None
        mixed = self.trials > 0 and len(self.states) > 1
        refused = stats.Verdict.MIXED_PATH_STATES if mixed else stats.refusal(self.trials, self.cv)
        return stats.Question(self.ratio, self.metric.higher_is_better, refused)

    def warnings(self, runs: tuple[RunData, RunData], differences: list[str]) -> str:
        """Return the column `warnings`; what concerns one run only starts with its letter."""
        own: list[str | None] = [notes.path_states(self.profile, self.states)]
        for name, side, run in zip("AB", self.both, runs, strict=True):
            if side is NOTHING:
                own.append(f"{name} did not measure this cell")
            own += [notes.lost(name, side), notes.zeros(name, side.zeros(self.metric))]
            own.append(notes.single_threaded(self.cell, run.meta))
        if self.metric.compared:
            own += [notes.few_blocks(self.trials, "trials"), stats.spread_warning(self.cv, self.trials)]
        of_runs = [
            f"{name}: {text}"
            for name, run in zip("AB", runs, strict=True)
            for text in notes.of_run(run.trials.attrs.get("warnings", []), run.meta)
        ]
        return notes.join([*own, *differences, *of_runs])

    def values(
        self, verdict: stats.Verdict | None, runs: tuple[RunData, RunData], differences: list[str]
    ) -> dict[str, Any]:
        """Return the row by column."""
        cell, ratio = self.cell, self.ratio
        return {
            "profile": self.profile,
            "tool": cell.tool,
            "protocol": cell.protocol,
            "direction": cell.direction.value,
            "mtu": cell.mtu,
            "flows": cell.flows,
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "trials_a": len(self.figures[0]),
            "trials_b": len(self.figures[1]),
            "median_a": median(self.figures[0]),
            "median_b": median(self.figures[1]),
            "cv": self.cv,
            "ratio": ratio.ratio if ratio else None,
            "ratio_low": ratio.low if ratio else None,
            "ratio_high": ratio.high if ratio else None,
            "verdict": verdict.value if verdict else "",
            "warnings": self.warnings(runs, differences),
        }


def run_differences(a: RunData, b: RunData) -> Iterator[str]:
    """Yield a sentence for each thing that moves figures and is not the same in both runs."""
    if a.meta and b.meta:
        profiles = [name for name in a.meta.profiles if name in b.meta.profiles]
        ours, theirs = _described(a.meta, profiles), _described(b.meta, profiles)
        for key in dict.fromkeys([*ours, *theirs]):
            if ours.get(key) != theirs.get(key):
                yield notes.difference(key, ours.get(key), theirs.get(key))
    if a.environment and b.environment:
        for node in a.environment:
            if isinstance(a.environment[node], dict) and isinstance(b.environment.get(node), dict):
                yield from _node_differences(node, a.environment[node], b.environment[node])


def _described(meta: Meta, profiles: Iterable[str]) -> dict[str, object]:
    """Return what a run was measured with, by the words a reader knows it by."""
    known: dict[str, object] = {
        "lab": meta.lab,
        "rate_bps": meta.rate_bps,
        "nic_mtu": meta.nic_mtu,
        "nodes sharing a kernel": meta.shared_kernel,
        **{f"plan's {key}": value for key, value in meta.plan.model_dump(exclude={"name"}).items()},
    }
    known |= {f"headers of {name}": " ".join(meta.profiles[name].headers) for name in profiles}
    for tool, versions in meta.versions.items():
        known |= {f"{tool} on {node}": version for node, version in versions.items()}
    return known


def _node_differences(node: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for key in _ENVIRONMENT_KEYS:
        ours, theirs = _settings(key, a.get(key)), _settings(key, b.get(key))
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                yield notes.difference(f"{node} {name}", ours.get(name), theirs.get(name))


def _settings(key: str, value: object) -> dict[str, object]:
    """Return one key of the environment as flat settings; a qdisc's handle is a number drawn anew each time."""
    if isinstance(value, dict):
        return {f"{key} {name}": setting for name, setting in value.items()}
    return {key: re.sub(r"\b[0-9a-f]+: ", "", value) if isinstance(value, str) and key == "qdisc" else value}


def _limited(differences: list[str]) -> list[str]:
    """Return the first of the differences, and how many more there are."""
    kept = list(dict.fromkeys(differences))
    more = len(kept) - _MOST_DIFFERENCES
    return [*kept[:_MOST_DIFFERENCES], f"{more} more differences between A and B"] if more > 0 else kept


def _order(key: tuple[str, Cell]) -> tuple[object, ...]:
    profile, cell = key
    return (
        profile != UNDERLAY,
        profile,
        cell.tool,
        cell.protocol,
        list(Direction).index(cell.direction),
        cell.mtu,
        cell.flows,
    )
