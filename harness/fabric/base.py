"""Fabrics: what gives paths that are up, verified, and down again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harness.model.notes import Note
from harness.model.pairs import Pair
from harness.model.path import Path
from harness.results.plan import Setup

Paths = Mapping[tuple[str, int], Path]
"""Paths by profile and MTU; the underlay also has one at its NIC's own MTU."""


@dataclass(frozen=True)
class Raised:
    """What came up: the paths of each pair of nodes, and what their owner should know."""

    paths: Mapping[Pair, Paths]
    notes: tuple[Note, ...] = ()


class Fabric(Protocol):
    """Who provides the paths of a set-up on the nodes of a lab."""

    def preflight(self, setup: Setup) -> None:
        """Raise PlaybookError for what would keep the paths from coming up; changes nothing."""
        ...

    def up(self, setup: Setup) -> Raised:
        """Bring the paths up, or find them; raises PlaybookError and ConnectionLostError."""
        ...

    def verify(self, setup: Setup) -> None:
        """Raise VerificationError where the paths are not what their profiles say; changes nothing.

        Raises PlaybookError and ConnectionLostError where that cannot be found out.
        """
        ...

    def down(self, setup: Setup) -> None:
        """Take down what `up` brought up, from any half-built state; an interruption does not cut it short."""
        ...
