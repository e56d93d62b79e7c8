"""Outputs in the docs that the program prints anew: `python -m scripts.docs.outputs` puts them there.

A block is one of these where a comment above it says of what: `<!-- output: harness compare FOLDER -->`, with
`output 1-19:` for some lines of it. Commands are those that read kept runs only; what they print on standard output
counts.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from scripts.docs.pages import DOCS, REPO, TOP

_BLOCK = re.compile(
    r"^(?P<head><!-- output(?: (?P<first>\d+)-(?P<last>\d+))?: harness (?P<words>.+?) -->\n```\n)(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
PROGRAM = (sys.executable, "-c", "from harness.cli import main; main()")
READING = ("compare", "results", "history", "profiles", "examples", "plan")
"""Commands that only read, and so may be run for a page."""


@cache
def printed(words: str) -> str:
    """Return what the program prints with these words in the repository's folder, which must end with exit code 0."""
    argv = shlex.split(words)
    if argv[0] not in READING:
        raise ValueError(f"harness {words}: only {', '.join(READING)} are run for a page.")
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [*PROGRAM, *argv]
    done = subprocess.run(
        command,
        cwd=REPO,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())


def renewed(text: str, output: Callable[[str], str] = printed) -> str:
    """Return a page with each of these blocks as the program prints it now."""

    def block(match: re.Match[str]) -> str:
        lines = output(match["words"]).splitlines(keepends=True)
        if match["first"]:
            lines = lines[int(match["first"]) - 1 : int(match["last"])]
        return f"{match['head']}{''.join(lines).rstrip()}\n```"

    return _BLOCK.sub(block, text)


def pages() -> tuple[Path, ...]:
    """Return the pages that have such blocks."""
    return tuple(path for path in (*TOP, *sorted(DOCS.glob("*.md"))) if _BLOCK.search(path.read_text(encoding="utf-8")))


def main() -> None:
    """Renew every page, and say which ones changed."""
    for path in pages():
        before = path.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(REPO)}: outputs renewed")


if __name__ == "__main__":
    main()
