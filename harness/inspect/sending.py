"""What a trace sends: echoes, or a short TCP transfer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.measures import iperf3, ping
from harness.model.errors import ConnectionLostError, ToolError
from harness.model.jobs import Port
from harness.model.path import Path
from harness.nodes import readings
from harness.nodes.remote import Remote
from harness.run.trial import FIRST_PORT

DEFAULT_BYTES = 84
"""Size of the packet that ping sends where it is not told one: 56 bytes behind its headers."""
TCP_BYTES = 256 * 1024
_INTERVAL_S = 0.2
_WAIT_S = 1
_GRACE_S = 10.0
_RECEIVED = re.compile(r"(\d+) packets transmitted, (\d+) received")


@dataclass(frozen=True)
class Sending:
    """What is sent: echoes in IP packets of `size` bytes, or TCP; `pmtudisc` is ping's -M, empty for its own."""

    count: int = 3
    size: int = DEFAULT_BYTES
    pmtudisc: str = ""
    tcp: bool = False

    @property
    def limit_s(self) -> float:
        """How long it may take."""
        return self.count * max(_INTERVAL_S, _WAIT_S) + _GRACE_S


@dataclass(frozen=True)
class Sent:
    """What was run, what it printed in the end, and how many echoes were sent and answered."""

    command: str
    said: str = ""
    sent: int = 0
    answered: int = 0


def send(sending: Sending, remotes: tuple[Remote, Remote], path: Path, mtu: int) -> Sent:
    """Send from the client's endpoint to the server's.

    Raises ToolError where a program cannot be run, and ConnectionLostError.
    """
    if sending.tcp:
        return _tcp(remotes, path, mtu)
    words = f"ping -n -c {sending.count} -i {_INTERVAL_S} -W {_WAIT_S} -s {sending.size - ping.HEADER_BYTES}".split()
    words += ["-M", sending.pmtudisc] if sending.pmtudisc else []
    argv = [*words, path.server.address]
    with remotes[0].background([*path.client.enter, *argv]) as running:
        done = running.wait(sending.limit_s)
    found = _RECEIVED.search(done.stdout)
    if found is None:
        raise ToolError(f"ping: {done.stderr.strip()[-200:] or done.stdout.strip()[-200:]}")
    errors = [line.strip() for text in (done.stdout, done.stderr) for line in text.splitlines() if _is_error(line)]
    return Sent(" ".join(argv), errors[0] if errors else found[0], int(found[1]), int(found[2]))


def _is_error(line: str) -> bool:
    return "local error" in line or "too long" in line or line.startswith("From ")


def _tcp(remotes: tuple[Remote, Remote], path: Path, mtu: int) -> Sent:
    """Move some data by iperf3; that it fails is told by what was seen."""
    client, server = remotes
    port = Port("tcp", FIRST_PORT)
    job = iperf3.server_job(port.number, _GRACE_S)
    argv = f"iperf3 -c {path.server.address} -p {port.number} -n {TCP_BYTES} -M {mtu - 40} --connect-timeout 3000"
    with server.background([*path.server.enter, *job.argv]):
        ready = server.run(readings.argv(path.server.enter, path.client.address, before=True, ports=[port]))
        readings.parse(ready.stdout)
        with client.background([*path.client.enter, *argv.split()]) as running:
            try:
                done = running.wait(_GRACE_S)
            except (TimeoutError, ConnectionLostError) as error:
                return Sent(argv, str(error))
    said = (done.stderr or done.stdout).strip().splitlines()
    return Sent(argv, said[-1] if done.exit_code and said else "")
