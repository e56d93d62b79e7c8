"""Reaching a node and reading it."""
