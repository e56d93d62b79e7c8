"""The shaping of the local lab's links: what a cable of a rate would let through."""

from __future__ import annotations

from collections.abc import Sequence

from harness.labs.process import command
from harness.truth.wire import HEADER_BYTES, l1_bytes

# tbf lets this much time's worth of the rate pass at once after a pause, and holds at most so much. The burst has to
# outlast the moments in which a virtual machine is not run at all, or what they cost is lost for good: with a CPU
# stolen 12 % of the time, 8 flows read 0.56-0.85 Gbit/s with a burst of 1 ms and 0.954-0.957 with one of 8 ms.
BURST_S = 0.008
QUEUE_S = 0.024
MIN_BURST_BYTES = 65536
"""The largest GSO burst; tbf would have to cut a larger packet than it lets pass."""


def shape(enter: Sequence[str], device: str, mtu: int, rate_bps: float) -> None:
    """Shape what a device sends, in the namespaces that `enter` enters; raises LabError."""
    for qdisc in _qdiscs(mtu, rate_bps):
        command([*enter, "tc", "qdisc", "replace", "dev", device, *qdisc.split()])


def _qdiscs(mtu: int, rate_bps: float) -> list[str]:
    """Return the qdiscs that let through so many bits per second as a cable counts them, with what surrounds a frame.

    tbf can add that to whatever it is handed, a frame or a GSO burst of many. So one counts bursts, at a rate that is
    lower by what a full frame leaves out, and one inside it counts frames. The slower one decides: the first where full
    frames come in bursts, the second where frames come singly, such as fragments. For a burst of smaller frames the
    error is .05 % at an MTU of 1450 and .3 % at 1280.
    """
    burst, limit = (max(int(rate_bps / 8 * time_s), MIN_BURST_BYTES) for time_s in (BURST_S, QUEUE_S))
    counted, on_cable = mtu + HEADER_BYTES["ethernet"], l1_bytes(mtu)
    bounds = f"burst {burst} limit {limit}"
    return [
        f"root handle 1: tbf rate {int(rate_bps * counted / on_cable)}bit {bounds}",
        f"parent 1:1 handle 2: tbf rate {int(rate_bps)}bit {bounds} overhead {on_cable - counted}",
    ]
