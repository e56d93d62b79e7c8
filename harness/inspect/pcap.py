"""Captures of a trace as files that Wireshark opens, with the names of what is in them."""

from __future__ import annotations

from pathlib import Path

from harness.inspect import decode, walk
from harness.inspect.trace import Traced
from harness.model.errors import InputError
from harness.model.trace import Frame, Trace


def save(traced: Traced, directory: Path) -> list[Path]:
    """Write a pcapng file for each point into a folder, which is made where there is none; return the files.

    Each frame's comment says which packet it is and whose its addresses are. Raises InputError where it cannot be
    written, or files of such names are there.
    """
    points = {point.number: point for point in traced.trace.points}
    files = {
        number: directory / f"{number:02}-{points[number].node}-{points[number].device}.pcapng"
        for number in sorted(traced.captures)
        if number in points
    }
    there = [path for path in files.values() if path.exists()]
    if there:
        raise InputError(f"{there[0]} is there already; give another folder.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number, path in files.items():
            captures = traced.captures[number]
            comments = {at: comments_of(one.frame, traced.trace) for at, one in enumerate(captures.frames)}
            decode.write(path, captures, comments, str(points[number]))
    except OSError as error:
        raise InputError(f"captures cannot be written: {error}.") from error
    return [*files.values()]


def comments_of(frame: Frame, trace: Trace) -> list[str]:
    """Return the comments of a frame: which packet it is, and whose its addresses are."""
    key = walk.key_of(frame)
    met = dict.fromkeys(str(value) for layer in frame.layers for value in layer.fields.values())
    names = [f"{address} = {trace.owners[address]}" for address in met if address in trace.owners]
    what = [" ".join(map(str, key))] if key else []
    return [*what, *([", ".join(names)] if names else [])]
