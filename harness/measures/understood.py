"""What a node printed is whatever it likes: nothing in it may end a run, or become a figure that is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from harness.model.errors import NOT_UNDERSTOOD, ToolError
from harness.model.text import brief
from harness.model.trial import Measured

P = ParamSpec("P")
T = TypeVar("T")


def measured(name: str, read: Callable[P, Measured]) -> Callable[P, Measured]:
    """Return a function that reads what a measure's programs printed, such that it raises nothing but ToolError.

    A figure that is no number from 0 on is refused as well: JSON has NaN and 1e999 for Python.
    """

    @wraps(read)
    def guarded(*args: P.args, **named: P.kwargs) -> Measured:
        try:
            found = read(*args, **named)
            payload = (found.payload_forward_bytes, found.payload_reverse_bytes)
            rates = [interval.goodput_bps for interval in found.series]
            wrong = [str(figure) for figure in (*found.figures.values(), *payload, *rates) if not _counts(figure)]
        except NOT_UNDERSTOOD as error:
            raise ToolError(f"{name}: what was printed is not understood: {brief(repr(error))}") from error
        if wrong:
            raise ToolError(f"{name}: a figure of {brief(wrong[0])} was printed, which is none")
        return found

    return guarded


def or_else(default: Callable[P, T], read: Callable[P, T]) -> Callable[P, T]:
    """Return a function that reads what was printed, and gives `default` where it does not understand it."""

    @wraps(read)
    def guarded(*args: P.args, **named: P.kwargs) -> T:
        try:
            return read(*args, **named)
        except NOT_UNDERSTOOD:
            return default(*args, **named)

    return guarded


def _counts(figure: float) -> bool:
    return not isinstance(figure, bool) and math.isfinite(figure) and figure >= 0
