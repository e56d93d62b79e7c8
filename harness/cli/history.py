"""`harness history`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.compare import metrics_option, output_option, written
from harness.model.errors import InputError

FORMATS = ("table", "json", "html", "markdown")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@output_option
@click.option("--profile", "profiles", multiple=True, help="Profile to show; repeatable, all where not given.")
@metrics_option
@click.option("--each", is_flag=True, help="Show every run of every series in the table, too.")
def history(
    folder: Path, form: str, output: Path | None, profiles: tuple[str, ...], metrics: tuple[str, ...], each: bool
) -> None:
    """Show all runs in the folder DIR as one series for each cell and profile, and where its level changed.

    Each run counts by its ratio to its own underlay. Runs of another machine or set-up are kept apart. What cannot
    be read is named, and the rest is shown.
    """
    from harness.report.history import history_of
    from harness.report.history_html import html
    from harness.report.history_json import history_json
    from harness.report.history_page import page
    from harness.report.markdown import markdown
    from harness.report.table import table

    if each and form != "table":
        raise InputError(f"--each is for the table; {form} has every run.")
    found = history_of(folder, profiles, metrics)
    if form == "json":
        text = history_json(found)
    elif form == "html":
        text = html(found)
    else:
        text = markdown(page(found, each=True)) if form == "markdown" else table(page(found, each=each))
    written(text, output)
