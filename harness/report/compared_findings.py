"""What two sides say of each other, in sentences; and what of it a gate stops at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.measures.metrics import CPU_SHARES
from harness.model.errors import InputError
from harness.report.comparison import ComparedRow, Comparison
from harness.report.page import interval_text, points_text, ratio_text, share_text
from harness.report.samples import Basis, Sample
from harness.report.titles import row_name, section_title
from harness.truth.verdicts import Verdict

_DECIDED = (Verdict.SAME, Verdict.BETTER, Verdict.WORSE)
_MOST_NAMED = 6


@dataclass(frozen=True)
class Outcome:
    """What became of the rows that are judged: each profile's, over its own run's underlay.

    `worse` are decided to be so, by more than the margin, `gone` had figures in A and lost every trial in B, `held` are
    decided to be the same or better, `open_rows` decide nothing, and `unasked` cannot: too few samples, or a cell that
    one side did not measure. `aside` are those that a gate does not judge.
    """

    worse: tuple[ComparedRow, ...]
    gone: tuple[ComparedRow, ...]
    held: tuple[ComparedRow, ...]
    open_rows: tuple[ComparedRow, ...]
    unasked: tuple[ComparedRow, ...]
    aside: tuple[ComparedRow, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether a gate stops at it."""
        return bool(self.worse or self.gone)


def outcome_of(rows: Iterable[ComparedRow]) -> Outcome:
    """Return what became of the rows of the first basis; what CPU time is made of is not judged beside it."""
    judged = [row for row in rows if row.basis is Basis.UNDERLAY and row.metric.name not in CPU_SHARES]
    gone = [row for row in judged if row.is_gone]
    asked = [row for row in judged if not row.is_gone]
    undecided = (Verdict.INCONCLUSIVE, Verdict.DISTURBED)
    return Outcome(
        worse=tuple(row for row in asked if row.verdict is Verdict.WORSE),
        gone=tuple(gone),
        held=tuple(row for row in asked if row.verdict in (Verdict.SAME, Verdict.BETTER)),
        open_rows=tuple(row for row in asked if row.verdict in undecided),
        unasked=tuple(row for row in asked if row.verdict not in (*_DECIDED, *undecided)),
    )


def gated(comparison: Comparison, *, named: bool) -> Outcome:
    """Return what a gate judges: everything where metrics are `named`, or several runs a side are the samples.

    With one run a side what differs from set-up to set-up is in no interval, and round trips and CPU time do so by
    several per cent. So what headers bound is judged then, where there is any: the shaped link makes that the same.
    """
    rows = comparison.rows
    bounded = [row for row in rows if row.metric.ceiling or row.is_gone]
    if named or comparison.sample is Sample.RUN or not any(row.metric.ceiling for row in bounded):
        return outcome_of(rows)
    whole = outcome_of(rows)
    aside = tuple(row for row in (*whole.worse, *whole.held, *whole.open_rows) if not row.metric.ceiling)
    return replace(outcome_of(bounded), aside=aside)


def findings(comparison: Comparison) -> Mapping[str, str]:
    """Return a sentence for each profile, by its name: what got worse from A to B, or that nothing is known to have."""
    rows: dict[str, list[ComparedRow]] = {}
    for row in comparison.rows:
        if row.basis is Basis.UNDERLAY:
            rows.setdefault(row.profile, []).append(row)
    alone = of_one_side(comparison)
    return {
        profile: f"{profile}: only in {alone[profile]}, not compared."
        if profile in alone
        else f"{profile}: {_said(outcome_of(own), comparison)}."
        for profile, own in rows.items()
    }


def of_one_side(comparison: Comparison) -> Mapping[str, str]:
    """Return the profiles that one side did not measure, of which there is nothing to compare, and whose they are."""
    sides = [[*side.values()] for side in comparison.metas]
    if any(meta is None for side in sides for meta in side):
        return {}
    a, b = ({name for meta in side if meta for name in meta.profiles} for side in sides)
    return dict.fromkeys(a - b, "A") | dict.fromkeys(b - a, "B")


def _said(outcome: Outcome, comparison: Comparison) -> str:
    margin = share_text(comparison.margin)
    if outcome.fails:
        return f"{_failures(outcome, margin)}; of the other rows, {_counted(outcome) or 'there are none'}"
    if outcome.held or outcome.open_rows:
        return f"nothing is decided to be worse in B by more than {margin}: {_counted(outcome)}"
    return f"nothing can be decided: {_counted(outcome)}"


def _failures(outcome: Outcome, margin: str) -> str:
    parts = []
    if outcome.worse:
        parts.append(f"worse in B by more than {margin}: {_named(outcome.worse)}")
    if outcome.gone:
        parts.append(f"no figure any more in B: {_named(outcome.gone)}")
    return "; ".join(parts)


def _named(rows: Sequence[ComparedRow], *, with_profile: bool = False) -> str:
    names = [f"{f'{row.profile} ' if with_profile else ''}{_row_text(row)}" for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(names)
    return ", ".join([*names, *([f"and {more} more"] if more else [])])


def _row_text(row: ComparedRow) -> str:
    """Return a row's name, and where it has one what B is of A with its interval."""
    name = f"{section_title(row.metric, row.cell)} {row_name(row.metric, row.cell)}"
    if row.difference:
        return f"{name} {points_text(row.difference.difference)} points ({points_text(row.interval)})"
    return f"{name} {ratio_text(row.ratio.ratio)} ({interval_text(row.interval)})" if row.ratio else name


def _counted(outcome: Outcome) -> str:
    """Return how many rows have each verdict but `worse`, in the order of `Outcome`."""
    counts = Counter(str(row.verdict or "no verdict") for row in (*outcome.held, *outcome.open_rows, *outcome.unasked))
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def gate_text(comparison: Comparison, outcome: Outcome) -> str:
    """Return in a sentence or two why a gate stops, or that it does not, and what it could not decide.

    Raises:
        InputError: no row can be decided at all, so there is nothing that a gate could guard.
    """
    margin = share_text(comparison.margin)
    if outcome.fails:
        parts = []
        if outcome.worse:
            parts.append(f"worse in B by more than {margin}: {_named(outcome.worse, with_profile=True)}.")
        if outcome.gone:
            parts.append(f"no figure any more in B: {_named(outcome.gone, with_profile=True)}.")
        return " ".join(parts)
    asked = len(outcome.held) + len(outcome.open_rows)
    if not asked:
        raise InputError(
            "nothing can be decided, so there is nothing to fail at: "
            f"{_counted(outcome) or 'no profile was measured beside its underlay in any run'}; give runs of the same "
            "cells, of 6 blocks or more each, or of 4 runs or more a side."
        )
    if not outcome.open_rows:
        text = f"passed: none of {asked} rows is worse in B by more than {margin} ({_counted(outcome)})."
    else:
        text = (
            f"not decided, which is not the same as passed: {len(outcome.open_rows)} of {asked} rows are open, so "
            f"whether these are worse in B by more than {margin} is not known ({_counted(outcome)}){_wanted(outcome)}."
        )
    text += f" Not asked: {len(outcome.unasked)} rows." if outcome.unasked else ""
    return text + _aside(outcome)


def _aside(outcome: Outcome) -> str:
    """Return what is not judged, and what of it would have been worse."""
    if not outcome.aside:
        return ""
    worse = [row for row in outcome.aside if row.verdict is Verdict.WORSE]
    text = (
        f" Not judged with one run a side, for they differ from set-up to set-up: {len(outcome.aside)} rows of "
        f"{', '.join(dict.fromkeys(row.metric.title for row in outcome.aside))}; name metrics, or give 4 runs a side"
    )
    return f"{text}. Of these, worse: {_named(worse, with_profile=True)}." if worse else f"{text}."


def _wanted(outcome: Outcome) -> str:
    """Return what would decide the rows that are open, where any number would."""
    numbers = [row.samples_to_tell for row in outcome.open_rows]
    known = [number for number in numbers if number]
    if not known:
        return ""
    return f"; {max(known)} samples of each side would decide {'them' if len(known) == len(numbers) else len(known)}"
