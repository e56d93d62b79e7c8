"""`harness aa`: the harness against itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import FORMATS, margin_option
from harness.cli.equipment import asked_passwords, require_source
from harness.cli.options import ask_become_pass_option, ask_pass_option, out_option, plan_options
from harness.cli.run import carry_out, columns_of, judge, summarise
from harness.model.errors import HarnessError, InputError
from harness.model.trial import ARM, ARMS, UNDERLAY
from harness.truth.verdicts import MIN_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.cli.prepare import Prepared
    from harness.results.store import RunFolder

RUNS = 40
"""Of 40 right intervals 5 at most miss the truth, in 97.5 % of cases."""


@click.command()
@plan_options
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=RUNS, show_default=True, help="Runs, each of --blocks blocks."
)
@out_option
@ask_pass_option
@ask_become_pass_option
@margin_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def aa(
    runs: int,
    parent: Path,
    ask_pass: bool,
    ask_become_pass: bool,
    margin: float,
    form: str,
    **options: Any,  # noqa: ANN401 - Options by name
) -> None:
    """Measure the harness against itself: how often its intervals miss, and the least that it tells.

    Each profile given (the underlay, where none is) is both arms of a comparison, so every difference is false.
    All runs are made one after the other on one set-up.
    """
    from harness.results.store import RunFolder
    from harness.run.standing import Conduct

    prepared = against_itself(options, runs)
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
    folder = RunFolder.create(parent, ("aa", *prepared.plan.setup.profiles), columns_of(prepared.plan))
    try:
        outcome = carry_out(prepared, folder, Conduct(), passwords)
    except (HarnessError, KeyboardInterrupt):
        _show_whole_runs(folder, margin, form)
        raise
    summarise(folder, margin, form)
    judge(outcome, folder.path)


def against_itself(given: Mapping[str, Any], runs: int) -> Prepared:
    """Return what a run against itself needs: each cell twice, as either arm; InputError for what cannot be used."""
    from harness.cli.prepare import LOCAL, Options, prepare

    options = Options.of(given)
    if options.pairs is not None:
        raise InputError("--pairs: a run against itself is one of two hosts; leave it out.")
    if options.setups > 1:
        raise InputError("--setups: a run against itself is made on one set-up; leave it out.")
    prepared = prepare(options)
    plan = prepared.plan
    if plan.blocks < MIN_BLOCKS:
        raise InputError(f"--blocks {plan.blocks}: a verdict takes {MIN_BLOCKS}; give as many or more.")
    found = (options.between.name,) if options.between else ()
    profiles = found or tuple(dict.fromkeys(options.profile)) or (UNDERLAY,)
    shares = any(str(cell.get("udp_rate")).endswith("%") for cell in plan.cells)
    if shares and profiles[0] != UNDERLAY and (options.lab != LOCAL or options.rate == "none"):
        raise InputError(
            "--udp-rate: shares of a link that is not shaped are of what the underlay takes; "
            f"give --profile {UNDERLAY} first, or rates such as 500mbit."
        )
    plan = replace(
        plan,
        setup=replace(plan.setup, profiles=profiles),
        cells=tuple(cell.at(((ARM, arm),)) for cell in plan.cells for arm in ARMS),
        blocks=runs * plan.blocks,
        runs=runs,
    )
    return replace(prepared, plan=plan)


def _show_whole_runs(folder: RunFolder, margin: float, form: str) -> None:
    """Show what was measured before it ended early, as far as there is a run that was measured to its end."""
    if not folder.path.exists():
        return
    try:
        summarise(folder, margin, form)
    except InputError as error:
        sys.stderr.write(f"{error}\nResults: {folder.path}\n")
