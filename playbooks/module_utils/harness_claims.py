"""What profiles change on a node that cannot carry a mark of its own: sysctls, small files, a firewall's chain.

A claim is a file on the node that says what was there before and which profiles want it changed; when the last of
them leaves, what was there before comes back.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from ansible.module_utils.harness_firewall import remove_chain
from ansible.module_utils.harness_node import run

DIRECTORY = "/run/vxlan-harness-node"


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


def file_text(entry):
    """Return the text of a file of KEY=VALUE lines."""
    return "".join(f"{key}={value}\n" for key, value in entry["values"].items())


def read_file(path):
    """Return a file's text, None where there is none."""
    with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return None


def claims():
    """Return every claim by the name of its file."""
    names = os.listdir(DIRECTORY) if os.path.isdir(DIRECTORY) else []
    found = {}
    for name in names:
        if name.endswith(".json"):
            with open(os.path.join(DIRECTORY, name), encoding="utf-8") as file:
                found[name] = json.load(file)
    return found


def claim_name(kind, target):
    """Return the name of a claim's file."""
    return f"{kind}{target.replace('/', '_')}.json"


def claim(profile, kind, target, before):
    """Note that a profile wants `target` changed, and what it was before the first one did."""
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    name = claim_name(kind, target)
    kept = claims().get(name, {"kind": kind, "target": target, "before": before, "profiles": []})
    if profile not in kept["profiles"]:
        kept["profiles"].append(profile)
    _write(name, kept)


def is_claimed(kind, target, profile):
    """Tell whether this profile has a claim, and whether any has."""
    kept = claims().get(claim_name(kind, target))
    return (kept is not None and profile in kept["profiles"], kept is not None)


def release(profile, check_mode):
    """Give up a profile's claims, and put back what nobody wants changed any more; return what was done."""
    done = []
    for name, kept in claims().items():
        if profile not in kept["profiles"]:
            continue
        kept["profiles"].remove(profile)
        last = not kept["profiles"]
        if last:
            done.append(f"restore {kept['kind']} {kept['target']}")
        if check_mode:
            continue
        if last:
            _restore(kept)
            os.remove(os.path.join(DIRECTORY, name))
        else:
            _write(name, kept)
    if not check_mode:
        with suppress(OSError):  # not there, or another profile's claims are in it
            os.rmdir(DIRECTORY)
    return done


def _restore(kept):
    """Put one thing back as it was."""
    if kept["kind"] == "sysctl":
        write_sysctl({"netns": "", "key": kept["target"]}, kept["before"])
        return
    if kept["kind"] == "chain":
        remove_chain(*kept["target"].split("/"), kept["before"])
        return
    with suppress(FileNotFoundError):
        os.remove(kept["target"])
    if kept["before"]:  # the folder was ours, too
        with suppress(OSError):
            os.rmdir(os.path.dirname(kept["target"]))


def write_file(profile, entry):
    """Write a file that is not there, or is ours."""
    folder = os.path.dirname(entry["path"])
    claim(profile, "file", entry["path"], "" if os.path.isdir(folder) else "folder")
    os.makedirs(folder, exist_ok=True)
    _replace(entry["path"], file_text(entry))


def _write(name, value):
    _replace(os.path.join(DIRECTORY, name), json.dumps(value))


def _replace(path, text):
    """Replace a file as a whole, so that a cut-off write leaves the old one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
