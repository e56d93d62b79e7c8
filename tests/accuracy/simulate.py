"""The project's own statistics, driven by simulated figures whose truth is known. Prints tables, asserts nothing.

`python -m tests.accuracy.simulate [--sets N] [--seed N] [--into PAGE]`; docs/accuracy.md has what it prints, with what
it means, and is brought up to date by `--into docs/accuracy.md`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.accuracy.changes import CHANGES, DETECTORS
from tests.accuracy.coverage import COVERAGE, ONE_ARM
from tests.accuracy.families import FAMILIES
from tests.accuracy.levels import RUNS, SETUPS
from tests.accuracy.selection import ALIKE, BY_DEMAND
from tests.accuracy.stopping import STOPS
from tests.accuracy.tables import SEED, SETS
from tests.accuracy.verdicts import SAID, SMALLEST

TABLES = (COVERAGE, ONE_ARM, SETUPS, RUNS, FAMILIES, SMALLEST, SAID, STOPS, ALIKE, BY_DEMAND, DETECTORS, CHANGES)


def put(page: str, lines: Sequence[str]) -> str:
    """Return a page with a table in place of the one below its heading; a heading that is not there goes to the end."""
    text = "\n".join(lines) + "\n"
    below = re.compile(rf"^{re.escape(lines[0])}\n\n(?:\|.*\n)*", re.MULTILINE)
    return below.sub(lambda _: text, page) if below.search(page) else f"{page}\n{text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--sets", type=int, default=SETS, help=f"simulated sets a figure (default: {SETS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of all that is drawn (default: {SEED})")
    parser.add_argument("--into", type=Path, help="a page whose tables are replaced by those that are printed")
    options = parser.parse_args()
    if options.sets < 1 or options.seed < 0:
        parser.error("--sets takes a number from 1 up, --seed one from 0 up.")
    if options.into and not options.into.is_file():
        parser.error(f"--into: there is no file {options.into}; give it the page to bring up to date.")
    for table in TABLES:
        lines = list(table.lines(options.sets, options.seed))
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
        if options.into:
            options.into.write_text(put(options.into.read_text(encoding="utf-8"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
