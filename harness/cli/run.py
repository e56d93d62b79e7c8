"""`harness run`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import analysed, explain_option, explained_form, margin_option, rendered
from harness.cli.console import err, put
from harness.cli.equipment import asked_passwords, equipped, require_source
from harness.cli.options import (
    ask_become_pass_option,
    ask_pass_option,
    json_option,
    out_option,
    plan_options,
)
from harness.cli.resume import begun as begun_before
from harness.cli.resume import resume_options, went_so_far
from harness.cli.until import prepared_until, until_options
from harness.model.errors import FailedTrialsError, HarnessError, InputError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.cli.prepare import Prepared
    from harness.labs.base import Lab
    from harness.nodes.target import Passwords
    from harness.results.meta import Command
    from harness.results.plan import Plan
    from harness.results.schema import Columns
    from harness.results.store import PairsFolder, RunFolder
    from harness.run.campaign import Ends, Ledger
    from harness.run.experiment import Outcome
    from harness.run.standing import Conduct


@click.command()
@plan_options
@until_options
@out_option
@resume_options
@click.option("--skip-unsupported", is_flag=True, help="Leave out, and name, profiles that the kernel cannot make.")
@click.option("--keep", is_flag=True, help="Leave the set-up standing, and the local lab with it.")
@ask_pass_option
@ask_become_pass_option
@click.option(
    "--report", "with_report", is_flag=True, help="Write the page of `harness report` into the run's folder, too."
)
@explain_option
@margin_option
@json_option
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - Options by name
    """Measure profiles against the underlay and print the comparison.

    Without --profile and --between it is vxlan that is measured.
    """
    from harness.run.standing import Conduct

    begun = begun_before(context, options) if options["resume"] is not None else None
    options = {**options, **begun.options} if begun else options
    margin = options["margin"]
    form = explained_form("json" if options["as_json"] else "table", explain=options["explain"])
    prepared = prepared_until(options, keep=options["keep"])
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=options["ask_pass"], become=options["ask_become_pass"])
    conduct = Conduct(
        keep=options["keep"],
        skip_unsupported=options["skip_unsupported"],
        own_mtus=prepared.own_mtus,
        command=begun.command if begun else _command(context),
        accept_differences=options["accept_differences"],
    )
    columns = columns_of(prepared.plan)
    folder = begun.folder(prepared, columns) if begun else _folder(prepared, options["parent"], columns)
    try:
        outcome = carry_out(prepared, folder, conduct, passwords, margin)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(went_so_far(folder.path)) from error
    except HarnessError as error:
        # What was measured is worth showing, whatever went wrong around it; what was refused changed nothing.
        if folder.path.exists() and not isinstance(error, InputError):
            with suppress(HarnessError):
                summarise(folder, margin, form, with_report=options["with_report"])
        raise
    summarise(folder, margin, form, with_report=options["with_report"])
    if options["keep"]:
        err.print(_stays(options["lab"]), soft_wrap=True)
    judge(outcome, folder.path / "*" if prepared.waves else folder.path)


def _stays(lab: str) -> str:
    """Return what --keep leaves, and what to do with it."""
    from harness.cli.prepare import LOCAL, VAGRANT

    if lab == VAGRANT:
        return "The profiles stay on the machines: the same run without --keep takes them down."
    if lab == LOCAL:
        return "The lab and its profiles stay: `harness lab status` shows them, `harness lab down` takes them down."
    return f"The profiles stay on the hosts: `harness lab down --lab {lab}` takes them down."


def _command(context: click.Context) -> Command:
    """Return what goes on with this run, should it end early: the words behind `run`, those of a file before them."""
    from harness.cli.configuration import words_from_file
    from harness.results.meta import Command

    words: tuple[str, ...] = context.obj or ()
    typed = words[words.index("run") + 1 :] if "run" in words else ()
    return Command(words=(*words_from_file(context), *typed), folder=str(Path.cwd()))


def _folder(prepared: Prepared, parent: Path, columns: Columns) -> RunFolder | PairsFolder:
    """Make the folder of the run, one for each pair in it where there are several."""
    from harness.results.store import PairsFolder, RunFolder

    names = _named(prepared.plan.setup.profiles)
    if not prepared.waves:
        return RunFolder.create(parent, names, columns)
    return PairsFolder.create(parent, names, columns, [pair for wave in prepared.waves for pair in wave])


def _named(profiles: Sequence[str]) -> Sequence[str]:
    """Return those of a set-up's profiles, the underlay first, that a folder is named after."""
    return profiles[1:] or profiles


def columns_of(plan: Plan) -> Columns:
    """Return the columns of trials.csv of what a plan measures."""
    from harness.results.schema import Columns

    return Columns.of_measures(plan.measures, [name for cell in plan.cells for name, _ in cell.levels])


def _ledger(folder: RunFolder | PairsFolder, prepared: Prepared, command: Command | None) -> Ledger:
    """Return where results of pairs go: one folder is that of the only pair."""
    from harness.results.schema import SCHEMA_VERSION
    from harness.results.store import RunFolder
    from harness.run.campaign import Ledger

    def stay(profiles: Sequence[str]) -> None:
        folder.rename(_named(prepared.plan.setup.profiles), _named(profiles))

    if isinstance(folder, RunFolder):
        return Ledger(lambda _pair: folder, stay=stay)

    def describe(lab: Lab, ends: Ends) -> None:
        hosts = {name for pair in folder.runs for name in pair.hosts}
        folder.write_json(
            {
                "schema_version": SCHEMA_VERSION,
                "run_id": folder.path.name,
                "hosts": [node.name for node in lab.nodes if node.name in hosts],
                "waves": [[str(pair) for pair in wave] for wave in prepared.waves],
                "errors": {str(pair): str(end.error) for pair, end in ends.items() if end.error},
                "command": command.model_dump(mode="json") if command else None,
                "seed": prepared.plan.seed,
            }
        )

    return Ledger(folder.runs.__getitem__, describe, stay)


def carry_out(
    prepared: Prepared,
    folder: RunFolder | PairsFolder,
    conduct: Conduct,
    passwords: Passwords,
    margin: float | None = None,
) -> Outcome:
    """Run the campaign with the real equipment, its results going to a folder, which goes if it gets none.

    With a `margin` for its verdicts the comparison so far is shown between blocks, unless pairs are measured at the
    same time: computing it would disturb the others' trials.
    """
    from harness.cli.progress import PairProgress, TrialCount
    from harness.run.campaign import Campaign

    try:
        with equipped(prepared, passwords, f"run {folder.path.name}") as (equipment, progress):
            count = TrialCount()
            several = len(prepared.waves) > 0
            if margin is not None and all(len(wave) == 1 for wave in prepared.waves):
                from harness.cli.so_far import Looking

                conduct = replace(conduct, look=Looking(prepared.plan, margin, progress, several=several).look)
            campaign = Campaign(
                prepared.waves,
                _ledger(folder, prepared, conduct.command),
                equipment,
                lambda pair: PairProgress(progress, pair, count) if several else progress,
            )
            return campaign.run(prepared.plan, prepared.profiles, conduct)
    except BaseException:
        folder.discard_if_empty()
        raise


def summarise(folder: RunFolder | PairsFolder, margin: float, form: str, *, with_report: bool = False) -> None:
    """Print the summary in a format, say where everything is, and write it there as well, with its page if wanted."""
    from harness.report.pairs import PairsAnalysis
    from harness.results.store import RunFolder

    result = analysed(folder.path, margin)
    put(rendered(result, form))
    rest = went_so_far(folder.path)
    err.print(f"Results: {folder.path}{f' ({rest})' if rest else ''}", soft_wrap=True)
    if isinstance(result, PairsAnalysis) and not isinstance(folder, RunFolder):
        for pair, analysis in result.pairs.items():
            folder.runs[pair].write_text("summary.csv", rendered(analysis, "csv"))
    folder.write_text("summary.csv" if isinstance(folder, RunFolder) else "pairs.csv", rendered(result, "csv"))
    if with_report:
        from harness.cli.report import REPORT_FILE, write_page
        from harness.report.html.document import articles_of

        written = write_page(articles_of([folder.path], margin, {folder.path: result}), folder.path / REPORT_FILE)
        err.print(f"Report: {written}", soft_wrap=True)


def judge(outcome: Outcome, path: Path) -> None:
    """Raise for trials without a figure."""
    if outcome.invalid:
        raise VerificationError(
            f"{outcome.invalid} trial(s) did not take the way that their profile claims and have no figure; "
            f"see the columns reason and proof in {path}/trials.csv."
        )
    if outcome.failed:
        raise FailedTrialsError(f"{outcome.failed} trial(s) failed; see the column reason in {path}/trials.csv.")
