"""Fabrics: what gives paths that are up, verified, and down again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from harness.model.notes import Note
from harness.model.pairs import Pair
from harness.model.path import Path
from harness.results.plan import Setup

Paths = Mapping[tuple[str, int], Path]
"""Paths by profile and MTU; the underlay also has one at its NIC's own MTU."""


class Progress(Protocol):
    """Who is told how it goes."""

    def stage(self, text: str) -> None:
        """Something other than a trial begins."""
        ...

    def note(self, note: Note) -> None:
        """Something that the reader of the figures should know."""
        ...


class Fabric(Protocol):
    """Who provides the paths of a set-up on the nodes of a lab."""

    def preflight(self, setup: Setup) -> None:
        """Raise PlaybookError for what would keep the paths from coming up; changes nothing."""
        ...

    def up(self, setup: Setup, observer: Progress, *, verify: bool) -> Mapping[Pair, Paths]:
        """Bring the paths of each pair of nodes up, or find them, and `verify` that they are what their profiles say.

        Raises VerificationError where they are not, PlaybookError and ConnectionLostError where that cannot be found
        out, or they do not come up.
        """
        ...

    def down(self, setup: Setup) -> None:
        """Take down what `up` brought up, from any half-built state; an interruption does not cut it short."""
        ...
