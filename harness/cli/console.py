"""Consoles that commands print to: results to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)
