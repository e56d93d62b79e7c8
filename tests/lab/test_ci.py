"""The recipes of docs/ci.md, run as they stand there; and the gate on a loss that is made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench.gate import gate, one_round
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

REPO = Path(__file__).parents[2]
CODE = ("harness", "playbooks", "inventory")


def recipe(title: str) -> dict[str, Any]:
    """Return the YAML below a heading of docs/ci.md."""
    text = (REPO / "docs" / "ci.md").read_text(encoding="utf-8").partition(f"\n## {title}\n")[2]
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found, title
    made: dict[str, Any] = yaml.safe_load(found[1])
    return made


def github() -> list[str]:
    """Return what the steps of the recipe for GitHub run, but for what installs."""
    steps = recipe("GitHub Actions")["jobs"]["overlay"]["steps"]
    return [step["run"] for step in steps if "run" in step and step["run"] != "make setup"]


def gitlab() -> list[str]:
    return [line for line in recipe("GitLab")["overlay"]["script"] if line != "make setup"]


@pytest.mark.parametrize("commands", [github(), gitlab()], ids=["GitHub", "GitLab"])
def test_recipe_measures_and_passes_against_its_own_baseline(machine: Machine, commands: list[str]) -> None:
    """First without a baseline, as one is made; then beside it, and beside one that was better by 30 %."""
    at = machine.root / "run" / "checkout"
    at.mkdir()
    try:
        for name in CODE:
            (at / name).symlink_to(REPO / name)
        (at / ".venv").symlink_to(Path(sys.executable).parents[1])

        def done(command: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "GITHUB_STEP_SUMMARY": "/run/checkout/summary.md"}
            argv = [*machine.enter(), "bash", "-e", "-c", f"cd /run/checkout\n{command}"]
            return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)

        measure, compared = commands
        first = done(measure)
        assert first.returncode == 0, first.stderr
        (at / "ci").mkdir()
        (folder,) = (at / "ci-results").iterdir()
        folder.rename(at / "ci" / "baseline")
        again = done(measure)
        assert again.returncode == 0, again.stderr
        passed = done(compared)
        assert passed.returncode == 0, passed.stderr
        assert re.search(r"harness: (passed|not decided)", passed.stderr)
        comment = (at / "comment.md").read_text(encoding="utf-8")
        assert comment.startswith("**vxlan: nothing is decided to be worse in B by more than 3 %")
        trials = at / "ci" / "baseline" / "trials.csv"
        _raise_goodput(trials, 1.3)
        stopped = done(compared)
        assert stopped.returncode == 1, stopped.stderr
        assert "worse in B by more than 3 %: vxlan goodput tcp 1450 x1" in stopped.stderr
    finally:
        shutil.rmtree(at)


def _raise_goodput(trials: Path, factor: float) -> None:
    """Make a baseline's overlay better than it was."""
    head, *lines = trials.read_text(encoding="utf-8").splitlines()
    names = head.split(",")
    profile, goodput = names.index("profile"), names.index("goodput_bps")
    made = [head]
    for line in lines:
        cells = _cells(line)
        if cells[profile] == "vxlan":
            cells[goodput] = str(float(cells[goodput]) * factor)
        made.append(",".join(cells))
    trials.write_text("\n".join(made) + "\n", encoding="utf-8")


def _cells(line: str) -> list[str]:
    """Return the cells of a line with their quotes."""
    return re.findall(r'(?:^|(?<=,))("(?:[^"]|"")*"|[^,]*)', line)


def test_gate_stops_at_a_loss_that_was_made(machine: Machine, tmp_path: Path) -> None:
    """By 20 %, for other tests may run beside it; tests/bench/gate.py has 3 % on a quiet machine."""
    made = one_round(machine, tmp_path, tmp_path / "round", 0.2)
    code, said = gate(machine, tmp_path, made.base, made.worse)
    assert code == 1, said
    assert "worse in B by more than 1 %: vxlan goodput tcp 1450 x1 0." in said
