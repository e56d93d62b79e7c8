"""What a diagram of a trace is drawn with: text in a font of known width, lines, boxes, a light and a dark style."""

from __future__ import annotations

from html import escape

from harness.report.trace_names import folded

CHAR = 0.62
"""Width of a character as a share of its size; the fonts of `_STYLE` have .55 to .602 (advance of their glyphs)."""

_LIGHT = {
    "ground": "#ffffff",
    "ink": "#1f2328",
    "dim": "#59636e",
    "edge": "#c4ccd4",
    "band": "#eaeef2",
    "bare": "#0969da",
    "coat": "#f0b45c",
    "lost": "#cf222e",
}
_DARK = {
    "ground": "#0d1117",
    "ink": "#e6edf3",
    "dim": "#9198a1",
    "edge": "#3d444d",
    "band": "#21262d",
    "bare": "#58a6ff",
    "coat": "#9e6a03",
    "lost": "#ff7b72",
}
_FONT = "text{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;stroke-width:3px;paint-order:stroke}"
_SHAPES = ".edge{fill:none}.life{stroke-dasharray:3 4}.bold{font-weight:bold}.bareline,.lostline{stroke-width:2}"


class Canvas:
    """Shapes of a picture, in pixels from its upper left corner, in the order in which they are drawn."""

    def __init__(self, width: int) -> None:
        """Start an empty picture of this width; its height is told in the end."""
        self.width = width
        self._shapes: list[str] = []

    def text(
        self, x: float, y: float, said: str, *, size: float = 11, style: str = "ink", anchor: str = "start"
    ) -> None:
        """Put a line of text with its baseline at `y`; `anchor` is start, middle or end."""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" class="{style}">'
            f"{escape(said)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a line."""
        self._shapes.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def box(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """Draw a rectangle."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" class="{style}"/>'
        )

    def polygon(self, corners: list[tuple[float, float]], style: str) -> None:
        """Draw a filled polygon."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self._shapes.append(f'<polygon points="{joined}" class="{style}"/>')

    def dot(self, x: float, y: float, style: str) -> None:
        """Draw a dot."""
        self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="{style}"/>')

    def under(self, other: Canvas) -> None:
        """Put what another canvas has drawn underneath."""
        self._shapes = [*other._shapes, *self._shapes]

    def svg(self, height: float, title: str, description: str) -> str:
        """Return the picture, which needs nothing from elsewhere."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" '
            f'height="{height:.0f}" role="img" aria-labelledby="trace-title trace-desc">'
        )
        lines = [
            head,
            f'<title id="trace-title">{escape(title)}</title>',
            f'<desc id="trace-desc">{escape(description)}</desc>',
            f"<style>{_FONT}{_SHAPES}{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}</style>",
            f'<rect width="{self.width}" height="{height:.0f}" class="ground"/>',
            *self._shapes,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def _colours(of: dict[str, str]) -> str:
    texts = "".join(f"text.{name}{{fill:{of[name]};stroke:{of['ground']}}}" for name in ("ink", "dim", "lost"))
    filled = "".join(f".{name}{{fill:{of[name]}}}" for name in ("ground", "band", "bare", "coat", "lost"))
    lines = "".join(f".{name}line{{stroke:{of[name]}}}" for name in ("bare", "lost"))
    return (
        f"{texts}text.onband{{fill:{of['ink']};stroke:{of['band']}}}{filled}{lines}.edge,.life{{stroke:{of['edge']}}}"
    )


def wide(said: str, size: float) -> float:
    """Return the width of a text in pixels, rather too large than too small."""
    return len(said) * size * CHAR


def wrapped(said: str, room: float, size: float) -> list[str]:
    """Return text in lines that fit so many pixels."""
    return folded(said, max(int(room / (size * CHAR)), 1))
