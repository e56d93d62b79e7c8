"""Measures by name, and what follows from them, the factors and the metrics together.

A measure is one module and its line here; a factor or a metric is an entry in `factors` or `metrics`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from harness.measures.base import Measure
from harness.measures.connections import Connections
from harness.measures.ecmp import Ecmp
from harness.measures.factors import FACTORS
from harness.measures.iperf3 import Iperf3
from harness.measures.loaded_ping import LoadedPing
from harness.measures.metrics import METRICS, NODE_METRICS
from harness.measures.ping import Ping
from harness.measures.sockperf import Sockperf
from harness.measures.udp_search import UdpSearch
from harness.model.errors import InputError
from harness.model.factors import Factor, Levels, Scope, Value
from harness.model.jobs import Program
from harness.model.metrics import Metric
from harness.model.trial import MTU, Cell

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (Iperf3(), Ping(), LoadedPing(), UdpSearch(), Sockperf(), Connections(), Ecmp())
}
"""Every measure by its name."""
_SHARE = re.compile(r"[0-9.]+%")
DEFAULT = ("iperf3", "ping")
"""What is measured where nothing else is asked for."""


def programs(measures: Iterable[str]) -> dict[str, Program]:
    """Return the programs that these measures need on the nodes, by their names."""
    return {program.name: program for name in measures for program in MEASURES[name].programs}


def factors_of(measures: Iterable[str]) -> dict[str, Factor]:
    """Return the factors that cells of these measures may have, in their order."""
    names = {MTU, *_node_factors(), *_labels(), *(factor for name in measures for factor in MEASURES[name].factors)}
    return {name: factor for name, factor in FACTORS.items() if name in names}


def metrics_of(measures: Iterable[str]) -> dict[str, Metric]:
    """Return the metrics that trials of these measures have columns for, in their order."""
    names = {*NODE_METRICS, *(metric for name in measures for metric in MEASURES[name].metrics)}
    return {name: metric for name, metric in METRICS.items() if name in names}


def cells(measures: Sequence[str], levels: Mapping[str, Sequence[Value]], mtus: Sequence[int]) -> tuple[Cell, ...]:
    """Return every cell of these measures at these levels, those that are not given as they are by default.

    Raises InputError where a level is given that no measure has a use for, or that leaves nothing to measure.
    """
    usable = factors_of(measures)
    usual = {name: factor.default for name, factor in usable.items() if factor.default}
    chosen = usual | dict(levels)
    states = [tuple(zip(_node_factors(), combined, strict=True)) for combined in product(*_node_levels(chosen))]
    by_measure = {
        name: tuple(
            cell.at(_known(state))
            for cell in MEASURES[name].cells({**usual, **MEASURES[name].defaults, **levels}, mtus)
            for state in states
        )
        for name in measures
    }
    empty = [name for name, own in by_measure.items() if not own]
    if empty:
        raise InputError(f"{empty[0]} has nothing to measure with these levels: no packet size fits any MTU.")
    made = tuple(cell for own in by_measure.values() for cell in own)
    varied = {name for cell in made for name, _ in cell.levels}
    unused = [name for name in levels if name not in varied]
    if unused:
        what = f"{unused[0].replace('_', ' ')} means nothing to {' and '.join(measures)}"
        with_it = [name for name, measure in MEASURES.items() if unused[0] in measure.factors]
        if set(with_it) & set(measures):
            raise InputError(f"{what} as they are chosen: leave it out, or add protocol udp.")
        raise InputError(f"{what}: leave it out, or measure {' or '.join(with_it)}, too.")
    return made


def _node_factors() -> list[str]:
    """Return the factors that change nodes, which every measure has."""
    return [name for name, factor in FACTORS.items() if factor.scope is Scope.NODE]


def _labels() -> list[str]:
    """Return the factors that only tell trials apart, which cells of any measure may have."""
    return [name for name, factor in FACTORS.items() if factor.scope is Scope.LABEL]


def _node_levels(chosen: Mapping[str, Sequence[Value]]) -> list[Sequence[Value | None]]:
    return [chosen.get(name, (None,)) for name in _node_factors()]


def _known(levels: Iterable[tuple[str, Value | None]]) -> Levels:
    return tuple((name, value) for name, value in levels if value is not None)


def label_of(cell: Cell) -> str:
    """Return a cell without its measure, as tables, progress and notes call it: `tcp 1450 x8`."""
    names = [name for name in FACTORS if cell.get(name) is not None]
    words: list[str] = []
    for name in names:
        word = FACTORS[name].label(cell.get(name) or 0)
        words += ["mtu", word] if name == MTU and not words else [word] if word else []
    return " ".join([*words, *(f"{name}={value}" for name, value in cell.levels if name not in FACTORS)])


def title_of(cell: Cell) -> str:
    """Return a cell with its measure in front: `iperf3 tcp 1450 x8`."""
    return f"{cell.measure} {label_of(cell)}"


def order_of(cell: Cell) -> tuple[object, ...]:
    """Return what cells are sorted by: measure, then levels in the order of the factors."""
    keys: list[object] = [list(MEASURES).index(cell.measure) if cell.measure in MEASURES else len(MEASURES)]
    for name in FACTORS:
        value = cell.get(name)
        keys.append((0, 0.0, "") if value is None else _sorting(value, FACTORS[name].choices))
    return (*keys, cell.measure, tuple((name, _sorting(value)) for name, value in cell.levels))


def _sorting(value: Value, choices: Sequence[str] = ()) -> tuple[int, float, str]:
    if not isinstance(value, str):
        return (1, float(value), "")
    if _SHARE.fullmatch(value):
        return (2, float(value.removesuffix("%")), "")
    return (3, choices.index(value) if value in choices else len(choices), value)


def grouping(cell: Cell) -> tuple[Cell, Cell]:
    """Return what a cell is measured close in time with: cells alike but for endpoints and nodes, but for endpoints.

    Labels make no difference to either.
    """
    scopes = {name: FACTORS[name].scope for name, _ in cell.levels if name in FACTORS}
    within = [name for name, scope in scopes.items() if scope in (Scope.ENDPOINT, Scope.LABEL)]
    nodes = [name for name, scope in scopes.items() if scope is Scope.NODE]
    return cell.without(*within, *nodes), cell.without(*within)
