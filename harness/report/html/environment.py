"""The environment of both nodes, side by side: what differs stands out, what is the same stands there once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.html.model import Figure, Grid, Group, Line
from harness.results.differences import node_settings
from harness.results.meta import RunMeta

_FIXED = "offloads"
READING = "As it was read before the first trial. A line that is marked differs between the nodes."


def environment_of(environment: Mapping[str, Any] | None, meta: RunMeta | None, name: str) -> Group | None:
    """Return what both nodes are, versions of programs first; None where nothing is known of them."""
    nodes = [*(environment or {})]
    lines = [*_versions(meta)]
    settings = [dict(node_settings(own)) for own in (environment or {}).values() if isinstance(own, dict)]
    names = dict.fromkeys(key for own in settings for key in own)
    offloads: list[Line] = []
    for key in names:
        values = tuple(own.get(key, "") for own in settings)
        if any(values):
            line = Line((key, *values), marked=len({*values}) > 1)
            (offloads if key.startswith(f"{_FIXED} ") else lines).append(line)
    if not lines and not offloads:
        return None
    headings = ("setting", *(nodes or (["client", "server"] if lines else [])))
    grids = [Grid("environment", headings, lines, is_of_words=True)]
    if offloads:
        grids.append(Grid("offloads of the NICs", headings, offloads, is_of_words=True))
    title = "Both nodes"
    return Group(f"{name}-environment", title, [Figure(f"{name}-nodes", "Environment", (), grids, READING)])


def _versions(meta: RunMeta | None) -> list[Line]:
    if meta is None:
        return []
    made = []
    for program, versions in meta.versions.items():
        values = tuple(version or "" for version in versions.values())
        if program != "kernel" and any(values):
            made.append(Line((program, *values), marked=len({*values}) > 1))
    return made
