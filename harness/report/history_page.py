"""A history laid out for reading: a row for each stretch of a series, or for each of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report.history import History, Point, Series, Stretch, scatter
from harness.report.page import Page, Section, interval_text, percent_text, ratio_text
from harness.report.titles import row_name, section_title
from harness.results.differences import Difference
from harness.truth.changes import LEAST_RUNS, LEVEL
from harness.truth.stats import Interval, Ratio

LEGEND = (
    "ratio: of a profile to its run's own underlay, at its NIC's MTU; of several runs their geometric mean, with an "
    "interval of 95 % over runs (of one run over its blocks). scatter: standard deviation of the runs. A change is "
    "marked where the means before and behind it differ by more than chance makes it at any place, in at most "
    f"{100 * LEVEL:g} % of series that have none; it takes {LEAST_RUNS} runs. Runs of another machine or set-up are a "
    "row of their own and never part of another's."
)
_HEADINGS = ("", "runs", "first", "last", "ratio", "95 % interval", "scatter", "mark")
EACH = ("", "run", "when", "ratio", "95 % interval", "machine", "mark")
_NOTHING = "No run has a profile with figures beside an underlay's."
_DAY = 16
_MOST_DIFFERENCES = 3
_MOST_LEFT_OUT = 20


def page(history: History, *, each: bool = False) -> Page:
    """Lay out a history; `each`: with a table of every run of every series."""
    sections = [*_stretches(history)]
    if each:
        sections += [runs_of(series, history) for series in history.series]
    count, machines = len(history.runs), len(history.machines)
    first, last = (run.when[:_DAY].replace("T", " ") or run.run_id for run in (history.runs[0], history.runs[-1]))
    title = f"{count} run{'s' if count > 1 else ''} in {history.folder.name or history.folder}, {first} to {last}"
    title += f", on {machines} machines or set-ups" if machines > 1 else ""
    return Page(title, (*findings(history),), tuple(sections), (*notes(history),), LEGEND)


def findings(history: History) -> Iterator[str]:
    """Yield a sentence for each change, or one that there is none; then one for each machine but the first."""
    for series in history.series:
        for stretch in series.marked:
            first = stretch.points[0].run
            yield f"{name_of(series)}: {_changed(stretch)} from run {first.number} on ({first.run_id})."
    if not any(series.marked for series in history.series):
        yield f"No change is marked in {len(history.series)} series." if history.series else _NOTHING
    for machine in history.machines[1:]:
        run = history.first_on(machine)
        unlike = differing_text(history.unlike_first(machine)) or "it does not say what it is"
        yield f"Machine {machine} from run {run.number} on ({run.run_id}): {unlike}."


def notes(history: History) -> Iterator[str]:
    """Yield what differs at changes, what was left out, and which runs are half."""
    for series in history.series:
        for stretch in series.marked:
            what = differing_text(stretch.differing)
            number = stretch.points[0].run.number
            yield f"run {number}, {name_of(series)}: {what or 'nothing that is recorded differs from the run before'}"
    for run in history.runs:
        if run.is_half:
            done, planned = run.blocks
            yield f"run {run.number} ({run.run_id}) ended after {done} of {planned} blocks; its figures count"
    for left_out in history.left_out[:_MOST_LEFT_OUT]:
        yield f"{left_out.path.name} is left out: {left_out.reason}"
    more = len(history.left_out) - _MOST_LEFT_OUT
    if more > 0:
        yield f"{more} more are left out"


def name_of(series: Series) -> str:
    """Return what a series is called in a sentence."""
    what = f"{section_title(series.metric, series.cell)} {row_name(series.metric, series.cell)}"
    return " ".join(filter(None, (series.pair, series.profile, what)))


def differing_text(found: Sequence[Difference]) -> str:
    """Return the first of some differences in words."""
    texts = [
        f"{one.what} {' or '.join(one.a) or 'not known'} -> {' or '.join(one.b) or 'not known'}"
        for one in found[:_MOST_DIFFERENCES]
    ]
    more = len(found) - len(texts)
    return ", ".join([*texts, *([f"and {more} more"] if more else [])])


def _stretches(history: History) -> Iterator[Section]:
    sections: dict[tuple[str, str], Section] = {}
    for series in history.series:
        group = " ".join(filter(None, (series.pair, series.profile, "against its run's underlay")))
        title = section_title(series.metric, series.cell)
        section = sections.setdefault((group, title), Section(group, title, _HEADINGS))
        for stretch in series.stretches:
            is_first = stretch is series.stretches[0]
            name = row_name(series.metric, series.cell) if is_first else ""
            section.rows.append((name, *_cells(stretch, is_first=is_first)))
    yield from sections.values()


def _cells(stretch: Stretch, *, is_first: bool) -> tuple[str, ...]:
    numbers = [point.run.number for point in stretch.points]
    mark = _changed(stretch) if stretch.change else "" if is_first else f"machine {stretch.machine}"
    return (
        str(len(numbers)),
        str(numbers[0]),
        str(numbers[-1]),
        ratio_text(stretch.level.ratio),
        interval_text(stretch.level.interval()),
        percent_text(scatter(stretch)),
        mark,
    )


def _changed(stretch: Stretch) -> str:
    """Return by how much the level of a stretch differs from that of the one before, with its interval."""
    change = stretch.change or Ratio(1.0, None, None, 0)
    return f"changed {change_text(change.ratio)}{_around(change.interval())}"


def change_text(ratio: float) -> str:
    """Return a ratio of levels as a change in per cent with its sign."""
    return f"{100 * (ratio - 1):+.2f} %"


def _around(interval: Interval | None) -> str:
    return f" ({100 * (interval.low - 1):+.2f} to {100 * (interval.high - 1):+.2f})" if interval else ""


def runs_of(series: Series, history: History) -> Section:
    """Return every run of a series."""
    section = Section(f"each run: {name_of(series)}", "", EACH)
    marks = {stretch.points[0].run.number: stretch for stretch in series.marked}
    firsts = {history.first_on(machine).number for machine in history.machines[1:]}
    for point in series.points:
        number = point.run.number
        mark = _changed(marks[number]) if number in marks else ""
        other = f"machine {point.run.machine}" if number in firsts else ""
        section.rows.append((*_point(point), ", ".join(filter(None, (mark, other)))))
    return section


def _point(point: Point) -> tuple[str, ...]:
    run = point.run
    when = run.when[:_DAY].replace("T", " ")
    return ("", str(run.number), when, ratio_text(point.ratio.ratio), interval_text(point.interval), str(run.machine))
