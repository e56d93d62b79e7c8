"""Runs B against runs A, cell by cell.

Two runs share no machine state, and a machine that is another one by 2 % makes every figure differ by 2 %. So what is
judged is each run's ratio to its own underlay; absolute figures stand beside it, and are judged only where the underlay
itself is the same. With one run a side the sample is the block, with several the run: the highest level that varies
(Kalibera and Jones 2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import order_of
from harness.model.metrics import Better, Metric
from harness.model.notes import Note
from harness.model.trial import UNDERLAY, Cell
from harness.report import compared_notes
from harness.report.reported import reported
from harness.report.samples import Basis, Draft, Sample, drafts
from harness.report.sides import Side, sides_of
from harness.report.trials import RunData
from harness.results.meta import RunMeta
from harness.results.schema import Columns
from harness.truth import stats, verdicts
from harness.truth.shares import Difference


@dataclass(frozen=True)
class ComparedRow:
    """One profile, cell, metric and path state on both sides, by one basis: samples, what they are, and B over A.

    `figures` are geometric means over the samples, medians of a metric that is not compared. `interval` is the ratio's,
    widened for all rows that are asked together, and `verdict` is read off it; where it decides nothing,
    `samples_to_tell` of each side would. An absolute figure whose underlay is not the same on both sides has no
    verdict. `is_gone`: A has figures, and every trial of B is lost.
    """

    basis: Basis
    profile: str
    cell: Cell
    metric: Metric
    samples: tuple[int, int]
    figures: tuple[float | None, float | None]
    cv: float | None
    ratio: stats.Ratio | None
    difference: Difference | None
    interval: stats.Interval | None
    verdict: verdicts.Verdict | None
    samples_to_tell: int | None
    lost: tuple[int, int]
    is_gone: bool
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Comparison:
    """What the figures of two sides say of each other. `margin`: see Analysis. `notes` concern all rows."""

    metas: tuple[Mapping[str, RunMeta | None], Mapping[str, RunMeta | None]]
    sample: Sample
    columns: Columns
    margin: float
    rows: tuple[ComparedRow, ...]
    notes: tuple[Note, ...]


def compare_runs(
    a: Sequence[RunData],
    b: Sequence[RunData],
    margin: float = verdicts.MARGIN,
    *,
    across_hosts: bool = False,
    metrics: Sequence[str] = (),
) -> Comparison:
    """Return B / A for every profile, cell and metric that any run has; of `metrics` only, where there are any.

    What is not comparable by its surroundings carries a note, not an error. Rows that are not asked for widen no
    interval.

    Raises:
        InputError: what `sides_of` refuses.
    """
    sides = sides_of(a, b, across_hosts=across_hosts)
    members = [*sides[0], *sides[1]]
    sample = Sample.RUN if len(members) > 2 else Sample.BLOCK  # noqa: PLR2004 - one of each side
    trials = [member.run.trials for member in members]
    columns = Columns(
        {name: factor for one in trials for name, factor in one.columns.factors.items()},
        {name: metric for one in trials for name, metric in one.columns.metrics.items()},
    )
    asked = [
        (profile, cell, metric)
        for profile, cell in sorted(
            dict.fromkeys(key for member in members for key in member.arms),
            key=lambda key: (key[0] != UNDERLAY, key[0], order_of(key[1])),
        )
        for metric in reported(cell, columns, [member.arm(profile, cell) for member in members])
        if not metrics or metric.name in metrics
    ]
    ratios, underlays, absolutes = (
        [draft for key in keys for draft in drafts(basis, *key, sides, sample)]
        for basis, keys in (
            (Basis.UNDERLAY, [key for key in asked if key[0] != UNDERLAY and key[2].better]),
            (Basis.ABSOLUTE, [key for key in asked if key[0] == UNDERLAY]),
            (Basis.ABSOLUTE, [key for key in asked if key[0] != UNDERLAY]),
        )
    )
    rows = _rows(ratios, {}, margin)
    own = _rows(underlays, {}, margin)
    rows += own + _rows(absolutes, {(row.cell, row.metric.name): row for row in reversed(own)}, margin)
    metas = tuple({member.name: member.meta for member in side} for side in sides)
    return Comparison((metas[0], metas[1]), sample, columns, margin, tuple(rows), compared_notes.of_all(sides))


def _rows(
    asked: Sequence[Draft], underlays: Mapping[tuple[Cell, str], ComparedRow], margin: float
) -> list[ComparedRow]:
    """Return the rows of one basis; an absolute figure is asked for only where its underlay's row says `same`.

    Those that are compared by a ratio are a family, losses another one.
    """
    estimates = [draft.estimate for draft in asked]
    moved = [_moved(draft, underlays) if _is_gated(draft) else None for draft in asked]
    questions = [
        verdicts.Question(estimate) if estimate and not draft.refusal and not gate else None
        for draft, estimate, gate in zip(asked, estimates, moved, strict=True)
    ]
    answers: list[verdicts.Answer | None] = [None] * len(asked)
    for of_shares in (False, True):
        own = [number for number, draft in enumerate(asked) if bool(draft.metric.tries) is of_shares]
        for number, answer in zip(own, verdicts.answers([questions[n] for n in own], margin), strict=True):
            answers[number] = answer
    return [_row(*one, margin) for one in zip(asked, estimates, answers, moved, strict=True)]


def _moved(draft: Draft, underlays: Mapping[tuple[Cell, str], ComparedRow]) -> Note | None:
    """Say why an absolute figure has no verdict, None where its underlay is the same."""
    cells = draft.underlay_cells
    row = underlays.get((min(cells, key=order_of), draft.metric.name)) if len(cells) == 1 else None
    if row is None:
        return compared_notes.moved(None, None)
    return None if row.verdict is verdicts.Verdict.SAME else compared_notes.moved(row.verdict, row.ratio)


def _is_gated(draft: Draft) -> bool:
    """Tell whether a verdict depends on what the underlay did."""
    return draft.basis is Basis.ABSOLUTE and draft.profile != UNDERLAY and bool(draft.samples) and not draft.refusal


def _row(
    draft: Draft,
    estimate: stats.Ratio | Difference | None,
    answer: verdicts.Answer | None,
    moved: Note | None,
    margin: float,
) -> ComparedRow:
    verdict, notes = draft.refusal, compared_notes.of_row(draft, answer, moved, margin)
    if answer is not None and draft.profile == UNDERLAY:
        verdict = verdicts.movement_of(answer.place)
    elif answer is not None:
        verdict = verdicts.verdict_of(answer.place, higher_is_better=draft.metric.better is Better.HIGHER)
    if draft.metric.name in CPU_ROWS:
        verdict, notes = _disturbed(draft, verdict, notes)
    lost, lost_of_b = (_lost(draft, sides) for sides in (draft.sides, draft.sides[1:]))
    return ComparedRow(
        draft.basis,
        draft.profile,
        draft.cell,
        draft.metric,
        samples=(len(draft.figures[0]), len(draft.figures[1])),
        figures=draft.middles,
        cv=draft.cv,
        ratio=estimate if isinstance(estimate, stats.Ratio) else None,
        difference=estimate if isinstance(estimate, Difference) else None,
        interval=answer.interval if answer else estimate.interval() if estimate else None,
        verdict=verdict,
        samples_to_tell=answer.blocks if answer else None,
        lost=lost,
        is_gone=len(draft.figures[0]) > 0 and lost_of_b[0] == lost_of_b[1] > 0,
        notes=notes,
    )


def _lost(draft: Draft, sides: Sequence[Side]) -> tuple[int, int]:
    """Return how many trials of a row have no figure on these sides, and how many there are."""
    counts = [one.arm(draft.profile, draft.cell).lost_of_all() for side in sides for one in side]
    return sum(lost for lost, _ in counts), sum(all_of for _, all_of in counts)


def _disturbed(
    draft: Draft, verdict: verdicts.Verdict | None, notes: tuple[Note, ...]
) -> tuple[verdicts.Verdict | None, tuple[Note, ...]]:
    """Return what becomes of a row of CPU time, and what is to be said, where others used too much beside a run."""
    for member in (one for side in draft.sides for one in side):
        arms = [member.arm(draft.profile, draft.cell)]
        if draft.basis is Basis.UNDERLAY:
            arms.append(member.arm(UNDERLAY, member.underlay_cell(draft.cell)))
        verdict, loaded = member.background.judged(draft.metric, arms, verdict)
        notes += (loaded,) if loaded and loaded not in notes else ()
    return verdict, notes
