"""What pictures are drawn with: shapes and text as SVG, in one palette, light and dark, wherever they stand.

A picture is a file of its own, with its style inside and the system's choice of light or dark; or it stands in a page,
whose style sheet (`rules`) holds for all of its pictures, so that the page can choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

from harness.report.trace_names import folded


@dataclass(frozen=True)
class Font:
    """A family, and how wide a character is as a share of its size, rather too wide than too narrow."""

    name: str
    family: str
    char: float


MONO = Font("mono", "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace", 0.62)
"""Every character of these fonts has .55 to .602 of its size (advance of their glyphs)."""
SANS = Font("sans", "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif", 0.6)
"""Digits of these fonts have .55 to .64 of their size, small letters .5 to .6 in the mean of a text."""

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "ground": "#ffffff",
        "panel": "#f6f8fa",
        "ink": "#1f2328",
        "dim": "#59636e",
        "edge": "#c4ccd4",
        "rest": "#a5afb9",
        "band": "#eaeef2",
        "bare": "#0969da",
        "coat": "#f0b45c",
        "lost": "#cf222e",
        "good": "#1a7f37",
        "open": "#8a5700",
        "s0": "#57606a",
        "s1": "#0969da",
        "s2": "#bc4c00",
        "s3": "#1a7f37",
        "s4": "#8250df",
        "s5": "#bf3989",
        "s6": "#0b7285",
        "s7": "#7d6a00",
    }
)
DARK: Mapping[str, str] = MappingProxyType(
    {
        "ground": "#0d1117",
        "panel": "#161b22",
        "ink": "#e6edf3",
        "dim": "#9198a1",
        "edge": "#3d444d",
        "rest": "#545d68",
        "band": "#21262d",
        "bare": "#58a6ff",
        "coat": "#9e6a03",
        "lost": "#ff7b72",
        "good": "#3fb950",
        "open": "#d29922",
        "s0": "#9aa4af",
        "s1": "#58a6ff",
        "s2": "#f0883e",
        "s3": "#3fb950",
        "s4": "#bc8cff",
        "s5": "#f778ba",
        "s6": "#39c5cf",
        "s7": "#d4b72c",
    }
)
"""Colours by what they are for: `s0` to `s7` are those of series, the first one of what others are held against. All
stand out against ground and panel by 3:1 or more, those of text by 4.5:1 (WCAG 2.1, 1.4.3 and 1.4.11)."""
SERIES = 8
_ON = {"onband": "band"}
"""Text on something else than the ground: the ink of the ground, its halo that of what it is on."""
_SHAPES = {
    "edge": "fill:none",
    "life": "stroke-dasharray:3 4",
    "bold": "font-weight:bold",
    "dots": "stroke-linecap:round;stroke-width:5",
    "faint": "opacity:.5",
    "thick": "stroke-width:2.5",
    "dashed": "stroke-dasharray:6 4",
}
_LINES = ("edge", "life")
"""Shapes that are lines in the colour of an edge."""


class Canvas:
    """Shapes of a picture, in pixels from its upper left corner, in the order in which they are drawn.

    `style` is one or more words: a colour (`ink`, `s1`), a colour with `line` behind it for what is not filled, or a
    way of drawing (`bold`, `dashed`, `faint`).
    """

    def __init__(self, width: int, font: Font = MONO) -> None:
        """Start an empty picture of this width; how high it is, is known in the end."""
        self.width = width
        self.font = font
        self.shapes: list[str] = []
        self.styles: dict[tuple[str, str], None] = {}

    def text(
        self, x: float, y: float, said: str, *, size: float = 11, style: str = "ink", anchor: str = "start"
    ) -> None:
        """Put a line of text with its baseline at `y`; `anchor` is start, middle or end."""
        self._put(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" class="{style}">'
            f"{escape(said)}</text>",
            style,
            "text.",
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a line."""
        self._put(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>', style)

    def box(self, x: float, y: float, width: float, height: float, style: str, *, corner: float = 6) -> None:
        """Draw a rectangle, its corners rounded by so many pixels."""
        self._put(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{corner:g}" '
            f'class="{style}"/>',
            style,
        )

    def polygon(self, corners: Sequence[tuple[float, float]], style: str) -> None:
        """Draw a filled polygon."""
        self._put(f'<polygon points="{_joined(corners)}" class="{style}"/>', style)

    def polyline(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Draw lines from point to point."""
        self._put(f'<polyline points="{_joined(points)}" class="{style}"/>', style)

    def dot(self, x: float, y: float, style: str, radius: float = 3.5) -> None:
        """Draw a dot."""
        self._put(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{style}"/>', style)

    def dots(self, places: Iterable[tuple[float, float]], style: str, **about: str) -> None:
        """Draw many dots as one shape, a tenth of the size of as many circles; `about` is kept with it, as data-*."""
        drawn = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)
        said = "".join(f' data-{name}="{escape(text)}"' for name, text in about.items())
        self._put(f'<path d="{drawn}" class="dots {style}"{said}/>', f"dots {style}")

    def under(self, other: Canvas) -> None:
        """Put what another canvas has drawn underneath."""
        self.shapes = [*other.shapes, *self.shapes]
        self.styles = {**other.styles, **self.styles}

    def _put(self, shape: str, style: str, kind: str = "") -> None:
        self.shapes.append(shape)
        self.styles.update(dict.fromkeys((kind, word) for word in style.split()))


@dataclass(frozen=True)
class Picture:
    """A canvas that is drawn, down to its height, with what it is called and a description in words."""

    canvas: Canvas
    height: float
    title: str
    description: str

    def svg(self, name: str = "picture") -> str:
        """Return the picture as a file, which needs nothing from elsewhere; ids in it begin with its name."""
        font, size = self.canvas.font, f'width="{self.canvas.width}" height="{self.height:.0f}"'
        used = [("", "ground"), *self.canvas.styles]
        style = f"text{{font-family:{font.family}}}{_halo()}{_shapes(used)}{_colours(used, LIGHT.__getitem__)}"
        style += f"@media (prefers-color-scheme:dark){{{_colours(used, DARK.__getitem__)}}}"
        ground = f'<rect {size} class="ground"/>'
        return self._whole(name, f'xmlns="http://www.w3.org/2000/svg" {size}', [f"<style>{style}</style>", ground])

    def inline(self, name: str) -> str:
        """Return the picture for a page whose style sheet has `rules`; names are unique on the page."""
        return self._whole(name, f'class="picture {self.canvas.font.name}"', [])

    def _whole(self, name: str, front: str, first: Sequence[str]) -> str:
        """Return the picture with its title and description, which readers of screens read out."""
        box = f'viewBox="0 0 {self.canvas.width} {self.height:.0f}"'
        lines = [
            f'<svg {front} {box} role="img" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{escape(self.title)}</title>',
            f'<desc id="{name}-desc">{escape(self.description)}</desc>',
            *first,
            *self.canvas.shapes,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def rules() -> str:
    """Return the style of all pictures of a page that has the colours as variables, such as --ink."""
    texts = [("text.", name) for name in ("ink", "dim", "lost", "good", "open", *_ON, *_series())]
    shapes = [("", name) for name in (*_SHAPES, *LIGHT, *(f"{name}line" for name in LIGHT))]
    fonts = "".join(f".picture.{font.name} text{{font-family:{font.family}}}" for font in (MONO, SANS))
    scoped = [(f".picture {kind}", name) for kind, name in (*texts, *shapes)]
    return f"{fonts}{_halo('.picture ')}{_shapes(scoped)}{_colours(scoped, lambda name: f'var(--{name})')}"


def _series() -> list[str]:
    return [f"s{number}" for number in range(SERIES)]


def _halo(where: str = "") -> str:
    """Return what keeps text readable on top of lines: a rim in the colour of what it is on."""
    return f"{where}text{{stroke-width:3px;paint-order:stroke}}"


def _shapes(used: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"{kind if kind.endswith(' ') else ''}.{word}{{{_SHAPES[word]}}}"
        for kind, word in dict.fromkeys((kind.removesuffix("text."), word) for kind, word in used)
        if word in _SHAPES
    )


def _colours(used: Iterable[tuple[str, str]], colour: Callable[[str], str]) -> str:
    """Return the rules for the styles in use; `kind` says what they are of: text, or any shape."""
    made = []
    for kind, word in used:
        if kind.endswith("text."):
            if word in _ON or word in LIGHT:
                ink, ground = ("ink", _ON[word]) if word in _ON else (word, "ground")
                made.append(f"{kind}{word}{{fill:{colour(ink)};stroke:{colour(ground)}}}")
        elif word in _LINES:
            made.append(f"{kind}.{word}{{stroke:{colour('edge')}}}")
        elif word in LIGHT:
            made.append(f"{kind}.{word}{{fill:{colour(word)}}}")
        elif word.removesuffix("line") in LIGHT:
            made.append(f"{kind}.{word}{{fill:none;stroke:{colour(word.removesuffix('line'))}}}")
    return "".join(made)


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def wide(said: str, size: float, font: Font = MONO) -> float:
    """Return the width of a text in pixels, rather too large than too small."""
    return len(said) * size * font.char


def wrapped(said: str, room: float, size: float, font: Font = MONO) -> list[str]:
    """Return text in lines that fit so many pixels."""
    return folded(said, max(int(room / (size * font.char)), 1))
