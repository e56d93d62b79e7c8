"""One run as a part of a page: its answer, figures, trials, environment, command and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from harness.measures.metrics import METRICS
from harness.model.trial import UNDERLAY
from harness.report import records, trace_svg
from harness.report.analysis import Analysis, Row
from harness.report.canvas import Picture
from harness.report.command import INVENTORY, command_of
from harness.report.contrasts import Against
from harness.report.decomposition import by_section, steps
from harness.report.dots import DotFinder
from harness.report.html import pictures, proof, times
from harness.report.html.answer import shown
from harness.report.html.environment import environment_of
from harness.report.html.model import Article, Figure, Grid, Group
from harness.report.html.rounds import PINGS, Rounds, is_pinged
from harness.report.layout import Part, Parts, parts
from harness.report.titles import run_title
from harness.report.trace_json import from_json
from harness.report.trials import RunData

_SIZE, _RATE = "size", "udp_rate"
_TRACES = "trace*.json"
_MARKS = re.compile(r"\[(\d+(?:,\d+)*)\]$")


@dataclass(frozen=True)
class _Run:
    """A run with what everything of its article is made of; `place` is where each row stands in summary.csv."""

    folder: Path
    run: RunData
    analysis: Analysis
    finder: DotFinder
    rounds: Rounds
    profiles: Sequence[str]
    place: Mapping[int, int]


def article_of(folder: Path, run: RunData, analysis: Analysis, name: str, command: str = "") -> Article:
    """Return the article of the run in a folder; `name` begins its ids, `command` repeats it if its plan does not."""
    finder = DotFinder(run, analysis)
    raw = proof.records(folder / proof.TRIALS_FILE)
    pinged = sum(cell.measure in PINGS for _, cell in finder.arms)
    place = {id(row): number for number, row in enumerate(analysis.rows)}
    made = _Run(folder, run, analysis, finder, Rounds(folder, finder, raw, pinged), _profiles(finder), place)
    laid_out = parts(analysis)
    columns = (*records.SUMMARY_HEAD, *analysis.columns.factors, *records.SUMMARY_TAIL)
    summary = records.csv(records.summary_records(analysis), columns)
    files, left_out = proof.files_of(folder, summary, proof.counters_of(folder, raw))
    meta = analysis.meta
    title, *conditions = run_title(meta).splitlines() if meta else [f"run {run.run_id}"]
    command = command or (command_of(meta) if meta else "")
    notes = [*laid_out.notes, *(f"{one} is too large for a page and stays in the run's folder" for one in left_out)]
    return Article(
        name,
        title.removeprefix("run "),
        [*conditions, _moment(meta.created_at) if meta else ""],
        (),
        shown(analysis),
        [*_groups(made, laid_out, name)],
        notes,
        laid_out.legend,
        environment_of(run.environment, meta, name),
        command,
        f"{INVENTORY} is your own, called {meta.lab}" if meta and INVENTORY in command.split() else "",
        files,
        has_trials=any(file.name == proof.TRIALS_FILE for file in files),
        labels=_labels(analysis),
    )


def _moment(created_at: str) -> str:
    """Return when a run was begun, as it is said; as it stands where that is no date."""
    try:
        return f"{datetime.fromisoformat(created_at):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return created_at


def _profiles(finder: DotFinder) -> list[str]:
    """Return all profiles, the underlay first."""
    names = dict.fromkeys(profile for profile, _ in finder.arms)
    return sorted(names, key=lambda name: name != UNDERLAY)


def _labels(analysis: Analysis) -> dict[str, dict[str, str]]:
    """Return what columns of trials.csv are called, and their units, for the proof of a trial."""
    metrics = {
        **analysis.columns.metrics,
        **{name: METRICS[name] for name in analysis.columns.metrics if name in METRICS},
    }
    return {name: {"title": f"{one.title} {one.part}".strip(), "unit": one.unit} for name, one in metrics.items()}


def _groups(made: _Run, laid_out: Parts, name: str) -> Iterator[Group]:
    """Yield the figures in the order of the text report, then what only a page has."""
    groups: dict[str, list[Figure]] = {}
    for number, own in enumerate(_together(laid_out.compared), 1):
        figure = _compared(made, own, f"{name}-{number}")
        groups.setdefault(own[0].section.group, []).append(replace(figure, notes=_marked(own, laid_out.notes)))
    for number, (title, figures) in enumerate(groups.items(), 1):
        yield Group(f"{name}-compared-{number}", title, figures)
    lost = [*_lost(made, laid_out, name)]
    if lost:
        yield Group(f"{name}-decomposed", "Where the cost lies", lost)
    spread = [replace(Grid.of(section), is_folded=True) for section in laid_out.spread]
    if spread:
        yield Group(f"{name}-spread", laid_out.spread[0].group, [Figure(f"{name}-spreads", "Spread", (), spread)])
    over_time = [times.timeline(made.run, made.analysis, made.finder, made.profiles, f"{name}-timeline")]
    fallen = times.fallen(made.run, f"{name}-fallen")
    yield Group(f"{name}-time", "Over time", [*over_time, *([fallen] if fallen else [])])
    traces = [*_traces(made.folder, name)]
    if traces:
        yield Group(f"{name}-traces", "A packet on its way", traces)


def _together(compared: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield parts that belong in one figure: CPU time, and where it goes."""
    groups: list[list[Part]] = []
    for part in compared:
        if part.section.matrix and groups:
            groups[-1].append(part)
        else:
            groups.append([part])
    yield from groups


def _marked(own: Sequence[Part], notes: Sequence[str]) -> list[str]:
    """Return the notes whose marks stand in these sections."""
    words = (row[-1] for part in own for row in part.section.rows)
    marks = {mark for word in words for found in _MARKS.findall(word) for mark in found.split(",")}
    return [note for note in notes if note.startswith("[") and note[1:].partition("]")[0] in marks]


def _compared(made: _Run, own: Sequence[Part], name: str) -> Figure:
    """Return what is shown of rows that are compared: their forest, and what else there is to see of them."""
    rows = own[0].rows
    found = pictures.forest_of(rows, made.finder, made.analysis.margin)
    drawn, reading = ([found[0]], [found[1]]) if found else ([], [])
    if len(own) > 1:
        cpu = pictures.cpu_of(rows, made.analysis)
        drawn += [cpu] if cpu else []
        reading += [pictures.READ_CPU] if cpu else []
    for picture, words in _more(made, rows):
        drawn.append(picture)
        reading += [words] if words not in reading else []
    grids = [Grid.of(part.section, [made.place[id(row)] for row in part.rows]) for part in own]
    return Figure(name, own[0].section.title, drawn, grids, " ".join(reading))


def _more(made: _Run, rows: Sequence[Row]) -> Iterator[tuple[Picture, str]]:
    """Yield distributions of round trips, and what depends on a factor that the cells vary."""
    first = rows[0]
    if first.contrast.against is Against.PROFILE and is_pinged(first):
        yield from made.rounds.pictures(_with_idle(made, rows), made.profiles)
    if first.contrast.against is not Against.PROFILE:
        return
    over: list[Picture] = []
    if first.metric.name in ("packets_per_s", "transactions_per_s"):
        over += pictures.over_levels(rows, _SIZE, made.finder, made.profiles)
    if first.metric.name == "udp_loss_ratio":
        offered = METRICS["offered_bps"]
        over += pictures.over_levels(rows, _RATE, made.finder, made.profiles, offered)
    yield from ((picture, "Points are medians, small dots trials.") for picture in over)


def _with_idle(made: _Run, rows: Sequence[Row]) -> list[Row]:
    """Return rows of round trips, under load with those of the idle path in front."""
    if rows[0].cell.measure == PINGS[0]:
        return [*rows]
    first = rows[0].contrast
    idle = [
        row
        for row in made.analysis.rows
        if row.cell.measure == PINGS[0] and is_pinged(row)
        if (row.contrast.against, row.contrast.profile, row.contrast.baseline)
        == (first.against, first.profile, first.baseline)
        and row.cell.mtu in {one.cell.mtu for one in rows}
    ]
    return [*idle, *rows]


def _lost(made: _Run, laid_out: Parts, name: str) -> Iterator[Figure]:
    """Yield the steps of each tunnel's cost, where a routed profile was measured beside it."""
    found = by_section(steps(made.analysis.rows)).values()
    for number, (own, section) in enumerate(zip(found, laid_out.decomposed, strict=True), 1):
        picture, reading = pictures.steps_of(own)
        yield Figure(f"{name}-steps-{number}", section.group, [picture], [Grid.of(section)], reading)


def _traces(folder: Path, name: str) -> Iterator[Figure]:
    """Yield the diagrams of traces that lie in the run's folder as JSON."""
    for number, path in enumerate(sorted(folder.glob(_TRACES)), 1):
        trace = from_json(path.read_text(encoding="utf-8"), str(path))
        title = f"{trace.profile} at MTU {trace.mtu}"
        reading = f"From {path.name}, made by `harness trace --format json`."
        yield Figure(f"{name}-trace-{number}", title, [trace_svg.picture(trace)], (), reading)


def embedded(value: object) -> str:
    """Return a value as JSON that can stand in a page: nothing in it ends the element that holds it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
