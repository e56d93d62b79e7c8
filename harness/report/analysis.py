"""The analysis of a run: one row for each contrast and metric, with its ratio, ceiling, verdict and notes.

Table, CSV, JSON and Markdown all render this one value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES
from harness.model.metrics import Metric
from harness.model.notes import Note
from harness.model.path import WHOLE, Kind, PathState
from harness.model.trial import UNDERLAY, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms, reported
from harness.report.collapse import collapses
from harness.report.contrasts import Against, Arms, Contrast, contrasts
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats, wire


@dataclass(frozen=True)
class Row:
    """One contrast of one cell and metric.

    `blocks` are those in which both arms have a figure; the medians are over these, and over all ok trials where there
    is no such block. `cv` is standard deviation over mean, of the arm where it is larger. `ceiling` is what the headers
    allow the ratio to be.
    """

    contrast: Contrast
    cell: Cell
    metric: Metric
    blocks: int
    median: float | None
    baseline_median: float | None
    cv: float | None
    ratio: stats.Ratio | None
    ceiling: float | None
    verdict: stats.Verdict | None
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Analysis:
    """What the figures of a run say. `notes` concern all of them."""

    meta: RunMeta | None
    columns: Columns
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Match:
    """Figures of both arms in the blocks where both have one, and the path states there."""

    ours: Sequence[float]
    base: Sequence[float]
    our_states: Counter[PathState]
    base_states: Counter[PathState]

    @classmethod
    def of(cls, ours: Arm, base: Arm, metric: Metric) -> _Match:
        left, right = ours.figures(metric), base.figures(metric)
        blocks: list[int] = left.index.intersection(right.index).tolist()
        figures = (left.loc[blocks].tolist(), right.loc[blocks].tolist())
        return cls(*figures, ours.path_states(blocks), base.path_states(blocks))

    @property
    def is_mixed(self) -> bool:
        return len(self.our_states) > 1 or len(self.base_states) > 1


@dataclass(frozen=True)
class _Run:
    """What every row is made from."""

    arms: Arms
    meta: RunMeta | None
    columns: Columns
    nic_mtu: int


def analyse(run: RunData) -> Analysis:
    """Return the analysis of a run.

    Without run.json there are no ceilings, and no metrics that depend on it.
    """
    frame = run.trials.frame
    by_cell = arms(run.trials, run.meta)
    nic_mtu = run.meta.nic_mtu if run.meta else _largest_mtu(frame)
    made = _Run(by_cell, run.meta, run.trials.columns, nic_mtu)
    kinds = dict(zip(frame["profile"], frame["kind"], strict=True))
    asked = [
        (contrast, cell, metric)
        for contrast, cell in contrasts(by_cell, kinds, nic_mtu)
        for metric in _metrics(made, contrast, cell)
    ]
    drafts = [_draft(made, *one) for one in asked]
    verdicts = _verdicts(drafts)
    rows = tuple(_row(made, draft, verdict) for draft, verdict in zip(drafts, verdicts, strict=True))
    of_run = notes.known([*notes.of_run(run.trials.notes, run.meta), *collapses(run)])
    return Analysis(run.meta, run.trials.columns, rows, of_run)


def _metrics(run: _Run, contrast: Contrast, cell: Cell) -> list[Metric]:
    """Return the metrics of a contrast; of two measures, those that both report."""
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    metrics = reported(cell, run.columns, [ours])
    if not contrast.measure:
        return metrics
    return [metric for metric in metrics if metric.name in MEASURES[contrast.measure].metrics]


@dataclass(frozen=True)
class _Draft:
    """A row before the verdicts of its family."""

    contrast: Contrast
    cell: Cell
    metric: Metric
    ours: Arm
    base: Arm
    match: _Match
    figures: tuple[Sequence[float], Sequence[float]]
    ratio: stats.Ratio | None
    cv: float | None

    @property
    def question(self) -> stats.Question | None:
        """What is asked of the statistics; None for a metric that is not compared."""
        if not self.metric.better:
            return None
        blocks = len(self.match.ours)
        refused = stats.Verdict.MIXED_PATH_STATES if self.match.is_mixed else stats.refusal(blocks, self.cv)
        return stats.Question(self.ratio, self.metric.better == "higher", refused)


def _draft(run: _Run, contrast: Contrast, cell: Cell, metric: Metric) -> _Draft:
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    match = _Match.of(ours, base, metric)
    figures = (match.ours or ours.figures(metric).tolist(), match.base or base.figures(metric).tolist())
    compared = bool(metric.better and match.ours and not match.is_mixed)
    spreads = [stats.coefficient_of_variation(arm) for arm in figures]
    cv = max((spread for spread in spreads if spread is not None), default=None) if metric.better else None
    ratio = stats.paired_ratio(match.ours, match.base) if compared else None
    return _Draft(contrast, cell, metric, ours, base, match, figures, ratio, cv)


def _verdicts(drafts: Sequence[_Draft]) -> list[stats.Verdict | None]:
    """Return each draft's verdict; the rows of one kind of contrast are a family."""
    made: list[stats.Verdict | None] = [None] * len(drafts)
    for against in Against:
        members = [number for number, draft in enumerate(drafts) if draft.contrast.against is against]
        verdicts = stats.verdicts([drafts[number].question for number in members])
        for number, verdict in zip(members, verdicts, strict=True):
            made[number] = verdict
    return made


def _row(run: _Run, draft: _Draft, verdict: stats.Verdict | None) -> Row:
    ceiling = _ceiling(run, draft)
    return Row(
        draft.contrast,
        draft.cell,
        draft.metric,
        blocks=len(draft.match.ours),
        median=stats.median(draft.figures[0]),
        baseline_median=stats.median(draft.figures[1]),
        cv=draft.cv,
        ratio=draft.ratio,
        ceiling=ceiling,
        verdict=verdict,
        notes=_notes(run, draft, ceiling, verdict),
    )


def _ceiling(run: _Run, draft: _Draft) -> float | None:
    """Return what the wire allows of a ratio: both arms' ceilings over the underlay's, one by the other."""
    meta, match = run.meta, draft.match
    same_profile = draft.contrast.profile == draft.contrast.baseline
    if draft.ratio is None or meta is None or not draft.metric.ceiling or not match.our_states or same_profile:
        return None
    if not _is_bounded_by_headers(draft.cell):
        return None
    cells = (draft.cell, draft.contrast.baseline_cell(draft.cell))
    measure = MEASURES.get(draft.cell.measure)
    protocol = str(draft.cell.get("protocol") or (measure.protocol if measure else "tcp"))
    sizes = [int(cell.get("size") or cell.mtu) for cell in cells]
    states = (next(iter(match.our_states)), next(iter(match.base_states), WHOLE))
    names = (draft.contrast.profile, draft.contrast.baseline)
    ours, base = (
        wire.ceiling_ratio(protocol, size, profile.headers, run.nic_mtu, state, sizes[1], tunnel_mtu=profile.tunnel_mtu)
        for size, profile, state in zip(sizes, (meta.profiles[name] for name in names), states, strict=True)
    )
    return ours / base if ours and base else None


def _is_bounded_by_headers(cell: Cell) -> bool:
    """Tell whether a cell fills the link; one that is offered less has no ceiling but the offer."""
    rate = cell.get("udp_rate")
    share = str(rate)
    return rate in (None, "none") or (share.endswith("%") and float(share[:-1]) >= 100)  # noqa: PLR2004 - per cent


def _notes(run: _Run, draft: _Draft, ceiling: float | None, verdict: stats.Verdict | None) -> tuple[Note, ...]:
    contrast, cell, metric, match = draft.contrast, draft.cell, draft.metric, draft.match
    names = (contrast.profile, contrast.baseline)
    lacking = metric.ceiling and draft.ratio and run.meta and ceiling is None and _is_bounded_by_headers(cell)
    lacking = lacking and names[0] != names[1]
    unlike = contrast.against is Against.PROFILE and contrast.baseline != UNDERLAY
    unlike = unlike and contrast.baseline_cell(cell).mtu != run.nic_mtu
    return notes.known(
        [
            notes.path_states(names[0], match.our_states),
            notes.path_states(names[1], match.base_states),
            notes.no_ceiling(names[0], cell, match.our_states) if lacking else None,
            notes.lost(names[0], draft.ours),
            notes.lost(names[1], draft.base),
            *(_of_udp(*one, metric) for one in zip(names, (draft.ours, draft.base), strict=True)),
            notes.switched(contrast.profile, contrast.switch, metric, draft.ratio, verdict),
            notes.zeros(names[0], draft.ours.zeros(metric)),
            notes.zeros(names[1], draft.base.zeros(metric)),
            notes.other_baseline_mtu(names[1], run.nic_mtu, cell.mtu) if unlike else None,
            notes.few_blocks(len(match.ours)) if metric.better else None,
            notes.spread(draft.cv, len(match.ours)),
            notes.single_threaded(cell, run.meta),
        ]
    )


def _of_udp(profile: str, arm: Arm, metric: Metric) -> Note | None:
    """Say beside a loss, or a rate that was searched for, that the path was not its reason."""

    def median(name: str) -> float | None:
        return stats.median(arm.figures(METRICS[name]).tolist())

    if metric.name == "udp_loss_ratio":
        return notes.late(profile, median(metric.name), median("late_ratio"))
    if metric.name == "packets_per_s":
        return notes.senders_limit(profile, median("unsent_ratio"), median("unsent_cpu_ratio"))
    return None


def _largest_mtu(frame: pd.DataFrame) -> int:
    """Return the largest MTU of the underlay, which is its NIC's own unless it was not measured there."""
    underlay = frame.loc[frame["kind"] == Kind.UNDERLAY, "mtu"]
    return int(max(underlay if len(underlay) else frame["mtu"]))


def rows_by(rows: Sequence[Row], against: Against) -> Mapping[tuple[str, str, Cell, str], Row]:
    """Return the rows of one kind of contrast by profile, baseline, cell and metric."""
    return {
        (row.contrast.profile, row.contrast.baseline, row.cell, row.metric.name): row
        for row in rows
        if row.contrast.against is against
    }
