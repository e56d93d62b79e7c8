"""The commands of `ip` and `bridge` that lead a node's namespaces from what they hold to what is wanted."""

from __future__ import annotations

from collections import defaultdict

from ansible.module_utils.harness_actions import Batch
from ansible.module_utils.harness_node import GROUP, ROUTE_PROTOCOL, alias_of, is_ours

FLOOD = "00:00:00:00:00:00"
"""MAC address of the forwarding entry that takes broadcasts and unknown destinations."""
JSON_KEYS = {"dstport": "port", "srcport": "port_range", "dev": "link"}
"""Where `ip -j -d link` names an attribute otherwise than `ip link add` does; IPv6 addresses have a 6 behind."""


class Batches:
    """Commands by program and namespace: a process for each, however many commands there are."""

    def __init__(self):
        self._queued = defaultdict(list)

    def ip(self, netns, *words):
        """Queue one ip command in a namespace."""
        self._queued["ip", netns].append(words)

    def bridge(self, netns, *words):
        """Queue one bridge command in a namespace."""
        self._queued["bridge", netns].append(words)

    def actions(self):
        """Return a batch for each namespace: the node's own before the others, for it puts links into them.

        Forwarding entries come last, when their devices are there.
        """
        order = sorted(self._queued, key=lambda place: (place[0] == "bridge", place[1] != ""))
        return [Batch(program, netns, tuple(self._queued[program, netns])) for program, netns in order]


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
            words += [name, *map(str, value if isinstance(value, list) else [value])]
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
        actual = shown.get(key, shown.get(f"{key}6"))
        pairs.append((name, [*actual.values()] if isinstance(actual, dict) else actual, value))
    for name, actual, wanted in pairs:
        if str(actual) != str(wanted):
            found.append(f"{link['name']} {name}: {actual}, wanted {wanted}")
    return found


def plan_link(batches, profile, link, spaces):
    """Queue what makes one link as wanted, its addresses and marks included; return how it differs from that now."""
    netns = link.get("netns", "")
    space = spaces.get(netns)
    there = space.links.get(link["name"]) if space else None
    name = link["name"]
    unlike = differences(link, there) if there is not None and not link.get("adopt") else []
    if unlike and not netns:  # attributes of a tunnel cannot all be changed in place
        batches.ip("", "link", "del", "dev", name)
        there = None
        space.forget(name)
        peer = link.get("peer")
        if peer and peer["netns"] in spaces:  # one end takes the other along
            spaces[peer["netns"]].forget(peer["name"])
    if there is None and not link.get("inner"):
        batches.ip(netns, *link_words(link))
    plan_settings(batches, profile, link, there or {}, made=there is None)
    return unlike


def plan_settings(batches, profile, link, now, *, made):
    """Queue the marks and settings of a link that are not yet as wanted; `made`: it is made in this very plan."""
    netns = link.get("netns", "")
    name = link["name"]
    if now.get("ifalias") != alias_of(profile) and not link.get("adopt"):
        batches.ip(netns, "link", "set", "dev", name, "alias", alias_of(profile))
    if (link.get("inner") or link["kind"] == "tun") and link.get("mtu") and now.get("mtu") != link["mtu"]:
        batches.ip(netns, "link", "set", "dev", name, "mtu", str(link["mtu"]))
    if made and link["kind"] == "bridge" and link.get("mtu"):
        # A bridge follows its smallest port until its MTU is changed by hand; setting what it has is no change.
        for mtu in (link["mtu"] - 1, link["mtu"]):
            batches.ip(netns, "link", "set", "dev", name, "mtu", str(mtu))
    if link.get("master") and now.get("master") != link["master"]:
        batches.ip(netns, "link", "set", "dev", name, "master", link["master"])
    held = {f"{entry['local']}/{entry['prefixlen']}" for entry in now.get("addr_info", [])}
    for address in [] if link.get("adopt") else link.get("addresses", []):
        if address not in held:
            batches.ip(netns, "addr", "add", address, "dev", name, *address_flags(address))
    if "UP" not in now.get("flags", []):
        batches.ip(netns, "link", "set", "dev", name, "up")


def address_flags(address):
    """Return what goes behind an address: IPv6 ones are used at once, there is nobody to detect a duplicate."""
    return ["nodad"] if ":" in address else []


def plan_routes(batches, state, spaces):
    """Queue the routes, permanent neighbours and FDB entries that are missing."""
    for route in state["routes"]:
        space = spaces.get(route["netns"])
        if not (space and any(same_route(route, there) for there in space.routes)):
            words = ["route", "replace", route["dst"]]
            for key in ("via", "dev", "src", "mtu", "metric"):
                words += [key, str(route[key])] if route.get(key) else []
            words += ["onlink"] if route.get("onlink") else []
            batches.ip(route["netns"], *words, "proto", ROUTE_PROTOCOL)
    for entry in state["neighbours"]:
        if not any(
            (there.get("dst"), there.get("lladdr"), there.get("dev")) == (entry["dst"], entry["lladdr"], entry["dev"])
            for there in spaces[""].neighbours
        ):
            words = ["neigh", "replace", entry["dst"], "lladdr", entry["lladdr"], "dev", entry["dev"]]
            batches.ip("", *words, "nud", "permanent")
    for entry in state["fdb"]:
        if not any(
            (there.get("mac"), there.get("ifname"), there.get("dst")) == (entry["lladdr"], entry["dev"], entry["dst"])
            for there in spaces[""].fdb
        ):
            # The all-zeros entry floods: it can only be appended, and a tunnel with `remote` has it from the start.
            verb = "append" if entry["lladdr"] == FLOOD else "replace"
            batches.bridge("", "fdb", verb, entry["lladdr"], "dev", entry["dev"], "dst", entry["dst"], "self")


def same_route(route, there):
    """Tell whether a route that is there is the one wanted."""
    return there.get("dst") == route["dst"] and all(
        not route.get(key) or there.get(target) == route[key] for key, target in (("via", "gateway"), ("dev", "dev"))
    )


def deletion_order(links, profile):
    """Return a profile's links in an order in which none has gone along with another before its turn.

    What stands on a link goes before it, and of a pair of which both ends are here only one is named. `links` are
    those of one namespace by name; as the kernel lists them, a link comes behind what it was made on.
    """
    order = []
    for name, link in links.items():
        if not is_ours(link, profile):
            continue
        below = link.get("link")
        if below not in order:
            order.append(name)
        elif link.get("linkinfo", {}).get("info_kind") != "veth":
            order.insert(order.index(below), name)
    return order
