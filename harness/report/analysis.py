"""The analysis of a run: one row for each contrast and metric, with its ratio, ceiling, verdict and notes.

Table, CSV, JSON and Markdown all render this one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES
from harness.model.metrics import Better, Metric
from harness.model.notes import Note
from harness.model.path import WHOLE, PathState
from harness.model.trial import UNDERLAY, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms, matched, reported
from harness.report.collapse import collapses
from harness.report.contrasts import Against, Arms, Contrast, contrasts
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats, wire


@dataclass(frozen=True)
class Row:
    """One contrast of one cell and metric.

    `blocks` are those in which both arms have a figure, of one path state each; the medians are over these, and over
    all ok trials where there is no such block. `cv` is standard deviation over mean, of the arm where it is larger.
    `interval` is the ratio's, widened for its family: `verdict` is read off it, and so is `against_ceiling`, where
    `ceiling` is what the headers allow the ratio to be. Where it decides nothing, `blocks_to_tell` would. `lost` are
    trials of the profile without a figure, of how many.
    """

    contrast: Contrast
    cell: Cell
    metric: Metric
    blocks: int
    median: float | None
    baseline_median: float | None
    cv: float | None
    ratio: stats.Ratio | None
    interval: stats.Interval | None
    ceiling: float | None
    verdict: stats.Verdict | None
    against_ceiling: stats.AgainstCeiling | None
    blocks_to_tell: int | None
    lost: tuple[int, int]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Analysis:
    """What the figures of a run say. `margin`: a ratio that near to 1 makes no difference. `notes` concern all rows."""

    meta: RunMeta | None
    columns: Columns
    margin: float
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Match:
    """Figures of both arms in the blocks where both have one, in one path state each (None where none is known).

    `share` is how many blocks these are, of all in which both arms have a figure.
    """

    ours: Sequence[float] = ()
    base: Sequence[float] = ()
    our_state: PathState | None = None
    base_state: PathState | None = None
    share: tuple[int, int] = (0, 0)

    @classmethod
    def all_of(cls, ours: Arm, base: Arm, metric: Metric) -> list[_Match]:
        """Return one for each pair of states, the commonest first: figures of different states are never averaged."""
        found = matched(ours, base, metric)
        total = sum(len(one.ours) for one in found)
        return [
            cls(one.ours.tolist(), one.base.tolist(), *one.states, share=(len(one.ours), total)) for one in found
        ] or [cls()]


@dataclass(frozen=True)
class _Run:
    """What every row is made from."""

    arms: Arms
    meta: RunMeta | None
    columns: Columns
    nic_mtu: int
    margin: float


def analyse(run: RunData, margin: float = stats.MARGIN) -> Analysis:
    """Return the analysis of a run; a ratio within the margin of what it is held against makes no difference.

    Without run.json there are no ceilings, and no metrics that depend on it.
    """
    frame = run.trials.frame
    by_cell = arms(run.trials, run.meta)
    made = _Run(by_cell, run.meta, run.trials.columns, run.nic_mtu, margin)
    kinds = dict(zip(frame["profile"], frame["kind"], strict=True))
    drafts = [
        draft
        for contrast, cell in contrasts(by_cell, kinds, run.nic_mtu)
        for metric in _metrics(made, contrast, cell)
        for draft in _drafts(made, contrast, cell, metric)
    ]
    answers = _answers(drafts, margin)
    rows = tuple(_row(made, draft, answer) for draft, answer in zip(drafts, answers, strict=True))
    of_run = notes.known([*notes.of_run(run.trials.notes, run.meta), *collapses(run)])
    return Analysis(run.meta, run.trials.columns, margin, rows, of_run)


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
    ceiling: float | None
    cv: float | None

    @property
    def question(self) -> stats.Question | None:
        """What is asked of the statistics; None for a metric that is not compared, and for too few blocks."""
        if not self.metric.better or self.ratio is None or stats.refusal(len(self.match.ours)):
            return None
        return stats.Question(self.ratio, self.ceiling or 1.0)


def _drafts(run: _Run, contrast: Contrast, cell: Cell, metric: Metric) -> list[_Draft]:
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    return [_draft(run, contrast, cell, metric, ours, base, match) for match in _Match.all_of(ours, base, metric)]


def _draft(run: _Run, contrast: Contrast, cell: Cell, metric: Metric, ours: Arm, base: Arm, match: _Match) -> _Draft:
    figures = (match.ours or ours.figures(metric).tolist(), match.base or base.figures(metric).tolist())
    spreads = [stats.coefficient_of_variation(arm) for arm in figures]
    cv = max((spread for spread in spreads if spread is not None), default=None) if metric.better else None
    ratio = stats.paired_ratio(match.ours, match.base) if metric.better and match.ours else None
    ceiling = _ceiling(run, contrast, cell, metric, match) if ratio else None
    return _Draft(contrast, cell, metric, ours, base, match, figures, ratio, ceiling, cv)


def _answers(drafts: Sequence[_Draft], margin: float) -> list[stats.Answer | None]:
    """Return what each draft's interval says.

    The rows of one kind of contrast are a family; those that have a ceiling are one of their own, held against it: that
    headers cost something is known beforehand, and what is known must not make others easier to believe.
    """
    made: list[stats.Answer | None] = [None] * len(drafts)
    families: dict[tuple[Against, bool], list[int]] = {}
    for number, draft in enumerate(drafts):
        families.setdefault((draft.contrast.against, draft.ceiling is not None), []).append(number)
    for members in families.values():
        for number, answer in zip(members, stats.answers([drafts[n].question for n in members], margin), strict=True):
            made[number] = answer
    return made


def _row(run: _Run, draft: _Draft, answer: stats.Answer | None) -> Row:
    blocks = len(draft.match.ours)
    verdict = stats.refusal(blocks) if draft.metric.better else None
    against_ceiling = None
    if answer is not None:
        place = stats.place_of(answer.interval, 1.0, run.margin)
        verdict = stats.verdict_of(place, higher_is_better=draft.metric.better is Better.HIGHER)
        against_ceiling = stats.CEILING_VERDICTS[answer.place] if draft.ceiling is not None else None
    return Row(
        draft.contrast,
        draft.cell,
        draft.metric,
        blocks=blocks,
        median=stats.median(draft.figures[0]),
        baseline_median=stats.median(draft.figures[1]),
        cv=draft.cv,
        ratio=draft.ratio,
        interval=answer.interval if answer else draft.ratio.interval() if draft.ratio else None,
        ceiling=draft.ceiling,
        verdict=verdict,
        against_ceiling=against_ceiling,
        blocks_to_tell=answer.blocks if answer else None,
        lost=draft.ours.lost_of_all(),
        notes=_notes(run, draft, answer, verdict),
    )


def _ceiling(run: _Run, contrast: Contrast, cell: Cell, metric: Metric, match: _Match) -> float | None:
    """Return what the wire allows of a ratio: both arms' ceilings over the underlay's, one by the other."""
    meta = run.meta
    if meta is None or not metric.ceiling or match.our_state is None or contrast.profile == contrast.baseline:
        return None
    if not _is_bounded_by_headers(cell):
        return None
    measure = MEASURES.get(cell.measure)
    protocol = str(cell.get("protocol") or (measure.protocol if measure else "tcp"))
    sizes = [int(one.get("size") or one.mtu) for one in (cell, contrast.baseline_cell(cell))]
    states = (match.our_state, match.base_state or WHOLE)
    ours, base = (
        wire.ceiling_ratio(protocol, size, profile.headers, run.nic_mtu, state, sizes[1], tunnel_mtu=profile.tunnel_mtu)
        for size, profile, state in zip(
            sizes, (meta.profiles[name] for name in (contrast.profile, contrast.baseline)), states, strict=True
        )
    )
    return ours / base if ours and base else None


def _is_bounded_by_headers(cell: Cell) -> bool:
    """Tell whether a cell fills the link; one that is offered less has no ceiling but the offer."""
    rate = cell.get("udp_rate")
    share = str(rate)
    return rate in (None, "none") or (share.endswith("%") and float(share[:-1]) >= 100)  # noqa: PLR2004 - per cent


def _notes(run: _Run, draft: _Draft, answer: stats.Answer | None, verdict: stats.Verdict | None) -> tuple[Note, ...]:
    contrast, cell, metric, match = draft.contrast, draft.cell, draft.metric, draft.match
    names = (contrast.profile, contrast.baseline)
    lacking = metric.ceiling and draft.ratio and run.meta and draft.ceiling is None and _is_bounded_by_headers(cell)
    lacking = lacking and names[0] != names[1]
    unlike = contrast.against is Against.PROFILE and contrast.baseline != UNDERLAY
    unlike = unlike and contrast.baseline_cell(cell).mtu != run.nic_mtu
    return notes.known(
        [
            notes.path_state(names[0], match.our_state, match.share),
            notes.path_state(names[1], match.base_state, match.share) if match.base_state != WHOLE else None,
            notes.no_ceiling(names[0], cell, match.our_state) if lacking else None,
            notes.lost(names[0], draft.ours),
            notes.lost(names[1], draft.base),
            *(_of_udp(*one, metric) for one in zip(names, (draft.ours, draft.base), strict=True)),
            notes.switched(contrast.profile, contrast.switch, metric, draft.ratio, verdict),
            notes.zeros(names[0], draft.ours.zeros(metric)),
            notes.zeros(names[1], draft.base.zeros(metric)),
            notes.other_baseline_mtu(names[1], run.nic_mtu, cell.mtu) if unlike else None,
            notes.few_blocks(len(match.ours)) if metric.better else None,
            notes.wide(answer, run.margin),
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


def rows_by(rows: Sequence[Row], against: Against) -> Mapping[tuple[str, str, Cell, str], Row]:
    """Return the rows of one kind of contrast by profile, baseline, cell and metric; of several states the first."""
    made: dict[tuple[str, str, Cell, str], Row] = {}
    for row in rows:
        if row.contrast.against is against:
            made.setdefault((row.contrast.profile, row.contrast.baseline, row.cell, row.metric.name), row)
    return made
