"""`harness ecmp`: flows over several links, and what the source port has to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import FORMATS, SVG, analysed, rendered
from harness.cli.console import err, put
from harness.cli.equipment import asked_passwords, require_source
from harness.cli.options import (
    FACTOR_PREFIX,
    ask_become_pass_option,
    ask_pass_option,
    extent_options,
    lab_option,
    out_option,
    parse_rate_text,
    profiles_dir_option,
)
from harness.cli.run import carry_out, columns_of, judge
from harness.cli.types import ListOf, Parsed
from harness.labs.routers import MIN_LINKS
from harness.measures.factors import FACTORS
from harness.measures.metrics import MOST_LINKS
from harness.model.errors import HarnessError, InputError
from harness.truth.verdicts import MARGIN

if TYPE_CHECKING:
    from harness.cli.prepare import Prepared
    from harness.results.store import RunFolder

FLOWS = (1, 2, 4, 8, 16)
LINKS = 2
LINK_RATE = "500mbit"
MTU = 1450
ONE_PORT = {"vxlan": "vxlan-one-port"}
"""Profiles with the source port held fixed, by the profile that they are otherwise alike."""


@click.command()
@click.option(
    "--profile",
    multiple=True,
    help="Profile to measure beside the underlay; repeatable. vxlan, the default, brings vxlan-one-port along.",
)
@click.option(
    "--flows",
    FACTOR_PREFIX + "flows",
    type=ListOf("LIST", FACTORS["flows"].parse),
    default=",".join(map(str, FLOWS)),
    show_default=True,
    help="Parallel flows; 1, which the others are held against, among them.",
)
@click.option(
    "--links",
    type=click.IntRange(MIN_LINKS, MOST_LINKS),
    default=LINKS,
    show_default=True,
    help="Links between the local lab's routers. On hosts of your own: how many to reckon with.",
)
@click.option(
    "--link-rate",
    type=Parsed("RATE", parse_rate_text),
    default=LINK_RATE,
    show_default=True,
    help="What each of the local lab's links is shaped to; or none.",
)
@click.option("--mtu", type=Parsed("BYTES", FACTORS["mtu"].parse), default=str(MTU), show_default=True)
@lab_option
@extent_options
@profiles_dir_option
@out_option
@click.option("--skip-unsupported", is_flag=True, help="Leave out, and name, profiles that the kernel cannot make.")
@ask_pass_option
@ask_become_pass_option
@click.option("--format", "form", type=click.Choice((*FORMATS, SVG)), default="table", show_default=True)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="File that the plot goes to, as SVG.")
def ecmp(
    parent: Path,
    skip_unsupported: bool,
    ask_pass: bool,
    ask_become_pass: bool,
    form: str,
    plot: Path | None,
    **options: Any,  # noqa: ANN401 - Options by name
) -> None:
    """Measure how flows spread over several links, and what the outer source port has to do with it.

    In the local lab two routers hash five-tuples over links between them. Hosts of your own are measured as they are,
    and what as many links would get is computed from the ports that were seen.

    `harness compare FOLDER` shows a run again.
    """
    from harness.results.store import RunFolder
    from harness.run.standing import Conduct

    prepared = over_links(options)
    if plot is not None and not plot.resolve().parent.is_dir():
        raise InputError(f"--plot {plot}: there is no folder {plot.resolve().parent}; make it, or choose another.")
    require_source(prepared)
    passwords = asked_passwords(options["lab"], login=ask_pass, become=ask_become_pass)
    folder = RunFolder.create(parent, ("ecmp", *prepared.plan.setup.profiles[1:]), columns_of(prepared.plan))
    try:
        outcome = carry_out(
            prepared, folder, Conduct(skip_unsupported=skip_unsupported, own_mtus=prepared.own_mtus), passwords
        )
    except HarnessError:
        if folder.path.exists():
            with suppress(HarnessError):
                _summarise(folder, form, plot)
        raise
    _summarise(folder, form, plot)
    judge(outcome, folder.path)


def over_links(given: Mapping[str, Any]) -> Prepared:
    """Return what a run over links needs; InputError for what cannot be used."""
    from harness.cli.prepare import Options, prepare

    flows = given[f"{FACTOR_PREFIX}flows"]
    if 1 not in flows:
        raise InputError("--flows: what several flows gain is held against one; give 1 as well.")
    named = given["profile"] or tuple(ONE_PORT)
    profiles = tuple(name for one in named for name in (one, ONE_PORT.get(one)) if name)
    own = {
        "profile": profiles,
        "rate": given["link_rate"],
        "measures": ("ecmp",),
        f"{FACTOR_PREFIX}mtu": (given["mtu"],),
    }
    return prepare(Options.of({**given, **own}), links=given["links"])


def _summarise(folder: RunFolder, form: str, plot: Path | None) -> None:
    """Write summary and plot, print the result in a format, and say where everything is."""
    from harness.results import files

    result = analysed(folder.path, MARGIN)
    drawn = rendered(result, SVG)
    put(rendered(result, form))
    err.print(f"Results: {folder.path}", soft_wrap=True)
    folder.write_text("summary.csv", rendered(result, "csv"))
    folder.write_text("ecmp.svg", drawn)
    if plot is not None:
        files.write(plot, drawn)
