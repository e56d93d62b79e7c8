"""Two runs started within 10 ms of each other on one standing lab, again and again: exactly one of them runs.

    sudo .venv/bin/python -m tests.faults.two_at_once [--times 50]

The first few go on to their end; of the others the one that runs is stopped by SIGTERM once it sets up. Prints a line
for each time that went wrong, and a table of exit codes. Exit code 1 where any did.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness.model.errors import INTERRUPTED
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of

TIMES, WHOLE = 50, 3
APART_S = 0.01
SETTING_UP = "setting up"
WORDS = f"run --blocks 1 --duration 1 --omit 0 --measure ping --out {OUT}".split()


def once(machine: Machine, folder: Path, *, whole: bool) -> tuple[tuple[int, int], float, str]:
    """Start two runs; return their exit codes, how far apart they started in seconds, and what went wrong."""
    wanted = 0 if whole else INTERRUPTED
    before = set(machine.results())
    with machine.start(folder, *WORDS) as first:
        started = time.monotonic()
        with machine.start(folder, *WORDS) as second:
            apart_s = time.monotonic() - started
            running = [first, second]
            while not whole and running:
                for command in [one for one in running if one.exit_code is not None or SETTING_UP in one.stderr]:
                    if command.exit_code is None:
                        command.send(signal.SIGTERM)
                    running.remove(command)
                time.sleep(0.05)
            codes = (first.wait(), second.wait())
    refused = second if codes[0] == wanted else first
    made = [path for path in machine.results() if path not in before]
    problems = [] if sorted(codes) == sorted([wanted, 3]) else [f"exit codes {codes}: {first.stderr} {second.stderr}"]
    problems += [] if "is in use by run " in refused.stderr else [f"no sentence: {refused.stderr!r}"]
    if not whole:
        problems += [f"results: {made}"] if made else []
    elif len(made) != 1 or {row["status"] for row in rows_of(made[0] / "trials.csv")} != {"ok"}:
        problems.append(f"results: {made}")
    return (codes[0], codes[1]), apart_s, "; ".join(problems)


def main() -> int:
    """Bring a lab up, try, and take it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES)
    times = parser.parse_args().times
    counts: Counter[tuple[int, int]] = Counter()
    most_s, wrong = 0.0, 0
    with Machine() as machine, tempfile.TemporaryDirectory() as folder:
        up = machine.run(Path(folder), "lab", "up")
        assert up.exit_code == 0, up.stderr  # a table of nothing would say that all went well
        number = 0
        while number < times:
            codes, apart_s, problem = once(machine, Path(folder), whole=number < WHOLE)
            if apart_s > APART_S and not problem:
                continue  # a busy machine: not what is asked, and nothing went wrong
            number += 1
            counts[codes] += 1
            most_s = max(most_s, apart_s)
            wrong += bool(problem)
            if problem:
                sys.stdout.write(f"{number}: {problem}\n")
        down = machine.run(Path(folder), "lab", "down")
        assert down.exit_code == 0, down.stderr
    for (first, second), count in sorted(counts.items()):
        sys.stdout.write(f"exit codes {first} and {second}: {count} times\n")
    sys.stdout.write(f"{times - wrong} of {times} times exactly one ran; started at most {most_s * 1e3:.1f} ms apart\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
