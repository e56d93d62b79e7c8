"""What runs, sections, rows and verdicts are called."""

from __future__ import annotations

from harness.measures.metrics import BITS_PER_GBIT
from harness.measures.registry import MEASURES, label_of
from harness.model.metrics import Metric
from harness.model.trial import Cell, Direction
from harness.report.page import share_text
from harness.results.meta import RunMeta
from harness.truth.verdicts import Verdict


def run_title(meta: RunMeta) -> str:
    """Return what a run was, in two lines."""
    rate = ""
    if meta.rate_bps:
        big = meta.rate_bps >= BITS_PER_GBIT
        rate = f", {meta.rate_bps / (BITS_PER_GBIT if big else 1e6):g} {'Gbit/s' if big else 'Mbit/s'}"
    plan = meta.plan
    return (
        f"run {meta.run_id}\nlab {meta.lab}{rate}, plan {plan.name}: {_extent(meta)}, "
        f"trials of {plan.timing.duration_s:g} s after {plan.timing.omit_s:g} s omitted"
    )


def _extent(meta: RunMeta) -> str:
    """Return how many blocks a run has, and what it ends by."""
    plan, ended = meta.plan, meta.ended
    if plan.runs > 1:
        return f"{plan.runs} runs of {plan.blocks // plan.runs} blocks"
    if plan.until_width is None:
        return plan.blocks_text
    aim = f"± {share_text(plan.until_width)}"
    if ended is None:
        return f"at most {plan.blocks} blocks, until {aim}"
    return f"{ended.blocks} of at most {plan.blocks} blocks, {aim} {'' if ended.narrow else 'not '}reached"


def section_title(metric: Metric, cell: Cell) -> str:
    """Return what a section is about: the metric's title, under which measure, and who sends."""
    label = MEASURES[cell.measure].label if cell.measure in MEASURES else cell.measure
    way = "" if cell.direction is Direction.FORWARD else f", {cell.direction}"
    return f"{metric.title}{f' {label}' if label else ''}{way}"


def row_name(metric: Metric, cell: Cell) -> str:
    """Return what the table calls a row: its cell, and a part of the metric; who sends is in the title."""
    return f"{label_of(cell.without('direction'))} {metric.part}".strip()


def worded(verdict: str | None, to_tell: int | None, word: str, lost: tuple[int, int]) -> str:
    """Return a verdict with what would decide it, and with how many trials are behind none."""
    words = [str(verdict or "")]
    if verdict == Verdict.INCONCLUSIVE and to_tell:
        words[0] += f" ({to_tell} {word})"
    if lost[0]:
        words.append(f"{lost[0]} of {lost[1]} lost")
    return ", ".join(one for one in words if one)
