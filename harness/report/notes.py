"""The warnings of a row, one function each: `fact: advice`, or the fact alone where there is nothing to advise.

Reports group them by what follows the colon; the separator between warnings does not occur within one.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping

from harness.model.trial import Cell, PathState, Status
from harness.report.figures import BITS_PER_GBIT, Side
from harness.report.reading import Meta
from harness.truth.stats import MIN_BLOCKS

SEPARATOR = "; "
MULTI_THREADED_SINCE = (3, 16)
"""First iperf3 with a thread for each flow (its release notes)."""
_REASON_WIDTH = 70
_STATE_MEANINGS = {
    PathState.CLAMPED: "larger packets did not fit, and the sender learned that size",
    PathState.OUTER_FRAGMENTED: "encapsulated packets were cut to fit the underlay and joined by the other node",
    PathState.INNER_FRAGMENTED: "packets were cut to fit the tunnel and joined by the other endpoint",
    PathState.BLACK_HOLED: "full-size packets were lost without a word",
}


def join(warnings: Iterable[str | None]) -> str:
    """Return the text of the column `warnings`; None and repetitions are left out."""
    known = [warning.replace(SEPARATOR, ", ") for warning in warnings if warning]
    return SEPARATOR.join(dict.fromkeys(known))


def path_states(profile: str, states: Counter[str]) -> str | None:
    """Say how full-size packets went, unless all of them went whole."""
    if not set(states) - {PathState.WHOLE}:
        return None
    if len(states) == 1:
        state = next(iter(states))
        return f"{profile} {state}: {_STATE_MEANINGS[PathState(state.split()[0])]}"
    counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{profile} in different states: {counted}"


def no_ceiling(profile: str, cell: Cell, states: Counter[str]) -> str:
    """Say that a state and the sizes contradict each other, or that no state is known."""
    if not states:
        return f"{profile} has no path state: no ceiling"
    return f"{profile} {next(iter(states))} at MTU {cell.mtu} does not fit its headers: no ceiling"


def lost(profile: str, side: Side) -> str | None:
    """Say how many trials have no figure, and the commonest reason."""
    counts = [f"{side.lost[status]} {status}" for status in (Status.FAILED, Status.INVALID) if side.lost.get(status)]
    if not counts:
        return None
    reason = textwrap.shorten(side.reason, _REASON_WIDTH, placeholder=" ...") or "see reason in trials.csv"
    return f"{profile} {', '.join(counts)}: {reason}"


def few_blocks(blocks: int, word: str = "blocks") -> str | None:
    """Say that there are too few blocks (or trials) for a verdict."""
    if not 0 < blocks < MIN_BLOCKS:
        return None
    return (
        f"{blocks} {word if blocks > 1 else word[:-1]}: a verdict takes {MIN_BLOCKS}, use --blocks {MIN_BLOCKS} or more"
    )


def zeros(profile: str, count: int) -> str | None:
    """Say that figures of 0 were left out."""
    return f"{profile} {count} of figure 0: left out, 0 has no ratio" if count else None


def other_baseline_mtu(baseline: str, nic_mtu: int, mtu: int) -> str:
    """Say that `ratio` compares with the baseline at another MTU than the NIC's."""
    return f"{baseline} was not measured at MTU {nic_mtu}: compared at {mtu}"


def single_threaded(cell: Cell, meta: Meta | None) -> str | None:
    """Say beside figures of several flows that iperf3 had one thread for all of them."""
    versions = meta.versions.get("iperf3", {}) if meta else {}
    old = sorted({version for version in versions.values() if version and _parsed(version) < MULTI_THREADED_SINCE})
    if cell.tool != "iperf3" or cell.flows == 1 or not old:
        return None
    return f"iperf3 {' and '.join(old)}: one thread for all flows before 3.16, so one CPU may be the limit"


def of_run(trials_warnings: Iterable[str], meta: Meta | None) -> list[str]:
    """Return what concerns every figure of a run."""
    if meta is None:
        missing = "no run.json beside trials.csv: no ceilings and no CPU seconds per gigabit"
        return [*trials_warnings, missing]
    return [*trials_warnings, *meta.warnings]


def title(meta: Meta) -> str:
    """Return what a run was, in two lines."""
    rate = ""
    if meta.rate_bps:
        scaled = (
            (meta.rate_bps / BITS_PER_GBIT, "Gbit/s")
            if meta.rate_bps >= BITS_PER_GBIT
            else (meta.rate_bps / 1e6, "Mbit/s")
        )
        rate = f", {scaled[0]:g} {scaled[1]}"
    plan = meta.plan
    return (
        f"run {meta.run_id}\nlab {meta.lab}{rate}, plan {plan.name}: {plan.blocks} blocks, "
        f"trials of {plan.duration_s:g} s after {plan.omit_s:g} s omitted"
    )


def difference(what: str, a: object, b: object) -> str:
    """Say that two runs differ in something that moves figures."""
    shown = [textwrap.shorten(str(value), _REASON_WIDTH // 2, placeholder=" ...") for value in (a, b)]
    return f"{what} differs: A {shown[0]}, B {shown[1]}"


def advice_first(warnings: Iterable[str]) -> Mapping[str, list[str]]:
    """Return advice -> facts, so that a report says an advice once; a warning without advice stands for itself."""
    grouped: dict[str, list[str]] = {}
    for warning in warnings:
        fact, colon, advice = warning.partition(": ")
        facts = grouped.setdefault(advice if colon else warning, [])
        if colon and fact not in facts:
            facts.append(fact)
    return grouped


def _parsed(version: str) -> tuple[int, ...]:
    """Return a version's numbers; an unknown form counts as new, since nothing is known against it."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return (int(numbers[1]), int(numbers[2])) if numbers else MULTI_THREADED_SINCE
