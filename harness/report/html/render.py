"""Articles as one page: HTML by templates that escape whatever is put into them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.report.canvas import DARK, LIGHT, Picture, rules
from harness.report.html.answer import STYLES
from harness.report.html.article import embedded
from harness.report.html.model import Article
from harness.truth.verdicts import Verdict

_TEMPLATES = Path(__file__).parent / "templates"
_KILO = 1000
_OPEN = (Verdict.INCONCLUSIVE, Verdict.DISTURBED)


def page(articles: Sequence[Article], title: str) -> str:
    """Return a page of these articles, which needs nothing from elsewhere and ends with a newline."""
    script = _text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made = _environment().get_template("page.html.j2")
    # What is marked as safe here is ours alone, word for word: files of this package, and pictures, whose canvas
    # escapes every text.
    return made.render(
        articles=articles,
        title=title,
        style=Markup(f"{_colours()}{_text('style.css')}{rules()}"),  # noqa: S704 - see above
        script=Markup(script),  # noqa: S704 - see above
        script_hash=f"sha256-{digest}",
        version=_version(),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "inline": _inline,
        "lines": _lines,
        "style_of_word": _style_of_word,
        "embedded": embedded,
        "bytes": _bytes,
        "heading": heading,
    }
    return environment


def heading(article: Article) -> str:
    """Return what stands on top of an article."""
    profiles = [*dict.fromkeys(answer.profile for answer in article.answers if answer.profile)]
    if not profiles:
        return article.title
    last = f" and {profiles[-1]}" if len(profiles) > 1 else ""
    front = ", ".join(profiles[:-1] or profiles)
    return f"What {front}{last} cost{'' if last else 's'} against the underlay"


def _inline(picture: Picture, name: str) -> Markup:
    return Markup(picture.inline(name))  # noqa: S704 - a canvas escapes every text


def _lines(text: str) -> Markup:
    """Return a text whose lines stay lines."""
    return Markup("<br>").join(escape(line) for line in text.split("\n"))


def _style_of_word(text: str) -> str:
    """Return the colour of a verdict by its words."""
    found = next((style for word, style in STYLES.items() if text.startswith(str(word))), "")
    return found or ("open" if text.startswith(tuple(map(str, _OPEN))) else "")


def _bytes(size: int) -> str:
    return f"{size} B" if size < _KILO else f"{size / _KILO:.0f} kB"


def _colours() -> str:
    """Return the colours as variables: the system's choice, unless the page's own button has made one."""

    def of(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in colours.items())

    return (
        f":root{{color-scheme:light dark;{of(LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{of(DARK)}}}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{of(DARK)}}}:root[data-theme=light]{{color-scheme:light}}"
        f"@media print{{:root,:root:not([data-theme=light]),:root[data-theme=dark]{{color-scheme:light;{of(LIGHT)}}}}}"
    )


@cache
def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _version() -> str:
    try:
        return version("vxlan-harness")
    except PackageNotFoundError:
        return "of a checkout"
