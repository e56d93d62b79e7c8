"""Options that several commands share; those of measures and factors are made from the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from harness.cli.types import ListOf, Parsed, words_of
from harness.labs.access import NIC_MTU
from harness.labs.kept import MIN_NODES
from harness.labs.local import MAX_NODES
from harness.labs.routers import MIN_LINKS
from harness.labs.wires import DEFAULT_RATE, NIC_MTUS, parse_rate
from harness.measures.factors import FACTORS, one_of, rate_bps
from harness.measures.metrics import MOST_LINKS
from harness.measures.registry import DEFAULT, MEASURES
from harness.model.containers import Engine
from harness.model.errors import InputError
from harness.model.factors import Factor, Scope, Value
from harness.model.found import ENDPOINTS_VARIABLE, asked
from harness.model.services import ServiceKind
from harness.model.trial import MTU
from harness.results.plan import PRESETS, Preset

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

LEAST_BOUND_BPS = 5e6
FACTOR_PREFIX = "factor_"
"""In front of a factor's name in what click hands to a command."""
OWN_MTUS = "the largest that each profile carries whole, and the NIC's"


def parse_rate_text(text: str) -> str:
    """Return the text of a rate, which the lab itself reads."""
    parse_rate(text)
    return text


def _bound(text: str) -> float:
    """Return a rate that traffic is held to, in bit/s; below the least of them pings alone would be more."""
    bound = rate_bps(text)
    if bound < LEAST_BOUND_BPS:
        raise InputError(f"{text!r} is too little for trials; give 5mbit or more")
    return bound


def parse_service(text: str) -> ServiceKind:
    """Return the kind of service that a word names, in whatever case."""
    kind = next((kind for kind in ServiceKind if kind.lower() == text.lower()), None)
    if kind is None:
        raise InputError(f"{text!r} is no kind of service; use {' or '.join(ServiceKind)}")
    return kind


def parse_nodes(text: str) -> int | tuple[str, ...]:
    """Return how many nodes are wanted, or which: names with commas between them."""
    if text.isascii() and text.isdigit():
        if not MIN_NODES <= int(text) <= MAX_NODES:
            raise InputError(f"{text} is not in the range {MIN_NODES}<=x<={MAX_NODES}")
        return int(text)
    return tuple(words_of(text))


lab_option = click.option(
    "--lab", default="local", show_default=True, help="local, vagrant, kubernetes, or the path of an Ansible inventory."
)
context_option = click.option(
    "--context", help="Context of the kubeconfig by which --lab kubernetes is reached; the current one if not given."
)
made_lab_option = click.option(
    "--lab", "which", type=click.Choice(("local", "vagrant")), default="local", show_default=True
)
service_option = click.option(
    "--service",
    type=ListOf("LIST", parse_service),
    default=(),
    help=f"Services of a cluster by way of which pods are measured as well, any of {', '.join(ServiceKind)}.",
)
links_option = click.option(
    "--links",
    type=click.IntRange(MIN_LINKS, MOST_LINKS),
    help="Links of the local lab, each of --rate, between two routers that spread flows over them.",
)
between_option = click.option(
    "--between",
    type=Parsed("A,B", asked),
    help="Endpoints that are there, one on each node: containers by name or id, netns:NAME, pid:N. Nothing is set up; "
    "the path between them is found. NAME=A,B names it in the results; NAME alone is a path of the inventory's "
    f"{ENDPOINTS_VARIABLE}.",
)
nodes_option = click.option(
    "--nodes",
    type=click.IntRange(MIN_NODES, MAX_NODES),
    help=f"Nodes of the local lab; {MIN_NODES} where not given. More than two take --pairs.",
)
any_nodes_option = click.option(
    "--nodes",
    type=Parsed("N|LIST", parse_nodes),
    help=f"How many nodes the local lab has, {MIN_NODES} where not given; or the names of a cluster's. More than two "
    "take --pairs.",
)


def _all_of(_ctx: click.Context, _param: click.Parameter, given: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return what a repeatable option of lists names, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(given)))


profile_option = click.option(
    "--profile",
    multiple=True,
    type=ListOf("LIST", str),
    callback=_all_of,
    help="Profiles to measure beside the underlay, with commas between them; repeatable.",
)
profiles_dir_option = click.option(
    "--profiles-dir",
    "profiles_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of your own profiles; repeatable.",
)
ask_pass_option = click.option("-k", "--ask-pass", is_flag=True, help="Ask for the password of your hosts' user.")
ask_become_pass_option = click.option(
    "-K", "--ask-become-pass", is_flag=True, help="Ask for the password that sudo wants."
)
out_option = click.option(
    "--out",
    "parent",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where the run's folder is made.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
containers_option = click.option(
    "--containers",
    type=click.Choice([engine.value for engine in Engine]),
    default=Engine.NONE.value,
    show_default=True,
    help="What the endpoints are: namespaces (none), or containers of an engine.",
)


def _presets() -> str:
    return "; ".join(
        f"{name}: {preset.blocks} blocks{_ends(preset)}, {preset.duration_s} s + {preset.omit_s} s omitted"
        for name, preset in PRESETS.items()
    )


def _ends(preset: Preset) -> str:
    """Return what a preset plan has of its own beside its times."""
    levels = " and ".join(f"{name} {','.join(map(str, own))}" for name, own in preset.levels.items())
    until = f" or more, until goodput is known to {preset.until_margins:g} x --margin" if preset.until_margins else ""
    own = [levels] if levels else []
    own += [] if preset.same_mtu else ["MTU the profiles' own largest alone"]
    return ", ".join([until, *own]) if own else until


def measure_option(command: Command) -> Command:
    """Add the option that chooses measures."""
    return click.option(
        "--measure",
        "measures",
        type=ListOf("LIST", one_of(*MEASURES)),
        default=",".join(DEFAULT),
        show_default=True,
        help=f"What is measured, any of {', '.join(MEASURES)}.",
    )(command)


def mtu_option(command: Command) -> Command:
    """Add the option that chooses the endpoints' MTUs."""
    return _factor_option(FACTORS["mtu"])(command)


def _factor_option(factor: Factor) -> Decorator:
    if factor.expand is not None:
        return click.option(
            f"--{factor.name.replace('_', '-')}",
            f"{FACTOR_PREFIX}{factor.name}",
            multiple=True,
            callback=_expanded(factor.expand),
            help=factor.help,
        )
    default = OWN_MTUS if factor.name == MTU else ",".join(map(str, factor.default))
    return click.option(
        f"--{factor.name.replace('_', '-')}",
        f"{FACTOR_PREFIX}{factor.name}",
        type=ListOf("LIST", factor.parse),
        help=f"{factor.help} [default: {default}]" if default else factor.help,
    )


def _expanded(expand: Callable[[Sequence[str]], tuple[Value, ...]]) -> Callable[..., tuple[Value, ...] | None]:
    """Return what makes levels of all that a repeatable option was given."""

    def levels(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[Value, ...] | None:
        try:
            return expand(given) if given else None
        except InputError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return levels


def _extent_options() -> Iterable[Decorator]:
    yield click.option("--duration", type=click.IntRange(1, 3600), help="Seconds that count in each trial.")
    yield click.option("--omit", type=click.IntRange(0, 60), help="Seconds before them that do not.")
    yield click.option("--blocks", type=click.IntRange(1, 1000), help="Visits of each cell on each profile.")
    yield click.option("--seed", type=int, help="Seed of the shuffled order; a new one is made and kept otherwise.")
    yield click.option(
        "--plan", type=click.Choice([*PRESETS]), default="quick", show_default=True, help=f"{_presets()}."
    )


def _wires_options() -> Iterable[Decorator]:
    yield click.option(
        "--rate",
        type=Parsed("RATE", parse_rate_text),
        default=DEFAULT_RATE,
        show_default=True,
        help="What the local lab's link is shaped to, e.g. 1gbit; or none.",
    )
    yield click.option(
        "--nic-mtu",
        type=click.IntRange(*NIC_MTUS),
        default=NIC_MTU,
        show_default=True,
        help="MTU of the local lab's NICs in bytes, e.g. 9000 for jumbo frames; --mtu is the endpoints'.",
    )


def _plan_options() -> Iterable[Decorator]:
    yield profile_option
    yield lab_option
    yield context_option
    yield measure_option
    yield from (_factor_option(factor) for factor in FACTORS.values() if factor.scope is not Scope.LABEL)
    yield from _extent_options()
    yield click.option(
        "--setups",
        type=click.IntRange(1, 1000),
        default=1,
        show_default=True,
        help="Times that the profiles are set up: between groups of blocks they are torn down and set up again.",
    )
    yield from _wires_options()
    yield between_option
    yield click.option(
        "--max-rate",
        type=Parsed("RATE", _bound),
        help="What no trial may send more than, both ways together, e.g. 100mbit.",
    )
    yield profiles_dir_option
    yield containers_option
    yield click.option(
        "--image",
        help="Image of those containers; without it a tiny one is made on each node. Of a cluster's pods: one made "
        "from the Containerfile.",
    )
    yield any_nodes_option
    yield click.option(
        "--pairs", help="Hosts to measure against each other, such as a:b,a:c (client:server), or all; one by one."
    )
    yield service_option
    yield click.option(
        "--parallel-pairs",
        is_flag=True,
        help="Measure pairs without a common host at the same time. They share a switch: figures are distorted.",
    )


def extent_options(command: Command) -> Command:
    """Give a command the options that say how long it measures, and in which order."""
    return _with(command, _extent_options())


def wires_options(command: Command) -> Command:
    """Give a command the options that say what joins the nodes of the local lab."""
    return _with(command, _wires_options())


def plan_options(command: Command) -> Command:
    """Give a command the options that say what would be measured."""
    return _with(command, _plan_options())


def _with(command: Command, options: Iterable[Decorator]) -> Command:
    for option in reversed([*options]):
        command = option(command)
    return command
