"""What profiles change on a node that cannot carry a mark of its own: sysctls, files, a firewall's chain, offload.

A claim is a file on the node that says what was there before and which profiles want it changed; when the last of
them leaves, what was there before comes back.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from ansible.module_utils.harness_firewall import remove_chain
from ansible.module_utils.harness_node import NodeError, run
from ansible.module_utils.harness_offload import switch_back

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
    """Return every claim by the name of its file, always in the same order."""
    names = os.listdir(DIRECTORY) if os.path.isdir(DIRECTORY) else []
    found = {}
    for name in sorted(names):
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


class Claims:
    """The claims that are there, less those whose release is queued, and what is there once that has been done."""

    def __init__(self):
        self._kept = claims()
        self._restored = {}

    def is_claimed(self, kind, target, profile):
        """Tell whether this profile has a claim, and whether any has."""
        kept = self._kept.get(claim_name(kind, target))
        return (kept is not None and profile in kept["profiles"], kept is not None)

    def leave(self, profile):
        """Take a profile's claims for given up; return kind and target of each, and whether it was the last one's."""
        left = []
        for name, kept in list(self._kept.items()):
            if profile not in kept["profiles"]:
                continue
            kept["profiles"].remove(profile)
            if not kept["profiles"]:
                self._restored[kept["kind"], kept["target"]] = self._kept.pop(name)["before"]
            left.append((kept["kind"], kept["target"], not kept["profiles"]))
        return left

    def sysctl(self, entry):
        """Return a sysctl's value, in its namespace."""
        restored = None if entry["netns"] else self._restored.get(("sysctl", entry["key"]))
        return read_sysctl(entry) if restored is None else restored

    def file(self, path):
        """Return a file's text, None where there is none."""
        return None if ("file", path) in self._restored else read_file(path)


def release(profile, kind, target):
    """Give up a profile's claim, and put back what was there before if nobody wants it changed any more."""
    name = claim_name(kind, target)
    kept = claims().get(name)
    if kept is None:
        return
    kept["profiles"] = [other for other in kept["profiles"] if other != profile]
    if kept["profiles"]:
        _write(name, kept)
        return
    _restore(kept)
    os.remove(os.path.join(DIRECTORY, name))
    remove_empty_folder()


def is_folder_empty():
    """Tell whether our folder is there with nothing in it, as one that was cut off right behind its making is."""
    return os.path.isdir(DIRECTORY) and not os.listdir(DIRECTORY)


def remove_empty_folder():
    """Remove our folder once nothing of any profile is in it."""
    with suppress(OSError):
        os.rmdir(DIRECTORY)


def _restore(kept):
    """Put one thing back as it was."""
    kind, target, before = (kept[name] for name in ("kind", "target", "before"))
    if kind == "sysctl":
        write_sysctl({"netns": "", "key": target}, before)
    elif kind == "chain":
        remove_chain(*target.split("/"), before)
    elif kind == "offload":
        switch_back(target, before)
    elif kind == "file":
        with suppress(FileNotFoundError):
            os.remove(target)
        if before:  # the folder was ours, too
            with suppress(OSError):
                os.rmdir(os.path.dirname(target))
    else:
        raise NodeError(f"{DIRECTORY} has a claim of kind {kind!r}; known are sysctl, chain, offload, file")


def write_file(profile, path, text):
    """Write a file that is not there, or is ours."""
    folder = os.path.dirname(path)
    claim(profile, "file", path, "" if os.path.isdir(folder) else "folder")
    os.makedirs(folder, exist_ok=True)
    _replace(path, text)


def _write(name, value):
    _replace(os.path.join(DIRECTORY, name), json.dumps(value))


def _replace(path, text):
    """Replace a file as a whole, so that a cut-off write leaves the old one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
