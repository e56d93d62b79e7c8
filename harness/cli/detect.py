"""`harness plan --detect`: what telling a difference takes, from a run that is there or from a pilot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.configuration import is_typed
from harness.cli.console import err, out, put
from harness.model.errors import InputError
from harness.truth.verdicts import MIN_BLOCKS

if TYPE_CHECKING:
    from harness.report.detect import Detection
    from harness.run.experiment import Outcome

_OWN = ("--detect", "--from", "--json")
"""Options that `plan` has for this, and that go with a run that is given."""


def refuse_stray(given: Mapping[str, Any]) -> None:
    """Raise InputError for options that are of use with --detect only."""
    if given["source"] is not None:
        raise InputError("--from is of no use without --detect, which says how small a difference is to be told.")
    if "--out" in _typed():
        raise InputError("--out is of no use without --detect: nothing is measured.")


def show(given: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what telling a difference takes, by the run that is given, else by a pilot that is run for it."""
    from harness.cli.run import judge
    from harness.report import detect, table
    from harness.report.trials import read_run

    path, outcome = given["source"], None
    if path is None:
        path, outcome = _piloted(given)
    else:
        strays = [word for word in _typed() if word not in _OWN]
        if strays:
            raise InputError(f"--from takes everything but --detect from that run; leave out {strays[0]}.")
    run = read_run(path)
    try:
        found = detect.detect(run, given["detect"])
    except InputError as error:
        if outcome is not None:
            judge(outcome, path)
        raise InputError(f"{path}: {error}") from error
    _print(found, as_json=as_json, text=table.table(detect.page(found)))
    if outcome is not None:
        err.print(f"Results: {path}; --from takes them for another --detect.", soft_wrap=True)
        judge(outcome, path)


def _print(found: Detection, *, as_json: bool, text: str) -> None:
    from harness.report import detect

    if as_json:
        out.print_json(data=detect.record(found))
    else:
        put(text)


def _typed() -> list[str]:
    """Return the options that were given on the command line."""
    context = click.get_current_context()
    return [param.opts[0] for param in context.command.params if param.name and is_typed(context, param.name)]


def _piloted(given: Mapping[str, Any]) -> tuple[Path, Outcome]:
    """Measure as many blocks as a verdict takes, and return the folder with what became of the trials."""
    from harness.cli.equipment import require_source
    from harness.cli.prepare import Options, prepare
    from harness.cli.run import carry_out, columns_of
    from harness.nodes.target import Passwords
    from harness.results.store import RunFolder
    from harness.run.standing import Conduct

    options = Options.of(given).with_main_profile()
    if options.blocks is not None:
        raise InputError(f"--blocks is what --detect answers; leave it out, the pilot has {MIN_BLOCKS}.")
    if options.setups > 1:
        raise InputError("--setups: --detect counts blocks of one set-up; leave it out.")
    if options.pairs is not None:
        raise InputError("--detect: a pilot is of two hosts; leave out --pairs, or give a pair's folder by --from.")
    prepared = prepare(replace(options, blocks=MIN_BLOCKS))
    if len(prepared.plan.setup.profiles) == 1:
        raise InputError(
            "--detect: the underlay alone has nothing to differ from; give a --profile, or a run by --from."
        )
    require_source(prepared)
    folder = RunFolder.create(given["parent"], ("pilot", *prepared.plan.setup.profiles[1:]), columns_of(prepared.plan))
    return folder.path, carry_out(prepared, folder, Conduct(), Passwords())
