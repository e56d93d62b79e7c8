"""Run B against run A, cell by cell: two runs share no blocks, so Welch's test on logarithms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.measures.registry import order_of
from harness.model.metrics import Metric
from harness.model.notes import About, Note
from harness.model.path import PathState
from harness.model.trial import UNDERLAY, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms, reported
from harness.report.trials import RunData
from harness.results.differences import differences
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats

_MOST_DIFFERENCES = 8


@dataclass(frozen=True)
class ComparedRow:
    """One profile, cell and metric in both runs: trials with a figure, their medians, and B over A."""

    profile: str
    cell: Cell
    metric: Metric
    trials: tuple[int, int]
    medians: tuple[float | None, float | None]
    cv: float | None
    ratio: stats.Ratio | None
    verdict: stats.Verdict | None
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Comparison:
    """What the figures of two runs say of each other. `notes` concern all rows."""

    metas: tuple[RunMeta | None, RunMeta | None]
    columns: Columns
    rows: tuple[ComparedRow, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Draft:
    """A row before the verdicts of its family."""

    profile: str
    cell: Cell
    metric: Metric
    both: tuple[Arm, Arm]
    figures: tuple[Sequence[float], Sequence[float]]
    states: Counter[PathState]

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
        comparable = self.metric.better and self.trials and len(self.states) <= 1
        return stats.welch_ratio(self.figures[1], self.figures[0]) if comparable else None

    @property
    def question(self) -> stats.Question | None:
        if not self.metric.better:
            return None
        mixed = self.trials > 0 and len(self.states) > 1
        refused = stats.Verdict.MIXED_PATH_STATES if mixed else stats.refusal(self.trials, self.cv)
        return stats.Question(self.ratio, self.metric.better == "higher", refused)


def compare_runs(a: RunData, b: RunData) -> Comparison:
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
        _draft(profile, cell, metric, (both[0].get((profile, cell), NOTHING), both[1].get((profile, cell), NOTHING)))
        for profile, cell in keys
        for metric in reported(cell, columns, [side[profile, cell] for side in both if (profile, cell) in side])
    ]
    verdicts = stats.verdicts([draft.question for draft in drafts])
    rows = tuple(_row(draft, verdict, runs) for draft, verdict in zip(drafts, verdicts, strict=True))
    return Comparison((a.meta, b.meta), columns, rows, notes.known([*_differences(a, b), *_of_runs(runs)]))


def _draft(profile: str, cell: Cell, metric: Metric, both: tuple[Arm, Arm]) -> _Draft:
    figures = both[0].figures(metric), both[1].figures(metric)
    states = both[0].path_states(figures[0].index.tolist()) + both[1].path_states(figures[1].index.tolist())
    return _Draft(profile, cell, metric, both, (figures[0].tolist(), figures[1].tolist()), states)


def _row(draft: _Draft, verdict: stats.Verdict | None, runs: tuple[RunData, RunData]) -> ComparedRow:
    own: list[Note | None] = [notes.path_states(draft.profile, draft.states)]
    for name, arm, run in zip("AB", draft.both, runs, strict=True):
        if arm is NOTHING:
            own.append(Note(About.LOST, name, f"{name} did not measure this cell"))
        own += [notes.lost(name, arm), notes.zeros(name, arm.zeros(draft.metric))]
        own.append(notes.single_threaded(draft.cell, run.meta))
    if draft.metric.better:
        own += [notes.few_blocks(draft.trials, "trials"), notes.spread(draft.cv, draft.trials)]
    return ComparedRow(
        draft.profile,
        draft.cell,
        draft.metric,
        trials=(len(draft.figures[0]), len(draft.figures[1])),
        medians=(stats.median(draft.figures[0]), stats.median(draft.figures[1])),
        cv=draft.cv,
        ratio=draft.ratio,
        verdict=verdict,
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
