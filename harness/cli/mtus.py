"""MTUs of endpoints that nobody asked for, and of the NICs below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.fabric.profiles import Profile
from harness.measures.factors import FACTORS
from harness.model.errors import InputError
from harness.model.node import Node
from harness.model.trial import MTU, UNDERLAY
from harness.results.plan import Preset


def own_mtus(loaded: Iterable[Profile], nic_mtu: int) -> dict[str, int]:
    """Return the largest MTU that each profile carries, by its name."""
    return {profile.name: min(profile.path_mtu(nic_mtu), nic_mtu) for profile in loaded if profile.name != UNDERLAY}


def default_mtus(own: Mapping[str, int], nic_mtu: int, preset: Preset) -> tuple[int, ...]:
    """Return the MTUs of endpoints where none is asked for: each profile's own, and the NIC's."""
    if not own:
        return tuple(map(int, FACTORS[MTU].default))
    return tuple(sorted({*own.values()} | ({nic_mtu} if preset.same_mtu else set())))


def common_mtu(lab: str, nodes: Sequence[Node]) -> int:
    """Return the nodes' NICs' MTU in bytes; InputError where they differ."""
    first = nodes[0]
    for other in nodes:
        if other.mtu != first.mtu:
            raise InputError(
                f"{lab}: underlay_mtu is {first.mtu} on {first.name} and {other.mtu} on {other.name}; "
                "a path has one MTU, so give both the smaller."
            )
    return first.mtu
