"""Which profile costs least, in one sentence: what somebody asks who may choose between those of a run.

Who costs least is read off verdicts and intervals of profiles set against the run's first one, each at its own largest
MTU; what each costs is said of it against the underlay. Nothing is called cheaper that is not decided to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.model.metrics import Better
from harness.model.trial import MTU, Cell
from harness.report import clauses
from harness.report.page import scale_of, share_text
from harness.report.sentence import Number, Placed, Sentence, Shape
from harness.report.told import GOODPUT, ROUND_TRIP, Told
from harness.truth.verdicts import Verdict

MOST_NAMED = 5
"""Profiles whose figures are told; of more, those that cost least."""


@dataclass(frozen=True)
class Ranked:
    """What is said; `leader` is the profile that costs least of all that is decided, and begins it, "" for none."""

    leader: str
    sentence: Sentence


@dataclass(frozen=True)
class _Field:
    """The profiles of a run in one metric: their rows against the underlay, and against the first one of the run."""

    name: str
    costs: Mapping[str, Sequence[Placed]]
    against: Mapping[str, Sequence[Placed]]
    first: str

    @property
    def order(self) -> list[str]:
        """The profiles, that which costs least first, as far as figures go."""
        return sorted(self.costs, key=self._cost)

    @property
    def is_told(self) -> bool:
        """Whether what any profile costs is decided."""
        return any(clauses.is_decided(one) for rows in self.costs.values() for one in rows)

    def _cost(self, profile: str) -> float:
        rows = [one.row for one in self.costs[profile]]
        mean = sum(math.log(row.ratio.ratio) for row in rows if row.ratio) / len(rows)
        return -mean if rows[0].metric.better is Better.HIGHER else mean

    def rivals(self) -> list[str]:
        """Return those that are not decided to cost more than the one whose figures are best."""
        best, *others = self.order
        return [one for one in others if not self._is_beaten(best, one)]

    def are_same(self, rivals: Sequence[str]) -> bool:
        """Tell whether each of these is decided to cost the same as the one whose figures are best."""
        best = self.order[0]
        pairs = [{best, one} - {self.first} for one in rivals]
        return all(len(pair) == 1 and self._standing(pair.pop()) is Verdict.SAME for pair in pairs)

    def _is_beaten(self, best: str, other: str) -> bool:
        """Tell whether one is decided to cost less than another."""
        ours, its = self._standing(best), self._standing(other)
        places = [Verdict.BETTER, Verdict.SAME, Verdict.WORSE]
        if ours in places and its in places and places.index(ours) < places.index(its):
            return True
        return self.first not in (best, other) and self._lies_apart(best, other)

    def _standing(self, profile: str) -> Verdict | None:
        """Return what all rows of a profile say of it against the first; None where it is not decided."""
        if profile == self.first:
            return Verdict.SAME
        verdicts = {one.row.verdict for one in self.against.get(profile, ())}
        sides = verdicts - {Verdict.SAME}
        if not verdicts or len(sides) > 1 or not verdicts <= {Verdict.BETTER, Verdict.WORSE, Verdict.SAME}:
            return None
        return sides.pop() if sides else Verdict.SAME

    def _lies_apart(self, best: str, other: str) -> bool:
        """Tell whether intervals against the first lie apart, in each cell that both have, all to the same side."""
        ours, its = ({_rest(one): one.row for one in self.against.get(name, ())} for name in (best, other))
        common = ours.keys() & its.keys()
        pairs = [(ours[cell].interval, its[cell].interval) for cell in common]
        known = [(one, another) for one, another in pairs if one is not None and another is not None]
        if not known or len(known) < len(pairs):
            return False
        if next(iter(ours.values())).metric.better is Better.HIGHER:
            return all(one.low > another.high for one, another in known)
        return all(one.high < another.low for one, another in known)


def ranked(costs: Mapping[str, Told], against: Mapping[str, Told], first: str, at: str, margin: float) -> Ranked | None:
    """Return which of several profiles costs least; None where there is one, or nothing that compares them.

    `costs` are their rows against the underlay, `against` those against the `first` profile, `at` says at which MTU.
    """
    fields = [*_fields(costs, against, first)]
    if not any(one.is_told for one in fields):
        return None
    told = [_told(one, margin) for one in fields]
    leaders = {one.order[0] for one in fields if not one.rivals()}
    head = "which profile costs least is not decided" if not leaders else "no profile costs least of everything"
    leader = leaders.pop() if len(leaders) == 1 else ""
    front = " costs least" if leader else head.capitalize()
    joined = [part for number, own in enumerate(told) for part in (["; ", *own] if number else own)]
    return Ranked(leader, [f"{front}, {at}: ", *joined, "."])


def _fields(costs: Mapping[str, Told], against: Mapping[str, Told], first: str) -> Iterator[_Field]:
    """Yield each metric that at least two profiles have figures of."""
    by_profile = [{profile: _keyed(told) for profile, told in one.items()} for one in (costs, against)]
    names = {key: name for told in by_profile[0].values() for key, (name, _) in told.items()}
    for key, name in names.items():
        own, compared = ({profile: told[key][1] for profile, told in one.items() if key in told} for one in by_profile)
        own = {profile: rows for profile, rows in own.items() if all(one.row.ratio for one in rows)}
        if first in own and len(own) > 1 and compared:
            yield _Field(name, own, compared, first)


def _keyed(told: Told) -> dict[tuple[str, Cell], tuple[str, Sequence[Placed]]]:
    """Return what is told by what it is of: profiles may call the same by unlike names, for want of other cells."""
    return {
        (rows[0].row.metric.name, rows[0].row.cell.without(MTU, "flows")): (name, rows) for name, rows in told.items()
    }


def _rest(placed: Placed) -> Cell:
    return placed.row.cell.without(MTU)


def _told(field: _Field, margin: float) -> Sentence:
    """Return a clause: of what, each profile with what it costs, and between which of them it is not decided."""
    if not field.is_told:
        return [f"of {field.name} ", "not decided" if field.rivals() else field.order[0]]
    named = field.order[:MOST_NAMED]
    decided = {name: [one for one in field.costs[name] if clauses.is_decided(one)] for name in named}
    shape, unit = _shape([one for rows in decided.values() for one in rows])
    sentence: list[str | Number] = []
    for name in named:
        ends = clauses.added_of(decided[name]) if shape.shown == "scaled" else clauses.ratios_of(decided[name])
        figure = [*shape.span(ends), f" {unit}"] if ends else ["not decided"]
        sentence += [", " if sentence else f"of {field.name} ", f"{name} ", *figure]
    left = len(field.order) - len(named)
    said = [*sentence, *([f", {left} more behind them"] if left else [])]
    return [*said, *_open(field, margin)]


def _open(field: _Field, margin: float) -> list[str]:
    rivals = field.rivals()
    if not rivals:
        return []
    names = ", ".join([field.order[0], *rivals[:-1]])
    if field.are_same(rivals):
        return [f" ({names} and {rivals[-1]}: the same within {share_text(margin)})"]
    return [f" (not decided between {names} and {rivals[-1]})"]


def _shape(rows: Sequence[Placed]) -> tuple[Shape, str]:
    """Return how a metric's figures are shown, the same way for all profiles, and their unit."""
    metric = rows[0].row.metric
    ratios = [end.value for end in clauses.ratios_of(rows)]
    if metric.name == GOODPUT:
        return Shape.loss(ratios), "%"
    if metric.name == ROUND_TRIP:
        times = [end.value for end in clauses.added_of(rows)]
        divisor, unit, _ = scale_of(metric, [abs(value) for value in times])
        return Shape.scaled(times, divisor, unit), unit
    return Shape.change(ratios), "%"
