"""Sections that show where a cost lies: on the container's path, or in the encapsulation."""

from __future__ import annotations

from collections.abc import Sequence

from harness.measures.registry import label_of
from harness.report.analysis import Analysis, Row
from harness.report.decomposition import Steps, by_section, steps
from harness.report.page import Scale, Section, interval_text, number_text, ratio_text, scale_of, signed_text
from harness.report.titles import row_name, section_title
from harness.report.told import GOODPUT

_STEPS = ("container path", "encapsulation")


def decomposed(analysis: Analysis) -> list[Section]:
    """Return a section for each tunnel and routed profile that were measured together, and each metric that is told."""
    sections = by_section(steps(analysis.rows)).values()
    return [_of_ratios(own) if own[0].metric.name == GOODPUT else _of_added(own) for own in sections]


def title_of(own: Sequence[Steps]) -> str:
    """Return what is taken apart here."""
    first = own[0]
    what = section_title(first.metric, first.cell.without("direction"))
    return f"Where the {what} of {first.profile} goes: underlay -> {first.routed} -> {first.profile}"


def _of_ratios(own: Sequence[Steps]) -> Section:
    headings = ("", *_STEPS, "product", "whole", "95 % interval")
    section = Section(title_of(own), "ratio", headings)
    for one in own:
        path, tunnel, whole = one.ratios
        texts = map(ratio_text, (path, tunnel, one.product, whole))
        section.rows.append((label_of(one.cell), *texts, interval_text(one.whole_row.interval)))
    return section


def _of_added(own: Sequence[Steps]) -> Section:
    scale = scale_of(own[0].metric, [one.whole_row.median for one in own])
    section = Section(title_of(own), scale[1], ("", "underlay", *_STEPS, "whole"), matrix=True)
    for one in own:
        base = number_text(one.whole_row.baseline_median, scale[0], scale[2])
        section.rows.append((row_name(one.metric, one.cell), base, *(_added_text(row, scale) for row in one.rows)))
    section.caption = "± is half of the 95 % interval"
    return section


def _added_text(row: Row, scale: Scale) -> str:
    """Return what a step adds, with how far its interval reaches to each side."""
    divisor, _, digits = scale
    interval = row.added_interval
    reach = "" if interval is None else f" ± {(interval.high - interval.low) / 2 / divisor:.{digits}f}"
    return f"{signed_text(row.added, divisor, digits)}{reach}"
