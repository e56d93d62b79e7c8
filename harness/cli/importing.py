"""`harness import`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import out_option
from harness.cli.types import Parsed
from harness.measures.factors import FACTORS
from harness.model.errors import FailedTrialsError

_MOST_NAMED = 20


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--path", "pattern", help="What the files' paths say, such as '{profile}/mtu{mtu}/x{flows}/{block}.json'."
)
@click.option("--map", "mapping", type=click.Path(path_type=Path), help="YAML file that says which file is what.")
@click.option("--underlay", help="Profile that is the bare network, where it is not called underlay.")
@click.option("--mtu", type=Parsed("MTU", FACTORS["mtu"].parse), help="MTU of endpoints of files that do not tell it.")
@out_option
def importing(
    folder: Path, pattern: str | None, mapping: Path | None, underlay: str | None, mtu: int | None, parent: Path
) -> None:
    """Make a run of iperf3's own JSON files in DIR, one file a trial, for compare and history to read.

    Which profile, cell and block a file is of is told by its path (--path) or by a mapping file (--map); what iperf3
    says itself need not be there. Files that cannot be used are named and left out: exit code 8.
    """
    from harness.cli.console import err, put
    from harness.results.imported import import_folder
    from harness.results.places import rules_of

    made = import_folder(folder, rules_of(pattern, mapping, underlay, {"mtu": mtu} if mtu else {}), parent)
    for one in made.refused[:_MOST_NAMED]:
        err.print(f"{one.path} is left out: {one.reason}", soft_wrap=True)
    err.print(
        f"{made.count} files are trials now; their way, CPU time, ceilings and the link's rate are not known.",
        soft_wrap=True,
    )
    put(f"{made.folder}\n")
    if made.refused:
        raise FailedTrialsError(f"{len(made.refused)} file(s) are left out; run.json of {made.folder} names them.")
