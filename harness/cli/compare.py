"""`harness compare`: what is on disk, shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import margin_option

if TYPE_CHECKING:
    from harness.report.formats import Result

FORMATS = ("table", "csv", "json", "markdown")


def analysed(path: Path, margin: float) -> Result:
    """Return the analysis of a run, of a run against itself, or of the pairs of a run of several."""
    from harness.report.aa import analyse_aa, is_against_itself
    from harness.report.analysis import analyse
    from harness.report.pairs import analyse_pairs, has_pairs
    from harness.report.trials import read_run

    if has_pairs(path):
        return analyse_pairs(path, margin)
    run = read_run(path)
    return analyse_aa(run, margin) if is_against_itself(run) else analyse(run, margin)


def rendered(result: Result, form: str) -> str:
    """Return a result in one of FORMATS."""
    from harness.report import formats

    return formats.FORMATS[form](result)


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@margin_option
def compare(a: Path, b: Path | None, form: str, margin: float) -> None:
    """Compare overlay with underlay inside run A, or run B with run A, cell by cell.

    A run is its folder or its trials.csv. A run of several pairs is shown as matrices of hosts; give one
    pair's folder to see that alone, or to compare it.
    """
    from harness.report.comparison import compare_runs
    from harness.report.trials import read_run

    made = analysed(a, margin) if b is None else compare_runs(read_run(a), read_run(b), margin)
    sys.stdout.write(rendered(made, form))
