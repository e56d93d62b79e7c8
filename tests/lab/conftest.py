"""Fixtures of the lab tests. A lab is up in a sixth of a second, so every test that changes one has it to itself.

Nodes end with the thread that brought them up: pytest's own, in which fixtures run.
"""

import shutil
from collections.abc import Iterator

import pytest

from tests.lab.bench import Bench, bench, possible_profiles
from tests.lab.machine import Machine


@pytest.fixture(name="bench")
def own_bench() -> Iterator[Bench]:
    """A lab, its connections and its playbooks, for one test."""
    with bench() as made:
        yield made


@pytest.fixture(scope="session")
def up() -> Iterator[Bench]:
    """A lab with every profile that this kernel can do, for tests that only send traffic."""
    with bench() as made:
        made.play("apply", possible_profiles())
        yield made


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Where the command line runs without meeting anybody else's lab."""
    with Machine() as made:
        yield made


@pytest.fixture
def emptied(machine: Machine) -> None:
    """Take all results off the machine, which the tests of a module have in common."""
    for folder in machine.results():
        shutil.rmtree(folder)
