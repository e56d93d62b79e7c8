"""Which path that is there already a run measures: by --between, or by a profile's file that writes it down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.fabric import declared
from harness.model.errors import InputError
from harness.model.found import Between, NamedPath
from harness.model.node import Node


def asked_for(
    between: Between | NamedPath | None, profiles: tuple[str, ...], profiles_dirs: Sequence[Path]
) -> tuple[Between | NamedPath | None, tuple[str, ...]]:
    """Return the path to be found, None for none, and the profiles to be built.

    Raises InputError for more than one path, and for one beside profiles that are built.
    """
    paths = declared.named(profiles, profiles_dirs)
    if not paths:
        return between, profiles
    if between is not None or len(profiles) > 1:
        name = next(iter(paths))
        raise InputError(
            f"profile {name} is a path that is there already, which is measured by itself: leave the others out, and "
            "compare its run with theirs."
        )
    return next(iter(paths.values())), ()


def settled(between: Between | NamedPath | None, nodes: Sequence[Node], lab: str) -> Between | None:
    """Return both endpoints of the path to be found, looked up where only its name was given."""
    return between.of_nodes(nodes, lab) if isinstance(between, NamedPath) else between
