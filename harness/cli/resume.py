"""`harness run --resume`: going on with a run that ended early, by the command that began it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.configuration import is_typed
from harness.model.errors import HarnessError, InputError
from harness.model.pairs import PAIRS_FILE

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.results.meta import Command
    from harness.results.schema import Columns
    from harness.results.store import PairsFolder, RunFolder

LAST = "last"
_BESIDE = tuple(
    "resume accept_differences parent keep ask_pass ask_become_pass margin explain as_json with_report".split()
)
"""Options that may be given with --resume; the others are those of the run."""


def resume_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options by which it goes on with what ended early."""
    which = click.option(
        "--resume",
        metavar="RUN",
        help=f"Go on with a run that ended early: its folder, its name within --out, or {LAST}. Everything else is as "
        "the command said that began it.",
    )
    accept = click.option(
        "--accept-differences",
        is_flag=True,
        help="Resume it although hosts, kernel, offloads, profiles or this program are not what they were; the result "
        "says so.",
    )
    return which(accept(command))


@dataclass(frozen=True)
class Begun:
    """A run that was begun: its folder, and all options of `harness run` as they hold now."""

    path: Path
    options: Mapping[str, Any]
    command: Command

    def folder(self, prepared: Prepared, columns: Columns) -> RunFolder | PairsFolder:
        """Open its folder; InputError where it cannot be gone on with, and LabError where it is being measured."""
        from harness.results.store import PairsFolder, RunFolder

        if not prepared.waves:
            return RunFolder.reopened(self.path, columns)
        return PairsFolder.reopened(self.path, columns, [pair for wave in prepared.waves for pair in wave])


def begun(context: click.Context, given: Mapping[str, Any]) -> Begun:
    """Return the run that --resume names; from here on this process works in the folder that its command did.

    Raises InputError for one that cannot be resumed, and for options that do not go with that.
    """
    names = [param for param in context.command.params if param.name not in _BESIDE]
    stray = [param for param in names if is_typed(context, str(param.name))]
    if stray:
        raise InputError(f"{stray[0].opts[-1]} does not go with --resume: the run has its own; leave it out.")
    path = _path(str(given["resume"]), Path(given["parent"]))
    command, seed = _command(path)
    try:
        os.chdir(command.folder)
    except OSError as error:
        raise InputError(f"{path} was begun in {command.folder}, which cannot be entered: {error.strerror}.") from error
    with context.command.make_context("run", [*command.words]) as own:
        options = own.params
    explicit = [name for name in _BESIDE if is_typed(context, name)]
    return Begun(path, {**options, **{name: given[name] for name in explicit}, "seed": seed}, command)


def _path(text: str, parent: Path) -> Path:
    """Return the folder that is meant."""
    from harness.report.listing import is_run

    if text == LAST:
        runs = sorted(path for path in parent.glob("*") if is_run(path))
        if not runs:
            raise InputError(f"there is no run in {parent}; --out says where they are.")
        return runs[-1].resolve()
    found = next((path for path in (Path(text), parent / text) if is_run(path)), None)
    if found is None:
        raise InputError(f"--resume {text}: there is no such run, neither by its folder nor by its name in {parent}.")
    return found.resolve()


def _command(path: Path) -> tuple[Command, int]:
    """Return the command that began a run, and its seed."""
    from harness.report.listing import progress_at

    command, seed = _begun_by(path)
    if progress_at(path).is_complete:
        raise InputError(f"{path} is complete: there is nothing left of it to be measured.")
    if command is None or seed is None:
        raise InputError(f"{path} does not say which command began it, so nothing can go on with it; start it anew.")
    return command, seed


def _begun_by(path: Path) -> tuple[Command | None, int | None]:
    """Return the command that began a run, and its seed, as far as its files say so."""
    from harness.report.pairs import has_pairs, read_pairs_meta
    from harness.results.earlier import meta_of_begun

    if has_pairs(path):
        several = read_pairs_meta(path / PAIRS_FILE)
        return several.command, several.seed
    meta = meta_of_begun(path)
    return meta.command, meta.plan.seed


def went_so_far(path: Path) -> str:
    """Return in words how much of a run was measured, and the command that goes on with it; nothing of all of it."""
    from harness.report.listing import progress_at

    if not path.exists():
        return "nothing had been measured"
    try:
        far, (command, _) = progress_at(path), _begun_by(path)
    except (HarnessError, OSError):
        return ""
    if far.is_complete:
        return ""
    advice = f"; `harness run --resume {path}` goes on" if command else ""
    return f"{far.done} of {far.planned} trials are measured{advice}"
