"""The largest packet that each profile carries whole, which is the MTU that somebody would run it at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES
from harness.model.notes import About, Note
from harness.model.path import WHOLE
from harness.model.trial import UNDERLAY
from harness.report.arms import Arm, by_state
from harness.report.contrasts import Arms
from harness.results.meta import RunMeta
from harness.truth.wire import largest


def largest_mtus(arms: Arms, meta: RunMeta | None, nic_mtu: int) -> Mapping[str, int]:
    """Return each profile's: what it claims in run.json, without which the largest at which packets went whole."""
    if meta is not None:
        return {name: one.tunnel_mtu or largest(nic_mtu, one.headers) for name, one in meta.profiles.items()}
    found: dict[str, int] = {}
    for (profile, cell), arm in arms.items():
        if _is_whole(arm, cell.measure):
            found[profile] = max(cell.mtu, found.get(profile, 0))
    return MappingProxyType(found)


def _is_whole(arm: Arm, measure: str) -> bool:
    """Tell whether packets passed whole in most trials of an arm."""
    if measure not in MEASURES:
        return False
    states = by_state(arm, METRICS[MEASURES[measure].rows[0]])
    return next(iter(states), None) == WHOLE


def unmeasured(arms: Arms, largest: Mapping[str, int]) -> Iterator[Note]:
    """Yield a note where profiles of unlike largest MTUs stand in one run, and one was not measured at its own."""
    measured: dict[str, set[int]] = {}
    for profile, cell in arms:
        if profile != UNDERLAY and profile in largest:
            measured.setdefault(profile, set()).add(cell.mtu)
    if len({largest[name] for name in measured}) < 2:  # noqa: PLR2004 - otherwise what was measured is alike for all
        return
    lacking = [name for name, mtus in measured.items() if largest[name] not in mtus]
    for name in lacking:
        mtus = ",".join(str(mtu) for mtu in sorted({largest[one] for one in measured}))
        fact = f"{name} carries packets of {largest[name]} bytes, and was not measured at that"
        yield Note(About.BASELINE, name, fact, f"--mtu {mtus} holds each profile at its own largest MTU")
