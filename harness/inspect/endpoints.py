"""Endpoints that are there: the network namespace that is meant by a name, and how two of them reach each other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.inspect.tables import Link, links_of
from harness.model.errors import InputError, LabError, ToolError
from harness.model.found import Spot, SpotKind, entering
from harness.model.jobs import Completed
from harness.nodes.readings import snmp
from harness.nodes.remote import Remote

ENGINES = (SpotKind.DOCKER, SpotKind.PODMAN)
_FORMAT = "{{.Id}} {{.State.Pid}}"
_SHOWN_ID = 12
_SEVERAL = re.compile(r"multiple|more than one|ambiguous", re.IGNORECASE)
_TRIES = 2
"""Echoes to each address: the first may wait for ARP."""
MOST_ADDRESSES = 8
_INODE = ("stat", "-Lc", "%i")
_REFUSED = 126
"""From this exit code on the program itself could not be started (POSIX shell, 2.8.2)."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint on a node: how it was asked for, what it is, the path of its namespace, and the devices in it.

    One that cannot be entered from its node is in a `place` of it, which is the name of its namespace, too.
    """

    node: str
    spot: str
    what: str
    namespace: str
    links: Mapping[str, Link] = field(default_factory=dict)
    place: str = ""

    def run(self, remote: Remote, argv: Sequence[str]) -> Completed:
        """Run argv there, by the connection of its node; raises ConnectionLostError."""
        return remote.within(self.place).run([*(() if self.place else entering(self.namespace)), *argv])

    @property
    def addresses(self) -> list[str]:
        """Its IPv4 addresses, loopback and link-local ones left out."""
        found = [address for link in self.links.values() if link.name != "lo" for address in link.addresses]
        return [address for address in found if ":" not in address and not address.startswith("169.254.")]


@dataclass(frozen=True)
class Reach:
    """How an endpoint sends to an address: from which one of its own, by which device, by `ip route get`'s line."""

    source: str
    device: str
    route: str


def located(spots: tuple[Spot, Spot], remotes: tuple[Remote, Remote]) -> tuple[Endpoint, Endpoint]:
    """Return both endpoints, the first on the first node and the second on the second.

    Raises InputError for one that is not there, for an id that several have, and for two on one node.
    """
    found = []
    for number, spot in enumerate(spots):
        own, other = remotes[number], remotes[1 - number]
        endpoint, why = _look(own, spot)
        if endpoint is None:
            elsewhere = spot.kind is not SpotKind.PID and _look(other, spot)[0] is not None
            ends = [*map(str, spots)]
            raise InputError(
                f"--between: {spot} is on {other.name}, where {ends[1 - number]} is to be as well: give one endpoint "
                f"on {remotes[0].name} and then one on {remotes[1].name}."
                if elsewhere
                else f"--between: {why}."
            )
        found.append(_entered(own, endpoint))
    return found[0], found[1]


def _look(remote: Remote, spot: Spot) -> tuple[Endpoint | None, str]:
    """Return the endpoint of that name on a node, or what is said where there is none."""
    if spot.kind is SpotKind.NETNS:
        path, what = f"/run/netns/{spot.name}", "namespace"
        there = remote.run([*_INODE, path]).exit_code == 0
        why = f"{remote.name} has no namespace {spot.name}; `ip netns list` there names those that it has"
    elif spot.kind is SpotKind.PID:
        path, what = f"/proc/{spot.name}/ns/net", f"process {spot.name}"
        there = remote.run(["readlink", path]).stdout.strip() != ""
        why = f"no process {spot.name} runs on {remote.name}; give the pid that it has on the node itself"
    else:
        return _container(remote, spot)
    return (Endpoint(remote.name, str(spot), what, path), "") if there else (None, why)


def _container(remote: Remote, spot: Spot) -> tuple[Endpoint | None, str]:
    """Return the container of that name or id, of whichever engine it is."""
    engines = ENGINES if spot.kind is SpotKind.CONTAINER else (spot.kind,)
    met, said, absent = [], [], []
    for engine in engines:
        done = remote.run([str(engine), "container", "inspect", "--format", _FORMAT, spot.name])
        words = done.stdout.split()
        if done.exit_code == 0 and len(words) == 2:  # noqa: PLR2004 - id and pid
            met.append((engine, words[0], words[1]))
        elif _SEVERAL.search(done.stderr):
            return None, f"several containers of {remote.name} have ids that begin with {spot.name}; give more of it"
        elif done.exit_code >= _REFUSED:
            absent.append(f"no {engine}")
        elif "daemon" in done.stderr and "connect" in done.stderr:
            said.append(f"{engine} does not answer there")
    if len(met) > 1:
        return None, f"both engines of {remote.name} have a container {spot.name}; give docker:{spot.name} or podman:…"
    if not met:
        reasons = f" ({', '.join([*said, *absent])})" if said or absent else ""
        return None, f"{remote.name} has no container {spot.name}{reasons}; `docker ps` there names those that run"
    engine, own, pid = met[0]
    if pid == "0":
        return None, f"container {spot.name} on {remote.name} does not run; start it"
    what = f"{engine} container {own[:_SHOWN_ID]}, process {pid}"
    return Endpoint(remote.name, str(spot), what, f"/proc/{pid}/ns/net"), ""


def _entered(remote: Remote, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint with what is in it; raises InputError where it is none of its own, or has no address."""
    own, inodes = (remote.run([*_INODE, path]).stdout.strip() for path in ("/proc/self/ns/net", endpoint.namespace))
    if own == inodes:
        raise InputError(
            f"--between: {endpoint.spot} is in {remote.name}'s own network, which is the underlay that paths are "
            "compared with; give an endpoint that has a network of its own."
        )
    return filled(remote, endpoint)


def filled(remote: Remote, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint with the devices in it; raises InputError where none of them has an address."""
    done = endpoint.run(remote, ["ip", "-j", "-d", "-s", "addr", "show"])
    if done.exit_code != 0:
        raise LabError(f"{remote.name}: {endpoint.spot} cannot be entered: {done.stderr.strip()[-200:]}")
    full = replace(endpoint, links=links_of(done.stdout, remote.name))
    if not full.addresses:
        raise InputError(
            f"{endpoint.spot} on {remote.name} has no IPv4 address, which measuring takes; "
            "connect it to the network that is to be measured."
        )
    return full


def route_to(remote: Remote, endpoint: Endpoint, address: str) -> Reach | None:
    """Return how an endpoint sends to an address, None where it has no route."""
    done = endpoint.run(remote, ["ip", "-j", "route", "get", address])
    try:
        (route, *_) = json.loads(done.stdout or "[]")
        source, device = str(route["prefsrc"]), str(route["dev"])
    except (ValueError, KeyError, TypeError):
        return None
    line = " ".join(
        [address, *(["via", str(route["gateway"])] if "gateway" in route else []), "dev", device, "src", source]
    )
    return Reach(source, device, line)


def reached(
    ends: tuple[Endpoint, Endpoint], remotes: tuple[Remote, Remote]
) -> tuple[tuple[Reach, Reach], Sequence[str]]:
    """Return how both endpoints reach each other, the first way that carries an echo there and back, and notes.

    That it arrives at the very endpoint, and not at another of the same address, is told by what that one counts.
    Raises LabError where none does, ToolError where ping cannot be started.
    """
    client, server = ends
    tried = []
    for address in server.addresses[:MOST_ADDRESSES]:
        if address in client.addresses:
            tried.append(f"{address} is an address of both")
            continue
        there = route_to(remotes[0], client, address)
        back = there and route_to(remotes[1], server, there.source)
        if there is None or back is None:
            tried.append(f"to {address} there is no route{' back' if there else ''}")
            continue
        before = _echoes(remotes[1], server)
        argv = ["ping", "-n", "-c", str(_TRIES), "-i", "0.2", "-W", "1", address]
        done = client.run(remotes[0], argv)
        if done.exit_code >= _REFUSED:
            raise ToolError(f"ping does not start in {client.spot} on {client.node}: {done.stderr.strip()[-200:]}")
        answered = done.exit_code == 0
        if _echoes(remotes[1], server) == before:
            tried.append(f"{address} answers, but it is somebody else" if answered else f"no echo to {address} arrives")
        elif not answered:
            tried.append(f"echoes to {address} arrive, but no reply comes back")
        else:
            others = [other for other in server.addresses if other != address]
            notes = [f"{server.spot} has other addresses, too, that are not measured: {', '.join(others)}"]
            return (there, back), notes if others else []
    raise LabError(
        f"{client.spot} on {client.node} does not reach {server.spot} on {server.node}: {'; '.join(tried)}. "
        "Join both to one network, or let what drops the packets pass them."
    )


def _echoes(remote: Remote, endpoint: Endpoint) -> int:
    """Return how many echo requests an endpoint has received."""
    done = endpoint.run(remote, ["cat", "/proc/net/snmp"])
    return snmp(done.stdout.splitlines()).get("IcmpInEchos", 0)
