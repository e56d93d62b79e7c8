"""A packet followed from endpoint to endpoint on a path that stands: captures at every interface, put together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from harness.fabric.profiles import Profile
from harness.inspect import decide, decode, tables
from harness.inspect.capture import Flow, capturing, filter_of, require_tcpdump
from harness.inspect.decode import Captures, Encapsulation
from harness.inspect.forget import forget
from harness.inspect.lost import Sight
from harness.inspect.points import Stop, chained, stops_of
from harness.inspect.sending import Sending, Sent, send
from harness.inspect.story import Scene, told
from harness.inspect.tables import Tables
from harness.labs.base import Lab
from harness.measures import iperf3, ping
from harness.model.containers import Engine
from harness.model.jobs import Side
from harness.model.node import Node
from harness.model.pairs import Pair
from harness.model.path import Endpoint, Kind, Path
from harness.model.trace import Place, Trace
from harness.nodes.remote import Remote
from harness.results.plan import Setup
from harness.run.standing import Equipment, grounded, standing, supported

_IP_PROTOCOLS = {"gre": "47", "ipv4": "4", "ipv6": "41"}
"""IP protocol numbers (IANA) by the header that follows the outer IP header."""


@dataclass(frozen=True)
class Subject:
    """What is traced: a profile at an MTU on the two nodes of a lab, its path there, and what is sent."""

    lab: Lab
    profile: Profile
    mtu: int
    path: Path
    sending: Sending


@dataclass(frozen=True)
class Traced:
    """The trace, and what was captured at each of its points, by the point's number."""

    trace: Trace
    captures: Mapping[int, Captures] = field(default_factory=dict)


def trace(subject: Subject, remotes: tuple[Remote, Remote]) -> Traced:
    """Send, capture at every interface of the path meanwhile, and put together what was seen.

    Nothing on the nodes is changed but entries that the kernel learned of the endpoints. Raises LabError where a node
    lacks tcpdump, ToolError and ConnectionLostError.
    """
    require_tcpdump(remotes)
    epoch_s = int(time.time())
    path, lab = subject.path, subject.lab
    with ThreadPoolExecutor(2) as pool:
        before = [*pool.map(tables.read, remotes, (path.client.enter, path.server.enter), ({}, {}))]
        stops = _stops(subject, before)
        ends = {path.client.address, path.server.address}
        for remote, known in zip(remotes, before, strict=True):
            forget(remote, known, stops, ends)
        flow = _flow(subject)
        by_name = {remote.name: remote for remote in remotes}
        limit_s = subject.sending.limit_s + 2 * len(stops)
        carrying = [stop for stop in stops if stop.is_up]  # on a device that is down nothing can be captured
        with capturing(by_name, carrying, partial(filter_of, flow=flow), limit_s) as harvest:
            sent = send(subject.sending, remotes, path, subject.mtu)
        asked = [_routes(subject, number, stops, flow) for number in range(2)]
        after = [*pool.map(tables.read, remotes, (path.client.enter, path.server.enter), asked)]
    captures = {number: decode.read(data, flow.encapsulation, epoch_s) for number, data in harvest.files.items()}
    names = (lab.client.name, lab.server.name)
    scene = Scene(
        chain=tuple(stop.point for stop in stops),
        frames={
            stop.point: [captured.frame for captured in captures[stop.point.number].frames]
            for stop in stops
            if stop.point.number in captures
        },
        sights={
            node.name: Sight(old, _ground(new, stops, node, path), flow.outer[1 - number], names[1 - number])
            for number, (node, old, new) in enumerate(zip((lab.client, lab.server), before, after, strict=True))
        },
        shared_clock=lab.shared_kernel,
    )
    return Traced(_result(subject, scene, sent), captures)


def _stops(subject: Subject, seen: Sequence[Tables]) -> list[Stop]:
    lab, path = subject.lab, subject.path
    others = [link.name for link in subject.profile.links]
    sides = zip(
        (lab.client, lab.server),
        Side,
        (path.client, path.server),
        seen,
        (path.client_nic, path.server_nic),
        strict=True,
    )
    client, server = (
        stops_of(node.name, side, endpoint, known, nic, path.claim.tunnel, others)
        for node, side, endpoint, known, nic in sides
    )
    return chained(client, server)


def _flow(subject: Subject) -> Flow:
    """Return what to look for, with the outer addresses that the profile's headers speak of."""
    lab, path = subject.lab, subject.path
    over_ipv6 = subject.profile.headers[:1] == ("ipv6",)
    outer = (_outer(lab.client, over_ipv6=over_ipv6), _outer(lab.server, over_ipv6=over_ipv6))
    protocol = "tcp" if subject.sending.tcp else "icmp"
    return Flow(path.client.address, path.server.address, outer, _encapsulation(subject.profile, path), protocol)


def _outer(node: Node, *, over_ipv6: bool) -> str:
    return (node.address6 or node.address) if over_ipv6 else node.address


def _encapsulation(profile: Profile, path: Path) -> Encapsulation | None:
    """Return what a profile's tunnel puts around packets: by what carries them, else by what its headers say."""
    if profile.kind is not Kind.TUNNEL or not profile.headers:
        return None
    if path.carrier is not None:
        return Encapsulation(path.carrier.protocol, path.carrier.port, profile.headers)
    following = profile.headers[1] if len(profile.headers) > 1 else "ipv4"
    return Encapsulation(_IP_PROTOCOLS.get(following, following), None, profile.headers)


def _routes(subject: Subject, number: int, stops: Sequence[Stop], flow: Flow) -> dict[str, list[str]]:
    """Return what to ask a node for, the client's (0) or the server's (1)."""
    path, side = subject.path, [*Side][number]
    endpoints: tuple[Endpoint, Endpoint] = (path.client, path.server)
    devices = {stop.point.place: stop.point.device for stop in stops if stop.point.side is side}
    arriving = devices.get(Place.TUNNEL, devices[Place.NIC])
    own, other = endpoints[number].address, endpoints[1 - number].address
    return decide.routes_of(own, other, flow.outer[1 - number], devices.get(Place.BRIDGE, ""), arriving)


def _ground(seen: Tables, stops: Sequence[Stop], node: Node, path: Path) -> decide.Ground:
    bridges = [stop.point.device for stop in stops if stop.point.node == node.name and stop.point.place is Place.BRIDGE]
    return decide.Ground(seen, bridges[0] if bridges else "", path.claim.tunnel or "")


def _result(subject: Subject, scene: Scene, sent: Sent) -> Trace:
    lab, path = subject.lab, subject.path
    story = told(scene, path.client.address, path.server.address, sent)
    return Trace(
        profile=subject.profile.name,
        mtu=subject.mtu,
        lab=lab.name,
        nodes=(lab.client.name, lab.server.name),
        source=path.client.address,
        destination=path.server.address,
        command=sent.command,
        points=story.points,
        walks=story.walks,
        times=story.times,
        owners=story.owners,
        clock=story.clock,
        offset_s=story.offset_s,
        sent=sent.sent,
        answered=sent.answered,
        said=sent.said,
        notes=story.notes,
    )


def trace_on(
    equipment: Equipment, setup: Setup, profiles: Mapping[str, Profile], sending: Sending, *, keep: bool = False
) -> Traced:
    """Bring a set-up of one profile and one MTU up, follow what is sent over it, and take it down again unless `keep`.

    Nothing is verified before: what is wrong is what a trace is for. Raises what `standing` and `trace` do.
    """
    with grounded(
        equipment, (), (iperf3.Iperf3.name if sending.tcp else ping.Ping.name,), Engine.NONE, keep=keep
    ) as ground:
        pair = Pair(ground.lab.client.name, ground.lab.server.name)
        lab, remotes = ground.lab.limited_to((pair,)), ground.of_pair(pair)
        supported(setup, profiles, remotes, equipment.observer, skip=False)
        name, mtu = setup.profiles[-1], setup.mtus[0]
        with standing(equipment, lab, profiles, setup, keep=keep, verify=False) as paths:
            equipment.observer.stage("following packets")
            path = paths[pair][name, mtu]
            return trace(Subject(lab, profiles[name], mtu, path, sending), remotes)
