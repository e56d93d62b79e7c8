"""`harness compare` and `harness profiles`: what is on disk, shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from harness.cli.console import out
from harness.cli.options import profiles_dir_option

if TYPE_CHECKING:
    from pandas import DataFrame

FORMATS = ("table", "csv", "json", "markdown")


def summarise_path(path: Path) -> DataFrame:
    """Return the summary of a run, or of the pairs of a run of several."""
    from harness.report.pairs import has_pairs, summarise_pairs
    from harness.report.summary import read_run, summarise

    if has_pairs(path):
        return summarise_pairs(path)
    loaded = read_run(path)
    return summarise(loaded.trials, loaded.meta)


def show(frame: DataFrame, form: str) -> None:
    """Print a summary or a comparison in one of FORMATS."""
    from harness import report

    sys.stdout.write(report.FORMATS[form](frame))


@click.command()
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

    show(summarise_path(a) if b is None else compare_runs(read_run(a), read_run(b)), form)


@click.command()
@profiles_dir_option
def profiles(profiles_dir: tuple[Path, ...]) -> None:
    """List the profiles there are."""
    from harness.fabric.profiles import known_profiles, load_file

    table = Table(box=None, pad_edge=False)
    for column in ("profile", "kind", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for path in known_profiles(profiles_dir).values():
        found = load_file(path)
        table.add_row(found.name, found.kind.value, found.summary)
    out.print(table)
