"""Clauses of an answer: what rows of one metric say, with their figures and with intervals that hold all of theirs.

Nothing is said that no verdict says: what is decided is given with its interval, what is not is called so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.report.page import scale_of, share_text
from harness.report.sentence import End, Number, Placed, Sentence, Shape
from harness.truth.verdicts import AgainstCeiling, Verdict

_LEVEL = "95 %: "
_DECIDED = (Verdict.WORSE, Verdict.BETTER, Verdict.SAME)
_BEYOND = {
    AgainstCeiling.MORE_THAN_HEADERS: "more is lost on the way",
    AgainstCeiling.ABOVE_THE_CEILING: "the underlay falls short of its own ceiling",
    AgainstCeiling.INCONCLUSIVE: "whether more is lost is not decided",
}
"""What is said beyond `headers alone ...` of goodput that is not at its ceiling."""


def is_decided(placed: Placed) -> bool:
    """Tell whether a row says anything: of 1, or of its ceiling."""
    row = placed.row
    return row.verdict in _DECIDED or row.against_ceiling not in (None, AgainstCeiling.INCONCLUSIVE)


def loss(rows: Sequence[Placed], name: str, margin: float) -> Sentence:
    """Return what a profile loses of goodput, as what follows its name, and what of that its headers explain."""
    said = [one for one in rows if is_decided(one)]
    ratios = ratios_of(said)
    shape = Shape.loss(end.value for end in ratios)
    between = shape.span(_interval_ends(said))
    if all(one.row.verdict is Verdict.SAME for one in said):
        sentence: list[str | Number] = [f" costs no {name} within {share_text(margin)} ({_LEVEL}", *between, " %)"]
    else:
        sentence = [" costs ", *shape.span(ratios), f" % of {name} ({_LEVEL}", *between, " %)"]
    return [*sentence, *_headers(said), *_count_open(rows, said)]


def _headers(rows: Sequence[Placed]) -> Sentence:
    """Return what the headers alone take, and what is said beyond that."""
    ends = [End(one, "ceiling_ratio", one.row.ceiling) for one in rows if one.row.ceiling is not None]
    if not ends or all(end.value == 1 for end in ends):
        return []
    said: list[str | Number] = [", headers alone ", *Shape.loss(end.value for end in ends).span(ends), " %"]
    counts = Counter(one.row.against_ceiling for one in rows if one.row.against_ceiling)
    for verdict, words in _BEYOND.items():
        if counts[verdict]:
            where = "" if counts[verdict] == counts.total() else f" in {counts[verdict]} of {counts.total()} rows"
            said.append(f"; {words}{where}{_to_tell([one for one in rows if one.row.against_ceiling is verdict])}")
    return said


def change(rows: Sequence[Placed], name: str, margin: float) -> Sentence:
    """Return by what share a metric changes: `-56 % of packets by search (-59 to 53)`."""
    said = [one for one in rows if is_decided(one)]
    if not said:
        return _open(rows, name)
    if _are_same(said):
        return [f"{name}: the same within {share_text(margin)}", *_count_open(rows, said)]
    ratios = ratios_of(said)
    shape = Shape.change((end.value for end in ratios), 2 if name.startswith("goodput") and _are_near(ratios) else None)
    known = shape.sign(ratios[0])
    between = shape.span(_interval_ends(said), known)
    return [*shape.span(ratios), f" % of {name} ({_LEVEL}", *between, " %)", *_count_open(rows, said)]


def _are_near(ratios: Sequence[End]) -> bool:
    """Tell whether ratios are so near to 1 that headers may be all that they are of."""
    return all(abs(end.value - 1) < 0.1 for end in ratios)  # noqa: PLR2004 - ten per cent


def cpu(rows: Sequence[Placed], margin: float) -> Sentence:
    """Return by what share, and by what time, a gigabit costs more of the CPUs."""
    said = [one for one in rows if is_decided(one)]
    if not said:
        return _open(rows, "CPU time a gigabit")
    if _are_same(said):
        return [f"CPU: the same a gigabit within {share_text(margin)}", *_count_open(rows, said)]
    ratios, times = ratios_of(said), added_of(said)
    shape = Shape.change(end.value for end in ratios)
    divisor, unit, _ = scale_of(said[0].row.metric, [abs(end.value) for end in times])
    seconds = Shape.scaled((end.value for end in times), divisor, unit)
    between = shape.span(_interval_ends(said), shape.sign(ratios[0]))
    unit = unit.partition("/")[0]
    front = ["CPU: ", *shape.span(ratios), f" % a gigabit ({_LEVEL}", *between, " %)"]
    return [*front, " or ", *seconds.span(times), f" {unit}", *_count_open(rows, said)]


def time(rows: Sequence[Placed], name: str, margin: float) -> Sentence:
    """Return by what time a round trip is longer: `+61 µs of round trip (p50; 55 to 67)`."""
    said = [one for one in rows if is_decided(one)]
    part = rows[0].row.metric.part
    if not said:
        return _open(rows, f"{name} ({part})")
    if _are_same(said):
        return [f"{name} ({part}): the same within {share_text(margin)}", *_count_open(rows, said)]
    times = added_of(said)
    divisor, unit, _ = scale_of(said[0].row.metric, [abs(end.value) for end in times])
    shape = Shape.scaled((end.value for end in times), divisor, unit)
    ends = [
        End(one, column, value)
        for one in said
        if one.row.added_interval
        for column, value in (("added_low", one.row.added_interval.low), ("added_high", one.row.added_interval.high))
    ]
    between: Sentence = [f"{part}, {_LEVEL}", *shape.span(ends, shape.sign(times[0])), f" {unit}"] if ends else [part]
    return [*shape.span(times), f" {unit} of {name} (", *between, ")", *_count_open(rows, said)]


def _are_same(rows: Sequence[Placed]) -> bool:
    return all(one.row.verdict is Verdict.SAME for one in rows)


def ratios_of(rows: Sequence[Placed]) -> list[End]:
    """Return the ratios of rows that have one."""
    return [End(one, "ratio", one.row.ratio.ratio) for one in rows if one.row.ratio]


def added_of(rows: Sequence[Placed]) -> list[End]:
    """Return what rows have more than their baselines, in the unit of their metric."""
    return [End(one, "added", one.row.added) for one in rows if one.row.added is not None]


def _interval_ends(rows: Sequence[Placed]) -> list[End]:
    """Return both ends of every interval: the outermost of them hold all."""
    return [
        End(one, column, value)
        for one in rows
        if one.row.interval
        for column, value in (("adjusted_low", one.row.interval.low), ("adjusted_high", one.row.interval.high))
    ]


def _count_open(rows: Sequence[Placed], said: Sequence[Placed]) -> Sentence:
    """Return of how many rows nothing is said."""
    return [] if len(said) == len(rows) else [f", not decided in {len(rows) - len(said)} of {len(rows)} rows"]


def _open(rows: Sequence[Placed], name: str) -> Sentence:
    """Return why nothing is said of a metric, with the interval where it is that which is too wide."""
    verdicts = {one.row.verdict for one in rows}
    if verdicts == {Verdict.NO_FIGURE}:
        return [f"{name}: no figure"]
    if Verdict.DISTURBED in verdicts:
        return [f"{name} is not decided, for other programs used the nodes' CPUs"]
    if Verdict.INCONCLUSIVE not in verdicts:
        return [f"{name} is not decided: {', '.join(sorted(str(one) for one in verdicts if one))}"]
    ends = _interval_ends([one for one in rows if one.row.verdict is Verdict.INCONCLUSIVE])
    if not ends:
        return [f"{name} is not decided"]
    shape = Shape.change(end.value for end in ratios_of(rows))
    return [f"{name} is not decided: ", *shape.span(ends), f" % (95 % interval){_to_tell(rows)}"]


def _to_tell(rows: Sequence[Placed]) -> str:
    """Return how many blocks or set-ups would tell, where any number would of all rows."""
    for word, numbers in (
        ("blocks", [one.row.blocks_to_tell for one in rows]),
        ("set-ups", [one.row.setups_to_tell for one in rows]),
    ):
        known = [number for number in numbers if number]
        if known and len(known) == len(rows):
            return f", {max(known)} {word} would tell"
    return ""
