"""Reads a run back: trials.csv, and run.json and environment.json where they lie beside it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.model.errors import InputError
from harness.model.trial import PAIRS_FILE, SCHEMA_VERSION, TRIAL_COLUMNS, Direction, Kind, Status
from harness.truth.wire import clamped_mtu, overhead

CELL_COLUMNS = ["tool", "protocol", "direction", "mtu", "flows"]

_WHOLE_NUMBERS = "block position mtu flows retransmits ping_sent inner_bytes outer_bytes".split()
_NUMBERS = (
    "duration_s goodput_bps udp_loss_ratio udp_jitter_s rtt_min_s rtt_p50_s rtt_p90_s rtt_p99_s rtt_max_s "
    "ping_lost_ratio client_cpu_s server_cpu_s"
).split()
_REQUIRED = "run_id block position profile kind tool protocol direction mtu flows duration_s status".split()
_WORDS: Mapping[str, Sequence[str]] = {"kind": list(Kind), "direction": list(Direction), "status": list(Status)}


class _Part(BaseModel):
    """Keys that a later version adds are let through; those named here have to be right."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PlanMeta(_Part):
    """What compares and scales figures of a plan: blocks, seconds of each trial, and what the endpoints were."""

    name: str
    blocks: int
    duration_s: float
    omit_s: float
    containers: str = "none"
    image: str = ""


class ProfileMeta(_Part):
    """A profile's kind and header stack, outermost first."""

    kind: Kind
    headers: tuple[str, ...] = ()


class Meta(_Part):
    """run.json. `rate_bps` is None where the link is not shaped, `versions` are by tool and node."""

    run_id: str
    lab: str
    rate_bps: float | None
    shared_kernel: bool
    nic_mtu: int
    plan: PlanMeta
    profiles: Mapping[str, ProfileMeta]
    versions: Mapping[str, Mapping[str, str | None]] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunData:
    """A run as it was read: `meta` and `environment` (by node) are None where their files are not there."""

    trials: pd.DataFrame
    meta: Meta | None
    environment: Mapping[str, Any] | None = None


def read_run(path: Path) -> RunData:
    """Return the run in a folder, or the one that a trials.csv belongs to.

    Raises:
        InputError: a file cannot be read or used; names file, line or key, and what to do.
    """
    trials_path = _trials_path(path)
    trials = read_trials(trials_path)
    meta_path = trials_path.with_name("run.json")
    meta = _meta(meta_path, read_json(meta_path)) if meta_path.exists() else None
    if meta:
        missing = [name for name in trials["profile"].unique() if name not in meta.profiles]
        if missing:
            raise InputError(f"{meta_path} has no profile {missing[0]!r}, but trials.csv does: they are of two runs.")
    environment_path = trials_path.with_name("environment.json")
    environment = read_json(environment_path) if environment_path.exists() else None
    return RunData(trials, meta, environment)


def read_trials(path: Path) -> pd.DataFrame:
    """Return the trials of a run folder or a trials.csv, one a row, columns as in TRIAL_COLUMNS.

    An empty cell of a figure is NaN. A last line that a killed run left unfinished is dropped; `attrs["warnings"]`
    of the result says so.

    Raises:
        InputError: no such file, a missing or unknown column, or a line that cannot be used.
    """
    path = _trials_path(path)
    try:
        text = path.read_bytes().decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""))
        records = [(reader.line_num, record) for record in reader if record]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; give a run's folder or its trials.csv.") from error
    header = records[0][1] if records else []
    _check_header(path, header)
    warnings = []
    if len(records[-1][1]) < len(header) and not text.endswith("\n"):
        warnings.append(f"the last line of {path.name} is incomplete: the run was killed, that trial is left out")
        records.pop()
    rows = [_row(path, line, header, record) for line, record in records[1:]]
    if not rows:
        raise InputError(f"{path} holds no trial: the run ended before its first one; run it again.")
    _check_rows(path, [line for line, _ in records[1:]], rows)
    trials = pd.DataFrame(rows, columns=TRIAL_COLUMNS)
    trials[_NUMBERS] = trials[_NUMBERS].astype(float)
    trials.attrs["warnings"] = warnings
    return trials


def _trials_path(path: Path) -> Path:
    found = path / "trials.csv" if path.is_dir() else path
    if (path / PAIRS_FILE).is_file():
        raise InputError(f"{path} is a run of several pairs; give the folder of one of them, which lies in it.")
    if not found.is_file():
        raise InputError(f"{found} does not exist; give a run's folder or its trials.csv.")
    return found


def _check_header(path: Path, header: Sequence[str]) -> None:
    missing = [column for column in TRIAL_COLUMNS if column not in header]
    unknown = [column for column in header if column not in TRIAL_COLUMNS]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing in line 1; docs/results.md lists all columns.")
    if unknown or len(header) != len(TRIAL_COLUMNS):
        extra = unknown[0] if unknown else "a name that is there twice"
        raise InputError(f"{path}: unknown column {extra!r} in line 1; docs/results.md lists all columns.")


def _row(path: Path, line: int, header: Sequence[str], record: Sequence[str]) -> dict[str, Any]:
    """Return one line as values by column; `line` is where its record ends."""
    where = f"{path}, line {line}"
    if len(record) != len(header):
        raise InputError(f"{where}: {len(record)} fields, not {len(header)}; remove the line or restore the file.")
    row: dict[str, Any] = dict(zip(header, record, strict=True))
    for column in _REQUIRED:
        if not row[column]:
            raise InputError(f"{where}: {column} is empty; remove the line or restore the file.")
    for column, known in _WORDS.items():
        if row[column] not in known:
            raise InputError(f"{where}: unknown {column} {row[column]!r}; known are {', '.join(known)}.")
    for column in _WHOLE_NUMBERS:
        row[column] = _number(where, column, row[column], int)
    for column in _NUMBERS:
        row[column] = _number(where, column, row[column], float)
    try:
        if row["path_state"]:
            clamped_mtu(row["path_state"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return row


def _number(where: str, column: str, text: str, kind: type[int | float]) -> float | None:
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        word = "a whole number" if kind is int else "a number"
        raise InputError(f"{where}: {column} is {text!r}, not {word}; remove the line or restore the file.")
    return value


def _check_rows(path: Path, lines: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what would count twice: another run's rows, or two figures of one block, profile and cell."""
    seen: dict[tuple[Any, ...], int] = {}
    for line, row in zip(lines, rows, strict=True):
        if row["run_id"] != rows[0]["run_id"]:
            raise InputError(
                f"{path}, line {line}: run {row['run_id']}, but line {lines[0]} is of {rows[0]['run_id']}; "
                "keep each run in a file of its own."
            )
        key = (row["block"], row["profile"], *(row[column] for column in CELL_COLUMNS))
        if row["status"] == Status.OK and key in seen:
            raise InputError(f"{path}, line {line}: the same trial as line {seen[key]}; remove one of them.")
        if row["status"] == Status.OK:
            seen[key] = line


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object that a file holds; InputError where it does not."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}; restore it, or take trials.csv alone.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object; restore it, or take trials.csv alone.")
    return value


def _meta(path: Path, value: dict[str, Any]) -> Meta:
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema_version {version!r}, this harness reads {SCHEMA_VERSION}; use the one that wrote it."
        )
    try:
        meta = Meta.model_validate(value)
        for profile in meta.profiles.values():
            overhead(profile.headers)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; restore it, or take trials.csv alone.") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return meta
