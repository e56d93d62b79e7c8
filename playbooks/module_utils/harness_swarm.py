"""Docker Swarm on a node: whether it is in one, whose that is, where Docker has the overlay; changes nothing.

Membership of ours is known by a mark that lasts as long as Docker's own state: a volume with labels, made before the
swarm is, and on the manager a label of the swarm's own, which comes with it. What is not marked is never touched.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import suppress

from ansible.module_utils import harness_containers as containers
from ansible.module_utils.harness_node import NodeError, read_json, run

LABEL = "vxlan-harness.swarm"
"""Label of a swarm that we made, and of the mark of one that we joined; its value is the manager's address."""
GATEWAY_LABEL = "vxlan-harness.gateway"
"""Label of a mark: whether Docker's bridge for swarms was there before, for Docker leaves it behind."""
GATEWAY = "docker_gwbridge"
GOSSIP_S = 90.0
"""How long to wait for what nodes tell each other: what is lost of it is sent again each 30 s, now and then twice."""
POLL_S = 0.2
SANDBOXES = "/run/docker/netns"
SHOWN_ID = 10
"""Characters of a network's id in the name of its namespace (libnetwork, drivers/overlay: `1-ID`)."""


def membership():
    """Return what Docker knows of the swarm that the node is in; None where it is in none."""
    shown = json.loads(run(["docker", "info", "--format", "{{json .Swarm}}"]))
    return None if shown["LocalNodeState"] in ("", "inactive") else shown


def mark_of(profile):
    """Return the name of the volume that marks a membership as a profile's."""
    return f"vxlan-harness-{profile}"


def marks():
    """Return the labels of every mark by its volume's name."""
    names = run(["docker", "volume", "ls", "--quiet", "--filter", f"label={LABEL}"]).split()
    shown = json.loads(run(["docker", "volume", "inspect", *names])) if names else []
    return {entry["Name"]: entry["Labels"] for entry in shown}


def is_ours(member, held):
    """Tell whether a membership is of our making, by the marks that are there."""
    managers = {manager["Addr"] for manager in member.get("RemoteManagers") or []}
    if member["ControlAvailable"]:
        return LABEL in (member.get("Cluster") or {}).get("Spec", {}).get("Labels", {})
    return any(managers <= {labels[LABEL]} for labels in held.values())


def state_with_containers(state):
    """Return a profile's state with its swarm's containers in the place of those that netstate would start."""
    return {**state, "containers": state["swarm"]["containers"]}


def conflicts(state, root):
    """Return a sentence for each thing that keeps a profile's overlay network from being made on this node."""
    wanted, profile = state["swarm"], state["profile"]
    if wanted["engine"] != "docker":
        return [f"profile {profile} takes Docker's containers; give --containers docker (-e containers=docker)"]
    found = containers.conflicts(state_with_containers(state), root)
    if found:
        return found
    member = membership()
    if member is not None and not is_ours(member, marks()):
        text = (
            "this node is in a swarm already, which is not ours and is left alone; a network of it is measured as it "
            "is, between a container on each node: harness run --between A,B"
        )
        return [text]
    known = network(wanted)
    # A worker is told of the swarm's networks without their labels; the manager has looked at these.
    is_judged = known is not None and (known["Scope"] == "local" or wanted["is_manager"])
    if is_judged and (known["Labels"] or {}).get(containers.LABEL) != profile:
        return [f"a network named {wanted['network']} is already there and not ours; rename it"]
    return []


def is_in_one(state):
    """Tell whether a profile of Docker's finds its node in a swarm, which then has the ports in use."""
    if not state["swarm"]:
        return False
    with suppress(NodeError, FileNotFoundError):
        return membership() is not None
    return False


def network(wanted):
    """Return what this node knows of the overlay network, None where it knows none; a worker may not know it yet."""
    argv = ["docker", "network", "inspect", wanted["network"]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def entering(path):
    """Return the words in front of an argv that run it in a namespace."""
    return ["nsenter", f"--net={path}", "--"]


def sandbox(wanted):
    """Return the path of the namespace in which Docker has the overlay network on this node."""
    found = network(wanted)
    path = f"{SANDBOXES}/1-{found['Id'][:SHOWN_ID]}" if found else ""
    if not os.path.exists(path):
        raise NodeError(f"Docker has no namespace for its network {wanted['network']} where it is looked for: {path}")
    return path


def ends(wanted, member):
    """Return the outer end of a container's veth pair, and the MTU of that and of the inner one."""
    (inner,) = read_json(["ip", "-n", member["namespace"], "-j", "link", "show", "dev", "eth0"])
    outer = read_json([*entering(wanted["overlay"]), "ip", "-j", "link", "show"])
    found = next((link for link in outer if link["ifindex"] == inner["link_index"]), None)
    if found is None:
        raise NodeError(f"the veth pair of container {member['name']} does not end where Docker has its network")
    return found["ifname"].split("@")[0], found["mtu"], inner["mtu"]


def differences(state):
    """Return what of the network that is up is not as the profile says."""
    wanted = state["swarm"]
    (device,) = read_json([*entering(wanted["overlay"]), "ip", "-j", "-d", "link", "show", "dev", wanted["device"]])
    seen = device["linkinfo"].get("info_data", {})
    found = []
    if (device["linkinfo"].get("info_kind"), seen.get("port")) != ("vxlan", wanted["port"]):
        found.append(f"{wanted['device']} is not VXLAN on UDP port {wanted['port']}")
    if device["mtu"] != wanted["tunnel_mtu"]:
        found.append(f"{wanted['device']} has MTU {device['mtu']}, wanted {wanted['tunnel_mtu']}")
    if wanted["is_encrypted"] and not _is_encrypting(wanted["peer_address"]):
        found.append(f"nothing is encrypted on the way to {wanted['peer_address']}: the kernel has no ESP state for it")
    return found


def _is_encrypting(address):
    """Tell whether the kernel encrypts on the way to a peer, once Docker has heard of its endpoints."""
    deadline = time.monotonic() + GOSSIP_S
    state = re.compile(rf"^src \S+ dst {re.escape(address)}\s*$", re.MULTILINE)
    while not state.search(run(["ip", "xfrm", "state"])):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def has_gateway():
    """Tell whether Docker has its bridge for swarms."""
    return bool(run(["docker", "network", "ls", "--quiet", "--filter", f"name=^{GATEWAY}$"]).strip())
