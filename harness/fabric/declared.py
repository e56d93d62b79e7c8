"""Paths that are there already, written down in a profile's file: `kind: existing`, and an endpoint on each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, field_validator

from harness.fabric.profile_file import Named, read, validated
from harness.fabric.profiles import known_profiles
from harness.model import found
from harness.model.errors import InputError
from harness.model.found import Spot
from harness.model.jobs import Side
from harness.model.trial import UNDERLAY

EXISTING = "existing"


class Declared(Named):
    """A path between two endpoints, each by the name of its node and written as for `--between`; nothing is built."""

    kind: Literal["existing"]
    summary: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "A path that is there already"
    between: dict[str, str]

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name == UNDERLAY:
            raise ValueError(f"{UNDERLAY} is the nodes' own network")
        return name

    @field_validator("between")
    @classmethod
    def _two_endpoints(cls, between: dict[str, str]) -> dict[str, str]:
        if len(between) != len(Side):
            raise ValueError(f"{len(between)} endpoint(s) are named; give one on each of two nodes")
        for text in between.values():
            try:
                Spot.parse(text)
            except InputError as error:
                raise ValueError(str(error)) from error
        return between


def load(path: Path) -> Declared | None:
    """Return the path that a profile's file writes down, None for another kind; InputError as for profiles."""
    values, tree = read(path)
    if not isinstance(values, Mapping) or values.get("kind") != EXISTING:
        return None
    return validated(Declared, values, tree, path)


def named(names: Iterable[str], profiles_dirs: Iterable[Path]) -> dict[str, found.NamedPath]:
    """Return those of these profiles whose files write a path down; what is wrong with others is not said here."""
    files = known_profiles(profiles_dirs)
    made = {name: load(files[name]) for name in names if name in files}
    return {
        name: found.NamedPath(name, str(files[name]), declared.between) for name, declared in made.items() if declared
    }
