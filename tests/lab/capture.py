"""What crosses a node's NIC: tcpdump in the node, its capture file read here."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from harness.labs.access import DEVICE
from tests.lab.bench import Bench, eventually, ping

_FILE_HEADER_BYTES = 24
_RECORD = struct.Struct("=IIII")
_LAST = "1a57c0de1a57f00d"
ETHERNET_BYTES = 14
IPV4_UDP_BYTES = 20 + 8
VXLAN_BYTES = 8
ARP = b"\x08\x06"
IPV4 = b"\x08\x00"
UDP = 17


@dataclass
class Capture:
    """Frames as they crossed the NIC, complete once the `with` block has ended."""

    frames: list[bytes] = field(default_factory=list)

    def holding(self, pattern: bytes) -> list[bytes]:
        """Return the frames that have some bytes in them."""
        return [frame for frame in self.frames if pattern in frame]

    def plain_arp(self) -> list[bytes]:
        """Return the ARP frames of the underlay itself."""
        return [frame for frame in self.frames if frame[12:14] == ARP]

    def tunnelled_arp(self, port: int) -> list[bytes]:
        """Return the frames that carry an inner ARP frame in VXLAN over IPv4 on a UDP port."""
        inner = ETHERNET_BYTES + IPV4_UDP_BYTES + VXLAN_BYTES
        return [frame for frame in self.udp(port) if frame[inner + 12 : inner + 14] == ARP]

    def udp(self, port: int) -> list[bytes]:
        """Return the frames of IPv4 and UDP to a port."""
        return [
            frame
            for frame in self.frames
            if frame[12:14] == IPV4 and frame[23] == UDP and frame[36:38] == port.to_bytes(2, "big")
        ]


@contextmanager
def capturing(bench: Bench, *words: str) -> Iterator[Capture]:
    """Capture what crosses the client node's NIC while the block runs; `words` are a filter of tcpdump's.

    What tcpdump has not read when it is ended is lost, so the block is followed by a ping over the underlay: when its
    reply has been written, everything before it has.
    """
    narrow = [*words, "or", "icmp"] if words else []
    argv = [*bench.enter(bench.client), *f"tcpdump -i {DEVICE} -n -U -Z root --immediate-mode -w -".split(), *narrow]
    capture = Capture()
    with (
        tempfile.TemporaryFile() as written,
        subprocess.Popen(argv, stdout=written, stderr=subprocess.PIPE) as process,
    ):
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert f"listening on {DEVICE}".encode() in said, said
            yield capture
            last = ping(bench.client, (), bench.lab.server.address, "-p", _LAST)
            assert last.exit_code == 0
            assert eventually(lambda: _written(written).count(bytes.fromhex(_LAST) * 4) == 2)
        finally:
            process.terminate()
        capture.frames += _frames(_written(written))


def _written(file: IO[bytes]) -> bytes:
    """Return all of a file that somebody else writes, whose position is shared with them, without moving that."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _frames(written: bytes) -> Iterator[bytes]:
    """Return the frames of a capture file in this machine's byte order."""
    at = _FILE_HEADER_BYTES
    while at + _RECORD.size <= len(written):
        _, _, length, _ = _RECORD.unpack_from(written, at)
        at += _RECORD.size
        yield written[at : at + length]
        at += length
