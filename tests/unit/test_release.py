"""`make release`: what is asked of a version before anything is built, and that tags and pyproject.toml agree."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

## [0.3.0] - 2026-12-01

### Added

- A thing.

## [0.2.0]

- Another.

## [0.1.0] - 2026-11-29
"""


@pytest.fixture(name="release", scope="module")
def _release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", REPO / "scripts" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_version_is_the_one_of_pyproject(release: ModuleType) -> None:
    text = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    assert release.version_of(text) == tomllib.loads(text)["project"]["version"]


@pytest.mark.parametrize("version", ["0.2", "1.0.0rc1", "0.1.0"])
def test_version_of_a_release(release: ModuleType, version: str) -> None:
    assert release.version_of(f'[project]\nversion = "{version}"') == version


@pytest.mark.parametrize("version", ["0.2.0.dev0", "0.2.0+local", "next", "0.2.0-1", "v0.2.0"])
def test_what_is_no_version_of_a_release_is_refused(release: ModuleType, version: str) -> None:
    with pytest.raises(release.NotReadyError, match=r"pyproject\.toml: .* write one such as 0\.2\.0"):
        release.version_of(f'[project]\nversion = "{version}"')


def test_section_is_that_of_the_version_alone(release: ModuleType) -> None:
    assert release.section_of(CHANGELOG, "0.3.0") == "### Added\n\n- A thing."


@pytest.mark.parametrize(
    ("version", "said"), [("0.4.0", "has no section for 0.4.0"), ("0.2.0", "has no date"), ("0.1.0", "is empty")]
)
def test_section_that_will_not_do_is_refused(release: ModuleType, version: str, said: str) -> None:
    with pytest.raises(release.NotReadyError, match=said):
        release.section_of(CHANGELOG, version)


@pytest.mark.parametrize("tags", [[], ["v0.1.0", "v0.2.9"], ["vnext", "old", "v0.9", "v0.10.0rc1"]])
def test_tag_is_newer_than_all_others(release: ModuleType, tags: list[str]) -> None:
    assert release.tag_for("0.10.0", tags) == "v0.10.0"


@pytest.mark.parametrize("tag", ["v0.10.0", "v0.11.0rc1", "v1"])
def test_tag_that_is_there_is_refused(release: ModuleType, tag: str) -> None:
    with pytest.raises(release.NotReadyError, match=f"the tag {tag} is there already, and 0.10.0 is not newer"):
        release.tag_for("0.10.0", ["v0.1.0", tag])


def test_builds_that_differ_are_told_by_their_files(release: ModuleType) -> None:
    assert release.unlike({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert release.unlike({"a": "1", "b": "2"}, {"a": "3", "c": "2"}) == ["a", "b", "c"]


def test_commands_that_publish_name_tag_and_files(release: ModuleType) -> None:
    said = release.publishing("v0.2.0", "0.2.0", ["dist/a.tar.gz", "dist/a.whl"])
    assert said == [
        'git tag -a v0.2.0 -m "vxlan-harness 0.2.0"',
        "git push origin v0.2.0",
        "pipx run twine upload dist/a.tar.gz dist/a.whl",
    ]


def git(folder: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_it_stops_before_anything_is_built_and_leaves_no_tag(tmp_path: Path) -> None:
    """In a repository of its own: first its tree is not clean, then CHANGELOG.md has nothing of the version."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPO / "scripts" / "release.py", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.5.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    argv = [sys.executable, "scripts/release.py"]
    for said in ("the tree is not clean (3 files)", "CHANGELOG.md has no section for 0.5.0"):
        done = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "all")
    assert git(tmp_path, "tag") == ""


def test_a_commit_with_a_tag_has_its_version() -> None:
    """Of a clone without tags there is nothing to ask."""
    found = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=REPO, check=False, capture_output=True, text=True)
    version = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert [tag for tag in found.stdout.split() if re.match(r"v\d", tag) and tag != f"v{version}"] == []
