"""The answers of a page: the sentences of the text report, with a verdict in a word and the main figures as tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.measures.metrics import CPU_ROWS
from harness.measures.registry import label_of
from harness.report.analysis import Analysis, Row
from harness.report.answers import answers
from harness.report.contrasts import Against
from harness.report.html.model import Answer, Tile
from harness.report.page import ratio_text
from harness.report.sentence import Number, Placed, Sentence
from harness.report.told import GOODPUT, ROUND_TRIP
from harness.truth.verdicts import AgainstCeiling, Verdict

_LARGE = 100.0
STYLES = {
    AgainstCeiling.HEADERS_ONLY: "good",
    AgainstCeiling.ABOVE_THE_CEILING: "good",
    AgainstCeiling.MORE_THAN_HEADERS: "lost",
    Verdict.SAME: "good",
    Verdict.BETTER: "good",
    Verdict.WORSE: "lost",
}
"""Colours of verdicts; of any other one it is that of what is open."""
_Write = Callable[[Placed, str, float], Number]


def shown(analysis: Analysis) -> list[Answer]:
    """Return the answers of a run as its page shows them; of a choice between profiles there is the sentence."""
    made = []
    for one in answers(analysis):
        is_told = one.ranks or one.rows[0].row.contrast.against is Against.OWN_MTU
        verdict, style = ("", "open") if is_told else _word(one.rows)
        tiles = () if is_told else _tiles(one.rows)
        made.append(Answer(one.profile, one.baseline, one.sentence, verdict, style, tiles))
    return made


def _word(rows: Sequence[Placed]) -> tuple[str, str]:
    """Return what all rows of the first metric say, and its colour; nothing where they do not say the same."""
    main = [one.row for one in rows if one.row.metric.name == rows[0].row.metric.name]
    verdicts = {str(row.against_ceiling or row.verdict or "") for row in main}
    return (verdicts.pop(), style_of(main[0])) if len(verdicts) == 1 else ("", "open")


def style_of(row: Row) -> str:
    """Return the colour of a row's verdict."""
    return STYLES.get(row.against_ceiling or row.verdict or Verdict.INCONCLUSIVE, "open")


def _tiles(rows: Sequence[Placed]) -> list[Tile]:
    """Return the goodput of the first cell with its ceiling, its CPU time, and the first round trip."""
    tiles: list[Tile] = []
    goodput = _first(rows, GOODPUT)
    if goodput is not None and goodput.row.ratio:
        ratio, row = goodput.row.ratio.ratio, goodput.row
        below: Sentence = ["of the underlay's", *_between(goodput, _ratio), f", {label_of(row.cell)}"]
        tiles.append(Tile("goodput", [_ratio(goodput, "ratio", ratio)], below, style_of(row)))
        if row.ceiling is not None:
            gap = Number(f"{100 * (ratio - row.ceiling):+.2f}", goodput.place, "ratio", ratio, "gap")
            below = ["is left by the headers; gap ", gap, " points"]
            tiles.append(Tile("ceiling", [_ratio(goodput, "ceiling_ratio", row.ceiling)], below))
    for name, title in ((CPU_ROWS[0], "CPU time"), (ROUND_TRIP, "round trip, p50")):
        own = _first(rows, name)
        if own is not None and own.row.ratio:
            figure: Sentence = [_times(own, "ratio", own.row.ratio.ratio), " \N{MULTIPLICATION SIGN}"]
            below = ["the underlay's", *_between(own, _times), f", {label_of(own.row.cell)}"]
            tiles.append(Tile(title, figure, below, style_of(own.row)))
    return tiles


def _first(rows: Sequence[Placed], metric: str) -> Placed | None:
    return next((one for one in rows if one.row.metric.name == metric), None)


def _between(placed: Placed, write: _Write) -> Sentence:
    """Return the interval of a ratio in brackets."""
    interval = placed.row.interval
    if interval is None:
        return []
    low, high = write(placed, "adjusted_low", interval.low), write(placed, "adjusted_high", interval.high)
    return [" (", low, " to ", high, ")"]


def _ratio(placed: Placed, column: str, value: float) -> Number:
    """Return a ratio as tables show it."""
    return Number(ratio_text(value), placed.place, column, value)


def _times(placed: Placed, column: str, value: float) -> Number:
    """Return a ratio that is far from 1."""
    return Number(ratio_text(value) if value >= _LARGE else f"{value:.2f}", placed.place, column, value)
