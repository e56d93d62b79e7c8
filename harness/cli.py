"""The command line: each command reads its options, calls, prints, exits. The only place that prints or exits.

Most imports are made where they are used: a command must not wait for what only another one needs.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from harness.errors import INTERRUPTED, FailedTrialsError, HarnessError, InputError, LabError, VerificationError

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.experiment import Equipment, Outcome
    from harness.options import Prepared
    from harness.progress import RunProgress
    from harness.store import PairsFolder, RunFolder

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
_nodes = click.option(
    "--nodes", type=int, help="Nodes of the local lab, from 2 to 8; 2 where not given. More than two take --pairs."
)
_profiles_dir = click.option(
    "--profiles-dir", multiple=True, type=click.Path(path_type=Path), help="Folder of your own profiles; repeatable."
)
_ask_pass = click.option("-k", "--ask-pass", is_flag=True, help="Ask for the password of your hosts' user.")
_ask_become_pass = click.option("-K", "--ask-become-pass", is_flag=True, help="Ask for the password that sudo wants.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_containers = click.option(
    "--containers", default="none", show_default=True, help="What the endpoints are: none (namespaces), docker, podman."
)
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
    _containers,
    click.option("--image", help="Image of those containers; without it a tiny one is made on each node."),
    _nodes,
    click.option(
        "--pairs", help="Hosts to measure against each other, such as a:b,a:c (client:server), or all; one by one."
    ),
    click.option(
        "--parallel-pairs",
        is_flag=True,
        help="Measure pairs without a common host at the same time. They share a switch: figures are distorted.",
    ),
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
@_ask_pass
@_ask_become_pass
@_json
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
    from harness.options import RunOptions, prepare
    from harness.store import PairsFolder, RunFolder

    prepared = prepare(RunOptions(**options), keep=keep)
    problems = prepared.source.probe()
    if problems:
        raise LabError(" ".join(problems))
    passwords = _asked("SSH" if ask_pass else "", "BECOME" if ask_become_pass else "")
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
    summary = _summarise(folder.path)
    summary.to_csv(folder.path / "summary.csv", index=False, lineterminator="\n")
    _show(summary, "json" if as_json else "table")
    err.print(f"Results: {folder.path}", soft_wrap=True)
    _judge(outcome, folder.path)


def _asked(*names: str) -> list[str | None]:
    """Return the password for each of these names, typed unseen and valid on both hosts; None for an empty name."""
    return [click.prompt(f"{name} password", hide_input=True, err=True) if name else None for name in names]


def _carry_out(prepared: Prepared, folder: RunFolder, how: dict[str, Any], asked: list[str | None]) -> Outcome:
    """Run the experiment with the real equipment."""
    from harness import experiment

    with _equipped(prepared, asked) as (equipment, _):
        return experiment.run(prepared.plan, prepared.profiles, folder, equipment, experiment.Options(**how))


@contextmanager
def _equipped(prepared: Prepared, asked: list[str | None]) -> Iterator[tuple[Equipment, RunProgress]]:
    """Give the real equipment, Ctrl-C handled and progress shown."""
    from harness.experiment import Equipment
    from harness.interrupt import Interruption
    from harness.playbook import PlaybookRunner
    from harness.progress import RunProgress
    from harness.remote import Remote
    from harness.target import Passwords

    passwords = Passwords(*asked)
    interruption = Interruption(lambda: err.print("cleaning up; this takes a few seconds"))
    with interruption.installed(), RunProgress(prepared.plan, err, prepared.waves) as progress:
        equipment = Equipment(
            prepared.source,
            lambda node, lab: Remote(node, lab.ssh_config, passwords),
            lambda lab: PlaybookRunner(
                lab, lambda: interruption.requested, passwords=passwords, containers=prepared.plan.containers
            ),
            interruption,
            progress,
        )
        yield equipment, progress


def _run_pairs(
    prepared: Prepared, folder: PairsFolder, how: dict[str, Any], asked: list[str | None], form: str
) -> None:
    """Measure several pairs and print their matrices."""
    from harness import campaign
    from harness.experiment import Options
    from harness.progress import PairProgress, TrialCount

    count = TrialCount()
    try:
        with _equipped(prepared, asked) as (equipment, shown):
            made = campaign.Campaign(prepared.waves, folder, equipment, lambda pair: PairProgress(shown, pair, count))
            ends = made.run(prepared.plan, prepared.profiles, Options(**how))
    finally:
        folder.discard_empty()
    for run in folder.measured():
        _summarise(run.path).to_csv(run.path / "summary.csv", index=False, lineterminator="\n")
    if folder.measured():
        summary = _summarise(folder.path)
        summary.to_csv(folder.path / "pairs.csv", index=False, lineterminator="\n")
        _show(summary, form)
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


def _summarise(path: Path) -> DataFrame:
    """Return the summary of a run, or of the pairs of a run of several."""
    from harness.report.pairs import has_pairs, summarise_pairs
    from harness.report.summary import read_run, summarise

    if has_pairs(path):
        return summarise_pairs(path)
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
    from harness.pairs import PARALLEL_WARNING
    from harness.progress import clock

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


@app.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def compare(a: Path, b: Path | None, form: str) -> None:
    """Compare overlay with underlay inside run A, or run B with run A, cell by cell.

    A run is its folder or its trials.csv. A run of several pairs is shown as matrices of hosts; give one
    pair's folder to see that alone, or to compare it.
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
@_containers
@_nodes
def lab_up(which: str, rate: str, containers: str, nodes: int | None) -> None:
    """Bring a lab up and leave it standing."""
    from harness.containers import Containers
    from harness.labs import vagrant
    from harness.labs.local import MAX_NODES, MIN_NODES, LocalLab, find_kept
    from harness.options import bounded

    engine = Containers.parse(containers).engine

    if which == "vagrant":
        vagrant.bring_up()
        out.print("Both machines are up; `harness run --lab vagrant` measures between them.")
        return
    if find_kept() is not None:
        raise LabError("the local lab is already up; `harness lab down` takes it down.")
    count = MIN_NODES if nodes is None else bounded(nodes, "--nodes", MIN_NODES, MAX_NODES)
    made = LocalLab(rate, count=count, keep=True, containers=engine).up()
    *names, last = [node.name for node in made.nodes]
    out.print(f"{', '.join(names)} and {last} are up, link {rate}.")
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
    from harness.labs.holder import enter_argv
    from harness.labs.local import kept_state

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
