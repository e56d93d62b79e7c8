"""One trial: its jobs between two readings, figures, proof, and the row that they make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from harness.measures.base import MakeConditions
from harness.measures.registry import MEASURES
from harness.model.errors import ConnectionLostError, NodeGoneError, OverdueError, ToolError
from harness.model.path import BLACK_HOLED, Kind, Path, PathState
from harness.model.readings import Span
from harness.model.text import brief
from harness.model.trial import Figure, Slot, Status, Trial
from harness.nodes import background
from harness.nodes.remote import Remote
from harness.run.stage import Meters, Record, Stage, Watch
from harness.truth import cpu, proof

FIRST_PORT = 5201
PORTS = 2000
BACK_S = 30.0
"""How long a node that was lost may take to be there again; without one of them no trial could be measured."""
_POLL_S = 1.0
_DIGITS = 3
_MOST_REASON = 1000


@dataclass(frozen=True)
class Surroundings:
    """What the trials of a run have in common.

    `conditions` makes those of one trial, from its path and what gives it ports; `meters` are a lab's: where its CPU
    time of others is counted, what others use is known exactly, else it is looked at before each trial. `wanted` is
    asked before each trial, and says whether it is still wanted; none after it is, then. `guarded`: others may reach
    the nodes, whose ports are closed to them.
    """

    run_id: str
    conditions: MakeConditions
    meters: Meters = field(default_factory=Meters)
    on_live: Callable[[str], None] = lambda _figure: None
    cancelled: Callable[[], bool] = lambda: False
    wanted: Callable[[Slot], bool] = lambda _slot: True
    guarded: bool = False


class TrialRunner:
    """Runs trials on two connected nodes; numbers the ports of their servers, behind so many that are used already."""

    def __init__(self, client: Remote, server: Remote, surroundings: Surroundings, ports: int = 0) -> None:
        self._remotes = (client, server)
        self._surroundings = surroundings
        self._ports = ports
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="node")

    def close(self) -> None:
        """End the threads that talk to the nodes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def wanted(self, slots: Iterable[Slot]) -> Iterator[Slot]:
        """Yield slots as long as they are wanted; each is asked about when the one before it is done."""
        return takewhile(self._surroundings.wanted, slots)

    def run(self, slot: Slot, path: Path, attempt: int = 1) -> tuple[Trial, Record]:
        """Return the trial, whatever became of it, and its raw record; an interruption and NodeGoneError are raised."""
        common = self._surroundings
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        measure = MEASURES[slot.cell.measure]
        conditions = common.conditions(path, self._next_port)

        def on_line(line: str) -> None:
            figure = measure.live_figure(line)
            if figure is not None:
                common.on_live(figure)

        stage = Stage(
            self._remotes,
            path,
            self._pool,
            meters=common.meters,
            watch=Watch(on_line, common.cancelled),
            kept=measure.kept,
            guarded=common.guarded,
        )

        def trial(status: Status, **shown: Any) -> Trial:  # noqa: ANN401 - fields of Trial
            return Trial(
                common.run_id, slot, path.claim.kind, conditions.timing.duration_s, started_at, status, attempt, **shown
            )

        try:
            others = self._background() if common.meters.foreign_cpu_s is None else {}
            measured = measure.run(slot.cell, conditions, stage.perform)
            spans = stage.spans
            client, server = (cpu.usage(span) for span in spans)
        except NodeGoneError:  # no trial after this one could be measured, either
            raise
        except (ToolError, ConnectionLostError) as error:
            state = _lost_state(slot, path, error)
            return trial(Status.FAILED, reason=brief(str(error), _MOST_REASON), path_state=state), stage.record
        stage.record.stolen_ratio = max(client.stolen_ratio, server.stolen_ratio)
        verdict = proof.judge(slot.cell, path.claim, *spans, measured)
        shown: dict[str, Any] = {"proof": verdict.evidence, "path_state": verdict.path_state}
        figures = _node_figures(client, server, spans, verdict) | others
        if measured.is_silent:
            return trial(Status.FAILED, reason=measure.silence, figures=figures, **shown), stage.record
        if not verdict.proven:
            return trial(Status.INVALID, reason=verdict.evidence, figures=figures, **shown), stage.record
        shown |= {"figures": {**measured.figures, **figures}, "series": measured.series}
        return trial(Status.OK, **shown), stage.record

    def await_nodes(self) -> None:
        """Wait until both nodes are connected; ConnectionLostError where one does not come back."""
        deadline = time.monotonic() + BACK_S
        for remote in self._remotes:
            while not remote.is_connected():
                if self._surroundings.cancelled():
                    raise KeyboardInterrupt
                try:
                    remote.connect()
                except ConnectionLostError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_POLL_S)

    def _background(self) -> dict[str, Figure]:
        """Return how many CPUs of each node are busy while nothing of ours runs, both looked at together."""
        tasks = [self._pool.submit(remote.run, background.argv()) for remote in self._remotes]
        wait(tasks)  # neither connection is used again before both are through
        found = [background.parse(task.result().stdout) for task in tasks]
        names = ("client_background_cpus", "server_background_cpus")
        return {name: round(cpus, _DIGITS) for name, cpus in zip(names, found, strict=True) if cpus is not None}

    def _next_port(self) -> int:
        self._ports += 1
        return FIRST_PORT + self._ports % PORTS


def _node_figures(
    client: cpu.Usage, server: cpu.Usage, spans: tuple[Span, Span], verdict: proof.Proof
) -> dict[str, Figure]:
    """Return what was read on the nodes, by the metrics' names; what is not known is left out."""
    figures: dict[str, Figure | None] = {
        "foreign_cpu_s": round(client.foreign_s, _DIGITS),
        "stolen_ratio": round(max(client.stolen_ratio, server.stolen_ratio), _DIGITS),
        "socket_dropped": sum(span.endpoint("UdpRcvbufErrors") for span in spans),
        "inner_bytes": verdict.inner_bytes,
        "outer_bytes": verdict.outer_bytes,
    }
    for name, usage in (("client", client), ("server", server)):
        figures |= {
            f"{name}_cpu_s": None if usage.busy_s is None else round(usage.busy_s, _DIGITS),
            f"{name}_tools_cpu_s": None if usage.tools_s is None else round(usage.tools_s, _DIGITS),
            f"{name}_softirq_cpu_s": round(usage.softirq_s, _DIGITS),
            f"{name}_busiest_cpu_ratio": round(usage.busiest_ratio, _DIGITS),
        }
    return {name: value for name, value in figures.items() if value is not None}


def _lost_state(slot: Slot, path: Path, error: Exception) -> PathState | None:
    """A client that never came to its end where packets are too large for the path: a black hole."""
    too_large = slot.cell.mtu > path.claim.path_mtu and path.claim.kind is Kind.TUNNEL
    return BLACK_HOLED if too_large and isinstance(error, OverdueError) else None
