#!/usr/bin/python
"""Ansible module: prove with pings which packet sizes pass between endpoints, and which must not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_probe
short_description: Reachability and path MTU between endpoints
description:
  - For each pair, a small ping must pass, a ping that fills the expected path MTU with the don't-fragment bit must
    pass, and one byte more must not. On a path that fragments, the full ping goes without that bit. All pairs are
    probed at the same time. Changes nothing.
options:
  pairs:
    description: One entry for each pair of endpoints, as harness.fabric.topology.probes() returns it.
    type: list
    elements: dict
    required: true
  wait_s:
    description: How long to wait for each reply, in seconds.
    type: int
    default: 1
author: The harness's authors
"""

EXAMPLES = r"""
- name: Ping between the endpoints
  endpoint_probe:
    pairs:
      - profile: vxlan
        mtu: 1450
        namespace: harness-vxlan-1450
        destination: 172.17.0.3
        path_mtu: 1450
        fragments: false
        attempts: 5
"""

RETURN = r"""
probes:
  description: What each ping did.
  returned: always
  type: list
  elements: dict
"""

import ipaddress
import subprocess

from ansible.module_utils.basic import AnsibleModule

HEADERS = {4: 28, 6: 48}
"""Bytes of IP and ICMP header in front of a ping's payload."""
SILENCE_S = 0.3
"""How long no reply has to come where none should: longer than any round trip between two hosts of one network."""


def start_ping(pair, wait_s, size, fragment):
    """Start one ping of `size` payload bytes; `fragment` is what -M takes."""
    scope = ["ip", "netns", "exec", pair["namespace"]] if pair["namespace"] else []
    argv = ["ping", "-n", "-q", "-c", "1", "-W", str(wait_s), "-M", fragment, "-s", str(size), pair["destination"]]
    return subprocess.Popen([*scope, *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def passes(process):
    """Wait for a ping and tell whether its reply came."""
    process.communicate()
    return process.returncode == 0


def check_pairs(pairs, wait_s):
    """Probe every pair; return what was seen, and a sentence for each thing that is wrong."""
    seen = []
    wrong = []
    waiting = list(pairs)
    for attempt in range(max(pair["attempts"] for pair in pairs)):
        started = [(pair, start_ping(pair, wait_s, 56, "dont")) for pair in waiting if attempt < pair["attempts"]]
        if not started:
            break
        passed = [pair for pair, process in started if passes(process)]
        waiting = [pair for pair in waiting if pair not in passed]
    wrong += [f"{pair['profile']} mtu {pair['mtu']}: no reply from {pair['destination']}" for pair in waiting]
    started = []
    for pair in pairs:
        if pair in waiting:
            continue
        full = pair["path_mtu"] - HEADERS[ipaddress.ip_address(pair["destination"]).version]
        if pair["fragments"]:
            started.append((pair, full, True, start_ping(pair, wait_s, full, "dont")))
            continue
        for size, expected in ((full, True), (full + 1, False)):
            started.append((pair, size, expected, start_ping(pair, wait_s if expected else SILENCE_S, size, "do")))
    for pair, size, expected, process in started:
        passed = passes(process)
        seen.append({"profile": pair["profile"], "mtu": pair["mtu"], "size": size, "passed": passed})
        if passed != expected:
            wrong.append(
                f"{pair['profile']} mtu {pair['mtu']}: `ping -M {'dont' if pair['fragments'] else 'do'} -s {size} "
                f"{pair['destination']}` "
                f"{'passed' if passed else 'got no reply'}, but the path MTU should be {pair['path_mtu']}"
            )
    return seen, wrong


def main():
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "pairs": {"type": "list", "elements": "dict", "required": True},
            "wait_s": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    seen, wrong = check_pairs(module.params["pairs"], module.params["wait_s"])
    if wrong:
        module.fail_json(msg="; ".join(wrong), probes=seen)
    module.exit_json(changed=False, probes=seen)


if __name__ == "__main__":
    main()
