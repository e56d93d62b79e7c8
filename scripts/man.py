"""Man pages made from the command line's own help: `python scripts/man.py FOLDER` writes one for each command."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click_man.core import generate_man_page

import harness
from harness.cli import app

_LEFT_AS_IT_IS = re.compile(r"^\x08\n(.+?)(?=\n\n|\n\.PP\n|\Z)", re.DOTALL | re.MULTILINE)
"""Lines that click does not fill, behind its mark."""
_NOT_FILLED = r".nf\n\1\n.fi"
_SENTENCE = re.compile(r"(.+?[.;:])(\s|$)", re.DOTALL)


def pages(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield the page of a command and of all below it, each with the name of its file."""
    context = click.Context(command, info_name=name, parent=parent)
    text = generate_man_page(context, version=harness.__version__)
    yield f"{context.command_path.replace(' ', '-')}.1", _LEFT_AS_IT_IS.sub(_NOT_FILLED, text)
    for below, own in _below(command):
        yield from pages(own, below, context)


def summed_up(command: click.Command) -> None:
    """Give a command and all below it their first sentence as a summary, which click would cut at 45 letters."""
    first = _SENTENCE.match(command.help or "")
    command.short_help = " ".join(first[1].split()).rstrip(".;:") if first else None
    for _, own in _below(command):
        summed_up(own)


def _below(command: click.Command) -> list[tuple[str, click.Command]]:
    return sorted(command.commands.items()) if isinstance(command, click.Group) else []


def main(folder: Path) -> None:
    """Write all pages into a folder, which is made."""
    folder.mkdir(exist_ok=True)
    summed_up(app)
    for name, text in pages(app, "harness"):
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
