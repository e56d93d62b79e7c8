"""`harness compare`: what is on disk, shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import put
from harness.cli.types import Parsed
from harness.measures.factors import share
from harness.model.errors import InputError
from harness.truth.verdicts import MARGIN

if TYPE_CHECKING:
    from harness.report.formats import Result

FORMATS = ("table", "csv", "json", "markdown")
SVG = "svg"
"""Format of a plot, which there is of runs over links."""
_SEPARATOR = "--"
_TWO = 2

margin_option = click.option(
    "--margin",
    type=Parsed("SHARE", share),
    default=f"{100 * MARGIN:g}%",
    show_default=True,
    help="How far from 1, or from the ceiling, a ratio makes no difference.",
)


def analysed(path: Path, margin: float) -> Result:
    """Return the analysis of a run, of one against itself, of one over links, or of the pairs of a run of several."""
    from harness.report.aa import analyse_aa, is_against_itself
    from harness.report.analysis import analyse
    from harness.report.ecmp import analyse_ecmp, is_over_links
    from harness.report.pairs import analyse_pairs, has_pairs
    from harness.report.trials import read_run

    if has_pairs(path):
        return analyse_pairs(path, margin)
    run = read_run(path)
    if is_over_links(run):
        return analyse_ecmp(run)
    return analyse_aa(run, margin) if is_against_itself(run) else analyse(run, margin)


def rendered(result: Result, form: str) -> str:
    """Return a result in one of FORMATS, or as SVG."""
    from harness.report import formats

    return formats.plotted(result) if form == SVG else formats.FORMATS[form](result)


class _TwoSides(click.Command):
    """A command whose arguments may be two groups with `--` between them, a word that click itself swallows.

    `in_a` tells how many stand in front of it, None where it was not given. Options may stand behind it as well.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of both sides as one, after counting those of the first."""
        in_a = None
        if _SEPARATOR in args:
            place = args.index(_SEPARATOR)
            first, args = args[:place], args[:place] + args[place + 1 :]
            if _SEPARATOR in args:
                raise click.UsageError(f"{_SEPARATOR} stands twice; give it once, between the runs of A and of B.", ctx)
            given, _, _ = self.make_parser(ctx).parse_args(list(first))  # what is not there is a mark of click's own
            in_a = len(given["runs"]) if isinstance(given["runs"], tuple | list) else 0
        rest = super().parse_args(ctx, args)
        ctx.params["in_a"] = in_a
        return rest


@click.command(cls=_TwoSides, options_metavar="[OPTIONS]")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="A... [--] [B...]")
@click.option("--format", "form", type=click.Choice((*FORMATS, SVG)), default="table", show_default=True)
@margin_option
@click.option("--across-hosts", is_flag=True, help="Compare runs of the local lab with runs of real hosts, too.")
def compare(runs: tuple[Path, ...], form: str, margin: float, across_hosts: bool, in_a: int | None) -> None:
    """Compare overlay with underlay inside a run, or runs with runs, cell by cell.

    \b
    harness compare A                one run: its overlays with its underlay
    harness compare A B              run B with run A, each held against its own underlay
    harness compare A1 A2 -- B1 B2   the runs B with the runs A: every run is one sample

    A run is its folder or its trials.csv. A run of several pairs is shown as matrices of hosts; give one
    pair's folder to see that alone, or to compare it.
    """  # noqa: D301 - click's mark for lines that are to be left as they are
    a, b = _sides(runs, in_a)
    if not b:
        put(rendered(analysed(a[0], margin), form))
        return
    from concurrent.futures import ThreadPoolExecutor

    from harness.report.comparison import compare_runs
    from harness.report.trials import read_run

    with ThreadPoolExecutor(_TWO) as pool:  # pandas holds no lock while it parses, and a file may have a million lines
        read = [*pool.map(lambda path: read_run(path, with_series=False), (*a, *b))]
    compared = compare_runs(read[: len(a)], read[len(a) :], margin, across_hosts=across_hosts)
    put(rendered(compared, form))


def _sides(runs: tuple[Path, ...], in_a: int | None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the runs of both sides, none of B where one run is to be shown by itself."""
    if in_a is None:
        if len(runs) > _TWO:
            raise InputError(
                f"{len(runs)} runs do not say which belong together; put {_SEPARATOR} between those of A and those of "
                "B, such as A1 A2 -- B1 B2."
            )
        return runs[:1], runs[1:]
    a, b = runs[:in_a], runs[in_a:]
    if not a or not b:
        raise InputError(f"there is no run on one side of {_SEPARATOR}; give at least one on each.")
    return a, b
