"""`harness doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from harness.cli.console import out
from harness.cli.equipment import asked_passwords, equipped, require_source
from harness.cli.options import (
    ask_become_pass_option,
    ask_pass_option,
    containers_option,
    lab_option,
    measure_option,
    mtu_option,
    profile_option,
    profiles_dir_option,
)
from harness.model.errors import HarnessError, InputError, LabError

if TYPE_CHECKING:
    from harness.inspect.doctor import Check
    from harness.nodes.target import Passwords


@click.command()
@profile_option
@lab_option
@measure_option
@mtu_option
@profiles_dir_option
@containers_option
@ask_pass_option
@ask_become_pass_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with what this machine is: for a report.")
def doctor(ask_pass: bool, ask_become_pass: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - by name
    """Check what a run needs, here and on the nodes, and name what mends what is missing; changes nothing.

    Without --profile and --lab only this machine is looked at.
    """
    from harness.inspect.doctor import checks, impossible_profiles
    from harness.labs import rootless

    local = options["lab"] == "local"
    if local and rootless.is_wanted():
        with suppress(LabError):  # the checks say why, beside what else is missing
            rootless.enter(click.get_current_context().obj)
    made = checks(options["measures"]) if local else []
    impossible = impossible_profiles() if local and made[0].passed else {}
    nodes: Iterator[Check] = iter(())
    if (options["profile"] or not local) and all(check.passed for check in made):
        passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
        nodes = _inspected(options, passwords)
    made = _print_json(made, nodes, impossible, options) if as_json else _print(made, nodes, impossible)
    if not all(check.passed for check in made):
        raise LabError("something is missing or in the way; the lines above say what mends it.")


def _inspected(options: dict[str, Any], passwords: Passwords) -> Iterator[Check]:
    """Look at the nodes, and give each check as it is known."""
    from harness.cli.prepare import Options, prepare
    from harness.inspect.nodes import inspect

    prepared = prepare(Options.of(options))
    if prepared.between is not None:
        raise InputError(
            f"profile {prepared.between.name} is a path that is there already, for which nothing is set up: "
            "`harness inspect` with it says whether it can be measured."
        )
    require_source(prepared)
    with equipped(prepared, passwords) as (equipment, _):
        yield from inspect(prepared.plan, prepared.profiles, equipment)


def _print(here: list[Check], nodes: Iterator[Check], impossible: Mapping[str, Sequence[str]]) -> list[Check]:
    """Print each check as it is known, and return all of them."""
    from harness.fabric.support import named

    for check in here:
        _show_check(check)
    for name, kinds in impossible.items():
        out.print(f"[yellow]cannot [/] profile {name}: this kernel has no {named(kinds)}", markup=True)
    made = [*here]
    for check in nodes:
        _show_check(check)
        made.append(check)
    return made


def _print_json(
    here: list[Check], nodes: Iterator[Check], impossible: Mapping[str, Sequence[str]], options: Mapping[str, Any]
) -> list[Check]:
    """Print all checks at once, and return them; an error on the way to the nodes is one more, and raised then."""
    from harness.inspect.doctor import Check, record

    made, failure = [*here], None
    try:
        made.extend(nodes)
    except InputError:
        raise
    except HarnessError as error:
        made.append(Check("the nodes can be looked at", passed=False, remedy=str(error)))
        failure = error
    out.print_json(data=record(made, impossible, options["lab"], options["profile"], options["measures"]))
    if failure is not None:
        raise failure
    return made


def _show_check(check: Check) -> None:
    out.print(f"{'[green]ok     [/]' if check.passed else '[red]missing[/]'} {escape(check.what)}", markup=True)
    if not check.passed:
        out.print(f"        {check.remedy}")
