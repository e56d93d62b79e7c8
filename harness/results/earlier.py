"""What a run that ended early has measured, read back so that it can be gone on with."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.model.errors import InputError
from harness.model.text import cell
from harness.model.trial import Slot, Status
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE, RunMeta, read_json, read_meta
from harness.results.schema import Columns

Place = tuple[int, int, int]
"""Block, position and attempt, each from 1."""
_PLACE = ("block", "position", "attempt")


@dataclass(frozen=True)
class Done:
    """A trial that was measured: what became of it, and how much CPU time was given to others meanwhile, as a share."""

    setup: int
    status: Status
    stolen_ratio: float


@dataclass(frozen=True)
class Earlier:
    """A run as it was left: `environment` is by node, `done` are its trials."""

    meta: RunMeta
    environment: Mapping[str, Any]
    done: Mapping[Place, Done]

    @property
    def slots(self) -> int:
        """How many trials of its plan are done."""
        return len({place[:2] for place in self.done})


def meta_of_begun(folder: Path) -> RunMeta:
    """Return run.json of a run that is to be gone on with; InputError where it had not begun to measure."""
    if not (folder / RUN_FILE).is_file():
        raise InputError(f"{folder} has no {RUN_FILE}: the run ended before its first trial; start it anew.")
    return read_meta(folder / RUN_FILE)


def read_earlier(folder: Path, columns: Columns) -> Earlier:
    """Return the run in a folder as it was left; InputError where it cannot be gone on with in these columns."""
    meta = meta_of_begun(folder)
    environment = read_json(folder / ENVIRONMENT_FILE)
    path = folder / "trials.csv"
    try:
        content = path.read_bytes()
        rows = [*csv.reader(io.StringIO(whole_lines(content).decode("utf-8"), newline=""), strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}; restore the file.") from error
    if not rows or rows[0] != [*columns.names]:
        raise InputError(f"{path} does not have the columns of this harness; go on with the one that wrote it.")
    slots = {(slot.block, slot.position): slot for slot in meta.plan.slots}
    done: dict[Place, Done] = {}
    for number, row in enumerate(rows[1:], 2):
        place, own = _done(f"{path}, row {number}", dict(zip(columns.names, row, strict=False)), slots, columns)
        if place in done:
            raise InputError(f"{path}, row {number} is the same trial as one before it; restore the file.")
        done[place] = own
    return Earlier(meta, environment, done)


@dataclass(frozen=True)
class Progress:
    """How far a run is: trials that are measured, of how many, and whether every one had its turn (None: not known)."""

    done: int
    planned: int
    is_complete: bool | None

    def __add__(self, other: Progress) -> Progress:
        """Return how far two are together."""
        is_complete = bool(self.is_complete and other.is_complete)
        return Progress(self.done + other.done, self.planned + other.planned, is_complete)


def progress_of(folder: Path) -> Progress:
    """Return how far the run in a folder is; InputError where that cannot be told."""
    if not (folder / RUN_FILE).is_file():
        return Progress(0, 0, is_complete=False)
    meta = read_meta(folder / RUN_FILE)
    with (folder / "trials.csv").open(encoding="utf-8", errors="replace", newline="") as file:
        places = {(row.get("block"), row.get("position")) for row in csv.DictReader(file) if row.get("raw") is not None}
    return Progress(len(places), meta.plan.trials, meta.complete)


def whole_lines(content: bytes) -> bytes:
    """Return the content of a file without the line that a killed run left unfinished."""
    return content[: content.rfind(b"\n") + 1]


def lines_of(content: bytes, done: Mapping[Place, Done]) -> bytes:
    """Return what of series.csv is of trials that are done: it is written before the trial's own line is."""
    lines = whole_lines(content).splitlines(keepends=True)
    kept = [line for line in lines[1:] if _place_of(line) in done]
    return b"".join([*lines[:1], *kept])


def _place_of(line: bytes) -> Place | None:
    words = line.split(b",", len(_PLACE))[: len(_PLACE)]
    try:
        block, position, attempt = map(int, words)
    except ValueError:
        return None
    return block, position, attempt


def _done(
    where: str, row: Mapping[str, str], slots: Mapping[tuple[int, int], Slot], columns: Columns
) -> tuple[Place, Done]:
    """Return a line of trials.csv; InputError where it is none of the plan's trials."""
    try:
        block, position, attempt = (int(row[name]) for name in _PLACE)
        done = Done(int(row["setup"]), Status(row["status"]), float(row["stolen_ratio"] or 0.0))
        slot = slots[block, position]
        wanted = {"profile": slot.profile, "measure": slot.cell.measure}
        wanted |= {name: str(cell(slot.cell.get(name) or "")) for name in columns.factors}
    except (KeyError, ValueError) as error:
        raise InputError(f"{where} is no trial of the run's plan; restore the file.") from error
    if any(row[name] != value for name, value in wanted.items()):
        raise InputError(f"{where} is another trial than the run's plan has there; restore the file.")
    return (block, position, attempt), done
