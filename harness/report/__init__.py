"""What a run's figures say, and how that is shown. pandas lives here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def _table(frame: DataFrame) -> str:
    from harness.report.table import table  # noqa: PLC0415 - a format is loaded when it is asked for

    return table(frame)


def _csv(frame: DataFrame) -> str:
    from harness.report.text import csv  # noqa: PLC0415 - see above

    return csv(frame)


def _json(frame: DataFrame) -> str:
    from harness.report.text import json  # noqa: PLC0415 - see above

    return json(frame)


def _markdown(frame: DataFrame) -> str:
    from harness.report.text import markdown  # noqa: PLC0415 - see above

    return markdown(frame)


FORMATS: Mapping[str, Callable[[DataFrame], str]] = MappingProxyType(
    {"table": _table, "csv": _csv, "json": _json, "markdown": _markdown}
)
"""What `--format` offers: a summary or a comparison in, text that ends with a newline out."""
