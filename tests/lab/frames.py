"""Full-size packets sent over every profile, and what of them crossed the sending node's NIC.

Each sending has a pattern of its own in its payload, by which its frames are told from all others, fragments included.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from harness.fabric.ansible import paths
from harness.fabric.profiles import Profile, load
from harness.labs.access import DEVICE
from harness.model.path import Path, PathState
from harness.model.readings import Reading, Span
from harness.model.trial import UNDERLAY, Cell, Measured
from harness.nodes import readings
from harness.nodes.remote import Remote
from harness.results.plan import Setup
from harness.truth import proof, wire
from tests.lab.bench import Bench, bench, done, eventually, possible_profiles
from tests.lab.capture import ETHERNET_BYTES, IPV4, capturing

COUNT = 4
"""Packets of each sending; as many TCP segments are within the initial window and make one GSO burst."""
_SETTLING_S = 0.3
_OFFLOADS = "tso off gso off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off"
_TCP_PROTOCOL = 6
_PATTERN_BYTES = 6
"""As short as the shortest fragment's payload: 1450 bytes cut at 1446."""
# An error is what the path says of its MTU, which is one way to lose a datagram.
_UDP = """
import socket, sys
address, pattern, size = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[4])):
    try:
        sender.sendto((pattern * size)[:size], (address, 9))
    except OSError:
        pass
"""
_TCP_SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 9)) as server:
    print("ready", flush=True)
    sender, _ = server.accept()
    total = 0
    while got := sender.recv(65536):
        total += len(got)
    print(total)
"""
_TCP_CLIENT = """
import socket, sys
address, pattern, size, mss = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with socket.socket() as sender:
    sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    sender.connect((address, 9))
    sender.sendall((pattern * size)[:size])
    sender.shutdown(socket.SHUT_WR)
    sender.recv(1)
"""


class Sending(StrEnum):
    """How full-size packets are sent, in this order: what one teaches the endpoint, the next ones know."""

    ECHO = "echo"
    UDP = "UDP"
    TCP = "TCP"
    WHOLE_ECHO = "echo, not to be cut"
    LATER_ECHO = "echo, later"


@dataclass(frozen=True)
class Sent:
    """What became of a sending: the path's state by the harness's own rules, and the sizes that crossed the NIC.

    `size` is that of the inner packet. `packets` are the IP packets on the underlay; over TCP, what each inner packet
    takes up in the stream.
    """

    state: PathState
    size: int
    packets: Counter[int]


class Sender:
    """The endpoints of one profile at one MTU, and what is sent from one to the other."""

    def __init__(self, bench: Bench, profile: Profile, mtu: int, path: Path) -> None:
        self.mtu = mtu
        self._path = path
        self._client = [*bench.enter_fully(bench.client), *path.client.enter]
        self._server = [*bench.enter_fully(bench.server), *path.server.enter]
        self._nodes = [(bench.enter_fully(bench.client), path.client, path.server, path.client_nic)]
        self._nodes += [(bench.enter_fully(bench.server), path.server, path.client, path.server_nic)]
        self.profile = profile
        self._latest: list[Reading] = []

    def keep_quiet(self) -> None:
        """Have TCP send no segment twice just because its acknowledgement takes 10 ms."""
        _run([*self._client, "sysctl", "-q", "-w", "net.ipv4.tcp_early_retrans=0"])

    def packets(self, sending: Sending, frames: Sequence[bytes]) -> Counter[int]:
        """Return the sizes of what carries this sending among the frames that a node sent."""
        pattern = bytes.fromhex(self.pattern(sending))
        turned = [pattern[at:] + pattern[:at] for at in range(_PATTERN_BYTES)]  # a fragment may start anywhere in it
        forwarder = self.profile.forwarder
        if forwarder is not None and forwarder.protocol == "tcp":
            return Counter(
                len(record) for record in _records(frames, forwarder.port) if any(mark in record for mark in turned)
            )
        return Counter(ip_bytes(frame) for frame in frames if any(mark in frame for mark in turned))

    def pattern(self, sending: Sending | None) -> str:
        """Return bytes that are this sending's own, in hex."""
        return sha256(f"{self.profile.name} {self.mtu} {sending}".encode()).hexdigest()[: 2 * _PATTERN_BYTES]

    @property
    def sendings(self) -> list[Sending]:
        """What is sent: all of them only where packets are too large to go whole.

        The ping that must not be cut is left out where outer packets are: the tunnel would answer it, and the endpoint
        remember that for ten minutes.
        """
        claim = self._path.claim
        if self.mtu + claim.overhead <= claim.nic_mtu and self.mtu <= claim.path_mtu:
            return [Sending.TCP, Sending.WHOLE_ECHO]
        if self.mtu <= claim.path_mtu:
            return [Sending.ECHO, Sending.UDP, Sending.TCP]
        return [*Sending]

    def send(self, sending: Sending) -> tuple[PathState, int]:
        """Send full-size packets; return the path's state and the inner packets' size."""
        if sending in {Sending.UDP, Sending.TCP} and Sending.LATER_ECHO in self.sendings:
            self._send(sending, self.mtu, None)  # the first packets find out what the path takes
            self._latest = []
        before = self._latest or self._read()
        size = min(self.mtu, before[0].route_mtu or self.mtu) if sending is Sending.TCP else self.mtu
        arrived = self._send(sending, size, sending)
        if sending is Sending.UDP:
            eventually(lambda: _datagrams(before, self._read()) >= COUNT, _SETTLING_S)
        self._latest = after = self._read()
        arrived = _datagrams(before, after) if sending is Sending.UDP else arrived
        payload = arrived * (size - 28)
        echo = sending not in {Sending.UDP, Sending.TCP}
        measured = Measured({"ping_lost_ratio": 1 - arrived / COUNT} if echo else {}, payload, payload if echo else 0)
        client, server = (Span(one, two, nic) for one, two, (*_, nic) in zip(before, after, self._nodes, strict=True))
        return proof.path_state(Cell.of("frames", mtu=self.mtu), self._path.claim, client, server, measured), size

    def _read(self) -> list[Reading]:
        return [
            readings.parse(_run([*node, *readings.argv(near.enter, far.address, before=False)]))
            for node, near, far, _ in self._nodes
        ]

    def _send(self, sending: Sending, size: int, named: Sending | None) -> int:
        """Return how many packets arrived, as far as the sender knows."""
        address, pattern = self._path.server.address, self.pattern(named)
        python = ["/usr/bin/python3", "-I", "-S", "-c"]
        if sending is Sending.UDP:
            _run([*self._client, *python, _UDP, address, pattern, str(size - 28), str(COUNT)])
            return 0
        if sending is Sending.TCP:
            payload = COUNT * wire.payload(size, "tcp")
            server_argv = [*self._server, "timeout", "10", *python, _TCP_SERVER, address]
            with subprocess.Popen(server_argv, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                assert server.stdout.readline() == "ready\n"
                _run([*self._client, *python, _TCP_CLIENT, address, pattern, str(payload), str(size - 40)])
                assert int(server.stdout.readline()) == payload
            return COUNT
        cut = "do" if sending is Sending.WHOLE_ECHO else "dont"
        words = f"ping -n -q -c {COUNT} -i 0.01 -W {_SETTLING_S} -M {cut} -s {size - 28} -p {pattern}".split()
        said = subprocess.run([*self._client, *words, address], capture_output=True, text=True, check=False).stdout
        return int(said.partition(" received")[0].rpartition(" ")[2])


def _datagrams(before: Sequence[Reading], after: Sequence[Reading]) -> int:
    """Return how many datagrams reached the server's endpoint: nobody listens there, which is counted."""
    return after[1].endpoint["UdpNoPorts"] - before[1].endpoint["UdpNoPorts"]


def _run(argv: Sequence[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def mac(node: Remote) -> bytes:
    """Return the address of a node's NIC."""
    return bytes.fromhex(done(node, "cat", f"/sys/class/net/{DEVICE}/address").strip().replace(":", ""))


def ip_bytes(frame: bytes) -> int:
    """Return the size of a frame's IP packet, as its header and as the frame's length say."""
    packet = frame[ETHERNET_BYTES:]
    said = int.from_bytes(packet[2:4], "big") if frame[12:14] == IPV4 else 40 + int.from_bytes(packet[4:6], "big")
    assert said == len(packet)
    return said


def _records(frames: Sequence[bytes], port: int) -> Iterator[bytes]:
    """Return what OpenVPN sent over TCP: records with their length of two bytes in front.

    The stream has to start with the first frame, so nothing may be on its way when the capture starts.
    """
    segments: dict[int, bytes] = {}
    for frame in frames:
        packet = frame[ETHERNET_BYTES:]
        if frame[12:14] != IPV4 or packet[9] != _TCP_PROTOCOL:
            continue
        segment = packet[20:]
        if port in (int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big")):
            payload = segment[(segment[12] >> 4) * 4 :]
            if payload:
                segments.setdefault(int.from_bytes(segment[4:8], "big"), payload)
    stream = bytearray()
    first = next(iter(segments), 0)
    for number in sorted(segments, key=lambda number: (number - first) % 2**32):
        assert (number - first) % 2**32 == len(stream), "a segment is missing, or was sent anew with others"
        stream += segments[number]
    while stream:
        size = 2 + int.from_bytes(stream[:2], "big")
        assert size <= len(stream)
        yield bytes(stream[:size])
        del stream[:size]


def set_nic_mtu(bench: Bench, nic_mtu: int) -> None:
    """Set the MTU of both nodes' NICs."""
    for node in bench.nodes:
        done(node, "ip", "link", "set", "dev", DEVICE, "mtu", str(nic_mtu))


@contextmanager
def lab_of(nic_mtu: int, mtus: Sequence[int]) -> Iterator[tuple[Bench, list[Sender]]]:
    """Bring up a lab whose NICs have this MTU and send no GSO bursts, with every profile that this kernel can do."""
    with bench(rate="none") as made:
        set_nic_mtu(made, nic_mtu)
        for node in made.nodes:
            done(node, "ethtool", "-K", DEVICE, *_OFFLOADS.split())
        assert made.lab.inventory is not None
        inventory = json.loads(made.lab.inventory.read_text(encoding="utf-8"))
        for variables in inventory["nodes"]["hosts"].values():
            variables["underlay_mtu"] = nic_mtu
        made.lab.inventory.write_text(json.dumps(inventory), encoding="utf-8")
        setup = Setup((UNDERLAY, *possible_profiles()), tuple(mtus), nic_mtu)
        made.playbooks.run("apply", setup)
        profiles = {name: load(name) for name in setup.profiles}
        client, server = (replace(node, mtu=nic_mtu) for node in made.lab.nodes)
        found = paths(setup, profiles, client, server)
        yield (
            made,
            [Sender(made, profiles[name], mtu, path) for (name, mtu), path in sorted(found.items()) if mtu in mtus],
        )


def send_everything(nic_mtu: int, mtus: Sequence[int]) -> dict[tuple[str, int, Sending], Sent]:
    """Return what became of each sending over each profile at each MTU."""
    with lab_of(nic_mtu, mtus) as (made, senders), capturing(made) as seen:
        own = mac(made.client)
        for sender in senders:
            sender.keep_quiet()
        states = {(sender, sending): sender.send(sending) for sender in senders for sending in sender.sendings}
    frames = [frame for frame in seen.frames if frame[6:12] == own]
    return {
        (sender.profile.name, sender.mtu, sending): Sent(state, size, sender.packets(sending, frames))
        for (sender, sending), (state, size) in states.items()
    }
