"""Notes on rows, one function each, and how those of many rows are joined."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from harness.measures import offload
from harness.measures.registry import MEASURES, programs
from harness.measures.udp_search import UNSENT_RATIO
from harness.model.metrics import Metric
from harness.model.notes import About, Note
from harness.model.path import WHOLE, Fate, PathState
from harness.model.trial import Cell, Status
from harness.report.arms import Arm
from harness.results.meta import RunMeta
from harness.truth.nested import MIN_SETUPS
from harness.truth.stats import Ratio
from harness.truth.verdicts import MIN_BLOCKS, Answer, Place, Verdict

MULTI_THREADED_SINCE = (3, 16)
"""First iperf3 with a thread for each flow (its release notes)."""
LOSS_THAT_MATTERS = 0.001
MOSTLY = 0.5
BUSY = 0.9
SWITCH_THAT_MATTERS = 0.05
RESENT_THAT_MATTERS = 0.0005
_TCP_HEADER_BYTES = 52
_REASON_WIDTH = 70
_RANGES = {
    About.SPREAD: "± {:.1%} to {:.1%}",
    About.MOVED: "the underlay moved by {:+.1%} to {:+.1%}",
    About.RESENT: "{:.2%} to {:.2%} of the segments were sent again",
    About.LOAD: "others used {:.0%} to {:.0%} of the CPU time that the trials used",
}
_FATES = {
    Fate.WHOLE: "packets passed as they are",
    Fate.CLAMPED: "larger packets did not fit, and the sender learned that size",
    Fate.OUTER_FRAGMENTED: "encapsulated packets were cut to fit the underlay and joined by the other node",
    Fate.INNER_FRAGMENTED: "packets were cut to fit the tunnel and joined by the other endpoint",
    Fate.BLACK_HOLED: "full-size packets were lost without a word",
}


def path_state(profile: str, state: PathState | None, share: tuple[int, int]) -> Note | None:
    """Say how full-size packets went, unless they went whole, and in how many blocks, unless in all."""
    count, of_all = share
    part = f" in {count} of {of_all} blocks" if count < of_all else ""
    if state is None or (state == WHOLE and not part):
        return None
    return Note(About.PATH_STATE, profile, f"{profile} {state}{part}", _FATES[state.fate])


def sent_again(
    profile: str, cell: Cell, state: PathState | None, goodput_bps: float | None, resent_per_s: float | None
) -> Note | None:
    """Say which share of TCP's segments went out twice where packets are cut: twice on the wire, once in goodput.

    Where packets go whole, what is sent again was lost in front of the link, and took nothing of it.
    """
    if state is None or state.fate not in (Fate.OUTER_FRAGMENTED, Fate.INNER_FRAGMENTED):
        return None
    if not goodput_bps or not resent_per_s:
        return None
    share = resent_per_s / (goodput_bps / 8 / (cell.mtu - _TCP_HEADER_BYTES) + resent_per_s)
    if share < RESENT_THAT_MATTERS:
        return None
    fact = f"{profile} {share:.2%} of the segments were sent again"
    advice = "packets that are cut overtake each other, TCP takes that for loss, and goodput misses what went out twice"
    return Note(About.RESENT, profile, fact, advice, value=share)


def no_ceiling(profile: str, cell: Cell, state: PathState | None) -> Note:
    """Say that a state and the sizes contradict each other, or that no state is known."""
    if state is None:
        return Note(About.CEILING, profile, f"{profile} has no path state", "no ceiling")
    fact = f"{profile} {state} at MTU {cell.mtu} does not fit its headers"
    return Note(About.CEILING, profile, fact, "no ceiling")


def lost(profile: str, arm: Arm) -> Note | None:
    """Say how many trials have no figure, and the commonest reason."""
    counts = [f"{arm.lost[status]} {status}" for status in (Status.FAILED, Status.INVALID) if arm.lost.get(status)]
    if not counts:
        return None
    reason = textwrap.shorten(arm.reason, _REASON_WIDTH, placeholder=" ...") or "see reason in trials.csv"
    return Note(About.LOST, profile, f"{profile} {', '.join(counts)}", reason)


def few_blocks(blocks: int) -> Note | None:
    """Say that there are too few blocks for a verdict."""
    if not 0 < blocks < MIN_BLOCKS:
        return None
    fact = f"{blocks} block{'s' if blocks > 1 else ''}"
    advice = f"a verdict takes {MIN_BLOCKS}, use --blocks {MIN_BLOCKS} or more"
    return Note(About.BLOCKS, "", fact, advice, value=blocks)


def few_setups(setups: int | None) -> Note | None:
    """Say that there are too few set-ups for a verdict, where these are the samples."""
    if setups is None or setups >= MIN_SETUPS:
        return None
    fact = f"{setups} set-up{'s' if setups > 1 else ''}"
    advice = (
        f"where there are several they are the samples, a verdict takes {MIN_SETUPS}, use --setups {MIN_SETUPS} or more"
    )
    return Note(About.BLOCKS, "", fact, advice, value=setups)


def wide(answer: Answer | None, margin: float, word: str = "block", *, of_shares: bool = False) -> Note | None:
    """Say by how much an interval is wider than the margin, where it decides nothing."""
    if answer is None or answer.interval is None or answer.place is not Place.OPEN:
        return None
    interval = answer.interval
    half = (interval.high - interval.low) / 2 if of_shares else interval.half_width
    advice = f"too wide an interval for a margin of {margin:.2%}".replace(".00%", "%")
    return Note(About.SPREAD, "", f"± {half:.1%}", f"{advice}, more {word}s or a quieter machine narrow it", value=half)


def late(profile: str, loss: float | None, late_ratio: float | None) -> Note | None:
    """Say that most of what was lost had arrived, where enough was lost to matter."""
    if loss is None or late_ratio is None or loss < LOSS_THAT_MATTERS or late_ratio < MOSTLY:
        return None
    advice = "dropped at a full socket, for the receiving program was slow to take it; the path is not to blame"
    return Note(About.FIGURE, profile, f"most of what {profile} lost had arrived", advice, value=late_ratio)


def senders_limit(profile: str, unsent: float | None, busiest_cpu: float | None) -> Note | None:
    """Say that a search for a rate ended where the senders did not manage more, with a CPU full."""
    if unsent is None or busiest_cpu is None or unsent < UNSENT_RATIO or busiest_cpu < BUSY:
        return None
    fact = f"{profile} higher rates were not even sent, with a CPU full"
    advice = "the CPU and not the path may be the limit, try other --flows or nodes with more CPUs"
    return Note(About.FIGURE, profile, fact, advice, value=unsent)


def switched(profile: str, switch: str, metric: Metric, ratio: Ratio | None, verdict: Verdict | None) -> Note | None:
    """Say what it means that a figure differs without an offload, where it does by enough to matter."""
    if not switch or ratio is None or verdict not in (Verdict.BETTER, Verdict.WORSE):
        return None
    if abs(ratio.ratio - 1) < SWITCH_THAT_MATTERS:
        return None
    fact = f"{profile} {switch} off, {metric.title} {metric.part + ' ' if metric.part else ''}{ratio.ratio - 1:+.0%}"
    why = offload.MEANINGS.get(switch.rpartition(":")[2], "")
    if verdict is Verdict.BETTER:
        why = "better without it, so what the device or its driver does here costs more than it saves"
    return Note(About.OFFLOAD, profile, fact, why)


def zeros(profile: str, count: int) -> Note | None:
    """Say that there are figures of 0."""
    advice = "0 has no ratio, and that of the others would lean away from it, so there is none"
    return Note(About.FIGURE, profile, f"{profile} {count} of figure 0", advice) if count else None


def other_baseline_mtu(baseline: str, nic_mtu: int, mtu: int) -> Note:
    """Say that a baseline was not measured at its NIC's own MTU."""
    return Note(About.BASELINE, baseline, f"{baseline} was not measured at MTU {nic_mtu}", f"compared at {mtu}")


def single_threaded(cell: Cell, meta: RunMeta | None) -> Note | None:
    """Say beside figures of several flows that iperf3 had one thread for all of them."""
    versions = meta.versions.get("iperf3", {}) if meta and _uses(cell, "iperf3") else {}
    old = sorted({version for version in versions.values() if version and _parsed(version) < MULTI_THREADED_SINCE})
    if cell.flows <= (MEASURES[cell.measure].processes if cell.measure in MEASURES else 1) or not old:
        return None
    return Note(
        About.PROGRAM,
        "iperf3",
        f"iperf3 {' and '.join(old)}",
        "one thread for all flows before 3.16, so one CPU may be the limit",
    )


def of_run(file_notes: Iterable[Note], meta: RunMeta | None) -> list[Note]:
    """Return what concerns every figure of a run."""
    if meta is None:
        missing = Note(
            About.FILE, "run.json", "no run.json beside trials.csv", "no ceilings and no CPU seconds per gigabit"
        )
        return [*file_notes, missing]
    return [*file_notes, *meta.notes]


def known(notes: Iterable[Note | None]) -> tuple[Note, ...]:
    """Return the notes that there are, each once."""
    return tuple(dict.fromkeys(note for note in notes if note is not None))


def joined(notes: Iterable[Note]) -> list[tuple[tuple[About, str], list[Note]]]:
    """Return notes that give the same advice together, so that a report says it once; others stand for themselves."""
    grouped: dict[tuple[About, str], list[Note]] = {}
    for note in dict.fromkeys(notes):
        grouped.setdefault(key_of(note), []).append(note)
    return list(grouped.items())


def key_of(note: Note) -> tuple[About, str]:
    """Return what a note is joined with others by."""
    return (note.about, note.advice or note.fact)


def sentence(notes: Sequence[Note]) -> str:
    """Return notes that give the same advice as one sentence; some become a range."""
    first = notes[0]
    values = [note.value for note in notes if note.value is not None]
    if first.about in _RANGES and len(values) > 1:
        return f"{_RANGES[first.about].format(min(values), max(values))}: {first.advice}"
    facts = ", ".join(dict.fromkeys(note.fact for note in notes))
    return f"{facts}: {first.advice}" if first.advice else facts


def text_of(notes: Iterable[Note]) -> str:
    """Return notes as the column `notes` of a CSV file has them."""
    return "; ".join(str(note).replace("; ", ", ") for note in notes)


def _uses(cell: Cell, program: str) -> bool:
    try:
        return program in programs([cell.measure])
    except KeyError:  # a measure that this harness does not have
        return False


def _parsed(version: str) -> tuple[int, ...]:
    """Return a version's numbers; an unknown form counts as new, since nothing is known against it."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return (int(numbers[1]), int(numbers[2])) if numbers else MULTI_THREADED_SINCE
