"""docs/accuracy.md is what `make accuracy` prints, and the intervals do as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from harness.truth.stats import paired_ratio
from harness.truth.verdicts import Place, Question, answers
from tests.accuracy.coverage import COVERAGE
from tests.accuracy.families import FAMILIES
from tests.accuracy.selection import ALIKE
from tests.accuracy.simulate import TABLES, put
from tests.accuracy.tables import SEED, SETS, Case, Table
from tests.accuracy.verdicts import SAID, SMALLEST

REPO = Path(__file__).parents[2]
DOC = (REPO / "docs" / "accuracy.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def printed() -> dict[str, list[list[str]]]:
    """Return the page's tables by the heading right above them: head and rows."""
    found = re.findall(r"^## (.+)\n\n((?:\|.*\n)+)", DOC, re.MULTILINE)
    return {title: [cells(line) for line in lines.splitlines() if "---" not in line] for title, lines in found}


def shares(text: str) -> list[float]:
    return [float(share) for share in text.split(" / ")]


def test_page_has_the_tables_of_the_command_and_no_others() -> None:
    assert list(printed()) == [table.title for table in TABLES]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_page_has_the_rows_that_are_printed(table: Table) -> None:
    title, blank, *lines = table.lines(sets=4)
    assert (title, blank) == (f"## {table.title}", "")
    assert max(map(len, lines)) <= 80
    rows = [cells(line) for line in lines if "---" not in line]
    page = printed()[table.title]
    assert page[0] == rows[0]
    assert [row[0] for row in page[1:]] == [row[0] for row in rows[1:]]
    assert [[cell.count("/") for cell in row[1:]] for row in page[1:]] == [
        [cell.count("/") for cell in row[1:]] for row in rows[1:]
    ]


@pytest.mark.parametrize(
    ("table", "place"), [(SMALLEST, 2), (SAID, 4), (ALIKE, 1)], ids=["smallest loss", "said", "selection"]
)
def test_page_has_the_figures_that_are_printed(table: Table, place: int) -> None:
    """Each row has a generator of its own, so some tell whether the page is of this code."""
    assert printed()[table.title][1 + place] == table.row(table.cases[place])


@pytest.mark.parametrize("case", COVERAGE.cases, ids=lambda case: case.name)
def test_intervals_hold_the_truth_as_often_as_chance_allows(case: Case) -> None:
    """One run, and two runs by their own underlay: 93 to 97 % of all sets, give or take what so few sets scatter."""
    sets = 100
    low, high = binom.ppf(0.001, sets, 0.93), binom.ppf(0.999, sets, 0.97)
    one_run, ratios, _ = COVERAGE.figures(case, sets)
    for share in (*one_run, *ratios):
        assert low <= share * sets / 100 <= high


def test_page_says_what_was_asked_of_the_intervals() -> None:
    rows = {row[0]: row[1:] for row in printed()[COVERAGE.title][1:]}
    stalled = rows.pop("5 % stall, both arms")
    assert all(93 <= share <= 97 for row in rows.values() for text in row[:2] for share in shares(text))
    assert min(share for text in stalled for share in shares(text)) >= 93
    twice_the_error = 2 * (5 * 95 / SETS) ** 0.5
    for name, *row in printed()[FAMILIES.title][1:4]:
        assert shares(row[1])[0] <= 5 + twice_the_error, name


def test_loss_of_the_page_is_found_among_rows_without_any() -> None:
    """The page's figure is read off one row's interval at a family's narrowest level; here is a whole family."""
    (row,) = [row for row in printed()[SMALLEST.title] if row[0] == "1.0 %"]
    loss, sets = shares(row[2])[1] / 100, 150
    logs = np.random.default_rng(SEED).normal(0, 0.01, (sets, 18, 2, 10))
    logs[:, 0, 0] += np.log1p(-loss)
    found = 0
    for rows in np.exp(logs).tolist():
        answer = answers([Question(paired_ratio(ours, theirs)) for ours, theirs in rows], 0.0)[0]
        found += answer is not None and answer.place is Place.BELOW
    assert binom.ppf(0.001, sets, 0.8) <= found <= binom.ppf(0.999, sets, 0.8)


def test_a_seed_gives_the_same_again_and_another_seed_does_not() -> None:
    case = SMALLEST.cases[0]
    assert SMALLEST.row(case, 20, 1) == SMALLEST.row(case, 20, 1) != SMALLEST.row(case, 20, 2)


def test_tables_are_put_in_their_places_and_nothing_else_is_touched() -> None:
    page = "# Page\n\n## One\n\n| old |\n| --- |\n\nWords.\n\n## Two\n\n| b |\n\nMore.\n"
    changed = put(page, ["## One", "", "| new |", "| --- |", "| 1 |"])
    assert changed == page.replace("| old |\n| --- |\n", "| new |\n| --- |\n| 1 |\n")
    assert put(changed, ["## Three", "", "| c |"]) == f"{changed}\n## Three\n\n| c |\n"


@pytest.mark.parametrize("options", [("--sets", "0"), ("--seed", "-1"), ("--sets", "many"), ("--into", "nowhere.md")])
def test_bad_options_are_refused(options: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "tests.accuracy.simulate", *options]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert options[0] in done.stderr
