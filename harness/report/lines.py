"""Reading trials.csv line by line, which is slow, to say what is wrong with which line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.model.errors import InputError
from harness.model.notes import About, Note
from harness.model.path import Kind, PathState
from harness.model.trial import MTU, Direction, Status
from harness.results import earlier
from harness.results.schema import REQUIRED, Columns, whole_number

_WORDS: Mapping[str, Sequence[str]] = {"kind": [*Kind], "status": [*Status], "direction": [*Direction]}
_REMEDY = "remove the line or restore the file"
_GIVE = "give a run's folder or its trials.csv"
_COMMA, _NEWLINE, _QUOTE = b',\n"'
_NO_MARKS = bytes({*range(256)} - {_COMMA, _NEWLINE, _QUOTE})
_BLOCK = 1 << 22


def header_of(path: Path) -> list[str]:
    """Return the header; InputError where there is none."""
    try:
        with path.open("rb") as file:
            header = next(csv.reader([file.readline().decode("utf-8-sig")], strict=True), [])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; {_GIVE}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}, line 1: no header of a CSV ({error}); {_GIVE}.") from error
    if not header:
        raise InputError(f"{path} is empty; {_GIVE}.")
    return header


@dataclass(frozen=True)
class Shape:
    """Whether every line of a file has as many fields as its header, and whether a killed run left the last unfinished.

    A file with empty lines, or with quotes within words, may be said not to be rectangular, and be so: `explain` knows
    better.
    """

    is_rectangular: bool
    is_torn: bool


def shape_of(path: Path, width: int) -> Shape:
    """Return the shape of a file with a header of `width` fields; it is read block by block, none of it is kept."""
    lines = fields = open_fields = 0  # whole lines; fields that ended; those behind the last whole line
    is_rectangular, is_quoted, last = True, False, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            last = block[-1:]
            marks = np.frombuffer(block.translate(None, _NO_MARKS), np.uint8)
            inside = np.logical_xor.accumulate(np.append(is_quoted, marks == _QUOTE))
            is_quoted = bool(inside[-1])
            marks = marks[~inside[1:] & (marks != _QUOTE)]
            ends = (marks == _NEWLINE).nonzero()[0]
            wanted = (lines + 1 + np.arange(len(ends))) * width - 1
            is_rectangular = is_rectangular and np.array_equal(ends + fields, wanted)
            lines += len(ends)
            fields += len(marks)
            open_fields = len(marks) - ends[-1] - 1 if len(ends) else open_fields + len(marks)
    is_torn = last != b"\n" and lines > 0 and open_fields < width - 1
    return Shape(is_rectangular and (is_torn or open_fields == (last != b"\n") * (width - 1)), is_torn)


def torn_line(path: Path) -> Note:
    """Say that a killed run left the last line unfinished."""
    fact = f"the last line of {path.name} is incomplete"
    return Note(About.FILE, path.name, fact, "the run was killed, that trial is left out")


def whole_lines(path: Path) -> bytes:
    """Return a file without the line that a killed run left unfinished."""
    return earlier.whole_lines(path.read_bytes())


def explain(path: Path, shape: Shape, columns: Columns) -> None:
    """Raise InputError for the first line that cannot be used."""
    try:
        content = whole_lines(path) if shape.is_torn else path.read_bytes()
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
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
    except (csv.Error, UnicodeDecodeError) as error:
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
        _number(where, column, row[column], whole_number)
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
        is_finite = math.isfinite(kind(text))
    except ValueError:
        is_finite = False
    if not is_finite:
        word = "a whole number" if kind is whole_number else "a number"
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
    """Refuse a block that is back on an earlier set-up; one that was resumed goes on on a later one."""
    setup, last = setups.get(row["block"], (row["setup"], line))
    if int(row["setup"]) < int(setup):
        raise InputError(
            f"{path}, line {line}: block {row['block']} is of set-up {row['setup']}, but of {setup} in line {last}; "
            f"{_REMEDY}."
        )
    setups[row["block"]] = row["setup"], line
