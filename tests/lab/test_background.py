"""A process that burns one core beside a run: seen before every trial, and no CPU time gets a plain verdict."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.measures.metrics import CPU_ROWS
from harness.truth.verdicts import MIN_BLOCKS
from tests.lab.bench import bench as own_bench
from tests.lab.hosts import hosts as own_hosts
from tests.lab.machine import OUT, Command, Machine
from tests.lab.runs import rows_of

pytestmark = pytest.mark.lab

WORDS = (
    f"run --profile vxlan --measure iperf3 --blocks {MIN_BLOCKS} --duration 1 --omit 0 --flows 1 --mtu 1450 --out {OUT}"
).split()
JUDGED = [name for name in CPU_ROWS if name != "busiest_cpu_ratio"]
Run = Callable[..., Command]


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burning:
        try:
            yield
        finally:
            burning.kill()


@pytest.fixture(name="run", params=["one kernel", "kernels of their own"])
def either_lab(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Iterator[Run]:
    """Run the harness on the local lab, or on hosts of which it is not told that they share a kernel."""
    if request.param == "one kernel":
        yield lambda *words: machine.run(tmp_path, *words)
        return
    with own_bench("none") as bench, own_hosts(bench, machine) as made:
        yield lambda *words: made.run(tmp_path, *words, "--lab", made.inventory())


def test_busy_core_beside_a_run(machine: Machine, run: Run) -> None:
    with busy_core():
        command = run(*WORDS)
    assert command.exit_code == 0, command.stderr
    (folder,) = [path for path in machine.results() if path.name in command.stderr]
    trials = rows_of(folder / "trials.csv")
    on_hosts = json.loads((folder / "run.json").read_text(encoding="utf-8"))["lab"] != "local"
    for name in ("client_background_cpus", "server_background_cpus") if on_hosts else ("foreign_cpu_s",):
        seen = [float(trial[name]) for trial in trials if trial[name] != ""]
        assert len(seen) > 0.8 * len(trials), "a trial that failed beside a busy core has no figure; few do"
        assert statistics.mean(seen) > 0.5, "of one core, in a second"
    summary = rows_of(folder / "summary.csv")
    judged = [row for row in summary if row["metric"] in JUDGED]
    assert {row["metric"] for row in judged} == set(JUDGED)
    # A kind of CPU time that was less than a tick in each trial of a profile has no ratio.
    disturbed = [row for row in judged if row["verdict"] != "no figure"]
    assert {row["metric"] for row in disturbed} >= {"cpu_s_per_gbit"}
    assert {row["verdict"] for row in disturbed} == {"disturbed"}
    assert all("of the CPU time that the trials used" in row["notes"] for row in disturbed)
    others = [row for row in summary if row["metric"] not in CPU_ROWS]
    assert others
    assert not [row for row in others if row["verdict"] == "disturbed" or "CPU time that" in row["notes"]]
