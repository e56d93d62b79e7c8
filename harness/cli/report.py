"""`harness report`: runs as one page to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.compare import margin_option
from harness.cli.console import err, write_file
from harness.model.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.html.model import Article

REPORT_FILE = "report.html"


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File to write. [default: {REPORT_FILE} in the folder of the first run]",
)
@click.option(
    "--plots",
    "plots_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for every plot as SVG, and as PNG where the extra `png` is installed.",
)
@margin_option
def report(runs: tuple[Path, ...], output: Path | None, plots_dir: Path | None, margin: float) -> None:
    """Write runs as one HTML file that needs nothing else: answer, plots, tables, proof, and the files themselves.

    A run is its folder or its trials.csv. A run of several pairs is shown as matrices of hosts, with its pairs below.
    """
    from harness.report.html.document import articles_of

    articles = articles_of(runs, margin)
    first = runs[0] if runs[0].is_dir() else runs[0].parent
    written = write_page(articles, output or first / REPORT_FILE)
    err.print(f"Report: {written}", soft_wrap=True)
    if plots_dir is not None:
        count = write_plots(articles, plots_dir)
        err.print(f"Plots: {count} files in {plots_dir}", soft_wrap=True)


def write_page(articles: Sequence[Article], path: Path) -> Path:
    """Write the page of articles to a file, and return it; InputError where it cannot be written."""
    from harness.report.html.document import page

    write_file(path, page(articles))
    return path


def write_plots(articles: Sequence[Article], folder: Path) -> int:
    """Write every plot as SVG, and as PNG where that can be made; return how many files that is."""
    from harness.report.html.document import plots
    from harness.report.plots.png import png_of
    from harness.results import files

    count = 0
    try:
        if not folder.is_dir():
            files.make_folder(folder)
    except StorageError as error:
        raise InputError(f"cannot write plots to {folder}: {files.reason(error)}; choose another folder.") from error
    for name, picture in plots(articles).items():
        svg = picture.svg(name)
        write_file(folder / f"{name}.svg", svg)
        image = png_of(svg)
        if image:
            write_file(folder / f"{name}.png", image)
        count += 1 + bool(image)
    return count
