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
  - Plans first, as a queue of actions; check mode returns what that queue says instead of applying it.
  - Refuses, before any change, what would harm the host, such as a device name, VNI and port, or subnet in use.
options:
  state:
    description: Whether the profiles' state is to be there or not.
    type: str
    choices: [present, absent]
    default: present
  wanted:
    description: One entry for each profile, as harness.fabric.topology.wanted_state() returns it.
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
  description: What was done (in check mode, would be done), in its order; most of it commands, such as C(ip -n NS ...).
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
from contextlib import nullcontext
from dataclasses import dataclass, field

from ansible.module_utils import harness_claims as claims
from ansible.module_utils import harness_containers as containers
from ansible.module_utils import harness_firewall as firewall
from ansible.module_utils import harness_processes as processes
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.harness_actions import (
    DeleteLink,
    InsertRule,
    ReleaseClaim,
    RemoveContainers,
    Run,
    StartContainers,
    StartProcess,
    StopProcess,
    WriteFile,
    WriteSysctl,
)
from ansible.module_utils.harness_conflicts import conflicts
from ansible.module_utils.harness_links import Batches, deletion_order, plan_link, plan_routes
from ansible.module_utils.harness_node import (
    ROUTE_PROTOCOL,
    NodeError,
    Space,
    existing_namespaces,
    is_ours,
    namespace_pattern,
    overlaps,
    take_turn,
)


class Node:
    """What the node holds, less what the actions planned so far will have removed: that is what a plan starts from."""

    def __init__(self):
        self.spaces = {"": Space("")}
        self.namespaces = existing_namespaces()
        self.claims = claims.Claims()
        self.chains = firewall.Chains()
        self.engines = containers.Engines()
        self.stopped = set()

    @property
    def root(self):
        """Return what the node's own namespace holds."""
        return self.spaces[""]

    def look_into(self, names):
        """Look at those of the namespaces that are there and not about to go."""
        for name in names:
            if name in self.namespaces:
                self.spaces[name] = Space(name)

    def running(self, profile, argv=None):
        """Return the pid of a profile's process (with this argv, if one is given), None where there is none."""
        return None if profile in self.stopped else processes.running(profile, argv)


@dataclass
class Plan:
    """Actions that bring up what is missing, by when they have their turn; differences and notes come with them."""

    rules: list = field(default_factory=list)
    containers: list = field(default_factory=list)
    namespaces: list = field(default_factory=list)
    batches: Batches = field(default_factory=Batches)
    sysctls: list = field(default_factory=list)
    files: list = field(default_factory=list)
    processes: list = field(default_factory=list)
    differences: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def actions(self):
        """Return the actions in order: rules before there is a port to guard, containers before their links."""
        made = [*self.rules, *self.containers, *self.namespaces, *self.batches.actions()]
        return [*made, *self.sysctls, *self.files, *self.processes]


def plan_rules(plan, state, node):
    """Queue the firewall's rules that are missing."""
    profile = state["profile"]
    rules, notes = firewall.missing_port_rules(profile, state["ports"], node.root, node.chains)
    rules += firewall.missing_forward_rules(profile, state["forward"], node.chains)
    plan.rules += [InsertRule(profile, tuple(rule)) for rule in rules]
    plan.notes += notes


def plan_endpoints(plan, state, node, *, is_down):
    """Queue the endpoints that are missing: containers, or else namespaces."""
    if not state["containers"]:
        missing = [name for name in state["namespaces"] if name not in node.namespaces]
        plan.namespaces += [Run(("ip", "netns", "add", name)) for name in missing]
    elif is_down:
        plan.containers.append(StartContainers(state["profile"], state["containers"], node.engines.make_image(state)))


def plan_claims(plan, state, node):
    """Queue sysctls, processes and files that are not as wanted."""
    profile = state["profile"]
    for entry in state["sysctls"]:
        new = entry["netns"] and entry["netns"] not in node.namespaces
        unlike = new or node.claims.sysctl(entry) != str(entry["value"])
        ours, anyones = (False, False) if entry["netns"] else node.claims.is_claimed("sysctl", entry["key"], profile)
        if unlike or (anyones and not ours):  # another profile changed it: it has to stay when that one leaves
            plan.sysctls.append(WriteSysctl(profile, entry["netns"], entry["key"], str(entry["value"])))
    for argv in state["processes"]:
        if node.running(profile, argv) is None:
            other = node.running(profile)
            plan.processes += [StopProcess(profile, other)] if other is not None else []
            plan.processes.append(StartProcess(profile, tuple(argv)))
    for entry in state["files"]:
        text = claims.file_text(entry)
        if node.claims.file(entry["path"]) != text:
            plan.files.append(WriteFile(profile, entry["path"], text))


def plan_present(wanted):
    """Return the actions that bring up what is missing, the differences found, and what the owner should know.

    Where containers were left half-built, or the endpoints were of another kind, the profile is removed first.
    """
    containers.wake(wanted)
    node = Node()
    problems = [text for state in wanted for text in conflicts(state, node.root, node.claims)]
    if problems:
        raise NodeError("; ".join(problems))
    down = [state for state in wanted if not containers.is_up(state)]
    torn = [action for state in down if containers.is_left(state) for action in plan_removal(node, state)]
    node.look_into(name for state in wanted for name in state["namespaces"])
    plan = Plan()
    for state in wanted:
        plan_rules(plan, state, node)
        plan_endpoints(plan, state, node, is_down=state in down)
        for link in state["links"]:
            plan.differences += plan_link(plan.batches, state["profile"], link, node.spaces)
        plan_routes(plan.batches, state, node.spaces)
        plan_claims(plan, state, node)
    return torn + plan.actions(), plan.differences, plan.notes


def plan_removal(node, state):
    """Return the actions that remove what one profile made and nothing else, and take it for gone."""
    profile = state["profile"]
    queue = []
    if processes.is_recorded(profile):
        queue.append(StopProcess(profile, node.running(profile)))
        node.stopped.add(profile)
    links = [name for name, link in node.root.links.items() if is_ours(link, profile)]
    routes = [route for route in node.root.routes if is_own_route(route, state, links)]
    queue += [Run(("ip", "route", "del", route["dst"], "proto", ROUTE_PROTOCOL)) for route in routes]
    queue += [DeleteLink(name) for name in deletion_order(node.root.links, profile)]
    for name in links:
        node.root.forget(name)
    node.root.routes = [route for route in node.root.routes if route not in routes]
    pattern = namespace_pattern(profile)
    namespaces = sorted(name for name in node.namespaces if pattern.fullmatch(name))
    queue += [Run(("ip", "netns", "del", name)) for name in namespaces]
    node.namespaces -= set(namespaces)
    queue += [Run(tuple(argv)) for argv in node.chains.leave(profile)]  # no port is open without them
    removals = node.engines.leave(state)
    if removals is not None:
        queue.append(RemoveContainers(profile, tuple(map(tuple, removals))))
    return queue + [ReleaseClaim(profile, *claim) for claim in node.claims.leave(profile)]


def is_own_route(route, state, links):
    """Tell whether a route is a profile's, and none that goes with one of its links."""
    return (
        str(route.get("protocol")) == ROUTE_PROTOCOL
        and route.get("dev") not in links
        and any(overlaps(route["dst"], ipaddress.ip_network(network)) for network in state["networks"])
    )


def plan_absent(wanted):
    """Return the actions that remove what the profiles made."""
    node = Node()
    queue = [action for state in wanted for action in plan_removal(node, state)]
    queue += [Run(("nft", "delete", "table", "inet", name)) for name in firewall.trial_tables()]
    if claims.is_folder_empty():
        queue.append(Run(("rmdir", claims.DIRECTORY)))
    return queue


def main():
    """Entry point of the module: what is planned is said, and unless in check mode it is what is done."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wanted": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params["wanted"]
    try:
        with nullcontext() if module.check_mode else take_turn():
            if module.params["state"] == "present":
                queue, unlike, notes = plan_present(wanted)
            else:
                queue, unlike, notes = plan_absent(wanted), [], []
            commands = [line for action in queue for line in action.lines()]
            for action in [] if module.check_mode else queue:
                action.apply()
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
