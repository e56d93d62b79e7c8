"""A history as one HTML page that asks nobody for anything: a plot and a table for each series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from harness.report.history import History, Series
from harness.report.history_page import EACH, LEGEND, findings, name_of, notes, page, runs_of
from harness.report.history_plot import svg

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --soft: #595959; --line: #d0d0d0; --mark: #b00020;
  --m0: #0072b2; --m1: #b35900; --m2: #007a59; --m3: #9c3f7c; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #ececec; --soft: #b0b0b0; --line: #3a3d42;
  --mark: #ff8a95; --m0: #5db8f0; --m1: #f0a860; --m2: #4fd0a8; --m3: #e39cc8; } }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } .grid { stroke: var(--line); } .level { stroke: var(--ink); stroke-width: 1.5; }
.mark { stroke: var(--mark); stroke-width: 2; stroke-dasharray: 5 3; }
path { fill: none; } .m0 { stroke: var(--m0); } .m1 { stroke: var(--m1); } .m2 { stroke: var(--m2); }
.m3 { stroke: var(--m3); } circle.m0 { fill: var(--m0); } circle.m1 { fill: var(--m1); } circle.m2 { fill: var(--m2); }
circle.m3 { fill: var(--m3); } figure { margin: 1rem 0; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th, td { padding: .1rem .6rem;
  text-align: right; border-bottom: 1px solid var(--line); } td:last-child, th:last-child { text-align: left; }
.found { font-weight: 600; } .soft { color: var(--soft); } summary { cursor: pointer; }
"""


def html(history: History) -> str:
    """Return the page: what was found, each series with its runs, what differs and was left out."""
    title = f"History of {history.folder.name or history.folder}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(page(history).title)}</p>',
        *(f'<p class="found">{escape(text)}</p>' for text in findings(history)),
    ]
    for number, series in enumerate(history.series, 1):
        body += _series(series, history, number)
    body += ["<h2>Notes</h2>", "<ul>", *(f"<li>{escape(text)}</li>" for text in notes(history)), "</ul>"]
    body.append(f'<p class="soft">{escape(LEGEND)}</p>')
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    )
    return "\n".join([head, *body, "</body>", "</html>"]) + "\n"


def _series(series: Series, history: History, number: int) -> Iterator[str]:
    yield f"<h2>{escape(name_of(series))}</h2>"
    yield f"<figure>{svg(series, number)}</figure>"
    yield f"<details><summary>{len(series.points)} runs</summary>"
    yield '<div class="wide" tabindex="0"><table>'
    yield _row(EACH[1:], "th")
    yield from (_row(cells[1:], "td") for cells in runs_of(series, history).rows)
    yield "</table></div></details>"


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
