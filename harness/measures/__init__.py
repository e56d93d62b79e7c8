"""Measuring tools by name; a new one is a module and a line here."""

from __future__ import annotations

from harness.measures.base import Tool
from harness.measures.iperf3 import Iperf3
from harness.measures.ping import Ping

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (Iperf3(), Ping())}
