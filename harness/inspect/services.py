"""A path by way of a service, found: the same two pods, another address, and perhaps another way.

kube-proxy and its like rewrite addresses, so what stands in front of packets is what the pods' own path has, unless the
service is reached around it, as a node's port may be. Echoes do not pass a service: a few megabytes of TCP do instead,
and whether the tunnel's device counted them tells.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from harness.labs.kubernetes import KubernetesLab
from harness.measures import iperf3
from harness.model.errors import LabError
from harness.model.found import Found, Wire
from harness.model.jobs import Port
from harness.model.node import Node
from harness.model.path import Kind
from harness.model.readings import Counters
from harness.model.services import Served, ServiceKind
from harness.model.trace import Place
from harness.nodes import readings
from harness.nodes.remote import Remote

_MOVED_BYTES = 2_000_000
_READY_S = 30.0
"""How long the nodes may take to know a new service."""
_POLL_S = 0.5
_SERVING_S = 5


def find(kind: ServiceKind, lab: KubernetesLab, server: Node, remotes: tuple[Remote, Remote], main: Found) -> Found:
    """Return the path by way of a service between the pods of `main`; raises LabError where nothing passes it."""
    served = lab.serve(kind, server)
    _await(served, remotes, main)
    before = _tunnel(remotes[0], main)
    _move(served, remotes, main, _MOVED_BYTES)
    after = _tunnel(remotes[0], main)
    end = main.server
    end = replace(end, spot=f"service {served.name} of {end.spot}", address=served.address)
    note = f"{kind.path}: {kind} {served.address}, ports {served.ports[0]} and {len(served.ports) - 1} more"
    return replace(
        main,
        name=kind.path,
        server=end,
        wire=_wire(main, before, after),
        notes=(note,),
        ports=served.ports,
    )


def _wire(main: Found, before: Counters | None, after: Counters | None) -> Wire:
    """Return what is in front of packets, from what the tunnel of the pods' own path counted while data passed."""
    if main.kind is not Kind.TUNNEL:
        return main.wire
    if before is None or after is None:
        return replace(main.wire, headers=None, unknown="no device tells whether a service is reached by the tunnel")
    if (after - before).tx_bytes >= _MOVED_BYTES / 2:  # iperf3 ends before the last of it has left
        return main.wire
    return Wire((), is_captured=False)


def _tunnel(remote: Remote, main: Found) -> Counters | None:
    """Return what the tunnel's device on the client's node has counted; None where there is none that is known."""
    device = main.client.at(Place.TUNNEL)
    if device is None:
        return None
    seen: Mapping[str, Counters] = readings.devices(remote.run(["cat", "/proc/net/dev"]).stdout.splitlines())
    return seen.get(device.name)


def _await(served: Served, remotes: tuple[Remote, Remote], main: Found) -> None:
    """Wait until a connection to the service reaches its pod; LabError with the program's words where none does."""
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            return _move(served, remotes, main, 1)
        except LabError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _move(served: Served, remotes: tuple[Remote, Remote], main: Found, count: int) -> None:
    """Send so many bytes from pod to pod by way of the service; raises LabError."""
    client, server = (remote.within(end.place) for remote, end in zip(remotes, main.ends, strict=True))
    port = served.ports[0]
    listening = readings.argv((), main.client.address, before=True, ports=[Port("tcp", port)])
    with server.background(iperf3.server_job(port, _SERVING_S).argv):
        server.run(listening)
        words = ["iperf3", "-c", served.address, "-p", str(port), "-n", str(count), "--connect-timeout", "1000"]
        done = client.run(words)
    if done.exit_code != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-200:]
        raise LabError(
            f"service {served.name} at {served.address} leads nowhere: {said}; see whether kube-proxy, or what does "
            "its work, runs on both nodes."
        )
