"""The file of a profile: YAML of bounded size, each key once, and a model that says what is wrong in which line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from harness.model.errors import NOT_UNDERSTOOD, InputError

MOST_BYTES, MOST_NODES, _MOST_DEPTH = 100_000, 10_000, 20
"""What a profile has at most; those that are shipped have up to 1,500 bytes and 123 nodes."""
# pydantic matches with Rust's regex crate, where `$` is the end of the text and nothing else.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class Part(BaseModel):
    """Base of everything in a profile: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Named(Part):
    """What has a file of its own, called as it is."""

    name: Name


Shape = TypeVar("Shape", bound=Named)
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: each command and playbook reads all profiles, so in a fifth of the time."""


def read(path: Path) -> tuple[Any, yaml.Node | None]:
    """Return what a profile's file says, and where in it; InputError for what is no YAML of a profile's size."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise InputError(f"profile {path} is no file of at most {MOST_BYTES} bytes.")
        text = path.read_text(encoding="utf-8-sig")
        _require_shallow(text, path)
        loader = _Loader(text)
        tree = loader.get_single_node()
        _require_bounded(tree, path)
        _refuse_duplicates(tree, path)
        return None if tree is None else loader.construct_document(tree), tree
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"profile {path} cannot be read: {error}.") from error
    except (yaml.YAMLError, *NOT_UNDERSTOOD) as error:
        raise InputError(f"profile {path} is not YAML: {error}") from error


def validated(shape: type[Shape], values: object, tree: yaml.Node | None, path: Path) -> Shape:
    """Return what a file says as it has to be; InputError names file and line of what is wrong with it."""
    try:
        # By way of JSON, for in strict mode that is where a list may become a tuple and a string an enumeration.
        made = shape.model_validate_json(_as_json(values, path))
    except ValidationError as error:
        first = error.errors()[0]
        line = _line_of(tree, first["loc"])
        where = ".".join(str(part) for part in first["loc"]) or "the profile"
        what = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        keys = f"; known keys are {', '.join(shape.model_fields)}" if len(first["loc"]) == 1 else ""
        raise InputError(f"{path}, line {line}: {where}: {what}{keys if what == 'unknown key' else ''}.") from error
    if made.name != path.stem:
        raise InputError(f"{path}: the profile's name is {made.name!r}; name the file {made.name}.yml.")
    return made


def _as_json(values: Any, path: Path) -> str:  # noqa: ANN401 - whatever the file has
    """Return a file's values as JSON; InputError for one that has no place there."""
    try:
        return json.dumps(values)
    except NOT_UNDERSTOOD as error:
        raise InputError(f"profile {path}: {error}; put the value in quotes.") from error


def _require_shallow(text: str, path: Path) -> None:
    """Raise InputError for what is nested deeper than any profile: libyaml composes by recursion, on C's stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH + 1:
            raise InputError(f"profile {path} is nested deeper than any profile.")


def _require_bounded(tree: yaml.Node | None, path: Path) -> None:
    """Raise InputError for aliases that stand for themselves, or for very much."""
    waiting, count = [] if tree is None else [(tree, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MOST_NODES or depth > _MOST_DEPTH:
            raise InputError(f"profile {path} is larger than any profile, or has an alias within itself.")
        if isinstance(node, yaml.CollectionNode):
            parts = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
            waiting += [(part, depth + 1) for part in parts]


def _refuse_duplicates(node: yaml.Node | None, path: Path) -> None:
    """Raise InputError for a key that stands twice: YAML itself would take the last one without a word."""
    children = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise InputError(f"{path}, line {key.start_mark.line + 1}: key {key.value!r} stands twice.")
            seen.add(str(key.value))
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        _refuse_duplicates(child, path)


def _line_of(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the line, from 1, of the deepest part of `location` that the document has."""
    node = tree
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == part]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
