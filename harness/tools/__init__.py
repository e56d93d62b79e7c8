"""Measuring tools by name; a new one is a module and a line here."""

from __future__ import annotations

from harness.tools.base import Tool
from harness.tools.iperf3 import Iperf3
from harness.tools.ping import Ping

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (Iperf3(), Ping())}
