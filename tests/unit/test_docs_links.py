"""Where the pages lead: every link, every anchor, and every file that a sentence names; README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.docs.build import external_links
from scripts.docs.pages import DOCS, REPO, TOP, Page, pages, read, slug

PAGES = pages()
ANCHORS = {page.path: page.anchors for page in PAGES}
FOLDERS = "docs harness inventory kubernetes playbooks results/sample scripts tests".split()
FILE = re.compile(rf"(?<![\w./<-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*]")
NOT_KEPT = {
    "inventory/mine.yml": "the reader's own",
    "harness/measures/x.py": "what somebody adds",
    "harness/shipped": "in a wheel only",
}
MOST_README_LINES = 119


def named(page: Page) -> str:
    return str(page.path.relative_to(REPO))


def dead(page: Page, known: dict[Path, frozenset[str]]) -> list[str]:
    """Return the links of a page that lead nowhere within the repository."""
    found = []
    for link in page.links:
        if re.match(r"https?://", link.target):
            continue
        path, _, anchor = link.target.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        if not target.exists() or (anchor and anchor not in known.get(target, frozenset())):
            found.append(f"{page.path.name}:{link.line}: {link.target}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Page) -> None:
    assert dead(page, ANCHORS) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_are_there(page: Page) -> None:
    words = [(line, name) for line, text in page.words for name in FILE.findall(text)]
    words += [(block.line, name) for block in page.blocks for name in FILE.findall(block.text)]
    assert [(line, name) for line, name in words if name not in NOT_KEPT and not any(REPO.glob(name))] == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "# A page\n\n## Twice\n\n## Twice\n\n[a](#twice-1) [b](#twice-2) [c](gone.md) ![d](gone.png)\n"
        "[e](page.md#a-page) [f](page.md#no) <https://example.org>\n\n```\n[g](gone.md)\n```\n",
        encoding="utf-8",
    )
    page = read(path)
    targets = [line.rpartition(" ")[2] for line in dead(page, {path: page.anchors})]
    assert targets == ["#twice-2", "gone.md", "gone.png", "page.md#no"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("One change of 0.5 % in 60 runs, sd 0.3 %", "one-change-of-05--in-60-runs-sd-03-"),
        ("Docker Swarm's overlay, in the local lab", "docker-swarms-overlay-in-the-local-lab"),
        ("raw/", "raw"),
    ],
)
def test_anchors_are_githubs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


def test_links_elsewhere_are_few_and_known() -> None:
    """They are not fetched: whoever adds one has looked."""
    assert external_links() == [
        "https://keepachangelog.com/en/1.1.0/",
        "https://man7.org/linux/man-pages/man7/user_namespaces.7.html",
        "https://semver.org/spec/v2.0.0.html",
        "https://www.contributor-covenant.org/version/2/1/code_of_conduct/",
    ]


def test_index_has_every_page() -> None:
    index = read(DOCS / "index.md")
    linked = {(DOCS / link.target).resolve() for link in index.links}
    pages_there = {page.path for page in PAGES if page.path not in (DOCS / "index.md", TOP[0])}
    assert linked == pages_there


def test_readme_is_short() -> None:
    assert len((REPO / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES
