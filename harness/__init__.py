"""Benchmark of container overlays against the bare network: what they cost, and why."""

__version__ = "0.1.0"
