"""Where imported files stand: profile, block and levels of each, from its path or from a mapping file.

A pattern is a path with names in braces, such as `{profile}/mtu{mtu}/x{flows}/{block}.json`; each takes what stands
there up to the next `/`, and `*` takes what nobody asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.measures.factors import FACTORS, whole
from harness.measures.registry import MEASURES
from harness.model.errors import NOT_UNDERSTOOD, InputError
from harness.model.factors import Value
from harness.model.text import brief
from harness.model.trial import MTU, UNDERLAY

MEASURE = "iperf3"
LEVELS = (MTU, *MEASURES[MEASURE].factors)
FIELDS = ("profile", "block", *LEVELS)
_MOST_BLOCKS = 100_000
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PART = re.compile(r"\{(\w*)\}|(\*)")


@dataclass(frozen=True)
class Place:
    """What is known of a file before it is read; None and nothing where neither path nor mapping tells."""

    profile: str
    block: int | None = None
    levels: Mapping[str, Value] = field(default_factory=dict)


class _Files(BaseModel):
    """What files of a name have in common: a pattern of names as a shell has it, and any of FIELDS."""

    model_config = ConfigDict(frozen=True, extra="allow")

    match: str


class _Mapping(BaseModel):
    """A mapping file: which profile is the bare network, which are plain routes, and what the files are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    underlay: str | None = None
    routed: tuple[str, ...] = ()
    path: str | None = None
    files: tuple[_Files, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How the place of a file is told. `underlay` is what the bare network is called, `routed` are plain routes.

    `files` are patterns of paths with what they say, later ones before earlier ones, and all before `path`. `usual` are
    levels of files that do not tell theirs.
    """

    path: re.Pattern[str] | None
    underlay: str = UNDERLAY
    routed: tuple[str, ...] = ()
    files: tuple[tuple[str, Mapping[str, str]], ...] = ()
    usual: Mapping[str, Value] = field(default_factory=dict)

    def place(self, path: str) -> Place:
        """Return the place of a file, by its path within the folder; InputError where its profile cannot be told."""
        said: dict[str, str] = {}
        match = self.path.fullmatch(path) if self.path else None
        said |= match.groupdict() if match else {}
        rules = [fields for pattern, fields in self.files if fnmatchcase(path, pattern)]
        for fields in rules:
            said |= fields
        if self.path and not match and not rules:
            raise InputError("its path is not as the pattern says")
        if "profile" not in said:
            raise InputError("nothing says which profile it is of")
        if not _PROFILE.fullmatch(said["profile"]):
            raise InputError(f"{said['profile']!r} is no name of a profile; use letters, digits, dots and dashes")
        block = whole(1, _MOST_BLOCKS)(said["block"].lstrip("0") or "0") if "block" in said else None
        name = UNDERLAY if said["profile"] == self.underlay else said["profile"]
        return Place(name, block, {one: FACTORS[one].parse(said[one]) for one in LEVELS if one in said})


def rules_of(path: str | None, mapping: Path | None, underlay: str | None, usual: Mapping[str, Value]) -> Rules:
    """Return the rules of a pattern and a mapping file, the pattern and the underlay's name before what that file says.

    `usual` holds for files of which nothing else is said. Raises InputError for what cannot be used.
    """
    given = _mapping(mapping) if mapping else _Mapping()
    pattern = path or given.path
    files = tuple((one.match, _fields(one.model_extra or {}, f"files, {one.match!r}")) for one in given.files)
    if pattern is None and not files:
        raise InputError(
            "nothing says which profile a file is of; give a pattern of their paths such as "
            "'{profile}/x{flows}/{block}.json', or a mapping file."
        )
    compiled = _compiled(pattern) if pattern else None
    return Rules(compiled, underlay or given.underlay or UNDERLAY, given.routed, files, dict(usual))


def _mapping(path: Path) -> _Mapping:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _Mapping.model_validate(value or {})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; see docs/import.md.") from error
    except (OSError, yaml.YAMLError, *NOT_UNDERSTOOD) as error:
        raise InputError(f"{path} cannot be read as YAML: {brief(str(error))}") from error


def _fields(fields: Mapping[str, Any], where: str) -> dict[str, str]:
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise InputError(f"{where}: {unknown[0]!r} is unknown; there are {', '.join(FIELDS)}.")
    return {name: str(value) for name, value in fields.items()}


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of paths as a regular expression."""
    text, end, seen = "", 0, set[str]()
    for part in _PART.finditer(pattern):
        text += re.escape(pattern[end : part.start()])
        end = part.end()
        name = part[1]
        if part[2]:
            text += "[^/]*"
            continue
        if name not in FIELDS:
            raise InputError(f"{pattern!r}: {{{name}}} is unknown; there are {', '.join(FIELDS)}.")
        if name in seen:
            raise InputError(f"{pattern!r}: {{{name}}} stands twice; use * for what is there again.")
        seen.add(name)
        text += f"(?P<{name}>[^/]+?)"
    return re.compile(text + re.escape(pattern[end:]))
