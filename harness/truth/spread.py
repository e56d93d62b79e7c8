"""The spread of what was measured on two levels of repetition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """By how much an estimate scatters, as one standard deviation: of a ratio as a share of it, of a difference itself.

    `between` is from one set-up to another beyond what their blocks explain, `within` from block to block of one; None
    where there are too few to tell. With one block each the two cannot be told apart, and `between` holds both.
    """

    setups: int
    between: float | None
    within: float | None
