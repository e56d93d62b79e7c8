"""`harness profiles`."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from harness.cli.console import out, write_file
from harness.cli.options import profiles_dir_option
from harness.model.errors import InputError
from harness.model.text import printable

_NAME = re.compile(r"[a-z][a-z0-9-]{0,12}")


@click.group(invoke_without_command=True)
@profiles_dir_option
@click.pass_context
def profiles(context: click.Context, /, profiles_dirs: tuple[Path, ...]) -> None:
    """List the profiles there are; what is wrong with others is said, exit code 2."""
    from harness.fabric import declared
    from harness.fabric.profiles import known_profiles, load_file

    context.obj = profiles_dirs
    if context.invoked_subcommand is not None:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("profile", "kind", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    wrong = []
    for path in known_profiles(profiles_dirs).values():
        try:
            profile = declared.load(path) or load_file(path)
        except InputError as error:
            wrong.append(str(error))
        else:
            table.add_row(profile.name, profile.kind, Text(printable(profile.summary)))
    out.print(table)
    if wrong:
        raise InputError(" ".join(wrong))


@profiles.command("copy")
@click.argument("profile")
@click.option("--as", "name", required=True, help="What the copy is called: up to 13 small letters, digits and -.")
@click.option(
    "--into",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("profiles"),
    show_default=True,
    help="Folder that the copy is put into.",
)
@click.pass_obj
def copy(profiles_dirs: tuple[Path, ...], profile: str, name: str, folder: Path) -> None:
    """Copy PROFILE under other names: devices, VNI, port and subnet, so that both run side by side.

    For hosts on which what a profile sets up is there already, made by somebody else.
    """
    from harness.fabric.copied import copied
    from harness.fabric.profiles import known_profiles, load, load_file
    from harness.results import files

    own = load(profile, profiles_dirs)
    known = known_profiles(profiles_dirs)
    path = folder / f"{name}.yml"
    if not _NAME.fullmatch(name):
        raise InputError(f"--as {name}: give up to 13 small letters, digits and -, the first a letter.")
    if name in known or path.exists():
        raise InputError(f"--as {name}: there is a profile of that name already; choose another.")
    made = copied(known[profile].read_text(encoding="utf-8-sig"), own, name)
    if not folder.is_dir():
        files.make_folder(folder)
    write_file(path, made.text)
    load_file(path)
    out.print(f"{path}: {profile}, in which {', '.join(made.changes)}.", soft_wrap=True)
    out.print(f"harness run --profile {name} --profiles-dir {folder}", soft_wrap=True)
