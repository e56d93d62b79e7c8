"""`harness plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import detect
from harness.cli.console import out
from harness.cli.options import json_option, out_option, plan_options
from harness.cli.types import Parsed, positive_share

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared


@click.command()
@plan_options
@click.option(
    "--detect",
    type=Parsed("SHARE", positive_share),
    help="Say instead how many blocks tell a difference of so much, such as 1%, in 80 % of cases: by --from, or by a "
    "pilot of 6 blocks, which is measured as `run` does it, and needs root as that does.",
)
@click.option("--from", "source", type=click.Path(path_type=Path), help="Run whose scatter --detect goes by.")
@out_option
@json_option
def plan(as_json: bool, **options: Any) -> None:  # noqa: ANN401 - Options by name
    """Show what `run` would do with the same options.

    Changes nothing and needs no root, unless --detect makes a pilot.
    """
    if options["detect"] is not None:
        detect.show(options, as_json=as_json)
        return
    detect.refuse_stray(options)
    from harness.cli.prepare import Options, prepare
    from harness.cli.progress import clock
    from harness.measures.registry import title_of

    prepared = prepare(Options.of(options))
    made = prepared.plan
    if as_json:
        _print_json(prepared)
        return
    if prepared.waves:
        _print_waves(prepared)
        return
    setup = 0
    for slot in made.slots:
        if slot.setup != setup and made.setups > 1:
            out.print(f"set-up {slot.setup} of {made.setups}")
        setup = slot.setup
        out.print(f"{slot.block:3} {slot.position:4}  {slot.profile:<16} {title_of(slot.cell)}", markup=False)
    out.print(
        f"{len(made.slots)} trials in {made.blocks_text} (seed {made.seed}), about {clock(made.expected_s)} "
        f"(m:ss), {clock(made.measuring_s)} of it measuring."
    )


def _print_json(prepared: Prepared) -> None:
    """Print every trial, and the pairs where there are several."""
    made, waves = prepared.plan, prepared.waves
    slots = [
        {
            "setup": slot.setup,
            "block": slot.block,
            "position": slot.position,
            "profile": slot.profile,
            "measure": slot.cell.measure,
            **dict(slot.cell.levels),
        }
        for slot in made.slots
    ]
    pairs = {"waves": [[str(pair) for pair in wave] for wave in waves]} if waves else {}
    expected_s = made.expected_s * max(len(waves), 1)
    out.print_json(data={"seed": made.seed, "expected_s": expected_s, **pairs, "trials": slots})


def _print_waves(prepared: Prepared) -> None:
    """Print which pairs are measured when, and how long all of it takes."""
    from harness.cli.progress import clock
    from harness.run.campaign import PARALLEL_NOTE

    made, waves = prepared.plan, prepared.waves
    for number, wave in enumerate(waves, 1):
        out.print(f"{number:3}  {'  '.join(map(str, wave))}", soft_wrap=True)
    if any(len(wave) > 1 for wave in waves):
        out.print(f"note: {PARALLEL_NOTE}", soft_wrap=True)
    count = sum(map(len, waves))
    out.print(
        f"{count} pairs in {len(waves)} turns, {len(made.slots)} trials in {made.blocks_text} each (seed {made.seed} "
        f"for the first pair, one more for each other), about {clock(made.expected_s * len(waves))} (m:ss).",
        soft_wrap=True,
    )
