"""Changed copies of good input: its bytes, its JSON values, its CSV fields."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

WORDS = (
    "",
    "0",
    "-1",
    "1",
    "NaN",
    "inf",
    "-inf",
    "1e999",
    "9" * 400,
    "0x" + "f" * 80,
    "1.2.3",
    "null",
    "true",
    "[]",
    "{}",
    '"',
    "'",
    ",",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\x1b[2J",
    "\ufeff",
    "²",
    "٣",
    "é" * 50,
    "\u202e",
    "[" * 2000,
    '{"a":' * 2000,
    "=1+1",
    "*",
    "&a [*a]",
    "!!bool x",
    "!!python/object:os.system",
    "<<",
    "---",
    "%s%n",
    "../../etc/passwd",
    "$(id)",
    "{{ 1 }}",
    "a" * 5000,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**63,
    10**400,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "0",
    "9" * 400,
    "\x1b[2J",
    "a" * 5000,
    [],
    {},
    [[]],
    [0],
    ["x"],
    [{}],
    {"a": 1},
    {"": None},
)
"""What a JSON value is replaced by."""


def of_bytes(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Return a copy with one to four pieces of it replaced, repeated, removed, or taken from another one."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        to = min(len(changed), at + rng.choice((0, 1, 2, 8, 60)))
        kind = rng.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif kind == 1:
            changed[at:to] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
        elif kind == 2:
            del changed[at:to]
        elif kind == 3:
            changed[at:at] = changed[at:to]
        elif kind == 4:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            changed[at:to] = other[start : start + rng.choice((1, 20, 200))]
        else:
            del changed[at:]
    return bytes(changed)


def of_json(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Return JSON with one to three values replaced, removed or repeated; what is none is changed as bytes are."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, rng, others)
    if rng.random() < 0.2 or not isinstance(value, dict | list):
        return of_bytes(data, rng, others)
    for _ in range(rng.randint(1, 3)):
        places = [*_places(value)]
        if not places:
            break
        holder, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 1:
            holder[rng.choice(WORDS)] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _places(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - a JSON document
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def of_csv(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Return lines with one to four fields replaced, or lines repeated, removed, swapped, or ended in another way."""
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 4)):
        at, kind = rng.randrange(len(lines)), rng.randrange(8)
        if kind < 4:
            fields = lines[at].split(b",")
            fields[rng.randrange(len(fields))] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
            lines[at] = b",".join(fields)
        elif kind == 4:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 5 and len(lines) > 1:
            del lines[at]
        elif kind == 6:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            return of_bytes(b"\n".join(lines), rng, others)
    data = rng.choice((b"\n", b"\n", b"\n", b"\r\n")).join(lines)
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + data


Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
