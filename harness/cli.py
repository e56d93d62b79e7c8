"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

Most imports are made where they are used: a command must not wait for what only another one needs.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from harness.errors import INTERRUPTED, FailedTrialsError, HarnessError, InputError, LabError, VerificationError

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.experiment import Outcome
    from harness.options import Prepared
    from harness.store import RunFolder

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)
Command = TypeVar("Command", bound=Callable[..., object])
FORMATS = ("table", "csv", "json", "markdown")

_lab = click.option(
    "--lab", default="local", show_default=True, help="local, vagrant, or the path of an Ansible inventory."
)
_made_lab = click.option("--lab", "which", type=click.Choice(("local", "vagrant")), default="local", show_default=True)
_rate = click.option(
    "--rate", default="1gbit", show_default=True, help="What the local lab's link is shaped to, e.g. 1gbit; or none."
)
_profiles_dir = click.option(
    "--profiles-dir", multiple=True, type=click.Path(path_type=Path), help="Folder of your own profiles; repeatable."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_PLAN_OPTIONS = (
    click.option("--profile", multiple=True, help="Profile to measure beside the underlay; repeatable."),
    _lab,
    click.option("--mtu", default="1450,1500", show_default=True, help="The endpoints' MTUs in bytes."),
    click.option("--flows", default="1,4,8", show_default=True, help="Parallel flows, from 1 to 128 each."),
    click.option("--protocol", default="tcp", show_default=True, help="tcp, udp or both."),
    click.option("--direction", default="forward", show_default=True, help="forward, reverse, bidir; any of them."),
    click.option("--duration", type=int, help="Seconds that count in each trial, instead of the plan's."),
    click.option("--omit", type=int, help="Seconds before them that do not, instead of the plan's."),
    click.option("--blocks", type=int, help="Visits of each cell on each profile, instead of the plan's."),
    click.option("--seed", type=int, help="Seed of the shuffled order; a new one is made and kept otherwise."),
    _rate,
    click.option(
        "--plan",
        default="quick",
        show_default=True,
        help="quick: 6 blocks, 2 s + 1 s omitted; standard: 10 blocks, 10 s + 3 s; rfc: 10 blocks, 60 s + 3 s.",
    ),
    _profiles_dir,
)


def plan_options(command: Command) -> Command:
    """Give a command the options that say what would be measured."""
    for option in reversed(_PLAN_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show a traceback with an error.")
def app(debug: bool) -> None:
    """What a container overlay costs against the bare network, and why."""


@app.command()
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
@_json
def run(parent: Path, skip_unsupported: bool, keep: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - RunOptions by name
    """Measure profiles against the underlay and print the comparison."""
    from harness.options import RunOptions, prepare
    from harness.store import RunFolder

    prepared = prepare(RunOptions(**options), keep=keep)
    problems = prepared.source.probe()
    if problems:
        raise LabError(" ".join(problems))
    folder = RunFolder.create(parent, prepared.plan.profiles[1:] or prepared.plan.profiles)
    how = {"keep": keep, "skip_unsupported": skip_unsupported, "folders": options["profiles_dir"]}
    try:
        outcome = _carry_out(prepared, folder, how)
    except BaseException:
        folder.discard_if_empty()
        raise
    summary = _summarise(folder.path)
    summary.to_csv(folder.path / "summary.csv", index=False, lineterminator="\n")
    _show(summary, "json" if as_json else "table")
    err.print(f"Results: {folder.path}", soft_wrap=True)
    _judge(outcome, folder.path)


def _carry_out(prepared: Prepared, folder: RunFolder, how: dict[str, Any]) -> Outcome:
    """Run the experiment with the real equipment."""
    from harness import experiment
    from harness.interrupt import Interruption
    from harness.playbook import PlaybookRunner
    from harness.progress import RunProgress
    from harness.remote import Remote

    interruption = Interruption(lambda: err.print("cleaning up; this takes a few seconds"))
    with interruption.installed(), RunProgress(prepared.plan, err) as progress:
        return experiment.run(
            prepared.plan,
            prepared.profiles,
            folder,
            experiment.Equipment(
                prepared.source,
                lambda node, lab: Remote(node, lab.ssh_config),
                lambda lab: PlaybookRunner(lab, lambda: interruption.requested),
                interruption,
                progress,
            ),
            experiment.Options(**how),
        )


def _judge(outcome: Outcome, path: Path) -> None:
    """Raise for trials without a figure."""
    if outcome.invalid:
        raise VerificationError(
            f"{outcome.invalid} trial(s) did not take the way that their profile claims and have no figure; "
            f"see the columns reason and proof in {path}/trials.csv."
        )
    if outcome.failed:
        raise FailedTrialsError(f"{outcome.failed} trial(s) failed; see the column reason in {path}/trials.csv.")


def _summarise(path: Path) -> DataFrame:
    """Return the summary of a run."""
    from harness.report.summary import read_run, summarise

    loaded = read_run(path)
    return summarise(loaded.trials, loaded.meta)


def _show(frame: DataFrame, form: str) -> None:
    from harness import report

    sys.stdout.write(report.FORMATS[form](frame))


@app.command()
@plan_options
@_json
def plan(as_json: bool, **options: Any) -> None:  # noqa: ANN401 - RunOptions by name
    """Show what `run` would do with the same options; changes nothing, needs no root."""
    from harness.options import RunOptions, prepare
    from harness.progress import clock

    made = prepare(RunOptions(**options)).plan
    if as_json:
        slots = [{"block": s.block, "position": s.position, "profile": s.profile, **vars(s.cell)} for s in made.slots]
        out.print_json(data={"seed": made.seed, "expected_s": made.expected_s, "trials": slots})
        return
    for slot in made.slots:
        out.print(f"{slot.block:3} {slot.position:4}  {slot.profile:<16} {slot.cell}")
    out.print(
        f"{len(made.slots)} trials in {made.blocks} blocks (seed {made.seed}), about {clock(made.expected_s)} "
        f"(m:ss), {clock(made.measuring_s)} of it measuring."
    )


@app.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def compare(a: Path, b: Path | None, form: str) -> None:
    """Compare overlay with underlay inside run A, or run B with run A, cell by cell.

    A run is its folder or its trials.csv.
    """
    from harness.report.compare import compare_runs
    from harness.report.summary import read_run

    _show(_summarise(a) if b is None else compare_runs(read_run(a), read_run(b)), form)


@app.command()
@_profiles_dir
def profiles(profiles_dir: tuple[Path, ...]) -> None:
    """List the profiles there are."""
    from harness.profiles import known_profiles, load_file

    table = Table(box=None, pad_edge=False)
    for column in ("profile", "kind", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for path in known_profiles(profiles_dir).values():
        found = load_file(path)
        table.add_row(found.name, found.kind.value, found.summary)
    out.print(table)


@app.command()
def doctor() -> None:
    """Check what a run needs here, and name the command that mends what is missing."""
    from harness.doctor import checks, impossible_profiles

    found = checks()
    for check in found:
        out.print(f"{'[green]ok     [/]' if check.passed else '[red]missing[/]'} {check.what}")
        if not check.passed:
            out.print(f"        {check.remedy}", markup=False)
    for name, kinds in impossible_profiles().items() if found[0].passed else ():
        out.print(f"[yellow]cannot [/] profile {name}: this kernel has no link type {', '.join(kinds)}")
    if not all(check.passed for check in found):
        raise LabError("something is missing; the lines above say what mends it.")


@app.group()
def lab() -> None:
    """Handle a lab by itself."""


@lab.command("up")
@_made_lab
@_rate
def lab_up(which: str, rate: str) -> None:
    """Bring a lab up and leave it standing."""
    from harness.labs import vagrant
    from harness.labs.local import LocalLab, find_kept

    if which == "vagrant":
        vagrant.bring_up()
        out.print("Both machines are up; `harness run --lab vagrant` measures between them.")
        return
    if find_kept() is not None:
        raise LabError("the local lab is already up; `harness lab down` takes it down.")
    made = LocalLab(rate, keep=True).up()
    out.print(f"{made.client.name} and {made.server.name} are up, link {rate}.")
    out.print(f"Ansible inventory: {made.inventory}\nSSH configuration: {made.ssh_config}", soft_wrap=True)


@lab.command("down")
@_made_lab
def lab_down(which: str) -> None:
    """Take a lab down, and whatever killed local runs left behind; virtual machines go with their disks."""
    from harness.labs import vagrant
    from harness.labs.local import take_down_all

    if which == "vagrant":
        vagrant.take_down()
        return
    removed = take_down_all()
    out.print(f"Taken down: {', '.join(removed)}." if removed else "There was nothing to take down.")


@lab.command("status")
@_made_lab
def lab_status(which: str) -> None:
    """Say whether a lab is up; exit code 3 where it is not."""
    from harness.labs import vagrant
    from harness.labs.local import kept_state

    if which == "vagrant":
        states = vagrant.states()
        for name, word in states.items():
            out.print(f"{name}  {word}")
        if set(states.values()) != {vagrant.RUNNING}:
            raise LabError(f"the Vagrant lab is not up. {vagrant.NOT_UP}")
        return
    state = kept_state()
    for node in state["nodes"]:
        out.print(f"{node['name']}  {node['address']}  pid {node['inside']['pid']}")
    out.print(f"link {state['rate']}")


@lab.command("shell")
@click.argument("node")
def lab_shell(node: str) -> None:
    """Open a shell on NODE."""
    shell = ["bash", "--norc"] if shutil.which("bash") else ["sh"]
    _become(node, ["env", f"PS1={node} # ", *shell])


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("node")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def lab_exec(node: str, argv: tuple[str, ...]) -> None:
    """Run ARGV on NODE; its output and exit code are passed through."""
    _become(node, argv[1:] if argv[0] == "--" else argv)


def _become(node: str, argv: Iterable[str]) -> None:
    """Replace this process by argv inside a node."""
    from harness.labs.local import enter_argv, kept_state

    nodes = {entry["name"]: entry for entry in kept_state()["nodes"]}
    if node not in nodes:
        raise InputError(f"unknown node {node!r}; the lab has {', '.join(nodes)}.")
    entered = [*enter_argv(nodes[node]["inside"]["pid"]), *argv]
    os.execvp(entered[0], entered)  # noqa: S606 - no shell is wanted


def main() -> None:
    """Entry point: run the command line; expected errors become one or two sentences and their exit code."""
    argv = sys.argv[1:]
    ours = argv[: argv.index("exec")] if "exec" in argv else argv  # what `lab exec` runs may have a --debug of its own
    debug = "--debug" in ours
    try:
        words = [word for word in ours if word != "--debug"] + argv[len(ours) :]
        code = app.main(words, prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except HarnessError as error:
        if debug:
            raise
        err.print(f"harness: {error}", style="red", markup=False, soft_wrap=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        err.print("harness: interrupted; what was measured is kept, what was set up has been taken down.")
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        err.print(f"harness: internal error, {type(error).__name__}: {error}. Run it again with --debug and report it.")
        code = 1
    sys.exit(code)
