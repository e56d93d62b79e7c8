"""Reading and changing a node, and the marks by which what we made is known; shared by this project's modules."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import re
import socket
import subprocess
import time

# An ordinary user's PATH, which sudo may hand on, leaves the sbin folders out.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"

GROUP = "18504"
"""Device group of every link we make: the kernel sets it at creation, an alias only afterwards."""
ROUTE_PROTOCOL = "218"
"""Routing protocol number of every route we make; not in iproute2's rt_protos."""
TURN = "\0vxlan-harness-module"
"""Abstract socket that whoever changes the node is bound to: it leaves no file, and is given up by a process's end."""
TURN_S = 60.0
POLL_S = 0.1


class NodeError(Exception):
    """Something that the user has to hear about; the module fails with its text."""


def take_turn(address=TURN, patience_s=TURN_S):
    """Wait until nobody else of ours changes the node; return what keeps it so until it is closed.

    A playbook that was interrupted leaves its module at work on the node, and what that goes on to make must not come
    after a teardown. Raises NodeError where it does not end in time.
    """
    turn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            turn.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                turn.close()
                text = "an earlier playbook is still changing this node; wait until it has ended, and try again"
                raise NodeError(text) from error
            time.sleep(POLL_S)
        else:
            return turn


def run(argv, stdin=None):
    """Run argv and return its standard output; raises NodeError with the program's own words."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        failed = re.search(r"Command failed -:(\d+)", message)
        at = f" at `{stdin.splitlines()[int(failed[1]) - 1]}`" if stdin and failed else ""
        raise NodeError(f"`{' '.join(argv)}` failed{at}: {message}")
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

    def forget(self, name):
        """Take a link that is about to be made anew, and all that goes with it, for gone."""
        self.links.pop(name, None)
        for link in self.links.values():
            if link.get("master") == name:
                del link["master"]
        self.routes = [route for route in self.routes if route.get("dev") != name]
        self.neighbours = [entry for entry in self.neighbours if entry.get("dev") != name]
        self.fdb = [entry for entry in self.fdb if entry.get("ifname") != name]


def alias_of(profile):
    """Return the alias that marks a link as made for this profile."""
    return f"harness:{profile}"


def is_ours(link, profile):
    """Tell whether a link was made for this profile; one that was cut off before its alias was set counts."""
    alias = link.get("ifalias", "")
    return alias == alias_of(profile) or (not alias and is_made_by_us(link))


def is_made_by_us(link):
    """Tell whether a link was made for any profile."""
    groups = (link.get("group"), link.get("linkinfo", {}).get("info_data", {}).get("group"))  # a TUN device has its own
    return GROUP in map(str, groups)


def namespace_pattern(profile):
    """Return the pattern of this profile's namespaces; a longer profile name has one more part."""
    return re.compile(rf"harness-{re.escape(profile)}-\d+")


def existing_namespaces():
    """Return the names of all named namespaces."""
    return {entry["name"] for entry in read_json(["ip", "-j", "netns", "list"])}


def overlaps(destination, network):
    """Tell whether a route's destination (an address counts as its /32) overlaps a network."""
    other = ipaddress.ip_network(destination, strict=False)
    return other.version == network.version and other.overlaps(network)
