"""A result as OpenMetrics text, which a Prometheus textfile collector takes, too: a gauge for each column of figures.

Labels are what tells rows apart; they are the same from run to run, so that a series goes on. What a run was called is
in the labels of one gauge only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from harness.report.records import Record
from harness.results.meta import RunMeta

PREFIX = "vxlan_harness"
_VERDICTS = ("verdict", "ceiling_verdict")
_NOT_LABELS = (*_VERDICTS, "notes")


class _Rows(Collector):
    """Records as families of gauges."""

    def __init__(self, records: Sequence[Record], factors: Sequence[str], metas: Mapping[str, RunMeta]) -> None:
        self._records, self._factors, self._metas = records, factors, metas

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a family for when runs were made, one for each column of figures, one for each of verdicts."""
        yield self._runs()
        names = list(self._records[0]) if self._records else []
        words = {name for one in self._records for name, value in one.items() if isinstance(value, str)}
        labels = [name for name in names if name in {*words, *self._factors} and name not in _NOT_LABELS]
        for name in names:
            if name in labels or name == "notes":
                continue
            is_verdict = name in _VERDICTS
            family = GaugeMetricFamily(
                f"{PREFIX}_{name}", f"Column {name} of summary.csv, see docs/results.md.", labels=_labels(labels, name)
            )
            seen: set[tuple[str, ...]] = set()
            for record in self._records:
                values = tuple(_text(record[label]) for label in labels)
                if record[name] is None or values in seen:  # of several path states the commonest is the first
                    continue
                seen.add(values)
                family.add_metric([*values, *([str(record[name])] if is_verdict else [])], _number(record[name]))
            if family.samples:
                yield family

    def _runs(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            f"{PREFIX}_run_timestamp_seconds",
            "When a run was begun.",
            labels=["side", "run_id", "lab", "harness_version"],
        )
        for side, meta in self._metas.items():
            if meta.created_at:
                when = datetime.fromisoformat(meta.created_at).timestamp()
                family.add_metric([side, meta.run_id, meta.lab, meta.harness_version], when)
        return family


def openmetrics(records: Sequence[Record], factors: Sequence[str], metas: Mapping[str, RunMeta]) -> bytes:
    """Return records, whose levels are in the columns `factors`, as OpenMetrics text; `metas` by what a run is here."""
    registry = CollectorRegistry()
    registry.register(_Rows(records, factors, metas))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


def _labels(labels: Sequence[str], name: str) -> list[str]:
    return [*labels, name] if name in _VERDICTS else [*labels]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float:
    """Return a figure; that a verdict holds is a 1."""
    return float(value) if isinstance(value, int | float) else 1.0
