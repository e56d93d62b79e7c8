"""A run against itself: both arms are measured alike, so an interval that leaves 1 out, or a verdict, is false."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.measures.registry import order_of
from harness.model.errors import InputError
from harness.model.metrics import Better, Metric
from harness.model.notes import About, Note
from harness.model.trial import ARM, ARMS, Cell
from harness.report import notes
from harness.report.arms import NOTHING, Arm, arms, matched_but_zeros
from harness.report.collapse import collapses
from harness.report.reported import reported
from harness.report.tables import Whole
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import power, stats, verdicts

FALSE = (verdicts.Verdict.WORSE, verdicts.Verdict.BETTER)
"""Verdicts that are false where both arms are the same."""


@dataclass(frozen=True)
class AaRow:
    """One cell and metric of a profile, arm a over arm b.

    `runs` are those that have an interval, `missed` in how many of them it leaves 1 out, `chance` between which counts
    that lies in 95 % of cases where intervals are right. `verdicts` counts those of the runs, at the margin and with
    all rows of a run as one family. `half_width` is the median of the plain 95 % intervals, `scatter` the standard
    deviation of block log-ratios, pooled over the runs (`freedom`: its degrees), and `told` the smallest difference
    that a run tells in 80 % of cases; None where no run has an interval.
    """

    profile: str
    cell: Cell
    metric: Metric
    runs: int
    missed: int
    chance: tuple[int, int]
    verdicts: Mapping[verdicts.Verdict, int]
    half_width: float | None
    scatter: float | None
    freedom: int
    told: float | None
    notes: tuple[Note, ...]

    @property
    def false(self) -> int:
        """In how many runs there is a verdict that there is a difference."""
        return sum(self.verdicts.get(verdict, 0) for verdict in FALSE)


@dataclass(frozen=True)
class AaAnalysis:
    """What a run against itself says: of `runs` whole runs of so many `blocks` each, `false_runs` have a false verdict.

    `columns` are those of trials.csv without the arm. `notes` concern all rows.
    """

    meta: RunMeta
    columns: Columns
    margin: float
    runs: int
    blocks: int
    false_runs: int
    rows: tuple[AaRow, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Draft:
    """A row before the verdicts: the ratio of each whole run, None where the run has no pair of figures."""

    profile: str
    cell: Cell
    metric: Metric
    ratios: Sequence[stats.Ratio | None]
    notes: tuple[Note, ...]


def is_against_itself(run: RunData) -> bool:
    """Tell whether a run has two arms that are measured alike."""
    return ARM in run.trials.columns.factors


def analyse_aa(run: RunData, margin: float = verdicts.MARGIN) -> AaAnalysis:
    """Return what a run against itself says of the statistics and the lab.

    Raises:
        InputError: there is no run.json, which says how many blocks make a run, or no run was measured to its end.
    """
    if run.meta is None:
        raise InputError("a run against itself is read with its run.json, which says how many blocks make a run.")
    blocks = run.meta.plan.blocks // run.meta.plan.runs
    whole = _whole_runs(run.trials.table.whole["block"], blocks)
    if not whole:
        raise InputError(f"no run of {blocks} blocks was measured to its end, so there is nothing to count.")
    drafts = [*_drafts(run, whole, blocks)]
    decided = [_verdicts([draft.ratios[number] for draft in drafts], drafts, margin) for number in range(len(whole))]
    rows = tuple(
        _row(draft, Counter(own[number] for own in decided if own[number]), blocks)
        for number, draft in enumerate(drafts)
    )
    columns = run.trials.columns
    factors = {name: factor for name, factor in columns.factors.items() if name != ARM}
    of_run = notes.known([*notes.of_run(run.trials.notes, run.meta), *_left_out(run, whole), *collapses(run)])
    false_runs = sum(any(verdict in FALSE for verdict in own) for own in decided)
    return AaAnalysis(run.meta, Columns(factors, columns.metrics), margin, len(whole), blocks, false_runs, rows, of_run)


def _whole_runs(of_trials: Whole, blocks: int) -> list[int]:
    """Return the runs, from 0, of which every trial is there, from the block of each trial."""
    _, in_block = np.unique(of_trials, return_counts=True)
    runs, in_run = np.unique((of_trials - 1) // blocks, return_counts=True)
    return [int(number) for number in runs[in_run == blocks * in_block.max()]]


def _left_out(run: RunData, whole: Sequence[int]) -> list[Note]:
    """Say how much of what was planned is not counted."""
    planned = run.meta.plan.runs if run.meta else 0
    if len(whole) == planned:
        return []
    return [Note(About.BLOCKS, "", f"{len(whole)} of {planned} runs were measured to their end", "others do not count")]


def _drafts(run: RunData, whole: Sequence[int], blocks: int) -> Iterator[_Draft]:
    by_cell = arms(run.trials, run.meta)
    cells = dict.fromkeys((profile, cell.without(ARM)) for profile, cell in by_cell)
    for profile, cell in sorted(cells, key=lambda key: (key[0], order_of(key[1]))):
        both = [by_cell.get((profile, cell.at(((ARM, arm),))), NOTHING) for arm in ARMS]
        for metric in reported(cell, run.trials.columns, both):
            if metric.better and not metric.tries:
                yield _draft(profile, cell, metric, both, whole, blocks)


def _draft(profile: str, cell: Cell, metric: Metric, both: Sequence[Arm], whole: Sequence[int], blocks: int) -> _Draft:
    """Return the ratios of a row, of blocks in which both arms were in the commonest pair of path states.

    A run with a figure of 0 has none: see `matched`.
    """
    pairs = matched_but_zeros(both[0], both[1], metric)
    zeros = {(block - 1) // blocks for arm in both for block in arm.zeros(metric).tolist()}
    common, count = (pairs[0].states, len(pairs[0].blocks)) if pairs else ((None, None), 0)
    ratios = []
    for number in whole:
        own = (pairs[0].blocks - 1) // blocks == number if pairs else np.empty(0, np.bool_)
        ratios.append(
            stats.paired_ratio(pairs[0].ours[own].tolist(), pairs[0].base[own].tolist())
            if own.any() and number not in zeros
            else None
        )
    said = [notes.path_state(profile, common[0], (count, sum(len(pair.blocks) for pair in pairs)))]
    said += [one for arm in both for one in (notes.lost(profile, arm), notes.zeros(profile, len(arm.zeros(metric))))]
    return _Draft(profile, cell, metric, ratios, notes.known(said))


def _verdicts(
    ratios: Sequence[stats.Ratio | None], drafts: Sequence[_Draft], margin: float
) -> list[verdicts.Verdict | None]:
    """Return the verdict of each row in one run, None where there are too few blocks; all of them are one family."""
    questions = [None if ratio is None or verdicts.refusal(ratio.n) else verdicts.Question(ratio) for ratio in ratios]
    return [
        None
        if answer is None
        else verdicts.verdict_of(answer.place, higher_is_better=draft.metric.better is Better.HIGHER)
        for answer, draft in zip(verdicts.answers(questions, margin), drafts, strict=True)
    ]


def _row(draft: _Draft, counts: Mapping[verdicts.Verdict | None, int], blocks: int) -> AaRow:
    known = [(ratio, ratio.interval()) for ratio in draft.ratios if ratio is not None]
    intervals = [interval for _, interval in known if interval is not None]
    scatters = [(power.scatter_of(ratio) or 0.0, ratio.n - 1) for ratio, interval in known if interval is not None]
    scatter = power.pooled(scatters)
    return AaRow(
        draft.profile,
        draft.cell,
        draft.metric,
        runs=len(intervals),
        missed=sum(not interval.low <= 1 <= interval.high for interval in intervals),
        chance=power.chance_bounds(len(intervals)),
        verdicts={verdict: count for verdict, count in counts.items() if verdict is not None},
        half_width=stats.median([interval.half_width for interval in intervals]),
        scatter=scatter,
        freedom=sum(freedom for _, freedom in scatters),
        told=None if scatter is None else power.least_told(scatter, blocks),
        notes=draft.notes,
    )
