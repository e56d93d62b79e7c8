"""Formats of a trace: name -> what makes text of it that ends with a newline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.model.trace import Trace
from harness.report.trace_json import to_json
from harness.report.trace_markdown import markdown
from harness.report.trace_svg import svg
from harness.report.trace_text import text

FORMATS: Mapping[str, Callable[[Trace], str]] = MappingProxyType(
    {"text": text, "markdown": markdown, "json": to_json, "svg": svg}
)
