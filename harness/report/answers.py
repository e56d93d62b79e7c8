"""Answers: what a profile costs, in one sentence each. Table, Markdown, page and JSON open with these, made here alone.

A sentence is of rows at the profile's own largest MTU, which is what somebody would run it at, held against the
underlay at its NIC's; then, where a run has several profiles, what changes with each in place of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import MEASURES, label_of
from harness.model.trial import MTU, UNDERLAY, Cell
from harness.report import clauses
from harness.report.analysis import Analysis, Row
from harness.report.contrasts import Against
from harness.report.pairs import PairsAnalysis
from harness.report.sentence import Placed, Sentence, text_of
from harness.report.titles import section_title
from harness.truth.verdicts import MIN_BLOCKS, Verdict

GOODPUT, ROUND_TRIP = "goodput_bps", "rtt_p50_s"
_TIMES = ("ping", "loaded-ping")
"""Measures of which the round trip is told."""
MOST_PROFILES = 4
"""Of more, what each in place of the first would change stands in the tables only."""


@dataclass(frozen=True)
class Answer:
    """What is found of a profile against a baseline, each at so large an MTU; the sentence follows the profile's name.

    `rows` are those that it is made of, of goodput first, where that was measured.
    """

    profile: str
    baseline: str
    mtu: int
    baseline_mtu: int
    sentence: Sentence
    rows: tuple[Placed, ...]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return f"{self.profile}{text_of(self.sentence)}"


def answers(analysis: Analysis) -> list[Answer]:
    """Return an answer for each profile that was held against the underlay, then for each against the first one."""
    rows: dict[tuple[Against, str, str], list[Placed]] = {}
    for place, row in enumerate(analysis.rows):
        contrast = row.contrast
        is_asked = contrast.baseline == UNDERLAY if contrast.against is Against.PROFILE else _is_switch(row)
        if is_asked and row.metric.better:
            rows.setdefault((contrast.against, contrast.profile, contrast.baseline), []).append(Placed(row, place))
    several = sum(against is Against.OWN_MTU for against, *_ in rows)
    made = []
    for (against, profile, baseline), own in sorted(rows.items(), key=lambda item: item[0][0] is Against.OWN_MTU):
        if against is Against.PROFILE:
            made.append(_of_underlay(profile, _at_own_mtu(own, analysis.largest_mtus.get(profile)), analysis))
        elif several < MOST_PROFILES:
            made.append(_of_switch(profile, baseline, own, analysis))
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


def _at_own_mtu(rows: Sequence[Placed], largest: int | None) -> list[Placed]:
    """Return the rows of each cell at the largest measured MTU that passes whole; of none such, at the smallest."""
    groups: dict[tuple[Cell, str], list[Placed]] = {}
    for one in rows:
        groups.setdefault((one.row.cell.without(MTU), one.row.metric.name), []).append(one)
    chosen: list[Placed] = []
    for own in groups.values():
        mtus = {one.row.cell.mtu for one in own}
        passing = [mtu for mtu in mtus if largest is None or mtu <= largest]
        wanted = max(passing) if passing else min(mtus)
        chosen += [one for one in own if one.row.cell.mtu == wanted]
    return sorted(chosen, key=lambda one: one.place)


def _of_underlay(profile: str, rows: Sequence[Placed], analysis: Analysis) -> Answer | None:
    goodput = _goodput_of(rows)
    told = [*_told(rows, goodput, analysis.margin)]
    used = tuple(one for own, _ in told for one in own)
    if not used:
        return None
    mtu, baseline_mtu = _mtus(used[0])
    front = f" at MTU {mtu}"
    refusal = _refusal(used)
    if refusal:
        sentence: Sentence = [f"{front}: {refusal}"]
    elif any(map(clauses.is_decided, goodput)):
        first = clauses.loss(goodput, _goodput_name(rows, goodput), analysis.margin)
        sentence = [front, *first, *_joined([said for own, said in told if own is not goodput], "; ")]
    else:
        sentence = [f"{front}: ", *_joined([said for _, said in told])]
    return Answer(profile, UNDERLAY, mtu, baseline_mtu, [*sentence, "."], used)


def _of_switch(profile: str, baseline: str, rows: Sequence[Placed], analysis: Analysis) -> Answer | None:
    told = [*_told(rows, _goodput_of(rows), analysis.margin)]
    used = tuple(one for own, _ in told for one in own)
    if not used:
        return None
    mtu, baseline_mtu = _mtus(used[0])
    said: Sentence = [_refusal(used)] if _refusal(used) else _joined([one for _, one in told])
    front = f" instead of {baseline}, {at_mtus(analysis.largest_mtus, used[0].row)}: "
    return Answer(profile, baseline, mtu, baseline_mtu, [front, *said, "."], used)


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


def _goodput_of(rows: Sequence[Placed]) -> list[Placed]:
    """Return the rows of goodput that differ in their flows only, of the first cell that has any figure.

    Cells without a changed offload come first.
    """
    every = [one for one in rows if one.row.metric.name == GOODPUT]
    told = [one for one in every if one.row.ratio] or every
    told = [one for one in told if not one.row.cell.get("offload")] or told
    return [one for one in every if _family(one) == _family(told[0])]


def _family(placed: Placed) -> Cell:
    return placed.row.cell.without(MTU, "flows")


def _goodput_name(rows: Sequence[Placed], goodput: Sequence[Placed]) -> str:
    """Return what goodput is called: with its cell, where there are others in the run."""
    several = {_family(one) for one in rows if one.row.metric.name == GOODPUT}
    label = label_of(_family(goodput[0])) if len(several) > 1 else ""
    return f"goodput with {label}" if label else "goodput"


def _told(rows: Sequence[Placed], goodput: list[Placed], margin: float) -> Iterator[tuple[list[Placed], Sentence]]:
    """Yield the rows of each clause, goodput's first, and CPU time's last, with the clause about what they change."""
    if goodput:
        yield goodput, clauses.change(goodput, _goodput_name(rows, goodput), margin)
    for measure in MEASURES:
        own = [one for one in rows if one.row.cell.measure == measure and one.row.metric.name == _main(measure)]
        if own and own[0].row.metric.name != GOODPUT:
            name = section_title(own[0].row.metric, own[0].row.cell.without("direction"))
            yield own, (clauses.time if measure in _TIMES else clauses.change)(own, name, margin)
    cpu = [one for one in rows if one.row.metric.name == CPU_ROWS[0]]
    cpu = [one for one in cpu if _family(one) == (_family(goodput[0]) if goodput else _family(cpu[0]))]
    if cpu:
        yield cpu, clauses.cpu(cpu, margin)


def _main(measure: str) -> str:
    """Return the metric that a measure is told by."""
    return ROUND_TRIP if measure in _TIMES else MEASURES[measure].rows[0]


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
