"""What README and docs/ show of kept runs is what the program prints now; `make outputs` renews it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.docs import outputs
from scripts.docs.pages import REPO

PAGES = outputs.pages()
SAMPLE = "results/sample/20261125T104223Z-vxlan-1c69"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_outputs_are_those_of_the_program(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert outputs.renewed(text) == text


def test_readme_has_one_that_begins_with_the_answer() -> None:
    text = (REPO / "README.md").read_text(encoding="utf-8")
    assert REPO / "README.md" in PAGES
    shown = text.split(f": harness compare {SAMPLE} -->\n```\n")[1]
    assert shown.startswith("vxlan at MTU 1450 costs ")


def test_block_is_renewed_and_the_rest_is_left() -> None:
    page = "before\n\n<!-- output 2-3: harness results X -->\n```\nold\n```\n\n```\nkept\n```\n"
    asked: list[str] = []

    def printed(words: str) -> str:
        asked.append(words)
        return "one\ntwo\nthree\nfour\n"

    expected = "before\n\n<!-- output 2-3: harness results X -->\n```\ntwo\nthree\n```\n\n```\nkept\n```\n"
    assert outputs.renewed(page, printed) == expected
    assert asked == ["results X"]


def test_a_page_runs_nothing_that_measures() -> None:
    with pytest.raises(ValueError, match="only compare, "):
        outputs.printed("run --plan answer")
