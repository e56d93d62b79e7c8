"""Hosts against each other: a client's row, a server's column, and what a pair says where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.canvas import SANS, Canvas, Picture, wide
from harness.report.plots import frame

_ROW = 30.0
_LEAST, _MOST = 56.0, 110.0
_TEXT = 12.5


def hosts(
    title: str, clients: Sequence[str], servers: Sequence[str], entries: Mapping[tuple[str, str], tuple[str, str]]
) -> Picture:
    """Return the matrix; an entry is a text and the colour of its verdict, by client and server."""
    left = frame.room_for(clients, 60)
    column = min(max([_LEAST, *(wide(name, _TEXT, SANS) + 12 for name in servers)]), _MOST)
    canvas = Canvas(int(max(left + column * len(servers) + 14, frame.WIDTH)), SANS)
    canvas.text(8, 18, "client", size=_TEXT, style="dim")
    canvas.text(left, 18, "server", size=_TEXT, style="dim")
    for number, name in enumerate(servers):
        canvas.text(left + column * (number + 0.5), 40, name, size=_TEXT, anchor="middle")
    y = 50.0
    for client in clients:
        canvas.text(8, y + 20, client, size=_TEXT)
        for number, server in enumerate(servers):
            text, style = entries.get((client, server), ("", ""))
            x = left + column * number
            canvas.box(x + 1, y + 1, column - 2, _ROW - 2, "band" if text else "panel", corner=3)
            if style:
                canvas.box(x + 1, y + 1, 5, _ROW - 2, style, corner=2)
            canvas.text(x + column / 2 + 2, y + 20, text, size=_TEXT, style="onband", anchor="middle")
        y += _ROW
    said = ". ".join(f"{client} to {server}: {text}" for (client, server), (text, _) in entries.items())
    return Picture(canvas, y + 10, title, said)
