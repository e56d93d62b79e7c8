"""What a page holds of the run's files: for download, and for the proof and the counters of any trial."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report.html.model import File
from harness.results.meta import ENVIRONMENT_FILE, RUN_FILE

MOST_BYTES = 24_000_000
"""Of a file that is put into a page; a larger one stays where it is."""
MOST_COUNTED = 400
"""Records of raw/ whose counters go into a page; each takes about half a millisecond."""
TRIALS_FILE = "trials.csv"
COUNTERS_FILE = "counters.json"
_COUNTERS = (
    *("IpForwDatagrams", "IpFragOKs", "IpFragCreates", "IpFragFails", "IpReasmReqds", "IpReasmOKs", "IpReasmFails"),
    *("IcmpInDestUnreachs", "IcmpOutDestUnreachs", "TcpInSegs", "TcpOutSegs", "TcpRetransSegs"),
    *("UdpInDatagrams", "UdpOutDatagrams", "UdpInErrors", "UdpRcvbufErrors"),
)
"""Counters that tell which way packets went, and what became of them."""
_SIDES = ("client", "server")


def files_of(folder: Path, summary: str, counters: Mapping[str, Any]) -> tuple[list[File], list[str]]:
    """Return the files of a run folder with today's summary, and the names of those that are too large."""
    files, left_out = [], []
    for name in (TRIALS_FILE, "summary.csv", "series.csv", RUN_FILE, ENVIRONMENT_FILE):
        path = folder / name
        if name != "summary.csv" and not path.is_file():
            continue
        content = summary.encode() if name == "summary.csv" else path.read_bytes()
        if len(content) > MOST_BYTES:
            left_out.append(name)
        else:
            files.append(packed(name, content))
    if counters:
        files.append(packed(COUNTERS_FILE, json.dumps(counters, separators=(",", ":")).encode()))
    return files, left_out


def packed(name: str, content: bytes) -> File:
    """Return a file compressed; the same content is the same text, whenever it is made."""
    return File(name, base64.b64encode(gzip.compress(content, 9, mtime=0)).decode(), len(content))


def records(path: Path) -> dict[str, str]:
    """Return where the record of each trial is, by the name of the trial; nothing where that cannot be told."""
    if path.stat().st_size > MOST_BYTES:
        return {}
    reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"), newline=""))
    header = next(reader, [])
    if not {"block", "position", "raw"} <= {*header}:
        return {}
    block, position, raw = (header.index(name) for name in ("block", "position", "raw"))
    attempt = header.index("attempt") if "attempt" in header else None
    made = {}
    for row in reader:
        if len(row) == len(header):
            again = row[attempt] if attempt is not None else "1"
            name = f"{row[block]}.{row[position]}" + ("" if again == "1" else f".{again}")
            made[name] = row[raw]
    return made


def counters_of(folder: Path, raw: Mapping[str, str]) -> dict[str, list[tuple[str, str, int]]]:
    """Return what counters rose by in each trial whose record is there: whose, of what, by how much."""
    made: dict[str, list[tuple[str, str, int]]] = {}
    for name, file in raw.items():
        path = folder / file
        if len(made) >= MOST_COUNTED:
            break
        if file and not path.is_absolute() and ".." not in path.parts and path.is_file():
            found = [*_risen(path)]
            if found:
                made[name] = found
    return made


def _risen(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield what rose in a trial, from the readings before its first and after its last step."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))["steps"]
        before, after = steps[0]["readings"]["before"], steps[-1]["readings"]["after"]
        for side, first, last in zip(_SIDES, before, after, strict=False):
            for device, counts in last.get("devices", {}).items():
                own = first.get("devices", {}).get(device, {})
                yield from _differences(f"{side} {device}", own, counts, [*counts])
            for where in ("node", "endpoint"):
                own, counts = first.get(where, {}), last.get(where, {})
                yield from _differences(f"{side} {where}", own, counts, _COUNTERS)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return


def _differences(
    whose: str, before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]
) -> Iterator[tuple[str, str, int]]:
    for name in names:
        rise = int(after.get(name, 0)) - int(before.get(name, 0))
        if rise:
            yield whose, name, rise
