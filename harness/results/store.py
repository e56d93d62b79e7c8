"""The run folder: what was measured is on disk before the next trial starts."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.model.errors import InputError
from harness.model.pairs import Pair
from harness.model.trial import PAIRS_FILE, TRIAL_COLUMNS, Slot, Trial


class RunFolder:
    """One run's folder, open for writing."""

    def __init__(self, path: Path, run_id: str | None = None) -> None:
        self.path = path
        self.run_id = run_id or path.name

    @classmethod
    def create(cls, parent: Path, profiles: Sequence[str]) -> RunFolder:
        """Make `<parent>/<UTC>-<profiles>-<4 hex>/`; InputError where that cannot be written."""
        return cls.made(parent / _new_run_id(profiles))

    @classmethod
    def made(cls, path: Path, run_id: str | None = None) -> RunFolder:
        """Make this folder, for a run called `run_id` or as the folder is; InputError where that cannot be written."""
        try:
            (path / "raw").mkdir(parents=True)
            folder = cls(path, run_id)
            _write(path / "trials.csv", ",".join(TRIAL_COLUMNS) + "\n")
        except OSError as error:
            raise InputError(f"cannot write results to {path}: {error.strerror}; choose another --out.") from error
        return folder

    def write_json(self, name: str, value: Mapping[str, object]) -> None:
        """Write one of the folder's JSON files as a whole."""
        _write_json(self.path / name, value)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder as a whole."""
        _write(self.path / name, text)

    def raw_name(self, slot: Slot, attempt: int) -> str:
        """Return where the raw record of a trial goes, relative to the folder."""
        cell = slot.cell
        again = "" if attempt == 1 else f"-attempt{attempt}"
        parts = [f"b{slot.block:02}-p{slot.position:03}", slot.profile, cell.tool, cell.protocol, cell.direction.value]
        return f"raw/{'-'.join(parts)}-{cell.mtu}-x{cell.flows}{again}.json"

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that ended before its first trial did."""
        lines = (self.path / "trials.csv").read_text(encoding="utf-8").splitlines()
        if len(lines) == 1:
            shutil.rmtree(self.path)

    def append(self, trial: Trial) -> None:
        """Add a row to trials.csv; it is on disk when this returns."""
        line = io.StringIO()
        csv.DictWriter(line, TRIAL_COLUMNS, lineterminator="\n").writerow(trial.row())
        with (self.path / "trials.csv").open("a", encoding="utf-8", newline="") as file:
            file.write(line.getvalue())
            file.flush()
            os.fsync(file.fileno())


class PairsFolder:
    """The folder of a run of several pairs, open for writing: pairs.json, and a run folder for each pair."""

    def __init__(self, path: Path, runs: Mapping[Pair, RunFolder]) -> None:
        self.path = path
        self.runs = runs

    @classmethod
    def create(cls, parent: Path, profiles: Sequence[str], pairs: Sequence[Pair]) -> PairsFolder:
        """Make `<parent>/<UTC>-<profiles>-<4 hex>/<client>--<server>/`; InputError where that cannot be written."""
        path = parent / _new_run_id(profiles)
        return cls(path, {pair: RunFolder.made(path / pair.folder, f"{path.name}/{pair.folder}") for pair in pairs})

    def write_json(self, value: Mapping[str, object]) -> None:
        """Write pairs.json as a whole."""
        _write_json(self.path / PAIRS_FILE, value)

    def measured(self) -> list[RunFolder]:
        """Return the run folders that are there; after `discard_empty`, those with a trial."""
        return [run for run in self.runs.values() if run.path.exists()]

    def discard_empty(self) -> None:
        """Remove the folders of pairs without any trial, and the run's where all are."""
        for run in self.runs.values():
            run.discard_if_empty()
        if not self.measured():
            shutil.rmtree(self.path)


def _new_run_id(profiles: Sequence[str]) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{'+'.join(profiles)[:60]}-{secrets.token_hex(2)}"


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    _write(path, json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole and see it to disk."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
