"""A history for other programs: unscaled and complete, as history.schema.json says."""

from __future__ import annotations

import json
from typing import Any

from harness.report.history import History, Point, Series, Stretch, scatter
from harness.results.differences import Difference
from harness.results.schema import SCHEMA_VERSION
from harness.truth.stats import Ratio


def history_json(history: History) -> str:
    """Return one object: runs in the order of time, machines, series with points and stretches, what was left out."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "runs": [
            {
                "number": run.number,
                "run_id": run.run_id,
                "path": str(run.path),
                "created_at": run.when or None,
                "pair": run.pair or None,
                "machine": run.machine,
                "blocks": run.blocks[0],
                "planned_blocks": run.blocks[1],
            }
            for run in history.runs
        ],
        "machines": [
            {
                "number": number,
                "first_run": history.first_on(number).number,
                "unlike_first": _differences(tuple(history.unlike_first(number))),
            }
            for number in history.machines
        ],
        "series": [_series(series) for series in history.series],
        "left_out": [{"path": str(one.path), "reason": one.reason} for one in history.left_out],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _series(series: Series) -> dict[str, Any]:
    return {
        "pair": series.pair or None,
        "profile": series.profile,
        "measure": series.cell.measure,
        "levels": dict(series.cell.levels),
        "metric": series.metric.name,
        "points": [_point(point) for point in series.points],
        "stretches": [_stretch(stretch) for stretch in series.stretches],
    }


def _point(point: Point) -> dict[str, Any]:
    return {"run": point.run.number, "machine": point.run.machine, **_limits("ratio", point.ratio)}


def _stretch(stretch: Stretch) -> dict[str, Any]:
    return {
        "machine": stretch.machine,
        "first_run": stretch.points[0].run.number,
        "last_run": stretch.points[-1].run.number,
        "runs": len(stretch.points),
        **_limits("ratio", stretch.level),
        "scatter": scatter(stretch),
        **_limits("change", stretch.change),
        "differing": _differences(stretch.differing),
    }


def _limits(name: str, ratio: Ratio | None) -> dict[str, float | None]:
    interval = ratio.interval() if ratio else None
    return {
        name: ratio.ratio if ratio else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }


def _differences(found: tuple[Difference, ...]) -> list[dict[str, Any]]:
    return [{"what": one.what, "before": list(one.a), "after": list(one.b)} for one in found]
