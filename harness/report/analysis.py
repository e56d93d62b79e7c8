"""The analysis of a run: one row for each contrast and metric, with its ratio, ceiling, verdict and notes.

Table, CSV, JSON and Markdown all render this one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.model.metrics import Better, Metric
from harness.model.notes import Note
from harness.model.trial import Cell
from harness.report import notes
from harness.report.arms import arms
from harness.report.background import Background
from harness.report.ceilings import wire_shares
from harness.report.collapse import collapses
from harness.report.contrasts import Against, Contrast
from harness.report.drafts import Compared, Draft, drafts_of
from harness.report.match import setups_of
from harness.report.own_mtu import largest_mtus, unmeasured
from harness.report.reported import replies
from harness.report.row_notes import notes_of_row
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
    ratio to be. Beside a ratio, `added` is what the profile has more than the baseline, in the metric's unit, with an
    interval of the same level. Where it decides nothing, `blocks_to_tell` would, or `setups_to_tell` of a run of
    several, where these are the samples. `wire_shares` are what profile and baseline reached of their own ceilings,
    `replies` what a percentile of the profile is of. `lost` are trials of the profile without a figure, of how many.
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
    added: float | None
    added_interval: stats.Interval | None
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
    """What the figures of a run say. `margin`: a ratio that near to 1 makes no difference. `notes` concern all rows.

    `largest_mtus` are the largest packets that profiles carry whole.
    """

    meta: RunMeta | None
    columns: Columns
    margin: float
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    largest_mtus: Mapping[str, int]


def analyse(run: RunData, margin: float = verdicts.MARGIN) -> Analysis:
    """Return the analysis of a run; a ratio within the margin of what it is held against makes no difference.

    Without run.json there are no ceilings, and no metrics that depend on it.
    """
    table = run.trials.table
    by_cell = arms(run.trials, run.meta)
    background, setup_of = Background.of(run), setups_of(table)
    largest = largest_mtus(by_cell, run.meta, run.nic_mtu)
    made = Compared(by_cell, run.meta, run.trials.columns, run.nic_mtu, margin, background, setup_of, largest)
    kinds = dict(zip(*(map(str, table.words[name].tolist()) for name in ("profile", "kind")), strict=True))
    drafts = drafts_of(made, kinds)
    rows = tuple(_row(made, draft, answer) for draft, answer in zip(drafts, _answers(drafts, margin), strict=True))
    of_run = [*notes.of_run(run.trials.notes, run.meta), *unmeasured(by_cell, largest), *collapses(run)]
    return Analysis(run.meta, run.trials.columns, margin, rows, notes.known(of_run), largest)


def _answers(drafts: Sequence[Draft], margin: float) -> list[verdicts.Answer | None]:
    """Return what each draft's interval says, widened for its family."""
    made: list[verdicts.Answer | None] = [None] * len(drafts)
    families: dict[tuple[Against, bool, bool], list[int]] = {}
    for number, draft in enumerate(drafts):
        families.setdefault(draft.family, []).append(number)
    for members in families.values():
        for number, answer in zip(
            members, verdicts.answers([drafts[n].question for n in members], margin), strict=True
        ):
            made[number] = answer
    return made


def _row(run: Compared, draft: Draft, answer: verdicts.Answer | None) -> Row:
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
        added=draft.added.mean if draft.added else None,
        added_interval=draft.added.interval(answer.alpha if answer else stats.ALPHA) if draft.added else None,
        ceiling=draft.ceiling.ratio if draft.ceiling else None,
        verdict=verdict,
        against_ceiling=against_ceiling,
        blocks_to_tell=None if draft.match.samples else to_tell,
        setups_to_tell=to_tell if draft.match.samples else None,
        lost=draft.ours.lost_of_all(),
        notes=notes.known([*notes_of_row(run, draft, answer, verdict), loaded]),
    )


def rows_by(rows: Sequence[Row], against: Against) -> Mapping[tuple[str, str, Cell, str], Row]:
    """Return the rows of one kind of contrast by profile, baseline, cell and metric; of several states the first."""
    made: dict[tuple[str, str, Cell, str], Row] = {}
    for row in rows:
        if row.contrast.against is against:
            made.setdefault((row.contrast.profile, row.contrast.baseline, row.cell, row.metric.name), row)
    return made
