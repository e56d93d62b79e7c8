"""What docs/results.md says of each column of a CSV file: written there once, and taken from there by the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.measures.metrics import METRICS
from scripts.docs.pages import DOCS

_ROW = re.compile(r"^\| (?P<names>`[^|]*?) \| (?P<cells>.*) \|$", re.MULTILINE)
_NAME = re.compile(r"`([a-z0-9_]+)`")
_UNTIL = "…"
_HEADING = re.compile(r"^## ", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)(#?)")
_BELOW = "see below"


def described(section: str) -> Mapping[str, str]:
    """Return what the tables of a section of docs/results.md say of each column, for a page one folder below."""
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    own = next(part for part in _HEADING.split(text) if part.startswith(section))
    return dict(reversed([*_meanings(own)]))  # where two tables have a name, the first one counts


def _meanings(text: str) -> Iterator[tuple[str, str]]:
    for row in _ROW.finditer(text):
        meaning = row["cells"].split(" | ")[0]
        if meaning == _BELOW:
            meaning = "see [results](#summarycsv)"
        meaning = _LINK.sub(lambda link: "](../results.md#" if link[1] else "](../", meaning)
        for name in _named(row["names"]):
            yield name, meaning


def _named(cell: str) -> Sequence[str]:
    """Return the columns that a cell names, those between two with `…` too."""
    names = _NAME.findall(cell)
    if _UNTIL not in cell:
        return names
    known = list(METRICS)
    first, last = (known.index(names[0]), known.index(names[-1]))
    return [*known[first : last + 1], *names]
