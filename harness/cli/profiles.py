"""`harness profiles`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from harness.cli.console import out
from harness.cli.options import profiles_dir_option
from harness.model.text import printable


@click.command()
@profiles_dir_option
def profiles(profiles_dirs: tuple[Path, ...]) -> None:
    """List the profiles there are."""
    from harness.fabric import declared
    from harness.fabric.profiles import known_profiles, load_file

    table = Table(box=None, pad_edge=False)
    for column in ("profile", "kind", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for path in known_profiles(profiles_dirs).values():
        profile = declared.load(path) or load_file(path)
        table.add_row(profile.name, profile.kind, Text(printable(profile.summary)))
    out.print(table)
