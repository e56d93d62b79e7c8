"""A run that is killed at ten random trials and resumed each time, beside one of the same seed that nothing interrupts.

    sudo .venv/bin/python -m tests.faults.resumed [--kills 10] [--seed N]

Rows, their order and their columns have to be the same, and each ratio of one table within the other's interval. Prints
both tables' ratios. Exit code 1 where it is otherwise.
"""

from __future__ import annotations

import argparse
import csv
import random
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults.endless_output import rows_in
from tests.lab.bench import eventually
from tests.lab.machine import OUT, Machine
from tests.lab.runs import rows_of

KILLS = 10
WORDS = "run --profile vxlan --mtu 1450 --flows 1 --duration 1 --omit 0 --blocks 6 --out".split()
TRIALS = 36
OWN = ("run_id", "setup", "started_at", "raw", "proof", "reason")
"""What is a trial's own, beside its figures."""
PLACE = ("block", "position", "attempt", "profile", "kind", "measure", "protocol", "direction", "mtu", "flows")


def killed(machine: Machine, folder: Path, at: list[int], seed: int) -> Path:
    """Run, be killed once so many trials are on disk, and be resumed; return the run's folder once it is at its end."""
    out = machine.root / OUT[1:] / "killed"
    words = [*WORDS, f"{OUT}/killed", "--seed", str(seed)]
    for number in at:
        with machine.start(folder, *words) as command:
            known = [path for path in out.iterdir()] if out.is_dir() else []  # noqa: C416 - as they are now

            def is_there(number: int = number, known: list[Path] = known) -> bool:
                found = known or (sorted(out.iterdir()) if out.is_dir() else [])
                return bool(found) and rows_in(found[0]) >= number

            assert eventually(lambda: is_there() or command.exit_code is not None, 120.0)
            assert command.exit_code is None, command.stderr
            command.send(signal.SIGKILL)
            command.wait()
        assert machine.run(folder, "lab", "down").exit_code == 0
        (made,) = out.iterdir()
        sys.stdout.write(f"killed at {number}, {rows_in(made)} trials are on disk\n")
        words = ["run", "--resume", "last", "--out", f"{OUT}/killed"]
    last = machine.run(folder, *words)
    assert last.exit_code == 0, last.stderr
    (made,) = out.iterdir()
    return made


def differences(one: Path, other: Path) -> list[str]:
    """Return in what two runs are not the same, but for their figures."""
    wrong = []
    headers = [next(csv.reader((path / "trials.csv").open(encoding="utf-8"))) for path in (one, other)]
    rows = [[tuple(row[name] for name in PLACE) for row in rows_of(path / "trials.csv")] for path in (one, other)]
    wrong += ["columns"] if headers[0] != headers[1] else []
    firsts = [[row for row in own if row[2] == "1"] for own in rows]  # what is measured once more is chance
    wrong += ["rows or their order"] if firsts[0] != firsts[1] or len(firsts[0]) != TRIALS else []
    empty = [
        [[bool(row[name]) for name in row if name not in OWN] for row in rows_of(path / "trials.csv")]
        for path in (one, other)
    ]
    wrong += ["which figures there are"] if empty[0][:1] != empty[1][:1] else []
    return wrong


def compared(one: Path, other: Path) -> list[str]:
    """Print both runs' ratios, and return those that are outside of each other's intervals."""
    wrong = []
    tables = [rows_of(path / "summary.csv") for path in (one, other)]
    for a, b in zip(*tables, strict=True):
        if not (a["ratio"] and b["ratio"]):
            continue
        name = f"{a['contrast']} {a['profile']} {a['measure']} {a['metric']}"
        texts = [
            f"{float(row['ratio']):.4f} ({_number(row['ratio_low'])}-{_number(row['ratio_high'])})" for row in (a, b)
        ]
        sys.stdout.write(f"{name}: {texts[0]} uninterrupted, {texts[1]} resumed on {b['setups']} set-ups\n")
        overlaps = float(a["ratio_low"]) <= float(b["ratio_high"]) and float(b["ratio_low"]) <= float(a["ratio_high"])
        wrong += [] if overlaps else [name]
    return wrong


def _number(text: str) -> str:
    return f"{float(text):.4f}" if text else "-"


def main() -> int:
    """Run both, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    given = parser.parse_args()
    at = sorted(random.Random(given.seed).sample(range(1, TRIALS), given.kills))  # noqa: S311 - said, and repeatable
    sys.stdout.write(f"seed {given.seed}\n")
    with Machine() as machine, tempfile.TemporaryDirectory() as folder:
        whole = machine.run(Path(folder), *WORDS, f"{OUT}/whole", "--seed", str(given.seed))
        assert whole.exit_code == 0, whole.stderr
        (one,) = (machine.root / OUT[1:] / "whole").iterdir()
        other = killed(machine, Path(folder), at, given.seed)
        wrong = [*differences(one, other), *compared(one, other)]
    sys.stdout.write(f"{len(wrong)} wrong{': ' if wrong else ''}{', '.join(wrong)}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
