"""A second of data each way on every profile before the first trial: one direction may be dead while the other is fine.

Paths are verified by pings, which are small or alone. What drops full segments one way only (a firewall's rule, a
checksum that hardware gets wrong) passes them, and trials that send the other way would never show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from harness.fabric.base import Paths
from harness.measures import iperf3
from harness.measures.base import MakeConditions
from harness.measures.registry import programs
from harness.model.errors import ConnectionLostError, ToolError, VerificationError
from harness.model.jobs import Job, Port
from harness.model.path import Endpoint, Path
from harness.model.trial import Cell, Direction, Measured, Timing
from harness.nodes import readings
from harness.nodes.remote import Remote
from harness.nodes.running import Background
from harness.results.plan import Plan

SECONDS = 1.0
DEAD_BYTES = 16_384
"""Less than this in a second is no data: TCP's first flight of ten segments is of that size."""
AT_ONCE = 4
"""How many profiles are tried at the same time: sshd allows 10 sessions on a connection, unless it was told to."""
BASIS_SECONDS = 3.0
"""How long TCP runs on the underlay to find the rate of a link that nobody knows."""


@dataclass(frozen=True)
class _Try:
    """One profile's second: its path, the cell that stands for it, and its jobs."""

    profile: str
    path: Path
    cell: Cell
    server: Job
    client: Job


def is_wanted(plan: Plan) -> bool:
    """Tell whether the trials themselves would not show a dead direction, and what is needed is on the nodes."""
    directions = {cell.direction for cell in plan.cells if cell.measure == iperf3.Iperf3.name}
    shown = Direction.BIDIR in directions or {Direction.FORWARD, Direction.REVERSE} <= directions
    return iperf3.PROGRAM.name in programs(plan.measures) and not shown


def require_both_ways(
    plan: Plan,
    paths: Paths,
    remotes: tuple[Remote, Remote],
    make: MakeConditions,
    next_port: Callable[[], int],
    cancelled: Callable[[], bool],
) -> None:
    """Move a second of TCP each way on every profile; raises VerificationError that names a direction that is dead.

    A connection that breaks is tried once more; raises ConnectionLostError.
    """
    names = plan.setup.profiles
    problems: list[str] = []
    for first in range(0, len(names), AT_ONCE):

        def moved(some: Sequence[str] = names[first : first + AT_ONCE]) -> list[tuple[_Try, Measured | str]]:
            return _moved([_try(name, paths, make, next_port) for name in some], remotes, cancelled)

        try:
            measured_all = moved()
        except ConnectionLostError:  # as for a trial: what broke is made anew, and tried once more
            measured_all = moved()
        for one, measured in measured_all:
            problems += _problems(one.profile, measured, [remote.name for remote in remotes])
    if problems:
        raise VerificationError("; ".join(problems))


def underlay_bps(
    plan: Plan, paths: Paths, remotes: tuple[Remote, Remote], make: MakeConditions, next_port: Callable[[], int]
) -> float:
    """Return the rate that TCP reaches on the underlay, which shares of the link are shares of where nobody knows it.

    Raises VerificationError where TCP moves nothing.
    """
    path = paths[plan.setup.profiles[0], plan.setup.nic_mtu]
    cell = Cell.of(iperf3.Iperf3.name, protocol="tcp", mtu=plan.setup.nic_mtu, flows=4)
    one = _jobs(plan.setup.profiles[0], path, cell, make, next_port, BASIS_SECONDS)
    ((_, measured),) = _moved([one], remotes, lambda: False)
    if isinstance(measured, str) or not measured.figures.get("goodput_bps"):
        raise VerificationError(f"the rate of the underlay could not be found: {measured}")
    return float(measured.figures["goodput_bps"])


def _try(profile: str, paths: Paths, make: MakeConditions, next_port: Callable[[], int]) -> _Try:
    """Return the second of a profile, at the largest MTU that passes whole; segments are kept to what passes."""
    by_mtu = {mtu: path for (name, mtu), path in paths.items() if name == profile}
    fitting = [mtu for mtu, path in by_mtu.items() if mtu <= path.claim.path_mtu]
    mtu = max(fitting, default=min(by_mtu))
    largest = min(mtu, by_mtu[mtu].claim.path_mtu)
    cell = Cell.of(iperf3.Iperf3.name, protocol="tcp", direction=Direction.BIDIR.value, mtu=largest)
    return _jobs(profile, by_mtu[mtu], cell, make, next_port, SECONDS)


def _jobs(
    profile: str, path: Path, cell: Cell, make: MakeConditions, next_port: Callable[[], int], seconds: float
) -> _Try:
    conditions = replace(make(path, next_port), timing=Timing(seconds, 0))
    server, client = iperf3.Iperf3().jobs(cell, conditions)
    return _Try(profile, path, cell, server, client)


def _moved(
    tries: Sequence[_Try], remotes: tuple[Remote, Remote], cancelled: Callable[[], bool]
) -> list[tuple[_Try, Measured | str]]:
    """Run these at the same time; return what each moved, or why it did not."""
    client, server = remotes
    with ExitStack() as stack:

        def started(remote: Remote, at: Endpoint, job: Job) -> Background:
            return stack.enter_context(remote.within(at.place).background([*at.enter, *job.argv]))

        servers = [started(server, one.path.server, one.server) for one in tries]
        for one in tries:
            ports = [one.server.ready] if isinstance(one.server.ready, Port) else []
            at = one.path.server
            argv = readings.argv(at.enter, one.path.client.address, before=True, ports=ports)
            server.within(at.place).run(argv)
        clients = [started(client, one.path.client, one.client) for one in tries]
        return [
            (one, _measured(one, mine, theirs, cancelled))
            for one, mine, theirs in zip(tries, clients, servers, strict=True)
        ]


def _measured(one: _Try, client: Background, server: Background, cancelled: Callable[[], bool]) -> Measured | str:
    try:
        done = {"client": client.wait(one.client.limit_s, None, cancelled)}
        done["server"] = server.wait(one.server.limit_s, None, cancelled)
        return iperf3.Iperf3().parse(one.cell, done)
    except (ToolError, TimeoutError) as error:
        return str(error)


def _problems(profile: str, measured: Measured | str, names: Sequence[str]) -> list[str]:
    """Return what is wrong with what one profile moved, in sentences without their full stop."""
    if isinstance(measured, str):
        return [f"{profile} passes pings, but a second of TCP each way could not be moved: {measured.rstrip('.')}"]
    moved: Mapping[tuple[str, str], int] = {
        (names[0], names[1]): measured.payload_forward_bytes,
        (names[1], names[0]): measured.payload_reverse_bytes,
    }
    return [
        f"{profile} is dead from {sender} to {receiver}: pings pass, but of a second of TCP {size} bytes arrived "
        f"({max(moved.values()) / 1e6:.0f} MB the other way); look for what drops full-size packets that way, a "
        "firewall's rule or a checksum"
        for (sender, receiver), size in moved.items()
        if size < DEAD_BYTES
    ]
