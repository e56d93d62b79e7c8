"""Text that somebody else wrote (a node, a program, a file) made fit to be shown: on a terminal, or in a sheet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (C0 but tab and newline, DEL, C1), what turns the direction of writing, half surrogates."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet runs (OWASP, CSV injection)."""


def printable(text: str) -> str:
    r"""Return a text in which what a terminal would obey is written out, as Python does: \x1b for ESC."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def shown(value: Any) -> Any:  # noqa: ANN401 - a JSON document
    """Return a JSON document whose every text, keys too, is printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): shown(own) for key, own in value.items()}
    return [shown(own) for own in value] if isinstance(value, list) else value


def brief(text: str, most: int = 200) -> str:
    """Return the end of a text on one line, printable, for a sentence that quotes it."""
    return printable(" ".join(text[-8 * most :].split()))[-most:]


def cell(value: object) -> object:
    """Return a value as a cell of a CSV file: a text is printable, and begins with ' where a spreadsheet would run it.

    What looks like a number is left as it is.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
