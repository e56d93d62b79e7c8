"""The site of docs/: `python -m scripts.docs.build FOLDER` puts it there, and fails for a warning.

Pages are copied, for links to be turned: the site has pages and no code, so a link to a file of the repository that is
no page becomes its words. The nav is the list of docs/index.md. Nothing is fetched, while building or by the pages.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from sphinx.cmd.build import build_main

from scripts.docs import reference
from scripts.docs.pages import DOCS, GENERATED, REPO, TOP, pages

CONF = Path(__file__).parent
PROJECT = "project/"
"""Where the site has the pages that stand beside docs/ in the repository."""
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)#\s]*)(#[^)\s]*)?\)")
_CAPTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ENTRY = re.compile(r"^- \[[^\]]*\]\(([^)#]+)\.md\)", re.MULTILINE)
_EXTERNAL = re.compile(r"https?://")


def places() -> Mapping[Path, str]:
    """Return where the site has each page of the repository; README is for GitHub, and index.md in its place."""
    docs = {path: path.name for path in sorted(DOCS.glob("*.md"))}
    return docs | {path: f"{PROJECT}{path.name}" for path in TOP if path.stem != "README"}


def stage(folder: Path) -> None:
    """Write what Sphinx makes the site of into a folder: pages with their links turned, pictures, the reference."""
    where = places()
    for path, place in where.items():
        text = _turned(path, path.read_text(encoding="utf-8"), where)
        if place == "index.md":
            text += _nav(text)
        if place == "reference.md":
            text += _toctree(GENERATED + name for name in reference.pages())
        _write(folder / place, text)
    for name, text in reference.pages().items():
        _write(folder / f"{GENERATED}{name}.md", text)
    for picture in (*DOCS.glob("*.png"), *DOCS.glob("*.svg")):
        shutil.copy(picture, folder / picture.name)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _turned(path: Path, text: str, where: Mapping[Path, str]) -> str:
    """Return a page's text with its links as they are in the site; blocks of code stay as they are."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if not target or _EXTERNAL.match(target):
            return match[0]
        place = where.get((path.parent / target).resolve())
        if place is None:
            return words
        up = "../" * where[path].count("/")
        return f"[{words}]({PurePosixPath(up, place)}{anchor})"

    kept = [match[0] for match in _FENCE.finditer(text)]
    parts = [_LINK.sub(link, part) for part in _FENCE.split(text)]
    return "".join(part + block for part, block in zip(parts, [*kept, ""], strict=True))


def _nav(index: str) -> str:
    """Return the nav: a list for each heading of the index that pages stand below."""
    _, *sections = _CAPTION.split(index)
    return "".join(
        _toctree(_ENTRY.findall(section), caption) for caption, section in zip(*[iter(sections)] * 2, strict=True)
    )


def _toctree(entries: Iterator[str] | list[str], caption: str = "") -> str:
    head = f":hidden:\n:titlesonly:\n:caption: {caption}\n" if caption else ":maxdepth: 1\n"
    return "\n```{toctree}\n" + head + "\n" + "".join(f"/{entry}\n" for entry in entries) + "```\n"


def external_links() -> list[str]:
    """Return the links out of the repository, each once; nobody looks whether they are there."""
    return sorted({link.target for page in pages() for link in page.links if _EXTERNAL.match(link.target)})


def site(source: Path, folder: Path) -> int:
    """Have Sphinx make pages of a folder into another one; a warning is a failure, as the exit code says."""
    with tempfile.TemporaryDirectory() as made:
        options = ["-q", "-W", "--keep-going", "-n", "-E", "-b", "html", "-c", str(CONF), "-d", made]
        return build_main([*options, str(source), str(folder)])


def main(folder: Path) -> int:
    """Build the site into a folder, whatever was in it before; the exit code is Sphinx's."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as source:
        stage(Path(source))
        code = site(Path(source), folder)
    if code == 0:
        links = external_links()
        print(f"{folder}/index.html; {len(links)} links lead elsewhere and were not tried:", *links, sep="\n  ")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPO / "build" / "site"))
