"""Jobs: the programs that a measure has run, where, and how each gets ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MOST_BYTES = 16_000_000
"""How much a command on a node may print, of which a program of ours makes sense."""


@dataclass(frozen=True)
class Completed:
    """How a command on a node ended."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Side(StrEnum):
    """The endpoint in which a job runs."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True)
class Port:
    """Ready once something listens on this port: `tcp` or `udp`."""

    protocol: str
    number: int


@dataclass(frozen=True)
class Ramp:
    """Ready when it has run for so many seconds, and still does."""

    seconds: float


@dataclass(frozen=True)
class Job:
    """One program of a measure; its name is what the record calls it.

    `limit_s` is how long it may take once everything before it is ready. One that does not end by itself (`ends`) is
    stopped, with SIGTERM, when those that do have ended. What listens on a port comes before what sends. `live`: the
    measure finds figures to show in its output while it runs. `on_node`: it runs on the node itself, where its NIC is.
    `most_bytes` is how much it may print.
    """

    name: str
    side: Side
    argv: tuple[str, ...]
    limit_s: float
    ready: Port | Ramp | None = None
    ends: bool = True
    live: bool = False
    on_node: bool = False
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True)
class Performed:
    """What became of jobs that ran side by side: what each printed, by its name.

    `counted` is how far the counters of each side's endpoint went meanwhile, named as in /proc/net/snmp
    (`UdpRcvbufErrors`), `busiest_cpu_ratio` how busy the busiest CPU of both nodes was. `link_bytes` is what each of
    several links between the nodes carried meanwhile, from client to server; empty where there are none, or nobody
    counts.
    """

    done: Mapping[str, Completed]
    counted: Mapping[Side, Mapping[str, int]] = field(default_factory=dict)
    busiest_cpu_ratio: float = 0.0
    link_bytes: Sequence[int] = ()


@dataclass(frozen=True)
class Program:
    """A program that a measure needs on the nodes, and what to do to have it there.

    `version_argv` prints its version, which `version_pattern` (a regular expression with one group) finds. `package` is
    Debian's, `purpose` what it does, in a few words.
    """

    name: str
    package: str
    purpose: str
    version_argv: tuple[str, ...]
    version_pattern: str
