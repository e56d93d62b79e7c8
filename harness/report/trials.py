"""Reading the trials of a run: trials.csv of either schema, and what lies beside it.

The file is read as a whole. Where that finds something wrong, `harness.report.lines` reads it line by line, to say
which one it is. A file may have a million lines: what no report uses is not read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.pairs import PAIRS_FILE
from harness.model.path import Kind, PathState
from harness.model.trial import MTU, Direction, Status
from harness.report import attempts, lines
from harness.report.reading import Wanted, read_table
from harness.report.tables import Table, Whole, Words, renumbered
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, RunMeta, read_json, read_meta
from harness.results.schema import REQUIRED, SERIES, Columns, whole_number

_MOST_NAMED = 3
_WHOLE = ("setup", "block", "position", "attempt")
_OPTIONAL = ("reason", "path_state")
_UNUSED = ("started_at", "proof", "raw")
"""Columns that no report uses; a word of its own in each line, they are most of a file."""
_ICMP = "icmp"
_PING_LACKS = ("protocol", "direction", "flows")
"""Columns that schema 1 filled for a ping, too."""
_REQUIRED_1 = (*(name for name in REQUIRED if name != "measure"), "tool", *_PING_LACKS, MTU)


@dataclass(frozen=True)
class Trials:
    """The trials of a run that count, one a row, and what the reader of the figures should know of the file.

    A row has the words and whole numbers of the head that reports use, levels as words (none where a cell does not have
    the factor) that are parsed, and figures.
    """

    table: Table
    columns: Columns
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class RunData:
    """A run as it was read: `meta` and `environment` (by node) are None where their files are not there."""

    trials: Trials
    meta: RunMeta | None
    environment: Mapping[str, Any] | None = None
    series: Table | None = None

    @property
    def run_id(self) -> str:
        """What the run is called."""
        return str(self.trials.table.words["run_id"].present[0])

    @property
    def nic_mtu(self) -> int:
        """The underlay's own MTU in bytes; without run.json the largest at which it was measured."""
        if self.meta:
            return self.meta.nic_mtu
        words = self.trials.table.words
        underlay = words[MTU].at(words["kind"].are(Kind.UNDERLAY)).present
        return max(int(str(mtu)) for mtu in underlay or words[MTU].present)


def read_run(path: Path, *, with_series: bool = True) -> RunData:
    """Return the run in a folder, or the one that a trials.csv belongs to; series.csv only where it is wanted.

    Raises:
        InputError: a file cannot be read or used; names file, line or key, and what to do.
    """
    trials_path = _trials_path(path)
    meta_path = trials_path.with_name(RUN_FILE)
    meta = read_meta(meta_path) if meta_path.exists() else None
    trials = read_trials(trials_path, meta)
    if meta:
        trials = replace(trials, notes=(*trials.notes, *_cut_short(trials.table, meta)))
        missing = [name for name in trials.table.words["profile"].present if name not in meta.profiles]
        if missing:
            raise InputError(f"{meta_path} has no profile {missing[0]!r}, but trials.csv does: they are of two runs.")
    environment_path = trials_path.with_name(ENVIRONMENT_FILE)
    environment = read_json(environment_path) if environment_path.exists() else None
    series_path = trials_path.with_name("series.csv")
    series = _series(series_path) if with_series and series_path.exists() else None
    return RunData(trials, meta, environment, None if series is None else attempts.of_counted(series, trials.table))


def read_trials(path: Path, meta: RunMeta | None = None) -> Trials:
    """Return the trials of a run folder or a trials.csv; `meta` knows columns that this harness does not.

    An empty cell of a figure is NaN. A last line that a killed run left unfinished is left out, and a note says so.

    Raises:
        InputError: no such file, a column missing of the head, or a line that cannot be used.
    """
    path = _trials_path(path)
    header = lines.header_of(path)
    is_old = "tool" in header and "measure" not in header
    _require_columns(path, header, _REQUIRED_1 if is_old else (*REQUIRED, MTU))
    columns = Columns.of_header([name for name in header if name != "tool"], meta.columns if meta else None)
    shape = lines.shape_of(path, len(header))
    if not shape.is_rectangular:
        lines.explain(path, shape, columns)
    try:
        table = _table(path, header, columns, is_torn=shape.is_torn)
    except (ValueError, TypeError, InputError) as error:
        lines.explain(path, shape, columns)
        raise InputError(f"{path} cannot be read as CSV: {error}; restore the file.") from error
    if not len(table):
        raise InputError(f"{path} holds no trial: the run ended before its first one; run it again.")
    if is_old:
        pings = table.words["measure"].are("ping")
        lacking = {name: table.words[name].without(pings) for name in _PING_LACKS}
        table = replace(table, words={**table.words, **lacking})
    if not _is_sound(table, columns):
        lines.explain(path, shape, columns)
        raise InputError(f"{path} cannot be used; restore the file.")
    counted, repeated = attempts.counted(table, columns)
    return Trials(counted, columns, (*((lines.torn_line(path),) if shape.is_torn else ()), *repeated))


def _table(path: Path, header: Sequence[str], columns: Columns, *, is_torn: bool) -> Table:
    """Return the file as a table; ValueError or InputError where there is a word for a number, or an unknown one."""
    whole, figures = [name for name in _WHOLE if name in header], ["duration_s", *columns.metrics]
    words = [name for name in header if name not in {*_UNUSED, *whole, *figures}]
    read = read_table(path, Wanted(words, whole, figures), is_torn=is_torn)
    made = {"measure" if name == "tool" else name: column for name, column in read.words.items()}
    made |= {name: Words.alike("", len(read)) for name in _OPTIONAL if name not in made}
    made |= {name: made[name].parsed(_level(factor.parse)) for name, factor in columns.factors.items() if name != MTU}
    made |= {MTU: made[MTU].parsed(whole_number), "path_state": made["path_state"].parsed(_state)}
    ones = {name: np.ones(len(read), np.int64) for name in ("setup", "attempt") if name not in header}
    return Table(made, {**read.whole, **ones}, read.figures)


def _level(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Return what makes levels of words; None of what stands where a cell does not have the factor."""
    return lambda word: parse(word) if word not in ("", _ICMP) else None


def _state(word: str) -> PathState | None:
    return PathState.parse(word) if word else None


def _is_sound(table: Table, columns: Columns) -> bool:
    """Tell whether every row can be used, and none counts twice."""
    words, whole = table.words, table.whole
    known = {"kind": [*Kind], "status": [*Status], "direction": [*Direction]}
    valid_words = all(set(words[name].values) <= set(valid) for name, valid in known.items() if name in words)
    filled = all("" not in words[name].values for name in REQUIRED if name in words)
    finite = not any(np.isinf(column).any() for column in table.figures.values())
    finite = finite and not np.isnan(table.figures["duration_s"]).any()
    is_one_run = len(words["run_id"].values) == 1
    _, firsts, blocks = np.unique(whole["block"], return_index=True, return_inverse=True)
    order = np.argsort(blocks, kind="stable")  # within a block as in the file
    same = np.diff(blocks[order]) == 0
    moved = (np.diff(whole["setup"][order])[same] < 0).any()
    attempts_of, tries = np.unique(whole["attempt"], return_inverse=True)
    numbers, _ = numbered(table, columns)
    ok = words["status"].are(Status.OK)
    places = np.sort(((numbers * len(firsts) + blocks) * len(attempts_of) + tries)[ok])
    twice = (places[1:] == places[:-1]).any()
    return bool(valid_words and filled and finite and not twice and not moved and is_one_run)


def numbered(table: Table, columns: Columns) -> tuple[Whole, Whole]:
    """Return of each trial the number of its profile and cell, by their first places; and these, which ascend."""
    numbers, firsts = np.zeros(len(table), np.int64), np.zeros(1, np.int64)
    for name in ("profile", "measure", *columns.factors):
        column = table.words[name]
        kinds = len(column.values) + 1
        numbers, firsts = renumbered(numbers * kinds + column.codes + 1, len(firsts) * kinds)
    return numbers, firsts


def _require_columns(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing in line 1; docs/results.md lists all columns.")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} stands twice in line 1; docs/results.md lists all columns.")


def _cut_short(table: Table, meta: RunMeta) -> Iterator[Note]:
    """Yield what is to be known of a run that ended before its last trial, or is not there yet."""
    planned = meta.plan.trials
    if meta.complete is False and len(table) < planned:
        where = f"in block {table.whole['block'].max()} of {meta.plan.blocks}"
        fact = f"cut short: {len(table)} of {planned} trials are measured, the last one {where}"
        advice = f"`harness run --resume {meta.run_id}` goes on" if meta.command else ""
        yield Note(About.CUT_SHORT, meta.run_id, fact, advice)


def _trials_path(path: Path) -> Path:
    file = path / "trials.csv" if path.is_dir() else path
    if (path / PAIRS_FILE).is_file():
        raise InputError(f"{path} is a run of several pairs; give the folder of one of them, which lies in it.")
    if file.is_file():
        return file
    within = sorted(path.glob("*/trials.csv")) if path.is_dir() else []
    if len(within) == 1:  # the folder that runs are put into, with one in it
        return within[0]
    if within:
        names = ", ".join(one.parent.name for one in within[:_MOST_NAMED])
        raise InputError(
            f"{path} has {len(within)} runs in it ({names}{', ...' * (len(within) > _MOST_NAMED)}); give one."
        )
    raise InputError(f"{file} does not exist; give a run's folder or its trials.csv.")


def _series(path: Path) -> Table | None:
    """Return series.csv, None where it cannot be read: nothing but notes is made of it."""
    try:
        header = lines.header_of(path)
        if not {*SERIES} - {"attempt"} <= {*header}:
            return None
        wanted = Wanted(whole=[name for name in SERIES[:3] if name in header], figures=SERIES[3:])
        return read_table(path, wanted, is_torn=lines.shape_of(path, len(header)).is_torn)
    except (OSError, ValueError, InputError):
        return None
