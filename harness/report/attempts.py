"""Which attempt of a group of trials counts: the last one that is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from harness.measures.factors import FACTORS
from harness.model.factors import Scope
from harness.model.notes import About, Note
from harness.report.tables import Table
from harness.results.schema import Columns

_PLACE = ("block", "position", "attempt")
Group = tuple[object, ...]
"""Block, measure, and the levels that trials measured close in time have in common."""


def counted(table: Table, columns: Columns) -> tuple[Table, tuple[Note, ...]]:
    """Return the trials that count, and what is to be said of groups that were measured more than once.

    An attempt that a run was ended in does not count: it lacks trials that the first one has.
    """
    again = table.whole["attempt"] > 1
    if not again.any():
        return table, ()
    kept = ~np.isin(table.whole["block"], table.whole["block"][again])
    repeated = table.at(~kept)
    groups, attempts = _groups(repeated, columns), repeated.whole["attempt"].tolist()
    places: dict[Group, dict[int, set[int]]] = {}
    for group, attempt, position in zip(groups, attempts, repeated.whole["position"].tolist(), strict=True):
        places.setdefault(group, {}).setdefault(attempt, set()).add(position)
    last = {group: _last(own) for group, own in places.items()}
    kept[~kept] = [last[group] == attempt for group, attempt in zip(groups, attempts, strict=True)]
    cut = sum(max(own) > last[group] for group, own in places.items())
    profiles = {(group, profile) for group, profile in zip(groups, repeated.words["profile"].tolist(), strict=True)}
    return table.at(kept), _notes(last, profiles, cut)


def of_counted(series: Table, table: Table) -> Table:
    """Return the intervals of the trials that count."""
    if "attempt" not in series.whole or not (series.whole["attempt"] > 1).any():
        return series
    places, own = (zip(*(one.whole[name].tolist() for name in _PLACE), strict=True) for one in (table, series))
    counts = {*places}
    return series.at(np.array([place in counts for place in own]))


def _last(places: Mapping[int, set[int]]) -> int:
    """Return the last attempt in which each trial of the first one was measured, from the positions in each attempt."""
    return max(attempt for attempt, own in places.items() if own >= places[min(places)])


def _groups(table: Table, columns: Columns) -> list[Group]:
    """Return the group of each trial: see harness.measures.registry.grouping."""
    apart = [name for name in columns.factors if name not in FACTORS or FACTORS[name].scope is Scope.SENDER]
    words = (table.words[name].tolist() for name in ("measure", *apart))
    return list(zip(table.whole["block"].tolist(), *words, strict=True))


def _notes(last: Mapping[Group, int], profiles: set[tuple[Group, object]], cut: int) -> tuple[Note, ...]:
    again = {group for group, attempt in last.items() if attempt > 1}
    notes = []
    if again:
        each = Counter(profile for group, profile in profiles if group in again)
        shares = ", ".join(f"{profile} {count}" for profile, count in sorted(each.items()))
        many = f"{_number(len(again), 'group')} of trials in {_number(len({group[0] for group in again}), 'block')}"
        advice = "CPU time was given to others in the first attempt; the second one counts, whatever it found"
        notes.append(Note(About.REPEATED, "", f"{many} measured once more ({shares})", advice, value=len(again)))
    if cut:
        fact = f"the repeat of {_number(cut, 'group')} of trials was cut short"
        notes.append(Note(About.REPEATED, "", fact, "the first attempt counts"))
    return tuple(notes)


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
