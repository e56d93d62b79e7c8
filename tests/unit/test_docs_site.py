"""`make docs`: the site is built without a warning, and asks nobody for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scripts.docs import build, reference
from scripts.docs.pages import REPO

SOURCES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
"""What a browser fetches by itself."""
ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//")


class Fetched(HTMLParser):
    """Collects what a page makes a browser fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(attrs).get(SOURCES.get(tag, ""))
        if value and ELSEWHERE.match(value):
            self.found.append(value)


def fetched(text: str) -> list[str]:
    parser = Fetched()
    parser.feed(text)
    return parser.found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    argv = [sys.executable, "-m", "scripts.docs.build", str(folder)]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_site_has_every_page(site: Path) -> None:
    wanted = {place.removesuffix(".md") for place in build.places().values()}
    wanted |= {f"reference/{name}" for name in reference.pages()}
    made = {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}
    assert made == wanted | {"genindex", "search"}


def test_site_fetches_nothing(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert {str(path): fetched(text) for path, text in pages.items() if fetched(text)} == {}
    styles = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    outside = re.compile(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//")
    assert styles
    assert [str(path) for path, text in styles.items() if outside.search(text)] == []


def test_what_is_fetched_is_noticed() -> None:
    page = '<script src="//a/x.js"></script><link href="https://b/y.css"><img src="z.png"><a href="https://c">d</a>'
    assert fetched(page) == ["//a/x.js", "https://b/y.css"]


def test_links_are_turned(site: Path) -> None:
    contributing = (site / "project" / "CONTRIBUTING.html").read_text(encoding="utf-8")
    assert 'href="../profiles.html#a-profile-of-your-own"' in contributing
    results = (site / "results.html").read_text(encoding="utf-8")
    assert "compare.schema.json" in results
    assert "compare.schema.json</a>" not in results, "the site has no code to lead to"
    assert '<span class="pre">--profile</span>' in (site / "reference" / "commands.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*MystReferenceResolver")  # myst-parser asks Sphinx in an old way
@pytest.mark.parametrize("wrong", ["[a](#nowhere)", "[a](nowhere.md)", "![a](nowhere.png)"])
def test_a_warning_fails(wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(f"# Page\n\n{wrong}\n", encoding="utf-8")
    assert build.site(source, tmp_path / "site") != 0
    assert "nowhere" in capsys.readouterr().err
