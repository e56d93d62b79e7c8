"""The shipped schema of what is printed as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import harness.report

SCHEMA = json.loads(Path(harness.report.__file__).with_name("compare.schema.json").read_text(encoding="utf-8"))


def errors(document: Any, name: str = "") -> list[str]:  # noqa: ANN401 - any JSON
    """Return what is wrong with a document; `name` is the one of the schema's definitions that it has to be."""
    schema = SCHEMA if not name else {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]
