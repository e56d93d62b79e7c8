"""The runs of a folder, each in a few words: when and what it was, how far it is, and its answer."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from harness.model.errors import InputError
from harness.model.pairs import PAIRS_FILE, Pair
from harness.model.trial import UNDERLAY
from harness.report.formats import Result, findings_of
from harness.report.pairs import has_pairs, read_pairs_meta
from harness.results.earlier import Progress, progress_of
from harness.results.meta import RUN_FILE, RunMeta, read_meta

_STAMP = "20261125T104223Z"
"""What a run's name begins with, as an example."""


@dataclass(frozen=True)
class Listed:
    """One run. `when` is in UTC, to the minute, empty where nobody knows; `profiles` are without the underlay.

    `answer` are its sentences, `problem` is why there are none: what cannot be read is listed with that.
    """

    run_id: str
    path: Path
    when: str
    lab: str
    profiles: tuple[str, ...]
    progress: Progress | None
    answer: tuple[str, ...]
    problem: str = ""

    @property
    def state(self) -> str:
        """How far it is, in words."""
        far = self.progress
        if far is None:
            return "not known how far"
        if far.is_complete or (far.is_complete is None and far.done >= far.planned):
            return "complete"
        return f"{far.done} of {far.planned} trials" if far.planned else "ended before its first trial"


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run's."""
    return (path / PAIRS_FILE).is_file() or (path / "trials.csv").is_file()


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the runs in a folder, oldest first; InputError where there is none, or no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds runs' folders.")
    found = sorted(path for path in folder.iterdir() if is_run(path))
    if not found:
        inner = sorted({path.parents[1] for path in folder.glob("*/*/trials.csv")})
        raise InputError(f"{folder} holds no run{f'; {inner[0]} does' if inner else ''}.")
    return found


def listed(path: Path, analysed: Callable[[Path], Result]) -> Listed:
    """Return what is said of the run in a folder; `analysed` is what its answer is read off."""
    try:
        meta, progress = _meta_of(path), progress_at(path)
    except (InputError, OSError) as error:
        return Listed(path.name, path, _when(path.name), "", (), None, (), str(error))
    profiles = tuple(name for name in meta.profiles if name != UNDERLAY) if meta else ()
    when = meta.created_at[:16].replace("T", " ") if meta and meta.created_at else _when(path.name)
    lab = meta.lab if meta else ""
    answer: tuple[str, ...] = ()
    problem = ""
    try:
        answer = findings_of(analysed(path))
    except (InputError, OSError) as error:
        problem = str(error)
    return Listed(path.name, path, when, lab, profiles, progress, answer, problem)


def progress_at(path: Path) -> Progress:
    """Return how far a run is, all of its pairs together; a pair that had no trial yet has no folder."""
    if not has_pairs(path):
        return progress_of(path)
    folders = _folders(path)
    found = [progress_of(folder) for folder in folders if folder.is_dir()]
    planned = max((one.planned for one in found), default=0)  # each pair has the same trials
    missing = [Progress(0, planned, is_complete=False)] * (len(folders) - len(found))
    return reduce(operator.add, [*found, *missing])


def _folders(path: Path) -> list[Path]:
    """Return where the pairs of a run are, or would be."""
    pairs = [Pair(*text.split(":", 1)) for wave in read_pairs_meta(path / PAIRS_FILE).waves for text in wave]
    return [path / pair.folder for pair in pairs]


def _meta_of(path: Path) -> RunMeta | None:
    """Return what run.json says, of several pairs that of the first; None where there is none."""
    folders = _folders(path) if has_pairs(path) else [path]
    file = next((folder / RUN_FILE for folder in folders if (folder / RUN_FILE).is_file()), None)
    return read_meta(file) if file else None


def _when(name: str) -> str:
    """Return the time in a run's name."""
    stamp = name[: len(_STAMP)]
    if len(name) < len(_STAMP) or not (stamp[:8] + stamp[9:15]).isdigit() or stamp[8] != "T":
        return ""
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}"
