"""The schema of a run's CSV files, once, for what writes and for what reads them.

Schema 2: trials.csv has a fixed head, then a column for each factor of the run, then one for each metric. Schema 1 had
the factors and metrics of iperf3 and ping, whatever was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.measures.factors import FACTORS
from harness.measures.metrics import METRICS
from harness.measures.registry import factors_of, metrics_of
from harness.model.factors import Factor, Value
from harness.model.metrics import Better, Metric
from harness.model.trial import Interval, Trial

SCHEMA_VERSION = 2
"""Of run.json and the CSV files. 1: the first. 2: measures, with factors and metrics of their own; notes as objects."""

HEAD = tuple(
    (
        "run_id setup block position attempt profile kind measure duration_s started_at status reason proof path_state "
        "raw"
    ).split()
)
"""Columns of every trials.csv, in front of those of factors and metrics; docs/results.md says what each holds.

Files from before a run could have several set-ups have no column `setup`: all of their trials are of the first.
"""
REQUIRED = ("run_id", "block", "position", "profile", "kind", "measure", "duration_s", "status")

SERIES = tuple("block position attempt start_s end_s omitted goodput_bps retransmits".split())
"""Columns of series.csv: the intervals of each trial as its program reported them."""

SCHEMA_1 = tuple(
    (
        "run_id block position profile kind tool protocol direction mtu flows duration_s started_at status reason "
        "proof path_state goodput_bps retransmits udp_loss_ratio udp_jitter_s rtt_min_s rtt_p50_s rtt_p90_s rtt_p99_s "
        "rtt_max_s ping_sent ping_lost_ratio client_cpu_s server_cpu_s inner_bytes outer_bytes raw"
    ).split()
)
"""Columns of trials.csv in schema 1."""

_MOST_DIGITS = 100
"""Of a whole number in a file: one of some 300 is beyond what a float holds."""
_WHOLE = re.compile(r"[+-]?\d{1,15}")


@dataclass(frozen=True)
class Columns:
    """The columns of a run beside the head: its factors and metrics by name, in their order."""

    factors: Mapping[str, Factor]
    metrics: Mapping[str, Metric]

    @classmethod
    def of_measures(cls, measures: Iterable[str], varied: Iterable[str]) -> Columns:
        """Return the columns of a run of these measures, which varies these factors."""
        kept, names = tuple(measures), set(varied)
        factors = {name: factor for name, factor in factors_of(kept).items() if name in names}
        return cls(factors, metrics_of(kept))

    @classmethod
    def of_header(cls, header: Sequence[str], described: Columns | None = None) -> Columns:
        """Return the columns that a header names, those that are not known here as run.json describes them.

        What nobody knows is a factor where it stands in front of every known metric, else a metric.
        """
        names = [name for name in header if name not in HEAD]
        described = described or cls({}, {})
        factors, metrics = {**described.factors, **FACTORS}, {**described.metrics, **METRICS}
        first = min((number for number, name in enumerate(names) if name in metrics), default=0)
        unknown = [name for name in names if name not in factors and name not in metrics]
        factors |= {name: unknown_factor(name) for name in unknown if names.index(name) < first}
        metrics |= {name: unknown_metric(name) for name in unknown if names.index(name) >= first}
        return cls(
            {name: factors[name] for name in names if name in factors},
            {name: metrics[name] for name in names if name not in factors},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The header of trials.csv."""
        return (*HEAD, *self.factors, *self.metrics)

    def row(self, trial: Trial) -> dict[str, object]:
        """Return a trial by column; what does not apply is empty."""
        slot = trial.slot
        head = {
            "run_id": trial.run_id,
            "setup": slot.setup,
            "block": slot.block,
            "position": slot.position,
            "attempt": trial.attempt,
            "profile": slot.profile,
            "kind": trial.kind.value,
            "measure": slot.cell.measure,
            "duration_s": trial.duration_s,
            "started_at": trial.started_at,
            "status": trial.status.value,
            "reason": trial.reason,
            "proof": trial.proof,
            "path_state": str(trial.path_state or ""),
            "raw": trial.raw,
        }
        return dict.fromkeys(self.names, "") | head | dict(slot.cell.levels) | dict(trial.figures)


def series_rows(trial: Trial) -> list[dict[str, object]]:
    """Return the intervals of a trial by the columns of series.csv."""

    def row(interval: Interval) -> dict[str, object]:
        return {
            "block": trial.slot.block,
            "position": trial.slot.position,
            "attempt": trial.attempt,
            "start_s": interval.start_s,
            "end_s": interval.end_s,
            "omitted": int(interval.omitted),
            "goodput_bps": interval.goodput_bps,
            "retransmits": "" if interval.retransmits is None else interval.retransmits,
        }

    return [row(interval) for interval in trial.series]


def unknown_factor(name: str, unit: str = "") -> Factor:
    """Return a factor of which no more is known: its levels are numbers where they look so, else words."""
    return Factor(name, "", any_value, unit, label=_named(name))


def unknown_metric(name: str, unit: str = "", title: str = "", part: str = "", better: str | None = None) -> Metric:
    """Return a metric that this harness does not have, compared where it is said which way is better."""
    ways = {way.value: way for way in Better}
    return Metric(name, unit, title or name, ways.get(better or ""), part)


def whole_number(text: str) -> int:
    """Return a whole number, of so many digits that it can be computed with; ValueError for anything else."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"more than {_MOST_DIGITS} digits")
    return int(text)


def any_value(text: str) -> Value:
    """Return a level of a factor that is not known: a whole number, a number or a word."""
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if number - number == 0 else text  # not a number, or infinite: a word


def _named(name: str) -> Callable[[Value], str]:
    return lambda value: f"{name} {value}"
