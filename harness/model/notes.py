"""Notes: what the reader of figures should know, as values; reports join those that say the same of several things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class About(StrEnum):
    """What kind of thing a note says; notes of one kind with one advice are shown as one."""

    FILE = "file"
    LAB = "lab"
    NODE = "node"
    LOAD = "load"
    STOLEN = "stolen"
    PROGRAM = "program"
    SETUP = "setup"
    PATH_STATE = "path state"
    CEILING = "ceiling"
    LOST = "lost"
    FIGURE = "figure"
    BLOCKS = "blocks"
    SPREAD = "spread"
    BASELINE = "baseline"
    MOVED = "moved"
    COLLAPSE = "collapse"
    DIFFERENCE = "difference"
    OFFLOAD = "offload"
    REPEATED = "repeated"
    RESENT = "sent again"
    CUT_SHORT = "cut short"
    RESUMED = "resumed"


@dataclass(frozen=True)
class Note:
    """One thing to know: `fact` is what was seen of `subject`, `advice` what it means or what to do about it.

    A `value` is the fact's number, in SI base units, where notes that differ in it only are shown as a range.
    """

    about: About
    subject: str
    fact: str
    advice: str = ""
    value: float | None = None

    def __str__(self) -> str:
        return f"{self.fact}: {self.advice}" if self.advice else self.fact
