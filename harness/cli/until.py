"""`--until-width` and `--max-blocks`: a run that goes on until its intervals are narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.types import Parsed, positive_share
from harness.model.errors import InputError
from harness.truth.verdicts import FIRST_LOOK

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared

MOST_BLOCKS = 40
"""After so many the run ends anyway, unless another number is given."""


def until_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a run that ends by its intervals."""
    width = click.option(
        "--until-width",
        type=Parsed("SHARE", positive_share),
        help="Run blocks until the 95 % intervals of goodput (of all rows, where none has a ceiling) reach no further "
        "than this to either side, such as 0.5%; wherever they lie.",
    )
    most = click.option(
        "--max-blocks",
        type=click.IntRange(FIRST_LOOK, 1000),
        help=f"Blocks after which a run with --until-width ends anyway. [default: {MOST_BLOCKS}]",
    )
    return width(most(command))


def prepared_until(given: Mapping[str, Any], *, keep: bool) -> Prepared:
    """Return what a run needs, its blocks those that it has at most; InputError for options that do not go together."""
    from harness.cli.prepare import Options, prepare

    options, width, most = Options.of(given), given["until_width"], given["max_blocks"]
    if width is None:
        if most is not None:
            raise InputError("--max-blocks is of no use without --until-width; --blocks says how many there are.")
        return prepare(options, keep=keep, on_clusters=True)
    if options.blocks is not None:
        raise InputError("--blocks and --until-width do not go together; --max-blocks says how many there are at most.")
    if options.setups > 1:
        raise InputError(
            "--setups and --until-width do not go together: blocks are dealt out over set-ups before; give --blocks."
        )
    if options.parallel_pairs:
        raise InputError(
            "--until-width: intervals are computed between blocks, which would disturb the trials of other pairs; "
            "leave out --parallel-pairs."
        )
    prepared = prepare(replace(options, blocks=most or MOST_BLOCKS), keep=keep, on_clusters=True)
    if len(prepared.plan.setup.profiles) == 1:
        raise InputError("--until-width: the underlay alone has no interval; give a --profile to compare with it.")
    return replace(prepared, plan=replace(prepared.plan, until_width=width))


def enough(half_width: float | None) -> Callable[[Path], bool] | None:
    """Return what tells from a run's folder whether its intervals are narrow enough; None for a run that has no aim."""
    if half_width is None:
        return None

    def is_enough(folder: Path) -> bool:
        from harness.report.analysis import analyse
        from harness.report.narrow import is_narrow
        from harness.report.trials import read_run

        return is_narrow(analyse(read_run(folder)), half_width)

    return is_enough
