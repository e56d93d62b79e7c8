"""Markdown pages taken apart: headings, links, blocks of text as it is, and the comments right above these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPO = Path(__file__).parents[2]
DOCS = REPO / "docs"
TOP = tuple(REPO / f"{name}.md" for name in "README CONTRIBUTING CHANGELOG SECURITY CODE_OF_CONDUCT".split())
"""The pages beside docs/."""
SHELL = "sh"
"""Language of a block that holds commands."""
GENERATED = "reference/"
"""Where the site has the pages that are made from the program, see `reference`."""

_PARSER = MarkdownIt("commonmark").enable("table")
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->\s*\Z", re.DOTALL)
_NOT_IN_SLUG = re.compile(r"[^\w\- ]")
_CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True)
class Block:
    """Text as it is, between fences; `line` is the first one of it, from 1, `comment` the HTML comment above it."""

    line: int
    language: str
    text: str
    comment: str = ""


@dataclass(frozen=True)
class Link:
    """Where a link or a picture leads to, as it is written; `line` is where its paragraph begins."""

    line: int
    target: str


@dataclass(frozen=True)
class Page:
    """What a page has, by kind; `words` is all of its text with the line that it is on, but for what blocks hold."""

    path: Path
    anchors: frozenset[str]
    links: tuple[Link, ...]
    blocks: tuple[Block, ...]
    words: tuple[tuple[int, str], ...]


def pages() -> tuple[Page, ...]:
    """Return every page that somebody wrote, those beside docs/ first."""
    return tuple(read(path) for path in (*TOP, *sorted(DOCS.glob("*.md"))))


def read(path: Path) -> Page:
    """Return what a page has."""
    tokens = _PARSER.parse(path.read_text(encoding="utf-8"))
    texts = [(token.map[0] + 1, token) for token in tokens if token.type == "inline" and token.map]
    return Page(
        path,
        frozenset(_slugs(tokens)),
        tuple(Link(line, target) for line, token in texts for target in _targets(token)),
        tuple(_blocks(tokens)),
        tuple((line, token.content) for line, token in texts),
    )


def commands(block: Block) -> Iterator[str]:
    """Yield the command lines of a block without their comments, each on one line."""
    for line in _CONTINUED.sub(" ", block.text).splitlines():
        command = re.split(r"(?:^|\s)#\s", line, maxsplit=1)[0].strip()
        if command:
            yield command


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return _NOT_IN_SLUG.sub("", heading.lower()).replace(" ", "-")


def _slugs(tokens: list[Token]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            name = slug("".join(part.content for part in token.children or () if part.type in ("text", "code_inline")))
            seen[name] = seen.get(name, -1) + 1
            yield f"{name}-{seen[name]}" if seen[name] else name


def _targets(token: Token) -> Iterator[str]:
    for part in token.children or ():
        target = part.attrGet("href") or part.attrGet("src")
        if target:
            yield str(target)


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence" and token.map:
            found = _COMMENT.search(before.content) if before and before.type == "html_block" else None
            yield Block(token.map[0] + 2, token.info.strip(), token.content, found[1] if found else "")
