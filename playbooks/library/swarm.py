#!/usr/bin/python
"""Ansible module: one node of a Docker swarm, the overlay network in it, and a profile's endpoints on that."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm
short_description: Docker Swarm's overlay network between two nodes
description:
  - Makes the node a member of a swarm of ours, the manager with the overlay network (O(part=membership)), or starts the
    profile's containers on that network and names the namespace in which Docker hides it (O(part=endpoints)).
  - Never touches a swarm that is not ours; netstate refuses one before any change.
options:
  state:
    description: Whether it is to be there or not.
    type: str
    choices: [present, absent]
    default: present
  wanted:
    description: The profile's wanted state, as harness.fabric.topology.wanted_state() returns it.
    type: dict
    required: true
  part:
    description: What of it to do; V(token) only reads what a worker joins by, V(all) is for reading everything back.
    type: str
    choices: [membership, token, endpoints, all]
    default: all
  token:
    description: What a worker joins by; it goes to Docker's socket and into no command line.
    type: str
author: The harness's authors
"""

EXAMPLES = r"""
- name: Make the swarm and its network
  swarm:
    wanted: "{{ harness_state }}"
    part: membership
"""

RETURN = r"""
commands:
  description: What was done (in check mode, would be done), in its order.
  returned: always
  type: list
  elements: str
differences:
  description: What of the network is not as wanted.
  returned: when O(part=all)
  type: list
  elements: str
token:
  description: What a worker joins by; empty where there is no swarm yet.
  returned: when O(part=token)
  type: str
"""

from contextlib import nullcontext

from ansible.module_utils import harness_swarm as swarm
from ansible.module_utils import harness_swarm_actions as actions
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.harness_node import NodeError, run, take_turn


def planned(module):
    """Return the actions for what was asked for."""
    state, part = module.params["wanted"], module.params["part"]
    if module.params["state"] == "absent":
        return actions.plan_absent(state)
    queue = actions.plan_membership(state, module.params["token"]) if part in ("membership", "all") else []
    return queue + (actions.plan_endpoints(state) if part in ("endpoints", "all") else [])


def token():
    """Return what a worker joins this node's swarm by; empty where it is in none, as in check mode."""
    return run(["docker", "swarm", "join-token", "--quiet", "worker"]).strip() if swarm.membership() else ""


def main():
    """Entry point of the module: what is planned is said, and unless in check mode it is what is done."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wanted": {"type": "dict", "required": True},
            "part": {"type": "str", "choices": ["membership", "token", "endpoints", "all"], "default": "all"},
            "token": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        if module.params["part"] == "token":
            module.exit_json(changed=False, token=token())
        with nullcontext() if module.check_mode else take_turn():
            queue = planned(module)
            commands = [line for action in queue for line in action.lines()]
            for action in [] if module.check_mode else queue:
                action.apply()
        reads_back = module.params["part"] == "all" and module.params["state"] == "present" and not commands
        unlike = swarm.differences(module.params["wanted"]) if reads_back else []
    except NodeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(commands),
        commands=commands,
        differences=unlike,
        diff={"before": "", "after": "".join(f"{line}\n" for line in commands)},
    )


if __name__ == "__main__":
    main()
