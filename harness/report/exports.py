"""Formats that take a library of their own, which is loaded once somebody asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.model.errors import InputError
from harness.report.comparison import Comparison
from harness.report.formats import Result, columns_of, records_of
from harness.report.pairs import PairsAnalysis
from harness.results.meta import RunMeta


def _openmetrics(result: Result) -> bytes:
    from harness.report.openmetrics import openmetrics  # noqa: PLC0415 - see above

    return openmetrics(records_of(result), factors_of(result), metas_of(result))


def _parquet(result: Result) -> bytes:
    from harness.report.parquet import parquet  # noqa: PLC0415 - see above

    return parquet(records_of(result), columns_of(result), factors_of(result), metas_of(result))


EXPORTS: Mapping[str, Callable[[Result], bytes]] = MappingProxyType({"openmetrics": _openmetrics, "parquet": _parquet})
"""Each is called as the extra of the package that installs its library."""


def exported(result: Result, form: str) -> bytes:
    """Return a result in one of EXPORTS.

    Raises:
        InputError: the library is not installed.
    """
    try:
        return EXPORTS[form](result)
    except ImportError as error:
        raise InputError(
            f"{form} takes a library that is not here ({error.name}): pip install 'vxlan-harness[{form}]'."
        ) from error


def factors_of(result: Result) -> list[str]:
    """Return the factors of a result's rows."""
    if isinstance(result, PairsAnalysis):
        return list(dict.fromkeys(name for own in result.pairs.values() for name in own.columns.factors))
    return list(result.columns.factors)


def metas_of(result: Result) -> dict[str, RunMeta]:
    """Return the run.json of each run of a result that has one, by its letter, its pair, or `run`."""
    found: dict[str, RunMeta | None]
    if isinstance(result, Comparison):
        found = {name: meta for side in result.metas for name, meta in side.items()}
    elif isinstance(result, PairsAnalysis):
        found = {str(pair): own.meta for pair, own in result.pairs.items()}
    else:
        found = {"run": result.meta}
    return {name: meta for name, meta in found.items() if meta}
