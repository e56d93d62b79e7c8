"""`harness compare`: what is on disk, shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.configuration import is_typed
from harness.cli.console import put, say, write_file
from harness.cli.types import ListOf, Parsed, positive_share
from harness.measures.factors import one_of, share
from harness.model.errors import InputError, WorseError
from harness.truth.verdicts import MARGIN

if TYPE_CHECKING:
    from harness.report.comparison import Comparison
    from harness.report.formats import Result

FORMATS = ("table", "csv", "json", "markdown")
EXPORTED = ("openmetrics", "parquet")
BY = ("profile", "mtu", "flows")
SVG = "svg"
"""Format of a plot, which there is of runs over links."""
EXPLAINED = "explained"
"""A table with what everything in it means, which is asked for by an option of its own."""
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
    """Return a result in one of FORMATS, as SVG, or EXPLAINED."""
    from harness.report import formats

    if form == EXPLAINED:
        return formats.explained(result)
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


def explained_form(form: str, *, explain: bool) -> str:
    """Return the format that is asked for with --explain; InputError where there is nothing to be explained in it."""
    if explain and form != FORMATS[0]:
        raise InputError(f"--explain is for the table; leave it out with {form}, which has the whole of it anyway.")
    return EXPLAINED if explain else form


def written(text: str | bytes, path: Path | None) -> None:
    """Print a result, or put it in the place of a file as a whole.

    Raises:
        InputError: bytes for a terminal, or a file that cannot be written.
    """
    if path is None and isinstance(text, str):
        put(text)
        return
    content = text.encode() if isinstance(text, str) else text
    if path is None:
        if b"\0" in content and sys.stdout.isatty():
            raise InputError("that format is not for a terminal; give --output FILE, or redirect it.")
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_file(path, content)


def metric_name(text: str) -> str:
    """Return the name of a metric that is compared; InputError names those that there are."""
    from harness.measures.metrics import METRICS

    return one_of(*(name for name, metric in METRICS.items() if metric.better))(text)


explain_option = click.option(
    "--explain", is_flag=True, help="Say below the table what columns, verdicts and notes mean, and show every note."
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write to instead of printing."
)
metrics_option = click.option(
    "--metric",
    "metrics",
    type=ListOf("LIST", metric_name),
    default=(),
    help="Metrics that are asked for, such as goodput_bps,rtt_p50_s; all where not given.",
)


@click.command(cls=_TwoSides, options_metavar="[OPTIONS]")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="A... [--] [B...]")
@click.option("--format", "form", type=click.Choice((*FORMATS, SVG, *EXPORTED)), default="table", show_default=True)
@output_option
@click.option("--by", type=click.Choice(BY), help="Put profiles, MTUs or numbers of flows side by side.")
@metrics_option
@explain_option
@margin_option
@click.option(
    "--fail-above",
    type=Parsed("SHARE", positive_share),
    help="End with exit code 1 where B is decided to be worse than A by more than that; it is the margin, too.",
)
@click.option("--across-hosts", is_flag=True, help="Compare runs of the local lab with runs of real hosts, too.")
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    runs: tuple[Path, ...],
    form: str,
    output: Path | None,
    by: str | None,
    margin: float,
    explain: bool,
    **of_two: Any,  # noqa: ANN401 - what is for two sides, by name
) -> None:
    """Compare overlay with underlay inside a run, or runs with runs, cell by cell.

    \b
    harness compare A                one run: its overlays with its underlay
    harness compare A B              run B with run A, each by its own underlay
    harness compare A1 A2 -- B1 B2   the runs B with the runs A, each a sample

    A run is its folder or its trials.csv. A run of several pairs is shown as matrices of hosts; give one
    pair's folder to see that alone, or to compare it.

    With --fail-above it is a gate. Exit code 0: nothing is decided to be worse by more; what is said tells `passed`
    from `not decided`. 1: something is. 2: nothing could be decided. With one run a side it judges goodput, unless
    metrics are named; what else is worse is said.
    """  # noqa: D301 - click's mark for lines that are to be left as they are
    a, b = _sides(runs, of_two.pop("in_a"))
    form = explained_form(form, explain=explain)
    fail_above: float | None = of_two.pop("fail_above")
    if fail_above is not None:
        if is_typed(ctx, "margin") and margin != fail_above:
            raise InputError("--fail-above is the margin, too; leave --margin out.")
        margin = fail_above
    if b:
        comparison = compared(a, b, margin, **of_two)
        written(shown(comparison, form, by), output)
        if fail_above is not None:
            _gate(comparison, named=bool(of_two["metrics"]))
        return
    for option, given in (("--fail-above", fail_above), ("--metric", of_two["metrics"])):
        if given:
            raise InputError(f"{option} is for two runs, A and B; one run says nothing of a change.")
    written(shown(analysed(a[0], margin), form, by), output)


def compared(
    a: Sequence[Path], b: Sequence[Path], margin: float, *, across_hosts: bool, metrics: Sequence[str]
) -> Comparison:
    """Return what the runs of B say beside those of A."""
    from concurrent.futures import ThreadPoolExecutor

    from harness.report.comparison import compare_runs
    from harness.report.trials import read_run

    with ThreadPoolExecutor(_TWO) as pool:  # pandas holds no lock while it parses, and a file may have a million lines
        read = [*pool.map(lambda path: read_run(path, with_series=False), (*a, *b))]
    return compare_runs(read[: len(a)], read[len(a) :], margin, across_hosts=across_hosts, metrics=metrics)


def shown(result: Result, form: str, by: str | None) -> str | bytes:
    """Return a result in any format, with what differs in `by` side by side where that is asked for."""
    from harness.report.exports import exported
    from harness.report.formats import side_by_side

    if by is not None:
        return side_by_side(result, by, FORMATS[0] if form == EXPLAINED else form)
    return exported(result, form) if form in EXPORTED else rendered(result, form)


def _gate(comparison: Comparison, *, named: bool) -> None:
    """Say what a gate decides, and raise WorseError where it stops."""
    from harness.report.compared_findings import gate_text, gated

    outcome = gated(comparison, named=named)
    text = gate_text(comparison, outcome)
    if outcome.fails:
        raise WorseError(text)
    say(f"harness: {text}")


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
