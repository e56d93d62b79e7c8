"""What mutmut left in mutants/, judged: `make mutants`, or `python -m tests.mutated` for the table again.

A mutant counts as killed where a test failed with it. One that ran into mutmut's limit of time, one that no test
reaches and one that nobody could tell from the original all count against the tests. Exit code 1 below the bound.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

LEAST = 0.85
FOLDER = Path("mutants/harness/truth")
KILLED, SURVIVED, OVERDUE, UNREACHED, LEFT = "killed", "survived", "out of time", "no test", "not tried"
_OVERDUE = {24, -24, 36, 152, 255}
"""Exit codes of a test run that was ended by SIGXCPU (24), however that is told."""
_STATES: Mapping[int | None, str] = {0: SURVIVED, 1: KILLED, 3: KILLED, 5: UNREACHED, 33: UNREACHED, None: LEFT}


def state_of(code: int | None) -> str:
    """Return what became of a mutant, by the exit code of its tests; one that crashed them is killed."""
    return OVERDUE if code in _OVERDUE else _STATES.get(code, KILLED)


def counted(folder: Path) -> dict[str, Counter[str]]:
    """Return how many mutants of each module met which end."""
    found = {}
    for path in sorted(folder.glob("*.meta")):
        codes: dict[str, int | None] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            found[path.name.removesuffix(".meta")] = Counter(map(state_of, codes.values()))
    return found


def survivors(folder: Path) -> list[str]:
    """Return the names of the mutants that were not killed, for `mutmut show`."""
    return [
        name
        for path in sorted(folder.glob("*.meta"))
        for name, code in json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"].items()
        if state_of(code) != KILLED
    ]


def share(counts: Counter[str]) -> float:
    """Return the share that was killed, of all."""
    return counts[KILLED] / counts.total() if counts.total() else 0.0


def table(modules: Mapping[str, Counter[str]]) -> str:
    """Return the table, the whole last."""
    states = (KILLED, SURVIVED, OVERDUE, UNREACHED, LEFT)
    whole: Counter[str] = sum(modules.values(), Counter())
    shown = [state for state in states if state in (KILLED, SURVIVED) or whole[state]]
    lines = [f"{'':14}{'mutants':>9}" + "".join(f"{state:>13}" for state in shown) + f"{'share':>9}"]
    for name, counts in (*modules.items(), ("all", whole)):
        numbers = "".join(f"{counts[state]:>13}" for state in shown)
        lines.append(f"{name:14}{counts.total():>9}{numbers}{share(counts):>9.1%}")
    return "\n".join(lines)


def main() -> int:
    """Print the table and where what was not killed can be seen."""
    modules = counted(FOLDER)
    if not modules:
        sys.stderr.write(f"{FOLDER} holds no results; `make mutants` makes them.\n")
        return 2
    left = survivors(FOLDER)
    names = FOLDER.parents[1] / "survivors.txt"
    names.write_text("".join(f"{name}\n" for name in left), encoding="utf-8")
    sys.stdout.write(f"{table(modules)}\n{len(left)} not killed: {names}; `mutmut show NAME` shows one.\n")
    return int(share(sum(modules.values(), Counter())) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
