"""The command that repeats a run: made from its plan, so that it measures the same in the same order."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from harness.measures import registry
from harness.measures.factors import FACTORS
from harness.model.containers import Engine
from harness.model.errors import InputError
from harness.model.factors import Scope, Value
from harness.model.trial import ARM, MTU, UNDERLAY
from harness.results.meta import RunMeta
from harness.results.plan import PRESETS, Plan

LOCAL = "local"
INVENTORY = "INVENTORY"
"""Stands for the file of an inventory: a run knows its name, not where it lies."""
_RATES = ((1e9, "gbit"), (1e6, "mbit"), (1e3, "kbit"))

Given = Mapping[str, Sequence[Value]]


def command_of(meta: RunMeta, waves: Sequence[Sequence[str]] = ()) -> str:
    """Return the command, `waves` being the pairs of a run of several; empty for one that no options make again.

    Runs over links have a command of their own, and what levels a cell had is not known of the oldest runs.
    """
    plan = meta.plan
    given = _levels(plan)
    if given is None or plan.links is not None:
        return ""
    words = ["sudo", "harness", "aa" if plan.runs > 1 else "run", *_where(meta), *_what(meta)]
    words += ["--measure", ",".join(plan.measures), *_factors(given), *_extent(plan)]
    if waves:
        words += ["--pairs", ",".join(pair for wave in waves for pair in wave)]
        words += ["--parallel-pairs"] if any(len(wave) > 1 for wave in waves) else []
    return shlex.join(words)


def _where(meta: RunMeta) -> Iterator[str]:
    """Yield the options of the lab, and of what the endpoints are."""
    if meta.lab == LOCAL:
        yield from ("--rate", rate_text(meta.rate_bps) if meta.rate_bps else "none")
    else:
        yield from ("--lab", meta.lab if meta.lab == "vagrant" else INVENTORY)
    containers = meta.plan.setup.containers
    if containers.engine is not Engine.NONE:
        yield from ("--containers", containers.engine.value)
        yield from ("--image", containers.image) if containers.image else ()


def _what(meta: RunMeta) -> Iterator[str]:
    """Yield the options that name what is compared: profiles, or a path that is there."""
    for folder in meta.plan.setup.profiles_dirs:
        yield from ("--profiles-dir", str(folder))
    for name in meta.plan.setup.profiles:
        found = meta.profiles[name].found if name in meta.profiles else None
        if found:
            ends = ",".join(str(found.get(side, {}).get("spot", "")) for side in ("client", "server"))
            yield from ("--between", f"{name}={ends}")
        elif name != UNDERLAY:
            yield from ("--profile", name)


def _levels(plan: Plan) -> Given | None:
    """Return the fewest levels that make the cells of a plan, in their order; None where none do."""
    cells = tuple(dict.fromkeys(cell.without(ARM) for cell in plan.cells))
    if not cells:
        return None
    varied: dict[str, list[Value]] = {}
    for cell in cells:
        for name, value in cell.levels:
            if name != MTU and value not in varied.setdefault(name, []):
                varied[name].append(value)
    mtus = plan.setup.mtus
    for count in range(len(varied) + 1):
        for names in combinations(varied, count):
            chosen = {name: tuple(varied[name]) for name in names}
            try:
                made = registry.cells(plan.measures, chosen, mtus)
            except (InputError, KeyError):
                continue
            if made == cells:
                return {MTU: mtus, **chosen}
    return None


def _factors(given: Given) -> Iterator[str]:
    for name, factor in FACTORS.items():
        if name not in given or factor.scope is Scope.LABEL:
            continue
        option = f"--{name.replace('_', '-')}"
        if factor.expand is None:
            yield from (option, ",".join(_level(name, value) for value in given[name]))
            continue
        states: dict[str, dict[str, None]] = {}
        for level in given[name]:
            for setting in str(level).split():
                switch, _, state = setting.rpartition("=")
                states.setdefault(switch, {})[state] = None
        for switch, own in states.items():
            yield from (option, f"{switch}={','.join(own)}")


def _level(name: str, value: Value) -> str:
    return rate_text(value) if name == "udp_rate" and not isinstance(value, str) else str(value)


def rate_text(rate_bps: float) -> str:
    """Return a rate as options take it, such as `500mbit`."""
    size, unit = next((entry for entry in _RATES if rate_bps >= entry[0]), _RATES[-1])
    return f"{rate_bps / size:.9g}{unit}"


def _extent(plan: Plan) -> Iterator[str]:
    """Yield how much is measured, and in which order: what the plan's preset does not say already."""
    preset = PRESETS.get(plan.name)
    if preset:
        yield from ("--plan", plan.name)
    blocks = plan.blocks // plan.runs
    if plan.until_width is not None:
        yield from ("--until-width", f"{100 * plan.until_width:g}%", "--max-blocks", str(blocks))
    elif preset is None or preset.blocks != blocks:
        yield from ("--blocks", str(blocks))
    for option, seconds, usual in (
        ("--duration", plan.timing.duration_s, preset.duration_s if preset else None),
        ("--omit", plan.timing.omit_s, preset.omit_s if preset else None),
    ):
        if seconds != usual:
            yield from (option, f"{seconds:g}")
    if plan.setups > 1:
        yield from ("--setups", str(plan.setups))
    if plan.runs > 1:
        yield from ("--runs", str(plan.runs))
    if plan.max_bps is not None:
        yield from ("--max-rate", rate_text(plan.max_bps))
    yield from ("--seed", str(plan.seed))
