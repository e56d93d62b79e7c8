"""What the harness costs beside measuring: in a whole run, and in its playbooks. Prints ratios, asserts nothing.

`python -m tests.bench.overhead [--only run|playbooks] [OPTION…]`, as root; further options go to `harness run`.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.fabric.playbook import PlaybookRunner
from harness.labs.access import NIC_MTU
from harness.labs.local import LocalLab
from harness.measures.factors import FACTORS
from harness.measures.registry import MEASURES
from harness.model.errors import FailedTrialsError, VerificationError
from harness.model.jobs import Side
from harness.model.trial import MTU, UNDERLAY, Cell
from harness.results.meta import RUN_FILE, read_meta
from harness.results.plan import Setup

HARNESS = Path(sys.executable).with_name("harness")
NOOP = Path(__file__).with_name("noop")
SETUP = Setup((UNDERLAY, "vxlan"), tuple(map(int, FACTORS[MTU].default)), NIC_MTU)
ROUNDS = 3
COMPLETE = (0, VerificationError.exit_code, FailedTrialsError.exit_code)
"""Exit codes of a run that went through all of its trials."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def job_s(job: Mapping[str, Any], planned_s: float) -> float:
    """Return how long a client measured: iperf3's by plan, ping's by its deadline, 0 for one that failed."""
    if job.get("exit_code") != 0:
        return 0.0
    argv = job["argv"]
    return float(argv[argv.index("-w") + 1]) if "ping" in argv else planned_s


def attempt_s(raw: Path, planned_s: float) -> float:
    """Return how long one attempt measured: in each of its steps as long as the client that took longest."""
    steps = json.loads(raw.read_text(encoding="utf-8"))["steps"]
    clients = [[job for job in step["jobs"].values() if job["side"] == Side.CLIENT] for step in steps]
    return sum(max((job_s(job, planned_s) for job in jobs), default=0.0) for jobs in clients)


def measured_s(folder: Path) -> float:
    """Return the seconds of a run in which its tools measured, omitted ones and repeated trials included."""
    timing = read_meta(folder / RUN_FILE).plan.timing
    planned_s = timing.duration_s + timing.omit_s
    return sum(attempt_s(raw, planned_s) for raw in (folder / "raw").glob("*.json"))


@dataclass(frozen=True)
class Spent:
    """What trials took: all of them from the first one's start to the last one's end; each beyond the seconds that it
    measures, by measure; and the last ones of blocks beyond that again."""

    wall_s: float
    costs_s: Mapping[str, Sequence[float]]
    between_s: Sequence[float]

    @classmethod
    def of(cls, folder: Path) -> Spent:
        """Return what the trials of a run took, by when they started and when the last one was written."""
        timing = read_meta(folder / RUN_FILE).plan.timing
        with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
            rows = [*csv.DictReader(file)]
        starts = [datetime.fromisoformat(row["started_at"]).timestamp() for row in rows]
        ended = (folder / "trials.csv").stat().st_mtime
        costs: dict[str, list[float]] = {}
        lasts: list[tuple[str, float]] = []
        for row, following, start, end in zip(rows, [*rows[1:], None], starts, [*starts[1:], ended], strict=True):
            seconds = MEASURES[row["measure"]].seconds(Cell.of(row["measure"], mtu=int(row["mtu"])), timing)
            if following and following["block"] != row["block"]:
                lasts.append((row["measure"], end - start - seconds))
            else:
                costs.setdefault(row["measure"], []).append(end - start - seconds)
        usual = {name: statistics.median(own) for name, own in costs.items()}
        return cls(ended - starts[0], costs, [cost - usual[name] for name, cost in lasts])


def time_run(options: Sequence[str]) -> None:
    """Run the harness as a user does, and print what of its wall clock was not measuring."""
    with tempfile.TemporaryDirectory(prefix="bench-") as out:
        argv = [str(HARNESS), "run", "--profile", "vxlan", "--plan", "quick", *options, "--out", out]
        started = time.monotonic()
        exit_code = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode
        wall_s = time.monotonic() - started
        if exit_code not in COMPLETE:
            sys.exit(f"`{' '.join(argv)}` ended with exit code {exit_code}.")
        (folder,) = Path(out).iterdir()
        tools_s, spent = measured_s(folder), Spent.of(folder)
    say(f"run: {wall_s:.1f} s, its tools measured for {tools_s:.1f} s")
    say(f"run: outside measurement {wall_s - tools_s:.1f} s, {(wall_s - tools_s) / wall_s:.1%} of the whole")
    say(f"run: from the first trial's start to the last one's end {spent.wall_s:.1f} s")
    say(f"run: wall / measured {spent.wall_s / tools_s:.3f}")
    for name, costs in spent.costs_s.items():
        say(
            f"run: a trial of {name} costs {statistics.median(costs):.3f} s beyond its seconds (median of {len(costs)})"
        )
    between = statistics.median(spent.between_s) if spent.between_s else 0.0
    say(f"run: a look between blocks costs {between:.3f} s more (median of {len(spent.between_s)})")


def time_playbooks() -> None:
    """Time bringing up and verifying against a play of one idle task, on one lab and over warm connections."""
    with tempfile.TemporaryDirectory(prefix="bench-") as root:
        source = LocalLab(state_root=Path(root))
        lab = source.up()
        try:
            playbooks = PlaybookRunner(lab)

            def seconds(name: str) -> float:
                return playbooks.run(name, SETUP).seconds

            seconds(str(NOOP))  # connects
            rounds: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                rounds.append((seconds(str(NOOP)), seconds("up")))
                seconds("teardown")
        finally:
            source.down()
    noop_s, up_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(up / noop for noop, up in rounds)
    say(f"playbooks: one task {noop_s:.2f} s, bringing up and verifying {up_s:.2f} s (medians of {ROUNDS})")
    say(f"playbooks: bringing up and verifying takes {ratio:.2f} times a play of one task (median of {ROUNDS})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=("run", "playbooks"), help="leave the other one out")
    arguments, options = parser.parse_known_args()
    if arguments.only != "playbooks":
        time_run(options)
    if arguments.only != "run":
        time_playbooks()


if __name__ == "__main__":
    main()
