"""The project's own statistics, driven by simulated figures whose truth is known. Prints tables, asserts nothing.

`python -m tests.accuracy.simulate [--sets N] [--seed N]`; docs/accuracy.md has what it prints, with what it means.
"""

from __future__ import annotations

import argparse
import sys

from tests.accuracy.coverage import COVERAGE, ONE_ARM
from tests.accuracy.families import FAMILIES
from tests.accuracy.levels import RUNS, SETUPS
from tests.accuracy.selection import ALIKE, BY_DEMAND
from tests.accuracy.stopping import STOPS
from tests.accuracy.tables import SEED, SETS
from tests.accuracy.verdicts import SAID, SMALLEST

TABLES = (COVERAGE, ONE_ARM, SETUPS, RUNS, FAMILIES, SMALLEST, SAID, STOPS, ALIKE, BY_DEMAND)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--sets", type=int, default=SETS, help=f"simulated sets a figure (default: {SETS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of all that is drawn (default: {SEED})")
    options = parser.parse_args()
    if options.sets < 1 or options.seed < 0:
        parser.error("--sets takes a number from 1 up, --seed one from 0 up.")
    for number, table in enumerate(TABLES):
        for text in ([""] if number else []) + list(table.lines(options.sets, options.seed)):
            sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
