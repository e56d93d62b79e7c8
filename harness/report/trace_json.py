"""A trace as JSON, and back: every other format can be made again from it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.model.errors import InputError
from harness.model.trace import Trace

SCHEMA_VERSION = 1
"""Rises when a file of this kind could no longer be read by a reader of the version before."""

_TRACE = TypeAdapter(Trace)


def to_json(trace: Trace) -> str:
    """Return a trace as JSON text: times in seconds, sizes in bytes, names as in `harness.model.trace`."""
    # A mapping that cannot be changed (MappingProxyType) is as good as a dict, but pydantic has to be told.
    fields = _TRACE.dump_python(trace, mode="json", fallback=dict, warnings=False)
    plain = {"schema_version": SCHEMA_VERSION, "trace": fields}
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, source: str = "the trace") -> Trace:
    """Return the trace that `to_json` wrote; `source` says where the text is from.

    Raises:
        InputError: the text is not such a trace; it names the field that is wrong.
    """
    try:
        plain: Any = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is not JSON: {error}; give a file that a trace was written to as JSON.") from error
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{source} has schema_version {version!r}, not {SCHEMA_VERSION}; give a trace's JSON of this version."
        )
    try:
        return _TRACE.validate_json(json.dumps(plain.get("trace")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("trace", *first["loc"])))
        raise InputError(f"{source}, {where}: {first['msg']}; restore the file or trace again.") from error
