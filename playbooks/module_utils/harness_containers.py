"""Endpoints that are containers: started from an image, known by a label, their namespaces given names.

Everything else of a profile is done to the namespace's name, whoever made it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections import defaultdict
from contextlib import suppress

from ansible.module_utils.harness_claims import DIRECTORY, remove_empty_folder
from ansible.module_utils.harness_node import NodeError, read_json, run

LABEL = "vxlan-harness.profile"
"""Label of every container we start; its value is the profile."""
NAMES = "{{.Names}}"
NETNS = "/run/netns"
LDD_PATH = 3
"""Words of a line of ldd in front of which a library's path stands: `libc.so.6 => /lib/libc.so.6 (0x…)`."""


def record(profile):
    """Return the file that says which engine a profile's containers were started with."""
    return os.path.join(DIRECTORY, f"containers-{profile}.engine")


def engine_of(profile):
    """Return the engine that a profile's containers were started with, None where none were."""
    with suppress(FileNotFoundError), open(record(profile), encoding="utf-8") as file:
        return file.read().strip()
    return None


def _listed(engine, *filters):
    """Return the names of all containers, running or not, that pass the filters."""
    return set(run([engine, "ps", "--all", *filters, "--format", NAMES]).split())


def _ours(engine, profile=None):
    """Return the names of our containers, of one profile or of all."""
    return _listed(engine, "--filter", f"label={LABEL}={profile}" if profile else f"label={LABEL}")


def _inspect(engine, names):
    """Return what the engine knows of these containers, by name."""
    shown = json.loads(run([engine, "container", "inspect", *sorted(names)])) if names else []
    return {entry["Name"].lstrip("/"): entry for entry in shown}


def wake(states):
    """Call each engine that is wanted: one that is started by its first call makes its bridge then."""
    for engine in {state["containers"]["engine"] for state in states if state["containers"]}:
        with suppress(FileNotFoundError):
            subprocess.run([engine, "version"], capture_output=True, check=False)


def conflicts(state, root):
    """Return a sentence for each thing that keeps a profile's endpoints from being containers here."""
    wanted = state["containers"]
    if not wanted:
        return []
    engine = wanted["engine"]
    if shutil.which(engine) is None:
        return [f"{engine} is not installed on this node; install it, or do without --containers {engine}"]
    try:
        known = _listed(engine)
        ours = _ours(engine)
    except NodeError as error:
        return [f"{engine} does not answer on this node: {error}"]
    found = [
        f"a container named {member['name']} is already there and not ours; rename it, or do without profile "
        f"{state['profile']}"
        for member in wanted["members"]
        if member["name"] in known - ours
    ]
    if wanted["bridge"]:
        found += _bridge_conflicts(wanted, root, ours)
    return found


def _bridge_conflicts(wanted, root, ours):
    """Yield what keeps the engine's own bridge from being joined to the peer's."""
    bridge, gateway = wanted["bridge"], wanted["gateway"]
    link = root.links.get(bridge)
    if link is None:
        yield f"there is no {bridge} on this node; is the default bridge of {wanted['engine']} switched off?"
        return
    held = [f"{entry['local']}/{entry['prefixlen']}" for entry in link.get("addr_info", [])]
    if gateway not in held:
        yield (
            f"{bridge} holds {', '.join(held) or 'no address'}, but the profile's endpoints need {gateway}; "
            "copy the profile and give the copy a bridge of its own"
        )
    shown = json.loads(run([wanted["engine"], "network", "inspect", "bridge"]))[0]
    others = sorted(entry["Name"] for entry in shown["Containers"].values() if entry["Name"] not in ours)
    if others:
        yield (
            f"{bridge} carries other containers ({', '.join(others)}); the peer's {bridge} hands out the same "
            "addresses, so joining both would disturb them: measure a profile with a bridge of its own instead, "
            "or stop them yourself"
        )


def is_up(state):
    """Tell whether a profile's containers are all as wanted; without any wanted, whether none is there."""
    wanted = state["containers"]
    if not wanted:
        return bool(state["swarm"]) or engine_of(state["profile"]) is None
    there = _inspect(wanted["engine"], _ours(wanted["engine"], state["profile"]))
    members = {member["name"]: member for member in wanted["members"]}
    return set(there) == set(members) and all(
        _is_as_wanted(entry, members[name], wanted) for name, entry in there.items()
    )


def is_left(state):
    """Tell whether there is something of a profile that is not up that has to go before its containers can be made."""
    profile, wanted = state["profile"], state["containers"]
    namespaces = {member["namespace"] for member in wanted["members"]} if wanted else set()
    named = any(name and os.path.exists(os.path.join(NETNS, name)) for name in namespaces)
    return named or engine_of(profile) is not None or bool(wanted and _ours(wanted["engine"], profile))


def _is_as_wanted(entry, member, wanted):
    """Tell whether a container runs, with the right image and address, and has its namespace's name."""
    pid = entry["State"]["Pid"]
    if not entry["State"]["Running"] or entry["Config"]["Image"].removeprefix("localhost/") != wanted["image"]:
        return False
    if member["address"] and _address(entry, wanted) != member["address"]:
        return False
    if not member["namespace"]:
        return True
    try:
        name, own = (os.stat(path) for path in (os.path.join(NETNS, member["namespace"]), f"/proc/{pid}/ns/net"))
    except FileNotFoundError:
        return False
    return (name.st_dev, name.st_ino) == (own.st_dev, own.st_ino)


def _address(entry, wanted):
    """Return the address that the engine gave a container on the network that it joined it to."""
    network = entry["NetworkSettings"]["Networks"].get(wanted["network"] or "bridge", {})
    return network.get("IPAddress", "")


class Engines:
    """Our containers and our image as they are, less those whose removal is queued."""

    def __init__(self):
        self._left = defaultdict(set)
        self._has_image = {}

    def make_image(self, state):
        """Tell whether a profile's containers need our own image and it is not there, and take it for made."""
        engine, image = state["containers"]["engine"], state["containers"]["image"]
        if image != state["own_image"] or self.has_image(engine, image):
            return False
        self._has_image[engine] = True
        return True

    def has_image(self, engine, image):
        """Tell whether an engine has our own image."""
        if engine not in self._has_image:
            argv = [engine, "image", "inspect", image]
            self._has_image[engine] = subprocess.run(argv, capture_output=True, check=False).returncode == 0
        return self._has_image[engine]

    def leave(self, state):
        """Take a profile's containers for gone, and our image with the last of all; return the argv of each removal.

        None: there is nothing of the profile's, not even the record of its engine.
        """
        profile, wanted = state["profile"], state["containers"]
        kept = engine_of(profile)
        if not wanted and kept is None:
            return None
        engine = kept or wanted["engine"]
        try:
            names = _ours(engine, profile)
            others = _ours(engine) - names - self._left[engine]
        except (NodeError, FileNotFoundError):
            if kept is None:  # nothing was started, and nothing can be: the engine is not there or does not run
                return None
            raise
        self._left[engine] |= names
        # Podman would wait ten seconds for a `sleep` that, as the first process, hears no SIGTERM.
        words = ["rm", "--force", *(["--time", "0"] if engine == "podman" else [])]
        removals = [[engine, *words, *sorted(names)]] if names else []
        if not others and self.has_image(engine, state["own_image"]):
            self._has_image[engine] = False
            removals.append([engine, "rmi", state["own_image"]])
        return removals if removals or kept else None


def start_lines(profile, wanted, *, makes_image):
    """Return what `start` does as text, in which what is known only once a container runs is paraphrased."""
    lines = [f"{wanted['engine']} import - {wanted['image']}"] if makes_image else []
    for member in wanted["members"]:
        pid = f"<pid of {member['name']}>"
        lines.append(" ".join(_run_argv(wanted, profile, member)))
        lines.append(" ".join(_name_argv(member, pid) if member["namespace"] else _silence_argv(pid)))
        if member["namespace"] and wanted["bridge"]:
            lines.append(" ".join(_mtu_argv(member, f"<veth of {member['name']}>")))
    return lines


def _run_argv(wanted, profile, member):
    """Return the argv that starts one container; it only has to stay, the node's own programs run inside."""
    network = wanted["network"] or ("bridge" if wanted["bridge"] else "none")
    words = [wanted["engine"], "run", "--detach", "--name", member["name"], "--label", f"{LABEL}={profile}"]
    words += ["--network", network, *(["--ip", member["address"]] if wanted["network"] else [])]
    return [*words, "--entrypoint", "sleep", wanted["image"], "infinity"]


def _name_argv(member, pid):
    """Return the argv that gives a container's namespace its name."""
    return ["ip", "netns", "attach", member["namespace"], pid]


def _silence_argv(pid):
    """Return the argv that silences a container that only keeps its address from being handed out.

    The peer's endpoint has the same address.
    """
    return ["nsenter", "--target", pid, "--net", "ip", "link", "set", "dev", "eth0", "down"]


def _mtu_argv(member, outside):
    """Return the argv that gives the node's end of a container's veth pair the endpoint's MTU.

    As `mtu` in the engine's settings would; the other end gets it with the other links.
    """
    return ["ip", "link", "set", "dev", outside, "mtu", str(member["mtu"])]


def start(profile, wanted, *, makes_image):
    """Start a profile's containers and name their namespaces; none of them is there yet."""
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    with open(record(profile), "w", encoding="utf-8") as file:
        file.write(wanted["engine"] + "\n")
    if makes_image:
        _import_image(wanted["engine"], wanted["image"])
    for member in wanted["members"]:  # one after the other: that is the order in which addresses are handed out
        run(_run_argv(wanted, profile, member))
        entry = _inspect(wanted["engine"], [member["name"]])[member["name"]]
        pid = str(entry["State"]["Pid"])
        given = _address(entry, wanted)
        if member["address"] and given != member["address"]:
            raise NodeError(
                f"{wanted['engine']} gave container {member['name']} {given or 'no address'}, not {member['address']}; "
                f"something else holds or has held that address on {wanted['network'] or wanted['bridge']}"
            )
        run(_name_argv(member, pid) if member["namespace"] else _silence_argv(pid))
        if member["namespace"] and wanted["bridge"]:
            run(_mtu_argv(member, _outside(member["namespace"])))


def _outside(namespace):
    """Return the name of the node's end of a container's veth pair."""
    (eth0,) = read_json(["ip", "-n", namespace, "-j", "link", "show", "dev", "eth0"])
    names = {link["ifindex"]: link["ifname"] for link in read_json(["ip", "-j", "link", "show"])}
    return names[eth0["link_index"]].split("@")[0]


def _import_image(engine, image):
    """Make our own image of the node's `sleep` and the libraries that it needs."""
    program = shutil.which("sleep") or "/bin/sleep"
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    libraries = [word for line in linked.splitlines() for word in line.split()[:LDD_PATH] if word.startswith("/")]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        tar.add(program, "bin/sleep")
        for path in dict.fromkeys(libraries):
            tar.add(path, path.lstrip("/"))
    done = subprocess.run([engine, "import", "-", image], input=archive.getvalue(), capture_output=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"`{engine} import` failed: {done.stderr.decode('utf-8', 'replace').strip()}")


def remove(profile, removals):
    """Run the removals of a profile's containers, and forget its engine."""
    for argv in removals:
        run(argv)
    with suppress(FileNotFoundError):
        os.remove(record(profile))
    remove_empty_folder()
