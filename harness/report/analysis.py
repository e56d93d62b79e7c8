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
from harness.model.path import WHOLE
from harness.model.trial import UNDERLAY, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms
from harness.report.background import Background
from harness.report.ceilings import Ceiling, ceiling_of, is_bounded_by_headers, wire_shares
from harness.report.collapse import collapses
from harness.report.contrasts import Against, Arms, Contrast, contrasts
from harness.report.match import Match, setups_of
from harness.report.reported import replies, reported
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats, verdicts
from harness.truth.shares import Difference
from harness.truth.spread import Spread


@dataclass(frozen=True)
class Row:
    """One contrast of one cell and metric.

    `blocks` are those in which both arms have a figure, of one path state each; the medians are over these, and over
    all ok trials where there is no such block. `cv` is standard deviation over mean, of the arm where it is larger.
    A metric is compared by its `ratio`, or, where it is a share, by its `difference`. `interval` is that one's, widened
    for its family: `verdict` is read off it, and so is `against_ceiling`, where `ceiling` is what the headers allow the
    ratio to be. Where it decides nothing, `blocks_to_tell` would, or `setups_to_tell` of a run of several, where these
    are the samples. `wire_shares` are what profile and baseline reached of their own ceilings, `replies` what a
    percentile of the profile is of. `lost` are trials of the profile without a figure, of how many.
    """

    contrast: Contrast
    cell: Cell
    metric: Metric
    blocks: int
    median: float | None
    baseline_median: float | None
    replies: int | None
    wire_shares: tuple[float | None, float | None]
    cv: float | None
    ratio: stats.Ratio | None
    difference: Difference | None
    interval: stats.Interval | None
    ceiling: float | None
    verdict: verdicts.Verdict | None
    against_ceiling: verdicts.AgainstCeiling | None
    blocks_to_tell: int | None
    setups_to_tell: int | None
    lost: tuple[int, int]
    notes: tuple[Note, ...]

    @property
    def spread(self) -> Spread | None:
        """By how much ratio or difference scatters, where set-ups are the samples."""
        estimate = self.ratio or self.difference
        return estimate.spread if estimate else None


@dataclass(frozen=True)
class Analysis:
    """What the figures of a run say. `margin`: a ratio that near to 1 makes no difference. `notes` concern all rows."""

    meta: RunMeta | None
    columns: Columns
    margin: float
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Run:
    """What every row is made from; `setup_of` is each block's set-up, where there are several."""

    arms: Arms
    meta: RunMeta | None
    columns: Columns
    nic_mtu: int
    margin: float
    background: Background
    setup_of: Mapping[int, int]


def analyse(run: RunData, margin: float = verdicts.MARGIN) -> Analysis:
    """Return the analysis of a run; a ratio within the margin of what it is held against makes no difference.

    Without run.json there are no ceilings, and no metrics that depend on it.
    """
    table = run.trials.table
    by_cell = arms(run.trials, run.meta)
    background, setup_of = Background.of(run), setups_of(table)
    made = _Run(by_cell, run.meta, run.trials.columns, run.nic_mtu, margin, background, setup_of)
    kinds = dict(zip(*(map(str, table.words[name].tolist()) for name in ("profile", "kind")), strict=True))
    drafts = [
        draft
        for contrast, cell in contrasts(by_cell, kinds, run.nic_mtu)
        for metric in _metrics(made, contrast, cell)
        for draft in _drafts(made, contrast, cell, metric)
    ]
    rows = tuple(_row(made, draft, answer) for draft, answer in zip(drafts, _answers(drafts, margin), strict=True))
    of_run = notes.known([*notes.of_run(run.trials.notes, run.meta), *collapses(run)])
    return Analysis(run.meta, run.trials.columns, margin, rows, of_run)


def _metrics(run: _Run, contrast: Contrast, cell: Cell) -> list[Metric]:
    """Return the metrics of a contrast; of two measures, those that both report."""
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    metrics = reported(cell, run.columns, [ours], [base])
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
    match: Match
    figures: tuple[Sequence[float], Sequence[float]]
    estimate: stats.Ratio | Difference | None
    ceiling: Ceiling | None
    cv: float | None

    @property
    def ratio(self) -> stats.Ratio | None:
        """The ratio, where that is how the metric is compared."""
        return self.estimate if isinstance(self.estimate, stats.Ratio) else None

    @property
    def question(self) -> verdicts.Question | None:
        """What is asked of the statistics; None for a metric that is not compared, and for too few blocks."""
        if not self.metric.better or self.estimate is None or self.match.refusal:
            return None
        return verdicts.Question(self.estimate, self.ceiling.ratio if self.ceiling else None)


def _drafts(run: _Run, contrast: Contrast, cell: Cell, metric: Metric) -> list[_Draft]:
    ours = run.arms.get((contrast.profile, cell), NOTHING)
    base = run.arms.get((contrast.baseline, contrast.baseline_cell(cell)), NOTHING)
    return [
        _draft(run, contrast, cell, metric, ours, base, match)
        for match in Match.all_of(ours, base, metric, run.setup_of)
    ]


def _draft(run: _Run, contrast: Contrast, cell: Cell, metric: Metric, ours: Arm, base: Arm, match: Match) -> _Draft:
    figures = (match.ours or ours.figures(metric).tolist(), match.base or base.figures(metric).tolist())
    spreads = map(stats.coefficient_of_variation, figures)
    cv = max((spread for spread in spreads if spread is not None), default=None) if metric.better else None
    estimate = _estimate(cell, metric, ours, base, match) if metric.better and match.ours else None
    states = (match.our_state, match.base_state)
    ceiling = ceiling_of(run.meta, run.nic_mtu, contrast, cell, metric, states) if estimate else None
    return _Draft(contrast, cell, metric, ours, base, match, figures, estimate, ceiling, cv)


def _estimate(cell: Cell, metric: Metric, ours: Arm, base: Arm, match: Match) -> stats.Ratio | Difference:
    """Return the ratio of two arms, or the difference of their shares."""
    if metric.tries:
        return match.difference((ours.tries(metric), base.tries(metric)))
    measure = MEASURES.get(cell.measure)
    sizes = [measure.step(metric.name, min(arm)) if measure else 0.0 for arm in (match.ours, match.base)]
    return match.ratio((sizes[0], sizes[1]))


def _answers(drafts: Sequence[_Draft], margin: float) -> list[verdicts.Answer | None]:
    """Return what each draft's interval says.

    The rows of one kind of contrast are a family; those that have a ceiling are one of their own, held against it: that
    headers cost something is known beforehand, and what is known must not make others easier to believe. So are
    losses, which are none as a rule.
    """
    made: list[verdicts.Answer | None] = [None] * len(drafts)
    families: dict[tuple[Against, bool, bool], list[int]] = {}
    for number, draft in enumerate(drafts):
        key = (draft.contrast.against, draft.ceiling is not None, bool(draft.metric.tries))
        families.setdefault(key, []).append(number)
    for members in families.values():
        for number, answer in zip(
            members, verdicts.answers([drafts[n].question for n in members], margin), strict=True
        ):
            made[number] = answer
    return made


def _row(run: _Run, draft: _Draft, answer: verdicts.Answer | None) -> Row:
    blocks = len(draft.match.ours)
    verdict = draft.match.refusal if draft.metric.better else None
    against_ceiling = None
    if answer is not None and draft.estimate is not None:
        place = verdicts.place_of(verdicts.Question(draft.estimate), answer.interval, run.margin)
        verdict = verdicts.verdict_of(place, higher_is_better=draft.metric.better is Better.HIGHER)
        against_ceiling = verdicts.CEILING_VERDICTS[answer.place] if draft.ceiling is not None else None
    verdict, loaded = run.background.judged(draft.metric, (draft.ours, draft.base), verdict)
    to_tell = answer.blocks if answer and verdict is not verdicts.Verdict.DISTURBED else None
    medians = (stats.median(draft.figures[0]), stats.median(draft.figures[1]))
    return Row(
        draft.contrast,
        draft.cell,
        draft.metric,
        blocks=blocks,
        median=medians[0],
        baseline_median=medians[1],
        replies=replies(draft.ours, draft.metric),
        wire_shares=wire_shares(run.meta, draft.cell, draft.metric, draft.ceiling, medians),
        cv=draft.cv,
        ratio=draft.ratio,
        difference=draft.estimate if isinstance(draft.estimate, Difference) else None,
        interval=answer.interval if answer else draft.estimate.interval() if draft.estimate else None,
        ceiling=draft.ceiling.ratio if draft.ceiling else None,
        verdict=verdict,
        against_ceiling=against_ceiling,
        blocks_to_tell=None if draft.match.samples else to_tell,
        setups_to_tell=to_tell if draft.match.samples else None,
        lost=draft.ours.lost_of_all(),
        notes=notes.known([*_notes(run, draft, answer, verdict), loaded]),
    )


def _notes(
    run: _Run, draft: _Draft, answer: verdicts.Answer | None, verdict: verdicts.Verdict | None
) -> tuple[Note, ...]:
    contrast, cell, metric, match = draft.contrast, draft.cell, draft.metric, draft.match
    names = (contrast.profile, contrast.baseline)
    lacking = metric.ceiling and draft.ratio and run.meta and draft.ceiling is None and is_bounded_by_headers(cell)
    lacking = lacking and names[0] != names[1]
    unlike = contrast.against is Against.PROFILE and contrast.baseline != UNDERLAY
    unlike = unlike and contrast.baseline_cell(cell).mtu != run.nic_mtu
    return notes.known(
        [
            notes.path_state(names[0], match.our_state, match.share),
            notes.path_state(names[1], match.base_state, match.share) if match.base_state != WHOLE else None,
            notes.no_ceiling(names[0], cell, match.our_state) if lacking else None,
            *(notes.lost(name, arm) for name, arm in zip(names, (draft.ours, draft.base), strict=True)),
            *(_of_udp(*one, metric) for one in zip(names, (draft.ours, draft.base), strict=True)),
            _of_tcp(run, draft) if draft.ceiling else None,
            notes.switched(contrast.profile, contrast.switch, metric, draft.ratio, verdict),
            *(
                notes.zeros(name, len(arm.zeros(metric)))
                for name, arm in zip(names, (draft.ours, draft.base), strict=True)
            ),
            notes.other_baseline_mtu(names[1], run.nic_mtu, cell.mtu) if unlike else None,
            notes.few_blocks(len(match.ours)) if metric.better else None,
            notes.few_setups(match.samples) if metric.better else None,
            notes.wide(answer, run.margin, "set-up" if match.samples else "block", of_shares=bool(metric.tries)),
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


def _of_tcp(run: _Run, draft: _Draft) -> Note | None:
    """Say beside a goodput which share of it went out twice."""
    resent = stats.median(draft.ours.figures(METRICS["retransmits"]).tolist())
    if run.meta is None or resent is None:
        return None
    per_s = resent / run.meta.plan.timing.duration_s
    goodput = stats.median(draft.figures[0])
    return notes.sent_again(draft.contrast.profile, draft.cell, draft.match.our_state, goodput, per_s)


def rows_by(rows: Sequence[Row], against: Against) -> Mapping[tuple[str, str, Cell, str], Row]:
    """Return the rows of one kind of contrast by profile, baseline, cell and metric; of several states the first."""
    made: dict[tuple[str, str, Cell, str], Row] = {}
    for row in rows:
        if row.contrast.against is against:
            made.setdefault((row.contrast.profile, row.contrast.baseline, row.cell, row.metric.name), row)
    return made
