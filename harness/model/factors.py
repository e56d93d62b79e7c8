"""Factors: what a cell varies, and levels, the values that it does so with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from harness.model.jobs import Completed

Value = int | float | str
"""One level of a factor, in SI base units where it has a unit."""
Levels = tuple[tuple[str, Value], ...]
"""Levels by the names of their factors, sorted by name, so that equal ones compare equal."""


class Scope(StrEnum):
    """What has to be done for a level."""

    SENDER = "sender"
    """The measuring programs are told; nothing else changes."""
    ENDPOINT = "endpoint"
    """There are endpoints for each level, all of them up at once."""
    NODE = "node"
    """Both nodes are changed for a group of trials, and changed back after it."""
    LABEL = "label"
    """Nothing has to be done: it tells apart trials that are alike. No option sets it."""


class Shell(Protocol):
    """What runs a command on one node."""

    @property
    def name(self) -> str:
        """Name of the node."""
        ...

    def run(self, argv: Sequence[str], timeout_s: float = ...) -> Completed:
        """Run argv to its end."""
        ...


@dataclass(frozen=True)
class Site:
    """One node as a NODE factor changes it: its shell, its devices, and the profiles that are up there."""

    shell: Shell
    nic: str
    tunnels: tuple[str, ...]
    profiles: tuple[str, ...]


Restore = Callable[[], None]


@dataclass(frozen=True)
class Factor:
    """Something that cells vary; an option (but of a LABEL) and a column of trials.csv bear its name.

    `parse` makes one level of text, of an option or of a CSV file, and raises InputError that says what is valid.
    `label` is how a table calls a level. `default`: the levels where none are asked for; without any, cells only have
    the factor on demand. `help` says what the option takes, `choices` are the words there are, in the order in which
    they are shown. `expand` makes the levels of what a repeatable option was given, where one text is not one level.
    `enter` is for NODE factors: it changes the sites and returns what changes them back.
    """

    name: str
    help: str
    parse: Callable[[str], Value]
    unit: str = ""
    scope: Scope = Scope.SENDER
    default: tuple[Value, ...] = ()
    label: Callable[[Value], str] = str
    choices: tuple[str, ...] = ()
    expand: Callable[[Sequence[str]], tuple[Value, ...]] | None = None
    enter: Callable[[Sequence[Site], Value], Restore] | None = None
