"""Reading the trials of a run: trials.csv of either schema, and what lies beside it.

pandas reads the file as a whole. Where that finds something wrong, `harness.report.lines` reads it line by line, to
say which one it is. A file may have a million lines: words are read as categories, and what no report uses not at all.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.model.errors import InputError
from harness.model.notes import Note
from harness.model.pairs import PAIRS_FILE
from harness.model.path import Kind, PathState
from harness.model.trial import MTU, Direction, Status
from harness.report import attempts, lines
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, RunMeta, read_json, read_meta
from harness.results.schema import REQUIRED, Columns

_WHOLE = ("setup", "block", "position", "attempt", MTU)
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

    A row has the columns of the head that reports use and levels, both as categories (missing where a cell does not
    have the factor), and figures as floats (NaN where there is none).
    """

    frame: pd.DataFrame
    columns: Columns
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class RunData:
    """A run as it was read: `meta` and `environment` (by node) are None where their files are not there."""

    trials: Trials
    meta: RunMeta | None
    environment: Mapping[str, Any] | None = None
    series: pd.DataFrame | None = None

    @property
    def run_id(self) -> str:
        """What the run is called."""
        return str(self.trials.frame["run_id"].iloc[0])

    @property
    def nic_mtu(self) -> int:
        """The underlay's own MTU in bytes; without run.json the largest at which it was measured."""
        if self.meta:
            return self.meta.nic_mtu
        frame = self.trials.frame
        underlay = frame.loc[frame["kind"] == Kind.UNDERLAY, MTU]
        return int(max(underlay if len(underlay) else frame[MTU]))


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
        missing = [name for name in trials.frame["profile"].unique() if name not in meta.profiles]
        if missing:
            raise InputError(f"{meta_path} has no profile {missing[0]!r}, but trials.csv does: they are of two runs.")
    environment_path = trials_path.with_name(ENVIRONMENT_FILE)
    environment = read_json(environment_path) if environment_path.exists() else None
    series_path = trials_path.with_name("series.csv")
    series = _series(series_path) if with_series and series_path.exists() else None
    return RunData(trials, meta, environment, None if series is None else attempts.of_counted(series, trials.frame))


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
        frame = _frame(io.BytesIO(lines.whole_lines(path)) if shape.is_torn else path, header, columns)
    except (ValueError, TypeError, InputError) as error:
        lines.explain(path, shape, columns)
        raise InputError(f"{path} cannot be read as CSV: {error}; restore the file.") from error
    if frame.empty:
        raise InputError(f"{path} holds no trial: the run ended before its first one; run it again.")
    if is_old:
        frame.loc[frame["measure"] == "ping", list(_PING_LACKS)] = None
    if not _is_sound(frame, columns):
        lines.explain(path, shape, columns)
        raise InputError(f"{path} cannot be used; restore the file.")
    counted, repeated = attempts.counted(frame, columns)
    return Trials(counted, columns, (*((lines.torn_line(path),) if shape.is_torn else ()), *repeated))


def _frame(source: Path | io.BytesIO, header: Sequence[str], columns: Columns) -> pd.DataFrame:
    """Return the file as a frame; ValueError where there is a word for a number."""
    numbers = dict.fromkeys(columns.metrics, "float64") | {"duration_s": "float64"}
    used = [name for name in header if name not in _UNUSED]
    whole = [name for name in _WHOLE if name in header]
    frame = pd.read_csv(
        source,
        usecols=used,
        dtype={**dict.fromkeys(used, "category"), **numbers, **dict.fromkeys(whole, "int64")},
        keep_default_na=False,
        na_values={name: [""] for name in (*numbers, *columns.factors, *whole)},
    ).rename(columns={"tool": "measure"})
    empty = pd.Categorical.from_codes(np.zeros(len(frame), "int8"), pd.Index([""]))
    frame = frame.assign(**{name: empty for name in _OPTIONAL if name not in frame})
    frame = frame.assign(**{name: 1 for name in ("setup", "attempt") if name not in frame})
    for name, factor in columns.factors.items():
        if name != MTU:
            frame[name] = _parsed(frame[name], factor.parse, none=_ICMP)
    frame["path_state"] = _parsed(frame["path_state"], PathState.parse, none="")
    return frame


def _parsed(words: pd.Series[Any], parse: Callable[[str], object], none: str) -> pd.Series[Any]:
    """Return a column of the values that its words mean, each parsed once; missing for a word that means `none`."""
    values = [None if word == none else parse(str(word)) for word in words.cat.categories]
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    numbers = np.array([-1 if value is None else distinct.index(value) for value in values] + [-1])
    codes = numbers[words.cat.codes.to_numpy()]  # the code of what is missing is -1: the last one
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(distinct, dtype=object)), index=words.index)


def _is_sound(frame: pd.DataFrame, columns: Columns) -> bool:
    """Tell whether every row can be used, and none counts twice."""
    words = {"kind": [*Kind], "status": [*Status], "direction": [*Direction]}
    valid_words = all(set(frame[name].cat.categories) <= set(valid) for name, valid in words.items() if name in frame)
    filled = all(
        "" not in frame[name].cat.categories for name in REQUIRED if isinstance(frame[name].dtype, pd.CategoricalDtype)
    )
    finite = not any(np.isinf(frame[name].to_numpy()).any() for name in (*columns.metrics, "duration_s"))
    finite = finite and bool(frame["duration_s"].notna().all())
    cell = ["block", "attempt", "profile", "measure", *columns.factors]
    twice = frame.loc[frame["status"] == Status.OK, cell].duplicated().any()
    moved = frame[["block", "setup"]].drop_duplicates()["block"].duplicated().any()
    is_one_run = len(frame["run_id"].cat.categories) == 1
    return bool(valid_words and filled and finite and not twice and not moved and is_one_run)


def _require_columns(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing in line 1; docs/results.md lists all columns.")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} stands twice in line 1; docs/results.md lists all columns.")


def _trials_path(path: Path) -> Path:
    file = path / "trials.csv" if path.is_dir() else path
    if (path / PAIRS_FILE).is_file():
        raise InputError(f"{path} is a run of several pairs; give the folder of one of them, which lies in it.")
    if not file.is_file():
        raise InputError(f"{file} does not exist; give a run's folder or its trials.csv.")
    return file


def _series(path: Path) -> pd.DataFrame | None:
    """Return series.csv, None where it cannot be read: nothing but notes is made of it."""
    try:
        return pd.read_csv(path)
    except (OSError, ValueError):
        return None
