"""`harness inspect`."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.console import out, put
from harness.cli.equipment import asked_passwords, equipped, finder, require_source
from harness.cli.options import (
    any_nodes_option,
    ask_become_pass_option,
    ask_pass_option,
    between_option,
    context_option,
    json_option,
    lab_option,
    profile_option,
    profiles_dir_option,
    wires_options,
)
from harness.model.errors import LabError


@click.command()
@between_option
@profile_option
@profiles_dir_option
@lab_option
@context_option
@any_nodes_option
@click.option("--image", help="Image of a cluster's pods.")
@wires_options
@ask_pass_option
@ask_become_pass_option
@json_option
def inspect(ask_pass: bool, ask_become_pass: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - Options by name
    """Find what lies between two endpoints that are there, and show it; changes nothing.

    A few echoes are sent and captured on both nodes' NICs: the headers in front of them, with the tables of both nodes,
    tell which tunnel there is, its VNI, port and MTU, and so what a run could measure and by what it would prove it.
    """
    from harness.cli.prepare import Options, prepare
    from harness.model.containers import Engine
    from harness.model.pairs import Pair
    from harness.report.found_text import text
    from harness.run.standing import grounded

    prepared = prepare(Options.of(options | {"measures": ("ping",)}), on_clusters=True)
    find = finder(prepared)
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
    with (
        equipped(prepared, passwords) as (equipment, _),
        grounded(equipment, (), prepared.plan.measures, Engine.NONE) as ground,
    ):
        found, *_ = find(ground, Pair(ground.lab.client.name, ground.lab.server.name))
    if as_json:
        out.print_json(data=found.to_json())
    else:
        put(text(found))
    if found.wire.headers is None:
        raise LabError("the path cannot be told, and so not be measured; what was seen is above.")
