"""The reference pages have all that the program has, and pages that tell it in words agree with them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from harness.cli import app
from harness.fabric.profiles import known_profiles
from harness.measures.factors import FACTORS
from harness.measures.metrics import METRICS
from harness.measures.registry import MEASURES
from harness.results.schema import Columns
from scripts.docs import reference
from scripts.docs.pages import DOCS

PAGES = reference.pages()
ROW = re.compile(r"^\| `?([a-z0-9-]+)`? .*?\| (\d+) \| (\d+) \| ([0-9.]+) \|$", re.MULTILINE)


def options(command: click.Command, words: tuple[str, ...] = ("harness",)) -> Iterator[tuple[str, str]]:
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            yield from ((" ".join(words), name) for name in param.opts)
    for name, below in sorted(command.commands.items()) if isinstance(command, click.Group) else ():
        yield from options(below, (*words, name))


@pytest.mark.parametrize("where", sorted({where for where, _ in options(app)}))
def test_commands_have_every_option(where: str) -> None:
    section = PAGES["commands"].partition(f"\n## {where}\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", section))
    assert {name for command, name in options(app) if command == where} <= named
    assert "\b" not in section


def test_configuration_has_what_a_file_may_say() -> None:
    section = PAGES["configuration"].partition("## [run]\n")[2].partition("\n## ")[0]
    assert "| `profile` | a text, or a list |" in section
    assert "| `flows` | a text, or a list |" in section
    assert "| `keep` | `true`, `false` |" in section
    assert "debug" not in PAGES["configuration"]


def test_columns_of_trials_are_those_of_a_run_of_everything() -> None:
    """All are told in docs/results.md, or making the page would have failed."""
    names = [cells[0].strip("`") for cells in reference.columns()["trials.csv"]]
    assert names == list(Columns.of_measures(MEASURES, FACTORS).names)


def test_exit_codes_are_those_of_results_md() -> None:
    section = (DOCS / "results.md").read_text(encoding="utf-8").partition("## Exit codes")[2]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == [*reference.exit_codes()]


@pytest.mark.parametrize("name", ["profiles.md", "backend.md"])
def test_profiles_have_these_headers_and_ceilings(name: str) -> None:
    """In words, and with figures that were typed."""
    profiles = {one.name: reference.figures(one) for one in reference.shipped_profiles()}
    told = {
        row[1]: (int(row[2]), int(row[3]), f"{float(row[4]):.4g}")
        for row in ROW.finditer((DOCS / name).read_text(encoding="utf-8"))
    }
    assert told
    assert told == {one: (*profiles[one][:2], f"{profiles[one][2]:.4g}") for one in told}
    assert name != "profiles.md" or set(told) == set(known_profiles())


def test_registries_are_there_as_a_whole() -> None:
    for name in (*MEASURES, *FACTORS, *METRICS):
        assert f"| `{name}`" in PAGES["measures"], name


def test_plain_text_stays_plain() -> None:
    assert reference.table(("a",), [["x|y\nz"]]) == "| a |\n|---|\n| x\\|y z |\n"
    assert reference._text("a*b `c*d` <e> [f]") == r"a\*b `c*d` \<e> \[f\]"
