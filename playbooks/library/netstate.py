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
  - Endpoints may be containers; then they are started first, and their namespaces get the names.
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
notes:
  description: What the owner of the node should know, such as a port that could not be closed to others.
  returned: when O(state=present)
  type: list
  elements: str
"""

import ipaddress
import os
from collections import defaultdict

from ansible.module_utils import harness_claims as claims
from ansible.module_utils import harness_containers as containers
from ansible.module_utils import harness_firewall as firewall
from ansible.module_utils import harness_processes as processes
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.harness_conflicts import conflicts
from ansible.module_utils.harness_node import (
    GROUP,
    ROUTE_PROTOCOL,
    NodeError,
    Space,
    alias_of,
    existing_namespaces,
    is_ours,
    namespace_pattern,
    overlaps,
    run,
)

FLOOD = "00:00:00:00:00:00"
"""MAC address of the forwarding entry that takes broadcasts and unknown destinations."""
JSON_KEYS = {"dstport": "port", "dev": "link"}
"""Where `ip -j -d link` names an attribute otherwise than `ip link add` does; IPv6 addresses have a 6 behind."""


def link_words(link):
    """Return the words of `ip link add` for one link; a TUN device has a command and a group of its own."""
    if link["kind"] == "tun":
        return ["tuntap", "add", "dev", link["name"], "mode", "tun", "group", GROUP]
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
        key = JSON_KEYS.get(name, name)
        shown = details.get("info_data", {})
        pairs.append((name, shown.get(key, shown.get(f"{key}6")), value))
    for name, actual, wanted in pairs:
        if str(actual) != str(wanted):
            found.append(f"{link['name']} {name}: {actual}, wanted {wanted}")
    return found


class Planner:
    """Collects the commands that lead from what is there to what is wanted."""

    def __init__(self):
        self.containers = []
        self.create = []
        self.batches = defaultdict(list)
        self.fdb = defaultdict(list)
        self.sysctls = []
        self.files = []
        self.rules = []
        self.processes = []
        self.differences = []
        self.notes = []

    def add(self, netns, *words):
        """Queue one ip command in a namespace."""
        self.batches[netns].append(list(words))

    def commands(self):
        """Return every queued command as text, in the order in which it would be run."""
        lines = [f"{rule[0]} -I {' '.join(rule[1:])}" for _profile, rule in self.rules]
        lines += [command for state in self.containers for command in containers.start_commands(state)]
        lines += [f"ip netns add {name}" for name in self.create]
        for program, queue in (("ip", self.batches), ("bridge", self.fdb)):
            for netns, commands in queue.items():
                scope = f" -n {netns}" if netns else ""
                lines += [f"{program}{scope} {' '.join(words)}" for words in commands]
        for _profile, entry in self.sysctls:
            scope = f"ip netns exec {entry['netns']} " if entry["netns"] else ""
            lines.append(f"{scope}sysctl -w {entry['key']}={entry['value']}")
        lines += [f"write {entry['path']}" for _profile, entry in self.files]
        return lines + [" ".join(argv) for _profile, argv in self.processes]

    def apply(self):
        """Run everything queued: rules before there is a port to guard, then containers, then links.

        The node's own links come first, for they put ends into the namespaces.
        """
        for profile, rule in self.rules:
            family = next(name for name, program in firewall.PROGRAMS.items() if program == rule[0])
            claims.claim(profile, "chain", f"{family}/{rule[1]}", firewall.state_of(family, rule[1]))
            firewall.insert(rule)
        for state in self.containers:
            containers.start(state)
        for name in self.create:
            run(["ip", "netns", "add", name])
        for netns in sorted(self.batches):
            scope = ["-n", netns] if netns else []
            run(["ip", *scope, "-batch", "-"], "".join(" ".join(words) + "\n" for words in self.batches[netns]))
        for netns, commands in self.fdb.items():
            scope = ["-n", netns] if netns else []
            run(["bridge", *scope, "-batch", "-"], "".join(" ".join(words) + "\n" for words in commands))
        for profile, entry in self.sysctls:
            if not entry["netns"]:
                claims.claim(profile, "sysctl", entry["key"], claims.read_sysctl(entry))
            claims.write_sysctl(entry, str(entry["value"]))
        for profile, entry in self.files:
            claims.write_file(profile, entry)
        for profile, argv in self.processes:
            processes.stop(profile, check_mode=False)  # one with another argv
            processes.start(profile, argv)


def plan_link(plan, state, link, spaces):
    """Queue what makes one link as wanted, its addresses and its marks included."""
    netns = link.get("netns", "")
    space = spaces.get(netns)
    there = space.links.get(link["name"]) if space else None
    name = link["name"]
    if there is not None and not link.get("adopt"):
        unlike = differences(link, there)
        plan.differences += unlike
        if unlike and not netns:  # attributes of a tunnel cannot all be changed in place
            plan.add("", "link", "del", "dev", name)
            there = None
            space.forget(name)
            peer = link.get("peer")
            if peer and peer["netns"] in spaces:  # one end takes the other along
                spaces[peer["netns"]].forget(peer["name"])
    if there is None and not link.get("inner"):
        plan.add(netns, *link_words(link))
    plan_settings(plan, state, link, there or {}, made=there is None)


def plan_settings(plan, state, link, now, *, made):
    """Queue the marks and settings of a link that are not yet as wanted; `made`: it is made in this very plan."""
    netns = link.get("netns", "")
    name = link["name"]
    if now.get("ifalias") != alias_of(state["profile"]) and not link.get("adopt"):
        plan.add(netns, "link", "set", "dev", name, "alias", alias_of(state["profile"]))
    if (link.get("inner") or link["kind"] == "tun") and link.get("mtu") and now.get("mtu") != link["mtu"]:
        plan.add(netns, "link", "set", "dev", name, "mtu", str(link["mtu"]))
    if made and link["kind"] == "bridge" and link.get("mtu"):
        # A bridge follows its smallest port until its MTU is changed by hand; setting what it has is no change.
        for mtu in (link["mtu"] - 1, link["mtu"]):
            plan.add(netns, "link", "set", "dev", name, "mtu", str(mtu))
    if link.get("master") and now.get("master") != link["master"]:
        plan.add(netns, "link", "set", "dev", name, "master", link["master"])
    held = {f"{entry['local']}/{entry['prefixlen']}" for entry in now.get("addr_info", [])}
    for address in [] if link.get("adopt") else link.get("addresses", []):
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


def plan_rules(plan, state, root):
    """Queue the firewall's rules that are missing."""
    profile = state["profile"]
    rules, notes = firewall.missing_port_rules(profile, state["ports"], root)
    plan.rules += [(profile, rule) for rule in rules + firewall.missing_forward_rules(profile, state["forward"])]
    plan.notes += notes


def plan_claims(plan, state, names):
    """Queue sysctls, processes and files that are not as wanted."""
    profile = state["profile"]
    for entry in state["sysctls"]:
        new = entry["netns"] and entry["netns"] not in names
        unlike = new or claims.read_sysctl(entry) != str(entry["value"])
        ours, anyones = (False, False) if entry["netns"] else claims.is_claimed("sysctl", entry["key"], profile)
        if unlike or (anyones and not ours):  # another profile changed it: it has to stay when that one leaves
            plan.sysctls.append((profile, entry))
    plan.processes += [(profile, argv) for argv in state["processes"] if processes.running(profile, argv) is None]
    for entry in state["files"]:
        if claims.read_file(entry["path"]) != claims.file_text(entry):
            plan.files.append((profile, entry))


def make_present(module, wanted):
    """Bring up what is missing; return the commands, the differences found, and what the owner should know."""
    containers.wake(wanted)
    root = Space("")
    problems = [text for state in wanted for text in conflicts(state, root)]
    if problems:
        raise NodeError("; ".join(problems))
    down = [state for state in wanted if not containers.is_up(state)]
    torn, *_none = make_absent(module, [state for state in down if containers.is_left(state)])
    names = existing_namespaces()
    spaces = {"": Space("") if torn else root}
    spaces.update({name: Space(name) for state in wanted for name in state["namespaces"] if name in names})
    plan = Planner()
    for state in wanted:
        plan_rules(plan, state, spaces[""])
        if state["containers"]:
            plan.containers += [state] if state in down else []
        else:
            plan.create += [name for name in state["namespaces"] if name not in names]
        for link in state["links"]:
            plan_link(plan, state, link, spaces)
        plan_routes(plan, state, spaces)
        plan_claims(plan, state, names)
    if not module.check_mode:
        plan.apply()
    return torn + plan.commands(), plan.differences, plan.notes


def make_absent(module, wanted):
    """Remove what the profiles made and nothing else; return the commands."""
    done = []
    for state in wanted:
        root = Space("")
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
        commands = [["ip", "route", "del", dst, "proto", ROUTE_PROTOCOL] for dst in routes]
        commands += [["ip", "link", "del", "dev", name] for name in links]
        commands += [["ip", "netns", "del", name] for name in sorted(existing_namespaces()) if pattern.fullmatch(name)]
        commands += firewall.own_rules(profile)  # last: no port is open without them
        stopped = processes.stop(profile, module.check_mode)
        for command in commands:
            # Removing one end of a pair takes the other along.
            gone = command[1:3] == ["link", "del"] and not os.path.exists(f"/sys/class/net/{command[-1]}")
            if not module.check_mode and not gone:
                run(command)
        stopped += containers.remove(state, module.check_mode)
        done += stopped + [" ".join(command) for command in commands] + claims.release(profile, module.check_mode)
    return done, [], []


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
        commands, unlike, notes = action(module, module.params["wanted"])
    except NodeError as error:
        module.fail_json(msg=str(error))
    for text in notes:
        module.warn(text)
    module.exit_json(
        changed=bool(commands),
        commands=commands,
        differences=unlike,
        notes=notes,
        diff={"before": "".join(f"# {text}\n" for text in unlike), "after": "".join(f"{c}\n" for c in commands)},
    )


if __name__ == "__main__":
    main()
