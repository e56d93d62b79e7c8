"""`--until-width` and `--max-blocks`: a run that goes on until its intervals are narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli.types import Parsed, positive_share
from harness.model.errors import InputError
from harness.truth.verdicts import FIRST_LOOK, MARGIN

if TYPE_CHECKING:
    from harness.cli.prepare import Options, Prepared

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
        help=f"Blocks after which a run with --until-width, or of --plan answer, ends anyway. [default: {MOST_BLOCKS}]",
    )
    return width(most(command))


def prepared_until(given: Mapping[str, Any], *, keep: bool = False) -> Prepared:
    """Return what a run needs, its blocks those that it has at most; InputError for options that do not go together.

    Where nothing is named that is to be measured, it is the main profile. A plan that goes on until verdicts are told
    by itself goes by the margin that is given.
    """
    from harness.cli.prepare import Options, prepare
    from harness.results.plan import PRESETS

    options = Options.of(given).with_main_profile()
    asked, most, preset = given.get("until_width"), given.get("max_blocks"), PRESETS[options.plan]
    width = asked
    if width is None and preset.until_margins is not None:
        width = preset.until_margins * given.get("margin", MARGIN)
    if width is None:
        if most is not None:
            raise InputError("--max-blocks is of no use without --until-width; --blocks says how many there are.")
        return prepare(options, keep=keep, on_clusters=True)
    until = "--until-width" if asked else f"--plan {options.plan}"
    _refuse_beside(options, until)
    prepared = prepare(replace(options, blocks=most or MOST_BLOCKS), keep=keep, on_clusters=True)
    if len(prepared.plan.setup.profiles) == 1:
        raise InputError(f"{until}: the underlay alone has no interval; give a --profile to compare with it.")
    first_look = preset.blocks if preset.until_margins else FIRST_LOOK
    return replace(prepared, plan=replace(prepared.plan, until_width=width, first_look=first_look))


def _refuse_beside(options: Options, until: str) -> None:
    """Raise InputError for what does not go with a run that ends by its intervals, as the option `until` says."""
    if options.blocks is not None:
        raise InputError(f"--blocks and {until} do not go together; --max-blocks says how many there are at most.")
    if options.setups > 1:
        raise InputError(
            f"--setups and {until} do not go together: blocks are dealt out over set-ups before; "
            "give --blocks, and a plan that has as many as that."
        )
    if options.parallel_pairs:
        raise InputError(
            f"{until}: intervals are computed between blocks, which would disturb the trials of other pairs; "
            "leave out --parallel-pairs."
        )
