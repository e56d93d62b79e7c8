"""Notes on compared runs: on a row, and on all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping

from harness.model.notes import About, Note
from harness.model.trial import UNDERLAY
from harness.report import notes
from harness.report.arms import NOTHING
from harness.report.command import rate_text
from harness.report.samples import Basis, Draft, Sample
from harness.report.sides import Member, Side
from harness.results.differences import Difference, Surroundings, differences, lacking
from harness.truth.stats import Ratio
from harness.truth.verdicts import MIN_RUNS, Answer, Verdict

_MOST_DIFFERENCES = 8
_VALUE_WIDTH = 35
_WORDED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "rate_bps": ("the link's rate", lambda text: rate_text(float(text))),
    "nic_mtu": ("the NICs' MTU", str),
    "plan's duration_s": ("the length of trials in s", str),
    "plan's omit_s": ("the time left out before in s", str),
}
"""What a difference is called, and how its values are shown, where that is not as run.json has it."""


def of_row(draft: Draft, answer: Answer | None, moved: Note | None, margin: float) -> tuple[Note, ...]:
    """Return what is to be known of one row."""
    own: list[Note | None] = [notes.path_state(draft.profile, draft.state, draft.share)]
    if not draft.is_comparable and all(map(len, draft.figures)):
        own.append(Note(About.PATH_STATE, draft.profile, f"{draft.profile}: no path state is in both", "not compared"))
    for side in draft.sides:
        for member in side:
            own += _of_member(draft, member)
    if draft.metric.better:
        few = _few_runs(draft.samples) if draft.sample is Sample.RUN else notes.few_blocks(draft.samples)
        own += [few, notes.wide(answer, margin, draft.sample, of_shares=bool(draft.metric.tries)), moved]
    return notes.known(own)


def _of_member(draft: Draft, member: Member) -> Iterator[Note | None]:
    arm = member.arm(draft.profile, draft.cell)
    if arm is NOTHING:
        yield Note(About.LOST, member.name, f"{member.name} did not measure this cell")
        return
    yield notes.lost(member.name, arm)
    yield notes.zeros(member.name, len(arm.zeros(draft.metric)))
    yield notes.single_threaded(draft.cell, member.meta)
    if draft.basis is Basis.UNDERLAY:
        base = member.arm(UNDERLAY, member.underlay_cell(draft.cell))
        if base is NOTHING:
            yield Note(About.BASELINE, member.name, f"{member.name} has no underlay to hold this cell against")
        yield notes.lost(f"{member.name}'s underlay", base)


def moved(verdict: Verdict | None, ratio: Ratio | None) -> Note:
    """Say why an absolute figure has no verdict: what its underlay did from A to B, as its own row has it."""
    if ratio is None:
        return Note(About.BASELINE, UNDERLAY, "no underlay beside it in both", "absolute figures have no verdict")
    if verdict is Verdict.MOVED:
        by = ratio.ratio - 1
        advice = "the machines are not the same, absolute figures have no verdict"
        return Note(About.MOVED, UNDERLAY, f"{UNDERLAY} moved by {by:+.1%}", advice, value=by)
    fact = f"whether the {UNDERLAY} moved is not known"
    return Note(About.BASELINE, UNDERLAY, fact, "absolute figures have no verdict")


def of_all(sides: tuple[Side, Side]) -> tuple[Note, ...]:
    """Return what concerns all rows: the first differences, how many more there are, and what each run has to say."""
    around = [[Surroundings(member.meta, member.run.environment) for member in side] for side in sides]
    differing = [_difference(one) for one in differences(around[0], around[1])]
    more = len(differing) - _MOST_DIFFERENCES
    if more > 0:
        fact = f"{more} more difference{'s' if more > 1 else ''} between A and B"
        differing = [*differing[:_MOST_DIFFERENCES], Note(About.DIFFERENCE, "", fact)]
    return notes.known([*_lacking(around[0], around[1]), *differing, *_of_runs(sides)])


def _lacking(a: list[Surroundings], b: list[Surroundings]) -> Iterator[Note]:
    for letter, is_lacking in zip("AB", lacking(a, b), strict=True):
        if is_lacking:
            fact = f"{letter} has no environment.json"
            yield Note(About.FILE, letter, fact, "CPUs, offloads and other settings of the nodes are not compared")


def _difference(one: Difference) -> Note:
    """Return what differs in a reader's words, each side from where it begins to."""
    name, worded = _WORDED.get(one.what, (one.what, str))
    a, b = (" or ".join(map(worded, values)) or "not known" for values in (one.a, one.b))
    first = next((number for number, pair in enumerate(zip(a, b, strict=False)) if len({*pair}) > 1), 0)
    first = a.rfind(" ", 0, first) + 1 if max(len(a), len(b)) > _VALUE_WIDTH else 0
    shown = [
        f"{'... ' * (first > 0)}{textwrap.shorten(text[first:], _VALUE_WIDTH, placeholder=' ...')}" for text in (a, b)
    ]
    return Note(About.DIFFERENCE, one.what, f"{name} differs", f"A {shown[0]}, B {shown[1]}")


def _of_runs(sides: tuple[Side, Side]) -> Iterator[Note]:
    """Yield what concerns all figures of one of the runs, its name in front."""
    for side in sides:
        for member in side:
            for note in notes.of_run(member.run.trials.notes, member.meta):
                yield Note(note.about, member.name, f"{member.name}: {note.fact}", note.advice, note.value)


def _few_runs(runs: int) -> Note | None:
    if not 0 < runs < MIN_RUNS:
        return None
    fact = f"{runs} run{'s' if runs > 1 else ''} on the smaller side"
    return Note(About.BLOCKS, "", fact, f"a verdict takes {MIN_RUNS} on each", value=runs)
