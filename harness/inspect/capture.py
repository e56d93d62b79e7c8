"""tcpdump on every interface of a way at the same time: bounded in packets, bytes and time, and to one flow.

What is captured comes back over the connection and is nowhere on a node; when the harness is gone, `timeout` ends what
still runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from harness.inspect.decode import Encapsulation
from harness.inspect.points import Stop
from harness.model.errors import LabError, ToolError
from harness.model.trace import Place
from harness.nodes.remote import Remote
from harness.nodes.running import Background
from harness.truth.wire import HEADER_BYTES, overhead

MOST_PACKETS = 4000
KEPT_BYTES = 400
"""Of each packet: its headers, and enough of what is in it."""
_HEADER_BYTES = 24
"""Size of the header of a capture file: when it has come, packets are captured."""
_STARTING_S = 10.0
_STOPPING_S = 5.0
_SETTLING_S = 0.3
"""How long after the last packet captures go on: replies are on their way, and the last ones are being written."""
_NOT_FOUND = 127
_ARP_TYPE = 0x0806
_IPV4_SOURCE, _IPV4_DESTINATION = 12, 16
"""Where the addresses are in an IPv4 header (RFC 791, section 3.1)."""


class CaptureRefusedError(ToolError):
    """tcpdump did not start: it is not allowed to, or not there."""


@dataclass(frozen=True)
class Flow:
    """What is looked for: the endpoints' addresses, the nodes' own outer ones, and what the tunnel sends (or None)."""

    source: str
    destination: str
    outer: tuple[str, str]
    encapsulation: Encapsulation | None
    protocol: str = "icmp"


@dataclass
class Harvest:
    """The capture files by the number of their point; filled once the `with` block has ended."""

    files: dict[int, bytes] = field(default_factory=dict)


def require_tcpdump(remotes: Sequence[Remote]) -> None:
    """Raise LabError where a node has no tcpdump."""
    for remote in remotes:
        if remote.run(["tcpdump", "--version"]).exit_code == _NOT_FOUND:
            raise LabError(
                f"{remote.name} has no tcpdump, by which packets are followed; apt-get install tcpdump there."
            )


@contextmanager
def capturing(
    remotes: Mapping[str, Remote], stops: Sequence[Stop], filter_at: Callable[[Stop], str], limit_s: float
) -> Iterator[Harvest]:
    """Capture at all stops while the block runs, for so many seconds at most; `remotes` are by node.

    `filter_at` says what is captured at each of them, such as `filter_of` for a flow.

    Raises CaptureRefusedError and ToolError with tcpdump's own words, and ConnectionLostError.
    """
    harvest = Harvest()
    with ExitStack() as stack:
        running: list[tuple[Stop, Background]] = []
        for stop in stops:
            argv = [*stop.enter, *argv_of(stop, filter_at(stop), limit_s)]
            running.append((stop, stack.enter_context(remotes[stop.point.node].background(argv))))
        for stop, background in running:
            if not background.await_output(_HEADER_BYTES, _STARTING_S):
                said = background.said().strip().splitlines()
                raise CaptureRefusedError(
                    f"tcpdump on {stop.point} did not start: {said[-1] if said else 'it says nothing'}"
                )
        yield harvest
        time.sleep(_SETTLING_S)
        for stop, background in running:
            background.stop(_STOPPING_S)  # one that has ended, at its bound, is read to its end by that
            harvest.files[stop.point.number] = background.output


def argv_of(stop: Stop, filtered: str, limit_s: float) -> list[str]:
    """Return tcpdump's argv at a stop; filters are made here and in `found`, of checked addresses and numbers."""
    words = f"timeout -k 2 {int(limit_s) + 1} tcpdump -i {stop.point.device} -n -U -Z root --immediate-mode"
    words += f" --time-stamp-precision=nano -s {KEPT_BYTES} -c {MOST_PACKETS} -w -"
    return [*words.split(), filtered]


def filter_of(stop: Stop, flow: Flow) -> str:
    """Return the filter of a stop: the flow as it is, or on a NIC as the tunnel carries it."""
    if stop.point.place is Place.NIC and flow.encapsulation is not None:
        return _carried(flow, flow.encapsulation)
    hosts = f"host {flow.source} and host {flow.destination}"
    if flow.protocol == "icmp":  # errors come from somebody else, such as the router that cannot cut a packet
        either = f"(host {flow.source} or host {flow.destination})"
        return f"(icmp or icmp6 or arp) and {either}" if stop.is_ethernet else f"icmp and {either}"
    errors = f"(icmp and (host {flow.source} or host {flow.destination}))"
    return f"({flow.protocol} and {hosts}) or {errors}" + (f" or (arp and {hosts})" if stop.is_ethernet else "")


def _carried(flow: Flow, encapsulation: Encapsulation) -> str:
    """Return the filter for a tunnel's packets: its port or protocol between the nodes, and our flow inside.

    Later fragments have no port, and nothing of what is inside.
    """
    near, far = flow.outer
    nodes = f"host {near} and host {far}"
    if encapsulation.port is not None:
        own = f"{encapsulation.protocol} port {encapsulation.port}"
    else:
        own = f"proto {encapsulation.protocol}" if ":" not in near else f"ip6 proto {encapsulation.protocol}"
    inside = _inside(flow, encapsulation)
    later = "(ip[6:2] & 0x1fff != 0)" if ":" not in near else "(ip6 proto 44)"
    return f"{nodes} and (({own}{f' and {inside}' if inside else ''}) or {later})"


def _inside(flow: Flow, encapsulation: Encapsulation) -> str:
    """Return the part of a filter that looks inside the tunnel, empty where that cannot be done.

    Inner headers stand at a fixed place behind headers of fixed size; not so in a stream, or encrypted.
    """
    hidden = {"tcp", "wireguard"}.intersection(encapsulation.headers)
    if hidden or ":" in flow.source or ":" in flow.destination:
        return ""
    start = HEADER_BYTES["ethernet"] + overhead(encapsulation.headers)
    one, two = (
        int.from_bytes(bytes(map(int, address.split("."))), "big") for address in (flow.source, flow.destination)
    )

    def at(place: int, value: int) -> str:
        return f"ether[{start + place}:4] = {value}"

    either = f"({at(_IPV4_SOURCE, one)} or {at(_IPV4_SOURCE, two)} or {at(_IPV4_DESTINATION, one)}"
    either += f" or {at(_IPV4_DESTINATION, two)}"
    if encapsulation.headers and encapsulation.headers[-1] == "ethernet":
        either += f" or ether[{start - 2}:2] = {_ARP_TYPE}"
    return f"{either})"
