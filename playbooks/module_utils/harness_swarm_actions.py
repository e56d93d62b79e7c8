"""What is done to a node for Docker Swarm's overlay network, planned as a queue of actions as netstate does it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from ansible.module_utils import harness_containers as containers
from ansible.module_utils import harness_swarm as swarm
from ansible.module_utils.harness_actions import Action, RemoveContainers, Run, StartContainers
from ansible.module_utils.harness_claims import remove_empty_folder
from ansible.module_utils.harness_node import NodeError, existing_namespaces, namespace_pattern, run

SOCKET = "/var/run/docker.sock"
WAITING_S = 30.0


class Socket(http.client.HTTPConnection):
    """A connection to Docker's API: what is secret goes there in a body, and stands in no command line."""

    def connect(self):
        """Connect to the socket of the daemon."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAITING_S)
        self.sock.connect(os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or SOCKET)


def post(path, body):
    """Post to Docker's API; raises NodeError with its own words."""
    connection = Socket("docker")
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise NodeError(f"Docker's API, {path}: {error}") from error
    finally:
        connection.close()
    if answer.status >= http.client.BAD_REQUEST:
        with suppress(ValueError, TypeError, KeyError):
            text = json.loads(text)["message"]
        raise NodeError(f"Docker's API, {path}: {' '.join(text.split())}")


# ---- bringing it up


@dataclass(frozen=True)
class MakeSwarm(Action):
    """A swarm of which this node is the manager; its label comes with it."""

    address: str
    manager: str

    def lines(self):
        """Return the command that would do the same, but for the label."""
        return [f"docker swarm init --advertise-addr {self.address} --listen-addr {self.manager}"]

    def apply(self):
        """Make it."""
        spec = {"Name": "default", "Labels": {swarm.LABEL: self.manager}}
        own = {"ListenAddr": self.manager, "AdvertiseAddr": self.address, "DataPathAddr": self.address}
        post("/swarm/init", {**own, "Spec": spec})


@dataclass(frozen=True)
class JoinSwarm(Action):
    """This node as a worker of the peer's swarm; the token goes to Docker's socket."""

    address: str
    manager: str
    token: str

    def lines(self):
        """Return the command that would do the same, without the secret."""
        return [f"docker swarm join --advertise-addr {self.address} --token <token> {self.manager}"]

    def apply(self):
        """Join."""
        port = self.manager.rpartition(":")[2]
        own = {"ListenAddr": f"{self.address}:{port}", "AdvertiseAddr": self.address, "DataPathAddr": self.address}
        post("/swarm/join", {**own, "RemoteAddrs": [self.manager], "JoinToken": self.token})


@dataclass(frozen=True)
class NameOverlay(Action):
    """A name for the namespace in which Docker hides the network, and the endpoints' MTU on both of their ends."""

    wanted: dict

    def lines(self):
        """Return commands that would do the same."""
        named = [f"ln -sfn <namespace of {self.wanted['network']}> {self.wanted['overlay']}"]
        return named + [
            f"ip link set dev {device} mtu {member['mtu']}"
            for member in self.wanted["containers"]["members"]
            for device in (f"<veth of {member['name']}>", f"eth0 of {member['name']}")
        ]

    def apply(self):
        """Name it, and set the MTUs."""
        with suppress(FileNotFoundError):
            os.remove(self.wanted["overlay"])
        os.symlink(swarm.sandbox(self.wanted), self.wanted["overlay"])
        for member in self.wanted["containers"]["members"]:
            outside, _, _ = swarm.ends(self.wanted, member)
            mtu = ["mtu", str(member["mtu"])]
            run([*swarm.entering(self.wanted["overlay"]), "ip", "link", "set", "dev", outside, *mtu])
            run(["ip", "-n", member["namespace"], "link", "set", "dev", "eth0", *mtu])


def plan_membership(state, token):
    """Return the actions that make a node a member, the manager's with the network."""
    wanted, profile = state["swarm"], state["profile"]
    held, member = swarm.marks(), swarm.membership()
    queue = []
    if swarm.mark_of(profile) not in held:
        was_there = (
            any(labels[swarm.GATEWAY_LABEL] == "there" for labels in held.values()) if held else swarm.has_gateway()
        )
        labels = [f"{swarm.LABEL}={wanted['manager']}", f"{swarm.GATEWAY_LABEL}={'there' if was_there else 'made'}"]
        words = [word for label in labels for word in ("--label", label)]
        queue.append(Run(("docker", "volume", "create", *words, swarm.mark_of(profile))))
    if member is None and wanted["is_manager"]:
        queue.append(MakeSwarm(wanted["address"], wanted["manager"]))
    elif member is None:
        queue.append(JoinSwarm(wanted["address"], wanted["manager"], token))
    if wanted["is_manager"] and (member is None or swarm.network(wanted) is None):
        queue.append(Run(_network_argv(profile, wanted)))
    return queue


def _network_argv(profile, wanted):
    """Return the argv that makes the overlay network; Docker takes what its headers need off the MTU by itself."""
    words = ["docker", "network", "create", "--driver", "overlay", "--attachable", "--subnet", wanted["subnet"]]
    words += ["--label", f"{containers.LABEL}={profile}", "--opt", f"com.docker.network.driver.mtu={wanted['nic_mtu']}"]
    return (*words, *(["--opt", "encrypted"] if wanted["is_encrypted"] else []), wanted["network"])


def plan_endpoints(state):
    """Return the actions that bring a profile's containers up on the network, those left half-built removed first."""
    inner, profile = swarm.state_with_containers(state), state["profile"]
    wanted = state["swarm"]
    if containers.is_up(inner):
        return [] if _is_named(wanted) else [NameOverlay(wanted)]
    queue, engines = [], containers.Engines()
    pattern = namespace_pattern(profile)
    stale = sorted(name for name in existing_namespaces() if pattern.fullmatch(name))
    queue += [Run(("ip", "netns", "del", name)) for name in stale]
    removals = engines.leave(inner) if containers.is_left(inner) else None
    if removals is not None:
        queue.append(RemoveContainers(profile, tuple(map(tuple, removals))))
    queue.append(StartContainers(profile, inner["containers"], engines.make_image(inner)))
    return [*queue, NameOverlay(wanted)]


def _is_named(wanted):
    """Tell whether the hidden namespace has its name, and the endpoints their MTUs."""
    with suppress(NodeError, FileNotFoundError):
        if os.readlink(wanted["overlay"]) != swarm.sandbox(wanted):
            return False
        members = wanted["containers"]["members"]
        return all(swarm.ends(wanted, member)[1:] == (member["mtu"], member["mtu"]) for member in members)
    return False


# ---- taking it down


@dataclass(frozen=True)
class RemoveNetwork(Action):
    """The removal of an overlay network from a swarm that stays, once the workers' endpoints have left it."""

    name: str

    def lines(self):
        """Return the command."""
        return [f"docker network rm {self.name}"]

    def apply(self):
        """Remove it; the manager hears of endpoints that left a moment later."""
        _until_done(["docker", "network", "rm", self.name])


@dataclass(frozen=True)
class RemoveGateway(Action):
    """The removal of the bridge that Docker made for its first swarm, and leaves behind."""

    def lines(self):
        """Return the command."""
        return [f"docker network rm {swarm.GATEWAY}"]

    def apply(self):
        """Remove it, unless Docker has not come to make it."""
        if swarm.has_gateway():
            _until_done(["docker", "network", "rm", swarm.GATEWAY])


@dataclass(frozen=True)
class ForgetOverlay(Action):
    """The end of the name of a hidden namespace."""

    path: str

    def lines(self):
        """Return the command."""
        return [f"rm {self.path}"]

    def apply(self):
        """Remove it, and our folder with the last of what is in it."""
        with suppress(FileNotFoundError):
            os.remove(self.path)
        remove_empty_folder()


def _until_done(argv):
    """Run argv until it succeeds, for so long; raises NodeError with its last words."""
    deadline = time.monotonic() + WAITING_S
    while True:
        try:
            run(argv)
        except NodeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(swarm.POLL_S)
        else:
            return


def plan_absent(state):
    """Return the actions that take a node out of the swarm, if nobody else of ours needs it; its containers are gone.

    A membership that is not ours stays as it is.
    """
    wanted, profile = state["swarm"], state["profile"]
    queue = [ForgetOverlay(wanted["overlay"])] if os.path.islink(wanted["overlay"]) else []
    try:
        held, member = swarm.marks(), swarm.membership()
    except (NodeError, FileNotFoundError):  # no Docker, or none that answers: then nothing of ours was made by it
        return queue
    own, ours = swarm.mark_of(profile), member is not None and swarm.is_ours(member, held)
    last = set(held) <= {own}
    if ours and last:
        queue.append(Run(("docker", "swarm", "leave", *(["--force"] if wanted["is_manager"] else []))))
    elif ours and wanted["is_manager"] and swarm.network(wanted) is not None:
        queue.append(RemoveNetwork(wanted["network"]))
    if (
        own in held
        and last
        and held[own][swarm.GATEWAY_LABEL] == "made"
        and (ours or member is None)
        and swarm.has_gateway()
    ):
        queue.append(RemoveGateway())
    if own in held:
        queue.append(Run(("docker", "volume", "rm", own)))
    return queue
