"""What `harness compare` costs beside reading its files with pandas. Prints ratios, asserts nothing.

`python -m tests.bench.compare [--blocks N] [--flows N] [--format FORM]`; two runs of a million trials each unless told
otherwise: 1000 blocks, 10 profiles, 50 numbers of flows at 2 MTUs. Nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.measures.registry import cells
from harness.model.path import Kind
from harness.model.trial import UNDERLAY, Timing
from harness.results.plan import Plan, Setup
from harness.results.schema import SCHEMA_VERSION, Columns

MTUS = (1450, 1500)
PROFILES = (UNDERLAY, *(f"tunnel{number}" for number in range(1, 10)))
SAMPLE = Path(__file__).parents[2] / "results" / "sample"
ROUNDS = 5
_MAIN = "import sys; from harness.cli import main; main()"
_READ = "import sys, pandas; [pandas.read_csv(path, usecols=sys.argv[1].split()) for path in sys.argv[2:]]"
UNUSED = ("started_at", "proof", "raw")
"""Columns that no report reads."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def plan_of(blocks: int, flows: int) -> Plan:
    setup = Setup(PROFILES, MTUS, MTUS[-1])
    made = cells(("iperf3",), {"flows": tuple(range(1, flows + 1))}, MTUS)
    return Plan("bench", setup, made, blocks, Timing(2.0, 1.0), seed=1)


def rows(plan: Plan, run_id: str, columns: Columns, scatter: random.Random) -> Iterator[list[object]]:
    """Yield the rows of a run, each as the harness would write it, figures scattered by 1 %."""
    names = columns.names
    figures = {"goodput_bps": 9e8, "client_cpu_s": 0.6, "server_cpu_s": 0.6, "inner_bytes": 3e8, "outer_bytes": 3.1e8}
    figures |= {"client_tools_cpu_s": 0.2, "server_tools_cpu_s": 0.3, "retransmits": 9, "stolen_ratio": 0.01}
    for block in range(1, plan.blocks + 1):
        machine = scatter.gauss(1, 0.02)
        for position, slot in enumerate(((one, cell) for one in PROFILES for cell in plan.cells), 1):
            profile, cell = slot
            row: dict[str, object] = dict(cell.levels)
            row |= {name: figure * scatter.gauss(machine, 0.01) for name, figure in figures.items()}
            row |= {"run_id": run_id, "block": block, "position": position, "profile": profile, "measure": "iperf3"}
            row |= {"setup": 1, "attempt": 1}
            row |= {"kind": Kind.UNDERLAY if profile == UNDERLAY else Kind.TUNNEL, "duration_s": 2, "status": "ok"}
            row |= {"started_at": f"2026-01-01T00:00:00.{position:03}+00:00", "path_state": "whole"}
            row |= {"proof": f"client -> server: {profile} {block * position} B in {position} packets, ens33 {block} B"}
            row |= {"raw": f"raw/b{block:02}-p{position:03}-{profile}-iperf3-tcp-{cell.mtu}-x{cell.flows}.json"}
            yield [row.get(name, "") for name in names]


def write(folder: Path, plan: Plan, seed: int) -> Path:
    """Write a run and return its trials.csv."""
    folder.mkdir()
    columns = Columns.of_measures(plan.measures, {name for cell in plan.cells for name, _ in cell.levels})
    path = folder / "trials.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.names)
        writer.writerows(rows(plan, folder.name, columns, random.Random(seed)))  # noqa: S311 - reproducible, no secret
    kinds = {name: {"kind": Kind.UNDERLAY if name == UNDERLAY else Kind.TUNNEL} for name in PROFILES}
    described: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "run_id": folder.name, "lab": "local"}
    described |= {"rate_bps": 1e9, "shared_kernel": True, "plan": plan.to_json(), "profiles": kinds}
    (folder / "run.json").write_text(json.dumps(described), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Cost:
    """What a program took: seconds of wall clock, seconds of CPU time, and the most memory in MB."""

    wall_s: float
    cpu_s: float
    most_mb: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s ({self.cpu_s:.2f} s of CPU time), {self.most_mb:.0f} MB"


def cost(argv: Sequence[str]) -> Cost:
    """Run a program of Python and return what it took."""
    started = time.monotonic()
    with subprocess.Popen([sys.executable, *argv], stdout=subprocess.DEVNULL) as program:
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        sys.exit(f"`{' '.join(argv)}` ended with exit code {program.returncode}.")
    return Cost(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def time_large(blocks: int, flows: int, form: str) -> None:
    """Time the comparison of two large runs against pandas reading the same columns of them."""
    plan = plan_of(blocks, flows)
    columns = Columns.of_measures(plan.measures, {name for cell in plan.cells for name, _ in cell.levels})
    with tempfile.TemporaryDirectory(prefix="bench-") as root:
        paths = [write(Path(root) / name, plan, seed) for seed, name in enumerate(("a", "b"))]
        used = " ".join(name for name in columns.names if name not in UNUSED)
        reading = cost(["-c", _READ, used, *map(str, paths)])
        comparing = cost(["-c", _MAIN, "compare", *map(str, paths), "--format", form])
    say(f"large: pandas reads 2 files of {plan.blocks * len(plan.cells) * len(PROFILES)} trials in {reading}")
    say(f"large: compare takes {comparing}")
    ratios = comparing.wall_s / reading.wall_s, comparing.cpu_s / reading.cpu_s
    say(f"large: {ratios[0]:.2f} times as long, {ratios[1]:.2f} times as much CPU time")


def time_sample() -> None:
    """Time what a user waits for who looks at one run, and what of it is loading."""
    newest = max(path for path in SAMPLE.iterdir() if path.is_dir())
    for what, argv in (
        ("compare", ("-c", _MAIN, "compare", str(newest))),
        ("Python alone", ("-c", "pass")),
        ("loading NumPy", ("-c", "import numpy")),
        ("loading pandas", ("-c", "import pandas")),
    ):
        fastest = min((cost(argv) for _ in range(ROUNDS)), key=lambda one: one.wall_s)
        say(f"sample: {what} takes {fastest} (best of {ROUNDS})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--blocks", type=int, default=1000)
    parser.add_argument("--flows", type=int, default=50, help="numbers of flows, each a cell at both MTUs")
    parser.add_argument("--format", default="table", dest="form")
    arguments = parser.parse_args()
    time_sample()
    time_large(arguments.blocks, arguments.flows, arguments.form)


if __name__ == "__main__":
    main()
