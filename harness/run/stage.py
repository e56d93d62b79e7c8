"""Jobs on two connected nodes: started in order, each once the one before is ready, between two readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from harness.measures.base import CLIENT_GRACE_S
from harness.model.errors import OverdueError, ToolError
from harness.model.jobs import Completed, Job, Performed, Port, Ramp, Side
from harness.model.path import Counted, Endpoint, Path
from harness.model.readings import Reading, Span
from harness.nodes import guard, readings
from harness.nodes.remote import Remote
from harness.nodes.running import Background
from harness.truth import cpu

STOPPING_S = 5.0
"""How long a server may take to end, once its one test is over or it was asked to."""
PAUSE_S = 5.0
"""By how much longer than it measures a step may take; one that was paused has others' CPU time in its readings."""
_READ_BYTES_PER_S = 1e6
"""How fast output is read at least: what prints very much takes its time without being paused."""
_CANCEL_POLL_S = 0.1


@dataclass
class Record:
    """Everything that a trial leaves in raw/: for each step its jobs' argv and output, and the readings around them.

    `stolen_ratio` is the share of CPU time that a hypervisor gave to others, of the node that suffered more.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    stolen_ratio: float = 0.0


@dataclass(frozen=True)
class Watch:
    """Who looks on while jobs run: told of each line of a live job, asked whether to stop."""

    on_line: Callable[[str], None] = lambda _line: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Meters:
    """What a lab counts beside its nodes, each None where it does not.

    `foreign_cpu_s` returns what processes outside the lab have used so far, on a kernel that the nodes share with them.
    `link_bytes` returns what each of several links has carried so far: towards the server, and towards the client.
    """

    foreign_cpu_s: Callable[[], float] | None = None
    link_bytes: Callable[[], Sequence[tuple[int, int]]] | None = None


@dataclass(frozen=True)
class _Moment:
    """Both nodes' readings, and what others had used by then on a kernel that they share: `at_s` is when."""

    client: Reading
    server: Reading
    at_s: float
    foreign_cpu_s: float
    link_bytes: Sequence[tuple[int, int]]


class Stage:
    """The two endpoints of a path, on which one trial is performed.

    `guarded`: a port that is opened on a node's own address is closed to everybody but the other node.
    """

    def __init__(
        self,
        remotes: tuple[Remote, Remote],
        path: Path,
        pool: Executor,
        *,
        meters: Meters | None = None,
        watch: Watch | None = None,
        kept: Callable[[str, str], str] = lambda _job, text: text,
        guarded: bool = False,
    ) -> None:
        self.record = Record()
        self._remotes = dict(zip(Side, remotes, strict=True))
        self._path = path
        self._pool = pool
        self._meters = meters or Meters()
        self._watch = watch or Watch()
        self._kept = kept
        self._guarded = guarded
        self._first: _Moment | None = None
        self._last: _Moment | None = None

    @property
    def spans(self) -> tuple[Span, Span]:
        """Client's and server's readings before the first step and after the last; ToolError where there was none."""
        if self._first is None or self._last is None:
            raise ToolError("nothing was performed")
        return self._spans(self._first, self._last)

    def _spans(self, first: _Moment, last: _Moment) -> tuple[Span, Span]:
        """Return client's and server's readings at two moments."""

        def span(before: Reading, after: Reading, nic: str) -> Span:
            # A node's reading may have been taken a little earlier or later than that of the others.
            passed_s = last.at_s - first.at_s
            share = (after.clock_s - before.clock_s) / passed_s if passed_s > 0 else 1.0
            foreign_s = max(last.foreign_cpu_s - first.foreign_cpu_s, 0.0)
            return Span(before, after, nic, foreign_s * min(max(share, 0.5), 2.0))

        client = span(first.client, last.client, self._path.client_nic)
        return client, span(first.server, last.server, self._path.server_nic)

    def perform(self, jobs: Sequence[Job]) -> Performed:
        """Run jobs side by side and return what became of them; see `harness.measures.base.Perform`."""
        step: dict[str, Any] = {"jobs": {}, "readings": {}}
        self.record.steps.append(step)
        listening = {job: job.ready for job in jobs if isinstance(job.ready, Port)}
        running: dict[str, Background] = {}
        with ExitStack() as stack:
            for job, port in listening.items():
                running[job.name] = self._started(job, port, stack, step)
            held = {job: self._held(job, stack, step) for job in jobs if job not in listening}
            before = self._read(step, "before", listening)
            self._first = self._first or before
            for job, start in held.items():
                running[job.name] = start()
                self._await_ramp(job, running[job.name])
            done = self._collected(jobs, running, step)
            self._last = after = self._read(step, "after", {})
        _require_no_pause(jobs, done, (before, after))
        spans = dict(zip(Side, self._spans(before, after), strict=True))
        counted = {side: _grown(span.before, span.after) for side, span in spans.items()}
        carried = [late[0] - early[0] for early, late in zip(before.link_bytes, after.link_bytes, strict=True)]
        return Performed(done, counted, max(cpu.usage(span).busiest_ratio for span in spans.values()), carried)

    def _started(self, job: Job, port: Port, stack: ExitStack, step: dict[str, Any]) -> Background:
        """Start what listens, its port closed to others where they might reach it."""
        at, remote = self._place(job, step)
        argv: Sequence[str] = (*at.enter, *job.argv)
        if self._guarded and not at.enter and not at.place:
            other = self._endpoint(Side.SERVER if job.side is Side.CLIENT else Side.CLIENT)
            argv = guard.argv(other.address, port.number, argv)
        return stack.enter_context(remote.background(argv, job.most_bytes))

    def _held(self, job: Job, stack: ExitStack, step: dict[str, Any]) -> Callable[[], Background]:
        """Make ready for what follows: what it takes to start a program is not the trial's."""
        at, remote = self._place(job, step)
        return stack.enter_context(remote.held(at.enter, job.argv, job.most_bytes))

    def _place(self, job: Job, step: dict[str, Any]) -> tuple[Endpoint, Remote]:
        """Return where a job runs, and what runs it there, and note the job."""
        at = Endpoint("") if job.on_node else self._endpoint(job.side)
        step["jobs"][job.name] = {"side": job.side, "argv": (*at.enter, *job.argv)}
        return at, self._remotes[job.side].within(at.place)

    def _endpoint(self, side: Side) -> Endpoint:
        return self._path.client if side is Side.CLIENT else self._path.server

    def _await_ramp(self, job: Job, background: Background) -> None:
        """Let a job run for a while before the next one; raises ToolError with its words where it does not last."""
        if not isinstance(job.ready, Ramp):
            return
        deadline = time.monotonic() + job.ready.seconds
        while time.monotonic() < deadline:
            if self._watch.cancelled():
                raise KeyboardInterrupt
            if background.has_ended:
                done = background.wait(STOPPING_S)
                said = (done.stdout.strip() or done.stderr.strip())[-200:]
                raise ToolError(f"{job.name}: {job.argv[0]} ended before it was up to speed: {said!r}")
            time.sleep(_CANCEL_POLL_S)

    def _collected(
        self, jobs: Sequence[Job], running: Mapping[str, Background], step: dict[str, Any]
    ) -> dict[str, Completed]:
        """Wait for those that send, then for servers that have had their one test; stop the others, last one first."""
        senders = [job for job in jobs if job.ends and not isinstance(job.ready, Port)]
        senders.sort(key=lambda job: not job.live)  # what is shown as it comes has to be read as it comes
        servers = [job for job in jobs if job.ends and isinstance(job.ready, Port)]
        others = [job for job in reversed(jobs) if not job.ends]
        done: dict[str, Completed] = {}
        for job in (*senders, *servers, *others):
            completed = self._ended(job, running[job.name])
            done[job.name] = completed
            step["jobs"][job.name] |= {
                "exit_code": completed.exit_code,
                "stdout": self._kept(job.name, completed.stdout),
                "stderr": completed.stderr,
            }
        return done

    def _ended(self, job: Job, background: Background) -> Completed:
        """Wait for a job's end, or bring it about. A server that is late has printed nothing: its parser says so."""
        is_server = isinstance(job.ready, Port)
        try:
            if not job.ends:
                return background.stop(STOPPING_S)
            on_line = self._watch.on_line if job.live else None
            return background.wait(STOPPING_S if is_server else job.limit_s, on_line, self._watch.cancelled)
        except TimeoutError as error:
            if is_server or not job.ends:
                return Completed(background.argv, -1, "", str(error))
            raise OverdueError(f"{error} ({job.limit_s:g} s)") from error

    def _read(self, step: dict[str, Any], when: str, listening: Mapping[Job, Port]) -> _Moment:
        """Read both nodes at the same time; a node's reading waits for what is to listen there."""
        counted_on = dict(zip(Side, self._path.counted or (None, None), strict=True))

        def one(side: Side, at: Endpoint, ports: Sequence[Port], counted: Counted | None) -> Reading:
            peer = self._endpoint(Side.SERVER if side is Side.CLIENT else Side.CLIENT)
            words = readings.words(at.enter, peer.address, before=when == "before", ports=ports, counted=counted)
            done = self._remotes[side].within(at.place).ask(readings.PROGRAM, words)
            return readings.parse(done.stdout if done.exit_code == 0 else f"{done.stdout}{done.stderr}", counted)

        def both(side: Side) -> Reading:
            at = self._endpoint(side)
            ports = [port for job, port in listening.items() if job.side is side]
            if not at.place:
                return one(side, at, ports, counted_on[side])
            with ThreadPoolExecutor(1) as beside:
                inside = beside.submit(one, side, at, ports, None)
                node = one(side, Endpoint(at.address), (), counted_on[side])
                return readings.joined(node, inside.result())

        tasks = [self._pool.submit(both, side) for side in Side]
        at_s, meters = time.time(), self._meters
        foreign_s = meters.foreign_cpu_s() if meters.foreign_cpu_s else 0.0
        link_bytes = meters.link_bytes() if meters.link_bytes else ()
        if link_bytes:
            step.setdefault("link_bytes", {})[when] = link_bytes
        wait(tasks)  # neither connection is used again before both are through
        client, server = (task.result() for task in tasks)
        nics = (self._path.client_nic, self._path.server_nic)
        step["readings"][when] = [
            self._noted(reading, nic) for reading, nic in zip((client, server), nics, strict=True)
        ]
        return _Moment(client, server, at_s, foreign_s, link_bytes)

    def _noted(self, reading: Reading, nic: str) -> Mapping[str, Any]:
        """Return what the raw record keeps of a reading: the devices that the proof looks at, and all counters."""
        claim = self._path.claim
        named = {name for name in (nic, claim.tunnel, *claim.other_tunnels) if name}
        return vars(reading) | {"devices": {name: vars(c) for name, c in reading.devices.items() if name in named}}


def _require_no_pause(jobs: Sequence[Job], done: Mapping[str, Completed], moments: tuple[_Moment, _Moment]) -> None:
    """Raise ToolError where readings lie much further apart than the jobs between them measured."""
    measuring_s = max((job.limit_s for job in jobs if job.ends and not isinstance(job.ready, Port)), default=0.0)
    measuring_s += sum(job.ready.seconds for job in jobs if isinstance(job.ready, Ramp)) - CLIENT_GRACE_S
    before, after = moments
    apart_s = max(after.client.uptime_s - before.client.uptime_s, after.server.uptime_s - before.server.uptime_s)
    printed = sum(len(completed.stdout) for completed in done.values())
    if apart_s > max(measuring_s, 0.0) + PAUSE_S + printed / _READ_BYTES_PER_S:
        raise ToolError(
            f"the readings lie {apart_s:.1f} s apart for {max(measuring_s, 0.0):.0f} s of measuring: something was "
            "paused, and the CPU time in between is not the trial's"
        )


def _grown(before: Reading, after: Reading) -> dict[str, int]:
    """Return how far each counter of an endpoint went."""
    return {name: value - before.endpoint.get(name, 0) for name, value in after.endpoint.items()}
