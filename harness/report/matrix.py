"""Several pairs laid out as matrices of hosts: a client's row, a server's column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from harness.measures.registry import MEASURES, label_of
from harness.model.notes import About, Note
from harness.model.pairs import Pair
from harness.model.trial import UNDERLAY, Cell, Direction
from harness.report.analysis import Row
from harness.report.answers import answers_of_pairs
from harness.report.contrasts import Against
from harness.report.notes import joined, sentence
from harness.report.page import (
    MOST_WIDTH,
    Page,
    Section,
    fitting,
    interval_text,
    number_text,
    ratio_text,
    scale_of,
    width_of,
)
from harness.report.pairs import PairsAnalysis
from harness.report.titles import run_title
from harness.report.told import GOODPUT, ROUND_TRIP
from harness.truth.verdicts import AgainstCeiling, Verdict

LEGEND = (
    "Rows are clients, columns servers. ratio: goodput or median round trip against the underlay at its NIC's MTU, "
    "below it the 95 % interval, widened for all rows of one pair together; ceiling: what the headers allow. Of "
    "goodput: headers (nothing but these), more (than these), above (the ceiling). ?: the interval decides nothing. "
    "All metrics and baselines are in pairs.csv; `harness compare` prints a pair's own table from its folder."
)
BRIEF = (
    "Rows are clients, columns servers; below a ratio its 95 % interval. headers: these alone; more: than these; "
    "?: not decided."
)
SHOWN = (GOODPUT, ROUND_TRIP)
"""Metrics that matrices are of."""
SHORT_VERDICTS: Mapping[str, str] = {
    **{verdict: verdict for verdict in (Verdict.SAME, Verdict.WORSE, Verdict.BETTER)},
    AgainstCeiling.HEADERS_ONLY: "headers",
    AgainstCeiling.MORE_THAN_HEADERS: "more",
    AgainstCeiling.ABOVE_THE_CEILING: "above",
}
"""Verdicts as they stand in a cell of a matrix; what decides nothing is a question mark there."""
_NOT_MEASURED = "not run"
_NAME_WIDTH = 24

Rows = Mapping[Pair, Row]
"""The same row of each pair."""


def page(analysis: PairsAnalysis) -> Page:
    """Lay out the analysis of a run of several pairs."""
    shown = {
        pair: [
            row
            for row in own.rows
            if row.contrast.against is Against.PROFILE
            and row.contrast.baseline == UNDERLAY
            and row.metric.name in SHOWN
        ]
        for pair, own in analysis.pairs.items()
    }
    sections = [*_underlay(shown, analysis), *_ratios(shown, analysis)]
    found = tuple(one.text for one in answers_of_pairs(analysis))
    return Page(_title(analysis), found, tuple(sections), (*_errors(analysis), *_notes(shown, analysis)), LEGEND, BRIEF)


def _title(analysis: PairsAnalysis) -> str:
    """Return what the run was, in two lines, and its conditions."""
    waves = analysis.meta.waves
    count, most = sum(map(len, waves)), max(map(len, waves))
    how = "one after the other" if most == 1 else f"up to {most} at the same time"
    metas = [own.meta for own in analysis.pairs.values() if own.meta]
    conditions = run_title(metas[0]).splitlines()[1:] if metas else []
    return "\n".join([f"run {analysis.meta.run_id}", f"{count} pairs, {how}", *conditions])


def _grouped(shown: Mapping[Pair, Sequence[Row]], key: Callable[[Row], object]) -> list[dict[Pair, Row]]:
    """Return the rows that are the same for each pair together, in the order in which they first stand."""
    groups: dict[object, dict[Pair, Row]] = {}
    for pair, rows in shown.items():
        for row in rows:
            groups.setdefault(key(row), {}).setdefault(pair, row)
    return list(groups.values())


def _underlay(shown: Mapping[Pair, Sequence[Row]], analysis: PairsAnalysis) -> Iterator[Section]:
    """Yield what the bare network gave to each pair, which tells an odd host before any overlay is looked at."""
    for rows in _grouped(shown, lambda row: (row.cell.without("mtu"), row.metric.name)):
        first = next(iter(rows.values()))
        divisor, unit, digits = scale_of(first.metric, [row.baseline_median for row in rows.values()])
        cell = first.cell.without("mtu", "direction")
        what = _cell_name(cell, "") if cell.levels else f"{first.metric.title} {first.metric.part}"
        title = f"{what}{_way(first.cell)}, {unit}"

        def figure(row: Row, divisor: float = divisor, digits: int = digits) -> str:
            return number_text(row.baseline_median, divisor, digits) or "no figure"

        yield from _sections("underlay alone, at its NIC's MTU", title, rows, analysis, figure)


def _ratios(shown: Mapping[Pair, Sequence[Row]], analysis: PairsAnalysis) -> Iterator[Section]:
    for rows in _grouped(shown, lambda row: (row.contrast.profile, row.cell, row.metric.name)):
        first = next(iter(rows.values()))
        name = _cell_name(first.cell.without("direction"), first.metric.part)
        title = f"{name}{_way(first.cell)}, ratio"
        group = f"{first.contrast.profile} against {UNDERLAY}"
        sections = list(_sections(group, title, rows, analysis, _compared))
        sections[-1].caption = _ceiling(row.ceiling for row in rows.values())
        yield from sections


def _cell_name(cell: Cell, part: str) -> str:
    """Return a cell and a part of a metric, with what tells measures apart that measure the same."""
    label = MEASURES[cell.measure].label if cell.measure in MEASURES else cell.measure
    return " ".join(word for word in (label_of(cell), part, label) if word)


def _compared(row: Row) -> str:
    """Return a ratio with its verdict, and its interval on a second line."""
    if row.ratio is None:
        return str(row.verdict or "")
    word = SHORT_VERDICTS.get(row.against_ceiling or row.verdict or "", "?")
    return f"{ratio_text(row.ratio.ratio)} {word}\n{interval_text(row.interval)}".rstrip()


def _ceiling(ceilings: Iterable[float | None]) -> str:
    """Return the line below a matrix: the ceiling, of every pair where they do not have the same."""
    texts = sorted({ratio_text(ceiling) for ceiling in ceilings if ceiling is not None})
    return f"ceiling {' or '.join(texts)}" if texts else ""


def _way(cell: Cell) -> str:
    return "" if cell.direction is Direction.FORWARD else f" {cell.direction}"


def _sections(
    group: str, title: str, rows: Rows, analysis: PairsAnalysis, text: Callable[[Row], str]
) -> Iterator[Section]:
    """Yield one matrix, cut between columns as often as its width demands."""
    entries = dict.fromkeys(analysis.unmeasured, _NOT_MEASURED)
    entries |= {pair: text(row) for pair, row in rows.items()}
    clients = [name for name in analysis.meta.hosts if any(pair.client == name for pair in entries)]
    servers = [name for name in analysis.meta.hosts if any(pair.server == name for pair in entries)]
    label = max(len(word) for word in (*map(_short, clients), *title.split(", ")))
    widths = {
        server: max(len(_short(server)), *(width_of(own) for pair, own in entries.items() if pair.server == server))
        for server in servers
    }
    for columns in fitting(widths, MOST_WIDTH - label):
        section = Section(group, title, ("", *map(_short, columns)), matrix=True)
        section.rows = [
            (_short(client), *(entries.get(Pair(client, server), "") for server in columns)) for client in clients
        ]
        yield section


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}~"


def _pair_name(pair: Pair) -> str:
    return f"{_short(pair.client)}:{_short(pair.server)}"


def _errors(analysis: PairsAnalysis) -> Iterator[str]:
    for pair, why in analysis.errors.items():
        end = "was not measured" if pair in analysis.unmeasured else "did not end well"
        yield f"{_pair_name(pair)} {end}: {why}"


def _notes(shown: Mapping[Pair, Sequence[Row]], analysis: PairsAnalysis) -> list[str]:
    """Return the notes of all pairs, each advice once; a fact that does not hold for every pair names its own."""
    pairs: dict[Note, set[str]] = {}
    for pair, rows in shown.items():
        for note in [*(note for row in rows for note in row.notes), *analysis.pairs[pair].notes]:
            pairs.setdefault(note, set()).add(_pair_name(pair))
    every = {_pair_name(pair) for pair in shown}
    return [sentence(notes) for _, notes in joined(_named(pairs, every))]


def _named(pairs: Mapping[Note, set[str]], every: set[str]) -> Iterator[Note]:
    for note, those in pairs.items():
        if those == every or not note.advice or note.about is About.SPREAD:  # spreads are shown as one range
            yield note
        else:
            yield Note(note.about, note.subject, f"{note.fact} ({' '.join(sorted(those))})", note.advice, note.value)
