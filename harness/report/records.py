"""An analysis for other programs: records of plain values, as CSV and as JSON, unscaled and complete."""

from __future__ import annotations

import csv as standard_csv
import io
import json as standard_json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.model.notes import Note
from harness.model.text import cell
from harness.report.analysis import Analysis, Row
from harness.report.comparison import ComparedRow, Comparison
from harness.report.notes import text_of
from harness.report.samples import Basis, Sample
from harness.results.meta import RunMeta
from harness.results.schema import SCHEMA_VERSION
from harness.truth.shares import Difference
from harness.truth.spread import Spread
from harness.truth.stats import Interval, Ratio

Record = dict[str, Any]
_RATIO = "ratio"


def summary_records(analysis: Analysis) -> list[Record]:
    """Return one record a contrast and metric, keys in the order of the columns of summary.csv."""
    factors = list(analysis.columns.factors)
    return [_summary_record(row, factors) for row in analysis.rows]


def _summary_record(row: Row, factors: Sequence[str]) -> Record:
    contrast = row.contrast
    return {
        "contrast": contrast.against.value,
        "profile": contrast.profile,
        "baseline": contrast.baseline,
        "measure": row.cell.measure,
        **{name: row.cell.get(name) for name in factors},
        "baseline_cell": _cell_text(row, factors),
        "metric": row.metric.name,
        "unit": row.metric.unit,
        "blocks": row.blocks,
        "median": row.median,
        "baseline_median": row.baseline_median,
        "replies": row.replies,
        "wire_ratio": row.wire_shares[0],
        "baseline_wire_ratio": row.wire_shares[1],
        "cv": row.cv,
        **_estimate(row.ratio, row.difference, row.interval),
        "added": row.added,
        **_limits("added", row.added_interval),
        **_spread(row.spread),
        "ceiling_ratio": row.ceiling,
        "ceiling_verdict": row.against_ceiling.value if row.against_ceiling else None,
        "verdict": row.verdict.value if row.verdict else None,
        "blocks_to_tell": row.blocks_to_tell,
        "setups_to_tell": row.setups_to_tell,
        "lost": row.lost[0],
        "notes": row.notes,
    }


def _cell_text(row: Row, factors: Sequence[str]) -> str | None:
    """Return in what the baseline's cell differs, such as `mtu=1500`; None where it does not."""
    base = row.contrast.baseline_cell(row.cell)
    unlike = [f"measure={base.measure}"] if base.measure != row.cell.measure else []
    unlike += [f"{name}={base.get(name)}" for name in factors if base.get(name) not in (row.cell.get(name), None)]
    return " ".join(unlike) or None


def compared_records(comparison: Comparison) -> list[Record]:
    """Return one record a profile, cell and metric of two sides, and of what is compared of it."""
    factors = list(comparison.columns.factors)
    return [_compared_record(row, comparison.sample, factors) for row in comparison.rows]


def _compared_record(row: ComparedRow, sample: Sample, factors: Sequence[str]) -> Record:
    return {
        "basis": row.basis.value,
        "profile": row.profile,
        "measure": row.cell.measure,
        **{name: row.cell.get(name) for name in factors},
        "metric": row.metric.name,
        "unit": row.metric.unit if row.basis is Basis.ABSOLUTE else _RATIO,
        "sample": sample.value,
        "samples_a": row.samples[0],
        "samples_b": row.samples[1],
        "figure_a": row.figures[0],
        "figure_b": row.figures[1],
        "cv": row.cv,
        **_estimate(row.ratio, row.difference, row.interval),
        "verdict": row.verdict.value if row.verdict else None,
        "samples_to_tell": row.samples_to_tell,
        "lost": row.lost[0],
        "notes": row.notes,
    }


def _estimate(ratio: Ratio | None, difference: Difference | None, adjusted: Interval | None) -> Record:
    """Return a ratio, or a difference, with its plain 95 % interval and the one that is widened for its family."""
    return {
        "ratio": ratio.ratio if ratio else None,
        **_limits("ratio", ratio.interval() if ratio else None),
        "difference": difference.difference if difference else None,
        **_limits("difference", difference.interval() if difference else None),
        **_limits("adjusted", adjusted),
    }


def _limits(name: str, interval: Interval | None) -> Record:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}


def _spread(spread: Spread | None) -> Record:
    return {
        "setups": spread.setups if spread else None,
        "between_setups_ratio": spread.between if spread else None,
        "within_setups_ratio": spread.within if spread else None,
    }


def csv(records: Sequence[Record], columns: Sequence[str]) -> str:
    """Return records as CSV; what does not apply is empty, notes are one text."""
    text = io.StringIO()
    writer = standard_csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _field(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def _field(value: object) -> object:
    if value is None:
        return ""
    return cell(text_of(value) if isinstance(value, tuple) else value)


Mtus = tuple[int | None, int | None]
Runs = RunMeta | None | Sequence[RunMeta | None]


def json(records: Sequence[Record], runs: Mapping[str, Runs], notes: Iterable[Note], answers: Sequence[Record]) -> str:
    """Return one object: what was found, runs by their letters, their rows, and the notes that concern all of these."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "answers": answers,
        **{name: _run(meta) for name, meta in runs.items()},
        "rows": [{name: _plain(value) for name, value in record.items()} for record in records],
        "notes": [_note(note) for note in notes],
    }
    return standard_json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def answer(text: str, profile: str | None = None, baseline: str | None = None, mtus: Mtus = (None, None)) -> Record:
    """Return what was found as a record; of all profiles together there is no `profile`."""
    return {"profile": profile, "baseline": baseline, "mtu": mtus[0], "baseline_mtu": mtus[1], "text": text}


def _run(meta: Runs) -> object:
    if isinstance(meta, RunMeta):
        return meta.to_json()
    return None if meta is None else [_run(one) for one in meta]


def _plain(value: object) -> object:
    return [_note(note) for note in value] if isinstance(value, tuple) else value


def _note(note: Note) -> Record:
    record = {"about": note.about.value, "subject": note.subject, "fact": note.fact, "advice": note.advice}
    return record | ({} if note.value is None else {"value": note.value})


SUMMARY_HEAD = ("contrast", "profile", "baseline", "measure")
SUMMARY_TAIL = (
    "baseline_cell metric unit blocks median baseline_median replies wire_ratio baseline_wire_ratio cv ratio "
    "ratio_low ratio_high difference difference_low difference_high adjusted_low adjusted_high added "
    "added_low added_high setups "
    "between_setups_ratio within_setups_ratio ceiling_ratio ceiling_verdict verdict blocks_to_tell setups_to_tell lost "
    "notes"
).split()
"""Columns of summary.csv around those of the run's factors; docs/results.md says what each holds."""
COMPARED_HEAD = ("basis", "profile", "measure")
COMPARED_TAIL = (
    "metric unit sample samples_a samples_b figure_a figure_b cv ratio ratio_low ratio_high difference "
    "difference_low difference_high adjusted_low adjusted_high verdict samples_to_tell lost notes"
).split()
