"""The recipes of docs/ci.md, run as they stand there; and the gate on a loss that is made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench.gate import gate, one_round
from tests.lab.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.other_labs]

REPO = Path(__file__).parents[2]
CODE = ("harness", "playbooks", "inventory")
SHORT = "[run]\nblocks = 6\nduration = 1\nomit = 0\n"
"""A harness.toml beside the recipe, by which its command measures for as long as it takes to decide 30 %."""


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


RECIPES = {"GitHub": github(), "GitLab": gitlab()}


@dataclass(frozen=True)
class Checkout:
    """A folder on a machine that holds what a recipe's commands find there."""

    machine: Machine
    at: Path

    def done(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "GITHUB_STEP_SUMMARY": "/run/checkout/summary.md"}
        argv = [*self.machine.enter(), "bash", "-e", "-c", f"cd /run/checkout\n{command}"]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module", name="measured")
def measured_twice(machine: Machine) -> Iterator[Checkout]:
    """A baseline, and a run beside it, both by the command that the recipes have in common."""
    made = Checkout(machine, machine.root / "run" / "checkout")
    made.at.mkdir()
    try:
        for name in CODE:
            (made.at / name).symlink_to(REPO / name)
        (made.at / "harness.toml").write_text(SHORT, encoding="utf-8")
        (made.at / ".venv").symlink_to(Path(sys.executable).parents[1])
        first = made.done(RECIPES["GitHub"][0])
        assert first.returncode == 0, first.stderr
        (made.at / "ci").mkdir()
        (folder,) = (made.at / "ci-results").iterdir()
        folder.rename(made.at / "ci" / "baseline")
        again = made.done(RECIPES["GitHub"][0])
        assert again.returncode == 0, again.stderr
        yield made
    finally:
        shutil.rmtree(made.at)


def test_recipes_measure_by_one_command() -> None:
    first, second = (commands[0].split() for commands in RECIPES.values())
    assert [word for word in first if word != "sudo"] == [word for word in second if word != "sudo"]


@pytest.mark.parametrize("commands", RECIPES.values(), ids=RECIPES)
def test_recipe_passes_against_its_own_baseline(measured: Checkout, commands: list[str]) -> None:
    """And stops beside one that was better by 30 %."""
    _, compared = commands
    passed = measured.done(compared)
    assert passed.returncode == 0, passed.stderr
    assert re.search(r"harness: (passed|not decided)", passed.stderr)
    comment = (measured.at / "comment.md").read_text(encoding="utf-8")
    assert comment.startswith("**vxlan: nothing is decided to be worse in B by more than 3 %")
    trials = measured.at / "ci" / "baseline" / "trials.csv"
    baseline = trials.read_text(encoding="utf-8")
    try:
        _raise_goodput(trials, 1.3)
        stopped = measured.done(compared)
    finally:
        trials.write_text(baseline, encoding="utf-8")
    assert stopped.returncode == 1, stopped.stderr
    assert "worse in B by more than 3 %: vxlan goodput tcp 1450 x1" in stopped.stderr


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
