"""Answers: what a profile costs, in one sentence each. Table, Markdown, page and JSON open with these, made here alone.

A sentence is of rows at the profile's own largest MTU, which is what somebody would run it at, held against the
underlay at its NIC's. Where a run has several profiles, which of them costs least stands first, and what changes with
each in place of the first one of the run last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.model.trial import UNDERLAY
from harness.report import clauses
from harness.report.analysis import Analysis, Row
from harness.report.contrasts import Against
from harness.report.pairs import PairsAnalysis
from harness.report.ranking import ranked
from harness.report.sentence import Placed, Sentence, text_of
from harness.report.told import CPU_TIME, TIMES, Told, at_own_mtu, of_goodput, told
from harness.truth.verdicts import MIN_BLOCKS, Verdict

MOST_PROFILES = 4
"""Of more, what each in place of the first would change stands in the tables only."""


@dataclass(frozen=True)
class Answer:
    """What is found of a profile against a baseline, each at so large an MTU; the sentence follows the profile's name.

    `rows` are those that it is made of, of goodput first, where that was measured. Where it `ranks` the profiles of a
    run, its profile is the one that costs least, "" where it is not decided which, and neither has MTUs then.
    """

    profile: str
    baseline: str
    mtu: int | None
    baseline_mtu: int | None
    sentence: Sentence
    rows: tuple[Placed, ...]
    ranks: bool = False

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return f"{self.profile}{text_of(self.sentence)}"


def answers(analysis: Analysis) -> list[Answer]:
    """Return which of several profiles costs least, then an answer for each that was held against the underlay.

    Then one for each against the first profile, unless these are too many.
    """
    rows: dict[tuple[Against, str, str], list[Placed]] = {}
    for place, row in enumerate(analysis.rows):
        contrast = row.contrast
        is_asked = contrast.baseline == UNDERLAY if contrast.against is Against.PROFILE else _is_switch(row)
        if is_asked and row.metric.better:
            rows.setdefault((contrast.against, contrast.profile, contrast.baseline), []).append(Placed(row, place))
    costs: dict[str, Told] = {}
    switches: dict[tuple[str, str], Told] = {}
    for (against, profile, baseline), own in rows.items():
        if against is Against.PROFILE:
            costs[profile] = told(at_own_mtu(own, analysis.largest_mtus.get(profile)))
        else:
            switches[profile, baseline] = told(own)
    made = [_of_all(costs, switches, analysis)]
    made += [_of_underlay(profile, own, analysis) for profile, own in costs.items()]
    if len(switches) < MOST_PROFILES:
        made += [_of_switch(*names, own, analysis) for names, own in switches.items()]
    return [one for one in made if one is not None]


def answers_of_pairs(analysis: PairsAnalysis) -> list[Answer]:
    """Return an answer for each profile of a run of several pairs, of the rows of all of them together."""
    every = [*analysis.pairs.values()]
    if not every:
        return []
    rows = tuple(row for own in every for row in own.rows if not _is_switch(row))
    largest = {name: mtu for own in every for name, mtu in own.largest_mtus.items()}
    made = answers(replace(every[0], rows=rows, largest_mtus=largest))
    return [replace(one, sentence=[*one.sentence, f" Over {len(every)} pairs."]) for one in made]


def _is_switch(row: Row) -> bool:
    return row.contrast.against is Against.OWN_MTU


def _of_all(costs: Mapping[str, Told], switches: Mapping[tuple[str, str], Told], analysis: Analysis) -> Answer | None:
    """Return which profile costs least, None where there is nothing to choose from."""
    against = {profile: own for (profile, _), own in switches.items()}
    firsts = {baseline for _, baseline in switches}
    if not firsts:
        return None
    mtus = {profile: _mtus(_used(own)[0])[0] for profile, own in costs.items() if own}
    made = ranked(costs, against, firsts.pop(), _at(mtus, analysis.largest_mtus), analysis.margin)
    if made is None:
        return None
    used = tuple(one for own in costs.values() for one in _used(own))
    return Answer(made.leader, UNDERLAY, None, None, made.sentence, used, ranks=True)


def _at(mtus: Mapping[str, int], largest: Mapping[str, int]) -> str:
    """Return in words at which MTUs profiles are told of."""
    if all(largest.get(name) == mtu for name, mtu in mtus.items()):
        return "each at its own largest MTU"
    same = {*mtus.values()}
    return f"all at MTU {same.pop()}" if len(same) == 1 else "each at the MTU that stands below"


def _of_underlay(profile: str, own: Told, analysis: Analysis) -> Answer | None:
    used = _used(own)
    if not used:
        return None
    mtu, baseline_mtu = _mtus(used[0])
    front = f" at MTU {mtu}"
    refusal, goodput = _refusal(used), of_goodput(own)
    if refusal:
        sentence: Sentence = [f"{front}: {refusal}"]
    elif any(map(clauses.is_decided, goodput)):
        first = clauses.loss(goodput, next(iter(own)), analysis.margin)
        others = {name: rows for name, rows in own.items() if rows is not goodput}
        sentence = [front, *first, *_joined(_changes(others, analysis.margin), "; ")]
    else:
        sentence = [f"{front}: ", *_joined(_changes(own, analysis.margin))]
    return Answer(profile, UNDERLAY, mtu, baseline_mtu, [*sentence, "."], used)


def _of_switch(profile: str, baseline: str, own: Told, analysis: Analysis) -> Answer | None:
    used = _used(own)
    if not used:
        return None
    mtu, baseline_mtu = _mtus(used[0])
    said: Sentence = [_refusal(used)] if _refusal(used) else _joined(_changes(own, analysis.margin))
    front = f" instead of {baseline}, {at_mtus(analysis.largest_mtus, used[0].row)}: "
    return Answer(profile, baseline, mtu, baseline_mtu, [front, *said, "."], used)


def _used(own: Told) -> tuple[Placed, ...]:
    return tuple(one for rows in own.values() for one in rows)


def _changes(own: Told, margin: float) -> list[Sentence]:
    """Return a clause for each metric that is told: what it changes by."""
    made = []
    for name, rows in own.items():
        if name == CPU_TIME:
            made.append(clauses.cpu(rows, margin))
        else:
            made.append((clauses.time if rows[0].row.cell.measure in TIMES else clauses.change)(rows, name, margin))
    return made


def at_mtus(largest: Mapping[str, int], row: Row) -> str:
    """Return at which MTUs a row holds two profiles against each other, and whether these are their own largest."""
    names = (row.contrast.profile, row.contrast.baseline)
    mtus = (row.cell.mtu, row.contrast.baseline_cell(row.cell).mtu)
    own = all(largest.get(name) == mtu for name, mtu in zip(names, mtus, strict=True))
    if mtus[0] == mtus[1]:
        return f"both at MTU {mtus[0]}" + (", their own largest" if own else "")
    return f"each at its own largest MTU ({mtus[0]} and {mtus[1]})" if own else f"at MTU {mtus[0]} and {mtus[1]}"


def _mtus(placed: Placed) -> tuple[int, int]:
    cell = placed.row.cell
    return cell.mtu, placed.row.contrast.baseline_cell(cell).mtu


def _refusal(rows: Sequence[Placed]) -> str:
    """Return why nothing at all is said, where there are too few blocks or set-ups for it."""
    verdicts = {one.row.verdict for one in rows}
    if verdicts == {Verdict.NOT_ENOUGH_BLOCKS}:
        blocks = max(one.row.blocks for one in rows)
        return f"nothing is decided by {blocks} block{'s' if blocks > 1 else ''}; a verdict takes {MIN_BLOCKS}"
    return "nothing is decided by so few set-ups" if verdicts == {Verdict.NOT_ENOUGH_SETUPS} else ""


def _joined(said: Sequence[Sentence], front: str = "") -> Sentence:
    """Return clauses with semicolons between them, and with one in front of all of them where that is asked for."""
    parts = [[front if number == 0 else "; ", *one] for number, one in enumerate(said)]
    return [part for own in parts for part in own if part != ""]
