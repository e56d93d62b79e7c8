"""Measures, their factors and their metrics, in registries."""
