#!/usr/bin/python
"""Ansible module: bring the links, addresses, routes and namespaces of profiles to a declared state, in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: netstate
short_description: Declared network state of overlay profiles on one node
description:
  - Reads what is there with C(ip -j -d), compares it with what is wanted, and applies the difference as one
    C(ip -batch) for each namespace.
  - Every link it makes belongs to a device group from its very creation and carries an alias that names its profile;
    namespaces carry the profile in their name, routes a routing protocol number. Only what is marked so is ever
    changed or removed.
  - Refuses, before any change, what would harm the host, such as a device name, VNI and port, or subnet in use.
options:
  state:
    description: Whether the profiles' state is to be there or not.
    type: str
    choices: [present, absent]
    default: present
  wanted:
    description: One entry for each profile, as harness.topology.wanted_state() returns it.
    type: list
    elements: dict
    required: true
author: The harness's authors
"""

EXAMPLES = r"""
- name: Bring up the profiles' links
  netstate:
    wanted: "{{ harness_profiles | wanted_state(inventory_hostname, hostvars, harness_mtus) }}"
"""

RETURN = r"""
commands:
  description: What was run (in check mode, would be run), as C(NAMESPACE ip ARGUMENTS).
  returned: always
  type: list
  elements: str
"""

import ipaddress
import json
import os
import re
import subprocess
from collections import defaultdict

from ansible.module_utils.basic import AnsibleModule

GROUP = "18504"
"""Device group of every link we make: the kernel sets it at creation, an alias only afterwards."""
ROUTE_PROTOCOL = "218"
"""Routing protocol number of every route we make; not in iproute2's rt_protos."""
FLOOD = "00:00:00:00:00:00"
"""MAC address of the forwarding entry that takes broadcasts and unknown destinations."""
STATE_DIRECTORY = "/run/vxlan-harness-node"
"""Where a node keeps the sysctl values that were there before us."""
JSON_KEYS = {("vxlan", "dstport"): "port", ("vxlan", "dev"): "link", ("vxlan", "remote"): "remote"}
"""Where `ip -j -d link` names an attribute otherwise than `ip link add` does."""


class NetstateError(Exception):
    """Something that the user has to hear about; the module fails with its text."""


def run(argv, stdin=None):
    """Run argv and return its standard output; raises NetstateError with the program's own words."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = done.stderr.strip() or done.stdout.strip()
        raise NetstateError(f"`{' '.join(argv)}` failed: {message}" + (f"; input was:\n{stdin}" if stdin else ""))
    return done.stdout


def read_json(argv):
    """Run an iproute2 program that prints JSON; no output means an empty list."""
    return json.loads(run(argv) or "[]")


class Space:
    """What one namespace holds now; `name` is empty for the node's own."""

    def __init__(self, name):
        scope = ["-n", name] if name else []
        self.name = name
        self.links = {link["ifname"]: link for link in read_json(["ip", *scope, "-j", "-d", "addr", "show"]) if link}
        for link in self.links.values():  # a master or a lower device may be shown as "name@other"
            link["ifname"] = link["ifname"].split("@")[0]
        self.routes = read_json(["ip", *scope, "-j", "route", "show", "table", "all"])
        self.neighbours = read_json(["ip", *scope, "-j", "neigh", "show", "nud", "permanent"])
        self.fdb = read_json(["bridge", *scope, "-j", "fdb", "show"])


def alias_of(profile):
    """Return the alias that marks a link as made for this profile."""
    return f"harness:{profile}"


def is_ours(link, profile):
    """Tell whether a link was made for this profile; one that was cut off before its alias was set counts."""
    alias = link.get("ifalias", "")
    return alias == alias_of(profile) or (not alias and link.get("group") == GROUP)


def namespace_pattern(profile):
    """Return the pattern of this profile's namespaces; a longer profile name has one more part."""
    return re.compile(rf"harness-{re.escape(profile)}-\d+")


def existing_namespaces():
    """Return the names of all named namespaces."""
    return {entry["name"] for entry in read_json(["ip", "-j", "netns", "list"])}


def tunnel_key(kind, attributes):
    """Return what two VXLAN or Geneve devices must not share, or None."""
    if kind in ("vxlan", "geneve"):
        return (kind, attributes.get("id"), attributes.get("dstport", attributes.get("port")))
    return None


def conflicts(state, root):
    """Return a sentence for each thing on the node that this profile would collide with."""
    profile = state["profile"]
    found = []
    own = {name for name, link in root.links.items() if is_ours(link, profile)}
    for link in state["links"]:
        there = root.links.get(link["name"])
        if not link.get("netns") and there and link["name"] not in own and not link.get("adopt"):
            found.append(
                f"a device named {link['name']} is already there and not made by profile {profile}; "
                f"remove it (ip link del {link['name']}) or change the name in the profile"
            )
        key = tunnel_key(link["kind"], link["attributes"])
        for name, other in root.links.items():
            details = other.get("linkinfo", {})
            if key and name not in own and tunnel_key(details.get("info_kind"), details.get("info_data", {})) == key:
                found.append(f"device {name} already uses {key[0]} id {key[1]} on port {key[2]}; change one of them")
    foreign = [route for route in root.routes if route.get("dev") not in own and is_foreign(route)]
    adopted = {link["name"] for link in state["links"] if link.get("adopt")}
    for network in state["networks"]:
        wanted = ipaddress.ip_network(network)
        found += [
            f"route {route['dst']} dev {route.get('dev', '?')} overlaps {network} of profile {profile}; "
            "change the profile's networks"
            for route in foreign
            if route.get("dev") not in adopted and overlaps(route["dst"], wanted)
        ]
    return found


def is_foreign(route):
    """Tell whether a route is one that somebody else wants to keep working."""
    return (
        route.get("dst") not in (None, "default")
        and str(route.get("protocol")) != ROUTE_PROTOCOL
        and route.get("type", "unicast") == "unicast"
    )


def overlaps(destination, network):
    """Tell whether a route's destination (an address counts as its /32) overlaps a network."""
    other = ipaddress.ip_network(destination, strict=False)
    return other.version == network.version and other.overlaps(network)


def link_words(link):
    """Return the words of `ip link add` for one link."""
    words = ["link", "add", "name", link["name"], "group", GROUP]
    if link.get("mtu"):
        words += ["mtu", str(link["mtu"])]
    if link.get("mac"):
        words += ["address", link["mac"]]
    words += ["type", link["kind"]]
    for name, value in link["attributes"].items():
        if isinstance(value, bool):
            words.append(name if value else f"no{name}")
        else:
            words += [name, str(value)]
    peer = link.get("peer")
    if peer:
        words += ["peer", "name", peer["name"], *(["netns", peer["netns"]] if peer.get("netns") else [])]
    return words


def differences(link, there):
    """Return what of a link that is there differs from what is wanted, as `attribute: is, wanted` texts."""
    details = there.get("linkinfo", {})
    found = []
    pairs = [("kind", details.get("info_kind"), link["kind"])]
    if link.get("mtu"):
        pairs.append(("mtu", there.get("mtu"), link["mtu"]))
    if link.get("mac"):
        pairs.append(("address", there.get("address"), link["mac"]))
    for name, value in link["attributes"].items():
        key = JSON_KEYS.get((link["kind"], name), name)
        pairs.append((name, details.get("info_data", {}).get(key), value))
    for name, actual, wanted in pairs:
        if str(actual) != str(wanted):
            found.append(f"{link['name']} {name}: {actual}, wanted {wanted}")
    return found


class Planner:
    """Collects the commands that lead from what is there to what is wanted."""

    def __init__(self):
        self.create = []
        self.batches = defaultdict(list)
        self.fdb = defaultdict(list)
        self.sysctls = []
        self.differences = []

    def add(self, netns, *words):
        """Queue one ip command in a namespace."""
        self.batches[netns].append(list(words))

    def commands(self):
        """Return every queued command as text, in the order in which it would be run."""
        lines = [f"ip netns add {name}" for name in self.create]
        for program, queue in (("ip", self.batches), ("bridge", self.fdb)):
            for netns, commands in queue.items():
                scope = f" -n {netns}" if netns else ""
                lines += [f"{program}{scope} {' '.join(words)}" for words in commands]
        return lines + [f"sysctl -w {entry['key']}={entry['value']}  # {entry['netns']}" for entry in self.sysctls]

    def apply(self):
        """Run everything queued; the node's own links come first, for they put ends into the namespaces."""
        for name in self.create:
            run(["ip", "netns", "add", name])
        for netns in sorted(self.batches):
            scope = ["-n", netns] if netns else []
            run(["ip", *scope, "-batch", "-"], "".join(" ".join(words) + "\n" for words in self.batches[netns]))
        for netns, commands in self.fdb.items():
            scope = ["-n", netns] if netns else []
            run(["bridge", *scope, "-batch", "-"], "".join(" ".join(words) + "\n" for words in commands))


def plan_link(plan, state, link, space):
    """Queue what makes one link as wanted, its addresses and its marks included."""
    netns = link.get("netns", "")
    there = space.links.get(link["name"]) if space else None
    name = link["name"]
    if there is not None and not link.get("adopt"):
        unlike = differences(link, there)
        plan.differences += unlike
        if unlike and not netns:  # attributes of a tunnel cannot all be changed in place
            plan.add("", "link", "del", "dev", name)
            there = None
    if there is None and not link.get("inner"):
        plan.add(netns, *link_words(link))
    now = there or {}
    if now.get("ifalias") != alias_of(state["profile"]) and not link.get("adopt"):
        plan.add(netns, "link", "set", "dev", name, "alias", alias_of(state["profile"]))
    if link.get("inner") and link.get("mtu") and now.get("mtu") != link["mtu"]:
        plan.add(netns, "link", "set", "dev", name, "mtu", str(link["mtu"]))
    if link.get("master") and now.get("master") != link["master"]:
        plan.add(netns, "link", "set", "dev", name, "master", link["master"])
    held = {f"{entry['local']}/{entry['prefixlen']}" for entry in now.get("addr_info", [])}
    for address in link.get("addresses", []):
        if address not in held:
            plan.add(netns, "addr", "add", address, "dev", name, *address_flags(address))
    if "UP" not in now.get("flags", []):
        plan.add(netns, "link", "set", "dev", name, "up")


def address_flags(address):
    """Return what goes behind an address: IPv6 ones are used at once, there is nobody to detect a duplicate."""
    return ["nodad"] if ":" in address else []


def plan_routes(plan, state, spaces):
    """Queue the routes, permanent neighbours and FDB entries that are missing."""
    for route in state["routes"]:
        space = spaces.get(route["netns"])
        if not (space and any(same_route(route, there) for there in space.routes)):
            words = ["route", "replace", route["dst"]]
            for key in ("via", "dev", "src", "mtu", "metric"):
                words += [key, str(route[key])] if route.get(key) else []
            words += ["onlink"] if route.get("onlink") else []
            plan.add(route["netns"], *words, "proto", ROUTE_PROTOCOL)
    for entry in state["neighbours"]:
        space = spaces.get("")
        if not any(
            (there.get("dst"), there.get("lladdr"), there.get("dev")) == (entry["dst"], entry["lladdr"], entry["dev"])
            for there in space.neighbours
        ):
            words = ["neigh", "replace", entry["dst"], "lladdr", entry["lladdr"], "dev", entry["dev"]]
            plan.add("", *words, "nud", "permanent")
    for entry in state["fdb"]:
        if not any(
            (there.get("mac"), there.get("ifname"), there.get("dst")) == (entry["lladdr"], entry["dev"], entry["dst"])
            for there in spaces[""].fdb
        ):
            # The all-zeros entry floods: it can only be appended, and a tunnel with `remote` has it from the start.
            verb = "append" if entry["lladdr"] == FLOOD else "replace"
            plan.fdb[""].append(["fdb", verb, entry["lladdr"], "dev", entry["dev"], "dst", entry["dst"], "self"])


def same_route(route, there):
    """Tell whether a route that is there is the one wanted."""
    return there.get("dst") == route["dst"] and all(
        not route.get(key) or there.get(target) == route[key] for key, target in (("via", "gateway"), ("dev", "dev"))
    )


def sysctl_path(key):
    """Return the file of a sysctl; its name was validated by the profile's schema."""
    return "/proc/sys/" + key.replace(".", "/")


def read_sysctl(entry):
    """Return a sysctl's value now, in its namespace."""
    scope = ["ip", "netns", "exec", entry["netns"]] if entry["netns"] else []
    return run([*scope, "cat", sysctl_path(entry["key"])]).strip()


def write_sysctl(entry, value):
    """Set a sysctl in its namespace."""
    scope = ["ip", "netns", "exec", entry["netns"]] if entry["netns"] else []
    run([*scope, "tee", sysctl_path(entry["key"])], value + "\n")


def remember_sysctl(profile, entry):
    """Keep what a sysctl of the node itself was before the first profile changed it, and who wants it changed."""
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    path = os.path.join(STATE_DIRECTORY, entry["key"] + ".json")
    kept = {"before": read_sysctl(entry), "profiles": []}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    if profile not in kept["profiles"]:
        kept["profiles"].append(profile)
    write_json(path, kept)


def write_json(path, value):
    """Replace a file as a whole, so that a cut-off write leaves the old one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def restore_sysctls(profile, check_mode):
    """Put back the sysctls that only this profile still wanted changed; return what was done."""
    done = []
    names = os.listdir(STATE_DIRECTORY) if os.path.isdir(STATE_DIRECTORY) else []
    for name in names:
        path = os.path.join(STATE_DIRECTORY, name)
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        if profile not in kept["profiles"]:
            continue
        kept["profiles"].remove(profile)
        entry = {"netns": "", "key": name[: -len(".json")]}
        done.append(f"sysctl -w {entry['key']}={kept['before']}")
        if check_mode:
            continue
        if kept["profiles"]:
            write_json(path, kept)
        else:
            write_sysctl(entry, kept["before"])
            os.remove(path)
    if names and not check_mode and not os.listdir(STATE_DIRECTORY):
        os.rmdir(STATE_DIRECTORY)
    return done


def make_present(module, wanted):
    """Bring up what is missing; return the commands and the differences found."""
    names = existing_namespaces()
    spaces = {"": Space("")}
    spaces.update({name: Space(name) for state in wanted for name in state["namespaces"] if name in names})
    problems = [text for state in wanted for text in conflicts(state, spaces[""])]
    if problems:
        raise NetstateError("; ".join(problems))
    plan = Planner()
    for state in wanted:
        plan.create += [name for name in state["namespaces"] if name not in names]
        for link in state["links"]:
            plan_link(plan, state, link, spaces.get(link.get("netns", "")))
        plan_routes(plan, state, spaces)
        for entry in state["sysctls"]:
            new = entry["netns"] and entry["netns"] not in names
            if new or read_sysctl(entry) != str(entry["value"]):
                plan.sysctls.append({**entry, "profile": state["profile"]})
    if not module.check_mode:
        plan.apply()
        for entry in plan.sysctls:
            if not entry["netns"]:
                remember_sysctl(entry["profile"], entry)
            write_sysctl(entry, str(entry["value"]))
    return plan.commands(), plan.differences


def make_absent(module, wanted):
    """Remove what the profiles made and nothing else; return the commands."""
    commands = []
    root = Space("")
    for state in wanted:
        profile = state["profile"]
        links = [name for name, link in root.links.items() if is_ours(link, profile)]
        routes = [
            route["dst"]
            for route in root.routes
            if str(route.get("protocol")) == ROUTE_PROTOCOL
            and route.get("dev") not in links
            and any(overlaps(route["dst"], ipaddress.ip_network(network)) for network in state["networks"])
        ]
        pattern = namespace_pattern(profile)
        namespaces = sorted(name for name in existing_namespaces() if pattern.fullmatch(name))
        commands += [f"ip route del {dst} proto {ROUTE_PROTOCOL}" for dst in routes]
        commands += [f"ip link del dev {name}" for name in links]
        commands += [f"ip netns del {name}" for name in namespaces]
        commands += restore_sysctls(profile, module.check_mode)
        if module.check_mode:
            continue
        for dst in routes:
            run(["ip", "route", "del", dst, "proto", ROUTE_PROTOCOL])
        for name in links:
            if os.path.exists(f"/sys/class/net/{name}"):  # removing a pair's other end may have taken it along
                run(["ip", "link", "del", "dev", name])
        for name in namespaces:
            run(["ip", "netns", "del", name])
    return commands, []


def main():
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wanted": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    action = make_present if module.params["state"] == "present" else make_absent
    try:
        commands, unlike = action(module, module.params["wanted"])
    except NetstateError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(commands),
        commands=commands,
        differences=unlike,
        diff={"before": "".join(f"# {text}\n" for text in unlike), "after": "".join(f"{c}\n" for c in commands)},
    )


if __name__ == "__main__":
    main()
