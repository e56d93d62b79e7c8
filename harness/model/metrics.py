"""Metrics: what a measure yields, and what is made of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Better(StrEnum):
    """Which way of a metric is the better one for the user."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Facts:
    """What a derived metric depends on beside the figures of a trial: whether the nodes share one kernel."""

    shared_kernel: bool


Derive = Callable[[Mapping[str, Any], Facts], Any]
"""Columns of figures by name (NumPy arrays, NaN where there is none), and facts of the run, to a derived metric's."""


@dataclass(frozen=True)
class Metric:
    """A figure of a trial, in SI base units; a column of trials.csv, unless it is derived from others.

    `title` heads the rows about it, `part` tells several under one title apart, such as percentiles. Without `better`
    it is shown but not compared. `ceiling`: headers bound it, so it is held against what they allow.
    """

    name: str
    unit: str
    title: str
    better: Better | None = None
    part: str = ""
    ceiling: bool = False
    tries: str = ""
    derive: Derive | None = None
