"""`harness plan`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import detect
from harness.cli.console import out
from harness.cli.options import json_option, out_option, plan_options
from harness.cli.types import Parsed, positive_share
from harness.cli.until import prepared_until
from harness.truth.wire import overhead

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.results.plan import Plan

GIGABIT = 1e9
VXLAN = ("ipv4", "udp", "vxlan", "ethernet")


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
    from harness.cli.progress import clock
    from harness.labs.kubernetes import KubernetesLab
    from harness.labs.manifests import text as manifest_text
    from harness.measures.registry import title_of

    prepared = _supposed(prepared_until(options))
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
        out.print(f"{slot.block:3} {slot.position:4}  {slot.profile:<16} {title_of(slot.cell)}")
    out.print(
        f"{made.trials} trials in {made.blocks_text} (seed {made.seed}), {_about(made)} {clock(made.expected_s)} "
        f"(m:ss), {clock(made.measuring_s)} of it measuring."
    )
    out.print(_traffic(prepared), soft_wrap=True)
    if prepared.is_found:
        out.print(
            f"MTU {made.setup.mtus[0]} stands for that of the endpoints, which a run finds; "
            f"`harness inspect` with the same {'--between' if prepared.between else 'nodes'} says which it is.",
            soft_wrap=True,
        )
    if isinstance(prepared.source, KubernetesLab):
        out.print("\nIt makes this in the cluster, and removes it when it ends:\n")
        out.print(manifest_text(prepared.source.wanted()), soft_wrap=True)


def _about(plan: Plan) -> str:
    return "about" if plan.until_width is None else "at most about"


def _traffic(prepared: Prepared) -> str:
    """Return in a sentence how much a run sends at most, and for how long."""
    from harness.cli.progress import clock

    link_bps, pairs = _link_bps(prepared), max(sum(map(len, prepared.waves)), 1)
    most = prepared.plan.most_bytes(link_bps or prepared.plan.max_bps or GIGABIT) * pairs
    while_ = (
        f"in {clock(prepared.plan.measuring_s * pairs)} (m:ss) of sending; trials that are repeated are not counted"
    )
    if link_bps is None and prepared.plan.max_bps is None:
        return (
            f"It sends as fast as the link takes it, {_bytes(most)} at most for each Gbit/s of that, {while_}. "
            "--max-rate holds it to a rate."
        )
    return f"It sends {_bytes(most)} at most {while_}."


def _link_bps(prepared: Prepared) -> float | None:
    """Return what the lab's link carries each way, None where that is not known."""
    from harness.labs.local import LocalLab

    return prepared.source.wires.rate_bps if isinstance(prepared.source, LocalLab) else None


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - SI prefixes


def _supposed(prepared: Prepared) -> Prepared:
    """Return a run of a found path with an MTU that its endpoints may have: what VXLAN leaves of the NIC's."""
    if not prepared.is_found:
        return prepared
    mtu = prepared.plan.setup.nic_mtu - overhead(VXLAN)
    return replace(prepared, plan=prepared.plan.at_mtu(mtu))


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
    count, link_bps = max(sum(map(len, waves)), 1), _link_bps(prepared)
    traffic: dict[str, float | None] = {"sending_s": made.measuring_s * count, "max_bps": made.max_bps}
    known = link_bps is not None or made.max_bps is not None
    traffic["most_bytes"] = made.most_bytes(link_bps or made.max_bps or GIGABIT) * count if known else None
    out.print_json(data={"seed": made.seed, "expected_s": expected_s, **traffic, **pairs, "trials": slots})


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
        f"{count} pairs in {len(waves)} turns, {made.trials} trials in {made.blocks_text} each (seed {made.seed} "
        f"for the first pair, one more for each other), {_about(made)} {clock(made.expected_s * len(waves))} (m:ss).",
        soft_wrap=True,
    )
    out.print(_traffic(prepared), soft_wrap=True)
