"""How soon `harness run --plan answer` decides, and whether it is right. Prints figures, asserts nothing.

`python -m tests.bench.answer [--seeds 1,2,3] [--out FOLDER] [OPTION…]`, as root; further options go to `harness run`.
On the local lab's shaped link VXLAN costs its headers and no more, so that is the right answer.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness.report.analysis import analyse
from harness.report.narrow import against_underlay
from harness.report.trials import read_run
from harness.truth.verdicts import AgainstCeiling
from tests.bench.overhead import COMPLETE, HARNESS, Spent, measured_s, say

SEEDS = tuple(range(1, 11))


def run(seed: int, out: Path, options: Sequence[str]) -> Path:
    """Return the folder of a run with a seed; SystemExit where it did not go through its trials."""
    argv = [str(HARNESS), "run", "--plan", "answer", *options, "--seed", str(seed), "--out", str(out)]
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in COMPLETE:
        sys.exit(f"`{' '.join(argv)}` ended with exit code {done.returncode}: {done.stderr[-300:]}")
    (folder,) = out.iterdir()
    return folder


def show(seed: int, folder: Path) -> tuple[bool, Spent]:
    """Print how a run went, and return whether every row of goodput was answered rightly, and what trials took."""
    spent, tools_s = Spent.of(folder), measured_s(folder)
    started = time.perf_counter()
    analysis = analyse(read_run(folder, with_series=False))
    look_s = time.perf_counter() - started
    rows = [row for row in against_underlay(analysis.rows) if row.ceiling is not None]
    right = bool(rows) and all(row.against_ceiling is AgainstCeiling.HEADERS_ONLY for row in rows)
    said = "; ".join(f"x{row.cell.flows} {row.ratio and row.ratio.ratio:.4f} {row.against_ceiling}" for row in rows)
    blocks = max((row.blocks for row in rows), default=0)
    say(
        f"seed {seed}: {spent.wall_s:.1f} s, {blocks} blocks, wall / measured {spent.wall_s / tools_s:.3f}, "
        f"a look {1e3 * look_s:.0f} ms: {said}"
    )
    return right, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="one run each")
    parser.add_argument("--out", type=Path, help="where folders of runs are kept, one for each seed")
    arguments, options = parser.parse_known_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for seed in map(int, arguments.seeds.split(",")):
            out = (arguments.out or Path(temporary)) / f"seed-{seed}"
            results.append(show(seed, run(seed, out, options)))
    walls = [spent.wall_s for _, spent in results]
    say(f"answer: right in {sum(right for right, _ in results)} of {len(results)}")
    say(f"answer: from the first trial's start {statistics.median(walls):.1f} s (median), {max(walls):.1f} s at most")
    for name in ("iperf3", "ping"):
        costs = [cost for _, spent in results for cost in spent.costs_s[name]]
        cost_s = statistics.median(costs)
        say(f"answer: a trial of {name} costs {cost_s:.3f} s beyond its seconds (median of {len(costs)})")
    between = [cost for _, spent in results for cost in spent.between_s]
    say(f"answer: a look between blocks costs {statistics.median(between):.3f} s more (median of {len(between)})")


if __name__ == "__main__":
    main()
