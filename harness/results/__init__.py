"""The record of a run: one schema, written and read."""
