"""`harness doctor`."""

from __future__ import annotations

from collections.abc import Iterator
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
from harness.model.errors import InputError, LabError

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
def doctor(ask_pass: bool, ask_become_pass: bool, **options: Any) -> None:  # noqa: ANN401 - Options by name
    """Check what a run needs, here and on the nodes, and name what mends what is missing; changes nothing.

    Without --profile and --lab only this machine is looked at.
    """
    from harness.fabric.support import named
    from harness.inspect.doctor import checks, impossible_profiles
    from harness.labs import rootless

    local = options["lab"] == "local"
    if local and rootless.is_wanted() and not rootless.refusal():
        rootless.enter(click.get_current_context().obj)
    made = checks(options["measures"]) if local else []
    for check in made:
        _show_check(check)
    for name, kinds in impossible_profiles().items() if local and made[0].passed else ():
        out.print(f"[yellow]cannot [/] profile {name}: this kernel has no {named(kinds)}", markup=True)
    if (options["profile"] or not local) and all(check.passed for check in made):
        passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
        made = list(_inspected(options, passwords))
    if not all(check.passed for check in made):
        raise LabError("something is missing or in the way; the lines above say what mends it.")


def _inspected(options: dict[str, Any], passwords: Passwords) -> Iterator[Check]:
    """Look at the nodes, printing each check as it is known."""
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
        for check in inspect(prepared.plan, prepared.profiles, equipment):
            _show_check(check)
            yield check


def _show_check(check: Check) -> None:
    out.print(f"{'[green]ok     [/]' if check.passed else '[red]missing[/]'} {escape(check.what)}", markup=True)
    if not check.passed:
        out.print(f"        {check.remedy}")
