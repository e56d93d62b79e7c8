"""`harness run` and `harness plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import err, out
from harness.cli.equipment import asked_passwords, equipped, require_source
from harness.cli.options import ask_become_pass_option, ask_pass_option, json_option, plan_options
from harness.cli.results import show, summarise_path
from harness.model.errors import FailedTrialsError, VerificationError

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.nodes.target import Passwords
    from harness.results.store import PairsFolder, RunFolder
    from harness.run.experiment import Outcome


@click.command()
@plan_options
@click.option(
    "--out",
    "parent",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where the run's folder is made.",
)
@click.option("--skip-unsupported", is_flag=True, help="Leave out, and name, profiles that the kernel cannot make.")
@click.option("--keep", is_flag=True, help="Leave the set-up standing, and the local lab with it.")
@ask_pass_option
@ask_become_pass_option
@json_option
def run(
    parent: Path,
    skip_unsupported: bool,
    keep: bool,
    ask_pass: bool,
    ask_become_pass: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - RunOptions by name
) -> None:
    """Measure profiles against the underlay and print the comparison."""
    from harness.cli.prepare import RunOptions, prepare
    from harness.results.store import PairsFolder, RunFolder

    prepared = prepare(RunOptions(**options), keep=keep)
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
    names = prepared.plan.profiles[1:] or prepared.plan.profiles
    how = {"keep": keep, "skip_unsupported": skip_unsupported, "folders": options["profiles_dir"]}
    if prepared.waves:
        pairs = [pair for wave in prepared.waves for pair in wave]
        _run_pairs(prepared, PairsFolder.create(parent, names, pairs), how, passwords, "json" if as_json else "table")
        return
    folder = RunFolder.create(parent, names)
    try:
        outcome = _carry_out(prepared, folder, how, passwords)
    except BaseException:
        folder.discard_if_empty()
        raise
    summary = summarise_path(folder.path)
    summary.to_csv(folder.path / "summary.csv", index=False, lineterminator="\n")
    show(summary, "json" if as_json else "table")
    err.print(f"Results: {folder.path}", soft_wrap=True)
    _judge(outcome, folder.path)


def _carry_out(prepared: Prepared, folder: RunFolder, how: dict[str, Any], passwords: Passwords) -> Outcome:
    """Run the experiment with the real equipment."""
    from harness.run import experiment

    with equipped(prepared, passwords) as (equipment, _):
        return experiment.run(prepared.plan, prepared.profiles, folder, equipment, experiment.Options(**how))


def _run_pairs(prepared: Prepared, folder: PairsFolder, how: dict[str, Any], passwords: Passwords, form: str) -> None:
    """Measure several pairs and print their matrices."""
    from harness.cli.progress import PairProgress, TrialCount
    from harness.run import campaign
    from harness.run.experiment import Options

    count = TrialCount()
    try:
        with equipped(prepared, passwords) as (equipment, shown):
            made = campaign.Campaign(prepared.waves, folder, equipment, lambda pair: PairProgress(shown, pair, count))
            ends = made.run(prepared.plan, prepared.profiles, Options(**how))
    finally:
        folder.discard_empty()
    for run in folder.measured():
        summarise_path(run.path).to_csv(run.path / "summary.csv", index=False, lineterminator="\n")
    if folder.measured():
        summary = summarise_path(folder.path)
        summary.to_csv(folder.path / "pairs.csv", index=False, lineterminator="\n")
        show(summary, form)
        err.print(f"Results: {folder.path}", soft_wrap=True)
    failure = campaign.failure(ends)
    if failure is not None:
        raise failure
    _judge(campaign.total(ends), folder.path / "*")


def _judge(outcome: Outcome, path: Path) -> None:
    """Raise for trials without a figure."""
    if outcome.invalid:
        raise VerificationError(
            f"{outcome.invalid} trial(s) did not take the way that their profile claims and have no figure; "
            f"see the columns reason and proof in {path}/trials.csv."
        )
    if outcome.failed:
        raise FailedTrialsError(f"{outcome.failed} trial(s) failed; see the column reason in {path}/trials.csv.")


@click.command()
@plan_options
@json_option
def plan(as_json: bool, **options: Any) -> None:  # noqa: ANN401 - RunOptions by name
    """Show what `run` would do with the same options; changes nothing, needs no root."""
    from harness.cli.prepare import RunOptions, prepare
    from harness.cli.progress import clock

    prepared = prepare(RunOptions(**options))
    made, waves = prepared.plan, prepared.waves
    if as_json:
        slots = [{"block": s.block, "position": s.position, "profile": s.profile, **vars(s.cell)} for s in made.slots]
        pairs = {"waves": [[str(pair) for pair in wave] for wave in waves]} if waves else {}
        expected_s = made.expected_s * max(len(waves), 1)
        out.print_json(data={"seed": made.seed, "expected_s": expected_s, **pairs, "trials": slots})
        return
    if waves:
        _show_waves(prepared)
        return
    for slot in made.slots:
        out.print(f"{slot.block:3} {slot.position:4}  {slot.profile:<16} {slot.cell}")
    out.print(
        f"{len(made.slots)} trials in {made.blocks} blocks (seed {made.seed}), about {clock(made.expected_s)} "
        f"(m:ss), {clock(made.measuring_s)} of it measuring."
    )


def _show_waves(prepared: Prepared) -> None:
    """Print which pairs are measured when, and how long all of it takes."""
    from harness.cli.progress import clock
    from harness.model.pairs import PARALLEL_WARNING

    made, waves = prepared.plan, prepared.waves
    for number, wave in enumerate(waves, 1):
        out.print(f"{number:3}  {'  '.join(map(str, wave))}", soft_wrap=True)
    if any(len(wave) > 1 for wave in waves):
        out.print(f"note: {PARALLEL_WARNING}", soft_wrap=True)
    count = sum(map(len, waves))
    out.print(
        f"{count} pairs in {len(waves)} turns, {len(made.slots)} trials in {made.blocks} blocks each (seed {made.seed} "
        f"for the first pair, one more for each other), about {clock(made.expected_s * len(waves))} (m:ss).",
        soft_wrap=True,
    )
