"""Reading trials.csv line by line, which is slow, to say what is wrong with which line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.path import Kind, PathState
from harness.model.trial import MTU, Direction, Status
from harness.results.schema import REQUIRED, Columns

_WORDS: Mapping[str, Sequence[str]] = {"kind": [*Kind], "status": [*Status], "direction": [*Direction]}
_REMEDY = "remove the line or restore the file"


def header_of(path: Path, text: str) -> list[str]:
    """Return the header; InputError where there is none."""
    try:
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; give a run's folder or its trials.csv.") from error
    if not header:
        raise InputError(f"{path} is empty; give a run's folder or its trials.csv.")
    return header


def without_torn_line(path: Path, text: str, width: int) -> tuple[str, tuple[Note, ...]]:
    """Return the text without a last line that a killed run left unfinished, and what is to be said of that."""
    start = text.rfind("\n") + 1
    if start == 0 or start == len(text):
        return text, ()
    fields = next(csv.reader(io.StringIO(text[start:], newline="")), [])
    if len(fields) >= width:
        return text, ()
    fact = f"the last line of {path.name} is incomplete"
    return text[:start], (Note(About.FILE, path.name, fact, "the run was killed, that trial is left out"),)


def explain(path: Path, text: str, columns: Columns) -> None:
    """Raise InputError for the first line that cannot be used."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(reader)
        seen: dict[tuple[str, ...], int] = {}
        setups: dict[str, tuple[str, int]] = {}
        first: tuple[str, int] | None = None
        for record in reader:
            if not record:
                continue
            row = _row(f"{path}, line {reader.line_num}", header, record, columns)
            first = first or (row["run_id"], reader.line_num)
            _refuse_stranger(path, reader.line_num, row, first)
            _refuse_second(path, reader.line_num, row, columns, seen)
            _refuse_moved(path, reader.line_num, row, setups)
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; restore the file.") from error


def _row(where: str, header: Sequence[str], record: Sequence[str], columns: Columns) -> dict[str, str]:
    """Return one line by column; `where` names file and line."""
    if len(record) != len(header):
        raise InputError(f"{where}: {len(record)} fields, not {len(header)}; {_REMEDY}.")
    row = dict(zip(header, record, strict=True))
    row.setdefault("measure", row.get("tool", ""))
    for column in ("setup", "attempt"):  # schema 2 had no such columns at first, nor had schema 1
        row.setdefault(column, "1")
    empty = [column for column in (*REQUIRED, "setup", "attempt", MTU) if not row.get(column)]
    if empty:
        raise InputError(
            f"{where}: {'tool' if 'tool' in row and empty[0] == 'measure' else empty[0]} is empty; {_REMEDY}."
        )
    _check_words(where, row, columns)
    for column in ("setup", "block", "position", "attempt", MTU):
        _number(where, column, row[column], int)
    for column in ("duration_s", *columns.metrics):
        _number(where, column, row.get(column, ""), float)
    return row


def _check_words(where: str, row: Mapping[str, str], columns: Columns) -> None:
    """Refuse a word that is none of those there are."""
    for column, known in _WORDS.items():
        if row.get(column) and row[column] not in known:
            raise InputError(f"{where}: unknown {column} {row[column]!r}; known are {', '.join(known)}.")
    try:
        if row.get("path_state"):
            PathState.parse(row["path_state"])
        for name, factor in columns.factors.items():
            if row.get(name) and row[name] != "icmp" and name != MTU:
                factor.parse(row[name])
    except InputError as error:
        raise InputError(f"{where}: {error}; {_REMEDY}.") from error


def _number(where: str, column: str, text: str, kind: Callable[[str], Any]) -> None:
    if not text:
        return
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        word = "a whole number" if kind is int else "a number"
        raise InputError(f"{where}: {column} is {text!r}, not {word}; {_REMEDY}.")


def _refuse_stranger(path: Path, line: int, row: Mapping[str, str], first: tuple[str, int]) -> None:
    if row["run_id"] != first[0]:
        raise InputError(
            f"{path}, line {line}: run {row['run_id']}, but line {first[1]} is of {first[0]}; "
            "keep each run in a file of its own."
        )


def _refuse_second(
    path: Path, line: int, row: Mapping[str, str], columns: Columns, seen: dict[tuple[str, ...], int]
) -> None:
    """Refuse what would count twice: two figures of one block, attempt, profile and cell."""
    key = (row["block"], row["attempt"], row["profile"], row["measure"], *(row[name] for name in columns.factors))
    if row["status"] == Status.OK and key in seen:
        raise InputError(f"{path}, line {line}: the same trial as line {seen[key]}; remove one of them.")
    if row["status"] == Status.OK:
        seen[key] = line


def _refuse_moved(path: Path, line: int, row: Mapping[str, str], setups: dict[str, tuple[str, int]]) -> None:
    """Refuse a block on two set-ups: its figures could not be compared with each other."""
    setup, first = setups.setdefault(row["block"], (row["setup"], line))
    if row["setup"] != setup:
        raise InputError(
            f"{path}, line {line}: block {row['block']} is of set-up {row['setup']}, but of {setup} in line {first}; "
            f"{_REMEDY}."
        )
