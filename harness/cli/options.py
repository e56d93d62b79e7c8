"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

lab_option = click.option(
    "--lab", default="local", show_default=True, help="local, vagrant, or the path of an Ansible inventory."
)
made_lab_option = click.option(
    "--lab", "which", type=click.Choice(("local", "vagrant")), default="local", show_default=True
)
rate_option = click.option(
    "--rate", default="1gbit", show_default=True, help="What the local lab's link is shaped to, e.g. 1gbit; or none."
)
nodes_option = click.option(
    "--nodes", type=int, help="Nodes of the local lab, from 2 to 8; 2 where not given. More than two take --pairs."
)
profiles_dir_option = click.option(
    "--profiles-dir", multiple=True, type=click.Path(path_type=Path), help="Folder of your own profiles; repeatable."
)
ask_pass_option = click.option("-k", "--ask-pass", is_flag=True, help="Ask for the password of your hosts' user.")
ask_become_pass_option = click.option(
    "-K", "--ask-become-pass", is_flag=True, help="Ask for the password that sudo wants."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
containers_option = click.option(
    "--containers", default="none", show_default=True, help="What the endpoints are: none (namespaces), docker, podman."
)
_PLAN_OPTIONS = (
    click.option("--profile", multiple=True, help="Profile to measure beside the underlay; repeatable."),
    lab_option,
    click.option("--mtu", default="1450,1500", show_default=True, help="The endpoints' MTUs in bytes."),
    click.option("--flows", default="1,4,8", show_default=True, help="Parallel flows, from 1 to 128 each."),
    click.option("--protocol", default="tcp", show_default=True, help="tcp, udp or both."),
    click.option("--direction", default="forward", show_default=True, help="forward, reverse, bidir; any of them."),
    click.option("--duration", type=int, help="Seconds that count in each trial, instead of the plan's."),
    click.option("--omit", type=int, help="Seconds before them that do not, instead of the plan's."),
    click.option("--blocks", type=int, help="Visits of each cell on each profile, instead of the plan's."),
    click.option("--seed", type=int, help="Seed of the shuffled order; a new one is made and kept otherwise."),
    rate_option,
    click.option(
        "--plan",
        default="quick",
        show_default=True,
        help="quick: 6 blocks, 2 s + 1 s omitted; standard: 10 blocks, 10 s + 3 s; rfc: 10 blocks, 60 s + 3 s.",
    ),
    profiles_dir_option,
    containers_option,
    click.option("--image", help="Image of those containers; without it a tiny one is made on each node."),
    nodes_option,
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
