"""Times of two nodes on one scale. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.inspect import walk
from harness.model.jobs import Side
from harness.model.trace import Clock, Frame, Place, Point


def aligned(
    frames: Mapping[Point, Sequence[Frame]], *, is_shared: bool
) -> tuple[Mapping[Point, Sequence[Frame]], Clock, float]:
    """Return the frames with the server's clock set right, how that was done, and the seconds it was ahead by.

    As NTP has it (RFC 5905, section 8): with t1 and t4 when an echo left the client's NIC and its reply came in there,
    t2 and t3 when it came in and left on the server's, the server's clock is ahead by ((t2 - t1) + (t3 - t4)) / 2, if
    both ways over the wire take as long. What is off by is half their difference.
    """
    if is_shared:
        return frames, Clock.SHARED, 0.0
    nics = {point.side: point for point in frames if point.place is Place.NIC}
    if len(nics) < len(Side):
        return frames, Clock.APART, 0.0
    times: dict[tuple[object, ...], dict[tuple[str, Side], float]] = {}
    for packet in walk.packets(frames):
        if packet.key[0] == walk.ECHO:
            for side, nic in nics.items():
                for frame in packet.frames_at(nic)[:1]:
                    times.setdefault(packet.key[2:4], {})[str(packet.key[1]), side] = frame.time_s
    offsets = [_offset_s(seen) for seen in times.values() if len(seen) == 2 * len(Side)]
    if not offsets:
        return frames, Clock.APART, 0.0
    offset_s = statistics.median(offsets)
    moved = {
        point: [replace(frame, time_s=frame.time_s - offset_s) for frame in own] if point.side is Side.SERVER else own
        for point, own in frames.items()
    }
    return moved, Clock.ALIGNED, offset_s


def _offset_s(seen: Mapping[tuple[str, Side], float]) -> float:
    there = seen[walk.REQUEST, Side.SERVER] - seen[walk.REQUEST, Side.CLIENT]
    back = seen[walk.REPLY, Side.SERVER] - seen[walk.REPLY, Side.CLIENT]
    return (there + back) / 2
