"""Formats: an analysis (of one run, of its pairs, or of runs compared) in, text that ends with a newline out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from harness.model.errors import InputError
from harness.report import (
    aa_page,
    answers,
    compared_findings,
    compared_layout,
    ecmp_page,
    layout,
    matrix,
    pivot,
    records,
)
from harness.report.aa import AaAnalysis
from harness.report.analysis import Analysis
from harness.report.comparison import Comparison
from harness.report.ecmp import EcmpAnalysis
from harness.report.markdown import markdown
from harness.report.page import Page
from harness.report.pairs import PairsAnalysis
from harness.report.plots import ecmp as ecmp_plot
from harness.report.table import table

Result = Analysis | PairsAnalysis | Comparison | AaAnalysis | EcmpAnalysis


def _page(result: Result) -> Page | None:
    """Return a result laid out, None where there is nothing in it."""
    if isinstance(result, PairsAnalysis):
        return matrix.page(result)
    if not result.rows:
        return None
    if isinstance(result, AaAnalysis):
        return aa_page.page(result)
    if isinstance(result, EcmpAnalysis):
        return ecmp_page.page(result)
    return layout.page(result) if isinstance(result, Analysis) else compared_layout.page(result)


def findings_of(result: Result) -> tuple[str, ...]:
    """Return what was found, in sentences; none where it is in the figures only."""
    laid_out = _page(result)
    return (layout.NOTHING_COMPARED,) if laid_out is None else laid_out.findings


def _table(result: Result, *, explain: bool = False) -> str:
    laid_out = _page(result)
    return f"{layout.NOTHING_COMPARED}\n" if laid_out is None else table(laid_out, explain=explain)


def explained(result: Result) -> str:
    """Return a result as a table with all of its notes and with what everything in it means."""
    return _table(result, explain=True)


def side_by_side(result: Result, by: str, form: str) -> str:
    """Return a result with a column for each profile, MTU or number of flows, as a table or as Markdown.

    Raises:
        InputError: a result without such rows, or a format that has every row's levels anyway.
    """
    if form not in _PAGES:
        raise InputError(f"{form} has the levels of each row already; by {by} there is {' and '.join(_PAGES)}.")
    laid_out = pivot.page(result, by)
    return _PAGES[form](laid_out) if laid_out.sections else f"{layout.NOTHING_COMPARED}\n"


def _markdown(result: Result) -> str:
    laid_out = _page(result)
    return f"{layout.NOTHING_COMPARED}\n" if laid_out is None else markdown(laid_out)


def _csv(result: Result) -> str:
    return records.csv(records_of(result), columns_of(result))


def _json(result: Result) -> str:
    runs: dict[str, records.Runs]
    if isinstance(result, Comparison):
        runs = {letter: [*side.values()] for letter, side in zip("ab", result.metas, strict=True)}
    elif isinstance(result, PairsAnalysis):
        runs = {str(pair): own.meta for pair, own in result.pairs.items()}
    else:
        runs = {"run": result.meta}
    own = [*result.pairs.values()] if isinstance(result, PairsAnalysis) else [result]
    notes = [note for one in own for note in one.notes]
    return records.json(records_of(result), runs, notes, answers_of(result))


def answers_of(result: Result) -> list[records.Record]:
    """Return what tables of a result open with, as records of plain values."""
    if isinstance(result, Comparison):
        return [records.answer(text, profile) for profile, text in compared_findings.findings(result).items()]
    if isinstance(result, AaAnalysis):
        return [records.answer(text) for text in aa_page.findings(result)]
    if isinstance(result, EcmpAnalysis):
        return [records.answer(text) for text in ecmp_page.findings(result)]
    made = answers.answers_of_pairs(result) if isinstance(result, PairsAnalysis) else answers.answers(result)
    return [records.answer(one.text, one.profile or None, one.baseline, (one.mtu, one.baseline_mtu)) for one in made]


def plotted(result: Result) -> str:
    """Return a plot of a result as SVG; InputError for one that has none."""
    if not isinstance(result, EcmpAnalysis):
        raise InputError("there is a plot of runs over links only (`harness ecmp`); choose another format.")
    return ecmp_plot.svg(result)


def records_of(result: Result) -> list[records.Record]:
    """Return a result as records of plain values, those of its rows."""
    if isinstance(result, Comparison):
        return records.compared_records(result)
    if isinstance(result, Analysis):
        return records.summary_records(result)
    if isinstance(result, AaAnalysis):
        return aa_page.records(result)
    if isinstance(result, EcmpAnalysis):
        return ecmp_page.records(result)
    return [
        {"client": pair.client, "server": pair.server, **record}
        for pair, own in result.pairs.items()
        for record in records.summary_records(own)
    ]


def columns_of(result: Result) -> Sequence[str]:
    """Return the columns of a result as CSV."""
    if isinstance(result, Comparison):
        return (*records.COMPARED_HEAD, *result.columns.factors, *records.COMPARED_TAIL)
    if isinstance(result, Analysis):
        return (*records.SUMMARY_HEAD, *result.columns.factors, *records.SUMMARY_TAIL)
    if isinstance(result, AaAnalysis):
        return (*aa_page.HEAD, *result.columns.factors, *aa_page.TAIL)
    if isinstance(result, EcmpAnalysis):
        return (*ecmp_page.HEAD, *result.columns.factors, *ecmp_page.TAIL)
    factors = dict.fromkeys(name for own in result.pairs.values() for name in own.columns.factors)
    return ("client", "server", *records.SUMMARY_HEAD, *factors, *records.SUMMARY_TAIL)


_PAGES: Mapping[str, Callable[[Page], str]] = MappingProxyType({"table": table, "markdown": markdown})
"""Those that are a page laid out for reading."""
FORMATS: Mapping[str, Callable[[Result], str]] = MappingProxyType(
    {"table": _table, "csv": _csv, "json": _json, "markdown": _markdown}
)
