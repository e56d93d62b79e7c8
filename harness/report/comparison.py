"""Run B against run A, cell by cell: two runs share no blocks, so Welch's test on logarithms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import order_of
from harness.model.metrics import Better, Metric
from harness.model.notes import About, Note
from harness.model.path import PathState
from harness.model.trial import UNDERLAY, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms, reported
from harness.report.background import Background
from harness.report.trials import RunData
from harness.results.differences import differences
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats

_MOST_DIFFERENCES = 8


@dataclass(frozen=True)
class ComparedRow:
    """One profile, cell, metric and path state in both runs: trials with a figure, their medians, and B over A.

    `interval` is the ratio's, widened for all rows together, and `verdict` is read off it; where it decides nothing,
    `trials_to_tell` of each run would.
    """

    profile: str
    cell: Cell
    metric: Metric
    trials: tuple[int, int]
    medians: tuple[float | None, float | None]
    cv: float | None
    ratio: stats.Ratio | None
    interval: stats.Interval | None
    verdict: stats.Verdict | None
    trials_to_tell: int | None
    lost: tuple[int, int]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Comparison:
    """What the figures of two runs say of each other. `margin`: see Analysis. `notes` concern all rows."""

    metas: tuple[RunMeta | None, RunMeta | None]
    columns: Columns
    margin: float
    rows: tuple[ComparedRow, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Draft:
    """A row before the verdicts of its family; `share` is how many of both runs' figures are of its path state."""

    profile: str
    cell: Cell
    metric: Metric
    both: tuple[Arm, Arm]
    figures: tuple[Sequence[float], Sequence[float]]
    state: PathState | None
    share: tuple[int, int]

    @property
    def trials(self) -> int:
        return min(len(self.figures[0]), len(self.figures[1]))

    @property
    def cv(self) -> float | None:
        spreads = [stats.coefficient_of_variation(figures) for figures in self.figures]
        present = [spread for spread in spreads if spread is not None]
        return max(present, default=None) if self.metric.better else None

    @property
    def ratio(self) -> stats.Ratio | None:
        return stats.welch_ratio(self.figures[1], self.figures[0]) if self.metric.better and self.trials else None

    @property
    def question(self) -> stats.Question | None:
        ratio = self.ratio
        return None if ratio is None or stats.refusal(self.trials) else stats.Question(ratio)


def compare_runs(a: RunData, b: RunData, margin: float = stats.MARGIN) -> Comparison:
    """Return B / A for every profile, cell and metric that either has.

    Drift between the two runs is not told apart from a difference: inside one run profiles are interleaved, here
    they are not. What is not comparable by its surroundings carries a note, not an error.
    """
    runs = (a, b)
    both = arms(a.trials, a.meta), arms(b.trials, b.meta)
    columns = Columns(
        {**a.trials.columns.factors, **b.trials.columns.factors},
        {**a.trials.columns.metrics, **b.trials.columns.metrics},
    )
    keys = sorted({*both[0], *both[1]}, key=lambda key: (key[0] != UNDERLAY, key[0], order_of(key[1])))
    drafts = [
        draft
        for profile, cell in keys
        for metric in reported(cell, columns, [side[profile, cell] for side in both if (profile, cell) in side])
        for draft in _drafts(
            profile, cell, metric, (both[0].get((profile, cell), NOTHING), both[1].get((profile, cell), NOTHING))
        )
    ]
    answers = stats.answers([draft.question for draft in drafts], margin)
    rows = tuple(_row(draft, answer, runs, margin) for draft, answer in zip(drafts, answers, strict=True))
    return Comparison((a.meta, b.meta), columns, margin, rows, notes.known([*_differences(a, b), *_of_runs(runs)]))


def _drafts(profile: str, cell: Cell, metric: Metric, both: tuple[Arm, Arm]) -> list[_Draft]:
    """Return a draft for each path state that both runs have, the commonest first; else one of what there is."""
    figures = both[0].figures(metric), both[1].figures(metric)
    states = tuple(arm.states_of(own.index.tolist()) for arm, own in zip(both, figures, strict=True))
    total = sum(map(len, states))
    common = Counter(state for own in states for state in own if all(state in other for other in states))
    made = []
    for state, count in common.most_common():
        chosen = [
            [value for value, its in zip(own.tolist(), of_own, strict=True) if its == state]
            for own, of_own in zip(figures, states, strict=True)
        ]
        made.append(_Draft(profile, cell, metric, both, (chosen[0], chosen[1]), state, (count, total)))
    if made:
        return made
    # No state is in both runs: what is there is shown, and not compared.
    alone = (figures[0].tolist(), [] if len(figures[0]) else figures[1].tolist())
    return [_Draft(profile, cell, metric, both, alone, None, (total, total))]


def _row(draft: _Draft, answer: stats.Answer | None, runs: tuple[RunData, RunData], margin: float) -> ComparedRow:
    own: list[Note | None] = [notes.path_state(draft.profile, draft.state, draft.share, "trials")]
    if not draft.trials and all(len(arm.figures(draft.metric)) for arm in draft.both):
        own.append(Note(About.PATH_STATE, draft.profile, f"{draft.profile}: no path state is in both", "not compared"))
    for name, arm, run in zip("AB", draft.both, runs, strict=True):
        if arm is NOTHING:
            own.append(Note(About.LOST, name, f"{name} did not measure this cell"))
        own += [notes.lost(name, arm), notes.zeros(name, arm.zeros(draft.metric))]
        own.append(notes.single_threaded(draft.cell, run.meta))
    if draft.metric.better:
        own += [notes.few_blocks(draft.trials, "trials"), notes.wide(answer, margin)]
    verdict = stats.refusal(draft.trials) if draft.metric.better else None
    if answer is not None:
        place = stats.place_of(answer.interval, 1.0, margin)
        verdict = stats.verdict_of(place, higher_is_better=draft.metric.better is Better.HIGHER)
    for arm, run in zip(draft.both, runs, strict=True) if draft.metric.name in CPU_ROWS else ():
        verdict, loaded = Background.of(run).judged(draft.metric, [arm], verdict)
        own.append(loaded)
    lost = [arm.lost_of_all() for arm in draft.both]
    return ComparedRow(
        draft.profile,
        draft.cell,
        draft.metric,
        trials=(len(draft.figures[0]), len(draft.figures[1])),
        medians=(stats.median(draft.figures[0]), stats.median(draft.figures[1])),
        cv=draft.cv,
        ratio=draft.ratio,
        interval=answer.interval if answer else draft.ratio.interval() if draft.ratio else None,
        verdict=verdict,
        trials_to_tell=answer.blocks if answer and verdict is not stats.Verdict.DISTURBED else None,
        lost=(sum(one for one, _ in lost), sum(all_of for _, all_of in lost)),
        notes=notes.known(own),
    )


def _differences(a: RunData, b: RunData) -> list[Note]:
    """Return a note for each of the first differences, and how many more there are."""
    differing = [notes.difference(*one) for one in differences(a.meta, b.meta, a.environment, b.environment)]
    more = len(differing) - _MOST_DIFFERENCES
    if more <= 0:
        return differing
    return [*differing[:_MOST_DIFFERENCES], Note(About.DIFFERENCE, "", f"{more} more differences between A and B")]


def _of_runs(runs: tuple[RunData, RunData]) -> list[Note]:
    """Return what concerns all figures of one of the runs, its letter in front."""
    return [
        Note(note.about, name, f"{name}: {note.fact}", note.advice, note.value)
        for name, run in zip("AB", runs, strict=True)
        for note in notes.of_run(run.trials.notes, run.meta)
    ]
