"""A release, up to the point where something would be published: `make release`, or `python scripts/release.py`.

Every step that can go wrong is taken: the tree is clean, CHANGELOG.md has a section for the version, no tag has it
yet, linters are content, wheel and sdist come out the same twice, and the wheel says its version in a fresh
environment. Then the commands that publish are printed. Nothing is published here, and no tag is made.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

REPO = Path(__file__).resolve().parents[1]
_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?\s*$", re.MULTILINE)
_TAG = "v"


class NotReadyError(Exception):
    """Something is missing for a release; its text says what, and what to do."""


def version_of(pyproject: str) -> str:
    """Return the version that pyproject.toml has, the only place where it is written."""
    text = str(tomllib.loads(pyproject)["project"]["version"])
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise NotReadyError(
            f"pyproject.toml: {text!r} is no version as PEP 440 has them; write one such as 0.2.0."
        ) from error
    if str(version) != text or version.is_devrelease or version.local:
        raise NotReadyError(
            f"pyproject.toml: {text} is no version of a release; write one such as {version.base_version}."
        )
    return text


def section_of(changelog: str, version: str) -> str:
    """Return what CHANGELOG.md says of a version, which has to be dated and must not be empty."""
    heads = [*_SECTION.finditer(changelog)]
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if head["name"] != version:
            continue
        text = changelog[head.end() : following.start() if following else None].strip()
        if not head["date"]:
            raise NotReadyError(
                f"CHANGELOG.md: the section [{version}] has no date; write `## [{version}] - YYYY-MM-DD`."
            )
        if not re.search(r"^- ", text, re.MULTILINE):
            raise NotReadyError(f"CHANGELOG.md: the section [{version}] is empty; say what changed for users.")
        return text
    raise NotReadyError(
        f"CHANGELOG.md has no section for {version}; put `## [{version}] - YYYY-MM-DD` below [Unreleased], above what "
        "that has."
    )


def tag_for(version: str, tags: Sequence[str]) -> str:
    """Return the tag of a version that is not released yet, newer than all that are."""
    released = {Version(tag.removeprefix(_TAG)): tag for tag in tags if re.fullmatch(r"v\d[\w.]*", tag)}
    newest = max(released, default=None)
    if newest is not None and Version(version) <= newest:
        raise NotReadyError(
            f"the tag {released[newest]} is there already, and {version} is not newer; raise the version in "
            "pyproject.toml."
        )
    return f"{_TAG}{version}"


def unlike(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Return the names of files that two builds do not have alike."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def publishing(tag: str, version: str, files: Sequence[str]) -> list[str]:
    """Return the commands that publish what was built, in their order."""
    return [
        f'git tag -a {tag} -m "vxlan-harness {version}"',
        f"git push origin {tag}",
        f"pipx run twine upload {' '.join(files)}",
    ]


def main() -> int:
    """Go through a release without publishing; exit code 2 where it is not ready."""
    try:
        _release()
    except NotReadyError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"release: `{' '.join(error.cmd)}` ended with {error.returncode}; mend that first.", file=sys.stderr)
        return 2
    return 0


def _release() -> None:
    dirty = _said("git", "status", "--porcelain")
    if dirty:
        raise NotReadyError(
            f"the tree is not clean ({len(dirty.splitlines())} files); commit, or stash, what is there."
        )
    version = version_of((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    tag = tag_for(version, _said("git", "tag", "--list").split())
    section_of((REPO / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    print(f"release: {version}, of {_said('git', 'log', '-1', '--format=%h %s')}")
    subprocess.run(["make", "--no-print-directory", "lint"], cwd=REPO, check=True)
    print("release: linters are content")
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        built = [_built(Path(folder) / name) for name in ("one", "other")]
        sums = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in one} for one in built]
        if unlike(*sums):
            raise NotReadyError(
                f"two builds differ in {', '.join(unlike(*sums))}; a build must depend on the commit alone."
            )
        print("release: two builds, of two clones, are the same")
        (wheel,) = (path for path in built[0] if path.suffix == ".whl")
        _try_out(wheel, Path(folder) / "env", version)
        print(f"release: installed into a fresh environment, it says {version}")
        kept = REPO / "dist"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        files = [Path(shutil.copy2(path, kept / path.name)).relative_to(REPO) for path in built[0]]
    for path in files:
        print(f"  {sums[0][path.name]}  {path}")
    print("Nothing was published, and no tag was made. This would:")
    print(*(f"  {line}" for line in publishing(tag, version, [*map(str, files)])), sep="\n")


def _said(*argv: str) -> str:
    return subprocess.run(argv, cwd=REPO, check=True, capture_output=True, text=True).stdout.strip()


def _built(clone: Path) -> list[Path]:
    """Return wheel and sdist of a clone of this commit, in which nothing lies that git does not know."""
    subprocess.run(["git", "clone", "--quiet", str(REPO), str(clone)], check=True)
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": _said("git", "log", "-1", "--format=%ct"),
        "PYTHONPATH": str(clone),
    }
    for argv in (["scripts/man.py", "man"], ["-m", "build", "--no-isolation", "--outdir", "dist", "."]):
        subprocess.run([sys.executable, *argv], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    return sorted((clone / "dist").iterdir())


def _try_out(wheel: Path, folder: Path, version: str) -> None:
    """Install a wheel, with all that it depends on, where nothing else is, and ask it for its version."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", str(wheel)], check=True)
    argv = [str(folder / "bin" / "harness"), "--version"]
    said = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    if said != f"harness {version}":
        raise NotReadyError(f"the installed wheel says {said!r}, and not {version}.")


if __name__ == "__main__":
    sys.exit(main())
