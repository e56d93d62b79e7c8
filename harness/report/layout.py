"""A summary or a comparison laid out for reading: sections of text cells and notes, whatever draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from harness.model.trial import PAIR_COLUMNS, UNDERLAY, Direction
from harness.report import matrix
from harness.report.compare import COMPARE_COLUMNS
from harness.report.decomposition import steps
from harness.report.notes import SEPARATOR, advice_first
from harness.report.sections import (
    Page,
    Row,
    Section,
    cell_name,
    interval_text,
    number_text,
    ratio_text,
    scale_of,
    sentence,
)

_TITLES = {
    "goodput_bps": "goodput",
    "udp_loss_ratio": "loss",
    "cpu_s_per_gbit": "CPU time",
    "rtt_p50_s": "round trip",
    "rtt_p99_s": "round trip",
}
_BASELINE = "baseline"
SUMMARY_LEGEND = (
    "ratio: against the baseline at its NIC's MTU, which is what a user loses. same MTU: against the baseline at the "
    "row's MTU, which is what the way itself costs. Both are paired by block. ceiling: what the headers allow. gap: "
    "ratio less ceiling in percentage points. Verdicts hold for all rows together (false discovery rate 5 %)."
)
COMPARE_LEGEND = (
    "ratio: B over A with a 95 % interval (Welch). The runs were not interleaved: drift of the machine between them "
    "shows as a difference. Verdicts hold for all rows together (false discovery rate 5 %)."
)


class Notes:
    """Footnotes: each advice once, with all the facts it is for; what holds for every row has no mark."""

    def __init__(self, frame: pd.DataFrame) -> None:
        columns = [str(text).split(SEPARATOR) if text else [] for text in frame["warnings"]]
        everywhere = (
            [text for text in columns[0] if all(text in other for other in columns)] if len(columns) > 1 else []
        )
        marked = [text for texts in columns for text in texts if text not in everywhere]
        self._texts = advice_first(marked)
        self._general = advice_first(everywhere)
        self._marks = {advice: number for number, advice in enumerate(self._texts, 1)}

    def marks(self, warnings: str) -> str:
        """Return the marks of a row, such as " [1,3]"."""
        keys = advice_first(warnings.split(SEPARATOR)) if warnings else {}
        numbers = sorted(self._marks[key] for key in keys if key in self._marks)
        return f" [{','.join(map(str, numbers))}]" if numbers else ""

    def lines(self) -> tuple[str, ...]:
        """Return the notes, marked ones first."""
        marked = [f"[{self._marks[advice]}] {sentence(advice, facts)}" for advice, facts in self._texts.items()]
        return (*marked, *(sentence(advice, facts) for advice, facts in self._general.items()))


def page(frame: pd.DataFrame) -> Page:
    """Lay out a summary (of a run or of its pairs) or a comparison, told apart by their columns."""
    if tuple(frame.columns) == PAIR_COLUMNS:
        return matrix.page(frame)
    compared = list(frame.columns) == COMPARE_COLUMNS
    notes = Notes(frame) if len(frame) else None
    sections: list[Section] = []
    group_columns = ["profile"] if compared else ["profile", "baseline"]
    titled = frame.assign(_title=frame["metric"].map(_TITLES), _way=frame["direction"])
    titled["_way"] = titled["_way"].map({direction.value: number for number, direction in enumerate(Direction)})
    for _, rows in titled.groupby([*group_columns, "_title", "_way"], sort=False):
        records = [{str(key): value for key, value in record.items()} for record in rows.to_dict("records")]
        make = _compare_section if compared else _summary_section
        sections.append(make(records, notes.marks if notes else str))
    sections += _decomposed(frame)
    legend = COMPARE_LEGEND if compared else SUMMARY_LEGEND
    return Page(str(frame.attrs.get("title", "")), tuple(sections), notes.lines() if notes else (), legend)


def _decomposed(frame: pd.DataFrame) -> list[Section]:
    """Return a section for each tunnel and routed profile that were measured together."""
    sections: dict[tuple[str, str], Section] = {}
    for step in steps(frame):
        section = sections.setdefault(
            (step.profile, step.routed),
            Section(
                f"Where the goodput of {step.profile} goes: underlay -> {step.routed} -> {step.profile}",
                "ratio",
                ("", "container path", "encapsulation", "product", "whole", "95 % interval"),
            ),
        )
        ratios = (step.container_path, step.encapsulation, step.product, step.whole)
        section.rows.append((step.cell, *map(ratio_text, ratios), interval_text(step.whole_low, step.whole_high)))
    return list(sections.values())


def _summary_section(rows: Sequence[Row], marks: Callable[[str], str]) -> Section:
    first = rows[0]
    divisor, unit, digits = scale_of(rows, "median", "baseline_median")
    with_ceiling = any(pd.notna(row["ceiling_ratio"]) for row in rows)
    compared = any(row["verdict"] for row in rows)
    section = Section(f"{first['profile']} against {first['baseline']}", _title(first), ())
    section.headings = ("", unit)
    if not with_ceiling:
        name = str(first["baseline"])
        section.headings += (name if len(name) <= len(_BASELINE) else _BASELINE,)
    section.headings += ("ratio", "95 % interval") if compared else ()
    section.headings += ("ceiling", "gap") if with_ceiling else ()
    section.headings += ("same MTU",) if compared else ()
    section.headings += ("verdict",) if compared else ("",)
    for row in rows:
        cells = [cell_name(row), number_text(row["median"], divisor, digits)]
        if not with_ceiling:
            cells.append(number_text(row["baseline_median"], divisor, digits))
        if compared:
            cells += [ratio_text(row["ratio"]), interval_text(row["ratio_low"], row["ratio_high"])]
        if with_ceiling:
            gap = 100 * (row["ratio"] - row["ceiling_ratio"])
            cells += [ratio_text(row["ceiling_ratio"]), f"{gap:+.2f}" if pd.notna(gap) else ""]
        if compared:
            cells.append(ratio_text(row["same_mtu_ratio"]))
        section.rows.append((*cells, f"{row['verdict']}{marks(row['warnings'])}".strip()))
    if with_ceiling:
        section.caption = _baselines(rows, divisor, unit, digits)
    return section


def _compare_section(rows: Sequence[Row], marks: Callable[[str], str]) -> Section:
    divisor, unit, digits = scale_of(rows, "median_a", "median_b")
    headings = ("", f"A {unit}", f"B {unit}", "ratio", "95 % interval", "verdict")
    section = Section(f"{rows[0]['profile']}: run B against run A", _title(rows[0]), headings)
    for row in rows:
        medians = [number_text(row[column], divisor, digits) for column in ("median_a", "median_b")]
        ratio = [ratio_text(row["ratio"]), interval_text(row["ratio_low"], row["ratio_high"])]
        section.rows.append((cell_name(row), *medians, *ratio, f"{row['verdict']}{marks(row['warnings'])}".strip()))
    return section


def _baselines(rows: Sequence[Row], divisor: float, unit: str, digits: int) -> str:
    """Return the baseline's own medians: one a protocol and number of flows, since it is the same at each MTU."""
    medians: dict[str, list[str]] = {}
    for row in rows:
        text = number_text(row["baseline_median"], divisor, digits)
        seen = medians.setdefault(f"{row['protocol']} x{row['flows']}", [])
        if text and text not in seen:
            seen.append(text)
    shown = ", ".join(f"{label} {' or '.join(texts)}" for label, texts in medians.items() if texts)
    where = "at its NIC's MTU " if rows[0]["baseline"] == UNDERLAY else ""
    return f"{rows[0]['baseline']} {where}: {shown} {unit}".replace(" :", ":") if shown else ""


def _title(row: Row) -> str:
    way = "" if row["direction"] == Direction.FORWARD else f", {row['direction']}"
    return f"{_TITLES[row['metric']]}{way}"
