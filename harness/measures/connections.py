"""New connections per second: wrk asks Apache for something, over a connection of its own each time.

Why these two: of what Debian main has, netperf's kin are non-free or gone, and busybox or socat start a process for
each connection (0.25 ms here), which is what one would measure then. Apache's event MPM serves one in some 20
microseconds, is there without being a service (apache2-bin), and can be configured by its command line alone; wrk is an
event loop as well, runs for a time instead of a count, and with `Connection: close` opens a connection each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.measures.base import CLIENT_GRACE_S, Conditions, Measure, served
from harness.model.errors import ToolError
from harness.model.factors import Value
from harness.model.jobs import Completed, Job, Port, Program, Side
from harness.model.text import brief
from harness.model.trial import Cell, Measured, Timing

MODULES = "/usr/lib/apache2/modules"
PIDS = "/run/vxlan-harness-apache2"
"""Apache insists on a file with its pid, and removes it when it ends."""
REQUEST_BYTES, RESPONSE_BYTES = 40, 150
"""At least so much is in a request of wrk's, and in Apache's response that there is nothing there."""
LARGEST_PACKET_BYTES = 576
"""No packet of either is larger."""
MOST_FLOWS = 128
"""So many threads serve; the factor `flows` does not have more."""
FAILED_RATIO = 0.01
_REQUESTS = re.compile(r"(\d+) requests in ([0-9.]+)(us|ms|s|m)\b")
_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}

WRK = Program(
    name="wrk",
    package="wrk",
    purpose="opens connections",
    version_argv=("wrk", "--version"),
    version_pattern=r"wrk (?:debian/)?(\d+\.\d+(?:\.\d+)?)",
)
APACHE = Program(
    name="apache2",
    package="apache2-bin",
    purpose="accepts them",
    version_argv=("apache2", "-v"),
    version_pattern=r"Apache/(\d+\.\d+\.\d+)",
)


class Connections(Measure):
    """Connections opened, used once and closed; `flows` is how many are open at the same time."""

    name = "connections"
    programs = (WRK, APACHE)
    is_boundable = False
    factors = ("flows",)
    metrics = ("connections_per_s",)
    rows = ("connections_per_s",)

    def jobs(self, cell: Cell, conditions: Conditions) -> Sequence[Job]:
        """Return Apache, which is stopped in the end, and wrk."""
        port, seconds = conditions.next_port(), self.seconds(cell, conditions.timing)
        host = f"[{conditions.address}]" if ":" in conditions.address else conditions.address
        client = ["wrk", "-t", "1", "-c", str(cell.flows), "-d", f"{int(seconds)}s"]
        client += ["-H", "Connection: close", f"http://{host}:{port}/"]
        return (
            Job(
                "server",
                Side.SERVER,
                served(server_argv(f"{host}:{port}", port), seconds),
                limit_s=CLIENT_GRACE_S,
                ready=Port("tcp", port),
                ends=False,
            ),
            Job("client", Side.CLIENT, tuple(client), limit_s=seconds + CLIENT_GRACE_S),
        )

    def packet_bytes(self, levels: Mapping[str, Value]) -> int | None:  # noqa: ARG002 - the same for each
        """Return the size that no packet exceeds."""
        return LARGEST_PACKET_BYTES

    def seconds(self, cell: Cell, timing: Timing) -> float:  # noqa: ARG002 - the same for each
        """Return how long wrk asks; nothing is omitted, for every connection starts anew."""
        return timing.duration_s

    def parse(self, cell: Cell, done: Mapping[str, Completed]) -> Measured:  # noqa: ARG002 - the same for each
        """Return connections per second; ToolError where too many of them failed."""
        client = done["client"]
        requests = _REQUESTS.search(client.stdout)
        if client.exit_code != 0 or requests is None:
            said = (client.stderr.strip() or client.stdout.strip())[-200:]
            raise ToolError(f"wrk exited with {client.exit_code}: {said!r}")
        count, seconds = int(requests[1]), float(requests[2]) * _UNITS_S[requests[3]]
        errors = _ERRORS.search(client.stdout)
        failed = sum(map(int, errors.groups())) if errors else 0
        if failed > FAILED_RATIO * max(count, 1):
            raise ToolError(f"{failed} of {count + failed} connections failed: {brief(errors[0]) if errors else ''}")
        return Measured(
            figures={"connections_per_s": count / seconds},
            payload_forward_bytes=count * REQUEST_BYTES,
            payload_reverse_bytes=count * RESPONSE_BYTES,
        )


def server_argv(listen: str, port: int) -> list[str]:
    """Return Apache's argv: one process that answers "not found", with no file of its own but its pid's."""
    settings = [
        "ServerRoot /usr/lib/apache2",
        "ServerName harness",
        f"LoadModule mpm_event_module {MODULES}/mod_mpm_event.so",
        f"LoadModule authz_core_module {MODULES}/mod_authz_core.so",
        f"Listen {listen}",
        f"PidFile {PIDS}-{port}.pid",
        "DefaultRuntimeDir /run",
        "ErrorLog /dev/null",
        "User nobody",
        "Group nogroup",
        f"DocumentRoot {MODULES}",  # it wants one that is there; what is in it is no secret
        "KeepAlive Off",
        "StartServers 1",
        "ServerLimit 1",
        f"ThreadLimit {MOST_FLOWS}",
        f"ThreadsPerChild {MOST_FLOWS}",
        f"MaxRequestWorkers {MOST_FLOWS}",
        "Mutex sem",
    ]
    return ["apache2", "-DFOREGROUND", "-f", "/dev/null", *(word for text in settings for word in ("-C", text))]
