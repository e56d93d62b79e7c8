"""The run folder, open for writing: what was measured is on disk before the next trial starts."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from harness.measures.registry import label_of
from harness.model.errors import InputError, LabError, StorageError
from harness.model.flock import try_lock
from harness.model.pairs import PAIRS_FILE, Pair
from harness.model.text import cell
from harness.model.trial import Slot, Trial
from harness.results import files
from harness.results.earlier import Earlier, lines_of, read_earlier, whole_lines
from harness.results.schema import SERIES, Columns, series_rows

_MOST_LABEL = 100
_MOST_NAMES = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9.%=]+")


class RunFolder:
    """One run's folder; `columns` are those of its trials.csv, `earlier` is what was in it before.

    Who made or reopened it has it to himself as long as there is this object: trials.csv is locked.
    """

    def __init__(self, path: Path, columns: Columns, run_id: str | None = None) -> None:
        self.path = path
        self.columns = columns
        self.run_id = run_id or path.name
        self.earlier: Earlier | None = None
        self._lock: BinaryIO | None = None

    @classmethod
    def create(cls, parent: Path, profiles: Sequence[str], columns: Columns) -> Self:
        """Make `<parent>/<UTC>-<profiles>-<4 hex>/`; InputError where that cannot be written."""
        return cls.made(parent / _new_run_id(profiles), columns)

    def rename(self, profiles: Sequence[str], stay: Sequence[str]) -> None:
        """Name the folder, which was named after profiles, after those of them that stay."""
        self.path = _renamed(self.path, profiles, stay)
        self.run_id = self.path.name

    @classmethod
    def made(cls, path: Path, columns: Columns, run_id: str | None = None) -> Self:
        """Make this folder, for a run called `run_id` or as the folder is; InputError where that cannot be written."""
        try:
            files.require_room(path)
            files.make_folder(path / "raw")
            files.write(path / "trials.csv", _csv(columns.names, ()))
        except StorageError as error:
            why = files.reason(error)
            raise InputError(f"cannot write results to {path}: {why}; choose another folder.") from error
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(path, columns, run_id).taken()

    @classmethod
    def reopened(cls, path: Path, columns: Columns, run_id: str | None = None) -> Self:
        """Open the folder of a run that ended early to go on with it; what was half written is cut off.

        Raises InputError where it cannot be gone on with, and LabError where another process measures it.
        """
        if not (path / "trials.csv").is_file():
            raise InputError(f"{path} has no trials.csv: it is no folder of a run.")
        folder = cls(path, columns, run_id).taken()
        folder.earlier = earlier = read_earlier(path, columns)
        files.require_room(path)
        files.cut(path / "trials.csv", len(whole_lines((path / "trials.csv").read_bytes())))
        series = path / "series.csv"
        if series.exists():
            files.write(series, lines_of(series.read_bytes(), earlier.done))
        return folder

    def taken(self) -> Self:
        """Return this folder, which nobody else measures into from now on; LabError where somebody does already."""
        self._lock = (self.path / "trials.csv").open("rb")
        if not try_lock(self._lock.fileno()):
            raise LabError(f"{self.path} is being measured by another process; wait for its end.")
        return self

    def close(self) -> None:
        """Let others have the folder again, as the end of this process does."""
        if self._lock is not None:
            self._lock.close()

    def write_json(self, name: str, value: Mapping[str, object]) -> None:
        """Write one of the folder's JSON files as a whole."""
        _write_json(self.path / name, value)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder as a whole."""
        files.write(self.path / name, text)

    def raw_name(self, slot: Slot, attempt: int = 1, tries: int = 1) -> str:
        """Return where the raw record of a trial goes, relative to the folder.

        `attempt` is that of its group, `tries` how often the trial itself was tried in it.
        """
        again = ("" if attempt == 1 else f"-attempt{attempt}") + ("" if tries == 1 else f"-try{tries}")
        label = _UNSAFE.sub("-", label_of(slot.cell)).strip("-")[:_MOST_LABEL]  # block and position make it unique
        place = f"b{slot.block:02}-p{slot.position:03}"
        return f"raw/{place}-{slot.profile}-{slot.cell.measure}-{label}{again}.json"

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that ended before its first trial did."""
        _discard_if_empty(self.path)

    def append(self, trial: Trial) -> None:
        """Add a trial to trials.csv, and its intervals to series.csv; they are on disk when this returns."""
        intervals = series_rows(trial)
        if intervals:
            series = self.path / "series.csv"
            files.append(series, _csv(SERIES, intervals, heading=not series.exists()))
        files.append(self.path / "trials.csv", _csv(self.columns.names, [self.columns.row(trial)], heading=False))


class PairsFolder:
    """The folder of a run of several pairs, open for writing: pairs.json, and a run folder for each pair."""

    def __init__(self, path: Path, runs: Mapping[Pair, RunFolder]) -> None:
        self.path = path
        self.runs = runs

    @classmethod
    def create(cls, parent: Path, profiles: Sequence[str], columns: Columns, pairs: Sequence[Pair]) -> PairsFolder:
        """Make `<parent>/<UTC>-<profiles>-<4 hex>/<client>--<server>/`; InputError where that cannot be written."""
        path = parent / _new_run_id(profiles)
        runs = {pair: RunFolder.made(path / pair.folder, columns, f"{path.name}/{pair.folder}") for pair in pairs}
        return cls(path, runs)

    @classmethod
    def reopened(cls, path: Path, columns: Columns, pairs: Sequence[Pair]) -> PairsFolder:
        """Open the folder of a run that ended early to go on with it; pairs that had no trial get their folder anew."""
        runs = {}
        for pair in pairs:
            own, run_id = path / pair.folder, f"{path.name}/{pair.folder}"
            _discard_if_empty(own)
            opened = RunFolder.reopened if own.exists() else RunFolder.made
            runs[pair] = opened(own, columns, run_id)
        return cls(path, runs)

    def rename(self, profiles: Sequence[str], stay: Sequence[str]) -> None:
        """Name the folder, which was named after profiles, after those of them that stay."""
        self.path = _renamed(self.path, profiles, stay)
        for pair, run in self.runs.items():
            run.path, run.run_id = self.path / pair.folder, f"{self.path.name}/{pair.folder}"

    def write_json(self, value: Mapping[str, object]) -> None:
        """Write pairs.json as a whole."""
        _write_json(self.path / PAIRS_FILE, value)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder as a whole."""
        files.write(self.path / name, text)

    def measured(self) -> list[RunFolder]:
        """Return the run folders that are there; after `discard_if_empty`, those with a trial."""
        return [run for run in self.runs.values() if run.path.exists()]

    def discard_if_empty(self) -> None:
        """Remove the folders of pairs without any trial, and the run's where all are."""
        for run in self.runs.values():
            run.discard_if_empty()
        if not self.measured():
            shutil.rmtree(self.path, ignore_errors=True)


def _discard_if_empty(path: Path) -> None:
    with suppress(OSError):  # the folder, or the disk, may be gone
        if (path / "trials.csv").read_bytes().count(b"\n") <= 1:
            shutil.rmtree(path)


def _new_run_id(profiles: Sequence[str]) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{_joined(profiles)}-{secrets.token_hex(2)}"


def _joined(profiles: Sequence[str]) -> str:
    return "+".join(profiles)[:_MOST_NAMES]


def _renamed(path: Path, profiles: Sequence[str], stay: Sequence[str]) -> Path:
    """Rename a run's folder; one that its owner gave another name keeps it."""
    before, after = f"-{_joined(profiles)}-", f"-{_joined(stay)}-"
    return path.rename(path.with_name(path.name.replace(before, after, 1))) if before in path.name else path


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, heading: bool = True) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if heading:
        writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    files.write(path, json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")
