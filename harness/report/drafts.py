"""Drafts: what a row is made of before anything is judged. One for each contrast, cell, metric and path state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.measures.registry import MEASURES
from harness.model.metrics import Metric
from harness.model.path import Kind
from harness.model.trial import Cell
from harness.report.arms import NOTHING, Arm
from harness.report.background import Background
from harness.report.ceilings import Ceiling, ceiling_of
from harness.report.contrasts import Against, Arms, Contrast, contrasts
from harness.report.match import Match
from harness.report.reported import reported
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats, verdicts
from harness.truth.added import Added
from harness.truth.shares import Difference


@dataclass(frozen=True)
class Compared:
    """What every row is made from.

    `setup_of` is each block's set-up, where there are several; `largest_mtus` is what each profile carries whole.
    """

    arms: Arms
    meta: RunMeta | None
    columns: Columns
    nic_mtu: int
    margin: float
    background: Background
    setup_of: Mapping[int, int]
    largest_mtus: Mapping[str, int]


@dataclass(frozen=True)
class Draft:
    """A row before the verdicts of its family."""

    contrast: Contrast
    cell: Cell
    metric: Metric
    ours: Arm
    base: Arm
    match: Match
    figures: tuple[Sequence[float], Sequence[float]]
    estimate: stats.Ratio | Difference | None
    added: Added | None
    ceiling: Ceiling | None
    cv: float | None

    @property
    def ratio(self) -> stats.Ratio | None:
        """The ratio, where that is how the metric is compared."""
        return self.estimate if isinstance(self.estimate, stats.Ratio) else None

    @property
    def family(self) -> tuple[Against, bool, bool]:
        """What it is asked together with.

        The rows of one kind of contrast are a family; those that headers bound are one of their own: that headers cost
        something is known beforehand, and what is known must not make others easier to believe. So are losses, which
        are none as a rule.
        """
        is_known = self.ceiling is not None or (self.contrast.against is Against.OWN_MTU and self.metric.ceiling)
        return self.contrast.against, is_known, bool(self.metric.tries)

    @property
    def question(self) -> verdicts.Question | None:
        """What is asked of the statistics; None for a metric that is not compared, and for too few blocks."""
        if not self.metric.better or self.estimate is None or self.match.refusal:
            return None
        return verdicts.Question(self.estimate, self.ceiling.ratio if self.ceiling else None)


def drafts_of(run: Compared, kinds: Mapping[str, str]) -> list[Draft]:
    """Return every draft of a run, in the order of its tables; `kinds` are those of its profiles."""
    return [
        draft
        for contrast, cell in contrasts(run.arms, kinds, run.nic_mtu, run.largest_mtus, _first(run, kinds))
        for metric in _metrics(run, contrast, cell)
        for draft in _drafts(run, contrast, cell, metric)
    ]


def _first(run: Compared, kinds: Mapping[str, str]) -> str:
    """Return the profile that was named first, which the others may take the place of; empty without any."""
    named = run.meta.plan.setup.profiles if run.meta else sorted(kinds)
    return next((name for name in named if name in kinds and kinds[name] != Kind.UNDERLAY), "")


def _metrics(run: Compared, contrast: Contrast, cell: Cell) -> list[Metric]:
    """Return the metrics of a contrast; of two measures, those that both report."""
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    metrics = reported(cell, run.columns, [ours], [base])
    if not contrast.measure:
        return metrics
    return [metric for metric in metrics if metric.name in MEASURES[contrast.measure].metrics]


def _drafts(run: Compared, contrast: Contrast, cell: Cell, metric: Metric) -> list[Draft]:
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    return [
        _draft(run, contrast, cell, metric, ours, base, match)
        for match in Match.all_of(ours, base, metric, run.setup_of)
    ]


def _draft(run: Compared, contrast: Contrast, cell: Cell, metric: Metric, ours: Arm, base: Arm, match: Match) -> Draft:
    figures = (match.ours or ours.figures(metric).tolist(), match.base or base.figures(metric).tolist())
    spreads = map(stats.coefficient_of_variation, figures)
    cv = max((spread for spread in spreads if spread is not None), default=None) if metric.better else None
    estimate, added = _estimates(cell, metric, ours, base, match) if metric.better and match.ours else (None, None)
    states = (match.our_state, match.base_state)
    ceiling = ceiling_of(run.meta, run.nic_mtu, contrast, cell, metric, states) if estimate else None
    return Draft(contrast, cell, metric, ours, base, match, figures, estimate, added, ceiling, cv)


def _estimates(
    cell: Cell, metric: Metric, ours: Arm, base: Arm, match: Match
) -> tuple[stats.Ratio | Difference, Added | None]:
    """Return the ratio of two arms with what ours adds to the baseline, or the difference of their shares alone."""
    if metric.tries:
        return match.difference((ours.tries(metric), base.tries(metric))), None
    measure = MEASURES.get(cell.measure)
    sizes = [measure.step(metric.name, min(arm)) if measure else 0.0 for arm in (match.ours, match.base)]
    return match.ratio((sizes[0], sizes[1])), match.added((sizes[0], sizes[1]))
