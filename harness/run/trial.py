"""One trial: readings, server, client, readings again, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.measures import TOOLS
from harness.measures.base import Conditions, Tool
from harness.model.errors import ConnectionLostError, ToolError
from harness.model.readings import Reading
from harness.model.trial import Endpoint, Kind, Measurement, Slot, Status, Trial
from harness.nodes import readings
from harness.nodes.remote import Background, Completed, Remote
from harness.truth import proof
from harness.truth.proof import Span, Way

GRACE_S = 15.0
"""How much longer than it measures a client may take before the trial counts as failed."""
_SERVER_GRACE_S = 5.0
_FIRST_PORT = 5201
_PORTS = 2000


@dataclass(frozen=True)
class Route:
    """Where a slot's traffic goes: both endpoints, and what the profile claims of the way between them."""

    client: Endpoint
    server: Endpoint
    client_nic: str
    server_nic: str
    way: Way


@dataclass
class Record:
    """Everything that a trial leaves in raw/: argv, output and readings, as far as it came.

    `stolen_ratio` is the share of CPU time that a hypervisor gave to others, of the node that suffered more.
    """

    client: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    readings: dict[str, Any] = field(default_factory=dict)
    stolen_ratio: float = 0.0


def in_namespace(endpoint: Endpoint, argv: list[str]) -> list[str]:
    """Return argv as it is run within an endpoint."""
    return ["ip", "netns", "exec", endpoint.namespace, *argv] if endpoint.namespace else argv


class TrialRunner:
    """Runs trials on two connected nodes; numbers its servers' ports."""

    def __init__(
        self,
        run_id: str,
        client: Remote,
        server: Remote,
        conditions: Callable[[str, int], Conditions],
        on_live: Callable[[str], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._run_id = run_id
        self._client = client
        self._server = server
        self._conditions = conditions
        self._on_live = on_live
        self._cancelled = cancelled
        self._servers = 0
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="node")

    def close(self) -> None:
        """End the threads that talk to the nodes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def run(self, slot: Slot, route: Route) -> tuple[Trial, Record]:
        """Return the trial, whatever became of it, and its raw record; only an interruption is raised."""
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        tool = TOOLS[slot.cell.tool]
        conditions = self._conditions(route.server.address, self._next_port())
        record = Record()

        def trial(status: Status, **known: Any) -> Trial:  # noqa: ANN401 - fields of Trial
            return Trial(self._run_id, slot, route.way.kind, conditions.timing.duration_s, started_at, status, **known)

        try:
            spans, measured = self._measure(slot, route, tool, conditions, record)
        except (ToolError, ConnectionLostError) as error:
            return trial(Status.FAILED, reason=_one_line(error), path_state=_lost_state(slot, route, error)), record
        record.stolen_ratio = max(span.stolen_ratio for span in spans)
        verdict = proof.judge(slot.cell, route.way, *spans, measured)
        known: dict[str, Any] = {
            "proof": verdict.evidence,
            "path_state": verdict.path_state,
            "client_cpu_s": round(spans[0].busy_cpu_s, 3),
            "server_cpu_s": round(spans[1].busy_cpu_s, 3),
            "inner_bytes": verdict.inner_bytes,
            "outer_bytes": verdict.outer_bytes,
        }
        if measured.ping_lost_ratio == 1.0:
            return trial(Status.FAILED, reason="no reply at all", **known), record
        if measured.goodput_bps == 0:
            return trial(Status.FAILED, reason="nothing arrived", **known), record
        if not verdict.proven:
            return trial(Status.INVALID, reason=verdict.evidence, **known), record
        return trial(Status.OK, measurement=measured, **known), record

    def _next_port(self) -> int:
        self._servers += 1
        return _FIRST_PORT + self._servers % _PORTS

    def _measure(
        self, slot: Slot, route: Route, tool: Tool, conditions: Conditions, record: Record
    ) -> tuple[tuple[Span, Span], Measurement]:
        """Return both nodes' spans and what the tool measured."""
        server_argv = tool.server_argv(conditions)
        if server_argv is None:
            return self._with_server(slot, route, tool, conditions, record, None)
        with self._server.background(in_namespace(route.server, server_argv)) as server:
            record.server["argv"] = server.argv
            return self._with_server(slot, route, tool, conditions, record, server)

    def _with_server(
        self, slot: Slot, route: Route, tool: Tool, conditions: Conditions, record: Record, server: Background | None
    ) -> tuple[tuple[Span, Span], Measurement]:
        before = self._read(route, record, before=True, port=conditions.port if server else None)
        with self._client.background(in_namespace(route.client, tool.client_argv(slot.cell, conditions))) as client:
            record.client["argv"] = client.argv
            done = self._wait(client, tool, tool.seconds(conditions.timing) + GRACE_S)
        record.client |= {"exit_code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
        theirs = _server_output(server, record) if server else ""
        after = self._read(route, record, before=False)
        measured = tool.parse(slot.cell, done.exit_code, done.stdout or done.stderr, theirs)
        return (
            Span(before[0], after[0], route.client_nic),
            Span(before[1], after[1], route.server_nic),
        ), measured

    def _wait(self, client: Background, tool: Tool, timeout_s: float) -> Completed:
        def on_line(line: str) -> None:
            figure = tool.live_figure(line)
            if figure is not None:
                self._on_live(figure)

        try:
            return client.wait(timeout_s, on_line, self._cancelled)
        except TimeoutError as error:
            raise ToolError(f"{error} ({timeout_s:g} s)") from error

    def _read(self, route: Route, record: Record, *, before: bool, port: int | None = None) -> tuple[Reading, Reading]:
        """Read both nodes at the same time; the server's reading waits for `port` to be open."""

        def one(remote: Remote, own: Endpoint, other: Endpoint, wait_for: int | None) -> Reading:
            argv = readings.argv(own.namespace, other.address, before=before, port=wait_for)
            done = remote.run(argv)
            return readings.parse(done.stdout if done.exit_code == 0 else f"{done.stdout}{done.stderr}")

        client = self._pool.submit(one, self._client, route.client, route.server, None)
        server = self._pool.submit(one, self._server, route.server, route.client, port)
        wait([client, server])  # neither connection is used again before both are through
        both = (client.result(), server.result())
        nics = (route.client_nic, route.server_nic)
        record.readings["before" if before else "after"] = [
            _noted(reading, route.way, nic) for reading, nic in zip(both, nics, strict=True)
        ]
        return both


def _noted(reading: Reading, way: Way, nic: str) -> Mapping[str, Any]:
    """Return what the raw record keeps of a reading: the devices that the proof looks at, and all counters."""
    named = {name for name in (nic, way.tunnel, *way.other_tunnels) if name}
    return asdict(reading) | {"devices": {name: asdict(c) for name, c in reading.devices.items() if name in named}}


def _server_output(server: Background, record: Record) -> str:
    """Wait for a server that has served its one test; one that has not is ended by its `with` block."""
    try:
        done = server.wait(_SERVER_GRACE_S)
    except TimeoutError:
        return ""
    record.server |= {"exit_code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
    return done.stdout


def _lost_state(slot: Slot, route: Route, error: Exception) -> str:
    """A client that never came to its end where packets are too large for the path: a black hole."""
    too_large = slot.cell.mtu > route.way.path_mtu and route.way.kind is Kind.TUNNEL
    return "black-holed" if too_large and "did not end in time" in str(error) else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
