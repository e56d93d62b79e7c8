#!/usr/bin/python
"""Ansible module: keys and the one peer of a WireGuard device that netstate made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard
short_description: Key and peer of a profile's WireGuard device
description:
  - Makes the node's private key in a folder that only root can read, and returns the public one. With O(settings),
    gives the device its key, its port and its peer. The private key leaves neither the node nor that file.
options:
  profile:
    description: The profile's name.
    type: str
    required: true
  state:
    description: Whether the key is to be there or not.
    type: str
    choices: [present, absent]
    default: present
  settings:
    description: Device, port, allowed networks and the peer's address.
    type: dict
  peer_public_key:
    description: The peer's public key.
    type: str
author: The harness's authors
"""

EXAMPLES = r"""
- name: Make this node's key
  wireguard:
    profile: wireguard
"""

RETURN = r"""
public_key:
  description: The node's public key; empty in check mode where there is no key yet.
  returned: when present
  type: str
differences:
  description: What of the device is not as wanted.
  returned: when O(settings) is given
  type: list
  elements: str
"""

import os
from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.harness_claims import DIRECTORY
from ansible.module_utils.harness_node import NodeError, run, take_turn


def key_path(profile):
    """Return the file of a profile's private key."""
    return os.path.join(DIRECTORY, f"wireguard-{profile}.key")


def make_key(path, check_mode):
    """Make the key unless it is there; return the public one and whether there is a change."""
    changed = not os.path.exists(path)
    if changed and check_mode:
        return "", True
    if changed:
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(run(["wg", "genkey"]))
    with open(path, encoding="ascii") as file:
        return run(["wg", "pubkey"], file.read()).strip(), changed


def differences(settings, public_key, peer_public_key):
    """Return what `wg show dump` says otherwise than is wanted; the private key in it is not looked at."""
    lines = run(["wg", "show", settings["device"], "dump"]).splitlines()
    _private, own, port, _mark = lines[0].split("\t")
    peers = [line.split("\t") for line in lines[1:]]
    held = [(peer[0], peer[2], set(peer[3].split(","))) for peer in peers]
    endpoint = f"{settings['endpoint']}:{settings['port']}"
    found = []
    if own != public_key:
        found.append(f"{settings['device']} has another key")
    if port != str(settings["port"]):
        found.append(f"{settings['device']} listens on {port}, wanted {settings['port']}")
    if held != [(peer_public_key, endpoint, set(settings["allowed"]))]:
        found.append(f"{settings['device']} has other peers than {endpoint}")
    return found


def join(path, settings, peer_public_key):
    """Give the device its key, port and peer."""
    words = ["listen-port", str(settings["port"]), "private-key", path, "peer", peer_public_key]
    words += ["endpoint", f"{settings['endpoint']}:{settings['port']}"]
    run(["wg", "set", settings["device"], *words, "allowed-ips", ",".join(settings["allowed"])])


def present(module, path):
    """Bring key and peer to what is wanted; return the module's result."""
    public_key, changed = make_key(path, module.check_mode)
    result = {"public_key": public_key, "changed": changed}
    settings = module.params["settings"]
    if settings:
        peer = module.params["peer_public_key"]
        result["differences"] = differences(settings, public_key, peer)
        result["changed"] = changed or bool(result["differences"])
        if result["differences"] and not module.check_mode:
            join(path, settings, peer)
    return result


def absent(module, path):
    """Remove the key; return the module's result."""
    changed = os.path.exists(path)
    if changed and not module.check_mode:
        os.remove(path)
        if not os.listdir(DIRECTORY):
            os.rmdir(DIRECTORY)
    return {"changed": changed}


def main():
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "profile": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "settings": {"type": "dict"},
            "peer_public_key": {"type": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    action = present if module.params["state"] == "present" else absent
    try:
        with nullcontext() if module.check_mode else take_turn():
            result = action(module, key_path(module.params["profile"]))
    except NodeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
