"""Pages of runs in headless Chromium: `make test-browser`. What each is opened with is in check.mjs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.report.html.document import articles_of, page
from tests.unit.pages import large, rich

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "results/sample/20261125T104223Z-vxlan-1c69"
PAGES = ("sample", "full", "large")
VIEWS = [(scheme, width) for scheme in ("light", "dark") for width in ("wide", "phone")]
pytestmark = pytest.mark.browser

Seen = Mapping[tuple[str, str, str], Mapping[str, Any]]


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Return what check.mjs saw, by page, scheme and width. SHOTS=DIR in the environment keeps screenshots there."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"sample": SAMPLE, "full": rich(folder / "rich"), "large": large(folder / "big")}
    files = {name: folder / f"{name}.html" for name in PAGES}
    for name, file in files.items():
        file.write_text(page(articles_of([runs[name]])), encoding="utf-8")
    argv = [
        "node",
        str(HERE / "check.mjs"),
        str(shutil.which("chromium")),
        os.environ.get("SHOTS", "-"),
        *map(str, files.values()),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stderr
    return {(Path(one["file"]).stem, one["scheme"], one["name"]): one for one in json.loads(done.stdout)}


@pytest.fixture(params=[(name, *view) for name in PAGES for view in VIEWS], ids=" ".join)
def view(seen: Seen, request: pytest.FixtureRequest) -> Mapping[str, Any]:
    return seen[request.param]


def test_nothing_is_wrong_and_nothing_is_asked_for(view: Mapping[str, Any]) -> None:
    assert view["errors"] == []
    assert view["requests"] == []


def test_fits_its_window(view: Mapping[str, Any]) -> None:
    assert view["overflow"] <= 0


def test_axe_finds_nothing(view: Mapping[str, Any]) -> None:
    assert view["violations"] == []


def test_every_picture_is_named_described_and_whole(view: Mapping[str, Any]) -> None:
    assert len(view["figures"]) >= 7
    for figure in view["figures"]:
        assert figure["title"]
        assert len(figure["desc"]) > 10
        assert figure["named"]
        assert figure["outside"] == []


def test_colours_are_the_systems_until_the_button_is_pressed(view: Mapping[str, Any]) -> None:
    both = "rgb(255, 255, 255)", "rgb(13, 17, 23)"
    first, then = both if view["scheme"] == "light" else both[::-1]
    assert (view["background"], view["toggled"]) == (first, then)


@pytest.mark.parametrize("name", PAGES)
def test_a_dot_and_a_choice_show_the_proof_of_a_trial(seen: Seen, name: str) -> None:
    interaction = seen[name, "light", "wide"]["interaction"]
    for words in (interaction["dialog"], interaction["browsed"]):
        assert "Counters: " in words
        assert "CPU time of the client" in words
    assert interaction["dialog"].count("Counters: ") == 2, "a block is two trials"


def test_files_come_out_as_they_went_in(seen: Seen) -> None:
    files = seen["sample", "light", "wide"]["interaction"]["downloads"]
    for name in ("trials.csv", "series.csv", "run.json", "environment.json"):
        assert files[name] == (SAMPLE / name).read_text(encoding="utf-8")
