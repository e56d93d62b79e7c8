"""Everything of a node, or of this host, that a set-up may change and has to put back; two of them compare with ==."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.nodes.remote import Remote

Snapshot = dict[str, Any]

VOLATILE_KEYS = {"tentative", "expires", "valid_life_time", "preferred_life_time", "cache_info", "operstate"}
"""What the kernel changes by itself; a bridge's timers likewise."""
CARRIER = {"NO-CARRIER", "LOWER_UP", "linkdown"}
"""Flags that follow whether a link's other end is up, some time after it: nobody sets them."""
OWN_PROCESSES = {"sshd", "sshd-session", "sh", "ps", "tee"}
"""The connection by which the snapshot is taken, and the snapshot itself."""
OWN_FILES = ("/run/xtables.lock", "/run/sudo")
"""Left by every call of iptables, the snapshot's own among them, and by sudo where it has asked for a password."""
# A daemon's own files in /run change all the time; what it holds is asked of itself.

# One section a program, so that a snapshot is one call.
_SCRIPT = r"""
exec 2>/dev/null
echo @links; ip -j -d addr show
echo @routes4; ip -j -4 route show table all
echo @routes6; ip -j -6 route show table all
echo @rules4; ip -j -4 rule show
echo @rules6; ip -j -6 rule show
echo @neighbours; ip -j neigh show nud permanent
echo @fdb; bridge -j fdb show
echo @qdiscs; tc -j qdisc show
echo @namespaces; ip netns list
echo @nft; nft -s list ruleset
echo @iptables; for family in iptables ip6tables; do for table in filter nat mangle raw; do
  "$family" -w -t "$table" -S; done; done
echo @sysctls; cd /proc/sys; grep -rs '' net/ipv4 net/ipv6 net/bridge net/netfilter | grep -v nf_conntrack_count; cd /
echo @files; find /run /tmp /root -xdev -name 'docker*' -prune -o -name engine -prune -o ! -type f -print
find /run /tmp /root -xdev -name 'docker*' -prune -o -name engine -prune -o -type f -exec cksum {} +
echo @processes; ps -e -o comm=
echo @containers; [ ! -S /run/docker.sock ] || { docker ps -a --format '{{.Names}} {{.Image}}'; docker images -q; }
"""
_JSON = {"links", "routes4", "routes6", "rules4", "rules6", "neighbours", "fdb", "qdiscs"}


def snapshot(node: Remote) -> Snapshot:
    """Return the complete comparable state of a node."""
    printed: dict[str, list[str]] = {}
    for line in node.run(["sh", "-c", _SCRIPT]).stdout.splitlines():
        if line.startswith("@"):
            lines = printed.setdefault(line[1:], [])
        else:
            lines.append(line)
    state: Snapshot = {
        name: _entries("".join(lines)) if name in _JSON else sorted(lines) for name, lines in printed.items()
    }
    state["links"] = {link["ifname"]: link for link in map(json.loads, state["links"])}
    state["processes"] = [name for name in state["processes"] if name not in OWN_PROCESSES]
    state["files"] = [line for line in state["files"] if not any(name in line for name in OWN_FILES)]
    return state


def host_network() -> Snapshot:
    """Return links, routes, rules and named namespaces of this machine's own namespace."""
    state: Snapshot = {
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "links": _ip("-d", "addr", "show"),
    }
    for family in ("-4", "-6"):
        state[f"routes{family}"] = _ip(family, "route", "show", "table", "all")
        state[f"rules{family}"] = _ip(family, "rule", "show")
    return state


def host_snapshot(root: Path) -> Snapshot:
    """Return what a lab with this state folder may leave on the host: network, files, and processes that know it."""
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []
    return host_network() | {"files": files, "processes": sorted(processes_naming(root))}


def processes_naming(root: Path) -> list[str]:
    """Return the processes that have a folder on their command line, as `pid command`."""
    return [f"{pid} {text}" for pid, text in command_lines().items() if str(root) in text and pid != os.getpid()]


def command_lines(proc: Path = Path("/proc")) -> dict[int, str]:
    """Return the command line of every process, without zombies and the kernel's own."""
    found = {}
    for path in proc.glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return {pid: text for pid, text in found.items() if text}


def differences(before: Any, after: Any, where: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Return what two snapshots do not have in common, one text for each difference, so that a failure can be read."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            text
            for key in sorted({*before, *after})
            for text in differences(before.get(key), after.get(key), f"{where} {key}".strip())
        ]
    if isinstance(before, list) and isinstance(after, list):
        gone, new = (
            [entry for entry in one if entry not in other] for one, other in ((before, after), (after, before))
        )
        return [f"{where} gone: {entry}" for entry in gone] + [f"{where} new: {entry}" for entry in new]
    return [f"{where}: {before} became {after}"]


def _ip(*words: str) -> list[str]:
    return _entries(subprocess.run(["ip", "-j", *words], capture_output=True, text=True, check=True).stdout)


def _entries(text: str) -> list[str]:
    """Return the entries of a JSON list as sorted texts, without what changes by itself."""
    entries = [_steady(entry) for entry in json.loads(text or "[]") if not _own_route(entry) and not _learned(entry)]
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries if entry)


def _own_route(entry: Mapping[str, Any]) -> bool:
    """Tell whether it is a link-local address's own route, which comes when duplicate detection is through."""
    return entry.get("type") in {"local", "anycast"} and str(entry.get("dst")).startswith("fe80:")


def _learned(entry: Mapping[str, Any]) -> bool:
    """Tell whether it is a forwarding entry that a bridge or a tunnel learned from traffic."""
    return "mac" in entry and entry.get("state") == ""


def _steady(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {
            key: _steady(item) for key, item in value.items() if key not in VOLATILE_KEYS and not key.endswith("_timer")
        }
    if isinstance(value, list):
        return [_steady(item) for item in value if not (isinstance(item, str) and item in CARRIER)]
    return value
