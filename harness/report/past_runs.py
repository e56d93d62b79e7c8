"""The runs of a folder in the order in which they were made, and what in it is none or cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.model.errors import InputError
from harness.report.aa import is_against_itself
from harness.report.analysis import Row, analyse
from harness.report.ecmp import is_over_links
from harness.report.narrow import against_underlay
from harness.report.pairs import has_pairs
from harness.report.trials import RunData, read_run
from harness.results.differences import Surroundings, machine_of
from harness.truth.verdicts import Verdict


@dataclass(frozen=True)
class PastRun:
    """One run: `number` from 1 in the order of time, `when` in ISO 8601 (empty where nobody knows).

    `pair` is `client:server` of a run of several pairs. `machine` is the number of its machine, from 1 in the order in
    which they first were. `blocks` are those that were measured, of how many. `rows` are against its own underlay.
    """

    number: int
    path: Path
    run_id: str
    when: str
    pair: str
    machine: int
    blocks: tuple[int, int]
    surroundings: Surroundings
    rows: tuple[Row, ...]

    @property
    def is_half(self) -> bool:
        """Whether it ended before its plan did."""
        return self.blocks[0] < self.blocks[1]


@dataclass(frozen=True)
class LeftOut:
    """A folder or a file that is no run, or one that cannot be used, and why."""

    path: Path
    reason: str


def past_runs(folder: Path) -> tuple[list[PastRun], list[LeftOut]]:
    """Return the runs of a folder, and what is left out.

    Raises:
        InputError: no such folder, or one without any run that can be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds runs' folders, such as results.")
    read: list[tuple[Path, str, RunData]] = []
    left_out: list[LeftOut] = []
    for path, pair in _candidates(folder):
        try:
            read.append((path, pair, _usable(path)))
        except InputError as error:
            left_out.append(LeftOut(path, str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ")))
    if not read:
        said = f": {left_out[0].path.name}: {left_out[0].reason}" if left_out else ""
        raise InputError(f"{folder} holds no run that can be used{said}")
    machines: dict[tuple[tuple[str, str], ...], int] = {}
    runs = []
    for number, (path, pair, run) in enumerate(sorted(read, key=lambda one: (_when(one[2]), str(one[0]))), 1):
        surroundings = Surroundings(run.meta, run.environment)
        machine = machines.setdefault(machine_of(surroundings), len(machines) + 1)
        rows = tuple(row for row in against_underlay(analyse(run).rows) if row.verdict is not Verdict.DISTURBED)
        when = run.meta.created_at if run.meta else ""
        runs.append(PastRun(number, path, run.run_id, when, pair, machine, _blocks(run), surroundings, rows))
    return runs, left_out


def _candidates(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what may be a run, with its pair where it is one of several: every folder but hidden ones."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if has_pairs(path):
            yield from ((one, one.name.replace("--", ":")) for one in sorted(path.iterdir()) if one.is_dir())
        else:
            yield path, ""


def _usable(path: Path) -> RunData:
    """Return a run with figures against an underlay; InputError for any other."""
    run = read_run(path, with_series=False)
    if is_against_itself(run):
        raise InputError("a run against itself, which has no ratio to an underlay.")
    if is_over_links(run):
        raise InputError("a run over links, which has no ratio to an underlay.")
    return run


def _when(run: RunData) -> str:
    """Return what runs are ordered by: their time, or the name that begins with it."""
    if run.meta and run.meta.created_at:
        return "".join(letter for letter in run.meta.created_at[:19] if letter.isdigit())
    return run.run_id.replace("T", "", 1)


def _blocks(run: RunData) -> tuple[int, int]:
    """Return how many blocks were measured, and how many the run was to have."""
    measured = len(np.unique(run.trials.table.whole["block"]))
    if run.meta is None or run.meta.ended is not None:
        return measured, measured
    return measured, max(run.meta.plan.blocks, measured)
