"""Contrasts: which arms are set against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.measures.registry import MEASURES, order_of
from harness.model.factors import Levels
from harness.model.path import Kind
from harness.model.trial import MTU, UNDERLAY, Cell
from harness.report.arms import NOTHING, Arm


class Against(StrEnum):
    """What a contrast sets a profile's cell against."""

    PROFILE = "profile"
    """The baseline at its NIC's own MTU: what a user loses."""
    SAME_MTU = "same-mtu"
    """The baseline at the cell's MTU: what the way itself costs."""
    IDLE = "idle"
    """The same profile without the load."""
    OFFLOAD = "offload"
    """The same profile with an offload as it was switched on."""
    OWN_MTU = "own-mtu"
    """The first profile of the run, each of both at its own largest MTU: what a user gets in its place."""


@dataclass(frozen=True)
class Contrast:
    """A profile's cell set against another one: that of `baseline`, at other levels (`override`), by another measure.

    `title` heads its rows, `switch` is the offload that differs.
    """

    against: Against
    profile: str
    baseline: str
    title: str
    override: Levels = ()
    measure: str = ""
    switch: str = ""

    def baseline_cell(self, cell: Cell) -> Cell:
        """Return the cell that the baseline is taken at."""
        if not self.measure:
            return cell.at(self.override)
        factors = (*MEASURES[self.measure].factors, MTU)
        kept = tuple((name, value) for name, value in cell.levels if name in factors)
        return Cell(self.measure, kept).at(self.override)


Arms = Mapping[tuple[str, Cell], Arm]


def contrasts(
    arms: Arms, kinds: Mapping[str, str], nic_mtu: int, largest: Mapping[str, int], first: str
) -> Iterator[tuple[Contrast, Cell]]:
    """Yield every contrast of a run, row by row in the order of its tables.

    Every profile against the underlay, and every tunnel against every routed profile: underlay -> routed is the
    container's path, routed -> tunnel the encapsulation; at the same MTU only where the baseline has been measured at
    it. Then every profile against the `first`, each at its own largest MTU, as far as that was measured: `largest` has
    those. Then loaded against idle, and offloads off against on.
    """
    for profile, baseline in pairs(kinds):
        title = f"{profile} against {baseline}"
        for against in (Against.PROFILE, Against.SAME_MTU):
            for cell in cells_of(arms, profile):
                override = own_mtu(arms, baseline, cell, nic_mtu) if against is Against.PROFILE else ()
                if against is Against.PROFILE or (baseline, cell) in arms:
                    yield Contrast(against, profile, baseline, title, override), cell
    for profile in _others(kinds):
        if profile != first:
            yield from _in_place_of(arms, profile, first, largest)
    for profile in [*(name for name, kind in kinds.items() if kind == Kind.UNDERLAY), *_others(kinds)]:
        yield from _loaded(arms, profile)
        yield from _switched(arms, profile)


def pairs(kinds: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return each profile with its baselines: routed profiles first, then tunnels, each by name."""
    routed = [name for name in _others(kinds) if kinds[name] == Kind.ROUTED]
    opposed = []
    for name in _others(kinds):
        opposed.append((name, UNDERLAY))
        if kinds[name] == Kind.TUNNEL:
            opposed += [(name, other) for other in routed]
    return opposed


def _others(kinds: Mapping[str, str]) -> list[str]:
    return sorted(
        (name for name, kind in kinds.items() if kind != Kind.UNDERLAY),
        key=lambda name: (kinds[name] == Kind.TUNNEL, name),
    )


def cells_of(arms: Arms, profile: str) -> list[Cell]:
    """Return the cells of a profile in their order."""
    return sorted((cell for name, cell in arms if name == profile), key=order_of)


def own_mtu(arms: Arms, baseline: str, cell: Cell, nic_mtu: int) -> Levels:
    """Return the levels at which a baseline is taken: at its NIC's own MTU, which only the underlay always has."""
    at_nic: Levels = ((MTU, nic_mtu),)
    measured = (baseline, cell.at(at_nic)) in arms
    wanted = cell.measure not in MEASURES or MEASURES[cell.measure].is_held_against_nic_mtu(dict(cell.levels))
    return at_nic if cell.mtu != nic_mtu and (measured or (baseline == UNDERLAY and wanted)) else ()


def _in_place_of(arms: Arms, profile: str, first: str, largest: Mapping[str, int]) -> Iterator[tuple[Contrast, Cell]]:
    """Yield each cell of a profile at its own largest MTU against the first profile at that one's own."""
    own, its = (_at_largest(arms, name, largest) for name in (profile, first))
    for rest, cell in own.items():
        if rest in its:
            mtus = (cell.mtu, its[rest].mtu)
            how = f"at MTU {mtus[0]}" if mtus[0] == mtus[1] else f"at MTU {mtus[0]} and {mtus[1]}"
            override: Levels = ((MTU, mtus[1]),) if mtus[0] != mtus[1] else ()
            yield Contrast(Against.OWN_MTU, profile, first, f"{profile} instead of {first}, {how}", override), cell


def _at_largest(arms: Arms, profile: str, largest: Mapping[str, int]) -> dict[Cell, Cell]:
    """Return a profile's cells at the largest measured MTU that passes whole, by what else they are; else none."""
    found: dict[Cell, Cell] = {}
    for cell in cells_of(arms, profile):
        rest = cell.without(MTU)
        if cell.mtu <= largest.get(profile, 0) and cell.mtu > (found[rest].mtu if rest in found else 0):
            found[rest] = cell
    return found


def _loaded(arms: Arms, profile: str) -> Iterator[tuple[Contrast, Cell]]:
    for cell in cells_of(arms, profile):
        idle = MEASURES[cell.measure].idle if cell.measure in MEASURES else ""
        contrast = Contrast(Against.IDLE, profile, profile, f"{profile}, loaded against idle", measure=idle)
        if idle and arms.get((profile, contrast.baseline_cell(cell)), NOTHING) is not NOTHING:
            yield contrast, cell


def _switched(arms: Arms, profile: str) -> Iterator[tuple[Contrast, Cell]]:
    """Yield each cell with an offload switched off against the one that differs in nothing but that."""
    cells = [cell for cell in cells_of(arms, profile) if cell.get("offload")]
    for cell in cells:
        for feature, on in _with_one_on(str(cell.get("offload"))):
            override: Levels = (("offload", on),)
            if cell.at(override) in cells:
                title = f"{profile}, {feature} off against on"
                yield Contrast(Against.OFFLOAD, profile, profile, title, override, switch=feature), cell


def _with_one_on(offload: str) -> Iterable[tuple[str, str]]:
    """Return, for each feature that a level switches off, the level with it on: of `a=off b=on`, (a, `a=on b=on`)."""
    settings: Sequence[str] = offload.split()
    for number, setting in enumerate(settings):
        feature, _, state = setting.partition("=")
        if state == "off":
            yield feature, " ".join([*settings[:number], f"{feature}=on", *settings[number + 1 :]])
