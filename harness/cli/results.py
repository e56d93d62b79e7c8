"""`harness results`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from harness.cli.compare import analysed, margin_option
from harness.cli.console import err, put
from harness.cli.options import json_option

if TYPE_CHECKING:
    from harness.report.listing import Listed

_INDENT = "  "
_WIDTH = 80


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", default=Path("results"))
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many runs, the newest.")
@margin_option
@json_option
def results(folder: Path, last: int, margin: float, as_json: bool) -> None:
    """List the runs in the folder DIR (results where not given), each with its answer.

    Oldest first: name, when (UTC), lab, profiles, whether it is complete, and what was found.
    """
    from harness.report.listing import listed, runs_in

    paths = runs_in(folder)
    found = [listed(path, lambda one: analysed(one, margin)) for path in paths[-last:]]
    if as_json:
        put(json.dumps([_record(one) for one in found], indent=2, ensure_ascii=False) + "\n")
    else:
        put("\n".join("".join(f"{line}\n" for line in _lines(one)) for one in found))
    if len(paths) > last:
        err.print(f"{len(paths) - last} older ones are not shown; --last {len(paths)} shows them, too.")


def _lines(run: Listed) -> Iterator[str]:
    yield run.run_id
    what = [run.when, f"lab {run.lab}" if run.lab else "", " ".join(run.profiles), run.state]
    yield _wrapped(", ".join(part for part in what if part))
    if run.problem:
        yield _wrapped(f"No answer: {run.problem}")
    for sentence in run.answer:
        yield _wrapped(sentence)
    if not run.problem and not run.answer:
        yield _wrapped(f"Its answer is no sentence; `harness compare {run.path}` shows it.")


def _wrapped(text: str) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _record(run: Listed) -> dict[str, Any]:
    far = run.progress
    return {
        "run_id": run.run_id,
        "path": str(run.path),
        "when": run.when or None,
        "lab": run.lab or None,
        "profiles": run.profiles,
        "state": run.state,
        "trials": far.done if far else None,
        "trials_planned": far.planned if far else None,
        "answer": run.answer,
        "problem": run.problem or None,
    }
