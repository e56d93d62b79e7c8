"""Sections that show where a cost lies: on the container's path, or in the encapsulation."""

from __future__ import annotations

from harness.measures.registry import label_of
from harness.report.analysis import Analysis
from harness.report.decomposition import steps
from harness.report.page import Section, interval_text, ratio_text


def decomposed(analysis: Analysis) -> list[Section]:
    """Return a section for each tunnel and routed profile that were measured together."""
    sections: dict[tuple[str, str], Section] = {}
    for step in steps(analysis.rows):
        section = sections.setdefault(
            (step.profile, step.routed),
            Section(
                f"Where the goodput of {step.profile} goes: underlay -> {step.routed} -> {step.profile}",
                "ratio",
                ("", "container path", "encapsulation", "product", "whole", "95 % interval"),
            ),
        )
        ratios = (step.container_path, step.encapsulation, step.product, step.whole)
        section.rows.append((label_of(step.cell), *map(ratio_text, ratios), interval_text(step.whole_interval)))
    return list(sections.values())
