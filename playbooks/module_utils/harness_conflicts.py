"""What on a node would collide with a profile; looked for before any change."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from contextlib import suppress

from ansible.module_utils import harness_containers as containers
from ansible.module_utils import harness_swarm as swarm
from ansible.module_utils.harness_claims import read_file
from ansible.module_utils.harness_node import ROUTE_PROTOCOL, NodeError, is_ours, overlaps, read_json, run

DOCKER_BRIDGE = "docker0"
ESP_STATE = (
    "ip xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 256 mode transport "
    f"aead rfc4106(gcm(aes)) 0x{20 * '01'} 64"
)
"""What tells whether the kernel has IPsec's ESP and the cipher that Docker takes."""


OWNERS = {
    "flannel": "flannel",
    "cni": "a CNI plugin",
    "vxlan.calico": "Calico",
    "cilium": "Cilium",
    "antrea": "Antrea",
    "br-": "Docker",
    "wg": "WireGuard",
}
"""Who makes devices whose names begin like this."""


def tunnel_key(kind, attributes):
    """Return what two VXLAN or Geneve devices must not share, or None."""
    if kind in ("vxlan", "geneve"):
        return (kind, attributes.get("id"), attributes.get("dstport", attributes.get("port")))
    return None


def remedy(name):
    """Return what to do about a device that has a wanted name."""
    if name == DOCKER_BRIDGE:
        return "give --containers docker (-e containers=docker) to use it, or change the name in the profile"
    whose = next((f", it looks like {owner}'s" for start, owner in OWNERS.items() if name.startswith(start)), "")
    return (
        f"it stays{whose}: measure the overlay that it belongs to as it is (--between A,B, or --lab kubernetes), or "
        "copy the profile under other names (`harness profiles copy`)"
    )


def conflicts(state, root, claims):
    """Return a sentence for each thing on the node that this profile would collide with."""
    profile = state["profile"]
    found = []
    own = {name for name, link in root.links.items() if is_ours(link, profile)}
    found += containers.conflicts(state, root)
    found += swarm.conflicts(state, root) if state["swarm"] else []
    own_ports = bool(own) or swarm.is_in_one(state)  # whose it is has been said
    for link in state["links"]:
        there = root.links.get(link["name"])
        if not link.get("netns") and there and link["name"] not in own and not link.get("adopt"):
            found.append(
                f"a device named {link['name']} is already there and not made by profile {profile}; "
                f"{remedy(link['name'])}"
            )
        key = tunnel_key(link["kind"], link["attributes"])
        for name, other in root.links.items():
            details = other.get("linkinfo", {})
            if key and name not in own and tunnel_key(details.get("info_kind"), details.get("info_data", {})) == key:
                found.append(f"device {name} already uses {key[0]} id {key[1]} on port {key[2]}; change one of them")
    found += [
        f"{port['protocol']} port {port['port']}, which profile {profile} needs, is already in use; see `ss -nlp`"
        for port in state["ports"]
        if port["port"] and not own_ports and not shares_port(root, port) and is_taken(port)
    ]
    found += [text for port in state["ports"] for text in wrong_source(port)]
    found += [f"this kernel has no {in_words(kind)}, which profile {profile} needs" for kind in lacking(state, root)]
    found += [
        f"profile {profile} needs the program {program}, which is not installed on this node"
        for program in state["programs"]
        if shutil.which(program) is None
    ]
    found += [
        f"{entry['path']} is already there and not ours, so it stays; do without profile {profile}"
        for entry in state["files"]
        if read_file(entry["path"]) is not None and not claims.is_claimed("file", entry["path"], profile)[1]
    ]
    foreign = [route for route in root.routes if route.get("dev") not in own and is_foreign(route)]
    named = {link["name"] for link in state["links"] if not link.get("netns")}  # said above where it is not ours
    for network in state["networks"]:
        wanted = ipaddress.ip_network(network)
        found += [
            f"route {route['dst']} dev {route.get('dev', '?')} overlaps {network} of profile {profile}; "
            "change the profile's networks"
            for route in foreign
            if route.get("dev") not in named and overlaps(route["dst"], wanted)
        ]
    return found


def shares_port(root, port):
    """Tell whether another tunnel of the kernel's has the port: those of one kind share its socket."""
    shown = [link.get("linkinfo", {}).get("info_data", {}) for link in root.links.values()]
    return any(details.get("port") == port["port"] for details in shown)


def wrong_source(port):
    """Return a sentence where the peer would drop a tunnel's packets: they leave from another of our addresses."""
    with suppress(NodeError):  # no route at all is for the verification to find
        (route,) = read_json(["ip", "-j", "route", "get", port["peer"]]) if port["source"] else ({},)
        actual = route.get("prefsrc", port["source"])
        if actual != port["source"]:
            text = (
                f"packets to {port['peer']} leave from {actual} and not from underlay_address {port['source']}, and "
                "the peer takes them from that only; change underlay_address, or give the link `local: $address`"
            )
            return [text]
    return []


def is_taken(port):
    """Tell whether something listens on a port."""
    option = {"udp": "-u", "tcp": "-t"}[port["protocol"]]
    return bool(run(["ss", "-Hln", option, f"sport = :{port['port']}"]).strip())


def lacking(state, root):
    """Return the link types of a profile that this kernel cannot make, tried in a namespace that is gone at once."""
    known = {link.get("linkinfo", {}).get("info_kind") for link in root.links.values()}
    kinds = dict.fromkeys([link["kind"] for link in state["links"]] + (state["swarm"] or {"kinds": []})["kinds"])
    return [kind for kind in kinds if kind not in known and not can_make(kind)]


def in_words(kind):
    """Return a link type in words; ESP is none, and is looked for like one."""
    return "IPsec ESP" if kind == "esp" else f"link type {kind}"


def can_make(kind):
    """Tell whether the kernel knows a link type; without its attributes it may refuse for other reasons."""
    if kind == "tun":
        return os.path.exists("/dev/net/tun")
    if kind == "esp":
        return (
            subprocess.run(["unshare", "--net", *ESP_STATE.split()], capture_output=True, check=False).returncode == 0
        )
    argv = ["unshare", "--net", "ip", "link", "add", "name", "probe", "type", kind]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stderr.lower()
    return "unknown device type" not in said and "not supported" not in said


def is_foreign(route):
    """Tell whether a route is one that somebody else wants to keep working."""
    return (
        route.get("dst") not in (None, "default")
        and str(route.get("protocol")) != ROUTE_PROTOCOL
        and route.get("type", "unicast") == "unicast"
    )
