"""Pictures as PNG, by a library that is an extra of this project: most people want none."""

from __future__ import annotations

ZOOM = 2.0
"""Pixels of the file for each of the picture, for screens and slides that show it larger."""


def png_of(svg: str) -> bytes | None:
    """Return an SVG picture in its light colours as PNG, None where the extra `png` is not installed."""
    try:
        import resvg_py  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM))
